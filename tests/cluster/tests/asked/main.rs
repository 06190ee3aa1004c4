//! What the controller asks of an API server: nothing when nothing is to be done, nothing that its Roles do not say, and
//! everything that they say. The audit log is the witness.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../support/site.rs"]
mod site;

mod restart;
mod rights;

use std::time::Duration;

/// How long anything may take that should be quick: a loaded machine is slow, and a failure is worth the wait.
const SOON: Duration = Duration::from_secs(60);
