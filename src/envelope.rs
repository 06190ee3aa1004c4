//! The DEK, and the age file that carries it to its recipients.
//!
//! A DEK is write-once, and the types say so: a [`FreshDek`] was made by this process and encrypts; an [`OpenedDek`]
//! came out of a file, and only opens. Otherwise somebody could plant an envelope whose DEK they know, and read what a
//! later edit adds under it.

use std::cell::Cell;
use std::io::{self, BufRead, Read, Write};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, Encryptor};
use hkdf::Hkdf;
use rand_core::CryptoRngCore;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::format::{AgeFile, Kid, MAX_ENVELOPE_TEXT, MAX_HEADER_LINES, MAX_RECIPIENTS, MAX_STANZAS};
use crate::recipient::{Budgeted, Identity, KeyRing, Recipient, RecipientId};

const KID_INFO: &[u8] = b"ageseal.dev/v1/kid";
const PLAINTEXT_PREFIX: &[u8] = b"ageseal-dek-v1 ";
/// The prefix, 64 hex digits and a line feed.
const PLAINTEXT: usize = PLAINTEXT_PREFIX.len() + 64 + 1;
const ARMOR_BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----\n";
const ARMOR_END: &str = "-----END AGE ENCRYPTED FILE-----";
const AGE_VERSION_LINE: &[u8] = b"age-encryption.org/v1";

/// Most unwraps that opening one document may cost: identities times stanzas of their kind.
pub const MAX_UNWRAPS: usize = 256;

/// Why no envelope was made.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WrapError {
    /// Nobody to seal for.
    #[error("no recipients: nobody could ever open this")]
    NoRecipients,
    /// More recipients than an envelope may have.
    #[error("{0} recipients, and an envelope holds at most {MAX_RECIPIENTS}")]
    TooManyRecipients(usize),
    /// Post-quantum and classic recipients in one envelope: the classic copy would undo the others.
    #[error("{odd} is the odd one: post-quantum and classic recipients do not share an envelope")]
    Mixed {
        /// The id of the first recipient of the smaller kind.
        odd: RecipientId,
    },
    /// age, or a plugin behind it, made no file.
    #[error("age made no envelope for these recipients")]
    Age,
}

/// Why an envelope is refused before anything is decrypted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Too many bytes.
    #[error("longer than {MAX_ENVELOPE_TEXT} bytes")]
    TooLong,
    /// Not the armor of an age file.
    #[error("not an armored age file")]
    Armor,
    /// No age v1 header, or one without an end.
    #[error("not an age v1 header")]
    Header,
    /// Too many stanzas.
    #[error("more than {MAX_STANZAS} stanzas")]
    TooManyStanzas,
    /// Too many header lines.
    #[error("more than {MAX_HEADER_LINES} header lines")]
    TooManyLines,
}

/// Why an envelope gave no DEK.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum UnwrapError {
    #[error(transparent)]
    Refused(#[from] EnvelopeError),
    #[error("no identity fits")]
    NoIdentity,
    #[error("the envelope does not open")]
    Broken,
}

/// A new DEK: it encrypts, in the process that made it and nowhere else.
pub struct FreshDek(Dek);

impl FreshDek {
    /// Makes a DEK from 32 random bytes.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(key.as_mut());
        Self(Dek(key))
    }

    /// The id that its values and its envelope carry.
    pub fn kid(&self) -> Kid {
        self.0.kid()
    }

    /// Puts it into an age file for these recipients.
    ///
    /// Errors: nobody, too many, or a mixture of post-quantum and classic recipients; age's own refusal.
    pub fn wrap(&self, recipients: &[&Recipient]) -> Result<AgeFile, WrapError> {
        self.0.wrap(recipients)
    }

    pub(crate) fn dek(&self) -> &Dek {
        &self.0
    }
}

/// A DEK that came out of an envelope: it opens, and can be wrapped again for other recipients, and never encrypts.
pub struct OpenedDek {
    dek: Dek,
    opened_by: Option<RecipientId>,
}

impl OpenedDek {
    /// The id that its values carry.
    pub fn kid(&self) -> Kid {
        self.dek.kid()
    }

    /// The id of the identity that opened its envelope; nothing where that identity's recipient is unknown.
    pub fn opened_by(&self) -> Option<RecipientId> {
        self.opened_by
    }

    /// Puts the same DEK into a new age file: how a recipient is added, with kid and values staying as they are.
    pub fn rewrap(&self, recipients: &[&Recipient]) -> Result<AgeFile, WrapError> {
        self.dek.wrap(recipients)
    }

    pub(crate) fn dek(&self) -> &Dek {
        &self.dek
    }
}

/// The 32 bytes themselves.
pub(crate) struct Dek(Zeroizing<[u8; 32]>);

impl Dek {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn kid(&self) -> Kid {
        let mut kid = [0; 8];
        Hkdf::<Sha256>::new(None, self.bytes()).expand(KID_INFO, &mut kid).expect("8 bytes are within HKDF's limit");
        Kid(kid)
    }

    fn wrap(&self, recipients: &[&Recipient]) -> Result<AgeFile, WrapError> {
        let age = encrypt(recipients, &self.plaintext())?;
        Ok(AgeFile { recipients: recipients.iter().map(|recipient| recipient.id()).collect(), age })
    }

    fn plaintext(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(PLAINTEXT));
        text.extend_from_slice(PLAINTEXT_PREFIX);
        for byte in self.bytes() {
            text.push(hex_digit(byte >> 4));
            text.push(hex_digit(byte & 15));
        }
        text.push(b'\n');
        text
    }

    /// Reads the 80 bytes back; only the one form is accepted.
    fn from_plaintext(text: &[u8]) -> Option<Self> {
        let hex = text.strip_prefix(PLAINTEXT_PREFIX)?.strip_suffix(b"\n")?;
        if hex.len() != 64 {
            return None;
        }
        let mut key = Zeroizing::new([0; 32]);
        for (byte, pair) in key.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = hex_value(pair[0])? << 4 | hex_value(pair[1])?;
        }
        Some(Self(key))
    }
}

/// Whether these recipients may share an envelope.
pub fn check_recipients(recipients: &[&Recipient]) -> Result<(), WrapError> {
    if recipients.is_empty() {
        return Err(WrapError::NoRecipients);
    }
    if recipients.len() > MAX_RECIPIENTS {
        return Err(WrapError::TooManyRecipients(recipients.len()));
    }
    let strong = recipients.iter().filter(|recipient| recipient.is_post_quantum()).count();
    if strong == 0 || strong == recipients.len() {
        return Ok(());
    }
    let odd_is_strong = strong * 2 < recipients.len();
    let odd = recipients.iter().find(|recipient| recipient.is_post_quantum() == odd_is_strong);
    Err(odd.map_or(WrapError::NoRecipients, |odd| WrapError::Mixed { odd: odd.id() }))
}

/// Encrypts bytes to recipients, as an armored age file: a DEK, or the backup of an identity file.
///
/// Errors: nobody, too many, or a mixture of post-quantum and classic recipients; age's own refusal.
pub fn encrypt(recipients: &[&Recipient], plaintext: &[u8]) -> Result<String, WrapError> {
    check_recipients(recipients)?;
    let keys = recipients.iter().map(|recipient| recipient.key() as &dyn age::Recipient);
    Encryptor::with_recipients(keys)
        .ok()
        .and_then(|encryptor| write_armored(encryptor, plaintext).ok())
        .ok_or(WrapError::Age)
}

fn write_armored(encryptor: Encryptor, plaintext: &[u8]) -> std::io::Result<String> {
    let armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armored)?;
    writer.write_all(plaintext)?;
    let text = writer.finish()?.finish()?;
    let mut text = String::from_utf8(text).map_err(std::io::Error::other)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// What the header of an age file shows to a reader without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type of every stanza, in order; age's random grease stanzas are left out.
    pub stanzas: Vec<String>,
}

/// Looks at an envelope without a key: is it an age file within the caps, and for how many recipients of which kind?
pub fn inspect(armored: &str) -> Result<Header, EnvelopeError> {
    let binary = dearmor(armored)?;
    let header = header_text(&binary)?;
    if header.split(|byte| *byte == b'\n').next() != Some(AGE_VERSION_LINE) {
        return Err(EnvelopeError::Header);
    }
    let stanzas = header
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"-> "))
        .map(|line| String::from_utf8_lossy(line.split(|byte| *byte == b' ').next().unwrap_or_default()).into_owned())
        .filter(|tag| !tag.ends_with("-grease"))
        .collect();
    Ok(Header { stanzas })
}

/// Checks the caps of an envelope by counting, before any parser of age may run.
pub(crate) fn check_caps(armored: &str) -> Result<(), EnvelopeError> {
    header_text(&dearmor(armored)?).map(|_| ())
}

/// Takes the armor off, after counting its bytes.
fn dearmor(armored: &str) -> Result<Vec<u8>, EnvelopeError> {
    if armored.len() > MAX_ENVELOPE_TEXT {
        return Err(EnvelopeError::TooLong);
    }
    // age's reader also takes binary files, and blank space around the armor: this format has neither.
    let body = armored.strip_suffix('\n').unwrap_or(armored);
    if !armored.starts_with(ARMOR_BEGIN) || !body.ends_with(ARMOR_END) || armored.contains('\r') {
        return Err(EnvelopeError::Armor);
    }
    let mut binary = Vec::with_capacity(armored.len());
    ArmoredReader::new(armored.as_bytes()).read_to_end(&mut binary).map_err(|_| EnvelopeError::Armor)?;
    Ok(binary)
}

/// An age file whose header is read as one line.
///
/// age reads up to the end of a line and parses from the beginning, until that is a header: a long line is parsed again for
/// each one after it. The header is known here, and parsed once.
struct HeaderFirst<'a> {
    header: &'a [u8],
    rest: &'a [u8],
}

impl Read for HeaderFirst<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = if self.header.is_empty() { &mut self.rest } else { &mut self.header };
        part.read(buffer)
    }
}

impl BufRead for HeaderFirst<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(if self.header.is_empty() { self.rest } else { self.header })
    }

    fn consume(&mut self, amount: usize) {
        let part = if self.header.is_empty() { &mut self.rest } else { &mut self.header };
        part.consume(amount);
    }

    fn read_until(&mut self, end: u8, text: &mut Vec<u8>) -> io::Result<usize> {
        if self.header.is_empty() {
            return self.rest.read_until(end, text);
        }
        let header = std::mem::take(&mut self.header);
        text.extend_from_slice(header);
        Ok(header.len())
    }
}

/// Finds the header and counts its lines and stanzas: age's own parser runs only after that.
fn header_text(binary: &[u8]) -> Result<&[u8], EnvelopeError> {
    let mut end = 0;
    let mut stanzas = 0;
    for (number, line) in binary.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if number >= MAX_HEADER_LINES {
            return Err(EnvelopeError::TooManyLines);
        }
        stanzas += usize::from(line.starts_with(b"-> "));
        if stanzas > MAX_STANZAS {
            return Err(EnvelopeError::TooManyStanzas);
        }
        end += line.len();
        if line.starts_with(b"---") {
            return Ok(&binary[..end]);
        }
    }
    Err(EnvelopeError::Header)
}

/// Opens one age file with the ring, claimed identities first, and reads the DEK.
pub(crate) fn unwrap(file: &AgeFile, ring: &KeyRing, left: &Cell<usize>) -> Result<OpenedDek, UnwrapError> {
    let binary = dearmor(&file.age)?;
    let (header, rest) = binary.split_at(header_text(&binary)?.len());
    let decryptor = Decryptor::new_buffered(HeaderFirst { header, rest }).map_err(|_| UnwrapError::Broken)?;
    let fitted = Cell::new(None);
    let place = |identity: &Identity| {
        let id = identity.recipient()?.id();
        file.recipients.iter().position(|claimed| *claimed == id)
    };
    let budgeted = |identity| Budgeted { identity, place: place(identity), left, fitted: &fitted };
    let identities: Vec<_> = ring.ordered(&file.recipients).map(budgeted).collect();
    let reader = match decryptor.decrypt(identities.iter().map(|identity| identity as &dyn age::Identity)) {
        Ok(reader) => reader,
        Err(age::DecryptError::NoMatchingKeys) => return Err(UnwrapError::NoIdentity),
        Err(_) => return Err(UnwrapError::Broken),
    };
    // One byte more than a DEK's text has: a longer plaintext is seen, and not read to its end.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(PLAINTEXT + 1));
    reader.take(PLAINTEXT as u64 + 1).read_to_end(&mut plaintext).map_err(|_| UnwrapError::Broken)?;
    let dek = Dek::from_plaintext(&plaintext).ok_or(UnwrapError::Broken)?;
    Ok(OpenedDek { dek, opened_by: fitted.get() })
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;

    fn ring(identities: Vec<Identity>) -> KeyRing {
        KeyRing::new(identities)
    }

    fn budget() -> Cell<usize> {
        Cell::new(MAX_UNWRAPS)
    }

    #[test]
    fn a_dek_travels_to_each_of_its_recipients() {
        for make in [Identity::generate_x25519, || Identity::generate_hybrid(&mut OsRng)] {
            let identities: Vec<_> = (0..3).map(|_| make()).collect();
            let recipients: Vec<_> = identities.iter().map(|i| i.recipient().unwrap()).collect();
            let dek = FreshDek::generate(&mut OsRng);
            let file = dek.wrap(&recipients).unwrap();
            assert_eq!(inspect(&file.age).unwrap().stanzas.len(), 3);
            for identity in identities {
                let id = identity.recipient().map(Recipient::id);
                let opened = unwrap(&file, &ring(vec![identity]), &budget()).unwrap();
                assert_eq!(opened.opened_by(), id);
                assert_eq!(opened.kid(), dek.kid());
                assert_eq!(opened.dek().bytes(), dek.dek().bytes());
            }
            assert_eq!(unwrap(&file, &ring(vec![make()]), &budget()).err(), Some(UnwrapError::NoIdentity));
        }
    }

    #[test]
    fn adding_a_recipient_keeps_the_kid() {
        let (old, new) = (Identity::generate_x25519(), Identity::generate_x25519());
        let dek = FreshDek::generate(&mut OsRng);
        let file = dek.wrap(&[old.recipient().unwrap()]).unwrap();
        let both: Vec<Recipient> =
            [&old, &new].iter().map(|i| i.recipient().unwrap().canonical().parse().unwrap()).collect();
        let opened = unwrap(&file, &ring(vec![old]), &budget()).unwrap();
        let rewrapped = opened.rewrap(&both.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(unwrap(&rewrapped, &ring(vec![new]), &budget()).unwrap().kid(), dek.kid());
    }

    #[test]
    fn recipients_that_cannot_share_an_envelope() {
        let hybrid = Identity::generate_hybrid(&mut OsRng);
        let classic = [Identity::generate_x25519(), Identity::generate_x25519()];
        let dek = FreshDek::generate(&mut OsRng);
        let hybrid = hybrid.recipient().unwrap();
        let classic: Vec<_> = classic.iter().map(|i| i.recipient().unwrap()).collect();
        assert_eq!(dek.wrap(&[]), Err(WrapError::NoRecipients));
        assert_eq!(dek.wrap(&[hybrid, classic[0], classic[1]]), Err(WrapError::Mixed { odd: hybrid.id() }));
        assert_eq!(dek.wrap(&[hybrid; 33]), Err(WrapError::TooManyRecipients(33)));
    }

    #[test]
    fn any_bytes_open_with_plain_age() {
        let identity = Identity::generate_hybrid(&mut OsRng);
        let text = vec![b'x'; 3 * 65_536 + 1];
        let armored = encrypt(&[identity.recipient().unwrap()], &text).unwrap();
        assert_eq!(inspect(&armored).map(|header| header.stanzas.len()), Err(EnvelopeError::TooLong));
        let mut opened = Vec::new();
        Decryptor::new(ArmoredReader::new(armored.as_bytes()))
            .unwrap()
            .decrypt(std::iter::once(&identity as &dyn age::Identity))
            .unwrap()
            .read_to_end(&mut opened)
            .unwrap();
        assert_eq!(opened, text);
        let classic = Identity::generate_x25519();
        let mixed = [identity.recipient().unwrap(), classic.recipient().unwrap()];
        assert!(matches!(encrypt(&mixed, b"x"), Err(WrapError::Mixed { .. })));
        assert_eq!(encrypt(&[], b"x"), Err(WrapError::NoRecipients));
    }

    #[test]
    fn the_plaintext_has_one_form() {
        let dek = FreshDek::generate(&mut OsRng);
        let text = dek.dek().plaintext();
        assert_eq!(text.len(), 80);
        assert!(Dek::from_plaintext(&text).is_some());
        let text = String::from_utf8(text.to_vec()).unwrap();
        let upper = format!("ageseal-dek-v1 {}\n", "A".repeat(64));
        for bad in [&text[..79], &format!("{text}\n"), &text.replace("v1", "v2"), &upper, &text.replace('\n', " ")] {
            assert!(Dek::from_plaintext(bad.as_bytes()).is_none(), "{}", bad.len());
        }
    }

    #[test]
    fn caps_come_before_age() {
        let armor = |header: &str| {
            let mut writer = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).unwrap();
            writer.write_all(header.as_bytes()).unwrap();
            String::from_utf8(writer.finish().unwrap()).unwrap()
        };
        let version = "age-encryption.org/v1\n";
        let stanzas = |n: usize| format!("{version}{}--- mac\n", "-> X25519 a\nb\n".repeat(n));
        assert_eq!(inspect(&armor(&stanzas(33))).unwrap().stanzas.len(), 33);
        assert_eq!(inspect(&armor(&stanzas(34))), Err(EnvelopeError::TooManyStanzas));
        let lines = format!("{version}-> X25519 a\n{}--- mac\n", "x\n".repeat(127));
        assert_eq!(inspect(&armor(&lines)), Err(EnvelopeError::TooManyLines));
        assert_eq!(inspect(&armor("age-encryption.org/v2\n--- \n")), Err(EnvelopeError::Header));
        assert_eq!(inspect(&armor(&format!("{version}-> X25519 a\n"))), Err(EnvelopeError::Header));
        assert_eq!(inspect(&"x".repeat(MAX_ENVELOPE_TEXT + 1)), Err(EnvelopeError::TooLong));
        for text in ["", "age-encryption.org/v1\n", ARMOR_BEGIN] {
            assert_eq!(inspect(text), Err(EnvelopeError::Armor), "{text}");
        }
        let spaced = format!("\n{}", armor(&stanzas(1)));
        assert_eq!(inspect(&spaced), Err(EnvelopeError::Armor));
    }

    #[test]
    fn a_header_is_read_at_once_and_nothing_of_the_rest() {
        let (header, rest) = (&b"age-encryption.org/v1\n-> X25519 a\nb\n--- mac\n"[..], &b"nonce\npayload"[..]);
        let mut file = HeaderFirst { header, rest };
        let mut text = Vec::new();
        assert_eq!(file.read_until(b'\n', &mut text).unwrap(), header.len());
        assert_eq!(text, header);
        assert_eq!(file.read_until(b'\n', &mut text).unwrap(), "nonce\n".len());
        text.clear();
        HeaderFirst { header, rest }.read_to_end(&mut text).unwrap();
        assert_eq!(text, [header, rest].concat());
        let lines: Vec<_> = io::Read::bytes(HeaderFirst { header, rest }).map(Result::unwrap).collect();
        assert_eq!(lines, text);
    }

    #[test]
    fn a_claim_saves_tries_and_costs_nobody_a_value() {
        let identities: Vec<_> = (0..4).map(|_| Identity::generate_x25519()).collect();
        let recipients: Vec<_> = identities.iter().map(|identity| identity.recipient().unwrap()).collect();
        let file = FreshDek::generate(&mut OsRng).wrap(&recipients).unwrap();
        let tries = |recipients: Vec<RecipientId>| {
            let (file, left) = (AgeFile { recipients, age: file.age.clone() }, budget());
            unwrap(&file, &ring(vec![identities[3].clone()]), &left).unwrap();
            MAX_UNWRAPS - left.get()
        };
        assert_eq!(tries(file.recipients.clone()), 1);
        assert_eq!(tries(file.recipients.iter().rev().copied().collect()), 4, "a claim that misleads");
        assert_eq!(tries(Vec::new()), 4);
    }

    #[test]
    fn tries_are_bounded() {
        let owner = Identity::generate_x25519();
        let dek = FreshDek::generate(&mut OsRng);
        let file = dek.wrap(&[owner.recipient().unwrap(); 32]).unwrap();
        let strangers = ring((0..9).map(|_| Identity::generate_x25519()).collect());
        let left = budget();
        assert_eq!(unwrap(&file, &strangers, &left).err(), Some(UnwrapError::NoIdentity));
        assert_eq!(left.get(), 0);
    }
}
