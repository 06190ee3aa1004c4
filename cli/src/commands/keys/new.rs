//! `ageseal keys new`: a new current identity, made on this machine and put into the cluster.

use ageseal::api::{BACKUP_PREFIX, IDENTITY_PREFIX};
use ageseal::recipient::Identity;
use rand_core::OsRng;

use super::backup::store;
use super::{backup_recipients, follow, published_before};
use crate::cluster::identities::{self, Mark, State, next_serial};
use crate::cluster::{self, Cluster, Refusal};
use crate::error::{CliError, Exit, Outcome};
use crate::keys::{short_id, vault};
use crate::ui::{Row, Ui};

/// Make a new current identity for a cluster
///
/// The controller makes and renews identities itself; this is for the day when one must go at once, or when all are lost.
/// The private key is made here, and is written to no file: it goes to the API server and nowhere else. The old
/// identities keep opening.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal keys new --backup-recipient recovery
  ageseal keys new --backup-recipient age1pq1… --context prod-eu")]
pub struct Args {
    #[command(flatten)]
    cluster: cluster::Options,
    /// Write it also encrypted to this recipient, or this name of the policy, before anything is sealed for it (repeatable)
    #[arg(long = "backup-recipient", value_name = "NAME|RECIPIENT", required_unless_present = "no_backup")]
    backups: Vec<String>,
    /// Do without a backup: whoever loses the cluster then loses the values
    #[arg(long, conflicts_with = "backups")]
    no_backup: bool,
    /// Make an X25519 identity (age1…) instead of a post-quantum one (age1pq…)
    #[arg(long)]
    classic: bool,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let backups = backup_recipients(ui, &args.backups, "--backup-recipient")?;
    let identity = if args.classic { Identity::generate_x25519() } else { Identity::generate_hybrid(&mut OsRng) };
    // Both are there for an identity that was made just now.
    let (Some(recipient), Some(file)) = (identity.recipient(), vault::text(&identity)) else {
        return Err(CliError::input("this kind of identity cannot be written").into());
    };
    let encrypted = match backups.is_empty() {
        true => None,
        false => Some(vault::encrypted(&identity, &backups).map_err(|error| CliError::usage(error.to_string()))?),
    };
    let cluster = Cluster::connect(&args.cluster)?;
    cluster.require_proof()?;
    let before = published_before(ui, &cluster)?;
    let held = identities::list(&cluster)?;
    let id = recipient.id();
    let mark = Mark { serial: next_serial(&held, before.serial)?, id };
    if let Some(encrypted) = &encrypted {
        store(&cluster, id, encrypted, false)?;
        ui.result("wrote", &[&format!("{BACKUP_PREFIX}{id}"), "ConfigMap", "the identity, encrypted"]);
    }
    let name = format!("{IDENTITY_PREFIX}{}", mark.serial);
    identities::create(&cluster, &name, State::Current, Some(mark), &file).map_err(|error| match error.refusal {
        Refusal::Conflict => CliError::input(format!("there is a Secret {name} already; it is as it was"))
            .hint("somebody made an identity at the same time: ageseal keys list"),
        _ => error.told,
    })?;
    let row =
        Row::new("made", &[&name, &short_id(id), &recipient.kind().to_string(), &format!("change {}", mark.serial)]);
    ui.results(&[row.detail("namespace", cluster.namespace(), None)]);
    ui.print_text(recipient.canonical());
    follow(ui, &cluster, "the new recipient is not published yet", |published| {
        published.current.recipient_id() == Some(id)
    });
    // A controller with backup recipients has made one by now.
    let kept = || super::backup::list(&cluster).is_ok_and(|all| all.get(&id).is_some_and(Option::is_some));
    if encrypted.is_none() && !kept() {
        ui.warn(
            &CliError::finding("this identity has no backup")
                .hint(format!("ageseal keys backup {id} --recipient NAME --store")),
        );
    }
    ui.note(
        &CliError::finding("repositories seal for the old one until they are synced")
            .hint(format!("ageseal recipients sync NAME --accept {id}")),
    );
    Ok(Exit::Ok)
}
