//! `ageseal`, the command line: encrypts Kubernetes Secrets so that they can live in git.
// A command line has no other crate that could reach its items: `pub` means "for the other modules".
#![allow(unreachable_pub)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods))]

mod cli;
mod clock;
mod cluster;
mod commands;
mod deployed;
mod error;
mod files;
mod git;
mod hardening;
mod keys;
mod opening;
mod patches;
mod pins;
mod progress;
mod prompt;
mod readers;
mod report;
mod repository;
mod scopes;
mod sealed;
mod shadow;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    hardening::no_core_files();
    cli::run()
}
