//! PEM: the sections of a text, without ever telling what is in them.

use rustls_pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

/// One section, decoded.
pub(super) struct Section {
    pub(super) kind: SectionKind,
    pub(super) der: Zeroizing<Vec<u8>>,
}

impl PemObject for Section {
    fn from_pem(kind: SectionKind, der: Vec<u8>) -> Option<Self> {
        Some(Self { kind, der: Zeroizing::new(der) })
    }
}

/// Reads the sections of a text in order; sections of kinds that TLS has no use for are passed over.
///
/// Nothing comes back if a section is not well formed. The parser's error quotes lines, so it ends here.
pub(super) fn sections(text: &[u8]) -> Option<Vec<Section>> {
    Section::pem_slice_iter(text).collect::<Result<_, _>>().ok()
}

/// Whether a text has a line that opens a section of any kind.
pub(super) fn has_begin_line(text: &[u8]) -> bool {
    lines(text).any(|line| line.starts_with(b"-----BEGIN "))
}

/// Whether a private key in the text is locked by a passphrase, in the PKCS #8 or the older OpenSSL way.
pub(super) fn is_encrypted(text: &[u8]) -> bool {
    lines(text).any(|line| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY")
            || (line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED"))
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| matches!(b, b'\n' | b'\r')).map(<[u8]>::trim_ascii)
}
