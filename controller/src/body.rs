//! The body of a server-side apply: the one place where plaintext becomes JSON.

use std::collections::BTreeMap;

use ageseal::api::{ANNOTATION_CREATED, LABEL_MANAGED};
use ageseal::format::{API_VERSION, KIND};
use ageseal::secret::Plaintext;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::plan::{Precondition, Wanted, Write};

/// A resourceVersion that no Secret has. An apply that names it makes the Secret if there is none, and is a conflict if
/// there is one: an object that exists has another version, and one that does not is not compared.
const NO_SECRET_HAS_THIS: &str = "1";

/// Writes the Secret as JSON.
///
/// Guarantees: the memory of the body is as long as the text from the beginning, so that no part of a value is left in
/// memory that was outgrown, and it is overwritten when the last reference to it goes.
pub fn secret(wanted: &Wanted, write: &Write, values: &BTreeMap<String, Plaintext>) -> Bytes {
    named(&wanted.name, wanted, write, values)
}

/// The same Secret under another name, for a dry run.
pub fn named(name: &str, wanted: &Wanted, write: &Write, values: &BTreeMap<String, Plaintext>) -> Bytes {
    let head = Head {
        api_version: "v1",
        kind: "Secret",
        secret_type: &wanted.secret_type,
        immutable: wanted.immutable.filter(|_| write.force),
        metadata: Metadata::of(name, wanted, write),
    };
    let head = serde_json::to_string(&head).expect("texts and flags are JSON");
    let mut body = Zeroizing::new(Vec::with_capacity(head.len() + size(values)));
    // The head is an object: its closing brace makes room for the data.
    body.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
    body.extend_from_slice(br#","data":{"#);
    for (index, (key, value)) in values.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        // Data keys are of A-Z a-z 0-9 - . _ and need no escapes.
        body.push(b'"');
        body.extend_from_slice(key.as_bytes());
        body.extend_from_slice(br#"":""#);
        let start = body.len();
        body.resize(start + encoded_len(value), 0);
        BASE64_STANDARD.encode_slice(value.expose(), &mut body[start..]).expect("the slice is as long as the text");
        body.push(b'"');
    }
    body.extend_from_slice(b"}}");
    Bytes::from_owner(body)
}

/// An apply that gives up every field of ours but the type: without that the API server would write its default, and a
/// type cannot be changed.
pub fn nothing(name: &str, secret_type: &str, uid: &str, resource_version: &str) -> Bytes {
    let metadata = json!({"name": name, "uid": uid, "resourceVersion": resource_version});
    Bytes::from(json!({"apiVersion": "v1", "kind": "Secret", "type": secret_type, "metadata": metadata}).to_string())
}

/// The Secret but for its data.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    api_version: &'a str,
    kind: &'a str,
    #[serde(rename = "type")]
    secret_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    immutable: Option<bool>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_references: Option<[Owner<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    resource_version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Owner<'a> {
    api_version: &'a str,
    kind: &'a str,
    name: &'a str,
    uid: &'a str,
    controller: bool,
}

impl<'a> Metadata<'a> {
    fn of(name: &'a str, wanted: &'a Wanted, write: &'a Write) -> Self {
        let mut labels = texts(&wanted.marks.labels);
        labels.insert(LABEL_MANAGED, write.managed.label());
        let mut annotations = texts(&wanted.marks.annotations);
        if write.created {
            annotations.insert(ANNOTATION_CREATED, &wanted.name);
        }
        let owner =
            Owner { api_version: API_VERSION, kind: KIND, name: &wanted.name, uid: &wanted.uid, controller: true };
        let (uid, resource_version) = match &write.precondition {
            Precondition::Absent => (None, NO_SECRET_HAS_THIS),
            Precondition::Exactly { uid, resource_version } => (Some(uid.as_str()), resource_version.as_str()),
        };
        let owner_references = write.owner.then_some([owner]);
        Self { name, labels, annotations, owner_references, uid, resource_version }
    }
}

fn texts(map: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn size(values: &BTreeMap<String, Plaintext>) -> usize {
    let around = r#"{"data":{}}"#.len();
    let each = values.iter().map(|(key, value)| key.len() + encoded_len(value) + r#""":"","#.len());
    around + each.sum::<usize>()
}

fn encoded_len(value: &Plaintext) -> usize {
    value.len().div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ageseal::api::{DeletionPolicy, Mode, Replace};

    use super::*;
    use serde_json::Value;

    use crate::facts::Managed;
    use crate::template::Marks;

    fn wanted() -> Wanted {
        Wanted {
            name: "db".to_owned(),
            uid: "doc-1".to_owned(),
            secret_type: "Opaque".to_owned(),
            immutable: Some(true),
            marks: Marks { labels: [("app".to_owned(), "x\"y".to_owned())].into(), ..Marks::default() },
            keys: BTreeSet::new(),
            mode: Mode::Replace,
            adopt: false,
            deletion: DeletionPolicy::Delete,
            replace: Replace::Never,
        }
    }

    fn write(precondition: Precondition) -> Write {
        Write { precondition, force: true, managed: Managed::Owned, owner: true, created: false }
    }

    #[test]
    fn the_body_is_the_secret_and_no_longer_than_it_was_reckoned() {
        let values: BTreeMap<String, Plaintext> = [("a", &b""[..]), ("b.c", b"hunter2"), ("d", &[0xff; 1000])]
            .map(|(key, value)| (key.to_owned(), Plaintext::new(value.to_vec())))
            .into();
        let body = secret(&wanted(), &write(Precondition::Absent), &values);
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["data"]["a"], "");
        assert_eq!(json["data"]["b.c"], "aHVudGVyMg==");
        assert_eq!(json["data"]["d"].as_str().unwrap().len(), 1336);
        assert_eq!((&json["immutable"], &json["type"]), (&json!(true), &json!("Opaque")));
        assert_eq!(json["metadata"]["labels"], json!({"app": "x\"y", "ageseal.dev/managed": "owned"}));
        assert_eq!(json["metadata"]["ownerReferences"][0]["uid"], "doc-1");
        assert_eq!(json["metadata"]["resourceVersion"], "1");
        assert_eq!(json["metadata"].get("uid"), None);
        let head = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
            "metadata": json["metadata"]})
        .to_string();
        assert!(body.len() <= head.len() + size(&values));
    }

    #[test]
    fn a_write_of_what_was_seen_names_it() {
        let precondition = Precondition::Exactly { uid: "s-1".to_owned(), resource_version: "7".to_owned() };
        let body = secret(&wanted(), &write(precondition), &BTreeMap::new());
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["metadata"]["uid"], "s-1");
        assert_eq!(json["metadata"]["resourceVersion"], "7");
        assert_eq!(json["data"], json!({}));
    }
}
