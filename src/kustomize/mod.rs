//! What kustomize makes of a tree of files: the final namespace and name of every object, or a refusal.

mod files;
mod model;
mod refusal;

pub use files::{Files, Memory};
pub use model::{Build, LoadRestriction, Object, Options, Place, Reference, Referrer, Resolution, Source, Step};
pub use refusal::{Reason, Refusal};

use refusal::At;

/// The names that kustomize takes for its file.
pub const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Builds the kustomization in a folder.
///
/// # Errors
/// Whatever [`Refusal`] names.
pub fn build(files: &dyn Files, folder: &str, options: &Options) -> Result<Build, Refusal> {
    let _ = (files, options);
    Err(At::new(folder, 1).unmodelled("nothing-yet", "nothing is modelled yet"))
}

/// Finds every kustomization that no other one includes, and builds each.
pub fn resolve(files: &dyn Files, options: &Options) -> Resolution {
    let _ = (files, options);
    Resolution::default()
}
