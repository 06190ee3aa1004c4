//! The cluster that a command names: the only part of the program that talks to an API server.
//!
//! Everything goes through the normal API with the rights of the user's own kubeconfig: no port-forward, no proxy, no
//! endpoint of the controller. One thread drives the requests, and it is made when a command first needs it, so that no
//! other command starts a millisecond later for it.
//!
//! Guarantees: of what the API server answers to a refused request only its code, its reason and the names of fields
//! are shown, because its messages quote values.

mod access;
pub mod controller;
pub mod documents;
mod error;
pub mod identities;
mod kubeconfig;
pub mod published;

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use ageseal::api::DEFAULT_NAMESPACE;
use ageseal::manifest::names::namespace_fault;
use kube::api::ListParams;
use kube::core::{ClusterResourceScope, NamespaceResourceScope, Resource};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

pub use access::Seen;
pub use error::{AskError, Asked, Refusal};

use crate::error::CliError;

/// Objects asked for at a time: a page of the largest documents stays below what the API server sends at once.
const PAGE: u32 = 500;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may be silent.
const ANSWER: Duration = Duration::from_secs(30);

/// The options of every command that names a cluster.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// The kubeconfig [default: KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The namespace that the controller runs in [default: ageseal-system]
    #[arg(long, value_name = "NAMESPACE")]
    pub controller_namespace: Option<String>,
}

/// A cluster, by one context of a kubeconfig.
pub struct Cluster {
    // The client's tasks live in the runtime: it goes last.
    client: Client,
    runtime: Runtime,
    context: String,
    namespace: String,
    seen: Seen,
}

impl Cluster {
    /// Reads the kubeconfig and makes a client; a credential plugin of the kubeconfig runs here. Nothing is asked of
    /// the cluster yet.
    ///
    /// # Errors
    /// No kubeconfig, an unknown context, credentials that cannot be read.
    pub fn connect(options: &Options) -> Result<Self, CliError> {
        let namespace = options.controller_namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        if let Some(fault) = namespace_fault(namespace) {
            return Err(CliError::usage(format!("--controller-namespace: the namespace {fault}")));
        }
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            CliError::input("a network client cannot be started here").cause(crate::error::io_fact(&error))
        })?;
        let chosen = kubeconfig::choose(options)?;
        let (mut config, context) = runtime.block_on(chosen.config())?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(ANSWER);
        let seen = Seen::of(&config);
        let client = {
            let _inside = runtime.enter();
            Client::try_from(config).map_err(|error| error::unusable(&context, &error))?
        };
        Ok(Self { client, runtime, context, namespace: namespace.to_owned(), seen })
    }

    /// The same cluster, with its controller in this namespace.
    #[must_use]
    pub fn within(self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self }
    }

    /// The name of the context.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The namespace of the controller.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How the cluster is reached, and by which certificates it proves that it is itself.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Refuses a cluster in whose place anybody on the way can answer: what is sent to it, and what comes from it, is
    /// then anybody's.
    ///
    /// Everything that carries a private key asks for it, and so does whatever believes a recipient.
    ///
    /// # Errors
    /// Nothing proves that an answer comes from the cluster.
    pub fn require_proof(&self) -> Result<(), CliError> {
        let Some(why) = self.seen.unproved else { return Ok(()) };
        Err(CliError::usage(format!("nothing proves that an answer comes from the cluster: {why}"))
            .detail(format!("address: {}", self.seen.address))
            .hint("have the kubeconfig name the cluster's certificate authority"))
    }

    /// Objects of a kind in a namespace.
    pub fn namespaced<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Objects of a kind that have no namespace.
    pub fn global<K>(&self) -> Api<K>
    where
        K: Resource<Scope = ClusterResourceScope, DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    /// Asks, and waits for the answer.
    pub fn ask<T>(&self, asked: &Asked, call: impl Future<Output = kube::Result<T>>) -> Result<T, AskError> {
        self.runtime.block_on(call).map_err(|error| AskError::of(asked, self, &error))
    }

    /// Asks for something that may not be there.
    pub fn find<T>(&self, asked: &Asked, call: impl Future<Output = kube::Result<T>>) -> Result<Option<T>, AskError> {
        match self.ask(asked, call) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.refusal == Refusal::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks the API server for a path outside of any kind of object, such as `/metrics`.
    pub fn text(&self, asked: &Asked, path: &str) -> Result<String, AskError> {
        let request = http::Request::get(path).body(vec![]).map_err(kube::Error::HttpError);
        self.ask(asked, async { self.client.request_text(request?).await })
    }

    /// Reads a list page by page, and hands each object over at once.
    ///
    /// # Errors
    /// Those of any page; what was handed over before is then not all.
    pub fn each<K>(
        &self,
        asked: &Asked,
        path: &str,
        labels: Option<&str>,
        mut take: impl FnMut(K),
    ) -> Result<(), AskError>
    where
        K: DeserializeOwned + Clone + Debug,
    {
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = labels.map(str::to_owned);
        loop {
            let page = self.ask(asked, async {
                let request = kube::core::Request::new(path).list(&params).map_err(kube::Error::BuildRequest)?;
                self.client.request::<Page<K>>(request).await
            })?;
            page.items.unwrap_or_default().into_iter().for_each(&mut take);
            match page.metadata.continue_ {
                Some(next) if !next.is_empty() => params.continue_token = Some(next),
                _ => return Ok(()),
            }
        }
    }

    /// Waits, up to a limit, until an answer is as wanted; asks again and again with a pause between.
    pub fn wait<T>(&self, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
        let start = std::time::Instant::now();
        loop {
            if let Some(found) = ask() {
                return Some(found);
            }
            if start.elapsed() >= limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(150));
        }
    }
}

/// A page of a list, read without a look at anything that is not asked for.
#[derive(serde::Deserialize)]
#[serde(bound = "K: DeserializeOwned")]
struct Page<K> {
    #[serde(default)]
    metadata: kube::core::ListMeta,
    /// An empty list of metadata is `null`.
    items: Option<Vec<K>>,
}
