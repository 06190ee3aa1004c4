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
