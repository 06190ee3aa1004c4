//! The top of a repository, and whether what lies there may be trusted.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::FOLDER;
use super::error::RepositoryError;
use crate::error::io_fact;

/// The top folder of a repository: where its one policy is, or belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    path: PathBuf,
    git: bool,
    device: u64,
}

/// Finds the top of the repository that a folder lies in.
///
/// It is the nearest folder above with a `.git`, which is a folder in a clone and a file in a worktree or submodule;
/// without one, the topmost with a `.ageseal` of the caller's, so that a second one below it is found out here too.
/// The search ends where another file system begins, as git's does.
///
/// # Errors
/// There is none; or the folder cannot be read.
pub fn find_top(folder: &Path) -> Result<Top, RepositoryError> {
    let start = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let start = fs::canonicalize(start).map_err(|error| unreadable(start, &error))?;
    let device = device(&fs::metadata(&start).map_err(|error| unreadable(&start, &error))?);
    let mut ours = None;
    for above in start.ancestors() {
        let meta = fs::metadata(above).map_err(|error| unreadable(above, &error))?;
        if self::device(&meta) != device {
            break;
        }
        if exists(&above.join(".git"))? {
            return Ok(Top { path: above.to_owned(), git: true, device });
        }
        let folder = above.join(FOLDER);
        // Another user's above the caller's own is passed over: anybody can make one in /tmp.
        if exists(&folder)? && (ours.is_none() || is_callers(&folder)) {
            ours = Some(above.to_owned());
        }
    }
    ours.map(|path| Top { path, git: false, device }).ok_or(RepositoryError::NoRepository { folder: start })
}

/// The repository of a file that need not exist, and its path there, whether there is a policy or not.
///
/// # Errors
/// As [`find_top`]; a path that is no text.
pub fn place_in(path: &Path) -> Result<(Top, String), RepositoryError> {
    let place = canonical_place(path)?;
    let existing = place.ancestors().skip(1).find(|above| above.is_dir()).unwrap_or(&place);
    let top = find_top(existing)?;
    let relative = top.relative(&place)?;
    Ok((top, relative))
}

fn is_callers(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| belongs_to_caller(&meta))
}

/// The canonical path of a file that need not exist: the folders above it with links resolved, its own name as it is.
pub(super) fn canonical_place(path: &Path) -> Result<PathBuf, RepositoryError> {
    let Some(name) = path.file_name().filter(|_| matches!(path.components().next_back(), Some(Component::Normal(_))))
    else {
        // `.`, `..` and `/` name folders that exist or nothing.
        return fs::canonicalize(path).map_err(|error| unreadable(path, &error));
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok(canonical_folder(folder)?.join(name))
}

/// The canonical path of a folder; the part of it that does not exist yet is kept as it is.
pub(super) fn canonical_folder(folder: &Path) -> Result<PathBuf, RepositoryError> {
    let mut missing: Vec<OsString> = vec![];
    let mut existing = folder;
    loop {
        let here = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
        match fs::canonicalize(here) {
            Ok(mut path) => {
                path.extend(missing.iter().rev());
                return Ok(path);
            }
            // A link that leads nowhere exists, and whatever is made through it would lie elsewhere.
            Err(error) if error.kind() != io::ErrorKind::NotFound || exists(here)? => {
                return Err(unreadable(here, &error));
            }
            Err(error) => match (here.file_name(), here.parent()) {
                (Some(name), Some(parent)) => {
                    missing.push(name.to_owned());
                    existing = parent;
                }
                _ => return Err(unreadable(folder, &error)),
            },
        }
    }
}

/// Whether something is at a path, be it a link that leads nowhere.
pub(super) fn exists(path: &Path) -> Result<bool, RepositoryError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> RepositoryError {
    RepositoryError::Unreadable { path: path.to_owned(), cause: io_fact(error) }
}

impl Top {
    /// The folder, canonical.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether git keeps it.
    pub fn is_git(&self) -> bool {
        self.git
    }

    /// The path of something inside, from the top; both paths canonical.
    pub(super) fn relative(&self, path: &Path) -> Result<String, RepositoryError> {
        let outside = || RepositoryError::Outside { path: path.to_owned(), top: self.path.clone() };
        let inside = path.strip_prefix(&self.path).map_err(|_| outside())?;
        let parts: Option<Vec<&str>> = inside.components().map(|part| part.as_os_str().to_str()).collect();
        parts.map(|parts| parts.join("/")).ok_or_else(|| RepositoryError::NotText { path: path.to_owned() })
    }

    /// Refuses a second `.ageseal` in a folder or above it, below the top: whoever guards the one at the top would not
    /// see it.
    pub(super) fn check_below(&self, folder: &Path) -> Result<(), RepositoryError> {
        for above in folder.ancestors().take_while(|above| *above != self.path && above.starts_with(&self.path)) {
            let second = above.join(FOLDER);
            if exists(&second)? {
                return Err(RepositoryError::SecondPolicy { second, top: self.path.clone() });
            }
        }
        Ok(())
    }

    /// Refuses a repository that somebody else may have put above the caller's files.
    ///
    /// Outside git, `.ageseal` and what is in it must belong to the caller and lie on the file system of the files. In git, whoever works in a clone trusts
    /// it; but in a folder that everybody may write to, such as `/tmp`, anybody can make one.
    pub(super) fn check_trust(&self) -> Result<(), RepositoryError> {
        let folder = self.path.join(FOLDER);
        if !exists(&folder)? {
            return Err(RepositoryError::NoPolicy { top: self.path.clone() });
        }
        self.check_folder(&folder)?;
        let top = fs::metadata(&self.path).map_err(|error| unreadable(&self.path, &error))?;
        if self.git && anybody_writes(&top) {
            self.check_owner(&self.path.join(".git"))?;
            self.check_owner(&folder)?;
        }
        Ok(())
    }

    /// Refuses what is not a folder of the policy that may be trusted.
    pub(super) fn check_folder(&self, path: &Path) -> Result<(), RepositoryError> {
        self.check_kind(path, Metadata::is_dir, "a folder")
    }

    /// Refuses what is not a file of the policy that may be trusted.
    pub(super) fn check_file(&self, path: &Path) -> Result<(), RepositoryError> {
        self.check_kind(path, Metadata::is_file, "a file")
    }

    fn check_kind(&self, path: &Path, is: fn(&Metadata) -> bool, wanted: &'static str) -> Result<(), RepositoryError> {
        let meta = fs::symlink_metadata(path).map_err(|error| unreadable(path, &error))?;
        if meta.is_symlink() {
            return Err(RepositoryError::Link { path: path.to_owned() });
        }
        if !is(&meta) {
            return Err(RepositoryError::WrongKind { path: path.to_owned(), wanted });
        }
        if self.git {
            return Ok(());
        }
        if device(&meta) != self.device {
            return Err(RepositoryError::OtherFileSystem { path: path.to_owned() });
        }
        self.check_owner(path)
    }

    fn check_owner(&self, path: &Path) -> Result<(), RepositoryError> {
        let meta = fs::symlink_metadata(path).map_err(|error| unreadable(path, &error))?;
        if belongs_to_caller(&meta) { Ok(()) } else { Err(RepositoryError::NotOwned { path: path.to_owned() }) }
    }
}

#[cfg(unix)]
fn belongs_to_caller(meta: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(meta) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn belongs_to_caller(_: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn anybody_writes(meta: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(meta) & 0o002 != 0
}

#[cfg(not(unix))]
fn anybody_writes(_: &Metadata) -> bool {
    false
}

#[cfg(unix)]
fn device(meta: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(meta)
}

#[cfg(not(unix))]
fn device(_: &Metadata) -> u64 {
    0
}
