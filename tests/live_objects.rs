//! The reader of live objects against the reader of files, on every test vector.
//!
//! What a vector's text becomes on its way through the API server is done here by another YAML parser: JSON, and a refusal
//! of what the schema does not know. From there on both readers must say the same of the same document.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeMap;

use ageseal::api::SealedSecret;
use ageseal::format::Sealed;
use ageseal::manifest::{ObjectKind, SealedManifest, objects};
use ageseal::open::{Live, Reason, open};
use ageseal::recipient::{Identity, KeyRing};
use ageseal::yaml::Stream;
use ageseal_testkit::{Expect, Vector, vectors};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

type Came = Result<BTreeMap<String, String>, Reason>;

fn read_file(vector: &Vector) -> Option<Sealed> {
    let stream = Stream::parse(vector.document.clone()).ok()?;
    let object = objects(&stream).find(|object| object.kind == ObjectKind::SealedSecret)?;
    SealedManifest::read(object.node).manifest.map(|manifest| manifest.sealed)
}

fn read_live(vector: &Vector) -> Option<Sealed> {
    let [document] = &YamlLoader::load_from_str(&vector.document).ok()?[..] else { return None };
    admit(&json(document))?.spec.to_sealed().ok()
}

/// What the API server does with an object: it refuses a shape that is not the schema's, and what the schema does not
/// know. Here the type stands for the schema, so what is unknown is what the type lost.
fn admit(sent: &Value) -> Option<SealedSecret> {
    let object: SealedSecret = serde_json::from_value(sent.clone()).ok()?;
    let kept = serde_json::to_value(&object).unwrap();
    holds(&kept, sent).then_some(object)
}

fn holds(kept: &Value, sent: &Value) -> bool {
    match (kept, sent) {
        (Value::Object(kept), Value::Object(sent)) => sent.iter().all(|(key, sent)| match kept.get(key) {
            Some(kept) => holds(kept, sent),
            // What is null is left out when it is written.
            None => sent.is_null(),
        }),
        (Value::Array(kept), Value::Array(sent)) => {
            kept.len() == sent.len() && kept.iter().zip(sent).all(|(kept, sent)| holds(kept, sent))
        }
        _ => kept == sent,
    }
}

fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::String(text) => text.as_str().into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::Real(text) => text.parse::<f64>().unwrap().into(),
        Yaml::Boolean(value) => (*value).into(),
        Yaml::Array(items) => items.iter().map(json).collect(),
        // A key is a text to JSON, whatever it was to YAML.
        Yaml::Hash(entries) => entries.iter().map(|(key, value)| (key_text(key), json(value))).collect(),
        Yaml::Null => Value::Null,
        Yaml::Alias(_) | Yaml::BadValue => panic!("no vector has this: {yaml:?}"),
    }
}

fn key_text(key: &Yaml) -> String {
    match json(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// What came of a document: its values, or the reason that is told.
fn come(sealed: Option<&Sealed>, vector: &Vector) -> Came {
    let sealed = sealed.ok_or(Reason::Malformed)?;
    let ring = KeyRing::new(vector.identities.iter().map(|text| text.parse::<Identity>().unwrap()).collect());
    let live = vector.live.as_ref().map(|(namespace, name)| Live { namespace, name });
    let opened = open(sealed, live, &ring).map_err(|error| error.reason())?;
    Ok(opened.values.into_iter().map(|(key, value)| (key, BASE64_STANDARD.encode(value.expose()))).collect())
}

#[test]
fn both_readers_say_the_same_of_every_vector() {
    let mut wrong = Vec::new();
    let (mut read, mut patches) = (0, 0);
    for vector in vectors() {
        let (file, live) = (read_file(&vector), read_live(&vector));
        if vector.live.is_none() && file.as_ref().is_some_and(|sealed| sealed.scope.is_none()) {
            // An overlay's patch never is a live object: the API server demands the scope, and so does the reader.
            assert!(live.is_none(), "{}: a patch was taken for an object", vector.name);
            patches += 1;
            continue;
        }
        read += usize::from(live.is_some());
        if live.is_some() && live != file {
            wrong.push(format!("{}: read as another document", vector.name));
        }
        let (file, live) = (come(file.as_ref(), &vector), come(live.as_ref(), &vector));
        let expected = match &vector.expect {
            Expect::Opened { values, .. } => Ok(values.iter().cloned().collect()),
            Expect::Refused { reason, .. } => Err(reason.clone()),
        };
        let told = live.as_ref().map_err(ToString::to_string);
        if file != live || told != expected.as_ref().map_err(String::clone) {
            wrong.push(format!("{}: file {file:?}, live {live:?}, expected {expected:?}", vector.name));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(read > 100 && patches > 0, "{read} were read, {patches} are patches");
}
