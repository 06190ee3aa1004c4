//! Sealed documents where kustomize takes them: each scope against what every root makes of its document.

use super::{Code, Context, File, FileReport, Finding, few};
use crate::format::{DEFAULT_TYPE, KIND};
use crate::kustomize::{Resolution, Step, patches_on};
use crate::manifest::SealedManifest;
use crate::problem::Location;
use crate::rewrite::{DECIDING, Target};
use crate::scope::{Pattern, Scope};

/// What mends a patch: nobody needs a key that reads to write one anew.
const AGAIN: &str = "delete the patch and set its values again with ageseal set --for";

/// What is known of where a document is deployed.
pub(super) struct Known {
    /// What the kustomizations make of it that build.
    pub(super) targets: Vec<Target>,
    /// Whether there may be more: a kustomization that may deploy it is refused.
    pub(super) more: bool,
}

impl Known {
    /// Whether its own namespace and name are all there is to compare with.
    pub(super) fn is_nowhere(&self) -> bool {
        self.targets.is_empty() && !self.more
    }
}

/// What the kustomizations make of a document.
pub(super) fn known(file: File<'_>, manifest: &SealedManifest<'_>, context: &Context<'_>) -> Known {
    let (Some(path), Some(resolution), false) = (file.path, context.resolution, file.built) else {
        return Known { targets: Vec::new(), more: false };
    };
    if manifest.is_patch() {
        return patched(resolution, path, manifest);
    }
    let targets = Target::of_document(resolution, path, manifest.namespace.as_deref(), &manifest.name);
    Known { targets, more: resolution.refusals_of(path).next().is_some() }
}

/// What the kustomizations make of the document that a patch is for, in the roots that are built with the patch.
fn patched(resolution: &Resolution, path: &str, manifest: &SealedManifest<'_>) -> Known {
    let (targets, objects) = Target::of_patch(resolution, path, manifest.namespace.as_deref(), &manifest.name);
    // A root that is refused may be built with the patch as well.
    let unsure = objects.iter().any(|object| resolution.refusals_of(&object.source.file).next().is_some());
    Known { more: unsure || (targets.is_empty() && !resolution.refused.is_empty()), targets }
}

/// Holds the type that values are sealed for against that of the Secret that is built of them.
///
/// A patch that says its type gives it to what is built, so that its own values fit: then it is the values of its document
/// that do not, and both files are told.
pub(super) fn secret_type(
    file: File<'_>,
    manifest: &SealedManifest<'_>,
    context: &Context<'_>,
    report: &mut FileReport,
) {
    let (Some(path), Some(resolution), false) = (file.path, context.resolution, file.built) else { return };
    let (namespace, name, says) = (manifest.namespace.as_deref(), &manifest.name, &manifest.sealed.secret_type);
    let or_default = |text: &Option<String>| text.as_deref().unwrap_or(DEFAULT_TYPE).to_owned();
    let at = manifest.node.location();
    if !manifest.is_patch() {
        let Some((root, object)) = resolution.of_file(path).find(|(_, object)| {
            object.kind == KIND
                && object.original == (manifest.namespace.clone(), name.clone())
                && or_default(&object.secret_type) != *says
        }) else {
            return;
        };
        let built = or_default(&object.secret_type);
        let fact = format!("{name} is sealed for type {says}, and {root} builds it with type {built}");
        let mut finding = Finding::new(Code::TypeMismatch, Some(at), fact);
        for patch in patches_on(&object.chain) {
            finding = finding.line(format!("changed by {patch}"));
        }
        return report.say(finding.hint(format!("{AGAIN}, or undo the change of the type")));
    }
    let (_, objects) = Target::of_patch(resolution, path, namespace, name);
    let other = objects.into_iter().find_map(|object| {
        let types = [(&object.secret_type, "the Secret that is built"), (&object.written_type, "the document")];
        let other =
            types.into_iter().map(|(other, what)| (or_default(other), what)).find(|(other, _)| other != says)?;
        Some((object, other))
    });
    let Some((object, (other, what))) = other else { return };
    let fact = format!("the patch is sealed for type {says}, and {what} has type {other}");
    report.say(
        Finding::new(Code::TypeMismatch, Some(at), fact)
            .line(format!("it changes {}:{} {}", object.source.file, object.source.line, object.original.1))
            .hint(AGAIN),
    );
}

/// Holds a scope against every place that its document is deployed to.
pub(super) fn scope(
    file: File<'_>,
    manifest: &SealedManifest<'_>,
    scope: &Scope,
    known: &Known,
    whose: (Option<&[&str]>, Location),
    context: &Context<'_>,
    report: &mut FileReport,
) {
    let (targets, (keys, at)) = (&known.targets, whose);
    let what = keys.map_or_else(String::new, |keys| format!("{}: ", few(keys)));
    let exact: Vec<Option<Pattern>> = targets.iter().map(pattern).collect();
    for (target, exact) in targets.iter().zip(&exact) {
        let meant = match exact {
            Some(exact) => scope.patterns().iter().any(|pattern| pattern.covers(exact)),
            // Without a namespace the name is all that can be compared.
            None => scope.patterns().iter().any(|pattern| means_name(pattern, target)),
        };
        if meant {
            continue;
        }
        let mut finding = Finding::new(Code::ScopeMissing, Some(at), format!("{what}sealed for {scope}"))
            .line(format!("deployed as {}", target.shown()));
        for step in steps(target) {
            finding = finding.line(format!("{}:{} {}", step.file, step.line, step.what));
        }
        report.say(finding.hint(if manifest.is_patch() {
            format!("ageseal rescope {}; without a private key: {AGAIN}", file.shown)
        } else {
            format!("ageseal rescope {}, or undo the change there", file.shown)
        }));
    }
    if known.more {
        return;
    }
    // A pattern with a star was typed by somebody who meant more than what is here.
    let unused = scope.patterns().iter().filter(|pattern| {
        let starred = pattern.namespace_has_wildcard() || pattern.name().contains('*');
        let used = exact.iter().flatten().any(|exact| pattern.covers(exact));
        !starred && !used && exact.iter().all(Option::is_some)
    });
    for pattern in unused {
        let finding = Finding::new(Code::ScopeWider, Some(at), format!("{what}sealed for {pattern} as well"))
            .line(format!("deployed as {}", places(targets)))
            .hint(format!("ageseal rescope {}, unless another repository deploys it", file.shown));
        report.say(finding.strictly(context));
    }
}

fn pattern(target: &Target) -> Option<Pattern> {
    target.pattern(target.namespace.as_deref()?).ok()
}

/// Whether a pattern means the name of a target, whatever its namespace is.
fn means_name(pattern: &Pattern, target: &Target) -> bool {
    let any = pattern.namespace().replace('*', "x");
    target.pattern(&any).is_ok_and(|exact| pattern.covers(&exact))
}

/// The steps that decide on a name or a namespace; all of them, if none does.
fn steps(target: &Target) -> Vec<&Step> {
    const MORE: [&str; 4] = ["patches", "patchesJson6902", "replacements", "transformers"];
    let decides = |step: &&Step| {
        step.what.split(':').next().is_some_and(|field| DECIDING.contains(&field) || MORE.contains(&field))
    };
    let deciding: Vec<&Step> = target.chain.iter().filter(decides).collect();
    if deciding.is_empty() { target.chain.iter().collect() } else { deciding }
}

fn places(targets: &[Target]) -> String {
    let mut shown: Vec<String> = targets.iter().map(Target::shown).collect();
    shown.sort_unstable();
    shown.dedup();
    few(&shown)
}
