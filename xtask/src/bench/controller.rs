//! The controller's figures: built for release and run. What is measured is in the crate of the cluster's tests, so that
//! this program needs no client of Kubernetes.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{Profile, build};

/// The name behind `cargo xtask bench` that means these figures.
pub const NAME: &str = "controller";

/// Builds the program that measures and runs it with these arguments. It builds the controller by itself, apart from
/// everything else, as it is shipped: in one build with others it would have their features as well.
pub fn controller(arguments: &[OsString]) -> Result<()> {
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let profile = if quick { Profile::Dev } else { Profile::Release };
    let program = build(&["ageseal-cluster"], profile, false)?.join("controller-figures");
    let status = Command::new(&program).args(arguments).status().with_context(|| program.display().to_string())?;
    ensure!(status.success(), "the figures of the controller were not taken");
    Ok(())
}
