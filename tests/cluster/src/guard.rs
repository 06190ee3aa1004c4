//! Ends every process of a control plane, and removes its folder, however the process that started them ends.
//!
//! A shell waits at a pipe whose other end only this process holds. When that is closed, on purpose or because this
//! process is gone (SIGKILL closes it as well), the shell kills the process group that all programs are in and removes
//! the folder. The group is held open by an anchor: a process that does nothing and ends with the same pipes.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// `$1` is the process group, `$2` the folder. A program that is killed may still be writing: hence the repetition.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
while read -r _; do :; done
kill -s KILL -- "-$1" 2>/dev/null
tries=0
until rm -rf -- "$2" 2>/dev/null || [ "$tries" -ge 100 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
"#;

/// The folder of a control plane and the life of its processes.
#[derive(Debug)]
pub(crate) struct Guard {
    anchor: Child,
    shell: Child,
    folder: PathBuf,
}

impl Guard {
    /// Makes the folder, below the system's folder for temporary files and closed to other users.
    ///
    /// # Panics
    /// If the folder cannot be made or there is no `/bin/sh`.
    pub(crate) fn new() -> Self {
        let anchor = shell("while read -r _; do :; done", &[]);
        let folder = TempDir::with_prefix("ageseal-cluster-").unwrap_or_else(|e| panic!("no folder: {e}"));
        let path = folder.path().canonicalize().unwrap_or_else(|e| panic!("{}: {e}", folder.path().display()));
        let shell = shell(SCRIPT, &[&anchor.id().to_string(), &path.to_string_lossy()]);
        // From here on the shell removes it.
        let _ = folder.keep();
        Self { anchor, shell, folder: path }
    }

    /// The folder, canonical.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a program that is about to be started one of those that end with this value.
    pub(crate) fn adopt<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let group = i32::try_from(self.anchor.id()).expect("process ids are positive 32-bit numbers");
        command.process_group(group)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The shell first: it kills the anchor with the others.
        for child in [&mut self.shell, &mut self.anchor] {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// A shell that reads a pipe of this process, in a process group of its own: a Ctrl-C at the terminal passes it by.
fn shell(script: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "ageseal-cluster-guard"]).args(arguments).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|e| panic!("/bin/sh: {e}"))
}
