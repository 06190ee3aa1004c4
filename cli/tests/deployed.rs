//! What kustomize makes of a file is what it is sealed for, and checked against: one base, two overlays, the real kustomize.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use repo::{CANARY, get, git_repo, identity, leak};
use support::{Scratch, built};

const SOURCE: &str = "base/db.secret.yaml";
const FILE: &str = "base/db.sealed.yaml";
const TEST: &str = "test/kustomization.yaml";

const PREFIXED: &str = "namespace: shop-test\nnamePrefix: t-\nresources: [../base]\n";

/// A Secret and a pod in a base without a namespace; `prod` and `test` deploy it.
fn shop() -> Scratch {
    let t = git_repo();
    t.write(".gitignore", "*.secret.yaml\n");
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: {CANARY}\n");
    t.write(SOURCE, secret);
    t.write("base/pod.yaml", pod("password"));
    t.write("base/kustomization.yaml", "# The base.\nresources:\n- pod.yaml\n- db.sealed.yaml   # made by seal\n");
    t.write("prod/kustomization.yaml", "namespace: shop-prod\nresources: [../base]\n");
    t.write(TEST, "namespace: shop-test\nresources: [../base]\n");
    t
}

fn pod(key: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: api}}\nspec:\n  containers:\n  - name: api\n    image: example.com/api\n    env:\n    - name: PASSWORD\n      valueFrom:\n        secretKeyRef: {{name: db, key: {key}}}\n"
    )
}

/// What `check -` says of what the real kustomize builds.
fn check_built(t: &Scratch, folder: &str) -> support::Run {
    t.run_with(&["check", "-"], built(t, folder).as_bytes(), &[])
}

fn scope(t: &Scratch, path: &str) -> Vec<String> {
    let text = t.read(path);
    let lines = text.lines().skip_while(|line| line.trim() != "scope:").skip(1).map(str::trim);
    lines.map_while(|line| line.strip_prefix("- ")).map(|line| line.trim_matches('\'').to_owned()).collect()
}

#[test]
fn a_base_is_sealed_for_every_place_that_kustomize_takes_it_to() {
    let t = shop();
    let _ = t
        .run(&["seal", SOURCE])
        .ok()
        .says("shop-prod/db, shop-test/db")
        .says("(prod/kustomization.yaml: namespace; and 1 more)");
    assert_eq!(scope(&t, FILE), ["shop-prod/db", "shop-test/db"]);
    assert!(!t.read(FILE).contains("namespace:"), "the base leaves the namespace to the overlays");
    let _ = t.run(&["check"]).ok();
    for folder in ["prod", "test"] {
        let _ = check_built(&t, folder).ok();
    }
    // Nothing to do the second time, and one value changes without a private key.
    let id = identity(&t, "prod");
    let _ = t.run(&["seal", SOURCE, "-i", &id]).ok().says("same");
    let _ = t.run_with(&["set", FILE, "password"], b"another", &[]).ok().says("shop-prod/db, shop-test/db");
    assert_eq!(get(&t, FILE, "password"), "another");
    let _ = t.run(&["check"]).ok();
}

#[test]
fn a_prefix_closes_a_file_until_it_is_rescoped() {
    let t = shop();
    let _ = t.run(&["seal", SOURCE]).ok();
    t.write(TEST, PREFIXED);
    let found = t.run(&["check"]).exit(1);
    for text in [
        "sealed for shop-prod/db, shop-test/db",
        "deployed as shop-test/t-db",
        "test/kustomization.yaml:2 namePrefix: t-",
    ] {
        assert!(found.stdout.contains(text) || found.stderr.contains(text), "{text}\n{}{}", found.stdout, found.stderr);
    }
    // The real kustomize builds what was said, and it would not open.
    let _ = check_built(&t, "test").exit(1);
    let _ = t.run_with(&["set", FILE, "password"], b"x", &[]).exit(4).says("it should be shop-prod/db, shop-test/t-db");

    let id = identity(&t, "prod");
    let before = t.read(FILE);
    let _ = t.run(&["rescope", FILE]).exit(3);
    let _ = t.run(&["rescope", FILE, "-i", &id]).exit(2).says("--widen 'shop-test/t-db'");
    let _ = t.run(&["rescope", FILE, "-i", &id, "--dry-run"]).exit(1).says("shop-test/t-db");
    assert_eq!(t.read(FILE), before, "nothing was written so far");
    let _ = t.run(&["rescope", ".", "-i", &id, "--widen", "shop-test/t-db"]).ok().says("shop-prod/db, shop-test/t-db");
    assert_eq!(scope(&t, FILE), ["shop-prod/db", "shop-test/t-db"]);
    assert_eq!(get(&t, FILE, "password"), CANARY);
    for folder in ["prod", "test"] {
        let _ = check_built(&t, folder).ok();
    }
    let found = t.run(&["check"]);
    // The pod still names `db`, and nobody told kustomize that a sealed document is a Secret.
    assert!(format!("{}{}", found.stdout, found.stderr).contains("names the Secret shop-test/db"), "{}", found.stdout);
    let _ = t.run(&["rescope", FILE, "-i", &id]).ok().says("sealed for where it is deployed");
}

#[test]
fn a_place_that_nobody_deploys_to_is_told() {
    let t = shop();
    let _ = t.run(&["seal", SOURCE]).ok();
    t.write(TEST, "namespace: shop-test\nresources: [pod.yaml]\n");
    t.write("test/pod.yaml", pod("password").replace("env:", "ports:").split("    ports:").next().unwrap());
    let found = t.run(&["check"]).ok();
    assert!(
        format!("{}{}", found.stdout, found.stderr).contains("sealed for shop-test/db as well"),
        "{}",
        found.stdout
    );
    let _ = t.run(&["check", "--strict"]).exit(1);
    // Less than before needs nobody's word.
    let _ = t.run(&["rescope", FILE, "-i", &identity(&t, "prod")]).ok();
    assert_eq!(scope(&t, FILE), ["shop-prod/db"]);
    let _ = t.run(&["check", "--strict"]).ok();
}

#[test]
fn what_kustomize_would_do_is_never_guessed() {
    let t = shop();
    t.write(TEST, "namespace: shop-test\nresources: [../base, https://example.com/x.yaml]\n");
    let refused = t.run(&["seal", SOURCE]).exit(4).says("test/kustomization.yaml:2:1").says("--scope 'NAMESPACE/NAME'");
    assert_eq!(leak(refused.stderr.as_bytes()), None);
    assert!(!t.path(FILE).exists());
    // A scope that is typed is the user's word, as far as what is known does not contradict it.
    let _ = t.run(&["seal", SOURCE, "--scope", "shop-test/db"]).exit(4).says("leaves out shop-prod/db");
    let _ = t.run(&["seal", SOURCE, "--scope", "shop-test/db", "--scope", "shop-prod/db"]).ok();
    let found = t.run(&["check"]).ok();
    assert!(format!("{}{}", found.stdout, found.stderr).contains("not modelled"), "{}", found.stdout);

    t.write(TEST, "namespace: shop-test\nnamePrefx: t-\nresources: [../base]\n");
    let _ = t.run(&["seal", SOURCE]).exit(4).says("kustomize would not build this");
    let _ = t.run(&["check"]).exit(1);
    t.write(TEST, format!("namespace: shop-test\nnamePrefix: {}\nresources: [../base]\n", "p".repeat(251)));
    let _ = t.run(&["seal", SOURCE, "--fresh"]).exit(4);
    t.write(TEST, "resources: [../base]\n");
    let _ = t.run(&["seal", SOURCE]).exit(4).says("no namespace is set on the way");
    let _ = t.run(&["seal", SOURCE, "-n", "elsewhere"]).exit(4).says("prod/kustomization.yaml:1");
}

#[test]
fn create_asks_kustomize_too() {
    let t = shop();
    t.write("base/kustomization.yaml", "resources:\n- pod.yaml\n- db.sealed.yaml\n- token.sealed.yaml\n");
    let create = |name: &str| {
        let file = format!("base/{name}.sealed.yaml");
        t.run_with(&["create", "opaque", name, "--stdin", "password", "-o", &file], CANARY.as_bytes(), &[])
    };
    // What else is listed need not be there yet.
    let _ = create("db").ok().says("shop-prod/db, shop-test/db");
    let _ = create("token").ok().says("shop-prod/token, shop-test/token");
    for folder in ["prod", "test"] {
        let _ = check_built(&t, folder).ok();
    }
}

#[test]
fn wire_lists_the_sealed_file_in_the_place_of_the_plaintext() {
    let t = shop();
    let listed = "# The base.\nresources:\n- pod.yaml\n- db.secret.yaml   # the password\n";
    t.write("base/kustomization.yaml", listed);
    let _ = t.run(&["seal", SOURCE, "--wire", "--dry-run"]).exit(1).says("lists base/db.sealed.yaml");
    assert_eq!(t.read("base/kustomization.yaml"), listed);
    // Without it, the scope is that of the tree which it will be, and `check` finds the plaintext that is shipped.
    let _ = t.run(&["seal", SOURCE]).ok().says("shop-prod/db, shop-test/db");
    let found = t.run(&["check"]).exit(1);
    assert!(
        format!("{}{}", found.stdout, found.stderr).contains("ageseal seal --wire base/db.secret.yaml"),
        "{}",
        found.stderr
    );
    let _ = t.run(&["seal", SOURCE, "--wire"]).ok().says("wired").says("base/kustomization.yaml");
    assert_eq!(t.read("base/kustomization.yaml"), listed.replace("db.secret.yaml", "db.sealed.yaml"));
    t.write("alone/x.secret.yaml", t.read(SOURCE));
    let _ = t
        .run(&["seal", "alone", "--wire", "-n", "shop-prod", "-r", "prod"])
        .exit(4)
        .says("no kustomization lists the source");
}

#[test]
fn references_to_what_will_not_be_there_are_found() {
    let t = shop();
    let _ = t.run(&["seal", SOURCE]).ok();
    let check = |t: &Scratch, code: i32| {
        let found = t.run(&["check"]).exit(code);
        format!("{}{}", found.stdout, found.stderr)
    };
    t.write("base/pod.yaml", pod("pasword"));
    let found = check(&t, 1);
    assert!(
        found.contains("base/pod.yaml:1") && found.contains("names the key pasword of the Secret shop-prod/db"),
        "{found}"
    );
    t.write("base/pod.yaml", pod("password").replace("name: db", "name: bd"));
    let found = check(&t, 1);
    assert!(found.contains("names the Secret shop-prod/bd") && found.contains("did you mean db?"), "{found}");
    assert!(found.contains("db: no object names its Secret"), "{found}");
    // It is optional, or comes from elsewhere.
    t.write("base/pod.yaml", pod("password").replace("name: db", "name: bd, optional: true"));
    let _ = check(&t, 0);
    t.write("base/pod.yaml", pod("password").replace("name: db", "name: bd"));
    t.write(".ageseal/policy.yaml", format!("{}external: [\"shop-*/bd\"]\n", repo::POLICY));
    let _ = check(&t, 0);
}

#[test]
fn values_in_a_generator_are_plaintext() {
    let t = shop();
    let generator = |more: &str| {
        format!("resources: [pod.yaml]\nsecretGenerator:\n- name: db\n  literals: [password={CANARY}]\n{more}")
    };
    t.write("base/kustomization.yaml", generator(""));
    let found = t.run(&["check"]).exit(1);
    let found = format!("{}{}", found.stdout, found.stderr);
    assert!(found.contains("base/kustomization.yaml:4:3") && found.contains("literals <redacted>"), "{found}");
    assert_eq!(leak(found.as_bytes()), None);
    // One that is dropped from the build lends a name and a hash, and no value.
    t.write(
        "base/kustomization.yaml",
        generator("  options: {annotations: {config.kubernetes.io/local-config: \"true\"}}\n"),
    );
    let found = t.run(&["check"]);
    assert!(!format!("{}{}", found.stdout, found.stderr).contains("literals"), "{}", found.stdout);
}

#[test]
fn a_file_that_no_kustomization_lists_is_told() {
    let t = shop();
    let _ = t.run(&["seal", SOURCE]).ok();
    t.write("prod/more.secret.yaml", t.read(SOURCE).replace("name: db", "name: more"));
    let _ = t.run(&["seal", "prod/more.secret.yaml"]).exit(4).says("no namespace anywhere");
    let _ = t.run(&["seal", "prod/more.secret.yaml", "-n", "shop-prod"]).ok().says("(-n)");
    let found = t.run(&["check"]).ok();
    assert!(format!("{}{}", found.stdout, found.stderr).contains("not deployed by anything here"), "{}", found.stdout);
}

#[test]
fn a_document_that_names_its_namespace_is_rescoped_as_well() {
    let t = shop();
    t.write(SOURCE, t.read(SOURCE).replace("name: db\n", "name: db\n  namespace: shop-test\n"));
    t.write("base/kustomization.yaml", "resources: [db.sealed.yaml]\n");
    t.write("prod/kustomization.yaml", "namespace: shop-prod\nresources: [../test]\n");
    t.write(TEST, "resources: [../base]\n");
    let _ = t.run(&["seal", SOURCE]).ok().says("shop-prod/db");
    t.write("prod/kustomization.yaml", "namespace: shop-prod\nnamePrefix: p-\nresources: [../test]\n");
    let id = identity(&t, "prod");
    let run = t.run(&["rescope", FILE, "-i", &id, "--widen", "shop-prod/p-db"]).ok();
    let run = run.says("rescope base/db.sealed.yaml").says("opens as   shop-prod/p-db");
    assert!(!run.stderr.contains("would not open"), "{}", run.stderr);
    assert_eq!(scope(&t, FILE), ["shop-prod/p-db"]);
    assert!(t.read(FILE).contains("namespace: shop-test"), "what is written stays");
    let _ = check_built(&t, "prod").ok();
}

#[test]
fn rescope_changes_no_readers() {
    let t = shop();
    let _ = t.run(&["seal", SOURCE]).ok();
    t.write(TEST, PREFIXED);
    t.write(".ageseal/policy.yaml", repo::POLICY.replace("  recipients: [prod]\n", "  recipients: [prod, test]\n"));
    let _ = t.run(&["rescope", "test"]).ok().says("there is no sealed document here");
    let (id, before) = (identity(&t, "prod"), t.read(FILE));
    let _ = t
        .run(&["rescope", FILE, "-i", &id, "--widen", "shop-test/t-db"])
        .exit(4)
        .says("sealed for other readers")
        .says("base/db.sealed.yaml:1:1");
    assert_eq!(t.read(FILE), before);
    let refused = t.run(&["rescope", FILE, "-i", &id, "--widen", "shop-test"]).exit(2).says("exactly one slash");
    assert!(!refused.stderr.contains("shop-test"), "{}", refused.stderr);
}

#[test]
fn one_overlay_that_is_not_known_hides_nothing_of_the_others() {
    let t = shop();
    let _ = t.run(&["seal", SOURCE]).ok();
    t.write(TEST, "namespace: shop-test\nresources: [../base, https://example.com/x.yaml]\n");
    t.write("prod/kustomization.yaml", "namespace: shop-prod\nnamePrefix: p-\nresources: [../base]\n");
    let found = t.run(&["check"]).exit(1);
    let found = format!("{}{}", found.stdout, found.stderr);
    assert!(found.contains("deployed as shop-prod/p-db") && !found.contains("as well"), "{found}");
}

#[test]
fn a_folder_that_is_missing_is_not_passed_over() {
    let t = shop();
    t.write(TEST, "namespace: shop-test\nresources: [../base, ../more]\n");
    let _ = t.run(&["seal", SOURCE]).exit(4).says("test/kustomization.yaml:2:1").says("../more");
    t.write(TEST, "namespace: shop-test\nresources: [../base, more.sealed.yaml]\n");
    let _ = t.run(&["seal", SOURCE]).ok();
}

#[test]
fn secrets_that_operators_make_are_known_to_come() {
    let t = shop();
    let _ = t.run(&["seal", SOURCE]).ok();
    let two = format!(
        "{}---\n{}",
        pod("password"),
        pod("tls.crt").replace("name: api}", "name: tls}").replace("name: db", "name: tls")
    );
    t.write("base/pod.yaml", &two);
    let _ = t.run(&["check"]).exit(1);
    for maker in [
        "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: c}\nspec: {secretName: tls}\n",
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: tls}\nspec: {}\n",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, annotations: {cert-manager.io/issuer: ca}}\nspec: {tls: [{secretName: tls}]}\n",
    ] {
        t.write("base/pod.yaml", format!("{two}---\n{maker}"));
        let _ = t.run(&["check"]).ok();
    }
}
