//! What comes out: the objects of a built tree, where each is from, and the references to Secrets.

use std::collections::{BTreeMap, BTreeSet};

use super::files::is_within;
use super::refusal::Refusal;
use super::root::Root;

/// Which files a kustomization may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadRestriction {
    /// Those in its own folder or below: what `kustomize build` and `kubectl -k` do unless told otherwise.
    #[default]
    RootOnly,
    /// Any: `--load-restrictor LoadRestrictionsNone`, and what Flux does.
    None,
}

/// How to build.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Which files a kustomization may name.
    pub load_restriction: LoadRestriction,
    /// Whether a file that `resources` lists and that is not there yet is passed over, if its name says that it is one: a
    /// folder could bring configurations along. What a file would add changes the name and the namespace of no other object;
    /// kustomize itself builds nothing before it is there.
    pub pass_over_missing: bool,
}

impl Options {
    /// The same options, with another restriction.
    #[must_use]
    pub fn with_load_restriction(mut self, restriction: LoadRestriction) -> Self {
        self.load_restriction = restriction;
        self
    }

    /// The same options, for whoever works on a tree of which not every file is there yet.
    #[must_use]
    pub fn passing_over_missing(mut self) -> Self {
        self.pass_over_missing = true;
        self
    }
}

/// What a kustomization builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// Every object, in the order of the build.
    pub objects: Vec<Object>,
    /// Every place that names a Secret.
    pub references: Vec<Reference>,
    /// The Secrets that objects make once they are in a cluster, such as the one of a Certificate.
    pub made: Vec<Made>,
}

/// A Secret that another object makes in the cluster. Nothing is known of its data keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Made {
    /// Its namespace, if there is one.
    pub namespace: Option<String>,
    /// Its name, without a hash.
    pub name: String,
    /// Whether the name follows that of an object whose name gets a hash.
    pub hashed: bool,
}

/// One object of a built tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `apiVersion` as built.
    pub api_version: String,
    /// `kind` as built.
    pub kind: String,
    /// `metadata.namespace` as built.
    pub namespace: Option<String>,
    /// `metadata.name` as built, without the hash of the content.
    pub name: String,
    /// Whether kustomize adds a hash of the content to the name: `-` and ten characters.
    pub hashed: bool,
    /// Where it is written.
    pub source: Source,
    /// Namespace and name as they are written.
    pub original: (Option<String>, String),
    /// What was done to it on the way, in order.
    pub chain: Vec<Step>,
    /// The names of the data keys of a Secret, a SealedSecret or a ConfigMap, sorted. Never a value.
    pub keys: Vec<String>,
    /// Whether `immutable` is true.
    pub immutable: bool,
    /// The `type` of a Secret, or the one that a SealedSecret asks for.
    pub secret_type: Option<String>,
    /// The type that a SealedSecret asks for as it is written, before any patch: its own values are sealed for that one.
    pub written_type: Option<String>,
    /// Whether a SealedSecret adds its keys to a Secret that may have others: `spec.mode: Merge`.
    pub merges: bool,
}

/// Where an object is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The file, from the top of the repository.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// The place in the file.
    pub place: Place,
}

/// The place of an object in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A document.
    Document {
        /// Its number in the file, from 0, empty documents counted.
        document: usize,
        /// The indexes of the items that lead to it, if the document is a list.
        items: Vec<usize>,
    },
    /// An entry of a generator.
    Generator {
        /// The field, such as `secretGenerator`, or the kind of a generator in a file of its own.
        field: &'static str,
        /// The number of the entry, from 0.
        entry: usize,
    },
}

/// One thing that was done to an object on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// The file that says so, from the top of the repository.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// What was done, as it is written there: `namePrefix: p-`.
    pub what: String,
}

/// The object that a reference stands in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Referrer {
    /// `apiVersion` as built.
    pub api_version: String,
    /// `kind` as built.
    pub kind: String,
    /// `metadata.namespace` as built.
    pub namespace: Option<String>,
    /// `metadata.name` as built, without a hash.
    pub name: String,
}

/// A place that names a Secret, or one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The object that it stands in.
    pub from: Referrer,
    /// The field that holds the name: `spec.template.spec.containers[0].env[2].valueFrom.secretKeyRef.name`; for a key
    /// among the items of a volume, the field that holds the key: `spec.volumes[0].secret.items[1].key`.
    pub path: String,
    /// The namespace of the Secret, if there is one.
    pub namespace: Option<String>,
    /// The name of the Secret as built, without the hash.
    pub name: String,
    /// Whether the name is that of an object whose name gets a hash, and follows it.
    pub hashed: bool,
    /// The data key, if one is named.
    pub key: Option<String>,
    /// Whether the Secret, or the key, may be missing.
    pub optional: bool,
}

/// Everything that is built on its own in a repository: what outer layers deploy, and the kustomizations that neither they
/// nor others include.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// What each root builds.
    pub roots: BTreeMap<Root, Result<Build, Refusal>>,
    /// For each file that objects are written in: the root, and the index of the object in its build.
    pub index: BTreeMap<String, Vec<(Root, usize)>>,
    /// For each file of patches: the root, and the index of an object in its build that a patch of it changes.
    pub patched: BTreeMap<String, Vec<(Root, usize)>>,
    /// For each root that is refused: what it may read.
    pub refused: BTreeMap<Root, Reach>,
    /// For each root whose outer layer sets the namespace of what has none of its own, or of everything: the namespace, and
    /// the step that says so.
    pub namespaces: BTreeMap<Root, (String, Step)>,
}

/// What a root that is refused may read for its objects, itself and through all that it includes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The files that are listed.
    pub files: BTreeSet<String>,
    /// The folders of these kustomizations.
    pub folders: BTreeSet<String>,
    /// Folders of which it may read whatever is in them: their kustomization cannot be read, or they have none.
    pub unknown: BTreeSet<String>,
    /// The folders that it may begin at.
    pub starts: BTreeSet<String>,
}

impl Reach {
    /// Whether a file may be among what is read.
    pub fn may_read(&self, file: &str) -> bool {
        self.files.contains(file) || self.unknown.iter().any(|folder| is_within(file, folder))
    }
}

impl Resolution {
    /// The objects that are written in a file, with the root that builds each.
    pub fn of_file<'a>(&'a self, file: &str) -> impl Iterator<Item = (&'a Root, &'a Object)> {
        self.objects(self.index.get(file))
    }

    /// The objects that the patches in a file change, each with the root that builds it, as far as that is known.
    pub fn of_patch<'a>(&'a self, patch: &str) -> impl Iterator<Item = (&'a Root, &'a Object)> {
        self.objects(self.patched.get(patch))
    }

    fn objects<'a>(&'a self, at: Option<&'a Vec<(Root, usize)>>) -> impl Iterator<Item = (&'a Root, &'a Object)> {
        at.into_iter().flatten().filter_map(|(root, index)| {
            let build = self.roots.get(root)?.as_ref().ok()?;
            Some((root, build.objects.get(*index)?))
        })
    }

    /// The roots that may read a file and are refused.
    pub fn refusals_of<'a>(&'a self, file: &'a str) -> impl Iterator<Item = (&'a Root, &'a Refusal)> {
        let may_read = self.refused.iter().filter(move |(_, reach)| reach.may_read(file));
        may_read.filter_map(|(root, _)| Some((root, self.roots.get(root)?.as_ref().err()?)))
    }
}
