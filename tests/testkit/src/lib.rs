//! The real programs that ageseal's tests talk to, and the little that every such test needs around them.
//!
//! - [`age`], [`age_keygen`], [`kustomize`], [`kustomize_5_6`], [`independent`]: paths of programs, built from the Go
//!   modules beside this crate when they are first asked for. [`etcd`], [`kube_apiserver`], [`kube_controller_manager`], [`kubectl`]: a
//!   control plane. [`kubeseal`], [`sealed_secrets_controller`], [`sops`], [`rsa_oaep`]: the peers of the figures.
//! - [`run`] and [`Command`]: one program, its standard input, what came of it.
//! - [`Scratch`]: a folder that is gone when the test ends.
//! - [`Random`]: numbers that can be had again.
//! - [`vectors`]: the test vectors of the sealed format.
//!
//! Nothing here skips a test in silence: what is missing is a panic whose text says what to install or to set.
#![allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test support: files, environment and processes are its work, and a panic is how a test fails"
)]

mod command;
mod programs;
mod random;
mod scratch;
mod vectors;

pub use command::{Command, Outcome, run};
pub use programs::{
    ASSETS_VARIABLE, TOOLS_VARIABLE, age, age_keygen, etcd, glua, independent, kube_apiserver, kube_controller_manager,
    kubectl, kubectl_with_kustomize, kubeseal, kustomize, kustomize_5_6, rsa_oaep, sealed_secrets_controller, sops,
    target_directory, workspace_root,
};
pub use random::Random;
pub use scratch::{Scratch, copy_tree};
pub use vectors::{Expect, Vector, vectors};
