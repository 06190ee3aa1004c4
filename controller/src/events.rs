//! Kubernetes events, few of them: what people read in `kubectl describe`.
//!
//! # Flow
//!
//! 1. [`Events::publish`] puts a note on a short queue and returns; when the queue is full the note is dropped and counted.
//! 2. [`Poster::run`] takes notes off. The first of its kind is posted. The same object, reason and text again within ten
//!    minutes is only counted, and the count is written into the event that is there, once, when the ten minutes are over.
//! 3. Posting is capped: a burst, then one a second. What is above the cap is dropped and counted.
//!
//! # Assumptions
//!
//! Nothing depends on an event: conditions and logs say the same. The text is the caller's and never quotes a value.

mod book;
mod poster;

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
pub use kube::runtime::events::EventType;
use tokio::sync::mpsc;

use crate::metrics::Metrics;
pub use poster::Poster;

/// How many notes wait for the poster.
const QUEUE: usize = 256;

/// What an event says, before it is one.
#[derive(Debug)]
struct Note {
    regarding: ObjectReference,
    reason: String,
    text: String,
    kind: EventType,
}

/// Where events are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events {
    queue: Option<mpsc::Sender<Note>>,
    metrics: Arc<Metrics>,
}

impl Events {
    /// Makes both ends: what is handed around, and what [`Poster::run`] posts with.
    ///
    /// `instance` is the name of this replica.
    pub fn new(client: kube::Client, instance: &str, metrics: Arc<Metrics>) -> (Self, Poster) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let poster = Poster::new(client, instance, receiver, Arc::clone(&metrics));
        (Self { queue: Some(sender), metrics }, poster)
    }

    /// Events that go nowhere, for tests.
    pub fn none() -> Self {
        Self { queue: None, metrics: Arc::new(Metrics::new()) }
    }

    /// Hands an event in, and never waits.
    ///
    /// `reason` is one word in `PascalCase`; `note` is a sentence of at most a kilobyte, and what is longer is cut.
    pub fn publish(
        &self,
        regarding: &ObjectReference,
        reason: impl Into<String>,
        note: impl Into<String>,
        kind: EventType,
    ) {
        let Some(queue) = &self.queue else { return };
        let note = Note { regarding: regarding.clone(), reason: reason.into(), text: note.into(), kind };
        if queue.try_send(note).is_err() {
            self.metrics.event("dropped");
        }
    }
}
