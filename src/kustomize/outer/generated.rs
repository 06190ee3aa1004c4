//! The kustomization that Flux generates for a folder without one.
//!
//! Source: `fluxcd/pkg`, `kustomize/kustomize_generator.go` (`scanManifests`): every file below that ends in `.yaml` or `.yml`
//! has to hold objects and is a resource; a folder with a kustomization is a resource as a whole, and is not entered. The
//! artifact leaves out what `fluxcd/pkg/sourceignore` names by default, and what `.sourceignore` names.

use std::collections::BTreeSet;

use super::World;
use super::instance::BY_HAND;
use super::place::lies_in;
use crate::kustomize::fields::Entry;
use crate::kustomize::files::{NOT_WALKED, is_walked, parent};
use crate::kustomize::kustomization::Kustomization;
use crate::kustomize::refusal::{At, Refusal};
use crate::kustomize::session::{below, show};

/// Folders that are never in an artifact.
const FOLDERS: [&str; 3] = [".git", ".github", ".circleci"];

/// Files that are never in an artifact, wherever they are.
const FILES: [&str; 10] = [
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    ".goreleaser.yml",
    ".sops.yaml",
    ".flux.yaml",
];

/// What Flux would write into the kustomization of a folder. Each entry has the place where the folder is named.
pub(super) fn kustomization(world: &World<'_, '_>, named: &At, folder: &str) -> Result<Kustomization, Refusal> {
    let mut generated = Kustomization::empty(named);
    generated.resources = resources(world, named, folder)?
        .into_iter()
        .map(|path| Entry { text: format!("./{path}"), line: named.line })
        .collect();
    Ok(generated)
}

/// The resources that Flux finds in a folder, from there: files, and folders with a kustomization.
pub(super) fn resources(world: &World<'_, '_>, named: &At, folder: &str) -> Result<BTreeSet<String>, Refusal> {
    if !is_walked(folder) {
        let message = format!("{} is not looked into here, and Flux takes its files", show(folder));
        return Err(named.unmodelled("not-walked", message).hinted("write a kustomization.yaml there"));
    }
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::from([folder.to_owned()]);
    let ignores = |path: &&String| lies_in(parent(path), folder) || lies_in(folder, parent(path));
    if let Some(path) = world.ignoring.iter().find(ignores) {
        let message = format!("{} is generated without what {path} names", show_folder(folder));
        return Err(named.unmodelled("source-ignore", message).hinted("write a kustomization.yaml there"));
    }
    for (_, inside) in world.inside(folder) {
        let (above, name) = inside.rsplit_once('/').unwrap_or(("", inside));
        let folders: Vec<&str> = above.split('/').filter(|part| !part.is_empty()).collect();
        if folders.iter().any(|part| FOLDERS.contains(part)) {
            continue;
        }
        let mut walked = String::new();
        let mut whole = None;
        for part in folders {
            walked = below(&walked, part);
            seen.insert(below(folder, &walked));
            if world.kustomizations.contains(&below(folder, &walked)) {
                whole = Some(walked.clone());
                break;
            }
        }
        match whole {
            Some(whole) => drop(found.insert(whole)),
            None if is_taken(name) => drop(found.insert(inside.to_owned())),
            None => {}
        }
    }
    for folder in seen {
        let hidden = NOT_WALKED.map(|name| below(&folder, name));
        if let Some(hidden) = hidden.iter().find(|hidden| world.session.is_folder(hidden)) {
            let message = format!("{hidden} is not looked into here, and Flux takes its files");
            return Err(named.unmodelled("not-walked", message).hinted(BY_HAND));
        }
    }
    Ok(found)
}

fn is_taken(name: &str) -> bool {
    (name.ends_with(".yaml") || name.ends_with(".yml")) && !FILES.contains(&name) && !is_source(name)
}

/// Whether a file is the plaintext that a sealed one is made of: git ignores it, so nobody who fetches has it.
pub(super) fn is_source(name: &str) -> bool {
    [".secret.yaml", ".secret.yml", ".secret.json"].iter().any(|ending| name.ends_with(ending))
}

fn show_folder(folder: &str) -> String {
    if folder.is_empty() {
        "the kustomization of the top".to_owned()
    } else {
        format!("the kustomization of {}", show(folder))
    }
}
