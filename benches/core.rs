//! What the parts of the core cost: wrapping a key, sealing, opening, parsing YAML and editing it.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::hint::black_box;

use ageseal::envelope::FreshDek;
use ageseal::format::{Envelope, Item, Sealed};
use ageseal::open::open;
use ageseal::recipient::{Identity, KeyRing, Recipient};
use ageseal::scope::Scope;
use ageseal::seal::Context;
use ageseal::secret::Plaintext;
use ageseal::yaml::{Editor, Place, Stream, Value};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand_core::OsRng;

const VALUES: usize = 10;

/// The recipients of a document: one classic one, or a cluster and a recovery key as `init` makes them.
fn readers() -> [(&'static str, Vec<Identity>); 2] {
    [
        ("x25519", vec![Identity::generate_x25519()]),
        ("two post-quantum", (0..2).map(|_| Identity::generate_hybrid(&mut OsRng)).collect()),
    ]
}

fn seal_ten(recipients: &[&Recipient]) -> Sealed {
    let dek = FreshDek::generate(&mut OsRng);
    let scope = Scope::exact("shop-prod", "db-credentials").unwrap();
    let items = (0..VALUES).map(|number| {
        let key = format!("key-{number}");
        let context = Context { secret_type: "Opaque", key: &key, scope: &scope };
        let value = dek.seal(context, &Plaintext::new(b"not-a-real-password".to_vec()), &mut OsRng).unwrap();
        (key, Item { value, scope: None, envelope: None })
    });
    let items = items.collect();
    let envelope = Envelope { file: dek.wrap(recipients).unwrap(), also: vec![] };
    Sealed { secret_type: "Opaque".to_owned(), scope: Some(scope), items, envelopes: [(dek.kid(), envelope)].into() }
}

fn seal_and_open(criterion: &mut Criterion) {
    for (name, identities) in readers() {
        let recipients: Vec<&Recipient> = identities.iter().filter_map(Identity::recipient).collect();
        let dek = FreshDek::generate(&mut OsRng);
        criterion.bench_function(&format!("wrap a key: {name}"), |b| b.iter(|| dek.wrap(&recipients).unwrap()));
        criterion.bench_function(&format!("seal ten values: {name}"), |b| b.iter(|| seal_ten(&recipients)));
        let sealed = seal_ten(&recipients);
        let ring = KeyRing::new(identities);
        criterion
            .bench_function(&format!("open ten values: {name}"), |b| b.iter(|| open(&sealed, None, &ring).unwrap()));
    }
}

/// A Secret with a hundred values, comments and all.
fn secret() -> String {
    let mut text = String::from("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n");
    for number in 0..100 {
        writeln!(text, "  key-{number:03}: \"not-a-real-password-{number}\"   # a comment").unwrap();
    }
    text
}

fn yaml(criterion: &mut Criterion) {
    let text = secret();
    let mut group = criterion.benchmark_group("yaml");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("parse a hundred values", |b| {
        b.iter_batched(|| text.clone(), |text| Stream::parse(text).unwrap(), BatchSize::SmallInput);
    });
    let stream = Stream::parse(text.clone()).unwrap();
    let data = stream.documents().next().unwrap().root().unwrap().get("stringData").unwrap();
    group.bench_function("change one of a hundred values, and prove it", |b| {
        b.iter(|| {
            let mut editor = Editor::new(black_box(&stream));
            editor.set(data, "key-050", &Value::string("another"), Place::Sorted).unwrap();
            editor.finish().unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, seal_and_open, yaml);
criterion_main!(benches);
