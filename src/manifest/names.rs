//! The syntax of the names that Kubernetes accepts.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation` (`IsConfigMapKey`, `IsDNS1123Subdomain`, `IsDNS1123Label`,
//! `IsQualifiedName`, `IsValidLabelValue`). Lengths are in bytes.

use crate::format;

/// The longest data key, object name or Secret type.
pub const MAX_NAME: usize = 253;
/// The longest namespace, and the longest part of a label key after the slash.
pub const MAX_LABEL: usize = 63;

/// Says what is wrong with a data key, or nothing.
///
/// A data key is 1 to 253 of `A-Z a-z 0-9 - . _`; it is not `.` and does not begin with `..`, because it becomes the
/// name of a file.
pub fn data_key_fault(key: &str) -> Option<&'static str> {
    if key.is_empty() {
        return Some("is empty");
    }
    if key.len() > MAX_NAME {
        return Some("is longer than 253 bytes");
    }
    if key.contains('/') {
        return Some("holds a slash");
    }
    if !key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
        return Some("holds a character other than A-Z a-z 0-9 - . _");
    }
    if key == "." || key.starts_with("..") {
        return Some("is '.' or begins with '..', which no file name may");
    }
    None
}

/// Says what is wrong with the name of a Secret (a DNS subdomain), or nothing.
pub fn object_name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > MAX_NAME {
        return Some("is longer than 253 bytes");
    }
    if !name.split('.').all(is_dns_label) {
        return Some("is not a DNS name: a-z 0-9 - and dots, each part beginning and ending with a letter or digit");
    }
    None
}

/// Says what is wrong with the name of a namespace (a DNS label), or nothing.
pub fn namespace_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > MAX_LABEL {
        return Some("is longer than 63 bytes");
    }
    if !is_dns_label(name) {
        return Some("is not a DNS label: a-z 0-9 - without dots, beginning and ending with a letter or digit");
    }
    None
}

/// Says what is wrong with the name of a Secret type, or nothing.
///
/// The API server takes any text here. ageseal authenticates the type, so it takes the ones that are in use: 1 to 253
/// of `A-Z a-z 0-9 - . _ /`, as [`format::is_secret_type`] says.
pub fn secret_type_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > MAX_NAME {
        return Some("is longer than 253 bytes");
    }
    if !format::is_secret_type(name) {
        return Some("holds a character other than A-Z a-z 0-9 - . _ /");
    }
    None
}

/// Says what is wrong with the key of a label or annotation, or nothing.
pub fn qualified_name_fault(key: &str) -> Option<&'static str> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| object_name_fault(prefix).is_some()) {
        return Some("has a part before the slash that is no DNS name");
    }
    if name.is_empty() || name.len() > MAX_LABEL {
        return Some("has a name part that is empty or longer than 63 bytes");
    }
    if !is_label_text(name) {
        return Some("has a name part that is not A-Z a-z 0-9 - _ . between letters or digits");
    }
    None
}

/// Says what is wrong with the value of a label, or nothing.
pub fn label_value_fault(value: &str) -> Option<&'static str> {
    if value.len() > MAX_LABEL {
        return Some("is longer than 63 bytes");
    }
    if !value.is_empty() && !is_label_text(value) {
        return Some("is not A-Z a-z 0-9 - _ . between letters or digits");
    }
    None
}

fn is_dns_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Finds the known word that was most likely meant, if one is near.
///
/// A word that differs in case alone is always near; else at most a third of it, and at most three letters, may differ.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > MAX_NAME {
        return None;
    }
    if let Some(same) = known.iter().find(|k| k.eq_ignore_ascii_case(word)) {
        return Some(*same);
    }
    let lower = word.to_ascii_lowercase();
    let most = |k: &str| (k.len() / 3).clamp(1, 3);
    known
        .iter()
        // What differs more in length cannot be near, and a distance takes time by both lengths.
        .filter(|k| word.len().abs_diff(k.len()) <= 4 * most(k))
        .map(|k| (strsim::osa_distance(&lower, &k.to_ascii_lowercase()), *k))
        .filter(|(distance, k)| *distance <= most(k))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_keys_are_file_names_of_three_signs() {
        for good in ["a", "tls.crt", ".dockerconfigjson", ".secret-file", "A_b-9", "-", "_", "a..b", &"k".repeat(253)] {
            assert_eq!(data_key_fault(good), None, "{good}");
        }
        for bad in ["", ".", "..", "..data", "a/b", "a b", "ä", "a\n", "a:b", &"k".repeat(254)] {
            assert!(data_key_fault(bad).is_some(), "{bad}");
            assert!(!format::is_data_key(bad), "{bad}");
        }
        assert_eq!(data_key_fault("a/b"), Some("holds a slash"));
    }

    #[test]
    fn object_names_are_dns_subdomains() {
        for good in ["a", "db-credentials", "a.b.c", "0", &"a".repeat(253)] {
            assert_eq!(object_name_fault(good), None, "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a.", "a/b", "a*", &"a".repeat(254)] {
            assert!(object_name_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn namespaces_are_dns_labels() {
        for good in ["shop-prod", "a", &"a".repeat(63)] {
            assert_eq!(namespace_fault(good), None, "{good}");
        }
        for bad in ["", "a.b", "Shop", "*", &"a".repeat(64)] {
            assert!(namespace_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn type_names_are_what_is_in_use() {
        for good in ["Opaque", "kubernetes.io/tls", "helm.sh/release.v1", "a", "x/y/z", &"t".repeat(253)] {
            assert_eq!(secret_type_fault(good), None, "{good}");
        }
        for bad in ["", "a b", "ä", "a\u{0}b", "a:b", &"t".repeat(254), &"t".repeat(70_000)] {
            assert!(secret_type_fault(bad).is_some(), "{bad:.20}");
        }
    }

    #[test]
    fn label_keys_and_values() {
        for good in ["app", "app.kubernetes.io/name", "A_b.c"] {
            assert_eq!(qualified_name_fault(good), None, "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "App.io_/a", "-a", &"a".repeat(64)] {
            assert!(qualified_name_fault(bad).is_some(), "{bad}");
        }
        assert_eq!(label_value_fault(""), None);
        assert_eq!(label_value_fault("v1.2_3-x"), None);
        assert!(label_value_fault("a b").is_some());
        assert!(label_value_fault(&"a".repeat(64)).is_some());
    }

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["data", "stringData", "type", "immutable"];
        assert_eq!(nearest("stringdata", &known), Some("stringData"));
        assert_eq!(nearest("Data", &known), Some("data"));
        assert_eq!(nearest("imutable", &known), Some("immutable"));
        assert_eq!(nearest("tpye", &known), Some("type"));
        assert_eq!(nearest("spec", &known), None);
    }
}
