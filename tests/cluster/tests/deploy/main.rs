//! What is shipped in `deploy/`, and what `ageseal install` prints, on the real API server and with the real kustomize.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod api_server;
mod argocd;
mod monitoring;
mod overlays;
mod people;
mod support;
