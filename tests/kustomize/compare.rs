//! One folder of one tree, built by both sides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::kustomize::{Build, Files, LoadRestriction, Memory, Options, Place, Refusal, Resolution, build, resolve};

use zeroize::Zeroizing;

use crate::archive::{Entry, Tree};
use crate::builder::KUSTOMIZE;
use crate::oracle::{self, Built, HASH, Thing};

/// What the values of the Secrets of the case files are.
pub const VALUE: &str = "not-a-real-one";

/// What came of a folder on both sides.
pub struct Both {
    pub real: Result<Vec<Built>, String>,
    pub ours: Result<Build, Refusal>,
}

/// A tree on the disk, with its symbolic links.
struct Disk(PathBuf);

impl Files for Disk {
    fn read(&self, path: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.real(path)?;
        std::fs::read(self.0.join(path)).ok().map(Zeroizing::new)
    }

    fn is_file(&self, path: &str) -> bool {
        self.real(path).is_some() && self.0.join(path).is_file()
    }

    fn is_folder(&self, path: &str) -> bool {
        self.real(path).is_some() && self.0.join(path).is_dir()
    }

    fn paths(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), root, found);
                } else {
                    found.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.0, &self.0, &mut found);
        found.sort();
        found
    }

    fn real(&self, path: &str) -> Option<String> {
        let real = self.0.join(path).canonicalize().ok()?;
        Some(real.strip_prefix(&self.0).ok()?.to_str()?.to_owned())
    }
}

/// Our answer alone. `root` is where the tree is written, for its links.
pub fn ours(tree: &Tree, root: &Path, folder: &str, load_any: bool) -> Result<Build, Refusal> {
    let restriction = if load_any { LoadRestriction::None } else { LoadRestriction::RootOnly };
    let options = Options::default().with_load_restriction(restriction);
    let mut memory = Memory::default();
    for (path, entry) in tree {
        match entry {
            Entry::File(bytes) => memory.0.insert(path.clone(), bytes.clone()),
            Entry::Link(_) => return build(&Disk(root.to_owned()), folder, &options),
        };
    }
    build(&memory, folder, &options)
}

/// What we make of every root of a tree at once.
pub fn resolved(tree: &Tree) -> Resolution {
    let files = tree.iter().filter_map(|(path, entry)| match entry {
        Entry::File(bytes) => Some((path.clone(), bytes.clone())),
        Entry::Link(_) => None,
    });
    resolve(&Memory(files.collect()), &Options::default())
}

/// Both answers.
pub fn both(tree: &Tree, root: &Path, folder: &str, load_any: bool) -> Both {
    Both { real: oracle::build(&KUSTOMIZE, root, folder, load_any), ours: ours(tree, root, folder, load_any) }
}

/// How the two sides agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agreed {
    /// The same objects and references.
    Same,
    /// Both refuse.
    BothRefuse,
    /// kustomize builds it; we say that we do not model it.
    Unmodelled,
}

/// Compares the two; the text of a disagreement says both sides.
pub fn compare(both: &Both, tree: &Tree) -> Result<Agreed, String> {
    if let Err(refusal) = &both.ours {
        told(refusal, tree)?;
    }
    match (&both.real, &both.ours) {
        (Err(_), Err(_)) => Ok(Agreed::BothRefuse),
        (Ok(_), Err(refusal)) if !refusal.is_broken() => Ok(Agreed::Unmodelled),
        (Ok(real), Err(refusal)) => {
            let lines: Vec<String> = real.iter().map(|built| oracle::line(&built.thing)).collect();
            Err(format!("ours calls it broken: {refusal}\nreal builds it: {}", lines.join("; ")))
        }
        (Err(text), Ok(build)) => {
            let lines: Vec<String> = things(build).iter().map(oracle::line).collect();
            Err(format!("ours builds it: {}\nreal refuses: {}", lines.join("; "), text.trim()))
        }
        (Ok(real), Ok(build)) => {
            sane(build, tree)?;
            same(real, build).map(|()| Agreed::Same)
        }
    }
}

/// Our objects in the shape of the oracle's.
fn things(build: &Build) -> Vec<Thing> {
    let mut uses: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for reference in &build.references {
        uses.entry(&reference.from).or_default().push(reference);
    }
    let named = |name: &str, hashed: bool| if hashed { format!("{name}{HASH}") } else { oracle::without_hash(name) };
    let of = |object: &ageseal::kustomize::Object| {
        let from = uses.iter().find(|(from, _)| {
            (&from.api_version, &from.kind, &from.namespace, &from.name)
                == (&object.api_version, &object.kind, &object.namespace, &object.name)
        });
        let uses = from.into_iter().flat_map(|(_, references)| references.iter());
        let uses = uses.map(|reference| {
            let name = named(&reference.name, reference.hashed);
            (reference.path.clone(), name, reference.key.clone(), reference.optional)
        });
        let secret = ["Secret", "SealedSecret"].contains(&object.kind.as_str());
        Thing {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone().unwrap_or_default(),
            name: named(&object.name, object.hashed),
            keys: if secret { object.keys.clone() } else { Vec::new() },
            immutable: secret && object.immutable,
            secret_type: object.secret_type.clone().filter(|_| secret).unwrap_or_default(),
            uses: uses.collect(),
        }
    };
    build.objects.iter().map(of).collect()
}

fn same(real: &[Built], build: &Build) -> Result<(), String> {
    let mut left: Vec<&Built> = real.iter().collect();
    let mut right = things(build);
    left.sort_by(|a, b| a.thing.cmp(&b.thing));
    right.sort();
    let id = |thing: &Thing| format!("{} {} {}/{}", thing.api_version, thing.kind, thing.namespace, thing.name);
    let (real_ids, our_ids): (Vec<String>, Vec<String>) =
        (left.iter().map(|built| id(&built.thing)).collect(), right.iter().map(id).collect());
    if real_ids != our_ids {
        let only = |a: &[String], b: &[String]| {
            let mut rest = b.to_vec();
            let mut only = Vec::new();
            for id in a {
                match rest.iter().position(|other| other == id) {
                    Some(at) => drop(rest.remove(at)),
                    None => only.push(id.clone()),
                }
            }
            only.join("; ")
        };
        return Err(format!(
            "objects differ\nonly ours: {}\nonly real: {}",
            only(&our_ids, &real_ids),
            only(&real_ids, &our_ids)
        ));
    }
    for (built, ours) in left.into_iter().zip(&right) {
        let real = &built.thing;
        let said = |thing: &Thing| {
            format!("{} {:?} {:?} immutable={}", id(thing), thing.secret_type, thing.keys, thing.immutable)
        };
        if said(real) != said(ours) {
            return Err(format!("an object differs\nours: {}\nreal: {}", said(ours), said(real)));
        }
        // Ours may know places that the oracle's walker does not: what it reads there must be what is there.
        let missing: Vec<_> = real.uses.iter().filter(|used| !ours.uses.contains(*used)).collect();
        let wrong: Vec<_> = ours
            .uses
            .iter()
            .filter(|used| !real.uses.contains(*used))
            .map(|used| (used, oracle::value_at(&built.yaml, &used.0)))
            .filter(|((_, name, ..), there)| there.as_deref().map(oracle::without_hash).as_ref() != Some(name))
            .collect();
        if !missing.is_empty() || !wrong.is_empty() {
            return Err(format!(
                "references of {} differ\nours: {:?}\nreal: {missing:?}\nours names what is not there: {wrong:?}",
                id(real),
                ours.uses
            ));
        }
    }
    // What an object of the cluster names may be in any namespace, but in one that the object says.
    for reference in &build.references {
        let said =
            real.iter().any(|built| reference.namespace.as_ref().is_some_and(|name| oracle::holds(&built.yaml, name)));
        let from = reference.from.namespace.as_ref();
        if reference.namespace.as_ref() != from && !(from.is_none() && said) {
            return Err(format!("a reference looks into another namespace: {reference:?}"));
        }
    }
    Ok(())
}

/// What must hold of every refusal: it names a place that is in the tree, and says no value.
fn told(refusal: &Refusal, tree: &Tree) -> Result<(), String> {
    let said = format!("{refusal:?}");
    if said.contains(VALUE) {
        return Err(format!("a refusal says a value: {said}"));
    }
    let file = refusal.file();
    let there = match tree.get(file) {
        Some(Entry::File(bytes)) => {
            let breaks = bytes.iter().filter(|byte| [b'\n', b'\r'].contains(byte)).count();
            (1..=breaks + 1).contains(&refusal.line())
        }
        Some(Entry::Link(_)) => true,
        None => file.is_empty() || tree.keys().any(|path| path.starts_with(&format!("{file}/"))),
    };
    if there { Ok(()) } else { Err(format!("a refusal names a place that is not in the tree: {refusal}")) }
}

/// What must hold of our answer whatever kustomize says: every place that it names is in the tree.
fn sane(build: &Build, tree: &Tree) -> Result<(), String> {
    if tree.values().any(|entry| matches!(entry, Entry::Link(_))) {
        return Ok(());
    }
    let at = |file: &str, line: usize| match tree.get(file) {
        Some(Entry::File(bytes)) => {
            let breaks = bytes.iter().filter(|byte| [b'\n', b'\r'].contains(byte)).count();
            (1..=breaks + 1).contains(&line)
        }
        _ => false,
    };
    for object in &build.objects {
        if !at(&object.source.file, object.source.line) {
            return Err(format!("a source that is not in the tree: {:?}", object.source));
        }
        if let Some(step) = object.chain.iter().find(|step| !at(&step.file, step.line)) {
            return Err(format!("a step that is not in the tree: {step:?}"));
        }
        let Some(Entry::File(bytes)) = tree.get(&object.source.file) else { continue };
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().nth(object.source.line - 1).unwrap_or_default();
        let generator = matches!(object.source.place, Place::Generator { .. });
        if line.trim().is_empty() || (generator && !text.contains(&object.original.1)) {
            return Err(format!("a source that is not where it says: {object:?}"));
        }
    }
    Ok(())
}
