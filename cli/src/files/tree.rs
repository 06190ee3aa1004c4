//! The files of a repository as the resolver of kustomizations asks for them: never beyond the top.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ageseal::kustomize::Files;
use walkdir::{DirEntry, WalkDir};
use zeroize::Zeroizing;

use super::walk::is_skipped;
use crate::git;

/// One more byte than the resolver takes: what is larger is refused there, and is not read to its end here.
const MOST: u64 = 8 * 1024 * 1024 + 1;

/// The files below a folder, some of them as they are about to be written.
///
/// Guarantees: nothing outside the folder is read, wherever symbolic links lead; pipes and devices are no files. Where a path
/// leads is looked up once: the resolver asks for each file several times, and a repository has tens of thousands.
pub struct Tree {
    /// Canonical.
    top: PathBuf,
    planned: BTreeMap<String, Zeroizing<Vec<u8>>>,
    /// What was looked up, by the path that was asked for.
    found: RefCell<HashMap<String, Option<Rc<Found>>>>,
}

/// Where a path leads, inside.
struct Found {
    /// Without a symbolic link.
    real: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Other,
}

impl Kind {
    fn of(meta: &fs::Metadata) -> Self {
        match (meta.is_file(), meta.is_dir()) {
            (true, _) => Self::File,
            (_, true) => Self::Folder,
            _ => Self::Other,
        }
    }
}

impl Tree {
    /// The files below a canonical folder, with these in the place of what is there.
    pub fn new(top: &Path, planned: BTreeMap<String, Zeroizing<Vec<u8>>>) -> Self {
        Self { top: top.to_owned(), planned, found: RefCell::default() }
    }

    /// Where a path leads, if that is inside.
    fn find(&self, path: &str) -> Option<Rc<Found>> {
        if let Some(known) = self.found.borrow().get(path) {
            return known.clone();
        }
        let found = self.look_up(path).map(Rc::new);
        self.found.borrow_mut().insert(path.to_owned(), found.clone());
        found
    }

    /// The folder is looked up first, and once for all that is in it.
    fn look_up(&self, path: &str) -> Option<Found> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() || name == "." || name == ".." {
            return self.follow(&self.top.join(path));
        }
        let at = self.find(folder)?.real.join(name);
        let meta = fs::symlink_metadata(&at).ok()?;
        if meta.is_symlink() { self.follow(&at) } else { Some(Found { real: at, kind: Kind::of(&meta) }) }
    }

    fn follow(&self, path: &Path) -> Option<Found> {
        let real = fs::canonicalize(path).ok().filter(|real| real.starts_with(&self.top))?;
        let kind = Kind::of(&fs::metadata(&real).ok()?);
        Some(Found { real, kind })
    }

    fn is(&self, path: &str, kind: Kind) -> bool {
        self.find(path).is_some_and(|found| found.kind == kind)
    }

    fn entries(&self) -> impl Iterator<Item = DirEntry> {
        let all = WalkDir::new(&self.top).into_iter().filter_entry(|entry| entry.depth() == 0 || !is_skipped(entry));
        all.filter_map(Result::ok)
    }

    fn relative(&self, real: &Path) -> Option<String> {
        let inside = real.strip_prefix(&self.top).ok()?;
        let parts: Option<Vec<&str>> = inside.components().map(|part| part.as_os_str().to_str()).collect();
        parts.map(|parts| parts.join("/"))
    }
}

impl Files for Tree {
    fn read(&self, path: &str) -> Option<Zeroizing<Vec<u8>>> {
        if let Some(bytes) = self.planned.get(path) {
            return Some(bytes.clone());
        }
        let found = self.find(path).filter(|found| found.kind == Kind::File)?;
        let file = File::open(&found.real).ok()?;
        let size = file.metadata().ok().filter(fs::Metadata::is_file)?.len().min(MOST);
        // All of it at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).ok()?.saturating_add(1)));
        file.take(size).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn is_file(&self, path: &str) -> bool {
        self.planned.contains_key(path) || self.is(path, Kind::File)
    }

    fn is_folder(&self, path: &str) -> bool {
        self.is(path, Kind::Folder)
    }

    fn paths(&self) -> Vec<String> {
        let files = self.entries().filter(|entry| entry.file_type().is_file());
        let mut paths: Vec<String> = files.filter_map(|entry| self.relative(entry.path())).collect();
        paths.extend(self.planned.keys().cloned());
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    fn links(&self) -> Vec<String> {
        let links = self.entries().filter(|entry| entry.file_type().is_symlink());
        let mut links: Vec<String> = links.filter_map(|entry| self.relative(entry.path())).collect();
        links.sort_unstable();
        links
    }

    fn real(&self, path: &str) -> Option<String> {
        match self.find(path) {
            Some(found) => self.relative(&found.real),
            None => self.planned.contains_key(path).then(|| path.to_owned()),
        }
    }

    fn remotes(&self) -> Vec<String> {
        git::remotes(&self.top)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_leads_out_of_the_repository_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(folder.path()).unwrap().join("repository");
        fs::create_dir_all(top.join("base")).unwrap();
        fs::write(top.join("base/a.yaml"), "a").unwrap();
        fs::write(folder.path().join("outside.yaml"), "secret").unwrap();
        symlink("../outside.yaml", top.join("out.yaml")).unwrap();
        symlink("base/a.yaml", top.join("in.yaml")).unwrap();
        symlink("base", top.join("alias")).unwrap();
        let tree = Tree::new(&top, BTreeMap::from([("base/new.yaml".to_owned(), Zeroizing::new(b"planned".to_vec()))]));
        assert_eq!((tree.read("out.yaml"), tree.real("out.yaml")), (None, None));
        let text = |path: &str| tree.read(path).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        assert_eq!(text("in.yaml").as_deref(), Some("a"));
        assert_eq!(tree.real("alias/a.yaml").as_deref(), Some("base/a.yaml"));
        assert_eq!(text("base/new.yaml").as_deref(), Some("planned"));
        assert_eq!(tree.real("base/new.yaml").as_deref(), Some("base/new.yaml"));
        assert!(tree.is_folder("alias") && tree.is_folder("") && !tree.is_folder("in.yaml") && !tree.is_folder(".."));
        assert_eq!(tree.paths(), ["base/a.yaml", "base/new.yaml"]);
        assert_eq!(tree.links(), ["alias", "in.yaml", "out.yaml"]);
        assert_eq!(tree.read("base"), None);
    }
}
