//! Which repository each file lies in, and its path there: few system calls for many files.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use ageseal::policy::{Policy, Recipients};

use crate::error::{Errors, shown};
use crate::repository::{Repository, RepositoryError, Top, find_top};
use crate::ui::Ui;

/// The files that share a policy, or that have none.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Where the repository is; none for files outside of any.
    pub(super) top: Option<Top>,
    /// The repository, if it has a policy.
    repository: Option<Repository>,
    /// What leads from here to the top, for paths that are shown.
    prefix: PathBuf,
}

impl Group {
    /// The policy and who is who, if there is one.
    pub(super) fn policy(&self) -> Option<(&Policy, &Recipients)> {
        self.repository.as_ref().map(|repository| (repository.policy(), repository.recipients()))
    }

    /// A path from the top as the user would type it here.
    pub(super) fn shown(&self, path: &str) -> String {
        shown(&self.prefix.join(path))
    }
}

/// A file to check.
#[derive(Debug)]
pub(super) struct Placed {
    /// How it was named or found.
    pub(super) file: PathBuf,
    /// Its group.
    pub(super) group: usize,
    /// Its path from the top of the group; from the root of the file system without one.
    pub(super) path: String,
}

#[derive(Clone, Debug)]
struct Folder {
    canonical: PathBuf,
    group: usize,
}

/// Finds the repositories of files.
pub(super) struct Folders<'a> {
    ui: &'a Ui,
    known: HashMap<PathBuf, Folder>,
    groups: Vec<Group>,
    here: PathBuf,
}

/// Places all files.
///
/// # Errors
/// A policy that cannot be read or may not be trusted. That there is none is no error here.
pub(super) fn place(ui: &Ui, files: Vec<PathBuf>) -> Result<(Vec<Placed>, Vec<Group>), Errors> {
    let here = std::env::current_dir().and_then(fs::canonicalize).unwrap_or_default();
    let mut folders = Folders { ui, known: HashMap::new(), groups: Vec::new(), here };
    let placed = files.into_iter().map(|file| folders.place(file)).collect::<Result<Vec<_>, _>>()?;
    Ok((placed, folders.groups))
}

impl Folders<'_> {
    fn place(&mut self, file: PathBuf) -> Result<Placed, RepositoryError> {
        let folder = self.folder(file.parent().unwrap_or(Path::new("")))?;
        let whole = folder.canonical.join(file.file_name().unwrap_or_default());
        let top = self.groups.get(folder.group).and_then(|group| group.top.as_ref());
        let inside = top.and_then(|top| whole.strip_prefix(top.path()).ok()).unwrap_or(&whole);
        let parts: Vec<_> = inside
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .map(|part| part.as_os_str().to_string_lossy())
            .collect();
        Ok(Placed { group: folder.group, path: parts.join("/"), file })
    }

    fn folder(&mut self, folder: &Path) -> Result<Folder, RepositoryError> {
        if let Some(known) = self.known.get(folder) {
            return Ok(known.clone());
        }
        let found = match self.below(folder) {
            Some(found) => found,
            None => {
                let path = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                let canonical = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
                let group = match find_top(path) {
                    Ok(top) => self.group(top)?,
                    Err(RepositoryError::NoRepository { .. }) => self.outside(),
                    Err(error) => return Err(error),
                };
                Folder { canonical, group }
            }
        };
        self.known.insert(folder.to_owned(), found.clone());
        Ok(found)
    }

    /// A real folder in a known one of a git repository lies in the same repository, unless it is one itself.
    fn below(&self, folder: &Path) -> Option<Folder> {
        let name = folder.file_name()?;
        let above = self.known.get(folder.parent()?)?;
        let git = self.groups.get(above.group)?.top.as_ref()?.is_git();
        let real = fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir());
        if !git || !real || fs::symlink_metadata(folder.join(".git")).is_ok() {
            return None;
        }
        Some(Folder { canonical: above.canonical.join(name), group: above.group })
    }

    fn group(&mut self, top: Top) -> Result<usize, RepositoryError> {
        let same = |group: &Group| group.top.as_ref().is_some_and(|known| known.path() == top.path());
        if let Some(index) = self.groups.iter().position(same) {
            return Ok(index);
        }
        let repository = match Repository::load(self.ui, top.clone()) {
            Ok(repository) => Some(repository),
            Err(RepositoryError::NoPolicy { .. }) => None,
            Err(error) => return Err(error),
        };
        let prefix = from_here(&self.here, top.path());
        self.groups.push(Group { top: Some(top), repository, prefix });
        Ok(self.groups.len() - 1)
    }

    fn outside(&mut self) -> usize {
        if let Some(index) = self.groups.iter().position(|group| group.top.is_none()) {
            return index;
        }
        self.groups.push(Group::default());
        self.groups.len() - 1
    }
}

/// What leads from one canonical folder to another: down, up, or from the root.
pub(super) fn from_here(here: &Path, to: &Path) -> PathBuf {
    if let Ok(below) = to.strip_prefix(here) {
        return below.to_owned();
    }
    match here.strip_prefix(to) {
        Ok(up) => up.components().map(|_| "..").collect(),
        Err(_) => to.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_here_is_down_up_or_from_the_root() {
        let way = |here: &str, to: &str| from_here(Path::new(here), Path::new(to)).display().to_string();
        assert_eq!(way("/a/b", "/a/b"), "");
        assert_eq!(way("/a/b", "/a/b/c/d"), "c/d");
        assert_eq!(way("/a/b/c", "/a"), "../..");
        assert_eq!(way("/a/b", "/x"), "/x");
    }
}
