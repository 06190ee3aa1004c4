//! What a kustomization says of shadows: its generators of Secrets, and the files that it lists.

use crate::kustomize::{LOCAL, field, follow};
use crate::problem::Location;
use crate::yaml::{Node, ScalarStyle, Stream};

/// The sealed document that a shadow is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.namespace`, if it has one.
    pub namespace: Option<&'a str>,
}

/// What stands in a kustomization for a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No generator of that name.
    Nothing,
    /// A shadow.
    Shadow {
        /// Where.
        at: Location,
        /// Whether it puts a hash behind the name.
        hashed: bool,
    },
    /// A generator of that name that is no shadow: its Secret is built.
    Generator {
        /// Where.
        at: Location,
    },
    /// A generator whose Secret is dropped, and that takes its data from files.
    OfFiles {
        /// Where.
        at: Location,
    },
}

/// What a kustomization has for a document.
pub fn find(kustomization: &Stream, document: Document<'_>) -> Found {
    let Some(root) = root(kustomization) else { return Found::Nothing };
    let Some(entry) = entry_for(root, document) else { return Found::Nothing };
    let at = entry.node.location();
    match (entry.local, entry.of_files) {
        (false, _) => Found::Generator { at },
        (true, true) => Found::OfFiles { at },
        (true, false) => Found::Shadow { at, hashed: entry.hashed },
    }
}

/// The files that a kustomization lists under `configurations`, as they are written.
pub fn configurations(kustomization: &Stream) -> Vec<&str> {
    let list = root(kustomization).and_then(|root| field(root, "configurations"));
    list.into_iter().flat_map(|list| list.items()).filter_map(|entry| follow(entry).str()).collect()
}

/// Where `generatorOptions` switch the hash off for every generator, if they do.
pub fn switches_hashes_off(kustomization: &Stream) -> Option<Location> {
    let option = field(field(root(kustomization)?, "generatorOptions")?, "disableNameSuffixHash");
    option.filter(|option| is_true(Some(*option))).map(|option| option.location())
}

/// The one mapping that a kustomization is.
pub(super) fn root(kustomization: &Stream) -> Option<Node<'_>> {
    kustomization.documents().find_map(|document| document.root()).filter(Node::is_mapping)
}

/// An entry of `secretGenerator`, as far as shadows go.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) node: Node<'a>,
    /// Whether its Secret is dropped at the end.
    pub(super) local: bool,
    /// Whether its name gets a hash.
    pub(super) hashed: bool,
    /// Whether some of its data comes from files.
    pub(super) of_files: bool,
    pub(super) literals: Option<Node<'a>>,
}

/// The entry of a document. Where names are equal, the one of the same namespace goes before one that leaves it open.
pub(super) fn entry_for<'a>(root: Node<'a>, document: Document<'_>) -> Option<Entry<'a>> {
    let namespace = |node: Node<'a>| text(node, "namespace").filter(|namespace| *namespace != "default");
    let wanted = document.namespace.filter(|namespace| *namespace != "default");
    let named = field(root, "secretGenerator")?.items().map(follow).filter(|node| {
        let of_name = text(*node, "name") == Some(document.name);
        // An entry of an overlay adds to the shadow of its base.
        of_name && !matches!(text(*node, "behavior"), Some("merge" | "replace"))
    });
    let named: Vec<Node<'a>> = named.collect();
    let same = named.iter().find(|node| namespace(**node) == wanted);
    let open = || named.iter().find(|node| namespace(**node).is_none() || wanted.is_none());
    same.or_else(open).map(|node| read(root, *node))
}

/// The namespace of the shadow of a document, as it is written; none if there is no shadow with a hash.
pub fn namespace_of<'a>(kustomization: &'a Stream, document: Document<'_>) -> Option<Option<&'a str>> {
    let entry = entry_for(root(kustomization)?, document).filter(|entry| entry.local && entry.hashed)?;
    Some(text(entry.node, "namespace"))
}

/// The entry by which an overlay merges into the shadow of its base.
pub(super) fn merged_entry_for<'a>(root: Node<'a>, document: Document<'_>) -> Option<Entry<'a>> {
    let is_it = |node: &Node<'a>| {
        let namespace = text(*node, "namespace");
        let same = namespace.is_none() || document.namespace.is_none() || namespace == document.namespace;
        text(*node, "name") == Some(document.name) && text(*node, "behavior") == Some("merge") && same
    };
    field(root, "secretGenerator")?.items().map(follow).find(is_it).map(|node| read(root, node))
}

fn read<'a>(root: Node<'a>, node: Node<'a>) -> Entry<'a> {
    let options = [field(node, "options"), field(root, "generatorOptions")];
    // What is said locally wins, but for a hash that is switched off.
    let local = options.into_iter().flatten().find_map(|options| {
        let annotations = field(options, "annotations")?;
        annotations.entries().find(|(key, _)| key.str() == Some(LOCAL)).and_then(|(_, value)| follow(value).str())
    });
    let no_hash = options.into_iter().flatten().any(|options| is_true(field(options, "disableNameSuffixHash")));
    Entry {
        node,
        local: local.is_some_and(|value| value != "false"),
        hashed: !no_hash,
        of_files: ["files", "envs", "env"].iter().any(|name| field(node, name).is_some_and(|list| !is_empty(list))),
        literals: field(node, "literals"),
    }
}

/// Whether a field is true, as YAML 1.1 has it.
fn is_true(node: Option<Node<'_>>) -> bool {
    let plain = node.filter(|node| node.scalar_style() == Some(ScalarStyle::Plain) && node.tag().is_none());
    let text = plain.and_then(|node| node.str()).unwrap_or_default();
    ["true", "yes", "on", "y"].iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn is_empty(node: Node<'_>) -> bool {
    node.str().map_or_else(|| node.items().next().is_none(), str::is_empty)
}

/// The text of a field, if it has one.
fn text<'a>(node: Node<'a>, name: &str) -> Option<&'a str> {
    field(node, name)?.str().filter(|text| !text.is_empty())
}
