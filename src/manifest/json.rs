//! JSON that holds secrets: parsed, looked at, overwritten.

use serde_json::Value;
use zeroize::Zeroize;

/// A JSON value whose texts are overwritten when it is dropped.
///
/// Keys of objects are not: they name things. The parser's own scratch space, which holds texts with escapes for a
/// moment, is not either.
pub(crate) struct SecretJson(Value);

/// Where a text stops being JSON; holds nothing of the text.
pub(crate) struct NotJson {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl SecretJson {
    /// Parses one JSON value and nothing behind it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NotJson> {
        match serde_json::from_slice(bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(NotJson { line: error.line(), column: error.column() }),
        }
    }

    pub(crate) fn value(&self) -> &Value {
        &self.0
    }
}

impl Drop for SecretJson {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

// The recursion is bounded: serde_json stops at a depth of 128.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiping_reaches_every_text() {
        let mut value = serde_json::json!({"a": ["x", {"b": "y"}], "c": "z", "n": 1});
        wipe(&mut value);
        assert_eq!(value, serde_json::json!({"a": ["", {"b": ""}], "c": "", "n": 1}));
    }

    #[test]
    fn says_where_it_stops_being_json() {
        let error = SecretJson::parse(b"{\n\"a\": hunter2}").err().unwrap();
        assert_eq!((error.line, error.column), (2, 6));
        assert!(SecretJson::parse(b"{} {}").is_err());
    }
}
