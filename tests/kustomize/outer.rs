//! Outer layers against the real kustomize: the kustomization is edited in a copy as Flux and Argo CD edit it, and built.
//!
//! Flux writes the fields of its object into the kustomization; here that is done in JSON, by code of its own. Argo CD runs
//! `kustomize edit`, and so does this test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ageseal::kustomize::{Memory, Options, resolve};
use ageseal_testkit::{Command, Scratch, kustomize};
use serde_json::{Value, json};

use crate::archive::{self, Entry, Tree};
use crate::builder::KUSTOMIZE;
use crate::compare::{Agreed, Both, compare};
use crate::{oracle, parallel};

const SEALED: &str = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\nspec: {encryptedData: {password: {value: not-a-real-one}}}\n";
const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: api}\nspec: {containers: [{name: c, image: i, envFrom: [{secretRef: {name: generated}}, {secretRef: {name: db}}]}]}\n";
const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: role}\n";
const ELSEWHERE: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: kept, namespace: elsewhere}\nstringData: {a: not-a-real-one}\n";

/// What the folder itself says.
fn own() -> Vec<Value> {
    let base = json!({"resources": ["../base", "own.yaml"], "secretGenerator": [{"name": "generated", "literals": ["a=not-a-real-one"]}]});
    let with = |more: Value| {
        let mut all = base.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    vec![
        base.clone(),
        with(json!({"namespace": "own", "namePrefix": "p-", "nameSuffix": "-s"})),
        with(json!({
            "namespace": "own", "components": ["../first"],
            "patches": [{"patch": "- {op: replace, path: /metadata/name, value: own-name}", "target": {"kind": "Pod"}}],
            "labels": [{"pairs": {"tier": "back"}}], "nameSuffix": "-s"
        })),
    ]
}

/// What an outer layer sets, in the names that both have in common.
fn settings() -> Vec<Value> {
    let rename =
        json!({"patch": "- {op: replace, path: /metadata/name, value: renamed}", "target": {"kind": "SealedSecret"}});
    let delete = json!({"patch": "$patch: delete\napiVersion: v1\nkind: Pod\nmetadata: {name: api}\n"});
    let label =
        json!({"patch": "kind: x\nmetadata: {name: x, labels: {a: b}}\n", "target": {"kind": "Secret|SealedSecret"}});
    let moved = json!({"patch": "- {op: add, path: /metadata/namespace, value: by-patch}", "target": {"kind": "Secret", "name": "kept"}});
    let mut all = vec![json!({})];
    for namespace in [None, Some("outer")] {
        for affixes in [json!({}), json!({"namePrefix": "o-"}), json!({"nameSuffix": "-x", "namePrefix": "o-"})] {
            for patches in [vec![], vec![rename.clone()], vec![label.clone(), moved.clone()], vec![delete.clone()]] {
                for components in [vec![], vec!["../first"], vec!["../second", "../first"]] {
                    let mut one = affixes.clone();
                    if let Some(namespace) = namespace {
                        one["namespace"] = namespace.into();
                    }
                    if !patches.is_empty() {
                        one["patches"] = patches.clone().into();
                    }
                    if !components.is_empty() {
                        one["components"] = components.into();
                    }
                    all.push(one);
                }
            }
        }
    }
    all
}

fn tree(own: &Value) -> Tree {
    let component = |more: &str| format!("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n{more}");
    let files = [
        ("base/kustomization.yaml", "resources: [db.yaml, pod.yaml, role.yaml]\n".to_owned()),
        ("base/db.yaml", SEALED.to_owned()),
        ("base/pod.yaml", POD.to_owned()),
        ("base/role.yaml", ROLE.to_owned()),
        ("first/kustomization.yaml", component("namePrefix: f-\n")),
        ("second/kustomization.yaml", component("resources: [more.yaml]\nnamespace: by-component\n")),
        ("second/more.yaml", SEALED.replace("{name: db}", "{name: more}")),
        ("app/own.yaml", ELSEWHERE.to_owned()),
        ("app/kustomization.yaml", format!("{own}\n")),
    ];
    files.into_iter().map(|(path, text)| (path.to_owned(), Entry::File(text.into_bytes()))).collect()
}

/// Both answers for the one root that an outer layer deploys; the real one is what `edit` makes of a copy.
fn both(tree: &Tree, load_any: bool, edit: impl Fn(&Path)) -> Both {
    let files = tree.iter().map(|(path, entry)| match entry {
        Entry::File(bytes) => (path.clone(), bytes.clone()),
        Entry::Link(_) => panic!("no links here"),
    });
    let mut resolution = resolve(&Memory(files.collect()), &Options::default());
    let root = resolution.roots.keys().find(|root| !root.is_bare()).expect("the layer is found").clone();
    let ours = resolution.roots.remove(&root).unwrap();
    let scratch = Scratch::new();
    let copy: Tree =
        tree.iter().filter(|(path, _)| !path.starts_with("outer")).map(|(k, v)| (k.clone(), v.clone())).collect();
    archive::write(&copy, scratch.path());
    edit(scratch.path());
    Both { real: oracle::build(&KUSTOMIZE, scratch.path(), "app", load_any), ours }
}

/// Compares all combinations; all of them have to be the same, or refused by both.
fn all_agree(answer: impl Fn(&Value, &Value) -> (Tree, Both) + Sync) {
    let (own, settings) = (own(), settings());
    let count = own.len() * settings.len();
    let answers = parallel(count, |number| {
        let (own, settings) = (&own[number / settings.len()], &settings[number % settings.len()]);
        let (tree, both) = answer(own, settings);
        compare(&both, &tree).map_err(|text| format!("{own}\n{settings}\n{text}"))
    });
    let mut counts: BTreeMap<Agreed, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for answer in answers {
        match answer {
            Ok(Agreed::Unmodelled) => wrong.push("refused here, and built by kustomize".to_owned()),
            Ok(agreed) => *counts.entry(agreed).or_default() += 1,
            Err(text) => wrong.push(text),
        }
    }
    println!("{counts:?}");
    assert!(wrong.is_empty(), "{} of {count} differ:\n\n{}", wrong.len(), wrong[..wrong.len().min(3)].join("\n\n"));
    assert!(counts.get(&Agreed::Same).is_some_and(|same| *same > count / 2), "{counts:?}");
}

fn read(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("app/kustomization.yaml")).unwrap()).unwrap()
}

fn append(kustomization: &mut Value, field: &str, items: Option<&Value>) {
    for item in items.and_then(Value::as_array).into_iter().flatten() {
        let list = kustomization.as_object_mut().unwrap().entry(field).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(item.clone());
    }
}

#[test]
fn what_flux_edits_is_built_as_kustomize_builds_it() {
    all_agree(|own, settings| {
        let mut tree = tree(own);
        let mut spec = json!({"path": "./app", "sourceRef": {"kind": "GitRepository", "name": "x"}, "prune": true});
        for (field, value) in settings.as_object().unwrap() {
            let field = if field == "namespace" { "targetNamespace" } else { field };
            spec[field] = value.clone();
        }
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "app", "namespace": "flux-system"}, "spec": spec
        });
        tree.insert("outer.json".into(), Entry::File(object.to_string().into_bytes()));
        let both = both(&tree, true, |folder| {
            let mut kustomization = read(folder);
            for field in ["namespace", "namePrefix", "nameSuffix"] {
                if let Some(value) = settings.get(field) {
                    kustomization[field] = value.clone();
                }
            }
            append(&mut kustomization, "patches", settings.get("patches"));
            append(&mut kustomization, "components", settings.get("components"));
            std::fs::write(folder.join("app/kustomization.yaml"), kustomization.to_string()).unwrap();
        });
        (tree, both)
    });
}

#[test]
fn what_argo_cd_edits_is_built_as_kustomize_builds_it() {
    all_agree(|own, settings| {
        let mut tree = tree(own);
        let mut settings = settings.clone();
        // One that is not there, which is left out when that is asked for; and labels and annotations, which change no name.
        append(&mut settings, "components", Some(&json!(["../gone"])));
        let mut source = settings.clone();
        source["ignoreMissingComponents"] = true.into();
        source["commonLabels"] = json!({"team": "shop"});
        source["commonAnnotations"] = json!({"note": "x"});
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "app"},
            "spec": {"source": {"path": "app", "kustomize": source}}
        });
        tree.insert("outer.json".into(), Entry::File(object.to_string().into_bytes()));
        let both = both(&tree, false, |folder| {
            // Patches are written into the file; all else is left to `kustomize edit`.
            let mut kustomization = read(folder);
            append(&mut kustomization, "patches", settings.get("patches"));
            std::fs::write(folder.join("app/kustomization.yaml"), kustomization.to_string()).unwrap();
            let edit = |arguments: &[&str]| {
                let command = Command::new(kustomize()).arg("edit").args(arguments);
                drop(command.current_dir(folder.join("app")).env("HOME", folder).run().expect_success());
            };
            let text = |field: &str| settings.get(field).and_then(Value::as_str);
            for (field, name) in
                [("namePrefix", "nameprefix"), ("nameSuffix", "namesuffix"), ("namespace", "namespace")]
            {
                if let Some(text) = text(field) {
                    edit(&["set", name, "--", text]);
                }
            }
            edit(&["add", "label", "team:shop"]);
            edit(&["add", "annotation", "note:x"]);
            let components = settings["components"].as_array().unwrap().iter().filter_map(Value::as_str);
            let there: Vec<&str> = components.filter(|path| folder.join("app").join(path).is_dir()).collect();
            if !there.is_empty() {
                edit(&[&["add", "component"], there.as_slice()].concat());
            }
        });
        (tree, both)
    });
}

#[test]
fn what_flux_generates_is_built_as_kustomize_builds_it() {
    let sealed = |name: &str| SEALED.replace("{name: db}", &format!("{{name: {name}}}"));
    let files = [
        ("app/a.yaml", sealed("a")),
        ("app/deep/er/b.yml", sealed("b")),
        ("app/list.yaml", format!("apiVersion: v1\nkind: List\nitems:\n- {}", ELSEWHERE.replace('\n', "\n  "))),
        ("app/whole/kustomization.yml", "namePrefix: w-\nresources: [c.yaml]\n".to_owned()),
        ("app/whole/c.yaml", sealed("c")),
        ("app/whole/inner/kustomization.yaml", "resources: [d.yaml]\n".to_owned()),
        ("app/whole/inner/d.yaml", sealed("d")),
        ("app/not.json", "{}".to_owned()),
        ("app/not.txt", "x".to_owned()),
    ];
    let mut tree: Tree =
        files.iter().map(|(path, text)| ((*path).to_owned(), Entry::File(text.clone().into_bytes()))).collect();
    let object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1beta2", "kind": "Kustomization", "metadata": {"name": "app"},
        "spec": {"path": "app", "targetNamespace": "outer", "sourceRef": {"kind": "GitRepository", "name": "x"}}
    });
    tree.insert("outer.json".into(), Entry::File(object.to_string().into_bytes()));
    let both = both(&tree, true, |folder| {
        let resources: BTreeSet<String> = scan(&folder.join("app"), &folder.join("app"));
        assert_eq!(resources.len(), 4, "{resources:?}");
        let kustomization = json!({"resources": resources, "namespace": "outer"});
        std::fs::write(folder.join("app/kustomization.yaml"), kustomization.to_string()).unwrap();
    });
    assert_eq!(compare(&both, &tree), Ok(Agreed::Same));
}

/// The manifests of a folder as Flux scans them: a folder with a kustomization is one of them.
fn scan(folder: &Path, top: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let inside = format!("./{}", path.strip_prefix(top).unwrap().to_str().unwrap());
        let is_kustomization = |name: &&str| path.join(name).is_file();
        if path.is_dir() && ageseal::kustomize::NAMES.iter().any(is_kustomization) {
            found.insert(inside);
        } else if path.is_dir() {
            found.extend(scan(&path, top));
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.insert(inside);
        }
    }
    found
}
