//! `ageseal keys`: the identities of a cluster, by which its controller opens what is sealed for it.
//!
//! The identity Secrets are the truth; the controller watches them, publishes the recipient of the current one and
//! follows every change within seconds. These commands change those Secrets with the user's own rights, and nothing else.

mod backup;
mod claims;
mod list;
mod new;
mod promote;
mod restore;
mod retire;
mod standing;
mod usage;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) use backup::list as backups;

use ageseal::policy::is_name;
use ageseal::recipient::Recipient;

use super::recipients::given;
use crate::cluster::{AskError, Cluster, published};
use crate::error::{CliError, Errors, Outcome};
use crate::repository::Repository;
use crate::ui::Ui;

/// How long a command waits for the controller to take up a change.
const PATIENCE: Duration = Duration::from_secs(10);

/// List, make, back up, restore and retire the identities of a cluster
///
/// An identity is the private key by which the controller opens; it lives in a Secret of the controller's namespace. One
/// is current: its recipient is what the cluster publishes. The others open what was sealed for them. These commands
/// need rights on Secrets in that namespace, and no restart.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal keys list
  ageseal keys usage
  ageseal keys backup -o backups
  ageseal keys restore backups/ageseal-backup-r7d793037a0760186.age -i recovery.age --promote

Fields of --json: docs/cluster-json.md")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    New(new::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Promote(promote::Args),
    Retire(retire::Args),
    Usage(usage::Args),
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    match &args.command {
        Command::List(args) => list::run(ui, args),
        Command::New(args) => new::run(ui, args),
        Command::Backup(args) => backup::run(ui, args),
        Command::Restore(args) => restore::run(ui, args),
        Command::Promote(args) => promote::run(ui, args),
        Command::Retire(args) => retire::run(ui, args),
        Command::Usage(args) => usage::run(ui, args),
    }
}

/// The recipients that were typed for a backup: themselves, or by a name of the policy.
///
/// # Errors
/// All that is wrong with them at once.
fn backup_recipients(ui: &Ui, typed: &[String], option: &str) -> Result<Vec<Arc<Recipient>>, Errors> {
    let mut errors = vec![];
    let mut all: Vec<Arc<Recipient>> = vec![];
    for text in typed {
        let found = if is_name(text) && !text.starts_with("age1") {
            named(ui, text, option)
        } else {
            let hint = format!("this is a file: {option} \"$(cat {text})\"");
            given::typed(ui, text, option, &hint).map(|given| given.into_iter().map(|given| given.recipient).collect())
        };
        match found {
            Ok(found) => all.extend(found),
            Err(several) => errors.extend(several),
        }
    }
    Errors::none_or(errors)?;
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|recipient| seen.insert(recipient.id()));
    Ok(all)
}

fn named(ui: &Ui, name: &str, option: &str) -> Result<Vec<Arc<Recipient>>, Errors> {
    let repository = Repository::open(ui, Path::new("."))?;
    let file = repository.recipients().get(name);
    let current: Vec<_> =
        file.iter().flat_map(|file| file.current()).map(|entry| Arc::clone(&entry.recipient)).collect();
    if current.is_empty() {
        return Err(CliError::usage(format!("{option}: {name} has no recipient in this repository"))
            .hint("ageseal recipients list")
            .into());
    }
    Ok(current)
}

/// Looks at what is published, and says what is wrong with it: identities are put in order all the same.
fn published_before(ui: &Ui, cluster: &Cluster) -> Result<published::Said, AskError> {
    let said = published::look(cluster)?;
    said.fault.iter().for_each(|fault| ui.warn(fault));
    Ok(said)
}

/// Waits until the controller publishes what is wanted, and says so if it does not.
fn follow(ui: &Ui, cluster: &Cluster, what: &str, wanted: impl Fn(&ageseal::api::Published) -> bool) {
    ui.flush();
    let look = || published::read(cluster).ok().flatten().filter(|published| wanted(published));
    if cluster.wait(PATIENCE, look).is_none() {
        ui.warn(
            &CliError::finding(format!("the controller has not taken this up within {} s: {what}", PATIENCE.as_secs()))
                .hint("ageseal doctor says whether it runs"),
        );
    }
}
