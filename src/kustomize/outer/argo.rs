//! An Argo CD `Application`: what it deploys, and what it writes into the kustomization there.
//!
//! Sources: `argoproj/argo-cd`, `util/kustomize/kustomize.go` (`Build`), `reposerver/repository/repository.go` and
//! `controller/state.go` (`NormalizeTargetObjects`). With a kustomization at the path, `kustomize edit` sets `namePrefix`, `nameSuffix`,
//! images, replicas and `namespace`, each only if given, and adds labels and annotations; patches are appended to the file, and
//! then components are added: not one that is listed already, and one that is not there is an error unless
//! `ignoreMissingComponents` is set. `kustomize build` follows, with the default load restriction unless `kustomize.buildOptions` of
//! the installation say otherwise, which nobody can see from here. In the end a namespaced object without a namespace gets
//! `destination.namespace`. Without a kustomization the files of the folder are applied as they are.

use std::sync::Arc;

use super::directory::Selection;
use super::edits::{is_missing, patches};
use super::instance::{BY_HAND, Instance, not};
use super::place::Where;
use super::repository::Verdict;
use super::{Content, Deployment, Plan, Setting, World};
use crate::kustomize::LOCAL;
use crate::kustomize::accumulate::Edits;
use crate::kustomize::files::{join, parent};
use crate::kustomize::kustomization::Kustomization;
use crate::kustomize::refusal::{At, Refusal};
use crate::kustomize::root::{Layer, Root};
use crate::kustomize::session::{below, show};
use crate::kustomize::value::{Data, Map, Value};
use crate::yaml::PlainType;

/// The fields of `kustomize` in a source.
const KUSTOMIZE: [&str; 18] = [
    "apiVersions",
    "commonAnnotations",
    "commonAnnotationsEnvsubst",
    "commonLabels",
    "components",
    "forceCommonAnnotations",
    "forceCommonLabels",
    "ignoreMissingComponents",
    "images",
    "kubeVersion",
    "labelIncludeTemplates",
    "labelWithoutSelector",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "patches",
    "replicas",
    "version",
];

const SOURCE: [&str; 10] =
    ["chart", "directory", "helm", "kustomize", "name", "path", "plugin", "ref", "repoURL", "targetRevision"];

/// What an Application deploys of this repository: one folder for each of its sources.
pub(super) fn deployments(instance: &Instance, world: &World<'_, '_>) -> Vec<Deployment> {
    let what = format!("Argo CD Application {}", instance.title());
    of_spec(instance, &["spec"], &what, world)
}

/// The same for the spec of an Application that stands elsewhere, as in a template.
pub(super) fn of_spec(instance: &Instance, spec: &[&str], what: &str, world: &World<'_, '_>) -> Vec<Deployment> {
    let layer = Arc::new(Layer {
        what: what.to_owned(),
        file: instance.source.file.clone(),
        line: instance.source.line,
        by: instance.by.clone(),
    });
    let mut found = Vec::new();
    for source in sources(instance, spec) {
        let raw = source.fields.value.get("path").filter(|path| !path.is_null());
        let mut reach = match raw.map(|path| &path.data) {
            None => Where::Nothing,
            Some(Data::Str(path)) => Where::of_text(path),
            Some(_) => Where::Everything,
        };
        if instance.unsure.is_some() {
            // What changes it may change its path.
            reach = Where::Everything;
        }
        let plan = match plan(&source, world, &mut reach) {
            Ok(None) => continue,
            Ok(Some(plan)) => Ok(plan),
            Err(refusal) => Err(refusal),
        };
        let shown = raw.and_then(Value::scalar).unwrap_or_default();
        let shown = join("", shown).unwrap_or_else(|| show(shown));
        let root = Root { folder: shown.as_str().into(), layer: Some(layer.clone()) };
        found.push(Deployment { root, reach, plan });
    }
    found
}

/// A source of an Application.
struct Source<'i> {
    /// Its fields, as an object of their own.
    fields: Instance,
    /// The name of the Application.
    name: &'i str,
    /// `destination.namespace` of the Application.
    destination: Option<&'i Value>,
    /// Whether it is rendered into a branch beforehand.
    hydrated: bool,
}

/// The sources: `sources` if it has any, or else `source`.
fn sources<'i>(instance: &'i Instance, spec: &[&str]) -> Vec<Source<'i>> {
    let Some(spec) = instance.value.at(spec) else { return Vec::new() };
    let of = |fields: &Value, hydrated| Source {
        fields: instance.part(fields),
        name: instance.name(),
        destination: spec.at(&["destination", "namespace"]),
        hydrated,
    };
    let several = spec.get("sources").and_then(Value::as_seq).unwrap_or_default();
    if !several.is_empty() {
        return several.iter().map(|fields| of(fields, false)).collect();
    }
    let source = spec.get("source").filter(|source| !source.is_null());
    let dry = spec.at(&["sourceHydrator", "drySource"]);
    source.map(|fields| of(fields, false)).into_iter().chain(dry.map(|fields| of(fields, true))).collect()
}

/// Whether a field of a source says anything: Argo CD takes a mapping of zero values for none.
fn says(fields: &Instance, field: &str) -> bool {
    fields.value.get(field).is_some_and(|value| !is_zero(value))
}

fn is_zero(value: &Value) -> bool {
    match &value.data {
        Data::Null => true,
        Data::Str(text) => text.is_empty(),
        Data::Plain(text, _) => matches!(&**text, "false" | "0"),
        Data::Map(map) => map.values().all(is_zero),
        Data::Seq(items) => items.is_empty(),
        Data::Hidden => false,
    }
}

/// None if it is about another repository, or deploys nothing.
fn plan(source: &Source<'_>, world: &World<'_, '_>, reach: &mut Where) -> Result<Option<Plan>, Refusal> {
    let fields = &source.fields;
    if let Some(refusal) = &fields.unsure {
        return Err(refusal.clone());
    }
    // A chart comes from a registry; a source that is referred to only lends its files to others.
    if says(fields, "chart") {
        return Ok(None);
    }
    let Some(path) = fields.text(&["path"])? else { return Ok(None) };
    let named = fields.at().line(path.line);
    let Some(folder) = join("", &path.text) else {
        // Argo CD deploys nothing then.
        *reach = Where::Nothing;
        let message = format!("{} is not a path of the repository", show(&path.text));
        return Err(named.broken("outside-repository", message));
    };
    let url = fields.text(&["repoURL"])?;
    let whose = world.whose(url.as_ref().map(|url| url.text.as_str()));
    match world.verdict(whose, &named, &folder) {
        Verdict::Elsewhere => return Ok(None),
        Verdict::Deploys => {}
        Verdict::Refused(refusal) => {
            if refusal.is_broken() {
                *reach = Where::Nothing;
            }
            return Err(refusal);
        }
    }
    let outside =
        || named.unmodelled("outside-repository", format!("{} leads out of the repository", show(&path.text)));
    let folder = world.session.real(&folder).ok_or_else(outside)?;
    if source.hydrated {
        let message = "a source that is rendered into another branch is not modelled";
        return Err(fields.place(&fields.value).unmodelled("source-hydrator", message).hinted(BY_HAND));
    }
    fields.known_of(&fields.value, "the source", &SOURCE)?;
    let content = content(source, world, &named, &folder)?;
    let field = "destination.namespace";
    let destination = source.destination.map_or(Ok(None), |namespace| fields.text_of(namespace, field))?;
    let default_namespace = destination.map(|entry| Setting { at: fields.at(), entry, field });
    let what = format!("path: {}", path.text);
    let kustomization = edits(fields, world, &folder)?;
    let edits = Edits { kustomization, namespace_field: "namespace", components_once: true };
    Ok(Some(Plan { folder, named, what, edits, restriction: None, default_namespace, content }))
}

/// How Argo CD takes the folder: as it is told, or else as what it finds there.
fn content(source: &Source<'_>, world: &World<'_, '_>, named: &At, folder: &str) -> Result<Content, Refusal> {
    let fields = &source.fields;
    let said = ["helm", "plugin", "kustomize", "directory"];
    let said: Vec<&str> = said.into_iter().filter(|kind| says(fields, kind)).collect();
    let place = |field: &str| fields.value.get(field).map_or_else(|| fields.at(), |value| fields.place(value));
    if let [first, second, ..] = said.as_slice() {
        let message = format!("a source has {first} and {second}: Argo CD takes one of them at most");
        return Err(place(second).broken("several-kinds", message));
    }
    let has_kustomization = world.session.has_kustomization(folder);
    match said.first() {
        Some(kind @ (&"helm" | &"plugin")) => {
            let message = format!("what {kind} makes of this folder is not known here");
            return Err(place(kind).unmodelled("helm", message).hinted(BY_HAND));
        }
        Some(&"kustomize") if !has_kustomization => {
            return Err(named.broken("no-kustomization", format!("there is no kustomization in {}", show(folder))));
        }
        Some(&"directory") if has_kustomization => {
            let message = "this folder has a kustomization, and is to be taken as a directory";
            return Err(place("directory").unmodelled("directory", message).hinted(BY_HAND));
        }
        _ => {}
    }
    let chart = |path: &&String| parent(path) == folder && path.ends_with("Chart.yaml");
    if let (None, Some(chart)) = (said.first(), world.paths.iter().find(chart)) {
        let message = format!("{} makes Argo CD take this folder for a Helm chart", show(chart));
        return Err(named.unmodelled("helm", message).hinted(BY_HAND));
    }
    let parameters = [".argocd-source.yaml".to_owned(), format!(".argocd-source-{}.yaml", source.name)];
    if let Some(file) = parameters.iter().map(|name| below(folder, name)).find(|path| world.session.has_file(path)) {
        let message = format!("{file} changes what is said here, which is not modelled");
        return Err(At::new(&file, 1).unmodelled("parameters-in-file", message).hinted(BY_HAND));
    }
    if has_kustomization {
        return Ok(Content::Kustomization);
    }
    let Some(directory) = part(fields, "directory") else { return Ok(Content::Directory(Selection::default())) };
    directory.known(&[], &["recurse", "include", "exclude", "jsonnet"])?;
    Ok(Content::Directory(Selection {
        recurse: directory.flag(&["recurse"])?,
        include: directory.text(&["include"])?,
        exclude: directory.text(&["exclude"])?,
    }))
}

/// A field of a source as an object of its own.
fn part(fields: &Instance, field: &str) -> Option<Instance> {
    fields.value.get(field).filter(|value| !value.is_null()).map(|value| fields.part(value))
}

fn edits(fields: &Instance, world: &World<'_, '_>, folder: &str) -> Result<Kustomization, Refusal> {
    let mut edits = Kustomization::empty(&fields.at());
    let Some(kustomize) = part(fields, "kustomize") else { return Ok(edits) };
    kustomize.known(&[], &KUSTOMIZE)?;
    if let Some(version) = kustomize.text(&["version"])? {
        let message = "another version of kustomize may build something else";
        return Err(fields.at().line(version.line).unmodelled("kustomize-version", message).hinted(BY_HAND));
    }
    edits.namespace = kustomize.text(&["namespace"])?;
    edits.name_prefix = kustomize.text(&["namePrefix"])?;
    edits.name_suffix = kustomize.text(&["nameSuffix"])?;
    edits.patches = patches(&kustomize, &["patches"], &["patch", "path", "target", "options"])?;
    let labels = texts(&kustomize, "commonLabels")?;
    if kustomize.flag(&["labelWithoutSelector"])? {
        let pairs = labels.iter().map(|(key, text)| (key.as_str().into(), Value::str(text)));
        let mut entry = Map::new();
        entry.insert("pairs".into(), Value::map(pairs.collect()));
        edits.labels.extend((!labels.is_empty()).then(|| Value::map(entry)));
    } else {
        edits.common_labels = labels;
    }
    edits.common_annotations = texts(&kustomize, "commonAnnotations")?;
    let ignore_missing = kustomize.flag(&["ignoreMissingComponents"])?;
    for component in kustomize.texts(&["components"])? {
        let at = fields.at().line(component.line);
        if component.text.contains(['*', '?', '[', '\\']) {
            let message = format!("the pattern {} is not modelled", show(&component.text));
            return Err(at.unmodelled("pattern", message).hinted("name each component"));
        }
        if !(ignore_missing && is_missing(world, folder, &component)) {
            edits.components.push(component);
        }
    }
    for replica in kustomize.items(&["replicas"])? {
        kustomize.known_of(replica, "replicas", &["name", "count"])?;
        let name = replica.get("name").map_or(Ok(None), |name| kustomize.text_of(name, "replicas.name"))?;
        edits.replicas.extend(name);
    }
    Ok(edits)
}

/// A mapping of texts. A value into which Argo CD writes something of its own is kept as it is: nothing selects by it.
fn texts(kustomize: &Instance, field: &str) -> Result<Vec<(String, String)>, Refusal> {
    let Some(value) = kustomize.value.get(field).filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let at = kustomize.place(value);
    let Some(map) = value.as_map() else { return Err(not(&at, field, "a mapping")) };
    let one = |(key, value): (&std::rc::Rc<str>, &Value)| {
        let text = match &value.data {
            Data::Str(text) => text.to_string(),
            Data::Plain(text, PlainType::Timestamp) => text.to_string(),
            _ => return Err(not(&kustomize.place(value), &format!("a value of {field}"), "a text")),
        };
        if text.contains('$') && &**key == LOCAL {
            let message = format!("{field} holds a value that is filled in later");
            return Err(kustomize.place(value).unmodelled("placeholder", message).hinted(BY_HAND));
        }
        Ok((key.to_string(), text))
    };
    map.iter().map(one).collect()
}
