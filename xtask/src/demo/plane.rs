//! The control plane of the tour: a program of the crate of the cluster's tests, and what is said to it.
//!
//! It is a process of its own so that this program needs no client of Kubernetes.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// The program.
pub const PROGRAM: &str = "cluster-for-tour";

/// How often it is looked whether it has ended, and how many times.
const LOOK: (Duration, u32) = (Duration::from_millis(50), 200);

/// A running control plane.
///
/// Guarantees: when the value is dropped, or this process is gone in whatever way, all of its processes end.
pub struct Plane {
    child: Child,
    /// Closed when everything is to end.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    kubeconfig: PathBuf,
}

impl Plane {
    /// Starts it and waits until it serves. What it has to say goes to stderr.
    pub fn start(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| program.display().to_string())?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("it was given a pipe")?);
        let mut plane = Self { child, requests, answers, kubeconfig: PathBuf::new() };
        plane.kubeconfig = plane.answer("kubeconfig")?.into();
        Ok(plane)
    }

    /// The kubeconfig of its administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Starts the controller that is installed, waits until it is ready and gives its name.
    pub fn start_controller(&mut self) -> Result<String> {
        let requests = self.requests.as_mut().context("it has ended")?;
        writeln!(requests, "controller").context("the control plane has ended")?;
        self.answer("controller")
    }

    /// One field of its next answer, a line of JSON.
    fn answer(&mut self, field: &str) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).context("the control plane has ended; why is said above")?;
        let text = answer.get(field).and_then(Value::as_str);
        Ok(text.with_context(|| format!("an answer without {field}"))?.to_owned())
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        drop(self.requests.take());
        let (pause, times) = LOOK;
        for _ in 0..times {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(pause);
        }
        // Then what it started ends by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
