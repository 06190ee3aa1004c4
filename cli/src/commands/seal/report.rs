//! What is said of the sealing: a row a Secret, and what git knows of the plaintext.

use std::path::PathBuf;

use ageseal::manifest::SecretManifest;
use ageseal::rewrite::{Action, Anew, DocumentPlan, SealedFile, Target as KustomizeTarget};

use crate::deployed::because;
use crate::error::CliError;
use crate::files;
use crate::git::{self, Asking};
use crate::readers::Readers;
use crate::ui::{Row, Ui};

/// What a row tells beside the plan.
pub(super) struct About<'a> {
    /// The file that is written, as it is shown.
    pub(super) target: &'a str,
    /// The names of the readers.
    pub(super) readers: &'a str,
    /// Whether the scope was typed.
    pub(super) typed_scope: bool,
    /// What kustomize makes of each Secret.
    pub(super) places: &'a [Vec<KustomizeTarget>],
    /// Whether nothing is written.
    pub(super) dry_run: bool,
}

/// A row for each Secret.
pub(super) fn rows(about: &About<'_>, sealed: &SealedFile, secrets: &[SecretManifest<'_>]) -> Vec<Row> {
    let row = |(index, (plan, secret)): (usize, (&DocumentPlan, &SecretManifest<'_>))| {
        let verb = if sealed.text.is_none() {
            "same"
        } else if about.dry_run {
            "would"
        } else {
            "sealed"
        };
        let kustomize = about.places.get(index).filter(|_| plan.place.deployed).and_then(|places| because(places));
        let from = if about.typed_scope {
            "--scope"
        } else if let Some(kustomize) = &kustomize {
            kustomize
        } else if secret.namespace.is_some() {
            "metadata.namespace"
        } else {
            "-n"
        };
        let mut row = Row::new(verb, &[about.target, &plan.place.name, &counts(plan)]);
        if let (Some(anew), Some(_)) = (plan.anew, plan.existing) {
            row = row.detail("anew", why(anew), None);
        }
        if sealed.text.is_some() {
            row =
                row.detail("opens as", plan.place.scope.to_string(), Some(from)).detail("read by", about.readers, None);
        }
        row
    };
    sealed.documents.iter().zip(secrets).enumerate().map(row).collect()
}

fn counts(plan: &DocumentPlan) -> String {
    let count = |action| plan.keys(action).count();
    let (sealed, kept, dropped) = (count(Action::Seal), count(Action::Keep), count(Action::Drop));
    let values = |n: usize| if n == 1 { "1 value".to_owned() } else { format!("{n} values") };
    let mut text = values(sealed + kept);
    if plan.existing.is_some() && kept > 0 && sealed > 0 {
        text.push_str(&format!(", {sealed} of them anew"));
    }
    if dropped > 0 {
        let keys: Vec<_> = plan.keys(Action::Drop).collect();
        text.push_str(&format!(", dropped {}", keys.join(", ")));
    }
    text
}

fn why(anew: Anew) -> &'static str {
    match anew {
        Anew::Asked => "every value, as asked",
        Anew::Unopened => "every value: no identity at hand opens the old ones, so none could be compared",
        Anew::Recipients => "every value: the recipients changed",
        Anew::Type => "every value: the type changed",
        Anew::Scope => "every value: the scope changed",
    }
}

/// What git is asked about the sources, while they are sealed.
pub(super) struct GitQuestion {
    asking: Asking,
    /// Each source in its repository, and as it was named.
    inside: Vec<(PathBuf, PathBuf)>,
}

impl GitQuestion {
    /// Asks about these sources, as far as they lie in the repository of the first of them.
    pub(super) fn ask<'p>(readers: &Readers<'_>, sources: impl Iterator<Item = &'p PathBuf>) -> Self {
        let files = sources.filter(|source| !files::is_stdin(source));
        let located: Vec<_> = files.filter_map(|source| Some((readers.locate(source).ok()?, source.clone()))).collect();
        let Some((first, _)) = located.first() else { return Self { asking: Asking::default(), inside: vec![] } };
        let top = first.repository.top().to_owned();
        let inside = located.into_iter().filter(|(located, _)| located.repository.top() == top);
        let inside: Vec<_> = inside.map(|(located, source)| (PathBuf::from(located.path), source)).collect();
        let paths: Vec<_> = inside.iter().map(|(relative, _)| relative.clone()).collect();
        Self { asking: git::ask(&top, &paths), inside }
    }

    /// Warns of those that were sealed: a plaintext that git holds is known to whoever can read the repository.
    pub(super) fn warn(self, ui: &Ui, in_place: bool, sealed: &[PathBuf]) {
        let known = self.asking.wait();
        let mut tracked = CliError::finding("git tracks this plaintext");
        let mut history = CliError::finding("git's history holds this plaintext");
        for (relative, source) in self.inside.iter().filter(|(_, source)| sealed.contains(source)) {
            if known.tracked.contains(relative) && !in_place {
                tracked = tracked.path(source);
            } else if known.in_history.contains(relative) {
                history = history.path(source);
            }
        }
        if !tracked.places.is_empty() {
            let files: Vec<_> = tracked.places.iter().map(|place| place.path.clone()).collect();
            let hint = format!("git rm --cached {}; then change the values: the history keeps them", files.join(" "));
            ui.warn(&tracked.hint(hint));
        }
        if !history.places.is_empty() {
            let hint = "change the values at their source: whoever can read the repository has the old ones";
            ui.warn(&history.hint(hint));
        }
    }
}
