//! What is measured inside a process: opening a document, and the bare reading that `check` is compared with.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, hint};

use ageseal::envelope::FreshDek;
use ageseal::format::{Envelope, Item, Sealed};
use ageseal::open::open;
use ageseal::recipient::{Identity, KeyRing, Recipient};
use ageseal::scope::Scope;
use ageseal::seal::Context as Place;
use ageseal::secret::Plaintext;
use anyhow::{Context, Result, ensure};
use granit_parser::Parser;
use rand_core::OsRng;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::Value;

use super::fixture::{Readers, VALUES};

/// The chore that reads and parses all YAML below a folder.
pub const READ: &str = "read-yaml-below";

/// A sealed document of ten values, and who opens it.
pub struct Document {
    sealed: Sealed,
    ring: KeyRing,
}

impl Document {
    /// Seals ten values for these readers; the last of them opens it.
    pub fn new(readers: Readers) -> Result<Self> {
        let identities = match readers {
            Readers::OneClassic => vec![Identity::generate_x25519()],
            Readers::TwoHybrid => (0..2).map(|_| Identity::generate_hybrid(&mut OsRng)).collect(),
        };
        let recipients: Vec<&Recipient> = identities.iter().filter_map(Identity::recipient).collect();
        let dek = FreshDek::generate(&mut OsRng);
        let envelope = Envelope { file: dek.wrap(&recipients)?, also: vec![] };
        let scope = Scope::exact("shop-prod", "db-credentials")?;
        let mut sealed = Sealed {
            secret_type: "Opaque".to_owned(),
            scope: Some(scope.clone()),
            items: [].into(),
            envelopes: [(dek.kid(), envelope)].into(),
        };
        for number in 0..VALUES {
            let key = format!("key-{number}");
            let place = Place { secret_type: "Opaque", key: &key, scope: &scope };
            let value = dek.seal(place, &Plaintext::new(format!("not-real-{number}").into_bytes()), &mut OsRng)?;
            sealed.items.insert(key, Item { value, scope: None, envelope: None });
        }
        Ok(Self { sealed, ring: KeyRing::new(identities.into_iter().rev().take(1).collect()) })
    }

    /// Opens it so often and gives what each time took.
    pub fn open(&self, times: usize) -> Result<Vec<Duration>> {
        (0..times)
            .map(|_| {
                let start = Instant::now();
                let opened = open(hint::black_box(&self.sealed), None, &self.ring)?;
                let took = start.elapsed();
                ensure!(opened.values.len() == VALUES, "not all values");
                Ok(took)
            })
            .collect()
    }
}

/// What one RSA-4096 OAEP decryption takes in Go's crypto/rsa, so often.
pub fn rsa(program: &Path, times: usize) -> Result<Vec<Duration>> {
    let text = crate::run::first_line(program, &["-n", &times.to_string()])?;
    let report: Value = serde_json::from_str(&text)?;
    let list = report["nanoseconds"].as_array().context("rsa-oaep: no list of nanoseconds")?;
    let numbers = list.iter().map(|number| number.as_u64().map(Duration::from_nanos));
    numbers.collect::<Option<_>>().context("rsa-oaep: not a number of nanoseconds")
}

/// The chore behind the figure of `check`: walks a folder, reads every YAML file and pulls every event of it out of the
/// parser, on all cores, and does nothing with them.
pub fn read_yaml_below(folder: Option<OsString>) -> Result<()> {
    let folder = PathBuf::from(folder.context("which folder?")?);
    let mut files = vec![];
    for entry in walkdir::WalkDir::new(folder).into_iter().filter_entry(|entry| entry.file_name() != ".git") {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "yaml") {
            files.push(entry.into_path());
        }
    }
    let events = files.par_iter().map(|path| -> Result<usize> {
        let text = fs::read_to_string(path)?;
        let mut events = 0;
        for event in Parser::new_from_str(&text) {
            hint::black_box(event.with_context(|| path.display().to_string())?);
            events += 1;
        }
        Ok(events)
    });
    let events: usize = events.try_reduce(|| 0, |a, b| Ok(a + b))?;
    crate::run::print(&format!("{} files, {events} events", files.len()))
}
