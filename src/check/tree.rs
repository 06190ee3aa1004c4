//! What only all files together show.

use std::collections::{BTreeSet, HashSet};

use super::{Code, Context, File, FileReport, Finding, few, references};
use crate::policy::POLICY_PATH;

/// A finding and the file that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFinding {
    /// The path of the file from the top of the repository.
    pub path: String,
    /// The finding.
    pub finding: Finding,
}

/// Tells a policy that is not at the top: whoever guards the first one does not guard this one.
pub(super) fn second_policy(file: File<'_>) -> Option<Finding> {
    let path = file.path?;
    let folder = path.strip_suffix("/policy.yaml")?.strip_suffix("/.ageseal")?;
    let line = format!("the policy of the repository is {POLICY_PATH}, and this one rules nothing in {folder}");
    Some(Finding::new(Code::SecondPolicy, None, line).hint("move its rules to the first one and delete the folder"))
}

/// Checks the policy itself, and the files against each other. Each report comes with its path from the top of the
/// repository; `listed` are patches that further kustomizations list.
///
/// In the order of the reports; findings of the policy come first.
pub fn check_tree(context: &Context<'_>, reports: &[(&str, &FileReport)], listed: &[String]) -> Vec<TreeFinding> {
    let mut found = policy(context);
    if context.policy.is_none() && reports.iter().any(|(_, report)| report.documents > 0) {
        let documents: usize = reports.iter().map(|(_, report)| report.documents).sum();
        let s = if documents == 1 { "" } else { "s" };
        let line = format!("{documents} sealed document{s}, and nothing that says who may read them");
        found.push(TreeFinding {
            path: POLICY_PATH.to_owned(),
            finding: Finding::new(Code::NoPolicy, None, line).hint("ageseal init"),
        });
    }
    let listed: BTreeSet<&str> =
        reports.iter().flat_map(|(_, report)| &report.listed).chain(listed).map(String::as_str).collect();
    for (path, report) in reports {
        if let Some(patch) = report.patches.first().filter(|_| !listed.contains(path)) {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let name = path.rsplit('/').next().unwrap_or(path);
            let slash = if folder.is_empty() { "" } else { "/" };
            let finding = Finding::new(
                Code::PatchNotListed,
                Some(patch.at),
                match report.patches.len() {
                    1 => format!("{} has no spec.scope, so it patches another document", patch.name),
                    _ => {
                        let names: Vec<&str> = report.patches.iter().map(|patch| patch.name.as_str()).collect();
                        format!("{} have no spec.scope, so they patch other documents", few(&names))
                    }
                },
            )
            .hint(format!("add `- path: {name}` to patches of {folder}{slash}kustomization.yaml; if it is a document of its own, seal it again"));
            found.push(TreeFinding { path: (*path).to_owned(), finding });
        }
    }
    found.extend(stale_numbers(reports));
    found.extend(references::check(context, reports));
    found
}

/// Numbers that an overlay merges into a shadow, of values that none of its patches sets: they hide those of the base, so
/// that a new value of the base has the old name there.
fn stale_numbers(reports: &[(&str, &FileReport)]) -> Vec<TreeFinding> {
    let mut found = Vec::new();
    for (path, report) in reports.iter().filter(|(_, report)| !report.numbers.is_empty()) {
        let listed: Vec<Option<&FileReport>> = report
            .listed
            .iter()
            .map(|listed| reports.iter().find(|(path, _)| path == listed).map(|(_, report)| *report))
            .collect();
        // A patch that was not looked at may set it.
        if listed.iter().any(Option::is_none) {
            continue;
        }
        for numbers in &report.numbers {
            let patches = listed.iter().flatten().flat_map(|report| &report.patches);
            let set: BTreeSet<&String> =
                patches.filter(|patch| patch.name == numbers.name).flat_map(|patch| &patch.keys).collect();
            let stale: Vec<&str> = numbers.keys.iter().filter(|key| !set.contains(key)).map(String::as_str).collect();
            if !stale.is_empty() {
                let fact = format!(
                    "{}: {} have a number here, and no patch that this lists sets them",
                    numbers.name,
                    few(&stale)
                );
                let finding = Finding::new(Code::StaleNumber, Some(numbers.at), fact)
                    .hint("remove these numbers from secretGenerator: they hide those of the base");
                found.push(TreeFinding { path: (*path).to_owned(), finding });
            }
        }
    }
    found
}

fn policy(context: &Context<'_>) -> Vec<TreeFinding> {
    let (Some(policy), Some(recipients)) = (context.policy, context.recipients) else { return Vec::new() };
    let mut found = Vec::new();
    // Two rules that name the same faulty file are one fault.
    let mut told = HashSet::new();
    for error in policy.rules().iter().filter_map(|rule| recipients.of_rule(rule).err()).flatten() {
        let ((path, at), line) = (error.place(), error.to_string());
        if told.insert((path.clone(), at, line.clone())) {
            found.push(TreeFinding { path, finding: Finding::new(Code::BadPolicy, at, line).hint(error.hint()) });
        }
    }
    found.extend(policy.warnings().iter().map(|warning| {
        let mut finding = Finding::new(Code::ShadowedRule, warning.at, warning.message.clone());
        finding.hint.clone_from(&warning.hint);
        TreeFinding { path: POLICY_PATH.to_owned(), finding }
    }));
    found
}
