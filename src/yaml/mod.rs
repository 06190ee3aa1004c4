//! YAML with byte spans, and surgical edits.
//!
//! [`Stream::parse`] reads a text of any number of documents into one arena of nodes, each with its exact bytes.
//! [`Editor`] collects edits over it and applies them once; what is not edited stays byte for byte, and the result is
//! parsed again and compared before anybody sees it. The parser is granit-parser, which is strict YAML 1.2 with exact
//! byte offsets.
//!
//! Guarantees: the text and every decoded scalar are overwritten when they are dropped, and no `Debug` shows a value.
//! The parser's own working buffers are beyond reach.

mod edit;
mod error;
mod layout;
mod node;
mod parse;
mod plain;
mod plan;
mod proof;
mod render;
mod stream;
mod value;

pub use edit::{EditError, Editor, Place};
pub use error::YamlError;
pub use node::{Entries, Items, Kind, Node, ScalarStyle};
pub use plain::{PlainType, plain_type};
pub use render::{render, render_flow};
pub use stream::{Comment, Document, Stream};
pub use value::Value;

/// The largest text that is read, in bytes.
pub const MAX_TEXT: usize = 8 * 1024 * 1024;

/// The largest number of nodes in one text.
pub const MAX_NODES: usize = 1_000_000;

/// The largest number of nodes in one text with each alias counted as what it stands for.
pub const MAX_UNFOLDED: usize = 2 * MAX_NODES;

/// The deepest nesting of collections, block and flow counted apart.
pub const MAX_NESTING: usize = 64;
