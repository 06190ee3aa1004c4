//! Findings on their way out: for people, for scripts, for CI systems.

mod github;
mod json;
mod sarif;
mod text;

use ageseal::check::{Code, Finding, Level};

use crate::ui::Ui;

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// A list of objects
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// A finding and its file.
#[derive(Clone, Debug)]
pub struct Told {
    /// The file for machines: from the top of the repository.
    pub path: String,
    /// The file for people: as they would type it here.
    pub shown: String,
    /// The finding.
    pub finding: Finding,
}

/// What a run looked at, for the last line.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many files.
    pub files: usize,
    /// How many files hold a sealed document.
    pub sealed: usize,
    /// How many sealed values they hold.
    pub values: usize,
    /// How many plaintext Secrets the policy allows.
    pub allowed: usize,
    /// How many errors were left out of the list.
    pub more_errors: usize,
    /// How many notes were left out of the list.
    pub more_notes: usize,
    /// How many values were opened, if any were to be.
    pub opened: Option<usize>,
    /// Which folder, if it was not named.
    pub folder: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Summary {
    /// Adds the errors and notes of a file that its list lacks.
    pub fn leave_out(&mut self, (errors, notes): (usize, usize)) {
        self.more_errors += errors;
        self.more_notes += notes;
    }
}

/// Prints the findings, which are sorted, and the summary.
pub fn print(ui: &Ui, format: Format, told: &[Told], summary: &Summary) {
    match format {
        Format::Text => text::print(ui, told, summary),
        Format::Json => json::print(ui, told),
        Format::Sarif => sarif::print(ui, told),
        Format::Github => github::print(ui, told),
    }
}

/// How many findings fail the run, and how many do not.
fn count(told: &[Told], summary: &Summary) -> (usize, usize) {
    let listed = told.iter().filter(|told| told.finding.code != Code::MoreFindings);
    let (errors, notes): (Vec<&Told>, Vec<&Told>) = listed.partition(|told| told.finding.level == Level::Error);
    (errors.len() + summary.more_errors, notes.len() + summary.more_notes)
}
