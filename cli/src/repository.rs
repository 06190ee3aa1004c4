//! The repository that a file lies in: its top, its policy, its recipients.

mod error;
mod locate;
mod top;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ageseal::policy::{
    POLICY_PATH, Policy, PolicyError, RecipientSet, Recipients, RecipientsFile, Refusal, Rule, is_name,
};
use ageseal::problem::Problem;
use ageseal::recipient::Recipient;

pub use error::{RepositoryError, from_here};
pub use locate::{Located, Repositories};
pub use top::{Top, find_top, place_in};

use crate::error::{CliError, io_fact};
use crate::files::{Want, read};
use crate::keys::foreign::{self, ForeignError, Trust};
use crate::ui::Ui;

/// The folder at the top of a repository that holds its policy.
pub const FOLDER: &str = ".ageseal";

/// The folder of the recipients files, from the top.
pub const RECIPIENTS_FOLDER: &str = ".ageseal/recipients";

/// The most recipients files that are read.
const MAX_FILES: usize = 1_000;

const POLICY: Want = Want { max: 1024 * 1024, empty: true, pipe: false };
const PUBLIC_KEYS: Want = Want { max: 4 * 1024 * 1024, empty: true, pipe: false };

/// A repository whose policy and recipients are read, and have no problems of their own.
///
/// Paths inside it are texts relative to its top, their parts divided by `/`.
#[derive(Debug)]
pub struct Repository {
    top: Top,
    policy: Policy,
    recipients: Recipients,
    /// The recipients of each rule, made when first asked for: one bad rule does not stop the others.
    sets: Vec<OnceLock<Result<RecipientSet, Vec<PolicyError>>>>,
}

/// A parser of recipients for the files of a repository, which may name plugins and never make them run.
pub fn recipient_parser(ui: &Ui) -> impl Fn(&str) -> Result<Recipient, Refusal> {
    recipient_parser_for(ui, Trust::Repository)
}

/// A parser of recipients for a file that somebody named.
pub fn recipient_parser_for(ui: &Ui, trust: Trust) -> impl Fn(&str) -> Result<Recipient, Refusal> {
    move |text| {
        foreign::recipient(ui, text, trust).map_err(|error| match error {
            ForeignError::Core(reason) => reason.into(),
            other => Refusal { reason: None, message: other.to_string(), hint: other.hint() },
        })
    }
}

impl Repository {
    /// Finds the repository of a folder, and reads it.
    ///
    /// # Errors
    /// As [`find_top`] and [`Repository::load`].
    pub fn open(ui: &Ui, folder: &Path) -> Result<Self, RepositoryError> {
        Self::load(ui, find_top(folder)?)
    }

    /// Reads the policy and all recipients files of a repository.
    ///
    /// # Errors
    /// No policy; what may not be trusted; all problems of all files at once.
    pub fn load(ui: &Ui, top: Top) -> Result<Self, RepositoryError> {
        top.check_trust()?;
        let mut errors = vec![];
        let policy = load_policy(&top, &mut errors)?;
        let recipients = load_recipients(ui, &top, &mut errors)?;
        match policy {
            Some(policy) if errors.is_empty() => {
                let sets = policy.rules().iter().map(|_| OnceLock::new()).collect();
                Ok(Self { top, policy, recipients, sets })
            }
            _ => Err(RepositoryError::Files(errors)),
        }
    }

    /// The top folder, canonical.
    pub fn top(&self) -> &Path {
        self.top.path()
    }

    /// Refuses a folder of the policy that may not be trusted: a link, or another user's outside git.
    pub fn check_folder(&self, folder: &Path) -> Result<(), RepositoryError> {
        self.top.check_folder(folder)
    }

    /// The same for a file.
    pub fn check_file(&self, path: &Path) -> Result<(), RepositoryError> {
        self.top.check_file(path)
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// All recipients files.
    pub fn recipients(&self) -> &Recipients {
        &self.recipients
    }

    /// The path of a file inside the repository, relative to its top.
    ///
    /// Symbolic links in the folders above it are followed, and it is not: a file is where it lies, not where it
    /// leads. It need not exist, nor the folders above it.
    ///
    /// # Errors
    /// The file is outside; its path is not text; a second `.ageseal` lies above it and below the top.
    pub fn relative(&self, path: &Path) -> Result<String, RepositoryError> {
        let path = top::canonical_place(path)?;
        self.top.check_below(path.parent().unwrap_or(&path))?;
        self.top.relative(&path)
    }

    /// The rule of a path: the first that matches.
    ///
    /// # Errors
    /// No rule matches.
    pub fn rule_for(&self, path: &str) -> Result<&Rule, RepositoryError> {
        self.policy.rule_for(path).map_err(|error| self.refused(path, vec![error]))
    }

    /// Who a path is sealed for.
    ///
    /// # Errors
    /// No rule matches, or the rule's recipients cannot be sealed for; all reasons at once.
    pub fn recipients_for(&self, path: &str) -> Result<&RecipientSet, RepositoryError> {
        let index = self.policy.rule_index(path).map_err(|error| self.refused(path, vec![error]))?;
        self.set(index).map_err(|errors| self.refused(path, errors.to_vec()))
    }

    /// What is wrong with the recipients of any rule, each thing once.
    pub fn rule_errors(&self) -> Vec<CliError> {
        let mut errors: Vec<CliError> = vec![];
        for index in 0..self.sets.len() {
            for error in self.set(index).err().into_iter().flatten() {
                let error = error::own(self.top.path(), error);
                if !errors.contains(&error) {
                    errors.push(error);
                }
            }
        }
        errors
    }

    /// A refusal of the policy, at the file it is about and at the place of the policy that refuses.
    pub fn refusal(&self, path: &str, error: &PolicyError) -> CliError {
        error::about(self.top.path(), path, error)
    }

    fn set(&self, index: usize) -> Result<&RecipientSet, &[PolicyError]> {
        let (Some(rule), Some(set)) = (self.policy.rules().get(index), self.sets.get(index)) else {
            return Err(&[PolicyError::Empty]);
        };
        set.get_or_init(|| self.recipients.of_rule(rule)).as_ref().map_err(Vec::as_slice)
    }

    fn refused(&self, path: &str, errors: Vec<PolicyError>) -> RepositoryError {
        RepositoryError::Policy { top: self.top.path().to_owned(), path: path.to_owned(), errors }
    }
}

/// Reads the policy; notes its problems and gives back nothing if it has some.
fn load_policy(top: &Top, errors: &mut Vec<CliError>) -> Result<Option<Policy>, RepositoryError> {
    let path = top.path().join(POLICY_PATH);
    if !top::exists(&path)? {
        return Err(RepositoryError::NoPolicy { top: top.path().to_owned() });
    }
    top.check_file(&path)?;
    let bytes = match read(&path, POLICY) {
        Ok(bytes) => bytes,
        Err(error) => {
            errors.push(error);
            return Ok(None);
        }
    };
    Ok(noted(&path, Policy::parse(bytes), errors))
}

fn load_recipients(ui: &Ui, top: &Top, errors: &mut Vec<CliError>) -> Result<Recipients, RepositoryError> {
    let folder = top.path().join(RECIPIENTS_FOLDER);
    if !top::exists(&folder)? {
        return Ok(Recipients::default());
    }
    top.check_folder(&folder)?;
    let parse = recipient_parser(ui);
    let mut files = vec![];
    for path in public_files(&folder)? {
        top.check_file(&path)?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if !is_name(&name) {
            let hint = "rename it: a-z, 0-9 and - only, with no - first or last, and at most 63 characters";
            let problem = Problem::error("bad-name", format!("{name:?} is not a name of recipients")).hint(hint);
            errors.push(CliError::problem(&error::from_here(&path), &problem));
            continue;
        }
        match read(&path, PUBLIC_KEYS) {
            Ok(bytes) => files.extend(noted(&path, RecipientsFile::parse(&name, &bytes, &parse), errors)),
            Err(error) => errors.push(error),
        }
    }
    Ok(Recipients::new(files))
}

/// The files that end in `.pub`, sorted.
fn public_files(folder: &Path) -> Result<Vec<PathBuf>, RepositoryError> {
    let unreadable =
        |error: std::io::Error| RepositoryError::Unreadable { path: folder.to_owned(), cause: io_fact(&error) };
    let mut files = vec![];
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "pub") {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(RepositoryError::TooManyFiles { folder: folder.to_owned(), most: MAX_FILES });
        }
    }
    files.sort();
    Ok(files)
}

fn noted<T>(path: &Path, read: Result<T, Vec<Problem>>, errors: &mut Vec<CliError>) -> Option<T> {
    let path = error::from_here(path);
    read.map_err(|problems| errors.extend(problems.iter().map(|problem| CliError::problem(&path, problem)))).ok()
}

#[cfg(all(test, unix))]
mod tests;
