//! `ageseal seal`: Secret manifests become sealed ones, a file or a whole tree.

mod drafts;
mod job;
mod report;
mod target;
mod wire;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use zeroize::Zeroizing;

use self::drafts::{Draft, places};
use self::job::{Done, Job};
use self::report::GitQuestion;
use self::target::{Target, targets};
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{self, Batch, Want};
use crate::keys::identities;
use crate::progress::Progress;
use crate::readers::{self, Readers};
use crate::scopes;
use crate::shadow::Shadows;
use crate::ui::{Row, Ui};

/// From this many files on, threads are worth their start.
const PARALLEL: usize = 8;

/// Encrypt Secret manifests so that they can be committed
///
/// db.secret.yaml and db.yaml become db.sealed.yaml beside them; a folder is walked. No private key is needed. With an
/// identity at hand, values of an existing sealed file that did not change keep their bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal seal overlays/prod/db.secret.yaml
  ageseal seal overlays
  ageseal seal overlays/prod/db.secret.yaml --wire
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
    /// List the sealed files in the kustomizations, in the place of the plaintext ones
    #[arg(long, conflicts_with = "in_place")]
    wire: bool,
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let scope = args.scope.parse()?;
    let walk = files::walk(&args.paths)?;
    let targets = targets(args, &walk.files)?;
    let readers = Readers::new(ui, &args.readers);
    // git takes longer than sealing a file does, so it is asked first; of a tree it is asked only what was sealed.
    let few = targets.len() < PARALLEL && !args.dry_run;
    let question = few.then(|| GitQuestion::ask(&readers, targets.iter().map(|(source, _)| source)));
    let keys = if args.fresh { identities::Keys::default() } else { load_keys(ui, args, &targets)? };

    let stdin = match targets.iter().any(|(source, _)| files::is_stdin(source)) {
        true => Some(Zeroizing::new(files::read(Path::new("-"), Want::DOCUMENT)?)),
        false => None,
    };
    let stdin = stdin.as_ref().map(|bytes| bytes.as_slice());
    let (scope, ring) = (scope.as_ref(), &keys.ring);
    let job = |(source, target)| Job { args, source, target, scope, readers: &readers, ring, stdin };
    let jobs: Vec<Job<'_>> = targets.iter().map(|(source, target)| job((source.as_path(), target))).collect();
    let drafts: Vec<Draft> = many(&jobs, Draft::of).into_iter().flatten().collect();
    let places = places(&drafts, scope.is_some());
    drop(drafts);

    let progress = Progress::new(ui, "sealing", jobs.len());
    let work = |job: &Job<'_>| {
        let done = match places.get(job.source) {
            None => job.run(&[]),
            Some(Ok(places)) => job.run(places),
            Some(Err(errors)) => Err(errors.clone().into_iter().collect()),
        };
        progress.step();
        done
    };
    let outcomes = many(&jobs, work);
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
    finish(ui, args, &readers, question, done)
}

/// Does the same with each, on several threads if there are many.
fn many<T: Send>(jobs: &[Job<'_>], work: impl Fn(&Job<'_>) -> T + Sync + Send) -> Vec<T> {
    if jobs.len() < PARALLEL { jobs.iter().map(work).collect() } else { jobs.par_iter().map(work).collect() }
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

/// Writes everything, then says what was done and what git knows of the plaintext.
fn finish(ui: &Ui, args: &Args, readers: &Readers<'_>, question: Option<GitQuestion>, mut done: Vec<Done>) -> Outcome {
    let wired = if args.wire { wire::wire(&done)? } else { Vec::new() };
    let shadows = follow(&mut done, &wired)?;
    for warning in done.iter().flat_map(|one| &one.warnings) {
        ui.warn(warning);
    }
    let mut rows: Vec<Row> = done.iter().flat_map(|one| one.rows.iter().cloned()).collect();
    rows.extend(wired.iter().map(|one| {
        let verb = if args.dry_run { "would" } else { "wired" };
        Row::new(verb, &[&one.path.display().to_string(), &format!("lists {}", one.files.join(", "))])
    }));
    let changes = done.iter().any(|one| one.bytes.is_some()) || !wired.is_empty();
    let sources: Vec<PathBuf> = done.iter().map(|one| one.source.clone()).collect();
    if args.dry_run {
        ui.results(&rows);
        return Ok(if changes { Exit::Findings } else { Exit::Ok });
    }
    let question = question.unwrap_or_else(|| GitQuestion::ask(readers, sources.iter()));
    let mut batch = Batch::new();
    for one in done {
        let Some(bytes) = one.bytes else { continue };
        match one.target {
            Target::Stdout => ui.raw(&bytes),
            Target::Source => batch.add(&one.source, one.before, bytes),
            Target::File(path) => batch.add(&path, one.before, bytes),
        }
    }
    // The kustomizations that were wired are among them.
    shadows.add_to(&mut batch);
    if !batch.is_empty() {
        batch.commit()?;
    }
    ui.results(&rows);
    question.warn(ui, args.in_place, &sources);
    Ok(Exit::Ok)
}

/// Keeps the shadow generators of the sealed files in step, in the kustomizations as they are wired, and says so in the
/// rows.
fn follow(done: &mut [Done], wired: &[wire::Wired]) -> Result<Shadows, Errors> {
    let mut shadows = Shadows::default();
    for one in wired {
        shadows.take_over(&one.path, &one.before, &one.bytes)?;
    }
    let files: Vec<(usize, PathBuf)> = done
        .iter()
        .enumerate()
        .filter_map(|(index, one)| match &one.target {
            Target::Stdout => None,
            Target::Source => Some((index, one.source.clone())),
            Target::File(path) => Some((index, path.clone())),
        })
        .collect();
    let all: &[Done] = done;
    let changes: Vec<_> = files
        .iter()
        .flat_map(|(index, path)| all[*index].changes.iter().map(move |change| (path.as_path(), change)))
        .collect();
    let mut rolls = shadows.refresh_all(&changes)?.into_iter();
    for (index, path) in &files {
        let one = &mut done[*index];
        for (number, change) in one.changes.iter().enumerate() {
            let rolls = rolls.next().unwrap_or_default();
            if let Some(row) = one.rows.get_mut(number) {
                rolls.iter().for_each(|rolls| *row = rolls.told(std::mem::take(row)));
            }
            one.warnings.extend(change.stands_still(&rolls).map(|warning| warning.path(path)));
        }
    }
    Ok(shadows)
}
