//! `ageseal seal`: Secret manifests become sealed ones, a file or a whole tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::manifest::{ObjectKind, SealedManifest, SecretManifest, could_hold_secret, objects};
use ageseal::recipient::KeyRing;
use ageseal::rewrite::{self, Action, Anew, Asked, DocumentPlan, Order, Refusals, SealedFile};
use ageseal::scope::Scope;
use ageseal::yaml::Stream;
use rand_core::OsRng;
use rayon::prelude::*;

use crate::clock;
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{self, Batch, Before, Want};
use crate::git;
use crate::keys::identities;
use crate::progress::Progress;
use crate::readers::{self, For, Readers};
use crate::scopes;
use crate::ui::{Row, Ui};

/// From this many files on, threads are worth their start.
const PARALLEL: usize = 8;

/// A file that a walk found may be empty: it holds no Secret then.
const WALKED: Want = Want { empty: true, ..Want::DOCUMENT };

/// Encrypt Secret manifests so that they can be committed
///
/// db.secret.yaml and db.yaml become db.sealed.yaml beside them; a folder is walked. No private key is needed. With an
/// identity at hand, values of an existing sealed file that did not change keep their bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal seal overlays/prod/db.secret.yaml
  ageseal seal overlays
  ageseal seal --in-place base/all.yaml
  kubectl create secret generic db --from-file=./pw --dry-run=client -o yaml | ageseal seal - -n shop-prod -o db.sealed.yaml")]
pub struct Args {
    /// Files and folders with Secret manifests; `-` is stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Replace the plaintext in its own file instead of writing beside it
    #[arg(long, conflicts_with = "output")]
    in_place: bool,
    /// Write to this file; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The namespace of Secrets that name none
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    scope: scopes::Options,
    #[command(flatten)]
    readers: readers::Options,
    /// Use the policy's rule for this path, when the output is stdout
    #[arg(long = "as", value_name = "PATH")]
    as_path: Option<PathBuf>,
    #[command(flatten)]
    identities: identities::Options,
    /// Drop keys and documents of the sealed file that the source lacks
    #[arg(long)]
    prune: bool,
    /// Seal every value anew, also those that did not change
    #[arg(long)]
    fresh: bool,
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Where the result of one source goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Into the source itself.
    Source,
    /// Into another file.
    File(PathBuf),
    /// To stdout.
    Stdout,
}

/// One source that was sealed.
struct Done {
    source: PathBuf,
    target: Target,
    before: Before,
    /// The new bytes; none if the target stays as it is.
    bytes: Option<Vec<u8>>,
    rows: Vec<Row>,
    warnings: Vec<CliError>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let scope = args.scope.parse()?;
    let walk = files::walk(&args.paths)?;
    let targets = targets(args, &walk.files)?;
    let readers = Readers::new(ui, &args.readers);
    let keys = if args.fresh { identities::Keys::default() } else { load_keys(ui, args, &targets)? };

    let progress = Progress::new(ui, "sealing", targets.len());
    let work = |(source, target): &(PathBuf, Target)| {
        let job = Job { args, source, target, scope: scope.as_ref(), readers: &readers, ring: &keys.ring };
        let done = job.run();
        progress.step();
        done
    };
    let outcomes: Vec<_> = if targets.len() < PARALLEL {
        targets.iter().map(work).collect()
    } else {
        targets.par_iter().map(work).collect()
    };
    drop(progress);

    let mut done = Vec::new();
    let mut errors = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(Some(one)) => done.push(one),
            Ok(None) => {}
            Err(several) => errors.extend(several),
        }
    }
    Errors::none_or(errors)?;
    if done.is_empty() {
        ui.note(&CliError::finding("there is no plaintext Secret here").hint("ageseal show lists what is sealed"));
        return Ok(Exit::Ok);
    }
    finish(ui, args, &readers, done)
}

/// Identities are wanted only where there is something to compare with.
fn load_keys(ui: &Ui, args: &Args, targets: &[(PathBuf, Target)]) -> Result<identities::Keys, Errors> {
    let exists = |target: &Target| matches!(target, Target::File(path) if path.exists());
    if args.identities.given() || targets.iter().any(|(_, target)| exists(target)) {
        args.identities.load(ui)
    } else {
        Ok(identities::Keys::default())
    }
}

/// Says where each source goes; two sources for one target are an error.
fn targets(args: &Args, sources: &[PathBuf]) -> Result<Vec<(PathBuf, Target)>, Errors> {
    if args.output.is_some() && sources.len() != 1 {
        let count = format!("-o takes one source, and there are {}", sources.len());
        return Err(CliError::usage(count).hint("seal one file at a time, or leave -o out").into());
    }
    let mut taken: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut errors = Vec::new();
    let mut targets = Vec::new();
    for source in sources {
        let target = match &args.output {
            Some(path) if files::is_stdin(path) => Target::Stdout,
            Some(path) => Target::File(path.clone()),
            None if files::is_stdin(source) && args.in_place => {
                return Err(CliError::usage("stdin cannot be replaced in place").into());
            }
            None if files::is_stdin(source) => Target::Stdout,
            None if args.in_place => Target::Source,
            None if is_sealed_name(source) => Target::Source,
            None => Target::File(beside(source)),
        };
        if let Target::File(path) = &target
            && let Some(other) = taken.insert(path.clone(), source.clone())
            && holds_secret(source)
            && holds_secret(&other)
        {
            let both = format!("{} and {} would both become this file", other.display(), source.display());
            errors.push(CliError::input(both).path(path).hint("rename one of them"));
        }
        targets.push((source.clone(), target));
    }
    Errors::none_or(errors)?;
    Ok(targets)
}

fn holds_secret(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| could_hold_secret(&bytes))
}

fn is_sealed_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.ends_with(".sealed.yaml") || name.ends_with(".sealed.yml") || name.ends_with(".sealed.json")
}

/// `db.secret.yaml`, `db.yaml` and `db.json` become `db.sealed.yaml`.
fn beside(source: &Path) -> PathBuf {
    let name = source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let lower = name.to_lowercase();
    let known = [".yaml", ".yml", ".json"].into_iter().find(|extension| lower.ends_with(extension));
    let stem = &name[..name.len() - known.map_or(0, str::len)];
    let stem = stem.strip_suffix(".secret").unwrap_or(stem);
    source.with_file_name(format!("{stem}.sealed.yaml"))
}

/// The sealing of one source: everything but the writing.
struct Job<'a> {
    args: &'a Args,
    source: &'a Path,
    target: &'a Target,
    scope: Option<&'a Scope>,
    readers: &'a Readers<'a>,
    ring: &'a KeyRing,
}

impl Job<'_> {
    fn run(&self) -> Result<Option<Done>, Vec<CliError>> {
        let one = |error: CliError| vec![error];
        let walked = !self.args.paths.iter().any(|path| same(path, self.source));
        let source_bytes = files::read(self.source, if walked { WALKED } else { Want::DOCUMENT }).map_err(one)?;
        if walked && !could_hold_secret(&source_bytes) {
            return Ok(None);
        }
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
            ring: self.ring,
            prune: self.args.prune,
            fresh: self.args.fresh,
            server_side: readers.server_side(),
        };
        let (sealed, before) = self.seal(&source, &secrets, &order, before)?;
        self.check_scopes(&readers, &sealed.documents, &secrets)?;
        warnings.extend(sealed.warnings.iter().map(|problem| CliError::problem(self.source, problem)));
        let rows = rows(self, &set.names().join(", "), &sealed, &secrets);
        let bytes = sealed.text.map(|text| text.text().as_bytes().to_vec());
        let source = self.source.to_owned();
        Ok(Some(Done { source, target: self.target.clone(), before, bytes, rows, warnings }))
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

fn read_sealed<'a>(path: &Path, stream: &'a Stream) -> Result<Vec<SealedManifest<'a>>, Vec<CliError>> {
    let mut errors = Vec::new();
    let mut sealed = Vec::new();
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

fn rows(job: &Job<'_>, names: &str, sealed: &SealedFile, secrets: &[SecretManifest<'_>]) -> Vec<Row> {
    let shown = match job.target {
        Target::Source => job.source.display().to_string(),
        Target::File(path) => path.display().to_string(),
        Target::Stdout => "<stdout>".to_owned(),
    };
    let row = |(plan, secret): (&DocumentPlan, &SecretManifest<'_>)| {
        let verb = if sealed.text.is_none() {
            "same"
        } else if job.args.dry_run {
            "would"
        } else {
            "sealed"
        };
        let from = if job.scope.is_some() {
            "--scope"
        } else if secret.namespace.is_some() {
            "metadata.namespace"
        } else {
            "-n"
        };
        let mut row = Row::new(verb, &[&shown, &plan.place.name, &counts(plan)]);
        if let (Some(anew), Some(_)) = (plan.anew, plan.existing) {
            row = row.detail("anew", why(anew), None);
        }
        if sealed.text.is_some() {
            row = row.detail("opens as", plan.place.scope.to_string(), Some(from)).detail("read by", names, None);
        }
        row
    };
    sealed.documents.iter().zip(secrets).map(row).collect()
}

fn counts(plan: &DocumentPlan) -> String {
    let count = |action| plan.keys(action).count();
    let (sealed, kept, dropped) = (count(Action::Seal), count(Action::Keep), count(Action::Drop));
    let values = |n: usize| if n == 1 { "1 value".to_owned() } else { format!("{n} values") };
    let mut text = values(sealed + kept);
    if plan.existing.is_some() && kept > 0 && sealed > 0 {
        text.push_str(&format!(", {sealed} of them anew"));
    }
    if dropped > 0 {
        let keys: Vec<_> = plan.keys(Action::Drop).collect();
        text.push_str(&format!(", dropped {}", keys.join(", ")));
    }
    text
}

fn why(anew: Anew) -> &'static str {
    match anew {
        Anew::Asked => "every value, as asked",
        Anew::Unopened => "every value: no identity at hand opens the old ones, so none could be compared",
        Anew::Recipients => "every value: the recipients changed",
        Anew::Type => "every value: the type changed",
    }
}

/// Writes everything, then says what was done and what git knows of the plaintext.
fn finish(ui: &Ui, args: &Args, readers: &Readers<'_>, done: Vec<Done>) -> Outcome {
    for warning in done.iter().flat_map(|one| &one.warnings) {
        ui.warn(warning);
    }
    let rows: Vec<Row> = done.iter().flat_map(|one| one.rows.iter().cloned()).collect();
    let changes = done.iter().any(|one| one.bytes.is_some());
    let sources: Vec<PathBuf> = done.iter().map(|one| one.source.clone()).collect();
    if args.dry_run {
        ui.results(&rows);
        return Ok(if changes { Exit::Findings } else { Exit::Ok });
    }
    let mut batch = Batch::new();
    for one in done {
        let Some(bytes) = one.bytes else { continue };
        match one.target {
            Target::Stdout => ui.raw(&bytes),
            Target::Source => batch.add(&one.source, one.before, bytes),
            Target::File(path) => batch.add(&path, one.before, bytes),
        }
    }
    if !batch.is_empty() {
        batch.commit()?;
    }
    ui.results(&rows);
    warn_of_git(ui, args, readers, &sources);
    Ok(Exit::Ok)
}

/// A plaintext that git holds is known to whoever can read the repository, sealed file or not.
fn warn_of_git(ui: &Ui, args: &Args, readers: &Readers<'_>, sources: &[PathBuf]) {
    let located = sources.iter().filter(|source| !files::is_stdin(source));
    let located: Vec<_> = located.filter_map(|source| Some((readers.locate(source).ok()?, source.clone()))).collect();
    let Some((first, _)) = located.first() else { return };
    let top = first.repository.top().to_owned();
    let inside = located.into_iter().filter(|(located, _)| located.repository.top() == top);
    let inside: Vec<_> = inside.map(|(located, source)| (PathBuf::from(located.path), source)).collect();
    let known = git::known(&top, &inside.iter().map(|(relative, _)| relative.clone()).collect::<Vec<_>>());
    let mut tracked = CliError::finding("git tracks this plaintext");
    let mut history = CliError::finding("git's history holds this plaintext");
    for (relative, source) in &inside {
        if known.tracked.contains(relative) && !args.in_place {
            tracked = tracked.path(source);
        } else if known.in_history.contains(relative) {
            history = history.path(source);
        }
    }
    if !tracked.places.is_empty() {
        let files: Vec<_> = tracked.places.iter().map(|place| place.path.clone()).collect();
        let hint = format!("git rm --cached {}; then change the values: the history keeps them", files.join(" "));
        ui.warn(&tracked.hint(hint));
    }
    if !history.places.is_empty() {
        ui.warn(&history.hint("change the values at their source: whoever can read the repository has the old ones"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sealed_file_stands_beside_its_source() {
        for (source, target) in [
            ("a/db.yaml", "a/db.sealed.yaml"),
            ("a/db.secret.yaml", "a/db.sealed.yaml"),
            ("db.yml", "db.sealed.yaml"),
            ("db.secret.json", "db.sealed.yaml"),
            ("secret", "secret.sealed.yaml"),
            ("x.txt", "x.txt.sealed.yaml"),
        ] {
            assert_eq!(beside(Path::new(source)), Path::new(target), "{source}");
        }
    }
}
