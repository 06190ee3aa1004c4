//! Listing a file in a kustomization: a sealed one in the place of the plaintext, or a patch.

use super::files::join;
use super::follow::{field, follow};
use crate::yaml::{EditError, Editor, Node, Place, Stream, Value};

/// The kustomization with one file in the place of another in `resources` and `bases`; none if it lists neither.
///
/// Paths are from the top of the repository, `folder` that of the kustomization. Where the new one is listed already, the
/// old one goes.
///
/// # Errors
/// A text that cannot be edited so that nothing else changes.
pub fn relist(kustomization: &Stream, folder: &str, old: &str, new: &str) -> Result<Option<Stream>, EditError> {
    let mut editor = Editor::new(kustomization);
    for list in lists(kustomization) {
        let place = |path: &str| list.items().position(|item| is_at(item, folder, path));
        let Some(index) = place(old) else { continue };
        match (place(new), list.items().nth(index)) {
            (Some(_), _) => editor.remove_item(list, index)?,
            (None, Some(item)) => editor.replace(item, &Value::Str(from_folder(folder, new)))?,
            (None, None) => {}
        }
    }
    if editor.is_empty() { Ok(None) } else { editor.finish().map(Some) }
}

/// Whether a kustomization lists a file in `resources` or `bases`, itself or through an alias.
pub fn is_listed(kustomization: &Stream, folder: &str, path: &str) -> bool {
    let roots = kustomization.documents().filter_map(|document| document.root());
    let lists = roots.flat_map(|root| ["resources", "bases"].into_iter().filter_map(move |name| field(root, name)));
    let items = lists.flat_map(|list| list.items()).map(follow);
    items.filter(|item| item.str().is_some()).any(|item| is_at(item, folder, path))
}

/// The kustomization with one more file at the end of its `resources`; none if it lists it already, or is empty.
///
/// # Errors
/// As [`relist`].
pub fn list(kustomization: &Stream, folder: &str, new: &str) -> Result<Option<Stream>, EditError> {
    if is_listed(kustomization, folder, new) {
        return Ok(None);
    }
    let mut editor = Editor::new(kustomization);
    let entry = Value::Str(from_folder(folder, new));
    match lists(kustomization).next() {
        Some(list) => editor.insert_item(list, list.items().count(), &entry)?,
        None => {
            let Some(root) = kustomization.documents().find_map(|document| document.root()) else { return Ok(None) };
            editor.set(root, "resources", &Value::Seq(vec![entry]), Place::Last)?;
        }
    }
    editor.finish().map(Some)
}

/// The kustomization with one more file at the end of its `patches`; none if it is not one document.
///
/// # Errors
/// A text that is no mapping; a list that is written in a way that cannot be added to.
pub fn list_patch(kustomization: &Stream, folder: &str, new: &str) -> Result<Option<Stream>, EditError> {
    let mut roots = kustomization.documents().filter_map(|document| document.root());
    let (Some(root), None) = (roots.next(), roots.next()) else { return Ok(None) };
    let mut editor = Editor::new(kustomization);
    let entry = Value::map([("path", Value::Str(from_folder(folder, new)))]);
    let is_list = |(key, _): &(Node<'_>, Node<'_>)| key.str().is_some_and(|key| key.eq_ignore_ascii_case("patches"));
    match root.entries().find(is_list) {
        None => editor.insert(root, "patches", &Value::Seq(vec![entry]), Place::Last)?,
        Some((_, list)) if list.is_null() && list.anchor().is_none() => {
            editor.replace(list, &Value::Seq(vec![entry]))?;
        }
        Some((_, list)) => editor.insert_item(list, list.items().count(), &entry)?,
    }
    editor.finish().map(Some)
}

fn lists(stream: &Stream) -> impl Iterator<Item = Node<'_>> {
    let roots = stream.documents().filter_map(|document| document.root());
    let entries = roots.flat_map(|root| root.entries());
    let is_list = |key: &str| ["resources", "bases"].iter().any(|field| field.eq_ignore_ascii_case(key));
    entries.filter(move |(key, value)| key.str().is_some_and(is_list) && value.is_sequence()).map(|(_, list)| list)
}

fn is_at(item: Node<'_>, folder: &str, path: &str) -> bool {
    item.str().and_then(|text| join(folder, text)).as_deref() == Some(path)
}

/// A path from the top of the repository as a kustomization of a folder writes it.
fn from_folder(folder: &str, path: &str) -> String {
    let from: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let to: Vec<&str> = path.split('/').collect();
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..", from.len() - shared);
    up.chain(to[shared..].iter().copied()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(result: Result<Option<Stream>, EditError>) -> Option<String> {
        result.unwrap().map(|stream| stream.text().to_owned())
    }

    fn parse(text: &str) -> Stream {
        Stream::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn one_file_takes_the_place_of_another_and_nothing_else_changes() {
        let k = parse(
            "# ours\nnamespace: a\nResources:\n- ../base   # first\n- ./db.secret.yaml   # the password\n- x.yaml\n",
        );
        let made = text(relist(&k, "o/prod", "o/prod/db.secret.yaml", "o/prod/db.sealed.yaml"));
        let expected =
            "# ours\nnamespace: a\nResources:\n- ../base   # first\n- db.sealed.yaml   # the password\n- x.yaml\n";
        assert_eq!(made.as_deref(), Some(expected));
        assert_eq!(text(relist(&k, "o/prod", "o/prod/other.yaml", "o/prod/db.sealed.yaml")), None);
        let both = parse("resources: [db.sealed.yaml, db.secret.yaml]\n");
        let made = text(relist(&both, "", "db.secret.yaml", "db.sealed.yaml"));
        assert_eq!(made.as_deref(), Some("resources: [db.sealed.yaml]\n"));
    }

    #[test]
    fn a_file_is_listed_once() {
        let k = parse("namespace: a\n");
        let made = text(list(&k, "o/prod", "o/common/db.sealed.yaml")).unwrap();
        assert_eq!(made, "namespace: a\nresources:\n- ../common/db.sealed.yaml\n");
        assert_eq!(text(list(&parse(&made), "o/prod", "o/common/db.sealed.yaml")), None);
        let k = parse("resources:\n- a.yaml\nnamespace: b\n");
        assert_eq!(text(list(&k, "", "c.yaml")).as_deref(), Some("resources:\n- a.yaml\n- c.yaml\nnamespace: b\n"));
    }

    fn patched(text: &str) -> Option<String> {
        let made = list_patch(&parse(text), "o/prod", "o/prod/db.patch.yaml").ok()??;
        Some(made.text().to_owned())
    }

    #[test]
    fn a_patch_adds_its_line_and_nothing_else_changes() {
        for (before, after) in [
            ("resources:\n- a.yaml # first\n", "resources:\n- a.yaml # first\npatches:\n- path: db.patch.yaml\n"),
            (
                "patches: # all\n- path: a.yaml\n  target: {kind: X}\nnamespace: x\n",
                "patches: # all\n- path: a.yaml\n  target: {kind: X}\n- path: db.patch.yaml\nnamespace: x\n",
            ),
            ("patches:\nnamespace: x\n", "patches:\n- path: db.patch.yaml\nnamespace: x\n"),
            ("Patches:\n  - path: a.yaml\n", "Patches:\n  - path: a.yaml\n  - path: db.patch.yaml\n"),
        ] {
            assert_eq!(patched(before).as_deref(), Some(after), "{before}");
        }
        for before in ["patches: [{path: a.yaml}]\n", "patches: []\n", "{\"patches\": [{\"path\": \"a.yaml\"}]}\n"] {
            let after = patched(before).unwrap();
            let listed = crate::check::patches_of("kustomization.yaml", after.clone().into());
            assert_eq!(listed.last().map(String::as_str), Some("db.patch.yaml"), "{after}");
        }
    }

    #[test]
    fn a_list_of_patches_that_cannot_be_added_to_is_refused() {
        for text in ["", "# nothing\n", "a: b\n---\nc: d\n", "- patches\n", "patches: x\n", "a: &a []\npatches: *a\n"] {
            assert_eq!(patched(text), None, "{text}");
        }
    }

    #[test]
    fn listed_files_are_known_by_where_they_lead() {
        let text = "resources: [./db.sealed.yaml, ../base, sub/../other.sealed.yaml]\nBASES: [&a x.yaml]\n";
        for (file, listed) in [
            ("k/db.sealed.yaml", true),
            ("k/other.sealed.yaml", true),
            ("k/x.yaml", true),
            ("base", true),
            ("db.sealed.yaml", false),
            ("k/sub/db.sealed.yaml", false),
        ] {
            assert_eq!(is_listed(&parse(text), "k", file), listed, "{file}");
        }
        assert!(!is_listed(&parse("- db.sealed.yaml\n"), "", "db.sealed.yaml"));
        assert!(!is_listed(&parse("resources: db.sealed.yaml\n"), "", "db.sealed.yaml"));
    }
}
