//! The programs of this workspace, built once, and the folders that tests read.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use ageseal_testkit::{target_directory, workspace_root};

/// The folder of the generated custom resources.
#[must_use]
pub fn crd_folder() -> PathBuf {
    workspace_root().join("deploy/crd")
}

/// The program `ageseal-controller`, as this process was built: debug or release.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn controller() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("ageseal-controller", "ageseal-controller", &own_profile()))
}

/// The program `ageseal`, as this process was built: debug or release.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn ageseal() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("ageseal-cli", "ageseal", &own_profile()))
}

/// The program `ageseal-controller` as it is shipped, for figures.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn release_controller() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let profile = || Profile { name: "release".to_owned(), ..own_profile() };
    PATH.get_or_init(|| build("ageseal-controller", "ageseal-controller", &profile()))
}

/// How the running program was built: the folder below the target directory that it is in.
struct Profile {
    name: String,
    /// Set if Cargo was told one.
    triple: Option<String>,
}

fn own_profile() -> Profile {
    let program = env::current_exe().unwrap_or_else(|e| panic!("the path of this program: {e}"));
    // TARGET/[TRIPLE/]PROFILE/[deps/]PROGRAM
    let folder = program.ancestors().skip(1).find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"));
    let folder = folder.unwrap_or(&program);
    let name = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let above = folder.parent().filter(|above| !above.join("CACHEDIR.TAG").is_file());
    let triple = above.filter(|above| **above != target_directory()).and_then(name);
    Profile { name: name(folder).unwrap_or_else(|| "debug".to_owned()), triple }
}

/// Builds a program of the workspace; if it is up to date, that is looking at the times of files.
fn build(package: &str, name: &str, profile: &Profile) -> PathBuf {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--package", package, "--bin", name, "--profile"]);
    // The folder of the profile dev is called debug.
    command.arg(if profile.name == "debug" { "dev" } else { &profile.name });
    if let Some(triple) = &profile.triple {
        command.args(["--target", triple]);
    }
    command.arg("--target-dir").arg(target_directory());
    command.current_dir(workspace_root()).stdin(Stdio::null());
    for (variable, _) in env::vars_os() {
        // What Cargo told this process about its own package: a build script that looks at them would run again.
        let told =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "CARGO_TARGET_TMP"];
        if told.iter().any(|prefix| variable.to_string_lossy().starts_with(prefix)) {
            command.env_remove(variable);
        }
    }
    let output = command.output().unwrap_or_else(|e| panic!("cargo: {e}"));
    assert!(output.status.success(), "{name} did not build:\n{}", String::from_utf8_lossy(&output.stderr));
    let mut folder = target_directory();
    folder.extend(&profile.triple);
    folder.join(&profile.name).join(format!("{name}{}", env::consts::EXE_SUFFIX))
}
