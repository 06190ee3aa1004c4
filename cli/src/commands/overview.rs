//! `ageseal` alone: how the repository stands, and what to do next.

use std::path::{Path, PathBuf};

use ageseal::check::{Code, Level};

use crate::error::{CliError, Exit, Outcome, Place};
use crate::report::{Summary, Told};
use crate::repository::{Repository, RepositoryError, Top, find_top};
use crate::ui::{Line, Ui};

/// The most lines that say what is wrong.
const MOST: usize = 8;
/// The widest that a column gets.
const WIDEST: usize = 48;
/// What stands between the facts of a line.
const DOT: &str = "  ·  ";

/// Says how the repository of the current folder stands; outside of one, what the program can do.
///
/// Nothing of it fails: what cannot be read is one of the things that are said.
pub fn run(ui: &Ui) -> Outcome {
    let Ok(top) = find_top(Path::new(".")) else {
        let program = std::env::args_os().next();
        let help = crate::cli::definition(program.as_ref()).render_help().to_string();
        ui.raw(help.as_bytes());
        return Ok(Exit::Ok);
    };
    let mut wrongs = Vec::new();
    let names = match names(ui, &top) {
        Ok(names) => names,
        // What is wrong with the policy is wrong with the look below too, and is said there.
        Err(_) => Names::Broken,
    };
    let (told, summary) = match super::check::look(ui, way(&top)) {
        Ok((told, errors, summary)) => {
            wrongs.extend(errors.iter().map(Wrong::from_error));
            (told, Some(summary))
        }
        Err(errors) => {
            wrongs.extend(errors.iter().map(Wrong::from_error));
            (Vec::new(), None)
        }
    };
    wrongs.extend(group(&told));
    // Notes wait behind what must be acted on.
    wrongs.sort_by_key(|wrong| !wrong.error);
    headline(ui, &top, summary.as_ref(), &names);
    lines(ui, &wrongs);
    ui.print(&next(summary.as_ref(), &names));
    Ok(Exit::Ok)
}

/// The names that the policy gives to readers.
enum Names {
    None,
    Broken,
    Of(Vec<String>),
}

fn names(ui: &Ui, top: &Top) -> Result<Names, RepositoryError> {
    let repository = match Repository::load(ui, top.clone()) {
        Err(RepositoryError::NoPolicy { .. }) => return Ok(Names::None),
        other => other?,
    };
    let mut names: Vec<String> = Vec::new();
    for name in repository.policy().rules().iter().flat_map(|rule| rule.names()) {
        if names.iter().all(|known| known != name) {
            names.push(name.to_owned());
        }
    }
    Ok(Names::Of(names))
}

/// What leads from here to the top.
fn way(top: &Top) -> PathBuf {
    let here = std::env::current_dir().and_then(std::fs::canonicalize).unwrap_or_default();
    match here.strip_prefix(top.path()).map(|below| below.components().count()) {
        Ok(0) => PathBuf::from("."),
        Ok(up) => std::iter::repeat_n("..", up).collect(),
        Err(_) => top.path().to_owned(),
    }
}

/// One line of what is wrong: a file, the fact, and the command that mends it or says more.
struct Wrong {
    error: bool,
    place: String,
    fact: String,
    command: String,
}

impl Wrong {
    fn from_error(error: &CliError) -> Self {
        let place = |place: &Place| place.at.map_or_else(|| place.path.clone(), |at| format!("{}:{at}", place.path));
        Self {
            error: true,
            place: error.places.first().map(place).unwrap_or_default(),
            fact: error.message.clone(),
            command: error.hints.first().cloned().unwrap_or_else(|| "ageseal check".to_owned()),
        }
    }
}

fn is_wrong(told: &Told) -> bool {
    told.finding.level == Level::Error || told.finding.code == Code::SupersededRecipient
}

/// One line a file and kind of finding, in the order of the paths.
fn group(told: &[Told]) -> Vec<Wrong> {
    let (cut, told): (Vec<&Told>, Vec<&Told>) =
        told.iter().filter(|told| is_wrong(told)).partition(|told| told.finding.code == Code::MoreFindings);
    let mut told = told;
    told.sort_by(|one, other| one.shown.cmp(&other.shown).then(one.finding.code.cmp(&other.finding.code)));
    let same = |one: &&Told, other: &&Told| one.shown == other.shown && one.finding.code == other.finding.code;
    told.chunk_by(same)
        .map(|several| {
            let Told { shown, finding, .. } = several[0];
            let or_more = if cut.iter().any(|more| more.shown == *shown) { " or more" } else { "" };
            let number = if several.len() > 1 { format!(" ({}{or_more})", several.len()) } else { String::new() };
            Wrong {
                error: finding.level == Level::Error,
                place: shown.clone(),
                fact: format!("{}{number}", finding.code.headline()),
                command: command(shown, finding.hint.as_deref()),
            }
        })
        .collect()
}

/// The command that a hint begins with; else the one that tells all about the file.
fn command(shown: &str, hint: Option<&str>) -> String {
    match hint.filter(|hint| hint.starts_with("ageseal ")) {
        Some(hint) => hint.split(", ").next().unwrap_or(hint).to_owned(),
        None => format!("ageseal check {shown}"),
    }
}

fn headline(ui: &Ui, top: &Top, summary: Option<&Summary>, names: &Names) {
    let name = top.path().file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy());
    let mut line = Line::new().bold(&name);
    if let Some(summary) = summary {
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        line = line.text(DOT).text(&count(summary.sealed, "sealed file"));
        line = line.text(", ").text(&count(summary.values, "value"));
    }
    let policy = match names {
        Names::None => "no policy".to_owned(),
        Names::Broken => "the policy cannot be read".to_owned(),
        Names::Of(names) => format!("policy: {}", names.join(", ")),
    };
    ui.print(&line.text(DOT).text(&policy));
}

fn lines(ui: &Ui, wrongs: &[Wrong]) {
    let width = |cell: fn(&Wrong) -> &str| {
        let widths = wrongs.iter().take(MOST).map(|wrong| Line::new().text(cell(wrong)).width());
        widths.max().unwrap_or(0).min(WIDEST)
    };
    let (places, facts) = (width(|wrong| &wrong.place), width(|wrong| &wrong.fact));
    for wrong in wrongs.iter().take(MOST) {
        let line = Line::new().text("  ");
        let line = if wrong.error { line.red("!") } else { line.yellow("!") };
        let line = line.text(" ").padded(&wrong.place, places).text("   ").padded(&wrong.fact, facts);
        ui.print(&line.text("   ").bold(&wrong.command));
    }
    if wrongs.len() > MOST {
        ui.print(&Line::new().text(&format!("  and {} more", wrongs.len() - MOST)).text("   ").bold("ageseal check"));
    }
}

fn next(summary: Option<&Summary>, names: &Names) -> Line {
    let commands: &[&str] = match (names, summary) {
        (Names::None, _) => &["ageseal init", "ageseal --help"],
        (_, Some(Summary { sealed: 0, .. })) => &["ageseal seal PATH", "ageseal create TYPE NAME", "ageseal --help"],
        _ => &["ageseal check", "ageseal show", "ageseal set FILE KEY", "ageseal --help"],
    };
    Line::new().dim("next:").text("  ").text(&commands.join("   ·   "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_that_of_the_hint_or_tells_more() {
        let hint = "ageseal seal --in-place a.yaml, then change the values at their source: git history keeps these";
        assert_eq!(command("a.yaml", Some(hint)), "ageseal seal --in-place a.yaml");
        assert_eq!(command("a.yaml", Some("seal it again from its source")), "ageseal check a.yaml");
        assert_eq!(command("a.yaml", None), "ageseal check a.yaml");
    }
}
