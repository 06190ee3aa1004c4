//! `bootstrap.kubernetes.io/token`.
//!
//! The API server stores any such Secret; the token authenticator, the signer and kubeadm read it. Source:
//! `k8s.io/cluster-bootstrap/token` and the page "Authenticating with Bootstrap Tokens".

use std::collections::BTreeMap;

use super::{About, SecretType, required};
use crate::problem::Problem;
use crate::secret::Plaintext;

const NAMESPACE: &str = "kube-system";
const NAME_PREFIX: &str = "bootstrap-token-";
const USAGES: [&str; 2] = ["usage-bootstrap-authentication", "usage-bootstrap-signing"];
const GROUP_PREFIX: &str = "system:bootstrappers:";

/// Tells what keeps the token from working. A missing or misshapen id or secret is an error: nothing reads it then.
pub(super) fn check(data: &BTreeMap<String, Plaintext>, about: &About<'_>, problems: &mut Vec<Problem>) {
    let id = part(data, "token-id", 6, problems);
    part(data, "token-secret", 16, problems);
    if let Some(id) = id {
        // The id is the public half of the token: it is part of the object's name.
        if about.name.strip_prefix(NAME_PREFIX).map(str::as_bytes) != Some(id.expose()) {
            problems.push(
                Problem::warning("bootstrap-name", "the name is not bootstrap-token- and the token id")
                    .key("token-id")
                    .hint("Kubernetes looks the token up by that name"),
            );
        }
    }
    if let Some(namespace) = about.namespace.filter(|namespace| *namespace != NAMESPACE) {
        problems.push(
            Problem::warning("bootstrap-namespace", format!("the namespace is {namespace}"))
                .hint("Kubernetes reads bootstrap tokens in kube-system only"),
        );
    }
    expiration(data, about.now, problems);
    usages(data, problems);
    groups(data, problems);
}

fn part<'a>(
    data: &'a BTreeMap<String, Plaintext>,
    key: &'static str,
    length: usize,
    problems: &mut Vec<Problem>,
) -> Option<&'a Plaintext> {
    let value = required(data, key, &SecretType::BootstrapToken, problems)?;
    let bytes = value.expose();
    if bytes.len() == length && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Some(value);
    }
    let mut problem =
        Problem::error("bootstrap-shape", format!("the value is not {length} characters of a-z 0-9")).key(key);
    if bytes.ends_with(b"\n") {
        problem = problem.hint("leave the newline at the end off");
    }
    problems.push(problem);
    None
}

fn expiration(data: &BTreeMap<String, Plaintext>, now: i64, problems: &mut Vec<Problem>) {
    const KEY: &str = "expiration";
    let Some(value) = data.get(KEY).filter(|value| !value.is_empty()) else { return };
    match std::str::from_utf8(value.expose()).ok().and_then(rfc3339) {
        None => problems.push(
            Problem::warning(
                "bootstrap-expiration",
                "the expiration is no RFC 3339 time, so the token counts as expired",
            )
            .key(KEY)
            .hint("write it like 2030-01-31T12:00:00Z"),
        ),
        Some(at) if at <= now => problems.push(Problem::warning("expired", "the token has expired").key(KEY)),
        Some(_) => {}
    }
}

fn usages(data: &BTreeMap<String, Plaintext>, problems: &mut Vec<Problem>) {
    let mut used = false;
    for (key, value) in data.iter().filter(|(key, _)| key.starts_with("usage-")) {
        if !USAGES.contains(&key.as_str()) {
            problems.push(
                Problem::warning("bootstrap-usage", "Kubernetes knows no such usage")
                    .key(key)
                    .hint(format!("the usages are {} and {}", USAGES[0], USAGES[1])),
            );
        } else if value.expose() == b"true" {
            used = true;
        } else if value.expose() != b"false" {
            problems.push(
                Problem::warning("bootstrap-usage", "the value is not the word true, so the usage is off").key(key),
            );
        }
    }
    if !used {
        problems.push(
            Problem::warning("bootstrap-usage", "no usage is on, so the token is good for nothing")
                .hint("set usage-bootstrap-authentication or usage-bootstrap-signing to \"true\""),
        );
    }
}

fn groups(data: &BTreeMap<String, Plaintext>, problems: &mut Vec<Problem>) {
    const KEY: &str = "auth-extra-groups";
    let Some(value) = data.get(KEY).filter(|value| !value.is_empty()) else { return };
    let lawful = |group: &[u8]| {
        group.strip_prefix(GROUP_PREFIX.as_bytes()).is_some_and(|name| {
            name.len() <= 256
                && name.last().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                && name.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b':' | b'-'))
        })
    };
    if !value.expose().split(|b| *b == b',').all(lawful) {
        problems.push(
            Problem::warning(
                "bootstrap-groups",
                "a group is not system:bootstrappers: and a name, so the token is refused",
            )
            .key(KEY)
            .hint("separate groups by a comma alone"),
        );
    }
}

/// Reads an RFC 3339 time to seconds since 1970 UTC; fractions of a second are cut off.
///
/// Takes what Go's `time.Parse(time.RFC3339, …)` takes: `T` and `Z` in upper case, a zone, a real day of the month.
pub(super) fn rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
    };
    let sign = |at: usize, signs: &[u8]| bytes.get(at).filter(|b| signs.contains(b)).copied();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    sign(4, b"-")?;
    sign(7, b"-")?;
    sign(10, b"T")?;
    sign(13, b":")?;
    sign(16, b":")?;
    let mut zone_at = 19;
    if sign(zone_at, b".,").is_some() {
        let digits = bytes.get(zone_at + 1..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        zone_at += 1 + digits;
    }
    let offset = match sign(zone_at, b"Z+-")? {
        b'Z' if bytes.len() == zone_at + 1 => 0,
        b'Z' => return None,
        direction => {
            let (hours, minutes) = (number(zone_at + 1, zone_at + 3)?, number(zone_at + 4, zone_at + 6)?);
            sign(zone_at + 3, b":")?;
            if bytes.len() != zone_at + 6 || hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if direction == b'+' { 1 } else { -1 }
        }
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > days_in_month || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days from the civil date, with March as the first month so that the leap day is the last of the year.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, data, shown};
    use super::*;

    const ID: (&str, &[u8]) = ("token-id", b"5emitj");
    const SECRET: (&str, &[u8]) = ("token-secret", b"kq4gihvszzgn1p0r");
    const USAGE: (&str, &[u8]) = ("usage-bootstrap-authentication", b"true");

    fn named(name: &str, namespace: Option<&str>, entries: &[(&str, &[u8])]) -> Vec<String> {
        let annotations = BTreeMap::new();
        let about = About { name, namespace, annotations: &annotations, now: NOW };
        shown(&super::super::check(&SecretType::BootstrapToken, &data(entries), &about))
    }

    fn codes(entries: &[(&str, &[u8])]) -> Vec<String> {
        named("bootstrap-token-5emitj", Some("kube-system"), entries)
    }

    #[test]
    fn the_token_of_the_kubernetes_page_passes() {
        let page: [(&str, &[u8]); 6] = [
            ID,
            SECRET,
            USAGE,
            ("usage-bootstrap-signing", b"true"),
            ("expiration", b"2030-09-13T04:39:10Z"),
            ("auth-extra-groups", b"system:bootstrappers:kubeadm:default-node-token"),
        ];
        assert!(codes(&page).is_empty());
    }

    #[test]
    fn id_and_secret_are_demanded_and_have_a_shape() {
        assert_eq!(codes(&[ID, USAGE]), ["!missing-key token-secret"]);
        assert_eq!(codes(&[SECRET, USAGE]), ["!missing-key token-id"]);
        assert_eq!(codes(&[("token-id", b"5EMITJ"), SECRET, USAGE]), ["!bootstrap-shape token-id"]);
        assert_eq!(codes(&[("token-id", b"5emitj\n"), SECRET, USAGE]), ["!bootstrap-shape token-id"]);
        assert_eq!(codes(&[ID, ("token-secret", b"short"), USAGE]), ["!bootstrap-shape token-secret"]);
    }

    #[test]
    fn name_and_namespace_are_where_kubernetes_looks() {
        let good = [ID, SECRET, USAGE];
        assert_eq!(named("my-token", Some("kube-system"), &good), ["bootstrap-name token-id"]);
        assert_eq!(named("bootstrap-token-5emitj", Some("default"), &good), ["bootstrap-namespace"]);
        assert!(named("bootstrap-token-5emitj", None, &good).is_empty());
    }

    #[test]
    fn an_expiration_is_read_and_compared() {
        let with = |text: &'static [u8]| codes(&[ID, SECRET, USAGE, ("expiration", text)]);
        assert!(with(b"2026-01-01T00:00:01Z").is_empty());
        assert!(with(b"").is_empty());
        assert_eq!(with(b"2026-01-01T00:00:00Z"), ["expired expiration"]);
        assert_eq!(with(b"2020-09-13T04:39:10Z"), ["expired expiration"]);
        for bad in [&b"tomorrow"[..], b"2030-02-29T00:00:00Z", b"2030-01-01", b"2030-01-01T00:00:00Z\n", b"\xff"] {
            assert_eq!(with(bad), ["bootstrap-expiration expiration"]);
        }
    }

    #[test]
    fn usages_and_groups_that_do_nothing_are_said() {
        assert_eq!(codes(&[ID, SECRET]), ["bootstrap-usage"]);
        assert_eq!(
            codes(&[ID, SECRET, ("usage-bootstrap-signing", b"yes")]),
            ["bootstrap-usage usage-bootstrap-signing", "bootstrap-usage"]
        );
        assert_eq!(codes(&[ID, SECRET, USAGE, ("usage-x", b"true")]), ["bootstrap-usage usage-x"]);
        let groups = |text: &'static [u8]| codes(&[ID, SECRET, USAGE, ("auth-extra-groups", text)]);
        assert!(groups(b"system:bootstrappers:a,system:bootstrappers:b:c-d").is_empty());
        assert_eq!(groups(b"system:masters"), ["bootstrap-groups auth-extra-groups"]);
        assert_eq!(groups(b"system:bootstrappers:a, system:bootstrappers:b"), ["bootstrap-groups auth-extra-groups"]);
    }

    #[test]
    fn times_count_as_unix_time_does() {
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339("2026-01-01T00:00:00Z"), Some(NOW));
        assert_eq!(rfc3339("2026-01-01T02:00:00+02:00"), Some(NOW));
        assert_eq!(rfc3339("2025-12-31T19:30:00.123-04:30"), Some(NOW));
        assert_eq!(rfc3339("2000-02-29T12:00:00Z"), Some(951_825_600));
        assert_eq!(rfc3339("1969-12-31T23:59:59Z"), Some(-1));
        for bad in [
            "",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0200",
            "2026-01-01T00:00:00Zx",
            "2026-1-1T00:00:00Z",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }
}
