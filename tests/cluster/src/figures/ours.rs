//! ageseal's controller in a control plane: with the Roles that are shipped, its own ServiceAccount and its default flags.

use std::time::{Duration, Instant};

use super::bare::Bare;
use super::documents::Readers;
use super::samples::Samples;
use super::site::{Running, Site};
use super::trace::{Restart, restart};
use super::usage::memory;
use crate::controller::{ACCOUNT, Controller, ControllerOptions, recipient_of};
use crate::plane::ControlPlane;

/// The flags that tests set otherwise, at their defaults.
const DEFAULTS: [&str; 3] = ["--lease-duration=15s", "--renew-deadline=10s", "--retry-period=2s"];
/// How long `/readyz` may say no.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long after it is ready a restarted controller might still ask for something.
const CALM: Duration = Duration::from_secs(5);

/// Installs the controller, lets it make its identity and ends it again.
///
/// # Panics
/// If it does not publish a recipient.
pub(crate) async fn site(plane: &ControlPlane) -> (Site<'_>, Readers) {
    let system = plane.namespace("ageseal-system").await;
    let mut options = ControllerOptions {
        system: system.name().to_owned(),
        args: DEFAULTS.map(str::to_owned).into(),
        ..ControllerOptions::default()
    };
    let first = Controller::start(plane, options.clone());
    first.ready().await;
    let readers = Readers::new(recipient_of(plane, system.name()).await);
    first.terminate().await;
    // Its ServiceAccount and its Roles are there now, and nothing but the process is started within a measured time.
    options.kubeconfig = Some(plane.file("kubeconfigs").join(format!("{}.{ACCOUNT}", system.name())));
    let site = Site {
        plane,
        admin: Bare::new(plane.kubeconfig()).await,
        namespace: plane.namespace("figures").await,
        api: ageseal::format::API_VERSION,
        user: format!("system:serviceaccount:{}:{ACCOUNT}", system.name()),
        start: Box::new(move || {
            let _ = system.name();
            Running::Ours(Controller::start(plane, options.clone()))
        }),
    };
    (site, readers)
}

/// What restarts with everything current took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restarted {
    /// From the start of the process until `/readyz` said yes.
    pub(crate) ready: Samples,
    /// What was asked of the API server, the most of all restarts.
    pub(crate) asked: Restart,
    /// How many documents were decrypted.
    pub(crate) decryptions: u64,
    /// The most memory that was ever resident, in bytes.
    pub(crate) peak: u64,
    /// What was resident after it had settled, in bytes.
    pub(crate) settled: u64,
}

/// Ends the controller and starts it again, so many times; the last one gets time to settle.
///
/// # Panics
/// If it does not become ready.
pub(crate) async fn restarts(
    site: &Site<'_>,
    mut running: Running,
    times: usize,
    settle: Duration,
) -> (Running, Restarted) {
    let mut restarted = Restarted::default();
    for number in 1..=times {
        running.stop().await;
        let mut trace = site.trace();
        let begun = Instant::now();
        running = (site.start)();
        let Running::Ours(controller) = &running else { unreachable!("it was started here") };
        loop {
            if matches!(controller.get("/readyz").await, Ok((200, _))) {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "not ready within {PATIENCE:?}\n{}", controller.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        restarted.ready.push(begun.elapsed());
        tokio::time::sleep(if number == times { settle } else { CALM }).await;
        restarted.asked = most(restarted.asked, restart(trace.requests(), site.namespace.name()));
        restarted.decryptions += counted(&controller.metrics().await, "ageseal_decryptions_total");
        let memory = memory(controller.pid());
        restarted.peak = restarted.peak.max(memory.peak);
        restarted.settled = memory.resident;
    }
    (running, restarted)
}

fn most(a: Restart, b: Restart) -> Restart {
    Restart {
        writes: a.writes.max(b.writes),
        fetched: a.fetched.max(b.fetched),
        pages: (a.pages.0.max(b.pages.0), a.pages.1.max(b.pages.1)),
        again: a.again.max(b.again),
    }
}

/// The value of a metric without labels.
fn counted(metrics: &str, name: &str) -> u64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{metrics}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_read_by_its_whole_name() {
        assert_eq!(counted("# HELP a_total x\na_total_more 7\na_total 3\n", "a_total"), 3);
    }

    #[test]
    fn of_several_restarts_the_worst_counts() {
        let one = Restart { writes: 1, pages: (40, 1), ..Restart::default() };
        let other = Restart { fetched: 2, pages: (1, 20), ..Restart::default() };
        assert_eq!(most(one, other), Restart { writes: 1, fetched: 2, pages: (40, 20), again: 0 });
    }
}
