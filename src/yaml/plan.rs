//! From what is asked for to changes of the text.

mod block;
mod document;
mod flow;
mod replace;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use zeroize::Zeroizing;

use super::edit::{Asks, EditError, New};
use super::layout::{entries, layout_of};
use super::node::{Kind, Node, ScalarStyle};
use super::render::{Layout, Writer, room};
use super::stream::Stream;

/// Order of changes at one place: what goes on with a line, what stands after something, what stands before something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Body,
    /// The deepest collection ends first.
    After(std::cmp::Reverse<usize>),
    Before,
    Document,
}

/// One change of the text: these bytes become that text.
pub(super) struct Change {
    pub(super) span: Range<usize>,
    pub(super) text: Zeroizing<String>,
    rank: Rank,
    /// The text starts a line: a line break is put before it where the text so far has none.
    own_line: bool,
    /// The text ends in a block scalar, so that a line break has to follow.
    open_end: bool,
}

/// The changes that were asked for, in order and apart.
pub(super) fn changes(stream: &Stream, asks: &Asks) -> Result<Vec<Change>, EditError> {
    let newline = stream.newline();
    let mut plan = Plan { stream, asks, newline, changes: Vec::new(), layouts: BTreeMap::new() };
    plan.refuse_edits_in_edits()?;
    plan.replaced()?;
    for (&id, asked) in &asks.collections {
        let node = plan.node(id)?;
        let entries = entries(node);
        if node.is_flow() { plan.flow(node, asked, &entries)? } else { plan.block(node, asked, &entries)? }
    }
    plan.documents()?;
    let Plan { mut changes, .. } = plan;
    changes.sort_by(|a, b| {
        let key = |change: &Change| (change.span.start, !change.span.is_empty(), change.rank);
        key(a).cmp(&key(b))
    });
    close_last_scalar(stream, &mut changes);
    for pair in changes.windows(2) {
        if pair[0].span.end > pair[1].span.start {
            return Err(EditError::Overlap { at: stream.location(pair[1].span.start) });
        }
    }
    Ok(changes)
}

/// Applies changes, and tells where their texts stand in the result.
pub(super) fn apply(old: &str, changes: &[Change]) -> (Zeroizing<String>, Vec<Range<usize>>) {
    let grown: usize = changes.iter().map(|change| change.text.len() + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(old.len() + grown + 2));
    let newline = super::stream::newline(old);
    let mut regions = Vec::with_capacity(changes.len());
    let mut at = 0;
    let mut open_end = false;
    for change in changes {
        text.push_str(&old[at..change.span.start]);
        if change.own_line && !text.is_empty() && !text.ends_with(['\n', '\r', '\u{feff}']) {
            text.push_str(newline);
        }
        let start = text.len();
        text.push_str(&change.text);
        regions.push(start..text.len());
        at = change.span.end;
        if !change.text.is_empty() {
            open_end = change.open_end && at == old.len();
        }
    }
    text.push_str(&old[at..]);
    if open_end && !text.ends_with(['\n', '\r']) {
        text.push_str(newline);
    }
    (text, regions)
}

/// A block scalar at the end of a text without a last line break holds no line break either. What is added below it gives
/// it one, so that its header has to say that it is not meant.
fn close_last_scalar(stream: &Stream, changes: &mut Vec<Change>) {
    let text = stream.text();
    let Some(raw) = stream.nodes.iter().rev().find(|raw| raw.kind == Kind::Scalar && raw.start != raw.end) else {
        return;
    };
    let (start, end) = (raw.start as usize, raw.end as usize);
    let grows = changes.iter().any(|change| change.span.start == end && change.own_line && !change.text.is_empty());
    if !matches!(raw.style, ScalarStyle::Literal | ScalarStyle::Folded) || end != text.len() || !grows {
        return;
    }
    let header = &text[start + 1..];
    let indicators =
        header.len() - header.trim_start_matches(['+', '-', '1', '2', '3', '4', '5', '6', '7', '8', '9']).len();
    let indicators = start + 1..start + 1 + indicators;
    let covered = changes.iter().any(|change| change.span.start <= start && change.span.end > start);
    if covered || text[indicators.clone()].contains('-') || indicators.end == text.len() {
        return;
    }
    let span = match text[indicators.clone()].find('+') {
        Some(plus) => indicators.start + plus..indicators.start + plus + 1,
        None => indicators.end..indicators.end,
    };
    let place = changes.iter().position(|change| change.span.start > span.start).unwrap_or(changes.len());
    let text = Zeroizing::new("-".to_owned());
    changes.insert(place, Change { span, text, rank: Rank::Body, own_line: false, open_end: false });
}

struct Plan<'a> {
    stream: &'a Stream,
    asks: &'a Asks,
    newline: &'static str,
    changes: Vec<Change>,
    /// By the id of the root.
    layouts: BTreeMap<u32, Layout<'a>>,
}

impl<'a> Plan<'a> {
    fn text(&self) -> &'a str {
        self.stream.text()
    }

    fn node(&self, id: u32) -> Result<Node<'a>, EditError> {
        self.stream.node(id).ok_or(EditError::ForeignNode)
    }

    fn unsupported(&self, at: usize, reason: &'static str) -> EditError {
        EditError::Unsupported { at: self.stream.location(at), reason }
    }

    fn layout(&mut self, near: Node<'a>) -> Layout<'a> {
        let root = std::iter::successors(Some(near), Node::parent).last().unwrap_or(near);
        let stream = self.stream;
        *self.layouts.entry(root.id).or_insert_with(|| layout_of(stream, root))
    }

    /// A writer with room for all of these.
    fn writer<'v>(&mut self, near: Node<'a>, new: impl Iterator<Item = &'v New>) -> Writer<'a> {
        let room = new.map(|new| room(&new.value) + new.key.as_ref().map_or(0, |key| 8 * key.len()) + 256).sum();
        Writer::with_room(self.layout(near), room)
    }

    fn push(&mut self, span: Range<usize>, text: Zeroizing<String>, rank: Rank) {
        self.changes.push(Change { span, text, rank, own_line: false, open_end: false });
    }

    fn push_str(&mut self, span: Range<usize>, text: &str, rank: Rank) {
        self.push(span, Zeroizing::new(text.to_owned()), rank);
    }

    fn cut(&mut self, span: Range<usize>) {
        if !span.is_empty() {
            self.push(span, Zeroizing::default(), Rank::Body);
        }
    }

    /// What stands in something that is replaced or removed is not edited as well.
    fn refuse_edits_in_edits(&self) -> Result<(), EditError> {
        let asks = self.asks;
        let mut removed = BTreeSet::new();
        for (&id, asked) in &asks.collections {
            let node = self.node(id)?;
            let values = node.entries().map(|(_, value)| value).chain(node.items()).enumerate();
            removed.extend(values.filter(|(index, _)| asked.removed.contains(index)).map(|(_, value)| value.id));
        }
        let documents = asks.removed_documents.iter().filter_map(|index| self.stream.documents.get(*index));
        removed.extend(documents.map(|document| document.root));
        let gone = |node: Node<'_>| removed.contains(&node.id) || asks.replaced.contains_key(&node.id);
        for &id in asks.replaced.keys().chain(asks.collections.keys()) {
            let node = self.node(id)?;
            let twice = asks.collections.contains_key(&id) && asks.replaced.contains_key(&id);
            if twice || removed.contains(&id) || std::iter::successors(node.parent(), Node::parent).any(gone) {
                return Err(EditError::Overlap { at: node.location() });
            }
        }
        Ok(())
    }
}
