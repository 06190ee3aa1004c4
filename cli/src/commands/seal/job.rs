//! The sealing of one source: everything but the writing.

use std::path::{Path, PathBuf};

use ageseal::manifest::{ObjectKind, SealedManifest, SecretManifest, could_hold_secret, objects};
use ageseal::recipient::KeyRing;
use ageseal::rewrite::{self, Asked, DocumentPlan, Order, Refusals, SealedFile, Target as KustomizeTarget};
use ageseal::scope::Scope;
use ageseal::yaml::{Node, Stream};
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::Args;
use super::report::{About, rows};
use super::target::Target;
use crate::clock;
use crate::error::{CliError, Errors};
use crate::files::{self, Before, Want};
use crate::readers::{For, Readers};
use crate::shadow::Change;
use crate::ui::Row;

/// A file that a walk found may be empty: it holds no Secret then.
const WALKED: Want = Want { empty: true, ..Want::DOCUMENT };

/// One source that was sealed.
pub(super) struct Done {
    pub(super) source: PathBuf,
    pub(super) target: Target,
    pub(super) before: Before,
    /// The new bytes; none if the target stays as it is.
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) rows: Vec<Row>,
    /// What becomes of each document that has a row; nothing if the target stays as it is.
    pub(super) changes: Vec<Change>,
    pub(super) warnings: Vec<CliError>,
}

/// The sealing of one source: everything but the writing.
pub(super) struct Job<'a> {
    pub(super) args: &'a Args,
    pub(super) source: &'a Path,
    pub(super) target: &'a Target,
    pub(super) scope: Option<&'a Scope>,
    pub(super) readers: &'a Readers<'a>,
    pub(super) ring: &'a KeyRing,
    /// What was read from stdin, which can be read once.
    pub(super) stdin: Option<&'a [u8]>,
}

impl Job<'_> {
    /// Whether the source was found in a folder, and not named.
    fn walked(&self) -> bool {
        !self.args.paths.iter().any(|path| same(path, self.source))
    }

    /// The bytes of the source; none if it was found in a folder and holds no Secret.
    pub(super) fn source_bytes(&self) -> Result<Option<Zeroizing<Vec<u8>>>, CliError> {
        if let Some(bytes) = self.stdin.filter(|_| files::is_stdin(self.source)) {
            return Ok(Some(Zeroizing::new(bytes.to_vec())));
        }
        let walked = self.walked();
        let bytes = Zeroizing::new(files::read(self.source, if walked { WALKED } else { Want::DOCUMENT })?);
        Ok((!walked || could_hold_secret(&bytes)).then_some(bytes))
    }

    /// Seals the source for these places, which are those of its Secrets in order; none for those that nothing deploys.
    pub(super) fn run(&self, places: &[Vec<KustomizeTarget>]) -> Result<Option<Done>, Vec<CliError>> {
        let walked = self.walked();
        let Some(source_bytes) = self.source_bytes().map_err(|error| vec![error])? else { return Ok(None) };
        let source_bytes = source_bytes.to_vec();
        let before = if *self.target == Target::Source { Before::Holds(source_bytes.clone()) } else { Before::Absent };
        let source = Stream::from_bytes(source_bytes)
            .map_err(|error| vec![CliError::problem(self.source, &error.to_problem())])?;
        let secrets = self.secrets(&source, walked)?;
        let Some((secrets, mut warnings)) = secrets else { return Ok(None) };

        let policy_path = match self.target {
            Target::Source => Some(self.source),
            Target::File(path) => Some(path.as_path()),
            Target::Stdout => self.args.as_path.as_deref().or(Some(self.source).filter(|path| !files::is_stdin(path))),
        };
        if walked && self.readers.allows_plaintext(self.source) {
            return Ok(None);
        }
        let readers = self.readers.for_path(policy_path).map_err(list)?;
        let set = readers.set().map_err(list)?;
        let recipients: Vec<_> = set.recipients().collect();
        let order = Order {
            recipients: &recipients,
            asked: Asked { namespace: self.args.namespace.as_deref(), scope: self.scope },
            targets: places,
            ring: self.ring,
            prune: self.args.prune,
            fresh: self.args.fresh,
            rescope: false,
            server_side: readers.server_side(),
        };
        let (sealed, before) = self.seal(&source, &secrets, &order, before)?;
        self.check_scopes(&readers, &sealed.documents, &secrets)?;
        warnings.extend(sealed.warnings.iter().map(|problem| CliError::problem(self.source, problem)));
        let about = About {
            target: &self.target.shown(self.source),
            readers: &set.names().join(", "),
            typed_scope: self.scope.is_some(),
            places,
            dry_run: self.args.dry_run,
        };
        let rows = rows(&about, &sealed, &secrets);
        let changes = sealed.text.iter().flat_map(|_| sealed.documents.iter().map(Change::planned)).collect();
        let bytes = sealed.text.map(|text| text.text().as_bytes().to_vec());
        let source = self.source.to_owned();
        Ok(Some(Done { source, target: self.target.clone(), before, bytes, rows, changes, warnings }))
    }

    /// Reads the Secrets of the source, and everything that is wrong with them.
    #[expect(clippy::type_complexity, reason = "a pair of lists, or nothing to do")]
    fn secrets<'s>(
        &self,
        source: &'s Stream,
        walked: bool,
    ) -> Result<Option<(Vec<SecretManifest<'s>>, Vec<CliError>)>, Vec<CliError>> {
        let objects: Vec<_> = objects(source).collect();
        let is_secret = |kind: ObjectKind| kind == ObjectKind::Secret;
        if !objects.iter().any(|object| is_secret(object.kind)) {
            if walked {
                return Ok(None);
            }
            return Err(vec![
                CliError::input("there is no Secret in this file")
                    .path(self.source)
                    .hint("a Secret has apiVersion: v1 and kind: Secret"),
            ]);
        }
        let mut errors = Vec::new();
        let mut warnings = Vec::new();
        if let Target::File(_) = self.target
            && self.args.output.is_none()
        {
            for other in objects.iter().filter(|o| matches!(o.kind, ObjectKind::Other | ObjectKind::SealedSecret)) {
                let kind = other.kind_name.unwrap_or("another document");
                errors.push(
                    CliError::input("the file holds other documents beside its Secrets")
                        .at(self.source, other.node.location(), Some(format!("kind {kind}")))
                        .hint(format!("ageseal seal --in-place {}", self.source.display())),
                );
            }
            for other in no_objects(source) {
                errors.push(
                    CliError::input("the file holds something else beside its Secrets")
                        .at(self.source, other.location(), Some("no Kubernetes object".to_owned()))
                        .hint(format!("remove it, or ageseal seal --in-place {}", self.source.display())),
                );
            }
        }
        let now = clock::now();
        let mut secrets = Vec::new();
        for object in objects.iter().filter(|object| is_secret(object.kind)) {
            let reading = SecretManifest::read(object.node, now);
            for problem in &reading.problems {
                let said = CliError::problem(self.source, problem);
                if problem.is_error() { errors.push(said) } else { warnings.push(said) }
            }
            secrets.extend(reading.manifest);
        }
        if errors.is_empty() { Ok(Some((secrets, warnings))) } else { Err(errors) }
    }

    fn seal(
        &self,
        source: &Stream,
        secrets: &[SecretManifest<'_>],
        order: &Order<'_>,
        before: Before,
    ) -> Result<(SealedFile, Before), Vec<CliError>> {
        let refused = |refusals: Refusals| self.refused(refusals);
        let Target::File(path) = self.target else {
            return Ok((rewrite::seal_in_place(source, secrets, order, &mut OsRng).map_err(refused)?, before));
        };
        if path.symlink_metadata().is_ok() {
            let bytes = files::read(path, Want::DOCUMENT).map_err(|error| vec![error])?;
            let existing = Stream::from_bytes(bytes.clone())
                .map_err(|error| vec![CliError::problem(path, &error.to_problem())])?;
            let sealed = read_sealed(path, &existing)?;
            let file = rewrite::seal_over(&existing, &sealed, secrets, order, &mut OsRng).map_err(refused)?;
            return Ok((file, Before::Holds(bytes)));
        }
        // JSON and other flow style has no lines to keep: the sealed file is written in the usual shape.
        let flow = secrets.iter().any(|secret| secret.node.is_flow());
        let only_secrets = objects(source).all(|o| matches!(o.kind, ObjectKind::Secret | ObjectKind::List));
        let file = if flow && only_secrets {
            rewrite::create(secrets, order, &mut OsRng)
        } else {
            rewrite::seal_in_place(source, secrets, order, &mut OsRng)
        };
        Ok((file.map_err(refused)?, Before::Absent))
    }

    fn refused(&self, refusals: Refusals) -> Vec<CliError> {
        let target = match self.target {
            Target::File(path) => path,
            _ => self.source,
        };
        let source = refusals.source.iter().map(|problem| CliError::problem(self.source, problem));
        source.chain(refusals.existing.iter().map(|problem| CliError::problem(target, problem))).collect()
    }

    /// What may be sealed for these recipients is the policy's word, whatever was typed.
    fn check_scopes(
        &self,
        readers: &For,
        documents: &[DocumentPlan],
        secrets: &[SecretManifest<'_>],
    ) -> Result<(), Vec<CliError>> {
        let beyond = documents.iter().zip(secrets).filter_map(|(plan, secret)| {
            let error = readers.check_scope(&plan.place.scope).err()?;
            Some(error.at(self.source, secret.node.location(), None))
        });
        let errors: Vec<_> = beyond.collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn list(errors: Errors) -> Vec<CliError> {
    errors.into_iter().collect()
}

fn same(named: &Path, found: &Path) -> bool {
    named.components().eq(found.components())
}

/// The documents that are no objects at all: a list, a text.
fn no_objects(stream: &Stream) -> impl Iterator<Item = Node<'_>> {
    let roots = stream.documents().filter_map(|document| document.root());
    roots.filter(|root| !root.is_null() && !root.is_mapping())
}

fn read_sealed<'a>(path: &Path, stream: &'a Stream) -> Result<Vec<SealedManifest<'a>>, Vec<CliError>> {
    let mut errors = Vec::new();
    let mut sealed = Vec::new();
    for other in no_objects(stream) {
        errors.push(
            CliError::input("the existing file holds more than sealed documents, so it is not written over")
                .at(path, other.location(), Some("no Kubernetes object".to_owned()))
                .hint("give another file with -o, or remove that document"),
        );
    }
    for object in objects(stream).filter(|object| object.kind != ObjectKind::List) {
        if object.kind != ObjectKind::SealedSecret {
            let kind = object.kind_name.unwrap_or("another document").to_owned();
            errors.push(
                CliError::input("the existing file holds more than sealed documents, so it is not written over")
                    .at(path, object.node.location(), Some(format!("kind {kind}")))
                    .hint("give another file with -o, or move that document"),
            );
            continue;
        }
        let reading = SealedManifest::read(object.node);
        errors.extend(reading.problems.iter().filter(|p| p.is_error()).map(|problem| CliError::problem(path, problem)));
        sealed.extend(reading.manifest);
    }
    if errors.is_empty() { Ok(sealed) } else { Err(errors) }
}
