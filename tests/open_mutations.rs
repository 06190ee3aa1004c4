//! Whatever somebody does to a sealed document without its keys: what still opens is what was sealed, where it was
//! sealed for, and nothing ever panics.
//!
//! The check is one sentence: every value that comes out is one of those that went in, with the same data key, the same
//! type and the same scope, and the scope has the place in which it was opened.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use ageseal::envelope::FreshDek;
use ageseal::format::{AgeFile, Envelope, Item, Kid, Sealed, SealedValue};
use ageseal::manifest::{ObjectKind, SealedManifest, SecretManifest, could_hold_secret, embedded, objects};
use ageseal::open::{Live, OpenError, Reason, open};
use ageseal::recipient::{Identity, KeyRing, Recipient};
use ageseal::rewrite::{Shape, secret_value};
use ageseal::scope::Scope;
use ageseal::seal::Context;
use ageseal::secret::Plaintext;
use ageseal::yaml::{Stream, render};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;

const TYPES: [&str; 3] = ["Opaque", "kubernetes.io/basic-auth", "example.com/x"];
const KEYS: [&str; 5] = ["host", "password", "user", "token", "a"];
const SCOPES: [&[&str]; 7] =
    [&["prod/db"], &["prod/other"], &["test/db"], &["prod/*"], &["prod/db", "test/db"], &["*/*"], &["prod/db-{hash}"]];
const PLACES: [(&str, &str); 6] =
    [("prod", "db"), ("prod", "other"), ("test", "db"), ("prod", "db-2456789bcd"), ("evil", "db"), ("prod", "else")];

/// What was sealed: type, data key, scope, value.
type Authentic = BTreeSet<(String, String, String, Vec<u8>)>;

struct World {
    ring: KeyRing,
    documents: Vec<Sealed>,
    texts: Vec<String>,
    authentic: Authentic,
}

fn scope(patterns: &[&str]) -> Scope {
    Scope::canonical(patterns.iter().map(|text| text.parse().unwrap())).unwrap()
}

/// Several documents for one reader, one for somebody else; values that share an envelope, that have one of their own,
/// and that have a scope of their own.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let mut rng = rand_core::OsRng;
        let (mine, foreign) = (Identity::generate_x25519(), Identity::generate_x25519());
        let mut authentic = Authentic::new();
        let mut documents = Vec::new();
        let shapes = [
            ("Opaque", SCOPES[0], true),
            ("Opaque", SCOPES[1], true),
            ("kubernetes.io/basic-auth", SCOPES[0], true),
            ("Opaque", SCOPES[4], true),
            ("Opaque", SCOPES[6], true),
            ("Opaque", SCOPES[0], false),
        ];
        for (number, (secret_type, patterns, for_me)) in shapes.into_iter().enumerate() {
            let recipient = if for_me { mine.recipient() } else { foreign.recipient() }.unwrap();
            let document = scope(patterns);
            let shared = FreshDek::generate(&mut rng);
            let mut items = BTreeMap::new();
            for key in KEYS {
                let own_scope = (key == "token").then(|| scope(&["prod/*"]));
                let effective = own_scope.as_ref().unwrap_or(&document);
                let own_dek = (key == "user").then(|| FreshDek::generate(&mut rng));
                let dek = own_dek.as_ref().unwrap_or(&shared);
                let value = format!("value of {key} in document {number}").into_bytes();
                let context = Context { secret_type, key, scope: effective };
                let sealed = dek.seal(context, &Plaintext::new(value.clone()), &mut rng).unwrap();
                authentic.insert((secret_type.to_owned(), key.to_owned(), effective.to_string(), value));
                let envelope = own_dek.map(|dek| envelope(&dek, recipient));
                items.insert(key.to_owned(), Item { value: sealed, scope: own_scope, envelope });
            }
            let envelopes = BTreeMap::from([(shared.kid(), envelope(&shared, recipient))]);
            documents.push(Sealed { secret_type: secret_type.to_owned(), scope: Some(document), items, envelopes });
        }
        let texts = documents.iter().enumerate().map(|(number, sealed)| text(number, sealed)).collect();
        World { ring: KeyRing::new(vec![mine]), documents, texts, authentic }
    })
}

fn envelope(dek: &FreshDek, recipient: &Recipient) -> Envelope {
    Envelope { file: dek.wrap(&[recipient]).unwrap(), also: vec![] }
}

/// A document as a file has it.
fn text(number: usize, sealed: &Sealed) -> String {
    let scope = |scope: &Scope, indent: &str| {
        scope.patterns().iter().map(|pattern| format!("{indent}- '{}'\n", pattern.as_str())).collect::<String>()
    };
    let age = |file: &AgeFile, indent: &str| {
        let ids: Vec<_> = file.recipients.iter().map(ToString::to_string).collect();
        let lines: String = file.age.lines().map(|line| format!("{indent}  {line}\n")).collect();
        format!("{indent}recipients: [{}]\n{indent}age: |\n{lines}", ids.join(", "))
    };
    let (namespace, name) = PLACES[[0, 1, 0, 2, 3, 0][number]];
    let mut text = format!(
        "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  scope:\n{}  type: {}\n  encryptedData:\n",
        scope(sealed.scope.as_ref().unwrap(), "  "),
        sealed.secret_type
    );
    for (key, item) in &sealed.items {
        text.push_str(&format!("    {key}:\n      value: {}\n", item.value));
        if let Some(own) = &item.scope {
            text.push_str(&format!("      scope:\n{}", scope(own, "      ")));
        }
        if let Some(own) = &item.envelope {
            text.push_str(&format!("      envelope:\n{}", age(&own.file, "        ")));
        }
    }
    text.push_str("  envelopes:\n");
    for (kid, shared) in &sealed.envelopes {
        text.push_str(&format!("    {}:\n{}", kid.map_key(), age(&shared.file, "      ")));
    }
    text
}

/// Opens at a place and holds what comes out against what went in.
fn check(sealed: &Sealed, live: Option<(&str, &str)>) -> Result<bool, TestCaseError> {
    let world = world();
    let place = live.map(|(namespace, name)| Live { namespace, name });
    let opened = match open(sealed, place, &world.ring) {
        Ok(opened) => opened,
        Err(error) => {
            // No word of an error is a value.
            let told = format!("{error} {error:?}");
            prop_assert!(!told.contains("value of"), "{told}");
            prop_assert!(error.reason() <= Reason::CannotOpen);
            return Ok(false);
        }
    };
    prop_assert_eq!(opened.values.keys().collect::<Vec<_>>(), sealed.items.keys().collect::<Vec<_>>());
    for (key, value) in &opened.values {
        let effective = sealed.effective_scope(&sealed.items[key]).unwrap();
        let found = (sealed.secret_type.clone(), key.clone(), effective.to_string(), value.expose().to_vec());
        prop_assert!(
            world.authentic.contains(&found),
            "{key} of {} for {effective} was never sealed",
            sealed.secret_type
        );
        if let Some((namespace, name)) = live {
            prop_assert!(effective.matches(namespace, name), "{key} for {effective} opened at {namespace}/{name}");
        }
    }
    Ok(true)
}

/// Something that somebody without a key can do to a document.
#[derive(Clone, Debug)]
enum Mutation {
    Type(usize),
    DocumentScope(Option<usize>),
    ItemScope(Index, Option<usize>),
    Rename(Index, usize),
    SwapValues(Index, Index),
    SwapItems(Index, Index),
    TakeItem(usize, Index, Index),
    Drop(Index),
    FlipValue(Index, Index),
    Kid(Index, u64),
    KidOf(Index, usize, Index),
    DropOwnEnvelope(Index),
    GiveSharedAsOwn(Index),
    TakeEnvelope(usize, Index),
    DropShared,
    RenameShared(u64),
    Also(usize, bool),
    Claims(Index, usize),
    CutAge(Index),
    FlipAge(Index),
    TakeAll(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let document = 0..6usize;
    let item = any::<Index>;
    prop_oneof![
        (0..TYPES.len()).prop_map(Mutation::Type),
        proptest::option::of(0..SCOPES.len()).prop_map(Mutation::DocumentScope),
        (item(), proptest::option::of(0..SCOPES.len())).prop_map(|(at, to)| Mutation::ItemScope(at, to)),
        (item(), 0..KEYS.len()).prop_map(|(at, to)| Mutation::Rename(at, to)),
        (item(), item()).prop_map(|(one, other)| Mutation::SwapValues(one, other)),
        (item(), item()).prop_map(|(one, other)| Mutation::SwapItems(one, other)),
        (document.clone(), item(), item()).prop_map(|(from, one, to)| Mutation::TakeItem(from, one, to)),
        item().prop_map(Mutation::Drop),
        (item(), item()).prop_map(|(at, byte)| Mutation::FlipValue(at, byte)),
        (item(), any::<u64>()).prop_map(|(at, kid)| Mutation::Kid(at, kid)),
        (item(), document.clone(), item()).prop_map(|(at, from, one)| Mutation::KidOf(at, from, one)),
        item().prop_map(Mutation::DropOwnEnvelope),
        item().prop_map(Mutation::GiveSharedAsOwn),
        (document.clone(), item()).prop_map(|(from, at)| Mutation::TakeEnvelope(from, at)),
        Just(Mutation::DropShared),
        any::<u64>().prop_map(Mutation::RenameShared),
        (document.clone(), any::<bool>()).prop_map(|(from, first)| Mutation::Also(from, first)),
        (item(), document.clone()).prop_map(|(at, from)| Mutation::Claims(at, from)),
        item().prop_map(Mutation::CutAge),
        item().prop_map(Mutation::FlipAge),
        document.prop_map(Mutation::TakeAll),
    ]
}

fn key_at(sealed: &Sealed, at: Index) -> Option<String> {
    (!sealed.items.is_empty()).then(|| sealed.items.keys().nth(at.index(sealed.items.len())).unwrap().clone())
}

fn kid(number: u64) -> Kid {
    format!("{number:016x}").parse().unwrap()
}

fn flip(text: &str, at: Index) -> String {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.is_empty() {
        return String::new();
    }
    let at = at.index(bytes.len());
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

fn apply(sealed: &mut Sealed, mutation: Mutation) {
    let world = world();
    let others = &world.documents;
    let shared_of = |document: &Sealed| document.envelopes.values().next().unwrap().clone();
    match mutation {
        Mutation::Type(to) => sealed.secret_type = TYPES[to].to_owned(),
        Mutation::DocumentScope(to) => sealed.scope = to.map(|to| scope(SCOPES[to])),
        Mutation::ItemScope(at, to) => {
            if let Some(key) = key_at(sealed, at) {
                sealed.items.get_mut(&key).unwrap().scope = to.map(|to| scope(SCOPES[to]));
            }
        }
        Mutation::Rename(at, to) => {
            if let Some(item) = key_at(sealed, at).and_then(|key| sealed.items.remove(&key)) {
                sealed.items.insert(KEYS[to].to_owned(), item);
            }
        }
        Mutation::SwapValues(one, other) => {
            if let (Some(one), Some(other)) = (key_at(sealed, one), key_at(sealed, other)) {
                let (first, second) = (sealed.items[&one].value.clone(), sealed.items[&other].value.clone());
                sealed.items.get_mut(&one).unwrap().value = second;
                sealed.items.get_mut(&other).unwrap().value = first;
            }
        }
        Mutation::SwapItems(one, other) => {
            if let (Some(one), Some(other)) = (key_at(sealed, one), key_at(sealed, other)) {
                let (first, second) = (sealed.items[&one].clone(), sealed.items[&other].clone());
                sealed.items.insert(one, second);
                sealed.items.insert(other, first);
            }
        }
        Mutation::TakeItem(from, one, to) => {
            let key = key_at(&others[from], one).unwrap();
            let target = key_at(sealed, to).unwrap_or_else(|| key.clone());
            let mut item = others[from].items[&key].clone();
            // Whoever moves a value takes its envelope along.
            item.envelope.get_or_insert_with(|| shared_of(&others[from]));
            sealed.items.insert(target, item);
        }
        Mutation::Drop(at) => {
            if let Some(key) = key_at(sealed, at) {
                sealed.items.remove(&key);
            }
        }
        Mutation::FlipValue(at, byte) => {
            if let Some(key) = key_at(sealed, at)
                && let Ok(value) = flip(&sealed.items[&key].value.to_string(), byte).parse::<SealedValue>()
            {
                sealed.items.get_mut(&key).unwrap().value = value;
            }
        }
        Mutation::Kid(at, number) => {
            if let Some(key) = key_at(sealed, at) {
                sealed.items.get_mut(&key).unwrap().value.kid = kid(number);
            }
        }
        Mutation::KidOf(at, from, one) => {
            if let Some(key) = key_at(sealed, at) {
                let other = key_at(&others[from], one).unwrap();
                sealed.items.get_mut(&key).unwrap().value.kid = others[from].items[&other].value.kid;
                sealed.envelopes.extend(others[from].envelopes.clone());
            }
        }
        Mutation::DropOwnEnvelope(at) => {
            if let Some(key) = key_at(sealed, at) {
                sealed.items.get_mut(&key).unwrap().envelope = None;
            }
        }
        Mutation::GiveSharedAsOwn(at) => {
            if let (Some(key), Some(shared)) = (key_at(sealed, at), sealed.envelopes.values().next().cloned()) {
                sealed.items.get_mut(&key).unwrap().envelope = Some(shared);
            }
        }
        Mutation::TakeEnvelope(from, at) => {
            let foreign = shared_of(&others[from]);
            match key_at(sealed, at) {
                Some(key) if at.index(2) == 0 => sealed.items.get_mut(&key).unwrap().envelope = Some(foreign),
                _ => sealed.envelopes.values_mut().for_each(|envelope| *envelope = foreign.clone()),
            }
        }
        Mutation::DropShared => sealed.envelopes.clear(),
        Mutation::RenameShared(number) => {
            if let Some((_, envelope)) = sealed.envelopes.pop_first() {
                sealed.envelopes.insert(kid(number), envelope);
            }
        }
        Mutation::Also(from, first) => {
            for envelope in sealed.envelopes.values_mut() {
                let foreign = shared_of(&others[from]).file;
                if first {
                    let true_one = std::mem::replace(&mut envelope.file, foreign);
                    envelope.also.push(true_one);
                } else {
                    envelope.also.push(foreign);
                }
            }
        }
        Mutation::Claims(at, from) => {
            let foreign = shared_of(&others[from]).file.recipients;
            for envelope in sealed.envelopes.values_mut() {
                if at.index(2) == 0 {
                    envelope.file.recipients.clone_from(&foreign);
                } else {
                    envelope.file.recipients.extend(foreign.iter().copied());
                }
            }
        }
        Mutation::CutAge(at) => {
            // One that an earlier mutation cut to nothing has nothing left to cut.
            for envelope in sealed.envelopes.values_mut().filter(|envelope| !envelope.file.age.is_empty()) {
                let len = at.index(envelope.file.age.len());
                envelope.file.age.truncate(len);
            }
        }
        Mutation::FlipAge(at) => {
            for envelope in sealed.envelopes.values_mut() {
                envelope.file.age = flip(&envelope.file.age, at);
            }
        }
        Mutation::TakeAll(from) => *sealed = others[from].clone(),
    }
}

/// A change to the bytes of a file.
#[derive(Clone, Debug)]
enum Edit {
    Put(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Copy(Index, usize, Index),
    SwapLines(Index, Index),
    CopyLine(Index, Index),
    RemoveLine(Index),
    Word(Index, &'static str),
    Cut(Index),
    LineOf(usize, Index, Index),
}

const WORDS: [&str; 22] = [
    "prod/*", "'*/*'", "test", "null", "~", "{}", "[]", "\n", "\r\n", "- ", ": ", "#", "&a ", "*a", "!!str ", "\t",
    "\u{feff}", "---\n", "<<: ", "\"", "'", "|\n",
];

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Put(at, byte)),
        (at(), vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (at(), 1..40usize).prop_map(|(at, len)| Edit::Remove(at, len)),
        (at(), 1..200usize, at()).prop_map(|(at, len, to)| Edit::Copy(at, len, to)),
        (at(), at()).prop_map(|(one, other)| Edit::SwapLines(one, other)),
        (at(), at()).prop_map(|(one, to)| Edit::CopyLine(one, to)),
        at().prop_map(Edit::RemoveLine),
        (at(), select(&WORDS[..])).prop_map(|(at, word)| Edit::Word(at, word)),
        at().prop_map(Edit::Cut),
        (0..6usize, at(), at()).prop_map(|(from, one, to)| Edit::LineOf(from, one, to)),
    ]
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn apply_edit(bytes: &mut Vec<u8>, edit: Edit) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match edit {
        Edit::Put(at, byte) => bytes[at.index(len)] = byte,
        Edit::Insert(at, more) => {
            let at = at.index(len);
            bytes.splice(at..at, more);
        }
        Edit::Remove(at, count) => {
            let at = at.index(len);
            bytes.drain(at..(at + count).min(len));
        }
        Edit::Copy(at, count, to) => {
            let at = at.index(len);
            let part = bytes[at..(at + count).min(len)].to_vec();
            let to = to.index(len);
            bytes.splice(to..to, part);
        }
        Edit::Word(at, word) => {
            let at = at.index(len);
            bytes.splice(at..at, word.bytes());
        }
        Edit::Cut(at) => bytes.truncate(at.index(len)),
        Edit::SwapLines(one, other) => {
            let mut all = lines(bytes);
            let count = all.len();
            all.swap(one.index(count), other.index(count));
            *bytes = all.concat();
        }
        Edit::CopyLine(one, to) => {
            let mut all = lines(bytes);
            let line = all[one.index(all.len())].clone();
            let to = to.index(all.len());
            all.insert(to, line);
            *bytes = all.concat();
        }
        Edit::RemoveLine(one) => {
            let mut all = lines(bytes);
            let at = one.index(all.len());
            all.remove(at);
            *bytes = all.concat();
        }
        Edit::LineOf(from, one, to) => {
            let foreign = lines(world().texts[from].as_bytes());
            let mut all = lines(bytes);
            let to = to.index(all.len());
            all[to] = foreign[one.index(foreign.len())].clone();
            *bytes = all.concat();
        }
    }
}

/// Reads bytes as every reader does, and opens what can be opened.
fn read_all(bytes: Vec<u8>) -> Result<bool, TestCaseError> {
    let mut opened = false;
    let _ = could_hold_secret(&bytes);
    let Ok(stream) = Stream::from_bytes(bytes) else { return Ok(false) };
    let _ = embedded(&stream).len();
    for object in objects(&stream) {
        for problem in SecretManifest::read(object.node, 0).problems {
            let told = format!("{problem:?}");
            prop_assert!(!told.contains("value of"));
        }
        if object.kind != ObjectKind::SealedSecret {
            continue;
        }
        let Some(manifest) = SealedManifest::read(object.node).manifest else { continue };
        for place in PLACES {
            opened |= check(&manifest.sealed, Some(place))?;
        }
        if let Some(namespace) = &manifest.namespace {
            opened |= check(&manifest.sealed, Some((namespace, &manifest.name)))?;
        }
        if check(&manifest.sealed, None)? {
            let values = open(&manifest.sealed, None, &world().ring).unwrap().values;
            let made = render(&secret_value(&manifest, &values, Shape::StringData), "\n");
            prop_assert!(Stream::parse(made).is_ok());
        }
    }
    Ok(opened)
}

#[test]
fn what_nobody_touched_opens_where_it_was_sealed_for_and_nowhere_else() {
    let world = world();
    for (number, sealed) in world.documents.iter().enumerate() {
        for (namespace, name) in PLACES {
            // `token` has a scope of its own, and every item has to match.
            let everywhere =
                sealed.items.values().all(|item| sealed.effective_scope(item).unwrap().matches(namespace, name));
            let expected = everywhere && number != 5;
            assert_eq!(check(sealed, Some((namespace, name))).unwrap(), expected, "{number} at {namespace}/{name}");
            if !everywhere {
                let error = open(sealed, Some(Live { namespace, name }), &world.ring).err().unwrap();
                assert!(matches!(error, OpenError::ScopeMismatch { .. }), "{number} at {namespace}/{name}: {error:?}");
            }
        }
    }
    for (number, text) in world.texts.iter().enumerate() {
        let stream = Stream::parse(text.clone()).unwrap();
        let object = objects(&stream).next().unwrap();
        let reading = SealedManifest::read(object.node);
        assert_eq!(
            reading.manifest.map(|manifest| manifest.sealed).as_ref(),
            Some(&world.documents[number]),
            "{:?}",
            reading.problems
        );
    }
}

#[test]
fn one_field_widened_never_opens() {
    let world = world();
    for sealed in &world.documents[..5] {
        for patterns in SCOPES {
            for namespace_name in PLACES.map(Some).into_iter().chain([None]) {
                let wide = scope(patterns);
                if sealed.scope.as_ref() == Some(&wide) {
                    continue;
                }
                let mut mutated = sealed.clone();
                mutated.scope = Some(wide.clone());
                assert!(!check(&mutated, namespace_name).unwrap(), "{patterns:?}");
                for key in KEYS {
                    let mut mutated = sealed.clone();
                    let item = mutated.items.get_mut(key).unwrap();
                    if item.scope.as_ref().or(sealed.scope.as_ref()) != Some(&wide) {
                        item.scope = Some(wide.clone());
                        assert!(!check(&mutated, namespace_name).unwrap(), "{key} {patterns:?}");
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_mutation(document in 0..6usize, mutation in mutation(), place in select(&PLACES[..])) {
        let mut sealed = world().documents[document].clone();
        apply(&mut sealed, mutation);
        check(&sealed, Some(place))?;
        check(&sealed, None)?;
    }

    #[test]
    fn several_mutations(document in 0..6usize, mutations in vec(mutation(), 2..7), place in select(&PLACES[..])) {
        let mut sealed = world().documents[document].clone();
        mutations.into_iter().for_each(|mutation| apply(&mut sealed, mutation));
        check(&sealed, Some(place))?;
        check(&sealed, None)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edited_bytes(document in 0..6usize, edits in vec(edit(), 1..5)) {
        let mut bytes = world().texts[document].clone().into_bytes();
        edits.into_iter().for_each(|edit| apply_edit(&mut bytes, edit));
        read_all(bytes)?;
    }

    #[test]
    fn bytes_out_of_nowhere(bytes in vec(any::<u8>(), 0..400), head in 0..6usize, keep in any::<Index>()) {
        read_all(bytes.clone())?;
        let text = world().texts[head].as_bytes();
        let kept = &text[..keep.index(text.len())];
        read_all([kept, &bytes].concat())?;
    }
}

#[test]
fn mutations_reach_both_ends() {
    // A test that only ever refuses would prove nothing: some of what is done is harmless, and opens.
    let world = world();
    let mut opened = BTreeMap::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..2000 {
        let tree = (0..5usize, mutation()).new_tree(&mut runner).unwrap();
        let (document, mutation) = tree.current();
        let name = format!("{mutation:?}").split('(').next().unwrap().to_owned();
        let mut sealed = world.documents[document].clone();
        apply(&mut sealed, mutation);
        let counts: &mut (usize, usize) = opened.entry(name).or_default();
        if check(&sealed, None).unwrap() { counts.0 += 1 } else { counts.1 += 1 }
    }
    for harmless in ["Drop", "Also", "Claims"] {
        assert!(opened[harmless].0 > 0, "{harmless}: {opened:?}");
    }
    for harmful in
        ["Type", "DocumentScope", "Rename", "SwapValues", "FlipValue", "Kid", "CutAge", "FlipAge", "DropShared"]
    {
        assert!(opened[harmful].1 > 0, "{harmful}: {opened:?}");
    }
    assert_eq!((opened["DropShared"].0, opened["CutAge"].0), (0, 0), "{opened:?}");
}
