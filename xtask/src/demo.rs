//! The tour: the main job on the example, command by command, in a scratch folder; then in a cluster.

mod cluster;
mod offline;
mod plane;
mod references;
mod step;

use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::run::{Profile, build, print};
use crate::shell::Shell;

/// Runs the tour; a command that does not end as it must is an error.
pub fn demo(arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let arguments: Vec<OsString> = arguments.collect();
    let offline = arguments.iter().any(|argument| argument == "--offline");
    if arguments.len() > usize::from(offline) {
        bail!("usage: cargo demo [--offline]");
    }
    let programs = match offline {
        true => vec![build(&["ageseal-cli"], Profile::Dev, offline)?],
        false => cluster::programs()?,
    };
    let start = Instant::now();
    let shell = Shell::new("shop", &programs)?;
    let mut commands = offline::tour(&shell)?;
    if !offline {
        commands += cluster::tour(&shell)?;
    }
    print(&format!("\n{commands} commands, each ended as it must ({:.1} s)", start.elapsed().as_secs_f64()))
}
