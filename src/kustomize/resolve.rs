//! All kustomizations of a repository at once.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::NAMES;
use super::accumulate;
use super::files::{Files, join, parent};
use super::finish::finish;
use super::model::{Build, Options, Reach, Resolution};
use super::patched::patches_on;
use super::refusal::{At, Refusal};
use super::session::Session;

/// Builds the kustomization in a folder.
pub(super) fn build(files: &dyn Files, folder: &str, options: &Options) -> Result<Build, Refusal> {
    build_in(&mut Session::new(files, options), folder)
}

fn build_in(session: &mut Session<'_>, folder: &str) -> Result<Build, Refusal> {
    let at = At::new(folder, 1);
    let outside = || at.unmodelled("outside-repository", "this folder is not in the repository");
    let folder = join("", folder).and_then(|folder| session.real(&folder)).ok_or_else(outside)?;
    let kustomization = session.kustomization(&folder)?;
    let acc = match session.built.get(&folder) {
        Some(known) => known.clone()?,
        None => {
            let acc = accumulate::enter(session, &mut Vec::new(), &folder, &kustomization, Default::default())?;
            Rc::new(acc)
        }
    };
    finish(&kustomization.at, &acc)
}

/// Finds every kustomization that no other one includes, and builds each.
pub(super) fn resolve(files: &dyn Files, options: &Options) -> Resolution {
    let mut session = Session::new(files, options);
    let folders: BTreeSet<String> = session
        .paths()
        .iter()
        .filter(|path| NAMES.contains(&path.rsplit('/').next().unwrap_or(path)))
        .map(|path| parent(path).to_owned())
        .collect();
    let included = included(&mut session, &folders);
    let mut resolution = Resolution::default();
    for folder in &folders {
        let is_component = session.kustomization(folder).is_ok_and(|kustomization| kustomization.is_component);
        // Kustomizations in a circle include each other: each of them is a root, so that none goes unsaid.
        if is_component || included.contains(folder) && !in_circle(&mut session, folder) {
            continue;
        }
        let built = build_in(&mut session, folder);
        match &built {
            Ok(build) => {
                for (index, object) in build.objects.iter().enumerate() {
                    resolution.index.entry(object.source.file.clone()).or_default().push((folder.clone(), index));
                    for patch in patches_on(&object.chain) {
                        resolution.patched.entry(patch).or_default().push((folder.clone(), index));
                    }
                }
            }
            Err(_) => {
                resolution.refused.insert(folder.clone(), reach(&mut session, folder));
            }
        }
        resolution.roots.insert(folder.clone(), built);
    }
    resolution
}

/// What the kustomization in a folder may read.
pub(super) fn reach_of(files: &dyn Files, folder: &str, options: &Options) -> Reach {
    reach(&mut Session::new(files, options), folder)
}

/// What a kustomization may read, as far as its lists and those of all that it includes tell.
fn reach(session: &mut Session<'_>, folder: &str) -> Reach {
    let mut reach = Reach::default();
    let mut seen = BTreeSet::new();
    let mut next = vec![folder.to_owned()];
    while let Some(folder) = next.pop() {
        if !seen.insert(folder.clone()) {
            continue;
        }
        reach.folders.insert(folder.clone());
        let Ok(kustomization) = session.kustomization(&folder) else {
            for path in session.named_in(&folder) {
                if session.is_folder(&path) {
                    next.push(path);
                } else {
                    reach.files.insert(path);
                }
            }
            reach.unknown.insert(folder);
            continue;
        };
        let lists = [&kustomization.resources, &kustomization.generators];
        for entry in lists.into_iter().flatten() {
            // A link is the file that it leads to, as everywhere.
            let listed = join(&folder, &entry.text).map(|path| session.real(&path).unwrap_or(path));
            reach.files.extend(listed);
        }
        next.extend(includes(session, &folder));
    }
    reach
}

/// The folders that any kustomization includes, whether it can be built or not.
fn included(session: &mut Session<'_>, folders: &BTreeSet<String>) -> BTreeSet<String> {
    folders.iter().flat_map(|folder| includes(session, folder)).collect()
}

/// The folders that one kustomization includes.
fn includes(session: &mut Session<'_>, folder: &str) -> Vec<String> {
    let Ok(kustomization) = session.kustomization(folder) else { return Vec::new() };
    let lists =
        [&kustomization.resources, &kustomization.components, &kustomization.generators, &kustomization.transformers];
    let entries = lists.into_iter().flatten();
    entries.filter_map(|entry| session.folder(&kustomization.at, folder, &entry.text).ok()).collect()
}

/// Whether one kustomization includes another, on whatever way, as far as that can be ruled out: one that is not modelled
/// is taken to include every folder that it names anywhere.
pub(super) fn may_reach(session: &mut Session<'_>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(folder) = next.pop() {
        if folder == to {
            return true;
        }
        if seen.insert(folder.clone()) {
            let known = session.kustomization(&folder).is_ok();
            next.extend(if known { includes(session, &folder) } else { session.named_in(&folder) });
        }
    }
    false
}

/// Whether a folder includes itself, on whatever way.
fn in_circle(session: &mut Session<'_>, folder: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = includes(session, folder);
    while let Some(inner) = next.pop() {
        if inner == folder {
            return true;
        }
        if seen.insert(inner.clone()) {
            next.extend(includes(session, &inner));
        }
    }
    false
}
