//! Which lists of the built-in kinds a strategic merge merges item by item: what the API schema says.

/// How a list is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    /// The patch's list stands in place of the old one.
    Replaced,
    /// Items with an equal value of this key are merged.
    ByKey(&'static str),
    /// By several keys, or as a set. Nothing that is asked here stands in such a list: it is not merged, and marked.
    Unmodelled,
}

/// Where the specification of a pod is in a kind of the schema that kustomize carries.
pub(super) fn pod_path(api_version: &str, kind: &str) -> Option<&'static [&'static str]> {
    match (api_version, kind) {
        ("v1", "Pod") => Some(&["spec"]),
        ("v1", "PodTemplate") => Some(&["template", "spec"]),
        ("v1", "ReplicationController")
        | ("apps/v1", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet")
        | ("batch/v1", "Job") => Some(&["spec", "template", "spec"]),
        ("batch/v1" | "batch/v1beta1", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        ("v1", "ServiceAccount" | "Service") => Some(&[]),
        _ => None,
    }
}

/// How the list at a path is merged. Items of lists add nothing to a path.
pub(super) fn list(kind: &str, pods: Option<&[&str]>, path: &[&str]) -> ListKind {
    use ListKind::{ByKey, Replaced, Unmodelled};
    let Some(pods) = pods else { return Replaced };
    match (kind, path) {
        (_, ["metadata", "ownerReferences" | "finalizers"]) => return Unmodelled,
        ("ServiceAccount", ["secrets"]) => return ByKey("name"),
        ("Service", ["spec", "ports"]) | (_, ["status", ..]) => return Unmodelled,
        ("ServiceAccount" | "Service", _) => return Replaced,
        _ => {}
    }
    let Some(rest) = path.strip_prefix(pods) else { return Replaced };
    match rest {
        ["containers" | "initContainers" | "ephemeralContainers" | "imagePullSecrets" | "volumes"] => ByKey("name"),
        ["hostAliases"] => ByKey("ip"),
        ["topologySpreadConstraints"] => Unmodelled,
        ["containers" | "initContainers" | "ephemeralContainers", inner] => match *inner {
            "env" => ByKey("name"),
            "volumeMounts" => ByKey("mountPath"),
            "volumeDevices" => ByKey("devicePath"),
            "ports" => Unmodelled,
            _ => Replaced,
        },
        _ => Replaced,
    }
}
