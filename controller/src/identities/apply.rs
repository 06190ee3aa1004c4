//! What the leader does about the identities: all writes.
//!
//! # Guarantees
//!
//! - Every write is sent only while this replica leads, and is harmless when it is sent twice: identity Secrets and
//!   backups are made and never replaced, labels change only on the Secret as it was seen, the ConfigMap only as it was
//!   seen.
//! - What a watch brings may be late. So before an identity is made, and before a recipient is published, the names of
//!   the identity Secrets are asked for anew, and nothing is done if they are others.
//! - A private key leaves this process in two requests alone: in the identity Secret, and encrypted in its backup.

use std::collections::BTreeMap;
use std::sync::Arc;

use ageseal::api::{
    ANNOTATION_CURRENT, BACKUP_KEY, BACKUP_PREFIX, FIELD_MANAGER, IDENTITY_ACTIVE, IDENTITY_KEY, LABEL_BACKUP,
    LABEL_FIELD_MANAGER, LABEL_IDENTITY, RECIPIENTS_CONFIGMAP, backup_of,
};
use ageseal::envelope::{WrapError, encrypt};
use ageseal::recipient::{Identity, Recipient, RecipientId};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rand_core::OsRng;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use zeroize::Zeroizing;

use super::content::identity_file;
use super::plan::{Action, Foreign, Mark, Publish, Relabel, Version, secret_name};
use crate::args::Settings;
use crate::request::{JSON, RefusalKind, RequestError, Requests, Written, found};

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// An apply with a resourceVersion that no object has makes the object, and is a conflict if there is one.
const NO_OBJECT_HAS_THIS: &str = "1";

/// Why something was not done. It is tried again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The API server did not take it.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The backup could not be encrypted.
    #[error("the backup cannot be encrypted")]
    Encrypt(#[from] WrapError),
    /// A backup was not written.
    #[error("identity {id} is not backed up: {source}")]
    Backup {
        /// Whose.
        id: RecipientId,
        /// Why.
        source: Box<ApplyError>,
    },
    /// An identity without text, which none is that the controller reads.
    #[error("the identity has no text")]
    NoText,
}

impl ApplyError {
    /// The identity whose backup was refused, for a reason that does not pass by itself.
    pub fn unsaved(&self) -> Option<RecipientId> {
        let Self::Backup { id, source } = self else { return None };
        let refused = match &**source {
            Self::Request(RequestError::Refused(refusal)) => {
                !matches!(refusal.kind, RefusalKind::Later | RefusalKind::Conflict | RefusalKind::NotFound)
            }
            Self::Encrypt(_) => true,
            _ => false,
        };
        refused.then_some(*id)
    }
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// An identity was made.
    Made(Mark),
    /// Things are not as they were seen: nothing was done, and it is to be decided anew.
    LookAgain,
    /// The name of the Secret with this serial belongs to a Secret that is no identity Secret.
    Taken(u64),
}

/// What the actions were decided on.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The identity Secrets: name and UID.
    pub secrets: BTreeMap<String, String>,
    /// The identities, and when their Secrets were made.
    pub identities: BTreeMap<RecipientId, (Identity, Timestamp)>,
}

/// Whoever writes.
pub struct Hands {
    requests: Requests,
    settings: Arc<Settings>,
    pending: Option<Pending>,
}

/// An identity that was made and is in no Secret yet. Kept over retries, so that a Secret that is refused again and again
/// leaves one backup, and not one a try.
struct Pending {
    identity: Identity,
    created: Timestamp,
    backed_up: bool,
}

impl Pending {
    fn new(now: Timestamp) -> Self {
        let created = Timestamp::from_second(now.as_second()).expect("a second of a timestamp is one");
        Self { identity: Identity::generate_hybrid(&mut OsRng), created, backed_up: false }
    }

    fn is_among(&self, identities: &BTreeMap<RecipientId, (Identity, Timestamp)>) -> bool {
        self.identity.recipient().is_some_and(|recipient| identities.contains_key(&recipient.id()))
    }
}

#[derive(Deserialize)]
struct Listed {
    /// An empty list of metadata is `null`.
    items: Option<Vec<Meta>>,
}

#[derive(Deserialize)]
struct Meta {
    metadata: ObjectMeta,
}

impl Hands {
    /// Hands that write by these requests.
    pub fn new(requests: Requests, settings: Arc<Settings>) -> Self {
        Self { requests, settings, pending: None }
    }

    /// Forgets an identity that is in no Secret yet: another replica leads, or none is wanted any more.
    pub fn rest(&mut self) {
        self.pending = None;
    }

    /// Does one thing.
    pub async fn act(&mut self, action: &Action, view: &View, now: Timestamp) -> Result<Outcome, ApplyError> {
        match action {
            Action::Create { serial, first } => self.create(*serial, *first, view, now).await,
            Action::WriteBackup { id, .. } => match view.identities.get(id) {
                Some((identity, created)) => self.back_up(identity, *created).await.map(|()| Outcome::Done),
                None => Ok(Outcome::LookAgain),
            },
            Action::Relabel(relabel) => self.relabel(relabel).await,
            Action::Publish(publish) => self.publish(publish, view).await,
        }
    }

    async fn create(&mut self, serial: u64, first: bool, view: &View, now: Timestamp) -> Result<Outcome, ApplyError> {
        if !self.is_as_seen(view).await? || (first && self.configmap(RECIPIENTS_CONFIGMAP).await?.is_some()) {
            return Ok(Outcome::LookAgain);
        }
        // The answer to an earlier try may have been lost: what is in a Secret already is not put into another.
        let waiting = self.pending.take().filter(|pending| !pending.is_among(&view.identities));
        let mut pending = waiting.unwrap_or_else(|| Pending::new(now));
        let outcome = self.store(&mut pending, serial).await;
        if matches!(outcome, Err(_) | Ok(Outcome::Taken(_))) {
            self.pending = Some(pending);
        }
        outcome
    }

    async fn store(&self, pending: &mut Pending, serial: u64) -> Result<Outcome, ApplyError> {
        if !pending.backed_up && !self.settings.backup_recipients.is_empty() {
            self.back_up(&pending.identity, pending.created).await?;
            pending.backed_up = true;
        }
        let id = pending.identity.recipient().map(Recipient::id).ok_or(ApplyError::NoText)?;
        let mark = Mark { serial, id };
        let file = identity_file(&pending.identity, pending.created).ok_or(ApplyError::NoText)?;
        let path = format!("{}?fieldManager={FIELD_MANAGER}", self.path("secrets"));
        let body = secret_body(mark, &file);
        match self.requests.write::<Written>(Method::POST, &path, Some(JSON), body).await {
            Ok(_) => Ok(Outcome::Made(mark)),
            Err(error) if is_conflict(&error) => self.whose(mark).await,
            Err(error) => Err(error.into()),
        }
    }

    /// What to think of a name that exists: ours, from a request whose answer was lost; another replica's; a stranger's.
    async fn whose(&self, mark: Mark) -> Result<Outcome, ApplyError> {
        let secret = self.requests.secret(&self.settings.namespace, &secret_name(mark.serial)).await?;
        let Some(meta): Option<ObjectMeta> = secret else { return Ok(Outcome::LookAgain) };
        let annotation = meta.annotations.as_ref().and_then(|all| all.get(ANNOTATION_CURRENT));
        let labelled = meta.labels.as_ref().is_some_and(|labels| labels.contains_key(LABEL_IDENTITY));
        if annotation == Some(&mark.to_string()) {
            Ok(Outcome::Made(mark))
        } else if labelled {
            Ok(Outcome::LookAgain)
        } else {
            Ok(Outcome::Taken(mark.serial))
        }
    }

    /// Writes a backup, or leaves the one that is there. What stands in its place and is no backup is overwritten.
    async fn back_up(&self, identity: &Identity, created: Timestamp) -> Result<(), ApplyError> {
        let id = identity.recipient().map(Recipient::id).ok_or(ApplyError::NoText)?;
        let written = self.write_backup(id, identity, created).await;
        written.map_err(|error| ApplyError::Backup { id, source: Box::new(error) })
    }

    async fn write_backup(&self, id: RecipientId, identity: &Identity, created: Timestamp) -> Result<(), ApplyError> {
        let text = identity_file(identity, created).ok_or(ApplyError::NoText)?;
        let recipients: Vec<&Recipient> = self.settings.backup_recipients.iter().collect();
        let age = encrypt(&recipients, text.as_bytes())?;
        let name = format!("{BACKUP_PREFIX}{id}");
        let metadata = json!({"name": name, "labels": {LABEL_BACKUP: id.to_string()}});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {BACKUP_KEY: age}});
        let path = format!("{}?fieldManager={FIELD_MANAGER}", self.path("configmaps"));
        match self.requests.write::<Written>(Method::POST, &path, Some(JSON), bytes(&map)).await {
            Ok(_) => return Ok(()),
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(there) = self.configmap(&name).await? else { return Err(RequestError::NoAnswer.into()) };
        if backup_of(&there) == Some(id) {
            return Ok(());
        }
        let mut patch = map;
        patch["metadata"]["resourceVersion"] = json!(there.metadata.resource_version);
        let path = format!("{}/{name}?fieldManager={FIELD_MANAGER}", self.path("configmaps"));
        self.requests.write::<Written>(Method::PATCH, &path, Some(MERGE), bytes(&patch)).await?;
        Ok(())
    }

    async fn relabel(&self, relabel: &Relabel) -> Result<Outcome, ApplyError> {
        let mut metadata = json!({
            "resourceVersion": relabel.resource_version, "labels": {LABEL_IDENTITY: relabel.label},
        });
        let mut manager = LABEL_FIELD_MANAGER;
        if let Some(annotation) = &relabel.annotation {
            metadata["annotations"] = json!({ANNOTATION_CURRENT: annotation});
            manager = FIELD_MANAGER;
        }
        let patch = bytes(&json!({"metadata": metadata}));
        let path = format!("{}/{}?fieldManager={manager}", self.path("secrets"), relabel.secret);
        done(self.requests.write::<Written>(Method::PATCH, &path, Some(MERGE), patch).await.map(drop))
    }

    async fn publish(&self, publish: &Publish, view: &View) -> Result<Outcome, ApplyError> {
        if !self.is_as_seen(view).await? {
            return Ok(Outcome::LookAgain);
        }
        let over = match &publish.over {
            // An immutable one cannot be mended, and one that is going goes on. Should this be stopped in between, the next
            // leader finds none and writes.
            Some(version) if version.immutable || version.deleting => {
                if let Outcome::LookAgain = done(self.take_away(version).await)? {
                    return Ok(Outcome::LookAgain);
                }
                None
            }
            over => over.as_ref(),
        };
        let mut metadata = json!({"name": RECIPIENTS_CONFIGMAP});
        metadata["resourceVersion"] = json!(over.map_or(NO_OBJECT_HAS_THIS, |version| &version.resource_version));
        let mut map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": publish.content.to_data(),
        });
        let mut path = format!("{}/{RECIPIENTS_CONFIGMAP}?fieldManager={FIELD_MANAGER}", self.path("configmaps"));
        let others = over.is_some() && publish.foreign != Foreign::default();
        let how = if others {
            take_out(&publish.foreign, &mut map);
            MERGE
        } else {
            path.push_str("&force=true");
            APPLY
        };
        done(self.requests.write::<Written>(Method::PATCH, &path, Some(how), bytes(&map)).await.map(drop))
    }

    /// Deletes the ConfigMap as it was seen, whatever would keep it there.
    async fn take_away(&self, version: &Version) -> Result<(), RequestError> {
        let path = format!("{}/{RECIPIENTS_CONFIGMAP}", self.path("configmaps"));
        let mut resource_version = Some(version.resource_version.clone());
        if version.held {
            let patch = json!({"metadata": {"resourceVersion": resource_version, "finalizers": null}});
            let path = format!("{path}?fieldManager={FIELD_MANAGER}");
            let freed: Written = self.requests.write(Method::PATCH, &path, Some(MERGE), bytes(&patch)).await?;
            resource_version = freed.resource_version;
        }
        // It went with its last finalizer.
        if version.deleting {
            return Ok(());
        }
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": {"uid": version.uid, "resourceVersion": resource_version},
        });
        self.requests.delete(&path, bytes(&options)).await
    }

    /// Whether the identity Secrets are those that were seen, by a consistent read of their names.
    async fn is_as_seen(&self, view: &View) -> Result<bool, ApplyError> {
        let path = format!("{}?labelSelector={}", self.path("secrets"), LABEL_IDENTITY.replace('/', "%2F"));
        let listed: Listed = self.requests.call(Method::GET, &path, None, METADATA_LIST, Bytes::new()).await?;
        let metas = listed.items.unwrap_or_default().into_iter().map(|item| item.metadata);
        let there: BTreeMap<_, _> =
            metas.map(|meta| (meta.name.unwrap_or_default(), meta.uid.unwrap_or_default())).collect();
        Ok(there == view.secrets)
    }

    async fn configmap(&self, name: &str) -> Result<Option<ConfigMap>, RequestError> {
        let path = format!("{}/{name}", self.path("configmaps"));
        found(self.requests.call(Method::GET, &path, None, JSON, Bytes::new()).await)
    }

    fn path(&self, resource: &str) -> String {
        format!("/api/v1/namespaces/{}/{resource}", self.settings.namespace)
    }
}

/// A write whose precondition does not hold, or whose object is gone, was decided on what is no more.
fn done(written: Result<(), RequestError>) -> Result<Outcome, ApplyError> {
    match written {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if is_conflict(&error) => Ok(Outcome::LookAgain),
        Err(RequestError::Refused(refusal)) if refusal.kind == RefusalKind::NotFound => Ok(Outcome::LookAgain),
        Err(error) => Err(error.into()),
    }
}

/// Makes a merge patch of the ConfigMap take out what others put there. In the same request: what they put there may be so
/// large that there is room for nothing else beside it.
fn take_out(foreign: &Foreign, map: &mut Value) {
    for (field, keys) in [("data", &foreign.data), ("binaryData", &foreign.binary)] {
        for key in keys {
            map[field][key] = Value::Null;
        }
    }
}

fn is_conflict(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused(refusal) if refusal.kind == RefusalKind::Conflict)
}

fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// The identity Secret as JSON, in memory that is as long as the text from the beginning and is overwritten when it goes.
fn secret_body(mark: Mark, file: &str) -> Bytes {
    let metadata = json!({
        "name": secret_name(mark.serial),
        "labels": {LABEL_IDENTITY: IDENTITY_ACTIVE},
        "annotations": {ANNOTATION_CURRENT: mark.to_string()},
    });
    // Immutable: nobody changes an identity. Its label and its annotation may still be.
    let head = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true, "metadata": metadata,
    })
    .to_string();
    let before = format!(r#","data":{{"{IDENTITY_KEY}":""#);
    let encoded = file.len().div_ceil(3) * 4;
    let mut body = Zeroizing::new(Vec::with_capacity(head.len() + before.len() + encoded + 3));
    // The head is an object: its closing brace makes room for the data.
    body.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
    body.extend_from_slice(before.as_bytes());
    let start = body.len();
    body.resize(start + encoded, 0);
    BASE64_STANDARD.encode_slice(file, &mut body[start..]).expect("the slice is as long as the text");
    body.extend_from_slice(br#""}}"#);
    Bytes::from_owner(body)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use ageseal::api::{Published, PublishedRecipient};
    use http_body_util::BodyExt;
    use k8s_openapi::api::core::v1::Secret;
    use kube::Client;
    use kube::client::Body;

    use super::*;
    use crate::identities::content::Content;
    use crate::identities::plan::PublishReason;
    use crate::lease::Leadership;

    /// What an API server is asked, and what it answers: the method and the path, and the body as JSON.
    type Answer = Box<dyn Fn(&str, &Value) -> (u16, Value) + Send + Sync>;

    /// An API server that answers by a function and remembers what it was asked.
    struct Server {
        asked: Arc<Mutex<Vec<(String, Value)>>>,
        answer: Arc<Mutex<Answer>>,
    }

    impl Server {
        fn new() -> (Self, Client) {
            let asked = Arc::<Mutex<Vec<_>>>::default();
            let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(|_, _| (500, json!({})))));
            let server = Self { asked: Arc::clone(&asked), answer: Arc::clone(&answer) };
            let service = tower::service_fn(move |request: http::Request<Body>| {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                async move {
                    let path = request.uri().path_and_query().unwrap().as_str();
                    let what = format!("{} {}", request.method(), path.split('?').next().unwrap());
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let (code, answer) = (answer.lock().unwrap())(&what, &body);
                    asked.lock().unwrap().push((what, body));
                    Ok::<_, std::convert::Infallible>(
                        http::Response::builder()
                            .status(code)
                            .body(Body::from(answer.to_string().into_bytes()))
                            .unwrap(),
                    )
                }
            });
            (server, Client::new(service, "system"))
        }

        fn answers(&self, answer: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static) {
            *self.answer.lock().unwrap() = Box::new(answer);
        }

        /// What was asked since the last time, and the bodies.
        fn asked(&self) -> (Vec<String>, Vec<Value>) {
            std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().unzip()
        }
    }

    const LIST: &str = "GET /api/v1/namespaces/system/secrets";
    const MAKE: &str = "POST /api/v1/namespaces/system/secrets";
    const LOOK: &str = "GET /api/v1/namespaces/system/secrets/ageseal-identity-2";
    const BACK_UP: &str = "POST /api/v1/namespaces/system/configmaps";
    const RENEWAL: Action = Action::Create { serial: 2, first: false };

    fn hands(client: Client, leadership: Leadership) -> (Hands, Identity) {
        let keeper = Identity::generate_hybrid(&mut OsRng);
        let recipient = keeper.recipient().unwrap().canonical().parse().unwrap();
        let settings =
            Settings { namespace: "system".to_owned(), backup_recipients: vec![recipient], ..Settings::default() };
        (Hands::new(Requests::new(client, leadership), Arc::new(settings)), keeper)
    }

    async fn make(hands: &mut Hands, view: &View) -> Result<Outcome, ApplyError> {
        hands.act(&RENEWAL, view, Timestamp::UNIX_EPOCH).await
    }

    /// The mark that the body of a request for an identity Secret carries.
    fn marked(body: &Value) -> String {
        body["metadata"]["annotations"][ANNOTATION_CURRENT].as_str().unwrap().to_owned()
    }

    fn none() -> Value {
        json!({"items": null})
    }

    fn no(code: u16, reason: &str) -> (u16, Value) {
        (code, json!({"kind": "Status", "reason": reason, "code": code}))
    }

    #[tokio::test]
    async fn a_refused_identity_is_the_same_at_the_next_try_and_backed_up_once() {
        let (server, client) = Server::new();
        let (mut hands, _) = hands(client, Leadership::always());
        server.answers(|what, _| match what {
            LIST => (200, none()),
            BACK_UP => (201, json!({"metadata": {}})),
            _ => no(500, "InternalError"),
        });
        assert!(make(&mut hands, &View::default()).await.is_err());
        let (asked, first) = server.asked();
        assert_eq!(asked, [LIST, BACK_UP, MAKE]);
        // In its backup the private key is encrypted.
        assert!(ageseal::envelope::inspect(first[1]["data"][BACKUP_KEY].as_str().unwrap()).is_ok());
        server.answers(|what, _| if what == LIST { (200, none()) } else { (201, json!({"metadata": {}})) });
        let Ok(Outcome::Made(mark)) = make(&mut hands, &View::default()).await else { panic!("it was not made") };
        let (asked, second) = server.asked();
        assert_eq!(asked, [LIST, MAKE]);
        assert_eq!((marked(&second[1]), marked(&first[2])), (mark.to_string(), mark.to_string()));
        // The next one is another.
        let Ok(Outcome::Made(other)) = make(&mut hands, &View::default()).await else { panic!("it was not made") };
        assert_ne!(other.id, mark.id);
    }

    #[tokio::test]
    async fn a_lost_answer_does_not_put_one_identity_into_two_secrets() {
        let (server, client) = Server::new();
        let (mut hands, _) = hands(client, Leadership::always());
        let stored = Arc::new(Mutex::new(Value::Null));
        let store = Arc::clone(&stored);
        server.answers(move |what, body| {
            if what == MAKE {
                *store.lock().unwrap() = body.clone();
            }
            match what {
                LIST => (200, none()),
                BACK_UP => (201, json!({"metadata": {}})),
                _ => no(504, "Timeout"),
            }
        });
        assert!(make(&mut hands, &View::default()).await.is_err());
        // It is there all the same. Before a watch shows it, the next try finds it by its name, and knows it.
        let there = stored.lock().unwrap().clone();
        let answer = there.clone();
        server.answers(move |what, _| match what {
            LIST => (200, none()),
            LOOK => (200, answer.clone()),
            _ => no(409, "AlreadyExists"),
        });
        let Ok(Outcome::Made(mark)) = make(&mut hands, &View::default()).await else { panic!("it is not known") };
        assert_eq!(mark.to_string(), marked(&there));
        // A watch shows it first: then the one that is made next is another.
        let (server, client) = Server::new();
        let (mut hands, _) = self::hands(client, Leadership::always());
        server.answers(|what, _| match what {
            LIST => (200, none()),
            BACK_UP => (201, json!({"metadata": {}})),
            _ => no(504, "Timeout"),
        });
        assert!(make(&mut hands, &View::default()).await.is_err());
        let (_, bodies) = server.asked();
        let pending = hands.pending.as_ref().unwrap().identity.clone();
        let mut view = View::default();
        view.identities.insert(pending.recipient().unwrap().id(), (pending, Timestamp::UNIX_EPOCH));
        server.answers(|what, _| if what == LIST { (200, none()) } else { (201, json!({"metadata": {}})) });
        let Ok(Outcome::Made(mark)) = make(&mut hands, &view).await else { panic!("it was not made") };
        assert_ne!(mark.to_string(), marked(&bodies[2]));
    }

    #[tokio::test]
    async fn a_name_that_exists_is_ours_another_replicas_or_a_strangers() {
        let labelled = json!({"metadata": {"labels": {LABEL_IDENTITY: "active"}}});
        let bare = json!({"metadata": {}});
        for (there, expected, keeps) in [
            (Some(labelled), Outcome::LookAgain, false),
            (Some(bare), Outcome::Taken(2), true),
            (None, Outcome::LookAgain, false),
        ] {
            let (server, client) = Server::new();
            let (mut hands, _) = hands(client, Leadership::always());
            server.answers(move |what, _| match (what, &there) {
                (LIST, _) => (200, none()),
                (BACK_UP, _) => (201, json!({"metadata": {}})),
                (LOOK, Some(there)) => (200, there.clone()),
                (LOOK, None) => no(404, "NotFound"),
                _ => no(409, "AlreadyExists"),
            });
            assert_eq!(make(&mut hands, &View::default()).await.unwrap(), expected);
            assert_eq!(hands.pending.is_some(), keeps, "{expected:?}");
        }
    }

    #[tokio::test]
    async fn nothing_is_made_or_published_where_a_watch_is_late() {
        let (server, client) = Server::new();
        let (mut hands, _) = hands(client, Leadership::always());
        server.answers(|_, _| (200, json!({"items": [{"metadata": {"name": "s", "uid": "another"}}]})));
        let view = View { secrets: [("s".to_owned(), "one".to_owned())].into(), ..View::default() };
        assert_eq!(make(&mut hands, &view).await.unwrap(), Outcome::LookAgain);
        let recipient = Identity::generate_x25519();
        let entry = PublishedRecipient::of(recipient.recipient().unwrap(), String::new());
        let content = Published { serial: 1, current: entry, older: vec![] };
        let publish = Publish { content, over: None, foreign: Foreign::default(), why: PublishReason::Missing };
        let published = hands.act(&Action::Publish(publish), &view, Timestamp::UNIX_EPOCH).await;
        assert_eq!(published.unwrap(), Outcome::LookAgain);
        assert_eq!(server.asked().0, [LIST, LIST]);
    }

    #[tokio::test]
    async fn what_keeps_the_configmap_as_it_is_is_taken_out_of_the_way() {
        const MAP: &str = "/api/v1/namespaces/system/configmaps/ageseal-recipients";
        let (free, delete, put) = (format!("PATCH {MAP}"), format!("DELETE {MAP}"), format!("PATCH {MAP}"));
        let recipient = Identity::generate_x25519();
        let entry = PublishedRecipient::of(recipient.recipient().unwrap(), String::new());
        let content = Published { serial: 1, current: entry, older: vec![] };
        let version = |immutable, held, deleting| Version {
            uid: "u".to_owned(),
            resource_version: "7".to_owned(),
            immutable,
            held,
            deleting,
        };
        let foreign = Foreign { data: vec!["more".to_owned()], binary: vec!["bytes".to_owned()] };
        for (over, expected) in [
            (version(false, false, false), vec![&put]),
            // Whoever holds it holds nothing back as long as it can be changed.
            (version(false, true, false), vec![&put]),
            (version(true, false, false), vec![&delete, &put]),
            (version(true, true, false), vec![&free, &delete, &put]),
            (version(true, true, true), vec![&free, &put]),
            (version(false, true, true), vec![&free, &put]),
        ] {
            let (server, client) = Server::new();
            let (mut hands, _) = hands(client, Leadership::always());
            server.answers(|what, _| match what {
                LIST => (200, none()),
                _ => (200, json!({"metadata": {"resourceVersion": "8"}})),
            });
            let in_place = !over.immutable && !over.deleting;
            let why = PublishReason::Mended;
            let publish = Publish { content: content.clone(), over: Some(over), foreign: foreign.clone(), why };
            let view = View::default();
            let done = hands.act(&Action::Publish(publish), &view, Timestamp::UNIX_EPOCH).await;
            assert_eq!(done.unwrap(), Outcome::Done);
            let (asked, bodies) = server.asked();
            assert_eq!(asked[1..].iter().collect::<Vec<_>>(), expected);
            let (freed, put) = (&bodies[1], bodies.last().unwrap());
            if expected[0] == &free && expected.len() > 1 {
                assert_eq!(freed["metadata"], json!({"resourceVersion": "7", "finalizers": null}));
            }
            if let Some(at) = asked.iter().position(|what| *what == delete) {
                let resource_version = if expected.len() == 3 { "8" } else { "7" };
                let preconditions = json!({"uid": "u", "resourceVersion": resource_version});
                assert_eq!(bodies[at]["preconditions"], preconditions);
            }
            // What others put there goes in the same request; in a new one there is nothing.
            let version = if in_place { "7" } else { NO_OBJECT_HAS_THIS };
            assert_eq!(put["metadata"]["resourceVersion"], version);
            let data = put["data"].as_object().unwrap();
            assert_eq!((data.contains_key("more"), data.len()), (in_place, if in_place { 3 } else { 2 }));
            assert_eq!(put.get("binaryData"), in_place.then(|| json!({"bytes": null})).as_ref());
        }
    }

    #[tokio::test]
    async fn a_backup_is_told_as_refused_when_it_was() {
        for (code, reason, refused) in
            [(403, "Forbidden", true), (422, "Invalid", true), (500, "InternalError", false), (429, "", false)]
        {
            let (server, client) = Server::new();
            let (mut hands, _) = hands(client, Leadership::always());
            server.answers(move |what, _| if what == LIST { (200, none()) } else { no(code, reason) });
            let error = make(&mut hands, &View::default()).await.unwrap_err();
            let id = hands.pending.as_ref().unwrap().identity.recipient().unwrap().id();
            assert_eq!(error.unsaved(), refused.then_some(id), "{code}");
        }
        let (_, client) = Server::new();
        let (mut hands, _) = hands(client, Leadership::none());
        assert_eq!(make(&mut hands, &View::default()).await.unwrap_err().unsaved(), None);
    }

    #[tokio::test]
    async fn whoever_does_not_lead_writes_nothing() {
        let (server, client) = Server::new();
        let (mut hands, _) = hands(client, Leadership::none());
        server.answers(|_, _| (200, none()));
        let ApplyError::Backup { source, .. } = make(&mut hands, &View::default()).await.unwrap_err() else {
            panic!("something was written")
        };
        assert!(matches!(*source, ApplyError::Request(RequestError::NotLeading)));
        assert_eq!(server.asked().0, [LIST]);
    }

    #[test]
    fn the_body_of_an_identity_secret_is_one() {
        let identity = Identity::generate_hybrid(&mut OsRng);
        let id = identity.recipient().unwrap().id();
        let file = identity_file(&identity, Timestamp::UNIX_EPOCH).unwrap();
        let body = secret_body(Mark { serial: 7, id }, &file);
        let secret: Secret = serde_json::from_slice(&body).unwrap();
        assert_eq!(secret.metadata.name.as_deref(), Some("ageseal-identity-7"));
        assert_eq!(secret.metadata.labels.unwrap()[LABEL_IDENTITY], "active");
        assert_eq!(secret.metadata.annotations.unwrap()[ANNOTATION_CURRENT], format!("7.{id}"));
        assert_eq!((secret.type_.as_deref(), secret.immutable), (Some("Opaque"), Some(true)));
        let content = Content::read(secret.data.unwrap());
        assert_eq!(content.identities[0].recipient(), identity.recipient());
    }
}
