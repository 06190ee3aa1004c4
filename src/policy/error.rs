//! What a policy refuses.

use crate::format::MAX_RECIPIENTS;
use crate::problem::{Location, Problem};
use crate::recipient::{RecipientId, RecipientKind};

use super::POLICY_PATH;
use super::pubfile::recipients_path;

/// Why a path, a scope or a set of recipients is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// No rule matches the path.
    #[error("no rule of the policy matches {path}")]
    NoRule {
        /// The path, from the top of the repository.
        path: String,
        /// A pattern that names a folder above it without `/**`, with its place.
        folder: Option<(String, Location)>,
    },
    /// A scope goes beyond what the rule of its path allows.
    #[error("the scope {beyond} goes beyond the policy, which allows {allowed} at this path")]
    ScopeBeyondRule {
        /// The patterns that no pattern of the rule covers.
        beyond: String,
        /// The rule's patterns.
        allowed: String,
        /// The rule.
        at: Location,
    },
    /// A rule uses a name that has no file.
    #[error("the policy names {name}, and there is no {}", recipients_path(name))]
    NoFile {
        /// The name.
        name: String,
        /// Where the rule uses it, if a rule does.
        at: Option<Location>,
        /// A name that is near.
        near: Option<String>,
    },
    /// A name without a recipient that values could be sealed for.
    #[error("{name} has no {}recipient", if *.superseded > 0 { "current " } else { "" })]
    NoCurrent {
        /// The name.
        name: String,
        /// How many superseded recipients it has.
        superseded: usize,
    },
    /// There is nobody to seal for.
    #[error("there is no recipient to seal for")]
    Empty,
    /// More recipients than an envelope may have.
    #[error("there are {count} recipients, the most is {MAX_RECIPIENTS}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// Post-quantum and classic recipients in one set.
    #[error("post-quantum and classic recipients cannot stand together; the odd one{}", odd_ones(odd))]
    Mixed {
        /// The recipients of the smaller part; the classic ones if both are as large.
        odd: Vec<OddRecipient>,
    },
}

/// A recipient that cannot stand beside the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OddRecipient {
    /// The names it goes by.
    pub names: Vec<String>,
    /// Its file and line, if it is from a file.
    pub origin: Option<(String, usize)>,
    /// Its id.
    pub id: RecipientId,
    /// What it is made of.
    pub kind: RecipientKind,
}

fn odd_ones(odd: &[OddRecipient]) -> String {
    let one = |one: &OddRecipient| {
        let origin = one.origin.as_ref().map_or_else(String::new, |(file, line)| format!(", {file}:{line}"));
        let names = if one.names.is_empty() { one.id.to_string() } else { one.names.join(" and ") };
        format!("{names} ({}{origin})", one.kind)
    };
    let list = odd.iter().map(one).collect::<Vec<_>>().join(", ");
    format!("{}: {list}", if odd.len() == 1 { " is" } else { "s are" })
}

impl PolicyError {
    /// A stable kebab-case name for machines and for the manual.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRule { .. } => "no-rule",
            Self::ScopeBeyondRule { .. } => "scope-beyond-policy",
            Self::NoFile { .. } => "no-recipients-file",
            Self::NoCurrent { .. } | Self::Empty => "no-recipients",
            Self::TooMany { .. } => "too-many-recipients",
            Self::Mixed { .. } => "mixed-recipients",
        }
    }

    /// The file of the repository that has to change, from its top, and the place in it.
    pub fn place(&self) -> (String, Option<Location>) {
        let first_of = |line: usize| Some(Location { line, column: 1 });
        match self {
            Self::NoRule { folder, .. } => (POLICY_PATH.to_owned(), folder.as_ref().map(|(_, at)| *at)),
            Self::ScopeBeyondRule { at, .. } => (POLICY_PATH.to_owned(), Some(*at)),
            Self::NoFile { at, .. } => (POLICY_PATH.to_owned(), *at),
            Self::NoCurrent { name, .. } => (recipients_path(name), None),
            Self::Empty | Self::TooMany { .. } => (POLICY_PATH.to_owned(), None),
            Self::Mixed { odd } => match odd.first().and_then(|one| one.origin.as_ref()) {
                Some((file, line)) => (file.clone(), first_of(*line)),
                None => (POLICY_PATH.to_owned(), None),
            },
        }
    }

    /// The next step.
    pub fn hint(&self) -> String {
        match self {
            Self::NoRule { folder: Some((folder, at)), .. } => {
                format!("{folder:?} at {POLICY_PATH}:{at} means one file: write \"{folder}/**\" for all below it")
            }
            Self::NoRule { .. } => format!("add a rule whose paths match it to {POLICY_PATH}; there is no default"),
            Self::ScopeBeyondRule { at, .. } => {
                format!(
                    "move the file to where its readers are meant to have it, or widen scopes at {POLICY_PATH}:{at}"
                )
            }
            Self::NoFile { near: Some(near), .. } => format!("did you mean {near}?"),
            Self::NoFile { name, .. } => format!("ageseal recipients add {name} RECIPIENT"),
            Self::NoCurrent { name, superseded: 0 } => format!("ageseal recipients add {name} RECIPIENT"),
            Self::NoCurrent { name, .. } => format!(
                "all of its recipients are marked as superseded; add the current one: \
                 ageseal recipients add {name} RECIPIENT"
            ),
            Self::Empty => "name at least one recipient: -r NAME or -R FILE".to_owned(),
            Self::TooMany { .. } => "divide the rule, or let several people share one identity".to_owned(),
            Self::Mixed { .. } => "one classic copy would undo the post-quantum ones; make the odd one of the \
                other kind (`ageseal keygen` makes post-quantum ones, `ageseal keygen --classic` classic ones), or \
                take it out"
                .to_owned(),
        }
    }

    /// The same, as a problem, at its place if that is in the policy file.
    pub fn to_problem(&self) -> Problem {
        let problem = Problem::error(self.code(), self.to_string()).hint(self.hint());
        match self.place() {
            (_, Some(at)) => problem.at(at),
            (_, None) => problem,
        }
    }
}
