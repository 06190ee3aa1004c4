//! Whether a kustomization may change what an object of an outer layer says, beyond its metadata.

use memchr::memmem;
use zeroize::Zeroizing;

use crate::kustomize::NAMES;
use crate::kustomize::files::join;
use crate::kustomize::kustomization::Kustomization;
use crate::kustomize::session::{Session, below, is_remote};
use crate::kustomize::value::{Data, Value};

/// Whether the kustomization in a folder may change the spec of an object of this kind, as far as its texts tell: a patch
/// names the kind of what it changes, or selects by more than kinds.
pub(super) fn may_change(session: &Session<'_>, folder: &str, kustomization: &Kustomization, kind: &str) -> bool {
    let in_file = |path: &str| {
        let bytes = join(folder, path).and_then(|path| session.read(&path));
        bytes.is_none_or(|bytes| memmem::find(&bytes, kind.as_bytes()).is_some())
    };
    let in_patch = |patch: &Value| {
        let selects = patch.get("target").filter(|target| !target.is_null());
        if let Some(target) = selects {
            let selected = target.get("kind").and_then(Value::scalar).unwrap_or_default();
            // Anything but a plain word is a regular expression.
            let is_word = !selected.is_empty() && selected.bytes().all(|byte| byte.is_ascii_alphanumeric());
            return !is_word || selected == kind;
        }
        let text = patch.get("patch").and_then(Value::scalar).is_some_and(|text| text.contains(kind));
        text || patch.get("path").and_then(Value::scalar).is_some_and(in_file)
    };
    let Kustomization { replacements, transformers, configurations, strategic, patches, json_patches, .. } =
        kustomization;
    kustomization.components.iter().any(|component| is_remote(&component.text))
        || !replacements.is_empty()
        || !transformers.is_empty()
        || !configurations.is_empty()
        || strategic
            .iter()
            .any(|patch| patch.text.contains(kind) || (!patch.text.contains('\n') && in_file(&patch.text)))
        || json_patches.iter().chain(patches).any(in_patch)
}

/// The same for a kustomization that is not understood, by the fields that it seems to have.
pub(super) fn may_change_unread(session: &Session<'_>, folder: &str) -> bool {
    const FIELDS: [&str; 6] = ["patches", "replacements", "transformers", "configurations", "components", "\\"];
    let files = NAMES.iter().filter_map(|name| session.read(&below(folder, name)));
    let mut texts = files.map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes).to_lowercase()));
    texts.any(|text| FIELDS.iter().any(|field| text.contains(field)))
}

/// Whether an object of an outer layer itself changes what it deploys: by patches, by components, by substitution.
pub(super) fn changes(value: &Value) -> bool {
    match &value.data {
        Data::Map(map) => map.iter().any(|(key, inner)| {
            let named = matches!(&**key, "patches" | "components" | "postBuild" | "templatePatch") && !inner.is_null();
            named || changes(inner)
        }),
        Data::Seq(items) => items.iter().any(changes),
        _ => false,
    }
}
