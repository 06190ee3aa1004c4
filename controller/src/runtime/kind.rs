//! Whether the API server knows the custom resource.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use kube::Client;
use kube::client::Body;
use tokio::time::{Instant, sleep, timeout};

use crate::args::Settings;

/// How often it is looked for.
const PERIOD: Duration = Duration::from_secs(1);
/// How often the log says that it is still not there.
const REMINDER: Duration = Duration::from_secs(60);
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    There,
    Missing,
    Forbidden,
    Status(u16),
    NoAnswer,
}

/// Waits for the custom resource, and says what it waits for.
#[derive(Debug)]
pub struct Kind {
    found: Mutex<Option<Found>>,
}

impl Kind {
    /// Nothing was looked for yet.
    pub fn new() -> Self {
        Self { found: Mutex::new(None) }
    }

    /// Why documents cannot be read yet.
    pub fn ready(&self) -> Result<(), String> {
        match *self.found.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Found::There) => Ok(()),
            None => Err("nobody looked for it yet".to_owned()),
            Some(found) => Err(found.words()),
        }
    }

    /// Looks until the API server lists documents, and tells how often. By listing, not by discovery: so no right is needed
    /// that is not needed anyway.
    pub async fn wait(&self, client: &Client, settings: &Settings) -> usize {
        let mut said: Option<(Found, Instant)> = None;
        let mut looks = 0;
        loop {
            looks += 1;
            let found = look(client, settings).await;
            *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            if found == Found::There {
                return looks;
            }
            if said.is_none_or(|(before, at)| before != found || at.elapsed() >= REMINDER) {
                tracing::warn!(reason = found.words(), "waiting until sealed documents can be read");
                said = Some((found, Instant::now()));
            }
            sleep(PERIOD).await;
        }
    }
}

impl Found {
    fn words(self) -> String {
        match self {
            Self::There => "it is there".to_owned(),
            Self::Missing => {
                "the API server knows no SealedSecret of ageseal.dev: install it with `ageseal install | kubectl apply -f -`"
                    .to_owned()
            }
            Self::Forbidden => {
                "this service account may not list SealedSecrets: install the Roles with `ageseal install | kubectl apply -f -`"
                    .to_owned()
            }
            Self::Status(code) => format!("the API server answers {code} when SealedSecrets are listed"),
            Self::NoAnswer => "the API server gives no answer".to_owned(),
        }
    }
}

/// It is there if it can be listed in any place that is served: a Role that lacks in one must not stop the others.
async fn look(client: &Client, settings: &Settings) -> Found {
    let group = format!("/apis/{}", ageseal::format::API_VERSION);
    if settings.namespaces.is_empty() {
        return list(client, format!("{group}/sealedsecrets?limit=1")).await;
    }
    let mut found = Found::NoAnswer;
    for namespace in &settings.namespaces {
        found = list(client, format!("{group}/namespaces/{namespace}/sealedsecrets?limit=1")).await;
        if found == Found::There {
            break;
        }
    }
    found
}

async fn list(client: &Client, uri: String) -> Found {
    let request = Request::get(uri)
        .header(http::header::ACCEPT, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
        .body(Body::from(Bytes::new()))
        .expect("namespaces were checked, so this is a URI");
    match timeout(PATIENCE, client.send(request)).await {
        Ok(Ok(answer)) => match answer.status() {
            StatusCode::OK => Found::There,
            StatusCode::NOT_FOUND => Found::Missing,
            StatusCode::FORBIDDEN => Found::Forbidden,
            other => Found::Status(other.as_u16()),
        },
        Ok(Err(_)) | Err(_) => Found::NoAnswer,
    }
}
