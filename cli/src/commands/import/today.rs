//! What kustomize makes of each repository before anything is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::check::is_kustomization;
use ageseal::generator::{self, Behavior};
use ageseal::kustomize::{Files, Options, Refusal, Resolution, resolve};
use ageseal::problem::Location;
use ageseal::yaml::Stream;

use crate::files::Tree;

/// A generator that adds to the Secret of another one, or takes its place.
pub(super) struct Addition {
    /// Its kustomization, from the top of the repository.
    pub(super) file: String,
    pub(super) at: Location,
    pub(super) name: String,
}

/// One repository before anything is written.
pub(super) struct Today {
    pub(super) resolution: Resolution,
    pub(super) additions: Vec<Addition>,
}

impl Today {
    fn of(top: &Path) -> Self {
        let tree = Tree::new(top, BTreeMap::new());
        let paths = tree.paths().into_iter().filter(|path| is_kustomization(path));
        let additions = paths.flat_map(|path| additions(&tree, &path)).collect();
        Self { resolution: resolve(&tree, &Options::default()), additions }
    }

    /// The kustomizations that cannot be worked out.
    pub(super) fn refused(&self) -> impl Iterator<Item = &Refusal> {
        self.resolution.roots.values().filter_map(|root| root.as_ref().err())
    }
}

fn additions(tree: &Tree, path: &str) -> Vec<Addition> {
    let stream = tree.read(path).and_then(|bytes| Stream::from_bytes(bytes.to_vec()).ok());
    let Some(stream) = stream else { return Vec::new() };
    let found = generator::read(&stream).unwrap_or_default();
    let added = found.iter().filter(|one| one.behavior != Behavior::Create);
    added.map(|one| Addition { file: path.to_owned(), at: one.at, name: one.name.to_owned() }).collect()
}

/// The repositories of one run, each looked at once.
#[derive(Default)]
pub(super) struct Tops(BTreeMap<PathBuf, Today>);

impl Tops {
    pub(super) fn today(&mut self, top: &Path) -> &Today {
        self.0.entry(top.to_owned()).or_insert_with(|| Today::of(top))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Today)> {
        self.0.iter()
    }
}
