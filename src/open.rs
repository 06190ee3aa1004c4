//! Opening a sealed document: fail closed, in one fixed order, all values or none.
//!
//! 1. caps and shape, before age or any cryptography runs: [`OpenError::Malformed`];
//! 2. the live namespace and name against the scope of every item: [`OpenError::ScopeMismatch`];
//! 3. an envelope for every item, and an identity that fits it: [`OpenError::NotARecipient`];
//! 4. the envelope, its 80 bytes and the key id: [`OpenError::Envelope`];
//! 5. each value: [`OpenError::Value`].
//!
//! The last two read the same to everybody, [`Reason::CannotOpen`]: they are opaque on purpose.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use crate::envelope::{EnvelopeError, MAX_UNWRAPS, OpenedDek, UnwrapError, check_caps, unwrap};
use crate::format::{
    AgeFile, Envelope, Item, Kid, MAX_ENVELOPES, MAX_ITEMS, MAX_RECIPIENTS, Sealed, is_data_key, is_secret_type,
};
use crate::recipient::{KeyRing, RecipientId};
use crate::scope::Scope;
use crate::seal::Context;
use crate::secret::Plaintext;

/// Why a document does not open. Each variant is one step of the order above; none holds anything of a value.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The document breaks a cap or a shape.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The document stands where it was not sealed for.
    #[error("sealed for {sealed_for}; this document is {namespace}/{name}")]
    ScopeMismatch {
        /// The data key whose scope does not match; none when a document without items does not.
        key: Option<String>,
        /// The scope of that item.
        sealed_for: Scope,
        /// The namespace that the document has.
        namespace: String,
        /// The name that the document has.
        name: String,
    },
    /// No identity at hand opens the envelope of this data key.
    #[error("data key {key}: no identity fits its envelope")]
    NotARecipient {
        /// The data key.
        key: String,
        /// The recipients that its envelope claims.
        claimed: Vec<RecipientId>,
    },
    /// An envelope of this data key is for us and broken: its age file, the 80 bytes in it, or the key id.
    #[error("data key {key}: the value does not open here")]
    Envelope {
        /// The data key.
        key: String,
    },
    /// The value of this data key does not open: its context, its commitment, its bytes or its padding.
    #[error("data key {key}: the value does not open here")]
    Value {
        /// The data key.
        key: String,
    },
}

/// Why a document does not open, as far as anybody is told: a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The document breaks a cap or a shape.
    Malformed,
    /// The document stands where it was not sealed for.
    ScopeMismatch,
    /// No identity at hand is one of its recipients.
    NotARecipient,
    /// Anything after that. One word for all of it, so that nobody learns from the difference.
    CannotOpen,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl OpenError {
    /// The reason that is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::Malformed,
            Self::ScopeMismatch { .. } => Reason::ScopeMismatch,
            Self::NotARecipient { .. } => Reason::NotARecipient,
            Self::Envelope { .. } | Self::Value { .. } => Reason::CannotOpen,
        }
    }
}

/// Which cap or shape a document breaks.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Too many items.
    #[error("{0} items, and a document holds at most {MAX_ITEMS}")]
    TooManyItems(usize),
    /// Too many envelopes.
    #[error("{0} envelopes, `also` counted, and a document holds at most {MAX_ENVELOPES}")]
    TooManyEnvelopes(usize),
    /// A type that no Secret has.
    #[error("the type is not one that a Secret can have")]
    Type,
    /// A data key that no Secret has.
    #[error("a data key is 1 to 253 letters, digits, `-`, `_` or `.`")]
    DataKey,
    /// A document as it is deployed, without a scope of its own: only an overlay's patch leaves it to its items.
    #[error("the document has no scope")]
    NoDocumentScope,
    /// An item without a scope in a document without one.
    #[error("data key {key}: neither the item nor the document has a scope")]
    NoScope {
        /// The data key.
        key: String,
    },
    /// An envelope that claims nobody, or too many.
    #[error("an envelope claims {0} recipients, and 1 to {MAX_RECIPIENTS} are possible")]
    Recipients(usize),
    /// No envelope for a value.
    #[error("data key {key}: no envelope k{kid}")]
    NoEnvelope {
        /// The data key.
        key: String,
        /// The key id of its value.
        kid: Kid,
    },
    /// An envelope breaks its caps.
    #[error("an envelope is {0}")]
    Envelope(EnvelopeError),
}

/// The place that a document claims to be in.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    /// `metadata.namespace`.
    pub namespace: &'a str,
    /// `metadata.name`.
    pub name: &'a str,
}

/// What opening found: the values, and the DEKs that they came under, for re-wrapping.
pub struct Opened {
    /// The values by data key.
    pub values: BTreeMap<String, Plaintext>,
    /// The DEK of each key id that an item refers to.
    pub deks: BTreeMap<Kid, OpenedDek>,
}

impl Sealed {
    /// Checks every cap and shape that can be checked without a key: the first step of opening, and all of `check`.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.items.len() > MAX_ITEMS {
            return Err(Malformed::TooManyItems(self.items.len()));
        }
        let files = self.all_envelopes().map(|envelope| envelope.files().count()).sum();
        if files > MAX_ENVELOPES {
            return Err(Malformed::TooManyEnvelopes(files));
        }
        if !is_secret_type(&self.secret_type) {
            return Err(Malformed::Type);
        }
        for (key, item) in &self.items {
            if !is_data_key(key) {
                return Err(Malformed::DataKey);
            }
            if self.effective_scope(item).is_none() {
                return Err(Malformed::NoScope { key: key.clone() });
            }
            if item.envelope.is_none() && !self.envelopes.contains_key(&item.value.kid) {
                return Err(Malformed::NoEnvelope { key: key.clone(), kid: item.value.kid });
            }
        }
        self.all_envelopes().flat_map(Envelope::files).try_for_each(check_file)
    }
}

fn check_file(file: &AgeFile) -> Result<(), Malformed> {
    if !(1..=MAX_RECIPIENTS).contains(&file.recipients.len()) {
        return Err(Malformed::Recipients(file.recipients.len()));
    }
    check_caps(&file.age).map_err(Malformed::Envelope)
}

/// Opens a document.
///
/// With `live`, the namespace and name must match the scope of every item: this binds documents as they are deployed.
/// Without it only the authenticated context is checked, which is for *source* files, whose namespace kustomize may yet
/// set; say so to whoever asked.
///
/// Guarantees: all values or none; an error tells the step and the data key, never anything of a value.
pub fn open(sealed: &Sealed, live: Option<Live<'_>>, ring: &KeyRing) -> Result<Opened, OpenError> {
    open_within(sealed, live, ring, MAX_UNWRAPS)
}

/// As [`open`], with a budget of `unwraps` tries to unwrap a key, and never more than [`MAX_UNWRAPS`]. Where they do not
/// suffice, it is [`OpenError::NotARecipient`], or [`OpenError::Envelope`] if one that was tried was broken.
///
/// A document that says truly whom it is for takes one try for each of its age files. One that does not may take all of
/// them, some tens of milliseconds: whoever may not be busy for so long tries with few first.
pub fn open_within(
    sealed: &Sealed,
    live: Option<Live<'_>>,
    ring: &KeyRing,
    unwraps: usize,
) -> Result<Opened, OpenError> {
    sealed.check()?;
    if let Some(live) = live {
        if sealed.scope.is_none() {
            return Err(Malformed::NoDocumentScope.into());
        }
        check_scope(sealed, live)?;
    }
    let mut opener = Opener { sealed, ring, left: Cell::new(unwraps.min(MAX_UNWRAPS)), deks: BTreeMap::new() };
    let mut values = BTreeMap::new();
    for (key, item) in &sealed.items {
        values.insert(key.clone(), opener.open_item(key, item)?);
    }
    Ok(Opened { values, deks: opener.deks })
}

fn check_scope(sealed: &Sealed, live: Live<'_>) -> Result<(), OpenError> {
    let items = sealed.items.iter().map(|(key, item)| (Some(key), sealed.effective_scope(item)));
    // A document without items becomes a Secret all the same, so its own scope counts.
    let document = sealed.items.is_empty().then_some((None, sealed.scope.as_ref()));
    for (key, scope) in items.chain(document) {
        let Some(scope) = scope else {
            return Err(Malformed::NoScope { key: key.cloned().unwrap_or_default() }.into());
        };
        // Nothing stands in no namespace, whatever `*` would match.
        if live.namespace.is_empty() || live.name.is_empty() || !scope.matches(live.namespace, live.name) {
            return Err(OpenError::ScopeMismatch {
                key: key.cloned(),
                sealed_for: scope.clone(),
                namespace: live.namespace.to_owned(),
                name: live.name.to_owned(),
            });
        }
    }
    Ok(())
}

struct Opener<'a> {
    sealed: &'a Sealed,
    ring: &'a KeyRing,
    /// Unwraps that are left in the document's budget.
    left: Cell<usize>,
    /// DEKs by their recomputed key id: values that were sealed together cost one unwrap together.
    deks: BTreeMap<Kid, OpenedDek>,
}

impl Opener<'_> {
    fn open_item(&mut self, key: &str, item: &Item) -> Result<Plaintext, OpenError> {
        let kid = item.value.kid;
        if !self.deks.contains_key(&kid) {
            let dek = self.find(key, item)?;
            self.deks.insert(kid, dek);
        }
        let cannot_open = || OpenError::Value { key: key.to_owned() };
        let scope = self.sealed.effective_scope(item).ok_or_else(cannot_open)?;
        let context = Context { secret_type: &self.sealed.secret_type, key, scope };
        let dek = self.deks.get(&kid).ok_or_else(cannot_open)?;
        dek.open(context, &item.value).map_err(|_| cannot_open())
    }

    /// Looks a DEK up: the item's own envelope if it gives the value's kid, else the shared one; within an envelope
    /// its file, then each `also`. A file that gives another DEK is passed over, and decides only if nothing fits.
    fn find(&self, key: &str, item: &Item) -> Result<OpenedDek, OpenError> {
        let shared = self.sealed.envelopes.get(&item.value.kid);
        let mut broken = false;
        for envelope in item.envelope.iter().chain(shared) {
            for file in envelope.files() {
                match unwrap(file, self.ring, &self.left) {
                    Ok(dek) if dek.kid() == item.value.kid => return Ok(dek),
                    Err(UnwrapError::NoIdentity) => {}
                    Err(UnwrapError::Refused(error)) => return Err(Malformed::Envelope(error).into()),
                    Ok(_) | Err(UnwrapError::Broken) => broken = true,
                }
            }
        }
        if broken {
            return Err(OpenError::Envelope { key: key.to_owned() });
        }
        let mut claimed: Vec<_> = item.envelope.iter().chain(shared).flat_map(Envelope::claimed).collect();
        claimed.sort_unstable();
        claimed.dedup();
        Err(OpenError::NotARecipient { key: key.to_owned(), claimed })
    }
}
