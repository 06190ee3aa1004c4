//! The outline of a sealed file: what kustomize sees of it before anything is sealed. It holds no value.

use crate::format::{API_VERSION, DEFAULT_TYPE, KIND};
use crate::manifest::{SealedManifest, SecretManifest};
use crate::yaml::{EditError, Editor, Stream, Value, render};

/// The outline of a new file.
pub fn outline(secrets: &[SecretManifest<'_>]) -> String {
    let documents: Vec<String> = secrets.iter().map(|secret| render(&document(secret), "\n")).collect();
    documents.join("---\n")
}

/// An existing sealed file, with the outlines of the Secrets that are not in it yet.
///
/// # Errors
/// A text that the outlines cannot be appended to.
pub fn outline_over(
    existing: &Stream,
    sealed: &[SealedManifest<'_>],
    secrets: &[SecretManifest<'_>],
) -> Result<Stream, EditError> {
    let mut editor = Editor::new(existing);
    for secret in secrets.iter().filter(|secret| !sealed.iter().any(|document| document.name == secret.name)) {
        editor.append_document(&document(secret))?;
    }
    editor.finish()
}

/// The file of these Secrets, with their outlines in their places.
///
/// # Errors
/// A text in which they cannot be replaced.
pub fn outline_in_place(source: &Stream, secrets: &[SecretManifest<'_>]) -> Result<Stream, EditError> {
    let mut editor = Editor::new(source);
    for secret in secrets {
        editor.replace(secret.node, &document(secret))?;
    }
    editor.finish()
}

fn document(secret: &SecretManifest<'_>) -> Value {
    let text = |text: &str| Value::SingleQuoted(text.to_owned());
    let mut metadata = vec![("name", text(&secret.name))];
    metadata.extend(secret.namespace.as_deref().map(|namespace| ("namespace", text(namespace))));
    let (labels, annotations) = secret.own_part();
    for (field, map) in [("labels", labels), ("annotations", annotations)] {
        if !map.is_empty() {
            metadata.push((field, Value::map(map.iter().map(|(key, value)| (key.as_str(), text(value))))));
        }
    }
    let mut spec = Vec::new();
    if secret.secret_type != DEFAULT_TYPE {
        spec.push(("type", text(&secret.secret_type)));
    }
    spec.extend(secret.immutable.map(|immutable| ("immutable", Value::Bool(immutable))));
    spec.push(("encryptedData", Value::map(secret.data.keys().map(|key| (key.as_str(), Value::Map(vec![]))))));
    Value::map([
        ("apiVersion", Value::Plain(API_VERSION.to_owned())),
        ("kind", Value::Plain(KIND.to_owned())),
        ("metadata", Value::map(metadata)),
        ("spec", Value::map(spec)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ObjectKind, objects};

    const SOURCE: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  labels: {a: b}\nstringData:\n  password: hunter2\n---\nkind: ConfigMap\nmetadata: {name: c}\n";

    fn secrets(stream: &Stream) -> Vec<SecretManifest<'_>> {
        let objects = objects(stream).filter(|object| object.kind == ObjectKind::Secret);
        objects.filter_map(|object| SecretManifest::read(object.node, 0).manifest).collect()
    }

    #[test]
    fn an_outline_names_the_keys_and_holds_no_value() {
        let source = Stream::parse(SOURCE.to_owned()).unwrap();
        let text = outline(&secrets(&source));
        assert_eq!(
            text,
            "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: 'db'\nspec:\n  encryptedData:\n    password: {}\n"
        );
        let in_place = outline_in_place(&source, &secrets(&source)).unwrap();
        assert!(!in_place.text().contains("hunter2"));
        let kinds: Vec<_> = objects(&in_place).map(|object| (object.kind, object.name())).collect();
        assert_eq!(kinds, [(ObjectKind::SealedSecret, Some("db")), (ObjectKind::Other, Some("c"))]);
    }
}
