//! ageseal's controller: sealed documents become Secrets in the cluster, and stay true.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod admin;
pub mod args;
pub mod events;
pub mod identities;
pub mod lease;
pub mod logging;
pub mod metrics;
pub mod runtime;
