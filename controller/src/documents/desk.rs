//! The desk: the index, the queue, and the decisions between them. What jobs hand back is in `outcomes`.

mod outcomes;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ageseal::api::{ReadyReason, SealedSecretStatus};
use tokio::sync::mpsc;

use self::outcomes::retry_after;
use super::Context;
use super::lists::{List, Lists};
use super::pace::Pace;
use super::tell::{save, state};
use crate::doc::{Doc, Key};
use crate::identities::Ring;
use crate::index::{Known, Look, Record, Rings, Sight, is_later};
use crate::jitter::spread;
use crate::queue::{Lane, Queue};
use crate::reconcile::{Job, Outcome, Tools, reconcile};
use crate::request::RequestError;
use crate::watch::{News, SecretSight};

/// How many bytes of documents wait for their turn at most; what a watch brings beyond is fetched again when its turn comes.
const ROOM: usize = 12 * 1024 * 1024;
/// With how many bytes of documents that wait the first list waits too: its pages come faster than the API server takes
/// Secrets, and what they leave behind in memory stays there.
const ROOM_OF_LISTS: usize = 1024 * 1024;
/// How long the first list waits for this replica to lead, before it takes it that another one does.
const SETTLE: Duration = Duration::from_secs(3);
/// How long the news of Secrets that are there waits at most for the first look at every document.
const HUSH: Duration = Duration::from_secs(30);
/// The part of the workers that may write statuses while others work on Secrets: one in so many.
const SHARE_OF_STATUSES: usize = 8;
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

impl What {
    /// How the API server was in the way.
    fn error(&self) -> Option<&RequestError> {
        match self {
            Self::Reconciled(Outcome::Failed(error)) | Self::Saved(_, Err(error)) => Some(error),
            Self::Reconciled(Outcome::Told(telling)) => telling.retry.as_ref(),
            Self::Reconciled(_) | Self::Saved(_, Ok(_)) => None,
        }
    }
}

/// The state of the loop.
pub struct Desk {
    pub(super) context: Context,
    tools: Arc<Tools>,
    done: mpsc::UnboundedSender<Done>,
    pub(super) records: HashMap<Key, Record>,
    sights: HashMap<Key, Sight>,
    queue: Queue,
    /// Documents at hand for jobs that wait.
    bodies: HashMap<Key, Box<Doc>>,
    /// The bytes of [`Desk::bodies`].
    held: usize,
    running: usize,
    /// How many of the jobs that run write a status and nothing else.
    saving: usize,
    pace: Pace,
    leading: bool,
    ring: Option<Arc<Ring>>,
    lists: Lists,
    secret_lists: Lists,
    /// Whether news of Secrets is listened to for good.
    hears: bool,
    ready: bool,
    since: Instant,
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
        let (namespaces, pace) = (context.settings.namespaces.clone(), Pace::new(context.settings.workers));
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
            saving: 0,
            pace,
            leading: false,
            ring: None,
            lists: Lists::new(documents, &namespaces),
            secret_lists: Lists::new(secrets, &namespaces),
            hears: false,
            ready: false,
            since: Instant::now(),
        }
    }

    /// Whether another document may come. The first list waits until there are identities and it is known who leads, and
    /// goes on as fast as documents are done: else each would have to be fetched again when its turn comes.
    pub fn has_room(&self) -> bool {
        let decided = self.leading || self.since.elapsed() > SETTLE;
        self.lists.are_settled() || (self.held < ROOM_OF_LISTS && self.ring.is_some() && decided)
    }

    /// Whether the watch of Secrets is listened to. Its list is, at once; what changes after the list waits while the first
    /// look at every document makes Secrets: each of them would come back as news of it, which takes the API server's time
    /// from those that are not there yet. Nothing is missed, the watch begins where the list ended. Namespaces that are
    /// served by name are listed apart, and their watches may have begun; what they bring waits on its way.
    pub fn hears_of_secrets(&mut self) -> bool {
        if !self.hears {
            let busy = !self.lists.are_settled() || (self.leading && self.queue.has_urgent());
            self.hears = (self.secret_lists.are_settled() && !busy) || self.since.elapsed() > HUSH;
        }
        self.hears || !self.secret_lists.are_settled()
    }

    /// How many jobs run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// When there is something to do next, if nothing comes before: an appointment, or the end of a rest.
    pub fn next_appointment(&mut self) -> Option<Instant> {
        let rest = self.pace.rest(Instant::now());
        self.queue.next_appointment().into_iter().chain(rest).min()
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
            self.records.values_mut().for_each(Record::lead_again);
            self.consider_all(Lane::Backlog);
        } else {
            // Turns and bodies are for jobs, and a standby has none.
            self.queue.dismiss();
            self.bodies.clear();
            self.held = 0;
        }
    }

    /// Takes in what the watch of documents brings.
    pub fn document(&mut self, news: News<Doc>) {
        match news {
            News::Begin { scope } => self.lists.begin(scope),
            News::Listed { scope, object } => {
                self.lists.listed(scope, object.key());
                self.known(object, Lane::Backlog);
            }
            News::Complete { scope } => {
                let listed = self.lists.complete(scope);
                let gone = |key: &&Key| self.lists.scope_of(key) == Some(scope) && !listed.contains(*key);
                let gone: Vec<Key> = self.records.keys().filter(gone).cloned().collect();
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
            News::Broken { scope, refused } => {
                self.context.metrics.watch_restarted("documents");
                if refused && self.lists.refuse(scope) {
                    self.warn_of_refusal("documents", scope);
                    self.check_ready();
                }
            }
        }
    }

    fn warn_of_refusal(&self, watch: &str, scope: usize) {
        let namespace = self.context.settings.namespaces.get(scope).map_or("", String::as_str);
        tracing::warn!(
            watch,
            namespace,
            "the API server does not let this be listed; what else there is goes on without"
        );
    }

    /// Takes in what the watch of Secrets brings.
    pub fn secret(&mut self, news: News<SecretSight>) {
        match news {
            News::Begin { scope } => self.secret_lists.begin(scope),
            News::Listed { scope, object } => {
                self.secret_lists.listed(scope, object.key.clone());
                self.sighted(object);
            }
            News::Complete { scope } => {
                let listed = self.secret_lists.complete(scope);
                let lists = &self.secret_lists;
                let lacks = |key: &Key, _: &mut Sight| lists.scope_of(key) == Some(scope) && !listed.contains(key);
                for (key, _) in self.sights.extract_if(lacks) {
                    if let Some(record) = self.records.get_mut(&key) {
                        record.unlisted = true;
                    }
                }
                self.consider_all(Lane::Backlog);
                self.check_ready();
            }
            News::Changed { object } => self.sighted(object),
            News::Gone { object } => {
                // Only a job that runs has anything to tell that this contradicts.
                if let (true, Some(record)) = (self.queue.runs(&object.key), self.records.get_mut(&object.key)) {
                    record.gone.push(object.sight.uid.clone());
                }
                if self.sights.get(&object.key).is_some_and(|sight| sight.uid == object.sight.uid) {
                    self.sights.remove(&object.key);
                    self.consider(&object.key, Lane::Fresh);
                }
            }
            News::Broken { scope, refused } => {
                self.context.metrics.watch_restarted("secrets");
                if refused && self.secret_lists.refuse(scope) {
                    self.warn_of_refusal("secrets", scope);
                    self.consider_all(Lane::Backlog);
                    self.check_ready();
                }
            }
        }
    }

    fn sighted(&mut self, secret: SecretSight) {
        let older = |known: &Sight| is_later(&known.resource_version, &secret.sight.resource_version);
        if self.sights.get(&secret.key).is_some_and(older) {
            return;
        }
        let changed = self.sights.insert(secret.key.clone(), secret.sight.clone()) != Some(secret.sight);
        if changed && self.secret_lists.of(&secret.key) == List::Complete {
            self.consider(&secret.key, Lane::Fresh);
        }
    }

    /// Takes in the sight of a Secret that a job brought, unless the watch knows something later.
    fn brought(&mut self, key: &Key, sight: Sight) {
        let gone = self.records.get(key).is_some_and(|record| record.gone.contains(&sight.uid));
        let behind = |known: &Sight| is_later(&known.resource_version, &sight.resource_version);
        if self.is_watched(key) && !gone && !self.sights.get(key).is_some_and(behind) {
            self.sights.insert(key.clone(), sight);
        }
    }

    /// Whether the watch tells of changes of the Secret of a document, now or soon.
    fn is_watched(&self, key: &Key) -> bool {
        self.context.settings.drift_watch && self.secret_lists.of(key) != List::Refused
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
        if !self.ready && self.lists.are_settled() && self.secret_lists.are_settled() {
            self.ready = true;
            self.context.ready.send_replace(true);
        }
    }

    fn look(&self, key: &Key) -> Look {
        let Some(record) = self.records.get(key) else { return Look::Nothing };
        let known = match (self.is_watched(key), self.secret_lists.of(key)) {
            (false, _) => Known::Unwatched,
            (true, List::Complete) => Known::Sight(self.sights.get(key)),
            (true, _) => Known::NotYet,
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
        let (look, watched) = (self.look(key), self.is_watched(key));
        let Some(record) = self.records.get_mut(key) else { return false };
        if !self.leading {
            return false;
        }
        if record.waiting {
            if record.says_retrying() {
                self.queue.push(key, Lane::Status);
            }
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
                } else if !watched && record.told.ready == Some(true) && !self.queue.has_appointment(key) {
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

    /// Starts as many jobs as there are workers, and as the API server bears.
    pub fn start_jobs(&mut self) {
        while self.leading && self.running < self.pace.width(Instant::now()) {
            let Some((key, lane, look)) = self.next_turn() else { return };
            let Some(record) = self.records.get_mut(&key) else { return };
            let ring = self.ring.as_ref().map_or(0, |ring| ring.revision);
            let (uid, began) = (record.asks.uid.clone(), Instant::now());
            let known = self.sights.get(&key).cloned();
            let (tools, done) = (Arc::clone(&self.tools), self.done.clone());
            self.running += 1;
            record.gone.clear();
            let save_now = look == Look::Nothing || (lane == Lane::Status && record.says_retrying());
            if let (true, Some(status)) = (save_now, record.unsaved.clone()) {
                self.saving += 1;
                let version = record.resource_version.clone();
                tokio::spawn(async move {
                    let saved = save(&tools, &key, &uid, &version, &status).await;
                    let _ = done.send(Done { key, uid, ring, known, began, what: What::Saved(status, saved) });
                });
                continue;
            }
            // Whatever it was that was waited for, this is the look at it.
            record.waiting = false;
            let job = self.job(&key, look);
            if let Some(record) = self.records.get_mut(&key) {
                record.unlisted = false;
            }
            tokio::spawn(async move {
                let outcome = reconcile(&tools, job).await;
                let _ = done.send(Done { key, uid, ring, known, began, what: What::Reconciled(outcome) });
            });
        }
    }

    /// Whether a status may be written now. While the first list is on its way, Secrets that are not there yet may still
    /// come; and the last Secrets of a cold start are not to wait for the first statuses.
    fn may_save(&self) -> bool {
        let share = (self.context.settings.workers / SHARE_OF_STATUSES).max(1);
        self.lists.are_settled() && (self.running == self.saving || self.saving < share)
    }

    /// Whose turn it is, and what has to be done about it by now.
    fn next_turn(&mut self) -> Option<(Key, Lane, Look)> {
        loop {
            let (key, lane) = self.queue.pop(self.may_save())?;
            let look = self.look(&key);
            let Some(record) = self.records.get(&key) else {
                self.queue.done(&key);
                continue;
            };
            if lane == Lane::Status || look != Look::Nothing || record.unsaved.is_none() || record.says_retrying() {
                return Some((key, lane, look));
            }
            // Whatever asked for the turn is answered: the watch, say, showed what a job wrote before that job told of it.
            // What is left is to tell, and that yields to Secrets that are not there yet.
            self.drop_body(&key);
            self.queue.done(&key);
            self.queue.push(&key, Lane::Status);
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
            // Where the watch shows a later one, there is nothing to compare.
            _ => recorded.filter(|recorded| !self.sights.get(key).is_some_and(|sight| sight.is_after(recorded))),
        };
        let watched = self.context.settings.drift_watch && self.secret_lists.of(key) == List::Complete;
        let sighted = watched && self.sights.contains_key(key);
        let written = record.told.secret.is_some();
        let never_tried = record.tried.is_none();
        Job {
            key: key.clone(),
            doc,
            status: record.unsaved.clone(),
            expected,
            // Nothing is known of a Secret that nobody wrote, and one that was written and is not seen is gone, unless a list
            // may have come too early for it. A write that is wrong about it is a conflict.
            absent: !sighted && !record.unlisted && if written { watched } else { never_tried },
            ring: self.ring.clone(),
            tries: record.tries,
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

#[cfg(test)]
mod tests;
