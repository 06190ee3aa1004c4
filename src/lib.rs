//! Kubernetes Secrets, encrypted so that they can live in git.
//!
//! This crate is the pure core of ageseal: values in, values out. It knows the sealed format, the YAML it is written
//! in, what a Kubernetes Secret means, and the policy of a repository. It touches no file, network, clock, environment
//! or terminal; the command line and the controller do that around it. Randomness and time are parameters.
//!
//! # From a manifest to a sealed file, and back
//!
//! ```
//! use ageseal::manifest::{SealedManifest, SecretManifest, objects};
//! use ageseal::open::{Live, open};
//! use ageseal::recipient::{Identity, KeyRing};
//! use ageseal::rewrite::{Asked, Order, seal_in_place};
//! use ageseal::yaml::Stream;
//! use rand_core::OsRng;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let source = Stream::parse(
//!     "apiVersion: v1\n\
//!      kind: Secret\n\
//!      metadata:\n\
//!     \x20 name: db\n\
//!     \x20 namespace: shop-prod\n\
//!      stringData:\n\
//!     \x20 password: not a real one\n"
//!         .to_owned(),
//! )?;
//! let object = objects(&source).next().ok_or("no document")?;
//! let secret = SecretManifest::read(object.node, 0).manifest.ok_or("not a good Secret")?;
//!
//! // Whoever seals needs the recipient, never the identity.
//! let identity = Identity::generate_hybrid(&mut OsRng);
//! let recipients = [identity.recipient().ok_or("a native identity has one")?];
//! let ring = KeyRing::default();
//! let order = Order {
//!     recipients: &recipients,
//!     asked: Asked::default(),
//!     targets: &[],
//!     ring: &ring,
//!     prune: false,
//!     fresh: false,
//!     rescope: false,
//!     server_side: false,
//! };
//! let sealed = seal_in_place(&source, &[secret], &order, &mut OsRng).map_err(|_| "refused")?;
//! let text = sealed.text.ok_or("unchanged")?;
//! assert!(!text.text().contains("not a real one"));
//!
//! // Whoever holds the identity opens it, in the place that it was sealed for.
//! let object = objects(&text).next().ok_or("no document")?;
//! let document = SealedManifest::read(object.node).manifest.ok_or("malformed")?;
//! let ring = KeyRing::new(vec![identity]);
//! let here = Live { namespace: "shop-prod", name: "db" };
//! assert_eq!(open(&document.sealed, Some(here), &ring)?.values["password"].expose(), b"not a real one");
//! let elsewhere = Live { namespace: "shop-test", name: "db" };
//! assert!(open(&document.sealed, Some(elsewhere), &ring).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # Where things are
//!
//! From the ground up; a module uses only what stands above it in this list.
//!
//! - [`secret`], [`problem`], [`scope`], [`recipient`]: the one type that holds a plaintext; what is wrong, and where;
//!   which Secrets a value may become part of; who reads.
//! - [`format`](mod@format), [`yaml`]: the text of sealed things; documents with byte spans and edits that are proved.
//! - [`envelope`], [`seal`], [`open`]: the DEK and its age file; one value; a whole document, fail closed.
//! - [`manifest`], [`policy`]: what Kubernetes means; whom a path is sealed for.
//! - [`kustomize`]: what kustomize makes of a tree: the final namespace and name of every object, or a refusal.
//! - [`shadow`], [`generator`]: the entries of a kustomization that make plain kustomize follow a sealed document; the
//!   values of those that are not sealed yet.
//! - [`rewrite`], [`check`]: what to do to a file, and the edits that do it; what is wrong with a file, without any key.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods))]

pub mod api;
pub mod check;
pub mod envelope;
pub mod format;
pub mod generator;
pub mod kustomize;
pub mod manifest;
pub mod open;
pub mod policy;
pub mod problem;
pub mod recipient;
pub mod rewrite;
pub mod scope;
pub mod seal;
pub mod secret;
pub mod shadow;
pub mod yaml;
