//! The files of a repository, as the resolver asks for them.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// Folders with files of others, or of builds, that [`Files::paths`] may leave out, as does whoever else walks a repository.
pub const NOT_WALKED: [&str; 3] = ["node_modules", "target", "vendor"];

/// The files of a repository.
///
/// Paths are relative to its top, separated by `/`, without `.`, `..` and empty parts; the top itself is `""`.
pub trait Files {
    /// The bytes of a file, through symbolic links; none if there is no such file. They may be a plaintext Secret, and are
    /// overwritten when they go.
    fn read(&self, path: &str) -> Option<Zeroizing<Vec<u8>>>;

    /// Whether there is a file, through symbolic links.
    fn is_file(&self, path: &str) -> bool;

    /// Whether there is a folder, through symbolic links.
    fn is_folder(&self, path: &str) -> bool;

    /// Every file, sorted; those in hidden folders of git, in [`NOT_WALKED`] and in the templates of charts may be left out.
    fn paths(&self) -> Vec<String>;

    /// The same file or folder without any symbolic link in its path; none if it leads out of the repository or to
    /// nothing.
    fn real(&self, path: &str) -> Option<String>;

    /// Every symbolic link, sorted; those in what [`Files::paths`] leaves out may be left out too.
    fn links(&self) -> Vec<String> {
        Vec::new()
    }

    /// The URLs under which git knows the repository; none if it has none, or they cannot be told.
    fn remotes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Files held in memory, without symbolic links: for tests, and for callers that read ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Files for Memory {
    fn read(&self, path: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.0.get(path).cloned().map(Zeroizing::new)
    }

    fn is_file(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn is_folder(&self, path: &str) -> bool {
        if path.is_empty() {
            return true;
        }
        let inside = format!("{path}/");
        self.0.range(inside.clone()..).next().is_some_and(|(found, _)| found.starts_with(&inside))
    }

    fn paths(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn real(&self, path: &str) -> Option<String> {
        (self.0.contains_key(path) || self.is_folder(path)).then(|| path.to_owned())
    }
}

/// Whether a folder is looked into: neither it nor one above it is of [`NOT_WALKED`].
pub(super) fn is_walked(folder: &str) -> bool {
    !folder.split('/').any(|part| NOT_WALKED.contains(&part))
}

/// A path below a folder, without `.` and `..`; none if it is absolute or leads out of the repository.
pub(crate) fn join(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The folder that a file or folder stands in.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether a path is a folder or lies below it.
pub(super) fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
