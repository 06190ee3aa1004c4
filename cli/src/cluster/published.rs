//! What a cluster publishes of its recipients, and what tells it from other clusters.

use ageseal::api::{Published, RECIPIENTS_CONFIGMAP};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};

use super::{AskError, Asked, Cluster, Refusal};
use crate::error::CliError;

/// The namespace whose uid stands for the cluster: it is made with it, and never made again.
const FIRST_NAMESPACE: &str = "kube-system";

/// Reads what the controller publishes; nothing if it has published nothing yet.
///
/// # Errors
/// The ConfigMap may not be read, or is not one that a controller wrote.
pub fn read(cluster: &Cluster) -> Result<Option<Published>, AskError> {
    let asked = Asked::new("get", "configmaps").named(RECIPIENTS_CONFIGMAP).within(cluster.namespace());
    let api = cluster.namespaced::<ConfigMap>(cluster.namespace());
    let Some(map) = cluster.find(&asked, api.get(RECIPIENTS_CONFIGMAP))? else { return Ok(None) };
    let data = map.data.unwrap_or_default();
    Published::from_data(&data).map(Some).map_err(|error| AskError {
        refusal: Refusal::Other,
        told: CliError::input(format!(
            "ConfigMap {RECIPIENTS_CONFIGMAP} in {} is not what a controller publishes; nothing of it was used",
            cluster.namespace()
        ))
        .cause(error.to_string())
        .hint("the controller mends it within seconds; if it stays, look at the controller's log"),
    })
}

/// The same, for commands that cannot do without.
pub fn require(cluster: &Cluster) -> Result<Published, CliError> {
    read(cluster)?.ok_or_else(|| {
        CliError::input(format!("the cluster publishes no recipients in {}", cluster.namespace()))
            .detail(format!("context: {}", cluster.context()))
            .hint("if the controller runs in another namespace: --controller-namespace NAMESPACE")
            .hint("if there is none yet: ageseal install | kubectl apply -f -")
    })
}

/// The uid of `kube-system`; nothing if the user may not read it.
pub fn uid(cluster: &Cluster) -> Result<Option<String>, AskError> {
    let asked = Asked::new("get", "namespaces").named(FIRST_NAMESPACE);
    match cluster.ask(&asked, cluster.global::<Namespace>().get_metadata(FIRST_NAMESPACE)) {
        Ok(namespace) => Ok(namespace.metadata.uid),
        Err(error) if matches!(error.refusal, Refusal::Forbidden | Refusal::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
