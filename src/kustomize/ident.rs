//! What identifies an object: group, version, kind, namespace, name.

use std::rc::Rc;

/// The namespace of an object that says none.
pub(super) const DEFAULT: &str = "default";

/// Stands for the namespace of an object that can have none.
const NONE: &str = "_non_namespaceable_";

/// Group, version and kind; an empty part of a selector selects any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gvk {
    pub(super) group: Rc<str>,
    pub(super) version: Rc<str>,
    pub(super) kind: Rc<str>,
}

impl Gvk {
    pub(super) fn new(group: &str, version: &str, kind: &str) -> Self {
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// Whether it, as a selector, selects an object.
    pub(super) fn selects(&self, group: &str, version: &str, kind: &str) -> bool {
        let fits = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        fits(&self.kind, kind) && fits(&self.group, group) && fits(&self.version, version)
    }
}

/// Group and version of an `apiVersion`.
pub(super) fn group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// An identity that an object has or had. The namespace is the effective one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

impl std::fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { api_version, kind, namespace, name } = self;
        let name = name.trim_end_matches('\0');
        if *namespace == NONE {
            write!(f, "{kind} {name} ({api_version})")
        } else {
            write!(f, "{kind} {namespace}/{name} ({api_version})")
        }
    }
}

/// The namespace that an object is in, for comparison: `default` if it says none.
pub(super) fn effective<'a>(api_version: &str, kind: &str, namespace: &'a str) -> &'a str {
    if is_cluster_scoped(api_version, kind) {
        NONE
    } else if namespace.is_empty() {
        DEFAULT
    } else {
        namespace
    }
}

/// Whether an effective namespace is that of an object which can have none.
pub(super) fn is_none(namespace: &str) -> bool {
    namespace == NONE
}

/// Whether the API data that kustomize carries says that a kind has no namespace.
///
/// Everything else counts as namespaced there, custom kinds first of all.
pub(super) fn is_cluster_scoped(api_version: &str, kind: &str) -> bool {
    let (group, version) = group_version(api_version);
    let versions: &[&str] = match (group, kind) {
        ("", "ComponentStatus" | "Namespace" | "Node" | "NodeProxyOptions" | "PersistentVolume") => &["v1"],
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy" | "ValidatingAdmissionPolicyBinding") => &["v1"],
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration")
        | ("apiextensions.k8s.io", "CustomResourceDefinition")
        | ("apiregistration.k8s.io", "APIService")
        | ("certificates.k8s.io", "CertificateSigningRequest")
        | ("networking.k8s.io", "IngressClass")
        | ("node.k8s.io", "RuntimeClass")
        | ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("storage.k8s.io", "CSIDriver" | "CSINode" | "StorageClass" | "VolumeAttachment") => &["v1", "v1beta1"],
        ("flowcontrol.apiserver.k8s.io", "FlowSchema" | "PriorityLevelConfiguration")
        | ("policy", "PodSecurityPolicy") => &["v1beta1"],
        _ => &[],
    };
    versions.contains(&version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_api_data_knows_is_cluster_scoped() {
        assert!(is_cluster_scoped("v1", "Namespace"));
        assert!(is_cluster_scoped("rbac.authorization.k8s.io/v1", "ClusterRole"));
        assert!(!is_cluster_scoped("rbac.authorization.k8s.io/v1", "Role"));
        assert!(!is_cluster_scoped("cert-manager.io/v1", "ClusterIssuer"));
        assert!(!is_cluster_scoped("v2", "Namespace"));
        assert_eq!(effective("v1", "Secret", ""), "default");
        assert_eq!(effective("v1", "Secret", "a"), "a");
        assert!(is_none(effective("v1", "Node", "a")));
    }
}
