//! What is tracked, read from git's index without starting git.
//!
//! Source: gitformat-index(5). Versions 2 and 3 hold each path whole, behind two bytes of flags whose lower twelve bits
//! are its length, and before a NUL. Other forms (version 4 shortens paths; a split index keeps them elsewhere) are for
//! git itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The lower twelve bits of an entry's flags: the length of its path, or this for longer ones.
const LENGTH: usize = 0xfff;

/// Which of these paths are tracked; nothing if only git can tell.
pub(super) fn tracked(folder: &Path, files: &[PathBuf]) -> Option<BTreeSet<PathBuf>> {
    if !folder.is_dir() || is_split(folder) {
        return None;
    }
    let index = match fs::read(folder.join("index")) {
        Ok(index) => index,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(BTreeSet::new()),
        Err(_) => return None,
    };
    if !index.starts_with(b"DIRC\0\0\0\x02") && !index.starts_with(b"DIRC\0\0\0\x03") {
        return None;
    }
    let holds = |file: &&PathBuf| has_entry(&index, file.to_string_lossy().as_bytes());
    Some(files.iter().filter(holds).cloned().collect())
}

fn is_split(folder: &Path) -> bool {
    let shared = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("sharedindex.");
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| shared(&entry.file_name())))
}

/// Whether the path stands in the index as an entry of its own, and not as a part of another.
fn has_entry(index: &[u8], path: &[u8]) -> bool {
    let length = path.len().min(LENGTH);
    let flags_say = |at: usize| {
        at.checked_sub(2)
            .and_then(|from| index.get(from..at))
            .is_some_and(|flags| usize::from(u16::from_be_bytes([flags[0], flags[1]])) & LENGTH == length)
    };
    let ends = |at: usize| index.get(at + path.len()) == Some(&0);
    // An extended entry of version 3 has two more bytes of flags between its length and its path.
    memchr::memmem::find_iter(index, path).any(|at| ends(at) && (flags_say(at) || (at > 2 && flags_say(at - 2))))
}
