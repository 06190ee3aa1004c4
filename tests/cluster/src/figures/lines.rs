//! What was found, line by line: ageseal's figure, what stands beside it, and whether that will do.

use std::time::Duration;

use super::rounds::{Round, Rounds};
use super::samples::{Samples, memory, mib, per_second, rate, thousands, three_digits, time};
use super::site::Cold;
use super::stages::{Beside, Few, Many};
use super::usage::Shares;

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The row that it belongs to, as `--only` names it.
    pub(crate) row: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// With how many documents.
    pub(crate) count: usize,
    /// ageseal's figure.
    pub(crate) ours: String,
    /// The ceiling or the peer, if one is beside it.
    pub(crate) beside: String,
    /// How many times as good ageseal's figure is as the ceiling, the peer or the limit.
    pub(crate) better: Option<f64>,
    /// What is demanded.
    pub(crate) must: Must,
}

/// What is demanded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Must {
    /// At least so many times as good as what stands beside it.
    Times(f64),
    /// Below a limit.
    Under(String),
    /// Exactly this, and whether it is so.
    Exactly(&'static str, bool),
    /// Nothing: it is for comparison.
    Nothing,
}

impl Line {
    /// Whether it reaches what it must; none if nothing is demanded.
    pub(crate) fn holds(&self) -> Option<bool> {
        match self.must {
            Must::Times(least) => Some(self.better.is_some_and(|better| better >= least)),
            Must::Under(_) => Some(self.better.is_some_and(|better| better > 1.0)),
            Must::Exactly(_, holds) => Some(holds),
            Must::Nothing => None,
        }
    }

    /// A rate beside another one.
    fn rates(row: &'static str, what: &str, count: usize, ours: f64, beside: (f64, String), must: Must) -> Self {
        let (theirs, who) = beside;
        Self {
            row,
            what: what.to_owned(),
            count,
            ours: rate(ours),
            beside: format!("{who}: {}", rate(theirs)),
            better: Some(ours / theirs),
            must,
        }
    }

    /// A time beside another one.
    fn times(row: &'static str, what: &str, count: usize, ours: Duration, beside: (Duration, &str)) -> Self {
        let (theirs, who) = beside;
        Self {
            row,
            what: what.to_owned(),
            count,
            ours: time(ours),
            beside: format!("{who}: {}", time(theirs)),
            better: Some(theirs.as_secs_f64() / ours.as_secs_f64()),
            must: Must::Nothing,
        }
    }

    /// A time with a limit.
    fn under(row: &'static str, what: &str, count: usize, ours: Duration, limit: Duration) -> Self {
        Self {
            row,
            what: what.to_owned(),
            count,
            ours: time(ours),
            beside: String::new(),
            better: Some(limit.as_secs_f64() / ours.as_secs_f64()),
            must: Must::Under(time(limit)),
        }
    }

    /// Memory with a limit, both in bytes.
    fn below(row: &'static str, what: &str, count: usize, ours: u64, limit: u64) -> Self {
        Self {
            row,
            what: what.to_owned(),
            count,
            ours: memory(ours),
            beside: String::new(),
            better: Some(mib(limit) / mib(ours)),
            must: Must::Under(memory(limit)),
        }
    }

    /// A count that must be exactly what it is said to be.
    fn exactly(what: &str, count: usize, ours: String, must: &'static str, holds: bool) -> Self {
        let (row, what) = ("restart", what.to_owned());
        Self { row, what, count, ours, beside: String::new(), better: None, must: Must::Exactly(must, holds) }
    }
}

/// The lines with a thousand documents.
pub(crate) fn few(found: &Few, peer: Option<&Beside>) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.extend(cold_lines("cold-1000", &found.rounds, peer));
    let count = found.count;
    if found.new.len() > 0 {
        let what = "a new document on an idle controller, until its Secret exists, median";
        lines.push(Line::under("new", what, count, found.new.median(), Duration::from_millis(25)));
        lines.extend(
            peer.map(|peer| Line::times("new", what, count, found.new.median(), (peer.new.median(), "the peer"))),
        );
    }
    if found.new_after.len() > 0 {
        let (row, ours) = ("new-after-restart", found.new_after.median());
        let what = "a new document 5 s after a restart, until its Secret exists, median";
        lines.push(Line::under(row, what, count, ours, Duration::from_secs(1)));
        if let Some(peer) = peer {
            lines.push(Line::times(row, what, count, ours, (peer.after.0, "the peer at its best settings, once")));
            let theirs = (peer.after_by_default.0, "the peer by default, once");
            lines.push(Line::times(row, what, count, ours, theirs));
        }
    }
    if found.deleted.len() > 0 {
        let what = "a managed Secret deleted, until it is back, median";
        lines.push(Line::under("deleted", what, count, found.deleted.median(), Duration::from_millis(25)));
        if let Some(peer) = peer {
            lines.push(Line::times(
                "deleted",
                what,
                count,
                found.deleted.median(),
                (peer.deleted.median(), "the peer"),
            ));
            let what = "the same 5 s after a restart, median";
            let ours = found.deleted_after.median();
            lines.push(Line::times(
                "deleted",
                what,
                count,
                ours,
                (peer.after.1, "the peer at its best settings, once"),
            ));
            let theirs = (peer.after_by_default.1, "the peer by default, once");
            lines.push(Line::times("deleted", what, count, ours, theirs));
        }
    }
    lines
}

/// The lines with ten thousand documents.
pub(crate) fn many(found: &Many, peer: Option<&Beside>) -> Vec<Line> {
    let mut lines = Vec::new();
    let count = found.count;
    lines.extend(cold_lines("cold-10000", &found.rounds, peer));
    if let Some(restarted) = &found.restarted {
        let (ready, asked) = (restarted.ready.median(), restarted.asked);
        let what = "restart with everything current, until ready, median";
        lines.push(Line::under("restart", what, count, ready, Duration::from_secs(10)));
        let writes = asked.writes.to_string();
        lines.push(Line::exactly("the same: writes, but for the Lease", count, writes, "0", asked.writes == 0));
        let decryptions = restarted.decryptions;
        lines.push(Line::exactly("the same: decryptions", count, decryptions.to_string(), "0", decryptions == 0));
        let (documents, secrets) = asked.pages;
        let read = format!(
            "{documents} pages of documents, {secrets} of the metadata of Secrets; {} lists or pages again, {} objects alone",
            asked.again, asked.fetched
        );
        let holds = asked.again == 0 && asked.fetched == 0 && (documents > 1 || count < 500);
        lines.push(Line::exactly("the same: what is read", count, read, "in pages, nothing twice", holds));
        lines.extend(peer.map(|peer| {
            let what = format!(
                "the same beside the peer with {} documents, until it has opened all of them again ({} of processor time)",
                peer.cold.count,
                time(peer.restart.1)
            );
            Line::times("restart", &what, count, ready, (peer.restart.0, "the peer"))
        }));
    }
    if found.changed.len() > 0 {
        let what = "one document changed, until its Secret is, median";
        lines.push(Line::under("change", what, count, found.changed.median(), Duration::from_millis(300)));
    }
    if let Some((peak, mut settled)) = found.memory {
        let mut peak = peak.max(found.rounds.peak());
        if let Some(restarted) = &found.restarted {
            peak = peak.max(restarted.peak);
            settled = settled.max(restarted.settled);
        }
        let of = "the largest of cold starts and of restarts";
        lines.push(Line::below("memory", &format!("resident memory at its peak, {of}"), count, peak, 150 << 20));
        lines.push(Line::below("memory", &format!("resident memory settled, {of}"), count, settled, 60 << 20));
        lines.extend(peer.map(|peer| Line {
            row: "memory",
            what: format!("the peak beside the peer's cold start with {} documents", peer.cold.count),
            count,
            ours: memory(peak),
            beside: format!("the peer: {}", memory(peer.cold.memory.peak)),
            better: Some(mib(peer.cold.memory.peak) / mib(peak)),
            must: Must::Nothing,
        }));
    }
    if let Some(Round { cold, .. }) = found.rounds.processor() {
        let (what, ours) = ("processor time of the controller for one cold document", each(cold));
        lines.push(Line::under("cpu", what, count, ours, Duration::from_millis(1)));
        lines.extend(peer.map(|peer| Line::times("cpu", what, count, ours, (each(&peer.cold), "the peer"))));
    }
    lines
}

fn cold_lines(row: &'static str, rounds: &Rounds, peer: Option<&Beside>) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(Round { cold, most }) = rounds.secrets() {
        let ours = per_second(cold.count, cold.secrets);
        let what = format!("cold, until every Secret is there ({})", time(cold.secrets));
        let who = format!("the ceiling for Secrets alone, {} at a time", most.secrets.at_once);
        lines.push(Line::rates(row, &what, cold.count, ours, (most.secrets.rate, who), Must::Times(0.7)));
        if let Some(peer) = peer {
            let theirs = per_second(peer.cold.count, peer.cold.secrets);
            let who = format!("the peer with {} documents", peer.cold.count);
            lines.push(Line::rates(row, &what, cold.count, ours, (theirs, who), Must::Times(40.0)));
        }
    }
    if let Some(Round { cold, most }) = rounds.statuses() {
        let what = format!("cold, until every status says Ready ({})", time(cold.statuses));
        let who = format!("the ceiling for Secret and status, {} at a time", most.both.at_once);
        let ours = per_second(cold.count, cold.statuses);
        lines.push(Line::rates(row, &what, cold.count, ours, (most.both.rate, who), Must::Times(0.8)));
    }
    if let Some(Round { cold, .. }) = rounds.writes() {
        let (written, statuses) = cold.writes;
        let once = written == cold.count && statuses == cold.count;
        lines.push(Line {
            row,
            what: "the same: writes of Secrets and of statuses".to_owned(),
            count: cold.count,
            ours: format!("{written} and {statuses}"),
            beside: String::new(),
            better: None,
            must: Must::Exactly("one each a document", once),
        });
    }
    lines
}

/// The processor time of one document of a cold start.
fn each(cold: &Cold) -> Duration {
    cold.processor / u32::try_from(cold.count.max(1)).unwrap_or(u32::MAX)
}

/// One line of the table of spreads: what, N, how often, least, median, most.
pub(crate) fn spreads(few: Option<&Few>, many: Option<&Many>, peer: Option<&Beside>) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    let mut add = |what: &str, samples: &Samples| {
        if samples.len() > 0 {
            let times = [samples.least(), samples.median(), samples.most()].map(time);
            let [least, median, most] = times;
            rows.push([what.to_owned(), samples.len().to_string(), least, median, most]);
        }
    };
    if let Some(few) = few {
        add("a new document", &few.new);
        add("a Secret deleted", &few.deleted);
        add("a new document 5 s after a restart", &few.new_after);
        add("a Secret deleted 5 s after a restart", &few.deleted_after);
    }
    if let Some(many) = many {
        add("a document changed", &many.changed);
        if let Some(restarted) = &many.restarted {
            add("ready after a restart", &restarted.ready);
        }
    }
    if let Some(peer) = peer {
        add("the peer: a new document", &peer.new);
        add("the peer: a Secret deleted", &peer.deleted);
    }
    let stages = [few.map(|few| (few.count, &few.rounds)), many.map(|many| (many.count, &many.rounds))];
    for (count, rounds) in stages.into_iter().flatten() {
        let Some((times, spreads)) = rounds.spreads() else { continue };
        for (what, spread) in ["Secrets", "Secrets and statuses"].into_iter().zip(spreads) {
            let [least, middle, most] = spread.map(|ratio| format!("{} ×", three_digits(ratio)));
            let what = format!("a cold start of {}: {what} beside the ceiling", thousands(count));
            rows.push([what, times.to_string(), least, middle, most]);
        }
    }
    rows
}

/// One line of the table of processor time: what, N, and what each of [`SHARERS`](super::usage::SHARERS) took for one
/// document.
pub(crate) fn shares(stages: &[Option<&Rounds>]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut add = |what: &str, count: usize, shares: Shares| {
        let sum: Duration = shares.0.iter().sum();
        let times = shares.0.iter().copied().chain([sum]).map(time);
        rows.push([what.to_owned(), thousands(count)].into_iter().chain(times).collect());
    };
    let each = |cold: &Cold, shares: Shares| shares / u32::try_from(cold.count.max(1)).unwrap_or(u32::MAX);
    for rounds in stages.iter().flatten() {
        if let Some(Round { cold, most }) = rounds.secrets() {
            add("cold, until every Secret is there", cold.count, each(cold, cold.shares[0]));
            add("the ceiling for Secrets alone", cold.count, most.secrets.shares);
        }
        if let Some(Round { cold, most }) = rounds.statuses() {
            add("cold, both", cold.count, each(cold, cold.shares[0] + cold.shares[1]));
            add("the ceiling for Secret and status", cold.count, most.both.shares);
        }
    }
    rows
}

/// How many times as good, for people.
pub(crate) fn better(line: &Line) -> String {
    line.better.map_or_else(|| "–".to_owned(), |better| format!("{} ×", three_digits(better)))
}

#[cfg(test)]
mod tests {
    use super::super::ceiling::Rate;
    use super::super::ours::Restarted;
    use super::super::rounds::Most;
    use super::super::trace::Restart;
    use super::super::usage::Memory;
    use super::*;

    fn cold(count: usize, secrets: u64, statuses: u64) -> Cold {
        Cold {
            count,
            secrets: Duration::from_millis(secrets),
            statuses: Duration::from_millis(statuses),
            processor: Duration::from_millis(900),
            memory: Memory { peak: 100 << 20, resident: 50 << 20 },
            writes: (count, count),
            shares: Default::default(),
        }
    }

    fn rounds(colds: impl IntoIterator<Item = Cold>) -> Rounds {
        let most = Most {
            secrets: Rate { rate: 1000.0, at_once: 32, shares: Shares::default() },
            both: Rate { rate: 350.0, at_once: 16, shares: Shares::default() },
        };
        let mut rounds = Rounds::default();
        colds.into_iter().for_each(|cold| rounds.push(Round { cold, most }));
        rounds
    }

    fn verdicts(lines: &[Line]) -> Vec<Option<bool>> {
        lines.iter().map(Line::holds).collect()
    }

    #[test]
    fn a_cold_start_is_held_against_the_ceiling() {
        let found = Few { rounds: rounds([cold(1000, 1300, 4000)]), ..Few::default() };
        let lines = few(&found, None);
        assert_eq!(lines[0].ours, "769/s");
        assert_eq!(lines[0].beside, "the ceiling for Secrets alone, 32 at a time: 1000/s");
        assert_eq!(better(&lines[0]), "0.77 ×");
        // 250 of 350 is 0.71, which is not 0.8.
        assert_eq!(verdicts(&lines), [Some(true), Some(false), Some(true)]);
    }

    #[test]
    fn a_status_that_is_written_twice_falls_short() {
        let mut twice = cold(1000, 1300, 3000);
        twice.writes = (1000, 1001);
        let lines = few(
            &Few { rounds: rounds([twice, cold(1000, 1300, 3000), cold(1000, 1300, 3000)]), ..Few::default() },
            None,
        );
        assert_eq!(verdicts(&lines), [Some(true), Some(true), Some(false)]);
    }

    #[test]
    fn each_row_has_the_round_in_its_own_middle_and_the_spread_has_all() {
        // By Secrets the first is the middle, by statuses the second.
        let rounds = rounds([cold(1000, 1250, 3000), cold(1000, 1000, 3200), cold(1000, 2000, 4000)]);
        let found = Few { count: 1000, rounds, ..Few::default() };
        let lines = few(&found, None);
        assert_eq!(lines[0].what, "cold, until every Secret is there (1.25 s)");
        assert_eq!(lines[1].what, "cold, until every status says Ready (3.20 s)");
        let rows = spreads(Some(&found), None, None);
        let row = |what: &str, times: [&str; 3]| [[what, "3"].as_slice(), &times].concat().join(" | ");
        let expected = [
            row("a cold start of 1,000: Secrets beside the ceiling", ["0.50 ×", "0.80 ×", "1.00 ×"]),
            row("a cold start of 1,000: Secrets and statuses beside the ceiling", ["0.71 ×", "0.89 ×", "0.95 ×"]),
        ];
        assert_eq!(rows.iter().map(|row| row.join(" | ")).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn of_several_rounds_memory_is_the_worst_and_processor_time_the_middle() {
        let round = |peak: u64, seconds: u64| {
            let mut cold = cold(10_000, 9_000, 30_000);
            (cold.memory.peak, cold.processor) = (peak << 20, Duration::from_secs(seconds));
            cold
        };
        let rounds = rounds([round(90, 12), round(151, 4), round(80, 9)]);
        let found = Many { count: 10_000, rounds, memory: Some((99 << 20, 55 << 20)), ..Many::default() };
        let lines = many(&found, None);
        let ours = |row: &str| lines.iter().filter(|line| line.row == row).map(|l| l.ours.as_str()).collect::<Vec<_>>();
        assert_eq!(ours("memory"), ["151 MiB", "55.0 MiB"]);
        assert_eq!(ours("cpu"), ["900 µs"]);
    }

    #[test]
    fn the_peer_is_beside_by_its_rate() {
        let peer = Beside {
            cold: cold(100, 7_500, 7_500),
            new: [Duration::from_millis(70)].into_iter().collect(),
            deleted: Samples::default(),
            restart: (Duration::from_secs(60), Duration::from_secs(59)),
            after: (Duration::from_secs(56), Duration::from_secs(41)),
            after_by_default: (Duration::from_millis(402), Duration::from_millis(400)),
        };
        let new = [24, 10, 24].map(Duration::from_millis).into_iter().collect();
        let lines = few(&Few { rounds: rounds([cold(1000, 1_500, 3_500)]), new, ..Few::default() }, Some(&peer));
        // The ceiling; 667 to 13.3 a second; the ceiling for both; the writes; below 25 ms; beside the peer.
        assert_eq!(verdicts(&lines), [Some(false), Some(true), Some(true), Some(true), Some(true), None]);
        assert_eq!(better(&lines[1]), "50.0 ×");
        assert_eq!((lines[5].beside.as_str(), better(&lines[5])), ("the peer: 70.0 ms", "2.92 ×".to_owned()));
    }

    #[test]
    fn limits_hold_below_them_and_not_at_them() {
        let ms = Duration::from_millis;
        assert_eq!(Line::under("new", "", 1, ms(25), ms(25)).holds(), Some(false));
        assert_eq!(Line::under("new", "", 1, ms(24), ms(25)).holds(), Some(true));
        assert_eq!(Line::below("memory", "", 1, 60 << 20, 60 << 20).holds(), Some(false));
    }

    #[test]
    fn memory_is_the_larger_of_both_starts_and_a_restart_writes_nothing() {
        let restarted = Restarted {
            ready: [Duration::from_secs(2)].into_iter().collect(),
            asked: Restart { pages: (40, 20), ..Restart::default() },
            decryptions: 0,
            peak: 151 << 20,
            settled: 40 << 20,
        };
        let found = Many {
            count: 10_000,
            rounds: rounds([cold(10_000, 9_000, 30_000)]),
            memory: Some((99 << 20, 55 << 20)),
            restarted: Some(restarted),
            ..Many::default()
        };
        let lines = many(&found, None);
        let of = |row: &str| verdicts(&lines.iter().filter(|line| line.row == row).cloned().collect::<Vec<_>>());
        assert_eq!(of("restart"), [Some(true); 4]);
        assert_eq!(of("memory"), [Some(false), Some(true)]);
        assert_eq!(of("cpu"), [Some(true)]);
        let again = Restart { again: 1, pages: (41, 20), writes: 1, ..Restart::default() };
        let restarted = Restarted { asked: again, decryptions: 3, ..found.restarted.clone().unwrap() };
        let lines = many(&Many { restarted: Some(restarted), ..found }, None);
        let verdicts: Vec<_> = lines.iter().filter(|line| line.row == "restart").map(Line::holds).collect();
        assert_eq!(verdicts, [Some(true), Some(false), Some(false), Some(false)]);
    }
}
