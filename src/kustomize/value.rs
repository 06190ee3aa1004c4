//! Untyped values: shared until they are changed, and without the values of Secrets.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::yaml::PlainType;

/// The entries of a mapping. Their order has no meaning to kustomize.
pub(super) type Map = BTreeMap<Rc<str>, Value>;

/// A value and the line that it is written at.
#[derive(Clone)]
pub(super) struct Value {
    pub(super) line: u32,
    pub(super) data: Data,
}

/// What a value is. Clones share; [`Rc::make_mut`] copies along the path of a change only.
#[derive(Clone)]
pub(super) enum Data {
    Null,
    /// A string to every reader of YAML.
    Str(Rc<str>),
    /// Any other plain scalar, as it is written.
    Plain(Rc<str>, PlainType),
    /// Something that is there and is not kept: the value of a Secret, or a text too long to name anything.
    Hidden,
    Map(Rc<Map>),
    Seq(Rc<Vec<Value>>),
}

impl Value {
    pub(super) fn null() -> Self {
        Self { line: 0, data: Data::Null }
    }

    pub(super) fn hidden() -> Self {
        Self { line: 0, data: Data::Hidden }
    }

    pub(super) fn str(text: &str) -> Self {
        Self { line: 0, data: Data::Str(text.into()) }
    }

    pub(super) fn map(map: Map) -> Self {
        Self { line: 0, data: Data::Map(Rc::new(map)) }
    }

    pub(super) fn seq(items: Vec<Value>) -> Self {
        Self { line: 0, data: Data::Seq(Rc::new(items)) }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    pub(super) fn is_hidden(&self) -> bool {
        matches!(self.data, Data::Hidden)
    }

    /// The text of a scalar as it is written; a null has none.
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.data {
            Data::Str(text) | Data::Plain(text, _) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_map(&self) -> Option<&Map> {
        if let Data::Map(map) = &self.data { Some(map) } else { None }
    }

    pub(super) fn as_seq(&self) -> Option<&[Value]> {
        if let Data::Seq(items) = &self.data { Some(items) } else { None }
    }

    pub(super) fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Data::Map(map) = &mut self.data { Some(Rc::make_mut(map)) } else { None }
    }

    pub(super) fn as_seq_mut(&mut self) -> Option<&mut Vec<Value>> {
        if let Data::Seq(items) = &mut self.data { Some(Rc::make_mut(items)) } else { None }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// The value at the end of a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Sets a key of a mapping; what is no mapping becomes one.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        self.make_map().insert(key.into(), value);
    }

    /// The mapping at a key, made if it is not there.
    pub(super) fn child(&mut self, key: &str) -> &mut Value {
        self.make_map().entry(key.into()).or_insert_with(|| Value::map(Map::new()))
    }

    fn make_map(&mut self) -> &mut Map {
        if !matches!(self.data, Data::Map(_)) {
            self.data = Data::Map(Rc::default());
        }
        match &mut self.data {
            Data::Map(map) => Rc::make_mut(map),
            _ => unreachable!("it was made a mapping above"),
        }
    }

    /// Puts markers in place of every value of a mapping, but for the directive of a patch.
    pub(super) fn hide_values(&mut self) {
        let hides = |key: &str, value: &Value| {
            let directive = key == "$patch" && matches!(value.scalar(), Some("merge" | "replace" | "delete"));
            !directive && !matches!(value.data, Data::Hidden | Data::Null)
        };
        match &mut self.data {
            Data::Map(map) => {
                if map.iter().any(|(key, value)| hides(key, value)) {
                    for (_, value) in Rc::make_mut(map).iter_mut().filter(|(key, value)| hides(key, value)) {
                        value.data = Data::Hidden;
                    }
                }
            }
            Data::Null | Data::Hidden => {}
            _ => self.data = Data::Hidden,
        }
    }

    /// What kind of node it is, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Map(_) => "a mapping",
            Data::Seq(_) => "a list",
            Data::Hidden => "a value that is not kept",
            Data::Str(_) | Data::Plain(..) => "a scalar",
        }
    }
}

/// Equal contents; the lines do not matter.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (Data::Null, Data::Null) => true,
            (Data::Str(a), Data::Str(b)) => a == b,
            (Data::Plain(a, _), Data::Plain(b, _)) => a == b,
            (Data::Map(a), Data::Map(b)) => a == b,
            (Data::Seq(a), Data::Seq(b)) => a == b,
            _ => false,
        }
    }
}
