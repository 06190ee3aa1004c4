//! Where each Secret of a run ends up, known before the first one is sealed: the sealed files are outlined, and the
//! kustomizations of the repository are asked what they make of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ageseal::manifest::{ObjectKind, SealedManifest, SecretManifest, objects};
use ageseal::rewrite::{self, Target as KustomizeTarget};
use ageseal::yaml::Stream;
use zeroize::Zeroizing;

use super::job::Job;
use super::target::Target;
use crate::clock;
use crate::deployed::{Deployed, Named, Outline};
use crate::error::Errors;
use crate::files::{self, Want};

/// What kustomize makes of each Secret of a source, in the order of the text.
pub(super) type Places = Result<Vec<Vec<KustomizeTarget>>, Errors>;

/// A source, outlined.
pub(super) struct Draft {
    source: PathBuf,
    /// Where the sealed documents will stand, if that is a file.
    path: PathBuf,
    outline: Outline,
    /// The source with its Secrets as they would be in its own place.
    in_place: Option<Outline>,
    names: Vec<(Option<String>, String)>,
}

impl Draft {
    /// Outlines the source of a job; nothing for what is refused when it is sealed, or has no place in a repository.
    pub(super) fn of(job: &Job<'_>) -> Option<Self> {
        let stream = Stream::from_bytes(job.source_bytes().ok()??.to_vec()).ok()?;
        let now = clock::now();
        let found = objects(&stream).filter(|object| object.kind == ObjectKind::Secret);
        let secrets: Vec<_> = found.filter_map(|object| SecretManifest::read(object.node, now).manifest).collect();
        if secrets.is_empty() {
            return None;
        }
        let in_place = rewrite::outline_in_place(&stream, &secrets).ok().map(|stream| bytes(stream.text()));
        let stdin = files::is_stdin(job.source);
        let (path, outline) = match job.target {
            Target::File(path) => (path.clone(), over(path, &secrets)?),
            Target::Source => (job.source.to_owned(), in_place.clone()?),
            Target::Stdout => match &job.args.as_path {
                Some(path) => (path.clone(), bytes(&rewrite::outline(&secrets))),
                None => (job.source.to_owned(), in_place.clone().filter(|_| !stdin)?),
            },
        };
        let in_place = in_place.filter(|_| !stdin && path != job.source);
        let names = secrets.iter().map(|secret| (secret.namespace.clone(), secret.name.clone())).collect();
        Some(Self { source: job.source.to_owned(), path, outline, in_place, names })
    }
}

fn bytes(text: &str) -> Outline {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// The outline of a sealed file that may be there already.
fn over(path: &Path, secrets: &[SecretManifest<'_>]) -> Option<Outline> {
    if path.symlink_metadata().is_err() {
        return Some(bytes(&rewrite::outline(secrets)));
    }
    let existing = Stream::from_bytes(files::read(path, Want::DOCUMENT).ok()?).ok()?;
    let sealed = objects(&existing).filter(|object| object.kind == ObjectKind::SealedSecret);
    let sealed: Vec<_> = sealed.filter_map(|object| SealedManifest::read(object.node).manifest).collect();
    rewrite::outline_over(&existing, &sealed, secrets).ok().map(|stream| bytes(stream.text()))
}

/// Asks the kustomizations where all of these end up. With `typed`, the scope is said by hand, and what is not known is no
/// error.
pub(super) fn places(drafts: &[Draft], typed: bool) -> HashMap<PathBuf, Places> {
    let mut deployed = Deployed::default();
    for draft in drafts {
        deployed.plan(&draft.path, draft.outline.clone());
    }
    deployed.resolve();
    // A tree that still lists the plaintext is judged by what it will be when it lists the sealed file in its place.
    let listed: Vec<&Draft> = drafts.iter().filter(|draft| lists_source(&deployed, draft)).collect();
    let mut instead = Deployed::default();
    if !listed.is_empty() {
        for draft in drafts {
            instead.plan(&draft.path, draft.outline.clone());
        }
        for draft in &listed {
            instead.plan(&draft.source, draft.in_place.clone().unwrap_or_default());
        }
        instead.resolve();
    }
    let of = |draft: &Draft| {
        let by_source = lists_source(&deployed, draft);
        let (deployed, path) = if by_source { (&instead, &draft.source) } else { (&deployed, &draft.path) };
        let named = draft.names.iter().map(|(namespace, name)| Named { namespace: namespace.as_deref(), name });
        named.map(|named| deployed.targets(path, named, typed)).collect()
    };
    drafts.iter().map(|draft| (draft.source.clone(), of(draft))).collect()
}

fn lists_source(deployed: &Deployed, draft: &Draft) -> bool {
    draft.in_place.is_some() && !deployed.reaches(&draft.path) && deployed.reaches(&draft.source)
}
