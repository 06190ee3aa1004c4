//! The text and bytes of sealed items and envelopes, and the caps on them: parsing and writing, no cryptography.
//!
//! `docs/format.md` is the normative page.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

use crate::recipient::{RecipientId, parse_hex8};
use crate::scope::Scope;

/// The API group and version of a sealed document.
pub const API_VERSION: &str = "ageseal.dev/v1alpha1";
/// The kind of a sealed document.
pub const KIND: &str = "SealedSecret";
/// The type that a Secret has when none is given, in the authenticated context too.
pub const DEFAULT_TYPE: &str = "Opaque";

/// Most items in a document.
pub const MAX_ITEMS: usize = 1_024;
/// Most age files in a document: shared and own envelopes, and every `also`.
pub const MAX_ENVELOPES: usize = 128;
/// Most bytes in the text of one item.
pub const MAX_ITEM_TEXT: usize = 2 * 1024 * 1024;
/// Most bytes in one armored age file.
pub const MAX_ENVELOPE_TEXT: usize = 96 * 1024;
/// Most stanzas in the header of one age file.
pub const MAX_STANZAS: usize = 33;
/// Most lines in the header of one age file. age's parser takes time quadratic in them.
pub const MAX_HEADER_LINES: usize = 128;
/// Most recipients that an envelope claims.
pub const MAX_RECIPIENTS: usize = 32;
/// Most bytes in a type or a data key.
pub const MAX_NAME: usize = 253;

const PREFIX: &str = "ags1.";
pub(crate) const SALT: usize = 24;
pub(crate) const COMMITMENT: usize = 32;
const TAG: usize = 16;
/// Padding hides every length below this one.
pub(crate) const PAD_FLOOR: usize = 64;

/// Why a text is not in the sealed format. Which byte is wrong is not said: what stands there came from nobody known.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// The value does not begin with `ags1.`.
    #[error("not a sealed value of version 1: it begins with `ags1.`")]
    Version,
    /// A key id is not 16 lower-case hex digits.
    #[error("the key id is 16 lower-case hex digits")]
    Kid,
    /// The part after the second dot is not canonical base64.
    #[error("the sealed bytes are padded standard base64, in canonical form")]
    Base64,
    /// Too short to hold what every value holds.
    #[error("the sealed bytes are shorter than any value's")]
    Length,
    /// More text than an item may have.
    #[error("longer than {MAX_ITEM_TEXT} bytes")]
    TooLong,
}

/// Names a DEK: eight bytes derived from it, written as 16 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(pub(crate) [u8; 8]);

impl Kid {
    /// The key of the shared envelope in `spec.envelopes`: `k` and the id, so that YAML never takes it for a number.
    pub fn map_key(self) -> String {
        format!("k{self}")
    }

    /// Parses the key of a shared envelope.
    pub fn from_map_key(text: &str) -> Result<Self, FormatError> {
        text.strip_prefix('k').ok_or(FormatError::Kid)?.parse()
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Kid {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex8(text).map(Self).ok_or(FormatError::Kid)
    }
}

/// One sealed value: `ags1.KID.BASE64(salt || commitment || ciphertext)`.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedValue {
    /// Which DEK opens it.
    pub kid: Kid,
    /// 24 random bytes, HKDF's salt.
    pub(crate) salt: [u8; SALT],
    /// 32 bytes that commit to the DEK, the salt and the context.
    pub(crate) commitment: [u8; COMMITMENT],
    /// The padded value, encrypted, and its tag.
    pub(crate) ciphertext: Vec<u8>,
}

impl SealedValue {
    /// The length of the value with its padding: what a reader without a key can tell of its size.
    pub fn padded_len(&self) -> usize {
        self.ciphertext.len() - TAG
    }
}

impl FromStr for SealedValue {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_ITEM_TEXT {
            return Err(FormatError::TooLong);
        }
        let rest = text.strip_prefix(PREFIX).ok_or(FormatError::Version)?;
        let (kid, blob) = rest.split_once('.').ok_or(FormatError::Kid)?;
        let kid = kid.parse()?;
        // The engine refuses missing padding and trailing bits: an accepted text is the only one for its bytes.
        let blob = BASE64_STANDARD.decode(blob).map_err(|_| FormatError::Base64)?;
        let (salt, rest) = blob.split_first_chunk::<SALT>().ok_or(FormatError::Length)?;
        let (commitment, ciphertext) = rest.split_first_chunk::<COMMITMENT>().ok_or(FormatError::Length)?;
        let padded = ciphertext.len().checked_sub(TAG).ok_or(FormatError::Length)?;
        // Whether it is a length that padding gives is for opening to say, where nothing else is told either.
        if padded < PAD_FLOOR {
            return Err(FormatError::Length);
        }
        Ok(Self { kid, salt: *salt, commitment: *commitment, ciphertext: ciphertext.to_vec() })
    }
}

impl fmt::Display for SealedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blob = Vec::with_capacity(SALT + COMMITMENT + self.ciphertext.len());
        blob.extend_from_slice(&self.salt);
        blob.extend_from_slice(&self.commitment);
        blob.extend_from_slice(&self.ciphertext);
        write!(f, "{PREFIX}{}.{}", self.kid, BASE64_STANDARD.encode(blob))
    }
}

impl fmt::Debug for SealedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedValue({}, {} bytes)", self.kid, self.ciphertext.len())
    }
}

/// The length that a value of `len` bytes is padded to, the mark byte counted: PADME over a floor of 64.
///
/// Source: PADMÉ, in "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019.
pub fn padded_len(len: usize) -> usize {
    padme(PAD_FLOOR.max(len + 1))
}

fn padme(len: usize) -> usize {
    let exponent = len.ilog2();
    let mantissa = exponent.ilog2() + 1;
    len.next_multiple_of(1 << (exponent - mantissa))
}

/// One age file that holds a DEK, and the recipients that it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeFile {
    /// Who should be able to open it: a claim that orders the tries.
    pub recipients: Vec<RecipientId>,
    /// The age file in ASCII armor.
    pub age: String,
}

/// A DEK for all its recipients: one age file, and those that were appended later for the same DEK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The age file.
    pub file: AgeFile,
    /// The same DEK in further age files, tried in order.
    pub also: Vec<AgeFile>,
}

impl Envelope {
    /// Every age file, in the order of the tries.
    pub fn files(&self) -> impl Iterator<Item = &AgeFile> {
        std::iter::once(&self.file).chain(&self.also)
    }

    /// Every recipient that it claims, sorted, each once.
    pub fn claimed(&self) -> Vec<RecipientId> {
        let mut ids: Vec<_> = self.files().flat_map(|file| file.recipients.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// One data key of a sealed document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The sealed value.
    pub value: SealedValue,
    /// Its own scope, in place of the document's.
    pub scope: Option<Scope>,
    /// Its own envelope, where it was sealed alone.
    pub envelope: Option<Envelope>,
}

/// What a sealed document says, as far as opening it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The Secret's type, `Opaque` where the document gives none.
    pub secret_type: String,
    /// The document's scope; none in an overlay patch, whose items carry their own.
    pub scope: Option<Scope>,
    /// The items by data key.
    pub items: BTreeMap<String, Item>,
    /// The shared envelopes.
    pub envelopes: BTreeMap<Kid, Envelope>,
}

impl Sealed {
    /// The scope that an item is authenticated with: its own, else the document's.
    pub fn effective_scope<'a>(&'a self, item: &'a Item) -> Option<&'a Scope> {
        item.scope.as_ref().or(self.scope.as_ref())
    }

    /// Every envelope, shared ones first.
    pub fn all_envelopes(&self) -> impl Iterator<Item = &Envelope> {
        self.envelopes.values().chain(self.items.values().filter_map(|item| item.envelope.as_ref()))
    }

    /// Every recipient that any envelope claims, sorted, each once.
    pub fn claimed(&self) -> Vec<RecipientId> {
        let mut ids: Vec<_> = self.all_envelopes().flat_map(Envelope::claimed).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The shared envelopes that no item refers to.
    pub fn orphans(&self) -> Vec<Kid> {
        let referred = |kid: &Kid| self.items.values().any(|item| item.envelope.is_none() && item.value.kid == *kid);
        self.envelopes.keys().copied().filter(|kid| !referred(kid)).collect()
    }
}

/// Whether a text is a data key: 1 to 253 of `[-._a-zA-Z0-9]`, not `.` and not beginning with `..`.
///
/// Source: `IsConfigMapKey` in `k8s.io/apimachinery/pkg/util/validation`.
pub fn is_data_key(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && text != "."
        && !text.starts_with("..")
}

/// Whether a text can be a Secret's type: 1 to 253 of `[-._/a-zA-Z0-9]`, as every type in use is.
pub fn is_secret_type(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths worked out by hand from the paper's definition.
    #[test]
    fn padding_lengths() {
        for (len, padded) in
            [(0, 64), (7, 64), (63, 64), (64, 72), (71, 72), (72, 80), (1000, 1024), (1023, 1024), (1024, 1088)]
        {
            assert_eq!(padded_len(len), padded, "{len}");
        }
        assert_eq!(padded_len(1_048_576), 1_081_344);
        for len in 0..5000 {
            let padded = padded_len(len);
            assert!(padded > len && padme(padded) == padded);
        }
    }

    #[test]
    fn a_kid_has_one_form() {
        let kid: Kid = "00000000000000e1".parse().unwrap();
        assert_eq!(kid.to_string(), "00000000000000e1");
        assert_eq!(Kid::from_map_key(&kid.map_key()), Ok(kid));
        for text in ["", "e1", "00000000000000E1", "00000000000000e1 ", "+0000000000000e1", "0x000000000000e1"] {
            assert_eq!(text.parse::<Kid>(), Err(FormatError::Kid), "{text}");
        }
        assert_eq!(Kid::from_map_key("00000000000000e1"), Err(FormatError::Kid));
    }

    #[test]
    fn a_value_has_one_form() {
        let value = SealedValue { kid: Kid([7; 8]), salt: [1; 24], commitment: [2; 32], ciphertext: vec![3; 80] };
        let text = value.to_string();
        assert_eq!(text.parse::<SealedValue>(), Ok(value));
        let cases = [
            (text.replace("ags1.", "ags2."), FormatError::Version),
            (text.replacen("0707", "070A", 1), FormatError::Kid),
            (text.trim_end_matches('=').to_owned(), FormatError::Base64),
            (format!("{text}="), FormatError::Base64),
            (text.replace("Aw==", "Ax=="), FormatError::Base64),
            (format!("ags1.0707070707070707.{}", BASE64_STANDARD.encode([0; 55])), FormatError::Length),
            (format!("ags1.0707070707070707.{}", BASE64_STANDARD.encode([0; 135])), FormatError::Length),
            ("ags1.0707070707070707".to_owned(), FormatError::Kid),
            ("x".repeat(MAX_ITEM_TEXT + 1), FormatError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<SealedValue>(), Err(error), "{}", &text[..text.len().min(60)]);
        }
    }

    #[test]
    fn data_keys_are_those_of_kubernetes() {
        for key in ["a", "tls.crt", ".dockerconfigjson", ".secret-file", "A_b-c.9", &"k".repeat(253)] {
            assert!(is_data_key(key), "{key}");
        }
        for key in ["", ".", "..", "..data", "a/b", "a b", "ä", "a\n", &"k".repeat(254)] {
            assert!(!is_data_key(key), "{key}");
        }
    }
}
