//! Where a Secret is sealed for: its namespace, its name, its scope. Nothing here is ever guessed.

use crate::problem::Problem;
use crate::scope::Scope;

/// Where a document stands, and the Secrets that its values may become part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The namespace to write, if one is known; kustomize sets the others.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The scope that values are sealed for.
    pub scope: Scope,
}

/// What was typed about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// `-n NAMESPACE`.
    pub namespace: Option<&'a str>,
    /// `--scope PATTERN…`.
    pub scope: Option<&'a Scope>,
}

impl Place {
    /// Joins what the file says with what was typed.
    ///
    /// Errors: the file and `-n` name two namespaces; no namespace is known and no scope was typed; the typed scope
    /// leaves out the very document that it is for.
    pub fn decide(in_file: Option<&str>, name: &str, asked: Asked<'_>) -> Result<Self, Problem> {
        if let (Some(file), Some(flag)) = (in_file, asked.namespace)
            && file != flag
        {
            return Err(Problem::error(
                "namespace-conflict",
                format!("{name}: the file says namespace {file}, -n says {flag}"),
            )
            .hint("leave -n out, or change metadata.namespace"));
        }
        let namespace = asked.namespace.or(in_file).map(str::to_owned);
        let scope = match (asked.scope, &namespace) {
            (Some(scope), Some(namespace)) if !scope.matches(namespace, name) => {
                return Err(Problem::error(
                    "scope-conflict",
                    format!("--scope {scope} leaves out {namespace}/{name}, where this document stands"),
                )
                .hint(format!("add --scope '{namespace}/{name}', or leave the namespace to kustomize")));
            }
            (Some(scope), _) => scope.clone(),
            (None, Some(namespace)) => Scope::exact(namespace, name).map_err(|error| {
                Problem::error("bad-name", error.to_string()).hint("mend metadata.name or the namespace")
            })?,
            (None, None) => {
                return Err(Problem::error("no-namespace", format!("{name}: no namespace anywhere")).hint(format!(
                    "set metadata.namespace in the file, or give -n NAMESPACE, or give --scope 'NAMESPACE/{name}' for \
                         every place that kustomize makes of it"
                )));
            }
        };
        Ok(Self { namespace, name: name.to_owned(), scope })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(pattern: &str) -> Scope {
        Scope::canonical([pattern.parse().unwrap()]).unwrap()
    }

    fn decide(file: Option<&str>, flag: Option<&str>, pattern: Option<&str>) -> Result<Place, &'static str> {
        let scope = pattern.map(scope);
        Place::decide(file, "db", Asked { namespace: flag, scope: scope.as_ref() }).map_err(|problem| problem.code)
    }

    #[test]
    fn the_namespace_comes_from_the_file_or_the_flag() {
        for (file, flag) in [(Some("prod"), None), (None, Some("prod")), (Some("prod"), Some("prod"))] {
            let place = decide(file, flag, None).unwrap();
            assert_eq!(place.namespace.as_deref(), Some("prod"));
            assert_eq!(place.scope, scope("prod/db"));
        }
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(decide(None, None, None), Err("no-namespace"));
        assert_eq!(decide(Some("prod"), Some("test"), None), Err("namespace-conflict"));
        assert_eq!(decide(Some("prod"), None, Some("test/*")), Err("scope-conflict"));
        assert_eq!(decide(Some("Prod"), None, None), Err("bad-name"));
    }

    #[test]
    fn a_typed_scope_stands_in_for_a_namespace() {
        let place = decide(None, None, Some("*-prod/*db")).unwrap();
        assert_eq!((place.namespace, place.scope), (None, scope("*-prod/*db")));
        assert_eq!(decide(Some("prod"), None, Some("prod/*")).unwrap().scope, scope("prod/*"));
    }
}
