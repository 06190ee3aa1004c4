//! The harness itself: the control plane is real, can be hurt, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ageseal::api::SealedSecret;
use ageseal::manifest::{SealedManifest, objects};
use ageseal::open::{Live, open};
use ageseal::recipient::{Identity, KeyRing};
use ageseal::yaml::Stream;
use ageseal_cluster::{
    AuditEvent, ControlPlane, Controller, ControllerOptions, Options, eventually, recipient_of, sealed,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use rand_core::OsRng;
use rustix::process::{Pid, test_kill_process};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_and_kubectl_tell_one_version() {
    let plane = ControlPlane::shared();
    let version = plane.client().await.apiserver_version().await.unwrap().git_version;
    let told = plane.kubectl(&["version", "-o", "json"]).expect_success();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["clientVersion"]["gitVersion"], version);
    assert_eq!(told["serverVersion"]["gitVersion"], version);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_encrypted_at_rest_and_config_maps_are_not() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("at-rest").await;
    let (hidden, open) = ("not-a-real-value-that-rests", "a-text-of-a-config-map");
    plane.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: hidden, namespace: {0}}}\nstringData: {{key: {hidden}}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: open, namespace: {0}}}\ndata: {{key: {open}}}\n",
        namespace.name()
    ));
    // The ConfigMap was written after the Secret: what finds the one would find the other.
    eventually(SOON, "the ConfigMap is in etcd's files", || async { plane.data_holds(open).then_some(()) }).await;
    assert!(!plane.data_holds(hidden), "the Secret is in etcd's files as it is");
    assert!(plane.data_holds("k8s:enc:secretbox:v1:key1:"), "no Secret is encrypted by secretbox");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_tells_who_asked_for_what() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("audit").await;
    let kubeconfig = plane.service_account(namespace.name(), "curious").await;
    let client = plane.client_with(&kubeconfig).await;
    let refused = Api::<Secret>::namespaced(client, namespace.name()).get("coveted").await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");
    let wanted = AuditEvent {
        user: format!("system:serviceaccount:{}:curious", namespace.name()),
        verb: "get".into(),
        resource: "secrets".into(),
        namespace: namespace.name().into(),
        name: "coveted".into(),
        code: 403,
        uri: format!("/api/v1/namespaces/{}/secrets/coveted", namespace.name()),
        stage: "ResponseComplete".into(),
        ..AuditEvent::default()
    };
    let asked = eventually(SOON, "the audit log has the request", || async {
        plane.audit().into_iter().find(|event| event.user == wanted.user && event.code == 403)
    })
    .await;
    assert!(asked.credential.starts_with("JTI=") && asked.received.ends_with('Z'), "{asked:?}");
    assert_eq!(AuditEvent { credential: String::new(), received: String::new(), ..asked }, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_has_contents_of_config_maps_and_none_of_secrets() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("audited").await;
    plane.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: {0}}}\nstringData: {{key: not-a-real-word}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: {0}}}\ndata: {{key: a-public-word}}\n",
        namespace.name()
    ));
    eventually(SOON, "the audit log has the ConfigMap", || async {
        plane.audit_text().contains("a-public-word").then_some(())
    })
    .await;
    let text = plane.audit_text();
    // As text, and as the base64 that a Secret has in JSON.
    assert!(!text.contains("not-a-real-word") && !text.contains("bm90LWEtcmVhbC13b3Jk"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_may_what_it_was_bound_to() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("bound").await;
    let kubeconfig = plane.service_account(namespace.name(), "admin").await;
    let secrets = Api::<Secret>::namespaced(plane.client_with(&kubeconfig).await, namespace.name());
    assert!(secrets.list(&Default::default()).await.is_err());
    plane.bind_cluster_admin(namespace.name(), "admin").await;
    eventually(SOON, "the binding works", || async { secrets.list(&Default::default()).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_dropped_is_terminated_with_what_is_in_it() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("gone").await;
    let name = namespace.name().to_owned();
    let client = plane.client().await;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), &name);
    maps.create(&PostParams::default(), &config_map("inside")).await.unwrap();
    drop(namespace);
    let namespaces = Api::<Namespace>::all(client);
    eventually(SOON, "the namespace is gone", || async { absent(namespaces.get_opt(&name).await) }).await;
    assert!(maps.get_opt("inside").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deleted_object_owned_is_collected() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("owned").await;
    let maps = Api::<ConfigMap>::namespaced(plane.client().await, namespace.name());
    let owner = maps.create(&PostParams::default(), &config_map("owner")).await.unwrap();
    let mut owned = config_map("owned");
    owned.metadata.owner_references = Some(vec![owner_reference("v1", "ConfigMap", &owner.metadata)]);
    maps.create(&PostParams::default(), &owned).await.unwrap();
    maps.delete("owner", &DeleteParams::background()).await.unwrap();
    eventually(SOON, "the owned object is collected", || async { absent(maps.get_opt("owned").await) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_document_is_accepted_and_what_it_owns_is_collected_soon() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("document").await;
    let identity = Identity::generate_hybrid(&mut OsRng);
    let document = sealed::document(namespace.name(), "db")
        .value("password", "not a real one")
        .value("user", "nobody")
        .seal_for(&[identity.recipient().unwrap()]);
    let client = plane.client().await;
    let documents = Api::<SealedSecret>::namespaced(client.clone(), namespace.name());
    let document = documents.create(&PostParams::default(), &document).await.unwrap();
    let secrets = Api::<Secret>::namespaced(client, namespace.name());
    let owner = owner_reference("ageseal.dev/v1alpha1", "SealedSecret", &document.metadata);
    let metadata = ObjectMeta { name: Some("db".into()), owner_references: Some(vec![owner]), ..Default::default() };
    secrets.create(&PostParams::default(), &Secret { metadata, ..Secret::default() }).await.unwrap();
    documents.delete("db", &DeleteParams::background()).await.unwrap();
    // The custom resource was there before the garbage collector: it needs no minute to know it.
    eventually(Duration::from_secs(20), "the Secret is collected", || async { absent(secrets.get_opt("db").await) })
        .await;
}

#[test]
fn a_sealed_document_opens_where_it_was_sealed_for() {
    let identity = Identity::generate_hybrid(&mut OsRng);
    let recipient = identity.recipient().unwrap();
    let document = sealed::document("shop", "db")
        .scope(["shop/db", "shop-*/db"])
        .secret_type("example.com/db")
        .value("password", "not a real one")
        .value("user", "nobody")
        .scope_of("user", ["shop/db"]);
    let (shared, own) = (document.clone().seal_for(&[recipient]), document.own_envelope().seal_for(&[recipient]));
    let ring = KeyRing::new(vec![identity]);
    for document in [shared, own] {
        let stream = Stream::parse(serde_json::to_string(&document).unwrap()).unwrap();
        let object = objects(&stream).next().unwrap();
        let read = SealedManifest::read(object.node);
        let manifest = read.manifest.unwrap_or_else(|| panic!("{:?}", read.problems));
        let opened = open(&manifest.sealed, Some(Live { namespace: "shop", name: "db" }), &ring).unwrap();
        assert_eq!(opened.values["password"].expose(), b"not a real one");
        assert_eq!(opened.values["user"].expose(), b"nobody");
        // The item with a narrower scope does not open elsewhere, so nothing does.
        assert!(open(&manifest.sealed, Some(Live { namespace: "shop-a", name: "db" }), &ring).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_was_killed_comes_back_with_its_data() {
    // Beside the shared one: two control planes live side by side, and share nothing.
    let shared = ControlPlane::shared();
    let plane = ControlPlane::start(Options::default());
    assert_ne!(plane.server(), shared.server());
    let namespace = plane.namespace("kept").await;
    let client = plane.client().await;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), namespace.name());
    maps.create(&PostParams::default(), &config_map("kept")).await.unwrap();
    let elsewhere = Api::<Namespace>::all(shared.client().await);
    assert!(elsewhere.get_opt(namespace.name()).await.unwrap().is_none());

    plane.kill_api_server();
    assert!(maps.get("kept").await.is_err());
    plane.start_api_server();
    maps.get("kept").await.unwrap();

    plane.freeze_etcd();
    let late = tokio::time::timeout(Duration::from_secs(2), async {
        maps.create(&PostParams::default(), &config_map("late")).await
    });
    assert!(late.await.is_err(), "etcd is frozen, and it answered");
    plane.thaw_etcd();
    eventually(SOON, "writes go on", || async { maps.create(&PostParams::default(), &config_map("later")).await })
        .await;

    let folder = plane.data_dir().parent().unwrap().to_owned();
    let pids = plane.pids();
    assert_eq!(pids.keys().copied().collect::<Vec<_>>(), ["etcd", "kube-apiserver", "kube-controller-manager"]);
    drop(plane);
    assert!(!folder.exists());
    assert!(pids.values().all(|pid| is_gone(*pid)));
    elsewhere.get("default").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_serves_a_namespace_and_comes_back_after_a_kill() {
    let plane = ControlPlane::shared();
    let (system, served) = (plane.namespace("system").await, plane.namespace("served").await);
    let options = ControllerOptions {
        system: system.name().into(),
        namespaces: vec![served.name().into()],
        ..ControllerOptions::default()
    };
    let first = Controller::start(plane, options.clone());
    first.ready().await;
    let recipient = recipient_of(plane, system.name()).await;
    let secrets = Api::<Secret>::namespaced(plane.client().await, served.name());
    let documents = Api::<SealedSecret>::namespaced(plane.client().await, served.name());
    let made = async |name: &str| {
        let document = sealed::document(served.name(), name).value("password", "not a real one");
        documents.create(&PostParams::default(), &document.seal_for(&[&recipient])).await.unwrap();
        let secret = eventually(SOON, "the Secret is there", || async { secrets.get_opt(name).await.unwrap() }).await;
        assert_eq!(secret.data.unwrap()["password"].0, b"not a real one");
    };
    made("first").await;
    assert!(first.metrics().await.contains("ageseal_"));
    assert_eq!(first.get("/nothing").await.unwrap().0, 404);
    first.kill();
    assert!(first.get("/livez").await.is_err());

    let second = Controller::start(plane, options);
    second.ready().await;
    made("second").await;
    second.freeze();
    second.thaw();
    assert!(second.terminate().await.success(), "{}", second.log());
    let user = format!("system:serviceaccount:{}:ageseal-controller", system.name());
    assert!(plane.audit().iter().any(|event| event.user == user && event.verb == "patch"));
}

/// Set in the environment of the child process of the next two tests: how it is to end.
const CHILD: &str = "AGESEAL_HARNESS_CHILD";

#[test]
fn nothing_is_left_of_a_test_process_that_was_killed() {
    if std::env::var_os(CHILD).is_some() {
        let plane = ControlPlane::start(Options { crds: false, ..Options::default() });
        tell(&plane);
        // Until it is killed.
        loop {
            std::thread::park();
        }
    }
    let (mut child, left) = child("nothing_is_left_of_a_test_process_that_was_killed");
    child.kill().unwrap();
    child.wait().unwrap();
    left.are_gone();
}

#[test]
fn nothing_is_left_of_a_test_that_panicked() {
    if std::env::var_os(CHILD).is_some() {
        tell(ControlPlane::shared());
        panic!("on purpose");
    }
    let (mut child, left) = child("nothing_is_left_of_a_test_that_panicked");
    assert_eq!(child.wait().unwrap().code(), Some(101));
    left.are_gone();
}

/// What a control plane of another process is made of.
struct Left {
    folder: PathBuf,
    pids: Vec<u32>,
}

impl Left {
    fn are_gone(&self) {
        let start = Instant::now();
        loop {
            let alive: Vec<u32> = self.pids.iter().copied().filter(|pid| !is_gone(*pid)).collect();
            if alive.is_empty() && !self.folder.exists() {
                return;
            }
            assert!(start.elapsed() < SOON, "still there: {alive:?}, {}", self.folder.display());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Tells the parent process what this one started.
fn tell(plane: &ControlPlane) {
    let pids: Vec<String> = plane.pids().values().map(u32::to_string).collect();
    println!("\nSTARTED {} {}", pids.join(","), plane.data_dir().parent().unwrap().display());
}

/// Runs one test of this program as a child, and waits until it told what it started.
fn child(test: &str) -> (Child, Left) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("STARTED ").map(str::to_owned));
    let Some(told) = told else {
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("the child started nothing:\n{errors}");
    };
    let (pids, folder) = told.split_once(' ').unwrap();
    let left = Left { folder: folder.into(), pids: pids.split(',').map(|pid| pid.parse().unwrap()).collect() };
    assert!(left.folder.is_dir() && left.pids.len() == 3 && !left.pids.iter().any(|pid| is_gone(*pid)), "{told}");
    (child, left)
}

/// Whether a process has ended; one that only waits to be reaped has.
fn is_gone(pid: u32) -> bool {
    let raw = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let dead = state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']));
    dead || test_kill_process(raw).is_err()
}

fn absent<T>(answer: kube::Result<Option<T>>) -> Result<(), String> {
    match answer {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err("still there".into()),
        Err(e) => Err(e.to_string()),
    }
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.into()), ..Default::default() }, ..Default::default() }
}

fn owner_reference(api_version: &str, kind: &str, owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: api_version.into(),
        kind: kind.into(),
        name: owner.name.clone().unwrap(),
        uid: owner.uid.clone().unwrap(),
        ..Default::default()
    }
}
