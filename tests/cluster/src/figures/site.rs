//! One control plane, one namespace with documents, one controller: what is measured of ageseal and of the peer alike.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use serde_json::Value;

use super::bare::{Bare, Call};
use super::documents::Document;
use super::samples::Samples;
use super::sights::{Sight, Sights};
use super::trace::{Request, Trace, all_there, names};
use super::usage::{Memory, Shares, memory, processor};
use crate::controller::Controller;
use crate::objects::Namespace;
use crate::plane::{ControlPlane, Options};
use crate::process::Process;

/// How many requests at a time make the documents.
const MAKING: usize = 32;
/// How long one Secret may take. The peer's are behind all others after a restart: for minutes at its own settings.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long after a start the document comes that is asked for after a restart.
const AFTER: Duration = Duration::from_secs(5);
/// How long a controller may go on after its last write before its processor time is read.
const CALM: Duration = Duration::from_secs(3);

/// The policy of the audit log: whoever is measured, and the controller manager, with what was asked and when. Contents
/// would cost the API server more than the requests do.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: [admin]
- level: Metadata
";

/// A control plane for figures: etcd waits for the disk.
///
/// # Panics
/// If it does not start.
pub(crate) fn control_plane() -> ControlPlane {
    let policy = tempfile::NamedTempFile::with_prefix("ageseal-figures-").unwrap_or_else(|e| panic!("no file: {e}"));
    std::fs::write(policy.path(), AUDIT_POLICY).unwrap_or_else(|e| panic!("{}: {e}", policy.path().display()));
    let flags = [
        format!("--audit-policy-file={}", policy.path().display()),
        // In megabytes: the log is read as one file, and would be put aside at a hundred.
        "--audit-log-maxsize=100000".to_owned(),
    ];
    ControlPlane::start(Options { fsync: true, apiserver_flags: flags.into(), ..Options::default() })
}

/// A controller that runs.
pub(crate) enum Running {
    /// ageseal's.
    Ours(Controller),
    /// The peer's.
    Peer(Process),
}

impl Running {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Ours(controller) => controller.pid(),
            Self::Peer(process) => process.pid(),
        }
    }

    /// Ends it as it is ended in a cluster, and waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub(crate) async fn stop(self) {
        match self {
            Self::Ours(controller) => {
                controller.terminate().await;
            }
            Self::Peer(mut process) => process.kill(),
        }
    }

    fn log(&self) -> String {
        match self {
            Self::Ours(controller) => controller.log(),
            Self::Peer(process) => process.log(),
        }
    }
}

/// What a start with N documents and no Secret took.
#[derive(Clone, Debug)]
pub(crate) struct Cold {
    /// How many documents.
    pub(crate) count: usize,
    /// From the start of the process until the last Secret was written.
    pub(crate) secrets: Duration,
    /// From the start of the process until the last status was written.
    pub(crate) statuses: Duration,
    /// Processor time of the controller, until it was calm.
    pub(crate) processor: Duration,
    /// Its memory then.
    pub(crate) memory: Memory,
    /// Writes of Secrets, and of statuses: each document needs one of each.
    pub(crate) writes: (usize, usize),
    /// Who took how much of the processors from the start until every Secret was there, and from then until every status
    /// was: each within a quarter of a second.
    pub(crate) shares: [Shares; 2],
}

/// The place.
pub(crate) struct Site<'a> {
    pub(crate) plane: &'a ControlPlane,
    pub(crate) admin: Bare,
    /// Where the documents are.
    pub(crate) namespace: Namespace,
    /// The group and version of the documents.
    pub(crate) api: &'static str,
    /// Whom the controller speaks as.
    pub(crate) user: String,
    /// Starts the controller; what it needs for that is there before.
    pub(crate) start: Box<dyn Fn() -> Running + Send + Sync + 'a>,
}

impl Site<'_> {
    fn documents_path(&self) -> String {
        format!("/apis/{}/namespaces/{}/sealedsecrets", self.api, self.namespace.name())
    }

    fn document_path(&self, name: &str) -> String {
        format!("{}/{name}", self.documents_path())
    }

    fn secret_path(&self, name: &str) -> String {
        format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace.name())
    }

    /// Makes documents.
    pub(crate) async fn make(&self, documents: &[Document]) {
        let path = self.documents_path();
        let chains = documents.iter().map(|document| vec![Call::create(&path, document.json.clone())]).collect();
        self.admin.send_all(chains, MAKING).await;
    }

    /// Begins to read what the controller asks for.
    pub(crate) fn trace(&self) -> Trace {
        Trace::of(self.plane, &self.user)
    }

    /// Watches the Secrets.
    pub(crate) async fn sights(&self) -> Sights {
        Sights::open(self.plane.client().await, self.namespace.name()).await
    }

    /// Starts the controller over documents that have no Secrets, and waits until all have.
    ///
    /// # Panics
    /// If that does not come to be.
    pub(crate) async fn cold(&self, count: usize) -> (Running, Cold) {
        let namespace = self.namespace.name();
        let secret = |request: &Request| request.wrote_secret(namespace);
        let status = |request: &Request| request.wrote_status(namespace);
        let within = Duration::from_secs(180) + Duration::from_millis(300) * u32::try_from(count).unwrap_or(u32::MAX);
        let mut trace = self.trace();
        let before = Shares::so_far(self.plane, None);
        let begun = SystemTime::now();
        let running = (self.start)();
        let taken = || Shares::so_far(self.plane, Some(running.pid())) - before;
        let shown = |all: &[Request]| all.len() >= count && names(all, secret) == count;
        trace.until(within, "every Secret is written", shown).await;
        let for_secrets = taken();
        let shown = |all: &[Request]| names(all, status) == count;
        trace.until(within, "every status is written", shown).await;
        let for_statuses = taken() - for_secrets;
        tokio::time::sleep(CALM).await;
        let (processor, memory) = (processor(running.pid()), memory(running.pid()));
        let requests = trace.requests();
        let cold = Cold {
            count,
            secrets: all_there(requests, begun, secret),
            statuses: all_there(requests, begun, status),
            processor,
            memory,
            writes: (
                requests.iter().filter(|request| secret(request)).count(),
                requests.iter().filter(|request| status(request)).count(),
            ),
            shares: [for_secrets, for_statuses],
        };
        (running, cold)
    }

    /// Looks at every document: whether its condition of that type is True.
    ///
    /// # Panics
    /// If one's is not, or there are others than so many.
    pub(crate) async fn verify(&self, condition: &str, count: usize, running: &Running) {
        let (mut seen, mut more) = (0, String::new());
        loop {
            let page = self.admin.json(&format!("{}?limit=500&continue={more}", self.documents_path())).await;
            for document in page["items"].as_array().into_iter().flatten() {
                let conditions = document["status"]["conditions"].as_array().into_iter().flatten();
                let holds = conditions.clone().any(|c| c["type"] == condition && c["status"] == "True");
                assert!(
                    holds,
                    "{} is not {condition}: {}\n{}",
                    document["metadata"]["name"],
                    document["status"],
                    running.log()
                );
                seen += 1;
            }
            page["metadata"]["continue"].as_str().unwrap_or_default().clone_into(&mut more);
            if more.is_empty() {
                break;
            }
        }
        assert_eq!(seen, count, "documents in {}", self.namespace.name());
    }

    /// Makes one document after the other, and gives what each took from the moment it was sent until its Secret was seen.
    pub(crate) async fn new_documents(&self, documents: &[Document], sights: &mut Sights, gap: Duration) -> Samples {
        let mut samples = Samples::default();
        for document in documents {
            tokio::time::sleep(gap).await;
            samples.push(self.new_document(document, sights).await);
        }
        samples
    }

    async fn new_document(&self, document: &Document, sights: &mut Sights) -> Duration {
        sights.catch_up();
        let call = Call::create(&self.documents_path(), document.json.clone());
        let there: Box<dyn Fn(&Sight) -> bool> = Box::new(|sight| !sight.gone);
        let start = Instant::now();
        self.admin.send(&call).await;
        let [at] = sights.wait(PATIENCE, [(&document.name, there)]).await;
        at - start
    }

    /// Deletes one Secret after the other, and gives what each took until it was seen again.
    pub(crate) async fn deleted(&self, names: &[String], sights: &mut Sights, gap: Duration) -> Samples {
        let mut samples = Samples::default();
        for name in names {
            tokio::time::sleep(gap).await;
            sights.catch_up();
            let uid = sights.of(name).uid;
            let start = Instant::now();
            self.admin.send(&Call::delete(&self.secret_path(name))).await;
            let [at] = sights.wait(PATIENCE, [(name, Box::new(move |sight| !sight.gone && sight.uid != uid))]).await;
            samples.push(at - start);
        }
        samples
    }

    /// Puts other values into one document after the other, and gives what each took until its Secret was seen changed.
    pub(crate) async fn changed(&self, documents: &[Document], sights: &mut Sights, gap: Duration) -> Samples {
        let mut samples = Samples::default();
        for document in documents {
            tokio::time::sleep(gap).await;
            let path = self.document_path(&document.name);
            let mut object = self.admin.json(&path).await;
            let new: Value =
                serde_json::from_slice(&document.json).unwrap_or_else(|e| panic!("{}: {e}", document.name));
            object["spec"] = new["spec"].clone();
            let call = Call::replace(&path, Bytes::from(object.to_string()));
            sights.catch_up();
            let version = sights.of(&document.name).version;
            let start = Instant::now();
            self.admin.send(&call).await;
            let changed = move |sight: &Sight| !sight.gone && sight.version != version;
            let [at] = sights.wait(PATIENCE, [(&document.name, Box::new(changed))]).await;
            samples.push(at - start);
        }
        samples
    }

    /// Restarts the controller, makes a document five seconds later and deletes the Secret of another one in the same
    /// moment; gives what each took.
    pub(crate) async fn after_restart(
        &self,
        running: Running,
        document: &Document,
        victim: &str,
        sights: &mut Sights,
    ) -> (Running, Duration, Duration) {
        running.stop().await;
        let begun = tokio::time::Instant::now();
        let running = (self.start)();
        tokio::time::sleep_until(begun + AFTER).await;
        sights.catch_up();
        let uid = sights.of(victim).uid;
        let create = Call::create(&self.documents_path(), document.json.clone());
        let delete = Call::delete(&self.secret_path(victim));
        let start = Instant::now();
        tokio::join!(self.admin.send(&create), self.admin.send(&delete));
        let [new, again] = sights
            .wait(
                PATIENCE,
                [
                    (&document.name, Box::new(|sight| !sight.gone)),
                    (victim, Box::new(move |sight| !sight.gone && sight.uid != uid)),
                ],
            )
            .await;
        (running, new - start, again - start)
    }
}
