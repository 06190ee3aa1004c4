//! Which labels and annotations of a template reach the Secret.
//!
//! A template is not authenticated: whoever may change the document may change it. So nothing passes that would make
//! some other controller act on the Secret, and nothing that makes a tool take the Secret for an object of its own.

use std::collections::BTreeMap;

use ageseal::api::{OWN_PREFIX, ReadyReason, Template};

use crate::fault::Fault;

/// Labels and annotations that other controllers act on: copying the Secret elsewhere, restarting what uses it,
/// exempting it from policy, minting a token into it. `--allow-metadata` lifts an entry.
pub const DENIED: &[&str] = &[
    "config.syncer/",
    "emberstack.com/",
    "kubed.appscode.com/",
    "kubernetes.io/service-account.",
    "kyverno.io/",
    "pod-security.kubernetes.io/",
    "policies.kyverno.io/",
    "reflector.v1.k8s.emberstack.com/",
    "reloader.stakater.com/",
    "replicator.v1.mittwald.de/",
    "secretgen.carvel.dev/",
    "vault.banzaicloud.io/",
];

/// Marks by which tools know the objects that they applied. On the Secret they would make Argo CD or Flux prune it, and
/// Helm claim it; they are left out in silence, because the tool put them on the document by itself.
const TRACKING: &[&str] = &[
    "app.kubernetes.io/instance",
    "applyset.kubernetes.io/",
    "argocd.argoproj.io/",
    "config.k8s.io/owning-inventory",
    "fluxcd.io/",
    "helm.sh/",
    "helm.toolkit.fluxcd.io/",
    "kubectl.kubernetes.io/",
    "kustomize.toolkit.fluxcd.io/",
    "meta.helm.sh/",
];

/// What Argo CD finds its clusters and repositories by: meant for the Secret, and nothing that tracks it.
const NOT_TRACKING: &str = "argocd.argoproj.io/secret-type";

/// Labels and annotations for the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Sifts a template.
///
/// # Errors
/// `Malformed` for a name of ours, `DeniedType` for one on the list that `allowed` does not lift.
pub fn sift(template: Option<&Template>, allowed: &[String]) -> Result<Marks, Fault> {
    let Some(metadata) = template.and_then(|template| template.metadata.as_ref()) else {
        return Ok(Marks::default());
    };
    Ok(Marks {
        labels: sift_map(&metadata.labels, "label", allowed)?,
        annotations: sift_map(&metadata.annotations, "annotation", allowed)?,
    })
}

fn sift_map(map: &BTreeMap<String, String>, what: &str, allowed: &[String]) -> Result<BTreeMap<String, String>, Fault> {
    let mut kept = BTreeMap::new();
    for (name, value) in map {
        if name.starts_with(OWN_PREFIX) {
            let message = format!("the template sets the {what} {name}, and {OWN_PREFIX} is the controller's own");
            return Err(Fault::new(ReadyReason::Malformed, message));
        }
        let lifted = allowed.iter().any(|prefix| name.starts_with(prefix.as_str()));
        if !lifted && DENIED.iter().any(|denied| begins(name, denied)) {
            let message = format!(
                "the template sets the {what} {name}, which other controllers act on; an operator lifts that with \
                 --allow-metadata"
            );
            return Err(Fault::new(ReadyReason::DeniedType, message));
        }
        if name == NOT_TRACKING || !TRACKING.iter().any(|mark| begins(name, mark)) {
            kept.insert(name.clone(), value.clone());
        }
    }
    Ok(kept)
}

/// Whether a name has this prefix, or belongs to a subdomain of it.
fn begins(name: &str, prefix: &str) -> bool {
    name.starts_with(prefix)
        || prefix.ends_with('/')
            && name.split_once('/').is_some_and(|(domain, _)| {
                domain.strip_suffix(&prefix[..prefix.len() - 1]).is_some_and(|rest| rest.ends_with('.'))
            })
}

#[cfg(test)]
mod tests {
    use ageseal::api::TemplateMetadata;

    use super::*;

    fn sifted(name: &str, allowed: &[&str]) -> Result<bool, ReadyReason> {
        let labels = BTreeMap::from([(name.to_owned(), "x".to_owned())]);
        let annotations = labels.clone();
        let template = Template { metadata: Some(TemplateMetadata { labels, annotations }) };
        let allowed: Vec<String> = allowed.iter().map(|&text| text.to_owned()).collect();
        let marks = sift(Some(&template), &allowed).map_err(|fault| fault.reason)?;
        assert_eq!(marks.labels, marks.annotations);
        Ok(!marks.labels.is_empty())
    }

    #[test]
    fn ordinary_names_pass() {
        for name in ["app", "app.kubernetes.io/name", "team.example/x", "argocd.argoproj.io/secret-type"] {
            assert_eq!(sifted(name, &[]), Ok(true), "{name}");
        }
    }

    #[test]
    fn tracking_marks_are_left_out() {
        for name in [
            "argocd.argoproj.io/tracking-id",
            "argocd.argoproj.io/instance",
            "app.kubernetes.io/instance",
            "kustomize.toolkit.fluxcd.io/name",
            "meta.helm.sh/release-name",
            "helm.sh/chart",
            "kubectl.kubernetes.io/last-applied-configuration",
        ] {
            assert_eq!(sifted(name, &[]), Ok(false), "{name}");
        }
    }

    #[test]
    fn names_that_controllers_act_on_are_denied_until_they_are_allowed() {
        for name in [
            "replicator.v1.mittwald.de/replicate-to",
            "reflector.v1.k8s.emberstack.com/reflection-allowed",
            "kubernetes.io/service-account.name",
            "policies.kyverno.io/severity",
        ] {
            assert_eq!(sifted(name, &[]), Err(ReadyReason::DeniedType), "{name}");
            let prefix = &name[..name.find('/').unwrap()];
            assert_eq!(sifted(name, &[prefix]), Ok(true), "{name}");
        }
    }

    #[test]
    fn our_own_names_are_never_the_templates() {
        assert_eq!(sifted("ageseal.dev/managed", &["ageseal.dev/"]), Err(ReadyReason::Malformed));
    }
}
