//! Keys that come from outside the core: identity files, and recipients of the kinds that only a command line can use.

mod callbacks;
mod file;
pub mod foreign;
pub mod identities;
mod lazy;
pub mod plugins;
pub mod vault;

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

/// Whether a text is an id, the beginning of one with at least four digits, or its short form, `r7d79…0186`.
pub fn is_id(text: &str, id: &str) -> bool {
    match text.split_once('…').or_else(|| text.split_once("...")) {
        Some((head, tail)) => looks_like_id(head) && tail.len() >= 4 && id.starts_with(head) && id.ends_with(tail),
        None => looks_like_id(text) && id.starts_with(text),
    }
}

/// Whether a text is the beginning of an id, or its short form.
pub fn looks_like_id(text: &str) -> bool {
    let head = text.split(['…', '.']).next().unwrap_or_default();
    head.strip_prefix('r')
        .is_some_and(|digits| digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_by_their_forms() {
        let id = "r7d793037a0760186";
        for text in [id, "r7d79", "r7d79…0186", "r7d79...0186", "r7d793037a07"] {
            assert!(is_id(text, id), "{text}");
        }
        for text in ["r7d7", "r", "", "7d79", "r7d79…", "r7d79…186", "r7d79…0187", "r7d78", "age1", "…0186"] {
            assert!(!is_id(text, id), "{text}");
        }
    }
}
