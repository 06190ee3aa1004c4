//! Sealed documents for tests: sealed by the core, written as the custom resource.

use std::collections::BTreeMap;

use ageseal::api::{self, SealedSecret, SealedSecretSpec};
use ageseal::envelope::FreshDek;
use ageseal::format::DEFAULT_TYPE;
use ageseal::recipient::Recipient;
use ageseal::scope::{Pattern, Scope};
use ageseal::seal::Context;
use ageseal::secret::Plaintext;
use rand_core::OsRng;

/// Begins a document for the Secret of that namespace and name, and for that alone.
pub fn document(namespace: &str, name: &str) -> Document {
    Document {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        scope: Scope::exact(namespace, name).unwrap_or_else(|e| panic!("{namespace}/{name}: {e}")),
        secret_type: None,
        values: BTreeMap::new(),
        scopes: BTreeMap::new(),
        own_envelopes: false,
    }
}

/// A document that is not sealed yet. Its values are as public as a test is.
#[derive(Clone)]
pub struct Document {
    namespace: String,
    name: String,
    scope: Scope,
    secret_type: Option<String>,
    values: BTreeMap<String, Vec<u8>>,
    scopes: BTreeMap<String, Scope>,
    own_envelopes: bool,
}

impl Document {
    /// Sets the scope of the document: patterns `NAMESPACE/NAME`.
    ///
    /// # Panics
    /// If one is not a pattern.
    #[must_use]
    pub fn scope<S: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.scope = canonical(patterns);
        self
    }

    /// Sets the type of the Secret; left out, it is `Opaque` and not written.
    #[must_use]
    pub fn secret_type(mut self, secret_type: &str) -> Self {
        self.secret_type = Some(secret_type.to_owned());
        self
    }

    /// Adds a value.
    #[must_use]
    pub fn value(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.values.insert(key.to_owned(), value.as_ref().to_owned());
        self
    }

    /// Gives the value of a data key a scope of its own.
    ///
    /// # Panics
    /// If one is not a pattern.
    #[must_use]
    pub fn scope_of<S: AsRef<str>>(mut self, key: &str, patterns: impl IntoIterator<Item = S>) -> Self {
        self.scopes.insert(key.to_owned(), canonical(patterns));
        self
    }

    /// All values share one envelope, as `ageseal seal` makes it. It is so unless something else is said.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.own_envelopes = false;
        self
    }

    /// Every value has an envelope of its own.
    #[must_use]
    pub fn own_envelope(mut self) -> Self {
        self.own_envelopes = true;
        self
    }

    /// Seals the values and gives the custom resource; what else a test wants in its `spec` it sets there.
    ///
    /// # Panics
    /// If the core refuses to seal.
    #[must_use]
    pub fn seal_for(&self, recipients: &[&Recipient]) -> SealedSecret {
        let mut spec = SealedSecretSpec {
            scope: texts(&self.scope),
            secret_type: self.secret_type.clone(),
            ..SealedSecretSpec::default()
        };
        let mut shared = FreshDek::generate(&mut OsRng);
        for (key, value) in &self.values {
            if self.own_envelopes {
                shared = FreshDek::generate(&mut OsRng);
            }
            let secret_type = self.secret_type.as_deref().unwrap_or(DEFAULT_TYPE);
            let scope = self.scopes.get(key).unwrap_or(&self.scope);
            let context = Context { secret_type, key, scope };
            let value = shared.seal(context, &Plaintext::new(value.clone()), &mut OsRng);
            let value = value.unwrap_or_else(|e| panic!("{}/{} {key}: {e}", self.namespace, self.name)).to_string();
            let envelope = self.own_envelopes.then(|| envelope(&shared, recipients));
            let scope = self.scopes.get(key).map(texts);
            spec.encrypted_data.insert(key.clone(), api::EncryptedItem { value, scope, envelope });
        }
        if !self.own_envelopes && !self.values.is_empty() {
            spec.envelopes.insert(shared.kid().map_key(), envelope(&shared, recipients));
        }
        let mut document = SealedSecret::new(&self.name, spec);
        document.metadata.namespace = Some(self.namespace.clone());
        document
    }
}

fn envelope(dek: &FreshDek, recipients: &[&Recipient]) -> api::Envelope {
    let file = dek.wrap(recipients).unwrap_or_else(|e| panic!("no envelope: {e}"));
    let ids = file.recipients.iter().map(ToString::to_string).collect();
    api::Envelope { recipients: ids, age: file.age, also: Vec::new() }
}

fn canonical<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Scope {
    let patterns = patterns.into_iter().map(|text| {
        let text = text.as_ref();
        text.parse::<Pattern>().unwrap_or_else(|e| panic!("{text}: {e}"))
    });
    Scope::canonical(patterns).unwrap_or_else(|e| panic!("scope: {e}"))
}

fn texts(scope: &Scope) -> Vec<String> {
    scope.patterns().iter().map(|pattern| pattern.as_str().to_owned()).collect()
}
