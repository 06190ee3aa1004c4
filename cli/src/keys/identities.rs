//! Where the user's identities are looked for, and what is said of them when none fits.
//!
//! The first of these that names any is used, alone: `-i FILE`; the environment (`AGESEAL_IDENTITY_FILE`, a list of
//! paths, and `AGESEAL_IDENTITY`, the content itself); the files of `identities/` in the configuration folder.

use std::fs;
use std::path::{Path, PathBuf};

use age::plugin::IdentityPluginV1;
use ageseal::recipient::{Identity, KeyRing, Recipient, RecipientId, RecipientKind};
use zeroize::Zeroizing;

use super::callbacks::Terminal;
use super::file::{self, Found};
use super::lazy::{Locked, LockedSsh, Status, unlock};
use super::{config_folder, short_id, shown_from_home};
use crate::error::{CliError, Errors};
use crate::files::{self, Want};
use crate::ui::Ui;

/// The environment variable that holds a list of identity files.
pub const FILES_VARIABLE: &str = "AGESEAL_IDENTITY_FILE";
/// The environment variable that holds identities themselves.
pub const CONTENT_VARIABLE: &str = "AGESEAL_IDENTITY";

/// The option of every command that opens something.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Options {
    /// A file with identities to open with; `-` is stdin [default: the environment, then your configuration folder]
    #[arg(short, long = "identity", value_name = "FILE")]
    identities: Vec<PathBuf>,
}

/// The identities at hand, and where each came from.
#[derive(Debug, Default)]
pub struct Keys {
    /// The ring to open with.
    pub ring: KeyRing,
    sources: Vec<Source>,
}

/// One place that identities came from.
#[derive(Debug)]
struct Source {
    shown: String,
    holds: Vec<Held>,
}

/// What is known of one identity without using it.
#[derive(Debug)]
enum Held {
    Id(RecipientId),
    Plugin(String),
    Locked(Status, Option<RecipientId>),
}

impl Options {
    /// These files, as if each were named with `-i`.
    #[cfg(test)]
    pub(crate) fn of(identities: Vec<PathBuf>) -> Self {
        Self { identities }
    }

    /// Whether `-i` was given.
    pub fn given(&self) -> bool {
        !self.identities.is_empty()
    }

    /// Loads the identities. None at all is no error here: see [`Keys::require`].
    ///
    /// What the user named has to be there and whole, and a passphrase is asked for now; a file of the configuration
    /// folder that is not an identity file is warned of and passed over, and a passphrase waits until it is needed.
    pub fn load(&self, ui: &Ui) -> Result<Keys, Errors> {
        let mut loader = Loader { ui, identities: Vec::new(), sources: Vec::new(), errors: Vec::new() };
        let named = if self.given() {
            self.identities.iter().for_each(|path| loader.named_file(path));
            true
        } else {
            loader.environment()
        };
        if !named {
            loader.folder();
        }
        Errors::none_or(loader.errors)?;
        Ok(Keys { ring: KeyRing::new(loader.identities), sources: loader.sources })
    }
}

impl Keys {
    /// Whether there is no identity at all.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The error of a command that cannot do without an identity, when there is none.
    pub fn require(&self) -> Result<(), CliError> {
        if !self.is_empty() {
            return Ok(());
        }
        let folder = config_folder().map_or_else(
            || "identities/ in your configuration folder".to_owned(),
            |folder| shown_from_home(&folder.join("identities")),
        );
        Err(CliError::cannot_decrypt("there is no identity to open with")
            .detail(format!("looked for: -i FILE, {FILES_VARIABLE}, {CONTENT_VARIABLE}, {folder}"))
            .hint("name an identity file with -i FILE; ageseal keygen makes a new one"))
    }

    /// What was tried, a line for each place: `tried: ~/.config/ageseal/identities/laptop.txt (r19ab…77c0 = ann)`.
    ///
    /// `name` knows what a recipient is called in the repository, if it is.
    pub fn tried(&self, name: impl Fn(RecipientId) -> Option<String>) -> Vec<String> {
        let id = |id: RecipientId| match name(id) {
            Some(name) => format!("{} = {name}", short_id(id)),
            None => short_id(id),
        };
        let held = |held: &Held| match held {
            Held::Id(known) => id(*known),
            Held::Plugin(plugin) => format!("age-plugin-{plugin}"),
            Held::Locked(status, known) => {
                let id = known.map(|known| format!("{}, ", id(known))).unwrap_or_default();
                format!("{id}{}", status.trouble().unwrap_or_else(|| "under a passphrase".to_owned()))
            }
        };
        let line = |source: &Source| {
            format!("tried: {} ({})", source.shown, source.holds.iter().map(held).collect::<Vec<_>>().join(", "))
        };
        self.sources.iter().map(line).collect()
    }
}

struct Loader<'a> {
    ui: &'a Ui,
    identities: Vec<Identity>,
    sources: Vec<Source>,
    errors: Vec<CliError>,
}

impl Loader<'_> {
    /// `AGESEAL_IDENTITY_FILE` and `AGESEAL_IDENTITY`: whether either says something.
    fn environment(&mut self) -> bool {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let (files, content) = (set(FILES_VARIABLE), set(CONTENT_VARIABLE));
        let named = files.is_some() || content.is_some();
        if let Some(files) = files {
            let paths: Vec<_> = std::env::split_paths(&files).filter(|path| !path.as_os_str().is_empty()).collect();
            paths.iter().for_each(|path| self.named_file(path));
        }
        if let Some(content) = content {
            let bytes = Zeroizing::new(content.into_encoded_bytes());
            self.named_bytes(bytes, CONTENT_VARIABLE.to_owned());
        }
        named
    }

    fn named_file(&mut self, path: &Path) {
        match files::read(path, Want::KEYS) {
            Ok(bytes) => {
                self.warn_if_open_to_all(path);
                self.named_bytes(Zeroizing::new(bytes), shown_from_home(path));
            }
            Err(error) => self.errors.push(error.detail("this was named as an identity file")),
        }
    }

    fn named_bytes(&mut self, bytes: Zeroizing<Vec<u8>>, shown: String) {
        let wrong = |fact: String| {
            let place = crate::error::Place { path: shown.clone(), at: None, detail: Some(fact) };
            CliError::input("this is not an identity file that can be used").place(place)
        };
        let found = match file::parse(bytes) {
            Ok(found) => found,
            Err(error) => return self.errors.push(wrong(error.to_string())),
        };
        let mut holds = Vec::new();
        for one in found {
            let opened = match one {
                Found::Encrypted(bytes) => match unlock(self.ui, &bytes, &shown) {
                    Ok(found) => found,
                    Err(error) => {
                        let error = wrong(error.to_string()).kind(crate::error::Exit::CannotDecrypt);
                        return self.errors.push(error);
                    }
                },
                other => vec![other],
            };
            for one in opened {
                match self.take(one, &shown) {
                    Ok(held) => holds.push(held),
                    Err(error) => self.errors.push(error),
                }
            }
        }
        self.sources.push(Source { shown, holds });
    }

    /// The files of `identities/` in the configuration folder, in the order of their names.
    fn folder(&mut self) {
        let Some(folder) = config_folder().map(|folder| folder.join("identities")) else { return };
        let Ok(entries) = fs::read_dir(&folder) else { return };
        let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        paths.retain(|path| is_identity_name(path) && path.is_file());
        paths.sort();
        for path in paths {
            if let Err(warning) = self.folder_file(&path) {
                self.ui.warn(&warning);
            }
        }
    }

    fn folder_file(&mut self, path: &Path) -> Result<(), CliError> {
        let bytes = Zeroizing::new(files::read(path, Want::KEYS)?);
        self.warn_if_open_to_all(path);
        let shown = shown_from_home(path);
        let found = file::parse(bytes).map_err(|error| {
            let place = crate::error::Place { path: shown.clone(), at: None, detail: Some(error.to_string()) };
            CliError::input("this is not an identity file; it was passed over").place(place)
        })?;
        let mut holds = Vec::new();
        for one in found {
            match one {
                Found::Encrypted(bytes) => {
                    let status = Status::default();
                    let locked = Locked::new(self.ui, bytes, shown.clone(), status.clone());
                    self.identities.push(Identity::custom(None, Box::new(locked)));
                    holds.push(Held::Locked(status, None));
                }
                other => holds.push(self.take(other, &shown)?),
            }
        }
        self.sources.push(Source { shown, holds });
        Ok(())
    }

    fn take(&mut self, found: Found, shown: &str) -> Result<Held, CliError> {
        let (identity, held) = ready_and_known(self.ui, found, shown)?;
        self.identities.push(identity);
        Ok(held)
    }

    #[cfg(unix)]
    fn warn_if_open_to_all(&self, path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        let open = |meta: fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o004 != 0;
        if !files::is_stdin(path) && fs::metadata(path).is_ok_and(open) {
            let shown = shown_from_home(path);
            self.ui.warn(
                &CliError::input("every user of this machine can read this identity file")
                    .path(Path::new(&shown))
                    .hint(format!("chmod 600 {shown}")),
            );
        }
    }

    #[cfg(not(unix))]
    fn warn_if_open_to_all(&self, _: &Path) {}
}

/// Makes an identity ready to use; one that is encrypted as a whole is not: see [`Locked`].
pub(super) fn ready(ui: &Ui, found: Found, shown: &str) -> Result<Identity, CliError> {
    ready_and_known(ui, found, shown).map(|(identity, _)| identity)
}

fn ready_and_known(ui: &Ui, found: Found, shown: &str) -> Result<(Identity, Held), CliError> {
    let place =
        |detail: &str| crate::error::Place { path: shown.to_owned(), at: None, detail: Some(detail.to_owned()) };
    match found {
        Found::Native(identity) => {
            let held = match identity.recipient() {
                Some(recipient) => Held::Id(recipient.id()),
                None => Held::Locked(Status::default(), None),
            };
            Ok((*identity, held))
        }
        Found::Plugin(key) => {
            let name = key.plugin().to_owned();
            let plugin = IdentityPluginV1::new(&name, &[key], Terminal(ui.clone())).map_err(|_| {
                CliError::input(format!("there is no age-plugin-{name} in PATH, which this identity needs"))
                    .place(place("an identity of a plugin"))
                    .hint(format!("install age-plugin-{name}, or name another identity with -i FILE"))
            })?;
            Ok((Identity::custom(None, Box::new(plugin)), Held::Plugin(name)))
        }
        Found::Ssh(key) => {
            let public = age::ssh::Recipient::try_from((*key).clone())
                .map_err(|_| CliError::input("this ssh key is of a size or kind that age refuses").place(place("")))?;
            let canonical = public.to_string();
            let recipient = Recipient::custom(canonical.clone(), RecipientKind::Ssh, Box::new(public));
            let id = recipient.id();
            Ok(match *key {
                age::ssh::Identity::Encrypted(locked) => {
                    let status = Status::default();
                    let locked = LockedSsh::new(ui, locked, &canonical, shown.to_owned(), status.clone());
                    (Identity::custom(Some(recipient), Box::new(locked)), Held::Locked(status, Some(id)))
                }
                open => (Identity::custom(Some(recipient), Box::new(open)), Held::Id(id)),
            })
        }
        Found::Encrypted(_) => Err(CliError::input("this identity file is encrypted twice").place(place(""))),
    }
}

/// Whether a file of the folder may be an identity file, by its name: no hidden files, no public halves, no backups.
fn is_identity_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && !name.ends_with('~') && !name.ends_with(".pub")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Color;

    #[test]
    fn backups_and_public_halves_are_no_identities() {
        let names = ["laptop.txt", "id_ed25519", "key.age"];
        assert!(names.iter().all(|name| is_identity_name(Path::new(name))));
        let names = [".hidden", "laptop.txt~", "id_ed25519.pub"];
        assert!(!names.iter().any(|name| is_identity_name(Path::new(name))));
    }

    #[test]
    fn what_was_tried_is_named_with_what_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::generate_hybrid(&mut rand_core::OsRng);
        let id = identity.recipient().unwrap().id();
        let path = dir.path().join("laptop.txt");
        fs::write(&path, format!("# mine\n{}\n", *identity.to_secret_string().unwrap())).unwrap();
        let options = Options { identities: vec![path.clone()] };
        let keys = options.load(&Ui::new(true, Color::Never)).unwrap();
        assert!(keys.require().is_ok());
        let text = id.to_string();
        let line = format!("tried: {} ({}…{} = ann)", path.display(), &text[..5], &text[13..]);
        assert_eq!(keys.tried(|known| (known == id).then(|| "ann".to_owned())), [line]);
    }

    #[test]
    fn every_named_file_that_is_wrong_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad");
        fs::write(&path, "# a\nhunter2\n").unwrap();
        let options = Options { identities: vec![dir.path().join("none"), path] };
        let errors = options.load(&Ui::new(true, Color::Never)).unwrap_err();
        let all: Vec<_> = errors.iter().map(|error| format!("{error:?}")).collect();
        assert_eq!(all.len(), 2);
        assert!(all[1].contains("line 2 is not an identity") && !all[1].contains("hunter2"), "{}", all[1]);
    }
}
