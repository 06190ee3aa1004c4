//! What is said of the identities: log lines, events and metrics.
//!
//! Ids, serials and names of objects alone; nothing of what a Secret holds and nothing of what the API server says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ageseal::api::{BACKUP_PREFIX, RECIPIENTS_CONFIGMAP};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::EventType;

use super::apply::{ApplyError, Outcome};
use super::plan::{Action, Health, Problem, Publish, PublishReason, Relabel, RelabelReason, secret_name};
use super::watch::Break;
use crate::events::Events;
use crate::metrics::Metrics;

/// Whoever tells.
#[derive(Clone)]
pub struct Teller {
    /// The namespace of the identities.
    pub namespace: String,
    /// Where events are handed in.
    pub events: Events,
    /// The metrics.
    pub metrics: Arc<Metrics>,
}

impl Teller {
    /// Tells of an action.
    pub fn acted(&self, action: &Action, outcome: &Outcome, uids: &BTreeMap<String, String>) {
        match (action, outcome) {
            (_, Outcome::LookAgain) => tracing::debug!("things are not as they were seen: looking again"),
            (_, Outcome::Taken(serial)) => tracing::warn!(
                secret = secret_name(*serial),
                "the name belongs to a Secret that is no identity Secret; it is left alone, and another name is taken"
            ),
            (Action::Create { first, .. }, Outcome::Made(mark)) => {
                self.metrics.wrote("identity");
                tracing::info!(identity = %mark.id, serial = mark.serial, first, "made an identity");
            }
            (Action::WriteBackup { id, .. }, _) => {
                self.metrics.wrote("backup");
                tracing::info!(identity = %id, "backed an identity up");
            }
            (Action::Relabel(relabel), _) => self.relabelled(relabel, uids),
            (Action::Publish(publish), _) => self.published(publish),
            (Action::Create { .. }, Outcome::Done) => {}
        }
    }

    fn relabelled(&self, relabel: &Relabel, uids: &BTreeMap<String, String>) {
        self.metrics.wrote("label");
        let Relabel { secret, label, .. } = relabel;
        match relabel.why {
            RelabelReason::TakesOver => tracing::info!(secret, label, "an identity takes over"),
            RelabelReason::Returned => tracing::info!(secret, label, "the identity that was lost is back"),
            RelabelReason::Superseded => tracing::info!(secret, label, "another identity took over"),
            // Told as a problem, with what to do.
            RelabelReason::Planted => tracing::info!(secret, label, "took a label back"),
        }
        if relabel.why == RelabelReason::Returned {
            let secret = self.reference("Secret", secret, uids.get(secret));
            let text = "The identity that was lost is back and current";
            self.events.publish(&secret, "IdentityReturned", text, EventType::Normal);
        }
    }

    fn published(&self, publish: &Publish) {
        self.metrics.wrote("recipients");
        let (serial, id) = (publish.content.serial, &publish.content.current.id);
        let map = self.reference("ConfigMap", RECIPIENTS_CONFIGMAP, publish.over.as_ref().map(|over| &over.uid));
        match publish.why {
            PublishReason::Missing => tracing::info!(identity = id, serial, "published the recipient"),
            PublishReason::PutBack => tracing::warn!(
                identity = id,
                serial,
                "put the recipients back as they were published; the identity is lost all the same"
            ),
            PublishReason::Older => tracing::info!(identity = id, serial, "published the superseded recipients anew"),
            PublishReason::TakenOver => {
                tracing::info!(identity = id, serial, "published another recipient");
                let text = format!("The recipient to seal for is now {id}: run `ageseal recipients sync`");
                self.events.publish(&map, "RecipientChanged", text, EventType::Normal);
            }
            PublishReason::Mended => {
                tracing::warn!(
                    identity = id,
                    serial,
                    "ConfigMap {RECIPIENTS_CONFIGMAP} was changed by somebody; it is mended, and whoever read it meanwhile \
                     runs `ageseal recipients sync` again"
                );
                let text =
                    "Somebody changed it; it is mended: whoever read it meanwhile runs `ageseal recipients sync` again";
                self.events.publish(&map, "RecipientsMended", text, EventType::Warning);
            }
        }
    }

    /// Tells of an action that did not come about.
    pub fn not_done(&self, action: &Action, error: &ApplyError) {
        self.metrics.error("identities");
        let action = match action {
            Action::Create { .. } => "make an identity",
            Action::WriteBackup { .. } => "back an identity up",
            Action::Relabel(_) => "label an identity Secret",
            Action::Publish(_) => "publish the recipients",
        };
        tracing::warn!(action, %error, "not done yet; it is tried again");
    }

    /// Tells of a watch that ended, when that is new.
    pub fn broken(&self, broken: &Break, new: bool) {
        self.metrics.watch_restarted("identities");
        if new {
            let answer = broken.answer.as_deref().unwrap_or("none");
            tracing::warn!(watch = broken.watch, answer, "a watch ended; it is begun again until it holds");
        }
    }

    /// Tells of a problem that was not there before.
    pub fn problem(&self, problem: &Problem, uid: Option<&String>, leads: bool) {
        tracing::warn!(reason = problem.reason(), "{problem}");
        let about = match problem {
            Problem::Unsaved { id } => Some(self.reference("ConfigMap", &format!("{BACKUP_PREFIX}{id}"), None)),
            _ => problem.secret().map(|secret| self.reference("Secret", secret, uid)),
        };
        if let (Some(about), true) = (about, leads) {
            self.events.publish(&about, problem.reason(), problem.to_string(), EventType::Warning);
        }
    }

    /// Shows how many problems there are.
    pub fn problems(&self, problems: &BTreeSet<Problem>) {
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for problem in problems {
            *counts.entry(problem.reason()).or_default() += 1;
        }
        self.metrics.identity_problems(counts);
    }

    /// Tells how the identities stand, when that is new.
    pub fn health(&self, health: Health, configmap: Option<&String>, leads: bool) {
        self.metrics.identity_health(health.word());
        match health {
            Health::Starting | Health::Ok | Health::None { at_hand: false } => {
                tracing::info!(state = health.word(), "{health}");
            }
            Health::None { at_hand: true } | Health::Unsaved { .. } => {
                tracing::warn!(state = health.word(), "{health}")
            }
            Health::Lost { .. } => tracing::error!(state = health.word(), "{health}"),
        }
        if let (Health::Lost { .. }, true) = (health, leads) {
            let map = self.reference("ConfigMap", RECIPIENTS_CONFIGMAP, configmap);
            self.events.publish(&map, "IdentityLost", health.to_string(), EventType::Warning);
        }
    }

    fn reference(&self, kind: &str, name: &str, uid: Option<&String>) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some(kind.to_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(name.to_owned()),
            uid: uid.cloned(),
            ..ObjectReference::default()
        }
    }
}
