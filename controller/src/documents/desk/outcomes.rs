//! What jobs hand back: taken into the index, and the next look at each document appointed.

use std::time::{Duration, Instant};

use super::super::tell::{category, label};
use super::{Desk, Done, What};
use crate::doc::Key;
use crate::index::{Sight, Told, is_later};
use crate::jitter::jittered;
use crate::queue::Lane;
use crate::reconcile::{Outcome, Telling};
use crate::request::RequestError;

/// The first wait after the API server was in the way.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The longest wait after the API server was in the way.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// The first wait before a fault that may pass is looked at again.
const FIRST_LOOK: Duration = Duration::from_secs(60);
/// The longest wait before a fault that may pass is looked at again.
pub(super) const LAST_LOOK: Duration = Duration::from_secs(15 * 60);

impl Desk {
    /// Takes in what a job hands back.
    pub fn done(&mut self, done: Done) {
        self.running -= 1;
        self.saving -= usize::from(matches!(done.what, What::Saved(..)));
        self.pace.ended(done.what.error(), Instant::now());
        let Done { key, uid, ring, known, began, what } = done;
        self.queue.done(&key);
        if let What::Reconciled(Outcome::LeftBehind(keys)) = &what {
            // The watch may have shown by now that the document is gone.
            self.say_left_behind(&key, &uid, keys);
        }
        let Some(record) = self.records.get_mut(&key).filter(|record| record.asks.uid == uid) else {
            // Another document has the name by now, or none.
            self.consider(&key, Lane::Fresh);
            return;
        };
        if matches!(what, What::Reconciled(_)) {
            record.tried_known = known;
        }
        match what {
            What::Saved(status, Ok(version)) => {
                if let Some(version) = version.filter(|version| is_later(version, &record.resource_version)) {
                    record.resource_version = version;
                }
                if record.unsaved.as_ref() == Some(&status) {
                    record.unsaved = None;
                }
                // What is waited for besides keeps its time.
                if record.told.ready == Some(true) && !record.waiting {
                    record.tries = 0;
                    self.recheck(&key);
                }
            }
            What::Saved(_, Err(error)) => self.failed(&key, &error),
            What::Reconciled(outcome) => self.reconciled(&key, outcome, ring, began),
        }
        self.consider(&key, Lane::Fresh);
    }

    fn reconciled(&mut self, key: &Key, outcome: Outcome, ring: u64, began: Instant) {
        self.context.metrics.reconciled(label(&outcome), began.elapsed().as_secs_f64());
        match outcome {
            // Should the watch be behind, it brings the document once more, and costs one look.
            Outcome::Gone | Outcome::LeftBehind(_) => self.forget(key),
            Outcome::Unchanged => self.unchanged(key, ring),
            Outcome::Told(telling) => self.told(key, *telling, ring),
            Outcome::Again(wait) => self.again(key, wait),
            Outcome::Failed(error) => self.failed(key, &error),
        }
    }

    fn unchanged(&mut self, key: &Key, ring: u64) {
        let Some(record) = self.records.get_mut(key) else { return };
        if record.told.ready == Some(false) {
            record.tried = Some(ring);
            self.look_again_at_fault(key);
            return;
        }
        record.tries = 0;
        // What the watch showed was behind the write; it shows the same in the end.
        if let Some(sight) = record.told.secret.as_ref().map(Sight::of_record) {
            self.brought(key, sight);
        }
        self.recheck(key);
    }

    fn told(&mut self, key: &Key, telling: Telling, ring: u64) {
        let Some(record) = self.records.get_mut(key) else { return };
        if is_later(&telling.resource_version, &record.resource_version) {
            // It was fetched, and the watch has yet to bring what it was then.
            record.resource_version.clone_from(&telling.resource_version);
            record.asks = telling.asks.clone();
        }
        record.told = Told::of(&telling.status);
        if telling.changed {
            record.unsaved = Some(Box::new(telling.status.clone()));
        }
        record.tried = telling.fault.is_some().then_some(ring);
        record.tried_sight.clone_from(&telling.sight);
        record.mended = if telling.mended { record.mended + 1 } else { record.mended };
        if let (Some(sight), None) = (&telling.sight, &telling.fault) {
            self.brought(key, sight.clone());
        }
        self.say(key, &telling);
        if let Some(error) = &telling.retry {
            self.failed(key, error);
        } else if let Some(fault) = &telling.fault {
            if let (Some(record), true) = (self.records.get_mut(key), telling.changed) {
                record.tries = 0;
            }
            if fault.may_pass() {
                self.look_again_at_fault(key);
            }
        } else {
            if let Some(record) = self.records.get_mut(key) {
                record.tries = 0;
            }
            self.recheck(key);
        }
    }

    fn again(&mut self, key: &Key, wait: Duration) {
        if let Some(record) = self.records.get_mut(key) {
            record.waiting = true;
            self.queue.appoint(key, Instant::now() + wait);
        }
    }

    fn failed(&mut self, key: &Key, error: &RequestError) {
        if *error == RequestError::NotLeading {
            return;
        }
        let Some(record) = self.records.get_mut(key) else { return };
        record.tries = record.tries.saturating_add(1);
        let tries = record.tries;
        let category = category(error);
        self.context.metrics.error(category);
        tracing::debug!(document = %key, category, tries, "{error}");
        let asked = match error {
            // All of them rest for that together.
            RequestError::Refused(refusal) if refusal.code == 429 => None,
            RequestError::Refused(refusal) => refusal.retry_after,
            _ => None,
        };
        let wait = retry_after(tries, FIRST_RETRY, LAST_RETRY).max(asked.unwrap_or_default().min(LAST_RETRY));
        record.waiting = true;
        self.queue.postpone(key, Instant::now() + wait);
    }

    fn look_again_at_fault(&mut self, key: &Key) {
        let Some(record) = self.records.get_mut(key) else { return };
        record.tries = record.tries.saturating_add(1);
        let wait = retry_after(record.tries, FIRST_LOOK, LAST_LOOK);
        self.queue.appoint(key, Instant::now() + wait);
    }

    /// Without the drift watch, the clock asks for the next look.
    fn recheck(&mut self, key: &Key) {
        if !self.is_watched(key) {
            let wait = jittered(self.context.settings.recheck_every);
            self.queue.appoint(key, Instant::now() + wait);
        }
    }
}

/// The wait after so many tries: it doubles from `first` to `last`, and is jittered by a quarter.
pub(super) fn retry_after(tries: u32, first: Duration, last: Duration) -> Duration {
    let doubled = first.saturating_mul(1 << tries.saturating_sub(1).min(16));
    jittered(doubled.min(last))
}
