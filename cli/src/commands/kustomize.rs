//! `ageseal kustomize`: what makes plain kustomize follow a sealed document, and the function for those who want one.

mod config;
mod generator;
mod references;
mod shadow;

pub(super) use references::References;

use crate::error::Outcome;
use crate::ui::Ui;

/// Make kustomize follow sealed documents: names, references and rollouts
///
/// kustomize renames a sealed document with a prefix like any other object, but does not know where its name is used, and
/// no hash follows its values. What `config` and `shadow` write tells it. No plugin is needed, so `kubectl -k`, Argo CD
/// and Flux build the same. `generator` is for those who want a plugin all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal kustomize config -o base/ageseal-references.yaml
  ageseal kustomize shadow base/db.sealed.yaml
  ageseal kustomize generator < resource-list.yaml

How kustomize and sealed files go together: docs/kustomize.md")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Config(config::Args),
    Shadow(shadow::Args),
    Generator(generator::Args),
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    match &args.command {
        Command::Config(args) => config::run(ui, args),
        Command::Shadow(args) => shadow::run(ui, args),
        Command::Generator(args) => generator::run(ui, args),
    }
}
