//! What the tests of outer layers stand on: a shop with two overlays, and objects that deploy it.

use super::*;
use crate::kustomize::{Files, Resolution, resolve};
use zeroize::Zeroizing;

pub(super) const FILE: &str = "base/db.sealed.yaml";
pub(super) const SEALED: &str = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\nspec: {encryptedData: {password: {value: x}}}\n";
pub(super) const POLICY: &str =
    "apiVersion: ageseal.dev/v1alpha1\nkind: Policy\nrules: [{paths: ['**'], recipients: [a], scopes: ['*/*']}]\n";

/// Files with the URLs of their repository.
pub(super) struct Ours(pub(super) std::collections::BTreeMap<String, Vec<u8>>, pub(super) Vec<String>);

impl Files for Ours {
    fn read(&self, path: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.0.get(path).cloned().map(Zeroizing::new)
    }

    fn is_file(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn is_folder(&self, path: &str) -> bool {
        Memory(self.0.clone()).is_folder(path)
    }

    fn paths(&self) -> Vec<String> {
        // As on a disk, where such folders are not walked.
        self.0.keys().filter(|path| !path.contains("vendor/") && !path.contains("link")).cloned().collect()
    }

    fn real(&self, path: &str) -> Option<String> {
        Memory(self.0.clone()).real(path)
    }

    fn links(&self) -> Vec<String> {
        // A file that says so is a link to one that reads the same.
        self.0.keys().filter(|path| path.contains("link")).cloned().collect()
    }

    fn remotes(&self) -> Vec<String> {
        self.1.clone()
    }
}

/// A base with a sealed document, two overlays, and what is added or replaced.
pub(super) fn shop(more: &[(&str, &str)]) -> Ours {
    let mut files = super::tree(&[
        ("base/kustomization.yaml", "resources: [db.sealed.yaml]\n"),
        (FILE, SEALED),
        ("overlays/prod/kustomization.yaml", "resources: [../../base]\nnamespace: shop-prod\nnamePrefix: p-\n"),
        ("overlays/test/kustomization.yaml", "resources: [../../base]\nnamespace: shop-test\n"),
    ]);
    files.0.extend(super::tree(more).0);
    Ours(files.0, Vec::new())
}

pub(super) fn ours(files: &[(&str, &str)]) -> Ours {
    Ours(super::tree(files).0, Vec::new())
}

/// A `Kustomization` of Flux: `path` is at its fifth line, the rest of the spec from the seventh on.
pub(super) fn flux(name: &str, path: &str, spec: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec:\n  path: {path}\n  sourceRef: {{kind: GitRepository, name: shop-source}}\n{spec}"
    )
}

pub(super) fn git_repository(name: &str, url: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, namespace: flux-system}}\nspec:\n  url: {url}\n"
    )
}

/// An Application of Argo CD: `path` is at its sixth line, the rest of the source from the seventh on.
pub(super) fn application(name: &str, path: &str, source: &str, spec: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  source:\n    path: {path}\n{source}{spec}"
    )
}

pub(super) fn resolved(files: &Ours) -> Resolution {
    resolve(files, &Options::default())
}

/// Where the sealed documents of the repository go: `root: namespace/name`.
pub(super) fn places(files: &Ours) -> Vec<String> {
    let resolution = resolved(files);
    let built = resolution.roots.iter().filter_map(|(root, built)| Some((root, built.as_ref().ok()?)));
    let objects = built.flat_map(|(root, build)| build.objects.iter().map(move |object| (root, object)));
    objects
        .filter(|(_, object)| object.kind == "SealedSecret")
        .map(|(root, object)| format!("{root}: {}/{}", object.namespace.as_deref().unwrap_or("-"), object.name))
        .collect()
}

/// The refusals of all roots, each once.
pub(super) fn refusals(files: &Ours) -> Vec<String> {
    let resolution = resolved(files);
    let mut found: Vec<String> = resolution.roots.values().filter_map(|built| built.as_ref().err()).map(code).collect();
    found.dedup();
    found
}
