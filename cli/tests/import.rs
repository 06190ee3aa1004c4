//! `import generator`: the real kustomize builds the same before and after, but for kind and data.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use std::collections::BTreeMap;
use std::fs;

use ageseal_testkit::{kustomize, workspace_root};
use repo::{CANARY, changes, get, leak, refused, repo, state};
use support::{Scratch, built, copy_tree};

const POD: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n        env: [{name: P, valueFrom: {secretKeyRef: {name: db, key: password}}}]\n        envFrom: [{secretRef: {name: db}}]\n      volumes:\n      - {name: v, secret: {secretName: tls-files}}\n      imagePullSecrets: [{name: db}]\n";

/// The ten characters of a hash as `#`.
fn without_hashes(text: &str) -> String {
    let is_hash = |part: &str| part.len() == 10 && part.bytes().all(|byte| b"2456789bcdfghkmt".contains(&byte));
    let end = |c: char| !c.is_ascii_alphanumeric();
    text.split_inclusive(end)
        .map(|part| {
            if is_hash(part.trim_end_matches(end)) {
                part.replace(part.trim_end_matches(end), "#")
            } else {
                part.to_owned()
            }
        })
        .collect()
}

/// What has to stay of every object: all but the kind and the data of what was a Secret and is sealed now. The labels and
/// annotations of the Secret stand in the template now.
fn kept(built: &str) -> BTreeMap<String, String> {
    let documents = built.split("\n---\n").map(|document| {
        let field = |name: &str| {
            let from = document.find(&format!("\n{name}:")).map(|at| &document[at + 1..]);
            from.map(|from| {
                let mut lines = from.lines();
                let first = lines.next().unwrap().to_owned();
                let rest = lines.take_while(|line| line.starts_with([' ', '-']));
                rest.fold(first, |text, line| text + "\n" + line)
            })
        };
        let kind = document.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap();
        let name = document.lines().find_map(|line| line.strip_prefix("  name: ")).unwrap();
        let namespace = document.lines().find_map(|line| line.strip_prefix("  namespace: ")).unwrap_or("-");
        let kind = kind.trim_start_matches("Sealed");
        let rest = if kind == "Secret" { String::new() } else { field("spec").unwrap_or_default() };
        (without_hashes(&format!("{kind} {namespace}/{name}")), without_hashes(&rest))
    });
    documents.collect()
}

/// A base with generators of every sort, and two overlays.
fn generators() -> Scratch {
    let t = repo();
    t.write(
        "base/kustomization.yaml",
        format!(
            "# the base\nresources:\n- api.yaml # the program\nsecretGenerator:\n# the database\n- name: db\n  literals:\n  - password={CANARY}\n  - 'user=\"u\"'\n  envs: [db.env]\n- name: tls-files\n  files:\n  - ca.crt\n  - key=sub/private.key\n  type: example.com/files\n  options:\n    immutable: true\n    disableNameSuffixHash: true\n    labels: {{app: shop}}\n    annotations: {{note: text}}\nconfigMapGenerator:\n- name: c\n  literals: [a=b]\n"
        ),
    );
    t.write("base/api.yaml", POD);
    t.write("base/db.env", format!("\u{feff}HOST=h \r\n  # comment\n  TOKEN=\"{CANARY}\"\n"));
    t.write("base/ca.crt", format!("{CANARY}\n"));
    t.write("base/sub/private.key", [0, 255, 10]);
    t.write(
        "over/prod/kustomization.yaml",
        "resources: [../../base]\nnamespace: shop-prod\nnamePrefix: p-\ncommonLabels: {env: prod}\n",
    );
    t.write("over/test/kustomization.yaml", "resources: [../../base]\nnamespace: shop-test\n");
    t
}

#[test]
fn kustomize_builds_the_same_but_for_kind_and_data() {
    let t = generators();
    let before = [kept(&built(&t, "over/prod")), kept(&built(&t, "over/test"))];
    let secrets = before[0].keys().filter(|key| key.starts_with("Secret")).cloned().collect::<Vec<_>>();
    assert_eq!(secrets, ["Secret shop-prod/p-db-#", "Secret shop-prod/p-tls-files"]);
    let run = t
        .run(&["import", "generator", "base"])
        .ok()
        .says("sealed  base/db.sealed.yaml")
        .says("HOST, TOKEN, password, user")
        .says("opens as   shop-prod/p-db-{hash}, shop-test/db-{hash}")
        .says("opens as   shop-prod/p-tls-files, shop-test/tls-files")
        .says("the quotes around this value are a part of it")
        .says("base/db.env:3:3")
        .says("git rm --cached -- base/ca.crt base/db.env base/sub/private.key")
        .says("git's history keeps the old ones")
        .says("base/kustomization.yaml:6:3   password, user");
    assert_eq!(leak(run.stderr.as_bytes()), None);
    let now = [built(&t, "over/prod"), built(&t, "over/test")];
    assert_eq!([kept(&now[0]), kept(&now[1])], before);
    assert!(!now[0].contains("kind: Secret\n") && now[0].matches("kind: SealedSecret").count() == 2);
    for (file, key, value) in [
        ("base/db.sealed.yaml", "password", CANARY.to_owned()),
        ("base/db.sealed.yaml", "user", "u".to_owned()),
        ("base/db.sealed.yaml", "HOST", "h ".to_owned()),
        ("base/db.sealed.yaml", "TOKEN", format!("\"{CANARY}\"")),
        ("base/tls-files.sealed.yaml", "ca.crt", format!("{CANARY}\n")),
    ] {
        assert_eq!(get(&t, file, key), value);
    }
    let id = repo::identity(&t, "prod");
    assert_eq!(t.run(&["get", "base/tls-files.sealed.yaml", "key", "-i", &id]).ok().bytes, [0, 255, 10]);
    let sealed = t.read("base/tls-files.sealed.yaml");
    for line in ["  type: example.com/files\n", "  immutable: true\n", "        app: shop\n", "        note: text\n"] {
        assert!(sealed.contains(line.trim_start()), "{line}{sealed}");
    }
    let text = t.read("base/kustomization.yaml");
    assert!(text.starts_with("# the base\nresources:\n- api.yaml # the program\n- db.sealed.yaml\n- tls-files.sealed.yaml\nsecretGenerator:\n# the database\n- name: db\n"), "{text}");
    assert!(
        text.contains("configMapGenerator:\n- name: c\n  literals: [a=b]\n")
            && text.ends_with("configurations:\n- ageseal-references.yaml\n")
    );
    assert_eq!(leak(text.as_bytes()), None);
    // What is built opens where it is built for.
    let name = now[0].lines().find_map(|line| line.strip_prefix("  name: p-db-")).unwrap();
    assert_eq!(name.len(), 10);
    // Once more there is nothing to do.
    let state_before = state(&t);
    let _ = t.run(&["import", "generator"]).ok().says("no generator of Secrets");
    assert_eq!(changes(&state_before, &state(&t)), Vec::<String>::new());
    // A value that changes rolls the pods.
    let _ = t
        .run_with(&["set", "base/db.sealed.yaml", "password"], b"new", &[])
        .ok()
        .says("rolls      the pods, for password");
    let after = built(&t, "over/prod");
    assert!(after != now[0] && !after.contains(name));
    assert_eq!(kept(&after), before[0]);
}

#[test]
fn the_example_moves_in_as_its_readme_says() {
    let t = Scratch::new();
    copy_tree(&workspace_root().join("examples/generators"), &t.work());
    let readme = t.read("README.md");
    let script = readme.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let (kustomize, after) = (kustomize().display(), script.split_once('\n').unwrap().1);
    let line = format!("set -e; git init -q; kustomize() {{ '{kustomize}' \"$@\"; }}\n");
    // The last line compares, and finds what it says below it.
    let run = t.shell(&format!("{line}{after}")).exit(1);
    let changed: Vec<&str> =
        run.stdout.lines().filter(|line| line.starts_with(['<', '>'])).map(|line| line[1..].trim()).collect();
    assert!(changed.contains(&"kind: SealedSecret"), "{}", run.stdout);
    for overlay in ["overlays/prod", "overlays/test"] {
        let built = built(&t, overlay);
        assert!(!built.contains("kind: Secret\n") && built.matches("kind: SealedSecret\n").count() == 3, "{built}");
        let _ = t.run_with(&["check", "-"], built.as_bytes(), &[]).ok();
    }
    let plain = Scratch::new();
    copy_tree(&workspace_root().join("examples/generators"), &plain.work());
    for overlay in ["overlays/prod", "overlays/test"] {
        assert_eq!(kept(&built(&t, overlay)), kept(&built(&plain, overlay)));
    }
    // What it says to delete is needed no more.
    let _ = t.shell("rm base/app.env base/signing/hmac.txt").ok();
    let _ = t.run(&["check"]).ok();
    let _ = built(&t, "overlays/prod");
}

#[test]
fn a_dry_run_writes_nothing() {
    let t = generators();
    let before = state(&t);
    let run =
        t.run(&["import", "generator", "--dry-run"]).exit(1).says("would   base/db.sealed.yaml").never_says("git rm");
    assert_eq!(leak(run.stderr.as_bytes()), None);
    assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
}

#[test]
fn namespaces_are_those_of_the_build_or_typed() {
    let t = repo();
    let kustomization = "secretGenerator:\n- name: db\n  namespace: shop-prod\n  literals: [a=b]\n";
    t.write("prod/kustomization.yaml", kustomization);
    let before = kept(&built(&t, "prod"));
    let _ = t.run(&["import", "generator", "prod"]).ok().says("opens as   shop-prod/db-{hash}");
    assert_eq!(kept(&built(&t, "prod")), before);
    assert!(t.read("prod/db.sealed.yaml").contains("  name: db\n  namespace: shop-prod\n"));

    let t = repo();
    let open = "secretGenerator:\n- name: db\n  literals: [a=b]\n";
    t.write("prod/kustomization.yaml", open);
    let _ = refused(&t, &["import", "generator", "prod"], 4)
        .says("no namespace is set on the way")
        .says("prod/kustomization.yaml:2:3");
    let _ = refused(&t, &["import", "generator", "prod", "-n", "shop-test"], 4).says("scope");
    let _ = refused(&t, &["import", "generator", "prod", "--scope", "shop-prod/db", "-n", "shop-prod"], 2)
        .says("leaves out shop-prod/db-{hash}");
    let _ = t.run(&["import", "generator", "prod", "-n", "shop-prod"]).ok().says("opens as   shop-prod/db-{hash}");

    let t = repo();
    t.write(
        "prod/kustomization.yaml",
        format!("kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n{open}"),
    );
    let _ =
        refused(&t, &["import", "generator", "prod"], 4).says("no kustomization that can be worked out here builds it");
    let _ = t
        .run(&["import", "generator", "prod", "--scope", "shop-prod/db-{hash}"])
        .ok()
        .says("opens as   shop-prod/db-{hash}");
}

/// A kustomization in `prod`, which is refused with these facts; nothing changes.
#[track_caller]
fn refuses(files: &[(&str, &str)], facts: &[&str]) {
    let t = repo();
    for (path, text) in files {
        t.write(path, text);
    }
    let run = refused(&t, &["import", "generator", "prod"], 4);
    let _ = facts.iter().fold(run, |run, fact| run.says(fact));
}

const K: &str = "prod/kustomization.yaml";

fn one(sources: &str) -> String {
    format!("namespace: shop-prod\nsecretGenerator:\n- name: db\n{sources}")
}

#[test]
fn wrong_sources_are_told_at_their_place() {
    let long = format!("A=1\nB={}\nC=2\n", "x".repeat(70_000));
    let literals = one(&format!("  literals: [a=1, {CANARY}, '=x', a=2]\n"));
    refuses(
        &[(K, &literals)],
        &[
            "not of the form key=value",
            "prod/kustomization.yaml:4:19",
            "prod/kustomization.yaml:4:47",
            "second time",
            "a <redacted>",
        ],
    );
    refuses(&[(K, &one("  envs: [e.env]\n")), ("prod/e.env", &long)], &["64 KiB", "prod/e.env:2:1"]);
    refuses(&[(K, &one("  env: e.env\n")), ("prod/e.env", "A=1\nexport B=2\nA=3\n")], &["prod/e.env:2:1", "`export`"]);
    refuses(
        &[(K, &one("  envs: [e.env]\n  literals: [A=1]\n")), ("prod/e.env", "A=1\n")],
        &["second time", "prod/kustomization.yaml:5:14"],
    );
    refuses(
        &[(K, &one("  files: [missing.txt, a=b=c]\n"))],
        &["prod/missing.txt", "prod/kustomization.yaml:4:11", "no such file", "prod/kustomization.yaml:4:24"],
    );
    refuses(
        &[(K, &one("  files: [sub]\n")), ("prod/sub/x", "x")],
        &["a folder, not a file", "prod/kustomization.yaml:4:11"],
    );
    refuses(
        &[(K, &one("  files: [../out.txt]\n")), ("out.txt", CANARY)],
        &["neither in the folder of the kustomization nor below it", "prod/kustomization.yaml:4:11"],
    );
    refuses(
        &[(K, &one("  literals: [a=b]\n  type: kubernetes.io/tls\n"))],
        &["tls.crt", "prod/kustomization.yaml:3:3"],
    );
    refuses(&[(K, &one("  literals: [a=b]\n  typ: x\n"))], &["no such field", "prod/kustomization.yaml:5:3"]);
    refuses(&[(K, "secretGenerator: [{\n")], &["prod/kustomization.yaml:1:19"]);
}

#[test]
fn what_cannot_be_taken_over_is_refused_by_name() {
    let literals = one("  literals: [a=b]\n");
    refuses(
        &[(K, &one("  literals: [a=b]\n  behavior: merge\n")), ("prod/x.yaml", "")],
        &["adds to the Secret of a base", "prod/kustomization.yaml:3:3"],
    );
    refuses(&[(K, &literals), ("prod/db.sealed.yaml", "x: y\n")], &["the sealed file exists", "prod/db.sealed.yaml"]);
    let over = "resources: [../prod]\nsecretGenerator: [{name: db, behavior: merge, literals: [a=c]}]\n";
    refuses(
        &[(K, &literals), ("over/kustomization.yaml", over)],
        &["something acts on the Secret", "over/kustomization.yaml:2: secretGenerator: db, behavior: merge"],
    );
    let patch = "resources: [../prod]\npatches:\n- target: {kind: Secret}\n  patch: '[{\"op\": \"add\", \"path\": \"/metadata/labels\", \"value\": {\"a\": \"b\"}}]'\n";
    refuses(
        &[(K, &literals), ("over/kustomization.yaml", patch)],
        &["something acts on the Secret", "over/kustomization.yaml:3: patches"],
    );
    // What is not known may hide an addition.
    let remote = format!("{over}helmCharts: [{{name: x}}]\n");
    refuses(
        &[(K, &literals), ("over/kustomization.yaml", &remote)],
        &["something acts on the Secret", "over/kustomization.yaml:2:19"],
    );
    let two = format!("{literals}- name: db\n  namespace: other\n  literals: [a=b]\n");
    refuses(&[(K, &two)], &["two generators would both become db.sealed.yaml", "prod/kustomization.yaml:5:3"]);
    let t = repo();
    t.write("prod/x.yaml", "a: b\n");
    let _ = refused(&t, &["import", "generator", "prod/x.yaml"], 2).says("no kustomization");
    let _ = refused(&t, &["import", "generator", "nowhere"], 4).says("nowhere");
    t.write("else/kustomization.yaml", &literals);
    let _ = refused(&t, &["import", "generator", "else"], 4).says("no rule");
}

#[test]
fn what_is_not_known_stops_it_and_what_is_left_is_told() {
    let t = generators();
    // A root whose build is not known: the file would be sealed for a part of its places.
    t.write("over/eu/kustomization.yaml", "resources: [../../base]\nhelmCharts: [{name: x}]\n");
    let _ = refused(&t, &["import", "generator", "base"], 4).says("over/eu/kustomization.yaml:2").says("is not known");
    fs::remove_dir_all(t.path("over/eu")).unwrap();
    // A file that another generator reads as well stays; a comment that may tell a value is pointed at, and not shown.
    let text = t
        .read("base/kustomization.yaml")
        .replace("- name: tls-files\n", &format!("# - password={CANARY}\n- name: tls-files\n"));
    t.write("base/kustomization.yaml", text.replace("  literals: [a=b]\n", "  literals: [a=b]\n  files: [ca.crt]\n"));
    let run = t.run(&["import", "generator", "base"]).ok();
    assert_eq!(leak(run.stderr.as_bytes()), None);
    let run = run.says("git rm --cached -- base/db.env base/sub/private.key; rm -- base/db.env base/sub/private.key");
    let run = run.says("another generator still takes values from them").says("  base/ca.crt");
    let run = run.says("these comments stay").says("base/kustomization.yaml:");
    let _ = run.says("no more on its Secret").says("over/prod/kustomization.yaml:4:1   commonLabels");
}

#[test]
fn dropped_generators_and_config_maps_stay() {
    let t = repo();
    let text = "namespace: shop-prod\nsecretGenerator:\n- name: db\n  literals: [a=b]\n  options: {annotations: {config.kubernetes.io/local-config: 'true'}}\nconfigMapGenerator: [{name: c, literals: [a=b]}]\n";
    t.write(K, text);
    let _ = t.run(&["import", "generator", "prod"]).ok().says("no generator of Secrets");
    assert_eq!(t.read(K), text);
}

#[test]
fn references_that_named_nothing_are_told() {
    let t = repo();
    t.write(K, "namespace: shop-prod\nresources: [r.yaml]\nsecretGenerator: [{name: db, literals: [a=b]}]\n");
    t.write("prod/r.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\nspec: {template: {spec: {containers: [{name: a, envFrom: [{secretRef: {name: db}}]}]}}}\n");
    let _ =
        t.run(&["import", "generator", "prod"]).ok().says("named nothing, and follow a Secret now").says("Rollout r");
}
