//! Which age plugins may run: a repository never makes a user run a program.

use std::collections::BTreeSet;

/// Where a recipient or an identity was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By the user: on the command line, or in a file of the user's own.
    User,
    /// By a repository, which anybody who may open a pull request writes to.
    Repository,
}

/// The file below the configuration folder that names the allowed plugins, one a line.
pub const ALLOW_FILE: &str = "plugins.allow";
/// The environment variable that does the same, with commas or spaces between the names.
pub const ALLOW_VARIABLE: &str = "AGESEAL_ALLOW_PLUGINS";

/// Whether a plugin may run for a recipient that was named there.
pub fn is_allowed(plugin: &str, trust: Trust) -> bool {
    trust == Trust::User || allowed().contains(plugin)
}

/// The names of the plugins that the user allowed.
pub fn allowed() -> BTreeSet<String> {
    let variable = std::env::var(ALLOW_VARIABLE).unwrap_or_default();
    let file = super::config_folder().and_then(|folder| std::fs::read_to_string(folder.join(ALLOW_FILE)).ok());
    names(&variable, &file.unwrap_or_default())
}

fn names(variable: &str, file: &str) -> BTreeSet<String> {
    let lines = file.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let words = variable.split([',', ' ']).map(str::trim);
    lines.chain(words).filter(|name| !name.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_lines_and_words() {
        let names = names("yubikey, tpm", "# mine\nSe\r\n\n fido2-hmac \n");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["fido2-hmac", "se", "tpm", "yubikey"]);
    }

    #[test]
    fn what_the_user_names_needs_no_list() {
        assert!(is_allowed("anything", Trust::User));
        assert!(!is_allowed("no-such-plugin-anywhere", Trust::Repository));
    }
}
