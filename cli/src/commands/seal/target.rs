//! Where the result of each source goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::manifest::could_hold_secret;
use zeroize::Zeroizing;

use super::Args;
use crate::error::{CliError, Errors};
use crate::files::{self, Want};

/// Where the result of one source goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Into the source itself.
    Source,
    /// Into another file.
    File(PathBuf),
    /// To stdout.
    Stdout,
}

impl Target {
    /// The file that is written for this source, as it is shown.
    pub(super) fn shown(&self, source: &Path) -> String {
        match self {
            Self::Source => source.display().to_string(),
            Self::File(path) => path.display().to_string(),
            Self::Stdout => "<stdout>".to_owned(),
        }
    }
}

/// Says where each source goes; two sources for one target are an error.
pub(super) fn targets(args: &Args, sources: &[PathBuf]) -> Result<Vec<(PathBuf, Target)>, Errors> {
    if args.output.is_some() && sources.len() != 1 {
        let count = format!("-o takes one source, and there are {}", sources.len());
        return Err(CliError::usage(count).hint("seal one file at a time, or leave -o out").into());
    }
    let mut taken: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut errors = Vec::new();
    let mut targets = Vec::new();
    for source in sources {
        let target = match &args.output {
            Some(path) if files::is_stdin(path) => Target::Stdout,
            Some(path) => Target::File(path.clone()),
            None if files::is_stdin(source) && args.in_place => {
                return Err(CliError::usage("stdin cannot be replaced in place").into());
            }
            None if files::is_stdin(source) => Target::Stdout,
            None if args.in_place => Target::Source,
            None if is_sealed_name(source) => Target::Source,
            None => Target::File(beside(source)),
        };
        if let Target::File(path) = &target
            && let Some(other) = taken.insert(path.clone(), source.clone())
            && holds_secret(source)
            && holds_secret(&other)
        {
            let both = format!("{} and {} would both become this file", other.display(), source.display());
            errors.push(CliError::input(both).path(path).hint("rename one of them"));
        }
        targets.push((source.clone(), target));
    }
    Errors::none_or(errors)?;
    Ok(targets)
}

fn holds_secret(path: &Path) -> bool {
    // What is larger or cannot be read is refused where it is sealed.
    files::read(path, Want::DOCUMENT).is_ok_and(|bytes| could_hold_secret(&Zeroizing::new(bytes)))
}

fn is_sealed_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.ends_with(".sealed.yaml") || name.ends_with(".sealed.yml") || name.ends_with(".sealed.json")
}

/// `db.secret.yaml`, `db.yaml` and `db.json` become `db.sealed.yaml`.
fn beside(source: &Path) -> PathBuf {
    let name = source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let lower = name.to_lowercase();
    let known = [".yaml", ".yml", ".json"].into_iter().find(|extension| lower.ends_with(extension));
    let stem = &name[..name.len() - known.map_or(0, str::len)];
    let stem = stem.strip_suffix(".secret").unwrap_or(stem);
    source.with_file_name(format!("{stem}.sealed.yaml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sealed_file_stands_beside_its_source() {
        for (source, target) in [
            ("a/db.yaml", "a/db.sealed.yaml"),
            ("a/db.secret.yaml", "a/db.sealed.yaml"),
            ("db.yml", "db.sealed.yaml"),
            ("db.secret.json", "db.sealed.yaml"),
            ("secret", "secret.sealed.yaml"),
            ("x.txt", "x.txt.sealed.yaml"),
        ] {
            assert_eq!(beside(Path::new(source)), Path::new(target), "{source}");
        }
    }
}
