//! Where the values of a new Secret come from: literals, files, folders, env files, prompts, stdin.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ageseal::format::is_data_key;
use ageseal::secret::Plaintext;
use zeroize::Zeroizing;

use crate::commands::set::Newline;
use crate::error::{CliError, Errors};
use crate::files::{self, Want};
use crate::prompt;
use crate::ui::Ui;

const INSTEAD: &str = "use --stdin KEY or --from-file KEY=FILE";

/// The sources of values; each key may come from one of them only.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Options {
    /// A value on the command line, where the shell and every process can see it (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    from_literal: Vec<String>,
    /// A value from a file, or every file of a folder (repeatable); the key is the file's name if none is given
    #[arg(long, value_name = "[KEY=]PATH")]
    from_file: Vec<String>,
    /// Values from a file of KEY=VALUE lines (repeatable)
    #[arg(long, value_name = "FILE")]
    from_env_file: Vec<PathBuf>,
    /// Ask for this value, without echo (repeatable)
    #[arg(long, value_name = "KEY")]
    prompt: Vec<String>,
    /// Read this value from stdin
    #[arg(long, value_name = "KEY")]
    stdin: Option<String>,
    #[command(flatten)]
    newline: Newline,
    /// The certificate, PEM (tls)
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The certificate's private key, PEM (tls)
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Values by key, and every refusal on the way.
#[derive(Default)]
struct Collected {
    values: BTreeMap<String, Plaintext>,
    errors: Vec<CliError>,
}

impl Collected {
    fn add(&mut self, key: &str, value: Result<Plaintext, CliError>) {
        match value {
            Err(error) => self.errors.push(error),
            Ok(_) if !is_data_key(key) => self.errors.push(
                CliError::usage(format!("{key}: not a data key"))
                    .hint("a data key is 1 to 253 letters, digits, `-`, `_` or `.`"),
            ),
            Ok(value) => {
                if self.values.insert(key.to_owned(), value).is_some() {
                    self.errors.push(CliError::usage(format!("{key}: two sources give this key")).hint("keep one"));
                }
            }
        }
    }
}

impl Options {
    /// Gathers every value. Prompts come last, so that nothing is typed in vain.
    pub fn collect(&self, ui: &Ui) -> Result<BTreeMap<String, Plaintext>, Errors> {
        let mut collected = Collected::default();
        self.literals(ui, &mut collected);
        for text in &self.from_file {
            from_file(text, &mut collected);
        }
        for path in &self.from_env_file {
            from_env_file(path, &mut collected);
        }
        for (key, path) in [("tls.crt", &self.cert), ("tls.key", &self.key)] {
            if let Some(path) = path {
                collected.add(key, files::read(path, Want::VALUE).map(Plaintext::new));
            }
        }
        if let Some(key) = &self.stdin {
            let bytes = prompt::refuse_shown("pipe it; or --prompt KEY asks for it")
                .and_then(|()| files::read(Path::new("-"), Want::VALUE));
            collected.add(key, bytes.map(Zeroizing::new).and_then(|bytes| self.newline.decide(bytes)));
        }
        Errors::none_or(std::mem::take(&mut collected.errors))?;
        for key in &self.prompt {
            collected.add(key, prompt::value(ui, key, INSTEAD));
        }
        Errors::none_or(collected.errors)?;
        Ok(collected.values)
    }

    fn literals(&self, ui: &Ui, collected: &mut Collected) {
        for text in &self.from_literal {
            match text.split_once('=') {
                // Nor is what stands before the `=`: it may be the beginning of a value.
                Some((key, _)) if !is_data_key(key) => collected.errors.push(
                    CliError::usage("--from-literal: the text before `=` is not a data key")
                        .hint("KEY=VALUE, where KEY is 1 to 253 letters, digits, `-`, `_` or `.`"),
                ),
                Some((key, value)) => collected.add(key, Ok(Plaintext::new(value.as_bytes().to_vec()))),
                // The text is not repeated: it may be the value.
                None => collected.errors.push(CliError::usage("--from-literal without `=`").hint("KEY=VALUE")),
            }
        }
        if !self.from_literal.is_empty() {
            ui.warn(
                &CliError::usage(
                    "a value on the command line stays in the shell's history and is seen by every process",
                )
                .hint("--prompt KEY asks for it, --stdin KEY reads it, --from-file KEY=FILE takes it from a file"),
            );
        }
    }
}

fn from_file(text: &str, collected: &mut Collected) {
    let (key, path) = match text.split_once('=') {
        Some((key, path)) => (Some(key), Path::new(path)),
        None => (None, Path::new(text)),
    };
    if path.is_dir() {
        if key.is_some() {
            let error = CliError::usage("a folder has many files, and this names one key").path(path);
            collected.errors.push(error.hint("leave KEY= out: each file's name becomes a key"));
            return;
        }
        return from_folder(path, collected);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    collected.add(key.unwrap_or(&name), files::read(path, Want::VALUE).map(Plaintext::new));
}

/// Every regular file right in the folder; a name that is no data key is an error, not a file passed over.
///
/// So is a symbolic link: whoever wrote the folder may have made it lead to a file that nobody meant to seal.
fn from_folder(folder: &Path, collected: &mut Collected) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return collected.errors.push(CliError::io("the folder cannot be read", folder, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
            Ok((path, kind)) if kind.is_symlink() => collected.errors.push(
                CliError::input("this is a symbolic link, which is not followed below a folder")
                    .path(&path)
                    .hint("name the file that it leads to: --from-file KEY=FILE"),
            ),
            Ok((path, kind)) if kind.is_file() => paths.push(path),
            Ok(_) => {}
            Err(error) => collected.errors.push(CliError::io("the folder cannot be read", folder, &error)),
        }
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        collected.add(&name, files::read(&path, Want::VALUE).map(Plaintext::new));
    }
}

/// Lines of KEY=VALUE as kubectl reads them: blank lines and `#` lines are passed over, blanks before the key are too,
/// and the value is raw: quotes are part of it.
fn from_env_file(path: &Path, collected: &mut Collected) {
    let bytes = match files::read(path, Want::DOCUMENT) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) => return collected.errors.push(error),
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return collected.errors.push(CliError::input("the env file is not UTF-8").path(path));
    };
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = ageseal::problem::Location { line: index + 1, column: 1 };
        match line.split_once('=') {
            Some((key, _)) if !is_data_key(key) => collected.errors.push(
                CliError::input("the text before `=` is not a data key")
                    .at(path, at, None)
                    .hint("KEY=VALUE, without export, and without blanks around `=`"),
            ),
            Some((key, value)) => collected.add(key, Ok(Plaintext::new(value.as_bytes().to_vec()))),
            None => collected.errors.push(
                CliError::input("a line without `=`; values are not taken from the environment")
                    .at(path, at, None)
                    .hint("KEY=VALUE"),
            ),
        }
    }
}
