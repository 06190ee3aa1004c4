//! `ageseal set`: one value of a sealed file or of an overlay patch, without a private key.

mod patch;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ageseal::manifest::SealedManifest;
use ageseal::manifest::kinds::MAX_SECRET_SIZE;
use ageseal::rewrite::{self, Asked, Target};
use ageseal::secret::Plaintext;
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::deployed::{Deployed, Named, because};
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{self, Batch, Before, Want};
use crate::prompt;
use crate::readers::{self, Readers};
use crate::scopes;
use crate::sealed::{DocOption, SealedFile};
use crate::shadow::{Change, Shadows, rolls_at_all};
use crate::ui::{Row, Ui};

const INSTEAD: &str = "pipe the value to stdin, or give --from-file FILE";

/// Set one value of a sealed file
///
/// The value is asked for without echo on a terminal, and read from stdin elsewhere. No private key is needed, and only
/// the lines of that key change. With --for, FILE is an overlay patch: its value holds in that overlay only, takes the
/// place of the document's, and opens nowhere else.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal set overlays/prod/db.sealed.yaml password
  openssl rand -hex 24 | ageseal set overlays/prod/db.sealed.yaml password --trim-newline
  ageseal set overlays/prod/tls.sealed.yaml tls.key --from-file tls.key
  ageseal set overlays/prod/db.patch.yaml password --for base/db.sealed.yaml --wire")]
pub struct Args {
    /// The sealed file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data key
    #[arg(value_name = "KEY")]
    key: String,
    /// Take the value from this file, byte for byte
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    from_file: Option<PathBuf>,
    /// Take the value from the command line, where the shell and every process can see it
    #[arg(long, value_name = "VALUE")]
    value: Option<String>,
    #[command(flatten)]
    newline: Newline,
    /// Set it in an overlay patch of this sealed document, and make the patch if there is none
    #[arg(long = "for", value_name = "BASE")]
    base: Option<PathBuf>,
    /// List the patch in the kustomization of its folder
    #[arg(long)]
    wire: bool,
    #[command(flatten)]
    doc: DocOption,
    #[command(flatten)]
    scope: scopes::Options,
    #[command(flatten)]
    readers: readers::Options,
}

/// What happens to a newline at the end of stdin, which programs add and values seldom want.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
#[group(skip)]
pub struct Newline {
    /// Drop the newline that stdin ends with
    #[arg(long, conflicts_with = "keep_newline")]
    trim_newline: bool,
    /// Keep the newline that stdin ends with as a part of the value
    #[arg(long)]
    keep_newline: bool,
}

impl Newline {
    /// Decides on the newline at the end of a value from stdin.
    ///
    /// Errors: there is one, and nothing was said about it.
    pub fn decide(self, mut bytes: Zeroizing<Vec<u8>>) -> Result<Plaintext, CliError> {
        let ends = bytes.ends_with(b"\n");
        let one = ends && !bytes.ends_with(b"\n\n");
        if one && !self.trim_newline && !self.keep_newline {
            return Err(CliError::usage("the value on stdin ends in a newline")
                .hint("--trim-newline drops it, --keep-newline makes it a part of the value"));
        }
        if ends && self.trim_newline {
            let cut = if bytes.ends_with(b"\r\n") { 2 } else { 1 };
            let len = bytes.len() - cut;
            bytes.truncate(len);
        }
        Ok(Plaintext::new(std::mem::take(&mut *bytes)))
    }
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    if files::is_stdin(&args.file) {
        return Err(CliError::usage("set changes a file, and stdin is none").hint("name the sealed file").into());
    }
    if let Some(base) = &args.base {
        return patch::over(ui, args, base);
    }
    let scope = args.scope.parse()?;
    if args.wire && args.file.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Err(CliError::usage("--wire lists an overlay patch, and this file does not exist")
            .path(&args.file)
            .hint("--for BASE makes the patch: BASE is the sealed file whose value it overrides")
            .into());
    }
    let file = SealedFile::read(&args.file)?;
    let document = file.document(&args.doc)?;
    if document.is_patch() {
        return patch::again(ui, args, &file, &document);
    }
    if args.wire {
        return Err(CliError::usage("--wire lists an overlay patch, and this is a document of its own")
            .at(&args.file, document.node.location(), None)
            .hint("for a value of one overlay, name the patch, and the document with --for")
            .into());
    }
    let readers = Readers::new(ui, &args.readers).for_path(Some(&args.file))?;
    let set = readers.set()?;
    let said = |problem: ageseal::problem::Problem| CliError::problem(&args.file, &problem);
    let asked = Asked { namespace: None, scope: scope.as_ref() };
    let targets = targets(&args.file, &file, &document, scope.is_some())?;
    let place = rewrite::place_of(&document, &args.key, asked, &targets).map_err(said)?;
    readers.check_scope(&place.scope).map_err(|error| error.at(&args.file, document.node.location(), None))?;

    let value = value(ui, args)?;
    let recipients: Vec<_> = set.recipients().collect();
    let order = rewrite::SetOrder { place: &place, recipients: &recipients, server_side: readers.server_side() };
    let text = rewrite::set_item(&file.stream, &document, &args.key, &value, order, &mut OsRng).map_err(said)?;
    let new = !document.sealed.items.contains_key(&args.key);
    let immutable = document.immutable == Some(true);
    let change = Change::set(&document, &args.key);
    drop(document);
    let mut shadows = Shadows::default();
    let rolls = shadows.refresh(&args.file, &change)?;
    let mut batch = Batch::new();
    batch.add(&args.file, Before::Holds(file.bytes.clone()), text.text().as_bytes().to_vec());
    shadows.add_to(&mut batch);
    batch.commit()?;

    if immutable {
        warn_immutable(ui, &args.file);
    }
    let shown = args.file.display().to_string();
    let row = Row::new(if new { "added" } else { "set" }, &[&shown, &args.key])
        .detail("opens as", place.scope.to_string(), because(&targets).filter(|_| place.deployed).as_deref())
        .detail("read by", set.names().join(", "), None);
    ui.results(&[rolls.iter().fold(row, |row, rolls| rolls.told(row))]);
    if let Some(warning) = rolls_at_all(&targets, !rolls.is_empty()) {
        ui.warn(&warning.path(&args.file));
    }
    Ok(Exit::Ok)
}

/// What kustomize makes of a document of a sealed file as it stands.
fn targets(path: &Path, file: &SealedFile, document: &SealedManifest<'_>, typed: bool) -> Result<Vec<Target>, Errors> {
    let mut deployed = Deployed::default();
    deployed.plan(path, Zeroizing::new(file.bytes.clone()));
    deployed.resolve();
    let named = Named { namespace: document.namespace.as_deref(), name: &document.name };
    deployed.targets(path, named, typed)
}

fn warn_immutable(ui: &Ui, path: &Path) {
    ui.warn(
        &CliError::finding("the Secret is immutable: a cluster that has it keeps the old value")
            .path(path)
            .hint("give it a new name, so that what uses it rolls over"),
    );
}

/// The value, of a size that a Secret can hold.
fn value(ui: &Ui, args: &Args) -> Result<Plaintext, CliError> {
    let value = any_value(ui, args)?;
    if value.len() > MAX_SECRET_SIZE {
        let size = format!("the value is {} bytes, and a Secret holds {MAX_SECRET_SIZE} in all", value.len());
        return Err(CliError::input(size).path(&args.file).hint("keep large files elsewhere"));
    }
    Ok(value)
}

fn any_value(ui: &Ui, args: &Args) -> Result<Plaintext, CliError> {
    if let Some(path) = &args.from_file {
        return files::read(path, Want::VALUE).map(Plaintext::new);
    }
    if let Some(value) = &args.value {
        ui.warn(
            &CliError::usage("a value on the command line stays in the shell's history and is seen by every process")
                .hint(INSTEAD),
        );
        return Ok(Plaintext::new(value.clone().into_bytes()));
    }
    if prompt::possible(ui) {
        return prompt::value(ui, &args.key, INSTEAD);
    }
    prompt::refuse_shown(INSTEAD)?;
    let bytes = Zeroizing::new(files::read(Path::new("-"), Want::VALUE)?);
    if bytes.is_empty() {
        return Err(CliError::usage("stdin is empty, so there is no value")
            .hint("pipe the value to stdin; for an empty value say --value ''"));
    }
    args.newline.decide(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_at_the_end_is_never_guessed() {
        let decide = |text: &str, trim_newline, keep_newline| {
            let newline = Newline { trim_newline, keep_newline };
            newline.decide(Zeroizing::new(text.as_bytes().to_vec())).ok().map(|value| value.expose().to_vec())
        };
        assert_eq!(decide("a", false, false).as_deref(), Some(&b"a"[..]));
        assert_eq!(decide("a\n", false, false), None);
        assert_eq!(decide("a\n", true, false).as_deref(), Some(&b"a"[..]));
        assert_eq!(decide("a\r\n", true, false).as_deref(), Some(&b"a"[..]));
        assert_eq!(decide("a\n", false, true).as_deref(), Some(&b"a\n"[..]));
        assert_eq!(decide("a\n\n", false, false).as_deref(), Some(&b"a\n\n"[..]));
    }
}
