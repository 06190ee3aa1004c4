//! `ageseal kustomize generator`: the KRM function, and the legacy exec plugin.

mod config;
mod emit;

use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

use ageseal::yaml::{Stream, Value, render};
use zeroize::Zeroizing;

use self::config::{Config, Emit};
use crate::error::{CliError, Exit, Outcome};
use crate::files::{self, Want};
use crate::keys::identities;
use crate::ui::Ui;

/// The folder of the kustomization, in the environment of a legacy plugin.
const CONFIG_ROOT: &str = "KUSTOMIZE_PLUGIN_CONFIG_ROOT";

/// Emit sealed documents, or their Secrets, from within kustomize build
///
/// Without CONFIG it is a KRM function: a ResourceList on stdin, one on stdout. With CONFIG it is a legacy exec plugin:
/// plain documents on stdout. Whatever is wrong ends the build: nothing is printed then.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ageseal kustomize generator < resource-list.yaml
  ageseal kustomize generator -i ~/keys/test.txt < resource-list.yaml
  ageseal kustomize generator generator.yaml

The fields of its config, and how kustomize is told to run it: docs/kustomize.md")]
pub struct Args {
    /// The config of a legacy exec plugin, which kustomize writes
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    identities: identities::Options,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let input = args.config.clone().unwrap_or_else(|| PathBuf::from("-"));
    if args.config.is_none() && stdin().is_terminal() {
        return Err(CliError::usage("kustomize writes a ResourceList to stdin, and this is a terminal")
            .hint("ageseal kustomize generator CONFIG shows what a config gives")
            .into());
    }
    let bytes = files::read(&input, Want::DOCUMENT)?;
    let stream = Stream::from_bytes(bytes).map_err(|error| CliError::problem(&input, &error.to_problem()))?;
    let said = |problem| CliError::problem(&input, &problem);
    let config = match &args.config {
        None => Config::of_resource_list(&stream).map_err(said)?,
        Some(_) => Config::of_document(&stream).map_err(said)?,
    };
    let folder = match &args.config {
        None => PathBuf::from("."),
        Some(config) => plugin_folder(config),
    };
    let keys = match config.emit {
        Emit::SealedSecret => None,
        Emit::Secret => Some(args.identities.load(ui)?),
    };
    if let Some(keys) = &keys {
        keys.require()?;
    }
    let objects = emit::objects(ui, &config, &folder, keys.as_ref())?;
    if args.config.is_none() {
        let list = Value::map([
            ("apiVersion", Value::from("config.kubernetes.io/v1")),
            ("kind", Value::from("ResourceList")),
            ("items", Value::Seq(objects)),
        ]);
        ui.raw(Zeroizing::new(render(&list, "\n")).as_bytes());
        return Ok(Exit::Ok);
    }
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            ui.raw(b"---\n");
        }
        ui.raw(Zeroizing::new(render(object, "\n")).as_bytes());
    }
    Ok(Exit::Ok)
}

/// The folder of the kustomization that lists the config; the folder of the config where kustomize does not say.
fn plugin_folder(config: &Path) -> PathBuf {
    let said = std::env::var_os(CONFIG_ROOT).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let beside = || config.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_owned);
    said.or_else(beside).unwrap_or_else(|| PathBuf::from("."))
}
