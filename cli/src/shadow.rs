//! The shadow generators of sealed files that are about to change: found, kept in step, written in the same batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use ageseal::kustomize::{NAMES, is_listed};
use ageseal::manifest::SealedManifest;
use ageseal::rewrite::{Action, DocumentPlan, PatchOf, Target};
use ageseal::scope::Pattern;
use ageseal::shadow::{self, Document};
use ageseal::yaml::Stream;
use rand_core::OsRng;

use crate::error::{CliError, Errors};
use crate::files::{self, Batch, Before, Want};
use crate::repository::{find_top, from_here};
use crate::ui::Row;

/// A kustomization may be empty, and then lists nothing.
const KUSTOMIZATION: Want = Want { empty: true, ..Want::DOCUMENT };

/// What to do where a value changes and no name does.
const RESTART: &str = "pods keep the old value: ageseal kustomize shadow FILE, or restart them";

/// What becomes of one document of a sealed file.
#[derive(Clone, Debug, Default)]
pub struct Change {
    name: String,
    namespace: Option<String>,
    changed: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// Whether a key counts as changed because nobody could compare its values.
    unknown: bool,
    /// Whether its values are for a name with a hash.
    hashed: bool,
}

impl Change {
    /// One value is set.
    pub fn set(document: &SealedManifest<'_>, key: &str) -> Self {
        Self { changed: BTreeSet::from([key.to_owned()]), ..Self::of(document) }
    }

    /// One value is removed.
    pub fn unset(document: &SealedManifest<'_>, key: &str) -> Self {
        Self { removed: BTreeSet::from([key.to_owned()]), ..Self::of(document) }
    }

    /// One value of an overlay patch is set.
    pub fn of_patch(of: &PatchOf, key: &str) -> Self {
        let (name, namespace) = (of.name.clone(), of.namespace.clone());
        Self { name, namespace, changed: BTreeSet::from([key.to_owned()]), ..Self::default() }
    }

    /// A document is sealed as planned.
    pub fn planned(plan: &DocumentPlan) -> Self {
        let keys = |action| plan.keys(action).map(str::to_owned).collect::<BTreeSet<_>>();
        Self {
            name: plan.place.name.clone(),
            namespace: plan.place.namespace.clone(),
            changed: plan.changed.clone().unwrap_or_else(|| keys(Action::Seal)),
            removed: keys(Action::Drop),
            unknown: plan.changed.is_none(),
            // What was typed says nothing of what gives the hash; and what is new has no old value.
            hashed: plan.existing.is_some()
                && plan.place.deployed
                && plan.place.scope.patterns().iter().any(Pattern::has_hash),
        }
    }

    /// What to say of a name with a hash that nothing moves though values changed.
    pub fn stands_still(&self, rolls: &[Rolls]) -> Option<CliError> {
        let changes = !self.changed.is_empty() || !self.removed.is_empty();
        (self.hashed && changes && rolls.is_empty()).then(|| {
            let fact = format!("{} has a hash in its name, and no shadow beside the file that moves it", self.name);
            CliError::finding(fact).hint(RESTART)
        })
    }

    /// The document, as a kustomization has it.
    fn document(&self) -> Document<'_> {
        Document { name: &self.name, namespace: self.namespace.as_deref() }
    }

    fn of(document: &SealedManifest<'_>) -> Self {
        Self { name: document.name.clone(), namespace: document.namespace.clone(), ..Self::default() }
    }
}

/// The keys by which pods roll, and the kustomization that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rolls {
    /// What rolls, in words.
    keys: String,
    /// The kustomization, as it is shown.
    kustomization: String,
}

impl Rolls {
    /// The row of the document, with this below it.
    pub fn told(&self, row: Row) -> Row {
        row.detail("rolls", &self.keys, Some(&self.kustomization))
    }
}

/// A kustomization that was read.
pub struct Kustomization {
    /// Its path, as it is shown and written.
    pub path: PathBuf,
    /// Its bytes, as they were read.
    pub bytes: Vec<u8>,
    /// Its text, with what is planned so far.
    pub stream: Stream,
    /// The path of its folder, made for comparing.
    folder: String,
    changed: bool,
}

impl Kustomization {
    /// Takes a text in which numbers changed.
    fn takes(&mut self, stream: Stream) {
        self.stream = stream;
        self.changed = true;
    }

    /// Tells what rolls by numbers that changed here.
    fn rolls(&self, change: &Change) -> Rolls {
        let keys: Vec<&str> = change.changed.iter().chain(&change.removed).map(String::as_str).collect();
        let why = if change.unknown { ": the old values could not be compared" } else { "" };
        let keys = format!("the pods, for {}{why}", keys.join(", "));
        Rolls { keys, kustomization: self.path.display().to_string() }
    }
}

/// The kustomizations above the sealed files of one run, each read once.
#[derive(Default)]
pub struct Shadows {
    /// By the folder of a sealed file, as it was named: its kustomizations by path, and what its own path is compared as.
    folders: HashMap<PathBuf, (Vec<PathBuf>, String)>,
    known: BTreeMap<PathBuf, Option<Kustomization>>,
}

impl Shadows {
    /// Keeps the shadow of a document in step, wherever a kustomization that lists its file has one.
    ///
    /// Nothing is written before [`add_to`](Self::add_to). Gives back what rolls by it; nothing if there is no shadow or
    /// no value changed.
    ///
    /// # Errors
    /// A kustomization that may have a shadow cannot be read or edited: then whether the pods roll would not be known.
    pub fn refresh(&mut self, file: &Path, change: &Change) -> Result<Vec<Rolls>, Errors> {
        Ok(self.refresh_all(&[(file, change)])?.swap_remove(0))
    }

    /// Keeps the shadows of many documents in step: as [`refresh`](Self::refresh), with one edit a kustomization.
    ///
    /// Gives back what rolls by each of them, in their order.
    ///
    /// # Errors
    /// Every kustomization that may have a shadow and cannot be read or edited.
    pub fn refresh_all(&mut self, changes: &[(&Path, &Change)]) -> Result<Vec<Vec<Rolls>>, Errors> {
        let mut errors = Vec::new();
        let mut listed: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
        for (index, (file, _)) in changes.iter().enumerate() {
            match self.listing(file, may_generate) {
                Ok(paths) => paths.into_iter().for_each(|path| listed.entry(path).or_default().push(index)),
                Err(error) => errors.push(error),
            }
        }
        let keys: Vec<_> = changes.iter().map(|(_, change)| (texts(&change.changed), texts(&change.removed))).collect();
        let mut rolls = vec![Vec::new(); changes.len()];
        for (path, indices) in listed {
            let Some(Some(kustomization)) = self.known.get_mut(&path) else { continue };
            let all: Vec<_> = indices
                .iter()
                .map(|&index| {
                    let (change, (changed, removed)) = (changes[index].1, &keys[index]);
                    shadow::Changes { document: change.document(), changed, removed }
                })
                .collect();
            match shadow::refresh_all(&kustomization.stream, &all, &mut OsRng) {
                Ok(Some((stream, moved))) => {
                    kustomization.takes(stream);
                    for (index, _) in indices.into_iter().zip(moved).filter(|(_, moved)| *moved) {
                        rolls[index].push(kustomization.rolls(changes[index].1));
                    }
                }
                Ok(None) => {}
                Err(problems) => {
                    errors.extend(problems.iter().map(|problem| CliError::problem(&kustomization.path, problem)));
                }
            }
        }
        Errors::none_or(errors)?;
        Ok(rolls)
    }

    /// Keeps the numbers of an overlay patch in step, in a kustomization that lists it: its pods roll, and those of other
    /// overlays do not.
    ///
    /// Without `hashed`, only numbers that are there already are kept. `base` is the file of the document, if it is known.
    /// Nothing is written before [`add_to`](Self::add_to). Gives back what rolls by it, if something does.
    ///
    /// # Errors
    /// The kustomization cannot be read or edited.
    pub fn refresh_patch(
        &mut self,
        kustomization: &Path,
        change: &Change,
        hashed: bool,
        base: Option<&Path>,
    ) -> Result<Option<Rolls>, CliError> {
        // kustomize merges into a generator that is written with the same namespace.
        let written = match base {
            Some(base) => self.listing(base, may_generate)?.iter().find_map(|path| {
                shadow::namespace_of(&self.get(path)?.stream, change.document())
                    .map(|namespace| namespace.map(str::to_owned))
            }),
            None => None,
        };
        // Without a shadow to merge into there is nothing to add.
        let add = hashed && written.is_some();
        let namespace = written.unwrap_or_else(|| change.namespace.clone());
        let canonical = canonical(kustomization)?;
        // One that was passed over as of no interest to the base is of interest here.
        if !matches!(self.known.get(&canonical), Some(Some(_))) {
            self.known.insert(canonical.clone(), read(&canonical, |_| true)?);
        }
        let Some(Some(known)) = self.known.get_mut(&canonical) else { return Ok(None) };
        let document = Document { name: &change.name, namespace: namespace.as_deref() };
        let (changed, removed) = (texts(&change.changed), texts(&change.removed));
        let changes = shadow::Changes { document, changed: &changed, removed: &removed };
        let refreshed = shadow::refresh_merged(&known.stream, changes, add, &mut OsRng)
            .map_err(|problem| CliError::problem(&known.path, &problem))?;
        Ok(refreshed.map(|stream| {
            known.takes(stream);
            known.rolls(change)
        }))
    }

    /// Takes over a kustomization that is about to be written for another reason: it is written together with the rest.
    ///
    /// # Errors
    /// Its new text is no YAML.
    pub fn take_over(&mut self, path: &Path, before: &Before, new: &[u8]) -> Result<(), CliError> {
        let Before::Holds(bytes) = before else { return Ok(()) };
        let canonical = canonical(path)?;
        let stream = Stream::from_bytes(new.to_vec()).map_err(|error| CliError::problem(path, &error.to_problem()))?;
        let folder = canonical.parent().map(comparable).unwrap_or_default();
        let one = Kustomization { path: path.to_owned(), bytes: bytes.clone(), stream, folder, changed: true };
        self.known.insert(canonical, Some(one));
        Ok(())
    }

    /// The kustomizations that changed, as they will be: the path of each, and its text.
    pub fn planned(&self) -> impl Iterator<Item = (&Path, &str)> {
        let changed = self.known.values().flatten().filter(|one| one.changed);
        changed.map(|one| (one.path.as_path(), one.stream.text()))
    }

    /// Adds the kustomizations that changed to what is written.
    pub fn add_to(self, batch: &mut Batch) {
        for kustomization in self.known.into_values().flatten().filter(|one| one.changed) {
            let new = kustomization.stream.text().as_bytes().to_vec();
            batch.add(kustomization.path, Before::Holds(kustomization.bytes), new);
        }
    }

    /// The kustomizations that list a file as a resource, of those in its folder and above it, up to the top of the
    /// repository: kustomize reads no file from elsewhere. Those whose bytes are of no interest are passed over.
    ///
    /// # Errors
    /// One of them cannot be read, or is no YAML.
    pub fn listing(&mut self, file: &Path, is_of_interest: fn(&[u8]) -> bool) -> Result<Vec<PathBuf>, CliError> {
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !self.folders.contains_key(folder) {
            self.folders.insert(folder.to_owned(), above(folder));
        }
        let Some((paths, place)) = self.folders.get(folder) else { return Ok(Vec::new()) };
        let place = format!("{place}/{name}");
        let mut listing = Vec::new();
        for path in paths {
            if !self.known.contains_key(path) {
                self.known.insert(path.clone(), read(path, is_of_interest)?);
            }
            let known = self.known.get(path).and_then(Option::as_ref);
            if known.is_some_and(|one| is_listed(&one.stream, &one.folder, &place)) {
                listing.push(path.clone());
            }
        }
        listing.sort();
        Ok(listing)
    }

    /// A kustomization that was read.
    pub fn get(&self, path: &Path) -> Option<&Kustomization> {
        self.known.get(path)?.as_ref()
    }
}

/// What to say of an overlay patch whose document has a hash in its name that nothing moves.
pub fn patch_stands_still(name: &str) -> CliError {
    let fact = format!("{name} has a hash in its name, and no shadow beside its document that moves it");
    CliError::finding(fact).hint(RESTART)
}

/// What to say where names and shadows do not go together: a hash that nothing moves, a number that moves no hash.
pub fn rolls_at_all(targets: &[Target], rolls: bool) -> Option<CliError> {
    match (targets.iter().find(|target| target.hashed), rolls) {
        (Some(target), false) => {
            let fact =
                format!("{} has a hash in its name, and no shadow beside the file that moves it", target.shown());
            Some(CliError::finding(fact).hint(RESTART))
        }
        (None, true) if !targets.is_empty() => {
            let fact = "the shadow of this document gives it no hash where it is deployed, so nothing rolls";
            Some(CliError::finding(fact).hint("ageseal kustomize shadow FILE says what is in the way"))
        }
        _ => None,
    }
}

/// Whether a kustomization can have a generator of Secrets. Its keys are taken in any case.
pub fn may_generate(bytes: &[u8]) -> bool {
    const FIELD: &[u8] = b"secretGenerator";
    bytes.windows(FIELD.len()).any(|word| word.eq_ignore_ascii_case(FIELD))
}

fn texts(keys: &BTreeSet<String>) -> BTreeSet<&str> {
    keys.iter().map(String::as_str).collect()
}

fn canonical(path: &Path) -> Result<PathBuf, CliError> {
    std::fs::canonicalize(path).map_err(|error| CliError::io("the file cannot be read", path, &error))
}

/// The kustomizations in a folder and above it, and the path of the folder, made for comparing.
fn above(folder: &Path) -> (Vec<PathBuf>, String) {
    let Ok(folder) = std::fs::canonicalize(folder) else { return Default::default() };
    let top = find_top(&folder).map_or_else(|_| folder.clone(), |top| top.path().to_owned());
    let folders = folder.ancestors().take_while(|above| above.starts_with(&top));
    let paths = folders.flat_map(|above| NAMES.map(|name| above.join(name)));
    (paths.filter(|path| path.is_file()).collect(), comparable(&folder))
}

fn read(path: &Path, is_of_interest: fn(&[u8]) -> bool) -> Result<Option<Kustomization>, CliError> {
    let shown = from_here(path);
    let bytes = files::read(&shown, KUSTOMIZATION)?;
    if !is_of_interest(&bytes) {
        return Ok(None);
    }
    let stream = Stream::from_bytes(bytes.clone()).map_err(|error| {
        CliError::problem(&shown, &error.to_problem())
            .hint("mend it first: whether it has a shadow for this file cannot be known; nothing was written")
    })?;
    let folder = path.parent().map(comparable).unwrap_or_default();
    Ok(Some(Kustomization { path: shown, bytes, stream, folder, changed: false }))
}

/// A canonical path as text, its parts divided by `/`.
fn comparable(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}
