//! The file for `configurations:` by which kustomize follows a SealedSecret as it follows a Secret.
//!
//! kustomize knows where the name of a Secret is used, and nothing of other kinds. The file says the same of a
//! SealedSecret: every place that kustomize itself knows for Secrets, and every place of [`KINDS`] and [`POD`]. The places
//! that kustomize does not know for Secrets are given for them too: the name of a shadow generator's Secret has to get
//! there whatever the order of the objects.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::config::{self, FieldSpec};
use super::ident::Gvk;
use super::references::{KINDS, KindSites, POD, Site};
use crate::format;
use crate::yaml::Node;

/// The name under which the file is written beside a kustomization.
pub const CONFIGURATION: &str = "ageseal-references.yaml";

/// The field of a SealedSecret that follows the Secret of a shadow generator.
const NAME: &str = "metadata/name";

/// The text of the file.
///
/// Guarantees: no place without a kind, so that no foreign object is walked into; the same text every time.
pub fn configuration() -> String {
    let known = known();
    let extra = extra(&known);
    let sealed = known.iter().filter(|spec| !extra.iter().any(|wide| covers(wide, spec))).chain(&extra);
    let mut text = String::from(
        "# Where the names of SealedSecrets stand, so that kustomize changes them together.\n\
         # Written by `ageseal kustomize config`; kustomizations list it under `configurations`.\n\
         nameReference:\n",
    );
    let group = format::API_VERSION.split('/').next().unwrap_or_default();
    let _ = writeln!(text, "- kind: {}\n  group: {group}\n  fieldSpecs:", format::KIND);
    sealed.for_each(|spec| line(&mut text, spec));
    text.push_str("# The Secret of a shadow generator gives its name, with its hash, to the SealedSecret.\n");
    text.push_str("- kind: Secret\n  version: v1\n  fieldSpecs:\n");
    line(&mut text, &FieldSpec { gvk: Gvk::new(group, "", format::KIND), path: NAME.to_owned(), create: false });
    extra.iter().for_each(|spec| line(&mut text, spec));
    text
}

/// Whether a text has every line of the file: then it is listed already, under whatever name.
pub fn is_configuration(text: &str) -> bool {
    let lines: BTreeSet<&str> = text.lines().collect();
    configuration().lines().filter(|line| line.starts_with("  - ")).all(|line| lines.contains(line))
}

/// The value of a field of one of kustomize's own files, its name in any case, through an alias; null counts as none.
pub(crate) fn field<'a>(node: Node<'a>, name: &str) -> Option<Node<'a>> {
    let entries = follow(node).entries().filter(|(key, _)| key.str().is_some_and(|key| key.eq_ignore_ascii_case(name)));
    entries.last().map(|(_, value)| follow(value)).filter(|value| !value.is_null())
}

/// A node, or what it is an alias of.
pub(crate) fn follow(node: Node<'_>) -> Node<'_> {
    node.target().unwrap_or(node)
}

/// What kustomize knows of Secrets by itself.
fn known() -> Vec<FieldSpec> {
    let references = config::defaults().references.into_iter().filter(|one| &*one.target.kind == "Secret");
    references.flat_map(|one| one.fields).collect()
}

/// The places of our table that it does not know.
fn extra(known: &[FieldSpec]) -> Vec<FieldSpec> {
    let all = KINDS.iter().flat_map(|kind| kind.sites.iter().flat_map(move |site| specs(kind, site)));
    all.filter(|spec| !known.iter().any(|wide| covers(wide, spec))).collect()
}

fn covers(wide: &FieldSpec, narrow: &FieldSpec) -> bool {
    wide.path == narrow.path && wide.gvk.selects(&narrow.gvk.group, &narrow.gvk.version, &narrow.gvk.kind)
}

fn specs(kind: &KindSites, site: &Site) -> Vec<FieldSpec> {
    let (group, version) = match kind.group {
        // The core group has no name, and an empty one would select any.
        "" => ("", "v1"),
        "*" => ("", ""),
        group => (group, ""),
    };
    let spec = |path: String| FieldSpec { gvk: Gvk::new(group, version, kind.kind), path, create: false };
    paths(site).into_iter().map(spec).collect()
}

/// The paths of a site as kustomize writes them: it goes through lists by itself.
fn paths(site: &Site) -> Vec<String> {
    let slashed = |path: &str, last: &str| format!("{}/{last}", path.replace("[]", "").replace('.', "/"));
    match site {
        Site::Pod(pod) => {
            let below = POD.iter().flat_map(paths);
            below.map(|path| format!("{}/{path}", pod.replace('.', "/"))).collect()
        }
        Site::Ref(place) | Site::IfSecret(place) | Site::UnlessOther(place) => vec![slashed(place, "name")],
        Site::Name(place, key) => vec![slashed(place, key)],
        Site::Annotation(key) => vec![format!("metadata/annotations/{}", key.replace('/', "\\/"))],
    }
}

fn line(text: &mut String, spec: &FieldSpec) {
    text.push_str("  - {");
    for (name, part) in [("group", &spec.gvk.group), ("version", &spec.gvk.version), ("kind", &spec.gvk.kind)] {
        if !part.is_empty() {
            let _ = write!(text, "{name}: {part}, ");
        }
    }
    let quote = if spec.path.contains('\\') { "'" } else { "" };
    let _ = writeln!(text, "path: {quote}{}{quote}}}", spec.path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kustomize::read::read_one;
    use crate::kustomize::refusal::At;

    #[test]
    fn the_file_is_read_as_it_is_meant() {
        let text = configuration();
        let at = At::new("c", 1);
        let read = config::Config::read(&at, &read_one(&at, text.as_bytes()).unwrap()).unwrap();
        assert_eq!(read.references.len(), 2);
        assert!(read.references.iter().flat_map(|one| &one.fields).all(|spec| !spec.gvk.kind.is_empty()));
        // Nothing of it contradicts what kustomize starts with.
        config::defaults().merge(&at, &read).unwrap();
        assert!(is_configuration(&text) && is_configuration(&format!("# more\n{text}- kind: X\n")));
        let less = text.replacen("  - {version: v1, kind: Pod, path: spec/volumes/secret/secretName}\n", "", 1);
        assert!(less != text && !is_configuration(&less));
    }

    #[test]
    fn every_place_of_the_table_is_in_it() {
        let text = configuration();
        for kind in KINDS {
            for site in kind.sites {
                for path in paths(site) {
                    let known = text.lines().filter(|line| line.contains(&format!("kind: {},", kind.kind)));
                    let count = known
                        .filter(|line| line.contains(&format!("path: {path}}}")) || line.contains(&format!("'{path}'")))
                        .count();
                    assert!(count >= 1, "{} {path}", kind.kind);
                }
            }
        }
        assert!(text.contains("  - {version: v1, kind: Pod, path: spec/volumes/secret/secretName}\n"));
        assert!(text.contains("path: 'metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret'}\n"));
        assert!(text.contains("  - {group: ageseal.dev, kind: SealedSecret, path: metadata/name}\n"));
        assert!(text.contains("kind: Role, path: rules/resourceNames}"));
    }
}
