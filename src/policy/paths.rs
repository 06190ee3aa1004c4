//! Path patterns: which files of a repository a rule is about.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::problem::Problem;

use super::rules::PathPattern;

/// Makes a glob of a pattern as policies write it: relative to the top of the repository, parts divided by `/`.
///
/// `*` and `?` stay within one part, `**` spans any number of them, `{a,b}` and `[ab]` are choices.
pub(super) fn glob(text: &str) -> Result<Glob, Problem> {
    let bad = |fact: &str, hint: String| {
        Err(Problem::error("bad-path-pattern", format!("the path pattern {text:?} {fact}")).hint(hint))
    };
    let relative = "write it from the top of the repository, such as \"overlays/prod/**\"".to_owned();
    if text.is_empty() {
        return bad("is empty", relative);
    }
    if text.contains('\\') {
        return bad("has a backslash", "divide the parts by /".to_owned());
    }
    if text.starts_with('/') {
        return bad("begins with /", relative);
    }
    if let Some(folder) = text.strip_suffix('/') {
        return bad("ends with / and matches no file", format!("write \"{folder}/**\" for all files below it"));
    }
    if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return bad("has an empty part, \".\" or \"..\"", relative);
    }
    if text.split('/').any(|part| part.contains("**") && part != "**") {
        return bad("has ** within a part", "** is a part of its own, such as \"a/**/b\"".to_owned());
    }
    let built = GlobBuilder::new(text).literal_separator(true).backslash_escape(false).build();
    built.or_else(|error| bad(&format!("cannot be read: {}", error.kind()), relative))
}

/// All path patterns of the rules, or of the allow-list, as one matcher.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    set: GlobSet,
    /// The rule of each glob; ascending, so the first glob that matches is of the first rule.
    owners: Vec<usize>,
}

impl Matcher {
    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a [PathPattern]>) -> Result<Self, Problem> {
        let mut set = GlobSetBuilder::new();
        let mut owners = vec![];
        for (index, patterns) in rules.enumerate() {
            for pattern in patterns {
                set.add(pattern.glob.clone());
                owners.push(index);
            }
        }
        let set = set.build().map_err(|error| {
            Problem::error("bad-path-pattern", format!("the path patterns cannot be read together: {}", error.kind()))
        })?;
        Ok(Self { set, owners })
    }

    /// The first rule that matches.
    pub(super) fn first(&self, path: &str) -> Option<usize> {
        self.set.matches(path).into_iter().min().and_then(|glob| self.owners.get(glob)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        glob(pattern).unwrap().compile_matcher().is_match(path)
    }

    #[test]
    fn stars_stay_within_a_part_and_double_stars_do_not() {
        assert!(matches("overlays/prod/**", "overlays/prod/db.yaml"));
        assert!(matches("overlays/prod/**", "overlays/prod/a/b/.hidden.yaml"));
        assert!(!matches("overlays/prod/**", "overlays/prod"));
        assert!(!matches("overlays/prod/**", "overlays/prod2/db.yaml"));
        assert!(!matches("overlays/*", "overlays/prod/db.yaml"));
        assert!(matches("**/*.sealed.yaml", "db.sealed.yaml"));
        assert!(matches("**/*.sealed.yaml", "a/b/db.sealed.yaml"));
        assert!(matches("a/{b,c}/?.yaml", "a/c/d.yaml"));
        assert!(!matches("a?b", "a/b"));
        assert!(!matches("Overlays/**", "overlays/a"));
        assert!(matches("**", "a") && matches("**", "a/b"));
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for text in ["", "/a", "a/", "./a", "a/../b", "a//b", "a\\b", "a**", "a/{b", "[", "a/**b"] {
            assert_eq!(glob(text).unwrap_err().code, "bad-path-pattern", "{text}");
        }
        let problem = glob("overlays/prod/").unwrap_err();
        assert_eq!(problem.hint.unwrap(), "write \"overlays/prod/**\" for all files below it");
    }
}
