//! Why a text is not read as YAML here.

use thiserror::Error;

use crate::problem::{Location, Problem};

/// Why a text is refused.
///
/// Guarantees: no variant holds a value; a duplicate key's name is kept only if it looks like a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum YamlError {
    /// The text is not YAML.
    #[error("this is not valid YAML: {reason}")]
    Syntax {
        /// Where the parser stopped.
        at: Location,
        /// What it met there.
        reason: String,
    },
    /// Two entries of one mapping have the same key.
    #[error("the key {} stands twice in one mapping, first at line {}", shown(.key), .first.line)]
    DuplicateKey {
        /// The second one.
        at: Location,
        /// The first one.
        first: Location,
        /// The key, if it looks like a name.
        key: Option<String>,
    },
    /// An alias names an anchor that does not stand before it.
    #[error("an alias refers to an anchor that does not stand before it")]
    UnknownAnchor {
        /// The alias.
        at: Location,
    },
    /// A line starts with `%`.
    #[error("a YAML directive (% at the start of a line) changes how readers understand the text")]
    Directive {
        /// The `%`.
        at: Location,
    },
    /// Collections stand deeper in each other than the limit.
    #[error("collections are nested more than {limit} deep")]
    TooDeep {
        /// The collection that is one too deep.
        at: Location,
        /// The limit.
        limit: usize,
    },
    /// There are more nodes than the limit.
    #[error("there are more than {limit} nodes in the text")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// There are more nodes than the limit once each alias is written out.
    #[error("with its aliases written out, the text has more than {limit} nodes")]
    TooManyAliased {
        /// The alias that is one too many, or the collection that holds itself too often.
        at: Location,
        /// The limit.
        limit: usize,
    },
    /// The text is longer than the limit.
    #[error("the text has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A character that YAML does not allow in a text stands there raw.
    #[error("the control character U+{code:04X} stands raw in the text")]
    ControlCharacter {
        /// The character.
        at: Location,
        /// Its code point.
        code: u32,
    },
    /// A character that ends a line for YAML 1.1 readers and not for YAML 1.2 readers.
    #[error("the character U+{code:04X} ends a line for some YAML readers and not for others")]
    AmbiguousLineBreak {
        /// The character.
        at: Location,
        /// Its code point.
        code: u32,
    },
    /// The bytes are text in another encoding.
    #[error("the text is {name}, not UTF-8")]
    Encoding {
        /// The encoding.
        name: &'static str,
    },
    /// The bytes are not UTF-8.
    #[error("the bytes are not UTF-8")]
    NotUtf8 {
        /// The first byte that is not.
        at: Location,
    },
}

fn shown(key: &Option<String>) -> String {
    key.as_ref().map_or_else(|| "at this place".to_owned(), |key| format!("{key:?}"))
}

impl YamlError {
    /// Where in the text, if it is at one place.
    pub fn location(&self) -> Option<Location> {
        match self {
            Self::Syntax { at, .. }
            | Self::DuplicateKey { at, .. }
            | Self::UnknownAnchor { at }
            | Self::Directive { at }
            | Self::TooDeep { at, .. }
            | Self::TooManyAliased { at, .. }
            | Self::ControlCharacter { at, .. }
            | Self::AmbiguousLineBreak { at, .. }
            | Self::NotUtf8 { at } => Some(*at),
            Self::TooManyNodes { .. } | Self::TooLarge { .. } | Self::Encoding { .. } => None,
        }
    }

    /// A stable kebab-case name for machines and for the manual.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "yaml-syntax",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::UnknownAnchor { .. } => "unknown-anchor",
            Self::Directive { .. } => "yaml-directive",
            Self::TooDeep { .. } => "nested-too-deep",
            Self::TooManyNodes { .. } | Self::TooManyAliased { .. } => "too-many-nodes",
            Self::TooLarge { .. } => "too-large",
            Self::ControlCharacter { .. } => "control-character",
            Self::AmbiguousLineBreak { .. } => "ambiguous-line-break",
            Self::Encoding { .. } => "encoding",
            Self::NotUtf8 { .. } => "not-utf8",
        }
    }

    /// The same, as a problem of a file: with its place, the key it is about and the next step.
    pub fn to_problem(&self) -> Problem {
        let mut problem = Problem::error(self.code(), self.to_string());
        problem.at = self.location();
        if let Self::DuplicateKey { key, .. } = self {
            problem.key.clone_from(key);
        }
        match self.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Syntax { reason, .. } if reason.contains("tab") => "indent with blanks: YAML takes no tabs there",
            Self::Syntax { .. } => "put a value that holds one of : # @ ` * & ! % { [ or a quote into single quotes",
            Self::DuplicateKey { first, .. } => return Some(format!("keep one of the two; the first is at {first}")),
            Self::UnknownAnchor { .. } => "define the anchor above the alias, or quote the value if the * is meant",
            Self::Directive { .. } => "remove the line, or quote the value if the % is meant",
            Self::TooDeep { .. } | Self::TooManyNodes { .. } | Self::TooLarge { .. } => "split the file",
            Self::TooManyAliased { .. } => "write the values out where they are few, or split the file",
            Self::ControlCharacter { .. } => {
                "write it as an escape in double quotes, or keep the value as base64 in data"
            }
            Self::AmbiguousLineBreak { .. } => "write it as an escape in double quotes, such as \"\\u2028\"",
            Self::Encoding { .. } | Self::NotUtf8 { .. } => "save the file as UTF-8",
        };
        Some(hint.to_owned())
    }
}
