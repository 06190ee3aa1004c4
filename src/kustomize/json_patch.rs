//! JSON patches (RFC 6902), with the leniences of the library that kustomize uses.

use super::fields::{Fields, place};
use super::refusal::{At, Refusal};
use super::value::{Data, Map, Value};

/// One operation.
#[derive(Clone)]
pub(super) struct Operation {
    at: At,
    kind: Kind,
    path: Vec<String>,
}

#[derive(Clone)]
enum Kind {
    Add(Value),
    Replace(Value),
    Test(Value),
    Remove,
    Move(Vec<String>),
    Copy(Vec<String>),
}

/// Reads a patch: a list of operations.
pub(super) fn read(at: &At, value: &Value) -> Result<Vec<Operation>, Refusal> {
    let Some(items) = value.as_seq() else {
        return Err(place(at, value).broken("bad-patch", "a JSON patch is not a list of operations"));
    };
    items.iter().map(|item| operation(at, item)).collect()
}

fn operation(at: &At, item: &Value) -> Result<Operation, Refusal> {
    if item.as_map().is_none() {
        return Err(place(at, item).broken("bad-patch", "an operation of a JSON patch is not a mapping"));
    }
    let mut fields = Fields::new(at, item, "an operation of a JSON patch")?.lenient();
    let at = fields.at().clone();
    let name = fields.text_or_empty("op")?;
    let path = pointer(&at, &fields.text_or_empty("path")?)?;
    let value = || -> Result<Value, Refusal> {
        let mut value = item.get("value").cloned().unwrap_or_else(Value::null);
        if matches!(path.first().map(String::as_str), Some("data" | "stringData")) {
            hide(&mut value);
        }
        Ok(value)
    };
    let kind = match name.as_str() {
        "add" => Kind::Add(value()?),
        "replace" => Kind::Replace(value()?),
        "test" => Kind::Test(value()?),
        "remove" => Kind::Remove,
        "move" => Kind::Move(pointer(&at, &fields.text_or_empty("from")?)?),
        "copy" => Kind::Copy(pointer(&at, &fields.text_or_empty("from")?)?),
        _ => return Err(at.broken("bad-patch", "an operation of a JSON patch is of no kind that is known")),
    };
    if path.is_empty() {
        return Err(at.unmodelled("whole-object", "an operation on the whole object is not modelled"));
    }
    Ok(Operation { at, kind, path })
}

/// The values of a Secret are not kept, whether they are set one by one or at once.
fn hide(value: &mut Value) {
    match &value.data {
        Data::Null => {}
        Data::Map(_) => value.hide_values(),
        _ => value.data = Data::Hidden,
    }
}

fn pointer(at: &At, text: &str) -> Result<Vec<String>, Refusal> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err(at.unmodelled("bad-pointer", "a path of a JSON patch does not start with a slash"));
    };
    Ok(rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
}

/// Applies a patch.
pub(super) fn apply(operations: &[Operation], object: &mut Value) -> Result<(), Refusal> {
    operations.iter().try_for_each(|operation| operation.apply(object))
}

impl Operation {
    /// Where it is written.
    pub(super) fn at(&self) -> &At {
        &self.at
    }

    fn apply(&self, object: &mut Value) -> Result<(), Refusal> {
        let at = &self.at;
        match &self.kind {
            Kind::Add(value) => add(at, object, &self.path, value.clone()),
            Kind::Replace(value) => replace(at, object, &self.path, value.clone()),
            Kind::Remove => remove(at, object, &self.path).map(drop),
            Kind::Test(value) => test(at, object, &self.path, value),
            Kind::Move(from) => {
                let value = remove(at, object, from)?;
                add(at, object, &self.path, value)
            }
            Kind::Copy(from) => {
                let value = get(at, object, from)?;
                add(at, object, &self.path, value)
            }
        }
    }
}

fn missing(at: &At, path: &[String]) -> Refusal {
    at.broken("patch-does-not-apply", format!("a JSON patch does not apply: there is no /{}", path.join("/")))
}

/// The collection that the last part of a path stands in.
fn container<'v>(at: &At, object: &'v mut Value, path: &[String]) -> Result<&'v mut Value, Refusal> {
    let parents = path.split_last().map(|(_, parents)| parents).unwrap_or_default();
    let mut here = object;
    for part in parents {
        if here.is_hidden() {
            return Err(at.unmodelled("hidden-value", "a JSON patch leads through a value that is not kept"));
        }
        here = match &here.data {
            Data::Map(_) => here.as_map_mut().and_then(|map| map.get_mut(part.as_str())),
            Data::Seq(items) => {
                let index = index(at, part, items.len())?;
                here.as_seq_mut().and_then(|items| items.get_mut(index))
            }
            _ => None,
        }
        .ok_or_else(|| missing(at, path))?;
    }
    match &here.data {
        Data::Map(_) | Data::Seq(_) => Ok(here),
        Data::Hidden => Err(at.unmodelled("hidden-value", "a JSON patch leads into a value that is not kept")),
        _ => Err(missing(at, path)),
    }
}

fn index(at: &At, part: &str, length: usize) -> Result<usize, Refusal> {
    if part.starts_with('-') && part.len() > 1 || part.starts_with('+') {
        return Err(
            at.unmodelled("negative-index", "an index of a JSON patch that counts from the end is not modelled")
        );
    }
    match part.parse::<usize>() {
        Ok(index) if index < length => Ok(index),
        _ => Err(at.broken("patch-does-not-apply", format!("a JSON patch does not apply: there is no item {part}"))),
    }
}

fn last(path: &[String]) -> &str {
    path.last().map_or("", String::as_str)
}

fn add(at: &At, object: &mut Value, path: &[String], value: Value) -> Result<(), Refusal> {
    let container = container(at, object, path)?;
    if let Some(map) = container.as_map_mut() {
        map.insert(last(path).into(), value);
        return Ok(());
    }
    let Some(items) = container.as_seq_mut() else { return Err(missing(at, path)) };
    if last(path) == "-" {
        items.push(value);
    } else {
        let index = index(at, last(path), items.len() + 1)?;
        items.insert(index, value);
    }
    Ok(())
}

/// A key that is not there is added: the library does not look.
fn replace(at: &At, object: &mut Value, path: &[String], value: Value) -> Result<(), Refusal> {
    let container = container(at, object, path)?;
    if let Some(map) = container.as_map_mut() {
        map.insert(last(path).into(), value);
        return Ok(());
    }
    let Some(items) = container.as_seq_mut() else { return Err(missing(at, path)) };
    let index = index(at, last(path), items.len())?;
    items[index] = value;
    Ok(())
}

fn remove(at: &At, object: &mut Value, path: &[String]) -> Result<Value, Refusal> {
    let container = container(at, object, path)?;
    if let Some(map) = container.as_map_mut() {
        return map.remove(last(path)).ok_or_else(|| missing(at, path));
    }
    let Some(items) = container.as_seq_mut() else { return Err(missing(at, path)) };
    let index = index(at, last(path), items.len())?;
    Ok(items.remove(index))
}

fn get(at: &At, object: &mut Value, path: &[String]) -> Result<Value, Refusal> {
    let container = container(at, object, path)?;
    match &container.data {
        Data::Map(map) => Ok(map.get(last(path)).cloned().unwrap_or_else(Value::null)),
        Data::Seq(items) => Ok(items[index(at, last(path), items.len())?].clone()),
        _ => Err(missing(at, path)),
    }
}

fn test(at: &At, object: &mut Value, path: &[String], wanted: &Value) -> Result<(), Refusal> {
    let is = get(at, object, path)?;
    if holds_hidden(&is) || holds_hidden(wanted) {
        return Err(at.unmodelled("hidden-value", "a JSON patch tests a value that is not kept"));
    }
    if is == *wanted {
        return Ok(());
    }
    if matches!(is.data, Data::Plain(..)) && matches!(wanted.data, Data::Plain(..)) {
        return Err(at.unmodelled("test-of-numbers", "a JSON patch tests a value that is written in another way"));
    }
    Err(at
        .broken("patch-does-not-apply", format!("a JSON patch does not apply: the test of /{} fails", path.join("/"))))
}

// The recursion is bounded by the nesting of the value.
fn holds_hidden(value: &Value) -> bool {
    match &value.data {
        Data::Hidden => true,
        Data::Map(map) => Map::values(map).any(holds_hidden),
        Data::Seq(items) => items.iter().any(holds_hidden),
        _ => false,
    }
}
