//! What Kubernetes means.
//!
//! [`objects()`] finds the objects of a stream; [`SecretManifest`] and [`SealedManifest`] read one each, strictly, and
//! tell every problem at once; [`kinds`] holds the rules of the types of a Secret; [`embedded()`] finds plaintext
//! Secrets that hide inside other objects.

pub(crate) mod base64;
mod embedded;
mod fields;
pub(crate) mod json;
pub mod kinds;
mod metadata;
pub mod names;
mod objects;
mod sealed;
mod secret;

pub use embedded::{Embedded, could_hold_secret, embedded, holds_values};
pub use kinds::SecretType;
pub use metadata::{LAST_APPLIED, is_directive};
pub use objects::{Object, ObjectKind, objects};
pub use sealed::{CONTROLLER_FIELDS, SealedManifest};
pub use secret::SecretManifest;

use crate::problem::Problem;

/// What reading an object gave.
#[derive(Clone, Debug)]
pub struct Reading<T> {
    /// The object; none if any problem is an error.
    pub manifest: Option<T>,
    /// Errors and warnings, in the order of the text.
    pub problems: Vec<Problem>,
}

impl<T> Reading<T> {
    fn new(manifest: Option<T>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.at);
        let manifest = manifest.filter(|_| !problems.iter().any(Problem::is_error));
        Self { manifest, problems }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::Stream;

    const TYPES: [&str; 9] = [
        "Opaque",
        "kubernetes.io/service-account-token",
        "kubernetes.io/dockercfg",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/basic-auth",
        "kubernetes.io/ssh-auth",
        "kubernetes.io/tls",
        "bootstrap.kubernetes.io/token",
        "example.com/custom",
    ];
    const KEYS: [&str; 10] = [
        "a",
        ".dockercfg",
        ".dockerconfigjson",
        "password",
        "ssh-privatekey",
        "tls.crt",
        "tls.key",
        "token-id",
        "expiration",
        "usage-bootstrap-signing",
    ];

    proptest! {
        /// Whatever a value looks like to YAML, to base64, to JSON or to PEM: no problem repeats any of it.
        #[test]
        fn no_problem_holds_a_value(
            secret_type in 0..TYPES.len(),
            field in 0..2_usize,
            first in "[!&*|>{\\[\"'%@?: #=~0-9-]{0,3}",
            rest in "[a-z0-9 :,{}\\[\\]\"'=/+-]{0,30}",
        ) {
            let field = ["data", "stringData"][field];
            let values: String = KEYS.iter().map(|key| format!("  {key}: {first}canary{rest}\n")).collect();
            let secret_type = TYPES[secret_type];
            let text = format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n  labels:\n    l: {first}canary{rest}\ntype: {secret_type}\n{field}:\n{values}"
            );
            if let Ok(stream) = Stream::parse(text) {
                for object in objects(&stream) {
                    let reading = SecretManifest::read(object.node, 0);
                    prop_assert!(!format!("{:?}", reading.problems).contains("canary"), "{:?}", reading.problems);
                }
                let told = format!("{:?}", embedded(&stream));
                prop_assert!(!told.contains("canary"), "{told}");
            }
        }

        /// Damaged documents are refused, never a panic.
        #[test]
        fn damaged_documents_do_not_panic(at in 0..600_usize, with in "[ -~\n]{0,4}", cut in 0..6_usize) {
            let text = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\nspec:\n  scope:\n  - 'a/b'\n  encryptedData:\n    k:\n      value: ags1.35eee4bfa05d6bdb.eA==\n      scope: ['a/b']\n      envelope:\n        recipients: [r7d793037a0760186]\n        age: |\n          x\n        also:\n        - {recipients: [], age: y}\n  envelopes:\n    k35eee4bfa05d6bdb: {recipients: [r7d793037a0760186], age: x}\n  template:\n    metadata: {labels: {a: b}, annotations: {c: d}}\n---\napiVersion: v1\nkind: ConfigMap\ndata:\n  x: |\n    kind: Secret\n    apiVersion: v1\n    data: {a: eA==}\nbinaryData: {y: eA==}\n";
            let start = at.min(text.len());
            let end = (start + cut).min(text.len());
            let text = format!("{}{with}{}", &text[..start], &text[end..]);
            if let Ok(stream) = Stream::parse(text) {
                for object in objects(&stream) {
                    let _ = SealedManifest::read(object.node);
                    let _ = SecretManifest::read(object.node, 0);
                }
                let _ = embedded(&stream);
            }
        }
    }
}
