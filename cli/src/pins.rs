//! Which cluster stands behind the recipients of a name: `.ageseal/clusters/NAME.yaml`.
//!
//! `recipients sync` writes it and holds every later answer against it, so that another cluster, or somebody between
//! here and the cluster, cannot slip a recipient in. It is committed like the recipients themselves, and who guards
//! those guards it. Everything in it is public.

mod read;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ageseal::policy::is_name;
use ageseal::recipient::RecipientId;

use crate::error::{CliError, Errors, io_fact};
use crate::files::{self, Want};
use crate::repository::{Repository, from_here};

/// The folder of the pins, from the top of the repository.
pub const CLUSTERS_FOLDER: &str = ".ageseal/clusters";

/// The kind of the document.
const KIND: &str = "ClusterPin";

/// The longest address of a cluster.
const MAX_ADDRESS: usize = 2_000;

/// The most pins of a repository.
const MAX_PINS: usize = 1_000;

const WANT: Want = Want { max: 64 * 1024, empty: false, pipe: false };

/// What is remembered of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The namespace of its controller.
    pub namespace: String,
    /// The uid of its namespace `kube-system`; nothing if nobody who could read it has synced yet.
    pub uid: Option<String>,
    /// Its address, where the operating system's certificates prove it: they prove the address, and nothing else.
    pub address: Option<String>,
    /// `sha256:` and the hash of each certificate that its API server may prove itself by, sorted; none where the
    /// operating system's certificates are meant.
    pub certificates: Vec<String>,
    /// The serial that it published last.
    pub serial: u64,
    /// The recipient that it published as current.
    pub current: RecipientId,
    /// Every recipient that it published, the current one first.
    pub recipients: Vec<RecipientId>,
}

/// The address as a pin has it, if it can stand in one: something has to prove it, and it needs no escapes.
pub fn provable(address: &str) -> Option<&str> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    let long_enough =
        address.len() <= MAX_ADDRESS && address.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
    (long_enough && address.bytes().all(fits)).then_some(address)
}

/// The path of a pin, from the top of the repository.
pub fn pin_path(name: &str) -> String {
    format!("{CLUSTERS_FOLDER}/{name}.yaml")
}

impl Pin {
    /// Reads the text of a pin.
    ///
    /// # Errors
    /// Everything that is wrong with it: an unknown field, a value that is not of its form.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Vec<ageseal::problem::Problem>> {
        read::pin(bytes)
    }

    /// Its text; equal pins give equal bytes.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# The cluster that publishes the recipients of this name: ageseal recipients sync refuses any other.\n\
             apiVersion: ageseal.dev/v1alpha1\nkind: {KIND}\nnamespace: {}\n",
            self.namespace
        );
        if let Some(uid) = &self.uid {
            let _ = writeln!(text, "uid: \"{uid}\"");
        }
        if let Some(address) = &self.address {
            let _ = writeln!(text, "address: \"{address}\"");
        }
        if !self.certificates.is_empty() {
            text.push_str("certificates:\n");
            self.certificates.iter().for_each(|hash| text.push_str(&format!("- {hash}\n")));
        }
        let _ = write!(text, "serial: {}\ncurrent: {}\nrecipients:\n", self.serial, self.current);
        self.recipients.iter().for_each(|id| text.push_str(&format!("- {id}\n")));
        text
    }
}

/// The pins of a repository, by name.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn all(repository: &Repository) -> Result<BTreeMap<String, Pin>, Errors> {
    let folder = repository.top().join(CLUSTERS_FOLDER);
    let mut pins = BTreeMap::new();
    if fs::symlink_metadata(&folder).is_err() {
        return Ok(pins);
    }
    repository.check_folder(&folder)?;
    let mut errors = vec![];
    for path in pin_files(&folder)? {
        repository.check_file(&path)?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let shown = from_here(&path);
        if !is_name(&name) {
            errors.push(CliError::input(format!("{name:?} is not a name of recipients")).path(&shown));
            continue;
        }
        let read = files::read(&shown, WANT).map_err(|error| vec![error]).and_then(|bytes| {
            Pin::parse(bytes)
                .map_err(|problems| problems.iter().map(|problem| CliError::problem(&shown, problem)).collect())
        });
        match read {
            Ok(pin) => drop(pins.insert(name, pin)),
            Err(several) => errors.extend(several),
        }
    }
    Errors::none_or(errors)?;
    Ok(pins)
}

/// The files that end in `.yaml`, sorted.
fn pin_files(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::input("the folder cannot be read").path(&from_here(folder)).cause(io_fact(&error))
    };
    let mut files = vec![];
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
        if files.len() > MAX_PINS {
            return Err(CliError::input(format!("there are more than {MAX_PINS} pins")).path(&from_here(folder)));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Pin {
        let id = |text: &str| text.parse().unwrap();
        Pin {
            namespace: "ageseal-system".to_owned(),
            uid: Some("2f1b4a1e-6a4b-4c59-9d0c-0e2c8f3a7b11".to_owned()),
            address: None,
            certificates: vec![format!("sha256:{}", "a0".repeat(32))],
            serial: 3,
            current: id("r7d793037a0760186"),
            recipients: vec![id("r7d793037a0760186"), id("r0d793037a0760186")],
        }
    }

    #[test]
    fn a_pin_goes_through_text() {
        let full = pin();
        assert_eq!(Pin::parse(full.text().into_bytes()).unwrap(), full);
        let bare = Pin { uid: None, certificates: vec![], ..full };
        assert_eq!(Pin::parse(bare.text().into_bytes()), Ok(bare.clone()));
        let by_address = Pin { address: Some("https://rancher.example.com/k8s/clusters/c-1".to_owned()), ..bare };
        assert_eq!(Pin::parse(by_address.text().into_bytes()), Ok(by_address));
    }

    #[test]
    fn nothing_in_it_is_guessed() {
        let text = pin().text();
        for (from, to, code, line) in [
            ("serial: 3", "serial: 03", "bad-value", 8),
            ("serial: 3", "serial: \"3\"", "bad-value", 8),
            ("serial: 3", "serial: -1", "bad-value", 8),
            ("serial: 3", "serial: 3\nuser: ann", "unknown-field", 9),
            ("serial: 3\n", "", "missing-field", 2),
            ("kind: ClusterPin", "kind: Policy", "bad-value", 3),
            ("v1alpha1", "v1", "bad-value", 2),
            ("sha256:a0", "sha256:A0", "bad-value", 7),
            ("sha256:a0", "md5:a0", "bad-value", 7),
            ("ageseal-system", "Ageseal", "bad-value", 4),
            ("current: r7", "current: r8", "bad-value", 9),
            ("current: r7d793037a0760186", "current: [r7]", "bad-value", 9),
            ("recipients:\n", "recipients: []\nx:\n", "unknown-field", 11),
            ("uid: \"2f1b", "uid: \"../x ", "bad-value", 5),
            ("uid: \"2f1b", "address: \"http://a\"\nuid: \"2f1b", "bad-value", 5),
            ("uid: \"2f1b", "address: \"https://\"\nuid: \"2f1b", "bad-value", 5),
            ("uid: \"2f1b", "address: \"https://a b\"\nuid: \"2f1b", "bad-value", 5),
            ("\n- r0d793037a0760186", "\n- r7d793037a0760186", "bad-value", 12),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let problems = Pin::parse(changed.into_bytes()).unwrap_err();
            let found: Vec<_> =
                problems.iter().map(|problem| (problem.code, problem.at.map_or(0, |at| at.line))).collect();
            assert!(found.contains(&(code, line)), "{to}: {found:?}");
        }
        for text in ["", "a: b: c", "- x", "{}", "---\n---\n"] {
            assert!(Pin::parse(text.as_bytes().to_vec()).is_err(), "{text}");
        }
        assert!(Pin::parse(format!("{text}---\n{text}").into_bytes()).is_err());
    }
}
