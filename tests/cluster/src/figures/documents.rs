//! The documents that figures are about: ten invented values each, sealed by the core before anything is measured.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

use ageseal::recipient::{Identity, Recipient};
use bytes::Bytes;
use rand_core::OsRng;

use crate::sealed;

/// How many values a Secret has.
pub(crate) const VALUES: usize = 10;

/// A document, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Its name, and its Secret's.
    pub(crate) name: String,
    /// The custom resource as JSON.
    pub(crate) json: Bytes,
}

/// Who documents are sealed for: the cluster, and a recovery key that is kept elsewhere.
pub(crate) struct Readers {
    cluster: Recipient,
    recovery: Identity,
}

impl Readers {
    /// The published recipient of a cluster, and a new recovery key beside it, both post-quantum as `init` makes them.
    pub(crate) fn new(cluster: Recipient) -> Self {
        Self { cluster, recovery: Identity::generate_hybrid(&mut OsRng) }
    }

    /// Seals the documents of these numbers for a namespace; `round` makes the values of the same document others.
    ///
    /// # Panics
    /// If the core refuses to seal.
    pub(crate) fn seal(&self, namespace: &str, numbers: Range<usize>, round: usize) -> Vec<Document> {
        let recovery = self.recovery.recipient().expect("an identity that is made has a recipient");
        let seal = |number: usize| {
            let name = name(number);
            let document = values(number, round)
                .into_iter()
                .fold(sealed::document(namespace, &name), |document, (key, value)| document.value(&key, value))
                .seal_for(&[&self.cluster, recovery]);
            let json = serde_json::to_vec(&document).unwrap_or_else(|e| panic!("{name}: {e}"));
            Document { name, json: json.into() }
        };
        let numbers: Vec<usize> = numbers.collect();
        let share = numbers.len().div_ceil(thread::available_parallelism().map_or(1, NonZero::get)).max(1);
        thread::scope(|scope| {
            let threads: Vec<_> = numbers
                .chunks(share)
                .map(|share| scope.spawn(move || share.iter().map(|number| seal(*number)).collect::<Vec<_>>()))
                .collect();
            let sealed = threads.into_iter().map(|thread| thread.join());
            sealed.flat_map(|shares| shares.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }
}

/// What a document and its Secret are called.
pub(crate) fn name(number: usize) -> String {
    format!("db-{number:05}")
}

/// The values of a document, by data key: 16 to 43 characters each.
pub(crate) fn values(number: usize, round: usize) -> Vec<(String, String)> {
    let value = |value: usize| {
        let filler = &"abcdefghijklmnopqrstuvwxyz0"[..value * 3];
        (format!("key-{value}"), format!("not-real-{:05}-{value}{filler}", (number + round * 7919) % 100_000))
    };
    (0..VALUES).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_sealed_in_their_order_with_ten_values_each() {
        let cluster = Identity::generate_hybrid(&mut OsRng);
        let readers = Readers::new(cluster.recipient().unwrap().canonical().parse().unwrap());
        let documents = readers.seal("figures", 3..8, 0);
        assert_eq!(
            documents.iter().map(|document| document.name.clone()).collect::<Vec<_>>(),
            [3, 4, 5, 6, 7].map(name)
        );
        for document in &documents {
            let json: serde_json::Value = serde_json::from_slice(&document.json).unwrap();
            assert_eq!(json["metadata"]["name"], *document.name);
            assert_eq!(json["spec"]["encryptedData"].as_object().unwrap().len(), VALUES);
            assert_eq!(json["spec"]["envelopes"].as_object().unwrap().len(), 1, "one envelope is shared");
        }
    }

    #[test]
    fn values_are_16_to_43_characters_and_differ_by_round() {
        let lengths: Vec<usize> = values(7, 0).into_iter().map(|(_, value)| value.len()).collect();
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&16), Some(&43)));
        assert_ne!(values(7, 0), values(7, 1));
    }
}
