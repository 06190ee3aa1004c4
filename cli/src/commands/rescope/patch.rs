//! Overlay patches: each value has a scope of its own, and what is built with the patch says which.

use std::path::Path;

use ageseal::manifest::{SealedManifest, objects};
use ageseal::open::Opened;
use ageseal::problem::Problem;
use ageseal::rewrite::{PatchOf, PatchOrder, Place, set_in_patch};
use ageseal::scope::Scope;
use ageseal::yaml::Stream;
use rand_core::OsRng;

use super::Change;
use crate::error::CliError;
use crate::patches::Listing;
use crate::patches::targets::{check_typed, scope_for_patch};
use crate::sealed::title;

/// A patch, if values of it are sealed for elsewhere than it is built for. The listing is that of its file, if some
/// kustomization lists it.
///
/// # Errors
/// No kustomization lists it; what kustomize makes of it is not known.
pub(super) fn change(
    path: &Path,
    patch: &SealedManifest<'_>,
    listing: Option<&Listing>,
    typed: Option<&Scope>,
) -> Result<Option<Change>, CliError> {
    let of = PatchOf::same(patch);
    let (scope, because) = match (listing, typed) {
        (None, None) => {
            return Err(CliError::input(
                "no kustomization lists this patch, so nothing says what it is to be sealed for",
            )
            .at(path, patch.node.location(), Some(title(patch)))
            .hint("list it in patches: of the kustomization that it is for, or say --scope 'NAMESPACE/NAME'"));
        }
        (None, Some(typed)) => (typed.clone(), None),
        (Some(listing), Some(typed)) => {
            check_typed(listing, &of, typed)?;
            (typed.clone(), None)
        }
        (Some(listing), None) => {
            let targets = scope_for_patch(listing, &of, None)?;
            (targets.scope, targets.because)
        }
    };
    let items = patch.sealed.items.values();
    let mut effective: Vec<Scope> = items.filter_map(|item| item.scope.clone()).collect();
    effective.sort_by_key(ToString::to_string);
    effective.dedup();
    let Some(old) = effective.iter().find(|old| **old != scope).cloned() else { return Ok(None) };
    Ok(Some(Change {
        title: title(patch),
        name: of.name.clone(),
        namespace: of.namespace.clone(),
        patch: true,
        old,
        effective,
        place: Place { namespace: of.namespace, name: of.name, scope, deployed: because.is_some() },
        targets: Vec::new(),
        because,
    }))
}

/// Seals the values of a patch anew that are for elsewhere, one after the other; the others stay as they are.
pub(super) fn seal(
    path: &Path,
    text: &Stream,
    patch: &SealedManifest<'_>,
    opened: &Opened,
    order: PatchOrder<'_>,
) -> Result<Option<Stream>, CliError> {
    let said = |problem: Problem| CliError::problem(path, &problem);
    let mut made: Option<Stream> = None;
    for (key, value) in &opened.values {
        if patch.sealed.items.get(key).is_some_and(|item| item.scope.as_ref() == Some(order.scope)) {
            continue;
        }
        let next = {
            let current = made.as_ref().unwrap_or(text);
            let mut documents = objects(current).filter_map(|object| SealedManifest::read(object.node).manifest);
            let is_it = |document: &SealedManifest<'_>| document.is_patch() && PatchOf::same(document) == *order.of;
            let Some(patch) = documents.find(is_it) else { continue };
            set_in_patch(Some((current, Some(&patch))), key, value, order, &mut OsRng).map_err(said)?
        };
        made = Some(next);
    }
    Ok(made)
}
