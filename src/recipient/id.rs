//! The short, unauthenticated claim of who can open an envelope.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::RecipientError;

/// Names a recipient in a sealed file: `r` and 16 lower-case hex digits.
///
/// It is the first eight bytes of SHA-256 over the recipient's canonical text. A claim, and nothing more: it orders the
/// tries and tells people who should be able to read; only a key can tell who is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipientId([u8; 8]);

impl RecipientId {
    /// The id of a recipient's canonical text.
    pub fn of(canonical: &str) -> Self {
        let digest = Sha256::digest(canonical.as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        Self(id)
    }
}

impl fmt::Display for RecipientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for RecipientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecipientId {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix('r').ok_or(RecipientError::Kind)?;
        parse_hex8(hex).map(Self).ok_or(RecipientError::Kind)
    }
}

/// Parses exactly 16 lower-case hex digits.
pub(crate) fn parse_hex8(text: &str) -> Option<[u8; 8]> {
    let canonical = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    canonical.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(u64::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways_in_one_form_only() {
        let id = RecipientId::of("age1example");
        assert_eq!(id.to_string().parse::<RecipientId>(), Ok(id));
        for text in
            ["", "r", "r123", "1234567890123456", "r123456789012345G", "r12345678901234567", "rABCDEF0123456789"]
        {
            assert!(text.parse::<RecipientId>().is_err(), "{text}");
        }
    }
}
