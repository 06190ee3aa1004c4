//! Whether Secrets are encrypted where etcd keeps them, as far as that can be known from outside.
//!
//! The API says nothing of it. Two things tell: the API server's own counters of what it wrote with which transformer,
//! and, where its pods can be seen, its flags. A managed control plane shows neither.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;

use super::finding::{Area, Finding};
use crate::cluster::{AskError, Asked, Cluster};

const AREA: Area = Area::Cluster;
const CHECK: &str = "encryption-at-rest";
/// What the API server counts for every object that it wrote or read through an encryption provider.
const COUNTER: &str = "apiserver_storage_transformation_operations_total{";
/// What it says of the configuration that it loaded.
const CONFIGURATION: &str = "apiserver_encryption_config_controller_last_config_info{";
const FLAG: &str = "--encryption-provider-config";
/// Where the API server's pods run, where there are any.
const SYSTEM: &str = "kube-system";

pub(super) fn look(cluster: &Cluster) -> Finding {
    let metrics = cluster.text(&Asked::new("get", "/metrics"), "/metrics");
    if let Ok(text) = &metrics
        && let Some(finding) = counted(text)
    {
        return finding;
    }
    let asked = Asked::new("list", "pods").within(SYSTEM);
    let pods = cluster.namespaced::<Pod>(SYSTEM);
    let pods = cluster.ask(&asked, pods.list(&ListParams::default().labels("component=kube-apiserver")));
    let flags: Vec<Option<String>> = pods.iter().flat_map(|pods| &pods.items).map(flag).collect();
    if flags.iter().any(Option::is_none) {
        return Finding::wrong(AREA, CHECK, "an API server runs without encryption at rest: its Secrets stand in etcd as they are")
            .mend("deploy/components/encryption has an example; afterwards write all Secrets anew: kubectl get secrets -A -o json | kubectl replace -f -");
    }
    unseen(metrics, !flags.is_empty())
}

/// Where nothing shows that a Secret was encrypted. That there is a configuration does not: it may be for other kinds, or
/// begin with the provider that does nothing.
fn unseen(metrics: Result<String, AskError>, configured: bool) -> Finding {
    let finding = Finding::unknown(AREA, CHECK, "whether Secrets are encrypted in etcd cannot be known from here");
    let finding = if configured {
        finding.detail("every API server has a configuration of encryption at rest; whether it names Secrets, and begins with a provider that encrypts, is to be seen in that file alone")
    } else {
        finding
    };
    let finding = finding.detail(match &metrics {
        Ok(_) if configured => "the API server counts no Secret that it wrote encrypted",
        Ok(text) if !text.contains(CONFIGURATION) => {
            "the API server counts no encryption and names no configuration of it: most likely there is none"
        }
        Ok(_) => "the API server has a configuration of encryption, and has not used it for a Secret yet",
        Err(_) if configured => "the API server's counters, which would show it, cannot be seen",
        Err(_) => "the API does not say it, and neither the API server's counters nor its flags can be seen",
    });
    let finding = match metrics {
        Err(error) => error.told.hints.iter().fold(finding, |finding, hint| finding.mend(hint)),
        Ok(_) => finding,
    };
    finding
        .mend("on a machine of the control plane: etcdctl get /registry/secrets/NAMESPACE/NAME | head -c 40 begins the value with k8s:enc: if it is")
        .mend("on a managed cluster: its provider's page on encryption of Secrets")
}

/// What the counters say; nothing if they count no Secret that was written.
fn counted(metrics: &str) -> Option<Finding> {
    let mut sealed = vec![];
    let (mut plain, mut read_plain) = (false, false);
    for line in metrics.lines().filter(|line| line.starts_with(COUNTER)) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        if label("status") != Some("OK") || label("resource") != Some("secrets") {
            continue;
        }
        match (label("transformation_type"), label("transformer_prefix")) {
            (Some("to_storage"), Some("identity")) => plain = true,
            (Some("from_storage"), Some("identity")) => read_plain = true,
            (Some("to_storage"), Some(prefix)) if prefix.starts_with("k8s:enc:") => {
                sealed.push(prefix.trim_end_matches(':').to_owned());
            }
            _ => {}
        }
    }
    sealed.sort();
    sealed.dedup();
    let sealed = sealed.join(", ");
    if plain {
        return Some(
            Finding::wrong(AREA, CHECK, "Secrets are written to etcd as they are: identity is the first provider of the API server's EncryptionConfiguration")
                .mend("deploy/components/encryption has an example EncryptionConfiguration"),
        );
    }
    if sealed.is_empty() {
        return None;
    }
    let text = format!("Secrets are written to etcd encrypted: {sealed}");
    if read_plain {
        return Some(
            Finding::note(AREA, CHECK, text)
                .detail(
                    "the API server has also read some that stand there as they are, from before that was configured",
                )
                .mend("write all of them anew: kubectl get secrets -A -o json | kubectl replace -f -"),
        );
    }
    Some(Finding::good(AREA, CHECK, text))
}

/// The flag of an API server's pod.
fn flag(pod: &Pod) -> Option<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let words = containers.flat_map(|container| container.command.iter().chain(&container.args).flatten());
    words.into_iter().find(|word| word.starts_with(FLAG)).cloned()
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn line(direction: &str, prefix: &str, resource: &str) -> String {
        format!(
            "{COUNTER}resource=\"{resource}\",status=\"OK\",transformation_type=\"{direction}\",transformer_prefix=\"{prefix}\"}} 1\n"
        )
    }

    #[test]
    fn the_counters_of_the_api_server_tell_how_secrets_are_written() {
        let state = |text: &str| counted(text).map(|finding| finding.state);
        let sealed = line("to_storage", "k8s:enc:aescbc:v1:", "secrets") + &line("to_storage", "k:", "secrets");
        assert_eq!(state(&sealed), Some(State::Good));
        assert_eq!(state(&(sealed.clone() + &line("from_storage", "identity", "secrets"))), Some(State::Note));
        assert_eq!(state(&(sealed.clone() + &line("to_storage", "identity", "secrets"))), Some(State::Wrong));
        assert_eq!(state(&(sealed + &line("to_storage", "identity", "configmaps"))), Some(State::Good));
        assert_eq!(state(&line("from_storage", "identity", "secrets")), None);
        assert_eq!(state("# HELP x\n"), None);
    }

    #[test]
    fn a_flag_alone_shows_nothing() {
        let configmaps = line("to_storage", "k8s:enc:aescbc:v1:", "configmaps");
        assert!(counted(&configmaps).is_none());
        let finding = unseen(Ok(configmaps), true);
        assert_eq!(finding.state, State::Unknown);
        assert!(finding.details.iter().any(|line| line.contains("counts no Secret")), "{:?}", finding.details);
        assert_eq!(unseen(Ok(String::new()), false).state, State::Unknown);
    }
}
