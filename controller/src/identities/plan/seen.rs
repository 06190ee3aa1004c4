//! What a decision about the identities stands on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ageseal::api::{IDENTITY_ACTIVE, IDENTITY_CURRENT, IDENTITY_RETIRED};
use ageseal::recipient::{Recipient, RecipientId};
use jiff::{SignedDuration, Timestamp};

use crate::identities::content::Fault;

/// Everything that a decision stands on.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The identity Secrets, by name.
    pub secrets: Vec<SeenSecret>,
    /// The ConfigMap with the recipients, if there is one.
    pub configmap: Option<SeenConfigMap>,
    /// Whose identities have a backup that is an age file.
    pub backups: BTreeSet<RecipientId>,
    /// Whose identities have a backup that the API server did not take at the last try.
    pub unsaved: BTreeSet<RecipientId>,
    /// Whether the status of some document names an identity; `None` until the documents were read.
    pub was_used: Option<bool>,
    /// What this process saw published and at hand.
    pub confirmed: Option<Confirmed>,
    /// Serials whose names belong to Secrets that are no identity Secrets.
    pub taken: BTreeSet<u64>,
}

/// An identity Secret, without its private keys.
#[derive(Clone, Debug)]
pub struct SeenSecret {
    /// Its name.
    pub name: String,
    /// What a write to it must name.
    pub resource_version: String,
    /// Its label.
    pub state: State,
    /// Its annotation, as text.
    pub annotation: Option<String>,
    /// Whether the controller or `ageseal keys` wrote the annotation, to this very Secret.
    pub bound: bool,
    /// When the API server made it.
    pub created: Timestamp,
    /// The recipients of the identities inside, by data key and line.
    pub recipients: Vec<Public>,
    /// What is wrong with its data keys.
    pub faults: Vec<Fault>,
}

/// A recipient as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// Its id.
    pub id: RecipientId,
    /// Its canonical text.
    pub text: String,
}

impl From<&Recipient> for Public {
    fn from(recipient: &Recipient) -> Self {
        Self { id: recipient.id(), text: recipient.canonical().to_owned() }
    }
}

/// The label of an identity Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Its recipient is published.
    Current,
    /// It opens.
    Active,
    /// It still opens, and is to be removed.
    Retired,
    /// A word that is none of these; it opens as if it were active.
    Other,
}

impl State {
    /// Reads the label.
    pub fn of(label: &str) -> Self {
        match label {
            IDENTITY_CURRENT => Self::Current,
            IDENTITY_ACTIVE => Self::Active,
            IDENTITY_RETIRED => Self::Retired,
            _ => Self::Other,
        }
    }
}

/// The ConfigMap with the recipients, as somebody left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenConfigMap {
    /// Which one it is.
    pub version: Version,
    /// Its text data.
    pub data: BTreeMap<String, String>,
    /// The names of its binary data.
    pub binary: Vec<String>,
}

/// Exactly one state of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The object.
    pub uid: String,
    /// Its state.
    pub resource_version: String,
    /// Whether its content can only be changed by deleting it.
    pub immutable: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it has finalizers, which keep it there when it is deleted.
    pub held: bool,
}

/// What this process saw: that the ConfigMap named an identity that was at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Its serial and id.
    pub mark: Mark,
    /// When it became current.
    pub since: Timestamp,
    /// The text of its recipient.
    pub recipient: String,
}

/// An identity that was made or promoted to be current, and the how manieth it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Grows with every change of the current identity.
    pub serial: u64,
    /// The id of its recipient.
    pub id: RecipientId,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.serial, self.id)
    }
}

impl Mark {
    /// Reads the annotation; only the one form counts.
    fn parse(text: &str) -> Option<Self> {
        let (serial, id) = text.split_once('.')?;
        let mark = Self { serial: serial.parse().ok()?, id: id.parse().ok()? };
        (mark.to_string() == text).then_some(mark)
    }
}

/// What the command line decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// How old the current identity becomes before another takes over.
    pub renew_every: Option<SignedDuration>,
    /// Whether identities are backed up.
    pub backup: bool,
}

impl SeenSecret {
    /// Whether the identity of this recipient is inside.
    pub(super) fn holds(&self, id: RecipientId) -> bool {
        self.recipients.iter().any(|recipient| recipient.id == id)
    }

    /// The annotation, where it fits what is inside.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.annotation.as_deref().and_then(Mark::parse).filter(|mark| self.holds(mark.id))
    }
}
