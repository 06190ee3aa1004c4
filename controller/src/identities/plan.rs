//! What to do about the identities: a function from what was seen to what is to be done. No client, no clock, no chance.
//!
//! # What is trusted
//!
//! A serial orders the identities that were current: it grows with every change, and the annotation
//! [`ANNOTATION_CURRENT`] of a Secret says `SERIAL.ID`. It counts only where the identity of that id is in that very
//! Secret, so a copied annotation says nothing. The **floor** is the newest mark that is known to have been published: from
//! the ConfigMap, or from this process's memory. Nothing below it is ever published again:
//!
//! - A Secret labelled `current` without a fitting annotation is planted: it opens, and is relabelled.
//! - A Secret below the floor is an old one that somebody restored: it opens.
//! - If the identity of the floor is gone, it is lost: nothing is published and nothing is made, until it is back or
//!   somebody gives another one a mark that is not below the floor.
//! - An identity that returns without an annotation is known by its id: who holds that private key holds that identity.
//!
//! The memory ([`Confirmed`]) is what tells an edited ConfigMap from a lost identity. A ConfigMap that claims a serial
//! above everything at hand, while the identity that it named a moment ago still stands there as `current`, was edited: a
//! succession relabels before it publishes. Without a memory, after a start, such a claim has to be believed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ageseal::api::{
    ANNOTATION_CURRENT, IDENTITY_ACTIVE, IDENTITY_CURRENT, IDENTITY_PREFIX, IDENTITY_RETIRED, LABEL_IDENTITY,
    Published, PublishedRecipient,
};
use ageseal::recipient::{Recipient, RecipientId};
use jiff::{SignedDuration, Timestamp};

use super::content::Fault;

/// Most superseded recipients that are published: a ConfigMap holds a mebibyte, and an entry takes four kilobytes.
const MAX_OLDER: usize = 100;
/// How far ahead of our clock a published time may be before it is held for nonsense.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Everything that a decision stands on.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The identity Secrets, by name.
    pub secrets: Vec<SeenSecret>,
    /// The ConfigMap with the recipients, if there is one.
    pub configmap: Option<SeenConfigMap>,
    /// Whose identities have a backup that is an age file.
    pub backups: BTreeSet<RecipientId>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The object.
    pub uid: String,
    /// Its state.
    pub resource_version: String,
    /// Whether its content can only be changed by deleting it.
    pub immutable: bool,
}

/// What this process saw: that the ConfigMap named an identity that was at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Its serial and id.
    pub mark: Mark,
    /// When it became current.
    pub since: Timestamp,
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

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not everything was read yet.
    Starting,
    /// There is a current identity.
    Ok,
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
            Self::Lost { published } => {
                f.write_str("IdentityLost: ")?;
                match published {
                    Some(mark) => write!(f, "identity {}, which people seal for, is gone", mark.id)?,
                    None => f.write_str("there was an identity here, and it is gone")?,
                }
                f.write_str(
                    "; nothing is published and none is made: bring it back with `ageseal keys restore FILE`, or make \
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
    /// What to do, in this order; after the first that does not succeed, look again.
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
    },
    /// Change the label of an identity Secret.
    Relabel(Relabel),
    /// Write the ConfigMap.
    Publish(Publish),
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
}

/// What somebody should know, and the controller cannot mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// A Secret claims to be current and is not.
    Planted {
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
    /// There is no larger serial.
    Serials,
}

impl Problem {
    /// The Secret that it is about, if it is about one.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Planted { secret }
            | Self::Outdated { secret, .. }
            | Self::Label { secret }
            | Self::Content { secret, .. }
            | Self::Empty { secret } => Some(secret),
            Self::Serials => None,
        }
    }

    /// The one word for it in events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Planted { .. } => "IdentityPlanted",
            Self::Outdated { .. } => "IdentityOutdated",
            Self::Label { .. } => "IdentityLabel",
            Self::Content { .. } | Self::Empty { .. } => "IdentityUnreadable",
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
            Self::Serials => {
                f.write_str("the largest serial is in use: no identity can take over; write the annotations anew")
            }
        }
    }
}

/// Decides.
pub fn plan(seen: &Seen, rules: &Rules, now: Timestamp) -> Plan {
    let published = seen.configmap.as_ref().and_then(|map| Published::from_data(&map.data).ok());
    let look = Look { seen, rules, now, floor: floor(seen, published.as_ref()), published };
    match look.chosen() {
        Some(chosen) => look.with_current(chosen),
        None => look.without_current(),
    }
}

/// The newest mark that is known to have been published.
fn floor(seen: &Seen, published: Option<&Published>) -> Option<Mark> {
    let named =
        published.and_then(|published| Some(Mark { serial: published.serial, id: published.current.recipient_id()? }));
    let Some(Confirmed { mark: known, .. }) = seen.confirmed else { return named };
    let stands = seen.secrets.iter().any(|secret| secret.state == State::Current && secret.holds(known.id));
    match named {
        Some(named) if named.serial > known.serial && !stands => Some(named),
        _ => Some(known),
    }
}

/// What was seen, and what follows at once.
struct Look<'a> {
    seen: &'a Seen,
    rules: &'a Rules,
    now: Timestamp,
    floor: Option<Mark>,
    published: Option<Published>,
}

/// The identity that is to be current, and the Secret that it is in.
#[derive(Clone, Copy)]
struct Chosen<'a> {
    secret: &'a SeenSecret,
    mark: Mark,
    /// Whether its Secret says so, and not the ConfigMap alone.
    marked: bool,
}

impl SeenSecret {
    fn holds(&self, id: RecipientId) -> bool {
        self.recipients.iter().any(|recipient| recipient.id == id)
    }

    /// The annotation, where it fits what is inside.
    fn mark(&self) -> Option<Mark> {
        self.annotation.as_deref().and_then(Mark::parse).filter(|mark| self.holds(mark.id))
    }
}

impl<'a> Look<'a> {
    /// The identity that is, or is to become, the current one.
    fn chosen(&self) -> Option<Chosen<'a>> {
        let candidates = self.seen.secrets.iter().filter_map(|secret| self.candidate(secret));
        candidates.max_by_key(|chosen| {
            let known = self.floor.is_some_and(|floor| floor.id == chosen.mark.id);
            let labelled = chosen.secret.state == State::Current;
            (chosen.mark.serial, known, labelled, Reverse(&chosen.secret.name))
        })
    }

    fn candidate(&self, secret: &'a SeenSecret) -> Option<Chosen<'a>> {
        if let Some(mark) = secret.mark() {
            let fits = match (self.floor, secret.state) {
                (Some(floor), _) if floor.id == mark.id => mark.serial >= floor.serial,
                (Some(floor), State::Current) => mark.serial >= floor.serial,
                // Made, and not yet labelled: whoever made it was stopped in between.
                (Some(floor), State::Active | State::Other) => mark.serial > floor.serial,
                (None, State::Current | State::Active | State::Other) => true,
                (_, State::Retired) => false,
            };
            if fits {
                return Some(Chosen { secret, mark, marked: true });
            }
        }
        // An identity with an older mark of its own is an older one that the ConfigMap was made to name.
        let floor = self.floor?;
        let returned = secret.holds(floor.id) && secret.mark().is_none_or(|mark| mark.id != floor.id);
        returned.then_some(Chosen { secret, mark: floor, marked: false })
    }

    fn with_current(self, chosen: Chosen<'a>) -> Plan {
        let since = self.since(chosen.mark);
        let order = self.order(Some(chosen));
        let content = self.content(chosen, since, &order);
        let mut actions = Vec::new();
        let mut problems = self.problems(Some(chosen));
        self.backup(chosen.mark.id, &mut actions);
        self.relabel(chosen, &mut actions);
        let publish = self.publish(content);
        let in_place = publish.is_none() && actions.is_empty();
        actions.extend(publish.map(Action::Publish));
        self.relabel_planted(Some(chosen), &mut actions);
        for id in order.iter().copied().filter(|&id| id != chosen.mark.id && self.marked(id).is_some()) {
            self.backup(id, &mut actions);
        }
        let due = self.rules.renew_every.and_then(|every| since.checked_add(every).ok());
        if in_place && due.is_some_and(|due| due <= self.now) {
            match self.next_serial() {
                Some(serial) => actions.push(Action::Create { serial, first: false }),
                None => problems.push(Problem::Serials),
            }
        }
        let current = Confirmed { mark: chosen.mark, since };
        let named = self.published.as_ref().is_some_and(|published| {
            published.serial == chosen.mark.serial && published.current.id == chosen.mark.id.to_string()
        });
        Plan {
            order,
            health: Health::Ok,
            current: Some(current),
            confirmed: if named { Some(current) } else { self.seen.confirmed },
            actions,
            problems,
            look_again: due.filter(|due| *due > self.now),
        }
    }

    fn without_current(self) -> Plan {
        let mut actions = Vec::new();
        let problems = self.problems(None);
        self.relabel_planted(None, &mut actions);
        let untouched = self.seen.configmap.is_none() && self.seen.secrets.is_empty();
        let health = match (self.floor, self.seen.was_used) {
            (Some(floor), _) => Health::Lost { published: Some(floor) },
            (None, _) if self.seen.configmap.is_some() => Health::Lost { published: None },
            (None, Some(true)) if untouched => Health::Lost { published: None },
            (None, None) if untouched => Health::Starting,
            (None, _) => Health::None { at_hand: !self.seen.secrets.is_empty() },
        };
        if untouched && health == (Health::None { at_hand: false }) {
            actions.extend(self.next_serial().map(|serial| Action::Create { serial, first: true }));
        }
        Plan {
            order: self.order(None),
            health,
            current: None,
            confirmed: self.seen.confirmed,
            actions,
            problems,
            look_again: None,
        }
    }

    /// Every identity once, by its best place.
    fn order(&self, chosen: Option<Chosen<'_>>) -> Vec<RecipientId> {
        let mut places = Vec::new();
        for secret in &self.seen.secrets {
            let mark = secret.mark();
            for (index, recipient) in secret.recipients.iter().enumerate() {
                let rank = match secret.state {
                    _ if chosen.is_some_and(|chosen| chosen.mark.id == recipient.id) => 0,
                    State::Retired => 2,
                    _ => 1,
                };
                let serial = mark.filter(|mark| mark.id == recipient.id).map(|mark| mark.serial);
                let place = (rank, Reverse(serial), Reverse(secret.created), &secret.name, index);
                places.push((place, recipient.id));
            }
        }
        places.sort_unstable();
        let mut known = BTreeSet::new();
        places.into_iter().map(|(_, id)| id).filter(|id| known.insert(*id)).collect()
    }

    /// The Secret that marks an identity.
    fn marked(&self, id: RecipientId) -> Option<&'a SeenSecret> {
        self.seen.secrets.iter().find(|secret| secret.mark().is_some_and(|mark| mark.id == id))
    }

    /// When an identity became current: what is published or remembered of it; of one that takes over, now.
    fn since(&self, mark: Mark) -> Timestamp {
        let remembered =
            self.seen.confirmed.filter(|confirmed| confirmed.mark == mark).map(|confirmed| confirmed.since);
        let made = self.marked(mark.id).map(|secret| secret.created);
        let Some(published) = &self.published else { return whole(remembered.or(made).unwrap_or(self.now)) };
        let named = published.current.id == mark.id.to_string() && published.serial == mark.serial;
        let told = if named { self.believable(&published.current) } else { None };
        let takes_over = published.serial < mark.serial;
        let otherwise = if takes_over { Some(self.now) } else { made };
        whole(told.or(remembered).or(otherwise).unwrap_or(self.now))
    }

    fn believable(&self, entry: &PublishedRecipient) -> Option<Timestamp> {
        let since: Timestamp = entry.since.parse().ok()?;
        let latest = self.now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        (since <= latest).then_some(since)
    }

    /// What the ConfigMap should say. Only what was current once is named: a planted Secret gets nowhere.
    fn content(&self, chosen: Chosen<'_>, since: Timestamp, order: &[RecipientId]) -> Published {
        let superseded = order.iter().filter(|id| **id != chosen.mark.id);
        let older = superseded.filter_map(|&id| {
            let secret = self.marked(id)?;
            let told = self.published.as_ref().and_then(|published| {
                let entry = published.all().find(|entry| entry.id == id.to_string())?;
                self.believable(entry)
            });
            let mut entry = self.entry(secret, id, told.unwrap_or(secret.created))?;
            entry.retired = self.retired(id);
            Some(entry)
        });
        let older = older.take(MAX_OLDER).collect();
        let current = self
            .entry(chosen.secret, chosen.mark.id, since)
            .expect("the chosen identity is one of those in its Secret");
        Published { serial: chosen.mark.serial, current, older }
    }

    fn entry(&self, secret: &SeenSecret, id: RecipientId, since: Timestamp) -> Option<PublishedRecipient> {
        let recipient = secret.recipients.iter().find(|recipient| recipient.id == id)?;
        Some(PublishedRecipient {
            id: id.to_string(),
            recipient: recipient.text.clone(),
            since: whole(since).to_string(),
            retired: false,
        })
    }

    fn retired(&self, id: RecipientId) -> bool {
        self.seen.secrets.iter().filter(|secret| secret.holds(id)).all(|secret| secret.state == State::Retired)
    }

    fn backup(&self, id: RecipientId, actions: &mut Vec<Action>) {
        if self.rules.backup && !self.seen.backups.contains(&id) {
            actions.push(Action::WriteBackup { id });
        }
    }

    /// The labels as they have to be before the ConfigMap may follow: the new one first, so that there is always one.
    fn relabel(&self, chosen: Chosen<'_>, actions: &mut Vec<Action>) {
        if chosen.secret.state != State::Current || !chosen.marked {
            actions.push(Action::Relabel(Relabel {
                secret: chosen.secret.name.clone(),
                resource_version: chosen.secret.resource_version.clone(),
                label: IDENTITY_CURRENT,
                annotation: (!chosen.marked).then(|| chosen.mark.to_string()),
                why: if chosen.marked { RelabelReason::TakesOver } else { RelabelReason::Returned },
            }));
        }
        let others = self.seen.secrets.iter().filter(|secret| secret.name != chosen.secret.name);
        for secret in others.filter(|secret| secret.state == State::Current && secret.mark().is_some()) {
            actions.push(to_active(secret, RelabelReason::Superseded));
        }
    }

    fn relabel_planted(&self, chosen: Option<Chosen<'_>>, actions: &mut Vec<Action>) {
        let planted = self.seen.secrets.iter().filter(|secret| is_planted(secret, chosen));
        actions.extend(planted.map(|secret| to_active(secret, RelabelReason::Planted)));
    }

    fn publish(&self, content: Published) -> Option<Publish> {
        let Some(map) = &self.seen.configmap else {
            let why = PublishReason::Missing;
            return Some(Publish { content, over: None, foreign: Foreign::default(), why });
        };
        let data = content.to_data();
        if map.data == data && map.binary.is_empty() {
            return None;
        }
        let why = match &self.published {
            Some(published) if published.serial < content.serial => PublishReason::TakenOver,
            Some(published) if published.serial == content.serial && published.current == content.current => {
                PublishReason::Older
            }
            _ => PublishReason::Mended,
        };
        let foreign = Foreign {
            data: map.data.keys().filter(|key| !data.contains_key(*key)).cloned().collect(),
            binary: map.binary.clone(),
        };
        Some(Publish { content, over: Some(map.version.clone()), foreign, why })
    }

    fn problems(&self, chosen: Option<Chosen<'_>>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for secret in &self.seen.secrets {
            let name = || secret.name.clone();
            if is_planted(secret, chosen) {
                problems.push(Problem::Planted { secret: name() });
            }
            let below = |mark: &Mark| self.floor.is_some_and(|floor| mark.serial < floor.serial);
            // When there is a current identity, an older one that still says so is relabelled and nothing is wrong.
            if let Some(mark) = secret.mark().filter(below)
                && chosen.is_none()
                && secret.state == State::Current
            {
                problems.push(Problem::Outdated { secret: name(), serial: mark.serial });
            }
            if secret.state == State::Other {
                problems.push(Problem::Label { secret: name() });
            }
            if secret.recipients.is_empty() && secret.faults.is_empty() {
                problems.push(Problem::Empty { secret: name() });
            }
            let faults = secret.faults.iter().cloned();
            problems.extend(faults.map(|fault| Problem::Content { secret: name(), fault }));
        }
        problems
    }

    /// A serial above all others whose Secret's name is free.
    fn next_serial(&self) -> Option<u64> {
        let marks = self.seen.secrets.iter().filter_map(SeenSecret::mark).chain(self.floor);
        let used = marks.map(|mark| mark.serial).chain(self.published.as_ref().map(|published| published.serial));
        let mut serial = used.max().unwrap_or(0).checked_add(1)?;
        while self.seen.taken.contains(&serial) || self.seen.secrets.iter().any(|s| s.name == secret_name(serial)) {
            serial = serial.checked_add(1)?;
        }
        Some(serial)
    }
}

/// The name of the identity Secret with this serial.
pub fn secret_name(serial: u64) -> String {
    format!("{IDENTITY_PREFIX}{serial}")
}

/// Whether a Secret claims to be current without a mark. One that cannot be read is left as it is: its label is all that
/// is known of it.
fn is_planted(secret: &SeenSecret, chosen: Option<Chosen<'_>>) -> bool {
    secret.state == State::Current
        && !secret.recipients.is_empty()
        && secret.faults.is_empty()
        && secret.mark().is_none()
        && chosen.is_none_or(|chosen| chosen.secret.name != secret.name)
}

fn to_active(secret: &SeenSecret, why: RelabelReason) -> Action {
    Action::Relabel(Relabel {
        secret: secret.name.clone(),
        resource_version: secret.resource_version.clone(),
        label: IDENTITY_ACTIVE,
        annotation: None,
        why,
    })
}

/// Cut to whole seconds, as Kubernetes writes times.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).expect("a second of a timestamp is one")
}

#[cfg(test)]
mod tests;
