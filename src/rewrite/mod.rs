//! From plaintext manifests to sealed ones: what to do, and the edits that do it.
//!
//! ```text
//! source bytes → yaml::Stream → manifests with spans → plan (Seal, Keep, Drop; every refusal at once)
//!              → edits (a value is exposed only here, one at a time) → new text, re-parsed and proved
//! ```
//!
//! Nothing here reads or writes a file. A plan holds no plaintext and can be printed.

mod create;
mod document;
mod item;
mod leak;
mod opened;
mod outline;
mod patch;
mod place;
mod plan;
mod seal;
mod size;
mod spec;

pub use create::create;
pub use item::{SetOrder, place_of, set_item, unset_item};
pub use opened::{Shape, secret_value};
pub use outline::{outline, outline_in_place, outline_over};
pub use patch::{PatchOf, PatchOrder, check_patch_scope, set_in_patch};
pub use place::{Asked, DECIDING, Place, Target};
pub use plan::{Action, Anew, DocumentPlan, Order, Refusals, is_for, plan};
pub use seal::{SealedFile, seal_in_place, seal_over};
pub use size::{MAX_CLIENT_APPLIED, MAX_OBJECT, check_size};
