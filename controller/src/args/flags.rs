//! The flags as clap reads them; their doc comments are the text of `--help`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use clap::builder::BoolishValueParser;
use rand_core::{OsRng, RngCore};

use ageseal::recipient::Recipient;

use super::{LeaseSettings, Settings, SettingsError, parse_duration, tidy};
use crate::logging::Levels;

/// Turns sealed documents into Kubernetes Secrets, and keeps them true
///
/// It finds its API server by KUBECONFIG, or by the service account of its pod. Every flag can be given by the environment
/// variable that is named beside it; the flag wins. Lists are separated by commas, and repeatable flags add up; one that
/// is given is not empty.
#[derive(Debug, Parser)]
#[command(name = "ageseal-controller", version, term_width = 100)]
pub(super) struct Flags {
    /// The controller's own namespace: identities, Lease and the published recipients are there, and no document is
    /// served there [default: POD_NAMESPACE, else ageseal-system]
    #[arg(long, env = "AGESEAL_NAMESPACE", value_name = "NAMESPACE", hide_env_values = true)]
    namespace: Option<String>,

    /// Serve the documents of these namespaces alone, and make no request outside of them and of the controller's own:
    /// Roles suffice. Without it: all namespaces
    #[arg(long, env = "AGESEAL_NAMESPACES", value_name = "NAMESPACE", value_delimiter = ',', hide_env_values = true)]
    namespaces: Vec<String>,

    /// Do not watch the Secrets that were made, for clusters that grant no `list` and `watch` on Secrets. Each is looked
    /// at by `get` instead, as often as --recheck-every says
    #[arg(long, env = "AGESEAL_NO_DRIFT_WATCH", value_parser = BoolishValueParser::new(), hide_env_values = true)]
    no_drift_watch: bool,

    /// With --no-drift-watch: how often each Secret is looked at
    #[arg(long, env = "AGESEAL_RECHECK_EVERY", value_name = "DURATION", default_value = "5m", hide_env_values = true)]
    #[arg(value_parser = parse_duration)]
    recheck_every: Duration,

    /// How many documents are in flight at once. There is no other throttle: the API server's priority and fairness decides
    #[arg(long, env = "AGESEAL_WORKERS", value_name = "NUMBER", default_value = "64", hide_env_values = true)]
    workers: usize,

    /// Make Secrets of this type, which is refused by default because whoever may write a document could have a credential
    /// of the cluster minted: kubernetes.io/service-account-token, bootstrap.kubernetes.io/token. Repeatable
    #[arg(long, env = "AGESEAL_ALLOW_TYPE", value_name = "TYPE", value_delimiter = ',', hide_env_values = true)]
    allow_type: Vec<String>,

    /// Open values whose scope has a `*` on the namespace side: whoever may write documents in one namespace can then use
    /// a value in every namespace that the scope covers
    #[arg(long, env = "AGESEAL_ALLOW_CROSS_NAMESPACE", value_parser = BoolishValueParser::new(), hide_env_values = true)]
    allow_cross_namespace: bool,

    /// Let templates set labels and annotations that begin with this, although other controllers act on them. Repeatable
    #[arg(long, env = "AGESEAL_ALLOW_METADATA", value_name = "PREFIX", value_delimiter = ',', hide_env_values = true)]
    allow_metadata: Vec<String>,

    /// Encrypt every identity that the controller makes to this recipient (age1pq1…) too, into a ConfigMap
    /// ageseal-backup-ID, before the identity is used. Without a backup, a lost cluster is a lost key. Repeatable
    #[arg(
        long,
        env = "AGESEAL_BACKUP_RECIPIENT",
        value_name = "RECIPIENT",
        value_delimiter = ',',
        hide_env_values = true
    )]
    backup_recipient: Vec<String>,

    /// Make a new current identity when the present one is this old; older ones go on opening. 0 is never
    #[arg(long, env = "AGESEAL_RENEW_EVERY", value_name = "DURATION", default_value = "90d", hide_env_values = true)]
    #[arg(value_parser = parse_duration)]
    renew_every: Duration,

    /// How long the other replicas wait for a leader that is not heard of; whole seconds
    #[arg(
        long,
        env = "AGESEAL_LEASE_DURATION",
        value_name = "DURATION",
        default_value = "15s",
        hide_env_values = true
    )]
    #[arg(value_parser = parse_duration)]
    lease_duration: Duration,

    /// How long a leader that cannot renew its Lease goes on writing; shorter than --lease-duration
    #[arg(
        long,
        env = "AGESEAL_RENEW_DEADLINE",
        value_name = "DURATION",
        default_value = "10s",
        hide_env_values = true
    )]
    #[arg(value_parser = parse_duration)]
    renew_deadline: Duration,

    /// How often the leader renews its Lease, and the others look at it; at most half of --renew-deadline
    #[arg(long, env = "AGESEAL_RETRY_PERIOD", value_name = "DURATION", default_value = "2s", hide_env_values = true)]
    #[arg(value_parser = parse_duration)]
    retry_period: Duration,

    /// Where /livez, /readyz and /metrics are served; all three are read-only, and there is nothing else
    #[arg(
        long,
        env = "AGESEAL_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080",
        hide_env_values = true
    )]
    listen: SocketAddr,

    /// What is logged, as JSON, one line an event: off, error, warn, info, debug or trace; for single modules
    /// info,lease=debug
    #[arg(long, env = "AGESEAL_LOG_LEVEL", value_name = "LEVEL", default_value = "info", hide_env_values = true)]
    #[arg(value_parser = checked_levels)]
    log_level: String,

    /// The name of this replica, which must differ from the other's: it is written into the Lease and into events
    /// [default: POD_NAME, else HOSTNAME, else one by chance]
    #[arg(long, env = "AGESEAL_POD_NAME", value_name = "NAME", hide_env_values = true)]
    pod_name: Option<String>,
}

impl Flags {
    /// The settings that the flags amount to, checked as a whole.
    pub(super) fn settings(self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Settings, SettingsError> {
        let given = |flag: Option<String>, variables: &[&str], otherwise: String| {
            let variables = variables.iter().filter_map(|name| environment(name));
            flag.into_iter().chain(variables).find(|value| !value.is_empty()).unwrap_or(otherwise)
        };
        let default = Settings::default();
        let settings = Settings {
            namespace: given(self.namespace, &["POD_NAMESPACE"], default.namespace),
            namespaces: tidy("--namespaces", self.namespaces)?,
            drift_watch: !self.no_drift_watch,
            recheck_every: self.recheck_every,
            workers: self.workers,
            allow_types: tidy("--allow-type", self.allow_type)?,
            allow_cross_namespace: self.allow_cross_namespace,
            allow_metadata: tidy("--allow-metadata", self.allow_metadata)?,
            backup_recipients: recipients(&tidy("--backup-recipient", self.backup_recipient)?)?,
            renew_every: (!self.renew_every.is_zero()).then_some(self.renew_every),
            lease: LeaseSettings {
                duration: self.lease_duration,
                renew_deadline: self.renew_deadline,
                retry_period: self.retry_period,
            },
            listen: self.listen,
            log_level: self.log_level,
            pod_name: given(self.pod_name, &["POD_NAME", "HOSTNAME"], unlike_any(&default.pod_name)),
        };
        settings.check()?;
        Ok(settings)
    }
}

/// A name that no other replica has: two with one name would both hold the Lease.
fn unlike_any(name: &str) -> String {
    format!("{name}-{:016x}", OsRng.next_u64())
}

fn recipients(texts: &[String]) -> Result<Vec<Recipient>, SettingsError> {
    let parsed = texts.iter().enumerate().map(|(index, text)| {
        text.parse().map_err(|source| SettingsError::BackupRecipient { number: index + 1, source })
    });
    parsed.collect()
}

fn checked_levels(text: &str) -> Result<String, crate::logging::LevelsError> {
    text.parse::<Levels>().map(|_| text.to_owned())
}
