//! The identities that the controller opens with, and what it publishes of them.
//!
//! # Flow
//!
//! 1. Every replica watches the identity Secrets of the controller's namespace, the ConfigMap with the recipients and the
//!    ConfigMaps with backups, and keeps the private keys in memory.
//! 2. At every change a pure function decides how things stand and what is to be done.
//! 3. Every replica hands the identities on as a [`Ring`], at once. Only the leader does anything.

mod content;
mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;

use ageseal::recipient::{KeyRing, RecipientId};
use tokio::sync::watch;

pub use plan::{Confirmed as Current, Health as IdentityHealth, Mark};

/// The identities at hand.
#[derive(Debug)]
pub struct Ring {
    /// The identities: the current one, then the others newest first, then those to be removed.
    pub keys: Arc<KeyRing>,
    /// Their ids.
    pub ids: BTreeSet<RecipientId>,
    /// Grows with every change.
    pub revision: u64,
}

/// What tells of a change of the identities; `None` until they were read.
pub type RingReceiver = watch::Receiver<Option<Arc<Ring>>>;
/// What tells how the identities stand.
pub type HealthReceiver = watch::Receiver<IdentityHealth>;
