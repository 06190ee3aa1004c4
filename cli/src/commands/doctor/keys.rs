//! The identities of the cluster, and what it publishes beside what the repository seals for.

use ageseal::api::Published;

use super::finding::{Area, Finding};
use super::repository::shown_file;
use crate::cluster::identities::{State as Label, list};
use crate::cluster::{AskError, Cluster, Refusal, published};
use crate::pins::{self, Pin};
use crate::repository::Repository;

const AREA: Area = Area::Cluster;

/// The identities: that there is a current one, that it is at hand, that no Secret has an unknown label.
pub(super) fn look(cluster: &Cluster, published: &Result<Option<Published>, AskError>) -> Vec<Finding> {
    const CHECK: &str = "identities";
    let context = cluster.context();
    let published = match published {
        Ok(Some(published)) => published,
        Ok(None) => {
            let text = format!("the cluster publishes no recipient in {}", cluster.namespace());
            return vec![
                Finding::wrong(AREA, CHECK, text)
                    .mend("if the controller is elsewhere: --controller-namespace NAMESPACE"),
            ];
        }
        Err(error) if error.refusal == Refusal::Forbidden => return vec![Finding::refused(CHECK, error)],
        Err(error) => return vec![Finding::wrong(AREA, CHECK, error.told.message.clone()).with_details(&error.told)],
    };
    let current = &published.current.id;
    let mut findings = vec![];
    match list(cluster) {
        Err(error) => findings.push(Finding::refused(CHECK, &error)),
        Ok(held) => {
            let holds =
                |held: &crate::cluster::identities::Held| held.claimed_id().is_none_or(|id| id.to_string() == *current);
            if held.iter().any(holds) {
                let text = format!(
                    "the current identity is {current}, change {}, of {} at hand",
                    published.serial,
                    held.len()
                );
                findings.push(Finding::good(AREA, CHECK, text));
            } else {
                findings.push(
                    Finding::wrong(
                        AREA,
                        CHECK,
                        format!("the current identity {current} is in no Secret: what is sealed for it does not open"),
                    )
                    .mend(format!("ageseal keys restore FILE --promote --context {context}"))
                    .mend(format!("if it is lost for good: ageseal keys new --context {context}")),
                );
            }
            let unknown: Vec<_> =
                held.iter().filter(|held| held.state == Label::Unknown).map(|held| held.secret.clone()).collect();
            if !unknown.is_empty() {
                findings.push(
                    Finding::wrong(AREA, CHECK, "identity Secrets have a label that the controller does not know")
                        .list(unknown)
                        .mend("ageseal keys list"),
                );
            }
        }
    }
    findings
}

/// What is published beside the recipients files of the repository.
pub(super) fn beside(
    cluster: &Cluster,
    repository: Option<&Repository>,
    published: Option<&Published>,
) -> Vec<Finding> {
    const CHECK: &str = "published";
    let (Some(repository), Some(published)) = (repository, published) else { return vec![] };
    let Ok(pins) = pins::all(repository) else { return vec![] };
    let uid = published::uid(cluster).ok().flatten();
    let mut here: Vec<&String> =
        pins.iter().filter(|(_, pin)| is_pinned(cluster, uid.as_deref(), pin)).map(|(name, _)| name).collect();
    let name = cluster.context().to_owned();
    if here.is_empty() && repository.recipients().get(&name).is_some() {
        here.push(&name);
    }
    if here.is_empty() {
        return vec![
            Finding::note(AREA, CHECK, "no name of this repository is pinned to this cluster")
                .mend(format!("ageseal recipients sync NAME --context {}", cluster.context())),
        ];
    }
    here.into_iter().map(|name| one(cluster, repository, published, name)).collect()
}

fn is_pinned(cluster: &Cluster, uid: Option<&str>, pin: &Pin) -> bool {
    match (&pin.uid, uid) {
        (Some(pinned), Some(uid)) => pinned == uid,
        _ => {
            !pin.certificates.is_empty()
                && cluster.seen().certificates.iter().all(|hash| pin.certificates.contains(hash))
        }
    }
}

fn one(cluster: &Cluster, repository: &Repository, published: &Published, name: &str) -> Finding {
    const CHECK: &str = "published";
    let id = published.current.recipient_id();
    let entry = id.and_then(|id| repository.recipients().get(name)?.find(id));
    let sync = format!("ageseal recipients sync {name} --context {}", cluster.context());
    let file = shown_file(repository, name);
    match entry {
        Some(entry) if entry.superseded.is_none() => {
            Finding::good(AREA, CHECK, format!("{file} has the recipient that the cluster publishes"))
        }
        Some(_) => {
            Finding::wrong(AREA, CHECK, format!("{file} says superseded of the recipient that the cluster publishes"))
                .mend(sync)
        }
        None => Finding::wrong(
            AREA,
            CHECK,
            format!("{file} has another recipient than the cluster publishes: {}", published.current.id),
        )
        .mend(sync),
    }
}
