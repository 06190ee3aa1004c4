//! `ageseal doctor`: what is wrong on this machine, in this repository and in this cluster, and the command that mends it.

mod at_rest;
mod backups;
mod documents;
mod finding;
mod install;
mod keys;
mod machine;
mod report;
mod repository;
mod rights;

use std::path::Path;

use self::finding::{Area, Finding, State};
use crate::cluster::{self, Cluster, published};
use crate::error::{CliError, Exit, Outcome};
use crate::repository::{Repository, RepositoryError};
use crate::ui::Ui;

/// Find what is wrong on this machine, in this repository and in this cluster
///
/// Each line says what was looked at and how it stands: good, note, unknown (you may not look, or nobody can tell from
/// here) or wrong; what is not good comes with the command that mends it, or that says more. Nothing is changed and no
/// value is read. The run ends with 1 if something is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal doctor
  ageseal doctor --offline             # this machine and this repository
  ageseal doctor --context prod-eu --json | jq '.findings[] | select(.state == \"wrong\")'

Fields of --json: docs/cluster-json.md")]
pub struct Args {
    /// Do not ask a cluster
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    offline: bool,
    #[command(flatten)]
    cluster: cluster::Options,
    #[command(flatten)]
    scope: cluster::documents::Scope,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let mut findings = machine::look();
    let repository = match Repository::open(ui, Path::new(".")) {
        Ok(repository) => {
            findings.extend(repository::look(ui, &repository));
            Some(repository)
        }
        Err(RepositoryError::NoRepository { .. }) => {
            findings.push(Finding::note(Area::Repository, "policy", "the current folder is in no repository"));
            None
        }
        Err(error) => {
            findings.extend(repository::unusable(error));
            None
        }
    };
    if !args.offline {
        findings.extend(cluster(args, repository.as_ref())?);
    }
    report::print(ui, args.json, &findings);
    let wrong = findings.iter().any(|finding| finding.state == State::Wrong);
    Ok(if wrong { Exit::Findings } else { Exit::Ok })
}

/// What is to be said of the cluster.
///
/// # Errors
/// A cluster that was named and cannot be: an unknown context, a file that is not there.
fn cluster(args: &Args, repository: Option<&Repository>) -> Result<Vec<Finding>, CliError> {
    let named = args.cluster.context.is_some() || args.cluster.kubeconfig.is_some();
    let cluster = match Cluster::connect(&args.cluster) {
        Ok(cluster) => cluster,
        Err(error) if named => return Err(error),
        // Without one, most of the work is done all the same.
        Err(error) => {
            let finding = Finding::note(Area::Cluster, "access", format!("no cluster was asked: {}", error.message));
            return Ok(vec![finding.with_details(&error).mend("ageseal doctor --offline leaves it out")]);
        }
    };
    let version = match install::version(&cluster) {
        Ok(finding) => finding,
        // Nothing else would be answered either.
        Err(error) => {
            let finding = Finding::wrong(Area::Cluster, "access", error.told.message.clone());
            return Ok(vec![finding.with_details(&error.told).mend("ageseal doctor --offline leaves it out")]);
        }
    };
    let mut findings = vec![version];
    findings.extend(install::definition(&cluster));
    findings.extend(install::controller(&cluster));
    findings.extend(install::admission(&cluster));
    findings.extend(documents::look(&cluster, &args.scope));
    let published = published::read(&cluster);
    findings.extend(keys::look(&cluster, &published));
    findings.extend(backups::look(&cluster));
    findings.extend(keys::beside(&cluster, repository, published.ok().flatten().as_ref()));
    findings.push(at_rest::look(&cluster));
    findings.extend(rights::look(&cluster));
    Ok(findings)
}
