//! What a plain scalar means to the YAML readers that may see it.

/// What a plain scalar is to YAML 1.1 and 1.2 readers.
///
/// `Str` is the one answer that every reader gives: go-yaml 2 and 3, libyaml's users, PyYAML, the YAML 1.2 core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlainType {
    /// A string, to all of them.
    Str,
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`, in the three spellings.
    Bool,
    /// A decimal number, or `0x` and hexadecimal digits.
    Int,
    /// A decimal fraction or exponent, infinity, not-a-number.
    Float,
    /// A date, with or without a time: a string to YAML 1.2.
    Timestamp,
    /// One thing to some readers and another to others: `yes`, `0777`, `1_000`, `12:30:45`, `=`, `<<`.
    Ambiguous,
}

/// Tells what `text` would be as a plain scalar.
pub fn plain_type(text: &str) -> PlainType {
    let bytes = text.as_bytes();
    match bytes.first() {
        None => PlainType::Null,
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => number(bytes),
        Some(b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'y' | b'Y' | b'o' | b'O') => word(text),
        Some(b'=') if text == "=" => PlainType::Ambiguous,
        Some(b'<') if text == "<<" => PlainType::Ambiguous,
        Some(_) => PlainType::Str,
    }
}

fn word(text: &str) -> PlainType {
    match text {
        "~" | "null" | "Null" | "NULL" => PlainType::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => PlainType::Bool,
        "y" | "Y" | "yes" | "Yes" | "YES" | "n" | "N" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off" | "Off"
        | "OFF" => PlainType::Ambiguous,
        _ => PlainType::Str,
    }
}

/// Sorts what starts like a number. Underscores separate digits in YAML 1.1, so `1_000` is judged without them and
/// then called ambiguous.
fn number(bytes: &[u8]) -> PlainType {
    if is_timestamp(bytes) {
        return PlainType::Timestamp;
    }
    let (sign, rest) = match bytes.split_first() {
        Some((b'+' | b'-', rest)) => (true, rest),
        _ => (false, bytes),
    };
    if rest.contains(&b'_') {
        let stripped: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'_').collect();
        return if number(&stripped) == PlainType::Str { PlainType::Str } else { PlainType::Ambiguous };
    }
    match rest {
        b".inf" | b".Inf" | b".INF" => return PlainType::Float,
        b".nan" | b".NaN" | b".NAN" => return if sign { PlainType::Ambiguous } else { PlainType::Float },
        [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..] => return based(sign, rest),
        _ => {}
    }
    if rest.is_empty() {
        return PlainType::Str;
    }
    if rest.iter().all(u8::is_ascii_digit) {
        return if rest.len() > 1 && rest.starts_with(b"0") { PlainType::Ambiguous } else { PlainType::Int };
    }
    if is_decimal(rest) {
        return PlainType::Float;
    }
    if is_sexagesimal(rest) { PlainType::Ambiguous } else { PlainType::Str }
}

/// `0x1F` is the same to all; signs, capitals, `0o` and `0b` are read by some. `0x1p-2` is a float to Go.
fn based(sign: bool, rest: &[u8]) -> PlainType {
    let (prefix, digits) = rest.split_at(2);
    let fits = |byte: &u8| match prefix[1] {
        b'x' | b'X' => byte.is_ascii_hexdigit() || matches!(byte, b'.' | b'p' | b'P' | b'+' | b'-'),
        b'o' | b'O' => matches!(byte, b'0'..=b'7'),
        _ => matches!(byte, b'0' | b'1'),
    };
    if digits.is_empty() || !digits.iter().all(fits) {
        PlainType::Str
    } else if prefix == b"0x" && !sign && digits.iter().all(u8::is_ascii_hexdigit) {
        PlainType::Int
    } else {
        PlainType::Ambiguous
    }
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, the YAML 1.2 core schema's float without its sign.
fn is_decimal(rest: &[u8]) -> bool {
    let digits = |from: &[u8]| from.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(rest);
    let mut at = whole;
    if rest.get(at) == Some(&b'.') {
        let fraction = digits(&rest[at + 1..]);
        if whole == 0 && fraction == 0 {
            return false;
        }
        at += 1 + fraction;
    } else if whole == 0 {
        return false;
    }
    if let Some(b'e' | b'E') = rest.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = rest.get(at) {
            at += 1;
        }
        let exponent = digits(&rest[at..]);
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    at == rest.len()
}

/// `[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?`: a number in base 60 to YAML 1.1.
fn is_sexagesimal(rest: &[u8]) -> bool {
    let mut parts = rest.split(|byte| *byte == b':');
    let head = parts.next().unwrap_or_default();
    if head.is_empty() || !head.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return false;
    }
    while let Some(part) = parts.next() {
        let part = match part.iter().position(|byte| *byte == b'.') {
            Some(dot) if parts.peek().is_none() && part[dot + 1..].iter().all(u8::is_ascii_digit) => &part[..dot],
            _ => part,
        };
        match part {
            [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'] => {}
            _ => return false,
        }
    }
    true
}

/// Four digits, `-`, one or two, `-`, one or two, then the end or what may start a time.
fn is_timestamp(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    for (least, most, last) in [(4, 4, false), (1, 2, false), (1, 2, true)] {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits < least || digits > most {
            return false;
        }
        rest = &rest[digits..];
        if last {
            return rest.is_empty() || matches!(rest[0], b'T' | b't' | b' ' | b'\t');
        }
        match rest.split_first() {
            Some((b'-', after)) => rest = after,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plain_scalar_is_what_all_readers_say() {
        use PlainType::*;
        for (want, texts) in [
            (Null, "~ null Null NULL"),
            (Bool, "true True TRUE false False FALSE"),
            (Ambiguous, "y Y yes Yes YES n N no No NO on On ON off Off OFF = <<"),
            (Int, "0 7 -7 +7 10 123456789012345678901234567890 0x1F 0xdeadbeef -0"),
            (Ambiguous, "00 08 0777 -0777 0o777 0O7 0b101 -0b1 0B1 0X1F -0x1F +0x1 1_000 0x_1F 1_0.5 1__0 1_ 0x1p-2"),
            (Float, "1. .5 1.5 -1.5 +.5 1e3 1E-3 1.5e+3 .inf -.inf +.INF .Inf .nan .NaN .NAN 1e400"),
            (Ambiguous, "+.nan 12:30:45 1:30 190:20:30 1:30.5 1:30. -1:30 1_2:30 1:2"),
            (Timestamp, "2001-01-01 2001-1-1 2001-12-14T21:59:43.10-05:00 2001-12-14t21:59:43Z"),
            (
                Str,
                "tRUE nULL yEs nay none hello 1.2.3 v1.2 1.2.3.4 10.0.0.1:80 8080:80 1:60 12:345 - + . .. ... ._ +. ",
            ),
            (Str, "0x 0o 0b 0o8 0b2 0xG 1e 1e+ e1 1.5e 1a .e3 inf nan infinity 2001-01 2001-001-1 01-01-2001 -- +-1"),
            (Str, "-a +a .a _1 ,1 0x1F: 20011-1-1 2001-1-1x AGE[x] ags1.0eb2 1,000 ::1 1: 1:: :1 0.0.0 -----BEGIN"),
        ] {
            for text in texts.split(' ') {
                if text.is_empty() {
                    continue;
                }
                assert_eq!(plain_type(text), want, "{text}");
            }
        }
        assert_eq!(plain_type(""), Null);
        assert_eq!(plain_type("2001-12-14 21:59:43.10 -5"), Timestamp);
        assert_eq!(plain_type("two words"), Str);
        assert_eq!(plain_type("é"), Str);
    }
}
