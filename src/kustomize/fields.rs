//! Reading the fields of kustomize's own files as kustomize does: names in any case, types checked, nothing unknown.

use super::refusal::{At, Refusal};
use super::value::{Data, Value};
use crate::yaml::PlainType;

/// A text and the line that it stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) text: String,
    pub(super) line: usize,
}

/// The fields of one mapping that are not read yet.
pub(super) struct Fields<'v> {
    at: At,
    what: &'static str,
    entries: Vec<(&'v str, &'v Value)>,
    strict: bool,
}

impl<'v> Fields<'v> {
    /// The fields of a mapping; none for null.
    pub(super) fn new(at: &At, value: &'v Value, what: &'static str) -> Result<Self, Refusal> {
        let at = place(at, value);
        let entries = match &value.data {
            Data::Null => Vec::new(),
            Data::Map(map) => map.iter().map(|(key, value)| (&**key, value)).collect(),
            _ => return Err(at.broken("bad-field", format!("{what} is {}, not a mapping", value.what()))),
        };
        Ok(Self { at, what, entries, strict: true })
    }

    /// The same, where kustomize passes over what it does not know.
    pub(super) fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Where the mapping stands.
    pub(super) fn at(&self) -> &At {
        &self.at
    }

    /// The value of a field, whatever the case of its name; null counts as none.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<&'v Value>, Refusal> {
        let mut found = None;
        let mut twice = false;
        self.entries.retain(|(key, value)| {
            let is = key.eq_ignore_ascii_case(name);
            if is {
                twice |= found.is_some();
                found = Some(*value);
            }
            !is
        });
        if twice {
            return Err(self
                .at
                .unmodelled("duplicate-key", format!("{name} of {} is written twice, in different case", self.what)));
        }
        Ok(found.filter(|value| !value.is_null()))
    }

    /// A text; an empty one counts as none.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<Entry>, Refusal> {
        let Some(value) = self.take(name)? else { return Ok(None) };
        let text = text(&self.at, value, name)?;
        Ok(Some(Entry { text, line: line(&self.at, value) }).filter(|entry| !entry.text.is_empty()))
    }

    /// A text or an empty one.
    pub(super) fn text_or_empty(&mut self, name: &'static str) -> Result<String, Refusal> {
        Ok(self.text(name)?.map(|entry| entry.text).unwrap_or_default())
    }

    /// A boolean; false if there is none.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Refusal> {
        let Some(value) = self.take(name)? else { return Ok(false) };
        match value.scalar().filter(|_| matches!(value.data, Data::Plain(..))) {
            Some("true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y") => Ok(true),
            Some("false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N") => Ok(false),
            _ => Err(place(&self.at, value).broken("bad-field", format!("{name} is neither true nor false"))),
        }
    }

    /// A whole number; none if there is none.
    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.take(name)? else { return Ok(None) };
        let number =
            value.scalar().filter(|_| matches!(value.data, Data::Plain(..))).and_then(|text| text.parse().ok());
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(place(&self.at, value).broken("bad-field", format!("{name} is not a whole number"))),
        }
    }

    /// A list.
    pub(super) fn list(&mut self, name: &'static str) -> Result<&'v [Value], Refusal> {
        let Some(value) = self.take(name)? else { return Ok(&[]) };
        match value.as_seq() {
            Some(items) => Ok(items),
            None => Err(place(&self.at, value).broken("bad-field", format!("{name} is {}, not a list", value.what()))),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<Entry>, Refusal> {
        let items = self.list(name)?;
        items.iter().map(|item| Ok(Entry { text: text(&self.at, item, name)?, line: line(&self.at, item) })).collect()
    }

    /// A mapping of texts.
    pub(super) fn text_map(&mut self, name: &'static str) -> Result<Vec<(String, String)>, Refusal> {
        let Some(value) = self.take(name)? else { return Ok(Vec::new()) };
        let Some(map) = value.as_map() else {
            return Err(place(&self.at, value).broken("bad-field", format!("{name} is not a mapping")));
        };
        map.iter().map(|(key, value)| Ok((key.to_string(), text(&self.at, value, name)?))).collect()
    }

    /// Refuses what was not read.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.entries.first() {
            Some((name, value)) if self.strict => {
                let shown = if name.len() <= 60 && !name.contains(char::is_control) { name } else { "of this name" };
                Err(place(&self.at, value).broken("unknown-field", format!("{} has no field {shown}", self.what)))
            }
            _ => Ok(()),
        }
    }
}

/// The place of a value in the file of `at`.
pub(super) fn place(at: &At, value: &Value) -> At {
    at.line(line(at, value))
}

fn line(at: &At, value: &Value) -> usize {
    if value.line == 0 { at.line } else { value.line as usize }
}

/// A text, as YAML 1.1 has it: what is a number, a boolean or a list there is refused.
pub(super) fn text(at: &At, value: &Value, what: &str) -> Result<String, Refusal> {
    let at = place(at, value);
    match &value.data {
        Data::Str(text) => Ok(text.to_string()),
        Data::Null => Ok(String::new()),
        Data::Plain(text, PlainType::Timestamp) => Ok(text.to_string()),
        Data::Plain(text, PlainType::Ambiguous) if !is_word_or_octal(text) => Err(at
            .unmodelled("not-a-string", format!("{what} is a string to some readers of YAML and a number to others"))
            .hinted(format!("put {what} into quotes"))),
        Data::Plain(..) => Err(at
            .broken("not-a-string", format!("{what} is not a string to kustomize"))
            .hinted(format!("put {what} into quotes"))),
        Data::Hidden => Err(at.unmodelled("hidden-value", format!("{what} is a value that is not kept"))),
        Data::Map(_) | Data::Seq(_) => Err(at.broken("bad-field", format!("{what} is {}, not a text", value.what()))),
    }
}

/// `yes` and its kin are booleans to YAML 1.1, and `0777` is a number.
fn is_word_or_octal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphabetic()) || text.len() > 1 && text.bytes().all(|b| b.is_ascii_digit())
}
