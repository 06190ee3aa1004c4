//! One run of a program.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::thread;

/// A program with its arguments, standard input, folder and environment.
#[derive(Clone, Debug)]
pub struct Command {
    program: PathBuf,
    arguments: Vec<OsString>,
    stdin: Vec<u8>,
    folder: Option<PathBuf>,
    environment: Vec<(OsString, Option<OsString>)>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code; `None` if a signal ended the program.
    pub code: Option<i32>,
    /// Everything on standard output.
    pub stdout: Vec<u8>,
    /// Everything on standard error.
    pub stderr: Vec<u8>,
}

/// Runs `program` with `arguments`, feeds it `stdin` and waits for its end.
///
/// # Panics
/// If the program cannot be started.
pub fn run<A: AsRef<OsStr>>(
    program: impl AsRef<Path>,
    arguments: impl IntoIterator<Item = A>,
    stdin: impl AsRef<[u8]>,
) -> Outcome {
    Command::new(program).args(arguments).stdin(stdin).run()
}

impl Command {
    /// A program without arguments and with an empty standard input.
    pub fn new(program: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            stdin: Vec::new(),
            folder: None,
            environment: Vec::new(),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets what the program reads from its standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_owned();
        self
    }

    /// Sets the folder that the program runs in.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Sets a variable of the program's environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes a variable from the program's environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), None));
        self
    }

    /// Runs the program to its end.
    ///
    /// Its output is read while its input is written, so that neither side can wait for the other. A program that
    /// ends before it has read its input is no error here.
    ///
    /// # Panics
    /// If the program cannot be started.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let mut command = process::Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", self.program.display()));
        let input = child.stdin.take().expect("standard input was asked for as a pipe");
        let output = thread::scope(|scope| {
            scope.spawn(move || {
                let mut input = input;
                // The other end may be closed already: that is the program's choice.
                let _ = input.write_all(&self.stdin);
            });
            child.wait_with_output()
        });
        let output = output.unwrap_or_else(|e| panic!("{}: {e}", self.program.display()));
        Outcome { code: output.status.code(), stdout: output.stdout, stderr: output.stderr }
    }
}

impl Outcome {
    /// Whether the program ended with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output as text, with bytes that are not UTF-8 replaced.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text, with bytes that are not UTF-8 replaced.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Gives standard output of a run that must have ended well.
    ///
    /// # Panics
    /// If the program did not end with 0; the text holds its standard error.
    #[must_use]
    #[track_caller]
    pub fn expect_success(self) -> Vec<u8> {
        assert!(self.success(), "exit code {:?}: {}", self.code, self.stderr_text());
        self.stdout
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_run_gives_code_and_both_outputs() {
        let outcome = run("/bin/sh", ["-c", "cat; echo talk >&2; exit 3"], "data");
        assert_eq!(outcome, Outcome { code: Some(3), stdout: b"data".to_vec(), stderr: b"talk\n".to_vec() });
    }

    #[test]
    fn more_than_a_pipe_holds_goes_through() {
        let megabyte = vec![b'x'; 1 << 20];
        assert_eq!(run("/bin/cat", [""; 0], &megabyte).expect_success(), megabyte);
    }

    #[test]
    fn a_program_that_does_not_read_is_no_error() {
        assert_eq!(run("/bin/true", [""; 0], vec![b'x'; 1 << 20]).code, Some(0));
    }
}
