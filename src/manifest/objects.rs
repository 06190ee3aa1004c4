//! The Kubernetes objects in a stream: documents, and the items of lists.

use super::fields::resolve;
use crate::format;
use crate::yaml::{Node, Stream};

/// What an object is to ageseal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectKind {
    /// A Secret of Kubernetes, or something that says so and lacks only the right `apiVersion`.
    Secret,
    /// A sealed document of ours, of any version.
    SealedSecret,
    /// A `List`, or another kind that ends in `List` and has `items`. Its items follow it.
    List,
    /// Anything else.
    Other,
}

/// One object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// The whole object, a mapping.
    pub node: Node<'a>,
    /// The number of its document in the stream, from 0.
    pub document: usize,
    /// `apiVersion`, if it is a text.
    pub api_version: Option<&'a str>,
    /// `kind` as it is written, if it is a text.
    pub kind_name: Option<&'a str>,
    /// What it is to ageseal.
    pub kind: ObjectKind,
}

impl<'a> Object<'a> {
    /// `metadata.name`, if it is a text. Nothing about it was checked.
    pub fn name(&self) -> Option<&'a str> {
        self.metadata("name")
    }

    /// `metadata.namespace`, if it is a text. Nothing about it was checked.
    pub fn namespace(&self) -> Option<&'a str> {
        self.metadata("namespace")
    }

    fn metadata(&self, key: &str) -> Option<&'a str> {
        text(field(field(self.node, "metadata")?, key)?)
    }
}

/// Every object of a stream in the order of the text: each document that is a mapping, each item of each list, nested
/// lists too.
pub fn objects(stream: &Stream) -> impl Iterator<Item = Object<'_>> {
    let roots = stream.documents().filter_map(|document| Some((document.root()?, document.index())));
    roots.flat_map(|(root, document)| {
        let mut found = Vec::new();
        collect(root, document, None, &mut found);
        found
    })
}

// The recursion is bounded by the nesting that the stream allows.
fn collect<'a>(node: Node<'a>, document: usize, list: Option<&str>, found: &mut Vec<Object<'a>>) {
    if !node.is_mapping() {
        return;
    }
    let api_version = field(node, "apiVersion").and_then(text);
    let kind_name = field(node, "kind").and_then(text);
    let kind = match kind_name {
        // The API server leaves kind and apiVersion out of the items of a SecretList.
        None if list == Some("SecretList") && field(node, "kind").is_none() => ObjectKind::Secret,
        None => ObjectKind::Other,
        Some("Secret") if is_core(api_version) => ObjectKind::Secret,
        Some(format::KIND) if is_ours(api_version) => ObjectKind::SealedSecret,
        Some(name) if name.ends_with("List") && field(node, "items").is_some_and(|items| items.is_sequence()) => {
            ObjectKind::List
        }
        Some(_) => ObjectKind::Other,
    };
    found.push(Object { node, document, api_version, kind_name, kind });
    if kind == ObjectKind::List
        && let Some(items) = field(node, "items")
    {
        // An item that is an alias is the same text as its anchor: it is found there.
        items.items().for_each(|item| collect(item, document, kind_name, found));
    }
}

/// Whether an `apiVersion` is that of the core group, or a try at it: `v1`, `V1`, `core/v1`, a number, none.
pub(super) fn is_core(api_version: Option<&str>) -> bool {
    api_version.is_none_or(|version| !version.contains('/') || version.starts_with("core/"))
}

fn is_ours(api_version: Option<&str>) -> bool {
    let group = format::API_VERSION.split('/').next();
    api_version.is_none_or(|version| version.split('/').next() == group)
}

fn text(node: Node<'_>) -> Option<&str> {
    node.str()
}

/// How many entries of merged mappings are looked at for one key. An object has a dozen fields, wherever they come from.
const MAX_MERGED: usize = 200;

/// The value of a key, through aliases and merge keys: what an object says, not how it is written.
///
/// Merge keys may go in circles, and a few lines of them unfold to billions: after [`MAX_MERGED`] entries of merged
/// mappings the search is given up.
pub(super) fn field<'a>(node: Node<'a>, key: &str) -> Option<Node<'a>> {
    let node = resolve(node);
    match node.get(key) {
        Some(value) => Some(resolve(value)),
        None => merged(node, key, &mut { MAX_MERGED }),
    }
}

// The recursion is bounded by what is left of the entries: every step takes at least one.
fn merged<'a>(node: Node<'a>, key: &str, left: &mut usize) -> Option<Node<'a>> {
    let parts = resolve(node.get("<<")?);
    let single = (!parts.is_sequence()).then_some(parts);
    for part in parts.items().chain(single).map(resolve) {
        *left = left.saturating_sub(1 + part.entries().take(*left).count());
        if *left == 0 {
            return None;
        }
        if let Some(value) = part.get(key) {
            return Some(resolve(value));
        }
        if let Some(value) = merged(part, key, left) {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(ObjectKind, usize, Option<String>)> {
        let stream = Stream::parse(text.to_owned()).unwrap();
        objects(&stream).map(|o| (o.kind, o.document, o.name().map(str::to_owned))).collect()
    }

    fn only(text: &str) -> ObjectKind {
        let found = kinds(text);
        assert_eq!(found.len(), 1);
        found[0].0
    }

    #[test]
    fn kinds_are_told_by_group_and_kind() {
        assert_eq!(only("apiVersion: v1\nkind: Secret"), ObjectKind::Secret);
        assert_eq!(only("{\"apiVersion\": \"v1\", \"kind\": \"Secret\"}"), ObjectKind::Secret);
        assert_eq!(only("\"kind\": \"\\x53ecret\"\napiVersion: v1"), ObjectKind::Secret);
        assert_eq!(only("kind: Secret"), ObjectKind::Secret);
        assert_eq!(only("kind: Secret\napiVersion: core/v1"), ObjectKind::Secret);
        assert_eq!(only("kind: Secret\napiVersion: 1"), ObjectKind::Secret);
        assert_eq!(only("apiVersion: example.com/v1\nkind: Secret"), ObjectKind::Other);
        assert_eq!(only("apiVersion: v1\nkind: ConfigMap"), ObjectKind::Other);
        assert_eq!(only("apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret"), ObjectKind::SealedSecret);
        assert_eq!(only("apiVersion: ageseal.dev/v9\nkind: SealedSecret"), ObjectKind::SealedSecret);
        assert_eq!(only("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret"), ObjectKind::Other);
        assert_eq!(only("apiVersion: ageseal.dev/v1alpha1\nkind: Policy"), ObjectKind::Other);
        assert_eq!(only("just: a mapping"), ObjectKind::Other);
    }

    #[test]
    fn aliases_and_merge_keys_do_not_hide_a_secret() {
        assert_eq!(only("a: &k Secret\napiVersion: v1\nkind: *k"), ObjectKind::Secret);
        assert_eq!(only("base: &b {apiVersion: v1, kind: Secret}\n<<: *b"), ObjectKind::Secret);
        assert_eq!(only("a: &a {x: 1}\nb: &b {kind: Secret}\n<<: [*a, *b]"), ObjectKind::Secret);
    }

    #[test]
    fn merge_keys_that_unfold_without_end_are_given_up() {
        let mut text = "a: &a0 {x: 1}\n".to_owned();
        for level in 1..5 {
            let parts = vec![format!("*a{}", level - 1); 20].join(", ");
            text.push_str(&format!("b{level}: &a{level}\n  <<: [{parts}]\n"));
        }
        assert_eq!(only(&format!("{text}<<: *a4\n")), ObjectKind::Other);
        assert_eq!(only("a: &a {<<: *a}\n<<: *a"), ObjectKind::Other);
        let long: String = (0..2_000).map(|key| format!("k{key}: 1, ")).collect();
        assert_eq!(only(&format!("a: &a {{{long}}}\n<<: *a")), ObjectKind::Other);
        let many = vec!["*a"; 400].join(", ");
        assert_eq!(only(&format!("a: &a {{{long}}}\n<<: [{many}]")), ObjectKind::Other);
    }

    #[test]
    fn every_document_and_every_item_is_found_with_its_place() {
        let text = "---\n# nothing\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: b}\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Secret, metadata: {name: c}}\n- kind: ConfigMap\n  metadata: {name: d}\n---\n- a sequence\n---\nscalar\n";
        let found = kinds(text);
        let expected = [
            (ObjectKind::Secret, 1, Some("a".to_owned())),
            (ObjectKind::List, 2, None),
            (ObjectKind::Secret, 2, Some("b".to_owned())),
            (ObjectKind::List, 2, None),
            (ObjectKind::Secret, 2, Some("c".to_owned())),
            (ObjectKind::Other, 2, Some("d".to_owned())),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_secret_list_leaves_the_kind_of_its_items_out() {
        let found = kinds("apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: a}\n  data: {k: eA==}\n");
        assert_eq!(found[1], (ObjectKind::Secret, 0, Some("a".to_owned())));
        let found = kinds("apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n");
        assert_eq!(found[1].0, ObjectKind::Other);
    }
}
