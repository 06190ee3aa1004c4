//! A Flux `Kustomization`: what it deploys, and what it writes into the kustomization there.
//!
//! Sources: `fluxcd/kustomize-controller` (`api/v1/kustomization_types.go`, `internal/controller`) and `fluxcd/pkg`
//! (`kustomize/kustomize_generator.go`). The controller joins `spec.path` to the root of the source so that it cannot leave it,
//! reads the kustomization of that folder, or generates one, and sets in it: `namespace` from `targetNamespace`, `namePrefix`
//! and `nameSuffix`, each only if given; it appends `patches` and `components` and replaces images. It builds with
//! `LoadRestrictionsNone` inside of the root and without plugins. After the build come substitution and `commonMetadata`,
//! of which the latter changes no identity. An artifact holds regular files only: symbolic links are not in it.

use std::sync::Arc;

use super::edits::{is_missing, patches};
use super::instance::{BY_HAND, Instance, not};
use super::place::{Where, clamped, lies_in};
use super::repository::{Verdict, Whose};
use super::{Content, Deployment, Plan, World};
use crate::kustomize::accumulate::Edits;
use crate::kustomize::kustomization::Kustomization;
use crate::kustomize::model::LoadRestriction;
use crate::kustomize::refusal::{At, Refusal};
use crate::kustomize::root::{Layer, Root};
use crate::kustomize::session::{is_remote, show};
use crate::kustomize::value::{Data, Value};

/// The fields of a spec, of all versions of the kind. What is not read below changes no name.
const SPEC: [&str; 29] = [
    "commonMetadata",
    "components",
    "decryption",
    "deletionPolicy",
    "dependsOn",
    "driftIgnoreRules",
    "force",
    "healthCheckExprs",
    "healthChecks",
    "ignoreMissingComponents",
    "images",
    "interval",
    "kubeConfig",
    "namePrefix",
    "nameSuffix",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "path",
    "postBuild",
    "prune",
    "retryInterval",
    "serviceAccountName",
    "sourceRef",
    "suspend",
    "targetNamespace",
    "timeout",
    "validation",
    "wait",
];

/// What a `Kustomization` of Flux deploys of this repository.
pub(super) fn deployment(instance: &Instance, world: &World<'_, '_>) -> Option<Deployment> {
    let raw = instance.value.at(&["spec", "path"]).filter(|path| !path.is_null());
    let (path, mut reach) = match raw.map(|path| &path.data) {
        None => (Some(""), Where::Folder(String::new())),
        Some(Data::Str(path)) => (Some(&**path), Where::of_text(path)),
        Some(_) => (None, Where::Everything),
    };
    if instance.unsure.is_some() {
        // What changes it may change its path.
        reach = Where::Everything;
    }
    let folder = path.and_then(clamped);
    let shown = folder.clone().unwrap_or_else(|| show(path.unwrap_or("?")));
    let layer = Layer {
        what: format!("Flux Kustomization {}", instance.title()),
        file: instance.source.file.clone(),
        line: instance.source.line,
        by: instance.by.clone(),
    };
    let plan = match plan(instance, world, &mut reach) {
        Ok(None) => return None,
        Ok(Some(plan)) => Ok(plan),
        Err(refusal) => Err(refusal),
    };
    Some(Deployment { root: Root { folder: shown.as_str().into(), layer: Some(Arc::new(layer)) }, reach, plan })
}

/// None if it is about another repository.
fn plan(instance: &Instance, world: &World<'_, '_>, reach: &mut Where) -> Result<Option<Plan>, Refusal> {
    if let Some(refusal) = &instance.unsure {
        return Err(refusal.clone());
    }
    let path = instance.text(&["spec", "path"])?;
    let named = instance.at().line(path.as_ref().map_or(instance.source.line, |path| path.line));
    let text = path.as_ref().map_or("", |path| path.text.as_str());
    let Some(folder) = clamped(text) else {
        return Err(named.unmodelled("outside-repository", format!("{} leads out of the repository", show(text))));
    };
    match verdict(instance, world, &named, &folder)? {
        Verdict::Elsewhere => return Ok(None),
        Verdict::Deploys => {}
        Verdict::Refused(refusal) => {
            if refusal.is_broken() {
                *reach = Where::Nothing;
            }
            return Err(refusal);
        }
    }
    if world.session.real(&folder).is_none_or(|real| real != folder) {
        let message = format!("{} is, or lies behind, a symbolic link, which Flux does not take along", show(text));
        return Err(named.broken("symbolic-link", message));
    }
    instance.known(&["spec"], &SPEC)?;
    for field in ["patchesStrategicMerge", "patchesJson6902"] {
        if !instance.items(&["spec", field])?.is_empty() {
            let at = instance.value.at(&["spec", field]).map_or_else(|| instance.at(), |value| instance.place(value));
            return Err(at.unmodelled("old-patches", format!("{field} is not modelled")).hinted("write it as patches"));
        }
    }
    let what = format!("path: {}", if text.is_empty() { "." } else { text });
    let edits = edits(instance, world, &folder)?;
    Ok(Some(Plan {
        folder,
        named,
        what,
        edits: Edits { kustomization: edits, namespace_field: "targetNamespace", components_once: false },
        restriction: Some(LoadRestriction::None),
        default_namespace: None,
        content: Content::Flux,
    }))
}

fn edits(instance: &Instance, world: &World<'_, '_>, folder: &str) -> Result<Kustomization, Refusal> {
    let mut edits = Kustomization::empty(&instance.at());
    edits.namespace = instance.text(&["spec", "targetNamespace"])?;
    edits.name_prefix = instance.text(&["spec", "namePrefix"])?;
    edits.name_suffix = instance.text(&["spec", "nameSuffix"])?;
    edits.patches = patches(instance, &["spec", "patches"], &["patch", "target"])?;
    let ignore_missing = instance.flag(&["spec", "ignoreMissingComponents"])?;
    for component in instance.texts(&["spec", "components"])? {
        let at = instance.at().line(component.line);
        if component.text.starts_with('/') || is_remote(&component.text) {
            return Err(at.broken("bad-component", format!("{} is not a path of the source", show(&component.text))));
        }
        if !(ignore_missing && is_missing(world, folder, &component)) {
            edits.components.push(component);
        }
    }
    Ok(edits)
}

/// Whether the source is this repository, and has the folder.
fn verdict(instance: &Instance, world: &World<'_, '_>, named: &At, folder: &str) -> Result<Verdict, Refusal> {
    let Some(reference) = instance.value.at(&["spec", "sourceRef"]) else {
        return Err(instance.at().broken("missing-source", "this Kustomization has no spec.sourceRef"));
    };
    let at = instance.place(reference);
    let kind = instance.text(&["spec", "sourceRef", "kind"])?.map(|kind| kind.text);
    if kind.as_deref() != Some("GitRepository") {
        if kind.is_none() {
            return Err(not(&at, "spec.sourceRef.kind", "given"));
        }
        // What an artifact or a bucket holds is not told; a folder of this repository may be in it.
        return Ok(if world.is_here(folder) {
            let message =
                format!("what the source of this Kustomization holds is not known, and {} is here", show(folder));
            Verdict::Refused(at.unmodelled("other-source", message).hinted(BY_HAND))
        } else {
            Verdict::Elsewhere
        });
    }
    let name = instance.text(&["spec", "sourceRef", "name"])?.map(|name| name.text);
    let namespace = instance.text(&["spec", "sourceRef", "namespace"])?.map(|namespace| namespace.text);
    let namespace = namespace.as_deref().or(instance.namespace());
    let is_it = |source: &&&Instance| {
        let same = source.namespace().is_none() || namespace.is_none() || source.namespace() == namespace;
        Some(source.name()) == name.as_deref() && same
    };
    let sources: Vec<&Instance> = world.sources.iter().filter(is_it).copied().collect();
    let mut whose: Option<Whose> = None;
    for source in &sources {
        if let Some(refusal) = &source.unsure {
            return Err(refusal.clone());
        }
        let url = source.text(&["spec", "url"])?;
        let one = world.whose(url.as_ref().map(|url| url.text.as_str()));
        if whose.is_some_and(|known| known != one) {
            let message = "several GitRepositories have this name, and not all of them are this repository";
            return Err(at.unmodelled("ambiguous-source", message).hinted(BY_HAND));
        }
        whose = Some(one);
    }
    let verdict = world.verdict(whose.unwrap_or(Whose::Unknown), named, folder);
    if matches!(verdict, Verdict::Deploys) {
        for source in sources {
            included(source, folder)?;
            ignored(source, folder, world)?;
        }
    }
    Ok(verdict)
}

/// Refuses a folder whose kustomization is generated from what the source leaves.
fn ignored(source: &Instance, folder: &str, world: &World<'_, '_>) -> Result<(), Refusal> {
    match source.text(&["spec", "ignore"])? {
        Some(ignore) if !world.kustomizations.contains(folder) => {
            let message = "this source leaves files out, and a kustomization is generated from what is left";
            let at = source.at().line(ignore.line);
            Err(at.unmodelled("source-ignore", message).hinted("write a kustomization.yaml into the folder"))
        }
        _ => Ok(()),
    }
}

/// Refuses a folder into which the source copies files of another repository.
fn included(source: &Instance, folder: &str) -> Result<(), Refusal> {
    for include in source.items(&["spec", "include"])? {
        let into = include.get("toPath").or_else(|| include.at(&["repository", "name"]));
        let into = into.and_then(Value::scalar).and_then(clamped).unwrap_or_default();
        if lies_in(folder, &into) || lies_in(&into, folder) {
            let message = "the source copies files of another repository into this folder";
            return Err(source.place(include).unmodelled("source-include", message).hinted(BY_HAND));
        }
    }
    Ok(())
}
