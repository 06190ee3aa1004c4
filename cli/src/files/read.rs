//! Reading a file or standard input, with a limit on its size and on its nature.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use crate::error::{CliError, shown};

/// Whether standard input was read: there is only one of it.
static STDIN_TAKEN: AtomicBool = AtomicBool::new(false);

/// What a reader accepts.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// The largest size in bytes.
    pub max: usize,
    /// Whether an empty input is accepted.
    pub empty: bool,
    /// Whether a pipe is accepted under a path, as `<(command)` of a shell makes it.
    pub pipe: bool,
}

impl Want {
    /// A document or a stream of them: at most 8 MiB, not empty, a regular file.
    pub const DOCUMENT: Self = Self { max: 8 * 1024 * 1024, empty: false, pipe: false };
    /// The value of a data key: any bytes, also none; what is too large for a Secret is for the core to say.
    pub const VALUE: Self = Self { max: 8 * 1024 * 1024, empty: true, pipe: true };
    /// Identities or recipients.
    pub const KEYS: Self = Self { max: 4 * 1024 * 1024, empty: true, pipe: true };
}

/// Whether this path stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads a whole file, or standard input for `-`.
///
/// Guarantees: no copy of the bytes is left behind in memory but the one given back. A FIFO or a device under a path
/// is refused before it is opened, so nothing waits for a writer that never comes.
pub fn read(path: &Path, want: Want) -> Result<Vec<u8>, CliError> {
    let bytes = if is_stdin(path) { read_stdin(want)? } else { read_file(path, want)? };
    if bytes.is_empty() && !want.empty {
        return Err(CliError::input("the input is empty")
            .path(path)
            .hint("a command that was to write it may have ended without output"));
    }
    Ok(bytes)
}

fn read_stdin(want: Want) -> Result<Vec<u8>, CliError> {
    if STDIN_TAKEN.swap(true, Ordering::SeqCst) {
        return Err(CliError::usage("standard input can be read only once").hint("name `-` for one input only"));
    }
    drain(io::stdin().lock(), 0, want).map_err(|error| refused(Path::new("-"), error, want))
}

fn read_file(path: &Path, want: Want) -> Result<Vec<u8>, CliError> {
    let unreadable = |error: io::Error| CliError::io("the file cannot be read", path, &error);
    let before = fs::metadata(path).map_err(unreadable)?;
    check_kind(path, before.file_type(), want)?;
    let file = File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    check_kind(path, meta.file_type(), want)?;
    let size = usize::try_from(meta.len()).unwrap_or(usize::MAX);
    if size > want.max {
        return Err(too_large(path, want));
    }
    drain(file, size, want).map_err(|error| refused(path, error, want))
}

fn check_kind(path: &Path, kind: FileType, want: Want) -> Result<(), CliError> {
    if kind.is_file() || (want.pipe && is_pipe(kind)) {
        return Ok(());
    }
    let what = if kind.is_dir() { "a folder" } else { special(kind) };
    Err(CliError::input(format!("this is {what}, not a file")).path(path))
}

#[cfg(unix)]
pub(super) fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
pub(super) fn special(_: FileType) -> &'static str {
    "a device"
}

#[cfg(unix)]
fn is_pipe(kind: FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind)
}

#[cfg(not(unix))]
fn is_pipe(_: FileType) -> bool {
    false
}

/// Why a stream was given up.
enum Refused {
    TooLarge,
    Io(io::Error),
}

fn refused(path: &Path, refused: Refused, want: Want) -> CliError {
    match refused {
        Refused::TooLarge => too_large(path, want),
        Refused::Io(error) => CliError::io(format!("{} cannot be read to its end", shown(path)), path, &error),
    }
}

fn too_large(path: &Path, want: Want) -> CliError {
    CliError::input(format!("the input is larger than {} MiB", want.max >> 20)).path(path)
}

/// Reads to the end into a vector that never grows by itself, so that no old copy stays in memory.
fn drain(mut from: impl Read, size: usize, want: Want) -> Result<Vec<u8>, Refused> {
    let mut bytes = Zeroizing::new(vec![0; (size + 1).max(4096)]);
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; bytes.len() * 2]);
            larger[..filled].copy_from_slice(&bytes);
            bytes = larger;
        }
        match from.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Refused::Io(error)),
        }
        if filled > want.max {
            return Err(Refused::TooLarge);
        }
    }
    bytes.truncate(filled);
    Ok(std::mem::take(&mut *bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Want = Want { max: 10_000, empty: false, pipe: false };

    #[test]
    fn streams_are_read_whole_and_up_to_the_limit() {
        for size in [0, 1, 4095, 4096, 4097, 9_999, 10_000] {
            let input = vec![7; size];
            assert_eq!(drain(&input[..], 0, SMALL).ok(), Some(input));
        }
        assert!(matches!(drain(&vec![7; 10_001][..], 0, SMALL), Err(Refused::TooLarge)));
    }

    #[test]
    fn what_is_not_a_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = read(dir.path(), SMALL).unwrap_err();
        assert_eq!(error.message, "this is a folder, not a file");
        let error = read(Path::new("/dev/null"), Want::VALUE).unwrap_err();
        assert_eq!(error.message, "this is a device, not a file");
        let missing = dir.path().join("x");
        assert_eq!(read(&missing, SMALL).unwrap_err().causes, ["there is no such file or folder"]);
    }

    #[test]
    fn size_and_emptiness_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "").unwrap();
        assert_eq!(read(&path, SMALL).unwrap_err().message, "the input is empty");
        assert_eq!(read(&path, Want::VALUE).unwrap(), b"");
        fs::write(&path, vec![b'x'; 10_001]).unwrap();
        assert!(read(&path, SMALL).unwrap_err().message.starts_with("the input is larger than"));
        fs::write(&path, "abc").unwrap();
        assert_eq!(read(&path, SMALL).unwrap(), b"abc");
    }
}
