//! `ageseal keys restore`: an identity that was backed up goes back into a cluster.

use std::path::PathBuf;

use ageseal::api::IDENTITY_PREFIX;
use ageseal::recipient::{Identity, RecipientId};
use zeroize::Zeroizing;

use super::{follow, published_before};
use crate::cluster::identities::{self, Mark, State, next_serial};
use crate::cluster::{self, Cluster, Refusal};
use crate::error::{CliError, Errors, Exit, Outcome, shown};
use crate::files::{self, Want};
use crate::keys::identities::Options;
use crate::keys::{short_id, vault};
use crate::ui::{Row, Ui};

/// Put an identity into a cluster, from a backup or from an identity file
///
/// A backup is opened with -i, a file under a passphrase asks for it. Each identity becomes a Secret of its own, and opens
/// within seconds. It does not become current unless --promote says so. An identity that the cluster has already is
/// refused. Nothing is written to this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal keys restore ageseal-backup-r7d793037a0760186.age -i recovery.age
  ageseal keys restore old-cluster.txt
  ageseal keys restore backup.age -i recovery.age --promote      # after the cluster was lost, or made anew")]
pub struct Args {
    /// The backup, or the identity file; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Make it the current one: its recipient is published
    #[arg(long)]
    promote: bool,
    #[command(flatten)]
    identities: Options,
    #[command(flatten)]
    cluster: cluster::Options,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let bytes = Zeroizing::new(files::read(&args.file, Want { empty: false, ..Want::KEYS })?);
    let found = vault::open(ui, bytes, &shown(&args.file), &args.identities)?;
    let all = unique(found);
    if args.promote && all.len() > 1 {
        return Err(CliError::usage(format!("the file holds {} identities, and one can be current", all.len()))
            .path(&args.file)
            .hint("restore it without --promote, then ageseal keys promote ID")
            .into());
    }
    let cluster = Cluster::connect(&args.cluster)?;
    cluster.require_proof()?;
    let held = identities::list(&cluster)?;
    let before = published_before(ui, &cluster)?;
    let mut errors = vec![];
    for (id, _) in &all {
        if let Some(there) = identities::find(&cluster, &held, *id)? {
            let told = CliError::usage(format!("the cluster has the identity {id} already; nothing was made")).detail(
                format!("in {}: Secret {} ({})", cluster.namespace(), there.held.secret, there.held.state.word()),
            );
            errors.push(if args.promote { told.hint(format!("ageseal keys promote {id}")) } else { told });
        }
    }
    Errors::none_or(errors)?;
    let serial = if args.promote { Some(next_serial(&held, before.serial)?) } else { None };
    for (id, identity) in &all {
        let mark = serial.map(|serial| Mark { serial, id: *id });
        let state = if mark.is_some() { State::Current } else { State::Active };
        make(ui, &cluster, *id, identity, state, mark)?;
    }
    let ids: Vec<_> = all.iter().map(|(id, _)| *id).collect();
    if args.promote {
        follow(ui, &cluster, "its recipient is not published yet", |published| {
            published.current.recipient_id().is_some_and(|id| ids.contains(&id))
        });
        ui.note(&CliError::finding("repositories seal for it once they are synced").hint(format!(
            "ageseal recipients sync NAME --accept {}",
            ids.first().map_or_else(String::new, ToString::to_string)
        )));
    } else {
        ui.note(&CliError::finding("what is sealed for it opens within seconds; it is not published"));
    }
    Ok(Exit::Ok)
}

/// The identities by id, each once.
fn unique(found: Vec<Identity>) -> Vec<(RecipientId, Identity)> {
    let mut all: Vec<(RecipientId, Identity)> = vec![];
    for identity in found {
        let Some(id) = identity.recipient().map(|recipient| recipient.id()) else { continue };
        if all.iter().all(|(known, _)| *known != id) {
            all.push((id, identity));
        }
    }
    all
}

fn make(
    ui: &Ui,
    cluster: &Cluster,
    id: RecipientId,
    identity: &Identity,
    state: State,
    mark: Option<Mark>,
) -> Result<(), CliError> {
    let text = vault::text(identity).ok_or_else(|| CliError::input("this kind of identity cannot be written"))?;
    // The name says the id, so that the same identity cannot be made twice.
    let name = format!("{IDENTITY_PREFIX}{id}");
    identities::create(cluster, &name, state, mark, &text).map_err(|error| match error.refusal {
        Refusal::Conflict => CliError::input(format!("there is a Secret {name} already; it is as it was")),
        Refusal::NotFound => CliError::input(format!("there is no namespace {}", cluster.namespace()))
            .hint("ageseal install | kubectl apply -f - makes it, with the controller"),
        _ => error.told,
    })?;
    let row = Row::new("made", &[&name, &short_id(id), state.word()]);
    ui.results(&[row.detail("namespace", cluster.namespace(), None)]);
    Ok(())
}
