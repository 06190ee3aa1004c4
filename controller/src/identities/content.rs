//! What is inside an identity Secret: the private keys, and what is not one; and the text of a new one.

use std::collections::BTreeMap;
use std::fmt;

use ageseal::recipient::{Identity, RecipientError};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use zeroize::{Zeroize, Zeroizing};

/// Most identities that one Secret may bring: each costs a key expansion to read, and a try at every document.
const MAX_IDENTITIES: usize = 64;

/// The identities of one Secret, and what is wrong with its data keys.
#[derive(Debug, Default)]
pub struct Content {
    /// The identities, by data key and line.
    pub identities: Vec<Identity>,
    /// At most one fault a data key.
    pub faults: Vec<Fault>,
}

/// What is wrong with a data key of an identity Secret. Nothing of its content is repeated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The data key.
    pub key: String,
    /// What is wrong.
    pub why: FaultKind,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Bytes that are no text.
    NotText,
    /// An identity file under a passphrase or for another identity.
    Encrypted,
    /// A line that is no identity of a kind that the controller opens with.
    Line(usize),
    /// A line that is an identity with a typo.
    Mistyped(usize),
    /// Nothing but comments.
    Empty,
    /// More identities than a Secret may bring.
    TooMany,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("is not UTF-8 text"),
            Self::Encrypted => f.write_str("is encrypted, and the controller has nothing to open it with"),
            Self::Line(line) => write!(f, "has no age identity on line {line}"),
            Self::Mistyped(line) => write!(f, "has a mistyped identity on line {line}: its checksum does not fit"),
            Self::Empty => f.write_str("holds no identity"),
            Self::TooMany => write!(f, "brings the Secret above {MAX_IDENTITIES} identities; the rest is not read"),
        }
    }
}

impl Content {
    /// Reads every data key, and overwrites what it read.
    ///
    /// A line that is no identity does not keep the others from being used: what opens, opens.
    pub fn read(data: BTreeMap<String, ByteString>) -> Self {
        let mut content = Self::default();
        for (key, mut value) in data {
            if let Some(why) = content.file(&value.0) {
                content.faults.push(Fault { key, why });
            }
            value.0.zeroize();
        }
        content
    }

    fn file(&mut self, bytes: &[u8]) -> Option<FaultKind> {
        let start = bytes.trim_ascii_start();
        if start.starts_with(b"age-encryption.org/") || start.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") {
            return Some(FaultKind::Encrypted);
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Some(FaultKind::NotText) };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let before = self.identities.len();
        let mut fault = None;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if self.identities.len() == MAX_IDENTITIES {
                return Some(FaultKind::TooMany);
            }
            match line.parse() {
                Ok(identity) => self.identities.push(identity),
                Err(RecipientError::Checksum | RecipientError::Key) => {
                    fault = fault.or(Some(FaultKind::Mistyped(index + 1)));
                }
                Err(_) => fault = fault.or(Some(FaultKind::Line(index + 1))),
            }
        }
        if self.identities.len() == before { fault.or(Some(FaultKind::Empty)) } else { fault }
    }
}

/// The text of an identity file, as age writes it; none for a kind of key that has no text.
pub fn identity_file(identity: &Identity, created: Timestamp) -> Option<Zeroizing<String>> {
    let recipient = identity.recipient()?;
    let secret = identity.to_secret_string()?;
    let head = format!("# created: {created}\n# public key: {recipient}\n");
    // As long as it will be from the beginning: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(head.len() + secret.len() + 1));
    text.push_str(&head);
    text.push_str(&secret);
    text.push('\n');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &[u8])]) -> Content {
        Content::read(files.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.to_vec()))).collect())
    }

    fn faults(text: impl AsRef<[u8]>) -> Vec<FaultKind> {
        read(&[("k", text.as_ref())]).faults.into_iter().map(|fault| fault.why).collect()
    }

    fn hybrid() -> String {
        Identity::generate_hybrid(&mut rand_core::OsRng).to_secret_string().unwrap().to_string()
    }

    #[test]
    fn every_data_key_is_read_and_every_line() {
        let classic = Identity::generate_x25519();
        let (one, two) = (hybrid(), hybrid());
        let first =
            format!("\u{feff}# created: some day\r\n\r\n {one}\r\n{}\r\n", *classic.to_secret_string().unwrap());
        let content = read(&[("a.txt", first.as_bytes()), ("b", two.as_bytes())]);
        assert_eq!(content.faults, []);
        let texts: Vec<_> = content.identities.iter().map(|i| i.to_secret_string().unwrap().to_string()).collect();
        assert_eq!(texts, [one, classic.to_secret_string().unwrap().to_string(), two]);
    }

    #[test]
    fn what_is_no_identity_is_named_by_its_line_and_keeps_no_other_from_being_used() {
        let good = hybrid();
        let last = if good.ends_with('Q') { 'P' } else { 'Q' };
        let mistyped = format!("{}{last}", &good[..good.len() - 1]);
        assert_eq!(faults(format!("# x\n{mistyped}\nnonsense\n")), [FaultKind::Mistyped(2)]);
        assert_eq!(faults("AGE-PLUGIN-YUBIKEY-1QQQQ"), [FaultKind::Line(1)]);
        assert_eq!(faults("# only words\n"), [FaultKind::Empty]);
        assert_eq!(faults(""), [FaultKind::Empty]);
        assert_eq!(faults([0xff, 0xfe, b'A']), [FaultKind::NotText]);
        assert_eq!(faults("\n-----BEGIN AGE ENCRYPTED FILE-----\n"), [FaultKind::Encrypted]);
        assert_eq!(faults("age-encryption.org/v1\n-> scrypt"), [FaultKind::Encrypted]);
        let content = read(&[("a", format!("nonsense\n{good}").as_bytes()), ("b", b"")]);
        assert_eq!(content.identities.len(), 1);
        let told: Vec<_> = content.faults.iter().map(|fault| (fault.key.as_str(), fault.why)).collect();
        assert_eq!(told, [("a", FaultKind::Line(1)), ("b", FaultKind::Empty)]);
    }

    #[test]
    fn one_secret_cannot_bring_any_number() {
        let line = Identity::generate_x25519().to_secret_string().unwrap();
        let text = format!("{}\n", *line).repeat(MAX_IDENTITIES + 1);
        let content = read(&[("a", text.as_bytes())]);
        assert_eq!(content.identities.len(), MAX_IDENTITIES);
        assert_eq!(content.faults, [Fault { key: "a".to_owned(), why: FaultKind::TooMany }]);
    }

    #[test]
    fn what_is_written_is_read() {
        let identity = Identity::generate_hybrid(&mut rand_core::OsRng);
        let text = identity_file(&identity, Timestamp::UNIX_EPOCH).unwrap();
        assert!(text.starts_with("# created: 1970-01-01T00:00:00Z\n# public key: age1pq1"));
        let content = read(&[("identity.txt", text.as_bytes())]);
        assert_eq!(content.faults, []);
        assert_eq!(content.identities[0].recipient(), identity.recipient());
    }

    #[test]
    fn debug_shows_no_key() {
        let key = hybrid();
        let content = read(&[("a", format!("{key}\n{}", &key[..40]).as_bytes())]);
        assert!(!format!("{content:?}").contains(&key[20..40]));
    }
}
