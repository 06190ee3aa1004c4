//! A sealed document, read as strictly as whoever opens it must.
//!
//! Every error here is what the controller calls `Malformed`. The caps are counted before anything looks into a sealed
//! value or an envelope. A live object is read the same way: its JSON is a YAML text.

use std::collections::BTreeMap;

use super::Reading;
use super::fields::{Fields, is_bare_null, not_a_string, wrong_kind};
use super::{metadata, names};
use crate::format::{
    self, AgeFile, Envelope, Item, Kid, MAX_ENVELOPE_TEXT, MAX_ENVELOPES, MAX_ITEM_TEXT, MAX_ITEMS, MAX_RECIPIENTS,
    Sealed, SealedValue,
};
use crate::problem::Problem;
use crate::recipient::RecipientId;
use crate::scope::Scope;
use crate::yaml::{Kind, Node};

/// The fields of `spec` that steer the controller and say nothing about the values: kept, not judged.
pub const CONTROLLER_FIELDS: [&str; 5] = ["mode", "adopt", "deletionPolicy", "deletionGrace", "replace"];

const SPEC_FIELDS: [&str; 6] = ["scope", "type", "immutable", "encryptedData", "envelopes", "template"];

/// A sealed document that was read from a text.
#[derive(Clone, Debug)]
pub struct SealedManifest<'a> {
    /// The whole object: for its place, its spans and edits of it.
    pub node: Node<'a>,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`, if it has one.
    pub namespace: Option<String>,
    /// What opening it goes by.
    pub sealed: Sealed,
    /// `spec.immutable`, if it is given.
    pub immutable: Option<bool>,
    /// The labels of the Secret, from the template.
    pub labels: BTreeMap<String, String>,
    /// The annotations of the Secret, from the template.
    pub annotations: BTreeMap<String, String>,
    /// The fields of [`CONTROLLER_FIELDS`] that it has, in the order of the text.
    pub controller: Vec<(&'a str, Node<'a>)>,
}

impl<'a> SealedManifest<'a> {
    /// Reads a sealed document.
    ///
    /// Every problem is told, in the order of the text; the manifest is there if none of them is an error.
    pub fn read(node: Node<'a>) -> Reading<Self> {
        let mut fields = Fields::default();
        let manifest = read(node, &mut fields);
        Reading::new(manifest, fields.problems)
    }

    /// Whether it is an overlay patch: it has no scope, and its items carry their own.
    pub fn is_patch(&self) -> bool {
        self.sealed.scope.is_none()
    }

    /// The data keys whose value no envelope of this document is for: they have none of their own, and none of the
    /// shared ones has the value's id. In a patch, the document that it patches may have it.
    pub fn without_envelope(&self) -> Vec<&str> {
        let lacks = |item: &Item| item.envelope.is_none() && !self.sealed.envelopes.contains_key(&item.value.kid);
        self.sealed.items.iter().filter(|(_, item)| lacks(item)).map(|(key, _)| key.as_str()).collect()
    }

    /// `spec`.
    pub fn spec(&self) -> Option<Node<'a>> {
        self.node.get("spec")
    }

    /// The block of a data key in `spec.encryptedData`.
    pub fn item_node(&self, key: &str) -> Option<Node<'a>> {
        self.spec()?.get("encryptedData")?.get(key)
    }

    /// The block of a shared envelope in `spec.envelopes`.
    pub fn envelope_node(&self, kid: Kid) -> Option<Node<'a>> {
        self.spec()?.get("envelopes")?.get(&kid.map_key())
    }
}

fn read<'a>(node: Node<'a>, fields: &mut Fields) -> Option<SealedManifest<'a>> {
    let entries = fields.entries(node, "a SealedSecret");
    fields.only_known(&entries, "a SealedSecret", &["apiVersion", "kind", "metadata", "spec", "status"]);
    let get = |name: &str| entries.iter().find(|(key, ..)| *key == name).map(|(_, _, value)| *value);

    expect(get("apiVersion"), node, "apiVersion", format::API_VERSION, fields);
    expect(get("kind"), node, "kind", format::KIND, fields);
    let about = metadata::read(node, fields);
    let Some(spec) = get("spec").filter(|spec| !is_bare_null(*spec)) else {
        fields.say(Problem::error("missing-field", "there is no spec").at(node.location()));
        return None;
    };
    let entries = fields.entries(spec, "spec");
    let known: Vec<&str> = SPEC_FIELDS.into_iter().chain(CONTROLLER_FIELDS).collect();
    fields.only_known(&entries, "spec", &known);
    let get = |name: &str| entries.iter().find(|(key, ..)| *key == name).map(|(_, _, value)| *value);

    let sealed = Sealed {
        secret_type: secret_type(get("type"), fields),
        scope: get("scope").and_then(|node| scope(node, "spec.scope", fields)),
        items: items(get("encryptedData"), fields),
        envelopes: envelopes(get("envelopes"), fields),
    };
    count_age_files(spec, &sealed, fields);
    // Only the text decides what is a patch: a scope that is there and wrong is an error, not none.
    if get("scope").is_none() {
        scopes_of_patch(get("encryptedData"), &sealed, fields);
    } else if sealed.items.is_empty()
        && sealed.secret_type != super::SecretType::ServiceAccountToken.as_str()
        && get("encryptedData").is_none_or(|node| node.entries().next().is_none())
    {
        fields.say(
            Problem::error("no-data", "spec.encryptedData has no value")
                .at(get("encryptedData").unwrap_or(spec).location())
                .hint("a document without values is seldom meant: delete it, or seal it again from its source"),
        );
    }
    let immutable = get("immutable").and_then(|node| strict_bool(node, fields));
    let (labels, annotations) = template(get("template"), fields);
    let controller = entries.iter().filter(|(name, ..)| CONTROLLER_FIELDS.contains(name));
    Some(SealedManifest {
        node,
        name: about.name?,
        namespace: about.namespace,
        sealed,
        immutable,
        labels,
        annotations,
        controller: controller.map(|(name, _, value)| (*name, *value)).collect(),
    })
}

fn expect(node: Option<Node<'_>>, object: Node<'_>, field: &str, wanted: &str, fields: &mut Fields) {
    if node.and_then(|node| node.as_string()) != Some(wanted) {
        fields.say(
            Problem::error("wrong-version", format!("the {field} is not {wanted}"))
                .at(node.unwrap_or(object).location())
                .hint("this program reads that version only"),
        );
    }
}

fn secret_type(node: Option<Node<'_>>, fields: &mut Fields) -> String {
    let Some(node) = node else { return format::DEFAULT_TYPE.to_owned() };
    let Some(text) = fields.string(node, "spec.type") else { return String::new() };
    if let Some(fault) = names::secret_type_fault(text) {
        fields.say(Problem::error("bad-type", format!("spec.type {fault}")).at(node.location()));
    }
    text.to_owned()
}

fn strict_bool(node: Node<'_>, fields: &mut Fields) -> Option<bool> {
    if node.is_null() {
        fields.say(wrong_kind(node, "spec.immutable", "bool"));
        return None;
    }
    fields.boolean(node, "spec.immutable")
}

/// A list of texts; nothing if anything about it is wrong.
fn texts<'a>(node: Node<'a>, what: &str, fields: &mut Fields) -> Option<Vec<&'a str>> {
    if node.kind() != Kind::Sequence || node.tag().is_some() {
        fields.say(wrong_kind(node, what, "list"));
        return None;
    }
    let mut all = Some(Vec::new());
    for item in node.items() {
        match (fields.string(item, &format!("an entry of {what}")), &mut all) {
            (Some(text), Some(all)) => all.push(text),
            _ => all = None,
        }
    }
    all
}

fn scope(node: Node<'_>, what: &str, fields: &mut Fields) -> Option<Scope> {
    let texts = texts(node, what, fields)?;
    match Scope::parse_sorted(&texts) {
        Ok(scope) => Some(scope),
        Err(error) => {
            fields.say(
                Problem::error("bad-scope", format!("{what}: {error}"))
                    .at(node.location())
                    .hint("the scope is part of what is sealed: restore it, or seal again"),
            );
            None
        }
    }
}

fn items(node: Option<Node<'_>>, fields: &mut Fields) -> BTreeMap<String, Item> {
    let mut items = BTreeMap::new();
    let Some(node) = node else { return items };
    let entries = strict_entries(node, "spec.encryptedData", fields);
    if entries.len() > MAX_ITEMS {
        let message = format!("spec.encryptedData has {} values; {MAX_ITEMS} is the most", entries.len());
        fields.say(Problem::error("too-many", message).at(node.location()));
        return items;
    }
    for (key, at, node) in entries {
        if let Some(fault) = names::data_key_fault(key) {
            fields.say(Problem::error("bad-key", format!("the data key {fault}")).at(at.location()).key(key));
        }
        let from = fields.problems.len();
        if let Some(item) = item(node, fields) {
            items.insert(key.to_owned(), item);
        }
        for problem in &mut fields.problems[from..] {
            problem.key.get_or_insert_with(|| key.to_owned());
        }
    }
    items
}

fn item(node: Node<'_>, fields: &mut Fields) -> Option<Item> {
    let entries = strict_entries(node, "the item", fields);
    fields.only_known(&entries, "an item", &["value", "scope", "envelope"]);
    let get = |name: &str| entries.iter().find(|(key, ..)| *key == name).map(|(_, _, value)| *value);
    let own = get("scope").map(|node| scope(node, "the scope of the item", fields));
    // Null takes the envelope of the patched item away: values that were sealed together use the shared one.
    let envelope = get("envelope")
        .filter(|node| !is_bare_null(*node))
        .map(|node| envelope(node, "the envelope of the item", fields));
    let Some(value) = get("value") else {
        fields.say(Problem::error("missing-field", "the item has no value").at(node.location()));
        return None;
    };
    let text = fields.string(value, "the value of the item")?;
    if text.len() > MAX_ITEM_TEXT {
        let message = format!("the sealed value has {} bytes; {MAX_ITEM_TEXT} is the most", text.len());
        fields.say(Problem::error("too-large", message).at(value.location()));
        return None;
    }
    match text.parse::<SealedValue>() {
        Ok(value) => Some(Item { value, scope: flatten(own)?, envelope: flatten(envelope)? }),
        Err(error) => {
            fields.say(Problem::error("bad-value", format!("no sealed value: {error}")).at(value.location()));
            None
        }
    }
}

/// Tells what was not there from what was there and wrong.
fn flatten<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}

fn envelopes(node: Option<Node<'_>>, fields: &mut Fields) -> BTreeMap<Kid, Envelope> {
    let mut envelopes = BTreeMap::new();
    let Some(node) = node else { return envelopes };
    let entries = strict_entries(node, "spec.envelopes", fields);
    if entries.len() > MAX_ENVELOPES {
        too_many_envelopes(entries.len(), node, fields);
        return envelopes;
    }
    for (name, key, node) in entries {
        let Ok(kid) = Kid::from_map_key(name) else {
            fields.say(
                Problem::error("bad-kid", "a key of spec.envelopes is not k and 16 lower-case hex digits")
                    .at(key.location()),
            );
            continue;
        };
        if let Some(envelope) = envelope(node, &format!("the envelope {name}"), fields) {
            envelopes.insert(kid, envelope);
        }
    }
    envelopes
}

fn envelope(node: Node<'_>, what: &str, fields: &mut Fields) -> Option<Envelope> {
    let entries = strict_entries(node, what, fields);
    fields.only_known(&entries, "an envelope", &["recipients", "age", "also"]);
    let get = |name: &str| entries.iter().find(|(key, ..)| *key == name).map(|(_, _, value)| *value);
    let mut also = Some(Vec::new());
    if let Some(list) = get("also") {
        if list.kind() != Kind::Sequence || list.tag().is_some() {
            fields.say(wrong_kind(list, &format!("also of {what}"), "list"));
            also = None;
        } else if list.items().count() > MAX_ENVELOPES {
            too_many_envelopes(list.items().count(), list, fields);
            also = None;
        }
        for node in list.items().take(MAX_ENVELOPES) {
            let entries = strict_entries(node, &format!("an age file in also of {what}"), fields);
            fields.only_known(&entries, "an age file in also", &["recipients", "age"]);
            let get = |name: &str| entries.iter().find(|(key, ..)| *key == name).map(|(_, _, value)| *value);
            match (age_file(node, get("recipients"), get("age"), what, fields), &mut also) {
                (Some(file), Some(also)) => also.push(file),
                _ => also = None,
            }
        }
    }
    let file = age_file(node, get("recipients"), get("age"), what, fields)?;
    Some(Envelope { file, also: also? })
}

fn age_file(
    node: Node<'_>,
    recipients: Option<Node<'_>>,
    age: Option<Node<'_>>,
    what: &str,
    fields: &mut Fields,
) -> Option<AgeFile> {
    let recipients = match recipients {
        Some(list) => recipient_ids(list, what, fields),
        None => {
            fields.say(Problem::error("missing-field", format!("{what} has no recipients")).at(node.location()));
            None
        }
    };
    let Some(age) = age else {
        fields.say(Problem::error("missing-field", format!("{what} has no age")).at(node.location()));
        return None;
    };
    let text = fields.string(age, &format!("age of {what}"))?;
    if text.len() > MAX_ENVELOPE_TEXT {
        let message = format!("the age file has {} bytes; {MAX_ENVELOPE_TEXT} is the most", text.len());
        fields.say(Problem::error("too-large", message).at(age.location()));
        return None;
    }
    Some(AgeFile { recipients: recipients?, age: text.to_owned() })
}

fn recipient_ids(list: Node<'_>, what: &str, fields: &mut Fields) -> Option<Vec<RecipientId>> {
    let texts = texts(list, &format!("recipients of {what}"), fields)?;
    if texts.is_empty() || texts.len() > MAX_RECIPIENTS {
        let message = format!("{what} names {} recipients; it has 1 to {MAX_RECIPIENTS}", texts.len());
        fields.say(Problem::error("recipient-count", message).at(list.location()));
        return None;
    }
    let ids = texts.iter().map(|text| text.parse()).collect::<Result<Vec<RecipientId>, _>>();
    if ids.is_err() {
        fields.say(
            Problem::error("bad-recipient-id", format!("a recipient of {what} is not r and 16 lower-case hex digits"))
                .at(list.location()),
        );
    }
    ids.ok()
}

fn count_age_files(spec: Node<'_>, sealed: &Sealed, fields: &mut Fields) {
    let count = sealed.all_envelopes().flat_map(Envelope::files).count();
    if count > MAX_ENVELOPES {
        too_many_envelopes(count, spec, fields);
    }
}

fn too_many_envelopes(count: usize, node: Node<'_>, fields: &mut Fields) {
    fields.say(
        Problem::error("too-many", format!("there are {count} envelopes; {MAX_ENVELOPES} is the most"))
            .at(node.location())
            .hint("seal it again from its source, which leaves one envelope"),
    );
}

/// Without a scope of the document, each item of a patch says its own.
fn scopes_of_patch(node: Option<Node<'_>>, sealed: &Sealed, fields: &mut Fields) {
    for (key, _) in sealed.items.iter().filter(|(_, item)| item.scope.is_none()) {
        let at = node.and_then(|node| node.entry(key)).map(|(key, _)| key.location());
        let mut problem = Problem::error("missing-scope", "neither the document nor the item has a scope")
            .key(key)
            .hint("a document has spec.scope; the items of an overlay patch carry their own");
        problem.at = at;
        fields.say(problem);
    }
}

fn template(node: Option<Node<'_>>, fields: &mut Fields) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let Some(node) = node else { return Default::default() };
    let entries = strict_entries(node, "spec.template", fields);
    fields.only_known(&entries, "spec.template", &["metadata"]);
    let Some((_, _, metadata)) = entries.iter().find(|(key, ..)| *key == "metadata") else { return Default::default() };
    let entries = strict_entries(*metadata, "spec.template.metadata", fields);
    fields.only_known(&entries, "spec.template.metadata", &["labels", "annotations"]);
    let get = |name: &str| entries.iter().find(|(key, ..)| *key == name).map(|(_, _, value)| *value);
    let labels = fields.labels(get("labels"), "labels of the template");
    let annotations = fields.annotations(get("annotations"), "annotations of the template");
    for key in labels.keys().chain(annotations.keys()) {
        let reserved = key == metadata::LAST_APPLIED || key.starts_with("ageseal.dev/");
        if reserved {
            fields.say(
                Problem::error("reserved-name", format!("the template has {key}, which no sealed document may give"))
                    .at(metadata.location()),
            );
        }
    }
    (labels, annotations)
}

/// The entries of a mapping that must be one: null is wrong too.
fn strict_entries<'a>(node: Node<'a>, what: &str, fields: &mut Fields) -> Vec<(&'a str, Node<'a>, Node<'a>)> {
    if node.is_scalar() {
        fields.say(if node.is_null() { not_a_mapping(node, what) } else { wrong_kind(node, what, "mapping") });
        return Vec::new();
    }
    fields.entries(node, what)
}

fn not_a_mapping(node: Node<'_>, what: &str) -> Problem {
    if node.anchor().is_some() { not_a_string(node, what) } else { wrong_kind(node, what, "mapping") }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::testing::shown;
    use super::*;
    use crate::yaml::Stream;

    const VALUE: &str = "ags1.35eee4bfa05d6bdb.gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXXCVvXBa6bL9jj72mxzl3Qk0TBHvLA1LTvnksVCOIT09+Vb0iYC+Ni0kd9GuPXRhsI/JhsY6B2NU8TSlro/WcxkE8wquQWkZVFeqfEJNpTc3mN9Mo141s+w7AZN8lOkru61fYGjJhm5ym2rGKoTj4oA==";
    const FILE: &str = "recipients: [r7d793037a0760186, rf4405db29a7ad1de]\n      age: |\n        -----BEGIN AGE ENCRYPTED FILE-----\n        eA==\n        -----END AGE ENCRYPTED FILE-----\n";
    const SCOPE: &str = "  scope:\n  - 'prod/db'\n";

    fn document(spec: &str) -> String {
        format!(
            "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: prod\nspec:\n{spec}"
        )
    }

    fn whole() -> String {
        document(&format!(
            "{SCOPE}  type: Opaque\n  immutable: false\n  mode: Merge\n  encryptedData:\n    password:\n      value: {VALUE}\n  envelopes:\n    k35eee4bfa05d6bdb:\n      {FILE}      also:\n      - {}  template:\n    metadata:\n      labels: {{app: shop}}\n      annotations: {{note: x}}\n",
            FILE.replace("\n      ", "\n        ")
        ))
    }

    fn with<T>(text: &str, look: impl FnOnce(Reading<SealedManifest<'_>>) -> T) -> T {
        let stream = Stream::parse(text.to_owned()).unwrap();
        let root = stream.documents().next().unwrap().root().unwrap();
        look(SealedManifest::read(root))
    }

    fn codes(text: &str) -> Vec<String> {
        with(text, |reading| {
            assert_eq!(reading.manifest.is_none(), reading.problems.iter().any(Problem::is_error));
            shown(&reading.problems)
        })
    }

    /// The problems of the whole document with one text in it replaced.
    fn edited(from: &str, to: &str) -> Vec<String> {
        let text = whole();
        assert!(text.contains(from), "{from}");
        codes(&text.replacen(from, to, 1))
    }

    #[test]
    fn a_whole_document_is_read() {
        with(&whole(), |reading| {
            assert_eq!(reading.problems, []);
            let manifest = reading.manifest.unwrap();
            assert_eq!((manifest.name.as_str(), manifest.namespace.as_deref()), ("db", Some("prod")));
            assert_eq!(manifest.sealed.secret_type, "Opaque");
            assert_eq!(manifest.sealed.scope.as_ref().map(Scope::to_string).as_deref(), Some("prod/db"));
            assert_eq!(manifest.sealed.items["password"].value.to_string(), VALUE);
            let kid = manifest.sealed.items["password"].value.kid;
            let envelope = &manifest.sealed.envelopes[&kid];
            assert_eq!((envelope.file.recipients.len(), envelope.also.len()), (2, 1));
            assert!(envelope.file.age.starts_with("-----BEGIN AGE") && envelope.file.age.ends_with("-----\n"));
            assert_eq!(manifest.immutable, Some(false));
            assert_eq!(manifest.labels["app"], "shop");
            assert_eq!(manifest.annotations["note"], "x");
            assert_eq!(manifest.controller.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["mode"]);
            assert!(!manifest.is_patch() && manifest.without_envelope().is_empty());
            assert!(manifest.item_node("password").is_some() && manifest.envelope_node(kid).is_some());
            assert!(manifest.item_node("other").is_none());
        });
    }

    #[test]
    fn json_reads_the_same() {
        let text = format!(
            r#"{{"apiVersion":"ageseal.dev/v1alpha1","kind":"SealedSecret","metadata":{{"name":"db","namespace":"prod","uid":"x","resourceVersion":"1","finalizers":["ageseal.dev/merge"]}},"spec":{{"scope":["prod/db"],"encryptedData":{{"password":{{"value":"{VALUE}","envelope":{{"recipients":["r7d793037a0760186"],"age":"-----BEGIN\n"}}}}}}}},"status":{{"observedGeneration":-1}}}}"#
        );
        assert_eq!(codes(&text), ["server-field", "server-field"]);
    }

    #[test]
    fn each_field_edited_by_hand_is_an_error_of_its_own() {
        for (from, to, expected) in [
            ("v1alpha1", "v1beta1", "!wrong-version"),
            ("kind: SealedSecret", "kind: Secret", "!wrong-version"),
            ("name: db", "name: DB", "!bad-name"),
            ("  name: db\n", "", "!missing-name"),
            ("namespace: prod", "namespace: a.b", "!bad-namespace"),
            ("  - 'prod/db'", "  - 'prod'", "!bad-scope"),
            ("  - 'prod/db'", "  - 5", "!not-a-string"),
            ("  - 'prod/db'", "  - 'prod/db'\n  - 'prod/a'", "!bad-scope"),
            ("  - 'prod/db'", "  - 'prod/db'\n  - 'prod/db'", "!bad-scope"),
            ("scope:\n  - 'prod/db'", "scope: []", "!bad-scope"),
            ("scope:\n  - 'prod/db'", "scope: prod/db", "!wrong-kind"),
            ("scope:\n  - 'prod/db'", "scope:", "!wrong-kind"),
            ("type: Opaque", "type: a b", "!bad-type"),
            ("type: Opaque", "type: true", "!not-a-string"),
            ("type: Opaque", "type:", "!not-a-string"),
            ("type: Opaque", "tpye: Opaque", "!unknown-field"),
            ("immutable: false", "immutable: 'false'", "!not-a-bool"),
            ("immutable: false", "immutable:", "!wrong-kind"),
            ("    password:\n", "    pass/word:\n", "!bad-key pass/word"),
            ("    password:\n", "    5:\n", "!not-a-string"),
            ("value: ags1", "value: ags2", "!bad-value password"),
            ("value: ags1.35eee4bfa05d6bdb", "value: ags1.35EEE4bfa05d6bdb", "!bad-value password"),
            ("oA==", "oA", "!bad-value password"),
            ("      value: ags1", "      other: 1\n      value: ags1", "!unknown-field password"),
            ("      value: ags1", "      scope: ['*']\n      value: ags1", "!bad-scope password"),
            ("      value: ags1", "      envelope: x\n      value: ags1", "!wrong-kind password"),
            ("k35eee4bfa05d6bdb", "35eee4bfa05d6bdb", "!bad-kid"),
            ("k35eee4bfa05d6bdb", "1234567890123456", "!not-a-string"),
            ("k35eee4bfa05d6bdb", "'1234567890123456'", "!bad-kid"),
            ("k35eee4bfa05d6bdb", "k35EEE4bfa05d6bdb", "!bad-kid"),
            ("rf4405db29a7ad1de", "f4405db29a7ad1de", "!bad-recipient-id"),
            ("rf4405db29a7ad1de", "1234567890123456", "!not-a-string"),
            ("[r7d793037a0760186, rf4405db29a7ad1de]", "[]", "!recipient-count"),
            ("[r7d793037a0760186, rf4405db29a7ad1de]", "r7d793037a0760186", "!wrong-kind"),
            ("recipients:", "recipient:", "!unknown-field"),
            ("template:\n    metadata:\n", "template:\n    spec: {}\n    metadata:\n", "!unknown-field"),
            ("labels: {app: shop}", "labels: {app: 5}", "!not-a-string"),
            ("labels: {app: shop}", "labels: {ageseal.dev/paused: x}", "!reserved-name"),
            ("labels: {app: shop}", "name: x", "!unknown-field"),
            ("labels: {app: shop}", "<<: {labels: {}}", "!merge-key"),
            ("labels: {app: shop}", "labels: !x {app: shop}", "!tag"),
        ] {
            let found = edited(from, to);
            assert!(found.iter().any(|code| code == expected), "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn an_unknown_field_names_the_near_one() {
        let text = whole().replacen("  type: Opaque", "  encrypteddata: {}", 1);
        let hint = with(&text, |reading| reading.problems[0].hint.clone());
        assert_eq!(hint.as_deref(), Some("write encryptedData if that is meant"));
    }

    #[test]
    fn an_alias_in_what_is_sealed_is_an_error() {
        let text = whole().replacen("value: ags1", "value: &v ags1", 1).replacen("    note: x", "note: x", 1);
        let text = text.replacen("  envelopes:", "    other:\n      value: *v\n  envelopes:", 1);
        assert_eq!(codes(&text), ["!alias other"]);
    }

    #[test]
    fn a_patch_has_no_scope_and_its_items_do() {
        let item = |scope: &str| document(&format!("  encryptedData:\n    password:\n      value: {VALUE}\n{scope}"));
        assert_eq!(codes(&item("")), ["!missing-scope password"]);
        let patch = item("      scope: ['prod/db']\n      envelope: null\n");
        with(&patch, |reading| {
            let manifest = reading.manifest.unwrap();
            assert!(manifest.is_patch());
            assert_eq!(manifest.without_envelope(), ["password"]);
            assert!(manifest.sealed.items["password"].scope.is_some());
        });
        assert_eq!(codes(&document("  template: {metadata: {labels: {a: b}}}\n")), Vec::<String>::new());
        // A scope that is there and wrong does not make a patch of a document.
        let wrong = item("      scope: ['prod/db']\n").replace("spec:\n", "spec:\n  scope: ['*']\n");
        assert_eq!(codes(&wrong), ["!bad-scope"]);
    }

    #[test]
    fn an_item_has_its_own_envelope() {
        let own = document(&format!(
            "{SCOPE}  encryptedData:\n    password:\n      value: {VALUE}\n      envelope:\n        {}",
            FILE.replace("\n      ", "\n        ")
        ));
        with(&own, |reading| {
            let manifest = reading.manifest.unwrap();
            assert!(manifest.without_envelope().is_empty());
            assert_eq!(manifest.sealed.items["password"].envelope.as_ref().unwrap().file.recipients.len(), 2);
        });
        let incomplete = own.replacen("age: |", "agee: |", 1);
        assert_eq!(codes(&incomplete), ["!missing-field password", "!unknown-field password"]);
    }

    #[test]
    fn zero_values_are_an_error_but_for_the_service_account_token() {
        let empty = |kind: &str| codes(&document(&format!("{SCOPE}  type: {kind}\n")));
        assert_eq!(empty("Opaque"), ["!no-data"]);
        assert_eq!(empty("kubernetes.io/service-account-token"), Vec::<String>::new());
        assert_eq!(codes(&document(&format!("{SCOPE}  encryptedData: {{}}\n"))), ["!no-data"]);
        assert_eq!(codes(&document(&format!("{SCOPE}  encryptedData:\n"))), ["!wrong-kind", "!no-data"]);
    }

    #[test]
    fn no_spec_is_an_error() {
        let head = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\n";
        assert_eq!(codes(head), ["!missing-field"]);
        assert_eq!(codes(&format!("{head}spec:\n")), ["!missing-field"]);
        assert_eq!(codes(&format!("{head}spec: []\n")), ["!wrong-kind"]);
        assert_eq!(codes(&format!("{head}Spec: {{}}\n")), ["!missing-field", "!unknown-field"]);
    }

    #[test]
    fn caps_are_counted() {
        let patterns = |count: usize| {
            let list: String = (0..count).map(|i| format!("  - 'prod/db-{i:02}'\n")).collect();
            edited("  - 'prod/db'\n", &list)
        };
        assert_eq!(patterns(32), Vec::<String>::new());
        assert_eq!(patterns(33), ["!bad-scope"]);

        let recipients = |count: usize| {
            let list: Vec<_> = (0..count).map(|i| format!("r{i:016}")).collect();
            edited("r7d793037a0760186, rf4405db29a7ad1de", &list.join(", "))
        };
        assert_eq!(recipients(32), Vec::<String>::new());
        assert_eq!(recipients(33), ["!recipient-count"]);

        // The document has one envelope with one more in `also`.
        let envelopes = |count: usize| {
            let list: String =
                (0..count).map(|i| format!("    k{i:016}: {{recipients: [r0000000000000000], age: x}}\n")).collect();
            edited("  envelopes:\n", &format!("  envelopes:\n{list}"))
        };
        assert_eq!(envelopes(126), Vec::<String>::new());
        assert_eq!(envelopes(127), ["!too-many"]);
        assert_eq!(envelopes(200), ["!too-many"]);

        let items = |count: usize| {
            let list: String = (0..count).map(|i| format!("    i{i}: {{value: {VALUE}}}\n")).collect();
            edited("  encryptedData:\n", &format!("  encryptedData:\n{list}"))
        };
        assert_eq!(items(1023), Vec::<String>::new());
        assert_eq!(items(1024), ["!too-many"]);

        assert_eq!(edited("eA==", &"x".repeat(96 * 1024)), ["!too-large"]);
        assert_eq!(edited(VALUE, &format!("ags1.{}", "x".repeat(2 * 1024 * 1024))), ["!too-large password"]);
        assert_eq!(edited("type: Opaque", &format!("type: {}", "t".repeat(70_000))), ["!bad-type"]);
        assert_eq!(edited("    password:\n", &format!("    {}:\n", "k".repeat(254))).len(), 1);
    }
}
