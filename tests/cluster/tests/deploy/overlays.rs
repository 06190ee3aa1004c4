//! The three overlays: they are accepted, a second time changes nothing, and they give the rights that they say.

use std::collections::BTreeMap;
use std::fs;

use ageseal_cluster::{ControlPlane, eventually, programs};
use ageseal_testkit::Command;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::support::{SOON, SYSTEM, alone, apply_overlay, built, controller, deploy, json, may};

const OVERLAYS: [&str; 3] = ["cluster", "namespaced", "no-drift-watch"];

#[test]
fn every_folder_builds_with_kustomize() {
    let mut folders = vec![deploy("")];
    let mut built_folders = 0;
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let (below, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        folders.extend(below);
        if files.iter().any(|file| file.ends_with("kustomization.yaml")) {
            let text = built(&folder);
            // A patch alone makes no object; its own test gives it one.
            assert_eq!(text.is_empty(), folder.ends_with("argocd"), "{}", folder.display());
            built_folders += 1;
        }
    }
    assert!(built_folders >= 14, "{built_folders} folders");
}

/// The resource versions of the objects of an overlay.
fn versions(plane: &ControlPlane, overlay: &str) -> BTreeMap<String, String> {
    let objects = json(plane, &["get", "-k", deploy(&format!("overlays/{overlay}")).to_str().unwrap()]);
    let items = objects["items"].as_array().unwrap();
    let version = |object: &Value| {
        let metadata = &object["metadata"];
        (
            format!("{} {}/{}", object["kind"], metadata["namespace"], metadata["name"]),
            metadata["resourceVersion"].to_string(),
        )
    };
    items.iter().map(version).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_overlay_is_accepted_and_changes_nothing_the_second_time() {
    let (_alone, plane) = alone().await;
    for overlay in OVERLAYS {
        apply_overlay(plane, overlay);
        // The API server itself writes to new kinds and policies for a moment.
        let settled = eventually(SOON, "the objects settle", || async {
            let before = versions(plane, overlay);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            (before == versions(plane, overlay)).then_some(before)
        });
        let settled = settled.await;
        assert!(settled.len() >= 16, "{overlay}: {settled:?}");
        apply_overlay(plane, overlay);
        assert_eq!(settled, versions(plane, overlay), "{overlay}");
    }
}

/// What the controller may and may not do in a namespace that it serves, beside the drift watch.
const SERVED: [(&str, bool); 22] = [
    ("get sealedsecrets.ageseal.dev", true),
    ("list sealedsecrets.ageseal.dev", true),
    ("watch sealedsecrets.ageseal.dev", true),
    ("patch sealedsecrets.ageseal.dev", true),
    ("patch sealedsecrets/status.ageseal.dev", true),
    ("create sealedsecrets.ageseal.dev", false),
    ("update sealedsecrets.ageseal.dev", false),
    ("delete sealedsecrets.ageseal.dev", false),
    ("update sealedsecrets/status.ageseal.dev", false),
    ("get secrets", true),
    ("create secrets", true),
    ("patch secrets", true),
    ("delete secrets", true),
    ("update secrets", false),
    ("deletecollection secrets", false),
    ("create events.events.k8s.io", true),
    ("patch events.events.k8s.io", true),
    ("get configmaps", false),
    ("create leases.coordination.k8s.io", false),
    ("create serviceaccounts/token", false),
    ("create pods", false),
    ("create rolebindings.rbac.authorization.k8s.io", false),
];

/// And in its own namespace, whatever the overlay.
const OWN: [(&str, bool); 16] = [
    ("get secrets", true),
    ("list secrets", true),
    ("watch secrets", true),
    ("create secrets", true),
    ("patch secrets", true),
    ("get configmaps", true),
    ("list configmaps", true),
    ("watch configmaps", true),
    ("create configmaps", true),
    ("patch configmaps", true),
    ("delete configmaps", false),
    ("create leases.coordination.k8s.io", true),
    ("update leases.coordination.k8s.io ageseal-controller", true),
    ("update leases.coordination.k8s.io another", false),
    ("delete leases.coordination.k8s.io ageseal-controller", false),
    ("patch deployments.apps", false),
];

const DRIFT_WATCH: [&str; 2] = ["list secrets", "watch secrets"];

async fn check(plane: &ControlPlane, namespace: &str, table: &[(&str, bool)]) {
    let user = controller(SYSTEM);
    for (what, expected) in table {
        eventually(SOON, &format!("{what} in {namespace:?} is {expected}"), || async {
            (may(plane, &user, &[], what, namespace).await == *expected).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn for_the_cluster_it_may_what_it_does_in_every_namespace() {
    let (_alone, plane) = alone().await;
    apply_overlay(plane, "cluster");
    check(plane, "shop-prod", &SERVED).await;
    check(plane, SYSTEM, &OWN).await;
    check(plane, "", &DRIFT_WATCH.map(|what| (what, true))).await;
    check(plane, "", &[("get namespaces", false), ("list namespaces", false), ("list nodes", false)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_drift_watch_it_may_not_list_secrets_but_its_own() {
    let (_alone, plane) = alone().await;
    apply_overlay(plane, "no-drift-watch");
    check(plane, "shop-prod", &SERVED).await;
    check(plane, SYSTEM, &OWN).await;
    for namespace in ["", "shop-prod"] {
        check(plane, namespace, &DRIFT_WATCH.map(|what| (what, false))).await;
    }
    let args = &json(plane, &["get", "deployment", "-n", SYSTEM, "ageseal-controller"])["spec"]["template"]["spec"];
    assert!(args["containers"][0]["args"].as_array().unwrap().contains(&json!("--no-drift-watch")), "{args}");
}

#[tokio::test(flavor = "multi_thread")]
async fn for_some_namespaces_it_may_nothing_elsewhere() {
    let (_alone, plane) = alone().await;
    assert!(!built(&deploy("overlays/namespaced")).contains("ClusterRole"));
    apply_overlay(plane, "namespaced");
    for namespace in ["shop-prod", "shop-test"] {
        check(plane, namespace, &SERVED).await;
        check(plane, namespace, &DRIFT_WATCH.map(|what| (what, true))).await;
    }
    check(plane, SYSTEM, &OWN).await;
    check(plane, SYSTEM, &[("delete secrets", false), ("list sealedsecrets.ageseal.dev", false)]).await;
    for namespace in ["", "default"] {
        check(plane, namespace, &SERVED.map(|(what, _)| (what, false))).await;
        check(plane, namespace, &DRIFT_WATCH.map(|what| (what, false))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pods_pass_the_restricted_level() {
    let (_alone, plane) = alone().await;
    apply_overlay(plane, "cluster");
    let deployment = json(plane, &["get", "deployment", "-n", SYSTEM, "ageseal-controller"]);
    let template = &deployment["spec"]["template"];
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "from-the-template", "namespace": SYSTEM, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    });
    let pods = Api::<Pod>::namespaced(plane.client().await, SYSTEM);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let accepted = pods.create(&dry_run, &serde_json::from_value(pod.clone()).unwrap()).await.unwrap().spec.unwrap();
    // Admission found the priority class and mounted a token.
    assert_eq!(accepted.priority, Some(1_000_000));
    assert!(
        accepted.containers[0].volume_mounts.iter().flatten().any(|mount| mount.mount_path.contains("serviceaccount"))
    );
    // The level is enforced: the same with one thing less is refused.
    for path in [
        "/spec/securityContext/runAsNonRoot",
        "/spec/securityContext/seccompProfile",
        "/spec/containers/0/securityContext/capabilities",
    ] {
        let mut weaker = pod.clone();
        let (parent, field) = path.rsplit_once('/').unwrap();
        assert!(weaker.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).is_some(), "{path}");
        let refused = pods.create(&dry_run, &serde_json::from_value(weaker).unwrap()).await.unwrap_err().to_string();
        assert!(refused.contains("violates PodSecurity \"restricted:latest\""), "{path}: {refused}");
    }
    // Beyond what the level asks for.
    let container = &template["spec"]["containers"][0]["securityContext"];
    assert_eq!(container["readOnlyRootFilesystem"], true);
    let dockerfile = fs::read_to_string(deploy("../Dockerfile")).unwrap();
    let user = &template["spec"]["securityContext"]["runAsUser"];
    assert!(dockerfile.contains(&format!("\nUSER {user}:{user}\n")), "{dockerfile}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_the_budget_and_the_policy_mean_the_pods() {
    let (_alone, plane) = alone().await;
    apply_overlay(plane, "cluster");
    let object = |kind: &str, name: &str| json(plane, &["get", kind, "-n", SYSTEM, name]);
    let deployment = object("deployment", "ageseal-controller");
    let labels = deployment["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(object("service", "ageseal-controller-metrics")["spec"]["selector"], labels);
    assert_eq!(object("poddisruptionbudget", "ageseal-controller")["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(object("networkpolicy", "ageseal-controller")["spec"]["podSelector"]["matchLabels"], labels);
    let terms = &deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"];
    for term in terms["preferredDuringSchedulingIgnoredDuringExecution"].as_array().unwrap() {
        assert_eq!(term["podAffinityTerm"]["labelSelector"]["matchLabels"], labels);
    }
    assert_eq!(deployment["spec"]["replicas"], 2);
}

/// The program takes the arguments of every overlay: what it stumbles over is the cluster that is not there.
#[test]
fn the_controller_takes_the_arguments_of_every_overlay() {
    for overlay in OVERLAYS {
        let text = built(&deploy(&format!("overlays/{overlay}")));
        let list = text.lines().skip_while(|line| line.trim() != "- args:").skip(1);
        let arguments: Vec<_> = list.map_while(|line| line.trim().strip_prefix("- ")).collect();
        assert!(arguments.iter().all(|argument| argument.starts_with("--")) && !arguments.is_empty(), "{text}");
        let start = |arguments: &[&str]| {
            Command::new(programs::controller())
                .args(arguments)
                .env("KUBECONFIG", "/nowhere")
                .env("POD_NAMESPACE", SYSTEM)
                .run()
        };
        let outcome = start(&[arguments.as_slice(), &["--listen=127.0.0.1:0"]].concat());
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {}", outcome.stderr_text());
        assert_eq!(start(&["--no-such-flag"]).code, Some(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_install_prints_is_accepted_and_the_second_time_unchanged() {
    let (_alone, plane) = alone().await;
    for options in [
        ["--namespace", "keys"].as_slice(),
        &["--namespace", "keys", "--no-drift-watch", "--replicas", "3", "--image", "registry.example/x:1"],
        &["--namespace", "keys", "--namespaces", "shop-test,shop-prod"],
    ] {
        let printed =
            Command::new(programs::ageseal()).args([&["install", "-q", "--no-backup"], options].concat()).run();
        let printed = printed.expect_success();
        let apply = || {
            let outcome = plane.kubectl_command().args(["apply", "-f", "-"]).stdin(&printed).run();
            assert!(outcome.success(), "{options:?}: {}", outcome.stderr_text());
            outcome.stdout_text()
        };
        let _ = apply();
        let second = apply();
        assert!(second.lines().count() >= 12, "{second}");
        for line in second.lines() {
            // kubectl sends the selector of a budget anew every time; the API server changes nothing.
            let budget = line == "poddisruptionbudget.policy/ageseal-controller configured";
            assert!(budget || line.ends_with(" unchanged"), "{options:?}: {line}");
        }
    }
    let check = |what: &'static str, namespace: &'static str| async move {
        may(plane, &controller("keys"), &[], what, namespace).await
    };
    eventually(SOON, "the Roles are in force", || async {
        check("list sealedsecrets.ageseal.dev", "shop-prod").await.then_some(())
    })
    .await;
    assert!(check("update leases.coordination.k8s.io ageseal-controller", "keys").await);
    // What only the Role of its own namespace gives, it has there alone.
    assert!(check("list configmaps", "keys").await && !check("list configmaps", SYSTEM).await);
}
