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
//! A run that is killed outright leaves its temporary file, `.NAME.XXXXXX.tmp`. No other run deletes it, since one that
//! is still at work has one too: `check` tells it.
//!
//! Assumptions: the file system keeps what `fsync` promises, and advisory locks on folders where it has them at all.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rayon::prelude::*;
use tempfile::{NamedTempFile, TempPath};
use zeroize::{Zeroize, Zeroizing};

use super::read::special;
use crate::error::{CliError, Errors};

/// How often, and how long apart, a lock that another process holds is tried: five seconds in all.
const TRIES: u32 = 250;
const PAUSE: Duration = Duration::from_millis(20);

/// How many files of a batch are synced at once.
const SYNCS: usize = 16;

/// What the target has to be, still, at the moment of the rename.
///
/// Guarantees: the bytes, which may be a plaintext that is sealed in its own file, are overwritten on drop, and `Debug`
/// does not show them.
#[derive(Clone, PartialEq, Eq)]
pub enum Before {
    /// There is no such file: an existing one is refused.
    Absent,
    /// It holds these bytes, which the new ones were made from.
    Holds(Vec<u8>),
}

impl Drop for Before {
    fn drop(&mut self) {
        if let Self::Holds(bytes) = self {
            bytes.zeroize();
        }
    }
}

impl fmt::Debug for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Holds(_) => "Holds(<redacted>)",
        })
    }
}

/// What is about to be done; tests let each of these fail, or end the process there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Write,
    Sync,
    ReadBack,
    Lock,
    Compare,
    Rename,
    SyncFolder,
    Done,
}

/// Is asked before each step.
type Hook<'a> = &'a (dyn Fn(Step) -> io::Result<()> + Sync);

const GO_ON: Hook<'static> = &|_| Ok(());

/// Replaces or creates one file.
pub fn replace(target: &Path, before: Before, bytes: Vec<u8>) -> Result<(), CliError> {
    replace_hooked(target, before, bytes, GO_ON)
}

fn replace_hooked(target: &Path, before: Before, bytes: Vec<u8>, hook: Hook<'_>) -> Result<(), CliError> {
    let staged = stage(target, before, &bytes, hook)?;
    let folder = folder(target).to_owned();
    place(&folder, vec![staged], hook).into_iter().next().map_or(Ok(()), Err)
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
        self.commit_hooked(GO_ON)
    }

    fn commit_hooked(mut self, hook: Hook<'_>) -> Result<(), Errors> {
        if self.files.len() == 1 {
            // One file needs no threads, whose start costs more than the file.
            return match self.files.pop() {
                Some((target, before, bytes)) => Ok(replace_hooked(&target, before, bytes, hook)?),
                None => Ok(()),
            };
        }
        let written = self.files.into_par_iter().map(|(target, before, bytes)| {
            let staged = write(&target, before, &bytes, hook)?;
            Ok((staged, bytes))
        });
        let written: Vec<(Staged, Vec<u8>)> = all(written.collect())?;
        let settled = written.into_par_iter().map(|(staged, bytes)| settle(staged, &bytes, hook));
        // All is written before anything is synced, and many syncs are under way at once: a journal then commits them
        // together. They wait for the disk and not for a processor, so there are more of them than processors.
        let settled = match rayon::ThreadPoolBuilder::new().num_threads(SYNCS).build() {
            Ok(pool) => pool.install(|| settled.collect()),
            Err(_) => settled.collect(),
        };
        let mut folders: BTreeMap<PathBuf, Vec<Staged>> = BTreeMap::new();
        for staged in all(settled)? {
            folders.entry(folder(&staged.target).to_owned()).or_default().push(staged);
        }
        let placed = folders.into_par_iter().flat_map_iter(|(folder, staged)| place(&folder, staged, hook));
        Errors::none_or(placed.collect())
    }
}

/// All of them, or every error.
fn all<T>(results: Vec<Result<T, CliError>>) -> Result<Vec<T>, Errors> {
    let mut good = Vec::with_capacity(results.len());
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(one) => good.push(one),
            Err(error) => errors.push(error),
        }
    }
    Errors::none_or(errors)?;
    Ok(good)
}

/// A temporary file, complete and closed, that waits to become its target. Dropping it removes it.
struct Staged {
    target: PathBuf,
    before: Before,
    temp: TempPath,
}

/// Writes the bytes to a temporary file beside the target, syncs it, and proves that they are there.
fn stage(target: &Path, before: Before, bytes: &[u8], hook: Hook<'_>) -> Result<Staged, CliError> {
    settle(write(target, before, bytes, hook)?, bytes, hook)
}

/// Writes the bytes to a temporary file beside the target.
fn write(target: &Path, before: Before, bytes: &[u8], hook: Hook<'_>) -> Result<Staged, CliError> {
    let old = existing(target)?;
    match (&before, &old) {
        (Before::Absent, Some(_)) => return Err(exists(target)),
        (Before::Holds(_), None) => return Err(changed(target, "it is gone")),
        _ => {}
    }
    let prefix = format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    mode_of_new_files(&mut builder, old.is_none());
    let mut temp = hook(Step::Create)
        .and_then(|()| builder.tempfile_in(folder(target)))
        .map_err(|error| CliError::io("the folder cannot be written to; nothing was changed", target, &error))?;
    fill(&mut temp, bytes, old.as_ref(), hook).map_err(|error| unwritten(target, &error))?;
    Ok(Staged { target: target.to_owned(), before, temp: temp.into_temp_path() })
}

fn fill(temp: &mut NamedTempFile, bytes: &[u8], old: Option<&Metadata>, hook: Hook<'_>) -> io::Result<()> {
    let file = temp.as_file_mut();
    hook(Step::Write)?;
    file.write_all(bytes)?;
    if let Some(old) = old {
        keep_owner(file, old);
        file.set_permissions(old.permissions())?;
    }
    Ok(())
}

/// Syncs what was written and reads it back.
///
/// The file is opened again, so that a batch holds no more files open than it has threads; a sync is of the file, not
/// of the handle, and an error of an earlier write that nobody has seen is told to the next who opens.
fn settle(staged: Staged, bytes: &[u8], hook: Hook<'_>) -> Result<Staged, CliError> {
    let settled = || {
        let mut file = File::open(&staged.temp)?;
        hook(Step::Sync)?;
        file.sync_all()?;
        hook(Step::ReadBack)?;
        holds(&mut file, bytes)
    };
    match settled() {
        Ok(true) => Ok(staged),
        Ok(false) => Err(unwritten(&staged.target, &io::Error::other("what was read back is not what was written"))),
        Err(error) => Err(unwritten(&staged.target, &error)),
    }
}

fn unwritten(target: &Path, error: &io::Error) -> CliError {
    CliError::io("the file could not be written; nothing was changed", target, error)
}

/// Renames what was staged in one folder, under its lock, and syncs the folder once. Gives back what went wrong.
fn place(folder: &Path, staged: Vec<Staged>, hook: Hook<'_>) -> Vec<CliError> {
    let locked = hook(Step::Lock).and_then(|()| File::open(folder)).and_then(|handle| lock(&handle).map(|()| handle));
    let handle = match locked {
        Ok(handle) => handle,
        Err(error) => {
            let refused = |one: &Staged| {
                CliError::io("the folder could not be locked; the file is as it was", &one.target, &error)
            };
            return staged.iter().map(refused).collect();
        }
    };
    let mut errors: Vec<_> = staged.into_iter().filter_map(|one| rename(one, hook).err()).collect();
    if let Err(error) = hook(Step::SyncFolder).and_then(|()| handle.sync_all()) {
        errors.push(CliError::io("the files are written, but a power cut may still undo it", folder, &error));
    }
    // Nothing is left to go wrong: a process that ends here has done its work.
    let _ = hook(Step::Done);
    errors
}

fn rename(staged: Staged, hook: Hook<'_>) -> Result<(), CliError> {
    let Staged { target, before, temp } = staged;
    let refused = |error: io::Error| CliError::io("the file could not be replaced; it is as it was", &target, &error);
    hook(Step::Compare).map_err(refused)?;
    let now = existing(&target)?;
    let old = match (&before, now) {
        (Before::Absent, Some(_)) => return Err(exists(&target)),
        (Before::Holds(_), None) => return Err(changed(&target, "it is gone")),
        (Before::Absent, None) => None,
        (Before::Holds(old), Some(_)) => Some(old),
    };
    let Some(old) = old else {
        hook(Step::Rename).map_err(refused)?;
        return temp.persist_noclobber(&target).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&target),
            _ => refused(error.error),
        });
    };
    if !File::open(&target).and_then(|mut now| holds(&mut now, old)).map_err(refused)? {
        return Err(changed(&target, "another program wrote to it"));
    }
    hook(Step::Rename).map_err(refused)?;
    temp.persist(&target).map_err(|error| refused(error.error))
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

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const STEPS: [Step; 9] = [
        Step::Create,
        Step::Write,
        Step::Sync,
        Step::ReadBack,
        Step::Lock,
        Step::Compare,
        Step::Rename,
        Step::SyncFolder,
        Step::Done,
    ];

    fn holding(text: &str) -> Before {
        Before::Holds(text.as_bytes().to_vec())
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn debug_shows_nothing_of_the_old_bytes() {
        let mut batch = Batch::new();
        batch.add("a", Before::Holds(b"hunter2".to_vec()), vec![]);
        assert!(format!("{batch:?}").contains("Holds(<redacted>)"), "{batch:?}");
    }

    #[test]
    fn a_failure_at_any_step_leaves_the_old_file_and_no_other() {
        for (index, &step) in STEPS.iter().enumerate().take(7) {
            for existed in [true, false] {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("a");
                if existed {
                    fs::write(&path, "old").unwrap();
                }
                let before = if existed { holding("old") } else { Before::Absent };
                let full = |now| if now == step { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) };
                let error = replace_hooked(&path, before, b"new".to_vec(), &full).unwrap_err();
                assert_eq!(error.causes, ["no space left on the device"], "step {index}");
                assert_eq!(names(dir.path()), if existed { vec!["a"] } else { vec![] }, "{step:?}");
                assert!(!existed || fs::read(&path).unwrap() == b"old", "{step:?}");
            }
        }
    }

    #[test]
    fn a_folder_that_cannot_be_synced_is_said_though_the_file_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let full = |now| if now == Step::SyncFolder { Err(io::Error::other("no")) } else { Ok(()) };
        let error = replace_hooked(&path, Before::Absent, b"new".to_vec(), &full).unwrap_err();
        assert_eq!(error.message, "the files are written, but a power cut may still undo it");
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    /// Not a test of its own: the process that `an_end_at_any_step_leaves_a_whole_file` ends.
    #[cfg(unix)]
    #[test]
    #[ignore = "the child of another test"]
    fn child_that_kills_itself() {
        let path = PathBuf::from(std::env::var_os("CHILD_TARGET").unwrap());
        let stop: usize = std::env::var("CHILD_STEP").unwrap().parse().unwrap();
        let before = if path.exists() { holding("old") } else { Before::Absent };
        // Nothing here catches a signal, so this stands for all of them. Ctrl-C itself is ignored by whatever a shell runs in
        // the background, and so by its children.
        let kill = |now: Step| {
            if now == STEPS[stop] {
                let me = std::process::id().to_string();
                Command::new("kill").args(["-KILL", &me]).status().unwrap();
                thread::sleep(Duration::from_secs(10));
            }
            Ok(())
        };
        let _ = replace_hooked(&path, before, b"new".to_vec(), &kill);
    }

    #[cfg(unix)]
    #[test]
    fn an_end_at_any_step_leaves_a_whole_file() {
        use std::os::unix::process::ExitStatusExt;
        for (index, step) in STEPS.iter().enumerate() {
            for existed in [true, false] {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("a");
                if existed {
                    fs::write(&path, "old").unwrap();
                }
                let status = Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "files::replace::tests::child_that_kills_itself", "--ignored"])
                    .env("CHILD_TARGET", &path)
                    .env("CHILD_STEP", index.to_string())
                    .output()
                    .unwrap()
                    .status;
                assert_eq!(status.signal(), Some(9), "{step:?}: {status}");
                let renamed = index > 6;
                let now = fs::read(&path).ok();
                let whole: Option<&[u8]> = if renamed {
                    Some(b"new")
                } else if existed {
                    Some(b"old")
                } else {
                    None
                };
                assert_eq!(now.as_deref(), whole, "{step:?}");
                // What is left beside it is what was to be written, or a part of it: nothing that was not sealed.
                for name in names(dir.path()).iter().filter(|name| *name != "a") {
                    assert!(name.starts_with(".a.") && name.ends_with(".tmp"), "{name}");
                    assert!(b"new".starts_with(&fs::read(dir.path().join(name)).unwrap()), "{step:?}");
                }
            }
        }
    }

    #[test]
    fn of_two_runs_on_one_file_one_is_told() {
        for _ in 0..50 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a");
            fs::write(&path, "old").unwrap();
            let run = |text: &'static str| replace(&path, holding("old"), text.as_bytes().to_vec());
            let (one, two) = thread::scope(|scope| {
                let (one, two) = (scope.spawn(|| run("one")), scope.spawn(|| run("two")));
                (one.join().unwrap(), two.join().unwrap())
            });
            let (winner, told) = if one.is_ok() { ("one", two) } else { ("two", one) };
            assert_eq!(fs::read(&path).unwrap(), winner.as_bytes());
            assert!(told.unwrap_err().message.starts_with("this file changed while"));
            assert_eq!(names(dir.path()), ["a"]);
        }
    }

    #[test]
    fn a_new_file_never_replaces_one_that_came_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let meanwhile = |now| if now == Step::Rename { fs::write(&path, "theirs") } else { Ok(()) };
        let error = replace_hooked(&path, Before::Absent, b"ours".to_vec(), &meanwhile).unwrap_err();
        assert_eq!(error.message, "this file exists already; it is as it was");
        assert_eq!((fs::read(&path).unwrap().as_slice(), names(dir.path())), (&b"theirs"[..], vec!["a".to_owned()]));
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_stays() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        for mode in [0o600, 0o640, 0o755, 0o444] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            replace(&path, holding("old"), b"new".to_vec()).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
            fs::remove_file(&path).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("real"), "old").unwrap();
        fs::create_dir(path("folder")).unwrap();
        std::os::unix::fs::symlink("real", path("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let before = names(dir.path());
        for (name, fact, detail) in [
            ("link", "this is a symbolic link", Some("leads to real")),
            ("dangling", "this is a symbolic link", Some("leads to nowhere")),
            ("folder", "this is a folder", None),
            ("pipe", "this is a pipe", None),
        ] {
            for before in [holding("old"), Before::Absent] {
                let error = replace(&path(name), before, b"new".to_vec()).unwrap_err();
                assert!(error.message.starts_with(fact), "{}", error.message);
                assert_eq!(error.places[0].detail.as_deref(), detail);
            }
        }
        assert_eq!((names(dir.path()), fs::read(path("real")).unwrap().as_slice()), (before, &b"old"[..]));
    }

    #[test]
    fn a_batch_writes_all_or_says_which_not() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["x", "y"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let path =
            |index: usize| dir.path().join(if index.is_multiple_of(2) { "x" } else { "y" }).join(index.to_string());
        let mut batch = Batch::new();
        for index in 0..40 {
            fs::write(path(index), "old").unwrap();
            batch.add(path(index), holding(if index == 7 { "else" } else { "old" }), b"new".to_vec());
        }
        let errors: Vec<_> = batch.commit().unwrap_err().into_iter().collect();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].places[0].path, path(7).to_string_lossy());
        for index in 0..40 {
            let whole: &[u8] = if index == 7 { b"old" } else { b"new" };
            assert_eq!(fs::read(path(index)).unwrap(), whole);
        }
        assert_eq!(names(&dir.path().join("x")).len() + names(&dir.path().join("y")).len(), 40);
    }

    #[test]
    fn a_batch_renames_nothing_when_one_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut batch = Batch::new();
        for index in 0..20 {
            let path = dir.path().join(index.to_string());
            fs::write(&path, "old").unwrap();
            batch.add(path, holding("old"), b"new".to_vec());
        }
        let count = AtomicUsize::new(0);
        let full = |now| match now {
            Step::Write if count.fetch_add(1, Ordering::SeqCst) == 13 => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        };
        assert_eq!(batch.commit_hooked(&full).unwrap_err().iter().count(), 1);
        assert_eq!(names(dir.path()).len(), 20);
        for index in 0..20 {
            assert_eq!(fs::read(dir.path().join(index.to_string())).unwrap(), b"old");
        }
    }
}
