//! The process: what is started, in which order it ends, and with which exit code.
//!
//! # Flow
//!
//! 1. The port of the probes is opened, so that `/readyz` says from the start what is waited for.
//! 2. The election, the identities and the events begin at once; the documents as soon as the API server knows their kind.
//! 3. The first SIGTERM or SIGINT: `/readyz` says no; documents and identities finish what they began; the Lease is given
//!    back; the exit code is 0. A second signal ends the process at once, with another code.
//! 4. A task that ends by itself ends the process, with the reason in the log and a code that is not 0: half a controller is
//!    worse than none, because nobody restarts it.

mod client;
mod hardening;
mod kind;
mod signals;

use std::error::Error as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Answers, Check};
use crate::args::Settings;
use crate::documents;
use crate::events::Events;
use crate::identities::{self, IdentityHealth};
use crate::lease::{Election, Pulse};
use crate::logging::{self, Levels};
use crate::metrics::Metrics;
pub use client::ClientError;
use client::Clients;
use kind::Kind;
use signals::Signals;

/// How long documents and identities may take to finish after the first signal. With the time that the Lease takes it stays
/// below the 30 seconds that Kubernetes gives a pod.
const DRAIN: Duration = Duration::from_secs(22);
/// How long the election may take to give the Lease back.
const HAND_OVER: Duration = Duration::from_secs(4);
/// The least time without a step of the election after which `/livez` says so.
const STUCK: Duration = Duration::from_secs(60);

/// Why the process ends with a code that is not 0.
#[derive(Debug, Error)]
enum Fault {
    #[error("the threads of the program cannot be started")]
    Threads(#[source] std::io::Error),
    #[error("the port of the probes, {0}, cannot be opened: choose another with --listen")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    #[error("signals cannot be listened to")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the task for {0} ended by itself")]
    Ended(&'static str),
    #[error("the task for {0} cannot go on")]
    Task(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("a task was stopped from outside")]
    Stopped(#[source] JoinError),
    #[error("a second signal came; what was under way is left to the next leader")]
    Aborted,
    #[error("what was under way did not finish within {DRAIN:?}; it is left to the next leader")]
    Drain,
}

/// What a task of the process ends with.
type Ended = (&'static str, Result<(), Box<dyn std::error::Error + Send + Sync>>);

/// Runs the controller as the arguments of the process say, and gives its exit code: 0 after a signal, 2 for wrong
/// arguments, 1 for everything else.
pub fn main() -> ExitCode {
    let settings = match Settings::from_process() {
        Ok(settings) => settings,
        Err(text) => {
            // Help goes to standard output, errors to standard error; if neither takes it, the code still tells.
            let _ = text.print();
            return ExitCode::from(u8::try_from(text.exit_code()).unwrap_or(2));
        }
    };
    hardening::no_core_files();
    logging::start(&settings.log_level.parse::<Levels>().unwrap_or_default());
    match start(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            tracing::error!(error = %chain(&fault), "the controller ends");
            ExitCode::FAILURE
        }
    }
}

fn start(settings: Settings) -> Result<(), Fault> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        // Opening is nothing but work for a processor: more threads than processors only take memory.
        .max_blocking_threads(threads.max(2))
        .enable_all()
        .build()
        .map_err(Fault::Threads)?;
    let outcome = runtime.block_on(run(Arc::new(settings), threads));
    // Not dropped: that would wait for work that a second signal has just given up.
    runtime.shutdown_background();
    outcome
}

async fn run(settings: Arc<Settings>, threads: usize) -> Result<(), Fault> {
    let mut signals = Signals::listen().map_err(Fault::Signals)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        replica = settings.pod_name,
        namespace = settings.namespace,
        namespaces = settings.namespaces.join(","),
        drift_watch = settings.drift_watch,
        workers = settings.workers,
        backup_recipients = settings.backup_recipients.len(),
        threads,
        "starting"
    );
    if settings.backup_recipients.is_empty() {
        tracing::warn!(
            "without --backup-recipient no identity is backed up: whoever loses this namespace loses what is sealed for it"
        );
    }
    let metrics = Arc::new(Metrics::new());
    let listener = TcpListener::bind(settings.listen).await.map_err(|error| Fault::Listen(settings.listen, error))?;
    let Clients { single: client, shared } = client::connect().await?;

    let (election, leadership) = Election::new(client.clone(), &settings, Arc::clone(&metrics));
    let (events, poster) = Events::new(client.clone(), &settings.pod_name, Arc::clone(&metrics));
    let kind = Arc::new(Kind::new());
    let synced = watch::Sender::new(false);
    let used = watch::Sender::new(false);
    let (ring, rings) = watch::channel(None);
    let (health, healths) = watch::channel(IdentityHealth::Starting);
    let draining = CancellationToken::new();
    let leading = CancellationToken::new();

    let answers = Answers {
        live: vec![alive(election.pulse(), &settings)],
        ready: readiness(&draining, &kind, &synced, healths),
        metrics: Arc::clone(&metrics),
    };
    let mut work = JoinSet::new();
    let mut frame = JoinSet::new();
    frame.spawn(named("the probes", endless(admin::serve(listener, Arc::new(answers)))));
    frame.spawn(named("the election", endless(election.run(leading.clone()))));
    frame.spawn(named("events", endless(poster.run(leading.clone()))));
    let context = identities::Context {
        client: client.clone(),
        settings: Arc::clone(&settings),
        leadership: leadership.clone(),
        metrics: Arc::clone(&metrics),
        events: events.clone(),
        ring,
        health,
        synced: synced.subscribe(),
        used: used.subscribe(),
    };
    let stop = draining.clone();
    work.spawn(named("identities", async move { Ok(identities::run(context, stop).await?) }));
    let context = documents::Context {
        client: client.clone(),
        shared,
        settings: Arc::clone(&settings),
        ring: rings,
        leadership,
        metrics: Arc::clone(&metrics),
        events,
        ready: synced,
        used,
    };
    work.spawn(named("documents", serve_documents(kind, context, draining.clone())));

    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "stopping: no new work is begun"),
        Some(ended) = work.join_next() => return Err(fault(ended)),
        Some(ended) = frame.join_next() => return Err(fault(ended)),
    }
    draining.cancel();
    let drained = tokio::select! {
        drained = finish(&mut work, DRAIN) => drained,
        Some(ended) = frame.join_next() => return Err(fault(ended)),
        _ = signals.next() => return Err(Fault::Aborted),
    };
    // Whatever did not finish must not write after the Lease is another's.
    work.abort_all();
    leading.cancel();
    tokio::select! {
        _ = hand_over(&mut frame) => {}
        _ = signals.next() => return Err(Fault::Aborted),
    }
    drained?;
    tracing::info!("stopped");
    Ok(())
}

/// The documents, once there can be any. The first page is asked for beside the look whether there is such a thing; and that
/// look opens the connection that all jobs share.
async fn serve_documents(
    kind: Arc<Kind>,
    context: documents::Context,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let ask = || documents::Asked::now(&context.client, &context.settings);
    let mut asked = ask();
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        looks = kind.wait(&context.shared, &context.settings) => {
            if looks > 1 {
                asked = ask();
            }
        }
    }
    Ok(documents::run(context, asked, stop).await?)
}

/// `/readyz`: this replica could serve, whether it leads or not.
fn readiness(
    draining: &CancellationToken,
    kind: &Arc<Kind>,
    synced: &watch::Sender<bool>,
    healths: watch::Receiver<IdentityHealth>,
) -> Vec<Check> {
    let (draining, kind, synced) = (draining.clone(), Arc::clone(kind), synced.subscribe());
    let not_stopping = move || if draining.is_cancelled() { Err("a signal asked to stop".to_owned()) } else { Ok(()) };
    let synced = move || if *synced.borrow() { Ok(()) } else { Err("not all of them were read yet".to_owned()) };
    vec![
        Check::new("not stopping", not_stopping),
        Check::new("custom resource", move || kind.ready()),
        Check::new("documents", synced),
        Check::new("identities", move || healthy(*healths.borrow())),
    ]
}

fn healthy(health: IdentityHealth) -> Result<(), String> {
    if health == IdentityHealth::Ok { Ok(()) } else { Err(health.to_string()) }
}

/// `/livez`: the election takes a step every retry period, whatever the API server does. If it takes none for long, the
/// process hangs, and a restart is the cure.
fn alive(pulse: Pulse, settings: &Settings) -> Check {
    let limit = STUCK.max(settings.lease.duration * 4);
    Check::new("election", move || {
        let silent = pulse.silent();
        if silent > limit { Err(format!("no step for {} s", silent.as_secs())) } else { Ok(()) }
    })
}

async fn named(
    name: &'static str,
    task: impl Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>>,
) -> Ended {
    (name, task.await)
}

async fn endless(task: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    task.await;
    Ok(())
}

/// Waits for the end of all tasks; the first that ends badly is the answer.
async fn finish(tasks: &mut JoinSet<Ended>, within: Duration) -> Result<(), Fault> {
    let deadline = Instant::now() + within;
    let mut outcome = Ok(());
    loop {
        match timeout_at(deadline, tasks.join_next()).await {
            Err(_) => return Err(Fault::Drain),
            Ok(None) => return outcome,
            Ok(Some(Ok((_, Ok(()))))) => {}
            Ok(Some(ended)) => outcome = outcome.and(Err(fault(ended))),
        }
    }
}

/// Waits until the election gave the Lease back. The probes are served until the end of the process.
async fn hand_over(frame: &mut JoinSet<Ended>) {
    let deadline = Instant::now() + HAND_OVER;
    while frame.len() > 1 {
        if timeout_at(deadline, frame.join_next()).await.is_err() {
            return;
        }
    }
}

fn fault(ended: Result<Ended, JoinError>) -> Fault {
    match ended {
        Ok((name, Ok(()))) => Fault::Ended(name),
        Ok((name, Err(source))) => Fault::Task(name, source),
        Err(error) => Fault::Stopped(error),
    }
}

fn chain(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
