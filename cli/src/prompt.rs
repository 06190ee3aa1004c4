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

/// Refuses to read a value from a terminal as if it were a file: it would be shown while it is typed.
///
/// `instead` is as for [`secret`].
pub fn refuse_shown(instead: &str) -> Result<(), CliError> {
    if io::stdin().is_terminal() {
        return Err(CliError::usage("stdin is a terminal, which would show the value while it is typed").hint(instead));
    }
    Ok(())
}

/// Asks for a secret text, such as a passphrase, without showing it.
///
/// `instead` says how to do without a terminal, as a next step: it becomes the hint of the usage error.
pub fn secret(ui: &Ui, question: &str, instead: &str) -> Result<Zeroizing<String>, CliError> {
    if !possible_for_secrets(ui) {
        return Err(no_terminal(question, instead));
    }
    let typed = hidden::read(|| ui.ask(question)).map(Zeroizing::new);
    // The newline that was typed is hidden too.
    #[cfg(unix)]
    ui.urge("");
    typed.map_err(|error| CliError::input("nothing was read from the terminal").cause(io_fact(&error)))
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

/// Reading what is typed without showing it.
#[cfg(unix)]
mod hidden {
    use std::fs::File;
    use std::io::{self, Read};

    use rustix::process::{Signal, getpid, kill_process};
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
    use thiserror::Error;

    const CTRL_C: u8 = 3;

    /// Asks, and reads one line from the terminal.
    ///
    /// Guarantees: nothing is shown from before the question on, so that an answer that comes at once is not either. The
    /// terminal is as it was before, also after Ctrl-C, which ends the process as it does elsewhere.
    /// rpassword by itself raises the signal first and restores later, so nobody would see what is typed from then on.
    pub(super) fn read(ask: impl FnOnce()) -> io::Result<String> {
        let dark = Dark::new(File::open("/dev/tty")?)?;
        ask();
        let keys = Keys(dark.terminal.try_clone()?);
        let config = rpassword::ConfigBuilder::new().input_reader(keys).output_discard().build();
        let line = rpassword::read_password_with_config(config);
        drop(dark);
        if line.as_ref().is_err_and(|error| error.get_ref().is_some_and(|inner| inner.is::<Interrupted>())) {
            kill_process(getpid(), Signal::INT)?;
        }
        line
    }

    #[derive(Debug, Error)]
    #[error("interrupted")]
    struct Interrupted;

    /// A terminal that shows nothing and sends no signals, until this is dropped.
    struct Dark {
        terminal: File,
        before: Termios,
    }

    impl Dark {
        fn new(terminal: File) -> io::Result<Self> {
            let before = tcgetattr(&terminal)?;
            let mut modes = before.clone();
            let shown = LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
            modes.local_modes.remove(shown);
            tcsetattr(&terminal, OptionalActions::Now, &modes)?;
            Ok(Self { terminal, before })
        }
    }

    impl Drop for Dark {
        fn drop(&mut self) {
            // There is nobody to tell: the terminal itself is what failed.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
        }
    }

    /// What is typed, with Ctrl-C as an error. rpassword knows the other keys, and asks for a byte at a time.
    struct Keys(File);

    impl Read for Keys {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(bytes)?;
            if bytes.iter().take(count).any(|byte| *byte == CTRL_C) {
                return Err(io::Error::other(Interrupted));
            }
            Ok(count)
        }
    }
}

#[cfg(not(unix))]
mod hidden {
    /// Asks, and reads one line from the terminal.
    pub(super) fn read(ask: impl FnOnce()) -> std::io::Result<String> {
        ask();
        rpassword::read_password()
    }
}

fn no_terminal(question: &str, instead: &str) -> CliError {
    let question = question.trim_end_matches([' ', ':']);
    let error = CliError::usage(format!("there is no terminal to ask: {question}"));
    if instead.is_empty() { error } else { error.hint(instead) }
}
