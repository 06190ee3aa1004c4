//! Whether what answered is the pinned cluster, and whether it publishes the pinned recipient.

use ageseal::api::Published;
use ageseal::policy::RecipientsFile;
use ageseal::recipient::RecipientId;

use crate::cluster::Seen;
use crate::error::CliError;
use crate::pins::{Pin, provable};

/// What is accepted in place of a hash where the operating system's certificates prove the cluster.
const SYSTEM: &str = "system-certificates";

/// Who answered, as far as that can be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    /// How it was reached.
    pub(super) seen: &'a Seen,
    /// The uid of its namespace `kube-system`, if that could be read.
    pub(super) uid: Option<&'a str>,
    /// The namespace that the recipients come from.
    pub(super) namespace: &'a str,
}

/// How the cluster stands to its pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is no pin.
    New,
    /// It is the pinned one, by its uid, by its own certificates, or by an address that the operating system's prove.
    Same,
    /// It is not known to be another, and nothing shows that it is the pinned one.
    Unverified,
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
    /// Nothing could be compared but the address, which is not the pinned one, or none is pinned.
    Address { pinned: Option<String>, uid: Option<String> },
    /// The recipients come from another namespace: whoever may write there is somebody else.
    Namespace { pinned: String },
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
    pub(super) fn new(pin: Option<&Pin>, file: &RecipientsFile, published: &Published, answer: &Answer<'_>) -> Self {
        let mut needs: Vec<Need> = pin.and_then(|pin| cluster_need(pin, answer)).into_iter().collect();
        let standing = match (pin, needs.first().map(|need| &need.kind)) {
            (None, _) => Standing::New,
            (Some(_), None) => Standing::Same,
            (Some(_), Some(NeedKind::Address { .. })) => Standing::Unverified,
            (Some(_), Some(_)) => Standing::Changed,
        };
        needs.extend(pin.and_then(|pin| namespace_need(pin, answer.namespace)));
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
    pub(super) fn pin(&self, old: Option<&Pin>, published: &Published, answer: &Answer<'_>) -> Pin {
        let mut ids: Vec<RecipientId> = published.all().filter_map(|entry| entry.recipient_id()).collect();
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(*id));
        let same = old.filter(|_| self.standing == Standing::Same);
        // An accepted address is taken for the pinned cluster: the uid stays, for whoever can compare it.
        let kept = old.filter(|_| matches!(self.standing, Standing::Same | Standing::Unverified));
        let certificates = same.map_or_else(|| answer.seen.certificates.clone(), |pin| pin.certificates.clone());
        // People may come to one cluster by several addresses: the first is kept while it is known to be that cluster.
        let address = same.and_then(|pin| pin.address.clone());
        let address = address.or_else(|| provable(&answer.seen.address).map(str::to_owned));
        Pin {
            namespace: answer.namespace.to_owned(),
            // Who may not read the uid does not take it away from those who may.
            uid: answer.uid.map(str::to_owned).or_else(|| kept.and_then(|pin| pin.uid.clone())),
            address: address.filter(|_| certificates.is_empty()),
            certificates,
            serial: published.serial.max(1),
            // Every recipient of a Published that was read has an id.
            current: ids.first().copied().unwrap_or_else(|| RecipientId::of(&published.current.recipient)),
            recipients: ids,
        }
    }
}

/// What has to be accepted of a cluster that is not as it was pinned.
fn cluster_need(pin: &Pin, answer: &Answer<'_>) -> Option<Need> {
    let seen = answer.seen;
    if let (Some(pinned), Some(uid)) = (&pin.uid, answer.uid)
        && pinned != uid
    {
        return Some(Need { values: vec![uid.to_owned()], kind: NeedKind::Cluster { pinned: pinned.clone() } });
    }
    let new: Vec<String> = match (pin.certificates.is_empty(), seen.certificates.is_empty()) {
        // They prove any cluster that somebody has the name of.
        (true, true) => return address_need(pin, answer),
        (false, true) => vec![SYSTEM.to_owned()],
        _ => seen.certificates.iter().filter(|hash| !pin.certificates.contains(hash)).cloned().collect(),
    };
    let kind = NeedKind::Certificates { pinned: pin.certificates.clone() };
    (!new.is_empty()).then_some(Need { values: new, kind })
}

/// What has to be accepted of an address, where nothing else tells one cluster from another.
fn address_need(pin: &Pin, answer: &Answer<'_>) -> Option<Need> {
    let address = &answer.seen.address;
    let is_pinned = provable(address).is_some() && pin.address.as_ref() == Some(address);
    // One that is not the same is a need of its own by now.
    if is_pinned || (pin.uid.is_some() && answer.uid.is_some()) {
        return None;
    }
    let kind = NeedKind::Address { pinned: pin.address.clone(), uid: pin.uid.clone() };
    Some(Need { values: vec![address.clone()], kind })
}

fn namespace_need(pin: &Pin, namespace: &str) -> Option<Need> {
    let kind = NeedKind::Namespace { pinned: pin.namespace.clone() };
    (pin.namespace != namespace).then(|| Need { values: vec![namespace.to_owned()], kind })
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
            NeedKind::Address { pinned, uid } => {
                let told = CliError::finding(format!(
                    "nothing shows that this is the cluster that {name} is pinned to; nothing was written"
                ));
                let told = told
                    .detail("you may not read its uid, and the operating system's certificates prove an address alone");
                let told = uid.iter().fold(told, |told, uid| told.detail(format!("pinned: uid {uid}")));
                let told = pinned.iter().fold(told, |told, pinned| told.detail(format!("pinned: {pinned}")));
                told.detail(format!("now:    {}   context {context}", self.values.join(", ")))
                    .hint("somebody who may get the namespace kube-system can sync instead, and compare the uid")
                    .hint(format!("if this is the cluster's address: {command}"))
            }
            NeedKind::Namespace { pinned } => CliError::finding(format!(
                "the recipients of {name} come from another namespace than the pinned one; nothing was written"
            ))
            .detail(format!("pinned: {pinned}"))
            .detail(format!("now:    {}", self.values.join(", ")))
            .hint("leave --controller-namespace out: the pinned one is taken")
            .hint(format!("only if the controller moved: {command} --controller-namespace {}", self.values.join(" "))),
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

    fn answer<'a>(seen: &'a Seen, uid: Option<&'a str>) -> Answer<'a> {
        Answer { seen, uid, namespace: "ns" }
    }

    fn needs(trust: &Trust) -> Vec<&str> {
        trust.needs.iter().flat_map(|need| &need.values).map(String::as_str).collect()
    }

    #[test]
    fn a_first_sync_asks_for_nothing_unless_the_name_has_another_recipient() {
        let (one, two) = (recipient(), recipient());
        let said = published(1, &[&one]);
        let trust = Trust::new(None, &file(""), &said, &answer(&seen(&["a"]), Some("u")));
        assert_eq!((trust.standing, needs(&trust)), (Standing::New, vec![]));
        let trust = Trust::new(None, &file(&format!("{two}\n{one}\n")), &said, &answer(&seen(&["a"]), None));
        assert_eq!(needs(&trust), [""; 0]);
        let trust = Trust::new(None, &file(&format!("{two}\n")), &said, &answer(&seen(&["a"]), None));
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
        let both = seen(&["a", "b"]);
        let first = answer(&both, Some("u"));
        let pin = Trust::new(None, &file(""), &said, &first).pin(None, &said, &first);
        assert_eq!(pin.address, None);
        let against = |seen: &Seen, uid: Option<&str>| Trust::new(Some(&pin), &file(""), &said, &answer(seen, uid));
        for same in [seen(&["a"]), seen(&["a", "b"])] {
            for uid in [Some("u"), None] {
                let trust = against(&same, uid);
                assert_eq!((trust.standing, needs(&trust)), (Standing::Same, vec![]));
                assert_eq!(trust.pin(Some(&pin), &said, &answer(&same, uid)), pin);
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
            let new = trust.pin(Some(&pin), &said, &answer(&now, uid));
            assert_eq!((new.uid.as_deref(), new.certificates), (uid, now.certificates));
        }
    }

    #[test]
    fn an_older_state_of_the_cluster_is_said_to_be_one() {
        let (one, two) = (recipient(), recipient());
        let said = published(2, &[&two]);
        let pin = Trust { standing: Standing::New, needs: vec![] }.pin(None, &said, &answer(&seen(&[]), None));
        let trust = Trust::new(Some(&pin), &file(""), &published(1, &[&one, &two]), &answer(&seen(&[]), None));
        let told = &trust.refusals(&[], "prod", "c")[0];
        assert!(told.details.iter().any(|line| line.contains("an older state")), "{told:?}");
        assert!(!told.details.iter().any(|line| line.contains("no longer opens")), "{told:?}");
    }

    #[test]
    fn where_only_an_address_is_proved_it_is_the_pinned_one_or_is_accepted() {
        let one = recipient();
        let said = published(1, &[&one]);
        let at = |address: &str| Seen { address: address.to_owned(), ..seen(&[]) };
        let (here, there, proxy) = (at("https://a/k8s/c-1"), at("https://a/k8s/c-2"), at("http://127.0.0.1:8001"));
        let first = answer(&here, Some("u"));
        let pin = Trust::new(None, &file(""), &said, &first).pin(None, &said, &first);
        assert_eq!((pin.address.as_deref(), pin.uid.as_deref()), (Some("https://a/k8s/c-1"), Some("u")));
        let against = |pin: &Pin, seen: &Seen, uid: Option<&str>| {
            let trust = Trust::new(Some(pin), &file(""), &said, &answer(seen, uid));
            let new = trust.pin(Some(pin), &said, &answer(seen, uid));
            (trust, new)
        };
        for (seen, uid) in [(&here, None), (&here, Some("u")), (&there, Some("u")), (&proxy, Some("u"))] {
            let (trust, new) = against(&pin, seen, uid);
            assert_eq!((trust.standing, needs(&trust), &new), (Standing::Same, vec![], &pin));
        }
        assert_eq!(against(&pin, &here, Some("v")).0.standing, Standing::Changed);
        // Neither read nor compared: the address has to be accepted, is pinned then, and the uid stays for others.
        let (trust, new) = against(&pin, &there, None);
        assert_eq!((trust.standing, needs(&trust)), (Standing::Unverified, vec!["https://a/k8s/c-2"]));
        assert_eq!((new.address.as_deref(), new.uid.as_deref()), (Some("https://a/k8s/c-2"), Some("u")));
        assert_eq!(trust.refusals(&[], "prod", "c").len(), 1);
        assert!(trust.refusals(&["https://a/k8s/c-2".to_owned()], "prod", "c").is_empty());
        assert_eq!(against(&new, &there, None).0.standing, Standing::Same);
        // A pin from before addresses were in it; and an address that nothing proves, which never is one.
        let bare = Pin { address: None, uid: None, ..pin };
        assert_eq!(against(&bare, &here, Some("u")).0.standing, Standing::Unverified);
        let (trust, new) = against(&bare, &proxy, None);
        assert_eq!((trust.standing, new.address), (Standing::Unverified, None));
    }

    #[test]
    fn another_namespace_is_accepted_by_its_name_whatever_the_cluster_is() {
        let one = recipient();
        let said = published(1, &[&one]);
        let seen = seen(&["a"]);
        let first = answer(&seen, Some("u"));
        let pin = Trust::new(None, &file(""), &said, &first).pin(None, &said, &first);
        let moved = Answer { namespace: "tenant", ..first };
        let trust = Trust::new(Some(&pin), &file(""), &said, &moved);
        assert_eq!((trust.standing, needs(&trust)), (Standing::Same, vec!["tenant"]));
        assert_eq!(trust.refusals(&[], "prod", "c")[0].details, ["pinned: ns", "now:    tenant"]);
        assert!(trust.refusals(&["tenant".to_owned()], "prod", "c").is_empty());
        assert_eq!(trust.pin(Some(&pin), &said, &moved).namespace, "tenant");
    }
}
