//! What a text says, by yaml-rust2: another parser, with another history than the one under test.

use std::collections::BTreeMap;

use ageseal::yaml::{Kind, Node, ScalarStyle, Stream, Value};
use yaml_rust2::Event;
use yaml_rust2::parser::Parser;
use yaml_rust2::scanner::TScalarStyle;

/// One event, in words. Anchors are numbered in the order in which they appear.
pub type Said = String;

/// A document as a tree, so that an edit can be made to it.
#[derive(Clone)]
pub enum Tree {
    Scalar {
        text: String,
        style: &'static str,
        properties: Properties,
    },
    Sequence {
        items: Vec<Tree>,
        properties: Properties,
    },
    Mapping {
        entries: Vec<(Tree, Tree)>,
        properties: Properties,
    },
    Alias(usize),
    /// A value that was written; its style is the editor's choice.
    New {
        value: Value,
        properties: Properties,
    },
}

/// The anchor's number or 0, and the tag.
pub type Properties = (usize, String);

/// The events of a text, or none if yaml-rust2 refuses it.
pub fn events(text: &str) -> Option<Vec<Event>> {
    // It takes a byte-order mark for a part of the first key.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser::new(text.chars());
    let mut events = Vec::new();
    loop {
        let event = parser.next_token().ok()?.0;
        if event == Event::StreamEnd {
            return Some(events);
        }
        events.push(event);
    }
}

/// The documents of a text.
pub fn documents(text: &str) -> Option<Vec<Tree>> {
    let events = events(text)?;
    let mut events = events.into_iter().filter(|event| !matches!(event, Event::StreamStart | Event::DocumentEnd));
    let mut documents = Vec::new();
    while let Some(event) = events.next() {
        assert_eq!(event, Event::DocumentStart);
        documents.push(tree(events.next().unwrap(), &mut events));
    }
    Some(documents)
}

fn tag_of(tag: Option<yaml_rust2::parser::Tag>) -> String {
    tag.map(|tag| format!("{}{}", tag.handle, tag.suffix)).unwrap_or_default()
}

fn tree(event: Event, rest: &mut impl Iterator<Item = Event>) -> Tree {
    match event {
        Event::Scalar(text, style, anchor, tag) => {
            let style = match style {
                TScalarStyle::Plain => "plain",
                TScalarStyle::SingleQuoted => "single",
                TScalarStyle::DoubleQuoted => "double",
                TScalarStyle::Literal => "literal",
                TScalarStyle::Folded => "folded",
            };
            Tree::Scalar { text, style, properties: (anchor, tag_of(tag)) }
        }
        Event::Alias(anchor) => Tree::Alias(anchor),
        Event::SequenceStart(anchor, tag) => {
            let mut items = Vec::new();
            loop {
                match rest.next().unwrap() {
                    Event::SequenceEnd => return Tree::Sequence { items, properties: (anchor, tag_of(tag)) },
                    event => items.push(tree(event, rest)),
                }
            }
        }
        Event::MappingStart(anchor, tag) => {
            let mut entries = Vec::new();
            loop {
                match rest.next().unwrap() {
                    Event::MappingEnd => return Tree::Mapping { entries, properties: (anchor, tag_of(tag)) },
                    event => {
                        let key = tree(event, rest);
                        entries.push((key, tree(rest.next().unwrap(), rest)));
                    }
                }
            }
        }
        event => panic!("{event:?}"),
    }
}

/// What trees say, as a list of events to compare.
struct Teller {
    said: Vec<Said>,
    anchors: BTreeMap<usize, usize>,
}

pub fn tell(documents: &[Tree]) -> Vec<Said> {
    let mut teller = Teller { said: Vec::new(), anchors: BTreeMap::new() };
    for document in documents {
        teller.said.push("document".to_owned());
        teller.tree(document);
    }
    teller.said
}

impl Teller {
    fn properties(&mut self, (anchor, tag): &Properties) -> String {
        if *anchor == 0 {
            return tag.clone();
        }
        let number = self.anchors.len() + 1;
        self.anchors.insert(*anchor, number);
        format!("&{number} {tag}")
    }

    fn tree(&mut self, tree: &Tree) {
        match tree {
            Tree::Scalar { text, style, properties } => {
                let properties = self.properties(properties);
                // What is not there is told as `~` by one parser, as nothing by the other.
                let text = if *style == "plain" && text == "~" { "" } else { text };
                self.said.push(format!("{style} {properties} {text:?}"));
            }
            Tree::Alias(anchor) => {
                let number = self.anchors.get(anchor).copied();
                self.said.push(format!("alias {number:?}"));
            }
            Tree::Sequence { items, properties } => {
                let properties = self.properties(properties);
                self.said.push(format!("[ {properties}"));
                items.iter().for_each(|item| self.tree(item));
                self.said.push("]".to_owned());
            }
            Tree::Mapping { entries, properties } => {
                let properties = self.properties(properties);
                self.said.push(format!("{{ {properties}"));
                for (key, value) in entries {
                    self.tree(key);
                    self.tree(value);
                }
                self.said.push("}".to_owned());
            }
            Tree::New { value, properties } => {
                let properties = self.properties(properties);
                self.value(value, &properties);
            }
        }
    }

    fn value(&mut self, value: &Value, properties: &str) {
        match value {
            Value::Null => self.said.push(format!("? {properties} \"null\"")),
            Value::Bool(value) => self.said.push(format!("? {properties} {:?}", value.to_string())),
            Value::Plain(text) | Value::Str(text) | Value::SingleQuoted(text) | Value::Literal(text) => {
                self.said.push(format!("? {properties} {text:?}"));
            }
            Value::Seq(items) | Value::FlowSeq(items) => {
                self.said.push(format!("[ {properties}"));
                items.iter().for_each(|item| self.value(item, ""));
                self.said.push("]".to_owned());
            }
            Value::Map(entries) => {
                self.said.push(format!("{{ {properties}"));
                for (key, value) in entries {
                    self.said.push(format!("?  {key:?}"));
                    self.value(value, "");
                }
                self.said.push("}".to_owned());
            }
            _ => panic!("a value that is not known here"),
        }
    }
}

/// Whether two texts say the same; `?` stands for any style.
pub fn agree(wanted: &[Said], found: &[Said]) -> bool {
    wanted.len() == found.len()
        && wanted.iter().zip(found).all(|(wanted, found)| match wanted.strip_prefix('?') {
            Some(wanted) => found.split_once(' ').is_some_and(|(_, rest)| wanted.strip_prefix(' ') == Some(rest)),
            None => wanted == found,
        })
}

/// What a stream says, by the parser under test.
pub fn tell_stream(stream: &Stream) -> Vec<Said> {
    let mut said = Vec::new();
    let mut anchors = Vec::new();
    for document in stream.documents() {
        said.push("document".to_owned());
        match document.root() {
            Some(root) => tell_node(root, &mut said, &mut anchors),
            None => said.push("plain  \"\"".to_owned()),
        }
    }
    said
}

fn tell_node(node: Node<'_>, said: &mut Vec<Said>, anchors: &mut Vec<usize>) {
    let place = node.full_span().start;
    let tag = match node.tag() {
        Some("!!str") => "tag:yaml.org,2002:str".to_owned(),
        tag => tag.unwrap_or_default().to_owned(),
    };
    let mut properties = tag;
    if node.anchor().is_some() {
        anchors.push(place);
        properties = format!("&{} {properties}", anchors.len());
    }
    match node.kind() {
        Kind::Scalar => {
            let style = match node.scalar_style().unwrap() {
                ScalarStyle::Plain => "plain",
                ScalarStyle::SingleQuoted => "single",
                ScalarStyle::DoubleQuoted => "double",
                ScalarStyle::Literal => "literal",
                ScalarStyle::Folded => "folded",
            };
            let text = node.str().unwrap();
            let text = if style == "plain" && text == "~" { "" } else { text };
            said.push(format!("{style} {properties} {text:?}"));
        }
        Kind::Alias => {
            let target = node.target().unwrap().full_span().start;
            let number = anchors.iter().rposition(|place| *place == target).map(|index| index + 1);
            said.push(format!("alias {number:?}"));
        }
        Kind::Sequence => {
            said.push(format!("[ {properties}"));
            node.items().for_each(|item| tell_node(item, said, anchors));
            said.push("]".to_owned());
        }
        Kind::Mapping => {
            said.push(format!("{{ {properties}"));
            for (key, value) in node.entries() {
                tell_node(key, said, anchors);
                tell_node(value, said, anchors);
            }
            said.push("}".to_owned());
        }
    }
}
