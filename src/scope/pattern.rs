//! One pattern of a scope: `NAMESPACE/NAME`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::ScopeError;
use super::glob::{Glob, HASH_LENGTH};

/// The most bytes a pattern may have.
pub const MAX_PATTERN_BYTES: usize = 330;

/// How often `*` may stand on one side.
const MAX_STARS: usize = 2;

/// The ending that stands for kustomize's name suffix.
const HASH: &str = "-{hash}";

/// A hash as kustomize may append it to a name: any ten characters of its suffix alphabet.
pub const SOME_HASH: &str = "-2222222222";

/// One pattern: which namespaces and which names a value may be opened for.
///
/// Shape: `NAMESPACE/NAME`, at most [`MAX_PATTERN_BYTES`].
///
/// - The namespace side is a DNS label (RFC 1123, `[a-z0-9-]`, 63 characters) and the name side a DNS subdomain
///   (`[a-z0-9.-]`, 253 characters, as Kubernetes checks object names), in which `*` stands for any run of characters
///   other than `/`, possibly none, at most twice a side and never twice in a row. The stars do not count towards the
///   length.
/// - The labels of a side (what the dots divide) are not empty and begin and end with a letter, a digit or `*`:
///   `*`, `app-*`, `*-db`, `*.example` and `a-*.b` are patterns; `-a`, `a-`, `a..b` and `*-.b` are not.
/// - The name side may end in `-{hash}`: a dash and exactly ten characters of `2456789bcdfghkmt`, which is what
///   kustomize puts behind a generated name. What is left of it is a name side of its own (`*-{hash}` is a pattern,
///   `-{hash}` is not), and the eleven characters count towards the 253.
///
/// Comparison is by the bytes of the text.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    slash: usize,
    namespace: Glob,
    name: Glob,
    hash: bool,
}

/// The two sides of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What stands before the slash.
    Namespace,
    /// What stands behind it.
    Name,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Namespace => "namespace side",
            Side::Name => "name side",
        })
    }
}

impl Side {
    /// The most characters a side may have, its stars not counted.
    const fn limit(self) -> usize {
        match self {
            Side::Namespace => 63,
            Side::Name => 253,
        }
    }
}

/// What is wrong with a text that was meant as a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternFault {
    /// There is no slash, or more than one.
    #[error("it is written NAMESPACE/NAME, with exactly one slash")]
    Slash,
    /// The text is longer than [`MAX_PATTERN_BYTES`].
    #[error("it has {bytes} bytes, the most is {MAX_PATTERN_BYTES}")]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// A side is empty.
    #[error("its {side} is empty")]
    Empty {
        /// Which one.
        side: Side,
    },
    /// A side has more fixed characters than a name may have.
    #[error("its {side} has {length} characters, the most is {}", side.limit())]
    SideTooLong {
        /// Which one.
        side: Side,
        /// How many it has, `*` not counted, `-{hash}` as eleven.
        length: usize,
    },
    /// A character that a name cannot have.
    #[error("its {side} has {character:?}: allowed are a-z, 0-9, '-', '*'{}", if *side == Side::Name { " and '.'" } else { "" })]
    Character {
        /// Which side.
        side: Side,
        /// The character.
        character: char,
    },
    /// A label that is empty, or begins or ends with a dash.
    #[error("its {side} has a part that is empty, or that begins or ends with '-'")]
    Label {
        /// Which side.
        side: Side,
    },
    /// Two stars in a row, or more than two on a side.
    #[error("its {side} has two '*' in a row, or more than {MAX_STARS}")]
    Stars {
        /// Which side.
        side: Side,
    },
    /// `{hash}` elsewhere than at the end of the name side, behind a dash.
    #[error("{{hash}} stands only at the very end of the name side, as -{{hash}}")]
    Hash,
    /// A wildcard where one exact namespace and name were meant.
    #[error("it has a wildcard where one namespace and one name are needed")]
    NotExact,
}

impl Pattern {
    /// The pattern of exactly one Secret.
    ///
    /// # Errors
    /// [`ScopeError::Pattern`] if either text is not a name, or has a wildcard.
    pub fn exact(namespace: &str, name: &str) -> Result<Self, ScopeError> {
        let text = format!("{namespace}/{name}");
        let pattern: Pattern = text.parse()?;
        if pattern.is_strict() { Ok(pattern) } else { Err(ScopeError::pattern(&text, PatternFault::NotExact)) }
    }

    /// The pattern as it is written, which is also what is authenticated.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The namespace side as it is written.
    pub fn namespace(&self) -> &str {
        &self.text[..self.slash]
    }

    /// The name side as it is written.
    pub fn name(&self) -> &str {
        &self.text[self.slash + 1..]
    }

    /// Whether the Secret of this namespace and name is meant.
    pub fn matches(&self, namespace: &str, name: &str) -> bool {
        self.namespace.matches(namespace) && self.name.matches(name)
    }

    /// Whether every Secret that `other` means is meant by `self` too.
    ///
    /// Exact, over all strings of `[a-z0-9.-]` on each side; that a namespace has no dot and that names have a
    /// greatest length is not made use of.
    pub fn covers(&self, other: &Pattern) -> bool {
        self.namespace.covers(&other.namespace) && self.name.covers(&other.name)
    }

    /// Whether the namespace side has a `*`: such a pattern opens for whoever may create a namespace.
    pub fn namespace_has_wildcard(&self) -> bool {
        self.namespace.has_star()
    }

    /// Whether the name side ends in `-{hash}`.
    pub fn has_hash(&self) -> bool {
        self.hash
    }

    /// Whether exactly one Secret is meant: no `*`, no `-{hash}`.
    pub fn is_strict(&self) -> bool {
        !self.hash && !self.namespace.has_star() && !self.name.has_star()
    }
}

impl FromStr for Pattern {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        parse(text).map_err(|fault| ScopeError::pattern(text, fault))
    }
}

fn parse(text: &str) -> Result<Pattern, PatternFault> {
    if text.len() > MAX_PATTERN_BYTES {
        return Err(PatternFault::TooLong { bytes: text.len() });
    }
    let (namespace, name) = text.split_once('/').ok_or(PatternFault::Slash)?;
    if name.contains('/') {
        return Err(PatternFault::Slash);
    }
    let (stem, hash) = match name.strip_suffix(HASH) {
        Some(stem) => (stem, true),
        None => (name, false),
    };
    if namespace.contains("{hash}") || stem.contains("{hash}") {
        return Err(PatternFault::Hash);
    }
    check(Side::Namespace, namespace, 0)?;
    check(Side::Name, stem, if hash { 1 + HASH_LENGTH } else { 0 })?;
    Ok(Pattern {
        namespace: Glob::new(namespace, false),
        name: Glob::new(stem, hash),
        slash: namespace.len(),
        text: text.to_owned(),
        hash,
    })
}

fn check(side: Side, text: &str, extra: usize) -> Result<(), PatternFault> {
    if text.is_empty() {
        return Err(PatternFault::Empty { side });
    }
    let allowed = |character: char| {
        matches!(character, 'a'..='z' | '0'..='9' | '-' | '*') || (character == '.' && side == Side::Name)
    };
    if let Some(character) = text.chars().find(|&character| !allowed(character)) {
        return Err(PatternFault::Character { side, character });
    }
    let stars = text.bytes().filter(|&byte| byte == b'*').count();
    if stars > MAX_STARS || text.contains("**") {
        return Err(PatternFault::Stars { side });
    }
    let length = text.len() - stars + extra;
    if length > side.limit() {
        return Err(PatternFault::SideTooLong { side, length });
    }
    if text.split('.').any(|label| label.is_empty() || label.starts_with('-') || label.ends_with('-')) {
        return Err(PatternFault::Label { side });
    }
    Ok(())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    fn fault(text: &str) -> PatternFault {
        match text.parse::<Pattern>() {
            Err(ScopeError::Pattern { fault, .. }) => fault,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn accepts_what_the_grammar_says() {
        for text in [
            "shop-prod/db",
            "shop-prod/*",
            "*/*",
            "a/b",
            "0/0",
            "app-*/x",
            "*-app/x",
            "*-*/x",
            "a*b*c/x",
            "n/a.b-c.d",
            "n/*.example",
            "n/a.*",
            "n/a-*.b",
            "n/*-db-{hash}",
            "n/*-{hash}",
            "n/db-{hash}",
            "n/a--b",
        ] {
            let pattern = pattern(text);
            assert_eq!(pattern.to_string(), text);
            assert_eq!(format!("{}/{}", pattern.namespace(), pattern.name()), text);
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        use PatternFault::*;
        use Side::*;
        assert_eq!(fault(""), Slash);
        assert_eq!(fault("db"), Slash);
        assert_eq!(fault("a/b/c"), Slash);
        assert_eq!(fault("/b"), Empty { side: Namespace });
        assert_eq!(fault("a/"), Empty { side: Name });
        assert_eq!(fault("a/-{hash}"), Empty { side: Name });
        assert_eq!(fault("A/b"), Character { side: Namespace, character: 'A' });
        assert_eq!(fault("a.b/c"), Character { side: Namespace, character: '.' });
        assert_eq!(fault("a/b c"), Character { side: Name, character: ' ' });
        assert_eq!(fault("a/ü"), Character { side: Name, character: 'ü' });
        assert_eq!(fault("a/b\n"), Character { side: Name, character: '\n' });
        assert_eq!(fault("a/{b}"), Character { side: Name, character: '{' });
        for text in ["-a/b", "a-/b", "-/b"] {
            assert_eq!(fault(text), Label { side: Namespace }, "{text}");
        }
        for text in ["a/-b", "a/b-", "a/.b", "a/b.", "a/b..c", "a/b-.c", "a/b.-c", "a/*-.b", "a/*.-{hash}", "a/."] {
            assert_eq!(fault(text), Label { side: Name }, "{text}");
        }
        assert_eq!(fault("**/b"), Stars { side: Namespace });
        assert_eq!(fault("a/**"), Stars { side: Name });
        assert_eq!(fault("a/*b*c*"), Stars { side: Name });
        assert_eq!(fault("a-{hash}/b"), Hash);
        assert_eq!(fault("a/b-{hash}-c"), Hash);
        assert_eq!(fault("a/b-{hash}-{hash}"), Hash);
        assert_eq!(fault("a/{hash}"), Hash);
        assert_eq!(fault("a/b{hash}"), Hash);
    }

    #[test]
    fn lengths_count_fixed_characters() {
        let namespace = "n".repeat(63);
        let name = "m".repeat(253);
        pattern(&format!("{namespace}/{name}"));
        pattern(&format!("*{namespace}*/*{name}*"));
        pattern(&format!("a/{}-{{hash}}", "m".repeat(242)));
        assert_eq!(fault(&format!("{namespace}n/a")), PatternFault::SideTooLong { side: Side::Namespace, length: 64 });
        assert_eq!(fault(&format!("a/{name}m")), PatternFault::SideTooLong { side: Side::Name, length: 254 });
        let hashed = format!("a/{}-{{hash}}", "m".repeat(243));
        assert_eq!(fault(&hashed), PatternFault::SideTooLong { side: Side::Name, length: 254 });
        assert_eq!(fault(&"a".repeat(331)), PatternFault::TooLong { bytes: 331 });
    }

    #[test]
    fn tells_what_kind_it_is() {
        assert!(pattern("a/b").is_strict());
        for text in ["a/*", "*/b", "a/b-{hash}"] {
            assert!(!pattern(text).is_strict(), "{text}");
        }
        assert!(pattern("a*/b").namespace_has_wildcard());
        assert!(!pattern("a/*").namespace_has_wildcard());
        assert!(pattern("a/b-{hash}").has_hash());
        assert!(!pattern("a/b").has_hash());
    }

    #[test]
    fn exact_takes_no_wildcard_and_no_slash() {
        assert_eq!(Pattern::exact("shop", "db").unwrap(), pattern("shop/db"));
        for (namespace, name) in [("shop", "*"), ("*", "db"), ("shop", "db-{hash}"), ("shop", "a/b"), ("", "db")] {
            assert!(Pattern::exact(namespace, name).is_err(), "{namespace} {name}");
        }
    }

    #[test]
    fn matching_is_a_side_at_a_time() {
        assert!(pattern("shop-*/db").matches("shop-prod", "db"));
        assert!(!pattern("shop-*/db").matches("shop", "db"));
        assert!(!pattern("shop/db").matches("shop", "db2"));
        assert!(!pattern("*/db").matches("a/b", "db"));
        assert!(!pattern("shop/*").matches("shop", "a/b"));
        assert!(!pattern("shop/db").matches("SHOP", "db"));
    }

    #[test]
    fn covering_by_example() {
        for (wide, narrow) in [
            ("*/*", "*/*"),
            ("*/*", "a/b-{hash}"),
            ("a/*", "a/*-{hash}"),
            ("a/*-*", "a/b-{hash}"),
            ("a/b-*", "a/b-{hash}"),
            ("a/*b*", "a/*ab"),
            ("a/*a*", "a/*aa*"),
            ("a/db-{hash}", "a/db-2456789bcd"),
            ("a/*-{hash}", "a/a-*-{hash}"),
            ("a*/b", "a*a/b"),
        ] {
            assert!(pattern(wide).covers(&pattern(narrow)), "{wide} {narrow}");
        }
        for (one, other) in [
            ("a/*", "*/a"),
            ("a/b", "a/*"),
            ("a/db-{hash}", "a/db-*"),
            ("a/db-{hash}", "a/db-2456789bca"),
            ("a/*aa*", "a/*a*a*b".strip_suffix("*b").unwrap()),
            ("a/*aa", "a/*a"),
            ("a/a*a", "a/a"),
            ("a/*-{hash}", "a/*-*"),
            ("a/b*-{hash}", "a/*b-{hash}"),
        ] {
            assert!(!pattern(one).covers(&pattern(other)), "{one} {other}");
        }
    }

    /// A name side of few characters and at most two stars, or none if the parts make no pattern.
    fn side(letters: &'static str) -> impl Strategy<Value = Pattern> {
        let text = format!("[{letters}*]{{1,6}}(-\\{{hash\\}})?");
        proptest::string::string_regex(&text)
            .unwrap()
            .prop_filter_map("not a pattern", |text| format!("n/{text}").parse().ok())
    }

    /// Every string over `letters` of at most `length` characters.
    fn strings(letters: &str, length: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..length {
            last = last.iter().flat_map(|stem| letters.chars().map(move |letter| format!("{stem}{letter}"))).collect();
            all.extend_from_slice(&last);
        }
        all
    }

    /// The string of `pattern` that is hardest to cover, for patterns that use neither `z` nor `t`: whatever takes
    /// the `z` is a star and takes any other run as well, and whatever takes the `t` is a star or a hash.
    fn hardest(pattern: &Pattern) -> String {
        pattern.name().replace('*', "z").replace("-{hash}", "-tttttttttt")
    }

    proptest! {
        #[test]
        fn covers_is_inclusion_by_brute_force(one in side("ab"), other in side("ab")) {
            prop_assume!(!one.has_hash() && !other.has_hash());
            let included = strings("abc", 6).iter().all(|text| one.matches("n", text) || !other.matches("n", text));
            prop_assert_eq!(one.covers(&other), included);
        }

        #[test]
        fn covers_is_decided_by_the_hardest_string(one in side("ab24\\-."), other in side("ab24\\-.")) {
            let witness = hardest(&other);
            prop_assert!(other.matches("n", &witness));
            prop_assert_eq!(one.covers(&other), one.matches("n", &witness), "{} {}", one, other);
        }

        #[test]
        fn what_is_covered_matches(one in side("a2\\-"), other in side("a2\\-"), text in "[a2-]{0,4}(-[2a]{10})?") {
            if one.covers(&other) && other.matches("n", &text) {
                prop_assert!(one.matches("n", &text));
            }
        }

        #[test]
        fn covers_is_reflexive_and_all_is_covered_by_all(one in side("ab2\\-.")) {
            prop_assert!(one.covers(&one));
            prop_assert!(pattern("*/*").covers(&one));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,40}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert_eq!(pattern.as_str(), text);
            }
        }
    }
}
