//! Sealing a file: each Secret of a source becomes a sealed document, over an existing sealed file or anew.

use rand_core::CryptoRngCore;

use crate::format::{API_VERSION, DEFAULT_TYPE, KIND, Kid};
use crate::manifest::{ObjectKind, SealedManifest, SecretManifest, objects};
use crate::problem::Problem;
use crate::yaml::{EditError, Editor, Node, Place as At, Stream, Value};

use super::document::{SealedTogether, document_value, seal_together, spec_value, template_value};
use super::leak::leaks;
use super::plan::{Action, DocumentPlan, Order, Refusals, plan};
use super::size::check_size;
use super::spec::{envelope_value, item_value, scope_value};

/// What sealing a file gives.
#[derive(Debug)]
pub struct SealedFile {
    /// The new text; none if the existing file stays as it is, to the byte.
    pub text: Option<Stream>,
    /// What happened to each Secret.
    pub documents: Vec<DocumentPlan>,
    /// Said while the work went on.
    pub warnings: Vec<Problem>,
}

/// Seals the Secrets of `source` in its own text: every other document stays byte for byte.
///
/// Errors: every refusal of the plan, and an edit that could not be proved. Nothing is written either way.
pub fn seal_in_place(
    source: &Stream,
    secrets: &[SecretManifest<'_>],
    order: &Order<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<SealedFile, Refusals> {
    let documents = plan(secrets, &[], order)?;
    let taken = already_sealed(source, &documents);
    if !taken.is_empty() {
        return Err(Refusals { source: taken, existing: vec![] });
    }
    let text = convert(source, secrets, &documents, order, rng).map_err(in_source)?;
    verify(&text, &documents, order).map_err(in_source)?;
    let warnings = leaks(&text, secrets).map_err(in_source)?;
    Ok(SealedFile { text: Some(text), documents, warnings })
}

/// Seals the Secrets of a source over the sealed file that stands beside it.
///
/// Only what changed is touched: a document of the existing file keeps its comments, its order and the bytes of every
/// value that is the same.
pub fn seal_over(
    existing: &Stream,
    sealed: &[SealedManifest<'_>],
    secrets: &[SecretManifest<'_>],
    order: &Order<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<SealedFile, Refusals> {
    let documents = plan(secrets, sealed, order)?;
    let text = merge(existing, sealed, secrets, &documents, order, rng).map_err(in_existing)?;
    let warnings = match &text {
        None => vec![],
        Some(text) => verify(text, &documents, order).and_then(|()| leaks(text, secrets)).map_err(in_existing)?,
    };
    Ok(SealedFile { text, documents, warnings })
}

/// Reads what was made as anybody else would: every planned document is there, whole, and no plaintext Secret is.
pub(crate) fn verify(made: &Stream, documents: &[DocumentPlan], order: &Order<'_>) -> Result<(), Problem> {
    let broken = |what: &str| {
        Problem::error("not-verified", format!("what would have been written is not as planned: {what}"))
            .hint("nothing was written; this is a defect of ageseal, please report it with the shape of the file")
    };
    let mut sealed = Vec::new();
    for object in objects(made) {
        match object.kind {
            ObjectKind::Secret => return Err(broken("a plaintext Secret is left").at(object.node.location())),
            ObjectKind::SealedSecret => {
                check_size(object.node, order.server_side)?;
                let manifest = SealedManifest::read(object.node).manifest;
                sealed
                    .push(manifest.ok_or_else(|| broken("a document does not read back").at(object.node.location()))?);
            }
            _ => {}
        }
    }
    for plan in documents {
        let wanted = plan.items.iter().filter(|(_, action)| **action != Action::Drop).map(|(key, _)| key);
        let found = sealed.iter().any(|manifest| {
            manifest.name == plan.place.name
                && manifest.namespace == plan.place.namespace
                && manifest.sealed.scope.as_ref() == Some(&plan.place.scope)
                && manifest.sealed.items.keys().eq(wanted.clone())
                && manifest.sealed.check().is_ok()
        });
        if !found {
            return Err(broken(&plan.place.name));
        }
    }
    Ok(())
}

fn in_source(problem: Problem) -> Refusals {
    Refusals { source: vec![problem], existing: vec![] }
}

fn in_existing(problem: Problem) -> Refusals {
    Refusals { source: vec![], existing: vec![problem] }
}

/// A sealed document of the same name in the same file would make the object twice.
fn already_sealed(source: &Stream, documents: &[DocumentPlan]) -> Vec<Problem> {
    objects(source)
        .filter(|object| object.kind == ObjectKind::SealedSecret)
        .filter_map(|object| {
            let metadata = object.node.get("metadata")?;
            let name = metadata.get("name")?.str()?;
            let namespace = metadata.get("namespace").and_then(|node| node.str());
            let same = |plan: &DocumentPlan| plan.place.name == name && plan.place.namespace.as_deref() == namespace;
            documents.iter().any(same).then(|| {
                Problem::error("duplicate-object", format!("{name} stands in this file sealed and in plaintext"))
                    .at(object.node.location())
                    .hint("remove one of the two documents")
            })
        })
        .collect()
}

fn convert(
    source: &Stream,
    secrets: &[SecretManifest<'_>],
    documents: &[DocumentPlan],
    order: &Order<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<Stream, Problem> {
    let mut editor = Editor::new(source);
    for (secret, plan) in secrets.iter().zip(documents) {
        let sealed = seal_all(secret, plan, order, rng)?;
        let converted = if secret.node.is_flow() {
            editor.replace(secret.node, &document_value(secret, &plan.place, &sealed))
        } else {
            convert_block(&mut editor, secret, plan, &sealed)
        };
        converted.map_err(|error| unproved(&error).at(secret.node.location()))?;
    }
    editor.finish().map_err(|error| unproved(&error))
}

fn seal_all(
    secret: &SecretManifest<'_>,
    plan: &DocumentPlan,
    order: &Order<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<SealedTogether, Problem> {
    let values = secret.data.iter().filter(|(key, _)| plan.items.get(*key) == Some(&Action::Seal));
    let values = values.map(|(key, value)| (key.as_str(), value));
    seal_together(values, &secret.secret_type, &plan.place, order.recipients, rng)
}

/// Turns a Secret in block style into a sealed document, keeping its comments, order and quotes.
///
/// Comments inside `data` and `stringData` go with them: what stands beside a value may be a value.
fn convert_block<'a>(
    editor: &mut Editor<'a>,
    secret: &SecretManifest<'a>,
    plan: &DocumentPlan,
    sealed: &SealedTogether,
) -> Result<(), EditError> {
    let node = secret.node;
    editor.set(node, "apiVersion", &Value::Plain(API_VERSION.to_owned()), At::First)?;
    editor.set(node, "kind", &Value::Plain(KIND.to_owned()), At::After("apiVersion".to_owned()))?;
    if let Some(metadata) = node.get("metadata") {
        convert_metadata(editor, secret, plan, metadata)?;
    }
    for (key, _) in node.entries().filter_map(|(key, value)| Some((key.str()?, value))) {
        if !matches!(key, "apiVersion" | "kind" | "metadata") {
            editor.remove(node, key)?;
        }
    }
    editor.insert(node, "spec", &spec_value(secret, &plan.place, sealed), At::Last)
}

fn convert_metadata<'a>(
    editor: &mut Editor<'a>,
    secret: &SecretManifest<'a>,
    plan: &DocumentPlan,
    metadata: Node<'a>,
) -> Result<(), EditError> {
    let (labels, annotations) = secret.own_part();
    for (name, own) in [("labels", labels), ("annotations", annotations)] {
        let Some(map) = metadata.get(name) else { continue };
        if own.is_empty() {
            editor.remove(metadata, name)?;
            continue;
        }
        for key in map.entries().filter_map(|(key, _)| key.str()) {
            if !own.contains_key(key) {
                editor.remove(map, key)?;
            }
        }
    }
    for key in metadata.entries().filter_map(|(key, _)| key.str()) {
        if !matches!(key, "name" | "namespace" | "labels" | "annotations") {
            editor.remove(metadata, key)?;
        }
    }
    if let (Some(namespace), None) = (&plan.place.namespace, metadata.get("namespace")) {
        editor.insert(metadata, "namespace", &Value::Str(namespace.clone()), At::After("name".to_owned()))?;
    }
    Ok(())
}

fn merge(
    existing: &Stream,
    sealed: &[SealedManifest<'_>],
    secrets: &[SecretManifest<'_>],
    documents: &[DocumentPlan],
    order: &Order<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<Option<Stream>, Problem> {
    let mut editor = Editor::new(existing);
    for (index, manifest) in sealed.iter().enumerate() {
        if !documents.iter().any(|plan| plan.existing == Some(index)) {
            remove_object(&mut editor, manifest.node).map_err(|error| unproved(&error))?;
        }
    }
    for (secret, plan) in secrets.iter().zip(documents) {
        let together = seal_all(secret, plan, order, rng)?;
        let merged = match plan.existing {
            Some(index) => merge_document(&mut editor, &sealed[index], secret, plan, &together),
            None => editor.append_document(&document_value(secret, &plan.place, &together)),
        };
        merged.map_err(|error| unproved(&error))?;
    }
    if editor.is_empty() {
        return Ok(None);
    }
    editor.finish().map(Some).map_err(|error| unproved(&error))
}

/// Takes a document out of its stream, or an item out of its list.
fn remove_object<'a>(editor: &mut Editor<'a>, node: Node<'a>) -> Result<(), EditError> {
    if let Some(list) = node.parent()
        && let Some(index) = list.items().position(|item| item == node)
    {
        return editor.remove_item(list, index);
    }
    match node.stream().documents().find(|document| document.root() == Some(node)) {
        Some(document) => editor.remove_document(document),
        None => Err(EditError::ForeignNode),
    }
}

/// An edit that could not be made or proved: nothing was written.
pub(crate) fn unproved(error: &EditError) -> Problem {
    Problem::error("edit-refused", error.to_string())
        .hint("nothing was written; write the document in plain block style and try again")
}

fn merge_document<'a>(
    editor: &mut Editor<'a>,
    existing: &SealedManifest<'a>,
    secret: &SecretManifest<'_>,
    plan: &DocumentPlan,
    together: &SealedTogether,
) -> Result<(), EditError> {
    let Some(spec) = existing.node.get("spec") else { return Ok(()) };
    if existing.sealed.scope.as_ref() != Some(&plan.place.scope) {
        editor.set(spec, "scope", &scope_value(&plan.place.scope), At::First)?;
    }
    let secret_type = (secret.secret_type != DEFAULT_TYPE).then(|| Value::Str(secret.secret_type.clone()));
    let in_file = spec.get("type").and_then(|node| node.str()).unwrap_or(DEFAULT_TYPE);
    if in_file != secret.secret_type {
        put(editor, spec, "type", secret_type, At::After("scope".to_owned()))?;
    }
    if existing.immutable != secret.immutable {
        put(editor, spec, "immutable", secret.immutable.map(Value::Bool), At::Before("encryptedData".to_owned()))?;
    }
    if let Some(items) = spec.get("encryptedData") {
        for key in plan.keys(Action::Drop) {
            editor.remove(items, key)?;
        }
        for (key, item) in &together.items {
            editor.set(items, key, &item_value(item), At::Sorted)?;
        }
    }
    merge_envelopes(editor, existing, spec, plan, together)?;
    if (&existing.labels, &existing.annotations) != (&secret.template_part().0, &secret.template_part().1) {
        put(editor, spec, "template", template_value(secret), At::Last)?;
    }
    Ok(())
}

/// Puts the new shared envelope in, and takes those out that no value refers to any more.
fn merge_envelopes<'a>(
    editor: &mut Editor<'a>,
    existing: &SealedManifest<'a>,
    spec: Node<'a>,
    plan: &DocumentPlan,
    together: &SealedTogether,
) -> Result<(), EditError> {
    let kept: Vec<Kid> = plan
        .keys(Action::Keep)
        .filter_map(|key| existing.sealed.items.get(key))
        .filter(|item| item.envelope.is_none())
        .map(|item| item.value.kid)
        .collect();
    let new = (!together.items.is_empty()).then(|| (together.kid.map_key(), envelope_value(&together.envelope)));
    let Some(envelopes) = spec.get("envelopes") else {
        if let Some(entry) = new {
            editor.insert(spec, "envelopes", &Value::Map(vec![entry]), At::After("encryptedData".to_owned()))?;
        }
        return Ok(());
    };
    for kid in existing.sealed.envelopes.keys().filter(|kid| !kept.contains(kid)) {
        editor.remove(envelopes, &kid.map_key())?;
    }
    if let Some((key, value)) = new {
        editor.insert(envelopes, &key, &value, At::Last)?;
    }
    Ok(())
}

fn put<'a>(
    editor: &mut Editor<'a>,
    mapping: Node<'a>,
    key: &str,
    value: Option<Value>,
    at: At,
) -> Result<(), EditError> {
    match value {
        Some(value) => editor.set(mapping, key, &value, at),
        None if mapping.get(key).is_some() => editor.remove(mapping, key),
        None => Ok(()),
    }
}
