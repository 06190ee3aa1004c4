//! The identities of a cluster as they stand: their Secrets beside what is published.

use std::collections::{BTreeMap, BTreeSet};

use ageseal::api::{Published, PublishedRecipient};
use ageseal::recipient::RecipientId;

use crate::cluster::identities::{self, Held, State};
use crate::cluster::published::{self, Said};
use crate::cluster::{AskError, Cluster, Refusal};
use crate::error::CliError;

/// One identity, or one Secret whose metadata does not say which identity is in it.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// The id; nothing where only the private key could tell.
    pub(super) id: Option<RecipientId>,
    /// `current`, `active`, `retired`, `missing` or `unknown`.
    pub(super) state: &'static str,
    /// The number of the change that made it current, if one did.
    pub(super) serial: Option<u64>,
    /// When it became current, or was found, or its Secret was made.
    pub(super) since: Option<String>,
    /// Its Secret; nothing if there is none, or if nobody may look.
    pub(super) secret: Option<String>,
    /// Its recipient, if that is published.
    pub(super) recipient: Option<String>,
}

/// What is known of a cluster's identities.
#[derive(Clone, Debug)]
pub(super) struct Standings {
    /// The current one, then the others, newest first.
    pub(super) all: Vec<Standing>,
    /// What is published.
    pub(super) published: Option<Published>,
    /// What is wrong with what stands where it is published.
    pub(super) fault: Option<CliError>,
    /// Why the Secrets could not be looked at: then only what is published is known.
    pub(super) unseen: Option<AskError>,
}

impl Standings {
    /// Looks at the ConfigMap, and at the Secrets' metadata where that is allowed.
    pub(super) fn look(cluster: &Cluster) -> Result<Self, AskError> {
        let Said { published, fault, .. } = published::look(cluster)?;
        let (held, unseen) = match identities::list(cluster) {
            Ok(held) => (Some(held), None),
            Err(error) if error.refusal == Refusal::Forbidden => (None, Some(error)),
            Err(error) => return Err(error),
        };
        Ok(Self { all: merge(held.as_deref(), published.as_ref()), published, fault, unseen })
    }

    /// Every id that is known.
    pub(super) fn ids(&self) -> Vec<RecipientId> {
        self.all.iter().filter_map(|standing| standing.id).collect()
    }

    /// The state of an id.
    pub(super) fn state(&self, id: RecipientId) -> Option<&'static str> {
        self.all.iter().find(|standing| standing.id == Some(id)).map(|standing| standing.state)
    }
}

/// The Secret whose identity is published: of those labelled `current`, the one with the highest mark, as far as marks
/// can be believed without a look inside.
pub(super) fn current<'a>(held: &'a [Held], published: Option<&Published>) -> Option<&'a Held> {
    let said = published.and_then(|published| published.current.recipient_id());
    let marked = held.iter().filter(|held| held.state == State::Current && held.mark.is_some());
    marked.max_by_key(|held| (held.mark.map(|mark| mark.serial), held.mark.map(|mark| mark.id) == said))
}

fn merge(held: Option<&[Held]>, published: Option<&Published>) -> Vec<Standing> {
    let said: BTreeMap<RecipientId, &PublishedRecipient> = published
        .iter()
        .flat_map(|published| published.all())
        .filter_map(|entry| Some((entry.recipient_id()?, entry)))
        .collect();
    let current = held.and_then(|held| current(held, published)).map(|held| held.secret.as_str());
    let mut all: Vec<Standing> = vec![];
    for held in held.into_iter().flatten() {
        let id = held.claimed_id();
        let said = id.and_then(|id| said.get(&id));
        let state = match held.state {
            State::Current if current != Some(held.secret.as_str()) => State::Active.word(),
            state => state.word(),
        };
        all.push(Standing {
            id,
            state,
            serial: held.mark.map(|mark| mark.serial),
            since: said.map(|said| said.since.clone()).or_else(|| held.created.clone()),
            secret: Some(held.secret.clone()),
            recipient: said.map(|said| said.recipient.clone()),
        });
    }
    let known: BTreeSet<RecipientId> = all.iter().filter_map(|standing| standing.id).collect();
    let unsaid = all.iter().any(|standing| standing.id.is_none());
    for (index, entry) in published.iter().flat_map(|published| published.all()).enumerate() {
        let Some(id) = entry.recipient_id().filter(|id| !known.contains(id)) else { continue };
        let state = match (held, index) {
            // It may be in a Secret that does not say what is in it.
            (Some(_), _) if !unsaid => "missing",
            (_, 0) => State::Current.word(),
            _ if entry.retired => State::Retired.word(),
            _ => State::Active.word(),
        };
        let serial = published.filter(|_| index == 0).map(|published| published.serial);
        let since = Some(entry.since.clone());
        all.push(Standing {
            id: Some(id),
            state,
            serial,
            since,
            secret: None,
            recipient: Some(entry.recipient.clone()),
        });
    }
    all.sort_by(|one, other| {
        let first = |standing: &Standing| standing.state != State::Current.word();
        (first(one), other.serial, &other.since).cmp(&(first(other), one.serial, &one.since))
    });
    all
}

#[cfg(test)]
mod tests {
    use ageseal::recipient::Identity;

    use super::*;
    use crate::cluster::identities::Mark;

    fn entry() -> (RecipientId, PublishedRecipient) {
        let identity = Identity::generate_x25519();
        let recipient = identity.recipient().unwrap();
        (recipient.id(), PublishedRecipient::of(recipient, "2026-01-01T00:00:00Z".to_owned()))
    }

    fn held(secret: &str, state: State, mark: Option<(u64, RecipientId)>) -> Held {
        Held::for_tests(secret, state, mark.map(|(serial, id)| Mark { serial, id }))
    }

    fn states(all: &[Standing]) -> Vec<(Option<RecipientId>, &'static str)> {
        all.iter().map(|standing| (standing.id, standing.state)).collect()
    }

    #[test]
    fn the_highest_mark_is_current_and_the_rest_open() {
        let ((one, _), (two, second)) = (entry(), entry());
        let published = Published { serial: 2, current: second, older: vec![] };
        let all = [
            held("ageseal-identity-1", State::Current, Some((1, one))),
            held("ageseal-identity-2", State::Current, Some((2, two))),
            held("planted", State::Current, None),
            held(&format!("ageseal-identity-{one}"), State::Retired, None),
        ];
        let merged = merge(Some(&all), Some(&published));
        assert_eq!(
            states(&merged),
            [(Some(two), "current"), (Some(one), "active"), (None, "active"), (Some(one), "retired")]
        );
    }

    #[test]
    fn what_is_published_and_in_no_secret_is_missing_unless_one_does_not_say() {
        let ((one, first), (two, second)) = (entry(), entry());
        let published = Published { serial: 2, current: second, older: vec![first] };
        let only = [held("ageseal-identity-1", State::Active, Some((1, one)))];
        assert_eq!(states(&merge(Some(&only), Some(&published))), [(Some(two), "missing"), (Some(one), "active")]);
        let unsaid = [held("mine", State::Active, None)];
        let merged = merge(Some(&unsaid), Some(&published));
        assert_eq!(states(&merged)[0], (Some(two), "current"));
        assert!(states(&merged).contains(&(Some(one), "active")) && states(&merged).contains(&(None, "active")));
        assert_eq!(states(&merge(None, Some(&published))), [(Some(two), "current"), (Some(one), "active")]);
        assert!(merge(None, None).is_empty());
    }
}
