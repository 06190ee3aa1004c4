//! The entries of `secretGenerator` in a kustomization, each at its place.

use std::collections::BTreeMap;

use crate::kustomize::{LOCAL, field, follow};
use crate::problem::{Location, Problem};
use crate::yaml::{Node, PlainType, ScalarStyle, Stream};

/// A text of a kustomization, and where it stands.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The text: of a literal, it holds a value.
    pub text: &'a str,
    /// Where it stands.
    pub at: Location,
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("text", &"<redacted>").field("at", &self.at).finish()
    }
}

/// What a generator does with a Secret of its name that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// There must be none.
    Create,
    /// It adds to it.
    Merge,
    /// It takes its place.
    Replace,
}

/// An entry of `secretGenerator`, with what `generatorOptions` say for all of them.
#[derive(Clone, Debug)]
pub struct Generator<'a> {
    /// Its number in the list, from 0.
    pub index: usize,
    /// Where it stands.
    pub at: Location,
    /// The name.
    pub name: &'a str,
    /// The namespace, if it says one.
    pub namespace: Option<&'a str>,
    /// The behavior; a word that kustomize does not know means create.
    pub behavior: Behavior,
    /// The type, if it says one.
    pub secret_type: Option<&'a str>,
    /// Files of variables.
    pub envs: Vec<Source<'a>>,
    /// Literals.
    pub literals: Vec<Source<'a>>,
    /// Files.
    pub files: Vec<Source<'a>>,
    /// The labels of the Secret.
    pub labels: BTreeMap<String, String>,
    /// The annotations of the Secret.
    pub annotations: BTreeMap<String, String>,
    /// Whether the Secret is immutable.
    pub immutable: bool,
    /// Whether a hash of the content is added to the name.
    pub hashed: bool,
}

impl Generator<'_> {
    /// Whether the Secret is dropped at the end: it is a shadow, or of use to the build alone.
    pub fn is_dropped(&self) -> bool {
        self.annotations.get(LOCAL).is_some_and(|value| value != "false")
    }
}

/// The entries of a kustomization, in order.
///
/// # Errors
/// Everything that kustomize refuses in them, at once and each at its place.
pub fn read(kustomization: &Stream) -> Result<Vec<Generator<'_>>, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new() };
    let root = kustomization.documents().find_map(|document| document.root());
    let all = root.and_then(|root| field(root, "generatorOptions"));
    let all = all.map(|node| reader.options(node)).unwrap_or_default();
    let list = root.and_then(|root| field(root, "secretGenerator"));
    let found = list.map(|list| reader.list(list, "secretGenerator")).unwrap_or_default();
    let found: Vec<_> =
        found.into_iter().enumerate().filter_map(|(index, node)| reader.generator(index, node, &all)).collect();
    if reader.problems.is_empty() { Ok(found) } else { Err(reader.problems) }
}

const FIELDS: [&str; 9] = ["name", "namespace", "behavior", "type", "literals", "files", "envs", "env", "options"];
const OPTIONS: [&str; 4] = ["labels", "annotations", "disableNameSuffixHash", "immutable"];

#[derive(Clone, Debug, Default)]
struct Options {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    no_hash: bool,
    immutable: bool,
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn say(&mut self, at: Location, code: &'static str, message: impl Into<String>) {
        self.problems.push(Problem::error(code, message).at(at));
    }

    fn generator<'a>(&mut self, index: usize, node: Node<'a>, all: &Options) -> Option<Generator<'a>> {
        let at = node.location();
        if !self.only_known(node, "an entry of secretGenerator", &FIELDS) {
            return None;
        }
        let own = field(node, "options").map(|options| self.options(options)).unwrap_or_default();
        let Some(name) = self.text(node, "name") else {
            self.say(at, "missing-name", "this entry of secretGenerator has no name");
            return None;
        };
        let mut envs = self.sources(node, "envs");
        envs.extend(
            self.text(node, "env").map(|text| Source { text, at: field(node, "env").map_or(at, |env| env.location()) }),
        );
        let mut generator = Generator {
            index,
            at,
            name,
            namespace: self.text(node, "namespace"),
            behavior: match self.text(node, "behavior") {
                Some("merge") => Behavior::Merge,
                Some("replace") => Behavior::Replace,
                _ => Behavior::Create,
            },
            secret_type: self.text(node, "type"),
            envs,
            literals: self.sources(node, "literals"),
            files: self.sources(node, "files"),
            labels: own.labels,
            annotations: own.annotations,
            // True for all cannot be taken back for one.
            immutable: own.immutable || all.immutable,
            hashed: !own.no_hash && !all.no_hash,
        };
        for (map, others) in [(&mut generator.labels, &all.labels), (&mut generator.annotations, &all.annotations)] {
            for (key, value) in others {
                map.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        Some(generator)
    }

    fn options(&mut self, node: Node<'_>) -> Options {
        if !self.only_known(node, "the options of a generator", &OPTIONS) {
            return Options::default();
        }
        Options {
            labels: self.map(node, "labels"),
            annotations: self.map(node, "annotations"),
            no_hash: self.flag(node, "disableNameSuffixHash"),
            immutable: self.flag(node, "immutable"),
        }
    }

    fn only_known(&mut self, node: Node<'_>, what: &str, known: &[&str]) -> bool {
        if !node.is_mapping() {
            self.say(node.location(), "bad-field", format!("{what} is not a mapping"));
            return false;
        }
        let mut seen: Vec<String> = Vec::new();
        for (key, _) in node.entries() {
            let name = key.str().unwrap_or_default().to_ascii_lowercase();
            if !known.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                // The name is not shown: a merge key or a value in the wrong place would be.
                self.say(key.location(), "unknown-field", format!("{what} has no such field"));
            } else if seen.contains(&name) {
                self.say(key.location(), "duplicate-key", format!("{what} has this field twice, in different case"));
            }
            seen.push(name);
        }
        true
    }

    fn text<'a>(&mut self, node: Node<'a>, name: &'static str) -> Option<&'a str> {
        let node = field(node, name)?;
        self.string(node, name).filter(|text| !text.is_empty())
    }

    /// A text to kustomize, which reads YAML 1.1.
    fn string<'a>(&mut self, node: Node<'a>, what: &str) -> Option<&'a str> {
        // A date is a text there.
        let date = node.str().filter(|_| node.tag().is_none() && node.plain_type() == PlainType::Timestamp);
        let text = node.as_string().or(date);
        if text.is_none() {
            self.problems.push(
                Problem::error("not-a-string", format!("{what} is not a string to kustomize"))
                    .at(node.location())
                    .hint(format!("put {what} into quotes")),
            );
        }
        text
    }

    fn list<'a>(&mut self, node: Node<'a>, name: &str) -> Vec<Node<'a>> {
        if !node.is_sequence() {
            self.say(node.location(), "bad-field", format!("{name} is not a list"));
        }
        node.items().map(follow).collect()
    }

    fn sources<'a>(&mut self, node: Node<'a>, name: &'static str) -> Vec<Source<'a>> {
        let Some(list) = field(node, name) else { return Vec::new() };
        let items = self.list(list, name);
        let one = format!("an item of {name}");
        items
            .into_iter()
            .filter_map(|item| Some(Source { text: self.string(item, &one)?, at: item.location() }))
            .collect()
    }

    fn map(&mut self, node: Node<'_>, name: &'static str) -> BTreeMap<String, String> {
        let Some(map) = field(node, name) else { return BTreeMap::new() };
        if !map.is_mapping() {
            self.say(map.location(), "bad-field", format!("{name} is not a mapping"));
        }
        let one = format!("a value of {name}");
        let entries = map.entries().map(|(key, value)| (follow(key), follow(value)));
        entries
            .filter_map(|(key, value)| {
                if key.plain_type() == PlainType::Ambiguous && key.str() == Some("<<") {
                    self.say(key.location(), "merge-key", format!("{name} has a merge key: write it out"));
                    return None;
                }
                let text = if value.is_null() { Some("") } else { self.string(value, &one) };
                Some((key.str()?.to_owned(), text?.to_owned()))
            })
            .collect()
    }

    fn flag(&mut self, node: Node<'_>, name: &'static str) -> bool {
        let Some(node) = field(node, name) else { return false };
        let plain = node.scalar_style() == Some(ScalarStyle::Plain) && node.tag().is_none();
        let text = node.str().filter(|_| plain).unwrap_or_default().to_ascii_lowercase();
        match text.as_str() {
            "true" | "yes" | "on" | "y" => true,
            "false" | "no" | "off" | "n" => false,
            _ => {
                self.say(node.location(), "bad-field", format!("{name} is neither true nor false"));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let stream = Stream::parse(text.to_owned()).unwrap();
        match read(&stream) {
            Ok(found) => panic!("{found:?}"),
            Err(problems) => {
                problems.iter().map(|problem| format!("{} {}", problem.code, problem.at.unwrap())).collect()
            }
        }
    }

    #[test]
    fn entries_are_read_with_the_options_of_all() {
        let text = "\
generatorOptions:
  labels: {a: all, b: all}
  immutable: true
secretGenerator:
- name: db
  Type: kubernetes.io/basic-auth
  literals: [username=u, &p password=canary]
  files:
  - a.txt
  env: e.env
  options: {labels: {a: own}, disableNameSuffixHash: yes}
- {name: other, namespace: ns, behavior: merge, literals: [*p]}
";
        let stream = Stream::parse(text.to_owned()).unwrap();
        let found = read(&stream).unwrap();
        let db = &found[0];
        assert_eq!((db.name, db.secret_type, db.behavior), ("db", Some("kubernetes.io/basic-auth"), Behavior::Create));
        assert_eq!((db.labels["a"].as_str(), db.labels["b"].as_str()), ("own", "all"));
        assert_eq!((db.immutable, db.hashed, db.is_dropped()), (true, false, false));
        assert_eq!((db.literals.len(), db.files[0].text, db.envs[0].text), (2, "a.txt", "e.env"));
        assert_eq!(db.literals[1].at, Location { line: 7, column: 29 });
        let other = &found[1];
        assert_eq!((other.namespace, other.behavior, other.hashed), (Some("ns"), Behavior::Merge, true));
        assert_eq!(other.literals[0].text, "password=canary");
        assert!(!format!("{found:?}").contains("canary"));
    }

    #[test]
    fn what_kustomize_refuses_is_refused_at_its_place() {
        assert_eq!(told("secretGenerator: x\n"), ["bad-field 1:18"]);
        assert_eq!(told("secretGenerator:\n- x\n"), ["bad-field 2:3"]);
        assert_eq!(told("secretGenerator:\n- literals: [a=b]\n"), ["missing-name 2:3"]);
        assert_eq!(told("secretGenerator:\n- name: db\n  literal: [a=b]\n"), ["unknown-field 3:3"]);
        assert_eq!(told("secretGenerator:\n- name: db\n  NAME: db\n"), ["duplicate-key 3:3"]);
        assert_eq!(told("secretGenerator:\n- name: 0777\n"), ["not-a-string 2:9", "missing-name 2:3"]);
        assert_eq!(
            told("secretGenerator:\n- name: db\n  literals: [1, {a: b}]\n"),
            ["not-a-string 3:14", "not-a-string 3:17"]
        );
        assert_eq!(
            told("secretGenerator:\n- name: db\n  options: {immutable: \"true\", x: y}\n"),
            ["unknown-field 3:32", "bad-field 3:24"]
        );
        assert_eq!(told("generatorOptions: {labels: {a: 1}}\n"), ["not-a-string 1:32"]);
        assert_eq!(told("secretGenerator:\n- <<: {name: x}\n"), ["unknown-field 2:3", "missing-name 2:3"]);
    }

    #[test]
    fn kustomizations_without_generators_have_none() {
        for text in ["", "resources: [a.yaml]\n", "secretGenerator:\n", "secretGenerator: []\n"] {
            let stream = Stream::parse(text.to_owned()).unwrap();
            assert_eq!(read(&stream).unwrap().len(), 0, "{text}");
        }
    }
}
