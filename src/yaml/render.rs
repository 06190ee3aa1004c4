//! Values as text.
//!
//! A string is plain only where every YAML 1.1 and 1.2 reader takes it for that very string; else it is quoted.

use zeroize::Zeroizing;

use super::plain::{PlainType, plain_type};
use super::value::Value;

/// Writes a document in block style, without a leading `---`, ending in a line break.
///
/// Indents by two, sequences under a key not at all. Secret: the text may hold plaintext; the caller wraps it.
pub fn render(value: &Value, newline: &str) -> String {
    let layout = Layout { newline, step: 2, sequence_step: 0, json: false, compact: false };
    let mut writer = Writer::new(layout, value);
    writer.block(value, Parent::Root);
    writer.out.push_str(newline);
    std::mem::take(&mut *writer.out)
}

/// Writes JSON, on one line without a line break at the end.
///
/// Secret: the text may hold plaintext; the caller wraps it.
pub fn render_flow(value: &Value) -> String {
    let layout = Layout { newline: "\n", step: 2, sequence_step: 0, json: true, compact: false };
    let mut writer = Writer::new(layout, value);
    writer.flow(value, None);
    std::mem::take(&mut *writer.out)
}

/// How a text is laid out, so that what is added looks like what is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<'a> {
    pub(super) newline: &'a str,
    /// Columns from a key to the keys below it.
    pub(super) step: usize,
    /// Columns from a key to the dashes below it.
    pub(super) sequence_step: usize,
    /// Keys and strings in flow collections are always double quoted.
    pub(super) json: bool,
    /// No blanks after the commas and colons of flow collections on one line.
    pub(super) compact: bool,
}

/// What a block value is written after, with the column of the key or dash.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parent {
    /// Nothing: the text starts with the value.
    Root,
    /// `key:`.
    Key(usize),
    /// `-`, and collections may start on its line.
    Dash(usize),
    /// `-` with something else on its line.
    DashBelow(usize),
}

impl Parent {
    fn column(self) -> Option<usize> {
        match self {
            Self::Root => None,
            Self::Key(column) | Self::Dash(column) | Self::DashBelow(column) => Some(column),
        }
    }
}

/// The indentation of the entries of a flow collection that is written over several lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pretty<'a> {
    pub(super) indent: &'a str,
    pub(super) step: &'a str,
}

/// Writes values into one text.
pub(super) struct Writer<'a> {
    layout: Layout<'a>,
    pub(super) out: Zeroizing<String>,
    /// What was written last is a `|` block: it needs a line break after it.
    pub(super) open_end: bool,
}

impl<'a> Writer<'a> {
    /// Room is made for the whole value at once: a text that grows leaves copies of itself behind.
    pub(super) fn new(layout: Layout<'a>, value: &Value) -> Self {
        Self::with_room(layout, room(value))
    }

    /// Room for several values; see [`room`].
    pub(super) fn with_room(layout: Layout<'a>, room: usize) -> Self {
        Self { layout, out: Zeroizing::new(String::with_capacity(256 + room)), open_end: false }
    }

    /// The text, and whether it ends in a `|` block.
    pub(super) fn into_parts(self) -> (Zeroizing<String>, bool) {
        (self.out, self.open_end)
    }

    /// Starts a line.
    pub(super) fn line(&mut self, column: usize) {
        self.out.push_str(self.layout.newline);
        self.spaces(column);
    }

    pub(super) fn spaces(&mut self, count: usize) {
        for _ in 0..count {
            self.out.push(' ');
        }
    }

    /// Writes `key:` and its value.
    pub(super) fn entry(&mut self, key: &str, value: &Value, column: usize) {
        self.key(key, false);
        self.out.push(':');
        self.block(value, Parent::Key(column));
    }

    /// Writes `-` and its value.
    pub(super) fn item(&mut self, value: &Value, column: usize) {
        self.out.push('-');
        self.block(value, Parent::Dash(column));
    }

    /// Writes what follows the `:` or `-`, with the blank or line break before it and none after it.
    pub(super) fn block(&mut self, value: &Value, parent: Parent) {
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                let column = match parent {
                    Parent::Root => 0,
                    Parent::Key(column) => column + self.layout.step,
                    Parent::Dash(column) | Parent::DashBelow(column) => column + 2,
                };
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.start_child(index, column, parent);
                    self.entry(key, value, column);
                }
            }
            Value::Seq(items) if !items.is_empty() => {
                let column = match parent {
                    Parent::Root => 0,
                    Parent::Key(column) => column + self.layout.sequence_step,
                    Parent::Dash(column) | Parent::DashBelow(column) => column + 2,
                };
                for (index, item) in items.iter().enumerate() {
                    self.start_child(index, column, parent);
                    self.item(item, column);
                }
            }
            _ => {
                if !matches!(parent, Parent::Root) {
                    self.out.push(' ');
                }
                match value {
                    Value::Literal(text) if fits_literal(text) => self.literal(text, parent),
                    _ => self.inline(value, false, None),
                }
            }
        }
    }

    fn start_child(&mut self, index: usize, column: usize, parent: Parent) {
        match parent {
            Parent::Root if index == 0 => {}
            Parent::Dash(_) if index == 0 => self.out.push(' '),
            _ => self.line(column),
        }
    }

    /// A `|` block, without the line break at its end. The content is indented by the step, or by two after a dash.
    fn literal(&mut self, text: &str, parent: Parent) {
        let step = match parent {
            Parent::Root | Parent::Key(_) => self.layout.step,
            Parent::Dash(_) | Parent::DashBelow(_) => 2,
        };
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            self.out.push_str(&step.to_string());
        }
        let lines = match text.strip_suffix('\n') {
            Some(lines) => lines,
            None => {
                self.out.push('-');
                text
            }
        };
        let column = parent.column().unwrap_or(0) + step;
        for line in lines.split('\n') {
            if line.is_empty() {
                self.out.push_str(self.layout.newline);
            } else {
                self.line(column);
                self.out.push_str(line);
            }
        }
        self.open_end = true;
    }

    /// Writes a value in flow style; over several lines if `pretty` says how.
    pub(super) fn flow(&mut self, value: &Value, pretty: Option<Pretty<'_>>) {
        self.inline(value, true, pretty);
    }

    fn inline(&mut self, value: &Value, in_flow: bool, pretty: Option<Pretty<'_>>) {
        self.open_end = false;
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            // JSON knows no plain strings, and everything that is written here is one.
            Value::Plain(text) if in_flow && self.layout.json => self.double(text),
            Value::Plain(text) => self.out.push_str(text),
            Value::Str(text) => self.string(text, in_flow),
            Value::SingleQuoted(text) if (in_flow && self.layout.json) || needs_escapes(text) => self.double(text),
            Value::SingleQuoted(text) => self.single(text),
            Value::Literal(text) => self.double(text),
            Value::Map(entries) => {
                let pretty = if entries.is_empty() { None } else { pretty };
                self.collection("{}", pretty, entries.len(), |writer, index, pretty| {
                    let (key, value) = &entries[index];
                    writer.flow_entry(key, value, pretty);
                });
            }
            Value::Seq(items) => {
                let pretty = if items.is_empty() { None } else { pretty };
                self.collection("[]", pretty, items.len(), |writer, index, pretty| {
                    writer.inline(&items[index], true, pretty);
                });
            }
            Value::FlowSeq(items) => {
                self.collection("[]", None, items.len(), |writer, index, _| {
                    writer.inline(&items[index], true, None);
                });
            }
        }
    }

    /// Writes `key: value` of a flow mapping; the pretty indentation is that of the entry itself.
    pub(super) fn flow_entry(&mut self, key: &str, value: &Value, pretty: Option<Pretty<'_>>) {
        self.key(key, true);
        self.out.push_str(if self.layout.compact { ":" } else { ": " });
        self.inline(value, true, pretty);
    }

    fn collection(
        &mut self,
        brackets: &str,
        pretty: Option<Pretty<'_>>,
        count: usize,
        write: impl Fn(&mut Self, usize, Option<Pretty<'_>>),
    ) {
        let (open, close) = brackets.split_at(1);
        self.out.push_str(open);
        let inner = pretty.map(|pretty| format!("{}{}", pretty.indent, pretty.step));
        for index in 0..count {
            if index > 0 {
                self.out.push(',');
            }
            match &inner {
                Some(indent) => {
                    self.out.push_str(self.layout.newline);
                    self.out.push_str(indent);
                }
                None if index > 0 => self.gap(),
                None => {}
            }
            let nested = match (&inner, pretty) {
                (Some(indent), Some(pretty)) => Some(Pretty { indent, step: pretty.step }),
                _ => None,
            };
            write(self, index, nested);
        }
        if let Some(pretty) = pretty {
            self.out.push_str(self.layout.newline);
            self.out.push_str(pretty.indent);
        }
        self.out.push_str(close);
    }

    /// The blank after a comma.
    pub(super) fn gap(&mut self) {
        if !self.layout.compact {
            self.out.push(' ');
        }
    }

    /// Writes a key, without the colon.
    pub(super) fn key(&mut self, key: &str, in_flow: bool) {
        self.string(key, in_flow);
    }

    fn string(&mut self, text: &str, in_flow: bool) {
        if in_flow && self.layout.json {
            self.double(text);
        } else if is_plain(text, in_flow) {
            self.out.push_str(text);
        } else if needs_escapes(text) || !text.contains(['"', '\\']) {
            self.double(text);
        } else {
            self.single(text);
        }
    }

    fn single(&mut self, text: &str) {
        self.out.push('\'');
        for (index, part) in text.split('\'').enumerate() {
            if index > 0 {
                self.out.push_str("''");
            }
            self.out.push_str(part);
        }
        self.out.push('\'');
    }

    /// Double quotes with the escapes that YAML and JSON share.
    fn double(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                // All of these are in the basic plane, so that four digits hold them.
                c if is_escaped(c) => self.out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// Characters that stand only as escapes: controls, what some reader takes for a line break, marks that are not seen.
fn is_escaped(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}')
}

fn needs_escapes(text: &str) -> bool {
    text.chars().any(is_escaped)
}

/// Whether every reader takes the bare text for this string.
fn is_plain(text: &str, in_flow: bool) -> bool {
    let bytes = text.as_bytes();
    let starts = match bytes {
        [] | [b'-'] => false,
        [b'-', next, ..] => next.is_ascii_alphanumeric(),
        [first, ..] => !b"?:,[]{}#&*!|>'\"%@` =<".contains(first),
    };
    starts
        && !text.starts_with("...")
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|c| c == ' ' || c.is_ascii_graphic() || (!c.is_ascii() && c.is_alphanumeric()))
        && !(in_flow && text.contains([',', '[', ']', '{', '}', ':', '?']))
        && plain_type(text) == PlainType::Str
}

/// Whether a `|` block can hold the text for every reader: it ends in one line break or none, no line is blanks only or
/// starts with a tab, and nothing needs an escape.
fn fits_literal(text: &str) -> bool {
    let lines = text.strip_suffix('\n').unwrap_or(text);
    !lines.is_empty()
        && !lines.ends_with('\n')
        && lines.split('\n').all(|line| {
            !line.starts_with('\t')
                && (line.is_empty() || line.contains(|c| c != ' '))
                && !line.contains(literal_escape)
        })
}

fn literal_escape(c: char) -> bool {
    c != '\t' && is_escaped(c)
}

/// An upper bound of the bytes that a value takes.
pub(super) fn room(value: &Value) -> usize {
    // Two limits of nesting deep, each level two columns: seldom more, and then the text merely grows.
    room_at(value, 128)
}

fn room_at(value: &Value, column: usize) -> usize {
    let string = |text: &str| {
        // Whatever is not ASCII may be an escape of up to twice its bytes, which is within the bound.
        let odd = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\' | b'\'');
        let escapes = text.as_bytes().iter().filter(|byte| odd(byte)).count();
        let lines = text.bytes().filter(|byte| *byte == b'\n').count();
        text.len() + 8 * escapes + (lines + 1) * (column + 4) + 8
    };
    match value {
        Value::Null | Value::Bool(_) => 8,
        Value::Plain(text) => text.len() + column + 12,
        Value::Str(text) | Value::SingleQuoted(text) | Value::Literal(text) => string(text),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| string(key) + room_at(value, column + 8) + column + 4).sum::<usize>() + 4
        }
        Value::Seq(items) | Value::FlowSeq(items) => {
            items.iter().map(|item| room_at(item, column + 8) + column + 4).sum::<usize>() + 4
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ScalarStyle, Stream};
    use super::*;

    fn text(value: Value) -> String {
        render(&value, "\n")
    }

    #[test]
    fn a_string_is_plain_only_if_every_reader_agrees() {
        for plain in
            ["a", "a b", "shop-prod", "ags1.0eb2.AA==", "a:b", "http://x/y", "a#b", "é", "-x", "tls.crt", "a,b"]
        {
            assert_eq!(text(Value::from(plain)), format!("{plain}\n"));
        }
        for quoted in [
            "",
            "yes",
            "null",
            "~",
            "0777",
            "1_000",
            "12:30:45",
            "2001-01-01",
            "1e3",
            "<<",
            "=",
            " a",
            "a ",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "*/x",
            "&a",
            "!a",
            "|",
            ">",
            "%a",
            "@a",
            "`a",
            "[a]",
            "{a}",
            "- a",
            "-",
            "---",
            "...",
            "? a",
            "--x",
            ":a",
            ",a",
        ] {
            assert_eq!(text(Value::from(quoted)), format!("\"{quoted}\"\n"));
        }
        assert_eq!(text(Value::from("'\"")), "'''\"'\n");
        assert_eq!(text(Value::from("\"\\")), "'\"\\'\n");
        assert_eq!(text(Value::from("a\"b")), "a\"b\n");
        assert_eq!(
            text(Value::from("a\tb\n\u{7}\u{2028}\u{feff}\r\"\\")),
            "\"a\\tb\\n\\u0007\\u2028\\ufeff\\r\\\"\\\\\"\n"
        );
        assert_eq!(text(Value::SingleQuoted("it's/*".into())), "'it''s/*'\n");
        assert_eq!(text(Value::SingleQuoted("a\nb".into())), "\"a\\nb\"\n");
    }

    #[test]
    fn nested_values_are_indented_by_two_and_sequences_by_none() {
        let value = Value::map([
            ("a", Value::map([("b", Value::Seq(vec![Value::map([("c", Value::Null), ("d", Value::Bool(true))])]))])),
            ("e", Value::FlowSeq(vec!["x".into(), "a,b".into(), Value::Plain("1".into())])),
            ("f", Value::Seq(vec![Value::Seq(vec!["x".into(), "z".into()]), Value::Literal("l\n".into())])),
            ("g", Value::Map(vec![])),
            ("h", Value::Seq(vec![])),
            ("i: j", Value::Literal("-----BEGIN\n\n  x\n-----END\n".into())),
            ("k", Value::Literal(" x".into())),
        ]);
        assert_eq!(
            text(value),
            "a:\n  b:\n  - c: null\n    d: true\ne: [x, \"a,b\", 1]\nf:\n- - x\n  - z\n- |\n  l\ng: {}\nh: []\n\
             \"i: j\": |\n  -----BEGIN\n\n    x\n  -----END\nk: |2-\n   x\n"
        );
    }

    #[test]
    fn json_quotes_all_strings() {
        let value = Value::map([
            ("a", Value::SingleQuoted("it's".into())),
            ("b", Value::Seq(vec!["x".into(), Value::Null, Value::Plain("v1".into())])),
            ("c", Value::Literal("l\nm\n".into())),
            ("d", Value::Map(vec![])),
        ]);
        assert_eq!(render_flow(&value), r#"{"a": "it's", "b": ["x", null, "v1"], "c": "l\nm\n", "d": {}}"#);
    }

    #[test]
    fn every_string_reads_back_in_every_form() {
        let texts = [
            "",
            " ",
            "\n",
            "\n\n",
            "a",
            "a\n",
            "a\n\n",
            "\na",
            "\n\na\n",
            " a\n",
            "a\n b",
            "a\n  \nb\n",
            "\ta\n",
            "a\n\tb\n",
            "a \n",
            "a\r\nb\n",
            "#\n",
            "---\n",
            "...\n",
            "a: b\n# c\n",
            "\u{85}",
            "x\u{feff}y",
            "🔑\n",
            "\\",
            "'",
            "\"",
            "\u{fffe}",
            "%a\n",
            "- x\n",
            "\u{0}",
            "a\tb",
        ];
        for newline in ["\n", "\r\n"] {
            for sample in texts {
                for make in [Value::Str as fn(String) -> Value, Value::SingleQuoted, Value::Literal] {
                    for nest in [
                        (|value| Value::map([("k", value)])) as fn(Value) -> Value,
                        |value| Value::Seq(vec![value, "after".into()]),
                        |value| Value::map([("k", Value::Seq(vec![value])), ("z", Value::Null)]),
                        |value| Value::Seq(vec![Value::Seq(vec![value])]),
                        |value| value,
                    ] {
                        let out = render(&nest(make(sample.to_owned())), newline);
                        let stream = Stream::parse(out.clone()).unwrap_or_else(|error| panic!("{error}: {out:?}"));
                        let mut node = stream.documents().next().unwrap().root().unwrap();
                        while let Some(child) = node.get("k").or_else(|| node.items().next()) {
                            node = child;
                        }
                        assert_eq!(node.as_string(), Some(sample), "{out:?}");
                    }
                }
                let json = render_flow(&Value::map([(sample, Value::from(sample))]));
                let stream = Stream::parse(json.clone()).unwrap();
                let root = stream.documents().next().unwrap().root().unwrap();
                assert_eq!(root.get(sample).and_then(|node| node.as_string()), Some(sample), "{json}");
                assert_eq!(root.get(sample).unwrap().scalar_style(), Some(ScalarStyle::DoubleQuoted));
                assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()[sample], sample);
            }
        }
    }
}
