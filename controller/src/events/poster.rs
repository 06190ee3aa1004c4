//! The task that posts events.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use rand_core::{OsRng, RngCore};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::book::{Book, Key, Verdict};
use super::{EventType, Note};
use crate::metrics::Metrics;

/// The name of the program in events.
const REPORTER: &str = "ageseal.dev/controller";
/// How often it is looked whether a window is over.
const ROUND: Duration = Duration::from_secs(30);
/// How long one post may take: an event is not worth waiting for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The API server's bound on the note of an event, in bytes.
const MAX_NOTE: usize = 1024;
/// The API server's bound on the name of an object, in bytes.
const MAX_NAME: usize = 253;
/// The API server's bound on the reporting instance, in bytes.
const MAX_INSTANCE: usize = 128;

/// Posts what was handed in.
pub struct Poster {
    client: Client,
    instance: String,
    notes: mpsc::Receiver<Note>,
    metrics: Arc<Metrics>,
}

/// Where a posted event is.
#[derive(Clone, Debug)]
struct Place {
    namespace: String,
    name: String,
}

impl Poster {
    pub(super) fn new(client: Client, instance: &str, notes: mpsc::Receiver<Note>, metrics: Arc<Metrics>) -> Self {
        Self { client, instance: cut(instance, MAX_INSTANCE).to_owned(), notes, metrics }
    }

    /// Posts until `stop`. What waits then is posted no more: nothing depends on it.
    pub async fn run(mut self, stop: CancellationToken) {
        let start = Instant::now();
        let mut book = Book::new(start.elapsed());
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = rounds.tick() => {
                    for posted in book.due(start.elapsed()) {
                        self.repeat(&posted.event, posted.count).await;
                    }
                }
                note = self.notes.recv() => match note {
                    Some(note) => self.take(&mut book, note, start.elapsed()).await,
                    // Every handle is gone; the runtime ends the process when a task of it ends, so this one waits.
                    None => stop.cancelled().await,
                }
            }
        }
    }

    async fn take(&self, book: &mut Book<Place>, note: Note, now: Duration) {
        let key = Key {
            uid: note.regarding.uid.clone().unwrap_or_default(),
            reason: note.reason.clone(),
            text: note.text.clone(),
        };
        match book.judge(&key, now) {
            Verdict::Counted => self.metrics.event("repeated"),
            Verdict::TooMany => self.metrics.event("dropped"),
            Verdict::Post => {
                if let Some(place) = self.post(note).await {
                    book.enter(key, place, now);
                }
            }
        }
    }

    async fn post(&self, note: Note) -> Option<Place> {
        let event = event(note, &self.instance, Timestamp::now(), OsRng.next_u64());
        let place = Place {
            namespace: event.metadata.namespace.clone().unwrap_or_default(),
            name: event.metadata.name.clone().unwrap_or_default(),
        };
        let api = Api::<Event>::namespaced(self.client.clone(), &place.namespace);
        let taken = timeout(PATIENCE, api.create(&PostParams::default(), &event)).await;
        self.noted(taken.map(|answer| answer.map(drop))).then_some(place)
    }

    async fn repeat(&self, place: &Place, count: i32) {
        let series = EventSeries { count, last_observed_time: MicroTime(Timestamp::now()) };
        let patch = serde_json::json!({ "series": series });
        let api = Api::<Event>::namespaced(self.client.clone(), &place.namespace);
        let taken = timeout(PATIENCE, api.patch(&place.name, &PatchParams::default(), &Patch::Merge(patch))).await;
        self.noted(taken.map(|answer| answer.map(drop)));
    }

    /// Counts what became of a post. The API server's text is not logged.
    fn noted(&self, taken: Result<Result<(), kube::Error>, tokio::time::error::Elapsed>) -> bool {
        let code = match taken {
            Ok(Ok(())) => {
                self.metrics.event("posted");
                return true;
            }
            Ok(Err(kube::Error::Api(status))) => status.code,
            Ok(Err(_)) | Err(_) => 0,
        };
        self.metrics.event("refused");
        tracing::debug!(code, "the API server did not take an event");
        false
    }
}

fn event(note: Note, instance: &str, now: Timestamp, random: u64) -> Event {
    let about = note.regarding.name.clone().unwrap_or_else(|| "ageseal".to_owned());
    let suffix = format!(".{random:016x}");
    let namespace = namespace_of(&note.regarding);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}{suffix}", cut(&about, MAX_NAME - suffix.len()).trim_end_matches(['.', '-']))),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(REPORTER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        action: Some("Reconcile".to_owned()),
        reason: Some(note.reason),
        note: Some(cut(&note.text, MAX_NOTE).to_owned()),
        regarding: Some(note.regarding),
        type_: Some(match note.kind {
            EventType::Normal => "Normal".to_owned(),
            EventType::Warning => "Warning".to_owned(),
        }),
        ..Event::default()
    }
}

/// Events about objects without a namespace belong into `default`: so says the API server's validation.
fn namespace_of(regarding: &ObjectReference) -> String {
    regarding.namespace.clone().unwrap_or_else(|| "default".to_owned())
}

/// The beginning of a text, at most `bytes` of it, ending between two characters.
fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_fits_the_bounds_of_the_api_server() {
        let regarding = ObjectReference {
            name: Some(format!("{}-.{}", "n".repeat(236), "m".repeat(15))),
            namespace: Some("team".into()),
            ..ObjectReference::default()
        };
        let note = Note { regarding, reason: "Opened".into(), text: "ä".repeat(600), kind: EventType::Warning };
        let event = event(note, "pod", Timestamp::UNIX_EPOCH, 7);
        assert_eq!(event.metadata.name.unwrap(), format!("{}.0000000000000007", "n".repeat(236)));
        assert_eq!(event.note.unwrap(), "ä".repeat(512));
        assert_eq!(event.metadata.namespace.unwrap(), "team");
        assert_eq!(event.type_.unwrap(), "Warning");
    }

    #[test]
    fn a_cut_never_parts_a_character() {
        assert_eq!(cut("äb", 1), "");
        assert_eq!(cut("äb", 2), "ä");
        assert_eq!(cut("äb", 3), "äb");
    }
}
