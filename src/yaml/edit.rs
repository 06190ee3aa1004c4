//! Edits by place, applied once and proven.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use thiserror::Error;
use zeroize::Zeroizing;

use super::error::YamlError;
use super::layout::{self, layout_of};
use super::node::{Kind, Node, ScalarStyle};
use super::proof::{self, Written};
use super::render::{Parent, Pretty, Writer};
use super::stream::{Document, Stream};
use super::value::Value;
use crate::problem::Location;

/// Where a new entry of a mapping goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// After all others.
    Last,
    /// Before the entry of this key.
    Before(String),
    /// After the entry of this key.
    After(String),
    /// Bytewise among the keys if they are sorted now, else last.
    Sorted,
}

/// Why edits are not applied. The stream that they were meant for is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// The mapping has no such key.
    #[error("the mapping at {at} has no key {key:?}")]
    NoSuchKey {
        /// The mapping.
        at: Location,
        /// The key.
        key: String,
    },
    /// The mapping has that key already.
    #[error("the mapping at {at} has the key {key:?} already")]
    KeyExists {
        /// The mapping.
        at: Location,
        /// The key.
        key: String,
    },
    /// The node is not of the kind that this edit is for.
    #[error("the node at {at} is no {wanted}")]
    WrongKind {
        /// The node.
        at: Location,
        /// `mapping` or `sequence`.
        wanted: &'static str,
    },
    /// The sequence has no such item.
    #[error("the sequence at {at} has no item {index}")]
    NoSuchItem {
        /// The sequence.
        at: Location,
        /// The index, from 0.
        index: usize,
    },
    /// The way it is written leaves no place for this edit.
    #[error("the text at {at} is written in a way that cannot be edited here: {reason}")]
    Unsupported {
        /// The place.
        at: Location,
        /// What is in the way.
        reason: &'static str,
    },
    /// The node is of another stream.
    #[error("the node belongs to another text")]
    ForeignNode,
    /// Two edits touch the same bytes.
    #[error("two edits touch the same text at {at}")]
    Overlap {
        /// The place.
        at: Location,
    },
    /// The text with the edits applied does not parse. Nothing was changed.
    #[error("the edited text would not be valid")]
    Reparse(#[source] YamlError),
    /// The text with the edits applied says something else than was asked for. Nothing was changed.
    #[error("the edit would change more than was asked for, near {at}")]
    NotEqual {
        /// The place in the text before the edit.
        at: Location,
    },
}

/// What is asked of one collection: of a mapping by its keys, of a sequence by its indices.
#[derive(Default)]
struct Asked {
    removed: BTreeSet<usize>,
    /// Above these the comment lines go too.
    with_comments: BTreeSet<usize>,
    /// New children, each before the child of this index now; the length appends.
    inserted: Vec<(usize, Option<String>, Value)>,
}

/// One change of the text: these bytes become that text.
pub(super) struct Change {
    pub(super) span: Range<usize>,
    pub(super) text: Zeroizing<String>,
    /// What the text has to read back as, in order.
    pub(super) written: Vec<Written>,
}

/// Collects edits over one stream.
pub struct Editor<'a> {
    stream: &'a Stream,
    /// By the id of the collection.
    asked: BTreeMap<u32, Asked>,
    changes: Vec<Change>,
    /// Nodes whose place was taken by something else, with all below them.
    gone: BTreeSet<u32>,
}

impl std::fmt::Debug for Editor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Editor").field("changes", &(self.changes.len() + self.asked.len())).finish_non_exhaustive()
    }
}

impl<'a> Editor<'a> {
    /// No edits yet.
    pub fn new(stream: &'a Stream) -> Self {
        Self { stream, asked: BTreeMap::new(), changes: Vec::new(), gone: BTreeSet::new() }
    }

    /// Replaces a node by a value; its tag and anchor stay.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn replace(&mut self, node: Node<'a>, value: &Value) -> Result<(), EditError> {
        self.own(node)?;
        let change = match node.parent() {
            Some(parent) if !parent.is_flow() && parent.is_mapping() => self.replace_in_mapping(parent, node, value)?,
            Some(parent) if !parent.is_flow() => self.replace_in_sequence(parent, node, value),
            Some(_) => self.replace_inline(node, value, true),
            None => self.replace_root(node, value),
        };
        self.gone.insert(node.id);
        self.changes.push(change);
        Ok(())
    }

    /// Inserts an entry.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn insert(&mut self, mapping: Node<'a>, key: &str, value: &Value, place: Place) -> Result<(), EditError> {
        self.mapping(mapping)?;
        let twice = self.asked.get(&mapping.id).is_some_and(|asked| {
            asked.inserted.iter().any(|(_, inserted, _)| inserted.as_deref() == Some(key))
        });
        let removed = |index: usize| self.asked.get(&mapping.id).is_some_and(|asked| asked.removed.contains(&index));
        if twice || index_of(mapping, key).is_some_and(|index| !removed(index)) {
            return Err(EditError::KeyExists { at: mapping.location(), key: key.to_owned() });
        }
        let count = mapping.entries().count();
        let named = |name: &str| {
            index_of(mapping, name)
                .ok_or_else(|| EditError::NoSuchKey { at: mapping.location(), key: name.to_owned() })
        };
        let index = match &place {
            Place::First => 0,
            Place::Last => count,
            Place::Before(name) => named(name)?,
            Place::After(name) => named(name)? + 1,
            Place::Sorted => sorted_index(mapping, key).unwrap_or(count),
        };
        let asked = self.asked.entry(mapping.id).or_default();
        let at = match place {
            Place::Sorted => asked.inserted.iter().position(|(other, name, _)| *other == index && name.as_deref() > Some(key)),
            _ => None,
        };
        let new = (index, Some(key.to_owned()), value.clone());
        asked.inserted.insert(at.unwrap_or(asked.inserted.len()), new);
        Ok(())
    }

    /// Replaces an entry's value, or inserts the entry.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn set(&mut self, mapping: Node<'a>, key: &str, value: &Value, place: Place) -> Result<(), EditError> {
        self.mapping(mapping)?;
        match mapping.get(key) {
            Some(node) => self.replace(node, value),
            None => self.insert(mapping, key, value, place),
        }
    }

    /// Replaces an entry's value.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn replace_entry(&mut self, mapping: Node<'a>, key: &str, value: &Value) -> Result<(), EditError> {
        self.mapping(mapping)?;
        match mapping.get(key) {
            Some(node) => self.replace(node, value),
            None => Err(EditError::NoSuchKey { at: mapping.location(), key: key.to_owned() }),
        }
    }

    /// Removes an entry, its lines, and the comments in and beside it. Comment lines above it stay.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn remove(&mut self, mapping: Node<'a>, key: &str) -> Result<(), EditError> {
        self.remove_entry(mapping, key, false)
    }

    /// Like [`remove`](Self::remove), and the comment lines directly above it go too.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn remove_with_comments(&mut self, mapping: Node<'a>, key: &str) -> Result<(), EditError> {
        self.remove_entry(mapping, key, true)
    }

    fn remove_entry(&mut self, mapping: Node<'a>, key: &str, comments: bool) -> Result<(), EditError> {
        self.mapping(mapping)?;
        let none = || EditError::NoSuchKey { at: mapping.location(), key: key.to_owned() };
        let index = index_of(mapping, key).ok_or_else(none)?;
        self.remove_child(mapping, index, comments);
        Ok(())
    }

    fn remove_child(&mut self, collection: Node<'a>, index: usize, comments: bool) {
        let asked = self.asked.entry(collection.id).or_default();
        asked.removed.insert(index);
        if comments {
            asked.with_comments.insert(index);
        }
    }

    /// Inserts an item before the one that has this index now; the length appends.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn insert_item(&mut self, sequence: Node<'a>, index: usize, value: &Value) -> Result<(), EditError> {
        self.sequence(sequence)?;
        if index > sequence.items().count() {
            return Err(EditError::NoSuchItem { at: sequence.location(), index });
        }
        self.asked.entry(sequence.id).or_default().inserted.push((index, None, value.clone()));
        Ok(())
    }

    /// Removes an item.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn remove_item(&mut self, sequence: Node<'a>, index: usize) -> Result<(), EditError> {
        self.sequence(sequence)?;
        if index >= sequence.items().count() {
            return Err(EditError::NoSuchItem { at: sequence.location(), index });
        }
        self.remove_child(sequence, index, false);
        Ok(())
    }

    /// Replaces a document's content; its `---`, the comments above and below it stay.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn replace_document(&mut self, document: Document<'a>, value: &Value) -> Result<(), EditError> {
        match document.root() {
            Some(root) => self.replace(root, value),
            None => Err(EditError::Unsupported {
                at: self.stream.location(document.span().start),
                reason: "the document is empty",
            }),
        }
    }

    /// Adds a document at the end, after a `---` if it is not the first.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn append_document(&mut self, value: &Value) -> Result<(), EditError> {
        let end = self.stream.text().len();
        let newline = self.stream.newline();
        let mut text = Zeroizing::new(String::new());
        let whole = self.stream.text();
        if !whole.is_empty() && !whole.ends_with('\n') {
            text.push_str(newline);
        }
        if self.stream.documents().any(|document| document.root().is_some()) {
            text.push_str("---");
            text.push_str(newline);
        }
        text.push_str(&super::render::render(value, newline));
        self.changes.push(Change { span: end..end, text, written: vec![Written::Value(value.clone())] });
        Ok(())
    }

    /// Removes a document with its comments.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn remove_document(&mut self, document: Document<'a>) -> Result<(), EditError> {
        self.gone.extend(document.root().map(|root| root.id));
        self.changes.push(Change { span: document.span(), text: Zeroizing::default(), written: vec![] });
        Ok(())
    }

    /// Replaces bytes by text. What the text outside says must stay the same.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn edit(&mut self, span: Range<usize>, text: &str) -> Result<(), EditError> {
        if self.stream.text().get(span.clone()).is_none() {
            return Err(EditError::ForeignNode);
        }
        let text = Zeroizing::new(text.to_owned());
        self.changes.push(Change { span, text, written: vec![Written::Anything] });
        Ok(())
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.asked.is_empty()
    }

    /// Applies the edits once, parses the result, and proves that every event and comment outside the edits is equal
    /// and that every written value reads back as it was given.
    ///
    /// # Errors
    /// [`EditError`]; there is no text then.
    pub fn finish(mut self) -> Result<Stream, EditError> {
        for (id, asked) in std::mem::take(&mut self.asked) {
            let Some(node) = self.stream.node(id) else { return Err(EditError::ForeignNode) };
            self.collection(node, &asked)?;
        }
        // An insertion at the start of a removal stands before it: both are at one place, and the sort is stable.
        self.changes.sort_by_key(|change| (change.span.start, !change.span.is_empty()));
        for pair in self.changes.windows(2) {
            if pair[0].span.end > pair[1].span.start {
                return Err(EditError::Overlap { at: self.stream.location(pair[1].span.start) });
            }
        }
        proof::apply(self.stream, &self.changes, &self.gone)
    }

    fn own(&self, node: Node<'a>) -> Result<(), EditError> {
        if std::ptr::eq(node.stream, self.stream) { Ok(()) } else { Err(EditError::ForeignNode) }
    }

    fn mapping(&self, node: Node<'a>) -> Result<(), EditError> {
        self.own(node)?;
        if node.is_mapping() { Ok(()) } else { Err(EditError::WrongKind { at: node.location(), wanted: "mapping" }) }
    }

    fn sequence(&self, node: Node<'a>) -> Result<(), EditError> {
        self.own(node)?;
        if node.is_sequence() { Ok(()) } else { Err(EditError::WrongKind { at: node.location(), wanted: "sequence" }) }
    }

    fn writer(&self, near: Node<'a>, value: &Value) -> Writer<'a> {
        Writer::new(layout_of(self.stream, near), value)
    }

    /// From behind the colon to the end of the entry: what stood beside and below the old value goes with it.
    fn replace_in_mapping(&self, parent: Node<'a>, node: Node<'a>, value: &Value) -> Result<Change, EditError> {
        let key = parent.entries().find(|(_, other)| *other == node).map(|(key, _)| key);
        let key = key.ok_or(EditError::ForeignNode)?;
        if self.is_inline(node, value) || node.full_span() != node.span() {
            return Ok(self.replace_inline(node, value, false));
        }
        let text = self.stream.text();
        let colon = text[key.span().end..node.full_span().start].find(':').map(|at| key.span().end + at + 1);
        let colon = colon.ok_or(EditError::Unsupported { at: key.location(), reason: "an entry without a colon" })?;
        let end = layout::entry_end(self.stream, key, node);
        let mut writer = self.writer(key, value);
        writer.block(value, Parent::Key(layout::column(text, key.full_span().start)));
        let end = colon.max(layout::without_break(text, end));
        Ok(Change { span: colon..end, text: take(&mut writer), written: vec![Written::Value(value.clone())] })
    }

    fn replace_in_sequence(&self, parent: Node<'a>, node: Node<'a>, value: &Value) -> Change {
        if self.is_inline(node, value) || node.full_span() != node.span() {
            return self.replace_inline(node, value, false);
        }
        let text = self.stream.text();
        let dash = layout::dash(text, node.full_span().start);
        let end = layout::without_break(text, layout::item_end(self.stream, parent, node)).max(dash + 1);
        let mut writer = self.writer(node, value);
        writer.block(value, Parent::Dash(layout::column(text, dash)));
        Change { span: dash + 1..end, text: take(&mut writer), written: vec![Written::Value(value.clone())] }
    }

    fn replace_root(&self, node: Node<'a>, value: &Value) -> Change {
        if node.is_flow() || self.is_inline(node, value) {
            return self.replace_inline(node, value, node.is_flow());
        }
        let mut writer = self.writer(node, value);
        writer.block(value, Parent::Root);
        Change { span: node.span(), text: take(&mut writer), written: vec![Written::Value(value.clone())] }
    }

    fn replace_inline(&self, node: Node<'a>, value: &Value, flow: bool) -> Change {
        let mut writer = self.writer(node, value);
        if flow && node.source().contains('\n') && (node.is_mapping() || node.is_sequence()) {
            let (indent, step) = layout::pretty(self.stream, node);
            writer.flow(value, Some(Pretty { indent: &indent, step: &step }));
        } else {
            writer.flow(value, None);
        }
        let mut text = take(&mut writer);
        let span = node.span();
        // An empty value has its place right behind the colon or dash.
        if span.is_empty() && !self.stream.text()[..span.start].ends_with([' ', '\t', '\n']) {
            text = Zeroizing::new(format!(" {}", *text));
        }
        Change { span, text, written: vec![Written::Value(value.clone())] }
    }

    /// Whether old and new both stand on the line of their key.
    fn is_inline(&self, node: Node<'a>, value: &Value) -> bool {
        let scalar = match value {
            Value::Map(entries) => entries.is_empty(),
            Value::Seq(items) => items.is_empty(),
            Value::Literal(_) => false,
            _ => true,
        };
        let block = matches!(node.scalar_style(), Some(ScalarStyle::Literal | ScalarStyle::Folded));
        let on_line = node.is_flow() || matches!(node.kind(), Kind::Scalar | Kind::Alias);
        scalar && on_line && !block && !node.source().contains('\n')
    }

    /// Turns what is asked of one collection into changes of the text.
    fn collection(&mut self, node: Node<'a>, asked: &Asked) -> Result<(), EditError> {
        let children = children(node);
        self.gone.extend(asked.removed.iter().flat_map(|index| children[*index].nodes().map(|node| node.id)));
        if children.iter().enumerate().all(|(index, _)| asked.removed.contains(&index)) {
            return self.rewrite_whole(node, asked);
        }
        if node.is_flow() { self.flow_collection(node, asked, &children) } else { self.block_collection(node, asked, &children) }
    }

    /// Nothing of the collection stays: it is written anew, in the place that it has.
    fn rewrite_whole(&mut self, node: Node<'a>, asked: &Asked) -> Result<(), EditError> {
        let mut inserted: Vec<_> = asked.inserted.iter().collect();
        inserted.sort_by_key(|(index, ..)| *index);
        let value = if node.is_mapping() {
            let entries = inserted.into_iter().map(|(_, key, value)| (key.clone().unwrap_or_default(), value.clone()));
            Value::Map(entries.collect())
        } else {
            Value::Seq(inserted.into_iter().map(|(_, _, value)| value.clone()).collect())
        };
        self.replace(node, &value)
    }

    fn flow_collection(&mut self, node: Node<'a>, asked: &Asked, children: &[Child<'a>]) -> Result<(), EditError> {
        let text = self.stream.text();
        let pretty = node.source().contains('\n').then(|| layout::pretty(self.stream, node));
        let kept: Vec<usize> = (0..children.len()).filter(|index| !asked.removed.contains(index)).collect();
        let (first, last) = (kept[0], kept[kept.len() - 1]);
        let cut = |span: Range<usize>| Change { span, text: Zeroizing::default(), written: vec![] };
        if first > 0 {
            self.changes.push(cut(children[0].start()..children[first].start()));
        }
        for pair in kept.windows(2) {
            if pair[0] + 1 < pair[1] {
                self.changes.push(cut(children[pair[0] + 1].start()..children[pair[1]].start()));
            }
        }
        if last + 1 < children.len() {
            self.changes.push(cut(children[last].end()..children[children.len() - 1].end()));
        }
        for (index, key, value) in &asked.inserted {
            let before = kept.iter().copied().find(|kept| kept >= index);
            let mut writer = self.writer(node, value);
            let inner = pretty.as_ref().map(|(indent, step)| format!("{indent}{step}"));
            let nested = pretty.as_ref().zip(inner.as_ref()).map(|((_, step), indent)| Pretty { indent, step });
            let gap = inner.as_ref().map_or_else(|| " ".to_owned(), |indent| format!("{}{indent}", self.stream.newline()));
            if before.is_none() {
                writer.out.push(',');
                writer.out.push_str(&gap);
            }
            match key {
                Some(key) => writer.flow_entry(key, value, nested),
                None => writer.flow(value, nested),
            }
            let at = match before {
                Some(index) => {
                    writer.out.push(',');
                    writer.out.push_str(&gap);
                    children[index].start()
                }
                None => children[last].end(),
            };
            debug_assert!(at <= text.len());
            self.changes.push(Change { span: at..at, text: take(&mut writer), written: vec![written(key, value)] });
        }
        Ok(())
    }

    fn block_collection(&mut self, node: Node<'a>, asked: &Asked, children: &[Child<'a>]) -> Result<(), EditError> {
        let stream = self.stream;
        let text = stream.text();
        let newline = stream.newline();
        let column = layout::column(text, children[0].line_start_of_content());
        let ends: Vec<usize> = children.iter().map(|child| child.region_end(stream, node)).collect();
        // A first entry that stands behind a dash shares its line.
        let shared = !layout::only_blank(text, layout::line_start(text, children[0].start()), children[0].start());
        let kept: Vec<usize> = (0..children.len()).filter(|index| !asked.removed.contains(index)).collect();
        let last_line_open = !text[..ends[children.len() - 1]].ends_with('\n');
        for &index in &asked.removed {
            let start = if index == 0 && shared {
                let next = kept[0];
                self.changes.push(cut_to(children[0].start(), children[next].start()));
                continue;
            } else if shared && index < kept[0] {
                // Already cut with the first one.
                continue;
            } else {
                layout::line_start(text, children[index].start())
            };
            let start = if asked.with_comments.contains(&index) { layout::comments_above(stream, start, column) } else { start };
            let mut span = start..ends[index];
            if index + 1 == children.len() && last_line_open && !asked.inserted.iter().any(|(at, ..)| *at == children.len()) {
                // The text ended without a line break, and goes on doing so.
                span.start = layout::without_break(text, span.start);
            }
            self.changes.push(Change { span, text: Zeroizing::default(), written: vec![] });
        }
        for (index, key, value) in &asked.inserted {
            let mut writer = self.writer(children[0].content(), value);
            let at = if *index == 0 {
                if shared {
                    self.write_child(&mut writer, key.as_deref(), value, column);
                    writer.out.push_str(newline);
                    writer.out.push_str(&" ".repeat(column));
                    children[kept[0].min(0)].start()
                } else {
                    writer.out.push_str(&" ".repeat(column));
                    self.write_child(&mut writer, key.as_deref(), value, column);
                    writer.out.push_str(newline);
                    layout::line_start(text, children[0].start())
                }
            } else {
                let end = ends[*index - 1];
                let open = !text[..end].ends_with('\n');
                if open {
                    writer.out.push_str(newline);
                }
                writer.out.push_str(&" ".repeat(column));
                self.write_child(&mut writer, key.as_deref(), value, column);
                if !open {
                    writer.out.push_str(newline);
                } else if writer.open_end {
                    // A literal block that ends in a line break needs one behind it.
                    writer.out.push_str(newline);
                }
                end
            };
            self.changes.push(Change { span: at..at, text: take(&mut writer), written: vec![written(key, value)] });
        }
        Ok(())
    }

    fn write_child(&self, writer: &mut Writer<'_>, key: Option<&str>, value: &Value, column: usize) {
        match key {
            Some(key) => writer.entry(key, value, column),
            None => writer.item(value, column),
        }
    }
}

fn cut_to(start: usize, end: usize) -> Change {
    Change { span: start..end, text: Zeroizing::default(), written: vec![] }
}

fn written(key: &Option<String>, value: &Value) -> Written {
    match key {
        Some(key) => Written::Entry(key.clone(), value.clone()),
        None => Written::Value(value.clone()),
    }
}

fn take(writer: &mut Writer<'_>) -> Zeroizing<String> {
    std::mem::take(&mut writer.out)
}

fn index_of(mapping: Node<'_>, key: &str) -> Option<usize> {
    mapping.entries().position(|(node, _)| node.str() == Some(key))
}

/// The place of a key among sorted keys; none if they are not sorted.
fn sorted_index(mapping: Node<'_>, key: &str) -> Option<usize> {
    let keys: Vec<&str> = mapping.entries().map(|(node, _)| node.str()).collect::<Option<_>>()?;
    keys.is_sorted().then(|| keys.partition_point(|other| *other < key))
}

/// One child of a collection: an entry or an item.
#[derive(Clone, Copy)]
struct Child<'a> {
    key: Option<Node<'a>>,
    value: Node<'a>,
    /// The first byte: of the key, or of the dash in block sequences.
    start: usize,
}

fn children<'a>(node: Node<'a>) -> Vec<Child<'a>> {
    let text = node.stream.text();
    let entries = node.entries().map(|(key, value)| Child { key: Some(key), value, start: key.full_span().start });
    let items = node.items().map(|value| {
        let start = value.full_span().start;
        Child { key: None, value, start: if node.is_flow() { start } else { layout::dash(text, start) } }
    });
    entries.chain(items).collect()
}

impl<'a> Child<'a> {
    fn start(&self) -> usize {
        self.start
    }

    fn line_start_of_content(&self) -> usize {
        self.start
    }

    fn content(&self) -> Node<'a> {
        self.key.unwrap_or(self.value)
    }

    fn end(&self) -> usize {
        self.value.full_span().end
    }

    fn nodes(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        self.key.into_iter().chain([self.value])
    }

    fn region_end(&self, stream: &Stream, collection: Node<'a>) -> usize {
        match self.key {
            Some(key) => layout::entry_end(stream, key, self.value),
            None => layout::item_end(stream, collection, self.value),
        }
    }
}
