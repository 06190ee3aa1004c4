//! What Kubernetes means.
