//! `ageseal check`: what is wrong with the files of a repository, found without any key.

mod folders;
mod ignored;
mod tree;

use std::path::{Path, PathBuf};
use std::time::Instant;

use ageseal::check::{Code, File, Level, check_text};

use crate::clock;
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{self, Want, is_stdin};
use crate::keys::identities;
use crate::report::{self, Format, Summary, Told};
use crate::repository::{Repositories, RepositoryError, find_top};
use crate::ui::Ui;
use tree::Mode;

/// Find plaintext Secrets, and sealed files that will not open or that others can read
///
/// No key is needed. Every finding of every file is told; the run ends with 1 if there are any, notes aside. With an
/// identity, also every value is opened and nothing of it is shown: that is how to prove a backup key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal check                        # the whole repository
  ageseal check overlays/prod
  ageseal check -i recovery.age        # prove that the recovery key opens everything
  ageseal check --format sarif > ageseal.sarif
  kustomize build overlays/prod | ageseal check - --as overlays/prod/db.sealed.yaml

What each finding means: docs/findings.md")]
pub struct Args {
    /// Files and folders; `-` is a stream as it will be deployed [default: the whole repository]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Hold what comes from stdin against the policy's rule for this path
    #[arg(long = "as", value_name = "PATH")]
    as_path: Option<PathBuf>,
    #[command(flatten)]
    identities: identities::Options,
    /// Make an error of what is a note today and an error some day: superseded keys
    #[arg(long)]
    strict: bool,
    /// Print the findings as a JSON list
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// How to print the findings
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true)]
    format: Format,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let start = Instant::now();
    let (paths, folder) = paths(args)?;
    let mut walk = files::walk(&paths)?;
    let stdin = walk.files.first().is_some_and(|file| is_stdin(file));
    if stdin {
        walk.files.remove(0);
    }
    refuse(args, stdin, walk.files.is_empty(), &paths)?;
    let keys = if args.identities.given() { Some(args.identities.load(ui)?) } else { None };
    if let Some(keys) = &keys {
        keys.require()?;
    }

    let mode = Mode { now: clock::now(), strict: args.strict, ring: keys.as_ref().map(|keys| &keys.ring) };
    let mut summary = Summary { opened: keys.as_ref().map(|_| 0), folder, ..Summary::default() };
    let mut outcome = tree::Outcome::default();
    if stdin {
        check_stdin(ui, args, mode, &mut outcome, &mut summary)?;
    }
    tree::check(ui, walk, mode, &mut outcome, &mut summary)?;

    outcome.told.sort_by(|one, other| {
        // What says how many more there are comes last.
        let key = |told: &Told| (told.finding.code == Code::MoreFindings, told.finding.at, told.finding.code);
        one.shown.cmp(&other.shown).then_with(|| key(one).cmp(&key(other)))
    });
    summary.seconds = start.elapsed().as_secs_f64();
    let format = if args.json { Format::Json } else { args.format };
    report::print(ui, format, &outcome.told, &summary);
    Errors::none_or(outcome.errors)?;
    let failed = outcome.told.iter().any(|told| told.finding.level == Level::Error);
    Ok(if failed { Exit::Findings } else { Exit::Ok })
}

/// What a check of a folder would tell, for whoever shows it in another way.
///
/// # Errors
/// A folder or a policy that cannot be read; of single files, they are in the list.
pub(super) fn look(ui: &Ui, folder: PathBuf) -> Result<(Vec<Told>, Vec<CliError>, Summary), Errors> {
    let walk = files::walk(&[folder])?;
    let mode = Mode { now: clock::now(), strict: false, ring: None };
    let mut summary = Summary::default();
    let mut outcome = tree::Outcome::default();
    tree::check(ui, walk, mode, &mut outcome, &mut summary)?;
    Ok((outcome.told, outcome.errors, summary))
}

/// The paths to walk, and the folder to name in the last line where it was not typed.
fn paths(args: &Args) -> Result<(Vec<PathBuf>, Option<String>), Errors> {
    if !args.paths.is_empty() {
        return Ok((args.paths.clone(), None));
    }
    let here = Path::new(".");
    match find_top(here) {
        Ok(top) => {
            let canonical = std::fs::canonicalize(here).unwrap_or_default();
            let way = folders::from_here(&canonical, top.path());
            if way.as_os_str().is_empty() {
                return Ok((vec![here.to_owned()], None));
            }
            Ok((vec![way.clone()], Some(way.display().to_string())))
        }
        Err(RepositoryError::NoRepository { .. }) => Ok((vec![here.to_owned()], None)),
        Err(error) => Err(error.into()),
    }
}

fn refuse(args: &Args, stdin: bool, no_files: bool, paths: &[PathBuf]) -> Result<(), CliError> {
    if args.as_path.is_some() && !stdin {
        return Err(CliError::usage("--as is for what comes from stdin").hint("name - as the PATH"));
    }
    // A path that was typed and holds nothing is a slip, and a check that checks nothing must not pass.
    if !args.paths.is_empty() && !stdin && no_files {
        let error = CliError::usage("there is no YAML or JSON file to check");
        return Err(paths.iter().fold(error, |error, path| error.path(path)));
    }
    Ok(())
}

fn check_stdin(
    ui: &Ui,
    args: &Args,
    mode: Mode<'_>,
    outcome: &mut tree::Outcome,
    summary: &mut Summary,
) -> Result<(), Errors> {
    let bytes = files::read(Path::new("-"), Want::DOCUMENT)?;
    let located = args.as_path.as_ref().map(|path| Repositories::new(ui).locate(path)).transpose()?;
    let context = match &located {
        Some(located) => mode.context().policy(located.repository.policy(), located.repository.recipients()),
        None => mode.context(),
    };
    let path = located.as_ref().map(|located| located.path.as_str());
    let report = check_text(File { path, shown: "<stdin>", built: true }, bytes, &context);
    summary.files += 1;
    summary.allowed += report.allowed;
    summary.leave_out(report.left_out());
    summary.opened = summary.opened.map(|opened| opened + report.opened);
    let tell = |finding| {
        let shown = "<stdin>".to_owned();
        Told { path: path.map_or_else(|| shown.clone(), str::to_owned), shown, finding }
    };
    let more = report.more();
    outcome.told.extend(report.findings.into_iter().chain(more).map(tell));
    Ok(())
}
