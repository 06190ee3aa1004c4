//! What a controller may do: the Roles that `ageseal install` prints, and no more.

use std::process::{Command, Stdio};
use std::time::Duration;

use ageseal::yaml::{Node, Stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::Value;

use crate::controller::{ACCOUNT, ControllerOptions};
use crate::eventually::eventually;
use crate::programs;

const RBAC: &str = "rbac.authorization.k8s.io";

/// Gives the ServiceAccount of a controller what `ageseal install` gives it with the same options, and waits until the
/// API server goes by it.
///
/// The bindings get the name of the system namespace on top: several controllers live in one control plane, and in a
/// cluster there is one.
///
/// # Panics
/// If the manifests are not what is expected here, or are refused.
pub(crate) async fn grant(client: &Client, options: &ControllerOptions) {
    for mut object in rbac_objects(&manifests(options)) {
        if object["kind"].as_str().is_some_and(|kind| kind.ends_with("Binding")) {
            object["metadata"]["name"] = format!("{}:{}", text(&object["metadata"]["name"]), options.system).into();
        }
        let kind = GroupVersionKind::gvk(RBAC, "v1", text(&object["kind"]));
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let name = text(&object["metadata"]["name"]);
        let applied = api.patch(name, &PatchParams::apply("ageseal-harness").force(), &Patch::Apply(&object)).await;
        applied.unwrap_or_else(|e| panic!("{} {name}: {e}", kind.kind));
    }
    allowed(client, &options.system, &options.system, "", "secrets").await;
    let everywhere = [String::new()];
    let served = if options.namespaces.is_empty() { &everywhere[..] } else { &options.namespaces };
    for namespace in served {
        allowed(client, &options.system, namespace, "ageseal.dev", "sealedsecrets").await;
    }
}

/// What `ageseal install` prints.
fn manifests(options: &ControllerOptions) -> String {
    let mut command = Command::new(programs::ageseal());
    command.args(["install", "--quiet", "--no-backup", "--namespace", &options.system]);
    if !options.namespaces.is_empty() {
        command.args(["--namespaces", &options.namespaces.join(",")]);
    }
    if options.args.iter().any(|argument| argument == "--no-drift-watch") {
        command.arg("--no-drift-watch");
    }
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("ageseal install: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ageseal install: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The Roles and bindings among the manifests.
fn rbac_objects(manifests: &str) -> Vec<Value> {
    let stream = Stream::parse(manifests.to_owned()).unwrap_or_else(|e| panic!("ageseal install: {e}"));
    let of_rbac = format!("{RBAC}/v1");
    let roots = stream.documents().filter_map(|document| document.root());
    let objects: Vec<Value> = roots.map(json).filter(|object| object["apiVersion"] == *of_rbac).collect();
    assert!(!objects.is_empty(), "ageseal install prints no Roles");
    objects
}

/// The JSON of a node. In Roles and bindings every scalar is a string.
fn json(node: Node<'_>) -> Value {
    if node.is_mapping() {
        return node.entries().map(|(key, value)| (key.str().unwrap_or_default().to_owned(), json(value))).collect();
    }
    if node.is_sequence() {
        return node.items().map(json).collect();
    }
    node.str().into()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Waits until the ServiceAccount may list a resource: the authorizer learns of Roles a moment after they are written.
/// It is asked as the administrator, so that the audit log has nothing of the ServiceAccount that it did not do.
async fn allowed(client: &Client, system: &str, namespace: &str, group: &str, resource: &str) {
    let attributes = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        verb: Some("list".to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{system}:{ACCOUNT}")),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let reviews = Api::<SubjectAccessReview>::all(client.clone());
    eventually(Duration::from_secs(60), "the controller's Roles are in force", || async {
        let answer = reviews.create(&PostParams::default(), &review).await.map_err(|e| e.to_string())?;
        answer
            .status
            .filter(|status| status.allowed)
            .ok_or_else(|| format!("list {resource} in {namespace:?}: not yet"))
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_manifests_only_roles_and_bindings_are_taken() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n---\n\
                    apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: b, namespace: a}\n\
                    rules:\n- apiGroups: [\"\"]\n  resources: [secrets]\n  verbs: [get, list]\n";
        let expected = serde_json::json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "b", "namespace": "a"},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}],
        });
        assert_eq!(rbac_objects(text), [expected]);
    }
}
