//! What is said of a sync: the change before it is made, and the fields of `--json`.

use ageseal::api::Published;
use serde::Serialize;

use super::plan::{Step, What};
use super::{Change, Run, shown_pin, standing_word};
use crate::commands::recipients::{paths_of, rules_with};
use crate::error::CliError;
use crate::keys::short_id;
use crate::ui::{Row, Ui};

/// Shows the change, before anything is asked or written.
pub(super) fn show(ui: &Ui, run: &Run<'_>, change: &Change<'_>, published: &Published) {
    let seen = run.cluster.seen();
    let uid = match (change.uid, change.pin.and_then(|pin| pin.uid.as_ref())) {
        (Some(uid), _) => format!("uid {uid}"),
        (None, Some(pinned)) => format!("uid not readable (pinned: {pinned})"),
        (None, None) => "uid not readable".to_owned(),
    };
    let standing = standing_word(change.trust.standing);
    let hashes = if seen.certificates.is_empty() {
        vec!["the certificates of this machine's operating system".to_owned()]
    } else {
        seen.certificates.clone()
    };
    let cluster = Row::new("cluster", &[run.cluster.context(), &seen.address, standing]).detail("is", uid, None);
    let proofs = hashes.into_iter().enumerate().map(|(index, hash)| (if index == 0 { "proved by" } else { "" }, hash));
    ui.results(&[proofs.fold(cluster, |row, (label, hash)| row.detail(label, hash, None))]);
    let shown = run.file.shown.display().to_string();
    let rows: Vec<_> = change
        .plan
        .steps
        .iter()
        .map(|step| {
            let (verb, state) = words(step);
            Row::new(verb, &[&shown, &short_id(step.id), &step.kind.to_string(), &state])
        })
        .collect();
    ui.results(&rows);
    if change.pin != Some(change.new_pin) {
        let verb = if change.pin.is_some() { "change" } else { "add" };
        ui.result(verb, &[&shown_pin(run), &format!("the pin of this cluster, change {}", published.serial)]);
    }
}

fn words(step: &Step) -> (&'static str, String) {
    let since = step.since.map_or_else(String::new, |day| format!(" since {day}"));
    let retired = if step.retired { ", retired in the cluster" } else { "" };
    match step.what {
        What::Added => ("add", format!("current{since}")),
        What::Again => ("change", format!("current again{since}")),
        What::Kept => ("keep", format!("current{since}")),
        What::Superseded { until, new } => {
            (if new { "add" } else { "mark" }, format!("superseded, until {until}{retired}"))
        }
        What::Old { until } => ("keep", format!("superseded, until {until}{retired}")),
        What::Removed => ("remove", "no longer in the cluster".to_owned()),
        What::Left { .. } => ("keep", "not from this cluster".to_owned()),
    }
}

/// Says what came of it.
pub(super) fn done(ui: &Ui, run: &Run<'_>, change: &Change<'_>, written: bool) {
    let shown = run.file.shown.display().to_string();
    if change.is_nothing() {
        ui.result("kept", &[&shown, "is what the cluster publishes"]);
        return;
    }
    if !written {
        ui.result("kept", &[&shown, "nothing was written"]);
        return;
    }
    let row = Row::new("synced", &[&shown]);
    let paths: Vec<_> = rules_with(run.repository.policy(), run.name).map(paths_of).collect();
    if paths.is_empty() {
        ui.results(&[row]);
        ui.note(
            &CliError::finding(format!("no rule of the policy names {}, so nothing is sealed for it", run.name))
                .hint(format!("ageseal recipients add {} --rule PATTERN", run.name)),
        );
        return;
    }
    ui.results(&[row.detail("reads", paths.join(", "), None)]);
    if change.plan.steps.iter().any(|step| matches!(step.what, What::Superseded { new: false, .. })) {
        ui.note(
            &CliError::finding("what was sealed before is still sealed for the superseded recipient")
                .hint("ageseal check lists those files"),
        );
    }
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a> {
    name: &'a str,
    file: String,
    pin: String,
    cluster: ClusterReport<'a>,
    recipients: Vec<RecipientReport>,
    /// What has to be accepted, and was or was not.
    to_accept: Vec<&'a str>,
    changed: bool,
    written: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterReport<'a> {
    context: &'a str,
    address: &'a str,
    namespace: &'a str,
    uid: Option<&'a str>,
    certificates: &'a [String],
    standing: &'static str,
    serial: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecipientReport {
    id: String,
    change: &'static str,
    superseded: Option<String>,
    since: Option<String>,
    retired: bool,
}

pub(super) fn json<'a>(run: &Run<'a>, change: &Change<'a>, published: &Published, written: bool) -> Report<'a> {
    let seen = run.cluster.seen();
    Report {
        name: run.name,
        file: run.file.shown.display().to_string(),
        pin: shown_pin(run),
        cluster: ClusterReport {
            context: run.cluster.context(),
            address: &seen.address,
            namespace: run.cluster.namespace(),
            uid: change.uid,
            certificates: &seen.certificates,
            standing: standing_word(change.trust.standing),
            serial: published.serial,
        },
        recipients: change.plan.steps.iter().map(recipient).collect(),
        to_accept: change.trust.needs.iter().flat_map(|need| need.values.iter().map(String::as_str)).collect(),
        changed: !change.is_nothing(),
        written,
    }
}

fn recipient(step: &Step) -> RecipientReport {
    let (change, superseded) = match step.what {
        What::Added => ("added", None),
        What::Again => ("current", None),
        What::Kept => ("none", None),
        What::Superseded { until, .. } => ("superseded", Some(until)),
        What::Old { until } => ("none", Some(until)),
        What::Removed => ("removed", None),
        What::Left { superseded } => ("foreign", superseded),
    };
    RecipientReport {
        id: step.id.to_string(),
        change,
        superseded: superseded.map(|day| day.to_string()),
        since: step.since.map(|day| day.to_string()),
        retired: step.retired,
    }
}
