//! The tree: a folder a heading, a document a line, and a line for what does not fit.

use super::model::Document;
use crate::ui::{Line, Ui};

/// The widest that a column gets; what is longer pushes the next ones to the right.
const WIDEST: usize = 36;
/// The room for the names of data keys.
const KEYS: usize = 36;

/// Prints the documents, which are in the order of their paths.
pub fn print(ui: &Ui, documents: &[Document]) {
    let rows: Vec<Row<'_>> = documents.iter().map(Row::new).collect();
    let widths = widths(&rows);
    for folder in rows.chunk_by(|one, next| one.folder == next.folder) {
        ui.print(&Line::new().bold(folder[0].folder));
        let files: Vec<_> = folder.chunk_by(|one, next| one.document.shown == next.document.shown).collect();
        for (index, file) in files.iter().enumerate() {
            let last = index + 1 == files.len();
            for (index, row) in file.iter().enumerate() {
                row.print(ui, index == 0, last, &widths);
            }
        }
    }
}

struct Row<'a> {
    document: &'a Document,
    folder: &'a str,
    cells: [String; 5],
}

impl<'a> Row<'a> {
    fn new(document: &'a Document) -> Self {
        let (folder, file) = document.shown.rsplit_once('/').unwrap_or((".", &document.shown));
        let mut secret_type = document.short_type().to_owned();
        if document.immutable == Some(true) {
            secret_type.push_str(", immutable");
        }
        let title = document.title();
        let names = document.keys.iter().map(|key| key.name.as_str());
        let cells = [
            file.to_owned(),
            if document.patch { format!("patches {title}") } else { title },
            secret_type,
            if document.well_formed && document.keys.is_empty() { "no values".to_owned() } else { few(names, KEYS) },
            document.read_by(),
        ];
        Self { document, folder: if folder.is_empty() { "/" } else { folder }, cells }
    }

    fn print(&self, ui: &Ui, first: bool, last: bool, widths: &[usize; 5]) {
        let (branch, below) = match (first, last) {
            (true, false) => ("├─ ", "│  "),
            (true, true) => ("└─ ", "   "),
            (false, false) => ("│  ", "│  "),
            (false, true) => ("   ", "   "),
        };
        let mut line = Line::new().dim(branch);
        for (index, (cell, width)) in self.cells.iter().zip(widths).enumerate() {
            // The second document of a file stands under the first.
            let cell = if index == 0 && !first { "" } else { cell };
            line = line.padded(cell, *width).text("   ");
        }
        if let Some(opened) = &self.document.opened {
            let text = opened.text();
            line = if opened.is_alarming() { line.red(&text) } else { line.text(&text) };
        }
        ui.print(&line);
        let below = Line::new().dim(below).padded("", 2);
        if let Some(scope) = self.document.scope.as_ref().filter(|_| !self.document.scope_is_title()) {
            ui.print(&below.clone().text(&format!("opens as {}", scope.join(", "))));
        }
        for told in self.document.told() {
            let mark = if told.severity == "error" { below.clone().red("!") } else { below.clone().yellow("!") };
            ui.print(&mark.text(" ").text(&told.short));
        }
    }
}

fn widths(rows: &[Row<'_>]) -> [usize; 5] {
    let mut widths = [0; 5];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(Line::new().text(cell).width());
        }
    }
    widths.map(|width| width.min(WIDEST))
}

/// As many names as there is room for, and how many more there are, which takes its part of the room; the first one
/// always stands.
pub(super) fn few<'a>(names: impl Iterator<Item = &'a str>, room: usize) -> String {
    let names: Vec<&str> = names.collect();
    let more = |shown: usize| match names.len() - shown {
        0 => String::new(),
        more => format!(", {more} more"),
    };
    let mut width = 0;
    let mut fits = 1.min(names.len());
    for (index, name) in names.iter().enumerate() {
        width += name.chars().count() + if index == 0 { 0 } else { 2 };
        if width > room {
            break;
        }
        if width + more(index + 1).len() <= room {
            fits = index + 1;
        }
    }
    names[..fits].join(", ") + &more(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_where_the_room_ends() {
        let few = |names: &[&str], room| few(names.iter().copied(), room);
        assert_eq!(few(&[], 9), "");
        assert_eq!(few(&["host", "user"], 10), "host, user");
        assert_eq!(few(&["host", "user"], 9), "host, 1 more");
        assert_eq!(few(&["a-long-name", "b", "c"], 3), "a-long-name, 2 more");
        // What says how many more there are is within the room too.
        let names = ["host", "user", "password", "port"];
        for room in 12..names.join(", ").len() {
            let text = few(&names, room);
            assert!(text.len() <= room && text.ends_with(" more"), "{room}: {text}");
        }
        assert_eq!(few(&names, 12), "host, 3 more");
        assert_eq!(few(&names, 18), "host, user, 2 more");
    }
}
