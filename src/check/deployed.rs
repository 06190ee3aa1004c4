//! Sealed documents where kustomize takes them: each scope against what every root makes of its document.

use super::{Code, Context, File, FileReport, Finding, Level, few};
use crate::format::KIND;
use crate::kustomize::{Object, Step};
use crate::manifest::SealedManifest;
use crate::problem::Location;
use crate::rewrite::Target;
use crate::scope::{Pattern, Scope};

/// What is known of where a document is deployed.
pub(super) enum Known {
    /// No kustomization here deploys it: its own namespace and name are all there is.
    Nowhere,
    /// One that may deploy it is refused: nothing is known.
    Unsure,
    /// These deploy it.
    At(Vec<Target>),
}

/// What the kustomizations make of a document.
pub(super) fn known(file: File<'_>, manifest: &SealedManifest<'_>, context: &Context<'_>) -> Known {
    let (Some(path), Some(resolution), false) = (file.path, context.resolution, file.built) else {
        return Known::Nowhere;
    };
    if resolution.refusals_of(path).next().is_some() {
        return Known::Unsure;
    }
    let is_it = |object: &Object| {
        let (namespace, name) = &object.original;
        object.kind == KIND && *name == manifest.name && *namespace == manifest.namespace
    };
    let objects = resolution.of_file(path).filter(|(_, object)| is_it(object));
    let targets: Vec<Target> = objects.map(|(root, object)| Target::new(root, object)).collect();
    if targets.is_empty() { Known::Nowhere } else { Known::At(targets) }
}

/// Holds a scope against every place that its document is deployed to.
pub(super) fn scope(
    file: File<'_>,
    scope: &Scope,
    targets: &[Target],
    whose: (Option<&[&str]>, Location),
    context: &Context<'_>,
    report: &mut FileReport,
) {
    let (keys, at) = whose;
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
        report.say(finding.hint(format!("ageseal rescope {}, or undo the change there", file.shown)));
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
        let level = if context.strict { Level::Error } else { finding.level };
        report.say(Finding { level, ..finding });
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
    const DECIDE: [&str; 7] =
        ["namespace", "namePrefix", "nameSuffix", "patches", "patchesJson6902", "replacements", "transformers"];
    let decides = |step: &&Step| step.what.split(':').next().is_some_and(|field| DECIDE.contains(&field));
    let deciding: Vec<&Step> = target.chain.iter().filter(decides).collect();
    if deciding.is_empty() { target.chain.iter().collect() } else { deciding }
}

fn places(targets: &[Target]) -> String {
    let mut shown: Vec<String> = targets.iter().map(Target::shown).collect();
    shown.sort_unstable();
    shown.dedup();
    few(&shown)
}
