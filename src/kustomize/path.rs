//! The paths of replacements: `spec.template.spec.containers.[name=app].env.0.value`.

use regex::Regex;

use super::fieldspec::split;
use super::refusal::{At, Refusal};
use super::select;
use super::value::{Data, Map, Value};

/// One part of a path.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Field(String),
    Index(usize),
    /// `[name=value]`: the items of which a field fits an expression. The field is empty for items that are scalars.
    Item {
        field: String,
        pattern: Regex,
        value: String,
    },
    /// `*`: every item.
    Every,
}

/// Reads a path. Dots within brackets do not separate.
pub(super) fn parse(at: &At, text: &str) -> Result<Vec<Part>, Refusal> {
    let pieces = split(text, '.');
    let mut parts = Vec::new();
    let mut pieces = pieces.into_iter();
    while let Some(mut piece) = pieces.next() {
        if piece.starts_with('[') && !piece.ends_with(']') {
            for more in pieces.by_ref() {
                piece.push('.');
                piece.push_str(&more);
                if more.ends_with(']') {
                    break;
                }
            }
            if !piece.contains('=') {
                piece = piece.trim_matches(['[', ']']).to_owned();
                parts.push(Part::Field(piece));
                continue;
            }
        }
        parts.push(part(at, piece)?);
    }
    Ok(parts)
}

fn part(at: &At, piece: String) -> Result<Part, Refusal> {
    if piece == "*" {
        return Ok(Part::Every);
    }
    if !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_digit()) {
        return match piece.parse() {
            Ok(index) => Ok(Part::Index(index)),
            Err(_) => Err(at.broken("bad-path", "an index in a path of a replacement is too large")),
        };
    }
    let inner = piece.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner.map(|inner| inner.split_once('=')) {
        None if piece.is_empty() => Err(at.unmodelled("bad-path", "a part of a path of a replacement is empty")),
        None => Ok(Part::Field(piece)),
        Some(Some((field, value))) => {
            let pattern = select::compile(at, value)?;
            Ok(Part::Item { field: field.to_owned(), pattern, value: value.to_owned() })
        }
        Some(None) => Err(at.unmodelled("bad-path", "a part of a path of a replacement is not modelled")),
    }
}

/// The one value that a path of a source leads to.
pub(super) fn look_up<'v>(at: &At, value: &'v Value, path: &[Part]) -> Result<Option<&'v Value>, Refusal> {
    let mut here = value;
    for part in path {
        let next = match (part, &here.data) {
            (_, Data::Hidden) => {
                return Err(
                    at.unmodelled("hidden-value", "the source of a replacement leads into a value that is not kept")
                );
            }
            (Part::Field(name), Data::Map(map)) => map.get(name.as_str()),
            (Part::Index(index), Data::Seq(items)) => items.get(*index),
            // A number may be a key as well.
            (Part::Index(index), Data::Map(map)) => map.get(index.to_string().as_str()),
            (Part::Item { field, value, .. }, Data::Seq(items)) => {
                let fits = |item: &&Value| match field.as_str() {
                    "" => item.scalar() == Some(value),
                    field => item.get(field).and_then(Value::scalar) == Some(value),
                };
                items.iter().find(fits)
            }
            (Part::Every, _) => return Err(at.unmodelled("bad-path", "a source of a replacement has a * in its path")),
            (_, Data::Str(_) | Data::Plain(..)) => {
                return Err(at.unmodelled("path-into-text", "a path of a replacement leads into a text"));
            }
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

/// Applies a function to every value that a path leads to, and tells how many there were.
///
/// With a value to create, what is missing on the way is made.
pub(super) fn visit(
    at: &At,
    value: &mut Value,
    path: &[Part],
    create: Option<&Value>,
    set: &mut dyn FnMut(&mut Value) -> Result<(), Refusal>,
) -> Result<usize, Refusal> {
    let [part, rest @ ..] = path else {
        set(value)?;
        return Ok(1);
    };
    match &value.data {
        Data::Hidden => {
            return Err(at.unmodelled("hidden-value", "a path of a replacement leads into a value that is not kept"));
        }
        Data::Str(_) | Data::Plain(..) => {
            return Err(at.unmodelled("path-into-text", "a path of a replacement leads into a text"));
        }
        _ => {}
    }
    match part {
        Part::Field(name) => field(at, value, name, rest, create, set),
        Part::Index(index) => {
            let Some(items) = value.as_seq_mut() else {
                return Err(at.unmodelled("bad-path", "a path of a replacement has an index where no list stands"));
            };
            if *index == items.len() && create.is_some() {
                return Err(at.unmodelled("create-item", "a replacement that creates an item by index is not modelled"));
            }
            match items.get_mut(*index) {
                Some(item) => visit(at, item, rest, create, set),
                None => Err(at.broken("no-such-field", format!("a target of a replacement has no item {index}"))),
            }
        }
        Part::Every => {
            let Some(items) = value.as_seq_mut() else {
                return Err(at.unmodelled("bad-path", "a path of a replacement has a * where no list stands"));
            };
            items.iter_mut().try_fold(0, |count, item| Ok(count + visit(at, item, rest, create, set)?))
        }
        Part::Item { field, pattern, value: wanted } => {
            if value.is_null() && create.is_some() {
                value.data = Data::Seq(Default::default());
            }
            let Some(items) = value.as_seq_mut() else {
                return Err(at.unmodelled("bad-path", "a path of a replacement has [name=value] where no list stands"));
            };
            let fits = |item: &Value| match field.as_str() {
                "" => item.scalar().is_some_and(|text| pattern.is_match(text)),
                field => item.get(field).and_then(Value::scalar).is_some_and(|text| pattern.is_match(text)),
            };
            if create.is_some() && !items.iter().any(fits) {
                items.push(made_item(field, wanted));
            }
            // Of items that are scalars, the rest of the path is passed over.
            let rest = if field.is_empty() { &[] } else { rest };
            let mut chosen = items.iter_mut().filter(|item| fits(item));
            chosen.try_fold(0, |count, item| Ok(count + visit(at, item, rest, create, set)?))
        }
    }
}

fn made_item(field: &str, value: &str) -> Value {
    if field.is_empty() {
        return Value::str(value);
    }
    let mut item = Map::new();
    item.insert(field.into(), Value::str(value));
    Value::map(item)
}

fn field(
    at: &At,
    value: &mut Value,
    name: &str,
    rest: &[Part],
    create: Option<&Value>,
    set: &mut dyn FnMut(&mut Value) -> Result<(), Refusal>,
) -> Result<usize, Refusal> {
    if value.is_null() && create.is_some() {
        value.data = Data::Map(Default::default());
    }
    let Some(map) = value.as_map_mut() else {
        return if value.is_null() {
            Ok(0)
        } else {
            Err(at.unmodelled("bad-path", "a path of a replacement names a field where a list stands"))
        };
    };
    if let (Some(_), None) = (create, map.get(name)) {
        let made = match rest.first() {
            None | Some(Part::Field(_)) if rest.is_empty() => Value::null(),
            Some(Part::Field(_)) => Value::map(Map::new()),
            _ => Value::seq(Vec::new()),
        };
        map.insert(name.into(), made);
    }
    match map.get_mut(name) {
        Some(found) => visit(at, found, rest, create, set),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Vec<String> {
        let parts = parse(&At::new("k", 1), text).unwrap();
        parts
            .into_iter()
            .map(|part| match part {
                Part::Field(name) => name,
                Part::Index(index) => format!("#{index}"),
                Part::Item { field, value, .. } => format!("{field}~{value}"),
                Part::Every => "*".into(),
            })
            .collect()
    }

    #[test]
    fn paths_are_split_as_kustomize_splits_them() {
        assert_eq!(shape("metadata.name"), ["metadata", "name"]);
        assert_eq!(shape("a.[name=com.foo].0.*"), ["a", "name~com.foo", "#0", "*"]);
        assert_eq!(shape("metadata.annotations.[a.b/c]"), ["metadata", "annotations", "a.b/c"]);
        assert_eq!(shape("metadata.annotations.a\\.b"), ["metadata", "annotations", "a.b"]);
    }
}
