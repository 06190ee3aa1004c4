//! Patches: reading them, and choosing what they change.

use std::rc::Rc;

use super::accumulate::{Acc, Level};
use super::fields::Fields;
use super::json_patch::{self, Operation};
use super::merge;
use super::model::Step;
use super::names;
use super::read::{self, Document};
use super::refusal::{At, Refusal};
use super::resource::{Res, distinct};
use super::select::Selector;
use super::session::show;
use super::value::Value;

/// A patch that is read.
pub(super) struct Patch {
    at: At,
    target: Option<Selector>,
    body: Body,
    rename: bool,
    change_kind: bool,
    step: Rc<Step>,
}

enum Body {
    Strategic(Vec<Document>),
    Json(Vec<Operation>),
}

/// Reads an entry of `patches` or of `patchesJson6902`.
pub(super) fn read(level: &mut Level<'_, '_>, value: &Value, field: &'static str) -> Result<Patch, Refusal> {
    let here = level.at(value.line as usize);
    let fields = Fields::new(&here, value, "a patch")?;
    let step = level.step(fields.at().line, field);
    of_fields(level, fields, "patch", &step, field == "patchesJson6902", true)
}

/// Reads a patch from its fields; `inline` names the field for a text.
pub(super) fn of_fields(
    level: &mut Level<'_, '_>,
    mut fields: Fields<'_>,
    inline: &'static str,
    step: &Rc<Step>,
    json_only: bool,
    strict: bool,
) -> Result<Patch, Refusal> {
    let at = fields.at().clone();
    let path = fields.text("path")?;
    let text = fields.text(inline)?.filter(|text| !text.text.trim().is_empty());
    let target = fields.take("target")?;
    let target = target.map(|target| Selector::read(&at, target, "the target of a patch", strict)).transpose()?;
    let (mut rename, mut change_kind) = (false, false);
    if let Some(options) = fields.take("options")? {
        let mut options = Fields::new(&at, options, "the options of a patch")?;
        rename = options.flag("allowNameChange")?;
        change_kind = options.flag("allowKindChange")?;
        options.finish()?;
    }
    fields.finish()?;
    if json_only && target.as_ref().is_none_or(|target| !target.has_name) {
        return Err(at.broken("no-target", "a JSON patch needs a target with a name"));
    }
    let (body, said) = match (path, text) {
        (Some(path), None) => {
            let here = at.line(path.line);
            (of_file(level, &here, &path.text, json_only)?, show(&path.text))
        }
        (None, Some(text)) => {
            let here = at.line(text.line);
            (of_text(&here, text.text.trim(), true, json_only)?, "inline".to_owned())
        }
        (None, None) => return Err(at.broken("bad-patch", "a patch has neither a text nor a path")),
        (Some(_), Some(_)) => return Err(at.broken("bad-patch", "a patch has both a text and a path")),
    };
    let step = Rc::new(Step { what: format!("{}: {said}", step.what), ..(**step).clone() });
    Ok(Patch { at, target, body, rename, change_kind, step })
}

fn of_file(level: &mut Level<'_, '_>, at: &At, path: &str, json_only: bool) -> Result<Body, Refusal> {
    let (file, bytes) = level.session.load(at, level.folder, path)?;
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Err(At::new(&file, 1).unmodelled("not-utf8", "this patch is not UTF-8"));
    };
    of_text(&At::new(&file, 1), text, false, json_only)
}

/// A list is a JSON patch; anything else is one or more strategic merge patches.
fn of_text(at: &At, text: &str, inline: bool, json_only: bool) -> Result<Body, Refusal> {
    // What starts with a bracket goes to a reader of JSON alone.
    if text.starts_with('[') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Err(at.broken("bad-patch", "a patch that starts with [ is not JSON").hinted("write it in block style"));
    }
    let stream = crate::yaml::Stream::parse(text.to_owned()).map_err(|error| match error.location() {
        Some(location) if !inline => read::faulty(&at.line(location.line), &error),
        _ => read::faulty(at, &error),
    })?;
    let mut roots = stream.documents().filter_map(|document| document.root());
    let first = roots.next();
    if let Some(root) = first.filter(|root| root.is_sequence()) {
        if roots.next().is_some() {
            return Err(at.unmodelled("several-documents", "of a JSON patch, kustomize reads the first document only"));
        }
        let mut value = read::convert(at, root)?;
        if inline {
            forget_lines(&mut value);
        }
        let operations = json_patch::read(at, &value)?;
        if operations.is_empty() && json_only {
            return Err(at.broken("empty-patch", "a JSON patch has no operation"));
        }
        return Ok(Body::Json(operations));
    }
    if json_only {
        return Err(at.broken("bad-patch", "a JSON patch is not a list of operations"));
    }
    Ok(Body::Strategic(read::read_objects(at, text.as_bytes(), inline)?))
}

/// The lines of an inline text are not those of the file.
fn forget_lines(value: &mut Value) {
    value.line = 0;
    if let Some(items) = value.as_seq_mut() {
        items.iter_mut().for_each(forget_lines);
    } else if let Some(map) = value.as_map_mut() {
        map.values_mut().for_each(forget_lines);
    }
}

/// Reads an entry of `patchesStrategicMerge`: patches, or the path of a file of them.
pub(super) fn strategic(
    level: &mut Level<'_, '_>,
    at: &At,
    entry: &str,
    step: &Rc<Step>,
) -> Result<Vec<Patch>, Refusal> {
    if let Ok(patches) = inline(at, entry, step) {
        return Ok(patches);
    }
    let (file, documents) = level.session.objects(at, level.folder, entry)?;
    Ok(of_documents(&At::new(&file, 1), documents.to_vec(), step, &show(entry)))
}

/// Reads the patches of an inline text.
pub(super) fn inline(at: &At, text: &str, step: &Rc<Step>) -> Result<Vec<Patch>, Refusal> {
    Ok(of_documents(at, read::read_objects(at, text.as_bytes(), true)?, step, "inline"))
}

fn of_documents(at: &At, documents: Vec<Document>, step: &Rc<Step>, said: &str) -> Vec<Patch> {
    let step = Rc::new(Step { what: format!("{}: {said}", step.what), ..(**step).clone() });
    let patch = |document: Document| Patch {
        at: at.line(document.line),
        target: None,
        body: Body::Strategic(vec![document]),
        rename: false,
        change_kind: false,
        step: step.clone(),
    };
    documents.into_iter().map(patch).collect()
}

impl Patch {
    /// Applies the patch. `remember` tells whether a JSON patch leaves the old identity on record.
    pub(super) fn apply(&self, acc: &mut Acc, remember: bool) -> Result<(), Refusal> {
        match &self.body {
            Body::Json(operations) => self.apply_json(acc, operations, remember),
            Body::Strategic(documents) => self.apply_strategic(acc, documents),
        }
    }

    fn apply_json(&self, acc: &mut Acc, operations: &[Operation], remember: bool) -> Result<(), Refusal> {
        let Some(target) = &self.target else {
            return Err(self.at.broken("no-target", "a JSON patch has no target"));
        };
        let chosen: Vec<usize> =
            (0..acc.resources.len()).filter(|index| target.selects(&acc.resources[*index])).collect();
        for index in chosen {
            let resource = &mut acc.resources[index];
            if remember {
                resource.remember();
            }
            json_patch::apply(operations, &mut resource.value)?;
            let at = operations.first().map_or(&self.at, |operation| operation.at());
            self.after(at, resource)?;
        }
        Ok(())
    }

    fn apply_strategic(&self, acc: &mut Acc, documents: &[Document]) -> Result<(), Refusal> {
        if let Some(target) = &self.target {
            if documents.len() > 1 {
                return Err(self.at.broken("several-patches", "a patch with a target has more than one document"));
            }
            let Some(document) = documents.first() else { return Ok(()) };
            let chosen: Vec<bool> = acc.resources.iter().map(|resource| target.selects(resource)).collect();
            let mut deleted = Vec::new();
            for (index, _) in chosen.iter().enumerate().filter(|(_, chosen)| **chosen) {
                if !self.merge(&mut acc.resources[index], document)? {
                    deleted.push(index);
                }
            }
            remove(acc, &deleted);
            return distinct(&self.at, &acc.resources);
        }
        let mut deleted = Vec::new();
        for document in documents {
            let patch = Res::new(document.value.clone(), source());
            let id = patch.id();
            let matches: Vec<usize> = (0..acc.resources.len())
                .filter(|index| !deleted.contains(index) && acc.resources[*index].is_or_was(&id))
                .collect();
            let at = self.at.line(document.line);
            match matches.as_slice() {
                [index] => {
                    if !self.merge(&mut acc.resources[*index], document)? {
                        deleted.push(*index);
                    }
                }
                [] => {
                    return Err(at
                        .broken("no-target", format!("there is no {id} for this patch"))
                        .hinted("the namespace of a patch is the one that its target has before this kustomization"));
                }
                _ => return Err(at.broken("several-targets", format!("several objects are or were {id}"))),
            }
        }
        remove(acc, &deleted);
        Ok(())
    }

    /// Merges one document into an object; false if that deletes it.
    fn merge(&self, resource: &mut Res, document: &Document) -> Result<bool, Refusal> {
        let at = self.at.line(document.line);
        let keep = [resource.name().to_owned(), resource.namespace().to_owned(), resource.kind().to_owned()];
        if self.rename || self.change_kind {
            resource.remember();
        }
        let mut patch = document.value.clone();
        if self.target.is_some() {
            patch.set("apiVersion", Value::str(resource.api_version()));
        }
        refuse_forgetting(&at, &patch)?;
        let Some(merged) = merge::merge(&at, &resource.value, &patch)? else { return Ok(false) };
        if merged.as_map().is_none_or(|map| map.is_empty()) {
            return Ok(false);
        }
        resource.value = merged;
        let [name, namespace, kind] = keep;
        if !self.change_kind {
            resource.set_kind(&kind);
        }
        if !self.rename {
            resource.set_name(&name);
        }
        resource.set_namespace(&namespace);
        self.after(&at, resource)?;
        Ok(true)
    }

    /// What holds after every change: the identity can be known, and no value of a Secret is kept.
    fn after(&self, at: &At, resource: &mut Res) -> Result<(), Refusal> {
        read::hide_secret(&mut resource.value);
        resource.check(at)?;
        if resource.kind().is_empty() || resource.name().is_empty() && !resource.kind().ends_with("List") {
            return Err(at.unmodelled("no-identity", "a patch takes the kind or the name of an object away"));
        }
        names::too_long(at, resource)?;
        resource.needs_hash |= super::generate::asks_for_hash(resource);
        let step = self.step.clone();
        resource.step(&step);
        Ok(())
    }
}

/// A patch that takes all annotations away takes with them what kustomize remembers there.
fn refuse_forgetting(at: &At, patch: &Value) -> Result<(), Refusal> {
    let null = |path: &[&str]| patch.at(path).is_some_and(Value::is_null);
    if null(&["metadata"]) || null(&["metadata", "annotations"]) {
        return Err(at.unmodelled("patch-of-annotations", "a patch that takes all annotations away is not modelled"));
    }
    Ok(())
}

fn source() -> super::model::Source {
    super::model::Source {
        file: String::new(),
        line: 0,
        place: super::model::Place::Document { document: 0, items: Vec::new() },
    }
}

fn remove(acc: &mut Acc, deleted: &[usize]) {
    let mut index = 0;
    acc.resources.retain(|_| {
        index += 1;
        !deleted.contains(&(index - 1))
    });
}
