//! One document: observe, open, plan, apply, and what to say of it.

use std::sync::Arc;
use std::time::Duration;

use ageseal::api::{DeletionPolicy, Mode, ReadyReason, Replace, SealedSecretStatus, SecretRecord};
use ageseal::format::DEFAULT_TYPE;
use jiff::Timestamp;

use crate::apply::Applier;
use crate::args::Settings;
use crate::doc::{Doc, Key};
use crate::facts::SecretFacts;
use crate::fault::Fault;
use crate::identities::Ring;
use crate::index::{Asks, Sight};
use crate::metrics::Metrics;
use crate::opening::{Opening, Understood, open, understand};
use crate::plan::{Leave, Plan, Seen, Wanted, check_type, keys_of_others, leave, plan};
use crate::request::{Refusal, RefusalKind, RequestError, Requests};
use crate::status::{Verdict, readiness, same, status};
use crate::template::sift;

/// After how many tries in a row a status says that the API server is in the way.
const TRIES_BEFORE_SAYING: u32 = 4;
/// When a Secret that is on its way out is looked at again, should nothing tell of its end.
const WAIT: Duration = Duration::from_secs(1);

/// What every reconcile needs.
pub struct Tools {
    /// The requests.
    pub requests: Requests,
    /// The settings.
    pub settings: Arc<Settings>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
}

/// What is to be done, and all that is known about it.
pub struct Job {
    /// Which document.
    pub key: Key,
    /// The document, if it is at hand.
    pub doc: Option<Box<Doc>>,
    /// A status that is later than the one in the document.
    pub status: Option<Box<SealedSecretStatus>>,
    /// The Secret as it stands if nothing is to be done: it is looked at before the document is fetched.
    pub expected: Option<Sight>,
    /// Whether the Secret is known not to be there; the write finds out if that is wrong.
    pub absent: bool,
    /// The identities.
    pub ring: Option<Arc<Ring>>,
    /// How often the API server was in the way in a row.
    pub tries: u32,
}

/// What became of it.
#[derive(Debug)]
pub enum Outcome {
    /// There is no such document, or it needs nothing any more.
    Gone,
    /// A document in `Merge` mode was let go, and these data keys of it could not be taken out of an immutable Secret.
    LeftBehind(Vec<String>),
    /// The Secret is as it should be, or the refusal stands as it was.
    Unchanged,
    /// There is something to say, or nothing new.
    Told(Box<Telling>),
    /// Look again after this time.
    Again(Duration),
    /// The API server was in the way.
    Failed(RequestError),
}

/// What there is to say of a document.
#[derive(Debug)]
pub struct Telling {
    /// The document that it is about.
    pub asks: Asks,
    /// Its resourceVersion, as last seen or written.
    pub resource_version: String,
    /// Its status from now on.
    pub status: SealedSecretStatus,
    /// Whether the API server has to be told.
    pub changed: bool,
    /// Whether it was Ready before, if that was said of some generation.
    pub was_ready: Option<bool>,
    /// The Secret as it stands, as far as it was seen or written.
    pub sight: Option<Sight>,
    /// The fault, if it is at fault.
    pub fault: Option<Fault>,
    /// Whether a Secret that was changed or gone was mended.
    pub mended: bool,
    /// The API server was in the way: try again.
    pub retry: Option<RequestError>,
}

/// Reconciles one document.
///
/// Flow: the document is fetched if it is not at hand; its Secret's metadata is read unless it is known not to be there;
/// the document is opened; the plan is made and executed; the status follows.
///
/// Guarantees: a failure leaves the last good Secret as it is; what the user did wrong is told and not retried by itself;
/// what the API server did wrong is an [`Outcome::Failed`]; nothing decrypted outlives this call.
pub async fn reconcile(tools: &Tools, mut job: Job) -> Outcome {
    let doc = match job.doc.take() {
        Some(doc) => doc,
        None => match verified(tools, &job).await {
            Ok(Some(outcome)) => return outcome,
            Ok(None) => match tools.requests.document(job.key.namespace(), job.key.name()).await {
                Ok(Some(doc)) => Box::new(doc),
                Ok(None) => return Outcome::Gone,
                Err(error) => return Outcome::Failed(error),
            },
            Err(error) => return Outcome::Failed(error),
        },
    };
    let mut one = One::new(tools, &job, &doc);
    let result = one.run().await;
    if matches!(result, Err(End::Fault(_))) && one.old.secret.is_some() {
        // Whether the last good Secret still stands is for the status to say. Unknown is not gone, nor is a guess.
        one.forget_guess();
        let _ = one.observe().await;
    }
    one.conclude(result)
}

/// Looks at the Secret of a document that may need nothing, before the document itself is fetched.
async fn verified(tools: &Tools, job: &Job) -> Result<Option<Outcome>, RequestError> {
    let Some(expected) = job.expected.as_ref().filter(|_| !job.absent) else { return Ok(None) };
    let seen: Option<SecretFacts> = tools.requests.secret(job.key.namespace(), job.key.name()).await?;
    let seen = seen.as_ref().map(sight);
    Ok((seen.as_ref() == Some(expected)).then_some(Outcome::Unchanged))
}

fn sight(facts: &SecretFacts) -> Sight {
    Sight { uid: facts.uid.clone(), resource_version: facts.resource_version.clone() }
}

/// What ends a reconcile early.
enum End {
    Fault(Fault),
    Request(RequestError),
    Outcome(Outcome),
}

impl From<RequestError> for End {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// One document on its way.
struct One<'a> {
    tools: &'a Tools,
    job: &'a Job,
    doc: &'a Doc,
    asks: Asks,
    old: SealedSecretStatus,
    resource_version: String,
    keys: usize,
    /// The Secret, once it was looked at or written.
    seen: Option<Seen>,
    /// Whether that is a guess, good for a write alone: one that is wrong about it is a conflict.
    guessed: bool,
}

impl<'a> One<'a> {
    fn new(tools: &'a Tools, job: &'a Job, doc: &'a Doc) -> Self {
        Self {
            tools,
            job,
            doc,
            asks: Asks::of(&doc.metadata),
            old: job.status.as_deref().cloned().unwrap_or_else(|| doc.status()),
            resource_version: doc.metadata.resource_version.clone().unwrap_or_default(),
            keys: 0,
            seen: job.absent.then_some(Seen::Absent),
            guessed: job.absent,
        }
    }

    fn forget_guess(&mut self) {
        if std::mem::take(&mut self.guessed) {
            self.seen = None;
        }
    }

    fn applier(&self) -> Applier<'a> {
        Applier { requests: &self.tools.requests, metrics: &self.tools.metrics }
    }

    async fn run(&mut self) -> Result<Verdict, End> {
        if self.asks.deleting {
            // Without our finalizer it waits for somebody else, and its Secret goes by its ownerReference.
            let outcome = if self.asks.finalizer { self.let_go().await? } else { Outcome::Gone };
            return Err(End::Outcome(outcome));
        }
        if self.asks.paused {
            return Ok(Verdict::Paused);
        }
        let understood = Arc::new(understand(self.doc.spec())?);
        self.keys = understood.spec.encrypted_data.len();
        let wanted = self.wanted(&understood)?;
        check_type(&wanted.secret_type, &self.tools.settings.allow_types)?;
        let seen = self.observe().await?;
        if matches!(&seen, Seen::There(facts) if facts.deleting) {
            return Err(End::Outcome(Outcome::Again(WAIT)));
        }
        let ring = self.job.ring.as_ref().ok_or(End::Outcome(Outcome::Again(WAIT)))?;
        self.tools.metrics.decrypted();
        let cross_namespace = self.tools.settings.allow_cross_namespace;
        let opening = open(&self.job.key, understood, Arc::clone(&ring.keys), cross_namespace).await?;
        // The finalizer is there before the first key is, and until the last one is somebody else's matter: a document that
        // goes at any moment takes its keys with it.
        if wanted.mode == Mode::Merge {
            self.finalizer(true).await?;
        }
        let after = self.write(&wanted, seen, &opening).await?;
        if wanted.mode == Mode::Replace {
            self.finalizer(false).await?;
        }
        let secret = SecretRecord {
            uid: after.uid.clone(),
            resource_version: after.resource_version.clone(),
            generation: self.asks.generation,
        };
        self.seen = Some(Seen::There(after));
        Ok(Verdict::Ready { secret, identities: opening.identities })
    }

    fn wanted(&self, understood: &Understood) -> Result<Wanted, Fault> {
        let spec = &understood.spec;
        Ok(Wanted {
            name: self.job.key.name().to_owned(),
            uid: self.asks.uid.clone(),
            secret_type: understood.secret_type().to_owned(),
            immutable: spec.immutable,
            marks: sift(spec.template.as_ref(), &self.tools.settings.allow_metadata)?,
            keys: spec.encrypted_data.keys().cloned().collect(),
            mode: spec.mode.unwrap_or_default(),
            adopt: spec.adopt.unwrap_or_default(),
            deletion: spec.deletion_policy.unwrap_or_default(),
            replace: spec.replace.unwrap_or_default(),
        })
    }

    async fn finalizer(&mut self, wanted: bool) -> Result<(), RequestError> {
        if let Some(version) = self.applier().finalizer(self.doc, wanted).await? {
            self.resource_version = version;
        }
        Ok(())
    }

    async fn observe(&mut self) -> Result<Seen, RequestError> {
        if let Some(seen) = &self.seen {
            return Ok(seen.clone());
        }
        self.guessed = false;
        let secret = self.tools.requests.secret(self.job.key.namespace(), self.job.key.name()).await?;
        let seen = secret.map_or(Seen::Absent, Seen::There);
        self.seen = Some(seen.clone());
        Ok(seen)
    }

    /// Plans and writes. What was thought absent and is there is looked at once.
    async fn write(&mut self, wanted: &Wanted, seen: Seen, opening: &Opening) -> Result<SecretFacts, End> {
        match self.write_seen(wanted, &seen, opening).await {
            Err(End::Request(RequestError::Refused(refusal)))
                if refusal.kind == RefusalKind::Conflict && seen == Seen::Absent =>
            {
                self.seen = None;
                let seen = self.observe().await?;
                self.write_seen(wanted, &seen, opening).await
            }
            result => result,
        }
    }

    async fn write_seen(&mut self, wanted: &Wanted, seen: &Seen, opening: &Opening) -> Result<SecretFacts, End> {
        let write = match plan(wanted, seen) {
            Plan::Write(write) => write,
            Plan::Wait => return Err(End::Outcome(Outcome::Again(WAIT))),
            Plan::Refuse(fault) => return Err(End::Fault(fault)),
        };
        let refused = match self.applier().write(&self.job.key, wanted, &write, &opening.values).await {
            Ok(after) => return Ok(after),
            Err(RequestError::Refused(refusal)) => refusal,
            Err(error) => return Err(error.into()),
        };
        match seen {
            Seen::There(facts)
                if refused.kind == RefusalKind::Immutable
                    && wanted.replace == Replace::Recreate
                    && facts.is_owned_by(&wanted.uid) =>
            {
                let recreated = self.applier().recreate(&self.job.key, wanted, &write, facts, &opening.values).await;
                // Between the two there was none: what stands now is not what was seen.
                self.seen = None;
                recreated.map_err(|error| judge(error, wanted))
            }
            _ => Err(judge(RequestError::Refused(refused), wanted)),
        }
    }

    /// A document in `Merge` mode goes: its keys leave first.
    async fn let_go(&mut self) -> Result<Outcome, RequestError> {
        self.forget_guess();
        let understood = understand(self.doc.spec()).ok();
        let deletion = understood.as_ref().and_then(|understood| understood.spec.deletion_policy);
        let secret_type = understood.as_ref().map_or(DEFAULT_TYPE, Understood::secret_type);
        let seen = self.observe().await?;
        let leave = leave(deletion.unwrap_or(DeletionPolicy::Delete), &seen);
        let left = match self.applier().leave(&self.job.key, secret_type, &leave).await {
            // Nobody can take a key out of an immutable Secret: waiting for it would hold the document for ever.
            Err(RequestError::Refused(refusal)) if refusal.kind == RefusalKind::Immutable => match leave {
                Leave::Fields { keys, .. } => Outcome::LeftBehind(keys.into_iter().collect()),
                _ => Outcome::Gone,
            },
            Err(error) => return Err(error),
            Ok(()) => Outcome::Gone,
        };
        self.applier().finalizer(self.doc, false).await?;
        Ok(left)
    }

    fn conclude(self, result: Result<Verdict, End>) -> Outcome {
        let (verdict, retry) = match result {
            Ok(verdict) => (verdict, None),
            Err(End::Fault(fault)) => {
                let kept = self.kept();
                (Verdict::AtFault { fault, kept }, None)
            }
            Err(End::Outcome(outcome)) => return outcome,
            Err(End::Request(error)) => {
                if self.job.tries < TRIES_BEFORE_SAYING || !worth_saying(&error) {
                    return Outcome::Failed(error);
                }
                (Verdict::Retrying { answer: error.to_string() }, Some(error))
            }
        };
        let reconcile = self.asks.reconcile.as_deref();
        let new = status(&self.old, self.asks.generation, self.keys, &verdict, reconcile, Timestamp::now());
        let changed = !same(&self.old, &new);
        let was_ready = readiness(&self.old).0;
        let mended = matches!(verdict, Verdict::Ready { .. })
            && was_ready == Some(true)
            && self.old.observed_generation == Some(self.asks.generation)
            && self.old.secret != new.secret;
        let sight = match &self.seen {
            Some(Seen::There(facts)) => Some(sight(facts)),
            _ => None,
        };
        Outcome::Told(Box::new(Telling {
            asks: self.asks,
            resource_version: self.resource_version,
            was_ready,
            // What says the same keeps its times.
            status: if changed { new } else { self.old },
            changed,
            sight,
            fault: match verdict {
                Verdict::AtFault { fault, .. } => Some(fault),
                _ => None,
            },
            mended,
            retry,
        }))
    }

    /// The last good Secret, if it is not known to be gone.
    fn kept(&self) -> Option<SecretRecord> {
        let record = self.old.secret.as_ref()?;
        match &self.seen {
            Some(Seen::Absent) => None,
            Some(Seen::There(facts)) if facts.uid != record.uid => None,
            _ => Some(record.clone()),
        }
    }
}

/// Whether a status says what the API server answered. Without an answer it would take no status either, and one that has
/// too much to do is not given more.
fn worth_saying(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused(refusal) if refusal.code != 429 && refusal.kind != RefusalKind::Conflict)
}

/// What a refused write of a Secret is: a fault that the user can mend, or the API server in the way.
fn judge(error: RequestError, wanted: &Wanted) -> End {
    let RequestError::Refused(refusal) = error else { return End::Request(error) };
    let fault = |reason, message: String| End::Fault(Fault::new(reason, message).keys(keys(&refusal)));
    match refusal.kind {
        RefusalKind::FieldConflict => End::Fault(keys_of_others().keys(keys(&refusal))),
        RefusalKind::Immutable => {
            let hint = match wanted.replace {
                Replace::Never => "spec.replace: Recreate lets it be deleted and made anew",
                Replace::Recreate => "it is not made anew, for its ownerReference does not name this document",
            };
            fault(ReadyReason::ImmutableConflict, format!("the Secret is immutable or of another type; {hint}"))
        }
        RefusalKind::TooLarge => {
            fault(ReadyReason::TooLarge, "the Secret would be larger than Kubernetes stores".to_owned())
        }
        RefusalKind::Quota => fault(ReadyReason::QuotaExceeded, "a quota of the namespace is exhausted".to_owned()),
        RefusalKind::Forbidden => {
            fault(ReadyReason::Forbidden, "the controller's Role does not allow to write this Secret".to_owned())
        }
        RefusalKind::Rejected => fault(ReadyReason::Rejected, format!("the API server answered {refusal}")),
        RefusalKind::Terminating => End::Outcome(Outcome::Again(Duration::from_secs(60))),
        RefusalKind::Conflict | RefusalKind::NotFound | RefusalKind::Later => {
            End::Request(RequestError::Refused(refusal))
        }
    }
}

/// The data keys that a refusal names: `data[KEY]` in a validation error, `.data.KEY` in a conflict of field managers.
fn keys(refusal: &Refusal) -> Vec<String> {
    let key = |field: &String| {
        let bracketed = field.strip_prefix("data[").and_then(|rest| rest.strip_suffix(']'));
        bracketed.or_else(|| field.strip_prefix(".data.")).map(str::to_owned)
    };
    refusal.fields.iter().filter_map(key).collect()
}
