//! Block collections: entries and items have lines of their own, but for a first one that stands behind a dash.

use std::cmp::Reverse;

use zeroize::Zeroizing;

use super::super::edit::{Asked, EditError, Gap, New};
use super::super::layout::{self, Entry};
use super::super::node::{Node, ScalarStyle};
use super::super::render::Writer;
use super::super::value::Value;
use super::{Change, Plan, Rank};

impl<'a> Plan<'a> {
    pub(super) fn block(&mut self, node: Node<'a>, asked: &Asked, entries: &[Entry<'a>]) -> Result<(), EditError> {
        let text = self.text();
        let Some(first) = entries.first() else { return Err(EditError::ForeignNode) };
        let column = layout::column(text, first.start);
        let shared = !layout::starts_line(text, first.start);
        for entry in &entries[1..] {
            if !layout::starts_line(text, entry.start) || layout::column(text, entry.start) != column {
                return Err(self.unsupported(entry.start, "an entry that has no line of its own"));
            }
        }
        if node.is_sequence() && entries.iter().any(|entry| text.as_bytes().get(entry.start) != Some(&b'-')) {
            return Err(self.unsupported(first.start, "an item without a dash"));
        }
        if asked.inserted.is_empty() && asked.removed.len() == entries.len() {
            let empty = if node.is_mapping() { Value::Map(vec![]) } else { Value::Seq(vec![]) };
            return self.rewrite(node, &empty);
        }
        let block = Block { node, asked, entries, column, shared };
        let mut inserted: Vec<(Gap, Vec<&New>)> =
            asked.inserted.iter().map(|(gap, new)| (*gap, new.iter().collect())).collect();
        let mut cut_until = 0;
        if shared && asked.removed.contains(&0) {
            cut_until = self.cut_shared(&block, &mut inserted);
        }
        let mut below_keep = false;
        for &index in asked.removed.range(cut_until..) {
            if index == 0 || !asked.removed.contains(&(index - 1)) {
                below_keep = self.stands_below_keep(&entries[index]);
            }
            let start = layout::line_start(text, entries[index].start);
            let end = layout::tail(text, entries[index].end, column);
            // The blank lines that follow would become text of the scalar.
            self.cut(start..if below_keep { layout::skip_blank_lines(text, end) } else { end });
        }
        for (gap, new) in inserted {
            self.insert_lines(&block, gap, &new);
        }
        Ok(())
    }

    /// Whether the entry follows a block scalar that keeps the blank lines behind it, such as `|+`.
    fn stands_below_keep(&self, entry: &Entry<'a>) -> bool {
        let first = entry.key.unwrap_or(entry.value);
        let before = first.id.checked_sub(1).and_then(|id| self.stream.node(id));
        before.is_some_and(|node| {
            let header = node.source().split(['\n', '\r', '#']).next().unwrap_or_default();
            matches!(node.scalar_style(), Some(ScalarStyle::Literal | ScalarStyle::Folded)) && header.contains('+')
        })
    }

    /// Removes a first entry that shares its line with a dash, and what is removed directly behind it; tells up to which
    /// index that is. What is inserted before the next entry that stays takes the line.
    fn cut_shared(&mut self, block: &Block<'_, 'a>, inserted: &mut Vec<(Gap, Vec<&New>)>) -> usize {
        let (text, entries) = (self.text(), block.entries);
        let kept = (0..entries.len()).find(|index| !block.asked.removed.contains(index)).unwrap_or(entries.len());
        let until = Gap { child: kept, after: false };
        let count = inserted.iter().take_while(|(gap, _)| *gap <= until).count();
        let first: Vec<&New> = inserted.drain(..count).flat_map(|(_, new)| new).collect();
        let start = entries[0].start;
        if !first.is_empty() {
            let end = layout::without_break(text, layout::tail(text, entries[0].end, block.column));
            let mut writer = self.writer(block.node, first.iter().copied());
            block.write(&mut writer, &first, self.newline);
            let (out, open_end) = writer.into_parts();
            self.changes.push(Change { span: start..end, text: out, rank: Rank::Before, own_line: false, open_end });
            return 1;
        }
        let mut index = 0;
        loop {
            let after = layout::tail(text, entries[index].end, block.column);
            let content =
                after + (text[after..].len() - text[after..].trim_start_matches([' ', '\t', '\n', '\r']).len());
            index += 1;
            let next = entries.get(index).map_or(text.len(), |entry| entry.start);
            if content < next || index >= kept {
                self.cut(start..content);
                return index;
            }
        }
    }

    fn insert_lines(&mut self, block: &Block<'_, 'a>, gap: Gap, new: &[&New]) {
        let text = self.text();
        let newline = self.newline;
        let entry = &block.entries[gap.child];
        let removed = block.asked.removed.contains(&gap.child);
        let mut writer = self.writer(block.node, new.iter().copied());
        if gap.child == 0 && !gap.after && block.shared {
            block.write(&mut writer, new, newline);
            writer.line(block.column);
            let (out, _) = writer.into_parts();
            return self.push(entry.start..entry.start, out, Rank::Before);
        }
        let at = match (gap.after, removed) {
            (true, _) => layout::tail(text, entry.end, block.column),
            (false, true) => layout::line_start(text, entry.start),
            (false, false) => self.above(block, gap.child),
        };
        writer.spaces(block.column);
        block.write(&mut writer, new, newline);
        let mut open_end = writer.open_end;
        if at < text.len() || text.ends_with(['\n', '\r']) {
            writer.out.push_str(newline);
            open_end = false;
        }
        let depth = std::iter::successors(Some(block.node), Node::parent).count();
        let rank = if gap.after { Rank::After(Reverse(depth)) } else { Rank::Before };
        let text: Zeroizing<String> = writer.into_parts().0;
        self.changes.push(Change { span: at..at, text, rank, own_line: true, open_end });
    }

    /// Where something new goes before an entry: above the comment lines that stand directly above it. What heads the
    /// whole document stays at its top.
    fn above(&self, block: &Block<'_, 'a>, index: usize) -> usize {
        let text = self.text();
        let line = layout::line_start(text, block.entries[index].start);
        let start = layout::comments_above(text, line, block.column);
        let heads = index == 0
            && block.node.parent().is_none()
            && (layout::line_start(text, start) == layout::line_start(text, 0)
                || matches!(text[..start].lines().next_back(), Some(above) if above.starts_with("---")));
        if heads { line } else { start }
    }
}

/// A block collection and what is asked of it.
struct Block<'e, 'a> {
    node: Node<'a>,
    asked: &'e Asked,
    entries: &'e [Entry<'a>],
    column: usize,
    /// The first entry does not start its line.
    shared: bool,
}

impl Block<'_, '_> {
    /// Writes entries or items, the first one where the text stands, the others on lines of their own.
    fn write(&self, writer: &mut Writer<'_>, new: &[&New], newline: &str) {
        for (index, New { key, value }) in new.iter().copied().enumerate() {
            if index > 0 {
                writer.out.push_str(newline);
                writer.spaces(self.column);
            }
            match key {
                Some(key) => writer.entry(key, value, self.column),
                None => writer.item(value, self.column),
            }
        }
    }
}
