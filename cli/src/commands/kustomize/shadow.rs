//! `ageseal kustomize shadow`: a shadow generator beside a sealed file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::kustomize::{Files, Options, Reference, Resolution, configuration, patches_on, resolve};
use ageseal::manifest::{ObjectKind, SealedManifest, objects};
use ageseal::rewrite::Target;
use ageseal::scope::Scope;
use ageseal::shadow::{self, Document, Found, Sealed};
use ageseal::yaml::Stream;
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::References;
use crate::error::{CliError, Exit, Outcome};
use crate::files::{self, Batch, Before, Tree};
use crate::repository::{from_here, place_in};
use crate::sealed::{DocOption, SealedFile};
use crate::shadow::{Kustomization, Shadows};
use crate::ui::{Row, Ui};

/// Add a shadow generator beside a sealed file, so that names, references and rollouts follow it
///
/// The kustomization that lists the file gets an entry of secretGenerator whose Secret kustomize drops at the end, but
/// whose name, with its hash, the sealed document and all references take over. The hash moves when a value changes:
/// seal, set and unset keep one random number a data key up to date. Nothing of it is made from a value.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal kustomize shadow base/db.sealed.yaml
  ageseal kustomize shadow base/db.sealed.yaml --no-hash")]
pub struct Args {
    /// The sealed file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Let names and references follow prefixes and suffixes only: no hash, and no rollout
    #[arg(long)]
    no_hash: bool,
    #[command(flatten)]
    doc: DocOption,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    if files::is_stdin(&args.file) {
        return Err(CliError::usage("a shadow stands beside a file, and stdin is none")
            .hint("name the sealed file")
            .into());
    }
    let file = SealedFile::read(&args.file)?;
    let document = file.document(&args.doc)?;
    if document.is_patch() {
        return Err(CliError::input("this is an overlay patch, which has no name of its own")
            .at(&args.file, document.node.location(), Some(document.name.clone()))
            .hint("add the shadow beside the document that it patches")
            .into());
    }
    let mut shadows = Shadows::default();
    let listing = shadows.listing(&args.file, |_| true)?;
    let kustomization = the_one(args, listing.iter().filter_map(|path| shadows.get(path)).collect())?;
    let keys: Vec<&str> = document.sealed.items.keys().map(String::as_str).collect();
    let named = Document { name: &document.name, namespace: document.namespace.as_deref() };
    let sealed = Sealed { document: named, keys: &keys, hashed: !args.no_hash };
    check_standing(args, kustomization, &sealed)?;

    let said = |problem: ageseal::problem::Problem| CliError::problem(&kustomization.path, &problem);
    let references = References::of(&kustomization.path, &kustomization.stream)?;
    let added = shadow::add(&kustomization.stream, sealed, &mut OsRng).map_err(said)?;
    let is_new = matches!(shadow::find(&kustomization.stream, named), Found::Nothing);
    let changes = added.is_some() || references.unlisted;
    let (mut rows, mut others) = (Vec::new(), Vec::new());
    let shown = kustomization.path.display().to_string();
    let what = if args.no_hash { "shadow without a hash".to_owned() } else { format!("shadow of {}", keys.join(", ")) };
    let verb = match (&added, is_new) {
        (None, _) => "same",
        (Some(_), true) => "added",
        (Some(_), false) => "changed",
    };
    rows.push(Row::new(verb, &[&shown, &document.name, &what]));
    if changes || references.new {
        let stream = match added {
            Some(stream) => stream,
            None => again(kustomization)?,
        };
        let stream = references.list(&kustomization.path, stream)?;
        others = prove(args, &document, &kustomization.path, &stream, &references)?;
        let mut batch = Batch::new();
        if changes {
            let new = stream.text().as_bytes().to_vec();
            batch.add(&kustomization.path, Before::Holds(kustomization.bytes.clone()), new);
        }
        references.add_to(&mut batch);
        batch.commit()?;
        if references.unlisted {
            let verb = if references.new { "wrote" } else { "listed" };
            rows.push(Row::new(verb, &[&references.path.display().to_string(), "under configurations"]));
        }
    }
    ui.results(&rows);
    warn_of_scope(ui, args, &document);
    others.iter().for_each(|warning| ui.warn(warning));
    Ok(Exit::Ok)
}

/// The values with a scope of their own that do not open under the new name: one of them keeps all others closed.
fn left_closed(top: &Path, tree: &Tree, document: &SealedManifest<'_>, targets: &[Target]) -> Vec<CliError> {
    let mut warnings: BTreeMap<PathBuf, CliError> = BTreeMap::new();
    for target in targets {
        let Some(exact) = target.namespace.as_deref().and_then(|namespace| target.pattern(namespace).ok()) else {
            continue;
        };
        for path in patches_on(&target.chain) {
            let stream = tree.read(&path).and_then(|bytes| Stream::from_bytes(bytes.to_vec()).ok());
            let objects = stream.iter().flat_map(objects).filter(|object| object.kind == ObjectKind::SealedSecret);
            for patch in objects.filter_map(|object| SealedManifest::read(object.node).manifest) {
                let own = patch.sealed.items.iter().filter_map(|(key, item)| Some((key, item.scope.as_ref()?)));
                let closed = |scope: &Scope| !scope.patterns().iter().any(|pattern| pattern.covers(&exact));
                let keys: Vec<&str> = own.filter(|(_, scope)| closed(scope)).map(|(key, _)| key.as_str()).collect();
                if patch.name != document.name || keys.is_empty() {
                    continue;
                }
                let shown = from_here(&top.join(&path));
                let fact = "this patch is sealed for the name as it was: the document of its overlay will not open";
                let warning = CliError::finding(fact).at(&shown, patch.node.location(), Some(keys.join(", ")));
                let again = "delete the patch and set its values again with ageseal set --for";
                let warning =
                    warning.hint(format!("ageseal rescope {}; without a private key: {again}", shown.display()));
                warnings.insert(shown, warning);
            }
        }
    }
    warnings.into_values().collect()
}

/// Proves that the document gets its new name, and that everything that names it follows. Gives back what is to be said of
/// the patches of the document.
fn prove(
    args: &Args,
    document: &SealedManifest<'_>,
    kustomization: &Path,
    new: &Stream,
    references: &References,
) -> Result<Vec<CliError>, CliError> {
    let Ok((top, file)) = place_in(&args.file) else { return Ok(Vec::new()) };
    let mut planned = BTreeMap::new();
    if let Ok((_, path)) = place_in(kustomization) {
        planned.insert(path, Zeroizing::new(new.text().as_bytes().to_vec()));
    }
    if let (true, Ok((_, path))) = (references.new, place_in(&references.path)) {
        planned.insert(path, Zeroizing::new(configuration().into_bytes()));
    }
    let resolved = |planned| resolve(&Tree::new(top.path(), planned), &Options::default().passing_over_missing());
    let (before, after) = (resolved(BTreeMap::new()), resolved(planned));
    let of = |resolution| Target::of_document(resolution, &file, document.namespace.as_deref(), &document.name);
    let targets = of(&after);
    if let Some(target) = targets.iter().find(|target| target.hashed == args.no_hash) {
        let fact = format!("kustomize would build {}: the shadow does not give it its name", target.shown());
        return Err(CliError::input(format!("{fact}; nothing was written"))
            .path(kustomization)
            .hint("give document and kustomization the same namespace, and no option that switches hashes off"));
    }
    let lost: Vec<String> = of(&before).iter().flat_map(|target| lost(target, &targets, &before, &after)).collect();
    if lost.is_empty() {
        let tree = Tree::new(top.path(), BTreeMap::new());
        return Ok(left_closed(top.path(), &tree, document, &targets));
    }
    let error = CliError::input("these references would not follow the new name; nothing was written");
    let error = lost.into_iter().fold(error.path(kustomization), CliError::detail);
    Err(error.hint("with --no-hash the name stays as it is; kustomize cannot be told of these places"))
}

/// The references to a document that name something else afterwards.
fn lost(target: &Target, now: &[Target], before: &Resolution, after: &Resolution) -> Vec<String> {
    let of = |resolution: &Resolution| -> Vec<Reference> {
        let build = resolution.roots.get(&target.root).and_then(|build| build.as_ref().ok());
        build.map(|build| build.references.clone()).unwrap_or_default()
    };
    let (old, new) = (of(before), of(after));
    let followed = |one: &Reference| {
        let same = |other: &&Reference| {
            (&other.from.kind, &other.path, &other.key) == (&one.from.kind, &one.path, &one.key)
                && other.from.name == one.from.name
        };
        new.iter().filter(same).any(|other| now.iter().any(|now| now.root == target.root && now.is_named_by(other)))
    };
    let lost = old.iter().filter(|one| target.is_named_by(one) && !followed(one));
    lost.map(|one| format!("{}/{}: {}", one.from.kind.to_lowercase(), one.from.name, one.path)).collect()
}

/// The one kustomization that lists the file.
fn the_one<'k>(args: &Args, mut listing: Vec<&'k Kustomization>) -> Result<&'k Kustomization, CliError> {
    let name = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match (listing.pop(), listing.as_slice()) {
        (Some(one), []) => Ok(one),
        (None, _) => Err(CliError::input("no kustomization lists this file; nothing was written")
            .path(&args.file)
            .hint(format!("add {name} to `resources` of the kustomization.yaml in its folder or in one above it"))),
        (Some(last), others) => {
            let several = others.iter().map(|one| &one.path).chain([&last.path]);
            let error = CliError::input("several kustomizations list this file; nothing was written").path(&args.file);
            Err(several
                .fold(error, |error, path| error.path(path))
                .hint("list it in one of them, and that one in the other"))
        }
    }
}

/// Refuses what stands in the way of a shadow.
fn check_standing(args: &Args, kustomization: &Kustomization, sealed: &Sealed<'_>) -> Result<(), CliError> {
    let off = shadow::switches_hashes_off(&kustomization.stream).filter(|_| sealed.hashed);
    let (at, fact, hint) = match (shadow::find(&kustomization.stream, sealed.document), off) {
        (Found::Nothing, Some(at)) => (
            at,
            "generatorOptions switch the hash off for every generator".to_owned(),
            format!("ageseal kustomize shadow {} --no-hash, or remove the option", args.file.display()),
        ),
        (Found::Nothing, None) => return Ok(()),
        (Found::Shadow { hashed, .. }, _) if hashed == sealed.hashed => return Ok(()),
        (Found::Shadow { at, hashed: true }, _) => (
            at,
            format!("the shadow of {} has a hash, and --no-hash wants one without", sealed.document.name),
            "remove the entry first; the scope changes with the name: seal the file again then".to_owned(),
        ),
        (Found::Shadow { at, .. }, _) => (
            at,
            format!("the shadow of {} has no hash", sealed.document.name),
            "say --no-hash if that is meant; for a hash remove disableNameSuffixHash, then run this again".to_owned(),
        ),
        (Found::Generator { at }, _) => (
            at,
            format!("a generator of {} is here already, and its Secret is built", sealed.document.name),
            format!(
                "if {0} has its values, remove the entry; if not, remove {0}, then ageseal import generator",
                args.file.display()
            ),
        ),
        (Found::OfFiles { at }, _) => (
            at,
            format!("the shadow of {} takes its hash from files", sealed.document.name),
            "remove files and envs from the entry, then run this again".to_owned(),
        ),
    };
    let error = CliError::input(format!("{fact}; nothing was written")).at(&kustomization.path, at, None);
    Err(error.hint(hint))
}

/// The same text once more: a stream gives its text away but once.
fn again(kustomization: &Kustomization) -> Result<Stream, CliError> {
    Stream::from_bytes(kustomization.bytes.clone())
        .map_err(|error| CliError::problem(&kustomization.path, &error.to_problem()))
}

/// The hash becomes a part of the name, and the name is what values are sealed for.
fn warn_of_scope(ui: &Ui, args: &Args, document: &SealedManifest<'_>) {
    let Some(scope) = &document.sealed.scope else { return };
    let leaves_open = |pattern: &&ageseal::scope::Pattern| {
        if args.no_hash { !pattern.has_hash() } else { pattern.has_hash() || pattern.as_str().ends_with('*') }
    };
    if scope.patterns().iter().all(|pattern| leaves_open(&pattern)) {
        return;
    }
    let (fact, ends) = if args.no_hash {
        ("the name has no hash, and the file is sealed for one", "the name alone")
    } else {
        ("the name gets a hash, and the file is not sealed for one: it will not open", "-{hash} behind the name")
    };
    let file = args.file.display();
    ui.warn(
        &CliError::finding(fact)
            .at(&args.file, document.node.location(), Some(format!("opens as {scope}")))
            .hint(format!("ageseal rescope {file}, or seal it again from its source with {ends} in its scope")),
    );
}
