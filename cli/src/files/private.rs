//! Files that hold a private key: new, and for their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::error::CliError;

/// Writes a private key to a file that was not there before, readable by its owner alone.
///
/// The key never stands in a file of another name: it is written where it stays, and taken away again if that fails.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            CliError::input("this file exists already; it is as it was").path(path).hint("name another file: -o FILE")
        }
        _ => CliError::io("the file cannot be made", path, &error),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path)).map_err(|error| {
        // What is there is incomplete and of no use to anybody.
        let _ = fs::remove_file(path);
        CliError::io("the file could not be written; nothing was made", path, &error)
    })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

/// Makes a folder, and those above it, that only its owner can look into; one that is there stays as it is.
pub fn make_private_folder(folder: &Path) -> Result<(), CliError> {
    make(folder).map_err(|error| CliError::io("the folder cannot be made", folder, &error))
}

#[cfg(unix)]
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}
