//! A namespace with a controller that serves it, and the few things that every scenario does there.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::time::Duration;

use ageseal::api::{SealedSecret, SecretRecord};
use ageseal::recipient::Recipient;
use ageseal_cluster::sealed::{self, Document};
use ageseal_cluster::{ControlPlane, Controller, ControllerOptions, Namespace, eventually, recipient_of};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

/// How long anything may take that should be quick: a loaded machine is slow, and a failure is worth the wait.
pub const SOON: Duration = Duration::from_secs(60);

/// A served namespace.
pub struct World {
    pub plane: &'static ControlPlane,
    pub system: Namespace,
    pub namespace: Namespace,
    pub controller: Controller,
    pub recipient: Recipient,
    pub client: Client,
}

impl World {
    /// A namespace, and a controller of its own that serves it, with these flags beside the usual ones.
    pub async fn start(name: &str, args: &[&str]) -> Self {
        let plane = ControlPlane::shared();
        let system = plane.namespace(&format!("{name}-system")).await;
        let namespace = plane.namespace(name).await;
        let controller = Controller::start(plane, options(&system, &[&namespace], args));
        controller.ready().await;
        let recipient = recipient_of(plane, system.name()).await;
        let client = plane.client().await;
        Self { plane, system, namespace, controller, recipient, client }
    }

    /// Begins a document for its own place in the namespace.
    pub fn document(&self, name: &str) -> Document {
        sealed::document(self.namespace.name(), name)
    }

    pub fn documents(&self) -> Api<SealedSecret> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// Seals a document for the controller and applies it, with changes to its `spec` by a merge patch.
    pub async fn apply(&self, document: &Document, spec: Value) -> SealedSecret {
        self.apply_object(&document.seal_for(&[&self.recipient]), spec).await
    }

    /// Applies a document, with changes to its `spec` by a merge patch, as a tool that runs kustomize would.
    pub async fn apply_object(&self, document: &SealedSecret, spec: Value) -> SealedSecret {
        let mut object = json!(document);
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
        merge(&mut object["spec"], &spec);
        let name = document.metadata.name.as_deref().unwrap();
        let params = PatchParams::apply("gitops").force();
        self.documents().patch(name, &params, &Patch::Apply(object)).await.unwrap()
    }

    /// Changes a document by a merge patch.
    pub async fn patch(&self, name: &str, patch: Value) -> SealedSecret {
        self.documents().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// Waits until the status speaks of the document's present generation and gives this reason.
    pub async fn until(&self, name: &str, reason: &str) -> SealedSecret {
        let api = self.documents();
        eventually(SOON, &format!("{name} is {reason}"), || async {
            let document = api.get(name).await.map_err(|e| e.to_string())?;
            let status = document.status.as_ref();
            let current = status.and_then(|status| status.observed_generation) == document.metadata.generation;
            if current && condition(&document, "Ready").is_some_and(|ready| ready.reason == reason) {
                return Ok(document);
            }
            Err(format!("{status:?}\n{}", self.controller.log().lines().rev().take(5).collect::<Vec<_>>().join("\n")))
        })
        .await
    }

    /// The values of a Secret, if it is there.
    pub async fn values(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let secret = self.secrets().get_opt(name).await.unwrap()?;
        let data = secret.data.unwrap_or_default();
        Some(data.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect())
    }

    /// Waits until a Secret has exactly these values.
    pub async fn until_values(&self, name: &str, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        eventually(SOON, &format!("{name} has {expected:?}"), || async {
            let values = self.values(name).await;
            if values.as_ref() == Some(&expected) { Ok(()) } else { Err(format!("{values:?}")) }
        })
        .await;
    }

    /// Waits until there is no such Secret.
    pub async fn until_gone(&self, name: &str) {
        eventually(SOON, &format!("{name} is gone"), || async { self.values(name).await.is_none().then_some(()) })
            .await;
    }

    /// Waits until there is no such document.
    pub async fn until_no_document(&self, name: &str) {
        let documents = self.documents();
        eventually(SOON, &format!("the document {name} is gone"), || async {
            let document = documents.get_opt(name).await.map_err(|e| e.to_string())?;
            document.map_or(Ok(()), |document| Err(format!("{:?}", document.metadata.finalizers)))
        })
        .await;
    }

    /// Runs `kubectl` as the administrator, which has to succeed.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) {
        let outcome = self.plane.kubectl(arguments);
        assert!(outcome.success(), "{arguments:?}: {}", outcome.stderr_text());
    }

    pub async fn delete_document(&self, name: &str) {
        self.documents().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A counter or gauge of the controller, all its labels summed.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.controller.metrics().await;
        let samples = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' ')));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// The options of a controller with its own namespace that serves these.
pub fn options(system: &Namespace, namespaces: &[&Namespace], args: &[&str]) -> ControllerOptions {
    ControllerOptions {
        system: system.name().to_owned(),
        namespaces: namespaces.iter().map(|namespace| namespace.name().to_owned()).collect(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        ..ControllerOptions::default()
    }
}

/// A condition of a document.
pub fn condition<'a>(document: &'a SealedSecret, name: &str) -> Option<&'a Condition> {
    document.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == name)
}

/// The Secret as the status records it.
pub fn recorded(document: &SealedSecret) -> SecretRecord {
    document.status.as_ref().and_then(|status| status.secret.clone()).expect("the status records a Secret")
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}
