//! What sets namespaces, prefixes and suffixes.

use std::rc::Rc;

use super::accumulate::Acc;
use super::config::FieldSpec;
use super::fieldspec;
use super::ident::{self, Gvk};
use super::model::Step;
use super::refusal::{At, Refusal};
use super::resource::{Res, distinct};
use super::value::{Data, Value};

/// The longest name that the API server takes, in bytes.
const MAX_NAME: usize = 253;

/// The `-` and the ten characters of a hash.
const HASH_LENGTH: usize = 11;

/// Which subjects of role bindings get the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subjects {
    /// Those that are named `default`.
    Default,
    /// Every service account.
    All,
    None,
}

/// A namespace to set.
pub(super) struct Namespace<'a> {
    namespace: &'a str,
    specs: &'a [FieldSpec],
    pub(super) unset_only: bool,
    pub(super) subjects: Subjects,
}

impl<'a> Namespace<'a> {
    pub(super) fn new(namespace: &'a str, specs: &'a [FieldSpec]) -> Self {
        Self { namespace, specs, unset_only: false, subjects: Subjects::Default }
    }

    pub(super) fn apply(&self, at: &At, acc: &mut Acc, step: &Rc<Step>) -> Result<(), Refusal> {
        for resource in &mut acc.resources {
            resource.remember();
            let before = (resource.namespace().to_owned(), resource.name().to_owned());
            self.set(at, resource)?;
            if before.0 != resource.namespace() || before.1 != resource.name() {
                resource.step(step);
            }
        }
        distinct(at, &acc.resources)
    }

    fn set(&self, at: &At, resource: &mut Res) -> Result<(), Refusal> {
        if !resource.is_cluster_scoped() && (!self.unset_only || resource.namespace().is_empty()) {
            resource.set_namespace(self.namespace);
        }
        let is_binding = matches!(resource.kind(), "RoleBinding" | "ClusterRoleBinding");
        if is_binding {
            self.set_subjects(resource);
        }
        let core = resource.api_version() == "v1";
        for spec in self.specs {
            let subjects = matches!(&*spec.gvk.kind, "RoleBinding" | "ClusterRoleBinding");
            let passed_over = spec.path == "metadata/namespace"
                || !core && spec.path == "metadata/name"
                || is_binding && subjects && spec.path == "subjects/namespace";
            if !passed_over {
                let (namespace, unset_only) = (self.namespace, self.unset_only);
                fieldspec::apply(at, spec, resource, spec.create, &mut |value| {
                    set_text(at, value, namespace, unset_only)
                })?;
            }
        }
        resource.check(at)
    }

    fn set_subjects(&self, resource: &mut Res) {
        if self.subjects == Subjects::None || resource.value.get("subjects").is_none() {
            return;
        }
        let items = resource.value.as_map_mut().and_then(|map| map.get_mut("subjects")).and_then(Value::as_seq_mut);
        for subject in items.into_iter().flatten() {
            let is = |key: &str, wanted: &str| subject.get(key).and_then(Value::scalar) == Some(wanted);
            let chosen = match self.subjects {
                Subjects::Default => is("name", ident::DEFAULT),
                _ => is("kind", "ServiceAccount"),
            };
            let unset = subject.get("namespace").and_then(Value::scalar).unwrap_or_default().is_empty();
            if chosen && (unset || !self.unset_only) {
                subject.set("namespace", Value::str(self.namespace));
            }
        }
    }
}

fn set_text(at: &At, value: &mut Value, text: &str, unset_only: bool) -> Result<(), Refusal> {
    match &value.data {
        Data::Map(_) | Data::Seq(_) => Err(at.broken("bad-path", "a field for the namespace is not a scalar")),
        Data::Str(old) | Data::Plain(old, _) if unset_only && !old.is_empty() => Ok(()),
        _ => {
            value.data = Data::Str(text.into());
            Ok(())
        }
    }
}

/// What is put before or after a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affix {
    Prefix,
    Suffix,
}

impl Affix {
    /// The field of a kustomization.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Prefix => "namePrefix",
            Self::Suffix => "nameSuffix",
        }
    }

    fn put(self, name: &str, text: &str) -> String {
        match self {
            Self::Prefix => format!("{text}{name}"),
            Self::Suffix => format!("{name}{text}"),
        }
    }
}

/// Puts a prefix or a suffix to every name, but for the kinds that kustomize leaves alone.
pub(super) fn affix(
    at: &At,
    acc: &mut Acc,
    affix: Affix,
    text: &str,
    specs: &[FieldSpec],
    step: &Rc<Step>,
) -> Result<(), Refusal> {
    let left_alone = [
        Gvk::new("", "", "CustomResourceDefinition"),
        Gvk::new("apiregistration.k8s.io", "", "APIService"),
        Gvk::new("", "", "Namespace"),
    ];
    for resource in &mut acc.resources {
        if left_alone.iter().any(|gvk| resource.was_selected(gvk)) {
            continue;
        }
        for spec in specs {
            if !resource.was_selected(&spec.gvk) {
                continue;
            }
            if spec.path == "metadata/name" && !text.is_empty() {
                let list = if affix == Affix::Prefix { &mut resource.prefixes } else { &mut resource.suffixes };
                list.push(text.into());
                resource.remember();
                resource.step(step);
            }
            fieldspec::apply(at, spec, resource, spec.create, &mut |value| match value.scalar() {
                Some(old) => {
                    value.data = Data::Str(affix.put(old, text).into());
                    Ok(())
                }
                None if value.is_null() => {
                    value.data = Data::Str(text.into());
                    Ok(())
                }
                None => {
                    Err(at.broken("bad-path", format!("{} is told to change a field that is no scalar", affix.name())))
                }
            })?;
        }
        resource.check(at)?;
        too_long(at, resource)?;
    }
    Ok(())
}

/// Refuses a name that no API server takes. kustomize builds it all the same.
pub(super) fn too_long(at: &At, resource: &Res) -> Result<(), Refusal> {
    let name = resource.name();
    let length = name.len() + if resource.needs_hash { HASH_LENGTH } else { 0 };
    if length <= MAX_NAME {
        return Ok(());
    }
    let start: String = name.chars().take(20).collect();
    let what = format!(
        "the name of {} {start}… becomes {length} bytes long; the API server takes {MAX_NAME}",
        resource.kind()
    );
    Err(at.unmodelled("name-too-long", what).hinted("shorten the prefix, the suffix or the name"))
}
