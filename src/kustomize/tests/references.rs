//! References follow names, and are told.

use super::*;

const POD: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n        env:\n        - name: P\n          valueFrom: {secretKeyRef: {name: db, key: password, optional: true}}\n        envFrom:\n        - secretRef: {name: other}\n      volumes:\n      - name: v\n        secret: {secretName: db, items: [{key: user, path: u}]}\n      imagePullSecrets: [{name: db}]\n";

fn told(build: &Build) -> Vec<String> {
    build
        .references
        .iter()
        .map(|reference| {
            let key = reference.key.as_deref().unwrap_or("-");
            let marks = [(reference.hashed, "#"), (reference.optional, "?")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            format!("{} {}{marks} {key}", reference.path, reference.name)
        })
        .collect()
}

#[test]
fn references_follow_a_secret_and_not_what_is_not_there() {
    let files = [
        ("kustomization.yaml", "resources: [db.yaml, api.yaml]\nnamePrefix: p-\nnamespace: x\n"),
        ("db.yaml", SECRET),
        ("api.yaml", POD),
    ];
    let build = built(&files, "");
    assert_eq!(
        told(&build),
        [
            "spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef.name p-db? password",
            "spec.template.spec.containers[0].envFrom[0].secretRef.name other -",
            "spec.template.spec.volumes[0].secret.secretName p-db -",
            "spec.template.spec.volumes[0].secret.items[0].key p-db user",
            "spec.template.spec.imagePullSecrets[0].name p-db -",
        ]
    );
    assert!(build.references.iter().all(|reference| reference.namespace.as_deref() == Some("x")));
    assert_eq!(build.references[0].from.name, "p-api");
}

#[test]
fn references_follow_a_generated_secret_with_its_hash() {
    let files = [
        ("kustomization.yaml", "resources: [api.yaml]\nsecretGenerator: [{name: db, literals: [password=x]}]\n"),
        ("api.yaml", POD),
    ];
    assert_eq!(
        told(&built(&files, ""))[0],
        "spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef.name db#? password"
    );
}

#[test]
fn a_sealed_secret_is_followed_where_that_is_configured() {
    let sealed = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\nspec: {encryptedData: {password: {value: x}}}\n";
    let config = "nameReference:\n- kind: SealedSecret\n  group: ageseal.dev\n  fieldSpecs:\n  - {group: apps, path: spec/template/spec/containers/env/valueFrom/secretKeyRef/name}\n";
    let mut files = vec![
        ("kustomization.yaml", "resources: [db.yaml, api.yaml]\nnamePrefix: p-\n"),
        ("db.yaml", sealed),
        ("api.yaml", POD),
        ("config.yaml", config),
    ];
    assert!(told(&built(&files, ""))[0].contains(" db? "));
    files[0].1 = "resources: [db.yaml, api.yaml]\nnamePrefix: p-\nconfigurations: [config.yaml]\n";
    let build = built(&files, "");
    assert!(told(&build)[0].contains(" p-db? "));
    assert_eq!(build.objects[0].keys, ["password"]);
}

#[test]
fn a_shadow_generator_gives_its_hash_to_the_sealed_secret() {
    let files = [
        (
            "kustomization.yaml",
            "resources: [db.yaml, api.yaml]\nconfigurations: [config.yaml]\nnamePrefix: p-\nsecretGenerator:\n- name: db\n  literals: [rev=1]\n  options: {annotations: {config.kubernetes.io/local-config: \"true\"}}\n",
        ),
        ("db.yaml", "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\n"),
        ("api.yaml", POD),
        (
            "config.yaml",
            "nameReference:\n- kind: Secret\n  version: v1\n  fieldSpecs:\n  - {group: ageseal.dev, kind: SealedSecret, path: metadata/name}\n",
        ),
    ];
    let build = built(&files, "");
    assert_eq!(names(&build), ["Deployment -/p-api", "SealedSecret -/p-db#"]);
    assert!(told(&build)[0].contains(" p-db#? "));
}
