//! Requests to the API server, and what of its answers may be known.
//!
//! The messages of the API server quote what it refuses: a bad registry password comes back as `invalid character 'h'`.
//! So an answer that is an error is boiled down here, once, to a code, a reason and the fields that it names. Nothing else
//! in the controller ever sees its text.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::capture_connection;
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use ageseal::api::FIELD_MANAGER;

use crate::doc::Doc;
use crate::facts::SecretFacts;
use crate::lease::Leadership;
use crate::status::Patch;

/// How long one answer may take. A request that hangs is given up: whatever it did is seen at the next look.
const PATIENCE: Duration = Duration::from_secs(30);
/// The answer to a write is the metadata alone: a Secret's data is not sent back.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
pub(crate) const JSON: &str = "application/json";

/// Why a request did not do what it should.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The API server said no.
    #[error("the API server answered {0}")]
    Refused(Refusal),
    /// There was no answer: no connection, or none in time.
    #[error("the API server gives no answer")]
    NoAnswer,
    /// The answer is not one that an API server gives.
    #[error("the answer of the API server is not understood")]
    Unreadable,
    /// This replica does not lead, or its lead may have ended: it writes nothing.
    #[error("this replica does not lead")]
    NotLeading,
}

/// An answer of the API server that says no, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status code.
    pub code: u16,
    /// The API server's one-word reason; empty if it gave none, or something that is no word.
    pub reason: String,
    /// The fields that it names, without what stands in them.
    pub fields: Vec<String>,
    /// What follows from it.
    pub kind: RefusalKind,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.reason.is_empty() {
            write!(f, " {}", self.reason)?;
        }
        if !self.fields.is_empty() {
            write!(f, " ({})", self.fields.join(", "))?;
        }
        Ok(())
    }
}

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The object is not as it was when we looked: look again.
    Conflict,
    /// Another field manager owns the fields.
    FieldConflict,
    /// There is no such object, or no such kind.
    NotFound,
    /// The API server is busy, or a part of it is down: try again.
    Later,
    /// The namespace is going.
    Terminating,
    /// The controller's Role does not allow it.
    Forbidden,
    /// A quota is exhausted.
    Quota,
    /// The field cannot be changed.
    Immutable,
    /// The object is too large.
    TooLarge,
    /// Validation or a webhook said no.
    Rejected,
}

/// What the controller asks of an API server.
#[derive(Clone)]
pub struct Requests {
    client: Client,
    leadership: Leadership,
    patience: Duration,
}

/// An object in an answer: its metadata, as far as whoever asks looks at it.
#[derive(Deserialize)]
struct Answer<M> {
    metadata: M,
}

/// What is looked at of an object that was written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// Its resourceVersion since then.
    pub resource_version: Option<String>,
}

impl Requests {
    /// Requests by this client. Whatever writes is sent only while `leadership` allows it.
    pub fn new(client: Client, leadership: Leadership) -> Self {
        Self { client, leadership, patience: PATIENCE }
    }

    /// The metadata of a Secret, or nothing.
    pub async fn secret<M: DeserializeOwned>(&self, namespace: &str, name: &str) -> Result<Option<M>, RequestError> {
        let answer = self.call(Method::GET, &secret_path(namespace, name), None, METADATA_ONLY, Bytes::new()).await;
        Ok(found(answer)?.map(|secret: Answer<M>| secret.metadata))
    }

    /// A document, or nothing.
    pub async fn document(&self, namespace: &str, name: &str) -> Result<Option<Doc>, RequestError> {
        found(self.call(Method::GET, &document_path(namespace, name), None, JSON, Bytes::new()).await)
    }

    /// Applies a Secret server-side.
    pub async fn apply_secret(&self, secret: ApplySecret<'_>) -> Result<SecretFacts, RequestError> {
        let mut path = secret_path(secret.namespace, secret.name);
        path.push_str("?fieldManager=");
        path.push_str(FIELD_MANAGER);
        path.push_str(if secret.force { "&force=true" } else { "&force=false" });
        if secret.dry_run {
            path.push_str("&dryRun=All");
        }
        self.write(Method::PATCH, &path, Some("application/apply-patch+yaml"), secret.body).await
    }

    /// Merges a patch without plaintext into a Secret.
    pub async fn merge_secret(
        &self,
        namespace: &str,
        name: &str,
        patch: &serde_json::Value,
    ) -> Result<SecretFacts, RequestError> {
        let path = format!("{}?fieldManager={FIELD_MANAGER}", secret_path(namespace, name));
        self.write(Method::PATCH, &path, Some("application/merge-patch+json"), json(patch)).await
    }

    /// Deletes exactly this Secret as it was seen.
    pub async fn delete_secret(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        resource_version: &str,
    ) -> Result<(), RequestError> {
        let options = serde_json::json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        });
        self.delete(&secret_path(namespace, name), json(&options)).await
    }

    /// Deletes what these options name. The answer is not looked at: it is the object, or a word.
    pub(crate) async fn delete(&self, path: &str, options: Bytes) -> Result<(), RequestError> {
        self.while_leading(self.call::<Ignored>(Method::DELETE, path, Some(JSON), METADATA_ONLY, options))
            .await
            .map(drop)
    }

    /// Merges a patch into the status of a document.
    pub async fn patch_status(&self, namespace: &str, name: &str, patch: &Patch<'_>) -> Result<Written, RequestError> {
        let path = format!("{}/status?fieldManager={FIELD_MANAGER}", document_path(namespace, name));
        self.write(Method::PATCH, &path, Some("application/merge-patch+json"), json(patch)).await
    }

    /// Merges a patch into a document's metadata.
    pub async fn patch_document(
        &self,
        namespace: &str,
        name: &str,
        patch: &serde_json::Value,
    ) -> Result<Written, RequestError> {
        let path = format!("{}?fieldManager={FIELD_MANAGER}", document_path(namespace, name));
        self.write(Method::PATCH, &path, Some("application/merge-patch+json"), json(patch)).await
    }

    /// Sends a request that writes while this replica leads. What was not sent by the end of the lead is not sent after it;
    /// what was has no answer.
    async fn while_leading<T>(
        &self,
        request: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, RequestError> {
        let ended = async {
            loop {
                let left = self.leadership.left();
                if left.is_zero() {
                    return;
                }
                // It may have been renewed meanwhile.
                tokio::time::sleep(left.min(PATIENCE)).await;
            }
        };
        if !self.leadership.may_write() {
            return Err(RequestError::NotLeading);
        }
        tokio::select! {
            biased;
            () = ended => Err(RequestError::NoAnswer),
            answer = request => answer,
        }
    }

    pub(crate) async fn write<M: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<M, RequestError> {
        let answer = self.while_leading(self.call(method, path, content_type, METADATA_ONLY, body)).await;
        answer.map(|object: Answer<M>| object.metadata)
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        accept: &'static str,
        body: Bytes,
    ) -> Result<T, RequestError> {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        // Names come from the API server itself and are DNS names, so this is always a request.
        let mut request = request.body(Body::from(body)).map_err(|_| RequestError::Unreadable)?;
        let line = capture_connection(&mut request);
        let exchange = async {
            let response = self.client.send(request).await.map_err(|_| RequestError::NoAnswer)?;
            let (parts, body) = response.into_parts();
            let collected = body.collect().await.map_err(|_| RequestError::NoAnswer)?;
            Ok((parts, collected.to_bytes()))
        };
        let Ok(answer) = tokio::time::timeout(self.patience, exchange).await else {
            // Whoever asks next is to reach another API server behind the same address, if there is one. What else is under
            // way on this connection goes on.
            if let Some(connection) = line.connection_metadata().as_ref() {
                connection.poison();
            }
            return Err(RequestError::NoAnswer);
        };
        let (parts, body) = answer?;
        if parts.status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| RequestError::Unreadable);
        }
        let retry_after = parts.headers.get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        Err(RequestError::Refused(refusal(parts.status, &body, retry_after)))
    }
}

/// A server-side apply of a Secret.
pub struct ApplySecret<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The object, as JSON, in memory that is overwritten when it goes.
    pub body: Bytes,
    /// Whether fields of other managers are taken over.
    pub force: bool,
    /// Whether nothing is stored.
    pub dry_run: bool,
}

#[derive(Deserialize)]
struct Ignored {}

fn secret_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/{name}")
}

fn document_path(namespace: &str, name: &str) -> String {
    format!("/apis/{}/namespaces/{namespace}/sealedsecrets/{name}", ageseal::format::API_VERSION)
}

fn json(value: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("what is written here has texts for keys"))
}

pub(crate) fn found<T>(answer: Result<T, RequestError>) -> Result<Option<T>, RequestError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(RequestError::Refused(refusal)) if refusal.kind == RefusalKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The parts of a `Status` that decide. The message is looked at and not kept.
#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    message: Zeroizing<String>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    causes: Vec<Cause>,
}

#[derive(Default, Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    field: String,
}

fn refusal(code: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Refusal {
    let status: Status = serde_json::from_slice(body).unwrap_or_default();
    let causes = status.details.unwrap_or_default().causes;
    let kind = kind(code, &status.reason, &status.message, &causes);
    let mut fields: Vec<String> = causes.into_iter().map(|cause| cause.field).filter(|field| is_field(field)).collect();
    fields.sort();
    fields.dedup();
    fields.truncate(16);
    let reason = if status.reason.bytes().all(|b| b.is_ascii_alphanumeric()) { status.reason } else { String::new() };
    Refusal { code: code.as_u16(), reason, fields, kind, retry_after }
}

/// Whether a text is a field path and nothing else.
fn is_field(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-[]/=\":{}".contains(&b);
    !text.is_empty() && text.len() <= 330 && text.bytes().all(allowed)
}

fn kind(code: StatusCode, reason: &str, message: &str, causes: &[Cause]) -> RefusalKind {
    let caused = |name: &str| causes.iter().any(|cause| cause.reason == name);
    match code {
        StatusCode::CONFLICT if caused("FieldManagerConflict") => RefusalKind::FieldConflict,
        StatusCode::CONFLICT => RefusalKind::Conflict,
        // Gone: what was asked for by its resourceVersion is no more.
        StatusCode::NOT_FOUND | StatusCode::GONE => RefusalKind::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => RefusalKind::TooLarge,
        StatusCode::FORBIDDEN if caused("NamespaceTerminating") => RefusalKind::Terminating,
        StatusCode::FORBIDDEN if message.contains("exceeded quota") => RefusalKind::Quota,
        // The authorizer's own words; a webhook that uses them is told apart by the name of a webhook before them.
        StatusCode::FORBIDDEN if message.contains("\" cannot ") && !message.contains("denied the request") => {
            RefusalKind::Forbidden
        }
        StatusCode::UNPROCESSABLE_ENTITY if reason == "Invalid" && causes.iter().any(is_size) => RefusalKind::TooLarge,
        StatusCode::UNPROCESSABLE_ENTITY if reason == "Invalid" && causes.iter().any(|c| is_immutable(c, message)) => {
            RefusalKind::Immutable
        }
        StatusCode::UNAUTHORIZED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => RefusalKind::Later,
        code if code.is_server_error() => RefusalKind::Later,
        _ => RefusalKind::Rejected,
    }
}

fn is_size(cause: &Cause) -> bool {
    cause.field == "data" && cause.reason == "FieldValueTooLong"
}

fn is_immutable(cause: &Cause, message: &str) -> bool {
    let unchangeable = ["type", "data", "immutable"].contains(&cause.field.as_str());
    unchangeable && message.contains("field is immutable")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::Full;
    use hyper::server::conn::http2;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use kube::client::{ClientBuilder, ConfigExt};
    use tokio::net::TcpListener;
    use tower::ServiceBuilder;

    use super::*;

    /// Requests over one connection of HTTP/2 to a server that answers 404 to everything but what hangs; and how many
    /// connections it was asked for.
    async fn to_a_server_that_hangs_at_times() -> (Requests, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let answer = service_fn(async |request: Request<hyper::body::Incoming>| {
                    if request.uri().path().ends_with("hangs") {
                        std::future::pending::<()>().await;
                    }
                    let response = http::Response::builder().status(404).body(Full::new(Bytes::new())).unwrap();
                    Ok::<_, Infallible>(response)
                });
                tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer));
            }
        });
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let service = ServiceBuilder::new().layer(config.base_uri_layer()).service(http);
        let client = ClientBuilder::new(service, "default").build();
        let patience = Duration::from_millis(200);
        (Requests { patience, ..Requests::new(client, Leadership::always()) }, connections)
    }

    #[tokio::test]
    async fn a_connection_on_which_a_request_hangs_is_left() {
        let (requests, connections) = to_a_server_that_hangs_at_times().await;
        for _ in 0..3 {
            assert!(requests.document("a", "x").await.unwrap().is_none());
        }
        assert_eq!(connections.load(Ordering::Relaxed), 1);
        assert_eq!(requests.document("a", "hangs").await.unwrap_err(), RequestError::NoAnswer);
        for _ in 0..3 {
            assert!(requests.document("a", "x").await.unwrap().is_none());
        }
        assert_eq!(connections.load(Ordering::Relaxed), 2);
    }

    fn status(code: u16, json: &str) -> Refusal {
        refusal(StatusCode::from_u16(code).unwrap(), json.as_bytes(), None)
    }

    #[test]
    fn the_message_decides_and_is_not_kept() {
        let quota = status(403, r#"{"reason":"Forbidden","message":"secrets \"a\" is forbidden: exceeded quota: q"}"#);
        assert_eq!(quota.kind, RefusalKind::Quota);
        let role = r#"{"reason":"Forbidden","message":"secrets \"a\" is forbidden: User \"u\" cannot patch resource \"secrets\" in API group \"\" in the namespace \"n\""}"#;
        assert_eq!(status(403, role).kind, RefusalKind::Forbidden);
        let webhook =
            r#"{"reason":"Forbidden","message":"admission webhook \"w.x\" denied the request: User \"u\" cannot do"}"#;
        assert_eq!(status(403, webhook).kind, RefusalKind::Rejected);
        let quoted = r#"{"reason":"Invalid","message":"Secret \"a\" is invalid: data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'h'","details":{"causes":[{"reason":"FieldValueInvalid","message":"invalid character 'h'","field":"data[.dockerconfigjson]"}]}}"#;
        let refusal = status(422, quoted);
        assert_eq!(refusal.kind, RefusalKind::Rejected);
        assert_eq!(refusal.to_string(), "422 Invalid (data[.dockerconfigjson])");
        assert!(!format!("{refusal:?}").contains("'h'"));
    }

    #[test]
    fn what_follows_is_told_apart() {
        let table = [
            (409, r#"{"reason":"Conflict"}"#, RefusalKind::Conflict),
            (409, r#"{"reason":"AlreadyExists"}"#, RefusalKind::Conflict),
            (
                409,
                r#"{"reason":"Conflict","details":{"causes":[{"reason":"FieldManagerConflict","field":".data.a"}]}}"#,
                RefusalKind::FieldConflict,
            ),
            (404, "404 page not found", RefusalKind::NotFound),
            (429, "{}", RefusalKind::Later),
            (500, r#"{"reason":"InternalError"}"#, RefusalKind::Later),
            (503, "", RefusalKind::Later),
            (413, r#"{"reason":"RequestEntityTooLarge"}"#, RefusalKind::TooLarge),
            (
                422,
                r#"{"reason":"Invalid","message":"data: Too long","details":{"causes":[{"reason":"FieldValueTooLong","field":"data"}]}}"#,
                RefusalKind::TooLarge,
            ),
            (
                422,
                r#"{"reason":"Invalid","message":"type: Invalid value: x: field is immutable","details":{"causes":[{"reason":"FieldValueInvalid","field":"type"}]}}"#,
                RefusalKind::Immutable,
            ),
            (
                403,
                r#"{"reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating","field":"metadata.namespace"}]}}"#,
                RefusalKind::Terminating,
            ),
            (400, r#"{"reason":"BadRequest"}"#, RefusalKind::Rejected),
        ];
        for (code, body, kind) in table {
            assert_eq!(status(code, body).kind, kind, "{code} {body}");
        }
    }

    /// An API server that never answers, and how often it was asked.
    fn silence() -> (Client, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
        let asked = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
        let count = std::sync::Arc::clone(&asked);
        let service = tower::service_fn(move |_: Request<Body>| {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            std::future::pending::<Result<http::Response<Body>, std::convert::Infallible>>()
        });
        (Client::new(service, "n"), asked)
    }

    #[tokio::test]
    async fn a_write_ends_with_the_lead_and_no_later() {
        let (client, asked) = silence();
        let requests = |leadership| Requests::new(client.clone(), leadership);
        let patch = serde_json::json!({});
        let none = requests(Leadership::none());
        assert_eq!(none.merge_secret("n", "s", &patch).await.unwrap_err(), RequestError::NotLeading);
        assert_eq!(none.delete_secret("n", "s", "u", "1").await.unwrap_err(), RequestError::NotLeading);
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);

        let leadership = Leadership::until(Duration::from_millis(100));
        let began = std::time::Instant::now();
        let some = requests(leadership.clone());
        // Renewed meanwhile, it goes on for as long.
        let renewal = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            leadership.renew(Duration::from_millis(300));
        };
        let (written, ()) = tokio::join!(some.merge_secret("n", "s", &patch), renewal);
        assert_eq!(written.unwrap_err(), RequestError::NoAnswer);
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(350) && took < PATIENCE / 2, "{took:?}");
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
        assert_eq!(some.merge_secret("n", "s", &patch).await.unwrap_err(), RequestError::NotLeading);
    }

    #[test]
    fn what_is_no_field_and_no_word_is_dropped() {
        let refusal = status(
            422,
            r#"{"reason":"hunter2 is bad","details":{"causes":[{"field":"data[a b]"},{"field":"data.b"},{"field":"data.b"}]}}"#,
        );
        assert_eq!((refusal.reason.as_str(), refusal.fields), ("", vec!["data.b".to_owned()]));
    }
}
