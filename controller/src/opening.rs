//! From the text of a spec to its values, or to the reason why not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ageseal::api::{ReadyReason, SealedSecretSpec};
use ageseal::envelope::MAX_UNWRAPS;
use ageseal::format::{DEFAULT_TYPE, Envelope, Sealed};
use ageseal::open::{Live, OpenError, open_within};
use ageseal::recipient::{KeyRing, RecipientId};
use ageseal::scope::{Pattern, Scope};
use ageseal::secret::Plaintext;

use crate::doc::Key;
use crate::fault::Fault;

/// The most that the values of one Secret sum to: `MaxSecretSize` of the Kubernetes API.
const MAX_SECRET: usize = 1024 * 1024;

/// A document that opened.
pub struct Opening {
    /// The values by data key.
    pub values: BTreeMap<String, Plaintext>,
    /// The ids of the identities that opened it.
    pub identities: BTreeSet<RecipientId>,
}

/// What a spec says, as far as it is understood without a key.
pub struct Understood {
    /// The spec.
    pub spec: SealedSecretSpec,
    /// Its sealed part.
    pub sealed: Sealed,
    /// The bytes of its text.
    length: usize,
}

/// Parses a spec.
///
/// # Errors
/// `Malformed`, with the place and nothing of what stands there.
pub fn understand(spec: &str) -> Result<Understood, Fault> {
    let length = spec.len();
    // What the API server stores it has held against the schema; another schema may have been there before.
    let spec: SealedSecretSpec = serde_json::from_str(spec)
        .map_err(|_| Fault::new(ReadyReason::Malformed, "the spec is not of the shape that this version knows"))?;
    match spec.to_sealed() {
        Ok(sealed) => Ok(Understood { spec, sealed, length }),
        Err(error) => {
            let keys = error.key().map(str::to_owned);
            Err(Fault::new(ReadyReason::Malformed, error.to_string()).keys(keys))
        }
    }
}

impl Understood {
    /// The type of the Secret.
    pub fn secret_type(&self) -> &str {
        self.spec.secret_type.as_deref().unwrap_or(DEFAULT_TYPE)
    }
}

/// With how many tries to unwrap a key a document is opened at once: that takes a millisecond or two at most.
const FEW: usize = 8;
/// How many bytes of items and envelopes it may have for that.
const SHORT: usize = 64 * 1024;

/// Opens a document where it stands.
///
/// Most documents take a quarter of a millisecond, and a good part of that again to be handed to another thread and back. What
/// may take longer is opened on a thread that may be busy for a while: long ones, those with many envelopes, and those that
/// do not open with a few tries, for nothing else tells them from ones that were written to keep everybody waiting.
///
/// # Errors
/// `ScopeMismatch`, `NotARecipient`, `CannotOpen`, `Malformed`, `TooLarge`: the reasons of [`ageseal::open`], and what
/// Kubernetes has no room for.
pub async fn open(
    key: &Key,
    understood: Arc<Understood>,
    ring: Arc<KeyRing>,
    cross_namespace: bool,
) -> Result<Opening, Fault> {
    // Each age file takes a try, if it says truly whom it is for.
    let files = understood.sealed.all_envelopes().flat_map(Envelope::files).count();
    if understood.length <= SHORT && files <= FEW {
        let opening = open_here(key, &understood.sealed, &ring, cross_namespace, FEW);
        // Both may be for want of tries: after an envelope that is broken, the next one may fit.
        let in_vain = [ReadyReason::NotARecipient, ReadyReason::CannotOpen];
        if !matches!(&opening, Err(fault) if in_vain.contains(&fault.reason)) {
            return opening;
        }
    }
    let key = key.clone();
    let open = move || open_here(&key, &understood.sealed, &ring, cross_namespace, MAX_UNWRAPS);
    // A panic ends the process, here as everywhere. What is left to go wrong is a runtime that ends: nobody writes any more
    // what is answered then.
    tokio::task::spawn_blocking(open).await.unwrap_or_else(|_| {
        Err(Fault::new(ReadyReason::CannotOpen, "it does not open here: opening it ends in a defect of ageseal"))
    })
}

fn open_here(
    key: &Key,
    sealed: &Sealed,
    ring: &KeyRing,
    cross_namespace: bool,
    unwraps: usize,
) -> Result<Opening, Fault> {
    if !cross_namespace {
        check_namespaces(key, sealed)?;
    }
    let live = Live { namespace: key.namespace(), name: key.name() };
    let opened = open_within(sealed, Some(live), ring, unwraps).map_err(|error| fault(&error))?;
    if opened.values.values().map(Plaintext::len).sum::<usize>() > MAX_SECRET {
        return Err(Fault::new(ReadyReason::TooLarge, "the values together are more than a Secret holds: 1 MiB"));
    }
    let identities = opened.deks.values().filter_map(|dek| dek.opened_by()).collect();
    Ok(Opening { values: opened.values, identities })
}

/// Demands that every item's scope means this namespace by its name: a wildcard there would let whoever may create a
/// namespace have the value.
fn check_namespaces(key: &Key, sealed: &Sealed) -> Result<(), Fault> {
    let named = |scope: &Scope| {
        let means = |pattern: &&Pattern| pattern.matches(key.namespace(), key.name());
        let mut meant = scope.patterns().iter().filter(means).peekable();
        // A scope that means something else altogether is for opening to refuse.
        meant.peek().is_none() || meant.any(|pattern| !pattern.namespace_has_wildcard())
    };
    let items = sealed.items.iter().filter_map(|(key, item)| Some((key, sealed.effective_scope(item)?)));
    let faulty: Vec<String> = items.filter(|(_, scope)| !named(scope)).map(|(key, _)| key.clone()).collect();
    if faulty.is_empty() && (!sealed.items.is_empty() || sealed.scope.as_ref().is_none_or(named)) {
        return Ok(());
    }
    let message = "sealed for every namespace that fits a pattern, which this controller does not open without \
                   --allow-cross-namespace";
    Err(Fault::new(ReadyReason::ScopeMismatch, message).keys(faulty))
}

fn fault(error: &OpenError) -> Fault {
    let reason = error.reason().into();
    let (message, keys) = match error {
        OpenError::NotARecipient { key, claimed } => {
            let claimed: Vec<String> = claimed.iter().map(ToString::to_string).collect();
            let message = format!("no identity of this cluster opens it; sealed for {}", claimed.join(", "));
            (message, Some(key.clone()))
        }
        OpenError::ScopeMismatch { key, .. } => (error.to_string(), key.clone()),
        OpenError::Envelope { key } | OpenError::Value { key } => (
            "it does not open here: its values, its scope or its type were changed after sealing".to_owned(),
            Some(key.clone()),
        ),
        other => (other.to_string(), None),
    };
    Fault::new(reason, message).keys(keys)
}

#[cfg(test)]
mod tests {
    use ageseal::envelope::FreshDek;
    use ageseal::recipient::{Identity, Recipient};
    use ageseal::seal::Context;
    use rand_core::OsRng;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wildcard_namespace_opens_only_where_it_is_allowed() {
        let sealed = |patterns: &[&str]| Sealed {
            secret_type: "Opaque".to_owned(),
            scope: Some(Scope::parse_sorted(patterns).unwrap()),
            items: BTreeMap::new(),
            envelopes: BTreeMap::new(),
        };
        let key = Key::new("shop-prod", "db");
        assert_eq!(check_namespaces(&key, &sealed(&["*/db"])).unwrap_err().reason, ReadyReason::ScopeMismatch);
        assert_eq!(check_namespaces(&key, &sealed(&["shop-*/db"])).unwrap_err().reason, ReadyReason::ScopeMismatch);
        assert_eq!(check_namespaces(&key, &sealed(&["*/db", "shop-prod/*"])), Ok(()));
        assert_eq!(check_namespaces(&key, &sealed(&["shop-prod/db"])), Ok(()));
        assert_eq!(check_namespaces(&key, &sealed(&["*/web"])), Ok(()), "for opening to refuse");
    }

    /// The spec of a document with one value, for these recipients in this order, that claims them in another one. The
    /// envelopes before are of other documents.
    fn spec(recipients: &[&Recipient], claimed: &[RecipientId], before: usize, value: &[u8]) -> String {
        let (dek, scope) = (FreshDek::generate(&mut OsRng), Scope::parse_sorted(&["shop-prod/db"]).unwrap());
        let context = Context { secret_type: DEFAULT_TYPE, key: "password", scope: &scope };
        let sealed = dek.seal(context, &Plaintext::new(value.to_vec()), &mut OsRng).unwrap().to_string();
        let claimed: Vec<String> = claimed.iter().map(ToString::to_string).collect();
        let age = |dek: &FreshDek| json!({"recipients": claimed, "age": dek.wrap(recipients).unwrap().age});
        let others = (0..before).map(|_| age(&FreshDek::generate(&mut OsRng)));
        let mut files: Vec<_> = others.chain([age(&dek)]).collect();
        let mut envelope = files.remove(0);
        envelope["also"] = json!(files);
        json!({
            "scope": ["shop-prod/db"], "encryptedData": {"password": {"value": sealed}},
            "envelopes": {dek.kid().map_key(): envelope},
        })
        .to_string()
    }

    #[tokio::test]
    async fn what_takes_longer_opens_as_well() {
        let identities: Vec<Identity> = (0..12).map(|_| Identity::generate_x25519()).collect();
        let recipients: Vec<&Recipient> = identities.iter().map(|identity| identity.recipient().unwrap()).collect();
        let claims: Vec<RecipientId> = recipients.iter().map(|recipient| recipient.id()).collect();
        let misleading: Vec<RecipientId> = claims.iter().rev().copied().collect();
        let ring = Arc::new(KeyRing::new(vec![identities[11].clone()]));
        let key = Key::new("shop-prod", "db");
        for (claims, before, value, here) in [
            (&claims, 0, &b"hunter2"[..], None),
            (&misleading, 0, b"hunter2", Some(ReadyReason::NotARecipient)),
            (&claims, FEW - 1, b"hunter2", None),
            (&claims, FEW, b"hunter2", Some(ReadyReason::CannotOpen)),
            (&misleading, 1, b"hunter2", Some(ReadyReason::NotARecipient)),
            (&claims, 0, &[b'x'; SHORT], None),
        ] {
            let understood = Arc::new(understand(&spec(&recipients, claims, before, value)).unwrap());
            let opening = open_here(&key, &understood.sealed, &ring, false, FEW);
            assert_eq!(opening.err().map(|fault| fault.reason), here);
            let opening = open(&key, understood, Arc::clone(&ring), false).await.unwrap();
            assert_eq!(opening.values["password"].expose(), value);
            assert_eq!(opening.identities, BTreeSet::from([recipients[11].id()]));
        }
    }

    #[test]
    fn a_spec_that_nobody_understands_is_malformed_and_not_repeated() {
        for spec in ["null", "7", r#"{"scope":"hunter2"}"#, r#"{"encryptedData":{"a":{"value":"hunter2"}}}"#] {
            let Err(fault) = understand(spec) else { panic!("{spec}") };
            assert_eq!(fault.reason, ReadyReason::Malformed);
            assert!(!fault.message.contains("hunter2"), "{}", fault.message);
        }
    }
}
