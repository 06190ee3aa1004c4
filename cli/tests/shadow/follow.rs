//! Names, hashes and references that follow a sealed document.

use super::built_name;
use super::repo::{changes, refused, repo, sealed, state};
use super::support::{Scratch, built};
use super::{FILE, LISTING};

/// Every kind that names a Secret, with every place filled with `db`, in one stream.
fn everything() -> String {
    let pod = "\
containers:
- name: c
  env: [{name: A, valueFrom: {secretKeyRef: {name: db, key: host}}}]
  envFrom: [{secretRef: {name: db}}]
initContainers:
- name: i
  env: [{name: A, valueFrom: {secretKeyRef: {name: db, key: host}}}]
  envFrom: [{secretRef: {name: db}}]
ephemeralContainers:
- name: e
  env: [{name: A, valueFrom: {secretKeyRef: {name: db, key: host}}}]
  envFrom: [{secretRef: {name: db}}]
imagePullSecrets: [{name: db}]
volumes:
- {name: a, secret: {secretName: db}}
- {name: b, projected: {sources: [{secret: {name: db}}]}}
- {name: c, csi: {driver: x, nodePublishSecretRef: {name: db}}}
- {name: d, cephfs: {secretRef: {name: db}}}
- {name: e, flexVolume: {secretRef: {name: db}}}
- {name: f, iscsi: {secretRef: {name: db}}}
- {name: g, rbd: {secretRef: {name: db}}}
- {name: h, scaleIO: {secretRef: {name: db}}}
- {name: i, storageos: {secretRef: {name: db}}}
- {name: j, azureFile: {secretName: db}}
";
    let indented = |by: usize| pod.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect::<String>();
    let object =
        |api: &str, kind: &str, rest: &str| format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: x}}\n{rest}");
    let template = format!("spec:\n  template:\n    spec:\n{}", indented(6));
    let mut objects = vec![
        object("v1", "Pod", &format!("spec:\n{}", indented(2))),
        object("v1", "PodTemplate", &format!("template:\n  spec:\n{}", indented(4))),
        object(
            "batch/v1",
            "CronJob",
            &format!("spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n{}", indented(10)),
        ),
    ];
    for (api, kind) in [
        ("v1", "ReplicationController"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "Job"),
        ("argoproj.io/v1alpha1", "Rollout"),
        ("serving.knative.dev/v1", "Service"),
    ] {
        objects.push(object(api, kind, &template));
    }
    for (api, kind, rest) in [
        ("v1", "ServiceAccount", "secrets: [{name: db}]\nimagePullSecrets: [{name: db}]\n"),
        (
            "v1",
            "PersistentVolume",
            "spec:\n  azureFile: {secretName: db}\n  csi: {controllerExpandSecretRef: {name: db}, controllerPublishSecretRef: {name: db}, nodeExpandSecretRef: {name: db}, nodePublishSecretRef: {name: db}, nodeStageSecretRef: {name: db}}\n",
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "Role",
            "rules: [{apiGroups: [''], resources: [secrets], resourceNames: [db], verbs: [get]}]\n",
        ),
        ("gateway.networking.k8s.io/v1", "Gateway", "spec: {listeners: [{tls: {certificateRefs: [{name: db}]}}]}\n"),
        (
            "monitoring.coreos.com/v1",
            "ServiceMonitor",
            "spec: {endpoints: [{basicAuth: {username: {name: db}, password: {name: db}}, bearerTokenSecret: {name: db}, authorization: {credentials: {name: db}}, tlsConfig: {ca: {secret: {name: db}}, cert: {secret: {name: db}}, keySecret: {name: db}}}]}\n",
        ),
        ("source.toolkit.fluxcd.io/v1", "GitRepository", "spec: {secretRef: {name: db}}\n"),
        ("source.toolkit.fluxcd.io/v1", "HelmRepository", "spec: {secretRef: {name: db}}\n"),
        ("source.toolkit.fluxcd.io/v1", "OCIRepository", "spec: {secretRef: {name: db}}\n"),
        ("source.toolkit.fluxcd.io/v1", "Bucket", "spec: {secretRef: {name: db}}\n"),
        (
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            "spec: {kubeConfig: {secretRef: {name: db}}, decryption: {secretRef: {name: db}}, postBuild: {substituteFrom: [{kind: Secret, name: db}]}}\n",
        ),
        (
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            "spec: {kubeConfig: {secretRef: {name: db}}, valuesFrom: [{kind: Secret, name: db}]}\n",
        ),
    ] {
        objects.push(object(api, kind, rest));
    }
    objects.push("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: x\n  annotations:\n    nginx.ingress.kubernetes.io/auth-secret: db\n    nginx.ingress.kubernetes.io/auth-tls-secret: db\n    nginx.ingress.kubernetes.io/proxy-ssl-secret: db\n    ingress.kubernetes.io/auth-secret: db\nspec: {tls: [{secretName: db}]}\n".to_owned());
    // A foreign object with a text where others have a mapping is passed over.
    objects.push(
        "apiVersion: example.com/v1\nkind: Odd\nmetadata: {name: x}\nspec: {template: text, volumes: text}\n"
            .to_owned(),
    );
    objects.join("---\n")
}

/// How often `db` is named in [`everything`]: the pods of eleven kinds with seventeen places, and the others.
fn places(text: &str, name: &str) -> usize {
    let end = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    text.match_indices(name)
        .filter(|(at, _)| {
            let before = text[..*at].ends_with([' ', '[']);
            before && text[at + name.len()..].chars().next().is_none_or(end)
        })
        .count()
}

/// A base in `prod/base`, and an overlay with a namespace, a prefix and a suffix.
fn overlaid() -> Scratch {
    let t = repo();
    sealed(&t, "prod/base/db.sealed.yaml", "db", &[("host", "h"), ("password", "p")]);
    let text = t.read("prod/base/db.sealed.yaml").replace("  namespace: shop-prod\n", "");
    t.write("prod/base/db.sealed.yaml", text);
    t.write("prod/base/all.yaml", everything());
    t.write("prod/base/kustomization.yaml", "# the base\nresources:\n- all.yaml\n- db.sealed.yaml # sealed\n");
    t.write(
        "prod/over/kustomization.yaml",
        "resources: [../base]\nnamespace: shop-prod\nnamePrefix: p-\nnameSuffix: -s\n",
    );
    t
}

#[test]
fn every_reference_follows_where_the_configuration_is_listed() {
    let t = overlaid();
    let wanted = places(&everything(), "db");
    assert_eq!(wanted, 218);
    assert_eq!(places(&built(&t, "prod/over"), "p-db-s"), 1, "without it, only the document itself");
    let run = t.run(&["kustomize", "config"]).ok();
    let _ = t.run(&["kustomize", "config", "-o", "prod/base/ageseal-references.yaml"]).ok().says("wrote");
    assert_eq!(t.read("prod/base/ageseal-references.yaml"), run.stdout);
    let _ = t.run(&["kustomize", "config", "-o", "prod/base/ageseal-references.yaml"]).ok().says("same");
    let with = format!("{}configurations: [ageseal-references.yaml]\n", t.read("prod/base/kustomization.yaml"));
    t.write("prod/base/kustomization.yaml", with);
    for order in ["- all.yaml\n- db.sealed.yaml", "- db.sealed.yaml\n- all.yaml"] {
        let text = t.read("prod/base/kustomization.yaml").replace("- all.yaml\n- db.sealed.yaml", order);
        t.write("prod/base/kustomization.yaml", text);
        let built = built(&t, "prod/over");
        assert_eq!((places(&built, "db"), places(&built, "p-db-s")), (0, wanted + 1), "{order}");
    }
    // Once more, in the overlay, it does no harm.
    t.write("prod/over/refs.yaml", run.stdout);
    let with = format!("{}configurations: [refs.yaml]\n", t.read("prod/over/kustomization.yaml"));
    t.write("prod/over/kustomization.yaml", with);
    assert_eq!(places(&built(&t, "prod/over"), "p-db-s"), wanted + 1);
}

#[test]
fn a_configuration_of_somebody_else_stays() {
    let t = repo();
    t.write("c.yaml", "nameReference: []\n");
    let before = state(&t);
    let _ = refused(&t, &["kustomize", "config", "-o", "c.yaml"], 4).says("not written by ageseal").says("c.yaml");
    assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
    // An older one of ours, which knew less, is replaced.
    let ours = t.run(&["kustomize", "config"]).ok().stdout;
    let lines: Vec<&str> = ours.lines().collect();
    t.write("c.yaml", lines[..lines.len() - 3].join("\n"));
    let _ = t.run(&["kustomize", "config", "-o", "c.yaml"]).ok().says("wrote");
    assert_eq!(t.read("c.yaml"), ours);
    // One to which somebody added is theirs by now.
    let more = format!("{ours}  - {{kind: Mine, path: spec/secret}}\n");
    t.write("c.yaml", &more);
    let run = refused(&t, &["kustomize", "config", "-o", "c.yaml"], 4).says("lines that are not ageseal's");
    let _ = run.says(&format!("c.yaml:{}", lines.len() + 1));
    assert_eq!(t.read("c.yaml"), more);
}

#[test]
fn names_hash_and_all_references_follow_a_shadow() {
    let t = overlaid();
    let wanted = places(&everything(), "db");
    let file = "prod/base/db.sealed.yaml";
    let _ = t
        .run(&["kustomize", "shadow", file])
        .ok()
        .says("added")
        .says("prod/base/kustomization.yaml")
        .says("wrote")
        .says("the name gets a hash, and the file is not sealed for one")
        .says("ageseal rescope prod/base/db.sealed.yaml");
    let text = t.read("prod/base/kustomization.yaml");
    assert!(
        text.starts_with(
            "# the base\nresources:\n- all.yaml\n- db.sealed.yaml # sealed\nsecretGenerator:\n- name: db\n"
        ),
        "{text}"
    );
    assert!(text.ends_with("configurations:\n- ageseal-references.yaml\n"), "{text}");
    for order in ["- all.yaml\n- db.sealed.yaml # sealed", "- db.sealed.yaml # sealed\n- all.yaml"] {
        t.write("prod/base/kustomization.yaml", text.replace("- all.yaml\n- db.sealed.yaml # sealed", order));
        let built = built(&t, "prod/over");
        let name = built_name(&built);
        let hash = name.strip_prefix("p-db-s-").unwrap_or_else(|| panic!("{name}"));
        assert!(hash.len() == 10 && hash.bytes().all(|byte| b"2456789bcdfghkmt".contains(&byte)), "{name}");
        assert_eq!(
            (places(&built, "db"), places(&built, "p-db-s"), places(&built, &name)),
            (0, 0, wanted + 1),
            "{order}"
        );
        assert!(!built.contains("kind: Secret\nmetadata") && !built.contains("local-config"), "the Secret is dropped");
    }
    t.write("prod/base/kustomization.yaml", &text);
    // There is nothing to do a second time.
    let before = state(&t);
    let _ = t.run(&["kustomize", "shadow", file]).ok().says("same");
    assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
}

#[test]
fn without_a_hash_names_follow_and_stay() {
    let t = overlaid();
    let wanted = places(&everything(), "db");
    let run = t.run(&["kustomize", "shadow", "prod/base/db.sealed.yaml", "--no-hash"]).ok().says("without a hash");
    let _ = run.never_says("warning");
    let built = built(&t, "prod/over");
    assert_eq!(
        (built_name(&built).as_str(), places(&built, "p-db-s"), places(&built, "db")),
        ("p-db-s", wanted + 1, 0)
    );
    let before = t.read("prod/base/kustomization.yaml");
    assert!(!before.contains("literals"));
    let _ = t.run(&["kustomize", "shadow", "prod/base/db.sealed.yaml", "--no-hash"]).ok().says("same");
    let _ = refused(&t, &["kustomize", "shadow", "prod/base/db.sealed.yaml"], 4)
        .says("has no hash")
        .says("prod/base/kustomization.yaml:6:3");
    assert_eq!(t.read("prod/base/kustomization.yaml"), before);
}

#[test]
fn a_configuration_under_another_name_is_used() {
    let t = repo();
    sealed(&t, FILE, "db", &[("a", "x")]);
    let _ = t.run(&["kustomize", "config", "-o", "prod/refs.yaml"]).ok();
    t.write(LISTING, "resources: [db.sealed.yaml]\nconfigurations: [refs.yaml]\n");
    let _ = t.run(&["kustomize", "shadow", FILE]).ok().says("added");
    assert!(!t.path("prod/ageseal-references.yaml").exists());
    assert!(built_name(&built(&t, "prod")).starts_with("db-"));
}
