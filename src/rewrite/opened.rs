//! A Secret again: what a sealed document becomes once its values are open.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::format::DEFAULT_TYPE;
use crate::manifest::SealedManifest;
use crate::secret::Plaintext;
use crate::yaml::Value;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `data`, in base64: what the API server gives.
    Data,
    /// `stringData` where the value is text, for people; `data` for the rest.
    StringData,
}

/// The Secret manifest of an opened document, as the controller would make it.
///
/// Secret: the value that is given back holds the plaintext.
pub fn secret_value(document: &SealedManifest<'_>, values: &BTreeMap<String, Plaintext>, shape: Shape) -> Value {
    let mut metadata = vec![("name", Value::from(document.name.as_str()))];
    metadata.extend(document.namespace.as_deref().map(|namespace| ("namespace", Value::from(namespace))));
    for (name, map) in [("labels", &document.labels), ("annotations", &document.annotations)] {
        if !map.is_empty() {
            let entries = map.iter().map(|(key, value)| (key.as_str(), Value::from(value.as_str())));
            metadata.push((name, Value::map(entries)));
        }
    }
    let mut secret = vec![
        ("apiVersion", Value::Plain("v1".to_owned())),
        ("kind", Value::Plain("Secret".to_owned())),
        ("metadata", Value::map(metadata)),
    ];
    if document.sealed.secret_type != DEFAULT_TYPE {
        secret.push(("type", Value::from(document.sealed.secret_type.as_str())));
    }
    secret.extend(document.immutable.map(|immutable| ("immutable", Value::Bool(immutable))));
    let (texts, bytes): (Vec<_>, Vec<_>) =
        values.iter().partition(|(_, value)| shape == Shape::StringData && text_of(value).is_some());
    if !bytes.is_empty() {
        let encode = |value: &Plaintext| Value::Str(BASE64_STANDARD.encode(value.expose()));
        secret.push(("data", Value::map(bytes.into_iter().map(|(key, value)| (key.as_str(), encode(value))))));
    }
    if !texts.is_empty() {
        let text = |value: &Plaintext| match text_of(value) {
            Some(text) if text.contains('\n') => Value::Literal(text.to_owned()),
            text => Value::Str(text.unwrap_or_default().to_owned()),
        };
        secret.push(("stringData", Value::map(texts.into_iter().map(|(key, value)| (key.as_str(), text(value))))));
    }
    Value::map(secret)
}

/// The value as text that people can read: UTF-8 without control characters but tabs and line feeds.
fn text_of(value: &Plaintext) -> Option<&str> {
    let text = std::str::from_utf8(value.expose()).ok()?;
    let readable = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().all(readable).then_some(text)
}
