//! Findings as workflow commands of GitHub Actions: annotations at their lines.

use ageseal::check::Level;

use super::Told;
use crate::ui::Ui;

pub(super) fn print(ui: &Ui, told: &[Told]) {
    for one in told {
        ui.print_text(&annotation(one));
    }
}

fn annotation(told: &Told) -> String {
    let finding = &told.finding;
    let command = match finding.level {
        Level::Error => "error",
        Level::Note => "notice",
    };
    let at = finding.at.map_or_else(String::new, |at| format!(",line={},col={}", at.line, at.column));
    let hint = finding.hint.as_ref().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    let text = format!("{}{hint}", finding.message());
    let (file, code) = (property(&told.path), finding.code.name());
    format!("::{command} file={file}{at},title=ageseal {code}::{}", data(&text))
}

/// Escapes as the runner's own toolkit does: a line break would end the command, and what follows could be another.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_start_another_command() {
        assert_eq!(property("a,line=1::b\n::error::c%"), "a%2Cline=1%3A%3Ab%0A%3A%3Aerror%3A%3Ac%25");
        assert_eq!(data("x: 50%\r\ny"), "x: 50%25%0D%0Ay");
    }
}
