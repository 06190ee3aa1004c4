//! What happens once, at the root: hashes, references, and what is dropped.

use std::rc::Rc;

use super::accumulate::Acc;
use super::makers;
use super::model::{Build, Object, Step};
use super::nameref;
use super::outer::{self, Setting};
use super::references;
use super::refusal::{At, Refusal};
use super::resource::{HASH, Res, distinct};
use super::value::Value;
use crate::format;

/// Keeps an object out of what is built.
pub(crate) const LOCAL: &str = "config.kubernetes.io/local-config";

/// What is built, and the objects of Flux and Argo CD in it.
pub(super) struct Finished {
    pub(super) build: Build,
    pub(super) outer: Vec<Res>,
}

/// What an outer layer does after the build.
#[derive(Default)]
pub(super) struct Ending<'e> {
    /// The namespace of what has none.
    pub(super) default_namespace: Option<&'e Setting>,
    /// Whether kustomize has no part in it: nothing is dropped for an annotation of its own.
    pub(super) plain: bool,
}

/// Makes what is gathered at the root into what is built.
pub(super) fn finish(at: &At, acc: &Acc, ending: &Ending<'_>) -> Result<Finished, Refusal> {
    let mut acc = acc.clone();
    for resource in acc.resources.iter_mut().filter(|resource| resource.needs_hash) {
        resource.remember();
        let name = format!("{}{HASH}", resource.name());
        resource.set_name(&name);
    }
    let config = acc.config.clone();
    nameref::fix(at, &mut acc, &config.references)?;
    for resource in &acc.resources {
        let nameless = resource.name().is_empty() && !resource.kind().ends_with("List");
        if nameless || resource.kind().is_empty() {
            return Err(at.broken("missing-name", "an object has lost its kind or its name on the way"));
        }
    }
    distinct(at, &acc.resources).map_err(|refusal| of_twins(at, refusal, &acc.resources))?;
    if !ending.plain {
        acc.resources.retain(|resource| !is_local(resource));
    }
    if let Some(setting) = ending.default_namespace {
        fill_namespace(setting, &mut acc.resources);
    }
    let mut build = Build::default();
    for resource in &acc.resources {
        let source = &resource.origin.source;
        let here = At::new(&source.file, source.line);
        resource.check(&here)?;
        if matters(resource) {
            refuse_placeholders(&here, resource)?;
        }
        references::of(&here, resource, &mut build.references)?;
        makers::of(resource, &mut build.made);
    }
    build.objects = acc.resources.iter().map(object).collect();
    acc.resources.retain(outer::is_outer);
    Ok(Finished { build, outer: acc.resources })
}

/// Sets the namespace of what has none and can have one.
fn fill_namespace(setting: &Setting, resources: &mut [Res]) {
    let Setting { at, entry, field } = setting;
    let what = format!("{field}: {}", entry.text);
    let step = Rc::new(Step { file: at.file.to_string(), line: entry.line, what });
    for resource in resources.iter_mut().filter(|one| !one.is_cluster_scoped() && one.namespace().is_empty()) {
        resource.set_namespace(&entry.text);
        resource.step(&step);
    }
}

/// Two names that get a hash are one name only if the contents are equal as well; and of an object that is built and
/// one that is dropped, kustomize builds both.
fn of_twins(at: &At, refusal: Refusal, resources: &[Res]) -> Refusal {
    let sure = |resource: &&Res| !resource.name().ends_with(HASH) && !is_local(resource);
    let sure: Vec<Res> = resources.iter().filter(sure).cloned().collect();
    match distinct(at, &sure) {
        Err(refusal) => refusal,
        Ok(()) => at.unmodelled("unsure-collision", refusal.reason().message.clone()),
    }
}

fn is_local(resource: &Res) -> bool {
    resource.metadata("annotations").any(|(key, value)| key == LOCAL && value.scalar() != Some("false"))
}

fn is_sealed(resource: &Res) -> bool {
    let group = resource.api_version().split('/').next();
    resource.kind() == format::KIND && group == format::API_VERSION.split('/').next()
}

/// Whether the identity of an object is what is asked for here.
fn matters(resource: &Res) -> bool {
    is_sealed(resource) || resource.api_version() == "v1" && matches!(resource.kind(), "Secret" | "ServiceAccount")
}

/// A `${…}` is filled in after kustomize, by Flux or others, with what is not known here.
fn refuse_placeholders(at: &At, resource: &Res) -> Result<(), Refusal> {
    for (what, text) in [("name", resource.name()), ("namespace", resource.namespace())] {
        if text.contains("${") {
            return Err(placeholder(at, &format!("the {what} of a {}", resource.kind())));
        }
    }
    Ok(())
}

/// The refusal of a `${…}`.
pub(super) fn placeholder(at: &At, what: &str) -> Refusal {
    at.unmodelled("placeholder", format!("{what} holds ${{…}}, which is filled in later"))
        .hinted("say the namespace and the name yourself")
}

fn object(resource: &Res) -> Object {
    let fields: &[&[&str]] = match resource.kind() {
        "Secret" => &[&["data"], &["stringData"]],
        "ConfigMap" => &[&["data"], &["binaryData"]],
        _ if is_sealed(resource) => &[&["spec", "encryptedData"]],
        _ => &[],
    };
    let maps = fields.iter().filter_map(|path| resource.value.at(path).and_then(Value::as_map));
    let mut keys: Vec<String> = maps.flatten().map(|(key, _)| key.to_string()).collect();
    keys.sort_unstable();
    keys.dedup();
    let typed: &[&str] = if is_sealed(resource) { &["spec"] } else { &[] };
    let field = |name: &str| resource.value.at(typed).and_then(|value| value.get(name)).and_then(Value::scalar);
    let secret = is_sealed(resource) || resource.kind() == "Secret";
    Object {
        api_version: resource.api_version().to_owned(),
        kind: resource.kind().to_owned(),
        namespace: Some(resource.namespace().to_owned()).filter(|namespace| !namespace.is_empty()),
        name: resource.name().trim_end_matches(HASH).to_owned(),
        hashed: resource.name().ends_with(HASH),
        source: resource.origin.source.clone(),
        original: (resource.origin.namespace.clone(), resource.origin.name.clone()),
        chain: resource.chain.iter().map(|step: &Rc<Step>| Step::clone(step)).collect(),
        keys,
        immutable: field("immutable").filter(|_| secret || resource.kind() == "ConfigMap") == Some("true"),
        secret_type: field("type").filter(|_| secret).map(str::to_owned),
        written_type: resource.origin.secret_type.clone().filter(|_| is_sealed(resource)),
        merges: is_sealed(resource) && field("mode") == Some("Merge"),
    }
}
