//! When the values of a Secret stop being good, as far as its type tells.

use std::collections::BTreeMap;

use rustls_pki_types::pem::SectionKind;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{SecretType, bootstrap, pem};
use crate::secret::Plaintext;

/// The end of a value's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The data key.
    pub key: &'static str,
    /// What ends: `the certificate` or `the token`.
    pub what: &'static str,
    /// The time that is written there, in seconds since 1970 UTC.
    pub at: i64,
    /// Whether it is still good in that very second.
    inclusive: bool,
}

impl Expiry {
    /// Whether it has ended at `now`, in seconds since 1970 UTC.
    pub fn is_over(&self, now: i64) -> bool {
        if self.inclusive { now > self.at } else { now >= self.at }
    }
}

/// Reads the end of a certificate (`kubernetes.io/tls`: the leaf in `tls.crt`) or of a bootstrap token (`expiration`).
///
/// Nothing comes back where there is no end, or none that can be read: that is for [`super::check`] to tell.
pub fn expiry(secret_type: &SecretType, data: &BTreeMap<String, Plaintext>) -> Option<Expiry> {
    match secret_type {
        SecretType::Tls => {
            let key = "tls.crt";
            let at = leaf_end(data.get(key)?.expose())?;
            Some(Expiry { key, what: "the certificate", at, inclusive: true })
        }
        SecretType::BootstrapToken => {
            let key = "expiration";
            let text = std::str::from_utf8(data.get(key)?.expose()).ok()?;
            // Kubernetes counts a token as expired in that second already.
            Some(Expiry { key, what: "the token", at: bootstrap::rfc3339(text)?, inclusive: false })
        }
        _ => None,
    }
}

fn leaf_end(chain: &[u8]) -> Option<i64> {
    let sections = pem::sections(chain)?;
    let leaf = sections.iter().find(|section| section.kind == SectionKind::Certificate)?;
    let (_, certificate) = X509Certificate::from_der(&leaf.der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, data};
    use super::*;

    fn tls(chain: &[u8]) -> Option<i64> {
        expiry(&SecretType::Tls, &data(&[("tls.crt", chain)])).map(|end| end.at)
    }

    #[test]
    fn the_leaf_of_a_chain_decides() {
        let good = include_bytes!("../testdata/tls/p256.crt").as_slice();
        let expired = include_bytes!("../testdata/tls/expired.crt").as_slice();
        let (later, earlier) = (tls(good).unwrap(), tls(expired).unwrap());
        assert!(earlier < NOW && NOW < later, "{earlier} {later}");
        assert_eq!(tls(&[good, expired].concat()), Some(later));
        assert_eq!(tls(&[expired, good].concat()), Some(earlier));
    }

    #[test]
    fn a_token_ends_with_its_expiration() {
        let end = |text: &[u8]| expiry(&SecretType::BootstrapToken, &data(&[("expiration", text)])).map(|end| end.at);
        assert_eq!(end(b"2026-01-01T00:00:00Z"), Some(NOW));
        let end_of = |secret_type, key, value: &[u8]| expiry(&secret_type, &data(&[(key, value)])).unwrap();
        let token = end_of(SecretType::BootstrapToken, "expiration", b"2026-01-01T00:00:00Z");
        assert!(token.is_over(NOW) && !token.is_over(NOW - 1));
        let leaf = end_of(SecretType::Tls, "tls.crt", include_bytes!("../testdata/tls/p256.crt"));
        assert!(leaf.is_over(leaf.at + 1) && !leaf.is_over(leaf.at));
        assert_eq!(end(b"soon"), None);
        assert_eq!(end(b""), None);
        assert_eq!(expiry(&SecretType::BootstrapToken, &data(&[])), None);
    }

    #[test]
    fn nothing_is_guessed() {
        for chain in [
            &b""[..],
            b"x",
            include_bytes!("../testdata/tls/p256.key"),
            b"-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n",
        ] {
            assert_eq!(tls(chain), None);
        }
        let chain = include_bytes!("../testdata/tls/p256.crt");
        assert_eq!(expiry(&SecretType::Opaque, &data(&[("tls.crt", chain)])), None);
    }
}
