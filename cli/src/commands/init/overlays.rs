//! The overlays of a tree, and the namespace that each kustomization gives, or what deploys its folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ageseal::kustomize::{NOT_WALKED, Options, Reach, Resolution, Root, Step, resolve};
use ageseal::manifest::names::namespace_fault;
use ageseal::policy::is_name;
use ageseal::yaml::Stream;
use walkdir::{DirEntry, WalkDir};

use super::recovery::RECOVERY;
use crate::files::{self, Want};
use crate::repository::FOLDER;

/// The folders whose folders are one a cluster or environment.
const GROUPS: [&str; 4] = ["clusters", "environments", "envs", "overlays"];

/// The names that kustomize takes for its file.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What was found in a tree.
#[derive(Debug, Default)]
pub struct Tree {
    /// The overlays that a rule can be written for, in the order of their paths.
    pub overlays: Vec<Overlay>,
    /// The ones that no rule can be written for, or that cannot be read, and why.
    pub left_out: Vec<(PathBuf, String)>,
    /// Policies below the top.
    pub second: Vec<PathBuf>,
}

/// A folder of what goes to one cluster or environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// From the top, its parts divided by `/`.
    pub path: String,
    /// Its own name, which is also the name of its recipients.
    pub name: String,
    /// The namespace that its kustomization gives, or what deploys it; or why there is none.
    pub namespace: Result<Said, String>,
}

/// A namespace, and who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The namespace.
    pub namespace: String,
    /// The file, from the top.
    pub file: String,
    /// The field there.
    pub field: String,
}

/// Looks through the tree below a folder; links and other repositories are not entered.
pub fn find(top: &Path) -> Tree {
    let mut tree = Tree::default();
    let mut last: Option<PathBuf> = None;
    let mut second = vec![];
    let walk = WalkDir::new(top).sort_by_file_name().into_iter().filter_entry(|entry| {
        if entry.depth() > 1 && entry.file_name() == FOLDER {
            second.push(entry.path().to_owned());
        }
        entry.depth() == 0 || is_entered(entry)
    });
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(top).to_owned();
                tree.left_out.push((path, "this folder cannot be read".to_owned()));
                continue;
            }
        };
        let inside = last.as_ref().is_some_and(|last| entry.path().starts_with(last));
        if inside || !entry.file_type().is_dir() || entry.depth() < 2 || !is_in_group(entry.path()) {
            continue;
        }
        last = Some(entry.path().to_owned());
        match overlay(top, entry.path()) {
            Ok(overlay) => tree.overlays.push(overlay),
            Err(reason) => tree.left_out.push((entry.path().to_owned(), reason)),
        }
    }
    tree.second = second;
    let resolution = resolve(&files::Tree::new(top, BTreeMap::new()), &Options::default().passing_over_missing());
    for overlay in &mut tree.overlays {
        if let Some(namespace) = deployed(&resolution, &overlay.path) {
            overlay.namespace = namespace;
        }
    }
    tree
}

/// The namespace that Flux or Argo CD sets for a folder, and where; nothing if none is known to deploy it, or sets one.
fn deployed(resolution: &Resolution, path: &str) -> Option<Result<Said, String>> {
    let means = |root: &Root, reach: &Reach| !root.is_bare() && reach.starts.contains(path);
    let refused = resolution.refused.iter().find(|(root, reach)| means(root, reach));
    if let Some(refusal) = refused.and_then(|(root, _)| resolution.roots.get(root)?.as_ref().err()) {
        return Some(Err(refusal.to_string()));
    }
    let said = resolution.namespaces.iter().filter(|(root, _)| &*root.folder == path);
    let said: BTreeMap<&String, &Step> = said.map(|(_, (namespace, step))| (namespace, step)).collect();
    let (namespace, step) = said.first_key_value()?;
    if said.len() > 1 {
        let all: Vec<&str> = said.keys().map(|namespace| namespace.as_str()).collect();
        return Some(Err(format!("it is deployed into several namespaces: {}", all.join(", "))));
    }
    let field = step.what.split(':').next().unwrap_or_default().to_owned();
    Some(match namespace_fault(namespace) {
        None => Ok(Said { namespace: (*namespace).clone(), file: step.file.clone(), field }),
        Some(fault) => Err(format!("{}:{}: this is not a namespace: {fault}", step.file, step.line)),
    })
}

fn is_entered(entry: &DirEntry) -> bool {
    if !entry.file_type().is_dir() {
        return true;
    }
    let skipped = |name: &str| name.starts_with('.') || NOT_WALKED.contains(&name);
    !entry.file_name().to_str().is_some_and(skipped) && entry.path().join(".git").symlink_metadata().is_err()
}

fn is_in_group(path: &Path) -> bool {
    let parent = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    parent.is_some_and(|parent| GROUPS.contains(&parent))
}

fn overlay(top: &Path, folder: &Path) -> Result<Overlay, String> {
    let parts: Option<Vec<&str>> =
        folder.strip_prefix(top).unwrap_or(folder).iter().map(|part| part.to_str()).collect();
    let Some((path, name)) = parts.and_then(|parts| Some((parts.join("/"), (*parts.last()?).to_owned()))) else {
        return Err("its path is not UTF-8".to_owned());
    };
    if path.contains('\\') {
        return Err("its path has a backslash, which no rule can name".to_owned());
    }
    if !is_name(&name) {
        return Err("its name is no name of recipients: those have a-z, 0-9 and - only".to_owned());
    }
    if name == RECOVERY {
        return Err("its name is the one of the recovery recipient".to_owned());
    }
    let namespace = namespace(folder).map(|(namespace, file)| Said {
        namespace,
        file: format!("{path}/{file}"),
        field: "namespace".to_owned(),
    });
    Ok(Overlay { path, name, namespace })
}

fn namespace(folder: &Path) -> Result<(String, &'static str), String> {
    let file = KUSTOMIZATIONS.into_iter().find(|file| folder.join(file).is_file());
    let file = file.ok_or_else(|| "it has no kustomization.yaml".to_owned())?;
    let bytes =
        files::read(&folder.join(file), Want::DOCUMENT).map_err(|error| format!("{file}: {}", error.message))?;
    let stream = Stream::from_bytes(bytes).map_err(|error| {
        let at = error.location().map_or_else(String::new, |at| format!(":{at}"));
        format!("{file}{at}: {error}")
    })?;
    let root = stream.documents().find_map(|document| document.root());
    let node = root.and_then(|root| root.get("namespace")).filter(|node| !node.is_null());
    let node = node.ok_or_else(|| format!("its {file} has no namespace"))?;
    match node.as_string() {
        Some(namespace) if namespace_fault(namespace).is_none() => Ok((namespace.to_owned(), file)),
        _ => Err(format!("{file}:{}: this is not a namespace", node.location())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let tree = find(dir.path());
        (dir, tree)
    }

    fn shown(tree: &Tree) -> Vec<String> {
        let namespace = |overlay: &Overlay| match &overlay.namespace {
            Ok(said) => format!("{} {} {}: {}", overlay.path, said.namespace, said.file, said.field),
            Err(reason) => format!("{}: {reason}", overlay.path),
        };
        tree.overlays.iter().map(namespace).collect()
    }

    #[test]
    fn overlays_are_found_wherever_they_lie() {
        let (_dir, tree) = tree(&[
            ("overlays/prod/kustomization.yaml", "namespace: shop-prod\n"),
            ("overlays/prod/overlays/inner/a", ""),
            ("apps/a/envs/test/kustomization.yml", "# x\nnamespace: \"t\"\r\n"),
            ("clusters/eu/a", ""),
            ("overlays/file.yaml", "a: b\n"),
            ("base/kustomization.yaml", "namespace: no\n"),
            ("node_modules/x/overlays/a/b", ""),
            (".hidden/overlays/a/b", ""),
            ("sub/.git", "gitdir: elsewhere"),
            ("sub/overlays/a/b", ""),
        ]);
        assert_eq!(
            shown(&tree),
            [
                "apps/a/envs/test t apps/a/envs/test/kustomization.yml: namespace",
                "clusters/eu: it has no kustomization.yaml",
                "overlays/prod shop-prod overlays/prod/kustomization.yaml: namespace",
            ]
        );
        assert_eq!(tree.second, Vec::<PathBuf>::new());
    }

    #[test]
    fn what_deploys_an_overlay_says_its_namespace() {
        let flux = |path: &str, namespace: &str| {
            format!(
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: x}}\nspec:\n  path: {path}\n  targetNamespace: {namespace}\n  sourceRef: {{kind: GitRepository, name: x}}\n"
            )
        };
        let plain = "resources: [db.sealed.yaml]\n";
        let argo = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: x}\nspec:\n  source: {path: overlays/f}\n  destination: {namespace: filled}\n";
        let (_dir, tree) = tree(&[
            ("flux/a.yaml", &flux("./overlays/a", "shop-a")),
            ("flux/b.yaml", &format!("{}---\n{}", flux("./overlays/b", "one"), flux("./overlays/b", "two"))),
            ("flux/c.yaml", &flux("./overlays/c", "${ns}")),
            ("flux/d.yaml", &flux("./overlays/d", "Shop")),
            ("argo.yaml", argo),
            ("overlays/a/kustomization.yaml", "namespace: own\nresources: [db.sealed.yaml]\n"),
            ("overlays/b/kustomization.yaml", plain),
            ("overlays/c/kustomization.yaml", plain),
            ("overlays/d/kustomization.yaml", plain),
            ("overlays/e/kustomization.yaml", plain),
            ("overlays/f/kustomization.yaml", plain),
        ]);
        let shown = shown(&tree);
        assert_eq!(shown[0], "overlays/a shop-a flux/a.yaml: targetNamespace");
        assert_eq!(shown[1], "overlays/b: it is deployed into several namespaces: one, two");
        assert!(shown[2].starts_with("overlays/c: flux/c.yaml:6: spec.targetNamespace holds ${"), "{}", shown[2]);
        assert!(shown[3].starts_with("overlays/d: flux/d.yaml:6: this is not a namespace"), "{}", shown[3]);
        assert_eq!(shown[4], "overlays/e: its kustomization.yaml has no namespace");
        assert_eq!(shown[5], "overlays/f filled argo.yaml: destination.namespace");
    }

    #[test]
    fn a_namespace_is_never_guessed() {
        let (_dir, tree) = tree(&[
            ("overlays/a/kustomization.yaml", "resources: []\n"),
            ("overlays/b/kustomization.yaml", "namespace: ${NS}\n"),
            ("overlays/c/kustomization.yaml", "namespace: 'x\n"),
            ("overlays/d/kustomization.yaml", "namespace: 123\n"),
            ("overlays/e/kustomization.yaml", "namespace:\n"),
            ("overlays/f/kustomization.yaml", ""),
        ]);
        let shown = shown(&tree);
        assert_eq!(shown[0], "overlays/a: its kustomization.yaml has no namespace");
        assert_eq!(shown[1], "overlays/b: kustomization.yaml:1:12: this is not a namespace");
        assert!(shown[2].starts_with("overlays/c: kustomization.yaml:"), "{}", shown[2]);
        assert_eq!(shown[3], "overlays/d: kustomization.yaml:1:12: this is not a namespace");
        assert_eq!(shown[4], "overlays/e: its kustomization.yaml has no namespace");
        assert_eq!(shown[5], "overlays/f: kustomization.yaml: the input is empty");
    }

    #[test]
    fn what_no_rule_can_name_is_left_out_and_a_second_policy_is_seen() {
        let (dir, tree) = tree(&[
            ("overlays/Prod_EU/a", ""),
            ("overlays/recovery/a", ""),
            ("overlays/ok/.ageseal/policy.yaml", ""),
            (".ageseal/policy.yaml", ""),
        ]);
        let left: Vec<_> = tree.left_out.iter().map(|(path, _)| path.file_name().unwrap()).collect();
        assert_eq!(left, ["Prod_EU", "recovery"]);
        assert_eq!(tree.second, [dir.path().join("overlays/ok/.ageseal")]);
    }
}
