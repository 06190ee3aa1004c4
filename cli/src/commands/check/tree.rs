//! Checking many files: in parallel, each read once, then against each other and against what git knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ageseal::check::{
    Context, File, FileReport, InGit, TreeFinding, check_text, check_tree, is_kustomization, left_over, patches_of,
    second_folder, tell_left_over, tell_second_folder,
};
use ageseal::kustomize::{Options, Resolution, resolve};
use ageseal::recipient::{KeyRing, RecipientKind};
use rayon::prelude::*;
use walkdir::WalkDir;

use super::folders::{Group, Placed, place};
use super::ignored::ignored;
use crate::error::{CliError, Errors, shown};
use crate::files::{self, Tree, Walk, Want};
use crate::git;
use crate::progress::Progress;
use crate::report::{Summary, Told};
use crate::ui::Ui;

/// From this many files on, threads are worth their start.
const PARALLEL: usize = 32;

/// A file of a tree may be anything: one that is too large to be read as YAML is a finding only if it may hold a Secret.
const WALKED: Want = Want { max: 256 * 1024 * 1024, empty: true, pipe: false };

/// The most errors, and the most notes, that are told of one file.
const MOST: usize = 100;

/// How a run checks.
#[derive(Clone, Copy)]
pub(super) struct Mode<'a> {
    pub(super) now: i64,
    pub(super) strict: bool,
    pub(super) ring: Option<&'a KeyRing>,
}

impl<'a> Mode<'a> {
    pub(super) fn context(self) -> Context<'a> {
        let context = Context::new(self.now).strict(self.strict).at_most(MOST);
        match self.ring {
            Some(ring) => context.ring(ring),
            None => context,
        }
    }
}

/// What came of a run: findings, counts, and files that could not be read.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) told: Vec<Told>,
    pub(super) errors: Vec<CliError>,
}

/// One file that was read.
struct Checked<'a> {
    placed: &'a Placed,
    shown: String,
    report: FileReport,
}

/// Checks files, wherever they lie.
///
/// # Errors
/// A policy that cannot be read or may not be trusted: then nothing can be judged.
pub(super) fn check(
    ui: &Ui,
    walk: Walk,
    mode: Mode<'_>,
    outcome: &mut Outcome,
    summary: &mut Summary,
) -> Result<(), Errors> {
    let files = walk.files.len();
    let (mut placed, groups) = place(ui, walk.files.into_iter().chain(walk.names).collect())?;
    let names = placed.split_off(files);
    let resolutions: Vec<Option<Resolution>> = groups.iter().map(resolution).collect();
    let contexts: Vec<Context<'_>> = groups
        .iter()
        .zip(&resolutions)
        .map(|(group, resolution)| {
            let context = match group.policy() {
                Some((policy, recipients)) => mode.context().policy(policy, recipients),
                None => mode.context(),
            };
            resolution.iter().fold(context, Context::resolution)
        })
        .collect();

    let progress = Progress::new(ui, "checking", placed.len());
    let work = |placed: &Placed| {
        let shown = shown(&placed.file);
        let file = File { path: Some(&placed.path), shown: &shown, built: false };
        let checked = files::read(&placed.file, WALKED).map(|bytes| check_text(file, bytes, &contexts[placed.group]));
        progress.step();
        checked
    };
    let reports: Vec<_> = if placed.len() < PARALLEL || mode.ring.is_some_and(|ring| !is_pure(ring)) {
        placed.iter().map(work).collect()
    } else {
        placed.par_iter().map(work).collect()
    };
    drop(progress);

    let mut by_group: Vec<Vec<Checked<'_>>> = groups.iter().map(|_| Vec::new()).collect();
    for (placed, report) in placed.iter().zip(reports) {
        match report {
            Ok(report) => by_group[placed.group].push(Checked { placed, shown: shown(&placed.file), report }),
            Err(error) => outcome.errors.push(error),
        }
    }
    summary.files += placed.len();
    let single = groups.len() == 1;
    outcome.told.extend(by_name(&groups, &placed, &names));
    for ((group, context), mut checked) in groups.iter().zip(&contexts).zip(by_group) {
        ask_git(group, &mut checked);
        for one in &checked {
            summary.sealed += usize::from(one.report.documents > 0);
            summary.values += one.report.values;
            summary.allowed += one.report.allowed;
            summary.leave_out(one.report.left_out());
            summary.opened = summary.opened.map(|opened| opened + one.report.opened);
        }
        let path_of = |path: &str, shown: &str| {
            if single && group.top.is_some() { path.to_owned() } else { shown.to_owned() }
        };
        for TreeFinding { path, finding } in together(group, context, &checked) {
            let found = checked.iter().find(|one| one.placed.path == path).map(|one| one.shown.clone());
            let shown = found.unwrap_or_else(|| group.shown(&path));
            outcome.told.push(Told { path: path_of(&path, &shown), shown, finding });
        }
        for Checked { placed, shown, report } in checked {
            let tell = |finding| Told { path: path_of(&placed.path, &shown), shown: shown.clone(), finding };
            let more = report.more();
            outcome.told.extend(report.findings.into_iter().chain(more).map(tell));
        }
    }
    Ok(())
}

/// What the names of files and folders alone tell, those above the files that were named too.
fn by_name(groups: &[Group], placed: &[Placed], names: &[Placed]) -> Vec<Told> {
    let tell = |group: &Group, path: &str, shown: String, finding| {
        let top = groups.len() == 1 && group.top.is_some();
        Told { path: if top { path.to_owned() } else { shown.clone() }, shown, finding }
    };
    let inside = |one: &&Placed| groups[one.group].top.is_some();
    let second = placed.iter().chain(names).filter(inside);
    let second: BTreeSet<_> = second.filter_map(|one| Some((one.group, second_folder(&one.path)?))).collect();
    let second = second.into_iter().map(|(group, folder)| {
        let group = &groups[group];
        tell(group, folder, group.shown(folder), tell_second_folder(folder))
    });
    let left = names.iter().filter_map(|one| {
        let target = left_over(one.path.rsplit('/').next().unwrap_or_default())?;
        Some(tell(&groups[one.group], &one.path, shown(&one.file), tell_left_over(target)))
    });
    second.chain(left).collect()
}

/// Whether no identity of the ring asks anybody for anything: hardware keys and passphrases take one question at a time.
fn is_pure(ring: &KeyRing) -> bool {
    let pure = |kind| matches!(kind, RecipientKind::Hybrid | RecipientKind::X25519);
    ring.identities().iter().all(|identity| identity.recipient().is_some_and(|recipient| pure(recipient.kind())))
}

/// Asks git which files with plaintext it ignores, and which it keeps.
fn ask_git(group: &Group, checked: &mut [Checked<'_>]) {
    let Some(top) = group.top.as_ref().filter(|top| top.is_git()) else { return };
    let suspects: Vec<PathBuf> =
        checked.iter().filter(|one| one.report.has_plaintext()).map(|one| PathBuf::from(&one.placed.path)).collect();
    if suspects.is_empty() {
        return;
    }
    let ignored = ignored(top.path(), &suspects);
    let rest: Vec<PathBuf> = suspects.into_iter().filter(|path| !ignored.contains(path)).collect();
    let known = git::known(top.path(), &rest);
    for one in checked.iter_mut().filter(|one| one.report.has_plaintext()) {
        let path = Path::new(&one.placed.path);
        let state = if ignored.contains(path) {
            InGit::Ignored
        } else if known.tracked.contains(path) || known.in_history.contains(path) {
            InGit::Kept
        } else {
            InGit::Unknown
        };
        one.report.settle(state);
    }
}

/// What the kustomizations of a repository build, wherever in it the files that are checked lie.
fn resolution(group: &Group) -> Option<Resolution> {
    let top = group.top.as_ref()?;
    Some(resolve(&Tree::new(top.path(), BTreeMap::new()), &Options::default()))
}

/// What only the files of a repository together show.
fn together(group: &Group, context: &Context<'_>, checked: &[Checked<'_>]) -> Vec<TreeFinding> {
    let reports: Vec<(&str, &FileReport)> = checked.iter().map(|one| (one.placed.path.as_str(), &one.report)).collect();
    let listed: BTreeSet<&str> = checked.iter().flat_map(|one| &one.report.listed).map(String::as_str).collect();
    let unlisted = checked.iter().any(|one| !one.report.patches.is_empty() && !listed.contains(&*one.placed.path));
    let more = match &group.top {
        // Somebody else of the repository may list it: the files that were named need not be all of it.
        Some(top) if unlisted => other_kustomizations(top.path()),
        _ => Vec::new(),
    };
    check_tree(context, &reports, &more)
}

/// What all the kustomizations of a repository list as patches.
fn other_kustomizations(top: &Path) -> Vec<String> {
    let entries = WalkDir::new(top).into_iter().filter_entry(|entry| entry.file_name() != ".git");
    let mut listed = Vec::new();
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()) {
        let Ok(inside) = entry.path().strip_prefix(top) else { continue };
        let path = inside.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        if is_kustomization(&path)
            && let Ok(bytes) = files::read(entry.path(), Want::DOCUMENT)
        {
            listed.extend(patches_of(&path, bytes));
        }
    }
    listed
}
