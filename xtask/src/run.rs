//! Running programs, and saying things.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Says a line on stderr.
pub fn say(line: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line on stdout.
///
/// Errors: stdout is closed, so that nobody reads the rest.
pub fn print(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("standard output is closed")
}

/// The folder that holds the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Runs cargo in the workspace and gives what it printed.
pub fn cargo(arguments: &[&str]) -> Result<String> {
    let output = cargo_command().args(arguments).output().context("cargo does not start")?;
    ensure!(output.status.success(), "cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A build of this workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What tests run.
    Dev,
    /// What users run, and what figures are about.
    Release,
}

/// Builds packages of the workspace and gives the folder of their programs. Cargo's own words go to stderr.
pub fn build(packages: &[&str], profile: Profile, offline: bool) -> Result<PathBuf> {
    let mut command = cargo_command();
    command.args(["build", "--quiet", "--locked"]);
    for package in packages {
        command.args(["--package", package]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    if offline {
        command.arg("--offline");
    }
    let status = command.status().context("cargo does not start")?;
    ensure!(status.success(), "{} did not build", packages.join(" and "));
    Ok(ageseal_testkit::target_directory().join(match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    }))
}

fn cargo_command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The first line that a program prints, for versions.
pub fn first_line(program: impl AsRef<Path>, arguments: &[&str]) -> Result<String> {
    let program = program.as_ref();
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("{} does not start", program.display()))?;
    ensure!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
