//! `ageseal recipients add`: one more recipient under a name, and a name in one more rule.

use std::fs;
use std::io;
use std::path::PathBuf;

use ageseal::policy::{Policy, PolicyError, Recipients, RecipientsFile, Rule, add_name};
use ageseal::recipient::{Recipient, RecipientKind};

use super::given::{self, Given};
use super::{Text, check_name, open, paths_of, policy_error, rule_of, rules_with};
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::Batch;
use crate::keys::short_id;
use crate::repository::{RECIPIENTS_FOLDER, Repository, from_here, recipient_parser};
use crate::ui::{Row, Ui};

/// Add recipients under a name
///
/// Writes .ageseal/recipients/NAME.pub. What was sealed before stays closed to them until it is sealed again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal recipients add prod age1pq1…
  ageseal recipients add prod -R cluster.pub --comment 'eu-west-1'
  ageseal recipients add ann 'ssh-ed25519 AAAA…' --rule 'overlays/test/**'")]
pub struct Args {
    /// The name
    #[arg(value_name = "NAME")]
    name: String,
    /// The recipients: age1pq1…, age1…, ssh-ed25519 …, ssh-rsa …, or a plugin's
    #[arg(value_name = "RECIPIENT", required_unless_present_any = ["files", "rule"])]
    recipients: Vec<String>,
    /// Add the recipients in this file, with their comments (repeatable)
    #[arg(short = 'R', long = "recipients-file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A comment to stand above each of them
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Also add the name to the rule that has exactly this path pattern
    #[arg(long, value_name = "PATTERN")]
    rule: Option<String>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let mut errors = vec![];
    errors.extend(check_name(&args.name).err());
    let given = all_given(ui, args, &mut errors);
    Errors::none_or(errors)?;
    let repository = open(ui)?;
    let file = Text::recipients(&repository, &args.name)?;
    if file.old.is_none() && given.is_empty() {
        return Err(CliError::usage(format!("there is no {} yet", file.shown.display()))
            .hint(format!("ageseal recipients add {} RECIPIENT", args.name))
            .into());
    }
    let (text, added) = with_recipients(ui, args, &file, &given)?;
    let policy = Text::policy(&repository)?;
    let policy_text = match &args.rule {
        Some(pattern) => with_name(args, pattern, &policy)?,
        None => None,
    };
    let after_policy = policy_text.clone().unwrap_or_else(|| policy.bytes().to_vec());
    let after_policy = Policy::parse(after_policy).map_err(|problems| policy.problems(&problems))?;
    let after_file =
        RecipientsFile::parse(&args.name, &text, &recipient_parser(ui)).map_err(|problems| file.problems(&problems))?;
    check_rules(&repository, &after_policy, &after_file)?;

    let mut batch = Batch::new();
    let mut made = None;
    if !added.is_empty() {
        made = make_folder(&repository, RECIPIENTS_FOLDER)?;
        batch.add(&file.path, file.before(), text);
    }
    if let Some(text) = &policy_text {
        batch.add(&policy.path, policy.before(), text.clone());
    }
    if let Err(errors) = batch.commit() {
        // One that holds something stays.
        made.into_iter().for_each(|folder| drop(fs::remove_dir(folder)));
        return Err(errors);
    }
    told(
        ui,
        args,
        &repository,
        &file,
        &policy,
        Done { given: &given, added: &added, rule: policy_text.is_some(), policy: &after_policy },
    );
    Ok(Exit::Ok)
}

/// Makes a folder of the policy; gives it back if it was not there.
pub(super) fn make_folder(repository: &Repository, folder: &str) -> Result<Option<PathBuf>, CliError> {
    let folder = repository.top().join(folder);
    match fs::create_dir(&folder) {
        Ok(()) => Ok(Some(folder)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(CliError::io("the folder cannot be made; nothing was changed", &from_here(&folder), &error)),
    }
}

/// What was done.
struct Done<'a> {
    given: &'a [Given],
    added: &'a [&'a Given],
    rule: bool,
    policy: &'a Policy,
}

fn told(ui: &Ui, args: &Args, repository: &Repository, file: &Text, policy: &Text, done: Done<'_>) {
    let shown = file.shown.display().to_string();
    let row = |verb: &str, recipient: &Recipient| {
        Row::new(verb, &[&shown, &short_id(recipient.id()), &recipient.kind().to_string()])
    };
    let is_new = |given: &Given| done.added.iter().any(|added| added.recipient.id() == given.recipient.id());
    let mut rows: Vec<_> =
        done.given.iter().map(|given| row(if is_new(given) { "added" } else { "kept" }, &given.recipient)).collect();
    if let Some(pattern) = &args.rule {
        let verb = if done.rule { "added" } else { "kept" };
        rows.push(Row::new(
            verb,
            &[&policy.shown.display().to_string(), &args.name, &format!("in the rule for {pattern}")],
        ));
    }
    let paths: Vec<_> = rules_with(done.policy, &args.name).map(paths_of).collect();
    if let (Some(last), false) = (rows.pop(), paths.is_empty()) {
        rows.push(last.detail("reads", paths.join(", "), None));
    }
    ui.results(&rows);
    if done.added.is_empty() && !done.rule {
        return;
    }
    if paths.is_empty() {
        ui.note(
            &CliError::finding(format!("no rule of the policy names {}, so nothing is sealed for it", args.name))
                .hint(format!("ageseal recipients add {} --rule PATTERN", args.name)),
        );
        return;
    }
    // While a name has no recipient, nothing is sealed under its rules.
    let had_one = repository.recipients().get(&args.name).is_some_and(|file| !file.entries().is_empty());
    if had_one || done.rule {
        ui.note(
            &CliError::finding("what was sealed before stays closed to what was added now")
                .hint("seal those files again from their source: ageseal seal PATH"),
        );
    }
    if done.added.iter().any(|given| given.recipient.kind() == RecipientKind::Plugin) {
        ui.note(
            &CliError::finding("whoever seals for this needs its age plugin, and has to allow it")
                .hint("AGESEAL_ALLOW_PLUGINS=NAME, or a line in plugins.allow of the configuration folder"),
        );
    }
}

fn all_given(ui: &Ui, args: &Args, errors: &mut Vec<CliError>) -> Vec<Given> {
    let mut all: Vec<Given> = vec![];
    let typed = args.recipients.iter().map(|text| given::typed(ui, text, "RECIPIENT", "this is a file: -R FILE"));
    let read = args.files.iter().map(|path| given::file(ui, path));
    for found in typed.chain(read) {
        match found {
            Ok(found) => all.extend(found),
            Err(several) => errors.extend(several),
        }
    }
    let mut seen = vec![];
    all.retain(|given| {
        let id = given.recipient.id();
        let new = !seen.contains(&id);
        seen.push(id);
        new
    });
    all
}

/// The file's new bytes, and which recipients are new in it.
fn with_recipients<'a>(
    ui: &Ui,
    args: &Args,
    file: &Text,
    given: &'a [Given],
) -> Result<(Vec<u8>, Vec<&'a Given>), Errors> {
    let parse = recipient_parser(ui);
    let there = RecipientsFile::parse(&args.name, file.bytes(), &parse).map_err(|problems| file.problems(&problems))?;
    let mut text = file.bytes().to_vec();
    let mut added = vec![];
    let mut errors = vec![];
    for one in given {
        match there.find(one.recipient.id()) {
            Some(entry) if entry.superseded.is_none() => continue,
            Some(entry) => {
                let id = short_id(one.recipient.id());
                let at = ageseal::problem::Location { line: entry.line, column: 1 };
                errors.push(
                    CliError::input("this recipient is there already, and is superseded")
                        .at(&file.shown, at, Some(id.clone()))
                        .hint(format!(
                            "if it is to be current again: ageseal recipients remove {} {id}, then add it",
                            args.name
                        )),
                );
                continue;
            }
            None => {}
        }
        let comment = args.comment.as_deref().or(one.comment.as_deref());
        let problems = |problems: Vec<ageseal::problem::Problem>| match problems.as_slice() {
            [problem] if problem.code == "bad-comment" => {
                CliError::usage(format!("--comment: {}", problem.message)).into()
            }
            problems => file.problems(problems),
        };
        text = RecipientsFile::add(&args.name, &text, &one.recipient, comment, &parse).map_err(problems)?.into_bytes();
        added.push(one);
    }
    Errors::none_or(errors)?;
    Ok((text, added))
}

/// The policy's new bytes; nothing if the rule has the name already.
fn with_name(args: &Args, pattern: &str, policy: &Text) -> Result<Option<Vec<u8>>, Errors> {
    let read = Policy::parse(policy.bytes().to_vec()).map_err(|problems| policy.problems(&problems))?;
    let index = rule_of(&read, pattern)?;
    if read.rules().get(index).is_some_and(|rule| rule.names().any(|name| name == args.name)) {
        return Ok(None);
    }
    match add_name(policy.bytes().to_vec(), index, &args.name) {
        Ok(text) => Ok(Some(text.into_bytes())),
        Err(error) => Err(policy_error(policy, &error)),
    }
}

/// Refuses recipients that cannot stand together in a rule, where they could before.
pub(super) fn check_rules(repository: &Repository, policy: &Policy, file: &RecipientsFile) -> Result<(), Errors> {
    let before = repository.recipients();
    let others = before.files().filter(|other| other.name() != file.name()).cloned();
    let after = Recipients::new(others.chain([file.clone()]));
    let mut errors = vec![];
    for rule in rules_with(policy, file.name()) {
        let old = repository.policy().rules().iter().find(|old| old.at == rule.at);
        let was = old.map_or_else(Vec::new, |old| refusals(before, old));
        for refusal in refusals(&after, rule) {
            if !was.iter().any(|was| was.code() == refusal.code()) {
                errors.push(refused(repository, rule, &refusal));
            }
        }
    }
    Errors::none_or(errors)
}

/// What is wrong with the recipients that a rule has now; names that have none yet are not looked at.
fn refusals(recipients: &Recipients, rule: &Rule) -> Vec<PolicyError> {
    let current = |name: &&str| recipients.get(name).is_some_and(|file| file.current().next().is_some());
    let names = rule.names().filter(current).map(|name| (name, None));
    let together = |error: &PolicyError| matches!(error, PolicyError::Mixed { .. } | PolicyError::TooMany { .. });
    recipients.of_names(names).err().into_iter().flatten().filter(together).collect()
}

fn refused(repository: &Repository, rule: &Rule, refusal: &PolicyError) -> CliError {
    let policy = from_here(&repository.top().join(ageseal::policy::POLICY_PATH));
    let PolicyError::Mixed { odd } = refusal else {
        return CliError::usage(refusal.to_string()).at(&policy, rule.at, Some(paths_of(rule))).hint(refusal.hint());
    };
    let error = CliError::usage(
        "post-quantum and classic recipients cannot stand together in a rule; nothing was changed",
    )
    .at(&policy, rule.at, Some(paths_of(rule)));
    odd.iter()
        .fold(error, |error, odd| {
            error.detail(format!("odd: {} ({}, {})", short_id(odd.id), odd.names.join(" and "), odd.kind))
        })
        .hint("one classic copy would undo the post-quantum ones: add a recipient of the same kind as the others")
        .hint("to move a rule to the other kind, change its .pub files together by hand")
}
