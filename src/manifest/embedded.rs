//! Plaintext Secrets that hide inside other objects: in the texts of a ConfigMap, in `last-applied-configuration`, in
//! inline patches and templates.

use super::base64;
use super::fields::resolve;
use super::metadata::LAST_APPLIED;
use super::objects::{Object, ObjectKind, field, is_core, objects};
use crate::problem::Location;
use crate::yaml::{Node, ScalarStyle, Stream, YamlError};

/// How deep a text in a text in a text is read.
const MAX_DEPTH: usize = 3;

/// The most bytes of a path that are shown: its end.
const MAX_PATH: usize = 512;

/// A Secret with values that stands inside something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Where in the outer file: the line of the inner object where the text is a block after `|`, else where the text
    /// begins.
    pub at: Location,
    /// What holds it: the kind and name of the outermost object.
    pub host: String,
    /// The field of the host that holds it, such as `data.manifests.yaml`.
    pub path: String,
    /// The name of the inner Secret, if it has one.
    pub name: Option<String>,
    /// The namespace of the inner Secret, if it has one.
    pub namespace: Option<String>,
    /// Its data keys. Never its values.
    pub keys: Vec<String>,
    /// Whether it was read as a Secret. If not, the text is no YAML (a template, a script), and only has the lines that a
    /// Secret has.
    pub certain: bool,
}

/// Whether a file can hold a Secret, in any spelling that a YAML or JSON reader takes: if not, it need not be parsed.
///
/// `kind: Secret` is written with these six letters in a row unless an escape (a backslash in double quotes) or base64
/// (`binaryData` of a ConfigMap, `!!binary`) stands in their place: line folding puts a blank between letters, and the
/// other styles know no escapes. What looks like UTF-16 or UTF-32 is left to the parser, which refuses it by name.
pub fn could_hold_secret(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'S' | b'\\' | b'b' | 0 | 0xfe | 0xff)) {
        rest = &rest[at..];
        match rest[0] {
            b'S' if !rest.starts_with(b"Secret") => {}
            b'b' if !rest.starts_with(b"binary") => {}
            _ => return true,
        }
        rest = &rest[1..];
    }
    false
}

/// Whether an object of kind Secret holds a value: a key of `data` or `stringData` that is neither null nor empty.
///
/// One that holds none leaks nothing: the cluster fills it, or somebody else does.
pub fn holds_values(secret: Node<'_>) -> bool {
    !keys_with_values(secret).is_empty()
}

fn keys_with_values(secret: Node<'_>) -> Vec<String> {
    let mut keys = Vec::new();
    for map in ["data", "stringData"].into_iter().filter_map(|name| field(secret, name)) {
        if map.is_mapping() {
            // A merge key brings the values of another mapping, and a value under no name is a value all the same.
            let with_values = map.entries().filter(|(_, value)| is_value(*value));
            keys.extend(with_values.map(|(key, _)| key.str().unwrap_or_default().to_owned()));
        } else if is_value(map) {
            keys.push(String::new());
        }
    }
    keys
}

fn is_value(node: Node<'_>) -> bool {
    let node = resolve(node);
    if node.is_scalar() {
        let nothing = node.is_null() || node.str().is_none_or(str::is_empty);
        // `!hunter2` and `&hunter2` without quotes are a tag and an anchor of nothing.
        return !nothing || node.tag().is_some() || node.anchor().is_some();
    }
    node.entries().next().is_some() || node.items().next().is_some()
}

/// Every plaintext Secret inside the objects of a stream that are not Secrets themselves.
///
/// Looked at: every text that can hold one (values of ConfigMaps, annotations, inline patches), `binaryData` of
/// ConfigMaps, and mappings of any depth that say `kind: Secret` (templates). Secrets that are documents or items of lists
/// are not told: [`objects`] finds those.
pub fn embedded(stream: &Stream) -> Vec<Embedded> {
    embedded_at(stream, 0)
}

fn embedded_at(stream: &Stream, depth: usize) -> Vec<Embedded> {
    let mut found = Vec::new();
    for document in stream.documents() {
        if let Some(root) = document.root().filter(|root| !root.is_mapping()) {
            let host = format!("document {}", document.index() + 1);
            Walk { host, depth, found: &mut found }.node(root, &Path::Top);
        }
    }
    for object in objects(stream) {
        let mut walk = Walk { host: describe(&object), depth, found: &mut found };
        match object.kind {
            // Its own values are told of it already; without any, the annotation may still hold some.
            ObjectKind::Secret if holds_values(object.node) => {}
            ObjectKind::Secret | ObjectKind::SealedSecret | ObjectKind::List => {
                if let Some(metadata) = object.node.get("metadata") {
                    walk.node(metadata, &Path::Key(&Path::Top, "metadata"));
                }
            }
            ObjectKind::Other => walk.node(object.node, &Path::Top),
        }
    }
    found.sort_by_key(|one| one.at);
    found
}

fn describe(object: &Object<'_>) -> String {
    let kind = object.kind_name.unwrap_or("object without a kind");
    object.name().map_or_else(|| kind.to_owned(), |name| format!("{kind} {name}"))
}

/// The way from an object to a node in it: put into words only where something was found.
enum Path<'p> {
    Top,
    Key(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl Path<'_> {
    fn ends_with(&self, key: &str) -> bool {
        matches!(self, Path::Key(_, last) if *last == key)
    }

    /// `data.manifests.yaml`, `objects[0]`.
    fn text(&self) -> String {
        let mut steps = Vec::new();
        let mut at = self;
        loop {
            at = match at {
                Path::Top => break,
                Path::Key(above, key) => {
                    steps.push(format!(".{}", end_of(key, MAX_PATH)));
                    above
                }
                Path::Item(above, index) => {
                    steps.push(format!("[{index}]"));
                    above
                }
            };
        }
        let text: String = steps.into_iter().rev().collect();
        end_of(text.strip_prefix('.').unwrap_or(&text), MAX_PATH).to_owned()
    }
}

/// The last bytes of a text, at most so many.
fn end_of(text: &str, most: usize) -> &str {
    let mut start = text.len().saturating_sub(most);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// Where a text that stands in a scalar lies in the file.
struct Frame {
    outer: Location,
    /// How far its lines are indented, if it is a block after `|`: then places in it are known exactly.
    indent: Option<usize>,
}

impl Frame {
    /// A text that is nowhere as it is, such as one in base64: all of it is where the scalar begins.
    fn opaque(host: Node<'_>) -> Self {
        Self { outer: host.location(), indent: None }
    }

    fn of(host: Node<'_>, text: &str) -> Self {
        let blanks = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let literal = host.scalar_style() == Some(ScalarStyle::Literal);
        let mut lines = host.source().lines().skip(1).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let first = if literal { lines.next() } else { None };
        let indent = first.map(|(source, line)| blanks(source).saturating_sub(blanks(line)));
        Self { outer: host.location(), indent }
    }

    /// The place in the file of a place in the text.
    fn place(&self, inner: Location) -> Location {
        let Some(indent) = self.indent else { return self.outer };
        Location { line: self.outer.line + inner.line, column: indent + inner.column }
    }
}

struct Walk<'f> {
    host: String,
    depth: usize,
    found: &'f mut Vec<Embedded>,
}

impl Walk<'_> {
    // The recursion is bounded by the nesting that the stream allows.
    fn node(&mut self, node: Node<'_>, path: &Path<'_>) {
        if node.is_mapping() {
            if is_nested_secret(node) {
                self.tell(node.location(), path, node);
                return;
            }
            let is_config_map = text_of(node, "kind") == Some("ConfigMap") && is_core(text_of(node, "apiVersion"));
            for (key, value) in node.entries() {
                let key = key.str().unwrap_or("?");
                let path = Path::Key(path, key);
                if is_config_map && key == "binaryData" {
                    self.binary_data(value, &path);
                } else {
                    self.node(value, &path);
                }
            }
        } else if let Some(text) = node.str() {
            self.text(text, path, || Frame::of(node, text));
        } else {
            for (index, item) in node.items().enumerate() {
                self.node(item, &Path::Item(path, index));
            }
        }
    }

    fn binary_data(&mut self, map: Node<'_>, path: &Path<'_>) {
        for (key, value) in map.entries() {
            let Some(bytes) = value.str().and_then(|text| base64::decode(text.as_bytes())) else { continue };
            let Ok(text) = std::str::from_utf8(&bytes) else { continue };
            self.text(text, &Path::Key(path, key.str().unwrap_or("?")), || Frame::opaque(value));
        }
    }

    /// Reads a text as a stream of its own; `frame` is where it stands.
    fn text(&mut self, text: &str, path: &Path<'_>, frame: impl FnOnce() -> Frame) {
        // One word or one line is a name or a sentence; JSON may stand in one line.
        let may_be_object = text.contains('\n') || text.trim_start().starts_with('{') || path.ends_with(LAST_APPLIED);
        if self.depth >= MAX_DEPTH || !may_be_object || !could_hold_secret(text.as_bytes()) {
            return;
        }
        let frame = frame();
        let inner = match Stream::parse(text.to_owned()) {
            Ok(inner) => inner,
            Err(YamlError::Syntax { .. }) => return self.unreadable(text, path, &frame),
            Err(_) => return self.refused(text, path, &frame),
        };
        for object in objects(&inner) {
            if object.kind == ObjectKind::Secret && holds_values(object.node) {
                self.tell(frame.place(object.node.location()), path, object.node);
            }
        }
        for mut one in embedded_at(&inner, self.depth + 1) {
            one.at = frame.place(one.at);
            one.path = format!("{}: {}: {}", path.text(), one.host, one.path);
            one.host.clone_from(&self.host);
            self.found.push(one);
        }
    }

    /// A template or a script is no YAML: document by document, look for the lines that a Secret has.
    fn unreadable(&mut self, text: &str, path: &Path<'_>, frame: &Frame) {
        let mut kind_at = None;
        let mut data = false;
        for (index, line) in text.lines().chain(["---"]).enumerate() {
            let line = line.trim();
            if line.starts_with("---") {
                if let Some(line) = kind_at.take().filter(|_| data) {
                    self.suspect(line, path, frame);
                }
                data = false;
                continue;
            }
            let word = |name: &str| {
                let line = line.trim_start_matches(['"', '\'', '-', ' ']);
                line.strip_prefix(name).map(|rest| rest.trim_matches(['"', '\'', ' ', ':', ',']))
            };
            if word("kind") == Some("Secret") {
                kind_at = Some(index + 1);
            }
            data |= word("data") == Some("") || word("stringData") == Some("");
        }
    }

    /// A text that is YAML to others, with a directive, a key twice or too much of everything, may be written in any
    /// style: it is told if it says anywhere in it that it is a Secret.
    fn refused(&mut self, text: &str, path: &Path<'_>, frame: &Frame) {
        let says_secret = |line: &str| {
            line.split("kind").skip(1).any(|rest| {
                let value = rest.trim_start_matches(['"', '\'', ' ', '\t', ':']);
                value.len() < rest.len()
                    && value.strip_prefix("Secret").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
            })
        };
        if let Some(index) = text.lines().position(says_secret) {
            self.suspect(index + 1, path, frame);
        }
    }

    fn suspect(&mut self, line: usize, path: &Path<'_>, frame: &Frame) {
        self.found.push(Embedded {
            at: frame.place(Location { line, column: 1 }),
            host: self.host.clone(),
            path: path.text(),
            name: None,
            namespace: None,
            keys: Vec::new(),
            certain: false,
        });
    }

    fn tell(&mut self, at: Location, path: &Path<'_>, secret: Node<'_>) {
        let metadata = |key: &str| Some(field(field(secret, "metadata")?, key)?.str()?.to_owned());
        self.found.push(Embedded {
            at,
            host: self.host.clone(),
            path: path.text(),
            name: metadata("name"),
            namespace: metadata("namespace"),
            keys: keys_with_values(secret),
            certain: true,
        });
    }
}

/// A mapping inside an object that says it is a Secret: a reference has no values.
fn is_nested_secret(node: Node<'_>) -> bool {
    text_of(node, "kind") == Some("Secret")
        && text_of(node, "apiVersion").is_some_and(|version| is_core(Some(version)))
        && holds_values(node)
}

fn text_of<'a>(node: Node<'a>, key: &str) -> Option<&'a str> {
    field(node, key)?.str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Embedded> {
        assert!(could_hold_secret(text.as_bytes()), "the prefilter lets it by: {text}");
        embedded(&Stream::parse(text.to_owned()).unwrap())
    }

    fn one(text: &str) -> Embedded {
        let mut all = found(text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: host}\ndata:\n  all.yaml: |\n    # one\n    apiVersion: v1\n    kind: ConfigMap\n    ---\n    apiVersion: v1\n    kind: Secret\n    metadata:\n      name: inner\n      namespace: ns\n    stringData:\n      password: hunter2\n";

    #[test]
    fn a_manifest_in_a_config_map_is_found_with_its_line() {
        let one = one(CONFIG_MAP);
        assert_eq!(one.at, Location { line: 10, column: 5 });
        assert_eq!((one.host.as_str(), one.path.as_str()), ("ConfigMap host", "data.all.yaml"));
        assert_eq!((one.name.as_deref(), one.namespace.as_deref()), (Some("inner"), Some("ns")));
        assert_eq!(one.keys, ["password"]);
        assert!(one.certain);
        assert!(!format!("{one:?}").contains("hunter2"));
    }

    #[test]
    fn json_in_a_config_map_and_a_list_in_it_are_found() {
        let json = r#"{"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "{\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"\\u0053ecret\",\"data\":{\"k\":\"eA==\"}}]}"}}"#;
        assert_eq!(one(json).keys, ["k"]);
    }

    #[test]
    fn binary_data_is_decoded() {
        let base64 = "YXBpVmVyc2lvbjogdjEKa2luZDogU2VjcmV0CmRhdGE6IHtrOiBlQT09fQo=";
        let text = format!("apiVersion: v1\nkind: ConfigMap\nbinaryData:\n  m.yaml: {base64}\n");
        assert_eq!(one(&text).path, "binaryData.m.yaml");
    }

    #[test]
    fn last_applied_of_any_object_is_read() {
        let text = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: x\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\"},\"data\":{\"p\":\"aHVudGVyMg==\"}}\n";
        let found = one(text);
        assert_eq!((found.at.line, found.keys), (7, vec!["p".to_owned()]));
        let of_a_secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"p\":\"eA==\"}}'\n";
        assert_eq!(one(of_a_secret).at.line, 5);
        assert!(found_none(&format!("{of_a_secret}data: {{p: eA==}}\n")), "the Secret itself is told");
    }

    fn found_none(text: &str) -> bool {
        embedded(&Stream::parse(text.to_owned()).unwrap()).is_empty()
    }

    #[test]
    fn inline_patches_and_templates_are_found() {
        let patch = "kind: Kustomization\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: x}\n    stringData: {p: q}\n";
        assert_eq!(one(patch).path, "patches[0].patch");
        let template = "apiVersion: template.openshift.io/v1\nkind: Template\nobjects:\n- apiVersion: v1\n  kind: Secret\n  stringData: {p: q}\n";
        let found = one(template);
        assert_eq!((found.path.as_str(), found.at.line), ("objects[0]", 4));
        assert_eq!(one("- {apiVersion: v1, kind: Secret, data: {p: eA==}}").path, "[0]");
    }

    #[test]
    fn a_config_map_in_a_config_map_is_read_too() {
        let inner = CONFIG_MAP.replace('\n', "\n    ");
        let text = format!("kind: ConfigMap\napiVersion: v1\nmetadata: {{name: outer}}\ndata:\n  deep: |\n    {inner}");
        let found = one(text.trim_end());
        assert_eq!(found.host, "ConfigMap outer");
        assert_eq!(found.path, "data.deep: ConfigMap host: data.all.yaml");
        assert_eq!(found.at.line, 15);
    }

    #[test]
    fn what_holds_no_value_is_no_leak() {
        for quiet in [
            "kind: ConfigMap\napiVersion: v1\ndata:\n  a: |\n    kind: Secret\n    apiVersion: v1\n    data: {}\n",
            "kind: ConfigMap\napiVersion: v1\ndata:\n  a: |\n    kind: Secret\n    apiVersion: v1\n    stringData: {p: \"\", q: }\n",
            "kind: ConfigMap\napiVersion: v1\ndata:\n  a: |\n    kind: Secret\n    apiVersion: example.com/v1\n    data: {p: q}\n",
            "kind: ConfigMap\napiVersion: v1\ndata:\n  a: Secret\n  b: |\n    The Secret is: here\n    data: too\n",
            "kind: Role\napiVersion: rbac/v1\nrules:\n- {kind: Secret, apiVersion: v1, name: x}\n",
            "kind: ConfigMap\napiVersion: v1\ndata:\n  a: |\n    kind: SealedSecret\n    apiVersion: ageseal.dev/v1alpha1\n    data: {p: q}\n",
        ] {
            assert!(found_none(quiet), "{quiet}");
        }
    }

    #[test]
    fn a_template_that_is_no_yaml_is_told_as_uncertain() {
        let text = "kind: ConfigMap\napiVersion: v1\ndata:\n  t: |\n    a: b\n    ---\n    apiVersion: v1\n    kind: Secret\n    metadata:\n      name: {{ .Name }}-x\n    stringData:\n      p: q\n    ---\n    {{ end }}\n";
        let found = one(text);
        assert!(!found.certain);
        assert_eq!(found.at.line, 8);
    }

    #[test]
    fn a_text_that_only_others_read_is_told_as_uncertain() {
        for inner in [
            "%YAML 1.2\n    ---\n    {kind: Secret, apiVersion: v1, data: {p: aHVudGVyMg==}}\n",
            "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\",\"name\":\"x\"},\"data\":{\"p\":\"eA==\"}}\n",
        ] {
            let found = one(&format!("kind: ConfigMap\napiVersion: v1\ndata:\n  a: |\n    {inner}"));
            assert!(!found.certain);
            assert_eq!(found.path, "data.a");
        }
        let quiet = "a: 1\n    a: 2\n    kind: SecretStore\n    kinds: [Secret]\n    b: a kind Secretary\n";
        assert!(found_none(&format!("kind: ConfigMap\napiVersion: v1\ndata:\n  a: |\n    {quiet}")));
    }

    #[test]
    fn many_secrets_in_one_text_have_their_own_lines() {
        let inner = "    kind: Secret\n    stringData: {p: q}\n    ---\n".repeat(20_000);
        let found = found(&format!("kind: ConfigMap\napiVersion: v1\ndata:\n  a: |\n{inner}"));
        assert_eq!(found.len(), 20_000);
        assert_eq!(found[19_999].at, Location { line: 5 + 3 * 19_999, column: 5 });
    }

    #[test]
    fn a_long_key_is_not_written_out_for_all_below_it() {
        let items = vec!["1"; 100_000].join(",");
        let text = format!(
            "Secret: 1\n? {}\n: [{items}, {{kind: Secret, apiVersion: v1, data: {{p: eA==}}}}]\n",
            "k".repeat(1 << 20)
        );
        let found = one(&text);
        assert!(found.path.len() <= MAX_PATH && found.path.ends_with("k[100000]"), "{}", found.path.len());
    }

    #[test]
    fn values_are_told_from_nothing() {
        let holds = |data: &str| {
            let stream = Stream::parse(format!("kind: Secret\n{data}\n")).unwrap();
            holds_values(stream.documents().next().unwrap().root().unwrap())
        };
        for value in [
            "data: {a: eA==}",
            "stringData: {a: 1}",
            "data: {a: !x }",
            "stringData: {a: &x }",
            "data: eA==",
            "data: [a]",
            "stringData: {a: {b: c}}",
            "b: &b {a: x}\ndata: *b",
            "b: &b {data: {a: x}}\n<<: *b",
            "b: &b {x: y}\ndata: {<<: *b}",
        ] {
            assert!(holds(value), "{value}");
        }
        for nothing in ["", "data:", "data: {}", "data: {a: }", "stringData: {a: ''}", "data: {a: ~}", "other: {a: b}"]
        {
            assert!(!holds(nothing), "{nothing}");
        }
    }

    #[test]
    fn the_prefilter_passes_what_any_reader_could_take_for_a_secret() {
        for yes in [
            &b"kind: Secret"[..],
            b"kind: \"\\u0053ecret\"",
            b"binaryData:",
            b"kind: !!binary U2VjcmV0",
            b"k\0i\0n\0d\0",
            b"\xff\xfek",
            b"SSecret",
            b"x\nkind: 'Secret'\n",
        ] {
            assert!(could_hold_secret(yes), "{yes:?}");
        }
        for no in [&b""[..], b"kind: Deployment", b"Secre", b"S", b"secretName: x", b"SECRET", b"Sec\nret", b"b"] {
            assert!(!could_hold_secret(no), "{no:?}");
        }
        // A folded or wrapped word is not the word.
        for folded in
            ["kind: >-\n  Sec\n  ret\n", "kind: Sec\n  ret\n", "kind: 'Sec\n  ret'\n", "kind: \"Sec\n  ret\"\n"]
        {
            assert!(!could_hold_secret(folded.as_bytes()));
            let stream = Stream::parse(format!("apiVersion: v1\n{folded}")).unwrap();
            assert_eq!(objects(&stream).next().unwrap().kind, ObjectKind::Other, "{folded}");
        }
    }
}
