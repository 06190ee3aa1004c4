//! Makes sure that a kustomization lists the file of `configurations` by which shadows rename sealed documents.

use std::path::{Path, PathBuf};

use ageseal::kustomize::{CONFIGURATION, configuration, is_configuration};
use ageseal::shadow;
use ageseal::yaml::Stream;

use crate::error::CliError;
use crate::files::{self, Batch, Before, Want};

/// The file beside a kustomization, and what has to be done about it.
pub struct References {
    /// The path of the file.
    pub path: PathBuf,
    /// Whether it is not there yet.
    pub new: bool,
    /// Whether the kustomization does not list it yet.
    pub unlisted: bool,
}

impl References {
    /// Looks at what a kustomization lists, and at what lies beside it.
    ///
    /// # Errors
    /// A file of the usual name that says less, or something else; one that cannot be read.
    pub fn of(kustomization: &Path, stream: &Stream) -> Result<Self, CliError> {
        for listed in shadow::configurations(stream) {
            let path = kustomization.with_file_name(listed);
            if is_ours(&path)? {
                return Ok(Self { path, new: false, unlisted: false });
            }
        }
        let path = kustomization.with_file_name(CONFIGURATION);
        if path.symlink_metadata().is_err() {
            return Ok(Self { path, new: true, unlisted: true });
        }
        if is_ours(&path)? {
            return Ok(Self { path, new: false, unlisted: true });
        }
        let fact = "this file has not all places of a Secret that are known today, so some reference would not follow";
        let hint = format!("ageseal kustomize config -o {0}, or give it another name", path.display());
        Err(CliError::input(fact).path(&path).hint(hint))
    }

    /// The kustomization with the file listed.
    pub fn list(&self, kustomization: &Path, stream: Stream) -> Result<Stream, CliError> {
        if !self.unlisted {
            return Ok(stream);
        }
        let listed = shadow::list_configuration(&stream, CONFIGURATION)
            .map_err(|problem| CliError::problem(kustomization, &problem))?;
        Ok(listed.unwrap_or(stream))
    }

    /// Adds the file to what is written, if it is not there.
    pub fn add_to(&self, batch: &mut Batch) {
        if self.new {
            batch.add(&self.path, Before::Absent, configuration().into_bytes());
        }
    }
}

fn is_ours(path: &Path) -> Result<bool, CliError> {
    // kustomize says what it thinks of a file that is missing or no YAML.
    if !path.is_file() {
        return Ok(false);
    }
    let bytes = files::read(path, Want { empty: true, ..Want::DOCUMENT })?;
    Ok(is_configuration(&String::from_utf8_lossy(&bytes)))
}
