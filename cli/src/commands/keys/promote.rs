//! `ageseal keys promote`: another identity becomes the current one.

use super::standing::current;
use super::{follow, published_before};
use crate::cluster::identities::{self, Mark, State, chosen, next_serial};
use crate::cluster::{self, Cluster};
use crate::error::{CliError, Exit, Outcome};
use crate::keys::short_id;
use crate::ui::Ui;

/// Make an identity of the cluster the current one
///
/// Its recipient is what is published from then on, and what repositories seal for after their next sync. The one that
/// was current keeps opening.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal keys promote r7d793037a0760186")]
pub struct Args {
    /// The id of its recipient, as `ageseal keys list` shows it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    cluster: cluster::Options,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let cluster = Cluster::connect(&args.cluster)?;
    cluster.require_proof()?;
    let before = published_before(ui, &cluster)?;
    let held = identities::list(&cluster)?;
    let known: Vec<_> = held.iter().filter_map(identities::Held::claimed_id).collect();
    let id = chosen(&args.id, &known)?;
    let Some(opened) = identities::find(&cluster, &held, id)? else {
        return Err(CliError::usage(format!("no identity Secret in {} holds {id}", cluster.namespace()))
            .hint("ageseal keys list; a backup is brought back with ageseal keys restore FILE --promote")
            .into());
    };
    let published = before.published.as_ref();
    let is_current = current(&held, published).is_some_and(|current| current.secret == opened.held.secret);
    // A mark that the controller does not believe is written anew: then what is published is another.
    let is_published = published.is_some_and(|published| published.current.recipient_id() == Some(id));
    if is_current && is_published && opened.held.mark.is_some_and(|mark| mark.id == id) {
        ui.result("kept", &[&opened.held.secret, &short_id(id), "is the current one"]);
        return Ok(Exit::Ok);
    }
    let mark = Mark { serial: next_serial(&held, before.serial)?, id };
    identities::relabel(&cluster, &opened.held, State::Current, Some(mark))?;
    ui.result("marked", &[&opened.held.secret, &short_id(id), &format!("change {}", mark.serial)]);
    follow(ui, &cluster, "its recipient is not published yet", |published| {
        published.current.recipient_id() == Some(id)
    });
    ui.note(
        &CliError::finding("repositories seal for the one before until they are synced")
            .hint(format!("ageseal recipients sync NAME --accept {id}")),
    );
    Ok(Exit::Ok)
}
