//! Which events were posted lately, and how many more may be: no client, no clock.

use std::collections::HashMap;
use std::time::Duration;

/// Within this time, the same is not posted again but counted.
pub(super) const WINDOW: Duration = Duration::from_secs(600);
/// How many events may be posted at once after a silence.
const BURST: f64 = 50.0;
/// How many a second may be posted for long.
const RATE: f64 = 1.0;
/// How many different events are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 2048;

/// What makes two notes the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) uid: String,
    pub(super) reason: String,
    pub(super) text: String,
}

/// An event that was posted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Posted<E> {
    /// What to find it by at the API server.
    pub(super) event: E,
    /// How often it happened.
    pub(super) count: i32,
    /// How often it happened when that was last written.
    written: i32,
    /// When its window began.
    since: Duration,
}

/// What to do with a note.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Post it.
    Post,
    /// It was counted.
    Counted,
    /// There were too many lately.
    TooMany,
}

/// The events of the last minutes.
#[derive(Debug)]
pub(super) struct Book<E> {
    posted: HashMap<Key, Posted<E>>,
    tokens: f64,
    filled: Duration,
}

impl<E: Clone> Book<E> {
    pub(super) fn new(now: Duration) -> Self {
        Self { posted: HashMap::new(), tokens: BURST, filled: now }
    }

    /// Judges a note. Posting costs a token; [`Book::enter`] is to follow if it worked.
    pub(super) fn judge(&mut self, key: &Key, now: Duration) -> Verdict {
        if let Some(posted) = self.posted.get_mut(key) {
            posted.count = posted.count.saturating_add(1);
            return Verdict::Counted;
        }
        if self.spend(now) { Verdict::Post } else { Verdict::TooMany }
    }

    /// Remembers an event that was posted.
    pub(super) fn enter(&mut self, key: Key, event: E, now: Duration) {
        if self.posted.len() >= REMEMBERED {
            let oldest = self.posted.iter().min_by_key(|(_, posted)| posted.since).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.posted.remove(&oldest);
            }
        }
        self.posted.insert(key, Posted { event, count: 1, written: 1, since: now });
    }

    /// Ends the windows that are over: what was repeated in them is to be written, as far as tokens allow, and stays in
    /// the book for another window; what was not is forgotten.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Posted<E>> {
        let over: Vec<Key> = self
            .posted
            .iter()
            .filter(|(_, posted)| now.saturating_sub(posted.since) >= WINDOW)
            .map(|(key, _)| key.clone())
            .collect();
        let mut due = Vec::new();
        for key in over {
            let repeated = self.posted.get(&key).is_some_and(|posted| posted.count > posted.written);
            if !repeated {
                self.posted.remove(&key);
            } else if self.spend(now)
                && let Some(posted) = self.posted.get_mut(&key)
            {
                posted.written = posted.count;
                posted.since = now;
                due.push(posted.clone());
            }
        }
        due
    }

    fn spend(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * RATE).min(BURST);
        self.filled = now;
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);

    fn key(uid: usize) -> Key {
        Key { uid: uid.to_string(), reason: "Opened".into(), text: "it is open".into() }
    }

    #[test]
    fn the_same_is_posted_once_and_counted_after() {
        let mut book = Book::new(START);
        assert_eq!(book.judge(&key(1), START), Verdict::Post);
        book.enter(key(1), "first", START);
        for _ in 0..4 {
            assert_eq!(book.judge(&key(1), START), Verdict::Counted);
        }
        assert_eq!(book.judge(&Key { text: "another".into(), ..key(1) }, START), Verdict::Post);
        assert_eq!(book.judge(&Key { reason: "Other".into(), ..key(1) }, START), Verdict::Post);
        assert!(book.due(START + WINDOW - Duration::from_secs(1)).is_empty());
        let due = book.due(START + WINDOW);
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].event, due[0].count), ("first", 5));
        assert!(book.due(START + WINDOW).is_empty(), "it is written once");
    }

    #[test]
    fn what_does_not_happen_again_is_forgotten_and_posted_anew() {
        let mut book = Book::new(START);
        assert_eq!(book.judge(&key(1), START), Verdict::Post);
        book.enter(key(1), "first", START);
        assert!(book.due(START + WINDOW).is_empty());
        assert_eq!(book.judge(&key(1), START + WINDOW), Verdict::Post);
    }

    #[test]
    fn a_post_that_did_not_work_is_not_remembered() {
        let mut book = Book::<()>::new(START);
        assert_eq!(book.judge(&key(1), START), Verdict::Post);
        assert_eq!(book.judge(&key(1), START), Verdict::Post);
    }

    #[test]
    fn a_flood_is_capped() {
        let mut book = Book::new(START);
        let posted = |book: &mut Book<()>, from: usize, now| {
            (from..from + 1000).filter(|uid| book.judge(&key(*uid), now) == Verdict::Post).count()
        };
        assert_eq!(posted(&mut book, 0, START), 50);
        assert_eq!(posted(&mut book, 1000, START + Duration::from_secs(10)), 10);
        assert_eq!(posted(&mut book, 2000, START + Duration::from_secs(100_000)), 50);
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let mut book = Book::new(START);
        for uid in 0..REMEMBERED + 10 {
            book.enter(key(uid), (), START + Duration::from_secs(uid as u64));
        }
        assert_eq!(book.posted.len(), REMEMBERED);
        assert!(!book.posted.contains_key(&key(9)) && book.posted.contains_key(&key(10)));
    }
}
