//! Where the real programs are, and how they are built when they are not there yet.

mod go;

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

/// The environment variable that names a folder of prebuilt programs.
pub const TOOLS_VARIABLE: &str = "AGESEAL_TEST_TOOLS";

/// The environment variable that names a folder with the programs of a control plane, as `setup-envtest` sets it.
pub const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// The oldest Go that the modules accept, as their `go` line says.
const GO: &str = "Go 1.26";

/// One program: its file name, the folder of its Go module below `tests/`, its package there, and whether
/// [`ASSETS_VARIABLE`] may bring it.
struct Program {
    name: &'static str,
    module: &'static str,
    package: &'static str,
    asset: bool,
}

macro_rules! programs {
    ($($(#[$doc:meta])* $function:ident = $name:literal, $module:literal, $package:literal $(, $asset:ident)?;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// If the program is neither in the folder that `AGESEAL_TEST_TOOLS` names nor can be built; the text says
        /// what to do.
        #[must_use]
        pub fn $function() -> &'static Path {
            static PATH: OnceLock<PathBuf> = OnceLock::new();
            PATH.get_or_init(|| {
                let asset = [$(stringify!($asset))?].contains(&"asset");
                let program = Program { name: $name, module: $module, package: $package, asset };
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
    /// The `kustomize` program as it was at 5.6.
    kustomize_5_6 = "kustomize-5.6", "tools-old", "sigs.k8s.io/kustomize/kustomize/v5";
    /// The `kubectl` program of the module, for the kustomize in it: that of `KUBEBUILDER_ASSETS` has another one.
    kubectl_with_kustomize = "kubectl", "tools", "k8s.io/kubernetes/cmd/kubectl";
    /// The `etcd` server; `KUBEBUILDER_ASSETS` may bring it.
    etcd = "etcd", "tools", "go.etcd.io/etcd/server/v3", asset;
    /// The Kubernetes API server; `KUBEBUILDER_ASSETS` may bring it.
    kube_apiserver = "kube-apiserver", "tools", "k8s.io/kubernetes/cmd/kube-apiserver", asset;
    /// The Kubernetes controller manager; `KUBEBUILDER_ASSETS` may bring it, though what fills that folder does not.
    kube_controller_manager = "kube-controller-manager", "tools", "k8s.io/kubernetes/cmd/kube-controller-manager", asset;
    /// The `kubectl` program; `KUBEBUILDER_ASSETS` may bring it.
    kubectl = "kubectl", "tools", "k8s.io/kubernetes/cmd/kubectl", asset;
    /// The independent implementation of the sealed format, in `tests/independent`.
    independent = "independent", "independent", ".";
    /// Lua as Argo CD runs it.
    glua = "glua", "lua", "github.com/yuin/gopher-lua/cmd/glua";
    /// The client of sealed-secrets, for figures.
    kubeseal = "kubeseal", "peers", "github.com/bitnami/sealed-secrets/cmd/kubeseal";
    /// The controller of sealed-secrets, for figures.
    sealed_secrets_controller = "sealed-secrets-controller", "peers", "github.com/bitnami/sealed-secrets/cmd/controller";
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
    if let Some(folder) = folder_of("CARGO_TARGET_DIR") {
        return folder;
    }
    let marked = env::current_exe().ok().and_then(|program| {
        program.ancestors().skip(1).find(|folder| folder.join("CACHEDIR.TAG").is_file()).map(Path::to_owned)
    });
    marked.unwrap_or_else(|| workspace_root().join("target"))
}

fn find_or_build(program: &Program) -> Result<PathBuf, String> {
    let file = format!("{}{}", program.name, env::consts::EXE_SUFFIX);
    if let Some(folder) = folder_of(TOOLS_VARIABLE) {
        let path = folder.join(file);
        if path.is_file() {
            return Ok(path);
        }
        return Err(format!(
            "{} is not there: put it into the folder that {TOOLS_VARIABLE} names, or unset {TOOLS_VARIABLE} and \
             install {GO} or newer",
            path.display()
        ));
    }
    let asset = folder_of(ASSETS_VARIABLE).filter(|_| program.asset).map(|folder| folder.join(&file));
    if let Some(path) = asset.filter(|path| path.is_file()) {
        return Ok(path);
    }
    let module = workspace_root().join("tests").join(program.module);
    let digest = digest(&module).map_err(|e| format!("{}: {e}", module.display()))?;
    let tools = target_directory().join("test-tools");
    let folder = tools.join(format!("{}-{digest}", program.module));
    let path = folder.join(&file);
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    // One builder at a time for all of them: a second one would only take memory from the first.
    let lock = File::create(tools.join("lock")).and_then(|file| file.lock().map(|()| file));
    let lock = lock.map_err(|e| format!("{}: {e}", tools.display()))?;
    let built = if path.is_file() { Ok(()) } else { go::build(program, &module, &path, &tools) };
    drop(lock);
    built.map(|()| path)
}

/// The folder that an environment variable names, seen from the workspace; none if it is not set or empty.
fn folder_of(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(|folder| workspace_root().join(folder))
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
    use std::process::Command;

    use super::*;

    #[test]
    fn the_workspace_root_holds_the_modules() {
        for module in ["tools", "tools-old", "independent", "lua", "peers"] {
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
