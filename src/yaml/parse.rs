//! From granit's events to the arena.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScanError, Span, StructureStyle};
use zeroize::{Zeroize, Zeroizing};

use super::error::YamlError;
use super::node::{Kind, NONE, Props, Raw, ScalarStyle};
use super::stream::{RawDocument, Stream, locate};
use super::{MAX_NESTING, MAX_NODES, MAX_TEXT, MAX_UNFOLDED};

/// Above this many keys, duplicates are looked for with a hash table.
const FEW_KEYS: usize = 16;

/// Parses the text, or overwrites it and says why not.
pub(super) fn parse(text: Zeroizing<String>) -> Result<Stream, YamlError> {
    if text.len() > MAX_TEXT {
        return Err(YamlError::TooLarge { bytes: text.len(), limit: MAX_TEXT });
    }
    refuse_control_characters(&text)?;
    let mut stream = Stream::empty(Zeroizing::new(String::new()));
    let mut builder =
        Builder { text: &text, stream: &mut stream, open: Vec::new(), last_end: 0, anchors: Vec::new(), unfolded: 0 };
    builder.run()?;
    stream.text = text;
    Ok(stream)
}

fn options() -> granit_parser::Options {
    granit_parser::options! {
        emit_anchor_events: true,
        disallow_directives: true,
        block_scalar_eof_without_line_feed: true,
        max_buffered_comment_events: MAX_TEXT,
        flow_nesting_limit: MAX_NESTING,
        block_nesting_limit: MAX_NESTING,
    }
}

/// A collection that is not closed yet.
struct Frame {
    id: u32,
    last: u32,
    children: u32,
    /// Whether keys and values alternate.
    mapping: bool,
    flow: bool,
    /// How many nodes stand before it, with aliases written out.
    before: u64,
    /// Its place among the anchors, if it has one.
    anchor: Option<usize>,
    /// How many aliases in it refer to itself.
    circles: u64,
}

/// What an anchor names.
#[derive(Clone, Copy)]
struct Anchor {
    node: u32,
    /// How many nodes that is, with aliases written out; none while it is not closed.
    nodes: Option<u64>,
}

struct Builder<'t, 's> {
    text: &'t str,
    stream: &'s mut Stream,
    open: Vec<Frame>,
    /// Where the last node or opening bracket ended: what comes next is looked for from here.
    last_end: usize,
    /// What granit's anchor ids stand for.
    anchors: Vec<Anchor>,
    /// How many nodes there are so far, with aliases written out.
    unfolded: u64,
}

impl<'t> Builder<'t, '_> {
    fn run(&mut self) -> Result<(), YamlError> {
        let mut last = NONE;
        let mut sorted = true;
        for next in Parser::new_from_str_with_options(self.text, options()) {
            let (event, span) = next.map_err(|error| self.syntax(&error))?;
            match event {
                Event::Scalar(text, style, _, tag) => {
                    last = self.scalar(text, style, &span, tag.is_some())?;
                }
                Event::MappingStart(style, ..) => last = self.start(Kind::Mapping, style, &span)?,
                Event::SequenceStart(style, ..) => last = self.start(Kind::Sequence, style, &span)?,
                Event::MappingEnd => {
                    let id = self.end(&span)?;
                    self.refuse_duplicates(id)?;
                }
                Event::SequenceEnd => {
                    self.end(&span)?;
                }
                Event::Alias(anchor) => self.alias(anchor, &span)?,
                Event::Anchor(anchor, _) => self.anchor(last, anchor, &span),
                Event::Comment(..) => {
                    let (start, end) = range(&span);
                    let comments = &mut self.stream.comments;
                    sorted &= comments.last().is_none_or(|last| last.0 <= start as u32);
                    comments.push((start as u32, end as u32));
                }
                Event::DocumentStart(explicit, _) => {
                    let (start, end) = range(&span);
                    let open = if explicit { (start as u32, end as u32) } else { (0, 0) };
                    self.stream.documents.push(RawDocument { root: NONE, start: 0, end: 0, open, close: (0, 0) });
                    if explicit {
                        self.last_end = end;
                    }
                }
                Event::DocumentEnd => {
                    let (start, end) = range(&span);
                    if let Some(document) = self.stream.documents.last_mut()
                        && self.text.get(start..end) == Some("...")
                    {
                        document.close = (start as u32, end as u32);
                        self.last_end = end;
                    }
                }
                _ => {}
            }
        }
        if !sorted {
            // granit tells the comment of a block scalar's header after the scalar.
            self.stream.comments.sort_unstable();
        }
        self.bound_documents();
        Ok(())
    }

    fn add(&mut self, mut raw: Raw) -> Result<u32, YamlError> {
        let nodes = &mut self.stream.nodes;
        if nodes.len() >= MAX_NODES {
            return Err(YamlError::TooManyNodes { limit: MAX_NODES });
        }
        let id = nodes.len() as u32;
        match self.open.last_mut() {
            Some(frame) => {
                raw.parent = frame.id;
                if frame.last == NONE {
                    nodes[frame.id as usize].first = id;
                } else {
                    nodes[frame.last as usize].next = id;
                }
                frame.last = id;
                frame.children += 1;
            }
            None => {
                if let Some(document) = self.stream.documents.last_mut() {
                    let empty = raw.kind == Kind::Scalar
                        && raw.style == ScalarStyle::Plain
                        && raw.start == raw.end
                        && raw.props == NONE;
                    document.root = if empty { NONE } else { id };
                }
            }
        }
        nodes.push(raw);
        self.unfolded += 1;
        Ok(id)
    }

    /// Adds an alias, and what it stands for to the count of what readers go through: a few bytes here may be millions
    /// of nodes there.
    fn alias(&mut self, anchor: usize, span: &Span) -> Result<(), YamlError> {
        let (start, end) = range(span);
        let anchor = self.anchors.get(anchor).copied();
        let target = anchor.map_or(NONE, |anchor| anchor.node);
        self.add(Raw { text: (target, 0), ..blank(Kind::Alias, start, end) })?;
        self.last_end = end;
        match anchor.and_then(|anchor| anchor.nodes) {
            Some(nodes) => self.unfold(nodes - 1, start),
            None => {
                // How much a collection is that holds itself shows at its end.
                if let Some(frame) = self.open.iter_mut().rev().find(|frame| frame.id == target) {
                    frame.circles += 1;
                }
                Ok(())
            }
        }
    }

    fn unfold(&mut self, nodes: u64, at: usize) -> Result<(), YamlError> {
        self.unfolded = self.unfolded.saturating_add(nodes);
        if self.unfolded > MAX_UNFOLDED as u64 {
            return Err(YamlError::TooManyAliased { at: locate(self.text, at), limit: MAX_UNFOLDED });
        }
        Ok(())
    }

    fn props(&mut self, span: &Span) -> u32 {
        let Some(tag) = span.tag_span() else { return NONE };
        let (start, end) = range(&tag);
        self.stream.props.push(Props { tag: (start as u32, end as u32), anchor: (0, 0) });
        (self.stream.props.len() - 1) as u32
    }

    fn start(&mut self, kind: Kind, style: StructureStyle, span: &Span) -> Result<u32, YamlError> {
        let (mut start, end) = range(span);
        let flow = style == StructureStyle::Flow;
        if kind == Kind::Sequence && !flow && self.open.last().is_some_and(|frame| frame.mapping) {
            // A sequence that is not indented under its key is reported at its first item, not at the dash.
            let dash = self.skip(self.last_end, false);
            if self.text.as_bytes().get(dash) == Some(&b'-') {
                start = dash;
            }
        }
        let pair = flow && start == end;
        let props = self.props(span);
        let before = self.unfolded;
        let id = self.add(Raw { flow, pair, props, ..blank(kind, start, start) })?;
        let mapping = kind == Kind::Mapping;
        self.open.push(Frame { id, last: NONE, children: 0, mapping, flow, before, anchor: None, circles: 0 });
        self.last_end = if flow { end } else { start };
        Ok(id)
    }

    fn end(&mut self, span: &Span) -> Result<u32, YamlError> {
        let Some(frame) = self.open.pop() else { return Ok(NONE) };
        let nodes = &mut self.stream.nodes;
        let end = if frame.flow && !nodes[frame.id as usize].pair {
            range(span).1
        } else if frame.last == NONE {
            nodes[frame.id as usize].start as usize
        } else {
            nodes[frame.last as usize].end as usize
        };
        nodes[frame.id as usize].end = end as u32;
        self.last_end = self.last_end.max(end);
        if let Some(anchor) = frame.anchor {
            let start = nodes[frame.id as usize].start as usize;
            let own = self.unfolded - frame.before;
            self.unfold(own.saturating_mul(frame.circles), start)?;
            self.anchors[anchor].nodes = Some(self.unfolded - frame.before);
        }
        Ok(frame.id)
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: granit_parser::ScalarStyle,
        span: &Span,
        tagged: bool,
    ) -> Result<u32, YamlError> {
        let style = match style {
            granit_parser::ScalarStyle::Plain => ScalarStyle::Plain,
            granit_parser::ScalarStyle::SingleQuoted => ScalarStyle::SingleQuoted,
            granit_parser::ScalarStyle::DoubleQuoted => ScalarStyle::DoubleQuoted,
            granit_parser::ScalarStyle::Literal => ScalarStyle::Literal,
            granit_parser::ScalarStyle::Folded => ScalarStyle::Folded,
        };
        let (mut start, mut end) = range(span);
        let props = if tagged { self.props(span) } else { NONE };
        match style {
            ScalarStyle::Plain if start == end => {
                start = match self.stream.props.get(props as usize) {
                    Some(props) => props.tag.1 as usize,
                    None => self.empty_place(start),
                };
                let raw = Raw { style, props, text: (start as u32, start as u32), ..blank(Kind::Scalar, start, start) };
                let id = self.add(raw)?;
                self.last_end = self.last_end.max(start);
                return Ok(id);
            }
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let content = (start, end);
                start = self.skip(self.last_end, true);
                if !matches!(self.text.as_bytes().get(start), Some(b'|' | b'>')) {
                    let at = locate(self.text, content.0);
                    return Err(YamlError::Syntax { at, reason: "a block scalar without a header".to_owned() });
                }
                end = block_end(self.text, start, content, span.indent);
            }
            _ => {}
        }
        let source = source_range(self.text, &text, style, start, end);
        let (owned, range) = match (source, text) {
            (Some(range), text) => {
                if let Cow::Owned(mut text) = text {
                    text.zeroize();
                }
                (false, range)
            }
            (None, text) => {
                self.stream.decoded.push(Zeroizing::new(text.into_owned()));
                (true, ((self.stream.decoded.len() - 1) as u32, 0))
            }
        };
        let id = self.add(Raw { style, props, owned, text: range, ..blank(Kind::Scalar, start, end) })?;
        self.last_end = end;
        Ok(id)
    }

    /// Where an empty node without properties stands: after the `:` or `-` that introduces it.
    fn empty_place(&self, reported: usize) -> usize {
        let bytes = self.text.as_bytes();
        let Some(frame) = self.open.last() else { return reported };
        if !frame.mapping {
            let dash = self.skip(self.last_end, false);
            return if !frame.flow && bytes.get(dash) == Some(&b'-') { dash + 1 } else { reported };
        }
        if frame.children % 2 == 0 {
            return reported;
        }
        // In flow style what follows may touch the colon, as in `{"a":,"b":}`.
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let ends = frame.flow || bytes.get(reported + 1).is_none_or(is_blank);
        let indicates = ends && bytes.get(reported) == Some(&b':');
        if indicates { reported + 1 } else { self.last_end }
    }

    fn anchor(&mut self, node: u32, anchor: usize, span: &Span) {
        let (start, end) = range(span);
        if self.anchors.len() <= anchor {
            self.anchors.resize(anchor + 1, Anchor { node: NONE, nodes: Some(1) });
        }
        self.anchors[anchor] = match self.open.last_mut() {
            Some(frame) if frame.id == node => {
                frame.anchor = Some(anchor);
                Anchor { node, nodes: None }
            }
            _ => Anchor { node, nodes: Some(1) },
        };
        let Some(raw) = self.stream.nodes.get_mut(node as usize) else { return };
        if raw.props == NONE {
            raw.props = self.stream.props.len() as u32;
            self.stream.props.push(Props::default());
        }
        let props = &mut self.stream.props[raw.props as usize];
        props.anchor = (start as u32 + 1, end as u32);
        if raw.kind == Kind::Scalar && raw.style == ScalarStyle::Plain && raw.start == raw.end {
            let place = props.tag.1.max(props.anchor.1);
            (raw.start, raw.end, raw.text) = (place, place, (place, place));
            self.last_end = self.last_end.max(place as usize);
            if raw.parent == NONE
                && let Some(document) = self.stream.documents.last_mut()
            {
                document.root = node;
            }
        }
    }

    /// Skips blanks, line breaks, comments, `:`, `?`, tags and anchors, and dashes if asked to.
    fn skip(&self, from: usize, dashes: bool) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = from;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b':' | b'?' | b',' => at += 1,
                b'-' if dashes => at += 1,
                b'#' => at += bytes[at..].iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')).count(),
                b'&' | b'!' => {
                    at += bytes[at..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
                }
                0xef if self.text[at..].starts_with('\u{feff}') => at += 3,
                _ => break,
            }
        }
        at
    }

    fn refuse_duplicates(&self, mapping: u32) -> Result<(), YamlError> {
        let nodes = &self.stream.nodes;
        let Some(raw) = nodes.get(mapping as usize) else { return Ok(()) };
        let keys = || {
            let mut next = raw.first;
            std::iter::from_fn(move || {
                let id = next;
                let key = nodes.get(id as usize)?;
                next = nodes.get(key.next as usize)?.next;
                Some(id)
            })
        };
        let mut table: HashMap<(bool, &str), u32> = HashMap::new();
        for (count, id) in keys().enumerate() {
            let name = self.key_name(id);
            let first = if count < FEW_KEYS {
                keys().take(count).find(|&earlier| self.key_name(earlier) == name)
            } else {
                if table.is_empty() {
                    table.extend(keys().take(count).map(|earlier| (self.key_name(earlier), earlier)));
                }
                table.insert(name, id)
            };
            if let Some(first) = first {
                let place = |id: u32| locate(self.text, nodes[id as usize].start as usize);
                let named = name.0 && name.1.len() <= 253 && !name.1.chars().any(|c| c.is_control() || c == ' ');
                let key = named.then(|| name.1.to_owned());
                return Err(YamlError::DuplicateKey { at: place(id), first: place(first), key });
            }
        }
        Ok(())
    }

    /// What makes two keys the same: decoded text for scalars and aliases to them, else the written form.
    fn key_name(&self, id: u32) -> (bool, &str) {
        let nodes = &self.stream.nodes;
        let mut raw = &nodes[id as usize];
        if raw.kind == Kind::Alias
            && let Some(target) = nodes.get(raw.text.0 as usize)
        {
            raw = target;
        }
        match raw.kind {
            Kind::Scalar if raw.owned => (true, self.stream.decoded[raw.text.0 as usize].as_str()),
            Kind::Scalar => (true, &self.text[raw.text.0 as usize..raw.text.1 as usize]),
            _ => (false, &self.text[raw.start as usize..(raw.end as usize).max(raw.start as usize)]),
        }
    }

    fn bound_documents(&mut self) {
        let length = self.text.len() as u32;
        let mut start = 0;
        for index in 0..self.stream.documents.len() {
            if index > 0 {
                let before = self.stream.documents[index - 1];
                let after_end = if before.close.1 > 0 { Some(line_after(self.text, before.close.1)) } else { None };
                let open = self.stream.documents[index].open.0;
                start = after_end.unwrap_or(open).max(start);
                self.stream.documents[index - 1].end = start;
            }
            self.stream.documents[index].start = start;
        }
        if let Some(last) = self.stream.documents.last_mut() {
            last.end = length;
        }
    }

    fn syntax(&self, error: &ScanError) -> YamlError {
        let marker = error.marker();
        let at = match marker.byte_offset() {
            Some(offset) if self.text.is_char_boundary(offset.min(self.text.len())) => locate(self.text, offset),
            _ => crate::problem::Location { line: marker.line(), column: marker.col() + 1 },
        };
        match error.kind() {
            ErrorKind::DirectiveDisallowed => YamlError::Directive { at },
            ErrorKind::RecursionLimitExceeded => YamlError::TooDeep { at, limit: MAX_NESTING },
            ErrorKind::UnknownAnchor => YamlError::UnknownAnchor { at },
            // The character may be the first of a Secret.
            ErrorKind::UnexpectedCharacter { .. } => {
                YamlError::Syntax { at, reason: "no value starts with this character unless it is quoted".to_owned() }
            }
            ErrorKind::Custom(_) => YamlError::Syntax { at, reason: "the parser stopped here".to_owned() },
            kind => YamlError::Syntax { at, reason: kind.to_string() },
        }
    }
}

fn blank(kind: Kind, start: usize, end: usize) -> Raw {
    Raw {
        kind,
        style: ScalarStyle::Plain,
        flow: false,
        pair: false,
        owned: false,
        start: start as u32,
        end: end as u32,
        text: (0, 0),
        props: NONE,
        parent: NONE,
        first: NONE,
        next: NONE,
    }
}

fn range(span: &Span) -> (usize, usize) {
    span.byte_range().map_or((0, 0), |range| (range.start, range.end))
}

/// Where the decoded text stands in the source as it is, if it does.
fn source_range(source: &str, text: &str, style: ScalarStyle, start: usize, end: usize) -> Option<(u32, u32)> {
    let (start, end) = match style {
        ScalarStyle::Plain => (start, end),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => (start + 1, end.checked_sub(1)?),
        ScalarStyle::Literal | ScalarStyle::Folded if text.is_empty() => (end, end),
        ScalarStyle::Literal | ScalarStyle::Folded => return None,
    };
    (source.get(start..end) == Some(text)).then_some((start as u32, end as u32))
}

/// One past the last content byte of a block scalar: see [`Node::span`](super::Node::span).
///
/// `content` is what granit calls the content: it starts after the header's line and may run on over blank lines into
/// the indentation of what follows.
fn block_end(text: &str, header: usize, content: (usize, usize), indent: Option<usize>) -> usize {
    let bytes = text.as_bytes();
    let indicators = bytes[header + 1..].iter().take_while(|byte| matches!(byte, b'+' | b'-' | b'0'..=b'9')).count();
    let keep = bytes[header + 1..header + 1 + indicators].contains(&b'+');
    let mut end = header + 1 + indicators;
    let mut at = line_after(text, end as u32) as usize;
    while at < content.1 {
        let line = &bytes[at..content.1];
        let length = line.iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')).count();
        let spaces = line[..length].iter().take_while(|byte| **byte == b' ').count();
        let is_content = spaces < length || indent.is_some_and(|indent| spaces > indent);
        let ended = length < line.len();
        if is_content || (keep && ended) {
            end = at + length;
        }
        if !ended {
            break;
        }
        at = line_after(text, (at + length) as u32) as usize;
    }
    end
}

/// The start of the line after the one that `at` is in.
pub(super) fn line_after(text: &str, at: u32) -> u32 {
    let bytes = &text.as_bytes()[at as usize..];
    let length = bytes.iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')).count();
    let line_break = match bytes[length..] {
        [b'\r', b'\n', ..] => 2,
        [] => 0,
        _ => 1,
    };
    at + (length + line_break) as u32
}

/// Refuses what YAML calls unprintable, and the line breaks that only YAML 1.1 knows: hidden in a comment, such a break
/// would show other readers a line that is not there for this one.
fn refuse_control_characters(text: &str) -> Result<(), YamlError> {
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        // One comparison for nearly every byte of nearly every text.
        if (0x20..0x7f).contains(&byte) || matches!(byte, b'\n' | b'\t' | b'\r') {
            continue;
        }
        let code = match (byte, bytes.get(at + 1), bytes.get(at + 2)) {
            (0..=0x1f | 0x7f, ..) => u32::from(byte),
            (0xc2, Some(next @ 0x80..=0x9f), _) => u32::from(*next),
            (0xe2, Some(0x80), Some(last @ (0xa8 | 0xa9))) => 0x2000 + u32::from(*last) - 0x80,
            (0xef, Some(0xbf), Some(last @ (0xbe | 0xbf))) => 0xff00 + u32::from(*last) + 0x40,
            _ => continue,
        };
        let at = locate(text, at);
        return Err(match code {
            0x85 | 0x2028 | 0x2029 => YamlError::AmbiguousLineBreak { at, code },
            _ => YamlError::ControlCharacter { at, code },
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Stream {
        parse(Zeroizing::new(text.to_owned())).unwrap()
    }

    /// Every node in order: `kind@start:source`, with the decoded text of scalars that differs from the source.
    fn nodes(text: &str) -> Vec<String> {
        let stream = read(text);
        (0..stream.nodes.len() as u32)
            .map(|id| {
                let node = stream.node(id).unwrap();
                let kind = match node.kind() {
                    Kind::Mapping => "map",
                    Kind::Sequence => "seq",
                    Kind::Alias => "alias",
                    Kind::Scalar => "",
                };
                let source = &text[node.span()];
                match node.str() {
                    Some(decoded) if decoded != source => format!("{}:{source}={decoded}", node.span().start),
                    _ => format!("{kind}{}:{source}", node.span().start),
                }
            })
            .collect()
    }

    #[test]
    fn empty_values_stand_after_their_indicator() {
        assert_eq!(
            nodes("a:   # c1\n  # c2\n\nb: !!str # t\nc: &x\nd:\ne:\n"),
            [
                "map0:a:   # c1\n  # c2\n\nb: !!str # t\nc: &x\nd:\ne:",
                "0:a",
                "2:",
                "18:b",
                "26:",
                "31:c",
                "36:",
                "37:d",
                "39:",
                "40:e",
                "42:"
            ]
        );
        assert_eq!(
            nodes("- # c\n\n-\n- # z\n-   -\n"),
            ["seq0:- # c\n\n-\n- # z\n-   -", "1:", "8:", "10:", "seq19:-", "20:"]
        );
        assert_eq!(nodes("{a, b: , c}"), ["map0:{a, b: , c}", "1:a", "2:", "4:b", "6:", "9:c", "10:"]);
        assert_eq!(nodes("{\"a\":,\"b\":}")[2..], ["5:", "6:\"b\"=b", "10:"]);
        assert_eq!(nodes("? a\n? b\n: c\n")[1..], ["2:a", "3:", "6:b", "10:c"]);
        assert_eq!(nodes("? a\n:\nb:\n")[1..], ["2:a", "5:", "6:b", "8:"]);
    }

    #[test]
    fn sequences_start_at_their_dash_indented_or_not() {
        assert_eq!(nodes("b:\n- x\n- y\n")[2..], ["seq3:- x\n- y", "5:x", "9:y"]);
        assert_eq!(nodes("b: &a !!seq # c\n# - d\n- - x\n")[2..], ["seq22:- - x", "seq24:- x", "26:x"]);
        assert_eq!(
            nodes("b:\n  - - - x\n  -\n    - y")[2..5],
            ["seq5:- - - x\n  -\n    - y", "seq7:- - x", "seq9:- x"]
        );
        assert_eq!(nodes("? - a\n: - b\n")[1..], ["seq2:- a", "4:a", "seq8:- b", "10:b"]);
        assert_eq!(nodes("- - a\n- - b\n")[1..], ["seq2:- a", "4:a", "seq8:- b", "10:b"]);
    }

    #[test]
    fn block_scalars_run_from_their_header_to_the_end_of_the_last_content_line() {
        assert_eq!(
            nodes("y: |2\n     foo\n    bar\n\n  \nz: >-\n    f\n    m\n# t\n")[2],
            "3:|2\n     foo\n    bar=   foo\n  bar\n"
        );
        assert_eq!(nodes("z: !t &a >- # h\n    f\n    m\n# t\n")[2], "9:>- # h\n    f\n    m=f m");
        assert_eq!(nodes("y: |+ # hc\n  a\n\n# n\n")[2], "3:|+ # hc\n  a\n=a\n\n");
        assert_eq!(nodes("y: |+\n\n\nz: |\nw: >\n\n\n")[2..], ["3:|+\n\n=\n\n", "8:z", "11:|=", "13:w", "16:>="]);
        assert_eq!(nodes("v: |2-\n   x\n     \n\nu: b")[2], "3:|2-\n   x\n     = x\n   ");
        assert_eq!(nodes("- |\n x\n- - >\n   y\n")[1..], ["2:|\n x=x\n", "seq9:- >\n   y", "11:>\n   y=y\n"]);
        assert_eq!(nodes("a:\r\n  b: |\r\n    x\r\n    y\r\n  c: d\r\n")[4], "9:|\r\n    x\r\n    y=x\ny\n");
        assert_eq!(nodes("--- |\n x\n")[0], "4:|\n x=x\n");
        assert_eq!(nodes("# c\n|\n x\n...\n>\n y\n"), ["4:|\n x=x\n", "13:>\n y=y\n"]);
        assert_eq!(nodes("a: |\n  x")[2], "3:|\n  x=x");
        assert_eq!(nodes("a: |")[2], "3:|=");
        assert_eq!(nodes("? |\n  k\n: v\n")[1], "2:|\n  k=k\n");
    }

    #[test]
    fn properties_are_outside_the_span_and_inside_the_full_span() {
        let stream = read("a: &x !!str \"q\"   # c\nb: *x\nc: !t\n  &y k: v\n");
        let root = stream.documents().next().unwrap().root().unwrap();
        let a = root.get("a").unwrap();
        assert_eq!((a.source(), &stream.text()[a.full_span()]), ("\"q\"", "&x !!str \"q\""));
        assert_eq!((a.tag(), a.anchor(), a.as_string()), (Some("!!str"), Some("x"), Some("q")));
        assert_eq!(root.get("b").unwrap().target(), Some(a));
        let c = root.get("c").unwrap();
        assert_eq!((c.tag(), c.anchor(), c.full_span().start), (Some("!t"), None, 31));
        assert_eq!(c.entry("k").unwrap().0.anchor(), Some("y"));
        assert_eq!(c.source(), "&y k: v");
        assert_eq!(stream.comments().map(|comment| comment.text()).collect::<Vec<_>>(), ["# c"]);
    }

    #[test]
    fn pairs_in_flow_sequences_have_no_brackets() {
        assert_eq!(nodes("[k: , m: n]"), ["seq0:[k: , m: n]", "map1:k:", "1:k", "3:", "map6:m: n", "6:m", "9:n"]);
    }

    #[test]
    fn duplicate_keys_are_refused_with_both_places() {
        let second = |text: &str| match parse(Zeroizing::new(text.to_owned())) {
            Err(YamlError::DuplicateKey { at, first, key }) => Some((at.line, at.column, first.line, key)),
            _ => None,
        };
        assert_eq!(second("a: 1\nb: 2\n'a': 3\n"), Some((3, 1, 1, Some("a".to_owned()))));
        assert_eq!(second("x: {a: 1, \"a\": 2}"), Some((1, 11, 1, Some("a".to_owned()))));
        assert_eq!(second("? &k a\n: 1\n? *k\n: 2\n"), Some((3, 3, 1, Some("a".to_owned()))));
        assert_eq!(second("? [a]\n: 1\n? [a]\n: 2\n").unwrap().3, None);
        let many: String = (0..40).map(|n| format!("k{n}: {n}\n")).collect();
        assert_eq!(second(&many), None);
        assert_eq!(second(&format!("{many}k39: 1\n")), Some((41, 1, 40, Some("k39".to_owned()))));
        assert_eq!(second(&format!("{many}k2: 1\n")).unwrap().2, 3);
        assert_eq!(second("- a: 1\n- a: 1\n---\na: 1\n"), None);
    }

    #[test]
    fn what_is_no_plain_utf8_yaml_is_refused_by_name() {
        let error = |bytes: &[u8]| Stream::from_bytes(bytes.to_vec()).unwrap_err();
        assert_eq!(error(b"\xff\xfea\0:\0").code(), "encoding");
        assert_eq!(error(b"\xfe\xff\0a\0:").to_string(), "the text is UTF-16 (big endian), not UTF-8");
        assert_eq!(error(b"a\0:\0 \0").code(), "encoding");
        assert_eq!(
            error("a: b\né: \u{7f}".as_bytes()).location(),
            Some(crate::problem::Location { line: 2, column: 4 })
        );
        assert_eq!(error(b"a: b\nc: \xe9\n").location(), Some(crate::problem::Location { line: 2, column: 4 }));
        assert_eq!(error("a: \"\u{85}\"".as_bytes()).code(), "ambiguous-line-break");
        assert!(error("# \u{2028}kind: Secret\n".as_bytes()).to_string().contains("U+2028"));
        assert!(error("a: \u{ffff}".as_bytes()).to_string().contains("U+FFFF"));
        assert_eq!(error(b"a: b\0c").code(), "control-character");
        assert_eq!(error(b"%YAML 1.1\n---\na: b\n").code(), "yaml-directive");
        assert_eq!(error(b"a: *b\n").code(), "unknown-anchor");
        assert_eq!(error("[".repeat(65).as_bytes()).code(), "nested-too-deep");
        assert_eq!(error("- ".repeat(65).as_bytes()).code(), "nested-too-deep");
        assert_eq!(error(&vec![b'a'; MAX_TEXT + 1]).code(), "too-large");
        assert_eq!(error("-\n".repeat(MAX_NODES).as_bytes()).code(), "too-many-nodes");
        assert!(!error(b"password: @hunter2\n").to_string().contains('@'));
    }

    #[test]
    fn aliases_that_stand_for_very_many_nodes_are_refused() {
        let refused = |text: &str| match parse(Zeroizing::new(text.to_owned())) {
            Err(YamlError::TooManyAliased { at, limit: MAX_UNFOLDED }) => Some((at.line, at.column)),
            Err(error) => panic!("{error}"),
            Ok(_) => None,
        };
        let list = |items: usize, name: &str| format!("- &{name}\n{}", "  - x\n".repeat(items));
        let aliases = |count: usize| format!("-\n{}", "  - *a\n".repeat(count));
        assert_eq!(refused(&(list(999, "a") + &aliases(MAX_UNFOLDED / 1000 - 2))), None);
        assert_eq!(refused(&(list(999, "a") + &aliases(MAX_UNFOLDED / 1000))), Some((3000, 5)));
        assert_eq!(refused(&(list(10, "a") + &aliases(100_000))), None);
        // Aliases of aliases.
        let steps: String =
            (1..7).map(|n| format!("- &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "))).collect();
        assert_eq!(refused(&format!("- &a0 [x]\n{steps}")), Some((7, 48)));
        let steps: String =
            (1..5).map(|n| format!("- &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "))).collect();
        assert_eq!(refused(&format!("- &a0 [x]\n{steps}")), None);
        // A collection that holds itself is gone through once for each time that it says so.
        assert_eq!(refused("- &a [*a, b]\n- *a\n"), None);
        assert_eq!(refused(&format!("- x\n- &a [{}]\n", vec!["*a"; 2000].join(", "))), Some((2, 6)));
        // A name that is given anew stands for the new node.
        let anew = format!("{}- &a x\n{}", list(100_000, "a"), aliases(10_000));
        assert_eq!(refused(&anew), None);
    }

    #[test]
    fn documents_cover_the_text_without_gaps() {
        let spans =
            |text: &str| read(text).documents().map(|document| text[document.span()].to_owned()).collect::<Vec<_>>();
        assert_eq!(
            spans("# h\na: 1\n# t\n---\nb\n... # e\n# n\n---\n--- c\n"),
            ["# h\na: 1\n# t\n", "---\nb\n... # e\n", "# n\n---\n", "--- c\n"]
        );
        assert_eq!(spans("\u{feff}a: 1"), ["\u{feff}a: 1"]);
        assert_eq!(spans("a\n...\nb\n"), ["a\n...\n", "b\n"]);
        assert_eq!(spans("# only\n"), [""; 0]);
        let stream = read("---\n# c\n---\n~\n--- !!null\n");
        assert_eq!(
            stream.documents().map(|document| document.root().is_some()).collect::<Vec<_>>(),
            [false, true, true]
        );
    }

    #[test]
    fn a_byte_order_mark_is_in_no_node_and_no_column() {
        let stream = read("\u{feff}a: b\n");
        let root = stream.documents().next().unwrap().root().unwrap();
        let (key, value) = root.entries().next().unwrap();
        assert_eq!((root.span(), key.str(), value.location().column), (3..7, Some("a"), 4));
    }

    #[test]
    fn long_flow_scalars_and_many_comments_are_no_error() {
        let long = "x".repeat(5000);
        assert_eq!(nodes(&format!("[\"{long}\", {long}]")).len(), 3);
        assert_eq!(nodes(&format!("k:\n{}  a: b\n", "  # c\n".repeat(5000))).len(), 5);
    }
}
