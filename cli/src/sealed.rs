//! A sealed file as the commands meet it: its text, and the one document in it that is meant.

use std::path::{Path, PathBuf};

use ageseal::format;
use ageseal::manifest::{ObjectKind, SealedManifest, could_hold_secret, objects};
use ageseal::yaml::Stream;

use crate::error::{CliError, Errors};
use crate::files::{self, Want};

/// A sealed file that was read, with the bytes that it had.
pub struct SealedFile {
    /// Where it is; `-` is stdin.
    pub path: PathBuf,
    /// Its bytes, for comparing before it is replaced.
    pub bytes: Vec<u8>,
    /// Its text.
    pub stream: Stream,
}

impl SealedFile {
    /// Reads and parses a file.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let bytes = files::read(path, Want::DOCUMENT)?;
        let stream = Stream::from_bytes(bytes.clone()).map_err(|error| CliError::problem(path, &error.to_problem()))?;
        Ok(Self { path: path.to_owned(), bytes, stream })
    }

    /// Reads and parses a file that a walk found; none if it is none of ours.
    ///
    /// # Errors
    /// It cannot be read, or it is no YAML and says that it is one of ours: whoever asks for everything below a folder has
    /// to know that this is not in it.
    pub fn walked(path: &Path) -> Result<Option<Self>, CliError> {
        let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
        if usize::try_from(size).is_ok_and(|size| size > Want::DOCUMENT.max) {
            return Ok(None);
        }
        let bytes = files::read(path, Want { empty: true, ..Want::DOCUMENT })?;
        if !could_hold_secret(&bytes) {
            return Ok(None);
        }
        let group = format::API_VERSION.split_inclusive('/').next().unwrap_or_default().as_bytes();
        let ours = bytes.windows(group.len()).any(|word| word == group);
        match Stream::from_bytes(bytes.clone()) {
            Ok(stream) => Ok(Some(Self { path: path.to_owned(), bytes, stream })),
            Err(error) if ours => Err(CliError::problem(path, &error.to_problem())),
            Err(_) => Ok(None),
        }
    }

    /// Every sealed document of it; everything that is malformed in any of them is reported together.
    pub fn documents(&self) -> Result<Vec<SealedManifest<'_>>, Errors> {
        let mut errors = Vec::new();
        let mut documents = Vec::new();
        for object in objects(&self.stream).filter(|object| object.kind == ObjectKind::SealedSecret) {
            let reading = SealedManifest::read(object.node);
            let problems = reading.problems.iter().filter(|problem| problem.is_error());
            errors.extend(problems.map(|problem| CliError::problem(&self.path, problem)));
            documents.extend(reading.manifest);
        }
        Errors::none_or(errors)?;
        Ok(documents)
    }

    /// The document that is meant: the only one, or the one that `--doc` names.
    pub fn document(&self, chosen: &DocOption) -> Result<SealedManifest<'_>, Errors> {
        let documents = self.documents()?;
        let names: Vec<String> = documents.iter().map(title).collect();
        if names.is_empty() {
            let none = CliError::input("there is no sealed document in this file").path(&self.path);
            return Err(none.hint("ageseal seal makes one from a Secret manifest").into());
        }
        let mut fitting: Vec<_> = documents.into_iter().filter(|document| chosen.fits(document)).collect();
        match (fitting.pop(), fitting.is_empty()) {
            (Some(document), true) => Ok(document),
            (Some(_), false) => Err(CliError::usage("the file holds several sealed documents")
                .path(&self.path)
                .hint(format!("say which one: --doc {}", names.join(" or --doc ")))
                .into()),
            (None, _) => Err(CliError::usage("the file holds no such document")
                .path(&self.path)
                .hint(format!("it holds {}", names.join(", ")))
                .into()),
        }
    }
}

/// `NAMESPACE/NAME`, or the name alone where there is no namespace.
pub fn title(document: &SealedManifest<'_>) -> String {
    match &document.namespace {
        Some(namespace) => format!("{namespace}/{}", document.name),
        None => document.name.clone(),
    }
}

/// The option that chooses a document.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct DocOption {
    /// Which document, where the file holds several
    #[arg(long = "doc", value_name = "NAMESPACE/NAME")]
    doc: Option<String>,
}

impl DocOption {
    fn fits(&self, document: &SealedManifest<'_>) -> bool {
        self.doc.as_ref().is_none_or(|doc| *doc == title(document) || *doc == document.name)
    }
}
