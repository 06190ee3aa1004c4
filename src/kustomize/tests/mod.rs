//! The resolver over small trees in memory. What the real kustomize makes of such trees is in `tests/kustomize`.

mod argo;
mod bad;
mod by_hand;
mod flux;
mod outer;
mod patched;
mod patches;
mod references;
mod roots;
mod trees;

use super::{Build, Memory, Options, Refusal, build};

/// A tree out of paths and texts.
fn tree(files: &[(&str, &str)]) -> Memory {
    Memory(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
}

fn built(files: &[(&str, &str)], folder: &str) -> Build {
    build(&tree(files), folder, &Options::default()).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn refused(files: &[(&str, &str)], folder: &str) -> Refusal {
    match build(&tree(files), folder, &Options::default()) {
        Err(refusal) => refusal,
        Ok(build) => panic!("it builds: {build:?}"),
    }
}

/// `Kind namespace/name`, with `#` after a name that gets a hash, sorted.
fn names(build: &Build) -> Vec<String> {
    let mut names: Vec<String> = build
        .objects
        .iter()
        .map(|object| {
            let namespace = object.namespace.as_deref().unwrap_or("-");
            format!("{} {namespace}/{}{}", object.kind, object.name, if object.hashed { "#" } else { "" })
        })
        .collect();
    names.sort();
    names
}

/// The code of a refusal, with `!` if kustomize refuses as well, and its place.
fn code(refusal: &Refusal) -> String {
    let reason = refusal.reason();
    format!("{}{} {}:{}", reason.code, if refusal.is_broken() { "!" } else { "" }, reason.file, reason.line)
}

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: canary-value\n  user: canary-user\n";
