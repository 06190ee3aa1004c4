//! The files that are made from the code, and the check that they still are what it says.

mod cli;
mod crd;

use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{root, say};

/// A file of the repository that nobody edits.
struct Generated {
    /// Where it lies, from the top of the repository.
    path: &'static str,
    /// Makes its text. The same code makes the same text, whoever runs it and where.
    make: fn() -> Result<String>,
}

/// Every generated file: one more is a line here and a module that makes it.
const FILES: &[Generated] = &[
    Generated { path: "deploy/crd/ageseal.dev_sealedsecrets.yaml", make: crd::manifest },
    Generated { path: "docs/cli.md", make: cli::page },
];

/// Writes every file, or those that are named.
///
/// # Errors
/// A name is of no generated file; a text cannot be made or written.
pub fn generate(named: impl Iterator<Item = OsString>) -> Result<()> {
    let named: Vec<OsString> = named.collect();
    if let Some(other) = named.iter().find(|name| FILES.iter().all(|file| *name != file.path)) {
        let known = FILES.iter().map(|file| file.path).collect::<Vec<_>>().join(", ");
        bail!("{} is not generated; what is: {known}", other.display());
    }
    for file in FILES.iter().filter(|file| named.is_empty() || named.iter().any(|name| name == file.path)) {
        let text = (file.make)().context(file.path)?;
        fs::write(root().join(file.path), text).context(file.path)?;
        say(&format!("wrote {}", file.path));
    }
    Ok(())
}

/// Checks that every file is what would be written, and tells all that are not.
pub fn check() -> Result<()> {
    let mut stale = Vec::new();
    for file in FILES {
        // A file that is not there, or not text, is not what would be written.
        let written = fs::read_to_string(root().join(file.path)).unwrap_or_default();
        if written == (file.make)().context(file.path)? {
            say(&format!("{}: up to date", file.path));
        } else {
            stale.push(file.path);
        }
    }
    ensure!(stale.is_empty(), "not what the code says: {}; run cargo xtask generate", stale.join(", "));
    Ok(())
}
