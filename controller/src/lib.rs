//! ageseal's controller: sealed documents become Secrets in the cluster, and stay true.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod admin;
pub mod apply;
pub mod args;
pub mod body;
pub mod doc;
pub mod documents;
pub mod events;
pub mod facts;
pub mod fault;
pub mod identities;
pub mod index;
pub mod jitter;
pub mod lease;
pub mod logging;
pub mod metrics;
pub mod opening;
pub mod plan;
pub mod queue;
pub mod reconcile;
pub mod request;
pub mod runtime;
pub mod status;
pub mod template;
pub mod watch;
