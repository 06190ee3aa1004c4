//! The ordinary life of a document, against a real API server.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use ageseal_cluster::eventually;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use support::{SOON, World, condition, recorded};

#[tokio::test(flavor = "multi_thread")]
async fn a_document_becomes_a_secret_and_stays_true_to_it() {
    let world = World::start("life", &[]).await;
    let document = world.document("db").value("host", "db.example").value("password", "not-a-real-password");
    world.apply(&document, json!({})).await;
    let ready = world.until("db", "Opened").await;
    world.until_values("db", &[("host", "db.example"), ("password", "not-a-real-password")]).await;

    let secret = world.secrets().get("db").await.unwrap();
    let owners = secret.metadata.owner_references.unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!((owners[0].kind.as_str(), Some(&owners[0].uid)), ("SealedSecret", ready.metadata.uid.as_ref()));
    assert_eq!(owners[0].block_owner_deletion, None);
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
    let status = ready.status.as_ref().unwrap();
    assert_eq!((status.keys, status.observed_generation), (Some(2), ready.metadata.generation));
    assert_eq!(status.identities, [world.recipient.id().to_string()]);
    let record = recorded(&ready);
    assert_eq!(
        (Some(record.uid), Some(record.resource_version)),
        (secret.metadata.uid, secret.metadata.resource_version)
    );
    assert!(condition(&ready, "Stalled").is_none() && condition(&ready, "Stale").is_none());

    // One key changes, another goes, a third comes: three generations, one Secret.
    let uid = world.secrets().get("db").await.unwrap().metadata.uid;
    world.apply(&document.clone().value("password", "not-a-real-new-password"), json!({})).await;
    world.until_values("db", &[("host", "db.example"), ("password", "not-a-real-new-password")]).await;
    world.apply(&world.document("db").value("password", "third").value("user", "shop"), json!({})).await;
    world.until_values("db", &[("password", "third"), ("user", "shop")]).await;
    world.until("db", "Opened").await;
    assert_eq!(world.secrets().get("db").await.unwrap().metadata.uid, uid);

    world.delete_document("db").await;
    world.until_gone("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_to_be_retained_outlives_its_document() {
    let world = World::start("retain", &[]).await;
    let document = world.document("db").value("password", "kept");
    world.apply(&document, json!({"deletionPolicy": "Retain"})).await;
    world.until("db", "Opened").await;
    assert_eq!(world.secrets().get("db").await.unwrap().metadata.owner_references, None);
    world.delete_document("db").await;
    eventually(SOON, "the document is gone", || async {
        world.documents().get_opt("db").await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(world.values("db").await.is_some());
    // The document comes back, as after a revert, and the Secret is its own again.
    world.apply(&document.value("password", "new"), json!({})).await;
    world.until_values("db", &[("password", "new")]).await;
    let owners = world.secrets().get("db").await.unwrap().metadata.owner_references.unwrap();
    assert_eq!(owners.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_edited_or_deleted_comes_back() {
    let world = World::start("drift", &[]).await;
    world.apply(&world.document("db").value("password", "right"), json!({})).await;
    world.until("db", "Opened").await;
    let edit = json!({"data": {"password": "d3Jvbmc=", "more": "eA=="}});
    world.secrets().patch("db", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    world.until_values("db", &[("password", "right")]).await;
    let before = world.secrets().get("db").await.unwrap().metadata.uid;
    world.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    eventually(SOON, "the Secret is another", || async {
        let now = world.secrets().get_opt("db").await.unwrap()?.metadata.uid;
        (now != before).then_some(())
    })
    .await;
    world.until_values("db", &[("password", "right")]).await;
    // Whoever takes the label off takes the Secret out of sight, and the controller notices.
    let unlabel = json!({"metadata": {"labels": {"ageseal.dev/managed": null}}, "data": {"password": "d3Jvbmc="}});
    world.secrets().patch("db", &PatchParams::default(), &Patch::Merge(unlabel)).await.unwrap();
    world.until_values("db", &[("password", "right")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_watch_drift_is_found_by_the_clock() {
    let world = World::start("clock", &["--no-drift-watch", "--recheck-every=2s"]).await;
    world.apply(&world.document("db").value("password", "right"), json!({})).await;
    world.until("db", "Opened").await;
    world.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    world.until_values("db", &[("password", "right")]).await;
    let edit = json!({"data": {"password": "d3Jvbmc="}});
    world.secrets().patch("db", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    world.until_values("db", &[("password", "right")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_document_is_left_alone_and_says_so() {
    let world = World::start("paused", &[]).await;
    world.apply(&world.document("db").value("password", "one"), json!({})).await;
    world.until("db", "Opened").await;
    world.patch("db", json!({"metadata": {"annotations": {"ageseal.dev/paused": "true"}}})).await;
    eventually(SOON, "the status says so", || async {
        let document = world.documents().get("db").await.unwrap();
        condition(&document, "Paused").map(|paused| assert_eq!(paused.status, "True"))
    })
    .await;
    let two = world.apply(&world.document("db").value("password", "two"), json!({})).await;
    // Something else is served meanwhile, so the pause is not just slowness.
    world.apply(&world.document("web").value("password", "web"), json!({})).await;
    world.until("web", "Opened").await;
    assert_eq!(world.values("db").await.unwrap()["password"], "one");
    let status = world.documents().get("db").await.unwrap().status.unwrap();
    assert_ne!(status.observed_generation, two.metadata.generation);
    world.patch("db", json!({"metadata": {"annotations": {"ageseal.dev/paused": null}}})).await;
    let ready = world.until("db", "Opened").await;
    assert!(condition(&ready, "Paused").is_none());
    world.until_values("db", &[("password", "two")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_with_a_new_value_forces_one_look() {
    let world = World::start("force", &[]).await;
    world.apply(&world.document("db").value("password", "one"), json!({})).await;
    world.until("db", "Opened").await;
    let before = world.metric("ageseal_decryptions_total").await;
    for value in ["one", "two"] {
        world.patch("db", json!({"metadata": {"annotations": {"ageseal.dev/reconcile": value}}})).await;
        eventually(SOON, "the status answers", || async {
            let status = world.documents().get("db").await.unwrap().status?;
            (status.last_handled_reconcile.as_deref() == Some(value)).then_some(())
        })
        .await;
    }
    assert_eq!(world.metric("ageseal_decryptions_total").await - before, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_annotations_reach_the_secret_and_tracking_marks_do_not() {
    let world = World::start("marks", &[]).await;
    let template = json!({"template": {"metadata": {
        "labels": {"app": "shop", "app.kubernetes.io/instance": "shop", "argocd.argoproj.io/instance": "shop"},
        "annotations": {"team": "shop", "argocd.argoproj.io/tracking-id": "shop:/Secret:x/db", "meta.helm.sh/release-name": "x"},
    }}});
    let mut document = world.document("db").value("password", "one").seal_for(&[&world.recipient]);
    // Argo CD and Flux mark what they apply.
    document.metadata.labels = Some([("app.kubernetes.io/instance".to_owned(), "shop".to_owned())].into());
    document.metadata.annotations = Some([("argocd.argoproj.io/tracking-id".to_owned(), "shop".to_owned())].into());
    world.apply_object(&document, template).await;
    world.until("db", "Opened").await;
    let metadata = world.secrets().get("db").await.unwrap().metadata;
    let expected = [("ageseal.dev/managed", "owned"), ("app", "shop")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(metadata.labels, Some(expected.into()));
    assert_eq!(metadata.annotations, Some([("team".to_owned(), "shop".to_owned())].into()));
    // A label that leaves the template leaves the Secret.
    world.patch("db", json!({"spec": {"template": {"metadata": {"labels": {"app": null}}}}})).await;
    world.until("db", "Opened").await;
    let labels = world.secrets().get("db").await.unwrap().metadata.labels.unwrap();
    assert!(!labels.contains_key("app"), "{labels:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_nobody_serves_is_left_alone() {
    let world = World::start("served", &[]).await;
    // In the controller's own namespace, whatever it is sealed for.
    let own = ageseal_cluster::sealed::document(world.system.name(), "db").value("password", "x");
    let own = own.seal_for(&[&world.recipient]);
    let api = kube::Api::<ageseal::api::SealedSecret>::namespaced(world.client.clone(), world.system.name());
    api.create(&Default::default(), &own).await.unwrap();
    world.apply(&world.document("db").value("password", "one"), json!({})).await;
    world.until("db", "Opened").await;
    let own = api.get("db").await.unwrap();
    assert!(own.status.is_none_or(|status| status.conditions.is_empty()));
    let secrets =
        kube::Api::<k8s_openapi::api::core::v1::Secret>::namespaced(world.client.clone(), world.system.name());
    assert!(secrets.get_opt("db").await.unwrap().is_none());
}
