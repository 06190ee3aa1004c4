//! The manifests of `deploy/`, as they are in the source, and the few places of them that options change.

use ageseal::api::DEFAULT_NAMESPACE;
use ageseal::yaml::{EditError, Editor, Node, Stream, Value, YamlError};
use thiserror::Error;

macro_rules! deploy {
    ($path:literal) => {
        include_str!(concat!("../../../../deploy/", $path))
    };
}

/// What every installation has.
const BASE: [&str; 10] = [
    deploy!("base/namespace.yaml"),
    deploy!("crd/ageseal.dev_sealedsecrets.yaml"),
    deploy!("base/priorityclass.yaml"),
    deploy!("base/serviceaccount.yaml"),
    deploy!("base/role.yaml"),
    deploy!("base/recipients-role.yaml"),
    deploy!("base/service.yaml"),
    deploy!("base/poddisruptionbudget.yaml"),
    deploy!("base/networkpolicy.yaml"),
    deploy!("admission/policy.yaml"),
];
const DEPLOYMENT: &str = deploy!("base/deployment.yaml");
/// The rights in all namespaces, and what the drift watch needs there.
const CLUSTER: [&str; 2] = [deploy!("rbac/cluster/clusterrole.yaml"), deploy!("rbac/users/clusterroles.yaml")];
const CLUSTER_DRIFT_WATCH: &str = deploy!("rbac/drift-watch/clusterrole.yaml");
/// The rights in one namespace, and what the drift watch needs there.
const SERVED: &str = deploy!("components/served-namespace/role.yaml");
const SERVED_DRIFT_WATCH: &str = deploy!("components/served-namespace/drift-watch.yaml");
/// What stands for that namespace in them.
const SERVED_NAMESPACE: &str = "served-namespace";

/// What the options say.
pub struct Wanted<'a> {
    /// The controller's own namespace.
    pub namespace: &'a str,
    /// The namespaces that it serves; all, if there are none.
    pub namespaces: &'a [String],
    /// Whether it watches Secrets.
    pub drift_watch: bool,
    /// Its image, unless it is the one in the source.
    pub image: Option<&'a str>,
    /// The number of its replicas.
    pub replicas: u8,
    /// Who its identities are encrypted to as well.
    pub backup_recipients: &'a [&'a str],
}

/// Why a manifest could not be changed: it is not what this module takes it for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not YAML.
    #[error("a manifest does not parse")]
    Yaml(#[source] YamlError),
    /// The change is not possible.
    #[error("a manifest does not take the change")]
    Edit(#[source] EditError),
    /// What is to be changed is not there.
    #[error("the Deployment has no {0}")]
    Missing(&'static str),
}

/// The image that the Deployment names in the source.
pub fn image() -> &'static str {
    DEPLOYMENT.lines().find_map(|line| line.trim().strip_prefix("image: ")).unwrap_or_default()
}

/// All manifests, as one text of several documents. Comments stay.
///
/// # Errors
/// [`ManifestError`]; the tests have them all.
pub fn manifests(wanted: &Wanted<'_>) -> Result<String, ManifestError> {
    let own = [(DEFAULT_NAMESPACE, wanted.namespace)];
    let mut texts = vec![];
    for text in BASE {
        texts.push(renamed(text, &own)?);
    }
    if wanted.namespaces.is_empty() {
        let drift_watch = wanted.drift_watch.then_some(CLUSTER_DRIFT_WATCH);
        for text in CLUSTER.into_iter().chain(drift_watch) {
            texts.push(renamed(text, &own)?);
        }
    }
    for namespace in wanted.namespaces {
        let drift_watch = wanted.drift_watch.then_some(SERVED_DRIFT_WATCH);
        for text in [SERVED].into_iter().chain(drift_watch) {
            texts.push(renamed(text, &[own[0], (SERVED_NAMESPACE, namespace)])?);
        }
    }
    texts.push(deployment(wanted)?);
    Ok(texts.join("---\n"))
}

/// The text with other names of namespaces: every scalar that is one of the old names becomes the new one.
fn renamed(text: &str, names: &[(&str, &str)]) -> Result<String, ManifestError> {
    edited(text, |editor, root| rename(editor, root, names))
}

/// The Deployment with everything that the options say about it.
fn deployment(wanted: &Wanted<'_>) -> Result<String, ManifestError> {
    let mut arguments = vec![];
    if !wanted.namespaces.is_empty() {
        arguments.push(format!("--namespaces={}", wanted.namespaces.join(",")));
    }
    if !wanted.drift_watch {
        arguments.push("--no-drift-watch".to_owned());
    }
    arguments.extend(wanted.backup_recipients.iter().map(|recipient| format!("--backup-recipient={recipient}")));
    edited(DEPLOYMENT, |editor, root| {
        rename(editor, root, &[(DEFAULT_NAMESPACE, wanted.namespace)])?;
        let spec = root.get("spec").ok_or(ManifestError::Missing("spec"))?;
        let replicas = spec.get("replicas").ok_or(ManifestError::Missing("replicas"))?;
        let count = wanted.replicas.to_string();
        if replicas.str() != Some(&count) {
            editor.replace(replicas, &Value::Plain(count)).map_err(ManifestError::Edit)?;
        }
        let container = ["template", "spec", "containers"].iter().try_fold(spec, |node, key| node.get(key));
        let container = container.and_then(|list| list.items().next()).ok_or(ManifestError::Missing("container"))?;
        if let Some(image) = wanted.image {
            let node = container.get("image").ok_or(ManifestError::Missing("image"))?;
            editor.replace(node, &image.into()).map_err(ManifestError::Edit)?;
        }
        let list = container.get("args").ok_or(ManifestError::Missing("args"))?;
        let end = list.items().count();
        for argument in &arguments {
            editor.insert_item(list, end, &argument.as_str().into()).map_err(ManifestError::Edit)?;
        }
        Ok(())
    })
}

/// Applies edits to every document of a text.
fn edited(
    text: &str,
    edit: impl for<'a> Fn(&mut Editor<'a>, Node<'a>) -> Result<(), ManifestError>,
) -> Result<String, ManifestError> {
    let stream = Stream::parse(text.to_owned()).map_err(ManifestError::Yaml)?;
    let mut editor = Editor::new(&stream);
    for root in stream.documents().filter_map(|document| document.root()) {
        edit(&mut editor, root)?;
    }
    let stream = editor.finish().map_err(ManifestError::Edit)?;
    Ok(stream.text().to_owned())
}

fn rename<'a>(editor: &mut Editor<'a>, node: Node<'a>, names: &[(&str, &str)]) -> Result<(), ManifestError> {
    if let Some(text) = node.str() {
        let new = names.iter().find(|(old, new)| text == *old && old != new);
        return new.map_or(Ok(()), |(_, new)| editor.replace(node, &(*new).into()).map_err(ManifestError::Edit));
    }
    node.entries().map(|(_, value)| value).chain(node.items()).try_for_each(|below| rename(editor, below, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted<'static> {
        Wanted {
            namespace: DEFAULT_NAMESPACE,
            namespaces: &[],
            drift_watch: true,
            image: None,
            replicas: 2,
            backup_recipients: &[],
        }
    }

    #[test]
    fn no_option_changes_no_byte() {
        let text = manifests(&wanted()).unwrap();
        for source in BASE.into_iter().chain(CLUSTER).chain([CLUSTER_DRIFT_WATCH, DEPLOYMENT]) {
            assert!(text.contains(source), "{source}");
            assert!(source.ends_with('\n') && !source.starts_with("---"), "{source}");
        }
        assert!(!text.contains(SERVED_NAMESPACE));
    }

    #[test]
    fn the_image_in_the_source_is_of_this_version() {
        assert_eq!(image(), concat!("ageseal-controller:", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn another_namespace_is_everywhere() {
        let served = ["a".to_owned(), "123".to_owned()];
        for namespaces in [&[][..], &served[..]] {
            let text = manifests(&Wanted { namespace: "keys", namespaces, ..wanted() }).unwrap();
            assert!(!text.contains(DEFAULT_NAMESPACE), "{text}");
            assert!(!text.contains(SERVED_NAMESPACE), "{text}");
            assert_eq!(text.contains("namespace: \"123\""), !namespaces.is_empty(), "{text}");
        }
    }

    #[test]
    fn every_option_is_in_the_deployment() {
        let served = ["a".to_owned(), "b".to_owned()];
        let text = deployment(&Wanted {
            namespaces: &served,
            drift_watch: false,
            image: Some("registry/x:1@sha256:0"),
            replicas: 3,
            backup_recipients: &["age1pq1a", "age1pq1b"],
            ..wanted()
        })
        .unwrap();
        let args = r#"        args:
        - --log-level=info
        - "--namespaces=a,b"
        - "--no-drift-watch"
        - "--backup-recipient=age1pq1a"
        - "--backup-recipient=age1pq1b"
        env:
"#;
        for part in [args, "image: registry/x:1@sha256:0\n", "\n  replicas: 3\n"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn namespaces_bring_no_cluster_role_and_no_list_of_secrets_without_the_watch() {
        let served = ["a".to_owned()];
        let text = manifests(&Wanted { namespaces: &served, ..wanted() }).unwrap();
        assert!(!text.contains("ClusterRole"), "{text}");
        assert!(text.contains("ageseal-drift-watch"));
        for namespaces in [&[][..], &served[..]] {
            let text = manifests(&Wanted { namespaces, drift_watch: false, ..wanted() }).unwrap();
            assert!(!text.contains("ageseal-drift-watch"), "{text}");
        }
    }
}
