//! An Argo CD `ApplicationSet`: the Applications that it makes.
//!
//! Sources: `argoproj/argo-cd`, `applicationset/generators/list.go` and `git.go`, and `reposerver/repository` (`GetGitDirectories`: every folder
//! but hidden ones). Two generators are modelled, a list and the folders of this repository; all others are refused by name.

use std::collections::BTreeSet;
use std::rc::Rc;

use globset::{GlobBuilder, GlobMatcher};

use super::argo;
use super::instance::{BY_HAND, Instance, not};
use super::place::Where;
use super::repository::{OURS_OR_NOT, Verdict, Whose};
use super::template::{Parameters, Style, normalized};
use super::{Deployment, World};
use crate::kustomize::files::{NOT_WALKED, parent};
use crate::kustomize::refusal::Refusal;
use crate::kustomize::root::{Layer, Root};
use crate::kustomize::session::{below, show};
use crate::kustomize::value::{Data, Value};

/// What of a template matters: the rest may hold any template.
const MATTERS: [&[&str]; 3] =
    [&["metadata", "name"], &["metadata", "namespace"], &["spec", "destination", "namespace"]];

/// What an ApplicationSet deploys of this repository.
pub(super) fn deployments(instance: &Instance, world: &World<'_, '_>) -> Vec<Deployment> {
    match applications(instance, world) {
        Ok(applications) => {
            let of = |application: &Instance| {
                let what =
                    format!("Argo CD Application {} of ApplicationSet {}", application.title(), instance.title());
                argo::of_spec(application, &["spec"], &what, world)
            };
            applications.iter().flat_map(of).collect()
        }
        Err(refusal) => refused(instance, world, &refusal),
    }
}

/// One deployment for each path that the template names, refused; none for what is about another repository.
fn refused(instance: &Instance, world: &World<'_, '_>, refusal: &Refusal) -> Vec<Deployment> {
    let layer = Layer {
        what: format!("Argo CD ApplicationSet {}", instance.title()),
        file: instance.source.file.clone(),
        line: instance.source.line,
        by: instance.by.clone(),
    };
    let layer = std::sync::Arc::new(layer);
    let everything = instance.unsure.is_some() || template_patch(instance).is_some();
    let mirrored = mirrored(instance, world);
    let mut found = Vec::new();
    for source in sources(instance) {
        let path = source.get("path").and_then(Value::scalar);
        let url = source.get("repoURL").and_then(Value::scalar).filter(|url| !url.contains("{{"));
        let is_whole = path.is_some_and(|path| {
            let path: String = path.chars().filter(|c| !c.is_whitespace()).collect();
            ["{{path}}", "{{.path.path}}"].contains(&path.as_str())
        });
        let reach = match path {
            _ if everything => Where::Everything,
            Some(_) if is_whole && !mirrored.is_empty() => Where::Folders(mirrored.clone()),
            path => path.map_or(Where::Nothing, Where::of_text),
        };
        let meant = match (&reach, world.whose(url)) {
            (Where::Nothing, _) => false,
            (Where::Folder(folder), whose) => {
                !matches!(world.verdict(whose, &instance.at(), folder), Verdict::Elsewhere)
            }
            (_, Whose::Other) => !mirrored.is_empty(),
            (_, whose) => whose != Whose::Foreign,
        };
        if meant {
            let folder = show(path.unwrap_or("?"));
            let root = Root { folder: folder.trim_start_matches("./").into(), layer: Some(layer.clone()) };
            found.push(Deployment { root, reach, plan: Err(refusal.clone()) });
        }
    }
    found.dedup_by(|one, other| one.root == other.root);
    found
}

/// The patch of the template, unless nothing that matters is named in it.
fn template_patch(instance: &Instance) -> Option<&Value> {
    const MATTER: [&str; 7] = ["source", "destination", "path", "kustomize", "directory", "metadata", "<<"];
    let patch = instance.value.at(&["spec", "templatePatch"]).filter(|patch| !patch.is_null())?;
    let harmless =
        patch.scalar().is_some_and(|text| !MATTER.iter().any(|word| text.contains(word)) && !text.contains('\\'));
    (!harmless).then_some(patch)
}

/// Whether Applications of another repository may be about folders here: a list is filled in to tell.
fn may_be_here(instance: &Instance, world: &World<'_, '_>) -> bool {
    let generators = instance.items(&["spec", "generators"]).unwrap_or_default();
    generators.iter().any(|generator| generator.get("list").is_some()) || !mirrored(instance, world).is_empty()
}

/// The folders here that fit what a generator looks for in what seems to be another repository: it may be this one under
/// another name.
fn mirrored(instance: &Instance, world: &World<'_, '_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for git in instance.items(&["spec", "generators"]).unwrap_or_default().iter().filter_map(|one| one.get("git")) {
        let url = git.get("repoURL").and_then(Value::scalar);
        if world.whose(url) == Whose::Other
            && let Ok(folders) = matching(instance, git, world)
        {
            found.extend(folders.into_iter().filter(|folder| world.is_here(folder)));
        }
    }
    found
}

/// The sources of the template.
fn sources(instance: &Instance) -> Vec<&Value> {
    let spec = instance.value.at(&["spec", "template", "spec"]);
    let several = spec.and_then(|spec| spec.get("sources")).and_then(Value::as_seq).unwrap_or_default();
    let one = spec.and_then(|spec| spec.get("source")).filter(|_| several.is_empty());
    several.iter().chain(one).collect()
}

/// The Applications that the generators and the template make.
fn applications(instance: &Instance, world: &World<'_, '_>) -> Result<Vec<Instance>, Refusal> {
    if let Some(refusal) = &instance.unsure {
        return Err(refusal.clone());
    }
    // Its folders are in another repository, whatever the generators say.
    let elsewhere = |source: &&Value| {
        let url = source.get("repoURL").and_then(Value::scalar).filter(|url| !url.contains("{{"));
        let path = source.get("path").and_then(Value::scalar).unwrap_or_default();
        matches!(world.whose(url), Whose::Other | Whose::Foreign)
            && !matches!(Where::of_text(path), Where::Folder(_))
            && source.get("chart").is_none()
    };
    let sources = sources(instance);
    if !sources.is_empty() && sources.iter().all(elsewhere) && !may_be_here(instance, world) {
        return Ok(Vec::new());
    }
    if let Some(patch) = template_patch(instance) {
        return Err(instance
            .place(patch)
            .unmodelled("template-patch", "templatePatch is not modelled")
            .hinted(BY_HAND));
    }
    let style = if instance.flag(&["spec", "goTemplate"])? { Style::Go } else { Style::Flat };
    let Some(template) = instance.value.at(&["spec", "template"]) else {
        return Err(instance.at().broken("missing-template", "this ApplicationSet has no spec.template"));
    };
    let mut made = Vec::new();
    for generator in instance.items(&["spec", "generators"])? {
        for parameters in parameters(instance, generator, style, world)? {
            let value = filled(instance, template, style, &parameters)?;
            made.push(Instance { value, ..instance.clone() });
        }
    }
    Ok(made)
}

/// An Application out of the template, as far as it matters.
fn filled(instance: &Instance, template: &Value, style: Style, parameters: &Parameters) -> Result<Value, Refusal> {
    let mut made = Value::map(Default::default());
    for path in MATTERS {
        let Some(value) = template.at(path).filter(|value| !value.is_null()) else { continue };
        let value = fill(instance, value, style, parameters)?;
        let (last, parents) = path.split_last().unwrap_or((&"", &[]));
        let mut place = &mut made;
        for parent in parents {
            place = place.child(parent);
        }
        place.set(last, value);
    }
    // An Application is made beside its ApplicationSet.
    if let Some(namespace) = instance.namespace() {
        made.child("metadata").set("namespace", Value::str(namespace));
    }
    for field in ["source", "sources", "sourceHydrator"] {
        if let Some(value) = template.at(&["spec", field]).filter(|value| !value.is_null()) {
            let value = fill(instance, value, style, parameters)?;
            made.child("spec").set(field, value);
        }
    }
    Ok(made)
}

/// A value with its texts filled in. Fields of a source that change nothing here keep their templates.
fn fill(instance: &Instance, value: &Value, style: Style, parameters: &Parameters) -> Result<Value, Refusal> {
    const IGNORED: [&str; 4] = ["targetRevision", "images", "helm", "plugin"];
    let data = match &value.data {
        Data::Str(text) => {
            let text = parameters.fill(style, text).map_err(|expression| {
                instance
                    .place(value)
                    .unmodelled("template", format!("what {expression} becomes is not known here"))
                    .hinted(BY_HAND)
            })?;
            Data::Str(text.as_str().into())
        }
        Data::Map(map) => {
            let mut made = crate::kustomize::value::Map::new();
            for (key, inner) in map.iter() {
                if key.contains("{{") {
                    let message = "a template in the key of a mapping is not modelled";
                    return Err(instance.place(inner).unmodelled("template", message).hinted(BY_HAND));
                }
                let kept = IGNORED.contains(&&**key);
                made.insert(key.clone(), if kept { inner.clone() } else { fill(instance, inner, style, parameters)? });
            }
            Data::Map(Rc::new(made))
        }
        Data::Seq(items) => {
            let items = items.iter().map(|item| fill(instance, item, style, parameters));
            Data::Seq(Rc::new(items.collect::<Result<_, _>>()?))
        }
        other => other.clone(),
    };
    Ok(Value { line: value.line, data })
}

/// The parameters that a generator gives, one set for each Application.
fn parameters(
    instance: &Instance,
    generator: &Value,
    style: Style,
    world: &World<'_, '_>,
) -> Result<Vec<Parameters>, Refusal> {
    let Some(map) = generator.as_map() else { return Err(not(&instance.place(generator), "a generator", "a mapping")) };
    for (kind, value) in map.iter() {
        if !matches!(&**kind, "list" | "git") {
            let shown: String = kind.chars().filter(|c| !c.is_control()).take(40).collect();
            let message = format!("what the generator {shown} makes is not known here");
            return Err(instance.place(value).unmodelled("generator", message).hinted(BY_HAND));
        }
        let inner = value.get("template").filter(|template| !template.is_null());
        if let Some(template) = inner {
            let message = "a template of a generator's own is not modelled";
            return Err(instance.place(template).unmodelled("generator", message).hinted(BY_HAND));
        }
    }
    match (map.get("list"), map.get("git")) {
        (Some(list), None) => of_list(instance, list, style),
        (None, Some(git)) => of_git(instance, git, style, world),
        _ => Err(instance.place(generator).broken("generator", "a generator is of one kind")),
    }
}

fn of_list(instance: &Instance, list: &Value, style: Style) -> Result<Vec<Parameters>, Refusal> {
    instance.known_of(list, "the generator list", &["elements", "template"])?;
    let part = instance.part(list);
    part.items(&["elements"])?.iter().map(|element| of_element(instance, element, style)).collect()
}

fn of_element(instance: &Instance, element: &Value, style: Style) -> Result<Parameters, Refusal> {
    let mut parameters = Parameters::default();
    let Some(map) = element.as_map() else { return Err(not(&instance.place(element), "an element", "a mapping")) };
    for (key, value) in map.iter() {
        // A mapping of texts under `values`; with goTemplate, under any name.
        match &value.data {
            Data::Map(inner) if style == Style::Go || &**key == "values" => flatten(key, inner, &mut parameters),
            Data::Str(text) => parameters.set(&**key, &**text),
            // What is no text is not looked up: a template that asks for it is refused.
            _ => {}
        }
    }
    Ok(parameters)
}

fn flatten(prefix: &str, map: &crate::kustomize::value::Map, parameters: &mut Parameters) {
    for (key, value) in map {
        let key = format!("{prefix}.{key}");
        match &value.data {
            Data::Str(text) => parameters.set(key, &**text),
            Data::Map(inner) => flatten(&key, inner, parameters),
            _ => {}
        }
    }
}

fn of_git(instance: &Instance, git: &Value, style: Style, world: &World<'_, '_>) -> Result<Vec<Parameters>, Refusal> {
    const FIELDS: [&str; 7] =
        ["repoURL", "revision", "directories", "requeueAfterSeconds", "template", "values", "pathParamPrefix"];
    if let Some(files) = git.get("files").filter(|files| !files.is_null()) {
        let message = "what the generator of files makes is not known here";
        return Err(instance.place(files).unmodelled("generator", message).hinted(BY_HAND));
    }
    instance.known_of(git, "the generator git", &FIELDS)?;
    let part = instance.part(git);
    let url = part.text(&["repoURL"])?;
    let whose = world.whose(url.as_ref().map(|url| url.text.as_str()));
    if matches!(whose, Whose::Other | Whose::Foreign) {
        let message = "the folders of the repository that the generator looks into are not known here";
        // What the policy calls another repository need not be told of again.
        let hint = if whose == Whose::Foreign { BY_HAND } else { OURS_OR_NOT };
        return Err(instance.place(git).unmodelled("other-repository", message).hinted(hint));
    }
    let prefix = part.text(&["pathParamPrefix"])?.map(|prefix| format!("{}.", prefix.text)).unwrap_or_default();
    let folders = matching(instance, git, world)?.into_iter();
    Ok(folders.map(|folder| of_folder(&part, &folder, &prefix, style)).collect())
}

/// The folders that fit the patterns of a generator.
fn matching(instance: &Instance, git: &Value, world: &World<'_, '_>) -> Result<Vec<String>, Refusal> {
    let part = instance.part(git);
    let (mut included, mut excluded) = (Vec::new(), Vec::new());
    for item in part.items(&["directories"])? {
        let one = instance.part(item);
        one.known(&[], &["path", "exclude"])?;
        let Some(path) = one.text(&["path"])? else { return Err(not(&one.place(item), "path", "given")) };
        let pattern = pattern(instance, &path.text, path.line)?;
        if one.flag(&["exclude"])? { excluded.push(pattern) } else { included.push(pattern) }
    }
    let any = |patterns: &[GlobMatcher], folder: &str| patterns.iter().any(|pattern| pattern.is_match(folder));
    let folders = folders(world).into_iter().filter(|folder| any(&included, folder) && !any(&excluded, folder));
    Ok(folders.collect())
}

fn of_folder(git: &Instance, folder: &str, prefix: &str, style: Style) -> Parameters {
    let mut parameters = Parameters::default();
    let base = folder.rsplit('/').next().unwrap_or(folder);
    let path = if style == Style::Go { "path.path" } else { "path" };
    parameters.set(format!("{prefix}{path}"), folder);
    parameters.set(format!("{prefix}path.basename"), base);
    parameters.set(format!("{prefix}path.basenameNormalized"), normalized(base));
    for (index, segment) in folder.split('/').enumerate() {
        let list = if style == Style::Go { "path.segments" } else { "path" };
        parameters.set(format!("{prefix}{list}[{index}]"), segment);
    }
    let values = git.value.get("values").and_then(Value::as_map);
    // Each is filled in from the path alone, as Argo CD does: values of values could grow without an end. What a template
    // leaves open is refused where it is looked up.
    let fill = |(key, value): (&Rc<str>, &Value)| match &value.data {
        Data::Str(text) => Some((format!("values.{key}"), parameters.fill(style, text).ok()?)),
        _ => None,
    };
    let filled: Vec<(String, String)> = values.into_iter().flatten().filter_map(fill).collect();
    for (key, text) in filled {
        parameters.set(key, text);
    }
    parameters
}

/// The folders that Argo CD finds in a checkout: all but hidden ones. Those that are not walked here are asked for.
fn folders(world: &World<'_, '_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in world.paths {
        let mut folder = parent(path);
        while !folder.is_empty() && found.insert(folder.to_owned()) {
            folder = parent(folder);
        }
    }
    let above: Vec<String> = found.iter().cloned().chain([String::new()]).collect();
    let hidden = above.iter().flat_map(|folder| NOT_WALKED.map(|name| below(folder, name)));
    found.extend(hidden.filter(|folder| world.session.is_folder(folder)));
    found.retain(|folder| !folder.split('/').any(|part| part.starts_with('.')));
    found
}

/// A pattern of Go's `path.Match`, as far as it is the same here: `*` and `?`, not across a slash.
fn pattern(instance: &Instance, text: &str, line: usize) -> Result<GlobMatcher, Refusal> {
    let odd = || {
        let message = format!("the pattern {} is not modelled", show(text));
        instance.at().line(line).unmodelled("pattern", message).hinted(BY_HAND)
    };
    if text.contains("**") || text.contains(['[', ']', '{', '}', '\\']) {
        return Err(odd());
    }
    let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(|_| odd())?;
    Ok(glob.compile_matcher())
}
