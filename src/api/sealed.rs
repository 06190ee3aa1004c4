//! A live object, read as strictly as a file.
//!
//! [`SealedManifest`](crate::manifest::SealedManifest) reads the text of a document; this reads the object that the API
//! server gives, and both come to the same [`format::Sealed`]. What only the text can show (a field that nobody knows, a
//! key twice, an alias) the API server has refused or taken out before.
//!
//! Guarantees: counts come before anything looks into a value or an envelope. An error says where, as a JSON path, and
//! what the rule is; it repeats nothing of what stands there but data keys and patterns that are well-formed.

use std::collections::BTreeMap;
use std::fmt;

use kube::Resource;
use thiserror::Error;

use super::{
    ANNOTATION_PAUSED, DeletionPolicy, EncryptedItem, Mode, OWN_PREFIX, Replace, SealedSecret, SealedSecretSpec,
    Template, spec,
};
use crate::format::{
    self, AgeFile, Envelope, FormatError, Item, Kid, MAX_ENVELOPE_TEXT, MAX_ENVELOPES, MAX_ITEMS, MAX_RECIPIENTS,
    Sealed, SealedValue,
};
use crate::manifest::{LAST_APPLIED, SecretType, names};
use crate::open::Live;
use crate::recipient::RecipientId;
use crate::scope::{Pattern, PatternFault, Scope, ScopeError};

/// The most bytes that the annotations of one object may sum to, keys counted.
///
/// Source: `TotalAnnotationSizeLimitB` in `k8s.io/apimachinery/pkg/api/validation`.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Why a live object is no sealed document, and where: the controller's `Malformed`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// Too many items.
    #[error("spec.encryptedData has {0} values; {MAX_ITEMS} is the most")]
    TooManyItems(usize),
    /// Too many age files.
    #[error("there are {0} envelopes, `also` counted; {MAX_ENVELOPES} is the most")]
    TooManyEnvelopes(usize),
    /// The type is not one that a Secret has.
    #[error("spec.type {0}")]
    Type(&'static str),
    /// The document does not say what it is sealed for.
    #[error("spec.scope is missing: only an overlay's patch leaves it to its items")]
    NoScope,
    /// There is nothing in it.
    #[error("spec.encryptedData has no value")]
    NoValues,
    /// A data key that no Secret has. It is told by its place among the sorted keys.
    #[error("spec.encryptedData: key {} of {} {fault}", .index + 1, .count)]
    DataKey {
        /// How many keys stand before it.
        index: usize,
        /// How many keys there are.
        count: usize,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A key of `spec.envelopes` that is no key id. It is told by its place among the sorted keys.
    #[error("spec.envelopes: key {} of {} is not k and 16 lower-case hex digits", .index + 1, .count)]
    Kid {
        /// How many keys stand before it.
        index: usize,
        /// How many keys there are.
        count: usize,
    },
    /// A pattern of a scope.
    #[error("{path}[{index}] is not a scope pattern: {fault}")]
    Pattern {
        /// The scope.
        path: SpecPath,
        /// Which pattern.
        index: usize,
        /// What is wrong with it.
        fault: PatternFault,
    },
    /// The count or the order of a scope's patterns.
    #[error("{path}: {fault}")]
    Scope {
        /// The scope.
        path: SpecPath,
        /// What is wrong with it; never [`ScopeError::Pattern`].
        fault: ScopeError,
    },
    /// The text of a value.
    #[error("{path} is no sealed value: {fault}")]
    Value {
        /// The value.
        path: SpecPath,
        /// What is wrong with it.
        fault: FormatError,
    },
    /// An envelope that claims nobody, or too many.
    #[error("{path} has {count} recipients; 1 to {MAX_RECIPIENTS} are possible")]
    Recipients {
        /// The list.
        path: SpecPath,
        /// How many it has.
        count: usize,
    },
    /// A recipient id.
    #[error("{path}[{index}] is not r and 16 lower-case hex digits")]
    RecipientId {
        /// The list.
        path: SpecPath,
        /// Which entry.
        index: usize,
    },
    /// An age file that is too large.
    #[error("{path} has {bytes} bytes; {MAX_ENVELOPE_TEXT} is the most")]
    AgeFile {
        /// The age file.
        path: SpecPath,
        /// Its size.
        bytes: usize,
    },
    /// A label or an annotation of the template. It is told by its place among the sorted keys.
    #[error("{path}: entry {} {fault}", .index + 1)]
    Template {
        /// The labels or the annotations.
        path: SpecPath,
        /// How many entries stand before it.
        index: usize,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// More annotations than an object may have.
    #[error("the annotations of the template sum to {0} bytes; Kubernetes takes {MAX_ANNOTATIONS}")]
    Annotations(usize),
}

impl SpecError {
    /// The data key that it is about, if it is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Pattern { path, .. }
            | Self::Scope { path, .. }
            | Self::Value { path, .. }
            | Self::Recipients { path, .. }
            | Self::RecipientId { path, .. }
            | Self::AgeFile { path, .. } => path.key(),
            _ => None,
        }
    }
}

/// A place in the object, shown as a JSON path such as `spec.encryptedData[tls.crt].value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecPath {
    base: Base,
    /// The fields below, each with its dot or its index.
    below: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Base {
    Spec,
    Item(String),
    Envelope(Kid),
}

impl SpecPath {
    /// The data key that it lies below, if it lies below one.
    pub fn key(&self) -> Option<&str> {
        match &self.base {
            Base::Item(key) => Some(key),
            Base::Spec | Base::Envelope(_) => None,
        }
    }
}

impl fmt::Display for SpecPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            Base::Spec => f.write_str("spec")?,
            Base::Item(key) => write!(f, "spec.encryptedData[{key}]")?,
            Base::Envelope(kid) => write!(f, "spec.envelopes[k{kid}]")?,
        }
        f.write_str(&self.below)
    }
}

/// Where the reader stands. A [`SpecPath`] is made of it only when something is wrong.
#[derive(Clone, Copy)]
enum At<'a> {
    Spec,
    Item(&'a str),
    Envelope(Kid),
}

impl At<'_> {
    fn path(self, below: impl Into<String>) -> SpecPath {
        let base = match self {
            Self::Spec => Base::Spec,
            Self::Item(key) => Base::Item(key.to_owned()),
            Self::Envelope(kid) => Base::Envelope(kid),
        };
        SpecPath { base, below: below.into() }
    }
}

impl SealedSecretSpec {
    /// What opening goes by: counts first, then every shape.
    ///
    /// The headers of the age files are looked at by [`open`](crate::open::open), before anything is decrypted.
    ///
    /// # Errors
    /// The first thing that is wrong: counts, type, scope, values by data key, envelopes by key id, template.
    pub fn to_sealed(&self) -> Result<Sealed, SpecError> {
        self.count()?;
        let secret_type = self.secret_type.as_deref().unwrap_or(format::DEFAULT_TYPE);
        if let Some(fault) = names::secret_type_fault(secret_type) {
            return Err(SpecError::Type(fault));
        }
        // The API server demands a scope. An empty list and none are one thing to whoever reads JSON into a list.
        if self.scope.is_empty() {
            return Err(SpecError::NoScope);
        }
        let scope = scope(&self.scope, At::Spec)?;
        if self.encrypted_data.is_empty() && secret_type != SecretType::ServiceAccountToken.as_str() {
            return Err(SpecError::NoValues);
        }
        let count = self.encrypted_data.len();
        let mut items = BTreeMap::new();
        for (index, (key, item)) in self.encrypted_data.iter().enumerate() {
            if let Some(fault) = names::data_key_fault(key) {
                return Err(SpecError::DataKey { index, count, fault });
            }
            items.insert(key.clone(), read_item(key, item)?);
        }
        let count = self.envelopes.len();
        let mut envelopes = BTreeMap::new();
        for (index, (key, envelope)) in self.envelopes.iter().enumerate() {
            let kid = Kid::from_map_key(key).map_err(|_| SpecError::Kid { index, count })?;
            envelopes.insert(kid, read_envelope(envelope, At::Envelope(kid), "")?);
        }
        if let Some(template) = &self.template {
            check_template(template)?;
        }
        Ok(Sealed { secret_type: secret_type.to_owned(), scope: Some(scope), items, envelopes })
    }

    fn count(&self) -> Result<(), SpecError> {
        if self.encrypted_data.len() > MAX_ITEMS {
            return Err(SpecError::TooManyItems(self.encrypted_data.len()));
        }
        let own = self.encrypted_data.values().filter_map(|item| item.envelope.as_ref());
        let files = self.envelopes.values().chain(own).map(|envelope| 1 + envelope.also.len()).sum();
        if files > MAX_ENVELOPES {
            return Err(SpecError::TooManyEnvelopes(files));
        }
        Ok(())
    }
}

fn scope(texts: &[String], at: At<'_>) -> Result<Scope, SpecError> {
    Scope::parse_sorted(texts).map_err(|fault| match fault {
        ScopeError::Pattern { fault, .. } => {
            let index = texts.iter().position(|text| text.parse::<Pattern>().is_err()).unwrap_or_default();
            SpecError::Pattern { path: at.path(".scope"), index, fault }
        }
        fault => SpecError::Scope { path: at.path(".scope"), fault },
    })
}

fn read_item(key: &str, item: &EncryptedItem) -> Result<Item, SpecError> {
    let at = At::Item(key);
    let value: SealedValue = item.value.parse().map_err(|fault| SpecError::Value { path: at.path(".value"), fault })?;
    let scope = item.scope.as_deref().map(|texts| scope(texts, at)).transpose()?;
    let envelope = item.envelope.as_ref().map(|envelope| read_envelope(envelope, at, ".envelope")).transpose()?;
    Ok(Item { value, scope, envelope })
}

fn read_envelope(envelope: &spec::Envelope, at: At<'_>, below: &str) -> Result<Envelope, SpecError> {
    let file = read_file(&envelope.recipients, &envelope.age, || at.path(below))?;
    let also = envelope
        .also
        .iter()
        .enumerate()
        .map(|(index, file)| read_file(&file.recipients, &file.age, || at.path(format!("{below}.also[{index}]"))));
    Ok(Envelope { file, also: also.collect::<Result<_, _>>()? })
}

fn read_file(recipients: &[String], age: &str, at: impl Fn() -> SpecPath) -> Result<AgeFile, SpecError> {
    let path = |field: &str| {
        let mut path = at();
        path.below.push_str(field);
        path
    };
    if !(1..=MAX_RECIPIENTS).contains(&recipients.len()) {
        return Err(SpecError::Recipients { path: path(".recipients"), count: recipients.len() });
    }
    let ids = recipients
        .iter()
        .enumerate()
        .map(|(index, text)| text.parse().map_err(|_| SpecError::RecipientId { path: path(".recipients"), index }));
    let recipients = ids.collect::<Result<Vec<RecipientId>, _>>()?;
    if age.len() > MAX_ENVELOPE_TEXT {
        return Err(SpecError::AgeFile { path: path(".age"), bytes: age.len() });
    }
    Ok(AgeFile { recipients, age: age.to_owned() })
}

fn check_template(template: &Template) -> Result<(), SpecError> {
    let Some(metadata) = &template.metadata else { return Ok(()) };
    let path = |field: &str| At::Spec.path(format!(".template.metadata.{field}"));
    for (index, (key, value)) in metadata.labels.iter().enumerate() {
        if let Some(fault) = template_key_fault(key).or_else(|| names::label_value_fault(value)) {
            return Err(SpecError::Template { path: path("labels"), index, fault });
        }
    }
    for (index, key) in metadata.annotations.keys().enumerate() {
        if let Some(fault) = template_key_fault(key) {
            return Err(SpecError::Template { path: path("annotations"), index, fault });
        }
    }
    let total = metadata.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if total > MAX_ANNOTATIONS {
        return Err(SpecError::Annotations(total));
    }
    Ok(())
}

fn template_key_fault(key: &str) -> Option<&'static str> {
    if key == LAST_APPLIED || key.starts_with(OWN_PREFIX) {
        return Some("has a name that no template may give");
    }
    names::qualified_name_fault(key)
}

impl SealedSecret {
    /// Where it stands; nothing for an object that was never in a cluster and has no namespace or no name.
    pub fn live(&self) -> Option<Live<'_>> {
        Some(Live { namespace: self.meta().namespace.as_deref()?, name: self.meta().name.as_deref()? })
    }

    /// The type of the Secret.
    pub fn secret_type(&self) -> &str {
        self.spec.secret_type.as_deref().unwrap_or(format::DEFAULT_TYPE)
    }

    /// How the Secret is written.
    pub fn mode(&self) -> Mode {
        self.spec.mode.unwrap_or_default()
    }

    /// What becomes of the Secret when the document is deleted.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.spec.deletion_policy.unwrap_or_default()
    }

    /// Whether a Secret that cannot be changed may be deleted and made anew.
    pub fn replace(&self) -> Replace {
        self.spec.replace.unwrap_or_default()
    }

    /// Whether it asks to take over a Secret that is not its own.
    pub fn adopts(&self) -> bool {
        self.spec.adopt.unwrap_or_default()
    }

    /// Whether it asks to be left alone, whatever the value of the annotation.
    pub fn is_paused(&self) -> bool {
        self.meta().annotations.as_ref().is_some_and(|annotations| annotations.contains_key(ANNOTATION_PAUSED))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const VALUE: &str = "ags1.35eee4bfa05d6bdb.gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXXCVvXBa6bL9jj72mxzl3Qk0TBHvLA1LTvnksVCOIT09+Vb0iYC+Ni0kd9GuPXRhsI/JhsY6B2NU8TSlro/WcxkE8wquQWkZVFeqfEJNpTc3mN9Mo141s+w7AZN8lOkru61fYGjJhm5ym2rGKoTj4oA==";
    const KID: &str = "k35eee4bfa05d6bdb";

    fn file() -> Value {
        json!({"recipients": ["r7d793037a0760186"], "age": "x"})
    }

    /// A document that is right, with one place in it replaced.
    fn with(pointer: &str, value: Value) -> SealedSecretSpec {
        let mut spec = json!({
            "scope": ["shop/db"],
            "encryptedData": {"password": {"value": VALUE}},
            "envelopes": {KID: file()},
            "template": {"metadata": {"labels": {"app": "shop"}, "annotations": {"note": "x"}}},
        });
        if let Some(place) = spec.pointer_mut(pointer) {
            *place = value;
        } else {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            spec.pointer_mut(parent).unwrap()[field] = value;
        }
        serde_json::from_value(spec).unwrap()
    }

    fn refused(pointer: &str, value: Value) -> (String, Option<String>) {
        let error = with(pointer, value).to_sealed().expect_err(pointer);
        (error.to_string(), error.key().map(str::to_owned))
    }

    #[test]
    fn a_live_object_is_read() {
        let mut item = json!({"value": VALUE, "scope": ["shop/db"], "envelope": file()});
        item["envelope"]["also"] = json!([file()]);
        let spec = with("/encryptedData/own", item);
        let sealed = spec.to_sealed().unwrap();
        assert_eq!((sealed.secret_type.as_str(), sealed.items.len(), sealed.envelopes.len()), ("Opaque", 2, 1));
        assert_eq!(sealed.scope.unwrap().to_string(), "shop/db");
        assert_eq!(sealed.items["own"].envelope.as_ref().unwrap().also.len(), 1);
        assert!(sealed.items["own"].scope.is_some() && sealed.items["password"].scope.is_none());
        assert_eq!(sealed.items["password"].value.to_string(), VALUE);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let item = |field: &str, value: Value| {
            let (told, key) = refused(&format!("/encryptedData/password/{field}"), value);
            assert_eq!(key.as_deref(), Some("password"));
            told
        };
        assert_eq!(
            item("value", json!("hunter2")),
            "spec.encryptedData[password].value is no sealed value: not a sealed value of version 1: it begins with `ags1.`"
        );
        assert_eq!(
            item("scope", json!(["shop/db", "shop"])),
            "spec.encryptedData[password].scope[1] is not a scope pattern: it is written NAMESPACE/NAME, with exactly one slash"
        );
        assert_eq!(item("scope", json!([])), "spec.encryptedData[password].scope: the scope has no pattern");
        assert_eq!(
            item("envelope", json!({"recipients": ["age1x"], "age": ""})),
            "spec.encryptedData[password].envelope.recipients[0] is not r and 16 lower-case hex digits"
        );
        assert_eq!(
            item("envelope", json!({"recipients": [], "age": ""})),
            "spec.encryptedData[password].envelope.recipients has 0 recipients; 1 to 32 are possible"
        );
        let mut also = file();
        also["also"] = json!([file(), {"recipients": ["r7d793037a0760186", "r7"], "age": ""}]);
        assert_eq!(
            refused(&format!("/envelopes/{KID}"), also).0,
            "spec.envelopes[k35eee4bfa05d6bdb].also[1].recipients[1] is not r and 16 lower-case hex digits"
        );
        for (pointer, value, told) in [
            ("/scope", json!([]), "spec.scope is missing: only an overlay's patch leaves it to its items"),
            ("/scope", json!(["b/a", "a/b"]), "spec.scope: the scope is not sorted: b/a stands before a/b"),
            ("/scope", json!(["a/b", "a/b"]), "spec.scope: the scope has a/b twice"),
            ("/type", json!(""), "spec.type is empty"),
            ("/encryptedData", json!({}), "spec.encryptedData has no value"),
            (
                "/encryptedData",
                json!({"a": {"value": VALUE}, "..b": {"value": VALUE}}),
                "spec.encryptedData: key 1 of 2 is '.' or begins with '..', which no file name may",
            ),
            (
                "/envelopes",
                json!({"K35EEE4BFA05D6BDB": file()}),
                "spec.envelopes: key 1 of 1 is not k and 16 lower-case hex digits",
            ),
            (
                "/template/metadata/labels",
                json!({"app": "a b"}),
                "spec.template.metadata.labels: entry 1 is not A-Z a-z 0-9 - _ . between letters or digits",
            ),
            (
                "/template/metadata/annotations",
                json!({"a": "", "ageseal.dev/x": ""}),
                "spec.template.metadata.annotations: entry 2 has a name that no template may give",
            ),
            (
                "/template/metadata/annotations",
                json!({LAST_APPLIED: ""}),
                "spec.template.metadata.annotations: entry 1 has a name that no template may give",
            ),
        ] {
            assert_eq!(refused(pointer, value), (told.to_owned(), None), "{pointer}");
        }
    }

    #[test]
    fn counts_come_before_contents() {
        let many = |count: usize| -> serde_json::Map<String, Value> {
            (0..count).map(|i| (format!("i{i}"), json!({"value": "no value"}))).collect()
        };
        assert_eq!(with("/encryptedData", many(1025).into()).to_sealed(), Err(SpecError::TooManyItems(1025)));
        assert!(matches!(with("/encryptedData", many(1024).into()).to_sealed(), Err(SpecError::Value { .. })));
        // One shared envelope, its `also`, and the one of an item: 129 together.
        let mut spec = with("/encryptedData/password/envelope", file());
        let shared = spec.envelopes.get_mut(KID).unwrap();
        shared.also = vec![spec::AgeFile::default(); 127];
        assert_eq!(spec.to_sealed(), Err(SpecError::TooManyEnvelopes(129)));
        spec.envelopes.get_mut(KID).unwrap().also.pop();
        assert!(matches!(spec.to_sealed(), Err(SpecError::Recipients { .. })));
        let mut spec = with("/scope", vec!["a/b"; 33].into());
        assert!(matches!(spec.to_sealed(), Err(SpecError::Scope { fault: ScopeError::TooMany { count: 33 }, .. })));
        spec.scope = vec!["a/b".to_owned()];
        spec.envelopes.get_mut(KID).unwrap().recipients = vec!["r7d793037a0760186".to_owned(); 33];
        assert!(matches!(spec.to_sealed(), Err(SpecError::Recipients { count: 33, .. })));
        let spec = with(&format!("/envelopes/{KID}/age"), "x".repeat(MAX_ENVELOPE_TEXT + 1).into());
        assert!(matches!(spec.to_sealed(), Err(SpecError::AgeFile { .. })));
        let annotations: BTreeMap<_, _> = (0..3).map(|i| (format!("a{i}"), "x".repeat(90_000))).collect();
        let spec = with("/template/metadata/annotations", json!(annotations));
        assert_eq!(spec.to_sealed(), Err(SpecError::Annotations(270_006)));
    }

    #[test]
    fn errors_repeat_nothing_that_is_not_well_formed() {
        for (pointer, value) in [
            ("/type", json!("canary canary")),
            ("/scope", json!(["canary"])),
            ("/encryptedData", json!({"canary canary": {"value": VALUE}})),
            ("/encryptedData/password/value", json!("canary")),
            ("/encryptedData/password/scope", json!(["canary"])),
            ("/encryptedData/password/envelope", json!({"recipients": ["canary"], "age": ""})),
            ("/envelopes", json!({"canary": file()})),
            ("/template/metadata/labels", json!({"a canary": ""})),
            ("/template/metadata/labels", json!({"a": "a canary"})),
            ("/template/metadata/annotations", json!({"a canary": ""})),
        ] {
            let error = with(pointer, value).to_sealed().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn no_values_are_right_for_the_service_account_token_alone() {
        let mut spec = with("/encryptedData", json!({}));
        spec.secret_type = Some("kubernetes.io/service-account-token".to_owned());
        assert!(spec.to_sealed().unwrap().items.is_empty());
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let mut document = SealedSecret::new("db", with("/scope", json!(["shop/db"])));
        assert_eq!(document.secret_type(), "Opaque");
        assert_eq!((document.mode(), document.deletion_policy()), (Mode::Replace, DeletionPolicy::Delete));
        assert_eq!((document.replace(), document.adopts(), document.is_paused()), (Replace::Never, false, false));
        assert!(document.live().is_none());
        document.metadata.namespace = Some("shop".to_owned());
        document.metadata.annotations = Some([(ANNOTATION_PAUSED.to_owned(), "false".to_owned())].into());
        assert!(document.is_paused());
        assert_eq!(document.live().map(|live| (live.namespace, live.name)), Some(("shop", "db")));
    }
}
