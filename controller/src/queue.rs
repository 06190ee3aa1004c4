//! Whose turn it is: a queue with lanes, appointments and one job a document at a time. No clock and no task of its own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Instant;

use crate::doc::Key;

/// How urgent a job is. The lanes are served in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Something changed just now.
    Fresh,
    /// Found by a first look at everything.
    Backlog,
    /// The status of a document whose Secret is right: it yields to Secrets that are not there yet.
    Status,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: [VecDeque<Key>; 3],
    entries: HashMap<Key, Entry>,
    appointments: BinaryHeap<Reverse<(Instant, u64, Key)>>,
    /// Numbers appointments, so that one that was replaced is known.
    next: u64,
}

#[derive(Debug, Default)]
struct Entry {
    /// The lane that it stands in.
    queued: Option<Lane>,
    /// Whether its job runs.
    running: bool,
    /// The lane for a next job, asked for while one runs.
    again: Option<Lane>,
    /// The number of its appointment.
    appointment: Option<u64>,
}

impl Queue {
    /// Asks for a job. Who stands in a less urgent lane moves up; who runs gets another turn.
    pub fn push(&mut self, key: &Key, lane: Lane) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.running {
            entry.again = Some(entry.again.map_or(lane, |again| again.min(lane)));
        } else if entry.queued.is_none_or(|queued| lane < queued) {
            // Where it stood before, it is passed over: only the lane of its entry counts.
            entry.queued = Some(lane);
            self.lanes[lane as usize].push_back(key.clone());
        }
    }

    /// Makes an appointment; it replaces the one that there is.
    pub fn appoint(&mut self, key: &Key, at: Instant) {
        self.next += 1;
        self.entries.entry(key.clone()).or_default().appointment = Some(self.next);
        self.appointments.push(Reverse((at, self.next, key.clone())));
    }

    /// Takes the turn away and makes an appointment instead: what asked for the turn asked before the wait was known.
    pub fn postpone(&mut self, key: &Key, at: Instant) {
        if let Some(entry) = self.entries.get_mut(key) {
            (entry.queued, entry.again) = (None, None);
        }
        self.appoint(key, at);
    }

    /// When the next appointment is.
    pub fn next_appointment(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, number, key))) = self.appointments.peek() {
            if self.entries.get(key).is_some_and(|entry| entry.appointment == Some(*number)) {
                return Some(*at);
            }
            self.appointments.pop();
        }
        None
    }

    /// The documents whose appointment has come.
    pub fn due(&mut self, now: Instant) -> Vec<Key> {
        let mut due = Vec::new();
        while self.next_appointment().is_some_and(|at| at <= now) {
            let Some(Reverse((_, _, key))) = self.appointments.pop() else { break };
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.appointment = None;
            }
            due.push(key);
        }
        due
    }

    /// Whether there is an appointment.
    pub fn has_appointment(&self, key: &Key) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.appointment.is_some())
    }

    /// Takes the next job, one of the lane [`Lane::Status`] only if `statuses`; it runs until [`Queue::done`].
    pub fn pop(&mut self, statuses: bool) -> Option<(Key, Lane)> {
        let lanes = [Lane::Fresh, Lane::Backlog, Lane::Status];
        for lane in lanes.into_iter().filter(|lane| statuses || *lane != Lane::Status) {
            while let Some(key) = self.lanes[lane as usize].pop_front() {
                let Some(entry) = self.entries.get_mut(&key) else { continue };
                if entry.queued == Some(lane) {
                    (entry.queued, entry.running) = (None, true);
                    return Some((key, lane));
                }
            }
        }
        None
    }

    /// A job has ended. What was asked for while it ran is asked for now.
    pub fn done(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.running = false;
        match entry.again.take() {
            Some(lane) => self.push(key, lane),
            None => self.forget_if_idle(key),
        }
    }

    /// Whether a job of it runs.
    pub fn runs(&self, key: &Key) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.running)
    }

    /// Forgets a document: its turn and its appointment. A job that runs is let run.
    pub fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            (entry.queued, entry.again, entry.appointment) = (None, None, None);
            self.forget_if_idle(key);
        }
    }

    /// Lets nobody's turn come. What runs is let run, and appointments stand.
    pub fn dismiss(&mut self) {
        self.lanes.iter_mut().for_each(VecDeque::clear);
        for entry in self.entries.values_mut() {
            (entry.queued, entry.again) = (None, None);
        }
        self.entries.retain(|_, entry| entry.running || entry.appointment.is_some());
    }

    /// Whether anyone waits for more than a status to be written.
    pub fn has_urgent(&mut self) -> bool {
        [Lane::Fresh, Lane::Backlog].into_iter().any(|lane| {
            let waits = |key: &Key| self.entries.get(key).is_some_and(|entry| entry.queued == Some(lane));
            let first = self.lanes[lane as usize].iter().position(waits);
            // Who moved up or was forgotten is not looked at again.
            self.lanes[lane as usize].drain(..first.unwrap_or(self.lanes[lane as usize].len()));
            first.is_some()
        })
    }

    /// How many wait for their turn.
    pub fn depth(&self) -> usize {
        self.entries.values().filter(|entry| entry.queued.is_some() || entry.again.is_some()).count()
    }

    fn forget_if_idle(&mut self, key: &Key) {
        let idle = |entry: &Entry| !entry.running && entry.queued.is_none() && entry.appointment.is_none();
        if self.entries.get(key).is_some_and(idle) {
            self.entries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new("n", name)
    }

    #[test]
    fn lanes_are_served_in_order() {
        let mut queue = Queue::default();
        queue.push(&key("status"), Lane::Status);
        queue.push(&key("old"), Lane::Backlog);
        queue.push(&key("new"), Lane::Fresh);
        assert_eq!(queue.depth(), 3);
        queue.push(&key("later"), Lane::Status);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(true)).map(|(key, _)| key.name().to_owned()).collect();
        assert_eq!(order, ["new", "old", "status", "later"]);
        queue.push(&key("status"), Lane::Status);
        assert_eq!(queue.pop(false), None);
    }

    #[test]
    fn who_becomes_urgent_moves_up_and_runs_once() {
        let mut queue = Queue::default();
        queue.push(&key("a"), Lane::Backlog);
        queue.push(&key("b"), Lane::Status);
        queue.push(&key("b"), Lane::Fresh);
        queue.push(&key("b"), Lane::Backlog);
        assert_eq!(queue.pop(true), Some((key("b"), Lane::Fresh)));
        assert_eq!(queue.pop(true), Some((key("a"), Lane::Backlog)));
        assert_eq!(queue.pop(true), None);
    }

    #[test]
    fn who_waits_for_a_status_alone_is_not_urgent() {
        let mut queue = Queue::default();
        queue.push(&key("status"), Lane::Status);
        queue.push(&key("forgotten"), Lane::Fresh);
        queue.remove(&key("forgotten"));
        assert!(!queue.has_urgent());
        queue.push(&key("old"), Lane::Backlog);
        assert!(queue.has_urgent());
        assert_eq!(queue.pop(true), Some((key("old"), Lane::Backlog)));
        assert!(!queue.has_urgent());
        assert_eq!(queue.pop(true), Some((key("status"), Lane::Status)));
    }

    #[test]
    fn one_document_has_one_job_at_a_time() {
        let mut queue = Queue::default();
        queue.push(&key("a"), Lane::Fresh);
        assert!(queue.pop(true).is_some());
        queue.push(&key("a"), Lane::Status);
        queue.push(&key("a"), Lane::Fresh);
        assert_eq!(queue.pop(true), None);
        queue.done(&key("a"));
        assert_eq!(queue.pop(true), Some((key("a"), Lane::Fresh)));
        queue.done(&key("a"));
        assert_eq!(queue.pop(true), None);
        assert!(queue.entries.is_empty());
    }

    #[test]
    fn an_appointment_replaces_the_one_before() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        queue.appoint(&key("a"), after(1));
        queue.appoint(&key("b"), after(2));
        queue.appoint(&key("a"), after(3));
        assert_eq!(queue.next_appointment(), Some(after(2)));
        assert_eq!(queue.due(after(2)), [key("b")]);
        assert_eq!(queue.due(after(9)), [key("a")]);
        assert_eq!(queue.next_appointment(), None);
    }

    #[test]
    fn what_is_removed_has_neither_turn_nor_appointment() {
        let start = Instant::now();
        let mut queue = Queue::default();
        queue.push(&key("a"), Lane::Fresh);
        queue.appoint(&key("a"), start);
        queue.remove(&key("a"));
        assert_eq!((queue.pop(true), queue.due(start)), (None, vec![]));
        queue.push(&key("a"), Lane::Fresh);
        assert!(queue.pop(true).is_some());
        queue.push(&key("a"), Lane::Fresh);
        queue.remove(&key("a"));
        queue.done(&key("a"));
        assert_eq!(queue.pop(true), None);
    }

    #[test]
    fn who_is_postponed_has_an_appointment_and_no_turn_before_it() {
        let start = Instant::now();
        let mut queue = Queue::default();
        queue.push(&key("a"), Lane::Fresh);
        assert!(queue.pop(true).is_some());
        queue.push(&key("a"), Lane::Fresh);
        queue.done(&key("a"));
        queue.postpone(&key("a"), start);
        assert_eq!(queue.pop(true), None);
        assert_eq!(queue.due(start), [key("a")]);
        queue.push(&key("a"), Lane::Backlog);
        assert_eq!(queue.pop(true), Some((key("a"), Lane::Backlog)));
    }

    #[test]
    fn who_is_dismissed_has_no_turn_and_keeps_the_appointment() {
        let start = Instant::now();
        let mut queue = Queue::default();
        for name in ["runs", "waits", "appointed"] {
            queue.push(&key(name), Lane::Fresh);
        }
        assert!(queue.pop(true).is_some());
        queue.push(&key("runs"), Lane::Fresh);
        queue.appoint(&key("appointed"), start);
        queue.dismiss();
        assert_eq!((queue.depth(), queue.pop(true)), (0, None));
        assert!(queue.runs(&key("runs")));
        queue.done(&key("runs"));
        assert_eq!(queue.pop(true), None);
        assert_eq!(queue.due(start), [key("appointed")]);
    }
}
