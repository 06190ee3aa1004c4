//! `kustomize config` and `kustomize shadow`: what the real kustomize makes of them, and that they stay in step.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use std::collections::BTreeSet;

use ageseal_testkit::{kustomize, run};
use repo::{changes, git_repo, identity, refused, repo, sealed, secret, state};
use support::Scratch;

const FILE: &str = "prod/db.sealed.yaml";
const LISTING: &str = "prod/kustomization.yaml";

/// `kustomize build` of a folder, which has to work.
#[track_caller]
fn build(t: &Scratch, folder: &str) -> String {
    let outcome = run(kustomize(), ["build".as_ref(), t.path(folder).as_os_str()], "");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr_text());
    outcome.stdout_text()
}

/// The name of the sealed document in a build.
#[track_caller]
fn built_name(built: &str) -> String {
    let document = built.split("---\n").find(|document| document.contains("kind: SealedSecret")).unwrap();
    let line = document.lines().find_map(|line| line.strip_prefix("  name: ")).unwrap();
    line.to_owned()
}

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
    assert_eq!(places(&build(&t, "prod/over"), "p-db-s"), 1, "without it, only the document itself");
    let run = t.run(&["kustomize", "config"]).ok();
    let _ = t.run(&["kustomize", "config", "-o", "prod/base/ageseal-references.yaml"]).ok().says("wrote");
    assert_eq!(t.read("prod/base/ageseal-references.yaml"), run.stdout);
    let _ = t.run(&["kustomize", "config", "-o", "prod/base/ageseal-references.yaml"]).ok().says("same");
    let with = format!("{}configurations: [ageseal-references.yaml]\n", t.read("prod/base/kustomization.yaml"));
    t.write("prod/base/kustomization.yaml", with);
    for order in ["- all.yaml\n- db.sealed.yaml", "- db.sealed.yaml\n- all.yaml"] {
        let text = t.read("prod/base/kustomization.yaml").replace("- all.yaml\n- db.sealed.yaml", order);
        t.write("prod/base/kustomization.yaml", text);
        let built = build(&t, "prod/over");
        assert_eq!((places(&built, "db"), places(&built, "p-db-s")), (0, wanted + 1), "{order}");
    }
    // Once more, in the overlay, it does no harm.
    t.write("prod/over/refs.yaml", run.stdout);
    let with = format!("{}configurations: [refs.yaml]\n", t.read("prod/over/kustomization.yaml"));
    t.write("prod/over/kustomization.yaml", with);
    assert_eq!(places(&build(&t, "prod/over"), "p-db-s"), wanted + 1);
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
        let built = build(&t, "prod/over");
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
    let built = build(&t, "prod/over");
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

/// A sealed file with its shadow beside it.
fn shadowed(t: &Scratch) {
    sealed(t, FILE, "db", &[("host", "h"), ("password", "p"), ("user", "u")]);
    t.write(LISTING, "resources: [db.sealed.yaml]\nnamespace: shop-prod\n");
    let _ = t.run(&["kustomize", "shadow", "-q", FILE]).ok();
    rescope(t, FILE, "shop-prod/db-{hash}");
}

/// Seals a file for the name with the hash.
fn rescope(t: &Scratch, file: &str, pattern: &str) {
    let _ = t.run(&["rescope", "-q", file, "--widen", pattern, "-i", &identity(t, "prod")]).ok();
}

/// The random number of each key, with the key.
fn numbers(t: &Scratch) -> BTreeSet<String> {
    let text = t.read(LISTING);
    let found =
        text.lines().map(str::trim).filter(|line| line.split_once('=').is_some_and(|(_, number)| number.len() == 20));
    found.map(str::to_owned).collect()
}

fn differing(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<String> {
    after.difference(before).map(|number| number.split('=').next().unwrap().to_owned()).collect()
}

#[test]
fn set_and_unset_keep_the_shadow_in_step() {
    let t = repo();
    shadowed(&t);
    let (before, name) = (numbers(&t), built_name(&build(&t, "prod")));
    let text = t.read(LISTING);
    let _ = t
        .run_with(&["set", FILE, "password"], b"new", &[])
        .ok()
        .says("rolls      the pods, for password")
        .says(LISTING);
    assert_eq!(differing(&before, &numbers(&t)), ["password"]);
    let lines = text
        .lines()
        .zip(t.read(LISTING).lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!(lines, 1);
    assert_ne!(built_name(&build(&t, "prod")), name);
    let before = numbers(&t);
    let _ = t.run_with(&["set", FILE, "extra"], b"new", &[]).ok().says("added").says("rolls");
    assert_eq!(differing(&before, &numbers(&t)), ["extra"]);
    let _ = t.run(&["unset", FILE, "extra"]).ok().says("rolls      the pods, for extra");
    assert_eq!(numbers(&t), before);
    // No number is made from a value: the same value gives another one.
    let _ = t.run_with(&["set", FILE, "password"], b"new", &[]).ok();
    assert_eq!(differing(&before, &numbers(&t)), ["password"]);
}

#[test]
fn seal_rolls_what_changed_and_nothing_else() {
    let t = repo();
    shadowed(&t);
    let id = identity(&t, "prod");
    let source = |password: &str| {
        t.write(
            "prod/db.secret.yaml",
            secret("db", &format!("stringData:\n  host: h\n  password: {password}\n  user: u\n")),
        )
    };
    let before = numbers(&t);
    source("p");
    let _ = t.run(&["seal", "prod/db.secret.yaml", "-i", &id]).ok().never_says("rolls");
    assert_eq!(numbers(&t), before);
    source("other");
    let _ = t
        .run(&["seal", "prod/db.secret.yaml", "-i", &id, "--dry-run"])
        .exit(1)
        .says("rolls      the pods, for password");
    assert_eq!(numbers(&t), before);
    let _ = t.run(&["seal", "prod/db.secret.yaml", "-i", &id]).ok().says("rolls      the pods, for password");
    assert_eq!(differing(&before, &numbers(&t)), ["password"]);
    // Other readers, the same values: nothing rolls.
    let before = numbers(&t);
    let _ = t
        .run(&["seal", "prod/db.secret.yaml", "-i", &id, "-r", "prod"])
        .ok()
        .says("the recipients changed")
        .never_says("rolls");
    assert_eq!(numbers(&t), before);
    // Nobody can compare: everything rolls, and that is said.
    let _ = t
        .run(&["seal", "prod/db.secret.yaml"])
        .ok()
        .says("rolls      the pods, for host, password, user: the old values could not be compared");
    assert_eq!(differing(&before, &numbers(&t)), ["host", "password", "user"]);
    // A key less.
    t.write("prod/db.secret.yaml", secret("db", "stringData:\n  host: h\n  password: other\n"));
    let before = numbers(&t);
    let _ = t.run(&["seal", "prod/db.secret.yaml", "-i", &id, "--prune"]).ok().says("rolls      the pods, for user");
    assert_eq!((numbers(&t).len(), differing(&before, &numbers(&t)).len()), (2, 0));
}

#[test]
fn several_files_of_one_kustomization_are_kept_in_step_together() {
    let t = repo();
    t.write("prod/kustomization.yaml", "resources: [a.sealed.yaml, sub/b.sealed.yaml]\n");
    for (file, name) in [("prod/a.sealed.yaml", "a"), ("prod/sub/b.sealed.yaml", "b")] {
        sealed(&t, file, name, &[("key", "x")]);
        let _ = t.run(&["kustomize", "shadow", "-q", file]).ok();
        rescope(&t, file, &format!("shop-prod/{name}-{{hash}}"));
        t.write(file.replace("sealed", "secret"), secret(name, "stringData:\n  key: other\n"));
    }
    let before = numbers(&t);
    assert_eq!(before.len(), 2);
    let run = t.run(&["seal", "prod"]).ok();
    assert_eq!(run.stderr.matches("rolls").count(), 2, "{}", run.stderr);
    assert_eq!(differing(&before, &numbers(&t)).len(), 2);
}

#[test]
fn two_branches_that_change_two_keys_merge_and_roll() {
    let t = git_repo();
    shadowed(&t);
    let _ = t.shell("git add -A && git commit -qm shadow && git branch other").ok();
    let before = numbers(&t);
    let _ = t.run_with(&["set", FILE, "password"], b"one", &[]).ok();
    let _ = t.shell("git commit -qam password && git checkout -q other").ok();
    let _ = t.run_with(&["set", FILE, "user"], b"two", &[]).ok();
    let _ = t.shell("git commit -qam user && git merge -q --no-edit main").ok();
    assert_eq!(differing(&before, &numbers(&t)), ["password", "user"]);
    assert_eq!((repo::get(&t, FILE, "password").as_str(), repo::get(&t, FILE, "user").as_str()), ("one", "two"));
}

#[test]
fn what_has_no_shadow_is_left_alone() {
    let t = repo();
    for kustomization in [
        "resources: [db.sealed.yaml]\n",
        "resources: [db.sealed.yaml]\nsecretGenerator: [{name: other, literals: [a=b]}]\n",
        "resources: [other.yaml]\nsecretGenerator: [{name: db, literals: [a=b], options: {annotations: {config.kubernetes.io/local-config: 'true'}}}]\n",
    ] {
        sealed(&t, FILE, "db", &[("a", "x")]);
        t.write(LISTING, kustomization);
        let _ = t.run_with(&["set", FILE, "a"], b"new", &[]).ok().never_says("rolls");
        assert_eq!(t.read(LISTING), kustomization);
        std::fs::remove_file(t.path(FILE)).unwrap();
    }
}

#[test]
fn a_kustomization_that_cannot_be_kept_in_step_stops_the_change() {
    let t = repo();
    for (kustomization, fact) in [
        ("resources: [db.sealed.yaml]\nsecretGenerator: [{\n", "prod/kustomization.yaml:2:19"),
        (
            "x: &a [a=b]\nresources: [db.sealed.yaml]\nsecretGenerator:\n- name: db\n  literals: *a\n  options: {annotations: {config.kubernetes.io/local-config: 'true'}}\n",
            "the literals of this shadow are not a list of its own",
        ),
    ] {
        sealed(&t, FILE, "db", &[("a", "x"), ("b", "y")]);
        t.write(LISTING, kustomization);
        let before = state(&t);
        let run = t.run(&["unset", FILE, "a"]).exit(4).says(fact);
        let _ = run.says("prod/kustomization.yaml:");
        assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
        std::fs::remove_file(t.path(FILE)).unwrap();
        std::fs::remove_file(t.path(LISTING)).unwrap();
    }
}

#[test]
fn shadows_are_refused_where_they_cannot_stand() {
    let t = repo();
    sealed(&t, FILE, "db", &[("a", "x")]);
    let refused = |kustomization: &str, args: &[&str], facts: &[&str]| {
        t.write(LISTING, kustomization);
        let before = state(&t);
        let run = refused(&t, &[&["kustomize", "shadow", FILE], args].concat(), 4);
        let _ = facts.iter().fold(run, |run, fact| run.says(fact));
        assert_eq!(changes(&before, &state(&t)), Vec::<String>::new(), "{kustomization}");
    };
    refused(
        "resources: [other.yaml]\n",
        &[],
        &["no kustomization lists this file", "prod/db.sealed.yaml", "add db.sealed.yaml to `resources`"],
    );
    refused("resources: [db.sealed.yaml\n", &[], &["prod/kustomization.yaml:1:12"]);
    refused(
        "resources: [db.sealed.yaml]\nsecretGenerator:\n- name: db\n  literals: [a=b]\n",
        &[],
        &["prod/kustomization.yaml:3:3", "its Secret is built", "import generator"],
    );
    refused(
        "resources: [db.sealed.yaml]\nsecretGenerator:\n- name: db\n  files: [db.sealed.yaml]\n  options: {annotations: {config.kubernetes.io/local-config: 'true'}}\n",
        &[],
        &["prod/kustomization.yaml:3:3", "takes its hash from files"],
    );
    refused(
        "resources: [db.sealed.yaml]\ngeneratorOptions: {disableNameSuffixHash: true}\n",
        &[],
        &["prod/kustomization.yaml:2:43", "--no-hash"],
    );
    refused(
        "resources: [db.sealed.yaml]\nsecretGenerator: text\n",
        &[],
        &["prod/kustomization.yaml:2:18", "not a list"],
    );
    let shadow = "resources: [db.sealed.yaml]\nsecretGenerator:\n- name: db\n  literals: [a=b]\n  options: {annotations: {config.kubernetes.io/local-config: 'true'}}\n";
    refused(shadow, &["--no-hash"], &["prod/kustomization.yaml:3:3", "has a hash"]);
    t.write("kustomization.yaml", "resources: [prod/db.sealed.yaml]\n");
    refused(
        "resources: [db.sealed.yaml]\n",
        &[],
        &["several kustomizations list this file", "  kustomization.yaml", "  prod/kustomization.yaml"],
    );
    std::fs::remove_file(t.path("kustomization.yaml")).unwrap();
    t.write("prod/ageseal-references.yaml", "nameReference: []\n");
    refused("resources: [db.sealed.yaml]\n", &[], &["has not all places", "prod/ageseal-references.yaml"]);
    std::fs::remove_file(t.path("prod/ageseal-references.yaml")).unwrap();
    t.write("prod/plain.yaml", secret("db", "stringData: {a: b}\n"));
    let _ = repo::refused(&t, &["kustomize", "shadow", "prod/plain.yaml"], 4).says("no sealed document");
    let _ = repo::refused(&t, &["kustomize", "shadow", "-"], 2).says("stdin");
}

#[test]
fn a_shadow_that_would_not_do_its_work_is_refused() {
    let t = repo();
    sealed(&t, FILE, "db", &[("a", "x")]);
    let sealed_file = t.read(FILE);
    // Another configuration than ours may know fewer places: ours is listed beside it, and the reference follows.
    t.write("prod/kconf.yaml", "nameReference:\n- kind: Secret\n  version: v1\n  fieldSpecs:\n  - {group: ageseal.dev, kind: SealedSecret, path: metadata/name}\n");
    t.write("prod/r.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r, namespace: shop-prod}\nspec: {template: {spec: {containers: [{name: a, envFrom: [{secretRef: {name: db}}]}]}}}\n");
    t.write(LISTING, "resources: [db.sealed.yaml, r.yaml]\nnamespace: shop-prod\nconfigurations: [kconf.yaml]\n");
    let _ = t.run(&["kustomize", "shadow", FILE]).ok().says("added");
    let built = build(&t, "prod");
    assert!(built.contains(&format!("name: {}\n", built_name(&built))) && !built.contains("name: db\n"), "{built}");

    // A shadow that is there, and is written for another namespace than the document gets.
    let shadow = "secretGenerator:\n- name: db\n  options: {annotations: {config.kubernetes.io/local-config: 'true'}}\n  literals: [rev=1]\n";
    t.write(LISTING, format!("resources: [db.sealed.yaml]\n{shadow}"));
    let before = state(&t);
    let run = t.run(&["kustomize", "shadow", FILE]).exit(4).says("the shadow does not give it its name");
    let _ = run.says("nothing was written").says("the same namespace");
    assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
    // What sets a value says that nothing rolls.
    let _ = t.run_with(&["set", FILE, "a"], b"new", &[]).ok().says("so nothing rolls");
    // Nor does anything where the shadow is elsewhere.
    t.write(FILE, sealed_file.replace("  namespace: shop-prod\n", ""));
    t.write(LISTING, "resources: [db.sealed.yaml]\n");
    t.write(
        "over/kustomization.yaml",
        format!("resources: [../prod]\nnamespace: shop-prod\nconfigurations: [c.yaml]\n{shadow}"),
    );
    t.write("over/c.yaml", t.run(&["kustomize", "config"]).ok().stdout);
    assert!(built_name(&build(&t, "over")).len() == "db-".len() + 10);
    rescope(&t, FILE, "shop-prod/db-{hash}");
    let _ = t
        .run_with(&["set", FILE, "a"], b"new", &[])
        .ok()
        .says("has a hash in its name")
        .says("pods keep the old value");
}

#[test]
fn what_is_made_anew_or_removed_rolls() {
    let t = repo();
    shadowed(&t);
    let before = numbers(&t);
    std::fs::remove_file(t.path(FILE)).unwrap();
    let create = ["create", "opaque", "db", "-n", "shop-prod", "--stdin", "password", "-o", FILE];
    let run = t.run_with(&create, b"another", &[]).ok();
    let _ = run.says("opens as   shop-prod/db-{hash}").says("rolls      the pods, for password");
    assert_eq!(differing(&before, &numbers(&t)), ["password"]);
}

#[test]
fn a_configuration_under_another_name_is_used() {
    let t = repo();
    sealed(&t, FILE, "db", &[("a", "x")]);
    let _ = t.run(&["kustomize", "config", "-o", "prod/refs.yaml"]).ok();
    t.write(LISTING, "resources: [db.sealed.yaml]\nconfigurations: [refs.yaml]\n");
    let _ = t.run(&["kustomize", "shadow", FILE]).ok().says("added");
    assert!(!t.path("prod/ageseal-references.yaml").exists());
    assert!(built_name(&build(&t, "prod")).starts_with("db-"));
}
