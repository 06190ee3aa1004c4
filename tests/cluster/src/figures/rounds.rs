//! Cold starts over as many documents, each in a control plane of its own between two halves of its ceiling: one start
//! differs from the next by more than what is looked for, so there are several, and each row has the one in its middle.

use super::ceiling::Rate;
use super::samples::per_second;
use super::site::Cold;

/// What the API server takes at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// Secrets alone.
    pub(crate) secrets: Rate,
    /// A Secret and a status.
    pub(crate) both: Rate,
}

/// A cold start and the ceiling of its control plane.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) cold: Cold,
    pub(crate) most: Most,
}

impl Round {
    /// How many times the ceiling the Secrets are.
    fn secrets(&self) -> f64 {
        per_second(self.cold.count, self.cold.secrets) / self.most.secrets.rate
    }

    /// How many times the ceiling the Secrets with their statuses are.
    fn statuses(&self) -> f64 {
        per_second(self.cold.count, self.cold.statuses) / self.most.both.rate
    }
}

/// All cold starts of a stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(Vec<Round>);

impl Rounds {
    pub(crate) fn push(&mut self, round: Round) {
        self.0.push(round);
    }

    /// The round whose Secrets are in the middle, the upper of two; none if there is none.
    pub(crate) fn secrets(&self) -> Option<&Round> {
        self.middle(Round::secrets)
    }

    /// The round whose statuses are in the middle, the upper of two; none if there is none.
    pub(crate) fn statuses(&self) -> Option<&Round> {
        self.middle(Round::statuses)
    }

    /// The round of the middle processor time, the upper of two; none if there is none.
    pub(crate) fn processor(&self) -> Option<&Round> {
        self.middle(|round| round.cold.processor.as_secs_f64())
    }

    /// The round whose writes are the farthest from one Secret and one status a document; none if there is none.
    pub(crate) fn writes(&self) -> Option<&Round> {
        let off = |round: &&Round| {
            let (secrets, statuses) = round.cold.writes;
            secrets.abs_diff(round.cold.count) + statuses.abs_diff(round.cold.count)
        };
        self.0.iter().max_by_key(off)
    }

    /// The most memory that was ever resident, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.0.iter().map(|round| round.cold.memory.peak).max().unwrap_or_default()
    }

    /// Least, middle and most of Secrets and of statuses beside the ceiling, of how many rounds; none of fewer than two.
    pub(crate) fn spreads(&self) -> Option<(usize, [[f64; 3]; 2])> {
        let of = |ratio: fn(&Round) -> f64| match self.sorted(ratio)[..] {
            [least, .., most] => Some([least, self.middle(ratio)?, most].map(ratio)),
            _ => None,
        };
        Some((self.0.len(), [of(Round::secrets)?, of(Round::statuses)?]))
    }

    fn middle(&self, by: impl Fn(&Round) -> f64) -> Option<&Round> {
        self.sorted(by).get(self.0.len() / 2).copied()
    }

    fn sorted(&self, by: impl Fn(&Round) -> f64) -> Vec<&Round> {
        let mut rounds: Vec<&Round> = self.0.iter().collect();
        rounds.sort_by(|a, b| by(a).total_cmp(&by(b)));
        rounds
    }
}
