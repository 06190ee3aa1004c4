//! `ageseal open`: sealed files become Secrets, on stdout.

use std::path::PathBuf;

use ageseal::rewrite::{Shape, secret_value};
use ageseal::yaml::render;
use zeroize::Zeroizing;

use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files;
use crate::keys::identities;
use crate::opening::Opener;
use crate::sealed::SealedFile;
use crate::ui::Ui;

/// Print the Secrets of sealed files
///
/// An identity is needed. Everything opens, or nothing is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal open overlays/prod/db.sealed.yaml
  ageseal open --string-data overlays/test/db.sealed.yaml
  kustomize build overlays/prod | ageseal open - -i recovery.age")]
pub struct Args {
    /// Sealed files and folders of them; `-` is stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    identities: identities::Options,
    /// Print text values as stringData, for people
    #[arg(long)]
    string_data: bool,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let walk = files::walk(&args.paths)?;
    let keys = args.identities.load(ui)?;
    keys.require()?;
    let opener = Opener::new(ui, &keys);
    let shape = if args.string_data { Shape::StringData } else { Shape::Data };
    let mut errors = Vec::new();
    let mut texts: Vec<Zeroizing<String>> = Vec::new();
    for path in &walk.files {
        let named = args.paths.iter().any(|named| named.components().eq(path.components()));
        match secrets(path, named, &opener, shape) {
            Ok(found) => texts.extend(found),
            Err(several) => errors.extend(several),
        }
    }
    Errors::none_or(errors)?;
    if texts.is_empty() {
        return Err(CliError::input("there is no sealed document here").hint("ageseal seal makes them").into());
    }
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            ui.raw(b"---\n");
        }
        ui.raw(text.as_bytes());
    }
    Ok(Exit::Ok)
}

fn secrets(
    path: &std::path::Path,
    named: bool,
    opener: &Opener<'_>,
    shape: Shape,
) -> Result<Vec<Zeroizing<String>>, Errors> {
    let file = if named { Some(SealedFile::read(path)?) } else { SealedFile::walked(path)? };
    let Some(file) = file else { return Ok(Vec::new()) };
    let documents = file.documents()?;
    if documents.is_empty() && named {
        return Err(CliError::input("there is no sealed document in this file").path(path).into());
    }
    let mut errors = Vec::new();
    let mut texts = Vec::new();
    for document in &documents {
        match opener.open(path, document) {
            Ok(opened) => texts.push(Zeroizing::new(render(&secret_value(document, &opened.values, shape), "\n"))),
            Err(error) => errors.push(error),
        }
    }
    Errors::none_or(errors)?;
    Ok(texts)
}
