//! Whether kustomize builds the same before and after, but for kind and data: asked of the resolver, file for file.

use std::collections::{BTreeMap, BTreeSet};

use ageseal::kustomize::{Build, Object, Place, Reference, Resolution};

/// The sealed file of each imported entry, by the kustomization and the number of the entry.
pub(super) type Moved = BTreeMap<(String, usize), String>;

/// What differs between two resolutions of a repository, a line each; nothing if all is as it was.
///
/// A reference that named nothing and follows the Secret now is no difference: gives back those apart.
pub(super) fn differences(before: &Resolution, after: &Resolution, moved: &Moved) -> (Vec<String>, Vec<String>) {
    let (mut differing, mut followed) = (BTreeSet::new(), BTreeSet::new());
    for (root, built) in &before.roots {
        let shown = &root.to_string();
        // What was not known before is not known after.
        let Ok(built) = built else { continue };
        let now = match after.roots.get(root) {
            Some(Ok(now)) => now,
            Some(Err(refusal)) => {
                differing.insert(format!("{shown}: {refusal}"));
                continue;
            }
            None => continue,
        };
        objects(shown, built, now, moved, &mut differing);
        references(shown, built, now, &mut differing, &mut followed);
    }
    (differing.into_iter().collect(), followed.into_iter().collect())
}

/// What of an object has to stay: kind and data aside.
type Kept<'a> = (String, Option<&'a str>, String, &'a [String], bool, String);

fn kept<'a>(object: &'a Object, kind: &str) -> Kept<'a> {
    let hash = if object.hashed { "-{hash}" } else { "" };
    let secret_type = object.secret_type.as_deref().filter(|_| kind == "Secret").unwrap_or("Opaque");
    let name = format!("{}{hash}", object.name);
    (kind.to_owned(), object.namespace.as_deref(), name, &object.keys, object.immutable, secret_type.to_owned())
}

fn objects(shown: &str, before: &Build, after: &Build, moved: &Moved, differing: &mut BTreeSet<String>) {
    let was_moved = |object: &Object| match object.source.place {
        Place::Generator { field: "secretGenerator", entry } => {
            moved.contains_key(&(object.source.file.clone(), entry))
        }
        _ => false,
    };
    let of_before =
        before.objects.iter().map(|object| kept(object, if was_moved(object) { "Secret" } else { &object.kind }));
    let sealed: BTreeSet<&String> = moved.values().collect();
    let of_after = after
        .objects
        .iter()
        .map(|object| kept(object, if sealed.contains(&object.source.file) { "Secret" } else { &object.kind }));
    let (mut old, mut new): (Vec<_>, Vec<_>) = (of_before.collect(), of_after.collect());
    old.sort();
    new.sort();
    let describe =
        |one: &Kept<'_>| format!("{} {}{}", one.0, one.1.map_or_else(String::new, |n| format!("{n}/")), one.2);
    for one in old.iter().filter(|one| !new.contains(one)) {
        differing.insert(format!("{shown}: {} would be another one", describe(one)));
    }
    if old.len() != new.len() {
        differing.insert(format!("{shown}: {} objects would become {}", old.len(), new.len()));
    }
}

fn references(
    shown: &str,
    before: &Build,
    after: &Build,
    differing: &mut BTreeSet<String>,
    followed: &mut BTreeSet<String>,
) {
    let place = |one: &Reference| {
        (one.from.kind.clone(), one.from.namespace.clone(), one.from.name.clone(), one.path.clone(), one.key.clone())
    };
    let new: BTreeMap<_, &Reference> = after.references.iter().map(|one| (place(one), one)).collect();
    let is_secret = |build: &Build, one: &Reference| {
        build.objects.iter().any(|object| {
            (object.kind == "Secret" || object.kind == ageseal::format::KIND)
                && (&object.name, object.hashed) == (&one.name, one.hashed)
        })
    };
    for one in &before.references {
        let at = format!("{shown}: {} {}: {}", one.from.kind, one.from.name, one.path);
        match new.get(&place(one)) {
            Some(now) if (&now.name, now.hashed, &now.namespace) == (&one.name, one.hashed, &one.namespace) => {}
            Some(now) if !is_secret(before, one) && is_secret(after, now) => {
                followed.insert(at);
            }
            _ => {
                differing.insert(format!("{at} would name another one"));
            }
        }
    }
}
