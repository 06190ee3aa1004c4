//! The types of a Secret, and the rules of each.
//!
//! Source: the Kubernetes page on Secrets, and `ValidateSecret` in `pkg/apis/core/validation`. What the API server
//! refuses is an error. What it stores but nothing can use (an empty certificate, a token id of the wrong shape) is an
//! error too where the file is useless whatever else happens, and a warning where time, the place or a program decides.
//!
//! Guarantees: no message holds a value, a part of one, or text of a library that saw one.

mod auth;
mod bootstrap;
mod docker;
mod expiry;
mod pair;
mod pem;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::manifest::names;
use crate::problem::Problem;
use crate::secret::Plaintext;

pub use expiry::{Expiry, expiry};

/// The most bytes that the values of one Secret may sum to: what the API server counts, keys left out.
pub const MAX_SECRET_SIZE: usize = 1024 * 1024;

/// The annotation that a service account token must carry.
pub const SERVICE_ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

/// The type of a Secret, as its field `type` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SecretType {
    /// `Opaque`: anything. What a Secret without `type` is.
    #[default]
    Opaque,
    /// `kubernetes.io/service-account-token`: the cluster fills it.
    ServiceAccountToken,
    /// `kubernetes.io/dockercfg`: the old file of registry credentials.
    DockerCfg,
    /// `kubernetes.io/dockerconfigjson`: Docker's `config.json`.
    DockerConfigJson,
    /// `kubernetes.io/basic-auth`: a user name, a password, or both.
    BasicAuth,
    /// `kubernetes.io/ssh-auth`: a private key for ssh.
    SshAuth,
    /// `kubernetes.io/tls`: a certificate and its key.
    Tls,
    /// `bootstrap.kubernetes.io/token`: a token with which a node joins a cluster.
    BootstrapToken,
    /// Any other type, such as `helm.sh/release.v1`: no rules but those of every Secret.
    Other(String),
}

/// The names that Kubernetes gives a meaning.
const KNOWN: [(&str, SecretType); 8] = [
    ("Opaque", SecretType::Opaque),
    ("kubernetes.io/service-account-token", SecretType::ServiceAccountToken),
    ("kubernetes.io/dockercfg", SecretType::DockerCfg),
    ("kubernetes.io/dockerconfigjson", SecretType::DockerConfigJson),
    ("kubernetes.io/basic-auth", SecretType::BasicAuth),
    ("kubernetes.io/ssh-auth", SecretType::SshAuth),
    ("kubernetes.io/tls", SecretType::Tls),
    ("bootstrap.kubernetes.io/token", SecretType::BootstrapToken),
];

/// Says why a text is not the name of a Secret type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the type {fault}")]
#[non_exhaustive]
pub struct SecretTypeError {
    /// What is wrong with it, as the end of a sentence.
    pub fault: &'static str,
}

impl SecretType {
    /// The name as the field `type` holds it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => KNOWN.iter().find(|(_, t)| t == known).map_or("Opaque", |(name, _)| name),
        }
    }

    /// Whether a Secret of this type may have no data at all.
    pub fn may_be_empty(&self) -> bool {
        *self == Self::ServiceAccountToken
    }
}

impl FromStr for SecretType {
    type Err = SecretTypeError;

    /// Reads a name; the empty text is `Opaque`, as for the API server.
    fn from_str(name: &str) -> Result<Self, SecretTypeError> {
        if name.is_empty() {
            return Ok(Self::Opaque);
        }
        if let Some((_, known)) = KNOWN.iter().find(|(text, _)| *text == name) {
            return Ok(known.clone());
        }
        match names::secret_type_fault(name) {
            Some(fault) => Err(SecretTypeError { fault }),
            None => Ok(Self::Other(name.to_owned())),
        }
    }
}

impl fmt::Display for SecretType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the rules have to know of a Secret beside its type and values.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.namespace`, if the manifest has one.
    pub namespace: Option<&'a str>,
    /// `metadata.annotations`.
    pub annotations: &'a BTreeMap<String, String>,
    /// The present time, in seconds since 1970 UTC.
    pub now: i64,
}

/// Holds the values of a Secret against the rules of every Secret and of its type, and tells all that is wrong.
pub fn check(secret_type: &SecretType, data: &BTreeMap<String, Plaintext>, about: &About<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for key in data.keys() {
        if let Some(fault) = names::data_key_fault(key) {
            problems.push(
                Problem::error("bad-key", format!("the data key {fault}"))
                    .key(key)
                    .hint("a data key is 1 to 253 of A-Z a-z 0-9 - . _ and becomes a file name"),
            );
        }
    }
    // Saturating, because a sum that wraps would pass.
    let total = data.values().fold(0_usize, |sum, value| sum.saturating_add(value.len()));
    if total > MAX_SECRET_SIZE {
        problems.push(
            Problem::error("too-large", format!("the values sum to {total} bytes; Kubernetes stores 1048576 at most"))
                .hint("split it into several Secrets, or keep large files elsewhere"),
        );
    }
    if data.is_empty() && !secret_type.may_be_empty() {
        problems.push(
            Problem::error("no-data", "the Secret has no data").hint("give it at least one key in data or stringData"),
        );
        return problems;
    }
    match secret_type {
        SecretType::Opaque => {}
        SecretType::ServiceAccountToken => service_account_token(about, &mut problems),
        SecretType::DockerCfg => docker::check_dockercfg(data, &mut problems),
        SecretType::DockerConfigJson => docker::check_dockerconfigjson(data, &mut problems),
        SecretType::BasicAuth => auth::check_basic(data, &mut problems),
        SecretType::SshAuth => auth::check_ssh(data, &mut problems),
        SecretType::Tls => tls::check(data, about.now, &mut problems),
        SecretType::BootstrapToken => bootstrap::check(data, about, &mut problems),
        SecretType::Other(name) => unknown_type(name, &mut problems),
    }
    problems
}

/// Takes the value of a key that the type demands, or tells that it is missing.
fn required<'a>(
    data: &'a BTreeMap<String, Plaintext>,
    key: &'static str,
    secret_type: &SecretType,
    problems: &mut Vec<Problem>,
) -> Option<&'a Plaintext> {
    let value = data.get(key);
    if value.is_none() {
        let mut problem =
            Problem::error("missing-key", format!("the type {secret_type} demands the key {key}")).key(key);
        let have: Vec<&str> = data.keys().map(String::as_str).collect();
        if let Some(near) = names::nearest(key, &have) {
            problem = problem.hint(format!("rename the key {near} to {key}"));
        }
        problems.push(problem);
    }
    value
}

fn service_account_token(about: &About<'_>, problems: &mut Vec<Problem>) {
    if about.annotations.get(SERVICE_ACCOUNT_NAME).is_none_or(String::is_empty) {
        problems.push(
            Problem::error(
                "missing-annotation",
                format!("a service account token demands the annotation {SERVICE_ACCOUNT_NAME}"),
            )
            .hint("name the service account whose token the cluster shall put here"),
        );
    }
}

fn unknown_type(name: &str, problems: &mut Vec<Problem>) {
    let known = KNOWN.map(|(text, _)| text);
    // A custom type is lawful; one that Kubernetes would have to know is a slip.
    if let Some(near) = names::nearest(name, &known) {
        problems.push(
            Problem::warning("unknown-type", format!("the type {name} is not one that Kubernetes knows"))
                .hint(format!("write {near} if that is meant: a type cannot change without sealing again")),
        );
    } else if name.starts_with("kubernetes.io/") || name.starts_with("bootstrap.kubernetes.io/") {
        problems.push(
            Problem::warning("unknown-type", format!("the type {name} is not one that Kubernetes knows"))
                .hint("the prefix kubernetes.io/ is reserved: use a domain of your own for a custom type"),
        );
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Values by key.
    pub(crate) fn data(entries: &[(&str, &[u8])]) -> BTreeMap<String, Plaintext> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), Plaintext::new(value.to_vec()))).collect()
    }

    /// `2026-01-01T00:00:00Z`.
    pub(crate) const NOW: i64 = 1_767_225_600;

    /// The problems of a Secret named `name` in no namespace, as `code` or `code key`, errors with a `!` before them.
    pub(crate) fn codes(secret_type: &SecretType, entries: &[(&str, &[u8])]) -> Vec<String> {
        let annotations = BTreeMap::new();
        let about = About { name: "name", namespace: None, annotations: &annotations, now: NOW };
        let problems = check(secret_type, &data(entries), &about);
        for (problem, (_, value)) in problems.iter().flat_map(|p| entries.iter().map(move |e| (p, e))) {
            let Ok(text) = std::str::from_utf8(value) else { continue };
            assert!(text.len() < 8 || !format!("{problem:?}").contains(text), "a value in {problem:?}");
        }
        shown(&problems)
    }

    /// Problems as `code` or `code key`, errors with a `!` before them.
    pub(crate) fn shown(problems: &[Problem]) -> Vec<String> {
        let one = |p: &Problem| {
            let mark = if p.is_error() { "!" } else { "" };
            p.key.as_ref().map_or(format!("{mark}{}", p.code), |key| format!("{mark}{} {key}", p.code))
        };
        problems.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{NOW, codes, data, shown};
    use super::*;

    #[test]
    fn every_known_type_reads_and_writes_its_name() {
        for (name, known) in KNOWN {
            assert_eq!(name.parse::<SecretType>(), Ok(known.clone()));
            assert_eq!(known.to_string(), name);
        }
        assert_eq!("".parse(), Ok(SecretType::Opaque));
        assert_eq!("helm.sh/release.v1".parse(), Ok(SecretType::Other("helm.sh/release.v1".into())));
        assert_eq!("example.com/x".parse::<SecretType>().unwrap().as_str(), "example.com/x");
        assert!("a b".parse::<SecretType>().is_err());
        assert!("t".repeat(70_000).parse::<SecretType>().is_err());
    }

    #[test]
    fn opaque_takes_any_bytes_and_an_empty_value() {
        assert!(codes(&SecretType::Opaque, &[("a", b""), ("b", b"\xff\x00"), (".dot", b"x")]).is_empty());
    }

    #[test]
    fn a_bad_key_is_an_error_that_names_it() {
        assert_eq!(codes(&SecretType::Opaque, &[("a/b", b"x"), ("ok", b"y")]), ["!bad-key a/b"]);
        assert_eq!(codes(&SecretType::Opaque, &[("..", b"x")]), ["!bad-key .."]);
    }

    #[test]
    fn one_mebibyte_passes_and_one_byte_more_does_not() {
        let half = vec![0_u8; MAX_SECRET_SIZE / 2];
        assert!(codes(&SecretType::Opaque, &[("a", &half), ("b", &half)]).is_empty());
        assert_eq!(codes(&SecretType::Opaque, &[("a", &half), ("b", &half), ("c", b"1")]), ["!too-large"]);
    }

    #[test]
    fn a_secret_without_data_is_an_error_but_for_the_service_account_token() {
        for (_, known) in KNOWN {
            if known != SecretType::ServiceAccountToken {
                assert_eq!(codes(&known, &[]), ["!no-data"], "{known}");
            }
        }
        let annotations = BTreeMap::from([(SERVICE_ACCOUNT_NAME.to_owned(), "robot".to_owned())]);
        let about = About { name: "t", namespace: None, annotations: &annotations, now: NOW };
        assert!(check(&SecretType::ServiceAccountToken, &BTreeMap::new(), &about).is_empty());
    }

    #[test]
    fn a_service_account_token_names_its_account() {
        assert_eq!(codes(&SecretType::ServiceAccountToken, &[]), ["!missing-annotation"]);
        let annotations = BTreeMap::from([(SERVICE_ACCOUNT_NAME.to_owned(), String::new())]);
        let about = About { name: "t", namespace: None, annotations: &annotations, now: NOW };
        let found = check(&SecretType::ServiceAccountToken, &data(&[]), &about);
        assert_eq!(shown(&found), ["!missing-annotation"]);
    }

    #[test]
    fn custom_types_have_no_rules_and_slips_are_said() {
        let other = |name: &str| SecretType::Other(name.to_owned());
        assert!(codes(&other("helm.sh/release.v1"), &[("release", b"x")]).is_empty());
        assert!(codes(&other("addons.cluster.x-k8s.io/resource-set"), &[("a", b"x")]).is_empty());
        assert_eq!(codes(&other("opaque"), &[("a", b"x")]), ["unknown-type"]);
        assert_eq!(codes(&other("kubernetes.io/tsl"), &[("a", b"x")]), ["unknown-type"]);
        assert_eq!(codes(&other("kubernetes.io/quite-another"), &[("a", b"x")]), ["unknown-type"]);
    }

    #[test]
    fn a_missing_key_names_the_near_one() {
        let mut problems = Vec::new();
        required(&data(&[("tls.cert", b"x")]), "tls.crt", &SecretType::Tls, &mut problems);
        assert_eq!(shown(&problems), ["!missing-key tls.crt"]);
        assert_eq!(problems[0].hint.as_deref(), Some("rename the key tls.cert to tls.crt"));
    }
}
