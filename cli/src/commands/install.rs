//! `ageseal install`: the controller's manifests, the same as in `deploy/`.

mod manifests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ageseal::api::DEFAULT_NAMESPACE;
use ageseal::manifest::names::namespace_fault;
use ageseal::policy::recipients_path;
use ageseal::recipient::{Recipient, RecipientKind};

use self::manifests::{Wanted, manifests};
use super::init::RECOVERY;
use super::recipients::given;
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::keys::short_id;
use crate::repository::{Repository, RepositoryError, from_here};
use crate::ui::Ui;

/// Print the controller's manifests for kubectl apply
///
/// They are the ones in deploy/: the custom resource, the controller with its rights, the admission policy. No cluster
/// and no network are asked. With -q nothing but the manifests is said.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal install --image IMAGE | kubectl apply --server-side -f -
  ageseal install --image IMAGE --namespaces shop-test,shop-prod    # Roles there, no ClusterRole
  ageseal install --image IMAGE --no-drift-watch                    # no right to list Secrets
  ageseal install --backup-recipient age1pq1…

Every identity that the controller makes is also written, encrypted, for the backup recipients.
Inside a repository with a recipients file named recovery they are those, unless others are named.")]
pub struct Args {
    /// Serve these namespaces only, with Roles in each of them (repeatable, or divided by commas)
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Do without the right to list and watch Secrets: what was changed by hand is seen minutes later
    #[arg(long)]
    no_drift_watch: bool,
    /// The controller's image
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Write each new identity also encrypted to this recipient (repeatable)
    #[arg(long = "backup-recipient", value_name = "RECIPIENT", conflicts_with = "no_backup")]
    backup_recipients: Vec<String>,
    /// Make no backups of identities
    #[arg(long)]
    no_backup: bool,
    /// The controller's own namespace
    #[arg(short, long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// How many replicas; one of them works
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=9))]
    replicas: u8,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let mut errors: Vec<CliError> = check_namespaces(args);
    errors.extend(args.image.as_deref().and_then(image_fault));
    let backup = backup_recipients(ui, args).map_err(|several| errors.extend(several)).ok();
    Errors::none_or(errors)?;
    let backup = backup.unwrap_or_default();
    let text = manifests(&Wanted {
        namespace: &args.namespace,
        namespaces: &args.namespaces,
        drift_watch: !args.no_drift_watch,
        image: args.image.as_deref(),
        replicas: args.replicas,
        backup_recipients: &backup.iter().map(|recipient| recipient.canonical()).collect::<Vec<_>>(),
    })
    .map_err(|error| CliError::input("the manifests cannot be changed as asked").caused_by(&error))?;
    if args.image.is_none() {
        ui.note(
            &CliError::usage(format!("the image is {}, which no registry has but one of yours", manifests::image()))
                .hint("build it from the Dockerfile, push it, and name it: --image IMAGE"),
        );
    }
    ui.raw(text.as_bytes());
    Ok(Exit::Ok)
}

/// Refuses what no namespace is called, without repeating it, and lists that say something twice.
fn check_namespaces(args: &Args) -> Vec<CliError> {
    let mut errors = vec![];
    let fault = |place: String, name: &str| {
        namespace_fault(name).map(|fault| CliError::usage(format!("{place}: this is not a namespace: {fault}")))
    };
    errors.extend(fault("--namespace".to_owned(), &args.namespace));
    let mut seen = BTreeSet::new();
    for (index, name) in args.namespaces.iter().enumerate() {
        if let Some(error) = fault(format!("--namespaces, number {}", index + 1), name) {
            errors.push(error);
        } else if !seen.insert(name) {
            errors.push(CliError::usage(format!("--namespaces: {name} is named twice")));
        }
    }
    if seen.contains(&args.namespace) {
        errors.push(
            CliError::usage(format!("--namespaces: {} is the controller's own namespace", args.namespace))
                .hint("it opens nothing beside its private keys: leave it out, or name another with --namespace"),
        );
    }
    errors
}

/// Refuses what cannot be an image; which there are, a registry decides.
fn image_fault(image: &str) -> Option<CliError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let fits = image.starts_with(|c: char| c.is_ascii_alphanumeric()) && image.chars().all(allowed);
    (!fits).then(|| {
        CliError::usage("--image: this is not the name of an image").hint("such as registry/ageseal-controller:1.0")
    })
}

/// The recipients of backups: what was typed, or the repository's recovery recipients.
///
/// Errors: what was typed is none; the repository's cannot be read; one that is not post-quantum.
fn backup_recipients(ui: &Ui, args: &Args) -> Result<Vec<Arc<Recipient>>, Errors> {
    if args.no_backup {
        return Ok(vec![]);
    }
    if args.backup_recipients.is_empty() {
        return recovery_recipients(ui);
    }
    let (mut found, mut errors) = (vec![], vec![]);
    for text in &args.backup_recipients {
        let hint = format!("this is a file: --backup-recipient \"$(cat {text})\"");
        match given::typed(ui, text, "--backup-recipient", &hint) {
            Ok(given) => found.extend(given.into_iter().map(|given| given.recipient)),
            Err(several) => errors.extend(several),
        }
    }
    let classic = found.iter().filter(|recipient| recipient.kind() != RecipientKind::Hybrid);
    errors.extend(classic.map(|recipient| classic_error(recipient, "--backup-recipient")));
    Errors::none_or(errors)?;
    let mut seen = BTreeSet::new();
    found.retain(|recipient| seen.insert(recipient.id()));
    Ok(found)
}

/// The current recipients of the repository's recovery file. Says on stderr whose they are, or that there are none.
fn recovery_recipients(ui: &Ui) -> Result<Vec<Arc<Recipient>>, Errors> {
    let none = |why: &str| {
        ui.note(
            &CliError::finding(format!("identities will have no backup: {why}"))
                .hint("--backup-recipient RECIPIENT names who can restore them; ageseal keys backup makes one by hand"),
        );
        Ok(vec![])
    };
    let repository = match Repository::open(ui, Path::new(".")) {
        Ok(repository) => repository,
        Err(RepositoryError::NoRepository { .. } | RepositoryError::NoPolicy { .. }) => {
            return none("this is no repository with a policy, and no recipient was named");
        }
        Err(error) => {
            let mut errors: Vec<_> = Errors::from(error).into_iter().collect();
            let told = CliError::usage("the repository's recovery recipient is not known; nothing was printed");
            errors.push(told.hint("--backup-recipient RECIPIENT names one; --no-backup does without"));
            return Err(given::collected(errors, "the repository cannot be read"));
        }
    };
    let Some(file) = repository.recipients().get(RECOVERY) else {
        return none("the repository has no recipients file named recovery");
    };
    let found: Vec<_> = file.current().map(|entry| Arc::clone(&entry.recipient)).collect();
    if found.is_empty() {
        return none("the repository's recovery recipients are all superseded");
    }
    let path = from_here(&repository.top().join(recipients_path(RECOVERY)));
    let classic = found.iter().filter(|recipient| recipient.kind() != RecipientKind::Hybrid);
    Errors::none_or(classic.map(|recipient| classic_error(recipient, RECOVERY).path(&path)).collect())?;
    let ids: Vec<_> = found.iter().map(|recipient| short_id(recipient.id())).collect();
    ui.result("backup", &["of every identity that the controller makes", &format!("{RECOVERY} ({})", ids.join(", "))]);
    ui.detail("named in", &path.to_string_lossy(), None);
    Ok(found)
}

fn classic_error(recipient: &Recipient, what: &str) -> CliError {
    let id = short_id(recipient.id());
    CliError::usage(format!("{what}: {id} is {}, and the identities are post-quantum", recipient.kind()))
        .hint("a backup for it would be as weak as it is: name one that begins with age1pq1 (ageseal keygen)")
        .hint("or --no-backup")
}
