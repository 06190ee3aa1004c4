//! The controller's figures: cold starts, restarts, single changes and memory, beside the ceiling of the API server and
//! beside the peer, all in one run.
//!
//! `cargo xtask bench controller` builds and runs it, and it writes `docs/performance-controller.md`. With `--quick` it
//! measures few documents: a test that the measuring works, not a figure. With `--only ROW` it measures what one row needs.
//! With `--without-peer` it leaves the peer out. None of these writes the page.

mod bare;
mod ceiling;
mod documents;
mod lines;
mod ours;
mod page;
mod peer;
mod rounds;
mod samples;
mod sights;
mod site;
mod stages;
mod trace;
mod usage;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use ageseal_testkit::workspace_root;

/// The rows, as `--only` names them.
const ROWS: [&str; 9] =
    ["cold-1000", "cold-10000", "restart", "new", "new-after-restart", "change", "deleted", "memory", "cpu"];
const PAGE: &str = "docs/performance-controller.md";

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// Documents of the first stage.
    few: usize,
    /// Documents of the second stage.
    many: usize,
    /// Documents of the peer.
    peer: usize,
    /// How often a cold start is measured.
    rounds: usize,
    /// How often one document is new, is changed, or loses its Secret.
    samples: usize,
    /// How often one does at the peer.
    peer_samples: usize,
    /// How often the controller is restarted.
    restarts: usize,
    /// The pause between samples.
    gap: Duration,
    /// How long memory settles.
    settle: Duration,
}

const FULL: Sizes = Sizes {
    few: 1_000,
    many: 10_000,
    peer: 1_000,
    rounds: 3,
    samples: 60,
    peer_samples: 50,
    restarts: 5,
    gap: Duration::from_millis(150),
    settle: Duration::from_secs(30),
};
const QUICK: Sizes = Sizes {
    few: 200,
    many: 200,
    peer: 30,
    rounds: 1,
    samples: 5,
    peer_samples: 3,
    restarts: 2,
    gap: Duration::from_millis(150),
    settle: Duration::from_secs(5),
};

impl Sizes {
    /// How many objects the ceiling takes at each concurrency before the controller, and again after it. As many as the
    /// controller makes, if they are few: a shorter burst is not the same work.
    fn part(&self, count: usize) -> usize {
        (count / 4).max(1_000).min(count)
    }
}

/// What is wanted: one row, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    /// The row, if it is one.
    row: Option<String>,
    /// Whether the peer is measured, which takes longer than everything else.
    peer: bool,
}

impl Wanted {
    fn row(&self, row: &str) -> bool {
        self.row.as_deref().is_none_or(|only| only == row)
    }

    fn any(&self, rows: &[&str]) -> bool {
        rows.iter().any(|row| self.row(row))
    }
}

/// Measures as the arguments of the process say; 2 for wrong arguments.
///
/// # Panics
/// If something cannot be measured: a figure that is missing is told by the text, not by an empty cell.
#[must_use]
pub fn main() -> ExitCode {
    let (quick, wanted) = match arguments(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(usage) => {
            say(&usage);
            return ExitCode::from(2);
        }
    };
    let sizes = if quick { QUICK } else { FULL };
    let load = load();
    if load > page::QUIET {
        say(&format!("this machine has other work to do (load {load}): every figure will suffer"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|e| panic!("no runtime: {e}"));
    let (facts, lines) = runtime.block_on(measure(&sizes, &wanted, load));
    for line in &lines {
        say(&page::text(line));
    }
    for row in &facts.spreads {
        say(&format!("the spread: {}", row.join(" | ")));
    }
    for row in &facts.shares {
        say(&format!("processor time: {}", row.join(" | ")));
    }
    if quick || wanted.row.is_some() || !wanted.peer {
        say(&format!("not the whole measure: {PAGE} is as it was"));
        return ExitCode::SUCCESS;
    }
    let path = workspace_root().join(PAGE);
    fs::write(&path, page::markdown(&facts, &lines)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    say(&format!("wrote {}", path.display()));
    ExitCode::SUCCESS
}

async fn measure(sizes: &Sizes, wanted: &Wanted, load: f64) -> (page::Facts, Vec<lines::Line>) {
    // Built before anything is measured.
    let _ = crate::programs::controller();
    let _ = crate::programs::ageseal();
    let few = wanted.any(&["cold-1000", "new", "new-after-restart", "deleted"]);
    let few = if few { Some(stages::few(sizes, wanted).await) } else { None };
    let many = wanted.any(&["cold-10000", "restart", "change", "memory", "cpu"]);
    let many = if many { Some(stages::many(sizes, wanted).await) } else { None };
    // Said at once, should the peer not come to an end.
    let ours =
        few.iter().flat_map(|few| lines::few(few, None)).chain(many.iter().flat_map(|many| lines::many(many, None)));
    ours.filter(|line| wanted.row(line.row)).for_each(|line| say(&page::text(&line)));
    let compared = wanted.peer && wanted.row.as_deref() != Some("change");
    let beside = if compared { Some(stages::beside(sizes).await) } else { None };
    let no_peer = beside.as_ref().and_then(|beside| beside.as_ref().err().cloned());
    let peer = beside.as_ref().and_then(|beside| beside.as_ref().ok());
    let mut all: Vec<lines::Line> = Vec::new();
    all.extend(few.iter().flat_map(|few| lines::few(few, peer)));
    all.extend(many.iter().flat_map(|many| lines::many(many, peer)));
    all.retain(|line| wanted.row(line.row));
    // The rows in one order, whichever stage they come from.
    all.sort_by_key(|line| ROWS.iter().position(|row| *row == line.row));
    let facts = page::Facts {
        load,
        size: few.as_ref().map_or(0, |few| few.size),
        settle: samples::time(sizes.settle),
        no_peer,
        spreads: lines::spreads(few.as_ref(), many.as_ref(), peer),
        shares: lines::shares(&[few.as_ref().map(|few| &few.rounds), many.as_ref().map(|many| &many.rounds)]),
    };
    (facts, all)
}

fn arguments(mut arguments: impl Iterator<Item = OsString>) -> Result<(bool, Wanted), String> {
    let usage = || {
        format!(
            "usage: cargo xtask bench controller [--quick] [--without-peer] [--only ROW], rows: {}",
            ROWS.join(", ")
        )
    };
    let (mut quick, mut only, mut peer) = (false, None, true);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--quick") => quick = true,
            Some("--without-peer") => peer = false,
            Some("--only") => {
                let row = arguments.next().and_then(|row| row.into_string().ok());
                only = Some(row.filter(|row| ROWS.contains(&row.as_str())).ok_or_else(usage)?);
            }
            _ => return Err(usage()),
        }
    }
    Ok((quick, Wanted { row: only, peer }))
}

/// Says a line on standard error.
fn say(line: &str) {
    // Nobody is left to tell when it is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The mean number of processes that wanted to run in the last minute; 0 where the system does not say.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(bool, Wanted), String> {
        arguments(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn arguments_name_a_row_that_there_is() {
        let wanted = |row: Option<&str>, peer| Wanted { row: row.map(str::to_owned), peer };
        assert_eq!(parse(""), Ok((false, wanted(None, true))));
        assert_eq!(parse("--quick --only restart"), Ok((true, wanted(Some("restart"), true))));
        assert_eq!(parse("--without-peer"), Ok((false, wanted(None, false))));
        for wrong in ["--only", "--only warm", "restart", "--slow"] {
            assert!(parse(wrong).unwrap_err().starts_with("usage: "), "{wrong}");
        }
        let one = wanted(Some("new"), true);
        assert!(one.row("new") && !one.row("change") && one.any(&["change", "new"]));
    }

    #[test]
    fn the_ceiling_takes_a_quarter_at_each_concurrency_and_not_too_little() {
        assert_eq!([FULL.part(10_000), FULL.part(1_000), QUICK.part(200)], [2_500, 1_000, 200]);
    }
}
