//! What is said of a document beside its status: events, log lines, the words of metrics. And the status itself, written.

use ageseal::api::{ReadyReason, SealedSecretStatus};
use ageseal::format::{API_VERSION, KIND};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::EventType;

use super::desk::Desk;
use crate::doc::Key;
use crate::fault::MAX_FAULTY_KEYS;
use crate::index::Told;
use crate::reconcile::{Outcome, Telling, Tools};
use crate::request::{RefusalKind, RequestError};
use crate::status::Patch;

impl Desk {
    /// Events: a document stops being Ready, or is again, or its Secret was mended. A first success is no news.
    pub(super) fn say(&self, key: &Key, telling: &Telling) {
        if !telling.changed {
            return;
        }
        let (reason, note, kind) = match (&telling.fault, telling.was_ready) {
            (Some(fault), _) => (fault.reason.to_string(), fault.message.clone(), EventType::Warning),
            (None, Some(false)) => ("Opened".to_owned(), "the Secret is there again".to_owned(), EventType::Normal),
            (None, Some(true)) if telling.mended => {
                let note = "the Secret was changed or deleted, and is as the document says again";
                ("Mended".to_owned(), note.to_owned(), EventType::Normal)
            }
            _ => return,
        };
        self.post(key, &telling.asks.uid, reason, note, kind);
    }

    pub(super) fn say_left_behind(&self, key: &Key, uid: &str, keys: &[String]) {
        let note = format!(
            "the document is gone, and its data keys stay in the Secret, which is immutable: {}",
            keys.iter().take(MAX_FAULTY_KEYS).map(String::as_str).collect::<Vec<_>>().join(", ")
        );
        self.post(key, uid, "LeftBehind".to_owned(), note, EventType::Warning);
    }

    fn post(&self, key: &Key, uid: &str, reason: String, note: String, kind: EventType) {
        tracing::info!(document = %key, reason = %reason, "{note}");
        let regarding = ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(KIND.to_owned()),
            namespace: Some(key.namespace().to_owned()),
            name: Some(key.name().to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        self.context.events.publish(&regarding, reason, note, kind);
    }
}

/// What a metric calls it that came of a look at a document.
pub(super) fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Gone | Outcome::LeftBehind(_) => "gone",
        Outcome::Unchanged => "unchanged",
        Outcome::Told(telling) if telling.retry.is_some() => "failed",
        Outcome::Told(telling) if telling.fault.is_some() => "at_fault",
        Outcome::Told(_) => "ready",
        Outcome::Again(_) => "waiting",
        Outcome::Failed(_) => "failed",
    }
}

/// Writes a status. A document that is gone needs none.
pub(super) async fn save(
    tools: &Tools,
    key: &Key,
    uid: &str,
    version: &str,
    status: &SealedSecretStatus,
) -> Result<Option<String>, RequestError> {
    let patch = Patch::new(status, uid, version);
    match tools.requests.patch_status(key.namespace(), key.name(), &patch).await {
        Ok(version) => {
            tools.metrics.wrote("status");
            Ok(version.resource_version)
        }
        Err(RequestError::Refused(refusal)) if refusal.kind == RefusalKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn state(told: &Told) -> (&'static str, &'static str) {
    let ready = match told.ready {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let reason = ReadyReason::ALL.into_iter().find(|reason| reason.as_str() == told.reason);
    (ready, reason.map_or("", ReadyReason::as_str))
}

pub(super) fn category(error: &RequestError) -> &'static str {
    match error {
        RequestError::NoAnswer => "no_answer",
        RequestError::Unreadable => "unreadable",
        RequestError::NotLeading => "not_leading",
        RequestError::Refused(refusal) => match refusal.kind {
            RefusalKind::Conflict | RefusalKind::FieldConflict => "conflict",
            RefusalKind::NotFound | RefusalKind::Terminating => "not_found",
            RefusalKind::Later if refusal.code == 429 => "too_many_requests",
            RefusalKind::Later => "unavailable",
            RefusalKind::Forbidden => "forbidden",
            RefusalKind::Quota | RefusalKind::Immutable | RefusalKind::TooLarge | RefusalKind::Rejected => "rejected",
        },
    }
}
