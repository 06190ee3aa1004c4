//! What is wrong with the files of a repository, found without any key: plaintext that leaks, sealed documents that
//! will not open, readers who should not be there.
//!
//! [`check_text`] looks at one file, [`check_tree`] at what only all files together show. Whoever calls walks the tree,
//! reads the files, and asks git which of them it ignores or tracks ([`FileReport::settle`]).
//!
//! Guarantees: no finding holds a plaintext value, nor any text of a file but names, keys, scopes and ids.

mod code;
mod deployed;
mod generators;
mod kustomize;
mod names;
mod open;
mod plaintext;
mod readers;
mod references;
mod scopes;
mod sealed;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tree;

use crate::kustomize::Resolution;
use crate::manifest::{ObjectKind, could_hold_secret, objects};
use crate::policy::{Policy, RecipientSet, Recipients};
use crate::problem::Location;
use crate::recipient::KeyRing;
use crate::yaml::{Stream, YamlError};

pub use code::{Code, Level};
pub use kustomize::{is_kustomization, patches_of};
pub use names::{left_over, second_folder, tell_left_over, tell_second_folder};
pub use plaintext::InGit;
pub use tree::{TreeFinding, check_tree};

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// Whether it fails the run.
    pub level: Level,
    /// Where in the file, if it is at one place.
    pub at: Option<Location>,
    /// What exactly, a fact a line: the document, the keys, the names. Never a value.
    pub lines: Vec<String>,
    /// The next step.
    pub hint: Option<String>,
}

impl Finding {
    fn new(code: Code, at: Option<Location>, line: impl Into<String>) -> Self {
        Self { code, level: code.level(), at, lines: vec![line.into()], hint: None }
    }

    fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same finding, an error if the run makes errors of such notes.
    fn strictly(mut self, context: &Context<'_>) -> Self {
        if context.strict && self.code.is_strict() {
            self.level = Level::Error;
        }
        self
    }

    /// All of it in one line, without the place and the hint.
    pub fn message(&self) -> String {
        format!("{}: {}", self.code.headline(), self.lines.join("; "))
    }
}

/// What is known of a file besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its path from the top of the repository, parts divided by `/`: what the rules of the policy go by. Without it,
    /// rule, readers and scope limits are not checked.
    pub path: Option<&'a str>,
    /// Its name as the user would type it, for hints.
    pub shown: &'a str,
    /// Whether the documents are as they will be deployed, such as the output of `kustomize build`.
    pub built: bool,
}

/// What every file of a run is held against.
#[derive(Clone, Debug, Default)]
pub struct Context<'a> {
    policy: Option<&'a Policy>,
    recipients: Option<&'a Recipients>,
    /// The recipients of each rule; none where the policy itself is wrong, which is told once.
    sets: Vec<Option<RecipientSet>>,
    now: i64,
    strict: bool,
    ring: Option<&'a KeyRing>,
    most: Option<usize>,
    resolution: Option<&'a Resolution>,
}

impl<'a> Context<'a> {
    /// A context without a policy, at a time in seconds since 1970 UTC.
    pub fn new(now: i64) -> Self {
        Self { now, ..Self::default() }
    }

    /// The same context, with the policy of the repository.
    #[must_use]
    pub fn policy(mut self, policy: &'a Policy, recipients: &'a Recipients) -> Self {
        self.policy = Some(policy);
        self.recipients = Some(recipients);
        self.sets = policy.rules().iter().map(|rule| recipients.of_rule(rule).ok()).collect();
        self
    }

    /// The same context, in which a superseded recipient is an error before its day.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// The same context, with what the kustomizations of the repository build: scopes are held against that.
    #[must_use]
    pub fn resolution(mut self, resolution: &'a Resolution) -> Self {
        self.resolution = Some(resolution);
        self
    }

    /// The same context, with identities that are to open every value.
    #[must_use]
    pub fn ring(mut self, ring: &'a KeyRing) -> Self {
        self.ring = Some(ring);
        self
    }

    /// The same context, in which a file has at most this many errors and as many notes: the first ones in the order of
    /// the text. The others are counted, see [`FileReport::more`], so a hostile file takes no memory.
    #[must_use]
    pub fn at_most(mut self, findings: usize) -> Self {
        self.most = Some(findings);
        self
    }
}

/// An overlay patch, which some kustomization has to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The name of what it patches.
    pub name: String,
    /// The data keys that it sets.
    pub keys: Vec<String>,
    /// Where it stands.
    pub at: Location,
}

/// The numbers of an overlay: an entry of `secretGenerator` that merges into the shadow of a sealed document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The name of the document.
    pub name: String,
    /// The data keys that have a number.
    pub keys: Vec<String>,
    /// Where they stand.
    pub at: Location,
}

/// What was found in one file.
#[derive(Clone, Debug, Default)]
pub struct FileReport {
    /// The findings and notes, in the order of the text.
    pub findings: Vec<Finding>,
    /// How many sealed documents it holds.
    pub documents: usize,
    /// How many sealed values those hold.
    pub values: usize,
    /// How many of them were opened.
    pub opened: usize,
    /// How many plaintext Secrets the policy allows here.
    pub allowed: usize,
    /// The overlay patches in it.
    pub patches: Vec<Patch>,
    /// The files that it lists as patches, if it is a kustomization: paths from the top of the repository.
    pub listed: Vec<String>,
    /// The numbers that it merges into shadows, if it is a kustomization.
    pub numbers: Vec<Numbers>,
    /// How many findings there were so far, the ones that were left out too.
    said: usize,
    /// Whether one of them is that no rule is for the path: that is told once.
    no_rule: bool,
    /// How many findings of each level are kept.
    most: Option<usize>,
    more: More,
}

/// How many findings were left out.
#[derive(Clone, Copy, Debug, Default)]
struct More {
    /// Plaintext Secrets, which git's word may make notes of.
    plaintext: usize,
    /// Other errors.
    errors: usize,
    notes: usize,
}

impl FileReport {
    fn say(&mut self, finding: Finding) {
        self.said += 1;
        self.no_rule |= finding.code == Code::NoRule;
        self.findings.push(finding);
        // Sorting is worth it now and then, not each time.
        if self.most.is_some_and(|most| self.findings.len() > 4 * most) {
            self.settle_order();
        }
    }

    /// Puts the findings into the order of the text, and leaves out those that are too many.
    fn settle_order(&mut self) {
        self.findings.sort_by_key(|finding| (finding.at, finding.code));
        let Some(most) = self.most else { return };
        let (mut errors, mut notes) = (0, 0);
        let more = &mut self.more;
        self.findings.retain(|finding| {
            let (kept, left_out) = match finding.level {
                Level::Note => (&mut notes, &mut more.notes),
                Level::Error if plaintext::is_plaintext(finding.code) => (&mut errors, &mut more.plaintext),
                Level::Error => (&mut errors, &mut more.errors),
            };
            let fits = *kept < most;
            *if fits { kept } else { left_out } += 1;
            fits
        });
    }

    /// How many errors and notes were left out because there are too many of them.
    pub fn left_out(&self) -> (usize, usize) {
        (self.more.plaintext + self.more.errors, self.more.notes)
    }

    /// A last finding that says how many were left out, if any were: an error if one of them is.
    pub fn more(&self) -> Option<Finding> {
        let line = match self.left_out() {
            (0, 0) => return None,
            (0, notes) => format!("and {notes} more notes in this file"),
            (errors, 0) => format!("and {errors} more in this file"),
            (errors, notes) => format!("and {errors} more in this file, and {notes} more notes"),
        };
        let finding = Finding::new(Code::MoreFindings, None, line).hint("mend these first, then check the file again");
        let level = if self.left_out().0 > 0 { Level::Error } else { Level::Note };
        Some(Finding { level, ..finding })
    }
}

/// Checks the bytes of one file.
///
/// A file that holds no word that a Secret has, in any spelling, is not parsed at all: see [`could_hold_secret`].
pub fn check_text(file: File<'_>, bytes: Vec<u8>, context: &Context<'_>) -> FileReport {
    let mut report = FileReport { most: context.most, ..FileReport::default() };
    if let Some(second) = tree::second_policy(file) {
        report.say(second);
    }
    let named = file.path.is_some_and(is_kustomization);
    let generates = named && generators::may_generate(&bytes);
    let kustomization = named && (generates || kustomize::may_patch(&bytes));
    let suspect = could_hold_secret(&bytes);
    if !suspect && !kustomization {
        return report;
    }
    let names_secret = bytes.windows(6).any(|word| word == b"Secret");
    match Stream::from_bytes(bytes) {
        Ok(stream) => {
            if let Some(path) = file.path.filter(|_| kustomization) {
                report.listed = kustomize::listed(&stream, path);
            }
            if generates {
                generators::literals(file, &stream, context, &mut report);
            }
            if suspect {
                check_stream(file, &stream, context, &mut report);
            }
        }
        // What no YAML reader takes cannot be applied: without the word itself there is nothing to fear in it.
        Err(YamlError::Syntax { .. }) if !names_secret => {}
        Err(error) if suspect => plaintext::unreadable(file, &error, context, &mut report),
        Err(_) => {}
    }
    report
}

fn check_stream(file: File<'_>, stream: &Stream, context: &Context<'_>, report: &mut FileReport) {
    plaintext::check(file, stream, context, report);
    for object in
        objects(stream).filter(|object| object.kind == ObjectKind::SealedSecret || sealed::looks_sealed(object))
    {
        report.documents += 1;
        sealed::check(file, object, context, report);
    }
    report.settle_order();
}

/// A list of names, cut behind the first few.
fn few<S: AsRef<str>>(names: &[S]) -> String {
    const FEW: usize = 6;
    let shown: Vec<&str> = names.iter().take(FEW).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(FEW) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A name as it may be shown: what is no name may be a value that somebody wrote in the wrong place.
fn shown_name(name: &str) -> &str {
    let name_like =
        name.len() <= 253 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if name_like && !name.is_empty() { name } else { "<no name>" }
}
