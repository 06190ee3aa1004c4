//! What is written: values without places.

use std::fmt;

use zeroize::Zeroize;

/// A value to write into a document.
///
/// Guarantees: strings are overwritten on drop; `Debug` shows shapes only.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A string that is plain to every reader: written as it is, but quoted in JSON. The caller knows that it is one; the
    /// proof after the edit checks it.
    Plain(String),
    /// A string: plain if every reader takes that for this very string, else quoted.
    Str(String),
    /// A string in single quotes; in double quotes if it has control characters or line breaks, and in JSON.
    SingleQuoted(String),
    /// A string as a `|` block; in double quotes in flow collections and where a block cannot hold it.
    Literal(String),
    /// A mapping, in block style where that is possible, in this order.
    Map(Vec<(String, Value)>),
    /// A sequence, in block style where that is possible.
    Seq(Vec<Value>),
    /// A sequence in flow style.
    FlowSeq(Vec<Value>),
}

impl Value {
    /// A string: plain if that is safe, else quoted.
    pub fn string(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    /// A mapping.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        match self {
            Self::Plain(text) | Self::Str(text) | Self::SingleQuoted(text) | Self::Literal(text) => text.zeroize(),
            Self::Map(entries) => entries.iter_mut().for_each(|(key, _)| key.zeroize()),
            Self::Null | Self::Bool(_) | Self::Seq(_) | Self::FlowSeq(_) => {}
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(_) => f.write_str("Bool"),
            Self::Plain(_) | Self::Str(_) | Self::SingleQuoted(_) | Self::Literal(_) => f.write_str("<redacted>"),
            Self::Map(entries) => f.debug_map().entries(entries.iter().map(|(key, value)| (key, value))).finish(),
            Self::Seq(items) | Self::FlowSeq(items) => f.debug_list().entries(items).finish(),
        }
    }
}
