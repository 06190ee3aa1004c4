//! The config of the generator, read strictly: a field that is misread is a Secret that is missing.

use ageseal::format::API_VERSION;
use ageseal::problem::Problem;
use ageseal::yaml::{Node, Stream};

/// The kind of the config.
pub(super) const KIND: &str = "AgesealGenerator";

/// The most files of one config.
const MAX_FILES: usize = 1_000;

const FIELDS: [&str; 8] = ["apiVersion", "kind", "metadata", "files", "emit", "namespace", "needsHash", "behavior"];

/// What is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emit {
    /// The sealed documents.
    SealedSecret,
    /// The Secrets, opened.
    Secret,
}

/// What the config says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// The sealed files, from the folder of the kustomization.
    pub(super) files: Vec<String>,
    /// What is emitted.
    pub(super) emit: Emit,
    /// The namespace of documents that name none.
    pub(super) namespace: Option<String>,
    /// Whether kustomize is to add a hash of the content to the names.
    pub(super) needs_hash: bool,
    /// What kustomize does with an object that is there already.
    pub(super) behavior: Option<String>,
}

impl Config {
    /// The config in the ResourceList that a KRM function gets.
    ///
    /// # Errors
    /// It is none, or the config in it is not one of ours.
    pub(super) fn of_resource_list(stream: &Stream) -> Result<Self, Problem> {
        let root = only(stream, "the ResourceList")?;
        let says = |field: &str| root.get(field).and_then(|node| node.as_string());
        let version = says("apiVersion").is_some_and(|version| version.starts_with("config.kubernetes.io/v1"));
        if !version || says("kind") != Some("ResourceList") {
            return Err(Problem::error("no-resource-list", "this is no ResourceList of config.kubernetes.io/v1")
                .at(root.location())
                .hint("kustomize writes one; a config itself is named as an argument"));
        }
        let kind = |item: &Node<'_>| item.get("kind").and_then(|kind| kind.as_string()) == Some(KIND);
        let mut items = root.get("items").into_iter().flat_map(|list| list.items());
        if let Some(other) = items.find(|item| !kind(item)) {
            let fact = "the ResourceList holds other objects, and what a transformer does not give back is gone";
            return Err(Problem::error("not-a-transformer", fact)
                .at(other.location())
                .hint("list the config in generators: of the kustomization, not in transformers:"));
        }
        let Some(config) = root.get("functionConfig") else {
            return Err(Problem::error("no-config", "the ResourceList has no functionConfig").at(root.location()));
        };
        Self::read(config)
    }

    /// The config as a document of its own, which a legacy plugin gets.
    ///
    /// # Errors
    /// It is not one of ours.
    pub(super) fn of_document(stream: &Stream) -> Result<Self, Problem> {
        Self::read(only(stream, "the config")?)
    }

    fn read(node: Node<'_>) -> Result<Self, Problem> {
        if !node.is_mapping() {
            return Err(Problem::error("wrong-kind", "the config is not a mapping").at(node.location()));
        }
        for (key, _) in node.entries() {
            if key.as_string().is_none_or(|name| !FIELDS.contains(&name)) {
                return Err(Problem::error("unknown-field", "the config has a field that is not known")
                    .at(key.location())
                    .hint(format!("the fields are {}", FIELDS.join(", "))));
            }
        }
        for (field, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            if text(node, field)?.as_deref() != Some(wanted) {
                let at = node.get(field).unwrap_or(node).location();
                return Err(
                    Problem::error("wrong-version", format!("the {field} of the config is not {wanted}")).at(at)
                );
            }
        }
        let emit = match text(node, "emit")?.as_deref() {
            None | Some("SealedSecret") => Emit::SealedSecret,
            Some("Secret") => Emit::Secret,
            Some(_) => return Err(wrong(node, "emit", "neither SealedSecret nor Secret")),
        };
        let behavior = text(node, "behavior")?;
        match behavior.as_deref() {
            None | Some("create" | "replace") => {}
            Some("merge") if emit == Emit::Secret => {}
            Some("merge") => {
                return Err(wrong(
                    node,
                    "behavior",
                    "possible for sealed documents: kustomize would replace all values",
                )
                .hint("say replace; for single values, make an overlay patch with ageseal set --for"));
            }
            Some(_) => return Err(wrong(node, "behavior", "create, merge or replace")),
        }
        let needs_hash = match node.get("needsHash") {
            None => false,
            Some(flag) => flag.as_bool().ok_or_else(|| wrong(node, "needsHash", "true or false"))?,
        };
        Ok(Self { files: file_list(node)?, emit, namespace: text(node, "namespace")?, needs_hash, behavior })
    }
}

fn file_list(node: Node<'_>) -> Result<Vec<String>, Problem> {
    let Some(list) = node.get("files") else {
        return Err(Problem::error("missing-field", "the config has no files")
            .at(node.location())
            .hint("list the sealed files, from the folder of the kustomization"));
    };
    let count = list.items().count();
    if !list.is_sequence() || count == 0 {
        return Err(wrong(node, "files", "a list of sealed files"));
    }
    if count > MAX_FILES {
        let fact = format!("files of the config has {count} entries; {MAX_FILES} is the most");
        return Err(Problem::error("too-many", fact).at(list.location()));
    }
    let entry = |item: Node<'_>| {
        let text = item.as_string().filter(|text| !text.is_empty()).map(str::to_owned);
        text.ok_or_else(|| {
            Problem::error("not-a-string", "an entry of files is not a path").at(item.location()).hint("quote it")
        })
    };
    list.items().map(entry).collect()
}

fn only<'a>(stream: &'a Stream, what: &str) -> Result<Node<'a>, Problem> {
    let mut roots = stream.documents().filter_map(|document| document.root());
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root),
        (None, _) => Err(Problem::error("no-document", format!("{what} is empty"))),
        (_, Some(second)) => {
            Err(Problem::error("several-documents", format!("there is a document beside {what}")).at(second.location()))
        }
    }
}

/// A field that is a text, or nothing.
fn text(node: Node<'_>, field: &str) -> Result<Option<String>, Problem> {
    match node.get(field) {
        None => Ok(None),
        Some(value) => match value.as_string().filter(|text| !text.is_empty()) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(wrong(node, field, "a text").hint("quote it, or leave the field out")),
        },
    }
}

fn wrong(node: Node<'_>, field: &str, wanted: &str) -> Problem {
    let at = node.get(field).unwrap_or(node).location();
    let is = if wanted.starts_with("neither") { "is" } else { "is not" };
    Problem::error("bad-field", format!("{field} of the config {is} {wanted}")).at(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: ageseal.dev/v1alpha1\nkind: AgesealGenerator\nmetadata: {name: g}\n";

    fn read(fields: &str) -> Result<Config, &'static str> {
        let stream = Stream::parse(format!("{HEAD}{fields}")).unwrap();
        Config::of_document(&stream).map_err(|problem| problem.code)
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let config = read("files: [a.yaml]\n").unwrap();
        let plain = Config {
            files: vec!["a.yaml".to_owned()],
            emit: Emit::SealedSecret,
            namespace: None,
            needs_hash: false,
            behavior: None,
        };
        assert_eq!(config, plain);
        let all = read("files: [a.yaml, b/c.yaml]\nemit: Secret\nnamespace: x\nneedsHash: true\nbehavior: merge\n");
        let all = all.unwrap();
        assert_eq!((all.emit, all.needs_hash, all.behavior.as_deref()), (Emit::Secret, true, Some("merge")));
        assert_eq!((all.files.len(), all.namespace.as_deref()), (2, Some("x")));
    }

    #[test]
    fn a_resource_list_holds_the_config() {
        let list = |config: &str| {
            format!("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nfunctionConfig: {config}\nitems: []\n")
        };
        let read =
            |text: String| Config::of_resource_list(&Stream::parse(text).unwrap()).map_err(|problem| problem.code);
        let config = "{apiVersion: ageseal.dev/v1alpha1, kind: AgesealGenerator, files: [a.yaml]}";
        assert!(read(list(config)).is_ok());
        assert_eq!(read(list("null")), Err("wrong-kind"));
        // kustomize gives a generator its own config as the only item; a transformer gets everything that is built.
        let items = |kind: &str| list(config).replace("items: []", &format!("items: [{{kind: {kind}}}]"));
        assert!(read(items("AgesealGenerator")).is_ok());
        assert_eq!(read(items("Deployment")), Err("not-a-transformer"));
        assert_eq!(read(list(config).replace("v1\n", "v2\n")), Err("no-resource-list"));
        assert_eq!(read(list(config).replace("functionConfig", "items2")), Err("no-config"));
        assert_eq!(read(format!("{}---\na: b\n", list(config))), Err("several-documents"));
    }

    #[test]
    fn nothing_is_misread() {
        for (fields, code) in [
            ("", "missing-field"),
            ("files: []\n", "bad-field"),
            ("files: a.yaml\n", "bad-field"),
            ("files: [1]\n", "not-a-string"),
            ("files: [\"\"]\n", "not-a-string"),
            ("files: [{a: b}]\n", "not-a-string"),
            ("files: [a.yaml]\nfile: [b.yaml]\n", "unknown-field"),
            ("files: [a.yaml]\nidentity: /etc/key\n", "unknown-field"),
            ("files: [a.yaml]\nemit: secret\n", "bad-field"),
            ("files: [a.yaml]\nneedsHash: \"true\"\n", "bad-field"),
            ("files: [a.yaml]\nbehavior: merge\n", "bad-field"),
            ("files: [a.yaml]\nbehavior: append\n", "bad-field"),
            ("files: [a.yaml]\nnamespace: \"\"\n", "bad-field"),
        ] {
            assert_eq!(read(fields), Err(code), "{fields}");
        }
        let many = format!("files: [{}a]\n", "a, ".repeat(1_000));
        assert_eq!(read(&many), Err("too-many"));
    }
}
