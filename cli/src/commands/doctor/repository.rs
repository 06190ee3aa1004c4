//! The repository of the current folder: its policy, its recipients, what git has to know, and what `check` finds.

use std::fs;
use std::path::PathBuf;

use ageseal::check::{Code, Level};
use ageseal::policy::recipients_path;

use super::finding::{Area, Finding};
use crate::clock;
use crate::commands::init::RECOVERY;
use crate::commands::init::lines::{ATTRIBUTES, IGNORE, Wanted, completed};
use crate::error::{CliError, Errors};
use crate::pins;
use crate::report::Told;
use crate::repository::{Repository, RepositoryError, from_here};
use crate::ui::Ui;

const AREA: Area = Area::Repository;

/// A repository that cannot be read.
pub(super) fn unusable(error: RepositoryError) -> Vec<Finding> {
    let errors: Errors = error.into();
    errors.iter().map(|error| Finding::wrong(AREA, "policy", error.message.clone()).with_details(error)).collect()
}

pub(super) fn look(ui: &Ui, repository: &Repository) -> Vec<Finding> {
    let mut findings = policy(repository);
    findings.extend(superseded(repository));
    findings.extend(recovery(repository));
    findings.extend(pinned(repository));
    for (wanted, check) in [(&ATTRIBUTES, "gitattributes"), (&IGNORE, "gitignore")] {
        findings.push(git_file(repository, wanted, check));
    }
    findings.extend(files(ui, repository));
    findings
}

fn policy(repository: &Repository) -> Vec<Finding> {
    let errors = repository.rule_errors();
    if errors.is_empty() {
        let rules = repository.policy().rules().len();
        return vec![Finding::good(
            AREA,
            "policy",
            format!("the policy has {rules} rule{}", if rules == 1 { "" } else { "s" }),
        )];
    }
    errors.iter().map(|error| Finding::wrong(AREA, "policy", error.message.clone()).with_details(error)).collect()
}

fn superseded(repository: &Repository) -> Vec<Finding> {
    let now = clock::now();
    let mut waiting = vec![];
    let mut over = vec![];
    for file in repository.recipients().files() {
        for entry in file.entries() {
            let Some(until) = entry.superseded else { continue };
            let line = format!("{}: {}, until {until}", file.name(), entry.recipient.id());
            if until.is_over(now) { &mut over } else { &mut waiting }.push((
                line,
                file.name().to_owned(),
                entry.recipient.id(),
            ));
        }
    }
    let mut findings = vec![];
    if !over.is_empty() {
        let mends: Vec<_> = over.iter().map(|(_, name, id)| format!("ageseal recipients remove {name} {id}")).collect();
        let finding = Finding::note(
            AREA,
            "superseded",
            "the day of superseded recipients is over: what is still sealed for them is a finding of ageseal check",
        );
        let finding = finding.list(over.into_iter().map(|(line, ..)| line));
        findings.push(
            mends.into_iter().take(3).fold(finding, |finding, mend| finding.mend(format!("once nothing is: {mend}"))),
        );
    }
    if !waiting.is_empty() {
        findings.push(
            Finding::note(AREA, "superseded", "recipients are superseded: nothing is sealed for them any more")
                .list(waiting.into_iter().map(|(line, ..)| line))
                .mend("ageseal check shows what still is"),
        );
    }
    findings
}

/// Rules whose values are gone if the cluster's keys are.
fn recovery(repository: &Repository) -> Option<Finding> {
    let without: Vec<_> =
        repository.policy().rules().iter().filter(|rule| !rule.names().any(|name| name == RECOVERY)).collect();
    if without.is_empty() {
        return None;
    }
    let paths =
        without.iter().map(|rule| rule.paths.iter().map(|path| path.text.as_str()).collect::<Vec<_>>().join(", "));
    let first = without.first().and_then(|rule| rule.paths.first()).map(|path| path.text.clone()).unwrap_or_default();
    Some(
        Finding::note(
            AREA,
            "recovery",
            format!(
                "these rules have no recipient named {RECOVERY}: their values are lost with the keys of the others"
            ),
        )
        .list(paths)
        .mend(format!("ageseal recipients add {RECOVERY} RECIPIENT --rule '{first}'")),
    )
}

fn pinned(repository: &Repository) -> Vec<Finding> {
    match pins::all(repository) {
        Ok(pins) if pins.is_empty() => vec![],
        Ok(pins) => {
            let names: Vec<_> = pins.keys().map(String::as_str).collect();
            vec![Finding::good(AREA, "pins", format!("clusters are pinned for {}", names.join(", ")))]
        }
        Err(errors) => {
            errors.iter().map(|error| Finding::wrong(AREA, "pins", error.message.clone()).with_details(error)).collect()
        }
    }
}

fn git_file(repository: &Repository, wanted: &Wanted, check: &'static str) -> Finding {
    let path = repository.top().join(wanted.file);
    let old = fs::read(&path).unwrap_or_default();
    if completed(&old, wanted).is_none() {
        return Finding::good(AREA, check, format!("{} has its lines", wanted.file));
    }
    Finding::wrong(AREA, check, format!("{} lacks lines for sealed files and their sources", wanted.file))
        .list(wanted.lines.iter().map(|line| (*line).to_owned()))
        .mend("ageseal init adds what is missing")
}

/// What `check` says of the whole tree, by kind.
fn files(ui: &Ui, repository: &Repository) -> Vec<Finding> {
    let here = from_here(repository.top());
    let folder = if here.as_os_str().is_empty() { PathBuf::from(".") } else { here };
    let (told, errors, summary) = match crate::commands::check::look(ui, folder) {
        Ok(looked) => looked,
        Err(errors) => {
            let told = |error: &CliError| Finding::wrong(AREA, "files", error.message.clone()).with_details(error);
            return errors.iter().map(told).collect();
        }
    };
    let mut findings: Vec<_> =
        errors.iter().map(|error| Finding::wrong(AREA, "files", error.message.clone()).with_details(error)).collect();
    let mut codes: Vec<Code> = told.iter().map(|told| told.finding.code).collect();
    codes.sort();
    codes.dedup();
    findings.extend(codes.into_iter().map(|code| of_code(code, &told)));
    if findings.is_empty() {
        let text =
            format!("{} sealed files with {} values: ageseal check finds nothing", summary.sealed, summary.values);
        findings.push(Finding::good(AREA, "files", text));
    }
    findings
}

fn of_code(code: Code, told: &[Told]) -> Finding {
    let these: Vec<_> = told.iter().filter(|told| told.finding.code == code).collect();
    let text = format!("{} ({})", code.headline(), these.len());
    let wrong = these.iter().any(|told| told.finding.level == Level::Error);
    let finding = if wrong { Finding::wrong(AREA, "files", text) } else { Finding::note(AREA, "files", text) };
    let mut paths: Vec<_> = these.iter().map(|told| told.shown.clone()).collect();
    paths.dedup();
    finding.list(paths).mend("ageseal check tells each, and what to do")
}

/// The path of a name's recipients file, as one would type it here.
pub(super) fn shown_file(repository: &Repository, name: &str) -> String {
    from_here(&repository.top().join(recipients_path(name))).display().to_string()
}
