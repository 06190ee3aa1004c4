//! Durations as people write them: `90d`, `5m`, `1h30m`, `500ms`.

use std::time::Duration;

use thiserror::Error;

/// Why a text is not a duration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DurationError {
    /// There is no text.
    #[error("it is empty: write a number with a unit, such as 90d, 12h, 5m or 15s")]
    Empty,
    /// A number without a unit, which could be seconds or days.
    #[error("`{0}` has no unit: write 90d, 12h, 5m, 15s or 500ms")]
    NoUnit(String),
    /// A unit that is not known.
    #[error("`{0}` is not a unit: write d, h, m, s or ms")]
    Unit(String),
    /// A place where a number should be.
    #[error("`{0}` does not begin with a whole number: write one with a unit, such as 90d, 12h, 5m or 15s")]
    Number(String),
    /// More than a hundred years.
    #[error("it is longer than a hundred years")]
    TooLong,
}

/// A hundred years: what is longer was mistyped, and arithmetic with it could overflow.
const MAX_MILLIS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// Parses whole numbers with units, one after the other; `0` needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(DurationError::Number(rest.to_owned()));
        }
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().position(|byte| byte.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        let scale = match unit {
            "" => return Err(DurationError::NoUnit(text.to_owned())),
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            _ => return Err(DurationError::Unit(unit.to_owned())),
        };
        millis = number
            .checked_mul(scale)
            .and_then(|part| millis.checked_add(part))
            .filter(|total| *total <= MAX_MILLIS)
            .ok_or(DurationError::TooLong)?;
        rest = after;
    }
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, seconds) in
            [("90d", 7_776_000), ("12h", 43_200), ("5m", 300), ("15s", 15), ("0", 0), (" 1h30m ", 5400)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("1s500ms"), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn what_is_not_a_duration_is_told_why() {
        for (text, why) in [
            ("", DurationError::Empty),
            ("15", DurationError::NoUnit("15".into())),
            ("1h30", DurationError::NoUnit("1h30".into())),
            ("5x", DurationError::Unit("x".into())),
            ("5 m", DurationError::Unit(" m".into())),
            ("5é", DurationError::Unit("é".into())),
            ("m", DurationError::Number("m".into())),
            ("-5s", DurationError::Number("-5s".into())),
            ("1.5h", DurationError::Unit(".".into())),
            ("36501d", DurationError::TooLong),
            ("99999999999999999999d", DurationError::TooLong),
            ("18446744073709551615h", DurationError::TooLong),
        ] {
            assert_eq!(parse_duration(text), Err(why), "{text}");
        }
    }
}
