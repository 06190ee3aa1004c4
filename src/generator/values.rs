//! The three sources of values: literals, files, files of variables.

use super::Source;
use crate::format::is_data_key;
use crate::problem::{Location, Problem};
use crate::secret::Plaintext;

/// The longest line of a file of variables. Go's reader silently ends there.
const MAX_LINE: usize = 64 * 1024;

/// A literal: its key, and the value without one pair of quotes around it.
///
/// # Errors
/// It is not of the form `key=value`; the key is none.
pub fn literal(source: Source<'_>) -> Result<(String, Plaintext), Problem> {
    match source.text.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            Ok((checked(key, source.at)?, Plaintext::new(without_quotes(value).as_bytes().to_vec())))
        }
        _ => Err(Problem::error("bad-literal", "a literal is not of the form key=value").at(source.at)),
    }
}

/// kustomize takes one pair of quotes away, if the same quote stands at both ends.
fn without_quotes(value: &str) -> &str {
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// A file of which all bytes are one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSource<'a> {
    /// The data key.
    pub key: String,
    /// The path, from the folder of the kustomization.
    pub path: &'a str,
}

/// An entry of `files`: `path`, whose last part is the key, or `key=path`.
///
/// # Errors
/// It is neither; the key is none.
pub fn file_source(source: Source<'_>) -> Result<FileSource<'_>, Problem> {
    let (key, path) = match source.text.split_once('=') {
        None => (source.text.trim_end_matches('/').rsplit('/').next().unwrap_or_default(), source.text),
        Some((key, path)) if !key.is_empty() && !path.is_empty() && !path.contains('=') => (key, path),
        Some(_) => {
            let message = "an entry of files is not of the form path or key=path";
            return Err(Problem::error("bad-file-source", message).at(source.at));
        }
    };
    Ok(FileSource { key: checked(key, source.at)?, path })
}

/// A variable of a file.
#[derive(Debug)]
pub struct Variable {
    /// The data key.
    pub key: String,
    /// Its value, raw to the end of the line.
    pub value: Plaintext,
    /// Where it stands in the file.
    pub at: Location,
    /// Whether the value stands in quotes, which are a part of it.
    pub quoted: bool,
    /// Whether the line is a key alone, without `=`.
    pub bare: bool,
}

/// The variables of a file: `KEY=VALUE` lines, blanks before the key dropped, `#` a comment at the start of a line only.
/// Everything behind the first `=` is the value: quotes, blanks at the end, `$NAME` and `\n` as they are.
///
/// # Errors
/// Everything that is wrong with it at once, each at its line: a line of 64 KiB, at which kustomize stops without a word;
/// what is not UTF-8; a key that is none, such as `export A`.
pub fn variables(bytes: &[u8]) -> Result<Vec<Variable>, Vec<Problem>> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let start = Location { line: index + 1, column: 1 };
        if line.len() >= MAX_LINE - 1 {
            let message = "this line is 64 KiB or longer: kustomize drops it and all that follow it, without a word";
            problems.push(
                Problem::error("long-line", message)
                    .at(start)
                    .hint("put the value into a file of its own, under files"),
            );
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if index == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        match std::str::from_utf8(line) {
            Err(_) => problems.push(Problem::error("not-utf8", "this line is not UTF-8").at(start)),
            Ok(line) => match variable(line, index + 1) {
                Ok(variable) => found.extend(variable),
                Err(problem) => problems.push(problem),
            },
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn variable(line: &str, number: usize) -> Result<Option<Variable>, Problem> {
    let text = line.trim_start();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let blanks = line[..line.len() - text.len()].chars().count();
    let at = Location { line: number, column: blanks + 1 };
    // A key without = had its value from the environment, before kustomize 5.
    let bare = !text.contains('=');
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        // kustomize passes over it.
        return Ok(None);
    }
    let quoted = value.len() > 1 && without_quotes(value) != value;
    Ok(Some(Variable { key: checked(key, at)?, value: Plaintext::new(value.as_bytes().to_vec()), at, quoted, bare }))
}

/// A key as the API server takes it. What is none is not shown: on the wrong line, it may be a value.
fn checked(key: &str, at: Location) -> Result<String, Problem> {
    if is_data_key(key) {
        return Ok(key.to_owned());
    }
    let hint = match key.strip_prefix("export ") {
        Some(rest) if is_data_key(rest.trim()) => "kustomize makes `export` a part of the key: remove the word",
        _ => "a data key is 1 to 253 letters, digits, `-`, `_` or `.`",
    };
    Err(Problem::error("bad-key", "what stands here for a data key is none").at(at).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Location = Location { line: 7, column: 3 };

    fn source(text: &str) -> Source<'_> {
        Source { text, at: AT }
    }

    #[test]
    fn literals_lose_one_pair_of_quotes() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("a=b=c", "a", "b=c"),
            ("a=", "a", ""),
            ("a='b'", "a", "b"),
            ("a=\"b\"", "a", "b"),
            ("a=\"\"", "a", ""),
            ("a=\"", "a", "\""),
            ("a=\"b'", "a", "\"b'"),
            ("a=''b''", "a", "'b'"),
            ("a= b ", "a", " b "),
            ("a=b\nc\n", "a", "b\nc\n"),
        ] {
            let (found, plaintext) = literal(source(text)).unwrap();
            assert_eq!((found.as_str(), plaintext.expose()), (key, value.as_bytes()), "{text}");
        }
        for (text, code) in [("a", "bad-literal"), ("=a", "bad-literal"), ("", "bad-literal"), ("a b=c", "bad-key")] {
            let problem = literal(source(text)).unwrap_err();
            assert_eq!((problem.code, problem.at), (code, Some(AT)), "{text}");
        }
    }

    #[test]
    fn files_are_named_by_their_last_part() {
        let found = |text| file_source(source(text)).map(|file| (file.key, file.path.to_owned()));
        assert_eq!(found("a/b.txt"), Ok(("b.txt".into(), "a/b.txt".into())));
        assert_eq!(found("k=a/b.txt"), Ok(("k".into(), "a/b.txt".into())));
        assert_eq!(found("../.hidden"), Ok((".hidden".into(), "../.hidden".into())));
        for text in ["=a", "k=", "a=b=c", "k k=a", "", "..", "a/b c"] {
            assert!(found(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables_are_raw_to_the_end_of_the_line() {
        let text = "\u{feff}A=1 \r\n  B=\"x\" # no comment\n# c\n\nD\n=x\n \u{a0}E=$A\\n=y\nF='q'";
        let found = variables(text.as_bytes()).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.key.as_str(), std::str::from_utf8(one.value.expose()).unwrap(), one.at.line, one.quoted))
            .collect();
        assert_eq!(
            told,
            [
                ("A", "1 ", 1, false),
                ("B", "\"x\" # no comment", 2, false),
                ("D", "", 5, false),
                ("E", "$A\\n=y", 7, false),
                ("F", "'q'", 8, true),
            ]
        );
        assert_eq!(found[1].at.column, 3);
    }

    #[test]
    fn what_kustomize_would_lose_or_nobody_takes_is_refused_by_line() {
        let long = format!("A=1\nB={}\nC=2\n", "x".repeat(70_000));
        for (bytes, told) in [
            (long.as_bytes(), vec![("long-line", 2)]),
            (b"A=1\n\xff=2\nexport B=3\nC =4", vec![("not-utf8", 2), ("bad-key", 3), ("bad-key", 4)]),
        ] {
            let problems = variables(bytes).unwrap_err();
            let found: Vec<_> = problems.iter().map(|one| (one.code, one.at.unwrap().line)).collect();
            assert_eq!(found, told);
        }
        let problem = variables(b"export A=canary").unwrap_err().remove(0);
        assert!(problem.hint.as_ref().unwrap().contains("`export`"));
        assert!(!format!("{problem:?}").contains("canary"));
    }
}
