//! Which files a command works on: the ones that were named, and the YAML and JSON below the folders that were named.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use ageseal::check::{left_over, second_folder};
use ageseal::kustomize::NOT_WALKED;
use walkdir::{DirEntry, WalkDir};

use super::read::{is_stdin, special};
use crate::error::{CliError, Errors, io_fact};

/// The files to work on.
#[derive(Debug, Default)]
pub struct Walk {
    /// The files, sorted, each once; `-` comes first if it was named.
    pub files: Vec<PathBuf>,
    /// What else is below the folders, and tells something by its name alone; sorted.
    pub names: Vec<PathBuf>,
}

/// Lists the files for these paths.
///
/// A named file is taken whatever its extension; below a named folder only `.yaml`, `.yml` and `.json` files are, also
/// those that git ignores. Never entered below a named folder: `.git`, `target`, `node_modules`, `vendor`, and the
/// `templates` of a Helm chart, which are not YAML. Symbolic links are not followed: below a folder they are passed
/// over, and a named one is an error that says where it leads.
///
/// Folders, links and files that are told by their name ([`second_folder`], [`left_over`]) are listed apart, whatever they are.
///
/// Errors: all that is wrong with the paths at once.
pub fn walk(paths: &[PathBuf]) -> Result<Walk, Errors> {
    let mut found = Found::default();
    let mut walk = Walk::default();
    let mut errors = Vec::new();
    for path in paths {
        if is_stdin(path) {
            if walk.files.is_empty() {
                walk.files.push(path.clone());
            }
            continue;
        }
        match fs::symlink_metadata(path) {
            Err(error) => errors.push(CliError::input(io_fact(&error)).path(path)),
            Ok(meta) if meta.is_symlink() => errors.push(symlink(path)),
            Ok(meta) if meta.is_file() => {
                found.files.insert(plain(path));
            }
            Ok(meta) if meta.is_dir() => below(path, &mut found, &mut errors),
            Ok(meta) => {
                let what = special(meta.file_type());
                errors.push(CliError::input(format!("this is {what}, not a file or a folder")).path(path));
            }
        }
    }
    Errors::none_or(errors)?;
    walk.files.extend(found.files);
    walk.names.extend(found.names);
    Ok(walk)
}

#[derive(Default)]
struct Found {
    files: BTreeSet<PathBuf>,
    names: BTreeSet<PathBuf>,
}

fn below(root: &Path, found: &mut Found, errors: &mut Vec<CliError>) {
    let entries = WalkDir::new(root).follow_links(false).into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_skipped(entry)) {
        if let Ok(entry) = &entry
            && entry.file_name().to_str().is_some_and(tells)
        {
            found.names.insert(plain(entry.path()));
        }
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_ours(entry.path()) => {
                found.files.insert(plain(entry.path()));
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                let cause = error.io_error().map_or_else(|| error.to_string(), io_fact);
                errors.push(CliError::input("the folder cannot be read").path(&path).cause(cause));
            }
        }
    }
}

/// Whether a name alone says what is to be told.
fn tells(name: &str) -> bool {
    second_folder(name).is_some() || left_over(name).is_some()
}

fn is_ours(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ["yaml", "yml", "json"].iter().any(|ours| ext.eq_ignore_ascii_case(ours)))
}

pub(super) fn is_skipped(entry: &DirEntry) -> bool {
    if !entry.file_type().is_dir() {
        return false;
    }
    match entry.file_name().to_str() {
        Some(name) if name == ".git" || NOT_WALKED.contains(&name) => true,
        Some("templates") => entry.path().parent().is_some_and(|chart| chart.join("Chart.yaml").is_file()),
        _ => false,
    }
}

fn symlink(path: &Path) -> CliError {
    let error = CliError::input("this is a symbolic link, which is not followed");
    match fs::canonicalize(path) {
        Ok(end) => error
            .path_detail(path, format!("leads to {}", end.display()))
            .hint("name the file or folder that it leads to"),
        Err(_) => error.path_detail(path, "leads to nothing"),
    }
}

/// The same path without `./`, so that one file has one name.
fn plain(path: &Path) -> PathBuf {
    let short: PathBuf = path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
    if short.as_os_str().is_empty() { path.to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a: 1\n").unwrap();
        }
        dir
    }

    fn names(dir: &tempfile::TempDir, paths: &[&str]) -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(|path| dir.path().join(path)).collect();
        let walk = walk(&paths).unwrap();
        walk.files.iter().map(|file| file.strip_prefix(dir.path()).unwrap().display().to_string()).collect()
    }

    #[test]
    fn folders_give_yaml_and_json_sorted_and_without_what_is_not_ours() {
        let dir = tree(&[
            ".gitignore",
            "b.yaml",
            "a.YML",
            "c.json",
            "d.txt",
            ".git/x.yaml",
            ".github/w.yaml",
            "target/x.yaml",
            "sub/node_modules/x.yaml",
            "sub/vendor/x.yaml",
            "sub/e.yaml",
            "templates/f.yaml",
            "chart/Chart.yaml",
            "chart/templates/x.yaml",
            "chart/values.yaml",
        ]);
        assert_eq!(
            names(&dir, &[""]),
            [
                ".github/w.yaml",
                "a.YML",
                "b.yaml",
                "c.json",
                "chart/Chart.yaml",
                "chart/values.yaml",
                "sub/e.yaml",
                "templates/f.yaml"
            ]
        );
    }

    #[test]
    fn what_is_named_is_taken_once_whatever_it_is_called() {
        let dir = tree(&["secret.txt", "vendor/x.yaml", "a/b.yaml"]);
        assert_eq!(
            names(&dir, &["secret.txt", "./vendor", "vendor/x.yaml", "a", "a/./b.yaml"]),
            ["a/b.yaml", "secret.txt", "vendor/x.yaml"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_passed_over_below_a_folder_and_refused_by_name() {
        let dir = tree(&["real/a.yaml"]);
        std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("real/a.yaml"), dir.path().join("b.yaml")).unwrap();
        assert_eq!(names(&dir, &[""]), ["real/a.yaml"]);
        let errors = walk(&[dir.path().join("link"), dir.path().join("none")]).unwrap_err();
        let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(messages, ["this is a symbolic link, which is not followed", "there is no such file or folder"]);
        let detail = errors.iter().next().unwrap().places[0].detail.clone().unwrap();
        assert!(detail.starts_with("leads to ") && detail.ends_with("/real"), "{detail}");
    }
}
