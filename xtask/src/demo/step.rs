//! One command of the tour: what is said, what is typed, and what has to come of it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::run::print;
use crate::shell::{Ran, Shell};

/// One command of the tour.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What happens, in a sentence; empty where the command goes with the one before.
    says: &'a str,
    /// The line that a user types.
    line: &'a str,
    /// The exit code that it must end with.
    exit: i32,
    /// What its output must hold.
    shows: &'a [&'a str],
    /// How many lines of it are printed.
    lines: usize,
    /// For how long it is typed again until it shows that.
    within: Duration,
}

/// The pause before a line is typed again.
const PAUSE: Duration = Duration::from_millis(50);

/// A command that must end with 0 and show these texts. All that it prints is printed.
pub const fn step<'a>(says: &'a str, line: &'a str, shows: &'a [&'a str]) -> Step<'a> {
    Step { says, line, exit: 0, shows, lines: usize::MAX, within: Duration::ZERO }
}

impl Step<'_> {
    /// The same, to end with this exit code.
    pub const fn exit(mut self, code: i32) -> Self {
        self.exit = code;
        self
    }

    /// The same, with no more than so many lines printed. All of them are looked at.
    pub const fn lines(mut self, lines: usize) -> Self {
        self.lines = lines;
        self
    }

    /// The same, for what is true a moment later: typed again for so many seconds, and what it says last is printed.
    pub const fn within(mut self, seconds: u64) -> Self {
        self.within = Duration::from_secs(seconds);
        self
    }

    /// Types it, and prints what comes of it.
    ///
    /// Errors: it does not end as it must, or does not show what it must.
    pub fn run(&self, shell: &Shell) -> Result<Ran> {
        announce(self.says, self.line)?;
        let start = Instant::now();
        let fits = |ran: &Ran| ran.code == self.exit && self.shows.iter().all(|text| ran.text.contains(text));
        let mut ran = shell.run(self.line)?;
        while !fits(&ran) && start.elapsed() < self.within {
            thread::sleep(PAUSE);
            ran = shell.run(self.line)?;
        }
        print_first(ran.text.trim_end(), self.lines)?;
        let (line, code, exit) = (self.line, ran.code, self.exit);
        ensure!(code == exit, "`{line}` ended with {code}, and must with {exit}");
        for text in self.shows {
            ensure!(ran.text.contains(text), "`{line}` does not show {text}");
        }
        if exit != 0 {
            print(&format!("(exit code {exit}, as it must be)"))?;
        }
        Ok(ran)
    }
}

/// Runs steps one after the other and says how many there were.
pub fn run_all(shell: &Shell, steps: &[Step<'_>]) -> Result<usize> {
    steps.iter().try_for_each(|step| step.run(shell).map(drop))?;
    Ok(steps.len())
}

/// Types a line whose output is for the tour alone: it has values in it, or is long.
///
/// Errors: it does not end with 0.
pub fn read(shell: &Shell, says: &str, line: &str) -> Result<String> {
    announce(says, line)?;
    let ran = shell.run(line)?;
    // A value may be in what it printed.
    ensure!(ran.code == 0, "`{line}` ended with {}, and must with 0", ran.code);
    Ok(ran.text)
}

/// Says what happens, unless it goes with what was before, and the line that is typed.
fn announce(says: &str, line: &str) -> Result<()> {
    if !says.is_empty() {
        print(&format!("\n# {says}"))?;
    }
    // What goes on, a shell asks for with another sign.
    print(&format!("$ {}", line.replace('\n', "\n> ")))
}

/// Prints the first lines of a text, and how many more there are.
fn print_first(text: &str, lines: usize) -> Result<()> {
    text.lines().take(lines).try_for_each(print)?;
    match text.lines().count().saturating_sub(lines) {
        0 => Ok(()),
        1 => print("… and 1 line more"),
        more => print(&format!("… and {more} lines more")),
    }
}
