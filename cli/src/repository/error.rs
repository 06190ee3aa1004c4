//! Why a repository cannot be used, and where.

use std::path::{Path, PathBuf};

use ageseal::policy::{POLICY_PATH, PolicyError};

use super::FOLDER;
use crate::error::{CliError, Errors, Exit, shown};

/// Why a repository, or a path in it, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// Neither git nor a policy above the folder.
    #[error("this is not a git repository, and no folder above has a {FOLDER}")]
    NoRepository {
        /// Where the search began.
        folder: PathBuf,
    },
    /// A repository without a policy.
    #[error("the repository has no policy")]
    NoPolicy {
        /// Its top.
        top: PathBuf,
    },
    /// A policy that does not stand at the top.
    #[error("there is a {FOLDER} below the top of the repository: it would escape whoever guards the one at the top")]
    SecondPolicy {
        /// Where it is.
        second: PathBuf,
        /// The top.
        top: PathBuf,
    },
    /// A policy that somebody else may have put there.
    #[error("this belongs to another user, who would decide whom you seal for")]
    NotOwned {
        /// What belongs to somebody else.
        path: PathBuf,
    },
    /// A policy that was mounted over the files from elsewhere.
    #[error("this lies on another file system than the files that it would decide on")]
    OtherFileSystem {
        /// What lies elsewhere.
        path: PathBuf,
    },
    /// A symbolic link in the place of a part of the policy.
    #[error("this is a symbolic link: what it leads to can be changed where nobody guards it")]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// Something else in the place of a part of the policy.
    #[error("this is not {wanted}")]
    WrongKind {
        /// What it is about.
        path: PathBuf,
        /// What belongs there.
        wanted: &'static str,
    },
    /// More recipients files than are read.
    #[error("there are more than {most} recipients files")]
    TooManyFiles {
        /// Their folder.
        folder: PathBuf,
        /// The most that are read.
        most: usize,
    },
    /// A file or folder that the system does not let us read.
    #[error("this cannot be read")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// The system's word.
        cause: String,
    },
    /// A path that is not below the top.
    #[error("this is outside the repository")]
    Outside {
        /// The path.
        path: PathBuf,
        /// The top.
        top: PathBuf,
    },
    /// A path that is not text, and so cannot be matched by a policy.
    #[error("this path is not UTF-8, and no rule of a policy can name it")]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// The policy or the recipients files have problems of their own.
    #[error("the policy has problems")]
    Files(Vec<CliError>),
    /// The policy refuses a path.
    #[error("the policy does not say whom {path} is sealed for")]
    Policy {
        /// The top.
        top: PathBuf,
        /// The path, from the top.
        path: String,
        /// All reasons.
        errors: Vec<PolicyError>,
    },
}

impl RepositoryError {
    fn place(&self) -> Option<&Path> {
        match self {
            Self::NoRepository { folder: path }
            | Self::NoPolicy { top: path }
            | Self::SecondPolicy { second: path, .. }
            | Self::NotOwned { path }
            | Self::OtherFileSystem { path }
            | Self::Link { path }
            | Self::WrongKind { path, .. }
            | Self::TooManyFiles { folder: path, .. }
            | Self::Unreadable { path, .. }
            | Self::Outside { path, .. }
            | Self::NotText { path } => Some(path),
            Self::Files(_) | Self::Policy { .. } => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoRepository { .. } | Self::NoPolicy { .. } => "ageseal init".to_owned(),
            Self::SecondPolicy { top, .. } => {
                format!("put its rules into {} and remove it", shown(&from_here(&top.join(POLICY_PATH))))
            }
            Self::NotOwned { .. } => "move your files below a folder of your own, or ask its owner".to_owned(),
            Self::Link { .. } => "put the file itself there".to_owned(),
            Self::Outside { top, .. } => format!("the repository is {}", shown(top)),
            Self::NotText { .. } => "rename it".to_owned(),
            _ => return None,
        })
    }
}

impl From<RepositoryError> for Errors {
    fn from(error: RepositoryError) -> Self {
        let errors = match &error {
            RepositoryError::Files(errors) => errors.clone(),
            RepositoryError::Policy { top, path, errors } => {
                errors.iter().map(|error| about(top, path, error)).collect()
            }
            _ => vec![],
        };
        match Self::none_or(errors) {
            Err(errors) => errors,
            Ok(()) => single(&error).into(),
        }
    }
}

fn single(error: &RepositoryError) -> CliError {
    let kind = if matches!(error, RepositoryError::Outside { .. }) { Exit::Usage } else { Exit::InputOutput };
    let mut told = CliError::new(kind, error.to_string());
    if let Some(place) = error.place() {
        told = told.path(&from_here(place));
    }
    if let RepositoryError::Unreadable { cause, .. } = error {
        told = told.cause(cause);
    }
    match error.hint() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// A refusal of the policy, at the file it is about and at the place of the policy that refuses.
pub(super) fn about(top: &Path, path: &str, error: &PolicyError) -> CliError {
    let own = own(top, error);
    let places = own.places.clone();
    let mut told = CliError { places: vec![], ..own }.path(&from_here(&top.join(path)));
    // Without a place of its own, what refuses is the policy as a whole, and the hint says so.
    if error.place().1.is_some() {
        told.places.extend(places);
    }
    told
}

/// A refusal of the policy, at the place of the policy that refuses.
pub(super) fn own(top: &Path, error: &PolicyError) -> CliError {
    let (file, at) = error.place();
    let path = from_here(&top.join(file));
    let told = CliError::input(error.to_string()).hint(error.hint());
    match at {
        Some(at) => told.at(&path, at, None),
        None => told.path(&path),
    }
}

/// A canonical path as it is shortest from the current folder: below it, or beside it in the same repository.
pub fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(std::fs::canonicalize);
    here.map_or_else(|_| path.to_owned(), |here| shortened(path, &here))
}

fn shortened(path: &Path, here: &Path) -> PathBuf {
    if path == here {
        return PathBuf::from(".");
    }
    let common = path.components().zip(here.components()).take_while(|(one, other)| one == other).count();
    let up = here.components().count() - common;
    // Four folders up are no longer shorter to read than where it is.
    if common < 2 || up > 3 {
        return path.to_owned();
    }
    let rest = path.components().skip(common).map(|part| Path::new(part.as_os_str()));
    std::iter::repeat_n(Path::new(".."), up).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_from_here_while_that_is_short() {
        let shortened = |path: &str, here: &str| shortened(Path::new(path), Path::new(here)).display().to_string();
        assert_eq!(shortened("/home/a/shop/x.yaml", "/home/a/shop"), "x.yaml");
        assert_eq!(shortened("/home/a/shop/.ageseal/policy.yaml", "/home/a/shop/b/c"), "../../.ageseal/policy.yaml");
        assert_eq!(shortened("/home/a/shop", "/home/a/shop"), ".");
        assert_eq!(shortened("/home/a", "/home/a/shop"), "..");
        assert_eq!(shortened("/tmp/x", "/home/a/shop"), "/tmp/x");
        assert_eq!(shortened("/home/a/x", "/home/a/b/c/d/e"), "/home/a/x");
    }
}
