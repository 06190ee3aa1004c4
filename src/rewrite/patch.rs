//! A value of one overlay: a strategic-merge patch that overrides data keys of a sealed document.
//!
//! Its items carry everything of their own: value, envelope and scope. The scope is that of the overlay alone: sealed
//! for the whole list of the document, a production password would open in test.

use rand_core::CryptoRngCore;

use crate::format::{API_VERSION, DEFAULT_TYPE, Item, KIND, is_data_key};
use crate::manifest::{ObjectKind, SealedManifest, objects};
use crate::problem::Problem;
use crate::recipient::Recipient;
use crate::scope::Scope;
use crate::secret::Plaintext;
use crate::yaml::{Editor, Place as At, Stream, Value, render};

use super::document::seal_together;
use super::place::Place;
use super::plan::scope_conflict;
use super::seal::unproved;
use super::size::check_size;
use super::spec::patch_item_value;

/// What a patch repeats of the document that it patches: kustomize finds the one by the other, and the type is a part of
/// what each value is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchOf {
    /// `metadata.namespace`, if the document has one.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// The type of the Secret.
    pub secret_type: String,
}

impl PatchOf {
    /// What a patch of this document repeats.
    ///
    /// # Errors
    /// The document is a patch itself.
    pub fn document(document: &SealedManifest<'_>) -> Result<Self, Problem> {
        if document.is_patch() {
            let fact = format!("{} has no spec.scope, so it is an overlay patch itself", document.name);
            return Err(Problem::error("overlay-patch", fact)
                .at(document.node.location())
                .hint("name the document that the patch is for"));
        }
        Ok(Self::same(document))
    }

    /// What a patch says of the document that it is for.
    pub fn same(patch: &SealedManifest<'_>) -> Self {
        Self {
            namespace: patch.namespace.clone(),
            name: patch.name.clone(),
            secret_type: patch.sealed.secret_type.clone(),
        }
    }

    /// The patch of this document in a file, if it is there.
    ///
    /// # Errors
    /// What stands there under that name is no patch, or one for another namespace or another type.
    pub fn find<'m, 's>(&self, file: &'m [SealedManifest<'s>]) -> Result<Option<&'m SealedManifest<'s>>, Problem> {
        let named = || file.iter().filter(|one| one.name == self.name);
        let open = |one: &&SealedManifest<'_>| one.namespace.is_none() || self.namespace.is_none();
        let found = named().find(|one| one.namespace == self.namespace).or_else(|| named().find(open));
        let Some(found) = found else { return Ok(None) };
        let at = found.node.location();
        let theirs = Self::same(found);
        if !found.is_patch() {
            let fact = format!("{} has spec.scope, so it is a document of its own and no overlay patch", self.name);
            return Err(Problem::error("no-patch", fact)
                .at(at)
                .hint("give another file for the patch, or leave out --for to set a value of this document"));
        }
        if theirs.namespace != self.namespace {
            let said = |namespace: &Option<String>| {
                namespace.as_ref().map_or_else(|| "no namespace".to_owned(), |name| format!("namespace {name}"))
            };
            let fact = format!(
                "{}: the patch has {}, the document {}",
                self.name,
                said(&theirs.namespace),
                said(&self.namespace)
            );
            return Err(Problem::error("namespace-conflict", fact)
                .at(at)
                .hint("give the patch the metadata.namespace of the document: kustomize finds the one by the other"));
        }
        if theirs.secret_type != self.secret_type {
            let fact = format!(
                "{}: the patch is for a Secret of type {}, and the document has type {}",
                self.name, theirs.secret_type, self.secret_type
            );
            return Err(Problem::error("type-conflict", fact)
                .at(at)
                .hint("the type is part of what each value is sealed for: delete the patch and set its values again"));
        }
        Ok(Some(found))
    }

    fn place(&self, scope: &Scope) -> Place {
        Place { namespace: self.namespace.clone(), name: self.name.clone(), scope: scope.clone(), deployed: false }
    }
}

/// What a value of a patch is sealed for, and for whom.
#[derive(Clone, Copy)]
pub struct PatchOrder<'a> {
    /// The document that is patched.
    pub of: &'a PatchOf,
    /// The Secrets that this overlay makes of it, and no others.
    pub scope: &'a Scope,
    /// Who is to read it.
    pub recipients: &'a [&'a Recipient],
    /// The policy's word that everything is applied server-side.
    pub server_side: bool,
}

/// Refuses to set a value of a patch in which one says another scope: somebody edited it, or the overlay was changed since;
/// and one value for elsewhere keeps all of them closed.
///
/// Errors: both scopes.
pub fn check_patch_scope(patch: &SealedManifest<'_>, key: &str, order: PatchOrder<'_>) -> Result<(), Problem> {
    let items = &patch.sealed.items;
    let own = items.get_key_value(key).into_iter();
    let mut scopes = own.chain(items).filter_map(|(key, item)| Some((key, item.scope.as_ref()?)));
    match scopes.find(|(_, scope)| *scope != order.scope) {
        Some((key, scope)) => Err(scope_conflict(scope, &order.of.place(order.scope))
            .at(patch.item_node(key).unwrap_or(patch.node).location())
            .key(key)
            .hint(if items.len() == 1 {
                "if kustomize is wrong, give the file's scope again with --scope; if not, delete the file and set it again"
            } else {
                "if kustomize is wrong, give the file's scope again with --scope; if not, unset the key and set it again"
            })),
        None => Ok(()),
    }
}

/// Sets one value of a patch: in its document, in a new document behind the others of the file, or in a new file.
///
/// `file` is the text of the file if there is one, and the patch in it as [`PatchOf::find`] gave it.
///
/// Guarantees: only the lines of that key change; what is written reads back as a patch whose item has the scope and an
/// envelope of its own.
pub fn set_in_patch<'a>(
    file: Option<(&'a Stream, Option<&SealedManifest<'a>>)>,
    key: &str,
    value: &Plaintext,
    order: PatchOrder<'_>,
    rng: &mut impl CryptoRngCore,
) -> Result<Stream, Problem> {
    if !is_data_key(key) {
        return Err(Problem::error("bad-key", "a data key is 1 to 253 letters, digits, `-`, `_` or `.`").key(key));
    }
    let place = order.of.place(order.scope);
    let one = std::iter::once((key, value));
    let together = seal_together(one, &order.of.secret_type, &place, order.recipients, rng)?;
    let Some(item) = together.items.into_values().next() else {
        return Err(Problem::error("no-data", "there is no value to seal").key(key));
    };
    let item = Item { scope: Some(order.scope.clone()), envelope: Some(together.envelope), ..item };
    let made = match file {
        None => Stream::parse(render(&patch_value(order.of, key, &item), "\n")).map_err(|error| error.to_problem())?,
        Some((stream, patch)) => edit(stream, patch, key, &item, order.of)?,
    };
    verify(&made, key, &item, order)?;
    Ok(made)
}

fn edit<'a>(
    stream: &'a Stream,
    patch: Option<&SealedManifest<'a>>,
    key: &str,
    item: &Item,
    of: &PatchOf,
) -> Result<Stream, Problem> {
    let mut editor = Editor::new(stream);
    let edited = match patch {
        None => {
            holds_patches(stream)?;
            editor.append_document(&patch_value(of, key, item))
        }
        Some(patch) => match (patch.spec(), patch.spec().and_then(|spec| spec.get("encryptedData"))) {
            (_, Some(items)) => editor.set(items, key, &patch_item_value(item), At::Sorted),
            (Some(spec), None) => {
                let items = Value::Map(vec![(key.to_owned(), patch_item_value(item))]);
                editor.insert(spec, "encryptedData", &items, At::Last)
            }
            (None, None) => return Err(Problem::error("no-spec", "there is no spec").at(patch.node.location())),
        },
    };
    edited.map_err(|error| unproved(&error))?;
    editor.finish().map_err(|error| unproved(&error))
}

/// Refuses a file behind whose documents no patch has a place.
fn holds_patches(stream: &Stream) -> Result<(), Problem> {
    let mut roots = stream.documents().filter_map(|document| document.root());
    let (at, fact) = if let Some(list) = roots.find(|root| !root.is_mapping()) {
        (list.location(), "this file holds a JSON patch, and kustomize reads nothing behind it")
    } else if let Some(secret) = objects(stream).find(|object| object.kind == ObjectKind::Secret) {
        (secret.node.location(), "this file holds a plaintext Secret, and no overlay patch")
    } else {
        return Ok(());
    };
    Err(Problem::error("no-patch", fact).at(at).hint("give the patch a file of its own, such as db.patch.yaml"))
}

fn patch_value(of: &PatchOf, key: &str, item: &Item) -> Value {
    let mut metadata = vec![("name", Value::Str(of.name.clone()))];
    metadata.extend(of.namespace.as_ref().map(|namespace| ("namespace", Value::Str(namespace.clone()))));
    let mut spec = vec![];
    if of.secret_type != DEFAULT_TYPE {
        spec.push(("type", Value::Str(of.secret_type.clone())));
    }
    spec.push(("encryptedData", Value::map([(key, patch_item_value(item))])));
    Value::map([
        ("apiVersion", Value::Plain(API_VERSION.to_owned())),
        ("kind", Value::Plain(KIND.to_owned())),
        ("metadata", Value::map(metadata)),
        ("spec", Value::map(spec)),
    ])
}

/// Reads what was made as a reader would.
fn verify(made: &Stream, key: &str, item: &Item, order: PatchOrder<'_>) -> Result<(), Problem> {
    for object in objects(made).filter(|object| object.kind == ObjectKind::SealedSecret) {
        let Some(read) = SealedManifest::read(object.node).manifest else { continue };
        if PatchOf::same(&read) == *order.of && read.is_patch() && read.sealed.items.get(key) == Some(item) {
            return check_size(object.node, order.server_side);
        }
    }
    Err(Problem::error("malformed", format!("{}: the patch does not read back as it was meant", order.of.name))
        .hint("nothing was written; this is a defect of ageseal, please report it with the shape of the file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::{Live, Reason, open};
    use crate::recipient::{Identity, KeyRing};
    use rand_core::OsRng;

    struct Pair(Identity, Recipient);

    fn pair() -> Pair {
        let identity = Identity::generate_hybrid(&mut OsRng);
        let recipient: Recipient = identity.recipient().unwrap().canonical().parse().unwrap();
        Pair(identity, recipient)
    }

    fn of(secret_type: &str) -> PatchOf {
        PatchOf { namespace: None, name: "db".to_owned(), secret_type: secret_type.to_owned() }
    }

    fn set(
        file: Option<&Stream>,
        of: &PatchOf,
        key: &str,
        scope: &str,
        recipient: &Recipient,
    ) -> Result<Stream, Problem> {
        let scope = Scope::canonical([scope.parse().unwrap()]).unwrap();
        let order = PatchOrder { of, scope: &scope, recipients: &[recipient], server_side: false };
        let documents: Vec<_> =
            file.iter().flat_map(|text| objects(text)).filter_map(|o| SealedManifest::read(o.node).manifest).collect();
        let patch = of.find(&documents)?;
        if let Some(patch) = patch {
            check_patch_scope(patch, key, order)?;
        }
        let value = Plaintext::new(format!("value of {key}").into_bytes());
        set_in_patch(file.map(|stream| (stream, patch)), key, &value, order, &mut OsRng)
    }

    #[test]
    fn a_patch_says_what_the_format_says_and_no_more() {
        let Pair(identity, recipient) = pair();
        let made = set(None, &of("kubernetes.io/basic-auth"), "password", "shop-prod/db", &recipient).unwrap();
        assert!(made.text().starts_with(
            "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\nspec:\n  type: kubernetes.io/basic-auth\n  encryptedData:\n    password:\n      value: ags1."
        ), "{}", made.text());
        assert!(made.text().contains("\n      scope:\n      - 'shop-prod/db'\n      envelope:\n        recipients: ["));
        assert!(made.text().ends_with("-----END AGE ENCRYPTED FILE-----\n        also: []\n"), "{}", made.text());
        let root = made.documents().next().unwrap().root().unwrap();
        let patch = SealedManifest::read(root).manifest.unwrap();
        assert!(patch.is_patch());
        let ring = KeyRing::new(vec![identity]);
        assert_eq!(open(&patch.sealed, None, &ring).unwrap().values["password"].expose(), b"value of password");
        // As it stands it is no document to deploy.
        let live = Live { namespace: "shop-prod", name: "db" };
        let refused = open(&patch.sealed, Some(live), &ring).map(|_| ()).map_err(|error| error.reason());
        assert_eq!(refused, Err(Reason::Malformed));
        let plain = set(None, &of(DEFAULT_TYPE), "a", "x/db", &recipient).unwrap();
        assert!(!plain.text().contains("type:"), "{}", plain.text());
    }

    #[test]
    fn one_key_of_several_changes_its_own_lines() {
        let Pair(_, recipient) = pair();
        let of = of(DEFAULT_TYPE);
        let first = set(None, &of, "b", "x/db", &recipient).unwrap();
        let text = first.text().replace("    b:\n", "    b: # why\n");
        let first = Stream::parse(text.clone()).unwrap();
        let second = set(Some(&first), &of, "a", "x/db", &recipient).unwrap();
        let (head, tail) = text.split_once("    b: # why\n").unwrap();
        assert!(second.text().starts_with(head) && second.text().ends_with(tail), "{}", second.text());
        let third = set(Some(&second), &of, "b", "x/db", &recipient).unwrap();
        let cut = third.text().find("    b: # why\n").unwrap();
        assert_eq!(third.text()[..cut], second.text()[..cut]);
        // Behind the documents of others, with a document of its own.
        let other = Stream::parse("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n".to_owned()).unwrap();
        let made = set(Some(&other), &of, "a", "x/db", &recipient).unwrap();
        assert!(made.text().starts_with(other.text()) && made.documents().len() == 2, "{}", made.text());
        // A patch without any value yet.
        let empty = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\nspec:\n  template:\n    metadata:\n      labels: {a: b}\n";
        let empty = Stream::parse(empty.to_owned()).unwrap();
        let made = set(Some(&empty), &of, "a", "x/db", &recipient).unwrap();
        assert!(made.text().starts_with(empty.text()), "{}", made.text());
    }

    #[test]
    fn what_is_not_the_patch_of_this_document_is_refused() {
        let Pair(_, recipient) = pair();
        let patch = set(None, &of(DEFAULT_TYPE), "a", "x/db", &recipient).unwrap();
        let code =
            |of: &PatchOf, key: &str, scope: &str| set(Some(&patch), of, key, scope, &recipient).map_err(|p| p.code);
        assert_eq!(code(&of("kubernetes.io/tls"), "a", "x/db").unwrap_err(), "type-conflict");
        let elsewhere = PatchOf { namespace: Some("x".to_owned()), ..of(DEFAULT_TYPE) };
        assert_eq!(code(&elsewhere, "a", "x/db").unwrap_err(), "namespace-conflict");
        assert_eq!(code(&of(DEFAULT_TYPE), "a", "*/db").unwrap_err(), "scope-conflict");
        assert_eq!(code(&of(DEFAULT_TYPE), "b/c", "x/db").unwrap_err(), "bad-key");
        // One value for elsewhere keeps the others closed as well.
        assert_eq!(code(&of(DEFAULT_TYPE), "b", "*/db").unwrap_err(), "scope-conflict");
        assert!(code(&of(DEFAULT_TYPE), "b", "x/db").is_ok());
        for other in ["- {op: remove, path: /a}\n", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"] {
            let other = Stream::parse(other.to_owned()).unwrap();
            let problem = set(Some(&other), &of(DEFAULT_TYPE), "a", "x/db", &recipient).unwrap_err();
            assert_eq!(problem.code, "no-patch");
        }
        let whole = patch.text().replace("spec:\n", "spec:\n  scope:\n  - 'x/db'\n");
        let whole = Stream::parse(whole).unwrap();
        assert_eq!(set(Some(&whole), &of(DEFAULT_TYPE), "a", "x/db", &recipient).unwrap_err().code, "no-patch");
        let documents: Vec<_> = objects(&patch).filter_map(|o| SealedManifest::read(o.node).manifest).collect();
        assert_eq!(PatchOf::document(&documents[0]).unwrap_err().code, "overlay-patch");
    }
}
