//! What to do with a Secret: a function from values to a value.
//!
//! No client, no clock, no randomness, no plaintext: what a document wants and what stands there decide, and tests
//! compare the answer.

use std::collections::BTreeSet;

use ageseal::api::{DeletionPolicy, Mode, ReadyReason, Replace};
use ageseal::manifest::SecretType;
use serde_json::{Value, json};

use crate::facts::{Managed, SecretFacts, Whose};
use crate::fault::Fault;
use crate::template::Marks;

/// The type of the Secrets that Helm keeps its releases in.
const HELM_RELEASE: &str = "helm.sh/release.v1";

/// The data keys that Kubernetes itself puts into a Secret for a ServiceAccount's token.
///
/// Source: <https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets>.
const MINTED: [&str; 3] = ["token", "ca.crt", "namespace"];

/// What a document says about its Secret, but for the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The document's name, which is the Secret's.
    pub name: String,
    /// The document's UID.
    pub uid: String,
    /// The type of the Secret.
    pub secret_type: String,
    /// `spec.immutable`.
    pub immutable: Option<bool>,
    /// Labels and annotations, sifted.
    pub marks: Marks,
    /// The data keys.
    pub keys: BTreeSet<String>,
    /// `spec.mode`.
    pub mode: Mode,
    /// `spec.adopt`.
    pub adopt: bool,
    /// `spec.deletionPolicy`.
    pub deletion: DeletionPolicy,
    /// `spec.replace`.
    pub replace: Replace,
}

/// The Secret of the document's name, as far as it was looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// There is none; or nobody looked, and the write will tell.
    Absent,
    /// This one.
    There(SecretFacts),
}

/// One write of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What must be so for the write to happen.
    pub precondition: Precondition,
    /// Whether fields of other managers are taken over.
    pub force: bool,
    /// The value of our label.
    pub managed: Managed,
    /// Whether the document becomes its owner.
    pub owner: bool,
    /// Whether the Secret is marked as made by a document in `Merge` mode.
    pub created: bool,
}

/// What must be so for a write to happen. Whoever is late finds it is not, and looks again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// There is no Secret of this name.
    Absent,
    /// It is this Secret, as it was seen.
    Exactly {
        /// Its UID.
        uid: String,
        /// Its resourceVersion.
        resource_version: String,
    },
}

impl Precondition {
    fn exactly(facts: &SecretFacts) -> Self {
        Self::Exactly { uid: facts.uid.clone(), resource_version: facts.resource_version.clone() }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Write the Secret.
    Write(Write),
    /// The Secret that stands there is on its way out: look again when it is gone.
    Wait,
    /// Leave everything as it is.
    Refuse(Fault),
}

/// Whether the type is one that the controller makes.
///
/// # Errors
/// `DeniedType` for the types that Kubernetes answers with a live token, unless an operator allowed them.
pub fn check_type(secret_type: &str, allowed: &[String]) -> Result<(), Fault> {
    let minted = [SecretType::ServiceAccountToken.as_str(), SecretType::BootstrapToken.as_str()];
    if minted.contains(&secret_type) && !allowed.iter().any(|allowed| allowed == secret_type) {
        let message = format!(
            "Secrets of type {secret_type} are not made: Kubernetes acts on them with live tokens; an operator allows \
             it with --allow-type {secret_type}"
        );
        return Err(Fault::new(ReadyReason::DeniedType, message));
    }
    Ok(())
}

/// Plans the write of a document's Secret.
pub fn plan(wanted: &Wanted, seen: &Seen) -> Plan {
    match (wanted.mode, seen) {
        (_, Seen::There(facts)) if facts.deleting => Plan::Wait,
        (Mode::Replace, Seen::Absent) => Plan::Write(replace(wanted, Precondition::Absent)),
        (Mode::Replace, Seen::There(facts)) => match may_replace(wanted, facts) {
            Ok(()) => Plan::Write(replace(wanted, Precondition::exactly(facts))),
            Err(fault) => Plan::Refuse(fault),
        },
        (Mode::Merge, Seen::Absent) => Plan::Write(merge(Precondition::Absent, true)),
        (Mode::Merge, Seen::There(_)) if wanted.secret_type == HELM_RELEASE => Plan::Refuse(not_owned(wanted)),
        (Mode::Merge, Seen::There(facts)) if !hidden(wanted, facts).is_empty() => {
            Plan::Refuse(keys_of_others().keys(hidden(wanted, facts)))
        }
        (Mode::Merge, Seen::There(facts)) => {
            let created = facts.whose(&wanted.name) == Whose::Ours;
            Plan::Write(merge(Precondition::exactly(facts), created))
        }
    }
}

/// Data keys of the document that another applier has as `stringData`. The API server would see no conflict and let them be
/// overwritten.
fn hidden(wanted: &Wanted, facts: &SecretFacts) -> Vec<String> {
    let theirs = |key: &&String| facts.foreign_text.contains(*key) && !facts.ours.contains(*key);
    wanted.keys.iter().filter(theirs).cloned().collect()
}

/// What is said where the document and somebody else want the same fields of a Secret that they share.
pub fn keys_of_others() -> Fault {
    let message = "another field manager owns fields of this document in the Secret; they are left as they are";
    Fault::new(ReadyReason::NotOwned, message)
}

fn replace(wanted: &Wanted, precondition: Precondition) -> Write {
    let owner = wanted.deletion == DeletionPolicy::Delete;
    let managed = if owner { Managed::Owned } else { Managed::Retained };
    Write { precondition, force: true, managed, owner, created: false }
}

fn merge(precondition: Precondition, created: bool) -> Write {
    Write { precondition, force: false, managed: Managed::Merged, owner: false, created }
}

/// Whether the document may have the whole of this Secret: it is its own already, or both agree that it becomes so.
fn may_replace(wanted: &Wanted, facts: &SecretFacts) -> Result<(), Fault> {
    if facts.whose(&wanted.name) == Whose::Ours {
        return Ok(());
    }
    let agreed = wanted.adopt && facts.adopt_by.as_deref() == Some(wanted.name.as_str());
    // The API server never changes a type, so a Helm release can be adopted only by a document that says to be one.
    if agreed && !facts.foreign_controller(&wanted.name) && wanted.secret_type != HELM_RELEASE {
        return Ok(());
    }
    Err(not_owned(wanted))
}

fn not_owned(wanted: &Wanted) -> Fault {
    let name = &wanted.name;
    let message = if wanted.secret_type == HELM_RELEASE {
        "a Secret of this name is there and is not this document's; Helm's own Secrets are never taken over".to_owned()
    } else {
        format!(
            "a Secret of this name is there and is not this document's; it is left as it is. To take it over, set \
             spec.adopt: true here and ageseal.dev/adopt-by: {name} on the Secret"
        )
    };
    Fault::new(ReadyReason::NotOwned, message)
}

/// What a write leaves to be done, told by the metadata that it came back with: data keys that others put there, owners
/// that no longer exist. A merge patch, or nothing.
pub fn tidy(wanted: &Wanted, write: &Write, after: &SecretFacts) -> Option<Value> {
    let mut patch = serde_json::Map::new();
    if wanted.mode == Mode::Replace {
        let minted =
            |key: &str| wanted.secret_type == SecretType::ServiceAccountToken.as_str() && MINTED.contains(&key);
        let foreign = after.foreign.iter().filter(|key| !wanted.keys.contains(*key) && !minted(key));
        let data: serde_json::Map<String, Value> = foreign.map(|key| (key.clone(), Value::Null)).collect();
        if !data.is_empty() {
            patch.insert("data".to_owned(), data.into());
        }
    }
    let mut metadata = serde_json::Map::new();
    let keep = write.owner.then_some(wanted.uid.as_str());
    if let Some(owners) = after.owners_without_stale(&wanted.name, keep) {
        metadata.insert("ownerReferences".to_owned(), json!(owners));
    }
    if patch.is_empty() && metadata.is_empty() {
        return None;
    }
    metadata.insert("uid".to_owned(), json!(after.uid));
    metadata.insert("resourceVersion".to_owned(), json!(after.resource_version));
    patch.insert("metadata".to_owned(), metadata.into());
    Some(patch.into())
}

/// What to do with the Secret of a document in `Merge` mode that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing of ours is there, or it is to stay.
    Nothing,
    /// Delete the Secret, exactly as it was seen: it was made for the document, and nobody else has data in it.
    Delete {
        /// Its UID.
        uid: String,
        /// Its resourceVersion.
        resource_version: String,
    },
    /// Give up our fields.
    Fields {
        /// Its UID.
        uid: String,
        /// Its resourceVersion.
        resource_version: String,
        /// Our data keys that nobody else has.
        keys: BTreeSet<String>,
        /// Whether they are to be taken out one by one. Where an apply gives up all of `data` and nobody is seen to own a part
        /// of it, the whole of it goes, with what others applied as `stringData`.
        one_by_one: bool,
    },
}

/// Plans how our keys leave. A Secret that is wholly a document's goes by its ownerReference, and is none of this.
pub fn leave(deletion: DeletionPolicy, seen: &Seen) -> Leave {
    let Seen::There(facts) = seen else { return Leave::Nothing };
    if deletion != DeletionPolicy::Delete || facts.managed != Some(Managed::Merged) || facts.deleting {
        return Leave::Nothing;
    }
    let (uid, resource_version) = (facts.uid.clone(), facts.resource_version.clone());
    if facts.created && facts.applied && facts.foreign.is_subset(&facts.ours) {
        return Leave::Delete { uid, resource_version };
    }
    let keys = facts.ours.difference(&facts.foreign).cloned().collect();
    Leave::Fields { uid, resource_version, keys, one_by_one: !facts.foreign_text.is_empty() }
}

#[cfg(test)]
mod tests;
