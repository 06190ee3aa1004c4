//! One node by another value, in the place that it has.

use std::collections::BTreeSet;
use std::ops::Range;

use zeroize::Zeroizing;

use super::super::edit::EditError;
use super::super::layout::{self, Entry};
use super::super::node::{Node, ScalarStyle};
use super::super::render::{Parent, Pretty, Writer};
use super::super::value::Value;
use super::{Change, Plan, Rank};

impl<'a> Plan<'a> {
    /// Everything that is replaced, collection by collection: a list of siblings is walked once.
    pub(super) fn replaced(&mut self) -> Result<(), EditError> {
        let asks = self.asks;
        let mut parents = BTreeSet::new();
        for (&id, value) in &asks.replaced {
            let node = self.node(id)?;
            match node.parent() {
                Some(parent) => drop(parents.insert(parent.id)),
                None => self.replace_root(node, value),
            }
        }
        for id in parents {
            let parent = self.node(id)?;
            let key = parent.entries().map(|(key, _)| key).find(|key| asks.replaced.contains_key(&key.id));
            if let Some(key) = key {
                return Err(EditError::WrongKind { at: key.location(), wanted: "value" });
            }
            let lines = if parent.is_flow() { layout::pretty(parent) } else { None };
            for entry in layout::entries(parent) {
                match asks.replaced.get(&entry.value.id) {
                    Some(value) if parent.is_flow() => self.replace_in_flow(parent, &entry, lines, value),
                    Some(value) => self.replace_in_block(parent, &entry, value)?,
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Writes a whole collection anew, as a block unless it stands in a flow collection.
    pub(super) fn rewrite(&mut self, node: Node<'a>, value: &Value) -> Result<(), EditError> {
        let Some(parent) = node.parent() else {
            self.replace_root_lines(node, value);
            return Ok(());
        };
        let entry = layout::entries(parent).into_iter().find(|entry| entry.value == node);
        let Some(entry) = entry else { return Err(self.unsupported(node.span().start, "a collection as a key")) };
        self.replace_in_block(parent, &entry, value)
    }

    fn replace_in_block(&mut self, parent: Node<'a>, entry: &Entry<'a>, value: &Value) -> Result<(), EditError> {
        let text = self.text();
        let node = entry.value;
        let column = layout::column(text, parent.span().start);
        let (base, follows) = match entry.key {
            Some(key) => {
                let colon = layout::skip_blank(text, key.full_span().end, false);
                if text.as_bytes().get(colon) != Some(&b':') || colon >= node.full_span().start {
                    return Err(self.unsupported(key.span().start, "a key without a colon"));
                }
                (colon + 1, Parent::Key(column))
            }
            None => (entry.start + 1, Parent::Dash(column)),
        };
        self.replace_value(node, value, base.max(props_end(node)), follows, column);
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

    fn replace_in_flow(&mut self, parent: Node<'a>, entry: &Entry<'a>, lines: Option<(&str, &str)>, value: &Value) {
        let text = self.text();
        let node = entry.value;
        let span = node.span();
        if !span.is_empty() {
            let lines = lines.map(|(_, step)| (layout::indentation(text, span.start), step));
            return self.replace_in_place(node, value, lines);
        }
        let mut writer = Writer::new(self.layout(node), value);
        let has_colon = node.full_span() != span || text[..span.start].ends_with(':');
        writer.out.push_str(if has_colon || !parent.is_mapping() { " " } else { ": " });
        writer.flow(value, None);
        self.push(span, writer.into_parts().0, Rank::Body);
    }

    fn replace_in_place(&mut self, node: Node<'a>, value: &Value, lines: Option<(&str, &str)>) {
        let mut writer = Writer::new(self.layout(node), value);
        writer.flow(value, lines.map(|(indent, step)| Pretty { indent, step }));
        self.push(node.span(), writer.into_parts().0, Rank::Body);
    }

    fn replace_root(&mut self, node: Node<'a>, value: &Value) {
        if node.is_flow() {
            self.replace_in_place(node, value, layout::pretty(node));
        } else {
            self.replace_root_lines(node, value);
        }
    }

    /// A root that is no flow collection, or becomes a block: its lines become the new ones.
    fn replace_root_lines(&mut self, node: Node<'a>, value: &Value) {
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
