//! Bad input: refused, named, and never a panic.

use std::collections::BTreeMap;
use zeroize::Zeroizing;

use super::super::{Files, LoadRestriction};
use super::*;

#[test]
fn what_kustomize_refuses_is_refused_at_its_place() {
    let two = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: a}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: b}\n";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("kustomization.yaml", "resources:\n- gone.yaml\n")], "missing-file! kustomization.yaml:2"),
        (&[("kustomization.yaml", "resourcez: []\n")], "unknown-field! kustomization.yaml:1"),
        (&[("kustomization.yaml", "")], "empty-kustomization! kustomization.yaml:1"),
        (&[("kustomization.yaml", "namespace: 123\nresources: []\n")], "not-a-string! kustomization.yaml:1"),
        (&[("kustomization.yaml", "a: [\n")], "yaml-syntax! kustomization.yaml:1"),
        (
            &[("kustomization.yaml", "resources: [a.yaml]\n"), ("Kustomization", "resources: [a.yaml]\n")],
            "several-kustomizations! Kustomization:1",
        ),
        (
            &[("kustomization.yaml", "resources: [a.yaml]\nnamespace: x\n"), ("a.yaml", two)],
            "id-collision! kustomization.yaml:2",
        ),
        (&[("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", "kind: X\n")], "missing-name! a.yaml:1"),
        (&[("a.yaml", "")], "no-kustomization! :1"),
    ];
    for (files, wanted) in cases {
        assert_eq!(code(&refused(files, "")), *wanted, "{files:?}");
    }
}

#[test]
fn what_is_not_modelled_is_named() {
    for (text, wanted) in [
        ("resources:\n- https://example.com/a.yaml\n", "remote kustomization.yaml:2"),
        ("resources:\n- github.com/a/b?ref=main\n", "remote kustomization.yaml:2"),
        ("helmCharts:\n- {name: x}\n", "helm kustomization.yaml:2"),
        ("vars:\n- {name: X}\n", "vars kustomization.yaml:2"),
        ("namespace: 12:30:45\nnamespace: y\n", "duplicate-key kustomization.yaml:2"),
        ("transformers:\n- |-\n  {apiVersion: x/v1, kind: Mine, metadata: {name: x}}\n", "plugin kustomization.yaml:2"),
    ] {
        assert_eq!(code(&refused(&[("kustomization.yaml", text)], "")), wanted, "{text}");
    }
    let files = [("kustomization.yaml", "resources: [a.yaml]\nnamespace: ${ns}\n"), ("a.yaml", SECRET)];
    assert_eq!(code(&refused(&files, "")), "placeholder a.yaml:1");
}

#[test]
fn circles_are_refused() {
    let files = [
        ("a/kustomization.yaml", "resources: [../b]\n"),
        ("b/kustomization.yaml", "resources: [../a]\n"),
        ("own/kustomization.yaml", "resources: [.]\n"),
        ("kustomization.yaml", "resources: [a]\n"),
    ];
    assert_eq!(code(&refused(&files, "a")), "cycle! b/kustomization.yaml:1");
    assert_eq!(code(&refused(&files, "own")), "cycle! own/kustomization.yaml:1");
    assert_eq!(code(&refused(&files, "")), "cycle! b/kustomization.yaml:1");
}

#[test]
fn a_diamond_is_two_objects_of_one_identity() {
    let mut files = vec![
        ("base/kustomization.yaml", "resources: [db.yaml]\n"),
        ("base/db.yaml", SECRET),
        ("x/kustomization.yaml", "resources: [../base]\nnamePrefix: x-\n"),
        ("yy/kustomization.yaml", "resources: [../base]\nnamePrefix: y-\n"),
        ("kustomization.yaml", "resources: [x, yy]\n"),
    ];
    assert_eq!(names(&built(&files, "")), ["Secret -/x-db", "Secret -/y-db"]);
    files[3].1 = "resources: [../base]\nnamePrefix: x-\n";
    assert_eq!(code(&refused(&files, "")), "id-collision! kustomization.yaml:1");
}

#[test]
fn deep_nesting_is_bounded() {
    let files: BTreeMap<String, Vec<u8>> = (0..10_000)
        .map(|level| {
            let text = format!("resources: [../k{}]\n", level + 1);
            (format!("k{level}/kustomization.yaml"), text.into_bytes())
        })
        .collect();
    let refusal = build(&Memory(files), "k0", &Options::default()).unwrap_err();
    assert_eq!(refusal.reason().code, "nested-too-deep");
    let deep = format!("kind: X\nmetadata: {{name: x}}\nspec: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let refusal = refused(&[("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", &deep)], "");
    assert_eq!(refusal.reason().code, "nested-too-deep");
}

#[test]
fn other_encodings_and_long_names_are_refused() {
    let mut files = tree(&[("kustomization.yaml", "resources: [a.yaml]\n")]);
    files.0.insert("a.yaml".into(), b"kind: \xff\n".to_vec());
    assert_eq!(code(&build(&files, "", &Options::default()).unwrap_err()), "not-utf8! a.yaml:1");
    let text = format!("resources: [a.yaml]\nnamePrefix: {}\n", "p".repeat(252));
    let files = [("kustomization.yaml", text.as_str()), ("a.yaml", SECRET)];
    assert_eq!(code(&refused(&files, "")), "name-too-long kustomization.yaml:2");
}

#[test]
fn files_of_other_folders_need_leave() {
    let files = [("k/kustomization.yaml", "resources: [../a.yaml]\n"), ("a.yaml", SECRET)];
    assert_eq!(code(&refused(&files, "k")), "outside! k/kustomization.yaml:1");
    let free = Options::default().with_load_restriction(LoadRestriction::None);
    assert_eq!(names(&build(&tree(&files), "k", &free).unwrap()), ["Secret -/db"]);
    let files = [("k/kustomization.yaml", "resources: [../../a.yaml]\n")];
    assert_eq!(code(&build(&tree(&files), "k", &free).unwrap_err()), "outside-repository k/kustomization.yaml:1");
}

/// One link: `k/link.yaml` leads to a file beside the folder.
struct Linked(Memory);

impl Files for Linked {
    fn read(&self, path: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.0.read(if path == "k/link.yaml" { "a.yaml" } else { path })
    }
    fn is_file(&self, path: &str) -> bool {
        self.read(path).is_some()
    }
    fn is_folder(&self, path: &str) -> bool {
        self.0.is_folder(path)
    }
    fn paths(&self) -> Vec<String> {
        self.0.paths()
    }
    fn real(&self, path: &str) -> Option<String> {
        self.0.real(if path == "k/link.yaml" { "a.yaml" } else { path })
    }
}

#[test]
fn a_link_out_of_the_folder_is_no_way_around() {
    let files = Linked(tree(&[("k/kustomization.yaml", "resources: [link.yaml]\n"), ("a.yaml", SECRET)]));
    assert_eq!(code(&build(&files, "k", &Options::default()).unwrap_err()), "outside! k/kustomization.yaml:1");
}
