//! kustomize's generators of Secrets, with their values, read exactly as kustomize reads them.
//!
//! The resolver in [`kustomize`](crate::kustomize) reads the same entries and keeps no value; this is for moving the values
//! into sealed files. What kustomize refuses is refused, and so is what it takes otherwise than it looks: the end of a file
//! of variables that it drops in silence, keys that no API server takes.

mod entry;
mod values;

pub use entry::{Behavior, Generator, Source, read};
pub use values::{FileSource, Variable, file_source, literal, variables};
