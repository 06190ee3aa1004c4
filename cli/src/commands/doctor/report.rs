//! The findings on their way out.

use serde::Serialize;

use super::finding::{Area, Finding, State};
use crate::ui::{Line, Ui};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    findings: &'a [Finding],
    /// How many of them are wrong.
    wrong: usize,
}

pub(super) fn print(ui: &Ui, json: bool, findings: &[Finding]) {
    let count = |state: State| findings.iter().filter(|finding| finding.state == state).count();
    if json {
        ui.json(&Report { findings, wrong: count(State::Wrong) });
        return;
    }
    for area in Area::ALL {
        let all: Vec<_> = findings.iter().filter(|finding| finding.area == area).collect();
        if !all.is_empty() {
            ui.print(&Line::new().bold(area.word()));
            all.into_iter().for_each(|finding| one(ui, finding));
        }
    }
    let unknown = match count(State::Unknown) {
        0 => String::new(),
        number => format!(", {number} unknown"),
    };
    ui.say(&Line::new().text(&format!("{} wrong{unknown}, of {} looked at", count(State::Wrong), findings.len())));
}

fn one(ui: &Ui, finding: &Finding) {
    if ui.is_quiet() && finding.state == State::Good {
        return;
    }
    let line = Line::new().text("  ");
    let word = format!("{:<7}", finding.state.word());
    let line = match finding.state {
        State::Good => line.dim(&word),
        State::Note | State::Unknown => line.yellow(&word),
        State::Wrong => line.red(&word),
    };
    ui.print(&line.text("   ").text(&finding.message));
    // The width of the state and what is around it.
    let indent = || Line::new().text("            ");
    finding.details.iter().for_each(|detail| ui.print(&indent().dim(detail)));
    finding.mend.iter().for_each(|step| ui.print(&indent().bold("→ ").text(step)));
}
