//! The port that the kubelet and Prometheus talk to: `/livez`, `/readyz`, `/metrics`, and nothing else.
//!
//! # Guarantees
//!
//! Everything is read-only and says nothing that is secret, so the port needs no credentials. A client that is slow, or
//! many of them, cost a bounded number of connections for a bounded time: one request a connection, headers within ten
//! seconds, all of it within thirty.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::metrics::{CONTENT_TYPE, Metrics};

/// How many connections there are at once; more wait in the queue of the socket.
const CONNECTIONS: usize = 64;
/// How long a client may take to send its headers.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a connection lasts at most.
const CONNECTION: Duration = Duration::from_secs(30);
/// The most that the headers of a request take, in bytes.
const BUFFER: usize = 16 * 1024;

/// A question that `/livez` or `/readyz` asks.
pub struct Check {
    /// What it is about, in a word or two.
    name: &'static str,
    /// The answer: `Err` is the reason why not.
    ask: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Check {
    /// A check that is asked again for every answer; it must not wait for anything.
    pub fn new(name: &'static str, ask: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name, ask: Box::new(ask) }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

/// What the port answers with.
#[derive(Debug)]
pub struct Answers {
    /// What `/livez` asks.
    pub live: Vec<Check>,
    /// What `/readyz` asks.
    pub ready: Vec<Check>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
}

/// Serves for as long as the process lives.
pub async fn serve(listener: TcpListener, answers: Arc<Answers>) {
    let routes = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(answers);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS).keep_alive(false).max_buf_size(BUFFER);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // No file descriptor is left, say. It passes, or the liveness probe ends it.
            Err(error) => {
                tracing::warn!(%error, "could not take a connection to the port of the probes");
                sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes.clone()));
        tokio::spawn(async move {
            // Whatever goes wrong is the client's.
            let _ = timeout(CONNECTION, connection).await;
            drop(place);
        });
    }
}

type Plain = (StatusCode, [(header::HeaderName, HeaderValue); 2], String);

async fn livez(State(answers): State<Arc<Answers>>) -> Plain {
    checked(&answers.live)
}

async fn readyz(State(answers): State<Arc<Answers>>) -> Plain {
    checked(&answers.ready)
}

async fn metrics(State(answers): State<Arc<Answers>>) -> Plain {
    plain(StatusCode::OK, CONTENT_TYPE, answers.metrics.encode())
}

/// One line a check, `[+]` or `[-]` and the reason; the last line is the answer.
fn checked(checks: &[Check]) -> Plain {
    let mut text = String::new();
    let mut all = true;
    for check in checks {
        let written = match (check.ask)() {
            Ok(()) => writeln!(text, "[+] {}", check.name),
            Err(reason) => {
                all = false;
                writeln!(text, "[-] {}: {reason}", check.name)
            }
        };
        written.expect("writing into a String never ends early");
    }
    text.push_str(if all { "ok\n" } else { "not ok\n" });
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    plain(status, "text/plain; charset=utf-8", text)
}

fn plain(status: StatusCode, kind: &'static str, text: String) -> Plain {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    (status, [kind, (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], text)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn started(ready: Arc<AtomicBool>) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Answers {
            live: vec![],
            ready: vec![
                Check::new("always", || Ok(())),
                Check::new("the switch", move || {
                    ready.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "it is off".to_owned())
                }),
            ],
            metrics: Arc::new(Metrics::new()),
        };
        tokio::spawn(serve(listener, Arc::new(answers)));
        address
    }

    async fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await
    }

    #[tokio::test]
    async fn the_answers_say_what_holds_and_what_does_not() {
        let ready = Arc::new(AtomicBool::new(false));
        let address = started(Arc::clone(&ready)).await;
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\n[+] always\n[-] the switch: it is off\nnot ok\n"), "{answer}");
        ready.store(true, Ordering::Relaxed);
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\n[+] always\n[+] the switch\nok\n"), "{answer}");
        assert!(get(address, "/livez").await.ends_with("\r\n\r\nok\n"));
        let answer = get(address, "/metrics").await;
        assert!(
            answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
            "{answer}"
        );
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }

    #[tokio::test]
    async fn there_is_nothing_else_and_nothing_can_be_written() {
        let address = started(Arc::new(AtomicBool::new(true))).await;
        for path in ["/", "/healthz", "/readyz/", "/metrics/x", "/debug/pprof", "/log-level"] {
            let answer = get(address, path).await;
            assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
            let answer = ask(address, &format!("{method} /readyz HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_clients_do_not_keep_the_port_from_others() {
        let address = started(Arc::new(AtomicBool::new(true))).await;
        let mut slow = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /livez HT").await.unwrap();
            slow.push(stream);
        }
        assert!(get(address, "/livez").await.ends_with("ok\n"));
        for mut stream in slow {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(!answer.starts_with(b"HTTP/1.1 200"));
        }
    }

    #[tokio::test]
    async fn headers_without_end_are_refused() {
        let address = started(Arc::new(AtomicBool::new(true))).await;
        let long = "a".repeat(2 * BUFFER);
        let answer = ask(address, &format!("GET /livez HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}
