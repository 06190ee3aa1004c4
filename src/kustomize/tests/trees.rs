//! Names and namespaces through bases, overlays, components and generators.

use super::*;

#[test]
fn prefixes_suffixes_and_namespaces_add_up() {
    let files = [
        ("base/kustomization.yaml", "resources: [db.yaml]\nnamespace: inner\nnamePrefix: in-\nnameSuffix: -in\n"),
        ("base/db.yaml", SECRET),
        ("overlay/kustomization.yaml", "resources:\n- ../base\nnamespace: outer\nNAMEPREFIX: out-\nnameSuffix: -out\n"),
    ];
    let build = built(&files, "overlay");
    assert_eq!(names(&build), ["Secret outer/out-in-db-in-out"]);
    let object = &build.objects[0];
    assert_eq!(object.original, (None, "db".to_owned()));
    assert_eq!((object.source.file.as_str(), object.source.line), ("base/db.yaml", 1));
    assert_eq!(object.keys, ["password", "user"]);
    let steps: Vec<String> =
        object.chain.iter().map(|step| format!("{}:{} {}", step.file, step.line, step.what)).collect();
    assert_eq!(
        steps,
        [
            "base/kustomization.yaml:1 resources: db.yaml",
            "base/kustomization.yaml:2 namespace: inner",
            "base/kustomization.yaml:3 namePrefix: in-",
            "base/kustomization.yaml:4 nameSuffix: -in",
            "overlay/kustomization.yaml:2 resources: ../base",
            "overlay/kustomization.yaml:3 namespace: outer",
            "overlay/kustomization.yaml:4 namePrefix: out-",
            "overlay/kustomization.yaml:5 nameSuffix: -out",
        ]
    );
}

#[test]
fn cluster_scoped_kinds_have_no_namespace_and_some_no_prefix() {
    let objects = "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n---\napiVersion: example.com/v1\nkind: ClusterThing\nmetadata: {name: t}\n";
    let files = [("kustomization.yaml", "resources: [a.yaml]\nnamespace: x\nnamePrefix: p-\n"), ("a.yaml", objects)];
    assert_eq!(names(&built(&files, "")), ["ClusterRole -/p-r", "ClusterThing x/p-t", "Namespace -/x"]);
}

#[test]
fn lists_json_and_several_documents_are_taken_apart() {
    let files = [
        ("k/kustomization.yml", "resources: [list.yaml, one.json]\n"),
        (
            "k/list.yaml",
            "---\n# nothing\n---\napiVersion: v1\nkind: SecretList\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: b}\n",
        ),
        ("k/one.json", "{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"c\"}}"),
    ];
    let build = built(&files, "k");
    assert_eq!(names(&build), ["Secret -/a", "Secret -/b", "Secret -/c"]);
    let a = build.objects.iter().find(|object| object.name == "a").unwrap();
    assert_eq!(a.source.place, super::super::Place::Document { document: 1, items: vec![0] });
    assert_eq!(a.source.line, 7);
}

#[test]
fn components_act_on_all_that_is_gathered() {
    let files = [
        ("base/kustomization.yaml", "resources: [db.yaml]\n"),
        ("base/db.yaml", SECRET),
        (
            "component/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: c-\nnamespace: cns\nresources: [own.yaml]\n",
        ),
        ("component/own.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\n"),
        ("overlay/kustomization.yaml", "resources: [../base]\ncomponents: [../component]\nnamePrefix: o-\n"),
    ];
    assert_eq!(names(&built(&files, "overlay")), ["Secret cns/o-c-db", "Secret cns/o-c-own"]);
}

#[test]
fn generators_make_hashed_names_and_merge_keys() {
    let files = [
        (
            "base/kustomization.yaml",
            "secretGenerator:\n- name: db\n  literals: [\"a=canary\", b=2]\n  files: [k=f.txt, g.txt]\n  envs: [v.env]\n  type: x/y\n- name: plain\n  options: {disableNameSuffixHash: true, immutable: true}\n",
        ),
        ("base/f.txt", "x"),
        ("base/g.txt", "x"),
        ("base/v.env", "# c\nE=1\n"),
        (
            "overlay/kustomization.yaml",
            "resources: [../base]\nnamePrefix: p-\nsecretGenerator:\n- {name: db, behavior: merge, literals: [c=3]}\n",
        ),
    ];
    let build = built(&files, "base");
    assert_eq!(names(&build), ["Secret -/db#", "Secret -/plain"]);
    assert_eq!(build.objects[0].keys, ["E", "a", "b", "g.txt", "k"]);
    assert_eq!(build.objects[0].secret_type.as_deref(), Some("x/y"));
    assert!(build.objects[1].immutable && !build.objects[0].immutable);
    let build = built(&files, "overlay");
    assert_eq!(names(&build), ["Secret -/p-db#", "Secret -/p-plain"]);
    assert_eq!(build.objects[0].keys, ["E", "a", "b", "c", "g.txt", "k"]);
    assert_eq!(build.objects[0].secret_type.as_deref(), Some("Opaque"));
    assert_eq!((build.objects[0].source.file.as_str(), build.objects[0].source.line), ("base/kustomization.yaml", 2));
    assert!(!format!("{build:?}").contains("canary"));
}

#[test]
fn transformers_in_files_run_after_those_of_the_kustomization() {
    let files = [
        ("kustomization.yaml", "resources: [db.yaml]\nnamePrefix: a-\ntransformers:\n- t.yaml\n"),
        ("db.yaml", SECRET),
        (
            "t.yaml",
            "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: one}\nprefix: bt-\nfieldSpecs: [{path: metadata/name}]\n---\napiVersion: builtin\nkind: NamespaceTransformer\nmetadata: {name: two, namespace: z}\nunsetOnly: true\n",
        ),
    ];
    assert_eq!(names(&built(&files, "")), ["Secret z/bt-a-db"]);
}
