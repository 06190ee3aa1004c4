//! What is built on its own: a folder, and the object that deploys it if there is one.

use std::fmt;
use std::sync::Arc;

/// A folder that is built on its own, with the outer layer that it is built for.
///
/// One folder is several roots if several objects deploy it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Root {
    /// The folder from the top of the repository. Of a layer that is refused it may be what is written there.
    pub folder: Arc<str>,
    /// The object that deploys it; none if the kustomization stands for itself.
    pub layer: Option<Arc<Layer>>,
}

/// An object that deploys a folder, such as a Flux `Kustomization`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer {
    /// What it is, for people: `Flux Kustomization flux-system/apps`.
    pub what: String,
    /// The file that it is written in, from the top of the repository.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// The folder whose kustomization changes it on its way.
    pub by: Option<String>,
}

impl Root {
    /// A kustomization that stands for itself.
    pub fn bare(folder: &str) -> Self {
        Self { folder: folder.into(), layer: None }
    }

    /// Whether no outer layer is known of it.
    pub fn is_bare(&self) -> bool {
        self.layer.is_none()
    }
}

/// `overlays/prod`, and who deploys it in brackets; the top of the repository is said in words.
impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = if self.folder.is_empty() { "the kustomization at the top" } else { &self.folder };
        match &self.layer {
            Some(layer) => write!(f, "{folder} ({layer})"),
            None => f.write_str(folder),
        }
    }
}

/// `Flux Kustomization flux-system/apps, clusters/prod/apps.yaml:1`.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}:{}", self.what, self.file, self.line)?;
        match &self.by {
            Some(by) => write!(f, " as {} builds it", if by.is_empty() { "the top" } else { by }),
            None => Ok(()),
        }
    }
}
