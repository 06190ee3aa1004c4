//! `keygen`: the file, its mode, its recipient, and that nothing is ever overwritten.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;

use support::Scratch;

#[test]
fn a_new_identity_is_written_and_its_recipient_printed() {
    let t = Scratch::new();
    let run = t.run(&["keygen", "-o", "laptop.txt"]).ok();
    let recipient = run.stdout.trim().to_owned();
    assert!(recipient.starts_with("age1pq1"), "{recipient}");
    assert!(run.stderr.starts_with("made    laptop.txt   post-quantum (age1pq)\n"), "{}", run.stderr);
    let file = t.read("laptop.txt");
    let lines: Vec<_> = file.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("# created: 20") && lines[0].ends_with('Z'), "{}", lines[0]);
    assert_eq!(lines[1], format!("# public key: {recipient}"));
    assert!(lines[2].starts_with("AGE-SECRET-KEY-PQ-1"));
    let _ = run.never_says("SECRET");
}

#[test]
fn a_classic_one_is_made_on_request() {
    let t = Scratch::new();
    let run = t.run(&["keygen", "--classic", "-q", "-o", "a"]).ok();
    assert!(run.stdout.starts_with("age1") && run.stdout.len() == 63, "{}", run.stdout);
    assert_eq!(run.stderr, "");
    assert!(t.read("a").lines().last().unwrap().starts_with("AGE-SECRET-KEY-1"));
}

#[test]
fn without_a_name_it_goes_where_it_is_found() {
    let t = Scratch::new();
    let run = t.run(&["keygen"]).ok();
    let path = t.config().join("ageseal/identities/default.txt");
    assert!(fs::read_to_string(&path).unwrap().contains(run.stdout.trim()));
    let before = fs::read(&path).unwrap();
    let _ = t.run(&["keygen"]).exit(4).says("exists already").says("-o FILE");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn an_existing_file_stays_as_it_was() {
    let t = Scratch::new();
    t.write("a", "mine");
    let run = t.run(&["keygen", "-o", "a"]).exit(4).says("this file exists already");
    assert_eq!((run.stdout.as_str(), t.read("a").as_str()), ("", "mine"));
}

#[test]
fn stdout_takes_the_whole_identity() {
    let t = Scratch::new();
    let run = t.run(&["keygen", "-o", "-"]).ok();
    assert!(run.stdout.contains("AGE-SECRET-KEY-PQ-1") && !run.stderr.contains("SECRET"));
    assert_eq!(t.names(), Vec::<String>::new());
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let t = Scratch::new();
    let _ = t.shell("umask 000; ageseal keygen -o a && ageseal keygen").ok();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&t.path("a")), 0o600);
    let folder = t.config().join("ageseal/identities");
    assert_eq!((mode(&folder), mode(&folder.join("default.txt"))), (0o700, 0o600));
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed_even_to_nowhere() {
    let t = Scratch::new();
    std::os::unix::fs::symlink("elsewhere", t.path("a")).unwrap();
    let _ = t.run(&["keygen", "-o", "a"]).exit(4);
    assert_eq!(t.names(), ["a -> elsewhere"]);
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_nothing_behind() {
    let t = Scratch::new();
    // The signal is ignored so that the write fails with EFBIG, as ENOSPC would make it fail.
    let run = t.shell("trap '' XFSZ; ulimit -f 0; ageseal keygen -o a").exit(4);
    assert!(run.stderr.contains("nothing was made") && run.stdout.is_empty(), "{}", run.stderr);
    assert_eq!(t.names(), Vec::<String>::new());
}
