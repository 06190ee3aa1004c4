//! Kubernetes Secrets, encrypted so that they can live in git.
//!
//! This crate is the pure core of ageseal: values in, values out. It knows the sealed format, the YAML it is written
//! in, what a Kubernetes Secret means, and the policy of a repository. It touches no file, network, clock, environment
//! or terminal; the command line and the controller do that around it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods))]

pub mod check;
pub mod envelope;
pub mod format;
pub mod manifest;
pub mod open;
pub mod policy;
pub mod problem;
pub mod recipient;
pub mod rewrite;
pub mod scope;
pub mod seal;
pub mod secret;
pub mod yaml;
