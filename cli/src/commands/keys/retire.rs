//! `ageseal keys retire`: an identity that nothing needs is marked to be removed.

use ageseal::api::{IDENTITY_ACTIVE, LABEL_IDENTITY};
use ageseal::recipient::RecipientId;

use super::claims;
use super::standing::{Standings, current};
use crate::cluster::documents::{self, Document};
use crate::cluster::identities::{self, Opened, State, chosen};
use crate::cluster::{self, Cluster};
use crate::commands::show::count;
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::keys::short_id;
use crate::ui::{Row, Ui};

/// How many documents are named in a refusal.
const MOST: usize = 12;

/// Mark an identity to be removed, once nothing needs it
///
/// Refused while it is current, while the controller's record says that it opened any document of the cluster, and while
/// there are documents of which is not known who opens them: those that are not Ready, or were changed since. A retired
/// identity still opens; deleting its Secret is a step of its own, and the command for it is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal keys retire r7d793037a0760186
  ageseal keys retire r7d793037a0760186 --ignore shop-test/broken

A document that was opened by the old identity, and is sealed for the new one too, is opened anew when its
annotation ageseal.dev/reconcile gets a new value; the record then names the new one.")]
pub struct Args {
    /// The id of its recipient, as `ageseal keys list` shows it
    #[arg(value_name = "ID")]
    id: String,
    /// Go on though it is not known who opens this document (repeatable)
    #[arg(long, value_name = "NAMESPACE/NAME")]
    ignore: Vec<String>,
    #[command(flatten)]
    cluster: cluster::Options,
    #[command(flatten)]
    scope: documents::Scope,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let cluster = Cluster::connect(&args.cluster)?;
    let standings = Standings::look(&cluster)?;
    let held = identities::list(&cluster)?;
    let id = chosen(&args.id, &standings.ids())?;
    let Some(opened) = identities::find(&cluster, &held, id)? else {
        return Err(CliError::usage(format!("no identity Secret in {} holds {id}", cluster.namespace()))
            .hint("ageseal keys list")
            .into());
    };
    let published = standings.published.as_ref();
    let ids = opened.ids();
    let published_one = published.and_then(|published| published.current.recipient_id());
    let is_current = current(&held, published).is_some_and(|current| current.secret == opened.held.secret);
    if is_current || published_one.is_some_and(|id| ids.contains(&id)) {
        return Err(CliError::usage(format!(
            "{id} is the current identity: everybody seals for it; nothing was changed"
        ))
        .hint("let another be current first: ageseal keys promote ID, or ageseal keys new")
        .into());
    }
    if opened.held.state == State::Retired {
        ui.result("kept", &[&opened.held.secret, &short_id(id), "is retired"]);
        next(ui, &cluster, &opened, id);
        return Ok(Exit::Ok);
    }
    let all = documents::list(&cluster, &args.scope)?;
    Errors::none_or(refusals(args, &all, &ids, id))?;
    warn_of_claims(ui, &standings, &ids)?;
    identities::relabel(&cluster, &opened.held, State::Retired, None)?;
    let none = if args.scope.namespaces.is_empty() {
        "opened no document of the cluster".to_owned()
    } else {
        format!("opened no document in {}", args.scope.namespaces.join(", "))
    };
    ui.results(&[Row::new("retired", &[&opened.held.secret, &short_id(id), &none])]);
    next(ui, &cluster, &opened, id);
    Ok(Exit::Ok)
}

/// Why it may not be retired: what it opened, and what nobody knows.
fn refusals(args: &Args, all: &[Document], ids: &[RecipientId], id: RecipientId) -> Vec<CliError> {
    let (needing, rest): (Vec<_>, Vec<_>) =
        all.iter().partition(|document| ids.iter().any(|id| document.opened_by(*id)));
    let ignored = |document: &Document| args.ignore.iter().any(|title| *title == document.title());
    let unsure: Vec<_> = rest
        .into_iter()
        .filter(|document| !ignored(document))
        .filter_map(|document| Some((document.title(), document.unsure()?)))
        .collect();
    let mut errors = vec![];
    if !needing.is_empty() {
        let lines = needing.iter().map(|document| document.title());
        let told = CliError::finding(format!(
            "{} {} {id}, which was not retired",
            count(needing.len(), "document"),
            if needing.len() == 1 { "needs" } else { "need" }
        ));
        errors.push(
            listed(told, lines)
                .hint("seal them for the current recipient, and let the cluster have them")
                .hint(format!("ageseal keys usage {id}")),
        );
    }
    if !unsure.is_empty() {
        let told = CliError::finding(format!("of {} it is not known who opens them", count(unsure.len(), "document")))
            .detail(format!("{id} was not retired"));
        let first = unsure.first().map(|(title, _)| title.clone()).unwrap_or_default();
        let lines = unsure.into_iter().map(|(title, reason)| format!("{title}: {reason}"));
        errors.push(
            listed(told, lines)
                .hint("kubectl describe ags says what is wrong with each")
                .hint(format!("if one is of no account: --ignore {first}")),
        );
    }
    errors
}

fn listed(error: CliError, lines: impl Iterator<Item = String>) -> CliError {
    let lines: Vec<_> = lines.collect();
    let rest = lines.len().saturating_sub(MOST);
    let error = lines.into_iter().take(MOST).fold(error, CliError::detail);
    if rest > 0 { error.detail(format!("and {rest} more")) } else { error }
}

/// Warns of files here that claim this identity and no other of the cluster: once they are deployed, nothing opens them.
fn warn_of_claims(ui: &Ui, standings: &Standings, ids: &[RecipientId]) -> Result<(), Errors> {
    let Some(tree) = claims::tree()? else { return Ok(()) };
    let kept: Vec<_> = standings.ids().into_iter().filter(|id| !ids.contains(id)).collect();
    let mut paths: Vec<_> =
        tree.claims.iter().filter(|claim| claim.needs(ids, &kept)).map(|claim| claim.path.clone()).collect();
    paths.dedup();
    if !paths.is_empty() {
        let told = CliError::finding(format!(
            "{} here claim this identity and no other of the cluster: without it they would not open there",
            count(paths.len(), "file")
        ));
        ui.warn(
            &listed(told, paths.into_iter()).hint("seal them for the current recipient before its Secret is deleted"),
        );
    }
    Ok(())
}

/// Says how the identity is removed, and how it is kept.
fn next(ui: &Ui, cluster: &Cluster, opened: &Opened, id: RecipientId) {
    let (namespace, context, secret) = (cluster.namespace(), cluster.context(), &opened.held.secret);
    ui.note(
        &CliError::finding("it still opens; when it is to go for good, with a backup kept and after one more look")
            .hint(format!("ageseal keys backup {id} --context {context} && ageseal keys usage {id} --context {context}"))
            .hint(format!("kubectl --context {context} delete secret -n {namespace} {secret}"))
            .hint(format!(
                "or take it back: kubectl --context {context} label secret -n {namespace} {secret} {LABEL_IDENTITY}={IDENTITY_ACTIVE} --overwrite"
            )),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cluster::documents::Record;

    fn document(name: &str, opened_by: &[RecipientId], record: Record) -> Document {
        Document {
            namespace: "a".to_owned(),
            name: name.to_owned(),
            identities: opened_by.iter().copied().collect::<BTreeSet<_>>(),
            record,
        }
    }

    #[test]
    fn what_opened_a_document_stays_and_what_is_not_known_is_named() {
        let (old, new) = (RecipientId::of("old"), RecipientId::of("new"));
        let all = [
            document("needs", &[old], Record::Present),
            document("broken-and-needs", &[old, new], Record::NotReady("NotOwned".to_owned())),
            document("fine", &[new], Record::Present),
            document("changed", &[new], Record::Outdated),
            document("unseen", &[], Record::Unseen),
        ];
        let args = |ignore: &[&str]| Args {
            id: old.to_string(),
            ignore: ignore.iter().map(|&title| title.to_owned()).collect(),
            cluster: cluster::Options { context: None, kubeconfig: None, controller_namespace: String::new() },
            scope: documents::Scope::default(),
        };
        let told = refusals(&args(&[]), &all, &[old], old);
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].details, ["a/needs", "a/broken-and-needs"]);
        assert!(told[1].details[1].starts_with("a/changed: ") && told[1].details[2].starts_with("a/unseen: "));
        // What is known to need it cannot be ignored.
        let told = refusals(&args(&["a/needs", "a/changed", "a/unseen"]), &all, &[old], old);
        assert_eq!(told.len(), 1);
        assert!(refusals(&args(&[]), &all[2..3], &[old], old).is_empty());
        // Every identity of the Secret counts, whichever was named.
        assert_eq!(refusals(&args(&[]), &all[2..3], &[old, new], old).len(), 1);
    }
}
