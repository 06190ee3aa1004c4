//! `set` on an overlay patch: one value that holds in one overlay only.

use std::path::Path;

use ageseal::check::is_kustomization;
use ageseal::manifest::SealedManifest;
use ageseal::problem::Problem;
use ageseal::rewrite::{PatchOf, PatchOrder, check_patch_scope, set_in_patch};
use ageseal::scope::Scope;
use rand_core::OsRng;

use super::{Args, value, warn_immutable};
use crate::error::{CliError, Exit, Outcome};
use crate::files::{self, Batch, Before};
use crate::patches::Listing;
use crate::patches::targets::{Targets, check_typed, prove, scope_for_patch};
use crate::readers::Readers;
use crate::sealed::{SealedFile, title};
use crate::shadow::{Change, Shadows, patch_stands_still};
use crate::ui::{Row, Ui};

/// What is known of the document that is patched, where it was named.
struct Base<'a> {
    path: &'a Path,
    keys: Vec<String>,
    immutable: bool,
}

/// Sets a value of the patch of this base, which may have to be made.
pub(super) fn over(ui: &Ui, args: &Args, base: &Path) -> Outcome {
    if files::is_stdin(base) {
        return Err(CliError::usage("--for names the file of the document, and stdin is none").into());
    }
    if args.file.file_name().and_then(|name| name.to_str()).is_some_and(is_kustomization) {
        return Err(CliError::usage("this is a kustomization, and a patch is a file of its own")
            .path(&args.file)
            .hint("name a file beside it, such as db.patch.yaml; --wire lists it")
            .into());
    }
    let sealed = SealedFile::read(base)?;
    let document = sealed.document(&args.doc)?;
    let of = PatchOf::document(&document).map_err(|problem| CliError::problem(base, &problem))?;
    let named = Base {
        path: base,
        keys: document.sealed.items.keys().cloned().collect(),
        immutable: document.immutable == Some(true),
    };
    if args.file.symlink_metadata().is_err() {
        return set(ui, args, &of, Some(&named), None);
    }
    let file = SealedFile::read(&args.file)?;
    let documents = file.documents()?;
    let patch = of.find(&documents).map_err(|problem| CliError::problem(&args.file, &problem))?;
    set(ui, args, &of, Some(&named), Some((&file, patch)))
}

/// Sets a value of a patch that is there, without its base.
pub(super) fn again(ui: &Ui, args: &Args, file: &SealedFile, patch: &SealedManifest<'_>) -> Outcome {
    let typed = !args.scope.is_empty();
    let says_type = patch.spec().is_some_and(|spec| spec.get("type").is_some());
    // Without a typed scope, the type is held against what is built.
    if typed && !says_type {
        return Err(CliError::usage("nothing proves the type of the Secret: this patch does not say it")
            .at(&args.file, patch.node.location(), Some(title(patch)))
            .hint("name the document that it patches: --for BASE")
            .into());
    }
    set(ui, args, &PatchOf::same(patch), None, Some((file, Some(patch))))
}

fn set(
    ui: &Ui,
    args: &Args,
    of: &PatchOf,
    base: Option<&Base<'_>>,
    there: Option<(&SealedFile, Option<&SealedManifest<'_>>)>,
) -> Outcome {
    let path = &args.file;
    let said = |problem: Problem| CliError::problem(path, &problem);
    let readers = Readers::new(ui, &args.readers).for_path(Some(path))?;
    let recipients = readers.set()?;
    let listing = Listing::find(path)?;
    let (scope, targets, hashed) = place(args, listing.as_ref(), of, base)?;
    let (scope, targets) = (&scope, targets.as_ref());
    let at = there.and_then(|(_, patch)| patch).map(|patch| patch.node.location());
    readers.check_scope(scope).map_err(|error| match at {
        Some(at) => error.at(path, at, None),
        None => error,
    })?;
    let sealed_for: Vec<_> = recipients.recipients().collect();
    let order = PatchOrder { of, scope, recipients: &sealed_for, server_side: readers.server_side() };
    let mut replaced = false;
    if let Some((_, Some(patch))) = there {
        check_patch_scope(patch, &args.key, order).map_err(said)?;
        replaced = patch.sealed.items.contains_key(&args.key);
    }
    let wired = match &listing {
        Some(listing) if args.wire => listing.wired()?,
        None if args.wire => {
            return Err(CliError::usage("this is in no repository, so there is no kustomization to list it in")
                .path(path)
                .into());
        }
        _ => None,
    };

    let value = value(ui, args)?;
    let stream = there.map(|(file, patch)| (&file.stream, patch));
    let text = set_in_patch(stream, &args.key, &value, order, &mut OsRng).map_err(said)?;
    let before = there.map_or(Before::Absent, |(file, _)| Before::Holds(file.bytes.clone()));
    let mut batch = Batch::new();
    batch.add(path, before, text.text().as_bytes().to_vec());
    let mut shadows = Shadows::default();
    if let Some(wired) = &wired {
        let before = Before::Holds(wired.before.clone());
        shadows.take_over(&wired.file, &before, wired.after.text().as_bytes())?;
    }
    let change = Change::of_patch(of, &args.key);
    let mut rolls = Vec::new();
    for kustomization in listing.iter().flat_map(|listing| listing.files(wired.as_ref())) {
        let base = targets.map(|targets| targets.base.as_path()).or_else(|| base.map(|base| base.path));
        rolls.extend(shadows.refresh_patch(&kustomization, &change, hashed, base)?);
    }
    let built = listing.as_ref().filter(|listing| listing.is_listed() || args.wire);
    if let Some(listing) = built {
        prove(listing, of, &text, &shadows, scope, targets.is_none())?;
    }
    shadows.add_to(&mut batch);
    batch.commit()?;

    if base.is_some_and(|base| base.immutable) || targets.is_some_and(|targets| targets.immutable) {
        warn_immutable(ui, path);
    }
    let keys = base.map(|base| &base.keys).or_else(|| targets.map(|targets| &targets.keys));
    let added = !replaced && keys.is_some_and(|keys| !keys.contains(&args.key));
    let shown = path.display().to_string();
    let mut row = Row::new(if added { "added" } else { "set" }, &[&shown, &args.key]);
    if let Some(base) = base {
        row = row.detail("over", base.path.display().to_string(), None);
    }
    let row = row.detail("opens as", scope.to_string(), targets.and_then(|targets| targets.because.as_deref())).detail(
        "read by",
        recipients.names().join(", "),
        None,
    );
    ui.results(&[rolls.iter().fold(row, |row, rolls| rolls.told(row))]);
    if built.is_some() && hashed && rolls.is_empty() {
        ui.warn(&patch_stands_still(&of.name).path(path));
    }
    if let Some(wired) = &wired {
        ui.result("listed", &[&shown, &wired.file.display().to_string()]);
    } else if let Some(listing) = listing.as_ref().filter(|listing| !listing.is_listed()) {
        warn_unlisted(ui, path, listing, hashed);
    }
    Ok(Exit::Ok)
}

/// The scope, what comes of the patch as far as the scope was not typed, and whether a name of it gets a hash.
fn place(
    args: &Args,
    listing: Option<&Listing>,
    of: &PatchOf,
    base: Option<&Base<'_>>,
) -> Result<(Scope, Option<Targets>, bool), CliError> {
    match (listing, args.scope.parse()?) {
        (None, Some(typed)) => Ok((typed, None, false)),
        (Some(listing), Some(typed)) => {
            let hashed = check_typed(listing, of, &typed)?;
            Ok((typed, None, hashed))
        }
        (Some(listing), None) => {
            let targets = scope_for_patch(listing, of, base.map(|base| base.path))?;
            Ok((targets.scope.clone(), Some(targets.clone()), targets.hashed))
        }
        (None, None) => {
            let fact = "this is in no repository, so nothing says where the patch is deployed";
            let error = CliError::usage(fact).path(&args.file);
            Err(error.hint("say the scope yourself: --scope 'NAMESPACE/NAME'"))
        }
    }
}

/// Says that no build applies the patch, and the line to write.
fn warn_unlisted(ui: &Ui, path: &Path, listing: &Listing, hashed: bool) {
    let warning = CliError::finding("no kustomization lists this patch, so no build has its value").path(path);
    ui.warn(&match listing.wired() {
        Ok(Some(wired)) => warning.hint(format!(
            "add `- path: {}` to patches: of {}; --wire does that{}",
            wired.entry,
            wired.file.display(),
            if hashed { ", and lets the pods of this overlay roll" } else { "" }
        )),
        _ => warning.hint("list it in patches: of the kustomization that it is for"),
    });
}
