//! A view of one node.

use std::fmt;
use std::ops::Range;

use super::plain::{PlainType, plain_type};
use super::stream::Stream;
use crate::problem::Location;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Keys and values.
    Mapping,
    /// Items.
    Sequence,
    /// Text.
    Scalar,
    /// `*name`.
    Alias,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalarStyle {
    /// Bare, possibly empty.
    Plain,
    /// `'…'`.
    SingleQuoted,
    /// `"…"`.
    DoubleQuoted,
    /// `|`.
    Literal,
    /// `>`.
    Folded,
}

/// The stored form of a node: one entry of the arena.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    pub(super) kind: Kind,
    pub(super) style: ScalarStyle,
    pub(super) flow: bool,
    /// A mapping in a flow sequence that is written without braces: `[key: value]`.
    pub(super) pair: bool,
    /// The text is `decoded[text.0]`, not a range of the source.
    pub(super) owned: bool,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Scalar: range of the source, or the index of a decoded text. Alias: the id of its target.
    pub(super) text: (u32, u32),
    /// Index of tag and anchor, or `NONE`.
    pub(super) props: u32,
    pub(super) parent: u32,
    pub(super) first: u32,
    pub(super) next: u32,
}

/// Where a node's tag and anchor stand; empty ranges for none.
#[derive(Clone, Copy, Default)]
pub(super) struct Props {
    pub(super) tag: (u32, u32),
    /// Without the `&`.
    pub(super) anchor: (u32, u32),
}

/// One node of a stream.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub(super) stream: &'a Stream,
    pub(super) id: u32,
}

impl<'a> Node<'a> {
    pub(super) fn raw(&self) -> &'a Raw {
        &self.stream.nodes[self.id as usize]
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.raw().kind
    }

    /// Whether it is a mapping.
    pub fn is_mapping(&self) -> bool {
        self.kind() == Kind::Mapping
    }

    /// Whether it is a sequence.
    pub fn is_sequence(&self) -> bool {
        self.kind() == Kind::Sequence
    }

    /// Whether it is a scalar.
    pub fn is_scalar(&self) -> bool {
        self.kind() == Kind::Scalar
    }

    /// Whether it is a collection in flow style, such as `{…}`, `[…]` or the pair in `[key: value]`.
    pub fn is_flow(&self) -> bool {
        self.raw().flow
    }

    /// The stream it belongs to.
    pub fn stream(&self) -> &'a Stream {
        self.stream
    }

    /// Its exact bytes, without tag and anchor.
    ///
    /// Quoted scalars with their quotes; block scalars from the `|` or `>` to the end of the last line that is content,
    /// without that line's break (with `+`, trailing blank lines are content); flow collections with their brackets;
    /// block collections from the first key, `?` or `-` to the end of the last value. An empty value has an empty span
    /// after its `:` or `-`.
    pub fn span(&self) -> Range<usize> {
        let raw = self.raw();
        raw.start as usize..raw.end as usize
    }

    /// Its bytes with tag and anchor.
    pub fn full_span(&self) -> Range<usize> {
        let span = self.span();
        let props = self.props();
        let mut start = span.start;
        for (from, to) in [props.tag, (props.anchor.0.saturating_sub(1), props.anchor.1)] {
            if to != 0 {
                start = start.min(from as usize);
            }
        }
        start..span.end
    }

    /// The line and column of its first byte.
    pub fn location(&self) -> Location {
        self.stream.location(self.raw().start as usize)
    }

    /// The decoded text of a scalar, whatever its style.
    pub fn str(&self) -> Option<&'a str> {
        let raw = self.raw();
        if raw.kind != Kind::Scalar {
            return None;
        }
        Some(if raw.owned {
            self.stream.decoded[raw.text.0 as usize].as_str()
        } else {
            &self.stream.text[raw.text.0 as usize..raw.text.1 as usize]
        })
    }

    /// The bytes of the node as they are written.
    pub fn source(&self) -> &'a str {
        &self.stream.text[self.span()]
    }

    /// How a scalar is written.
    pub fn scalar_style(&self) -> Option<ScalarStyle> {
        let raw = self.raw();
        (raw.kind == Kind::Scalar).then_some(raw.style)
    }

    /// What a plain scalar would be to the readers of YAML 1.1 and 1.2, tags left aside.
    ///
    /// `Str` for quoted and block scalars, and for what is no scalar.
    pub fn plain_type(&self) -> PlainType {
        match (self.scalar_style(), self.str()) {
            (Some(ScalarStyle::Plain), Some(text)) => plain_type(text),
            _ => PlainType::Str,
        }
    }

    /// The text of a scalar that is a string to every reader.
    ///
    /// Quoted, block, a plain one whose [`plain_type`](Self::plain_type) is `Str`, or a non-empty one with the tag
    /// `!!str`; `None` with any other tag.
    pub fn as_string(&self) -> Option<&'a str> {
        let text = self.str()?;
        match self.tag() {
            None => (self.plain_type() == PlainType::Str).then_some(text),
            Some(_) if self.has_core_tag("str") && self.raw().start != self.raw().end => Some(text),
            Some(_) => None,
        }
    }

    /// Whether it is a plain `null` or `~`, or nothing, without a tag.
    pub fn is_null(&self) -> bool {
        self.scalar_style() == Some(ScalarStyle::Plain) && self.tag().is_none() && self.plain_type() == PlainType::Null
    }

    /// A plain `true` or `false`, in these spellings, without a tag.
    pub fn as_bool(&self) -> Option<bool> {
        if self.scalar_style() != Some(ScalarStyle::Plain) || self.tag().is_some() {
            return None;
        }
        match self.str() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        }
    }

    /// The value of a key of a mapping. Keys are compared by decoded text.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The key node and value node of a key of a mapping.
    pub fn entry(&self, key: &str) -> Option<(Node<'a>, Node<'a>)> {
        self.entries().find(|(node, _)| node.str() == Some(key))
    }

    /// The keys and values of a mapping, in order; nothing for what is no mapping.
    ///
    /// `<<` is an ordinary key here.
    pub fn entries(&self) -> Entries<'a> {
        let raw = self.raw();
        Entries { stream: self.stream, next: if raw.kind == Kind::Mapping { raw.first } else { NONE } }
    }

    /// The items of a sequence, in order; nothing for what is no sequence.
    pub fn items(&self) -> Items<'a> {
        let raw = self.raw();
        Items { stream: self.stream, next: if raw.kind == Kind::Sequence { raw.first } else { NONE } }
    }

    /// The collection that it stands in.
    pub fn parent(&self) -> Option<Node<'a>> {
        self.stream.node(self.raw().parent)
    }

    /// The tag as it is written, such as `!!binary`.
    pub fn tag(&self) -> Option<&'a str> {
        let (start, end) = self.props().tag;
        (end != 0).then(|| &self.stream.text[start as usize..end as usize])
    }

    /// Whether the tag is the one of the YAML core namespace with this name, in either spelling.
    pub fn has_core_tag(&self, name: &str) -> bool {
        self.tag().is_some_and(|tag| {
            let short = tag.strip_prefix("!!");
            short.or_else(|| tag.strip_prefix("!<tag:yaml.org,2002:")?.strip_suffix('>')) == Some(name)
        })
    }

    /// The anchor's name, without the `&`.
    pub fn anchor(&self) -> Option<&'a str> {
        let (start, end) = self.props().anchor;
        (end != 0).then(|| &self.stream.text[start as usize..end as usize])
    }

    /// The node that an alias refers to. It may be a collection that the alias stands in: whoever follows must stop.
    pub fn target(&self) -> Option<Node<'a>> {
        let raw = self.raw();
        if raw.kind == Kind::Alias { self.stream.node(raw.text.0) } else { None }
    }

    /// The comments within [`span`](Self::span).
    pub fn comments(&self) -> impl Iterator<Item = super::Comment<'a>> + use<'a> {
        self.stream.comments_in(self.span())
    }

    fn props(&self) -> Props {
        let index = self.raw().props;
        if index == NONE { Props::default() } else { self.stream.props[index as usize] }
    }
}

impl PartialEq for Node<'_> {
    /// The same node of the same stream, not equal contents.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.stream, other.stream) && self.id == other.id
    }
}

impl Eq for Node<'_> {}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("kind", &self.kind()).field("span", &self.span()).finish_non_exhaustive()
    }
}

/// The entries of a mapping: pairs of key and value.
#[derive(Clone)]
pub struct Entries<'a> {
    stream: &'a Stream,
    next: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Node<'a>, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.stream.node(self.next)?;
        let value = self.stream.node(key.raw().next)?;
        self.next = value.raw().next;
        Some((key, value))
    }
}

/// The items of a sequence.
#[derive(Clone)]
pub struct Items<'a> {
    stream: &'a Stream,
    next: u32,
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.stream.node(self.next)?;
        self.next = item.raw().next;
        Some(item)
    }
}
