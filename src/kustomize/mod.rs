//! What kustomize makes of a tree of files: the final namespace and name of every object, or a refusal.
//!
//! [`build`] does what `kustomize build` does to one folder, as far as names, namespaces and references to Secrets go;
//! [`resolve`] does it for every root of a repository: what Flux and Argo CD deploy, as they deploy it, and every other
//! kustomization that none includes. Both are pure: a tree of [`Files`] in, answers out, no kustomize needed.
//!
//! # Flow
//! A session reads each file once. `accumulate` goes through one kustomization in kustomize's own
//! order: resources, generators, components, then patches, namespace, prefix, suffix, labels, JSON patches,
//! replacements and transformers in files of their own. `finish` does what happens once, at the root: hashes, references
//! that follow names, and what is dropped.
//!
//! # Guarantees
//! What is not modelled is refused by name, with file and line: never a guess. The values of Secrets, of literals and of
//! the files of generators are put away while a file is read, and no [`Refusal`] holds any. Nesting, sizes and
//! expressions are bounded.

mod accumulate;
mod config;
mod fields;
mod fieldspec;
mod files;
mod finish;
mod follow;
mod generate;
mod ident;
mod json_patch;
mod kustomization;
mod labels;
mod makers;
mod merge;
mod model;
mod nameref;
mod names;
mod outer;
mod patch;
mod patched;
mod path;
mod plugin;
mod read;
mod references;
mod refusal;
mod replace;
mod resolve;
mod resource;
mod root;
mod schema;
mod select;
mod session;
#[cfg(test)]
mod tests;
mod value;
mod wire;

pub(crate) use files::join;
pub use files::{Files, Memory, NOT_WALKED};
pub(crate) use finish::LOCAL;
pub use follow::{CONFIGURATION, configuration, is_configuration};
pub(crate) use follow::{field, follow};
pub use model::{
    Build, LoadRestriction, Made, Object, Options, Place, Reach, Reference, Referrer, Resolution, Source, Step,
};
pub use patched::{patched_by, patches_on};
pub use references::{KINDS, KindSites, POD, Site};
pub use refusal::{Reason, Refusal};
pub use root::{Layer, Root};
pub use wire::{is_listed, list, list_patch, relist};

/// The names that kustomize takes for its file.
pub const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Builds the kustomization in a folder.
///
/// # Errors
/// Whatever [`Refusal`] names.
pub fn build(files: &dyn Files, folder: &str, options: &Options) -> Result<Build, Refusal> {
    resolve::build(files, folder, options)
}

/// The files that the kustomization in a folder may read for its objects, itself and through all that it includes, as far as
/// their lists tell: whether it can be built or not.
pub fn reach(files: &dyn Files, folder: &str, options: &Options) -> Reach {
    resolve::reach_of(files, folder, options)
}

/// Builds everything that is deployed: what Flux, Argo CD and the policy name, and every other kustomization that none
/// includes.
pub fn resolve(files: &dyn Files, options: &Options) -> Resolution {
    resolve::resolve(files, options)
}
