//! One run over a tree: paths, the load restriction, and every file read once.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use zeroize::Zeroizing;

use super::NAMES;
use super::accumulate::Acc;
use super::config::{self, Config};
use super::files::{Files, is_within, join, parent};
use super::kustomization::{Kustomization, Shared};
use super::model::{LoadRestriction, Options};
use super::read::{self, Document};
use super::refusal::{At, Refusal};
use super::value::Value;
use crate::yaml::Stream;

type Cached<T> = Result<Rc<T>, Refusal>;

/// The caches of one run.
pub(super) struct Session<'f> {
    files: &'f dyn Files,
    options: &'f Options,
    /// What every kustomization starts with.
    pub(super) defaults: Rc<Config>,
    /// Which files a kustomization may name, for the root that is built now.
    restriction: LoadRestriction,
    kustomizations: ByRestriction<Kustomization>,
    objects: HashMap<String, Cached<Vec<Document>>>,
    plain: HashMap<String, Cached<Value>>,
    /// What the folders that others include build.
    built: ByRestriction<Acc>,
    links: OnceCell<Vec<String>>,
}

/// What depends on which files may be named: an answer for [`LoadRestriction::RootOnly`] and one for
/// [`LoadRestriction::None`].
type ByRestriction<T> = [HashMap<String, Cached<T>>; 2];

impl<'f> Session<'f> {
    pub(super) fn new(files: &'f dyn Files, options: &'f Options) -> Self {
        Self {
            files,
            options,
            defaults: Rc::new(config::defaults()),
            restriction: options.load_restriction,
            kustomizations: Default::default(),
            objects: HashMap::new(),
            plain: HashMap::new(),
            built: Default::default(),
            links: OnceCell::new(),
        }
    }

    /// Builds what comes now with a restriction; none is the one of the options.
    pub(super) fn restrict(&mut self, restriction: Option<LoadRestriction>) {
        self.restriction = restriction.unwrap_or(self.options.load_restriction);
    }

    /// What the folders that others include build.
    pub(super) fn built(&mut self) -> &mut HashMap<String, Cached<Acc>> {
        &mut self.built[self.lane()]
    }

    fn lane(&self) -> usize {
        usize::from(self.restriction == LoadRestriction::None)
    }

    /// The kustomization of a folder.
    pub(super) fn kustomization(&mut self, folder: &str) -> Result<Shared, Refusal> {
        let lane = self.lane();
        if let Some(known) = self.kustomizations[lane].get(folder) {
            return known.clone();
        }
        let read = self.read_kustomization(folder).map(Rc::new);
        self.kustomizations[lane].insert(folder.to_owned(), read.clone());
        read
    }

    fn read_kustomization(&self, folder: &str) -> Result<Kustomization, Refusal> {
        let mut found: Option<(String, Zeroizing<Vec<u8>>)> = None;
        for name in NAMES {
            let path = below(folder, name);
            // A link out of the folder is no file to kustomize, as with any other file.
            let allowed = self.real(&path).is_some_and(|real| self.allows(folder, &real));
            let Some(bytes) = self.files.read(&path).filter(|_| allowed) else { continue };
            if let Some((first, _)) = found {
                let message = format!("{first} stands beside this file: kustomize takes one of them at most");
                return Err(At::new(&path, 1).broken("several-kustomizations", message));
            }
            found = Some((path, bytes));
        }
        match found {
            None => Err(At::new(folder, 1).broken("no-kustomization", "there is no kustomization in this folder")),
            Some((path, bytes)) => {
                let at = At::new(&path, 1);
                Kustomization::read(&at, &read::read_one(&at, &bytes)?)
            }
        }
    }

    /// Whether a kustomization may read a file.
    fn allows(&self, folder: &str, real: &str) -> bool {
        self.restriction == LoadRestriction::None || is_within(parent(real), folder)
    }

    /// Whether a file is there, whoever may read it.
    pub(super) fn is_file(&self, folder: &str, path: &str) -> bool {
        join(folder, path).is_some_and(|path| self.files.is_file(&path))
    }

    /// Whether a resource is not there and may be missing.
    pub(super) fn passes_over(&self, folder: &str, path: &str) -> bool {
        let missing = |path: String| !self.files.is_file(&path) && !self.files.is_folder(&path);
        let is_file = [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending));
        self.options.pass_over_missing && is_file && !is_remote(path) && join(folder, path).is_some_and(missing)
    }

    /// The real path of a file that a kustomization names.
    pub(super) fn locate(&self, at: &At, folder: &str, path: &str) -> Result<String, Refusal> {
        if is_remote(path) {
            return Err(remote(at));
        }
        let outside = || match self.restriction {
            LoadRestriction::RootOnly => at
                .broken("outside", format!("{} is neither in {} nor below it", show(path), shown_folder(folder)))
                .hinted("move the file below its kustomization, or name its folder as a base"),
            LoadRestriction::None => {
                at.unmodelled("outside-repository", format!("{} leads out of the repository", show(path)))
            }
        };
        let Some(joined) = join(folder, path) else { return Err(outside()) };
        if !self.files.is_file(&joined) {
            let message = if self.files.is_folder(&joined) { "is a folder, not a file" } else { "does not exist" };
            return Err(at.broken("missing-file", format!("{} {message}", show(path))));
        }
        match self.real(&joined) {
            Some(real) if self.allows(folder, &real) => Ok(real),
            _ => Err(outside()),
        }
    }

    /// The bytes of a file that a kustomization names, with its real path.
    pub(super) fn load(&self, at: &At, folder: &str, path: &str) -> Result<(String, Zeroizing<Vec<u8>>), Refusal> {
        let real = self.locate(at, folder, path)?;
        match self.files.read(&real) {
            Some(bytes) => Ok((real, bytes)),
            None => Err(at.broken("missing-file", format!("{} does not exist", show(path)))),
        }
    }

    /// The objects of a file that a kustomization names, with its real path.
    pub(super) fn objects(
        &mut self,
        at: &At,
        folder: &str,
        path: &str,
    ) -> Result<(String, Rc<Vec<Document>>), Refusal> {
        let real = self.locate(at, folder, path)?;
        if let Some(known) = self.objects.get(&real) {
            return known.clone().map(|objects| (real, objects));
        }
        let bytes = self.files.read(&real).unwrap_or_default();
        let objects = read::read_objects(&At::new(&real, 1), &bytes, false).map(Rc::new);
        self.objects.insert(real.clone(), objects.clone());
        objects.map(|objects| (real, objects))
    }

    /// A file of kustomize's own that a kustomization names, with its real path.
    pub(super) fn plain(&mut self, at: &At, folder: &str, path: &str) -> Result<(String, Rc<Value>), Refusal> {
        let real = self.locate(at, folder, path)?;
        if let Some(known) = self.plain.get(&real) {
            return known.clone().map(|value| (real, value));
        }
        let bytes = self.files.read(&real).unwrap_or_default();
        let value = read::read_one(&At::new(&real, 1), &bytes).map(Rc::new);
        self.plain.insert(real.clone(), value.clone());
        value.map(|value| (real, value))
    }

    /// The real path of a folder that a kustomization includes.
    pub(super) fn folder(&self, at: &At, folder: &str, path: &str) -> Result<String, Refusal> {
        if path.is_empty() {
            return Err(at.broken("empty-path", "a path is empty"));
        }
        if is_remote(path) {
            return Err(remote(at));
        }
        if path.starts_with('/') {
            return Err(at.broken("absolute-path", format!("{} is an absolute path", show(path))));
        }
        let parts = path.split('/');
        if parts.into_iter().any(|part| part != ".." && part.contains("..")) {
            return Err(at.unmodelled("ambiguous-path", format!("{} has two dots within a name", show(path))));
        }
        let Some(joined) = join(folder, path) else {
            return Err(at.unmodelled("outside-repository", format!("{} leads out of the repository", show(path))));
        };
        if !self.files.is_folder(&joined) {
            let message = if self.files.is_file(&joined) { "is a file" } else { "does not exist" };
            return Err(at.broken("missing-file", format!("{} {message}", show(path))));
        }
        match self.real(&joined) {
            Some(real) => Ok(real),
            None => Err(at.unmodelled("outside-repository", format!("{} leads out of the repository", show(path)))),
        }
    }

    /// The files and folders that a kustomization names in any list, though it cannot be read as one: what it was meant to
    /// include, without a link in the path. Nothing if it is no YAML.
    pub(super) fn named_in(&self, folder: &str) -> Vec<String> {
        let paths = NAMES.map(|name| below(folder, name));
        let texts = paths.iter().filter_map(|path| self.files.read(path));
        let streams: Vec<Stream> = texts.filter_map(|bytes| Stream::from_bytes(bytes.to_vec()).ok()).collect();
        let roots = streams.iter().flat_map(Stream::documents).filter_map(|document| document.root());
        let items = roots.flat_map(|root| root.entries()).flat_map(|(_, list)| list.items());
        let named = items.filter_map(|item| join(folder, item.str()?));
        named.filter_map(|path| self.real(&path)).collect()
    }

    /// The bytes of a file of the tree.
    pub(super) fn read(&self, path: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.files.read(path)
    }

    /// Whether there is a file at this path.
    pub(super) fn has_file(&self, path: &str) -> bool {
        self.files.is_file(path)
    }

    /// Whether a folder has a kustomization of any name.
    pub(super) fn has_kustomization(&self, folder: &str) -> bool {
        NAMES.iter().any(|name| self.files.is_file(&below(folder, name)))
    }

    /// The URLs that the repository has.
    pub(super) fn remotes(&self) -> Vec<String> {
        self.files.remotes()
    }

    /// Whether there is a folder.
    pub(super) fn is_folder(&self, path: &str) -> bool {
        self.files.is_folder(path)
    }

    /// Every file of the tree.
    pub(super) fn paths(&self) -> Vec<String> {
        self.files.paths()
    }

    /// Every symbolic link. The tree is walked once for it, and only if somebody asks.
    pub(super) fn links(&self) -> &[String] {
        self.links.get_or_init(|| self.files.links())
    }

    /// A file or folder without symbolic links.
    pub(super) fn real(&self, path: &str) -> Option<String> {
        self.files.real(path)
    }
}

/// The path of a name in a folder.
pub(super) fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn remote(at: &At) -> Refusal {
    at.unmodelled("remote", "what another repository or server holds is not known here")
        .hinted("keep a copy of it in this repository")
}

/// Whether kustomize would take a path for one on the network.
pub(super) fn is_remote(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let prefixes = ["git::", "git@", "gh:", "github.com/", "github.com:"];
    lower.contains("://")
        || prefixes.iter().any(|prefix| lower.starts_with(prefix))
        || lower.contains("?ref=")
        || lower.contains("_git/")
        || lower.contains(".git/")
        || lower.ends_with(".git")
        || lower.split('/').next().is_some_and(|host| host.contains('@') && host.contains(':'))
}

/// A path for a message: short, on one line.
pub(super) fn show(path: &str) -> String {
    let shown: String = path.chars().take(120).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if path.contains('\n') { "an inline text".to_owned() } else { shown }
}

fn shown_folder(folder: &str) -> &str {
    if folder.is_empty() { "the top folder" } else { folder }
}
