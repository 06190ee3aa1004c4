//! `ageseal show`: what sealed documents say of themselves, without a key.

mod describe;
mod detail;
mod model;
mod places;
mod tree;

use std::path::{Path, PathBuf};

use ageseal::recipient::KeyRing;
use rayon::prelude::*;

use crate::clock;
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{self, Want};
use crate::keys::identities;
use crate::progress::Progress;
use crate::repository::find_top;
use crate::ui::{Line, Ui};
use describe::About;
use model::Document;
use places::Places;

/// Show sealed files: keys, scopes, readers, and what is stale
///
/// No key is needed: everything shown is what the documents claim of themselves. A line that begins with ! says what does
/// not fit the policy; ageseal check tells the next step. With -i FILE, also whether each document opens, and when a
/// certificate or a bootstrap token ends. No value and no length of one is ever shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal show
  ageseal show overlays/prod/db.sealed.yaml
  ageseal show --long overlays/prod
  ageseal show -i recovery.age overlays/prod
  ageseal show --json | jq -r '.[] | select(.findings != []) | .path'")]
pub struct Args {
    /// Sealed files and folders of them; `-` is stdin [default: the repository of the current folder]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Show every value and envelope, as for a single file
    #[arg(long, conflicts_with = "json")]
    long: bool,
    /// Print a JSON list, a document an entry: docs/show-json.md names the fields
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    identities: identities::Options,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let keys = if args.identities.given() { Some(args.identities.load(ui)?) } else { None };
    if let Some(keys) = &keys {
        keys.require()?;
    }
    let paths = if args.paths.is_empty() { vec![whole_repository()] } else { args.paths.clone() };
    let sources = sources(&paths, args.paths.is_empty())?;
    let (documents, errors) = describe_all(ui, &sources, keys.as_ref().map(|keys| &keys.ring));

    if args.json {
        ui.json(&documents);
    } else if args.long || one_file(&args.paths) {
        detail::print(ui, &documents);
    } else {
        tree::print(ui, &documents);
    }
    if documents.is_empty() && errors.is_empty() && !sources.iter().any(|source| source.named) {
        ui.note(&CliError::input("there is no sealed document here").hint("ageseal seal makes them"));
    } else if !args.json {
        sum_up(ui, &documents, &args.paths);
    }
    Errors::none_or(errors)?;
    Ok(Exit::Ok)
}

/// A file to look at.
struct Source {
    /// Where it is.
    path: PathBuf,
    /// Its path as one would type it here.
    shown: String,
    /// Whether the user named it, and not a folder above it.
    named: bool,
}

/// The top of the repository that the current folder is in, as a path to type; the folder itself if it is in none.
fn whole_repository() -> PathBuf {
    let up = find_top(Path::new(".")).ok().and_then(|top| here(top.path())).map_or(0, |here| here.components().count());
    if up == 0 { PathBuf::from(".") } else { std::iter::repeat_n("..", up).collect() }
}

/// The current folder, from the top of its repository.
fn here(top: &Path) -> Option<PathBuf> {
    let here = std::env::current_dir().and_then(std::fs::canonicalize).ok()?;
    here.strip_prefix(top).ok().map(Path::to_owned)
}

fn sources(paths: &[PathBuf], whole: bool) -> Result<Vec<Source>, Errors> {
    let walk = files::walk(paths)?;
    let top = whole.then(|| find_top(Path::new(".")).ok()).flatten();
    let here = top.as_ref().and_then(|top| here(top.path())).unwrap_or_default();
    let source = |path: PathBuf| {
        let named = paths.iter().any(|named| named.components().eq(path.components()));
        let path = shorter(&path, &here);
        Source { shown: crate::error::shown(&path), path, named }
    };
    Ok(walk.files.into_iter().map(source).collect())
}

/// Takes the way up to the top and down again out of a path: `../../a/b/c.yaml` in the folder `a/b` is `c.yaml`.
fn shorter(path: &Path, here: &Path) -> PathBuf {
    let up = here.components().count();
    let mut parts = path.components();
    if up == 0 || !parts.by_ref().take(up).all(|part| part.as_os_str() == "..") {
        return path.to_owned();
    }
    let below = parts.as_path();
    let common = below.components().zip(here.components()).take_while(|(one, other)| one == other).count();
    let rest = below.components().skip(common).map(|part| part.as_os_str());
    std::iter::repeat_n("..".as_ref(), up - common).chain(rest).collect()
}

fn describe_all(ui: &Ui, sources: &[Source], ring: Option<&KeyRing>) -> (Vec<Document>, Vec<CliError>) {
    let now = clock::now();
    let places = Places::find(ui, sources.iter().map(|source| source.path.as_path()));
    let resolutions = places.resolutions();
    let contexts = places.contexts(&resolutions, now);
    let progress = Progress::new(ui, "reading", sources.len());
    let one = |(index, source): (usize, &Source)| {
        let found = read(source).map(|bytes| {
            let place = places.of(index, &contexts);
            let about = About { shown: &source.shown, named: source.named, place, ring, now };
            bytes.map(|bytes| describe::documents(&about, bytes)).unwrap_or_default()
        });
        progress.step();
        found
    };
    // An identity may want a passphrase or a touch, and asks for them one at a time.
    let found: Vec<Result<Vec<Document>, CliError>> = match ring {
        Some(_) => sources.iter().enumerate().map(one).collect(),
        None => sources.par_iter().enumerate().map(one).collect(),
    };
    drop(progress);
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    for (source, found) in sources.iter().zip(found) {
        match found {
            Ok(found) if found.is_empty() && source.named => {
                ui.note(&CliError::input("there is no sealed document in this file").path(&source.path));
            }
            Ok(found) => documents.extend(found),
            Err(error) => errors.push(error),
        }
    }
    (documents, errors)
}

/// The bytes of a file; none of one below a folder that is too large for any sealed document.
fn read(source: &Source) -> Result<Option<Vec<u8>>, CliError> {
    if source.named {
        return files::read(&source.path, Want::DOCUMENT).map(Some);
    }
    let size = std::fs::metadata(&source.path).map_or(0, |meta| meta.len());
    if usize::try_from(size).is_ok_and(|size| size <= Want::DOCUMENT.max) {
        files::read(&source.path, Want { empty: true, ..Want::DOCUMENT }).map(Some)
    } else {
        Ok(None)
    }
}

fn one_file(paths: &[PathBuf]) -> bool {
    matches!(paths, [path] if files::is_stdin(path) || path.is_file())
}

/// Says how much there is, and what to do about what does not fit.
fn sum_up(ui: &Ui, documents: &[Document], paths: &[PathBuf]) {
    if documents.is_empty() {
        return;
    }
    let mut files: Vec<&str> = documents.iter().map(|document| document.shown.as_str()).collect();
    files.dedup();
    let values: usize = documents.iter().map(|document| document.keys.len()).sum();
    let text = format!("{}, {}", count(files.len(), "sealed file"), count(values, "value"));
    let stale = documents.iter().filter(|document| document.told().next().is_some()).count();
    let line = Line::new().text(&text);
    if stale == 0 {
        ui.say(&line);
        return;
    }
    let mut command = "ageseal check".to_owned();
    for path in paths {
        command.push(' ');
        command.push_str(&path.to_string_lossy());
    }
    ui.say(&line.text(&format!("; {} marked !: ", count(stale, "document"))).bold(&command));
}

/// `1 value`, `2 values`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_from_the_current_folder() {
        let shorter = |path: &str, here: &str| shorter(Path::new(path), Path::new(here)).display().to_string();
        assert_eq!(shorter("a/b.yaml", ""), "a/b.yaml");
        assert_eq!(shorter("../../a/b/c.yaml", "a/b"), "c.yaml");
        assert_eq!(shorter("../../a/c.yaml", "a/b"), "../c.yaml");
        assert_eq!(shorter("../../c.yaml", "a/b"), "../../c.yaml");
        assert_eq!(shorter("../../d/b/c.yaml", "a/b"), "../../d/b/c.yaml");
        assert_eq!(shorter("-", "a"), "-");
    }
}
