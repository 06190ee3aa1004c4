//! The commands: one file each, with its `Args`, whose doc comment is the help, and its `run`.

mod check;
mod completions;
mod create;
mod doctor;
mod get;
mod import;
mod init;
mod install;
mod keygen;
mod keys;
mod kustomize;
mod man;
mod open;
mod overview;
mod recipients;
mod rescope;
mod seal;
mod set;
mod show;
mod unset;

use clap::Subcommand;

use crate::cli::Cli;
use crate::error::Outcome;
use crate::ui::Ui;

/// Every command.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one a run")]
pub enum Command {
    Init(init::Args),
    Keygen(keygen::Args),
    Seal(seal::Args),
    Create(create::Args),
    Open(open::Args),
    Get(get::Args),
    Set(set::Args),
    Unset(unset::Args),
    Rescope(rescope::Args),
    Show(show::Args),
    Check(check::Args),
    Recipients(recipients::Args),
    Keys(keys::Args),
    Kustomize(kustomize::Args),
    Import(import::Args),
    Install(install::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs the command that was typed; without one, says what there is.
pub fn run(ui: &Ui, cli: Cli) -> Outcome {
    match cli.command {
        Some(Command::Init(args)) => init::run(ui, &args),
        Some(Command::Keygen(args)) => keygen::run(ui, &args),
        Some(Command::Seal(args)) => seal::run(ui, &args),
        Some(Command::Create(args)) => create::run(ui, &args),
        Some(Command::Open(args)) => open::run(ui, &args),
        Some(Command::Get(args)) => get::run(ui, &args),
        Some(Command::Set(args)) => set::run(ui, &args),
        Some(Command::Unset(args)) => unset::run(ui, &args),
        Some(Command::Rescope(args)) => rescope::run(ui, &args),
        Some(Command::Show(args)) => show::run(ui, &args),
        Some(Command::Check(args)) => check::run(ui, &args),
        Some(Command::Recipients(args)) => recipients::run(ui, &args),
        Some(Command::Keys(args)) => keys::run(ui, &args),
        Some(Command::Kustomize(args)) => kustomize::run(ui, &args),
        Some(Command::Import(args)) => import::run(ui, &args),
        Some(Command::Install(args)) => install::run(ui, &args),
        Some(Command::Doctor(args)) => doctor::run(ui, &args),
        Some(Command::Completions(args)) => completions::run(ui, &args),
        Some(Command::Man(args)) => man::run(ui, &args),
        None => overview::run(ui),
    }
}
