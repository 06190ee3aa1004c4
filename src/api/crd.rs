//! The CustomResourceDefinition: what the types give, and what a derive cannot say.
//!
//! The schema refuses what no reader would take, as far as the API server can tell at a bearable cost: it rejects a
//! schema whose CEL rules could become expensive under the bounds of their lists. So shapes are patterns, CEL has the map
//! keys, the counts and the order of scopes, and what is left (headers of age files, a scope twice in an item, a key id
//! without an envelope) is for [`to_sealed`](super::SealedSecretSpec::to_sealed) and [`open`](crate::open::open).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{OWN_PREFIX, SealedSecret};
use crate::format::{MAX_ENVELOPE_TEXT, MAX_ENVELOPES, MAX_ITEM_TEXT, MAX_ITEMS, MAX_NAME, MAX_RECIPIENTS};
use crate::manifest::SecretType;
use crate::scope::{MAX_PATTERN_BYTES, MAX_PATTERNS};

/// One label of a DNS name, in which asterisks may stand.
const LABEL: &str = "[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?";

/// A sealed value, or a text that does not begin as one.
///
/// The API server quotes a text that breaks a pattern, and what does not begin with `ags1.` may be a password that
/// somebody wrote where its encrypted form belongs. That case is left to a CEL rule of the object around it, whose
/// message quotes nothing.
const VALUE: &str = r"^([^a]|$|a([^g]|$|g([^s]|$|s([^1]|$|1([^.]|$|\.[0-9a-f]{16}\.[A-Za-z0-9+/]+(==?)?$)))))";

/// What Flux is told, beside what the derive says to Argo CD and to Helm: pruned, the definition would take every document
/// with it.
const NOT_PRUNED: (&str, &str) = ("kustomize.toolkit.fluxcd.io/prune", "disabled");

/// How an age file begins, as CEL writes it.
const ARMOR: &str = r"-----BEGIN AGE ENCRYPTED FILE-----\n";

/// The CustomResourceDefinition of sealed documents.
pub fn sealed_secrets_crd() -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(SealedSecret::crd()).expect("the derived definition is JSON");
    let versions = crd.pointer_mut("/spec/versions").and_then(Value::as_array_mut).into_iter().flatten();
    for schema in versions.filter_map(|version| version.pointer_mut("/schema/openAPIV3Schema")) {
        tidy(schema);
        for (pointer, keywords) in keywords() {
            let place = schema.pointer_mut(&pointer).and_then(Value::as_object_mut);
            place.expect("every place of the table is in the derived schema").extend(keywords);
        }
    }
    let mut crd: CustomResourceDefinition = serde_json::from_value(crd).expect("the definition has its shape still");
    let annotations = crd.metadata.annotations.get_or_insert_default();
    annotations.insert(NOT_PRUNED.0.to_owned(), NOT_PRUNED.1.to_owned());
    crd
}

/// Takes `nullable` from every field, and the line breaks of the source from every text.
///
/// The derive lets each field be null that may be left out. Without it the API server takes a null out, which comes to
/// the same.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable").is_some_and(Value::is_boolean) {
                fields.remove("nullable");
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text =
                    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// What is added to the schema: the place as a JSON pointer, and the keywords.
fn keywords() -> Vec<(String, Map<String, Value>)> {
    let spec = "/properties/spec";
    let data = format!("{spec}/properties/encryptedData");
    let item = format!("{data}/additionalProperties");
    let shared = format!("{spec}/properties/envelopes");
    let template = format!("{spec}/properties/template/properties/metadata/properties");
    let status = "/properties/status";

    let mut table = vec![
        ("".to_owned(), json!({"required": ["spec"]})),
        (
            spec.to_owned(),
            json!({
                "description": "What the values are, where they may be opened, and how the Secret is made of them.",
                "required": ["scope"],
                "x-kubernetes-validations": [envelope_count(), not_empty()],
            }),
        ),
        (
            format!("{spec}/properties/type"),
            json!({"minLength": 1, "maxLength": MAX_NAME, "pattern": "^[-._/a-zA-Z0-9]+$"}),
        ),
        (
            data,
            json!({
                "maxProperties": MAX_ITEMS,
                "x-kubernetes-validations": [{
                    "rule": format!("self.all(key, key.matches('^[-._a-zA-Z0-9]{{1,{MAX_NAME}}}$') && key != '.' && !key.startsWith('..'))"),
                    "message": format!("a data key is 1 to {MAX_NAME} of A-Z a-z 0-9 - . _, is not '.' and does not begin with '..'"),
                }],
            }),
        ),
        // An item is taken whole from one applier: else the envelope of one would stand beside the value of another.
        // The map around it merges key by key.
        (
            item.clone(),
            json!({
                "x-kubernetes-map-type": "atomic",
                "x-kubernetes-validations": [begins("value", "ags1.", "it is not an encrypted value: those begin with ags1. and are made by ageseal")],
            }),
        ),
        (format!("{item}/properties/value"), json!({"maxLength": MAX_ITEM_TEXT, "pattern": VALUE})),
        (
            shared.clone(),
            json!({
                "maxProperties": MAX_ENVELOPES,
                "x-kubernetes-validations": [{
                    "rule": "self.all(key, key.matches('^k[0-9a-f]{16}$'))",
                    "message": "a key of envelopes is k and 16 lower-case hexadecimal digits",
                }],
            }),
        ),
        // What the API server fills in before the controller looked, so that nobody takes the document for current.
        (status.to_owned(), json!({"default": {"observedGeneration": -1}})),
        (
            format!("{status}/properties/conditions"),
            json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
        ),
        (format!("{status}/properties/faultyKeys"), json!({"x-kubernetes-list-type": "atomic"})),
        (format!("{status}/properties/identities"), json!({"x-kubernetes-list-type": "atomic"})),
    ];
    table.extend(scope(&format!("{spec}/properties/scope"), true));
    table.extend(scope(&format!("{item}/properties/scope"), false));
    table.push((format!("{item}/properties/scope"), json!({"nullable": true})));
    table.extend(envelope(&format!("{shared}/additionalProperties")));
    table.extend(envelope(&format!("{item}/properties/envelope")));
    table.push((format!("{item}/properties/envelope"), json!({"nullable": true})));
    for field in ["labels", "annotations"] {
        let rule = json!({
            "rule": format!("self.all(key, !key.startsWith('{OWN_PREFIX}'))"),
            "message": format!("names that begin with {OWN_PREFIX} are the controller's"),
        });
        table.push((format!("{template}/{field}"), json!({"x-kubernetes-validations": [rule]})));
    }
    let object = |(pointer, keywords)| match keywords {
        Value::Object(keywords) => (pointer, keywords),
        _ => unreachable!("the table above has objects alone"),
    };
    table.into_iter().map(object).collect()
}

/// A scope. That no pattern stands twice costs the square of the patterns, which the API server does not bear for every
/// item.
fn scope(pointer: &str, unique: bool) -> [(String, Value); 2] {
    let mut rules = vec![json!({"rule": "self.isSorted()", "message": "the patterns are sorted by their bytes"})];
    if unique {
        let rule = "self.all(one, self.exists_one(other, other == one))";
        rules.push(json!({"rule": rule, "message": "no pattern stands there twice"}));
    }
    let list = json!({
        "minItems": 1,
        "maxItems": MAX_PATTERNS,
        "x-kubernetes-list-type": "atomic",
        "x-kubernetes-validations": rules,
    });
    let pattern = format!(r"^{LABEL}/{LABEL}(\.{LABEL})*(-\{{hash\}})?$");
    let pattern = json!({"maxLength": MAX_PATTERN_BYTES, "pattern": pattern});
    [(pointer.to_owned(), list), (format!("{pointer}/items"), pattern)]
}

/// An envelope, with the age files in `also`.
fn envelope(pointer: &str) -> Vec<(String, Value)> {
    let also = format!("{pointer}/properties/also");
    let mut table = age_file(pointer);
    // One file is the envelope's own.
    table.push((also.clone(), json!({"maxItems": MAX_ENVELOPES - 1, "x-kubernetes-list-type": "atomic"})));
    table.extend(age_file(&format!("{also}/items")));
    table
}

fn age_file(pointer: &str) -> Vec<(String, Value)> {
    let recipients = format!("{pointer}/properties/recipients");
    vec![
        (
            pointer.to_owned(),
            json!({
                "x-kubernetes-map-type": "atomic",
                "x-kubernetes-validations": [begins("age", ARMOR, "it is not an age file in ASCII armor")],
            }),
        ),
        (recipients.clone(), json!({"minItems": 1, "maxItems": MAX_RECIPIENTS, "x-kubernetes-list-type": "atomic"})),
        (format!("{recipients}/items"), json!({"pattern": "^r[0-9a-f]{16}$"})),
        (format!("{pointer}/properties/age"), json!({"maxLength": MAX_ENVELOPE_TEXT})),
    ]
}

/// The rule of an object that one of its texts begins in one way. A rule of the text itself would have the text quoted.
fn begins(field: &str, with: &str, message: &str) -> Value {
    json!({
        "rule": format!("!has(self.{field}) || self.{field}.startsWith('{with}')"),
        "fieldPath": format!(".{field}"),
        "message": message,
    })
}

/// All age files of a document are counted together: shared envelopes, those of values, and every `also`.
fn envelope_count() -> Value {
    let count = |map: &str, count: &str| format!("(!has(self.{map}) ? 0 : self.{map}.map(key, {count}).sum())");
    let files = |envelope: &str| format!("!has({envelope}.also) ? 1 : 1 + size({envelope}.also)");
    let shared = count("envelopes", &files("self.envelopes[key]"));
    let own = "self.encryptedData[key].envelope";
    let own = count("encryptedData", &format!("!has({own}) ? 0 : {}", files(own)));
    json!({
        "rule": format!("{shared} + {own} <= {MAX_ENVELOPES}"),
        "message": format!("there are more than {MAX_ENVELOPES} age files: envelopes, those of values and every also are counted"),
    })
}

/// The one type whose data the cluster fills in.
fn not_empty() -> Value {
    let token = SecretType::ServiceAccountToken.as_str();
    json!({
        "rule": format!("(has(self.encryptedData) && size(self.encryptedData) > 0) || (has(self.type) && self.type == '{token}')"),
        "message": format!("encryptedData has no value; only type {token} may do without"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        let crd = serde_json::to_value(sealed_secrets_crd()).unwrap();
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone()
    }

    /// Visits every property below `place`, with its path.
    fn properties<'a>(schema: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            visit(&path, property);
            properties(property, &path, visit);
        }
        for below in ["items", "additionalProperties"] {
            if schema[below].is_object() {
                properties(&schema[below], &format!("{path}[]"), visit);
            }
        }
    }

    #[test]
    fn every_field_is_explained() {
        let schema = schema();
        let mut seen = Vec::new();
        properties(&schema, "", &mut |path, property| {
            let text = property["description"].as_str().unwrap_or_default();
            let standard = matches!(path, ".apiVersion" | ".kind" | ".metadata");
            assert!(standard || text.len() > 15, "{path}: {text:?}");
            assert!(!text.contains('`') && !text.contains('\n'), "{path}: {text:?}");
            // What a choice means is in the text: variants have none of their own here.
            for choice in property["enum"].as_array().into_iter().flatten() {
                assert!(text.contains(choice.as_str().unwrap()), "{path}: {text:?}");
            }
            seen.push(path.to_owned());
        });
        for path in
            [".spec.encryptedData[].envelope.also[].age", ".spec.template.metadata.labels", ".status.secret.uid"]
        {
            assert!(seen.iter().any(|seen| seen == path), "{path}: {seen:?}");
        }
    }

    #[test]
    fn null_is_taken_where_patches_write_it() {
        let schema = schema();
        let mut nullable = Vec::new();
        properties(&schema, "", &mut |path, property| {
            if property["nullable"] == json!(true) {
                nullable.push(path.to_owned());
            }
        });
        assert_eq!(nullable, [".spec.encryptedData[].envelope", ".spec.encryptedData[].scope"]);
    }

    #[test]
    fn every_list_of_the_document_is_atomic_and_bounded() {
        let schema = schema();
        let mut lists = 0;
        properties(&schema["properties"]["spec"], "spec", &mut |path, property| {
            if property["type"] == json!("array") {
                assert_eq!(property["x-kubernetes-list-type"], json!("atomic"), "{path}");
                assert!(property["maxItems"].is_number(), "{path}");
                lists += 1;
            }
        });
        // The scopes of the document and of an item; of each kind of envelope recipients, also, and its recipients.
        assert_eq!(lists, 8);
    }

    #[test]
    fn the_names_are_the_vocabulary() {
        let crd = sealed_secrets_crd();
        assert_eq!(crd.spec.group, super::super::GROUP);
        let version = format!("{}/{}", crd.spec.group, crd.spec.versions[0].name);
        assert_eq!((version.as_str(), crd.spec.names.kind.as_str()), (crate::format::API_VERSION, crate::format::KIND));
        let columns =
            crd.spec.versions[0].additional_printer_columns.iter().flatten().map(|column| column.name.as_str());
        assert_eq!(columns.collect::<Vec<_>>(), ["Ready", "Reason", "Keys", "Age"]);
        assert_eq!(crd.spec.names.categories, None);
    }

    #[test]
    fn no_tool_that_prunes_takes_the_documents_with_the_definition() {
        let annotations = sealed_secrets_crd().metadata.annotations.unwrap();
        for (name, value) in [
            ("argocd.argoproj.io/sync-options", "Prune=false"),
            ("helm.sh/resource-policy", "keep"),
            ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
        ] {
            assert_eq!(annotations.get(name).map(String::as_str), Some(value), "{name}");
        }
    }
}
