//! The policy file: its rules, its allow-list, and looking a path up in them.

use std::collections::HashMap;

use globset::Glob;

use crate::format::API_VERSION;
use crate::problem::{Location, Problem};
use crate::scope::{Pattern, Scope, ScopeError};
use crate::yaml::{Kind, Node, Stream};

use super::deployed::Deployed;
use super::error::PolicyError;
use super::paths::{self, Matcher};
use super::read::Reader;
use super::{POLICY_KIND, POLICY_PATH};

/// The longest name of a recipients file, in characters.
const MAX_NAME: usize = 63;

/// The most rules of a policy, and the most entries of its allow-list.
pub const MAX_RULES: usize = 1_000;

/// The most path patterns, scopes and names of recipients of a policy, all taken together.
pub const MAX_PATTERNS: usize = 10_000;

const FIELDS: [&str; 9] = [
    "apiVersion",
    "kind",
    "rules",
    "allow",
    "external",
    "deployed",
    "repositories",
    "otherRepositories",
    "serverSideApply",
];
const RULE_FIELDS: [&str; 3] = ["paths", "recipients", "scopes"];
const ALLOW_FIELDS: [&str; 2] = ["paths", "reason"];

const PATHS_EXAMPLE: &str = "[\"overlays/prod/**\"]";
const RECIPIENTS_EXAMPLE: &str = "[prod, recovery]";
const EXTERNAL_EXAMPLE: &str = "[\"*/registry-cache\"]";
const REPOSITORIES_EXAMPLE: &str = "[\"https://git.example.com/shop\"]";
const SCOPES_EXAMPLE: &str = "[\"shop-prod/*\"], or [\"*/*\"] if everything may be sealed for them";

/// The rules of a repository.
///
/// Shape: one YAML document, `apiVersion: ageseal.dev/v1alpha1`, `kind: Policy`, with `rules` (required, not empty),
/// `allow`, `external`, `deployed`, `repositories` and `otherRepositories` (optional) and `serverSideApply` (optional,
/// `false` if left out).
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    allow: Vec<Allow>,
    external: Vec<Pattern>,
    deployed: Vec<Deployed>,
    repositories: Vec<String>,
    other_repositories: Vec<String>,
    server_side_apply: bool,
    warnings: Vec<Problem>,
    rule_matcher: Matcher,
    allow_matcher: Matcher,
}

/// Who may read what lies at some paths, and what may be sealed for them.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which files: at least one pattern.
    pub paths: Vec<PathPattern>,
    /// The names of the recipients files: at least one, none twice.
    pub recipients: Vec<NameRef>,
    /// The Secrets that may be sealed for them: at least one pattern.
    ///
    /// Required: a rule that was silent about it would let a document be copied to other readers.
    pub scopes: Vec<Pattern>,
    /// Where the rule begins.
    pub at: Location,
}

/// Paths where plaintext is meant to be.
#[derive(Clone, Debug)]
pub struct Allow {
    /// Which files: at least one pattern.
    pub paths: Vec<PathPattern>,
    /// Why, in the words of the policy; never empty.
    pub reason: String,
    /// Where the entry begins.
    pub at: Location,
}

/// A path pattern with its place.
#[derive(Clone, Debug)]
pub struct PathPattern {
    /// As it is written.
    pub text: String,
    /// Where.
    pub at: Location,
    pub(super) glob: Glob,
}

/// The name of a recipients file, where a rule uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRef {
    /// The name.
    pub name: String,
    /// Where.
    pub at: Location,
}

/// Whether a text can name a recipients file.
///
/// `[a-z0-9-]`, 1 to 63 characters, no dash first or last, and not the beginning of a recipient (`age1`, `ssh-`), so
/// that a name and a recipient never look alike on a command line.
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.starts_with("age1")
        && !text.starts_with("ssh-")
}

impl Policy {
    /// Reads the bytes of a policy file.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the text.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Vec<Problem>> {
        let stream = Stream::from_bytes(bytes).map_err(|error| vec![error.to_problem()])?;
        Self::from_stream(&stream)
    }

    /// Reads a policy out of a parsed text.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn from_stream(stream: &Stream) -> Result<Self, Vec<Problem>> {
        let root = root(stream).map_err(|problem| vec![problem])?;
        let mut reader = Reader::default();
        if !reader.mapping(root, "the policy", &FIELDS) {
            return Err(reader.problems);
        }
        reader.constant(root, "apiVersion", API_VERSION);
        reader.constant(root, "kind", POLICY_KIND);
        // Every file is held against every rule: what nobody can have written by hand is not worked through.
        if let Some(problem) = too_many(root) {
            return Err(vec![problem]);
        }
        let rules = match reader.required(root, "the policy", "rules", "a list of {paths, recipients, scopes}") {
            Some(node) => reader.items(node, "rules", "{paths, recipients, scopes}"),
            None => vec![],
        };
        let rules: Vec<_> = rules.into_iter().enumerate().map(|(index, node)| reader.rule(index, node)).collect();
        let allow = root.get("allow").map_or_else(Vec::new, |node| reader.items(node, "allow", "{paths, reason}"));
        let allow: Vec<_> = allow.into_iter().enumerate().map(|(index, node)| reader.allow(index, node)).collect();
        let external =
            root.get("external").map_or_else(Vec::new, |node| reader.patterns(node, "external", EXTERNAL_EXAMPLE));
        let deployed = root.get("deployed").map_or_else(Vec::new, |node| reader.deployed(node));
        let mut urls = |field: &'static str| {
            root.get(field).map_or_else(Vec::new, |node| {
                let texts = reader.strings(node, field, REPOSITORIES_EXAMPLE);
                texts.into_iter().map(|text| text.text.to_owned()).collect()
            })
        };
        let (repositories, other_repositories) = (urls("repositories"), urls("otherRepositories"));
        let server_side_apply = match root.get("serverSideApply") {
            Some(node) => reader.boolean(node, "serverSideApply").unwrap_or_default(),
            None => false,
        };
        let matchers = (
            Matcher::new(rules.iter().map(|rule| rule.paths.as_slice())),
            Matcher::new(allow.iter().map(|allow| allow.paths.as_slice())),
        );
        match matchers {
            (Ok(rule_matcher), Ok(allow_matcher)) if reader.problems.is_empty() => {
                let warnings = shadowed(&rules);
                Ok(Self {
                    rules,
                    allow,
                    external,
                    deployed,
                    repositories,
                    other_repositories,
                    server_side_apply,
                    warnings,
                    rule_matcher,
                    allow_matcher,
                })
            }
            (first, second) => {
                reader.problems.extend(first.err().into_iter().chain(second.err()));
                reader.problems.sort_by_key(|problem| problem.at);
                Err(reader.problems)
            }
        }
    }

    /// The rules, in the order in which they are tried.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The allow-list.
    pub fn allow(&self) -> &[Allow] {
        &self.allow
    }

    /// The Secrets that come from elsewhere: what names them is not held against what the repository deploys.
    pub fn external(&self) -> &[Pattern] {
        &self.external
    }

    /// How folders are deployed that nothing in the repository itself deploys, or says clearly how.
    pub fn deployed(&self) -> &[Deployed] {
        &self.deployed
    }

    /// The URLs under which Flux and Argo CD know the repository, beside those that git knows.
    pub fn repositories(&self) -> &[String] {
        &self.repositories
    }

    /// The URLs of repositories that are not this one, although they have folders of the same names.
    pub fn other_repositories(&self) -> &[String] {
        &self.other_repositories
    }

    /// Whether the repository is applied by the server, which lifts the limit that client-side apply has.
    pub fn server_side_apply(&self) -> bool {
        self.server_side_apply
    }

    /// What is odd and does not stop the work: rules that a rule before them hides.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The index of the rule of a file: the first that matches.
    ///
    /// `path` is relative to the top of the repository, its parts divided by `/`.
    ///
    /// # Errors
    /// [`PolicyError::NoRule`]: there is no default.
    pub fn rule_index(&self, path: &str) -> Result<usize, PolicyError> {
        self.rule_matcher.first(path).ok_or_else(|| {
            let names_folder =
                |pattern: &&PathPattern| path.strip_prefix(&pattern.text).is_some_and(|rest| rest.starts_with('/'));
            let folder = self.rules.iter().flat_map(|rule| &rule.paths).find(names_folder);
            PolicyError::NoRule { path: path.to_owned(), folder: folder.map(|found| (found.text.clone(), found.at)) }
        })
    }

    /// The rule of a file: the first that matches.
    ///
    /// # Errors
    /// As [`Policy::rule_index`].
    pub fn rule_for(&self, path: &str) -> Result<&Rule, PolicyError> {
        let index = self.rule_index(path)?;
        self.rules.get(index).ok_or_else(|| PolicyError::NoRule { path: path.to_owned(), folder: None })
    }

    /// Why plaintext is meant to be in a file, if it is.
    pub fn allowed(&self, path: &str) -> Option<&Allow> {
        self.allow_matcher.first(path).and_then(|index| self.allow.get(index))
    }
}

impl Rule {
    /// Whether this scope may be sealed for the rule's recipients: each of its patterns is covered by one of the rule.
    ///
    /// # Errors
    /// [`PolicyError::ScopeBeyondRule`], naming what goes beyond and what is allowed.
    pub fn check_scope(&self, scope: &Scope) -> Result<(), PolicyError> {
        let beyond: Vec<&Pattern> = scope
            .patterns()
            .iter()
            .filter(|pattern| !self.scopes.iter().any(|allowed| allowed.covers(pattern)))
            .collect();
        if beyond.is_empty() {
            return Ok(());
        }
        let join =
            |patterns: &mut dyn Iterator<Item = &Pattern>| patterns.map(Pattern::as_str).collect::<Vec<_>>().join(", ");
        Err(PolicyError::ScopeBeyondRule {
            beyond: join(&mut beyond.into_iter()),
            allowed: join(&mut self.scopes.iter()),
            at: self.at,
        })
    }

    /// The names as they stand in the rule.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.recipients.iter().map(|name| name.name.as_str())
    }
}

/// The fault of a policy that is too long, at the first thing that is too much.
fn too_many(root: Node<'_>) -> Option<Problem> {
    let problem = |code, what: &str, count: usize, most: usize, at: Node<'_>| {
        let problem = Problem::error(code, format!("the policy has {count} {what}, the most is {most}"));
        Some(problem.at(at.location()).hint("one pattern such as \"overlays/**\" or \"shop-*/*\" stands for many"))
    };
    let mut patterns = Vec::new();
    for (field, what) in [("rules", "rules"), ("allow", "entries in allow"), ("deployed", "entries in deployed")] {
        let Some(list) = root.get(field) else { continue };
        if let Some(first) = list.items().nth(MAX_RULES) {
            return problem("too-many-rules", what, list.items().count(), MAX_RULES, first);
        }
        let lists = list.items().flat_map(|entry| ["paths", "scopes", "recipients"].map(|field| entry.get(field)));
        patterns.extend(lists.flatten().flat_map(|list| list.items()));
    }
    let more = ["external", "repositories", "otherRepositories"].into_iter().filter_map(|field| root.get(field));
    patterns.extend(more.flat_map(|list| list.items()));
    let first = patterns.get(MAX_PATTERNS)?;
    problem("too-many-patterns", "path patterns, scopes and names", patterns.len(), MAX_PATTERNS, *first)
}

/// The mapping that is the policy.
pub(super) fn root(stream: &Stream) -> Result<Node<'_>, Problem> {
    let mut roots = stream.documents().filter_map(|document| document.root()).filter(|root| !root.is_null());
    let Some(root) = roots.next() else {
        return Err(Problem::error("empty-policy", format!("{POLICY_PATH} is empty")).hint("ageseal init"));
    };
    match roots.next() {
        None => Ok(root),
        Some(second) => Err(Problem::error("several-documents", "a policy is one document, and here are several")
            .hint("put all rules into the first one: their order matters")
            .at(second.location())),
    }
}

impl Reader {
    fn constant(&mut self, root: Node<'_>, field: &str, wanted: &str) {
        let Some(node) = self.required(root, "the policy", field, wanted) else { return };
        let Some(found) = self.string(node, field) else { return };
        if found.text != wanted {
            let problem = Problem::error("wrong-version", format!("{field} is {:?}, not {wanted}", found.text));
            self.note(problem.hint(format!("this program reads {field}: {wanted}")), found.at);
        }
    }

    fn rule(&mut self, index: usize, node: Node<'_>) -> Rule {
        let what = format!("rules[{index}]");
        let mut rule = Rule { paths: vec![], recipients: vec![], scopes: vec![], at: node.location() };
        if !self.mapping(node, &what, &RULE_FIELDS) {
            return rule;
        }
        rule.paths = self.paths(node, &what);
        if let Some(field) = self.required(node, &what, "recipients", RECIPIENTS_EXAMPLE) {
            for text in self.strings(field, &format!("{what}.recipients"), RECIPIENTS_EXAMPLE) {
                if is_name(text.text) {
                    rule.recipients.push(NameRef { name: text.text.to_owned(), at: text.at });
                } else {
                    self.note(bad_name(text.text), text.at);
                }
            }
        }
        if let Some(field) = self.required(node, &what, "scopes", SCOPES_EXAMPLE) {
            rule.scopes = self.patterns(field, &format!("{what}.scopes"), SCOPES_EXAMPLE);
        }
        rule
    }

    /// A list of `NAMESPACE/NAME` patterns.
    fn patterns(&mut self, node: Node<'_>, what: &str, example: &str) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for text in self.strings(node, what, example) {
            match text.text.parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.note(bad_scope(&error), text.at),
            }
        }
        patterns
    }

    fn allow(&mut self, index: usize, node: Node<'_>) -> Allow {
        let what = format!("allow[{index}]");
        let mut allow = Allow { paths: vec![], reason: String::new(), at: node.location() };
        if !self.mapping(node, &what, &ALLOW_FIELDS) {
            return allow;
        }
        allow.paths = self.paths(node, &what);
        if let Some(field) = self.required(node, &what, "reason", "why plaintext is meant to be there")
            && let Some(reason) = self.string(field, &format!("{what}.reason"))
        {
            reason.text.trim().clone_into(&mut allow.reason);
            if allow.reason.is_empty() {
                let problem = Problem::error("missing-field", format!("{what}.reason is empty"));
                self.note(problem.hint("say why plaintext is meant to be there"), reason.at);
            }
        }
        allow
    }

    fn paths(&mut self, node: Node<'_>, what: &str) -> Vec<PathPattern> {
        let Some(field) = self.required(node, what, "paths", PATHS_EXAMPLE) else { return vec![] };
        let mut patterns = vec![];
        for text in self.strings(field, &format!("{what}.paths"), PATHS_EXAMPLE) {
            match paths::glob(text.text) {
                Ok(glob) => patterns.push(PathPattern { text: text.text.to_owned(), at: text.at, glob }),
                Err(problem) => self.note(problem, text.at),
            }
        }
        patterns
    }
}

pub(super) fn bad_name(text: &str) -> Problem {
    if crate::recipient::looks_private(&text.to_ascii_lowercase()) {
        return Problem::error("private-key", "a private key stands where a name belongs")
            .hint("take it out of the file and of git's history, and change every value that was sealed for it");
    }
    let problem = Problem::error("bad-name", format!("{text:?} is not a name of recipients"));
    if text.starts_with("age1") || text.starts_with("ssh-") {
        return problem.hint("put the recipient into .ageseal/recipients/NAME.pub and write NAME here");
    }
    problem.hint("a name has a-z, 0-9 and - only, with no - first or last, and at most 63 characters")
}

fn bad_scope(error: &ScopeError) -> Problem {
    let hint = "write NAMESPACE/NAME, such as \"shop-prod/*\", \"shop-prod/db\" or \"shop-prod/db-{hash}\"";
    Problem::error("bad-scope", error.to_string()).hint(hint)
}

/// Patterns that never decide because an earlier rule has the same one, or `**`.
fn shadowed(rules: &[Rule]) -> Vec<Problem> {
    let mut warnings = vec![];
    let mut earlier: HashMap<&str, &PathPattern> = HashMap::new();
    for rule in rules {
        for pattern in &rule.paths {
            let hides = [pattern.text.as_str(), "**"].into_iter().filter_map(|text| earlier.get(text));
            if let Some(first) = hides.min_by_key(|first| first.at) {
                let message = format!("{:?} never decides: {:?} at {} comes first", pattern.text, first.text, first.at);
                let problem = Problem::warning("shadowed-rule", message).hint("the first match wins: move it up");
                warnings.push(problem.at(pattern.at));
            }
        }
        for pattern in &rule.paths {
            earlier.entry(&pattern.text).or_insert(pattern);
        }
    }
    warnings
}

/// The list of recipients' names of one rule, as a node.
pub(super) fn recipients_node<'a>(stream: &'a Stream, rule: usize) -> Option<Node<'a>> {
    let node = root(stream).ok()?.get("rules")?.items().nth(rule)?.get("recipients")?;
    (node.kind() == Kind::Sequence).then_some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: ageseal.dev/v1alpha1\nkind: Policy\n";

    const GOOD: &str = "\
apiVersion: ageseal.dev/v1alpha1
kind: Policy
rules:                                  # first match wins
- paths: [\"overlays/prod/**\"]
  recipients: [prod, recovery]
  scopes: [\"shop-prod/*\"]
- paths: [\"overlays/test/**\", overlays/dev]
  recipients:
  - test
  - recovery
  scopes: [\"shop-test/*\", 'shop-dev-*/db-{hash}']
allow:
- paths: [\"docs/examples/**\"]
  reason: invented values in the manual
serverSideApply: true
";

    fn policy(text: &str) -> Policy {
        Policy::parse(text.as_bytes().to_vec()).unwrap()
    }

    fn problems(text: &str) -> Vec<Problem> {
        Policy::parse(text.as_bytes().to_vec()).unwrap_err()
    }

    /// The codes and places of what is wrong with a policy of these rules.
    fn found(rules: &str) -> Vec<(&'static str, String)> {
        let at = |problem: &Problem| problem.at.map_or_else(String::new, |at| at.to_string());
        problems(&format!("{HEAD}{rules}")).iter().map(|problem| (problem.code, at(problem))).collect()
    }

    fn rule(fields: &str) -> String {
        format!("rules:\n- {}\n", fields.replace('\n', "\n  "))
    }

    fn scope(texts: &[&str]) -> Scope {
        Scope::parse_sorted(texts).unwrap()
    }

    #[test]
    fn a_policy_that_is_too_long_is_refused_at_the_first_thing_too_many() {
        let rule = "- {paths: [a], recipients: [b], scopes: ['c/*']}\n";
        let rules = |count: usize| format!("rules:\n{}", rule.replace("[a]", "[a, p]").repeat(count));
        let told = |text: &str| {
            let mut found = problems(&format!("{HEAD}{text}"));
            let one = found.remove(0);
            assert!(found.is_empty() && one.hint.is_some(), "{found:?}");
            (one.code, one.message, one.at.map(|at| at.to_string()).unwrap_or_default())
        };
        assert_eq!(policy(&format!("{HEAD}{}", rules(1_000))).rules().len(), 1_000);
        let text = "the policy has 1001 rules, the most is 1000".to_owned();
        assert_eq!(told(&rules(1_001)), ("too-many-rules", text, "1004:3".to_owned()));
        let allow = "allow:\n".to_owned() + &"- {paths: [a], reason: r}\n".repeat(1_002);
        let text = "the policy has 1002 entries in allow, the most is 1000".to_owned();
        assert_eq!(told(&(rules(1) + &allow)), ("too-many-rules", text, "1006:3".to_owned()));
        for field in ["paths", "recipients", "scopes"] {
            let many = vec!["'x/y'"; 9_998].join(", ");
            let long = rule.replace(&format!("{field}: ["), &format!("{field}: [{many}, "));
            let text = "the policy has 10001 path patterns, scopes and names, the most is 10000".to_owned();
            let (code, message, at) = told(&format!("rules:\n{long}"));
            assert_eq!((code, message, at.split(':').next()), ("too-many-patterns", text, Some("4")));
        }
        // Those of the allow-list count too.
        let text = format!("{}allow:\n{}", rules(999), "- {paths: [a, b, c, d, e, f, g], reason: r}\n".repeat(858));
        assert_eq!(told(&text).0, "too-many-patterns");
    }

    #[test]
    fn a_policy_of_the_largest_size_is_read_in_time() {
        let rule = |from: usize| {
            let paths: Vec<String> = (from..from + 98).map(|path| format!("p{path}")).collect();
            format!("- {{paths: [{}], recipients: [a], scopes: ['a/*']}}\n", paths.join(", "))
        };
        let rules: String = (0..100).map(|index| rule(98 * index)).collect();
        let started = std::time::Instant::now();
        assert!(policy(&format!("{HEAD}rules:\n{rules}")).warnings().is_empty());
        let twice = vec!["p"; 9_998].join(", ");
        let text = format!("{HEAD}rules:\n- {{paths: [{twice}], recipients: [a], scopes: ['a/*']}}\n");
        assert_eq!(problems(&text).len(), 9_997);
        let names: Vec<String> = (0..9_998).map(|name| format!("n{name}")).collect();
        let text = format!("{HEAD}rules:\n- {{paths: [a], recipients: [{}], scopes: ['a/*']}}\n", names.join(", "));
        assert_eq!(policy(&text).rules()[0].recipients.len(), 9_998);
        // By the square of the number of texts, it would take minutes.
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }

    #[test]
    fn reads_a_whole_policy() {
        let policy = policy(GOOD);
        assert_eq!(policy.rules().len(), 2);
        let test = &policy.rules()[1];
        assert_eq!(test.names().collect::<Vec<_>>(), ["test", "recovery"]);
        assert_eq!(test.recipients[0].at, Location { line: 9, column: 5 });
        assert_eq!(test.at, Location { line: 7, column: 3 });
        assert_eq!(
            test.scopes.iter().map(Pattern::as_str).collect::<Vec<_>>(),
            ["shop-test/*", "shop-dev-*/db-{hash}"]
        );
        assert_eq!(policy.allow()[0].reason, "invented values in the manual");
        assert!(policy.server_side_apply());
        assert!(policy.warnings().is_empty());
        assert!(!self::policy(GOOD.strip_suffix("serverSideApply: true\n").unwrap()).server_side_apply());
    }

    #[test]
    fn the_encoding_and_line_ends_do_not_matter() {
        let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
        assert_eq!(policy(&text).rules().len(), 2);
        assert_eq!(policy(&format!("---\n{GOOD}---\n")).rules().len(), 2);
        let json = r#"{"apiVersion":"ageseal.dev/v1alpha1","kind":"Policy","rules":[{"paths":["**"],"recipients":["a"],"scopes":["*/*"]}]}"#;
        assert_eq!(policy(json).rules().len(), 1);
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(GOOD.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(Policy::parse(utf16).unwrap_err()[0].code, "encoding");
    }

    #[test]
    fn the_first_rule_that_matches_wins_and_there_is_no_default() {
        let text = rule("{paths: ['a/x/**'], recipients: [one], scopes: ['*/*']}")
            + "- {paths: ['a/**'], recipients: [two], scopes: ['*/*']}\n";
        let policy = policy(&format!("{HEAD}{text}"));
        assert_eq!(policy.rule_index("a/x/y/z.yaml"), Ok(0));
        assert_eq!(policy.rule_index("a/y.yaml"), Ok(1));
        assert_eq!(policy.rule_for("a/x/b.yaml").unwrap().recipients[0].name, "one");
        assert_eq!(
            policy.rule_for("b/y.yaml").unwrap_err(),
            PolicyError::NoRule { path: "b/y.yaml".into(), folder: None }
        );
        assert_eq!(policy.rule_for("").unwrap_err().code(), "no-rule");
    }

    #[test]
    fn a_folder_without_stars_is_pointed_at() {
        let error = policy(GOOD).rule_for("overlays/dev/a.yaml").unwrap_err();
        assert_eq!(error.to_string(), "no rule of the policy matches overlays/dev/a.yaml");
        assert!(error.hint().contains("write \"overlays/dev/**\""), "{}", error.hint());
        assert_eq!(error.place().1, Some(Location { line: 7, column: 31 }));
    }

    #[test]
    fn the_allow_list_is_asked_by_path() {
        let policy = policy(GOOD);
        assert_eq!(policy.allowed("docs/examples/a.yaml").unwrap().reason, "invented values in the manual");
        assert!(policy.allowed("docs/a.yaml").is_none());
    }

    #[test]
    fn a_scope_beyond_the_rule_names_both() {
        let policy = policy(GOOD);
        let prod = &policy.rules()[0];
        assert_eq!(prod.check_scope(&scope(&["shop-prod/*"])), Ok(()));
        assert_eq!(prod.check_scope(&scope(&["shop-prod/a", "shop-prod/b-{hash}"])), Ok(()));
        let error = prod.check_scope(&scope(&["shop-prod/a", "shop-test/a"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the scope shop-test/a goes beyond the policy, which allows shop-prod/* at this path"
        );
        assert!(prod.check_scope(&scope(&["*/*"])).is_err());
        assert!(policy.rules()[1].check_scope(&scope(&["shop-dev-1/db-{hash}", "shop-test/*"])).is_ok());
        assert!(policy.rules()[1].check_scope(&scope(&["shop-dev-1/*"])).is_err());
    }

    #[test]
    fn an_empty_policy_is_no_policy() {
        for text in ["", "\n", "# nothing\n", "---\n", "null\n", "---\n---\n"] {
            assert_eq!(problems(text)[0].code, "empty-policy", "{text:?}");
        }
        for text in ["[]", "a", "- a\n"] {
            assert_eq!(problems(text)[0].code, "wrong-type", "{text:?}");
        }
        assert_eq!(problems(&format!("{GOOD}---\n{GOOD}"))[0].code, "several-documents");
        assert_eq!(problems("a: [")[0].code, "yaml-syntax");
        assert_eq!(problems(&format!("{GOOD}kind: Policy\n"))[0].code, "duplicate-key");
    }

    #[test]
    fn version_and_kind_are_checked() {
        let codes = |text: &str| problems(text).iter().map(|problem| problem.code).collect::<Vec<_>>();
        let rules = rule("{paths: ['**'], recipients: [a], scopes: ['*/*']}");
        assert_eq!(codes(&rules), ["missing-field", "missing-field"]);
        let text = format!("apiVersion: ageseal.dev/v2\nkind: SealedSecret\n{rules}");
        assert_eq!(codes(&text), ["wrong-version", "wrong-version"]);
        assert_eq!(problems(&text)[0].message, "apiVersion is \"ageseal.dev/v2\", not ageseal.dev/v1alpha1");
        assert_eq!(codes(&format!("apiVersion: 1\nkind: {{}}\n{rules}")), ["wrong-type", "wrong-type"]);
    }

    #[test]
    fn unknown_fields_are_errors_with_a_suggestion() {
        let text = GOOD.replace("scopes: [\"shop-prod/*\"]", "scope: [\"shop-prod/*\"]").replace("allow:", "allowed:");
        let problems = problems(&text);
        let told: Vec<_> = problems.iter().map(|problem| (problem.code, problem.hint.as_deref().unwrap())).collect();
        assert_eq!(told[0].0, "missing-field");
        assert_eq!(told[1], ("unknown-field", "did you mean scopes?"));
        assert_eq!(told[2].0, "unknown-field");
        assert_eq!(problems[1].message, "rules[0] has the unknown field \"scope\"");
        assert_eq!(problems[1].at, Some(Location { line: 6, column: 3 }));
    }

    #[test]
    fn every_part_of_a_rule_is_required() {
        assert_eq!(found("rules: []\n"), [("empty-list", "3:8".into())]);
        assert_eq!(found("rules:\n"), [("wrong-type", "3:7".into())]);
        assert_eq!(found(""), [("missing-field", "1:1".into())]);
        assert_eq!(found("rules: [{}]\n"), vec![("missing-field", "3:9".to_owned()); 3]);
        assert_eq!(found("rules: [a]\n"), [("wrong-type", "3:9".into())]);
        let empty = rule("paths: []\nrecipients: []\nscopes: []");
        assert_eq!(
            found(&empty),
            [("empty-list", "4:10".into()), ("empty-list", "5:15".into()), ("empty-list", "6:11".into())]
        );
    }

    #[test]
    fn what_is_no_string_is_not_taken_for_one() {
        let text = rule("paths: '**'\nrecipients: [1, true, 'no', ~, [a], {a: b}]\nscopes: {a: b}");
        let told = problems(&format!("{HEAD}{text}"));
        let messages: Vec<_> = told.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "rules[0].paths is a string, not a list",
                "an item of rules[0].recipients is not a string to every YAML reader, not a string",
                "an item of rules[0].recipients is not a string to every YAML reader, not a string",
                "an item of rules[0].recipients is empty, not a string",
                "an item of rules[0].recipients is a list, not a string",
                "an item of rules[0].recipients is a mapping, not a string",
                "rules[0].scopes is a mapping, not a list",
            ]
        );
        assert_eq!(
            found(&(rule("{paths: ['**'], recipients: [a], scopes: ['*/*']}") + "serverSideApply: yes\n")).len(),
            1
        );
    }

    #[test]
    fn aliases_are_refused() {
        let text = rule("paths: ['**']\nrecipients: &a [a]\nscopes: ['*/*']")
            + "- paths: ['b/**']\n  recipients: *a\n  scopes: ['*/*']\n";
        assert_eq!(found(&text), [("wrong-type", "8:15".into())]);
    }

    #[test]
    fn names_globs_and_scopes_are_checked_where_they_stand() {
        let text = rule("paths: ['a/', 'b/**']\nrecipients: [Prod, prod, a_b, prod]\nscopes: [prod, 'a/*', 'a/*']");
        assert_eq!(
            found(&text),
            [
                ("bad-path-pattern", "4:11".into()),
                ("bad-name", "5:16".into()),
                ("bad-name", "5:28".into()),
                ("duplicate-item", "5:33".into()),
                ("bad-scope", "6:12".into()),
                ("duplicate-item", "6:25".into()),
            ]
        );
    }

    #[test]
    fn names_never_look_like_recipients() {
        for name in ["a", "prod", "prod-2", "0", "age", "ssh", "agent1"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(64);
        for name in ["", "-", "-a", "a-", "A", "a_b", "a.b", "a/b", "ä", "age1", "age1qqq", "ssh-rsa", &long] {
            assert!(!is_name(name), "{name}");
        }
        let key = "AGE-SECRET-KEY-1QQPQK6ZX";
        let told =
            problems(&format!("{HEAD}{}", rule(&format!("{{paths: ['**'], recipients: [{key}], scopes: ['*/*']}}"))));
        assert_eq!(told[0].code, "private-key");
        assert!(!format!("{told:?}").contains("QQPQK6ZX"));
    }

    #[test]
    fn an_allowance_needs_a_reason() {
        let rules = rule("{paths: ['**'], recipients: [a], scopes: ['*/*']}");
        assert_eq!(found(&format!("{rules}allow: [{{paths: [a]}}]\n")), [("missing-field", "5:9".into())]);
        assert_eq!(found(&format!("{rules}allow:\n- paths: [a]\n  reason: ' '\n")), [("missing-field", "7:11".into())]);
        assert_eq!(found(&format!("{rules}allow:\n- reason: b\n")), [("missing-field", "6:3".into())]);
    }

    #[test]
    fn hidden_rules_are_warned_about() {
        let text = rule("{paths: ['a/**', '**'], recipients: [a], scopes: ['*/*']}")
            + "- {paths: ['a/**'], recipients: [b], scopes: ['*/*']}\n- {paths: [c], recipients: [b], scopes: ['*/*']}\n";
        let policy = policy(&format!("{HEAD}{text}"));
        let places: Vec<_> = policy.warnings().iter().map(|problem| problem.at.unwrap().line).collect();
        assert_eq!(places, [5, 6]);
        assert!(policy.warnings().iter().all(|problem| !problem.is_error()));
    }
}
