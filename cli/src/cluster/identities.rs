//! The identity Secrets in the controller's namespace.
//!
//! What can be told from their metadata is: whoever lists identities gets no private key over the wire. A command that
//! changes which identity is current, or that takes one away, reads that one Secret, and drops what it read at once.

use std::collections::BTreeMap;

use ageseal::api::{
    ANNOTATION_CURRENT, CLI_FIELD_MANAGER, IDENTITY_ACTIVE, IDENTITY_CURRENT, IDENTITY_KEY, IDENTITY_PREFIX,
    IDENTITY_RETIRED, LABEL_IDENTITY, RECIPIENTS_CONFIGMAP,
};
use ageseal::recipient::{Identity, RecipientId};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use serde_json::json;
use zeroize::{Zeroize, Zeroizing};

use super::{AskError, Asked, Cluster, Refusal};
use crate::error::CliError;
use crate::keys::vault;

/// What the label of an identity Secret says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its recipient is published, if its mark fits.
    Current,
    /// It opens.
    Active,
    /// It opens, and is to be removed.
    Retired,
    /// A label that is none of these: the controller does not know the Secret.
    Unknown,
}

impl State {
    fn of(label: &str) -> Self {
        match label {
            IDENTITY_CURRENT => Self::Current,
            IDENTITY_ACTIVE => Self::Active,
            IDENTITY_RETIRED => Self::Retired,
            _ => Self::Unknown,
        }
    }

    /// The label's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => IDENTITY_CURRENT,
            Self::Active => IDENTITY_ACTIVE,
            Self::Retired => IDENTITY_RETIRED,
            Self::Unknown => "unknown",
        }
    }
}

/// The mark of an identity that was made, or promoted, to be current: the annotation `SERIAL.ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// How often the current identity had changed by then.
    pub serial: u64,
    /// The id of its recipient.
    pub id: RecipientId,
}

impl Mark {
    /// Reads the annotation's text.
    pub fn parse(text: &str) -> Option<Self> {
        let (serial, id) = text.split_once('.')?;
        let plain = !serial.is_empty() && serial.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| Some(Self { serial: serial.parse().ok()?, id: id.parse().ok()? })).flatten()
    }

    /// The annotation's text.
    pub fn text(self) -> String {
        format!("{}.{}", self.serial, self.id)
    }
}

/// An identity Secret, as its metadata tells.
#[derive(Clone, Debug)]
pub struct Held {
    /// The name of the Secret.
    pub secret: String,
    /// Its label.
    pub state: State,
    /// Its mark, if it has one that can be read.
    pub mark: Option<Mark>,
    /// When it was made, in RFC 3339.
    pub created: Option<String>,
    version: Option<String>,
}

impl Held {
    fn of(meta: &ObjectMeta) -> Self {
        let label = meta.labels.as_ref().and_then(|labels| labels.get(LABEL_IDENTITY));
        let mark = meta.annotations.as_ref().and_then(|all| all.get(ANNOTATION_CURRENT));
        Self {
            secret: meta.name.clone().unwrap_or_default(),
            state: label.map_or(State::Unknown, |label| State::of(label)),
            mark: mark.and_then(|text| Mark::parse(text)),
            created: meta.creation_timestamp.as_ref().map(|time| time.0.to_string()),
            version: meta.resource_version.clone(),
        }
    }

    /// A Secret of this name, label and mark.
    #[cfg(test)]
    pub(crate) fn for_tests(secret: &str, state: State, mark: Option<Mark>) -> Self {
        Self { secret: secret.to_owned(), state, mark, created: None, version: None }
    }

    /// The id, as far as the metadata tells it: by the mark, or by the name that `keys restore` gives.
    pub fn claimed_id(&self) -> Option<RecipientId> {
        self.mark.map(|mark| mark.id).or_else(|| self.secret.strip_prefix(IDENTITY_PREFIX)?.parse().ok())
    }
}

/// The identity Secrets, by their metadata alone, sorted by name.
pub fn list(cluster: &Cluster) -> Result<Vec<Held>, AskError> {
    let namespace = cluster.namespace();
    let asked = Asked::new("list", "secrets").within(namespace);
    let api = cluster.namespaced::<Secret>(namespace);
    let params = kube::api::ListParams::default().labels(LABEL_IDENTITY);
    let list = cluster.ask(&asked, api.list_metadata(&params))?;
    let mut all: Vec<_> = list.items.iter().map(|item| Held::of(&item.metadata)).collect();
    all.sort_by(|one, other| one.secret.cmp(&other.secret));
    Ok(all)
}

/// A Secret and the identities in it.
#[derive(Debug)]
pub struct Opened {
    /// The Secret.
    pub held: Held,
    /// The identities in it, of the kinds that the controller knows.
    pub identities: Vec<Identity>,
}

impl Opened {
    /// The ids of all of them.
    pub fn ids(&self) -> Vec<RecipientId> {
        self.identities.iter().filter_map(Identity::recipient).map(|recipient| recipient.id()).collect()
    }

    /// The identity of this id.
    pub fn identity(&self, id: RecipientId) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.recipient().is_some_and(|recipient| recipient.id() == id))
    }
}

/// Reads one identity Secret whole: its private keys come to this machine, and are overwritten when they are dropped.
///
/// The copies that the network's buffers made of them cannot be reached from here.
pub fn open(cluster: &Cluster, name: &str) -> Result<Opened, AskError> {
    proved(cluster)?;
    let asked = Asked::new("get", "secrets").named(name).within(cluster.namespace());
    let mut secret = cluster.ask(&asked, cluster.namespaced::<Secret>(cluster.namespace()).get(name))?;
    let held = Held::of(&secret.metadata);
    let mut identities = vec![];
    for ByteString(bytes) in secret.data.take().unwrap_or_default().into_values() {
        identities.extend(vault::lines(&Zeroizing::new(bytes)));
    }
    Ok(Opened { held, identities })
}

/// Finds the identity Secret of an id. Secrets whose metadata says another id are not read.
///
/// # Errors
/// There is none; the Secrets may not be listed or read.
pub fn find(cluster: &Cluster, all: &[Held], id: RecipientId) -> Result<Option<Opened>, AskError> {
    let (likely, rest): (Vec<_>, Vec<_>) = all.iter().partition(|held| held.claimed_id() == Some(id));
    let unsaid = rest.into_iter().filter(|held| held.claimed_id().is_none());
    for held in likely.into_iter().chain(unsaid) {
        let opened = open(cluster, &held.secret)?;
        if opened.identity(id).is_some() {
            return Ok(Some(opened));
        }
    }
    Ok(None)
}

/// No private key goes over a connection that nothing proves, whichever command forgot to look.
fn proved(cluster: &Cluster) -> Result<(), AskError> {
    cluster.require_proof().map_err(|told| AskError { refusal: Refusal::Other, told })
}

/// The serial that the next current identity gets: above that of every identity, and above what is published.
///
/// # Errors
/// No number is above: somebody wrote the highest one there is, which no controller came to by counting.
pub fn next_serial(all: &[Held], published: Option<u64>) -> Result<u64, CliError> {
    let marked = all.iter().filter_map(|held| Some((held.mark?.serial, held.secret.as_str())));
    let said = published.map(|serial| (serial, RECIPIENTS_CONFIGMAP));
    let Some((serial, object)) = marked.chain(said).max() else { return Ok(1) };
    serial.checked_add(1).ok_or_else(|| {
        let told = CliError::input(format!("no serial is above that of {object}; nothing was changed"))
            .detail(format!("serial: {serial}, which no controller ever came to: somebody wrote it there"));
        if object == RECIPIENTS_CONFIGMAP {
            told.hint(format!("take it away, and the controller writes it anew: kubectl delete configmap {object}"))
        } else {
            told.hint(format!("take the mark away: kubectl annotate secret {object} {ANNOTATION_CURRENT}-"))
        }
    })
}

/// Makes an identity Secret, which must not be there yet.
///
/// The copy that is sent stays in the network's buffers until they are used again; the one made here is overwritten.
pub fn create(
    cluster: &Cluster,
    name: &str,
    state: State,
    mark: Option<Mark>,
    file: &Zeroizing<String>,
) -> Result<(), AskError> {
    proved(cluster)?;
    let meta = ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from([(LABEL_IDENTITY.to_owned(), state.word().to_owned())])),
        annotations: mark.map(|mark| BTreeMap::from([(ANNOTATION_CURRENT.to_owned(), mark.text())])),
        ..ObjectMeta::default()
    };
    let data = BTreeMap::from([(IDENTITY_KEY.to_owned(), ByteString(file.as_bytes().to_vec()))]);
    let mut secret = Secret {
        metadata: meta,
        data: Some(data),
        // Nobody changes an identity; its label and its annotation still can be.
        immutable: Some(true),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let asked = Asked::new("create", "secrets").named(name).within(cluster.namespace());
    let api = cluster.namespaced::<Secret>(cluster.namespace());
    let params = PostParams { field_manager: Some(CLI_FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let made = cluster.ask(&asked, api.create(&params, &secret));
    wipe(&mut secret);
    made.map(|mut secret| wipe(&mut secret))
}

/// Relabels an identity Secret, and marks it if it is to be current; refused if it changed since it was read.
pub fn relabel(cluster: &Cluster, held: &Held, state: State, mark: Option<Mark>) -> Result<(), AskError> {
    let mut meta = json!({
        "labels": { LABEL_IDENTITY: state.word() },
        "resourceVersion": held.version,
    });
    if let (Some(mark), Some(meta)) = (mark, meta.as_object_mut()) {
        meta.insert("annotations".to_owned(), json!({ ANNOTATION_CURRENT: mark.text() }));
    }
    let asked = Asked::new("patch", "secrets").named(&held.secret).within(cluster.namespace());
    let api = cluster.namespaced::<Secret>(cluster.namespace());
    let params = PatchParams { field_manager: Some(CLI_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({ "metadata": meta }));
    // The answer to this form of patch has no data in it.
    cluster.ask(&asked, api.patch_metadata(&held.secret, &params, &patch)).map(drop)
}

fn wipe(secret: &mut Secret) {
    for ByteString(bytes) in secret.data.iter_mut().flat_map(|data| data.values_mut()) {
        bytes.zeroize();
    }
}

/// The id that was typed: in full, or a beginning or short form that fits one of these alone.
///
/// # Errors
/// It fits none of them, or several.
pub fn chosen(text: &str, known: &[RecipientId]) -> Result<RecipientId, CliError> {
    if let Ok(id) = text.parse::<RecipientId>() {
        return Ok(id);
    }
    let fitting: Vec<_> = known.iter().copied().filter(|id| crate::keys::is_id(text, &id.to_string())).collect();
    let list = |error: CliError, ids: &[RecipientId]| ids.iter().fold(error, |error, id| error.detail(id.to_string()));
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] => {
            Err(list(CliError::usage("this is the id of no identity of the cluster"), known).hint("ageseal keys list"))
        }
        several => {
            Err(list(CliError::usage("this beginning of an id fits several identities"), several)
                .hint("write more of it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "r7d793037a0760186";

    #[test]
    fn a_mark_is_a_serial_and_an_id_in_one_form_only() {
        let mark = Mark::parse(&format!("12.{ID}")).unwrap();
        assert_eq!((mark.serial, mark.id.to_string(), mark.text()), (12, ID.to_owned(), format!("12.{ID}")));
        for text in
            ["", "12", &format!(".{ID}"), &format!("+1.{ID}"), &format!("-1.{ID}"), "1.r12", &format!("1.{ID}.x")]
        {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_next_serial_is_above_all_that_were_given() {
        let held = |text: &str| Held::for_tests("x", State::Active, Mark::parse(text));
        let all = [held(&format!("3.{ID}")), held("junk"), held(&format!("1.{ID}"))];
        assert_eq!(next_serial(&all, None), Ok(4));
        assert_eq!(next_serial(&all, Some(7)), Ok(8));
        assert_eq!(next_serial(&[], None), Ok(1));
    }

    #[test]
    fn the_highest_serial_there_is_has_none_above_it_and_whose_it_is_is_said() {
        let held = |text: &str| Held::for_tests("planted", State::Active, Mark::parse(text));
        let error = next_serial(&[held(&format!("{}.{ID}", u64::MAX))], Some(7)).unwrap_err();
        assert!(error.message.contains("that of planted") && error.hints[0].contains("annotate secret planted"));
        let error = next_serial(&[held(&format!("3.{ID}"))], Some(u64::MAX)).unwrap_err();
        assert!(error.hints[0].contains("delete configmap ageseal-recipients"), "{error:?}");
        assert_eq!(next_serial(&[], Some(u64::MAX - 1)), Ok(u64::MAX));
        // One that no u64 holds is no mark.
        assert_eq!(Mark::parse(&format!("18446744073709551616.{ID}")), None);
    }
}
