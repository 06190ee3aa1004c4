//! `ageseal import`: moving in from other ways to keep Secrets.

mod generator;
mod listing;
mod same;
mod scope;
mod today;
mod values;

use crate::error::Outcome;
use crate::ui::Ui;

/// Move in: turn what is kept in other ways into sealed files
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal import generator base")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Generator(generator::Args),
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    match &args.command {
        Command::Generator(args) => generator::run(ui, args),
    }
}
