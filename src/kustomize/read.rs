//! From the bytes of a file to values: documents, lists taken apart, Secrets emptied.

use std::collections::VecDeque;
use std::rc::Rc;

use super::refusal::{At, Refusal};
use super::value::{Data, Map, Value};
use crate::yaml::{Kind, Node, PlainType, Stream, YamlError};

/// The deepest nesting, aliases followed.
const MAX_DEPTH: usize = 100;

/// The most values of one file, aliases followed.
const MAX_VALUES: usize = 500_000;

/// The longest text of an object that is kept. Nothing longer names anything.
const MAX_KEPT: usize = 2_048;

/// One object of a file.
#[derive(Clone)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) line: usize,
    /// The number of its document in the file.
    pub(super) document: usize,
    /// The indexes of the list items that lead to it.
    pub(super) items: Vec<usize>,
}

/// Reads the one document of a kustomization or another file of kustomize's own.
pub(super) fn read_one(at: &At, bytes: &[u8]) -> Result<Value, Refusal> {
    let stream = Stream::from_bytes(bytes.to_vec()).map_err(|error| own_file(at, &error))?;
    let mut roots = stream.documents().filter_map(|document| document.root());
    let Some(root) = roots.next() else { return Ok(Value::null()) };
    if let Some(second) = roots.next() {
        return Err(at
            .line(second.location().line)
            .unmodelled("several-documents", "kustomize reads the first document of this file and drops this one")
            .hinted("remove what is not read"));
    }
    convert(at, root)
}

/// Reads the objects of a file or of an inline text: every document, the items of lists.
pub(super) fn read_objects(at: &At, bytes: &[u8], inline: bool) -> Result<Vec<Document>, Refusal> {
    read_with(at, bytes, inline, false)
}

/// Reads the objects of a file that is applied without kustomize, less those whose names the API server makes up: no Secret
/// that is named anywhere is among them.
pub(super) fn read_applied(at: &At, bytes: &[u8]) -> Result<Vec<Document>, Refusal> {
    read_with(at, bytes, false, true)
}

fn read_with(at: &At, bytes: &[u8], inline: bool, applied: bool) -> Result<Vec<Document>, Refusal> {
    let stream =
        Stream::from_bytes(bytes.to_vec()).map_err(|error| faulty(&placed(at, error.location(), inline), &error))?;
    let mut queue = VecDeque::new();
    for document in stream.documents() {
        let Some(root) = document.root() else { continue };
        let here = if inline { at.clone() } else { at.line(root.location().line) };
        if document.index() > 0 && !document.has_marker() {
            return Err(here.unmodelled("no-document-marker", "a document starts without ---: kustomize may drop it"));
        }
        let value = Converter { at: &here, left: MAX_VALUES, object: true }.value(root, 0)?;
        if value.is_null() || value.as_map().is_some_and(Map::is_empty) {
            continue;
        }
        queue.push_back(Document { value, line: here.line, document: document.index(), items: Vec::new() });
    }
    take_lists_apart(at, queue, inline, applied)
}

/// Lists stand aside until the end, as in kustomize, and then give their items.
fn take_lists_apart(
    at: &At,
    mut queue: VecDeque<Document>,
    inline: bool,
    applied: bool,
) -> Result<Vec<Document>, Refusal> {
    let mut objects = Vec::new();
    while let Some(mut document) = queue.pop_front() {
        if applied && is_named_later(&document.value) {
            continue;
        }
        let here = at.line(document.line);
        validate(&here, &document.value)?;
        let kind = document.value.get("kind").and_then(Value::scalar).unwrap_or_default();
        let items = document.value.get("items").filter(|_| kind.ends_with("List"));
        let Some(items) = items else {
            empty(&mut document.value);
            objects.push(document);
            continue;
        };
        match &items.data {
            Data::Null => {}
            Data::Seq(items) => {
                for (index, item) in items.iter().enumerate() {
                    if item.is_null() || item.as_map().is_some_and(Map::is_empty) {
                        continue;
                    }
                    let mut path = document.items.clone();
                    path.push(index);
                    let line = if inline { document.line } else { item.line as usize };
                    let value = item.clone();
                    queue.push_back(Document { value, line, document: document.document, items: path });
                }
            }
            _ => return Err(here.broken("bad-list", format!("items of a {kind} is {}, not a list", items.what()))),
        }
    }
    Ok(objects)
}

/// Whether the API server makes up the name.
fn is_named_later(value: &Value) -> bool {
    let text = |field: &str| value.at(&["metadata", field]).and_then(Value::scalar).unwrap_or_default();
    text("name").is_empty() && !text("generateName").is_empty()
}

/// What kustomize asks of every object.
fn validate(at: &At, value: &Value) -> Result<(), Refusal> {
    if value.as_map().is_none() {
        return Err(at.broken("not-an-object", format!("this document is {}, not an object", value.what())));
    }
    identity(at, value, &["kind"], "kind")?;
    identity(at, value, &["apiVersion"], "apiVersion")?;
    let kind = value.get("kind").and_then(Value::scalar).unwrap_or_default();
    if kind.is_empty() {
        return Err(at.broken("missing-kind", "this object has no kind"));
    }
    if value.get("metadata").is_some_and(|metadata| !metadata.is_null() && metadata.as_map().is_none()) {
        return Err(at.broken("bad-metadata", "metadata of this object is not a mapping"));
    }
    identity(at, value, &["metadata", "namespace"], "metadata.namespace")?;
    // The name of what configures a transformer means nothing.
    let names_a_transformer = own(value) && kind.ends_with("Transformer");
    if !names_a_transformer {
        identity(at, value, &["metadata", "name"], "metadata.name")?;
    }
    let name = value.at(&["metadata", "name"]).and_then(Value::scalar).unwrap_or_default();
    if name.is_empty() && !kind.ends_with("List") {
        return Err(at.broken("missing-name", format!("this {kind} has no metadata.name")));
    }
    Ok(())
}

/// Refuses a part of an identity that is not one and the same text to all readers.
pub(super) fn identity(at: &At, value: &Value, path: &[&str], what: &str) -> Result<(), Refusal> {
    match value.at(path).map(|found| &found.data) {
        None | Some(Data::Null | Data::Str(_)) => Ok(()),
        Some(Data::Hidden) => {
            Err(at.unmodelled("hidden-identity", format!("{what} of this object comes from a value that is not kept")))
        }
        Some(Data::Plain(..)) => Err(at
            .unmodelled("not-a-string", format!("{what} is not a string to every reader of YAML"))
            .hinted(format!("put {what} into quotes"))),
        Some(Data::Map(_) | Data::Seq(_)) => Err(at.broken("bad-identity", format!("{what} is not a text"))),
    }
}

/// Takes the values out of a Secret, and out of everything what is too long to name anything.
pub(super) fn empty(value: &mut Value) {
    // Of Flux and Argo CD: patches are texts of any length.
    if !own(value) && !super::outer::counts_as(value) {
        shorten(value);
    }
    hide_secret(value);
}

/// Whether an object is the configuration of a built-in transformer or generator.
fn own(value: &Value) -> bool {
    value.get("apiVersion").and_then(Value::scalar) == Some("builtin")
}

/// Takes the values out of a Secret. What may become one is treated as one.
pub(super) fn hide_secret(value: &mut Value) {
    let kind = value.get("kind").and_then(Value::scalar);
    if kind.is_none_or(|kind| kind == "Secret") {
        for field in ["data", "stringData"] {
            if value.get(field).is_some_and(|values| !values.is_null())
                && let Some(values) = value.as_map_mut().and_then(|map| map.get_mut(field))
            {
                values.hide_values();
            }
        }
    }
    const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    if value.at(&["metadata", "annotations", APPLIED]).is_some() {
        value.child("metadata").child("annotations").set(APPLIED, Value::hidden());
    }
}

fn shorten(value: &mut Value) {
    match &mut value.data {
        Data::Str(text) | Data::Plain(text, _) if text.len() > MAX_KEPT => value.data = Data::Hidden,
        Data::Map(map) => Rc::make_mut(map).values_mut().for_each(shorten),
        Data::Seq(items) => Rc::make_mut(items).iter_mut().for_each(shorten),
        _ => {}
    }
}

fn placed(at: &At, location: Option<crate::problem::Location>, inline: bool) -> At {
    match location {
        Some(location) if !inline => at.line(location.line),
        _ => at.clone(),
    }
}

fn own_file(at: &At, error: &YamlError) -> Refusal {
    let here = placed(at, error.location(), false);
    match error {
        // The last one of two equal keys wins there, which nobody who reads the file can know.
        YamlError::DuplicateKey { .. } => here.unmodelled("duplicate-key", error.to_string()),
        _ => faulty(&here, error),
    }
}

/// What is not YAML is not built; what kustomize's reader takes and ours does not may be.
pub(super) fn faulty(at: &At, error: &YamlError) -> Refusal {
    match error {
        // kustomize reads the first of two documents without a marker between them, and drops the other.
        YamlError::Syntax { reason, .. } if reason.contains("document start") => {
            at.unmodelled(error.code(), error.to_string())
        }
        YamlError::Syntax { .. }
        | YamlError::DuplicateKey { .. }
        | YamlError::UnknownAnchor { .. }
        | YamlError::NotUtf8 { .. } => at.broken(error.code(), error.to_string()),
        _ => at.unmodelled(error.code(), error.to_string()),
    }
}

/// Makes a value of a node: aliases and merge keys are written out.
pub(super) fn convert(at: &At, node: Node<'_>) -> Result<Value, Refusal> {
    Converter { at, left: MAX_VALUES, object: false }.value(node, 0)
}

struct Converter<'a> {
    at: &'a At,
    left: usize,
    /// Whether it is an object of Kubernetes, whose keys have to be texts.
    object: bool,
}

impl Converter<'_> {
    // The recursion is bounded by MAX_DEPTH.
    fn value(&mut self, node: Node<'_>, depth: usize) -> Result<Value, Refusal> {
        let location = node.location();
        let here = || self.at.line(location.line);
        if depth > MAX_DEPTH {
            return Err(here().unmodelled("nested-too-deep", format!("this is nested more than {MAX_DEPTH} deep")));
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Err(here().unmodelled("too-many-nodes", format!("the file has more than {MAX_VALUES} values")));
        };
        self.left = left;
        let line = u32::try_from(location.line).unwrap_or(u32::MAX);
        let data = match node.kind() {
            Kind::Alias => match node.target() {
                Some(target) => return self.value(target, depth + 1),
                None => Data::Hidden,
            },
            Kind::Scalar => scalar(node),
            Kind::Sequence => {
                Data::Seq(Rc::new(node.items().map(|item| self.value(item, depth + 1)).collect::<Result<_, _>>()?))
            }
            Kind::Mapping => Data::Map(Rc::new(self.mapping(node, depth)?)),
        };
        Ok(Value { line, data })
    }

    fn mapping(&mut self, node: Node<'_>, depth: usize) -> Result<Map, Refusal> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        for (key, value) in node.entries() {
            let key = key.target().unwrap_or(key);
            let Some(name) = key.str() else {
                let here = self.at.line(key.location().line);
                return Err(here.unmodelled("complex-key", "a key is not a text"));
            };
            if self.object && key.tag().is_none() {
                let here = || self.at.line(key.location().line);
                match key.plain_type() {
                    PlainType::Int | PlainType::Float | PlainType::Bool | PlainType::Null => {
                        return Err(here()
                            .broken("key-not-a-string", "a key is not a string")
                            .hinted("put it into quotes"));
                    }
                    PlainType::Timestamp => {
                        return Err(here().unmodelled("key-not-a-string", "a key is a date to some readers"));
                    }
                    PlainType::Ambiguous if name.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c)) => {
                        return Err(here().unmodelled("key-not-a-string", "a key is a number to some readers"));
                    }
                    _ => {}
                }
            }
            if name == "<<" && key.plain_type() == PlainType::Ambiguous {
                merged.push(self.value(value, depth + 1)?);
            } else {
                map.insert(name.into(), self.value(value, depth + 1)?);
            }
        }
        for part in merged {
            let parts = if let Data::Seq(parts) = &part.data { parts.to_vec() } else { vec![part] };
            for part in parts {
                let Data::Map(part) = &part.data else {
                    let here = self.at.line(node.location().line);
                    return Err(here.broken("bad-merge-key", "a merge key (<<) merges what is not a mapping"));
                };
                for (key, value) in part.iter() {
                    map.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        Ok(map)
    }
}

fn scalar(node: Node<'_>) -> Data {
    let text = node.str().unwrap_or_default();
    if text.contains('\0') {
        return Data::Hidden;
    }
    if let Some(text) = node.as_string() {
        return Data::Str(text.into());
    }
    match (node.tag(), node.plain_type()) {
        (None, PlainType::Null) => Data::Null,
        (None, plain) => Data::Plain(text.into(), plain),
        (Some(_), _) => Data::Hidden,
    }
}
