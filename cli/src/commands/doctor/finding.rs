//! One thing that was looked at, and how it stands.

use serde::Serialize;

use crate::cluster::AskError;
use crate::error::CliError;

/// Where something was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Area {
    Machine,
    Repository,
    Cluster,
}

impl Area {
    pub(super) const ALL: [Self; 3] = [Self::Machine, Self::Repository, Self::Cluster];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Repository => "repository",
            Self::Cluster => "cluster",
        }
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum State {
    /// As it should be.
    Good,
    /// Worth knowing, and perhaps meant so.
    Note,
    /// Nobody can tell from here, or the user may not look.
    Unknown,
    /// Somebody has to act.
    Wrong,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
        }
    }
}

/// What was found. No text of it depends on a value.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    pub(super) area: Area,
    /// A stable name of what was looked at, in kebab-case.
    pub(super) check: &'static str,
    pub(super) state: State,
    /// The fact.
    pub(super) message: String,
    /// Which files, objects or people it is about.
    pub(super) details: Vec<String>,
    /// The commands, or the steps, that mend it or say more.
    pub(super) mend: Vec<String>,
}

impl Finding {
    fn new(area: Area, check: &'static str, state: State, message: impl Into<String>) -> Self {
        Self { area, check, state, message: message.into(), details: vec![], mend: vec![] }
    }

    pub(super) fn good(area: Area, check: &'static str, message: impl Into<String>) -> Self {
        Self::new(area, check, State::Good, message)
    }

    pub(super) fn note(area: Area, check: &'static str, message: impl Into<String>) -> Self {
        Self::new(area, check, State::Note, message)
    }

    pub(super) fn unknown(area: Area, check: &'static str, message: impl Into<String>) -> Self {
        Self::new(area, check, State::Unknown, message)
    }

    pub(super) fn wrong(area: Area, check: &'static str, message: impl Into<String>) -> Self {
        Self::new(area, check, State::Wrong, message)
    }

    /// A question that was refused: not known, and how to be allowed to know.
    pub(super) fn refused(check: &'static str, error: &AskError) -> Self {
        Self::unknown(Area::Cluster, check, error.told.message.clone()).with_details(&error.told)
    }

    #[must_use]
    pub(super) fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// The same, with a list that ends early.
    #[must_use]
    pub(super) fn list(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        const MOST: usize = 12;
        let lines: Vec<_> = lines.into_iter().collect();
        let rest = lines.len().saturating_sub(MOST);
        self.details.extend(lines.into_iter().take(MOST));
        if rest > 0 {
            self.details.push(format!("and {rest} more"));
        }
        self
    }

    #[must_use]
    pub(super) fn mend(mut self, step: impl Into<String>) -> Self {
        self.mend.push(step.into());
        self
    }

    /// The same, with what an error says besides its fact.
    #[must_use]
    pub(super) fn with_details(mut self, error: &CliError) -> Self {
        for place in &error.places {
            let at = place.at.map_or_else(String::new, |at| format!(":{at}"));
            let detail = place.detail.as_ref().map_or_else(String::new, |detail| format!("   {detail}"));
            self.details.push(format!("{}{at}{detail}", place.path));
        }
        self.details.extend(error.details.iter().chain(&error.causes).cloned());
        self.mend.extend(error.hints.iter().cloned());
        self
    }
}
