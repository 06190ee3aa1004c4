//! Who a file is sealed for: the policy's recipients for its path, or those that were typed.

use std::path::{Path, PathBuf};

use ageseal::policy::{Member, PolicyError, RecipientSet, Recipients, RecipientsFile, is_name, recipients_path};
use ageseal::recipient::RecipientKind;
use ageseal::scope::Scope;

use crate::error::{CliError, Errors};
use crate::files::{self, Want};
use crate::keys::foreign::{self, Trust};
use crate::repository::{Located, Repositories, Repository, RepositoryError, find_top, recipient_parser_for};
use crate::ui::Ui;

/// The options of every command that seals.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Options {
    /// Seal for this recipient, or this name of the policy, instead of the rule's (repeatable)
    #[arg(short = 'r', long = "recipient", value_name = "NAME|RECIPIENT")]
    recipients: Vec<String>,
    /// Seal for the recipients in this file instead of the rule's (repeatable)
    #[arg(short = 'R', long = "recipients-file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Options {
    fn given(&self) -> bool {
        !self.recipients.is_empty() || !self.files.is_empty()
    }
}

/// Finds the readers of each file of one run.
pub struct Readers<'a> {
    ui: &'a Ui,
    options: &'a Options,
    repositories: Repositories,
}

/// For whom one file is sealed, and what may be sealed for them.
pub struct For {
    /// The file in its repository, if it is in one.
    located: Option<Located>,
    /// The recipients that were typed, if any were.
    typed: Option<RecipientSet>,
}

impl<'a> Readers<'a> {
    /// The readers by these options and by the policies of the files.
    pub fn new(ui: &'a Ui, options: &'a Options) -> Self {
        Self { ui, options, repositories: Repositories::new(ui) }
    }

    /// The readers of what is written to this path; without a path only typed recipients can be meant.
    ///
    /// # Errors
    /// No policy, no rule for the path, a set that cannot be sealed for, a name or a key that is none.
    pub fn for_path(&self, path: Option<&Path>) -> Result<For, Errors> {
        if self.options.given() {
            let located = match path.map(|path| self.repositories.locate(path)) {
                None | Some(Err(RepositoryError::NoRepository { .. } | RepositoryError::NoPolicy { .. })) => None,
                // A policy that is there and cannot be followed still bounds what may be sealed: it is not passed over.
                Some(found) => Some(found?),
            };
            let typed = self.typed(located.as_ref().map(|located| &*located.repository))?;
            return Ok(For { located, typed: Some(typed) });
        }
        let Some(path) = path else {
            return Err(CliError::usage("nothing says for whom to seal what comes from stdin")
                .hint("name recipients with -r, or a path of the repository with --as or -o")
                .into());
        };
        let located = self.repositories.locate(path)?;
        let set = located.repository.recipients_for(&located.path)?;
        check_usable(set, Trust::Repository, path)?;
        Ok(For { located: Some(located), typed: None })
    }

    /// A file in its repository.
    ///
    /// # Errors
    /// There is none, or its policy cannot be read.
    pub fn locate(&self, path: &Path) -> Result<Located, RepositoryError> {
        self.repositories.locate(path)
    }

    /// Whether the policy of a file's repository says that plaintext is meant to be there.
    pub fn allows_plaintext(&self, path: &Path) -> bool {
        self.repositories.locate(path).is_ok_and(|located| located.repository.policy().allowed(&located.path).is_some())
    }

    fn typed(&self, repository: Option<&Repository>) -> Result<RecipientSet, Errors> {
        let mut errors = Vec::new();
        let mut members = Vec::new();
        for text in &self.options.recipients {
            match self.named_or_key(text, repository) {
                Ok(found) => members.extend(found),
                Err(several) => errors.extend(several),
            }
        }
        for path in &self.options.files {
            match self.file(path) {
                Ok(found) => members.extend(found),
                Err(several) => errors.extend(several),
            }
        }
        Errors::none_or(errors)?;
        RecipientSet::new(members).map_err(policy_errors)
    }

    fn named_or_key(&self, text: &str, repository: Option<&Repository>) -> Result<Vec<Member>, Errors> {
        if !is_name(text) || text.starts_with("age1") {
            let recipient = foreign::recipient(self.ui, text, Trust::User).map_err(|error| {
                let told = CliError::usage(format!("-r: {error}"));
                error.hint().map_or(told.clone(), |hint| told.hint(hint))
            })?;
            return Ok(vec![Member::unnamed(recipient)]);
        }
        let Some(repository) = repository else {
            return Err(CliError::usage(format!("-r {text}: there is no policy here that knows this name"))
                .hint("give the recipient itself, or run it inside the repository")
                .into());
        };
        let set = repository.recipients().of_names([(text, None)]).map_err(policy_errors)?;
        check_usable(&set, Trust::Repository, Path::new(&recipients_path(text)))?;
        Ok(set.members().to_vec())
    }

    fn file(&self, path: &Path) -> Result<Vec<Member>, Errors> {
        let bytes = files::read(path, Want::KEYS)?;
        // Whoever writes to a repository writes this file too, wherever its name was typed.
        let outside = files::is_stdin(path) || find_top(path.parent().unwrap_or(Path::new(""))).is_err();
        let trust = if outside { Trust::User } else { Trust::Repository };
        let parse = recipient_parser_for(self.ui, trust);
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = if is_name(&stem) { stem } else { "recipients".to_owned() };
        let file = RecipientsFile::parse(&name, &bytes, &parse)
            .map_err(|problems| list(problems.iter().map(|problem| CliError::problem(path, problem))))?;
        let set = Recipients::new([file]).of_names([(name.as_str(), None)]).map_err(policy_errors)?;
        check_usable(&set, trust, path)?;
        Ok(set.members().to_vec())
    }
}

impl For {
    /// The recipients.
    ///
    /// # Errors
    /// As [`Readers::for_path`], which has found the same already.
    pub fn set(&self) -> Result<&RecipientSet, Errors> {
        match (&self.typed, &self.located) {
            (Some(typed), _) => Ok(typed),
            (None, Some(located)) => Ok(located.repository.recipients_for(&located.path)?),
            (None, None) => Err(CliError::usage("nothing says for whom to seal").into()),
        }
    }

    /// Refuses a scope beyond what the policy's rule for this path allows, whoever the recipients are.
    ///
    /// # Errors
    /// The rule's refusal, which names both. A path without a rule bounds nothing: its recipients were typed.
    pub fn check_scope(&self, scope: &Scope) -> Result<(), CliError> {
        let Some(located) = &self.located else { return Ok(()) };
        let Ok(rule) = located.repository.rule_for(&located.path) else { return Ok(()) };
        rule.check_scope(scope).map_err(|error| located.repository.refusal(&located.path, &error))
    }

    /// The policy's word that everything is applied server-side.
    pub fn server_side(&self) -> bool {
        self.located.as_ref().is_some_and(|located| located.repository.policy().server_side_apply())
    }
}

/// Refuses plugins that may not run, before any value is asked for or sealed.
fn check_usable(set: &RecipientSet, trust: Trust, path: &Path) -> Result<(), Errors> {
    let plugins = set.recipients().filter(|recipient| recipient.kind() == RecipientKind::Plugin);
    let refused = plugins.filter_map(|recipient| {
        let error = foreign::check_usable(recipient.canonical(), trust).err()?;
        Some(CliError::from(error).path(path))
    });
    Errors::none_or(refused.collect())
}

fn policy_errors(errors: Vec<PolicyError>) -> Errors {
    list(errors.iter().map(|error| {
        let (file, at) = error.place();
        let told = CliError::usage(error.to_string()).hint(error.hint());
        match at {
            Some(at) => told.at(Path::new(&file), at, None),
            None => told,
        }
    }))
}

fn list(errors: impl Iterator<Item = CliError>) -> Errors {
    match Errors::none_or(errors.collect()) {
        Err(errors) => errors,
        Ok(()) => CliError::usage("nothing says for whom to seal").into(),
    }
}
