//! What the metadata of a Secret tells about whose it is. No value is ever read.

use std::collections::BTreeSet;

use ageseal::api::{
    ANNOTATION_ADOPT_BY, ANNOTATION_CREATED, FIELD_MANAGER, GROUP, LABEL_MANAGED, MANAGED_MERGED, MANAGED_OWNED,
    MANAGED_RETAINED,
};
use ageseal::format::KIND;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference};

/// The Secret of a document's name, as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
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

impl SecretFacts {
    /// Reads the metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        let label = meta.labels.as_ref().and_then(|labels| labels.get(LABEL_MANAGED)).map(String::as_str);
        let annotation = |name: &str| meta.annotations.as_ref().and_then(|all| all.get(name));
        let entries = meta.managed_fields.as_deref().unwrap_or_default();
        let (ours, foreign): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| is_our_apply(entry));
        let keys = |entries: &[&ManagedFieldsEntry], field| -> BTreeSet<String> {
            entries.iter().flat_map(|entry| data_keys(entry, field)).collect()
        };
        let foreign_text = keys(&foreign, "f:stringData");
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            owners: meta.owner_references.clone().unwrap_or_default(),
            managed: [Managed::Owned, Managed::Retained, Managed::Merged]
                .into_iter()
                .find(|managed| Some(managed.label()) == label),
            created: annotation(ANNOTATION_CREATED).is_some(),
            adopt_by: annotation(ANNOTATION_ADOPT_BY).cloned(),
            ours: keys(&ours, "f:data"),
            foreign: keys(&foreign, "f:data").union(&foreign_text).cloned().collect(),
            foreign_text,
            applied: !ours.is_empty(),
        }
    }

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

fn is_our_apply(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// The data keys that an entry owns: the members of `f:data` that begin with `f:`; of `f:stringData`, which an apply owns
/// under that name although it is never stored.
///
/// Source: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.
fn data_keys(entry: &ManagedFieldsEntry, field: &str) -> Vec<String> {
    let data = entry.fields_v1.as_ref().and_then(|fields| fields.0.get(field)?.as_object());
    let keys = data.into_iter().flat_map(|data| data.keys());
    keys.filter_map(|key| key.strip_prefix("f:").map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(json: &str) -> SecretFacts {
        SecretFacts::of(&serde_json::from_str(json).unwrap())
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
