//! Whole documents: filled, removed, appended.

use super::super::edit::EditError;
use super::super::layout;
use super::super::render::{Layout, Parent, Writer};
use super::super::value::Value;
use super::{Change, Plan, Rank};

impl Plan<'_> {
    pub(super) fn documents(&mut self) -> Result<(), EditError> {
        for (&index, value) in &self.asks.filled {
            if !self.asks.removed_documents.contains(&index) {
                self.fill_document(index, value);
            }
        }
        for &index in &self.asks.removed_documents {
            self.remove_document(index);
        }
        let old = self.stream.documents.len() - self.asks.removed_documents.len();
        for (index, value) in self.asks.appended.iter().enumerate() {
            self.append_document(value, old + index == 0);
        }
        Ok(())
    }

    fn fresh(&self, value: &Value) -> Writer<'_> {
        let newline = self.newline;
        Writer::new(Layout { newline, step: 2, sequence_step: 0, json: false, compact: false }, value)
    }

    fn fill_document(&mut self, index: usize, value: &Value) {
        let text = self.text();
        let raw = self.stream.documents[index];
        let at = if raw.open.1 > 0 { layout::line_after(text, raw.open.1 as usize) } else { raw.start as usize };
        self.put(at, value, false);
    }

    fn remove_document(&mut self, index: usize) {
        let documents = &self.stream.documents;
        let raw = documents[index];
        let before =
            documents[..index].iter().enumerate().rev().find(|(at, _)| !self.asks.removed_documents.contains(at));
        let next = documents.get(index + 1);
        // A document that only the `...` of this one set apart from the one before.
        let joins = before.is_some_and(|(_, before)| before.close.1 == 0)
            && next.is_some_and(|next| next.open.1 == 0)
            && !self.asks.removed_documents.contains(&(index + 1));
        let start =
            if index == 0 && self.text().starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { raw.start as usize };
        let text = if joins { format!("---{}", self.newline) } else { String::new() };
        self.push_str(start..raw.end as usize, &text, Rank::Body);
    }

    fn append_document(&mut self, value: &Value, first: bool) {
        self.put(self.text().len(), value, !first);
    }

    fn put(&mut self, at: usize, value: &Value, marker: bool) {
        let newline = self.newline;
        let mut writer = self.fresh(value);
        if marker {
            writer.out.push_str("---");
            writer.out.push_str(newline);
        }
        writer.block(value, Parent::Root);
        writer.out.push_str(newline);
        let text = writer.into_parts().0;
        self.changes.push(Change { span: at..at, text, rank: Rank::Document, own_line: true, open_end: false });
    }
}
