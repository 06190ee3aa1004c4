//! Which objects a selector means: anchored regular expressions, labels, annotations.

use regex::{Regex, RegexBuilder};

use super::fields::Fields;
use super::ident::{DEFAULT, Id, group_version};
use super::refusal::{At, Refusal};
use super::resource::Res;
use super::value::Value;

/// The most memory that one expression may compile to.
const MAX_COMPILED: usize = 256 * 1024;

/// A selector as it is written.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
    /// Group, version, kind, name and namespace as they are written; empty if they are not.
    written: [String; 5],
    /// Whether `name` was given.
    pub(super) has_name: bool,
}

impl Selector {
    pub(super) fn read(at: &At, value: &Value, what: &'static str, strict: bool) -> Result<Self, Refusal> {
        let mut fields = Fields::new(at, value, what)?;
        if !strict {
            fields = fields.lenient();
        }
        let at = fields.at().clone();
        let mut written: [String; 5] = Default::default();
        let mut all = written.iter_mut();
        let mut pattern = |name: &'static str| -> Result<Option<Regex>, Refusal> {
            let written = all.next();
            let Some(entry) = fields.text(name)? else { return Ok(None) };
            let pattern = anchored(&at.line(entry.line), &entry.text)?;
            written.into_iter().for_each(|written| written.clone_from(&entry.text));
            Ok(Some(pattern))
        };
        let [group, version, kind] = [pattern("group")?, pattern("version")?, pattern("kind")?];
        let [name, namespace] = [pattern("name")?, pattern("namespace")?];
        let labels = fields.text_or_empty("labelSelector")?;
        let annotations = fields.text_or_empty("annotationSelector")?;
        let selector = Self {
            has_name: name.is_some(),
            group,
            version,
            kind,
            name,
            namespace,
            labels: requirements(&at, &labels)?,
            annotations: requirements(&at, &annotations)?,
            written,
        };
        fields.finish()?;
        Ok(selector)
    }

    /// Whether it selects an object as a patch's target: by the names that it has and that it had first.
    pub(super) fn selects(&self, resource: &Res) -> bool {
        let now = resource.id();
        let first = resource.original_id();
        (fits(&self.namespace, first.namespace) || fits(&self.namespace, now.namespace))
            && (fits(&self.name, first.name) || fits(&self.name, now.name))
            && self.fits_kind(resource.api_version(), resource.kind())
            && self.fits_metadata(resource)
    }

    /// Whether it selects one identity, whose namespace is as it is written.
    pub(super) fn selects_id(&self, id: &Id<'_>) -> bool {
        self.fits_kind(id.api_version, id.kind) && fits(&self.name, id.name) && fits(&self.namespace, id.namespace)
    }

    /// The same where its parts are no expressions, but the names themselves; no namespace is `default`.
    pub(super) fn selects_id_as_written(&self, id: &Id<'_>) -> bool {
        let (group, version) = group_version(id.api_version);
        let or_default = |namespace: &'_ str| if namespace.is_empty() { DEFAULT } else { namespace }.to_owned();
        let [.., namespace] = &self.written;
        let parts = self.written.iter().zip([group, version, id.kind, id.name]);
        parts.into_iter().all(|(written, is)| written.is_empty() || written == is)
            && (namespace.is_empty() || or_default(namespace) == or_default(id.namespace))
    }

    /// Whether it asks for nothing but labels and annotations.
    pub(super) fn names_nothing(&self) -> bool {
        [&self.group, &self.version, &self.kind, &self.name, &self.namespace].iter().all(|part| part.is_none())
    }

    /// Whether it asks for labels or annotations.
    pub(super) fn asks_metadata(&self) -> bool {
        !self.labels.is_empty() || !self.annotations.is_empty()
    }

    /// Whether labels and annotations are as it asks.
    pub(super) fn fits_metadata(&self, resource: &Res) -> bool {
        self.labels.iter().all(|wanted| wanted.holds(resource, "labels"))
            && self.annotations.iter().all(|wanted| wanted.holds(resource, "annotations"))
    }

    fn fits_kind(&self, api_version: &str, kind: &str) -> bool {
        let (group, version) = group_version(api_version);
        fits(&self.group, group) && fits(&self.version, version) && fits(&self.kind, kind)
    }
}

fn fits(pattern: &Option<Regex>, text: &str) -> bool {
    pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
}

fn anchored(at: &At, pattern: &str) -> Result<Regex, Refusal> {
    compile(at, &format!("^(?:{pattern})$"))
}

/// Compiles an expression of Go's syntax, which ours is nearly the same as.
pub(super) fn compile(at: &At, pattern: &str) -> Result<Regex, Refusal> {
    // Both take nearly the same syntax. Where a class or an escape differs, what it means is not known for sure.
    let differs =
        ["&&", "--", "~~", "[[", "\\p{", "\\P{", "\\C", "\\Q", "\\<", "\\>", "\\b{", "(?<", "\\u", "\\U", "(?x", "(?R"];
    if let Some(part) = differs.iter().find(|part| pattern.contains(**part)) {
        return Err(
            at.unmodelled("regular-expression", format!("{part} in an expression may mean another thing to Go"))
        );
    }
    let ascii = ["\\d", "\\w", "\\s", "\\b", "\\D", "\\W", "\\S", "\\B", "(?i"];
    if !pattern.is_ascii() && ascii.iter().any(|class| pattern.contains(class)) {
        return Err(at.unmodelled("regular-expression", "classes beside letters outside ASCII are not modelled"));
    }
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => {
                at.unmodelled("regular-expression", "this regular expression is too large").hinted("name what is meant")
            }
            _ => at.broken("regular-expression", "this is no regular expression to kustomize"),
        },
    )
}

/// One part of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Requirement {
    fn holds(&self, resource: &Res, field: &str) -> bool {
        let value = |key: &str| {
            let found = resource.metadata(field).find(|(name, _)| *name == key)?;
            Some(found.1.scalar().unwrap_or_default())
        };
        match self {
            Self::Exists(key) => value(key).is_some(),
            Self::Missing(key) => value(key).is_none(),
            Self::In(key, values) => value(key).is_some_and(|is| values.iter().any(|value| value == is)),
            Self::NotIn(key, values) => value(key).is_none_or(|is| !values.iter().any(|value| value == is)),
        }
    }
}

/// Reads `a=b,c!=d,e in (f,g),!h,i`.
fn requirements(at: &At, text: &str) -> Result<Vec<Requirement>, Refusal> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = end_of_requirement(rest);
        found.push(requirement(at, rest[..end].trim())?);
        let after = rest[end..].trim_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim();
        if rest.is_empty() && after.starts_with(',') {
            return Err(at.broken("label-selector", "a label selector ends in a comma"));
        }
    }
    Ok(found)
}

/// The comma that is not within parentheses, or the end.
fn end_of_requirement(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn requirement(at: &At, text: &str) -> Result<Requirement, Refusal> {
    let is_key =
        |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    let is_value = |value: &str| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let unknown = || at.unmodelled("label-selector", "this label selector is not modelled");
    if let Some(key) = text.strip_prefix('!').map(str::trim) {
        return if is_key(key) { Ok(Requirement::Missing(key.to_owned())) } else { Err(unknown()) };
    }
    if let Some((key, value)) = text.split_once("!=") {
        let (key, value) = (key.trim(), value.trim());
        if !is_key(key) || !is_value(value) {
            return Err(unknown());
        }
        return Ok(Requirement::NotIn(key.to_owned(), vec![value.to_owned()]));
    }
    if let Some((key, value)) = text.split_once('=') {
        let (key, value) = (key.trim(), value.strip_prefix('=').unwrap_or(value).trim());
        if !is_key(key) || !is_value(value) {
            return Err(unknown());
        }
        return Ok(Requirement::In(key.to_owned(), vec![value.to_owned()]));
    }
    if let Some((head, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let mut words = head.split_whitespace();
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, operator) = (words.next().unwrap_or_default(), words.next());
        if !is_key(key) || words.next().is_some() || values.iter().any(|value| !is_value(value)) {
            return Err(unknown());
        }
        return match operator {
            Some("in") => Ok(Requirement::In(key.to_owned(), values)),
            Some("notin") => Ok(Requirement::NotIn(key.to_owned(), values)),
            _ => Err(unknown()),
        };
    }
    if is_key(text) { Ok(Requirement::Exists(text.to_owned())) } else { Err(unknown()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_anchored_and_bounded() {
        let at = At::new("k", 1);
        assert!(anchored(&at, "d").unwrap().is_match("d"));
        assert!(!anchored(&at, "d").unwrap().is_match("db"));
        assert!(anchored(&at, "a|b.*").unwrap().is_match("bcd"));
        assert!(anchored(&at, "(").unwrap_err().is_broken());
        let bomb = anchored(&at, "((((a{1,100}){1,100}){1,100}){1,100})").unwrap_err();
        assert!(!bomb.is_broken());
        assert!(!anchored(&at, "[[:alpha:]]").unwrap_err().is_broken());
    }

    #[test]
    fn label_selectors_are_read() {
        let at = At::new("k", 1);
        assert_eq!(requirements(&at, "").unwrap(), []);
        assert_eq!(
            requirements(&at, "a=b, c!=d,e in (f, g),!h,i,j notin (k)").unwrap(),
            [
                Requirement::In("a".into(), vec!["b".into()]),
                Requirement::NotIn("c".into(), vec!["d".into()]),
                Requirement::In("e".into(), vec!["f".into(), "g".into()]),
                Requirement::Missing("h".into()),
                Requirement::Exists("i".into()),
                Requirement::NotIn("j".into(), vec!["k".into()]),
            ]
        );
        assert!(requirements(&at, "a>1").is_err());
        assert!(requirements(&at, "a=b,").is_err());
    }
}
