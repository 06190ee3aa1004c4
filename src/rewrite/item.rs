//! One data key of a sealed document: set and unset without a private key, touching that key's block and nothing else.

use rand_core::CryptoRngCore;

use crate::format::is_data_key;
use crate::manifest::{Object, ObjectKind, SealedManifest, objects};
use crate::problem::Problem;
use crate::recipient::Recipient;
use crate::secret::Plaintext;
use crate::yaml::{Editor, Place as At, Stream};

use super::document::seal_together;
use super::place::{Asked, Place, Target};
use super::plan::scope_conflict;
use super::seal::unproved;
use super::size::check_size;
use super::spec::item_value;

/// Where a value of an existing document is to go, checked against what the document says.
///
/// Writers do not trust the file: whoever has no private key cannot see that a scope was edited. So the scope comes from
/// what kustomize makes of the document, else from its own namespace and name, or was typed again, and the file must say
/// the same, for the document and for the item.
pub fn place_of(
    document: &SealedManifest<'_>,
    key: &str,
    asked: Asked<'_>,
    targets: &[Target],
) -> Result<Place, Problem> {
    let place = Place::decide(document.namespace.as_deref(), &document.name, asked, targets)
        .map_err(|problem| problem.at(document.node.location()))?;
    let in_file = document.sealed.items.get(key).and_then(|item| document.sealed.effective_scope(item));
    for scope in document.sealed.scope.iter().chain(in_file) {
        if *scope != place.scope {
            return Err(scope_conflict(scope, &place).at(document.node.location()).key(key));
        }
    }
    if document.sealed.scope.is_none() {
        return Err(Problem::error(
            "overlay-patch",
            format!("{}: no spec.scope, so this is an overlay patch", document.name),
        )
        .at(document.node.location())
        .hint("make the patch anew from its value; a value of a patch carries its own scope"));
    }
    Ok(place)
}

/// Where a value goes, and for whom.
#[derive(Clone, Copy)]
pub struct SetOrder<'a> {
    /// The place, from [`place_of`].
    pub place: &'a Place,
    /// Who is to read it.
    pub recipients: &'a [&'a Recipient],
    /// The policy's word that everything is applied server-side.
    pub server_side: bool,
}

/// Sets one value: a new DEK, in an envelope of the value's own.
///
/// Guarantees: only the lines of that key change; no envelope is dropped, so that reverting any earlier commit still
/// opens.
pub fn set_item(
    stream: &Stream,
    document: &SealedManifest<'_>,
    key: &str,
    value: &Plaintext,
    order: SetOrder<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<Stream, Problem> {
    if !is_data_key(key) {
        return Err(Problem::error("bad-key", "a data key is 1 to 253 letters, digits, `-`, `_` or `.`").key(key));
    }
    let items = items_node(document)?;
    let together =
        seal_together(std::iter::once((key, value)), &document.sealed.secret_type, order.place, order.recipients, rng)?;
    let mut editor = Editor::new(stream);
    for (key, mut item) in together.items {
        item.envelope = Some(together.envelope.clone());
        editor.set(items, &key, &item_value(&item), At::Sorted).map_err(|error| unproved(&error))?;
    }
    let made = editor.finish().map_err(|error| unproved(&error))?;
    for object in same_object(&made, document) {
        check_size(object.node, order.server_side)?;
    }
    check_whole(&made, document)?;
    Ok(made)
}

/// Removes one value, and nothing else: its envelope stays for the commits that need it.
///
/// Errors: no such key; the last one.
pub fn unset_item(stream: &Stream, document: &SealedManifest<'_>, key: &str) -> Result<Stream, Problem> {
    let items = items_node(document)?;
    if !document.sealed.items.contains_key(key) {
        let keys: Vec<_> = document.sealed.items.keys().map(String::as_str).collect();
        return Err(Problem::error("no-such-key", format!("{}: no data key {key}", document.name))
            .at(items.location())
            .hint(format!("the keys are {}", keys.join(", "))));
    }
    if document.sealed.items.len() == 1 {
        return Err(Problem::error("last-key", format!("{}: {key} is the last value", document.name))
            .at(items.location())
            .hint("a Secret without values is seldom meant: delete the file instead"));
    }
    let mut editor = Editor::new(stream);
    editor.remove(items, key).map_err(|error| unproved(&error))?;
    let made = editor.finish().map_err(|error| unproved(&error))?;
    check_whole(&made, document)?;
    Ok(made)
}

fn same_object<'a>(made: &'a Stream, document: &SealedManifest<'_>) -> impl Iterator<Item = Object<'a>> {
    objects(made).filter(|object| {
        object.kind == ObjectKind::SealedSecret
            && object.name() == Some(&document.name)
            && object.namespace() == document.namespace.as_deref()
    })
}

/// Reads the document that was made as a reader would: what no reader accepts is not written.
fn check_whole(made: &Stream, document: &SealedManifest<'_>) -> Result<(), Problem> {
    let mut objects = same_object(made, document);
    let manifest = objects.next().and_then(|object| SealedManifest::read(object.node).manifest);
    // What a patch lacks, the document that it patches may have.
    let fault = match manifest.map(|manifest| if manifest.is_patch() { Ok(()) } else { manifest.sealed.check() }) {
        Some(Ok(())) => return Ok(()),
        Some(Err(malformed)) => malformed.to_string(),
        None => "it does not read back".to_owned(),
    };
    Err(Problem::error("malformed", format!("{}: the document would open nowhere: {fault}", document.name))
        .at(document.node.location())
        .hint("nothing was written; ageseal check says what is wrong with the document"))
}

fn items_node<'a>(document: &SealedManifest<'a>) -> Result<crate::yaml::Node<'a>, Problem> {
    document.node.get("spec").and_then(|spec| spec.get("encryptedData")).ok_or_else(|| {
        Problem::error("no-data", format!("{}: no spec.encryptedData", document.name)).at(document.node.location())
    })
}
