//! The terminal: the only file that prints.
//!
//! stdout is data, stderr is talk. Both are gathered and written in few large pieces, in the order in which they were
//! said. Everything that may have come from a file is escaped here, so no caller has to think of it. Colour only marks
//! what matters: red must be acted on, yellow is a note, dim is detail; every line reads the same without it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstyle::{AnsiColor, Style};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{CliError, Exit, Outcome, Place, io_fact};

/// The width of the column that holds the verb of a result line.
const VERB: usize = 8;
/// The width of the column that holds the label of a detail line.
const LABEL: usize = 11;
/// What is gathered before it is written.
const GATHER: usize = 32 * 1024;

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// One of the two ways out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Out,
    Err,
}

/// What was said and not yet written.
struct Pending {
    to: To,
    bytes: Zeroizing<Vec<u8>>,
    /// The reader of stdout went away: what is said to it is dropped, as `head` expects.
    closed: bool,
    /// stdout refused what was written, for another reason.
    broken: Option<io::Error>,
}

/// The way to the user, shared by all of a run; clones talk through the same pair of streams, from any thread.
#[derive(Clone)]
pub struct Ui {
    quiet: bool,
    color_out: bool,
    color_err: bool,
    pending: Arc<Mutex<Pending>>,
}

impl std::fmt::Debug for Ui {
    /// Shows nothing of what was gathered: it may be a plaintext.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui").field("quiet", &self.quiet).finish_non_exhaustive()
    }
}

impl Ui {
    /// Looks once at the terminal and at `NO_COLOR`.
    pub fn new(quiet: bool, color: Color) -> Self {
        let wants = |choice: anstream::ColorChoice| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => choice != anstream::ColorChoice::Never,
        };
        Self {
            quiet,
            color_out: wants(anstream::AutoStream::choice(&io::stdout())),
            color_err: wants(anstream::AutoStream::choice(&io::stderr())),
            pending: Arc::new(Mutex::new(Pending {
                to: To::Out,
                bytes: Zeroizing::new(Vec::with_capacity(1024)),
                closed: false,
                broken: None,
            })),
        }
    }

    /// Whether `-q` was given.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether stdout is a terminal: `get` to one refuses control characters.
    pub fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether stderr is a terminal: prompts and progress need one.
    pub fn stderr_is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Writes one line of data to stdout.
    pub fn print(&self, line: &Line) {
        self.write(To::Out, line.render(self.color_out).as_bytes());
    }

    /// Writes one plain line of data to stdout.
    pub fn print_text(&self, text: &str) {
        self.print(&Line::new().text(text));
    }

    /// Writes bytes to stdout as they are. This is the only way by which a plaintext value leaves the program.
    pub fn raw(&self, bytes: &[u8]) {
        self.write(To::Out, bytes);
    }

    /// Writes a value as indented JSON and a newline to stdout; characters that steer a terminal are `\u` escapes.
    pub fn json<T: serde::Serialize>(&self, value: &T) {
        // Only a map with keys that are not strings, or a Serialize that gives up, can refuse; ours do neither.
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.write(To::Out, escape_json(&text).as_bytes());
        self.write(To::Out, b"\n");
    }

    /// Says one line on stderr, unless `-q`.
    pub fn say(&self, line: &Line) {
        if !self.quiet {
            self.write(To::Err, line.render(self.color_err).as_bytes());
        }
    }

    /// Says what was done to one thing: `sealed  path   name   3 values`. Silent with `-q`.
    pub fn result(&self, verb: &str, columns: &[&str]) {
        self.results(&[Row::new(verb, columns)]);
    }

    /// Says what was done to several things, in columns that line up. Silent with `-q`.
    pub fn results(&self, rows: &[Row]) {
        let widths = widths(rows);
        for row in rows {
            let mut line = Line::new().padded(&row.verb, VERB);
            for (index, column) in row.columns.iter().enumerate() {
                if index + 1 == row.columns.len() {
                    line = line.text(column);
                } else {
                    line = line.padded(column, widths[index]).text("   ");
                }
            }
            self.say(&line);
            for detail in &row.details {
                self.detail(&detail.label, &detail.text, detail.source.as_deref());
            }
        }
    }

    /// Says one detail of the result above it: `        read by    prod, recovery`. Silent with `-q`.
    pub fn detail(&self, label: &str, text: &str, source: Option<&str>) {
        let mut line = Line::new().text(&" ".repeat(VERB)).padded(label, LABEL).text(text);
        if let Some(source) = source {
            line = line.text("   ").dim(&format!("({source})"));
        }
        self.say(&line);
    }

    /// Says something that the user may want to know. Silent with `-q`.
    pub fn note(&self, note: &CliError) {
        if !self.quiet {
            self.report(To::Err, "note", YELLOW, note);
        }
    }

    /// Says something that the user should act on though the work goes on; `-q` does not silence it.
    pub fn warn(&self, warning: &CliError) {
        self.report(To::Err, "warning", YELLOW, warning);
    }

    /// Says an error on stderr. Commands give errors back instead; [`Ui::finish`] says them.
    pub fn error(&self, error: &CliError) {
        self.report(To::Err, "error", RED, error);
    }

    /// Prints an error that is the very result of the command (`check`) to stdout.
    pub fn finding(&self, finding: &CliError) {
        self.report(To::Out, "error", RED, finding);
    }

    /// Prints a note that is part of the result of the command (`check`) to stdout.
    pub fn finding_note(&self, note: &CliError) {
        self.report(To::Out, "note", YELLOW, note);
    }

    /// Shows what clap answers: help and version on stdout, a usage error on stderr.
    pub fn help(&self, answer: &clap::Error) {
        let text = answer.render();
        let (to, color) = if answer.use_stderr() { (To::Err, self.color_err) } else { (To::Out, self.color_out) };
        let text = if color { text.ansi().to_string() } else { text.to_string() };
        self.write(to, text.as_bytes());
    }

    /// Says one line on stderr at once, whatever `-q` says: a device waits to be touched.
    pub fn urge(&self, text: &str) {
        self.write(To::Err, Line::new().text(text).render(self.color_err).as_bytes());
        self.flush();
    }

    /// Shows a question on stderr, without a newline, at once.
    pub fn ask(&self, question: &str) {
        self.write(To::Err, escape(question).as_bytes());
        self.flush();
    }

    /// Writes what was gathered.
    pub fn flush(&self) {
        flush(&mut self.pending());
    }

    /// Says the errors of the run, writes what was gathered and gives the exit code.
    ///
    /// A reader of stdout that went away is no error; any other refusal of stdout is.
    pub fn finish(&self, outcome: Outcome) -> ExitCode {
        let exit = match outcome {
            Ok(exit) => exit,
            Err(errors) => {
                errors.iter().for_each(|error| self.error(error));
                errors.exit()
            }
        };
        self.flush();
        let broken = self.pending().broken.take();
        let Some(broken) = broken else { return exit.into() };
        self.error(&CliError::input("the output could not be written to stdout").cause(io_fact(&broken)));
        self.flush();
        Exit::InputOutput.into()
    }

    fn report(&self, to: To, word: &str, style: Style, error: &CliError) {
        let color = if to == To::Out { self.color_out } else { self.color_err };
        let mut text = Line::new().styled(style, &format!("{word}:")).text(" ").text(&error.message).render(color);
        let width = error.places.iter().map(|place| place_name(place).chars().count()).max().unwrap_or(0);
        for place in &error.places {
            let mut line = Line::new().text("  ");
            line = match &place.detail {
                Some(detail) => line.padded(&place_name(place), width).text("   ").text(detail),
                None => line.text(&place_name(place)),
            };
            text.push_str(&line.render(color));
        }
        for detail in &error.details {
            text.push_str(&Line::new().text("  ").text(detail).render(color));
        }
        for cause in &error.causes {
            text.push_str(&Line::new().text("  ").dim("caused by:").text(" ").text(cause).render(color));
        }
        for hint in &error.hints {
            text.push_str(&Line::new().text("  ").styled(BOLD, "hint:").text(" ").text(hint).render(color));
        }
        self.write(to, text.as_bytes());
    }

    fn write(&self, to: To, bytes: &[u8]) {
        let mut pending = self.pending();
        if pending.to != to {
            flush(&mut pending);
            pending.to = to;
        }
        if pending.bytes.len() + bytes.len() > pending.bytes.capacity() {
            // A vector that grows by itself leaves its old bytes behind; one of these may be a plaintext.
            let mut larger = Zeroizing::new(Vec::with_capacity((pending.bytes.len() + bytes.len()) * 2));
            larger.extend_from_slice(&pending.bytes);
            pending.bytes = larger;
        }
        pending.bytes.extend_from_slice(bytes);
        if pending.bytes.len() >= GATHER {
            flush(&mut pending);
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn flush(pending: &mut Pending) {
    if pending.bytes.is_empty() {
        return;
    }
    match pending.to {
        To::Err => {
            // There is nobody left to tell when stderr is gone.
            let _ = io::stderr().lock().write_all(&pending.bytes);
        }
        To::Out if pending.closed || pending.broken.is_some() => {}
        To::Out => {
            let mut out = io::stdout().lock();
            match out.write_all(&pending.bytes).and_then(|()| out.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => pending.closed = true,
                Err(error) => pending.broken = Some(error),
                Ok(()) => {}
            }
        }
    }
    let capacity = pending.bytes.capacity();
    pending.bytes.zeroize();
    pending.bytes.reserve(capacity);
}

/// What was done to one thing, and the lines of detail below it.
#[derive(Clone, Debug, Default)]
pub struct Row {
    verb: String,
    columns: Vec<String>,
    details: Vec<Detail>,
}

#[derive(Clone, Debug)]
struct Detail {
    label: String,
    text: String,
    source: Option<String>,
}

impl Row {
    /// A result: what was done, then the columns, the path first.
    pub fn new(verb: &str, columns: &[&str]) -> Self {
        Self { verb: verb.to_owned(), columns: columns.iter().map(|&c| c.to_owned()).collect(), details: vec![] }
    }

    /// The same result, with a line of detail below it; `source` says where the detail comes from.
    #[must_use]
    pub fn detail(mut self, label: &str, text: impl Into<String>, source: Option<&str>) -> Self {
        self.details.push(Detail { label: label.to_owned(), text: text.into(), source: source.map(str::to_owned) });
        self
    }
}

fn widths(rows: &[Row]) -> Vec<usize> {
    let mut widths = vec![0; rows.iter().map(|row| row.columns.len()).max().unwrap_or(0)];
    for row in rows {
        for (width, column) in widths.iter_mut().zip(&row.columns) {
            *width = (*width).max(escape(column).chars().count());
        }
    }
    widths
}

/// One line, built from parts; every part is escaped.
#[derive(Clone, Debug, Default)]
pub struct Line {
    parts: Vec<(Style, String)>,
}

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same line, with plain text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.styled(Style::new(), text)
    }

    /// The same line, with text that is filled up with spaces to this width.
    #[must_use]
    pub fn padded(self, text: &str, width: usize) -> Self {
        let text = escape(text);
        let missing = width.saturating_sub(text.chars().count());
        self.text(&format!("{text}{}", " ".repeat(missing)))
    }

    /// The same line, with detail.
    #[must_use]
    pub fn dim(self, text: &str) -> Self {
        self.styled(DIM, text)
    }

    /// The same line, with what it is about.
    #[must_use]
    pub fn bold(self, text: &str) -> Self {
        self.styled(BOLD, text)
    }

    /// The same line, with a note.
    #[must_use]
    pub fn yellow(self, text: &str) -> Self {
        self.styled(YELLOW, text)
    }

    /// The same line, with what must be acted on.
    #[must_use]
    pub fn red(self, text: &str) -> Self {
        self.styled(RED, text)
    }

    /// The number of characters that it shows.
    pub fn width(&self) -> usize {
        self.parts.iter().map(|(_, text)| text.chars().count()).sum()
    }

    fn styled(mut self, style: Style, text: &str) -> Self {
        self.parts.push((style, escape(text).into_owned()));
        self
    }

    fn render(&self, color: bool) -> String {
        let mut line = String::new();
        for (style, text) in &self.parts {
            if color && !style.is_plain() {
                let _ = write!(line, "{style}{text}{style:#}");
            } else {
                line.push_str(text);
            }
        }
        line.truncate(line.trim_end_matches(' ').len());
        line.push('\n');
        line
    }
}

fn place_name(place: &Place) -> String {
    let path = escape(&place.path);
    place.at.map_or_else(|| path.to_string(), |at| format!("{path}:{at}"))
}

/// Shows the characters that could steer a terminal, turn text around or hide in it, as escapes.
///
/// A second pass changes nothing: backslashes are left alone, because paths and keys hold them and nothing reads the
/// result back.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if steers(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

fn escape_json(text: &str) -> Cow<'_, str> {
    let hides = |c: char| c != '\n' && steers(c);
    if !text.chars().any(hides) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 12);
    for c in text.chars() {
        if hides(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Whether a character is a control, turns the direction of writing, has no width, or ends a line in some readers.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown() {
        assert_eq!(escape("shop/db"), "shop/db");
        assert_eq!(escape("ключ ✓ 鍵"), "ключ ✓ 鍵");
        assert_eq!(escape("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape("a\u{202e}b\nc"), "a\\u{202e}b\\nc");
        assert_eq!(escape("\u{9b}31m\u{e0041}"), "\\u{9b}31m\\u{e0041}");
        let once = escape("a\x1b\\x").into_owned();
        assert_eq!(escape(&once), once);
    }

    #[test]
    fn json_stays_json_when_it_is_made_safe() {
        let text = serde_json::to_string_pretty(&["a\u{202e}b\u{e0041}\x1b\n"]).unwrap();
        let safe = escape_json(&text);
        assert!(safe.is_ascii());
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), ["a\u{202e}b\u{e0041}\x1b\n"]);
    }

    #[test]
    fn a_line_is_the_same_text_with_and_without_color() {
        let line = Line::new().padded("sealed", VERB).text("a").dim(" (b)").red("!");
        assert_eq!(line.render(false), "sealed  a (b)!\n");
        assert_eq!(anstream::adapter::strip_str(&line.render(true)).to_string(), line.render(false));
        assert_ne!(line.render(true), line.render(false));
    }

    #[test]
    fn a_line_break_in_a_name_does_not_break_the_line() {
        let line = Line::new().padded("a\nerror: no", 20).text("|");
        assert_eq!(line.render(false), "a\\nerror: no        |\n");
    }
}
