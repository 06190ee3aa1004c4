//! A client with nothing around it: requests that were written before the clock started, answered as bytes.
//!
//! The ceiling is measured with it, and what the bench itself asks for inside a measured time. Sockets are without
//! Nagle's algorithm, as the controller's are; kube's own are with it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tower::ServiceBuilder;

/// The answer to a write is the metadata alone, as the controller asks for it.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// How long an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(60);

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    content_type: &'static str,
    body: Bytes,
}

impl Call {
    /// A new object in a collection.
    pub(crate) fn create(path: &str, body: Bytes) -> Self {
        Self { method: Method::POST, path: path.to_owned(), content_type: "application/json", body }
    }

    /// An object in the place of the one that is there.
    pub(crate) fn replace(path: &str, body: Bytes) -> Self {
        Self { method: Method::PUT, path: path.to_owned(), content_type: "application/json", body }
    }

    /// A server-side apply by the field manager `bare`.
    pub(crate) fn apply(path: &str, body: Bytes) -> Self {
        let path = format!("{path}?fieldManager=bare&force=true");
        Self { method: Method::PATCH, path, content_type: "application/apply-patch+yaml", body }
    }

    /// A merge patch by the field manager `bare`.
    pub(crate) fn merge(path: &str, body: Bytes) -> Self {
        let path = format!("{path}?fieldManager=bare");
        Self { method: Method::PATCH, path, content_type: "application/merge-patch+json", body }
    }

    /// The end of an object.
    pub(crate) fn delete(path: &str) -> Self {
        let body = Bytes::from_static(br#"{"propagationPolicy":"Background"}"#);
        Self { method: Method::DELETE, path: path.to_owned(), content_type: "application/json", body }
    }

    /// The object, or the collection, with all that is in it.
    fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), content_type: "application/json", body: Bytes::new() }
    }
}

/// The client.
#[derive(Clone)]
pub(crate) struct Bare(Client);

impl Bare {
    /// A client for the user of a kubeconfig.
    ///
    /// # Panics
    /// If the kubeconfig is not one.
    pub(crate) async fn new(kubeconfig: &Path) -> Self {
        let file = Kubeconfig::read_from(kubeconfig).unwrap_or_else(|e| panic!("{}: {e}", kubeconfig.display()));
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        let config = config.unwrap_or_else(|e| panic!("{}: {e}", kubeconfig.display()));
        let mut sockets = HttpConnector::new();
        sockets.enforce_http(false);
        sockets.set_nodelay(true);
        let tls = config.rustls_https_connector_with_connector(sockets);
        let tls = tls.unwrap_or_else(|e| panic!("{}: {e}", kubeconfig.display()));
        let http: Http<_, Body> = Http::builder(TokioExecutor::new()).pool_max_idle_per_host(128).build(tls);
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer().unwrap_or_else(|e| panic!("{}: {e}", kubeconfig.display())))
            .timeout(ANSWER)
            .service(http);
        Self(ClientBuilder::new(service, config.default_namespace).build())
    }

    /// Sends a request and gives the metadata of the object that it answers with.
    ///
    /// # Panics
    /// If there is no answer, or one that says no: figures over requests that were refused are none.
    pub(crate) async fn send(&self, call: &Call) -> Bytes {
        self.ask(call, METADATA_ONLY).await
    }

    /// An object or a collection as JSON, whole.
    ///
    /// # Panics
    /// As [`Bare::send`], and if it is not JSON.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.ask(&Call::get(path), "application/json").await;
        serde_json::from_slice(&answer).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    async fn ask(&self, call: &Call, accept: &str) -> Bytes {
        loop {
            let request = Request::builder().method(call.method.clone()).uri(&call.path);
            let request = request.header(header::ACCEPT, accept).header(header::CONTENT_TYPE, call.content_type);
            let request = request.body(Body::from(call.body.clone())).expect("its parts were written here");
            let answer = self.0.send(request).await.unwrap_or_else(|e| panic!("{} {}: {e}", call.method, call.path));
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.unwrap_or_else(|e| panic!("{} {}: {e}", call.method, call.path)).to_bytes();
            match parts.status.as_u16() {
                200..300 => return body,
                // Priority and fairness says when: its second is not a client's to be quicker than.
                429 => tokio::time::sleep(Duration::from_secs(1)).await,
                code => panic!("{} {}: {code} {}", call.method, call.path, String::from_utf8_lossy(&body)),
            }
        }
    }

    /// Sends chains of requests, so many chains at a time and one after the other in each, and gives what that took
    /// and the answers to the last request of each chain.
    ///
    /// # Panics
    /// As [`Bare::send`].
    pub(crate) async fn send_all(&self, chains: Vec<Vec<Call>>, at_once: usize) -> (Duration, Vec<Bytes>) {
        let chains = Arc::new(chains);
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        let start = Instant::now();
        for _ in 0..at_once {
            let (client, chains, next) = (self.clone(), Arc::clone(&chains), Arc::clone(&next));
            tasks.spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(chain) = chains.get(number) else { return answers };
                    let mut answer = Bytes::new();
                    for call in chain {
                        answer = client.send(call).await;
                    }
                    answers.push((number, answer));
                }
            });
        }
        let mut answers: Vec<(usize, Bytes)> = tasks.join_all().await.concat();
        let took = start.elapsed();
        answers.sort_by_key(|(number, _)| *number);
        (took, answers.into_iter().map(|(_, answer)| answer).collect())
    }
}
