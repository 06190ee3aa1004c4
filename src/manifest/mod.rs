//! What Kubernetes means.

pub(crate) mod base64;
pub(crate) mod json;
pub mod kinds;
pub mod names;
