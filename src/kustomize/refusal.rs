//! Why a tree is not resolved.

use std::fmt;

use thiserror::Error;

/// A refusal: kustomize itself does not build the tree, or may build it in a way that is not modelled here.
///
/// Guarantees: no refusal holds a value of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// kustomize may build this; what comes out is not known here, and is never guessed.
    #[error("{0}")]
    Unmodelled(Reason),
    /// kustomize itself refuses to build this.
    #[error("{0}")]
    Broken(Reason),
}

/// What is refused, where, and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable kebab-case name, for machines and for the manual.
    pub code: &'static str,
    /// The file, from the top of the repository; a folder if the file itself is what is missing.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// The fact: lower case, no full stop, no value of a Secret.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", if self.file.is_empty() { "." } else { &self.file }, self.line, self.message)
    }
}

impl Refusal {
    /// Whether kustomize itself refuses the tree.
    pub fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    /// What is refused, where, and the next step.
    pub fn reason(&self) -> &Reason {
        match self {
            Self::Unmodelled(reason) | Self::Broken(reason) => reason,
        }
    }

    /// The file, from the top of the repository.
    pub fn file(&self) -> &str {
        &self.reason().file
    }

    /// The line in the file, from 1.
    pub fn line(&self) -> usize {
        self.reason().line
    }

    /// The next step, if there is one to name.
    pub fn hint(&self) -> Option<&str> {
        self.reason().hint.as_deref()
    }

    /// The same refusal, with the next step.
    #[must_use]
    pub(super) fn hinted(mut self, hint: impl Into<String>) -> Self {
        match &mut self {
            Self::Unmodelled(reason) | Self::Broken(reason) => reason.hint = Some(hint.into()),
        }
        self
    }
}

/// A place to refuse at: a file and a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: std::sync::Arc<str>,
    pub(super) line: usize,
}

impl At {
    pub(super) fn new(file: &str, line: usize) -> Self {
        Self { file: file.into(), line }
    }

    /// Another line of the same file.
    pub(super) fn line(&self, line: usize) -> Self {
        Self { file: self.file.clone(), line }
    }

    /// kustomize does not build this.
    pub(super) fn broken(&self, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal::Broken(self.reason(code, message.into()))
    }

    /// What kustomize makes of this is not known here.
    pub(super) fn unmodelled(&self, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal::Unmodelled(self.reason(code, message.into()))
    }

    fn reason(&self, code: &'static str, message: String) -> Reason {
        Reason { code, file: self.file.to_string(), line: self.line, message, hint: None }
    }
}
