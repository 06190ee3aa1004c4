//! Scopes: within the rule of the path, and fitting the place where the document stands.

use std::collections::BTreeMap;

use super::{Code, Context, File, FileReport, Finding, deployed, few, sealed::key_at};
use crate::manifest::SealedManifest;
use crate::problem::Location;
use crate::scope::{Pattern, SOME_HASH, Scope};

pub(super) fn check(
    file: File<'_>,
    manifest: &SealedManifest<'_>,
    title: &str,
    context: &Context<'_>,
    report: &mut FileReport,
) {
    let known = deployed::known(file, manifest, context);
    deployed::secret_type(file, manifest, context, report);
    for (scope, keys, at) in effective(manifest) {
        let whose = keys.as_ref().map_or_else(|| title.to_owned(), |keys| format!("{title}, {}", few(keys)));
        beyond(file, &scope, &whose, at, context, report);
        if known.is_nowhere() {
            // The name of a patch is that of its document as it is written, and not as it is built.
            if manifest.is_patch() && context.resolution.is_some() && !file.built {
                continue;
            }
            mismatch(file, manifest, &scope, keys.as_deref(), at, report);
        } else {
            deployed::scope(file, manifest, &scope, &known, (keys.as_deref(), at), context, report);
        }
    }
    if known.is_nowhere() && manifest.namespace.is_none() && !manifest.is_patch() {
        let finding = Finding::new(
            Code::NoNamespace,
            Some(manifest.node.location()),
            format!("{title}: kustomize or whoever applies it sets the namespace"),
        );
        report.say(finding);
    }
}

/// Every scope that counts, with the keys that have it for their own, and its place. A document's own scope counts
/// even where no value uses it: a document without values becomes a Secret all the same.
fn effective<'a>(manifest: &'a SealedManifest<'_>) -> Vec<(Scope, Option<Vec<&'a str>>, Location)> {
    let sealed = &manifest.sealed;
    let mut found = Vec::new();
    if let Some(scope) = &sealed.scope {
        let node = manifest.spec().and_then(|spec| spec.entry("scope"));
        found.push((scope.clone(), None, node.map_or(manifest.node, |(key, _)| key).location()));
    }
    let mut own: BTreeMap<String, (&Scope, Vec<&str>)> = BTreeMap::new();
    for (key, item) in &sealed.items {
        if let Some(scope) = item.scope.as_ref().filter(|scope| Some(*scope) != sealed.scope.as_ref()) {
            own.entry(scope.to_string()).or_insert_with(|| (scope, Vec::new())).1.push(key);
        }
    }
    found.extend(own.into_values().map(|(scope, keys)| {
        let at = keys.first().map_or_else(|| manifest.node.location(), |key| key_at(manifest, key));
        (scope.clone(), Some(keys), at)
    }));
    found
}

fn beyond(file: File<'_>, scope: &Scope, whose: &str, at: Location, context: &Context<'_>, report: &mut FileReport) {
    let Some(rule) = file.path.zip(context.policy).and_then(|(path, policy)| policy.rule_for(path).ok()) else {
        return;
    };
    if let Err(error) = rule.check_scope(scope) {
        let finding = Finding::new(Code::ScopeBeyondPolicy, Some(at), format!("{whose}: {error}"));
        report.say(finding.hint(error.hint()));
    }
}

fn mismatch(
    file: File<'_>,
    manifest: &SealedManifest<'_>,
    scope: &Scope,
    keys: Option<&[&str]>,
    at: Location,
    report: &mut FileReport,
) {
    let name = manifest.name.as_str();
    if scope.patterns().iter().any(|pattern| fits(file, pattern, manifest.namespace.as_deref(), name)) {
        return;
    }
    let place = manifest.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
    let what = keys.map_or_else(String::new, |keys| format!("{}: ", few(keys)));
    report.say(
        Finding::new(Code::ScopeMismatch, Some(at), format!("{what}sealed for {scope}"))
            .line(format!("this document is {place}"))
            .hint("undo the change of name or namespace, or seal it again from its source for where it is now"),
    );
}

/// Whether a pattern means this document. Without a namespace only the name is held against it; in a source file,
/// kustomize may yet append a hash to the name.
fn fits(file: File<'_>, pattern: &Pattern, namespace: Option<&str>, name: &str) -> bool {
    // Whatever the namespace side means, it means itself with every star filled by a letter.
    let any = pattern.namespace().replace('*', "x");
    let namespace = namespace.unwrap_or(&any);
    let hashed = || !file.built && pattern.has_hash() && pattern.matches(namespace, &format!("{name}{SOME_HASH}"));
    pattern.matches(namespace, name) || hashed()
}
