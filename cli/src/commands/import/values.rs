//! The values of a generator, from its literals and from the files that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::generator::{Generator, Source, file_source, literal, variables};
use ageseal::problem::{Location, Problem};
use ageseal::secret::Plaintext;
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::files::{self, Want};

/// The values of one generator, and where they stood.
#[derive(Default)]
pub(super) struct Values {
    pub(super) data: BTreeMap<String, Plaintext>,
    /// The plaintext files that were read.
    pub(super) files: Vec<PathBuf>,
    /// The keys of the literals.
    pub(super) literals: Vec<String>,
    pub(super) warnings: Vec<CliError>,
}

/// Reads every value, in kustomize's order.
///
/// # Errors
/// Everything that is wrong with them at once, each at its file, line and column.
pub(super) fn collect(kustomization: &Path, generator: &Generator<'_>) -> Result<Values, Vec<CliError>> {
    let mut collector = Collector { kustomization, values: Values::default(), errors: Vec::new() };
    generator.envs.iter().for_each(|source| collector.variables(*source));
    generator.literals.iter().for_each(|source| collector.literal(*source));
    generator.files.iter().for_each(|source| collector.file(*source));
    if collector.errors.is_empty() { Ok(collector.values) } else { Err(collector.errors) }
}

struct Collector<'a> {
    kustomization: &'a Path,
    values: Values,
    errors: Vec<CliError>,
}

impl Collector<'_> {
    fn add(&mut self, key: String, value: Plaintext, path: &Path, at: Location) -> bool {
        let new = !self.values.data.contains_key(&key);
        if new {
            self.values.data.insert(key, value);
        } else {
            let fact = "a data key is here for the second time, which kustomize refuses";
            self.errors.push(
                CliError::input(fact).at(path, at, Some(format!("{key} <redacted>"))).hint("remove one of the two"),
            );
        }
        new
    }

    fn said(&mut self, problem: &Problem) {
        self.errors.push(CliError::problem(self.kustomization, problem));
    }

    fn literal(&mut self, source: Source<'_>) {
        match literal(source) {
            Err(problem) => self.said(&problem),
            Ok((key, value)) => {
                let kustomization = self.kustomization;
                if self.add(key.clone(), value, kustomization, source.at) {
                    self.values.literals.push(key);
                }
            }
        }
    }

    fn file(&mut self, source: Source<'_>) {
        match file_source(source) {
            Err(problem) => self.said(&problem),
            Ok(file) => {
                if let Some((_, bytes)) = self.read(file.path, source.at) {
                    let kustomization = self.kustomization;
                    self.add(file.key, Plaintext::new(bytes), kustomization, source.at);
                }
            }
        }
    }

    fn variables(&mut self, source: Source<'_>) {
        let Some((path, bytes)) = self.read(source.text, source.at) else { return };
        match variables(&Zeroizing::new(bytes)) {
            Err(problems) => self.errors.extend(problems.iter().map(|problem| CliError::problem(&path, problem))),
            Ok(found) => {
                for one in found {
                    if one.bare {
                        let fact = "this line has no `=`: kustomize makes an empty value of it, and so it is sealed";
                        let at = CliError::finding(fact).at(&path, one.at, None);
                        self.values
                            .warnings
                            .push(at.hint("older versions took the value from the environment: ageseal set FILE KEY"));
                    }
                    if one.quoted {
                        let fact =
                            "the quotes around this value are a part of it: so kustomize reads it, and so it is sealed";
                        let at = CliError::finding(fact).at(&path, one.at, Some(format!("{} <redacted>", one.key)));
                        self.values
                            .warnings
                            .push(at.hint("if they are not meant, set the value anew: ageseal set FILE KEY"));
                    }
                    self.add(one.key, one.value, &path, one.at);
                }
            }
        }
    }

    /// A file that the kustomization names: in its own folder or below, as kustomize has it.
    fn read(&mut self, named: &str, at: Location) -> Option<(PathBuf, Vec<u8>)> {
        let folder =
            self.kustomization.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let path = plain(&folder.join(named));
        let place = |error: CliError| error.at(self.kustomization, at, None);
        let inside = match (std::fs::canonicalize(folder), std::fs::canonicalize(&path)) {
            (Ok(folder), Ok(real)) => real.starts_with(folder),
            // What is missing is told when it is read.
            _ => true,
        };
        if !inside || Path::new(named).is_absolute() {
            let fact = "the file is neither in the folder of the kustomization nor below it";
            self.errors.push(
                place(CliError::input(fact))
                    .hint("move it below its kustomization: kustomize by itself does not read it either"),
            );
            return None;
        }
        match files::read(&path, Want { pipe: false, ..Want::VALUE }) {
            Ok(bytes) => {
                if !self.values.files.contains(&path) {
                    self.values.files.push(path.clone());
                }
                Some((path, bytes))
            }
            Err(error) => {
                self.errors.push(place(error));
                None
            }
        }
    }
}

/// The same path without `./`.
pub(super) fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}
