//! A scratch folder with a home of its own, and the program run in it: nothing of this machine reaches a test.
#![allow(dead_code, unused_imports, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod build;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub use ageseal_testkit::copy_tree;
pub use build::built;

/// A recipient of the plugin of [`Scratch::fake_plugin`].
pub const FAKE_RECIPIENT: &str = "age1fake1qypqx3dw5w3";
/// The identity for it.
pub const FAKE_IDENTITY: &str = "AGE-PLUGIN-FAKE-1QYPQXL03ZWV";

/// A folder that is gone after the test: `work` is where commands run, `home` is the user's.
pub struct Scratch {
    root: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// What a run left: its exit code and what it said.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub bytes: Vec<u8>,
}

impl Scratch {
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("ageseal-test-").tempdir().unwrap();
        for folder in ["work", "home", "config", "tmp", "bin"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self { root, env: Vec::new() }
    }

    /// The same scratch folder, with one more environment variable for every run.
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path below the folder in which commands run.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.work().join(name)
    }

    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// The folder that holds all of these: for files outside the repository.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// `XDG_CONFIG_HOME`.
    pub fn config(&self) -> PathBuf {
        self.root.path().join("config")
    }

    /// `TMPDIR`.
    pub fn tmp(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// A folder in PATH.
    pub fn bin(&self) -> PathBuf {
        self.root.path().join("bin")
    }

    /// Installs `age-plugin-fake`, an age plugin that wraps a key in nothing at all, for [`FAKE_RECIPIENT`] and
    /// [`FAKE_IDENTITY`]. Each run of it adds a line to the file that is given back.
    #[cfg(unix)]
    pub fn fake_plugin(&self) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let (plugin, log) = (self.bin().join("age-plugin-fake"), self.bin().join("runs"));
        fs::write(&plugin, include_str!("age-plugin-fake.sh").replace("@LOG@", log.to_str().unwrap())).unwrap();
        fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
        log
    }

    /// Writes a file below the folder, and the folders above it.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Runs `ageseal` with these arguments and an empty stdin.
    #[must_use = "assert something of it, if only `.ok()`"]
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        self.run_with(args, b"", &[])
    }

    /// Runs `ageseal` with these arguments, this stdin and these environment variables.
    #[must_use = "assert something of it, if only `.ok()`"]
    pub fn run_with<S: AsRef<OsStr>>(&self, args: &[S], stdin: &[u8], env: &[(&str, &str)]) -> Run {
        let mut command = assert_cmd::Command::from_std(self.command());
        command.args(args).envs(env.iter().copied()).write_stdin(stdin).timeout(Duration::from_secs(60));
        Run::of(command.output().unwrap())
    }

    /// Runs a line of shell in the folder, with `ageseal` in PATH.
    #[must_use = "assert something of it, if only `.ok()`"]
    pub fn shell(&self, script: &str) -> Run {
        let mut command = Command::new("sh");
        self.surround(&mut command);
        command.args(["-c", script]);
        let mut command = assert_cmd::Command::from_std(command);
        Run::of(command.timeout(Duration::from_secs(120)).output().unwrap())
    }

    /// The program, in the folder and with nothing of the caller's environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ageseal"));
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        let program = Path::new(env!("CARGO_BIN_EXE_ageseal")).parent().unwrap();
        command
            .current_dir(self.work())
            .env_clear()
            .env("PATH", format!("{}:{}:/usr/local/bin:/usr/bin:/bin", self.bin().display(), program.display()))
            .env("HOME", self.home())
            .env("XDG_CONFIG_HOME", self.config())
            .env("TMPDIR", self.tmp())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C.UTF-8")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
    }

    /// Every file below the folder by its path, with its bytes; a folder without files and a link are there by name.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        let mut tree = BTreeMap::new();
        for entry in walkdir::WalkDir::new(self.work()).min_depth(1) {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(self.work()).unwrap().to_string_lossy().into_owned();
            if entry.file_type().is_file() {
                tree.insert(name, fs::read(entry.path()).unwrap());
            } else if entry.file_type().is_symlink() {
                let end = fs::read_link(entry.path()).unwrap();
                tree.insert(format!("{name} -> {}", end.display()), Vec::new());
            } else if fs::read_dir(entry.path()).unwrap().next().is_none() {
                tree.insert(format!("{name}/"), Vec::new());
            }
        }
        tree
    }

    /// The names of [`Scratch::tree`].
    pub fn names(&self) -> Vec<String> {
        self.tree().into_keys().collect()
    }

    /// Makes an identity `NAME.txt` in the folder and gives back its recipient.
    pub fn identity(&self, name: &str) -> String {
        let file = format!("{name}.txt");
        self.run(&["keygen", "-q", "-o", &file]).ok().stdout.trim().to_owned()
    }
}

impl Run {
    fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }

    /// The same run, which ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exit(0)
    }

    /// The same run, which ended with this code.
    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n-- stdout\n{}\n-- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// The same run, which said this on stderr.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr lacks {text:?}:\n{}", self.stderr);
        self
    }

    /// The same run, neither of whose streams holds this.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text) && !self.stdout.contains(text), "{text:?} was said:\n{self:?}");
        self
    }
}
