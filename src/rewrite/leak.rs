//! A last look at what was made: does a value that was sealed still stand in it, somewhere else?

use std::collections::HashMap;
use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;
use zeroize::Zeroizing;

use crate::manifest::SecretManifest;
use crate::problem::Problem;
use crate::yaml::{Kind, Node, Stream};

/// Shorter values occur by chance: a port, a user's name, a word.
const SHORTEST: usize = 8;
/// Shorter lines of a longer value occur by chance too: `server:`, `user=admin`.
const SHORTEST_LINE: usize = 16;

/// Looks for every value, as it is and in base64, in the text that was made.
///
/// In a comment it is an error, because a comment next to a Secret is where old passwords are kept, and so it is in a
/// document that is nothing but a text. Elsewhere (a label, a host's name in another document) it may be meant, and is a
/// warning. A value of several lines is commented out a line at a time, so each of its lines counts there.
pub(crate) fn leaks(made: &Stream, secrets: &[SecretManifest<'_>]) -> Result<Vec<Problem>, Problem> {
    let unmeant = Unmeant::new(made);
    commented_lines(made, secrets)?;
    let mut warnings = Vec::new();
    for (key, value) in secrets.iter().flat_map(|secret| &secret.data) {
        let Ok(text) = std::str::from_utf8(value.expose()) else { continue };
        let text = text.trim();
        if text.len() < SHORTEST {
            continue;
        }
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(value.expose()));
        for form in [text, encoded.as_str()] {
            let places: Vec<usize> = memmem::find_iter(made.text().as_bytes(), form).collect();
            let Some(first) = places.first() else { continue };
            if let Some((offset, what)) = places.iter().find_map(|offset| Some((*offset, unmeant.at(*offset)?))) {
                return Err(stands_in(made, offset, what, key));
            }
            warnings.push(
                Problem::warning("value-elsewhere", "the value also stands in plain text")
                    .at(made.location(*first))
                    .key(key)
                    .hint("if that is not meant, remove it there and change the value"),
            );
        }
    }
    Ok(warnings)
}

fn stands_in(made: &Stream, offset: usize, what: &str, key: &str) -> Problem {
    Problem::error("value-in-comment", format!("the value stands in {what} that would be committed"))
        .at(made.location(offset))
        .key(key)
        .hint(format!("remove {what}; the place is that in the sealed file, which was not written"))
}

/// Looks for comments that are a line of a value: a private key that was commented out.
fn commented_lines(made: &Stream, secrets: &[SecretManifest<'_>]) -> Result<(), Problem> {
    let mut lines: HashMap<&str, &str> = HashMap::new();
    for (key, value) in secrets.iter().flat_map(|secret| &secret.data) {
        let text = std::str::from_utf8(value.expose()).unwrap_or_default();
        if text.trim().contains('\n') {
            // The first and the last line of PEM are the same for everybody.
            let own =
                text.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("---"));
            lines.extend(own.map(|line| (line, key.as_str())));
        }
    }
    let found = made.comments().filter(|_| !lines.is_empty()).find_map(|comment| {
        let key = lines.get(comment.text().trim_start_matches('#').trim())?;
        Some(stands_in(made, comment.span().start, "a comment", key))
    });
    found.map_or(Ok(()), Err)
}

/// The parts of a text in which no value is meant to stand, in the order of the text.
struct Unmeant {
    comments: Vec<Range<usize>>,
    texts: Vec<Range<usize>>,
}

impl Unmeant {
    fn new(made: &Stream) -> Self {
        let no_object = |root: Node<'_>| root.kind() != Kind::Mapping;
        let texts = made.documents().filter(|document| document.root().is_some_and(no_object));
        Self {
            comments: made.comments().map(|comment| comment.span()).collect(),
            texts: texts.map(|document| document.span()).collect(),
        }
    }

    /// What stands at this offset.
    fn at(&self, offset: usize) -> Option<&'static str> {
        let within = |parts: &[Range<usize>]| {
            let behind = parts.partition_point(|span| span.start <= offset);
            behind.checked_sub(1).and_then(|index| parts.get(index)).is_some_and(|span| span.contains(&offset))
        };
        if within(&self.comments) {
            Some("a comment")
        } else {
            within(&self.texts).then_some("a document that is no object")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ObjectKind, objects};

    const SECRET: &str = "kind: Secret\napiVersion: v1\nmetadata: {name: a}\n";
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n";

    /// Looks for the values of a Secret in another text.
    fn looked(string_data: &str, made: &str) -> Result<usize, String> {
        let source = Stream::parse(format!("{SECRET}stringData:\n{string_data}")).unwrap();
        let secrets: Vec<_> = objects(&source)
            .filter(|object| object.kind == ObjectKind::Secret)
            .map(|object| SecretManifest::read(object.node, 0).manifest.unwrap())
            .collect();
        let made = Stream::parse(made.to_owned()).unwrap();
        leaks(&made, &secrets).map(|warnings| warnings.len()).map_err(|problem| {
            assert!(!format!("{problem:?}").contains("MIIE"));
            problem.at.unwrap().to_string()
        })
    }

    #[test]
    fn a_value_in_a_comment_or_a_text_is_an_error_and_elsewhere_a_warning() {
        let value = "  p: correcthorse\n";
        assert_eq!(looked(value, "a: b\n"), Ok(0));
        assert_eq!(looked(value, "a: correcthorse\nb: correcthorse\n"), Ok(1));
        assert_eq!(looked(value, "a: correcthorse\n# was correcthorse\n"), Err("2:7".to_owned()));
        assert_eq!(looked(value, "a: b\n---\n- c # d\n- correcthorse\n"), Err("4:3".to_owned()));
        assert_eq!(looked(value, "a: b # Y29ycmVjdGhvcnNl\n"), Err("1:8".to_owned()));
    }

    #[test]
    fn a_value_of_several_lines_that_was_commented_out_is_found() {
        let value = format!("  p: |\n    {}", PEM.trim_end().replace('\n', "\n    "));
        let commented = format!("a: b\n# {}\n", PEM.trim_end().replace('\n', "\n# "));
        assert_eq!(looked(&value, &commented), Err("3:1".to_owned()));
        assert_eq!(looked(&value, "# -----BEGIN PRIVATE KEY-----\na: b\n"), Ok(0));
        assert_eq!(looked("  p: |\n    user=admin\n    user=other\n", "# user=admin\na: b\n"), Ok(0));
    }

    #[test]
    fn many_places_and_many_comments_take_no_time_together() {
        let made = format!("{}a: {}\n", "#\n".repeat(100_000), "correcthorse ".repeat(100_000));
        let started = std::time::Instant::now();
        assert_eq!(looked("  p: correcthorse\n", &made), Ok(1));
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
