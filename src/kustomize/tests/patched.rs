//! Which objects a patch in a file changes, and in which roots.

use super::*;
use crate::kustomize::patched_by;

const SEALED: &str = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\nspec: {type: kubernetes.io/basic-auth, encryptedData: {password: {value: x}}}\n";
const PATCH: &str = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\n";
const K: &str = "overlays/prod/kustomization.yaml";
const P: &str = "overlays/prod/db.patch.yaml";

/// A base, an overlay that lists the patch and one that does not; then what is added or replaced.
fn shop(more: &[(&str, &str)]) -> Memory {
    let mut files = tree(&[
        ("base/kustomization.yaml", "resources: [db.sealed.yaml]\n"),
        ("base/db.sealed.yaml", SEALED),
        (K, "resources: [../../base]\nnamespace: shop-prod\nnamePrefix: p-\npatches: [{path: db.patch.yaml}]\n"),
        (P, PATCH),
        ("overlays/test/kustomization.yaml", "resources: [../../base]\nnamespace: shop-test\n"),
    ]);
    files.0.extend(tree(more).0);
    files
}

fn patched(files: &Memory) -> Result<Vec<String>, String> {
    let found = patched_by(files, P, &[K.to_owned()], &Options::default()).map_err(|refusal| code(&refusal))?;
    let one = |(root, object): &(crate::kustomize::Root, crate::kustomize::Object)| {
        format!("{root} {}/{} {}", object.namespace.as_deref().unwrap_or("-"), object.name, object.source.file)
    };
    Ok(found.iter().map(one).collect())
}

#[test]
fn only_the_overlays_that_are_built_with_it_count() {
    assert_eq!(patched(&shop(&[])).unwrap(), ["overlays/prod shop-prod/p-db base/db.sealed.yaml"]);
    let dotted = "resources: [../../base]\nnamespace: shop-prod\npatchesStrategicMerge: [./db.patch.yaml]\n";
    let found = patched_by(&shop(&[(K, dotted)]), P, &[K.to_owned()], &Options::default()).unwrap();
    let [(root, object)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&*root.folder, object.secret_type.as_deref()), ("overlays/prod", Some("kubernetes.io/basic-auth")));
    // An overlay that is included is built by those who include it, and its base may come in beside it.
    let clusters = [
        ("clusters/eu/kustomization.yaml", "resources: [../../overlays/prod]\nnameSuffix: -eu\n"),
        ("clusters/us/kustomization.yaml", "resources: [../../overlays/prod, ../../overlays/test]\nnameSuffix: -us\n"),
    ];
    assert_eq!(
        patched(&shop(&clusters)).unwrap(),
        ["clusters/eu shop-prod/p-db-eu base/db.sealed.yaml", "clusters/us shop-prod/p-db-us base/db.sealed.yaml"]
    );
}

#[test]
fn a_build_that_is_not_known_refuses_only_where_the_patch_may_be_in_it() {
    let helm = "helmCharts: [{name: x}]\n";
    assert!(patched(&shop(&[("charts/kustomization.yaml", helm)])).is_ok());
    let with = format!("{helm}resources: [../overlays/prod]\n");
    assert_eq!(
        patched(&shop(&[("charts/kustomization.yaml", &with)])).unwrap_err(),
        "helm charts/kustomization.yaml:1"
    );
    // In a row, and where it is written in a way that is not read.
    let row = [
        ("a/kustomization.yaml", "resources: [../b, https://example.com/x]\n"),
        ("b/kustomization.yaml", "resources: [../overlays/prod]\n"),
    ];
    assert_eq!(patched(&shop(&row)).unwrap_err(), "remote a/kustomization.yaml:1");
    let broken = [(K, "resources: [../../base, none.yaml]\npatches: [{path: db.patch.yaml}]\n")];
    assert_eq!(patched(&shop(&broken)).unwrap_err(), format!("missing-file! {K}:1"));
    // What no YAML reader takes is built by nobody.
    assert!(patched(&shop(&[("c/kustomization.yaml", "resources: [../overlays/prod\n")])).is_ok());
}

#[test]
fn a_patch_for_nothing_or_for_another_is_seen() {
    let other = PATCH.replace("name: db", "name: dc");
    assert_eq!(patched(&shop(&[(P, &other)])).unwrap_err(), format!("no-target! {K}:1"));
    let unlisted = "resources: [../../base]\nnamespace: shop-prod\n";
    assert_eq!(patched(&shop(&[(K, unlisted)])).unwrap(), Vec::<String>::new());
}
