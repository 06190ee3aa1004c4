//! Which Secrets come of an overlay patch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::format::{API_VERSION, DEFAULT_TYPE, KIND};
use ageseal::kustomize::{Build, Object, Options, Refusal, Root, patched_by, resolve};
use ageseal::problem::Location;
use ageseal::rewrite::{PatchOf, Target};
use ageseal::scope::{Pattern, Scope};
use ageseal::yaml::{Stream, Value, render};
use zeroize::Zeroizing;

use crate::deployed::{because, told};
use crate::error::{CliError, io_fact};
use crate::files::Tree;
use crate::patches::{BY_HAND, Listing, Wired};
use crate::repository::place_in;
use crate::shadow::Shadows;

/// What comes of a patch.
#[derive(Clone)]
pub struct Targets {
    /// The Secrets, and no others.
    pub scope: Scope,
    /// The file that decides, for people.
    pub because: Option<String>,
    /// The data keys that they have without the patch.
    pub keys: Vec<String>,
    /// Whether one of them is immutable.
    pub immutable: bool,
    /// Whether a hash is added to the name of one of them.
    pub hashed: bool,
    /// The file of the document.
    pub base: PathBuf,
}

/// The scope of a value of a patch: what every root that is built with the patch makes of the document that it patches.
///
/// `base` is the file of that document, if it was named.
///
/// # Errors
/// What kustomize makes of it is not known; nothing is built with the patch; it patches something else, or a Secret of
/// another type; a Secret has no namespace.
pub fn scope_for_patch(listing: &Listing, of: &PatchOf, base: Option<&Path>) -> Result<Targets, CliError> {
    let (tree, listed_in) = planned(listing, of, listing.wired()?);
    let options = Options::default().passing_over_missing();
    let found =
        patched_by(&tree, &listing.patch, &listed_in, &options).map_err(|refusal| told(&listing.top, &refusal))?;

    let patch = listing.shown(&listing.patch);
    let Some((_, first)) = found.first() else {
        return Err(CliError::usage("no kustomization of the repository is built with this patch")
            .path(&patch)
            .hint("name the folder of its kustomization in the resources or components of another one")
            .hint(BY_HAND));
    };
    let wanted = match base {
        Some(base) => named(listing, base)?,
        None => first.source.file.clone(),
    };
    let mut targets = Vec::new();
    let mut patterns = Vec::new();
    for (root, object) in &found {
        if object.source.file != wanted || !is_sealed(object) || object.original.1 != of.name {
            let at = Location { line: object.source.line, column: 1 };
            let what = format!("{} {}", object.kind, object.original.1);
            let source = listing.shown(&object.source.file);
            let hint = if is_sealed(object) && object.original.1 == of.name {
                format!("it is --for {}", source.display())
            } else {
                "give each document a patch of its own, without a target".to_owned()
            };
            return Err(CliError::usage(format!("the patch changes another object than {} of {wanted}", of.name))
                .path(&patch)
                .at(&source, at, Some(what))
                .hint(hint));
        }
        check_type(listing, object, of)?;
        let target = Target::new(root, object);
        patterns.push(pattern(listing, &target)?);
        targets.push(target);
    }
    let scope = Scope::canonical(patterns).map_err(|error| {
        CliError::usage(error.to_string()).path(&patch).hint("say it in fewer patterns: --scope 'NAMESPACE/NAME'")
    })?;
    let immutable = found.iter().any(|(_, object)| object.immutable);
    let hashed = targets.iter().any(|target| target.hashed);
    let base = listing.shown(&wanted);
    Ok(Targets { scope, because: because(&targets), keys: first.keys.clone(), immutable, hashed, base })
}

/// Holds a typed scope against what is known to be built with the patch; tells whether a name of it gets a hash.
///
/// # Errors
/// The scope leaves out a Secret that a kustomization makes with this patch.
pub fn check_typed(listing: &Listing, of: &PatchOf, typed: &Scope) -> Result<bool, CliError> {
    // Where the patch cannot be listed, nothing is built with it yet.
    let (tree, _) = planned(listing, of, listing.wired().ok().flatten());
    let resolution = resolve(&tree, &Options::default().passing_over_missing());
    let (targets, _) = Target::of_patch(&resolution, &listing.patch, of.namespace.as_deref(), &of.name);
    for target in &targets {
        let Some(namespace) = &target.namespace else { continue };
        let exact = target.pattern(namespace).ok();
        if !exact.is_some_and(|exact| typed.patterns().iter().any(|pattern| pattern.covers(&exact))) {
            let folder = listing.shown(&target.root.folder);
            let fact = format!("--scope {typed} leaves out {}, which is built with this patch", target.shown());
            return Err(CliError::usage(fact).path(&folder).hint(format!(
                "add --scope '{}', or leave --scope out: kustomize says where it goes",
                target.shown()
            )));
        }
    }
    let says_hash = || typed.patterns().iter().any(Pattern::has_hash);
    Ok(targets.iter().any(|target| target.hashed) || (targets.is_empty() && says_hash()))
}

/// Proves that what is about to be written makes the Secrets that the value is sealed for, and no others.
///
/// # Errors
/// kustomize would not build what it builds now; it builds other names of it, or nothing at all. With `typed`, the scope is
/// said by hand: what is not known before need not be known after.
pub fn prove(
    listing: &Listing,
    of: &PatchOf,
    patch: &Stream,
    shadows: &Shadows,
    scope: &Scope,
    typed: bool,
) -> Result<(), CliError> {
    let text = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    let mut planned = BTreeMap::from([(listing.patch.clone(), text(patch.text()))]);
    for (path, new) in shadows.planned() {
        if let Ok((_, path)) = place_in(path) {
            planned.insert(path, text(new));
        }
    }
    let listed_in: Vec<String> = planned.keys().chain(&listing.listed_in).cloned().collect();
    let tree = Tree::new(&listing.top, planned);
    let options = Options::default().passing_over_missing();
    if typed {
        let before = resolve(&Tree::new(&listing.top, BTreeMap::new()), &options);
        let after = resolve(&tree, &options);
        let broken = |(root, now): (&Root, &Result<Build, Refusal>)| match (before.roots.get(root), now) {
            (Some(Ok(_)), Err(refusal)) => Some(told(&listing.top, refusal).hint("nothing was written")),
            _ => None,
        };
        return after.roots.iter().find_map(broken).map_or(Ok(()), Err);
    }
    let found =
        patched_by(&tree, &listing.patch, &listed_in, &options).map_err(|refusal| told(&listing.top, &refusal))?;
    let is_it = |object: &Object| {
        let (written, original) = &object.original;
        let same = of.namespace.is_none() || written.is_none() || *written == of.namespace;
        *original == of.name && is_sealed(object) && same
    };
    let found: Vec<_> = found.iter().filter(|(_, object)| is_it(object)).collect();
    if found.is_empty() {
        let fact = format!("with this patch kustomize would build nothing of {}", of.name);
        return Err(CliError::input(fact).path(&listing.shown(&listing.patch)).hint("nothing was written"));
    }
    for (root, object) in found {
        let target = Target::new(root, object);
        let exact = target.namespace.as_deref().and_then(|namespace| target.pattern(namespace).ok());
        if !exact.is_some_and(|exact| scope.patterns().iter().any(|pattern| pattern.covers(&exact))) {
            let fact =
                format!("with this patch kustomize would build {}, which the value is not sealed for", target.shown());
            return Err(CliError::input(fact).path(&listing.shown(&root.folder)).hint("nothing was written"));
        }
    }
    Ok(())
}

/// The repository as it will be: with a patch that changes nothing, and with that patch listed.
fn planned(listing: &Listing, of: &PatchOf, wired: Option<Wired>) -> (Tree, Vec<String>) {
    let mut planned = BTreeMap::from([(listing.patch.clone(), Zeroizing::new(probe(of).into_bytes()))]);
    let mut listed_in = listing.listed_in.clone();
    if let Some(wired) = wired {
        listed_in.push(wired.path.clone());
        planned.insert(wired.path, Zeroizing::new(wired.after.text().as_bytes().to_vec()));
    }
    (Tree::new(&listing.top, planned), listed_in)
}

/// A patch of the document that changes nothing of it.
fn probe(of: &PatchOf) -> String {
    let mut metadata = vec![("name", Value::from(of.name.as_str()))];
    metadata.extend(of.namespace.as_deref().map(|namespace| ("namespace", Value::from(namespace))));
    let document = Value::map([
        ("apiVersion", Value::from(API_VERSION)),
        ("kind", Value::from(KIND)),
        ("metadata", Value::map(metadata)),
    ]);
    render(&document, "\n")
}

/// The file of the base from the top, as the resolver names it: without symbolic links.
fn named(listing: &Listing, base: &Path) -> Result<String, CliError> {
    let real = std::fs::canonicalize(base)
        .map_err(|error| CliError::input("the file cannot be read").path(base).cause(io_fact(&error)))?;
    match place_in(&real) {
        Ok((top, path)) if top.path() == listing.top => Ok(path),
        _ => {
            Err(CliError::usage("this file is outside the repository of the patch, and no kustomization there has it")
                .path(base)
                .hint(BY_HAND))
        }
    }
}

fn is_sealed(object: &Object) -> bool {
    object.kind == KIND && object.api_version == API_VERSION
}

fn check_type(listing: &Listing, object: &Object, of: &PatchOf) -> Result<(), CliError> {
    let built = object.secret_type.as_deref().unwrap_or(DEFAULT_TYPE);
    if built == of.secret_type {
        return Ok(());
    }
    let at = Location { line: object.source.line, column: 1 };
    let fact = format!("the Secret that is built has type {built}, and the patch is for type {}", of.secret_type);
    Err(CliError::input(fact)
        .path(&listing.shown(&listing.patch))
        .at(&listing.shown(&object.source.file), at, None)
        .hint(
            "the type is part of what each value is sealed for: delete the patch and set its values again with --for",
        ))
}

fn pattern(listing: &Listing, target: &Target) -> Result<Pattern, CliError> {
    let folder = listing.shown(&target.root.folder);
    let Some(namespace) = &target.namespace else {
        return Err(CliError::input(format!("{}: no namespace anywhere on its way", target.name))
            .path(&folder)
            .hint(format!("write namespace: into the kustomization of {}", folder.display()))
            .hint(BY_HAND));
    };
    target.pattern(namespace).map_err(|error| CliError::input(error.to_string()).path(&folder).hint(BY_HAND))
}
