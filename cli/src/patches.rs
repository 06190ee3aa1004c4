//! Overlay patches in their repository: the kustomizations that list them, and the line that lists one more.

pub mod targets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::check::{is_kustomization, patches_of};
use ageseal::kustomize::{Files, NAMES, list_patch};
use ageseal::yaml::Stream;

use crate::error::CliError;
use crate::files::Tree;
use crate::repository::{RepositoryError, from_here, place_in};

/// What to do where kustomize cannot say the scope of a patch.
pub const BY_HAND: &str =
    "say the scope yourself: --scope 'NAMESPACE/NAME' for each Secret that this overlay makes of it";

/// A patch in its repository, and the kustomizations around it. Paths go from the top, their parts divided by `/`.
pub struct Listing {
    /// The top of the repository.
    pub top: PathBuf,
    /// The patch.
    pub patch: String,
    /// The kustomizations that list it.
    pub listed_in: Vec<String>,
    /// The kustomization of its folder, or of the nearest one above.
    nearest: Option<String>,
}

/// The kustomization that is to list a patch, before and after.
pub struct Wired {
    /// Its path from the top.
    pub path: String,
    /// The way to the patch from its folder.
    pub entry: String,
    /// Where it is.
    pub file: PathBuf,
    /// What it holds.
    pub before: Vec<u8>,
    /// What it shall hold.
    pub after: Stream,
}

impl Listing {
    /// Looks for the kustomizations of a patch, which need not exist yet; none where there is no repository.
    ///
    /// # Errors
    /// Its folder cannot be read, or its path is not text.
    pub fn find(file: &Path) -> Result<Option<Self>, CliError> {
        let (top, patch) = match place_in(file) {
            Ok((top, patch)) => (top.path().to_owned(), patch),
            Err(RepositoryError::NoRepository { .. }) => return Ok(None),
            Err(error) => return Err(CliError::input(error.to_string()).path(file)),
        };
        let tree = Tree::new(&top, BTreeMap::new());
        let mut listed_in = tree.paths();
        listed_in.retain(|path| is_kustomization(path) && lists(&tree, path, &patch));
        let nearest = nearest(&tree, &patch);
        Ok(Some(Self { top, patch, listed_in, nearest }))
    }

    /// Whether some kustomization lists the patch.
    pub fn is_listed(&self) -> bool {
        !self.listed_in.is_empty()
    }

    /// The kustomization that is to list the patch; none if one does already.
    ///
    /// # Errors
    /// There is none at its folder or above, or one that cannot be edited.
    pub fn wired(&self) -> Result<Option<Wired>, CliError> {
        if self.is_listed() {
            return Ok(None);
        }
        let Some(path) = &self.nearest else {
            return Err(CliError::usage("there is no kustomization in the folder of this patch, or above it")
                .path(&self.shown(&self.patch))
                .hint("put the patch beside the kustomization of the overlay that it is for")
                .hint(BY_HAND));
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let entry = self.patch.strip_prefix(folder).unwrap_or(&self.patch).trim_start_matches('/').to_owned();
        let file = self.shown(path);
        let by_hand = format!("nothing was written; add `- path: {entry}` to its patches by hand");
        let refused = |fact: String| CliError::input(fact).path(&file).hint(by_hand.clone());
        let before = Tree::new(&self.top, BTreeMap::new()).read(path).unwrap_or_default().to_vec();
        let stream =
            Stream::from_bytes(before.clone()).map_err(|error| CliError::problem(&file, &error.to_problem()))?;
        let after = list_patch(&stream, folder, &self.patch).map_err(|error| refused(error.to_string()))?;
        let after = after.ok_or_else(|| refused("a kustomization is one document, and this is not".to_owned()))?;
        Ok(Some(Wired { path: path.clone(), entry, file, before, after }))
    }

    /// The kustomizations that list the patch, with the one that is about to.
    pub fn files(&self, wired: Option<&Wired>) -> Vec<PathBuf> {
        let listed = self.listed_in.iter().map(|path| self.shown(path));
        listed.chain(wired.map(|wired| wired.file.clone())).collect()
    }

    /// A path from the top, as people see it.
    pub fn shown(&self, path: &str) -> PathBuf {
        from_here(&self.top.join(path))
    }
}

fn lists(tree: &Tree, kustomization: &str, patch: &str) -> bool {
    let bytes = tree.read(kustomization).unwrap_or_default().to_vec();
    patches_of(kustomization, bytes).iter().any(|listed| listed == patch)
}

fn nearest(tree: &Tree, patch: &str) -> Option<String> {
    let mut folder = patch;
    while !folder.is_empty() {
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
        let slash = if folder.is_empty() { "" } else { "/" };
        let mut names = NAMES.iter().map(|name| format!("{folder}{slash}{name}"));
        if let Some(found) = names.find(|path| tree.is_file(path)) {
            return Some(found);
        }
    }
    None
}
