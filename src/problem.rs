//! What is wrong with a file, told so that somebody can mend it: place, key, fact, next step.

use std::fmt;

/// A place in a text: line and column count from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Whether a problem stops the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is written while one of these stands.
    Error,
    /// Said, and the work goes on.
    Warning,
}

/// One thing that is wrong in one file.
///
/// Guarantees: no field ever holds a plaintext value; whoever builds one names the key and the place, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable kebab-case name, such as `bad-base64`, for machines and for the manual.
    pub code: &'static str,
    /// Whether it stops the work.
    pub severity: Severity,
    /// Where in the file, if it is at one place.
    pub at: Option<Location>,
    /// The data key it is about, if it is about one.
    pub key: Option<String>,
    /// The fact: lower case, no full stop, no value.
    pub message: String,
    /// The next step, as an imperative or a command to type.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem that stops the work.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, at: None, key: None, message: message.into(), hint: None }
    }

    /// A problem that is said while the work goes on.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// The same problem, at a place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.at = Some(location);
        self
    }

    /// The same problem, about a data key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same problem, with the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether it stops the work.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
