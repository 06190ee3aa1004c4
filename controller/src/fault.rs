//! What is wrong with a document, as its status says it.

use ageseal::api::ReadyReason;

/// The most data keys that a status names.
pub const MAX_FAULTY_KEYS: usize = 32;

/// Why a document is not Ready: the user's matter, told in a condition.
///
/// Guarantees: nothing of it depends on a plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One of the closed list.
    pub reason: ReadyReason,
    /// A sentence without its full stop.
    pub message: String,
    /// The data keys at fault.
    pub keys: Vec<String>,
}

impl Fault {
    /// A fault of the document as a whole.
    pub fn new(reason: ReadyReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), keys: Vec::new() }
    }

    /// Names the data keys at fault: sorted, each once, and no more than a status holds.
    #[must_use]
    pub fn keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.keys = keys.into_iter().collect();
        self.keys.sort();
        self.keys.dedup();
        self.keys.truncate(MAX_FAULTY_KEYS);
        self
    }

    /// Whether it can end without a change of the document: by somebody's change of the Secret, a quota, a webhook, a
    /// Role.
    pub fn may_pass(&self) -> bool {
        use ReadyReason::{Forbidden, ImmutableConflict, NotOwned, QuotaExceeded, Rejected};
        matches!(self.reason, NotOwned | ImmutableConflict | Rejected | Forbidden | QuotaExceeded)
    }

    /// Whether another identity could end it.
    pub fn may_open_later(&self) -> bool {
        matches!(self.reason, ReadyReason::NotARecipient | ReadyReason::CannotOpen)
    }
}
