//! A shell in a scratch folder: the lines of a tour run in it as a user would type them.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// The name of the home, beside the folder that lines run in.
const HOME: &str = "home";

/// A scratch folder with a home of its own, in which nothing of the user's configuration is seen.
///
/// Guarantees: the folder is gone when the value is dropped.
pub struct Shell {
    folder: PathBuf,
    path: OsString,
    _scratch: TempDir,
}

/// What came of a line.
pub struct Ran {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output and standard error, in the order in which they were written.
    pub text: String,
}

impl Shell {
    /// Makes the folder `name` below a scratch folder; the programs in the folders `programs` are found first.
    pub fn new(name: &str, programs: &[PathBuf]) -> Result<Self> {
        let scratch = TempDir::with_prefix("ageseal-")?;
        let folder = scratch.path().canonicalize()?.join(name);
        fs::create_dir(&folder)?;
        fs::create_dir(folder.with_file_name(HOME))?;
        let others = env::var_os("PATH").unwrap_or_default();
        let all = programs.iter().cloned().chain(env::split_paths(&others));
        Ok(Self { folder, path: env::join_paths(all)?, _scratch: scratch })
    }

    /// The folder that lines run in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The home that its programs see; empty at first.
    pub fn home(&self) -> PathBuf {
        self.folder.with_file_name(HOME)
    }

    /// Runs one line with `sh -c`, without a terminal.
    pub fn run(&self, line: &str) -> Result<Ran> {
        let (mut reader, writer) = std::io::pipe()?;
        let home = self.home();
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(&self.folder).env_clear();
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        // `target` and `TMPDIR` belong to the machine; all else that could change what is printed is ours.
        command.envs(env::vars_os().filter(|(name, _)| name == "TMPDIR"));
        command.env("PATH", &self.path).env("HOME", &home).env("XDG_CONFIG_HOME", home.join(".config"));
        command.env("LC_ALL", "C.UTF-8").env("COLUMNS", "120");
        command
            .env("GIT_CONFIG_GLOBAL", home.join(".gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_PAGER", "cat");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "A Developer");
            command.env(format!("GIT_{role}_EMAIL"), "developer@example.com");
        }
        let mut child = command.spawn().context("sh does not start")?;
        // The command holds our ends of the pipe: reading would not end while it lives.
        drop(command);
        let mut text = Vec::new();
        reader.read_to_end(&mut text)?;
        let code = child.wait()?.code().unwrap_or(-1);
        Ok(Ran { code, text: String::from_utf8_lossy(&text).into_owned() })
    }
}

/// Copies a folder with all that is in it.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("{}", entry.path().display()))?;
        }
    }
    Ok(())
}
