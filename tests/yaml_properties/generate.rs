//! Random YAML in every layout that people write, and random values.

use ageseal::yaml::Value;
use ageseal_testkit::Random;

#[derive(Clone, Copy, PartialEq)]
enum After {
    Root,
    Key,
    Dash,
}

struct Generator<'r> {
    random: &'r mut Random,
    out: String,
    anchors: Vec<String>,
    count: usize,
    /// Nodes that may still be made.
    budget: usize,
    /// What was written last is a block scalar: a deeper comment below it would be text of it.
    after_block: bool,
}

/// One text of one or more documents. `size` is about the number of nodes.
pub fn text(random: &mut Random, size: usize) -> String {
    if random.percent(15) {
        return json(random, size);
    }
    let documents = [1, 1, 1, 2, 3][random.below(5)];
    let mut generator =
        Generator { random, out: String::new(), anchors: Vec::new(), count: 0, budget: size, after_block: false };
    for index in 0..documents {
        generator.document(index);
    }
    let Generator { random, mut out, after_block, .. } = generator;
    if !after_block && random.percent(20) && !out.ends_with("\n\n") {
        out.pop();
    }
    match random.below(10) {
        0 | 1 => out = out.replace('\n', "\r\n"),
        2 => {
            let lines: Vec<String> = out.split_inclusive('\n').map(|line| mixed(random, line)).collect();
            out = lines.concat();
        }
        _ => {}
    }
    if random.percent(10) { format!("\u{feff}{out}") } else { out }
}

fn mixed(random: &mut Random, line: &str) -> String {
    if random.percent(50) { line.replace('\n', "\r\n") } else { line.to_owned() }
}

impl Generator<'_> {
    fn document(&mut self, index: usize) {
        self.anchors.clear();
        if index > 0 || self.random.percent(25) {
            self.out.push_str("---");
            match self.random.below(8) {
                0 => {
                    self.after_block = false;
                    let comment = self.comment();
                    self.out.push_str(&format!(" {comment}\n"));
                }
                1 => {
                    // Content on the line of the marker; block collections may not stand there.
                    self.out.push(' ');
                    let scalar = self.inline();
                    self.out.push_str(&scalar);
                    self.end_line();
                    return self.end_document();
                }
                _ => self.out.push('\n'),
            }
        }
        self.after_block = false;
        self.filler(0, 0);
        if self.random.percent(4) && index > 0 {
            return self.end_document();
        }
        let column = if self.random.percent(5) { 2 } else { 0 };
        match self.random.below(12) {
            0 => {
                let scalar = self.inline();
                self.out.push_str(&scalar);
                self.end_line();
            }
            1 | 2 => self.sequence(column, After::Root),
            _ => self.mapping(column, After::Root),
        }
        self.end_document();
    }

    fn end_document(&mut self) {
        if self.random.percent(10) {
            self.out.push_str("...\n");
            self.after_block = false;
        }
    }

    fn comment(&mut self) -> String {
        self.count += 1;
        format!("# c{} {}", self.count, self.random.pick(&["", "- x", "a: b", "{ [ \"'", "☃", "| >"]))
    }

    /// The end of a line that holds a value, with a comment now and then.
    fn end_line(&mut self) {
        if self.random.percent(15) {
            let comment = self.comment();
            let blanks = " ".repeat(1 + self.random.below(3));
            self.out.push_str(&format!("{blanks}{comment}"));
        }
        self.out.push('\n');
        self.after_block = false;
    }

    /// Comment lines and blank lines between entries: at the column of the entries, or deeper where nothing minds.
    fn filler(&mut self, column: usize, deeper: usize) {
        while self.random.percent(18) {
            if self.random.percent(40) && !self.after_block {
                self.out.push_str(self.random.pick(&["\n", "\n\n", "\n"]));
                continue;
            }
            let extra = if self.after_block { 0 } else { self.random.below(2) * deeper };
            let comment = self.comment();
            self.out.push_str(&format!("{}{comment}\n", " ".repeat(column + extra)));
        }
    }

    fn mapping(&mut self, column: usize, after: After) {
        let count = 1 + self.random.below(5);
        for index in 0..count {
            if index > 0 || after != After::Dash {
                if index > 0 || after == After::Key {
                    self.filler(column, if index > 0 { 2 } else { 0 });
                }
                self.out.push_str(&" ".repeat(column));
            }
            let key = self.key();
            if self.random.percent(4) {
                self.out.push_str(&format!("? {key}\n{}:", " ".repeat(column)));
            } else {
                self.out.push_str(&key);
                self.out.push_str(self.random.pick(&[":", ":", ":", ":", " :"]));
            }
            self.value(column, After::Key);
        }
    }

    fn sequence(&mut self, column: usize, after: After) {
        let count = 1 + self.random.below(4);
        for index in 0..count {
            if index > 0 || after != After::Dash {
                if index > 0 || after == After::Key {
                    self.filler(column, if index > 0 { 2 } else { 0 });
                }
                self.out.push_str(&" ".repeat(column));
            }
            self.out.push('-');
            self.value(column, After::Dash);
        }
    }

    fn key(&mut self) -> String {
        self.count += 1;
        let count = self.count;
        match self.random.below(8) {
            0 => format!("\"k{count}\""),
            1 => format!("'k {count}'"),
            2 => format!("k {count}/x"),
            3 => format!("é{count}"),
            _ => format!("{}{count}", self.random.pick(&["k", "a", "z", "data."])),
        }
    }

    /// What follows `:` or `-`, with its line break. `column` is that of the key or dash.
    fn value(&mut self, column: usize, after: After) {
        self.budget = self.budget.saturating_sub(1);
        let nested = if self.budget == 0 || column > 16 { 0 } else { 35 };
        if self.random.percent(nested) {
            return self.collection(column, after);
        }
        let mut properties = String::new();
        if self.random.percent(6) {
            self.count += 1;
            properties = format!(" &n{}", self.count);
        }
        if self.random.percent(5) {
            properties.push_str(self.random.pick(&[" !!str", " !own"]));
        }
        self.out.push_str(&properties);
        let made = match self.random.below(20) {
            0 | 1 => {
                self.end_line();
                true
            }
            2..=4 => {
                self.block_scalar(column);
                true
            }
            5 => {
                let multi = format!("one\n{0}two\n\n{0} three", " ".repeat(column + 2));
                self.out.push_str(&format!(" {multi}"));
                false
            }
            6 => {
                let multi = format!("\"one\n{0}two \\\n{0}three\"", " ".repeat(column + 2));
                self.out.push_str(&format!(" {multi}"));
                false
            }
            7 => {
                self.end_line();
                let scalar = self.inline();
                self.out.push_str(&format!("{}{scalar}", " ".repeat(column + 2)));
                false
            }
            8..=10 => {
                let flow = self.flow(column + 2, 0);
                self.out.push_str(&format!(" {flow}"));
                false
            }
            11 if properties.is_empty() && !self.anchors.is_empty() => {
                let anchor = self.anchors[self.random.below(self.anchors.len())].clone();
                self.out.push_str(&format!(" *{anchor}"));
                false
            }
            _ => {
                let scalar = self.inline();
                let blanks = self.random.pick(&[" ", " ", " ", "   "]);
                self.out.push_str(&format!("{blanks}{scalar}"));
                false
            }
        };
        if !made {
            self.end_line();
        }
        if let Some(anchor) = properties.strip_prefix(" &") {
            self.anchors.push(anchor.split(' ').next().unwrap().to_owned());
        }
    }

    fn collection(&mut self, column: usize, after: After) {
        let step = [2, 2, 2, 4, 1][self.random.below(5)];
        let sequence = self.random.percent(40);
        let anchored = self.random.percent(5);
        if anchored {
            self.count += 1;
            self.out.push_str(&format!(" &n{}", self.count));
        }
        let name = self.count;
        if after == After::Dash && !anchored && self.random.percent(70) {
            let blanks = 1 + self.random.below(2);
            self.out.push_str(&" ".repeat(blanks));
            let column = column + 1 + blanks;
            if sequence { self.sequence(column, After::Dash) } else { self.mapping(column, After::Dash) }
        } else {
            self.end_line();
            if sequence {
                let indent = if after == After::Key { [0, step][self.random.below(2)] } else { step };
                self.sequence(column + indent, After::Key);
            } else {
                self.mapping(column + step, After::Key);
            }
        }
        if anchored {
            self.anchors.push(format!("n{name}"));
        }
    }

    fn block_scalar(&mut self, column: usize) {
        let indent = 1 + self.random.below(4);
        let keep = self.random.percent(8);
        let header =
            format!("{}{}", self.random.pick(&["|", ">"]), if keep { "+" } else { self.random.pick(&["", "", "-"]) });
        self.out.push_str(&format!(" {header}"));
        if self.random.percent(10) {
            let comment = self.comment();
            self.out.push_str(&format!(" {comment}"));
        }
        self.out.push('\n');
        // At least one: at the end of a text yaml-rust2 reads a line break into an empty block.
        for line in 0..1 + self.random.below(3) {
            let text = self.random.pick(&["text", "a: b", "# no comment", "- x", "  deeper", "☃ \"q\" 'q'", ""]);
            let text = if line == 0 && (text.is_empty() || text.starts_with(' ')) { "first" } else { text };
            let blanks = if text.is_empty() { String::new() } else { " ".repeat(column + indent) };
            self.out.push_str(&format!("{blanks}{text}\n"));
        }
        self.after_block = true;
    }

    /// A scalar on one line.
    fn inline(&mut self) -> String {
        self.random
            .pick(&[
                "word",
                "two words",
                "1",
                "true",
                "null",
                "~",
                "x:y",
                "http://h/p?q=1",
                "yes",
                "0777",
                "é☃",
                "-1",
                "a#b",
                "'it''s'",
                "'a: b # c'",
                "\"x\\ty\\u263a\"",
                "\"\"",
                "''",
                "\"q # c\"",
                "1.5",
                "2001-01-01",
                "a, b",
                "-x",
                "<<",
                "\"\\\"\"",
                "'\"'",
            ])
            .to_owned()
    }

    fn flow(&mut self, column: usize, depth: usize) -> String {
        let mapping = self.random.percent(50);
        let count = self.random.below(4);
        let lines = count > 0 && self.random.percent(25);
        let mut out = String::from(if mapping { "{" } else { "[" });
        let blank = self.random.percent(30) && !lines;
        for index in 0..count {
            if lines {
                out.push_str(&format!("\n{}", " ".repeat(column + 2 * depth)));
            } else if index > 0 || blank {
                out.push(' ');
            }
            let value = if depth < 2 && self.random.percent(25) {
                self.flow(column, depth + 1)
            } else {
                self.random.pick(&["v", "1", "\"q, r\"", "'s'", "null", "x y"]).to_owned()
            };
            if mapping {
                self.count += 1;
                let key = format!("{}{}", self.random.pick(&["f", "g"]), self.count);
                let entry = match self.random.below(12) {
                    0 => key,
                    1 => format!("{key}:"),
                    2 => format!("\"{key}\":{value}"),
                    _ => format!("{key}: {value}"),
                };
                out.push_str(&entry);
            } else if depth < 2 && self.random.percent(8) {
                self.count += 1;
                // yaml-rust2 refuses a collection as the value of such a pair.
                out.push_str(&format!("p{}: {}", self.count, self.random.pick(&["v", "\"q\"", "x y"])));
            } else {
                out.push_str(&value);
            }
            if index + 1 < count {
                out.push_str(self.random.pick(&[",", ",", ",", " ,"]));
            } else if self.random.percent(12) {
                out.push(',');
            }
            if lines && self.random.percent(15) {
                let comment = self.comment();
                out.push_str(&format!(" {comment}"));
            }
        }
        if lines {
            out.push_str(&format!("\n{}", " ".repeat(column + 2 * depth.saturating_sub(1))));
        } else if blank {
            out.push(' ');
        }
        out.push(if mapping { '}' } else { ']' });
        out
    }
}

/// A JSON document, compact or over several lines.
fn json(random: &mut Random, size: usize) -> String {
    let pretty = random.percent(50);
    let mut count = 0;
    let mut out = json_value(random, size.min(12), pretty, 0, &mut count, true);
    if random.percent(70) {
        out.push('\n');
    }
    if random.percent(15) { out.replace('\n', "\r\n") } else { out }
}

fn json_value(random: &mut Random, size: usize, pretty: bool, depth: usize, count: &mut usize, root: bool) -> String {
    if !root && (size < 2 || random.percent(50)) {
        return random.pick(&["\"s\"", "\"a\\nb\\\"\"", "1", "true", "null", "\"\"", "\"é\"", "{}", "[]"]).to_owned();
    }
    let mapping = root || random.percent(60);
    let children = (0..random.below(4))
        .map(|_| {
            *count += 1;
            let key = format!("\"k{count}\":{}", random.pick(&[" ", " ", ""]));
            let value = json_value(random, size / 2, pretty, depth + 1, count, false);
            if mapping { format!("{key}{value}") } else { value }
        })
        .collect::<Vec<_>>();
    let (open, close) = if mapping { ('{', '}') } else { ('[', ']') };
    if children.is_empty() || !pretty {
        return format!("{open}{}{close}", children.join(random.pick(&[",", ", "])));
    }
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    format!("{open}\n{inner}{}\n{outer}{close}", children.join(&format!(",\n{inner}")))
}

/// A value to write.
pub fn value(random: &mut Random, depth: usize) -> Value {
    let string = |random: &mut Random| {
        random
            .pick(&[
                "new",
                "AGE[x]",
                "a b",
                "yes",
                "0777",
                "",
                " x",
                "x ",
                "a: b",
                "# c",
                "it's",
                "\"q\"",
                "l1\nl2\n",
                "☃",
                "\u{7}",
                "- x",
                "1_000",
                "tab\there",
                "l1\n\n l2",
                "ags1.0eb2.AA==",
                "*/x",
            ])
            .to_owned()
    };
    match random.below(if depth < 2 { 12 } else { 8 }) {
        0 => Value::Null,
        1 => Value::Bool(random.percent(50)),
        2 | 3 => Value::SingleQuoted(string(random)),
        4 => Value::Literal(random.pick(&["one\n", "a\nb\n", "a\n\n  b\n", "no end", " lead\n"]).to_owned()),
        5 => Value::FlowSeq((0..random.below(3)).map(|_| Value::Str(string(random))).collect()),
        8 | 9 => Value::Map((0..random.below(4)).map(|at| (format!("n{at}"), value(random, depth + 1))).collect()),
        10 => Value::Seq((0..random.below(3)).map(|_| value(random, depth + 1)).collect()),
        _ => Value::Str(string(random)),
    }
}
