//! Base64 as Go reads it, because the API server is written in Go.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::{Zeroize, Zeroizing};

// Go's StdEncoding takes bits that are not zero behind the last byte; so must whoever reads what Kubernetes would.
const fn engine(padding: DecodePaddingMode) -> GeneralPurpose {
    GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(padding),
    )
}
const PADDED: GeneralPurpose = engine(DecodePaddingMode::RequireCanonical);
const UNPADDED: GeneralPurpose = engine(DecodePaddingMode::RequireNone);

/// Decodes what Go's `base64.StdEncoding` decodes: the standard alphabet, padded, carriage returns and line feeds
/// anywhere.
///
/// Guarantees: every buffer is overwritten when it is dropped, and nothing of the text is in the answer's absence.
pub(crate) fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    decode_with(&PADDED, text)
}

/// Decodes what Go's `base64.RawStdEncoding` decodes: the same without padding.
pub(crate) fn decode_unpadded(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    decode_with(&UNPADDED, text)
}

fn decode_with(engine: &GeneralPurpose, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // The exact capacity first: a vector that grows leaves copies behind.
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')));
    let mut out = Zeroizing::new(vec![0_u8; base64::decoded_len_estimate(packed.len())]);
    let length = engine.decode_slice(packed.as_slice(), out.as_mut_slice()).ok()?;
    out[length..].zeroize();
    out.truncate(length);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str) -> Option<Vec<u8>> {
        decode(input.as_bytes()).map(|v| v.to_vec())
    }

    #[test]
    fn reads_what_go_reads() {
        assert_eq!(text("aHVudGVyMg=="), Some(b"hunter2".to_vec()));
        assert_eq!(text("aHVu\r\ndGVy\nMg=\n=\n"), Some(b"hunter2".to_vec()));
        assert_eq!(text(""), Some(Vec::new()));
        // Bits behind the last byte that are not zero: Go takes them.
        assert_eq!(text("aHVudGVyMh=="), Some(b"hunter2".to_vec()));
    }

    #[test]
    fn refuses_what_go_refuses() {
        for bad in ["aHVudGVyMg", "aHVudGVyMg=", "aHVu dGVy", "aHVu\tdGVy", "-_-_", "hunter2!", "====", "aHVudGVyMg==x"]
        {
            assert_eq!(text(bad), None, "{bad}");
        }
    }

    #[test]
    fn unpadded_is_another_encoding() {
        assert_eq!(decode_unpadded(b"dTpw").map(|v| v.to_vec()), Some(b"u:p".to_vec()));
        assert_eq!(decode_unpadded(b"dTpwdw").map(|v| v.to_vec()), Some(b"u:pw".to_vec()));
        assert!(decode_unpadded(b"dTpwdw==").is_none());
    }
}
