//! The commands that name a cluster, against a real API server and, where it has a part in it, the real controller.
//!
//! What a controller would take long to come to, or never would by itself (a ConfigMap that somebody else wrote, a
//! document that is not looked at), is put there through the API, and the test says so.
#![allow(clippy::unwrap_used, clippy::panic)]

mod doctor;
mod keys;
mod place;
mod sync;
