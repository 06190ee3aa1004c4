//! The documents of a cluster, and what the controller recorded when it really opened them.

use std::collections::{BTreeMap, BTreeSet};

use ageseal::api::{ConditionType, SealedSecretStatus};
use ageseal::recipient::RecipientId;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{AskError, Asked, Cluster, Refusal};

/// What a document's status is worth as a record of who opened it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// It is Ready, and its Secret was written from its present generation.
    Present,
    /// It is not Ready, for this reason.
    NotReady(String),
    /// It was changed since the controller last opened it.
    Outdated,
    /// The controller has not looked at it.
    Unseen,
}

/// A document, as far as its metadata and its status tell.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The identities that opened it when its Secret was last written.
    pub identities: BTreeSet<RecipientId>,
    /// Whether that still says who opens it.
    pub record: Record,
}

/// A document of whose spec nothing is looked at but whether it has a value.
#[derive(Clone, Debug, Deserialize)]
struct Live {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Option<SealedSecretStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    encrypted_data: Option<BTreeMap<String, IgnoredAny>>,
}

impl Spec {
    fn has_values(&self) -> bool {
        self.encrypted_data.as_ref().is_some_and(|values| !values.is_empty())
    }
}

impl Document {
    fn of(live: Live) -> Self {
        let status = live.status.unwrap_or_default();
        let parsed: Vec<Option<RecipientId>> = status.identities.iter().map(|id| id.parse().ok()).collect();
        Self {
            record: record(&live.metadata, live.spec.has_values(), &status, parsed.iter().all(Option::is_some)),
            identities: parsed.into_iter().flatten().collect(),
            namespace: live.metadata.namespace.unwrap_or_default(),
            name: live.metadata.name.unwrap_or_default(),
        }
    }

    /// `NAMESPACE/NAME`.
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether the record names this identity.
    pub fn opened_by(&self, id: RecipientId) -> bool {
        self.identities.contains(&id)
    }

    /// Why the record does not say who opens it now; nothing if it does.
    pub fn unsure(&self) -> Option<String> {
        match &self.record {
            Record::Present => None,
            Record::NotReady(reason) => Some(format!("not Ready: {reason}")),
            Record::Outdated => Some("changed since it was last opened".to_owned()),
            Record::Unseen => Some("not yet looked at by the controller".to_owned()),
        }
    }
}

fn record(meta: &ObjectMeta, has_values: bool, status: &SealedSecretStatus, legible: bool) -> Record {
    let generation = meta.generation;
    let ready = status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.to_string());
    let Some(ready) = ready else { return Record::Unseen };
    if ready.status != "True" {
        return Record::NotReady(ready.reason.clone());
    }
    let written = status.secret.as_ref().map(|secret| secret.generation);
    let present = generation.is_some() && status.observed_generation == generation && written == generation;
    // Where there is nothing to open, nobody opened it.
    let named = !has_values || !status.identities.is_empty();
    if present && legible && named { Record::Present } else { Record::Outdated }
}

/// Which namespaces are looked at.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Scope {
    /// Look at these namespaces only: those that a controller with --namespaces serves
    #[arg(long, value_name = "NAMESPACE,…", value_delimiter = ',')]
    pub namespaces: Vec<String>,
}

/// All documents that the controller serves, sorted. Its own namespace is none that it serves.
///
/// # Errors
/// They may not be listed; the cluster does not know the kind.
pub fn list(cluster: &Cluster, scope: &Scope) -> Result<Vec<Document>, AskError> {
    let mut all = vec![];
    let resource = "sealedsecrets.ageseal.dev";
    let mut take = |live: Live| all.push(Document::of(live));
    if scope.namespaces.is_empty() {
        let path = "/apis/ageseal.dev/v1alpha1/sealedsecrets";
        cluster.each(&Asked::new("list", resource), path, None, &mut take).map_err(|error| match error.refusal {
            Refusal::Forbidden => AskError {
                told: error.told.hint("if the controller serves some namespaces only: --namespaces NAMESPACE,…"),
                ..error
            },
            _ => error,
        })?;
    }
    for namespace in &scope.namespaces {
        // A name with anything else in it would make another path.
        if let Some(fault) = ageseal::manifest::names::namespace_fault(namespace) {
            return Err(AskError {
                refusal: Refusal::Other,
                told: crate::error::CliError::usage(format!("--namespaces: the namespace {fault}")),
            });
        }
        let path = format!("/apis/ageseal.dev/v1alpha1/namespaces/{namespace}/sealedsecrets");
        cluster.each(&Asked::new("list", resource).within(namespace), &path, None, &mut take)?;
    }
    all.retain(|document| document.namespace != cluster.namespace());
    all.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    all.dedup_by(|one, other| one.namespace == other.namespace && one.name == other.name);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::of(serde_json::from_str(text).unwrap())
    }

    const GOOD: &str = r#"{"metadata":{"namespace":"a","name":"b","generation":3},"spec":{"x":[1],"encryptedData":{"k":{"value":"v"}}},"status":{
        "observedGeneration":3,"identities":["r7d793037a0760186"],
        "secret":{"uid":"u","resourceVersion":"1","generation":3},
        "conditions":[{"type":"Ready","status":"True","reason":"Opened","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}"#;

    #[test]
    fn only_a_record_of_the_present_generation_says_who_opens_it() {
        let good = document(GOOD);
        assert_eq!((good.title().as_str(), &good.record, good.identities.len()), ("a/b", &Record::Present, 1));
        for (from, to, record) in [
            (r#""generation":3},"spec"#, r#""generation":4},"spec"#, Record::Outdated),
            (r#""observedGeneration":3"#, r#""observedGeneration":2"#, Record::Outdated),
            (r#""resourceVersion":"1","generation":3"#, r#""resourceVersion":"1","generation":2"#, Record::Outdated),
            (r#"["r7d793037a0760186"]"#, "[]", Record::Outdated),
            (r#"["r7d793037a0760186"]"#, r#"["r7d793037a0760186","junk"]"#, Record::Outdated),
            (
                r#""status":"True","reason":"Opened""#,
                r#""status":"False","reason":"NotOwned""#,
                Record::NotReady("NotOwned".to_owned()),
            ),
            (r#""type":"Ready""#, r#""type":"Paused""#, Record::Unseen),
        ] {
            assert_eq!(document(&GOOD.replace(from, to)).record, record, "{from}");
        }
        // A document without a value, as that of a ServiceAccount's token: there is no identity to record.
        let none = GOOD.replace(r#"["r7d793037a0760186"]"#, "[]");
        for spec in [r#"{}"#, r#"{"encryptedData":{}}"#, r#"{"encryptedData":null}"#] {
            let text = none.replace(r#"{"x":[1],"encryptedData":{"k":{"value":"v"}}}"#, spec);
            assert_eq!(document(&text).record, Record::Present, "{spec}");
            let changed = text.replace(r#""generation":3},"spec"#, r#""generation":4},"spec"#);
            assert_eq!(document(&changed).record, Record::Outdated, "{spec}");
        }
        assert_eq!(document(r#"{"metadata":{"name":"x"}}"#).record, Record::Unseen);
        assert_eq!(document(r#"{"metadata":{"name":"x"},"status":{"observedGeneration":-1}}"#).record, Record::Unseen);
    }
}
