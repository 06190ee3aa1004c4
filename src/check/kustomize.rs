//! Which files the kustomizations of a tree list as patches.

pub(super) use crate::kustomize::follow;
use crate::kustomize::{NAMES, join};
use crate::yaml::{Node, Stream};

/// Whether a path is that of a kustomization.
pub fn is_kustomization(path: &str) -> bool {
    NAMES.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// The files that a kustomization lists as patches: paths from the top of the repository, as its own is.
///
/// Nothing if it is not readable as YAML: kustomize does not take it either.
pub fn patches_of(path: &str, bytes: Vec<u8>) -> Vec<String> {
    Stream::from_bytes(bytes).map_or_else(|_| Vec::new(), |stream| listed(&stream, path))
}

/// Whether a kustomization can list a patch. Its keys are taken in any case.
pub(super) fn may_patch(bytes: &[u8]) -> bool {
    bytes.windows(7).any(|word| word.eq_ignore_ascii_case(b"patches"))
}

pub(super) fn listed(stream: &Stream, path: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let roots = stream.documents().filter_map(|document| document.root());
    let entries = roots.flat_map(|root| root.entries()).filter(|(key, _)| key.str().is_some_and(is_patch_field));
    let files = entries.flat_map(|(_, list)| follow(list).items()).filter_map(|entry| {
        let entry = follow(entry);
        // A bare text is a path or an inline patch; what joins to no file is passed over by whoever compares.
        entry.str().or_else(|| path_of(entry))
    });
    files.filter_map(|file| join(folder, file)).collect()
}

fn is_patch_field(key: &str) -> bool {
    ["patches", "patchesStrategicMerge", "patchesJson6902"].iter().any(|field| field.eq_ignore_ascii_case(key))
}

fn path_of(entry: Node<'_>) -> Option<&str> {
    follow(field(entry, "path")?.1).str()
}

/// An entry by its key in any case, as kustomize takes it.
pub(super) fn field<'a>(node: Node<'a>, name: &str) -> Option<(Node<'a>, Node<'a>)> {
    node.entries().find(|(key, _)| key.str().is_some_and(|key| key.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_fields_are_read_and_paths_made_whole() {
        let text = "resources: [../../base]\nPatches:\n- path: db.patch.yaml\n  target: {kind: SealedSecret}\n- patch: |-\n    - op: add\npatchesStrategicMerge:\n- ./sub/a.yaml\n- ../b.yaml\n- ../../../out.yaml\npatchesJson6902:\n- {target: {kind: x}, path: j.yaml}\n";
        assert!(may_patch(text.as_bytes()));
        assert_eq!(
            patches_of("overlays/prod/kustomization.yaml", text.into()),
            ["overlays/prod/db.patch.yaml", "overlays/prod/sub/a.yaml", "overlays/b.yaml", "overlays/prod/j.yaml"]
        );
        assert_eq!(patches_of("kustomization.yaml", b"patches: [{path: a.yaml}]".to_vec()), ["a.yaml"]);
    }

    #[test]
    fn other_texts_list_nothing() {
        for text in ["", "patches:", "patches: x", "patches: [{target: {}}]", "- patches", "patches: {", "a: b"] {
            assert_eq!(patches_of("k/kustomization.yaml", text.into()), Vec::<String>::new(), "{text}");
        }
        assert!(!may_patch(b"resources: [a.yaml]\n"));
    }

    #[test]
    fn kustomizations_are_known_by_name() {
        for path in ["kustomization.yaml", "a/kustomization.yml", "a/b/Kustomization"] {
            assert!(is_kustomization(path), "{path}");
        }
        for path in ["a/my-kustomization.yaml", "kustomization.json", "Kustomization/a.yaml"] {
            assert!(!is_kustomization(path), "{path}");
        }
    }
}
