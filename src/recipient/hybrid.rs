//! `age1pq`: the hybrid recipient of the age v1.1 specification, ML-KEM-768 with X25519 (X-Wing).
//!
//! The file key travels in one stanza, `-> mlkem768x25519 ENC`, whose body is HPKE base mode (RFC 9180) with KEM 0x647a
//! of draft-ietf-hpke-pq, HKDF-SHA256 and ChaCha20-Poly1305. This file only joins primitives that age's own tree
//! already holds; it goes when the `age` crate ships the type itself.
//!
//! Sources: <https://c2sp.org/age>, draft-connolly-cfrg-xwing-kem, draft-ietf-hpke-pq, FIPS 203.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{bech32_decode, bech32_encode, hpke_open, hpke_seal};
use age_core::secrecy::ExposeSecret;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bech32::Hrp;
use hpke::generic_array::typenum::{Sum, U32, U96, U192, U1024};
use hpke::kem::SharedSecret;
use hpke::{Deserializable, HpkeError, Serializable};
use ml_kem::kem::{Decapsulate, Encapsulate};
use ml_kem::{EncodedSizeUser, KemCore, MlKem768};
use rand_core::{CryptoRng, CryptoRngCore, OsRng, RngCore};
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey as X25519Public, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

use super::RecipientError;

/// The stanza's type.
pub(crate) const STANZA_TAG: &str = "mlkem768x25519";
/// HPKE's info string, which separates age's use of the KEM from any other.
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// The label that keeps these stanzas from standing beside weaker ones in one file.
const LABEL: &str = "postquantum";
/// X-Wing's own label, drawn as in its draft: `\./` over `/^\`.
const XWING_LABEL: &[u8; 6] = br"\.//^\";

const RECIPIENT_HRP: Hrp = Hrp::parse_unchecked("age1pq");
const IDENTITY_HRP: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-PQ-");

const SEED: usize = 32;
const ML_KEM_KEY: usize = 1184;
const ML_KEM_CIPHERTEXT: usize = 1088;
const X25519_SHARE: usize = 32;
const ENCAPSULATED: usize = ML_KEM_CIPHERTEXT + X25519_SHARE;
/// Unpadded base64 of the encapsulated key: 1,494 characters.
const ENCAPSULATED_TEXT: usize = (ENCAPSULATED * 4).div_ceil(3);
/// A file key and its Poly1305 tag.
const BODY: usize = FILE_KEY_BYTES + 16;

type MlKemPublic = <MlKem768 as KemCore>::EncapsulationKey;
type MlKemPrivate = <MlKem768 as KemCore>::DecapsulationKey;

/// A hybrid recipient, written `age1pq1…` (1,959 characters).
#[derive(Clone, PartialEq, Eq)]
pub(super) struct HybridRecipient(PublicKey);

impl FromStr for HybridRecipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        bech32_decode(
            text,
            |_| RecipientError::Checksum,
            |hrp| (hrp == RECIPIENT_HRP).then_some(()).ok_or(RecipientError::Kind),
            |_, bytes| {
                let bytes: Vec<u8> = bytes.collect();
                PublicKey::from_bytes(&bytes).map(Self).map_err(|_| RecipientError::Key)
            },
        )
    }
}

impl fmt::Display for HybridRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32_encode(RECIPIENT_HRP, &self.0.to_bytes()))
    }
}

impl age::Recipient for HybridRecipient {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let (enc, body) = hpke_seal::<XWing, _>(&self.0, INFO, file_key.expose_secret(), &mut OsRng);
        let stanza =
            Stanza { tag: STANZA_TAG.to_owned(), args: vec![BASE64_STANDARD_NO_PAD.encode(enc.to_bytes())], body };
        Ok((vec![stanza], HashSet::from([LABEL.to_owned()])))
    }
}

/// A hybrid identity: a 32-byte seed, written `AGE-SECRET-KEY-PQ-1…`.
#[derive(Clone)]
pub(super) struct HybridIdentity(PrivateKey);

impl HybridIdentity {
    /// Makes a new identity.
    pub(super) fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut seed = Zeroizing::new([0; SEED]);
        rng.fill_bytes(seed.as_mut());
        Self(PrivateKey::expand(&seed))
    }

    /// The recipient that this identity opens for.
    pub(super) fn to_public(&self) -> HybridRecipient {
        HybridRecipient(self.0.public.clone())
    }

    /// The identity as text, in upper case as age writes it.
    pub(super) fn to_secret_string(&self) -> Zeroizing<String> {
        let mut text = bech32_encode(IDENTITY_HRP, self.0.seed.as_ref());
        text.make_ascii_uppercase();
        Zeroizing::new(text)
    }
}

impl FromStr for HybridIdentity {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        bech32_decode(
            text,
            |_| RecipientError::Checksum,
            |hrp| (hrp == IDENTITY_HRP).then_some(()).ok_or(RecipientError::Kind),
            |_, bytes| {
                let bytes = Zeroizing::new(bytes.collect::<Vec<u8>>());
                PrivateKey::from_bytes(&bytes).map(Self).map_err(|_| RecipientError::Key)
            },
        )
    }
}

impl age::Identity for HybridIdentity {
    /// Unwraps one stanza.
    ///
    /// A stanza of another type is not ours (`None`). A malformed one makes the whole header invalid, so that no other
    /// identity is tried on it. ML-KEM rejects implicitly: somebody else's stanza fails in the AEAD, and is not ours.
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA_TAG {
            return None;
        }
        let [argument] = stanza.args.as_slice() else { return Some(Err(DecryptError::InvalidHeader)) };
        if argument.len() != ENCAPSULATED_TEXT || stanza.body.len() != BODY {
            return Some(Err(DecryptError::InvalidHeader));
        }
        // The engine refuses trailing bits and padding, so an accepted text is the canonical one.
        let Some(encapsulated) =
            BASE64_STANDARD_NO_PAD.decode(argument).ok().and_then(|bytes| EncappedKey::from_bytes(&bytes).ok())
        else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        match hpke_open::<XWing>(&encapsulated, &self.0, INFO, &stanza.body) {
            Ok(mut opened) => Some(FileKey::try_init_with_mut(|file_key| {
                let fits = opened.len() == file_key.len();
                if fits {
                    file_key.copy_from_slice(&opened);
                }
                opened.zeroize();
                fits.then_some(()).ok_or(DecryptError::InvalidHeader)
            })),
            Err(HpkeError::OpenError) => None,
            Err(_) => Some(Err(DecryptError::InvalidHeader)),
        }
    }
}

/// The KEM as `hpke` wants it.
struct XWing;

#[derive(Clone)]
struct PublicKey {
    ml_kem: MlKemPublic,
    x25519: X25519Public,
}

/// By bytes: the parts compare, but only one of them says that it is an equivalence.
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.ml_kem == other.ml_kem && self.x25519 == other.x25519
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(age1pq)")
    }
}

impl Deserializable for PublicKey {
    /// Parses `ek(1184) || x25519(32)`, and refuses keys that no honest generator makes.
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        if bytes.len() != ML_KEM_KEY + X25519_SHARE {
            return Err(HpkeError::IncorrectInputLength(ML_KEM_KEY + X25519_SHARE, bytes.len()));
        }
        let (ml_kem_bytes, x25519_bytes) = bytes.split_at(ML_KEM_KEY);
        let ml_kem = MlKemPublic::from_bytes(&ml_kem_bytes.try_into().map_err(|_| HpkeError::ValidationError)?);
        // FIPS 203, 7.2: coefficients must be reduced. ml-kem 0.2 reduces in silence, so the encoding tells.
        if ml_kem.as_bytes().as_slice() != ml_kem_bytes {
            return Err(HpkeError::ValidationError);
        }
        let share: [u8; X25519_SHARE] = x25519_bytes.try_into().map_err(|_| HpkeError::ValidationError)?;
        if super::is_low_order(&share) {
            return Err(HpkeError::ValidationError);
        }
        Ok(Self { ml_kem, x25519: X25519Public::from(share) })
    }
}

impl Serializable for PublicKey {
    type OutputSize = Sum<U1024, U192>;

    fn write_exact(&self, out: &mut [u8]) {
        out[..ML_KEM_KEY].copy_from_slice(&self.ml_kem.as_bytes());
        out[ML_KEM_KEY..].copy_from_slice(self.x25519.as_bytes());
    }
}

#[derive(Clone)]
struct PrivateKey {
    seed: Zeroizing<[u8; SEED]>,
    ml_kem: MlKemPrivate,
    x25519: StaticSecret,
    public: PublicKey,
}

impl PrivateKey {
    /// Expands the seed as X-Wing does: SHAKE-256 gives ML-KEM's d and z and the X25519 scalar, 32 bytes each.
    fn expand(seed: &[u8; SEED]) -> Self {
        let mut stream = Shake256::default().chain(seed).finalize_xof();
        let [mut d, mut z, mut scalar] = [[0; 32]; 3];
        stream.read(&mut d);
        stream.read(&mut z);
        stream.read(&mut scalar);
        let (ml_kem, ml_kem_public) = MlKem768::generate_deterministic(&d.into(), &z.into());
        let x25519 = StaticSecret::from(scalar);
        d.zeroize();
        z.zeroize();
        scalar.zeroize();
        let public = PublicKey { ml_kem: ml_kem_public, x25519: X25519Public::from(&x25519) };
        Self { seed: Zeroizing::new(*seed), ml_kem, x25519, public }
    }
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.seed.ct_eq(other.seed.as_ref()).into()
    }
}

impl Eq for PrivateKey {}

impl Deserializable for PrivateKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let seed: &[u8; SEED] = bytes.try_into().map_err(|_| HpkeError::IncorrectInputLength(SEED, bytes.len()))?;
        Ok(Self::expand(seed))
    }
}

impl Serializable for PrivateKey {
    type OutputSize = U32;

    fn write_exact(&self, out: &mut [u8]) {
        out.copy_from_slice(self.seed.as_ref());
    }
}

#[derive(Clone)]
struct EncappedKey {
    ml_kem: ml_kem::Ciphertext<MlKem768>,
    x25519: X25519Public,
}

impl Deserializable for EncappedKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        if bytes.len() != ENCAPSULATED {
            return Err(HpkeError::IncorrectInputLength(ENCAPSULATED, bytes.len()));
        }
        let (ml_kem, share) = bytes.split_at(ML_KEM_CIPHERTEXT);
        let share: [u8; X25519_SHARE] = share.try_into().map_err(|_| HpkeError::ValidationError)?;
        let ml_kem = ml_kem.try_into().map_err(|_| HpkeError::ValidationError)?;
        Ok(Self { ml_kem, x25519: X25519Public::from(share) })
    }
}

impl Serializable for EncappedKey {
    type OutputSize = Sum<U1024, U96>;

    fn write_exact(&self, out: &mut [u8]) {
        out[..ML_KEM_CIPHERTEXT].copy_from_slice(&self.ml_kem);
        out[ML_KEM_CIPHERTEXT..].copy_from_slice(self.x25519.as_bytes());
    }
}

impl hpke::Kem for XWing {
    type PublicKey = PublicKey;
    type PrivateKey = PrivateKey;
    type EncappedKey = EncappedKey;
    type NSecret = U32;
    const KEM_ID: u16 = 0x647a;

    fn sk_to_pk(private: &PrivateKey) -> PublicKey {
        private.public.clone()
    }

    /// Takes the first 32 bytes of keying material as the seed.
    ///
    /// age never derives a hybrid key from keying material; the trait wants the function, and `hpke` calls it only to
    /// generate key pairs, for which this module has its own way.
    fn derive_keypair(ikm: &[u8]) -> (PrivateKey, PublicKey) {
        let mut seed = Zeroizing::new([0; SEED]);
        Shake256::default().chain(ikm).finalize_xof().read(seed.as_mut());
        let private = PrivateKey::expand(&seed);
        let public = private.public.clone();
        (private, public)
    }

    fn decap(
        private: &PrivateKey,
        sender: Option<&PublicKey>,
        encapsulated: &EncappedKey,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        if sender.is_some() {
            return Err(HpkeError::DecapError);
        }
        let mut ml_kem = private.ml_kem.decapsulate(&encapsulated.ml_kem).map_err(|()| HpkeError::DecapError)?;
        let x25519 = private.x25519.diffie_hellman(&encapsulated.x25519);
        if !x25519.was_contributory() {
            ml_kem.zeroize();
            return Err(HpkeError::DecapError);
        }
        let shared = combine(&ml_kem, x25519.as_bytes(), &encapsulated.x25519, &private.public.x25519);
        ml_kem.zeroize();
        Ok(shared)
    }

    fn encap<R: CryptoRng + RngCore>(
        public: &PublicKey,
        sender: Option<(&PrivateKey, &PublicKey)>,
        rng: &mut R,
    ) -> Result<(SharedSecret<Self>, EncappedKey), HpkeError> {
        if sender.is_some() {
            return Err(HpkeError::EncapError);
        }
        let ephemeral = StaticSecret::random_from_rng(&mut *rng);
        let share = X25519Public::from(&ephemeral);
        let x25519 = ephemeral.diffie_hellman(&public.x25519);
        let (ciphertext, mut ml_kem) = public.ml_kem.encapsulate(rng).map_err(|()| HpkeError::EncapError)?;
        let shared = combine(&ml_kem, x25519.as_bytes(), &share, &public.x25519);
        ml_kem.zeroize();
        Ok((shared, EncappedKey { ml_kem: ciphertext, x25519: share }))
    }
}

/// X-Wing's combiner: SHA3-256 over both secrets, the X25519 share and key, and the label.
fn combine(ml_kem: &[u8], x25519: &[u8; 32], share: &X25519Public, public: &X25519Public) -> SharedSecret<XWing> {
    let mut shared = SharedSecret::<XWing>::default();
    let digest = Sha3_256::new()
        .chain_update(ml_kem)
        .chain_update(x25519)
        .chain_update(share.as_bytes())
        .chain_update(public.as_bytes())
        .chain_update(XWING_LABEL)
        .finalize();
    shared.0.copy_from_slice(&digest);
    shared
}
