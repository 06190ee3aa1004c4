//! A last look at what was made: does a value that was sealed still stand in it, somewhere else?

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::manifest::SecretManifest;
use crate::problem::Problem;
use crate::yaml::Stream;

/// Shorter values occur by chance: a port, a user's name, a word.
const SHORTEST: usize = 8;

/// Looks for every value, as it is and in base64, in the text that was made.
///
/// In a comment it is an error, because a comment next to a Secret is where old passwords are kept. Elsewhere (a label,
/// a host's name in another document) it may be meant, and is a warning.
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
            let Some(offset) = made.text().find(form) else { continue };
            let at = made.location(offset);
            if made.comments().any(|comment| comment.span().contains(&offset)) {
                return Err(Problem::error(
                    "value-in-comment",
                    "the value stands in a comment that would be committed",
                )
                .at(at)
                .key(key)
                .hint("remove the comment; the place is that in the sealed file, which was not written"));
            }
            warnings.push(
                Problem::warning("value-elsewhere", "the value also stands in plain text")
                    .at(at)
                    .key(key)
                    .hint("if that is not meant, remove it there and change the value"),
            );
        }
    }
    Ok(warnings)
}
