//! `ageseal unset`: one value less in a sealed file, without a private key.

use std::path::PathBuf;

use ageseal::rewrite;

use crate::error::{CliError, Exit, Outcome};
use crate::files::{self, Before};
use crate::sealed::{DocOption, SealedFile};
use crate::ui::Ui;

/// Remove one value from a sealed file
///
/// No private key is needed. Its envelope stays, so that reverting an earlier commit still opens.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal unset overlays/prod/db.sealed.yaml old-password")]
pub struct Args {
    /// The sealed file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data key
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    doc: DocOption,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    if files::is_stdin(&args.file) {
        return Err(CliError::usage("unset changes a file, and stdin is none").hint("name the sealed file").into());
    }
    let file = SealedFile::read(&args.file)?;
    let document = file.document(&args.doc)?;
    let text = rewrite::unset_item(&file.stream, &document, &args.key)
        .map_err(|problem| CliError::problem(&args.file, &problem))?;
    files::replace(&args.file, Before::Holds(file.bytes.clone()), text.text().as_bytes().to_vec())?;
    ui.result("unset", &[&args.file.display().to_string(), &args.key]);
    Ok(Exit::Ok)
}
