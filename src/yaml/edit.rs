//! Edits by place, applied once and proven.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use super::error::YamlError;
use super::node::Node;
use super::plan;
use super::proof;
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
        /// `mapping`, `sequence` or `value`.
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

/// A place between the children of a collection: before or after the child of this index.
///
/// The two sides of a gap are apart, because comments may stand between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gap {
    pub(super) child: usize,
    pub(super) after: bool,
}

/// A new child of a collection; sequences have no keys.
pub(super) struct New {
    pub(super) key: Option<String>,
    pub(super) value: Value,
}

/// What is asked of one collection.
#[derive(Default)]
pub(super) struct Asked {
    /// The indices of the children that go.
    pub(super) removed: BTreeSet<usize>,
    pub(super) inserted: BTreeMap<Gap, Vec<New>>,
}

/// What is asked of a whole stream.
#[derive(Default)]
pub(super) struct Asks {
    /// By the id of the collection.
    pub(super) collections: BTreeMap<u32, Asked>,
    /// By the id of the node.
    pub(super) replaced: BTreeMap<u32, Value>,
    /// Empty documents that get content, by index.
    pub(super) filled: BTreeMap<usize, Value>,
    pub(super) removed_documents: BTreeSet<usize>,
    pub(super) appended: Vec<Value>,
}

/// Collects edits over one stream.
///
/// Indices and keys are those of the stream as it stands: an edit does not see the ones before it, but that a key may be
/// inserted after it was removed, and that new keys may be placed beside new ones.
pub struct Editor<'a> {
    stream: &'a Stream,
    asks: Asks,
}

impl fmt::Debug for Editor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Editor")
            .field("replaced", &self.asks.replaced.len())
            .field("collections", &self.asks.collections.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Editor<'a> {
    /// No edits yet.
    pub fn new(stream: &'a Stream) -> Self {
        Self { stream, asks: Asks::default() }
    }

    /// Replaces a node by a value; its tag and anchor stay, and so does the comment on its line.
    ///
    /// Comments within and below what was there go with it: what stands beside a value may be one. The second of two
    /// replacements of a node counts.
    ///
    /// # Errors
    /// A node of another stream.
    pub fn replace(&mut self, node: Node<'a>, value: &Value) -> Result<(), EditError> {
        self.own(node)?;
        self.asks.replaced.insert(node.id, value.clone());
        Ok(())
    }

    /// Inserts an entry.
    ///
    /// Entries inserted at one place stand in the order of the calls. One that is placed before or after a removed entry
    /// takes its place.
    ///
    /// # Errors
    /// No mapping, a key that is there or was inserted, a place beside a key that is not there.
    pub fn insert(&mut self, mapping: Node<'a>, key: &str, value: &Value, place: Place) -> Result<(), EditError> {
        self.expect(mapping, mapping.is_mapping(), "mapping")?;
        let at = mapping.location();
        let asked = self.asks.collections.entry(mapping.id).or_default();
        let there = index_of(mapping, key).is_some_and(|index| !asked.removed.contains(&index));
        if there || find_new(asked, key).is_some() {
            return Err(EditError::KeyExists { at, key: key.to_owned() });
        }
        let new = New { key: Some(key.to_owned()), value: value.clone() };
        let last = mapping.entries().count().checked_sub(1);
        let (gap, at) = match &place {
            Place::First => (Gap { child: 0, after: false }, None),
            Place::Last => (last_gap(last), None),
            Place::Before(name) | Place::After(name) => {
                let after = matches!(place, Place::After(_));
                match (index_of(mapping, name), find_new(asked, name)) {
                    (_, Some((gap, index))) => (gap, Some(index + usize::from(after))),
                    (Some(child), None) => (Gap { child, after }, None),
                    (None, None) => return Err(EditError::NoSuchKey { at, key: name.clone() }),
                }
            }
            Place::Sorted => match sorted_index(mapping, key) {
                Some(index) => {
                    let gap = match index.checked_sub(1) {
                        Some(child) => Gap { child, after: true },
                        None => Gap { child: 0, after: false },
                    };
                    let others = asked.inserted.get(&gap);
                    (gap, others.and_then(|new| new.iter().position(|new| new.key.as_deref() > Some(key))))
                }
                None => (last_gap(last), None),
            },
        };
        let list = asked.inserted.entry(gap).or_default();
        list.insert(at.unwrap_or(list.len()), new);
        Ok(())
    }

    /// Replaces an entry's value, or inserts the entry.
    ///
    /// # Errors
    /// As [`replace`](Self::replace) and [`insert`](Self::insert).
    pub fn set(&mut self, mapping: Node<'a>, key: &str, value: &Value, place: Place) -> Result<(), EditError> {
        self.expect(mapping, mapping.is_mapping(), "mapping")?;
        match self.standing(mapping, key) {
            Some((_, node)) => self.replace(node, value),
            None => self.insert(mapping, key, value, place),
        }
    }

    /// Removes an entry, its lines, and the comments in and beside it. Comment lines above it stay.
    ///
    /// A mapping that loses all its entries becomes `{}`.
    ///
    /// # Errors
    /// No mapping, no such key.
    pub fn remove(&mut self, mapping: Node<'a>, key: &str) -> Result<(), EditError> {
        self.expect(mapping, mapping.is_mapping(), "mapping")?;
        let Some(index) = index_of(mapping, key) else {
            return Err(EditError::NoSuchKey { at: mapping.location(), key: key.to_owned() });
        };
        self.asks.collections.entry(mapping.id).or_default().removed.insert(index);
        Ok(())
    }

    /// Inserts an item before the one that has this index now; the length appends.
    ///
    /// # Errors
    /// No sequence, an index beyond its length.
    pub fn insert_item(&mut self, sequence: Node<'a>, index: usize, value: &Value) -> Result<(), EditError> {
        self.expect(sequence, sequence.is_sequence(), "sequence")?;
        let count = sequence.items().count();
        if index > count {
            return Err(EditError::NoSuchItem { at: sequence.location(), index });
        }
        let gap = if index == count { last_gap(count.checked_sub(1)) } else { Gap { child: index, after: false } };
        let new = New { key: None, value: value.clone() };
        self.asks.collections.entry(sequence.id).or_default().inserted.entry(gap).or_default().push(new);
        Ok(())
    }

    /// Removes an item, its lines, and the comments in and beside it. A sequence that loses all becomes `[]`.
    ///
    /// # Errors
    /// No sequence, no such item.
    pub fn remove_item(&mut self, sequence: Node<'a>, index: usize) -> Result<(), EditError> {
        self.expect(sequence, sequence.is_sequence(), "sequence")?;
        if index >= sequence.items().count() {
            return Err(EditError::NoSuchItem { at: sequence.location(), index });
        }
        self.asks.collections.entry(sequence.id).or_default().removed.insert(index);
        Ok(())
    }

    /// Replaces a document's content; its `---`, the comments above and below it stay.
    ///
    /// # Errors
    /// A document of another stream.
    pub fn replace_document(&mut self, document: Document<'a>, value: &Value) -> Result<(), EditError> {
        self.own_document(document)?;
        match document.root() {
            Some(root) => self.replace(root, value),
            None => {
                self.asks.filled.insert(document.index(), value.clone());
                Ok(())
            }
        }
    }

    /// Adds a document at the end, after a `---` if it is not the first.
    ///
    /// # Errors
    /// None today.
    pub fn append_document(&mut self, value: &Value) -> Result<(), EditError> {
        self.asks.appended.push(value.clone());
        Ok(())
    }

    /// Removes a document with its `---` and its comments.
    ///
    /// # Errors
    /// A document of another stream.
    pub fn remove_document(&mut self, document: Document<'a>) -> Result<(), EditError> {
        self.own_document(document)?;
        self.asks.removed_documents.insert(document.index());
        Ok(())
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let Asks { collections, replaced, filled, removed_documents, appended } = &self.asks;
        collections.values().all(|asked| asked.removed.is_empty() && asked.inserted.is_empty())
            && replaced.is_empty()
            && filled.is_empty()
            && removed_documents.is_empty()
            && appended.is_empty()
    }

    /// Applies the edits once, parses the result, and proves that every node and comment outside the edits is equal and
    /// that every written value reads back as it was given.
    ///
    /// # Errors
    /// [`EditError`]; there is no text then.
    pub fn finish(mut self) -> Result<Stream, EditError> {
        self.asks.collections.retain(|_, asked| !asked.removed.is_empty() || !asked.inserted.is_empty());
        let changes = plan::changes(self.stream, &self.asks)?;
        let (text, regions) = plan::apply(self.stream.text(), &changes);
        let new = Stream::parse_zeroizing(text).map_err(EditError::Reparse)?;
        proof::prove(self.stream, &new, &self.asks)?;
        proof::prove_comments(self.stream, &new, &changes, &regions)?;
        Ok(new)
    }

    fn own(&self, node: Node<'a>) -> Result<(), EditError> {
        if std::ptr::eq(node.stream, self.stream) { Ok(()) } else { Err(EditError::ForeignNode) }
    }

    fn own_document(&self, document: Document<'a>) -> Result<(), EditError> {
        if std::ptr::eq(document.stream, self.stream) { Ok(()) } else { Err(EditError::ForeignNode) }
    }

    fn expect(&self, node: Node<'a>, fits: bool, wanted: &'static str) -> Result<(), EditError> {
        self.own(node)?;
        if fits { Ok(()) } else { Err(EditError::WrongKind { at: node.location(), wanted }) }
    }

    /// The entry of a key, unless it is to be removed.
    fn standing(&self, mapping: Node<'a>, key: &str) -> Option<(Node<'a>, Node<'a>)> {
        let index = index_of(mapping, key)?;
        let removed = self.asks.collections.get(&mapping.id).is_some_and(|asked| asked.removed.contains(&index));
        if removed { None } else { mapping.entries().nth(index) }
    }
}

fn last_gap(last: Option<usize>) -> Gap {
    last.map_or(Gap { child: 0, after: false }, |child| Gap { child, after: true })
}

fn index_of(mapping: Node<'_>, key: &str) -> Option<usize> {
    mapping.entries().position(|(node, _)| node.str() == Some(key))
}

fn find_new(asked: &Asked, key: &str) -> Option<(Gap, usize)> {
    asked
        .inserted
        .iter()
        .find_map(|(gap, list)| list.iter().position(|new| new.key.as_deref() == Some(key)).map(|index| (*gap, index)))
}

/// The place of a key among sorted keys; none if they are not sorted.
fn sorted_index(mapping: Node<'_>, key: &str) -> Option<usize> {
    let keys: Vec<&str> = mapping.entries().map(|(node, _)| node.str()).collect::<Option<_>>()?;
    keys.is_sorted().then(|| keys.partition_point(|other| *other < key))
}
