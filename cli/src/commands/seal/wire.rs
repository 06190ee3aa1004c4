//! `--wire`: the kustomizations list the sealed files in the place of the plaintext ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::check::is_kustomization;
use ageseal::kustomize::{Files, is_listed, list, relist};
use ageseal::yaml::{EditError, Stream};

use super::job::Done;
use super::target::Target;
use crate::error::{CliError, Errors};
use crate::files::{self, Before, Tree, Want};
use crate::repository::{from_here, place_in};

/// A kustomization that is to be written.
pub(super) struct Wired {
    pub(super) path: PathBuf,
    pub(super) before: Before,
    pub(super) bytes: Vec<u8>,
    /// The sealed files that it lists now.
    pub(super) files: Vec<String>,
}

/// A kustomization at work.
struct Edited {
    before: Vec<u8>,
    text: Stream,
    files: Vec<String>,
}

/// The kustomizations of one repository, from its top.
type Kustomizations = BTreeMap<String, Edited>;

/// Works out which kustomizations change for these sources. Nothing is written.
///
/// # Errors
/// A kustomization that cannot be read or edited; a sealed file that none can list.
pub(super) fn wire(done: &[Done]) -> Result<Vec<Wired>, Errors> {
    let mut tops: BTreeMap<PathBuf, Kustomizations> = BTreeMap::new();
    let mut errors = Vec::new();
    for one in done {
        let Target::File(target) = &one.target else { continue };
        let ((top, old), (_, new)) = (place_in(&one.source)?, place_in(target)?);
        let all = match tops.get_mut(top.path()) {
            Some(all) => all,
            None => {
                let read = read(top.path())?;
                tops.entry(top.path().to_owned()).or_insert(read)
            }
        };
        match wire_one(all, &old, &new) {
            Ok(true) => {}
            Ok(false) => errors.push(
                CliError::input("no kustomization lists the source, and there is none beside the sealed file")
                    .path(target)
                    .hint("list it by hand in the resources of the kustomization that is to deploy it"),
            ),
            Err((path, error)) => {
                let error = CliError::input(error.to_string()).path(&from_here(&top.path().join(path)));
                errors.push(error.hint("nothing was written; put the sealed file into its resources by hand"));
            }
        }
    }
    Errors::none_or(errors)?;
    let mut wired = Vec::new();
    for (top, all) in tops {
        let changed = all.into_iter().filter(|(_, edited)| !edited.files.is_empty());
        wired.extend(changed.map(|(path, edited)| Wired {
            path: from_here(&top.join(path)),
            before: Before::Holds(edited.before),
            bytes: edited.text.text().as_bytes().to_vec(),
            files: edited.files,
        }));
    }
    Ok(wired)
}

fn read(top: &Path) -> Result<Kustomizations, CliError> {
    let mut all = Kustomizations::new();
    for path in Tree::new(top, BTreeMap::new()).paths().into_iter().filter(|path| is_kustomization(path)) {
        let before = files::read(&top.join(&path), Want { empty: true, ..Want::DOCUMENT })?;
        // What is no YAML builds nothing and lists nothing.
        if let Ok(text) = Stream::from_bytes(before.clone()) {
            all.insert(path, Edited { before, text, files: Vec::new() });
        }
    }
    Ok(all)
}

/// Whether some kustomization lists the new file now.
fn wire_one(all: &mut Kustomizations, old: &str, new: &str) -> Result<bool, (String, EditError)> {
    let folder_of = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut listed = false;
    for (path, edited) in all.iter_mut() {
        if let Some(text) = relist(&edited.text, &folder_of(path), old, new).map_err(|error| (path.clone(), error))? {
            edited.text = text;
            edited.files.push(new.to_owned());
            listed = true;
        }
    }
    if listed || all.iter().any(|(path, edited)| is_listed(&edited.text, &folder_of(path), new)) {
        return Ok(true);
    }
    let folder = folder_of(new);
    let Some((path, edited)) = all.iter_mut().find(|(path, _)| folder_of(path) == folder) else { return Ok(false) };
    let Some(text) = list(&edited.text, &folder, new).map_err(|error| (path.clone(), error))? else { return Ok(false) };
    edited.text = text;
    edited.files.push(new.to_owned());
    Ok(true)
}
