//! Labels and annotations: they change no identity, and selectors of patches ask for them.

use super::accumulate::Acc;
use super::config::{self, FieldSpec};
use super::fields::Fields;
use super::fieldspec;
use super::ident::Gvk;
use super::refusal::{At, Refusal};
use super::resource::Res;
use super::value::{Map, Value};

/// Sets labels or annotations of every object.
pub(super) fn set(acc: &mut Acc, field: &str, entries: &[(String, String)]) {
    for resource in acc.resources.iter_mut().filter(|_| !entries.is_empty()) {
        set_one(resource, field, entries);
    }
}

fn set_one(resource: &mut Res, field: &str, entries: &[(String, String)]) {
    for (key, value) in entries {
        resource.value.child("metadata").child(field).set(key, Value::str(value));
    }
}

/// Where labels that go into selectors are written, beside the metadata: kind, group, version, path, create.
const SELECTORS: [(&str, &str, &str, &str, bool); 12] = [
    ("Service", "", "v1", "spec/selector", true),
    ("ReplicationController", "", "v1", "spec/selector", true),
    ("Deployment", "", "", "spec/selector/matchLabels", true),
    ("ReplicaSet", "", "", "spec/selector/matchLabels", true),
    ("DaemonSet", "", "", "spec/selector/matchLabels", true),
    ("StatefulSet", "apps", "", "spec/selector/matchLabels", true),
    ("Job", "batch", "", "spec/selector/matchLabels", false),
    ("CronJob", "batch", "", "spec/jobTemplate/spec/selector/matchLabels", false),
    ("PodDisruptionBudget", "policy", "", "spec/selector/matchLabels", false),
    ("NetworkPolicy", "networking.k8s.io", "", "spec/podSelector/matchLabels", false),
    ("NetworkPolicy", "networking.k8s.io", "", "spec/ingress/from/podSelector/matchLabels", false),
    ("NetworkPolicy", "networking.k8s.io", "", "spec/egress/to/podSelector/matchLabels", false),
];

/// Sets labels of every object and of what selects by them.
pub(super) fn set_with_selectors(at: &At, acc: &mut Acc, pairs: &[(String, String)]) -> Result<(), Refusal> {
    set(acc, "labels", pairs);
    let spec = |(kind, group, version, path, create): (&str, &str, &str, &str, bool)| FieldSpec {
        gvk: Gvk::new(group, version, kind),
        path: path.to_owned(),
        create,
    };
    if pairs.is_empty() {
        return Ok(());
    }
    let specs: Vec<FieldSpec> = SELECTORS.into_iter().map(spec).collect();
    set_fields(at, acc, &specs, pairs)
}

/// Applies an entry of `labels`.
pub(super) fn apply(at: &At, acc: &mut Acc, value: &Value) -> Result<(), Refusal> {
    let mut fields = Fields::new(at, value, "an entry of labels")?;
    let at = fields.at().clone();
    let pairs = fields.text_map("pairs")?;
    let selectors = fields.flag("includeSelectors")?;
    for flag in ["includeTemplates", "includeVolumeClaimTemplates"] {
        fields.flag(flag)?;
    }
    let specs = config::specs(&mut fields, "fields")?;
    fields.finish()?;
    if selectors {
        set_with_selectors(&at, acc, &pairs)?;
    } else {
        set(acc, "labels", &pairs);
    }
    set_fields(&at, acc, &specs, &pairs)
}

/// Sets entries in the fields that specifications name.
pub(super) fn set_fields(
    at: &At,
    acc: &mut Acc,
    specs: &[FieldSpec],
    pairs: &[(String, String)],
) -> Result<(), Refusal> {
    for spec in specs.iter().filter(|_| !pairs.is_empty()) {
        if config::touches_names(&spec.path) {
            return Err(at.unmodelled("names-by-config", "labels are told to write into names"));
        }
        for resource in &mut acc.resources {
            fieldspec::apply(at, spec, resource, spec.create, &mut |value| {
                if value.is_null() || value.scalar() == Some("") {
                    *value = Value::map(Map::new());
                }
                if value.as_map().is_none() {
                    return Err(at.broken("bad-path", "a field for labels is not a mapping"));
                }
                pairs.iter().for_each(|(key, text)| value.set(key, Value::str(text)));
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// Refuses a count of replicas for something that is not there, as kustomize does.
pub(super) fn check_replica(at: &At, acc: &Acc, name: &str) -> Result<(), Refusal> {
    const KINDS: [&str; 4] = ["Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"];
    let found = acc.resources.iter().any(|resource| {
        let now = std::iter::once(resource.id());
        now.chain(resource.previous_ids()).any(|id| id.name == name && KINDS.contains(&id.kind))
    });
    if found {
        return Ok(());
    }
    let message = "replicas names a workload that is not there";
    Err(at.unmodelled("no-such-workload", message).hinted("kustomize refuses this unless a configuration says more"))
}
