//! `ageseal unset`: one value less in a sealed file, without a private key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::kustomize::{Options, resolve};
use ageseal::manifest::SealedManifest;
use ageseal::rewrite::{self, Target};

use crate::error::{CliError, Exit, Outcome};
use crate::files::{self, Batch, Before, Tree};
use crate::patches::Listing;
use crate::repository::{from_here, place_in};
use crate::sealed::{DocOption, SealedFile};
use crate::shadow::{Change, Shadows, rolls_at_all};
use crate::ui::{Row, Ui};

/// What goes with the last value of a patch.
const LAST_OF_PATCH: &str = "with it go its line in patches of the kustomization, and the entry of secretGenerator there that merges \
                             into the shadow: left alone, its numbers keep the pods of this overlay from rolling";

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
    let patch = document.is_patch();
    let text = rewrite::unset_item(&file.stream, &document, &args.key).map_err(|problem| {
        let told = CliError::problem(&args.file, &problem);
        match problem.code {
            "last-key" if patch => told.hint(LAST_OF_PATCH),
            _ => told,
        }
    })?;
    let mut shadows = Shadows::default();
    let change = Change::unset(&document, &args.key);
    let (targets, base) = deployed(&args.file, &document);
    let rolls = if patch {
        let listing = Listing::find(&args.file)?;
        let files = listing.iter().flat_map(|listing| listing.files(None));
        let hashed = targets.iter().any(|target| target.hashed);
        let rolls = files.map(|file| shadows.refresh_patch(&file, &change, hashed, base.as_deref()));
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
    if let Some(warning) = rolls_at_all(&targets, !rolls.is_empty()) {
        ui.warn(&warning.path(&args.file));
    }
    Ok(Exit::Ok)
}

/// What is known to be built of a document, and the file of the one that a patch changes.
fn deployed(path: &Path, document: &SealedManifest<'_>) -> (Vec<Target>, Option<PathBuf>) {
    let Ok((top, file)) = place_in(path) else { return (Vec::new(), None) };
    let resolution = resolve(&Tree::new(top.path(), BTreeMap::new()), &Options::default().passing_over_missing());
    let namespace = document.namespace.as_deref();
    if document.is_patch() {
        let (targets, objects) = Target::of_patch(&resolution, &file, namespace, &document.name);
        (targets, objects.first().map(|object| from_here(&top.path().join(&object.source.file))))
    } else {
        (Target::of_document(&resolution, &file, namespace, &document.name), None)
    }
}
