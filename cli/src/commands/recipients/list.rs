//! `ageseal recipients list`: every name, its recipients, and the rules that use it.

use std::collections::BTreeSet;

use ageseal::policy::{Entry, recipients_path};
use ageseal::recipient::RecipientKind;
use serde::Serialize;

use super::{open, paths_of, rules_with, state};
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::keys::short_id;
use crate::repository::Repository;
use crate::ui::{Line, Ui};

/// List every name, its recipients, and the paths that they read
///
/// A name that a rule uses and that has no recipient is an error, as is a rule whose recipients cannot stand together.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal recipients list
  ageseal recipients list --json

With --json: {\"names\": [{\"name\", \"file\" (null: there is none), \"rules\": [{\"paths\", \"line\"}],
\"recipients\": [{\"id\", \"recipient\", \"kind\" (hybrid, x25519, ssh, plugin), \"comment\",
\"superseded\" (a day or null), \"line\"}]}], \"problems\": [{\"message\", \"path\", \"line\", \"hint\"}]}")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints. `problems` are what also stands on stderr.
#[derive(Serialize)]
struct Listing {
    names: Vec<Name>,
    problems: Vec<Problem>,
}

/// A name. `file` is `null` if a rule uses the name and there is no such file.
#[derive(Serialize)]
struct Name {
    name: String,
    file: Option<String>,
    rules: Vec<Rule>,
    recipients: Vec<Recipient>,
}

/// A rule that uses the name; `line` is its line in the policy.
#[derive(Serialize)]
struct Rule {
    paths: Vec<String>,
    line: usize,
}

/// A recipient; `superseded` is the day until which it may still be found in sealed files, or `null`.
#[derive(Serialize)]
struct Recipient {
    id: String,
    recipient: String,
    kind: &'static str,
    comment: Option<String>,
    superseded: Option<String>,
    line: usize,
}

#[derive(Serialize)]
struct Problem {
    message: String,
    path: Option<String>,
    line: Option<usize>,
    hint: Option<String>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let repository = open(ui)?;
    let errors = repository.rule_errors();
    let policy = repository.policy();
    let used = policy.rules().iter().flat_map(|rule| rule.names());
    let names: BTreeSet<&str> = repository.recipients().files().map(|file| file.name()).chain(used).collect();
    if args.json {
        let names = names.into_iter().map(|name| described(&repository, name)).collect();
        ui.json(&Listing { names, problems: errors.iter().map(problem).collect() });
    } else {
        let width = names.iter().map(|name| name.len()).max().unwrap_or_default() + 3;
        names.into_iter().for_each(|name| print(ui, &repository, name, width));
    }
    Errors::none_or(errors).map(|()| Exit::Ok)
}

fn print(ui: &Ui, repository: &Repository, name: &str, width: usize) {
    let paths: Vec<_> = rules_with(repository.policy(), name).map(paths_of).collect();
    let line = Line::new().padded(name, width);
    ui.print(&if paths.is_empty() { line.dim("in no rule") } else { line.text("reads ").text(&paths.join(", ")) });
    let indent = || Line::new().text(&" ".repeat(width));
    let Some(file) = repository.recipients().get(name) else {
        ui.print(&indent().yellow("no file").text(&format!("   {}", recipients_path(name))));
        return;
    };
    if file.entries().is_empty() {
        ui.print(&indent().yellow("no recipient"));
    }
    // The longest kind is `post-quantum (age1pq)`.
    let kinds =
        file.entries().iter().map(|entry| entry.recipient.kind().to_string().chars().count()).max().unwrap_or(0);
    for entry in file.entries() {
        let line = indent().text(&short_id(entry.recipient.id())).text("   ");
        let line = line.padded(&entry.recipient.kind().to_string(), kinds);
        let line = match state(entry) {
            Some(state) => line.text("   ").yellow(&state),
            None => line,
        };
        let comment = entry.comment.as_ref().map(|comment| comment.replace('\n', " "));
        ui.print(&comment.iter().fold(line, |line, comment| line.text("   ").dim(comment)));
    }
}

fn described(repository: &Repository, name: &str) -> Name {
    let file = repository.recipients().get(name);
    let rule = |rule: &ageseal::policy::Rule| Rule {
        paths: rule.paths.iter().map(|path| path.text.clone()).collect(),
        line: rule.at.line,
    };
    Name {
        name: name.to_owned(),
        file: file.map(|_| recipients_path(name)),
        rules: rules_with(repository.policy(), name).map(rule).collect(),
        recipients: file.map_or_else(Vec::new, |file| file.entries().iter().map(recipient).collect()),
    }
}

fn recipient(entry: &Entry) -> Recipient {
    Recipient {
        id: entry.recipient.id().to_string(),
        recipient: entry.recipient.canonical().to_owned(),
        kind: match entry.recipient.kind() {
            RecipientKind::Hybrid => "hybrid",
            RecipientKind::X25519 => "x25519",
            RecipientKind::Ssh => "ssh",
            RecipientKind::Plugin => "plugin",
        },
        comment: entry.comment.clone(),
        superseded: entry.superseded.map(|date| date.to_string()),
        line: entry.line,
    }
}

fn problem(error: &CliError) -> Problem {
    let place = error.places.first();
    Problem {
        message: error.message.clone(),
        path: place.map(|place| place.path.clone()),
        line: place.and_then(|place| place.at).map(|at| at.line),
        hint: error.hints.first().cloned(),
    }
}
