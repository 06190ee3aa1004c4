//! Walking to the fields that a specification names.

use super::config::FieldSpec;
use super::refusal::{At, Refusal};
use super::resource::Res;
use super::value::{Data, Map, Value};

/// Splits a path at its slashes; `\/` is a slash in a key.
pub(super) fn split(path: &str, delimiter: char) -> Vec<String> {
    let mut parts: Vec<&str> = path.split(delimiter).collect();
    if parts.len() > 1 && parts[0].is_empty() {
        parts.remove(0);
    }
    let mut keys: Vec<String> = Vec::new();
    for part in parts {
        match keys.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push(delimiter);
                last.push_str(part);
            }
            _ => keys.push(part.to_owned()),
        }
    }
    keys
}

/// Applies a function to every value that a specification leads to, if the object is of its kind.
pub(super) fn apply(
    at: &At,
    spec: &FieldSpec,
    resource: &mut Res,
    create: bool,
    set: &mut dyn FnMut(&mut Value) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if !resource.is_selected(&spec.gvk) {
        return Ok(());
    }
    let keys = split(&spec.path, '/');
    if !create && !exists(&resource.value, &keys) {
        return Ok(());
    }
    walk(at, &keys, &mut resource.value, create, &spec.path, set)
}

/// Whether anything stands at the end of the path, or on the way something that cannot be walked through.
///
/// A look before the walk, which unshares what it passes.
fn exists(value: &Value, keys: &[String]) -> bool {
    match (&value.data, keys) {
        (_, []) => true,
        (Data::Null, _) => false,
        (Data::Map(map), [key, rest @ ..]) => {
            map.get(key.trim_end_matches("[]")).is_some_and(|value| exists(value, rest))
        }
        (Data::Seq(items), keys) => items.iter().any(|item| exists(item, keys)),
        _ => true,
    }
}

// The recursion is bounded by the path and by the nesting of the value.
fn walk(
    at: &At,
    keys: &[String],
    value: &mut Value,
    create: bool,
    what: &str,
    set: &mut dyn FnMut(&mut Value) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let [key, rest @ ..] = keys else { return set(value) };
    match &mut value.data {
        Data::Null => Ok(()),
        Data::Hidden => Err(at.unmodelled("hidden-value", format!("{what} leads through a value that is not kept"))),
        Data::Seq(_) => match value.as_seq_mut() {
            Some(items) => items.iter_mut().try_for_each(|item| walk(at, keys, item, create, what, set)),
            None => Ok(()),
        },
        Data::Map(_) => {
            let name = key.trim_end_matches("[]");
            if name.is_empty() {
                return Err(at.broken("bad-path", format!("the path {what} has an empty part")));
            }
            let Some(map) = value.as_map_mut() else { return Ok(()) };
            let make = create && name == key;
            if make && map.get(name).is_none_or(Value::is_null) {
                let made = if rest.is_empty() { Value::str("") } else { Value::map(Map::new()) };
                map.insert(name.into(), made);
            }
            match map.get_mut(name) {
                Some(field) => walk(at, rest, field, create, what, set),
                None => Ok(()),
            }
        }
        Data::Str(_) | Data::Plain(..) => {
            Err(at.broken("bad-path", format!("{what} leads through a scalar: a mapping or a list is expected")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_escaped_with_a_backslash() {
        assert_eq!(split("a/b/c", '/'), ["a", "b", "c"]);
        assert_eq!(split("/a/b", '/'), ["a", "b"]);
        assert_eq!(split("metadata/annotations/x.io\\/y", '/'), ["metadata", "annotations", "x.io/y"]);
        assert_eq!(split("a", '/'), ["a"]);
    }
}
