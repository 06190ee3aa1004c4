//! The example shop, sealed as its README says, against the independent implementation and the age program.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ageseal_testkit::{Command, age, independent, kustomize, workspace_root};
use serde_json::Value;
use support::Scratch;

/// `NAMESPACE/NAME` of a Secret, and its values in base64.
type Secrets = BTreeMap<String, BTreeMap<String, String>>;

/// The shop in a scratch repository with a policy and an identity a name, and nothing sealed yet.
fn shop(keygen: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    copy(&workspace_root().join("examples/shop"), &scratch.work());
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

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(|_| ()).unwrap()
        }
    }
}

fn sealed_files(scratch: &Scratch) -> Vec<PathBuf> {
    let tree = scratch.tree();
    let files: Vec<_> =
        tree.keys().filter(|name| name.ends_with(".sealed.yaml")).map(|name| scratch.path(name)).collect();
    assert!(files.len() >= 20, "{}", files.len());
    files
}

/// What the independent implementation makes of sealed files, opened where they stand.
fn opened_independently(scratch: &Scratch, files: &[PathBuf]) -> Secrets {
    let identity = scratch.root().join("recovery.txt");
    let mut secrets = Secrets::new();
    for file in files {
        let run = Command::new(independent()).args(["open", "-i"]).arg(&identity).arg(file).run();
        assert!(run.success(), "{}: {}{}", file.display(), run.stdout_text(), run.stderr_text());
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
        assert!(secrets.insert(name.clone(), data).is_none(), "{name} twice");
    }
}

/// The plaintext sources as kustomize reads them: `data` in base64, `stringData` over it.
fn sources(scratch: &Scratch) -> Secrets {
    let list = |folder: &str| -> Vec<String> {
        let tree = scratch.tree();
        let files = tree.keys().filter(|name| name.starts_with(folder) && name.contains(".secret."));
        files.map(|name| name[folder.len() + 1..].to_owned()).collect()
    };
    let mut secrets = Secrets::new();
    for folder in ["overlays/prod", "overlays/test", "system"] {
        let plain = Scratch::new();
        let names = list(folder);
        for name in &names {
            plain.write(name, scratch.read(format!("{folder}/{name}")));
        }
        plain.write("kustomization.yaml", format!("resources:\n- {}\n", names.join("\n- ")));
        let script = format!("'{}' build . -o all.yaml", kustomize().display());
        let _ = plain.shell(&script).ok();
        let stream = ageseal::yaml::Stream::parse(plain.read("all.yaml")).unwrap();
        for object in ageseal::manifest::objects(&stream) {
            let reading = ageseal::manifest::SecretManifest::read(object.node, 1_800_000_000);
            let secret = reading.manifest.unwrap_or_else(|| panic!("{:?}", reading.problems));
            let encode = |value: &ageseal::secret::Plaintext| {
                base64::Engine::encode(&base64::prelude::BASE64_STANDARD, value.expose())
            };
            let data = secret.data.iter().map(|(key, value)| (key.clone(), encode(value))).collect();
            secrets.insert(format!("{}/{}", secret.namespace.unwrap(), secret.name), data);
        }
    }
    secrets
}

fn the_shop_goes_through(keygen: &[&str]) {
    let scratch = shop(keygen);
    let _ = scratch.run(&["seal", "overlays", "system"]).ok();
    let files = sealed_files(&scratch);
    assert_eq!(opened_independently(&scratch, &files), sources(&scratch));
    age_opens_every_envelope(&scratch, &files);

    let _ = scratch.shell("rm overlays/*/*.secret.* system/*.secret.*").ok();
    let _ = scratch.run(&["check"]).ok();
    for overlay in ["overlays/prod", "overlays/test", "system"] {
        let build = scratch.shell(&format!("'{}' build {overlay}", kustomize().display())).ok();
        assert!(build.stdout.contains("kind: SealedSecret"), "{overlay}");
        assert!(!build.stdout.contains("kind: Secret\n"), "{overlay}");
    }
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
    let _ = scratch.run(&["seal", "overlays", "system"]).ok();
    let files = sealed_files(&scratch);
    let state = || -> Vec<_> {
        let one = |file: &PathBuf| (fs::read(file).unwrap(), fs::metadata(file).unwrap().modified().unwrap());
        files.iter().map(one).collect()
    };
    let before = state();
    let identity = scratch.root().join("recovery.txt");
    let _ = scratch.run(&["seal", "overlays", "system", "-i", identity.to_str().unwrap()]).ok();
    assert_eq!(before, state());
}
