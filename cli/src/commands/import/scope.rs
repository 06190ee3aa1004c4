//! What the values of an imported generator are sealed for: what kustomize makes of the generator today, in every root.
//!
//! This is the one place where the scope of an import is decided.

use ageseal::kustomize::{Object, Place, Resolution, Root};
use ageseal::rewrite::Target;
use ageseal::scope::Scope;

use crate::error::CliError;

/// What was typed about it.
pub(super) struct Asked<'a> {
    /// `-n NAMESPACE`.
    pub(super) namespace: Option<&'a str>,
    /// `--scope PATTERN…`.
    pub(super) scope: Option<&'a Scope>,
}

/// The Secrets that kustomize builds of one entry of `secretGenerator`, with the root of each.
pub(super) fn built_of<'r>(
    resolution: &'r Resolution,
    kustomization: &'r str,
    index: usize,
) -> impl Iterator<Item = (&'r Root, &'r Object)> {
    let is_it = move |object: &Object| matches!(object.source.place, Place::Generator { field: "secretGenerator", entry } if entry == index);
    resolution.of_file(kustomization).filter(move |(_, object)| is_it(object))
}

/// The scope of a generator's Secret: every place that it is built for.
///
/// # Errors
/// No root builds it and nothing was typed; a root leaves the namespace open; what was typed leaves a place out. None
/// has a place yet.
pub(super) fn scope_for(built: &[(&Root, &Object)], name: &str, asked: &Asked<'_>) -> Result<Scope, CliError> {
    let mut patterns = Vec::new();
    for (root, object) in built {
        let namespace = match (object.namespace.as_deref(), asked.namespace) {
            (Some(built), Some(typed)) if built != typed => {
                let fact = format!("{name}: {root} puts it into {built}, -n says {typed}");
                return Err(CliError::usage(fact).hint("leave -n out: kustomize says where it goes"));
            }
            (built, typed) => built.or(typed),
        };
        let Some(namespace) = namespace else {
            if asked.scope.is_some() {
                continue;
            }
            let fact = format!("{name}: {root} builds it, and no namespace is set on the way");
            return Err(CliError::input(fact)
                .hint(format!("set `namespace:` there, or give -n NAMESPACE, or --scope 'NAMESPACE/{name}'")));
        };
        let pattern = Target::new(root, object).pattern(namespace).map_err(|error| {
            CliError::input(error.to_string()).hint("mend the name, the prefix, the suffix or the namespace")
        })?;
        if let Some(scope) = asked.scope.filter(|scope| !scope.patterns().iter().any(|wide| wide.covers(&pattern))) {
            let fact = format!("--scope {scope} leaves out {pattern}, where {root} builds {name}");
            return Err(CliError::usage(fact).hint("leave --scope out: kustomize says where it goes"));
        }
        patterns.push(pattern);
    }
    match (asked.scope, asked.namespace) {
        (Some(scope), _) => Ok(scope.clone()),
        (None, _) if !patterns.is_empty() => Scope::canonical(patterns)
            .map_err(|error| CliError::input(format!("{name}: {error}")).hint("give --scope with a wildcard")),
        _ => Err(CliError::input(format!("{name}: no kustomization that can be worked out here builds it"))
            .hint("ageseal check says which ones cannot be worked out, and why")
            .hint(format!("give --scope 'NAMESPACE/{name}', with -{{hash}} behind the name if it gets a hash"))),
    }
}
