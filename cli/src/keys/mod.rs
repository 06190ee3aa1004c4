//! Keys that come from outside the core: identity files, and recipients of the kinds that only a command line can use.

mod callbacks;
mod file;
pub mod foreign;
pub mod identities;
mod lazy;
mod plugins;

use std::path::{Path, PathBuf};

use ageseal::recipient::RecipientId;

/// The user's configuration folder: `$XDG_CONFIG_HOME/ageseal`, or `~/.config/ageseal`.
pub fn config_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config"))).map(|c| c.join("ageseal"))
}

/// A path as it is shown to its owner, with `~` for the home folder.
pub fn shown_from_home(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home.parent().is_some());
    match home.as_ref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.to_string_lossy()),
        None => crate::error::shown(path),
    }
}

/// An id as it is shown among words: `r7d79…0186`.
pub fn short_id(id: RecipientId) -> String {
    let text = id.to_string();
    format!("{}…{}", &text[..5], &text[13..])
}
