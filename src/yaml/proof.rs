//! The proof that edits changed what was asked for, and nothing else.
//!
//! The old tree, with what was asked for put in its place, and the new tree are walked side by side: every node must
//! have the same kind, style, text, tag and anchor, and every new value must read back as it was given. The comments
//! outside the changes must be the same, in the same order.

use std::collections::HashMap;
use std::ops::Range;

use super::edit::{Asked, Asks, EditError, Gap};
use super::node::{Kind, Node};
use super::plan::Change;
use super::stream::{Comment, Stream};
use super::value::Value;

/// Compares the two streams. The regions are where the changes' texts stand in the new one.
pub(super) fn prove(
    old: &Stream,
    new: &Stream,
    asks: &Asks,
    changes: &[Change],
    regions: &[Range<usize>],
) -> Result<(), EditError> {
    let raw = changes.iter().zip(regions).filter(|(change, _)| asks.raw.iter().any(|(span, _)| *span == change.span));
    let raw = raw.map(|(_, region)| region.clone()).collect();
    let mut proof = Proof { old, asks, raw, twins: HashMap::new() };
    proof.documents(new).map_err(|at| EditError::NotEqual { at: old.location(at) })?;
    let spans: Vec<Range<usize>> = changes.iter().map(|change| change.span.clone()).collect();
    let mut before = old.comments().filter(|comment| !covered(&spans, *comment));
    let mut after = new.comments().filter(|comment| !covered(regions, *comment));
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

/// Whether one of the sorted spans holds the comment.
fn covered(spans: &[Range<usize>], comment: Comment<'_>) -> bool {
    let comment = comment.span();
    let until = spans.partition_point(|span| span.start <= comment.start);
    spans[..until]
        .iter()
        .rev()
        .take_while(|span| span.end >= comment.end || span.is_empty())
        .any(|span| span.end >= comment.end)
}

/// What a node of the new tree has to be.
enum Want<'w> {
    Node(Node<'w>),
    Value(&'w Value),
    Key(&'w str),
}

struct Proof<'p> {
    old: &'p Stream,
    asks: &'p Asks,
    /// Where the texts of raw edits stand in the new text: what they say is not known here.
    raw: Vec<Range<usize>>,
    /// The new ids of anchored nodes by their old ids: an alias must refer to the twin of what it referred to.
    twins: HashMap<u32, u32>,
}

/// The offset in the old text near which the two differ.
type Differs = Result<(), usize>;

impl<'p> Proof<'p> {
    fn documents(&mut self, new: &Stream) -> Differs {
        let asks = self.asks;
        let mut found = new.documents();
        for document in self.old.documents().filter(|document| !asks.removed_documents.contains(&document.index())) {
            let at = document.span().start;
            let new = found.next().ok_or(at)?;
            let same = match (document.root(), new.root(), asks.filled.get(&document.index())) {
                (None, Some(new), Some(value)) => reads_as(new, value),
                (Some(old), Some(new), _) => {
                    self.same(old, new)?;
                    true
                }
                (old, new, None) => {
                    old.is_none_or(|old| self.is_raw_old(old)) && new.is_none_or(|new| self.is_raw_new(new))
                }
                _ => false,
            };
            let moved = !asks.removed_documents.is_empty();
            if !same || (!moved && document.has_marker() != new.has_marker()) {
                return Err(at);
            }
        }
        for value in &asks.appended {
            let root = found.next().and_then(|document| document.root());
            let is_null = root.is_none() && matches!(value, Value::Null);
            if !is_null && !root.is_some_and(|root| reads_as(root, value)) {
                return Err(self.old.text().len());
            }
        }
        if found.next().is_some() { Err(self.old.text().len()) } else { Ok(()) }
    }

    fn same(&mut self, old: Node<'_>, new: Node<'_>) -> Differs {
        let at = old.span().start;
        let holds = |holds: bool| if holds { Ok(()) } else { Err(at) };
        if self.is_raw_old(old) && self.is_raw_new(new) {
            return Ok(());
        }
        holds(old.tag() == new.tag() && old.anchor() == new.anchor())?;
        if old.anchor().is_some() {
            self.twins.insert(old.id, new.id);
        }
        if let Some(value) = self.asks.replaced.get(&old.id) {
            return holds(reads_as(new, value) || (new.tag().is_some() && reads_as_tagged(new, value)));
        }
        holds(old.kind() == new.kind() && old.scalar_style() == new.scalar_style() && old.str() == new.str())?;
        match old.kind() {
            Kind::Scalar => Ok(()),
            Kind::Alias => {
                let twin = old.target().and_then(|target| self.twins.get(&target.id));
                holds(twin.is_some() && twin.copied() == new.target().map(|target| target.id))
            }
            Kind::Mapping | Kind::Sequence => self.same_children(old, new),
        }
    }

    fn same_children(&mut self, old: Node<'_>, new: Node<'_>) -> Differs {
        let at = old.span().start;
        let none = Asked::default();
        let asked = self.asks.collections.get(&old.id).unwrap_or(&none);
        let wanted = self.wanted(old, asked);
        let found = children(new).into_iter().flatten().flatten();
        let found: Vec<Node<'_>> = found.filter(|node| !self.is_raw_new(*node)).collect();
        // What is emptied becomes `{}` or `[]`, what was that and is filled becomes a block.
        let turned = old.is_flow() != new.is_flow();
        let may_turn = found.is_empty() || children(old).is_empty();
        if wanted.len() != found.len() || (turned && !may_turn) {
            return Err(at);
        }
        for (want, node) in wanted.iter().zip(found) {
            match want {
                Want::Node(old) => self.same(*old, node)?,
                Want::Value(value) if reads_as(node, value) => {}
                Want::Key(key) if node.is_scalar() && node.str() == Some(key) => {}
                _ => return Err(at),
            }
        }
        Ok(())
    }

    /// The children that a collection has to have, keys and values in turn.
    fn wanted<'w>(&self, old: Node<'w>, asked: &'w Asked) -> Vec<Want<'w>> {
        let mut wanted = Vec::new();
        let insert = |wanted: &mut Vec<Want<'w>>, gap: Gap| {
            for new in asked.inserted.get(&gap).into_iter().flatten() {
                wanted.extend(new.key.as_deref().map(Want::Key));
                wanted.push(Want::Value(&new.value));
            }
        };
        let old = children(old);
        for (child, nodes) in old.iter().enumerate() {
            insert(&mut wanted, Gap { child, after: false });
            if !asked.removed.contains_key(&child) {
                let nodes = nodes.iter().flatten().filter(|node| !self.is_raw_old(**node));
                wanted.extend(nodes.map(|node| Want::Node(*node)));
            }
            insert(&mut wanted, Gap { child, after: true });
        }
        if old.is_empty() {
            insert(&mut wanted, Gap { child: 0, after: false });
        }
        wanted
    }

    /// Whether a raw edit took the node.
    fn is_raw_old(&self, node: Node<'_>) -> bool {
        let node = node.full_span();
        self.asks.raw.iter().any(|(span, _)| span.start <= node.start && node.end <= span.end)
    }

    /// Whether a raw edit wrote the node.
    fn is_raw_new(&self, node: Node<'_>) -> bool {
        let node = node.full_span();
        self.raw.iter().any(|region| region.start <= node.start && node.end <= region.end)
    }
}

/// The keys and values, or the items, of a collection.
fn children(node: Node<'_>) -> Vec<[Option<Node<'_>>; 2]> {
    let pairs = node.entries().map(|(key, value)| [Some(key), Some(value)]);
    pairs.chain(node.items().map(|item| [Some(item), None])).collect()
}

/// Whether every reader takes the node for this value.
fn reads_as(node: Node<'_>, value: &Value) -> bool {
    match value {
        Value::Null => node.is_null(),
        Value::Bool(wanted) => node.as_bool() == Some(*wanted),
        Value::Plain(text) => node.is_scalar() && node.str() == Some(text),
        Value::Str(text) | Value::SingleQuoted(text) | Value::Literal(text) => node.as_string() == Some(text),
        Value::Map(entries) => {
            node.is_mapping()
                && node.entries().count() == entries.len()
                && node.entries().zip(entries).all(|((key, node), (wanted, value))| {
                    key.is_scalar() && key.str() == Some(wanted) && reads_as(node, value)
                })
        }
        Value::Seq(items) | Value::FlowSeq(items) => {
            node.is_sequence()
                && node.items().count() == items.len()
                && node.items().zip(items).all(|(node, value)| reads_as(node, value))
        }
    }
}

/// The same under a tag that was there before: the text is what was given.
fn reads_as_tagged(node: Node<'_>, value: &Value) -> bool {
    match value {
        Value::Null => node.scalar_style().is_some() && node.str() == Some("null"),
        Value::Bool(wanted) => node.str() == Some(if *wanted { "true" } else { "false" }),
        Value::Str(text) | Value::SingleQuoted(text) | Value::Literal(text) => node.str() == Some(text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "# head\na: &x !t 'one' # c\nb:\n- *x\n- {c: d}\ne: |\n  f\n---\ng: &x h\ni: *x\n";

    fn proves(new: &str, asks: &Asks) -> bool {
        let (old, new) = (Stream::parse(OLD.to_owned()).unwrap(), Stream::parse(new.to_owned()).unwrap());
        prove(&old, &new, asks, &[], &[]).is_ok()
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
