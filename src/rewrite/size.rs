//! How large an object will be in the API server: what a writer must know before it writes.

use crate::problem::Problem;
use crate::yaml::{Kind, Node};

/// etcd refuses requests of 1.5 MiB; what the API server adds to an object needs room too.
pub const MAX_OBJECT: usize = 1_400_000;
/// Client-side apply keeps the whole object in an annotation, and annotations hold 256 KiB in all.
pub const MAX_CLIENT_APPLIED: usize = 200 * 1024;

/// Refuses an object that the API server would refuse, or that client-side apply could not apply.
///
/// `server_side` is the policy's word that everything is applied server-side (`serverSideApply: true`).
pub fn check_size(object: Node<'_>, server_side: bool) -> Result<(), Problem> {
    let size = json_size(object);
    let too_large = |most: usize| {
        Problem::error(
            "too-large",
            format!("the sealed document would be {size} bytes of JSON, and {most} are possible"),
        )
        .at(object.location())
    };
    if size > MAX_OBJECT {
        return Err(too_large(MAX_OBJECT).hint("split the Secret; etcd takes no larger object"));
    }
    if size > MAX_CLIENT_APPLIED && !server_side {
        return Err(too_large(MAX_CLIENT_APPLIED).hint(
            "seal it anew from its source, which folds its envelopes into one; or, if everything is applied server-side, \
             say serverSideApply: true in .ageseal/policy.yaml",
        ));
    }
    Ok(())
}

/// The length of a node as compact JSON.
fn json_size(node: Node<'_>) -> usize {
    match node.kind() {
        Kind::Mapping => 2 + node.entries().map(|(key, value)| json_size(key) + json_size(value) + 2).sum::<usize>(),
        Kind::Sequence => 2 + node.items().map(|item| json_size(item) + 1).sum::<usize>(),
        Kind::Scalar => node.str().map_or(4, json_text),
        // The reader refuses aliases in sealed documents; elsewhere one stands for a name at most.
        Kind::Alias => node.target().filter(|target| target.is_scalar()).map_or(4, json_size),
    }
}

/// The length of a string with its quotes, escaped as Go's encoder does. By bytes: a sealed value is long.
fn json_text(text: &str) -> usize {
    let escapes: usize = text.bytes().map(|byte| usize::from(EXTRA[usize::from(byte)])).sum();
    let separators =
        if text.is_ascii() { 0 } else { text.chars().filter(|c| matches!(c, '\u{2028}' | '\u{2029}')).count() };
    2 + text.len() + escapes + 3 * separators
}

/// How many bytes each byte grows by when it is escaped.
const EXTRA: [u8; 256] = {
    let mut extra = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        extra[byte] = 5;
        byte += 1;
    }
    extra[b'\n' as usize] = 1;
    extra[b'\r' as usize] = 1;
    extra[b'\t' as usize] = 1;
    extra[b'"' as usize] = 1;
    extra[b'\\' as usize] = 1;
    extra[b'<' as usize] = 5;
    extra[b'>' as usize] = 5;
    extra[b'&' as usize] = 5;
    extra
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Stream;

    fn check(value_len: usize, server_side: bool) -> Result<(), Option<String>> {
        let stream = Stream::parse(format!("a: '{}'\n", "x".repeat(value_len))).unwrap();
        let root = stream.documents().next().and_then(|document| document.root()).unwrap();
        check_size(root, server_side).map_err(|problem| problem.hint)
    }

    #[test]
    fn limits_are_those_of_apply_and_of_etcd() {
        assert_eq!(check(1000, false), Ok(()));
        assert!(check(MAX_CLIENT_APPLIED, false).unwrap_err().unwrap().contains("serverSideApply"));
        assert_eq!(check(MAX_CLIENT_APPLIED, true), Ok(()));
        assert!(check(MAX_OBJECT, true).unwrap_err().unwrap().contains("etcd"));
    }

    #[test]
    fn the_size_is_that_of_compact_json() {
        for text in [r#"{"a":"b\nc","d":["x","<&>"]}"#, r#"{"k":{"l":"\"q\" \\"}}"#] {
            let stream = Stream::parse(text.to_owned()).unwrap();
            let root = stream.documents().next().and_then(|document| document.root()).unwrap();
            let go = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
            assert!(json_size(root).abs_diff(go.len()) <= 8, "{} {}", json_size(root), go.len());
        }
    }
}
