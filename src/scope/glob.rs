//! One side of a pattern as a small automaton: matching and exact inclusion.

use std::collections::HashSet;

/// The alphabet of the suffix that kustomize puts behind a generated name: the letters it maps a hash to.
const HASH_ALPHABET: &[u8] = b"2456789bcdfghkmt";

/// How many characters that suffix has, its dash not counted.
pub(super) const HASH_LENGTH: usize = 10;

/// Everything a namespace or an object name can be written with: what inclusion is decided over.
const NAME_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-.";

/// The most states a side can have: 253 fixed characters, two stars and the end, rounded up to whole words.
const WORDS: usize = 5;

/// One step of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// Exactly this byte.
    Byte(u8),
    /// Any run of bytes but `/`, possibly none.
    Star,
    /// One byte of [`HASH_ALPHABET`].
    Hash,
}

impl Token {
    fn takes(self, byte: u8) -> bool {
        match self {
            Token::Byte(own) => own == byte,
            Token::Star => byte != b'/',
            Token::Hash => HASH_ALPHABET.contains(&byte),
        }
    }
}

/// One side of a pattern: the namespace's or the name's.
///
/// State `i` means that the tokens before `i` are matched. Sets of states are bit sets, so that time is bounded by
/// length × states and nothing ever backtracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    tokens: Vec<Token>,
}

impl Glob {
    /// Takes the side's text without its `-{hash}`, and whether it had that ending.
    ///
    /// Assumes text that the pattern's parser accepted: at most 253 fixed characters, two stars, no two adjacent.
    pub(super) fn new(text: &str, hash: bool) -> Self {
        let fixed = text.bytes().map(|byte| if byte == b'*' { Token::Star } else { Token::Byte(byte) });
        let ending: &[Token] = if hash { &[Token::Byte(b'-')] } else { &[] };
        let suffix = std::iter::repeat_n(Token::Hash, if hash { HASH_LENGTH } else { 0 });
        Self { tokens: fixed.chain(ending.iter().copied()).chain(suffix).collect() }
    }

    /// Whether the side has a `*`.
    pub(super) fn has_star(&self) -> bool {
        self.tokens.contains(&Token::Star)
    }

    /// Whether the whole of `text` matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.takes(text.bytes())
    }

    fn takes(&self, text: impl Iterator<Item = u8>) -> bool {
        let mut states = self.start();
        for byte in text {
            states = self.step(&states, byte);
            if states.is_empty() {
                return false;
            }
        }
        states.has(self.tokens.len())
    }

    /// Whether every string over the alphabet of names that matches `other` matches `self` too.
    ///
    /// One string decides it where `self` leaves letters free: see [`Glob::hardest`]. What is covered comes from a file,
    /// and a file may hold many thousand patterns; what covers comes from the policy.
    pub(super) fn covers(&self, other: &Glob) -> bool {
        match self.hardest(other) {
            Some(text) => self.takes(text),
            None => self.covers_by_walk(other),
        }
    }

    /// The string of `other` that is hardest for `self`: its stars as one letter that only a star of `self` takes, its
    /// hash as letters that only a star or a hash of `self` takes. None if `self` has all such letters for itself.
    ///
    /// If `self` takes it, then it takes every other string of `other` in the same way: what stands in place of those
    /// letters is taken by the same star or hash.
    fn hardest<'a>(&self, other: &'a Glob) -> Option<impl Iterator<Item = u8> + use<'a>> {
        let mut own = [false; 256];
        for token in &self.tokens {
            if let Token::Byte(byte) = token {
                own[usize::from(*byte)] = true;
            }
        }
        let free = |hash: bool| {
            let mut letters = NAME_ALPHABET.iter().copied();
            letters.find(|byte| !own[usize::from(*byte)] && HASH_ALPHABET.contains(byte) == hash)
        };
        let (plain, hash) = (free(false)?, free(true)?);
        Some(other.tokens.iter().map(move |token| match token {
            Token::Byte(byte) => *byte,
            Token::Star => plain,
            Token::Hash => hash,
        }))
    }

    /// Walks the pairs (a state of `other`, the set of states `self` may be in); a pair in which `other` accepts and
    /// `self` does not is a string that proves the contrary. A run of fixed characters allows one byte a state and
    /// the sets of `self` are those of a string search, so the number of pairs is about the product of the lengths.
    fn covers_by_walk(&self, other: &Glob) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![(0, self.start())];
        while let Some((at, states)) = open.pop() {
            if !seen.insert((at, states)) {
                continue;
            }
            let Some(&token) = other.tokens.get(at) else {
                if !states.has(self.tokens.len()) {
                    return false;
                }
                continue;
            };
            if token == Token::Star {
                open.push((at + 1, states));
            }
            let next = if token == Token::Star { at } else { at + 1 };
            for &byte in NAME_ALPHABET {
                if token.takes(byte) {
                    open.push((next, self.step(&states, byte)));
                }
            }
        }
        true
    }

    fn start(&self) -> States {
        self.closed([0])
    }

    fn step(&self, states: &States, byte: u8) -> States {
        self.closed(states.iter().filter_map(|at| match self.tokens.get(at) {
            Some(Token::Star) if Token::Star.takes(byte) => Some(at),
            Some(token) if token.takes(byte) => Some(at + 1),
            _ => None,
        }))
    }

    /// Adds what a star reaches by matching nothing, and drops what the last star reached makes redundant: whatever
    /// an earlier state still accepts, that star accepts too.
    fn closed(&self, states: impl IntoIterator<Item = usize>) -> States {
        let mut set = States::default();
        let mut last_star = None;
        for at in states {
            set.add(at);
            if self.tokens.get(at) == Some(&Token::Star) {
                set.add(at + 1);
                last_star = last_star.max(Some(at));
            }
        }
        if let Some(star) = last_star {
            set.drop_below(star);
        }
        set
    }
}

/// A set of states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct States([u64; WORDS]);

impl States {
    fn add(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    fn drop_below(&mut self, at: usize) {
        for (index, word) in self.0.iter_mut().enumerate() {
            let first = index * 64;
            if first + 64 <= at {
                *word = 0;
            } else if first < at {
                *word &= u64::MAX << (at - first);
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
                .take_while(|rest| *rest != 0)
                .map(move |rest| index * 64 + rest.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        match text.strip_suffix("-{hash}") {
            Some(stem) => Glob::new(stem, true),
            None => Glob::new(text, false),
        }
    }

    #[test]
    fn sets_of_states_hold_what_was_added() {
        let mut set = States::default();
        assert!(set.is_empty());
        for at in [0, 1, 63, 64, 200, 319] {
            set.add(at);
            assert!(set.has(at));
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 63, 64, 200, 319]);
        set.drop_below(64);
        assert_eq!(set.iter().collect::<Vec<_>>(), [64, 200, 319]);
        set.drop_below(65);
        assert_eq!(set.iter().collect::<Vec<_>>(), [200, 319]);
        set.drop_below(320);
        assert!(set.is_empty());
    }

    #[test]
    fn a_star_matches_any_run_but_a_slash() {
        for text in ["", "a", "a.b", "a-b-c", "Ä"] {
            assert!(glob("*").matches(text), "{text}");
        }
        assert!(!glob("*").matches("a/b"));
        assert!(glob("a*b").matches("ab"));
        assert!(glob("a*b").matches("a-b-b"));
        assert!(!glob("a*b").matches("a-b-c"));
        assert!(glob("*ab*ab").matches("abab"));
        assert!(!glob("*ab*ab").matches("abb"));
        assert!(!glob("*ab*ab").matches("ab"));
    }

    #[test]
    fn the_hash_is_ten_characters_of_its_alphabet() {
        assert!(glob("db-{hash}").matches("db-2456789bcd"));
        assert!(glob("db-{hash}").matches("db-fghkmtttt2"));
        assert!(glob("*-{hash}").matches("a-b-fghkmtttt2"));
        for text in ["db", "db-", "db-2456789bc", "db-2456789bcdf", "db-2456789bca", "db-0456789bcd", "db2456789bcd"] {
            assert!(!glob("db-{hash}").matches(text), "{text}");
        }
    }

    #[test]
    fn matching_a_hostile_text_stays_linear() {
        let side = glob(&format!("*{}b*{}b", "a".repeat(120), "a".repeat(120)));
        assert!(!side.matches(&"a".repeat(20_000)));
    }

    #[test]
    fn the_hardest_string_and_the_walk_say_the_same() {
        let hardest = |one: &str, other: &str| {
            glob(one).hardest(&glob(other)).map(|text| String::from_utf8(text.collect()).unwrap())
        };
        assert_eq!(hardest("*a-*", "x*-{hash}"), Some("xe-bbbbbbbbbb".to_owned()));
        assert_eq!(hardest("2456789bcdfghkmt", "*"), None);
        assert_eq!(hardest("aeijlnopqrsuvwxyz013-.x", "*"), None);
        let texts = [
            "*",
            "a",
            "a*",
            "*a",
            "a*a",
            "*a*",
            "a*b*",
            "*a*b",
            "ab*ab",
            "*ab*",
            "a-{hash}",
            "*-{hash}",
            "a*-{hash}",
            "a-*",
            "*-*",
            "*2*",
            "*-2*",
            "*b*-{hash}",
            "2456789bcdfghkmt*",
            "*2456789bcdfghkmt-{hash}",
        ];
        for (one, other) in texts.iter().flat_map(|one| texts.map(|other| (glob(one), glob(other)))) {
            assert_eq!(one.covers(&other), one.covers_by_walk(&other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn inclusion_of_the_largest_sides_is_decided() {
        let large = glob(&format!("*{}b*{}", "a".repeat(60), "a".repeat(100)));
        let larger = glob(&format!("{}b*{}", "a".repeat(90), "a".repeat(110)));
        assert!(large.covers(&larger));
        assert!(!larger.covers(&large));
        assert!(large.covers(&large));
        let letters = "abcdefghijklmnopqrstuvwxyz0123456789-.x";
        assert!(glob(&format!("*{letters}*")).covers(&glob(&format!("a*{letters}*"))));
        assert!(!glob(&format!("*{letters}*")).covers(&glob("*x")));
    }
}
