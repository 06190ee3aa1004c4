//! Shadow generators: plain kustomize gives a SealedSecret the name of a generated Secret, with its hash.
//!
//! A shadow is an entry of `secretGenerator` with the name of a sealed document. kustomize generates a Secret of it, gives
//! its name to everything that refers to it, the sealed document among them, and drops the Secret itself at the end, for
//! its annotation `config.kubernetes.io/local-config` says so. It needs no plugin.
//!
//! ```text
//! secretGenerator:
//! - name: db
//!   options: {annotations: {config.kubernetes.io/local-config: 'true'}}
//!   literals:
//!   - |-
//!     password=5f0c…        a random number for each data key
//! ```
//!
//! The hash is one of the random numbers: one that is new makes a new name, and the pods roll. [`refresh`] gives a new
//! number to every key whose value changed and leaves the others, so that two branches that change two keys merge.
//!
//! Guarantees: a number is never made from a value, so nothing can be learned from it. Comments, order and all other lines
//! of the kustomization stay.

mod edit;
mod entry;
#[cfg(test)]
mod tests;

pub(crate) use edit::REVISION;
pub use edit::{Changes, Sealed, add, list_configuration, refresh, refresh_all, refresh_merged, turn};
pub use entry::{Document, Found, configurations, find, namespace_of, switches_hashes_off};
