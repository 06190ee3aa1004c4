//! A sealed document as a whole: its parts, and how they are written when there is nothing to keep.

use std::collections::BTreeMap;

use rand_core::CryptoRngCore;

use crate::envelope::FreshDek;
use crate::format::{API_VERSION, DEFAULT_TYPE, Envelope, Item, KIND, Kid};
use crate::manifest::SecretManifest;
use crate::problem::Problem;
use crate::recipient::Recipient;
use crate::seal::Context;
use crate::secret::Plaintext;
use crate::yaml::Value;

use super::place::Place;
use super::spec::{envelope_value, item_value, scope_value};

/// Values that were sealed together: under one new DEK, with the envelope that holds it.
pub(crate) struct SealedTogether {
    /// The key id of all of them.
    pub(crate) kid: Kid,
    /// The envelope.
    pub(crate) envelope: Envelope,
    /// The items, without an envelope of their own.
    pub(crate) items: BTreeMap<String, Item>,
}

/// Seals values under one new DEK.
pub(crate) fn seal_together<'a>(
    values: impl Iterator<Item = (&'a str, &'a Plaintext)>,
    secret_type: &str,
    place: &Place,
    recipients: &[&Recipient],
    rng: &mut impl CryptoRngCore,
) -> Result<SealedTogether, Problem> {
    let dek = FreshDek::generate(rng);
    let mut items = BTreeMap::new();
    for (key, plaintext) in values {
        let context = Context { secret_type, key, scope: &place.scope };
        let value = dek
            .seal(context, plaintext, rng)
            .map_err(|error| Problem::error("too-long", error.to_string()).key(key))?;
        items.insert(key.to_owned(), Item { value, scope: None, envelope: None });
    }
    let file = dek.wrap(recipients).map_err(|error| Problem::error("recipients", error.to_string()))?;
    Ok(SealedTogether { kid: dek.kid(), envelope: Envelope { file, also: vec![] }, items })
}

/// `spec`, of a document that is sealed as a whole.
pub(crate) fn spec_value(secret: &SecretManifest<'_>, place: &Place, sealed: &SealedTogether) -> Value {
    let mut spec = vec![("scope".to_owned(), scope_value(&place.scope))];
    spec.extend(type_entry(secret));
    spec.extend(secret.immutable.map(|immutable| ("immutable".to_owned(), Value::Bool(immutable))));
    let items = sealed.items.iter().map(|(key, item)| (key.clone(), item_value(item))).collect();
    spec.push(("encryptedData".to_owned(), Value::Map(items)));
    if !sealed.items.is_empty() {
        let envelopes = vec![(sealed.kid.map_key(), envelope_value(&sealed.envelope))];
        spec.push(("envelopes".to_owned(), Value::Map(envelopes)));
    }
    spec.extend(template_value(secret).map(|template| ("template".to_owned(), template)));
    Value::Map(spec)
}

fn type_entry(secret: &SecretManifest<'_>) -> Option<(String, Value)> {
    let given = secret.secret_type != DEFAULT_TYPE;
    given.then(|| ("type".to_owned(), Value::Str(secret.secret_type.clone())))
}

/// `spec.template`, if any label or annotation belongs to the Secret.
pub(crate) fn template_value(secret: &SecretManifest<'_>) -> Option<Value> {
    let (labels, annotations) = secret.template_part();
    let metadata: Vec<_> = [("labels", labels), ("annotations", annotations)]
        .into_iter()
        .filter(|(_, map)| !map.is_empty())
        .map(|(name, map)| (name.to_owned(), strings(map)))
        .collect();
    (!metadata.is_empty()).then(|| Value::Map(vec![("metadata".to_owned(), Value::Map(metadata))]))
}

/// A document made from nothing but its parts, for `create` and for sources that are not block style.
pub(crate) fn document_value(secret: &SecretManifest<'_>, place: &Place, sealed: &SealedTogether) -> Value {
    let mut metadata = vec![("name".to_owned(), Value::Str(place.name.clone()))];
    metadata.extend(place.namespace.iter().map(|namespace| ("namespace".to_owned(), Value::Str(namespace.clone()))));
    let (labels, annotations) = secret.own_part();
    for (name, map) in [("labels", labels), ("annotations", annotations)] {
        if !map.is_empty() {
            metadata.push((name.to_owned(), strings(map)));
        }
    }
    Value::Map(vec![
        ("apiVersion".to_owned(), Value::Plain(API_VERSION.to_owned())),
        ("kind".to_owned(), Value::Plain(KIND.to_owned())),
        ("metadata".to_owned(), Value::Map(metadata)),
        ("spec".to_owned(), spec_value(secret, place, sealed)),
    ])
}

fn strings(map: BTreeMap<String, String>) -> Value {
    Value::Map(map.into_iter().map(|(key, value)| (key, Value::Str(value))).collect())
}
