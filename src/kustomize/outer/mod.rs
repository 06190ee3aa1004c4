//! What decides in the end where a folder goes: the objects of Flux and Argo CD that deploy it.
//!
//! kustomize builds a folder; what is applied to a cluster is decided one layer further out. A Flux `Kustomization` or an
//! Argo CD `Application` names the folder, and may set its namespace, its prefix, its suffix, and add patches and
//! components. Both do so by editing the kustomization of the folder before they build it, and that is how it is modelled:
//! [`Edits`] of the folder's own kustomization.
//!
//! # Flow
//! `find` reads these objects in the files of the repository. `flux`, `argo` and `sets` make a [`Deployment`] of each:
//! a folder with edits, or a refusal with the folders that it may mean. `settle` builds them, takes the objects that come
//! out as they are built, and goes on until nothing changes any more.
//!
//! # Guarantees
//! An object that may deploy a folder of this repository, and is not understood, refuses that folder by name. Branches are not
//! looked at: the files are taken as they are, whatever revision an object names.

mod argo;
mod by_hand;
mod change;
mod directory;
mod edits;
mod find;
mod flux;
mod generated;
mod instance;
mod place;
mod repository;
mod sets;
mod settle;
mod template;

pub(super) use find::{counts_as, is_outer};
pub(super) use settle::settle;

use std::collections::BTreeSet;

use super::accumulate::Edits;
use super::fields::Entry;
use super::model::LoadRestriction;
use super::refusal::{At, Refusal};
use super::root::Root;
use super::session::Session;
use directory::Selection;
use instance::Instance;
use place::Where;

/// What is known while outer layers are read.
struct World<'w, 'f> {
    session: &'w Session<'f>,
    /// Every file of the repository, sorted.
    paths: &'w [String],
    /// The folders with a kustomization.
    kustomizations: &'w BTreeSet<String>,
    /// The URLs of this repository, in one form.
    remotes: &'w [String],
    /// The URLs that the policy says are of other repositories, in one form.
    others: &'w [String],
    /// The files `.sourceignore`.
    ignoring: &'w [String],
    /// The sources of Flux.
    sources: Vec<&'w Instance>,
}

impl World<'_, '_> {
    /// The files below a folder, each with its path from there.
    fn inside<'p>(&'p self, folder: &'p str) -> impl Iterator<Item = (&'p str, &'p str)> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let start = self.paths.partition_point(|path| path.as_str() < prefix.as_str());
        let length = prefix.len();
        let below = self.paths[start..].iter().take_while(move |path| path.starts_with(&prefix));
        below.map(move |path| (path.as_str(), &path[length..]))
    }
}

/// A folder that an outer layer deploys.
struct Deployment {
    root: Root,
    /// What it may mean, if it is refused.
    reach: Where,
    plan: Result<Plan, Refusal>,
}

/// How a folder is built for an outer layer.
struct Plan {
    /// The folder, without symbolic links.
    folder: String,
    /// Where the layer names the folder.
    named: At,
    /// The step that says so.
    what: String,
    edits: Edits,
    /// Which files a kustomization may name, if the layer says so.
    restriction: Option<LoadRestriction>,
    /// The namespace of what has none after the build.
    default_namespace: Option<Setting>,
    content: Content,
}

/// A setting with its place and the name of its field.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) at: At,
    pub(super) entry: Entry,
    pub(super) field: &'static str,
}

/// What of a folder is taken.
enum Content {
    /// What its kustomization says.
    Kustomization,
    /// What its kustomization says; without one, what Flux writes into one.
    Flux,
    /// Files, as they are.
    Directory(Selection),
}
