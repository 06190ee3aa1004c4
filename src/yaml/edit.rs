//! Edits by place, applied once and proven.

use std::ops::Range;

use thiserror::Error;

use super::error::YamlError;
use super::node::Node;
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

/// Collects edits over one stream.
#[derive(Debug)]
pub struct Editor<'a> {
    stream: &'a Stream,
}

#[allow(unused_variables, clippy::needless_pass_by_ref_mut, clippy::unused_self)]
impl<'a> Editor<'a> {
    /// No edits yet.
    pub fn new(stream: &'a Stream) -> Self {
        Self { stream }
    }

    /// Replaces a node by a value; its tag and anchor stay.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn replace(&mut self, node: Node<'a>, value: &Value) -> Result<(), EditError> {
        Ok(())
    }

    /// Inserts an entry.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn insert(&mut self, mapping: Node<'a>, key: &str, value: &Value, place: Place) -> Result<(), EditError> {
        Ok(())
    }

    /// Replaces an entry's value, or inserts the entry.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn set(&mut self, mapping: Node<'a>, key: &str, value: &Value, place: Place) -> Result<(), EditError> {
        Ok(())
    }

    /// Replaces an entry's value.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn replace_entry(&mut self, mapping: Node<'a>, key: &str, value: &Value) -> Result<(), EditError> {
        Ok(())
    }

    /// Removes an entry, its lines, and the comments in and beside it. Comment lines above it stay.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn remove(&mut self, mapping: Node<'a>, key: &str) -> Result<(), EditError> {
        Ok(())
    }

    /// Like [`remove`](Self::remove), and the comment lines directly above it go too.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn remove_with_comments(&mut self, mapping: Node<'a>, key: &str) -> Result<(), EditError> {
        Ok(())
    }

    /// Inserts an item before the one that has this index now; the length appends.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn insert_item(&mut self, sequence: Node<'a>, index: usize, value: &Value) -> Result<(), EditError> {
        Ok(())
    }

    /// Removes an item.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn remove_item(&mut self, sequence: Node<'a>, index: usize) -> Result<(), EditError> {
        Ok(())
    }

    /// Replaces a document's content; its `---`, the comments above and below it stay.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn replace_document(&mut self, document: Document<'a>, value: &Value) -> Result<(), EditError> {
        Ok(())
    }

    /// Adds a document at the end, after a `---` if it is not the first.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn append_document(&mut self, value: &Value) -> Result<(), EditError> {
        Ok(())
    }

    /// Removes a document with its comments.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn remove_document(&mut self, document: Document<'a>) -> Result<(), EditError> {
        Ok(())
    }

    /// Replaces bytes by text. What the text outside says must stay the same.
    ///
    /// # Errors
    /// [`EditError`] if it cannot be done here.
    pub fn edit(&mut self, span: Range<usize>, text: &str) -> Result<(), EditError> {
        Ok(())
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Applies the edits once, parses the result, and proves that every event and comment outside the edits is equal
    /// and that every written value reads back as it was given.
    ///
    /// # Errors
    /// [`EditError`]; there is no text then.
    pub fn finish(self) -> Result<Stream, EditError> {
        Stream::parse(self.stream.text().to_owned()).map_err(EditError::Reparse)
    }
}
