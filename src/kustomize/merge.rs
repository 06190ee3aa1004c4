//! Strategic merge patches, as kustomize merges them.

use super::refusal::{At, Refusal};
use super::schema::{self, ListKind};
use super::value::{Data, Map, Value};

const DIRECTIVE: &str = "$patch";

/// What a `$patch` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// What comes of two values.
enum Outcome {
    /// Nothing is left.
    Gone,
    Is(Value),
}

/// Merges a patch into an object. Nothing is left if the patch deletes it.
pub(super) fn merge(at: &At, object: &Value, patch: &Value) -> Result<Option<Value>, Refusal> {
    let text = |key: &str| object.get(key).and_then(Value::scalar).unwrap_or_default();
    let merger = Merger { at, pods: schema::pod_path(text("apiVersion"), text("kind")), kind: text("kind") };
    let mut path = Vec::new();
    match merger.values(&mut path, Some(object), Some(patch))? {
        Outcome::Gone => Ok(None),
        Outcome::Is(value) => Ok(Some(value)),
    }
}

struct Merger<'m> {
    at: &'m At,
    /// Where the specification of a pod is in this kind, if it is a kind that has one.
    pods: Option<&'static [&'static str]>,
    kind: &'m str,
}

impl Merger<'_> {
    // The recursion is bounded by the nesting of the two values.
    fn values<'v>(
        &self,
        path: &mut Vec<&'v str>,
        old: Option<&'v Value>,
        patch: Option<&'v Value>,
    ) -> Result<Outcome, Refusal> {
        let present = |value: Option<&'v Value>| value.filter(|value| !value.is_null());
        let lead = present(old).or(present(patch));
        let Some(lead) = lead else {
            // A null on either side and nothing else.
            return Ok(Outcome::Gone);
        };
        if let (Some(a), Some(b)) = (present(old), present(patch))
            && !same_kind(a, b)
        {
            let message = format!("a patch puts {} where {} stands, at {}", b.what(), a.what(), shown(path));
            return Err(self.at.broken("patch-of-another-kind", message));
        }
        match &lead.data {
            Data::Map(_) => self.maps(path, old, patch),
            Data::Seq(_) => self.lists(path, old, patch),
            _ => Ok(match patch {
                Some(value) if value.is_null() => Outcome::Gone,
                Some(value) => Outcome::Is(value.clone()),
                None => old.map_or(Outcome::Gone, |old| Outcome::Is(old.clone())),
            }),
        }
    }

    fn maps<'v>(
        &self,
        path: &mut Vec<&'v str>,
        old: Option<&'v Value>,
        patch: Option<&'v Value>,
    ) -> Result<Outcome, Refusal> {
        let Some(patch) = patch else { return Ok(old.map_or(Outcome::Gone, |old| Outcome::Is(old.clone()))) };
        if patch.is_null() {
            return Ok(Outcome::Gone);
        }
        let Some(new) = patch.as_map() else { return Ok(Outcome::Gone) };
        let directive = self.directive(new)?;
        let metadata = path.first() == Some(&"metadata") && path.len() <= 2;
        if directive != Directive::Merge && metadata {
            let message = "a $patch on metadata takes away what kustomize remembers there";
            return Err(self.at.unmodelled("patch-directive", message));
        }
        let old = old.filter(|old| !old.is_null());
        let base = match (directive, old) {
            (Directive::Delete, _) => return Ok(Outcome::Gone),
            (Directive::Merge, Some(old)) => old.clone(),
            // What replaces, or stands where nothing stood, is cleared of its own nulls and directives.
            (Directive::Replace, _) | (Directive::Merge, None) => {
                Value { line: patch.line, data: Data::Map(Default::default()) }
            }
        };
        let mut result = base.clone();
        let empty = Map::new();
        let known = base.as_map().unwrap_or(&empty);
        for (key, value) in new.iter().filter(|(key, _)| &***key != DIRECTIVE) {
            if key.starts_with('$') {
                return Err(self.at.unmodelled("patch-directive", format!("{key} in a patch is not modelled")));
            }
            path.push(key);
            // The base lives shorter than the values that the path is made of.
            let outcome = match known.get(&**key) {
                Some(old) => self.over(path, old, value)?,
                None => self.values(path, None, Some(value))?,
            };
            path.pop();
            if let Some(map) = result.as_map_mut() {
                match outcome {
                    Outcome::Gone => map.remove(&**key),
                    Outcome::Is(value) => map.insert(key.clone(), value),
                };
            }
        }
        Ok(Outcome::Is(result))
    }

    /// The same as [`values`](Self::values), for an old value that lives shorter than the path.
    fn over(&self, path: &mut [&str], old: &Value, patch: &Value) -> Result<Outcome, Refusal> {
        let mut path = path.to_vec();
        self.values(&mut path, Some(old), Some(patch))
    }

    fn lists<'v>(
        &self,
        path: &mut Vec<&'v str>,
        old: Option<&'v Value>,
        patch: Option<&'v Value>,
    ) -> Result<Outcome, Refusal> {
        let Some(patch) = patch else { return Ok(old.map_or(Outcome::Gone, |old| Outcome::Is(old.clone()))) };
        let Some(new) = patch.as_seq() else { return Ok(Outcome::Gone) };
        let kind = schema::list(self.kind, self.pods, path);
        let ListKind::ByKey(key) = kind else {
            if kind == ListKind::Unmodelled && old.is_some_and(|old| !old.is_null()) {
                return Ok(Outcome::Is(Value { line: patch.line, data: Data::Hidden }));
            }
            return Ok(Outcome::Is(patch.clone()));
        };
        let old = old.and_then(Value::as_seq).unwrap_or_default();
        let mut new: Vec<&Value> = new.iter().collect();
        let alone = |item: &&Value| item.as_map().is_some_and(|map| map.len() == 1 && map.contains_key(DIRECTIVE));
        let mut replace = false;
        if let Some(index) = new.iter().position(alone) {
            let directive = new.remove(index).as_map().map_or(Ok(Directive::Merge), |map| self.directive(map))?;
            match directive {
                Directive::Delete => return Ok(Outcome::Gone),
                Directive::Replace => replace = true,
                Directive::Merge => {}
            }
        }
        let old = if replace { &[] } else { old };
        self.by_key(path, key, old, &new)
    }

    /// Items of the patch come first, then those that it does not name.
    fn by_key<'v>(
        &self,
        path: &mut Vec<&'v str>,
        key: &str,
        old: &'v [Value],
        new: &[&'v Value],
    ) -> Result<Outcome, Refusal> {
        let name = |item: &'v Value| -> Result<&'v str, Refusal> {
            item.get(key).and_then(Value::scalar).filter(|name| !name.is_empty()).ok_or_else(|| {
                self.at.unmodelled("item-without-key", format!("an item of {} has no {key}", shown(path)))
            })
        };
        let old_names = old.iter().map(name).collect::<Result<Vec<_>, _>>()?;
        let new_names = new.iter().map(|item| name(item)).collect::<Result<Vec<_>, _>>()?;
        for (index, named) in old_names.iter().enumerate() {
            if new_names.contains(named) && old_names[..index].contains(named) {
                let message = format!("two items of {} have one {key}, and a patch names it", shown(path));
                return Err(self.at.unmodelled("duplicate-item", message));
            }
        }
        let mut items = Vec::new();
        for (index, (item, named)) in new.iter().zip(&new_names).enumerate() {
            if new_names[..index].contains(named) {
                let message = format!("a patch has two items of {} with one {key}", shown(path));
                return Err(self.at.unmodelled("duplicate-item", message));
            }
            let before = old_names.iter().position(|other| other == named).map(|index| &old[index]);
            if let Outcome::Is(value) = self.values(path, before, Some(item))? {
                items.push(value);
            }
        }
        let left = old.iter().zip(&old_names).filter(|(_, named)| !new_names.contains(named));
        items.extend(left.map(|(item, _)| item.clone()));
        Ok(Outcome::Is(Value::seq(items)))
    }

    fn directive(&self, map: &Map) -> Result<Directive, Refusal> {
        match map.get(DIRECTIVE).map(Value::scalar) {
            None => Ok(Directive::Merge),
            Some(Some("merge")) => Ok(Directive::Merge),
            Some(Some("replace")) => Ok(Directive::Replace),
            Some(Some("delete")) => Ok(Directive::Delete),
            Some(_) => Err(self.at.broken("patch-directive", "a $patch is neither merge, replace nor delete")),
        }
    }
}

fn same_kind(a: &Value, b: &Value) -> bool {
    match (&a.data, &b.data) {
        (Data::Map(_), Data::Map(_)) | (Data::Seq(_), Data::Seq(_)) => true,
        (Data::Map(_) | Data::Seq(_), other) | (other, Data::Map(_) | Data::Seq(_)) => matches!(other, Data::Hidden),
        _ => true,
    }
}

fn shown(path: &[&str]) -> String {
    if path.is_empty() { "the top".to_owned() } else { path.join(".") }
}
