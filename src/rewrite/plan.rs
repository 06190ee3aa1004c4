//! What sealing will do to each Secret of a file: pure, printable, without a plaintext value in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::envelope::inspect;
use crate::format::{Envelope, Item, Sealed};
use crate::manifest::{SealedManifest, SecretManifest};
use crate::open::{Opened, open};
use crate::problem::Problem;
use crate::recipient::{KeyRing, Recipient, RecipientId};

use super::place::{Asked, Place, Target};

/// What is to be sealed, for whom, and how an existing sealed document is treated.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// Who is to read it.
    pub recipients: &'a [&'a Recipient],
    /// Namespace and scope, as far as they were typed.
    pub asked: Asked<'a>,
    /// What kustomize makes of each Secret, in their order; nothing is known of those beyond the end.
    pub targets: &'a [Vec<Target>],
    /// The identities at hand: with one that opens the existing document, equal values keep their bytes.
    pub ring: &'a KeyRing,
    /// Whether keys that the source lacks may go.
    pub prune: bool,
    /// Whether every value is sealed anew, equal or not.
    pub fresh: bool,
    /// Whether an existing document may have another scope: it gets the new one, and every value is sealed anew for it.
    pub rescope: bool,
    /// The policy's word that everything is applied server-side, so that larger objects may be written.
    pub server_side: bool,
}

/// What happens to one data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is sealed under the document's new DEK.
    Seal,
    /// It keeps its bytes: the value is the same.
    Keep,
    /// It goes: the source has it no more, and `--prune` was given.
    Drop,
}

/// Why no value of an existing document kept its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anew {
    /// `--fresh`.
    Asked,
    /// No identity at hand opens it, so nothing could be compared.
    Unopened,
    /// It is sealed for others than the policy's recipients of today.
    Recipients,
    /// Its type changed, which is part of what every value is bound to.
    Type,
    /// Its scope changed, which is so as well.
    Scope,
}

/// What happens to one Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentPlan {
    /// Where it goes.
    pub place: Place,
    /// What happens to each data key.
    pub items: BTreeMap<String, Action>,
    /// Which existing document it goes over: an index into those that were given.
    pub existing: Option<usize>,
    /// Why everything is sealed anew, where an existing document could have kept something.
    pub anew: Option<Anew>,
    /// Who will read it.
    pub recipients: Vec<RecipientId>,
    /// The data keys whose value is new or not what it was; none if the old values could not be compared.
    pub changed: Option<BTreeSet<String>>,
}

impl DocumentPlan {
    /// The data keys with this action.
    pub fn keys(&self, action: Action) -> impl Iterator<Item = &str> {
        self.items.iter().filter(move |(_, is)| **is == action).map(|(key, _)| key.as_str())
    }
}

/// Every reason not to go on, by the file that it is in.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// In the source.
    pub source: Vec<Problem>,
    /// In the existing sealed file.
    pub existing: Vec<Problem>,
}

impl Refusals {
    pub(crate) fn none_or(self) -> Result<(), Self> {
        if self.source.is_empty() && self.existing.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// Plans the sealing of these Secrets over these existing documents, which may be none.
///
/// Every refusal is found before anything is decrypted, and all of them are reported together.
pub fn plan(
    secrets: &[SecretManifest<'_>],
    existing: &[SealedManifest<'_>],
    order: &Order<'_>,
) -> Result<Vec<DocumentPlan>, Refusals> {
    let mut refusals = Refusals::default();
    let mut matched = BTreeSet::new();
    let mut drafts = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, secret) in secrets.iter().enumerate() {
        let targets = order.targets.get(index).map_or(&[][..], Vec::as_slice);
        let mut place = match Place::decide(secret.namespace.as_deref(), &secret.name, order.asked, targets) {
            Ok(place) => place,
            Err(problem) => {
                refusals.source.push(problem.at(secret.node.location()));
                continue;
            }
        };
        if !seen.insert((place.namespace.clone(), place.name.clone())) {
            let twice = format!("{} stands in this file twice", describe(&place));
            let problem = Problem::error("duplicate-object", twice).at(secret.node.location());
            refusals.source.push(problem.hint("remove one of the two, or give it another name"));
            continue;
        }
        if let Some(patch) = existing.iter().position(|sealed| is_patch_of(sealed, &place)) {
            matched.insert(patch);
            refusals.existing.push(overlay_patch(&existing[patch], &place));
            continue;
        }
        let loosely = || existing.iter().position(|sealed| leaves_namespace_to_kustomize(&place, sealed));
        let over = existing.iter().position(|sealed| is_same(sealed, &place)).or_else(loosely);
        if let Some(index) = over.filter(|index| matched.insert(*index)) {
            place.namespace.clone_from(&existing[index].namespace);
            refusals.existing.extend(differing_scope(&existing[index], &place).filter(|_| !order.rescope));
            if !order.prune {
                refusals.existing.extend(lost_keys(&existing[index], secret));
            }
        }
        drafts.push((secret, place, over));
    }
    if !order.prune {
        refusals.existing.extend(lost_documents(existing, &matched));
    }
    refusals.none_or()?;
    Ok(drafts
        .into_iter()
        .map(|(secret, place, over)| draft(secret, place, over.map(|index| (index, &existing[index])), order))
        .collect())
}

fn draft(
    secret: &SecretManifest<'_>,
    place: Place,
    over: Option<(usize, &SealedManifest<'_>)>,
    order: &Order<'_>,
) -> DocumentPlan {
    let mut items: BTreeMap<_, _> = secret.data.keys().map(|key| (key.clone(), Action::Seal)).collect();
    let mut anew = None;
    let all = || secret.data.keys().cloned().collect();
    let mut changed = Some(all());
    if let Some((_, sealed)) = over {
        match comparable(secret, &sealed.sealed, &place, order) {
            Ok(opened) => {
                changed = Some(differing(secret, &opened));
                for (key, value) in &secret.data {
                    let same = opened.values.get(key) == Some(value);
                    if same && is_kept(&sealed.sealed, key, order.recipients) {
                        items.insert(key.clone(), Action::Keep);
                    }
                }
            }
            Err(reason) => {
                anew = Some(reason);
                // Nothing keeps its bytes, and yet the values may be the same; another type is another Secret.
                changed = match secret.secret_type.as_str() != sealed.sealed.secret_type {
                    true => Some(all()),
                    false => open(&sealed.sealed, None, order.ring).ok().map(|opened| differing(secret, &opened)),
                };
            }
        }
        for key in sealed.sealed.items.keys().filter(|key| !secret.data.contains_key(*key)) {
            items.insert(key.clone(), Action::Drop);
        }
    }
    DocumentPlan {
        place,
        items,
        existing: over.map(|(index, _)| index),
        anew,
        recipients: order.recipients.iter().map(|recipient| recipient.id()).collect(),
        changed,
    }
}

/// The keys whose value is not the one that was sealed.
fn differing(secret: &SecretManifest<'_>, opened: &Opened) -> BTreeSet<String> {
    let differs = secret.data.iter().filter(|(key, value)| opened.values.get(*key) != Some(value));
    differs.map(|(key, _)| key.clone()).collect()
}

/// Opens the existing document to compare its values, or says why that cannot help.
fn comparable(secret: &SecretManifest<'_>, sealed: &Sealed, place: &Place, order: &Order<'_>) -> Result<Opened, Anew> {
    if sealed.scope.as_ref() != Some(&place.scope) {
        return Err(Anew::Scope);
    }
    if order.fresh {
        return Err(Anew::Asked);
    }
    if secret.secret_type != sealed.secret_type {
        return Err(Anew::Type);
    }
    if !sealed.all_envelopes().any(|envelope| is_for(envelope, order.recipients)) && !sealed.items.is_empty() {
        return Err(Anew::Recipients);
    }
    open(sealed, None, order.ring).map_err(|_| Anew::Unopened)
}

/// Whether an item may keep its bytes when its value is the same.
fn is_kept(sealed: &Sealed, key: &str, recipients: &[&Recipient]) -> bool {
    let Some(item) = sealed.items.get(key) else { return false };
    let own_scope = item.scope.is_some() && item.scope != sealed.scope;
    !own_scope && envelope_of(sealed, item).is_some_and(|envelope| is_for(envelope, recipients))
}

fn envelope_of<'a>(sealed: &'a Sealed, item: &'a Item) -> Option<&'a Envelope> {
    item.envelope.as_ref().or_else(|| sealed.envelopes.get(&item.value.kid))
}

/// Whether an envelope is for exactly these recipients, as far as that can be told without their keys.
pub fn is_for(envelope: &Envelope, recipients: &[&Recipient]) -> bool {
    let mut wanted: Vec<_> = recipients.iter().map(|recipient| recipient.id()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let stanzas = inspect(&envelope.file.age).map(|header| header.stanzas.len());
    envelope.also.is_empty() && envelope.claimed() == wanted && stanzas == Ok(wanted.len())
}

fn is_same(sealed: &SealedManifest<'_>, place: &Place) -> bool {
    sealed.name == place.name && sealed.namespace == place.namespace
}

/// Whether a document of the file is the one that is to be written, which has no namespace for kustomize sets one.
fn leaves_namespace_to_kustomize(place: &Place, sealed: &SealedManifest<'_>) -> bool {
    place.deployed && place.namespace.is_none() && sealed.name == place.name
}

/// Whether a document of the file patches the one that is to be written: it may leave the namespace to kustomize.
fn is_patch_of(sealed: &SealedManifest<'_>, place: &Place) -> bool {
    sealed.is_patch() && (is_same(sealed, place) || (sealed.name == place.name && sealed.namespace.is_none()))
}

/// A whole document in the place of a patch would be the object a second time, and the patch would be gone.
fn overlay_patch(sealed: &SealedManifest<'_>, place: &Place) -> Problem {
    let fact = format!("{} is an overlay patch in this file, and a source becomes a whole document", describe(place));
    Problem::error("overlay-patch", fact)
        .at(sealed.node.location())
        .hint("seal into another file with -o FILE, or delete the patch first if the whole document is to stand here")
}

/// A scope in the file that is not the one to seal for was edited by somebody, or meant something else.
fn differing_scope(sealed: &SealedManifest<'_>, place: &Place) -> Option<Problem> {
    let in_file = sealed.sealed.scope.as_ref()?;
    (*in_file != place.scope).then(|| scope_conflict(in_file, place).at(sealed.node.location()))
}

/// The refusal to write a value into a document whose scope is not the one that it should have.
pub(crate) fn scope_conflict(in_file: &crate::scope::Scope, place: &Place) -> Problem {
    let hint = if place.deployed {
        "kustomize says so: `ageseal rescope` seals the file for it, or mend the kustomization if the file is right"
    } else {
        "if the file's scope is right, give it again with --scope; if not, seal it anew from its source"
    };
    let fact = format!("{}: the file says scope {in_file}, and it should be {}", describe(place), place.scope);
    Problem::error("scope-conflict", fact).hint(hint)
}

fn lost_keys(sealed: &SealedManifest<'_>, secret: &SecretManifest<'_>) -> Option<Problem> {
    let lost: Vec<_> =
        sealed.sealed.items.keys().filter(|key| !secret.data.contains_key(*key)).map(String::as_str).collect();
    (!lost.is_empty()).then(|| {
        Problem::error("lost-keys", format!("{}: the source lacks {}", secret.name, lost.join(", ")))
            .at(sealed.node.location())
            .hint("add them to the source, or give --prune to drop them")
    })
}

fn lost_documents<'a>(
    existing: &'a [SealedManifest<'a>],
    matched: &'a BTreeSet<usize>,
) -> impl Iterator<Item = Problem> {
    existing.iter().enumerate().filter(|(index, _)| !matched.contains(index)).map(|(_, sealed)| {
        Problem::error("lost-document", format!("the source lacks {}", sealed.name))
            .at(sealed.node.location())
            .hint("add it to the source, or give --prune to drop it")
    })
}

fn describe(place: &Place) -> String {
    place.namespace.as_ref().map_or_else(|| place.name.clone(), |namespace| format!("{namespace}/{}", place.name))
}
