//! From the files of a config to the objects that kustomize gets.
//!
//! The config and the files are of a repository that somebody else may write to. So nothing outside the folder of the
//! kustomization is read, whatever a path or a link says, as kustomize itself has it; nothing is run; and no identity is
//! named there.

use std::fs;
use std::path::{Component, Path, PathBuf};

use ageseal::manifest::{ObjectKind, SealedManifest, objects as objects_of};
use ageseal::open::Live;
use ageseal::problem::Problem;
use ageseal::rewrite::{Shape, secret_value};
use ageseal::scope::{SOME_HASH, Scope};
use ageseal::yaml::{Kind, Node, Value};

use super::config::Config;
use crate::error::{CliError, Errors};
use crate::keys::identities::Keys;
use crate::opening::Opener;
use crate::repository::from_here;
use crate::sealed::SealedFile;
use crate::ui::Ui;

/// The most bytes of all files together.
const MAX_BYTES: usize = 64 * 1024 * 1024;

const NEEDS_HASH: &str = "kustomize.config.k8s.io/needs-hash";
const BEHAVIOR: &str = "kustomize.config.k8s.io/behavior";

/// The objects, in the order of the files: opened with these keys if there are any.
///
/// # Errors
/// Everything that is wrong, at once. There are no objects then.
pub(super) fn objects(ui: &Ui, config: &Config, folder: &Path, keys: Option<&Keys>) -> Result<Vec<Value>, Errors> {
    let folder = fs::canonicalize(folder).map_err(|error| CliError::io("the folder cannot be read", folder, &error))?;
    let opener = keys.map(|keys| Opener::new(ui, keys));
    let (mut found, mut errors, mut bytes) = (Vec::new(), Vec::new(), 0);
    for path in &config.files {
        let file = match place(&folder, path).and_then(|real| SealedFile::read(&from_here(&real))) {
            Ok(file) => file,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        bytes += file.bytes.len();
        if bytes > MAX_BYTES {
            errors.push(CliError::input("the files of the config are larger than 64 MiB together").path(&file.path));
            break;
        }
        match of_file(config, &file, opener.as_ref()) {
            Ok(objects) => found.extend(objects),
            Err(several) => errors.extend(several),
        }
    }
    Errors::none_or(errors)?;
    Ok(found)
}

/// The file that a path of the config means: in the folder of the kustomization or below.
fn place(folder: &Path, path: &str) -> Result<PathBuf, CliError> {
    let shown = Path::new(path);
    let refuse =
        |fact: &str| CliError::input(fact).path(shown).hint("list files below the kustomization, by their way from it");
    let mut parts = shown.components();
    if !parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refuse("this path leads out of the folder of the kustomization"));
    }
    let real =
        fs::canonicalize(folder.join(shown)).map_err(|error| CliError::io("the file cannot be read", shown, &error))?;
    if real.file_name().is_some_and(|name| name == "-") {
        return Err(refuse("a file of this name would be taken for standard input"));
    }
    if !real.starts_with(folder) {
        return Err(refuse("this is a link that leads out of the folder of the kustomization"));
    }
    Ok(real)
}

fn of_file(config: &Config, file: &SealedFile, opener: Option<&Opener<'_>>) -> Result<Vec<Value>, Errors> {
    let said = |problem: &Problem| CliError::problem(&file.path, problem);
    // What is passed over here would be missing in the build, or stand there in plain words.
    let others = objects_of(&file.stream).filter(|object| !is_sealed(object.kind));
    let others: Vec<_> = others
        .map(|object| {
            let fact =
                if object.kind == ObjectKind::Secret { "a plaintext Secret" } else { "an object that is not sealed" };
            let problem = Problem::error("not-sealed", format!("this file holds {fact}")).at(object.node.location());
            said(&problem.hint("list it in resources of the kustomization, if it belongs there"))
        })
        .collect();
    Errors::none_or(others)?;
    let documents = file.documents()?;
    if documents.is_empty() {
        return Err(CliError::input("there is no sealed document in this file").path(&file.path).into());
    }
    let mut errors = Vec::new();
    let mut found = Vec::new();
    for document in &documents {
        match of_document(config, file, document, opener) {
            Ok(object) => found.push(object),
            Err(error) => errors.push(error),
        }
    }
    Errors::none_or(errors)?;
    Ok(found)
}

fn is_sealed(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::SealedSecret | ObjectKind::List)
}

fn of_document(
    config: &Config,
    file: &SealedFile,
    document: &SealedManifest<'_>,
    opener: Option<&Opener<'_>>,
) -> Result<Value, CliError> {
    let at = document.node.location();
    let refuse = |fact: String| CliError::input(fact).at(&file.path, at, None);
    if document.is_patch() {
        return Err(refuse(format!("{} is an overlay patch, and no object of its own", document.name))
            .hint("list it in patches of the kustomization"));
    }
    document.sealed.check().map_err(|malformed| refuse(malformed.to_string()))?;
    if let (Some(own), Some(given)) = (&document.namespace, &config.namespace)
        && own != given
    {
        return Err(refuse(format!("{}: the document says namespace {own}, the config {given}", document.name))
            .hint("leave namespace out of the config, or give the document one of its own"));
    }
    let namespace = document.namespace.as_ref().or(config.namespace.as_ref());
    let mut object = match opener {
        None => copied(document.node, true).map_err(|problem| CliError::problem(&file.path, &problem))?,
        Some(opener) => {
            let Some(namespace) = namespace else {
                return Err(refuse(format!(
                    "{}: no namespace, so nothing says where the Secret will be",
                    document.name
                ))
                .hint("write namespace: into the config, or metadata.namespace into the document")
                .hint("what kustomize sets later is not known here"));
            };
            let name = format!("{}{}", document.name, if config.needs_hash { SOME_HASH } else { "" });
            let live = Live { namespace, name: &name };
            check_scopes(config, file, document, live)?;
            let opened = opener.open_live(&file.path, document, live)?;
            secret_value(document, &opened.values, Shape::Data)
        }
    };
    finish(&mut object, config, namespace.map(String::as_str));
    Ok(object)
}

/// Tells a value that is sealed for elsewhere before anything is opened; opening holds the same against it again.
fn check_scopes(
    config: &Config,
    file: &SealedFile,
    document: &SealedManifest<'_>,
    live: Live<'_>,
) -> Result<(), CliError> {
    let items = document.sealed.items.iter();
    let scopes = items.filter_map(|(key, item)| Some((key, document.sealed.effective_scope(item)?)));
    let elsewhere = |(_, scope): &(&String, &Scope)| !scope.matches(live.namespace, live.name);
    let Some((key, scope)) = scopes.into_iter().find(elsewhere) else { return Ok(()) };
    let (hash, hint) = if config.needs_hash {
        ("-{hash}", "with needsHash the name ends in a hash, and the scope has to say so: NAMESPACE/NAME-{hash}")
    } else {
        ("", "say the namespace that it is sealed for, or seal it again from its source for this one")
    };
    let at = document.item_node(key).unwrap_or(document.node).location();
    let fact = format!("{key} is sealed for {scope}; the Secret would be {}/{}{hash}", live.namespace, document.name);
    Err(CliError::cannot_decrypt(fact).at(&file.path, at, None).hint(hint))
}

/// The namespace, and what kustomize is asked to do with the object.
fn finish(object: &mut Value, config: &Config, namespace: Option<&str>) {
    let Some(metadata) = entry(object, "metadata") else { return };
    if let (Some(namespace), Value::Map(fields)) = (namespace, &mut *metadata)
        && !fields.iter().any(|(key, _)| key == "namespace")
    {
        fields.push(("namespace".to_owned(), Value::from(namespace)));
    }
    let hash = config.needs_hash.then_some((NEEDS_HASH, "true"));
    let asked: Vec<_> = hash.into_iter().chain(config.behavior.as_deref().map(|it| (BEHAVIOR, it))).collect();
    if asked.is_empty() {
        return;
    }
    if entry(metadata, "annotations").is_none_or(|annotations| !matches!(annotations, Value::Map(_)))
        && let Value::Map(fields) = &mut *metadata
    {
        fields.retain(|(key, _)| key != "annotations");
        fields.push(("annotations".to_owned(), Value::Map(vec![])));
    }
    if let Some(Value::Map(annotations)) = entry(metadata, "annotations") {
        annotations.retain(|(key, _)| asked.iter().all(|(asked, _)| asked != key));
        annotations.extend(asked.into_iter().map(|(key, text)| (key.to_owned(), Value::SingleQuoted(text.to_owned()))));
    }
}

fn entry<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Value> {
    match value {
        Value::Map(entries) => entries.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
        _ => None,
    }
}

/// A node as it says it, without its comments and the way it is written.
///
/// An alias is followed once: one behind another could be a circle, or more than any memory holds.
fn copied(node: Node<'_>, follow: bool) -> Result<Value, Problem> {
    let refused = |fact: &str| Problem::error("not-copied", fact).at(node.location()).hint("write the value out");
    if let Some(target) = node.target() {
        return if follow { copied(target, false) } else { Err(refused("there is an alias behind an alias")) };
    }
    if node.tag().is_some() && !["str", "map", "seq"].iter().any(|name| node.has_core_tag(name)) {
        return Err(refused("there is a YAML tag"));
    }
    Ok(match node.kind() {
        Kind::Mapping => {
            let entry = |(key, value): (Node<'_>, Node<'_>)| match key.as_string() {
                Some(name) if name != "<<" => Ok((name.to_owned(), copied(value, follow)?)),
                _ => Err(refused("there is a key that is no text to every reader")),
            };
            Value::Map(node.entries().map(entry).collect::<Result<_, _>>()?)
        }
        Kind::Sequence => Value::Seq(node.items().map(|item| copied(item, follow)).collect::<Result<_, _>>()?),
        _ => match (node.as_string(), node.as_bool()) {
            (Some(text), _) if text.contains('\n') => Value::Literal(text.to_owned()),
            (Some(text), _) => Value::Str(text.to_owned()),
            (None, Some(flag)) => Value::Bool(flag),
            (None, None) if node.is_null() => Value::Null,
            (None, None) => Value::Plain(node.str().unwrap_or_default().to_owned()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ageseal::yaml::{Stream, render};

    fn copy(text: &str) -> Result<String, &'static str> {
        let stream = Stream::parse(text.to_owned()).unwrap();
        let root = stream.documents().next().unwrap().root().unwrap();
        copied(root, true).map(|value| render(&value, "\n")).map_err(|problem| problem.code)
    }

    #[test]
    fn a_document_is_copied_as_it_says() {
        let text = "a: 'x' # c\nb: {c: 1, d: [true, ~, \"1\"]}\ne: |\n  one\n  two\nf: &f {g: h}\ni: *f\n";
        let copy = copy(text).unwrap();
        assert_eq!(
            copy,
            "a: x\nb:\n  c: 1\n  d:\n  - true\n  - null\n  - \"1\"\ne: |\n  one\n  two\nf:\n  g: h\ni:\n  g: h\n"
        );
    }

    #[test]
    fn circles_and_bombs_are_refused() {
        let mut bomb = "a0: &a0 [x]\n".to_owned();
        for n in 1..12 {
            bomb.push_str(&format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
        }
        for text in ["a: &a {b: *a}\n", "a: &a [x, *a]\n", &bomb, "a: !!binary eA==\n", "1: a\n", "<<: {a: b}\n"] {
            assert_eq!(copy(text), Err("not-copied"), "{text}");
        }
    }

    #[test]
    fn what_is_asked_of_kustomize_is_written_into_the_metadata() {
        let config = Config {
            files: vec![],
            emit: super::super::config::Emit::Secret,
            namespace: Some("x".to_owned()),
            needs_hash: true,
            behavior: Some("merge".to_owned()),
        };
        let made = |metadata: &str| {
            let stream = Stream::parse(format!("metadata: {metadata}\n")).unwrap();
            let root = stream.documents().next().unwrap().root().unwrap();
            let mut value = copied(root, true).unwrap();
            finish(&mut value, &config, config.namespace.as_deref());
            render(&value, "\n")
        };
        let asked = "    kustomize.config.k8s.io/needs-hash: 'true'\n    kustomize.config.k8s.io/behavior: 'merge'\n";
        assert_eq!(made("{name: a}"), format!("metadata:\n  name: a\n  namespace: x\n  annotations:\n{asked}"));
        assert_eq!(
            made("{name: a, namespace: y, annotations: {b: c, kustomize.config.k8s.io/needs-hash: 'false'}}"),
            format!("metadata:\n  name: a\n  namespace: y\n  annotations:\n    b: c\n{asked}")
        );
        assert!(made("{name: a, annotations: null}").ends_with(&format!("  annotations:\n{asked}")));
    }
}
