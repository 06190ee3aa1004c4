//! Where kustomize takes sealed documents: asked of the kustomizations of their repository, with the files as they are
//! about to be written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::kustomize::{Options, Refusal, Resolution, resolve};
use ageseal::problem::Location;
use ageseal::rewrite::{DECIDING, Target};
use zeroize::Zeroizing;

use crate::error::{CliError, Errors};
use crate::files::Tree;
use crate::repository::{from_here, place_in};

/// The text of a file that is about to be written, without any value.
pub type Outline = Zeroizing<Vec<u8>>;

/// A document, as it is written in a file.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// `metadata.namespace`.
    pub namespace: Option<&'a str>,
    /// `metadata.name`.
    pub name: &'a str,
}

/// The repositories of one run, with what is planned in them.
#[derive(Default)]
pub struct Deployed {
    tops: BTreeMap<PathBuf, Repository>,
}

#[derive(Default)]
struct Repository {
    planned: BTreeMap<String, Outline>,
    resolution: Option<Resolution>,
}

impl Deployed {
    /// Plans a file; nothing happens for one outside of any repository.
    pub fn plan(&mut self, path: &Path, outline: Outline) {
        if let Ok((top, relative)) = place_in(path) {
            self.tops.entry(top.path().to_owned()).or_default().planned.insert(relative, outline);
        }
    }

    /// Works out what all kustomizations of these repositories make of the planned files.
    pub fn resolve(&mut self) {
        for (top, repository) in &mut self.tops {
            let tree = Tree::new(top, repository.planned.clone());
            repository.resolution = Some(resolve(&tree, &Options::default().passing_over_missing()));
        }
    }

    /// Whether some kustomization that builds has objects of this file, or one that does not build may.
    pub fn reaches(&self, path: &Path) -> bool {
        self.find(path).is_some_and(|(_, resolution, file)| {
            resolution.index.contains_key(&file) || resolution.refusals_of(&file).next().is_some()
        })
    }

    /// What becomes of a document of a planned file, in every kustomization that deploys it; none if none does.
    ///
    /// With `typed`, the scope is said by hand: what is not known is no error then.
    ///
    /// # Errors
    /// Each kustomization that may deploy it and is refused: nothing is known then.
    pub fn targets(&self, path: &Path, named: Named<'_>, typed: bool) -> Result<Vec<Target>, Errors> {
        let Some((top, resolution, file)) = self.find(path) else { return Ok(Vec::new()) };
        if !typed {
            Errors::none_or(resolution.refusals_of(&file).map(|(_, refusal)| told(top, refusal)).collect())?;
        }
        Ok(Target::of_document(resolution, &file, named.namespace, named.name))
    }

    fn find(&self, path: &Path) -> Option<(&Path, &Resolution, String)> {
        let (top, file) = place_in(path).ok()?;
        let (top, repository) = self.tops.get_key_value(top.path())?;
        Some((top, repository.resolution.as_ref()?, file))
    }
}

/// A refusal at its file and line.
pub fn told(top: &Path, refusal: &Refusal) -> CliError {
    let reason = refusal.reason();
    let fact = if refusal.is_broken() {
        "kustomize would not build this, so nobody knows where it deploys what it lists"
    } else {
        "what kustomize makes of this is not known here"
    };
    let file = if reason.file.is_empty() { top.to_owned() } else { top.join(&reason.file) };
    let at = Location { line: reason.line, column: 1 };
    let error = CliError::input(fact).at(&from_here(&file), at, Some(reason.message.clone()));
    let error = match &reason.hint {
        Some(hint) => error.hint(hint),
        None => error,
    };
    error.hint("or say it by hand: --scope 'NAMESPACE/NAME', as it will be deployed")
}

/// Where a scope comes from, for the line that tells it: the last file that decides on the name or the namespace; none if
/// all is as the document says.
pub fn because(targets: &[Target]) -> Option<String> {
    let first = targets.first()?;
    let step = first.step(&DECIDING)?;
    let field = step.what.split(':').next().unwrap_or_default();
    Some(match targets.len() {
        1 => format!("{}: {field}", step.file),
        more => format!("{}: {field}; and {} more", step.file, more - 1),
    })
}
