//! Whether a document opens with the identities at hand: the proof that a recovery would work.

use super::{Code, Context, FileReport, Finding, few, sealed::key_at};
use crate::manifest::SealedManifest;
use crate::open::{OpenError, open};
use crate::recipient::{KeyRing, RecipientId};

/// Opens every value and forgets it. Only what was authenticated is checked: where the document stands is held against
/// its scope without a key.
pub(super) fn check(
    manifest: &SealedManifest<'_>,
    title: &str,
    ring: &KeyRing,
    context: &Context<'_>,
    report: &mut FileReport,
) {
    match open(&manifest.sealed, None, ring) {
        Ok(opened) => report.opened += opened.values.len(),
        Err(OpenError::NotARecipient { key, claimed }) => {
            let names: Vec<_> = claimed.iter().map(|id| name(*id, context)).collect();
            let line = format!("{title}: {key} is sealed for {}", few(&names));
            report.say(
                Finding::new(Code::NotARecipient, Some(key_at(manifest, &key)), line)
                    .hint("-i FILE with an identity of one of them; none of them is at hand if the claim is not true"),
            );
        }
        Err(OpenError::Envelope { key } | OpenError::Value { key }) => {
            let line = format!("{title}: {key} was changed, moved or renamed after it was sealed");
            report.say(
                Finding::new(Code::CannotOpen, Some(key_at(manifest, &key)), line)
                    .hint("git log -p shows when; restore it, or seal it again from its source"),
            );
        }
        Err(error) => {
            let line = format!("{title}: {error}");
            report.say(Finding::new(Code::Malformed, Some(manifest.node.location()), line));
        }
    }
}

fn name(id: RecipientId, context: &Context<'_>) -> String {
    let named = context.recipients.map(|recipients| recipients.describe(id)).unwrap_or_default();
    let names: Vec<_> = named.into_iter().map(|named| named.name).collect();
    if names.is_empty() { id.to_string() } else { format!("{} ({id})", names.join(" and ")) }
}
