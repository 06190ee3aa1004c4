//! `ageseal keys list`: every identity, its state, and how many documents it opened.

use serde::Serialize;

use super::standing::{Standing, Standings};
use crate::cluster::{self, Cluster, Refusal, documents};
use crate::commands::show::count;
use crate::error::{CliError, Exit, Outcome};
use crate::ui::{Line, Ui};

/// List the identities of a cluster
///
/// No private key is read: an identity whose Secret does not say which one it holds is shown without its id. What a
/// document was opened by is what the controller recorded when it wrote the document's Secret.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
States: current (its recipient is published), active (opens), retired (opens, and is to be removed), missing (published,
and in no Secret: restore it), unknown (a label that the controller does not know).

Fields of --json: docs/cluster-json.md")]
pub struct Args {
    #[command(flatten)]
    cluster: cluster::Options,
    #[command(flatten)]
    scope: documents::Scope,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing<'a> {
    context: &'a str,
    namespace: &'a str,
    /// The number of the last change of the current identity, as published.
    serial: Option<u64>,
    identities: Vec<Entry<'a>>,
    /// Documents of which is not known who opens them now; none if they could not be listed.
    unsure: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    id: Option<String>,
    state: &'a str,
    serial: Option<u64>,
    since: Option<&'a str>,
    secret: Option<&'a str>,
    recipient: Option<&'a str>,
    documents: Option<usize>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let cluster = Cluster::connect(&args.cluster)?;
    let standings = Standings::look(&cluster)?;
    let documents = match documents::list(&cluster, &args.scope) {
        Ok(documents) => Some(documents),
        Err(error) if matches!(error.refusal, Refusal::Forbidden | Refusal::NotFound) => {
            ui.note(&CliError { message: format!("documents are not counted: {}", error.told.message), ..error.told });
            None
        }
        Err(error) => return Err(error.into()),
    };
    let opened = |standing: &Standing| {
        let (documents, id) = (documents.as_ref()?, standing.id?);
        Some(documents.iter().filter(|document| document.opened_by(id)).count())
    };
    let unsure = documents.as_ref().map(|all| all.iter().filter(|document| document.unsure().is_some()).count());
    standings.fault.iter().for_each(|fault| ui.warn(fault));
    if let Some(error) = &standings.unseen {
        ui.note(&CliError {
            message: format!("only what is published is known: {}", error.told.message),
            ..error.told.clone()
        });
    }
    if args.json {
        let identities = standings.all.iter().map(|standing| Entry {
            id: standing.id.map(|id| id.to_string()),
            state: standing.state,
            serial: standing.serial,
            since: standing.since.as_deref(),
            secret: standing.secret.as_deref(),
            recipient: standing.recipient.as_deref(),
            documents: opened(standing),
        });
        ui.json(&Listing {
            context: cluster.context(),
            namespace: cluster.namespace(),
            serial: standings.published.as_ref().map(|published| published.serial),
            identities: identities.collect(),
            unsure,
        });
        return Ok(Exit::Ok);
    }
    for standing in &standings.all {
        print(ui, standing, opened(standing));
    }
    if standings.all.is_empty() {
        ui.note(
            &CliError::finding(format!("there is no identity in {}", cluster.namespace()))
                .hint("the controller makes the first one itself; if there is no controller: ageseal install"),
        );
    }
    if let Some(number @ 1..) = unsure {
        ui.note(
            &CliError::finding(format!("of {} it is not known who opens them now", count(number, "document")))
                .hint("ageseal keys usage lists them, with the reasons"),
        );
    }
    Ok(Exit::Ok)
}

fn print(ui: &Ui, standing: &Standing, opened: Option<usize>) {
    // An id has 17 characters, the longest state 7.
    let id = standing.id.map_or_else(|| "?".to_owned(), |id| id.to_string());
    let line = Line::new().padded(&id, 17).text("   ");
    let state = format!("{:<7}", standing.state);
    let line = match standing.state {
        "current" => line.bold(&state),
        "missing" | "unknown" => line.red(&state),
        "retired" => line.yellow(&state),
        _ => line.text(&state),
    };
    let serial = standing.serial.map_or_else(String::new, |serial| format!("change {serial}"));
    let since = standing.since.as_deref().and_then(|since| since.get(..10)).unwrap_or("?");
    let opened = opened.map_or_else(|| "?".to_owned(), |number| format!("opened {}", count(number, "document")));
    let line = line.text("   ").padded(&serial, 10).text("   since ").padded(since, 10).text("   ").padded(&opened, 18);
    ui.print(&line.text("   ").dim(standing.secret.as_deref().unwrap_or("no Secret")));
}
