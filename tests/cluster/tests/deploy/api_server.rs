//! The files for the API server itself: it starts with them, and does what they say.

use std::collections::BTreeSet;
use std::fs;

use ageseal::recipient::Identity;
use ageseal_cluster::{ControlPlane, Options, eventually, sealed};
use ageseal_testkit::Scratch;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand_core::{OsRng, RngCore};
use serde_json::Value;

use crate::support::{SOON, deploy};

const VALUE: &str = "not-a-real-password";
const PLACEHOLDER: &str = "REPLACE-WITH-32-RANDOM-BYTES-IN-BASE64";

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_policy_names_who_and_never_what_and_secrets_are_encrypted_at_rest() {
    let scratch = Scratch::new();
    let log = scratch.path().join("audit.log");
    let configuration = scratch.path().join("encryption.yaml");
    let example = fs::read_to_string(deploy("components/encryption/encryption-configuration.yaml")).unwrap();
    let mut key = [0; 32];
    OsRng.fill_bytes(&mut key);
    assert_eq!(example.matches(PLACEHOLDER).count(), 1);
    fs::write(&configuration, example.replace(PLACEHOLDER, &BASE64_STANDARD.encode(key))).unwrap();
    let plane = ControlPlane::start(Options {
        audit: false,
        encryption: false,
        apiserver_flags: vec![
            format!("--audit-policy-file={}", deploy("components/audit/policy.yaml").display()),
            format!("--audit-log-path={}", log.display()),
            format!("--encryption-provider-config={}", configuration.display()),
        ],
        ..Options::default()
    });
    let namespace = plane.namespace("audited").await;
    let name = namespace.name();
    plane.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: db, namespace: {name}}}\nstringData: {{password: {VALUE}}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: plain, namespace: {name}}}\ndata: {{a: stored-as-it-is}}\n"
    ));
    let identity = Identity::generate_hybrid(&mut OsRng);
    let document = sealed::document(name, "db").value("password", VALUE).seal_for(&[identity.recipient().unwrap()]);
    plane.apply(&serde_json::to_string(&document).unwrap());
    let _ = plane.kubectl(&["get", "secret", "-n", name, "db", "-o", "yaml"]).expect_success();
    let _ = plane.kubectl(&["get", "secrets", "-n", name]).expect_success();

    let events = eventually(SOON, "the log names each request", || async {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_namespace: Vec<_> = lines.filter(|event| event["objectRef"]["namespace"] == name).collect();
        let seen = |verb: &str, resource: &str| {
            let fits = |event: &&Value| event["verb"] == verb && event["objectRef"]["resource"] == resource;
            of_namespace.iter().any(|event| fits(&event))
        };
        let all = seen("patch", "secrets")
            && seen("get", "secrets")
            && seen("list", "secrets")
            && seen("patch", "sealedsecrets");
        if all { Ok(of_namespace) } else { Err(text) }
    })
    .await;
    for event in &events {
        assert_eq!(event["level"], "Metadata", "{event}");
        assert_eq!(event["user"]["username"], "admin", "{event}");
        assert!(event.get("requestObject").is_none() && event.get("responseObject").is_none(), "{event}");
    }
    let resources: BTreeSet<_> = events.iter().filter_map(|event| event["objectRef"]["resource"].as_str()).collect();
    assert_eq!(resources, BTreeSet::from(["sealedsecrets", "secrets"]));
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains(VALUE) && !text.contains(&BASE64_STANDARD.encode(VALUE)));
    rules_speak_of_these_events(&events);

    let stored = stored(&plane);
    assert!(contains(&stored, "stored-as-it-is"), "etcd's files have what is not encrypted");
    assert!(contains(&stored, "k8s:enc:secretbox:v1:key1:"));
    assert!(!contains(&stored, VALUE));
}

/// Every label that the alert rules name is a field of real events, as Loki's `json` flattens them.
fn rules_speak_of_these_events(events: &[Value]) {
    let mut fields = BTreeSet::new();
    events.iter().for_each(|event| flatten("", event, &mut fields));
    let rules = fs::read_to_string(deploy("components/audit/rules.yaml")).unwrap();
    let mut named = BTreeSet::new();
    for word in rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        if ["user_", "objectRef_", "responseStatus_"].iter().any(|prefix| word.starts_with(prefix)) || word == "verb" {
            named.insert(word.to_owned());
        }
    }
    assert!(named.len() >= 5 && named.is_subset(&fields), "{named:?} are not all among {fields:?}");
}

fn flatten(prefix: &str, value: &Value, fields: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}_{key}") };
        flatten(&name, value, fields);
        fields.insert(name);
    }
}

/// Everything in etcd's files.
fn stored(plane: &ControlPlane) -> Vec<u8> {
    let mut folders = vec![plane.data_dir()];
    let mut bytes = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                bytes.extend(fs::read(path).unwrap_or_default());
            }
        }
    }
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}
