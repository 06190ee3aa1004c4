//! `status` of the custom resource: what the controller saw and did.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the controller saw and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretStatus {
    /// The generation of the document that this status speaks of; -1 before the controller looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Stale and Paused, where they apply. Ready says why in its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// How many data keys the document has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<i32>,
    /// The data keys that are at fault, sorted; at most 32 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faulty_keys: Vec<String>,
    /// The ids of the identities that opened the document when its Secret was last written, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// The Secret as it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRecord>,
    /// The value of the annotation ageseal.dev/reconcile that was last obeyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile: Option<String>,
}

/// The Secret as the controller last wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRecord {
    /// The UID of the Secret.
    pub uid: String,
    /// The resourceVersion of the Secret after the write.
    pub resource_version: String,
    /// The generation of the document that it was made from.
    pub generation: i64,
}
