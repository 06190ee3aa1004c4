//! `init` where overlays share bases and components: a rule for each of them that has Secrets.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use ageseal_testkit::workspace_root;
use support::{Scratch, copy_tree};

#[test]
fn the_example_is_sealed_with_the_policy_as_it_is_written() {
    let t = Scratch::new();
    let _ = t.shell("git init -q").ok();
    for part in ["base", "components", "overlays"] {
        copy_tree(&workspace_root().join("examples/shop").join(part), &t.path(part));
    }
    let recovery = t.identity("../home/recovery");
    let run = t.run(&["init", "--recovery", &recovery]).ok();
    let run = run
        .says("4 rules")
        .says("components/debug/**   read by test, recovery         opens as shop-test/*   (built by overlays/test)\n");
    let _ = run.says(
        "base/**               read by prod, test, recovery   opens as shop-prod/*, shop-test/*   (built by overlays/prod, overlays/test)\n",
    );
    let policy = t.read(".ageseal/policy.yaml");
    let shared = "- paths: ['components/debug/**']\n  recipients: [test, recovery]\n  scopes: ['shop-test/*']\n\
                  - paths: ['base/**']\n  recipients: [prod, test, recovery]\n  scopes: ['shop-prod/*', 'shop-test/*']\n";
    assert!(policy.ends_with(shared), "{policy}");
    for name in ["prod", "test"] {
        let key = t.identity(&format!("../home/{name}"));
        let _ = t.run(&["recipients", "add", name, &key]).ok();
    }
    let _ = t.run(&["seal", "-q", "."]).ok();
    let _ = t.shell("rm */*.secret.* */*/*.secret.*").ok();
    let checked = t.run(&["check"]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    let get = |name: &str, file: &str, key: &str| {
        t.run(&["get", "-i", t.home().join(format!("{name}.txt")).to_str().unwrap(), file, key]).code
    };
    for name in ["prod", "test", "recovery"] {
        assert_eq!(get(name, "base/session.sealed.yaml", "password"), 0, "{name}");
    }
    assert_eq!(get("prod", "components/debug/debug.sealed.yaml", "token"), 3);
}

#[test]
fn what_has_no_secrets_or_has_a_rule_already_gets_none() {
    let t = Scratch::new();
    t.write("overlays/prod/kustomization.yaml", "namespace: shop-prod\nresources: [../../base, ../test]\n");
    t.write("overlays/test/kustomization.yaml", "namespace: shop-test\nresources: [db.sealed.yaml]\n");
    t.write("base/kustomization.yaml", "resources: [c.yaml]\n");
    t.write("base/c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
    let _ = t.run(&["init", "--no-recovery"]).ok().says("2 rules").never_says("built by");
}

#[test]
fn secrets_at_the_top_get_no_rule_and_that_is_said() {
    let t = Scratch::new();
    t.write("overlays/prod/kustomization.yaml", "namespace: shop-prod\nresources: [../..]\n");
    t.write("kustomization.yaml", "resources: [db.sealed.yaml]\n");
    let run = t.run(&["init", "--no-recovery"]).ok().says("1 rule").says("no rule was written for this");
    let run = run.says("its Secrets are built by overlays/prod; a rule for them would be one for every path");
    let _ = run.says("add one to .ageseal/policy.yaml");
    assert!(!t.read(".ageseal/policy.yaml").contains("'**'"));
}
