//! Whether a private key belongs to the public key of a certificate.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair,
};
use rustls_pki_types::pem::SectionKind;
use x509_parser::asn1_rs::{Any, FromDer, Tag};
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use super::pem::Section;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    /// They belong together.
    Same,
    /// They do not.
    Different,
    /// The private key is not what its kind demands.
    Damaged,
    /// The kind of key is one that this code cannot compare.
    Unchecked,
}

// Object identifiers as DER content bytes.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]; // 1.2.840.113549.1.1.1
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a]; // 1.2.840.113549.1.1.10
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]; // 1.2.840.10045.2.1
const ED25519: &[u8] = &[0x2b, 0x65, 0x70]; // 1.3.101.112
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]; // 1.2.840.10045.3.1.7
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22]; // 1.3.132.0.34

/// Compares the public key of a certificate with a private key in PKCS #8, PKCS #1 or SEC 1.
pub(super) fn compare(public: &SubjectPublicKeyInfo<'_>, private: &Section) -> Pair {
    let Some(key) = PrivateKey::read(private) else { return Pair::Damaged };
    let algorithm = public.algorithm.algorithm.as_bytes();
    let bits: &[u8] = &public.subject_public_key.data;
    match (family(algorithm), family(key.algorithm)) {
        (None, _) | (_, None) if algorithm == key.algorithm => Pair::Unchecked,
        (certificate, key) if certificate != key => Pair::Different,
        (Some(Family::Rsa), _) => rsa(bits, key.body),
        (Some(Family::Ed25519), _) => ed25519(bits, key.body),
        (Some(Family::Ec), _) => {
            let curve = public.algorithm.parameters.as_ref().filter(|p| p.tag() == Tag::Oid).map(|p| p.data);
            ec(curve, bits, &key)
        }
        (None, _) => Pair::Unchecked,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    Ec,
    Ed25519,
}

fn family(algorithm: &[u8]) -> Option<Family> {
    match algorithm {
        a if a == RSA || a == RSA_PSS => Some(Family::Rsa),
        a if a == EC => Some(Family::Ec),
        a if a == ED25519 => Some(Family::Ed25519),
        _ => None,
    }
}

/// A private key with its wrapping taken off.
struct PrivateKey<'a> {
    algorithm: &'a [u8],
    /// The curve, if the wrapping names one.
    curve: Option<&'a [u8]>,
    /// PKCS #1, SEC 1, or the inner octet string of an Edwards key.
    body: &'a [u8],
}

impl<'a> PrivateKey<'a> {
    fn read(section: &'a Section) -> Option<Self> {
        let der: &'a [u8] = &section.der;
        match section.kind {
            SectionKind::RsaPrivateKey => Some(Self { algorithm: RSA, curve: None, body: der }),
            SectionKind::EcPrivateKey => Some(Self { algorithm: EC, curve: None, body: der }),
            _ => {
                // PrivateKeyInfo ::= SEQUENCE { version, AlgorithmIdentifier, OCTET STRING, … }   (RFC 5958)
                let mut fields = sequence(der)?;
                expect(&mut fields, Tag::Integer)?;
                let mut identifier = expect(&mut fields, Tag::Sequence)?;
                let body = expect(&mut fields, Tag::OctetString)?;
                let algorithm = expect(&mut identifier, Tag::Oid)?;
                Some(Self { algorithm, curve: expect(&mut identifier, Tag::Oid), body })
            }
        }
    }
}

fn rsa(public: &[u8], body: &[u8]) -> Pair {
    // RSAPrivateKey ::= SEQUENCE { version, n, e, … };  RSAPublicKey ::= SEQUENCE { n, e }   (RFC 8017)
    let modulus_and_exponent = |fields: &mut &[u8]| {
        let n = expect(fields, Tag::Integer).map(number).map(<[u8]>::to_vec)?;
        let e = expect(fields, Tag::Integer).map(number).map(<[u8]>::to_vec)?;
        Some((n, e))
    };
    let own = sequence(body).and_then(|mut fields| {
        expect(&mut fields, Tag::Integer)?;
        modulus_and_exponent(&mut fields)
    });
    let Some(own) = own else { return Pair::Damaged };
    let Some(theirs) = sequence(public).and_then(|mut fields| modulus_and_exponent(&mut fields)) else {
        return Pair::Unchecked;
    };
    if own != theirs {
        return Pair::Different;
    }
    match ring::rsa::KeyPair::from_der(body) {
        // The only answer that says the key is broken; the others say that ring does not take the size or the shape.
        Err(rejected) if rejected.to_string() == "InconsistentComponents" => Pair::Damaged,
        _ => Pair::Same,
    }
}

fn ed25519(public: &[u8], body: &[u8]) -> Pair {
    let mut rest = body;
    let Some(seed) = expect(&mut rest, Tag::OctetString) else { return Pair::Damaged };
    match Ed25519KeyPair::from_seed_unchecked(seed) {
        Err(_) => Pair::Damaged,
        Ok(pair) if pair.public_key().as_ref() == public => Pair::Same,
        Ok(_) => Pair::Different,
    }
}

fn ec(curve: Option<&[u8]>, public: &[u8], key: &PrivateKey<'_>) -> Pair {
    // ECPrivateKey ::= SEQUENCE { version, OCTET STRING, [0] OID OPTIONAL, [1] BIT STRING OPTIONAL }   (RFC 5915)
    let Some((scalar, inner_curve)) = sequence(key.body).and_then(|mut fields| {
        expect(&mut fields, Tag::Integer)?;
        let scalar = expect(&mut fields, Tag::OctetString)?;
        let inner = Any::from_der(fields).ok().filter(|(_, any)| any.tag() == Tag(0)).map(|(_, any)| any.data);
        Some((scalar, inner.and_then(|mut inner| expect(&mut inner, Tag::Oid))))
    }) else {
        return Pair::Damaged;
    };
    let own_curve = key.curve.or(inner_curve);
    if let (Some(own), Some(theirs)) = (own_curve, curve)
        && own != theirs
    {
        return Pair::Different;
    }
    let (algorithm, size): (&'static EcdsaSigningAlgorithm, usize) = match curve {
        Some(curve) if curve == P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, 32),
        Some(curve) if curve == P384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, 48),
        _ => return Pair::Unchecked,
    };
    // Some writers leave leading zeros off; ring wants all of them.
    let scalar = number(scalar);
    if scalar.len() > size {
        return Pair::Damaged;
    }
    let mut full = Zeroizing::new(vec![0_u8; size]);
    full[size - scalar.len()..].copy_from_slice(scalar);
    // ring wants a source of randomness for signatures that are never made here: the answer does not depend on it.
    match EcdsaKeyPair::from_private_key_and_public_key(algorithm, &full, public, &SystemRandom::new()) {
        Ok(_) => Pair::Same,
        // A certificate with a compressed point is lawful, and ring takes the plain form only.
        Err(_) if public.first() != Some(&4) => Pair::Unchecked,
        Err(_) => Pair::Different,
    }
}

/// The content of a DER sequence.
fn sequence(der: &[u8]) -> Option<&[u8]> {
    let mut rest = der;
    expect(&mut rest, Tag::Sequence)
}

/// Takes the next field, which must have the tag.
fn expect<'a>(rest: &mut &'a [u8], tag: Tag) -> Option<&'a [u8]> {
    let (after, any) = Any::from_der(rest).ok()?;
    if any.tag() != tag {
        return None;
    }
    *rest = after;
    Some(any.data)
}

/// A number without its leading zeros.
fn number(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|b| **b == 0).count()..]
}
