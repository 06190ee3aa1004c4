//! What the metadata of a Secret tells about whose it is. No value is ever read.

use std::collections::{BTreeMap, BTreeSet};

use ageseal::api::{
    ANNOTATION_ADOPT_BY, ANNOTATION_CREATED, FIELD_MANAGER, GROUP, LABEL_MANAGED, MANAGED_MERGED, MANAGED_OWNED,
    MANAGED_RETAINED,
};
use ageseal::format::KIND;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The Secret of a document's name, as it stands. Read from its metadata.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Looked")]
pub struct SecretFacts {
    /// Its UID.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// Whether it is on its way out.
    pub deleting: bool,
    /// Its ownerReferences.
    pub owners: Vec<OwnerReference>,
    /// The value of our label.
    pub managed: Option<Managed>,
    /// Whether a document in `Merge` mode made it.
    pub created: bool,
    /// The document that may adopt it.
    pub adopt_by: Option<String>,
    /// The data keys that our applies own.
    pub ours: BTreeSet<String>,
    /// The data keys that others own.
    pub foreign: BTreeSet<String>,
    /// Those of them that were applied as `stringData`: the API server does not see that `data` is the same field.
    pub foreign_text: BTreeSet<String>,
    /// Whether our apply owns anything in it: a label that was copied from elsewhere is no sign of that.
    pub applied: bool,
}

/// How the controller marked a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Managed {
    /// It goes with its document.
    Owned,
    /// It outlives its document.
    Retained,
    /// Some of its data keys are a document's.
    Merged,
}

/// Whose a Secret is, seen from the document of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The document's.
    Ours,
    /// Somebody else's; some keys in it may be the document's.
    Foreign,
}

impl Managed {
    /// The value of the label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Owned => MANAGED_OWNED,
            Self::Retained => MANAGED_RETAINED,
            Self::Merged => MANAGED_MERGED,
        }
    }
}

/// What is looked at of the metadata. The rest is passed over as text: `managedFields` alone are a tree of a hundred nodes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Looked {
    uid: Option<String>,
    resource_version: Option<String>,
    deletion_timestamp: Option<IgnoredAny>,
    owner_references: Option<Vec<OwnerReference>>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    managed_fields: Option<Vec<Entry>>,
}

/// Who wrote which fields.
///
/// Source: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    manager: Option<String>,
    operation: Option<String>,
    subresource: Option<String>,
    fields_v1: Option<Fields>,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "f:data")]
    data: Option<Members>,
    /// An apply owns `stringData` under that name, although it is never stored.
    #[serde(rename = "f:stringData")]
    string_data: Option<Members>,
}

/// The members of a map: those that begin with `f:` are its keys.
type Members = BTreeMap<String, IgnoredAny>;

impl Entry {
    fn is_our_apply(&self) -> bool {
        self.manager.as_deref() == Some(FIELD_MANAGER)
            && self.operation.as_deref() == Some("Apply")
            && self.subresource.as_deref().unwrap_or_default().is_empty()
    }
}

impl From<Looked> for SecretFacts {
    fn from(meta: Looked) -> Self {
        let labels = meta.labels.unwrap_or_default();
        let label = labels.get(LABEL_MANAGED).map(String::as_str);
        let managed = [Managed::Owned, Managed::Retained, Managed::Merged];
        let mut annotations = meta.annotations.unwrap_or_default();
        let entries = meta.managed_fields.unwrap_or_default();
        let (ours, foreign): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.is_our_apply());
        let foreign_data = keys(&foreign, |fields| fields.data.as_ref());
        let foreign_text = keys(&foreign, |fields| fields.string_data.as_ref());
        Self {
            uid: meta.uid.unwrap_or_default(),
            resource_version: meta.resource_version.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            owners: meta.owner_references.unwrap_or_default(),
            managed: managed.into_iter().find(|managed| Some(managed.label()) == label),
            created: annotations.contains_key(ANNOTATION_CREATED),
            adopt_by: annotations.remove(ANNOTATION_ADOPT_BY),
            ours: keys(&ours, |fields| fields.data.as_ref()),
            foreign: foreign_data.union(&foreign_text).cloned().collect(),
            foreign_text,
            applied: !ours.is_empty(),
        }
    }
}

fn keys(entries: &[&Entry], members: impl Fn(&Fields) -> Option<&Members>) -> BTreeSet<String> {
    let members = entries.iter().filter_map(|entry| members(entry.fields_v1.as_ref()?));
    members.flat_map(Members::keys).filter_map(|name| name.strip_prefix("f:")).map(str::to_owned).collect()
}

impl SecretFacts {
    /// Whose it is. An ownerReference to a document of this name is ours whatever its UID: names are unique, so another
    /// UID is one that no longer exists, as after a restore from a backup. Our label counts where our apply is seen as
    /// well: tools that copy Secrets copy labels.
    pub fn whose(&self, name: &str) -> Whose {
        if self.foreign_controller(name) {
            return Whose::Foreign;
        }
        let owned = self.owners.iter().any(|owner| is_document(owner, name));
        let marked = match self.managed {
            Some(Managed::Owned | Managed::Retained) => self.applied,
            Some(Managed::Merged) => self.applied && self.created,
            None => false,
        };
        if owned || marked { Whose::Ours } else { Whose::Foreign }
    }

    /// Whether an ownerReference names exactly this document.
    pub fn is_owned_by(&self, uid: &str) -> bool {
        self.owners.iter().any(|owner| owner.uid == uid && owner.kind == KIND)
    }

    /// Whether something other than the document of this name controls it.
    pub fn foreign_controller(&self, name: &str) -> bool {
        self.owners.iter().any(|owner| owner.controller == Some(true) && !is_document(owner, name))
    }

    /// The ownerReferences without those to documents of this name; none if there is nothing to take out but `keep`.
    pub fn owners_without_stale(&self, name: &str, keep: Option<&str>) -> Option<Vec<OwnerReference>> {
        let stale = |owner: &OwnerReference| is_document(owner, name) && Some(owner.uid.as_str()) != keep;
        let any = self.owners.iter().any(stale);
        any.then(|| self.owners.iter().filter(|owner| !stale(owner)).cloned().collect())
    }
}

fn is_document(owner: &OwnerReference, name: &str) -> bool {
    let group = owner.api_version.split('/').next();
    group == Some(GROUP) && owner.kind == KIND && owner.name == name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(json: &str) -> SecretFacts {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn data_keys_are_told_by_who_owns_them() {
        let facts = meta(
            r#"{"managedFields":[
              {"manager":"ageseal-controller","operation":"Apply","fieldsV1":{"f:data":{".":{},"f:a":{}},"f:type":{}}},
              {"manager":"ageseal-controller","operation":"Update","fieldsV1":{"f:data":{"f:b":{}}}},
              {"manager":"kubectl","operation":"Update","fieldsV1":{"f:data":{"f:c":{},"f:d.e":{}}}},
              {"manager":"helm","operation":"Apply","fieldsV1":{"f:stringData":{"f:t":{}}}}]}"#,
        );
        assert_eq!(facts.ours, BTreeSet::from(["a".to_owned()]));
        assert_eq!(facts.foreign, ["b", "c", "d.e", "t"].map(str::to_owned).into());
        assert_eq!(facts.foreign_text, ["t".to_owned()].into());
        assert!(facts.applied);
    }

    #[test]
    fn what_is_null_is_not_there() {
        let members = ["uid", "labels", "annotations", "ownerReferences", "managedFields", "deletionTimestamp"];
        let nulls: serde_json::Map<_, _> =
            members.iter().map(|name| ((*name).to_owned(), serde_json::Value::Null)).collect();
        assert_eq!(meta(&serde_json::Value::Object(nulls).to_string()), SecretFacts::default());
        let entry = r#"{"managedFields":[{"manager":null,"operation":null,"subresource":null,"fieldsV1":null},
            {"fieldsV1":{"f:data":null}}]}"#;
        assert_eq!(meta(entry), SecretFacts::default());
    }

    #[test]
    fn whose_a_secret_is() {
        let applied = |rest: &str| {
            format!(r#"{{"managedFields":[{{"manager":"ageseal-controller","operation":"Apply"}}],{rest}}}"#)
        };
        for (rest, whose) in [
            (r#""labels":{"ageseal.dev/managed":"owned"}"#, Whose::Ours),
            (r#""labels":{"ageseal.dev/managed":"retained"}"#, Whose::Ours),
            (r#""labels":{"ageseal.dev/managed":"merged"}"#, Whose::Foreign),
            (r#""labels":{"ageseal.dev/managed":"else"}"#, Whose::Foreign),
            (r#""labels":{"ageseal.dev/managed":"merged"},"annotations":{"ageseal.dev/created":"db"}"#, Whose::Ours),
        ] {
            assert_eq!(meta(&applied(rest)).whose("db"), whose, "{rest}");
            assert_eq!(meta(&format!("{{{rest}}}")).whose("db"), Whose::Foreign, "a copy with {rest}");
        }
        let table = [
            (r#"{}"#, Whose::Foreign),
            (
                r#"{"ownerReferences":[{"apiVersion":"ageseal.dev/v1alpha1","kind":"SealedSecret","name":"db","uid":"gone"}]}"#,
                Whose::Ours,
            ),
            (
                r#"{"ownerReferences":[{"apiVersion":"ageseal.dev/v1alpha1","kind":"SealedSecret","name":"other","uid":"u"}]}"#,
                Whose::Foreign,
            ),
            (
                r#"{"labels":{"ageseal.dev/managed":"owned"},"ownerReferences":[{"apiVersion":"v1","kind":"X","name":"db","uid":"u","controller":true}]}"#,
                Whose::Foreign,
            ),
        ];
        for (json, whose) in table {
            assert_eq!(meta(json).whose("db"), whose, "{json}");
        }
    }

    #[test]
    fn stale_owners_are_told_from_others() {
        let owner = |name: &str, uid: &str| {
            format!(r#"{{"apiVersion":"ageseal.dev/v1alpha1","kind":"SealedSecret","name":"{name}","uid":"{uid}"}}"#)
        };
        let facts = meta(&format!(
            r#"{{"ownerReferences":[{},{},{{"apiVersion":"v1","kind":"ConfigMap","name":"db","uid":"3"}}]}}"#,
            owner("db", "1"),
            owner("db", "2")
        ));
        let left = facts.owners_without_stale("db", Some("2")).unwrap();
        assert_eq!(left.iter().map(|owner| owner.uid.as_str()).collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(
            meta(&format!(r#"{{"ownerReferences":[{}]}}"#, owner("db", "2"))).owners_without_stale("db", Some("2")),
            None
        );
    }
}
