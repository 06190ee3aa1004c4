//! Findings as a JSON list; `docs/findings.md` documents it.

use serde::Serialize;

use super::Told;
use crate::ui::Ui;

#[derive(Serialize)]
struct Record<'a> {
    code: &'static str,
    severity: String,
    path: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    hint: Option<&'a str>,
}

pub(super) fn print(ui: &Ui, told: &[Told]) {
    let records: Vec<_> = told
        .iter()
        .map(|Told { path, finding, .. }| Record {
            code: finding.code.name(),
            severity: finding.level.to_string(),
            path,
            line: finding.at.map(|at| at.line),
            column: finding.at.map(|at| at.column),
            message: finding.message(),
            hint: finding.hint.as_deref(),
        })
        .collect();
    ui.json(&records);
}
