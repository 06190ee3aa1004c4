//! Replacing a file as a whole or not at all.
//!
//! Flow: the new bytes go to a temporary file in the same folder, are read back, compared and synced; then, under a
//! lock on the folder, the target is compared with what it was when it was read, the temporary file is renamed over it
//! and the folder is synced.
//!
//! Guarantees: whatever fails or interrupts, the target is either the old file or the new one, whole, with its old
//! mode; a temporary file holds nothing but what the target was going to hold. Two runs that write the same file
//! cannot undo each other's work: the second one is told. What was written survives a power cut.
//!
//! Assumptions: the file system keeps what `fsync` promises, and advisory locks on folders where it has them at all.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rayon::prelude::*;
use tempfile::{NamedTempFile, TempPath};
use zeroize::Zeroizing;

use super::read::special;
use crate::error::{CliError, Errors};

/// How often, and how long apart, a lock that another process holds is tried: five seconds in all.
const TRIES: u32 = 250;
const PAUSE: Duration = Duration::from_millis(20);

/// What the target has to be, still, at the moment of the rename.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// There is no such file: an existing one is refused.
    Absent,
    /// It holds these bytes, which the new ones were made from.
    Holds(Vec<u8>),
}

/// Replaces or creates one file.
pub fn replace(target: &Path, before: Before, bytes: Vec<u8>) -> Result<(), CliError> {
    let staged = stage(target, before, bytes, &File::sync_all)?;
    let folder = folder(target).to_owned();
    place(&folder, vec![staged]).into_iter().next().map_or(Ok(()), Err)
}

/// Many files to replace or create at once: nothing is renamed before all of them are safely on the disk.
#[derive(Debug, Default)]
pub struct Batch {
    files: Vec<(PathBuf, Before, Vec<u8>)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file; nothing is written yet. A path added twice is refused at the end.
    pub fn add(&mut self, target: impl Into<PathBuf>, before: Before, bytes: Vec<u8>) {
        self.files.push((target.into(), before, bytes));
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Writes all of them.
    ///
    /// Errors: if one cannot be written to its folder, none is replaced. If one changed meanwhile, that one is left
    /// alone and the others are replaced. Each error names its file.
    pub fn commit(self) -> Result<(), Errors> {
        if let [_] = self.files[..] {
            return self.files.into_iter().try_for_each(|(target, before, bytes)| Ok(replace(&target, before, bytes)?));
        }
        let staged: Vec<Result<Staged, CliError>> = self
            .files
            .into_par_iter()
            .map(|(target, before, bytes)| stage(&target, before, bytes, &File::sync_all))
            .collect();
        let mut folders: BTreeMap<PathBuf, Vec<Staged>> = BTreeMap::new();
        let mut errors = Vec::new();
        for one in staged {
            match one {
                Ok(staged) => folders.entry(folder(&staged.target).to_owned()).or_default().push(staged),
                Err(error) => errors.push(error),
            }
        }
        Errors::none_or(errors)?;
        Errors::none_or(folders.into_par_iter().flat_map_iter(|(folder, staged)| place(&folder, staged)).collect())
    }
}

/// A temporary file, complete, synced and closed, that waits to become its target. Dropping it removes it.
struct Staged {
    target: PathBuf,
    before: Before,
    temp: TempPath,
}

/// Writes the bytes to a temporary file beside the target and proves that they are there.
fn stage(
    target: &Path,
    before: Before,
    bytes: Vec<u8>,
    sync: &dyn Fn(&File) -> io::Result<()>,
) -> Result<Staged, CliError> {
    let old = existing(target)?;
    let mut builder = tempfile::Builder::new();
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix).suffix(".tmp");
    mode_of_new_files(&mut builder, old.is_none());
    let mut temp = builder
        .tempfile_in(folder(target))
        .map_err(|error| CliError::io("the folder cannot be written to; nothing was changed", target, &error))?;
    fill(&mut temp, &bytes, old.as_ref(), sync)
        .map_err(|error| CliError::io("the file could not be written; the old one is as it was", target, &error))?;
    Ok(Staged { target: target.to_owned(), before, temp: temp.into_temp_path() })
}

fn fill(
    temp: &mut NamedTempFile,
    bytes: &[u8],
    old: Option<&Metadata>,
    sync: &dyn Fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    let file = temp.as_file_mut();
    file.write_all(bytes)?;
    if let Some(old) = old {
        keep_owner(file, old);
        file.set_permissions(old.permissions())?;
    }
    sync(file)?;
    file.seek(SeekFrom::Start(0))?;
    if !holds(file, bytes)? {
        return Err(io::Error::other("what was read back is not what was written"));
    }
    Ok(())
}

/// Renames what was staged in one folder, under its lock, and syncs the folder once. Gives back what went wrong.
fn place(folder: &Path, staged: Vec<Staged>) -> Vec<CliError> {
    let handle = match File::open(folder).and_then(|handle| lock(&handle).map(|()| handle)) {
        Ok(handle) => handle,
        Err(error) => {
            let refused =
                |one: &Staged| CliError::io("the folder is in use; the file is as it was", &one.target, &error);
            return staged.iter().map(refused).collect();
        }
    };
    let mut errors: Vec<_> = staged.into_iter().filter_map(|one| rename(one).err()).collect();
    if let Err(error) = handle.sync_all() {
        errors.push(CliError::io("the folder could not be synced: a power cut may undo the change", folder, &error));
    }
    errors
}

fn rename(staged: Staged) -> Result<(), CliError> {
    let Staged { target, before, temp } = staged;
    let refused = |error: io::Error| CliError::io("the file could not be replaced; it is as it was", &target, &error);
    match (before, existing(&target)?) {
        (Before::Absent, None) => match temp.persist_noclobber(&target) {
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(&target)),
            Err(error) => Err(refused(error.error)),
            Ok(()) => Ok(()),
        },
        (Before::Absent, Some(_)) => Err(exists(&target)),
        (Before::Holds(_), None) => Err(changed(&target, "it is gone")),
        (Before::Holds(old), Some(_)) => {
            let mut now = File::open(&target).map_err(refused)?;
            if !holds(&mut now, &old).map_err(refused)? {
                return Err(changed(&target, "another program wrote to it"));
            }
            temp.persist(&target).map_err(|error| refused(error.error))
        }
    }
}

/// What stands at the target, if anything does.
///
/// Errors: it is not a regular file. A symbolic link is not followed: replacing it would cut it, and writing through
/// it would change a file that nobody named.
fn existing(target: &Path) -> Result<Option<Metadata>, CliError> {
    let meta = match fs::symlink_metadata(target) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::io("the file cannot be looked at; nothing was changed", target, &error)),
    };
    if meta.is_file() {
        return Ok(Some(meta));
    }
    if meta.is_symlink() {
        let end = fs::read_link(target).unwrap_or_default();
        return Err(CliError::input("this is a symbolic link, which is not written through; nothing was changed")
            .path_detail(target, format!("leads to {}", end.display()))
            .hint("name the file that it leads to"));
    }
    let what = if meta.is_dir() { "a folder" } else { special(meta.file_type()) };
    Err(CliError::input(format!("this is {what}, not a file; nothing was changed")).path(target))
}

fn exists(target: &Path) -> CliError {
    CliError::input("this file exists already; it is as it was").path(target)
}

fn changed(target: &Path, how: &str) -> CliError {
    CliError::input("this file changed while its new content was made; it is as it was")
        .path_detail(target, how)
        .hint("run the same command again")
}

fn folder(target: &Path) -> &Path {
    target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Locks a folder against other runs of this program. File systems without such locks are taken as they are: the
/// comparison before the rename still stands.
fn lock(folder: &File) -> io::Result<()> {
    for _ in 0..TRIES {
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another run of ageseal holds it"))
}

/// Whether a file holds exactly these bytes from where it stands.
fn holds(file: &mut File, bytes: &[u8]) -> io::Result<bool> {
    let mut now = Zeroizing::new(vec![0; bytes.len() + 1]);
    let mut filled = 0;
    while filled < now.len() {
        match file.read(&mut now[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(now[..filled] == *bytes)
}

/// A new file gets what the user's umask leaves of 0666; one that takes an old file's place is 0600 until it has its
/// mode.
#[cfg(unix)]
fn mode_of_new_files(builder: &mut tempfile::Builder<'_, '_>, new: bool) {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(if new { 0o666 } else { 0o600 }));
}

#[cfg(not(unix))]
fn mode_of_new_files(_: &mut tempfile::Builder<'_, '_>, _: bool) {}

/// Keeps the owner if the system lets us; a file of another owner is still a good file.
#[cfg(unix)]
fn keep_owner(file: &File, old: &Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    if file.metadata().is_ok_and(|new| (new.uid(), new.gid()) != (old.uid(), old.gid())) {
        let _ = fchown(file, Some(old.uid()), Some(old.gid()));
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) {}
