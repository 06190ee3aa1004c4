//! The command line of the controller: every flag, its environment variable, and what is refused at start.
//!
//! [`Settings`] is what the rest of the crate takes. It is made once, checked as a whole, and never changes while the
//! process runs: whoever wants other settings starts another replica.

mod duration;
mod flags;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ageseal::api;
use ageseal::recipient::{Recipient, RecipientError};
use clap::{CommandFactory, FromArgMatches};
use thiserror::Error;

pub use duration::{DurationError, parse_duration};
use flags::Flags;

/// Everything that the command line and the environment decide.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// The namespace of the controller: its identities, its Lease, what it publishes. It serves no document there.
    pub namespace: String,
    /// The namespaces whose documents it serves, sorted; empty means all of them.
    pub namespaces: Vec<String>,
    /// Whether the Secrets that it made are watched (metadata only).
    pub drift_watch: bool,
    /// Without the drift watch: how often each Secret is looked at.
    pub recheck_every: Duration,
    /// How many documents are in flight at once.
    pub workers: usize,
    /// Secret types that are made although the controller refuses them by default.
    pub allow_types: Vec<String>,
    /// Whether scopes with `*` on the namespace side open.
    pub allow_cross_namespace: bool,
    /// Prefixes that are lifted from the deny-list of labels and annotations.
    pub allow_metadata: Vec<String>,
    /// Who can read the backups of the identities that the controller makes; post-quantum all of them.
    pub backup_recipients: Vec<Recipient>,
    /// How old the current identity becomes before another takes over; `None` is never.
    pub renew_every: Option<Duration>,
    /// How the replicas take turns.
    pub lease: LeaseSettings,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub listen: SocketAddr,
    /// What is logged; see [`crate::logging::Levels`].
    pub log_level: String,
    /// The name of this replica: what it signs the Lease and its events with.
    pub pod_name: String,
}

/// The times of leader election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// How long the others wait for a leader that is not heard of; whole seconds, because Lease objects hold those.
    pub duration: Duration,
    /// How long after the last renewal a leader goes on writing; shorter than the duration.
    pub renew_deadline: Duration,
    /// How often a leader renews, and how often the others look.
    pub retry_period: Duration,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl Default for Settings {
    /// What no flag at all gives.
    fn default() -> Self {
        Self {
            namespace: api::DEFAULT_NAMESPACE.to_owned(),
            namespaces: Vec::new(),
            drift_watch: true,
            recheck_every: Duration::from_secs(5 * 60),
            workers: 32,
            allow_types: Vec::new(),
            allow_cross_namespace: false,
            allow_metadata: Vec::new(),
            backup_recipients: Vec::new(),
            renew_every: Some(Duration::from_secs(90 * 24 * 60 * 60)),
            lease: LeaseSettings::default(),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            log_level: "info".to_owned(),
            pod_name: "ageseal-controller".to_owned(),
        }
    }
}

/// Why settings that parse one by one do not work together.
///
/// Every message names the flag, says what is true of it, and what to write.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsError {
    /// A namespace has a name that Kubernetes gives to none.
    #[error(
        "{flag} names `{name}`, which no namespace is called: write lower-case letters, digits and `-`, at most 63"
    )]
    Namespace {
        /// The flag.
        flag: &'static str,
        /// What was written.
        name: String,
    },
    /// The controller would serve its own namespace.
    #[error("--namespaces names `{0}`, the controller's own namespace, where it serves no document: leave it out")]
    OwnNamespace(String),
    /// The number of workers is out of bounds.
    #[error("--workers is {0}: write a number from 1 to {MAX_WORKERS}")]
    Workers(usize),
    /// A time is too short to be meant.
    #[error("{flag} is {is:?}: write at least {least:?}")]
    TooShort {
        /// The flag.
        flag: &'static str,
        /// What was written.
        is: Duration,
        /// The least that is taken.
        least: Duration,
    },
    /// The duration of the Lease is not one that a Lease object holds.
    #[error("--lease-duration is {0:?}: a Lease object holds whole seconds, so write 15s, say")]
    LeaseDuration(Duration),
    /// A leader would write after others may lead.
    #[error(
        "--renew-deadline ({deadline:?}) is not shorter than --lease-duration ({duration:?}): another replica could lead while this one still writes"
    )]
    RenewDeadline {
        /// The deadline.
        deadline: Duration,
        /// The duration.
        duration: Duration,
    },
    /// A leader would stop writing between two renewals.
    #[error(
        "--retry-period ({retry:?}) is more than half of --renew-deadline ({deadline:?}): one slow answer of the API server would cost the lead"
    )]
    RetryPeriod {
        /// The period.
        retry: Duration,
        /// The deadline.
        deadline: Duration,
    },
    /// A Secret type that none is called.
    #[error(
        "--allow-type names `{0}`, which no type of Secret is called: write one such as bootstrap.kubernetes.io/token"
    )]
    Type(String),
    /// A prefix that lifts nothing, or what must stay.
    #[error("--allow-metadata is `{0}`: write the beginning of a label's or annotation's name, and none of {own}", own = api::OWN_PREFIX)]
    Metadata(String),
    /// A backup recipient does not parse. The text is not repeated: it may be a private key.
    #[error("--backup-recipient, number {number}: no backup can be made for it; write one that begins with age1pq1")]
    BackupRecipient {
        /// Which of them, from 1.
        number: usize,
        /// Why it does not parse.
        #[source]
        source: RecipientError,
    },
    /// A backup recipient is weaker than what is backed up.
    #[error(
        "--backup-recipient, number {number}: it is classic, and the identities in the backups are post-quantum; write one that begins with age1pq1"
    )]
    ClassicBackup {
        /// Which of them, from 1.
        number: usize,
    },
}

/// More documents in flight than this would only queue at the API server.
const MAX_WORKERS: usize = 1024;
/// A name of a namespace is a DNS label.
const MAX_LABEL: usize = 63;
/// A type of Secret is shorter than this in every release of Kubernetes.
const MAX_TYPE: usize = 253;

impl Settings {
    /// Reads the arguments of the process and its environment.
    ///
    /// # Errors
    ///
    /// What clap says of a flag, including the text of `--help` and `--version`; a [`SettingsError`] in the same shape.
    /// Its `print` and `exit_code` are all that is left to do with it.
    pub fn from_process() -> Result<Self, clap::Error> {
        Self::parse(std::env::args_os(), &|name| std::env::var(name).ok())
    }

    /// Reads `arguments`, the program's name first; `environment` answers for what Kubernetes sets (`POD_NAME`,
    /// `POD_NAMESPACE`, `HOSTNAME`), while the variables of the flags are read by clap itself.
    pub fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, clap::Error> {
        let mut command = Flags::command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let flags = Flags::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        flags.settings(environment).map_err(|error| {
            let mut text = error.to_string();
            if let Some(source) = std::error::Error::source(&error) {
                text.push_str(&format!(" ({source})"));
            }
            command.error(clap::error::ErrorKind::ValueValidation, text)
        })
    }

    /// Whether documents of this namespace are served.
    pub fn serves(&self, namespace: &str) -> bool {
        namespace != self.namespace
            && (self.namespaces.is_empty() || self.namespaces.iter().any(|served| served == namespace))
    }

    fn check(&self) -> Result<(), SettingsError> {
        check_namespace("--namespace", &self.namespace)?;
        for name in &self.namespaces {
            check_namespace("--namespaces", name)?;
            if *name == self.namespace {
                return Err(SettingsError::OwnNamespace(name.clone()));
            }
        }
        if self.workers == 0 || self.workers > MAX_WORKERS {
            return Err(SettingsError::Workers(self.workers));
        }
        at_least("--recheck-every", self.recheck_every, Duration::from_secs(1))?;
        if let Some(every) = self.renew_every {
            at_least("--renew-every", every, Duration::from_secs(1))?;
        }
        self.lease.check()?;
        for name in &self.allow_types {
            let fits = name.len() <= MAX_TYPE && name.bytes().all(|byte| byte.is_ascii_graphic());
            if !fits {
                return Err(SettingsError::Type(name.clone()));
            }
        }
        for prefix in &self.allow_metadata {
            let known = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
            if !known || prefix.starts_with(api::OWN_PREFIX) || api::OWN_PREFIX.starts_with(prefix.as_str()) {
                return Err(SettingsError::Metadata(prefix.clone()));
            }
        }
        match self.backup_recipients.iter().position(|recipient| !recipient.is_post_quantum()) {
            Some(index) => Err(SettingsError::ClassicBackup { number: index + 1 }),
            None => Ok(()),
        }
    }
}

impl LeaseSettings {
    fn check(&self) -> Result<(), SettingsError> {
        if self.duration.subsec_nanos() != 0
            || self.duration.is_zero()
            || i32::try_from(self.duration.as_secs()).is_err()
        {
            return Err(SettingsError::LeaseDuration(self.duration));
        }
        if self.renew_deadline >= self.duration {
            return Err(SettingsError::RenewDeadline { deadline: self.renew_deadline, duration: self.duration });
        }
        at_least("--retry-period", self.retry_period, Duration::from_millis(50))?;
        if self.retry_period * 2 > self.renew_deadline {
            return Err(SettingsError::RetryPeriod { retry: self.retry_period, deadline: self.renew_deadline });
        }
        Ok(())
    }
}

fn at_least(flag: &'static str, is: Duration, least: Duration) -> Result<(), SettingsError> {
    if is < least { Err(SettingsError::TooShort { flag, is, least }) } else { Ok(()) }
}

fn check_namespace(flag: &'static str, name: &str) -> Result<(), SettingsError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = !name.is_empty()
        && name.len() <= MAX_LABEL
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits { Ok(()) } else { Err(SettingsError::Namespace { flag, name: name.to_owned() }) }
}

/// The items that are not empty, sorted, once each: an empty variable in a manifest means "none".
fn tidy(items: Vec<String>) -> Vec<String> {
    let items: BTreeSet<String> = items.into_iter().map(|item| item.trim().to_owned()).collect();
    items.into_iter().filter(|item| !item.is_empty()).collect()
}
