//! Lines of `.gitignore` and `.gitattributes`: what is there stays, what is missing comes last.

/// A file of git's at the top of a repository, and what belongs into it.
pub struct Wanted {
    /// The file.
    pub file: &'static str,
    /// A comment for the lines that are added.
    pub comment: &'static str,
    /// The lines, each of which begins with a pattern.
    pub lines: &'static [&'static str],
}

/// Plaintext Secrets under the name that `seal` gives its sources.
pub const IGNORE: Wanted = Wanted {
    file: ".gitignore",
    comment: "# Plaintext Secrets. What `ageseal seal` makes of them is x.sealed.yaml, and belongs into git.",
    lines: &["*.secret.yaml", "*.secret.yml", "*.secret.json"],
};

/// A checkout with CRLF would be a whole file of changed lines to whoever has LF. Editors and kustomize read LF
/// everywhere, and a file that has CRLF in the working tree already keeps it there: git only commits it with LF.
pub const ATTRIBUTES: Wanted = Wanted {
    file: ".gitattributes",
    comment: "# LF on every machine, so that a sealed file never changes as a whole.",
    lines: &["*.sealed.yaml text eol=lf"],
};

/// The new bytes of a file and the number of lines that were added, or nothing if none is missing.
///
/// A line that begins with the same pattern counts, whatever it says of it: that is somebody's decision.
pub fn completed(old: &[u8], wanted: &Wanted) -> Option<(Vec<u8>, usize)> {
    let patterns: Vec<&[u8]> = old.split(|&byte| byte == b'\n').map(pattern).collect();
    let missing: Vec<_> =
        wanted.lines.iter().filter(|line| !patterns.contains(&pattern(line.as_bytes()))).copied().collect();
    if missing.is_empty() {
        return None;
    }
    let newline = newline_of(old);
    let mut new = old.to_vec();
    if !old.is_empty() {
        if !old.ends_with(b"\n") {
            new.extend_from_slice(newline);
        }
        new.extend_from_slice(newline);
    }
    for line in [wanted.comment].iter().chain(&missing) {
        new.extend_from_slice(line.as_bytes());
        new.extend_from_slice(newline);
    }
    Some((new, missing.len()))
}

/// The pattern of a line, without what negates it, quotes it or says "in any folder", which it means without.
fn pattern(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line).trim_ascii();
    let line = line.strip_prefix(b"!").unwrap_or(line);
    let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let word = word.strip_prefix(b"\"").and_then(|word| word.strip_suffix(b"\"")).unwrap_or(word);
    word.strip_prefix(b"**/").unwrap_or(word)
}

fn newline_of(text: &[u8]) -> &'static [u8] {
    let first = text.iter().position(|&byte| byte == b'\n');
    let crlf = first.and_then(|at| at.checked_sub(1)).is_some_and(|at| text.get(at) == Some(&b'\r'));
    if crlf { b"\r\n" } else { b"\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "*.secret.yaml\n*.secret.yml\n*.secret.json\n";

    fn ignore(old: &str) -> Option<String> {
        completed(old.as_bytes(), &IGNORE).map(|(new, _)| String::from_utf8(new).unwrap())
    }

    #[test]
    fn a_new_file_has_the_comment_and_the_lines() {
        assert_eq!(ignore(""), Some(format!("{}\n{THREE}", IGNORE.comment)));
        let (attributes, count) = completed(b"", &ATTRIBUTES).unwrap();
        assert_eq!(count, 1);
        assert!(attributes.ends_with(b"\n*.sealed.yaml text eol=lf\n"));
    }

    #[test]
    fn what_is_there_stays_and_only_what_is_missing_comes_last() {
        assert_eq!(ignore("target"), Some(format!("target\n\n{}\n{THREE}", IGNORE.comment)));
        let some = ignore("*.secret.yaml  \n!*.secret.yml\n").unwrap();
        assert_eq!(some, format!("*.secret.yaml  \n!*.secret.yml\n\n{}\n*.secret.json\n", IGNORE.comment));
    }

    #[test]
    fn a_second_time_changes_nothing() {
        for old in ["", "a", "a\r\nb\r\n", "\n"] {
            let new = ignore(old).unwrap();
            assert_eq!(ignore(&new), None, "{old:?}");
        }
        assert_eq!(completed(b"**/*.sealed.yaml -text\n", &ATTRIBUTES), None);
        assert_eq!(completed(b"\"*.sealed.yaml\" merge=union\n", &ATTRIBUTES), None);
    }

    #[test]
    fn crlf_stays_crlf() {
        let new = ignore("a\r\nb").unwrap();
        assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
        assert!(new.starts_with("a\r\nb\r\n\r\n#"));
    }

    #[test]
    fn a_longer_pattern_or_a_comment_is_not_the_line() {
        assert!(ignore("# *.secret.yaml\na/*.secret.yml\nx*.secret.json\n").unwrap().ends_with(THREE));
    }
}
