//! Patches and replacements, as far as they reach names.

use super::*;

fn patched(fields: &str) -> [(&'static str, String); 2] {
    let base = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, labels: {app: shop}}\ndata: {a: Y2FuYXJ5}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm, namespace: there}\ndata: {ns: elsewhere}\n";
    [("kustomization.yaml", format!("resources: [a.yaml]\n{fields}")), ("a.yaml", base.to_owned())]
}

fn of(fields: &str) -> Vec<String> {
    let files = patched(fields);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    names(&built(&files, ""))
}

fn refusal(fields: &str) -> String {
    let files = patched(fields);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let refusal = refused(&files, "");
    assert!(!format!("{refusal:?}").contains("canary") && !format!("{refusal:?}").contains("Y2Fu"), "{refusal:?}");
    code(&refusal)
}

#[test]
fn strategic_patches_change_names_only_if_allowed() {
    let patch = "patches:\n- patch: |-\n    {apiVersion: v1, kind: Secret, metadata: {name: new, namespace: ns}}\n  target: {kind: Secret}\n";
    assert_eq!(of(patch), ["ConfigMap there/cm", "Secret -/db"]);
    assert_eq!(of(&format!("{patch}  options: {{allowNameChange: true}}\n")), ["ConfigMap there/cm", "Secret -/new"]);
}

#[test]
fn a_patch_deletes_an_object() {
    let patch =
        "patches:\n- patch: |-\n    $patch: delete\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: db}\n";
    assert_eq!(of(patch), ["ConfigMap there/cm"]);
}

#[test]
fn json_patches_come_before_or_after_the_prefix() {
    let operations = "'[{\"op\": \"replace\", \"path\": \"/metadata/name\", \"value\": \"via\"}]'";
    let target = "target: {kind: Secret, name: db}";
    let before = format!("namePrefix: p-\npatches:\n- {{patch: {operations}, {target}}}\n");
    assert_eq!(of(&before), ["ConfigMap there/p-cm", "Secret -/p-via"]);
    let after = format!("namePrefix: p-\npatchesJson6902:\n- {{patch: {operations}, {target}}}\n");
    assert_eq!(of(&after), ["ConfigMap there/p-cm", "Secret -/via"]);
}

#[test]
fn selectors_are_anchored_and_ask_for_labels() {
    let patch = |target: &str| {
        format!(
            "patches:\n- target: {{{target}}}\n  patch: |-\n    - {{op: add, path: /metadata/namespace, value: hit}}\n"
        )
    };
    let missed = ["ConfigMap there/cm", "Secret -/db"];
    let hit = ["ConfigMap there/cm", "Secret hit/db"];
    assert_eq!(of(&patch("name: d")), missed);
    assert_eq!(of(&patch("name: d.*")), hit);
    assert_eq!(of(&patch("labelSelector: app=shop")), hit);
    assert_eq!(of(&patch("labelSelector: \"app in (a, b)\"")), missed);
    assert_eq!(of(&patch("kind: Secret, namespace: default")), hit);
}

#[test]
fn replacements_write_names_and_never_read_secrets() {
    let fixed = "namePrefix: p-\nreplacements:\n- sourceValue: fixed\n  targets:\n  - {select: {kind: Secret}, fieldPaths: [metadata.name]}\n";
    assert_eq!(of(fixed), ["ConfigMap there/p-cm", "Secret -/fixed"]);
    let read = "replacements:\n- source: {kind: ConfigMap, name: cm, fieldPath: data.ns}\n  targets:\n  - select: {kind: Secret}\n    fieldPaths: [metadata.namespace]\n    options: {create: true}\n";
    assert_eq!(of(read), ["ConfigMap there/cm", "Secret elsewhere/db"]);
    let secret = read.replace("ConfigMap, name: cm, fieldPath: data.ns", "Secret, name: db, fieldPath: data.a");
    assert_eq!(refusal(&secret), "hidden-identity kustomization.yaml:5");
}

#[test]
fn patches_that_do_not_apply_are_refused() {
    let none = "patches:\n- patch: |-\n    {apiVersion: v1, kind: Secret, metadata: {name: other}}\n";
    assert_eq!(refusal(none), "no-target! kustomization.yaml:3");
    let no_field = "patches:\n- target: {kind: Secret}\n  patch: |-\n    - {op: remove, path: /spec/x}\n";
    assert_eq!(refusal(no_field), "patch-does-not-apply! kustomization.yaml:4");
    let bomb = "patches:\n- target: {name: '((a{1,99}){1,99}){1,99}'}\n  patch: |-\n    - {op: remove, path: /x}\n";
    assert_eq!(refusal(bomb), "regular-expression kustomization.yaml:3");
}
