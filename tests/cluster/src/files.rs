//! The files that a control plane reads: tokens, keys, policies, kubeconfigs.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand_core::{OsRng, RngCore};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

/// Everything at Metadata, what is not secret with its content. Secrets, and whatever carries a token, never with it.
pub(crate) const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  resources:
  - group: ageseal.dev
  - group: ""
    resources: [configmaps, events]
  - group: events.k8s.io
- level: Metadata
"#;

/// Writes a file that only this user reads.
///
/// # Panics
/// If it cannot be written.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    }
    let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(content.as_ref()));
    written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A token that nobody guesses.
pub(crate) fn token() -> String {
    random(24).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A few letters and digits that make a name unique.
pub(crate) fn suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    random(6).iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// The key that signs the tokens of ServiceAccounts, and the one that they are verified by, both in PEM.
pub(crate) fn signing_keys() -> (String, String) {
    // RFC 5480: SubjectPublicKeyInfo of a point on P-256, up to the point.
    const PUBLIC_HEAD: [u8; 26] =
        *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    let random = SystemRandom::new();
    let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
    let private = private.expect("the system has random bytes");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, private.as_ref(), &random);
    let pair = pair.expect("it was made a line above");
    let public = [&PUBLIC_HEAD, pair.public_key().as_ref()].concat();
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", &public))
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Encryption at rest: Secrets by secretbox, and read as they are where they were written before.
pub(crate) fn encryption_configuration() -> String {
    let key = STANDARD.encode(random(32));
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\n\
         kind: EncryptionConfiguration\n\
         resources:\n\
         - resources: [secrets]\n\
        \x20 providers:\n\
        \x20 - secretbox: {{keys: [{{name: key1, secret: {key}}}]}}\n\
        \x20 - identity: {{}}\n"
    )
}

/// A kubeconfig for one bearer token.
pub(crate) fn kubeconfig(port: u16, authority: &Path, namespace: &str, user: &str, token: &str) -> String {
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: test\n\
        \x20 cluster: {{server: \"https://127.0.0.1:{port}\", certificate-authority: \"{}\"}}\n\
         users:\n\
         - name: {user}\n\
        \x20 user: {{token: \"{token}\"}}\n\
         contexts:\n\
         - name: test\n\
        \x20 context: {{cluster: test, user: {user}, namespace: {namespace}}}\n\
         current-context: test\n",
        authority.display()
    )
}

fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    OsRng.fill_bytes(&mut bytes);
    bytes
}
