//! Scopes: which Secrets a value may become part of.

mod glob;
mod pattern;

use std::fmt;

pub use pattern::{MAX_PATTERN_BYTES, Pattern, PatternFault, SOME_HASH, Side};

/// The most patterns a scope may have.
pub const MAX_PATTERNS: usize = 32;

/// The patterns of the Secrets that a value may become part of.
///
/// Guarantees: 1 to [`MAX_PATTERNS`] patterns, sorted by their bytes, no two equal. That order is what is written
/// into files and what is authenticated, so equal scopes have equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(Vec<Pattern>);

/// What is wrong with a scope or one of its patterns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// A text that is no pattern.
    #[error("{pattern:?} is not a scope pattern: {fault}")]
    Pattern {
        /// The text, cut behind [`MAX_PATTERN_BYTES`] bytes.
        pattern: String,
        /// What is wrong with it.
        fault: PatternFault,
    },
    /// There is no pattern.
    #[error("the scope has no pattern")]
    Empty,
    /// There are more patterns than [`MAX_PATTERNS`].
    #[error("the scope has {count} patterns, the most is {MAX_PATTERNS}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// Two neighbours in the wrong order.
    #[error("the scope is not sorted: {first} stands before {second}")]
    Unsorted {
        /// The one that stands first.
        first: String,
        /// The one that stands second and belongs before it.
        second: String,
    },
    /// A pattern twice.
    #[error("the scope has {pattern} twice")]
    Duplicate {
        /// Which one.
        pattern: String,
    },
}

impl ScopeError {
    fn pattern(text: &str, fault: PatternFault) -> Self {
        let ends = text.char_indices().map(|(start, character)| start + character.len_utf8());
        let end = ends.take_while(|&end| end <= MAX_PATTERN_BYTES).last().unwrap_or_default();
        Self::Pattern { pattern: text[..end].to_owned(), fault }
    }
}

impl Scope {
    /// The scope of these patterns in any order: sorts them and drops duplicates, as writers do.
    ///
    /// # Errors
    /// [`ScopeError::Empty`], [`ScopeError::TooMany`].
    pub fn canonical(patterns: impl IntoIterator<Item = Pattern>) -> Result<Self, ScopeError> {
        let mut patterns: Vec<Pattern> = patterns.into_iter().collect();
        patterns.sort();
        patterns.dedup();
        Self::counted(patterns)
    }

    /// The scope as a document writes it: refuses what is unsorted or twice there, as readers must.
    ///
    /// # Errors
    /// Every [`ScopeError`]; counts come before patterns, patterns before their order.
    pub fn parse_sorted<S: AsRef<str>>(texts: &[S]) -> Result<Self, ScopeError> {
        if texts.len() > MAX_PATTERNS {
            return Err(ScopeError::TooMany { count: texts.len() });
        }
        let patterns = texts.iter().map(|text| text.as_ref().parse()).collect::<Result<Vec<Pattern>, _>>()?;
        for pair in patterns.windows(2) {
            let [first, second] = pair else { continue };
            if first == second {
                return Err(ScopeError::Duplicate { pattern: first.to_string() });
            }
            if first > second {
                return Err(ScopeError::Unsorted { first: first.to_string(), second: second.to_string() });
            }
        }
        Self::counted(patterns)
    }

    /// The scope of exactly one Secret.
    ///
    /// # Errors
    /// [`ScopeError::Pattern`] if either text is not a name, or has a wildcard.
    pub fn exact(namespace: &str, name: &str) -> Result<Self, ScopeError> {
        Pattern::exact(namespace, name).map(|pattern| Self(vec![pattern]))
    }

    fn counted(patterns: Vec<Pattern>) -> Result<Self, ScopeError> {
        match patterns.len() {
            0 => Err(ScopeError::Empty),
            count if count > MAX_PATTERNS => Err(ScopeError::TooMany { count }),
            _ => Ok(Self(patterns)),
        }
    }

    /// The patterns in their canonical order.
    pub fn patterns(&self) -> &[Pattern] {
        &self.0
    }

    /// Whether the Secret of this namespace and name is meant by some pattern.
    pub fn matches(&self, namespace: &str, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(namespace, name))
    }

    /// Whether every pattern of `other` is covered by one pattern of `self`.
    ///
    /// That several patterns of `self` together cover one of `other` is not looked for: such a scope is refused
    /// until one pattern says it.
    pub fn covers(&self, other: &Scope) -> bool {
        other.0.iter().all(|narrow| self.0.iter().any(|wide| wide.covers(narrow)))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.0.iter().enumerate() {
            write!(f, "{}{pattern}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn canonical_sorts_by_bytes_and_drops_duplicates() {
        let scope = Scope::canonical(["b/a", "a/b", "a-b/c", "a/b", "*/x"].map(pattern)).unwrap();
        assert_eq!(scope.to_string(), "*/x, a-b/c, a/b, b/a");
        let texts: Vec<&str> = scope.patterns().iter().map(Pattern::as_str).collect();
        assert_eq!(Scope::parse_sorted(&texts), Ok(scope));
    }

    #[test]
    fn readers_refuse_what_is_unsorted_or_twice_there() {
        let unsorted = Scope::parse_sorted(&["b/a", "a/b"]).unwrap_err();
        assert_eq!(unsorted, ScopeError::Unsorted { first: "b/a".into(), second: "a/b".into() });
        assert_eq!(unsorted.to_string(), "the scope is not sorted: b/a stands before a/b");
        let twice = Scope::parse_sorted(&["a/b", "a/b"]).unwrap_err();
        assert_eq!(twice.to_string(), "the scope has a/b twice");
    }

    #[test]
    fn one_to_thirty_two_patterns() {
        let texts: Vec<String> = (10..43).map(|number| format!("a/n{number}")).collect();
        assert_eq!(Scope::parse_sorted(&texts), Err(ScopeError::TooMany { count: 33 }));
        assert_eq!(Scope::canonical(texts.iter().map(|text| pattern(text))), Err(ScopeError::TooMany { count: 33 }));
        assert_eq!(Scope::parse_sorted(&texts[1..]).unwrap().patterns().len(), 32);
        assert_eq!(Scope::parse_sorted::<&str>(&[]), Err(ScopeError::Empty));
        assert_eq!(Scope::canonical([]), Err(ScopeError::Empty));
    }

    #[test]
    fn errors_name_the_pattern_escaped_and_cut() {
        let error = Scope::parse_sorted(&["a\u{1b}[31m/b"]).unwrap_err();
        let text = r#""a\u{1b}[31m/b" is not a scope pattern: its namespace side has '\u{1b}': allowed are a-z, 0-9, '-', '*'"#;
        assert_eq!(error.to_string(), text);
        let Err(ScopeError::Pattern { pattern, .. }) = Scope::parse_sorted(&["é".repeat(70_000)]) else {
            panic!("refused");
        };
        assert_eq!(pattern.len(), 330);
    }

    #[test]
    fn covering_wants_one_pattern_for_each() {
        let scope = |texts: &[&str]| Scope::parse_sorted(texts).unwrap();
        let rule = scope(&["shop-prod/*", "shop-test/*"]);
        assert!(rule.covers(&scope(&["shop-prod/a", "shop-test/b-{hash}"])));
        assert!(!rule.covers(&scope(&["shop-prod/a", "shop/b"])));
        assert!(!rule.covers(&scope(&["shop-*/a"])));
        assert!(!scope(&["a/b"]).covers(&rule));
    }

    #[test]
    fn matches_any_of_its_patterns() {
        let scope = Scope::parse_sorted(&["a/b", "a/c-*"]).unwrap();
        assert!(scope.matches("a", "b") && scope.matches("a", "c-d"));
        assert!(!scope.matches("a", "c"));
        assert!(Scope::exact("a", "b").unwrap().matches("a", "b"));
    }
}
