//! The frame that every command stands in: help, usage errors, streams, colour, the name under which it is called.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use support::Scratch;

const VERSION: &str = concat!("ageseal ", env!("CARGO_PKG_VERSION"), "\n");

#[test]
fn alone_it_says_what_there_is() {
    let run = Scratch::new().run::<&str>(&[]).ok();
    assert!(run.stdout.contains("Usage: ageseal") && run.stdout.contains("keygen"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
}

#[test]
fn an_unknown_command_is_a_usage_error_with_a_suggestion() {
    let run = Scratch::new().run(&["keygne"]).exit(2).says("keygen");
    assert_eq!(run.stdout, "");
}

#[test]
fn the_version_is_one_line() {
    for args in [&["--version"][..], &["-V"], &["-q", "-V"], &["--color", "always", "-V"]] {
        let run = Scratch::new().run(args).ok();
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (VERSION, ""), "{args:?}");
    }
}

#[test]
fn the_options_of_every_command_stand_last_under_a_heading() {
    let t = Scratch::new();
    let options = |text: &str| -> Vec<String> {
        let names = text.lines().filter_map(|line| line.trim_start().strip_prefix('-').map(|_| line.trim_start()));
        names.filter_map(|line| line.split("--").nth(1)?.split([' ', ',']).next().map(str::to_owned)).collect()
    };
    for args in [&[][..], &["init"], &["seal"], &["check"], &["show"], &["recipients"], &["recipients", "add"]] {
        for help in ["--help", "-h"] {
            let text = t.run(&[args, &[help]].concat()).ok().stdout;
            let (own, rest) = text.split_once("\nGlobal options:\n").unwrap_or_else(|| panic!("{args:?}\n{text}"));
            let global = rest.split("\nExamples:").next().unwrap();
            let mut expected = vec!["quiet", "color", "help"];
            if args.is_empty() {
                expected.push("version");
            }
            assert_eq!(options(global), expected, "{args:?}\n{text}");
            assert!(expected.iter().all(|name| !options(own).contains(&(*name).to_owned())), "{args:?}\n{text}");
        }
    }
    let (long, short) = (t.run(&["seal", "--help"]).ok().stdout, t.run(&["seal", "-h"]).ok().stdout);
    assert!(long.contains("a folder is walked") && !short.contains("a folder is walked"), "-h is a summary");
}

#[test]
fn every_command_has_one_sentence_and_examples() {
    let t = Scratch::new();
    let help = t.run(&["--help"]).ok().stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for command in commands.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()) {
        let help = t.run(&[command, "--help"]).ok().stdout;
        assert!(help.contains("Examples:\n  ageseal "), "{command} has no examples:\n{help}");
        assert!(!help.lines().next().unwrap().ends_with('.'), "{command}: {help}");
    }
}

#[test]
fn completions_know_the_commands() {
    let t = Scratch::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = t.run(&["completions", shell]).ok().stdout;
        assert!(script.contains("keygen") && script.contains("completions"), "{shell}");
    }
    let _ = t.run(&["completions", "tcsh"]).exit(2).says("bash");
}

#[test]
fn manual_pages_are_written_one_a_command() {
    let t = Scratch::new();
    assert!(t.run(&["man"]).ok().stdout.contains(".TH ageseal 1"));
    let run = t.run(&["man", "share/man1"]).ok();
    assert_eq!(run.stdout, "");
    let names = t.names();
    for page in ["ageseal.1", "ageseal-keygen.1", "ageseal-man.1"] {
        assert!(names.contains(&format!("share/man1/{page}")), "{names:?}");
    }
    assert!(t.read("share/man1/ageseal-keygen.1").contains("NAME\nageseal\\-keygen"));
}

#[test]
fn color_is_for_terminals_and_for_those_who_ask() {
    let t = Scratch::new();
    let plain = t.run(&["keygen", "-o", "no/such/folder"]).exit(4);
    assert!(!plain.stderr.contains('\x1b'), "{:?}", plain.stderr);
    let color = t.run(&["keygen", "-o", "no/such/folder", "--color", "always"]).exit(4);
    assert!(color.stderr.contains('\x1b'), "{:?}", color.stderr);
    assert_eq!(anstream::adapter::strip_str(&color.stderr).to_string(), plain.stderr);
}

#[test]
fn what_steers_a_terminal_is_shown_as_what_it_is() {
    let run = Scratch::new().run(&["keygen", "-o", "no/\x1b[31m\u{202e}x"]).exit(4);
    assert!(run.stderr.contains("no/\\u{1b}[31m\\u{202e}x"), "{}", run.stderr);
    assert!(!run.stderr.contains(['\x1b', '\u{202e}']));
}

#[cfg(unix)]
mod unix {
    use super::*;

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let t = Scratch::new();
        let run = t.shell("{ ageseal completions zsh; echo $? >code; } | true; sleep 0.1; cat code");
        assert_eq!((run.code, run.stdout.trim(), run.stderr.as_str()), (0, "0", ""));
    }

    #[test]
    fn stdout_that_was_closed_from_the_start_is_no_error() {
        let run = Scratch::new().shell("ageseal completions bash >&-").ok();
        assert_eq!(run.stderr, "");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_behind_stdout_is_an_error() {
        let run = Scratch::new().shell("ageseal completions bash >/dev/full").exit(4);
        assert!(run.stderr.contains("no space left on the device"), "{}", run.stderr);
    }

    #[test]
    fn kubectl_finds_it_as_a_plugin() {
        let t = Scratch::new();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ageseal"), t.path("kubectl-ageseal")).unwrap();
        let run = t.shell("./kubectl-ageseal keygen --help").ok();
        assert!(run.stdout.contains("Usage: kubectl ageseal keygen"), "{}", run.stdout);
        assert_eq!(t.shell("./kubectl-ageseal --version").ok().stdout, VERSION);
    }
}
