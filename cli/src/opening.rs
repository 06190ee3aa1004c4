//! Opening a document of a file with the identities at hand, and saying why it does not open.

use std::path::Path;

use ageseal::manifest::SealedManifest;
use ageseal::open::{Live, OpenError, Opened, open};
use ageseal::recipient::RecipientId;
use ageseal::scope::Scope;

use crate::error::CliError;
use crate::keys::identities::Keys;
use crate::keys::short_id;
use crate::repository::{Repositories, Repository};
use crate::sealed::title;
use crate::ui::Ui;

/// Opens documents, and knows the names that the repository gives to recipients.
pub struct Opener<'a> {
    ui: &'a Ui,
    keys: &'a Keys,
    repositories: Repositories,
}

impl<'a> Opener<'a> {
    /// Opens with these identities.
    pub fn new(ui: &'a Ui, keys: &'a Keys) -> Self {
        Self { ui, keys, repositories: Repositories::new(ui) }
    }

    /// Opens one document of a source file.
    ///
    /// Its namespace and name may yet be changed by kustomize, so only the authenticated context is checked here; a
    /// document that would not open where it says that it stands is said.
    pub fn open(&self, path: &Path, document: &SealedManifest<'_>) -> Result<Opened, CliError> {
        let opened = self.open_as_sealed(path, document)?;
        // Without a namespace kustomize decides on both.
        let Some(namespace) = document.namespace.as_deref() else { return Ok(opened) };
        let elsewhere = |(_, scope): &(&String, &Scope)| !scope.matches(namespace, &document.name);
        let items = document.sealed.items.iter();
        let mut scopes = items.filter_map(|(key, item)| Some((key, document.sealed.effective_scope(item)?)));
        // One value for elsewhere keeps all of them closed.
        if let Some((key, scope)) = scopes.find(elsewhere) {
            let note = format!("{key} is sealed for {scope}; it would not open as {}", title(document));
            self.ui.note(&CliError::finding(note).path(path));
        }
        Ok(opened)
    }

    /// The same for whoever knows already where it stands, and seals it anew.
    pub fn open_as_sealed(&self, path: &Path, document: &SealedManifest<'_>) -> Result<Opened, CliError> {
        open(&document.sealed, None, &self.keys.ring).map_err(|error| self.told(path, document, &error))
    }

    /// Opens one document that becomes a Secret of this namespace and name: all steps of opening.
    pub fn open_live(&self, path: &Path, document: &SealedManifest<'_>, live: Live<'_>) -> Result<Opened, CliError> {
        open(&document.sealed, Some(live), &self.keys.ring).map_err(|error| self.told(path, document, &error))
    }

    fn told(&self, path: &Path, document: &SealedManifest<'_>, error: &OpenError) -> CliError {
        let at = document.node.location();
        let key_at = |key: &str| document.item_node(key).map_or(at, |node| node.location());
        match error {
            OpenError::NotARecipient { key, claimed } => {
                let located = self.repositories.locate(path).ok();
                let repository = located.as_ref().map(|located| &*located.repository);
                let names: Vec<_> = claimed.iter().map(|id| shown(*id, repository)).collect();
                let holders: Vec<_> = claimed.iter().map(|id| name(*id, repository)).collect();
                let told = CliError::cannot_decrypt("no identity opens this file").at(
                    path,
                    key_at(key),
                    Some(format!("sealed for {}", names.join(", "))),
                );
                let tried = self.keys.tried(|id| repository.and_then(|repository| known(id, repository)));
                let told = tried.into_iter().fold(told, CliError::detail);
                let holders = holders.join(" or ");
                told.hint(format!("-i FILE with an identity of {holders}, or ask somebody who holds one"))
            }
            OpenError::Malformed(malformed) => CliError::input(malformed.to_string())
                .at(path, at, None)
                .hint("ageseal check says what is wrong with it"),
            OpenError::Envelope { key } | OpenError::Value { key } => {
                CliError::cannot_decrypt("a value does not open here")
                    .at(path, key_at(key), Some(format!("{}: {key} <redacted>", title(document))))
                    .hint("it was moved, renamed, edited or sealed for another scope or type; git log -p shows when")
            }
            other => CliError::cannot_decrypt(other.to_string()).at(path, at, None),
        }
    }
}

fn known(id: RecipientId, repository: &Repository) -> Option<String> {
    let names: Vec<_> = repository.recipients().describe(id).into_iter().map(|named| named.name).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

fn name(id: RecipientId, repository: Option<&Repository>) -> String {
    repository.and_then(|repository| known(id, repository)).unwrap_or_else(|| short_id(id))
}

fn shown(id: RecipientId, repository: Option<&Repository>) -> String {
    match repository.and_then(|repository| known(id, repository)) {
        Some(name) => format!("{name} ({})", short_id(id)),
        None => short_id(id),
    }
}
