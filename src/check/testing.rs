//! Sealed documents for the tests of this module, made with real keys.

use rand_core::OsRng;

use super::{Code, Context, File, FileReport, Level, check_text};
use crate::envelope::FreshDek;
use crate::policy::{Policy, Recipients, RecipientsFile, Refusal};
use crate::recipient::{Identity, Recipient};
use crate::scope::Scope;
use crate::seal::Context as SealContext;
use crate::secret::Plaintext;

pub(super) const CANARY: &str = "canary-hunter2";
/// 2026-11-18, at noon UTC.
pub(super) const NOW: i64 = 20_775 * 86_400 + 43_200;

pub(super) fn classic() -> Identity {
    Identity::generate_x25519()
}

pub(super) fn hybrid() -> Identity {
    Identity::generate_hybrid(&mut OsRng)
}

pub(super) fn public(identity: &Identity) -> &Recipient {
    identity.recipient().unwrap()
}

/// An envelope as YAML, from its `recipients:` on, each line behind this indent.
pub(super) fn envelope(dek: &FreshDek, to: &[&Identity], indent: &str) -> String {
    let recipients: Vec<_> = to.iter().map(|identity| public(identity)).collect();
    let file = dek.wrap(&recipients).unwrap();
    let ids: Vec<_> = file.recipients.iter().map(ToString::to_string).collect();
    let age: String = file.age.lines().map(|line| format!("{indent}  {line}\n")).collect();
    format!("{indent}recipients: [{}]\n{indent}age: |\n{age}", ids.join(", "))
}

/// A sealed value for one scope.
pub(super) fn value(dek: &FreshDek, key: &str, scope: &str) -> String {
    let scope = Scope::parse_sorted(&[scope]).unwrap();
    let context = SealContext { secret_type: "Opaque", key, scope: &scope };
    dek.seal(context, &Plaintext::new(CANARY.as_bytes().to_vec()), &mut OsRng).unwrap().to_string()
}

/// A document with the keys `password` and `user` in one shared envelope.
pub(super) fn document(namespace: &str, name: &str, scope: &str, to: &[&Identity]) -> String {
    let dek = FreshDek::generate(&mut OsRng);
    let namespace = if namespace.is_empty() { String::new() } else { format!("\n  namespace: {namespace}") };
    format!(
        "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: {name}{namespace}\nspec:\n  scope:\n  - '{scope}'\n  encryptedData:\n    password:\n      value: {}\n    user:\n      value: {}\n  envelopes:\n    {}:\n{}",
        value(&dek, "password", scope),
        value(&dek, "user", scope),
        dek.kid().map_key(),
        envelope(&dek, to, "      "),
    )
}

/// An overlay patch of one value that carries everything itself.
pub(super) fn patch(name: &str, scope: &str, to: &[&Identity]) -> String {
    let dek = FreshDek::generate(&mut OsRng);
    format!(
        "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: {name}\nspec:\n  encryptedData:\n    password:\n      value: {}\n      scope:\n      - '{scope}'\n      envelope:\n{}",
        value(&dek, "password", scope),
        envelope(&dek, to, "        "),
    )
}

/// A policy: `prod/**` for prod, with the scope `shop-prod/*`.
pub(super) struct House {
    pub(super) policy: Policy,
    pub(super) recipients: Recipients,
}

impl House {
    /// A house whose recipients files have these texts.
    pub(super) fn with(rules: &str, files: &[(&str, String)]) -> Self {
        let text = format!("apiVersion: ageseal.dev/v1alpha1\nkind: Policy\n{rules}");
        let parse = |text: &str| -> Result<Recipient, Refusal> { Ok(text.parse::<Recipient>()?) };
        let files = files.iter().map(|(name, text)| RecipientsFile::parse(name, text.as_bytes(), &parse).unwrap());
        Self { policy: Policy::parse(text.into_bytes()).unwrap(), recipients: Recipients::new(files) }
    }

    pub(super) fn new(files: &[(&str, String)]) -> Self {
        Self::with(
            "rules:\n- paths: [\"prod/**\"]\n  recipients: [prod]\n  scopes: [\"shop-prod/*\"]\nallow:\n- paths: [\"docs/**\"]\n  reason: invented\n",
            files,
        )
    }

    /// A house where prod is these people.
    pub(super) fn of(prod: &[&Identity]) -> Self {
        let text: String = prod.iter().map(|identity| format!("{}\n", public(identity))).collect();
        Self::new(&[("prod", text)])
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context::new(NOW).policy(&self.policy, &self.recipients)
    }
}

pub(super) fn source(path: &str) -> File<'_> {
    File { path: Some(path), shown: path, built: false }
}

/// Checks a text, and that nothing of the values is said.
pub(super) fn report(path: &str, text: &str, context: &Context<'_>) -> FileReport {
    let report = check_text(source(path), text.as_bytes().to_vec(), context);
    let said = format!("{report:?}");
    assert!(!said.contains(CANARY) && !said.contains("Y2FuYXJ5"), "{said}");
    for finding in &report.findings {
        assert!(finding.level == Level::Note || finding.hint.is_some(), "an error says the next step: {finding:?}");
    }
    report
}

pub(super) fn codes(report: &FileReport) -> Vec<Code> {
    report.findings.iter().map(|finding| finding.code).collect()
}
