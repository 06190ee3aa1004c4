//! `ageseal rescope`: seals files for where kustomize takes them now.

mod patch;

use std::path::{Path, PathBuf};

use ageseal::manifest::{SealedManifest, SecretManifest, objects};
use ageseal::problem::Problem;
use ageseal::recipient::KeyRing;
use ageseal::rewrite::{self, Asked, Order, PatchOf, PatchOrder, Place, Shape, Target};
use ageseal::scope::{Pattern, Scope, ScopeError};
use ageseal::yaml::{Stream, render};
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::clock;
use crate::deployed::{Deployed, Named, because};
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{self, Batch, Before};
use crate::keys::identities;
use crate::opening::Opener;
use crate::patches::Listing;
use crate::prompt;
use crate::readers::{self, Readers};
use crate::scopes;
use crate::sealed::{SealedFile, title};
use crate::ui::{Row, Ui};

/// Seal files again for where kustomize takes them now
///
/// After a change of a namespace, a prefix or an overlay. A private key is needed: every value of a document whose scope
/// changes is opened and sealed anew, for the readers that it has. Overlay patches are taken as well, value by value. A place
/// that is new to a value is asked about on a terminal, and must be named with --widen elsewhere. Who can read it is not
/// changed: where the policy names others by now, nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal rescope overlays/prod
  ageseal rescope base/db.sealed.yaml --widen shop-prod/p-db
  ageseal rescope base/db.sealed.yaml --scope 'shop-*/db' --widen 'shop-*/db'")]
pub struct Args {
    /// Sealed files, and folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Let values open at this NAMESPACE/NAME, where they did not before (repeatable)
    #[arg(long, value_name = "PATTERN")]
    widen: Vec<String>,
    #[command(flatten)]
    scope: scopes::Options,
    #[command(flatten)]
    readers: readers::Options,
    #[command(flatten)]
    identities: identities::Options,
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// A document whose scope is to change.
struct Change {
    title: String,
    /// Its name and namespace, as it is written.
    name: String,
    namespace: Option<String>,
    /// Whether it is an overlay patch.
    patch: bool,
    old: Scope,
    /// The scopes that its values have: its own, or theirs.
    effective: Vec<Scope>,
    place: Place,
    targets: Vec<Target>,
    /// What says so, for people.
    because: Option<String>,
}

impl Change {
    /// Whether this is the document that is to change.
    fn is_of(&self, document: &SealedManifest<'_>) -> bool {
        document.name == self.name && document.namespace == self.namespace && document.is_patch() == self.patch
    }
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let typed = args.scope.parse()?;
    let widen = widen(args)?;
    let files = read(args)?;
    let changes = changes(ui, args, &files, typed.as_ref())?;
    if !files.iter().any(|file| file.documents().is_ok_and(|documents| !documents.is_empty())) {
        ui.note(&CliError::finding("there is no sealed document here").hint("ageseal show lists what is sealed"));
        return Ok(Exit::Ok);
    }
    if changes.iter().all(Vec::is_empty) {
        ui.note(&CliError::finding("every document is sealed for where it is deployed"));
        return Ok(Exit::Ok);
    }
    if args.dry_run {
        ui.results(&rows(&files, &changes, "would"));
        return Ok(Exit::Findings);
    }
    let keys = args.identities.load(ui)?;
    keys.require()?;
    ask(ui, &widen, &changes)?;

    let readers = Readers::new(ui, &args.readers);
    let opener = Opener::new(ui, &keys);
    let job = Job { typed: typed.as_ref(), readers: &readers, opener: &opener, ring: &keys.ring };
    let mut batch = Batch::new();
    let mut errors = Vec::new();
    for (file, changes) in files.iter().zip(&changes).filter(|(_, changes)| !changes.is_empty()) {
        match job.run(file, changes) {
            Ok(text) => batch.add(&file.path, Before::Holds(file.bytes.clone()), text.text().as_bytes().to_vec()),
            Err(several) => errors.extend(several),
        }
    }
    Errors::none_or(errors)?;
    batch.commit()?;
    ui.results(&rows(&files, &changes, "rescope"));
    Ok(Exit::Ok)
}

/// The places that were named. What is none may be a value that somebody typed in the wrong place: it is not repeated.
fn widen(args: &Args) -> Result<Vec<Pattern>, CliError> {
    let parse = |text: &String| {
        text.parse().map_err(|error| {
            let fault = match error {
                ScopeError::Pattern { fault, .. } => fault.to_string(),
                other => other.to_string(),
            };
            CliError::usage(format!("--widen: {fault}")).hint("for example --widen 'shop-prod/db'")
        })
    };
    args.widen.iter().map(parse).collect()
}

/// The sealed files among what was named.
fn read(args: &Args) -> Result<Vec<SealedFile>, Errors> {
    let walk = files::walk(&args.paths)?;
    let mut errors = Vec::new();
    let mut found = Vec::new();
    for path in walk.files.iter().filter(|path| !files::is_stdin(path)) {
        match SealedFile::walked(path) {
            Ok(file) => found.extend(file),
            Err(error) => errors.push(error),
        }
    }
    Errors::none_or(errors)?;
    Ok(found)
}

/// The documents of each file whose scope is not what kustomize makes of them.
///
/// A patch that nothing lists is an error where it was named, and is passed over in a folder.
fn changes(ui: &Ui, args: &Args, files: &[SealedFile], typed: Option<&Scope>) -> Result<Vec<Vec<Change>>, Errors> {
    let mut deployed = Deployed::default();
    for file in files {
        deployed.plan(&file.path, Zeroizing::new(file.bytes.clone()));
    }
    deployed.resolve();
    let mut errors = Vec::new();
    let mut all = Vec::new();
    for file in files {
        let mut changes = Vec::new();
        let documents = match file.documents() {
            Ok(documents) => documents,
            Err(several) => {
                errors.extend(several);
                continue;
            }
        };
        let has_patch = documents.iter().any(SealedManifest::is_patch);
        let listing = if has_patch { Listing::find(&file.path)?.filter(Listing::is_listed) } else { None };
        let unlisted = has_patch && listing.is_none() && typed.is_none() && !args.paths.contains(&file.path);
        if unlisted {
            ui.note(&CliError::finding("no kustomization lists this patch, so its scope stays").path(&file.path));
        }
        for document in &documents {
            let change = match document.is_patch() {
                true if unlisted => continue,
                true => patch::change(&file.path, document, listing.as_ref(), typed).map_err(Errors::from),
                false => change(&file.path, document, &deployed, typed),
            };
            match change {
                Ok(change) => changes.extend(change),
                Err(several) => errors.extend(several),
            }
        }
        all.push(changes);
    }
    Errors::none_or(errors)?;
    Ok(all)
}

fn change(
    path: &Path,
    document: &SealedManifest<'_>,
    deployed: &Deployed,
    typed: Option<&Scope>,
) -> Result<Option<Change>, Errors> {
    let named = Named { namespace: document.namespace.as_deref(), name: &document.name };
    let targets = deployed.targets(path, named, typed.is_some())?;
    let asked = Asked { namespace: None, scope: typed };
    let place = Place::decide(document.namespace.as_deref(), &document.name, asked, &targets)
        .map_err(|problem| CliError::problem(path, &problem.at(document.node.location())))?;
    let Some(old) = document.sealed.scope.clone() else { return Ok(None) };
    let items = document.sealed.items.values();
    let mut effective: Vec<Scope> = items.filter_map(|item| document.sealed.effective_scope(item)).cloned().collect();
    effective.push(old.clone());
    effective.dedup();
    let same = effective.iter().all(|scope| *scope == place.scope);
    let change = || Change {
        title: title(document),
        name: document.name.clone(),
        namespace: document.namespace.clone(),
        patch: false,
        old,
        effective,
        because: because(&targets).filter(|_| place.deployed),
        place,
        targets,
    };
    Ok((!same).then(change))
}

/// The places where some value did not open before, and that were not named.
fn unnamed<'c>(widen: &[Pattern], changes: impl Iterator<Item = &'c Change>) -> Vec<&'c Pattern> {
    let mut new: Vec<&Pattern> = Vec::new();
    for change in changes {
        let covers = |scope: &Scope, pattern: &Pattern| scope.patterns().iter().any(|old| old.covers(pattern));
        // A value with a narrower scope of its own did not open wherever the others did.
        let before = |pattern: &&Pattern| change.effective.iter().all(|scope| covers(scope, pattern));
        let gained = change.place.scope.patterns().iter().filter(|pattern| !before(pattern));
        new.extend(gained.filter(|pattern| !widen.iter().any(|named| named.covers(pattern))));
    }
    new.sort();
    new.dedup();
    new
}

/// Places where values did not open before are the user's word: each is named, or answered for.
fn ask(ui: &Ui, widen: &[Pattern], changes: &[Vec<Change>]) -> Result<(), Errors> {
    let new = unnamed(widen, changes.iter().flatten());
    if new.is_empty() {
        return Ok(());
    }
    let flags: Vec<String> = new.iter().map(|pattern| format!("--widen '{pattern}'")).collect();
    let places: Vec<&str> = new.iter().map(|pattern| pattern.as_str()).collect();
    if !prompt::possible(ui) {
        return Err(CliError::usage(format!("values would open where they did not before: {}", places.join(", ")))
            .detail("nothing was written")
            .hint(format!("if that is meant: {}", flags.join(" ")))
            .into());
    }
    ui.note(&CliError::finding(format!("values will open where they did not before: {}", places.join(", "))));
    if prompt::confirm(ui, "seal them for there?", &flags.join(" "))? {
        Ok(())
    } else {
        Err(CliError::usage("nothing was written").into())
    }
}

/// What it takes to seal documents anew.
struct Job<'a> {
    typed: Option<&'a Scope>,
    readers: &'a Readers<'a>,
    opener: &'a Opener<'a>,
    ring: &'a KeyRing,
}

impl Job<'_> {
    /// Seals the documents of one file anew, one after the other.
    fn run(&self, file: &SealedFile, changes: &[Change]) -> Result<Stream, Errors> {
        let said = |problem: Problem| CliError::problem(&file.path, &problem);
        let readers = self.readers.for_path(Some(&file.path))?;
        let recipients: Vec<_> = readers.set()?.recipients().collect();
        let mut text = Stream::from_bytes(file.bytes.clone()).map_err(|error| said(error.to_problem()))?;
        for change in changes {
            let made = {
                let mut current = objects(&text).filter_map(|object| SealedManifest::read(object.node).manifest);
                let Some(document) = current.find(|document| change.is_of(document)) else { continue };
                let at = document.node.location();
                readers.check_scope(&change.place.scope).map_err(|error| error.at(&file.path, at, None))?;
                if !document.sealed.all_envelopes().all(|envelope| rewrite::is_for(envelope, &recipients)) {
                    return Err(CliError::input("the document is sealed for other readers than it would be now")
                        .at(&file.path, at, Some(change.title.clone()))
                        .hint("rescope changes no readers: seal it anew from its source")
                        .into());
                }
                let opened = self.opener.open_as_sealed(&file.path, &document)?;
                if change.patch {
                    let of = PatchOf::same(&document);
                    let (scope, server_side) = (&change.place.scope, readers.server_side());
                    let order = PatchOrder { of: &of, scope, recipients: &recipients, server_side };
                    patch::seal(&file.path, &text, &document, &opened, order)?
                } else {
                    let secret = rewrite::secret_value(&document, &opened.values, Shape::Data);
                    let source = Stream::parse(render(&secret, "\n")).map_err(|error| said(error.to_problem()))?;
                    let secrets = secrets(&file.path, &source)?;
                    let order = Order {
                        recipients: &recipients,
                        asked: Asked { namespace: None, scope: self.typed },
                        targets: std::slice::from_ref(&change.targets),
                        ring: self.ring,
                        prune: false,
                        fresh: true,
                        rescope: true,
                        server_side: readers.server_side(),
                    };
                    let sealed =
                        rewrite::seal_over(&text, &[document], &secrets, &order, &mut OsRng).map_err(|refusals| {
                            let all: Vec<_> = refusals.source.into_iter().chain(refusals.existing).map(said).collect();
                            Errors::none_or(all).err().unwrap_or_else(|| CliError::input("nothing was written").into())
                        })?;
                    sealed.text
                }
            };
            text = made.unwrap_or(text);
        }
        Ok(text)
    }
}

/// The opened document as a source: its lines mean nothing to anybody.
fn secrets<'s>(path: &Path, source: &'s Stream) -> Result<Vec<SecretManifest<'s>>, Errors> {
    let mut secrets = Vec::new();
    let mut errors = Vec::new();
    for object in objects(source) {
        let reading = SecretManifest::read(object.node, clock::now());
        let placeless = |problem: &Problem| Problem { at: None, ..problem.clone() };
        let problems = reading.problems.iter().filter(|problem| problem.is_error());
        errors.extend(problems.map(|problem| CliError::problem(path, &placeless(problem))));
        secrets.extend(reading.manifest);
    }
    Errors::none_or(errors)?;
    Ok(secrets)
}

fn rows(files: &[SealedFile], changes: &[Vec<Change>], verb: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (file, changes) in files.iter().zip(changes) {
        let shown = file.path.display().to_string();
        rows.extend(changes.iter().map(|change| {
            Row::new(verb, &[&shown, &change.title]).detail("opened as", change.old.to_string(), None).detail(
                "opens as",
                change.place.scope.to_string(),
                change.because.as_deref(),
            )
        }));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(patterns: &[&str]) -> Scope {
        Scope::canonical(patterns.iter().map(|pattern| pattern.parse().unwrap())).unwrap()
    }

    fn unnamed_of(effective: &[&[&str]], new: &[&str], widen: &[&str]) -> Vec<String> {
        let place = Place { namespace: None, name: "db".to_owned(), scope: scope(new), deployed: true };
        let effective: Vec<Scope> = effective.iter().map(|patterns| scope(patterns)).collect();
        let name = "db".to_owned();
        let change = Change {
            title: name.clone(),
            name,
            namespace: None,
            patch: false,
            old: effective[0].clone(),
            effective,
            place,
            targets: vec![],
            because: None,
        };
        let widen: Vec<Pattern> = widen.iter().map(|pattern| pattern.parse().unwrap()).collect();
        unnamed(&widen, std::iter::once(&change)).into_iter().map(Pattern::to_string).collect()
    }

    #[test]
    fn a_place_that_is_new_to_any_value_has_to_be_named() {
        let both: &[&str] = &["prod/db", "test/db"];
        assert_eq!(unnamed_of(&[both], &["prod/db", "test/t-db"], &[]), ["test/t-db"]);
        assert_eq!(unnamed_of(&[both], &["prod/db", "test/t-db"], &["test/*"]), Vec::<String>::new());
        assert_eq!(unnamed_of(&[both], &["prod/db"], &[]), Vec::<String>::new());
        // One value was sealed for prod alone: it would open in test as well.
        assert_eq!(unnamed_of(&[both, &["prod/db"]], both, &[]), ["test/db"]);
        assert_eq!(unnamed_of(&[&["prod/*"]], &["prod/db"], &[]), Vec::<String>::new());
    }
}
