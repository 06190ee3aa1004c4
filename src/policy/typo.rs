//! Guesses at what was meant by a mistyped word or key.

/// The characters that bech32 has in its data part (BIP 173).
const BECH32: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The known word nearest to `word`, if one is near enough to be what was meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).clamp(1, 3);
    let word = word.to_ascii_lowercase().replace(['-', '_'], "");
    known
        .into_iter()
        // What differs more in length cannot be near, and a distance takes time by both lengths.
        .filter(|candidate| word.len().abs_diff(candidate.len()) <= 4 * most)
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// What can be told of a native recipient that does not parse.
///
/// Names characters and counts only: what is in the line may be anything.
pub(super) fn in_recipient(line: &str) -> Option<String> {
    let lower = line.to_ascii_lowercase();
    let (prefix, length) = if lower.starts_with("age1pq1") { ("age1pq1", 1_959) } else { ("age1", 62) };
    let data = lower.strip_prefix(prefix)?;
    if prefix == "age1" && data.len() > 20 && data.get(..20).is_some_and(|start| start.contains('1')) {
        return None;
    }
    if line != lower && line != line.to_ascii_uppercase() {
        return Some("it mixes upper and lower case: one letter was changed".to_owned());
    }
    if let Some((at, wrong)) = data.chars().enumerate().find(|(_, character)| !BECH32.contains(*character)) {
        let column = prefix.len() + at + 1;
        return Some(format!("character {column} is {wrong:?}, which no recipient has: 1, b, i and o are not used"));
    }
    let count = lower.chars().count();
    match count.abs_diff(length) {
        0 => None,
        1 if count < length => Some(format!("it has {count} characters and should have {length}: one was lost")),
        _ if count < length => Some(format!("it has {count} characters and should have {length}: it was cut")),
        _ => Some(format!("it has {count} characters and should have {length}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{classic, hybrid};
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["paths", "recipients", "scopes"];
        assert_eq!(nearest("path", known), Some("paths"));
        assert_eq!(nearest("recipient", known), Some("recipients"));
        assert_eq!(nearest("recpiients", known), Some("recipients"));
        assert_eq!(nearest("Scopes", known), Some("scopes"));
        assert_eq!(nearest("reason", known), None);
        assert_eq!(nearest("server-side-apply", ["serverSideApply"]), Some("serverSideApply"));
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn says_what_a_count_or_a_character_tells() {
        let good = classic(1);
        assert_eq!(in_recipient(&good), None);
        assert_eq!(in_recipient(&hybrid()), None);
        assert_eq!(in_recipient(&hybrid()[..700]).unwrap(), "it has 700 characters and should have 1959: it was cut");
        assert_eq!(in_recipient(&format!("{good}q")).unwrap(), "it has 63 characters and should have 62");
        let wrong = format!("{}o{}", &good[..30], &good[31..]);
        assert!(in_recipient(&wrong).unwrap().starts_with("character 31 is 'o'"));
        let mixed = format!("{}Q{}", &good[..30], &good[31..]);
        assert!(in_recipient(&mixed).unwrap().contains("upper and lower"));
        assert_eq!(in_recipient("age1yubikey1qqqqqqqqqqqqqqqqqqqq"), None);
        assert_eq!(in_recipient("hello"), None);
    }
}
