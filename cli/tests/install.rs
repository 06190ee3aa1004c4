//! `install`: the same objects as `deploy/`, and the options that kustomize would need a patch for.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use std::collections::BTreeMap;

use ageseal::yaml::{Kind, Node, Stream};
use repo::{keys, repo};
use support::{Run, Scratch};

/// What a node says, whatever its style: scalars that are strings in quotes, the keys of mappings sorted.
fn meaning(node: Node<'_>) -> String {
    match node.kind() {
        Kind::Scalar => node.as_string().map_or_else(|| node.source().to_owned(), |text| format!("{text:?}")),
        Kind::Sequence => format!("[{}]", node.items().map(meaning).collect::<Vec<_>>().join(", ")),
        Kind::Mapping => {
            let entries: BTreeMap<_, _> =
                node.entries().map(|(key, value)| (key.str().unwrap_or_default(), meaning(value))).collect();
            format!("{entries:?}")
        }
        Kind::Alias => panic!("the manifests have no aliases"),
    }
}

/// The objects of a text by kind, namespace and name.
fn objects(text: &str) -> BTreeMap<String, String> {
    let stream = Stream::parse(text.to_owned()).unwrap();
    let mut objects = BTreeMap::new();
    for root in stream.documents().filter_map(|document| document.root()) {
        let field =
            |name: &str| root.get("metadata").and_then(|metadata| metadata.get(name)).and_then(|node| node.str());
        let kind = root.get("kind").unwrap().str().unwrap();
        let key = format!("{kind} {}/{}", field("namespace").unwrap_or_default(), field("name").unwrap());
        assert!(objects.insert(key.clone(), meaning(root)).is_none(), "{key} is there twice");
    }
    objects
}

fn kustomize(folder: &str) -> BTreeMap<String, String> {
    let path = ageseal_testkit::workspace_root().join("deploy").join(folder);
    let built = ageseal_testkit::run(ageseal_testkit::kustomize(), ["build".as_ref(), path.as_os_str()], "");
    objects(&String::from_utf8(built.expect_success()).unwrap())
}

#[track_caller]
fn same(options: &[&str], overlay: &str) {
    let t = Scratch::new();
    let printed = objects(&t.run(&[&["install"], options].concat()).ok().stdout);
    let built = kustomize(overlay);
    assert_eq!(printed.keys().collect::<Vec<_>>(), built.keys().collect::<Vec<_>>());
    for (key, object) in &built {
        assert_eq!(&printed[key], object, "{key}");
    }
    assert!(built.len() > 12, "{:?}", built.keys());
}

#[test]
fn the_defaults_are_the_overlay_for_a_cluster() {
    same(&[], "overlays/cluster");
}

#[test]
fn namespaces_are_the_overlay_with_roles_alone() {
    same(&["--namespaces", "shop-prod,shop-test"], "overlays/namespaced");
    same(&["--namespaces", "shop-prod", "--namespaces=shop-test"], "overlays/namespaced");
}

#[test]
fn no_tool_that_prunes_deletes_the_identities_or_the_documents() {
    let printed = Scratch::new().run(&["install"]).ok().stdout;
    for (kind, argo) in [("Namespace", "Prune=false,Delete=false"), ("CustomResourceDefinition", "Prune=false")] {
        let is_one = |text: &&str| text.lines().any(|line| line == format!("kind: {kind}"));
        let object = printed.split("---\n").find(is_one).unwrap();
        for line in [
            format!("    argocd.argoproj.io/sync-options: {argo}\n"),
            "    helm.sh/resource-policy: keep\n".to_owned(),
            "    kustomize.toolkit.fluxcd.io/prune: disabled\n".to_owned(),
        ] {
            assert!(object.contains(&line), "{kind}: {line}");
        }
    }
}

#[test]
fn no_drift_watch_is_the_overlay_of_that_name() {
    same(&["--no-drift-watch"], "overlays/no-drift-watch");
}

/// The recipients that the controller is told to make backups for.
fn backups(run: &Run) -> Vec<String> {
    let arguments = run.stdout.lines().filter_map(|line| line.trim().strip_prefix("- \"--backup-recipient="));
    arguments.map(|rest| rest.trim_end_matches('"').to_owned()).collect()
}

#[test]
fn the_repository_s_recovery_recipient_is_taken_and_named() {
    let t = repo();
    let recovery = &keys()["recovery"].recipient;
    let run = t.run(&["install"]).ok().says("recovery (r").says("named in   .ageseal/recipients/recovery.pub");
    assert_eq!(backups(&run), std::slice::from_ref(recovery));
    // From a folder below, too; and with -q it is only not said.
    let run = t.shell("mkdir -p a/b && cd a/b && ageseal install -q --image x").ok();
    assert_eq!((backups(&run), run.stderr.as_str()), (vec![recovery.clone()], ""));
    // One that is superseded is nobody's recovery any more.
    let new = &keys()["stranger"].recipient;
    t.write(".ageseal/recipients/recovery.pub", format!("# superseded, until 2025-01-01\n{recovery}\n\n{new}\n"));
    let run = t.run(&["install"]);
    assert_eq!(backups(&run.ok()), std::slice::from_ref(new));
}

#[test]
fn recipients_that_are_named_win_each_once() {
    let t = repo();
    let (a, b) = (&keys()["prod"].recipient, &keys()["test"].recipient);
    let run = t.run(&["install", "--backup-recipient", a, "--backup-recipient", &format!("{b}\n{a}")]).ok();
    assert_eq!(backups(&run), [a.clone(), b.clone()]);
    let _ = run.never_says("recovery");
    let run = t.run(&["install", "--no-backup"]).ok();
    assert_eq!(backups(&run), Vec::<String>::new());
}

#[test]
fn without_a_recovery_recipient_it_is_said_that_there_is_no_backup() {
    let t = Scratch::new();
    let _ = t.run(&["install"]).ok().says("identities will have no backup").says("--backup-recipient RECIPIENT");
    let t = repo();
    let _ = t.shell("rm .ageseal/recipients/recovery.pub && sed -i 's/, recovery//' .ageseal/policy.yaml").ok();
    let run = t.run(&["install"]).ok().says("has no recipients file named recovery");
    assert_eq!(backups(&run), Vec::<String>::new());
}

#[test]
fn an_image_of_nobody_s_registry_is_a_note() {
    let t = Scratch::new();
    let _ = t.run(&["install"]).ok().says("--image IMAGE");
    let run = t.run(&["install", "--image", "registry.example:5000/a/b:1.0@sha256:00ff"]).ok().never_says("--image");
    assert!(run.stdout.contains("        image: registry.example:5000/a/b:1.0@sha256:00ff\n"), "{}", run.stdout);
}
