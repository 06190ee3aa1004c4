//! What the API server holds: the custom resource, its status, and what a cluster publishes of its keys.
//!
//! Types and names alone: no client, no clock. The controller and the commands that talk to a cluster share them, and
//! `deploy/` is generated from them.

mod backup;
mod conditions;
mod crd;
mod names;
mod published;
mod sealed;
mod spec;
mod status;

pub use backup::backup_of;
pub use conditions::{ConditionType, ReadyReason};
pub use crd::sealed_secrets_crd;
pub use names::*;
pub use published::{Published, PublishedError, PublishedRecipient};
pub use sealed::{SpecError, SpecPath};
pub use spec::{
    AgeFile, DeletionPolicy, EncryptedItem, Envelope, Mode, Replace, SealedSecret, SealedSecretSpec, Template,
    TemplateMetadata,
};
pub use status::{SealedSecretStatus, SecretRecord};
