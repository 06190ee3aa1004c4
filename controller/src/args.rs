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
            workers: 64,
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
    /// A list that is given and names nothing: whether it means none or all of them is not to be guessed.
    #[error("{0} is given and empty: name one, or leave it out")]
    Empty(&'static str),
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

/// The items that are not empty, sorted, once each. A list that was given has one: an empty variable in a manifest may be
/// a value that was not filled in, and "no backups" or "all namespaces" is not what it was to say.
fn tidy(flag: &'static str, items: Vec<String>) -> Result<Vec<String>, SettingsError> {
    let given = !items.is_empty();
    let items: BTreeSet<String> = items.into_iter().map(|item| item.trim().to_owned()).collect();
    let items: Vec<String> = items.into_iter().filter(|item| !item.is_empty()).collect();
    if given && items.is_empty() { Err(SettingsError::Empty(flag)) } else { Ok(items) }
}

#[cfg(test)]
mod tests {
    use ageseal::recipient::Identity;
    use clap::error::ErrorKind;
    use rand_core::OsRng;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Settings, clap::Error> {
        parse_in(arguments, &[])
    }

    fn parse_in(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, clap::Error> {
        let arguments = ["ageseal-controller"].iter().chain(arguments).map(OsString::from);
        let value = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Settings::parse(arguments, &value)
    }

    #[test]
    fn no_flag_at_all_gives_the_defaults() {
        let settings = parse(&["--pod-name=ageseal-controller"]).unwrap();
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn replicas_that_are_told_no_name_have_different_ones() {
        let name = || parse_in(&[], &[("POD_NAME", ""), ("HOSTNAME", "")]).unwrap().pod_name;
        let (one, two) = (name(), name());
        assert!(one.starts_with("ageseal-controller-") && one.len() == "ageseal-controller-".len() + 16, "{one}");
        assert_ne!(one, two);
    }

    #[test]
    fn a_list_that_is_given_is_not_empty() {
        for flag in ["--namespaces", "--allow-type", "--allow-metadata", "--backup-recipient"] {
            for value in ["", ",", " , "] {
                let text = parse(&[&format!("{flag}={value}")]).unwrap_err().to_string();
                assert!(text.contains(&format!("{flag} is given and empty: name one")), "{flag}={value}: {text}");
            }
        }
    }

    #[test]
    fn every_flag_reaches_its_setting() {
        let first = Identity::generate_hybrid(&mut OsRng).recipient().unwrap().canonical().to_owned();
        let second = Identity::generate_hybrid(&mut OsRng).recipient().unwrap().canonical().to_owned();
        let settings = parse(&[
            "--namespace=own",
            "--namespaces=b,a,,b",
            "--namespaces=c",
            "--no-drift-watch",
            "--recheck-every=1m30s",
            "--workers=7",
            "--allow-type=bootstrap.kubernetes.io/token",
            "--allow-type=kubernetes.io/service-account-token",
            "--allow-cross-namespace",
            "--allow-metadata=replicator.v1.mittwald.de/",
            &format!("--backup-recipient={first}"),
            &format!("--backup-recipient={second}"),
            "--renew-every=0",
            "--lease-duration=30s",
            "--renew-deadline=20s",
            "--retry-period=500ms",
            "--listen=[::1]:9",
            "--log-level=warn,lease=debug",
            "--pod-name=replica-1",
        ]);
        let mut backups: Vec<Recipient> = vec![first.parse().unwrap(), second.parse().unwrap()];
        backups.sort_by_key(|recipient| recipient.canonical().to_owned());
        let expected = Settings {
            namespace: "own".into(),
            namespaces: vec!["a".into(), "b".into(), "c".into()],
            drift_watch: false,
            recheck_every: Duration::from_secs(90),
            workers: 7,
            allow_types: vec!["bootstrap.kubernetes.io/token".into(), "kubernetes.io/service-account-token".into()],
            allow_cross_namespace: true,
            allow_metadata: vec!["replicator.v1.mittwald.de/".into()],
            backup_recipients: backups,
            renew_every: None,
            lease: LeaseSettings {
                duration: Duration::from_secs(30),
                renew_deadline: Duration::from_secs(20),
                retry_period: Duration::from_millis(500),
            },
            listen: "[::1]:9".parse().unwrap(),
            log_level: "warn,lease=debug".into(),
            pod_name: "replica-1".into(),
        };
        assert_eq!(settings.unwrap(), expected);
    }

    #[test]
    fn the_pod_says_who_and_where_it_is_unless_a_flag_does() {
        let pod = [("POD_NAMESPACE", "of-pod"), ("POD_NAME", "pod-1"), ("HOSTNAME", "host-1")];
        let settings = parse_in(&[], &pod).unwrap();
        assert_eq!((settings.namespace.as_str(), settings.pod_name.as_str()), ("of-pod", "pod-1"));
        let settings = parse_in(&["--namespace=own", "--pod-name=mine"], &pod).unwrap();
        assert_eq!((settings.namespace.as_str(), settings.pod_name.as_str()), ("own", "mine"));
        assert_eq!(parse_in(&[], &pod[2..]).unwrap().pod_name, "host-1");
    }

    #[test]
    fn what_does_not_work_together_is_refused_with_the_flag_and_the_reason() {
        let classic = Identity::generate_x25519().recipient().unwrap().canonical().to_owned();
        let classic = format!("--backup-recipient={classic}");
        let table: &[(&[&str], &str)] = &[
            (&["--namespace=Own"], "--namespace names `Own`, which no namespace is called"),
            (&["--namespaces=a,-b"], "--namespaces names `-b`, which no namespace is called"),
            (&["--namespaces=a,ageseal-system"], "the controller's own namespace, where it serves no document"),
            (&["--workers=0"], "--workers is 0: write a number from 1 to 1024"),
            (&["--workers=1025"], "--workers is 1025: write a number from 1 to 1024"),
            (&["--recheck-every=10ms"], "--recheck-every is 10ms: write at least 1s"),
            (&["--renew-every=10ms"], "--renew-every is 10ms: write at least 1s"),
            (&["--lease-duration=1500ms"], "--lease-duration is 1.5s: a Lease object holds whole seconds"),
            (&["--lease-duration=0"], "--lease-duration is 0ns: a Lease object holds whole seconds"),
            (&["--renew-deadline=15s"], "--renew-deadline (15s) is not shorter than --lease-duration (15s)"),
            (&["--lease-duration=5s"], "--renew-deadline (10s) is not shorter than --lease-duration (5s)"),
            (&["--retry-period=6s"], "--retry-period (6s) is more than half of --renew-deadline (10s)"),
            (&["--retry-period=1ms"], "--retry-period is 1ms: write at least 50ms"),
            (&["--allow-type=a b"], "--allow-type names `a b`, which no type of Secret is called"),
            (&["--allow-metadata=ageseal.dev/x"], "--allow-metadata is `ageseal.dev/x`"),
            (&["--allow-metadata=age"], "--allow-metadata is `age`"),
            (&[&classic], "--backup-recipient, number 1: it is classic"),
            (&["--recheck-every=5"], "`5` has no unit: write 90d, 12h, 5m, 15s or 500ms"),
            (&["--renew-every=90days"], "`days` is not a unit: write d, h, m, s or ms"),
            (&["--log-level=inof"], "`inof` is not a level"),
            (&["--listen=8080"], "'8080' for '--listen <ADDRESS>'"),
            (&["--workers=many"], "'many' for '--workers <NUMBER>'"),
            (&["--no-such-flag"], "unexpected argument '--no-such-flag' found"),
            (&["document.yaml"], "unexpected argument 'document.yaml' found"),
        ];
        for (arguments, expected) in table {
            let error = parse(arguments).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("error: ") && text.contains(expected), "{arguments:?}: {text}");
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
        }
    }

    #[test]
    fn a_private_key_in_the_place_of_a_recipient_is_not_repeated() {
        let private = Identity::generate_x25519().to_secret_string().unwrap();
        let text = parse(&[&format!("--backup-recipient={}", private.as_str())]).unwrap_err().to_string();
        assert!(text.contains("--backup-recipient, number 1") && text.contains("this is a private key"), "{text}");
        assert!(!text.to_ascii_uppercase().contains("AGE-SECRET-KEY"), "{text}");
    }

    #[test]
    fn every_flag_has_a_variable_of_its_name_and_a_text_that_explains_it() {
        let command = flags::Flags::command();
        for argument in
            command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        {
            let flag = argument.get_long().unwrap();
            let variable = format!("AGESEAL_{}", flag.to_ascii_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()), "--{flag}");
            assert!(argument.get_help().is_some_and(|help| help.to_string().len() > 30), "--{flag}");
        }
    }

    #[test]
    fn help_and_version_are_no_errors() {
        assert_eq!(parse(&["--help"]).unwrap_err().kind(), ErrorKind::DisplayHelp);
        assert_eq!(parse(&["--help"]).unwrap_err().exit_code(), 0);
        assert_eq!(parse(&["--version"]).unwrap_err().exit_code(), 0);
    }

    #[test]
    fn its_own_namespace_is_never_served() {
        let all = Settings::default();
        assert!(all.serves("default") && !all.serves("ageseal-system"));
        let some = Settings { namespaces: vec!["a".into()], ..Settings::default() };
        assert!(some.serves("a") && !some.serves("b") && !some.serves("ageseal-system"));
    }
}
