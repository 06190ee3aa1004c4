//! What workloads ask of Secrets: every reference in the specs that a cluster holds, against the Secrets that it holds.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::secrets::Secrets;

/// The kinds that name Secrets, as `kubectl get` takes them.
pub const KINDS: &str = "deployments,jobs,cronjobs,pods,serviceaccounts,ingresses";

/// The kinds that run something.
const WORKLOADS: [&str; 4] = ["Deployment", "Job", "CronJob", "Pod"];

/// A Secret that an object names.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    secret: &'a str,
    /// The data keys that it has to have.
    keys: Vec<&'a str>,
    /// Whether the pod starts without it.
    optional: bool,
}

/// Looks up every reference of the objects in a list of `kubectl get -o json`, and says how many there are.
///
/// Errors: one names a Secret or a data key that is not there, and is not optional.
pub fn resolve(list: &str, namespace: &str, secrets: &Secrets) -> Result<String> {
    let list: Value = serde_json::from_str(list).context("what kubectl printed")?;
    let objects = list["items"].as_array().context("it is no list")?;
    let (mut workloads, mut references, mut absent) = (0, 0, 0);
    let mut named = BTreeSet::new();
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        workloads += usize::from(WORKLOADS.contains(&kind));
        let mut found = Vec::new();
        collect(object, &mut found);
        for reference in found {
            references += 1;
            let name = format!("{namespace}/{}", reference.secret);
            match secrets.get(&name) {
                Some(values) => {
                    let missing = reference.keys.iter().find(|key| !values.contains_key(**key));
                    let at = || format!("{kind} {}", object["metadata"]["name"]);
                    ensure!(missing.is_none(), "{} asks for {missing:?} of {name}, which is not there", at());
                    named.insert(name);
                }
                None => {
                    ensure!(reference.optional, "{kind} {} asks for {name}", object["metadata"]["name"]);
                    absent += 1;
                }
            }
        }
    }
    ensure!(references > absent, "nothing in {namespace} asks for a Secret");
    let named = named.len();
    let optional = match absent {
        0 => String::new(),
        absent => format!("; optional, and of no Secret that is there: {absent}"),
    };
    let resolved = references - absent;
    Ok(format!("({namespace}: {workloads} workloads, {resolved} references to {named} Secrets, all resolve{optional})"))
}

/// Every reference below a node, by the names that fields have in the specs of pods, service accounts and ingresses.
fn collect<'a>(node: &'a Value, found: &mut Vec<Reference<'a>>) {
    if let Some(items) = node.as_array() {
        return items.iter().for_each(|item| collect(item, found));
    }
    for (field, below) in node.as_object().into_iter().flatten() {
        match field.as_str() {
            "secretKeyRef" | "secretRef" | "secret" => found.extend(reference(below)),
            "imagePullSecrets" | "tls" => found.extend(below.as_array().into_iter().flatten().filter_map(reference)),
            // Spec, not status and not what was applied.
            "metadata" | "status" => {}
            _ => collect(below, found),
        }
    }
}

/// One reference: `secretName` in volumes and ingresses, `name` elsewhere; one `key`, or `items`, or all there is.
fn reference(node: &Value) -> Option<Reference<'_>> {
    let secret = node["secretName"].as_str().or_else(|| node["name"].as_str())?;
    let items = node["items"].as_array().into_iter().flatten();
    let keys = items.chain([node]).filter_map(|item| item["key"].as_str()).collect();
    Some(Reference { secret, keys, optional: node["optional"].as_bool().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn secrets(all: &[(&str, &[&str])]) -> Secrets {
        let values = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), Vec::new())).collect::<BTreeMap<_, _>>();
        all.iter().map(|(name, keys)| (format!("n/{name}"), values(keys))).collect()
    }

    fn list() -> Value {
        json!({"items": [
            {"kind": "Deployment", "metadata": {"name": "api", "annotations": {"secret": "none"}}, "spec": {
                "imagePullSecrets": [{"name": "pull"}],
                "containers": [{
                    "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "user"}}}],
                    "envFrom": [{"secretRef": {"name": "debug", "optional": true}}],
                }],
                "volumes": [
                    {"name": "v", "secret": {"secretName": "db", "items": [{"key": "host", "path": "h"}]}},
                    {"name": "p", "projected": {"sources": [{"secret": {"name": "web"}}]}},
                ],
            }},
            {"kind": "ServiceAccount", "metadata": {"name": "shop"}, "imagePullSecrets": [{"name": "pull"}]},
            {"kind": "Ingress", "metadata": {"name": "shop"}, "spec": {"tls": [{"secretName": "tls"}]}},
        ]})
    }

    #[test]
    fn every_way_to_name_a_secret_is_looked_up() {
        let list = list().to_string();
        let all: [(&str, &[&str]); 4] = [("db", &["user", "host"]), ("pull", &[]), ("web", &[]), ("tls", &[])];
        assert_eq!(
            resolve(&list, "n", &secrets(&all)).unwrap(),
            "(n: 1 workloads, 6 references to 4 Secrets, all resolve; optional, and of no Secret that is there: 1)"
        );
        for gone in 0..all.len() {
            let (name, _) = all[gone];
            let rest: Vec<_> = all.iter().copied().filter(|(other, _)| *other != name).collect();
            let error = resolve(&list, "n", &secrets(&rest)).unwrap_err().to_string();
            assert!(error.contains(&format!("asks for n/{name}")), "{error}");
        }
        let mut fewer = all;
        fewer[0].1 = &["user"];
        let error = resolve(&list, "n", &secrets(&fewer)).unwrap_err().to_string();
        assert!(error.contains("\"host\"") && error.contains("api"), "{error}");
        assert!(resolve("{\"items\": []}", "n", &secrets(&all)).is_err());
    }
}
