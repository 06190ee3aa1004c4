//! Recipients that were typed, or that stand in a file which the user named.

use std::path::Path;
use std::sync::Arc;

use ageseal::policy::RecipientsFile;
use ageseal::problem::Problem;
use ageseal::recipient::Recipient;

use crate::error::{CliError, Errors};
use crate::files::{self, Want};
use crate::repository::recipient_parser;
use crate::ui::Ui;

/// A recipient, with the comment that stood above it.
#[derive(Clone, Debug)]
pub struct Given {
    /// The recipient.
    pub recipient: Arc<Recipient>,
    /// One line of text.
    pub comment: Option<String>,
}

/// Reads what was typed as a recipient: one, or the text of a recipients file, as `"$(cat FILE)"` gives it.
///
/// `what` says where it was typed, such as `--recovery`; `file_hint` is the next step if it is the path of a file.
///
/// # Errors
/// Everything that is wrong with it; the text is never repeated.
pub fn typed(ui: &Ui, text: &str, what: &str, file_hint: &str) -> Result<Vec<Given>, Errors> {
    let several = text.trim().contains('\n');
    let told = |problem: &Problem| {
        if problem.code == "private-key" {
            return private_key(CliError::usage(format!("{what}: this is a private key, not a recipient")));
        }
        let line = problem.at.filter(|_| several).map_or_else(String::new, |at| format!("line {}: ", at.line));
        let error = CliError::usage(format!("{what}: {line}{}", problem.message));
        if !several && Path::new(text).is_file() {
            return error.hint(file_hint);
        }
        problem.hint.iter().fold(error, |error, hint| error.hint(hint))
    };
    let found = parse(ui, text.as_bytes())
        .map_err(|problems| collected(problems.iter().map(told).collect(), "there is no recipient"))?;
    if found.is_empty() {
        return Err(CliError::usage(format!("{what}: there is no recipient in it"))
            .hint("a recipient begins with age1pq1, age1, ssh-ed25519 or ssh-rsa")
            .into());
    }
    Ok(found)
}

/// Reads the current recipients of a file.
///
/// # Errors
/// Everything that is wrong with it, or that there are none.
pub fn file(ui: &Ui, path: &Path) -> Result<Vec<Given>, Errors> {
    let bytes = files::read(path, Want::KEYS)?;
    let told = |problem: &Problem| {
        let error = CliError::problem(path, problem);
        if problem.code != "private-key" {
            return error;
        }
        private_key(CliError { message: "this is a private key, not a recipient".to_owned(), hints: vec![], ..error })
    };
    let found = parse(ui, &bytes)
        .map_err(|problems| collected(problems.iter().map(told).collect(), "there is no recipient"))?;
    if found.is_empty() {
        return Err(CliError::input("there is no current recipient in this file").path(path).into());
    }
    Ok(found)
}

fn parse(ui: &Ui, bytes: &[u8]) -> Result<Vec<Given>, Vec<Problem>> {
    let file = RecipientsFile::parse("recipients", bytes, &recipient_parser(ui))?;
    let given = |entry: &ageseal::policy::Entry| Given {
        recipient: Arc::clone(&entry.recipient),
        comment: entry.comment.as_ref().map(|comment| comment.replace('\n', " ")),
    };
    Ok(file.current().map(given).collect())
}

fn private_key(error: CliError) -> CliError {
    error
        .hint("nothing was written; the recipient is its public half, age1…: age-keygen -y prints it")
        .hint("if others can see where it stands now, make a new one: ageseal keygen")
}

/// The errors as one; a list that is empty, which no caller makes, becomes this fact.
pub fn collected(errors: Vec<CliError>, fact: &str) -> Errors {
    Errors::none_or(errors).err().unwrap_or_else(|| CliError::usage(fact).into())
}
