//! Who a value is sealed for, and who opens it.
//!
//! The core knows the two native kinds, `age1pq…` and `age1…`. Whatever else age speaks (ssh keys, plugins) is made by
//! the command line and handed in through [`Recipient::custom`] and [`Identity::custom`]; the controller has neither.

mod hybrid;
mod id;
mod identity;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};

use hybrid::HybridRecipient;
pub use id::RecipientId;
pub(crate) use id::parse_hex8;
pub(crate) use identity::Budgeted;
pub use identity::{Identity, KeyRing};

/// Why a text is not a recipient or an identity. The text itself is never repeated: it may be a private key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecipientError {
    /// The text is a private key where a public one belongs.
    #[error("this is a private key, not a recipient")]
    PrivateKey,
    /// A mistyped or shortened key: bech32 catches up to four wrong characters.
    #[error("mistyped key: its checksum does not fit")]
    Checksum,
    /// The text is not of a kind that is known here.
    #[error("not an age recipient of a known kind")]
    Kind,
    /// The checksum fits, and the key inside cannot be one: a wrong length, a low-order point, an unreduced lattice key.
    #[error("not a valid public key: no honest program makes this one")]
    Key,
}

/// What a recipient is made of, which decides whom it may stand beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecipientKind {
    /// `age1pq…`: ML-KEM-768 with X25519.
    Hybrid,
    /// `age1…`: X25519.
    X25519,
    /// `ssh-ed25519 …` and `ssh-rsa …`.
    Ssh,
    /// `age1NAME1…`: a plugin, such as a hardware key.
    Plugin,
}

impl RecipientKind {
    /// Whether what is sealed for it stays closed to a quantum computer. Plugins cannot be told, so they count as not.
    pub fn is_post_quantum(self) -> bool {
        self == Self::Hybrid
    }
}

impl fmt::Display for RecipientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hybrid => "post-quantum (age1pq)",
            Self::X25519 => "classic (age1)",
            Self::Ssh => "classic (ssh)",
            Self::Plugin => "classic (plugin)",
        })
    }
}

/// A public key that values are sealed for.
pub struct Recipient {
    canonical: String,
    kind: RecipientKind,
    id: RecipientId,
    key: Box<dyn age::Recipient + Send + Sync>,
}

impl Recipient {
    /// A recipient of a kind that the core does not make itself.
    ///
    /// `canonical` is the text that its [`RecipientId`] is the hash of: bech32 in lower case, ssh keys without comment.
    pub fn custom(canonical: String, kind: RecipientKind, key: Box<dyn age::Recipient + Send + Sync>) -> Self {
        let id = RecipientId::of(&canonical);
        Self { canonical, kind, id, key }
    }

    /// The recipient's text in canonical form.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The short claim that sealed files carry of it.
    pub fn id(&self) -> RecipientId {
        self.id
    }

    /// What it is made of.
    pub fn kind(&self) -> RecipientKind {
        self.kind
    }

    /// Whether what is sealed for it stays closed to a quantum computer.
    pub fn is_post_quantum(&self) -> bool {
        self.kind.is_post_quantum()
    }

    /// The key, for age.
    pub(crate) fn key(&self) -> &dyn age::Recipient {
        &*self.key
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    /// Parses `age1pq1…` or `age1…`.
    ///
    /// Low-order points are refused here: age 0.12 panics when it encrypts to one.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        if looks_private(&lower) {
            return Err(RecipientError::PrivateKey);
        }
        if lower.starts_with("age1pq1") {
            let key: HybridRecipient = text.parse()?;
            return Ok(Self::custom(key.to_string(), RecipientKind::Hybrid, Box::new(key)));
        }
        // `age1NAME1…` is a plugin's: bech32 takes the last `1` as its separator, and data has none.
        if !lower.starts_with("age1") || lower[4..].contains('1') {
            return Err(RecipientError::Kind);
        }
        let key: age::x25519::Recipient = text.parse().map_err(|reason| match reason {
            "invalid Bech32 encoding" => RecipientError::Checksum,
            _ => RecipientError::Key,
        })?;
        let canonical = key.to_string();
        if is_low_order(&x25519_bytes(&canonical)?) {
            return Err(RecipientError::Key);
        }
        Ok(Self::custom(canonical, RecipientKind::X25519, Box::new(key)))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient").field("id", &self.id).field("kind", &self.kind).finish()
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Recipient {}

/// Whether a text in lower case begins as private keys do.
pub fn looks_private(lower: &str) -> bool {
    let lower = lower.trim_start();
    lower.starts_with("age-secret-key-") || lower.starts_with("age-plugin-") || lower.starts_with("-----begin")
}

fn x25519_bytes(canonical: &str) -> Result<[u8; 32], RecipientError> {
    age_core::primitives::bech32_decode(
        canonical,
        |_| RecipientError::Checksum,
        |_| Ok(()),
        |_, bytes| bytes.collect::<Vec<_>>().try_into().map_err(|_| RecipientError::Key),
    )
}

/// Whether a point has small order: a clamped scalar is a multiple of eight, so it sends exactly those to zero.
fn is_low_order(point: &[u8; 32]) -> bool {
    !StaticSecret::from([1; 32]).diffie_hellman(&PublicKey::from(*point)).was_contributory()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_refused_by_name() {
        for text in ["AGE-SECRET-KEY-1QQQ", "age-secret-key-pq-1qq", "AGE-PLUGIN-YUBIKEY-1Q", "-----BEGIN OPENSSH"] {
            assert_eq!(text.parse::<Recipient>(), Err(RecipientError::PrivateKey), "{text}");
        }
    }

    #[test]
    fn a_wrong_character_is_a_checksum_error() {
        let identity = Identity::generate_hybrid(&mut rand_core::OsRng);
        let good = identity.recipient().unwrap().canonical().to_owned();
        let last = if good.ends_with('q') { 'p' } else { 'q' };
        let bad = format!("{}{last}", &good[..good.len() - 1]);
        assert_eq!(bad.parse::<Recipient>(), Err(RecipientError::Checksum));
        let classic = Identity::generate_x25519().recipient().unwrap().canonical().to_owned();
        let last = if classic.ends_with('q') { 'p' } else { 'q' };
        let bad = format!("{}{last}", &classic[..classic.len() - 1]);
        assert_eq!(bad.parse::<Recipient>(), Err(RecipientError::Checksum));
    }

    #[test]
    fn upper_case_is_the_same_recipient() {
        for identity in [Identity::generate_x25519(), Identity::generate_hybrid(&mut rand_core::OsRng)] {
            let recipient = identity.recipient().unwrap();
            let upper: Recipient = recipient.canonical().to_ascii_uppercase().parse().unwrap();
            assert_eq!(&upper, recipient);
            assert_eq!(upper.id(), recipient.id());
        }
    }

    #[test]
    fn low_order_points_are_refused() {
        let hrp = bech32::Hrp::parse_unchecked("age");
        let mut one = [0; 32];
        one[0] = 1;
        for point in [[0; 32], one] {
            let text = age_core::primitives::bech32_encode(hrp, &point);
            assert_eq!(text.parse::<Recipient>(), Err(RecipientError::Key), "{text}");
        }
    }

    #[test]
    fn an_unreduced_lattice_key_is_refused() {
        let good = Identity::generate_hybrid(&mut rand_core::OsRng).recipient().unwrap().canonical().to_owned();
        let hrp = bech32::Hrp::parse_unchecked("age1pq");
        let mut bytes: Vec<u8> =
            age_core::primitives::bech32_decode(&good, |_| (), |_| Ok(()), |_, b| Ok(b.collect())).unwrap();
        // The first coefficient becomes 4095, above q = 3329.
        bytes[0] = 0xff;
        bytes[1] |= 0x0f;
        let text = age_core::primitives::bech32_encode(hrp, &bytes);
        assert_eq!(text.parse::<Recipient>(), Err(RecipientError::Key));
    }

    #[test]
    fn other_kinds_are_not_guessed() {
        for text in ["", "age", "age1yubikey1qqqq", "ssh-ed25519 AAAA", "agee1qqq", "hello"] {
            assert_eq!(text.parse::<Recipient>(), Err(RecipientError::Kind), "{text}");
        }
    }
}
