//! The log: JSON, one line an event, on standard output.
//!
//! # Guarantees
//!
//! What other crates say never carries the body of a request or of an answer. That is not a matter of levels alone: kube
//! logs the whole text of an answer that does not parse as a warning, and such an answer can be a Secret. So kube is silent
//! at every level, the other crates say warnings at most, and `--log-level` speaks of this program's modules only.
//!
//! A panic is logged by its place in the source, never by its message, which may quote what was being worked on.

use std::str::FromStr;

use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// This crate, as the log calls it.
const CRATE: &str = "ageseal_controller";
/// Crates that log bodies.
const SILENT: [&str; 4] = ["kube", "kube_client", "kube_core", "kube_runtime"];

/// What is logged: a level for the program, and levels for single modules of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    general: LevelFilter,
    modules: Vec<(String, LevelFilter)>,
}

/// Why a text is not a choice of levels.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LevelsError {
    /// A word is not a level.
    #[error("`{0}` is not a level: write off, error, warn, info, debug or trace")]
    Level(String),
    /// What stands before `=` is not a module of this program.
    #[error("`{0}` is not a module of this program: write one such as lease, identities or documents")]
    Module(String),
}

impl Default for Levels {
    /// `info` for all of the program.
    fn default() -> Self {
        Self { general: LevelFilter::INFO, modules: Vec::new() }
    }
}

impl FromStr for Levels {
    type Err = LevelsError;

    /// Parses `LEVEL`, `MODULE=LEVEL`, and several of them with commas between; the general level is `info` if none is
    /// given.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut levels = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                None => levels.general = level(part)?,
                Some((module, word)) => levels.modules.push((target(module)?, level(word)?)),
            }
        }
        Ok(levels)
    }
}

impl Levels {
    fn targets(&self) -> Targets {
        let others = self.general.min(LevelFilter::WARN);
        Targets::new()
            .with_default(others)
            .with_targets(SILENT.map(|name| (name, LevelFilter::OFF)))
            .with_targets([("ageseal", self.general)])
            .with_targets(self.modules.iter().cloned())
    }
}

/// Sets the log of the process up, and what happens on a panic.
///
/// Called once, before anything is logged; a second call changes nothing.
pub fn start(levels: &Levels) {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_ansi(false)
        .with_writer(std::io::stdout);
    if tracing_subscriber::registry().with(lines).with(levels.targets()).try_init().is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
            tracing::error!(place, "stopped by a fault of this program; its message is withheld, it may quote a value");
            // The hook runs before anything unwinds, so no task of a half-dead process goes on.
            std::process::abort();
        }));
    }
}

fn level(word: &str) -> Result<LevelFilter, LevelsError> {
    let word = word.trim();
    match word.to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(LevelsError::Level(word.to_owned())),
    }
}

/// The target that events of a module carry: `lease` and `ageseal_controller::lease` are one.
fn target(module: &str) -> Result<String, LevelsError> {
    let module = module.trim();
    let path = module.strip_prefix(CRATE).map_or(module, |rest| rest.trim_start_matches("::"));
    let fits = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if path.is_empty() {
        return Ok(CRATE.to_owned());
    }
    if path.split("::").all(fits) {
        Ok(format!("{CRATE}::{path}"))
    } else {
        Err(LevelsError::Module(module.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_are_read_in_general_and_for_single_modules() {
        let levels: Levels = "warn, lease=debug,ageseal_controller::documents::open=TRACE".parse().unwrap();
        let targets = levels.targets();
        assert!(targets.would_enable("ageseal_controller::runtime", &Level::WARN));
        assert!(!targets.would_enable("ageseal_controller::runtime", &Level::INFO));
        assert!(targets.would_enable("ageseal_controller::lease", &Level::DEBUG));
        assert!(targets.would_enable("ageseal_controller::documents::open", &Level::TRACE));
        assert_eq!("".parse::<Levels>().unwrap(), "info".parse().unwrap());
        assert_eq!("inof".parse::<Levels>(), Err(LevelsError::Level("inof".into())));
        assert_eq!("lease=loud".parse::<Levels>(), Err(LevelsError::Level("loud".into())));
        assert_eq!("a b=info".parse::<Levels>(), Err(LevelsError::Module("a b".into())));
    }

    #[test]
    fn no_level_makes_other_crates_speak() {
        // A filter cannot name kube: what it names is always a module of this crate.
        for text in ["trace", "trace,kube_client=trace", "trace,kube_client::client=trace"] {
            let targets = text.parse::<Levels>().unwrap().targets();
            for name in ["kube", "kube_client::client", "kube_client::client::builder", "kube_runtime::watcher"] {
                assert!(!targets.would_enable(name, &Level::ERROR), "{text} lets {name} speak");
            }
            for name in ["hyper::proto", "hyper_util::client", "rustls::client", "axum::serve", "tower::buffer"] {
                assert!(!targets.would_enable(name, &Level::INFO), "{text} lets {name} speak");
            }
            assert!(targets.would_enable("ageseal_controller::lease", &Level::TRACE));
        }
    }
}
