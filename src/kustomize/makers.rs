//! Secrets that objects make once they are in a cluster: operators that issue certificates or fetch values from elsewhere.

use super::model::Made;
use super::resource::{HASH, Res};
use super::value::Value;

/// A kind, and where it names the Secret that it makes.
struct Maker {
    group: &'static str,
    kind: &'static str,
    /// Fields that hold the name, the first that is there; none of them: the object's own name.
    names: &'static [&'static [&'static str]],
}

const MAKERS: &[Maker] = &[
    Maker { group: "cert-manager.io", kind: "Certificate", names: &[&["spec", "secretName"]] },
    Maker { group: "external-secrets.io", kind: "ExternalSecret", names: &[&["spec", "target", "name"]] },
    Maker { group: "bitnami.com", kind: "SealedSecret", names: &[&["spec", "template", "metadata", "name"]] },
    Maker { group: "secrets.hashicorp.com", kind: "VaultStaticSecret", names: &[&["spec", "destination", "name"]] },
    Maker { group: "secrets.hashicorp.com", kind: "VaultDynamicSecret", names: &[&["spec", "destination", "name"]] },
    Maker { group: "secrets.hashicorp.com", kind: "VaultPKISecret", names: &[&["spec", "destination", "name"]] },
    Maker { group: "onepassword.com", kind: "OnePasswordItem", names: &[] },
];

/// Annotations of an Ingress or a Gateway by which cert-manager makes the Secrets of its `tls`.
const ISSUERS: [&str; 3] = ["cert-manager.io/issuer", "cert-manager.io/cluster-issuer", "kubernetes.io/tls-acme"];

/// Adds the Secrets that one object makes.
pub(super) fn of(resource: &Res, made: &mut Vec<Made>) {
    let (group, _) = super::ident::group_version(resource.api_version());
    let namespace = Some(resource.namespace().to_owned()).filter(|namespace| !namespace.is_empty());
    let mut add = |name: &str| {
        let (name, hashed) = (name.trim_end_matches(HASH), name.ends_with(HASH));
        made.push(Made { namespace: namespace.clone(), name: name.to_owned(), hashed });
    };
    if let Some(maker) = MAKERS.iter().find(|maker| maker.group == group && maker.kind == resource.kind()) {
        let named = maker.names.iter().find_map(|path| resource.value.at(path).and_then(Value::scalar));
        add(named.unwrap_or_else(|| resource.name()));
    }
    let issued = |(key, _): (&str, &Value)| ISSUERS.contains(&key);
    if !resource.metadata("annotations").any(issued) {
        return;
    }
    let list = |path: &[&str]| resource.value.at(path).and_then(Value::as_seq).unwrap_or_default();
    match resource.kind() {
        "Ingress" => {
            let names = list(&["spec", "tls"]).iter().filter_map(|tls| tls.get("secretName").and_then(Value::scalar));
            names.for_each(add);
        }
        "Gateway" => {
            let tls =
                list(&["spec", "listeners"]).iter().filter_map(|listener| listener.at(&["tls", "certificateRefs"]));
            let names =
                tls.filter_map(Value::as_seq).flatten().filter_map(|one| one.get("name").and_then(Value::scalar));
            names.for_each(add);
        }
        _ => {}
    }
}
