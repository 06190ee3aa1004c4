//! The loop around all documents: what watches bring becomes records, records become jobs, jobs become writes.
//!
//! One task owns the index and the queue, so nothing is locked and nothing is decided twice. Jobs run beside it, each
//! with one document, at most [`Settings::workers`](crate::args::Settings) at once, and hand back what became of it.

mod ahead;
mod desk;
mod lists;
mod pace;
mod tell;

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::Client;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::args::Settings;
use crate::doc::Doc;
use crate::events::Events;
use crate::identities::RingReceiver;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::reconcile::Tools;
use crate::request::Requests;
use crate::watch::{News, documents, secrets};
use ahead::Ahead;
use desk::{Desk, Done};

/// How many documents are read ahead of the desk at most, and one more for each namespace that is served by name.
const AHEAD: usize = 8;
/// How old the first page may be when it is looked at. It waits for identities, which may be long in coming.
const STALE: Duration = Duration::from_secs(10);
/// How often counts are shown in the metrics.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// How long jobs that run may take to end after the call to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// What the loop stands on.
pub struct Context {
    /// A client of the API server, for the watches.
    pub client: Client,
    /// The one for jobs.
    pub shared: Client,
    /// The settings.
    pub settings: Arc<Settings>,
    /// The identities.
    pub ring: RingReceiver,
    /// Whether this replica may write.
    pub leadership: Leadership,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Where events are handed in.
    pub events: Events,
    /// Turns true after the first sync.
    pub ready: watch::Sender<bool>,
    /// Turns true as soon as some document's status names an identity: then there was one.
    pub used: watch::Sender<bool>,
}

/// Why the loop ended by itself.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A watch ended for good, which none does.
    #[error("the watch of documents ended")]
    WatchEnded,
}

/// The watch of documents, asked for before anybody is ready to look at one.
///
/// The API server takes a tenth of a second to find out that what it holds is the latest if anything was written just
/// before: the Lease, say. So this comes first, and what it brings waits; but not for long, or what was deleted or changed
/// meanwhile would be taken for what there is.
///
/// Source: consistent reads from the watch cache, KEP-2340.
pub struct Asked {
    client: Client,
    settings: Arc<Settings>,
    news: Ahead<News<Doc>>,
    scopes: usize,
    /// Since when the first page waits, until somebody looks at it.
    waits: Option<tokio::time::Instant>,
}

impl Asked {
    /// Asks for the first page.
    pub fn now(client: &Client, settings: &Arc<Settings>) -> Self {
        let watches = documents(client, settings);
        let scopes = watches.scopes();
        // Each says that it begins before it asks.
        let news = Ahead::of(watches, scopes + AHEAD);
        let waits = Some(tokio::time::Instant::now());
        Self { client: client.clone(), settings: Arc::clone(settings), news, scopes, waits }
    }

    /// What comes next. What waited too long is asked for again.
    async fn next(&mut self) -> Option<News<Doc>> {
        if self.waits.take().is_some_and(|since| since.elapsed() > STALE) {
            *self = Self { waits: None, ..Self::now(&self.client, &self.settings) };
        }
        self.news.next().await
    }
}

/// Serves the documents until `stop`.
///
/// Flow: everything is listed and watched, by leaders and standbys alike; only the leader starts jobs.
///
/// Guarantees: after `stop` no new job starts, and this returns when those that run have ended or had their time.
pub async fn run(context: Context, mut docs: Asked, stop: CancellationToken) -> Result<(), Error> {
    let mut sights = secrets(&context.client, &context.settings);
    let mut ring = context.ring.clone();
    let mut leads = context.leadership.receiver();
    let (done_sender, mut done) = mpsc::unbounded_channel::<Done>();
    let requests = Requests::new(context.shared.clone(), context.leadership.clone());
    let tools = Tools { requests, settings: Arc::clone(&context.settings), metrics: Arc::clone(&context.metrics) };
    let mut desk = Desk::new(context, Arc::new(tools), docs.scopes, sights.scopes(), done_sender);
    let mut count = tokio::time::interval(COUNT_EVERY);
    desk.set_ring(ring.borrow_and_update().clone());
    desk.set_leading(*leads.borrow_and_update());
    loop {
        desk.start_jobs();
        let appointment = desk.next_appointment();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(done) = done.recv() => desk.done(done),
            Ok(()) = leads.changed() => desk.set_leading(*leads.borrow_and_update()),
            Ok(()) = ring.changed() => desk.set_ring(ring.borrow_and_update().clone()),
            Some(news) = sights.next(), if sights.scopes() > 0 && desk.hears_of_secrets() => desk.secret(news),
            news = docs.next(), if desk.has_room() => match news {
                Some(news) => desk.document(news),
                None => return Err(Error::WatchEnded),
            },
            () = until(appointment) => desk.keep_appointments(Instant::now()),
            _ = count.tick() => desk.show_counts(),
        }
    }
    let drained = async {
        while desk.running() > 0 {
            match done.recv().await {
                Some(done) => desk.done(done),
                None => break,
            }
        }
    };
    // Whatever is cut off here is seen as it is by whoever leads next.
    let _ = tokio::time::timeout(DRAIN, drained).await;
    Ok(())
}

async fn until(appointment: Option<Instant>) {
    match appointment {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Response;
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// An API server whose first list holds `d1`, the next one `d2`; and how many lists it was asked for.
    fn lists() -> (Client, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let service = service_fn(move |_: http::Request<Body>| {
            let name = format!("d{}", count.fetch_add(1, Ordering::Relaxed) + 1);
            let metadata = json!({"namespace": "n", "name": name, "uid": name, "resourceVersion": "1"});
            let list =
                json!({"metadata": {"resourceVersion": "1", "continue": "more"}, "items": [{"metadata": metadata}]});
            async move { Ok::<_, std::io::Error>(Response::new(Body::from(list.to_string().into_bytes()))) }
        });
        (Client::new(service, "default"), asked)
    }

    /// The name of the first document, looked at after so long.
    async fn first_after(wait: Duration) -> String {
        let (client, lists) = lists();
        let mut asked = Asked::now(&client, &Arc::new(Settings::default()));
        tokio::time::sleep(wait).await;
        assert!(lists.load(Ordering::Relaxed) > 0, "nothing was asked for yet");
        let Some(News::Begin { scope: 0 }) = asked.next().await else { panic!("a list begins first") };
        match asked.next().await {
            Some(News::Listed { object, .. }) => object.key().name().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_namespace_is_asked_for_at_once() {
        let (client, lists) = lists();
        let namespaces = (0..20).map(|number| format!("n{number}")).collect();
        let _asked = Asked::now(&client, &Arc::new(Settings { namespaces, ..Settings::default() }));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(lists.load(Ordering::Relaxed) >= AHEAD, "{lists:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_page_that_waited_long_is_asked_for_again() {
        assert_eq!(first_after(STALE / 2).await, "d1");
        // Pages were read ahead; what comes is none of them.
        let name = first_after(STALE * 2).await;
        assert_ne!(name, "d1");
    }
}
