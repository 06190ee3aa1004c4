//! Reading the fields of an object strictly, and telling everything that is wrong with them.
//!
//! Guarantees: no problem holds a value. Tags, anchors and aliases are not named either: `password: !hunter2` is a text
//! whose quotes were forgotten.

use std::collections::BTreeMap;

use super::names;
use crate::problem::Problem;
use crate::yaml::{Kind, Node, PlainType};

/// The most bytes that the annotations of one object may sum to, keys counted.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Collects problems while an object is read.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) problems: Vec<Problem>,
}

impl Fields {
    pub(super) fn say(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The entries of a mapping whose keys are names that every reader takes for the same text.
    ///
    /// Nothing for null. Anything but a mapping, a merge key and a key that is no text are told and left out.
    pub(super) fn entries<'a>(&mut self, node: Node<'a>, what: &str) -> Vec<(&'a str, Node<'a>, Node<'a>)> {
        if is_bare_null(node) {
            return Vec::new();
        }
        if node.kind() != Kind::Mapping || foreign_tag(node) {
            self.say(wrong_kind(node, what, "mapping"));
            return Vec::new();
        }
        let mut entries = Vec::new();
        for (key, value) in node.entries() {
            if key.str() == Some("<<") {
                self.say(
                    Problem::error("merge-key", format!("{what} has a merge key"))
                        .at(key.location())
                        .hint("write the entries out: a merge key hides what is meant from readers and from edits"),
                );
            } else if let Some(name) = key.as_string() {
                entries.push((name, key, value));
            } else {
                self.say(not_a_string(key, &format!("a key of {what}")));
            }
        }
        entries
    }

    /// Tells every entry that is not one of the known fields.
    pub(super) fn only_known(&mut self, entries: &[(&str, Node<'_>, Node<'_>)], what: &str, known: &[&str]) {
        for (name, key, _) in entries.iter().filter(|(name, ..)| !known.contains(name)) {
            let shown =
                if names::data_key_fault(name).is_none() { format!("the field {name}") } else { "such a field".into() };
            let mut problem =
                Problem::error("unknown-field", format!("{what} does not have {shown}")).at(key.location());
            problem.hint = Some(match names::nearest(name, known) {
                Some(near) => format!("write {near} if that is meant"),
                None => format!("the fields are {}", known.join(", ")),
            });
            self.say(problem);
        }
    }

    /// The text of a scalar that is a string to every reader.
    pub(super) fn string<'a>(&mut self, node: Node<'a>, what: &str) -> Option<&'a str> {
        let text = node.as_string();
        if text.is_none() {
            self.say(not_a_string(node, what));
        }
        text
    }

    /// A plain `true` or `false`; nothing for null.
    pub(super) fn boolean(&mut self, node: Node<'_>, what: &str) -> Option<bool> {
        if is_bare_null(node) {
            return None;
        }
        let value = node.as_bool();
        if value.is_none() {
            self.say(
                Problem::error("not-a-bool", format!("{what} is neither true nor false"))
                    .at(node.location())
                    .hint("write true or false, without quotes"),
            );
        }
        value
    }

    /// `labels` of an object.
    pub(super) fn labels(&mut self, node: Option<Node<'_>>, what: &str) -> BTreeMap<String, String> {
        let labels = self.string_map(node, what, "label");
        for (key, value, at) in &labels {
            if let Some(fault) = names::label_value_fault(value) {
                self.say(
                    Problem::error("bad-label", format!("the value of the label {key} {fault}")).at(at.location()),
                );
            }
        }
        labels.into_iter().map(|(key, value, _)| (key, value)).collect()
    }

    /// `annotations` of an object.
    pub(super) fn annotations(&mut self, node: Option<Node<'_>>, what: &str) -> BTreeMap<String, String> {
        let annotations = self.string_map(node, what, "annotation");
        let total: usize = annotations.iter().map(|(key, value, _)| key.len() + value.len()).sum();
        if let Some(node) = node.filter(|_| total > MAX_ANNOTATIONS) {
            self.say(
                Problem::error("too-large", format!("the annotations sum to {total} bytes; Kubernetes takes 262144"))
                    .at(node.location()),
            );
        }
        annotations.into_iter().map(|(key, value, _)| (key, value)).collect()
    }

    /// A mapping of texts. An alias is followed: nothing is ever edited through one here.
    fn string_map<'a>(&mut self, node: Option<Node<'a>>, what: &str, one: &str) -> Vec<(String, String, Node<'a>)> {
        let Some(node) = node.map(resolve) else { return Vec::new() };
        let mut map = Vec::new();
        for (name, key, value) in self.entries(node, what) {
            if let Some(fault) = names::qualified_name_fault(name) {
                self.say(
                    Problem::error("bad-label", format!("the key of the {one} {name} {fault}")).at(key.location()),
                );
            } else if let Some(text) = self.string(resolve(value), &format!("the value of the {one} {name}")) {
                map.push((name.to_owned(), text.to_owned(), value));
            }
        }
        map
    }
}

/// The node that an alias refers to; any other node is itself.
pub(super) fn resolve(node: Node<'_>) -> Node<'_> {
    node.target().unwrap_or(node)
}

/// Whether nothing at all was written, or null; an anchor or a tag is something.
pub(super) fn is_bare_null(node: Node<'_>) -> bool {
    node.is_null() && node.anchor().is_none()
}

/// Whether a collection has a tag other than the one it has anyway.
fn foreign_tag(node: Node<'_>) -> bool {
    node.tag().is_some() && !node.has_core_tag("map") && !node.has_core_tag("seq")
}

/// Says that a node is not the collection that it should be.
pub(super) fn wrong_kind(node: Node<'_>, what: &str, wanted: &str) -> Problem {
    match node.kind() {
        Kind::Alias => alias(node, what),
        _ if node.tag().is_some() => tagged(node, what),
        Kind::Mapping => {
            Problem::error("wrong-kind", format!("{what} is a mapping, not a {wanted}")).at(node.location())
        }
        Kind::Sequence => Problem::error("wrong-kind", format!("{what} is a list, not a {wanted}")).at(node.location()),
        Kind::Scalar => Problem::error("wrong-kind", format!("{what} is not a {wanted}")).at(node.location()),
    }
}

/// Says why a node is not a text to every reader.
pub(super) fn not_a_string(node: Node<'_>, what: &str) -> Problem {
    let is = match (node.kind(), node.plain_type()) {
        (Kind::Alias, _) => return alias(node, what),
        _ if node.tag().is_some() => return tagged(node, what),
        (Kind::Mapping, _) => "a mapping",
        (Kind::Sequence, _) => "a list",
        (Kind::Scalar, PlainType::Null) if node.anchor().is_some() => {
            return Problem::error("not-a-string", format!("{what} is an anchor with nothing behind it"))
                .at(node.location())
                .hint("quote it: a text that begins with & is an anchor to YAML");
        }
        (Kind::Scalar, PlainType::Null) => "null",
        (Kind::Scalar, PlainType::Bool) => "a bool",
        (Kind::Scalar, PlainType::Int | PlainType::Float) => "a number",
        (Kind::Scalar, PlainType::Timestamp) => "a date to some YAML readers",
        (Kind::Scalar, _) => "a bool or a number to some YAML readers",
    };
    Problem::error("not-a-string", format!("{what} is {is}, not a text")).at(node.location()).hint(
        match (node.kind(), node.plain_type()) {
            (Kind::Scalar, PlainType::Null) => "write \"\" if an empty text is meant; quote it if the word is",
            (Kind::Scalar, _) => "quote it",
            _ => "write one text: a quoted one, or a block after |",
        },
    )
}

fn alias(node: Node<'_>, what: &str) -> Problem {
    Problem::error("alias", format!("{what} is an alias"))
        .at(node.location())
        .hint("write the value out; if it is a text that begins with *, quote it")
}

fn tagged(node: Node<'_>, what: &str) -> Problem {
    Problem::error("tag", format!("{what} has a YAML tag"))
        .at(node.location())
        .hint("leave the tag off; if it is a text that begins with !, quote it")
}
