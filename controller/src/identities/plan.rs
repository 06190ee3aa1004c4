//! What to do about the identities: a function from what was seen to what is to be done. No client, no clock, no chance.
//!
//! # What is trusted
//!
//! A serial orders the identities that were current: it grows with every change, and the annotation
//! [`ageseal.dev/current`](ageseal::api::ANNOTATION_CURRENT) of a Secret says `SERIAL.ID`. It counts only where the identity of that id is in that very
//! Secret, so a copied annotation says nothing; and only where the controller or `ageseal keys` wrote it to that very
//! Secret, so a copied Secret says nothing either. The **floor** is the newest mark that is known to have been published:
//! from the ConfigMap, or from this process's memory. Nothing below it is ever published again:
//!
//! - A Secret labelled `current` without a mark that counts is planted or copied: it opens, and is relabelled.
//! - A Secret below the floor is an old one that somebody restored: it opens.
//! - If the identity of the floor is gone, it is lost: no other is published and none is made, until it is back or
//!   somebody gives another one a mark that is not below the floor.
//! - The identity of the floor is known by its id, whoever marked its Secret: who holds that private key holds that
//!   identity.
//!
//! The memory ([`Confirmed`]) is what tells an edited ConfigMap from a lost identity. A ConfigMap that claims a serial
//! above everything at hand, while the identity that it named a moment ago still stands there as `current`, was edited: a
//! succession relabels before it publishes. Without a memory, after a start, such a claim has to be believed. So while an
//! identity is lost, what was published of it is put back where it is missing: the floor outlives this process, and
//! whoever gives out the next serial can see it.

mod answer;
mod seen;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use ageseal::api::{IDENTITY_ACTIVE, IDENTITY_CURRENT, IDENTITY_PREFIX, Published, PublishedRecipient};
use ageseal::recipient::RecipientId;
use jiff::{SignedDuration, Timestamp};

pub use answer::{Action, Foreign, Health, Plan, Problem, Publish, PublishReason, Relabel, RelabelReason, Urgency};
pub use seen::{Confirmed, Mark, Public, Rules, Seen, SeenConfigMap, SeenSecret, State, Version};

/// Most superseded recipients that are published: a ConfigMap holds a mebibyte, and an entry takes four kilobytes.
const MAX_OLDER: usize = 100;
/// How far ahead of our clock a published time may be before it is held for nonsense.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

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
    let Some(known) = seen.confirmed.as_ref().map(|confirmed| confirmed.mark) else { return named };
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

impl<'a> Look<'a> {
    /// The identity that is, or is to become, the current one.
    fn chosen(&self) -> Option<Chosen<'a>> {
        let candidates = self.seen.secrets.iter().filter_map(|secret| self.candidate(secret));
        candidates.max_by_key(|chosen| {
            let known = self.floor.is_some_and(|floor| floor.id == chosen.mark.id);
            let labelled = chosen.secret.state == State::Current;
            (chosen.mark.serial, known, labelled, chosen.secret.bound, Reverse(&chosen.secret.name))
        })
    }

    fn candidate(&self, secret: &'a SeenSecret) -> Option<Chosen<'a>> {
        if let Some(mark) = secret.mark().filter(|_| secret.bound) {
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
        let floor = self.floor.filter(|floor| secret.holds(floor.id))?;
        let own = secret.mark().filter(|mark| mark.id == floor.id);
        // An identity with an older mark of its own is an older one that the ConfigMap was made to name, unless this
        // process saw it published.
        let returned = own.is_none_or(|mark| mark.serial >= floor.serial || self.remembers(floor));
        returned.then_some(Chosen { secret, mark: floor, marked: own == Some(floor) })
    }

    fn remembers(&self, mark: Mark) -> bool {
        self.seen.confirmed.as_ref().is_some_and(|confirmed| confirmed.mark == mark)
    }

    /// The mark of a Secret, where it counts: the controller or `ageseal keys` wrote it there, or it is the floor's.
    fn mark(&self, secret: &SeenSecret) -> Option<Mark> {
        let of_the_floor = |mark: &Mark| self.floor.is_some_and(|floor| floor.id == mark.id);
        secret.mark().filter(|mark| secret.bound || of_the_floor(mark))
    }

    /// The mark of a Secret whose identity was current here: it counts, or the ConfigMap knows the identity. After a
    /// restore of everything, the latter is all that is left of it.
    fn former(&self, secret: &SeenSecret) -> Option<Mark> {
        let named = |mark: &Mark| {
            let published = self.published.as_ref();
            published.is_some_and(|published| published.all().any(|entry| entry.id == mark.id.to_string()))
        };
        self.mark(secret).or_else(|| secret.mark().filter(named))
    }

    fn with_current(self, chosen: Chosen<'a>) -> Plan {
        let since = self.since(chosen.mark);
        let order = self.order(Some(chosen));
        let entry = self
            .entry(chosen.secret, chosen.mark.id, since)
            .expect("the chosen identity is one of those in its Secret");
        let current = Confirmed { mark: chosen.mark, since, recipient: entry.recipient.clone() };
        let publish = self.publish(self.content(chosen.mark.serial, entry, &order));
        let mut actions = Vec::new();
        let mut problems = self.problems(Some(chosen));
        // What is public already waits for no backup: else whoever keeps it from being written keeps the ConfigMap from
        // being mended.
        let public = self.was_public(chosen.mark, publish.as_ref());
        if !public {
            self.backup(chosen.mark.id, Urgency::First, &mut actions);
        }
        self.relabel(chosen, &mut actions);
        let in_place = publish.is_none() && actions.is_empty();
        actions.extend(publish.map(Action::Publish));
        self.relabel_planted(Some(chosen), &mut actions);
        for &id in &order {
            let wanted = if id == chosen.mark.id { public } else { self.marked(id).is_some() };
            if wanted {
                self.backup(id, Urgency::Late, &mut actions);
            }
        }
        let due = self.rules.renew_every.and_then(|every| since.checked_add(every).ok());
        if in_place && due.is_some_and(|due| due <= self.now) {
            match self.next_serial() {
                Some(serial) => actions.push(Action::Create { serial, first: false }),
                None => problems.push(Problem::Serials),
            }
        }
        let unsaved = self.unsaved(&actions);
        // What was published before, and is at hand, goes on being published meanwhile.
        let waits = !public && !self.has_the_published(&order) && unsaved.contains(&chosen.mark.id);
        let health = if waits { Health::Unsaved { id: chosen.mark.id } } else { Health::Ok };
        problems.extend(unsaved.into_iter().map(|id| Problem::Unsaved { id }));
        let named = self.published.as_ref().is_some_and(|published| {
            published.serial == chosen.mark.serial && published.current.id == chosen.mark.id.to_string()
        });
        Plan {
            order,
            health,
            confirmed: if named { Some(current.clone()) } else { self.seen.confirmed.clone() },
            current: Some(current),
            actions,
            problems,
            look_again: due.filter(|due| *due > self.now),
        }
    }

    fn without_current(self) -> Plan {
        let mut actions = Vec::new();
        let mut problems = self.problems(None);
        let order = self.order(None);
        actions.extend(self.put_back(&order).map(Action::Publish));
        self.relabel_planted(None, &mut actions);
        let untouched = self.seen.configmap.is_none() && self.seen.secrets.is_empty();
        let mut health = match (self.floor, self.seen.was_used) {
            (Some(floor), _) => Health::Lost { published: Some(floor) },
            (None, _) if self.seen.configmap.is_some() => Health::Lost { published: None },
            (None, Some(true)) if untouched => Health::Lost { published: None },
            (None, None) if untouched => Health::Starting,
            (None, _) => Health::None { at_hand: !self.seen.secrets.is_empty() },
        };
        if untouched && health == (Health::None { at_hand: false }) {
            actions.extend(self.next_serial().map(|serial| Action::Create { serial, first: true }));
        }
        for id in self.unsaved(&actions) {
            health = Health::Unsaved { id };
            problems.push(Problem::Unsaved { id });
        }
        Plan {
            order,
            health,
            current: None,
            confirmed: self.seen.confirmed.clone(),
            actions,
            problems,
            look_again: None,
        }
    }

    /// Every identity once, by its best place.
    fn order(&self, chosen: Option<Chosen<'_>>) -> Vec<RecipientId> {
        let mut places = Vec::new();
        for secret in &self.seen.secrets {
            let mark = self.mark(secret);
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

    /// The Secret of an identity that was current here.
    fn marked(&self, id: RecipientId) -> Option<&'a SeenSecret> {
        self.seen.secrets.iter().find(|secret| self.former(secret).is_some_and(|mark| mark.id == id))
    }

    /// When an identity became current: what is published or remembered of it; of one that takes over, now.
    fn since(&self, mark: Mark) -> Timestamp {
        let confirmed = self.seen.confirmed.as_ref();
        let remembered = confirmed.filter(|confirmed| confirmed.mark == mark).map(|confirmed| confirmed.since);
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
    fn content(&self, serial: u64, current: PublishedRecipient, order: &[RecipientId]) -> Published {
        let superseded = order.iter().filter(|id| id.to_string() != current.id);
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
        Published { serial, older: older.take(MAX_OLDER).collect(), current }
    }

    /// What this process saw published, while its identity is lost and the ConfigMap does not say it any more. Nobody is
    /// led to seal for another, and the serial is not given out twice.
    fn put_back(&self, order: &[RecipientId]) -> Option<Publish> {
        let known = self.seen.confirmed.as_ref().filter(|known| self.floor == Some(known.mark))?;
        let id = known.mark.id.to_string();
        let named = self.published.as_ref().filter(|published| published.serial == known.mark.serial);
        if named.is_some_and(|published| published.current.id == id) {
            return None;
        }
        let since = known.since.to_string();
        let current = PublishedRecipient { id, recipient: known.recipient.clone(), since, retired: false };
        let publish = self.publish(self.content(known.mark.serial, current, order))?;
        Some(Publish { why: PublishReason::PutBack, ..publish })
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

    /// Whether anybody may be sealing for an identity already: it was seen published, or the ConfigMap that is to be
    /// written names nothing that came before it.
    fn was_public(&self, mark: Mark, publish: Option<&Publish>) -> bool {
        let before = |why| matches!(why, PublishReason::Missing | PublishReason::TakenOver);
        let same = self.published.is_some() && publish.is_none_or(|publish| !before(publish.why));
        same || self.remembers(mark)
    }

    /// Whether the identity that was seen published is at hand.
    fn has_the_published(&self, order: &[RecipientId]) -> bool {
        self.seen.confirmed.as_ref().is_some_and(|confirmed| order.contains(&confirmed.mark.id))
    }

    fn backup(&self, id: RecipientId, urgency: Urgency, actions: &mut Vec<Action>) {
        if self.rules.backup && !self.seen.backups.contains(&id) {
            actions.push(Action::WriteBackup { id, urgency });
        }
    }

    /// The identities whose backup is to be written, and was refused at the last try. One that is in no Secret yet is
    /// about to be made.
    fn unsaved(&self, actions: &[Action]) -> Vec<RecipientId> {
        let makes = actions.iter().any(|action| matches!(action, Action::Create { .. }));
        let writes =
            |wanted| actions.iter().any(|action| matches!(action, Action::WriteBackup { id, .. } if *id == wanted));
        let at_hand = |id| self.seen.secrets.iter().any(|secret| secret.holds(id));
        self.seen.unsaved.iter().copied().filter(|&id| writes(id) || (makes && !at_hand(id))).collect()
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
        for secret in others.filter(|secret| secret.state == State::Current && self.mark(secret).is_some()) {
            actions.push(to_active(secret, RelabelReason::Superseded));
        }
    }

    fn relabel_planted(&self, chosen: Option<Chosen<'_>>, actions: &mut Vec<Action>) {
        let planted = self.seen.secrets.iter().filter(|secret| self.is_planted(secret, chosen));
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
            if self.is_copied(secret) {
                problems.push(Problem::Copied { secret: name() });
            } else if self.is_planted(secret, chosen) {
                problems.push(Problem::Planted { secret: name() });
            }
            let below = |mark: &Mark| self.floor.is_some_and(|floor| mark.serial < floor.serial);
            // When there is a current identity, an older one that still says so is relabelled and nothing is wrong.
            if let Some(mark) = self.mark(secret).filter(below)
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
        let marks = self.seen.secrets.iter().filter_map(|secret| self.mark(secret)).chain(self.floor);
        let used = marks.map(|mark| mark.serial).chain(self.published.as_ref().map(|published| published.serial));
        let mut serial = used.max().unwrap_or(0).checked_add(1)?;
        while self.seen.taken.contains(&serial) || self.seen.secrets.iter().any(|s| s.name == secret_name(serial)) {
            serial = serial.checked_add(1)?;
        }
        Some(serial)
    }

    /// Whether a Secret claims to be current without a mark that counts. One that cannot be read is left as it is: its
    /// label is all that is known of it.
    fn is_planted(&self, secret: &SeenSecret, chosen: Option<Chosen<'_>>) -> bool {
        secret.state == State::Current
            && !secret.recipients.is_empty()
            && secret.faults.is_empty()
            && self.mark(secret).is_none()
            && chosen.is_none_or(|chosen| chosen.secret.name != secret.name)
    }

    /// Whether a Secret would be current by its mark, if that had been written here.
    fn is_copied(&self, secret: &SeenSecret) -> bool {
        let mark = secret.mark().filter(|_| self.mark(secret).is_none());
        let above = |mark: Mark| self.floor.is_none_or(|floor| mark.serial > floor.serial);
        mark.is_some_and(|mark| match secret.state {
            State::Current => true,
            State::Active | State::Other => above(mark),
            State::Retired => false,
        })
    }
}

/// The name of the identity Secret with this serial.
pub fn secret_name(serial: u64) -> String {
    format!("{IDENTITY_PREFIX}{serial}")
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
