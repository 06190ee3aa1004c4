//! What git knows of a file: whether a plaintext is tracked, or stands in the history for ever.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Paths given to one git process: well below what a command line holds.
const CHUNK: usize = 400;

/// Where plaintext files stand in git.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Tracked now: the next commit holds them.
    pub tracked: BTreeSet<PathBuf>,
    /// In some commit of some branch, tracked now or not.
    pub in_history: BTreeSet<PathBuf>,
}

/// Asks git about these files, given relative to the top of the repository.
///
/// Nothing is known, and nothing is said, where there is no git: this is a warning's question, not a decision's.
pub fn known(top: &Path, files: &[PathBuf]) -> Known {
    let mut known = Known::default();
    if !top.join(".git").exists() {
        return known;
    }
    for chunk in files.chunks(CHUNK) {
        known.tracked.extend(names(top, &["ls-files", "-z", "--cached"], chunk));
        known.in_history.extend(names(top, &["log", "--all", "--format=", "--name-only", "-z", "--no-renames"], chunk));
    }
    known
}

/// git in a repository, which runs no program that the repository's own configuration names, and asks no server.
pub fn git(top: &Path) -> Command {
    let mut git = Command::new("git");
    git.args(["--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
    git.args(["-c", "log.showSignature=false"]).arg("-C").arg(top);
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0");
    git
}

fn names(top: &Path, arguments: &[&str], files: &[PathBuf]) -> Vec<PathBuf> {
    let output = git(top)
        .arg("--literal-pathspecs")
        .args(arguments)
        .arg("--")
        .args(files)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Ok(output) = output else { return Vec::new() };
    output.stdout.split(|byte| *byte == 0 || *byte == b'\n').filter(|name| !name.is_empty()).map(path).collect()
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from(String::from_utf8_lossy(bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(top: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        let status = Command::new("git").arg("-C").arg(top).args(identity).args(arguments).output().unwrap().status;
        assert!(status.success(), "git {arguments:?}");
    }

    #[test]
    fn tracked_and_once_committed_files_are_told_apart() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        git(top, &["init", "-q"]);
        for name in ["now.yaml", "once.yaml", "never.yaml", "staged *.yaml"] {
            std::fs::write(top.join(name), "a: 1\n").unwrap();
        }
        git(top, &["add", "now.yaml", "once.yaml"]);
        git(top, &["commit", "-q", "-m", "a"]);
        git(top, &["rm", "-q", "--cached", "once.yaml"]);
        git(top, &["commit", "-q", "-m", "b"]);
        git(top, &["add", "staged *.yaml"]);
        let files: Vec<PathBuf> = ["now.yaml", "once.yaml", "never.yaml", "staged *.yaml"].map(PathBuf::from).into();
        let known = known(top, &files);
        assert_eq!(known.tracked, ["now.yaml", "staged *.yaml"].map(PathBuf::from).into());
        assert_eq!(known.in_history, ["now.yaml", "once.yaml"].map(PathBuf::from).into());
    }

    #[test]
    fn outside_git_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(known(folder.path(), &[PathBuf::from("a.yaml")]), Known::default());
    }
}
