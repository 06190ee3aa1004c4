//! Whose a Secret is: foreign ones, shared ones, ones that cannot be changed, ones whose owner is gone.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use ageseal_cluster::eventually;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use support::{SOON, World, condition};

fn secret(value: Value) -> Secret {
    let mut object = json!({"apiVersion": "v1", "kind": "Secret"});
    for (key, value) in value.as_object().unwrap() {
        object[key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

impl World {
    /// Makes a Secret that is somebody else's.
    async fn make(&self, value: Value) -> Secret {
        self.secrets().create(&PostParams::default(), &secret(value)).await.unwrap()
    }

    async fn edit(&self, name: &str, patch: Value) -> Secret {
        self.secrets().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secret_is_refused_until_both_sides_agree() {
    let world = World::start("foreign", &[]).await;
    let before = world.make(json!({"metadata": {"name": "db"}, "stringData": {"theirs": "untouched"}})).await;
    let document = world.document("db").value("password", "ours");
    world.apply(&document, json!({})).await;
    let refused = world.until("db", "NotOwned").await;
    let ready = condition(&refused, "Ready").unwrap();
    assert!(ready.message.contains("ageseal.dev/adopt-by: db"), "{}", ready.message);
    assert_eq!(condition(&refused, "Stalled").unwrap().status, "True");
    assert!(condition(&refused, "Stale").is_none(), "there was no good one of ours");
    // The document alone does not decide.
    world.apply(&document, json!({"adopt": true})).await;
    world.until("db", "NotOwned").await;
    let after = world.secrets().get("db").await.unwrap();
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    // Both do. A new value of the annotation asks for a look before the clock does.
    world.edit("db", json!({"metadata": {"annotations": {"ageseal.dev/adopt-by": "db"}}})).await;
    world.patch("db", json!({"metadata": {"annotations": {"ageseal.dev/reconcile": "now"}}})).await;
    world.until("db", "Opened").await;
    world.until_values("db", &[("password", "ours")]).await;
    let adopted = world.secrets().get("db").await.unwrap().metadata;
    assert_eq!(adopted.uid, before.metadata.uid);
    assert_eq!(adopted.owner_references.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_something_else_controls_is_never_adopted() {
    let world = World::start("controlled", &[]).await;
    let owner = world.make(json!({"metadata": {"name": "owner"}})).await;
    world
        .make(json!({"metadata": {"name": "db", "annotations": {"ageseal.dev/adopt-by": "db"}, "ownerReferences": [
            {"apiVersion": "v1", "kind": "Secret", "name": "owner", "uid": owner.metadata.uid, "controller": true}]}}))
        .await;
    world.apply(&world.document("db").value("password", "ours"), json!({"adopt": true})).await;
    world.until("db", "NotOwned").await;
    assert_eq!(world.values("db").await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn helms_own_secrets_are_never_taken_over() {
    let world = World::start("helm", &[]).await;
    world
        .make(json!({"metadata": {"name": "db", "annotations": {"ageseal.dev/adopt-by": "db"}},
            "type": "helm.sh/release.v1", "stringData": {"release": "theirs"}}))
        .await;
    let document = world.document("db").secret_type("helm.sh/release.v1").value("release", "ours");
    for spec in [json!({"adopt": true}), json!({"mode": "Merge"})] {
        world.apply(&document, spec).await;
        world.until("db", "NotOwned").await;
        assert_eq!(world.values("db").await.unwrap()["release"], "theirs");
    }
    // A document of another type cannot change the type.
    world.apply(&world.document("db").value("release", "ours"), json!({"adopt": true})).await;
    world.until("db", "ImmutableConflict").await;
    assert_eq!(world.values("db").await.unwrap()["release"], "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_others_leave_under_replace_however_they_came() {
    let world = World::start("replace", &[]).await;
    world.apply(&world.document("db").value("password", "ours"), json!({})).await;
    world.until("db", "Opened").await;
    world.edit("db", json!({"data": {"patched": "eA=="}})).await;
    world.until_values("db", &[("password", "ours")]).await;
    let apply = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"applied": "eA=="}});
    world.secrets().patch("db", &PatchParams::apply("other"), &Patch::Apply(apply)).await.unwrap();
    world.until_values("db", &[("password", "ours")]).await;
    // A key that both had stays ours alone when the document drops it.
    let apply =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"password": "b3Vycw=="}});
    world.secrets().patch("db", &PatchParams::apply("other"), &Patch::Apply(apply)).await.unwrap();
    world.apply(&world.document("db").value("user", "shop"), json!({})).await;
    world.until_values("db", &[("user", "shop")]).await;
    // And a Secret that was made by others and adopted is wholly ours.
    world
        .make(json!({"metadata": {"name": "web", "annotations": {"ageseal.dev/adopt-by": "web"}},
            "stringData": {"created": "x"}}))
        .await;
    world.apply(&world.document("web").value("password", "ours"), json!({"adopt": true})).await;
    world.until("web", "Opened").await;
    world.until_values("web", &[("password", "ours")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_keys_stand_beside_those_of_others_and_leave_with_their_document() {
    let world = World::start("merge", &[]).await;
    world.make(json!({"metadata": {"name": "argocd-secret"}, "stringData": {"theirs": "stays", "shared": "x"}})).await;
    let document = world.document("argocd-secret").value("ours", "merged");
    world.apply(&document, json!({"mode": "Merge"})).await;
    world.until("argocd-secret", "Opened").await;
    let both = [("ours", "merged"), ("shared", "x"), ("theirs", "stays")];
    world.until_values("argocd-secret", &both).await;
    let metadata = world.secrets().get("argocd-secret").await.unwrap().metadata;
    assert_eq!(metadata.owner_references, None);
    let finalizers = world.documents().get("argocd-secret").await.unwrap().metadata.finalizers;
    assert_eq!(finalizers, Some(vec!["ageseal.dev/merge".to_owned()]));
    // A key that another manager owns is a conflict, and nothing is changed.
    world.apply(&document.clone().value("shared", "taken"), json!({"mode": "Merge"})).await;
    let refused = world.until("argocd-secret", "NotOwned").await;
    assert_eq!(refused.status.unwrap().faulty_keys, ["shared"]);
    world.until_values("argocd-secret", &both).await;
    // What others add stays; what the document drops leaves.
    world.edit("argocd-secret", json!({"data": {"added": "eQ=="}})).await;
    world.apply(&world.document("argocd-secret").value("second", "two"), json!({"mode": "Merge"})).await;
    world.until("argocd-secret", "Opened").await;
    let beside = [("added", "y"), ("second", "two"), ("shared", "x"), ("theirs", "stays")];
    world.until_values("argocd-secret", &beside).await;
    // To be the whole of it takes more than a change of mind.
    world.apply(&world.document("argocd-secret").value("second", "two"), json!({})).await;
    world.until("argocd-secret", "NotOwned").await;
    world.until_values("argocd-secret", &beside).await;
    world.apply(&world.document("argocd-secret").value("second", "two"), json!({"mode": "Merge"})).await;
    world.until("argocd-secret", "Opened").await;
    world.delete_document("argocd-secret").await;
    world.until_values("argocd-secret", &[("added", "y"), ("shared", "x"), ("theirs", "stays")]).await;
    let labels = world.secrets().get("argocd-secret").await.unwrap().metadata.labels.unwrap_or_default();
    assert!(labels.is_empty(), "{labels:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_merging_made_goes_when_nobody_else_uses_it() {
    let world = World::start("merge-made", &[]).await;
    for name in ["alone", "shared", "kept"] {
        let spec = if name == "kept" {
            json!({"mode": "Merge", "deletionPolicy": "Retain"})
        } else {
            json!({"mode": "Merge"})
        };
        world.apply(&world.document(name).value("password", "x"), spec).await;
        world.until(name, "Opened").await;
    }
    world.edit("shared", json!({"data": {"theirs": "eA=="}})).await;
    for name in ["alone", "shared", "kept"] {
        world.delete_document(name).await;
    }
    world.until_gone("alone").await;
    world.until_values("shared", &[("theirs", "x")]).await;
    eventually(SOON, "the document is gone", || async {
        world.documents().get_opt("kept").await.unwrap().is_none().then_some(())
    })
    .await;
    assert_eq!(world.values("kept").await.unwrap()["password"], "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_keys_leave_a_secret_of_another_type_as_well() {
    let world = World::start("merge-type", &[]).await;
    let login = "kubernetes.io/basic-auth";
    world.make(json!({"metadata": {"name": "shared"}, "type": login, "stringData": {"username": "theirs"}})).await;
    for name in ["shared", "alone"] {
        let document = world.document(name).secret_type(login).value("password", "ours");
        world.apply(&document, json!({"mode": "Merge"})).await;
        world.until(name, "Opened").await;
    }
    world.until_values("shared", &[("password", "ours"), ("username", "theirs")]).await;
    for name in ["shared", "alone"] {
        world.delete_document(name).await;
        world.until_no_document(name).await;
    }
    world.until_values("shared", &[("username", "theirs")]).await;
    world.until_gone("alone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_keys_leave_also_while_the_document_asks_for_the_whole_secret() {
    let world = World::start("merge-replace", &[]).await;
    world.make(json!({"metadata": {"name": "db"}, "stringData": {"theirs": "stays"}})).await;
    world.apply(&world.document("db").value("ours", "merged"), json!({"mode": "Merge"})).await;
    world.until("db", "Opened").await;
    world.apply(&world.document("db").value("ours", "merged"), json!({"mode": "Replace"})).await;
    world.until("db", "NotOwned").await;
    world.delete_document("db").await;
    world.until_no_document("db").await;
    world.until_values("db", &[("theirs", "stays")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_does_not_wait_for_keys_that_nobody_can_take_out() {
    let world = World::start("merge-immutable", &[]).await;
    world.make(json!({"metadata": {"name": "db"}, "stringData": {"theirs": "stays"}})).await;
    world.apply(&world.document("db").value("ours", "merged"), json!({"mode": "Merge"})).await;
    world.until("db", "Opened").await;
    world.edit("db", json!({"immutable": true})).await;
    world.delete_document("db").await;
    world.until_no_document("db").await;
    world.until_values("db", &[("ours", "merged"), ("theirs", "stays")]).await;
    eventually(SOON, "an event tells of it", || async {
        let events = ["get", "events.events.k8s.io", "-n", world.namespace.name(), "-o", "json"];
        let events = String::from_utf8(world.plane.kubectl(&events).expect_success()).unwrap();
        if events.contains("LeftBehind") { Ok(()) } else { Err(events) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_apply_as_text_is_theirs_too() {
    let world = World::start("text", &[]).await;
    let apply = async |name: &str, text: Value| {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": text});
        world.secrets().patch(name, &PatchParams::apply("other"), &Patch::Apply(object)).await.unwrap();
    };
    // Merging: a key that somebody applied is not taken from him.
    apply("merged", json!({"password": "theirs"})).await;
    world.apply(&world.document("merged").value("password", "ours"), json!({"mode": "Merge"})).await;
    let refused = world.until("merged", "NotOwned").await;
    assert_eq!(refused.status.unwrap().faulty_keys, ["password"]);
    world.until_values("merged", &[("password", "theirs")]).await;
    // A Secret that merging made does not go with what he added to it.
    world.apply(&world.document("made").value("password", "ours"), json!({"mode": "Merge"})).await;
    world.until("made", "Opened").await;
    apply("made", json!({"theirs": "stays"})).await;
    world.delete_document("made").await;
    world.until_no_document("made").await;
    world.until_values("made", &[("theirs", "stays")]).await;
    // And one that is the document's has nothing else in it.
    world.apply(&world.document("whole").value("password", "ours"), json!({})).await;
    world.until("whole", "Opened").await;
    apply("whole", json!({"theirs": "goes"})).await;
    world.until_values("whole", &[("password", "ours")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_was_copied_makes_no_secret_ours() {
    let world = World::start("copied", &[]).await;
    world
        .make(json!({"metadata": {"name": "db", "labels": {"ageseal.dev/managed": "owned"}},
        "stringData": {"theirs": "stays"}}))
        .await;
    world.apply(&world.document("db").value("password", "ours"), json!({})).await;
    world.until("db", "NotOwned").await;
    world.until_values("db", &[("theirs", "stays")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_gone_is_replaced_after_a_restore() {
    let world = World::start("stale", &[]).await;
    let document = world.document("db").value("password", "restored");
    world.apply(&document, json!({"deletionPolicy": "Retain"})).await;
    world.until("db", "Opened").await;
    world.delete_document("db").await;
    eventually(SOON, "the document is gone", || async {
        world.documents().get_opt("db").await.unwrap().is_none().then_some(())
    })
    .await;
    // What a backup tool does: the Secret comes back with the owner that it had, and the document with another UID.
    world.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    world.apply(&document, json!({})).await;
    world.until("db", "Opened").await;
    let live = world.documents().get("db").await.unwrap().metadata.uid;
    let stale: Vec<OwnerReference> = serde_json::from_value(json!([
        {"apiVersion": "ageseal.dev/v1alpha1", "kind": "SealedSecret", "name": "db", "uid": "0d1ffe4e-0000-4000-8000-000000000000", "controller": true}
    ]))
    .unwrap();
    world.edit("db", json!({"metadata": {"ownerReferences": stale}})).await;
    eventually(SOON, "the owner is the document that is there", || async {
        let owners = world.secrets().get_opt("db").await.unwrap()?.metadata.owner_references?;
        (owners.len() == 1 && Some(&owners[0].uid) == live.as_ref()).then_some(())
    })
    .await;
    world.until_values("db", &[("password", "restored")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_made_anew_only_when_asked() {
    let world = World::start("immutable", &[]).await;
    let one = world.document("db").value("password", "one");
    world.apply(&one, json!({"immutable": true})).await;
    world.until("db", "Opened").await;
    let first = world.secrets().get("db").await.unwrap().metadata.uid;
    let two = world.document("db").value("password", "two");
    world.apply(&two, json!({"immutable": true})).await;
    let refused = world.until("db", "ImmutableConflict").await;
    assert!(condition(&refused, "Ready").unwrap().message.contains("spec.replace: Recreate"));
    assert!(condition(&refused, "Stale").is_some());
    assert_eq!(world.values("db").await.unwrap()["password"], "one");
    world.apply(&two, json!({"immutable": true, "replace": "Recreate"})).await;
    world.until("db", "Opened").await;
    world.until_values("db", &[("password", "two")]).await;
    assert_ne!(world.secrets().get("db").await.unwrap().metadata.uid, first);
    // Another type, the same way.
    let typed =
        world.document("db").secret_type("kubernetes.io/basic-auth").value("username", "u").value("password", "p");
    world.apply(&typed, json!({"replace": "Recreate"})).await;
    world.until("db", "Opened").await;
    world.until_values("db", &[("password", "p"), ("username", "u")]).await;
    assert_eq!(world.secrets().get("db").await.unwrap().type_.as_deref(), Some("kubernetes.io/basic-auth"));
    // What the API server would refuse is found out before anything is deleted.
    let bad = world.document("db").secret_type("kubernetes.io/tls").value("tls.crt", "x");
    world.apply(&bad, json!({"replace": "Recreate"})).await;
    world.until("db", "Rejected").await;
    world.until_values("db", &[("password", "p"), ("username", "u")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_delete_and_create_is_made_good() {
    let world = World::start("crash", &[]).await;
    let one = world.document("db").value("password", "one");
    world.apply(&one, json!({"immutable": true, "replace": "Recreate"})).await;
    world.until("db", "Opened").await;
    // What a crash leaves: the controller is gone, the Secret too, and the document says something new.
    world.controller.kill();
    world
        .apply(&world.document("db").value("password", "two"), json!({"immutable": true, "replace": "Recreate"}))
        .await;
    world.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    let next =
        ageseal_cluster::Controller::start(world.plane, support::options(&world.system, &[&world.namespace], &[]));
    next.ready().await;
    world.until_values("db", &[("password", "two")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recreating_wants_the_secret_to_name_the_document() {
    let world = World::start("recreate-foreign", &[]).await;
    world
        .make(json!({"metadata": {"name": "db", "annotations": {"ageseal.dev/adopt-by": "db"}}, "immutable": true,
            "stringData": {"theirs": "stays"}}))
        .await;
    world.apply(&world.document("db").value("password", "ours"), json!({"adopt": true, "replace": "Recreate"})).await;
    world.until("db", "ImmutableConflict").await;
    assert_eq!(world.values("db").await.unwrap()["theirs"], "stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_times_deleted_and_made_again_and_never_lost() {
    let world = World::start("again", &[]).await;
    let document = world.document("db").value("password", "last");
    for _ in 0..200 {
        world.apply(&document, json!({})).await;
        tokio::time::sleep(Duration::from_millis(25)).await;
        world.delete_document("db").await;
    }
    world.apply(&document, json!({})).await;
    world.until_values("db", &[("password", "last")]).await;
    // The garbage collector is slower than that, and has to have had its say.
    let live = world.documents().get("db").await.unwrap().metadata.uid;
    let (mut calm, mut patience) = (0, 1200);
    while calm < 50 {
        let secret = world.secrets().get_opt("db").await.unwrap();
        let owners = secret.and_then(|secret| secret.metadata.owner_references).unwrap_or_default();
        let right = owners.len() == 1 && Some(&owners[0].uid) == live.as_ref();
        calm = if right { calm + 1 } else { 0 };
        patience -= 1;
        assert!(patience > 0, "the Secret does not stay: {owners:?}, and the document is {live:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
