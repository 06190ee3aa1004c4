//! One sealed document: its shape, its envelopes, its size; then its scope, its readers, and whether it opens.

use super::{Code, Context, File, FileReport, Finding, Patch, few, open, readers, scopes, shown_name};
use crate::envelope::{EnvelopeError, Header, inspect};
use crate::format::{AgeFile, Envelope, Kid};
use crate::manifest::{Object, ObjectKind, SealedManifest};
use crate::problem::{Location, Problem};
use crate::rewrite::check_size;

/// An envelope, the values that it is for, and what its age files show without a key.
pub(super) struct Held<'a> {
    pub(super) envelope: &'a Envelope,
    pub(super) at: Location,
    pub(super) keys: Vec<&'a str>,
    pub(super) headers: Vec<(&'a AgeFile, Header)>,
}

pub(super) fn check(file: File<'_>, object: Object<'_>, context: &Context<'_>, report: &mut FileReport) {
    let reading = SealedManifest::read(object.node);
    let title = title(object.namespace(), object.name());
    for problem in reading.problems.iter().filter(|problem| problem.is_error()) {
        report.say(malformed(&title, problem));
    }
    // The rule of the path is told even where the document is broken.
    readers::check_rule(file, object.node.location(), context, report);
    let Some(manifest) = reading.manifest else { return };
    report.values += manifest.sealed.items.len();

    let server_side = context.policy.is_some_and(crate::policy::Policy::server_side_apply);
    if let Err(problem) = check_size(object.node, server_side) {
        let finding = Finding::new(Code::TooLarge, problem.at, format!("{title}: {}", problem.message));
        report.say(Finding { hint: problem.hint, ..finding });
    }
    if manifest.is_patch() {
        patch(file, &manifest, report);
    }
    let before = report.said;
    let held = envelopes(&manifest, &title, report);
    missing_envelopes(&manifest, &title, report);
    let whole = report.said == before;
    orphans(&manifest, &title, report);
    scopes::check(file, &manifest, &title, context, report);
    readers::check(file, &manifest, &title, &held, context, report);
    if whole && let Some(ring) = context.ring {
        open::check(&manifest, &title, ring, context, report);
    }
}

/// Whether an object holds sealed values under another kind or group: nothing would ever open it.
pub(super) fn looks_sealed(object: &Object<'_>) -> bool {
    let items = object.node.get("spec").and_then(|spec| spec.get("encryptedData"));
    let mut values = items.into_iter().flat_map(|items| items.entries()).filter_map(|(_, item)| item.get("value"));
    object.kind == ObjectKind::Other && values.any(|value| value.str().is_some_and(|text| text.starts_with("ags1.")))
}

/// How a document is called in findings.
fn title(namespace: Option<&str>, name: Option<&str>) -> String {
    let name = name.map_or("a document without a name", shown_name);
    match namespace {
        Some(namespace) => format!("{}/{name}", shown_name(namespace)),
        None => name.to_owned(),
    }
}

fn malformed(title: &str, problem: &Problem) -> Finding {
    let line = match &problem.key {
        Some(key) => format!("{title}, {}: {}", shown_name(key), problem.message),
        None => format!("{title}: {}", problem.message),
    };
    let finding = Finding::new(Code::Malformed, problem.at, line);
    match &problem.hint {
        Some(hint) => finding.hint(hint),
        None => finding.hint("restore the file from git, or seal it again from its source"),
    }
}

fn patch(file: File<'_>, manifest: &SealedManifest<'_>, report: &mut FileReport) {
    let at = manifest.node.location();
    if file.built {
        let line = format!("{}: there is no spec.scope, which every document has when it is deployed", manifest.name);
        report.say(Finding::new(Code::Malformed, Some(at), line).hint("a patch belongs under patches, not resources"));
    } else if file.path.is_some() {
        let keys = manifest.sealed.items.keys().cloned().collect();
        report.patches.push(Patch { name: manifest.name.clone(), keys, at });
    }
}

/// Looks into every envelope, also those that no value uses.
fn envelopes<'a>(manifest: &'a SealedManifest<'_>, title: &str, report: &mut FileReport) -> Vec<Held<'a>> {
    let sealed = &manifest.sealed;
    let keys_of = |kid: Kid| {
        let uses = sealed.items.iter().filter(move |(_, item)| item.envelope.is_none() && item.value.kid == kid);
        uses.map(|(key, _)| key.as_str()).collect()
    };
    let shared = sealed.envelopes.iter().map(|(kid, envelope)| {
        let what = format!("the envelope {}", kid.map_key());
        (envelope, shared_at(manifest, *kid), keys_of(*kid), what)
    });
    let own = sealed.items.iter().filter_map(|(key, item)| {
        let envelope = item.envelope.as_ref()?;
        Some((envelope, key_at(manifest, key), vec![key.as_str()], format!("the envelope of {key}")))
    });
    let mut held = Vec::new();
    for (envelope, at, keys, what) in shared.chain(own) {
        let mut headers = Vec::new();
        for file in envelope.files() {
            match inspect(&file.age) {
                Ok(header) => headers.push((file, header)),
                Err(error) => report.say(broken(title, &what, at, error)),
            }
        }
        if headers.len() == envelope.files().count() {
            held.push(Held { envelope, at, keys, headers });
        }
    }
    held
}

fn broken(title: &str, what: &str, at: Location, error: EnvelopeError) -> Finding {
    Finding::new(Code::BadEnvelope, Some(at), format!("{title}: {what} is {error}"))
        .hint("restore the file from git, or seal it again from its source")
}

fn missing_envelopes(manifest: &SealedManifest<'_>, title: &str, report: &mut FileReport) {
    for key in manifest.without_envelope() {
        let line = format!("{title}: {key} has none of its own, and spec.envelopes has none for its key id");
        report.say(
            Finding::new(Code::MissingEnvelope, Some(key_at(manifest, key)), line)
                .hint("restore the envelope from git history, or set the value again"),
        );
    }
}

fn orphans(manifest: &SealedManifest<'_>, title: &str, report: &mut FileReport) {
    let orphans = manifest.sealed.orphans();
    let Some(first) = orphans.first() else { return };
    let names: Vec<_> = orphans.iter().map(|kid| kid.map_key()).collect();
    let line = format!("{title}: {}", few(&names));
    report.say(Finding::new(Code::OrphanEnvelope, Some(shared_at(manifest, *first)), line));
}

/// Where a data key stands.
pub(super) fn key_at(manifest: &SealedManifest<'_>, key: &str) -> Location {
    let items = manifest.spec().and_then(|spec| spec.get("encryptedData"));
    entry_at(manifest, items.and_then(|items| items.entry(key)))
}

fn shared_at(manifest: &SealedManifest<'_>, kid: Kid) -> Location {
    let envelopes = manifest.spec().and_then(|spec| spec.get("envelopes"));
    entry_at(manifest, envelopes.and_then(|envelopes| envelopes.entry(&kid.map_key())))
}

fn entry_at<N>(manifest: &SealedManifest<'_>, entry: Option<(crate::yaml::Node<'_>, N)>) -> Location {
    entry.map_or_else(|| manifest.node.location(), |(key, _)| key.location())
}
