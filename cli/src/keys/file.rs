//! The text of an identity file: which kinds of private keys it holds, and on which line it is not one.

use std::io::BufReader;

use ageseal::recipient::{Identity, RecipientError};
use thiserror::Error;
use zeroize::Zeroizing;

/// A private key as it stands in a file, not yet ready to use.
pub enum Found {
    /// `AGE-SECRET-KEY-PQ-1…` or `AGE-SECRET-KEY-1…`.
    Native(Box<Identity>),
    /// `AGE-PLUGIN-NAME-1…`: a pointer to a key that the plugin holds.
    Plugin(age::plugin::Identity),
    /// A private key of OpenSSH, perhaps encrypted.
    Ssh(Box<age::ssh::Identity>),
    /// A whole identity file under a passphrase, as `age -p` writes it: binary or armored.
    Encrypted(Zeroizing<Vec<u8>>),
}

/// Why a file is not an identity file. Nothing of its content is repeated.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileError {
    /// PowerShell's `>` writes it.
    #[error("the file is UTF-16; identity files are UTF-8")]
    Utf16,
    /// A byte that is no text.
    #[error("line {line} is not UTF-8 text")]
    NotText {
        /// The line, from 1.
        line: usize,
    },
    /// A line that is no identity.
    #[error("line {line} is not an identity")]
    Line {
        /// The line, from 1.
        line: usize,
    },
    /// A line that is an identity with a typo.
    #[error("line {line} is a mistyped identity: its checksum does not fit")]
    Mistyped {
        /// The line, from 1.
        line: usize,
    },
    /// A line that is the public half.
    #[error("line {line} is a recipient, which opens nothing; the identity is its private half")]
    Recipient {
        /// The line, from 1.
        line: usize,
    },
    /// PEM of a kind that age does not take.
    #[error("this private key is of a kind that age does not know; it takes ed25519 and rsa keys of OpenSSH")]
    Pem,
    /// There is nothing but comments.
    #[error("the file holds no identity")]
    Empty,
}

const BINARY: &[u8] = b"age-encryption.org/v1";
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// Finds the private keys of a file.
pub fn parse(bytes: Zeroizing<Vec<u8>>) -> Result<Vec<Found>, FileError> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(FileError::Utf16);
    }
    let start = bytes.trim_ascii_start();
    if start.starts_with(BINARY) || start.starts_with(ARMOR) {
        return Ok(vec![Found::Encrypted(bytes)]);
    }
    if start.starts_with(b"-----BEGIN ") {
        return ssh(start).map(|key| vec![key]);
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| FileError::NotText {
        line: 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            found.push(one(line, index + 1)?);
        }
    }
    if found.is_empty() { Err(FileError::Empty) } else { Ok(found) }
}

fn one(text: &str, line: usize) -> Result<Found, FileError> {
    match text.parse::<Identity>() {
        Ok(identity) => return Ok(Found::Native(Box::new(identity))),
        Err(RecipientError::Checksum | RecipientError::Key) => return Err(FileError::Mistyped { line }),
        Err(_) => {}
    }
    let prefix = text.get(..11).unwrap_or_default();
    if prefix.eq_ignore_ascii_case("AGE-PLUGIN-") {
        return text.parse().map(Found::Plugin).map_err(|_| FileError::Mistyped { line });
    }
    if text.starts_with("age1") || text.starts_with("ssh-") {
        return Err(FileError::Recipient { line });
    }
    Err(FileError::Line { line })
}

fn ssh(text: &[u8]) -> Result<Found, FileError> {
    // The parser of age wants LF and a last line break.
    let mut unix = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    unix.extend(text.iter().filter(|&&byte| byte != b'\r'));
    unix.push(b'\n');
    match age::ssh::Identity::from_buffer(BufReader::new(&unix[..]), None) {
        Ok(age::ssh::Identity::Unsupported(_)) | Err(_) => Err(FileError::Pem),
        Ok(key) => Ok(Found::Ssh(Box::new(key))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: impl AsRef<[u8]>) -> Result<String, FileError> {
        let found = parse(Zeroizing::new(text.as_ref().to_vec()))?;
        let letter = |found: &Found| match found {
            Found::Native(_) => 'n',
            Found::Plugin(_) => 'p',
            Found::Ssh(_) => 's',
            Found::Encrypted(_) => 'e',
        };
        Ok(found.iter().map(letter).collect())
    }

    fn native() -> String {
        Identity::generate_hybrid(&mut rand_core::OsRng).to_secret_string().unwrap().to_string()
    }

    #[test]
    fn each_kind_is_told_by_its_beginning() {
        let classic = Identity::generate_x25519().to_secret_string().unwrap();
        let plugin = age::plugin::Identity::default_for_plugin("yubikey").unwrap();
        let text = format!("\u{feff}# created: today\r\n\r\n{}\r\n {}\n{plugin}", native(), *classic);
        assert_eq!(kinds(text), Ok("nnp".to_owned()));
        assert_eq!(kinds("age-encryption.org/v1\n-> scrypt"), Ok("e".to_owned()));
        assert_eq!(kinds("\n-----BEGIN AGE ENCRYPTED FILE-----\n"), Ok("e".to_owned()));
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_alone() {
        let key = native();
        let mistyped = format!("{}A", &key[..key.len() - 1]);
        let mistyped = if mistyped == key { format!("{}C", &key[..key.len() - 1]) } else { mistyped };
        assert_eq!(kinds(format!("# x\n{mistyped}")), Err(FileError::Mistyped { line: 2 }));
        assert_eq!(kinds(format!("{key}\nhunter2")), Err(FileError::Line { line: 2 }));
        assert_eq!(kinds("\n\nage1qqq"), Err(FileError::Recipient { line: 3 }));
        assert_eq!(kinds("AGE-PLUGIN-X-1QQQ"), Err(FileError::Mistyped { line: 1 }));
        assert_eq!(kinds(b"# a\n\xc3\x28"), Err(FileError::NotText { line: 2 }));
        assert_eq!(kinds(b"\xff\xfeA\0"), Err(FileError::Utf16));
        assert_eq!(kinds("# only\n\n"), Err(FileError::Empty));
        assert_eq!(kinds("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), Err(FileError::Pem));
        let error = kinds(format!("{key}\nhunter2")).unwrap_err().to_string();
        assert!(!error.contains("hunter2") && !error.contains("AGE-SECRET"));
    }
}
