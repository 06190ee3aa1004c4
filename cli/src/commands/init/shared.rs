//! The folders that overlays share: bases and components with Secrets in them, and the overlays that build each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ageseal::kustomize::{Files, NAMES, Options, Reach, reach};
use ageseal::manifest::{ObjectKind, could_hold_secret, objects};
use ageseal::yaml::Stream;

use crate::files::Tree;
use crate::shadow::may_generate;

/// How the files of Secrets are called, sealed and not: what is listed need not be there yet.
const NAMED: [&str; 2] = [".sealed.", ".secret."];

/// A folder outside of the overlays, with Secrets that they build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// From the top, its parts divided by `/`; empty for the top itself.
    pub path: String,
    /// The overlays that build it, by their number.
    pub overlays: BTreeSet<usize>,
}

/// Finds them, the inner ones before those around them, as the rules of a policy have to stand.
///
/// A folder below another one, with the same overlays, is left to the rule of that one. `all` are the folders of every
/// overlay, and `overlays` those to look at.
pub fn find(top: &Path, all: &[&str], overlays: &[&str]) -> Vec<Shared> {
    let tree = Tree::new(top, BTreeMap::new());
    let options = Options::default().passing_over_missing();
    let mut found: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (number, overlay) in overlays.iter().enumerate() {
        let reach = reach(&tree, overlay, &options);
        for folder in secret_folders(&tree, &reach).filter(|folder| !all.iter().any(|one| is_within(folder, one))) {
            found.entry(folder.to_owned()).or_default().insert(number);
        }
    }
    let mut shared: Vec<Shared> = Vec::new();
    for (path, overlays) in &found {
        let mut around = found.iter().filter(|(other, _)| *other != path && is_within(path, other));
        let nearest = around.next_back();
        // A rule is for all files below its folder, but at the top: that one would be for every path.
        if nearest.is_none_or(|(other, theirs)| theirs != overlays || other.is_empty()) {
            shared.push(Shared { path: path.clone(), overlays: overlays.clone() });
        }
    }
    shared.reverse();
    shared
}

/// The folders of kustomizations that list a Secret, sealed or not, or generate one.
fn secret_folders<'r>(tree: &'r Tree, reach: &'r Reach) -> impl Iterator<Item = &'r str> {
    let listed = reach.files.iter().filter(|file| is_secret(tree, file)).filter_map(|file| {
        let above = reach.folders.iter().filter(|folder| is_within(file, folder));
        above.max_by_key(|folder| folder.len())
    });
    let generating = reach.folders.iter().filter(|folder| {
        let slash = if folder.is_empty() { "" } else { "/" };
        NAMES.iter().any(|name| tree.read(&format!("{folder}{slash}{name}")).is_some_and(|bytes| may_generate(&bytes)))
    });
    listed.chain(generating).map(String::as_str)
}

fn is_secret(tree: &Tree, file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file).to_lowercase();
    if NAMED.iter().any(|part| name.contains(part)) {
        return true;
    }
    let Some(bytes) = tree.read(file).filter(|bytes| could_hold_secret(bytes)) else { return false };
    Stream::from_bytes(bytes.to_vec()).is_ok_and(|stream| {
        objects(&stream).any(|object| matches!(object.kind, ObjectKind::Secret | ObjectKind::SealedSecret))
    })
}

fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The folders with the numbers of their overlays, of trees where `overlays/0` and so on build what is named.
    fn found(overlays: &[&str], files: &[(&str, &str)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let paths: Vec<String> = (0..overlays.len()).map(|number| format!("overlays/{number}")).collect();
        for (path, text) in paths.iter().zip(overlays) {
            write(&format!("{path}/kustomization.yaml"), text);
        }
        files.iter().for_each(|(name, text)| write(name, text));
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let found = find(&fs::canonicalize(dir.path()).unwrap(), &paths, &paths);
        found.iter().map(|shared| format!("{} {:?}", shared.path, shared.overlays)).collect()
    }

    #[test]
    fn a_folder_counts_if_its_kustomization_has_secrets() {
        let both = ["resources: [../../base]\n", "resources: [../../base]\ncomponents: [../../parts/debug]\n"];
        let component =
            "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nresources: [debug.sealed.yaml]\n";
        let files = |base: &'static str, text: &'static str| {
            [("base/kustomization.yaml", base), ("base/x.yaml", text), ("parts/debug/kustomization.yaml", component)]
        };
        let (config, secret) = ("kind: ConfigMap\n", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n");
        let debug = "parts/debug {1}";
        assert_eq!(found(&both, &files("resources: [x.yaml]\n", config)), [debug]);
        assert_eq!(found(&both, &files("resources: [x.yaml]\n", secret)), [debug, "base {0, 1}"]);
        assert_eq!(found(&both, &files("resources: [in/db.sealed.yaml]\n", config)), [debug, "base {0, 1}"]);
        assert_eq!(found(&both, &files("secretGenerator: [{name: a}]\n", config)), [debug, "base {0, 1}"]);
        // What kustomize would refuse still says what it lists.
        assert_eq!(found(&both, &files("resources: [x.yaml]\nhelmCharts: []\n", secret)), [debug, "base {0, 1}"]);
    }

    #[test]
    fn inner_folders_have_a_rule_where_other_overlays_build_them() {
        let files = [
            ("base/kustomization.yaml", "resources: [db, web, db.sealed.yaml]\n"),
            ("base/db/kustomization.yaml", "resources: [a.sealed.yaml]\n"),
            ("base/web/kustomization.yaml", "resources: [b.sealed.yaml]\n"),
        ];
        assert_eq!(found(&["resources: [../../base]\n"], &files), ["base {0}"]);
        let two = ["resources: [../../base]\n", "resources: [../../base/db]\n"];
        assert_eq!(found(&two, &files), ["base/db {0, 1}", "base {0}"]);
    }

    #[test]
    fn overlays_have_their_own_rules_and_the_top_is_told_apart() {
        let files = [("kustomization.yaml", "resources: [a.sealed.yaml]\n"), ("overlays/1/x.sealed.yaml", "")];
        let two = ["resources: [../..]\n", "resources: [x.sealed.yaml, ../0]\n"];
        assert_eq!(found(&two, &files), [" {0, 1}"]);
        assert_eq!(found(&["resources: [../../../outside, https://example.com/x]\n"], &[]), Vec::<String>::new());
    }
}
