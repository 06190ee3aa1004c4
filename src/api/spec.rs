//! `spec` of the custom resource.
//!
//! The doc comments here are what `kubectl explain` prints.

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
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretSpec {
    /// The Secrets that the values may become part of: patterns NAMESPACE/NAME, sorted. They are authenticated: a
    /// change here makes the values fail to open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<String>,
    /// The type of the Secret; Opaque if it is left out. It is authenticated.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub secret_type: Option<String>,
    /// Whether the Secret is immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// The encrypted values by data key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub encrypted_data: BTreeMap<String, EncryptedItem>,
    /// The envelopes that values share, by key id: `k` and 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub envelopes: BTreeMap<String, Envelope>,
    /// Labels and annotations of the Secret. They are not authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// How the Secret is written. Replace (the default): the whole of its data is the document's. Merge: only the
    /// document's data keys are, in a Secret that is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether to take over a Secret that is not the document's. The Secret has to agree: by the annotation
    /// ageseal.dev/adopt-by with the name of this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<bool>,
    /// What becomes of the Secret when the document is deleted. Delete is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether a Secret that cannot be changed (it is immutable, or of another type) may be deleted and made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<Replace>,
}

/// One encrypted value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EncryptedItem {
    /// The value: ags1, the key id and the sealed bytes in base64, joined by dots.
    pub value: String,
    /// The scope of this value, instead of the document's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<String>>,
    /// The envelope of this value alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
}

/// A data encryption key, encrypted to recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// The ids of the recipients, as claimed.
    pub recipients: Vec<String>,
    /// An armored age file.
    pub age: String,
    /// The same key in further age files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<AgeFile>,
}

/// An armored age file and the recipients that it claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgeFile {
    /// The ids of the recipients, as claimed.
    pub recipients: Vec<String>,
    /// An armored age file.
    pub age: String,
}

/// What the Secret carries besides its data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    /// Metadata of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
}

/// Labels and annotations of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateMetadata {
    /// Labels of the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// How the Secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// The Secret is the document's, all of its data.
    #[default]
    Replace,
    /// Only the document's data keys are the document's.
    Merge,
}

/// What becomes of the Secret when the document is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is deleted with the document.
    #[default]
    Delete,
    /// It stays.
    Retain,
}

/// Whether a Secret that cannot be changed may be deleted and made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Replace {
    /// It may not: the document stays not Ready.
    #[default]
    Never,
    /// It may, if it is the document's own.
    Recreate,
}
