//! The README's tour: every command in it runs as it stands and prints what the README shows.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::path::Path;

use ageseal_testkit::{Command, Scratch, workspace_root};

/// One command of the tour.
struct Step {
    /// What is typed; more than one line if there is a here-document.
    typed: String,
    /// The lines that the README shows; `…` stands for anything.
    shown: Vec<String>,
    /// The exit code, from a comment `# exit code N` behind the command.
    code: i32,
}

/// The steps of the `console` blocks in a section.
fn steps(readme: &str, heading: &str) -> Vec<Step> {
    let section = readme.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let mut steps: Vec<Step> = vec![];
    let mut inside = false;
    for line in section.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(typed) = line.strip_prefix("$ ").filter(|_| inside) {
            let code = typed.rsplit_once("# exit code ").map_or(0, |(_, code)| code.parse().unwrap());
            steps.push(Step { typed: typed.to_owned(), shown: vec![], code });
        } else if let Some(more) = line.strip_prefix("> ").filter(|_| inside) {
            steps.last_mut().unwrap().typed += &format!("\n{more}");
        } else if inside && !line.is_empty() {
            steps.last_mut().unwrap().shown.push(line.to_owned());
        }
    }
    steps
}

/// Whether a line is as shown, where `…` stands for anything and a run of spaces for one.
fn is_as_shown(line: &str, shown: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, shown) = (words(line), words(shown));
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[test]
fn the_tour_runs_as_it_stands() {
    const END: &str = "=== end of step";
    let steps = steps(&std::fs::read_to_string(workspace_root().join("README.md")).unwrap(), "Three minutes");
    assert!(steps.len() >= 8, "{} steps", steps.len());
    let scratch = Scratch::new();
    let folder = scratch.path().join("work");
    std::fs::create_dir(&folder).unwrap();
    // One shell for all of it, so that `cd` holds.
    let script: String = steps.iter().map(|step| format!("{}\nprintf '\\n{END} %s\\n' \"$?\"\n", step.typed)).collect();
    let ageseal = Path::new(env!("CARGO_BIN_EXE_ageseal"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = [ageseal.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&path));
    let run = Command::new("/bin/sh")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(&folder)
        .env("PATH", std::env::join_paths(programs).unwrap())
        .env("HOME", scratch.path())
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("AGESEAL_IDENTITY")
        .env_remove("AGESEAL_IDENTITY_FILE")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", scratch.path().join(".gitconfig"))
        .env("GIT_PAGER", "cat")
        .env("GIT_AUTHOR_NAME", "A Developer")
        .env("GIT_AUTHOR_EMAIL", "developer@example.com")
        .env("GIT_COMMITTER_NAME", "A Developer")
        .env("GIT_COMMITTER_EMAIL", "developer@example.com")
        .env("COLUMNS", "120")
        .run();
    let text = run.stdout_text();
    let end = format!("\n{END} ");
    let mut outputs = text.split(end.as_str());
    let mut output = outputs.next().unwrap().to_owned();
    for step in &steps {
        let next = outputs.next().unwrap_or_else(|| panic!("`{}` ended the tour:\n{text}", step.typed));
        let (code, following) = next.split_once('\n').unwrap_or((next, ""));
        assert_eq!(code, step.code.to_string(), "`{}`:\n{output}", step.typed);
        let mut lines = output.lines();
        for shown in &step.shown {
            // `…` alone stands for any number of lines.
            assert!(
                shown.trim() == "…" || lines.any(|line| is_as_shown(line, shown)),
                "`{}` does not print\n{shown}\nin this order, but\n{output}",
                step.typed
            );
        }
        output = following.to_owned();
    }
}

#[test]
fn links_lead_somewhere() {
    let readme = std::fs::read_to_string(workspace_root().join("README.md")).unwrap();
    let links: Vec<&str> = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 8, "{links:?}");
    for link in links.into_iter().filter(|link| !link.starts_with("https://")) {
        assert!(workspace_root().join(link).exists(), "{link}");
    }
}

#[test]
fn shown_lines_may_leave_parts_out() {
    assert!(is_as_shown("sealed  a.yaml   3 values", "sealed a.yaml 3 values"));
    assert!(is_as_shown("key age1pqabc, made", "key age1pq…, made"));
    assert!(is_as_shown("a b c d", "a … c …"));
    assert!(!is_as_shown("a b c d", "a … c"));
    assert!(!is_as_shown("sealed b.yaml", "sealed a.yaml"));
}
