//! Why the cluster did not answer as it was asked to, in words that name what was asked.
//!
//! The API server's own messages are never among them: they quote values of Secrets.

use std::error::Error as StdError;
use std::io;

use kube::client::AuthError;
use kube::core::Status;

use super::Cluster;
use crate::error::{CliError, Errors, io_fact};

/// What was asked of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `get`, `list`, `create`, `patch`.
    verb: &'static str,
    /// The plural name, with its group: `sealedsecrets.ageseal.dev`.
    resource: &'static str,
    name: Option<String>,
    namespace: Option<String>,
}

impl Asked {
    /// A verb on a kind of objects, in all namespaces.
    pub fn new(verb: &'static str, resource: &'static str) -> Self {
        Self { verb, resource, name: None, namespace: None }
    }

    /// The same, for one object.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The same, in one namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// In words: `get configmaps ageseal-recipients in ageseal-system`.
    pub fn words(&self) -> String {
        let mut words = format!("{} {}", self.verb, self.resource);
        self.name.iter().for_each(|name| words.push_str(&format!(" {name}")));
        self.namespace.iter().for_each(|namespace| words.push_str(&format!(" in {namespace}")));
        words
    }

    /// What is asked about, without the verb.
    fn object(&self) -> String {
        self.words().split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    }

    /// The command that says whether this is allowed.
    fn can_i(&self, context: &str) -> String {
        let object = match &self.name {
            Some(name) => format!("{}/{name}", self.resource),
            None => self.resource.to_owned(),
        };
        let place = match &self.namespace {
            Some(namespace) => format!(" -n {namespace}"),
            None if self.resource.starts_with('/') => String::new(),
            None => " -A".to_owned(),
        };
        format!("kubectl auth can-i {} {object}{place} --context {context}", self.verb)
    }
}

/// The kind of a refusal, for whoever goes on without the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The user may not.
    Forbidden,
    /// There is no such object, or no such kind of object.
    NotFound,
    /// It is there already, or was changed meanwhile.
    Conflict,
    /// The cluster cannot be reached, or does not know the user: no other question helps.
    NoAccess,
    /// Anything else.
    Other,
}

/// A question that was not answered.
#[derive(Clone, Debug)]
pub struct AskError {
    /// Its kind.
    pub refusal: Refusal,
    /// In words.
    pub told: CliError,
}

impl From<AskError> for CliError {
    fn from(error: AskError) -> Self {
        error.told
    }
}

impl From<AskError> for Errors {
    fn from(error: AskError) -> Self {
        error.told.into()
    }
}

impl AskError {
    pub(super) fn of(asked: &Asked, cluster: &Cluster, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => answered(asked, &cluster.context, status),
            // The text of these errors quotes what was answered.
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self {
                refusal: Refusal::Other,
                told: CliError::input(format!("the cluster's answer to `{}` is not of a known shape", asked.words()))
                    .hint("ageseal doctor says whether this program and the cluster fit"),
            },
            other => Self { refusal: Refusal::NoAccess, told: unreachable(cluster, other) },
        }
    }
}

fn answered(asked: &Asked, context: &str, status: &Status) -> AskError {
    let words = asked.words();
    let (refusal, told) = match status.code {
        401 => (
            Refusal::NoAccess,
            CliError::input(format!("the cluster of context {context} does not know who you are")).hint(format!(
                "log in to it again; kubectl --context {context} get --raw /version shows whether that worked"
            )),
        ),
        403 => (
            Refusal::Forbidden,
            CliError::input(format!("you may not {words}"))
                .hint(format!("ask for that right; {}", asked.can_i(context))),
        ),
        404 => (
            Refusal::NotFound,
            CliError::input(format!("the cluster has no {}", asked.object())).detail(format!("context: {context}")),
        ),
        409 => (
            Refusal::Conflict,
            CliError::input(format!("to {words} was refused: it is there already, or was changed meanwhile")),
        ),
        code => {
            let reason = if status.reason.is_empty() { String::new() } else { format!(" {}", plain(&status.reason)) };
            let told = CliError::input(format!("the cluster refused to {words}: {code}{reason}"));
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let fields = causes.filter(|cause| !cause.field.is_empty()).map(|cause| plain(&cause.field));
            (Refusal::Other, fields.fold(told, |told, field| told.detail(format!("field: {field}"))))
        }
    };
    AskError { refusal, told }
}

/// A word of the API server's that is a name; anything longer might be a quotation.
fn plain(text: &str) -> String {
    let fits = |char: char| char.is_ascii_alphanumeric() || "._-[]".contains(char);
    if text.len() <= 120 && text.chars().all(fits) { text.to_owned() } else { "<redacted>".to_owned() }
}

fn unreachable(cluster: &Cluster, error: &kube::Error) -> CliError {
    let told = CliError::input(format!("the cluster of context {} cannot be asked", cluster.context))
        .detail(format!("address: {}", cluster.seen.address));
    let told = match auth_error(error) {
        Some(error) => credentials(told, error),
        None => told.cause(reason(error)),
    };
    told.hint(format!("kubectl --context {} get --raw /version", cluster.context))
}

/// A client that could not be made: credentials that cannot be read, certificates that are none.
pub(super) fn unusable(context: &str, error: &kube::Error) -> CliError {
    let told = CliError::input(format!("the kubeconfig's context {context} cannot be used"));
    match auth_error(error) {
        Some(error) => credentials(told, error),
        None => told.cause(reason(error)),
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

fn auth_error(error: &kube::Error) -> Option<&AuthError> {
    if let kube::Error::Auth(error) = error {
        return Some(error);
    }
    chain(error).find_map(|error| error.downcast_ref())
}

/// What is wrong with the credentials; nothing of what a plugin printed to stdout, which is where the token is.
fn credentials(told: CliError, error: &AuthError) -> CliError {
    match error {
        AuthError::AuthExecStart(error) => {
            told.cause("the kubeconfig's credential plugin cannot be started").cause(io_fact(error))
        }
        AuthError::AuthExecRun { out, .. } => {
            let told = told.cause(format!("the kubeconfig's credential plugin ended with {}", out.status));
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            said.lines().filter(|line| !line.trim().is_empty()).take(5).fold(told, |told, line| told.cause(line.trim()))
        }
        AuthError::ReadTokenFile(error, path) => {
            told.cause(format!("the token file {} cannot be read", path.display())).cause(io_fact(error))
        }
        AuthError::InvalidBearerToken(_) | AuthError::InvalidBasicAuth(_) => {
            told.cause("the kubeconfig's token or password has characters that none can have")
        }
        AuthError::MissingCommand => told.cause("the kubeconfig's credential plugin has no command"),
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed | AuthError::MalformedTokenExpirationDate(_) => {
            told.cause("the kubeconfig's credential plugin did not print a credential")
        }
        _ => told.cause("the kubeconfig's credentials cannot be used"),
    }
}

/// The innermost reason why nothing came back.
fn reason(error: &kube::Error) -> String {
    let io = chain(error).filter_map(|error| error.downcast_ref::<io::Error>());
    let io = io.filter(|error| error.get_ref().is_none()).last();
    if let Some(error) = io {
        return io_fact(error);
    }
    let text = chain(error).last().map(ToString::to_string).unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    #[test]
    fn what_was_asked_is_told_with_the_command_that_asks_again() {
        let asked = Asked::new("get", "configmaps").named("ageseal-recipients").within("ageseal-system");
        assert_eq!(asked.words(), "get configmaps ageseal-recipients in ageseal-system");
        let status = Status { code: 403, ..Status::failure("hunter2", "Forbidden") };
        let error = answered(&asked, "prod", &status);
        assert_eq!(error.refusal, Refusal::Forbidden);
        assert_eq!(
            error.told.hints,
            [
                "ask for that right; kubectl auth can-i get configmaps/ageseal-recipients -n ageseal-system --context prod"
            ]
        );
    }

    #[test]
    fn the_messages_of_the_api_server_are_not_repeated() {
        let cause = |field: &str| StatusCause {
            reason: "FieldValueInvalid".to_owned(),
            message: "hunter2".to_owned(),
            field: field.to_owned(),
        };
        let details = StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![cause("data[.dockerconfigjson]"), cause("invalid character 'h' hunter2")],
            retry_after_seconds: 0,
        };
        for code in [401, 403, 404, 409, 422, 500] {
            let status =
                Status { code, details: Some(details.clone()), ..Status::failure("hunter2 is no value", "Invalid") };
            let told = format!("{:?}", answered(&Asked::new("create", "secrets"), "prod", &status).told);
            assert!(!told.contains("hunter2"), "{told}");
            assert_eq!(told.contains("field: data[.dockerconfigjson]"), code == 422 || code == 500, "{told}");
        }
    }
}
