//! The edits of a kustomization: a shadow that is added or kept in step, a generator that becomes one, a file that is listed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use rand_core::CryptoRngCore;

use super::entry::{Document, Entry, entry_for, merged_entry_for, root, switches_hashes_off};
use crate::kustomize::{LOCAL, field, follow};
use crate::problem::Problem;
use crate::yaml::{EditError, Editor, Kind, Node, Place, Stream, Value};

/// What a number is called that is of no data key.
pub(crate) const REVISION: &str = "rev";

/// Bytes of a random number: two that are equal by chance would keep pods from rolling, and nothing worse.
const RANDOM: usize = 10;

/// A document that is sealed, and what its shadow is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// The document.
    pub document: Document<'a>,
    /// Its data keys.
    pub keys: &'a [&'a str],
    /// Whether the name gets a hash.
    pub hashed: bool,
}

/// Adds a shadow, or gives the one that is there a number for every key that has none.
///
/// None if nothing is to be done. A shadow without a hash has no numbers: nothing would come of them.
///
/// # Errors
/// The list of generators is written in a way that leaves no place for an entry.
pub fn add(
    kustomization: &Stream,
    sealed: Sealed<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<Option<Stream>, Problem> {
    let root = mapping(kustomization)?;
    if let Some(entry) = entry_for(root, sealed.document) {
        if !sealed.hashed {
            return Ok(None);
        }
        let there = literals(&entry)?;
        let lacking = sealed.keys.iter().filter(|key| there.iter().all(|(_, name, _)| name != *key));
        let lacking: BTreeSet<&str> = lacking.copied().collect();
        return change_alone(kustomization, &entry, &lacking, &BTreeSet::new(), rng);
    }
    let mut editor = Editor::new(kustomization);
    append(&mut editor, root, "secretGenerator", shadow(sealed, rng))?;
    finish(editor).map(Some)
}

/// What becomes of the values of one document.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    /// The document.
    pub document: Document<'a>,
    /// The keys whose values changed or are new.
    pub changed: &'a BTreeSet<&'a str>,
    /// The keys that went.
    pub removed: &'a BTreeSet<&'a str>,
}

/// Keeps a shadow in step with its document: a new number for each key whose value changed or is new, none any more for
/// those that went.
///
/// None if there is no shadow for the document, if it has no hash, or if nothing changed.
///
/// # Errors
/// The shadow is written in a way that cannot be edited.
pub fn refresh(
    kustomization: &Stream,
    changes: Changes<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<Option<Stream>, Problem> {
    match refresh_all(kustomization, &[changes], rng) {
        Ok(refreshed) => Ok(refreshed.map(|(stream, _)| stream)),
        Err(mut problems) => Err(problems.swap_remove(0)),
    }
}

/// Keeps the shadows of several documents in step, in one edit of their kustomization; says for each of the changes whether
/// a shadow moved by it.
///
/// None if nothing changed. Documents that share a shadow share its numbers: a key that changed in one of them and went from
/// another one has a new number.
///
/// # Errors
/// Every shadow that is written in a way that cannot be edited, at least one.
pub fn refresh_all(
    kustomization: &Stream,
    changes: &[Changes<'_>],
    rng: &mut impl CryptoRngCore,
) -> Result<Option<(Stream, Vec<bool>)>, Vec<Problem>> {
    let Some(root) = root(kustomization) else { return Ok(None) };
    let mut shadows: Vec<(Entry<'_>, BTreeSet<&str>, BTreeSet<&str>)> = Vec::new();
    let shadow_of: Vec<Option<usize>> = changes
        .iter()
        .map(|one| {
            let entry = entry_for(root, one.document)?;
            if !entry.local || !entry.hashed || entry.of_files {
                return None;
            }
            let there = shadows.iter().position(|(other, ..)| other.node == entry.node);
            let at = there.unwrap_or_else(|| {
                shadows.push((entry, BTreeSet::new(), BTreeSet::new()));
                shadows.len() - 1
            });
            shadows[at].1.extend(one.changed);
            shadows[at].2.extend(one.removed);
            Some(at)
        })
        .collect();
    let mut editor = Editor::new(kustomization);
    let (mut moved, mut problems) = (Vec::new(), Vec::new());
    for (entry, changed, removed) in &shadows {
        let removed = removed.difference(changed).copied().collect();
        match change(&mut editor, entry, changed, &removed, rng) {
            Ok(moves) => moved.push(moves),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if editor.is_empty() {
        return Ok(None);
    }
    let stream = finish(editor).map_err(|problem| vec![problem])?;
    let by_it = |(one, at): (&Changes<'_>, &Option<usize>)| {
        at.is_some_and(|at| moved[at]) && !(one.changed.is_empty() && one.removed.is_empty())
    };
    Ok(Some((stream, changes.iter().zip(&shadow_of).map(by_it).collect())))
}

/// Keeps the numbers of an overlay patch in step, in the kustomization that lists the patch: an entry that merges into the
/// shadow of the base moves the hash there, and in no other overlay.
///
/// Where the shadow itself stands in this kustomization, it is kept in step. Without `add`, an entry that is not there is
/// not made. The namespace is that of the shadow, as it is written. None if nothing changed.
///
/// # Errors
/// The list of generators, or the entry, is written in a way that cannot be edited; hashes are switched off here.
pub fn refresh_merged(
    kustomization: &Stream,
    changes: Changes<'_>,
    add: bool,
    rng: &mut impl CryptoRngCore,
) -> Result<Option<Stream>, Problem> {
    let Changes { document, changed, removed } = changes;
    let root = mapping(kustomization)?;
    if entry_for(root, document).is_some() {
        return refresh(kustomization, changes, rng);
    }
    if let Some(entry) = merged_entry_for(root, document) {
        return change_alone(kustomization, &entry, changed, removed, rng);
    }
    if !add || (changed.is_empty() && removed.is_empty()) {
        return Ok(None);
    }
    if let Some(at) = switches_hashes_off(kustomization) {
        let fact = "generatorOptions switch the hash off here, and the name of the Secret has one";
        return Err(Problem::error("no-hash", fact)
            .at(at)
            .hint("write disableNameSuffixHash into the options of those generators that it is for"));
    }
    let mut entry = vec![("name", Value::from(document.name))];
    entry.extend(document.namespace.map(|namespace| ("namespace", Value::from(namespace))));
    entry.push(("behavior", Value::from("merge")));
    // As in the shadow: nothing of it is built.
    let annotations = Value::map([(LOCAL, Value::SingleQuoted("true".to_owned()))]);
    entry.push(("options", Value::map([("annotations", annotations)])));
    // A key that goes gives the overlay the value of the base: by a number that is not of any key.
    let names = if changed.is_empty() { vec![REVISION] } else { changed.iter().copied().collect() };
    entry.push(("literals", Value::Seq(names.into_iter().map(|key| number(key, rng)).collect())));
    let mut editor = Editor::new(kustomization);
    append(&mut editor, root, "secretGenerator", Value::map(entry))?;
    finish(editor).map(Some)
}

/// Turns generators into shadows: each entry, by its index in `secretGenerator`, becomes the shadow of a document.
///
/// Comments within an entry go with it: they may tell of the values.
///
/// # Errors
/// An entry that is an alias, or that something else refers to.
pub fn turn(
    kustomization: &Stream,
    entries: &[(usize, Sealed<'_>)],
    rng: &mut impl CryptoRngCore,
) -> Result<Stream, Problem> {
    let root = mapping(kustomization)?;
    let list: Vec<Node<'_>> = field(root, "secretGenerator").map(|list| list.items().collect()).unwrap_or_default();
    let mut editor = Editor::new(kustomization);
    for (index, sealed) in entries {
        let Some(node) = list.get(*index) else { continue };
        if node.kind() == Kind::Alias {
            return Err(Problem::error("cannot-edit", "this entry is an alias of another one")
                .at(node.location())
                .hint("write the entry out"));
        }
        editor.replace(*node, &shadow(*sealed, rng)).map_err(|error| cannot(&error))?;
    }
    finish(editor)
}

/// Lists a file under `configurations`. None if it is listed.
///
/// # Errors
/// `configurations` is written in a way that leaves no place for an item.
pub fn list_configuration(kustomization: &Stream, file: &str) -> Result<Option<Stream>, Problem> {
    let root = mapping(kustomization)?;
    let there = field(root, "configurations").into_iter().flat_map(|list| list.items());
    if there.filter_map(|item| follow(item).str()).any(|text| text.trim_start_matches("./") == file) {
        return Ok(None);
    }
    let mut editor = Editor::new(kustomization);
    append(&mut editor, root, "configurations", Value::from(file))?;
    finish(editor).map(Some)
}

/// Puts an item behind those of a list, which need not be there.
fn append<'a>(editor: &mut Editor<'a>, root: Node<'a>, name: &str, item: Value) -> Result<(), Problem> {
    let entry = root.entries().filter(|(key, _)| key.str().is_some_and(|key| key.eq_ignore_ascii_case(name))).last();
    let done = match entry {
        None => editor.insert(root, name, &Value::Seq(vec![item]), Place::Last),
        Some((_, list)) if list.is_null() => editor.replace(list, &Value::Seq(vec![item])),
        Some((_, list)) if list.is_sequence() => {
            let end = list.items().count();
            editor.insert_item(list, end, &item)
        }
        Some((_, list)) => {
            return Err(Problem::error("not-a-list", format!("{name} is not a list that can be added to"))
                .at(list.location())
                .hint("write it as a list of its own"));
        }
    };
    done.map_err(|error| cannot(&error))
}

/// Changes the numbers of one shadow; none if nothing changed.
fn change_alone(
    kustomization: &Stream,
    entry: &Entry<'_>,
    changed: &BTreeSet<&str>,
    removed: &BTreeSet<&str>,
    rng: &mut impl CryptoRngCore,
) -> Result<Option<Stream>, Problem> {
    let mut editor = Editor::new(kustomization);
    if change(&mut editor, entry, changed, removed, rng)? { finish(editor).map(Some) } else { Ok(None) }
}

/// Changes the numbers of a shadow, and says whether there was something to change.
fn change<'a>(
    editor: &mut Editor<'a>,
    entry: &Entry<'a>,
    changed: &BTreeSet<&str>,
    removed: &BTreeSet<&str>,
    rng: &mut impl CryptoRngCore,
) -> Result<bool, Problem> {
    let there = literals(entry)?;
    // A key that had no number moves the hash too: by a number that is not of any key.
    let has_number = |key: &str| there.iter().any(|(_, name, _)| *name == key);
    let moves = !changed.is_empty() || removed.iter().any(|key| !has_number(key));
    let Some(list) = entry.literals else {
        if !moves {
            return Ok(false);
        }
        let names = if changed.is_empty() { vec![REVISION] } else { changed.iter().copied().collect() };
        let numbers = Value::Seq(names.into_iter().map(|key| number(key, rng)).collect());
        let null =
            entry.node.entries().find(|(key, _)| key.str().is_some_and(|key| key.eq_ignore_ascii_case("literals")));
        let done = match null {
            Some((_, null)) => editor.replace(null, &numbers),
            None => editor.insert(entry.node, "literals", &numbers, Place::Last),
        };
        return done.map(|()| true).map_err(|error| cannot(&error));
    };
    let mut touched = false;
    for (index, name, node) in &there {
        let done = if removed.contains(name) {
            editor.remove_item(list, *index)
        } else if changed.contains(name) {
            if node.kind() == Kind::Alias {
                return Err(Problem::error("cannot-edit", "this number is an alias of another one")
                    .at(node.location())
                    .hint("write the number out"));
            }
            editor.replace(*node, &number(name, rng))
        } else {
            continue;
        };
        done.map_err(|error| cannot(&error))?;
        touched = true;
    }
    let sorted = there.is_sorted_by_key(|(_, name, _)| *name);
    for key in changed.iter().filter(|key| !has_number(key)) {
        let place =
            there.iter().find(|(_, name, _)| sorted && *name > *key).map_or(list.items().count(), |found| found.0);
        editor.insert_item(list, place, &number(key, rng)).map_err(|error| cannot(&error))?;
        touched = true;
    }
    if !touched && moves {
        let done = match there.iter().find(|(_, name, node)| *name == REVISION && node.kind() != Kind::Alias) {
            Some((_, name, node)) => editor.replace(*node, &number(name, rng)),
            None => editor.insert_item(list, list.items().count(), &number(REVISION, rng)),
        };
        done.map_err(|error| cannot(&error))?;
        touched = true;
    }
    Ok(touched)
}

/// The numbers of a shadow: the index of each, its data key, where it stands.
type Number<'a> = (usize, &'a str, Node<'a>);

fn literals<'a>(entry: &Entry<'a>) -> Result<Vec<Number<'a>>, Problem> {
    let Some(list) = entry.literals else { return Ok(Vec::new()) };
    let own = std::iter::successors(Some(list), Node::parent).any(|above| above == entry.node);
    if !list.is_sequence() || !own {
        return Err(Problem::error("not-a-list", "the literals of this shadow are not a list of its own")
            .at(list.location())
            .hint("write them as a list"));
    }
    let numbers = list.items().enumerate().filter_map(|(index, node)| {
        let key = follow(node).str()?.split_once('=')?.0;
        Some((index, key, node))
    });
    Ok(numbers.collect())
}

/// The entry of a shadow.
fn shadow(sealed: Sealed<'_>, rng: &mut impl CryptoRngCore) -> Value {
    let annotations = Value::map([(LOCAL, Value::SingleQuoted("true".to_owned()))]);
    let mut options = vec![("annotations", annotations)];
    if !sealed.hashed {
        options.push(("disableNameSuffixHash", Value::Bool(true)));
    }
    let mut entry = vec![("name", Value::from(sealed.document.name))];
    entry.extend(sealed.document.namespace.map(|namespace| ("namespace", Value::from(namespace))));
    entry.push(("options", Value::map(options)));
    if sealed.hashed {
        let keys: BTreeSet<&str> = sealed.keys.iter().copied().collect();
        entry.push(("literals", Value::Seq(keys.into_iter().map(|key| number(key, rng)).collect())));
    }
    Value::map(entry)
}

/// A new random number for a data key.
///
/// It stands on a line below its dash: git takes changes of lines that touch each other for a conflict.
fn number(key: &str, rng: &mut impl CryptoRngCore) -> Value {
    let mut bytes = [0; RANDOM];
    rng.fill_bytes(&mut bytes);
    let mut text = format!("{key}=");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Value::Literal(text)
}

fn mapping(kustomization: &Stream) -> Result<Node<'_>, Problem> {
    root(kustomization).ok_or_else(|| Problem::error("not-a-mapping", "the kustomization is not a mapping"))
}

fn finish(editor: Editor<'_>) -> Result<Stream, Problem> {
    editor.finish().map_err(|error| cannot(&error))
}

fn cannot(error: &EditError) -> Problem {
    let problem = Problem::error("cannot-edit", error.to_string())
        .hint("write it in block style, without anchors; nothing was written");
    match error {
        EditError::NoSuchKey { at, .. }
        | EditError::KeyExists { at, .. }
        | EditError::WrongKind { at, .. }
        | EditError::NoSuchItem { at, .. }
        | EditError::Unsupported { at, .. }
        | EditError::Overlap { at }
        | EditError::NotEqual { at } => problem.at(*at),
        _ => problem,
    }
}
