//! One running program, and the file that holds what it says.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::guard::Guard;

/// A program that runs, or has ended and was not replaced yet. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output goes to `log`, after what is there already. Its environment is the PATH and
    /// `environment`, nothing else: no proxy and no kubeconfig of the user's reaches it.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub(crate) fn start<A: AsRef<OsStr>>(
        guard: &Guard,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(String, String)],
        log: PathBuf,
    ) -> Self {
        let output = OpenOptions::new().create(true).append(true).open(&log);
        let output = output.unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let errors = output.try_clone().unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let mut command = Command::new(program);
        command.args(arguments).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(output).stderr(errors).current_dir(guard.folder());
        let child = guard.adopt(&mut command).spawn().unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        Self { child, log }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|e| panic!("{}: {e}", self.log.display()))
    }

    /// Sends it a signal, unless it has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_some() {
            return;
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("process ids are positive");
        // It is not reaped yet, so the id is still its own.
        kill_process(pid, signal).unwrap_or_else(|e| panic!("{}: {e}", self.log.display()));
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Everything it said so far, and what ran under the same name before it.
    pub(crate) fn log(&self) -> String {
        read_log(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A log file as text; empty if it is not there.
pub(crate) fn read_log(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The last lines of a log, for the text of a panic.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
