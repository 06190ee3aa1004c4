//! Field specifications: which fields of which kinds kustomize's transformers touch, and the ones it starts with.

use std::rc::Rc;

use super::fields::Fields;
use super::ident::Gvk;
use super::refusal::{At, Refusal};
use super::value::Value;

/// One field of some kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldSpec {
    pub(super) gvk: Gvk,
    /// Keys, separated by `/`, with `\/` for a slash in a key.
    pub(super) path: String,
    pub(super) create: bool,
}

impl FieldSpec {
    fn new(kind: &str, path: &str, create: bool) -> Self {
        Self { gvk: Gvk::new("", "", kind), path: path.to_owned(), create }
    }

    /// A field of any kind.
    pub(super) fn any(path: &str, create: bool) -> Self {
        Self::new("", path, create)
    }

    fn same_field(&self, other: &Self) -> bool {
        other.gvk.selects(&self.gvk.group, &self.gvk.version, &self.gvk.kind) && self.path == other.path
    }
}

/// Which fields hold the name of an object of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameReference {
    pub(super) target: Gvk,
    pub(super) fields: Vec<FieldSpec>,
}

/// All field specifications that have to do with names and namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) prefix: Vec<FieldSpec>,
    pub(super) suffix: Vec<FieldSpec>,
    pub(super) namespace: Vec<FieldSpec>,
    pub(super) references: Vec<NameReference>,
}

impl Config {
    /// Adds what another one has and this one has not.
    pub(super) fn merge(&mut self, at: &At, other: &Config) -> Result<(), Refusal> {
        merge_fields(at, &mut self.prefix, &other.prefix)?;
        merge_fields(at, &mut self.suffix, &other.suffix)?;
        merge_fields(at, &mut self.namespace, &other.namespace)?;
        for reference in &other.references {
            match self.references.iter_mut().find(|known| known.target == reference.target) {
                Some(known) => merge_fields(at, &mut known.fields, &reference.fields)?,
                None => self.references.push(reference.clone()),
            }
        }
        for specs in [&mut self.prefix, &mut self.suffix, &mut self.namespace] {
            specs.sort_by_cached_key(|spec| rank(&spec.gvk));
        }
        self.references.sort_by_cached_key(|reference| rank(&reference.target));
        Ok(())
    }

    /// Reads a file of `configurations:`.
    pub(super) fn read(at: &At, value: &Value) -> Result<Self, Refusal> {
        let mut fields = Fields::new(at, value, "a configuration of transformers")?;
        let config = Self {
            prefix: specs(&mut fields, "namePrefix")?,
            suffix: specs(&mut fields, "nameSuffix")?,
            namespace: specs(&mut fields, "namespace")?,
            references: references(&mut fields)?,
        };
        for other in [
            "commonLabels",
            "labels",
            "templateLabels",
            "volumeClaimTemplateLabels",
            "commonAnnotations",
            "varReference",
            "images",
            "replicas",
        ] {
            for spec in specs(&mut fields, other)? {
                if touches_names(&spec.path) {
                    return Err(at.unmodelled("names-by-config", format!("{other} is told to write into names")));
                }
            }
        }
        fields.finish()?;
        Ok(config)
    }
}

/// Whether a path leads to what identifies an object.
pub(super) fn touches_names(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    ["metadata/name", "metadata/namespace", "kind", "apiVersion", "metadata"].contains(&path)
}

fn references(fields: &mut Fields<'_>) -> Result<Vec<NameReference>, Refusal> {
    let at = fields.at().clone();
    let mut references = Vec::new();
    for item in fields.list("nameReference")? {
        let mut entry = Fields::new(&at, item, "an entry of nameReference")?;
        let target = gvk(&mut entry)?;
        references.push(NameReference { target, fields: specs(&mut entry, "fieldSpecs")? });
        entry.finish()?;
    }
    Ok(references)
}

/// A list of field specifications.
pub(super) fn specs(fields: &mut Fields<'_>, name: &'static str) -> Result<Vec<FieldSpec>, Refusal> {
    let at = fields.at().clone();
    let items = fields.list(name)?;
    items
        .iter()
        .map(|item| {
            let mut entry = Fields::new(&at, item, "a field specification")?;
            let spec =
                FieldSpec { gvk: gvk(&mut entry)?, path: entry.text_or_empty("path")?, create: entry.flag("create")? };
            entry.finish()?;
            Ok(spec)
        })
        .collect()
}

fn gvk(fields: &mut Fields<'_>) -> Result<Gvk, Refusal> {
    let [group, version, kind] =
        [fields.text_or_empty("group")?, fields.text_or_empty("version")?, fields.text_or_empty("kind")?];
    Ok(Gvk::new(&group, &version, &kind))
}

fn merge_fields(at: &At, known: &mut Vec<FieldSpec>, new: &[FieldSpec]) -> Result<(), Refusal> {
    for spec in new {
        match known.iter().find(|known| known.same_field(spec)) {
            None => known.push(spec.clone()),
            Some(same) if same.create == spec.create => {}
            Some(_) => {
                let message = format!("the field {} is configured twice, with different create", spec.path);
                return Err(at.broken("conflicting-configuration", message));
            }
        }
    }
    Ok(())
}

/// The order in which kustomize works through references.
fn rank(gvk: &Gvk) -> (usize, String) {
    const FIRST: [&str; 22] = [
        "Namespace",
        "ResourceQuota",
        "StorageClass",
        "CustomResourceDefinition",
        "ServiceAccount",
        "PodSecurityPolicy",
        "Role",
        "ClusterRole",
        "RoleBinding",
        "ClusterRoleBinding",
        "ConfigMap",
        "Secret",
        "Endpoints",
        "Service",
        "LimitRange",
        "PriorityClass",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Deployment",
        "StatefulSet",
        "CronJob",
        "PodDisruptionBudget",
    ];
    let or = |text: &Rc<str>, empty: &str| if text.is_empty() { empty.to_owned() } else { text.to_string() };
    let rest = format!("{}_{}_{}", or(&gvk.group, "~G"), or(&gvk.version, "~V"), or(&gvk.kind, "~K"));
    (FIRST.iter().position(|kind| *kind == &*gvk.kind).unwrap_or(FIRST.len()), rest)
}

/// What every kustomization starts with.
pub(super) fn defaults() -> Config {
    let mut config = Config {
        prefix: vec![FieldSpec::any("metadata/name", false)],
        suffix: vec![FieldSpec::any("metadata/name", false)],
        namespace: vec![
            FieldSpec::new("Namespace", "metadata/name", true),
            in_group("apiregistration.k8s.io", "APIService", "spec/service/namespace", true),
            in_group(
                "apiextensions.k8s.io",
                "CustomResourceDefinition",
                "spec/conversion/webhook/clientConfig/service/namespace",
                false,
            ),
        ],
        references: Vec::new(),
    };
    config.references = default_references();
    config.references.sort_by_key(|reference| rank(&reference.target));
    config
}

fn in_group(group: &str, kind: &str, path: &str, create: bool) -> FieldSpec {
    FieldSpec { gvk: Gvk::new(group, "", kind), path: path.to_owned(), create }
}

/// The workloads that kustomize knows, with the path to the pod's specification.
const WORKLOADS: [(&str, &str); 8] = [
    ("Pod", "spec"),
    ("PodTemplate", "template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
];

const SECRET_FIELDS: [&str; 7] = [
    "volumes/secret/secretName",
    "containers/env/valueFrom/secretKeyRef/name",
    "initContainers/env/valueFrom/secretKeyRef/name",
    "containers/envFrom/secretRef/name",
    "initContainers/envFrom/secretRef/name",
    "imagePullSecrets/name",
    "volumes/projected/sources/secret/name",
];

const CONFIG_MAP_FIELDS: [&str; 6] = [
    "volumes/configMap/name",
    "containers/env/valueFrom/configMapKeyRef/name",
    "initContainers/env/valueFrom/configMapKeyRef/name",
    "containers/envFrom/configMapRef/name",
    "initContainers/envFrom/configMapRef/name",
    "volumes/projected/sources/configMap/name",
];

/// The workloads whose pods name an account, a claim or a priority class.
const PODS: [(&str, &str); 7] = [
    ("Pod", "spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicationController", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
];

fn in_workloads(fields: &[&str]) -> Vec<FieldSpec> {
    let specs = WORKLOADS.iter().flat_map(|(kind, path)| fields.iter().map(move |field| (kind, path, field)));
    specs
        .map(|(kind, path, field)| {
            let version = if *kind == "Pod" { "v1" } else { "" };
            FieldSpec { gvk: Gvk::new("", version, kind), path: format!("{path}/{field}"), create: false }
        })
        .collect()
}

fn in_pods(field: &str) -> Vec<FieldSpec> {
    PODS.iter().map(|(kind, path)| FieldSpec::new(kind, &format!("{path}/{field}"), false)).collect()
}

fn plain(fields: &[(&str, &str)]) -> Vec<FieldSpec> {
    fields.iter().map(|(kind, path)| FieldSpec::new(kind, path, false)).collect()
}

fn grouped(fields: &[(&str, &str, &str)]) -> Vec<FieldSpec> {
    fields.iter().map(|(group, kind, path)| in_group(group, kind, path, false)).collect()
}

fn default_references() -> Vec<NameReference> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    const ADMISSION: &str = "admissionregistration.k8s.io";
    let to = |group: &str, version: &str, kind: &str, fields: Vec<Vec<FieldSpec>>| NameReference {
        target: Gvk::new(group, version, kind),
        fields: fields.concat(),
    };
    let scaled = || vec![plain(&[("HorizontalPodAutoscaler", "spec/scaleTargetRef/name")])];
    let knative = FieldSpec {
        gvk: Gvk::new("serving.knative.dev", "v1", "Service"),
        path: "spec/template/spec/containers/env/valueFrom/secretKeyRef/name".to_owned(),
        create: false,
    };
    vec![
        to("", "", "Deployment", scaled()),
        to("", "", "ReplicationController", scaled()),
        to("", "", "ReplicaSet", scaled()),
        to("", "", "StatefulSet", scaled()),
        to(
            "",
            "v1",
            "ConfigMap",
            vec![
                in_workloads(&CONFIG_MAP_FIELDS),
                plain(&[
                    ("Node", "spec/configSource/configMap"),
                    ("Role", "rules/resourceNames"),
                    ("ClusterRole", "rules/resourceNames"),
                    ("Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap"),
                ]),
            ],
        ),
        to(
            "",
            "v1",
            "Secret",
            vec![
                in_workloads(&SECRET_FIELDS),
                plain(&[
                    ("Ingress", "spec/tls/secretName"),
                    ("Ingress", "metadata/annotations/ingress.kubernetes.io\\/auth-secret"),
                    ("Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret"),
                    ("Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret"),
                    ("ServiceAccount", "imagePullSecrets/name"),
                    ("StorageClass", "parameters/secretName"),
                    ("StorageClass", "parameters/adminSecretName"),
                    ("StorageClass", "parameters/userSecretName"),
                    ("StorageClass", "parameters/secretRef"),
                    ("Role", "rules/resourceNames"),
                    ("ClusterRole", "rules/resourceNames"),
                    ("PersistentVolume", "spec/azureFile/secretName"),
                ]),
                vec![knative],
            ],
        ),
        to(
            "",
            "v1",
            "Service",
            vec![
                plain(&[
                    ("Ingress", "spec/rules/http/paths/backend/serviceName"),
                    ("Ingress", "spec/backend/serviceName"),
                    ("Ingress", "spec/rules/http/paths/backend/service/name"),
                    ("Ingress", "spec/defaultBackend/service/name"),
                ]),
                grouped(&[
                    ("apps", "StatefulSet", "spec/serviceName"),
                    ("apiregistration.k8s.io", "APIService", "spec/service/name"),
                    (ADMISSION, "ValidatingWebhookConfiguration", "webhooks/clientConfig/service"),
                    (ADMISSION, "MutatingWebhookConfiguration", "webhooks/clientConfig/service"),
                ]),
            ],
        ),
        to(RBAC, "", "Role", vec![grouped(&[(RBAC, "RoleBinding", "roleRef/name")])]),
        to(
            RBAC,
            "",
            "ClusterRole",
            vec![grouped(&[(RBAC, "RoleBinding", "roleRef/name"), (RBAC, "ClusterRoleBinding", "roleRef/name")])],
        ),
        to(
            "",
            "v1",
            "ServiceAccount",
            vec![
                grouped(&[(RBAC, "RoleBinding", "subjects"), (RBAC, "ClusterRoleBinding", "subjects")]),
                in_pods("serviceAccountName"),
            ],
        ),
        to("", "v1", "PersistentVolumeClaim", vec![in_pods("volumes/persistentVolumeClaim/claimName")]),
        to(
            "",
            "v1",
            "PersistentVolume",
            vec![plain(&[("PersistentVolumeClaim", "spec/volumeName"), ("ClusterRole", "rules/resourceNames")])],
        ),
        to(
            "storage.k8s.io",
            "v1",
            "StorageClass",
            vec![plain(&[
                ("PersistentVolume", "spec/storageClassName"),
                ("PersistentVolumeClaim", "spec/storageClassName"),
                ("StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"),
            ])],
        ),
        to("scheduling.k8s.io", "v1", "PriorityClass", vec![in_pods("priorityClassName")]),
        to("networking.k8s.io/v1", "v1", "IngressClass", vec![plain(&[("Ingress", "spec/ingressClassName")])]),
        to(
            ADMISSION,
            "",
            "ValidatingAdmissionPolicy",
            vec![grouped(&[(ADMISSION, "ValidatingAdmissionPolicyBinding", "spec/policyName")])],
        ),
    ]
}
