//! Plaintext Secrets: where they stand, whether they are meant to, and what git has of them.

use super::{Code, Context, File, FileReport, Finding, Level, few, shown_name};
use crate::manifest::{Embedded, LAST_APPLIED, Object, ObjectKind, embedded, holds_values, objects};
use crate::problem::Location;
use crate::yaml::{Node, Stream, YamlError};

/// What git knows of a file with plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InGit {
    /// Nothing, or there is no git.
    Unknown,
    /// It ignores the file, and does not track it.
    Ignored,
    /// It has the file: in the index or in some commit.
    Kept,
}

/// Finds every plaintext Secret of a stream.
pub(super) fn check(file: File<'_>, stream: &Stream, context: &Context<'_>, report: &mut FileReport) {
    let secrets = objects(stream).filter(|object| object.kind == ObjectKind::Secret && holds_values(object.node));
    let embedded = embedded(stream);
    if is_allowed(file, context) {
        report.allowed += secrets.count() + embedded.len();
        return;
    }
    secrets.for_each(|object| report.say(document(file, &object)));
    embedded.iter().for_each(|one| report.say(inside(one)));
}

/// Tells that a file cannot be proved free of plaintext.
pub(super) fn unreadable(file: File<'_>, error: &YamlError, context: &Context<'_>, report: &mut FileReport) {
    if is_allowed(file, context) {
        report.allowed += 1;
        return;
    }
    let problem = error.to_problem();
    let hint = problem
        .hint
        .unwrap_or_else(|| "mend it; a template that is meant to be no YAML belongs into `allow` of the policy".into());
    report.say(Finding::new(Code::Unreadable, problem.at, problem.message).hint(hint));
}

fn is_allowed(file: File<'_>, context: &Context<'_>) -> bool {
    let allowed = |path| context.policy.and_then(|policy| policy.allowed(path));
    file.path.and_then(allowed).is_some()
}

fn document(file: File<'_>, object: &Object<'_>) -> Finding {
    let keys = value_keys(object.node);
    let at = keys.first().map_or_else(|| object.node.location(), |(_, at)| *at);
    let names: Vec<_> = keys.into_iter().map(|(key, _)| key).collect();
    let finding = Finding::new(Code::PlaintextSecret, Some(at), redacted("kind Secret", object.name(), &names));
    if file.built {
        return finding.hint("seal it where it comes from: ageseal seal --in-place FILE");
    }
    let name = file.shown.rsplit(['/', '\\']).next().unwrap_or(file.shown);
    if name.contains(".secret.") {
        // A source that stays beside its sealed file, which is what the name says.
        return finding.hint(format!("ageseal seal {shown}, and let git ignore {shown}", shown = file.shown));
    }
    finding.hint(format!("ageseal seal --in-place {}", file.shown))
}

/// The keys of values with their field, and where they stand. Merge keys and aliases may hide some: the object's own
/// place then says enough.
fn value_keys(secret: Node<'_>) -> Vec<(String, Location)> {
    let mut keys = Vec::new();
    for field in ["data", "stringData"] {
        let Some(map) = secret.get(field) else { continue };
        for (key, value) in map.target().unwrap_or(map).entries() {
            let empty = value.str().is_some_and(str::is_empty) && value.tag().is_none() && value.anchor().is_none();
            if !value.is_null() && !empty {
                keys.push((format!("{field}.{}", shown_name(key.str().unwrap_or_default())), key.location()));
            }
        }
    }
    keys
}

fn inside(one: &Embedded) -> Finding {
    let keys: Vec<_> = one.keys.iter().map(|key| shown_name(key).to_owned()).collect();
    let what = redacted(&format!("{}: {}", one.host, one.path), one.name.as_deref(), &keys);
    if one.path.ends_with(LAST_APPLIED) {
        return Finding::new(Code::PlaintextLastApplied, Some(one.at), what)
            .hint(format!("remove the annotation {LAST_APPLIED}"));
    }
    let code = if one.certain { Code::PlaintextEmbedded } else { Code::PlaintextSuspected };
    Finding::new(code, Some(one.at), what).hint("move it into a file of its own, then ageseal seal --in-place FILE")
}

fn redacted<S: AsRef<str>>(host: &str, name: Option<&str>, keys: &[S]) -> String {
    let name = name.map_or_else(String::new, |name| format!(", {}", shown_name(name)));
    let keys = if keys.is_empty() { "values".to_owned() } else { few(keys) };
    format!("{host}{name}: {keys} <redacted>")
}

impl FileReport {
    /// Whether git has to be asked about this file.
    pub fn has_plaintext(&self) -> bool {
        self.more.plaintext > 0
            || self.findings.iter().any(|finding| is_plaintext(finding.code) || finding.code == Code::Unreadable)
    }

    /// Takes in what git knows of the file: ignored plaintext is a note, and what git keeps has leaked already.
    pub fn settle(&mut self, git: InGit) {
        if git == InGit::Ignored {
            self.more.notes += std::mem::take(&mut self.more.plaintext);
        }
        for finding in &mut self.findings {
            match git {
                InGit::Ignored if is_plaintext(finding.code) => {
                    finding.code = Code::IgnoredPlaintext;
                    finding.level = finding.code.level();
                    finding.hint = None;
                }
                InGit::Ignored if finding.code == Code::Unreadable => finding.level = Level::Note,
                InGit::Kept if is_plaintext(finding.code) => {
                    if let Some(hint) = &mut finding.hint {
                        hint.push_str(", then change the values at their source: git history keeps these");
                    }
                }
                _ => {}
            }
        }
    }
}

pub(super) fn is_plaintext(code: Code) -> bool {
    matches!(
        code,
        Code::PlaintextSecret | Code::PlaintextEmbedded | Code::PlaintextLastApplied | Code::PlaintextSuspected
    )
}
