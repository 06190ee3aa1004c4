//! Where the real programs are, and how they are built when they are not there yet.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

/// The environment variable that names a folder of prebuilt programs.
pub const TOOLS_VARIABLE: &str = "AGESEAL_TEST_TOOLS";

/// The oldest Go that the modules accept, as their `go` line says.
const GO: &str = "Go 1.26";

/// One program: its file name, the folder of its Go module below `tests/`, and its package there.
struct Program {
    name: &'static str,
    module: &'static str,
    package: &'static str,
}

macro_rules! programs {
    ($($(#[$doc:meta])* $function:ident = $name:literal, $module:literal, $package:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// If the program is neither in the folder that `AGESEAL_TEST_TOOLS` names nor can be built; the text says
        /// what to do.
        #[must_use]
        pub fn $function() -> &'static Path {
            static PATH: OnceLock<PathBuf> = OnceLock::new();
            PATH.get_or_init(|| {
                let program = Program { name: $name, module: $module, package: $package };
                find_or_build(&program).unwrap_or_else(|message| panic!("{message}"))
            })
        }
    )*};
}

programs! {
    /// The `age` program.
    age = "age", "tools", "filippo.io/age/cmd/age";
    /// The `age-keygen` program.
    age_keygen = "age-keygen", "tools", "filippo.io/age/cmd/age-keygen";
    /// The `kustomize` program.
    kustomize = "kustomize", "tools", "sigs.k8s.io/kustomize/kustomize/v5";
    /// The independent implementation of the sealed format, in `tests/independent`.
    independent = "independent", "independent", ".";
    /// The client of sealed-secrets, for figures.
    kubeseal = "kubeseal", "peers", "github.com/bitnami/sealed-secrets/cmd/kubeseal";
    /// SOPS, for figures.
    sops = "sops", "peers", "github.com/getsops/sops/v3/cmd/sops";
    /// The measure of RSA-4096 OAEP decryptions, for figures.
    rsa_oaep = "rsa-oaep", "peers", "./rsa-oaep";
}

/// The folder that holds the workspace's `Cargo.toml`.
#[must_use]
pub fn workspace_root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).unwrap_or(here);
        root.to_owned()
    })
}

/// The target directory of the build that runs this.
///
/// `CARGO_TARGET_DIR` if it is set; else the folder above the running program that Cargo marked with `CACHEDIR.TAG`
/// (right for a target directory that a Cargo configuration names); else `target` in the workspace.
#[must_use]
pub fn target_directory() -> PathBuf {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty()) {
        return workspace_root().join(folder);
    }
    let marked = env::current_exe().ok().and_then(|program| {
        program.ancestors().skip(1).find(|folder| folder.join("CACHEDIR.TAG").is_file()).map(Path::to_owned)
    });
    marked.unwrap_or_else(|| workspace_root().join("target"))
}

fn find_or_build(program: &Program) -> Result<PathBuf, String> {
    let file = format!("{}{}", program.name, env::consts::EXE_SUFFIX);
    if let Some(folder) = env::var_os(TOOLS_VARIABLE).filter(|value| !value.is_empty()) {
        let path = workspace_root().join(folder).join(file);
        if path.is_file() {
            return Ok(path);
        }
        return Err(format!(
            "{} is not there: put it into the folder that {TOOLS_VARIABLE} names, or unset {TOOLS_VARIABLE} and \
             install {GO} or newer",
            path.display()
        ));
    }
    let module = workspace_root().join("tests").join(program.module);
    let digest = digest(&module).map_err(|e| format!("{}: {e}", module.display()))?;
    let folder = target_directory().join("test-tools").join(format!("{}-{digest}", program.module));
    let path = folder.join(&file);
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    // One builder at a time for all of them: a second one would only take memory from the first.
    let lock = folder.with_file_name("lock");
    let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file));
    let lock = lock.map_err(|e| format!("{}: {e}", folder.display()))?;
    let built = if path.is_file() { Ok(()) } else { build(program, &module, &path) };
    drop(lock);
    built.map(|()| path)
}

/// Builds one program to a name of its own and renames it, so that what has the final name is always whole.
fn build(program: &Program, module: &Path, path: &Path) -> Result<(), String> {
    let partial = path.with_extension("partial");
    let output = Command::new("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"])
        .args([partial.as_os_str(), program.package.as_ref()])
        .current_dir(module)
        // The Go that is there, no C compiler, no workspace of the user's.
        .envs([("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0"), ("GOWORK", "off")])
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(format!(
                "this test runs the real program `{}`: install {GO} or newer, or set {TOOLS_VARIABLE} to a folder \
                 that holds it",
                program.name
            ));
        }
        Err(e) => return Err(format!("go: {e}")),
    };
    if !output.status.success() {
        return Err(format!(
            "`{}` did not build from {} (it needs {GO} or newer and, the first time, the Go modules); or set \
             {TOOLS_VARIABLE} to a folder that holds it. go build said:\n{}",
            program.name,
            module.display(),
            String::from_utf8_lossy(&output.stderr).trim_end()
        ));
    }
    fs::rename(&partial, path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Hex of SHA-256 over the names and contents of what the programs of a module are built from, 16 characters of it.
fn digest(module: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    collect(module, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    for file in &files {
        let content = fs::read(file)?;
        let name = file.strip_prefix(module).unwrap_or(file).to_string_lossy().replace('\\', "/");
        hash.update(format!("{name}\0{}\0", content.len()));
        hash.update(content);
    }
    Ok(hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing into a String has no error.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            collect(&path, files)?;
        } else if (name.ends_with(".go") && !name.ends_with("_test.go")) || name == "go.mod" || name == "go.sum" {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_root_holds_the_modules() {
        for module in ["tools", "independent", "peers"] {
            assert!(workspace_root().join("tests").join(module).join("go.mod").is_file(), "{module}");
        }
    }

    #[test]
    fn the_target_directory_is_the_one_that_this_test_was_built_in() {
        let program = env::current_exe().expect("the system knows it");
        assert!(program.starts_with(target_directory()), "{}", program.display());
    }

    #[test]
    fn age_and_its_keygen_run() {
        let version = Command::new(age()).arg("--version").output().expect("age starts");
        assert_eq!(String::from_utf8_lossy(&version.stdout).trim(), "v1.3.2");
        let identity = Command::new(age_keygen()).arg("-pq").output().expect("age-keygen starts");
        assert!(String::from_utf8_lossy(&identity.stdout).contains("AGE-SECRET-KEY-PQ-1"));
    }

    #[test]
    fn the_independent_implementation_runs() {
        let outcome = crate::run(independent(), ["open", "-"], "kind: ConfigMap");
        assert_eq!(outcome.code, Some(3), "{}", outcome.stderr_text());
        assert!(outcome.stdout_text().contains("\"reason\": \"Malformed\""), "{}", outcome.stdout_text());
    }

    #[test]
    fn the_digest_follows_the_sources() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("go.mod"), "module a").expect("written");
        let before = digest(folder.path()).expect("read");
        fs::write(folder.path().join("main_test.go"), "package main").expect("written");
        assert_eq!(before, digest(folder.path()).expect("read"));
        fs::write(folder.path().join("main.go"), "package main").expect("written");
        assert_ne!(before, digest(folder.path()).expect("read"));
    }
}
