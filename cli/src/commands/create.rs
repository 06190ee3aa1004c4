//! `ageseal create`: a sealed file from values that never were in a plaintext file.

mod docker;
mod sources;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::manifest::kinds::SERVICE_ACCOUNT_NAME;
use ageseal::manifest::{SecretManifest, SecretType, objects};
use ageseal::recipient::KeyRing;
use ageseal::rewrite::{self, Asked, DocumentPlan, Order, Target};
use ageseal::secret::Plaintext;
use ageseal::yaml::{Stream, Value, render};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::clock;
use crate::deployed::{self, Deployed, Named};
use crate::error::{CliError, Errors, Exit, Outcome};
use crate::files::{self, Batch, Before};
use crate::readers::{self, Readers};
use crate::scopes;
use crate::shadow::{Change, Shadows};
use crate::ui::{Row, Ui};

/// Create a sealed file of any Secret type, without a plaintext file
///
/// TYPE is opaque, basic-auth, ssh-auth, tls, dockerconfigjson, dockercfg, bootstrap-token, service-account-token, or a
/// type of your own such as example.com/token. An existing file is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal create opaque db -n shop-prod --prompt password --from-literal user=shop -o overlays/prod/db.sealed.yaml
  ageseal create tls shop-tls -n shop-prod --cert tls.crt --key tls.key -o overlays/prod/tls.sealed.yaml
  ageseal create dockerconfigjson pull -n shop-prod --docker-server registry.example.com --docker-username ci -o pull.sealed.yaml
  openssl rand -hex 24 | ageseal create opaque token -n shop-prod --stdin token --trim-newline -o token.sealed.yaml")]
pub struct Args {
    /// The type of the Secret
    #[arg(value_name = "TYPE")]
    secret_type: String,
    /// The name of the Secret
    #[arg(value_name = "NAME")]
    name: String,
    /// The file to write; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The namespace of the Secret
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    sources: sources::Options,
    #[command(flatten)]
    docker: docker::Options,
    /// The service account whose token the cluster shall put here (service-account-token)
    #[arg(long, value_name = "NAME")]
    service_account: Option<String>,
    /// A label of the Secret (repeatable)
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// An annotation of the Secret (repeatable)
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    annotations: Vec<String>,
    /// Make the Secret immutable
    #[arg(long)]
    immutable: bool,
    #[command(flatten)]
    scope: scopes::Options,
    #[command(flatten)]
    readers: readers::Options,
    /// Use the policy's rule for this path, when the output is stdout
    #[arg(long = "as", value_name = "PATH")]
    as_path: Option<PathBuf>,
    /// Say what would be made, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let secret_type = secret_type(&args.secret_type)?;
    let to_stdout = files::is_stdin(&args.output);
    if !to_stdout && args.output.symlink_metadata().is_ok() {
        return Err(CliError::input("the file exists")
            .path(&args.output)
            .hint("ageseal set changes a value of it; or remove it first, or give another name")
            .into());
    }
    // For whom and where is known before any value is asked for.
    let policy_path = if to_stdout { args.as_path.as_deref() } else { Some(args.output.as_path()) };
    let readers = Readers::new(ui, &args.readers).for_path(policy_path)?;
    let set = readers.set()?;
    let scope = args.scope.parse()?;

    let mut values = args.sources.collect(ui)?;
    args.docker.add(ui, &secret_type, &mut values)?;
    let plaintext = manifest(args, &secret_type, &values)?;
    let stream = Stream::parse(render(&plaintext, "\n"))
        .map_err(|error| CliError::problem(&args.output, &error.to_problem()))?;
    let secrets = read(ui, args, &stream)?;

    let places = places(policy_path, &secrets, scope.is_some())?;
    let recipients: Vec<_> = set.recipients().collect();
    let order = Order {
        recipients: &recipients,
        asked: Asked { namespace: args.namespace.as_deref(), scope: scope.as_ref() },
        targets: &places,
        ring: &KeyRing::default(),
        prune: false,
        fresh: false,
        rescope: false,
        server_side: readers.server_side(),
    };
    let made = rewrite::create(&secrets, &order, &mut OsRng)
        .map_err(|refusals| told(args, refusals.source.iter().chain(&refusals.existing)))?;
    for plan in &made.documents {
        readers.check_scope(&plan.place.scope)?;
    }
    let text = made.text.map(|text| text.text().as_bytes().to_vec()).unwrap_or_default();
    let mut rolls = Vec::new();
    if args.dry_run {
        // Nothing is written, and nothing but what would be.
    } else if to_stdout {
        ui.raw(&text);
    } else {
        let mut shadows = Shadows::default();
        for plan in &made.documents {
            // A file that was removed and is made anew has other values.
            rolls.extend(shadows.refresh(&args.output, &Change::planned(plan))?);
        }
        let mut batch = Batch::new();
        batch.add(&args.output, Before::Absent, text);
        shadows.add_to(&mut batch);
        batch.commit()?;
    }
    let shown = if to_stdout { "<stdout>".to_owned() } else { args.output.display().to_string() };
    let verb = if args.dry_run { "would" } else { "created" };
    let rows: Vec<Row> = made
        .documents
        .iter()
        .map(|plan| {
            let keys: Vec<_> = plan.items.keys().map(String::as_str).collect();
            Row::new(verb, &[&shown, &plan.place.name, &keys.join(", ")])
                .detail("opens as", plan.place.scope.to_string(), because(plan, &places).as_deref())
                .detail("read by", set.names().join(", "), None)
        })
        .collect();
    let rows: Vec<Row> = match rows.len() {
        1 => rows.into_iter().map(|row| rolls.iter().fold(row, |row, rolls| rolls.told(row))).collect(),
        _ => rows,
    };
    ui.results(&rows);
    Ok(if args.dry_run { Exit::Findings } else { Exit::Ok })
}

/// What kustomize makes of the file that is to be written.
fn places(path: Option<&Path>, secrets: &[SecretManifest<'_>], typed: bool) -> Result<Vec<Vec<Target>>, Errors> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let mut deployed = Deployed::default();
    deployed.plan(path, Zeroizing::new(rewrite::outline(secrets).into_bytes()));
    deployed.resolve();
    let named = secrets.iter().map(|secret| Named { namespace: secret.namespace.as_deref(), name: &secret.name });
    named.map(|named| deployed.targets(path, named, typed)).collect()
}

fn because(plan: &DocumentPlan, places: &[Vec<Target>]) -> Option<String> {
    places.first().filter(|_| plan.place.deployed).and_then(|places| deployed::because(places))
}

/// The types by the short names of the Kubernetes page, and any type by its full name.
fn secret_type(text: &str) -> Result<SecretType, CliError> {
    let known = match text {
        "opaque" | "generic" | "Opaque" => SecretType::Opaque,
        "basic-auth" => SecretType::BasicAuth,
        "ssh-auth" => SecretType::SshAuth,
        "tls" => SecretType::Tls,
        "dockerconfigjson" | "docker-registry" => SecretType::DockerConfigJson,
        "dockercfg" => SecretType::DockerCfg,
        "bootstrap-token" => SecretType::BootstrapToken,
        "service-account-token" => SecretType::ServiceAccountToken,
        other if other.contains('/') => {
            return other.parse().map_err(|error: ageseal::manifest::kinds::SecretTypeError| {
                CliError::usage(error.to_string()).hint("a type is a name such as example.com/token")
            });
        }
        other => {
            return Err(CliError::usage(format!("{other}: no such type")).hint(
                "opaque, basic-auth, ssh-auth, tls, dockerconfigjson, dockercfg, bootstrap-token, \
                 service-account-token, or a full name such as example.com/token",
            ));
        }
    };
    Ok(known)
}

/// The plaintext manifest, in memory only: `create` then takes the way that every manifest takes.
fn manifest(args: &Args, kind: &SecretType, values: &BTreeMap<String, Plaintext>) -> Result<Value, CliError> {
    let labels = pairs("--label", &args.labels)?;
    let mut annotations = pairs("--annotation", &args.annotations)?;
    annotations.extend(args.service_account.iter().map(|name| (SERVICE_ACCOUNT_NAME.to_owned(), name.clone())));
    let mut metadata = vec![("name", quoted(&args.name))];
    metadata.extend(args.namespace.as_deref().map(|namespace| ("namespace", quoted(namespace))));
    for (field, map) in [("labels", labels), ("annotations", annotations)] {
        if !map.is_empty() {
            metadata.push((field, Value::map(map.into_iter().map(|(key, value)| (key, quoted(&value))))));
        }
    }
    let data = values.iter().map(|(key, value)| (key.as_str(), quoted(&BASE64_STANDARD.encode(value.expose()))));
    let mut secret = vec![
        ("apiVersion", Value::Plain("v1".to_owned())),
        ("kind", Value::Plain("Secret".to_owned())),
        ("metadata", Value::map(metadata)),
        ("type", quoted(kind.as_str())),
        ("data", Value::map(data)),
    ];
    if args.immutable {
        secret.push(("immutable", Value::Bool(true)));
    }
    Ok(Value::map(secret))
}

fn quoted(text: &str) -> Value {
    Value::SingleQuoted(text.to_owned())
}

fn pairs(option: &str, texts: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let pair = |text: &String| {
        let (key, value) =
            text.split_once('=').ok_or_else(|| CliError::usage(format!("{option} {text}: KEY=VALUE")))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    texts.iter().map(pair).collect()
}

fn read<'a>(ui: &Ui, args: &Args, stream: &'a Stream) -> Result<Vec<SecretManifest<'a>>, Errors> {
    let mut secrets = Vec::new();
    let mut problems = Vec::new();
    for object in objects(stream) {
        let reading = SecretManifest::read(object.node, clock::now());
        secrets.extend(reading.manifest);
        problems.extend(reading.problems);
    }
    for warning in problems.iter().filter(|problem| !problem.is_error()) {
        ui.warn(&placeless(args, warning));
    }
    let errors: Vec<_> = problems.iter().filter(|problem| problem.is_error()).map(|p| placeless(args, p)).collect();
    Errors::none_or(errors)?;
    Ok(secrets)
}

fn told<'p>(args: &Args, problems: impl Iterator<Item = &'p ageseal::problem::Problem>) -> Errors {
    match Errors::none_or(problems.map(|problem| placeless(args, problem)).collect()) {
        Err(errors) => errors,
        Ok(()) => CliError::input("nothing was made").into(),
    }
}

/// The manifest was never a file, so its lines mean nothing to anybody.
fn placeless(args: &Args, problem: &ageseal::problem::Problem) -> CliError {
    CliError::problem(&args.output, &ageseal::problem::Problem { at: None, ..problem.clone() })
}
