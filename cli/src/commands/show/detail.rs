//! The long view: a document a block, with every value and every envelope.

use super::model::{AgeFile, Document, Envelope, Key};
use super::tree::few;
use crate::ui::{Line, Ui};

/// The width of the column of labels.
const LABEL: usize = 11;
/// The room for who uses a Secret.
const USERS: usize = 60;
/// The room for the keys of an envelope.
const KEYS: usize = 60;

/// Prints the documents.
pub fn print(ui: &Ui, documents: &[Document]) {
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            ui.print(&Line::new());
        }
        block(ui, document);
    }
}

fn block(ui: &Ui, document: &Document) {
    let place =
        if document.line == 1 { document.shown.clone() } else { format!("{}:{}", document.shown, document.line) };
    ui.print(&Line::new().bold(&place).text("   ").text(&document.title()));
    if document.well_formed {
        facts(ui, document);
        values(ui, document);
        envelopes(ui, document);
    }
    for told in document.told() {
        let line = Line::new().text("  ");
        let line = if told.severity == "error" { line.red("!") } else { line.yellow("!") };
        let at = told.line.map(|number| format!("line {number}: ")).unwrap_or_default();
        ui.print(&line.text(" ").text(&at).text(&told.short));
        if let Some(hint) = &told.hint {
            ui.print(&Line::new().text("    ").bold("hint:").text(" ").text(hint));
        }
    }
}

fn facts(ui: &Ui, document: &Document) {
    let fact = |label: &str, text: &str| ui.print(&Line::new().text("  ").padded(label, LABEL).text(text));
    fact("type", document.secret_type.as_deref().unwrap_or_default());
    if let Some(immutable) = document.immutable {
        fact("immutable", if immutable { "yes" } else { "no" });
    }
    match &document.scope {
        Some(scope) => scope.iter().enumerate().for_each(|(index, pattern)| {
            fact(if index == 0 { "opens as" } else { "" }, pattern);
        }),
        None => fact("opens as", "a patch: each value has its own scope"),
    }
    fact("read by", &document.read_by());
    for deployment in &document.deployed {
        let folder = if deployment.kustomization.is_empty() { "." } else { &deployment.kustomization };
        let root = match &deployment.by {
            Some(by) => format!("{folder} ({by})"),
            None => folder.to_owned(),
        };
        let used = match deployment.used_by.is_empty() {
            true => String::new(),
            false => format!(", used by {}", few(deployment.used_by.iter().map(String::as_str), USERS)),
        };
        fact("deployed", &format!("{}   by {root}{used}", deployment.title()));
    }
    if let Some(opened) = &document.opened {
        let line = Line::new().text("  ").padded("key", LABEL);
        let mut text = opened.text();
        if let Some(key) = &opened.key {
            text.push_str(&format!(" ({key})"));
        }
        if let Some(expires) = &opened.expires {
            text.push_str(&format!(" ({}: {})", expires.key, expires.what));
        }
        ui.print(&if opened.is_alarming() { line.red(&text) } else { line.text(&text) });
    }
}

fn values(ui: &Ui, document: &Document) {
    let width = |text: fn(&Key) -> String| document.keys.iter().map(|key| text(key).chars().count()).max().unwrap_or(0);
    let (names, sizes) = (width(|key| key.name.clone()), width(size));
    for (index, key) in document.keys.iter().enumerate() {
        let line = Line::new().text("  ").padded(if index == 0 { "values" } else { "" }, LABEL);
        let mut line = line.padded(&key.name, names).text("   ").padded(&size(key), sizes).text("   ");
        line = match (&key.envelope, key.own_envelope) {
            (Some(_), true) => line.text("own envelope"),
            (Some(id), false) => line.dim(id),
            (None, _) => line.red("no envelope"),
        };
        if let Some(scope) = &key.scope {
            line = line.text(&format!("   opens as {}", scope.join(", ")));
        }
        ui.print(&line);
    }
}

fn size(key: &Key) -> String {
    format!("at most {} bytes", key.at_most_bytes)
}

fn envelopes(ui: &Ui, document: &Document) {
    for (index, envelope) in document.envelopes.iter().enumerate() {
        let line = Line::new().text("  ").padded(if index == 0 { "envelopes" } else { "" }, LABEL);
        ui.print(&line.dim(&envelope.id).text("   ").text(&holds(envelope)));
        for (index, file) in envelope.age_files.iter().enumerate() {
            let label = if index == 0 { "for" } else { "also for" };
            let line = Line::new().text("  ").padded("", LABEL).text("  ").padded(label, 9);
            ui.print(&line.text(&file.names.join(", ")).text("   ").dim(&stanzas(file)));
        }
    }
}

fn holds(envelope: &Envelope) -> String {
    match (&envelope.keys[..], envelope.own) {
        ([], _) => "no value uses it".to_owned(),
        ([key], true) => format!("of {key} alone"),
        (keys, _) => few(keys.iter().map(String::as_str), KEYS),
    }
}

/// The kinds of stanzas of an age file, each with its number: `2 × mlkem768x25519`.
fn stanzas(file: &AgeFile) -> String {
    let Some(stanzas) = &file.stanzas else { return "not an age file".to_owned() };
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for stanza in stanzas {
        match kinds.iter_mut().find(|(kind, _)| kind == stanza) {
            Some((_, number)) => *number += 1,
            None => kinds.push((stanza, 1)),
        }
    }
    let kinds: Vec<String> = kinds.into_iter().map(|(kind, number)| format!("{number} × {kind}")).collect();
    kinds.join(", ")
}
