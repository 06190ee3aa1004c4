//! The status that follows from what happened: a function from values to a value.

use std::collections::BTreeSet;

use ageseal::api::{ConditionType, ReadyReason, SealedSecretStatus, SecretRecord};
use ageseal::recipient::RecipientId;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;

use crate::fault::Fault;

const RETRYING: &str = "Retrying";
const KEPT: &str = "KeptLastGood";
const PAUSED: &str = "Asked";

/// What became of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Its Secret is there and holds what the document says.
    Ready {
        /// The Secret, as written.
        secret: SecretRecord,
        /// Who opened the document.
        identities: BTreeSet<RecipientId>,
    },
    /// It is at fault. Its last good Secret stays.
    AtFault {
        /// Why.
        fault: Fault,
        /// The Secret of an earlier generation, if it still stands there.
        kept: Option<SecretRecord>,
    },
    /// The API server does not take it now; it is tried again. Told only after some tries.
    Retrying {
        /// The answer of the API server.
        answer: String,
    },
    /// It asks to be left alone.
    Paused,
}

/// The status after a verdict on this generation.
///
/// Guarantees: a condition's `lastTransitionTime` moves only when its `status` does; nothing depends on a plaintext.
pub fn status(
    old: &SealedSecretStatus,
    generation: i64,
    keys: usize,
    verdict: &Verdict,
    reconcile: Option<&str>,
    now: Timestamp,
) -> SealedSecretStatus {
    let mut new = SealedSecretStatus {
        observed_generation: Some(generation),
        keys: Some(i32::try_from(keys).unwrap_or(i32::MAX)),
        last_handled_reconcile: reconcile.map(str::to_owned),
        ..SealedSecretStatus::default()
    };
    let mut conditions = Conditions { old: &old.conditions, generation, now, new: Vec::new() };
    match verdict {
        Verdict::Ready { secret, identities } => {
            let message = "the Secret holds every value of this document";
            conditions.set(ConditionType::Ready, "True", &ReadyReason::Opened.to_string(), message);
            new.identities = identities.iter().map(ToString::to_string).collect();
            new.secret = Some(secret.clone());
        }
        Verdict::AtFault { fault, kept } => {
            let reason = fault.reason.to_string();
            let stays =
                kept.as_ref().map(|kept| format!("the Secret of generation {} stays in place", kept.generation));
            let message = match &stays {
                Some(stays) => format!("{}. T{} (Stale)", fault.message, &stays[1..]),
                None => fault.message.clone(),
            };
            conditions.set(ConditionType::Ready, "False", &reason, &message);
            conditions.set(ConditionType::Stalled, "True", &reason, &fault.message);
            if let Some(stays) = stays {
                conditions.set(ConditionType::Stale, "True", KEPT, &stays);
                new.identities.clone_from(&old.identities);
            }
            new.secret.clone_from(kept);
            new.faulty_keys.clone_from(&fault.keys);
        }
        Verdict::Retrying { answer } => {
            let message = format!("{answer}; it is tried again");
            conditions.set(ConditionType::Ready, "Unknown", RETRYING, &message);
            conditions.set(ConditionType::Reconciling, "True", RETRYING, &message);
            new.identities.clone_from(&old.identities);
            new.secret.clone_from(&old.secret);
        }
        Verdict::Paused => {
            for kept in &old.conditions {
                if kept.type_ != ConditionType::Paused.to_string() {
                    conditions.new.push(kept.clone());
                }
            }
            let message = "the annotation ageseal.dev/paused asks to leave this document alone";
            conditions.set(ConditionType::Paused, "True", PAUSED, message);
            new = SealedSecretStatus { conditions: Vec::new(), ..old.clone() };
        }
    }
    new.conditions = conditions.new;
    new
}

/// Whether two statuses say the same but for times.
pub fn same(left: &SealedSecretStatus, right: &SealedSecretStatus) -> bool {
    let timeless = |status: &SealedSecretStatus| {
        let mut status = status.clone();
        for condition in &mut status.conditions {
            condition.last_transition_time = Time(Timestamp::UNIX_EPOCH);
        }
        status
    };
    timeless(left) == timeless(right)
}

/// The merge patch that makes a status of whatever is there, if the document is still the one that was seen.
#[derive(Serialize)]
pub struct Patch<'a> {
    metadata: Seen<'a>,
    status: Whole<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen<'a> {
    uid: &'a str,
    resource_version: &'a str,
}

/// A status with all its members: what it does not have is null, which takes it out of what is there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    observed_generation: Option<i64>,
    conditions: Option<&'a [Condition]>,
    keys: Option<i32>,
    faulty_keys: Option<&'a [String]>,
    identities: Option<&'a [String]>,
    secret: Option<&'a SecretRecord>,
    last_handled_reconcile: Option<&'a str>,
}

impl<'a> Patch<'a> {
    /// The patch for the document with this UID, as of this resourceVersion.
    pub fn new(status: &'a SealedSecretStatus, uid: &'a str, resource_version: &'a str) -> Self {
        // Without `..`: what a status gets one day is to be told as well.
        let SealedSecretStatus {
            observed_generation,
            conditions,
            keys,
            faulty_keys,
            identities,
            secret,
            last_handled_reconcile,
        } = status;
        let status = Whole {
            observed_generation: *observed_generation,
            conditions: some(conditions),
            keys: *keys,
            faulty_keys: some(faulty_keys),
            identities: some(identities),
            secret: secret.as_ref(),
            last_handled_reconcile: last_handled_reconcile.as_deref(),
        };
        Self { metadata: Seen { uid, resource_version }, status }
    }
}

fn some<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// Whether a status says that its document is Ready, and why or why not.
pub fn readiness(status: &SealedSecretStatus) -> (Option<bool>, &str) {
    let ready = ConditionType::Ready.to_string();
    let condition = status.conditions.iter().find(|condition| condition.type_ == ready);
    condition.map_or((None, ""), |condition| {
        let state = match condition.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        };
        (state, condition.reason.as_str())
    })
}

/// Whether a status says that its document is paused.
pub fn says_paused(status: &SealedSecretStatus) -> bool {
    let paused = ConditionType::Paused.to_string();
    status.conditions.iter().any(|condition| condition.type_ == paused)
}

struct Conditions<'a> {
    old: &'a [Condition],
    generation: i64,
    now: Timestamp,
    new: Vec<Condition>,
}

impl Conditions<'_> {
    fn set(&mut self, condition: ConditionType, status: &str, reason: &str, message: &str) {
        let name = condition.to_string();
        let before = self.old.iter().find(|old| old.type_ == name && old.status == status);
        self.new.push(Condition {
            type_: name,
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: Some(self.generation),
            last_transition_time: before.map_or(Time(self.now), |old| old.last_transition_time.clone()),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn record() -> SecretRecord {
        SecretRecord { uid: "s-1".to_owned(), resource_version: "7".to_owned(), generation: 4 }
    }

    fn ready() -> Verdict {
        Verdict::Ready { secret: record(), identities: BTreeSet::new() }
    }

    fn fault() -> Fault {
        let message = "sealed for shop-prod/queue; this document is shop-prod/p-queue";
        Fault::new(ReadyReason::ScopeMismatch, message).keys(["password".to_owned()])
    }

    #[test]
    fn a_first_success_is_ready_and_nothing_else() {
        let status = status(&SealedSecretStatus::default(), 4, 3, &ready(), None, at(1));
        assert_eq!(readiness(&status), (Some(true), "Opened"));
        assert_eq!(status.conditions.len(), 1);
        assert_eq!((status.keys, status.observed_generation), (Some(3), Some(4)));
        assert_eq!(status.secret, Some(record()));
    }

    #[test]
    fn a_fault_keeps_the_last_good_secret_and_says_so() {
        let before = status(&SealedSecretStatus::default(), 4, 3, &ready(), None, at(1));
        let verdict = Verdict::AtFault { fault: fault(), kept: before.secret.clone() };
        let after = status(&before, 5, 1, &verdict, None, at(2));
        let said = |name: &str| after.conditions.iter().find(|c| c.type_ == name).map(|c| c.message.as_str());
        assert_eq!(
            said("Ready"),
            Some(
                "sealed for shop-prod/queue; this document is shop-prod/p-queue. The Secret of generation 4 stays in \
                 place (Stale)"
            )
        );
        assert_eq!(said("Stalled"), Some("sealed for shop-prod/queue; this document is shop-prod/p-queue"));
        assert_eq!(said("Stale"), Some("the Secret of generation 4 stays in place"));
        assert_eq!(after.faulty_keys, ["password"]);
        assert_eq!(after.secret, Some(record()));
        let gone = status(&after, 5, 1, &Verdict::AtFault { fault: fault(), kept: None }, None, at(3));
        assert!(!gone.conditions.iter().any(|c| c.type_ == "Stale"));
        assert_eq!(gone.secret, None);
    }

    #[test]
    fn times_move_only_with_the_status_of_a_condition() {
        let before = status(&SealedSecretStatus::default(), 4, 3, &ready(), None, at(1));
        let again = status(&before, 5, 3, &ready(), None, at(9));
        assert_eq!(again.conditions[0].last_transition_time, Time(at(1)));
        assert_eq!(again.conditions[0].observed_generation, Some(5));
        assert!(same(&before, &status(&before, 4, 3, &ready(), None, at(9))));
        assert!(!same(&before, &again));
        let other = Verdict::AtFault { fault: fault(), kept: None };
        let failed = status(&before, 4, 3, &other, None, at(9));
        assert_eq!(failed.conditions[0].last_transition_time, Time(at(9)));
    }

    #[test]
    fn a_pause_is_said_beside_what_was_true_before() {
        let before = status(&SealedSecretStatus::default(), 4, 3, &ready(), None, at(1));
        let paused = status(&before, 5, 3, &Verdict::Paused, None, at(2));
        assert!(says_paused(&paused) && !says_paused(&before));
        assert_eq!(readiness(&paused), (Some(true), "Opened"));
        assert_eq!(paused.observed_generation, Some(4), "it was not looked at");
        assert!(!says_paused(&status(&paused, 5, 3, &ready(), None, at(3))));
    }

    #[test]
    fn retrying_is_in_progress_and_not_stalled() {
        let answer = "the API server answered 500 InternalError".to_owned();
        let status = status(&SealedSecretStatus::default(), 4, 3, &Verdict::Retrying { answer }, None, at(1));
        assert_eq!(readiness(&status), (None, "Retrying"));
        let types: Vec<&str> = status.conditions.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(types, ["Ready", "Reconciling"]);
    }

    #[test]
    fn a_patch_takes_out_what_is_no_more() {
        let status = status(&SealedSecretStatus::default(), 4, 3, &ready(), None, at(1));
        let value = json!(Patch::new(&status, "doc-1", "9"));
        assert_eq!(value["metadata"], json!({"uid": "doc-1", "resourceVersion": "9"}));
        assert_eq!(value["status"]["faultyKeys"], Value::Null);
        assert_eq!(value["status"]["secret"]["uid"], "s-1");
    }
}
