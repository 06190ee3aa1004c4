//! `ageseal keys backup`: encrypted copies of identities, out of the cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ageseal::api::{BACKUP_KEY, BACKUP_PREFIX, CLI_FIELD_MANAGER, LABEL_BACKUP, backup_of};
use ageseal::recipient::{Recipient, RecipientId};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::core::ObjectMeta;

use super::backup_recipients;
use crate::cluster::identities::{self, chosen};
use crate::cluster::{self, AskError, Asked, Cluster, Refusal};
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{self, Batch, Before, Want, is_stdin};
use crate::keys::{short_id, vault};
use crate::ui::Ui;

/// Fetch the encrypted backups of a cluster's identities, or make them
///
/// The controller writes every identity that it makes also encrypted, for its backup recipients, into a ConfigMap; these
/// are written to files, which can be committed. With --recipient the identity Secrets are read instead, and encrypted
/// here: a private key is in memory only, and in no file that is not encrypted. For whom a backup in the cluster was
/// encrypted cannot be told from it, so --store leaves one that is there, and ends with 4; --replace puts the new one in
/// its place.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal keys backup -o backups
  ageseal keys backup r7d79 -o -  > cluster.age
  ageseal keys backup --recipient recovery -o backups
  ageseal keys backup --recipient recovery --store               # into the cluster, as the controller does
  ageseal check -i <(age -d -i recovery.txt backups/ageseal-backup-r7d793037a0760186.age)")]
pub struct Args {
    /// The ids, as `ageseal keys list` shows them [default: all]
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// The folder to write to; `-` is stdout, for one [default: the current folder]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Read the identities themselves and encrypt them to this recipient, or this name of the policy (repeatable)
    #[arg(short = 'r', long = "recipient", value_name = "NAME|RECIPIENT")]
    recipients: Vec<String>,
    /// Put what was encrypted into the cluster, as ConfigMap ageseal-backup-ID
    #[arg(long, requires = "recipients")]
    store: bool,
    /// With --store: put it in the place of a backup that is there already
    #[arg(long, requires = "store")]
    replace: bool,
    #[command(flatten)]
    cluster: cluster::Options,
}

/// An encrypted identity.
struct Copy {
    id: RecipientId,
    age: String,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let recipients = backup_recipients(ui, &args.recipients, "--recipient")?;
    let cluster = Cluster::connect(&args.cluster)?;
    let (copies, mut errors) = match recipients.is_empty() {
        true => fetched(args, &cluster)?,
        false => (made(args, &cluster, &recipients)?, vec![]),
    };
    if copies.is_empty() {
        return Errors::none_or(errors).map(|()| Exit::Ok);
    }
    for copy in copies.iter().filter(|_| args.store) {
        match store(&cluster, copy.id, &copy.age, args.replace) {
            Ok(stored) => {
                ui.result(stored.word(), &[&format!("{BACKUP_PREFIX}{}", copy.id), "ConfigMap", cluster.namespace()]);
            }
            Err(error) => errors.push(error),
        }
    }
    match &args.output {
        None if args.store => {}
        Some(output) if is_stdin(output) => match copies.as_slice() {
            [one] => ui.raw(one.age.as_bytes()),
            several => {
                let ids: Vec<_> = several.iter().map(|copy| copy.id.to_string()).collect();
                return Err(CliError::usage(format!("there are {} backups, and stdout takes one", several.len()))
                    .hint(format!("name one of {}, or a folder with -o", ids.join(", ")))
                    .into());
            }
        },
        output => write(ui, output.as_deref().unwrap_or(Path::new(".")), copies)?,
    }
    // The others are where they belong by now, and so is the file of one that could not be stored.
    Errors::none_or(errors)?;
    Ok(Exit::Ok)
}

/// The backups that the controller made, and what stands in the place of one and is none.
fn fetched(args: &Args, cluster: &Cluster) -> Result<(Vec<Copy>, Vec<CliError>), Errors> {
    let all = list(cluster)?;
    let known: Vec<_> = all.keys().copied().collect();
    let wanted = if args.ids.is_empty() { known.clone() } else { ids(&args.ids, &known)? };
    if wanted.is_empty() {
        return Err(CliError::input(format!("there is no backup of an identity in {}", cluster.namespace()))
            .detail("the controller makes them when it has a backup recipient")
            .hint("make them now: ageseal keys backup --recipient NAME")
            .hint("for the future: ageseal install --backup-recipient RECIPIENT")
            .into());
    }
    let mut errors = vec![];
    let mut none = vec![];
    let mut copies = vec![];
    for id in wanted {
        match all.get(&id) {
            Some(Some(age)) => copies.push(Copy { id, age: age.clone() }),
            Some(None) => none.push(
                CliError::finding(format!("ConfigMap {BACKUP_PREFIX}{id} holds no encrypted file; it was passed over"))
                    .hint(format!("ageseal keys backup {id} --recipient NAME --store")),
            ),
            None => errors.push(
                CliError::usage(format!("the cluster has no backup of {id}"))
                    .hint(format!("make one: ageseal keys backup {id} --recipient NAME")),
            ),
        }
    }
    Errors::none_or(errors)?;
    Ok((copies, none))
}

/// The backups in the cluster by id; nothing in the place of one that is none.
pub(in crate::commands) fn list(cluster: &Cluster) -> Result<BTreeMap<RecipientId, Option<String>>, AskError> {
    let asked = Asked::new("list", "configmaps").within(cluster.namespace());
    let api = cluster.namespaced::<ConfigMap>(cluster.namespace());
    let maps = cluster.ask(&asked, api.list(&ListParams::default().labels(LABEL_BACKUP)))?;
    let read = |map: ConfigMap| {
        let id = map.metadata.name.as_deref()?.strip_prefix(BACKUP_PREFIX)?.parse().ok()?;
        let is_one = backup_of(&map) == Some(id);
        Some((id, map.data.unwrap_or_default().remove(BACKUP_KEY).filter(|_| is_one)))
    };
    Ok(maps.items.into_iter().filter_map(read).collect())
}

/// Reads the identities, and encrypts them.
fn made(args: &Args, cluster: &Cluster, recipients: &[Arc<Recipient>]) -> Result<Vec<Copy>, Errors> {
    cluster.require_proof()?;
    let held = identities::list(cluster)?;
    let known: Vec<_> = held.iter().filter_map(identities::Held::claimed_id).collect();
    let mut opened = vec![];
    if args.ids.is_empty() {
        for held in &held {
            opened.extend(identities::open(cluster, &held.secret)?.identities);
        }
    } else {
        for id in ids(&args.ids, &known)? {
            let found = identities::find(cluster, &held, id)?;
            let identity = found.as_ref().and_then(|found| found.identity(id)).cloned();
            opened.push(identity.ok_or_else(|| {
                CliError::usage(format!("no identity Secret in {} holds {id}", cluster.namespace()))
                    .hint("ageseal keys list")
            })?);
        }
    }
    let mut copies: Vec<Copy> = vec![];
    let mut errors = vec![];
    for identity in &opened {
        let Some(id) = identity.recipient().map(|recipient| recipient.id()) else { continue };
        if copies.iter().any(|copy| copy.id == id) {
            continue;
        }
        match vault::encrypted(identity, recipients) {
            Ok(age) => copies.push(Copy { id, age }),
            Err(error) => errors.push(CliError::usage(error.to_string()).detail("nothing was written")),
        }
    }
    Errors::none_or(errors)?;
    if copies.is_empty() {
        return Err(CliError::input(format!("there is no identity in {}", cluster.namespace())).into());
    }
    Ok(copies)
}

fn ids(typed: &[String], known: &[RecipientId]) -> Result<Vec<RecipientId>, Errors> {
    let mut errors = vec![];
    let found = typed.iter().filter_map(|text| chosen(text, known).map_err(|error| errors.push(error)).ok()).collect();
    Errors::none_or(errors)?;
    Ok(found)
}

fn write(ui: &Ui, folder: &Path, copies: Vec<Copy>) -> Result<(), Errors> {
    let folder = if folder == Path::new(".") { Path::new("") } else { folder };
    let made = if folder.as_os_str().is_empty() { Ok(()) } else { std::fs::create_dir_all(folder) };
    made.map_err(|error| CliError::io("the folder cannot be made", folder, &error))?;
    let mut batch = Batch::new();
    let mut told = vec![];
    let mut errors = vec![];
    for copy in copies {
        let path = folder.join(format!("{BACKUP_PREFIX}{}.age", copy.id));
        let there = path.exists().then(|| files::read(&path, Want::KEYS));
        match there {
            Some(Ok(bytes)) if bytes == copy.age.as_bytes() => told.push(("kept", path, copy.id)),
            Some(_) => errors.push(
                CliError::input("this file is there already, and holds something else; nothing was written")
                    .path(&path)
                    .hint("name another folder: -o FOLDER"),
            ),
            None => {
                batch.add(&path, Before::Absent, copy.age.into_bytes());
                told.push(("wrote", path, copy.id));
            }
        }
    }
    Errors::none_or(errors)?;
    batch.commit()?;
    for (verb, path, id) in told {
        ui.result(verb, &[&path.display().to_string(), &short_id(id)]);
    }
    Ok(())
}

/// What became of a backup that was to be in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// There was none.
    Made,
    /// It is in the place of another, or of what was no backup.
    Replaced,
}

impl Stored {
    fn word(self) -> &'static str {
        match self {
            Self::Made => "stored",
            Self::Replaced => "replaced",
        }
    }
}

/// Puts an encrypted identity into the cluster, as the controller does. What stands in its place and is no backup is
/// replaced; a backup only if that is asked for, because nobody can tell from it who opens it.
pub(super) fn store(cluster: &Cluster, id: RecipientId, age: &str, replace: bool) -> Result<Stored, CliError> {
    let name = format!("{BACKUP_PREFIX}{id}");
    let asked = |verb| Asked::new(verb, "configmaps").named(&name).within(cluster.namespace());
    let api = cluster.namespaced::<ConfigMap>(cluster.namespace());
    let mut map = backup(&name, id, age);
    let params = PostParams { field_manager: Some(CLI_FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match cluster.ask(&asked("create"), api.create(&params, &map)) {
        Ok(_) => return Ok(Stored::Made),
        Err(error) if error.refusal == Refusal::Conflict => {}
        Err(error) => return Err(error.told),
    }
    let there = cluster.ask(&asked("get"), api.get(&name))?;
    let is_one = backup_of(&there) == Some(id);
    if is_one && !replace {
        return Err(taken(cluster, &name)
            .detail("for whom it was encrypted cannot be told from it")
            .hint(format!(
                "to put the new one in its place: ageseal keys backup {id} --recipient NAME --store --replace"
            ))
            .hint("to keep both: -o FOLDER, without --store"));
    }
    if there.immutable == Some(true) {
        // A backup is not taken away before there is another.
        if is_one {
            let (context, namespace) = (cluster.context(), cluster.namespace());
            return Err(taken(cluster, &name)
                .detail("it is immutable, so it cannot be replaced")
                .hint(format!("keep it: ageseal keys backup {id} --context {context} -o FOLDER"))
                .hint(format!("then: kubectl --context {context} delete configmap -n {namespace} {name}")));
        }
        let preconditions =
            Preconditions { uid: there.metadata.uid, resource_version: there.metadata.resource_version };
        let delete = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let _ = cluster.ask(&asked("delete"), api.delete(&name, &delete))?;
        let _ = cluster.ask(&asked("create"), api.create(&params, &map))?;
        return Ok(Stored::Replaced);
    }
    // Refused if it changed since it was read.
    map.metadata.resource_version = there.metadata.resource_version;
    let _ = cluster.ask(&asked("update"), api.replace(&name, &params, &map))?;
    Ok(Stored::Replaced)
}

fn taken(cluster: &Cluster, name: &str) -> CliError {
    CliError::input(format!("ConfigMap {name} in {} holds a backup already; it is as it was", cluster.namespace()))
}

fn backup(name: &str, id: RecipientId, age: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([(LABEL_BACKUP.to_owned(), id.to_string())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(BACKUP_KEY.to_owned(), age.to_owned())])),
        ..ConfigMap::default()
    }
}
