//! Times of one kind, and how times and rates are written.

use std::time::Duration;

/// Times of the same thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub(crate) fn push(&mut self, time: Duration) {
        let place = self.0.partition_point(|known| *known <= time);
        self.0.insert(place, time);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The middle one, the upper of two; zero if there is none.
    pub(crate) fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// The shortest; zero if there is none.
    pub(crate) fn least(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    /// The longest; zero if there is none.
    pub(crate) fn most(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort();
        Self(times)
    }
}

/// A time with three digits and the unit that fits.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    format!("{} {unit}", three_digits(number))
}

/// A number of things a second.
pub(crate) fn rate(rate: f64) -> String {
    format!("{}/s", three_digits(rate))
}

/// Memory in MiB.
pub(crate) fn memory(bytes: u64) -> String {
    format!("{} MiB", three_digits(mib(bytes)))
}

/// Memory in MiB, as a number.
pub(crate) fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    let bytes = bytes as f64;
    bytes / f64::from(1 << 20)
}

/// A number with three digits, or with all before its point.
pub(crate) fn three_digits(number: f64) -> String {
    let digits = match number {
        n if n >= 99.95 => 0,
        n if n >= 9.995 => 1,
        _ => 2,
    };
    format!("{number:.digits$}")
}

/// A count with a comma before its last three digits; counts are below a million.
pub(crate) fn thousands(count: usize) -> String {
    if count < 1000 { count.to_string() } else { format!("{},{:03}", count / 1000, count % 1000) }
}

/// How many a second, if so many took so long.
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = count as f64;
    count / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_median_is_the_middle_however_they_come() {
        let mut samples: Samples = [ms(9), ms(1)].into_iter().collect();
        samples.push(ms(4));
        assert_eq!((samples.least(), samples.median(), samples.most()), (ms(1), ms(4), ms(9)));
        assert_eq!(samples.len(), 3);
        assert_eq!(Samples::default().median(), Duration::ZERO);
    }

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(time(Duration::from_micros(2_346)), "2.35 ms");
        assert_eq!(time(ms(24_310)), "24.3 s");
        assert_eq!(time(Duration::from_nanos(123_456)), "123 µs");
        assert_eq!(time(Duration::from_micros(99_960)), "100 ms");
        assert_eq!(rate(1103.4), "1103/s");
        assert_eq!(rate(13.31), "13.3/s");
        assert_eq!(memory(150 * 1024 * 1024), "150 MiB");
        assert_eq!(memory(3 * 1024 * 512), "1.50 MiB");
        assert_eq!([0, 999, 1_000, 10_020].map(thousands), ["0", "999", "1,000", "10,020"]);
        assert!((per_second(1000, ms(500)) - 2000.0).abs() < 1e-9);
    }
}
