//! `ageseal recipients remove`: a recipient less under a name, or a name less in a rule.

use ageseal::policy::{Date, Entry, Policy, Recipients, RecipientsFile, Rule, remove_name};
use ageseal::problem::Problem;

use super::given;
use super::{Text, check_name, open, paths_of, policy_error, rule_of, rules_with, state};
use crate::clock;
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files;
use crate::keys::{is_id, looks_like_id, short_id};
use crate::repository::{Repository, from_here, recipient_parser};
use crate::ui::{Row, Ui};

/// Remove a recipient from a name, or mark it as superseded
///
/// With --supersede nothing is sealed for it any more, and files that still are do not disturb until that day. Sealed
/// files are not touched, and git keeps what was sealed: whoever holds the identity can still read that.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal recipients remove prod r7d79…0186
  ageseal recipients remove prod r7d79…0186 --supersede 2027-01-31
  ageseal recipients remove ann --rule 'overlays/prod/**'")]
pub struct Args {
    /// The name
    #[arg(value_name = "NAME")]
    name: String,
    /// The recipient, or its id as `ageseal recipients list` shows it; may be left out if the name has only one
    #[arg(value_name = "RECIPIENT|ID")]
    recipient: Option<String>,
    /// Keep it, marked: it may still be found in sealed files until the end of this day (YYYY-MM-DD, UTC)
    #[arg(long, value_name = "DATE")]
    supersede: Option<Date>,
    /// Take the name out of the rule that has exactly this path pattern; its recipients stay
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["recipient", "supersede"])]
    rule: Option<String>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    check_name(&args.name)?;
    let repository = open(ui)?;
    match &args.rule {
        Some(pattern) => from_rule(ui, args, pattern, &repository),
        None => from_name(ui, args, &repository),
    }
}

fn from_rule(ui: &Ui, args: &Args, pattern: &str, repository: &Repository) -> Outcome {
    let text = Text::policy(repository)?;
    let policy = Policy::parse(text.bytes().to_vec()).map_err(|problems| text.problems(&problems))?;
    let index = rule_of(&policy, pattern)?;
    let shown = text.shown.display().to_string();
    // It is there: its index came from the same rules.
    let Some(rule) = policy.rules().get(index) else { return Ok(Exit::Ok) };
    if !rule.names().any(|name| name == args.name) {
        ui.result("kept", &[&shown, &args.name, &format!("is not in the rule for {pattern}")]);
        return Ok(Exit::Ok);
    }
    if rule.recipients.len() == 1 {
        return Err(CliError::usage(format!("{} is the only name of this rule; nothing was changed", args.name))
            .at(&text.shown, rule.at, Some(paths_of(rule)))
            .hint(format!("ageseal recipients add OTHER --rule {pattern:?}, then remove this one"))
            .into());
    }
    let new = remove_name(text.bytes().to_vec(), index, &args.name).map_err(|error| policy_error(&text, &error))?;
    let after = Policy::parse(new.clone().into_bytes()).map_err(|problems| text.problems(&problems))?;
    check_rules(repository, &after, repository.recipients())?;
    files::replace(&text.path, text.before(), new.into_bytes())?;
    ui.results(&[Row::new("removed", &[&shown, &args.name]).detail("from", paths_of(rule), None)]);
    ui.note(&kept_by_git());
    Ok(Exit::Ok)
}

fn from_name(ui: &Ui, args: &Args, repository: &Repository) -> Outcome {
    let text = Text::recipients(repository, &args.name)?;
    let parse = recipient_parser(ui);
    let file = RecipientsFile::parse(&args.name, text.bytes(), &parse).map_err(|problems| text.problems(&problems))?;
    if text.old.is_none() {
        return Err(CliError::usage(format!("there is no name {}", args.name))
            .path(&text.shown)
            .hint("ageseal recipients list")
            .into());
    }
    let entry = chosen(ui, args, &file, &text)?;
    let (id, kind) = (entry.recipient.id(), entry.recipient.kind().to_string());
    let columns = [text.shown.display().to_string(), short_id(id), kind];
    let columns = columns.each_ref().map(String::as_str);
    if args.supersede.is_some() && entry.superseded == args.supersede {
        ui.results(&[with_state(Row::new("kept", &columns), entry)]);
        return Ok(Exit::Ok);
    }
    let problems = |problems: Vec<Problem>| text.problems(&problems);
    let new = match args.supersede {
        Some(until) => RecipientsFile::supersede(&args.name, text.bytes(), id, until, &parse),
        None => RecipientsFile::remove(&args.name, text.bytes(), id, &parse),
    };
    let new = new.map_err(problems)?;
    let after = RecipientsFile::parse(&args.name, new.as_bytes(), &parse).map_err(problems)?;
    let others = repository.recipients().files().filter(|file| file.name() != args.name).cloned();
    check_rules(repository, repository.policy(), &Recipients::new(others.chain([after.clone()])))?;
    files::replace(&text.path, text.before(), new.into_bytes())?;

    let row = Row::new(if args.supersede.is_some() { "marked" } else { "removed" }, &columns);
    ui.results(&[after.find(id).into_iter().fold(row, with_state)]);
    let used = rules_with(repository.policy(), &args.name).next().is_some();
    if after.current().next().is_none() && used {
        ui.warn(
            &CliError::finding(format!(
                "{} has no current recipient now, and nothing can be sealed under its rules",
                args.name
            ))
            .path(&text.shown)
            .hint(format!("ageseal recipients add {} RECIPIENT", args.name)),
        );
    }
    if args.supersede.is_some_and(|until| until.is_over(clock::now())) {
        ui.note(&CliError::finding("that day is over: ageseal check finds every file that is still sealed for it"));
    }
    ui.note(&kept_by_git());
    Ok(Exit::Ok)
}

fn kept_by_git() -> CliError {
    CliError::finding("what was sealed before still opens for it, and git keeps that")
        .hint("to shut it out, change the values where they are used, and seal them again")
}

fn with_state(row: Row, entry: &Entry) -> Row {
    match state(entry) {
        Some(state) => row.detail("now", state, None),
        None => row,
    }
}

/// The recipient that is meant.
fn chosen<'a>(ui: &Ui, args: &Args, file: &'a RecipientsFile, text: &Text) -> Result<&'a Entry, Errors> {
    let list = |error: CliError, entries: &[&Entry]| {
        let detail = |entry: &Entry| {
            let comment = entry.comment.as_ref().map(|comment| format!("   {}", comment.replace('\n', " ")));
            format!("{}   {}{}", short_id(entry.recipient.id()), entry.recipient.kind(), comment.unwrap_or_default())
        };
        entries.iter().fold(error.path(&text.shown), |error, entry| error.detail(detail(entry)))
    };
    let all: Vec<&Entry> = file.entries().iter().collect();
    let Some(wanted) = &args.recipient else {
        return match all.as_slice() {
            [only] => Ok(only),
            [] => Err(CliError::usage(format!("{} has no recipient", args.name)).path(&text.shown).into()),
            several => Err(list(CliError::usage(format!("{} has several recipients", args.name)), several)
                .hint(format!("name one of them: ageseal recipients remove {} ID", args.name))
                .into()),
        };
    };
    let by_id: Vec<&Entry> =
        all.iter().copied().filter(|entry| is_id(wanted, &entry.recipient.id().to_string())).collect();
    match by_id.as_slice() {
        [one] => return Ok(one),
        [] => {}
        several => {
            let error = list(CliError::usage("this beginning of an id fits several recipients"), several);
            return Err(error.hint("write more of it").into());
        }
    }
    let absent = || Errors::from(list(CliError::usage(format!("{} does not have this recipient", args.name)), &all));
    if looks_like_id(wanted) {
        return Err(absent());
    }
    let typed = given::typed(ui, wanted, "RECIPIENT", "name the recipient itself, or its id")?;
    match typed.as_slice() {
        [one] => file.find(one.recipient.id()).ok_or_else(absent),
        _ => Err(CliError::usage("one recipient is removed at a time").into()),
    }
}

/// Refuses to leave a rule that had readers with none.
fn check_rules(repository: &Repository, policy: &Policy, after: &Recipients) -> Result<(), Errors> {
    let readers = |recipients: &Recipients, rule: &Rule| {
        rule.names().filter_map(|name| recipients.get(name)).flat_map(RecipientsFile::current).count()
    };
    let mut errors = vec![];
    for (rule, old) in policy.rules().iter().zip(repository.policy().rules()) {
        if readers(after, rule) == 0 && readers(repository.recipients(), old) > 0 {
            let path = from_here(&repository.top().join(ageseal::policy::POLICY_PATH));
            errors.push(
                CliError::usage("this rule would be left without a recipient; nothing was changed")
                    .at(&path, rule.at, Some(paths_of(rule)))
                    .hint("add the new recipient first: ageseal recipients add NAME RECIPIENT"),
            );
        }
    }
    Errors::none_or(errors)
}
