//! What a cluster publishes of its recipients, and what tells it from other clusters.

use std::collections::BTreeMap;

use ageseal::api::{Published, RECIPIENTS_CONFIGMAP};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};

use super::{AskError, Asked, Cluster, Refusal};
use crate::error::CliError;

/// The namespace whose uid stands for the cluster: it is made with it, and never made again.
const FIRST_NAMESPACE: &str = "kube-system";

/// What stands where a controller publishes.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// What is published; nothing if nothing is, or nothing that can be believed.
    pub published: Option<Published>,
    /// The serial that stands there, in whatever company: a new identity goes above it.
    pub serial: Option<u64>,
    /// What is wrong with what stands there.
    pub fault: Option<CliError>,
}

impl Said {
    fn of(data: &BTreeMap<String, String>, namespace: &str) -> Self {
        match Published::from_data(data) {
            Ok(published) => Self { serial: Some(published.serial), published: Some(published), fault: None },
            Err(error) => {
                let fault = CliError::input(format!(
                    "ConfigMap {RECIPIENTS_CONFIGMAP} in {namespace} is not what a controller publishes; nothing of it was used"
                ));
                let fault = fault.cause(error.to_string());
                let hint = "a controller that has its identities mends it within seconds; if it stays: ageseal doctor";
                Self { published: None, serial: serial(data), fault: Some(fault.hint(hint)) }
            }
        }
    }
}

/// The serial in a text that may be nothing else of ours. The highest there is would leave no room, and is nobody's.
fn serial(data: &BTreeMap<String, String>) -> Option<u64> {
    let values = data.values().filter_map(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    values.filter_map(|value| value.get("serial")?.as_u64()).filter(|serial| *serial < u64::MAX).max()
}

/// Looks at what the controller publishes. What somebody else wrote there does not keep identities from being put in
/// order: a controller that has lost its own cannot mend it before that.
///
/// # Errors
/// The ConfigMap may not be read.
pub fn look(cluster: &Cluster) -> Result<Said, AskError> {
    let asked = Asked::new("get", "configmaps").named(RECIPIENTS_CONFIGMAP).within(cluster.namespace());
    let api = cluster.namespaced::<ConfigMap>(cluster.namespace());
    let Some(map) = cluster.find(&asked, api.get(RECIPIENTS_CONFIGMAP))? else { return Ok(Said::default()) };
    Ok(Said::of(&map.data.unwrap_or_default(), cluster.namespace()))
}

/// Reads what the controller publishes; nothing if it has published nothing yet.
///
/// # Errors
/// The ConfigMap may not be read, or is not one that a controller wrote.
pub fn read(cluster: &Cluster) -> Result<Option<Published>, AskError> {
    let said = look(cluster)?;
    match said.fault {
        Some(told) => Err(AskError { refusal: Refusal::Other, told }),
        None => Ok(said.published),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_nobody_of_ours_wrote_the_serial_alone_is_taken() {
        let said = |text: &str| Said::of(&BTreeMap::from([("recipients.json".to_owned(), text.to_owned())]), "ns");
        for (text, serial) in [
            ("{\"serial\": 7}", Some(7)),
            ("{\"serial\": 7, \"current\": {\"id\": \"x\", \"recipient\": \"y\", \"since\": \"\"}}", Some(7)),
            ("{\"serial\": 18446744073709551615}", None),
            ("{\"serial\": -1}", None),
            ("{\"serial\": \"hunter2\"}", None),
            ("hunter2", None),
        ] {
            let said = said(text);
            assert_eq!((said.serial, said.published.is_some()), (serial, false), "{text}");
            let fault = said.fault.unwrap();
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
        assert!(Said::of(&BTreeMap::new(), "ns").fault.is_some());
    }
}
