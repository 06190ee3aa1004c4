//! The process: who leads, who writes, what it says of itself, and how it ends.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "runtime/gate.rs"]
mod gate;
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ageseal::api::LEASE;
use ageseal_cluster::{
    ControlPlane, Controller, ControllerOptions, Namespace, Options, eventually, recipient_of, sealed,
};
use gate::Gate;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use support::{SOON, World, options};

/// The times that the product is shipped with.
const SHIPPED: [&str; 3] = ["--lease-duration=15s", "--renew-deadline=10s", "--retry-period=2s"];
/// The times that the harness sets, and this test counts on.
const DURATION: Duration = Duration::from_secs(3);
const QUICK: [&str; 3] = ["--lease-duration=3s", "--renew-deadline=2s", "--retry-period=300ms"];
/// What a loaded machine may add to a time.
const SLACK: Duration = Duration::from_secs(2);

/// A namespace for the controllers and one that they serve.
struct Stage {
    plane: &'static ControlPlane,
    system: Namespace,
    served: Namespace,
}

impl Stage {
    async fn new(name: &str) -> Self {
        let plane = ControlPlane::shared();
        Self { plane, system: plane.namespace(&format!("{name}-system")).await, served: plane.namespace(name).await }
    }

    fn replica(&self, args: &[&str]) -> Controller {
        Controller::start(self.plane, options(&self.system, &[&self.served], args))
    }

    fn replica_as(&self, kubeconfig: PathBuf, args: &[&str]) -> Controller {
        let options = options(&self.system, &[&self.served], args);
        Controller::start(self.plane, ControllerOptions { kubeconfig: Some(kubeconfig), ..options })
    }

    /// A kubeconfig of its own for a replica, so that the audit log tells the replicas apart.
    async fn account(&self, name: &str) -> PathBuf {
        let kubeconfig = self.plane.service_account(self.system.name(), name).await;
        self.plane.bind_cluster_admin(self.system.name(), name).await;
        kubeconfig
    }

    async fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.plane.client().await, self.system.name())
    }

    async fn lease(&self) -> LeaseSpec {
        self.leases().await.get(LEASE).await.unwrap().spec.unwrap()
    }

    async fn until_secret(&self, name: &str, value: &str) {
        let secrets = Api::<Secret>::namespaced(self.plane.client().await, self.served.name());
        eventually(SOON, &format!("the Secret {name} has the value {value}"), || async {
            let secret = secrets.get_opt(name).await.map_err(|e| e.to_string())?.ok_or("there is none")?;
            let data = secret.data.unwrap_or_default();
            let is = data.get("key").map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
            if is.as_deref() == Some(value) { Ok(()) } else { Err(format!("it is {is:?}")) }
        })
        .await;
    }
}

/// Whether `/metrics` says that this replica leads; `None` if it does not answer.
async fn says_it_leads(replica: &Controller) -> Option<bool> {
    let (_, text) = replica.get("/metrics").await.ok()?;
    text.lines().find_map(|line| line.strip_prefix("ageseal_leader ")).map(|value| value == "1")
}

async fn until_leader(replica: &Controller, within: Duration) -> Duration {
    let start = Instant::now();
    eventually(within, "the replica leads", || async {
        if says_it_leads(replica).await == Some(true) { Ok(()) } else { Err(replica.log()) }
    })
    .await;
    start.elapsed()
}

fn assert_json(log: &str) {
    assert!(!log.is_empty());
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(event[field].is_string(), "no {field}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_leads_and_hands_over_at_once_when_it_is_asked_to_stop() {
    let stage = Stage::new("handover").await;
    // The times that are shipped: the hand-over must not depend on how often somebody looks.
    let first = stage.replica(&[&SHIPPED[..], &["--pod-name=first", "--log-level=debug"]].concat());
    first.ready().await;
    let second = stage.replica(&[&SHIPPED[..], &["--pod-name=second", "--log-level=trace"]].concat());
    second.ready().await;
    assert_eq!((says_it_leads(&first).await, says_it_leads(&second).await), (Some(true), Some(false)));
    let before = stage.lease().await;
    assert_eq!((before.holder_identity.as_deref(), before.lease_duration_seconds), (Some("first"), Some(15)));

    first.interrupt();
    let took = until_leader(&second, SOON).await;
    assert!(took < Duration::from_secs(2), "the other replica led only after {took:?}");
    assert_eq!(first.wait().await.code(), Some(0));
    let after = stage.lease().await;
    assert_eq!(after.holder_identity.as_deref(), Some("second"));
    assert_eq!(after.lease_transitions, before.lease_transitions.map(|count| count + 1));
    assert!(after.acquire_time > before.acquire_time);

    assert_eq!(second.terminate().await.code(), Some(0));
    let free = stage.lease().await;
    assert_eq!((free.holder_identity.as_deref(), free.lease_duration_seconds), (Some(""), Some(1)));
    for log in [first.log(), second.log()] {
        assert_json(&log);
        assert!(log.contains("gave the Lease back"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_when_its_lease_has_run_out() {
    let stage = Stage::new("killed").await;
    let first = stage.replica(&QUICK);
    first.ready().await;
    let second = stage.replica(&QUICK);
    second.ready().await;
    first.kill();
    let took = until_leader(&second, SOON).await;
    // Counted from the last renewal, which was up to a retry period before the end.
    let least = DURATION - Duration::from_millis(500);
    assert!(took >= least && took <= DURATION + SLACK, "the other replica led after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_frozen_writes_nothing_when_it_wakes() {
    let stage = Stage::new("frozen").await;
    let first = stage.replica_as(stage.account("first").await, &QUICK);
    first.ready().await;
    let second = stage.replica_as(stage.account("second").await, &QUICK);
    second.ready().await;
    let recipient = recipient_of(stage.plane, stage.system.name()).await;
    let client = stage.plane.client().await;
    let documents = Api::<ageseal::api::SealedSecret>::namespaced(client.clone(), stage.served.name());
    let apply = async |name: &str, value: &str| {
        let mut document = sealed::document(stage.served.name(), name).value("key", value).seal_for(&[&recipient]);
        document.metadata.managed_fields = None;
        documents.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&document)).await.unwrap();
    };
    for number in 0..20 {
        apply(&format!("d{number}"), "old").await;
    }
    for number in 0..20 {
        stage.until_secret(&format!("d{number}"), "old").await;
    }

    first.freeze();
    until_leader(&second, SOON).await;
    // All that the frozen one will find when it wakes: changes that it did not see, and Secrets that it did not write.
    for number in 0..20 {
        apply(&format!("d{number}"), "new").await;
    }
    for number in 0..20 {
        stage.until_secret(&format!("d{number}"), "new").await;
    }
    let asked_before = stage.plane.audit().len();
    first.thaw();
    eventually(SOON, "the one that woke leads no longer", || async {
        (says_it_leads(&first).await == Some(false)).then_some(())
    })
    .await;
    // It goes on to watch, and to see more changes.
    for number in 0..20 {
        apply(&format!("d{number}"), "newer").await;
    }
    for number in 0..20 {
        stage.until_secret(&format!("d{number}"), "newer").await;
    }
    let first_user = format!("system:serviceaccount:{}:first", stage.system.name());
    let reads = ["get", "list", "watch"];
    let written: Vec<_> = stage.plane.audit().into_iter().skip(asked_before).collect();
    let written: Vec<_> =
        written.into_iter().filter(|event| event.user == first_user && !reads.contains(&event.verb.as_str())).collect();
    assert!(written.is_empty(), "{written:#?}");
    assert!(first.ended().is_none(), "{}", first.log());
    assert!(first.log().contains("this replica leads no longer"), "{}", first.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_stops_before_another_begins() {
    let stage = Stage::new("cut-off").await;
    let gate = Gate::open_for(stage.plane, &stage.account("first").await);
    let first = stage.replica_as(gate.kubeconfig(), &QUICK);
    first.ready().await;
    let second = stage.replica(&QUICK);
    second.ready().await;
    assert_eq!(says_it_leads(&first).await, Some(true));

    gate.shut();
    let start = Instant::now();
    let (mut stopped, mut began) = (None, None);
    while began.is_none() {
        assert!(start.elapsed() < SOON, "{}\n{}", first.log(), second.log());
        // The order matters: what the first says is older than what the second says.
        let leads = (says_it_leads(&first).await, says_it_leads(&second).await);
        assert_ne!(leads, (Some(true), Some(true)), "two lead after {:?}", start.elapsed());
        stopped = stopped.or((leads.0 == Some(false)).then(|| start.elapsed()));
        began = (leads.1 == Some(true)).then(|| start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stopped = stopped.expect("the first stopped");
    assert!(stopped <= Duration::from_secs(2) + SLACK / 2, "it stopped after {stopped:?}");
    assert!(began.unwrap() <= DURATION + SLACK, "the other began after {began:?}");
    assert!(first.log().contains("it was not renewed in time"), "{}", first.log());

    gate.open();
    // It finds the other's Lease, and stands by: ready, without a restart.
    first.ready().await;
    assert_eq!((says_it_leads(&first).await, says_it_leads(&second).await), (Some(false), Some(true)));
    second.terminate().await;
    until_leader(&first, SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clocks_of_other_replicas_do_not_matter() {
    let hour = SignedDuration::from_hours(1);
    for (name, skew) in [("ahead", hour), ("behind", -hour)] {
        let stage = Stage::new(name).await;
        let leases = stage.leases().await;
        let lease = Lease {
            metadata: ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() },
            spec: Some(spec_of_ghost(skew)),
        };
        leases.create(&PostParams::default(), &lease).await.unwrap();
        let replica = stage.replica(&QUICK);
        // As long as the other renews, by a clock that is an hour off, it leads.
        let start = Instant::now();
        while start.elapsed() < DURATION * 2 {
            let patch = json!({ "spec": { "renewTime": spec_of_ghost(skew).renew_time } });
            leases.patch(LEASE, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
            assert_ne!(says_it_leads(&replica).await, Some(true), "{name}: {}", replica.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        // From its last renewal on, the wait is the duration, by the clock of who waits.
        let took = until_leader(&replica, SOON).await;
        let least = DURATION - Duration::from_millis(700);
        assert!(took >= least && took <= DURATION + SLACK, "{name}: it led after {took:?}");
        assert_eq!(stage.lease().await.lease_transitions, Some(8));
    }
}

fn spec_of_ghost(skew: SignedDuration) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some("ghost".to_owned()),
        lease_duration_seconds: Some(3),
        lease_transitions: Some(7),
        renew_time: Some(MicroTime(Timestamp::now() + skew)),
        ..LeaseSpec::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_lease_is_made_anew_by_its_holder() {
    let stage = Stage::new("deleted").await;
    let first = stage.replica(&QUICK);
    first.ready().await;
    let second = stage.replica(&QUICK);
    second.ready().await;
    let leases = stage.leases().await;
    let before = leases.get(LEASE).await.unwrap();
    leases.delete(LEASE, &Default::default()).await.unwrap();
    let after = eventually(SOON, "there is a Lease again", || leases.get(LEASE)).await;
    assert_ne!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.spec.unwrap().holder_identity, before.spec.unwrap().holder_identity);
    for _ in 0..50 {
        assert_eq!((says_it_leads(&first).await, says_it_leads(&second).await), (Some(true), Some(false)));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_says_how_it_stands_and_nothing_else() {
    let world = World::start("probes", &[]).await;
    let ask = |path: &str| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, world.controller.port())).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let ready = ask("/readyz");
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("content-type: text/plain; charset=utf-8"), "{ready}");
    let checks = "[+] not stopping\n[+] custom resource\n[+] documents\n[+] identities\nok\n";
    assert!(ready.ends_with(checks), "{ready}");
    let live = ask("/livez");
    assert!(live.starts_with("HTTP/1.1 200 ") && live.ends_with("[+] election\nok\n"), "{live}");
    let metrics = ask("/metrics");
    assert!(metrics.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{metrics}");
    assert!(metrics.contains("\nageseal_build_info{version=") && metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(metrics.contains("\nageseal_identity_state{state=\"ok\"} 1\n"), "{metrics}");
    for path in ["/", "/debug", "/readyz/documents", "/metrics/", "/v1/decrypt"] {
        assert!(ask(path).starts_with("HTTP/1.1 404 "), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_custom_resource_it_waits_and_says_so() {
    let plane = ControlPlane::start(Options { crds: false, ..Options::default() });
    let system = plane.namespace("early-system").await;
    let kubeconfig = plane.service_account(system.name(), "early").await;
    plane.bind_cluster_admin(system.name(), "early").await;
    let options = ControllerOptions {
        system: system.name().to_owned(),
        kubeconfig: Some(kubeconfig),
        ..ControllerOptions::default()
    };
    let controller = Controller::start(&plane, options);
    let missing = "[-] custom resource: the API server knows no SealedSecret of ageseal.dev: install it with";
    eventually(SOON, "it says what is missing", || async {
        match controller.get("/readyz").await {
            Ok((503, text)) if text.contains(missing) => Ok(()),
            other => Err(format!("{other:?}\n{}", controller.log())),
        }
    })
    .await;
    assert_eq!(controller.get("/livez").await.unwrap().0, 200);
    assert!(controller.log().contains("waiting until sealed documents can be read"), "{}", controller.log());
    plane.install_crds().await;
    controller.ready().await;
    assert_eq!(controller.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_finishes_what_is_under_way_and_the_second_does_not() {
    let stage = Stage::new("signals").await;
    let gate = Gate::open_for(stage.plane, &stage.account("first").await);
    let controller = stage.replica_as(gate.kubeconfig(), &[&SHIPPED[..], &["--workers=4"]].concat());
    controller.ready().await;
    let recipient = recipient_of(stage.plane, stage.system.name()).await;
    let client = stage.plane.client().await;
    let documents = Api::<ageseal::api::SealedSecret>::namespaced(client.clone(), stage.served.name());
    let secrets = Api::<Secret>::namespaced(client, stage.served.name());
    let count = async || secrets.list_metadata(&ListParams::default()).await.unwrap().items.len();
    for number in 0..200 {
        let document = sealed::document(stage.served.name(), &format!("d{number}")).value("key", "value");
        documents.create(&PostParams::default(), &document.seal_for(&[&recipient])).await.unwrap();
    }

    // In the middle of it, the answers of the API server stop: something is under way for long.
    controller.freeze();
    let more: Vec<_> = (200..400).map(|number| format!("d{number}")).collect();
    for name in &more {
        let document = sealed::document(stage.served.name(), name).value("key", "value");
        documents.create(&PostParams::default(), &document.seal_for(&[&recipient])).await.unwrap();
    }
    let before = count().await;
    controller.thaw();
    eventually(SOON, "it is at work", || async { (count().await > before + 5).then_some(()) }).await;
    gate.shut();
    controller.interrupt();
    eventually(SOON, "it is not ready", || async {
        match controller.get("/readyz").await {
            Ok((503, text)) if text.contains("[-] not stopping: a signal asked to stop") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(controller.ended().is_none(), "{}", controller.log());
    let second = Instant::now();
    controller.interrupt();
    assert_eq!(controller.wait().await.code(), Some(1), "{}", controller.log());
    assert!(second.elapsed() < Duration::from_secs(1), "{:?}", second.elapsed());
    assert!(controller.log().contains("a second signal came"), "{}", controller.log());

    // The next one finishes it, and is asked to stop in the middle of it as well.
    let next = stage.replica(&[&QUICK[..], &["--workers=4"]].concat());
    let before = count().await;
    eventually(SOON, "it is at work", || async { (count().await > before + 5).then_some(()) }).await;
    assert_eq!(next.terminate().await.code(), Some(0), "{}", next.log());
    let last = stage.replica(&QUICK);
    eventually(SOON, "all Secrets are there", || async {
        let is = count().await;
        if is == 400 { Ok(()) } else { Err(format!("{is}\n{}", last.log())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_share_a_connection_where_the_api_server_lets_them() {
    let shared = most_connections(ControlPlane::shared()).await;
    let flags = vec!["--disable-http2-serving=true".to_owned()];
    let old = ControlPlane::start(Options { apiserver_flags: flags, ..Options::default() });
    let single = most_connections(&old).await;
    // Watches, the Lease and events have their own.
    assert!(shared < 20, "{shared} connections at once");
    assert!(single > 20, "{single} connections at once: nothing was at work, or nobody counted");
}

/// How many connections to the API server a controller has at once while it makes two hundred Secrets.
async fn most_connections(plane: &ControlPlane) -> usize {
    let (system, served) = (plane.namespace("lines-system").await, plane.namespace("lines").await);
    let controller = Controller::start(plane, options(&system, &[&served], &[]));
    controller.ready().await;
    let recipient = recipient_of(plane, system.name()).await;
    let client = plane.client().await;
    let documents = Api::<ageseal::api::SealedSecret>::namespaced(client.clone(), served.name());
    let secrets = Api::<Secret>::namespaced(client, served.name());
    for number in 0..200 {
        let document = sealed::document(served.name(), &format!("d{number}")).value("key", "value");
        documents.create(&PostParams::default(), &document.seal_for(&[&recipient])).await.unwrap();
        if number == 0 {
            // There is a connection for jobs, and it is not an old one.
            let secret =
                || async { secrets.get_metadata_opt("d0").await.ok().flatten().ok_or_else(|| controller.log()) };
            eventually(SOON, "there is a Secret", secret).await;
            controller.freeze();
        }
    }
    controller.thaw();
    let port: u16 = plane.server().rsplit_once(':').unwrap().1.parse().unwrap();
    let mut most = 0;
    let start = Instant::now();
    while secrets.list_metadata(&ListParams::default()).await.unwrap().items.len() < 200 {
        most = most.max(connections(controller.pid(), port));
        assert!(start.elapsed() < SOON, "{}", controller.log());
    }
    most
}

/// How many connections a process has to a port.
///
/// Source: proc_pid_net(5): the second column is the address of the other side, the third the state, the tenth the inode.
fn connections(pid: u32, port: u16) -> usize {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let own: Vec<_> = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let to_port = |columns: &Vec<&str>| columns[2].ends_with(&format!(":{port:04X}")) && columns[3] == "01";
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect()).filter(to_port);
    lines.filter(|columns| own.contains(&PathBuf::from(format!("socket:[{}]", columns[9])))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_posted_once_however_often_it_happens() {
    let world = World::start("events", &[]).await;
    let elsewhere = sealed::document("somewhere-else", "misplaced").value("key", "value");
    let mut document = elsewhere.seal_for(&[&world.recipient]);
    document.metadata.namespace = Some(world.namespace.name().to_owned());
    world.apply_object(&document, json!({})).await;
    let uid = world.until("misplaced", "ScopeMismatch").await.metadata.uid;
    for number in 0..5 {
        world
            .patch(
                "misplaced",
                json!({ "metadata": { "annotations": { "ageseal.dev/reconcile": number.to_string() } } }),
            )
            .await;
        world.until("misplaced", "ScopeMismatch").await;
    }
    let events = Api::<Event>::namespaced(world.client.clone(), world.namespace.name());
    let about = eventually(SOON, "there is an event", || async {
        let all = events.list(&ListParams::default()).await.map_err(|e| e.to_string())?.items;
        let about: Vec<Event> =
            all.into_iter().filter(|event| event.regarding.as_ref().is_some_and(|object| object.uid == uid)).collect();
        if about.is_empty() { Err(world.controller.metrics().await) } else { Ok(about) }
    })
    .await;
    assert_eq!(about.len(), 1, "{about:#?}");
    let event = &about[0];
    assert_eq!((event.reason.as_deref(), event.type_.as_deref()), (Some("ScopeMismatch"), Some("Warning")));
    assert_eq!(event.reporting_controller.as_deref(), Some("ageseal.dev/controller"));

    // What the controller writes when the ten minutes are over, and it happened again: the API server takes it.
    let series = json!({ "series": { "count": 6, "lastObservedTime": MicroTime(Timestamp::now()) } });
    let name = event.metadata.name.as_deref().unwrap();
    let counted = events.patch(name, &PatchParams::default(), &Patch::Merge(series)).await.unwrap();
    assert_eq!(counted.series.unwrap().count, 6);
}
