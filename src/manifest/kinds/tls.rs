//! `kubernetes.io/tls`: a certificate chain, leaf first, and the private key of the leaf.
//!
//! The API server demands the two keys and looks no further; `kubectl create secret tls` demands that they belong
//! together, and so does this. Time decides whether a certificate is expired, so that is a warning.

use std::collections::BTreeMap;

use rustls_pki_types::pem::SectionKind;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::pair::{self, Pair};
use super::pem::{self, Section};
use super::{SecretType, required};
use crate::problem::Problem;
use crate::secret::Plaintext;

const CERTIFICATE: &str = "tls.crt";
const PRIVATE_KEY: &str = "tls.key";
const AUTHORITY: &str = "ca.crt";

/// Holds the certificate and key against the rules at a time in seconds since 1970 UTC.
pub(super) fn check(data: &BTreeMap<String, Plaintext>, now: i64, problems: &mut Vec<Problem>) {
    let certificate = required(data, CERTIFICATE, &SecretType::Tls, problems);
    let key = required(data, PRIVATE_KEY, &SecretType::Tls, problems);
    let chain = certificate.and_then(|value| sections(value, CERTIFICATE, problems));
    let keys = key.filter(|value| !is_locked(value, problems)).and_then(|value| sections(value, PRIVATE_KEY, problems));
    let certificates = chain.as_deref().map(|chain| certificates(chain, CERTIFICATE, now, problems));
    let private = keys.as_deref().and_then(|keys| private_key(keys, problems));
    if let (Some(certificates), Some(private)) = (certificates, private) {
        belong_together(&certificates, private, problems);
    }
    if let Some(authority) = data.get(AUTHORITY).filter(|value| !value.is_empty()) {
        // Optional, and nothing of Kubernetes itself reads it: never more than a warning.
        let readable = pem::sections(authority.expose())
            .is_some_and(|found| found.iter().any(|section| section.kind == SectionKind::Certificate));
        if !readable {
            problems.push(Problem::warning("tls-ca", "the value holds no certificate in PEM").key(AUTHORITY));
        }
    }
}

fn sections(value: &Plaintext, key: &'static str, problems: &mut Vec<Problem>) -> Option<Vec<Section>> {
    let text = value.expose();
    if text.is_empty() {
        problems.push(Problem::error("empty-value", "the value is empty").key(key));
        return None;
    }
    let found = pem::sections(text).filter(|_| pem::has_begin_line(text));
    if found.is_none() {
        let mut problem = Problem::error("tls-not-pem", "the value is not PEM").key(key);
        if text.first() == Some(&0x30) {
            problem = problem.hint("it looks like DER: convert it with openssl, -inform DER");
        } else if text.starts_with(b"LS0tLS1CRUdJTi") {
            problem = problem.hint("it is base64 of PEM: encoded twice in data, or encoded in stringData");
        }
        problems.push(problem);
    } else if text.contains(&b'\r') {
        problems.push(
            Problem::warning("pem-cr", "the PEM has carriage returns, which some programs refuse")
                .key(key)
                .hint("convert the file to LF line ends"),
        );
    }
    found
}

fn certificates<'a>(
    chain: &'a [Section],
    key: &'static str,
    now: i64,
    problems: &mut Vec<Problem>,
) -> Vec<X509Certificate<'a>> {
    let ders: Vec<_> = chain.iter().filter(|section| section.kind == SectionKind::Certificate).collect();
    let mut certificates = Vec::with_capacity(ders.len());
    for (index, section) in ders.iter().enumerate() {
        match X509Certificate::from_der(&section.der) {
            Ok(([], certificate)) => certificates.push(certificate),
            _ => {
                let message = format!("certificate {} of {} is no X.509 certificate", index + 1, ders.len());
                problems.push(Problem::error("tls-certificate", message).key(key));
                return Vec::new();
            }
        }
    }
    if certificates.is_empty() {
        problems.push(Problem::error("tls-certificate", "the value holds no certificate").key(key));
    }
    if chain.iter().any(is_private) {
        problems.push(
            Problem::warning("tls-key-in-certificate", "the value holds a private key beside the certificate")
                .key(key)
                .hint("programs hand the certificate out: keep the key in tls.key alone"),
        );
    }
    let total = certificates.len();
    for (index, certificate) in certificates.iter().enumerate() {
        let which =
            if total == 1 { "the certificate".to_owned() } else { format!("certificate {} of {total}", index + 1) };
        let validity = certificate.validity();
        if now > validity.not_after.timestamp() {
            problems.push(Problem::warning("expired", format!("{which} has expired")).key(key));
        } else if now < validity.not_before.timestamp() {
            problems.push(Problem::warning("not-yet-valid", format!("{which} is not valid yet")).key(key));
        }
    }
    certificates
}

fn private_key<'a>(keys: &'a [Section], problems: &mut Vec<Problem>) -> Option<&'a Section> {
    let mut found = keys.iter().filter(|section| is_private(section));
    let first = found.next();
    if first.is_none() {
        problems.push(Problem::error("tls-key", "the value holds no private key").key(PRIVATE_KEY));
    } else if found.next().is_some() {
        problems.push(
            Problem::warning("tls-key", "the value holds more than one private key; the first counts").key(PRIVATE_KEY),
        );
    }
    first
}

/// A locked key is told apart before it is parsed: the older way puts headers into the PEM, which no parser here takes.
fn is_locked(value: &Plaintext, problems: &mut Vec<Problem>) -> bool {
    let locked = pem::is_encrypted(value.expose());
    if locked {
        problems.push(
            Problem::error("tls-key-encrypted", "the private key is locked by a passphrase")
                .key(PRIVATE_KEY)
                .hint("unlock it first, for example with openssl pkey: nothing in a cluster can type the passphrase"),
        );
    }
    locked
}

fn is_private(section: &Section) -> bool {
    matches!(section.kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}

fn belong_together(certificates: &[X509Certificate<'_>], private: &Section, problems: &mut Vec<Problem>) {
    let Some((leaf, rest)) = certificates.split_first() else { return };
    match pair::compare(leaf.public_key(), private) {
        Pair::Same => {}
        Pair::Damaged => problems.push(
            Problem::error("tls-key", "the private key is damaged: its parts do not fit each other").key(PRIVATE_KEY),
        ),
        Pair::Unchecked => problems.push(
            Problem::warning(
                "tls-unchecked",
                "whether key and certificate belong together is not checked for this kind of key",
            )
            .key(PRIVATE_KEY),
        ),
        Pair::Different => {
            let mut problem = Problem::error("tls-mismatch", "the private key does not belong to the certificate");
            let other = rest.iter().position(|c| pair::compare(c.public_key(), private) == Pair::Same);
            if let Some(index) = other {
                problem =
                    problem.hint(format!("it belongs to certificate {} of the chain: put that one first", index + 2));
            }
            problems.push(problem.key(PRIVATE_KEY));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::codes;
    use super::*;

    macro_rules! pem {
        ($name:literal) => {
            include_bytes!(concat!("../testdata/tls/", $name)).as_slice()
        };
    }

    fn pair_of(certificate: &[u8], key: &[u8]) -> Vec<String> {
        codes(&SecretType::Tls, &[(CERTIFICATE, certificate), (PRIVATE_KEY, key)])
    }

    #[test]
    fn every_kind_of_key_and_every_wrapping_that_belongs_passes() {
        let pairs = [
            (pem!("p256.crt"), pem!("p256.key")),
            (pem!("p256.crt"), pem!("p256.sec1.key")),
            (pem!("p256.crt"), pem!("p256.params.key")),
            (pem!("p384.crt"), pem!("p384.key")),
            (pem!("p384.crt"), pem!("p384.sec1.key")),
            (pem!("rsa2048.crt"), pem!("rsa2048.key")),
            (pem!("rsa2048.crt"), pem!("rsa2048.pkcs1.key")),
            (pem!("rsa1024.crt"), pem!("rsa1024.key")),
            (pem!("ed25519.crt"), pem!("ed25519.key")),
        ];
        for (index, (certificate, key)) in pairs.into_iter().enumerate() {
            assert!(pair_of(certificate, key).is_empty(), "pair {index}");
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_an_error() {
        let mismatch = ["!tls-mismatch tls.key"];
        for key in [
            pem!("other.key"),
            pem!("p384.key"),
            pem!("p384.sec1.key"),
            pem!("rsa2048.key"),
            pem!("ed25519.key"),
            pem!("p521.key"),
            pem!("ed448.key"),
        ] {
            assert_eq!(pair_of(pem!("p256.crt"), key), mismatch);
        }
        assert_eq!(pair_of(pem!("rsa2048.crt"), pem!("rsa1024.key")), mismatch);
        assert_eq!(pair_of(pem!("ed25519.crt"), pem!("p256.key")), mismatch);
        assert_eq!(pair_of(pem!("p384.crt"), pem!("p256.key")), mismatch);
    }

    #[test]
    fn a_kind_of_key_that_cannot_be_compared_is_said() {
        assert_eq!(pair_of(pem!("p521.crt"), pem!("p521.key")), ["tls-unchecked tls.key"]);
        assert_eq!(pair_of(pem!("ed448.crt"), pem!("ed448.key")), ["tls-unchecked tls.key"]);
    }

    #[test]
    fn a_chain_starts_with_the_leaf() {
        let good = [pem!("p256.crt"), pem!("other.crt")].concat();
        let turned = [pem!("other.crt"), pem!("p256.crt")].concat();
        assert!(pair_of(&good, pem!("p256.key")).is_empty());
        let mut problems = Vec::new();
        let data = super::super::testing::data(&[(CERTIFICATE, &turned), (PRIVATE_KEY, pem!("p256.key"))]);
        check(&data, super::super::testing::NOW, &mut problems);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].code, "tls-mismatch");
        assert_eq!(problems[0].hint.as_deref(), Some("it belongs to certificate 2 of the chain: put that one first"));
    }

    #[test]
    fn time_is_a_warning() {
        assert_eq!(pair_of(pem!("expired.crt"), pem!("p256.key")), ["expired tls.crt"]);
        assert_eq!(pair_of(pem!("future.crt"), pem!("p256.key")), ["not-yet-valid tls.crt"]);
    }

    #[test]
    fn both_keys_are_demanded_and_hold_pem() {
        let only = |key: &str, value: &[u8]| codes(&SecretType::Tls, &[(key, value)]);
        assert_eq!(only(CERTIFICATE, pem!("p256.crt")), ["!missing-key tls.key"]);
        assert_eq!(only(PRIVATE_KEY, pem!("p256.key")), ["!missing-key tls.crt"]);
        assert_eq!(only("x", b"y"), ["!missing-key tls.crt", "!missing-key tls.key"]);
        assert_eq!(pair_of(b"", b""), ["!empty-value tls.crt", "!empty-value tls.key"]);
        assert_eq!(pair_of(b"hunter2hunter2", pem!("p256.key")), ["!tls-not-pem tls.crt"]);
        assert_eq!(pair_of(pem!("p256.crt"), b"hunter2hunter2"), ["!tls-not-pem tls.key"]);
        assert_eq!(pair_of(pem!("p256.crt"), b"\x30\x81\x87DER"), ["!tls-not-pem tls.key"]);
        let cut = &pem!("p256.key")[..100];
        assert_eq!(pair_of(pem!("p256.crt"), cut), ["!tls-not-pem tls.key"]);
    }

    #[test]
    fn certificate_and_key_stand_in_their_own_places() {
        assert_eq!(
            pair_of(pem!("p256.key"), pem!("p256.crt")),
            ["!tls-certificate tls.crt", "tls-key-in-certificate tls.crt", "!tls-key tls.key"]
        );
        let both = [pem!("p256.crt"), pem!("p256.key")].concat();
        assert_eq!(pair_of(&both, pem!("p256.key")), ["tls-key-in-certificate tls.crt"]);
        let two = [pem!("p256.key"), pem!("other.key")].concat();
        assert_eq!(pair_of(pem!("p256.crt"), &two), ["tls-key tls.key"]);
    }

    #[test]
    fn a_locked_key_is_an_error() {
        assert_eq!(pair_of(pem!("p256.crt"), pem!("encrypted.key")), ["!tls-key-encrypted tls.key"]);
        assert_eq!(pair_of(pem!("p256.crt"), pem!("encrypted.sec1.key")), ["!tls-key-encrypted tls.key"]);
    }

    #[test]
    fn garbage_in_good_pem_is_an_error() {
        let junk = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert_eq!(pair_of(junk, pem!("p256.key")), ["!tls-certificate tls.crt"]);
        let key = b"-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
        assert_eq!(pair_of(pem!("p256.crt"), key), ["!tls-key tls.key"]);
    }

    #[test]
    fn carriage_returns_are_a_warning_and_the_pair_is_still_compared() {
        let crlf = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap().replace('\n', "\r\n").into_bytes();
        assert_eq!(pair_of(&crlf(pem!("p256.crt")), &crlf(pem!("p256.key"))), ["pem-cr tls.crt", "pem-cr tls.key"]);
        assert_eq!(
            pair_of(&crlf(pem!("p256.crt")), &crlf(pem!("other.key"))),
            ["pem-cr tls.crt", "pem-cr tls.key", "!tls-mismatch tls.key"]
        );
    }

    #[test]
    fn an_authority_is_optional_and_never_an_error() {
        let with = |ca: &[u8]| {
            codes(
                &SecretType::Tls,
                &[(CERTIFICATE, pem!("p256.crt")), (PRIVATE_KEY, pem!("p256.key")), (AUTHORITY, ca)],
            )
        };
        assert!(with(pem!("other.crt")).is_empty());
        assert!(with(b"").is_empty());
        assert_eq!(with(b"nothing"), ["tls-ca ca.crt"]);
    }
}
