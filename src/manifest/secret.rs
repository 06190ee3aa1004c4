//! A plaintext Secret, as the API server would store it.

use std::collections::BTreeMap;

use super::Reading;
use super::fields::{Fields, is_bare_null, not_a_string, resolve};
use super::kinds::{self, About, SecretType};
use super::{base64, metadata};
use crate::problem::{Location, Problem};
use crate::secret::Plaintext;
use crate::yaml::{Kind, Node};

const FIELDS: [&str; 7] = ["apiVersion", "kind", "metadata", "data", "stringData", "type", "immutable"];

/// A Secret that was read from a document.
///
/// `data` holds the bytes that the API server would store: `data` decoded, and `stringData` laid over it.
#[derive(Clone, Debug)]
pub struct SecretManifest<'a> {
    /// The whole object: for its place, its spans and edits of it.
    pub node: Node<'a>,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`, if it has one.
    pub namespace: Option<String>,
    /// `type`; `Opaque` where there is none.
    pub secret_type: String,
    /// `immutable`, if it is given.
    pub immutable: Option<bool>,
    /// Every label.
    pub labels: BTreeMap<String, String>,
    /// Every annotation but `last-applied-configuration`.
    pub annotations: BTreeMap<String, String>,
    /// The values by data key.
    pub data: BTreeMap<String, Plaintext>,
}

impl<'a> SecretManifest<'a> {
    /// Reads a Secret and holds it against the rules of its type, at a time in seconds since 1970 UTC.
    ///
    /// Every problem is told, in the order of the text; the manifest is there if none of them is an error.
    pub fn read(node: Node<'a>, now: i64) -> Reading<Self> {
        let mut fields = Fields::default();
        let manifest = read(node, now, &mut fields);
        Reading::new(manifest, fields.problems)
    }

    /// The labels and the annotations that the Secret shall have: what goes to `spec.template.metadata`.
    pub fn template_part(&self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        self.part(false)
    }

    /// The labels and the annotations that stay on the document: directives to the tools that apply it.
    pub fn own_part(&self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        self.part(true)
    }

    fn part(&self, directives: bool) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let pick = |map: &BTreeMap<String, String>| {
            map.iter()
                .filter(|(key, _)| metadata::is_directive(key) == directives)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        (pick(&self.labels), pick(&self.annotations))
    }
}

fn read<'a>(node: Node<'a>, now: i64, fields: &mut Fields) -> Option<SecretManifest<'a>> {
    let entries = fields.entries(node, "a Secret");
    fields.only_known(&entries, "a Secret", &FIELDS);
    let get = |name: &str| entries.iter().find(|(key, ..)| *key == name).map(|(_, _, value)| *value);

    identity(node, get("apiVersion"), get("kind"), fields);
    let mut about = metadata::read(node, fields);
    metadata::of_secret(node, &mut about, fields);
    let secret_type = secret_type(get("type"), fields);
    let immutable = get("immutable").and_then(|node| fields.boolean(resolve(node), "immutable"));
    let before = fields.problems.len();
    let (data, places) = values(get("data"), get("stringData"), fields);
    let whole = !fields.problems[before..].iter().any(Problem::is_error);

    // The rules of the type are told even where the values are not whole, as far as the values go.
    if let Some(secret_type) = &secret_type {
        let facts = About {
            name: about.name.as_deref().unwrap_or_default(),
            namespace: about.namespace.as_deref(),
            annotations: &about.annotations,
            now,
        };
        let type_at = get("type").unwrap_or(node).location();
        for mut problem in kinds::check(secret_type, &data, &facts) {
            let known = problem.key.as_ref().and_then(|key| places.get(key)).copied();
            // A key whose value could not be read is not missing.
            if whole || !matches!(problem.code, "no-data" | "missing-key") || is_missing(&problem, &places) {
                problem.at.get_or_insert(known.map_or(type_at, |(at, _)| at));
                fields.say(problem);
            }
        }
    }
    Some(SecretManifest {
        node,
        name: about.name?,
        namespace: about.namespace,
        secret_type: secret_type?.as_str().to_owned(),
        immutable,
        labels: about.labels,
        annotations: about.annotations,
        data,
    })
}

/// Whether a key that the type demands stands nowhere, readable or not. Basic authentication demands one of two.
fn is_missing(problem: &Problem, places: &Places) -> bool {
    let either = problem.key.as_deref() == Some("username") && places.contains_key("password");
    !either && problem.key.as_ref().is_some_and(|key| !places.contains_key(key))
}

fn identity(object: Node<'_>, api_version: Option<Node<'_>>, kind: Option<Node<'_>>, fields: &mut Fields) {
    match api_version.filter(|node| !is_bare_null(*node)) {
        None => fields.say(
            Problem::error("missing-api-version", "the Secret has no apiVersion")
                .at(object.location())
                .hint("write apiVersion: v1"),
        ),
        Some(node) => {
            if fields.string(resolve(node), "apiVersion").is_some_and(|text| text != "v1") {
                fields.say(
                    Problem::error("bad-api-version", "the apiVersion of a Secret is v1")
                        .at(node.location())
                        .hint("write apiVersion: v1"),
                );
            }
        }
    }
    if kind.map(resolve).and_then(|node| node.as_string()) != Some("Secret") {
        fields.say(
            Problem::error("not-a-secret", "the kind is not Secret")
                .at(kind.unwrap_or(object).location())
                .hint("write kind: Secret; the items of a SecretList need it too"),
        );
    }
}

fn secret_type(node: Option<Node<'_>>, fields: &mut Fields) -> Option<SecretType> {
    let Some(node) = node.filter(|node| !is_bare_null(*node)) else { return Some(SecretType::Opaque) };
    let text = fields.string(resolve(node), "type")?;
    match text.parse() {
        Ok(secret_type) => Some(secret_type),
        Err(error) => {
            fields.say(Problem::error("bad-type", error.to_string()).at(node.location()));
            None
        }
    }
}

/// Where the value of a data key stands, and whether it could be read.
type Places = BTreeMap<String, (Location, bool)>;

fn values(
    data: Option<Node<'_>>,
    string_data: Option<Node<'_>>,
    fields: &mut Fields,
) -> (BTreeMap<String, Plaintext>, Places) {
    let (mut values, mut places) = (BTreeMap::new(), Places::new());
    for (key, _, node) in data.map(|node| fields.entries(node, "data")).unwrap_or_default() {
        let value = decoded(node, key, fields);
        places.insert(key.to_owned(), (node.location(), value.is_some()));
        values.extend(value.map(|value| (key.to_owned(), value)));
    }
    for (key, at, node) in string_data.map(|node| fields.entries(node, "stringData")).unwrap_or_default() {
        if places.contains_key(key) {
            fields.say(
                Problem::warning("key-twice", "the key stands in data and in stringData, which counts")
                    .at(at.location())
                    .key(key)
                    .hint("keep one of the two"),
            );
        }
        let value = node.as_string().map(|text| Plaintext::new(text.as_bytes().to_vec()));
        if value.is_none() {
            fields.say(not_a_string(node, "the value").key(key));
        }
        // A value of data that cannot be read stays an error: the API server refuses the object for it.
        places.insert(key.to_owned(), (node.location(), value.is_some()));
        values.remove(key);
        values.extend(value.map(|value| (key.to_owned(), value)));
    }
    (values, places)
}

/// One value of `data`, as Go's `encoding/json` reads it into bytes.
fn decoded(node: Node<'_>, key: &str, fields: &mut Fields) -> Option<Plaintext> {
    if is_bare_null(node) {
        fields.say(
            Problem::warning("null-value", "the value is null, which Kubernetes stores as an empty one")
                .at(node.location())
                .key(key)
                .hint("write \"\" if that is meant"),
        );
        return Some(Plaintext::new(Vec::new()));
    }
    let Some(text) = node.as_string() else {
        fields.say(not_a_string(node, "the value").key(key));
        return None;
    };
    debug_assert_eq!(node.kind(), Kind::Scalar);
    if let Some(mut bytes) = base64::decode(text.as_bytes()) {
        return Some(Plaintext::new(std::mem::take(&mut *bytes)));
    }
    fields.say(Problem::error("bad-base64", "the value is not base64").at(node.location()).key(key).hint(
        if text.contains([' ', '\t']) {
            "plain text belongs in stringData; base64 over several lines wants | rather than >, and no blanks"
        } else {
            "plain text belongs in stringData; base64 is A-Z a-z 0-9 + / with = at the end"
        },
    ));
    None
}

#[cfg(test)]
mod tests {
    use super::super::kinds::testing::{NOW, shown};
    use super::*;
    use crate::yaml::Stream;

    /// The problems of a document, none of which may hold the value that every bad one here has.
    fn problems(text: &str) -> Vec<Problem> {
        let stream = Stream::parse(text.to_owned()).unwrap();
        let Reading { manifest, problems } = SecretManifest::read(root(&stream), NOW);
        assert_eq!(manifest.is_none(), problems.iter().any(Problem::is_error));
        let told = format!("{problems:?}").to_lowercase();
        assert!(!told.contains("hunter2") && !told.contains("ahvudgvymg"), "{told}");
        problems
    }

    fn codes(text: &str) -> Vec<String> {
        shown(&problems(text))
    }

    fn root(stream: &Stream) -> Node<'_> {
        stream.documents().next().unwrap().root().unwrap()
    }

    const HEAD: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n";

    fn with(rest: &str) -> Vec<String> {
        codes(&format!("{HEAD}{rest}"))
    }

    fn values(rest: &str) -> Vec<(String, Vec<u8>)> {
        let stream = Stream::parse(format!("{HEAD}{rest}")).unwrap();
        let manifest = SecretManifest::read(root(&stream), NOW).manifest.unwrap();
        manifest.data.iter().map(|(key, value)| (key.clone(), value.expose().to_vec())).collect()
    }

    #[test]
    fn a_secret_is_what_the_api_server_would_store() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\n  labels: {app: shop}\ntype: example.com/x\nimmutable: true\ndata:\n  a: aHVudGVyMg==\n  bytes: /w==\n  empty: ''\nstringData:\n  b: \"hünter2\\n\"\n";
        let stream = Stream::parse(text.to_owned()).unwrap();
        let secret = SecretManifest::read(root(&stream), NOW).manifest.unwrap();
        assert_eq!((secret.name.as_str(), secret.namespace.as_deref()), ("db", Some("shop")));
        assert_eq!((secret.secret_type.as_str(), secret.immutable), ("example.com/x", Some(true)));
        let data: Vec<_> = secret.data.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
        let expected: [(&str, &[u8]); 4] =
            [("a", b"hunter2"), ("b", "hünter2\n".as_bytes()), ("bytes", b"\xff"), ("empty", b"")];
        assert_eq!(data, expected);
        assert!(!format!("{secret:?}").contains("nter2"));
    }

    #[test]
    fn json_reads_like_yaml() {
        let text = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","creationTimestamp":null},"data":{"a":"eA=="}}"#;
        assert!(codes(text).is_empty());
    }

    #[test]
    fn base64_over_several_lines_is_read_as_go_reads_it() {
        assert_eq!(values("data:\n  a: |\n    aHVu\n    dGVyMg==\n"), [("a".to_owned(), b"hunter2".to_vec())]);
        assert_eq!(with("data:\n  a: >\n    aHVu\n    dGVyMg==\n"), ["!bad-base64 a"]);
        assert_eq!(with("data:\n  a: aHVu\n    dGVyMg==\n"), ["!bad-base64 a"]);
    }

    #[test]
    fn bad_base64_is_an_error_with_key_and_place_and_without_value() {
        for bad in ["hunter2!", "aHVudGVyMg", "aHVudGVyMg=", "a-_b", "\"hunter2 x\""] {
            let found = problems(&format!("{HEAD}data:\n  pw: {bad}\n"));
            assert_eq!(shown(&found), ["!bad-base64 pw"], "{bad}");
            assert_eq!(found[0].at, Some(Location { line: 6, column: 7 }));
        }
    }

    #[test]
    fn string_data_lies_over_data() {
        assert_eq!(
            values("data: {a: eA==, b: eQ==}\nstringData: {a: z}\n"),
            [("a".into(), b"z".to_vec()), ("b".into(), b"y".to_vec())]
        );
        assert_eq!(with("data: {a: eA==}\nstringData: {a: z}\n"), ["key-twice a"]);
        assert_eq!(with("data: {a: '?'}\nstringData: {a: z}\n"), ["!bad-base64 a", "key-twice a"]);
    }

    #[test]
    fn a_value_of_string_data_that_is_no_text_to_every_reader_is_to_be_quoted() {
        for bad in [
            "5",
            "-1",
            "1.0",
            "1e3",
            "true",
            "false",
            "null",
            "~",
            "",
            "yes",
            "no",
            "on",
            "0777",
            "0o777",
            "0x1F",
            "1_000",
            "2001-01-01",
            "2001-01-01T00:00:00Z",
            ".inf",
            ".nan",
            "12:30:45",
            "y",
        ] {
            let found = problems(&format!("{HEAD}stringData:\n  a: {bad}\n"));
            assert_eq!(shown(&found), ["!not-a-string a"], "{bad}");
            assert!(found[0].hint.as_deref().unwrap().contains("quote it"), "{bad}");
            assert_eq!(with(&format!("stringData:\n  a: \"{bad}\"\n")), Vec::<String>::new(), "{bad}");
        }
        for good in ["abc", "1.2.3", "a: b", "|\n    5", ">-\n    true", "!!str 5", "2001-01-01x"] {
            let text = if good == "a: b" { "'a: b'" } else { good };
            assert_eq!(with(&format!("stringData:\n  a: {text}\n")), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn a_value_of_data_that_is_no_text_is_an_error_and_null_is_empty() {
        for bad in ["1234", "true", "1.5", "2001-01-01", "0777"] {
            assert_eq!(with(&format!("data:\n  a: {bad}\n")), ["!not-a-string a"], "{bad}");
        }
        assert_eq!(with("data:\n  a:\n"), ["null-value a"]);
        assert_eq!(values("data:\n  a: null\n"), [("a".to_owned(), Vec::new())]);
    }

    #[test]
    fn aliases_merge_keys_tags_and_collections_are_errors() {
        for field in ["data", "stringData"] {
            let rest = |value: &str| with(&format!("{field}:\n  x: &x eHh4\n  a: {value}\n"));
            assert_eq!(rest("*x"), ["!alias a"]);
            assert_eq!(rest("!!binary aHVudGVyMg=="), ["!tag a"]);
            assert_eq!(rest("!hunter2"), ["!tag a"]);
            assert_eq!(rest("!custom eHh4"), ["!tag a"]);
            assert_eq!(rest("&hunter2"), ["!not-a-string a"]);
            assert_eq!(rest("[eHh4]"), ["!not-a-string a"]);
            assert_eq!(rest("{b: eHh4}"), ["!not-a-string a"]);
            let merged = format!("{field}:\n  x: eHh4\n  <<: {{a: b}}\n");
            assert_eq!(with(&merged), ["!merge-key"]);
            assert_eq!(with(&format!("{field}: eHh4\n"))[0], "!wrong-kind");
            assert_eq!(with(&format!("{field}: !x {{a: eHh4}}\n"))[0], "!tag");
        }
    }

    #[test]
    fn a_key_is_a_text_and_a_file_name() {
        assert_eq!(with("stringData: {a/b: x}\n"), ["!bad-key a/b"]);
        assert_eq!(with("stringData: {1: x, b: z}\n"), ["!not-a-string"]);
        assert_eq!(with("stringData: {yes: x, b: z}\n"), ["!not-a-string"]);
        assert_eq!(with("stringData: {'1': x}\n"), Vec::<String>::new());
    }

    #[test]
    fn the_sum_of_the_values_is_counted_decoded() {
        let text = "A".repeat(1024 * 1024);
        assert_eq!(with(&format!("stringData: {{a: {text}}}\n")), Vec::<String>::new());
        assert_eq!(with(&format!("stringData: {{a: {text}B}}\n")), ["!too-large"]);
        // One mebibyte as base64 is a third longer in the file.
        assert_eq!(with(&format!("data: {{a: {text}}}\n")), Vec::<String>::new());
    }

    #[test]
    fn a_secret_without_data_is_an_error_and_a_token_is_none() {
        assert_eq!(with(""), ["!no-data"]);
        assert_eq!(with("data: {}\nstringData:\n"), ["!no-data"]);
        let token = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: t\n  annotations: {kubernetes.io/service-account.name: robot}\ntype: kubernetes.io/service-account-token\n";
        assert_eq!(codes(token), Vec::<String>::new());
    }

    #[test]
    fn identity_is_demanded() {
        assert_eq!(codes("kind: Secret\nmetadata: {name: a}\ndata: {a: eA==}\n"), ["!missing-api-version"]);
        assert_eq!(codes("apiVersion: v2\nkind: Secret\nmetadata: {name: a}\ndata: {a: eA==}\n"), ["!bad-api-version"]);
        assert_eq!(codes("apiVersion: v1\nmetadata: {name: a}\ndata: {a: eA==}\n"), ["!not-a-secret"]);
        assert_eq!(codes("apiVersion: v1\nkind: Secret\ndata: {a: eA==}\n"), ["!missing-name"]);
        assert_eq!(
            codes("apiVersion: v1\nkind: Secret\nmetadata: {generateName: a-}\ndata: {a: eA==}\n"),
            ["!generate-name"]
        );
        assert_eq!(codes("apiVersion: v1\nkind: Secret\nmetadata: {name: 5}\ndata: {a: eA==}\n"), ["!not-a-string"]);
        assert_eq!(
            codes("apiVersion: v1\nkind: Secret\nmetadata: {name: A_b, namespace: x.y}\ndata: {a: eA==}\n"),
            ["!bad-name", "!bad-namespace"]
        );
    }

    #[test]
    fn fields_that_a_secret_has_not_are_errors_with_the_near_one() {
        let found = problems(&format!("{HEAD}stringdata: {{a: b}}\nData: {{a: eA==}}\nspec: {{}}\n"));
        assert_eq!(shown(&found), ["!no-data", "!unknown-field", "!unknown-field", "!unknown-field"]);
        assert_eq!(found[1].hint.as_deref(), Some("write stringData if that is meant"));
        assert_eq!(found[2].hint.as_deref(), Some("write data if that is meant"));
        assert!(found[3].hint.as_deref().unwrap().starts_with("the fields are"));
        assert_eq!(with("<<: {a: b}\ndata: {a: eA==}\n"), ["!merge-key"]);
    }

    #[test]
    fn type_and_immutable_have_their_syntax() {
        assert_eq!(with("type: a b\ndata: {a: eA==}\n"), ["!bad-type"]);
        assert_eq!(with(&format!("type: {}\ndata: {{a: eA==}}\n", "t".repeat(70_000))), ["!bad-type"]);
        assert_eq!(with("type:\ndata: {a: eA==}\n"), Vec::<String>::new());
        assert_eq!(with("immutable: 'true'\ndata: {a: eA==}\n"), ["!not-a-bool"]);
        assert_eq!(with("immutable: yes\ndata: {a: eA==}\n"), ["!not-a-bool"]);
    }

    #[test]
    fn rules_of_the_type_stand_at_the_value_or_the_type() {
        let found = problems(&format!("{HEAD}type: kubernetes.io/tls\nstringData:\n  tls.crt: hunter2\n"));
        assert_eq!(shown(&found), ["!missing-key tls.key", "!tls-not-pem tls.crt"]);
        assert_eq!(found[0].at, Some(Location { line: 5, column: 7 }));
        assert_eq!(found[1].at, Some(Location { line: 7, column: 12 }));
    }

    #[test]
    fn a_value_that_cannot_be_read_is_not_called_missing() {
        assert_eq!(with("type: kubernetes.io/ssh-auth\ndata: {ssh-privatekey: '?'}\n"), ["!bad-base64 ssh-privatekey"]);
        assert_eq!(with("type: kubernetes.io/basic-auth\ndata: {password: '?'}\n"), ["!bad-base64 password"]);
        let both = with("type: kubernetes.io/tls\ndata: {tls.crt: '?', ca.crt: ''}\n");
        assert_eq!(both, ["!missing-key tls.key", "!bad-base64 tls.crt"]);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_in_order() {
        let text = "apiVersion: v2\nkind: Secret\nmetadata:\n  name: A\nspec: {}\ntype: a b\ndata:\n  x/y: eA==\n  b: '?'\nstringData:\n  c: 5\n";
        let found = codes(text);
        assert_eq!(
            found,
            ["!bad-api-version", "!bad-name", "!unknown-field", "!bad-type", "!bad-base64 b", "!not-a-string c"]
        );
    }

    #[test]
    fn last_applied_is_dropped_and_said() {
        let text = format!(
            "{HEAD}  annotations:\n    keep: this\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {{\"data\":{{\"a\":\"aHVudGVyMg==\"}}}}\ndata: {{a: eA==}}\n"
        );
        let found = problems(&text);
        assert_eq!(shown(&found), ["last-applied"]);
        assert_eq!(found[0].at, Some(Location { line: 7, column: 5 }));
        let stream = Stream::parse(text).unwrap();
        let secret = SecretManifest::read(root(&stream), NOW).manifest.unwrap();
        assert_eq!(secret.annotations, BTreeMap::from([("keep".to_owned(), "this".to_owned())]));
    }

    #[test]
    fn what_the_server_fills_is_left_out_and_finalizers_are_refused() {
        let rest = "  creationTimestamp: \"2024-01-01T00:00:00Z\"\n  uid: abc\n  ownerReferences: []\n  managedFields: []\ndata: {a: eA==}\n";
        assert_eq!(with(rest), ["server-field"; 4]);
        assert_eq!(with("  creationTimestamp: null\ndata: {a: eA==}\n"), Vec::<String>::new());
        assert_eq!(with("  finalizers: [a/b]\ndata: {a: eA==}\n"), ["!finalizers"]);
        assert_eq!(with("  finalizers: []\ndata: {a: eA==}\n"), Vec::<String>::new());
        assert_eq!(with("  anotations: {}\ndata: {a: eA==}\n"), ["!unknown-field"]);
    }

    #[test]
    fn labels_and_annotations_are_texts_with_a_syntax() {
        assert_eq!(with("  labels: {a: 5}\ndata: {a: eA==}\n"), ["!not-a-string"]);
        assert_eq!(with("  labels: {a: 'b c'}\ndata: {a: eA==}\n"), ["!bad-label"]);
        assert_eq!(with("  labels: {'a b': c}\ndata: {a: eA==}\n"), ["!bad-label"]);
        assert_eq!(with("  annotations: {a: true}\ndata: {a: eA==}\n"), ["!not-a-string"]);
        assert_eq!(with("  annotations: {a: any text at all}\ndata: {a: eA==}\n"), Vec::<String>::new());
    }

    #[test]
    fn directives_stay_on_the_document_and_the_rest_goes_to_the_template() {
        let text = format!(
            "{HEAD}  labels: {{app: shop, app.kubernetes.io/managed-by: Helm}}\n  annotations: {{note: x, argocd.argoproj.io/sync-wave: '-1'}}\ndata: {{a: eA==}}\n"
        );
        let stream = Stream::parse(text).unwrap();
        let secret = SecretManifest::read(root(&stream), NOW).manifest.unwrap();
        let map = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(secret.template_part(), (map("app", "shop"), map("note", "x")));
        assert_eq!(
            secret.own_part(),
            (map("app.kubernetes.io/managed-by", "Helm"), map("argocd.argoproj.io/sync-wave", "-1"))
        );
    }

    #[test]
    fn labels_through_an_alias_are_read() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a, labels: &l {app: shop}}\n  data: {a: eA==}\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: b, labels: *l}\n  data: {a: eA==}\n";
        let stream = Stream::parse(text.to_owned()).unwrap();
        let second = root(&stream).get("items").unwrap().items().nth(1).unwrap();
        let secret = SecretManifest::read(second, NOW).manifest.unwrap();
        assert_eq!(secret.labels.get("app").map(String::as_str), Some("shop"));
    }
}
