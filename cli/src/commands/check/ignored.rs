//! Which files git ignores.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The files among these, given from the top of the repository, that git ignores and does not track.
///
/// One process for all of them. Where git does not answer nothing is ignored, so that plaintext stays an error.
pub(super) fn ignored(top: &Path, files: &[PathBuf]) -> BTreeSet<PathBuf> {
    ask(top, files).unwrap_or_default()
}

fn ask(top: &Path, files: &[PathBuf]) -> std::io::Result<BTreeSet<PathBuf>> {
    let mut git = crate::git::git(top)
        .args(["check-ignore", "-z", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdin = git.stdin.take();
    let output = std::thread::scope(|scope| {
        // It answers while it reads: who only writes would wait for ever once both pipes are full.
        scope.spawn(move || {
            let Some(mut stdin) = stdin else { return };
            for file in files {
                let name = file.as_os_str().as_encoded_bytes();
                // A git that went away has said all that it will.
                if stdin.write_all(name).and_then(|()| stdin.write_all(&[0])).is_err() {
                    return;
                }
            }
        });
        git.wait_with_output()
    })?;
    let said: BTreeSet<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    Ok(files.iter().filter(|file| said.contains(file.as_os_str().as_encoded_bytes())).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(top: &Path, arguments: &[&str]) {
        assert!(
            std::process::Command::new("git").arg("-C").arg(top).args(arguments).output().unwrap().status.success()
        );
    }

    #[test]
    fn ignored_files_are_told_from_tracked_ones() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        git(top, &["init", "-q"]);
        std::fs::write(top.join(".gitignore"), "*.secret.yaml\n").unwrap();
        for name in ["a.secret.yaml", "b.secret.yaml", "ü x.secret.yaml", "c.yaml"] {
            std::fs::write(top.join(name), "a: 1\n").unwrap();
        }
        git(top, &["add", "-f", "b.secret.yaml"]);
        let files: Vec<PathBuf> =
            ["a.secret.yaml", "b.secret.yaml", "ü x.secret.yaml", "c.yaml", "none.yaml"].map(PathBuf::from).into();
        let found = ignored(top, &files);
        assert_eq!(found, ["a.secret.yaml", "ü x.secret.yaml"].map(PathBuf::from).into());
        let many: Vec<PathBuf> =
            (0..20_000).map(|n| PathBuf::from(format!("folder/of/many/{n}.secret.yaml"))).collect();
        assert_eq!(ignored(top, &many).len(), many.len());
    }

    #[test]
    fn without_git_nothing_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ignored(folder.path(), &[PathBuf::from("a.yaml")]), BTreeSet::new());
    }
}
