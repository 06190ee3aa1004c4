//! `spec` of the custom resource.
//!
//! The doc comments here are what `kubectl explain` prints, so they speak to who writes documents and use no markup.
//! Bounds, patterns and what else the schema says beyond types: `crd.rs`.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::SealedSecretStatus;

/// What a sealed document says: encrypted values, the places that they may be opened in, and how the Secret is made.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ageseal.dev",
    version = "v1alpha1",
    kind = "SealedSecret",
    plural = "sealedsecrets",
    singular = "sealedsecret",
    shortname = "ags",
    namespaced,
    status = "SealedSecretStatus",
    derive = "PartialEq",
    doc = "A Secret in encrypted form, as it lives in git: the controller makes the Secret of the same namespace and name from it.",
    annotation("argocd.argoproj.io/sync-options", "Prune=false"),
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "description": "Whether the Secret is there and holds what the document says."}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "description": "Why it is ready or not, in one word."}"#,
    printcolumn = r#"{"name": "Keys", "type": "integer", "jsonPath": ".status.keys", "description": "How many data keys the document has."}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretSpec {
    /// The Secrets that the values may become part of: patterns NAMESPACE/NAME, sorted, each once. An asterisk stands
    /// for any characters on its side; a name may end in -{hash}, for the suffix that kustomize generates. The scope is
    /// authenticated: where it is edited, nothing opens. Sealing again is the way to change it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<String>,
    /// The type of the Secret; Opaque if it is left out. It is authenticated: sealing again is the way to change it.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub secret_type: Option<String>,
    /// Whether the Secret is immutable: the API server then refuses every later change of its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// The encrypted values, by the data key that each has in the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub encrypted_data: BTreeMap<String, EncryptedItem>,
    /// The envelopes that values share, by key id: k and 16 lower-case hexadecimal digits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub envelopes: BTreeMap<String, Envelope>,
    /// What the Secret carries besides its data. It is not authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// How the Secret is written; Replace if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether to take over a Secret of that name which is there already. The Secret has to agree, by the annotation
    /// ageseal.dev/adopt-by with the name of this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<bool>,
    /// What becomes of the Secret when the document is deleted; Delete if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What happens to a Secret that cannot be changed; Never if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<Replace>,
}

/// An encrypted value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EncryptedItem {
    /// The sealed text, made by ageseal: ags1, the key id and the encrypted bytes in base64, joined by dots.
    pub value: String,
    /// The scope of this value alone, in place of the document's. An overlay's patch writes it; null is as if it were
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<String>>,
    /// The envelope of this value alone. A value without one uses the shared envelope of its key id; null is as if it
    /// were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
}

/// An envelope: the data encryption key of one or more values, encrypted to their readers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// The ids of the recipients: r and 16 lower-case hexadecimal digits each. They are a claim that orders the tries;
    /// only a key can tell who reads.
    pub recipients: Vec<String>,
    /// The age file, in ASCII armor. It holds the data encryption key, never a value.
    pub age: String,
    /// The same data encryption key in further age files, for recipients that were added later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<AgeFile>,
}

/// The same data encryption key in one more age file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgeFile {
    /// The ids of the recipients: r and 16 lower-case hexadecimal digits each. They are a claim that orders the tries;
    /// only a key can tell who reads.
    pub recipients: Vec<String>,
    /// The age file, in ASCII armor. It holds the data encryption key, never a value.
    pub age: String,
}

/// What the Secret carries besides its data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    /// Labels and annotations of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
}

/// Labels and annotations of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateMetadata {
    /// Labels of the Secret. Names that begin with ageseal.dev/ are the controller's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret. Names that begin with ageseal.dev/ are the controller's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

// The schema of a field that may be left out has the text of its enum, not the field's: the one below is printed.
/// How the Secret is written. Replace, the default: the Secret is the document's, and data keys that others add are
/// removed. Merge: only the document's data keys are, in a Secret that may be somebody else's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// The Secret is the document's, all of its data.
    #[default]
    Replace,
    /// Only the document's data keys are the document's.
    Merge,
}

/// What becomes of the Secret when the document is deleted. Delete, the default: it is deleted too. Retain: it stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is deleted with the document.
    #[default]
    Delete,
    /// It stays.
    Retain,
}

/// What happens to a Secret that cannot be changed, because it is immutable or of another type. Never, the default: it
/// stays, and the document is not Ready. Recreate: if it is the document's own, it is deleted and made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Replace {
    /// It may not: the document stays not Ready.
    #[default]
    Never,
    /// It may, if it is the document's own.
    Recreate,
}
