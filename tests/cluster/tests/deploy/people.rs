//! What people may do: by the roles that every cluster has, and whoever can log in.

use std::path::Path;

use ageseal::api::{RECIPIENTS_CONFIGMAP, SealedSecret};
use ageseal::recipient::Identity;
use ageseal_cluster::{ControlPlane, Namespace, eventually, sealed};
use ageseal_testkit::{Command, Outcome};
use kube::Api;
use kube::api::{Patch, PatchParams};
use rand_core::OsRng;
use serde_json::json;

use crate::support::{SOON, SYSTEM, alone, apply_overlay};

/// kubectl as somebody else.
fn kubectl(plane: &ControlPlane, kubeconfig: &Path) -> Command {
    plane.kubectl_command().env("KUBECONFIG", kubeconfig)
}

/// A ServiceAccount that stands for a person with this ClusterRole in one namespace.
async fn person(plane: &ControlPlane, namespace: &Namespace, name: &str, role: &str) -> std::path::PathBuf {
    plane.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {name}, namespace: {0}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\n\
         subjects: [{{kind: ServiceAccount, name: {name}, namespace: {0}}}]\n",
        namespace.name()
    ));
    plane.service_account(namespace.name(), name).await
}

fn document(namespace: &Namespace, name: &str) -> String {
    let identity = Identity::generate_hybrid(&mut OsRng);
    let document = sealed::document(namespace.name(), name).value("password", "not a real one");
    serde_json::to_string(&document.seal_for(&[identity.recipient().unwrap()])).unwrap()
}

#[track_caller]
fn forbidden(outcome: &Outcome) {
    assert!(!outcome.success() && outcome.stderr_text().contains("(Forbidden)"), "{}", outcome.stderr_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_every_cluster_hold_documents() {
    let (_alone, plane) = alone().await;
    apply_overlay(plane, "cluster");
    let namespace = plane.namespace("people").await;
    let viewer = person(plane, &namespace, "viewer", "view").await;
    let editor = person(plane, &namespace, "editor", "edit").await;
    let text = document(&namespace, "db");
    let run = |who: &Path, arguments: &[&str]| {
        kubectl(plane, who).args([arguments, &["-n", namespace.name()]].concat()).stdin(&text).run()
    };
    eventually(SOON, "edit is aggregated", || async {
        let outcome = run(&editor, &["create", "-f", "-"]);
        outcome.success().then_some(()).ok_or_else(|| outcome.stderr_text())
    })
    .await;
    eventually(SOON, "view is aggregated", || async {
        let outcome = run(&viewer, &["get", "ags", "db", "-o", "name"]);
        outcome.success().then_some(()).ok_or_else(|| outcome.stderr_text())
    })
    .await;
    let _ = run(&viewer, &["get", "ags"]).expect_success();
    for arguments in [["delete", "ags", "db"].as_slice(), &["apply", "-f", "-"], &["label", "ags", "db", "a=b"]] {
        forbidden(&run(&viewer, arguments));
    }
    let _ = run(&editor, &["label", "ags", "db", "a=b"]).expect_success();
    // The status is the controller's word.
    forbidden(&run(
        &editor,
        &["patch", "ags", "db", "--subresource=status", "--type=merge", "-p", "{\"status\":{\"keys\":7}}"],
    ));
    let _ = run(&editor, &["delete", "ags", "db"]).expect_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_write_documents_is_not_enough_without_the_right_to_write_the_secret() {
    let (_alone, plane) = alone().await;
    apply_overlay(plane, "cluster");
    let namespace = plane.namespace("tenant").await;
    let tenant = person(plane, &namespace, "tenant", "ageseal-edit").await;
    let text = document(&namespace, "db");
    let create = || kubectl(plane, &tenant).args(["create", "-f", "-"]).stdin(&text).run();
    // By its Role it may; until the policy is in force the document would be taken, so it is only tried.
    let tried = || kubectl(plane, &tenant).args(["create", "--dry-run=server", "-f", "-"]).stdin(&text).run();
    eventually(SOON, "the policy is in force", || async {
        let outcome = tried();
        let words = outcome.stderr_text();
        (!outcome.success() && words.contains("ValidatingAdmissionPolicy")).then_some(()).ok_or(words)
    })
    .await;
    assert!(!create().success());
    plane.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: one-secret, namespace: {0}}}\n\
         rules: [{{apiGroups: [''], resources: [secrets], resourceNames: [db], verbs: [update]}}]\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: one-secret, namespace: {0}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: one-secret}}\n\
         subjects: [{{kind: ServiceAccount, name: tenant, namespace: {0}}}]\n",
        namespace.name()
    ));
    eventually(SOON, "with the right it may", || async {
        let outcome = create();
        outcome.success().then_some(()).ok_or_else(|| outcome.stderr_text())
    })
    .await;
    // For that Secret, and no other.
    let other = document(&namespace, "other");
    let refused = kubectl(plane, &tenant).args(["create", "-f", "-"]).stdin(&other).run();
    assert!(refused.stderr_text().contains("ValidatingAdmissionPolicy"), "{}", refused.stderr_text());
}

/// The policy asks for the right to update the Secret, which the controller has not: its finalizer must pass.
#[tokio::test(flavor = "multi_thread")]
async fn the_policy_lets_the_controller_set_its_finalizer_and_its_status() {
    let (_alone, plane) = alone().await;
    apply_overlay(plane, "cluster");
    let namespace = plane.namespace("finalizer").await;
    let controller = plane.service_account(SYSTEM, "ageseal-controller").await;
    let created = plane.kubectl_command().args(["create", "-f", "-"]).stdin(document(&namespace, "db")).run();
    assert!(created.success(), "{}", created.stderr_text());
    let documents = Api::<SealedSecret>::namespaced(plane.client_with(&controller).await, namespace.name());
    let finalizers = |list: serde_json::Value| Patch::Merge(json!({"metadata": {"finalizers": list}}));
    let by = PatchParams::default();
    let set = finalizers(json!(["ageseal.dev/merge"]));
    eventually(SOON, "the Roles are in force", || async { documents.patch("db", &by, &set).await }).await;
    let status = Patch::Merge(json!({"status": {"keys": 1}}));
    let written = documents.patch_status("db", &by, &status).await.unwrap();
    assert_eq!(written.status.and_then(|status| status.keys), Some(1));
    let cleared = documents.patch("db", &by, &finalizers(json!([]))).await.unwrap();
    assert_eq!(cleared.metadata.finalizers, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_can_log_in_reads_the_recipients_and_nothing_else_there() {
    let (_alone, plane) = alone().await;
    apply_overlay(plane, "namespaced");
    let namespace = plane.namespace("stranger").await;
    let stranger = plane.service_account(namespace.name(), "stranger").await;
    for name in [RECIPIENTS_CONFIGMAP, "another"] {
        plane.apply(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {SYSTEM}}}\n"));
    }
    let run = |arguments: &[&str]| kubectl(plane, &stranger).args([arguments, &["-n", SYSTEM]].concat()).run();
    eventually(SOON, "the recipients are readable", || async {
        let outcome = run(&["get", "configmap", RECIPIENTS_CONFIGMAP]);
        outcome.success().then_some(()).ok_or_else(|| outcome.stderr_text())
    })
    .await;
    for arguments in [
        ["get", "configmap", "another"].as_slice(),
        &["get", "configmaps"],
        &["get", "secrets"],
        &["delete", "configmap", RECIPIENTS_CONFIGMAP],
        &["label", "configmap", RECIPIENTS_CONFIGMAP, "a=b"],
        &["get", "leases"],
        &["get", "pods"],
    ] {
        forbidden(&run(arguments));
    }
}
