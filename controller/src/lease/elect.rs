//! The loop that takes, renews and gives back the Lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use rand_core::{OsRng, RngCore};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use ageseal::api::LEASE;

use super::{Claim, Decision, Leadership, Observed, Pulse, decide, since_boot};
use crate::args::{LeaseSettings, Settings};
use crate::metrics::Metrics;

/// How long giving the Lease back may take; after that the others wait for its duration.
const RELEASE: Duration = Duration::from_secs(3);
/// How often the log repeats an error that does not go away.
const REMINDER: Duration = Duration::from_secs(60);
/// How long the server keeps a watch open, in seconds. It is begun anew then.
const WATCH_SECONDS: u32 = 280;

/// Takes part in the election until it is told to stop.
#[derive(Debug)]
pub struct Election {
    api: Api<Lease>,
    me: String,
    times: LeaseSettings,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    observed: Option<Observed>,
    pulse: Pulse,
    /// The error that was logged last, and when.
    said: Option<(String, Duration)>,
}

/// Why a request about the Lease did not do what it should. The API server's text is not in it.
#[derive(Debug, Error)]
enum StepError {
    #[error("the API server answered {code} {reason}")]
    Refused { code: u16, reason: String },
    #[error("the API server gives no answer: {0}")]
    NoAnswer(String),
    #[error("somebody else wrote it first")]
    Conflict,
}

impl StepError {
    fn category(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "lease_refused",
            Self::NoAnswer(_) => "lease_unreachable",
            Self::Conflict => "lease_conflict",
        }
    }
}

impl From<kube::Error> for StepError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 409 => Self::Conflict,
            kube::Error::Api(status) => Self::Refused { code: status.code, reason: status.reason.clone() },
            // What the network or TLS says: no server wrote it.
            kube::Error::Service(error) => Self::NoAnswer(chain(&*error)),
            kube::Error::HyperError(error) => Self::NoAnswer(chain(&error)),
            _ => Self::NoAnswer("what came is not an answer".to_owned()),
        }
    }
}

impl Election {
    /// Prepares the election for the Lease in the controller's own namespace; the answer is who is asked whether this
    /// replica leads.
    pub fn new(client: Client, settings: &Settings, metrics: Arc<Metrics>) -> (Self, Leadership) {
        let leadership = Leadership::none();
        let election = Self {
            api: Api::namespaced(client, &settings.namespace),
            me: settings.pod_name.clone(),
            times: settings.lease,
            leadership: leadership.clone(),
            metrics,
            observed: None,
            pulse: Pulse::new(),
            said: None,
        };
        (election, leadership)
    }

    /// What tells that the election goes on.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Takes part until `stop`, then gives the Lease back if it holds it. It does not end otherwise.
    pub async fn run(mut self, stop: CancellationToken) {
        let nudge = Arc::new(Notify::new());
        let watch = tokio::spawn(nudges(self.api.clone(), self.me.clone(), self.times, Arc::clone(&nudge)));
        loop {
            let pause = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                pause = self.step() => pause,
            };
            self.pulse.beat();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = nudge.notified() => {}
                () = sleep(pause) => {}
            }
        }
        watch.abort();
        self.release().await;
    }

    /// Looks, decides and acts once; the answer is how long to wait before the next step.
    async fn step(&mut self) -> Duration {
        // The process was stopped, or the machine slept: the Lease may be another's by now.
        self.stop_in_time();
        let outcome = match self.attempt().await {
            // Whoever wrote it may have been this very replica, whose answer got lost: look, and decide again.
            Err(StepError::Conflict) => {
                self.observed = self.observed.take().map(|observed| Observed { version: None, ..observed });
                self.look_and_attempt().await
            }
            outcome => outcome,
        };
        let retry = jittered(self.times.retry_period);
        let pause = match outcome {
            Ok(pause) => {
                self.said = None;
                pause.min(retry)
            }
            Err(error) => {
                self.complain(&error);
                retry
            }
        };
        self.stop_in_time();
        if self.leadership.leads() { pause.min(self.leadership.remaining(since_boot())) } else { pause }
    }

    /// A leader renews what it wrote last without a look; everybody else looks first.
    async fn attempt(&mut self) -> Result<Duration, StepError> {
        let known = self.observed.as_ref().is_some_and(|seen| seen.claim.holder == self.me && seen.version.is_some());
        if known && self.leadership.leads() { self.write().await } else { self.look_and_attempt().await }
    }

    fn stop_in_time(&self) {
        if self.leadership.leads() && !self.leadership.may_write() {
            self.lost("it was not renewed in time");
        }
    }

    /// Counts every error, and logs those that say something new.
    fn complain(&mut self, error: &StepError) {
        self.metrics.error(error.category());
        let now = since_boot();
        let text = error.to_string();
        let known =
            self.said.as_ref().is_some_and(|(before, at)| *before == text && now.saturating_sub(*at) < REMINDER);
        if !known {
            let leads = self.leadership.leads();
            tracing::warn!(error = text, leads, "the Lease was not read or not written; trying again");
            self.said = Some((text, now));
        }
    }

    async fn look_and_attempt(&mut self) -> Result<Duration, StepError> {
        let found = self.bounded(self.api.get_opt(LEASE)).await?;
        let now = since_boot();
        let before = self.observed.take();
        self.observed = match (found, before) {
            (Some(lease), before) => {
                let claim = Claim::of(lease.spec.as_ref(), self.times.duration);
                Some(Observed::again(before, claim, lease.metadata.resource_version, now))
            }
            (None, before) => before.map(|observed| Observed { version: None, ..observed }),
        };
        match decide(self.observed.as_ref(), now, &self.me) {
            Decision::Wait(left) => {
                self.lost("another replica holds it");
                Ok(left)
            }
            Decision::Take | Decision::Renew => self.write().await,
        }
    }

    /// Writes this replica into the Lease, on condition that it is as it was observed.
    async fn write(&mut self) -> Result<Duration, StepError> {
        // The others may count from the moment that the server has it; so this replica counts from before.
        let before = since_boot();
        let was = self.observed.as_ref().map(|observed| observed.claim.clone()).unwrap_or_default();
        let claim = was.taken_by(&self.me, self.times.duration, Timestamp::now());
        let version = self.observed.as_ref().and_then(|observed| observed.version.clone());
        let lease = self.lease(&claim, version.clone());
        let written = match version {
            Some(_) => self.bounded(self.api.replace(LEASE, &PostParams::default(), &lease)).await,
            None => self.bounded(self.api.create(&PostParams::default(), &lease)).await,
        };
        let written = match written {
            // It was deleted: the next step makes it anew, and until then nothing is lost.
            Err(StepError::Refused { code: 404, .. }) if lease.metadata.resource_version.is_some() => {
                self.observed = self.observed.take().map(|observed| Observed { version: None, ..observed });
                return Ok(Duration::ZERO);
            }
            written => written?,
        };
        let took = was.holder != self.me;
        self.observed = Some(Observed { claim, version: written.metadata.resource_version, since: before });
        let led = self.leadership.leads();
        self.leadership.extend(before + self.times.renew_deadline);
        self.metrics.leader(true);
        if !led {
            let transitions = self.observed.as_ref().map_or(0, |observed| observed.claim.transitions);
            tracing::info!(replica = self.me, transitions, took, "this replica leads");
        }
        Ok(self.times.retry_period)
    }

    fn lease(&self, claim: &Claim, version: Option<String>) -> Lease {
        let micro = |time: Timestamp| MicroTime(time);
        Lease {
            metadata: ObjectMeta {
                name: Some(LEASE.to_owned()),
                resource_version: version,
                labels: Some(BTreeMap::from([("app.kubernetes.io/name".to_owned(), "ageseal-controller".to_owned())])),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(claim.holder.clone()),
                lease_duration_seconds: Some(i32::try_from(claim.duration.as_secs()).unwrap_or(i32::MAX)),
                acquire_time: claim.acquired.map(micro),
                renew_time: claim.renewed.map(micro),
                lease_transitions: Some(claim.transitions),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Gives the Lease back, so that another replica takes it at once. Writing is over before that.
    async fn release(&mut self) {
        let held = self.leadership.lose();
        self.metrics.leader(false);
        if !held {
            return;
        }
        match timeout(RELEASE, self.give_back()).await {
            Ok(Ok(true)) => tracing::info!(replica = self.me, "gave the Lease back"),
            Ok(Ok(false)) => tracing::info!(replica = self.me, "another replica holds the Lease already"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not give the Lease back; the others wait for it to run out")
            }
            Err(_) => tracing::warn!("could not give the Lease back in time; the others wait for it to run out"),
        }
    }

    async fn give_back(&mut self) -> Result<bool, StepError> {
        // A renewal may have been under way when the loop was stopped: what is there now is what counts.
        let Some(lease) = self.api.get_opt(LEASE).await? else { return Ok(false) };
        let claim = Claim::of(lease.spec.as_ref(), self.times.duration);
        if claim.holder != self.me {
            return Ok(false);
        }
        let released =
            Claim { holder: String::new(), duration: Duration::from_secs(1), renewed: Some(Timestamp::now()), ..claim };
        let lease = self.lease(&released, lease.metadata.resource_version);
        self.api.replace(LEASE, &PostParams::default(), &lease).await?;
        Ok(true)
    }

    fn lost(&self, why: &'static str) {
        self.metrics.leader(false);
        if self.leadership.lose() {
            tracing::warn!(replica = self.me, why, "this replica leads no longer, and writes nothing");
        }
    }

    /// An answer that comes after the deadline is worth nothing; and one that hangs must leave time for a second try.
    async fn bounded<T>(&self, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, StepError> {
        let half = self.times.renew_deadline / 2;
        let patience = if self.leadership.leads() { half.min(self.leadership.remaining(since_boot())) } else { half };
        timeout(patience, request)
            .await
            .map_err(|_| StepError::NoAnswer("none in time".to_owned()))?
            .map_err(StepError::from)
    }
}

/// Watches the Lease, and nudges when it is nobody's, gone, or another's than before. What is in an event is not trusted:
/// it only means that a look is worth while. Without the right to watch, looking every retry period has to do.
async fn nudges(api: Api<Lease>, me: String, times: LeaseSettings, nudge: Arc<Notify>) {
    let parameters = WatchParams::default().fields(&format!("metadata.name={LEASE}")).timeout(WATCH_SECONDS);
    let mut holder: Option<String> = None;
    loop {
        // No version: the server begins with what is there now.
        if let Ok(events) = api.watch(&parameters, "").await {
            let mut events = std::pin::pin!(events);
            while let Some(Ok(event)) = events.next().await {
                let now = match event {
                    WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                        Claim::of(lease.spec.as_ref(), times.duration).holder
                    }
                    WatchEvent::Deleted(_) => String::new(),
                    WatchEvent::Bookmark(_) => continue,
                    WatchEvent::Error(_) => break,
                };
                if now != me && (now.is_empty() || holder.as_ref() != Some(&now)) {
                    nudge.notify_one();
                }
                holder = Some(now);
            }
        }
        sleep(jittered(times.retry_period)).await;
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    causes.join(": ")
}

/// Up to a fifth longer, so that replicas that were started at once do not ask at once for ever.
fn jittered(period: Duration) -> Duration {
    let fifth = u64::try_from(period.as_micros() / 5).unwrap_or(0);
    let more = if fifth == 0 { 0 } else { OsRng.next_u64() % fifth };
    period + Duration::from_micros(more)
}
