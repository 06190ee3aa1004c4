//! The closed lists of condition types and of reasons.

use std::fmt;

use crate::open;

/// A type of condition in the status of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// The Secret is there and holds what the document says.
    Ready,
    /// Something is under way, or waits for the API server. kstatus reads it as "in progress".
    Reconciling,
    /// Nothing will change until somebody changes something. kstatus reads it as "failed".
    Stalled,
    /// The Secret that stands there is of an earlier generation of the document.
    Stale,
    /// The document asks to be left alone.
    Paused,
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a document is Ready or not: a closed list, and a label value of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadyReason {
    /// It is ready.
    Opened,
    /// The document stands where it was not sealed for.
    ScopeMismatch,
    /// No identity of this cluster is one of its recipients.
    NotARecipient,
    /// A value does not open. One word for all of it, so that nobody learns from the difference.
    CannotOpen,
    /// The document breaks a cap or a shape.
    Malformed,
    /// The type of Secret, a label or an annotation is one that the controller does not make.
    DeniedType,
    /// A Secret of that name is there, and is not the document's.
    NotOwned,
    /// The Secret cannot be changed to what the document says.
    ImmutableConflict,
    /// The Secret would be larger than Kubernetes stores.
    TooLarge,
    /// The API server, or a webhook, refused the Secret.
    Rejected,
    /// The controller's Role does not allow it.
    Forbidden,
    /// A quota of the namespace is exhausted.
    QuotaExceeded,
}

impl ReadyReason {
    /// Every reason, for tables and metrics.
    pub const ALL: [Self; 12] = [
        Self::Opened,
        Self::ScopeMismatch,
        Self::NotARecipient,
        Self::CannotOpen,
        Self::Malformed,
        Self::DeniedType,
        Self::NotOwned,
        Self::ImmutableConflict,
        Self::TooLarge,
        Self::Rejected,
        Self::Forbidden,
        Self::QuotaExceeded,
    ];

    /// The reason as it stands in a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "Opened",
            Self::ScopeMismatch => "ScopeMismatch",
            Self::NotARecipient => "NotARecipient",
            Self::CannotOpen => "CannotOpen",
            Self::Malformed => "Malformed",
            Self::DeniedType => "DeniedType",
            Self::NotOwned => "NotOwned",
            Self::ImmutableConflict => "ImmutableConflict",
            Self::TooLarge => "TooLarge",
            Self::Rejected => "Rejected",
            Self::Forbidden => "Forbidden",
            Self::QuotaExceeded => "QuotaExceeded",
        }
    }
}

impl fmt::Display for ReadyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<open::Reason> for ReadyReason {
    fn from(reason: open::Reason) -> Self {
        match reason {
            open::Reason::Malformed => Self::Malformed,
            open::Reason::ScopeMismatch => Self::ScopeMismatch,
            open::Reason::NotARecipient => Self::NotARecipient,
            open::Reason::CannotOpen => Self::CannotOpen,
        }
    }
}
