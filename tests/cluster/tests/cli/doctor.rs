//! `doctor` against clusters in good and bad health.

use ageseal_cluster::{ControlPlane, Options, programs};
use ageseal_testkit::{Command, Scratch, workspace_root};
use serde_json::{Value, json};

use crate::place::{Place, documented, identity};

fn states<'a>(report: &'a Value, check: &str) -> Vec<&'a str> {
    let all = report["findings"].as_array().unwrap();
    let these = all.iter().filter(|finding| finding["check"] == check && finding["area"] == "cluster");
    these.map(|finding| finding["state"].as_str().unwrap()).collect()
}

fn told(report: &Value, check: &str) -> String {
    let all = report["findings"].as_array().unwrap();
    all.iter().filter(|finding| finding["check"] == check).map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_in_good_health_and_what_goes_wrong_with_it() {
    let mut place = Place::new("doctor").await;
    let keeper = identity();
    let keep = keeper.recipient().unwrap().to_string();
    let _controller = place.controller(&[]).await;
    let policy = std::fs::read_to_string(workspace_root().join("deploy/admission/policy.yaml")).unwrap();
    place.plane.apply(&policy);
    let here = place.only_here();
    let first = place.published().await.current;
    place.seal("db", &[&first.recipient.parse().unwrap()]).await;
    place.until("db", "Opened").await;
    let _ = place.run(&["recipients", "sync", "prod", "--yes"]).ok();

    let _ = place.run(&["keys", "backup", "-r", &keep, "--store"]).ok();
    let report = place.json(&["doctor", &here], 1);
    documented(&report);
    for check in [
        "access",
        "custom-resource",
        "lease",
        "admission",
        "documents",
        "identities",
        "backups",
        "published",
        "encryption-at-rest",
    ] {
        assert_eq!(states(&report, check), ["good"], "{check}: {}", told(&report, check));
    }
    // The process runs without a Deployment here, which is said and is not wrong.
    assert_eq!(states(&report, "controller"), ["note"]);
    assert!(told(&report, "encryption-at-rest").contains("k8s:enc:"), "{}", told(&report, "encryption-at-rest"));

    // A policy that is there and lets everything through is none; neither is one that looks at half of it.
    let name = "ageseal-secret-rights";
    for patch in [
        r#"[{"op": "replace", "path": "/spec/validations/0/expression", "value": "true"}]"#,
        r#"[{"op": "add", "path": "/spec/matchConditions", "value": [{"name": "never", "expression": "false"}]}]"#,
        r#"[{"op": "replace", "path": "/spec/matchConstraints/resourceRules/0/operations", "value": ["CREATE"]}]"#,
        r#"[{"op": "replace", "path": "/spec/failurePolicy", "value": "Ignore"}]"#,
    ] {
        let _ = place
            .plane
            .kubectl(&["patch", "validatingadmissionpolicy", name, "--type=json", "-p", patch])
            .expect_success();
        let report = place.json(&["doctor", &here], 1);
        assert_eq!(states(&report, "admission"), ["wrong"], "{patch}");
        assert!(told(&report, "admission").contains("ageseal install"), "{patch}");
        let _ = place.plane.kubectl(&["delete", "validatingadmissionpolicy", name]).expect_success();
        place.plane.apply(&policy);
    }
    assert_eq!(states(&place.json(&["doctor", &here], 1), "admission"), ["good"]);
    // A Deployment without a ready pod is one, whoever leads.
    place.deployment(place.served.name());
    let report = place.json(&["doctor", &here], 1);
    assert_eq!((states(&report, "controller"), states(&report, "lease")), (vec!["wrong"], vec!["good"]));

    // A document that does not open; a right that everybody has; a key that nobody keeps, and that nobody synced.
    place.seal("strange", &[keeper.recipient().unwrap()]).await;
    place.until("strange", "NotARecipient").await;
    let binding = format!("everybody-{}", place.served.name());
    place.plane.apply(&format!(
        "{}\n---\n{}\n",
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": binding}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": binding},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": binding},
            "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated"}, {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}],
        })
    ));
    // In the namespace of the keys: by a name that everybody can guess, by another way, and as what looks like a part of
    // Kubernetes.
    let system = place.system.name();
    let grant = |name: &str, rule: Value, subject: &str| {
        let (api, meta) = ("rbac.authorization.k8s.io/v1", json!({"name": name, "namespace": system}));
        place.plane.apply(&format!(
            "{}\n---\n{}\n",
            json!({"apiVersion": api, "kind": "Role", "metadata": meta, "rules": [rule]}),
            json!({
                "apiVersion": api, "kind": "RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": subject}],
            })
        ));
    };
    let named =
        json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["ageseal-identity-1"]});
    grant("by-name", named, "system:serviceaccount:tenant:builder");
    grant("by-pod", json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}), "system:helper");
    let other = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["registry"]});
    grant("unconcerned", other, "bob");
    let _ = place.run(&["keys", "new", "--no-backup"]).ok();
    let report = place.json(&["doctor", &here], 1);
    assert_eq!(states(&report, "documents"), ["wrong"]);
    let documents = told(&report, "documents");
    assert!(
        documents.contains("NotARecipient") && documents.contains("/strange") && !documents.contains("/db"),
        "{documents}"
    );
    assert_eq!(states(&report, "backups"), ["wrong"]);
    assert!(told(&report, "backups").contains(&place.published().await.current.id));
    assert!(!told(&report, "backups").contains(&first.id));
    assert_eq!(states(&report, "published"), ["wrong"]);
    assert!(told(&report, "published").contains("ageseal recipients sync prod"));
    assert!(states(&report, "rights").contains(&"wrong"), "{}", told(&report, "rights"));
    let rights = told(&report, "rights");
    assert!(
        rights.contains(&format!("delete clusterrolebinding {binding}")) && rights.contains("User ann"),
        "{rights}"
    );
    for said in [
        &format!("these may read the private keys in {system}"),
        "ServiceAccount tenant/builder   rolebinding by-name → by-name",
        &format!("these may come, by pods, tokens, impersonation or roles, to the private keys in {system}"),
        "User system:helper   rolebinding by-pod → by-pod",
    ] {
        assert!(rights.contains(said), "{said}: {rights}");
    }
    assert!(!rights.contains("unconcerned"), "{rights}");
    let text = place.run(&["doctor", &here]).exit(1);
    let _ = text.prints("  wrong     ").prints("→ kubectl").says(" wrong, of ");
    let _ = place.plane.kubectl(&["delete", "clusterrolebinding", &binding]);

    // The identity in use is gone.
    place.secrets().await.delete("ageseal-identity-2", &Default::default()).await.unwrap();
    let report = place.json(&["doctor", &here], 1);
    assert_eq!(states(&report, "identities"), ["wrong"]);
    assert!(told(&report, "identities").contains("keys restore"), "{}", told(&report, "identities"));

    // Another Secret, which does not say what is in it, is no reason to believe that it is there.
    place.bring("mine", "active", &[&keeper]).await;
    let report = place.json(&["doctor", &here], 1);
    assert_eq!(states(&report, "identities"), ["unknown"], "{}", told(&report, "identities"));
    // Where there is none at all, backups are what is left.
    for name in ["mine", "ageseal-identity-1"] {
        place.secrets().await.delete(name, &Default::default()).await.unwrap();
    }
    let report = place.json(&["doctor", &here], 1);
    assert_eq!((states(&report, "identities"), states(&report, "backups")), (vec!["wrong"], vec!["note"]));
    assert!(told(&report, "backups").contains(&first.id), "{}", told(&report, "backups"));

    // Whoever may look at nothing learns nothing, and which rights that takes.
    place.as_account("visitor", json!([])).await;
    let report = place.json(&["doctor", &here], 1);
    for check in
        ["custom-resource", "controller", "admission", "documents", "identities", "rights", "encryption-at-rest"]
    {
        assert_eq!(states(&report, check), ["unknown"], "{check}: {}", told(&report, check));
    }
    assert!(told(&report, "rights").contains("kubectl auth can-i list clusterroles"), "{}", told(&report, "rights"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_anything_of_ours() {
    let options = Options { encryption: false, audit: false, crds: false, ..Options::default() };
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(options)).await.unwrap();
    let folder = Scratch::new();
    let outcome = Command::new(programs::ageseal())
        .args(["doctor", "--json"])
        .current_dir(folder.path())
        .env("KUBECONFIG", plane.kubeconfig())
        .env("HOME", folder.path())
        .env_remove("XDG_CONFIG_HOME")
        .run();
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr_text());
    let report: Value = serde_json::from_str(&outcome.stdout_text()).unwrap();
    for check in ["custom-resource", "controller", "admission", "identities"] {
        assert_eq!(states(&report, check), ["wrong"], "{check}: {}", told(&report, check));
    }
    assert_eq!(states(&report, "documents"), ["unknown"]);
    assert_eq!(states(&report, "encryption-at-rest"), ["unknown"]);
    assert!(
        told(&report, "encryption-at-rest").contains("most likely there is none"),
        "{}",
        told(&report, "encryption-at-rest")
    );
    assert!(told(&report, "custom-resource").contains("ageseal install"));
    tokio::task::spawn_blocking(move || drop(plane)).await.unwrap();
}
