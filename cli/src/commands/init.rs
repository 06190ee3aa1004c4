//! `ageseal init`: the policy of a repository, its recovery recipient, and what git has to know.

pub(super) mod lines;
mod overlays;
mod recovery;
mod shared;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ageseal::manifest::names::namespace_fault;
use ageseal::policy::{NewRule, POLICY_PATH, new_policy, recipients_path};

use self::lines::Wanted;
use self::overlays::{Overlay, Tree};
pub use self::recovery::RECOVERY;
use self::recovery::{NewRecovery, Recovery};
use crate::error::{CliError, Errors, Exit, Outcome, shown};
use crate::files::{self, Batch, Before, Want, write_private};
use crate::keys::shown_from_home;
use crate::repository::{FOLDER, RECIPIENTS_FOLDER, Repository, RepositoryError, find_top, from_here};
use crate::ui::{Line, Row, Ui};

/// The name of the recipients of a repository without overlays.
const CLUSTER: &str = "cluster";

/// Prepare a repository for sealed files
///
/// Writes .ageseal/policy.yaml with a rule for each overlay, the recovery recipient, and the lines that git needs, at
/// the top of the git repository; outside git, in the current folder. What is there already stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal init                                              # asks where the recovery identity goes
  ageseal init --recovery-file /media/usb/recovery.age      # asks for a passphrase
  ageseal init --recovery age1pq1… --namespace shop
  ageseal init --no-recovery

A rule is written for each folder in overlays, environments, envs and clusters. Its recipients
are called as the folder is, and what is sealed for them opens in the namespace that its
kustomization.yaml names, or that Flux or Argo CD set for it. A base or component with Secrets
gets a rule as well, for the readers and the namespaces of all overlays that build it.")]
pub struct Args {
    /// The recipient that opens everything should all else be lost (repeatable)
    #[arg(long, value_name = "RECIPIENT", conflicts_with_all = ["recovery_file", "no_recovery"])]
    recovery: Vec<String>,
    /// Make that recipient now: its identity goes to this file, outside the repository, under a passphrase
    #[arg(long, value_name = "FILE", conflicts_with = "no_recovery")]
    recovery_file: Option<PathBuf>,
    /// Do without a recovery recipient
    #[arg(long)]
    no_recovery: bool,
    /// The namespace of overlays whose kustomization names none, or of the whole repository if it has no overlays
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

/// What is there before anything is done.
pub struct Start {
    /// The folder that gets the policy, canonical.
    top: PathBuf,
    git: bool,
    /// The policy and recipients, if there is a policy.
    repository: Option<Repository>,
    /// What is at the place of the policy.
    before: Before,
}

impl Start {
    fn shown(&self, path: &str) -> String {
        shown(&from_here(&self.top.join(path)))
    }
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let start = start(ui)?;
    let tree = overlays::find(&start.top);
    if let Some(second) = tree.second.first() {
        return Err(RepositoryError::SecondPolicy { second: second.clone(), top: start.top }.into());
    }
    let rules = rules(args, &start, &tree);
    let mut plan = Plan::default();
    let mut errors: Vec<CliError> = vec![];
    let rules = rules.map_err(|error| errors.push(error)).ok();
    for wanted in [&lines::IGNORE, &lines::ATTRIBUTES] {
        errors.extend(plan.lines(&start, wanted).err());
    }
    // Nothing is asked while it is already known that nothing can be written.
    let recovery = recovery::decide(ui, args, &start, errors.is_empty());
    let recovery = recovery.map_err(|several| errors.extend(several)).ok();
    Errors::none_or(errors)?;
    let (rules, recovery) = (rules.flatten(), recovery.unwrap_or(Recovery::None));
    let left_out = rules.as_ref().and_then(|rules| left_out(args, &start.top, &tree, &rules.left_out));
    plan.policy(&start, rules.map(|rules| rules.drafts), &recovery)?;
    plan.recovery(&start, recovery);
    // What matters most is told first.
    plan.rows.rotate_left(2);
    let changed = !plan.batch.is_empty();
    let rows = plan.write(&start)?;

    let here = fs::canonicalize(".").is_ok_and(|here| here == start.top);
    if !here || !start.git {
        let what = if start.git { "the top of the git repository" } else { "this folder is not in git" };
        ui.say(&Line::new().padded("in", 8).text(&start.top.to_string_lossy()).dim(&format!("   ({what})")));
    }
    if changed {
        ui.results(&rows);
    } else {
        ui.result(
            "kept",
            &[&start.shown(POLICY_PATH), "the repository has a policy already, and all that goes with it"],
        );
    }
    left_out.iter().for_each(|note| ui.note(note));
    next(ui, &start)?;
    Ok(Exit::Ok)
}

/// Finds the folder to work in, and reads what is there.
fn start(ui: &Ui) -> Result<Start, Errors> {
    let top = match find_top(Path::new(".")) {
        Ok(top) => top,
        Err(RepositoryError::NoRepository { folder }) => {
            return Ok(Start { top: folder, git: false, repository: None, before: Before::Absent });
        }
        Err(error) => return Err(error.into()),
    };
    let (path, git) = (top.path().to_owned(), top.is_git());
    let start = |repository, before| Ok(Start { top: path.clone(), git, repository, before });
    let error = match Repository::load(ui, top) {
        Ok(repository) => return start(Some(repository), Before::Absent),
        Err(error) => error,
    };
    match &error {
        RepositoryError::NoPolicy { .. } => check_recipients_folder(&path).and_then(|()| start(None, Before::Absent)),
        RepositoryError::Files(problems) if problems.len() == 1 => match fs::read(path.join(POLICY_PATH)) {
            // An empty file says nothing that could be lost.
            Ok(bytes) if bytes.trim_ascii().is_empty() => start(None, Before::Holds(bytes)),
            _ => Err(error.into()),
        },
        _ => Err(error.into()),
    }
}

/// Refuses something else in the place of the recipients folder; a repository with a policy was checked already.
fn check_recipients_folder(top: &Path) -> Result<(), Errors> {
    let path = top.join(RECIPIENTS_FOLDER);
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_symlink() => Err(RepositoryError::Link { path }.into()),
        Ok(meta) if !meta.is_dir() => Err(RepositoryError::WrongKind { path, wanted: "a folder" }.into()),
        _ => Ok(()),
    }
}

/// A rule of the new policy, and what it was made from.
struct Draft {
    /// The folder; empty for the whole repository.
    folder: String,
    names: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    source: String,
}

impl Draft {
    fn of(folder: &str, name: &str, namespace: &str, source: String) -> Self {
        let one = |text: &str| BTreeSet::from([text.to_owned()]);
        Self { folder: folder.to_owned(), names: one(name), namespaces: one(namespace), source }
    }

    /// The pattern of all paths in the folder.
    fn path(&self) -> String {
        if self.folder.is_empty() { "**".to_owned() } else { format!("{}/**", globset::escape(&self.folder)) }
    }
}

/// The rules of the new policy.
struct Rules {
    drafts: Vec<Draft>,
    /// What is shared by overlays and gets none, and why.
    left_out: Vec<(PathBuf, String)>,
}

/// The rules of the new policy; nothing if there is a policy.
///
/// Errors: nothing says which namespaces they allow, or `--namespace` has no use.
fn rules(args: &Args, start: &Start, tree: &Tree) -> Result<Option<Rules>, CliError> {
    if let Some(fault) = args.namespace.as_deref().and_then(namespace_fault) {
        return Err(CliError::usage(format!("--namespace: this is not a namespace: {fault}")));
    }
    if let Some(repository) = &start.repository {
        let Some(namespace) = &args.namespace else { return Ok(None) };
        let wanted = format!("{namespace}/*");
        let mut scopes = repository.policy().rules().iter().flat_map(|rule| &rule.scopes);
        return if scopes.any(|scope| scope.as_str() == wanted) {
            Ok(None)
        } else {
            Err(CliError::usage(format!(
                "the repository has a policy already, and no rule of it has the scope {wanted}"
            ))
            .path(Path::new(&start.shown(POLICY_PATH)))
            .hint("add it to the scopes of a rule there"))
        };
    }
    let typed = |folder: &str, name: &str| {
        args.namespace.as_deref().map(|namespace| Draft::of(folder, name, namespace, "--namespace".to_owned()))
    };
    let draft = |overlay: &Overlay| match &overlay.namespace {
        Ok(said) => {
            let source = format!("{}: {}", said.file, said.field);
            Some(Draft::of(&overlay.path, &overlay.name, &said.namespace, source))
        }
        Err(_) => typed(&overlay.path, &overlay.name),
    };
    if tree.overlays.is_empty() {
        let whole = typed("", CLUSTER).map(|whole| Some(Rules { drafts: vec![whole], left_out: vec![] }));
        return whole.ok_or_else(|| {
            CliError::usage("there is no overlay, so nothing says which namespaces may be sealed for")
                .hint("ageseal init --namespace NAMESPACE writes one rule for the whole repository")
                .hint("or make overlays/NAME/kustomization.yaml with its namespace: first, for a rule each")
        });
    }
    if args.namespace.is_some() && tree.overlays.iter().all(|overlay| overlay.namespace.is_ok()) {
        let error = CliError::usage("every overlay says its namespace itself, so --namespace has no use");
        return Err(tree
            .overlays
            .iter()
            .filter_map(|overlay| overlay.namespace.as_ref().ok())
            .fold(error, |error, said| error.path_detail(&from_here(&start.top.join(&said.file)), &said.namespace)));
    }
    let mut drafts: Vec<_> = tree.overlays.iter().filter_map(draft).collect();
    if drafts.is_empty() {
        let error = CliError::usage("no overlay says its namespace, so nothing says which may be sealed for");
        let error = left_out(args, &start.top, tree, &[]).into_iter().fold(error, |mut error, note| {
            error.places.extend(note.places);
            error
        });
        return Err(error
            .hint("write namespace: into each kustomization.yaml")
            .hint("or ageseal init --namespace NAMESPACE, if it is the same for all of them"));
    }
    let (at_top, shared): (Vec<_>, Vec<_>) =
        shared(start, tree, &drafts).into_iter().partition(|shared| shared.folder.is_empty());
    drafts.extend(shared);
    let reason =
        |shared: Draft| format!("its Secrets are {}; a rule for them would be one for every path", shared.source);
    let left_out = at_top.into_iter().map(|shared| (start.top.clone(), reason(shared))).collect();
    Ok(Some(Rules { drafts, left_out }))
}

/// The folders that overlays share, each for the readers and the namespaces of all of them that build it.
fn shared(start: &Start, tree: &Tree, overlays: &[Draft]) -> Vec<Draft> {
    let all: Vec<&str> = tree.overlays.iter().map(|overlay| overlay.path.as_str()).collect();
    let folders: Vec<&str> = overlays.iter().map(|draft| draft.folder.as_str()).collect();
    let draft = |shared: shared::Shared| {
        let of = || shared.overlays.iter().filter_map(|number| overlays.get(*number));
        let built: Vec<&str> = of().map(|draft| draft.folder.as_str()).collect();
        Draft {
            folder: shared.path.clone(),
            names: of().flat_map(|draft| draft.names.clone()).collect(),
            namespaces: of().flat_map(|draft| draft.namespaces.clone()).collect(),
            source: format!("built by {}", built.join(", ")),
        }
    };
    shared::find(&start.top, &all, &folders).into_iter().map(draft).collect()
}

/// The folders that look like overlays and get no rule, as one note.
fn left_out(args: &Args, top: &Path, tree: &Tree, more: &[(PathBuf, String)]) -> Option<CliError> {
    let silent = tree.overlays.iter().filter(|_| args.namespace.is_none());
    let silent = silent.filter_map(|overlay| Some((top.join(&overlay.path), overlay.namespace.clone().err()?)));
    let mut all: Vec<_> = tree.left_out.iter().chain(more).cloned().chain(silent).collect();
    all.sort();
    let note = CliError::finding("no rule was written for this")
        .hint(format!("add one to {POLICY_PATH}: a path without a rule is an error, never a default"));
    (!all.is_empty()).then(|| all.iter().fold(note, |note, (path, reason)| note.path_detail(&from_here(path), reason)))
}

/// What will be written, and how it is told.
#[derive(Default)]
struct Plan {
    batch: Batch,
    rows: Vec<Row>,
    recovery: Option<NewRecovery>,
}

impl Plan {
    fn policy(&mut self, start: &Start, drafts: Option<Vec<Draft>>, recovery: &Recovery) -> Result<(), Errors> {
        let shown = start.shown(POLICY_PATH);
        let Some(drafts) = drafts else {
            self.rows.push(Row::new("kept", &[&shown, "the repository has a policy already"]));
            return Ok(());
        };
        let names = |draft: &Draft| {
            let recovery = recovery.is_named().then(|| RECOVERY.to_owned());
            draft.names.iter().cloned().chain(recovery).collect::<Vec<_>>()
        };
        let rule = |draft: &Draft| NewRule {
            paths: vec![draft.path()],
            recipients: names(draft),
            scopes: draft.namespaces.iter().map(|namespace| format!("{namespace}/*")).collect(),
        };
        let rules: Vec<_> = drafts.iter().map(rule).collect();
        let text = new_policy(&rules).map_err(|problems| {
            let told = problems.iter().map(|problem| CliError::problem(Path::new(&shown), problem)).collect();
            super::recipients::given::collected(told, "there is no rule")
        })?;
        let mut row = Row::new("wrote", &[&shown, &counted(rules.len(), "rule")]);
        let widest = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| text.chars().count()).max();
        let paths = widest(&mut drafts.iter().map(Draft::path)).unwrap_or_default();
        let readers = widest(&mut rules.iter().map(|rule| rule.recipients.join(", "))).unwrap_or_default();
        for (draft, rule) in drafts.iter().zip(&rules) {
            let (names, scopes) = (rule.recipients.join(", "), rule.scopes.join(", "));
            let text = format!("{:paths$}   read by {names:readers$}   opens as {scopes}", draft.path());
            row = row.detail("rule", text, Some(&draft.source));
        }
        self.rows.push(row);
        self.batch.add(start.top.join(POLICY_PATH), start.before.clone(), text.into_bytes());
        Ok(())
    }

    fn recovery(&mut self, start: &Start, recovery: Recovery) {
        let path = recipients_path(RECOVERY);
        let shown = start.shown(&path);
        match recovery {
            Recovery::None => {}
            Recovery::Kept => self.rows.push(Row::new("kept", &[&shown, "it has recipients already"])),
            Recovery::New(new) => {
                if let Some((file, _)) = &new.identity {
                    let what = "the recovery identity, under your passphrase: keep it offline";
                    self.rows.push(Row::new("made", &[&shown_from_home(file), what]));
                }
                self.rows.push(Row::new("wrote", &[&shown, &counted(new.count, "recipient")]));
                self.batch.add(start.top.join(path), new.before.clone(), new.text.clone().into_bytes());
                self.recovery = Some(new);
            }
        }
    }

    fn lines(&mut self, start: &Start, wanted: &Wanted) -> Result<(), CliError> {
        let path = start.top.join(wanted.file);
        let old = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            _ => Some(files::read(&from_here(&path), Want { max: 1024 * 1024, empty: true, pipe: false })?),
        };
        let bytes = old.as_deref().unwrap_or_default();
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(CliError::input("this is UTF-16, which git does not read")
                .path(&from_here(&path))
                .hint("save it as UTF-8"));
        }
        let shown = start.shown(wanted.file);
        match lines::completed(bytes, wanted) {
            None => self.rows.push(Row::new("kept", &[&shown, "it has the lines already"])),
            Some((new, count)) => {
                let verb = if old.is_some() { "added" } else { "wrote" };
                self.rows.push(Row::new(verb, &[&shown, &counted(count, "line")]));
                self.batch.add(path, old.map_or(Before::Absent, Before::Holds), new);
            }
        }
        Ok(())
    }

    /// Writes everything, or nothing; gives back what there is to say.
    fn write(self, start: &Start) -> Result<Vec<Row>, Errors> {
        if self.batch.is_empty() {
            return Ok(self.rows);
        }
        let made = make_folders(&start.top)?;
        let identity = self.recovery.as_ref().and_then(|new| new.identity.as_ref());
        let written = match identity {
            // The private half first: a recipient without it would open nothing for ever.
            Some((path, text)) => write_private(path, text.as_bytes()).map_err(Errors::from),
            None => Ok(()),
        };
        let identity_is_there = written.is_ok();
        let Err(errors) = written.and_then(|()| self.batch.commit()) else { return Ok(self.rows) };
        let public = fs::read(start.top.join(recipients_path(RECOVERY))).unwrap_or_default();
        if let (true, Some((path, _)), Some(new)) = (identity_is_there, identity, &self.recovery)
            && public != new.text.as_bytes()
        {
            // Nothing was sealed for it, nor can be.
            let _ = fs::remove_file(path);
        }
        for folder in made.iter().rev() {
            // One that holds something stays.
            let _ = fs::remove_dir(folder);
        }
        Err(errors)
    }
}

/// Makes the folders of the policy; gives back the ones that were not there.
fn make_folders(top: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut made = vec![];
    for folder in [FOLDER, RECIPIENTS_FOLDER] {
        let folder = top.join(folder);
        match fs::create_dir(&folder) {
            Ok(()) => made.push(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                made.iter().rev().for_each(|made| drop(fs::remove_dir(made)));
                return Err(CliError::io(
                    "the folder cannot be made; nothing was changed",
                    &from_here(&folder),
                    &error,
                ));
            }
        }
    }
    Ok(made)
}

/// Says what is still missing before something can be sealed.
fn next(ui: &Ui, start: &Start) -> Result<(), Errors> {
    let repository = Repository::open(ui, &start.top)?;
    let names: BTreeSet<&str> = repository.policy().rules().iter().flat_map(|rule| rule.names()).collect();
    let has_key = |name: &str| repository.recipients().get(name).is_some_and(|file| file.current().next().is_some());
    let mut steps: Vec<_> = names
        .into_iter()
        .filter(|name| !has_key(name))
        .map(|name| format!("ageseal recipients add {name} RECIPIENT"))
        .collect();
    if steps.is_empty() {
        steps.push("ageseal seal PATH".to_owned());
    }
    for (index, step) in steps.iter().enumerate() {
        ui.say(&Line::new().padded(if index == 0 { "next:" } else { "" }, 8).text(step));
    }
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
