//! The names that the controller, the commands and the manifests in `deploy/` have to agree on.

/// The API group.
pub const GROUP: &str = "ageseal.dev";
/// The namespace that the controller is installed into, unless somebody says otherwise.
pub const DEFAULT_NAMESPACE: &str = "ageseal-system";
/// The field manager of every server-side apply that the controller makes.
pub const FIELD_MANAGER: &str = "ageseal-controller";
/// The field manager of every change that the commands make. The mark of an identity Secret counts only where this one or
/// [`FIELD_MANAGER`] wrote it.
pub const CLI_FIELD_MANAGER: &str = "ageseal-cli";
/// The field manager of a change of an identity Secret's label alone. It is none of the two above: the times of theirs say
/// when the mark was written, and a copy that is relabelled is not marked by that.
pub const LABEL_FIELD_MANAGER: &str = "ageseal-label";
/// The Lease that the replicas take turns with.
pub const LEASE: &str = "ageseal-controller";

/// Label of a Secret that the controller made or writes to: [`MANAGED_OWNED`], [`MANAGED_RETAINED`] or
/// [`MANAGED_MERGED`]. The drift watch selects by it.
pub const LABEL_MANAGED: &str = "ageseal.dev/managed";
/// The Secret carries an ownerReference to its document.
pub const MANAGED_OWNED: &str = "owned";
/// The Secret outlives its document.
pub const MANAGED_RETAINED: &str = "retained";
/// Some data keys of the Secret are the document's; the Secret itself is not.
pub const MANAGED_MERGED: &str = "merged";

/// Annotation of a foreign Secret that agrees to be adopted: the name of the document that may.
pub const ANNOTATION_ADOPT_BY: &str = "ageseal.dev/adopt-by";
/// Annotation of a document that the controller leaves alone, whatever its value.
pub const ANNOTATION_PAUSED: &str = "ageseal.dev/paused";
/// Annotation of a document; a new value forces one reconcile.
pub const ANNOTATION_RECONCILE: &str = "ageseal.dev/reconcile";
/// Annotation of a Secret that a document in `Merge` mode made because there was none: it goes when the last key goes.
pub const ANNOTATION_CREATED: &str = "ageseal.dev/created";
/// Finalizer of a document in `Merge` mode: its keys leave the Secret before it goes.
pub const FINALIZER: &str = "ageseal.dev/merge";
/// What every label, annotation and finalizer of ours begins with; a template may not set any.
pub const OWN_PREFIX: &str = "ageseal.dev/";

/// Label of an identity Secret: [`IDENTITY_CURRENT`], [`IDENTITY_ACTIVE`] or [`IDENTITY_RETIRED`].
pub const LABEL_IDENTITY: &str = "ageseal.dev/identity";
/// The identity whose recipient is published. One at a time.
pub const IDENTITY_CURRENT: &str = "current";
/// An identity that opens.
pub const IDENTITY_ACTIVE: &str = "active";
/// An identity that still opens, and is to be removed.
pub const IDENTITY_RETIRED: &str = "retired";
/// The data key of an identity Secret that the controller writes; it reads every data key.
pub const IDENTITY_KEY: &str = "identity.txt";
/// What the names of identity Secrets begin with; a serial number follows, so that a name is made once.
pub const IDENTITY_PREFIX: &str = "ageseal-identity-";
/// Annotation of an identity Secret that was made, or promoted, to be current: `SERIAL.RECIPIENT-ID`. The serial grows
/// with every change of the current identity, so an old Secret that is restored never becomes current by itself.
pub const ANNOTATION_CURRENT: &str = "ageseal.dev/current";

/// The ConfigMap that publishes the cluster's recipients.
pub const RECIPIENTS_CONFIGMAP: &str = "ageseal-recipients";
/// What the names of the ConfigMaps with encrypted backups begin with; the recipient id follows.
pub const BACKUP_PREFIX: &str = "ageseal-backup-";
/// Label of a backup ConfigMap: the recipient id of the identity in it.
pub const LABEL_BACKUP: &str = "ageseal.dev/backup";
/// The data key of a backup ConfigMap: the identity file, encrypted to the backup recipients and armored.
pub const BACKUP_KEY: &str = "identity.age";
