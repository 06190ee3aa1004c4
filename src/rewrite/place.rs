//! Where a Secret is sealed for: its namespace, its name, its scope. Nothing here is ever guessed.

use crate::format::KIND;
use crate::kustomize::{Object, Reference, Resolution, Root, Step};
use crate::problem::Problem;
use crate::scope::{MAX_PATTERNS, Pattern, Scope, ScopeError};

/// The fields that set a namespace, of kustomize and of what deploys its folder.
const NAMESPACE: [&str; 4] = ["namespace", "targetNamespace", "destination.namespace", "defaultNamespace"];

/// The fields that decide on a namespace or a name as a whole.
pub const DECIDING: [&str; 6] =
    ["namespace", "targetNamespace", "destination.namespace", "defaultNamespace", "namePrefix", "nameSuffix"];

/// Where a document stands, and the Secrets that its values may become part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The namespace to write, if one is known; kustomize sets the others.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The scope that values are sealed for.
    pub scope: Scope,
    /// Whether kustomize says so, and not the document itself or who typed it.
    pub deployed: bool,
}

/// What was typed about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// `-n NAMESPACE`.
    pub namespace: Option<&'a str>,
    /// `--scope PATTERN…`.
    pub scope: Option<&'a Scope>,
}

/// What one kustomization makes of a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What is built: a folder, and who deploys it.
    pub root: Root,
    /// The namespace as built; none if the kustomization leaves it to whoever applies it.
    pub namespace: Option<String>,
    /// The name as built, without a hash.
    pub name: String,
    /// Whether a hash is added to the name.
    pub hashed: bool,
    /// What was done to it on the way.
    pub chain: Vec<Step>,
}

impl Target {
    /// What a root builds of an object.
    pub fn new(root: &Root, object: &Object) -> Self {
        Self {
            root: root.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            hashed: object.hashed,
            chain: object.chain.clone(),
        }
    }

    /// What the roots build of a document, by the name and the namespace that it is written with; none if none is known to.
    pub fn of_document(resolution: &Resolution, file: &str, namespace: Option<&str>, name: &str) -> Vec<Self> {
        let is_it = |object: &Object| {
            let (written, original) = &object.original;
            object.kind == KIND && original == name && written.as_deref() == namespace
        };
        let objects = resolution.of_file(file).filter(|(_, object)| is_it(object));
        objects.map(|(root, object)| Self::new(root, object)).collect()
    }

    /// What the roots that are built with a patch make of the documents that it changes, by the name that it gives and the
    /// namespace if it gives one; and these documents.
    pub fn of_patch<'r>(
        resolution: &'r Resolution,
        patch: &'r str,
        namespace: Option<&str>,
        name: &str,
    ) -> (Vec<Self>, Vec<&'r Object>) {
        let is_it = |object: &Object| {
            let (written, original) = &object.original;
            let same = namespace.is_none() || written.as_deref().is_none_or(|written| Some(written) == namespace);
            object.kind == KIND && original == name && same
        };
        let objects = resolution.of_patch(patch).filter(|(_, object)| is_it(object));
        objects.map(|(root, object)| (Self::new(root, object), object)).unzip()
    }

    /// The pattern that means exactly what is built.
    ///
    /// # Errors
    /// [`ScopeError::Pattern`] if Kubernetes takes no such namespace or name.
    pub fn pattern(&self, namespace: &str) -> Result<Pattern, ScopeError> {
        if self.hashed {
            // Without the hash it has to be a name as well, one without a star.
            Pattern::exact(namespace, &self.name)?;
            return format!("{namespace}/{}-{{hash}}", self.name).parse();
        }
        Pattern::exact(namespace, &self.name)
    }

    /// The name as built; a hash is `-{hash}`.
    pub fn built_name(&self) -> String {
        format!("{}{}", self.name, if self.hashed { "-{hash}" } else { "" })
    }

    /// As built: `NAMESPACE/NAME`, or the name alone.
    pub fn shown(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.built_name()),
            None => self.built_name(),
        }
    }

    /// Whether a reference of the same root names its Secret. An empty namespace is the same as `default`, as kustomize
    /// compares them.
    pub fn is_named_by(&self, reference: &Reference) -> bool {
        let namespace = |namespace: &'_ Option<String>| namespace.as_deref().unwrap_or("default").to_owned();
        (&reference.name, reference.hashed) == (&self.name, self.hashed)
            && namespace(&reference.namespace) == namespace(&self.namespace)
    }

    /// The last step that the given field of a kustomization takes part in, such as `namespace` or `namePrefix`.
    pub fn step(&self, fields: &[&str]) -> Option<&Step> {
        let is_of = |step: &&Step| fields.iter().any(|field| step.what.split(':').next() == Some(field));
        self.chain.iter().rfind(is_of)
    }
}

impl Place {
    /// Joins what the file says and what kustomize makes of it with what was typed.
    ///
    /// What kustomize makes of it is all of `targets`; none if no kustomization is known to deploy it.
    ///
    /// Errors: two of them name two namespaces; no namespace is known and no scope was typed; the typed scope leaves out
    /// the very document that it is for, or a place that it is deployed to.
    pub fn decide(in_file: Option<&str>, name: &str, asked: Asked<'_>, targets: &[Target]) -> Result<Self, Problem> {
        if targets.is_empty() {
            return Self::undeployed(in_file, name, asked);
        }
        let mut patterns = Vec::new();
        for target in targets {
            let namespace = namespace_of(target, name, asked)?;
            let left_out =
                |scope: &&Scope| !scope.patterns().iter().any(|pattern| is_meant(pattern, target, namespace));
            if let (Some(namespace), Some(scope)) = (namespace, asked.scope.filter(left_out)) {
                let place = Target { namespace: Some(namespace.to_owned()), ..target.clone() }.shown();
                let fact = format!("--scope {scope} leaves out {place}, where {} deploys this document", target.root);
                return Err(Problem::error("scope-conflict", fact)
                    .hint(format!("add --scope '{place}', or leave --scope out: kustomize says where it goes")));
            }
            if asked.scope.is_none() {
                let Some(namespace) = namespace else { return Err(no_namespace_at(target, name)) };
                patterns.push(target.pattern(namespace).map_err(|error| bad_name(&error, target))?);
            }
        }
        let scope = match asked.scope {
            Some(scope) => scope.clone(),
            None => Scope::canonical(patterns).map_err(|error| {
                Problem::error("too-many-targets", format!("{name}: {error}")).hint(format!(
                    "a scope holds {MAX_PATTERNS} places: give --scope with a wildcard, such as 'shop-*/{name}'"
                ))
            })?,
        };
        let namespace = in_file.or(asked.namespace.filter(|_| targets.iter().all(|target| target.namespace.is_none())));
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            scope,
            deployed: asked.scope.is_none(),
        })
    }

    fn undeployed(in_file: Option<&str>, name: &str, asked: Asked<'_>) -> Result<Self, Problem> {
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
                    "list the sealed file in a kustomization that has a namespace; or set metadata.namespace; or give \
                     -n NAMESPACE, or --scope 'NAMESPACE/{name}'"
                )));
            }
        };
        Ok(Self { namespace, name: name.to_owned(), scope, deployed: false })
    }
}

/// The namespace of a target: as built, or as typed where kustomize leaves it open.
fn namespace_of<'a>(target: &'a Target, name: &str, asked: Asked<'a>) -> Result<Option<&'a str>, Problem> {
    match (target.namespace.as_deref(), asked.namespace) {
        (Some(built), Some(typed)) if built != typed => {
            let by = target
                .step(&NAMESPACE)
                .map_or_else(|| target.root.to_string(), |step| format!("{}:{}", step.file, step.line));
            Err(Problem::error(
                "namespace-conflict",
                format!("{name}: kustomize puts it into {built} ({by}), -n says {typed}"),
            )
            .hint("leave -n out, or change the namespace there"))
        }
        (built, typed) => Ok(built.or(typed)),
    }
}

/// Whether a pattern means what is built. Of a hash nobody knows the characters yet: only a pattern that leaves them open
/// means it.
fn is_meant(pattern: &Pattern, target: &Target, namespace: Option<&str>) -> bool {
    namespace.is_some_and(|namespace| target.pattern(namespace).is_ok_and(|exact| pattern.covers(&exact)))
}

fn no_namespace_at(target: &Target, name: &str) -> Problem {
    Problem::error("no-namespace", format!("{name}: {} deploys it, and no namespace is set on the way", target.root))
        .hint(format!("set `namespace:` there, or give -n NAMESPACE, or --scope 'NAMESPACE/{name}'"))
}

fn bad_name(error: &ScopeError, target: &Target) -> Problem {
    let by = target.step(&DECIDING);
    let by = by.map_or_else(String::new, |step| format!(" ({}:{} {})", step.file, step.line, step.what));
    Problem::error("bad-name", format!("kustomize makes {} of it{by}: {error}", target.shown()))
        .hint("mend the name, the prefix, the suffix or the namespace")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(patterns: &[&str]) -> Scope {
        Scope::canonical(patterns.iter().map(|pattern| pattern.parse().unwrap())).unwrap()
    }

    fn decide(file: Option<&str>, flag: Option<&str>, pattern: Option<&str>) -> Result<Place, &'static str> {
        deployed(file, flag, pattern, &[]).map_err(|problem| problem.code)
    }

    fn deployed(
        file: Option<&str>,
        flag: Option<&str>,
        pattern: Option<&str>,
        targets: &[Target],
    ) -> Result<Place, Problem> {
        let scope = pattern.map(|pattern| scope(&[pattern]));
        Place::decide(file, "db", Asked { namespace: flag, scope: scope.as_ref() }, targets)
    }

    fn target(root: &str, namespace: Option<&str>, name: &str) -> Target {
        let step = Step { file: format!("{root}/kustomization.yaml"), line: 3, what: "namespace: x".to_owned() };
        let namespace = namespace.map(str::to_owned);
        Target { root: Root::bare(root), namespace, name: name.to_owned(), hashed: false, chain: vec![step] }
    }

    #[test]
    fn the_namespace_comes_from_the_file_or_the_flag() {
        for (file, flag) in [(Some("prod"), None), (None, Some("prod")), (Some("prod"), Some("prod"))] {
            let place = decide(file, flag, None).unwrap();
            assert_eq!(place.namespace.as_deref(), Some("prod"));
            assert_eq!(place.scope, scope(&["prod/db"]));
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
        assert_eq!((place.namespace, place.scope), (None, scope(&["*-prod/*db"])));
        assert_eq!(decide(Some("prod"), None, Some("prod/*")).unwrap().scope, scope(&["prod/*"]));
    }

    #[test]
    fn what_kustomize_makes_of_it_is_the_scope() {
        let targets = [target("prod", Some("shop-prod"), "p-db"), target("test", Some("shop-test"), "db")];
        // What the file says is overridden by kustomize, and stays as it is written.
        for file in [None, Some("elsewhere")] {
            let place = deployed(file, None, None, &targets).unwrap();
            assert_eq!((place.namespace.as_deref(), place.deployed), (file, true));
            assert_eq!(place.scope, scope(&["shop-prod/p-db", "shop-test/db"]));
        }
        let hashed = Target { hashed: true, ..target("prod", Some("shop-prod"), "db") };
        assert_eq!(deployed(None, None, None, &[hashed]).unwrap().scope, scope(&["shop-prod/db-{hash}"]));
    }

    #[test]
    fn a_namespace_that_kustomize_leaves_open_is_asked_for() {
        let open = [target("prod", None, "db")];
        assert_eq!(deployed(Some("in-file"), None, None, &open).unwrap_err().code, "no-namespace");
        let place = deployed(None, Some("prod"), None, &open).unwrap();
        assert_eq!((place.namespace.as_deref(), place.scope), (Some("prod"), scope(&["prod/db"])));
    }

    #[test]
    fn what_was_typed_may_not_contradict_kustomize() {
        let targets = [target("prod", Some("shop-prod"), "db"), target("test", Some("shop-test"), "db")];
        let conflict = deployed(None, Some("shop-prod"), None, &targets).unwrap_err();
        assert_eq!(
            conflict.message,
            "db: kustomize puts it into shop-test (test/kustomization.yaml:3), -n says shop-prod"
        );
        let conflict = deployed(None, None, Some("shop-prod/*"), &targets).unwrap_err();
        assert_eq!((conflict.code, conflict.message.contains("leaves out shop-test/db")), ("scope-conflict", true));
        let place = deployed(None, None, Some("shop-*/db"), &targets).unwrap();
        assert_eq!((place.scope, place.deployed), (scope(&["shop-*/db"]), false));
        // A hash cannot be known: a pattern has to leave it open.
        let hashed = [Target { hashed: true, ..target("prod", Some("shop-prod"), "db") }];
        assert_eq!(deployed(None, None, Some("shop-prod/db"), &hashed).unwrap_err().code, "scope-conflict");
        assert!(deployed(None, None, Some("shop-prod/db-*"), &hashed).is_ok());
    }

    #[test]
    fn names_that_kubernetes_does_not_take_are_told_with_what_made_them() {
        let step = |what: &str| Step { file: "prod/kustomization.yaml".to_owned(), line: 4, what: what.to_owned() };
        let mut long = target("prod", Some("shop-prod"), &"p".repeat(300));
        long.chain.push(step("namePrefix: ppp"));
        let problem = deployed(None, None, None, &[long]).unwrap_err();
        assert_eq!(problem.code, "bad-name");
        assert!(problem.message.contains("(prod/kustomization.yaml:4 namePrefix: ppp)"), "{}", problem.message);
        let starred = target("prod", Some("shop-prod"), "d*b");
        assert_eq!(deployed(None, None, None, &[starred]).unwrap_err().code, "bad-name");
        let many: Vec<Target> = (0..40).map(|n| target("r", Some(&format!("n{n}")), "db")).collect();
        assert_eq!(deployed(None, None, None, &many).unwrap_err().code, "too-many-targets");
    }
}
