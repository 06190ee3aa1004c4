//! One run of a program, measured from outside.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The chore by which this program starts another one to learn its peak memory.
pub const PEAK: &str = "peak-of";

/// A program with its arguments and its folder. Nothing of the caller's environment reaches it.
#[derive(Clone, Debug)]
pub struct Call {
    program: PathBuf,
    arguments: Vec<OsString>,
    folder: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// From the start of the process to its end.
    pub wall: Duration,
    /// Processor time of the process, in user mode and in the kernel, over all its threads.
    pub cpu: Duration,
}

impl Call {
    /// A call without arguments in this folder.
    pub fn new(program: impl AsRef<Path>, folder: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: vec![],
            folder: folder.as_ref().to_owned(),
            environment: vec![],
        }
    }

    /// The same call with further arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// The same call with a variable in its environment.
    pub fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    /// Runs it; any end but 0 is an error that holds what it said.
    pub fn run(&self) -> Result<Cost> {
        self.run_for(0)
    }

    /// Runs it; any end but with this code is an error.
    pub fn run_for(&self, code: i32) -> Result<Cost> {
        let mut said = tempfile::tempfile()?;
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(said.try_clone()?);
        let cpu = children_cpu()?;
        let start = Instant::now();
        let status = command.spawn().and_then(|mut child| child.wait());
        let wall = start.elapsed();
        let status = status.with_context(|| self.program.display().to_string())?;
        let cost = Cost { wall, cpu: children_cpu()?.saturating_sub(cpu) };
        if status.code() != Some(code) {
            let mut text = String::new();
            said.rewind()?;
            said.read_to_string(&mut text)?;
            bail!("{} {:?} in {}: {status}\n{text}", self.program.display(), self.arguments, self.folder.display());
        }
        Ok(cost)
    }

    /// Runs it in a fresh, small parent and gives its peak resident memory in KiB.
    ///
    /// The kernel counts the memory of whoever starts a process into that process's peak, so a large parent would be
    /// measured in its place.
    pub fn peak(&self) -> Result<u64> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(PEAK).arg(&self.program).args(&self.arguments);
        self.surroundings(&mut command);
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        self.surroundings(&mut command);
        command
    }

    fn surroundings(&self, command: &mut Command) {
        command.current_dir(&self.folder).stdin(Stdio::null()).env_clear();
        command.env("HOME", &self.folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }
}

/// The chore behind [`Call::peak`]: runs a program and prints its peak resident memory in KiB.
pub fn peak_of(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let program = arguments.next().context("which program?")?;
    let status: ExitStatus = Command::new(program).args(arguments).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{status}");
    crate::run::print(&children()?.max_rss().to_string())
}

fn children() -> Result<Usage> {
    Ok(getrusage(UsageWho::RUSAGE_CHILDREN)?)
}

/// Processor time of all children that have ended.
fn children_cpu() -> Result<Duration> {
    let usage = children()?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(microseconds)?))
}
