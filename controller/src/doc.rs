//! A document as it arrives: its metadata parsed, the rest still text.
//!
//! Most documents that a watch brings need nothing done. Their `spec`, which is most of their bytes, is never parsed,
//! and one document that nobody can parse cannot stop the watch of all the others.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ageseal::api::{SealedSecret, SealedSecretStatus};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A document as the API server gave it.
#[derive(Clone, Deserialize)]
pub struct Doc {
    /// Its metadata, as far as anything looks at it: names, versions, finalizers and annotations.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
}

/// Reads metadata without building what nobody looks at: `managedFields` alone are a tree of a hundred nodes.
fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Looked {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        generation: Option<i64>,
        deletion_timestamp: Option<Time>,
        finalizers: Option<Vec<String>>,
        annotations: Option<BTreeMap<String, String>>,
    }
    let looked = Looked::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: looked.name,
        namespace: looked.namespace,
        uid: looked.uid,
        resource_version: looked.resource_version,
        generation: looked.generation,
        deletion_timestamp: looked.deletion_timestamp,
        finalizers: looked.finalizers,
        annotations: looked.annotations,
        ..ObjectMeta::default()
    })
}

impl Doc {
    /// The document's place.
    pub fn key(&self) -> Key {
        Key::new(
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default(),
        )
    }

    /// The text of `spec`, `null` if there is none.
    pub fn spec(&self) -> &str {
        self.spec.as_deref().map_or("null", RawValue::get)
    }

    /// The status; what cannot be read is as if it were not there, and is written anew.
    pub fn status(&self) -> SealedSecretStatus {
        self.status.as_deref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// The bytes that it takes, roughly.
    pub fn size(&self) -> usize {
        self.spec().len() + self.status.as_deref().map_or(0, |raw| raw.get().len()) + 512
    }
}

impl fmt::Debug for Doc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Doc").field(&self.key()).finish()
    }
}

impl Resource for Doc {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        SealedSecret::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        SealedSecret::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        SealedSecret::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        SealedSecret::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Namespace and name: of a document, and of the Secret that it becomes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    text: Arc<str>,
    slash: usize,
}

impl Key {
    /// The key of this namespace and name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { text: format!("{namespace}/{name}").into(), slash: namespace.len() }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.text[..self.slash]
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.text[self.slash + 1..]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_without_its_spec() {
        let doc: Doc = serde_json::from_str(
            r#"{"apiVersion":"ageseal.dev/v1alpha1","kind":"SealedSecret","metadata":{"namespace":"a","name":"b"},
                "spec":{"encryptedData":7},"status":{"observedGeneration":3,"conditions":[]}}"#,
        )
        .unwrap();
        assert_eq!((doc.key().namespace(), doc.key().name()), ("a", "b"));
        assert_eq!(doc.spec(), r#"{"encryptedData":7}"#);
        assert_eq!(doc.status().observed_generation, Some(3));
        let odd: Doc = serde_json::from_str(r#"{"metadata":{},"status":{"conditions":"x"}}"#).unwrap();
        assert_eq!((odd.spec(), odd.status()), ("null", SealedSecretStatus::default()));
    }

    #[test]
    fn a_watch_brings_documents_without_parsing_them() {
        let line = r#"{"type":"ADDED","object":{"metadata":{"name":"b"},"spec":{"x":[1, 2]}}}"#;
        let event: kube::core::WatchEvent<Doc> = serde_json::from_str(line).unwrap();
        let kube::core::WatchEvent::Added(doc) = event else { panic!("added") };
        assert_eq!(doc.spec(), r#"{"x":[1, 2]}"#);
    }
}
