//! `man`: the manual pages, from the same definitions as the help.

use std::fs;
use std::path::{Path, PathBuf};

use clap_mangen::Man;

use crate::cli;
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::ui::Ui;

/// Print the manual page, or write one page for each command to a folder
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ageseal man | man -l -
  ageseal man ~/.local/share/man/man1")]
pub struct Args {
    /// The folder to write `ageseal.1`, `ageseal-seal.1` and so on to; it is made if it is not there
    folder: Option<PathBuf>,
}

pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let mut definition = cli::definition(None);
    definition.build();
    let Some(folder) = &args.folder else {
        ui.raw(&page(definition)?);
        return Ok(Exit::Ok);
    };
    fs::create_dir_all(folder).map_err(|error| CliError::io("the folder cannot be made", folder, &error))?;
    let commands: Vec<_> = definition.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    write(ui, folder, definition, "ageseal")?;
    for command in commands {
        let name = format!("ageseal-{}", command.get_name());
        write(ui, folder, command, &name)?;
    }
    Ok(Exit::Ok)
}

fn write(ui: &Ui, folder: &Path, command: clap::Command, name: &str) -> Result<(), Errors> {
    let path = folder.join(format!("{name}.1"));
    // These are generated: there is nothing in an old page to keep, so it is simply written over.
    fs::write(&path, page(command)?).map_err(|error| CliError::io("the page cannot be written", &path, &error))?;
    ui.result("wrote", &[&path.to_string_lossy()]);
    Ok(())
}

fn page(command: clap::Command) -> Result<Vec<u8>, CliError> {
    let mut page = Vec::new();
    Man::new(command)
        .render(&mut page)
        .map_err(|error| CliError::input("the page could not be made").caused_by(&error))?;
    Ok(page)
}
