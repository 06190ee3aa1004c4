//! `ageseal`, the command line: encrypts Kubernetes Secrets so that they can live in git.
// A command line has no other crate that could reach its items: `pub` means "for the other modules".
#![allow(unreachable_pub)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods))]

mod cli;
mod clock;
mod commands;
mod error;
mod files;
mod git;
mod hardening;
mod keys;
mod opening;
mod progress;
mod prompt;
mod readers;
mod repository;
mod scopes;
mod sealed;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    hardening::no_core_files();
    let args: Vec<_> = std::env::args_os().collect();
    let (ui, outcome) = match cli::parse(&args) {
        Ok(cli) => {
            let ui = ui::Ui::new(cli.global.quiet, cli.global.color);
            let outcome = commands::run(&ui, cli);
            (ui, outcome)
        }
        Err(usage) => {
            let ui = ui::Ui::new(false, ui::Color::Auto);
            ui.help(&usage);
            let outcome = if usage.use_stderr() { error::Exit::Usage } else { error::Exit::Ok };
            (ui, Ok(outcome))
        }
    };
    ui.finish(outcome)
}
