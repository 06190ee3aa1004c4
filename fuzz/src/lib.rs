//! What a fuzzer calls: each function takes any bytes, and panics if something does not hold that has to.
//!
//! The functions are plain, so that a test runs them over the examples and vectors of the repository with any
//! toolchain. The targets in `fuzz_targets/` hand them to libFuzzer.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use ageseal::check::{Context, File, check_text};
use ageseal::envelope::inspect;
use ageseal::format::{Kid, SealedValue};
use ageseal::manifest::{ObjectKind, SealedManifest, SecretManifest, embedded, holds_values, objects};
use ageseal::open::{Live, open};
use ageseal::policy::{Policy, RecipientsFile, Refusal};
use ageseal::recipient::{Identity, KeyRing, Recipient, RecipientId};
use ageseal::rewrite::{Asked, Order, seal_in_place};
use ageseal::scope::{Pattern, Scope};
use ageseal::yaml::{Editor, Place, Stream, Value};
use rand_core::OsRng;

/// A text as YAML: its documents cover it without gaps, everything in it is walked through, and an edit is either
/// refused or done.
pub fn parse_yaml(data: &[u8]) {
    let Ok(stream) = Stream::from_bytes(data.to_vec()) else { return };
    let mut end = 0;
    for document in stream.documents() {
        assert_eq!(document.span().start, end, "documents follow each other");
        end = document.span().end;
    }
    assert!(stream.documents().len() == 0 || end == stream.text().len(), "documents cover the text");
    assert!(stream.comments().all(|comment| comment.text().starts_with('#')));
    for one in embedded(&stream) {
        assert!(one.at.line >= 1 && one.path.len() <= 520);
    }
    for object in objects(&stream) {
        let _ = (holds_values(object.node), object.name(), object.namespace(), object.node.source());
        let mut editor = Editor::new(&stream);
        let value = Value::Str("a: 'b' # c\n".to_owned());
        if object.node.get("fuzz").is_none()
            && editor.insert(object.node, "fuzz", &value, Place::Last).is_ok()
            && let Ok(edited) = editor.finish()
        {
            let texts = objects(&edited).filter_map(|object| object.node.get("fuzz")?.str().map(str::to_owned));
            assert!(texts.into_iter().any(|text| text == "a: 'b' # c\n"), "an edit that was proved is there");
        }
    }
}

/// A text as each of the small things that stand in sealed files and policies: what is accepted is written as it was
/// read.
pub fn parse_format(data: &[u8]) {
    let _ = Policy::parse(data.to_vec());
    let _ = RecipientsFile::parse("fuzz", data, &|text: &str| -> Result<Recipient, Refusal> { Ok(text.parse()?) });
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(value) = text.parse::<SealedValue>() {
        assert_eq!(value.to_string(), text);
    }
    if let Ok(kid) = text.parse::<Kid>() {
        assert_eq!(Kid::from_map_key(&kid.map_key()), Ok(kid));
    }
    if let Ok(pattern) = text.parse::<Pattern>() {
        assert!(pattern.as_str() == text && pattern.covers(&pattern));
    }
    if let Ok(id) = text.parse::<RecipientId>() {
        assert_eq!(id.to_string(), text);
    }
    let _ = inspect(text);
}

/// A text as sealed documents: read, checked, and opened with a key that none of them is for.
pub fn read_sealed(data: &[u8]) {
    let stranger = &world().stranger;
    let file = File { path: Some("fuzz/a.yaml"), shown: "fuzz/a.yaml", built: false };
    let report = check_text(file, data.to_vec(), &Context::new(0).ring(stranger).at_most(10));
    assert!(report.opened == 0 && report.findings.len() <= 20);
    let Ok(stream) = Stream::from_bytes(data.to_vec()) else { return };
    for object in objects(&stream) {
        let Some(manifest) = SealedManifest::read(object.node).manifest else { continue };
        let live = Live { namespace: "fuzz", name: &manifest.name };
        if let Ok(opened) = open(&manifest.sealed, Some(live), stranger) {
            assert!(opened.values.is_empty(), "nobody but its readers opens a value");
        }
    }
}

/// A text as a recipient and as an identity: what is accepted has one way to be written.
pub fn parse_recipient_identity(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(recipient) = text.parse::<Recipient>() {
        let again: Recipient = recipient.canonical().parse().expect("a canonical recipient is one");
        assert_eq!((again.id(), again.kind()), (recipient.id(), recipient.kind()));
    }
    if let Ok(identity) = text.parse::<Identity>() {
        let written = identity.to_secret_string().expect("what is read from a text can be written");
        let again: Identity = written.parse().expect("a written identity is one");
        assert_eq!(again.recipient().map(Recipient::id), identity.recipient().map(Recipient::id));
    }
}

/// A text as a file with Secrets: sealed in its own text, read again and opened, every value is what it was.
///
/// Gives back how many Secrets were sealed.
pub fn rewrite(data: &[u8]) -> usize {
    let world = world();
    let Ok(source) = Stream::from_bytes(data.to_vec()) else { return 0 };
    let secrets = objects(&source).filter(|object| object.kind == ObjectKind::Secret);
    let secrets: Option<Vec<_>> = secrets.map(|object| SecretManifest::read(object.node, 0).manifest).collect();
    let Some(secrets) = secrets else { return 0 };
    let recipients = [world.mine.identities()[0].recipient().expect("a native identity has one")];
    let order = Order {
        recipients: &recipients,
        asked: Asked { namespace: None, scope: Some(&world.anywhere) },
        targets: &[],
        ring: &KeyRing::default(),
        prune: false,
        rescope: false,
        fresh: false,
        server_side: false,
    };
    let Ok(sealed) = seal_in_place(&source, &secrets, &order, &mut OsRng) else { return 0 };
    let Some(text) = sealed.text else { return 0 };
    let text = Stream::parse(text.text().to_owned()).expect("what is written is YAML");
    assert!(objects(&text).all(|object| object.kind != ObjectKind::Secret), "no Secret is left");
    for secret in &secrets {
        let same = |manifest: &SealedManifest<'_>| {
            manifest.name == secret.name && manifest.namespace.as_deref() == secret.namespace.as_deref()
        };
        let documents = objects(&text).filter(|object| object.kind == ObjectKind::SealedSecret);
        let mut documents = documents.filter_map(|object| SealedManifest::read(object.node).manifest);
        let document = documents.find(same).expect("each Secret has its document");
        let namespace = secret.namespace.as_deref().unwrap_or("fuzz");
        let live = Live { namespace, name: &secret.name };
        let opened = open(&document.sealed, Some(live), &world.mine).expect("who it is for opens it");
        assert!(opened.values == secret.data, "every value is what it was");
        assert!(open(&document.sealed, None, &world.stranger).is_err() || secret.data.is_empty());
    }
    secrets.len()
}

/// What stays the same from one input to the next.
struct World {
    mine: KeyRing,
    stranger: KeyRing,
    anywhere: Scope,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World {
        mine: KeyRing::new(vec![Identity::generate_x25519()]),
        stranger: KeyRing::new(vec![Identity::generate_x25519()]),
        anywhere: Scope::parse_sorted(&["*/*"]).expect("a pattern for everything"),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path);
            }
        }
    }

    /// The examples and vectors, whole, without the head of a vector, a line at a time, and cut anywhere.
    #[test]
    fn what_the_repository_holds_is_lived_through() {
        let mut found = Vec::new();
        for folder in ["../examples", "../tests/vectors", "../tests/yaml_edits"] {
            files(Path::new(folder), &mut found);
        }
        assert!(found.len() > 100);
        let mut sealed = 0;
        for path in found {
            let bytes = fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let document = text.split_once("\n---\n").map_or(&*text, |(_, document)| document);
            let cut = &document.as_bytes()[..document.len() * 2 / 3];
            for data in [&bytes[..], document.as_bytes(), cut] {
                parse_yaml(data);
                parse_format(data);
                read_sealed(data);
                sealed += rewrite(data);
            }
            for line in text.lines() {
                let word = line.trim().rsplit(' ').next().unwrap_or_default().trim_matches(['\'', '"']);
                parse_format(word.as_bytes());
                parse_recipient_identity(word.as_bytes());
            }
        }
        assert!(sealed > 50, "{sealed}");
    }
}
