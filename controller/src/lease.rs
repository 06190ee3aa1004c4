//! Leader election: replicas take turns by a Lease, and only the one that holds it writes.
//!
//! # Guarantees
//!
//! - [`Leadership::may_write`] is false from the renew deadline on, by a clock that goes on while the process is stopped or
//!   the machine sleeps; it needs no task to run first. The deadline counts from before the renewal was sent.
//! - No clock is compared with another machine's. A candidate measures with its own clock how long the record did not
//!   change; the times in the Lease are for people.
//! - Every write of the Lease names the resourceVersion that it was decided on, or creates it: two replicas that decide at
//!   once cannot both succeed.
//! - On shutdown the Lease is given back, and the others, who watch it, take it at once.
//!
//! # Assumptions
//!
//! A Lease cannot promise a single writer: a request that was sent before the deadline may arrive after it. So whatever is
//! applied twice has to be harmless, and deletions carry preconditions.

mod clock;
mod decide;
mod elect;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

pub use clock::since_boot;
pub use decide::{Claim, Decision, Observed, decide};
pub use elect::Election;

/// What tells of a change of leadership.
pub type LeadershipReceiver = watch::Receiver<bool>;

/// Whether this replica leads. Cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Leadership {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Until when writing is in order, in nanoseconds of [`since_boot`].
    until: AtomicU64,
    leads: watch::Sender<bool>,
}

impl Leadership {
    /// That of a replica that does not lead.
    pub(crate) fn none() -> Self {
        Self { shared: Arc::new(Shared { until: AtomicU64::new(0), leads: watch::Sender::new(false) }) }
    }

    /// That of a replica that always leads, for tests.
    pub fn always() -> Self {
        Self { shared: Arc::new(Shared { until: AtomicU64::new(u64::MAX), leads: watch::Sender::new(true) }) }
    }

    /// That of a replica that leads for so long.
    #[cfg(test)]
    pub(crate) fn until(left: Duration) -> Self {
        let leadership = Self::none();
        leadership.renew(left);
        leadership
    }

    /// Leads for so long from now.
    #[cfg(test)]
    pub(crate) fn renew(&self, left: Duration) {
        self.extend(since_boot() + left);
    }

    /// Whether this replica holds the Lease and renewed it in time. Ask right before every write.
    pub fn may_write(&self) -> bool {
        self.may_write_at(since_boot())
    }

    fn may_write_at(&self, now: Duration) -> bool {
        nanos(now) < self.shared.until.load(Ordering::Acquire)
    }

    /// Tells of changes; its value is whether this replica leads, which can be true for a moment after
    /// [`Leadership::may_write`] became false.
    pub fn receiver(&self) -> LeadershipReceiver {
        self.shared.leads.subscribe()
    }

    /// Leads until `until`. Only the election calls it.
    fn extend(&self, until: Duration) {
        self.shared.until.store(nanos(until), Ordering::Release);
        self.shared.leads.send_if_modified(|leads| !std::mem::replace(leads, true));
    }

    /// Leads no longer. True if it did.
    fn lose(&self) -> bool {
        self.shared.until.store(0, Ordering::Release);
        self.shared.leads.send_if_modified(|leads| std::mem::replace(leads, false))
    }

    fn leads(&self) -> bool {
        *self.shared.leads.borrow()
    }

    /// How long writing stays in order, if nothing is renewed.
    pub(crate) fn left(&self) -> Duration {
        self.remaining(since_boot())
    }

    /// How long writing stays in order from `now`.
    fn remaining(&self, now: Duration) -> Duration {
        Duration::from_nanos(self.shared.until.load(Ordering::Acquire)).saturating_sub(now)
    }
}

/// When the election last took a step. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(nanos(since_boot()))))
    }

    fn beat(&self) {
        self.0.store(nanos(since_boot()), Ordering::Relaxed);
    }

    /// How long ago the last step ended, or the election was prepared.
    pub fn silent(&self) -> Duration {
        since_boot().saturating_sub(Duration::from_nanos(self.0.load(Ordering::Relaxed)))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_ends_at_the_deadline_without_anybody_being_told() {
        let leadership = Leadership::none();
        let now = Duration::from_secs(100);
        assert!(!leadership.may_write_at(now));
        leadership.extend(now + Duration::from_secs(10));
        assert!(leadership.may_write_at(now + Duration::from_millis(9_999)));
        assert!(!leadership.may_write_at(now + Duration::from_secs(10)));
        // The flag is what tasks wait for; it follows when the election comes to it.
        assert!(*leadership.receiver().borrow());
    }

    #[test]
    fn a_loss_is_told_once() {
        let leadership = Leadership::none();
        let mut receiver = leadership.receiver();
        leadership.extend(since_boot() + Duration::from_secs(60));
        assert!(receiver.has_changed().unwrap() && *receiver.borrow_and_update());
        leadership.extend(since_boot() + Duration::from_secs(61));
        assert!(!receiver.has_changed().unwrap(), "a renewal is no change");
        assert!(leadership.may_write());
        assert!(leadership.lose());
        assert!(!leadership.may_write());
        assert!(!leadership.lose(), "it was lost already");
        assert!(receiver.has_changed().unwrap() && !*receiver.borrow_and_update());
    }

    #[test]
    fn tests_can_lead_for_ever() {
        assert!(Leadership::always().may_write());
        assert!(*Leadership::always().receiver().borrow());
    }
}
