//! Secrets as they appear, change and go: a watch of their metadata with the moment at which each event came.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What the watch says of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Its name.
    pub(crate) name: String,
    /// Its UID.
    pub(crate) uid: String,
    /// Its resourceVersion.
    pub(crate) version: String,
    /// Whether it is gone.
    pub(crate) gone: bool,
    /// When the event came.
    pub(crate) at: Instant,
}

/// What is waited for: of that Secret, an event that fits.
pub(crate) type Wanted<'a> = (&'a str, Box<dyn Fn(&Sight) -> bool + 'a>);

/// The watch. It ends when it is dropped.
pub(crate) struct Sights {
    events: mpsc::UnboundedReceiver<Sight>,
    known: HashMap<String, Sight>,
    task: JoinHandle<()>,
}

impl Drop for Sights {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sights {
    /// Watches the Secrets of a namespace, and returns when all that are there are known.
    ///
    /// # Panics
    /// If the API server refuses.
    pub(crate) async fn open(client: Client, namespace: &str) -> Self {
        let (sender, mut events) = mpsc::unbounded_channel();
        let (begun, ready) = tokio::sync::oneshot::channel();
        let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client, namespace);
        let task = tokio::spawn(async move {
            let mut begun = Some(begun);
            let mut watch = std::pin::pin!(watcher(api, Config::default()));
            while let Some(event) = watch.next().await {
                let at = Instant::now();
                let sight = match event.unwrap_or_else(|e| panic!("watch of Secrets: {e}")) {
                    Event::Apply(secret) | Event::InitApply(secret) => sight(secret, false, at),
                    Event::Delete(secret) => sight(secret, true, at),
                    Event::Init => continue,
                    Event::InitDone => {
                        begun.take().map(|begun| begun.send(()));
                        continue;
                    }
                };
                if sender.send(sight).is_err() {
                    return;
                }
            }
        });
        ready.await.unwrap_or_else(|_| panic!("the watch of Secrets ended before it began"));
        let mut known = HashMap::new();
        while let Ok(sight) = events.try_recv() {
            known.insert(sight.name.clone(), sight);
        }
        Self { events, known, task }
    }

    /// The Secret of that name, as last seen by a call of these.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn of(&self, name: &str) -> Sight {
        let sight = self.known.get(name).filter(|sight| !sight.gone).cloned();
        sight.unwrap_or_else(|| panic!("there is no Secret {name}"))
    }

    /// Takes in what came until now, so that nothing old is taken for an answer.
    pub(crate) fn catch_up(&mut self) {
        while let Ok(sight) = self.events.try_recv() {
            self.known.insert(sight.name.clone(), sight);
        }
    }

    /// Waits for these events, and gives the moments at which they came.
    ///
    /// # Panics
    /// If one does not come within this time.
    pub(crate) async fn wait<const N: usize>(&mut self, within: Duration, wanted: [Wanted<'_>; N]) -> [Instant; N] {
        let mut came = [None; N];
        let all = async {
            while came.contains(&None) {
                let sight = self.events.recv().await.unwrap_or_else(|| panic!("the watch of Secrets ended"));
                for ((name, fits), came) in wanted.iter().zip(&mut came) {
                    if came.is_none() && sight.name == *name && fits(&sight) {
                        *came = Some(sight.at);
                    }
                }
                self.known.insert(sight.name.clone(), sight);
            }
        };
        if tokio::time::timeout(within, all).await.is_err() {
            let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
            panic!("the Secrets {names:?}: not within {within:?}");
        }
        came.map(|at| at.expect("the loop ends when all came"))
    }
}

fn sight(secret: PartialObjectMeta<Secret>, gone: bool, at: Instant) -> Sight {
    let meta = secret.metadata;
    Sight {
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        version: meta.resource_version.unwrap_or_default(),
        gone,
        at,
    }
}
