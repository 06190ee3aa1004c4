//! This machine: its identity files, what may run, git.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::finding::{Area, Finding};
use crate::keys::identities::{CONTENT_VARIABLE, FILES_VARIABLE};
use crate::keys::{config_folder, plugins, shown_from_home};

const AREA: Area = Area::Machine;

pub(super) fn look() -> Vec<Finding> {
    let mut findings = vec![Finding::good(AREA, "version", format!("this is ageseal {}", env!("CARGO_PKG_VERSION")))];
    findings.push(core_files());
    findings.extend(identities());
    findings.extend(allowed_plugins());
    findings.extend(git());
    findings
}

#[cfg(unix)]
fn core_files() -> Finding {
    use rustix::process::{Resource, getrlimit};
    // What `main` asked for before anything else; a system may have refused.
    if getrlimit(Resource::Core).current == Some(0) {
        return Finding::good(AREA, "core-files", "this program writes no core file");
    }
    Finding::wrong(AREA, "core-files", "a crash of this program would write its memory to a core file")
        .mend("ulimit -c 0")
}

#[cfg(not(unix))]
fn core_files() -> Finding {
    Finding::unknown(
        AREA,
        "core-files",
        "whether a crash leaves a dump of the memory is for this system's settings to say",
    )
}

/// The identity files that are used by themselves, and who else can read them.
fn identities() -> Vec<Finding> {
    let mut findings = vec![];
    let mut files: Vec<PathBuf> = vec![];
    if let Some(list) = std::env::var_os(FILES_VARIABLE) {
        files.extend(std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()));
    }
    let folder = config_folder().map(|folder| folder.join("identities"));
    if let Some(Ok(entries)) = folder.as_ref().map(fs::read_dir) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.retain(|path| path.is_file());
    files.sort();
    files.dedup();
    let open: Vec<&PathBuf> = files.iter().filter(|path| others_can_read(path)).collect();
    findings.push(match (files.len(), open.as_slice()) {
        (0, _) => {
            Finding::note(AREA, "identity-files", "there is no identity file of yours; whoever only seals needs none")
                .mend("ageseal keygen")
        }
        (number, []) => Finding::good(
            AREA,
            "identity-files",
            format!("{number} identity file{}, readable by you alone", if number == 1 { "" } else { "s" }),
        ),
        (_, open) => {
            let names: Vec<_> = open.iter().map(|path| shown_from_home(path)).collect();
            let mend = format!("chmod 600 {}", names.join(" "));
            Finding::wrong(AREA, "identity-files", "other users of this machine can read private keys of yours")
                .list(names)
                .mend(mend)
        }
    });
    if std::env::var_os(CONTENT_VARIABLE).is_some_and(|value| !value.is_empty()) {
        findings.push(
            Finding::note(
                AREA,
                "identity-variable",
                format!("{CONTENT_VARIABLE} holds a private key: every program started from here gets it"),
            )
            .mend(format!("{FILES_VARIABLE}=FILE, or -i FILE, keeps it out of their environment")),
        );
    }
    findings
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_: &Path) -> bool {
    false
}

/// The plugins that a repository may make run here.
fn allowed_plugins() -> Vec<Finding> {
    let allowed = plugins::allowed();
    if allowed.is_empty() {
        return vec![Finding::good(AREA, "plugins", "no repository may make an age plugin run")];
    }
    let found = |name: &String| {
        let program = format!("age-plugin-{name}");
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).map(|folder| folder.join(&program)).find(|path| path.is_file())
    };
    let (there, missing): (Vec<_>, Vec<_>) =
        allowed.iter().map(|name| (name, found(name))).partition(|(_, path)| path.is_some());
    let mut findings = vec![];
    if !there.is_empty() {
        let lines = there.into_iter().filter_map(|(name, path)| Some(format!("{name}: {}", path?.display())));
        findings.push(
            Finding::note(AREA, "plugins", "a repository may make these age plugins run: you allowed it")
                .list(lines)
                .mend(format!(
                    "to take that back: {} in {}, and {}",
                    plugins::ALLOW_FILE,
                    config(),
                    plugins::ALLOW_VARIABLE
                )),
        );
    }
    if !missing.is_empty() {
        let lines = missing.into_iter().map(|(name, _)| format!("age-plugin-{name}"));
        findings.push(Finding::note(AREA, "plugins", "these age plugins are allowed, and are not in PATH").list(lines));
    }
    findings
}

fn config() -> String {
    config_folder().map_or_else(|| "your configuration folder".to_owned(), |folder| shown_from_home(&folder))
}

fn git() -> Vec<Finding> {
    let Some(version) = ask_git(&["--version"]) else {
        return vec![Finding::note(AREA, "git", "there is no git here: what is tracked or ignored cannot be told")];
    };
    let version = version.trim_start_matches("git version ").to_owned();
    let mut findings = vec![Finding::good(AREA, "git", format!("git {version}"))];
    if ask_git(&["config", "--get", "core.autocrlf"]).as_deref() == Some("true") {
        findings.push(
            Finding::note(
                AREA,
                "autocrlf",
                "git turns LF into CRLF in the working tree here, and back: core.autocrlf is true",
            )
            .detail("sealed files are exempt where .gitattributes says so; other YAML is not")
            .mend("git config --global core.autocrlf input"),
        );
    }
    findings
}

fn ask_git(arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).env_remove(CONTENT_VARIABLE);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
