//! One value: sealed under a DEK for one place, and opened again in that place only.
//!
//! `key || commitment = HKDF-SHA256(DEK, salt, context)`, and the padded value is encrypted once under `key` with
//! ChaCha20-Poly1305. The context binds the Secret's type, the data key and the scope, so a value that is moved,
//! renamed or widened does not open. The zero nonce is safe because each key is used once: the salt is fresh.
//!
//! Sources: RFC 5869 (HKDF), RFC 8439 (ChaCha20-Poly1305), C2SP chunked-encryption (the committing shape).

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::Hkdf;
use rand_core::CryptoRngCore;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::envelope::{Dek, FreshDek, OpenedDek};
use crate::format::{COMMITMENT, SALT, SealedValue, padded_len};
use crate::scope::Scope;
use crate::secret::Plaintext;

const VALUE_INFO: &[u8] = b"ageseal.dev/v1/value";
const NONCE: [u8; 12] = [0; 12];
const PAD_MARK: u8 = 0x80;

/// Where a value belongs: what is authenticated beside it.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The Secret's type, `Opaque` where none is given.
    pub secret_type: &'a str,
    /// The data key.
    pub key: &'a str,
    /// The effective scope: the item's own, else the document's.
    pub scope: &'a Scope,
}

impl Context<'_> {
    /// The unambiguous bytes: every part with its length before it.
    fn bytes(&self) -> Result<Vec<u8>, CannotSeal> {
        let patterns = self.scope.patterns();
        let mut bytes = VALUE_INFO.to_vec();
        push_prefixed(&mut bytes, self.secret_type)?;
        push_prefixed(&mut bytes, self.key)?;
        bytes.extend_from_slice(&u16::try_from(patterns.len()).map_err(|_| CannotSeal)?.to_be_bytes());
        for pattern in patterns {
            push_prefixed(&mut bytes, pattern.as_str())?;
        }
        Ok(bytes)
    }
}

fn push_prefixed(bytes: &mut Vec<u8>, part: &str) -> Result<(), CannotSeal> {
    bytes.extend_from_slice(&u16::try_from(part.len()).map_err(|_| CannotSeal)?.to_be_bytes());
    bytes.extend_from_slice(part.as_bytes());
    Ok(())
}

/// A part of the context is longer than 65,535 bytes, which the caps on names and scopes rule out.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a name or pattern is too long to be sealed")]
pub struct CannotSeal;

/// A value did not open. Why is not said: the bytes came from nobody known.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the value does not open here")]
pub(crate) struct CannotOpen;

impl FreshDek {
    /// Seals one value for one place.
    pub fn seal(
        &self,
        context: Context<'_>,
        value: &Plaintext,
        rng: &mut impl CryptoRngCore,
    ) -> Result<SealedValue, CannotSeal> {
        let mut salt = [0; SALT];
        rng.fill_bytes(&mut salt);
        let (cipher, commitment) = derive(self.dek(), &salt, &context.bytes()?);
        let ciphertext = cipher.encrypt(Nonce::from_slice(&NONCE), pad(value).as_slice()).map_err(|_| CannotSeal)?;
        Ok(SealedValue { kid: self.kid(), salt, commitment, ciphertext })
    }
}

impl OpenedDek {
    /// Opens one value in its place, or gives nothing at all.
    pub(crate) fn open(&self, context: Context<'_>, sealed: &SealedValue) -> Result<Plaintext, CannotOpen> {
        let context = context.bytes().map_err(|CannotSeal| CannotOpen)?;
        let (cipher, commitment) = derive(self.dek(), &sealed.salt, &context);
        if !bool::from(commitment.ct_eq(&sealed.commitment)) {
            return Err(CannotOpen);
        }
        let padded = cipher
            .decrypt(Nonce::from_slice(&NONCE), sealed.ciphertext.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| CannotOpen)?;
        unpad(padded).ok_or(CannotOpen)
    }
}

fn derive(dek: &Dek, salt: &[u8; SALT], info: &[u8]) -> (ChaCha20Poly1305, [u8; COMMITMENT]) {
    let mut out = Zeroizing::new([0; 32 + COMMITMENT]);
    Hkdf::<Sha256>::new(Some(salt), dek.bytes()).expand(info, out.as_mut()).expect("64 bytes are within HKDF's limit");
    let (key, commitment) = out.split_at(32);
    let cipher = ChaCha20Poly1305::new_from_slice(key).expect("the first half has 32 bytes");
    (cipher, commitment.try_into().expect("the second half has 32 bytes"))
}

fn pad(value: &Plaintext) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(Vec::with_capacity(padded_len(value.len())));
    padded.extend_from_slice(value.expose());
    padded.push(PAD_MARK);
    padded.resize(padded_len(value.len()), 0);
    padded
}

/// Takes the padding off, if it is exactly the padding that sealing puts there.
fn unpad(mut padded: Zeroizing<Vec<u8>>) -> Option<Plaintext> {
    let mark = padded.iter().rposition(|byte| *byte != 0)?;
    if padded[mark] != PAD_MARK || padded_len(mark) != padded.len() {
        return None;
    }
    padded.truncate(mark);
    Some(Plaintext::new(std::mem::take(&mut *padded)))
}

#[cfg(test)]
mod tests {
    use rand_core::{CryptoRng, OsRng, RngCore};

    use super::*;

    /// Gives chosen bytes in place of random ones.
    pub(crate) struct Chosen(Vec<u8>);

    impl RngCore for Chosen {
        fn next_u32(&mut self) -> u32 {
            rand_core::impls::next_u32_via_fill(self)
        }
        fn next_u64(&mut self) -> u64 {
            rand_core::impls::next_u64_via_fill(self)
        }
        fn fill_bytes(&mut self, out: &mut [u8]) {
            let chosen: Vec<u8> = self.0.drain(..out.len()).collect();
            out.copy_from_slice(&chosen);
        }
        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
            self.fill_bytes(out);
            Ok(())
        }
    }

    impl CryptoRng for Chosen {}

    fn scope(pattern: &str) -> Scope {
        Scope::canonical([pattern.parse().unwrap()]).unwrap()
    }

    fn opened(dek: &FreshDek) -> OpenedDek {
        let identity = crate::recipient::Identity::generate_x25519();
        let file = dek.wrap(&[identity.recipient().unwrap()]).unwrap();
        let ring = crate::recipient::KeyRing::new(vec![identity]);
        crate::envelope::unwrap(&file, &ring, &std::cell::Cell::new(9)).ok().unwrap()
    }

    #[test]
    fn the_published_vector() {
        let mut rng = Chosen((0x00..0x20).chain(0x80..0x98).collect());
        let dek = FreshDek::generate(&mut rng);
        let scope = scope("prod/db");
        let context = Context { secret_type: "Opaque", key: "password", scope: &scope };
        let sealed = dek.seal(context, &Plaintext::new(b"hunter2".to_vec()), &mut rng).unwrap();
        assert_eq!(
            sealed.to_string(),
            "ags1.35eee4bfa05d6bdb.gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXXCVvXBa6bL9jj72mxzl3Qk0TBHvLA1LTvnksVCOIT09+Vb0iYC+Ni0kd\
             9GuPXRhsI/JhsY6B2NU8TSlro/WcxkE8wquQWkZVFeqfEJNpTc3mN9Mo141s+w7AZN8lOkru61fYGjJhm5ym2rGKoTj4oA=="
        );
    }

    #[test]
    fn a_value_opens_in_its_place_only() {
        let dek = FreshDek::generate(&mut OsRng);
        let (here, there, wider) = (scope("prod/db"), scope("prod/queue"), scope("prod/*"));
        let context = Context { secret_type: "Opaque", key: "password", scope: &here };
        for len in [0, 1, 62, 63, 64, 65, 1000, 5000] {
            let value = Plaintext::new(vec![0x80; len]);
            let sealed = dek.seal(context, &value, &mut OsRng).unwrap();
            let dek = opened(&dek);
            assert_eq!(dek.open(context, &sealed), Ok(value));
            for elsewhere in [
                Context { scope: &there, ..context },
                Context { scope: &wider, ..context },
                Context { key: "user", ..context },
                Context { secret_type: "example.com/other", ..context },
            ] {
                assert_eq!(dek.open(elsewhere, &sealed), Err(CannotOpen), "{elsewhere:?}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let dek = FreshDek::generate(&mut OsRng);
        let scope = scope("prod/db");
        let context = Context { secret_type: "Opaque", key: "password", scope: &scope };
        let sealed = dek.seal(context, &Plaintext::new(b"hunter2".to_vec()), &mut OsRng).unwrap();
        let dek = opened(&dek);
        for bit in 0..8 * (SALT + COMMITMENT + sealed.ciphertext.len()) {
            let mut bad = sealed.clone();
            let (byte, mask) = (bit / 8, 1 << (bit % 8));
            match byte {
                0..SALT => bad.salt[byte] ^= mask,
                SALT..56 => bad.commitment[byte - SALT] ^= mask,
                _ => bad.ciphertext[byte - 56] ^= mask,
            }
            assert_eq!(dek.open(context, &bad), Err(CannotOpen), "bit {bit}");
        }
    }

    #[test]
    fn padding_is_exact_or_nothing() {
        let padded = |bytes: &[u8], len: usize| {
            let mut padded = bytes.to_vec();
            padded.resize(len, 0);
            unpad(Zeroizing::new(padded))
        };
        assert_eq!(padded(b"a\x80", 64), Some(Plaintext::new(b"a".to_vec())));
        assert_eq!(padded(b"\x80", 64), Some(Plaintext::new(vec![])));
        for (bytes, len) in [(&b"a\x80"[..], 72), (b"a\x81", 64), (b"a", 64), (b"", 64), (b"a\x80", 63)] {
            assert_eq!(padded(bytes, len), None, "{bytes:?} {len}");
        }
    }
}
