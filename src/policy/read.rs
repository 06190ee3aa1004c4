//! Reading fields out of a YAML node, every problem noted and nothing guessed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::problem::{Location, Problem};
use crate::yaml::{Kind, Node};

use super::typo;

/// Collects what is wrong while fields are read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

/// A text with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) at: Location,
}

impl Reader {
    pub(super) fn note(&mut self, problem: Problem, at: Location) {
        self.problems.push(problem.at(at));
    }

    /// Whether the node is a mapping; notes it if not, and every field of it that is not known.
    pub(super) fn mapping(&mut self, node: Node<'_>, what: &str, known: &[&str]) -> bool {
        if node.kind() != Kind::Mapping {
            self.wrong_type(node, what, "a mapping");
            return false;
        }
        for (key, _) in node.entries() {
            let name = key.str().unwrap_or_default();
            if known.contains(&name) {
                continue;
            }
            let hint = match typo::nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let problem = Problem::error("unknown-field", format!("{what} has the unknown field {name:?}"));
            self.note(problem.hint(hint), key.location());
        }
        true
    }

    /// The value of a field that must be there.
    pub(super) fn required<'a>(&mut self, node: Node<'a>, what: &str, field: &str, example: &str) -> Option<Node<'a>> {
        let value = node.get(field);
        if value.is_none() {
            let problem = Problem::error("missing-field", format!("{what} has no {field}"));
            self.note(problem.hint(format!("add {field}: {example}")), node.location());
        }
        value
    }

    /// The items of a sequence; notes whatever is no sequence, or is empty.
    pub(super) fn items<'a>(&mut self, node: Node<'a>, what: &str, example: &str) -> Vec<Node<'a>> {
        if node.kind() != Kind::Sequence {
            self.wrong_type(node, what, "a list");
            return vec![];
        }
        let items: Vec<_> = node.items().collect();
        if items.is_empty() {
            let problem = Problem::error("empty-list", format!("{what} is empty"));
            self.note(problem.hint(format!("write at least one: {example}")), node.location());
        }
        items
    }

    /// The strings of a sequence without the ones that are there twice, which are noted.
    pub(super) fn strings<'a>(&mut self, node: Node<'a>, what: &str, example: &str) -> Vec<Text<'a>> {
        let items = self.items(node, what, example);
        let mut texts: Vec<Text<'a>> = vec![];
        let mut seen: HashMap<&str, Location> = HashMap::new();
        for item in items {
            let Some(text) = self.string(item, &format!("an item of {what}")) else { continue };
            match seen.entry(text.text) {
                Entry::Vacant(place) => {
                    place.insert(text.at);
                    texts.push(text);
                }
                Entry::Occupied(first) => {
                    let message = format!("{what} has {:?} twice, first at {}", text.text, first.get());
                    self.note(Problem::error("duplicate-item", message).hint("keep one of them"), text.at);
                }
            }
        }
        texts
    }

    /// A string that every reader takes for one; notes whatever else it is.
    pub(super) fn string<'a>(&mut self, node: Node<'a>, what: &str) -> Option<Text<'a>> {
        let text = node.as_string();
        if text.is_none() {
            self.wrong_type(node, what, "a string");
        }
        text.map(|text| Text { text, at: node.location() })
    }

    /// `true` or `false`; notes whatever else it is.
    pub(super) fn boolean(&mut self, node: Node<'_>, what: &str) -> Option<bool> {
        let value = node.as_bool();
        if value.is_none() {
            self.wrong_type(node, what, "true or false");
        }
        value
    }

    fn wrong_type(&mut self, node: Node<'_>, what: &str, wanted: &str) {
        let (is, hint) = match node.kind() {
            Kind::Mapping => ("a mapping", None),
            Kind::Sequence => ("a list", None),
            Kind::Alias => ("an alias", Some("write the value out: a policy is read by people")),
            _ if node.is_null() => ("empty", None),
            _ if node.as_string().is_some() => ("a string", None),
            _ if wanted == "a string" => ("not a string to every YAML reader", Some("quote it")),
            _ => ("a single value", None),
        };
        let problem = Problem::error("wrong-type", format!("{what} is {is}, not {wanted}"));
        let problem = match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        };
        self.note(problem, node.location());
    }
}
