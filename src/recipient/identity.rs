//! Private keys, and the ring of them that a document is opened with.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use age::DecryptError;
use age_core::format::{FileKey, Stanza};
use age_core::secrecy::ExposeSecret;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::hybrid::HybridIdentity;
use super::{Recipient, RecipientError, RecipientId, RecipientKind};

/// A private key that opens what is sealed for its recipient.
///
/// Guarantees: `Debug` shows the recipient's id and never the key. A clone shares the key: there is one copy in memory,
/// overwritten when the last of them is dropped.
#[derive(Clone)]
pub struct Identity {
    recipient: Option<Arc<Recipient>>,
    secret: Arc<Secret>,
}

enum Secret {
    Hybrid(Box<HybridIdentity>),
    X25519(age::x25519::Identity),
    Custom(Box<dyn age::Identity + Send + Sync>),
}

impl Identity {
    /// Makes a new post-quantum identity.
    pub fn generate_hybrid(rng: &mut impl CryptoRngCore) -> Self {
        Self::hybrid(HybridIdentity::generate(rng))
    }

    /// Makes a new classic identity. age takes the randomness from the operating system itself.
    pub fn generate_x25519() -> Self {
        Self::x25519(age::x25519::Identity::generate())
    }

    /// An identity of a kind that the core does not make itself; its recipient may be unknown.
    pub fn custom(recipient: Option<Recipient>, key: Box<dyn age::Identity + Send + Sync>) -> Self {
        Self { recipient: recipient.map(Arc::new), secret: Arc::new(Secret::Custom(key)) }
    }

    fn hybrid(key: HybridIdentity) -> Self {
        let public = key.to_public();
        let recipient = Recipient::custom(public.to_string(), RecipientKind::Hybrid, Box::new(public));
        Self { recipient: Some(Arc::new(recipient)), secret: Arc::new(Secret::Hybrid(Box::new(key))) }
    }

    fn x25519(key: age::x25519::Identity) -> Self {
        let public = key.to_public();
        let recipient = Recipient::custom(public.to_string(), RecipientKind::X25519, Box::new(public));
        Self { recipient: Some(Arc::new(recipient)), secret: Arc::new(Secret::X25519(key)) }
    }

    /// The recipient that this identity opens for, where it is known.
    pub fn recipient(&self) -> Option<&Recipient> {
        self.recipient.as_deref()
    }

    /// The private key as age writes it, for the native kinds.
    pub fn to_secret_string(&self) -> Option<Zeroizing<String>> {
        match &*self.secret {
            Secret::Hybrid(key) => Some(key.to_secret_string()),
            Secret::X25519(key) => Some(Zeroizing::new(key.to_string().expose_secret().to_owned())),
            Secret::Custom(_) => None,
        }
    }

    fn key(&self) -> &dyn age::Identity {
        match &*self.secret {
            Secret::Hybrid(key) => &**key,
            Secret::X25519(key) => key,
            Secret::Custom(key) => &**key,
        }
    }
}

impl age::Identity for Identity {
    /// Unwraps without a budget: for an identity file that is itself encrypted, and for the user's own headers.
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.key().unwrap_stanza(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        self.key().unwrap_stanzas(stanzas)
    }
}

impl FromStr for Identity {
    type Err = RecipientError;

    /// Parses `AGE-SECRET-KEY-PQ-1…` or `AGE-SECRET-KEY-1…`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let prefix = text.get(..18).unwrap_or_default();
        if prefix.eq_ignore_ascii_case("AGE-SECRET-KEY-PQ-") {
            return Ok(Self::hybrid(text.parse()?));
        }
        if !prefix.get(..16).unwrap_or_default().eq_ignore_ascii_case("AGE-SECRET-KEY-1") {
            return Err(RecipientError::Kind);
        }
        text.parse().map(Self::x25519).map_err(|reason| match reason {
            "invalid Bech32 encoding" => RecipientError::Checksum,
            _ => RecipientError::Key,
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("recipient", &self.recipient().map(Recipient::id)).finish_non_exhaustive()
    }
}

/// The identities at hand.
#[derive(Debug, Default)]
pub struct KeyRing {
    identities: Vec<Identity>,
}

impl KeyRing {
    /// A ring of these identities, tried in this order where no claim says better.
    pub fn new(identities: Vec<Identity>) -> Self {
        Self { identities }
    }

    /// Whether there is no identity at all.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// The identities, in their order.
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// Whether one of these recipients is claimed to be ours.
    pub fn claims(&self, claimed: &[RecipientId]) -> bool {
        self.identities.iter().any(|identity| is_claimed(identity, claimed))
    }

    /// The identities to try, those that the claim names first.
    pub(crate) fn ordered<'a>(&'a self, claimed: &'a [RecipientId]) -> impl Iterator<Item = &'a Identity> {
        let named = self.identities.iter().filter(move |identity| is_claimed(identity, claimed));
        let others = self.identities.iter().filter(move |identity| !is_claimed(identity, claimed));
        named.chain(others)
    }
}

fn is_claimed(identity: &Identity, claimed: &[RecipientId]) -> bool {
    identity.recipient().is_some_and(|recipient| claimed.contains(&recipient.id()))
}

/// An identity whose unwraps are counted against a document's budget, so that no file can buy unbounded work.
pub(crate) struct Budgeted<'a> {
    pub(crate) identity: &'a Identity,
    /// Which stanza the claims say is this identity's. No more than a hint: whoever wrote the file wrote them too.
    pub(crate) place: Option<usize>,
    pub(crate) left: &'a Cell<usize>,
    /// Whose identity fitted, of all that share this cell.
    pub(crate) fitted: &'a Cell<Option<RecipientId>>,
}

impl Budgeted<'_> {
    fn told<T, E>(&self, unwrapped: Option<Result<T, E>>) -> Option<Result<T, E>> {
        if matches!(unwrapped, Some(Ok(_))) {
            self.fitted.set(self.identity.recipient().map(Recipient::id));
        }
        unwrapped
    }
}

impl age::Identity for Budgeted<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        // Only a stanza of the identity's kind costs anything; the kinds of foreign identities are not known here.
        let costs = match &*self.identity.secret {
            Secret::Hybrid(_) => stanza.tag == super::hybrid::STANZA_TAG,
            Secret::X25519(_) => stanza.tag == "X25519",
            Secret::Custom(_) => true,
        };
        if costs {
            let left = self.left.get().checked_sub(1)?;
            self.left.set(left);
        }
        self.told(self.identity.key().unwrap_stanza(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        match &*self.identity.secret {
            // A plugin wants the whole header at once: one conversation, one try.
            Secret::Custom(key) => {
                let left = self.left.get().checked_sub(1)?;
                self.left.set(left);
                self.told(key.unwrap_stanzas(stanzas))
            }
            _ => in_turn(stanzas, self.place).find_map(|stanza| self.unwrap_stanza(stanza)),
        }
    }
}

/// All stanzas, the one at that place first: a stanza of somebody else costs as much to try as one's own.
fn in_turn(stanzas: &[Stanza], place: Option<usize>) -> impl Iterator<Item = &Stanza> {
    let first = place.and_then(|place| stanzas.get(place));
    let others = stanzas.iter().enumerate().filter(move |(index, _)| Some(*index) != place).map(|(_, stanza)| stanza);
    first.into_iter().chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stanza_is_tried_once_and_the_hinted_one_first() {
        let stanza = |tag: &str| Stanza { tag: tag.to_owned(), args: Vec::new(), body: Vec::new() };
        let stanzas = ["a", "b", "c"].map(stanza);
        let order = |place| in_turn(&stanzas, place).map(|stanza| stanza.tag.as_str()).collect::<String>();
        assert_eq!([None, Some(0), Some(1), Some(2), Some(3)].map(order), ["abc", "abc", "bac", "cab", "abc"]);
    }

    #[test]
    fn the_native_kinds_go_through_text() {
        for identity in [Identity::generate_x25519(), Identity::generate_hybrid(&mut rand_core::OsRng)] {
            let text = identity.to_secret_string().unwrap();
            let again: Identity = text.parse().unwrap();
            assert_eq!(again.recipient(), identity.recipient());
            assert!(!format!("{identity:?}").contains(&text[20..40]));
        }
    }

    #[test]
    fn the_claimed_identity_is_tried_first() {
        let ring = KeyRing::new((0..4).map(|_| Identity::generate_x25519()).collect());
        let third = ring.identities()[2].recipient().unwrap().id();
        let order: Vec<_> = ring.ordered(&[third]).map(|i| i.recipient().unwrap().id()).collect();
        assert_eq!(order.len(), 4);
        assert_eq!(order[0], third);
        assert!(ring.claims(&[third]));
    }

    #[test]
    fn other_texts_are_not_identities() {
        for text in ["", "AGE-SECRET-KEY-", "AGE-PLUGIN-YUBIKEY-1QQ", "age1qqq", "äääääääääääääääää"] {
            assert_eq!(text.parse::<Identity>().unwrap_err(), RecipientError::Kind, "{text}");
        }
    }
}
