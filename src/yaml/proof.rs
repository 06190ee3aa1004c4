//! The proof that edits changed what was asked for, and nothing else.

use std::collections::BTreeSet;
use std::ops::Range;

use zeroize::Zeroizing;

use super::edit::{Change, EditError};
use super::node::{Kind, Node};
use super::stream::Stream;
use super::value::Value;

/// What a piece of new text has to read back as.
pub(super) enum Written {
    /// A value.
    Value(Value),
    /// An entry of a mapping.
    Entry(String, Value),
    /// Raw text: what it says is not known here.
    Anything,
}

/// Applies sorted changes that do not overlap, parses the result and compares.
pub(super) fn apply(stream: &Stream, changes: &[Change], gone: &BTreeSet<u32>) -> Result<Stream, EditError> {
    let old = stream.text();
    let grown: usize = changes.iter().map(|change| change.text.len()).sum();
    let mut text = Zeroizing::new(String::with_capacity(old.len() + grown));
    let mut regions = Vec::with_capacity(changes.len());
    let mut at = 0;
    for change in changes {
        text.push_str(&old[at..change.span.start]);
        let start = text.len();
        text.push_str(&change.text);
        regions.push(start..text.len());
        at = change.span.end;
    }
    text.push_str(&old[at..]);
    let new = Stream::parse(std::mem::take(&mut *text)).map_err(EditError::Reparse)?;
    let anything = changes.iter().any(|change| change.written.iter().any(|w| matches!(w, Written::Anything)));
    if !anything {
        compare(stream, &new, changes, &regions, gone)?;
    }
    compare_comments(stream, &new, changes, &regions)?;
    for (change, region) in changes.iter().zip(&regions) {
        for written in &change.written {
            if !reads_back(&new, region, written) {
                return Err(EditError::NotEqual { at: stream.location(change.span.start) });
            }
        }
    }
    Ok(new)
}

/// Every node outside the edits, in order, is what it was: kind, style, text, tag, anchor and depth.
fn compare(
    old: &Stream,
    new: &Stream,
    changes: &[Change],
    regions: &[Range<usize>],
    gone: &BTreeSet<u32>,
) -> Result<(), EditError> {
    let _ = changes;
    let before = walk(old, |node| gone.contains(&node.id));
    let after = walk(new, |node| regions.iter().any(|region| within(region, node)));
    for index in 0..before.len().max(after.len()) {
        let same = match (before.get(index), after.get(index)) {
            (Some((old, old_depth)), Some((new, new_depth))) => old_depth == new_depth && equal(*old, *new),
            _ => false,
        };
        if !same {
            let at = before.get(index).map_or(old.text().len(), |(node, _)| node.span().start);
            return Err(EditError::NotEqual { at: old.location(at) });
        }
    }
    Ok(())
}

fn within(region: &Range<usize>, node: Node<'_>) -> bool {
    let span = node.span();
    region.start <= span.start && span.end <= region.end && span.start < region.end
}

/// The nodes of a stream with their depth, without those that are left out and what is below them.
fn walk<'a>(stream: &'a Stream, left_out: impl Fn(Node<'a>) -> bool) -> Vec<(Node<'a>, usize)> {
    fn visit<'a>(node: Node<'a>, depth: usize, left_out: &impl Fn(Node<'a>) -> bool, found: &mut Vec<(Node<'a>, usize)>) {
        if left_out(node) {
            return;
        }
        found.push((node, depth));
        for (key, value) in node.entries() {
            visit(key, depth + 1, left_out, found);
            visit(value, depth + 1, left_out, found);
        }
        for item in node.items() {
            visit(item, depth + 1, left_out, found);
        }
    }
    let mut found = Vec::new();
    for root in stream.documents().filter_map(|document| document.root()) {
        visit(root, 0, &left_out, &mut found);
    }
    found
}

fn equal(old: Node<'_>, new: Node<'_>) -> bool {
    let target = |node: Node<'_>| node.target().map(|target| target.anchor().map(str::to_owned));
    old.kind() == new.kind()
        && old.is_flow() == new.is_flow()
        && old.scalar_style() == new.scalar_style()
        && old.str() == new.str()
        && old.tag() == new.tag()
        && old.anchor() == new.anchor()
        && target(old) == target(new)
}

fn compare_comments(
    old: &Stream,
    new: &Stream,
    changes: &[Change],
    regions: &[Range<usize>],
) -> Result<(), EditError> {
    let mut before = old.comments().filter(|c| !changes.iter().any(|change| change.span.contains(&c.span().start)));
    let mut after = new.comments().filter(|c| !regions.iter().any(|region| region.contains(&c.span().start)));
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

/// Whether the first node in the new text is what was written there.
fn reads_back(new: &Stream, region: &Range<usize>, written: &Written) -> bool {
    let all = walk(new, |_| false);
    let first = all.iter().map(|(node, _)| *node).find(|node| region.contains(&node.span().start));
    let Some(node) = first else { return matches!(written, Written::Anything) };
    match written {
        Written::Anything => true,
        Written::Value(value) => is_value(node, value),
        Written::Entry(key, value) => {
            // In flow style without braces a mapping may start where its first key does.
            let key_node = if node.is_mapping() { node.entries().next().map(|(key, _)| key) } else { Some(node) };
            key_node.is_some_and(|node| {
                let entry = node.parent().and_then(|mapping| mapping.entries().find(|(other, _)| *other == node));
                node.str() == Some(key) && entry.is_some_and(|(_, node)| is_value(node, value))
            })
        }
    }
}

fn is_value(node: Node<'_>, value: &Value) -> bool {
    match value {
        Value::Null => node.is_null(),
        Value::Bool(wanted) => node.as_bool() == Some(*wanted),
        Value::Plain(text) => node.str() == Some(text),
        Value::Str(text) | Value::SingleQuoted(text) | Value::Literal(text) => node.as_string() == Some(text),
        Value::Map(entries) => {
            node.kind() == Kind::Mapping
                && node.entries().count() == entries.len()
                && node.entries().zip(entries).all(|((key, node), (wanted, value))| {
                    key.str() == Some(wanted) && is_value(node, value)
                })
        }
        Value::Seq(items) | Value::FlowSeq(items) => {
            node.kind() == Kind::Sequence
                && node.items().count() == items.len()
                && node.items().zip(items).all(|(node, value)| is_value(node, value))
        }
    }
}
