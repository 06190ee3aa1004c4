//! Findings for people: the fact, the place with what is there, the next step.

use ageseal::check::{Code, Level};

use super::{Summary, Told, count};
use crate::error::{CliError, Place};
use crate::ui::{Line, Ui};

pub(super) fn print(ui: &Ui, told: &[Told], summary: &Summary) {
    let (ignored, others): (Vec<&Told>, Vec<&Told>) =
        told.iter().partition(|told| told.finding.code == Code::IgnoredPlaintext);
    for one in others {
        match one.finding.level {
            Level::Error => ui.finding(&shown(one)),
            Level::Note if !ui.is_quiet() => ui.finding_note(&shown(one)),
            Level::Note => {}
        }
    }
    if !ignored.is_empty() && !ui.is_quiet() {
        ui.finding_note(&together(&ignored));
    }
    let (errors, _) = count(told, summary);
    if !ui.is_quiet() {
        let line = last_line(told, summary);
        ui.print(&if errors > 0 { Line::new().red(&line) } else { Line::new().text(&line) });
    }
}

fn shown(told: &Told) -> CliError {
    let finding = &told.finding;
    let mut lines = finding.lines.iter();
    let first = Place { path: told.shown.clone(), at: finding.at, detail: lines.next().cloned() };
    let error = CliError::finding(finding.code.headline()).place(first);
    // The other lines stand below the first one.
    let below = |error: CliError, line: &String| error.place(Place { detail: Some(line.clone()), ..Place::default() });
    let error = lines.fold(error, below);
    match &finding.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What git ignores, as one note with a line a file: a repository has one beside each sealed file.
fn together(ignored: &[&Told]) -> CliError {
    let note = CliError::finding(Code::IgnoredPlaintext.headline());
    ignored.chunk_by(|one, next| one.shown == next.shown).fold(note, |note, file| {
        let Told { shown, finding, .. } = file[0];
        let mut detail = finding.lines.join("; ");
        if file.len() > 1 {
            detail.push_str(&format!("; and {} more", file.len() - 1));
        }
        note.place(Place { path: shown.clone(), at: finding.at, detail: Some(detail) })
    })
}

fn last_line(told: &[Told], summary: &Summary) -> String {
    let (errors, notes) = count(told, summary);
    let many = |count: usize, one: &str, several: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    };
    let mut parts = Vec::new();
    match errors {
        0 => parts.push("no findings".to_owned()),
        errors => parts.push(many(errors, "finding", "findings")),
    }
    if notes > 0 {
        parts.push(many(notes, "note", "notes"));
    }
    if summary.allowed > 0 {
        parts.push(many(summary.allowed, "allowed plaintext", "allowed plaintexts"));
    }
    if let Some(opened) = summary.opened {
        parts.push(many(opened, "value opened", "values opened"));
    }
    let files = many(summary.files, "file", "files");
    let folder = summary.folder.as_ref().map_or_else(String::new, |folder| format!(" below {folder}"));
    format!("{} in {files}{folder} ({:.2} s)", parts.join(", "), summary.seconds)
}
