//! The ceiling: what the API server takes from a bare client that writes the same and does nothing else.
//!
//! The client is a ServiceAccount: priority and fairness is over it as over a controller. The documents whose status it
//! writes are of a copy of the custom resource in another group, so that no controller ever sees them.

use std::time::Duration;

use ageseal::recipient::RecipientId;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::bare::{Bare, Call};
use super::documents::{Document, VALUES, values};
use super::trace::{Request, Trace};
use super::usage::Shares;
use crate::objects::Namespace;
use crate::plane::ControlPlane;
use crate::programs;

/// The group of the copy.
const GROUP: &str = "figures.example.com";
/// The ServiceAccount.
const ACCOUNT: &str = "bare-client";
/// How many requests at a time are tried.
pub(crate) const AT_ONCE: [usize; 3] = [16, 32, 64];
/// How many threads of requests make the objects that nothing measures.
const MAKING: usize = 32;

/// The bare client in its namespace.
pub(crate) struct Ceiling {
    namespace: Namespace,
    admin: Bare,
    client: Bare,
    owner: String,
    /// uid and resourceVersion of each document that has no status yet, by its name.
    documents: Vec<Made>,
    /// How many documents were made: names are used once.
    made: usize,
    seconds: [[f64; AT_ONCE.len()]; 2],
    shares: [[Shares; AT_ONCE.len()]; 2],
    written: usize,
}

struct Made {
    name: String,
    uid: String,
    resource_version: String,
}

/// The best rate, in objects a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// Objects a second.
    pub(crate) rate: f64,
    /// With so many requests at a time.
    pub(crate) at_once: usize,
    /// Who took how much of the processors for one.
    pub(crate) shares: Shares,
}

impl Ceiling {
    /// Makes the copy of the custom resource, the ServiceAccount and what owns the Secrets.
    ///
    /// # Panics
    /// If the API server refuses.
    pub(crate) async fn new(plane: &ControlPlane, namespace: Namespace) -> Self {
        plane.apply(&copied_crds());
        let kubeconfig = plane.service_account(namespace.name(), ACCOUNT).await;
        plane.bind_cluster_admin(namespace.name(), ACCOUNT).await;
        let (admin, client) = (Bare::new(plane.kubeconfig()).await, Bare::new(&kubeconfig).await);
        let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}});
        let path = format!("/api/v1/namespaces/{}/configmaps", namespace.name());
        let owner: Value = parse(&admin.send(&Call::create(&path, owner.to_string().into())).await);
        Self {
            namespace,
            admin,
            client,
            owner: text(&owner["metadata"]["uid"]),
            documents: Vec::new(),
            made: 0,
            seconds: Default::default(),
            shares: Default::default(),
            written: 0,
        }
    }

    /// Waits until the controller manager watches the copy, as it does the original: each write costs the API server what
    /// it costs there.
    pub(crate) async fn watched(&self, plane: &ControlPlane) {
        let mut trace = Trace::from_the_beginning(plane, "system:kube-controller-manager");
        let watches = |request: &Request| request.verb == "watch" && request.uri.contains(GROUP);
        trace
            .until(Duration::from_secs(180), "the controller manager watches the copy", |all| all.iter().any(watches))
            .await;
    }

    /// How many documents one half of the measure takes, if so many objects are written at each concurrency.
    pub(crate) fn documents_for(part: usize) -> usize {
        part * AT_ONCE.len()
    }

    /// Makes documents of the copied kind.
    pub(crate) async fn make(&mut self, documents: &[Document]) {
        let path = format!("/apis/{GROUP}/v1alpha1/namespaces/{}/sealedsecrets", self.namespace.name());
        let chains = documents.iter().enumerate().map(|(number, document)| {
            let mut object: Value = parse(&document.json);
            object["apiVersion"] = json!(format!("{GROUP}/v1alpha1"));
            object["metadata"] = json!({"name": format!("bare-{:06}", self.made + number)});
            vec![Call::create(&path, object.to_string().into())]
        });
        let (_, answers) = self.admin.send_all(chains.collect(), MAKING).await;
        self.documents.extend(answers.iter().map(|answer| {
            let meta = parse(answer)["metadata"].take();
            Made {
                name: text(&meta["name"]),
                uid: text(&meta["uid"]),
                resource_version: text(&meta["resourceVersion"]),
            }
        }));
        self.made += documents.len();
    }

    /// Measures one half: `part` Secrets at each concurrency, and `part` Secrets with a status each. The documents for it
    /// have to be there.
    pub(crate) async fn measure(&mut self, plane: &ControlPlane, part: usize) {
        // Connections are there before the clock starts.
        let warm = (0..AT_ONCE[AT_ONCE.len() - 1]).map(|number| vec![self.secret(&format!("warm-{number}"), number)]);
        self.client.send_all(warm.collect(), AT_ONCE[AT_ONCE.len() - 1]).await;
        for (index, at_once) in AT_ONCE.into_iter().enumerate() {
            let documents = self.documents.split_off(self.documents.len().saturating_sub(part));
            assert_eq!(documents.len(), part, "too few documents for the ceiling");
            let alone = |made: &Made| vec![self.secret(&format!("{}-alone", made.name), index)];
            let alone: Vec<_> = documents.iter().map(alone).collect();
            let both = |made: &Made| vec![self.secret(&made.name, index), self.status(made)];
            let both: Vec<_> = documents.iter().map(both).collect();
            let sums = self.seconds.iter_mut().zip(&mut self.shares);
            for ((seconds, shares), chains) in sums.zip([alone, both]) {
                let so_far = || Shares::so_far(plane, Some(std::process::id()));
                let before = so_far();
                seconds[index] += self.client.send_all(chains, at_once).await.0.as_secs_f64();
                shares[index] = shares[index] + (so_far() - before);
            }
        }
        self.written += part;
    }

    /// The best rate for Secrets alone, over all halves.
    pub(crate) fn secrets(&self) -> Rate {
        best(&self.seconds[0], &self.shares[0], self.written)
    }

    /// The best rate for a Secret and a status, over all halves.
    pub(crate) fn secrets_and_statuses(&self) -> Rate {
        best(&self.seconds[1], &self.shares[1], self.written)
    }

    /// The apply of a Secret of the size and shape that the controller makes.
    fn secret(&self, name: &str, number: usize) -> Call {
        let data: Value =
            values(number, 0).into_iter().map(|(key, value)| (key, BASE64_STANDARD.encode(value))).collect();
        let owner =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": self.owner, "controller": true});
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
            "metadata": {"name": name, "labels": {"figures.example.com/by": "bare"}, "ownerReferences": [owner]},
        });
        Call::apply(&format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace.name()), object.to_string().into())
    }

    /// The write of a status of the size and shape that the controller writes.
    fn status(&self, made: &Made) -> Call {
        let path =
            format!("/apis/{GROUP}/v1alpha1/namespaces/{}/sealedsecrets/{}/status", self.namespace.name(), made.name);
        Call::merge(&path, status(&made.uid, &made.resource_version))
    }
}

/// A status that says Ready, as a merge patch.
fn status(uid: &str, resource_version: &str) -> Bytes {
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "Opened", "observedGeneration": 1,
        "message": "the Secret holds every value of this document", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let status = json!({
        "observedGeneration": 1, "keys": VALUES, "conditions": [condition],
        "identities": [RecipientId::of(ACCOUNT).to_string()], "faultyKeys": null, "lastHandledReconcile": null,
        "secret": {"uid": uid, "resourceVersion": resource_version, "generation": 1},
    });
    let patch = json!({"metadata": {"uid": uid, "resourceVersion": resource_version}, "status": status});
    patch.to_string().into()
}

fn best(seconds: &[f64; AT_ONCE.len()], shares: &[Shares; AT_ONCE.len()], written: usize) -> Rate {
    let least = seconds.iter().copied().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
    let (index, least) = least.expect("there is at least one");
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let rate = written as f64 / least;
    let shares = shares[index] / u32::try_from(written.max(1)).unwrap_or(u32::MAX);
    Rate { rate, at_once: AT_ONCE[index], shares }
}

/// The custom resources of `deploy/crd` in the group of the copy.
fn copied_crds() -> String {
    let folder = programs::crd_folder();
    let path = folder.join("ageseal.dev_sealedsecrets.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.replace("ageseal.dev", GROUP)
}

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|e| panic!("an answer that is no JSON: {e}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::usage::SHARERS;
    use super::*;

    #[test]
    fn the_best_concurrency_is_the_one_that_took_least() {
        let of = |seconds| Shares([Duration::from_secs(seconds); SHARERS.len()]);
        let one = Shares([Duration::from_millis(2); SHARERS.len()]);
        let best = best(&[4.0, 2.0, 2.5], &[of(4), of(2), of(3)], 1000);
        assert_eq!(best, Rate { rate: 500.0, at_once: 32, shares: one });
    }

    #[test]
    fn the_copy_is_another_group_and_nothing_of_the_original() {
        let copy = copied_crds();
        assert!(copy.contains("name: sealedsecrets.figures.example.com") && !copy.contains("ageseal.dev"));
    }
}
