//! `ageseal kustomize config`: the file for `configurations:`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ageseal::kustomize;
use ageseal::problem::Location;

use crate::error::{CliError, Exit, Outcome};
use crate::files::{self, Before, Want};
use crate::ui::Ui;

/// Write the configuration by which kustomize follows the names of sealed documents
///
/// List the file under `configurations` of a base: what is built on it takes it over. An older one of ours is replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal kustomize config -o base/ageseal-references.yaml
  ageseal kustomize config | less")]
pub struct Args {
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let text = kustomize::configuration();
    let Some(path) = args.output.as_deref().filter(|path| !files::is_stdin(path)) else {
        ui.raw(text.as_bytes());
        return Ok(Exit::Ok);
    };
    let before = match path.symlink_metadata() {
        Ok(_) => Before::Holds(files::read(path, Want { empty: true, ..Want::DOCUMENT })?),
        Err(_) => Before::Absent,
    };
    let shown = path.display().to_string();
    if matches!(&before, Before::Holds(bytes) if bytes == text.as_bytes()) {
        ui.result("same", &[&shown]);
        return Ok(Exit::Ok);
    }
    if let Before::Holds(bytes) = &before
        && !is_ours(bytes)
    {
        return Err(CliError::input("this file was not written by ageseal; it is as it was")
            .path(path)
            .hint("give another name: a kustomization may list several files under configurations")
            .into());
    }
    if let Before::Holds(bytes) = &before
        && let Some(line) = line_of_others(bytes, &text)
    {
        return Err(CliError::input("this file has lines that are not ageseal's; it is as it was")
            .at(path, Location { line, column: 1 }, None)
            .hint("move them to a file of their own: a kustomization may list several under configurations")
            .into());
    }
    files::replace(path, before, text.into_bytes())?;
    ui.result("wrote", &[&shown]);
    Ok(Exit::Ok)
}

/// The first line of a file of ours that we do not write, if there is one: somebody added it.
fn line_of_others(bytes: &[u8], ours: &str) -> Option<usize> {
    let ours: BTreeSet<&str> = ours.lines().collect();
    let text = String::from_utf8_lossy(bytes);
    text.lines().position(|line| !line.trim().is_empty() && !ours.contains(line)).map(|index| index + 1)
}

/// Whether a file is one of ours, perhaps of an older version: by its first line.
fn is_ours(bytes: &[u8]) -> bool {
    let text = kustomize::configuration();
    let line = text.lines().next().unwrap_or_default().as_bytes();
    bytes.starts_with(line)
}
