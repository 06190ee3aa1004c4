//! `ageseal import generator`: the Secrets that kustomize generates become sealed files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ageseal::check::is_kustomization;
use ageseal::kustomize::{Files, NAMES, Options, resolve};
use ageseal::manifest::names::namespace_fault;
use ageseal::problem::Location;
use ageseal::yaml::Stream;
use zeroize::Zeroizing;

use super::listing::{Listing, Plan};
use super::same::{Moved, differences};
use super::scope::{Asked, built_of};
use super::today::{Today, Tops};
use super::values::plain;
use crate::deployed::told;
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{Batch, Tree};
use crate::readers::{self, Readers};
use crate::repository::{from_here, place_in};
use crate::scopes;
use crate::ui::{Row, Ui};

/// Turn generators of Secrets into sealed files
///
/// Each entry of secretGenerator in the kustomizations of PATH becomes NAME.sealed.yaml beside its kustomization, which
/// lists it, and the entry becomes a shadow generator: names, hash suffixes and references stay as they are, and kustomize
/// builds SealedSecrets where it built Secrets. No private key is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal import generator --dry-run
  ageseal import generator base
  ageseal import generator base/kustomization.yaml -n shop-prod")]
pub struct Args {
    /// Kustomizations, and folders with kustomizations; the current folder if none is named
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The namespace of Secrets that kustomize gives none
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    scope: scopes::Options,
    #[command(flatten)]
    readers: readers::Options,
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    if let Some(fault) = args.namespace.as_deref().and_then(namespace_fault) {
        return Err(CliError::usage(format!("--namespace: this is not a namespace: {fault}")).into());
    }
    let scope = args.scope.parse()?;
    let asked = Asked { namespace: args.namespace.as_deref(), scope: scope.as_ref() };
    let mut errors = Vec::new();
    let mut listings: Vec<Listing> = Vec::new();
    for path in kustomizations(args)? {
        match Listing::read(&path) {
            Ok(listing) => listings.extend(listing),
            Err(several) => errors.extend(several),
        }
    }
    Errors::none_or(errors)?;
    let mut errors = Vec::new();
    let mut plans = Vec::new();
    let readers = Readers::new(ui, &args.readers);
    let mut tops = Tops::default();
    for listing in &listings {
        let Some((top, path)) = place(&listing.path) else { continue };
        match listing.plan(&path, tops.today(&top), &asked, &readers) {
            Ok(plan) if plan.imports.is_empty() => {}
            Ok(plan) => plans.push((top, path, plan)),
            Err(several) => errors.extend(several),
        }
    }
    Errors::none_or(errors)?;
    if plans.is_empty() {
        ui.note(&CliError::finding("there is no generator of Secrets here").hint("ageseal show lists what is sealed"));
        return Ok(Exit::Ok);
    }
    let followed = prove(&tops, &plans, scope.is_some())?;

    let mut rows: Vec<Row> = Vec::new();
    let mut batch = Batch::new();
    let mut plaintext: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut literals = Vec::new();
    let mut warnings = Vec::new();
    for (top, path, plan) in plans {
        warnings.extend(plan.comments());
        warnings.extend(labels(&top, tops.today(&top), &path, &plan));
        rows.extend(plan.rows(args.dry_run));
        for import in &plan.imports {
            plaintext.entry(top.clone()).or_default().extend(import.files.iter().cloned());
            literals.extend(
                (!import.literals.is_empty()).then(|| (plan.path.clone(), import.at, import.literals.join(", "))),
            );
            warnings.extend(import.warnings.iter().cloned());
        }
        plan.add_to(&mut batch);
    }
    if !args.dry_run {
        batch.commit()?;
    }
    let unknown: Vec<_> = tops.iter().flat_map(|(_, today)| today.refused()).map(ToString::to_string).collect();
    if !unknown.is_empty() {
        let fact = "what these kustomizations made of the Secrets is not known here, and was not compared";
        warnings.push(unknown.into_iter().fold(CliError::finding(fact), CliError::detail));
    }
    warnings.iter().for_each(|warning| ui.warn(warning));
    ui.results(&rows);
    if !followed.is_empty() {
        let note = CliError::finding("these references named nothing, and follow a Secret now");
        ui.note(&followed.into_iter().fold(note, CliError::detail));
    }
    if args.dry_run {
        return Ok(Exit::Findings);
    }
    let (mut gone, mut used) = (Vec::new(), Vec::new());
    for (top, files) in plaintext {
        let still = still_used(&top);
        let in_use = |path: &PathBuf| place_in(path).is_ok_and(|(_, path)| still.contains(&path));
        let (kept, free): (Vec<_>, Vec<_>) = files.into_iter().partition(in_use);
        gone.extend(free);
        used.extend(kept);
    }
    tell_plaintext(ui, gone, used, &literals);
    Ok(Exit::Ok)
}

/// The kustomizations that are meant, each once.
fn kustomizations(args: &Args) -> Result<Vec<PathBuf>, Errors> {
    let here = [PathBuf::from(".")];
    let named = if args.paths.is_empty() { &here[..] } else { &args.paths };
    let is_one = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_kustomization);
    let mut errors = Vec::new();
    let mut found: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for path in named {
        match fs::metadata(path) {
            Err(error) => errors.push(CliError::io("the path cannot be read", path, &error)),
            Ok(meta) if meta.is_dir() => {
                for path in below(path).into_iter().filter(|path| is_one(path)) {
                    found.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone()), plain(&path));
                }
            }
            Ok(_) if is_one(path) => {
                found.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone()), plain(path));
            }
            Ok(_) => errors.push(
                CliError::usage("this is no kustomization")
                    .path(path)
                    .hint(format!("name a folder, or a {}", NAMES.join(", a "))),
            ),
        }
    }
    Errors::none_or(errors)?;
    Ok(found.into_values().collect())
}

/// The files below a folder, but for what no walk enters.
fn below(folder: &Path) -> Vec<PathBuf> {
    let all = |real: PathBuf| Tree::new(&real, BTreeMap::new()).paths();
    fs::canonicalize(folder).map(all).unwrap_or_default().iter().map(|path| folder.join(path)).collect()
}

/// The top of the repository of a kustomization, or its own folder outside of any, and its path from there.
fn place(path: &Path) -> Option<(PathBuf, String)> {
    if let Ok((top, path)) = place_in(path) {
        return Some((top.path().to_owned(), path));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some((fs::canonicalize(folder).ok()?, path.file_name()?.to_str()?.to_owned()))
}

/// Proves that every root builds what it built, but for kind and data. Gives back the references that named nothing.
///
/// With `typed`, the scope is said by hand: what is not known is no error then.
fn prove(tops: &Tops, plans: &[(PathBuf, String, Plan)], typed: bool) -> Result<Vec<String>, Errors> {
    let mut followed = Vec::new();
    let mut errors = Vec::new();
    for (top, today) in tops.iter() {
        let of_top = || plans.iter().filter(|(of, ..)| of == top);
        let mut planned = BTreeMap::new();
        let mut moved = Moved::new();
        for (_, path, plan) in of_top() {
            let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            for (name, bytes) in plan.written() {
                planned.insert(format!("{folder}{name}"), Zeroizing::new(bytes));
            }
            for import in &plan.imports {
                moved.insert((path.clone(), import.index), format!("{folder}{}", import.file_name()));
            }
        }
        let after = resolve(&Tree::new(top, planned), &Options::default());
        // Where a sealed file may go that nobody knows, it would not open.
        let told_of = |file: &String| -> Vec<CliError> {
            after.refusals_of(file).map(|(_, refusal)| told(top, refusal)).collect()
        };
        let mut refused: Vec<CliError> = moved.values().filter(|_| !typed).flat_map(told_of).collect();
        refused.dedup_by(|one, other| one.places == other.places);
        errors.extend(refused);
        let (differing, found) = differences(&today.resolution, &after, &moved);
        followed.extend(found);
        if !differing.is_empty() {
            let error = of_top().fold(
                CliError::input("kustomize would build something else than kinds and data; nothing was written"),
                |error, (_, _, plan)| error.path(&plan.path),
            );
            errors.push(differing.into_iter().fold(error, CliError::detail).hint(
                "something in these roots acts on the generated Secret by its kind: move its values there first",
            ));
        }
    }
    Errors::none_or(errors)?;
    Ok(followed)
}

/// The kustomizations that set labels or annotations of what they build: they reach the sealed document, and not its Secret.
fn labels(top: &Path, today: &Today, path: &str, plan: &Plan) -> Option<CliError> {
    let mut files: BTreeSet<String> = BTreeSet::from([path.to_owned()]);
    for import in &plan.imports {
        for (root, object) in built_of(&today.resolution, path, import.index) {
            let slash = if root.folder.is_empty() { "" } else { "/" };
            files.extend(NAMES.map(|name| format!("{}{slash}{name}", root.folder)));
            files.extend(object.chain.iter().map(|step| step.file.clone()));
        }
    }
    let tree = Tree::new(top, BTreeMap::new());
    let sets = |path: &String| {
        let stream = Stream::from_bytes(tree.read(path)?.to_vec()).ok()?;
        let root = stream.documents().find_map(|document| document.root())?;
        let is_one =
            |key: &str| ["labels", "commonlabels", "commonannotations"].contains(&key.to_ascii_lowercase().as_str());
        let key = root.entries().find(|(key, _)| key.str().is_some_and(is_one))?.0;
        Some((from_here(&top.join(path)), key.location(), key.str()?.to_owned()))
    };
    let found: Vec<_> = files.iter().filter_map(sets).collect();
    if found.is_empty() {
        return None;
    }
    let fact = "what these set is on the sealed document, and no more on its Secret";
    let error =
        found.into_iter().fold(CliError::finding(fact), |error, (path, at, field)| error.at(&path, at, Some(field)));
    Some(error.hint("if something looks for it on the Secret, write it into spec.template.metadata of the sealed file"))
}

/// The files that generators of a repository still take values from, those of ConfigMaps too.
fn still_used(top: &Path) -> BTreeSet<String> {
    let tree = Tree::new(top, BTreeMap::new());
    let mut used = BTreeSet::new();
    for path in tree.paths().into_iter().filter(|path| is_kustomization(path)) {
        let stream = tree.read(&path).and_then(|bytes| Stream::from_bytes(bytes.to_vec()).ok());
        let Some(root) = stream.as_ref().and_then(|stream| stream.documents().find_map(|one| one.root())) else {
            continue;
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_list =
            |key: &str| key.eq_ignore_ascii_case("secretGenerator") || key.eq_ignore_ascii_case("configMapGenerator");
        let lists = root.entries().filter(|(key, _)| key.str().is_some_and(is_list)).map(|(_, list)| list);
        for (key, value) in lists.flat_map(|list| list.items()).flat_map(|entry| entry.entries()) {
            let sources =
                ["files", "envs", "env"].iter().any(|name| key.str().is_some_and(|key| key.eq_ignore_ascii_case(name)));
            for text in value.items().chain([value]).filter(|_| sources).filter_map(|one| one.str()) {
                let named = text.split_once('=').map_or(text, |(_, path)| path);
                let slash = if folder.is_empty() { "" } else { "/" };
                used.extend(plain(Path::new(&format!("{folder}{slash}{named}"))).to_str().map(str::to_owned));
            }
        }
    }
    used
}

/// What is left to do by hand: the plaintext that is still there, and in git's history.
fn tell_plaintext(ui: &Ui, mut gone: Vec<PathBuf>, used: Vec<PathBuf>, literals: &[(PathBuf, Location, String)]) {
    let all = |error, files: &[PathBuf]| files.iter().fold(error, |error: CliError, path| error.path(path));
    gone.sort();
    gone.dedup();
    if !gone.is_empty() {
        let names: Vec<String> = gone.iter().map(|path| quoted(path)).collect();
        let names = names.join(" ");
        let error =
            all(CliError::finding("these files hold the plaintext, and no kustomization names them any more"), &gone);
        ui.warn(
            &error
                .hint(format!("git rm --cached -- {names}; rm -- {names}"))
                .hint("then change the values at their source: git's history keeps the old ones"),
        );
    }
    if !used.is_empty() {
        let fact = "these files hold the plaintext, and another generator still takes values from them";
        ui.warn(&all(CliError::finding(fact), &used).hint("import that generator as well, or take them out of it"));
    }
    if !literals.is_empty() {
        let error = CliError::finding("these values stood in a kustomization as literals");
        let error = literals.iter().fold(error, |error, (path, at, keys)| error.at(path, *at, Some(keys.clone())));
        ui.warn(&error.hint("change them at their source: git's history keeps the old ones"));
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
