//! What somebody who only writes to the repository can put in the way of those who work with it: inputs that take no end,
//! links that lead elsewhere, files that are passed over, programs that are made to run.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use repo::{CANARY, git_repo, identity, refused, repo, sealed, secret};

/// A run ends after a minute, and these take seconds: without a bound they take many minutes, or never end.
#[test]
fn merge_keys_that_unfold_without_end() {
    let t = repo();
    let mut text = "a: &a0 {x: 1}\n".to_owned();
    for level in 1..8 {
        let parts = vec![format!("*a{}", level - 1); 40].join(", ");
        text.push_str(&format!("b{level}: &a{level}\n  <<: [{parts}]\n"));
    }
    t.write("prod/bomb.yaml", format!("{text}<<: *a7\n# Secret\n"));
    let run = t.run(&["check", "prod"]).exit(1);
    assert!(
        run.stdout.contains("with its aliases written out, the text has more than 2000000 nodes"),
        "{}",
        run.stdout
    );
    let _ = t.run(&["show", "prod"]).exit(0);
    let _ = refused(&t, &["seal", "prod/bomb.yaml"], 4);
}

#[test]
fn aliases_of_something_large_very_often() {
    let t = repo();
    let keys: String = (0..150_000).map(|n| format!("  k{n}: v\n")).collect();
    let items = "- {kind: Secret, data: *big}\n".repeat(60_000);
    t.write("prod/many.yaml", format!("big: &big\n{keys}kind: List\nitems:\n{items}"));
    let run = t.run(&["check", "prod/many.yaml"]).exit(1);
    assert!(run.stdout.contains("prod/many.yaml:150009:24   with its aliases written out"), "{}", run.stdout);
    let _ = refused(&t, &["seal", "prod/many.yaml"], 4).says("prod/many.yaml:150009:24");
}

#[test]
fn very_many_broken_documents() {
    let t = git_repo();
    t.write("prod/many.sealed.yaml", "---\nkind: SealedSecret\n".repeat(40_000));
    let _ = t.run(&["check", "--json", "prod/many.sealed.yaml"]).exit(1);
    let _ = t.run(&["show", "prod/many.sealed.yaml"]).exit(0);
}

/// All the findings of this file took seven hundred megabytes.
#[cfg(target_os = "linux")]
#[test]
fn very_many_findings_take_little_memory() {
    let t = git_repo();
    t.write("prod/many.sealed.yaml", "---\nkind: SealedSecret\n".repeat(150_000));
    let run = t.shell("ulimit -v 400000; ageseal check --json prod/many.sealed.yaml").exit(1);
    assert!(run.stdout.contains(" more in this file\""), "{}", run.stdout);
}

#[test]
fn a_link_in_a_folder_of_values() {
    let t = repo();
    t.write("conf/app.conf", "a");
    std::os::unix::fs::symlink(identity(&t, "prod"), t.path("conf/tls.key")).unwrap();
    let args = ["create", "opaque", "x", "-n", "shop-prod", "--from-file", "conf", "-o", "prod/x.sealed.yaml"];
    let _ = refused(&t, &args, 4).says("conf/tls.key").says("symbolic link");
}

#[test]
fn a_broken_sealed_file_below_a_folder_that_is_opened() {
    let t = repo();
    sealed(&t, "prod/a.sealed.yaml", "a", &[("p", CANARY)]);
    sealed(&t, "prod/b.sealed.yaml", "b", &[("p", CANARY)]);
    let prod = identity(&t, "prod");
    let _ = t.run(&["open", "prod", "-i", &prod]).ok();
    t.write("prod/values.yaml", "{{ .Values.nothing_of_ours }}\n");
    t.write("prod/empty.yaml", "");
    let _ = t.run(&["open", "prod", "-i", &prod]).ok();
    let broken = format!("{}  : [\n", t.read("prod/b.sealed.yaml"));
    t.write("prod/b.sealed.yaml", broken);
    let run = t.run(&["open", "prod", "-i", &prod]).exit(4).says("prod/b.sealed.yaml");
    assert_eq!(run.stdout, "");
}

#[test]
fn one_value_for_elsewhere_is_told() {
    let t = repo();
    sealed(&t, "prod/db.sealed.yaml", "db", &[("a", "1")]);
    sealed(&t, "prod/queue.sealed.yaml", "queue", &[("a", "1"), ("z", "2")]);
    t.write("value", CANARY);
    let _ = t.run(&["set", "prod/queue.sealed.yaml", "z", "--from-file", "value"]).ok();
    let queue = t.read("prod/queue.sealed.yaml");
    let (from, to) = (queue.find("    z:\n").unwrap(), queue.find("  envelopes:\n").unwrap());
    let item = queue[from..to].replacen("      envelope:", "      scope: ['shop-prod/queue']\n      envelope:", 1);
    let both = t.read("prod/db.sealed.yaml").replacen("  envelopes:\n", &format!("{item}  envelopes:\n"), 1);
    t.write("prod/db.sealed.yaml", both);
    let run = t.run(&["open", "prod/db.sealed.yaml", "-i", &identity(&t, "prod")]).ok();
    let _ = run.says("z is sealed for shop-prod/queue; it would not open as shop-prod/db");
}

#[test]
fn a_plugin_in_a_recipients_file_of_the_repository_that_was_typed() {
    let t = repo();
    let log = t.fake_plugin();
    t.write(".ageseal/recipients/test.pub", format!("{}\n", support::FAKE_RECIPIENT));
    t.write("prod/db.secret.yaml", secret("db", "stringData: {a: b}\n"));
    let seal = ["seal", "prod/db.secret.yaml"];
    for typed in [["-R", ".ageseal/recipients/test.pub"], ["-r", "test"]] {
        let _ = refused(&t, &[&seal[..], &typed].concat(), 2).says("AGESEAL_ALLOW_PLUGINS");
        assert!(!log.exists(), "the plugin ran");
    }
    // A file of the user's own may name what it likes.
    let own = t.home().join("own.pub");
    std::fs::write(&own, format!("{}\n", support::FAKE_RECIPIENT)).unwrap();
    let _ = t.run(&["seal", "prod/db.secret.yaml", "-R", own.to_str().unwrap()]).ok();
    assert!(log.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_value_is_not_read_from_a_terminal_that_shows_it() {
    let t = repo();
    sealed(&t, "prod/db.sealed.yaml", "db", &[("a", "1")]);
    // `script` gives stdin a terminal; stderr goes elsewhere, so nothing can be asked.
    let run = t.shell("script -qec 'ageseal set prod/db.sealed.yaml a 2>told' /dev/null </dev/null; cat told >&2");
    let _ = run.says("stdin is a terminal, which would show the value");
}
