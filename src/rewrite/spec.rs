//! How sealed things are written: always the same shape, so that diffs and merges stay small.
//!
//! A value is a block of its own. `key:` stays an unchanged line between two values, so two branches that change
//! neighbouring keys merge cleanly with plain git.

use crate::format::{AgeFile, Envelope, Item};
use crate::scope::Scope;
use crate::yaml::Value;

/// `{value, scope?, envelope?}`.
pub fn item_value(item: &Item) -> Value {
    let mut entries = vec![("value".to_owned(), Value::Plain(item.value.to_string()))];
    if let Some(scope) = &item.scope {
        entries.push(("scope".to_owned(), scope_value(scope)));
    }
    if let Some(envelope) = &item.envelope {
        entries.push(("envelope".to_owned(), envelope_value(envelope)));
    }
    Value::Map(entries)
}

/// The item of an overlay patch: its envelope says `also` even if it has none.
///
/// kustomize merges envelopes deeply. Without it the further age files of the document's own envelope would stay under that
/// of the patch, and whoever reads those alone would be told that the value is damaged, where it is not for them.
pub fn patch_item_value(item: &Item) -> Value {
    let mut value = item_value(item);
    let none = item.envelope.as_ref().is_some_and(|envelope| envelope.also.is_empty());
    if let (true, Value::Map(entries)) = (none, &mut value)
        && let Some((_, Value::Map(envelope))) = entries.iter_mut().find(|(name, _)| name == "envelope")
    {
        envelope.push(("also".to_owned(), Value::FlowSeq(Vec::new())));
    }
    value
}

/// `{recipients, age, also?}`.
pub fn envelope_value(envelope: &Envelope) -> Value {
    let mut entries = file_entries(&envelope.file);
    if !envelope.also.is_empty() {
        let also = envelope.also.iter().map(|file| Value::Map(file_entries(file))).collect();
        entries.push(("also".to_owned(), Value::Seq(also)));
    }
    Value::Map(entries)
}

fn file_entries(file: &AgeFile) -> Vec<(String, Value)> {
    let recipients = file.recipients.iter().map(|id| Value::Plain(id.to_string())).collect();
    vec![("recipients".to_owned(), Value::FlowSeq(recipients)), ("age".to_owned(), Value::Literal(file.age.clone()))]
}

/// The patterns, one a line, each in single quotes: `*` would start an alias.
pub(crate) fn scope_value(scope: &Scope) -> Value {
    Value::Seq(scope.patterns().iter().map(|pattern| Value::SingleQuoted(pattern.to_string())).collect())
}
