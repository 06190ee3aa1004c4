//! The identities that the controller opens with, and what it publishes of them.
//!
//! # Flow
//!
//! 1. Every replica watches the identity Secrets of the controller's namespace, the ConfigMap with the recipients and the
//!    ConfigMaps with backups, and keeps the private keys in memory.
//! 2. At every change a pure function decides how things stand and what is to be done.
//! 3. Every replica hands the identities on as a [`Ring`], at once. Only the leader does anything.

mod apply;
mod content;
mod keeper;
mod plan;
mod tell;
mod watch;

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;

use ageseal::recipient::{KeyRing, RecipientId};
use kube::Client;
use thiserror::Error;
use tokio::sync;
use tokio_util::sync::CancellationToken;

use crate::args::Settings;
use crate::events::Events;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use keeper::{Finished, Job, Keeper};
pub use plan::{Health as IdentityHealth, Mark};
use watch::{News, Watches};

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
pub type RingReceiver = sync::watch::Receiver<Option<Arc<Ring>>>;
/// What tells how the identities stand.
pub type HealthReceiver = sync::watch::Receiver<IdentityHealth>;

/// What the identities stand on.
pub struct Context {
    /// A client of the API server.
    pub client: Client,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Whether this replica may write.
    pub leadership: Leadership,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Where events are handed in.
    pub events: Events,
    /// Where the identities are handed on.
    pub ring: sync::watch::Sender<Option<Arc<Ring>>>,
    /// Where it is said how they stand.
    pub health: sync::watch::Sender<IdentityHealth>,
    /// Whether all documents were read.
    pub synced: sync::watch::Receiver<bool>,
    /// Whether the status of one of them names an identity.
    pub used: sync::watch::Receiver<bool>,
}

/// Why the identities are no longer kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A watch ended for good, which none does.
    #[error("the watch of the identities ended")]
    WatchEnded,
}

/// Keeps the identities until `stop`.
///
/// Guarantees: a ring is handed on within milliseconds of what a watch brings, whatever is being written meanwhile; after
/// `stop` nothing new is begun, and what was begun is finished.
pub async fn run(context: Context, stop: CancellationToken) -> Result<(), Error> {
    let with_backups = !context.settings.backup_recipients.is_empty();
    let mut watches = Watches::new(&context.client, &context.settings.namespace, with_backups);
    let mut leads = context.leadership.receiver();
    let (mut synced, mut used) = (context.synced.clone(), context.used.clone());
    let mut keeper = Keeper::new(context);
    let mut job: Option<Job> = None;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            finished = end_of(&mut job) => {
                job = None;
                keeper.finished(finished);
            }
            news = watches.next() => match news {
                None => return Err(Error::WatchEnded),
                Some(News::Broken(broken)) => {
                    keeper.broken(broken);
                    continue;
                }
                Some(news) => {
                    if !watches.take(news) {
                        continue;
                    }
                    keeper.has_news();
                }
            },
            Ok(()) = leads.changed() => keeper.leads(*leads.borrow_and_update()),
            Ok(()) = synced.changed() => {}
            Ok(()) = used.changed() => {}
            () = tokio::time::sleep_until(keeper.wake()) => {}
        }
        keeper.look(&watches);
        if job.is_none() {
            job = keeper.job(&watches);
        }
    }
    if let Some(job) = job {
        job.await;
    }
    Ok(())
}

async fn end_of(job: &mut Option<Job>) -> Finished {
    match job {
        Some(job) => job.await,
        None => pending().await,
    }
}
