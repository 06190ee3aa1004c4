//! `ageseal recipients`: who goes by which name, and which rules use it.

mod add;
pub mod given;
mod list;
mod remove;
mod sync;

use std::fs;
use std::path::{Path, PathBuf};

use ageseal::policy::{Entry, POLICY_PATH, Policy, PolicyEditError, Rule, is_name, recipients_path};
use ageseal::problem::Problem;
use ageseal::recipient::looks_private;

use self::given::collected;
use crate::error::{CliError, Errors, Outcome};
use crate::files::{self, Before, Want};
use crate::repository::{Repository, from_here};
use crate::ui::Ui;

/// List, add, remove and sync the recipients that the policy names
///
/// A name stands for the recipients in .ageseal/recipients/NAME.pub; the rules of the policy use names. Sealed files
/// are not touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal recipients list
  ageseal recipients add prod age1pq1…
  ageseal recipients remove prod r7d79…0186 --supersede 2027-01-31
  ageseal recipients sync prod --context prod-eu")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Add(add::Args),
    Remove(remove::Args),
    Sync(sync::Args),
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    match &args.command {
        Command::List(args) => list::run(ui, args),
        Command::Add(args) => add::run(ui, args),
        Command::Remove(args) => remove::run(ui, args),
        Command::Sync(args) => sync::run(ui, args),
    }
}

/// The repository of the current folder.
fn open(ui: &Ui) -> Result<Repository, Errors> {
    let repository = Repository::open(ui, Path::new("."))?;
    // For its refusal of a second policy between here and the top.
    repository.relative(Path::new("policy.yaml"))?;
    Ok(repository)
}

/// Refuses what cannot name recipients.
fn check_name(name: &str) -> Result<(), CliError> {
    if is_name(name) {
        return Ok(());
    }
    let lower = name.to_ascii_lowercase();
    if looks_private(&lower) {
        return Err(CliError::usage("a private key stands where a name belongs; nothing was written")
            .hint("if others can see where it stands now, make a new one: ageseal keygen"));
    }
    let error = CliError::usage(format!("{name:?} is not a name of recipients"));
    Err(if lower.starts_with("age1") || lower.starts_with("ssh-") {
        error.hint("the name comes first: ageseal recipients add NAME RECIPIENT")
    } else if is_name(&lower) {
        error.hint(format!("write {lower}"))
    } else {
        error.hint("a name has a-z, 0-9 and - only, with no - first or last, and at most 63 characters")
    })
}

/// A file of the repository that is about to change.
struct Text {
    /// The canonical path.
    path: PathBuf,
    /// The path as it is shown.
    shown: PathBuf,
    /// Its bytes; nothing if it is not there.
    old: Option<Vec<u8>>,
}

impl Text {
    fn read(repository: &Repository, path: &str) -> Result<Self, CliError> {
        let path = repository.top().join(path);
        let shown = from_here(&path);
        let old = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            _ => Some(files::read(&shown, Want { pipe: false, ..Want::KEYS })?),
        };
        Ok(Self { path, shown, old })
    }

    fn policy(repository: &Repository) -> Result<Self, CliError> {
        Self::read(repository, POLICY_PATH)
    }

    fn recipients(repository: &Repository, name: &str) -> Result<Self, CliError> {
        Self::read(repository, &recipients_path(name))
    }

    fn bytes(&self) -> &[u8] {
        self.old.as_deref().unwrap_or_default()
    }

    fn before(&self) -> Before {
        self.old.clone().map_or(Before::Absent, Before::Holds)
    }

    fn problems(&self, problems: &[Problem]) -> Errors {
        let told = problems.iter().map(|problem| CliError::problem(&self.shown, problem)).collect();
        collected(told, "the file has problems")
    }
}

/// The first rule that has this path pattern, by its index.
///
/// Errors: none has; the ones that there are.
fn rule_of(policy: &Policy, pattern: &str) -> Result<usize, CliError> {
    let has = |rule: &Rule| rule.paths.iter().any(|path| path.text == pattern);
    policy.rules().iter().position(has).ok_or_else(|| {
        let error = CliError::usage(format!("no rule of the policy has the path pattern {pattern:?}"))
            .hint("write it exactly as the policy does");
        let path = from_here(Path::new(POLICY_PATH));
        policy.rules().iter().fold(error, |error, rule| error.at(&path, rule.at, Some(paths_of(rule))))
    })
}

/// The path patterns of a rule in one text.
fn paths_of(rule: &Rule) -> String {
    rule.paths.iter().map(|path| path.text.as_str()).collect::<Vec<_>>().join(", ")
}

/// The rules that use a name.
fn rules_with<'a>(policy: &'a Policy, name: &'a str) -> impl Iterator<Item = &'a Rule> {
    policy.rules().iter().filter(move |rule| rule.names().any(|other| other == name))
}

/// What a superseded recipient is shown as.
fn state(entry: &Entry) -> Option<String> {
    entry.superseded.map(|date| format!("superseded, until {date}"))
}

/// Why the policy's text was not changed.
fn policy_error(text: &Text, error: &PolicyEditError) -> Errors {
    match error {
        PolicyEditError::Policy(problems) => text.problems(problems),
        PolicyEditError::Yaml(error) => text.problems(&[error.to_problem()]),
        other => {
            let told = CliError::input(other.to_string()).path(&text.shown).hint("change the rule by hand");
            std::error::Error::source(other).into_iter().fold(told, |told, source| told.caused_by(source)).into()
        }
    }
}
