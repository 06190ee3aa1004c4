//! The policy of a repository: which path is sealed for whom, and for which Secrets.
//!
//! [`Policy`] is `.ageseal/policy.yaml`, [`RecipientsFile`] is one `.ageseal/recipients/NAME.pub`, and [`Recipients`]
//! is all of those. A [`Rule`] and the recipients together make a [`RecipientSet`]: what a document at a path is
//! sealed for. Everything here is text in, facts out; whoever calls reads and writes the files.
//!
//! Guarantees: nothing is defaulted. A path without a rule, a rule without recipients or scopes, a name without a
//! current recipient and an unknown field are errors.

mod date;
mod deployed;
mod edit;
mod error;
mod paths;
mod pubfile;
mod read;
mod rules;
mod set;
mod typo;

pub use date::{Date, DateError};
pub use deployed::{Deployed, Said};
pub use edit::{NewRule, PolicyEditError, add_name, new_policy, remove_name};
pub use error::{OddRecipient, PolicyError};
pub use pubfile::{Entry, MAX_LINES, ParseRecipient, RecipientsFile, Refusal, recipients_path};
pub use rules::{Allow, MAX_PATTERNS, MAX_RULES, NameRef, PathPattern, Policy, Rule, is_name};
pub use set::{Comparison, Member, Named, RecipientSet, Recipients, Stale};

/// Where the policy stands, from the top of the repository.
pub const POLICY_PATH: &str = ".ageseal/policy.yaml";

/// The kind of the policy document.
pub const POLICY_KIND: &str = "Policy";

#[cfg(test)]
mod testing {
    //! Recipients for the tests of this module.

    use crate::recipient::{Identity, Recipient};

    /// The core's own parser.
    pub(super) fn native(text: &str) -> Result<Recipient, super::Refusal> {
        Ok(text.parse::<Recipient>()?)
    }

    /// A classic recipient, another one for every number.
    pub(super) fn classic(number: u8) -> String {
        let secret = x25519_dalek::StaticSecret::from([number; 32]);
        let public = x25519_dalek::PublicKey::from(&secret);
        let hrp = bech32::Hrp::parse("age").unwrap();
        bech32::encode::<bech32::Bech32>(hrp, public.as_bytes()).unwrap()
    }

    /// A post-quantum recipient.
    pub(super) fn hybrid() -> String {
        Identity::generate_hybrid(&mut rand_core::OsRng).recipient().unwrap().to_string()
    }
}
