//! The closed list of what `check` can find.

use std::fmt;

/// Whether a finding fails the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It must be mended: the run ends with 1.
    Error,
    /// It is said, and fails nothing.
    Note,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Note => "note",
        })
    }
}

/// Defines the codes once: the variant, its stable name, its usual level, its headline and what it means.
macro_rules! codes {
    ($($variant:ident $name:literal $level:ident $headline:literal $meaning:literal;)*) => {
        /// What was found. The names are stable: machines and allow-lists go by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the manual.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name, in kebab-case.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// How serious it usually is. Dates, git and `--strict` may decide otherwise.
            pub fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level),* }
            }

            /// The fact in a few words: the first line that a person reads.
            pub fn headline(self) -> &'static str {
                match self { $(Self::$variant => $headline),* }
            }

            /// One sentence for the manual.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

codes! {
    PlaintextSecret "plaintext-secret" Error
        "plaintext Secret"
        "A Secret of Kubernetes with values stands in the file: as a document, or as an item of a list.";
    PlaintextEmbedded "plaintext-embedded" Error
        "plaintext Secret inside another object"
        "A Secret with values stands inside another object: in the text or `binaryData` of a ConfigMap, in an inline patch, in a template.";
    PlaintextLastApplied "plaintext-last-applied" Error
        "plaintext Secret in an annotation"
        "The annotation `kubectl.kubernetes.io/last-applied-configuration` holds a Secret with its values.";
    PlaintextSuspected "plaintext-suspected" Error
        "text that may be a plaintext Secret"
        "A text inside an object is no YAML, and has the lines that a Secret with values has.";
    IgnoredPlaintext "ignored-plaintext" Note
        "plaintext Secret, ignored by git"
        "A plaintext Secret stands in a file that git ignores: it will not be committed.";
    Unreadable "unreadable" Error
        "not readable, so not provably free of plaintext"
        "The file may hold a Secret and cannot be read as YAML or JSON, so nobody can prove that it holds no plaintext.";
    Malformed "malformed" Error
        "sealed document that nothing opens"
        "A sealed document has an unknown field, a wrong shape, an unsorted scope, or breaks a cap of the format.";
    BadEnvelope "bad-envelope" Error
        "broken envelope"
        "An envelope is no age file, or breaks a cap of the format.";
    MissingEnvelope "missing-envelope" Error
        "value without an envelope"
        "A value has no envelope of its own, and no shared one has its key id: nobody can open it.";
    OrphanEnvelope "orphan-envelope" Note
        "envelope that no value uses"
        "No value refers to this shared envelope. `set` leaves it so that a revert still opens; sealing anew drops it.";
    TooLarge "too-large" Error
        "sealed document too large to apply"
        "The sealed document is larger than the API server, or client-side apply, can take.";
    NoPolicy "no-policy" Error
        "no policy"
        "There are sealed documents and no policy: nobody wrote down who may read them.";
    SecondPolicy "second-policy" Error
        "second policy folder"
        "A `.ageseal` folder below the top of the repository, or one such as `.AGESEAL` that some file systems take for it: it would dodge whoever guards the first one.";
    BadPolicy "bad-policy" Error
        "policy that cannot be followed"
        "A rule of the policy names recipients that nothing can be sealed for.";
    ShadowedRule "shadowed-rule" Note
        "rule that never decides"
        "A path pattern of the policy never decides, because an earlier rule has it already.";
    NoRule "no-rule" Error
        "path without a rule"
        "No rule of the policy matches the path of a sealed document; there is no default.";
    MissingRecipient "missing-recipient" Error
        "not sealed for everybody in the policy"
        "A value is not sealed for a recipient that the policy names for this path.";
    UnknownRecipient "unknown-recipient" Error
        "sealed for somebody who is not in the policy"
        "A value is sealed for a recipient that the policy does not name for this path.";
    SupersededRecipient "superseded-recipient" Note
        "sealed for a superseded key"
        "A value is sealed for a key that is superseded under its name: a note until the marked day is over, an error after it and with `--strict`.";
    ClaimMismatch "claim-mismatch" Error
        "envelope with other readers than it claims"
        "The number or the kind of the stanzas in an envelope's age file is not that of the recipients that it claims.";
    MixedRecipients "mixed-recipients" Error
        "post-quantum and classic keys in one envelope"
        "An envelope is sealed for a post-quantum and a classic key: the classic copy undoes the other.";
    ScopeBeyondPolicy "scope-beyond-policy" Error
        "scope beyond the policy"
        "A scope goes beyond the `scopes` of the rule for this path.";
    ScopeMismatch "scope-mismatch" Error
        "will not open where it is deployed"
        "The namespace or name of a sealed document is not what its values were sealed for.";
    ScopeMissing "scope-missing" Error
        "will not open where it is deployed"
        "A kustomization, or what Flux or Argo CD makes of it, deploys a sealed document under a namespace or name that its values were not sealed for.";
    TypeMismatch "type-mismatch" Error
        "sealed for another type than is built"
        "A kustomization, or an overlay patch, gives a sealed document another type than values of it are sealed for: none of them open.";
    StaleNumber "stale-number" Error
        "number without its value"
        "An overlay gives a data key a number of its own and overrides its value by no patch: a new value of the base does not roll the pods of that overlay.";
    ScopeWider "scope-wider" Note
        "could open where nobody deploys it"
        "A value is sealed for a namespace and name that no kustomization of the repository makes of it: an error with `--strict`.";
    NotDeployed "not-deployed" Note
        "not deployed by anything here"
        "No kustomization of the repository lists the file of a sealed document, though there are some above it; or no object of Flux or Argo CD names one that does, though there are such objects.";
    KustomizationBroken "kustomization-broken" Error
        "kustomization that does not build"
        "A kustomization that may deploy sealed documents is one that kustomize itself refuses, or an object of Flux or Argo CD is wrong.";
    KustomizationUnknown "kustomization-unknown" Note
        "kustomization that is not modelled"
        "What a kustomization, or an object of Flux or Argo CD, makes of sealed documents is not known, so their scopes were not held against it.";
    DanglingReference "dangling-reference" Error
        "reference to a Secret that will not exist"
        "An object names a Secret, or a key of one, that nothing in the same build makes, and that is not optional. `external` in the policy names Secrets that come from elsewhere.";
    Unused "unused" Note
        "sealed Secret that nothing uses"
        "No object of the same build names the Secret of a sealed document.";
    ShipsPlaintext "ships-plaintext" Error
        "kustomization that deploys a plaintext Secret"
        "A kustomization lists the plaintext that sealed files are made of, such as `db.secret.yaml`, and not the sealed file.";
    PlaintextGenerator "plaintext-generator" Error
        "plaintext values in a generator"
        "A `secretGenerator` has `literals`: their values stand in the kustomization, for everybody who can read it.";
    NoNamespace "no-namespace" Note
        "no namespace to check the scope against"
        "A sealed document has no namespace, as in a base: only the name was held against its scope.";
    PatchNotListed "patch-not-listed" Error
        "overlay patch that no kustomization lists"
        "A sealed document without `spec.scope` is an overlay patch, and no kustomization lists its file under `patches`.";
    NotARecipient "not-a-recipient" Error
        "no identity at hand opens this"
        "With `-i`: none of the identities given is a recipient of a value.";
    CannotOpen "cannot-open" Error
        "does not open"
        "With `-i`: a value or its envelope was changed after it was sealed, or moved to where it was not sealed for.";
    LeftOver "left-over" Note
        "left over from a run that was killed"
        "A temporary file that a killed run left beside the file that it was about to write. It holds what that file was to hold: nothing in plaintext.";
    MoreFindings "more-findings" Error
        "findings that are not listed"
        "A file has more findings than are told of one file: this says how many. It is a note if all of them are.";
}

impl Code {
    /// Whether `--strict` makes an error of it.
    pub fn is_strict(self) -> bool {
        matches!(self, Self::SupersededRecipient | Self::ScopeWider)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_kebab_and_unique() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        for code in Code::ALL {
            assert!(code.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert!(code.meaning().ends_with('.') && !code.headline().ends_with('.'), "{code}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }

    /// The manual's table says what the codes say.
    #[test]
    fn the_manual_lists_every_code() {
        let page = include_str!("../../docs/findings.md");
        let rows: String = Code::ALL
            .iter()
            .map(|code| format!("| `{}` | {} | {} |\n", code.name(), code.level(), code.meaning()))
            .collect();
        assert!(page.contains(&rows), "docs/findings.md is to hold these rows:\n{rows}");
    }
}
