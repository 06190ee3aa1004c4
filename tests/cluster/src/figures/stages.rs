//! What is measured in which order, each in a control plane of its own: a thousand documents, ten thousand, and the peer.

use std::time::Duration;

use super::ceiling::Ceiling;
use super::documents::{Document, Readers, name};
use super::ours::{self, Restarted};
use super::peer;
use super::rounds::{Most, Round, Rounds};
use super::samples::Samples;
use super::site::{Cold, Running, Site, control_plane};
use super::usage::memory;
use super::{Sizes, Wanted, say};
use crate::plane::ControlPlane;

/// How far a document is from the one before it among those that are changed or whose Secret goes: they are all over.
const STRIDE: usize = 17;
/// How long everything is left alone before a controller is started over documents without Secrets.
const CALM: Duration = Duration::from_secs(3);

/// What was found with a thousand documents.
#[derive(Debug, Default)]
pub(crate) struct Few {
    /// How many documents.
    pub(crate) count: usize,
    pub(crate) rounds: Rounds,
    pub(crate) new: Samples,
    pub(crate) deleted: Samples,
    pub(crate) new_after: Samples,
    pub(crate) deleted_after: Samples,
    /// The mean size of a document, in bytes of JSON.
    pub(crate) size: usize,
}

/// What was found with ten thousand documents.
#[derive(Debug, Default)]
pub(crate) struct Many {
    /// How many documents.
    pub(crate) count: usize,
    pub(crate) rounds: Rounds,
    /// The most memory that was resident at a cold start without a ceiling, and what was when it had settled, in bytes.
    pub(crate) memory: Option<(u64, u64)>,
    pub(crate) changed: Samples,
    pub(crate) restarted: Option<Restarted>,
}

/// What was found of the peer.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) cold: Cold,
    pub(crate) new: Samples,
    pub(crate) deleted: Samples,
    /// How long after a restart it was opening everything again, and the processor time of that.
    pub(crate) restart: (Duration, Duration),
    /// A new document and a deleted Secret five seconds after a restart, at its best settings.
    pub(crate) after: (Duration, Duration),
    /// The same at its default settings.
    pub(crate) after_by_default: (Duration, Duration),
}

/// The stage with a thousand documents: cold starts, each in a control plane of its own, and then everything else.
pub(crate) async fn few(sizes: &Sizes, wanted: &Wanted) -> Few {
    let mut found = Few { count: sizes.few, ..Few::default() };
    if wanted.row("cold-1000") {
        found.rounds = rounds(sizes, sizes.few).await;
    }
    if wanted.any(&["new", "new-after-restart", "deleted"]) {
        samples(sizes, wanted, &mut found).await;
    }
    found
}

async fn rounds(sizes: &Sizes, count: usize) -> Rounds {
    let mut rounds = Rounds::default();
    for number in 1..=sizes.rounds {
        say(&format!("{count} documents: round {number} of {}", sizes.rounds));
        rounds.push(round(sizes, count).await);
    }
    rounds
}

/// A cold start between two halves of the ceiling.
async fn round(sizes: &Sizes, count: usize) -> Round {
    let plane = control_plane();
    let (site, _, documents) = filled(&plane, count).await;
    let ceiling = begin_ceiling(&site, sizes, count, &documents).await;
    drop(documents);
    tokio::time::sleep(CALM).await;
    say(&format!("{count} documents: cold"));
    let (running, cold) = site.cold(count).await;
    site.verify("Ready", count, &running).await;
    running.stop().await;
    let most = end_ceiling(&plane, ceiling, sizes, count).await;
    Round { cold, most }
}

/// One document at a time among a thousand others.
async fn samples(sizes: &Sizes, wanted: &Wanted, found: &mut Few) {
    let count = sizes.few;
    let plane = control_plane();
    let (site, readers, documents) = filled(&plane, count).await;
    found.size = mean(&documents);
    tokio::time::sleep(CALM).await;
    let (mut running, _) = site.cold(count).await;
    site.verify("Ready", count, &running).await;
    let mut sights = site.sights().await;
    let mut next = count;
    if wanted.row("new") {
        say(&format!("{count} documents: {} new ones", sizes.samples));
        let new = readers.seal(site.namespace.name(), next..next + sizes.samples, 0);
        next += sizes.samples;
        found.new = site.new_documents(&new, &mut sights, sizes.gap).await;
    }
    if wanted.row("deleted") {
        say(&format!("{count} documents: {} Secrets deleted", sizes.samples));
        found.deleted = site.deleted(&scattered(count, sizes.samples), &mut sights, sizes.gap).await;
    }
    if wanted.row("new-after-restart") || wanted.row("deleted") {
        let new = readers.seal(site.namespace.name(), next..next + sizes.restarts, 0);
        for (document, victim) in new.iter().zip(scattered(count, sizes.restarts)) {
            say(&format!("{count} documents: {} five seconds after a restart", document.name));
            let times;
            (running, times) = {
                let (running, new, deleted) = site.after_restart(running, document, &victim, &mut sights).await;
                (running, (new, deleted))
            };
            found.new_after.push(times.0);
            found.deleted_after.push(times.1);
        }
    }
    running.stop().await;
}

/// The stage with ten thousand documents: as with a thousand.
pub(crate) async fn many(sizes: &Sizes, wanted: &Wanted) -> Many {
    let mut found = Many { count: sizes.many, ..Many::default() };
    if wanted.any(&["cold-10000", "cpu"]) {
        found.rounds = rounds(sizes, sizes.many).await;
    }
    if wanted.any(&["memory", "change", "restart"]) {
        among_many(sizes, wanted, &mut found).await;
    }
    found
}

/// Memory, changes and restarts with ten thousand documents.
async fn among_many(sizes: &Sizes, wanted: &Wanted, found: &mut Many) {
    let count = sizes.many;
    let plane = control_plane();
    let (site, readers, documents) = filled(&plane, count).await;
    drop(documents);
    tokio::time::sleep(CALM).await;
    say(&format!("{count} documents: cold"));
    let (mut running, cold) = site.cold(count).await;
    if wanted.row("memory") {
        tokio::time::sleep(sizes.settle).await;
        found.memory = Some((cold.memory.peak, memory(running.pid()).resident));
    }
    site.verify("Ready", count, &running).await;
    if wanted.row("change") {
        say(&format!("{count} documents: {} changed", sizes.samples));
        let new = scattered_numbers(count, sizes.samples).into_iter();
        let new: Vec<Document> =
            new.flat_map(|number| readers.seal(site.namespace.name(), number..number + 1, 1)).collect();
        let mut sights = site.sights().await;
        found.changed = site.changed(&new, &mut sights, sizes.gap).await;
    }
    if wanted.row("restart") || wanted.row("memory") {
        say(&format!("{count} documents: restarted"));
        let (again, restarted) = ours::restarts(&site, running, sizes.restarts.min(3), sizes.settle).await;
        (running, found.restarted) = (again, Some(restarted));
    }
    running.stop().await;
}

/// The stage of the peer, or why there is none.
pub(crate) async fn beside(sizes: &Sizes) -> Result<Beside, String> {
    peer::possible()?;
    let count = sizes.peer;
    let plane = control_plane();
    say(&format!("the peer, {count} documents: sealing and making them"));
    let peer = peer::install(&plane).await;
    let documents = peer.seal(0..count + sizes.peer_samples + 2);
    let (documents, new) = documents.split_at(count);
    let (new, late) = new.split_at(sizes.peer_samples);
    peer.site.make(documents).await;
    tokio::time::sleep(CALM).await;
    say(&format!("the peer, {count} documents: cold"));
    let (running, cold) = peer.site.cold(count).await;
    peer.site.verify("Synced", count, &running).await;
    let mut sights = peer.site.sights().await;
    say(&format!("the peer, {count} documents: {0} new ones, {0} Secrets deleted", sizes.peer_samples));
    let new = peer.site.new_documents(new, &mut sights, sizes.gap).await;
    let deleted = peer.site.deleted(&scattered(count, sizes.peer_samples), &mut sights, sizes.gap).await;
    say(&format!("the peer, {count} documents: restarted"));
    let (running, took, processor) = peer.restart(running).await;
    let victims = scattered(count, 2);
    let (running, best_new, best_deleted) = peer.site.after_restart(running, &late[0], &victims[0], &mut sights).await;
    running.stop().await;
    let by_default = Site {
        start: Box::new(|| Running::Peer(peer::start(&plane, peer::DEFAULT))),
        plane: &plane,
        admin: peer.site.admin.clone(),
        namespace: peer.site.namespace,
        api: peer.site.api,
        user: peer.site.user,
    };
    let running = (by_default.start)();
    let (running, default_new, default_deleted) =
        by_default.after_restart(running, &late[1], &victims[1], &mut sights).await;
    running.stop().await;
    Ok(Beside {
        cold,
        new,
        deleted,
        restart: (took, processor),
        after: (best_new, best_deleted),
        after_by_default: (default_new, default_deleted),
    })
}

/// The place with its documents, before any controller.
async fn filled(plane: &ControlPlane, count: usize) -> (Site<'_>, Readers, Vec<Document>) {
    say(&format!("{count} documents: sealing and making them"));
    let (site, readers) = ours::site(plane).await;
    let documents = readers.seal(site.namespace.name(), 0..count, 0);
    site.make(&documents).await;
    (site, readers, documents)
}

/// Half of the ceiling is measured before the controller, half after it: a slow spell of the machine meets both.
async fn begin_ceiling(site: &Site<'_>, sizes: &Sizes, count: usize, documents: &[Document]) -> Ceiling {
    let part = sizes.part(count);
    say(&format!("{count} documents: the ceiling, first half"));
    let namespace = site.plane.namespace("ceiling").await;
    let mut ceiling = Ceiling::new(site.plane, namespace).await;
    let needed = 2 * Ceiling::documents_for(part);
    let documents: Vec<Document> = documents.iter().cycle().take(needed).cloned().collect();
    ceiling.make(&documents).await;
    ceiling.watched(site.plane).await;
    tokio::time::sleep(CALM).await;
    ceiling.measure(site.plane, part).await;
    ceiling
}

async fn end_ceiling(plane: &ControlPlane, mut ceiling: Ceiling, sizes: &Sizes, count: usize) -> Most {
    say(&format!("{count} documents: the ceiling, second half"));
    tokio::time::sleep(CALM).await;
    ceiling.measure(plane, sizes.part(count)).await;
    Most { secrets: ceiling.secrets(), both: ceiling.secrets_and_statuses() }
}

fn scattered(count: usize, samples: usize) -> Vec<String> {
    scattered_numbers(count, samples).into_iter().map(name).collect()
}

/// Numbers of documents that are far from each other, each once as long as there are enough.
fn scattered_numbers(count: usize, samples: usize) -> Vec<usize> {
    (0..samples).map(|sample| (sample * STRIDE + STRIDE / 2) % count).collect()
}

fn mean(documents: &[Document]) -> usize {
    documents.iter().map(|document| document.json.len()).sum::<usize>() / documents.len().max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn samples_are_all_over_and_no_two_the_same() {
        for (count, samples) in [(1_000, 50), (10_000, 50), (200, 5), (50, 2)] {
            let numbers = scattered_numbers(count, samples);
            assert!(numbers.iter().all(|number| *number < count));
            assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), samples);
        }
    }
}
