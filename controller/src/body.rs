//! The body of a server-side apply: the one place where plaintext becomes JSON.

use std::collections::BTreeMap;

use ageseal::api::{ANNOTATION_CREATED, LABEL_MANAGED};
use ageseal::format::{API_VERSION, KIND};
use ageseal::secret::Plaintext;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
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
    let mut head = json!({
        "apiVersion": "v1", "kind": "Secret", "type": wanted.secret_type, "metadata": metadata(name, wanted, write),
    });
    if let (Some(immutable), true) = (wanted.immutable, write.force) {
        head["immutable"] = json!(immutable);
    }
    let head = head.to_string();
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

fn metadata(name: &str, wanted: &Wanted, write: &Write) -> Value {
    let mut labels = wanted.marks.labels.clone();
    labels.insert(LABEL_MANAGED.to_owned(), write.managed.label().to_owned());
    let mut annotations = wanted.marks.annotations.clone();
    if write.created {
        annotations.insert(ANNOTATION_CREATED.to_owned(), wanted.name.clone());
    }
    let mut metadata = json!({"name": name, "labels": labels});
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    if write.owner {
        metadata["ownerReferences"] = json!([{
            "apiVersion": API_VERSION, "kind": KIND, "name": wanted.name, "uid": wanted.uid, "controller": true,
        }]);
    }
    match &write.precondition {
        Precondition::Absent => metadata["resourceVersion"] = json!(NO_SECRET_HAS_THIS),
        Precondition::Exactly { uid, resource_version } => {
            metadata["uid"] = json!(uid);
            metadata["resourceVersion"] = json!(resource_version);
        }
    }
    metadata
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
