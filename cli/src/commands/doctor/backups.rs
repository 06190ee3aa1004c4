//! Whether each identity of the cluster has an encrypted copy in it.

use std::collections::BTreeMap;

use ageseal::recipient::RecipientId;

use super::finding::{Area, Finding};
use crate::cluster::identities::Held;
use crate::cluster::{Cluster, identities};
use crate::commands::keys::backups;

const AREA: Area = Area::Cluster;
const CHECK: &str = "backups";

pub(super) fn look(cluster: &Cluster) -> Vec<Finding> {
    // That they cannot be listed is a finding of the identities'.
    let Ok(held) = identities::list(cluster) else { return vec![] };
    let copies = match backups(cluster) {
        Ok(copies) => copies,
        Err(error) => return vec![Finding::refused(CHECK, &error)],
    };
    let mut ids: Vec<_> = held.iter().filter_map(Held::claimed_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let missing: Vec<_> =
        ids.iter().filter(|id| !copies.get(*id).is_some_and(Option::is_some)).map(ToString::to_string).collect();
    let unsaid: Vec<_> =
        held.iter().filter(|held| held.claimed_id().is_none()).map(|held| held.secret.clone()).collect();
    let mut findings = vec![];
    if held.is_empty() {
        findings.push(none_at_hand(cluster, &copies));
    } else if missing.is_empty() && !ids.is_empty() {
        findings.push(
            Finding::good(
                AREA,
                CHECK,
                match ids.len() {
                    1 => "the one identity has an encrypted backup in the cluster".to_owned(),
                    count => format!("each of {count} identities has an encrypted backup in the cluster"),
                },
            )
            .detail(
                "for whom they were encrypted cannot be told from them: one that the recovery identity opens is a backup",
            ),
        );
    } else if !missing.is_empty() {
        let mend = format!(
            "ageseal keys backup {} --recipient recovery --store --context {}",
            missing.join(" "),
            cluster.context()
        );
        findings.push(
            Finding::wrong(AREA, CHECK, "identities have no encrypted backup in the cluster: whoever loses it loses what is sealed for them alone")
                .list(missing)
                .mend(mend)
                .mend("for the future: ageseal install --backup-recipient RECIPIENT"),
        );
    }
    if !unsaid.is_empty() {
        findings.push(
            Finding::unknown(
                AREA,
                CHECK,
                "these identity Secrets do not say which identity is in them, so neither whether it has a backup",
            )
            .list(unsaid),
        );
    }
    findings
}

/// Where there is no identity: what there is to bring one back from.
fn none_at_hand(cluster: &Cluster, copies: &BTreeMap<RecipientId, Option<String>>) -> Finding {
    let kept: Vec<_> = copies.iter().filter(|(_, copy)| copy.is_some()).map(|(id, _)| id.to_string()).collect();
    if kept.is_empty() {
        return Finding::note(AREA, CHECK, "there is neither an identity nor a backup of one in the cluster");
    }
    Finding::note(AREA, CHECK, "there is no identity in the cluster, and there are encrypted backups of these")
        .list(kept)
        .mend(format!("ageseal keys backup -o FOLDER --context {}", cluster.context()))
        .mend(format!("ageseal keys restore FILE -i IDENTITY --promote --context {}", cluster.context()))
}
