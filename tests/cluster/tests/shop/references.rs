//! What the objects of a namespace ask of Secrets, as the API server holds them.

use std::collections::BTreeMap;

use ageseal_cluster::ControlPlane;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

/// The kinds of the shop that name Secrets.
const KINDS: &str = "deployments,jobs,cronjobs,pods,serviceaccounts,ingresses";

/// One place that names a Secret.
#[derive(Debug)]
pub struct Reference {
    /// `KIND/NAME`, and the field that names it.
    pub at: (String, &'static str),
    pub secret: String,
    /// The data keys that it has to have.
    keys: Vec<String>,
    optional: bool,
}

/// Every reference in a namespace.
#[track_caller]
pub fn of_namespace(plane: &ControlPlane, namespace: &str) -> Vec<Reference> {
    let outcome = plane.kubectl(&["get", KINDS, "-n", namespace, "-o", "json"]);
    assert!(outcome.success(), "{}", outcome.stderr_text());
    let list: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    let mut found = Vec::new();
    for object in list["items"].as_array().unwrap() {
        let owner = format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        for (field, below) in object.as_object().unwrap() {
            // What is asked for, and not what somebody applied or what came of it.
            if !["metadata", "status"].contains(&field.as_str()) {
                collect(&owner, field, below, &mut found);
            }
        }
    }
    found
}

/// The fields whose value names a Secret, or has items that do.
const FIELDS: [&str; 5] = ["secretKeyRef", "secretRef", "secret", "imagePullSecrets", "tls"];

fn collect(owner: &str, field: &str, value: &Value, found: &mut Vec<Reference>) {
    let known = FIELDS.into_iter().find(|known| *known == field);
    match (value, known) {
        (Value::Array(items), _) => items.iter().for_each(|item| collect(owner, field, item, found)),
        (Value::Object(map), Some(known)) => {
            let name = map.get("secretName").or_else(|| map.get("name")).and_then(Value::as_str);
            let items = map.get("items").and_then(Value::as_array).into_iter().flatten();
            let keys = items.chain([value]).filter_map(|item| item["key"].as_str()).map(str::to_owned);
            found.extend(name.map(|name| Reference {
                at: (owner.to_owned(), known),
                secret: name.to_owned(),
                keys: keys.collect(),
                optional: map.get("optional").is_some_and(|optional| optional == true),
            }));
        }
        (Value::Object(map), None) => map.iter().for_each(|(field, below)| collect(owner, field, below, found)),
        _ => {}
    }
}

/// Looks up every reference among the Secrets that are there; gives how many name one. What is optional need not be there.
#[track_caller]
pub fn look_up(references: &[Reference], secrets: &BTreeMap<String, Secret>) -> usize {
    let there = references.iter().filter(|reference| {
        let Some(secret) = secrets.get(&reference.secret) else {
            assert!(reference.optional, "{reference:?}: there is no such Secret among {:?}", secrets.keys());
            return false;
        };
        let data = secret.data.clone().unwrap_or_default();
        let missing: Vec<_> = reference.keys.iter().filter(|key| !data.contains_key(*key)).collect();
        assert!(missing.is_empty(), "{reference:?}: the Secret has no {missing:?}");
        true
    });
    there.count()
}
