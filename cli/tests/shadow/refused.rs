//! Shadows that cannot stand where they are asked for.

use super::repo::{self, changes, refused, repo, sealed, secret, state};
use super::support::built;
use super::{FILE, LISTING, built_name, rescope};

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
    let text = built(&t, "prod");
    assert!(text.contains(&format!("name: {}\n", built_name(&text))) && !text.contains("name: db\n"), "{text}");

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
    assert!(built_name(&built(&t, "over")).len() == "db-".len() + 10);
    rescope(&t, FILE, "shop-prod/db-{hash}");
    let _ = t
        .run_with(&["set", FILE, "a"], b"new", &[])
        .ok()
        .says("has a hash in its name")
        .says("pods keep the old value");
}
