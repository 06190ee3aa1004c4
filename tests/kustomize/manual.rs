//! What docs/kustomize.md says of these tests, so that no number of it goes stale.

use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../docs/kustomize.md");

/// The table of what is refused here and built by kustomize: the number in one column, by the code of the refusal.
///
/// The columns are the case files and the random trees; a row in which both are 0 argues for nothing.
pub fn refusals(column: usize) -> BTreeMap<String, usize> {
    let (_, table) = PAGE.split_once("| code | case files | random trees | why |\n").expect("the table of refusals");
    let mut found = BTreeMap::new();
    for line in table.lines().skip(1).take_while(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [code, cases, trees, why] = cells[..] else { panic!("{line}: not four columns") };
        let numbers = [cases, trees].map(|number| number.parse::<usize>().unwrap_or_else(|_| panic!("{line}")));
        assert!(numbers.iter().sum::<usize>() > 0 && !why.is_empty(), "{line}");
        if numbers[column] > 0 {
            assert!(found.insert(code.trim_matches('`').to_owned(), numbers[column]).is_none(), "{line}: twice");
        }
    }
    found
}

/// Holds a sentence against the page, whatever its lines are broken at.
#[track_caller]
pub fn says(sentence: &str) {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(PAGE).contains(&words(sentence)), "docs/kustomize.md does not say: {sentence}");
}
