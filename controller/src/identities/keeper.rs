//! Between the watches and the writes: what is remembered, what is handed on, what is done when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ageseal::recipient::{Identity, KeyRing, Recipient, RecipientId};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::apply::{Hands, Outcome, View};
use super::plan::{Action, Confirmed, Health, Mark, Plan, Problem, Rules, Seen, plan};
use super::tell::Teller;
use super::watch::{Break, Held, Watches};
use super::{Context, Ring};
use crate::jitter::jittered;
use crate::request::Requests;

/// How long an identity has to be missing before it counts as lost. Secrets and the ConfigMap come by two watches: one may
/// be ahead of the other for a moment.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait for the watches to show what was done.
const SETTLE: Duration = Duration::from_secs(1);
/// The first wait after something was not done; it doubles.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The longest one.
const LAST_RETRY: Duration = Duration::from_secs(10);
/// The longest sleep: a clock that was set is noticed by then.
const LONGEST: Duration = Duration::from_secs(60);

/// Work that is under way.
pub type Job = BoxFuture<'static, Finished>;

/// What came of it.
pub struct Finished {
    hands: Hands,
    end: End,
    /// Whose backups are refused.
    unsaved: BTreeSet<RecipientId>,
}

enum End {
    /// Everything was done.
    Done,
    /// Something is not as it was seen.
    LookAgain,
    /// The name of an identity Secret is taken.
    Taken(u64),
    /// Something was not done.
    Not,
    /// Everything was done but backups that nothing waits for.
    ButBackups,
}

/// When something that was not done is tried again.
struct Retry {
    not_before: Instant,
    wait: Duration,
}

impl Retry {
    fn at(now: Instant) -> Self {
        Self { not_before: now, wait: FIRST_RETRY }
    }

    fn failed(&mut self, now: Instant) {
        self.not_before = now + jittered(self.wait);
        self.wait = (self.wait * 2).min(LAST_RETRY);
    }
}

/// Whoever keeps the identities.
pub struct Keeper {
    context: Context,
    teller: Teller,
    rules: Rules,
    /// Not there while they work.
    hands: Option<Hands>,
    confirmed: Option<Confirmed>,
    taken: BTreeSet<u64>,
    /// Whose backups the API server did not take.
    unsaved: BTreeSet<RecipientId>,
    order: Option<Vec<RecipientId>>,
    revision: u64,
    health: Health,
    /// Since when it would be lost.
    missing_since: Option<Instant>,
    problems: BTreeSet<Problem>,
    actions: Vec<Action>,
    look_again: Option<Instant>,
    /// Nothing is done before; set after something was not done.
    retry: Retry,
    /// The same for backups that nothing waits for: nothing waits for their retries either.
    late: Retry,
    /// Nothing is done before, unless a watch brings news.
    settled_at: Instant,
    /// Whether a watch brought news since the last job began.
    news: bool,
    /// Why watches ended since the last news.
    broken: BTreeMap<&'static str, Option<String>>,
}

impl Keeper {
    /// Begins to keep.
    pub fn new(context: Context) -> Self {
        let requests = Requests::new(context.client.clone(), context.leadership.clone());
        let teller = Teller {
            namespace: context.settings.namespace.clone(),
            events: context.events.clone(),
            metrics: Arc::clone(&context.metrics),
        };
        let rules = Rules {
            renew_every: context.settings.renew_every.and_then(|every| SignedDuration::try_from(every).ok()),
            backup: !context.settings.backup_recipients.is_empty(),
        };
        let now = Instant::now();
        teller.metrics.identity_health(Health::Starting.word());
        Self {
            hands: Some(Hands::new(requests, Arc::clone(&context.settings))),
            teller,
            rules,
            context,
            confirmed: None,
            taken: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            order: None,
            revision: 0,
            health: Health::Starting,
            missing_since: None,
            problems: BTreeSet::new(),
            actions: Vec::new(),
            look_again: None,
            retry: Retry::at(now),
            late: Retry::at(now),
            settled_at: now,
            news: false,
            broken: BTreeMap::new(),
        }
    }

    /// A watch brought something: what was done may show in it.
    pub fn has_news(&mut self) {
        self.settled_at = Instant::now();
        self.news = true;
        self.broken.clear();
    }

    /// A watch ended. It ends again and again while the reason lasts, and is told of once.
    pub fn broken(&mut self, broken: Break) {
        let new = self.broken.insert(broken.watch, broken.answer.clone()) != Some(broken.answer.clone());
        self.teller.broken(&broken, new);
    }

    /// This replica leads now, or no longer does.
    pub fn leads(&mut self, leads: bool) {
        self.retry = Retry::at(Instant::now());
        self.late = Retry::at(Instant::now());
        if !leads {
            // Whoever leads now finds out.
            self.unsaved.clear();
            if let Some(hands) = &mut self.hands {
                hands.rest();
            }
        }
    }

    /// Looks at everything anew: hands the ring on, says how things stand, and keeps what is to be done.
    pub fn look(&mut self, watches: &Watches) {
        if !watches.has_secrets() {
            return;
        }
        let (now, clock) = (Instant::now(), Timestamp::now());
        let seen = Seen {
            secrets: watches.secrets().map(|held| held.seen.clone()).collect(),
            configmap: watches.recipients().cloned(),
            backups: watches.backups(),
            unsaved: self.unsaved.clone(),
            was_used: self.was_used(),
            confirmed: self.confirmed.clone(),
            taken: self.taken.clone(),
        };
        let plan = plan(&seen, &self.rules, clock);
        self.hand_on(&plan.order, watches);
        if !watches.is_complete() {
            return;
        }
        self.confirmed.clone_from(&plan.confirmed);
        self.show(&plan, watches, now);
        self.tell(&plan, watches);
        self.look_again = plan.look_again.map(|at| now + wait(clock, at));
        self.actions = plan.actions;
        // An identity that waits for its Secret waits no longer than until none is wanted: it is never made for another day.
        let wanted = self.actions.iter().any(|action| matches!(action, Action::Create { .. }));
        if let (Some(hands), false) = (&mut self.hands, wanted) {
            hands.rest();
            self.unsaved.retain(|id| plan.order.contains(id));
        }
    }

    /// Whether a document names an identity. Asked in this order, because the second turns true before the first.
    fn was_used(&self) -> Option<bool> {
        let synced = *self.context.synced.borrow();
        let used = *self.context.used.borrow();
        if used { Some(true) } else { synced.then_some(false) }
    }

    fn hand_on(&mut self, order: &[RecipientId], watches: &Watches) {
        if self.order.as_deref() == Some(order) {
            return;
        }
        self.revision += 1;
        let keys = order.iter().filter_map(|id| find(watches, *id)).map(|(_, identity)| identity.clone()).collect();
        let ring =
            Ring { keys: Arc::new(KeyRing::new(keys)), ids: order.iter().copied().collect(), revision: self.revision };
        self.context.ring.send_replace(Some(Arc::new(ring)));
        let created = order.iter().filter_map(|id| {
            let (held, _) = find(watches, *id)?;
            Some((*id, held.seen.created.as_duration().as_secs_f64()))
        });
        self.teller.metrics.identities_created(created);
        tracing::info!(identities = order.len(), revision = self.revision, "the identities at hand are others");
        self.order = Some(order.to_vec());
    }

    fn show(&mut self, plan: &Plan, watches: &Watches, now: Instant) {
        let health = plan.health;
        let is_lost = |health: Health| matches!(health, Health::Lost { .. });
        if is_lost(health) && !is_lost(self.health) {
            let since = *self.missing_since.get_or_insert(now);
            if now < since + GRACE {
                return;
            }
        }
        self.missing_since = None;
        // Whoever waits until we are ready may read the ConfigMap then. Later it is mended, and that is no reason to stop.
        let mark = |confirmed: &Option<Confirmed>| confirmed.as_ref().map(|confirmed| confirmed.mark);
        let published = mark(&plan.current) == mark(&self.confirmed);
        if health == Health::Ok && self.health != Health::Ok && !published {
            return;
        }
        if health != self.health {
            self.health = health;
            self.context.health.send_replace(health);
            let uid = watches.recipients().map(|map| &map.version.uid);
            self.teller.health(health, uid, self.context.leadership.may_write());
        }
    }

    fn tell(&mut self, plan: &Plan, watches: &Watches) {
        let problems: BTreeSet<_> = plan.problems.iter().cloned().collect();
        for problem in problems.difference(&self.problems) {
            let uid = problem.secret().and_then(|name| watches.secret(name)).map(|held| &held.uid);
            self.teller.problem(problem, uid, self.context.leadership.may_write());
        }
        self.teller.problems(&problems);
        self.problems = problems;
    }

    /// What is to be done now, if anything is. Until its end is handed in, there is nothing else to do.
    pub fn job(&mut self, watches: &Watches) -> Option<Job> {
        let now = Instant::now();
        if !self.actions.iter().any(|action| self.due(action) <= now) || !self.context.leadership.may_write() {
            return None;
        }
        let mut hands = self.hands.take()?;
        self.news = false;
        let mut actions = std::mem::take(&mut self.actions);
        actions.retain(|action| self.due(action) <= now);
        let view = view(watches);
        let (teller, mut unsaved) = (self.teller.clone(), self.unsaved.clone());
        Some(Box::pin(async move {
            let end = work(&mut hands, &actions, &view, &teller, &mut unsaved).await;
            Finished { hands, end, unsaved }
        }))
    }

    /// When to do something.
    fn due(&self, action: &Action) -> Instant {
        let due = self.retry.not_before.max(self.settled_at);
        if action.is_late() { due.max(self.late.not_before) } else { due }
    }

    /// Takes the end of a job.
    pub fn finished(&mut self, finished: Finished) {
        self.hands = Some(finished.hands);
        self.unsaved = finished.unsaved;
        if !self.context.leadership.may_write() {
            self.leads(false);
        }
        let now = Instant::now();
        // What was done shows in the watches, if it does not already.
        let settled_at = if self.news { now } else { now + SETTLE };
        match finished.end {
            End::Done => {
                self.retry = Retry::at(now);
                self.settled_at = settled_at;
            }
            End::ButBackups => {
                self.retry = Retry::at(now);
                self.late.failed(now);
                self.settled_at = settled_at;
            }
            End::LookAgain => self.settled_at = settled_at,
            End::Taken(serial) => {
                self.taken.insert(serial);
            }
            End::Not => self.retry.failed(now),
        }
    }

    /// When to look again although nothing happened.
    pub fn wake(&self) -> Instant {
        let now = Instant::now();
        let mut wake = now + LONGEST;
        if let Some(at) = self.look_again {
            wake = wake.min(at);
        }
        if let Some(since) = self.missing_since {
            wake = wake.min(since + GRACE);
        }
        if self.hands.is_some() && self.context.leadership.may_write() {
            let due = self.actions.iter().map(|action| self.due(action)).min();
            wake = due.map_or(wake, |due| wake.min(due));
        }
        wake
    }
}

/// Does one thing after the other, and keeps account of whose backups are refused.
async fn work(
    hands: &mut Hands,
    actions: &[Action],
    view: &View,
    teller: &Teller,
    unsaved: &mut BTreeSet<RecipientId>,
) -> End {
    let mut end = End::Done;
    for action in actions {
        match hands.act(action, view, Timestamp::now()).await {
            Ok(outcome) => {
                teller.acted(action, &outcome, &view.secrets);
                if let (Action::WriteBackup { id, .. }, Outcome::Done) | (_, Outcome::Made(Mark { id, .. })) =
                    (action, &outcome)
                {
                    unsaved.remove(id);
                }
                match outcome {
                    Outcome::Done | Outcome::Made(_) => {}
                    Outcome::LookAgain => return End::LookAgain,
                    Outcome::Taken(serial) => return End::Taken(serial),
                }
            }
            Err(error) => {
                teller.not_done(action, &error);
                unsaved.extend(error.unsaved());
                if !action.is_late() {
                    return End::Not;
                }
                end = End::ButBackups;
            }
        }
    }
    end
}

fn find(watches: &Watches, id: RecipientId) -> Option<(&Held, &Identity)> {
    watches.secrets().find_map(|held| Some((held, held.identity(id)?)))
}

fn view(watches: &Watches) -> View {
    let mut view = View::default();
    for held in watches.secrets() {
        view.secrets.insert(held.seen.name.clone(), held.uid.clone());
        for identity in &held.identities {
            if let Some(id) = identity.recipient().map(Recipient::id) {
                view.identities.entry(id).or_insert_with(|| (identity.clone(), held.seen.created));
            }
        }
    }
    view
}

/// How long it is until a time of day, within reason.
fn wait(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default().min(LONGEST)
}
