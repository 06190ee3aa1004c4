//! What can be typed: the global options and the way from the arguments to a command.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser};

use crate::commands::{self, Command};
use crate::error::Exit;
use crate::ui::{Color, Ui};

/// Encrypt Kubernetes Secrets so that they can live in git
#[derive(Debug, Parser)]
#[command(name = "ageseal", version, disable_help_subcommand = true, subcommand_required = false)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub struct Cli {
    /// What goes for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command, if one was named.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The options that every command takes. Help shows them behind the command's own, under a heading of theirs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Say nothing of what went well
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colour: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    #[arg(hide_possible_values = true)]
    pub color: Color,
    /// Print help; -h is a summary of it
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// The definition of the command line under the name by which the program was called.
///
/// `kubectl-ageseal` is what kubectl runs for `kubectl ageseal`; help then shows what the user typed.
pub fn definition(program: Option<&OsString>) -> clap::Command {
    let stem = program.and_then(|name| Path::new(name).file_stem());
    if stem.is_some_and(|stem| stem == "kubectl-ageseal") {
        // Its version is that of the program, whatever the name that it was called by.
        Cli::command().name("kubectl ageseal").bin_name("kubectl ageseal").display_name("ageseal")
    } else {
        Cli::command().bin_name("ageseal")
    }
}

/// Does what the arguments of the process say, and gives its exit code.
pub fn run() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match parse(&args) {
        Ok(cli) => {
            let ui = Ui::new(cli.global.quiet, cli.global.color);
            let outcome = commands::run(&ui, cli);
            ui.finish(outcome)
        }
        Err(answer) => {
            let ui = Ui::new(false, Color::Auto);
            ui.help(&answer);
            ui.finish(Ok(if answer.use_stderr() { Exit::Usage } else { Exit::Ok }))
        }
    }
}

/// Reads the arguments, the first of which is the program's own name.
///
/// Errors: clap's, which is also how it answers `--help` and `--version`.
fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut definition = definition(args.first());
    let matches = definition.try_get_matches_from_mut(args).map_err(redacted)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))
}

/// Takes a word that no option and no command expects out of clap's error: `set FILE KEY VALUE` ends here, and the word
/// may be the value. A mistyped option is still named.
fn redacted(mut error: clap::Error) -> clap::Error {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::TooManyValues => ContextKind::InvalidValue,
        _ => return error,
    };
    let option = matches!(error.get(kind), Some(ContextValue::String(word)) if word.starts_with('-'));
    if kind == ContextKind::InvalidValue || !option {
        error.insert(kind, ContextValue::String("<redacted>".to_owned()));
        error.remove(ContextKind::Suggested);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn kubectl_plugin_shows_the_name_that_was_typed() {
        let mut definition = definition(Some(&OsString::from("/usr/local/bin/kubectl-ageseal")));
        let help = definition.render_help().to_string();
        assert!(help.contains("Usage: kubectl ageseal"), "{help}");
    }
}
