//! The watches: identity Secrets, the ConfigMap with the recipients, the ConfigMaps with backups. Streams alone; no
//! decisions.
//!
//! # Private keys in memory
//!
//! An identity Secret is parsed the moment it arrives, and what k8s-openapi decoded of it is overwritten. What stays are
//! the buffers of the libraries below: hyper's and rustls' pieces of the answer, and the text that kube collects of it
//! before serde reads it. They are freed, not overwritten, and used again for the next answers. The identities themselves
//! are there once, shared by every ring, and overwritten when the last one goes.

use std::collections::{BTreeMap, BTreeSet};

use ageseal::api::{
    ANNOTATION_CURRENT, CLI_FIELD_MANAGER, FIELD_MANAGER, LABEL_BACKUP, LABEL_IDENTITY, RECIPIENTS_CONFIGMAP, backup_of,
};
use ageseal::recipient::{Identity, Recipient, RecipientId};
use futures::stream::{BoxStream, SelectAll, StreamExt};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};

use super::content::Content;
use super::plan::{Public, SeenConfigMap, SeenSecret, State, Version};
use crate::watch::Soon;

/// How much earlier than an object its first fields may be: the API server notes the time of the fields first, and asks
/// its webhooks in between, a minute at most.
const EARLIER: SignedDuration = SignedDuration::from_mins(2);

/// What a watch brings.
#[derive(Debug)]
pub enum News {
    /// Of the identity Secrets.
    Secrets(Event<Held>),
    /// Of the ConfigMap with the recipients.
    Recipients(Event<SeenConfigMap>),
    /// Of the ConfigMaps with backups.
    Backups(Event<Backup>),
    /// A watch ended for a reason; it is begun again.
    Broken(Break),
}

/// A watch that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// What is watched.
    pub watch: &'static str,
    /// The HTTP code and the word of the API server; none if it gave no answer.
    pub answer: Option<String>,
}

/// An identity Secret.
#[derive(Clone, Debug)]
pub struct Held {
    /// What a decision needs of it.
    pub seen: SeenSecret,
    /// Which one of its name it is.
    pub uid: String,
    /// What it holds.
    pub identities: Vec<Identity>,
}

/// A ConfigMap with a backup.
#[derive(Clone, Debug)]
pub struct Backup {
    name: String,
    /// Whose it is, if it is an age file and its name and its label agree.
    of: Option<RecipientId>,
}

/// Something that is kept by its name.
trait Named {
    fn name(&self) -> &str;
}

impl Named for Held {
    fn name(&self) -> &str {
        &self.seen.name
    }
}

impl Named for SeenConfigMap {
    /// There is one at most: its watch is by its name.
    fn name(&self) -> &str {
        RECIPIENTS_CONFIGMAP
    }
}

impl Named for Backup {
    fn name(&self) -> &str {
        &self.name
    }
}

/// The objects of one watch.
#[derive(Debug)]
struct Kept<T> {
    now: BTreeMap<String, T>,
    /// The members of a list that is not complete.
    next: BTreeMap<String, T>,
    complete: bool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { now: BTreeMap::new(), next: BTreeMap::new(), complete: false }
    }
}

impl<T: Named> Kept<T> {
    /// Takes an event, and says whether what is kept may be another now.
    fn take(&mut self, event: Event<T>) -> bool {
        match event {
            Event::Init => self.next.clear(),
            Event::InitApply(object) => {
                self.next.insert(object.name().to_owned(), object);
            }
            // What the list does not hold is gone.
            Event::InitDone => {
                self.now = std::mem::take(&mut self.next);
                self.complete = true;
                return true;
            }
            Event::Apply(object) => {
                self.now.insert(object.name().to_owned(), object);
                return true;
            }
            Event::Delete(object) => return self.now.remove(object.name()).is_some(),
        }
        false
    }
}

/// Everything that is watched, and what is there.
pub struct Watches {
    streams: SelectAll<BoxStream<'static, News>>,
    secrets: Kept<Held>,
    recipients: Kept<SeenConfigMap>,
    backups: Kept<Backup>,
}

impl Watches {
    /// Begins to watch. Backups are watched if they are written.
    pub fn new(client: &Client, namespace: &str, with_backups: bool) -> Self {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let configmaps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let labelled = |label| watcher::Config::default().labels(label);
        let named = watcher::Config::default().fields(&format!("metadata.name={RECIPIENTS_CONFIGMAP}"));
        let mut streams = SelectAll::new();
        let events = watcher(secrets, labelled(LABEL_IDENTITY)).backoff(Soon::default());
        streams.push(events.map(|event| news("secrets", event, Held::of, News::Secrets)).boxed());
        let events = watcher(configmaps.clone(), named).backoff(Soon::default());
        streams.push(events.map(|event| news("recipients", event, SeenConfigMap::of, News::Recipients)).boxed());
        let mut backups = Kept { complete: true, ..Kept::default() };
        if with_backups {
            backups.complete = false;
            let events = watcher(configmaps, labelled(LABEL_BACKUP)).backoff(Soon::default());
            streams.push(events.map(|event| news("backups", event, Backup::of, News::Backups)).boxed());
        }
        Self { streams, secrets: Kept::default(), recipients: Kept::default(), backups }
    }

    /// What comes next; none ends.
    pub async fn next(&mut self) -> Option<News> {
        self.streams.next().await
    }

    /// Keeps what came, and says whether a decision may be another now.
    pub fn take(&mut self, news: News) -> bool {
        match news {
            News::Secrets(event) => self.secrets.take(event),
            News::Recipients(event) => self.recipients.take(event),
            News::Backups(event) => self.backups.take(event),
            News::Broken(_) => false,
        }
    }

    /// Whether the identity Secrets were read.
    pub fn has_secrets(&self) -> bool {
        self.secrets.complete
    }

    /// Whether everything was read.
    pub fn is_complete(&self) -> bool {
        self.secrets.complete && self.recipients.complete && self.backups.complete
    }

    /// The identity Secrets, by name.
    pub fn secrets(&self) -> impl Iterator<Item = &Held> {
        self.secrets.now.values()
    }

    /// The identity Secret of that name.
    pub fn secret(&self, name: &str) -> Option<&Held> {
        self.secrets.now.get(name)
    }

    /// The ConfigMap with the recipients.
    pub fn recipients(&self) -> Option<&SeenConfigMap> {
        self.recipients.now.get(RECIPIENTS_CONFIGMAP)
    }

    /// Whose identities have a backup.
    pub fn backups(&self) -> BTreeSet<RecipientId> {
        self.backups.now.values().filter_map(|backup| backup.of).collect()
    }
}

fn news<K, T>(
    watch: &'static str,
    event: Result<Event<K>, watcher::Error>,
    read: impl Fn(K) -> T,
    wrap: impl Fn(Event<T>) -> News,
) -> News {
    match event {
        Ok(Event::Apply(object)) => wrap(Event::Apply(read(object))),
        Ok(Event::Delete(object)) => wrap(Event::Delete(read(object))),
        Ok(Event::InitApply(object)) => wrap(Event::InitApply(read(object))),
        Ok(Event::Init) => wrap(Event::Init),
        Ok(Event::InitDone) => wrap(Event::InitDone),
        Err(error) => News::Broken(Break { watch, answer: answer(&error) }),
    }
}

/// What may be known of an error: its text is the API server's.
fn answer(error: &watcher::Error) -> Option<String> {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    let status = match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status))
        | WatchError(status) => status,
        _ => return None,
    };
    let word = status.reason.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Some(format!("{} {}", status.code, if word { &status.reason } else { "" }))
}

impl Held {
    fn of(secret: Secret) -> Self {
        let content = Content::read(secret.data.unwrap_or_default());
        let meta = secret.metadata;
        let label = meta.labels.as_ref().and_then(|labels| labels.get(LABEL_IDENTITY));
        let annotation = meta.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION_CURRENT));
        let recipients = content.identities.iter().filter_map(Identity::recipient).map(Public::from).collect();
        let seen = SeenSecret {
            state: label.map_or(State::Other, |label| State::of(label)),
            annotation: annotation.cloned(),
            bound: is_marked_here(&meta),
            created: created(&meta),
            recipients,
            faults: content.faults,
            name: meta.name.unwrap_or_default(),
            resource_version: meta.resource_version.unwrap_or_default(),
        };
        Self { seen, uid: meta.uid.unwrap_or_default(), identities: content.identities }
    }

    /// The identity with this id.
    pub fn identity(&self, id: RecipientId) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.recipient().map(Recipient::id) == Some(id))
    }
}

/// Whether the controller or `ageseal keys` wrote the mark, and to this very object.
///
/// A copy by `kubectl` has another manager. One by Velero has the managers of the original, and their times: they are
/// older than the copy.
fn is_marked_here(meta: &ObjectMeta) -> bool {
    let earliest = created(meta).checked_sub(EARLIER).unwrap_or(Timestamp::MIN);
    let ours = |entry: &ManagedFieldsEntry| {
        let manager = entry.manager.as_deref().unwrap_or_default();
        [FIELD_MANAGER, CLI_FIELD_MANAGER].contains(&manager)
            && entry.time.as_ref().is_some_and(|time| time.0 >= earliest)
            && has_mark(entry)
    };
    meta.managed_fields.iter().flatten().any(ours)
}

/// Source: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.
fn has_mark(entry: &ManagedFieldsEntry) -> bool {
    let annotations = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:metadata")?.get("f:annotations"));
    annotations.is_some_and(|annotations| annotations.get(format!("f:{ANNOTATION_CURRENT}")).is_some())
}

fn created(meta: &ObjectMeta) -> Timestamp {
    meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

impl SeenConfigMap {
    fn of(map: ConfigMap) -> Self {
        Self {
            version: Version {
                immutable: map.immutable.unwrap_or(false),
                deleting: map.metadata.deletion_timestamp.is_some(),
                held: map.metadata.finalizers.is_some_and(|finalizers| !finalizers.is_empty()),
                uid: map.metadata.uid.unwrap_or_default(),
                resource_version: map.metadata.resource_version.unwrap_or_default(),
            },
            data: map.data.unwrap_or_default(),
            binary: map.binary_data.unwrap_or_default().into_keys().collect(),
        }
    }
}

impl Backup {
    fn of(map: ConfigMap) -> Self {
        let name = map.metadata.name.clone().unwrap_or_default();
        Self { of: backup_of(&map), name }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn a_secret_is_taken_apart_at_once() {
        let identity = Identity::generate_hybrid(&mut OsRng);
        let key = identity.to_secret_string().unwrap();
        let metadata = ObjectMeta {
            name: Some("s".to_owned()),
            labels: Some([(LABEL_IDENTITY.to_owned(), "retired".to_owned())].into()),
            ..ObjectMeta::default()
        };
        let data = [("any".to_owned(), ByteString(key.as_bytes().to_vec()))].into();
        let held = Held::of(Secret { metadata, data: Some(data), ..Secret::default() });
        let id = identity.recipient().unwrap().id();
        assert_eq!((held.seen.state, held.seen.recipients[0].id), (State::Retired, id));
        assert!(held.identity(id).is_some());
        assert!(!format!("{held:?}").contains(&key[20..40]));
    }

    #[test]
    fn a_mark_is_bound_by_who_wrote_it_and_when() {
        let bound = |manager: &str, time: Option<&str>, fields: serde_json::Value| {
            let meta = serde_json::json!({
                "creationTimestamp": "2026-01-10T12:00:00Z",
                "managedFields": [
                    {"manager": "kubectl", "operation": "Update", "time": time, "fieldsV1": {"f:data": {}}},
                    {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields},
                ],
            });
            is_marked_here(&serde_json::from_value(meta).unwrap())
        };
        let mark = || serde_json::json!({"f:metadata": {"f:annotations": {".": {}, "f:ageseal.dev/current": {}}}});
        let at_once = Some("2026-01-10T12:00:00Z");
        for manager in ["ageseal-controller", "ageseal-cli"] {
            assert!(bound(manager, at_once, mark()));
            // The clock of the API server turned a second in between; somebody promoted it later.
            assert!(bound(manager, Some("2026-01-10T11:59:59Z"), mark()));
            assert!(bound(manager, Some("2026-03-01T12:00:00Z"), mark()));
            // The fields of an original that is older than the copy.
            assert!(!bound(manager, Some("2026-01-10T11:00:00Z"), mark()));
            assert!(!bound(manager, None, mark()));
            // Something else of it.
            let label = serde_json::json!({"f:metadata": {"f:labels": {"f:ageseal.dev/identity": {}}}});
            assert!(!bound(manager, at_once, label));
        }
        for manager in ["kubectl-client-side-apply", "kubectl", "velero-server", "before-first-apply", ""] {
            assert!(!bound(manager, at_once, mark()), "{manager}");
        }
        assert!(!is_marked_here(&ObjectMeta::default()));
    }

    #[test]
    fn of_an_answer_the_code_and_the_word_are_kept() {
        let status = |reason: &str| kube::core::Status {
            code: 403,
            reason: reason.to_owned(),
            message: "secrets is forbidden: hunter2".to_owned(),
            ..kube::core::Status::default()
        };
        let broken = |status: kube::core::Status| answer(&watcher::Error::WatchError(Box::new(status)));
        assert_eq!(broken(status("Forbidden")).as_deref(), Some("403 Forbidden"));
        assert_eq!(broken(status("no word, hunter2")).as_deref(), Some("403 "));
        assert_eq!(answer(&watcher::Error::NoResourceVersion), None);
    }

    #[test]
    fn a_list_that_is_not_complete_changes_nothing() {
        let map = |data: &str| SeenConfigMap {
            version: Version::default(),
            data: [("k".to_owned(), data.to_owned())].into(),
            binary: vec![],
        };
        let mut kept = Kept::default();
        assert!(!kept.take(Event::Init));
        assert!(!kept.take(Event::InitApply(map("a"))));
        assert!(kept.now.is_empty() && !kept.complete);
        assert!(kept.take(Event::InitDone));
        assert!(kept.complete);
        // Begun anew: what was known goes on being known until the list is complete, and is gone if it is not in it.
        assert!(!kept.take(Event::Init));
        assert_eq!(kept.now.values().next(), Some(&map("a")));
        assert!(kept.take(Event::InitDone));
        assert!(kept.now.is_empty());
        assert!(!kept.take(Event::Delete(map("a"))));
    }
}
