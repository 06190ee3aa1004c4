//! `completions`: what a shell needs to complete the command line.

use clap_complete::Shell;

use crate::cli;
use crate::error::{Exit, Outcome};
use crate::ui::Ui;

/// Print the completions for a shell
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ageseal completions bash > ~/.local/share/bash-completion/completions/ageseal
  ageseal completions zsh > ~/.zfunc/_ageseal
  ageseal completions fish > ~/.config/fish/completions/ageseal.fish")]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::definition(None), "ageseal", &mut script);
    ui.raw(&script);
    Ok(Exit::Ok)
}
