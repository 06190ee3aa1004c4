//! What the real kustomize builds, read with another YAML parser and walked by code of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use yaml_rust2::{Yaml, YamlLoader};

use crate::builder::Builder;

/// What stands for the ten characters of a hash in a name.
pub const HASH: &str = "-#";

/// The values of a reference: the field, the name, the data key, whether it may be missing.
pub type Use = (String, String, Option<String>, bool);

/// One object of a built tree, as far as the two sides are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    /// With [`HASH`] for a hash.
    pub name: String,
    /// The names of the data keys of a Secret or SealedSecret.
    pub keys: Vec<String>,
    pub immutable: bool,
    pub secret_type: String,
    /// Where the object names Secrets.
    pub uses: BTreeSet<Use>,
}

/// An object with all that it holds.
pub struct Built {
    pub thing: Thing,
    pub yaml: Yaml,
}

/// Builds a folder with a real program; the refusal's text if it refuses.
pub fn build(builder: &Builder, root: &Path, folder: &str, load_any: bool) -> Result<Vec<Built>, String> {
    let outcome = builder.command(root, folder, load_any).run();
    if !outcome.success() {
        let text = outcome.stderr_text().replace(root.to_str().unwrap(), "/tree");
        // A panic of kustomize is a refusal like any other; the trace below it says nothing.
        return Err(text.lines().find(|line| line.starts_with("panic: ")).unwrap_or(&text).to_owned());
    }
    let text = outcome.stdout_text();
    let documents = YamlLoader::load_from_str(&text).unwrap_or_else(|e| panic!("{e} in what kustomize built:\n{text}"));
    Ok(documents.into_iter().map(|yaml| Built { thing: thing(&yaml), yaml }).collect())
}

pub fn scalar(yaml: &Yaml) -> Option<String> {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A name with [`HASH`] in place of a hash.
pub fn without_hash(name: &str) -> String {
    let at = name.len().saturating_sub(11);
    let hash = name.get(at..).and_then(|end| end.strip_prefix('-'));
    let is_hash = |hash: &str| hash.len() == 10 && hash.chars().all(|c| "2456789bcdfghkmt".contains(c));
    if hash.is_some_and(is_hash) { format!("{}{HASH}", &name[..at]) } else { name.to_owned() }
}

/// The value at keys.
fn at<'a>(yaml: &'a Yaml, keys: &[&str]) -> &'a Yaml {
    keys.iter().fold(yaml, |yaml, key| &yaml[*key])
}

fn text(yaml: &Yaml, keys: &[&str]) -> String {
    scalar(at(yaml, keys)).unwrap_or_default()
}

fn thing(yaml: &Yaml) -> Thing {
    let kind = text(yaml, &["kind"]);
    let key_names = |keys: &[&str]| -> Vec<String> {
        let hash = at(yaml, keys).as_hash();
        hash.map(|hash| hash.keys().filter_map(scalar).collect()).unwrap_or_default()
    };
    let (keys, immutable, secret_type) = match kind.as_str() {
        "Secret" => {
            let keys: BTreeSet<String> =
                [key_names(&["data"]), key_names(&["stringData"])].concat().into_iter().collect();
            (keys.into_iter().collect(), text(yaml, &["immutable"]) == "true", text(yaml, &["type"]))
        }
        "SealedSecret" if text(yaml, &["apiVersion"]).starts_with("ageseal.dev/") => {
            let mut keys = key_names(&["spec", "encryptedData"]);
            keys.sort();
            (keys, text(yaml, &["spec", "immutable"]) == "true", text(yaml, &["spec", "type"]))
        }
        _ => Default::default(),
    };
    Thing {
        api_version: text(yaml, &["apiVersion"]),
        namespace: text(yaml, &["metadata", "namespace"]),
        name: without_hash(&text(yaml, &["metadata", "name"])),
        keys,
        immutable,
        secret_type,
        uses: uses(yaml, &kind),
        kind,
    }
}

/// Where the kinds of Kubernetes itself name Secrets.
fn uses(yaml: &Yaml, kind: &str) -> BTreeSet<Use> {
    let mut uses = BTreeSet::new();
    let api_version = text(yaml, &["apiVersion"]);
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let pod: Option<&[&str]> = match (group, kind) {
        ("", "Pod") => Some(&["spec"]),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => Some(&["spec", "template", "spec"]),
        ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => None,
    };
    if let Some(keys) = pod {
        of_pod(at(yaml, keys), &keys.join("."), &mut uses);
    }
    match (group, kind) {
        ("", "ServiceAccount") => {
            named(yaml, "", "imagePullSecrets", "name", &mut uses);
            named(yaml, "", "secrets", "name", &mut uses);
        }
        ("networking.k8s.io", "Ingress") => named(&yaml["spec"], "spec.", "tls", "secretName", &mut uses),
        _ => {}
    }
    uses
}

fn items<'a>(yaml: &'a Yaml, key: &str) -> impl Iterator<Item = (usize, &'a Yaml)> {
    yaml[key].as_vec().into_iter().flatten().enumerate()
}

fn named(yaml: &Yaml, path: &str, list: &str, field: &str, uses: &mut BTreeSet<Use>) {
    for (number, item) in items(yaml, list) {
        record(item, field, format!("{path}{list}[{number}]"), None, uses);
    }
}

fn record(holder: &Yaml, field: &str, path: String, key: Option<String>, uses: &mut BTreeSet<Use>) {
    if let Some(name) = scalar(&holder[field]).filter(|name| !name.is_empty()) {
        let optional = holder["optional"].as_bool().unwrap_or(false);
        uses.insert((format!("{path}.{field}"), without_hash(&name), key, optional));
    }
}

/// A Secret in a volume: the whole of it, or each data key that is named.
fn mounted(holder: &Yaml, field: &str, path: &str, uses: &mut BTreeSet<Use>) {
    record(holder, field, path.to_owned(), None, uses);
    let Some(name) = scalar(&holder[field]).filter(|name| !name.is_empty()) else { return };
    let optional = holder["optional"].as_bool().unwrap_or(false);
    for (number, item) in items(holder, "items") {
        if let Some(key) = scalar(&item["key"]) {
            uses.insert((format!("{path}.items[{number}].key"), without_hash(&name), Some(key), optional));
        }
    }
}

fn of_pod(spec: &Yaml, path: &str, uses: &mut BTreeSet<Use>) {
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (number, container) in items(spec, list) {
            let path = format!("{path}.{list}[{number}]");
            for (number, variable) in items(container, "env") {
                let holder = at(variable, &["valueFrom", "secretKeyRef"]);
                let key = scalar(&holder["key"]);
                record(holder, "name", format!("{path}.env[{number}].valueFrom.secretKeyRef"), key, uses);
            }
            for (number, source) in items(container, "envFrom") {
                record(&source["secretRef"], "name", format!("{path}.envFrom[{number}].secretRef"), None, uses);
            }
        }
    }
    for (number, volume) in items(spec, "volumes") {
        let path = format!("{path}.volumes[{number}]");
        mounted(&volume["secret"], "secretName", &format!("{path}.secret"), uses);
        for (number, source) in items(&volume["projected"], "sources") {
            mounted(&source["secret"], "name", &format!("{path}.projected.sources[{number}].secret"), uses);
        }
    }
    named(spec, &format!("{path}."), "imagePullSecrets", "name", uses);
}

/// Whether a text stands anywhere in a value.
pub fn holds(yaml: &Yaml, text: &str) -> bool {
    match yaml {
        Yaml::Array(items) => items.iter().any(|item| holds(item, text)),
        Yaml::Hash(entries) => entries.values().any(|value| holds(value, text)),
        _ => scalar(yaml).as_deref() == Some(text),
    }
}

/// The scalar at a path such as `spec.tls[0].secretName`.
pub fn value_at(yaml: &Yaml, path: &str) -> Option<String> {
    if path.is_empty() {
        return scalar(yaml);
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (inner, rest) = rest.split_once(']')?;
        let value = inner.parse::<usize>().map_or(&yaml[inner], |number| &yaml[number]);
        return value_at(value, rest);
    }
    let path = path.strip_prefix('.').unwrap_or(path);
    // A key may have dots in it: the longest one that is there.
    let hash = yaml.as_hash()?;
    let mut keys: Vec<(&str, &Yaml)> = hash.iter().filter_map(|(key, value)| Some((key.as_str()?, value))).collect();
    keys.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
    keys.into_iter().find_map(|(key, value)| {
        let rest = path.strip_prefix(key)?;
        if rest.is_empty() || rest.starts_with(['.', '[']) { value_at(value, rest) } else { None }
    })
}

/// Says an object in one line: kind, namespace/name, data keys, the names that it uses.
pub fn line(thing: &Thing) -> String {
    let mut line = thing.kind.clone() + " ";
    if !thing.namespace.is_empty() {
        line += &format!("{}/", thing.namespace);
    }
    line += &thing.name;
    if ["Secret", "SealedSecret"].contains(&thing.kind.as_str()) {
        line += &format!(" [{}]", thing.keys.join(" "));
        if thing.immutable {
            line += " immutable";
        }
    }
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, name, ..) in &thing.uses {
        *used.entry(name).or_default() += 1;
    }
    if !used.is_empty() {
        let used: Vec<String> = used
            .into_iter()
            .map(|(name, count)| if count > 1 { format!("{name} x{count}") } else { name.to_owned() })
            .collect();
        line += &format!(" -> {}", used.join(", "));
    }
    line
}
