//! Findings for people: the fact, the place with what is there, the next step.

use ageseal::check::Level;

use super::{Summary, Told, count};
use crate::error::{CliError, Place};
use crate::ui::{Line, Ui};

pub(super) fn print(ui: &Ui, told: &[Told], summary: &Summary) {
    for one in told {
        match one.finding.level {
            Level::Error => ui.finding(&shown(one)),
            Level::Note if !ui.is_quiet() => ui.finding_note(&shown(one)),
            Level::Note => {}
        }
    }
    let (errors, _) = count(told);
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

fn last_line(told: &[Told], summary: &Summary) -> String {
    let (errors, notes) = count(told);
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
