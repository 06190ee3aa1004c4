//! Questions to the user: only on a terminal, and a secret is never shown while it is typed.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal};

use ageseal::secret::Plaintext;
use zeroize::Zeroizing;

use crate::error::{CliError, io_fact};
use crate::ui::Ui;

/// Whether a question can be asked and answered through stderr and stdin: both are a terminal.
pub fn possible(ui: &Ui) -> bool {
    ui.stderr_is_terminal() && io::stdin().is_terminal()
}

/// Whether a secret can be asked for: it is read from the terminal itself, so stdin may carry data.
fn possible_for_secrets(ui: &Ui) -> bool {
    ui.stderr_is_terminal() && (io::stdin().is_terminal() || File::open("/dev/tty").is_ok())
}

/// Asks for a secret text, such as a passphrase, without showing it.
///
/// `instead` says how to do without a terminal, as a next step: it becomes the hint of the usage error.
pub fn secret(ui: &Ui, question: &str, instead: &str) -> Result<Zeroizing<String>, CliError> {
    if !possible_for_secrets(ui) {
        return Err(no_terminal(question, instead));
    }
    ui.ask(question);
    rpassword::read_password()
        .map(Zeroizing::new)
        .map_err(|error| CliError::input("nothing was read from the terminal").cause(io_fact(&error)))
}

/// Asks for the value of a data key without showing it: `value for password (not shown): `.
pub fn value(ui: &Ui, key: &str, instead: &str) -> Result<Plaintext, CliError> {
    let mut text = secret(ui, &format!("value for {key} (not shown): "), instead)?;
    Ok(Plaintext::new(std::mem::take(&mut *text).into_bytes()))
}

/// Asks for a new passphrase twice and refuses an empty one.
pub fn new_passphrase(ui: &Ui, question: &str, instead: &str) -> Result<Zeroizing<String>, CliError> {
    let first = secret(ui, &format!("{question} (not shown): "), instead)?;
    if first.is_empty() {
        return Err(CliError::usage("an empty passphrase protects nothing"));
    }
    let again = secret(ui, "the same again: ", instead)?;
    if *first == *again { Ok(first) } else { Err(CliError::usage("the two passphrases differ")) }
}

/// Asks a question that only `y` or `yes` answers with yes: `continue? [y/N] `.
///
/// `instead` says how to do without a terminal, such as `--yes`.
pub fn confirm(ui: &Ui, question: &str, instead: &str) -> Result<bool, CliError> {
    let answer = line(ui, &format!("{question} [y/N] "), instead)?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a line that is no secret and gives it back without the spaces around it.
pub fn line(ui: &Ui, question: &str, instead: &str) -> Result<String, CliError> {
    if !possible(ui) {
        return Err(no_terminal(question, instead));
    }
    ui.ask(question);
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| CliError::input("nothing was read from the terminal").cause(io_fact(&error)))?;
    Ok(answer.trim().to_owned())
}

fn no_terminal(question: &str, instead: &str) -> CliError {
    let question = question.trim_end_matches([' ', ':']);
    let error = CliError::usage(format!("there is no terminal to ask: {question}"));
    if instead.is_empty() { error } else { error.hint(instead) }
}
