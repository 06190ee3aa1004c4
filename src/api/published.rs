//! What a cluster publishes of its keys, in the ConfigMap `ageseal-recipients`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::recipient::{Recipient, RecipientId};

/// The data key with everything, as JSON: what programs read.
const JSON_KEY: &str = "recipients.json";
/// The data key with an age recipients file: what people read, and copy by hand.
const FILE_KEY: &str = "recipients.pub";

/// The recipients of a cluster.
///
/// Times are RFC 3339 in UTC, as text: the core has no clock. Nothing here is secret, and nothing here is signed: who
/// may write the ConfigMap decides what is sealed for. The controller mends it, and `recipients sync` shows a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Published {
    /// How often the current recipient changed, and once for the first: it only grows.
    pub serial: u64,
    /// The recipient to seal for.
    pub current: PublishedRecipient,
    /// The recipients whose identities still open, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older: Vec<PublishedRecipient>,
}

/// One recipient that a cluster publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishedRecipient {
    /// Its id: `r` and 16 hexadecimal digits.
    pub id: String,
    /// Its text, `age1pq1…` or `age1…`.
    pub recipient: String,
    /// When it became current, or when its identity was found if it never was.
    pub since: String,
    /// Whether its identity is marked to be removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// Why the ConfigMap is not one that a controller wrote.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishedError {
    /// The data key with everything is missing.
    #[error("it has no data key {JSON_KEY}")]
    Missing,
    /// The JSON is not of this shape.
    #[error("its {JSON_KEY} is not of a known shape")]
    Json(#[source] serde_json::Error),
    /// A recipient does not parse, or has another id than it says.
    #[error("its recipient {id} is not one")]
    Recipient {
        /// The id, as claimed.
        id: String,
    },
}

impl Published {
    /// Reads the data of the ConfigMap, and demands that every recipient parses and has the id that is claimed.
    pub fn from_data(data: &BTreeMap<String, String>) -> Result<Self, PublishedError> {
        let json = data.get(JSON_KEY).ok_or(PublishedError::Missing)?;
        let published: Self = serde_json::from_str(json).map_err(PublishedError::Json)?;
        for entry in published.all() {
            let fits =
                entry.recipient.parse::<Recipient>().is_ok_and(|recipient| recipient.id().to_string() == entry.id);
            if !fits {
                return Err(PublishedError::Recipient { id: entry.id.clone() });
            }
        }
        Ok(published)
    }

    /// The data of the ConfigMap. Equal values give equal bytes.
    pub fn to_data(&self) -> BTreeMap<String, String> {
        let json = serde_json::to_string_pretty(self).expect("strings and numbers always serialize");
        BTreeMap::from([(JSON_KEY.to_owned(), json), (FILE_KEY.to_owned(), self.file())])
    }

    /// The current recipient, then the older ones.
    pub fn all(&self) -> impl Iterator<Item = &PublishedRecipient> {
        std::iter::once(&self.current).chain(&self.older)
    }

    fn file(&self) -> String {
        let mut text =
            format!("# {}, current since {}\n{}\n", self.current.id, self.current.since, self.current.recipient);
        for entry in &self.older {
            text.push_str(&format!("# {}, superseded\n# {}\n", entry.id, entry.recipient));
        }
        text
    }
}

impl PublishedRecipient {
    /// The entry of a recipient.
    pub fn of(recipient: &Recipient, since: String) -> Self {
        Self { id: recipient.id().to_string(), recipient: recipient.canonical().to_owned(), since, retired: false }
    }

    /// The parsed id; the texts of a [`Published`] that was read have one.
    pub fn recipient_id(&self) -> Option<RecipientId> {
        self.recipient.parse::<Recipient>().ok().map(|recipient| recipient.id())
    }
}
