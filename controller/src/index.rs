//! What is known of every document, and whether something has to be done about it.
//!
//! A record is a few hundred bytes: the document itself is not kept, and nothing decrypted ever is. What the status says
//! is enough to know that a Secret is as it should be, so a restart opens nothing and writes nothing.

use std::collections::BTreeSet;

use ageseal::api::{ANNOTATION_PAUSED, ANNOTATION_RECONCILE, FINALIZER, SealedSecretStatus, SecretRecord};
use ageseal::recipient::RecipientId;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::doc::Doc;
use crate::status::{readiness, says_paused};

/// A document, as far as decisions need it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What its metadata asks for.
    pub asks: Asks,
    /// Its resourceVersion.
    pub resource_version: String,
    /// What its status says; what this process found out is there at once, before the API server has it.
    pub told: Told,
    /// A status that the API server does not have yet.
    pub unsaved: Option<Box<SealedSecretStatus>>,
    /// How often the API server was in the way in a row.
    pub tries: u32,
    /// Whether a look is appointed, and no other is wanted before it.
    pub waiting: bool,
    /// The ring that this process last tried the document with, if the document did not open or was refused.
    pub tried: Option<u64>,
    /// The Secret as it stood at that try.
    pub tried_sight: Option<Sight>,
    /// What the watch showed of the Secret before that try. It shows only Secrets with our label.
    pub tried_known: Option<Sight>,
    /// How often its Secret was mended in short order.
    pub mended: u32,
    /// Whether its Secret was known and a list that is complete since then did not hold it. It is gone, or was made while that
    /// list was on its way.
    pub unlisted: bool,
    /// The UIDs of Secrets of its name that the watch told to be gone since the present job began: what the job wrote may
    /// be one of them.
    pub gone: Vec<String>,
}

/// What the metadata of a document asks for. A new value of any of it is worth a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// Which document.
    pub uid: String,
    /// Which spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it waits for us before it goes.
    pub finalizer: bool,
    /// Whether it is to be left alone.
    pub paused: bool,
    /// The value of the annotation that forces a look.
    pub reconcile: Option<String>,
}

/// What a status says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    observed: Option<i64>,
    /// Whether the document is Ready, if that is said.
    pub ready: Option<bool>,
    /// Why.
    pub reason: String,
    paused: bool,
    /// The Secret as last written.
    pub secret: Option<SecretRecord>,
    /// Who opened the document.
    pub identities: Vec<RecipientId>,
    handled: Option<String>,
}

/// A Secret, as the drift watch sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Its UID.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
}

/// What is known of the Secret of a document's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// Nothing: Secrets are not watched.
    Unwatched,
    /// Nothing yet: the watch has not brought everything.
    NotYet,
    /// Everything: this one, or none that we made.
    Sight(Option<&'a Sight>),
}

/// What has to be done about a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Nothing,
    /// It cannot be told yet.
    NotYet,
    /// Its Secret has to be looked at, and perhaps mended.
    Verify,
    /// It has to be reconciled.
    Reconcile,
}

/// The identities at hand, as far as decisions need them.
#[derive(Clone, Copy, Debug)]
pub struct Rings<'a> {
    /// Grows with every change.
    pub revision: u64,
    /// Their ids.
    pub ids: &'a BTreeSet<RecipientId>,
}

impl Asks {
    /// Reads the metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        let annotation = |name: &str| meta.annotations.as_ref().and_then(|all| all.get(name));
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            finalizer: meta.finalizers.as_ref().is_some_and(|all| all.iter().any(|name| name == FINALIZER)),
            paused: annotation(ANNOTATION_PAUSED).is_some(),
            reconcile: annotation(ANNOTATION_RECONCILE).cloned(),
        }
    }
}

impl Told {
    /// Reads a status.
    pub fn of(status: &SealedSecretStatus) -> Self {
        let (ready, reason) = readiness(status);
        Self {
            observed: status.observed_generation,
            ready,
            reason: reason.to_owned(),
            paused: says_paused(status),
            secret: status.secret.clone(),
            identities: status.identities.iter().filter_map(|id| id.parse().ok()).collect(),
            handled: status.last_handled_reconcile.clone(),
        }
    }
}

impl Sight {
    /// The sight of a Secret that was written.
    pub fn of_record(record: &SecretRecord) -> Self {
        Self { uid: record.uid.clone(), resource_version: record.resource_version.clone() }
    }

    /// Whether this is of the same Secret, later.
    pub fn is_after(&self, other: &Self) -> bool {
        self.uid == other.uid && is_later(&self.resource_version, &other.resource_version)
    }

    fn is(&self, record: &SecretRecord) -> bool {
        self.uid == record.uid && self.resource_version == record.resource_version
    }
}

/// Whether a resourceVersion is of a later write than another. Versions of one kind of object are numbers that grow; one
/// that is no number counts as later, so that it is looked at.
///
/// Source: <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.
pub fn is_later(version: &str, than: &str) -> bool {
    match (version.parse::<u128>(), than.parse::<u128>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
}

impl Record {
    /// The record of a document that was not known.
    pub fn new(doc: &Doc) -> Self {
        Self {
            asks: Asks::of(&doc.metadata),
            resource_version: doc.metadata.resource_version.clone().unwrap_or_default(),
            told: Told::of(&doc.status()),
            ..Self::default()
        }
    }

    /// Takes in what a watch brings; tells whether the document asks for something that it did not ask for before.
    pub fn update(&mut self, doc: &Doc) -> bool {
        let asks = Asks::of(&doc.metadata);
        if asks.uid != self.asks.uid {
            *self = Self::new(doc);
            return true;
        }
        let version = doc.metadata.resource_version.as_deref().unwrap_or_default();
        if is_later(&self.resource_version, version) {
            // The answer to our own write came before the watch's event of an earlier one.
            return false;
        }
        version.clone_into(&mut self.resource_version);
        let told = Told::of(&doc.status());
        if self.unsaved.is_none() || self.is_newer(&told) {
            self.told = told;
            self.unsaved = None;
        }
        let changed = asks != self.asks;
        self.asks = asks;
        if changed {
            (self.tries, self.waiting, self.tried, self.mended) = (0, false, None, 0);
        }
        changed
    }

    /// Begins anew as who leads again: another leader may have told something meanwhile, and an appointment that came due
    /// in between was not kept. One that is to come is: an API server that is too busy to renew a Lease is not asked for
    /// everything at once.
    pub fn lead_again(&mut self) {
        if self.told.ready == Some(false) {
            (self.tried, self.unsaved) = (None, None);
        }
    }

    /// Whether a status waits that may not wait for the next look: it says what the document waits for.
    pub fn says_retrying(&self) -> bool {
        self.waiting && self.told.ready.is_none() && self.unsaved.is_some()
    }

    /// Whether somebody else, another leader, told something later than what this process has not written yet.
    fn is_newer(&self, told: &Told) -> bool {
        if told.observed > self.told.observed {
            return true;
        }
        let version = |told: &Told| told.secret.as_ref().map(|secret| secret.resource_version.clone());
        match (version(told), version(&self.told)) {
            (Some(theirs), Some(ours)) => told.observed == self.told.observed && is_later(&theirs, &ours),
            _ => false,
        }
    }

    /// What has to be done.
    pub fn look(&self, secret: Known<'_>, rings: Option<Rings<'_>>) -> Look {
        let (asks, told) = (&self.asks, &self.told);
        if asks.deleting {
            return if asks.finalizer { Look::Reconcile } else { Look::Nothing };
        }
        if asks.paused {
            return if told.paused { Look::Nothing } else { Look::Reconcile };
        }
        let Some(rings) = rings else { return Look::NotYet };
        let unhandled = asks.reconcile.is_some() && asks.reconcile != told.handled;
        if told.paused || told.observed != Some(asks.generation) || unhandled || told.ready.is_none() {
            return Look::Reconcile;
        }
        if told.ready == Some(false) {
            return self.look_at_fault(secret, rings);
        }
        if !told.identities.iter().all(|id| rings.ids.contains(id)) && self.tried != Some(rings.revision) {
            return Look::Reconcile;
        }
        match (secret, &told.secret) {
            (Known::NotYet, _) => Look::NotYet,
            (_, None) => Look::Reconcile,
            (Known::Unwatched, Some(_)) => Look::Nothing,
            (Known::Sight(Some(sight)), Some(record)) if sight.is(record) => Look::Nothing,
            (Known::Sight(_), Some(_)) => Look::Verify,
        }
    }

    /// A document at fault is worth another look if the identities are others, or its Secret is not as it was.
    fn look_at_fault(&self, secret: Known<'_>, rings: Rings<'_>) -> Look {
        let opens_later = ["NotARecipient", "CannotOpen"].contains(&self.told.reason.as_str());
        match (self.tried, secret) {
            (None, Known::NotYet) => Look::NotYet,
            (None, _) => Look::Reconcile,
            (Some(tried), _) if opens_later && tried != rings.revision => Look::Reconcile,
            (Some(_), Known::Sight(sight)) if sight != self.tried_known.as_ref() => Look::Reconcile,
            _ => Look::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
