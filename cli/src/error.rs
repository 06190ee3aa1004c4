//! Errors as the user reads them: a fact, its places, its causes, the next command; and the exit codes.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use ageseal::problem::{Location, Problem};

/// How the program ends. The numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Ok = 0,
    /// Something was found, or something would change.
    Findings = 1,
    /// The command line does not say what to do.
    Usage = 2,
    /// No identity opens it, or it is not what was sealed.
    CannotDecrypt = 3,
    /// A file, a folder or a stream is not what it has to be, or could not be written.
    InputOutput = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A place that an error is about: a file, a line and column in it, and what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, as it is to be shown.
    pub path: String,
    /// The line and column, if known.
    pub at: Option<Location>,
    /// What is at that place; a value is written as `<redacted>`.
    pub detail: Option<String>,
}

/// One error: the fact, where, why, and what to do next.
///
/// Guarantees: nothing in it is a plaintext value. Everything is escaped when it is printed, not before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    /// The exit code that it asks for.
    pub kind: Exit,
    /// The fact: lower case, no full stop.
    pub message: String,
    /// Where it is.
    pub places: Vec<Place>,
    /// Lines of detail below the places, such as `tried: …`.
    pub details: Vec<String>,
    /// The causes, the nearest first.
    pub causes: Vec<String>,
    /// The next steps.
    pub hints: Vec<String>,
}

impl CliError {
    /// An error of this kind.
    pub fn new(kind: Exit, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), places: vec![], details: vec![], causes: vec![], hints: vec![] }
    }

    /// Something is wrong with what was found: exit code 1.
    pub fn finding(message: impl Into<String>) -> Self {
        Self::new(Exit::Findings, message)
    }

    /// The command line does not say what to do: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// It cannot be opened: exit code 3.
    pub fn cannot_decrypt(message: impl Into<String>) -> Self {
        Self::new(Exit::CannotDecrypt, message)
    }

    /// Input is not what it has to be, or output could not be written: exit code 4.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Exit::InputOutput, message)
    }

    /// An operation on a file that the system refused: `message` is the fact, the system's word becomes the cause.
    pub fn io(message: impl Into<String>, path: &Path, error: &io::Error) -> Self {
        Self::input(message).path(path).cause(io_fact(error))
    }

    /// A problem that the core found in this file: input that is not what it has to be.
    pub fn problem(path: &Path, problem: &Problem) -> Self {
        Self {
            places: vec![Place {
                path: shown(path),
                at: problem.at,
                detail: problem.key.as_ref().map(|key| format!("{key} <redacted>")),
            }],
            hints: problem.hint.iter().cloned().collect(),
            ..Self::input(problem.message.clone())
        }
    }

    /// Whether two errors differ in their places at most.
    fn says_the_same(&self, other: &Self) -> bool {
        !self.places.is_empty()
            && !other.places.is_empty()
            && (self.kind, &self.message, &self.details) == (other.kind, &other.message, &other.details)
            && (&self.causes, &self.hints) == (&other.causes, &other.hints)
    }

    /// The same error with another exit code.
    #[must_use]
    pub fn kind(mut self, kind: Exit) -> Self {
        self.kind = kind;
        self
    }

    /// The same error, at this file.
    #[must_use]
    pub fn path(self, path: &Path) -> Self {
        self.place(Place { path: shown(path), ..Place::default() })
    }

    /// The same error, at this file, with what is there.
    #[must_use]
    pub fn path_detail(self, path: &Path, detail: impl Into<String>) -> Self {
        self.place(Place { path: shown(path), at: None, detail: Some(detail.into()) })
    }

    /// The same error, at this place of this file.
    #[must_use]
    pub fn at(self, path: &Path, at: Location, detail: Option<String>) -> Self {
        self.place(Place { path: shown(path), at: Some(at), detail })
    }

    /// The same error, with one more place.
    #[must_use]
    pub fn place(mut self, place: Place) -> Self {
        self.places.push(place);
        self
    }

    /// The same error, with one more line of detail.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// The same error, with one more cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// The same error, with an error and all that lies behind it as causes.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// The same error, with one more next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// The errors of one run, reported together; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(Vec<CliError>);

impl Errors {
    /// The errors in the order in which they were met.
    pub fn iter(&self) -> impl Iterator<Item = &CliError> {
        self.0.iter()
    }

    /// The exit code of the run: the highest that any of them asks for.
    pub fn exit(&self) -> Exit {
        self.0.iter().map(|error| error.kind).max().unwrap_or(Exit::Usage)
    }

    /// Nothing, if there are no errors; else all of them.
    ///
    /// Those that say the same of several places become one, with all the places: what is wrong once, such as a missing
    /// recipients file, is told once.
    pub fn none_or(errors: Vec<CliError>) -> Result<(), Self> {
        let mut told: Vec<CliError> = Vec::with_capacity(errors.len().min(64));
        for error in errors {
            match told.iter_mut().find(|other| other.says_the_same(&error)) {
                Some(other) => {
                    let new = error.places.into_iter().filter(|place| !other.places.contains(place));
                    let new: Vec<_> = new.collect();
                    other.places.extend(new);
                }
                None => told.push(error),
            }
        }
        if told.is_empty() { Ok(()) } else { Err(Self(told)) }
    }
}

impl From<CliError> for Errors {
    fn from(error: CliError) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for Errors {
    type Item = CliError;
    type IntoIter = std::vec::IntoIter<CliError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What a command gives back.
pub type Outcome = Result<Exit, Errors>;

/// A path as it is shown: `-` is standard input.
pub fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "<stdin>".to_owned() } else { path.to_string_lossy().into_owned() }
}

/// What the system said, in our words: lower case and without its number.
pub fn io_fact(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::StorageFull => "no space left on the device".to_owned(),
        io::ErrorKind::FileTooLarge => "the file would be larger than the system allows".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        io::ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            let mut chars = text.chars();
            chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_code_of_a_run_wins() {
        let errors = vec![CliError::usage("a"), CliError::input("b"), CliError::cannot_decrypt("c")];
        assert_eq!(Errors::none_or(errors).unwrap_err().exit(), Exit::InputOutput);
        assert_eq!(Errors::none_or(vec![]), Ok(()));
    }

    #[test]
    fn the_same_in_several_places_is_told_once() {
        let missing = |path: &str| CliError::input("no such name").path(Path::new(path)).hint("add it");
        let errors = vec![missing("a"), CliError::input("other").path(Path::new("a")), missing("b"), missing("a")];
        let errors = Errors::none_or(errors).unwrap_err();
        let told: Vec<_> = errors.iter().map(|error| (error.message.as_str(), error.places.len())).collect();
        assert_eq!(told, [("no such name", 2), ("other", 1)]);
    }

    #[test]
    fn a_problem_keeps_its_place_and_hides_the_value() {
        let problem = Problem::error("bad-base64", "not base64")
            .at(Location { line: 3, column: 5 })
            .key("data.password")
            .hint("use stringData");
        let error = CliError::problem(Path::new("a.yaml"), &problem);
        assert_eq!(error.kind, Exit::InputOutput);
        assert_eq!(error.places[0].detail.as_deref(), Some("data.password <redacted>"));
        assert_eq!(error.hints, ["use stringData"]);
    }

    #[test]
    fn system_errors_lose_their_number() {
        assert_eq!(io_fact(&io::Error::from_raw_os_error(2)), "there is no such file or folder");
        assert_eq!(io_fact(&io::Error::from_raw_os_error(40)), "too many levels of symbolic links");
        assert_eq!(io_fact(&io::Error::from_raw_os_error(27)), "the file would be larger than the system allows");
    }
}
