//! From the text of a file to what is shown of its sealed documents.

use std::collections::BTreeMap;
use std::path::Path;

use ageseal::check::{Code, File, Finding, Level, check_text};
use ageseal::envelope::inspect;
use ageseal::format::{self, Item, Kid};
use ageseal::kustomize::Resolution;
use ageseal::manifest::{Object, ObjectKind, SealedManifest, SecretType, could_hold_secret, kinds, names, objects};
use ageseal::open::{OpenError, open};
use ageseal::policy::RecipientSet;
use ageseal::problem::Location;
use ageseal::recipient::{KeyRing, RecipientId};
use ageseal::rewrite::Target;
use ageseal::scope::Scope;
use ageseal::yaml::{Stream, YamlError};

use super::model::{AgeFile, Deployment, Document, Envelope, Expires, Key, Opened, Reader, Standing, Told};
use super::places::Place;
use crate::clock;
use crate::keys::short_id;
use crate::repository::{Repository, from_here};

/// What is known of a file besides its bytes.
pub struct About<'a> {
    /// Its path as one would type it here.
    pub shown: &'a str,
    /// Whether the user named it.
    pub named: bool,
    /// Where it lies.
    pub place: Place<'a>,
    /// The identities to open with, if they were asked to.
    pub ring: Option<&'a KeyRing>,
    /// The time in seconds since 1970 UTC.
    pub now: i64,
}

/// Describes the sealed documents of a file; none if it holds none.
///
/// A text that cannot be read is one broken document if it was named or says that it is one of ours.
pub fn documents(about: &About<'_>, bytes: Vec<u8>) -> Vec<Document> {
    if !about.named && !could_hold_secret(&bytes) {
        return Vec::new();
    }
    let group = b"ageseal.dev/";
    let ours = about.named || bytes.windows(group.len()).any(|word| word == group);
    let stream = match Stream::from_bytes(bytes.clone()) {
        Ok(stream) => stream,
        Err(error) if ours => return vec![unreadable(about, &error)],
        Err(_) => return Vec::new(),
    };
    let all: Vec<Object<'_>> = objects(&stream).collect();
    if all.iter().all(|object| object.kind != ObjectKind::SealedSecret) {
        return Vec::new();
    }
    let file = File { path: about.place.path, shown: about.shown, built: false };
    let findings = check_text(file, bytes, about.place.context).findings;
    let mut starts: Vec<Location> = all.iter().map(|object| object.node.location()).collect();
    // The items of a list may stand above it, behind an anchor. Findings come in the order of the text.
    starts.sort_unstable();
    let before = |at: Location| findings.partition_point(|finding| finding.at < Some(at));
    let sealed = all.iter().filter(|object| object.kind == ObjectKind::SealedSecret);
    sealed
        .map(|object| {
            // A finding belongs to the last object that begins before it.
            let start = object.node.location();
            let end = starts.get(starts.partition_point(|other| *other <= start));
            let own = &findings[before(start)..end.map_or(findings.len(), |end| before(*end))];
            document(about, object, own.iter().filter(|finding| !is_plaintext(finding)))
        })
        .collect()
}

fn is_plaintext(finding: &Finding) -> bool {
    matches!(
        finding.code,
        Code::PlaintextSecret | Code::PlaintextEmbedded | Code::PlaintextLastApplied | Code::PlaintextSuspected
    )
}

fn blank(about: &About<'_>, line: usize) -> Document {
    Document {
        path: about.place.path.unwrap_or(about.shown).to_owned(),
        shown: about.shown.to_owned(),
        line,
        well_formed: false,
        namespace: None,
        name: None,
        patch: false,
        secret_type: None,
        immutable: None,
        scope: None,
        keys: vec![],
        envelopes: vec![],
        readers: vec![],
        findings: vec![],
        deployed: vec![],
        opened: None,
    }
}

fn unreadable(about: &About<'_>, error: &YamlError) -> Document {
    let problem = error.to_problem();
    let mut document = blank(about, problem.at.map_or(1, |at| at.line));
    let code = Code::Unreadable;
    document.findings.push(Told {
        code,
        severity: Level::Error.to_string(),
        line: problem.at.map(|at| at.line),
        column: problem.at.map(|at| at.column),
        message: format!("{}: {}", code.headline(), problem.message),
        short: format!("not readable: {}", problem.message),
        hint: problem.hint,
    });
    document
}

fn document<'f>(about: &About<'_>, object: &Object<'_>, findings: impl Iterator<Item = &'f Finding>) -> Document {
    let mut document = blank(about, object.node.location().line);
    // What is no name may be a value that somebody wrote in the wrong place.
    let named = |text: &&str| names::object_name_fault(text).is_none();
    document.name = object.name().filter(named).map(str::to_owned);
    document.namespace = object.namespace().filter(named).map(str::to_owned);
    let title = document.title();
    document.findings = findings.map(|finding| told(finding, &title)).collect();
    if let Some(manifest) = SealedManifest::read(object.node).manifest {
        fill(&mut document, about, &manifest);
    }
    document
}

fn told(finding: &Finding, title: &str) -> Told {
    let short = |line: &String| {
        let rest = line.strip_prefix(title).and_then(|rest| rest.strip_prefix(": ").or(rest.strip_prefix(", ")));
        rest.unwrap_or(line).to_owned()
    };
    let lines: Vec<String> = finding.lines.iter().map(short).collect();
    Told {
        code: finding.code,
        severity: finding.level.to_string(),
        line: finding.at.map(|at| at.line),
        column: finding.at.map(|at| at.column),
        message: finding.message(),
        short: format!("{}: {}", finding.code.headline(), lines.join("; ")),
        hint: finding.hint.clone(),
    }
}

fn fill(document: &mut Document, about: &About<'_>, manifest: &SealedManifest<'_>) {
    let sealed = &manifest.sealed;
    document.well_formed = true;
    document.patch = manifest.is_patch();
    document.secret_type = Some(sealed.secret_type.clone());
    document.immutable = manifest.immutable;
    document.scope = sealed.scope.as_ref().map(patterns);
    document.keys = sealed.items.iter().map(|(name, item)| key(name, item, manifest)).collect();
    document.envelopes = envelopes(manifest, about);
    document.readers = readers(manifest, about);
    document.deployed = deployed(manifest, about);
    document.opened = about.ring.map(|ring| opened(manifest, ring, about.now));
}

fn deployed(manifest: &SealedManifest<'_>, about: &About<'_>) -> Vec<Deployment> {
    let Some((resolution, path)) = about.place.resolution.zip(about.place.path) else { return Vec::new() };
    let targets = if manifest.is_patch() {
        Target::of_patch(resolution, path, manifest.namespace.as_deref(), &manifest.name).0
    } else {
        Target::of_document(resolution, path, manifest.namespace.as_deref(), &manifest.name)
    };
    let top = about.place.repository.map_or(Path::new(""), Repository::top);
    targets.into_iter().map(|target| deployment(target, resolution, top)).collect()
}

fn deployment(target: Target, resolution: &Resolution, top: &Path) -> Deployment {
    let build = resolution.roots.get(&target.root).and_then(|build| build.as_ref().ok());
    let references = build.into_iter().flat_map(|build| &build.references).filter(|one| target.is_named_by(one));
    let mut used_by: Vec<String> =
        references.map(|one| format!("{}/{}", one.from.kind.to_lowercase(), one.from.name)).collect();
    used_by.sort();
    used_by.dedup();
    let name = target.built_name();
    let shown = from_here(&top.join(&*target.root.folder)).display().to_string();
    let shown = if shown.is_empty() { ".".to_owned() } else { shown };
    let by = target.root.layer.as_ref().map(ToString::to_string);
    let kustomization = target.root.folder.to_string();
    Deployment { kustomization, by, shown, namespace: target.namespace, name, used_by }
}

fn patterns(scope: &Scope) -> Vec<String> {
    scope.patterns().iter().map(ToString::to_string).collect()
}

fn key(name: &str, item: &Item, manifest: &SealedManifest<'_>) -> Key {
    let kid = item.value.kid;
    let held = item.envelope.is_some() || manifest.sealed.envelopes.contains_key(&kid);
    Key {
        name: name.to_owned(),
        // One byte of the padding is its mark.
        at_most_bytes: item.value.padded_len() - 1,
        scope: item.scope.as_ref().map(patterns),
        envelope: held.then(|| kid.map_key()),
        own_envelope: item.envelope.is_some(),
    }
}

/// Every envelope with the keys that it is for, shared ones first.
fn held<'m>(manifest: &'m SealedManifest<'_>) -> impl Iterator<Item = (Kid, &'m format::Envelope, bool, Vec<&'m str>)> {
    let items = &manifest.sealed.items;
    let shared = manifest.sealed.envelopes.iter().map(move |(kid, envelope)| {
        let uses = items.iter().filter(|(_, item)| item.envelope.is_none() && item.value.kid == *kid);
        (*kid, envelope, false, uses.map(|(key, _)| key.as_str()).collect())
    });
    let own = items.iter().filter_map(|(key, item)| {
        item.envelope.as_ref().map(|envelope| (item.value.kid, envelope, true, vec![key.as_str()]))
    });
    shared.chain(own)
}

fn envelopes(manifest: &SealedManifest<'_>, about: &About<'_>) -> Vec<Envelope> {
    let age_file = |file: &format::AgeFile| {
        let mut names: Vec<String> = file.recipients.iter().map(|id| called(*id, about)).collect();
        names.sort();
        let recipients = file.recipients.iter().map(ToString::to_string).collect();
        AgeFile { recipients, names, stanzas: inspect(&file.age).ok().map(|header| header.stanzas) }
    };
    held(manifest)
        .map(|(kid, envelope, own, keys)| Envelope {
            id: kid.map_key(),
            own,
            keys: keys.into_iter().map(str::to_owned).collect(),
            age_files: envelope.files().map(age_file).collect(),
        })
        .collect()
}

/// Who can read how much, in the order of the rule; then everybody else by name.
fn readers(manifest: &SealedManifest<'_>, about: &About<'_>) -> Vec<Reader> {
    let set = rule(about);
    let mut counts: BTreeMap<RecipientId, usize> = BTreeMap::new();
    // An envelope that no value uses lets nobody in, but where there is no value at all.
    for (_, envelope, _, keys) in
        held(manifest).filter(|(.., keys)| !keys.is_empty() || manifest.sealed.items.is_empty())
    {
        for id in envelope.claimed() {
            *counts.entry(id).or_default() += keys.len();
        }
    }
    let current: Vec<RecipientId> = set.into_iter().flat_map(RecipientSet::ids).collect();
    let mut others: Vec<RecipientId> = counts.keys().copied().filter(|id| !current.contains(id)).collect();
    others.sort_by_cached_key(|id| (called(*id, about), *id));
    current
        .into_iter()
        .chain(others)
        .map(|id| {
            let stale = set.and_then(|set| set.superseded().iter().find(|stale| stale.id == id));
            let standing = standing(id, about).map(|standing| match standing {
                Standing::Current if !counts.contains_key(&id) => Standing::Missing,
                standing => standing,
            });
            Reader {
                id: id.to_string(),
                names: names_of(id, about),
                standing,
                until: stale.filter(|_| standing == Some(Standing::Superseded)).map(|stale| stale.until.to_string()),
                keys: counts.get(&id).copied().unwrap_or_default(),
                shown: called(id, about),
            }
        })
        .collect()
}

fn names_of(id: RecipientId, about: &About<'_>) -> Vec<String> {
    let named = about.place.repository.map(|repository| repository.recipients().describe(id)).unwrap_or_default();
    named.into_iter().map(|named| named.name).collect()
}

/// The recipients of the rule for the path, if there is one and it can be followed.
fn rule<'a>(about: &About<'a>) -> Option<&'a RecipientSet> {
    let (repository, path) = about.place.repository.zip(about.place.path)?;
    repository.recipients_for(path).ok()
}

fn standing(id: RecipientId, about: &About<'_>) -> Option<Standing> {
    let set = rule(about)?;
    Some(if set.ids().any(|own| own == id) {
        Standing::Current
    } else if set.superseded().iter().any(|stale| stale.id == id) {
        Standing::Superseded
    } else {
        Standing::Unknown
    })
}

/// The names of a recipient, or its id cut short, and how it stands if that is not as it should be.
fn called(id: RecipientId, about: &About<'_>) -> String {
    let names = names_of(id, about);
    let name = if names.is_empty() { short_id(id) } else { names.join("/") };
    match standing(id, about) {
        Some(Standing::Superseded) => format!("{name} (superseded)"),
        Some(Standing::Unknown) => format!("{name} (not in the rule)"),
        _ => name,
    }
}

/// Opens every value and forgets it.
fn opened(manifest: &SealedManifest<'_>, ring: &KeyRing, now: i64) -> Opened {
    match open(&manifest.sealed, None, ring) {
        Ok(opened) => {
            let secret_type: Option<SecretType> = manifest.sealed.secret_type.parse().ok();
            let expiry = secret_type.and_then(|secret_type| kinds::expiry(&secret_type, &opened.values));
            let expires = expiry.map(|expiry| Expires {
                key: expiry.key.to_owned(),
                what: expiry.what,
                at: clock::rfc3339(expiry.at),
                expired: expiry.is_over(now),
            });
            Opened { opens: true, reason: None, key: None, expires }
        }
        Err(error) => {
            let reason = Some(error.reason().to_string());
            let key = match error {
                OpenError::NotARecipient { key, .. } | OpenError::Envelope { key } | OpenError::Value { key } => {
                    Some(key)
                }
                _ => None,
            };
            Opened { opens: false, reason, key, expires: None }
        }
    }
}
