//! A day of the calendar, as policies write it.

use std::fmt;
use std::str::FromStr;

const SECONDS_A_DAY: i64 = 86_400;

/// A day in UTC, written `YYYY-MM-DD` (RFC 3339, `full-date`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A text that is not a day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day of the calendar written YYYY-MM-DD")]
pub struct DateError;

impl Date {
    /// Whether this day is over at `now`, in seconds since 1970-01-01 UTC.
    pub fn is_over(self, now: i64) -> bool {
        now >= (self.days() + 1) * SECONDS_A_DAY
    }

    /// Days since 1970-01-01, in the proleptic Gregorian calendar.
    fn days(self) -> i64 {
        // The year is taken to begin in March, so that the leap day is its last and months before it need no case.
        let (year, month) = match self.month {
            month @ 3.. => (i64::from(self.year), i64::from(month) - 3),
            month => (i64::from(self.year) - 1, i64::from(month) + 9),
        };
        let before_month = (153 * month + 2) / 5;
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        // 719,468 days lie between 0000-03-01 and 1970-01-01, and days of a month count from one.
        365 * year + leap_days + before_month + i64::from(self.day) - 719_469
    }
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let shaped = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !shaped {
            return Err(DateError);
        }
        let year = text[..4].parse().map_err(|_| DateError)?;
        let month = text[5..7].parse().map_err(|_| DateError)?;
        let day = text[8..].parse().map_err(|_| DateError)?;
        if (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day) {
            Ok(Self { year, month, day })
        } else {
            Err(DateError)
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn counts_days_as_the_calendar_does() {
        // `date -u -d DAY +%s` divided by 86,400.
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("1970-03-01", 59),
            ("2000-02-29", 11_016),
            ("2000-03-01", 11_017),
            ("2026-11-18", 20_775),
            ("2100-03-01", 47_541),
        ] {
            assert_eq!(date(text).days(), days, "{text}");
        }
    }

    #[test]
    fn a_day_is_over_with_its_last_second() {
        let day = date("1970-01-02");
        assert!(!day.is_over(86_400));
        assert!(!day.is_over(2 * 86_400 - 1));
        assert!(day.is_over(2 * 86_400));
    }

    #[test]
    fn takes_days_of_the_calendar_only() {
        assert_eq!(date("2024-02-29").to_string(), "2024-02-29");
        for text in ["", "2026-2-1", "2026-02-29", "2100-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-04-31"]
        {
            assert_eq!(text.parse::<Date>(), Err(DateError), "{text}");
        }
        for text in ["2026/01/01", "2026-01-01 ", "+026-01-01", "20260-1-01", "２０２６"] {
            assert_eq!(text.parse::<Date>(), Err(DateError), "{text}");
        }
    }
}
