//! `--scope`: which Secrets the values may become part of, typed by hand.

use ageseal::scope::{Pattern, Scope};

use crate::error::CliError;

/// The option of every command that seals.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Options {
    /// Seal for this NAMESPACE/NAME instead of the document's own (repeatable; * matches any run of characters)
    #[arg(long = "scope", value_name = "PATTERN")]
    patterns: Vec<String>,
}

impl Options {
    /// Whether no scope was typed.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The typed scope, if there is one.
    pub fn parse(&self) -> Result<Option<Scope>, CliError> {
        if self.patterns.is_empty() {
            return Ok(None);
        }
        let patterns: Result<Vec<Pattern>, _> = self.patterns.iter().map(|text| text.parse()).collect();
        let scope = patterns.and_then(Scope::canonical).map_err(|error| {
            CliError::usage(error.to_string()).hint("a scope is NAMESPACE/NAME, for example --scope 'shop-prod/db'")
        })?;
        Ok(Some(scope))
    }
}
