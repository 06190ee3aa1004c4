//! What is decided about the identities, and how it is said.

use std::fmt;

use ageseal::api::{
    ANNOTATION_CURRENT, BACKUP_PREFIX, IDENTITY_ACTIVE, IDENTITY_CURRENT, IDENTITY_RETIRED, LABEL_IDENTITY, Published,
};
use ageseal::recipient::RecipientId;
use jiff::Timestamp;

use super::seen::{Confirmed, Mark, Version};
use crate::identities::content::Fault;

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not everything was read yet.
    Starting,
    /// There is a current identity.
    Ok,
    /// The identity that is to be published has to be backed up first, and the API server does not take the backup.
    Unsaved {
        /// Which one it is.
        id: RecipientId,
    },
    /// The identity that people seal for is gone.
    Lost {
        /// Which one it is, where that is known.
        published: Option<Mark>,
    },
    /// There is no current identity, and nothing says that there was one.
    None {
        /// Whether there are identity Secrets. If not, the leader makes the first.
        at_hand: bool,
    },
}

impl Health {
    /// The word for it in the metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ok => "ok",
            Self::Unsaved { .. } => "unsaved",
            Self::Lost { .. } => "lost",
            Self::None { .. } => "none",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("the identities are being read, or the recipient is being published"),
            Self::Ok => f.write_str("there is a current identity"),
            Self::Unsaved { id } => write!(f, "nothing is published yet: {}", Problem::Unsaved { id: *id }),
            Self::Lost { published } => {
                f.write_str("IdentityLost: ")?;
                match published {
                    // The mark, because the next one has to be above it.
                    Some(mark) => write!(f, "the identity that people seal for, {mark}, is gone")?,
                    None => f.write_str("there was an identity here, and it is gone")?,
                }
                f.write_str(
                    "; no other is published and none is made: bring it back with `ageseal keys restore FILE`, or make \
                     another with `ageseal keys new`",
                )
            }
            Self::None { at_hand: false } => f.write_str("there is no identity yet; the leader makes the first"),
            Self::None { at_hand: true } => f.write_str(
                "no identity is current: those at hand open, and none is published; choose one with `ageseal keys \
                 promote ID`, or make one with `ageseal keys new`",
            ),
        }
    }
}

/// What follows from what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The identities to open with: the current one, the others newest first, those to be removed last.
    pub order: Vec<RecipientId>,
    /// How things stand.
    pub health: Health,
    /// The current identity.
    pub current: Option<Confirmed>,
    /// What to remember.
    pub confirmed: Option<Confirmed>,
    /// What to do, in this order; after the first that does not succeed, look again. What is late keeps nothing waiting.
    pub actions: Vec<Action>,
    /// What somebody should know.
    pub problems: Vec<Problem>,
    /// When to look again although nothing changed.
    pub look_again: Option<Timestamp>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make an identity, back it up, and store it as `active` with this serial.
    Create {
        /// Its serial.
        serial: u64,
        /// Whether it is the first, and not a renewal.
        first: bool,
    },
    /// Back an identity up.
    WriteBackup {
        /// Which one.
        id: RecipientId,
        /// What waits for it.
        urgency: Urgency,
    },
    /// Change the label of an identity Secret.
    Relabel(Relabel),
    /// Write the ConfigMap.
    Publish(Publish),
}

impl Action {
    /// Whether nothing waits for it.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::WriteBackup { urgency: Urgency::Late, .. })
    }
}

/// What waits for a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Publication, and everything after it.
    First,
    /// Nothing: its identity has been published for a while.
    Late,
}

/// A change of label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relabel {
    /// The Secret.
    pub secret: String,
    /// Only if it is still as it was seen.
    pub resource_version: String,
    /// `current` or `active`.
    pub label: &'static str,
    /// The annotation to write, if it is to change.
    pub annotation: Option<String>,
    /// Why.
    pub why: RelabelReason,
}

/// Why a label changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelabelReason {
    /// It takes over.
    TakesOver,
    /// It came back.
    Returned,
    /// Another took over.
    Superseded,
    /// Nothing says that it was made or promoted to be current.
    Planted,
}

/// What the ConfigMap is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// All of it.
    pub content: Published,
    /// What it replaces.
    pub over: Option<Version>,
    /// Data that somebody else put there.
    pub foreign: Foreign,
    /// Why.
    pub why: PublishReason,
}

/// Data keys of the ConfigMap that are not ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Those with text.
    pub data: Vec<String>,
    /// Those with bytes.
    pub binary: Vec<String>,
}

/// Why the ConfigMap is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishReason {
    /// There is none.
    Missing,
    /// Another identity is current.
    TakenOver,
    /// The others changed.
    Older,
    /// Somebody changed it.
    Mended,
    /// The identity is lost, and what was published of it is missing or changed.
    PutBack,
}

/// What somebody should know, and the controller cannot mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// A Secret claims to be current and is not.
    Planted {
        /// Its name.
        secret: String,
    },
    /// A Secret would be current by its mark, and the mark was not written here.
    Copied {
        /// Its name.
        secret: String,
    },
    /// A Secret was current before the one that is published.
    Outdated {
        /// Its name.
        secret: String,
        /// Its serial.
        serial: u64,
    },
    /// The label of a Secret is not one of the three words.
    Label {
        /// Its name.
        secret: String,
    },
    /// A data key is not an identity file.
    Content {
        /// The Secret.
        secret: String,
        /// What is wrong.
        fault: Fault,
    },
    /// A Secret has no data key.
    Empty {
        /// Its name.
        secret: String,
    },
    /// The API server does not take a backup.
    Unsaved {
        /// Whose identity it is.
        id: RecipientId,
    },
    /// There is no larger serial.
    Serials,
}

impl Problem {
    /// The Secret that it is about, if it is about one.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Planted { secret }
            | Self::Copied { secret }
            | Self::Outdated { secret, .. }
            | Self::Label { secret }
            | Self::Content { secret, .. }
            | Self::Empty { secret } => Some(secret),
            Self::Unsaved { .. } | Self::Serials => None,
        }
    }

    /// The one word for it in events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Planted { .. } => "IdentityPlanted",
            Self::Copied { .. } => "IdentityCopied",
            Self::Outdated { .. } => "IdentityOutdated",
            Self::Label { .. } => "IdentityLabel",
            Self::Content { .. } | Self::Empty { .. } => "IdentityUnreadable",
            Self::Unsaved { .. } => "IdentityUnsaved",
            Self::Serials => "IdentitySerials",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planted { secret } => write!(
                f,
                "Secret {secret} is labelled current, but its annotation {ANNOTATION_CURRENT} names no identity in it: \
                 it opens, and its recipient is not published; if it should be, run `ageseal keys promote ID`"
            ),
            Self::Copied { secret } => write!(
                f,
                "the annotation {ANNOTATION_CURRENT} of Secret {secret} was written neither by the controller nor by \
                 `ageseal keys`, so it was copied or restored: it opens, and its recipient is not published; if it \
                 should be, run `ageseal keys promote ID`"
            ),
            Self::Outdated { secret, serial } => write!(
                f,
                "Secret {secret} was current before, as number {serial}: it opens, and its recipient is not published; \
                 if it should be, run `ageseal keys promote ID`"
            ),
            Self::Label { secret } => write!(
                f,
                "the label {LABEL_IDENTITY} of Secret {secret} is none of {IDENTITY_CURRENT}, {IDENTITY_ACTIVE} and \
                 {IDENTITY_RETIRED}: it opens as if it were {IDENTITY_ACTIVE}"
            ),
            Self::Content { secret, fault } => {
                write!(f, "Secret {secret}: its data key {} {}; the other identities open", fault.key, fault.why)
            }
            Self::Empty { secret } => write!(f, "Secret {secret} has no data key, and so no identity"),
            Self::Unsaved { id } => write!(
                f,
                "the backup of identity {id} cannot be written, and the log has the answer of the API server: if \
                 ConfigMap {BACKUP_PREFIX}{id} is there, somebody else's, delete it; else look at the quota of \
                 ConfigMaps and at the controller's Role"
            ),
            Self::Serials => {
                f.write_str("the largest serial is in use: no identity can take over; write the annotations anew")
            }
        }
    }
}
