//! Sealed files under plain git: hunks, reverts, merges without a driver, and plaintext that git has seen.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use repo::{CANARY, changes, get, git_repo, identity, leak, open, sealed, secret, state};
use support::Scratch;

const FILE: &str = "prod/db.sealed.yaml";

fn ten() -> Scratch {
    let t = git_repo();
    let keys: Vec<String> = (0..10).map(|n| format!("key{n}")).collect();
    let values: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "old")).collect();
    sealed(&t, FILE, "db", &values);
    let _ = t.shell("git add -A && git commit -qm sealed").ok();
    t
}

fn commit_set(t: &Scratch, key: &str, value: &str) {
    let _ = t.shell(&format!("printf %s '{value}' | ageseal set -q {FILE} {key} && git commit -qam 'set {key}'")).ok();
}

/// The line numbers of the old file that a diff without context touches: (first, count, first of the new, count).
fn hunks(diff: &str) -> Vec<[usize; 4]> {
    let numbers = |part: &str| {
        let (first, count) = part.split_once(',').unwrap_or((part, "1"));
        [first.parse().unwrap(), count.parse().unwrap()]
    };
    diff.lines()
        .filter_map(|line| line.strip_prefix("@@ -"))
        .map(|line| {
            let mut parts = line.split(" @@").next().unwrap().split(" +");
            let ([a, b], [c, d]) = (numbers(parts.next().unwrap()), numbers(parts.next().unwrap()));
            [a, b, c, d]
        })
        .collect()
}

fn line_of(text: &str, line: &str) -> usize {
    text.lines().position(|found| found == line).unwrap() + 1
}

#[test]
fn the_diff_of_one_value_lies_inside_its_block() {
    let t = ten();
    let before = t.read(FILE);
    let _ = t.shell(&format!("printf new | ageseal set {FILE} key4")).ok();
    let diff = t.shell("git diff -U0 --no-color").ok().stdout;
    let (from, to) = (line_of(&before, "    key4:"), line_of(&before, "    key5:"));
    let hunks = hunks(&diff);
    assert!(!hunks.is_empty());
    for [first, count, ..] in hunks {
        assert!(first >= from && first + count <= to, "{first},{count} is not in {from}..{to}\n{diff}");
    }
    assert_eq!(t.shell("git diff --name-only").ok().stdout, format!("{FILE}\n"));
    // Small enough to be read: the value's line, and the envelope for its two readers.
    let added = diff.lines().filter(|line| line.starts_with('+')).count();
    assert!(added < 120, "{added} lines");
    assert!(diff.lines().all(|line| line.len() < 4_000));
}

#[test]
fn a_revert_of_the_last_and_of_an_earlier_set_opens() {
    let t = ten();
    commit_set(&t, "key2", "first");
    commit_set(&t, "key7", "second");
    commit_set(&t, "key2", "third");
    let _ = t.shell("git revert --no-edit HEAD").ok();
    assert_eq!((get(&t, FILE, "key2"), get(&t, FILE, "key7")), ("first".to_owned(), "second".to_owned()));
    // An earlier one, below what came after it.
    let _ = t.shell("git revert --no-edit HEAD~2").ok();
    assert_eq!((get(&t, FILE, "key2"), get(&t, FILE, "key7")), ("first".to_owned(), "old".to_owned()));
    let _ = t.shell("git revert --no-edit HEAD~4").ok();
    assert_eq!(get(&t, FILE, "key2"), "old");
    let _ = open(&t, FILE, "prod").ok();
    let _ = open(&t, FILE, "recovery").ok();
    assert_eq!(t.read(FILE), t.shell(&format!("git show HEAD~6:{FILE}")).ok().stdout);
}

#[test]
fn a_revert_brings_a_value_back_after_every_one_was_set() {
    let t = ten();
    for n in 0..10 {
        commit_set(&t, &format!("key{n}"), "new");
    }
    // No value refers to the shared envelope any more, and it is still there for whoever reverts.
    let _ = t.shell("git revert --no-edit HEAD~5").ok();
    assert_eq!((get(&t, FILE, "key4"), get(&t, FILE, "key5")), ("old".to_owned(), "new".to_owned()));
    let _ =
        t.shell(&format!("ageseal unset -q {FILE} key0 && git commit -qam unset && git revert --no-edit HEAD")).ok();
    assert_eq!(get(&t, FILE, "key0"), "new");
}

#[test]
fn two_branches_set_neighbouring_keys_and_plain_git_merges_them() {
    for (one, other) in [("key4", "key5"), ("key0", "key1"), ("key8", "key9")] {
        let t = ten();
        let _ = t.shell("git checkout -qb left").ok();
        commit_set(&t, one, "from the left");
        let _ = t.shell("git checkout -q main").ok();
        commit_set(&t, other, "from main");
        let merge = t.shell("git merge --no-edit left 2>&1");
        assert_eq!(merge.code, 0, "{one} {other}: {}", merge.stdout);
        assert!(!t.read(FILE).contains("<<<<<<<"));
        assert_eq!((get(&t, FILE, one), get(&t, FILE, other)), ("from the left".to_owned(), "from main".to_owned()));
        let all = open(&t, FILE, "prod").ok().stdout;
        assert_eq!(all.lines().filter(|line| line.starts_with("  key")).count(), 10);
    }
}

#[test]
fn a_set_and_an_unset_and_a_rebase_merge_too() {
    let t = ten();
    let _ = t.shell("git checkout -qb left").ok();
    commit_set(&t, "key4", "left");
    commit_set(&t, "key4", "left again");
    let _ = t.shell("git checkout -q main").ok();
    let _ = t.shell(&format!("ageseal unset -q {FILE} key7 && git commit -qam unset")).ok();
    commit_set(&t, "key5", "main");
    let _ = t.shell("git checkout -q left && git rebase main").ok();
    assert_eq!((get(&t, FILE, "key4"), get(&t, FILE, "key5")), ("left again".to_owned(), "main".to_owned()));
    assert!(!t.read(FILE).contains("key7"));
}

#[test]
fn the_same_key_on_two_branches_is_a_conflict_that_nobody_takes_for_a_file() {
    let t = ten();
    let _ = t.shell("git checkout -qb left").ok();
    commit_set(&t, "key4", "left");
    let _ = t.shell("git checkout -q main").ok();
    commit_set(&t, "key4", "main");
    let merge = t.shell("git merge --no-edit left 2>&1");
    assert_ne!(merge.code, 0);
    let before = state(&t);
    for args in [
        &["open", FILE, "-i", &identity(&t, "prod")][..],
        &["unset", FILE, "key1"],
        &["get", FILE, "key1", "-i", &identity(&t, "prod")],
    ] {
        let run = t.run(args).exit(4);
        assert!(run.stderr.contains(&format!("{FILE}:")), "{}", run.stderr);
    }
    assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
}

#[test]
fn a_source_that_git_tracks_or_once_held_is_warned_of() {
    let t = git_repo();
    let source = secret("db", &format!("stringData:\n  password: {CANARY}\n"));
    t.write("prod/db.secret.yaml", &source);
    let run = t.run(&["seal", "prod/db.secret.yaml"]).ok();
    assert!(!run.stderr.contains("warning"), "nobody has seen it yet: {}", run.stderr);
    let _ = t.shell("git add -A").ok();
    let run = t
        .run(&["seal", "prod/db.secret.yaml"])
        .ok()
        .says("warning: git tracks this plaintext")
        .says("git rm --cached prod/db.secret.yaml");
    assert_eq!(leak(run.stderr.as_bytes()), None);
    let _ = t.shell("git commit -qm oops && git rm -q --cached prod/db.secret.yaml && git commit -qm gone").ok();
    let _ = t
        .run(&["seal", "prod/db.secret.yaml"])
        .ok()
        .says("warning: git's history holds this plaintext")
        .says("change the values");
    // The command that the hint gives does what it says, from where it was given.
    t.write("prod/two.secret.yaml", secret("two", "stringData: {a: b}\n"));
    let _ = t.shell("git add -f prod/two.secret.yaml && git commit -qm two").ok();
    let run = t.shell("cd prod && ageseal seal two.secret.yaml").ok().says("git rm --cached two.secret.yaml");
    assert!(run.stderr.contains("two.secret.yaml"));
    let _ = t.shell("cd prod && git rm -q --cached two.secret.yaml").ok();
    // In place, the plaintext is in the history.
    t.write("prod/three.yaml", secret("three", "stringData: {a: b}\n"));
    let _ = t.shell("git add -A prod/three.yaml && git commit -qm three").ok();
    let _ = t.run(&["seal", "--in-place", "prod/three.yaml"]).ok().says("history");
}

#[test]
fn ignored_files_are_walked_and_git_itself_is_not() {
    let t = git_repo();
    t.write(".gitignore", "*.secret.yaml\nprod/private/\n");
    t.write("prod/db.secret.yaml", secret("db", &format!("stringData:\n  password: {CANARY}\n")));
    t.write("prod/private/x.yaml", secret("x", &format!("stringData:\n  password: {CANARY}\n")));
    t.write("prod/node_modules/y.yaml", secret("y", &format!("stringData:\n  password: {CANARY}\n")));
    t.write(".git/z.yaml", secret("z", &format!("stringData:\n  password: {CANARY}\n")));
    let _ = t.run(&["seal", "."]).ok();
    let names = t.names();
    let made: Vec<_> = names.iter().filter(|name| name.ends_with(".sealed.yaml")).collect();
    assert_eq!(made, ["prod/db.sealed.yaml", "prod/private/x.sealed.yaml"]);
}

#[test]
fn an_attacker_s_repository_runs_no_program() {
    let t = git_repo();
    let log = t.home().join("ran");
    let hook = format!("#!/bin/sh\ntouch {}\n", log.display());
    t.write(".git/hooks/post-index-change", &hook);
    t.write("evil", &hook);
    let _ = t.shell("chmod +x .git/hooks/* evil && git config core.fsmonitor ./evil && git config core.pager ./evil && git config diff.external ./evil && git config log.showSignature true && git config gpg.program ./evil").ok();
    t.write("prod/db.secret.yaml", secret("db", "stringData: {a: b}\n"));
    let _ = std::fs::remove_file(&log);
    let _ = t.run(&["seal", "prod/db.secret.yaml"]).ok();
    let _ = t.run(&["check"]);
    let _ = t.run(&["show"]);
    assert!(!log.exists(), "a program that the repository names ran");
}
