//! Identity files of a cluster: read whole, of the two native kinds alone, and encrypted for whoever keeps a backup.

use std::io::Read;
use std::sync::Arc;

use age::Decryptor;
use age::armor::ArmoredReader;
use ageseal::envelope::{WrapError, encrypt};
use ageseal::recipient::{Identity, Recipient, RecipientId};
use thiserror::Error;
use zeroize::Zeroizing;

use super::file::{self, FileError, Found};
use super::identities::{Keys, Options};
use super::lazy::{UnlockError, unlock};
use crate::clock;
use crate::error::{CliError, Errors, Place};
use crate::ui::Ui;

/// Why a file has no identity that a cluster could use.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VaultError {
    /// It is not an identity file.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is encrypted.
    #[error("it is encrypted")]
    Encrypted,
    /// A private key of another kind.
    #[error("it holds a private key of a kind that the controller does not use; it takes age's native identities")]
    Kind,
}

/// Every native identity that stands on a line of these bytes, whatever else does: what a controller would open with.
pub fn lines(bytes: &[u8]) -> Vec<Identity> {
    let Ok(text) = std::str::from_utf8(bytes) else { return vec![] };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// The native identities of a plain identity file, in its order.
///
/// # Errors
/// Anything else is in it.
fn natives(bytes: Zeroizing<Vec<u8>>) -> Result<Vec<Identity>, VaultError> {
    file::parse(bytes)?
        .into_iter()
        .map(|found| match found {
            Found::Native(identity) => Ok(*identity),
            Found::Encrypted(_) => Err(VaultError::Encrypted),
            Found::Plugin(_) | Found::Ssh(_) => Err(VaultError::Kind),
        })
        .collect()
}

/// The native identities of a file that is plain, under a passphrase, or encrypted to one of the user's identities.
///
/// The user's own identities are loaded only if they are needed; a passphrase is asked for on a terminal.
pub fn open(ui: &Ui, bytes: Zeroizing<Vec<u8>>, shown: &str, options: &Options) -> Result<Vec<Identity>, Errors> {
    let wrong = |error: String| {
        CliError::input("this is not an identity file that a cluster can use").place(Place {
            path: shown.to_owned(),
            at: None,
            detail: Some(error),
        })
    };
    let found = file::parse(bytes).map_err(|error| wrong(error.to_string()))?;
    let mut identities = vec![];
    for one in found {
        match one {
            Found::Native(identity) => identities.push(*identity),
            Found::Encrypted(bytes) => identities.extend(decrypted(ui, &bytes, shown, options, &wrong)?),
            Found::Plugin(_) | Found::Ssh(_) => return Err(wrong(VaultError::Kind.to_string()).into()),
        }
    }
    Ok(identities)
}

fn decrypted(
    ui: &Ui,
    bytes: &[u8],
    shown: &str,
    options: &Options,
    wrong: &dyn Fn(String) -> CliError,
) -> Result<Vec<Identity>, Errors> {
    let closed = |error: String| wrong(error).kind(crate::error::Exit::CannotDecrypt);
    let damaged = || wrong(UnlockError::Damaged.to_string());
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(bytes)).map_err(|_| damaged())?;
    if decryptor.is_scrypt() {
        let found = unlock(ui, bytes, shown).map_err(|error| closed(error.to_string()))?;
        let native = |found| match found {
            Found::Native(identity) => Ok(*identity),
            _ => Err(wrong(VaultError::Kind.to_string())),
        };
        return Ok(found.into_iter().map(native).collect::<Result<_, _>>()?);
    }
    let keys: Keys = options.load(ui)?;
    keys.require()?;
    let ring = keys.ring.identities().iter().map(|identity| identity as &dyn age::Identity);
    let mut reader = decryptor.decrypt(ring).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => {
            let told = CliError::cannot_decrypt("no identity opens this file").place(Place {
                path: shown.to_owned(),
                at: None,
                detail: None,
            });
            let told = keys.tried(|_| None).into_iter().fold(told, CliError::detail);
            told.hint("-i FILE with the identity that it was backed up for, such as the recovery key")
        }
        _ => damaged(),
    })?;
    // Room for every real file, so that the vector does not leave a copy behind by growing.
    let mut plain = Zeroizing::new(Vec::with_capacity(64 * 1024));
    reader.read_to_end(&mut plain).map_err(|_| damaged())?;
    natives(plain).map_err(|error| wrong(format!("what it encrypts is no identity file: {error}")).into())
}

/// The text of an identity file with this one identity, as `keygen` writes it; nothing for other than native kinds.
pub fn text(identity: &Identity) -> Option<Zeroizing<String>> {
    let (recipient, secret) = (identity.recipient()?, identity.to_secret_string()?);
    let now = clock::rfc3339(clock::now());
    Some(Zeroizing::new(format!("# created: {now}\n# public key: {recipient}\n{}\n", *secret)))
}

/// Why an identity was not encrypted for a backup.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackupError {
    /// The copy would open to a quantum computer, and the identity would not.
    #[error(
        "{backup} is classic and the identity {identity} is post-quantum: such a copy would undo what the identity is for"
    )]
    Classic {
        /// The recipient of the backup.
        backup: RecipientId,
        /// The identity.
        identity: RecipientId,
    },
    /// The recipients cannot stand together, or age refused them.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// An identity of another kind has no text.
    #[error("this kind of identity has no text that could be kept")]
    Kind,
}

/// Refuses to keep a post-quantum identity under a classic key.
pub fn check_backup(identity: &Recipient, backups: &[Arc<Recipient>]) -> Result<(), BackupError> {
    match backups.iter().find(|backup| identity.is_post_quantum() && !backup.is_post_quantum()) {
        Some(odd) => Err(BackupError::Classic { backup: odd.id(), identity: identity.id() }),
        None => Ok(()),
    }
}

/// An identity file, encrypted to backup recipients and armored: what `age -d` opens.
pub fn encrypted(identity: &Identity, backups: &[Arc<Recipient>]) -> Result<String, BackupError> {
    let recipient = identity.recipient().ok_or(BackupError::Kind)?;
    check_backup(recipient, backups)?;
    let plain = text(identity).ok_or(BackupError::Kind)?;
    let backups: Vec<&Recipient> = backups.iter().map(|backup| &**backup).collect();
    Ok(encrypt(&backups, plain.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;
    use crate::ui::Color;

    #[test]
    fn a_backup_opens_for_its_recipient_and_stays_closed_to_a_weaker_key() {
        let (identity, keeper) = (Identity::generate_hybrid(&mut OsRng), Identity::generate_hybrid(&mut OsRng));
        let share = |text: &str| Arc::new(text.parse::<Recipient>().unwrap());
        let to = share(keeper.recipient().unwrap().canonical());
        let file = encrypted(&identity, &[Arc::clone(&to)]).unwrap();
        assert!(!file.contains("SECRET") && file.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keeper.txt");
        std::fs::write(&path, text(&keeper).unwrap().as_bytes()).unwrap();
        let ui = Ui::new(true, Color::Never);
        let options = Options::of(vec![path]);
        let opened = open(&ui, Zeroizing::new(file.clone().into_bytes()), "x.age", &options).unwrap();
        assert_eq!(opened[0].recipient(), identity.recipient());
        // Another identity, and a file cut short.
        std::fs::write(dir.path().join("other.txt"), text(&identity).unwrap().as_bytes()).unwrap();
        let other = Options::of(vec![dir.path().join("other.txt")]);
        let errors = open(&ui, Zeroizing::new(file.clone().into_bytes()), "x.age", &other).unwrap_err();
        assert_eq!(errors.exit(), crate::error::Exit::CannotDecrypt);
        let cut = Zeroizing::new(file.as_bytes()[..file.len() / 2].to_vec());
        assert!(open(&ui, cut, "x.age", &options).is_err());

        let classic = share(Identity::generate_x25519().recipient().unwrap().canonical());
        assert!(matches!(encrypted(&identity, &[Arc::clone(&classic)]), Err(BackupError::Classic { .. })));
        assert!(encrypted(&Identity::generate_x25519(), &[classic]).is_ok());
        assert!(matches!(encrypted(&identity, &[]), Err(BackupError::Wrap(WrapError::NoRecipients))));
    }

    #[test]
    fn every_line_that_is_an_identity_counts() {
        let identity = Identity::generate_hybrid(&mut OsRng);
        let text = format!("\u{feff}nonsense\r\n  {}\r\n# end", *identity.to_secret_string().unwrap());
        assert_eq!(lines(text.as_bytes()).len(), 1);
        assert_eq!(lines(b"\xff\xfe").len(), 0);
    }
}
