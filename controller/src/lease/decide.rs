//! What a replica does about the Lease, as a function of what it saw.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::jiff::Timestamp;

/// What a Lease says of its holder. Equal claims mean: nothing was heard of the holder in between.
///
/// Labels, annotations and the resourceVersion are not in it, so that whoever touches those does not keep a dead leader
/// alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Who holds it; empty is nobody.
    pub holder: String,
    /// How long the holder asks the others to wait when nothing is heard of it.
    pub duration: Duration,
    /// When it was acquired, by the holder's clock.
    pub acquired: Option<Timestamp>,
    /// When it was last renewed, by the holder's clock.
    pub renewed: Option<Timestamp>,
    /// How often the holder changed.
    pub transitions: i32,
}

impl Claim {
    /// Reads the spec of a Lease; `otherwise` is the duration of one that states none.
    pub fn of(spec: Option<&LeaseSpec>, otherwise: Duration) -> Self {
        let Some(spec) = spec else { return Self { duration: otherwise, ..Self::default() } };
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            holder: spec.holder_identity.clone().unwrap_or_default(),
            duration: seconds.map_or(otherwise, Duration::from_secs),
            acquired: spec.acquire_time.as_ref().map(|time| time.0),
            renewed: spec.renew_time.as_ref().map(|time| time.0),
            transitions: spec.lease_transitions.unwrap_or(0),
        }
    }

    /// The claim that `me` makes at `now` (by the wall clock, for people) in the place of this one.
    ///
    /// It differs from this one even if the clock stands still or went back to the very same microsecond.
    pub fn taken_by(&self, me: &str, duration: Duration, now: Timestamp) -> Self {
        let mine = self.holder == me;
        let now = if self.renewed == Some(now) { now + Duration::from_micros(1) } else { now };
        Self {
            holder: me.to_owned(),
            duration,
            acquired: self.acquired.filter(|_| mine).or(Some(now)),
            renewed: Some(now),
            transitions: if mine || self == &Self::default() {
                self.transitions
            } else {
                self.transitions.saturating_add(1)
            },
        }
    }
}

/// A Lease as this replica saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What it says.
    pub claim: Claim,
    /// Its resourceVersion; `None` if somebody deleted it since.
    pub version: Option<String>,
    /// When its claim was first seen, by the clock of this replica.
    pub since: Duration,
}

impl Observed {
    /// What is known after another look at `now`: the same claim keeps the time at which it was first seen.
    pub fn again(before: Option<Self>, claim: Claim, version: Option<String>, now: Duration) -> Self {
        let since = before.filter(|before| before.claim == claim).map_or(now, |before| before.since);
        Self { claim, version, since }
    }
}

/// What to do about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nobody holds it, or nothing was heard of its holder for as long as it asked for: take it.
    Take,
    /// This replica holds it: renew it.
    Renew,
    /// Another replica holds it: look again after this time, and not before.
    Wait(Duration),
}

/// Decides by what was observed, and by how long ago it was.
///
/// `now` and the time of the observation are of one clock, that of this replica. The times in the record are not looked at:
/// they are of the holder's clock, which may be an hour off. A Lease that was deleted under its holder stays its holder's for
/// the duration that it asked for, as if nothing had been heard of it.
pub fn decide(observed: Option<&Observed>, now: Duration, me: &str) -> Decision {
    let Some(observed) = observed else { return Decision::Take };
    if observed.claim.holder.is_empty() {
        return Decision::Take;
    }
    if observed.claim.holder == me {
        return Decision::Renew;
    }
    let left = observed.claim.duration.saturating_sub(now.saturating_sub(observed.since));
    if left.is_zero() { Decision::Take } else { Decision::Wait(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(15);
    const START: Duration = Duration::from_secs(1000);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn held(holder: &str, renewed: i64) -> Claim {
        Claim {
            holder: holder.into(),
            duration: LONG,
            acquired: Some(at(0)),
            renewed: Some(at(renewed)),
            transitions: 3,
        }
    }

    fn seen(claim: Claim) -> Observed {
        Observed::again(None, claim, Some("7".into()), START)
    }

    #[test]
    fn a_lease_of_nobody_is_taken_at_once() {
        assert_eq!(decide(None, START, "a"), Decision::Take);
        assert_eq!(decide(Some(&seen(held("", 5))), START, "a"), Decision::Take);
        assert_eq!(decide(Some(&seen(Claim::of(None, LONG))), START, "a"), Decision::Take);
    }

    #[test]
    fn ones_own_lease_is_renewed_however_old_it_is() {
        assert_eq!(decide(Some(&seen(held("a", 5))), START + LONG * 100, "a"), Decision::Renew);
    }

    #[test]
    fn the_lease_of_another_is_waited_for_from_when_it_was_seen() {
        let observed = seen(held("b", 5));
        assert_eq!(decide(Some(&observed), START, "a"), Decision::Wait(LONG));
        assert_eq!(decide(Some(&observed), START + LONG / 3, "a"), Decision::Wait(LONG / 3 * 2));
        assert_eq!(decide(Some(&observed), START + LONG, "a"), Decision::Take);
    }

    #[test]
    fn the_clock_of_the_holder_does_not_matter() {
        // An hour behind, an hour ahead, no time at all: the wait is the same.
        for renewed in [Some(at(0)), Some(at(4_000_000_000)), None] {
            let observed = seen(Claim { renewed, ..held("b", 0) });
            assert_eq!(decide(Some(&observed), START + Duration::from_secs(14), "a"), Decision::Wait(LONG / 15));
            assert_eq!(decide(Some(&observed), START + LONG, "a"), Decision::Take);
        }
    }

    #[test]
    fn a_renewal_begins_the_wait_anew_and_a_touch_does_not() {
        let later = START + Duration::from_secs(14);
        let renewed = Observed::again(Some(seen(held("b", 5))), held("b", 4), Some("8".into()), later);
        assert_eq!(decide(Some(&renewed), START + LONG, "a"), Decision::Wait(LONG - Duration::from_secs(1)));
        let touched = Observed::again(Some(seen(held("b", 5))), held("b", 5), Some("9".into()), later);
        assert_eq!(touched.version.as_deref(), Some("9"));
        assert_eq!(decide(Some(&touched), START + LONG, "a"), Decision::Take);
    }

    #[test]
    fn a_deleted_lease_is_still_its_holders_for_a_while() {
        let gone = Observed { version: None, ..seen(held("b", 5)) };
        assert_eq!(decide(Some(&gone), START, "a"), Decision::Wait(LONG));
        assert_eq!(decide(Some(&gone), START + LONG, "a"), Decision::Take);
        assert_eq!(decide(Some(&gone), START, "b"), Decision::Renew);
    }

    #[test]
    fn what_the_holder_asks_for_is_waited_for() {
        let spec =
            LeaseSpec { lease_duration_seconds: Some(40), holder_identity: Some("b".into()), ..LeaseSpec::default() };
        assert_eq!(Claim::of(Some(&spec), LONG).duration, Duration::from_secs(40));
        for strange in [None, Some(-1)] {
            let spec = LeaseSpec { lease_duration_seconds: strange, ..spec.clone() };
            assert_eq!(Claim::of(Some(&spec), LONG).duration, LONG);
        }
    }

    #[test]
    fn taking_counts_a_transition_and_renewing_does_not() {
        let taken = held("b", 5).taken_by("a", LONG, at(100));
        assert_eq!((taken.transitions, taken.acquired, taken.renewed), (4, Some(at(100)), Some(at(100))));
        let renewed = taken.taken_by("a", LONG, at(102));
        assert_eq!((renewed.transitions, renewed.acquired, renewed.renewed), (4, Some(at(100)), Some(at(102))));
        assert_eq!(
            Claim::default().taken_by("a", LONG, at(1)).transitions,
            0,
            "the first holder is no change of holder"
        );
        assert_eq!(held("", 5).taken_by("a", LONG, at(1)).transitions, 4);
    }

    #[test]
    fn a_renewal_is_seen_even_if_the_clock_stands_still() {
        let renewed = held("a", 5).taken_by("a", LONG, at(5));
        assert_ne!(renewed, held("a", 5));
    }
}
