//! Which folders an outer layer may mean.

use std::collections::BTreeSet;

use super::World;
use crate::kustomize::files::{is_within, join, parent};

/// The folders that a path means, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// None of this repository.
    Nothing,
    Folder(String),
    Folders(BTreeSet<String>),
    /// A path with parts that are filled in later: the texts around them.
    Pattern(Vec<String>),
    Everything,
}

impl Where {
    /// What a path means that may hold parts to be filled in: `${…}`, `{{…}}`.
    pub(super) fn of_text(path: &str) -> Self {
        let pieces = pieces(path);
        match pieces.as_slice() {
            [whole] => Self::Folder(squashed(whole)),
            [first, middle @ .., last] => {
                let mut all = vec![first.trim_start_matches("./").trim_start_matches('/').to_owned()];
                all.extend(middle.iter().map(|piece| (*piece).to_owned()));
                all.push(last.trim_end_matches('/').to_owned());
                // What is filled in may lead up again.
                if path.contains("..") { Self::Everything } else { Self::Pattern(all) }
            }
            [] => Self::Everything,
        }
    }

    /// The folders of the repository that it may mean: those with a kustomization, and those without one.
    pub(super) fn folders(&self, world: &World<'_, '_>) -> (BTreeSet<String>, BTreeSet<String>) {
        match self {
            Self::Nothing => Default::default(),
            Self::Folder(folder) if world.kustomizations.contains(folder) => {
                (BTreeSet::from([folder.clone()]), BTreeSet::new())
            }
            Self::Folder(folder) => (BTreeSet::new(), BTreeSet::from([folder.clone()])),
            Self::Folders(folders) => folders.iter().cloned().partition(|folder| world.kustomizations.contains(folder)),
            Self::Pattern(pieces) => {
                let mut folders = BTreeSet::new();
                for path in world.paths {
                    let mut folder = parent(path);
                    while !folder.is_empty() && folders.insert(folder.to_owned()) {
                        folder = parent(folder);
                    }
                }
                let without = |folder: &String| fits(pieces, folder) && !world.kustomizations.contains(folder);
                let without = folders.into_iter().filter(without).collect();
                let with = world.kustomizations.iter().filter(|folder| fits(pieces, folder));
                (with.cloned().collect(), without)
            }
            Self::Everything => (BTreeSet::new(), BTreeSet::from([String::new()])),
        }
    }
}

/// The texts around the parts of a path that are filled in later.
fn pieces(path: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = path;
    loop {
        let starts = [("${", "}"), ("{{", "}}")].map(|(open, close)| rest.find(open).map(|at| (at, close)));
        let Some((at, close)) = starts.into_iter().flatten().min() else {
            pieces.push(rest);
            return pieces;
        };
        pieces.push(&rest[..at]);
        let inner = &rest[at..];
        rest = inner.find(close).map_or("", |end| &inner[end + close.len()..]);
    }
}

/// Whether a folder has these texts in this order, from its beginning to its end.
fn fits(pieces: &[String], folder: &str) -> bool {
    let [first, middle @ .., last] = pieces else { return false };
    let Some(mut rest) = folder.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        match rest.find(piece.as_str()) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// A path from the top of a source; none if it leads out of it.
pub(super) fn clamped(path: &str) -> Option<String> {
    join("", path.trim_start_matches('/'))
}

/// A path from the top of a source, of which no part leads above it.
fn squashed(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// Whether one folder is, or lies in, another.
pub(super) fn lies_in(inner: &str, outer: &str) -> bool {
    is_within(inner, outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_a_folder_or_a_pattern() {
        let folder = |text: &str| Where::Folder(text.to_owned());
        for (path, meant) in [
            ("./apps/prod", folder("apps/prod")),
            ("/apps/prod/", folder("apps/prod")),
            ("", folder("")),
            (".", folder("")),
            ("../x/../y", folder("y")),
            ("apps/${x}/../..", Where::Everything),
        ] {
            assert_eq!(Where::of_text(path), meant, "{path}");
        }
        for (path, fitting, other) in [
            ("./apps/${env}/", "apps/prod", "base"),
            ("apps/{{ .path.basename }}/prod", "apps/a/b/prod", "apps/a/test"),
            ("{{path}}", "any/thing", "\n"),
            ("a/{{x}}/b/{{y}}/c", "a/1/b/2/c", "a/1/2/c"),
            ("a/${open", "a/x", "b"),
        ] {
            let Where::Pattern(pieces) = Where::of_text(path) else { panic!("{path} is a pattern") };
            assert!(fits(&pieces, fitting), "{path}");
            assert!(path == "{{path}}" || !fits(&pieces, other), "{path}");
        }
    }
}
