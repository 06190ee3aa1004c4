//! Building folders of `deploy/`, and asking who may do what.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ageseal_cluster::ControlPlane;
use ageseal_testkit::{kustomize, run, workspace_root};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

/// How long anything may take that should be quick.
pub const SOON: Duration = Duration::from_secs(60);

/// The namespace that the overlays name.
pub const SYSTEM: &str = "ageseal-system";

/// A folder or file of `deploy/`.
pub fn deploy(path: &str) -> PathBuf {
    workspace_root().join("deploy").join(path)
}

/// What kustomize makes of a folder.
#[track_caller]
pub fn built(folder: &Path) -> String {
    let outcome = run(kustomize(), ["build".as_ref(), folder.as_os_str()], "");
    assert!(outcome.success(), "{}: {}", folder.display(), outcome.stderr_text());
    outcome.stdout_text()
}

/// The objects of the overlays have one name each, so one test at a time has the control plane. It begins without any
/// right that another one left.
pub async fn alone() -> (MutexGuard<'static, ()>, &'static ControlPlane) {
    static ONE: Mutex<()> = Mutex::const_new(());
    let guard = ONE.lock().await;
    let plane = ControlPlane::shared();
    for arguments in [
        ["delete", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/name=ageseal"].as_slice(),
        ["delete", "roles,rolebindings", "-A", "-l", "app.kubernetes.io/name=ageseal"].as_slice(),
    ] {
        let outcome = plane.kubectl(arguments);
        assert!(outcome.success(), "{}", outcome.stderr_text());
    }
    for namespace in ["shop-test", "shop-prod"] {
        plane.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"));
    }
    (guard, plane)
}

/// Applies an overlay on the server's side, as `kubectl apply -k` does.
#[track_caller]
pub fn apply_overlay(plane: &ControlPlane, overlay: &str) {
    let folder = deploy(&format!("overlays/{overlay}"));
    let applied = plane.kubectl(&["apply", "--server-side", "--force-conflicts", "-k", folder.to_str().unwrap()]);
    assert!(applied.success(), "{overlay}: {}", applied.stderr_text());
}

/// The JSON that kubectl gives.
#[track_caller]
pub fn json(plane: &ControlPlane, arguments: &[&str]) -> Value {
    let outcome = plane.kubectl(&[arguments, &["-o", "json"]].concat());
    assert!(outcome.success(), "{arguments:?}: {}", outcome.stderr_text());
    serde_json::from_slice(&outcome.stdout).unwrap()
}

/// The user name of the controller's ServiceAccount.
pub fn controller(system: &str) -> String {
    format!("system:serviceaccount:{system}:ageseal-controller")
}

/// Whether a user may do something: `"VERB RESOURCE[/SUBRESOURCE][.GROUP] [NAME]"` in a namespace; an empty one is all.
pub async fn may(plane: &ControlPlane, user: &str, groups: &[&str], what: &str, namespace: &str) -> bool {
    let mut words = what.split(' ');
    let (verb, resource, name) = (words.next().unwrap(), words.next().unwrap(), words.next());
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (resource, subresource) =
        resource.split_once('/').map_or((resource, None), |(resource, sub)| (resource, Some(sub.to_owned())));
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        namespace: Some(namespace.to_owned()),
        name: name.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.to_owned()),
        groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = Api::<SubjectAccessReview>::all(plane.client().await).create(&PostParams::default(), &review).await;
    answer.unwrap().status.unwrap().allowed
}
