//! The client: how the controller reaches its API server.
//!
//! kube's own stack is not used, for four reasons. It answers 429 and 503 by trying again inside the client, up to a
//! quarter of an hour, while a document holds its worker; here every caller decides for itself. It leaves Nagle's algorithm
//! on. It notices a peer that vanished only when a watch was idle for five minutes; here TCP keep-alive does, in half a
//! minute, and watches live as long as they are wanted. And it waits for ever for an answer to begin.
//!
//! There are two ways to it. Most of what is asked goes over HTTP/1.1, a connection for each request under way: watches, of
//! which there may be more than a connection has streams, and the Lease, which must not stand in a line. Jobs are many and
//! short, and share one connection of HTTP/2 where the API server speaks it: a connection for each of them cost the API
//! server a TLS handshake, which takes it as long as a Secret does. Where there is no connection yet, jobs that begin at once
//! open one each, and all but the first to be there are given up; so the look for the custom resource goes over it first.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::KubeconfigError;
use kube::{Client, Config};
use thiserror::Error;
use tower::ServiceBuilder;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take to begin. A long list begins late; a watch begins at once.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a connection is silent before the peer is asked whether it is there, and how often it is asked.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long sent bytes may stay without acknowledgement.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// How often a connection of HTTP/2 with requests under way is asked whether it is there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(5);
const PONG: Duration = Duration::from_secs(15);
/// Connections that are kept for the next request, where each has its own; each holds some tens of kilobytes. While there is
/// work, few are idle.
const IDLE_CONNECTIONS: usize = 32;
/// How long they are kept: less than the three minutes after which API servers close them.
const IDLE: Duration = Duration::from_secs(60);

/// Why there is no client.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The kubeconfig that was asked for is not readable.
    #[error("the kubeconfig {0} cannot be read: set KUBECONFIG to one that can, or unset it in a pod")]
    Kubeconfig(PathBuf, #[source] std::io::Error),
    /// Neither way leads to an API server. kube's own words are left out, they may quote a kubeconfig.
    #[error(
        "no API server is known: KUBECONFIG names no usable kubeconfig, and this is not a pod with a service account; set KUBECONFIG, or mount a service account token"
    )]
    Nowhere,
    /// A proxy is asked for.
    #[error("the kubeconfig asks for a proxy, and this program speaks to the API server directly: remove proxy-url")]
    Proxy,
    /// The certificates, the token or the address do not do.
    #[error(
        "the certificates or credentials that belong to the API server {0} are not usable: compare with `kubectl version`"
    )]
    Credentials(String),
}

/// The ways to an API server.
pub struct Clients {
    /// A connection for each request under way: for watches, for the Lease, and for whatever is asked now and then.
    pub single: Client,
    /// One connection for many short requests at once, if the API server speaks HTTP/2; else as the other.
    pub shared: Client,
}

/// The clients for the API server of KUBECONFIG, or of the pod.
pub async fn connect() -> Result<Clients, ClientError> {
    let config = Config::infer().await.map_err(|error| {
        match error.source().and_then(|source| source.downcast_ref::<KubeconfigError>()) {
            Some(KubeconfigError::ReadConfig(io, path)) if std::env::var_os("KUBECONFIG").is_some() => {
                ClientError::Kubeconfig(path.clone(), std::io::Error::from(io.kind()))
            }
            _ => ClientError::Nowhere,
        }
    })?;
    if config.proxy_url.is_some() {
        return Err(ClientError::Proxy);
    }
    let unusable = |_| ClientError::Credentials(config.cluster_url.to_string());
    let single = config.rustls_https_connector_with_connector(sockets()).map_err(unusable)?;
    let single = client(&config, single).map_err(unusable)?;
    let shared = client(&config, either_http(&config)?).map_err(unusable)?;
    Ok(Clients { single, shared })
}

fn sockets() -> HttpConnector {
    let mut sockets = HttpConnector::new();
    sockets.enforce_http(false);
    sockets.set_nodelay(true);
    sockets.set_connect_timeout(Some(CONNECT));
    sockets.set_keepalive(Some(KEEPALIVE));
    sockets.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    sockets.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    #[cfg(target_os = "linux")]
    sockets.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    sockets
}

/// As kube connects, with HTTP/2 offered in the handshake (ALPN, RFC 7301).
fn either_http(config: &Config) -> Result<HttpsConnector<HttpConnector>, ClientError> {
    let unusable = || ClientError::Credentials(config.cluster_url.to_string());
    let tls = config.rustls_client_config().map_err(|_| unusable())?;
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    if let Some(name) = config.tls_server_name.clone() {
        let name = name.try_into().map_err(|_| unusable())?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    Ok(builder.enable_http1().enable_http2().wrap_connector(sockets()))
}

fn client(config: &Config, tls: HttpsConnector<HttpConnector>) -> Result<Client, kube::Error> {
    let http: Http<_, Body> = Http::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PONG)
        .build(tls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .timeout(ANSWER)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace.clone()).build())
}
