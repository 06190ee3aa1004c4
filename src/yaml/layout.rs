//! Where things stand in a text: lines, columns, the entries of a collection, and what belongs to an entry.

use super::node::{NONE, Node, ScalarStyle};
use super::plain::PlainType;
use super::render::Layout;
use super::stream::Stream;

/// The first byte of the line that holds an offset; a byte-order mark is no part of the first line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    match text[..at].rfind(['\n', '\r']) {
        Some(line_break) => line_break + 1,
        None if text.starts_with('\u{feff}') => '\u{feff}'.len_utf8().min(at),
        None => 0,
    }
}

/// The offset of the line break that ends the line, or the end of the text.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find(['\n', '\r']).map_or(text.len(), |length| at + length)
}

/// The first byte of the next line, or the end of the text.
pub(super) fn line_after(text: &str, at: usize) -> usize {
    super::parse::line_after(text, at as u32) as usize
}

/// The offset before the line break that ends here, if one does.
pub(super) fn without_break(text: &str, end: usize) -> usize {
    let head = &text[..end];
    let head = head.strip_suffix('\n').map_or(head, |head| head.strip_suffix('\r').unwrap_or(head));
    if head.len() == end { head.strip_suffix('\r').unwrap_or(head).len() } else { head.len() }
}

/// The column of an offset, from 0. Only blanks and indicators stand before what is asked for here, so bytes count.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}

/// Whether only blanks stand between the start of the line and an offset.
pub(super) fn starts_line(text: &str, at: usize) -> bool {
    is_blank(&text[line_start(text, at)..at])
}

/// Whether there is nothing but blanks.
pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Whether the line goes on with a comment, after blanks.
pub(super) fn comment_follows(text: &str, at: usize) -> bool {
    text[at..].trim_start_matches([' ', '\t']).starts_with('#')
}

/// Skips blanks, line breaks and comments, and commas if asked to.
pub(super) fn skip_blank(text: &str, from: usize, commas: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b',' if commas => at += 1,
            b'#' => at = line_end(text, at),
            _ => break,
        }
    }
    at
}

/// Skips lines of blanks only, from the start of a line.
pub(super) fn skip_blank_lines(text: &str, from: usize) -> usize {
    let mut at = from;
    while at < text.len() && is_blank(&text[at..line_end(text, at)]) {
        at = line_after(text, at);
    }
    at
}

/// The blanks at the start of the line that holds an offset.
pub(super) fn indentation(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..line_end(text, at)];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The start of the line after an entry that ends at `end`, with the comment lines below it that stand deeper than its
/// column: they belong to what the entry holds.
pub(super) fn tail(text: &str, end: usize, column: usize) -> usize {
    let mut found = line_after(text, end);
    let mut at = found;
    while at < text.len() {
        let line = &text[at..line_end(text, at)];
        let content = line.trim_start_matches([' ', '\t']);
        let next = line_after(text, at);
        if content.starts_with('#') {
            if line.len() - content.len() <= column {
                break;
            }
            found = next;
        } else if !content.is_empty() {
            break;
        }
        at = next;
    }
    found
}

/// The start of the comment lines directly above a line, at this column.
pub(super) fn comments_above(text: &str, line: usize, column: usize) -> usize {
    let mut start = line;
    while start > 0 {
        let above = line_start(text, without_break(text, start));
        if above >= start || !text[above..start].trim_start_matches(' ').starts_with('#') {
            break;
        }
        if indentation(text, above).len() != column {
            break;
        }
        start = above;
    }
    start
}

/// One entry of a mapping or item of a sequence, with the bytes from its key, `?` or `-` to the end of its value.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    /// None for items.
    pub(super) key: Option<Node<'a>>,
    pub(super) value: Node<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The entries or items of a collection, in order.
pub(super) fn entries<'a>(collection: Node<'a>) -> Vec<Entry<'a>> {
    let text = collection.stream.text();
    let flow = collection.is_flow();
    let mut at = collection.span().start + usize::from(flow && !collection.raw().pair);
    let pairs = collection.entries().map(|(key, value)| (Some(key), value));
    let items = collection.items().map(|value| (None, value));
    pairs
        .chain(items)
        .map(|(key, value)| {
            let content = key.unwrap_or(value).full_span();
            let start = skip_blank(text, at, flow).min(content.start.max(at));
            at = value.full_span().end.max(content.end).max(start);
            Entry { key, value, start, end: at }
        })
        .collect()
}

/// How the text around a node is laid out: its line break, and the steps of its indentation.
///
/// The first mapping below a key tells the step, the first sequence below a key whether and how far dashes are indented.
pub(super) fn layout_of<'a>(stream: &'a Stream, near: Node<'a>) -> Layout<'a> {
    let root = std::iter::successors(Some(near), Node::parent).last().unwrap_or(near);
    let newline = stream.newline();
    if root.is_flow() {
        let json = is_json(root);
        return Layout { newline, step: 2, sequence_step: 0, json, compact: json && is_compact(root) };
    }
    let text = stream.text();
    let (mut step, mut sequence_step) = (None, None);
    for node in below(root) {
        if step.is_some() && sequence_step.is_some() {
            break;
        }
        let Some(parent) = node.parent() else { continue };
        let inner = node.span().start;
        if node.is_flow() || node.is_scalar() || !parent.is_mapping() || !starts_line(text, inner) {
            continue;
        }
        let (outer, inner) = (column(text, parent.span().start), column(text, inner));
        if node.is_mapping() && inner > outer {
            step.get_or_insert(inner - outer);
        } else if node.is_sequence() && inner >= outer {
            sequence_step.get_or_insert(inner - outer);
        }
    }
    let step = step.filter(|step| *step < 10).unwrap_or(2);
    Layout { newline, step, sequence_step: sequence_step.unwrap_or(0), json: false, compact: false }
}

/// A node and all nodes below it. They follow each other in the arena.
fn below<'a>(root: Node<'a>) -> impl Iterator<Item = Node<'a>> {
    let stream = root.stream;
    let is_below = move |id: &u32| *id == root.id || stream.nodes[*id as usize].parent != NONE;
    (root.id..stream.nodes.len() as u32).take_while(is_below).filter_map(|id| stream.node(id))
}

/// Whether a document is JSON by its quotes: a string in double quotes, and none in single quotes or none at all.
fn is_json(root: Node<'_>) -> bool {
    let mut quoted = false;
    for node in below(root) {
        match node.scalar_style() {
            Some(ScalarStyle::DoubleQuoted) => quoted = true,
            Some(ScalarStyle::Plain) if node.plain_type() != PlainType::Str => {}
            Some(_) => return false,
            None => {}
        }
    }
    quoted
}

/// Whether the first entry that has a value has no blank after its colon.
fn is_compact(root: Node<'_>) -> bool {
    let first = below(root).find_map(|node| node.entries().find(|(_, value)| !value.span().is_empty()));
    first.is_some_and(|(key, value)| value.full_span().start == key.span().end + 1)
}

/// The indentation of the line of a flow collection, and the step to its children, if it stands over several lines.
pub(super) fn pretty(collection: Node<'_>) -> Option<(&str, &str)> {
    let text = collection.stream.text();
    let span = collection.span();
    let child = skip_blank(text, span.start + 1, false);
    if !starts_line(text, child) || child >= span.end {
        return None;
    }
    let (outer, inner) = (indentation(text, span.start), indentation(text, child));
    Some((outer, inner.strip_prefix(outer).filter(|step| !step.is_empty()).unwrap_or("  ")))
}
