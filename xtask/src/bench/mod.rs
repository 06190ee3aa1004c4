//! The figures: whole processes beside their peers, in one run, as ratios.
//!
//! `cargo xtask bench` builds everything for release, measures, and writes `docs/performance.md`. With `--quick` it
//! measures a build for tests on a few files and without the peers that take minutes to build: a test that the
//! measuring works, not a figure. With `--only ROW` it measures one row and writes nothing. `cargo xtask bench controller`
//! does the same for the controller, in a program of its own, and writes `docs/performance-controller.md`.

mod contest;
mod controller;
mod fixture;
mod inside;
mod process;
mod report;
mod rows;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

pub use inside::{READ, read_yaml_below};
pub use process::{PEAK, peak_of};

use crate::run::{Profile, build, root, say};

/// The chore behind [`bench()`]: it runs in the build that is measured.
pub const MEASURE: &str = "measure";

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Turns of each contender where a turn is one process.
    pub turns: usize,
    /// Turns of each contender where a turn is a whole tree.
    pub tree_turns: usize,
    /// Secrets in the tree.
    pub secrets: usize,
    /// How many of them the peers seal, a process each.
    pub sample: usize,
    /// Files of the repository that is checked; a tenth of them is sealed.
    pub files: usize,
    /// Decryptions in a process.
    pub opens: usize,
    /// Whether kubeseal, sops and Go's RSA take part.
    pub peers: bool,
}

const FULL: Sizes =
    Sizes { turns: 40, tree_turns: 7, secrets: 1000, sample: 100, files: 10_000, opens: 200, peers: true };
const QUICK: Sizes = Sizes { turns: 2, tree_turns: 1, secrets: 20, sample: 2, files: 100, opens: 5, peers: false };

/// Builds what is measured and runs the measuring in it.
pub fn bench(arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let arguments: Vec<OsString> = arguments.collect();
    if let Some((_, rest)) = arguments.split_first().filter(|(first, _)| *first == controller::NAME) {
        return controller::controller(rest);
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let profile = if quick { Profile::Dev } else { Profile::Release };
    let programs = build(&["ageseal-cli", "xtask"], profile, false)?;
    let status = Command::new(programs.join("xtask")).arg(MEASURE).args(arguments).status()?;
    ensure!(status.success(), "the figures were not taken");
    Ok(())
}

/// Measures, and writes the report if everything was measured in full.
pub fn measure(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let (mut sizes, mut only) = (FULL, None);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--quick") => sizes = QUICK,
            Some("--only") => only = Some(arguments.next().context("--only which row?")?),
            _ => bail!("usage: cargo xtask bench [--quick] [--only ROW], rows: {}", rows::names()),
        }
    }
    let ageseal: PathBuf = std::env::current_exe()?.with_file_name("ageseal");
    let only = only.as_ref().map(|row| row.to_string_lossy());
    let others = load();
    if others > QUIET {
        say(&format!("this machine has other work to do (load {others}): wall times and scaling will suffer"));
    }
    let rows = rows::measure(&ageseal, sizes, only.as_deref())?;
    for row in &rows {
        say(&format!("{row}"));
    }
    if only.is_some() || !sizes.peers {
        say("not the whole measure: docs/performance.md is as it was");
        return Ok(());
    }
    let path = root().join("docs/performance.md");
    std::fs::write(&path, report::markdown(&ageseal, sizes, others, &rows)?)?;
    say(&format!("wrote {}", path.display()));
    Ok(())
}

/// A load up to which a machine counts as quiet.
const QUIET: f64 = 0.5;

/// The mean number of processes that wanted to run in the last minute; 0 where the system does not say.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
