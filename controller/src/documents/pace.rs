//! How much is asked of the API server at once: as much as its priority and fairness leaves, which is found out by asking.

use std::time::{Duration, Instant};

use crate::jitter::jittered;
use crate::request::RequestError;

/// The first rest; it doubles with every 429 in a row.
const REST: Duration = Duration::from_secs(1);
/// The longest rest. An API server that has dropped much says up to half a minute to everybody; one job at a time may ask
/// earlier whether that is over, for somebody waits for a Secret.
const LONGEST_REST: Duration = Duration::from_secs(8);
/// After how many good answers in a row one job more may run.
const ANSWERS_BEFORE_MORE: u32 = 16;

/// How many jobs may run, and when the next one may begin.
///
/// Guarantees: a 429 halves how many run and lets all of them rest; what is refused during a rest was asked before it, and
/// costs nothing more. One job at a time always goes on asking.
///
/// Source: the additive increase and multiplicative decrease of congestion control (RFC 5681).
#[derive(Debug)]
pub struct Pace {
    most: usize,
    width: usize,
    good: u32,
    refused: u32,
    rest: Option<Instant>,
}

impl Pace {
    /// A pace with all workers at work.
    pub fn new(workers: usize) -> Self {
        Self { most: workers, width: workers, good: 0, refused: 0, rest: None }
    }

    /// How many jobs may run now.
    pub fn width(&self, now: Instant) -> usize {
        if self.rests(now) { 0 } else { self.width }
    }

    /// When a rest ends, while there is one.
    pub fn rest(&self, now: Instant) -> Option<Instant> {
        self.rest.filter(|end| *end > now)
    }

    fn rests(&self, now: Instant) -> bool {
        self.rest(now).is_some()
    }

    /// Takes in how a job ended.
    pub fn ended(&mut self, error: Option<&RequestError>, now: Instant) {
        match error {
            Some(RequestError::Refused(refusal)) if refusal.code == 429 => {
                self.good = 0;
                if !self.rests(now) {
                    self.width = (self.width / 2).max(1);
                    let patience = REST.saturating_mul(1 << self.refused.min(8)).min(LONGEST_REST);
                    self.refused = self.refused.saturating_add(1);
                    let asked = refusal.retry_after.unwrap_or(patience);
                    self.rest = Some(now + jittered(asked.min(patience)));
                }
            }
            // Without an answer nothing is known.
            Some(RequestError::NoAnswer | RequestError::NotLeading) => {}
            _ => {
                (self.good, self.refused) = (self.good + 1, 0);
                if self.good >= ANSWERS_BEFORE_MORE {
                    self.good = 0;
                    self.width = (self.width + 1).min(self.most);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Refusal, RefusalKind};

    fn busy(seconds: Option<u64>) -> RequestError {
        let retry_after = seconds.map(Duration::from_secs);
        let refusal =
            Refusal { code: 429, reason: String::new(), fields: vec![], kind: RefusalKind::Later, retry_after };
        RequestError::Refused(refusal)
    }

    #[test]
    fn all_rest_and_begin_with_half() {
        let (mut pace, now) = (Pace::new(32), Instant::now());
        assert_eq!((pace.width(now), pace.rest(now)), (32, None));
        pace.ended(Some(&busy(Some(32))), now);
        assert_eq!(pace.width(now), 0);
        let end = pace.rest(now).unwrap();
        assert!(end >= now + REST * 3 / 4 && end <= now + REST * 5 / 4);
        assert_eq!((pace.width(end), pace.rest(end)), (16, None));
    }

    #[test]
    fn rests_grow_as_far_as_the_api_server_says_until_one_is_served() {
        let rests = |said: Option<u64>| {
            let (mut pace, mut now) = (Pace::new(32), Instant::now());
            let mut rests = Vec::new();
            for _ in 0..5 {
                pace.ended(Some(&busy(said)), now);
                let end = pace.rest(now).unwrap();
                rests.push((end - now).as_secs_f64());
                now = end;
            }
            pace.ended(None, now);
            pace.ended(Some(&busy(said)), now);
            rests.push((pace.rest(now).unwrap() - now).as_secs_f64());
            rests
        };
        let are = |rests: Vec<f64>, nominal: [f64; 6]| {
            rests.iter().zip(nominal).all(|(rest, is)| (is * 0.75..=is * 1.25).contains(rest))
        };
        assert!(are(rests(None), [1.0, 2.0, 4.0, 8.0, 8.0, 1.0]));
        assert!(are(rests(Some(32)), [1.0, 2.0, 4.0, 8.0, 8.0, 1.0]));
        assert!(are(rests(Some(3)), [1.0, 2.0, 3.0, 3.0, 3.0, 1.0]));
    }

    #[test]
    fn what_was_asked_before_a_rest_is_refused_for_the_same_reason() {
        let (mut pace, now) = (Pace::new(32), Instant::now());
        for _ in 0..32 {
            pace.ended(Some(&busy(None)), now);
        }
        assert_eq!(pace.width(pace.rest(now).unwrap()), 16);
    }

    #[test]
    fn one_goes_on_asking_and_no_rest_is_endless() {
        let (mut pace, mut now) = (Pace::new(32), Instant::now());
        for _ in 0..9 {
            pace.ended(Some(&busy(Some(86_400))), now);
            let end = pace.rest(now).unwrap();
            assert!(end <= now + LONGEST_REST * 5 / 4);
            now = end;
        }
        assert_eq!(pace.width(now), 1);
    }

    #[test]
    fn good_answers_widen_it_up_to_the_workers() {
        let (mut pace, now) = (Pace::new(3), Instant::now());
        pace.ended(Some(&busy(None)), now);
        let now = pace.rest(now).unwrap();
        let mut widths = Vec::new();
        for _ in 0..4 {
            widths.push(pace.width(now));
            for _ in 0..ANSWERS_BEFORE_MORE {
                pace.ended(None, now);
            }
        }
        assert_eq!(widths, [1, 2, 3, 3]);
    }

    #[test]
    fn silence_says_nothing() {
        let (mut pace, now) = (Pace::new(4), Instant::now());
        pace.ended(Some(&busy(None)), now);
        let now = pace.rest(now).unwrap();
        for _ in 0..100 {
            pace.ended(Some(&RequestError::NoAnswer), now);
        }
        assert_eq!(pace.width(now), 2);
    }
}
