//! `ageseal unset`: one value less in a sealed file, without a private key.

use std::path::PathBuf;

use ageseal::rewrite;

use crate::error::{CliError, Exit, Outcome};
use crate::files::{self, Batch, Before};
use crate::patches::Listing;
use crate::sealed::{DocOption, SealedFile};
use crate::shadow::{Change, Shadows};
use crate::ui::{Row, Ui};

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
    let mut shadows = Shadows::default();
    let change = Change::unset(&document, &args.key);
    let rolls = if document.is_patch() {
        let listing = Listing::find(&args.file)?;
        let files = listing.iter().flat_map(|listing| listing.files(None));
        let rolls = files.map(|file| shadows.refresh_patch(&file, &change, false, None));
        rolls.filter_map(Result::transpose).collect::<Result<_, _>>()?
    } else {
        shadows.refresh(&args.file, &change)?
    };
    let mut batch = Batch::new();
    batch.add(&args.file, Before::Holds(file.bytes.clone()), text.text().as_bytes().to_vec());
    shadows.add_to(&mut batch);
    batch.commit()?;
    let row = Row::new("unset", &[&args.file.display().to_string(), &args.key]);
    ui.results(&[rolls.iter().fold(row, |row, rolls| rolls.told(row))]);
    Ok(Exit::Ok)
}
