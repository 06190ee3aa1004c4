//! What one user asked of the API server, with the moment of each answer: the audit log as a stop-watch.
//!
//! The API server itself writes when it answered, to the microsecond and on the clock of this machine. So nobody has to
//! look, and take the processor, while a controller is measured.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use crate::plane::ControlPlane;

/// One request that was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// As the audit log calls it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub(crate) verb: String,
    /// The resource in plural.
    pub(crate) resource: String,
    /// The subresource, or empty.
    pub(crate) subresource: String,
    /// The namespace, or empty.
    pub(crate) namespace: String,
    /// The name, or empty.
    pub(crate) name: String,
    /// The HTTP code.
    pub(crate) code: u16,
    /// The path with its query.
    pub(crate) uri: String,
    /// When the answer was sent.
    pub(crate) at: Option<SystemTime>,
}

impl Request {
    /// Whether it changed something, and was allowed to.
    pub(crate) fn wrote(&self) -> bool {
        self.code < 300 && ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb.as_str())
    }

    /// Whether it made or changed a Secret of that namespace.
    pub(crate) fn wrote_secret(&self, namespace: &str) -> bool {
        self.wrote() && self.verb != "delete" && self.resource == "secrets" && self.namespace == namespace
    }

    /// Whether it wrote the status of a sealed document of that namespace, of whichever kind.
    pub(crate) fn wrote_status(&self, namespace: &str) -> bool {
        self.wrote() && self.resource == "sealedsecrets" && self.subresource == "status" && self.namespace == namespace
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    #[serde(default)]
    verb: String,
    #[serde(rename = "requestURI", default)]
    uri: String,
    #[serde(default)]
    user: User,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: Status,
    stage_timestamp: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

/// The requests of one user from a moment on.
pub(crate) struct Trace {
    file: File,
    user: String,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
    requests: Vec<Request>,
}

impl Trace {
    /// Begins now.
    ///
    /// # Panics
    /// If there is no audit log.
    pub(crate) fn of(plane: &ControlPlane, user: &str) -> Self {
        let path = plane.file("audit.log");
        let file = File::open(&path).and_then(|mut file| file.seek(SeekFrom::End(0)).map(|_| file));
        let file = file.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { file, user: user.to_owned(), rest: Vec::new(), requests: Vec::new() }
    }

    /// Begins with the first request of all.
    ///
    /// # Panics
    /// If there is no audit log.
    pub(crate) fn from_the_beginning(plane: &ControlPlane, user: &str) -> Self {
        let mut trace = Self::of(plane, user);
        trace.file.rewind().unwrap_or_else(|e| panic!("audit log: {e}"));
        trace
    }

    /// All that is in the log so far.
    ///
    /// # Panics
    /// If a line is not one of an audit log.
    pub(crate) fn requests(&mut self) -> &[Request] {
        self.file.read_to_end(&mut self.rest).unwrap_or_else(|e| panic!("audit log: {e}"));
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in self.rest[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.requests.extend(read(line, &self.user));
        }
        self.rest.drain(..whole);
        &self.requests
    }

    /// Looks at the log four times a second until it shows what is waited for.
    ///
    /// # Panics
    /// If that is not within this time.
    pub(crate) async fn until(
        &mut self,
        within: Duration,
        what: &str,
        shown: impl Fn(&[Request]) -> bool,
    ) -> &[Request] {
        let start = Instant::now();
        while !shown(self.requests()) {
            assert!(start.elapsed() < within, "{what}: not within {within:?} of {} requests", self.requests.len());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        &self.requests
    }
}

/// A line of this user's that is an answer.
fn read(line: &[u8], user: &str) -> Option<Request> {
    let text = || String::from_utf8_lossy(line).into_owned();
    let line: Line = serde_json::from_slice(line).unwrap_or_else(|e| panic!("audit log: {e}: {}", text()));
    // A watch counts when it begins: its end may be long after, and is a line of its own.
    let stage = if line.verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
    (line.stage == stage && line.user.username == user).then(|| Request {
        verb: line.verb,
        resource: line.object_ref.resource,
        subresource: line.object_ref.subresource,
        namespace: line.object_ref.namespace,
        name: line.object_ref.name,
        code: line.response_status.code,
        uri: line.uri,
        at: line.stage_timestamp.map(SystemTime::from),
    })
}

/// How many objects requests name that fit, each counted once.
pub(crate) fn names(requests: &[Request], fits: impl Fn(&Request) -> bool) -> usize {
    let names = requests.iter().filter(|request| fits(request)).map(|request| &request.name);
    names.collect::<std::collections::BTreeSet<_>>().len()
}

/// When the last object was answered for the first time, seen from a moment: the time by which all were there.
pub(crate) fn all_there(requests: &[Request], since: SystemTime, fits: impl Fn(&Request) -> bool) -> Duration {
    let mut first: std::collections::BTreeMap<&str, SystemTime> = std::collections::BTreeMap::new();
    for request in requests.iter().filter(|request| fits(request)) {
        let Some(at) = request.at else { continue };
        first.entry(&request.name).and_modify(|known| *known = at.min(*known)).or_insert(at);
    }
    first.into_values().max().and_then(|last| last.duration_since(since).ok()).unwrap_or_default()
}

/// What a start with everything current asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restart {
    /// Writes of anything but the Lease.
    pub(crate) writes: usize,
    /// Single objects of the namespace that were fetched.
    pub(crate) fetched: usize,
    /// Pages of documents, and of Secrets.
    pub(crate) pages: (usize, usize),
    /// Lists that were begun more than once, or pages that were asked for more than once.
    pub(crate) again: usize,
}

/// Reads that off the requests. `namespace` is where the documents are.
pub(crate) fn restart(requests: &[Request], namespace: &str) -> Restart {
    let mut seen = std::collections::BTreeSet::new();
    let mut restart = Restart::default();
    for request in requests {
        let counted = match request.resource.as_str() {
            "sealedsecrets" => Some(&mut restart.pages.0),
            // Not those of its own namespace, where the identities are.
            "secrets" if request.namespace.is_empty() || request.namespace == namespace => Some(&mut restart.pages.1),
            _ => None,
        };
        let streamed = request.verb == "watch" && request.uri.contains("sendInitialEvents=true");
        match counted {
            Some(pages) if request.code < 300 && (request.verb == "list" || streamed) => {
                *pages += 1;
                let list = request.uri.split(['?', '&']).filter(|part| !part.starts_with("timeoutSeconds="));
                restart.again += usize::from(!seen.insert(list.collect::<Vec<_>>()));
            }
            Some(_) if request.verb == "get" => restart.fetched += 1,
            _ => {}
        }
        restart.writes += usize::from(request.wrote() && request.resource != "leases");
    }
    restart
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: &str, resource: &str, name: &str, second: u64) -> Request {
        Request {
            verb: verb.into(),
            resource: resource.into(),
            namespace: "figures".into(),
            name: name.into(),
            code: 200,
            at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second)),
            ..Request::default()
        }
    }

    #[test]
    fn a_line_is_read_for_its_user_alone() {
        let line = br#"{"stage":"ResponseComplete","verb":"patch","requestURI":"/api/v1/x","user":{"username":"a"},"objectRef":{"resource":"secrets","namespace":"figures","name":"b"},"responseStatus":{"code":201},"stageTimestamp":"1970-01-01T00:00:01.500000Z"}"#;
        let read_by_a = read(line, "a").unwrap();
        assert!(
            read_by_a.wrote_secret("figures") && !read_by_a.wrote_secret("other") && !read_by_a.wrote_status("figures")
        );
        assert_eq!(read_by_a.at, Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)));
        assert_eq!(read(line, "b"), None);
        assert_eq!(read(br#"{"stage":"RequestReceived","user":{"username":"a"}}"#, "a"), None);
    }

    #[test]
    fn all_are_there_when_the_last_of_them_was_written_first() {
        let requests = [
            request("patch", "secrets", "a", 11),
            request("patch", "secrets", "b", 13),
            request("patch", "secrets", "a", 17),
            request("get", "secrets", "c", 19),
            Request { code: 409, ..request("patch", "secrets", "d", 23) },
        ];
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        assert_eq!(all_there(&requests, since, |request| request.wrote_secret("figures")), Duration::from_secs(3));
        assert_eq!(names(&requests, |request| request.wrote_secret("figures")), 2);
    }

    #[test]
    fn a_restart_is_counted_by_what_it_asked() {
        let list = |resource: &str, uri: &str| Request { uri: uri.into(), ..request("list", resource, "", 1) };
        let mut requests = vec![
            list("sealedsecrets", "/apis/x?limit=2"),
            list("sealedsecrets", "/apis/x?limit=2&continue=abc"),
            list("secrets", "/api/v1/secrets?limit=500"),
            Request { namespace: "system".into(), ..list("secrets", "/api/v1/namespaces/system/secrets") },
            request("watch", "secrets", "", 1),
            request("update", "leases", "ageseal-controller", 1),
        ];
        assert_eq!(restart(&requests, "figures"), Restart { pages: (2, 1), ..Restart::default() });
        requests.push(list("sealedsecrets", "/apis/x?limit=2"));
        requests.push(request("get", "sealedsecrets", "a", 1));
        requests.push(request("patch", "sealedsecrets", "a", 1));
        assert_eq!(restart(&requests, "figures"), Restart { writes: 1, fetched: 1, pages: (3, 1), again: 1 });
    }
}
