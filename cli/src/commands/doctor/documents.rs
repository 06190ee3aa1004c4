//! The documents of the cluster that are not as they should be, by reason.

use std::collections::BTreeMap;

use super::finding::{Area, Finding};
use crate::cluster::Cluster;
use crate::cluster::documents::{Document, Record, Scope, list};

const AREA: Area = Area::Cluster;
const CHECK: &str = "documents";

pub(super) fn look(cluster: &Cluster, scope: &Scope) -> Vec<Finding> {
    let all = match list(cluster, scope) {
        Ok(all) => all,
        Err(error) => return vec![Finding::refused(CHECK, &error)],
    };
    let mut reasons: BTreeMap<&str, Vec<&Document>> = BTreeMap::new();
    let mut waiting = vec![];
    for document in &all {
        match &document.record {
            Record::Present => {}
            Record::NotReady(reason) => reasons.entry(reason).or_default().push(document),
            Record::Outdated | Record::Unseen => waiting.push(document),
        }
    }
    let mut findings: Vec<_> = reasons
        .into_iter()
        .map(|(reason, documents)| {
            Finding::wrong(
                AREA,
                CHECK,
                format!("{} of {} documents are not Ready: {reason}", documents.len(), all.len()),
            )
            .list(documents.iter().map(|document| document.title()))
            .mend(describe(cluster, documents.first().copied()))
        })
        .collect();
    if !waiting.is_empty() {
        findings.push(
            Finding::note(AREA, CHECK, format!("{} of {} documents wait for the controller", waiting.len(), all.len()))
                .list(waiting.iter().map(|document| document.title()))
                .mend("ageseal doctor, once more, in a minute"),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::good(AREA, CHECK, format!("all {} documents are Ready", all.len())));
    }
    findings
}

fn describe(cluster: &Cluster, document: Option<&Document>) -> String {
    let place = document.map(|document| format!(" -n {} {}", document.namespace, document.name)).unwrap_or_default();
    format!("kubectl --context {} describe ags{place}", cluster.context())
}
