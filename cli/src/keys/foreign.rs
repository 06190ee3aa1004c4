//! Recipients of every kind that age speaks: the core's own, ssh keys, plugins.
//!
//! Parsing runs nothing and looks for nothing, so that a document can be checked on a machine that has no plugin. A
//! plugin runs when a value is sealed, and then only if its name was given by the user or is on the user's list.

use std::collections::HashSet;

use age::plugin::RecipientPluginV1;
use age::{EncryptError, ssh};
use age_core::format::{FileKey, Stanza};
use ageseal::recipient::{Recipient, RecipientError, RecipientKind, looks_private};
use thiserror::Error;

pub use super::plugins::Trust;
use super::plugins::{ALLOW_FILE, ALLOW_VARIABLE, is_allowed};
use crate::error::CliError;
use crate::keys::callbacks::Terminal;
use crate::ui::Ui;

/// Why a text is not a recipient that can be used. The text itself is never repeated: it may be a private key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignError {
    /// The core's word on it.
    #[error(transparent)]
    Core(#[from] RecipientError),
    /// An ssh key that does not parse.
    #[error("not a valid ssh public key")]
    Ssh,
    /// An ssh key of another kind, such as `ecdsa-sha2-nistp256` or `sk-ssh-ed25519@openssh.com`.
    #[error("an ssh key of the kind {kind}, which age cannot encrypt to; it takes ssh-ed25519 and ssh-rsa")]
    SshKind {
        /// The kind, as the key says it.
        kind: String,
    },
    /// An RSA key that is too weak or too large to use.
    #[error("an ssh-rsa key of a size that age refuses; it takes 2048 to 4096 bits")]
    SshSize,
    /// A plugin that only a repository named.
    #[error("the repository names the age plugin {plugin}, which you have not allowed to run")]
    NotAllowed {
        /// The plugin's name.
        plugin: String,
    },
}

impl ForeignError {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Core(RecipientError::PrivateKey) => {
                Some("take it out and make a new one: whoever saw it can read what was sealed for it".to_owned())
            }
            Self::NotAllowed { plugin } => Some(format!(
                "if you trust age-plugin-{plugin}: add a line `{plugin}` to {}, or set {ALLOW_VARIABLE}={plugin}",
                super::config_folder().map_or_else(
                    || format!("ageseal/{ALLOW_FILE} in your configuration folder"),
                    |folder| super::shown_from_home(&folder.join(ALLOW_FILE)),
                )
            )),
            _ => None,
        }
    }
}

impl From<ForeignError> for CliError {
    fn from(error: ForeignError) -> Self {
        let hint = error.hint();
        let error = Self::usage(error.to_string());
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// Parses a recipient of any kind: `age1pq1…`, `age1…`, `ssh-ed25519 …`, `ssh-rsa …`, `age1NAME1…`.
pub fn recipient(ui: &Ui, text: &str, trust: Trust) -> Result<Recipient, ForeignError> {
    let text = text.trim();
    match text.parse::<Recipient>() {
        Err(RecipientError::Kind) => {}
        native => return Ok(native?),
    }
    if is_ssh(text) {
        return ssh_recipient(text);
    }
    // bech32 may be all upper case, and the hash that names the recipient must not depend on it.
    let lower = text.to_ascii_lowercase();
    let key: age::plugin::Recipient = match lower.parse() {
        Ok(key) => key,
        Err(_) if looks_private(&lower) => return Err(RecipientError::PrivateKey.into()),
        Err(_) if lower.starts_with("age1") => return Err(RecipientError::Checksum.into()),
        Err(_) => return Err(RecipientError::Kind.into()),
    };
    let plugin = Plugin { key, trust, ui: ui.clone() };
    Ok(Recipient::custom(lower, RecipientKind::Plugin, Box::new(plugin)))
}

/// Checks, before anything is sealed, that a recipient given by its canonical text may be used: only a plugin may not.
pub fn check_usable(canonical: &str, trust: Trust) -> Result<(), ForeignError> {
    match canonical.parse::<age::plugin::Recipient>() {
        Ok(key) if !is_native(canonical) && !is_allowed(key.plugin(), trust) => {
            Err(ForeignError::NotAllowed { plugin: key.plugin().to_owned() })
        }
        _ => Ok(()),
    }
}

fn is_native(canonical: &str) -> bool {
    canonical.parse::<Recipient>().is_ok()
}

fn is_ssh(text: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|kind| text.starts_with(kind))
}

fn ssh_recipient(text: &str) -> Result<Recipient, ForeignError> {
    let mut words = text.split_ascii_whitespace();
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match format!("{kind} {key}").parse::<ssh::Recipient>() {
        Ok(key) => Ok(Recipient::custom(key.to_string(), RecipientKind::Ssh, Box::new(key))),
        Err(ssh::ParseRecipientKeyError::Unsupported(kind)) => Err(ForeignError::SshKind { kind }),
        Err(ssh::ParseRecipientKeyError::RsaModulusTooSmall | ssh::ParseRecipientKeyError::RsaModulusTooLarge) => {
            Err(ForeignError::SshSize)
        }
        Err(_) if kind != "ssh-ed25519" && kind != "ssh-rsa" => Err(ForeignError::SshKind { kind: kind.to_owned() }),
        Err(_) => Err(ForeignError::Ssh),
    }
}

/// A recipient whose plugin is looked up, and asked, only when there is something to wrap.
struct Plugin {
    key: age::plugin::Recipient,
    trust: Trust,
    ui: Ui,
}

impl age::Recipient for Plugin {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let plugin = self.key.plugin();
        if !is_allowed(plugin, self.trust) {
            let refused = ForeignError::NotAllowed { plugin: plugin.to_owned() };
            return Err(EncryptError::Io(std::io::Error::other(refused)));
        }
        RecipientPluginV1::new(plugin, std::slice::from_ref(&self.key), &[], Terminal(self.ui.clone()))
            .map_err(EncryptError::PluginResolve)?
            .wrap_file_key(file_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Color;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";

    fn parse(text: &str, trust: Trust) -> Result<Recipient, ForeignError> {
        recipient(&Ui::new(true, Color::Never), text, trust)
    }

    fn plugin(name: &str) -> String {
        use age_core::primitives::bech32_encode;
        bech32_encode(bech32::Hrp::parse(&format!("age1{name}")).unwrap(), &[1, 2, 3])
    }

    #[test]
    fn an_ssh_key_is_the_same_with_and_without_its_comment() {
        let bare = parse(ED25519, Trust::User).unwrap();
        let named = parse(&format!("  {ED25519}   ann@example.com here\t"), Trust::Repository).unwrap();
        assert_eq!(bare.canonical(), ED25519);
        assert_eq!(bare.kind(), RecipientKind::Ssh);
        assert_eq!(bare.id(), named.id());
    }

    #[test]
    fn ssh_keys_that_age_cannot_use_are_told_apart() {
        assert_eq!(parse("ssh-ed25519 AAAA", Trust::User), Err(ForeignError::Ssh));
        for kind in ["ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"] {
            let error = parse(&format!("{kind} AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY="), Trust::User).unwrap_err();
            assert_eq!(error, ForeignError::SshKind { kind: kind.to_owned() });
        }
    }

    #[test]
    fn a_plugin_of_a_repository_parses_and_does_not_run() {
        let text = plugin("nosuchthing");
        let recipient = parse(&text.to_uppercase(), Trust::Repository).unwrap();
        assert_eq!((recipient.canonical(), recipient.kind()), (text.as_str(), RecipientKind::Plugin));
        let error = check_usable(&text, Trust::Repository).unwrap_err();
        assert!(error.hint().unwrap().contains("AGESEAL_ALLOW_PLUGINS=nosuchthing"), "{:?}", error.hint());
        assert_eq!(check_usable(&text, Trust::User), Ok(()));
    }

    #[test]
    fn the_cores_own_need_no_plugin() {
        let identity = ageseal::recipient::Identity::generate_hybrid(&mut rand_core::OsRng);
        let text = identity.recipient().unwrap().canonical().to_owned();
        assert_eq!(check_usable(&text, Trust::Repository), Ok(()));
        assert_eq!(parse(&text, Trust::Repository).unwrap().kind(), RecipientKind::Hybrid);
        assert_eq!(check_usable(ED25519, Trust::Repository), Ok(()));
    }

    #[test]
    fn nonsense_and_private_keys_are_refused() {
        assert_eq!(parse("hello", Trust::User), Err(RecipientError::Kind.into()));
        let mut text = plugin("yubikey");
        text.replace_range(text.len() - 1.., if text.ends_with('q') { "p" } else { "q" });
        assert_eq!(parse(&text, Trust::User), Err(RecipientError::Checksum.into()));
        for text in ["AGE-SECRET-KEY-1QQ", "AGE-PLUGIN-YUBIKEY-1QQ", "-----BEGIN OPENSSH PRIVATE KEY-----"] {
            assert_eq!(parse(text, Trust::User), Err(RecipientError::PrivateKey.into()), "{text}");
        }
    }
}
