//! What the sealed files of a tree claim of their readers. Claims only: whoever wrote a file wrote them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ageseal::recipient::RecipientId;

use crate::error::Errors;
use crate::files;
use crate::repository::{find_top, from_here};
use crate::sealed::SealedFile;

/// One sealed document of a file.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The file, as one would type it here.
    pub(super) path: String,
    /// The ids that each of its age files claims.
    pub(super) files: Vec<BTreeSet<RecipientId>>,
}

impl Claim {
    /// Whether any of them claims this identity.
    pub(super) fn names(&self, id: RecipientId) -> bool {
        self.files.iter().any(|file| file.contains(&id))
    }

    /// Whether some value of it would be closed to a cluster that lost these identities, and kept those.
    pub(super) fn needs(&self, gone: &[RecipientId], kept: &[RecipientId]) -> bool {
        let lost = |file: &BTreeSet<RecipientId>| {
            gone.iter().any(|id| file.contains(id)) && !kept.iter().any(|id| file.contains(id))
        };
        self.files.iter().any(lost)
    }
}

/// What the repository of the current folder claims; nothing outside of any.
pub(super) struct Tree {
    /// Its top.
    pub(super) top: PathBuf,
    /// Its sealed documents.
    pub(super) claims: Vec<Claim>,
    /// Files that could not be read.
    pub(super) unread: usize,
}

/// Reads the claims of every sealed file in the repository of the current folder.
pub(super) fn tree() -> Result<Option<Tree>, Errors> {
    let Ok(top) = find_top(Path::new(".")) else { return Ok(None) };
    let mut tree = Tree { top: top.path().to_owned(), claims: vec![], unread: 0 };
    for path in files::walk(&[from_here(top.path())])?.files {
        match SealedFile::walked(&path) {
            Ok(Some(file)) => match file.documents() {
                Ok(documents) => tree.claims.extend(documents.iter().map(|document| {
                    Claim {
                        path: crate::error::shown(&path),
                        files: document
                            .sealed
                            .all_envelopes()
                            .map(|envelope| envelope.claimed().into_iter().collect())
                            .collect(),
                    }
                })),
                Err(_) => tree.unread += 1,
            },
            Ok(None) => {}
            Err(_) => tree.unread += 1,
        }
    }
    Ok(Some(tree))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_needs_an_identity_if_one_of_its_files_has_no_other() {
        let ids: Vec<RecipientId> = ["a", "b", "c"].map(RecipientId::of).to_vec();
        let claim = Claim {
            path: "x".to_owned(),
            files: vec![BTreeSet::from([ids[0], ids[1]]), BTreeSet::from([ids[0], ids[2]])],
        };
        assert!(claim.needs(&ids[..1], &ids[1..2]));
        assert!(!claim.needs(&ids[..1], &ids[1..]));
        assert!(!claim.needs(&ids[1..2], &ids[..1]));
        assert!(claim.names(ids[2]) && !claim.names(RecipientId::of("d")));
    }
}
