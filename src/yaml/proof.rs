//! The proof that edits changed what was asked for, and nothing else.
//!
//! It knows nothing of how the text was changed: it walks the old tree, with what was asked for put in its place, and the
//! new tree side by side, once. Every node must have the same kind, style, text, tag and anchor, every alias must refer to
//! the twin of what it referred to, and every new value must read back as it was given. The comments outside the changes
//! must be the same, in the same order.

use std::collections::HashMap;
use std::ops::Range;

use super::edit::{Asked, Asks, EditError, Gap, New};
use super::node::{Kind, Node};
use super::plan::Change;
use super::stream::{Comment, Stream};
use super::value::Value;

/// Compares the two trees.
pub(super) fn prove(old: &Stream, new: &Stream, asks: &Asks) -> Result<(), EditError> {
    let mut proof = Proof { asks, twins: HashMap::new() };
    proof.documents(old, new).map_err(|at| EditError::NotEqual { at: old.location(at) })
}

/// Compares the comments. The regions are where the changes' texts stand in the new text; both are sorted.
pub(super) fn prove_comments(
    old: &Stream,
    new: &Stream,
    changes: &[Change],
    regions: &[Range<usize>],
) -> Result<(), EditError> {
    let mut before = outside(old, changes.iter().map(|change| change.span.clone()));
    let mut after = outside(new, regions.iter().cloned());
    loop {
        match (before.next(), after.next()) {
            (None, None) => return Ok(()),
            (Some(old), Some(new)) if old.text() == new.text() => {}
            (comment, _) => {
                let at = comment.map_or(old.text().len(), |comment| comment.span().start);
                return Err(EditError::NotEqual { at: old.location(at) });
            }
        }
    }
}

/// The comments that start outside of sorted regions.
fn outside<'a>(stream: &'a Stream, regions: impl Iterator<Item = Range<usize>>) -> impl Iterator<Item = Comment<'a>> {
    let mut regions = regions.peekable();
    stream.comments().filter(move |comment| {
        let start = comment.span().start;
        while regions.next_if(|region| region.end <= start).is_some() {}
        regions.peek().is_none_or(|region| start < region.start)
    })
}

struct Proof<'p> {
    asks: &'p Asks,
    /// The new ids of anchored nodes by their old ids.
    twins: HashMap<u32, u32>,
}

/// The offset in the old text near which the two differ.
type Differs = Result<(), usize>;

fn check(holds: bool, at: usize) -> Differs {
    if holds { Ok(()) } else { Err(at) }
}

impl Proof<'_> {
    fn documents(&mut self, old: &Stream, new: &Stream) -> Differs {
        let asks = self.asks;
        let end = old.text().len();
        let mut found = new.documents();
        for document in old.documents().filter(|document| !asks.removed_documents.contains(&document.index())) {
            let at = document.span().start;
            let twin = found.next().ok_or(at)?;
            match (document.root(), twin.root(), asks.filled.get(&document.index())) {
                (None, None, None) => {}
                (None, Some(twin), Some(value)) => check(is_value(twin, value), at)?,
                (Some(root), Some(twin), None) => self.node(root, twin)?,
                _ => return Err(at),
            }
            // What follows a removed document may get a `---` to stay apart from what stands before.
            let may_gain = document.index() > 0 && asks.removed_documents.contains(&(document.index() - 1));
            check(document.has_marker() == twin.has_marker() || (may_gain && twin.has_marker()), at)?;
        }
        for value in &asks.appended {
            let twin = found.next().ok_or(end)?;
            check(twin.root().is_some_and(|root| is_value(root, value)), end)?;
        }
        check(found.next().is_none(), end)
    }

    /// One node and all below it.
    fn node(&mut self, old: Node<'_>, new: Node<'_>) -> Differs {
        let at = old.span().start;
        check(old.tag() == new.tag() && old.anchor() == new.anchor(), at)?;
        if old.anchor().is_some() {
            self.twins.insert(old.id, new.id);
        }
        if let Some(value) = self.asks.replaced.get(&old.id) {
            return check(reads_as(new, value), at);
        }
        check(old.kind() == new.kind(), at)?;
        match old.kind() {
            Kind::Scalar => check(old.scalar_style() == new.scalar_style() && old.str() == new.str(), at),
            Kind::Alias => {
                let twin = old.target().and_then(|target| self.twins.get(&target.id));
                check(twin.is_some() && twin.copied() == new.target().map(|target| target.id), at)
            }
            Kind::Mapping | Kind::Sequence => self.children(old, new),
        }
    }

    fn children(&mut self, old: Node<'_>, new: Node<'_>) -> Differs {
        let at = old.span().start;
        let none = Asked::default();
        let asked = self.asks.collections.get(&old.id).unwrap_or(&none);
        let inserted = |gap: Gap| asked.inserted.get(&gap).into_iter().flatten();
        let mut found = pairs(new);
        let (mut index, mut stayed) = (0, 0);
        for (key, value) in pairs(old) {
            for new in inserted(Gap { child: index, after: false }) {
                check(is_new(found.next(), new), at)?;
            }
            if !asked.removed.contains(&index) {
                let (new_key, new_value) = found.next().ok_or(at)?;
                match (key, new_key) {
                    (Some(key), Some(new_key)) => self.node(key, new_key)?,
                    (None, None) => {}
                    _ => return Err(at),
                }
                self.node(value, new_value)?;
                stayed += 1;
            }
            for new in inserted(Gap { child: index, after: true }) {
                check(is_new(found.next(), new), at)?;
            }
            index += 1;
        }
        if index == 0 {
            for new in inserted(Gap { child: 0, after: false }) {
                check(is_new(found.next(), new), at)?;
            }
        }
        check(found.next().is_none(), at)?;
        // What is emptied becomes `{}` or `[]`, what was that and is filled becomes a block.
        let (raw, twin) = (old.raw(), new.raw());
        check(stayed == 0 || (raw.flow == twin.flow && raw.pair == twin.pair), at)
    }
}

/// The children of a collection; items have no key.
fn pairs<'a>(node: Node<'a>) -> impl Iterator<Item = (Option<Node<'a>>, Node<'a>)> {
    node.entries().map(|(key, value)| (Some(key), value)).chain(node.items().map(|item| (None, item)))
}

fn is_new(found: Option<(Option<Node<'_>>, Node<'_>)>, wanted: &New) -> bool {
    match (found, &wanted.key) {
        (Some((Some(key), value)), Some(wanted_key)) => is_key(key, wanted_key) && is_value(value, &wanted.value),
        (Some((None, value)), None) => is_value(value, &wanted.value),
        _ => false,
    }
}

fn is_bare(node: Node<'_>) -> bool {
    node.tag().is_none() && node.anchor().is_none()
}

fn is_key(node: Node<'_>, wanted: &str) -> bool {
    is_bare(node) && node.as_string() == Some(wanted)
}

/// Whether a node is this value to every reader, without a tag or an anchor.
fn is_value(node: Node<'_>, value: &Value) -> bool {
    is_bare(node) && reads_as(node, value)
}

/// The same for a node that may have kept a tag: a tagged scalar has the text that was given.
fn reads_as(node: Node<'_>, value: &Value) -> bool {
    let tagged = node.tag().is_some();
    match value {
        Value::Null if tagged => node.str() == Some("null"),
        Value::Null => node.is_null(),
        Value::Bool(wanted) if tagged => node.str() == Some(if *wanted { "true" } else { "false" }),
        Value::Bool(wanted) => node.as_bool() == Some(*wanted),
        Value::Plain(text) => node.str() == Some(text),
        Value::Str(text) | Value::SingleQuoted(text) | Value::Literal(text) if tagged => node.str() == Some(text),
        Value::Str(text) | Value::SingleQuoted(text) | Value::Literal(text) => node.as_string() == Some(text),
        Value::Map(entries) => {
            let mut found = node.entries();
            let mut wanted = entries.iter();
            node.is_mapping()
                && wanted.all(|(name, value)| {
                    found.next().is_some_and(|(key, node)| is_key(key, name) && is_value(node, value))
                })
                && found.next().is_none()
        }
        Value::Seq(items) | Value::FlowSeq(items) => {
            let mut found = node.items();
            node.is_sequence()
                && items.iter().all(|value| found.next().is_some_and(|node| is_value(node, value)))
                && found.next().is_none()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "# head\na: &x !t 'one' # c\nb:\n- *x\n- {c: d}\ne: |\n  f\n---\ng: &x h\ni: *x\n";

    fn proves(new: &str, asks: &Asks) -> bool {
        let (old, new) = (Stream::parse(OLD.to_owned()).unwrap(), Stream::parse(new.to_owned()).unwrap());
        prove(&old, &new, asks).is_ok() && prove_comments(&old, &new, &[], &[]).is_ok()
    }

    #[test]
    fn whatever_differs_is_seen() {
        assert!(proves(OLD, &Asks::default()));
        for (from, to) in [
            ("'one'", "'two'"),
            ("'one'", "\"one\""),
            ("&x !t", "&x"),
            ("&x !t", "&x !u"),
            ("&x !t 'one'", "&y !t 'one' # c\nz: &x 1"),
            ("e: |", "e: &z |"),
            ("&x h\ni: *x", "&w h\ni: *w"),
            (" # c", ""),
            (" # c", " # d"),
            ("# head\n", ""),
            ("- *x\n- {c: d}", "- {c: d}\n- *x"),
            ("{c: d}", "c: d"),
            ("{c: d}", "{c: d, k: l}"),
            ("{c: d}", "{}"),
            ("{c: d}", "[c, d]"),
            ("|\n  f", "|\n  f\n  g"),
            ("|\n  f", ">\n  f"),
            ("---\ng", "g"),
            ("---\n", "---\n---\n"),
            ("i: *x", "i: h"),
            ("i: *x\n", "i: *x\n---\nj\n"),
            ("a: &x", "---\na: &x"),
        ] {
            let new = OLD.replacen(from, to, 1);
            assert_ne!(new, OLD);
            assert!(!proves(&new, &Asks::default()), "{new}");
        }
    }

    #[test]
    fn what_was_asked_for_has_to_be_there_as_it_was_given() {
        let old = Stream::parse(OLD.to_owned()).unwrap();
        let value = old.documents().next().and_then(|document| document.root()?.get("e")).unwrap();
        let asks = Asks { replaced: [(value.id, Value::from("0777"))].into(), ..Asks::default() };
        let with = |text: &str| proves(&OLD.replace("|\n  f", text), &asks);
        assert!(with("\"0777\"") && with("'0777'"));
        assert!(
            !with("0777") && !with("\"777\"") && !with("!t \"0777\"") && !with("[\"0777\"]") && !proves(OLD, &asks)
        );
        let asks = Asks { appended: vec![Value::map([("k", Value::Null)])], ..Asks::default() };
        assert!(proves(&format!("{OLD}---\nk: null\n"), &asks));
        assert!(!proves(&format!("{OLD}---\nk: 0\n"), &asks) && !proves(OLD, &asks));
        let asks = Asks { removed_documents: [1].into(), ..Asks::default() };
        assert!(proves(OLD.split_once("---").unwrap().0, &asks) && !proves(OLD, &asks));
    }
}
