//! What goes wrong around the controller: the API server, etcd, other replicas, other clients, the clock. Documents become
//! Secrets all the same, and nothing older is ever written over something newer.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/site.rs"]
mod site;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ageseal::api::LEASE;
use ageseal_cluster::{AuditEvent, ControlPlane, Controller, Options, eventually, sealed};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use site::{History, Site, metric, names, now, writes};

/// How long anything may take that should be quick: a loaded machine is slow, and a failure is worth the wait.
const SOON: Duration = Duration::from_secs(60);
/// How long an API server has too much to do.
const STORM: Duration = Duration::from_secs(20);
/// Longer than the Lease of a test's controller lasts, and than its renew deadline.
const LONGER_THAN_THE_LEASE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_killed_at_work_loses_nothing() {
    let plane = ControlPlane::start(Options::default());
    let site = Site::new(&plane, "killed").await;
    let controller = site.start(&[]);
    controller.ready().await;
    let recipient = site.recipient().await;
    let history = History::begin(&site).await;
    let pid = controller.pid();
    // Once while all of them are made, once while all of them are changed.
    for serial in [1, 2] {
        let expected = names("db", 200, serial);
        let documents = site.sealed(&recipient, &expected, &json!({}));
        let writes = metric(&controller, "ageseal_writes_total").await;
        let made = site.apply(documents);
        eventually(SOON, "the controller is at work", || async {
            (metric(&controller, "ageseal_writes_total").await - writes > 60.0).then_some(())
        })
        .await;
        plane.kill_api_server();
        assert!(!made.is_finished(), "it was killed too late");
        tokio::time::sleep(LONGER_THAN_THE_LEASE).await;
        assert_eq!(controller.get("/livez").await.unwrap().0, 200);
        plane.start_api_server();
        made.await.unwrap();
        site.until_opened(SOON, &expected).await;
    }
    assert_eq!((controller.ended(), controller.pid()), (None, pid));
    assert_eq!(history.deletions(), 0);
    history.never_went_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_does_not_answer_for_half_a_minute_loses_nothing() {
    let plane = ControlPlane::start(Options::default());
    let site = Site::new(&plane, "frozen").await;
    let controller = site.start(&[]);
    controller.ready().await;
    let recipient = site.recipient().await;
    let history = History::begin(&site).await;
    let (first, second) = (names("db", 100, 1), names("db", 100, 2));
    let (one, two) = (site.sealed(&recipient, &first, &json!({})), site.sealed(&recipient, &second, &json!({})));
    let made = site.apply(one);
    site.until_some(30).await;
    plane.freeze_etcd();
    let changed = site.apply(two);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(controller.get("/livez").await.unwrap().0, 200);
    assert!(!made.is_finished() || !changed.is_finished(), "etcd is frozen, and all is done");
    plane.thaw_etcd();
    made.await.unwrap();
    changed.await.unwrap();
    // The two ran at once: which came last is not known. The second time it is.
    site.apply(site.sealed(&recipient, &second, &json!({}))).await.unwrap();
    site.until_opened(SOON, &second).await;
    assert_eq!((controller.ended(), history.deletions()), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_killed_the_other_replica_finishes() {
    let site = Site::new(ControlPlane::shared(), "leader-killed").await;
    let (leader, other) = replicas(&site, &[]).await;
    let recipient = site.recipient().await;
    let history = History::begin(&site).await;
    let (first, second) = (names("db", 100, 1), names("db", 100, 2));
    site.apply(site.sealed(&recipient, &first, &json!({}))).await.unwrap();
    site.until_opened(SOON, &first).await;
    let changed = site.apply(site.sealed(&recipient, &second, &json!({})));
    let new = site.apply(site.sealed(&recipient, &names("new", 50, 1), &json!({})));
    site.until_some(110).await;
    leader.kill();
    changed.await.unwrap();
    new.await.unwrap();
    let expected = second.into_iter().chain(names("new", 50, 1)).collect();
    site.until_opened(SOON, &expected).await;
    site.until_leads(&other).await;
    let asked = site.asked("");
    assert!(!asked.iter().any(|event| event.verb == "delete"), "{asked:?}");
    assert!(asked.iter().any(|event| event.credential == other.credential() && event.resource == "sealedsecrets"));
    assert_eq!(history.deletions(), 0);
    history.never_went_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_wakes_up_after_another_took_over_writes_nothing() {
    let site = Site::new(ControlPlane::shared(), "leader-frozen").await;
    let (frozen, other) = replicas(&site, &[]).await;
    let recipient = site.recipient().await;
    let history = History::begin(&site).await;
    // Some can only be changed by being deleted.
    let recreate = json!({"immutable": true, "replace": "Recreate"});
    let fixed = names("fixed", 20, 1);
    site.apply(site.sealed(&recipient, &fixed, &recreate)).await.unwrap();
    site.until_opened(SOON, &fixed).await;

    let (plain, fixed) = (names("db", 150, 1), names("fixed", 20, 2));
    let plain_made = site.apply(site.sealed(&recipient, &plain, &json!({})));
    let fixed_made = site.apply(site.sealed(&recipient, &fixed, &recreate));
    site.until_some(50).await;
    frozen.freeze();
    let stopped = now();
    plain_made.await.unwrap();
    fixed_made.await.unwrap();
    site.until_leads(&other).await;
    site.until_opened(SOON, &plain.into_iter().chain(fixed).collect()).await;
    // The world goes on: other values, documents that are gone, documents that are others.
    let (plain, fixed) = (names("db", 150, 3), names("fixed", 20, 3));
    site.apply(site.sealed(&recipient, &plain, &json!({}))).await.unwrap();
    site.apply(site.sealed(&recipient, &fixed, &recreate)).await.unwrap();
    let (mut expected, gone) = (plain, names("db", 10, 0));
    for name in gone.keys() {
        site.documents().delete(name, &DeleteParams::default()).await.unwrap();
        expected.remove(name);
    }
    let again = names("fixed", 10, 4);
    for name in again.keys() {
        site.documents().delete(name, &DeleteParams::default()).await.unwrap();
    }
    site.apply(site.sealed(&recipient, &again, &recreate)).await.unwrap();
    let expected = expected.into_iter().chain(fixed).chain(again).collect();
    site.until_opened(SOON, &expected).await;

    let woken = now();
    frozen.thaw();
    eventually(SOON, "it knows that it does not lead", || async {
        let leads = metric(&frozen, "ageseal_leader").await;
        let caught_up = metric(&frozen, "ageseal_queue_depth").await == 0.0;
        if leads == 0.0 && caught_up { Ok(()) } else { Err(format!("leads: {leads}")) }
    })
    .await;
    frozen.ready().await;
    // Whatever it would do wrong, it would do at once: its requests were ready to be sent.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = site.asked("");
    let of_frozen = asked.iter().filter(|event| event.credential == frozen.credential());
    let written: Vec<_> = of_frozen.filter(|event| writes(event) && event.received > woken).collect();
    let done: Vec<_> = written.iter().filter(|event| event.code < 300).collect();
    assert!(done.is_empty(), "{done:#?}");
    assert!(!written.iter().any(|event| event.verb == "delete"), "{written:#?}");
    assert!(
        asked.iter().any(|event| event.credential == frozen.credential() && writes(event) && event.received < stopped)
    );
    site.until_opened(SOON, &expected).await;
    for name in gone.keys() {
        assert!(site.secrets().get_opt(name).await.unwrap().is_none(), "{name} is back");
    }
    // It is none the worse for it.
    other.kill();
    site.until_leads(&frozen).await;
    let last = names("last", 5, 1);
    site.apply(site.sealed(&recipient, &last, &json!({}))).await.unwrap();
    site.until_opened(SOON, &last).await;
    history.never_went_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_stop_hands_over_within_two_seconds() {
    let site = Site::new(ControlPlane::shared(), "hand-over").await;
    // The times of a real installation: nobody takes over because a Lease ran out.
    let times = ["--lease-duration=15s", "--renew-deadline=10s", "--retry-period=2s"];
    let (leader, other) = replicas(&site, &times).await;
    let recipient = site.recipient().await;
    let history = History::begin(&site).await;
    let expected = names("db", 200, 1);
    let made = site.apply(site.sealed(&recipient, &expected, &json!({})));
    site.until_some(40).await;
    leader.interrupt();
    let began = Instant::now();
    site.until_leads(&other).await;
    let took = began.elapsed();
    assert!(!made.is_finished(), "there was nothing left to hand over");
    made.await.unwrap();
    assert!(took < Duration::from_secs(2), "{took:?}\n{}", leader.log());
    assert!(leader.wait().await.success(), "{}", leader.log());
    site.until_opened(SOON, &expected).await;
    let lease = site.leases().get(LEASE).await.unwrap().spec.unwrap();
    assert_eq!(lease.lease_transitions, Some(1));
    assert_eq!(history.deletions(), 0);
    history.never_went_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_an_hour_off_change_nothing() {
    let site = Site::new(ControlPlane::shared(), "skew").await;
    let hour = SignedDuration::from_hours(1);
    // A holder whose clock is an hour ahead, and of whom nothing is heard any more.
    let duration = Duration::from_secs(3);
    write_lease(&site, "ghost", Timestamp::now() + hour).await;
    let began = Instant::now();
    let controller = site.start(&[]);
    site.until_leads(&controller).await;
    let took = began.elapsed();
    assert!(took >= duration, "it did not wait for the holder: {took:?}");
    assert!(took < duration * 6, "it believed the holder's clock: {took:?}");
    controller.ready().await;
    let recipient = site.recipient().await;
    controller.kill();

    // A holder whose clock is an hour behind, and who renews.
    write_lease(&site, "slow", Timestamp::now() - hour).await;
    let controller = site.start(&[]);
    let began = Instant::now();
    while began.elapsed() < duration * 2 {
        write_lease(&site, "slow", Timestamp::now() - hour).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let waiting = names("waiting", 3, 1);
    site.apply(site.sealed(&recipient, &waiting, &json!({}))).await.unwrap();
    assert_eq!(site.holder().await.as_deref(), Some("slow"));
    assert!(!site.asked("").iter().any(|event| event.credential == controller.credential() && writes(event)));
    site.until_leads(&controller).await;
    site.until_opened(SOON, &waiting).await;

    // It leads, and the times of its own Lease are changed under it.
    for off in [hour, -hour] {
        write_lease(&site, controller.name(), Timestamp::now() + off).await;
        let next = names(if off.is_negative() { "behind" } else { "ahead" }, 3, 1);
        site.apply(site.sealed(&recipient, &next, &json!({}))).await.unwrap();
        site.until_opened(SOON, &next).await;
        assert_eq!(site.holder().await.as_deref(), Some(controller.name()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_too_busy_is_asked_again_until_it_is_not() {
    let plane = ControlPlane::start(Options { max_inflight: Some((6, 6)), ..Options::default() });
    let site = Site::new(&plane, "busy").await;
    let controller = site.start(&[]);
    controller.ready().await;
    let recipient = site.recipient().await;
    let history = History::begin(&site).await;
    // One request at a time for all ServiceAccounts of the namespace, and no queue: the others get a 429.
    plane.apply(&format!(
        "apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: PriorityLevelConfiguration\nmetadata: {{name: starved}}\n\
         spec: {{type: Limited, limited: {{nominalConcurrencyShares: 1, lendablePercent: 0, borrowingLimitPercent: 0, \
         limitResponse: {{type: Reject}}}}}}\n---\n\
         apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: FlowSchema\nmetadata: {{name: starved}}\n\
         spec:\n  matchingPrecedence: 2\n  priorityLevelConfiguration: {{name: starved}}\n  rules:\n  \
         - subjects: [{{kind: ServiceAccount, serviceAccount: {{name: '*', namespace: {system}}}}}]\n    \
         resourceRules: [{{verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*']}}]\n",
        system = site.system.name()
    ));
    let kubeconfig = plane.service_account(site.system.name(), "flood").await;
    plane.bind_cluster_admin(site.system.name(), "flood").await;
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let secrets = kube::Api::<k8s_openapi::api::core::v1::Secret>::all(plane.client_with(&kubeconfig).await);
        flood.spawn(async move {
            loop {
                let _ = secrets.list(&Default::default()).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    let expected = names("db", 100, 1);
    let storm = now();
    site.apply(site.sealed(&recipient, &expected, &json!({}))).await.unwrap();
    tokio::time::sleep(STORM).await;
    let asked = site.asked(&storm);
    let refused = asked.iter().filter(|event| event.code == 429).count();
    let what = tally(&asked.iter().collect::<Vec<_>>());
    // It goes on asking, and asks less: a worker each at first, then one a second beside its watches and its Lease.
    assert!(refused > 20, "that was no storm: {what:#?}");
    assert!(refused < 300, "an API server with too much to do is given more: {what:#?}");
    flood.shutdown().await;
    // The limit stays; only the others are gone.
    site.until_opened(SOON, &expected).await;
    assert_eq!((controller.ended(), history.deletions()), (None, 0));
    history.never_went_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_write_the_same_objects_all_the_time_cost_little_and_win_nothing() {
    let site = Site::new(ControlPlane::shared(), "contested").await;
    let controller = site.start(&[]);
    controller.ready().await;
    let recipient = site.recipient().await;
    let history = History::begin(&site).await;
    let expected = names("db", 6, 1);
    site.apply(site.sealed(&recipient, &expected, &json!({}))).await.unwrap();
    site.until_opened(SOON, &expected).await;

    let storm = now();
    let mut clients = tokio::task::JoinSet::new();
    for name in expected.keys() {
        let (documents, secrets, name) = (site.documents(), site.secrets(), name.clone());
        clients.spawn(async move {
            for count in 0_u64.. {
                let touch = count.to_string();
                let patch = Patch::Merge(
                    json!({"metadata": {"annotations": {"touched": touch}, "labels": {"touched": touch}}}),
                );
                let _ = documents.patch_metadata(&name, &PatchParams::default(), &patch).await;
                let _ = secrets.patch_metadata(&name, &PatchParams::default(), &patch).await;
            }
        });
    }
    // Everything changes in the middle of it, and new documents come.
    let changed = names("db", 6, 2);
    site.apply(site.sealed(&recipient, &changed, &json!({}))).await.unwrap();
    let new = names("new", 20, 1);
    site.apply(site.sealed(&recipient, &new, &json!({}))).await.unwrap();
    site.until_opened(SOON, &new).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    clients.shutdown().await;
    site.until_opened(SOON, &changed).await;
    let mut events = site.plane.audit();
    events.retain(|event| event.namespace == site.namespace.name() && event.received > storm);
    let (asked, others): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.user == site.user());
    let touches = others.iter().filter(|event| event.verb == "patch").count();
    let refused = asked.iter().filter(|event| event.code == 409).count();
    assert!(touches > 200 && refused > 0, "that was no storm: {touches} touches, {refused} refused");
    // What the documents need, and a few looks at each of those that are fought over.
    let what = tally(&asked);
    assert!(asked.len() < 20 * 4 + 6 * 60, "{} requests for {touches} touches: {what:#?}", asked.len());
    assert_eq!(history.deletions(), 0);
    history.never_went_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_resource_that_is_deleted_takes_its_secrets_along_and_may_come_back() {
    let plane = ControlPlane::start(Options::default());
    let site = Site::new(&plane, "definition").await;
    let controller = site.start(&[]);
    controller.ready().await;
    let recipient = site.recipient().await;
    let (plain, kept, merged) = (names("db", 20, 1), names("kept", 3, 1), names("merged", 5, 1));
    for name in merged.keys() {
        site.foreign_secret(name).await;
    }
    site.apply(site.sealed(&recipient, &plain, &json!({}))).await.unwrap();
    site.apply(site.sealed(&recipient, &kept, &json!({"deletionPolicy": "Retain"}))).await.unwrap();
    site.apply(site.sealed(&recipient, &merged, &json!({"mode": "Merge"}))).await.unwrap();
    let all = [plain.clone(), kept.clone(), merged.clone()].into_iter().flatten().collect();
    site.until_opened(SOON, &all).await;

    // It waits until every document is gone: those in Merge mode wait for the controller.
    let name = "sealedsecrets.ageseal.dev";
    let deleted = plane.kubectl(&["delete", "crd", name, "--timeout=60s"]);
    assert!(deleted.success(), "{}\n{}", deleted.stderr_text(), controller.log());
    eventually(SOON, "the Secrets are collected with their documents", || async {
        let there = site.serials().await;
        let gone = plain.keys().all(|name| !there.contains_key(name));
        let left = merged.keys().all(|name| there.get(name) == Some(&None));
        let stay = kept.keys().all(|name| there.get(name) == Some(&Some(1)));
        if gone && left && stay { Ok(()) } else { Err(format!("{there:?}")) }
    })
    .await;
    // It looks for it for a while, and is alive.
    let restarts = metric(&controller, "ageseal_watch_restarts_total").await;
    eventually(SOON, "it looks for documents again and again", || async {
        (metric(&controller, "ageseal_watch_restarts_total").await > restarts + 2.0).then_some(())
    })
    .await;
    assert_eq!(controller.get("/livez").await.unwrap().0, 200);

    plane.install_crds().await;
    let (plain, kept) = (names("db", 20, 2), names("kept", 3, 2));
    site.apply(site.sealed(&recipient, &plain, &json!({}))).await.unwrap();
    site.apply(site.sealed(&recipient, &kept, &json!({"deletionPolicy": "Retain"}))).await.unwrap();
    site.until_opened(SOON, &plain.into_iter().chain(kept).collect()).await;
    assert_eq!(controller.ended(), None);
    controller.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_deleted_goes_away_with_its_documents() {
    let plane = ControlPlane::start(Options::default());
    let site = Site::new(&plane, "leaving").await;
    let elsewhere = plane.namespace("staying").await;
    let controller = site.start_everywhere(&[]);
    controller.ready().await;
    let recipient = site.recipient().await;
    let (plain, merged, made) = (names("db", 40, 1), names("merged", 20, 1), names("made", 20, 1));
    for name in merged.keys() {
        site.foreign_secret(name).await;
    }
    site.apply(site.sealed(&recipient, &plain, &json!({}))).await.unwrap();
    site.apply(site.sealed(&recipient, &merged, &json!({"mode": "Merge"}))).await.unwrap();
    site.apply(site.sealed(&recipient, &made, &json!({"mode": "Merge"}))).await.unwrap();
    site.until_opened(SOON, &[plain.clone(), merged, made].into_iter().flatten().collect()).await;
    // Some are on their way when it happens.
    let changed = site.sealed(&recipient, &names("db", 40, 2), &json!({}));
    for document in changed.into_iter().take(20) {
        site::apply(&site.documents(), document).await;
    }
    let since = now();
    let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(site.client.clone());
    namespaces.delete(site.namespace.name(), &DeleteParams::default()).await.unwrap();
    eventually(SOON, "the namespace is gone", || async {
        let namespace = namespaces.get_opt(site.namespace.name()).await.map_err(|e| e.to_string())?;
        namespace.map_or(Ok(()), |namespace| Err(format!("{:?}", namespace.status)))
    })
    .await;
    // No document is fought for: a look or two each.
    let asked = site.asked(&since).into_iter().filter(|event| event.namespace == site.namespace.name()).count();
    assert!(asked < 80 * 12, "{asked} requests");
    let document = sealed::document(elsewhere.name(), "db").value("serial", "1").seal_for(&[&recipient]);
    let api = kube::Api::namespaced(site.client.clone(), elsewhere.name());
    site::apply(&api, json!(document)).await;
    eventually(SOON, "a document elsewhere is opened", || async { api.get("db").await.ok().filter(site::is_opened) })
        .await;
}

/// How often what was asked for, and what came of it.
fn tally(asked: &[&AuditEvent]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for event in asked {
        *tally.entry(format!("{} {} {}", event.verb, event.resource, event.code)).or_default() += 1;
    }
    tally
}

/// Two replicas, both ready, and the first of them leads.
async fn replicas(site: &Site<'_>, args: &[&str]) -> (Controller, Controller) {
    let first = site.start(args);
    first.ready().await;
    let second = site.start(args);
    second.ready().await;
    site.until_leads(&first).await;
    assert_ne!(first.credential(), second.credential());
    (first, second)
}

/// Writes a holder of the Lease with the time of its clock, whatever stands there.
async fn write_lease(site: &Site<'_>, holder: &str, renewed: Timestamp) {
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(3),
        renew_time: Some(MicroTime(renewed)),
        acquire_time: Some(MicroTime(renewed)),
        ..LeaseSpec::default()
    };
    let lease = Lease {
        metadata: ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() },
        spec: Some(spec.clone()),
    };
    match site.leases().create(&PostParams::default(), &lease).await {
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
            let patch = json!({"spec": spec});
            site.leases().patch(LEASE, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        }
        made => drop(made.unwrap()),
    }
}
