//! The test vectors of the sealed format, as `tests/vectors/README.md` describes the files.

use std::fs;

use crate::programs::workspace_root;

/// One scenario: a document, who opens it where, and what must come of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vector {
    /// The file's name without `.txt`.
    pub name: String,
    /// Why the vector exists.
    pub comment: String,
    /// What must come of opening the document.
    pub expect: Expect,
    /// The live namespace and name; `None` opens the document as source, where only the authenticated context counts.
    pub live: Option<(String, String)>,
    /// The secret strings of the identities that are at hand, in order.
    pub identities: Vec<String>,
    /// The text of the one document, repetitions written out.
    pub document: String,
}

/// What must come of a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It opens to these values.
    Opened {
        /// The type of the Secret.
        secret_type: String,
        /// Data keys with their values in padded base64, sorted by key.
        values: Vec<(String, String)>,
    },
    /// It is refused.
    Refused {
        /// `caps`, `scope`, `recipient`, `envelope` or `value`.
        step: String,
        /// `Malformed`, `ScopeMismatch`, `NotARecipient` or `CannotOpen`.
        reason: String,
        /// The data key that the refusal names; `None` where the vector leaves it open.
        key: Option<String>,
    },
}

impl Default for Expect {
    fn default() -> Self {
        Self::Opened { secret_type: String::new(), values: Vec::new() }
    }
}

/// Reads every vector, sorted by name.
///
/// # Panics
/// If there is none, or a file is not as `tests/vectors/README.md` says.
#[must_use]
pub fn vectors() -> Vec<Vector> {
    let folder = workspace_root().join("tests/vectors");
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut vectors: Vec<Vector> = entries
        .map(|entry| entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            parse(name, &text).unwrap_or_else(|message| panic!("{}: {message}", path.display()))
        })
        .collect();
    assert!(!vectors.is_empty(), "{} holds no vectors", folder.display());
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    vectors
}

fn parse(name: String, text: &str) -> Result<Vector, String> {
    let (header, body) = text.split_once("\n---\n").ok_or("no line --- after the header")?;
    let (mut opened, mut refused) = (false, false);
    let (mut step, mut reason, mut key) = (None, None, None);
    let (mut secret_type, mut values) = (None, Vec::new());
    let (mut namespace, mut object_name) = (None, None);
    let mut vector = Vector { name, document: repeat(body)?, ..Vector::default() };
    for line in header.lines() {
        let (field, value) = line.split_once(": ").ok_or_else(|| format!("not a header line: {line}"))?;
        let value = value.to_owned();
        match field {
            "expect" => (opened, refused) = (value == "opened", value == "refused"),
            "comment" => vector.comment = value,
            "step" => step = Some(value),
            "reason" => reason = Some(value),
            "key" => key = Some(value),
            "namespace" => namespace = Some(value),
            "name" => object_name = Some(value),
            "identity" => vector.identities.push(value),
            "type" => secret_type = Some(value),
            "value" => {
                // An empty value is its key alone.
                let (key, base64) = value.split_once(' ').unwrap_or((&value, ""));
                values.push((key.to_owned(), base64.to_owned()));
            }
            _ => return Err(format!("unknown header field {field}")),
        }
    }
    vector.live = namespace.zip(object_name);
    vector.expect = if opened {
        Expect::Opened { secret_type: secret_type.ok_or("opened, but no type")?, values }
    } else if refused {
        Expect::Refused { step: step.ok_or("refused, but no step")?, reason: reason.ok_or("no reason")?, key }
    } else {
        return Err("expect is neither opened nor refused".to_owned());
    };
    Ok(vector)
}

/// Writes out `%repeat FROM TO` … `%end`: the lines between them, once for each number, with `%n` as its four digits.
fn repeat(body: &str) -> Result<String, String> {
    let mut text = String::with_capacity(body.len());
    let mut block: Option<(u32, u32, String)> = None;
    for line in body.split_inclusive('\n') {
        if let Some(range) = line.strip_prefix("%repeat ") {
            let (from, to) = range.trim_end().split_once(' ').ok_or("%repeat takes two numbers")?;
            let number = |digits: &str| digits.parse().map_err(|_| format!("not a number: {digits}"));
            block = Some((number(from)?, number(to)?, String::new()));
        } else if line.trim_end() == "%end" {
            let (from, to, lines) = block.take().ok_or("%end without %repeat")?;
            for number in from..=to {
                text.push_str(&lines.replace("%n", &format!("{number:04}")));
            }
        } else if let Some((_, _, lines)) = &mut block {
            lines.push_str(line);
        } else {
            text.push_str(line);
        }
    }
    if block.is_some() { Err("%repeat without %end".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_written_out() {
        let text = repeat("a\n%repeat 9 11\nk%n: %n\n%end\nb").expect("well formed");
        assert_eq!(text, "a\nk0009: 0009\nk0010: 0010\nk0011: 0011\nb");
        assert!(repeat("%repeat 1 2\n").is_err());
        assert!(repeat("%end\n").is_err());
    }

    #[test]
    fn every_vector_is_whole() {
        let vectors = vectors();
        assert!(vectors.len() >= 75, "{}", vectors.len());
        for vector in vectors {
            assert!(!vector.comment.is_empty(), "{}", vector.name);
        }
    }
}
