//! A real Kubernetes control plane for tests, figures and the tour: etcd, kube-apiserver, kube-controller-manager.
//!
//! - [`ControlPlane`]: the three programs on free loopback ports, with encryption at rest, an audit log, RBAC and
//!   priority and fairness. [`ControlPlane::shared`] is one for a whole test binary; [`ControlPlane::start`] is one of
//!   its own, for whoever hurts it.
//! - [`Namespace`]: the place of one test. [`AuditEvent`]: what somebody asked of the API server.
//! - [`Controller`]: the real `ageseal-controller`, a process with its own ServiceAccount and the Roles that are shipped.
//! - [`sealed`]: documents, sealed by the core. [`eventually`]: waits for what becomes true.
//! - [`programs`]: the programs of this workspace, built once. [`figures`]: what the controller takes, measured.
//!
//! There is no kubelet: Pods stay Pending. Whatever is started here ends with the process that started it, however that
//! process ends, and its folder is removed.
#![allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test support: files, clocks and processes are its work, and a panic is how a test fails"
)]

mod audit;
mod controller;
mod eventually;
pub mod figures;
mod files;
mod guard;
mod objects;
mod plane;
mod ports;
mod process;
pub mod programs;
mod roles;
pub mod sealed;

pub use audit::AuditEvent;
pub use controller::{Controller, ControllerOptions, recipient_of};
pub use eventually::{Seen, eventually};
pub use objects::Namespace;
pub use plane::{ControlPlane, Options};
