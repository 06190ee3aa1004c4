//! Where things stand in a text: lines, columns, and where an entry ends.

use super::node::Node;
use super::render::Layout;
use super::stream::Stream;

/// The first byte of the line that holds this offset.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    // A byte-order mark is no part of the first line.
    if start == 0 && text.starts_with('\u{feff}') { '\u{feff}'.len_utf8().min(at) } else { start }
}

/// One past the line break of the line that holds this offset, or the end of the text.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The offset before the line break that ends here, if one does.
pub(super) fn without_break(text: &str, end: usize) -> usize {
    let head = &text[..end];
    let head = head.strip_suffix('\n').map_or(head, |head| head.strip_suffix('\r').unwrap_or(head));
    head.len()
}

/// The column of an offset in characters, from 0.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at].chars().count()
}

/// Whether there are only blanks between two offsets.
pub(super) fn only_blank(text: &str, from: usize, to: usize) -> bool {
    text[from..to].bytes().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// The dash of a block sequence's item: the last one before its content.
pub(super) fn dash(text: &str, content: usize) -> usize {
    let mut at = content;
    while at > 0 {
        let head = &text[..at];
        // Comments between a dash and its content hold dashes of their own.
        let line = line_start(text, at);
        let part = &head[line..];
        let code = comment_start(part).map_or(part, |comment| &part[..comment]);
        if let Some(found) = code.rfind('-') {
            return line + found;
        }
        at = line.saturating_sub(1);
    }
    content
}

fn comment_start(line: &str) -> Option<usize> {
    let trimmed = line.len() - line.trim_start().len();
    if line[trimmed..].starts_with('#') {
        return Some(trimmed);
    }
    line.find("- #").map(|at| at + 2)
}

/// Where an entry ends: past the line break of its last line, with the comments that stand deeper than its key.
pub(super) fn entry_end(stream: &Stream, key: Node<'_>, value: Node<'_>) -> usize {
    let text = stream.text();
    let end = value.full_span().end.max(key.full_span().end);
    deeper_comments(stream, line_end(text, end), column(text, key.full_span().start))
}

/// Where an item ends: as an entry does, by the column of its dash.
pub(super) fn item_end(stream: &Stream, _sequence: Node<'_>, value: Node<'_>) -> usize {
    let text = stream.text();
    let dash = dash(text, value.full_span().start);
    deeper_comments(stream, line_end(text, value.full_span().end), column(text, dash))
}

/// Takes in the comment lines that follow and stand deeper than a column, and the blank lines between them.
fn deeper_comments(stream: &Stream, from: usize, than: usize) -> usize {
    let text = stream.text();
    let mut end = from;
    let mut at = from;
    while at < text.len() {
        let next = line_end(text, at);
        let line = text[at..next].trim_end_matches(['\n', '\r']);
        let content = line.trim_start_matches([' ', '\t']);
        if content.is_empty() {
            at = next;
            continue;
        }
        let deeper = line.len() - content.len() > than;
        if !content.starts_with('#') || !deeper {
            break;
        }
        end = next;
        at = next;
    }
    end
}

/// The start of the comment lines directly above a line, at the same column.
pub(super) fn comments_above(stream: &Stream, line: usize, column: usize) -> usize {
    let text = stream.text();
    let mut start = line;
    while start > 0 {
        let above = line_start(text, start - 1);
        let content = text[above..start].trim_start_matches([' ', '\t']);
        if !content.starts_with('#') || text[above..start].len() - content.len() != column {
            break;
        }
        start = above;
    }
    start
}

/// How the text around a node is laid out: its line break, and the steps of its indentation.
pub(super) fn layout_of<'a>(stream: &'a Stream, near: Node<'a>) -> Layout<'a> {
    let root = std::iter::successors(Some(near), Node::parent).last().unwrap_or(near);
    let (mut step, mut sequence_step) = (None, None);
    measure(stream, root, &mut step, &mut sequence_step);
    let json = root.is_flow() && root.source().contains('"');
    Layout { newline: stream.newline(), step: step.unwrap_or(2), sequence_step: sequence_step.unwrap_or(0), json }
}

/// Finds the first mapping below a key, and the first sequence below a key, in block style.
fn measure(stream: &Stream, node: Node<'_>, step: &mut Option<usize>, sequence_step: &mut Option<usize>) {
    let text = stream.text();
    for (key, value) in node.entries() {
        if step.is_some() && sequence_step.is_some() {
            return;
        }
        let outer = column(text, key.full_span().start);
        if !value.is_flow() && value.full_span() == value.span() {
            let inner = column(text, value.span().start);
            if value.is_mapping() && inner > outer {
                step.get_or_insert(inner - outer);
            } else if value.is_sequence() && inner >= outer {
                sequence_step.get_or_insert(inner - outer);
            }
        }
        measure(stream, value, step, sequence_step);
    }
    for item in node.items() {
        measure(stream, item, step, sequence_step);
    }
}

/// The indentation of a flow collection's own line, and the step to its children.
pub(super) fn pretty(stream: &Stream, node: Node<'_>) -> (String, String) {
    let text = stream.text();
    let indent_of = |at: usize| {
        let line = &text[line_start(text, at)..];
        line[..line.len() - line.trim_start_matches([' ', '\t']).len()].to_owned()
    };
    let indent = indent_of(node.span().start);
    let child = node.entries().map(|(key, _)| key).chain(node.items()).next();
    let inner = child.map(|child| indent_of(child.span().start)).unwrap_or_default();
    let step = inner.strip_prefix(indent.as_str()).filter(|step| !step.is_empty()).unwrap_or("  ");
    (indent.clone(), step.to_owned())
}
