//! What `set` makes no patch of.

use std::fs;

use super::repo::refused_with;
use super::support::built;
use super::{BASE, K, PATCH, live, set, shop, values};

#[test]
fn what_cannot_be_known_is_refused() {
    let with = |file: &str, text: &str| {
        let t = shop();
        t.write(file, text);
        t
    };
    let args = ["set", PATCH, "password", "--for", BASE];
    let cases = [
        (K, "resources: [../../base, https://example.com/x]\nnamespace: shop-prod\n", "is not known"),
        (K, "resources: [../../base]\nnamespace: shop-prod\ncomponents: [../none]\n", "does not exist"),
        (K, "resources: [../../base]\n", "no namespace"),
        (K, "resources: []\nnamespace: shop-prod\n", "would not build"),
        (K, "resources: [../../base]\nnamespace: shop-prod\nnamespace: other\n", "namespace"),
        (K, "resources: [../../base]\nnamespace: shop-prod\npatches: x\n", "patches"),
        (
            "clusters/eu/kustomization.yaml",
            "resources: [../../overlays/prod]\nhelmCharts: [{name: x}]\n",
            "clusters/eu",
        ),
        (
            K,
            "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n",
            "no kustomization of the repository is built",
        ),
    ];
    for (file, text, says) in cases {
        let t = with(file, text);
        let run = refused_with(&t, &args, b"x", if says.contains("is built") { 2 } else { 4 }).says(says);
        assert!(
            ["--scope", "by hand", "keep one"].iter().any(|way| run.stderr.contains(way)),
            "{text}\n{}",
            run.stderr
        );
    }
    // A kustomization elsewhere that is not modelled is no reason.
    let t = with("charts/kustomization.yaml", "helmCharts: [{name: x}]\n");
    let _ = set(&t, &args[2..], "x").ok();
}

#[test]
fn what_is_no_base_or_no_patch_is_refused() {
    let t = shop();
    let refuse = |args: &[&str], code: i32| refused_with(&t, &[&["set"], args].concat(), b"x", code);
    let _ = refuse(&[PATCH, "password"], 4).says("no such file");
    let _ = refuse(&[PATCH, "password", "--for", "base/none.yaml"], 4).says("base/none.yaml");
    let _ = refuse(&[PATCH, "password", "--for", "-"], 2).says("stdin");
    let _ = refuse(&["-", "password", "--for", BASE], 2).says("stdin");
    let _ = refuse(&[PATCH, "bad/key", "--for", BASE], 4).says("a data key is");
    let _ = refuse(&[BASE, "password", "--for", BASE], 4).says("has spec.scope");
    let _ =
        refuse(&[BASE, "password", "--wire", "--scope", "shop-prod/db", "--scope", "shop-test/db"], 2).says("--wire");
    let _ = refuse(&["no/folder/db.patch.yaml", "password", "--for", BASE], 4).says("no/folder");
    let _ = refuse(&[".ageseal/db.patch.yaml", "password", "--for", BASE], 4).says("rule");
    t.write("base/plain.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
    let _ = refuse(&[PATCH, "password", "--for", "base/plain.yaml"], 4).says("no sealed document");
    // A base that no overlay includes; one outside the repository.
    t.write("base/other.sealed.yaml", t.read(BASE).replace("name: db", "name: other"));
    let _ = refuse(&[PATCH, "password", "--for", "base/other.sealed.yaml"], 4).says("no ").says("other");
    fs::copy(t.path(BASE), t.root().join("out.yaml")).unwrap();
    let _ = refuse(&[PATCH, "password", "--for", "../out.yaml"], 2).says("outside the repository");
    // The same document in another file of the repository is not the one that is built.
    t.write("copy/db.sealed.yaml", t.read(BASE));
    let _ = refuse(&[PATCH, "password", "--for", "copy/db.sealed.yaml"], 2)
        .says("copy/db.sealed.yaml")
        .says("base/db.sealed.yaml");
    let _ = set(&t, &["password", "--for", BASE], "x").ok();
    let _ = refuse(&["overlays/prod/second.yaml", "password", "--for", PATCH], 4).says("is an overlay patch itself");
    // A target that chooses more than the document.
    t.write("base/kustomization.yaml", "resources: [db.sealed.yaml, other.sealed.yaml]\n");
    t.write(K, format!("{}patches:\n- path: db.patch.yaml\n  target: {{kind: SealedSecret}}\n", t.read(K)));
    let _ = refuse(&[PATCH, "password", "--for", BASE], 2).says("another object").says("without a target");
    // Several documents: --doc says which one of the base.
    t.write(K, "resources: [../../base]\nnamespace: shop-prod\npatches: [{path: db.patch.yaml}]\n");
    t.write("base/kustomization.yaml", "resources: [both.sealed.yaml]\n");
    t.write("base/both.sealed.yaml", format!("{}---\n{}", t.read(BASE), t.read("base/other.sealed.yaml")));
    let both = "base/both.sealed.yaml";
    let _ = refuse(&[PATCH, "password", "--for", both], 2).says("--doc db").says("--doc other");
    let _ = set(&t, &["password", "--for", both, "--doc", "db"], "one").ok();
    // The document that the patch does not hold yet is put behind the one that it does.
    let before = t.read(PATCH);
    let _ = set(&t, &["password", "--for", both, "--doc", "other", "--scope", "shop-prod/other"], "two").ok();
    assert!(t.read(PATCH).starts_with(&before) && t.read(PATCH).contains("name: other"), "{}", t.read(PATCH));
    let _ = refuse(&[PATCH, "password"], 2).says("--doc db").says("--doc other");
    let prod = built(&t, "overlays/prod");
    let documents: Vec<&str> = prod.split("\n---\n").collect();
    assert_eq!(live(&t, documents[0], "prod"), values(&[("password", "one"), ("user", "shop")]));
}
