//! Flux and Argo CD as outer layers: what they set is what files are sealed for, and checked against.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use repo::{CANARY, get, git_repo, identity, leak, quiet};
use support::{Run, Scratch};

const SOURCE: &str = "base/db.secret.yaml";
const FILE: &str = "base/db.sealed.yaml";
const FLUX: &str = "clusters/eu/shop.yaml";
const ARGO: &str = "argo/shop.yaml";

/// A base and two overlays that say no namespace.
fn shop() -> Scratch {
    let t = git_repo();
    t.write(".gitignore", "*.secret.yaml\n");
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: {CANARY}\n");
    t.write(SOURCE, secret);
    t.write("base/kustomization.yaml", "resources:\n- db.sealed.yaml\n");
    t.write("prod/kustomization.yaml", "resources: [../base]\n");
    t.write("test/kustomization.yaml", "namePrefix: t-\nresources: [../base]\n");
    t
}

/// A `Kustomization` of Flux; `targetNamespace` is at line 9.
fn flux(name: &str, path: &str, namespace: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: {name}\n  namespace: flux-system\nspec:\n  path: {path}\n  prune: true\n  targetNamespace: {namespace}\n  interval: 10m\n  sourceRef:\n    kind: GitRepository\n    name: flux-system\n"
    )
}

/// A repository that Flux deploys, as it is bootstrapped: the two overlays into two namespaces.
fn of_flux() -> Scratch {
    let t = shop();
    let sync = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system, namespace: flux-system}\nspec:\n  url: ssh://git@git.example.com/org/shop\n---\n";
    let itself = flux("flux-system", "./clusters/eu", "x").replace("  targetNamespace: x\n", "");
    t.write("clusters/eu/flux-system/gotk-sync.yaml", format!("{sync}{itself}"));
    t.write("clusters/eu/flux-system/kustomization.yaml", "resources: [gotk-sync.yaml]\n");
    let both = [flux("prod", "./prod", "shop-prod"), flux("test", "./test", "shop-test")];
    t.write(FLUX, both.join("---\n"));
    let _ = t.shell("git remote add origin https://git.example.com/org/shop.git").ok();
    t
}

fn application(path: &str, source: &str, namespace: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: shop\n  namespace: argocd\nspec:\n  source:\n    repoURL: https://git.example.com/org/shop\n    path: {path}\n{source}  destination:\n    namespace: {namespace}\n    server: https://kubernetes.default.svc\n"
    )
}

fn of_argo() -> Scratch {
    let t = shop();
    t.write(ARGO, application("prod", "    kustomize:\n      namePrefix: p-\n", "shop-prod"));
    t.write(
        "argo/set.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: others, namespace: argocd}\nspec:\n  goTemplate: true\n  generators:\n  - list: {elements: [{env: test, cluster: eu}]}\n  template:\n    metadata: {name: 'shop-{{.env}}'}\n    spec:\n      source: {repoURL: 'git@git.example.com:org/shop.git', path: '{{.env}}'}\n      destination: {namespace: 'shop-{{.env}}', name: '{{.cluster | upper}}'}\n",
    );
    let _ = t.shell("git remote add origin https://git.example.com/org/shop.git").ok();
    t
}

fn scope(t: &Scratch, path: &str) -> Vec<String> {
    let text = t.read(path);
    let lines = text.lines().skip_while(|line| line.trim() != "scope:").skip(1).map(str::trim);
    lines.map_while(|line| line.strip_prefix("- ")).map(|line| line.trim_matches('\'').to_owned()).collect()
}

fn said(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

#[track_caller]
fn check(t: &Scratch, code: i32) -> String {
    said(&quiet(t.run(&["check"]).exit(code)))
}

#[test]
fn flux_says_the_namespace_and_nobody_types_it() {
    let t = of_flux();
    let _ = t
        .run(&["seal", SOURCE])
        .ok()
        .says("shop-prod/db, shop-test/t-db")
        .says("(clusters/eu/shop.yaml: targetNamespace; and 1 more)");
    assert_eq!(scope(&t, FILE), ["shop-prod/db", "shop-test/t-db"]);
    let _ = check(&t, 0);
    let _ = t.run(&["check", "--strict"]).ok();
    let _ = t.run_with(&["set", FILE, "password"], b"another", &[]).ok().says("shop-prod/db, shop-test/t-db");
    assert_eq!(get(&t, FILE, "password"), "another");
}

#[test]
fn another_target_namespace_is_told_with_its_files_and_rescoped() {
    let t = of_flux();
    let _ = t.run(&["seal", SOURCE]).ok();
    t.write(FLUX, t.read(FLUX).replace("targetNamespace: shop-test", "targetNamespace: shop-test-two"));
    t.write(".ageseal/policy.yaml", repo::POLICY.replace("\"shop-test/*\"", "\"shop-test*/*\""));
    let found = check(&t, 1);
    for text in [
        "will not open where it is deployed",
        "deployed as shop-test-two/t-db",
        "test/kustomization.yaml:1 namePrefix: t-",
        "clusters/eu/shop.yaml:23 targetNamespace: shop-test-two",
    ] {
        assert!(found.contains(text), "{text}\n{found}");
    }
    let id = identity(&t, "prod");
    let _ = t.run(&["rescope", FILE, "-i", &id]).exit(2).says("--widen 'shop-test-two/t-db'");
    let _ = t.run(&["rescope", FILE, "-i", &id, "--widen", "shop-test-two/t-db"]).ok();
    assert_eq!(scope(&t, FILE), ["shop-prod/db", "shop-test-two/t-db"]);
    assert_eq!(get(&t, FILE, "password"), CANARY);
    let _ = check(&t, 0);
}

#[test]
fn what_no_object_names_is_told() {
    let t = of_flux();
    let _ = t.run(&["seal", SOURCE]).ok();
    // Still deployed to test; what becomes of prod, which says no namespace itself, nobody says.
    t.write(FLUX, flux("test", "./test", "shop-test"));
    let _ = t.run(&["seal", SOURCE]).exit(4).says("prod deploys it, and no namespace is set on the way");
    t.write("prod/kustomization.yaml", "namespace: elsewhere\nresources: [../base]\n");
    let found = check(&t, 1);
    assert!(found.contains("deployed as elsewhere/db") && found.contains("shop-prod/db as well"), "{found}");
    // By nothing at all: the path is mistyped.
    t.write(FLUX, flux("test", "./tset", "shop-test"));
    let found = check(&t, 1);
    assert!(found.contains("not deployed by anything here"), "{found}");
    assert!(found.contains("no object of Flux or Argo CD names prod, test"), "{found}");
    assert!(found.contains("clusters/eu/shop.yaml:7 names tset, which is not there"), "{found}");
}

#[test]
fn a_template_is_refused_with_its_place_and_said_by_hand() {
    let t = of_flux();
    t.write(FLUX, t.read(FLUX).replace("targetNamespace: shop-test", "targetNamespace: ${namespace}"));
    let refused = t.run(&["seal", SOURCE]).exit(4).says("clusters/eu/shop.yaml:23:1").says("which is filled in later");
    assert_eq!(leak(refused.stderr.as_bytes()), None);
    assert!(!t.path(FILE).exists());
    t.write(".ageseal/policy.yaml", format!("{}deployed:\n- {{path: test, namespace: shop-test}}\n", repo::POLICY));
    let _ = t.run(&["seal", SOURCE]).ok().says("shop-prod/db, shop-test/t-db");
    let _ = check(&t, 0);
    // A path that is not there is an error of the policy, whatever is checked.
    t.write(".ageseal/policy.yaml", format!("{}deployed:\n- {{path: tset, namespace: shop-test}}\n", repo::POLICY));
    let found = check(&t, 1);
    assert!(found.contains(".ageseal/policy.yaml:14") && found.contains("there is no folder tset"), "{found}");
}

#[test]
fn another_repository_of_the_same_folders_is_not_taken_for_this_one() {
    let t = of_flux();
    let _ = t.shell("git remote set-url origin https://git.example.com/fork/shop").ok();
    let _ = t.run(&["seal", SOURCE]).exit(4).says("none of this one's remotes").says("clusters/eu/shop.yaml:");
    t.write(".ageseal/policy.yaml", format!("{}repositories: ['https://git.example.com/org/shop']\n", repo::POLICY));
    let _ = t.run(&["seal", SOURCE]).ok().says("shop-prod/db, shop-test/t-db");
    // Where git knows no remote, what is here counts.
    t.write(".ageseal/policy.yaml", repo::POLICY);
    let _ = t.shell("git remote remove origin").ok();
    let _ = check(&t, 0);
}

#[test]
fn argo_cd_says_prefix_and_namespace() {
    let t = of_argo();
    let _ = t.run(&["seal", SOURCE]).ok().says("shop-prod/p-db, shop-test/t-db");
    assert_eq!(scope(&t, FILE), ["shop-prod/p-db", "shop-test/t-db"]);
    let _ = check(&t, 0);
    t.write(ARGO, application("prod", "    kustomize:\n      namePrefix: q-\n", "shop-prod"));
    let found = check(&t, 1);
    for text in ["deployed as shop-prod/q-db", "argo/shop.yaml:11 namePrefix: q-", "destination.namespace: shop-prod"] {
        assert!(found.contains(text), "{text}\n{found}");
    }
    // A namespace that the overlay says is not filled in any more.
    t.write("prod/kustomization.yaml", "namespace: elsewhere\nresources: [../base]\n");
    assert!(check(&t, 1).contains("deployed as elsewhere/q-db"));
}

#[test]
fn what_argo_cd_generates_is_refused_by_name() {
    let t = of_argo();
    t.write(
        "argo/set.yaml",
        t.read("argo/set.yaml").replace("- list: {elements: [{env: test, cluster: eu}]}", "- clusters: {}"),
    );
    let _ = t.run(&["seal", SOURCE]).exit(4).says("the generator clusters").says("argo/set.yaml:7:1");
    let _ = t.run(&["seal", SOURCE, "--scope", "shop-prod/p-db", "--scope", "shop-test/t-db"]).ok();
    let found = check(&t, 0);
    assert!(found.contains("argo/set.yaml:7") && found.contains("is not known"), "{found}");
}

#[test]
fn show_draws_each_place_with_what_deploys_it() {
    let t = of_flux();
    let _ = t.run(&["seal", SOURCE]).ok();
    let shown = t.run(&["show"]).ok();
    for text in [
        "prod (Flux Kustomization flux-system/prod, clusters/eu/shop.yaml:1)   → shop-prod",
        "test (Flux Kustomization flux-system/test, clusters/eu/shop.yaml:15)   → shop-test",
    ] {
        assert!(shown.stdout.contains(text), "{text}\n{}", shown.stdout);
    }
    let detail = t.run(&["show", FILE]).ok();
    assert!(detail.stdout.contains("shop-prod/db   by prod (Flux Kustomization flux-system/prod"), "{}", detail.stdout);
    let json = t.run(&["show", "--json", FILE]).ok();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let deployed = &json[0]["deployed"][0];
    assert_eq!(
        (deployed["kustomization"].as_str(), deployed["by"].as_str()),
        (Some("prod"), Some("Flux Kustomization flux-system/prod, clusters/eu/shop.yaml:1"))
    );
}

#[test]
fn create_and_patches_go_where_flux_takes_them() {
    let t = of_flux();
    t.write("prod/kustomization.yaml", "resources: [../base, api.sealed.yaml]\n");
    let _ = t
        .run_with(&["create", "opaque", "api", "--stdin", "token", "-o", "prod/api.sealed.yaml"], b"x", &[])
        .ok()
        .says("shop-prod/api");
    let _ = t.run(&["seal", SOURCE]).ok();
    let _ = t
        .run_with(&["set", "prod/db.patch.yaml", "password", "--for", FILE, "--wire"], b"prod-only", &[])
        .ok()
        .says("shop-prod/db");
    assert!(t.read("prod/db.patch.yaml").contains("shop-prod/db"));
    let _ = check(&t, 0);
    // The patch moves with the namespace as well.
    t.write(FLUX, t.read(FLUX).replace("targetNamespace: shop-prod", "targetNamespace: shop-prod-two"));
    assert!(check(&t, 1).contains("prod/db.patch.yaml"));
}

#[test]
fn a_shadow_and_an_import_are_proved_under_the_outer_layer() {
    let t = of_flux();
    let _ = t.run(&["seal", SOURCE]).ok();
    let _ = t.run(&["kustomize", "shadow", FILE]).ok().says("ageseal rescope base/db.sealed.yaml");
    let id = identity(&t, "prod");
    let widen = ["--widen", "shop-prod/db-{hash}", "--widen", "shop-test/t-db-{hash}"];
    let _ = t.run(&[&["rescope", FILE, "-i", id.as_str()], widen.as_slice()].concat()).ok();
    assert_eq!(scope(&t, FILE), ["shop-prod/db-{hash}", "shop-test/t-db-{hash}"]);
    let _ = check(&t, 0);

    let t = of_flux();
    t.write("base/kustomization.yaml", format!("secretGenerator:\n- name: db\n  literals: [password={CANARY}]\n"));
    let _ = quiet(t.run(&["import", "generator", "base"])).ok();
    assert_eq!(scope(&t, FILE), ["shop-prod/db-{hash}", "shop-test/t-db-{hash}"]);
}
