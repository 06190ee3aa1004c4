//! A sealed file from nothing: a Secret whose plaintext was never on the disk.

use rand_core::CryptoRngCore;

use crate::manifest::SecretManifest;
use crate::yaml::{Stream, render};

use super::document::{document_value, seal_together};
use super::plan::{Order, Refusals, plan};
use super::seal::{SealedFile, verify};

/// Seals Secrets into the text of a new file.
pub fn create(
    secrets: &[SecretManifest<'_>],
    order: &Order<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<SealedFile, Refusals> {
    let documents = plan(secrets, &[], order)?;
    let refuse = |problem| Refusals { source: vec![problem], existing: vec![] };
    let mut text = String::new();
    for (secret, plan) in secrets.iter().zip(&documents) {
        let values = secret.data.iter().map(|(key, value)| (key.as_str(), value));
        let sealed = seal_together(values, &secret.secret_type, &plan.place, order.recipients, rng).map_err(refuse)?;
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&render(&document_value(secret, &plan.place, &sealed), "\n"));
    }
    let text = Stream::parse(text).map_err(|error| refuse(error.to_problem()))?;
    verify(&text, &documents, order).map_err(refuse)?;
    Ok(SealedFile { text: Some(text), documents, warnings: vec![] })
}
