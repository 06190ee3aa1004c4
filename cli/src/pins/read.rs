//! Reading a pin: every field is known, and every value has one form.

use ageseal::manifest::names::namespace_fault;
use ageseal::problem::{Location, Problem};
use ageseal::recipient::RecipientId;
use ageseal::yaml::{Kind, Node, Stream};

use super::{KIND, Pin, provable};

const API_VERSION: &str = "ageseal.dev/v1alpha1";
const KNOWN: [&str; 9] =
    ["apiVersion", "kind", "namespace", "uid", "address", "certificates", "serial", "current", "recipients"];
const REQUIRED: [&str; 6] = ["apiVersion", "kind", "namespace", "serial", "current", "recipients"];
/// The most certificates or recipients of one cluster.
const MAX_ITEMS: usize = 1_000;

pub(super) fn pin(bytes: Vec<u8>) -> Result<Pin, Vec<Problem>> {
    let stream = Stream::from_bytes(bytes).map_err(|error| vec![error.to_problem()])?;
    let mut documents = stream.documents();
    let root = documents.next().and_then(|document| document.root());
    let (Some(root), None) = (root.filter(|root| root.kind() == Kind::Mapping), documents.next()) else {
        return Err(vec![
            Problem::error("wrong-type", "a pin is one document, a mapping")
                .hint("remove the file and run ageseal recipients sync again"),
        ]);
    };
    let mut reader = Reader { problems: vec![] };
    for (key, _) in root.entries() {
        let name = key.str().unwrap_or_default();
        if !KNOWN.contains(&name) {
            reader.note("unknown-field", format!("a pin has no field {name:?}"), key.location());
        }
    }
    for name in REQUIRED.iter().filter(|name| root.get(name).is_none()) {
        reader.note("missing-field", format!("the pin has no {name}"), root.location());
    }
    let exact = |wanted: &'static str| move |text: &str| (text == wanted).then_some(());
    reader.one(root.get("apiVersion"), "apiVersion", API_VERSION, exact(API_VERSION));
    reader.one(root.get("kind"), "kind", KIND, exact(KIND));
    let namespace = reader.one(root.get("namespace"), "namespace", "the name of a namespace", |text| {
        namespace_fault(text).is_none().then(|| text.to_owned())
    });
    let uid = reader.one(root.get("uid"), "uid", "the uid of the namespace kube-system", uid);
    let address = reader.one(root.get("address"), "address", "an address that begins with https://", |text| {
        provable(text).map(str::to_owned)
    });
    let certificates =
        reader.several(root.get("certificates"), "certificates", "sha256: and 64 hex digits", certificate);
    let serial = root.get("serial").and_then(|node| {
        // A number is plain in YAML, and none of ours begins with 0.
        let text = node.str().filter(|text| node.as_string().is_none() && *text != "0" && !text.starts_with('0'));
        let number =
            text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).and_then(|text| text.parse().ok());
        if number.is_none() {
            reader.note("bad-value", "serial is not a number from 1 on".to_owned(), node.location());
        }
        number
    });
    let id = |text: &str| text.parse::<RecipientId>().ok();
    let current = reader.one(root.get("current"), "current", "the id of a recipient", id);
    let recipients = reader.several(root.get("recipients"), "recipients", "the id of a recipient", id);
    if let (Some(current), Some(node)) = (current, root.get("current"))
        && !recipients.contains(&current)
    {
        reader.note("bad-value", "current is not among the recipients".to_owned(), node.location());
    }
    match (namespace, serial, current) {
        (Some(namespace), Some(serial), Some(current)) if reader.problems.is_empty() => {
            let mut certificates = certificates;
            certificates.sort();
            Ok(Pin { namespace, uid, address, certificates, serial, current, recipients })
        }
        _ => {
            reader.problems.sort_by_key(|problem| problem.at);
            Err(reader.problems)
        }
    }
}

fn uid(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    ((1..=64).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
}

fn certificate(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:")?;
    let fits = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| text.to_owned())
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn note(&mut self, code: &'static str, message: String, at: Location) {
        self.problems.push(
            Problem::error(code, message)
                .at(at)
                .hint("ageseal recipients sync writes this file: take it back from git"),
        );
    }

    /// A string of a form; noted if it is there and is none.
    fn one<T>(
        &mut self,
        node: Option<Node<'_>>,
        what: &str,
        form: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let node = node?;
        let value = node.as_string().and_then(read);
        if value.is_none() {
            self.note("bad-value", format!("{what} is not {form}"), node.location());
        }
        value
    }

    /// A list of strings of a form, none of them twice.
    fn several<T: PartialEq>(
        &mut self,
        node: Option<Node<'_>>,
        what: &str,
        form: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = node else { return vec![] };
        let count = node.items().count();
        if node.kind() != Kind::Sequence || count == 0 || count > MAX_ITEMS {
            self.note("bad-value", format!("{what} is not a list of 1 to {MAX_ITEMS}"), node.location());
            return vec![];
        }
        let mut values = vec![];
        for item in node.items() {
            match self.one(Some(item), &format!("an item of {what}"), form, &read) {
                Some(value) if values.contains(&value) => {
                    self.note("bad-value", format!("{what} has this item twice"), item.location());
                }
                Some(value) => values.push(value),
                None => {}
            }
        }
        values
    }
}
