//! Whether what answered is the pinned cluster, and whether it publishes the pinned recipient.

use ageseal::api::Published;
use ageseal::policy::RecipientsFile;
use ageseal::recipient::RecipientId;

use crate::cluster::Seen;
use crate::error::CliError;
use crate::pins::Pin;

/// What is accepted in place of a hash where the operating system's certificates prove the cluster.
const SYSTEM: &str = "system-certificates";

/// How the cluster stands to its pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is no pin.
    New,
    /// It is the pinned one.
    Same,
    /// It is another, or proves itself in another way.
    Changed,
}

/// Something that has to be accepted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// The texts, each of which has to be accepted.
    pub(super) values: Vec<String>,
    kind: NeedKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum NeedKind {
    /// Another cluster answers: the uid that is pinned.
    Cluster { pinned: String },
    /// The certificates that are pinned are not those of the kubeconfig.
    Certificates { pinned: Vec<String> },
    /// Another recipient is current.
    Recipient { pinned: Vec<RecipientId>, still_opens: bool, serials: Option<(u64, u64)> },
}

/// What the comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trust {
    pub(super) standing: Standing,
    pub(super) needs: Vec<Need>,
}

impl Trust {
    pub(super) fn new(
        pin: Option<&Pin>,
        file: &RecipientsFile,
        published: &Published,
        seen: &Seen,
        uid: Option<&str>,
    ) -> Self {
        let mut needs: Vec<Need> = pin.and_then(|pin| cluster_need(pin, seen, uid)).into_iter().collect();
        let standing = match pin {
            None => Standing::New,
            Some(_) if needs.is_empty() => Standing::Same,
            Some(_) => Standing::Changed,
        };
        needs.extend(recipient_need(pin, file, published));
        Self { standing, needs }
    }

    /// The refusals of what was not accepted.
    pub(super) fn refusals(&self, accepted: &[String], name: &str, context: &str) -> Vec<CliError> {
        let given = |value: &String| accepted.iter().any(|accepted| accepted.trim() == value);
        let open = self.needs.iter().filter(|need| !need.values.iter().all(given));
        open.map(|need| need.refusal(accepted, name, context)).collect()
    }

    /// The pin that would be written.
    pub(super) fn pin(
        &self,
        old: Option<&Pin>,
        published: &Published,
        namespace: &str,
        uid: Option<&str>,
        certificates: &[String],
    ) -> Pin {
        let mut ids: Vec<RecipientId> = published.all().filter_map(|entry| entry.recipient_id()).collect();
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(*id));
        let same = old.filter(|_| self.standing == Standing::Same);
        Pin {
            namespace: namespace.to_owned(),
            // Who may not read the uid does not take it away from those who may.
            uid: uid.map(str::to_owned).or_else(|| same.and_then(|pin| pin.uid.clone())),
            certificates: same.map_or_else(|| certificates.to_vec(), |pin| pin.certificates.clone()),
            serial: published.serial.max(1),
            // Every recipient of a Published that was read has an id.
            current: ids.first().copied().unwrap_or_else(|| RecipientId::of(&published.current.recipient)),
            recipients: ids,
        }
    }
}

/// What has to be accepted of a cluster that is not as it was pinned.
fn cluster_need(pin: &Pin, seen: &Seen, uid: Option<&str>) -> Option<Need> {
    if let (Some(pinned), Some(uid)) = (&pin.uid, uid)
        && pinned != uid
    {
        return Some(Need { values: vec![uid.to_owned()], kind: NeedKind::Cluster { pinned: pinned.clone() } });
    }
    let new: Vec<String> = match (pin.certificates.is_empty(), seen.certificates.is_empty()) {
        (true, true) => vec![],
        (false, true) => vec![SYSTEM.to_owned()],
        _ => seen.certificates.iter().filter(|hash| !pin.certificates.contains(hash)).cloned().collect(),
    };
    let kind = NeedKind::Certificates { pinned: pin.certificates.clone() };
    (!new.is_empty()).then_some(Need { values: new, kind })
}

/// What has to be accepted of a current recipient that is not the one that values are sealed for here.
fn recipient_need(pin: Option<&Pin>, file: &RecipientsFile, published: &Published) -> Option<Need> {
    let current = published.current.recipient_id()?;
    let pinned: Vec<RecipientId> = match pin {
        Some(pin) => vec![pin.current],
        None => file.current().map(|entry| entry.recipient.id()).collect(),
    };
    if pinned.is_empty() || pinned.contains(&current) {
        return None;
    }
    let still_opens = pinned.iter().all(|id| published.older.iter().any(|entry| entry.recipient_id() == Some(*id)));
    let serials = pin.map(|pin| (pin.serial, published.serial));
    Some(Need { values: vec![current.to_string()], kind: NeedKind::Recipient { pinned, still_opens, serials } })
}

impl Need {
    fn refusal(&self, accepted: &[String], name: &str, context: &str) -> CliError {
        let accept: Vec<_> =
            accepted.iter().chain(&self.values).map(|value| format!("--accept {}", value.trim())).collect();
        let command = format!("ageseal recipients sync {name} --context {context} {}", accept.join(" "));
        match &self.kind {
            NeedKind::Cluster { pinned } => CliError::finding(format!(
                "this is another cluster than the one that {name} is pinned to; nothing was written"
            ))
            .detail(format!("pinned: uid {pinned}"))
            .detail(format!("now:    uid {}   context {context}", self.values.join(", ")))
            .hint("name the context of the right one: --context CONTEXT")
            .hint(format!("only if the cluster was made anew: {command}")),
            NeedKind::Certificates { pinned } => {
                let were = if pinned.is_empty() { SYSTEM.to_owned() } else { pinned.join(", ") };
                CliError::finding(format!("the cluster of {name} proves itself with other certificates than the pinned ones; nothing was written"))
                    .detail(format!("pinned: {were}"))
                    .detail(format!("now:    {}", self.values.join(", ")))
                    .hint("ask whoever runs the cluster for the hash of its certificate authority, and compare")
                    .hint(format!("if it is theirs: {command}"))
            }
            NeedKind::Recipient { pinned, still_opens, serials } => {
                let pinned: Vec<_> = pinned.iter().map(ToString::to_string).collect();
                let error = CliError::finding(format!(
                    "the current recipient of {name} is another than before; nothing was written"
                ))
                .detail(format!("before: {}", pinned.join(", ")))
                .detail(format!("now:    {}", self.values.join(", ")));
                let error = match serials {
                    Some((old, new)) if new < old => error.detail(format!(
                        "the cluster says change {new}, and said {old} before: an older state of it was restored, or somebody else answers"
                    )),
                    _ => error,
                };
                let error = if *still_opens {
                    error
                } else {
                    error.detail("the cluster no longer opens what is sealed for the one before")
                };
                error
                    .hint("ask whoever runs the cluster whether this id is theirs: ageseal keys list shows it to them")
                    .hint(format!("if it is: {command}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ageseal::api::PublishedRecipient;
    use ageseal::policy::Refusal;
    use ageseal::recipient::{Identity, Recipient};

    use super::*;

    fn recipient() -> Recipient {
        Identity::generate_x25519().recipient().unwrap().canonical().parse().unwrap()
    }

    fn published(serial: u64, all: &[&Recipient]) -> Published {
        let mut all = all.iter().map(|recipient| PublishedRecipient::of(recipient, "2026-11-18T10:00:00Z".to_owned()));
        Published { serial, current: all.next().unwrap(), older: all.collect() }
    }

    fn file(text: &str) -> RecipientsFile {
        let parse = |text: &str| Ok::<_, Refusal>(text.parse::<Recipient>()?);
        RecipientsFile::parse("prod", text.as_bytes(), &parse).unwrap()
    }

    fn seen(certificates: &[&str]) -> Seen {
        let certificates = certificates.iter().map(|&text| text.to_owned()).collect();
        Seen { address: "https://a".to_owned(), certificates, unproved: None }
    }

    fn needs(trust: &Trust) -> Vec<&str> {
        trust.needs.iter().flat_map(|need| &need.values).map(String::as_str).collect()
    }

    #[test]
    fn a_first_sync_asks_for_nothing_unless_the_name_has_another_recipient() {
        let (one, two) = (recipient(), recipient());
        let said = published(1, &[&one]);
        let trust = Trust::new(None, &file(""), &said, &seen(&["a"]), Some("u"));
        assert_eq!((trust.standing, needs(&trust)), (Standing::New, vec![]));
        let trust = Trust::new(None, &file(&format!("{two}\n{one}\n")), &said, &seen(&["a"]), None);
        assert_eq!(needs(&trust), [""; 0]);
        let trust = Trust::new(None, &file(&format!("{two}\n")), &said, &seen(&["a"]), None);
        assert_eq!(needs(&trust), [one.id().to_string()]);
        let refusals = trust.refusals(&[], "prod", "c");
        assert!(refusals[0].details.iter().any(|line| line.contains("no longer opens")), "{refusals:?}");
        assert!(trust.refusals(&[one.id().to_string()], "prod", "c").is_empty());
        // Neither its beginning nor another id will do.
        for other in [&one.id().to_string()[..12], &two.id().to_string(), ""] {
            assert_eq!(trust.refusals(&[other.to_owned()], "prod", "c").len(), 1);
        }
    }

    #[test]
    fn another_cluster_or_another_certificate_is_told_by_its_name() {
        let one = recipient();
        let said = published(3, &[&one]);
        let pin = Trust::new(None, &file(""), &said, &seen(&["a", "b"]), Some("u")).pin(
            None,
            &said,
            "ns",
            Some("u"),
            &["a".to_owned(), "b".to_owned()],
        );
        let against = |seen: &Seen, uid: Option<&str>| Trust::new(Some(&pin), &file(""), &said, seen, uid);
        for same in [seen(&["a"]), seen(&["a", "b"])] {
            for uid in [Some("u"), None] {
                let trust = against(&same, uid);
                assert_eq!((trust.standing, needs(&trust)), (Standing::Same, vec![]));
                assert_eq!(trust.pin(Some(&pin), &said, "ns", uid, &same.certificates), pin);
            }
        }
        for (now, uid, accept) in [
            (seen(&["a"]), Some("v"), "v"),
            (seen(&["c"]), Some("v"), "v"),
            (seen(&["a", "c"]), Some("u"), "c"),
            (seen(&["c"]), None, "c"),
            (seen(&[]), Some("u"), SYSTEM),
        ] {
            let trust = against(&now, uid);
            assert_eq!((trust.standing, needs(&trust)), (Standing::Changed, vec![accept]));
            let new = trust.pin(Some(&pin), &said, "ns", uid, &now.certificates);
            assert_eq!((new.uid.as_deref(), new.certificates), (uid, now.certificates));
        }
    }

    #[test]
    fn an_older_state_of_the_cluster_is_said_to_be_one() {
        let (one, two) = (recipient(), recipient());
        let said = published(2, &[&two]);
        let pin = Trust { standing: Standing::New, needs: vec![] }.pin(None, &said, "ns", None, &[]);
        let trust = Trust::new(Some(&pin), &file(""), &published(1, &[&one, &two]), &seen(&[]), None);
        let told = &trust.refusals(&[], "prod", "c")[0];
        assert!(told.details.iter().any(|line| line.contains("an older state")), "{told:?}");
        assert!(!told.details.iter().any(|line| line.contains("no longer opens")), "{told:?}");
    }
}
