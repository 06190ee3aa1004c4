//! What the name of a file or folder shows, without a look into it.

use super::{Code, Finding};

/// The folder of the policy.
const FOLDER: &str = ".ageseal";

/// What the folder is called where Windows makes short names of long ones, without the last digit.
const SHORT: &str = "agesea~";

/// The folder in this path that some file system takes for the folder of the policy though it is written differently,
/// as a path from the top of the repository like this one.
///
/// Written differently: in another letter case, with characters that macOS does not compare, with dots or blanks at the
/// end or as a short name, as Windows reads it. A checkout there puts what is in it into the guarded folder, and a rule
/// of the forge for `.ageseal` has not seen it.
pub fn second_folder(path: &str) -> Option<&str> {
    let mut start = 0;
    for part in path.split('/') {
        let end = start + part.len();
        if is_second(part) {
            return path.get(..end);
        }
        start = end + 1;
    }
    None
}

/// The file that a run was about to write when it was killed, by the name of the temporary file that it left.
///
/// Writers call such a file `.NAME.XXXXXX.tmp`, with six letters or digits, beside `NAME`.
pub fn left_over(name: &str) -> Option<&str> {
    let (target, random) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let random = random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let written = [".yaml", ".yml", ".json", ".pub"].iter().any(|end| target.to_ascii_lowercase().ends_with(end));
    (random && written).then_some(target)
}

/// Tells such a file, which would have become `target`.
pub fn tell_left_over(target: &str) -> Finding {
    let line = format!("it was to become {target}, and never did");
    Finding::new(Code::LeftOver, None, line).hint("delete it, unless a run of ageseal is at work in this folder now")
}

/// Tells such a folder.
pub fn tell_second_folder(folder: &str) -> Finding {
    let line = format!("{folder} is {FOLDER} itself where letter case does not count, and nobody guards it there");
    Finding::new(Code::SecondPolicy, None, line).hint("delete it, or give it another name: only .ageseal is read")
}

fn is_second(part: &str) -> bool {
    // Nearly every name is none by its length.
    if part == FOLDER || !(SHORT.len()..=64).contains(&part.len()) {
        return false;
    }
    let compared = part.chars().filter(|c| !is_passed_over(*c));
    let folded: String = compared.flat_map(char::to_lowercase).map(|c| if c == 'ſ' { 's' } else { c }).collect();
    let folded = folded.trim_end_matches(['.', ' ']);
    let short = folded.strip_prefix(SHORT).is_some_and(|digit| matches!(digit.as_bytes(), [b'1'..=b'9']));
    folded == FOLDER || short
}

/// The characters that HFS+ leaves out when it compares names.
fn is_passed_over(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_some_file_system_takes_for_that_of_the_policy() {
        for name in
            [".AGESEAL", ".Ageseal", ".ageſeal", ".age\u{200c}seal", ".ageseal.", ".AgeSeal. ", "AGESEA~1", "agesea~4"]
        {
            for above in ["", "apps/shop/"] {
                let folder = format!("{above}{name}");
                assert_eq!(second_folder(&folder), Some(folder.as_str()));
                assert_eq!(second_folder(&format!("{folder}/recipients/prod.pub")), Some(folder.as_str()));
            }
        }
        for fine in
            ["", ".ageseal", ".ageseal/policy.yaml", "ageseal", "AGESEAL/x", "a.AGESEAL", ".AGESEAL2/x", "agesea~x"]
        {
            assert_eq!(second_folder(fine), None, "{fine}");
        }
        assert_eq!(tell_second_folder("a/.AGESEAL").code, Code::SecondPolicy);
    }

    #[test]
    fn what_a_killed_run_leaves_is_told_by_its_name() {
        assert_eq!(left_over(".db.sealed.yaml.a1B2c3.tmp"), Some("db.sealed.yaml"));
        assert_eq!(left_over(".prod.pub.AAAAAA.tmp"), Some("prod.pub"));
        for other in [
            "",
            ".tmp",
            ".db.yaml.tmp",
            "db.yaml.a1B2c3.tmp",
            ".db.yaml.a1B2c.tmp",
            ".db.yaml.a1-2c3.tmp",
            ".x.a1B2c3.tmp",
        ] {
            assert_eq!(left_over(other), None, "{other}");
        }
        let finding = tell_left_over("db.yaml");
        assert!(finding.level == crate::check::Level::Note && finding.hint.is_some());
    }
}
