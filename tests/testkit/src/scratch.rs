//! A folder for one test.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Copies a folder with all that is in it, such as an example.
///
/// # Panics
/// If something cannot be read or written.
pub fn copy_tree(from: &Path, to: &Path) {
    let fail = |path: &Path, error: &dyn std::fmt::Display| -> ! { panic!("{}: {error}", path.display()) };
    fs::create_dir_all(to).unwrap_or_else(|e| fail(to, &e));
    for entry in fs::read_dir(from).unwrap_or_else(|e| fail(from, &e)) {
        let path = entry.unwrap_or_else(|e| fail(from, &e)).path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_tree(&path, &to);
        } else {
            fs::copy(&path, to).unwrap_or_else(|e| fail(&path, &e));
        }
    }
}

/// A fresh, empty folder that is removed when the value is dropped.
///
/// Its path is canonical, so that it can be compared with what a program prints.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _folder: TempDir,
}

impl Scratch {
    /// Makes the folder below the system's folder for temporary files.
    ///
    /// # Panics
    /// If the folder cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("ageseal-test-").unwrap_or_else(|e| panic!("no scratch folder: {e}"));
        let path = folder.path().canonicalize().unwrap_or_else(|e| panic!("{}: {e}", folder.path().display()));
        Self { path, _folder: folder }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file below the folder, with the folders above it, and gives its path.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn write(&self, relative: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).unwrap_or_else(|e| panic!("{}: {e}", parent.display()));
        }
        fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }

    /// Reads a file below the folder.
    ///
    /// # Panics
    /// If the file cannot be read.
    #[must_use]
    pub fn read(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path.join(relative);
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Reads a file below the folder as text.
    ///
    /// # Panics
    /// If the file cannot be read or is not UTF-8.
    #[must_use]
    pub fn read_text(&self, relative: impl AsRef<Path>) -> String {
        let path = self.path.join(relative);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_goes_with_its_value() {
        let scratch = Scratch::new();
        let file = scratch.write("a/b.txt", "text");
        assert_eq!(scratch.read_text("a/b.txt"), "text");
        drop(scratch);
        assert!(!file.exists());
    }
}
