//! What `/metrics` shows: counts and times, with label values from closed lists.
//!
//! # Guarantees
//!
//! No label carries the name of an object, of a namespace or of a data key, and none grows without bound: outcomes,
//! categories, reasons and kinds are `&'static str`, and identities are counted by their recipient id, which is public.
//! `docs/metrics.md` describes every metric; a test compares it with what is registered here.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use ageseal::recipient::RecipientId;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The states of the identities, as [`Metrics::identity_health`] takes them.
pub const IDENTITY_STATES: [&str; 5] = ["starting", "ok", "unsaved", "lost", "none"];

/// Upper bounds of the duration of a reconcile, in seconds: one API write is about 4 ms, a slow webhook takes 10 s.
const DURATIONS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

type One = [(&'static str, &'static str); 1];
type Two = [(&'static str, &'static str); 2];
type ById = [(&'static str, String); 1];
type Seconds = Gauge<f64, AtomicU64>;

/// Every metric of the process. Cheap to use from any task; nothing here waits for anything but a short lock.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<One, Counter>,
    errors: Family<One, Counter>,
    durations: Histogram,
    documents: Family<Two, Gauge>,
    opened_by: Family<ById, Gauge>,
    identity_created: Family<ById, Seconds>,
    identity_health: Family<One, Gauge>,
    identity_problems: Family<One, Gauge>,
    queue_depth: Gauge,
    decryptions: Counter,
    writes: Family<One, Counter>,
    watch_restarts: Family<One, Counter>,
    events: Family<One, Counter>,
    leader: Gauge,
    /// The ids that the two families by identity show, so that those that are gone can be taken out.
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    documents: BTreeSet<(&'static str, &'static str)>,
    opened_by: BTreeSet<String>,
    created: BTreeSet<String>,
    problems: BTreeSet<&'static str>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers everything, with build information in place and the rest at zero.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("ageseal"),
            reconciles: Family::default(),
            errors: Family::default(),
            durations: Histogram::new(DURATIONS),
            documents: Family::default(),
            opened_by: Family::default(),
            identity_created: Family::default(),
            identity_health: Family::default(),
            identity_problems: Family::default(),
            queue_depth: Gauge::default(),
            decryptions: Counter::default(),
            writes: Family::default(),
            watch_restarts: Family::default(),
            events: Family::default(),
            leader: Gauge::default(),
            shown: Mutex::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("reconcile", "Documents that were looked at, by what came of it", self.reconciles.clone());
        registry.register("reconcile_errors", "What the API server or the network did wrong", self.errors.clone());
        registry.register_with_unit(
            "reconcile_duration",
            "How long a document took, from the queue to its Secret and its status",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "documents",
            "Documents by the status and the reason of their condition Ready",
            self.documents.clone(),
        );
        registry.register(
            "documents_opened_by",
            "Documents whose Secret was last written with this identity",
            self.opened_by.clone(),
        );
        registry.register_with_unit(
            "identity_created_timestamp",
            "When an identity that is at hand was made, since the epoch",
            Unit::Seconds,
            self.identity_created.clone(),
        );
        registry.register("identity_state", "1 for the state that the identities are in", self.identity_health.clone());
        registry.register(
            "identity_problems",
            "What is wrong with the identities and needs somebody, by its reason",
            self.identity_problems.clone(),
        );
        registry.register("queue_depth", "Documents that wait for their turn", self.queue_depth.clone());
        registry.register("decryptions", "Documents that were decrypted", self.decryptions.clone());
        registry.register("writes", "Writes that the API server took, by what was written", self.writes.clone());
        registry.register("watch_restarts", "Watches that ended and were begun anew", self.watch_restarts.clone());
        registry.register("events", "Kubernetes events, by what became of them", self.events.clone());
        registry.register("leader", "1 on the replica that writes", self.leader.clone());
        registry.register(
            "build",
            "The version that runs",
            Info::new([
                ("version", env!("CARGO_PKG_VERSION")),
                ("os", std::env::consts::OS),
                ("arch", std::env::consts::ARCH),
            ]),
        );
        self
    }

    /// Counts a document that was looked at: what came of it, and how many seconds it took.
    pub fn reconciled(&self, outcome: &'static str, seconds: f64) {
        self.reconciles.get_or_create(&[("outcome", outcome)]).inc();
        self.durations.observe(seconds);
    }

    /// Counts a fault of the API server or of the network.
    pub fn error(&self, category: &'static str) {
        self.errors.get_or_create(&[("category", category)]).inc();
    }

    /// Shows how many documents there are by status (`True`, `False`, `Unknown`) and reason of their condition Ready; what
    /// was shown before and is not among `counts` becomes zero.
    pub fn documents(&self, counts: impl IntoIterator<Item = ((&'static str, &'static str), u64)>) {
        let mut shown = self.shown();
        let mut gone = shown.documents.clone();
        for ((ready, reason), count) in counts {
            self.documents.get_or_create(&[("ready", ready), ("reason", reason)]).set(whole(count));
            shown.documents.insert((ready, reason));
            gone.remove(&(ready, reason));
        }
        for (ready, reason) in gone {
            self.documents.get_or_create(&[("ready", ready), ("reason", reason)]).set(0);
        }
    }

    /// Shows how many documents were last opened by each identity; those that are not among `counts` disappear.
    pub fn opened_by(&self, counts: impl IntoIterator<Item = (RecipientId, u64)>) {
        let mut shown = self.shown();
        let mut gone = std::mem::take(&mut shown.opened_by);
        for (id, count) in counts {
            let id = id.to_string();
            self.opened_by.get_or_create(&[("identity", id.clone())]).set(whole(count));
            gone.remove(&id);
            shown.opened_by.insert(id);
        }
        for id in gone {
            self.opened_by.remove(&[("identity", id)]);
        }
    }

    /// Shows when each identity that is at hand was made, in seconds since the epoch; the others disappear.
    pub fn identities_created(&self, times: impl IntoIterator<Item = (RecipientId, f64)>) {
        let mut shown = self.shown();
        let mut gone = std::mem::take(&mut shown.created);
        for (id, seconds) in times {
            let id = id.to_string();
            self.identity_created.get_or_create(&[("identity", id.clone())]).set(seconds);
            gone.remove(&id);
            shown.created.insert(id);
        }
        for id in gone {
            self.identity_created.remove(&[("identity", id)]);
        }
    }

    /// Shows the state of the identities: one of [`IDENTITY_STATES`].
    pub fn identity_health(&self, state: &'static str) {
        for known in IDENTITY_STATES {
            self.identity_health.get_or_create(&[("state", known)]).set(i64::from(known == state));
        }
    }

    /// Shows how many problems there are with the identities, by reason; what was shown before and is not among `counts`
    /// becomes zero.
    pub fn identity_problems(&self, counts: impl IntoIterator<Item = (&'static str, u64)>) {
        let mut shown = self.shown();
        let mut gone = shown.problems.clone();
        for (reason, count) in counts {
            self.identity_problems.get_or_create(&[("reason", reason)]).set(whole(count));
            shown.problems.insert(reason);
            gone.remove(reason);
        }
        for reason in gone {
            self.identity_problems.get_or_create(&[("reason", reason)]).set(0);
        }
    }

    /// Shows how many documents wait for their turn.
    pub fn queue_depth(&self, depth: usize) {
        self.queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// Counts a document that was decrypted, whether it opened or not.
    pub fn decrypted(&self) {
        self.decryptions.inc();
    }

    /// Counts a write that the API server took: `secret`, `secret_delete`, `status`, `identity` and so on.
    pub fn wrote(&self, kind: &'static str) {
        self.writes.get_or_create(&[("kind", kind)]).inc();
    }

    /// Counts a watch that ended and is begun anew: `documents`, `secrets`, `identities` and so on.
    pub fn watch_restarted(&self, watch: &'static str) {
        self.watch_restarts.get_or_create(&[("watch", watch)]).inc();
    }

    /// Counts a Kubernetes event: `posted`, `repeated`, `dropped` or `refused`.
    pub fn event(&self, outcome: &'static str) {
        self.events.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Shows whether this replica leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The text of `/metrics`, of the type [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        encode(&mut text, &self.registry).expect("writing into a String never ends early");
        text
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use ageseal::api::ReadyReason;

    use super::*;

    fn id(text: &str) -> RecipientId {
        RecipientId::of(text)
    }

    /// Everything once, so that every label shows.
    fn filled() -> Metrics {
        let metrics = Metrics::new();
        metrics.reconciled("applied", 0.004);
        metrics.error("conflict");
        metrics.documents([(("True", "Opened"), 3)]);
        metrics.opened_by([(id("a"), 3)]);
        metrics.identities_created([(id("a"), 1_700_000_000.0)]);
        metrics.identity_health("ok");
        metrics.identity_problems([("IdentityUnsaved", 1)]);
        metrics.queue_depth(2);
        metrics.decrypted();
        metrics.wrote("secret");
        metrics.watch_restarted("documents");
        metrics.event("posted");
        metrics.leader(true);
        metrics
    }

    #[test]
    fn the_names_and_values_are_those_that_prometheus_expects() {
        let text = filled().encode();
        for line in [
            "ageseal_reconcile_total{outcome=\"applied\"} 1",
            "ageseal_reconcile_errors_total{category=\"conflict\"} 1",
            "ageseal_reconcile_duration_seconds_count 1",
            "ageseal_reconcile_duration_seconds_bucket{le=\"0.005\"} 1",
            "ageseal_documents{ready=\"True\",reason=\"Opened\"} 3",
            &format!("ageseal_documents_opened_by{{identity=\"{}\"}} 3", id("a")),
            &format!("ageseal_identity_created_timestamp_seconds{{identity=\"{}\"}} 1700000000.0", id("a")),
            "ageseal_identity_state{state=\"ok\"} 1",
            "ageseal_identity_state{state=\"lost\"} 0",
            "ageseal_identity_problems{reason=\"IdentityUnsaved\"} 1",
            "ageseal_queue_depth 2",
            "ageseal_decryptions_total 1",
            "ageseal_writes_total{kind=\"secret\"} 1",
            "ageseal_watch_restarts_total{watch=\"documents\"} 1",
            "ageseal_events_total{outcome=\"posted\"} 1",
            "ageseal_leader 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|is| is == line), "no {line} in\n{text}");
        }
        assert!(text.contains("ageseal_build_info{version="), "{text}");
    }

    #[test]
    fn counts_that_are_gone_become_zero_and_identities_that_are_gone_disappear() {
        let metrics = filled();
        metrics.documents([(("False", "NotOwned"), 1)]);
        metrics.opened_by([(id("b"), 5)]);
        metrics.identities_created([]);
        metrics.identity_problems([("IdentityCopied", 2)]);
        let text = metrics.encode();
        assert!(text.contains("ageseal_documents{ready=\"True\",reason=\"Opened\"} 0\n"), "{text}");
        assert!(text.contains("ageseal_documents{ready=\"False\",reason=\"NotOwned\"} 1\n"), "{text}");
        assert!(!text.contains(&id("a").to_string()), "{text}");
        assert!(text.contains("ageseal_identity_problems{reason=\"IdentityUnsaved\"} 0\n"), "{text}");
        assert!(text.contains("ageseal_identity_problems{reason=\"IdentityCopied\"} 2\n"), "{text}");
        assert!(text.contains(&format!("ageseal_documents_opened_by{{identity=\"{}\"}} 5\n", id("b"))), "{text}");
    }

    /// What `docs/metrics.md` has to say: a row for each metric, from what is registered.
    fn table() -> String {
        #[derive(Default)]
        struct Row {
            kind: String,
            help: String,
            labels: Vec<String>,
        }
        let text = filled().encode();
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for line in text.lines() {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
                rows.entry(name.to_owned()).or_default().help = help.to_owned();
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                rows.entry(name.to_owned()).or_default().kind = kind.to_owned();
            } else if let Some((name, labels)) = line.split_once('{') {
                let family = rows.keys().rev().find(|family| name.starts_with(family.as_str())).cloned().unwrap();
                let labels = labels.split('}').next().unwrap().split(',').filter_map(|label| label.split('=').next());
                let labels = labels.filter(|label| *label != "le").map(|label| format!("`{label}`"));
                rows.get_mut(&family).unwrap().labels = labels.collect();
            }
        }
        let mut table = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for (name, row) in rows {
            let suffix = match row.kind.as_str() {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let labels = row.labels.join(", ");
            writeln!(table, "| `{name}{suffix}` | {} | {labels} | {} |", row.kind, row.help).unwrap();
        }
        table
    }

    #[test]
    fn the_documentation_has_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let text = std::fs::read_to_string(path).unwrap();
        let table = table();
        assert!(text.contains(&table), "docs/metrics.md is to have this table:\n{table}");
        for reason in ReadyReason::ALL {
            assert!(text.contains(&format!("`{reason}`")), "docs/metrics.md does not name the reason {reason}");
        }
        for state in IDENTITY_STATES {
            assert!(text.contains(&format!("`{state}`")), "docs/metrics.md does not name the state {state}");
        }
    }
}
