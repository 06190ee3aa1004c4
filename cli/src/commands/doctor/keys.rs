//! The identities of the cluster, and what it publishes beside what the repository seals for.

use ageseal::api::Published;

use super::finding::{Area, Finding};
use super::repository::shown_file;
use crate::cluster::identities::{Held, State as Label, list};
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
    let mut findings = vec![];
    match list(cluster) {
        Err(error) => findings.push(Finding::refused(CHECK, &error)),
        Ok(held) => {
            findings.push(at_hand(&held, published, context));
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

/// Whether the current identity is in a Secret, as far as metadata tells.
fn at_hand(held: &[Held], published: &Published, context: &str) -> Finding {
    const CHECK: &str = "identities";
    let current = &published.current.id;
    if held.iter().any(|held| held.claimed_id().is_some_and(|id| id.to_string() == *current)) {
        let text = format!("the current identity is {current}, change {}, of {} at hand", published.serial, held.len());
        return Finding::good(AREA, CHECK, text);
    }
    let unsaid: Vec<_> =
        held.iter().filter(|held| held.claimed_id().is_none()).map(|held| held.secret.clone()).collect();
    // The controller marks the one that it publishes: where no mark says so, there is no reason to believe it.
    if !unsaid.is_empty() {
        return Finding::unknown(
            AREA,
            CHECK,
            format!(
                "no Secret says that it holds the current identity {current}, and these do not say what they hold: \
                 if it is in none, what is sealed for it does not open"
            ),
        )
        .list(unsaid)
        .mend(format!("ageseal keys promote {current} --context {context}   marks it, if one of them holds it"))
        .mend(format!("if none does: ageseal keys restore FILE --promote --context {context}"));
    }
    Finding::wrong(
        AREA,
        CHECK,
        format!("the current identity {current} is in no Secret: what is sealed for it does not open"),
    )
    .mend(format!("ageseal keys restore FILE --promote --context {context}"))
    .mend(format!("if it is lost for good: ageseal keys new --context {context}"))
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
        _ if pin.certificates.is_empty() => {
            cluster.seen().certificates.is_empty() && pin.address.as_ref() == Some(&cluster.seen().address)
        }
        _ => {
            !cluster.seen().certificates.is_empty()
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

#[cfg(test)]
mod tests {
    use ageseal::api::PublishedRecipient;
    use ageseal::recipient::Identity;

    use super::super::finding::State;
    use super::*;
    use crate::cluster::identities::Mark;

    #[test]
    fn a_secret_that_does_not_say_what_it_holds_is_no_reason_to_say_good() {
        let (one, two) = (Identity::generate_x25519(), Identity::generate_x25519());
        let id = |identity: &Identity| identity.recipient().unwrap().id();
        let current = PublishedRecipient::of(one.recipient().unwrap(), "2026-01-01T00:00:00Z".to_owned());
        let published = Published { serial: 5, current, older: vec![] };
        let marked = |identity| Held::for_tests("a", Label::Active, Some(Mark { serial: 5, id: id(identity) }));
        let unsaid = || Held::for_tests("mine", Label::Current, None);
        let state = |held: &[Held]| at_hand(held, &published, "c").state;
        assert_eq!(state(&[marked(&one), unsaid()]), State::Good);
        assert_eq!(state(&[marked(&two), unsaid()]), State::Unknown);
        assert_eq!(state(&[marked(&two)]), State::Wrong);
        assert_eq!(state(&[]), State::Wrong);
    }
}
