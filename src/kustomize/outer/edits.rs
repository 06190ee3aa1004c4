//! What Flux and Argo CD alike write into a kustomization.

use super::World;
use super::instance::Instance;
use crate::kustomize::fields::Entry;
use crate::kustomize::files::join;
use crate::kustomize::refusal::Refusal;
use crate::kustomize::value::{Data, Value};

/// Whether there is nothing at the path of a component.
pub(super) fn is_missing(world: &World<'_, '_>, folder: &str, component: &Entry) -> bool {
    let path = join(folder, &component.text);
    !path.is_some_and(|path| world.session.is_folder(&path) || world.session.has_file(&path))
}

/// The patches of a layer, as entries of `patches`.
pub(super) fn patches(instance: &Instance, path: &[&str], known: &[&str]) -> Result<Vec<Value>, Refusal> {
    let items = instance.items(path)?;
    for item in items {
        instance.known_of(item, &path.join("."), known)?;
        no_placeholders(instance, item, &path.join("."))?;
    }
    Ok(items.to_vec())
}

/// Refuses a `${…}` anywhere in a patch: it may stand for a name, or for what is selected. Nothing of Flux fills in a `{{…}}`,
/// which rules of alerts are full of.
fn no_placeholders(instance: &Instance, value: &Value, what: &str) -> Result<(), Refusal> {
    match &value.data {
        Data::Str(text) => instance.no_substitution(&instance.place(value), text, what),
        Data::Map(map) => map.values().try_for_each(|value| no_placeholders(instance, value, what)),
        Data::Seq(items) => items.iter().try_for_each(|value| no_placeholders(instance, value, what)),
        _ => Ok(()),
    }
}
