//! All roots of a repository at once.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::NAMES;
use super::accumulate;
use super::files::{Files, join, parent};
use super::finish::{Finished, finish};
use super::model::{Build, Options, Reach, Resolution};
use super::outer;
use super::patched::patches_on;
use super::refusal::{At, Refusal};
use super::session::Session;

/// Builds the kustomization in a folder.
pub(super) fn build(files: &dyn Files, folder: &str, options: &Options) -> Result<Build, Refusal> {
    build_in(&mut Session::new(files, options), folder).map(|finished| finished.build)
}

/// Builds the kustomization in a folder, as it stands there.
pub(super) fn build_in(session: &mut Session<'_>, folder: &str) -> Result<Finished, Refusal> {
    let at = At::new(folder, 1);
    let outside = || at.unmodelled("outside-repository", "this folder is not in the repository");
    let folder = join("", folder).and_then(|folder| session.real(&folder)).ok_or_else(outside)?;
    let kustomization = session.kustomization(&folder)?;
    let acc = match session.built().get(&folder) {
        Some(known) => known.clone()?,
        None => {
            let start = Default::default();
            Rc::new(accumulate::enter(session, &mut Vec::new(), &folder, &kustomization, None, start)?)
        }
    };
    finish(&kustomization.at, &acc, &Default::default())
}

/// Finds every root and builds each.
pub(super) fn resolve(files: &dyn Files, options: &Options) -> Resolution {
    let mut session = Session::new(files, options);
    let paths = session.paths();
    let is_kustomization = |path: &&String| NAMES.contains(&path.rsplit('/').next().unwrap_or(path));
    let folders: BTreeSet<String> = paths.iter().filter(is_kustomization).map(|path| parent(path).to_owned()).collect();
    let mut resolution = Resolution::default();
    for answer in outer::settle(&mut session, &paths, &folders) {
        match &answer.built {
            Ok(build) => {
                for (index, object) in build.objects.iter().enumerate() {
                    let at = (answer.root.clone(), index);
                    resolution.index.entry(object.source.file.clone()).or_default().push(at.clone());
                    for patch in patches_on(&object.chain) {
                        resolution.patched.entry(patch).or_default().push(at.clone());
                    }
                }
            }
            Err(_) => drop(resolution.refused.insert(answer.root.clone(), answer.reach)),
        }
        if let Some(namespace) = answer.namespace {
            resolution.namespaces.insert(answer.root.clone(), namespace);
        }
        resolution.roots.insert(answer.root, answer.built);
    }
    resolution
}

/// The kustomizations that no other one includes.
pub(super) struct Bare(Vec<String>);

impl Bare {
    /// Finds them.
    pub(super) fn find(session: &mut Session<'_>, folders: &BTreeSet<String>) -> Self {
        let included = included(session, folders);
        let stands_alone = |folder: &&String| {
            let is_component = session.kustomization(folder).is_ok_and(|kustomization| kustomization.is_component);
            // Kustomizations in a circle include each other: each of them is a root, so that none goes unsaid.
            !is_component && (!included.contains(*folder) || in_circle(session, folder))
        };
        Self(folders.iter().filter(stands_alone).cloned().collect())
    }

    /// Those that no outer layer names.
    pub(super) fn folders<'b>(&'b self, named: &BTreeSet<String>) -> impl Iterator<Item = &'b str> {
        self.0.iter().filter(|folder| !named.contains(*folder)).map(String::as_str)
    }
}

/// What the kustomization in a folder may read.
pub(super) fn reach_of(files: &dyn Files, folder: &str, options: &Options) -> Reach {
    reach(&mut Session::new(files, options), vec![folder.to_owned()])
}

/// What kustomizations may read, as far as their lists and those of all that they include tell.
pub(super) fn reach(session: &mut Session<'_>, folders: Vec<String>) -> Reach {
    let mut reach = Reach::default();
    let mut seen = BTreeSet::new();
    let mut next = folders;
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
