//! One recipients file of a repository, `recipients/NAME.pub`: reading it, and changing single lines of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::problem::{Location, Problem};
use crate::recipient::{Recipient, RecipientError, RecipientId};

use super::date::Date;
use super::typo;

/// The most lines a recipients file may have.
pub const MAX_LINES: usize = 1_000;

/// The word that a marker begins with.
const MARKER: &str = "superseded";

/// What makes a recipient of a line's text.
///
/// The core's own is `str::parse`, which knows the two native kinds; a caller that also knows ssh keys and plugins
/// hands in its own.
pub type ParseRecipient<'a> = dyn Fn(&str) -> Result<Recipient, Refusal> + 'a;

/// Why a line's text is no recipient. It never repeats the text: it may be a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The core's reason, if it is one of those.
    pub reason: Option<RecipientError>,
    /// The fact.
    pub message: String,
    /// The next step, if the parser knows one.
    pub hint: Option<String>,
}

impl From<RecipientError> for Refusal {
    fn from(reason: RecipientError) -> Self {
        Self { reason: Some(reason), message: reason.to_string(), hint: None }
    }
}

/// The recipients that go by one name.
///
/// Shape: an age recipients file. One recipient a line; lines that begin with `#` are comments; blank lines, CRLF, a
/// byte order mark and blanks around a recipient are accepted; at most [`MAX_LINES`] lines.
///
/// The comment lines directly above a recipient are its comment. One of them may be a marker,
/// `# superseded, until YYYY-MM-DD`: nothing is sealed for that recipient any more, and what is still sealed for it is
/// a note until the end of that day (UTC), and a finding after it. A comment that begins with the word and is not
/// such a marker is an error: a mistyped marker would keep a recipient current in silence.
#[derive(Clone, Debug)]
pub struct RecipientsFile {
    name: String,
    entries: Vec<Entry>,
}

/// One recipient of a file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The recipient.
    pub recipient: Arc<Recipient>,
    /// Its line, from 1.
    pub line: usize,
    /// The comment lines directly above it, without `#` and the marker, joined by line feeds.
    pub comment: Option<String>,
    /// The day until which it may still be found in sealed files, if it is superseded.
    pub superseded: Option<Date>,
    /// The first line of the comment that belongs to it; its own line without one.
    first_line: usize,
}

/// The file name's way from the top of the repository.
pub fn recipients_path(name: &str) -> String {
    format!(".ageseal/recipients/{name}.pub")
}

impl RecipientsFile {
    /// Reads a file's bytes; `name` is the file's name without `.pub`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the lines. No problem repeats a line: it may be a private key.
    pub fn parse(name: &str, bytes: &[u8], parse: &ParseRecipient<'_>) -> Result<Self, Vec<Problem>> {
        let text = decode(bytes).map_err(|problem| vec![problem])?;
        Self::parse_text(name, text, parse)
    }

    fn parse_text(name: &str, text: &str, parse: &ParseRecipient<'_>) -> Result<Self, Vec<Problem>> {
        let count = text.lines().count();
        if count > MAX_LINES {
            let message = format!("the file has {count} lines, the most is {MAX_LINES}");
            let hint = "a name stands for a few recipients: divide them into several names";
            return Err(vec![Problem::error("too-many-lines", message).hint(hint)]);
        }
        let mut reader = Reader::default();
        for (index, line) in text.lines().enumerate() {
            reader.line(index + 1, line.trim(), parse);
        }
        reader.end_comment();
        reader.problems.sort_by_key(|problem| problem.at);
        if reader.problems.is_empty() {
            Ok(Self { name: name.to_owned(), entries: reader.entries })
        } else {
            Err(reader.problems)
        }
    }

    /// The name that rules use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The recipients, in the order of the lines.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The recipients that values are sealed for.
    pub fn current(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.superseded.is_none())
    }

    /// The recipient of this id.
    pub fn find(&self, id: RecipientId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.recipient.id() == id)
    }

    /// Adds a recipient as the last line, below a comment.
    ///
    /// Gives back the new text; every other line stays byte for byte. An empty `bytes` makes a new file.
    ///
    /// # Errors
    /// What is wrong with the file, or with the addition: it is there already, or the comment is not one line, or
    /// reads as a marker.
    pub fn add(
        name: &str,
        bytes: &[u8],
        recipient: &Recipient,
        comment: Option<&str>,
        parse: &ParseRecipient<'_>,
    ) -> Result<String, Vec<Problem>> {
        let text = decode(bytes).map_err(|problem| vec![problem])?;
        let file = Self::parse_text(name, text, parse)?;
        if let Some(entry) = file.find(recipient.id()) {
            let state = if entry.superseded.is_some() { " and is superseded" } else { "" };
            let message = format!("{} is in {} already{state}", recipient.id(), recipients_path(name));
            return Err(vec![at_line(Problem::error("recipient-present", message), entry.line)]);
        }
        let newline = newline_of(text);
        let mut added = String::from_utf8_lossy(bytes).into_owned();
        if !added.is_empty() && !added.ends_with('\n') {
            added.push_str(newline);
        }
        if text.lines().next_back().is_some_and(|last| last.trim_start().starts_with('#')) {
            // Without a blank line a comment on nothing would become one on the new recipient.
            added.push_str(newline);
        }
        if let Some(comment) = comment.map(str::trim).filter(|comment| !comment.is_empty()) {
            if comment.chars().any(char::is_control) || marker(comment).is_some() {
                let message = "the comment is not one line of text, or begins with the word \"superseded\"";
                return Err(vec![Problem::error("bad-comment", message)]);
            }
            added.push_str(&format!("# {comment}{newline}"));
        }
        added.push_str(&format!("{recipient}{newline}"));
        Self::parse_text(name, decode(added.as_bytes()).map_err(|problem| vec![problem])?, parse)?;
        Ok(added)
    }

    /// Removes a recipient's line and the comment that belongs to it.
    ///
    /// # Errors
    /// What is wrong with the file, or that the recipient is not in it.
    pub fn remove(
        name: &str,
        bytes: &[u8],
        id: RecipientId,
        parse: &ParseRecipient<'_>,
    ) -> Result<String, Vec<Problem>> {
        Self::change(name, bytes, id, parse, |entry, _| (entry.first_line - 1..entry.line, String::new()))
    }

    /// Marks a recipient as superseded until a day, or moves that day.
    ///
    /// # Errors
    /// What is wrong with the file, or that the recipient is not in it.
    pub fn supersede(
        name: &str,
        bytes: &[u8],
        id: RecipientId,
        until: Date,
        parse: &ParseRecipient<'_>,
    ) -> Result<String, Vec<Problem>> {
        Self::change(name, bytes, id, parse, |entry, lines| {
            let newline = if lines.iter().any(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" };
            let above = entry.first_line - 1..entry.line - 1;
            let old = above.clone().find(|&at| lines.get(at).is_some_and(|line| marker(uncommented(line)).is_some()));
            let place = old.map_or(entry.line - 1..entry.line - 1, |at| at..at + 1);
            (place, format!("# {MARKER}, until {until}{newline}"))
        })
    }

    /// Replaces the lines that `edit` names, counted from 0, by its text.
    fn change(
        name: &str,
        bytes: &[u8],
        id: RecipientId,
        parse: &ParseRecipient<'_>,
        edit: impl Fn(&Entry, &[&str]) -> (std::ops::Range<usize>, String),
    ) -> Result<String, Vec<Problem>> {
        let text = decode(bytes).map_err(|problem| vec![problem])?;
        let file = Self::parse_text(name, text, parse)?;
        let Some(entry) = file.find(id) else {
            let message = format!("{id} is not in {}", recipients_path(name));
            return Err(vec![Problem::error("recipient-absent", message).hint("ageseal recipients list")]);
        };
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (range, new) = edit(entry, &lines);
        let mark = if bytes.len() == text.len() { "" } else { "\u{feff}" };
        let head = lines.iter().take(range.start).copied();
        let tail = lines.iter().skip(range.end).copied();
        let changed: String = [mark].into_iter().chain(head).chain([new.as_str()]).chain(tail).collect();
        Self::parse_text(name, decode(changed.as_bytes()).map_err(|problem| vec![problem])?, parse)?;
        Ok(changed)
    }
}

/// The state of reading line by line.
#[derive(Default)]
struct Reader {
    entries: Vec<Entry>,
    problems: Vec<Problem>,
    seen: HashMap<RecipientId, usize>,
    /// The comment lines that stand directly above the next line.
    comment: Vec<String>,
    first_comment: Option<usize>,
    /// The marker among them, with its line.
    marker: Option<(Date, usize)>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str, parse: &ParseRecipient<'_>) {
        if line.is_empty() {
            self.end_comment();
        } else if holds_private_key(line) {
            self.problems.push(at_line(private_key(), number));
        } else if line.starts_with('#') {
            self.comment_line(number, uncommented(line));
        } else {
            match parse(line) {
                Ok(recipient) => self.recipient(number, recipient),
                Err(refusal) => {
                    self.problems.push(at_line(refused(line, refusal, parse), number));
                    self.take_comment(number);
                }
            }
        }
    }

    fn comment_line(&mut self, number: usize, text: &str) {
        self.first_comment.get_or_insert(number);
        match marker(text) {
            None => self.comment.push(text.to_owned()),
            Some(Ok(date)) if self.marker.is_none() => self.marker = Some((date, number)),
            Some(Ok(_)) => self.problems.push(at_line(
                Problem::error("bad-marker", "a recipient has two markers").hint("keep one of them"),
                number,
            )),
            Some(Err(())) => self.problems.push(at_line(
                Problem::error("bad-marker", "a comment that begins with \"superseded\" is not a marker").hint(format!(
                    "write `# {MARKER}, until YYYY-MM-DD` directly above the recipient, or begin the comment otherwise"
                )),
                number,
            )),
        }
    }

    fn recipient(&mut self, number: usize, recipient: Recipient) {
        let (comment, superseded, first_line) = self.take_comment(number);
        if let Some(first) = self.seen.insert(recipient.id(), number) {
            let message = format!("the recipient stands in the file twice, first at line {first}");
            self.problems
                .push(at_line(Problem::error("duplicate-recipient", message).hint("keep one of them"), number));
        }
        let recipient = Arc::new(recipient);
        self.entries.push(Entry { recipient, line: number, comment, superseded, first_line });
    }

    fn take_comment(&mut self, number: usize) -> (Option<String>, Option<Date>, usize) {
        let lines = std::mem::take(&mut self.comment);
        let comment = if lines.is_empty() { None } else { Some(lines.join("\n")) };
        (comment, self.marker.take().map(|(date, _)| date), self.first_comment.take().unwrap_or(number))
    }

    /// Ends a comment that no recipient follows.
    fn end_comment(&mut self) {
        if let Some((_, line)) = self.marker {
            let problem = Problem::error("bad-marker", "no recipient stands directly below the marker")
                .hint("move it to the line above the recipient that it is about");
            self.problems.push(at_line(problem, line));
        }
        self.take_comment(0);
    }
}

fn at_line(problem: Problem, line: usize) -> Problem {
    problem.at(Location { line, column: 1 })
}

/// The text of a file in UTF-8, without its byte order mark.
fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let hint = "save it as UTF-8; PowerShell: … | Out-File -Encoding utf8 FILE";
        return Err(Problem::error("encoding", "the text is UTF-16, not UTF-8").hint(hint));
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes.iter().take(error.valid_up_to()).filter(|&&byte| byte == b'\n').count() + 1;
        at_line(Problem::error("not-utf8", "the bytes are not UTF-8").hint("save the file as UTF-8"), line)
    })
}

fn newline_of(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn uncommented(line: &str) -> &str {
    line.trim().trim_start_matches('#').trim()
}

/// The day of a marker; an error for a comment that begins as one and is none; nothing for any other comment.
fn marker(comment: &str) -> Option<Result<Date, ()>> {
    let begins = comment.get(..MARKER.len()).is_some_and(|word| word.eq_ignore_ascii_case(MARKER));
    let date = || comment.strip_prefix(MARKER)?.strip_prefix(", until ")?.parse().ok();
    begins.then(|| date().ok_or(()))
}

/// Whether a line holds what looks like a private key, as its text or inside a comment.
fn holds_private_key(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let key_follows = |start: &str| {
        lower.split(start).skip(1).any(|rest| {
            let word = rest.split(|c: char| c.is_whitespace() || c == '"' || c == '\'').next().unwrap_or_default();
            // `age-plugin-NAME` alone is a program's name, and an `…` stands for a key.
            word.rsplit_once('1')
                .is_some_and(|(_, data)| data.len() >= 6 && data.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        })
    };
    crate::recipient::looks_private(&lower)
        || lower.contains("-----begin") && lower.contains("private key")
        || key_follows("age-secret-key-")
        || key_follows("age-plugin-")
}

fn private_key() -> Problem {
    Problem::error("private-key", "this is a private key, and whoever can read this repository has it now").hint(
        "take it out of the file and of git's history, make a new one with `ageseal keygen`, \
         and change every value that was sealed for the old one at its source",
    )
}

/// The problem of a line that is no recipient, with what can be told of the cause.
fn refused(line: &str, refusal: Refusal, parse: &ParseRecipient<'_>) -> Problem {
    let code = match refusal.reason {
        Some(RecipientError::PrivateKey) => return private_key(),
        Some(RecipientError::Checksum) => "mistyped-recipient",
        Some(RecipientError::Key) => "bad-recipient-key",
        _ => "not-a-recipient",
    };
    let first = line.split_whitespace().next().unwrap_or_default();
    let hint = if first.len() < line.len() && parse(first).is_ok() {
        "a comment stands on a line of its own, above the recipient".to_owned()
    } else if let Some(hint) = refusal.hint.or_else(|| typo::in_recipient(line)) {
        hint
    } else if refusal.reason == Some(RecipientError::Kind) {
        "one recipient a line: age1pq1…, age1…, ssh-ed25519 … or ssh-rsa …".to_owned()
    } else {
        "copy it again from where it was made; `age-keygen -y FILE` prints the recipient of an identity".to_owned()
    };
    Problem::error(code, refusal.message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{classic, hybrid, native};
    use super::*;

    fn read(text: &str) -> Result<RecipientsFile, Vec<Problem>> {
        RecipientsFile::parse("prod", text.as_bytes(), &native)
    }

    fn codes(text: &str) -> Vec<(&'static str, usize)> {
        let at = |problem: &Problem| problem.at.map_or(0, |at| at.line);
        read(text).unwrap_err().iter().map(|problem| (problem.code, at(problem))).collect()
    }

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn reads_recipients_comments_and_markers() {
        let (one, two, three) = (classic(1), classic(2), classic(3));
        let text = format!(
            "# the prod clusters\n\n# eu\n# superseded, until 2026-11-18\n{one}\n# superseded, until 2027-02-20\n# us\n{two}\n{three}\n"
        );
        let file = read(&text).unwrap();
        let entries: Vec<_> = file
            .entries()
            .iter()
            .map(|entry| (entry.line, entry.comment.as_deref(), entry.superseded.map(|date| date.to_string())))
            .collect();
        assert_eq!(
            entries,
            [
                (5, Some("eu"), Some("2026-11-18".to_owned())),
                (8, Some("us"), Some("2027-02-20".to_owned())),
                (9, None, None)
            ]
        );
        assert_eq!(file.current().map(|entry| entry.recipient.to_string()).collect::<Vec<_>>(), [three]);
    }

    #[test]
    fn line_ends_a_mark_and_blanks_do_not_matter() {
        let (one, two) = (classic(1), hybrid());
        let text = format!("\u{feff}# a\r\n  {one} \r\n\r\n{two}");
        assert_eq!(read(&text).unwrap().entries().len(), 2);
        assert!(read("").unwrap().entries().is_empty());
        assert!(read("\r\n# nobody yet\r\n").unwrap().entries().is_empty());
    }

    #[test]
    fn utf_16_and_other_bytes_are_refused_by_name() {
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("age1".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let problems = RecipientsFile::parse("prod", &utf16, &native).unwrap_err();
        assert_eq!(problems[0].message, "the text is UTF-16, not UTF-8");
        let problems = RecipientsFile::parse("prod", b"# a\n\xe4\n", &native).unwrap_err();
        assert_eq!((problems[0].code, problems[0].at.unwrap().line), ("not-utf8", 2));
    }

    #[test]
    fn ten_thousand_lines_are_refused_with_the_limit() {
        let problems = read(&"# a\n".repeat(10_000)).unwrap_err();
        assert_eq!(problems[0].message, "the file has 10000 lines, the most is 1000");
        assert!(read(&"#\n".repeat(1_000)).is_ok());
    }

    #[test]
    fn a_private_key_is_refused_loudly_and_never_repeated() {
        let body = "QQPQK6ZXAZZ0U6YUT3JZ5V3DQWXGQ0Q2WQ6X6L6X6";
        for line in [
            format!("AGE-SECRET-KEY-1{body}"),
            format!("age-secret-key-pq-1{}", body.to_lowercase()),
            format!("AGE-PLUGIN-YUBIKEY-1{body}"),
            format!("# secret key: AGE-SECRET-KEY-1{body}"),
            format!("#AGE-PLUGIN-YUBIKEY-1{body}"),
            "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
            "# -----begin rsa private key-----".to_owned(),
        ] {
            let problems = read(&format!("# a\n{line}\n")).unwrap_err();
            assert_eq!((problems[0].code, problems[0].at.unwrap().line), ("private-key", 2), "{line}");
            let said = format!("{problems:?}").to_uppercase();
            assert!(!said.contains(body) && !said.contains("OPENSSH"), "{said}");
        }
        assert!(read("# made by age-plugin-yubikey 0.5.1\n# never put AGE-SECRET-KEY-1… here\n").is_ok());
    }

    #[test]
    fn all_problems_are_reported_in_the_order_of_the_lines() {
        let one = classic(1);
        let text =
            format!("# superseded, until 2026-11-18\n\n{one}\nhello\n{one}\n# superseded 2026-11-18\n{}\n", classic(2));
        assert_eq!(
            codes(&text),
            [("bad-marker", 1), ("not-a-recipient", 4), ("duplicate-recipient", 5), ("bad-marker", 6)]
        );
    }

    #[test]
    fn a_marker_is_exact() {
        let one = classic(1);
        for comment in [
            "superseded",
            "Superseded, until 2026-11-18",
            "superseded, until 2026-02-30",
            "superseded until 2026-11-18",
            "superseded, until 2026-11-18.",
            "superseded keys",
        ] {
            assert_eq!(codes(&format!("# {comment}\n{one}\n")), [("bad-marker", 1)], "{comment}");
        }
        let two = "# superseded, until 2026-11-18\n".repeat(2);
        assert_eq!(codes(&format!("{two}{one}\n")), [("bad-marker", 2)]);
        assert_eq!(codes(&format!("{one}\n# superseded, until 2026-11-18\n")), [("bad-marker", 2)]);
        assert!(read(&format!("#superseded, until 2026-11-18\n{one}")).unwrap().current().next().is_none());
        assert!(read(&format!("# not superseded\n{one}")).unwrap().current().next().is_some());
    }

    #[test]
    fn a_typo_names_the_line_and_what_to_do() {
        let good = classic(1);
        let last = if good.ends_with('q') { 'p' } else { 'q' };
        let problems = read(&format!("# a\n{}{last}\n", &good[..good.len() - 1])).unwrap_err();
        assert_eq!((problems[0].code, problems[0].at.unwrap().line), ("mistyped-recipient", 2));
        assert!(problems[0].hint.as_deref().unwrap().contains("age-keygen -y"));
        let problems = read(&good[..good.len() - 1]).unwrap_err();
        assert_eq!(problems[0].hint.as_deref().unwrap(), "it has 61 characters and should have 62: one was lost");
        let problems = read(&format!("{good} # prod")).unwrap_err();
        assert!(problems[0].hint.as_deref().unwrap().contains("a line of its own"));
    }

    #[test]
    fn adding_touches_no_other_line() {
        let (one, two) = (classic(1), classic(2));
        let new: Recipient = two.parse().unwrap();
        let add = |text: &str, comment| RecipientsFile::add("prod", text.as_bytes(), &new, comment, &native);
        assert_eq!(add("", None).unwrap(), format!("{two}\n"));
        assert_eq!(add("# nobody yet", Some("us")).unwrap(), format!("# nobody yet\n\n# us\n{two}\n"));
        assert_eq!(add(&format!("# a\n{one}"), Some("us")).unwrap(), format!("# a\n{one}\n# us\n{two}\n"));
        assert_eq!(add(&format!("\u{feff}{one}\r\n"), Some(" ")).unwrap(), format!("\u{feff}{one}\r\n{two}\r\n"));
        let problems = add(&format!("# superseded, until 2026-11-18\n{two}\n"), None).unwrap_err();
        assert!(problems[0].message.ends_with("already and is superseded"), "{problems:?}");
        for comment in ["a\nb", "superseded", "superseded, until 2026-11-18"] {
            assert_eq!(add("", Some(comment)).unwrap_err()[0].code, "bad-comment");
        }
        assert_eq!(add("", Some("AGE-SECRET-KEY-1QQQQQQQQQ")).unwrap_err()[0].code, "private-key");
        assert_eq!(add("hello\n", None).unwrap_err()[0].code, "not-a-recipient");
    }

    #[test]
    fn removing_takes_the_comment_along() {
        let (one, two) = (classic(1), classic(2));
        let id = two.parse::<Recipient>().unwrap().id();
        let remove = |text: &str| RecipientsFile::remove("prod", text.as_bytes(), id, &native);
        let text =
            format!("\u{feff}# all\r\n\r\n{one}\r\n# us\r\n# superseded, until 2026-11-18\r\n{two}\r\n# end\r\n");
        assert_eq!(remove(&text).unwrap(), format!("\u{feff}# all\r\n\r\n{one}\r\n# end\r\n"));
        assert_eq!(remove(&format!("{one}\n")).unwrap_err()[0].code, "recipient-absent");
    }

    #[test]
    fn superseding_adds_or_moves_the_marker() {
        let (one, two) = (classic(1), classic(2));
        let id = one.parse::<Recipient>().unwrap().id();
        let day = date("2026-11-18");
        let supersede = |text: &str| RecipientsFile::supersede("prod", text.as_bytes(), id, day, &native).unwrap();
        let marked = supersede(&format!("# eu\r\n{one}\r\n{two}\r\n"));
        assert_eq!(marked, format!("# eu\r\n# superseded, until 2026-11-18\r\n{one}\r\n{two}\r\n"));
        assert_eq!(supersede(&marked), marked);
        let moved = supersede(&format!("# superseded, until 2026-01-01\n# eu\n{one}"));
        assert_eq!(moved, format!("# superseded, until 2026-11-18\n# eu\n{one}"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = RecipientsFile::parse("prod", &bytes, &native);
        }

        #[test]
        fn removing_undoes_adding(
            kinds in proptest::collection::vec(0_u8..5, 0..8),
            newline in "\r?\n",
            comment in "[a-r]{0,4}",
        ) {
            let line = |(at, kind): (usize, &u8)| match kind {
                0 => newline.clone(),
                1 => format!("# eu{newline}"),
                2 => format!("# superseded, until 2026-11-18{newline}{}{newline}", classic(at as u8 + 1)),
                _ => format!("{}{newline}", classic(at as u8 + 1)),
            };
            let text: String = kinds.iter().enumerate().map(line).collect();
            let new: Recipient = classic(200).parse().unwrap();
            let added = RecipientsFile::add("prod", text.as_bytes(), &new, Some(&comment), &native).unwrap();
            proptest::prop_assert!(added.starts_with(&text));
            let removed = RecipientsFile::remove("prod", added.as_bytes(), new.id(), &native).unwrap();
            let blank = if kinds.last() == Some(&1) { newline.as_str() } else { "" };
            proptest::prop_assert_eq!(removed, text + blank);
        }
    }
}
