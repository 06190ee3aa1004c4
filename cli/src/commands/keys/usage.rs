//! `ageseal keys usage`: what still needs which identity.

use std::collections::BTreeSet;

use ageseal::recipient::RecipientId;
use serde::Serialize;

use super::claims::{self, Tree};
use super::standing::Standings;
use crate::cluster::documents::{self, Document};
use crate::cluster::identities::chosen;
use crate::cluster::{self, Cluster};
use crate::commands::show::count;
use crate::error::{CliError, Exit, Outcome};
use crate::ui::{Line, Ui};

/// Show which documents need which identity
///
/// Of the cluster: what the controller recorded when it opened a document and wrote its Secret. Of the repository that you
/// are in: what its sealed files claim, which is what whoever wrote them says. With an ID, every document by its name.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal keys usage
  ageseal keys usage r7d79
  ageseal keys usage --json | jq '.identities[] | {id, documents: (.documents | length)}'

Fields of --json: docs/cluster-json.md")]
pub struct Args {
    /// One identity, as `ageseal keys list` shows it
    #[arg(value_name = "ID")]
    id: Option<String>,
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
struct Report<'a> {
    context: &'a str,
    identities: Vec<Usage>,
    /// Documents of which is not known who opens them now.
    unsure: Vec<Unsure>,
    /// The top of the repository whose files were read.
    tree: Option<String>,
}

/// What needs one identity.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    id: String,
    state: &'static str,
    documents: Vec<String>,
    claimed_by: Vec<String>,
}

#[derive(Serialize)]
struct Unsure {
    document: String,
    reason: String,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let cluster = Cluster::connect(&args.cluster)?;
    let standings = Standings::look(&cluster)?;
    standings.fault.iter().for_each(|fault| ui.warn(fault));
    let documents = documents::list(&cluster, &args.scope)?;
    let tree = claims::tree()?;
    let mut ids = standings.ids();
    // What opened a document once and is known no more.
    let recorded: BTreeSet<RecipientId> = documents.iter().flat_map(|document| &document.identities).copied().collect();
    ids.extend(recorded);
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
    if let Some(text) = &args.id {
        let id = chosen(text, &ids)?;
        ids.retain(|known| *known == id);
        if ids.is_empty() {
            return Err(CliError::usage(format!("{id} is no identity of this cluster"))
                .hint("ageseal keys list")
                .into());
        }
    }
    let usages: Vec<Usage> =
        ids.iter().map(|id| usage(*id, standings.state(*id).unwrap_or("missing"), &documents, tree.as_ref())).collect();
    let unsure: Vec<Unsure> = documents
        .iter()
        .filter_map(|document| Some(Unsure { document: document.title(), reason: document.unsure()? }))
        .collect();
    if args.json {
        let tree = tree.as_ref().map(|tree| tree.top.display().to_string());
        ui.json(&Report { context: cluster.context(), identities: usages, unsure, tree });
        return Ok(Exit::Ok);
    }
    print(ui, args.id.is_some(), &usages, &unsure, tree.as_ref());
    Ok(Exit::Ok)
}

fn usage(id: RecipientId, state: &'static str, documents: &[Document], tree: Option<&Tree>) -> Usage {
    let opened = documents.iter().filter(|document| document.opened_by(id)).map(Document::title);
    let mut claimed_by: Vec<String> = tree
        .iter()
        .flat_map(|tree| &tree.claims)
        .filter(|claim| claim.names(id))
        .map(|claim| claim.path.clone())
        .collect();
    claimed_by.dedup();
    Usage { id: id.to_string(), state, documents: opened.collect(), claimed_by }
}

fn print(ui: &Ui, long: bool, usages: &[Usage], unsure: &[Unsure], tree: Option<&Tree>) {
    for usage in usages {
        let line = Line::new().padded(&usage.id, 17).text("   ").padded(usage.state, 7);
        let line = line.text("   ").padded(&format!("opened {}", count(usage.documents.len(), "document")), 20);
        let claims = count(usage.claimed_by.len(), "file");
        let here = if usage.claimed_by.len() == 1 { "here claims it" } else { "here claim it" };
        ui.print(&if tree.is_some() { line.text("   ").dim(&format!("{claims} {here}")) } else { line });
        if long {
            usage.documents.iter().for_each(|title| ui.print(&Line::new().text("  opened   ").text(title)));
            usage.claimed_by.iter().for_each(|path| ui.print(&Line::new().text("  claimed  ").text(path)));
        }
    }
    for unsure in unsure {
        let line = Line::new().padded("?", 17).text("   ").yellow("unsure ").text("   ").text(&unsure.document);
        ui.print(&line.text("   ").dim(&unsure.reason));
    }
    if let Some(Tree { unread: unread @ 1.., .. }) = tree {
        ui.note(
            &CliError::finding(format!("{} could not be read", count(*unread, "sealed file here")))
                .hint("ageseal check"),
        );
    }
}
