//! Generators of Secrets and ConfigMaps. The values of what they generate are not kept.

use std::rc::Rc;

use super::accumulate::{Acc, Level};
use super::fields::Entry;
use super::kustomization::Generator;
use super::model::{Place, Source, Step};
use super::refusal::{At, Refusal};
use super::resource::{Behavior, Res};
use super::session::show;
use super::value::{Data, Map, Value};

/// The longest line of a file of variables. Go's reader silently ends there.
const MAX_LINE: usize = 64 * 1024;

/// The annotation by which kustomize remembers that a name gets a hash.
const NEEDS_HASH: &str = "internal.config.kubernetes.io/needsHashSuffix";

/// Whether an object of a file asks for a hash with kustomize's own annotation.
pub(super) fn asks_for_hash(resource: &Res) -> bool {
    resource.metadata("annotations").any(|(key, value)| key == NEEDS_HASH && value.scalar() == Some("enabled"))
}

/// Generates one object and puts it among the others.
pub(super) fn add(
    level: &mut Level<'_, '_>,
    acc: &mut Acc,
    at: &At,
    place: Place,
    kind: &str,
    generator: &Generator,
) -> Result<(), Refusal> {
    if generator.name.is_empty() {
        return Err(at.broken("missing-name", "a generator has no name"));
    }
    let keys = keys(level, at, generator)?;
    let mut resource =
        Res::new(object(kind, generator, keys), Source { file: at.file.to_string(), line: at.line, place });
    resource.needs_hash = !generator.options.no_hash;
    let behavior = match generator.behavior.as_str() {
        "merge" => Behavior::Merge,
        "replace" => Behavior::Replace,
        // A word that kustomize does not know means create.
        _ => Behavior::Create,
    };
    let field = if kind == "Secret" { "secretGenerator" } else { "configMapGenerator" };
    let said =
        if generator.behavior.is_empty() { String::new() } else { format!(", behavior: {}", generator.behavior) };
    let what = format!("{field}: {}{said}", generator.name);
    resource.step(&Rc::new(Step { file: at.file.to_string(), line: at.line, what }));
    absorb(at, acc, resource, behavior)
}

fn object(kind: &str, generator: &Generator, keys: Vec<String>) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".into(), Value::str(&generator.name));
    if !generator.namespace.is_empty() {
        metadata.insert("namespace".into(), Value::str(&generator.namespace));
    }
    let mut object = Value::map(Map::new());
    object.set("apiVersion", Value::str("v1"));
    object.set("kind", Value::str(kind));
    object.set("metadata", Value::map(metadata));
    for (field, entries) in [("labels", &generator.options.labels), ("annotations", &generator.options.annotations)] {
        for (key, value) in entries {
            object.child("metadata").child(field).set(key, Value::str(value));
        }
    }
    if kind == "Secret" {
        let secret_type = if generator.secret_type.is_empty() { "Opaque" } else { &generator.secret_type };
        object.set("type", Value::str(secret_type));
    }
    let data = keys.into_iter().map(|key| (key.into(), Value::hidden())).collect();
    object.set("data", Value::map(data));
    if generator.options.immutable {
        let data = Data::Plain("true".into(), crate::yaml::PlainType::Bool);
        object.set("immutable", Value { line: 0, data });
    }
    object
}

/// The data keys, from variables, literals and files, in this order.
fn keys(level: &mut Level<'_, '_>, at: &At, generator: &Generator) -> Result<Vec<String>, Refusal> {
    let mut keys = Vec::new();
    for entry in &generator.envs {
        let at = at.line(entry.line);
        let (file, bytes) = level.session.load(&at, level.folder, &entry.text)?;
        keys.extend(variables(&At::new(&file, 1), &bytes)?);
    }
    keys.extend(generator.literals.iter().map(|entry| entry.text.clone()));
    for entry in &generator.files {
        let at = at.line(entry.line);
        let (key, path) = file_source(&at, entry)?;
        level.session.locate(&at, level.folder, path)?;
        keys.push(key.to_owned());
    }
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(keys),
        Some(pair) => {
            let shown = if pair[0].len() <= 253 { show(&pair[0]) } else { "a key".to_owned() };
            Err(at.broken("duplicate-key", format!("the generator {} has {shown} twice", show(&generator.name))))
        }
    }
}

fn file_source<'e>(at: &At, entry: &'e Entry) -> Result<(&'e str, &'e str), Refusal> {
    let source = entry.text.as_str();
    match source.split_once('=') {
        None => Ok((source.trim_end_matches('/').rsplit('/').next().unwrap_or(source), source)),
        Some((key, path)) if !key.is_empty() && !path.is_empty() && !path.contains('=') => Ok((key, path)),
        Some(_) => Err(at.broken("bad-file-source", "an entry of files is not of the form path or key=path")),
    }
}

/// The keys in a file of variables.
fn variables(at: &At, bytes: &[u8]) -> Result<Vec<String>, Refusal> {
    let mut keys = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let here = at.line(index + 1);
        if line.len() >= MAX_LINE - 1 {
            return Err(here.unmodelled("long-line", "kustomize silently drops this line and all that follow it"));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if index == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        let Ok(line) = std::str::from_utf8(line) else {
            return Err(here.broken("not-utf8", "this line is not UTF-8"));
        };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = line.split_once('=').map_or(line, |(key, _)| key);
        if !key.is_empty() {
            keys.push(key.to_owned());
        }
    }
    Ok(keys)
}

/// Puts a generated object among the others, or over the one that it merges with.
fn absorb(at: &At, acc: &mut Acc, mut new: Res, behavior: Behavior) -> Result<(), Refusal> {
    let id = new.id();
    let matches: Vec<usize> = (0..acc.resources.len()).filter(|index| acc.resources[*index].is_or_was(&id)).collect();
    match (matches.as_slice(), behavior) {
        ([], Behavior::Create) => {
            acc.resources.push(new);
            Ok(())
        }
        ([], _) => Err(at.broken("nothing-to-merge", format!("there is no {id} to merge with or to replace"))),
        ([_], Behavior::Create) => Err(at
            .broken("id-collision", format!("there is a {id} already"))
            .hinted("say behavior: merge or behavior: replace")),
        ([index], _) => {
            let old = &acc.resources[*index];
            if behavior == Behavior::Merge && new.kind() == "Secret" && has_string_data(old) {
                let message = "what becomes of stringData in a merge differs between versions of kustomize";
                return Err(at.unmodelled("merged-string-data", message));
            }
            take_over(&mut new, old, behavior);
            acc.resources[*index] = new;
            Ok(())
        }
        _ => Err(at.broken("several-to-merge", format!("several objects are or were {id}"))),
    }
}

fn has_string_data(resource: &Res) -> bool {
    resource.value.get("stringData").is_some_and(|data| !data.is_null())
}

/// What the new object keeps of the old one.
fn take_over(new: &mut Res, old: &Res, behavior: Behavior) {
    for field in ["labels", "annotations"] {
        for (key, value) in old.metadata(field) {
            if !new.metadata(field).any(|(known, _)| known == key) {
                new.value.child("metadata").child(field).set(key, value.clone());
            }
        }
    }
    if behavior == Behavior::Merge {
        for field in ["data", "binaryData"] {
            for (key, value) in old.value.get(field).and_then(Value::as_map).into_iter().flatten() {
                if new.value.at(&[field, key]).is_none_or(|value| value.is_null()) {
                    new.value.child(field).set(key, value.clone());
                }
            }
        }
    }
    let (name, namespace) = (old.name().to_owned(), old.namespace().to_owned());
    new.set_name(&name);
    new.set_namespace(&namespace);
    new.previous.clone_from(&old.previous);
    new.prefixes.clone_from(&old.prefixes);
    new.suffixes.clone_from(&old.suffixes);
    new.needs_hash &= old.needs_hash;
    new.origin = old.origin.clone();
    let steps = std::mem::take(&mut new.chain);
    new.chain.clone_from(&old.chain);
    new.chain.extend(steps);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_kustomize_reads_them() {
        let at = At::new("e", 1);
        let text = "\u{feff}A=1\r\n  B = 2\n# c\n\nexport C=3\nD\n=x\n \u{a0}E=x=y";
        assert_eq!(variables(&at, text.as_bytes()).unwrap(), ["A", "B ", "export C", "D", "E"]);
        assert!(variables(&at, b"A=1\n\xff=2").unwrap_err().is_broken());
        let long = format!("A=1\nB={}\n", "x".repeat(70_000));
        assert!(!variables(&at, long.as_bytes()).unwrap_err().is_broken());
    }

    #[test]
    fn sources_of_files_have_one_equals_sign_at_most() {
        let at = At::new("k", 1);
        let source = |text: &str| {
            let entry = Entry { text: text.to_owned(), line: 1 };
            file_source(&at, &entry).map(|(key, path)| (key.to_owned(), path.to_owned())).ok()
        };
        assert_eq!(source("a/b.txt"), Some(("b.txt".into(), "a/b.txt".into())));
        assert_eq!(source("k=a/b.txt"), Some(("k".into(), "a/b.txt".into())));
        for bad in ["=a", "k=", "a=b=c"] {
            assert_eq!(source(bad), None, "{bad}");
        }
    }
}
