//! Every write of a Secret. Each is harmless when it happens twice, and none happens to a Secret other than the one seen.

use std::collections::BTreeMap;

use ageseal::api::{ANNOTATION_CREATED, FINALIZER, LABEL_MANAGED};
use ageseal::secret::Plaintext;
use serde_json::json;

use crate::body;
use crate::doc::{Doc, Key};
use crate::facts::SecretFacts;
use crate::metrics::Metrics;
use crate::plan::{Leave, Precondition, Wanted, Write, tidy};
use crate::request::{ApplySecret, RefusalKind, RequestError, Requests};

/// What a dry run's Secret is called after its own name; cut so that both fit into 253 bytes.
const DRY_RUN_SUFFIX: &str = ".dry-run";

/// The writes, and who counts them.
#[derive(Clone, Copy)]
pub struct Applier<'a> {
    /// The requests.
    pub requests: &'a Requests,
    /// Where writes are counted.
    pub metrics: &'a Metrics,
}

impl Applier<'_> {
    /// Writes a Secret, and takes out what does not belong there.
    pub async fn write(
        self,
        key: &Key,
        wanted: &Wanted,
        write: &Write,
        values: &BTreeMap<String, Plaintext>,
    ) -> Result<SecretFacts, RequestError> {
        let body = body::secret(wanted, write, values);
        let apply =
            ApplySecret { namespace: key.namespace(), name: key.name(), body, force: write.force, dry_run: false };
        let after = self.requests.apply_secret(apply).await?;
        self.metrics.wrote("secret");
        let Some(patch) = tidy(wanted, write, &after) else { return Ok(after) };
        let tidied = self.requests.merge_secret(key.namespace(), key.name(), &patch).await?;
        self.metrics.wrote("secret");
        Ok(tidied)
    }

    /// Deletes the document's own Secret, exactly as it was seen, and makes it anew.
    ///
    /// A dry run under another name comes first: what the API server would refuse leaves the old Secret where it is. A
    /// crash between the two leaves no Secret and a document that is not Ready, which whoever leads next makes again.
    pub async fn recreate(
        self,
        key: &Key,
        wanted: &Wanted,
        write: &Write,
        seen: &SecretFacts,
        values: &BTreeMap<String, Plaintext>,
    ) -> Result<SecretFacts, RequestError> {
        let fresh = Write { precondition: Precondition::Absent, ..write.clone() };
        let room = key.name().len().min(253 - DRY_RUN_SUFFIX.len());
        let name = format!("{}{DRY_RUN_SUFFIX}", key.name()[..room].trim_end_matches(['-', '.']));
        let body = body::named(&name, wanted, &fresh, values);
        let apply = ApplySecret { namespace: key.namespace(), name: &name, body, force: true, dry_run: true };
        self.requests.apply_secret(apply).await?;
        self.requests.delete_secret(key.namespace(), key.name(), &seen.uid, &seen.resource_version).await?;
        self.metrics.wrote("secret_delete");
        self.write(key, wanted, &fresh, values).await
    }

    /// Takes our keys out of a Secret that is not ours, or deletes one that is nobody's any more.
    pub async fn leave(self, key: &Key, secret_type: &str, leave: &Leave) -> Result<(), RequestError> {
        match leave {
            Leave::Nothing => {}
            Leave::Delete { uid, resource_version } => {
                self.requests.delete_secret(key.namespace(), key.name(), uid, resource_version).await?;
                self.metrics.wrote("secret_delete");
            }
            Leave::Fields { uid, resource_version, keys, one_by_one: true } => {
                let data: BTreeMap<&String, ()> = keys.iter().map(|key| (key, ())).collect();
                let patch = json!({"data": data, "metadata": {
                    "uid": uid, "resourceVersion": resource_version,
                    "labels": {LABEL_MANAGED: null}, "annotations": {ANNOTATION_CREATED: null},
                }});
                self.requests.merge_secret(key.namespace(), key.name(), &patch).await?;
                self.metrics.wrote("secret");
            }
            Leave::Fields { uid, resource_version, .. } => {
                let body = body::nothing(key.name(), secret_type, uid, resource_version);
                let apply =
                    ApplySecret { namespace: key.namespace(), name: key.name(), body, force: false, dry_run: false };
                self.requests.apply_secret(apply).await?;
                self.metrics.wrote("secret");
            }
        }
        Ok(())
    }

    /// Puts our finalizer on a document, or takes it off. Returns the document's resourceVersion afterwards.
    pub async fn finalizer(self, doc: &Doc, wanted: bool) -> Result<Option<String>, RequestError> {
        let key = doc.key();
        let mut finalizers = doc.metadata.finalizers.clone().unwrap_or_default();
        if finalizers.iter().any(|name| name == FINALIZER) == wanted {
            return Ok(None);
        }
        finalizers.retain(|name| name != FINALIZER);
        if wanted {
            finalizers.push(FINALIZER.to_owned());
        }
        let patch = json!({"metadata": {
            "uid": doc.metadata.uid, "resourceVersion": doc.metadata.resource_version, "finalizers": finalizers,
        }});
        match self.requests.patch_document(key.namespace(), key.name(), &patch).await {
            Ok(version) => {
                self.metrics.wrote("document");
                Ok(version.resource_version)
            }
            // It is gone already, which is what taking a finalizer off is for.
            Err(RequestError::Refused(refusal)) if !wanted && refusal.kind == RefusalKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
