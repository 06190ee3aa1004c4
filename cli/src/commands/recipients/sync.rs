//! `ageseal recipients sync`: what a cluster publishes, brought into the repository under one name.

mod plan;
mod told;
mod trust;

use std::collections::BTreeMap;

use ageseal::policy::{Date, RecipientsFile, is_name};

use self::plan::Plan;
use self::trust::{Answer, Standing, Trust};
use super::add::{check_rules, make_folder};
use super::{Text, check_name, open};
use crate::clock;
use crate::cluster::{self, Cluster, published};
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{Batch, Before};
use crate::pins::{self, CLUSTERS_FOLDER, Pin, pin_path};
use crate::prompt;
use crate::repository::{RECIPIENTS_FOLDER, Repository, from_here, recipient_parser};
use crate::ui::Ui;

/// How long files may still be sealed for a recipient that the cluster has replaced.
const GRACE_DAYS: i64 = 90;

/// Bring the recipients that a cluster publishes into the repository
///
/// Reads the ConfigMap ageseal-recipients with your own kubeconfig, shows the change to .ageseal/recipients/NAME.pub, and
/// asks. The current recipient is added, those that it replaced are marked as superseded, and those whose identity the
/// cluster has no more are removed; recipients that never came from the cluster stay. The cluster itself is pinned in
/// .ageseal/clusters/NAME.yaml, by the certificates in the kubeconfig and the uid of its namespace kube-system; where the
/// operating system's certificates prove it, by its address too. The namespace of the controller is taken from the pin.
///
/// Once there is something to compare with, a changed current recipient is written only with --accept and its id, and
/// another cluster only with --accept and its uid, even with --yes: ask whoever runs the cluster whether they are theirs.
/// Whoever may not read the uid, and whose kubeconfig has no certificates, has to accept an address that is not pinned.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal recipients sync prod --context prod-eu
  ageseal recipients sync --dry-run                # ends with 1 if something would change
  ageseal recipients sync prod --yes --accept r7d793037a0760186

Fields of --json: docs/cluster-json.md")]
pub struct Args {
    /// The name [default: the only name that a cluster is pinned for, else the name of the context]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    cluster: cluster::Options,
    /// Write without asking
    #[arg(short, long)]
    yes: bool,
    /// The id of the new current recipient; the uid, a certificate's hash, the address or the namespace of the new
    /// cluster (repeatable)
    #[arg(long, value_name = "ID")]
    accept: Vec<String>,
    /// Until when files may still be sealed for what is superseded now (YYYY-MM-DD, UTC) [default: 90 days from now]
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
    /// Show the change, write nothing, and end with 1 if there is one
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Print the change as JSON; without --yes nothing is written
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    if let Some(name) = &args.name {
        check_name(name)?;
    }
    let repository = open(ui)?;
    let pins = pins::all(&repository)?;
    let cluster = Cluster::connect(&args.cluster)?;
    let name = name_of(args, &pins, cluster.context())?;
    cluster.require_proof()?;
    let pin = pins.get(&name);
    let cluster = match pin {
        Some(pin) if args.cluster.controller_namespace.is_none() => cluster.within(&pin.namespace),
        _ => cluster,
    };
    let published = published::require(&cluster)?;
    let uid = published::uid(&cluster)?;

    let parse = recipient_parser(ui);
    let file = Text::recipients(&repository, &name)?;
    let old = RecipientsFile::parse(&name, file.bytes(), &parse).map_err(|problems| file.problems(&problems))?;
    let until = args.until.map_or_else(default_until, Ok)?;
    let plan = Plan::new(&old, file.bytes(), pin, &published, until, &parse).map_err(|error| error.told(&file))?;
    let after = RecipientsFile::parse(&name, &plan.text, &parse).map_err(|problems| file.problems(&problems))?;
    check_rules(&repository, repository.policy(), &after)?;

    let answer = Answer { seen: cluster.seen(), uid: uid.as_deref(), namespace: cluster.namespace() };
    let trust = Trust::new(pin, &old, &published, &answer);
    let new_pin = trust.pin(pin, &published, &answer);
    let run = Run { args, name: &name, repository: &repository, cluster: &cluster, file: &file };
    let change = Change { plan: &plan, pin, new_pin: &new_pin, trust: &trust, uid: answer.uid };
    run.settle(ui, &change, &published)
}

/// What a run works on.
struct Run<'a> {
    args: &'a Args,
    name: &'a str,
    repository: &'a Repository,
    cluster: &'a Cluster,
    file: &'a Text,
}

/// What would be written.
struct Change<'a> {
    plan: &'a Plan,
    pin: Option<&'a Pin>,
    new_pin: &'a Pin,
    trust: &'a Trust,
    /// The uid that was read, and not the pinned one.
    uid: Option<&'a str>,
}

impl Change<'_> {
    fn is_nothing(&self) -> bool {
        !self.plan.changes() && self.pin == Some(self.new_pin)
    }
}

impl Run<'_> {
    fn settle(&self, ui: &Ui, change: &Change<'_>, published: &ageseal::api::Published) -> Outcome {
        if !self.args.json {
            told::show(ui, self, change, published);
        }
        let refused = change.trust.refusals(&self.args.accept, self.name, self.cluster.context());
        let asked_only = self.args.dry_run || (self.args.json && !self.args.yes);
        let write = refused.is_empty() && !change.is_nothing() && !asked_only && self.agreed(ui)?;
        if write {
            self.write(change)?;
        }
        if self.args.json {
            ui.json(&told::json(self, change, published, write));
        } else {
            told::done(ui, self, change, write);
        }
        Errors::none_or(refused)?;
        Ok(if write || change.is_nothing() { Exit::Ok } else { Exit::Findings })
    }

    fn agreed(&self, ui: &Ui) -> Result<bool, CliError> {
        if self.args.yes {
            return Ok(true);
        }
        prompt::confirm(ui, "write this?", "--yes, or --dry-run to look only")
    }

    fn write(&self, change: &Change<'_>) -> Result<(), Errors> {
        let path = self.repository.top().join(pin_path(self.name));
        let mut made = vec![];
        let mut batch = Batch::new();
        if change.plan.changes() {
            made.extend(make_folder(self.repository, RECIPIENTS_FOLDER)?);
            batch.add(&self.file.path, self.file.before(), change.plan.text.clone());
        }
        if change.pin != Some(change.new_pin) {
            made.extend(make_folder(self.repository, CLUSTERS_FOLDER)?);
            let text = Text::read(self.repository, &pin_path(self.name))?;
            let before = text.old.clone().map_or(Before::Absent, Before::Holds);
            batch.add(path, before, change.new_pin.text().into_bytes());
        }
        batch.commit().inspect_err(|_| {
            // One that holds something stays.
            made.iter().rev().for_each(|folder| drop(std::fs::remove_dir(folder)));
        })
    }
}

fn default_until() -> Result<Date, CliError> {
    let day = clock::rfc3339(clock::now() + GRACE_DAYS * 86_400);
    day.get(..10)
        .and_then(|day| day.parse().ok())
        .ok_or_else(|| CliError::usage("the clock is beyond the calendar").hint("--until DATE"))
}

/// The name that is meant.
fn name_of(args: &Args, pins: &BTreeMap<String, Pin>, context: &str) -> Result<String, CliError> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    let mut names = pins.keys();
    match (names.next(), names.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(_)) if pins.contains_key(context) => Ok(context.to_owned()),
        (Some(_), Some(_)) => {
            let all: Vec<_> = pins.keys().map(String::as_str).collect();
            Err(CliError::usage("clusters are pinned for several names, and none was named")
                .detail(format!("pinned: {}", all.join(", ")))
                .hint("ageseal recipients sync NAME"))
        }
        (None, _) if is_name(context) => Ok(context.to_owned()),
        (None, _) => Err(CliError::usage("no name was given, and the context's name cannot be one of recipients")
            .detail(format!("context: {context}"))
            .hint("ageseal recipients sync NAME")),
    }
}

/// The path of the pin, as one would type it here.
fn shown_pin(run: &Run<'_>) -> String {
    from_here(&run.repository.top().join(pin_path(run.name))).display().to_string()
}

/// What a standing of the cluster is called.
fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::New => "new",
        Standing::Same => "pinned",
        Standing::Unverified => "unverified",
        Standing::Changed => "changed",
    }
}
