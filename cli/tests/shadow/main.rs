//! `kustomize config` and `kustomize shadow`: what the real kustomize makes of them, and that they stay in step.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../support/repo.rs"]
mod repo;
#[path = "../support/mod.rs"]
mod support;

mod follow;
mod refused;
mod step;

use std::collections::BTreeSet;

use repo::{identity, sealed};
use support::Scratch;

const FILE: &str = "prod/db.sealed.yaml";
const LISTING: &str = "prod/kustomization.yaml";

/// The name of the sealed document in a build.
#[track_caller]
fn built_name(built: &str) -> String {
    let document = built.split("\n---\n").find(|document| document.contains("kind: SealedSecret")).unwrap();
    let line = document.lines().find_map(|line| line.strip_prefix("  name: ")).unwrap();
    line.to_owned()
}

/// A sealed file with its shadow beside it.
fn shadowed(t: &Scratch) {
    sealed(t, FILE, "db", &[("host", "h"), ("password", "p"), ("user", "u")]);
    t.write(LISTING, "resources: [db.sealed.yaml]\nnamespace: shop-prod\n");
    let _ = t.run(&["kustomize", "shadow", "-q", FILE]).ok();
    rescope(t, FILE, "shop-prod/db-{hash}");
}

/// Seals a file for the name with the hash.
fn rescope(t: &Scratch, file: &str, pattern: &str) {
    let _ = t.run(&["rescope", "-q", file, "--widen", pattern, "-i", &identity(t, "prod")]).ok();
}

/// The random number of each key, with the key.
fn numbers(t: &Scratch) -> BTreeSet<String> {
    let text = t.read(LISTING);
    let found =
        text.lines().map(str::trim).filter(|line| line.split_once('=').is_some_and(|(_, number)| number.len() == 20));
    found.map(str::to_owned).collect()
}

fn differing(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<String> {
    after.difference(before).map(|number| number.split('=').next().unwrap().to_owned()).collect()
}
