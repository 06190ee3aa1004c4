//! What the real kustomize builds.

use ageseal_testkit::{kustomize, run};

use super::Scratch;

/// `kustomize build` of a folder, which has to work.
#[track_caller]
pub fn built(t: &Scratch, folder: &str) -> String {
    let outcome = run(kustomize(), ["build".as_ref(), t.path(folder).as_os_str()], "");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr_text());
    outcome.stdout_text()
}
