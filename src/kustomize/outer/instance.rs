//! One object that deploys folders, as it is applied, and reading its fields.

use crate::kustomize::fields::Entry;
use crate::kustomize::model::Source;
use crate::kustomize::refusal::{At, Refusal};
use crate::kustomize::value::{Data, Value};

/// An object of Flux or Argo CD, as it is applied.
#[derive(Clone, PartialEq)]
pub(super) struct Instance {
    /// Where it is written.
    pub(super) source: Source,
    /// As built; its lines are those of the file that it is written in.
    pub(super) value: Value,
    /// The folder of the root whose kustomizations change it.
    pub(super) by: Option<String>,
    /// Why it is not known as built.
    pub(super) unsure: Option<Refusal>,
}

impl Instance {
    /// A part of it as an object of its own, for whoever reads it by path.
    pub(super) fn part(&self, value: &Value) -> Self {
        Self { value: value.clone(), ..self.clone() }
    }

    /// Where it is written.
    pub(super) fn at(&self) -> At {
        At::new(&self.source.file, self.source.line)
    }

    /// The place of a value of it.
    pub(super) fn place(&self, value: &Value) -> At {
        if value.line == 0 { self.at() } else { self.at().line(value.line as usize) }
    }

    pub(super) fn kind(&self) -> &str {
        self.value.get("kind").and_then(Value::scalar).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.value.at(&["metadata", "name"]).and_then(Value::scalar).unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.value.at(&["metadata", "namespace"]).and_then(Value::scalar).filter(|namespace| !namespace.is_empty())
    }

    /// `NAMESPACE/NAME`, or the name alone.
    pub(super) fn title(&self) -> String {
        let name: String = self.name().chars().filter(|c| !c.is_control()).take(253).collect();
        match self.namespace() {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        }
    }

    /// A text at a path; none if it is missing, null or empty.
    pub(super) fn text(&self, path: &[&str]) -> Result<Option<Entry>, Refusal> {
        match self.value.at(path) {
            Some(value) => self.text_of(value, &path.join(".")),
            None => Ok(None),
        }
    }

    /// A text; none if it is null or empty. What is filled in later is refused.
    pub(super) fn text_of(&self, value: &Value, what: &str) -> Result<Option<Entry>, Refusal> {
        let at = self.place(value);
        match &value.data {
            Data::Null => Ok(None),
            Data::Str(text) if text.is_empty() => Ok(None),
            Data::Str(text) => {
                self.no_placeholder(&at, text, what)?;
                Ok(Some(Entry { text: text.to_string(), line: at.line }))
            }
            _ => Err(not(&at, what, "a text")),
        }
    }

    /// Refuses a `${…}`, which another object of Flux fills in, and a `{{…}}`, which whoever renders the file does.
    pub(super) fn no_placeholder(&self, at: &At, text: &str, what: &str) -> Result<(), Refusal> {
        if text.contains("{{") {
            let message = format!("{what} holds {{{{…}}}}, which something else fills in");
            return Err(at.unmodelled("template", message).hinted(BY_HAND));
        }
        self.no_substitution(at, text, what)
    }

    /// Refuses a `${…}`.
    pub(super) fn no_substitution(&self, at: &At, text: &str, what: &str) -> Result<(), Refusal> {
        if text.contains("${") {
            return Err(at
                .unmodelled("placeholder", format!("{what} holds ${{…}}, which is filled in later"))
                .hinted(BY_HAND));
        }
        Ok(())
    }

    /// The items of a list; none if it is missing or null.
    pub(super) fn items(&self, path: &[&str]) -> Result<&[Value], Refusal> {
        match self.value.at(path) {
            None => Ok(&[]),
            Some(value) if value.is_null() => Ok(&[]),
            Some(value) => value.as_seq().ok_or_else(|| not(&self.place(value), &path.join("."), "a list")),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, path: &[&str]) -> Result<Vec<Entry>, Refusal> {
        let what = path.join(".");
        let texts = self.items(path)?.iter().map(|item| self.text_of(item, &what));
        Ok(texts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// A boolean; false if it is missing.
    pub(super) fn flag(&self, path: &[&str]) -> Result<bool, Refusal> {
        match self.value.at(path) {
            None => Ok(false),
            Some(value) if value.is_null() => Ok(false),
            Some(value) => match &value.data {
                Data::Plain(text, _) if &**text == "true" => Ok(true),
                Data::Plain(text, _) if &**text == "false" => Ok(false),
                _ => Err(not(&self.place(value), &path.join("."), "true or false")),
            },
        }
    }

    /// Refuses a field of a mapping that is not known: it may do anything.
    pub(super) fn known(&self, path: &[&str], known: &[&str]) -> Result<(), Refusal> {
        let Some(value) = self.value.at(path).filter(|value| !value.is_null()) else { return Ok(()) };
        self.known_of(value, &path.join("."), known)
    }

    /// The same for a mapping at hand.
    pub(super) fn known_of(&self, value: &Value, what: &str, known: &[&str]) -> Result<(), Refusal> {
        let Some(map) = value.as_map() else { return Err(not(&self.place(value), what, "a mapping")) };
        match map.iter().find(|(key, _)| !known.contains(&&***key)) {
            None => Ok(()),
            Some((key, inner)) => {
                let shown = if key.len() <= 60 && !key.contains(char::is_control) { key } else { "of this name" };
                Err(self
                    .place(inner)
                    .unmodelled("unknown-field", format!("{what} has the field {shown}, which is not known here"))
                    .hinted(BY_HAND))
            }
        }
    }
}

/// The next step where an outer layer is not understood.
pub(super) const BY_HAND: &str = "say under `deployed` in the policy how its folder is deployed";

pub(super) fn not(at: &At, what: &str, wanted: &str) -> Refusal {
    at.broken("bad-field", format!("{what} is not {wanted}"))
}

/// A value as built with the lines of the file that it is written in: what came from elsewhere has the line of the object.
pub(super) fn relined(built: &Value, written: Option<&Value>, line: u32) -> Value {
    if let Some(written) = written.filter(|written| *written == built) {
        return written.clone();
    }
    let data = match &built.data {
        Data::Map(map) => {
            let inner = map
                .iter()
                .map(|(key, value)| (key.clone(), relined(value, written.and_then(|written| written.get(key)), line)));
            Data::Map(std::rc::Rc::new(inner.collect()))
        }
        Data::Seq(items) => {
            let of = |index: usize| written.and_then(Value::as_seq).and_then(|items| items.get(index));
            let inner = items.iter().enumerate().map(|(index, value)| relined(value, of(index), line));
            Data::Seq(std::rc::Rc::new(inner.collect()))
        }
        other => other.clone(),
    };
    let holds = matches!(data, Data::Map(_) | Data::Seq(_));
    Value { line: written.filter(|_| holds).map_or(line, |written| written.line), data }
}
