//! The objects of Flux and Argo CD in the files of a repository.

use std::collections::VecDeque;

use memchr::{memchr_iter, memmem};

use super::instance::Instance;
use crate::kustomize::model::{Place, Source};
use crate::kustomize::read;
use crate::kustomize::refusal::{At, Refusal};
use crate::kustomize::resource::Res;
use crate::kustomize::session::Session;
use crate::kustomize::value::Value;
use crate::yaml::{Node, Stream};

/// The groups of the kinds that count, with the slash before the version.
const GROUPS: [&str; 3] = ["kustomize.toolkit.fluxcd.io/", "source.toolkit.fluxcd.io/", "argoproj.io/"];

/// The kinds that count in a group.
fn kinds(group: &str) -> &'static [&'static str] {
    match group {
        "kustomize.toolkit.fluxcd.io/" => &["Kustomization"],
        "source.toolkit.fluxcd.io/" => &["GitRepository"],
        _ => &["Application", "ApplicationSet"],
    }
}

fn counts(api_version: &str, kind: &str) -> bool {
    GROUPS.iter().any(|group| api_version.starts_with(group) && kinds(group).contains(&kind))
}

/// Whether an object is one of Flux or Argo CD that counts.
pub(in crate::kustomize) fn is_outer(resource: &Res) -> bool {
    counts(resource.api_version(), resource.kind())
}

/// The same for a value that may be an object.
pub(in crate::kustomize) fn counts_as(value: &Value) -> bool {
    let text = |key: &str| value.get(key).and_then(Value::scalar).unwrap_or_default();
    counts(text("apiVersion"), text("kind"))
}

/// The objects of all files as they are written, and the files that may hold some and cannot be read.
pub(super) fn find(session: &Session<'_>, paths: &[String]) -> (Vec<Instance>, Vec<Refusal>) {
    let mut found = (Vec::new(), Vec::new());
    for path in paths.iter().filter(|path| is_manifest(path)) {
        let Some(bytes) = session.read(path).filter(|bytes| may_hold(bytes)) else { continue };
        let at = At::new(path, 1);
        match Stream::from_bytes(bytes.to_vec()) {
            Ok(stream) => {
                if let Err(refusal) = objects(&at, &stream, &mut found.0) {
                    found.1.push(refusal);
                }
            }
            // Without the name of a group in it, it was looked into for an escape, and whatever deploys reads no more of it.
            Err(_) if !spells(&bytes) => {}
            Err(error) => {
                let line = error.location().map_or(1, |location| location.line);
                found.1.push(
                    at.line(line)
                        .unmodelled("unreadable-layer", format!("this file may deploy anything: {error}"))
                        .hinted("mend it; if it is a template of such a file, give it another ending"),
                );
            }
        }
    }
    found
}

fn is_manifest(path: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending))
}

/// Whether a text can spell one of the kinds: it has the group in it, or an escape that may spell a part of it.
fn may_hold(bytes: &[u8]) -> bool {
    let escaped = |at: usize| matches!(bytes.get(at + 1), Some(b'x' | b'u' | b'U' | b'/' | b'\n' | b'\r'));
    spells(bytes) || memchr_iter(b'\\', bytes).any(escaped)
}

/// Whether a text has one of the groups in it.
fn spells(bytes: &[u8]) -> bool {
    GROUPS.iter().any(|group| memmem::find(bytes, group.as_bytes()).is_some())
}

/// The objects of a text that count: documents, and the items of lists.
fn objects(at: &At, stream: &Stream, found: &mut Vec<Instance>) -> Result<(), Refusal> {
    let roots = stream.documents().filter_map(|document| Some((document.index(), Vec::new(), document.root()?)));
    let mut queue: VecDeque<(usize, Vec<usize>, Node<'_>)> = roots.collect();
    while let Some((document, items, node)) = queue.pop_front() {
        let node = node.target().unwrap_or(node);
        let text =
            |key: &str| node.get(key).and_then(|value| value.target().unwrap_or(value).str()).unwrap_or_default();
        let kind = text("kind");
        if kind.ends_with("List") {
            let list = node.get("items").into_iter().flat_map(|list| list.items());
            queue.extend(list.enumerate().map(|(index, item)| {
                let mut items = items.clone();
                items.push(index);
                (document, items, item)
            }));
        } else if counts(text("apiVersion"), kind) {
            let line = node.location().line;
            let source = Source { file: at.file.to_string(), line, place: Place::Document { document, items } };
            found.push(Instance { source, value: read::convert(at, node)?, by: None, unsure: None });
        }
    }
    Ok(())
}

/// An object of a build as an instance, with the lines of the file that it is written in.
pub(super) fn instance_of(resource: &Res, written: &[Instance], root: &str) -> Instance {
    let source = resource.origin.source.clone();
    let original = written.iter().find(|instance| instance.source == source).map(|instance| &instance.value);
    let line = u32::try_from(source.line).unwrap_or(u32::MAX);
    let changed = original != Some(&resource.value);
    let value: Value = super::instance::relined(&resource.value, original, line);
    Instance { source, value, by: changed.then(|| root.to_owned()), unsure: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_texts_are_looked_into() {
        for (text, holds) in [
            ("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n", true),
            ("{\"apiVersion\": \"argoproj.io\\/v1alpha1\"}", true),
            ("apiVersion: \"\\x61rgoproj.io/v1alpha1\"\n", true),
            ("apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\n", false),
            ("a: \"\\n\"\n", false),
            ("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", false),
        ] {
            assert_eq!(may_hold(text.as_bytes()), holds, "{text}");
        }
    }
}
