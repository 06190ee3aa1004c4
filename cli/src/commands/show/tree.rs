//! The tree: an environment a heading, a document a line, and a line for what does not fit.

use std::collections::BTreeMap;

use super::model::{Deployment, Document};
use crate::ui::{Line, Ui};

/// The widest that a column gets; what is longer pushes the next ones to the right.
const WIDEST: usize = 36;
/// The room for the names of data keys.
const KEYS: usize = 36;
/// The room for who uses a Secret.
const USERS: usize = 48;

/// Prints the documents, which are in the order of their paths: each kustomization that nothing includes with what it
/// deploys, then what none is known to deploy, by its folder.
pub fn print(ui: &Ui, documents: &[Document]) {
    let mut groups = environments(documents);
    groups.extend(folders(documents));
    let widths = widths(groups.iter().flat_map(|group| &group.rows));
    for group in &groups {
        let heading = Line::new().bold(&group.heading);
        ui.print(&match &group.namespace {
            Some(namespace) => heading.text("   → ").text(namespace),
            None => heading,
        });
        let is_of_one_file = |one: &Row<'_>, next: &Row<'_>| one.document.shown == next.document.shown;
        let files: Vec<_> = group.rows.chunk_by(is_of_one_file).collect();
        for (index, file) in files.iter().enumerate() {
            let last = index + 1 == files.len();
            for (index, row) in file.iter().enumerate() {
                row.print(ui, index == 0, last, &widths);
            }
        }
    }
}

/// What stands below one heading.
struct Group<'a> {
    heading: String,
    /// The namespace of all of it, where kustomize deploys it.
    namespace: Option<&'a str>,
    rows: Vec<Row<'a>>,
}

/// A folder that is deployed, and by what.
type Root<'a> = (&'a str, Option<&'a str>);

fn environments(documents: &[Document]) -> Vec<Group<'_>> {
    let mut by_root: BTreeMap<Root<'_>, Vec<(&Document, &Deployment)>> = BTreeMap::new();
    for document in documents {
        for deployment in &document.deployed {
            by_root.entry((&deployment.shown, deployment.by.as_deref())).or_default().push((document, deployment));
        }
    }
    by_root.into_iter().map(|(root, placed)| environment(root, placed)).collect()
}

fn environment<'a>((root, by): Root<'_>, mut placed: Vec<(&'a Document, &'a Deployment)>) -> Group<'a> {
    // Its own files, then those that it takes in.
    placed.sort_by_key(|(document, _)| below(&document.shown, root).is_none());
    let first = placed.first().and_then(|(_, deployment)| deployment.namespace.as_deref());
    let namespace = first.filter(|first| placed.iter().all(|(_, other)| other.namespace.as_deref() == Some(first)));
    let row = |(document, deployment): (&'a Document, &'a Deployment)| {
        let name = if namespace.is_some() { deployment.name.clone() } else { deployment.title() };
        let file = below(&document.shown, root).unwrap_or(&document.shown);
        Row::new(document, file, &name, &deployment.used_by)
    };
    let heading = by.map_or_else(|| root.to_owned(), |by| format!("{root} ({by})"));
    Group { heading, namespace, rows: placed.into_iter().map(row).collect() }
}

/// A path from a folder that it is in.
fn below<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    match folder {
        "." => Some(path).filter(|path| !path.starts_with("../")),
        _ => path.strip_prefix(folder)?.strip_prefix('/'),
    }
}

fn folders(documents: &[Document]) -> Vec<Group<'_>> {
    let others: Vec<&Document> = documents.iter().filter(|document| document.deployed.is_empty()).collect();
    others.chunk_by(|one, next| split(one).0 == split(next).0).map(folder).collect()
}

fn folder<'a>(documents: &[&'a Document]) -> Group<'a> {
    let row = |document: &&'a Document| Row::new(document, split(document).1, &document.title(), &[]);
    let heading = documents.first().map_or(".", |document| split(document).0).to_owned();
    Group { heading, namespace: None, rows: documents.iter().map(row).collect() }
}

/// The folder of a document, and the name of its file.
fn split(document: &Document) -> (&str, &str) {
    match document.shown.rsplit_once('/') {
        None => (".", &document.shown),
        Some(("", file)) => ("/", file),
        Some(parts) => parts,
    }
}

struct Row<'a> {
    document: &'a Document,
    cells: [String; 6],
}

impl<'a> Row<'a> {
    fn new(document: &'a Document, file: &str, name: &str, used_by: &[String]) -> Self {
        let mut secret_type = document.short_type().to_owned();
        if document.immutable == Some(true) {
            secret_type.push_str(", immutable");
        }
        let names = document.keys.iter().map(|key| key.name.as_str());
        let cells = [
            file.to_owned(),
            if document.patch { format!("patches {name}") } else { name.to_owned() },
            secret_type,
            if document.well_formed && document.keys.is_empty() { "no values".to_owned() } else { few(names, KEYS) },
            document.read_by(),
            match used_by {
                [] => String::new(),
                some => format!("used by {}", few(some.iter().map(String::as_str), USERS)),
            },
        ];
        Self { document, cells }
    }

    fn print(&self, ui: &Ui, first: bool, last: bool, widths: &[usize; 6]) {
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

fn widths<'r, 'd: 'r>(rows: impl Iterator<Item = &'r Row<'d>>) -> [usize; 6] {
    let mut widths = [0; 6];
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
