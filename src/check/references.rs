//! What the built trees show: references to Secrets that will not be there, Secrets that nobody uses, plaintext that is
//! deployed, kustomizations that stand in the way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Code, Context, FileReport, Finding, TreeFinding};
use crate::format::KIND;
use crate::kustomize::{Build, NAMES, Object, Place, Reference, Refusal, Resolution, Root};
use crate::policy::{POLICY_PATH, Policy};
use crate::problem::Location;

/// Tells what the builds of all roots show.
pub(super) fn check(context: &Context<'_>, reports: &[(&str, &FileReport)]) -> Vec<TreeFinding> {
    let Some(resolution) = context.resolution else { return Vec::new() };
    let sealed: BTreeSet<&str> =
        reports.iter().filter(|(_, report)| report.documents > 0).map(|(path, _)| *path).collect();
    let mut found = refusals(resolution, &sealed);
    found.extend(not_deployed(resolution, reports));
    let mut told = Told::default();
    for (root, build) in &resolution.roots {
        let Ok(build) = build else { continue };
        let ours = build.objects.iter().any(|object| is_sealed(object) && sealed.contains(object.source.file.as_str()));
        if ours {
            dangling(context, root, build, &mut told);
            unused(root, build, &mut told);
        }
        ships_plaintext(context, root, build, &mut told);
    }
    found.extend(told.findings());
    found
}

/// What is told: the file, the line, the code, the fact.
type Fact = (String, usize, Code, String);

/// A finding that several roots show is told once, with its hint and all of them.
#[derive(Default)]
struct Told<'a>(BTreeMap<Fact, (Option<String>, Vec<&'a Root>)>);

impl<'a> Told<'a> {
    fn say(&mut self, root: &'a Root, code: Code, object: &Object, line: String, hint: Option<String>) {
        let key = (object.source.file.clone(), object.source.line, code, line);
        self.0.entry(key).or_insert_with(|| (hint, Vec::new())).1.push(root);
    }

    fn findings(self) -> impl Iterator<Item = TreeFinding> {
        self.0.into_iter().map(|((path, line, code, text), (hint, roots))| {
            let roots: Vec<String> = roots.into_iter().map(Root::to_string).collect();
            let finding = Finding::new(code, Some(Location { line, column: 1 }), text).line(format!(
                "as {} {} it",
                super::few(&roots),
                if roots.len() == 1 { "builds" } else { "build" }
            ));
            TreeFinding { path, finding: Finding { hint, ..finding } }
        })
    }
}

fn is_sealed(object: &Object) -> bool {
    object.kind == KIND && object.api_version.starts_with("ageseal.dev/")
}

/// Kustomizations that may deploy sealed documents, and whose answer is not known.
fn refusals(resolution: &Resolution, sealed: &BTreeSet<&str>) -> Vec<TreeFinding> {
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for (root, reach) in &resolution.refused {
        let Some(Err(refusal)) = resolution.roots.get(root) else { continue };
        let first = sealed.iter().find(|file| reach.may_read(file)).copied();
        // What the policy says of a folder that is not there is wrong whatever lies elsewhere.
        if first.is_none() && refusal.file() != POLICY_PATH {
            continue;
        }
        if told.insert((refusal.file(), refusal.line(), refusal.reason().code)) {
            found.push(refused(root, refusal, first));
        }
    }
    found
}

fn refused(root: &Root, refusal: &Refusal, first: Option<&str>) -> TreeFinding {
    let code = if refusal.is_broken() { Code::KustomizationBroken } else { Code::KustomizationUnknown };
    let reason = refusal.reason();
    let at = Location { line: reason.line, column: 1 };
    let what = first.unwrap_or("what is in it");
    let mut finding =
        Finding::new(code, Some(at), reason.message.clone()).line(format!("where {root} deploys {what} is not known"));
    finding.hint.clone_from(&reason.hint);
    TreeFinding { path: reason.file.clone(), finding }
}

/// Files of sealed documents that nothing lists, where something above them could.
fn not_deployed(resolution: &Resolution, reports: &[(&str, &FileReport)]) -> Vec<TreeFinding> {
    let folders: BTreeSet<&str> = resolution.roots.keys().map(|root| &*root.folder).collect();
    let above = |path: &str| {
        let mut folder = path;
        std::iter::from_fn(|| {
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
            Some(folder)
        })
        .take(path.split('/').count())
        .any(|folder| folders.contains(folder))
    };
    let mut found = Vec::new();
    for (path, report) in reports {
        let whole = report.documents > report.patches.len();
        let unknown = resolution.refusals_of(path).next().is_some();
        if !whole || unknown {
            continue;
        }
        let finding = match resolution.index.get(*path) {
            None if above(path) => Finding::new(Code::NotDeployed, None, format!("no {} lists it", NAMES[0]))
                .hint("add it to the resources of a kustomization, or delete it"),
            Some(roots) if has_layers(resolution) && roots.iter().all(|(root, _)| root.is_bare()) => {
                no_layer(resolution, roots.iter().map(|(root, _)| root))
            }
            _ => continue,
        };
        found.push(TreeFinding { path: (*path).to_owned(), finding });
    }
    found
}

/// Whether Flux or Argo CD deploys anything of the repository by objects that lie in it.
fn has_layers(resolution: &Resolution) -> bool {
    let mut layers = resolution.roots.keys().filter_map(|root| root.layer.as_ref());
    layers.any(|layer| layer.file != POLICY_PATH)
}

/// What only kustomizations build that no object of Flux or Argo CD names.
fn no_layer<'a>(resolution: &Resolution, roots: impl Iterator<Item = &'a Root>) -> Finding {
    let folders: BTreeSet<String> = roots.map(Root::to_string).collect();
    let folders: Vec<String> = folders.into_iter().collect();
    let line = format!("no object of Flux or Argo CD names {}", super::few(&folders));
    let mut finding = Finding::new(Code::NotDeployed, None, line);
    for (root, built) in &resolution.roots {
        if let Some(reason) = built.as_ref().err().map(Refusal::reason).filter(|reason| reason.code == "missing-path") {
            finding =
                finding.line(format!("{}:{} names {}, which is not there", reason.file, reason.line, root.folder));
        }
    }
    finding.hint("name its folder in one, or say under `deployed` in the policy how it is deployed")
}

/// The Secrets of a build, with their data keys; no keys where they are not known.
type Secrets<'b> = HashMap<(&'b str, &'b str, bool), Option<BTreeSet<&'b str>>>;

fn secrets(build: &Build) -> Secrets<'_> {
    let mut secrets = Secrets::new();
    for made in &build.made {
        secrets.insert((namespace(made.namespace.as_deref()), &made.name, made.hashed), None);
    }
    for object in &build.objects {
        let plain = object.kind == "Secret" && object.api_version == "v1";
        if !plain && !is_sealed(object) {
            continue;
        }
        // The cluster adds to a token of a service account; a Secret that is merged into has keys of others.
        let open = object.merges || object.secret_type.as_deref() == Some(SERVICE_ACCOUNT_TOKEN);
        let keys = object.keys.iter().map(String::as_str);
        let entry = secrets
            .entry((namespace(object.namespace.as_deref()), &object.name, object.hashed))
            .or_insert_with(|| Some(BTreeSet::new()));
        match entry {
            Some(known) if !open => known.extend(keys),
            _ => *entry = None,
        }
    }
    secrets
}

/// An empty namespace is the same as `default`, as kustomize compares them.
fn namespace(namespace: Option<&str>) -> &str {
    namespace.unwrap_or("default")
}

fn dangling<'a>(context: &Context<'_>, root: &'a Root, build: &'a Build, told: &mut Told<'a>) {
    let secrets = secrets(build);
    for reference in build.references.iter().filter(|reference| !reference.optional && !is_external(reference, context))
    {
        let Some((fact, hint)) = missing(reference, &secrets) else { continue };
        let Some(object) = referrer(build, reference) else { continue };
        let line = format!("{}/{}: {} names {fact}", object.kind.to_lowercase(), object.name, reference.path);
        told.say(root, Code::DanglingReference, object, line, Some(hint));
    }
}

fn is_external(reference: &Reference, context: &Context<'_>) -> bool {
    let space = namespace(reference.namespace.as_deref());
    let patterns = context.policy.map_or_else(Default::default, Policy::external);
    patterns.iter().any(|pattern| pattern.matches(space, &reference.name))
}

/// What a reference names that will not be there, and the next step.
fn missing(reference: &Reference, secrets: &Secrets<'_>) -> Option<(String, String)> {
    let space = namespace(reference.namespace.as_deref());
    match secrets.get(&(space, reference.name.as_str(), reference.hashed)) {
        None => {
            let others = secrets.keys().filter(|(other, ..)| *other == space).map(|(_, name, _)| *name);
            let near = others.map(|name| (strsim::damerau_levenshtein(name, &reference.name), name)).min();
            let hint = match near.filter(|(distance, _)| *distance <= 2) {
                Some((_, near)) => format!("did you mean {near}? Else {MISSING}"),
                None => MISSING.to_owned(),
            };
            Some((format!("the Secret {}, which nothing in the same build makes", name(reference)), hint))
        }
        Some(Some(keys)) => {
            let key = reference.key.as_deref().filter(|key| !keys.contains(key))?;
            let keys: Vec<&str> = keys.iter().copied().collect();
            let hint = format!("it has {}; set the key, or mark the reference optional: true", super::few(&keys));
            Some((format!("the key {key} of the Secret {}", name(reference)), hint))
        }
        Some(None) => None,
    }
}

const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";
const BOOTSTRAP_TOKEN: &str = "bootstrap.kubernetes.io/token";
const MISSING: &str =
    "add it to the resources, mark the reference optional: true, or list it under `external` in the policy";

fn name(reference: &Reference) -> String {
    match &reference.namespace {
        Some(namespace) => format!("{namespace}/{}", reference.name),
        None => reference.name.clone(),
    }
}

fn referrer<'a>(build: &'a Build, reference: &Reference) -> Option<&'a Object> {
    let from = &reference.from;
    build.objects.iter().find(|object| {
        object.kind == from.kind
            && object.name == from.name
            && object.namespace == from.namespace
            && object.api_version == from.api_version
    })
}

fn unused<'a>(root: &'a Root, build: &'a Build, told: &mut Told<'a>) {
    // Where nothing names any Secret, what does is deployed from elsewhere.
    if build.references.is_empty() {
        return;
    }
    let used: BTreeSet<(&str, &str)> = build
        .references
        .iter()
        .map(|reference| (namespace(reference.namespace.as_deref()), reference.name.as_str()))
        .collect();
    for object in build.objects.iter().filter(|object| is_sealed(object)) {
        // The cluster itself uses Secrets of these types.
        let acts = matches!(object.secret_type.as_deref(), Some(SERVICE_ACCOUNT_TOKEN | BOOTSTRAP_TOKEN));
        if !acts && !used.contains(&(namespace(object.namespace.as_deref()), object.name.as_str())) {
            told.say(root, Code::Unused, object, format!("{}: no object names its Secret", object.name), None);
        }
    }
}

/// A source of sealed files that a kustomization lists itself: what is in the cluster is not what git says.
fn ships_plaintext<'a>(context: &Context<'_>, root: &'a Root, build: &'a Build, told: &mut Told<'a>) {
    for object in &build.objects {
        let document = matches!(object.source.place, Place::Document { .. });
        let plain = object.kind == "Secret" && object.api_version == "v1" && document;
        let allowed = context.policy.is_some_and(|policy| policy.allowed(&object.source.file).is_some());
        if !plain || allowed || !is_secret_file(&object.source.file) {
            continue;
        }
        let listed = object.chain.first().map_or_else(String::new, |step| format!("{}:{} ", step.file, step.line));
        let line = format!("{listed}lists it, and its plaintext is deployed as it stands");
        let hint = format!("ageseal seal --wire {}", object.source.file);
        told.say(root, Code::ShipsPlaintext, object, line, Some(hint));
    }
}

/// Whether a file is named as one that is sealed into another: `db.secret.yaml`.
fn is_secret_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    [".secret.yaml", ".secret.yml", ".secret.json"].iter().any(|ending| name.ends_with(ending))
}
