//! All kustomizations of a repository at once.

use super::super::{Root, resolve};
use super::*;

#[test]
fn roots_are_those_that_nothing_includes() {
    let files = [
        ("base/kustomization.yaml", "resources: [db.yaml]\n"),
        ("base/db.yaml", SECRET),
        ("prod/kustomization.yaml", "resources: [../base]\nnamespace: prod\n"),
        ("test/kustomization.yaml", "resources: [../base]\nnamespace: test\nnamePrefix: t-\n"),
        ("part/kustomization.yaml", "kind: Component\nnamePrefix: x-\n"),
        ("broken/kustomization.yaml", "resources: [gone.yaml]\n"),
        ("loose/db.yaml", SECRET),
    ];
    let resolution = resolve(&tree(&files), &Options::default());
    let roots: Vec<String> = resolution.roots.keys().map(ToString::to_string).collect();
    assert_eq!(roots, ["broken", "prod", "test"]);
    assert!(resolution.roots[&Root::bare("broken")].as_ref().is_err_and(Refusal::is_broken));
    let found: Vec<String> = resolution
        .of_file("base/db.yaml")
        .map(|(root, object)| format!("{root}: {}/{}", object.namespace.as_deref().unwrap_or("-"), object.name))
        .collect();
    assert_eq!(found, ["prod: prod/db", "test: test/t-db"]);
    assert_eq!(resolution.of_file("loose/db.yaml").count(), 0);
}

#[test]
fn kustomizations_in_a_circle_are_all_told() {
    let files = [("a/kustomization.yaml", "resources: [../b]\n"), ("b/kustomization.yaml", "resources: [../a]\n")];
    let resolution = resolve(&tree(&files), &Options::default());
    assert_eq!(resolution.roots.len(), 2);
    assert!(resolution.roots.values().all(|built| built.as_ref().is_err_and(Refusal::is_broken)));
}

/// A thousand kustomizations and ten thousand files: the work grows with the files, whatever the machine.
#[test]
fn a_large_repository_is_resolved() {
    let mut files = Memory::default();
    for app in 0..250 {
        let names: Vec<String> = (0..37).map(|file| format!("s{file}.yaml")).collect();
        let base = format!("resources: [{}]\n", names.join(", "));
        files.0.insert(format!("apps/{app}/base/kustomization.yaml"), base.into_bytes());
        for (index, name) in names.iter().enumerate() {
            let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s{index}}}\ndata: {{a: eA==}}\n");
            files.0.insert(format!("apps/{app}/base/{name}"), text.into_bytes());
        }
        for environment in ["dev", "test", "prod"] {
            let text = format!("resources: [../base]\nnamespace: {environment}\nnamePrefix: {environment}-\n");
            files.0.insert(format!("apps/{app}/{environment}/kustomization.yaml"), text.into_bytes());
        }
    }
    assert!(files.0.len() > 10_000);
    let resolution = resolve(&files, &Options::default());
    assert_eq!(resolution.roots.len(), 750);
    assert_eq!(resolution.of_file("apps/7/base/s3.yaml").count(), 3);
}
