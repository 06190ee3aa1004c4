//! One object on its way through a build, with what kustomize remembers of it.

use std::collections::HashSet;
use std::rc::Rc;

use super::ident::{self, Gvk, Id};
use super::model::{Source, Step};
use super::read;
use super::refusal::{At, Refusal};
use super::value::{Data, Value};

/// Marks a name that gets a hash of the content. No YAML that is read here holds this character.
pub(super) const HASH: char = '\0';

/// An identity that an object had.
#[derive(Clone, Debug)]
pub(super) struct Previous {
    namespace: Rc<str>,
    name: Rc<str>,
    kind: Rc<str>,
}

/// Where an object is from.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) source: Source,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// `spec.type`, which a sealed document has.
    pub(super) secret_type: Option<String>,
}

/// What a generated object does to one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behavior {
    Create,
    Merge,
    Replace,
}

/// One object.
#[derive(Clone)]
pub(super) struct Res {
    pub(super) value: Value,
    /// The oldest first.
    pub(super) previous: Vec<Previous>,
    pub(super) prefixes: Vec<Rc<str>>,
    pub(super) suffixes: Vec<Rc<str>>,
    pub(super) needs_hash: bool,
    pub(super) origin: Rc<Origin>,
    pub(super) chain: Vec<Rc<Step>>,
}

impl Res {
    pub(super) fn new(value: Value, source: Source) -> Self {
        let text = |path: &[&str]| value.at(path).and_then(Value::scalar).unwrap_or_default().to_owned();
        let namespace = Some(text(&["metadata", "namespace"])).filter(|namespace| !namespace.is_empty());
        let secret_type = Some(text(&["spec", "type"])).filter(|secret_type| !secret_type.is_empty());
        let origin = Rc::new(Origin { source, namespace, name: text(&["metadata", "name"]), secret_type });
        Self {
            value,
            previous: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            needs_hash: false,
            origin,
            chain: Vec::new(),
        }
    }

    fn text(&self, path: &[&str]) -> &str {
        self.value.at(path).and_then(Value::scalar).unwrap_or_default()
    }

    pub(super) fn api_version(&self) -> &str {
        self.text(&["apiVersion"])
    }

    pub(super) fn kind(&self) -> &str {
        self.text(&["kind"])
    }

    pub(super) fn name(&self) -> &str {
        self.text(&["metadata", "name"])
    }

    /// As it is written: empty if it is not.
    pub(super) fn namespace(&self) -> &str {
        self.text(&["metadata", "namespace"])
    }

    pub(super) fn set_name(&mut self, name: &str) {
        self.value.child("metadata").set("name", Value::str(name));
    }

    pub(super) fn set_kind(&mut self, kind: &str) {
        self.value.set("kind", Value::str(kind));
    }

    /// An empty one takes the field away.
    pub(super) fn set_namespace(&mut self, namespace: &str) {
        if !namespace.is_empty() {
            self.value.child("metadata").set("namespace", Value::str(namespace));
        } else if self.value.at(&["metadata", "namespace"]).is_some()
            && let Some(metadata) = self.value.child("metadata").as_map_mut()
        {
            metadata.remove("namespace");
        }
    }

    pub(super) fn effective_namespace(&self) -> &str {
        ident::effective(self.api_version(), self.kind(), self.namespace())
    }

    pub(super) fn is_cluster_scoped(&self) -> bool {
        ident::is_cluster_scoped(self.api_version(), self.kind())
    }

    /// What it is now.
    pub(super) fn id(&self) -> Id<'_> {
        Id {
            api_version: self.api_version(),
            kind: self.kind(),
            namespace: self.effective_namespace(),
            name: self.name(),
        }
    }

    /// What it was, the oldest first.
    pub(super) fn previous_ids(&self) -> impl Iterator<Item = Id<'_>> {
        let api_version = self.api_version();
        self.previous.iter().map(move |previous| Id {
            api_version,
            kind: &previous.kind,
            namespace: &previous.namespace,
            name: &previous.name,
        })
    }

    /// What it was first.
    pub(super) fn original_id(&self) -> Id<'_> {
        self.previous_ids().next().unwrap_or_else(|| self.id())
    }

    /// Whether it is, or was, this.
    pub(super) fn is_or_was(&self, id: &Id<'_>) -> bool {
        self.name() == id.name && self.id() == *id || self.previous_ids().any(|previous| previous == *id)
    }

    /// Remembers what it is, before that changes.
    pub(super) fn remember(&mut self) {
        let id = self.id();
        let previous = Previous { namespace: id.namespace.into(), name: id.name.into(), kind: id.kind.into() };
        self.previous.push(previous);
    }

    /// Whether a selector of group, version and kind selects what it is now.
    pub(super) fn is_selected(&self, gvk: &Gvk) -> bool {
        let (group, version) = ident::group_version(self.api_version());
        gvk.selects(group, version, self.kind())
    }

    /// Whether a selector of group, version and kind selects what it was first.
    pub(super) fn was_selected(&self, gvk: &Gvk) -> bool {
        let (group, version) = ident::group_version(self.api_version());
        gvk.selects(group, version, self.original_id().kind)
    }

    /// A label or an annotation.
    pub(super) fn metadata(&self, field: &str) -> impl Iterator<Item = (&str, &Value)> {
        let map = self.value.at(&["metadata", field]).and_then(Value::as_map);
        map.into_iter().flatten().map(|(key, value)| (&**key, value))
    }

    pub(super) fn step(&mut self, step: &Rc<Step>) {
        self.chain.push(step.clone());
    }

    /// Refuses an identity that cannot be known, after something was written into the object.
    pub(super) fn check(&self, at: &At) -> Result<(), Refusal> {
        for (path, what) in [
            (&["apiVersion"] as &[&str], "apiVersion"),
            (&["kind"], "kind"),
            (&["metadata", "name"], "metadata.name"),
            (&["metadata", "namespace"], "metadata.namespace"),
        ] {
            read::identity(at, &self.value, path, what)?;
        }
        if matches!(self.value.at(&["metadata"]).map(|metadata| &metadata.data), Some(Data::Hidden | Data::Seq(_))) {
            return Err(at.unmodelled("bad-metadata", "metadata of an object is not a mapping any more"));
        }
        Ok(())
    }
}

/// Refuses two objects with one identity.
pub(super) fn distinct(at: &At, resources: &[Res]) -> Result<(), Refusal> {
    let mut seen = HashSet::with_capacity(resources.len());
    match resources.iter().find(|resource| !seen.insert(resource.id())) {
        None => Ok(()),
        Some(twice) => Err(at.broken("id-collision", collision(resources, twice))),
    }
}

fn collision(resources: &[Res], twice: &Res) -> String {
    let places: Vec<String> = resources
        .iter()
        .filter(|other| other.id() == twice.id())
        .map(|other| format!("{}:{}", other.origin.source.file, other.origin.source.line))
        .collect();
    format!("more than one object is {}: {}", twice.id(), places.join(", "))
}
