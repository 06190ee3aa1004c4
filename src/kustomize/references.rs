//! Every place of an object that names a Secret, or a key of one.

use super::finish;
use super::model::{Reference, Referrer};
use super::refusal::{At, Refusal};
use super::resource::{HASH, Res};
use super::value::{Data, Value};

/// A kind, and the places in it that name Secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindSites {
    /// The group of its `apiVersion`; `*` for any.
    pub group: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The places.
    pub sites: &'static [Site],
}

/// A place that names Secrets. Paths are keys with dots; `[]` goes through the items of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The specification of a pod, with all the places in it.
    Pod(&'static str),
    /// A mapping with `name`, perhaps `namespace`, `key` and `optional`.
    Ref(&'static str),
    /// A mapping of which one key holds the name.
    Name(&'static str, &'static str),
    /// As `Ref`, where `kind` beside it says Secret.
    IfSecret(&'static str),
    /// As `IfSecret`, and a Secret is meant if nothing is said.
    UnlessOther(&'static str),
    /// An annotation that holds `name` or `namespace/name`.
    Annotation(&'static str),
}

use Site::{Annotation, IfSecret, Name, Pod, Ref, UnlessOther};

/// The kinds that are searched for references, and where.
pub const KINDS: &[KindSites] = &[
    KindSites { group: "", kind: "Pod", sites: &[Pod("spec")] },
    KindSites { group: "", kind: "PodTemplate", sites: &[Pod("template.spec")] },
    KindSites { group: "", kind: "ReplicationController", sites: &[Pod("spec.template.spec")] },
    KindSites { group: "*", kind: "Deployment", sites: &[Pod("spec.template.spec")] },
    KindSites { group: "*", kind: "ReplicaSet", sites: &[Pod("spec.template.spec")] },
    KindSites { group: "*", kind: "DaemonSet", sites: &[Pod("spec.template.spec")] },
    KindSites { group: "*", kind: "StatefulSet", sites: &[Pod("spec.template.spec")] },
    KindSites { group: "batch", kind: "Job", sites: &[Pod("spec.template.spec")] },
    KindSites { group: "batch", kind: "CronJob", sites: &[Pod("spec.jobTemplate.spec.template.spec")] },
    KindSites { group: "argoproj.io", kind: "Rollout", sites: &[Pod("spec.template.spec")] },
    KindSites { group: "serving.knative.dev", kind: "Service", sites: &[Pod("spec.template.spec")] },
    KindSites { group: "", kind: "ServiceAccount", sites: &[Ref("secrets[]"), Ref("imagePullSecrets[]")] },
    KindSites {
        group: "*",
        kind: "Ingress",
        sites: &[
            Name("spec.tls[]", "secretName"),
            Annotation("nginx.ingress.kubernetes.io/auth-secret"),
            Annotation("nginx.ingress.kubernetes.io/auth-tls-secret"),
            Annotation("nginx.ingress.kubernetes.io/proxy-ssl-secret"),
            Annotation("ingress.kubernetes.io/auth-secret"),
        ],
    },
    KindSites {
        group: "",
        kind: "PersistentVolume",
        sites: &[
            Name("spec.azureFile", "secretName"),
            Ref("spec.csi.controllerExpandSecretRef"),
            Ref("spec.csi.controllerPublishSecretRef"),
            Ref("spec.csi.nodeExpandSecretRef"),
            Ref("spec.csi.nodePublishSecretRef"),
            Ref("spec.csi.nodeStageSecretRef"),
        ],
    },
    KindSites {
        group: "gateway.networking.k8s.io",
        kind: "Gateway",
        sites: &[UnlessOther("spec.listeners[].tls.certificateRefs[]")],
    },
    KindSites {
        group: "monitoring.coreos.com",
        kind: "ServiceMonitor",
        sites: &[
            Ref("spec.endpoints[].basicAuth.username"),
            Ref("spec.endpoints[].basicAuth.password"),
            Ref("spec.endpoints[].bearerTokenSecret"),
            Ref("spec.endpoints[].authorization.credentials"),
            Ref("spec.endpoints[].tlsConfig.ca.secret"),
            Ref("spec.endpoints[].tlsConfig.cert.secret"),
            Ref("spec.endpoints[].tlsConfig.keySecret"),
        ],
    },
    KindSites { group: "source.toolkit.fluxcd.io", kind: "GitRepository", sites: &[Ref("spec.secretRef")] },
    KindSites { group: "source.toolkit.fluxcd.io", kind: "HelmRepository", sites: &[Ref("spec.secretRef")] },
    KindSites { group: "source.toolkit.fluxcd.io", kind: "OCIRepository", sites: &[Ref("spec.secretRef")] },
    KindSites { group: "source.toolkit.fluxcd.io", kind: "Bucket", sites: &[Ref("spec.secretRef")] },
    KindSites {
        group: "kustomize.toolkit.fluxcd.io",
        kind: "Kustomization",
        sites: &[
            Ref("spec.kubeConfig.secretRef"),
            Ref("spec.decryption.secretRef"),
            IfSecret("spec.postBuild.substituteFrom[]"),
        ],
    },
    KindSites {
        group: "helm.toolkit.fluxcd.io",
        kind: "HelmRelease",
        sites: &[Ref("spec.kubeConfig.secretRef"), IfSecret("spec.valuesFrom[]")],
    },
];

/// The places in the specification of a pod.
pub const POD: &[Site] = &[
    Ref("containers[].env[].valueFrom.secretKeyRef"),
    Ref("containers[].envFrom[].secretRef"),
    Ref("initContainers[].env[].valueFrom.secretKeyRef"),
    Ref("initContainers[].envFrom[].secretRef"),
    Ref("ephemeralContainers[].env[].valueFrom.secretKeyRef"),
    Ref("ephemeralContainers[].envFrom[].secretRef"),
    Name("volumes[].secret", "secretName"),
    Ref("volumes[].projected.sources[].secret"),
    Ref("volumes[].csi.nodePublishSecretRef"),
    Ref("volumes[].cephfs.secretRef"),
    Ref("volumes[].flexVolume.secretRef"),
    Ref("volumes[].iscsi.secretRef"),
    Ref("volumes[].rbd.secretRef"),
    Ref("volumes[].scaleIO.secretRef"),
    Ref("volumes[].storageos.secretRef"),
    Name("volumes[].azureFile", "secretName"),
    Ref("imagePullSecrets[]"),
];

/// Adds the references of one object.
pub(super) fn of(at: &At, resource: &Res, found: &mut Vec<Reference>) -> Result<(), Refusal> {
    let (group, _) = super::ident::group_version(resource.api_version());
    let kinds = KINDS.iter().filter(|kind| kind.kind == resource.kind() && (kind.group == group || kind.group == "*"));
    let mut search = Search { at, resource, found };
    for kind in kinds {
        for site in kind.sites {
            search.site(site, &resource.value, "")?;
        }
    }
    Ok(())
}

struct Search<'s> {
    at: &'s At,
    resource: &'s Res,
    found: &'s mut Vec<Reference>,
}

impl Search<'_> {
    fn site(&mut self, site: &Site, value: &Value, path: &str) -> Result<(), Refusal> {
        match site {
            Pod(pod) => self.walk(value, path, pod, &mut |search, value, path| {
                POD.iter().try_for_each(|site| search.site(site, value, path))
            }),
            Ref(place) => self.walk(value, path, place, &mut |search, value, path| search.add(value, path, "name")),
            Name(place, key) => self.walk(value, path, place, &mut |search, value, path| search.add(value, path, key)),
            IfSecret(place) | UnlessOther(place) => {
                let unsaid = matches!(site, UnlessOther(_));
                self.walk(
                    value,
                    path,
                    place,
                    &mut |search, value, path| match value.get("kind").and_then(Value::scalar) {
                        Some("Secret") => search.add(value, path, "name"),
                        None if unsaid => search.add(value, path, "name"),
                        _ => Ok(()),
                    },
                )
            }
            Annotation(key) => match value.at(&["metadata", "annotations", key]) {
                Some(text) => self.annotation(text, &format!("metadata.annotations[{key}]")),
                None => Ok(()),
            },
        }
    }

    /// Goes along a path of keys and through lists.
    fn walk(
        &mut self,
        value: &Value,
        path: &str,
        rest: &str,
        then: &mut dyn FnMut(&mut Self, &Value, &str) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let (key, rest) = rest.split_once('.').map_or((rest, None), |(key, rest)| (key, Some(rest)));
        let (name, each) = key.strip_suffix("[]").map_or((key, false), |name| (name, true));
        let Some(inner) = value.get(name) else { return Ok(()) };
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        if inner.is_hidden() {
            return Err(self.hidden(&path));
        }
        let mut step = |search: &mut Self, value: &Value, path: &str| match rest {
            Some(rest) => search.walk(value, path, rest, then),
            None => then(search, value, path),
        };
        if !each {
            return step(self, inner, &path);
        }
        for (index, item) in inner.as_seq().into_iter().flatten().enumerate() {
            step(self, item, &format!("{path}[{index}]"))?;
        }
        Ok(())
    }

    fn hidden(&self, path: &str) -> Refusal {
        self.at.unmodelled("hidden-value", format!("{path} comes from a value that is not kept"))
    }

    /// A mapping that names a Secret.
    fn add(&mut self, value: &Value, path: &str, name: &str) -> Result<(), Refusal> {
        if value.is_hidden() {
            return Err(self.hidden(path));
        }
        let text = |key: &str| value.get(key).and_then(Value::scalar);
        for key in [name, "namespace", "key"] {
            if value.get(key).is_some_and(Value::is_hidden) {
                return Err(self.hidden(&format!("{path}.{key}")));
            }
        }
        let Some(named) = text(name).filter(|named| !named.is_empty()) else { return Ok(()) };
        let optional = text("optional") == Some("true");
        let items = value.get("items").and_then(Value::as_seq).unwrap_or_default();
        self.push(&format!("{path}.{name}"), text("namespace"), named, text("key"), optional)?;
        for (index, item) in items.iter().enumerate() {
            if let Some(key) = item.get("key").and_then(Value::scalar) {
                self.push(&format!("{path}.items[{index}].key"), text("namespace"), named, Some(key), optional)?;
            }
        }
        Ok(())
    }

    fn annotation(&mut self, value: &Value, path: &str) -> Result<(), Refusal> {
        match &value.data {
            Data::Hidden => Err(self.hidden(path)),
            Data::Str(text) if !text.is_empty() => match text.split_once('/') {
                Some((namespace, name)) => self.push(path, Some(namespace), name, None, false),
                None => self.push(path, None, text, None, false),
            },
            _ => Ok(()),
        }
    }

    fn push(
        &mut self,
        path: &str,
        namespace: Option<&str>,
        name: &str,
        key: Option<&str>,
        optional: bool,
    ) -> Result<(), Refusal> {
        if name.contains("${") || namespace.is_some_and(|namespace| namespace.contains("${")) {
            return Err(finish::placeholder(self.at, path));
        }
        let own = self.resource.namespace();
        let own = Some(own).filter(|namespace| !namespace.is_empty());
        let reference = Reference {
            from: Referrer {
                api_version: self.resource.api_version().to_owned(),
                kind: self.resource.kind().to_owned(),
                namespace: own.map(str::to_owned),
                name: self.resource.name().trim_end_matches(HASH).to_owned(),
            },
            path: path.to_owned(),
            namespace: namespace.filter(|namespace| !namespace.is_empty()).or(own).map(str::to_owned),
            name: name.trim_end_matches(HASH).to_owned(),
            hashed: name.ends_with(HASH),
            key: key.map(str::to_owned),
            optional,
        };
        self.found.push(reference);
        Ok(())
    }
}
