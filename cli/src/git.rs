//! What git knows of a file: whether a plaintext is tracked, or stands in the history for ever.

mod index;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::keys::identities::CONTENT_VARIABLE;

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

/// A question to git that is under way.
#[derive(Debug, Default)]
pub struct Asking {
    known: Known,
    history: Vec<Child>,
}

/// Asks about these files, given relative to the top of the repository, and does not wait for the answer.
///
/// Nothing is known, and nothing is said, where there is no git: this is a warning's question, not a decision's. What is
/// tracked is read from the index itself where that has the usual form, because a process costs more than sealing does.
pub fn ask(top: &Path, files: &[PathBuf]) -> Asking {
    let folder = top.join(".git");
    if !folder.exists() {
        return Asking::default();
    }
    let tracked = index::tracked(&folder, files).unwrap_or_else(|| {
        let answers = files.chunks(CHUNK).map(|chunk| start(top, &["ls-files", "-z", "--cached"], chunk));
        answers.flatten().flat_map(names).collect()
    });
    let history = if has_commits(&folder) {
        let log = ["log", "--all", "--format=", "--name-only", "-z", "--no-renames"];
        files.chunks(CHUNK).filter_map(|chunk| start(top, &log, chunk)).collect()
    } else {
        Vec::new()
    };
    Asking { known: Known { tracked, in_history: BTreeSet::new() }, history }
}

/// Asks, and waits for the answer.
pub fn known(top: &Path, files: &[PathBuf]) -> Known {
    ask(top, files).wait()
}

impl Asking {
    /// Waits for the answer.
    pub fn wait(mut self) -> Known {
        self.known.in_history = self.history.into_iter().flat_map(names).collect();
        self.known
    }
}

/// The URLs of a repository's remotes, as git would use them; none where there is no git, or it does not answer.
pub fn remotes(top: &Path) -> Vec<String> {
    if !top.join(".git").exists() {
        return Vec::new();
    }
    let Ok(output) = git(top).args(["remote", "-v"]).stdin(Stdio::null()).stderr(Stdio::null()).output() else {
        return Vec::new();
    };
    // `NAME<tab>URL (fetch)`, and the same for what is pushed to.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let urls = text.lines().filter_map(|line| line.split_once('\t')).filter_map(|(_, rest)| rest.rsplit_once(" ("));
    let mut urls: Vec<String> = urls.map(|(url, _)| url.to_owned()).collect();
    urls.sort_unstable();
    urls.dedup();
    urls
}

/// Whether any reference exists, as far as a look at the folder tells; without one there is no history.
fn has_commits(folder: &Path) -> bool {
    let refs = folder.join("refs");
    let any = |name: &str| folder.join(name).exists();
    !folder.is_dir()
        || any("packed-refs")
        || any("reftable")
        || any("commondir")
        || walkdir::WalkDir::new(refs).into_iter().any(|entry| entry.is_ok_and(|entry| entry.file_type().is_file()))
}

/// git in a repository, which runs no program that the repository's own configuration names, asks no server, and gets no
/// private key.
pub fn git(top: &Path) -> Command {
    let mut git = Command::new("git");
    git.args(["--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
    git.args(["-c", "log.showSignature=false"]).arg("-C").arg(top);
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0").env_remove(CONTENT_VARIABLE);
    git
}

fn start(top: &Path, arguments: &[&str], files: &[PathBuf]) -> Option<Child> {
    let mut command = git(top);
    command.arg("--literal-pathspecs").args(arguments).arg("--").args(files);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()
}

fn names(child: Child) -> Vec<PathBuf> {
    let Ok(output) = child.wait_with_output() else { return Vec::new() };
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
    fn git_gets_no_private_key() {
        let command = super::git(Path::new("."));
        assert!(command.get_envs().any(|(name, value)| name == "AGESEAL_IDENTITY" && value.is_none()));
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
    fn the_index_and_git_agree_on_what_is_tracked() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        git(top, &["init", "-q"]);
        let names = ["a.yaml", "b/a.yaml", "b/long-name-that-ends-like-a.yaml", "c a.yaml", "ü.yaml", "not.yaml", "b"];
        std::fs::create_dir(top.join("b")).unwrap();
        for name in &names[..6] {
            std::fs::write(top.join(name), "a: 1\n").unwrap();
        }
        git(top, &["add", "b/a.yaml", "b/long-name-that-ends-like-a.yaml", "c a.yaml", "ü.yaml"]);
        let files: Vec<PathBuf> = names.map(PathBuf::from).into();
        let expected: BTreeSet<PathBuf> = files[1..5].iter().cloned().collect();
        for version in ["2", "3", "4"] {
            git(top, &["update-index", "--index-version", version]);
            assert_eq!(index::tracked(&top.join(".git"), &files).is_none(), version == "4", "version {version}");
            assert_eq!(known(top, &files).tracked, expected, "version {version}");
        }
        git(top, &["update-index", "--index-version", "2"]);
        git(top, &["update-index", "--split-index"]);
        assert_eq!(known(top, &files).tracked, expected, "split index");
    }

    #[test]
    fn remotes_are_told_with_their_short_forms_written_out() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        git(top, &["init", "-q"]);
        assert_eq!(remotes(top), Vec::<String>::new());
        git(top, &["remote", "add", "origin", "short:shop.git"]);
        git(top, &["remote", "add", "other", "/srv/a path/shop.git"]);
        git(top, &["config", "url.https://git.example.com/.insteadOf", "short:"]);
        assert_eq!(remotes(top), ["/srv/a path/shop.git", "https://git.example.com/shop.git"]);
    }

    #[test]
    fn outside_git_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(remotes(folder.path()), Vec::<String>::new());
        assert_eq!(known(folder.path(), &[PathBuf::from("a.yaml")]), Known::default());
    }
}
