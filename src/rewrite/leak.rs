//! A last look at what was made: does a value that was sealed still stand in it, somewhere else?

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;
use zeroize::Zeroizing;

use crate::manifest::SecretManifest;
use crate::problem::Problem;
use crate::yaml::{Kind, Stream};

/// Shorter values occur by chance: a port, a user's name, a word.
const SHORTEST: usize = 8;

/// Looks for every value, as it is and in base64, in the text that was made.
///
/// In a comment it is an error, because a comment next to a Secret is where old passwords are kept, and so it is in a
/// document that is nothing but a text. Elsewhere (a label, a host's name in another document) it may be meant, and is a
/// warning.
pub(crate) fn leaks(made: &Stream, secrets: &[SecretManifest<'_>]) -> Result<Vec<Problem>, Problem> {
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
            if let Some((offset, what)) = places.iter().find_map(|offset| Some((*offset, unmeant(made, *offset)?))) {
                return Err(Problem::error(
                    "value-in-comment",
                    format!("the value stands in {what} that would be committed"),
                )
                .at(made.location(offset))
                .key(key)
                .hint(format!("remove {what}; the place is that in the sealed file, which was not written")));
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

/// What stands at this offset, if no value is meant to stand there.
fn unmeant(made: &Stream, offset: usize) -> Option<&'static str> {
    if made.comments().any(|comment| comment.span().contains(&offset)) {
        return Some("a comment");
    }
    let document = made.documents().find(|document| document.span().contains(&offset))?;
    document.root().is_some_and(|root| root.kind() != Kind::Mapping).then_some("a document that is no object")
}
