//! What is shown of a document: the fields of `--json`, which `docs/show-json.md` documents and a test holds it to.

use ageseal::check::Code;
use serde::{Serialize, Serializer};

/// One sealed document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The path from the top of the repository; as it was typed where there is none.
    pub path: String,
    /// The path as one would type it here.
    #[serde(skip)]
    pub shown: String,
    /// Where it begins.
    pub line: usize,
    /// Whether it could be read; if not, nothing but its findings is there.
    pub well_formed: bool,
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// Whether it is an overlay patch: it has no scope, and its items carry their own.
    pub patch: bool,
    #[serde(rename = "type")]
    pub secret_type: Option<String>,
    pub immutable: Option<bool>,
    pub scope: Option<Vec<String>>,
    pub keys: Vec<Key>,
    pub envelopes: Vec<Envelope>,
    pub readers: Vec<Reader>,
    pub findings: Vec<Told>,
    /// Where kustomize deploys it; for a patch, what it changes.
    pub deployed: Vec<Deployment>,
    /// What only a key tells; none without `-i`.
    pub opened: Option<Opened>,
}

/// What one kustomization makes of a document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The folder of the kustomization, from the top of the repository.
    pub kustomization: String,
    /// The object that deploys the folder, its file and line; none if the kustomization stands for itself.
    pub by: Option<String>,
    /// The same folder as one would type it here.
    #[serde(skip)]
    pub shown: String,
    pub namespace: Option<String>,
    /// As built; a hash is `-{hash}`.
    pub name: String,
    /// The objects of that kustomization that name its Secret: `deployment/api`.
    pub used_by: Vec<String>,
}

impl Deployment {
    /// As built: `NAMESPACE/NAME`, or the name alone.
    pub fn title(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// One data key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    pub name: String,
    /// The length of the longest value that its padding fits.
    pub at_most_bytes: usize,
    /// Its own scope, in place of the document's.
    pub scope: Option<Vec<String>>,
    /// The id of the envelope that holds its DEK; none if the document has none for it.
    pub envelope: Option<String>,
    /// Whether that envelope is its own, in its block.
    pub own_envelope: bool,
}

/// One envelope, shared or of one key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    pub id: String,
    /// Whether it stands in the block of a key.
    pub own: bool,
    /// The keys whose DEK it holds.
    pub keys: Vec<String>,
    pub age_files: Vec<AgeFile>,
}

/// One age file of an envelope.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgeFile {
    /// The ids that it claims.
    pub recipients: Vec<String>,
    /// What they are called, as far as anybody knows, sorted.
    #[serde(skip)]
    pub names: Vec<String>,
    /// The types of its stanzas; none if it is no age file.
    pub stanzas: Option<Vec<String>>,
}

/// How a recipient stands to the rule for the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// The rule names it.
    Current,
    /// It is superseded under a name of the rule.
    Superseded,
    /// The rule does not name it.
    Unknown,
    /// The rule names it, and no value is sealed for it.
    Missing,
}

/// One recipient.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reader {
    pub id: String,
    pub names: Vec<String>,
    /// None where no rule is for the path.
    pub standing: Option<Standing>,
    /// The day until which a superseded one is accepted.
    pub until: Option<String>,
    /// The number of keys that are sealed for it.
    pub keys: usize,
    /// Its name or its id cut short, with a word where it does not stand as it should.
    #[serde(skip)]
    pub shown: String,
}

/// One finding of `check`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    #[serde(serialize_with = "code_name")]
    pub code: Code,
    /// `error` or `note`.
    pub severity: String,
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub message: String,
    pub hint: Option<String>,
    /// The message without what stands above it already.
    #[serde(skip)]
    pub short: String,
}

/// What only a key tells.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    pub opens: bool,
    /// Why it does not open: `Malformed`, `NotARecipient` or `CannotOpen`.
    pub reason: Option<String>,
    /// The key that does not open.
    pub key: Option<String>,
    pub expires: Option<Expires>,
}

/// The end of a certificate or a token.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expires {
    pub key: String,
    #[serde(skip)]
    pub what: &'static str,
    /// In RFC 3339, UTC.
    pub at: String,
    pub expired: bool,
}

fn code_name<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.name())
}

impl Document {
    /// What it is called: `NAMESPACE/NAME`, or the name alone.
    pub fn title(&self) -> String {
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
            (None, Some(name)) => name.clone(),
            (_, None) => "?".to_owned(),
        }
    }

    /// The findings for people: that a base has no namespace goes without saying.
    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.findings.iter().filter(|told| told.code != Code::NoNamespace)
    }

    /// The type as people call it: `tls` for `kubernetes.io/tls`.
    pub fn short_type(&self) -> &str {
        match self.secret_type.as_deref() {
            Some("bootstrap.kubernetes.io/token") => "bootstrap-token",
            Some(full) => full.strip_prefix("kubernetes.io/").unwrap_or(full),
            None => "",
        }
    }

    /// Who can read it, by name: `prod, ann (1 of 3)`.
    pub fn read_by(&self) -> String {
        let readers = self.readers.iter().filter(|reader| reader.keys > 0 || self.keys.is_empty());
        let mut names: Vec<String> = Vec::new();
        for reader in readers.filter(|reader| reader.standing != Some(Standing::Missing)) {
            let mut name = reader.shown.clone();
            if reader.keys < self.keys.len() {
                name = format!("{name} ({} of {})", reader.keys, self.keys.len());
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    }

    /// Whether the scope is where this document is deployed, or stands, and no other place: then its names have said it.
    pub fn scope_is_title(&self) -> bool {
        let mut titles: Vec<String> = self.deployed.iter().map(Deployment::title).collect();
        if titles.is_empty() {
            titles.push(self.title());
        }
        titles.sort();
        titles.dedup();
        self.scope.as_ref().is_some_and(|scope| {
            let mut scope = scope.clone();
            scope.sort();
            scope == titles
        })
    }
}

impl Opened {
    /// In a few words.
    pub fn text(&self) -> String {
        let mut text = match self.reason.as_deref() {
            None => "opens".to_owned(),
            Some("NotARecipient") => "no identity given opens it".to_owned(),
            Some(_) => "does not open".to_owned(),
        };
        if let Some(expires) = &self.expires {
            let day = expires.at.split('T').next().unwrap_or_default();
            text.push_str(if expires.expired { ", expired " } else { ", expires " });
            text.push_str(day);
        }
        text
    }

    /// Whether somebody has to act.
    pub fn is_alarming(&self) -> bool {
        !self.opens || self.expires.as_ref().is_some_and(|expires| expires.expired)
    }
}
