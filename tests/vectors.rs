//! Every test vector, made and checked by the independent implementation, against this one.
//!
//! Each vector is one scenario. The expected step is compared with the error variant, so that a refusal for the wrong
//! reason cannot pass for the right one.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeMap;

use ageseal::manifest::{ObjectKind, SealedManifest, objects};
use ageseal::open::{Live, OpenError, open};
use ageseal::recipient::{Identity, KeyRing};
use ageseal::yaml::Stream;
use ageseal_testkit::{Expect, Vector, vectors};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What came of a vector, in the words of the vector files.
#[derive(Debug, PartialEq)]
enum Came {
    Opened { secret_type: String, values: Vec<(String, String)> },
    Refused { step: &'static str, key: Option<String> },
}

fn run(vector: &Vector) -> Came {
    let caps = Came::Refused { step: "caps", key: None };
    let Ok(stream) = Stream::parse(vector.document.clone()) else { return caps };
    let Some(object) = objects(&stream).find(|object| object.kind == ObjectKind::SealedSecret) else { return caps };
    let Some(manifest) = SealedManifest::read(object.node).manifest else { return caps };
    let ring = KeyRing::new(vector.identities.iter().map(|text| text.parse::<Identity>().unwrap()).collect());
    let live = vector.live.as_ref().map(|(namespace, name)| Live { namespace, name });
    match open(&manifest.sealed, live, &ring) {
        Ok(opened) => {
            let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
            let values: BTreeMap<_, _> = opened.values.into_iter().map(|(k, v)| (k, encode(v.expose()))).collect();
            Came::Opened { secret_type: manifest.sealed.secret_type, values: values.into_iter().collect() }
        }
        Err(error) => {
            let (step, key) = match error {
                OpenError::Malformed(_) => ("caps", None),
                OpenError::ScopeMismatch { key, .. } => ("scope", key),
                OpenError::NotARecipient { key, .. } => ("recipient", Some(key)),
                OpenError::Envelope { key } => ("envelope", Some(key)),
                OpenError::Value { key } => ("value", Some(key)),
                other => panic!("a variant that no vector names: {other:?}"),
            };
            Came::Refused { step, key }
        }
    }
}

fn agrees(came: &Came, expect: &Expect) -> bool {
    match (came, expect) {
        (Came::Opened { secret_type, values }, Expect::Opened { secret_type: expected_type, values: expected }) => {
            secret_type == expected_type && values == expected
        }
        (Came::Refused { step, key }, Expect::Refused { step: expected_step, key: expected_key, .. }) => {
            step == expected_step && (key.is_none() || expected_key.is_none() || key == expected_key)
        }
        _ => false,
    }
}

#[test]
fn every_vector_comes_out_as_it_says() {
    let mut wrong = Vec::new();
    for vector in vectors() {
        let came = run(&vector);
        if !agrees(&came, &vector.expect) {
            wrong.push(format!("{}: {came:?}\n  expected {:?}\n  {}", vector.name, vector.expect, vector.comment));
        }
    }
    assert!(wrong.is_empty(), "{} vectors differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_vectors_reach_every_step() {
    let vectors = vectors();
    for wanted in ["caps", "scope", "recipient", "envelope", "value"] {
        let count =
            vectors.iter().filter(|v| matches!(&v.expect, Expect::Refused { step, .. } if step == wanted)).count();
        assert!(count > 0, "no vector is refused at {wanted}");
    }
    let opened = vectors.iter().filter(|v| matches!(v.expect, Expect::Opened { .. })).count();
    assert!(vectors.len() >= 60 && opened * 2 < vectors.len(), "{} vectors, {opened} of them open", vectors.len());
}
