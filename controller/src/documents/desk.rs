//! The desk: the index, the queue, and the decisions between them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ageseal::api::{ReadyReason, SealedSecretStatus};
use ageseal::format::{API_VERSION, KIND};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::EventType;
use tokio::sync::mpsc;

use super::Context;
use crate::doc::{Doc, Key};
use crate::identities::Ring;
use crate::index::{Known, Look, Record, Rings, Sight, Told, is_later};
use crate::jitter::{jittered, spread};
use crate::queue::{Lane, Queue};
use crate::reconcile::{Job, Outcome, Telling, Tools, reconcile};
use crate::request::{RefusalKind, RequestError};
use crate::status::patch;
use crate::watch::{News, SecretSight};

/// How many bytes of documents wait for their turn at most; beyond, the first list waits, and what a watch brings is
/// fetched again when its turn comes.
const ROOM: usize = 12 * 1024 * 1024;
/// How long the first list waits for this replica to lead, before it takes it that another one does.
const SETTLE: Duration = Duration::from_secs(3);
/// The first wait after the API server was in the way.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The longest wait after the API server was in the way.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// The first wait before a fault that may pass is looked at again.
const FIRST_LOOK: Duration = Duration::from_secs(60);
/// The longest wait before a fault that may pass is looked at again.
const LAST_LOOK: Duration = Duration::from_secs(15 * 60);
/// A Secret that is mended this often in a row is being fought over, and waits between.
const MENDS_IN_A_ROW: u32 = 5;
/// How long after mending a Secret another change of it counts as the same fight.
const FIGHT: Duration = Duration::from_secs(60);

/// What a job hands back.
pub struct Done {
    key: Key,
    uid: String,
    ring: u64,
    /// What the watch showed of the Secret when the job began.
    known: Option<Sight>,
    began: Instant,
    what: What,
}

enum What {
    Reconciled(Outcome),
    Saved(Box<SealedSecretStatus>, Result<Option<String>, RequestError>),
}

/// The state of the loop.
pub struct Desk {
    context: Context,
    tools: Arc<Tools>,
    done: mpsc::UnboundedSender<Done>,
    records: HashMap<Key, Record>,
    sights: HashMap<Key, Sight>,
    queue: Queue,
    /// Documents at hand for jobs that wait.
    bodies: HashMap<Key, Box<Doc>>,
    /// The bytes of [`Desk::bodies`].
    held: usize,
    running: usize,
    leading: bool,
    ring: Option<Arc<Ring>>,
    lists: Lists,
    secret_lists: Lists,
    ready: bool,
    since: Instant,
}

/// Lists on their way: which are complete, and what each has held so far.
struct Lists {
    complete: Vec<bool>,
    listed: Vec<HashSet<Key>>,
}

impl Lists {
    fn new(count: usize) -> Self {
        Self { complete: vec![false; count], listed: vec![HashSet::new(); count] }
    }

    fn all_complete(&self) -> bool {
        self.complete.iter().all(|complete| *complete)
    }

    fn begin(&mut self, scope: usize) {
        self.listed[scope] = HashSet::new();
    }

    fn complete(&mut self, scope: usize) -> HashSet<Key> {
        self.complete[scope] = true;
        std::mem::take(&mut self.listed[scope])
    }
}

impl Desk {
    /// A desk that knows nothing yet.
    pub fn new(
        context: Context,
        tools: Arc<Tools>,
        documents: usize,
        secrets: usize,
        done: mpsc::UnboundedSender<Done>,
    ) -> Self {
        Self {
            context,
            tools,
            done,
            records: HashMap::new(),
            sights: HashMap::new(),
            queue: Queue::default(),
            bodies: HashMap::new(),
            held: 0,
            running: 0,
            leading: false,
            ring: None,
            lists: Lists::new(documents),
            secret_lists: Lists::new(secrets),
            ready: false,
            since: Instant::now(),
        }
    }

    /// Whether another document may come. The first list waits until there are identities and it is known who leads, and
    /// goes on as fast as documents are done: else each would have to be fetched again when its turn comes.
    pub fn has_room(&self) -> bool {
        let decided = self.leading || self.since.elapsed() > SETTLE;
        self.lists.all_complete() || (self.held < ROOM && self.ring.is_some() && decided)
    }

    /// How many jobs run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// When the next appointment is.
    pub fn next_appointment(&mut self) -> Option<Instant> {
        self.queue.next_appointment()
    }

    /// Takes in other identities.
    pub fn set_ring(&mut self, ring: Option<Arc<Ring>>) {
        self.ring = ring;
        self.consider_all(Lane::Fresh);
    }

    /// Begins to lead, or ends to.
    pub fn set_leading(&mut self, leading: bool) {
        self.leading = leading;
        if leading {
            for record in self.records.values_mut() {
                (record.waiting, record.tries) = (false, 0);
            }
            self.consider_all(Lane::Backlog);
        } else {
            // Bodies are for jobs, and a standby has none.
            self.bodies.clear();
            self.held = 0;
        }
    }

    /// Takes in what the watch of documents brings.
    pub fn document(&mut self, news: News<Doc>) {
        match news {
            News::Begin { scope } => self.lists.begin(scope),
            News::Listed { scope, object } => {
                self.lists.listed[scope].insert(object.key());
                self.known(object, Lane::Backlog);
            }
            News::Complete { scope } => {
                let listed = self.lists.complete(scope);
                let namespace = self.context.settings.namespaces.get(scope).cloned();
                let watched = |key: &Key| namespace.as_deref().is_none_or(|namespace| namespace == key.namespace());
                let gone: Vec<Key> =
                    self.records.keys().filter(|key| watched(key) && !listed.contains(key)).cloned().collect();
                for key in gone {
                    self.forget(&key);
                }
                self.check_ready();
            }
            News::Changed { object } => self.known(object, Lane::Fresh),
            News::Gone { object } => {
                let key = object.key();
                let same = |record: &Record| Some(&record.asks.uid) == object.metadata.uid.as_ref();
                if self.records.get(&key).is_some_and(same) {
                    self.forget(&key);
                }
            }
            News::Broken => self.context.metrics.watch_restarted("documents"),
        }
    }

    /// Takes in what the watch of Secrets brings.
    pub fn secret(&mut self, news: News<SecretSight>) {
        match news {
            News::Begin { scope } => self.secret_lists.begin(scope),
            News::Listed { scope, object } => {
                self.secret_lists.listed[scope].insert(object.key.clone());
                self.sighted(object);
            }
            News::Complete { scope } => {
                let listed = self.secret_lists.complete(scope);
                let namespace = self.context.settings.namespaces.get(scope).cloned();
                let watched = |key: &Key| namespace.as_deref().is_none_or(|namespace| namespace == key.namespace());
                self.sights.retain(|key, _| !watched(key) || listed.contains(key));
                self.consider_all(Lane::Backlog);
                self.check_ready();
            }
            News::Changed { object } => self.sighted(object),
            News::Gone { object } => {
                if self.sights.get(&object.key).is_some_and(|sight| sight.uid == object.sight.uid) {
                    self.sights.remove(&object.key);
                    self.consider(&object.key, Lane::Fresh);
                }
            }
            News::Broken => self.context.metrics.watch_restarted("secrets"),
        }
    }

    fn sighted(&mut self, secret: SecretSight) {
        let older = |known: &Sight| is_later(&known.resource_version, &secret.sight.resource_version);
        if self.sights.get(&secret.key).is_some_and(older) {
            return;
        }
        let changed = self.sights.insert(secret.key.clone(), secret.sight.clone()) != Some(secret.sight);
        if changed && self.secret_lists.all_complete() {
            self.consider(&secret.key, Lane::Fresh);
        }
    }

    fn known(&mut self, doc: Doc, lane: Lane) {
        let key = doc.key();
        if key.namespace() == self.context.settings.namespace {
            return;
        }
        match self.records.get_mut(&key) {
            Some(record) => {
                record.update(&doc);
            }
            None => {
                self.records.insert(key.clone(), Record::new(&doc));
            }
        }
        let record = &self.records[&key];
        if !record.told.identities.is_empty() {
            self.context.used.send_if_modified(|used| !std::mem::replace(used, true));
        }
        // A body that waits is of an earlier event than this one.
        self.drop_body(&key);
        if self.consider(&key, lane) && self.leading && self.held < ROOM {
            self.held += doc.size();
            self.bodies.insert(key, Box::new(doc));
        }
    }

    fn forget(&mut self, key: &Key) {
        self.records.remove(key);
        self.queue.remove(key);
        self.drop_body(key);
    }

    fn drop_body(&mut self, key: &Key) -> Option<Box<Doc>> {
        let doc = self.bodies.remove(key)?;
        self.held -= doc.size();
        Some(doc)
    }

    fn check_ready(&mut self) {
        if !self.ready && self.lists.all_complete() && self.secret_lists.all_complete() {
            self.ready = true;
            self.context.ready.send_replace(true);
        }
    }

    fn look(&self, key: &Key) -> Look {
        let Some(record) = self.records.get(key) else { return Look::Nothing };
        let known = match (self.context.settings.drift_watch, self.secret_lists.all_complete()) {
            (false, _) => Known::Unwatched,
            (true, false) => Known::NotYet,
            (true, true) => Known::Sight(self.sights.get(key)),
        };
        let rings = self.ring.as_ref().map(|ring| Rings { revision: ring.revision, ids: &ring.ids });
        record.look(known, rings)
    }

    fn consider_all(&mut self, lane: Lane) {
        let keys: Vec<Key> = self.records.keys().cloned().collect();
        for key in keys {
            self.consider(&key, lane);
        }
    }

    /// Asks for a job if a document needs one; tells whether the job will want the document itself.
    fn consider(&mut self, key: &Key, lane: Lane) -> bool {
        let look = self.look(key);
        let Some(record) = self.records.get_mut(key) else { return false };
        if !self.leading || record.waiting {
            return false;
        }
        match look {
            Look::Reconcile => {
                self.queue.push(key, lane);
                true
            }
            Look::Verify if record.mended >= MENDS_IN_A_ROW => {
                record.waiting = true;
                let wait = retry_after(record.mended - MENDS_IN_A_ROW + 2, Duration::from_secs(1), FIGHT);
                self.queue.appoint(key, Instant::now() + wait);
                false
            }
            Look::Verify => {
                self.queue.push(key, lane);
                false
            }
            Look::Nothing | Look::NotYet => {
                if record.unsaved.is_some() {
                    self.queue.push(key, Lane::Status);
                } else if !self.context.settings.drift_watch && !self.queue.has_appointment(key) {
                    // Spread out, for all of them may be found current at once.
                    self.queue.appoint(key, Instant::now() + spread(self.context.settings.recheck_every));
                }
                false
            }
        }
    }

    /// Looks at the documents whose time has come.
    pub fn keep_appointments(&mut self, now: Instant) {
        for key in self.queue.due(now) {
            let Some(record) = self.records.get_mut(&key) else { continue };
            let waited = std::mem::take(&mut record.waiting);
            if !self.leading {
                continue;
            }
            // Without a wait it is a look that nothing asked for but the clock.
            if !waited || matches!(self.look(&key), Look::Nothing) {
                self.queue.push(&key, Lane::Backlog);
            } else {
                self.consider(&key, Lane::Fresh);
            }
        }
    }

    /// Starts as many jobs as there are workers.
    pub fn start_jobs(&mut self) {
        while self.leading && self.running < self.context.settings.workers {
            // While the first list is on its way, Secrets that are not there yet may still come.
            let Some((key, _)) = self.queue.pop(self.lists.all_complete()) else { return };
            let Some(record) = self.records.get(&key) else {
                self.queue.done(&key);
                continue;
            };
            let ring = self.ring.as_ref().map_or(0, |ring| ring.revision);
            let (uid, began) = (record.asks.uid.clone(), Instant::now());
            let known = self.sights.get(&key).cloned();
            let (tools, done) = (Arc::clone(&self.tools), self.done.clone());
            let look = self.look(&key);
            self.running += 1;
            if let (Look::Nothing, Some(status)) = (look, record.unsaved.clone()) {
                let version = record.resource_version.clone();
                tokio::spawn(async move {
                    let saved = save(&tools, &key, &uid, &version, &status).await;
                    let _ = done.send(Done { key, uid, ring, known, began, what: What::Saved(status, saved) });
                });
                continue;
            }
            let job = self.job(&key, look);
            tokio::spawn(async move {
                let outcome = reconcile(&tools, job).await;
                let _ = done.send(Done { key, uid, ring, known, began, what: What::Reconciled(outcome) });
            });
        }
    }

    fn job(&mut self, key: &Key, look: Look) -> Job {
        let doc = self.drop_body(key);
        let record = &self.records[key];
        let recorded = record.told.secret.as_ref().map(Sight::of_record);
        let expected = match look {
            Look::Reconcile => None,
            // A refusal that depends on the Secret alone stands while the Secret does.
            _ if record.told.ready == Some(false) => {
                let on_secret = [ReadyReason::NotOwned, ReadyReason::ImmutableConflict];
                let stands = on_secret.iter().any(|reason| reason.to_string() == record.told.reason);
                record.tried_sight.clone().filter(|_| stands)
            }
            _ => recorded,
        };
        let watched = self.context.settings.drift_watch && self.secret_lists.all_complete();
        let sighted = watched && self.sights.contains_key(key);
        let written = record.told.secret.is_some();
        let never_tried = record.tried.is_none();
        Job {
            key: key.clone(),
            doc,
            status: record.unsaved.clone(),
            expected,
            // Nothing is known of a Secret that nobody wrote, and one that was written and is not seen is gone. A write
            // that is wrong about it is a conflict.
            absent: !sighted && if written { watched } else { never_tried },
            ring: self.ring.clone(),
            tries: record.tries,
        }
    }

    /// Takes in what a job hands back.
    pub fn done(&mut self, done: Done) {
        self.running -= 1;
        let Done { key, uid, ring, known, began, what } = done;
        self.queue.done(&key);
        let Some(record) = self.records.get_mut(&key).filter(|record| record.asks.uid == uid) else {
            // Another document has the name by now, or none.
            self.consider(&key, Lane::Fresh);
            return;
        };
        if matches!(what, What::Reconciled(_)) {
            record.tried_known = known;
        }
        match what {
            What::Saved(status, Ok(version)) => {
                if let Some(version) = version.filter(|version| is_later(version, &record.resource_version)) {
                    record.resource_version = version;
                }
                if record.unsaved.as_ref() == Some(&status) {
                    record.unsaved = None;
                }
                record.tries = 0;
                self.recheck(&key);
            }
            What::Saved(_, Err(error)) => self.failed(&key, &error),
            What::Reconciled(outcome) => self.reconciled(&key, outcome, ring, began),
        }
        self.consider(&key, Lane::Fresh);
    }

    fn reconciled(&mut self, key: &Key, outcome: Outcome, ring: u64, began: Instant) {
        let label = match &outcome {
            Outcome::Gone => "gone",
            Outcome::Unchanged => "unchanged",
            Outcome::Told(telling) if telling.retry.is_some() => "failed",
            Outcome::Told(telling) if telling.fault.is_some() => "at_fault",
            Outcome::Told(_) => "ready",
            Outcome::Again(_) => "waiting",
            Outcome::Failed(_) => "failed",
        };
        self.context.metrics.reconciled(label, began.elapsed().as_secs_f64());
        match outcome {
            Outcome::Gone => {}
            Outcome::Unchanged => self.unchanged(key, ring),
            Outcome::Told(telling) => self.told(key, *telling, ring),
            Outcome::Again(wait) => self.again(key, wait),
            Outcome::Failed(error) => self.failed(key, &error),
        }
    }

    fn unchanged(&mut self, key: &Key, ring: u64) {
        let Some(record) = self.records.get_mut(key) else { return };
        record.tries = 0;
        if record.told.ready == Some(false) {
            record.tried = Some(ring);
            record.tries = record.tries.saturating_add(1);
            self.look_again_at_fault(key);
            return;
        }
        // What the watch showed was behind the write; it shows the same in the end.
        if let (Some(secret), true) = (&record.told.secret, self.context.settings.drift_watch) {
            self.sights.insert(key.clone(), Sight::of_record(secret));
        }
        self.recheck(key);
    }

    fn told(&mut self, key: &Key, telling: Telling, ring: u64) {
        let Some(record) = self.records.get_mut(key) else { return };
        if is_later(&telling.resource_version, &record.resource_version) {
            record.resource_version.clone_from(&telling.resource_version);
        }
        record.told = Told::of(&telling.status);
        if telling.changed {
            record.unsaved = Some(Box::new(telling.status.clone()));
        }
        record.tried = telling.fault.is_some().then_some(ring);
        record.tried_sight.clone_from(&telling.sight);
        record.mended = if telling.mended { record.mended + 1 } else { record.mended };
        if let (Some(sight), None, true) = (&telling.sight, &telling.fault, self.context.settings.drift_watch) {
            self.sights.insert(key.clone(), sight.clone());
        }
        self.say(key, &telling);
        if let Some(error) = &telling.retry {
            self.failed(key, error);
        } else if let Some(fault) = &telling.fault {
            if fault.may_pass() {
                self.look_again_at_fault(key);
            }
        } else {
            if let Some(record) = self.records.get_mut(key) {
                record.tries = 0;
            }
            self.recheck(key);
        }
    }

    /// Events: a document stops being Ready, or is again, or its Secret was mended. A first success is no news.
    fn say(&self, key: &Key, telling: &Telling) {
        if !telling.changed {
            return;
        }
        let (reason, note, kind) = match (&telling.fault, telling.was_ready) {
            (Some(fault), _) => (fault.reason.to_string(), fault.message.clone(), EventType::Warning),
            (None, Some(false)) => ("Opened".to_owned(), "the Secret is there again".to_owned(), EventType::Normal),
            (None, Some(true)) if telling.mended => {
                let note = "the Secret was changed or deleted, and is as the document says again";
                ("Mended".to_owned(), note.to_owned(), EventType::Normal)
            }
            _ => return,
        };
        tracing::info!(document = %key, reason = %reason, "{note}");
        let regarding = ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(KIND.to_owned()),
            namespace: Some(key.namespace().to_owned()),
            name: Some(key.name().to_owned()),
            uid: Some(telling.asks.uid.clone()),
            ..ObjectReference::default()
        };
        self.context.events.publish(&regarding, reason, note, kind);
    }

    fn again(&mut self, key: &Key, wait: Duration) {
        if let Some(record) = self.records.get_mut(key) {
            record.waiting = true;
            self.queue.appoint(key, Instant::now() + wait);
        }
    }

    fn failed(&mut self, key: &Key, error: &RequestError) {
        if *error == RequestError::NotLeading {
            return;
        }
        let Some(record) = self.records.get_mut(key) else { return };
        record.tries = record.tries.saturating_add(1);
        let tries = record.tries;
        let category = category(error);
        self.context.metrics.error(category);
        tracing::debug!(document = %key, category, tries, "{error}");
        let asked = match error {
            RequestError::Refused(refusal) => refusal.retry_after,
            _ => None,
        };
        let wait = retry_after(tries, FIRST_RETRY, LAST_RETRY).max(asked.unwrap_or_default().min(LAST_RETRY));
        self.again(key, wait);
    }

    fn look_again_at_fault(&mut self, key: &Key) {
        let Some(record) = self.records.get_mut(key) else { return };
        record.tries = record.tries.saturating_add(1);
        let wait = retry_after(record.tries, FIRST_LOOK, LAST_LOOK);
        self.queue.appoint(key, Instant::now() + wait);
    }

    /// Without the drift watch, the clock asks for the next look.
    fn recheck(&mut self, key: &Key) {
        if !self.context.settings.drift_watch {
            let wait = jittered(self.context.settings.recheck_every);
            self.queue.appoint(key, Instant::now() + wait);
        }
    }

    /// Shows in the metrics how many documents are how.
    pub fn show_counts(&mut self) {
        let mut states: BTreeMap<(&'static str, &'static str), u64> = BTreeMap::new();
        let mut opened_by = BTreeMap::new();
        for record in self.records.values() {
            *states.entry(state(&record.told)).or_default() += 1;
            for id in &record.told.identities {
                *opened_by.entry(*id).or_default() += 1;
            }
        }
        self.context.metrics.documents(states);
        self.context.metrics.opened_by(opened_by);
        self.context.metrics.queue_depth(self.queue.depth());
        for record in self.records.values_mut() {
            // One fight is forgiven with every count that passes in peace.
            record.mended = record.mended.saturating_sub(1);
        }
    }
}

/// Writes a status. A document that is gone needs none.
async fn save(
    tools: &Tools,
    key: &Key,
    uid: &str,
    version: &str,
    status: &SealedSecretStatus,
) -> Result<Option<String>, RequestError> {
    let patch = patch(status, uid, version);
    match tools.requests.patch_status(key.namespace(), key.name(), &patch).await {
        Ok(meta) => {
            tools.metrics.wrote("status");
            Ok(meta.metadata.resource_version)
        }
        Err(RequestError::Refused(refusal)) if refusal.kind == RefusalKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn state(told: &Told) -> (&'static str, &'static str) {
    let ready = match told.ready {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let reason = ReadyReason::ALL.into_iter().find(|reason| reason.to_string() == told.reason);
    (ready, reason.map_or("", ReadyReason::as_str))
}

fn category(error: &RequestError) -> &'static str {
    match error {
        RequestError::NoAnswer => "no_answer",
        RequestError::Unreadable => "unreadable",
        RequestError::NotLeading => "not_leading",
        RequestError::Refused(refusal) => match refusal.kind {
            RefusalKind::Conflict | RefusalKind::FieldConflict => "conflict",
            RefusalKind::NotFound | RefusalKind::Terminating => "not_found",
            RefusalKind::Later if refusal.code == 429 => "too_many_requests",
            RefusalKind::Later => "unavailable",
            RefusalKind::Forbidden => "forbidden",
            RefusalKind::Quota | RefusalKind::Immutable | RefusalKind::TooLarge | RefusalKind::Rejected => "rejected",
        },
    }
}

/// The wait after so many tries: it doubles from `first` to `last`, and is jittered by a quarter.
fn retry_after(tries: u32, first: Duration, last: Duration) -> Duration {
    let doubled = first.saturating_mul(1 << tries.saturating_sub(1).min(16));
    jittered(doubled.min(last))
}
