//! Who can read a document: what its envelopes claim, what their age files show, and what the policy says.

use std::collections::{BTreeMap, BTreeSet};

use super::sealed::Held;
use super::{Code, Context, File, FileReport, Finding, Level, few};
use crate::envelope::Header;
use crate::format::AgeFile;
use crate::manifest::SealedManifest;
use crate::policy::{Comparison, Member, RecipientSet, Recipients, Stale};
use crate::problem::Location;
use crate::recipient::{Recipient, RecipientId, RecipientKind};

const HYBRID: &str = "mlkem768x25519";
const SEAL_AGAIN: &str = "seal it again from its source: that takes the recipients of the policy";

/// Tells a path that no rule is for.
pub(super) fn check_rule(file: File<'_>, at: Location, context: &Context<'_>, report: &mut FileReport) {
    let Some((path, policy)) = file.path.zip(context.policy) else { return };
    // One finding a file is enough, however many documents it holds.
    if report.no_rule {
        return;
    }
    if let Err(error) = policy.rule_index(path) {
        report.say(Finding::new(Code::NoRule, Some(at), error.to_string()).hint(error.hint()));
    }
}

pub(super) fn check(
    file: File<'_>,
    manifest: &SealedManifest<'_>,
    title: &str,
    held: &[Held<'_>],
    context: &Context<'_>,
    report: &mut FileReport,
) {
    for one in held {
        claims(one, title, context.recipients, report);
        mixed(one, title, report);
    }
    let index = file.path.zip(context.policy).and_then(|(path, policy)| policy.rule_index(path).ok());
    let Some(set) = index.and_then(|index| context.sets.get(index)?.as_ref()) else { return };
    let mut apart = Apart::default();
    // An envelope that no value uses keeps nobody out and lets nobody in.
    for one in held.iter().filter(|one| !one.keys.is_empty()) {
        apart.add(one, set);
    }
    apart.tell(manifest, title, context, report);
}

/// Holds the stanzas of each age file against the recipients that it claims.
fn claims(held: &Held<'_>, title: &str, recipients: Option<&Recipients>, report: &mut FileReport) {
    for (file, header) in &held.headers {
        let Some(fact) = differs(file, header, recipients) else { continue };
        report.say(
            Finding::new(Code::ClaimMismatch, Some(held.at), format!("{title}{}: {fact}", of(&held.keys)))
                .hint("somebody edited the file: restore it from git, or seal it again and change the values"),
        );
    }
}

fn differs(file: &AgeFile, header: &Header, recipients: Option<&Recipients>) -> Option<String> {
    // A claim that stands twice counts once: it must not make room for a reader whom nobody names.
    let claimed: BTreeSet<RecipientId> = file.recipients.iter().copied().collect();
    let mut stanzas: Vec<&str> = header.stanzas.iter().map(String::as_str).collect();
    let shown = if stanzas.is_empty() { "none".to_owned() } else { few(&stanzas) };
    let mut unknown = 0;
    let mut plugins = 0;
    for id in &claimed {
        match find(recipients, *id) {
            Some(recipient) => match stanza_of(recipient) {
                Some(tag) => match stanzas.iter().position(|stanza| *stanza == tag) {
                    Some(index) => drop(stanzas.swap_remove(index)),
                    None => return Some(format!("claims a {}, and its stanzas are {shown}", recipient.kind())),
                },
                None => plugins += 1,
            },
            None => unknown += 1,
        }
    }
    // A plugin may write several stanzas for one recipient; everything else writes one.
    let fits = if plugins > 0 { stanzas.len() >= unknown + plugins } else { stanzas.len() == unknown };
    (!fits).then(|| {
        let count = claimed.len();
        let s = if count == 1 { "" } else { "s" };
        format!("claims {count} recipient{s}, and has {} stanzas: {shown}", header.stanzas.len())
    })
}

fn find(recipients: Option<&Recipients>, id: RecipientId) -> Option<&Recipient> {
    recipients?.files().find_map(|file| file.find(id)).map(|entry| &*entry.recipient)
}

/// The type of the stanza that a recipient's envelope has; a plugin's is its own business.
fn stanza_of(recipient: &Recipient) -> Option<&'static str> {
    match recipient.kind() {
        RecipientKind::Hybrid => Some(HYBRID),
        RecipientKind::X25519 => Some("X25519"),
        RecipientKind::Ssh if recipient.canonical().starts_with("ssh-rsa") => Some("ssh-rsa"),
        RecipientKind::Ssh => Some("ssh-ed25519"),
        RecipientKind::Plugin => None,
    }
}

/// Tells an envelope, its further age files counted, that a classic key opens beside a post-quantum one.
fn mixed(held: &Held<'_>, title: &str, report: &mut FileReport) {
    let mut stanzas = held.headers.iter().flat_map(|(_, header)| &header.stanzas);
    let strong = stanzas.clone().any(|stanza| stanza == HYBRID);
    let Some(odd) = stanzas.find(|stanza| *stanza != HYBRID).filter(|_| strong) else { return };
    report.say(
        Finding::new(Code::MixedRecipients, Some(held.at), format!("{title}{}: {HYBRID} and {odd}", of(&held.keys)))
            .hint("make all recipients of one kind, then seal it again from its source"),
    );
}

/// How the envelopes of one document differ from the policy: each difference once, with the keys that it is about.
#[derive(Default)]
struct Apart<'a> {
    missing: BTreeMap<RecipientId, (Vec<String>, Keys<'a>)>,
    unknown: BTreeMap<RecipientId, Keys<'a>>,
    superseded: BTreeMap<RecipientId, (Stale, Keys<'a>)>,
}

/// Keys, and where the first of them is held.
struct Keys<'a> {
    at: Location,
    keys: Vec<&'a str>,
}

impl<'a> Keys<'a> {
    fn at(at: Location) -> Self {
        Self { at, keys: Vec::new() }
    }

    fn add(&mut self, held: &Held<'a>) {
        self.at = self.at.min(held.at);
        self.keys.extend(&held.keys);
    }
}

impl<'a> Apart<'a> {
    fn add(&mut self, held: &Held<'a>, set: &RecipientSet) {
        let claimed = held.envelope.claimed();
        let comparison = set.compare(&claimed);
        for member in really_missing(&comparison) {
            let names = || (member.names.clone(), Keys::at(held.at));
            self.missing.entry(member.recipient.id()).or_insert_with(names).1.add(held);
        }
        for id in &comparison.unknown {
            self.unknown.entry(*id).or_insert_with(|| Keys::at(held.at)).add(held);
        }
        for stale in &comparison.superseded {
            let one = || (stale.clone(), Keys::at(held.at));
            self.superseded.entry(stale.id).or_insert_with(one).1.add(held);
        }
    }

    fn tell(mut self, manifest: &SealedManifest<'_>, title: &str, context: &Context<'_>, report: &mut FileReport) {
        let all = manifest.sealed.items.len();
        let which = |keys: &mut Vec<&'a str>| {
            keys.sort_unstable();
            if keys.len() == all { title.to_owned() } else { format!("{title}, {}", few(keys)) }
        };
        for (id, (names, keys)) in &mut self.missing {
            let who = if names.is_empty() { id.to_string() } else { format!("{} ({id})", names.join(" and ")) };
            let line = format!("{}: not sealed for {who}", which(&mut keys.keys));
            report.say(Finding::new(Code::MissingRecipient, Some(keys.at), line).hint(SEAL_AGAIN));
        }
        for (id, keys) in &mut self.unknown {
            let names: Vec<_> = context
                .recipients
                .map(|recipients| recipients.describe(*id).into_iter().map(|named| named.name).collect())
                .unwrap_or_default();
            let who = if names.is_empty() { id.to_string() } else { format!("{} ({id})", names.join(" and ")) };
            let line = format!("{}: sealed for {who}", which(&mut keys.keys));
            let hint = "if they may read it, add them to the rule; if not, seal it again and change the values";
            report.say(Finding::new(Code::UnknownRecipient, Some(keys.at), line).hint(hint));
        }
        for (id, (stale, keys)) in &mut self.superseded {
            let overdue = stale.is_overdue(context.now);
            let until = if overdue { "was accepted until" } else { "is accepted until" };
            let line = format!("{}: {} ({id}) {until} {}", which(&mut keys.keys), stale.name, stale.until);
            let mut finding = Finding::new(Code::SupersededRecipient, Some(keys.at), line).hint(SEAL_AGAIN);
            if overdue {
                finding.level = Level::Error;
            }
            report.say(finding.strictly(context));
        }
    }
}

/// The recipients that are missing, without those whose superseded key stands in their place: that is told of the
/// superseded one.
fn really_missing(comparison: &Comparison) -> Vec<&Member> {
    let mut stand_ins: Vec<&str> = comparison.superseded.iter().map(|stale| stale.name.as_str()).collect();
    let mut missing: Vec<&Member> = comparison.missing.iter().collect();
    missing.retain(|member| {
        let index = stand_ins.iter().position(|name| member.names.iter().any(|own| own == name));
        index.map(|index| stand_ins.swap_remove(index)).is_none()
    });
    missing
}

fn of(keys: &[&str]) -> String {
    if keys.is_empty() { String::new() } else { format!(", {}", few(keys)) }
}
