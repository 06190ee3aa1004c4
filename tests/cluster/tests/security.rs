//! What must not open, must not be made, and must not be seen: against a real API server.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;
#[path = "security/webhook.rs"]
mod webhook;

use std::time::Duration;

use ageseal::api::{AgeFile, Envelope};
use ageseal::recipient::Identity;
use ageseal_cluster::{Controller, eventually};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use rand_core::OsRng;
use serde_json::json;
use support::{SOON, World, condition, options};
use webhook::Webhook;

/// What every plaintext of this file begins with.
const CANARY: &str = "canary-not-a-real-value";
/// What a webhook quotes: the API server itself writes that into its audit log, where the canary must not be.
const QUOTED: &str = "quoted-not-a-real-value";

#[tokio::test(flavor = "multi_thread")]
async fn a_document_opens_only_where_it_was_sealed_for() {
    let world = World::start("scope", &[]).await;
    let elsewhere = world.plane.namespace("scope-elsewhere").await;
    // Sealed for another name, for another namespace, for a wildcard namespace.
    let here = world.namespace.name();
    let cases = [
        ("other-name", format!("{here}/else")),
        ("other-namespace", format!("{}/other-namespace", elsewhere.name())),
        ("everywhere", "*/everywhere".to_owned()),
    ];
    for (name, scope) in &cases {
        world.apply(&world.document(name).scope([scope]).value("password", CANARY), json!({})).await;
        let refused = world.until(name, "ScopeMismatch").await;
        assert!(world.values(name).await.is_none(), "{name}");
        assert_eq!(refused.status.unwrap().faulty_keys, ["password"], "{name}");
    }
    let other = world.documents().get("other-name").await.unwrap();
    let message = &condition(&other, "Ready").unwrap().message;
    assert_eq!(*message, format!("sealed for {here}/else; this document is {here}/other-name"));
    // Widened after sealing: the scope is authenticated.
    let widened = json!({"scope": [format!("{here}/*")]});
    world.apply(&world.document("widened").value("password", CANARY), widened).await;
    world.until("widened", "CannotOpen").await;
    assert!(world.values("widened").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_namespace_opens_where_the_operator_allows_it() {
    let world = World::start("cross", &["--allow-cross-namespace"]).await;
    world.apply(&world.document("db").scope(["*/db"]).value("password", CANARY), json!({})).await;
    world.until("db", "Opened").await;
    world.until_values("db", &[("password", CANARY)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tampered_with_opens_nothing_and_the_last_good_secret_stays() {
    let world = World::start("tamper", &[]).await;
    let document = world.document("db").value("password", CANARY).value("user", "shop");
    let good = document.seal_for(&[&world.recipient]);
    world.apply_object(&good, json!({})).await;
    world.until("db", "Opened").await;
    let kept = [("password", CANARY), ("user", "shop")];

    // Two values change places.
    let mut swapped = good.clone();
    let user = swapped.spec.encrypted_data["user"].clone();
    let password = swapped.spec.encrypted_data.insert("user".to_owned(), good.spec.encrypted_data["password"].clone());
    assert!(password.is_some());
    swapped.spec.encrypted_data.insert("password".to_owned(), user);
    world.apply_object(&swapped, json!({})).await;
    let refused = world.until("db", "CannotOpen").await;
    assert!(condition(&refused, "Stale").unwrap().message.contains("generation 1"), "{refused:?}");
    world.until_values("db", &kept).await;
    // Another type.
    world.apply_object(&good, json!({"type": "kubernetes.io/basic-auth"})).await;
    world.until("db", "CannotOpen").await;
    // One value of several does not open: none is written.
    let mut one = document.clone().value("user", "changed").seal_for(&[&world.recipient]);
    let value = &mut one.spec.encrypted_data.get_mut("password").unwrap().value;
    let at = value.len() - 20;
    let other = if value.as_bytes()[at] == b'A' { "B" } else { "A" };
    value.replace_range(at..=at, other);
    world.apply_object(&one, json!({})).await;
    world.until("db", "CannotOpen").await;
    world.until_values("db", &kept).await;
    // A value whose envelope is missing passes the schema and no reader.
    let mut orphaned = good.clone();
    orphaned.spec.envelopes.clear();
    world.apply_object(&orphaned, json!({})).await;
    world.until("db", "Malformed").await;
    world.until_values("db", &kept).await;
    // And the good one is good again.
    world.apply_object(&good, json!({})).await;
    let ready = world.until("db", "Opened").await;
    assert!(condition(&ready, "Stale").is_none() && condition(&ready, "Stalled").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_kubernetes_answers_with_a_token_are_not_made() {
    let world = World::start("types", &[]).await;
    for (name, secret_type) in
        [("sa", "kubernetes.io/service-account-token"), ("boot", "bootstrap.kubernetes.io/token")]
    {
        world.apply(&world.document(name).secret_type(secret_type).value("token-id", "x"), json!({})).await;
        let refused = world.until(name, "DeniedType").await;
        assert!(condition(&refused, "Ready").unwrap().message.contains("--allow-type"));
        assert!(world.values(name).await.is_none());
    }
    let template =
        json!({"template": {"metadata": {"annotations": {"kubernetes.io/service-account.name": "default"}}}});
    world.apply(&world.document("annotated").value("password", "x"), template).await;
    world.until("annotated", "DeniedType").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_allow_a_type_and_a_mark() {
    let world = World::start(
        "allowed",
        &["--allow-type=bootstrap.kubernetes.io/token", "--allow-metadata=replicator.v1.mittwald.de/"],
    )
    .await;
    let template =
        json!({"template": {"metadata": {"annotations": {"replicator.v1.mittwald.de/replicate-to": "elsewhere"}}}});
    let document = world.document("boot").secret_type("bootstrap.kubernetes.io/token").value("token-id", "abcdef");
    world.apply(&document, template).await;
    world.until("boot", "Opened").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_comes_later_opens_what_waited_for_it() {
    let world = World::start("later", &[]).await;
    let identity = Identity::generate_hybrid(&mut OsRng);
    let sealed = world.document("db").value("password", CANARY).seal_for(&[identity.recipient().unwrap()]);
    world.apply_object(&sealed, json!({})).await;
    let refused = world.until("db", "NotARecipient").await;
    let id = identity.recipient().unwrap().id().to_string();
    assert!(condition(&refused, "Ready").unwrap().message.contains(&id));
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.system.name());
    let object = json!({"metadata": {"name": "brought", "labels": {"ageseal.dev/identity": "active"}},
        "stringData": {"any.txt": &*identity.to_secret_string().unwrap()}});
    let added = std::time::Instant::now();
    secrets.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    world.until("db", "Opened").await;
    assert!(added.elapsed() < Duration::from_secs(5), "{:?}", added.elapsed());
    world.until_values("db", &[("password", CANARY)]).await;
    // It goes while it is needed: the Secret stays, and the condition says so.
    secrets.delete("brought", &DeleteParams::default()).await.unwrap();
    let stale = world.until("db", "NotARecipient").await;
    assert_eq!(condition(&stale, "Stale").unwrap().status, "True");
    world.until_values("db", &[("password", CANARY)]).await;
    // A restart changes nothing of that.
    world.controller.terminate().await;
    let next = Controller::start(world.plane, options(&world.system, &[&world.namespace], &[]));
    next.ready().await;
    world.apply(&world.document("web").value("password", "x"), json!({})).await;
    world.until("web", "Opened").await;
    world.until_values("db", &[("password", CANARY)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_age_file_opens_what_the_first_does_not() {
    let world = World::start("also", &[]).await;
    let other = Identity::generate_hybrid(&mut OsRng);
    let (first, second) = (other.recipient().unwrap(), &world.recipient);
    // The same DEK for somebody else in `age`, and for this cluster in `also`.
    let mut document = world.document("db").value("password", CANARY).seal_for(&[first, second]);
    let envelope = document.spec.envelopes.values_mut().next().unwrap();
    let both = envelope.age.clone();
    let alone = world.document("db").value("password", "x").seal_for(&[first]);
    let decoy = alone.spec.envelopes.values().next().unwrap().age.clone();
    *envelope = Envelope {
        recipients: vec![first.id().to_string()],
        age: decoy,
        also: vec![AgeFile { recipients: vec![second.id().to_string()], age: both }],
    };
    world.apply_object(&document, json!({})).await;
    world.until("db", "Opened").await;
    world.until_values("db", &[("password", CANARY)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_refuses_and_quotes_is_told_by_field_alone() {
    let world = World::start("rejected", &[]).await;
    // The API server answers: invalid character 'c' looking for beginning of value.
    let config = world.document("registry").secret_type("kubernetes.io/dockerconfigjson");
    world.apply(&config.value(".dockerconfigjson", CANARY), json!({})).await;
    let refused = world.until("registry", "Rejected").await;
    assert_eq!(refused.status.as_ref().unwrap().faulty_keys, [".dockerconfigjson"]);
    let message = &condition(&refused, "Ready").unwrap().message;
    assert_eq!(message, "the API server answered 422 Invalid (data[.dockerconfigjson])");
    // Two values that are refused for the same reason are told the same.
    let config = world.document("registry2").secret_type("kubernetes.io/dockerconfigjson");
    world.apply(&config.value(".dockerconfigjson", "[another]"), json!({})).await;
    let other = world.until("registry2", "Rejected").await;
    assert_eq!(condition(&other, "Ready").unwrap().message, *message);
    assert!(!world.controller.log().contains("invalid character"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_a_mebibyte_is_made_and_a_larger_one_is_not() {
    let world = World::start("large", &[]).await;
    let value = |len| CANARY.as_bytes().iter().copied().cycle().take(len).collect::<Vec<u8>>();
    // Padding rounds a lone value of a mebibyte up beyond what etcd takes of the document; pieces of one byte below a power
    // of two lose nothing to it.
    let pieces = (0..16)
        .fold(world.document("largest"), |document, index| document.value(&format!("part-{index:02}"), value(65_535)));
    world.apply(&pieces.clone().value("rest", value(16)), json!({})).await;
    world.until("largest", "Opened").await;
    let size = || async {
        let secret = world.secrets().get("largest").await.unwrap();
        secret.data.unwrap().values().map(|value| value.0.len()).sum::<usize>()
    };
    assert_eq!(size().await, 1 << 20);
    // One byte more is more than a Secret holds: what was there stays.
    world.apply(&pieces.value("rest", value(17)), json!({})).await;
    let refused = world.until("largest", "TooLarge").await;
    assert_eq!(condition(&refused, "Stale").unwrap().status, "True");
    assert_eq!(size().await, 1 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_told_and_waited_for() {
    let world = World::start("quota", &[]).await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": world.namespace.name()}, "spec": {"hard": {"count/secrets": "0"}}});
    world.plane.apply(&quota.to_string());
    eventually(SOON, "the quota is in force", || async {
        let told = world.plane.kubectl(&["get", "resourcequota", "few", "-n", world.namespace.name(), "-o", "json"]);
        String::from_utf8_lossy(&told.expect_success()).contains("\"used\"").then_some(())
    })
    .await;
    world.apply(&world.document("db").value("password", CANARY), json!({})).await;
    world.until("db", "QuotaExceeded").await;
    world.kubectl(&["delete", "resourcequota", "few", "-n", world.namespace.name()]);
    // It looks again after a minute; who cannot wait says so.
    world.patch("db", json!({"metadata": {"annotations": {"ageseal.dev/reconcile": "now"}}})).await;
    world.until("db", "Opened").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_denies_is_told_and_nothing_of_its_words() {
    let world = World::start("denied", &[]).await;
    let name = format!("deny-{}", world.namespace.name());
    world.plane.apply(&format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: {name}}}\n\
         spec:\n  failurePolicy: Fail\n  matchConstraints:\n    resourceRules:\n    - {{apiGroups: [''], apiVersions: [v1], \
         operations: [CREATE, UPDATE], resources: [secrets]}}\n  validations:\n  - expression: \"false\"\n    \
         messageExpression: \"'data is ' + string(object.data['password'])\"\n---\n\
         apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{name: {name}}}\n\
         spec: {{policyName: {name}, validationActions: [Deny], matchResources: {{namespaceSelector: {{matchLabels: \
         {{kubernetes.io/metadata.name: {ns}}}}}}}}}\n",
        ns = world.namespace.name()
    ));
    eventually(SOON, "the policy is in force", || async {
        let secret: Secret = serde_json::from_value(json!({"metadata": {"name": "try"}})).unwrap();
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        world.secrets().create(&dry, &secret).await.is_err().then_some(())
    })
    .await;
    world.apply(&world.document("db").value("password", CANARY), json!({})).await;
    let refused = world.until("db", "Rejected").await;
    let message = &condition(&refused, "Ready").unwrap().message;
    assert!(message.starts_with("the API server answered 4"), "{message}");
    world.kubectl(&["delete", "validatingadmissionpolicybinding", &name]);
    world.kubectl(&["delete", "validatingadmissionpolicy", &name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_denies_and_quotes_is_told_by_its_code_alone() {
    let world = World::start("webhook", &["--log-level=debug"]).await;
    let name = format!("deny-{}", world.namespace.name());
    world.plane.apply(&Webhook::that_denies().await.configuration(&name, world.namespace.name()));
    world.until_webhook(&["denied the request", "cXVvdGVk"]).await;
    world.apply(&world.document("db").value("password", QUOTED), json!({})).await;
    let refused = world.until("db", "Rejected").await;
    let status = json!(refused.status).to_string() + &world.controller.log();
    for quoted in [QUOTED, "cXVvdGVk", "no: "] {
        assert!(!status.contains(quoted), "{quoted} is told");
    }
    world.kubectl(&["delete", "validatingwebhookconfiguration", &name]);
    world.patch("db", json!({"metadata": {"annotations": {"ageseal.dev/reconcile": "now"}}})).await;
    world.until_values("db", &[("password", QUOTED)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_written_for_now_is_not_called_ready() {
    let world = World::start("waiting", &[]).await;
    world.apply(&world.document("db").value("password", CANARY), json!({})).await;
    world.until("db", "Opened").await;
    let name = format!("down-{}", world.namespace.name());
    world.plane.apply(&Webhook::that_is_down().configuration(&name, world.namespace.name()));
    world.until_webhook(&["failed calling webhook"]).await;
    world.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    let waiting = world.until("db", "Retrying").await;
    assert_eq!(condition(&waiting, "Ready").unwrap().status, "Unknown");
    assert_eq!(condition(&waiting, "Reconciling").unwrap().status, "True");
    assert!(condition(&waiting, "Stalled").is_none());
    // It is tried again and again, and needs nobody.
    world.kubectl(&["delete", "validatingwebhookconfiguration", &name]);
    world.until("db", "Opened").await;
    world.until_values("db", &[("password", CANARY)]).await;
}

impl World {
    /// Waits until a webhook is asked about Secrets, and what comes of that has these words.
    async fn until_webhook(&self, words: &[&str]) {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        eventually(SOON, "the webhook is in force", || async {
            let secret: Secret =
                serde_json::from_value(json!({"metadata": {"name": "try"}, "stringData": {"password": QUOTED}}))
                    .unwrap();
            match self.secrets().create(&dry, &secret).await {
                Err(error) if words.iter().all(|word| error.to_string().contains(word)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_without_its_role_holds_up_no_other() {
    let world = World::start("one-role", &[]).await;
    let lost = world.plane.namespace("no-role").await;
    world.controller.terminate().await;
    // Both are served and both have their Role; then one loses its binding, and a replica starts.
    let both = options(&world.system, &[&world.namespace, &lost], &[]);
    let first = Controller::start(world.plane, both.clone());
    first.ready().await;
    first.terminate().await;
    world.kubectl(&["delete", "rolebinding", "--all", "-n", lost.name()]);
    let kubeconfig = Some(world.plane.service_account(world.system.name(), "ageseal-controller").await);
    let second = Controller::start(world.plane, ageseal_cluster::ControllerOptions { kubeconfig, ..both });
    second.ready().await;
    assert!(second.log().contains(lost.name()), "{}", second.log());
    world.apply(&world.document("db").value("password", "x"), json!({})).await;
    world.until("db", "Opened").await;
    world.secrets().delete("db", &DeleteParams::default()).await.unwrap();
    world.until_values("db", &[("password", "x")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_kubernetes_mints_is_left_in_its_secret() {
    let token = "kubernetes.io/service-account-token";
    let world =
        World::start("token", &[&format!("--allow-type={token}"), "--allow-metadata=kubernetes.io/service-account."])
            .await;
    let template =
        json!({"template": {"metadata": {"annotations": {"kubernetes.io/service-account.name": "default"}}}});
    eventually(SOON, "the ServiceAccount is there", || async {
        let account = world.plane.kubectl(&["get", "serviceaccount", "default", "-n", world.namespace.name()]);
        account.success().then_some(())
    })
    .await;
    world.apply(&world.document("db").secret_type(token).value("extra", "ours"), template).await;
    world.until("db", "Opened").await;
    // Its controller mints, and the Secret is looked at again for it.
    let keys = ["ca.crt", "extra", "namespace", "token"];
    let minted = eventually(SOON, "a token is minted", || async {
        let values = world.values("db").await.unwrap_or_default();
        if values.keys().eq(&keys) { Ok(values) } else { Err(format!("{:?}", values.keys())) }
    })
    .await;
    // What a stranger adds goes, and the token is the same.
    let planted = Patch::Merge(json!({"stringData": {"planted": "x"}}));
    world.secrets().patch("db", &PatchParams::default(), &planted).await.unwrap();
    eventually(SOON, "what was planted is gone", || async {
        let values = world.values("db").await.unwrap_or_default();
        if values.contains_key("planted") { Err("not yet") } else { Ok(()) }
    })
    .await;
    assert!(world.values("db").await == Some(minted), "another token was minted");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plaintext_is_seen_anywhere() {
    let world = World::start("canary", &["--log-level=debug"]).await;
    let base64 = "Y2FuYXJ5LW5vdC1hLXJlYWwtdmFsdW"; // of CANARY
    // Everything that a document can come to: made, changed, mended, refused by every reason that holds a value.
    world.apply(&world.document("made").value("password", CANARY), json!({})).await;
    world.until("made", "Opened").await;
    world.apply(&world.document("made").value("password", format!("{CANARY}-2")), json!({})).await;
    world.until("made", "Opened").await;
    let edit = json!({"data": {"password": null}});
    world.secrets().patch("made", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    world.until_values("made", &[("password", &format!("{CANARY}-2"))]).await;
    let rejected = world.document("rejected").secret_type("kubernetes.io/dockerconfigjson");
    world.apply(&rejected.value(".dockerconfigjson", CANARY), json!({})).await;
    world.until("rejected", "Rejected").await;
    world.apply(&world.document("merged").value("password", CANARY), json!({"mode": "Merge"})).await;
    world.until("merged", "Opened").await;
    world.delete_document("merged").await;
    world.until_gone("merged").await;
    world.apply(&world.document("immutable").value("password", CANARY), json!({"immutable": true})).await;
    world.until("immutable", "Opened").await;
    let again = world.document("immutable").value("password", format!("{CANARY}-3"));
    world.apply(&again, json!({"immutable": true})).await;
    world.until("immutable", "ImmutableConflict").await;
    world.apply(&again, json!({"immutable": true, "replace": "Recreate"})).await;
    world.until("immutable", "Opened").await;
    world.apply(&world.document("scope").scope(["a/b"]).value("password", CANARY), json!({})).await;
    world.until("scope", "ScopeMismatch").await;

    let metrics = world.controller.metrics().await;
    world.controller.terminate().await;
    let documents = world.documents().list(&ListParams::default()).await.unwrap();
    let statuses: Vec<_> = documents.items.iter().map(|document| json!(document.status).to_string()).collect();
    let events = world.plane.kubectl(&["get", "events.events.k8s.io", "-A", "-o", "json"]).expect_success();
    let maps: Api<ConfigMap> = Api::all(world.client.clone());
    let maps = serde_json::to_string(&maps.list(&ListParams::default()).await.unwrap().items).unwrap();
    let places = [
        ("the log", world.controller.log()),
        ("metrics", metrics),
        ("statuses", statuses.join("\n")),
        ("events", String::from_utf8(events).unwrap()),
        ("config maps", maps),
        ("the audit log", world.plane.audit_text()),
    ];
    for (place, text) in places {
        assert!(text.len() > 2, "{place} is empty");
        assert!(!text.contains(CANARY) && !text.contains(base64), "{place} shows a plaintext");
    }
    assert!(!world.plane.data_holds(CANARY) && !world.plane.data_holds(base64), "etcd's files show a plaintext");
}
