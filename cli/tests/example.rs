//! The example shop, sealed as its README says, against the independent implementation and the age program.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use ageseal_testkit::{Command, age, independent, workspace_root};
use serde_json::Value;
use support::{Scratch, built, copy_tree};

/// `NAMESPACE/NAME` of a Secret, and its values in base64.
type Secrets = BTreeMap<String, BTreeMap<String, String>>;

/// The shop in a scratch repository with a policy and an identity a name, and nothing sealed yet.
fn shop(keygen: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    copy_tree(&workspace_root().join("examples/shop"), &scratch.work());
    let _ = scratch.shell("git init -q").ok();
    fs::create_dir_all(scratch.path(".ageseal/recipients")).unwrap();
    fs::copy(scratch.path("policy.example.yaml"), scratch.path(".ageseal/policy.yaml")).unwrap();
    for name in names() {
        let file = scratch.root().join(format!("{name}.txt"));
        let mut args = vec!["keygen", "-q", "-o", file.to_str().unwrap()];
        args.extend(keygen);
        let recipient = scratch.run(&args).ok().stdout;
        scratch.write(format!(".ageseal/recipients/{name}.pub"), recipient);
    }
    scratch
}

/// The names that the example's policy speaks of.
fn names() -> Vec<String> {
    let policy = fs::read_to_string(workspace_root().join("examples/shop/policy.example.yaml")).unwrap();
    let lists = policy.lines().filter_map(|line| line.trim().strip_prefix("recipients: ["));
    let mut names: Vec<String> =
        lists.flat_map(|list| list.split([',', ']', ' ']).map(str::to_owned)).filter(|name| !name.is_empty()).collect();
    names.retain(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    names.sort();
    names.dedup();
    assert!(names.len() >= 3, "{names:?}");
    names
}

fn sealed_files(scratch: &Scratch) -> Vec<PathBuf> {
    let tree = scratch.tree();
    let files: Vec<_> =
        tree.keys().filter(|name| name.ends_with(".sealed.yaml")).map(|name| scratch.path(name)).collect();
    assert!(files.len() >= 20, "{}", files.len());
    files
}

/// What is deployed: everything that is built on the rest.
const ROOTS: [&str; 3] = ["overlays/prod", "overlays/test", "system"];

/// The Secret whose name gets a hash.
const HASHED: &str = "session-store";

/// What the independent implementation makes of all that kustomize builds, opened where it would stand in a cluster.
fn opened_independently(scratch: &Scratch) -> Secrets {
    let identity = scratch.root().join("recovery.txt");
    let mut secrets = Secrets::new();
    for root in ROOTS {
        let built = built(scratch, root);
        assert!(!built.contains("kind: Secret\n"), "{root}");
        let documents = built.split("\n---\n").filter(|text| text.contains("\nkind: SealedSecret\n"));
        let file = scratch.root().join("built.yaml");
        fs::write(&file, documents.collect::<Vec<_>>().join("\n---\n")).unwrap();
        let run = Command::new(independent()).args(["open", "-i"]).arg(&identity).arg(&file).run();
        assert!(run.success(), "{root}: {}{}", run.stdout_text(), run.stderr_text());
        add(&mut secrets, &run.stdout);
    }
    secrets
}

fn add(secrets: &mut Secrets, json: &[u8]) {
    let documents: Vec<Value> = serde_json::from_slice(json).unwrap();
    for document in documents {
        let name = format!("{}/{}", document["namespace"].as_str().unwrap(), document["name"].as_str().unwrap());
        let data = document["data"].as_object().unwrap();
        let data = data.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
        assert!(secrets.insert(without_hash(&name), data).is_none(), "{name} twice");
    }
}

fn without_hash(name: &str) -> String {
    match name.rsplit_once('-') {
        Some((stem, hash)) if stem.ends_with(HASHED) && hash.len() == 10 => stem.to_owned(),
        _ => name.to_owned(),
    }
}

/// What kustomize makes of the plaintext, had somebody committed it: the same tree with the sources in the place of the
/// sealed files, and without the shadow.
fn sources(scratch: &Scratch) -> Secrets {
    let plain = Scratch::new();
    copy_tree(&workspace_root().join("examples/shop"), &plain.work());
    let tree = scratch.tree();
    for name in tree.keys().filter(|name| name.ends_with("kustomization.yaml")) {
        let folder = name.strip_suffix("kustomization.yaml").unwrap();
        let text = fs::read_to_string(workspace_root().join("examples/shop").join(name)).unwrap();
        let line = |line: &str| match line.trim_start_matches("- ").strip_suffix(".sealed.yaml") {
            Some(stem) => {
                let sources = ["yaml", "json"].map(|end| format!("{stem}.secret.{end}"));
                let source = sources.iter().find(|source| tree.contains_key(&format!("{folder}{source}"))).unwrap();
                format!("- {source}\n")
            }
            None => format!("{line}\n"),
        };
        let text = text.split("\nsecretGenerator:\n").next().unwrap();
        plain.write(name, text.lines().map(line).collect::<String>());
    }
    let mut secrets = Secrets::new();
    for root in ROOTS {
        let stream = ageseal::yaml::Stream::parse(built(&plain, root)).unwrap();
        for object in ageseal::manifest::objects(&stream) {
            let reading = ageseal::manifest::SecretManifest::read(object.node, 1_800_000_000);
            if object.kind != ageseal::manifest::ObjectKind::Secret {
                continue;
            }
            let secret = reading.manifest.unwrap_or_else(|| panic!("{:?}", reading.problems));
            let data = secret.data.iter().map(|(key, value)| (key.clone(), encode(value.expose()))).collect();
            secrets.insert(format!("{}/{}", secret.namespace.unwrap(), secret.name), data);
        }
    }
    assert!(secrets.contains_key("shop-test/test-session-store"), "{:?}", secrets.keys());
    secrets
}

fn encode(value: &[u8]) -> String {
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, value)
}

fn the_shop_goes_through(keygen: &[&str]) {
    let scratch = shop(keygen);
    let mut expected = sources(&scratch);
    let _ = scratch.run(&["seal", "."]).ok();
    let files = sealed_files(&scratch);
    assert_eq!(opened_independently(&scratch), expected);
    age_opens_every_envelope(&scratch, &files);

    let _ = scratch.shell("rm */*.secret.* */*/*.secret.*").ok();
    let _ = scratch.run(&["check"]).ok();
    for root in ROOTS {
        let _ = scratch.run_with(&["check", "-"], built(&scratch, root).as_bytes(), &[]).ok();
    }

    // One value of production alone.
    let set = ["set", "overlays/prod/session.patch.yaml", "password", "--for", "base/session.sealed.yaml", "--wire"];
    let _ = scratch.run_with(&set, b"not-a-real-password-of-prod-alone", &[]).ok().says("rolls");
    let session = expected.get_mut("shop-prod/session-store").unwrap();
    session.insert("password".to_owned(), encode(b"not-a-real-password-of-prod-alone"));
    assert_eq!(opened_independently(&scratch), expected);
    let _ = scratch.run(&["check"]).ok();
}

/// The names that pods ask for, of one Secret.
fn asked(built: &str, name: &str) -> Vec<String> {
    let names = built.lines().filter_map(|line| line.trim().strip_prefix("name: ")).filter(|it| it.contains(name));
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    names.into_iter().collect()
}

#[test]
fn references_follow_a_prefix_and_a_rollout() {
    let scratch = shop(&["--classic"]);
    let _ = scratch.run(&["seal", "-q", "."]).ok();
    let _ = scratch.shell("rm */*.secret.* */*/*.secret.*").ok();
    let (prod, test) = (built(&scratch, "overlays/prod"), built(&scratch, "overlays/test"));
    for (built, prefix) in [(&prod, ""), (&test, "test-")] {
        // Document and pods have one and the same name.
        let [name] = &*asked(built, HASHED) else { panic!("{:?}", asked(built, HASHED)) };
        assert!(name.starts_with(&format!("{prefix}{HASHED}-")) && without_hash(name) != *name, "{name}");
        for place in ["secretName: {}shop-tls\n", "secretName: {}payment-keys\n", "- name: {}registry\n"] {
            let line = place.replace("{}", prefix);
            assert!(built.contains(&line), "{line}");
        }
    }
    let _ = scratch.run_with(&["set", "base/session.sealed.yaml", "url"], b"redis://new.example.com", &[]).ok();
    let moved = built(&scratch, "overlays/test");
    assert_ne!(asked(&moved, HASHED), asked(&test, HASHED));
    assert_eq!(asked(&moved, HASHED).len(), 1);
    let _ = scratch.run(&["check"]).ok();

    // Another prefix: what is sealed does not open under it, and the check says so before the cluster does.
    let _ = scratch
        .shell(
            "sed -i.bak s/namePrefix:.*/namePrefix:\\ qa-/ overlays/test/kustomization.yaml && rm overlays/test/*.bak",
        )
        .ok();
    let check = scratch.run(&["check"]).exit(1).stdout;
    for says in ["shop-test/qa-db-credentials", "overlays/test/kustomization.yaml:5 namePrefix: qa-", "ageseal rescope"]
    {
        assert!(check.contains(says), "{says}: {check}");
    }
    let identity = scratch.root().join("recovery.txt");
    let rescope = ["rescope", ".", "-i", identity.to_str().unwrap(), "--widen", "shop-test/qa-*"];
    let _ = scratch.run(&rescope).ok();
    let _ = scratch.run(&["check"]).ok();
    let secrets = opened_independently(&scratch);
    assert!(secrets.contains_key("shop-test/qa-session-store") && secrets.contains_key("shop-test/qa-debug-overrides"));
}

#[test]
fn the_file_of_references_is_the_one_that_is_written_today() {
    let scratch = Scratch::new();
    let written = scratch.run(&["kustomize", "config"]).ok().stdout;
    let file = workspace_root().join("examples/shop/base/ageseal-references.yaml");
    assert_eq!(
        written,
        fs::read_to_string(file).unwrap(),
        "ageseal kustomize config -o examples/shop/base/ageseal-references.yaml"
    );
}

fn age_opens_every_envelope(scratch: &Scratch, files: &[PathBuf]) {
    let identity = scratch.root().join("recovery.txt");
    let mut envelopes = 0;
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let stream = ageseal::yaml::Stream::parse(text).unwrap();
        for object in
            ageseal::manifest::objects(&stream).filter(|o| o.kind == ageseal::manifest::ObjectKind::SealedSecret)
        {
            let manifest = ageseal::manifest::SealedManifest::read(object.node).manifest.unwrap();
            for envelope in manifest.sealed.all_envelopes() {
                let run = Command::new(age()).args(["-d", "-i"]).arg(&identity).stdin(&envelope.file.age).run();
                assert!(run.stdout.starts_with(b"ageseal-dek-v1 ") && run.stdout.len() == 80, "{}", file.display());
                envelopes += 1;
            }
        }
    }
    assert!(envelopes >= 20, "{envelopes}");
}

#[test]
fn post_quantum() {
    the_shop_goes_through(&[]);
}

#[test]
fn classic() {
    the_shop_goes_through(&["--classic"]);
}

#[test]
fn sealing_again_changes_no_byte_and_no_time() {
    let scratch = shop(&["--classic"]);
    let _ = scratch.run(&["seal", "."]).ok();
    let files = sealed_files(&scratch);
    let state = || -> Vec<_> {
        let one = |file: &PathBuf| (fs::read(file).unwrap(), fs::metadata(file).unwrap().modified().unwrap());
        files.iter().map(one).collect()
    };
    let before = state();
    let identity = scratch.root().join("recovery.txt");
    let _ = scratch.run(&["seal", ".", "-i", identity.to_str().unwrap()]).ok();
    assert_eq!(before, state());
}
