//! Bad input: a clear error with its place, nothing lost, nothing half-written, no value shown.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../support/repo.rs"]
mod repo;
#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod files;
mod install;
mod policy;
mod sealed;
mod sources;
