//! The harness itself.
#![allow(clippy::unwrap_used)]

use ageseal_cluster::ControlPlane;

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_answers() {
    let start = std::time::Instant::now();
    let plane = ControlPlane::shared();
    eprintln!("{:?}", start.elapsed());
    let version = plane.client().await.apiserver_version().await.unwrap();
    assert!(version.git_version.starts_with("v1."), "{version:?}");
}
