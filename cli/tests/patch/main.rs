//! `set --for`: a value of one overlay, in a strategic-merge patch. What the real kustomize merges is opened.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../support/repo.rs"]
mod repo;
#[path = "../support/mod.rs"]
mod support;

mod listing;
mod opens;
mod refused;
mod rescoped;
mod rolls;
mod scopes;

use std::fs;

use ageseal::recipient::KeyRing;
use repo::{identity, quiet, repo};
use support::{Run, Scratch};

const BASE: &str = "base/db.sealed.yaml";
const PATCH: &str = "overlays/prod/db.patch.yaml";
const K: &str = "overlays/prod/kustomization.yaml";

const POLICY: &str = "\
apiVersion: ageseal.dev/v1alpha1
kind: Policy
rules:
- paths: [\"overlays/prod/**\"]
  recipients: [prod]
  scopes: [\"shop-prod/*\"]
- paths: [\"overlays/test/**\"]
  recipients: [test]
  scopes: [\"shop-test/*\"]
- paths: [\"base/**\"]
  recipients: [prod, test]
  scopes: [\"shop-prod/*\", \"shop-test/*\"]
";

/// A base that is sealed for test and prod, and both overlays.
fn shop() -> Scratch {
    shop_of("", "stringData: {user: shop, password: from-base}\n")
}

fn shop_of(prefix: &str, body: &str) -> Scratch {
    let t = repo();
    t.write(".ageseal/policy.yaml", POLICY);
    t.write("base/kustomization.yaml", "resources: [db.sealed.yaml]\n");
    for name in ["test", "prod"] {
        let text = format!("# {name}\nresources:\n- ../../base\nnamespace: shop-{name}\n{prefix}");
        t.write(format!("overlays/{name}/kustomization.yaml"), text);
    }
    t.write("base/db.secret.yaml", format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n{body}"));
    let _ = t.run(&["seal", "-q", "base/db.secret.yaml"]).ok();
    fs::remove_file(t.path("base/db.secret.yaml")).unwrap();
    t
}

fn set(t: &Scratch, args: &[&str], value: &str) -> Run {
    quiet(t.run_with(&[&["set", PATCH], args].concat(), value.as_bytes(), &[]))
}

/// The identity of a name, alone.
fn ring(t: &Scratch, name: &str) -> KeyRing {
    let text = fs::read_to_string(identity(t, name)).unwrap();
    let secret = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    KeyRing::new(vec![secret.parse().unwrap()])
}

/// Opens a stream as the controller does: where it stands, all steps. The reason, or the values.
fn live(t: &Scratch, text: &str, name: &str) -> Result<Vec<(String, String)>, String> {
    use ageseal::manifest::{SealedManifest, objects};
    use ageseal::open::{Live, open};

    let stream = ageseal::yaml::Stream::parse(text.to_owned()).unwrap();
    let object = objects(&stream)
        .find(|object| object.name().is_some_and(|name| name.ends_with("db") || name.starts_with("db-")))
        .unwrap();
    let reading = SealedManifest::read(object.node);
    let document = reading.manifest.unwrap_or_else(|| panic!("{:?}", reading.problems));
    let live = Live { namespace: document.namespace.as_deref().unwrap_or_default(), name: &document.name };
    let opened = open(&document.sealed, Some(live), &ring(t, name)).map_err(|error| error.reason().to_string())?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok(opened.values.iter().map(|(key, value)| (key.clone(), text(value.expose()))).collect())
}

fn values(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    Ok(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}
