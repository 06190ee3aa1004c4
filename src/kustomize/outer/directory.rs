//! A folder that Argo CD applies without kustomize: its files as they are.
//!
//! Source: `argoproj/argo-cd`, `reposerver/repository/repository.go` (`findManifests`, `getPotentiallyValidManifests`,
//! `getObjsFromYAMLOrJson`): files that end in `.yaml`, `.yml`, `.json` or `.jsonnet`, of the folder alone unless `recurse` is set,
//! less what `exclude` fits and what `include` does not. A text that is no manifest is passed over unless it looks like one.

use globset::{Glob, GlobBuilder, GlobMatcher};

use super::World;
use super::generated::is_source;
use super::instance::BY_HAND;
use super::place::lies_in;
use crate::kustomize::accumulate::as_written;
use crate::kustomize::fields::Entry;
use crate::kustomize::files::{NOT_WALKED, is_walked, parent};
use crate::kustomize::read;
use crate::kustomize::refusal::{At, Refusal};
use crate::kustomize::resource::Res;
use crate::kustomize::session::{below, show};

/// Which files of a folder are taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub(super) recurse: bool,
    pub(super) include: Option<Entry>,
    pub(super) exclude: Option<Entry>,
}

/// The objects of the files that are taken.
pub(super) fn files(
    world: &World<'_, '_>,
    named: &At,
    folder: &str,
    selection: &Selection,
) -> Result<Vec<Res>, Refusal> {
    let pattern = |entry: &Option<Entry>| entry.as_ref().map(|entry| pattern(named, entry)).transpose();
    let (include, exclude) = (pattern(&selection.include)?, pattern(&selection.exclude)?);
    let mut objects = Vec::new();
    let taken = world.inside(folder).filter(|(_, inside)| selection.recurse || !inside.contains('/'));
    for (path, inside) in taken {
        let fits = |pattern: &GlobMatcher| pattern.is_match(inside);
        if exclude.as_ref().is_some_and(fits) || include.as_ref().is_some_and(|include| !fits(include)) {
            continue;
        }
        if path.ends_with(".jsonnet") {
            let message = format!("{} is jsonnet, and what it makes is not known here", show(path));
            return Err(named.unmodelled("jsonnet", message).hinted(BY_HAND));
        }
        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending));
        if is_manifest && !is_source(path) {
            objects.extend(of_file(world, path)?);
        }
    }
    not_walked(world, named, folder, selection.recurse)?;
    linked(world, named, folder, selection.recurse)?;
    Ok(objects)
}

fn of_file(world: &World<'_, '_>, path: &str) -> Result<Vec<Res>, Refusal> {
    let bytes = world.session.read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let at = At::new(path, 1);
    if text.contains("+argocd:skip-file-rendering") {
        return Err(at.unmodelled("skipped-file", "some versions of Argo CD pass over this file").hinted(BY_HAND));
    }
    match read::read_applied(&at, &bytes) {
        Ok(documents) => Ok(documents.iter().map(|document| as_written(document, path)).collect()),
        // Argo CD takes what does not look like a manifest for something else.
        Err(_) if !["apiVersion:", "kind:", "metadata:"].iter().all(|word| text.contains(word)) => Ok(Vec::new()),
        Err(refusal) => Err(refusal),
    }
}

/// Refuses folders that are not walked here, and that Argo CD walks.
fn not_walked(world: &World<'_, '_>, named: &At, folder: &str, recurse: bool) -> Result<(), Refusal> {
    if !is_walked(folder) {
        let message = format!("{} is not looked into here, and Argo CD takes its files", show(folder));
        return Err(named.unmodelled("not-walked", message).hinted(BY_HAND));
    }
    if !recurse {
        return Ok(());
    }
    for inner in world.inside(folder).map(|(path, _)| parent(path)).chain([folder]) {
        let hidden = NOT_WALKED.map(|name| below(inner, name));
        if let Some(hidden) = hidden.iter().find(|hidden| world.session.is_folder(hidden)) {
            let message = format!("{hidden} is not looked into here, and Argo CD takes its files");
            return Err(named.unmodelled("not-walked", message).hinted(BY_HAND));
        }
    }
    Ok(())
}

/// Refuses symbolic links to files: Argo CD reads those that stay in the repository, and here each file is read once, under
/// its own path.
fn linked(world: &World<'_, '_>, named: &At, folder: &str, recurse: bool) -> Result<(), Refusal> {
    let takes = |path: &&String| {
        let above = parent(path);
        let manifest = [".yaml", ".yml", ".json", ".jsonnet"].iter().any(|ending| path.ends_with(ending));
        manifest && (above == folder || recurse && lies_in(above, folder)) && world.session.has_file(path)
    };
    match world.session.links().iter().find(takes) {
        None => Ok(()),
        Some(link) => {
            let message = format!("{} is a symbolic link, and Argo CD takes the file behind it", show(link));
            Err(named.unmodelled("symbolic-link", message).hinted("list the file in a kustomization.yaml there"))
        }
    }
}

/// A pattern of `github.com/gobwas/glob` without separators: `*` and `?` take any character, `{a,b}` is one of several.
fn pattern(named: &At, entry: &Entry) -> Result<GlobMatcher, Refusal> {
    let at = named.line(entry.line);
    let odd = || at.unmodelled("pattern", format!("the pattern {} is not modelled", show(&entry.text))).hinted(BY_HAND);
    if entry.text.contains(['[', ']', '\\', '!']) {
        return Err(odd());
    }
    // Several stars are one there, whatever stands beside them.
    let text = entry.text.split("**").collect::<Vec<_>>().join("*");
    if text.contains("**") {
        return Err(odd());
    }
    let glob: Glob = GlobBuilder::new(&text).literal_separator(false).build().map_err(|_| odd())?;
    Ok(glob.compile_matcher())
}
