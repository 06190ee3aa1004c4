//! Which repository each of many files lies in, each repository read once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::RepositoryError;
use super::top::{canonical_folder, canonical_place, find_top};
use super::{Repository, Top};
use crate::ui::Ui;

/// A file in its repository.
#[derive(Clone, Debug)]
pub struct Located {
    /// The repository.
    pub repository: Arc<Repository>,
    /// The file, from the top of the repository, its parts divided by `/`.
    pub path: String,
}

type Found = Result<Arc<Repository>, RepositoryError>;

/// The repositories that the files of one run lie in.
///
/// A file belongs to the repository that it lies in, wherever the command was started. Both the repositories and the
/// folders are remembered, so that a tree of many files costs one search a folder.
pub struct Repositories {
    ui: Ui,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    tops: HashMap<PathBuf, Found>,
    /// By the folder as it was named: its repository, and its canonical path.
    folders: HashMap<PathBuf, Result<(Arc<Repository>, PathBuf), RepositoryError>>,
}

impl Repositories {
    /// No repository yet.
    pub fn new(ui: &Ui) -> Self {
        Self { ui: ui.clone(), known: Mutex::default() }
    }

    /// The repository of a file, which need not exist yet, and its path there.
    ///
    /// # Errors
    /// As [`Repository::open`] and [`Repository::relative`]. The same error comes for every file of a folder.
    pub fn locate(&self, file: &Path) -> Result<Located, RepositoryError> {
        let Some((folder, name)) = file.parent().zip(file.file_name()) else {
            let place = canonical_place(file)?;
            return Err(RepositoryError::Outside { top: place.clone(), path: place });
        };
        let (repository, folder) = self.folder(folder)?;
        let path = repository.top.relative(&folder.join(name))?;
        Ok(Located { repository, path })
    }

    /// The repository of a folder.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn of_folder(&self, folder: &Path) -> Result<Arc<Repository>, RepositoryError> {
        self.folder(folder).map(|(repository, _)| repository)
    }

    fn folder(&self, folder: &Path) -> Result<(Arc<Repository>, PathBuf), RepositoryError> {
        // A panic elsewhere leaves these maps whole: every entry is made before it is put in.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.folders.get(folder) {
            return found.clone();
        }
        let found = self.search(folder, &mut known.tops);
        known.folders.insert(folder.to_owned(), found.clone());
        found
    }

    fn search(
        &self,
        folder: &Path,
        tops: &mut HashMap<PathBuf, Found>,
    ) -> Result<(Arc<Repository>, PathBuf), RepositoryError> {
        let canonical = canonical_folder(folder)?;
        let existing = canonical.ancestors().find(|above| above.is_dir()).unwrap_or(&canonical);
        let top = find_top(existing)?;
        top.check_below(&canonical)?;
        let load = |top: Top| Repository::load(&self.ui, top).map(Arc::new);
        let repository = tops.entry(top.path().to_owned()).or_insert_with(|| load(top)).clone()?;
        Ok((repository, canonical))
    }
}
