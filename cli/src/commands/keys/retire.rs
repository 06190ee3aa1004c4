//! `ageseal keys retire`: an identity that nothing needs is marked to be removed.

use ageseal::api::{IDENTITY_ACTIVE, LABEL_IDENTITY};
use ageseal::recipient::RecipientId;

use super::claims;
use super::standing::{Standings, current};
use crate::cluster::controller::{self, DEPLOYMENT, Served};
use crate::cluster::documents::{self, Document};
use crate::cluster::identities::{self, Opened, State, chosen};
use crate::cluster::{self, AskError, Cluster, Refusal};
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
/// identity still opens; deleting its Secret is a step of its own. The command for it is printed once every document that
/// the controller serves was looked at: with --namespaces, if its Deployment names no other.
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
    /// Go on though the controller may serve other namespaces than those of --namespaces
    #[arg(long, requires = "namespaces")]
    partial: bool,
    #[command(flatten)]
    cluster: cluster::Options,
    #[command(flatten)]
    scope: documents::Scope,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let cluster = Cluster::connect(&args.cluster)?;
    cluster.require_proof()?;
    let standings = Standings::look(&cluster)?;
    // What is published is never retired: it has to be known.
    if let Some(fault) = &standings.fault {
        return Err(fault.clone().into());
    }
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
    let view = View::of(&cluster, &args.scope)?;
    let is_retired = opened.held.state == State::Retired;
    if let (View::Part(why), false, false) = (&view, is_retired, args.partial) {
        return Err(partial(&args.scope, why).into());
    }
    let all = documents::list(&cluster, &args.scope)?;
    let refusals = refusals(args, &all, &ids, id);
    if is_retired {
        ui.result("kept", &[&opened.held.secret, &short_id(id), "is retired"]);
        refusals.iter().for_each(|refusal| ui.warn(refusal));
        next(ui, &cluster, &opened, id, view == View::Whole && refusals.is_empty());
        return Ok(Exit::Ok);
    }
    Errors::none_or(refusals)?;
    warn_of_claims(ui, &standings, &ids)?;
    identities::relabel(&cluster, &opened.held, State::Retired, None)?;
    let none = if args.scope.namespaces.is_empty() {
        "opened no document of the cluster".to_owned()
    } else {
        format!("opened no document in {}", args.scope.namespaces.join(", "))
    };
    ui.results(&[Row::new("retired", &[&opened.held.secret, &short_id(id), &none])]);
    next(ui, &cluster, &opened, id, view == View::Whole);
    Ok(Exit::Ok)
}

/// Whether every document was looked at that the controller opens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum View {
    Whole,
    /// Not, or nobody knows; why.
    Part(String),
}

impl View {
    /// With `--namespaces` the Deployment has to say that there are no others.
    fn of(cluster: &Cluster, scope: &documents::Scope) -> Result<Self, AskError> {
        if scope.namespaces.is_empty() {
            return Ok(Self::Whole);
        }
        match controller::deployment(cluster) {
            Ok(Some(deployment)) => Ok(Self::beside(&Served::of(&deployment), scope)),
            Ok(None) => Ok(Self::Part(format!(
                "there is no Deployment {DEPLOYMENT} in {} that says which it serves",
                cluster.namespace()
            ))),
            Err(error) if error.refusal == Refusal::Forbidden => {
                Ok(Self::Part(format!("which it serves is not known: {}", error.told.message)))
            }
            Err(error) => Err(error),
        }
    }

    fn beside(served: &Served, scope: &documents::Scope) -> Self {
        let others: Vec<_> = match served {
            Served::All => return Self::Part("it serves all namespaces".to_owned()),
            Served::Unsaid => {
                return Self::Part(format!("the Deployment {DEPLOYMENT} does not plainly say which it serves"));
            }
            Served::These(names) => names.iter().filter(|name| !scope.namespaces.contains(*name)).cloned().collect(),
        };
        if others.is_empty() { Self::Whole } else { Self::Part(format!("it also serves {}", others.join(", "))) }
    }
}

fn partial(scope: &documents::Scope, why: &str) -> CliError {
    CliError::usage(format!(
        "the controller may open documents outside of {}, and those were not looked at; nothing was changed",
        scope.namespaces.join(", ")
    ))
    .detail(why)
    .hint("name all that it serves, or leave --namespaces out")
    .hint("--partial does without them; the command that deletes is then not printed")
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

/// Says how the identity is removed, once nothing needs it as far as anybody can see, and how it is kept.
fn next(ui: &Ui, cluster: &Cluster, opened: &Opened, id: RecipientId, clear: bool) {
    let (namespace, context, secret) = (cluster.namespace(), cluster.context(), &opened.held.secret);
    let told = if clear {
        CliError::finding("it still opens; when it is to go for good, with a backup kept and after one more look")
            .hint(format!(
                "ageseal keys backup {id} --context {context} && ageseal keys usage {id} --context {context}"
            ))
            .hint(format!("kubectl --context {context} delete secret -n {namespace} {secret}"))
    } else {
        CliError::finding("it still opens, and is not to be deleted yet: not every document is known to do without it")
            .hint(format!("the same once more, with every namespace: ageseal keys retire {id} --context {context}"))
    };
    ui.note(&told.hint(format!(
        "or take it back: kubectl --context {context} label secret -n {namespace} {secret} {LABEL_IDENTITY}={IDENTITY_ACTIVE} --overwrite"
    )));
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
            partial: false,
            cluster: cluster::Options { context: None, kubeconfig: None, controller_namespace: None },
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

    #[test]
    fn some_namespaces_are_all_of_them_only_if_the_controller_serves_no_others() {
        let scope = |names: &[&str]| documents::Scope { namespaces: names.iter().map(|&n| n.to_owned()).collect() };
        let these = Served::These(["a", "b"].map(str::to_owned).into());
        assert_eq!(View::beside(&these, &scope(&["b", "a"])), View::Whole);
        assert_eq!(View::beside(&these, &scope(&["a", "b", "c"])), View::Whole);
        assert_eq!(View::beside(&these, &scope(&["a"])), View::Part("it also serves b".to_owned()));
        for served in [Served::All, Served::Unsaid] {
            assert!(matches!(View::beside(&served, &scope(&["a", "b"])), View::Part(_)), "{served:?}");
        }
    }
}
