//! Flow collections: commas between the entries, on one line or over several.

use super::super::edit::{Asked, EditError, New};
use super::super::layout::{self, Entry};
use super::super::node::Node;
use super::super::render::{Pretty, Writer};
use super::super::value::Value;
use super::{Plan, Rank};

impl<'a> Plan<'a> {
    pub(super) fn flow(&mut self, node: Node<'a>, asked: &Asked, entries: &[Entry<'a>]) -> Result<(), EditError> {
        let text = self.text();
        if node.raw().pair {
            return Err(self.unsupported(node.span().start, "a pair without braces"));
        }
        let new: Vec<&New> = asked.inserted.values().flatten().collect();
        let inside = node.span().start + 1..node.span().end - 1;
        if entries.is_empty() && self.fill_empty(node, &new)? {
            return Ok(());
        }
        let pretty = layout::pretty(node);
        let inner = pretty.map(|(outer, step)| format!("{outer}{step}"));
        let flow = Flow { node, asked, entries, pretty: inner.as_deref().zip(pretty.map(|(_, step)| step)) };
        let kept: Vec<usize> = (0..entries.len()).filter(|index| !asked.removed.contains(index)).collect();
        let commas: Vec<Option<usize>> = entries.iter().map(|entry| comma(text, entry.end)).collect();
        let (Some(&first), Some(&last)) = (kept.first(), kept.last()) else {
            if new.is_empty() {
                self.cut(inside);
                return Ok(());
            }
            let mut writer = self.writer(node, new.iter().copied());
            flow.write(&mut writer, &new, self.newline);
            let start = entries.first().map_or(inside.end, |entry| entry.start);
            let end = entries
                .last()
                .zip(commas.last())
                .map_or(inside.end, |(entry, comma)| comma.map_or(entry.end, |at| at + 1));
            self.push(start..end, writer.into_parts().0, Rank::Before);
            return Ok(());
        };
        let trailing = commas.last().copied().flatten().is_some();
        for &index in &kept {
            if let Some(at) = commas[index]
                && index == last
                && !trailing
                && !flow.grows_below_comment(text, index, &commas, &kept)
            {
                self.cut(text[..at].trim_end_matches([' ', '\t']).len()..at + 1);
            }
        }
        self.cut_entries(&flow, &commas, &inside);
        for (position, &index) in kept.iter().enumerate() {
            let until = kept.get(position + 1).copied();
            let new = flow.new_after(index, until);
            if !new.is_empty() {
                let comma_follows = commas[index].is_some() && (index != last || trailing);
                self.insert_after(&flow, index, commas[index], comma_follows, &new);
            }
        }
        let new = flow.new_before(first);
        if !new.is_empty() {
            let mut writer = self.writer(node, new.iter().copied());
            flow.write(&mut writer, &new, self.newline);
            writer.out.push(',');
            flow.space(&mut writer, self.newline);
            let at = entries[first].start;
            self.push(at..at, writer.into_parts().0, Rank::Before);
        }
        Ok(())
    }

    /// Fills `{}` or `[]`: in a block document it becomes a block. Tells whether that was done.
    fn fill_empty(&mut self, node: Node<'a>, new: &[&New]) -> Result<bool, EditError> {
        if node.comments().next().is_some() {
            return Err(self.unsupported(node.span().start, "an empty collection that holds a comment"));
        }
        if node.parent().is_some_and(|parent| parent.is_flow()) {
            return Ok(false);
        }
        let value = if node.is_mapping() {
            let entries = new.iter().map(|new| (new.key.clone().unwrap_or_default(), new.value.clone()));
            Value::Map(entries.collect())
        } else {
            Value::Seq(new.iter().map(|new| new.value.clone()).collect())
        };
        self.rewrite(node, &value)?;
        Ok(true)
    }

    fn cut_entries(&mut self, flow: &Flow<'_, 'a>, commas: &[Option<usize>], inside: &std::ops::Range<usize>) {
        let text = self.text();
        let entries = flow.entries;
        let mut cursor = inside.start;
        for &index in &flow.asked.removed {
            let Entry { start, end, .. } = entries[index];
            let end = commas[index].map_or(end, |at| at + 1);
            let line_end = layout::line_end(text, end);
            let rest = &text[end..line_end];
            let own_lines = layout::starts_line(text, start)
                && line_end < inside.end
                && (layout::is_blank(rest) || rest.trim_start().starts_with('#'));
            let (start, end) = if own_lines {
                (layout::line_start(text, start), layout::line_after(text, end))
            } else if commas[index].is_some() && index + 1 < entries.len() {
                (start, end + (rest.len() - rest.trim_start_matches([' ', '\t']).len()))
            } else {
                (text[..start].trim_end_matches([' ', '\t']).len(), end)
            };
            let start = start.max(cursor);
            self.cut(start..end.max(start));
            cursor = end.max(start);
        }
    }

    fn insert_after(
        &mut self,
        flow: &Flow<'_, 'a>,
        index: usize,
        comma: Option<usize>,
        comma_follows: bool,
        new: &[&New],
    ) {
        let text = self.text();
        let newline = self.newline;
        let end = flow.entries[index].end;
        let mut writer = self.writer(flow.node, new.iter().copied());
        if flow.pretty.is_some() && layout::comment_follows(text, comma.map_or(end, |at| at + 1)) {
            if comma.is_none() {
                self.push_str(end..end, ",", Rank::Body);
            }
            flow.space(&mut writer, newline);
            flow.write(&mut writer, new, newline);
            if comma_follows {
                writer.out.push(',');
            }
            let at = layout::line_end(text, comma.unwrap_or(end));
            return self.push(at..at, writer.into_parts().0, Rank::Before);
        }
        writer.out.push(',');
        flow.space(&mut writer, newline);
        flow.write(&mut writer, new, newline);
        self.push(end..end, writer.into_parts().0, Rank::Before);
    }
}

fn comma(text: &str, end: usize) -> Option<usize> {
    let at = layout::skip_blank(text, end, false);
    (text.as_bytes().get(at) == Some(&b',')).then_some(at)
}

/// A flow collection and what is asked of it.
struct Flow<'e, 'a> {
    node: Node<'a>,
    asked: &'e Asked,
    entries: &'e [Entry<'a>],
    /// The indentation of the entries and the step to what is below them, if the first one starts a line.
    pretty: Option<(&'e str, &'e str)>,
}

impl<'e> Flow<'e, '_> {
    /// What is inserted after an entry that stays and before the next one that does.
    fn new_after(&self, index: usize, until: Option<usize>) -> Vec<&'e New> {
        let within = self.asked.inserted.iter().filter(|(gap, _)| {
            (gap.child > index || (gap.child == index && gap.after))
                && until.is_none_or(|until| gap.child < until || (gap.child == until && !gap.after))
        });
        within.flat_map(|(_, new)| new).collect()
    }

    /// What is inserted before the first entry that stays.
    fn new_before(&self, first: usize) -> Vec<&'e New> {
        let within =
            self.asked.inserted.iter().filter(|(gap, _)| gap.child < first || (gap.child == first && !gap.after));
        within.flat_map(|(_, new)| new).collect()
    }

    /// Whether the comma of an entry stays because something new follows below the comment on its line.
    fn grows_below_comment(&self, text: &str, index: usize, commas: &[Option<usize>], kept: &[usize]) -> bool {
        let until = kept.iter().copied().find(|kept| *kept > index);
        self.pretty.is_some()
            && commas[index].is_some_and(|at| layout::comment_follows(text, at + 1))
            && !self.new_after(index, until).is_empty()
    }

    fn space(&self, writer: &mut Writer<'_>, newline: &str) {
        match self.pretty {
            Some((indent, _)) => {
                writer.out.push_str(newline);
                writer.out.push_str(indent);
            }
            None => writer.gap(),
        }
    }

    fn write(&self, writer: &mut Writer<'_>, new: &[&New], newline: &str) {
        let pretty = self.pretty.map(|(indent, step)| Pretty { indent, step });
        for (index, New { key, value }) in new.iter().copied().enumerate() {
            if index > 0 {
                writer.out.push(',');
                self.space(writer, newline);
            }
            match key {
                Some(key) => writer.flow_entry(key, value, pretty),
                None => writer.flow(value, pretty),
            }
        }
    }
}
