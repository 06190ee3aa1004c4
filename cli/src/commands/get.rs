//! `ageseal get`: one value, byte for byte, on stdout.

use std::path::PathBuf;

use crate::error::{CliError, Exit, Outcome};
use crate::keys::identities;
use crate::opening::Opener;
use crate::sealed::{DocOption, SealedFile};
use crate::ui::Ui;

/// Print one value of a sealed file, byte for byte
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal get overlays/prod/db.sealed.yaml password
  ageseal get overlays/prod/tls.sealed.yaml tls.crt | openssl x509 -noout -enddate")]
pub struct Args {
    /// The sealed file; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data key
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    doc: DocOption,
    #[command(flatten)]
    identities: identities::Options,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let file = SealedFile::read(&args.file)?;
    let document = file.document(&args.doc)?;
    if !document.sealed.items.contains_key(&args.key) {
        let keys: Vec<_> = document.sealed.items.keys().map(String::as_str).collect();
        return Err(CliError::usage(format!("no data key {}", args.key))
            .at(&args.file, document.node.location(), None)
            .hint(format!("the keys are {}", keys.join(", ")))
            .into());
    }
    let keys = args.identities.load(ui)?;
    keys.require()?;
    let opened = Opener::new(ui, &keys).open(&args.file, &document)?;
    let Some(value) = opened.values.get(&args.key) else {
        return Err(CliError::cannot_decrypt("the value does not open").path(&args.file).into());
    };
    if ui.stdout_is_terminal() && steers_a_terminal(value.expose()) {
        return Err(CliError::usage("the value holds control characters, which a terminal would obey")
            .at(&args.file, document.node.location(), Some(format!("{} <redacted>", args.key)))
            .hint("send it to a file or a pipe: ageseal get FILE KEY > value")
            .into());
    }
    ui.raw(value.expose());
    Ok(Exit::Ok)
}

fn steers_a_terminal(value: &[u8]) -> bool {
    match std::str::from_utf8(value) {
        Ok(text) => text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_bytes_are_not_for_terminals() {
        for value in ["\x1b[2J", "a\rb", "\u{9b}2J", "\0"] {
            assert!(steers_a_terminal(value.as_bytes()), "{value:?}");
        }
        assert!(steers_a_terminal(&[0xff]));
        assert!(!steers_a_terminal("line\n\tline ü".as_bytes()));
    }
}
