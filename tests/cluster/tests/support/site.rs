//! A namespace full of documents, and as many controllers for it as a scenario wants.
//!
//! Everything here bears an API server that does not answer: what a test makes is asked for until it is there.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ageseal::api::{LEASE, SealedSecret};
use ageseal::recipient::Recipient;
use ageseal_cluster::sealed::{self, Document};
use ageseal_cluster::{AuditEvent, ControlPlane, Controller, ControllerOptions, Namespace, eventually, recipient_of};
use futures::{StreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// How many documents are made at once.
const AT_ONCE: usize = 8;

/// A namespace full of documents.
pub struct Site<'p> {
    pub plane: &'p ControlPlane,
    pub system: Namespace,
    pub namespace: Namespace,
    pub client: Client,
}

/// What is expected of documents: their names, and the serial of their values.
pub type Expected = BTreeMap<String, u64>;

impl<'p> Site<'p> {
    pub async fn new(plane: &'p ControlPlane, name: &str) -> Self {
        let system = plane.namespace(&format!("{name}-system")).await;
        let namespace = plane.namespace(name).await;
        Self { plane, system, namespace, client: plane.client().await }
    }

    /// Starts a controller that serves this namespace alone.
    pub fn start(&self, args: &[&str]) -> Controller {
        let mut options = self.options(args);
        options.namespaces = vec![self.namespace.name().to_owned()];
        Controller::start(self.plane, options)
    }

    /// Starts a controller that serves all namespaces.
    pub fn start_everywhere(&self, args: &[&str]) -> Controller {
        Controller::start(self.plane, self.options(args))
    }

    fn options(&self, args: &[&str]) -> ControllerOptions {
        ControllerOptions {
            system: self.system.name().to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            ..ControllerOptions::default()
        }
    }

    pub async fn recipient(&self) -> Recipient {
        recipient_of(self.plane, self.system.name()).await
    }

    pub fn documents(&self) -> Api<SealedSecret> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    pub fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), self.system.name())
    }

    /// A document whose values tell its name and a serial.
    pub fn document(&self, name: &str, serial: u64) -> Document {
        sealed::document(self.namespace.name(), name).value("name", name).value("serial", serial.to_string())
    }

    /// Begins to apply documents; each is asked for until the API server took it.
    pub fn apply(&self, documents: Vec<Value>) -> JoinHandle<()> {
        let api = self.documents();
        tokio::spawn(async move {
            let made = stream::iter(documents).map(|document| apply(&api, document));
            made.buffer_unordered(AT_ONCE).collect::<()>().await;
        })
    }

    /// Seals documents of these serials for the controller, with changes to their `spec`.
    pub fn sealed(&self, recipient: &Recipient, expected: &Expected, spec: &Value) -> Vec<Value> {
        let seal = |(name, serial): (&String, &u64)| {
            let mut document = json!(self.document(name, *serial).seal_for(&[recipient]));
            for (member, value) in spec.as_object().into_iter().flatten() {
                document["spec"][member] = value.clone();
            }
            document
        };
        expected.iter().map(seal).collect()
    }

    /// Waits until so many Secrets of documents are there.
    pub async fn until_some(&self, count: usize) {
        let secrets = self.secrets();
        eventually(Duration::from_secs(60), &format!("{count} Secrets"), || async {
            let there = secrets.list_metadata(&ListParams::default()).await.map_err(|e| e.to_string())?.items.len();
            if there >= count { Ok(()) } else { Err(there.to_string()) }
        })
        .await;
    }

    /// Waits until every document is opened, says so of its present generation, and its Secret has its values.
    pub async fn until_opened(&self, within: Duration, expected: &Expected) {
        eventually(within, "all documents are opened", || async {
            let documents = self.documents().list(&ListParams::default()).await.map_err(|e| e.to_string())?;
            let secrets = self.secrets().list(&ListParams::default()).await.map_err(|e| e.to_string())?;
            let opened: BTreeSet<&str> = documents.items.iter().filter(|d| is_opened(d)).filter_map(name_of).collect();
            let serials: BTreeMap<&str, Option<u64>> =
                secrets.items.iter().filter_map(|s| Some((s.metadata.name.as_deref()?, serial(s)))).collect();
            let right = |(name, serial): &(&String, &u64)| {
                opened.contains(name.as_str()) && serials.get(name.as_str()) == Some(&Some(**serial))
            };
            let wrong: Vec<&str> =
                expected.iter().filter(|entry| !right(entry)).map(|(name, _)| name.as_str()).collect();
            let Some(first) = wrong.first() else { return Ok(()) };
            let status = documents.items.iter().find(|d| name_of(d) == Some(*first)).map(|d| json!(d.status));
            Err(format!("{} are not, as {first}: {:?} {status:?}", wrong.len(), serials.get(first)))
        })
        .await;
    }

    /// Makes a Secret that is somebody else's.
    pub async fn foreign_secret(&self, name: &str) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"theirs": "stays"}});
        self.secrets().create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    }

    /// The serials in all Secrets.
    pub async fn serials(&self) -> BTreeMap<String, Option<u64>> {
        let secrets = self.secrets().list(&ListParams::default()).await.unwrap();
        secrets.items.iter().filter_map(|secret| Some((secret.metadata.name.clone()?, serial(secret)))).collect()
    }

    /// The ServiceAccount of the controllers, as the audit log names it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:ageseal-controller", self.system.name())
    }

    /// What the controllers asked for since a moment.
    pub fn asked(&self, since: &str) -> Vec<AuditEvent> {
        let user = self.user();
        let events = self.plane.audit().into_iter();
        events.filter(|event| event.user == user && event.received.as_str() >= since).collect()
    }

    /// Who holds the Lease.
    pub async fn holder(&self) -> Option<String> {
        self.leases().get_opt(LEASE).await.ok()??.spec?.holder_identity
    }

    /// Waits until a replica holds the Lease.
    pub async fn until_leads(&self, controller: &Controller) {
        eventually(Duration::from_secs(60), &format!("{} leads", controller.name()), || async {
            let holder = self.holder().await;
            if holder.as_deref() == Some(controller.name()) { Ok(()) } else { Err(format!("{holder:?}")) }
        })
        .await;
    }
}

/// `PREFIX-000` and so on, all with one serial.
pub fn names(prefix: &str, count: usize, serial: u64) -> Expected {
    (0..count).map(|index| (format!("{prefix}-{index:03}"), serial)).collect()
}

/// The present moment, as the audit log writes it.
pub fn now() -> String {
    format!("{:.6}", Timestamp::now())
}

/// Whether a request changes something.
pub fn writes(event: &AuditEvent) -> bool {
    ["create", "update", "patch", "delete", "deletecollection"].contains(&event.verb.as_str())
}

/// Applies a document as a tool does that runs until it is done.
pub async fn apply(api: &Api<SealedSecret>, mut document: Value) {
    document["metadata"].as_object_mut().unwrap().remove("managedFields");
    let name = document["metadata"]["name"].as_str().unwrap().to_owned();
    let params = PatchParams::apply("gitops").force();
    loop {
        match api.patch(&name, &params, &Patch::Apply(&document)).await {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if [400, 403, 422].contains(&status.code) => panic!("{name}: {status:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A counter or gauge of a controller, all its labels summed.
pub async fn metric(controller: &Controller, name: &str) -> f64 {
    let text = controller.metrics().await;
    let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Whether a document says that it is opened, of its present generation.
pub fn is_opened(document: &SealedSecret) -> bool {
    let Some(status) = &document.status else { return false };
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    status.observed_generation == document.metadata.generation && ready.is_some_and(|ready| ready.reason == "Opened")
}

fn name_of(document: &SealedSecret) -> Option<&str> {
    document.metadata.name.as_deref()
}

/// The serial in a Secret.
pub fn serial(secret: &Secret) -> Option<u64> {
    let bytes = &secret.data.as_ref()?.get("serial")?.0;
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Everything that the Secrets of a namespace were, as a watch brought it.
pub struct History {
    seen: Arc<Mutex<BTreeMap<String, Vec<Option<u64>>>>>,
    task: JoinHandle<()>,
}

impl History {
    /// Begins to watch; what is written after this returns is seen.
    pub async fn begin(site: &Site<'_>) -> Self {
        let seen = Arc::new(Mutex::new(BTreeMap::<String, Vec<Option<u64>>>::new()));
        let (ready, began) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(follow(site.secrets(), Arc::clone(&seen), ready));
        began.await.unwrap();
        Self { seen, task }
    }

    /// Ends to watch, and says that no Secret ever went back to an older serial, whether it was deleted in between or not.
    #[track_caller]
    pub fn never_went_back(self) {
        self.task.abort();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!seen.is_empty(), "nothing was seen");
        for (name, serials) in seen.iter() {
            let known: Vec<u64> = serials.iter().flatten().copied().collect();
            assert!(known.is_sorted(), "{name} went back: {serials:?}");
        }
    }

    /// How often a Secret was seen to be deleted.
    pub fn deletions(&self) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.values().flatten().filter(|serial| serial.is_none()).count()
    }
}

async fn follow(
    secrets: Api<Secret>,
    seen: Arc<Mutex<BTreeMap<String, Vec<Option<u64>>>>>,
    ready: tokio::sync::oneshot::Sender<()>,
) {
    let mut ready = Some(ready);
    let mut events = Box::pin(watcher(secrets, watcher::Config::default()));
    while let Some(event) = events.next().await {
        let (secret, there) = match event {
            Ok(Event::Apply(secret) | Event::InitApply(secret)) => (secret, true),
            Ok(Event::Delete(secret)) => (secret, false),
            Ok(Event::InitDone) => {
                ready.take().map(|ready| ready.send(()));
                continue;
            }
            Ok(Event::Init) => continue,
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let serial = if there { serial(&secret) } else { None };
        let name = secret.metadata.name.unwrap_or_default();
        seen.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().push(serial);
    }
}
