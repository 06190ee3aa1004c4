//! What the real kustomize builds.

use std::fs;
use std::path::Path;

use ageseal_testkit::{kustomize, run};

use super::Scratch;

/// `kustomize build` of a folder, which has to work.
#[track_caller]
pub fn built(t: &Scratch, folder: &str) -> String {
    let outcome = run(kustomize(), ["build".as_ref(), t.path(folder).as_os_str()], "");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr_text());
    outcome.stdout_text()
}

/// Copies a folder, such as an example.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
