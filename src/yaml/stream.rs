//! One text with all its documents, nodes and comments.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::error::YamlError;
use super::node::{NONE, Node, Props, Raw};
use super::parse;
use crate::problem::Location;

/// A parsed text: it owns the text, and everything else points into it.
///
/// Guarantees: the text and the decoded scalars are overwritten on drop; `Debug` shows counts only.
pub struct Stream {
    pub(super) text: Zeroizing<String>,
    pub(super) nodes: Vec<Raw>,
    pub(super) props: Vec<Props>,
    pub(super) decoded: Vec<Zeroizing<String>>,
    pub(super) documents: Vec<RawDocument>,
    pub(super) comments: Vec<(u32, u32)>,
    lines: OnceLock<Vec<u32>>,
}

/// Where a document stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawDocument {
    /// The root node, or `NONE`.
    pub(super) root: u32,
    /// First byte, see [`Document::span`].
    pub(super) start: u32,
    /// One past the last byte.
    pub(super) end: u32,
    /// The `---` that starts it, or an empty range at the start.
    pub(super) open: (u32, u32),
    /// The `...` that ends it, or an empty range at the end.
    pub(super) close: (u32, u32),
}

impl Stream {
    /// Parses a text.
    ///
    /// A byte-order mark at the start is kept in [`text`](Self::text) and is part of no node.
    ///
    /// # Errors
    /// Whatever [`YamlError`] names; the text is overwritten.
    pub fn parse(text: String) -> Result<Self, YamlError> {
        parse::parse(Zeroizing::new(text))
    }

    /// Parses the bytes of a file.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and UTF-16 and UTF-32 by name, other bytes that are not UTF-8 by place.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, YamlError> {
        if let Some(name) = other_encoding(&bytes) {
            drop(Zeroizing::new(bytes));
            return Err(YamlError::Encoding { name });
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let bytes = Zeroizing::new(error.into_bytes());
                let head = std::str::from_utf8(&bytes[..valid]).unwrap_or_default();
                Err(YamlError::NotUtf8 { at: locate(head, valid) })
            }
        }
    }

    pub(super) fn parse_zeroizing(text: Zeroizing<String>) -> Result<Self, YamlError> {
        parse::parse(text)
    }

    pub(super) fn empty(text: Zeroizing<String>) -> Self {
        Self {
            text,
            nodes: Vec::new(),
            props: Vec::new(),
            decoded: Vec::new(),
            documents: Vec::new(),
            comments: Vec::new(),
            lines: OnceLock::new(),
        }
    }

    /// The whole text, with its byte-order mark if it has one.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the text away, for writing; it is still overwritten when it is dropped.
    pub fn into_text(self) -> Zeroizing<String> {
        self.text
    }

    /// The line break that the text uses first: `"\r\n"` or `"\n"`; `"\n"` if it has none.
    pub fn newline(&self) -> &'static str {
        newline(&self.text)
    }

    /// The documents, in order, empty ones too.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = Document<'_>> + DoubleEndedIterator {
        (0..self.documents.len()).map(|index| Document { stream: self, index })
    }

    /// The comments, in order.
    pub fn comments(&self) -> impl ExactSizeIterator<Item = Comment<'_>> + DoubleEndedIterator {
        self.comments.iter().map(|&(start, end)| Comment { stream: self, span: (start, end) })
    }

    /// The comments that lie wholly within a span, such as a node's.
    pub fn comments_in(&self, span: Range<usize>) -> impl Iterator<Item = Comment<'_>> {
        let first = self.comments.partition_point(|&(start, _)| (start as usize) < span.start);
        self.comments[first..]
            .iter()
            .take_while(move |&&(_, end)| end as usize <= span.end)
            .map(|&(start, end)| Comment { stream: self, span: (start, end) })
    }

    /// The line and column of a byte offset; past the end, that of the end.
    pub fn location(&self, offset: usize) -> Location {
        let lines = self.lines.get_or_init(|| line_starts(&self.text));
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = lines.partition_point(|&start| start as usize <= offset);
        let start = lines.get(line - 1).map_or(0, |&start| start as usize);
        let text = &self.text[start..offset];
        let column = text.chars().count() + 1;
        // A byte-order mark is no column that an editor would show.
        Location { line, column: if start == 0 && text.starts_with('\u{feff}') { column - 1 } else { column } }
    }

    pub(super) fn node(&self, id: u32) -> Option<Node<'_>> {
        (id != NONE).then_some(Node { stream: self, id })
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("bytes", &self.text.len())
            .field("documents", &self.documents.len())
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

/// One document of a stream.
#[derive(Clone, Copy)]
pub struct Document<'a> {
    pub(super) stream: &'a Stream,
    pub(super) index: usize,
}

impl<'a> Document<'a> {
    /// Its number in the stream, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The stream it belongs to.
    pub fn stream(&self) -> &'a Stream {
        self.stream
    }

    /// The root node; `None` if the document is empty or holds only comments.
    pub fn root(&self) -> Option<Node<'a>> {
        self.stream.node(self.raw().root)
    }

    /// The bytes of the document, with its `---`, its comments and its `...` line.
    ///
    /// The spans of all documents follow each other without gaps and cover the whole text: comments between a `...` and
    /// the next `---` belong to the document that follows, all other comments to the one that they stand in.
    pub fn span(&self) -> Range<usize> {
        let raw = self.raw();
        raw.start as usize..raw.end as usize
    }

    /// Whether it starts with a `---`.
    pub fn has_marker(&self) -> bool {
        let (start, end) = self.raw().open;
        start != end
    }

    /// The comments in the document, in order.
    pub fn comments(&self) -> impl Iterator<Item = Comment<'a>> + use<'a> {
        self.stream.comments_in(self.span())
    }

    pub(super) fn raw(&self) -> &'a RawDocument {
        &self.stream.documents[self.index]
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("index", &self.index).field("span", &self.span()).finish()
    }
}

/// A comment, from its `#` to the end of its line.
#[derive(Clone, Copy)]
pub struct Comment<'a> {
    stream: &'a Stream,
    span: (u32, u32),
}

impl<'a> Comment<'a> {
    /// Its bytes, without the line break.
    pub fn span(&self) -> Range<usize> {
        self.span.0 as usize..self.span.1 as usize
    }

    /// Its text with the `#`.
    pub fn text(&self) -> &'a str {
        &self.stream.text[self.span()]
    }
}

impl fmt::Debug for Comment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comment").field("span", &self.span()).finish_non_exhaustive()
    }
}

/// The line break that a text uses first.
pub(super) fn newline(text: &str) -> &'static str {
    match text.bytes().position(|byte| byte == b'\n') {
        Some(at) if at > 0 && text.as_bytes()[at - 1] == b'\r' => "\r\n",
        _ => "\n",
    }
}

fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [_, 0, 0, 0, ..] => Some("UTF-32 (little endian)"),
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, _, ..] => Some("UTF-32 (big endian)"),
        [0xff, 0xfe, ..] | [1..=0x7f, 0, 1..=0x7f, 0, ..] => Some("UTF-16 (little endian)"),
        [0xfe, 0xff, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..] => Some("UTF-16 (big endian)"),
        _ => None,
    }
}

/// The offset of the first byte of every line. Lines end as in YAML: LF, CRLF or a lone CR.
fn line_starts(text: &str) -> Vec<u32> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
            starts.push((at + 1) as u32);
        }
    }
    starts
}

/// The place of an offset in a text that has no stream yet.
pub(super) fn locate(text: &str, offset: usize) -> Location {
    let head = &text[..offset.min(text.len())];
    let starts = line_starts(head);
    let start = starts.last().map_or(0, |&start| start as usize);
    let tail = head[start..].trim_start_matches('\u{feff}');
    Location { line: starts.len(), column: tail.chars().count() + 1 }
}
