//! The watches: documents, and the metadata of the Secrets made from them. Streams alone; no decisions.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ageseal::api::LABEL_MANAGED;
use futures::stream::{BoxStream, SelectAll, Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};

use crate::args::Settings;
use crate::doc::{Doc, Key};
use crate::index::Sight;
use crate::jitter::jittered;

/// How many documents a page of the first list has: a megabyte. The first Secrets are made while the second is read.
const PAGE: u32 = 125;

/// What a watch brings. `scope` numbers the namespaces that are watched apart from each other; there is one if all are.
#[derive(Debug)]
pub enum News<T> {
    /// A list begins anew.
    Begin {
        /// Which watch.
        scope: usize,
    },
    /// A member of that list.
    Listed {
        /// Which watch.
        scope: usize,
        /// The object.
        object: T,
    },
    /// The list is complete: what it did not hold is gone.
    Complete {
        /// Which watch.
        scope: usize,
    },
    /// An object is new or was changed.
    Changed {
        /// The object.
        object: T,
    },
    /// An object is gone.
    Gone {
        /// The object, as it last was.
        object: T,
    },
    /// The watch ended for a reason; it is begun again.
    Broken {
        /// Which watch.
        scope: usize,
        /// Whether the API server said that it may not be, or that there is no such thing.
        refused: bool,
    },
}

/// The metadata of a Secret, as far as it is kept.
#[derive(Debug)]
pub struct SecretSight {
    /// Its namespace and name.
    pub key: Key,
    /// The rest.
    pub sight: Sight,
}

/// All watches of one kind of object.
pub struct Watches<T> {
    streams: SelectAll<BoxStream<'static, News<T>>>,
    scopes: usize,
}

impl<T> Watches<T> {
    /// How many watches there are.
    pub fn scopes(&self) -> usize {
        self.scopes
    }
}

impl<T> Stream for Watches<T> {
    type Item = News<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.streams.poll_next_unpin(context)
    }
}

/// Watches the documents of every namespace that is served.
pub fn documents(client: &Client, settings: &Settings) -> Watches<Doc> {
    let config = watcher::Config::default().page_size(PAGE);
    let apis = if settings.namespaces.is_empty() {
        vec![Api::all(client.clone())]
    } else {
        settings.namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
    };
    watches(apis, |scope, api| {
        let events = watcher(api, config.clone());
        events.backoff(Soon::default()).map(move |event| news(scope, event)).boxed()
    })
}

/// Watches the metadata of the Secrets that carry our label; none if there is no drift watch.
pub fn secrets(client: &Client, settings: &Settings) -> Watches<SecretSight> {
    let config = watcher::Config::default().labels(LABEL_MANAGED);
    let apis: Vec<Api<PartialObjectMeta<Secret>>> = match (settings.drift_watch, settings.namespaces.is_empty()) {
        (false, _) => Vec::new(),
        (true, true) => vec![Api::all(client.clone())],
        (true, false) => settings.namespaces.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
    };
    watches(apis, |scope, api| {
        let events = watcher(api, config.clone()).modify(|secret| secret.metadata.managed_fields = None);
        let sights = events.map(|event| event.map(|event| map_event(event, SecretSight::of)));
        sights.backoff(Soon::default()).map(move |event| news(scope, event)).boxed()
    })
}

impl SecretSight {
    fn of(secret: PartialObjectMeta<Secret>) -> Self {
        let meta = secret.metadata;
        Self {
            key: Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default()),
            sight: Sight {
                uid: meta.uid.unwrap_or_default(),
                resource_version: meta.resource_version.unwrap_or_default(),
            },
        }
    }
}

/// The first wait after a watch broke.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// A watch that held this long may be begun again soon.
const HELD: Duration = Duration::from_secs(30);

/// A watch that breaks is begun again soon, and then less soon: what happens meanwhile is seen late.
///
/// Only time takes it back to the first wait. A watcher gives news of its own, "a list begins", before the API server has
/// answered anything, so news is no sign that it works.
#[derive(Default)]
pub(crate) struct Soon {
    broke: Option<(Duration, Instant)>,
}

impl Iterator for Soon {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = match self.broke {
            Some((wait, at)) if at.elapsed() < HELD => (wait * 2).min(LAST_WAIT),
            _ => FIRST_WAIT,
        };
        self.broke = Some((wait, Instant::now()));
        Some(jittered(wait))
    }
}

impl Backoff for Soon {
    fn reset(&mut self) {}
}

fn watches<K, T>(apis: Vec<Api<K>>, stream: impl Fn(usize, Api<K>) -> BoxStream<'static, News<T>>) -> Watches<T> {
    let scopes = apis.len();
    let streams = apis.into_iter().enumerate().map(|(scope, api)| stream(scope, api));
    Watches { streams: futures::stream::select_all(streams), scopes }
}

fn map_event<K, T>(event: Event<K>, map: impl Fn(K) -> T) -> Event<T> {
    match event {
        Event::Apply(object) => Event::Apply(map(object)),
        Event::Delete(object) => Event::Delete(map(object)),
        Event::InitApply(object) => Event::InitApply(map(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

fn news<T>(scope: usize, event: Result<Event<T>, watcher::Error>) -> News<T> {
    match event {
        Ok(Event::Init) => News::Begin { scope },
        Ok(Event::InitApply(object)) => News::Listed { scope, object },
        Ok(Event::InitDone) => News::Complete { scope },
        Ok(Event::Apply(object)) => News::Changed { object },
        Ok(Event::Delete(object)) => News::Gone { object },
        // What the error says is the API server's text, and the watch begins again by itself.
        Err(error) => News::Broken { scope, refused: is_refusal(&error) },
    }
}

fn is_refusal(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if [403, 404].contains(&status.code))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_list_that_begins_and_fails_is_tried_less_and_less_often() {
        // What a watcher says while the API server is away, again and again.
        let turns = stream::iter((0..100).flat_map(|_| [Ok(()), Err(())]));
        let broken = turns.backoff(Soon::default()).filter(|turn| std::future::ready(turn.is_err()));
        let start = tokio::time::Instant::now();
        let tries = broken.take_until(tokio::time::sleep(Duration::from_secs(60))).count().await;
        assert!((10..=30).contains(&tries), "{tries} tries in {:?}", start.elapsed());
    }
}
