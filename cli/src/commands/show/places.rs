//! Which repository each file lies in, and what its policy is: each repository read once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ageseal::check::Context;
use ageseal::kustomize::{Options, Resolution, resolve};

use crate::error::{CliError, Errors};
use crate::files::{Tree, is_stdin};
use crate::repository::{Repositories, Repository, RepositoryError};
use crate::ui::Ui;

/// The places of the files of one run, in their order.
pub struct Places {
    repositories: Vec<Arc<Repository>>,
    of: Vec<(Option<usize>, Option<String>)>,
}

/// The contexts of the repositories, and one for files that are in none.
pub struct Contexts<'a> {
    of: Vec<(Context<'a>, &'a Resolution)>,
    none: Context<'a>,
}

/// What is known of the place of one file.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Its repository, if it has one with a policy that can be read.
    pub repository: Option<&'a Repository>,
    /// Its path from the top of that; none for stdin.
    pub path: Option<&'a str>,
    /// What it is held against.
    pub context: &'a Context<'a>,
    /// What the kustomizations of its repository build.
    pub resolution: Option<&'a Resolution>,
}

impl Places {
    /// Finds them. A policy that cannot be read is warned of once, and its files are shown without names.
    pub fn find<'p>(ui: &Ui, paths: impl Iterator<Item = &'p Path>) -> Self {
        let known = Repositories::new(ui);
        let mut places = Self { repositories: vec![], of: vec![] };
        let mut told: Vec<RepositoryError> = vec![];
        for path in paths {
            let found = if is_stdin(path) {
                // The names of this folder's repository help to read what is piped in; its rules go by paths.
                known.of_folder(Path::new(".")).map(|repository| (repository, None))
            } else {
                known.locate(path).map(|located| (located.repository, Some(located.path)))
            };
            match found {
                Ok((repository, path)) => {
                    let index = places.index(&repository);
                    places.of.push((Some(index), path));
                }
                Err(error) => {
                    if !told.contains(&error) {
                        tell(ui, &error);
                        told.push(error);
                    }
                    places.of.push((None, None));
                }
            }
        }
        places
    }

    fn index(&mut self, repository: &Arc<Repository>) -> usize {
        let known = self.repositories.iter().position(|other| Arc::ptr_eq(other, repository));
        known.unwrap_or_else(|| {
            self.repositories.push(Arc::clone(repository));
            self.repositories.len() - 1
        })
    }

    /// What the kustomizations of each repository build.
    pub fn resolutions(&self) -> Vec<Resolution> {
        let asked: BTreeSet<usize> = self.of.iter().filter_map(|(index, path)| path.as_ref().and(*index)).collect();
        let resolved = |(index, one): (usize, &Arc<Repository>)| match asked.contains(&index) {
            true => resolve(&Tree::new(one.top(), BTreeMap::new()), &Options::default()),
            // Only stdin is read, which lies nowhere.
            false => Resolution::default(),
        };
        self.repositories.iter().enumerate().map(resolved).collect()
    }

    /// What files are held against, at a time in seconds since 1970 UTC.
    pub fn contexts<'a>(&'a self, resolutions: &'a [Resolution], now: i64) -> Contexts<'a> {
        let all = self.repositories.iter().zip(resolutions);
        let of = all.map(|(one, resolution)| {
            let context = Context::new(now).policy(one.policy(), one.recipients()).resolution(resolution);
            (context, resolution)
        });
        Contexts { of: of.collect(), none: Context::new(now) }
    }

    /// The place of the file with this number.
    pub fn of<'a>(&'a self, index: usize, contexts: &'a Contexts<'a>) -> Place<'a> {
        let none = Place { repository: None, path: None, context: &contexts.none, resolution: None };
        let Some((Some(number), path)) = self.of.get(index) else { return none };
        let Some((repository, (context, resolution))) = self.repositories.get(*number).zip(contexts.of.get(*number))
        else {
            return none;
        };
        Place { repository: Some(repository), path: path.as_deref(), context, resolution: Some(resolution) }
    }
}

fn tell(ui: &Ui, error: &RepositoryError) {
    match error {
        // Nothing is amiss with files outside a repository.
        RepositoryError::NoRepository { .. } => {}
        RepositoryError::NoPolicy { .. } => ui.note(
            &CliError::input(
                "the repository has no policy, so recipients have no names and nothing is held against it",
            )
            .hint("ageseal init"),
        ),
        error => Errors::from(error.clone()).iter().for_each(|error| ui.warn(error)),
    }
}
