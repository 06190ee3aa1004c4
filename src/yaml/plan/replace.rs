//! One node by another value, in the place that it has.

use std::ops::Range;

use zeroize::Zeroizing;

use super::super::edit::EditError;
use super::super::layout;
use super::super::node::{Node, ScalarStyle};
use super::super::render::{Parent, Pretty, Writer};
use super::super::value::Value;
use super::flow::is_key;
use super::{Change, Plan, Rank};

impl<'a> Plan<'a> {
    pub(super) fn replace(&mut self, node: Node<'a>, value: &Value) -> Result<(), EditError> {
        match node.parent() {
            Some(parent) if parent.is_flow() || is_key(parent, node) => self.replace_in_flow(parent, node, value),
            None if node.is_flow() => self.replace_in_place(node, value, layout::pretty(node)),
            _ => return self.replace_as_block(node, value),
        }
        Ok(())
    }

    /// Replaces a value of a block collection, or a root.
    pub(super) fn replace_as_block(&mut self, node: Node<'a>, value: &Value) -> Result<(), EditError> {
        let text = self.text();
        let Some(parent) = node.parent() else {
            self.replace_root(node, value);
            return Ok(());
        };
        let mut base = if parent.is_mapping() {
            let key = parent.entries().find(|(_, other)| *other == node).map(|(key, _)| key);
            let key = key.ok_or(EditError::ForeignNode)?;
            let colon = layout::skip_blank(text, key.full_span().end, false);
            if text.as_bytes().get(colon) != Some(&b':') || colon >= node.full_span().start {
                return Err(self.unsupported(key.span().start, "a key without a colon"));
            }
            colon + 1
        } else {
            let entry = layout::entries(parent).into_iter().find(|entry| entry.value == node);
            entry.ok_or(EditError::ForeignNode)?.start + 1
        };
        let column = layout::column(text, parent.span().start);
        base = base.max(props_end(node));
        self.replace_value(
            node,
            value,
            base,
            if parent.is_mapping() { Parent::Key(column) } else { Parent::Dash(column) },
            column,
        );
        Ok(())
    }

    /// `base` is where the value may start: after the colon, the dash, the tag and the anchor.
    fn replace_value(&mut self, node: Node<'a>, value: &Value, base: usize, parent: Parent, column: usize) {
        let text = self.text();
        let span = node.span();
        let base_line_end = layout::line_end(text, base);
        let below = span.start > base_line_end;
        let block_scalar = matches!(node.scalar_style(), Some(ScalarStyle::Literal | ScalarStyle::Folded));
        let block_collection = !node.is_flow() && (node.is_mapping() || node.is_sequence());
        let tail =
            layout::without_break(text, layout::tail(text, span.end, column)).max(layout::line_end(text, span.end));
        // The comment on the line of the key or dash, wherever that line's value goes on.
        let comment = if below {
            layout::comment_follows(text, base)
        } else if block_scalar {
            text[span.start..base_line_end].contains('#')
        } else {
            !block_collection && layout::comment_follows(text, span.end)
        };
        let parent = match parent {
            Parent::Dash(column) if comment || props_end(node) > 0 || (below && !is_one_line(value)) => {
                Parent::DashBelow(column)
            }
            parent => parent,
        };
        let mut writer = Writer::new(self.layout(node), value);
        writer.block(value, parent);
        let (out, open_end) = writer.into_parts();
        let split = out.find(['\n', '\r']).unwrap_or(out.len());
        let (head, body) = out.split_at(split);
        let change = |plan: &mut Self, span: Range<usize>, text: &str, open_end: bool| {
            if !(span.is_empty() && text.is_empty()) {
                let text = Zeroizing::new(text.to_owned());
                plan.changes.push(Change { span, text, rank: Rank::Body, own_line: false, open_end });
            }
        };
        if block_collection && !below {
            return change(self, base..tail, &out, open_end);
        }
        if block_scalar && !below {
            if !comment {
                return change(self, base..tail.max(span.end), &out, open_end);
            }
            let header =
                text[span.start..].find([' ', '\t', '\n', '\r']).map_or(span.end, |length| span.start + length);
            change(
                self,
                if head.is_empty() { base } else { span.start }..header,
                trim_one(head),
                open_end && body.is_empty(),
            );
            return change(self, base_line_end..tail.max(span.end), body, open_end);
        }
        if below && (block_collection || block_scalar || !body.is_empty()) {
            if comment {
                change(self, base..base, head, false);
            } else {
                change(self, base..base_line_end, head, false);
            }
            return change(self, base_line_end..tail, body, open_end);
        }
        // A scalar, an alias, a flow collection or nothing, to the end of which the line goes on.
        let after = layout::line_end(text, span.end);
        let end = if comment || !layout::is_blank(&text[span.end..after]) { span.end } else { after };
        if span.is_empty() {
            change(self, span.start..end, head, open_end && body.is_empty());
        } else if head.is_empty() {
            change(self, base..end, "", false);
        } else if !body.is_empty() {
            // What stands below is lined up with a head that follows one blank.
            change(self, base..span.end, head, false);
        } else {
            change(self, span.start..span.end, trim_one(head), open_end && body.is_empty());
        }
        if !body.is_empty() {
            // Deeper comments below a literal block would become part of it.
            change(self, after..if open_end { tail } else { after }, body, open_end);
        }
    }

    fn replace_in_flow(&mut self, parent: Node<'a>, node: Node<'a>, value: &Value) {
        let text = self.text();
        let span = node.span();
        if !parent.is_flow() || !span.is_empty() {
            let lines = parent.is_flow().then(|| layout::pretty(parent)).flatten();
            let lines = lines.map(|(_, step)| (layout::indentation(text, node.span().start), step));
            return self.replace_in_place(node, value, lines);
        }
        let mut writer = Writer::new(self.layout(node), value);
        if !is_key(parent, node) {
            let has_colon = node.full_span() != span || text[..span.start].ends_with(':');
            writer.out.push_str(if has_colon || !parent.is_mapping() { " " } else { ": " });
        }
        writer.flow(value, None);
        self.push(span, writer.into_parts().0, Rank::Body);
    }

    fn replace_in_place(&mut self, node: Node<'a>, value: &Value, lines: Option<(&str, &str)>) {
        let mut writer = Writer::new(self.layout(node), value);
        let in_flow = node.is_flow() || node.parent().is_some_and(|parent| parent.is_flow());
        match value {
            Value::Str(text) if !in_flow => writer.key(text, false),
            _ => writer.flow(value, lines.map(|(indent, step)| Pretty { indent, step })),
        }
        self.push(node.span(), writer.into_parts().0, Rank::Body);
    }

    /// A root that is no flow collection, or becomes a block: its lines become the new ones.
    fn replace_root(&mut self, node: Node<'a>, value: &Value) {
        let text = self.text();
        let span = node.span();
        let tail = layout::without_break(text, layout::tail(text, span.end, 0)).max(layout::line_end(text, span.end));
        let mut writer = Writer::new(self.layout(node), value);
        let line = layout::line_start(text, span.start);
        let starts_line = layout::starts_line(text, span.start);
        let collection = !is_one_line(value) && !matches!(value, Value::Literal(_));
        if collection && !starts_line {
            writer.line(0);
        }
        writer.block(value, Parent::Root);
        let open_end = writer.open_end;
        let out = writer.into_parts().0;
        let one_line = is_one_line(value) && !text[span.clone()].contains(['\n', '\r']) && !span.is_empty();
        let span = if one_line {
            span
        } else if starts_line {
            line..tail
        } else if collection {
            text[..span.start].trim_end_matches([' ', '\t']).len()..tail
        } else {
            span.start..tail
        };
        self.changes.push(Change { span, text: out, rank: Rank::Body, own_line: false, open_end });
    }
}

/// Where the tag and the anchor of a node end; 0 if it has none.
fn props_end(node: Node<'_>) -> usize {
    let stream = node.stream;
    stream.props.get(node.raw().props as usize).map_or(0, |props| props.tag.1.max(props.anchor.1) as usize)
}

/// Whether a value is written on the line of its key.
fn is_one_line(value: &Value) -> bool {
    match value {
        Value::Map(entries) => entries.is_empty(),
        Value::Seq(items) => items.is_empty(),
        Value::Literal(_) => false,
        _ => true,
    }
}

fn trim_one(head: &str) -> &str {
    head.strip_prefix(' ').unwrap_or(head)
}
