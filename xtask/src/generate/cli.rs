//! `docs/cli.md`: every command's help in one page, from the program itself.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::run::{Profile, build};

const HEAD: &str = "\
# The command line

<!-- Written by `cargo xtask generate` from the program's own help. What is edited here by hand is lost. -->

Every command below is also `kubectl ageseal …` when the program lies in `PATH` under the name `kubectl-ageseal`.
";

/// Makes the page.
pub fn page() -> Result<String> {
    let ageseal = build(&["ageseal-cli"], Profile::Dev, false)?.join("ageseal");
    let mut page = HEAD.to_owned();
    describe(&ageseal, &mut vec![], &mut page)?;
    Ok(page)
}

/// Adds the help of a command and of all below it.
fn describe(ageseal: &Path, command: &mut Vec<String>, page: &mut String) -> Result<()> {
    let help = help(ageseal, command)?;
    let name: Vec<&str> = ["ageseal"].into_iter().chain(command.iter().map(String::as_str)).collect();
    let level = "#".repeat(command.len().min(2) + 2);
    write!(page, "\n{level} `{}`\n\n```text\n{}\n```\n", name.join(" "), help.trim_end())?;
    for below in commands(&help) {
        command.push(below);
        describe(ageseal, command, page)?;
        command.pop();
    }
    Ok(())
}

fn help(ageseal: &Path, command: &[String]) -> Result<String> {
    let mut run = Command::new(ageseal);
    // No terminal and a fixed width: the page must not depend on who writes it.
    run.args(command).arg("--help").env("COLUMNS", "100").stdin(Stdio::null()).env_remove("CLICOLOR_FORCE");
    let output = run.output().with_context(|| ageseal.display().to_string())?;
    ensure!(output.status.success(), "{command:?} --help: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = list.take_while(|line| !line.is_empty()).filter_map(|line| {
        // A name is two in; the rest of a long description is further in.
        let entry = line.strip_prefix("  ").filter(|entry| !entry.starts_with(' '))?;
        entry.split_whitespace().next().map(str::to_owned)
    });
    names.filter(|name| name != "help").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_help() {
        let help = "A sentence\n\nUsage: x\n\nCommands:\n  seal  Seal\n        and more\n  open  Open\n  help  Help\n\nOptions:\n  -q  Quiet";
        assert_eq!(commands(help), ["seal", "open"]);
        assert!(commands("Usage: x\n").is_empty());
    }
}
