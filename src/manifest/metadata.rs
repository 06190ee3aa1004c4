//! The metadata of a Secret: what is kept, where it goes, what is dropped and said.
//!
//! A sealed document carries two sets of labels and annotations: its own, and those of the Secret that is made of it
//! (`spec.template.metadata`). Those of a plaintext Secret go to the template, because they describe the Secret and are
//! selected by. Except for directives to the tools that apply the object: these stay on the document, because the document
//! is what those tools apply, and because a tool that finds its own tracking mark on a Secret that it did not apply prunes
//! it. See [`is_directive`].

use std::collections::BTreeMap;

use zeroize::Zeroize;

use super::fields::{Fields, is_bare_null, resolve};
use super::names;
use crate::problem::Problem;
use crate::yaml::Node;

/// The annotation in which `kubectl apply` keeps the whole object, values and all.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Groups of labels and annotations that steer whoever applies the object.
const DIRECTIVES: [&str; 13] = [
    "ageseal.dev",
    "applyset.kubernetes.io",
    "argocd.argoproj.io",
    "config.k8s.io",
    "config.kubernetes.io",
    "helm.sh",
    "helm.toolkit.fluxcd.io",
    "internal.config.kubernetes.io",
    "kapp.k14s.io",
    "kustomize.config.k8s.io",
    "kustomize.toolkit.fluxcd.io",
    "meta.helm.sh",
    "ssa.fluxcd.io",
];

/// Single labels that do: they name the tool that applies the object.
const DIRECTIVE_NAMES: [&str; 1] = ["app.kubernetes.io/managed-by"];

/// What the cluster fills in. `kubectl get -o yaml` prints it; it says nothing about the Secret that is meant.
const SERVER_FIELDS: [&str; 10] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
    "clusterName",
];

/// The fields of metadata that a manifest may have.
const KNOWN: [&str; 6] = ["name", "namespace", "labels", "annotations", "generateName", "finalizers"];

/// Whether a label or annotation steers the tools that apply an object, rather than describes it.
pub fn is_directive(key: &str) -> bool {
    let group = key.split_once('/').map(|(group, _)| group);
    group.is_some_and(|group| DIRECTIVES.contains(&group)) || DIRECTIVE_NAMES.contains(&key)
}

/// The part of a manifest's metadata that means something.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// Reads the metadata of an object; `object` is the whole of it.
pub(super) fn read(object: Node<'_>, fields: &mut Fields) -> Metadata {
    let mut metadata = Metadata::default();
    let Some(node) = object.get("metadata") else {
        fields.say(missing_name(object));
        return metadata;
    };
    let node = resolve(node);
    let entries = fields.entries(node, "metadata");
    let known: Vec<&str> = KNOWN.into_iter().chain(SERVER_FIELDS).collect();
    fields.only_known(&entries, "metadata", &known);
    let get = |name: &str| entries.iter().find(|(key, ..)| *key == name).map(|(_, _, value)| *value);

    metadata.name = name(get("name"), get("generateName"), object, fields);
    metadata.namespace = get("namespace").filter(|node| !is_bare_null(*node)).and_then(|node| {
        let text = fields.string(resolve(node), "metadata.namespace")?;
        if let Some(fault) = names::namespace_fault(text) {
            fields.say(Problem::error("bad-namespace", format!("metadata.namespace {fault}")).at(node.location()));
            return None;
        }
        Some(text.to_owned())
    });
    metadata.labels = fields.labels(get("labels"), "metadata.labels");
    metadata.annotations = fields.annotations(get("annotations"), "metadata.annotations");
    for (name, key, value) in &entries {
        // `creationTimestamp: null` is what kubectl writes into every object that it makes.
        if SERVER_FIELDS.contains(name) && !is_bare_null(*value) {
            fields.say(
                Problem::warning("server-field", format!("metadata.{name} is left out: the cluster fills it"))
                    .at(key.location()),
            );
        }
    }
    metadata
}

fn name(name: Option<Node<'_>>, generate: Option<Node<'_>>, object: Node<'_>, fields: &mut Fields) -> Option<String> {
    let Some(node) = name.filter(|node| !is_bare_null(*node)) else {
        match generate {
            Some(node) => fields.say(
                Problem::error("generate-name", "metadata has generateName and no name")
                    .at(node.location())
                    .hint("give it a metadata.name: values are sealed for one name"),
            ),
            None => fields.say(missing_name(object)),
        }
        return None;
    };
    if let Some(node) = generate.filter(|node| !is_bare_null(*node)) {
        fields.say(
            Problem::warning("generate-name", "metadata.generateName is left out: there is a name").at(node.location()),
        );
    }
    let text = fields.string(resolve(node), "metadata.name")?;
    if let Some(fault) = names::object_name_fault(text) {
        fields.say(Problem::error("bad-name", format!("metadata.name {fault}")).at(node.location()));
        return None;
    }
    Some(text.to_owned())
}

fn missing_name(object: Node<'_>) -> Problem {
    Problem::error("missing-name", "there is no metadata.name").at(object.location())
}

/// Judges what a plaintext Secret must not bring along: finalizers, which no template can carry, and
/// `last-applied-configuration`, which holds every value in plaintext and is taken out.
pub(super) fn of_secret(object: Node<'_>, metadata: &mut Metadata, fields: &mut Fields) {
    let node = object.get("metadata").map(resolve);
    if let Some(list) =
        node.and_then(|node| node.get("finalizers")).filter(|list| resolve(*list).items().next().is_some())
    {
        fields.say(
            Problem::error("finalizers", "a Secret that is made from a sealed document cannot carry finalizers")
                .at(list.location())
                .hint("remove metadata.finalizers"),
        );
    }
    let Some(mut copy) = metadata.annotations.remove(LAST_APPLIED) else { return };
    copy.zeroize();
    let annotations = node.and_then(|node| node.get("annotations")).map(resolve);
    let at = annotations.and_then(|node| node.entry(LAST_APPLIED)).map_or(object.location(), |(key, _)| key.location());
    fields.say(
        Problem::warning(
            "last-applied",
            "the annotation last-applied-configuration is left out: it holds the plaintext",
        )
        .at(at)
        .hint("if this file was ever committed, git history keeps the values: change them at their source"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_known_by_their_group() {
        for own in [
            "argocd.argoproj.io/sync-wave",
            "kustomize.toolkit.fluxcd.io/prune",
            "helm.sh/resource-policy",
            "meta.helm.sh/release-name",
            "app.kubernetes.io/managed-by",
            "config.kubernetes.io/local-config",
            "ageseal.dev/paused",
        ] {
            assert!(is_directive(own), "{own}");
        }
        for described in [
            "app",
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "example.com/owner",
            "kubernetes.io/service-account.name",
            "reloader.stakater.com/match",
            "notargocd.argoproj.io/x",
        ] {
            assert!(!is_directive(described), "{described}");
        }
    }
}
