//! Identities under a passphrase, which is asked for once, and only when a file may need them.

use std::io::Read;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, scrypt, ssh};
use age_core::format::{FileKey, Stanza};
use ageseal::recipient::Identity;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::callbacks::passphrase;
use super::file::{self, FileError, Found};
use crate::ui::Ui;

/// What came of an identity that had to be unlocked, for the message that names what was tried.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<Option<String>>>);

impl Status {
    /// Why it could not be used, if it was tried and could not.
    pub fn trouble(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, trouble: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }
}

/// Why a passphrase did not open an identity.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnlockError {
    /// There was nobody to ask.
    #[error("it is under a passphrase, and there is no terminal to ask for it")]
    NoTerminal,
    /// The passphrase does not fit.
    #[error("the passphrase is not the right one")]
    Wrong,
    /// An encrypted file that no passphrase opens.
    #[error("it is encrypted, and not under a passphrase")]
    NotPassphrase,
    /// Opening it would take more than this machine is asked for.
    #[error("its passphrase was stretched further than this program goes along with")]
    TooMuchWork,
    /// The file is not a whole age file.
    #[error("it is damaged: not a whole age file")]
    Damaged,
    /// What came out is not an identity file.
    #[error("what it encrypts is no identity file: {0}")]
    Content(FileError),
}

/// The largest scrypt work factor that is gone along with, as the age program does: 2^22, four GiB of memory.
const MAX_WORK: u8 = 22;

/// Asks for the passphrase of an identity file and opens it.
pub fn unlock(ui: &Ui, bytes: &[u8], name: &str) -> Result<Vec<Found>, UnlockError> {
    let armored = age::armor::ArmoredReader::new(bytes);
    let decryptor = Decryptor::new_buffered(armored).map_err(|_| UnlockError::Damaged)?;
    if !decryptor.is_scrypt() {
        return Err(UnlockError::NotPassphrase);
    }
    let passphrase = passphrase(ui, &format!("passphrase for {name}")).ok_or(UnlockError::NoTerminal)?;
    open(decryptor, passphrase)
}

fn open(decryptor: Decryptor<impl std::io::BufRead>, passphrase: SecretString) -> Result<Vec<Found>, UnlockError> {
    let mut identity = scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MAX_WORK);
    let mut reader = decryptor.decrypt(std::iter::once(&identity as _)).map_err(|error| match error {
        DecryptError::ExcessiveWork { .. } => UnlockError::TooMuchWork,
        DecryptError::DecryptionFailed | DecryptError::NoMatchingKeys => UnlockError::Wrong,
        _ => UnlockError::Damaged,
    })?;
    // Room for every real file, so that the vector does not leave a copy behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    reader.read_to_end(&mut bytes).map_err(|_| UnlockError::Damaged)?;
    match file::parse(bytes).map_err(UnlockError::Content)? {
        found if found.iter().any(|one| matches!(one, Found::Encrypted(_))) => {
            Err(UnlockError::Content(FileError::Line { line: 1 }))
        }
        found => Ok(found),
    }
}

/// An identity file of the configuration folder that waits for its passphrase until a file may need it.
pub struct Locked {
    bytes: Zeroizing<Vec<u8>>,
    name: String,
    ui: Ui,
    status: Status,
    opened: OnceLock<Vec<Identity>>,
}

impl Locked {
    /// Takes the encrypted bytes; asks nothing yet.
    pub fn new(ui: &Ui, bytes: Zeroizing<Vec<u8>>, name: String, status: Status) -> Self {
        Self { bytes, name, ui: ui.clone(), status, opened: OnceLock::new() }
    }

    fn identities(&self) -> &[Identity] {
        self.opened.get_or_init(|| match unlock(&self.ui, &self.bytes, &self.name) {
            Ok(found) => {
                found.into_iter().filter_map(|one| super::identities::ready(&self.ui, one, &self.name).ok()).collect()
            }
            Err(error) => {
                self.status.set(error.to_string());
                Vec::new()
            }
        })
    }
}

impl age::Identity for Locked {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.identities().iter().find_map(|identity| identity.unwrap_stanza(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        self.identities().iter().find_map(|identity| identity.unwrap_stanzas(stanzas))
    }
}

/// An OpenSSH key under a passphrase, which is asked for only if a stanza is addressed to this very key.
pub struct LockedSsh {
    key: ssh::EncryptedKey,
    tag: String,
    kind: String,
    name: String,
    ui: Ui,
    status: Status,
    opened: OnceLock<Option<ssh::Identity>>,
}

impl LockedSsh {
    /// Takes the encrypted key and the canonical text of its public half; asks nothing yet.
    pub fn new(ui: &Ui, key: ssh::EncryptedKey, canonical: &str, name: String, status: Status) -> Self {
        let (kind, encoded) = canonical.split_once(' ').unwrap_or((canonical, ""));
        Self { key, tag: tag(encoded), kind: kind.to_owned(), name, ui: ui.clone(), status, opened: OnceLock::new() }
    }

    fn unlock(&self) -> Option<&ssh::Identity> {
        let opened = self.opened.get_or_init(|| {
            let unlocked = passphrase(&self.ui, &format!("passphrase for {}", self.name))
                .ok_or(UnlockError::NoTerminal)
                .and_then(|passphrase| self.key.decrypt(passphrase).map_err(|_| UnlockError::Wrong));
            match unlocked {
                Ok(key) => Some(key.into()),
                Err(error) => {
                    self.status.set(error.to_string());
                    None
                }
            }
        });
        opened.as_ref()
    }
}

impl age::Identity for LockedSsh {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != self.kind || stanza.args.first() != Some(&self.tag) {
            return None;
        }
        self.unlock()?.unwrap_stanza(stanza)
    }
}

/// The short name by which a stanza is addressed to an ssh key: four bytes of the hash of its wire form.
///
/// Source: <https://github.com/FiloSottile/age/blob/main/agessh/agessh.go>; the age specification leaves ssh keys out.
fn tag(encoded: &str) -> String {
    let wire = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    BASE64_STANDARD_NO_PAD.encode(&Sha256::digest(&wire)[..4])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn sealed(passphrase: &str, text: &str) -> Vec<u8> {
        let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase));
        recipient.set_work_factor(2);
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).unwrap();
        let mut bytes = Vec::new();
        let mut writer = encryptor.wrap_output(&mut bytes).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn try_open(bytes: &[u8], passphrase: &str) -> Result<usize, UnlockError> {
        open(Decryptor::new_buffered(bytes).unwrap(), SecretString::from(passphrase)).map(|found| found.len())
    }

    #[test]
    fn a_passphrase_opens_an_identity_file_and_another_does_not() {
        let key = Identity::generate_hybrid(&mut rand_core::OsRng).to_secret_string().unwrap();
        let bytes = sealed("right", &format!("# mine\n{}\n", *key));
        assert_eq!(try_open(&bytes, "right"), Ok(1));
        assert_eq!(try_open(&bytes, "wrong"), Err(UnlockError::Wrong));
        assert_eq!(try_open(&bytes[..bytes.len() - 1], "right"), Err(UnlockError::Damaged));
        assert_eq!(try_open(&sealed("a", "hello"), "a"), Err(UnlockError::Content(FileError::Line { line: 1 })));
    }

    #[test]
    fn without_a_terminal_nothing_is_asked_and_it_is_said() {
        let status = Status::default();
        let ui = Ui::new(true, crate::ui::Color::Never);
        let locked = Locked::new(&ui, Zeroizing::new(sealed("a", "b")), "x.age".to_owned(), status.clone());
        if crate::prompt::possible(&ui) {
            return;
        }
        assert!(age::Identity::unwrap_stanzas(&locked, &[]).is_none());
        assert_eq!(status.trouble(), Some(UnlockError::NoTerminal.to_string()));
    }

    #[test]
    fn an_ssh_key_answers_only_to_its_own_stanza() {
        // The recipient line and the tag of age's own test key.
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
        let recipient: ssh::Recipient = format!("ssh-ed25519 {key}").parse().unwrap();
        let (stanzas, _) = age::Recipient::wrap_file_key(&recipient, &FileKey::new(Box::new([1; 16]))).unwrap();
        assert_eq!(stanzas[0].args[0], tag(key));
    }
}
