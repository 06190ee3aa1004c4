//! `set` and `unset`: one key's lines and nothing else, no private key, nothing that an earlier commit needs is lost.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use std::fs;

use ageseal_testkit::{independent, run};
use repo::{get, identity, open, refused, refused_with, repo, sealed};
use support::Scratch;

const FILE: &str = "prod/db.sealed.yaml";

fn ten() -> Scratch {
    let t = repo();
    let keys: Vec<String> = (0..10).map(|n| format!("key{n}")).collect();
    let values: Vec<(&str, String)> = keys.iter().map(|key| (key.as_str(), format!("value of {key}"))).collect();
    let values: Vec<(&str, &str)> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
    sealed(&t, FILE, "db", &values);
    t
}

fn set(t: &Scratch, key: &str, value: &str) -> support::Run {
    t.run_with(&["set", FILE, key], value.as_bytes(), &[])
}

/// The lines of an item: its key and what is deeper.
fn item(text: &str, key: &str) -> (usize, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|line| *line == format!("    {key}:")).unwrap();
    let to = (from + 1..lines.len()).find(|at| !lines[*at].starts_with("     ")).unwrap();
    (from, to)
}

/// The same text but for the lines of one item, which are in neither.
#[track_caller]
fn equal_but_for(before: &str, after: &str, key: &str) {
    let rest = |text: &str| {
        let (from, to) = item(text, key);
        // The key's own line stays.
        text.lines()
            .enumerate()
            .filter(|(at, _)| *at <= from || *at >= to)
            .map(|(_, line)| line.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(rest(before), rest(after));
}

/// What the independent implementation makes of a file.
fn independently(t: &Scratch, file: &str) -> serde_json::Value {
    let id = identity(t, "prod");
    let path = t.path(file);
    let outcome = run(independent(), ["open", "-i", &id, path.to_str().unwrap()], "");
    assert_eq!(outcome.code, Some(0), "{} {}", outcome.stdout_text(), outcome.stderr_text());
    serde_json::from_slice(&outcome.stdout).unwrap()
}

#[test]
fn one_of_ten_values_changes_its_own_lines_only() {
    let t = ten();
    for key in ["key0", "key4", "key9"] {
        let before = t.read(FILE);
        let run = set(&t, key, "new").ok().says("set").says("read by    prod, recovery").says("shop-prod/db");
        assert_eq!(run.stdout, "");
        let after = t.read(FILE);
        equal_but_for(&before, &after, key);
        assert_ne!(before, after);
        assert_eq!(get(&t, FILE, key), "new");
    }
    assert_eq!(get(&t, FILE, "key1"), "value of key1");
    let data = independently(&t, FILE)[0]["data"].clone();
    assert_eq!(data["key4"], repo::b64("new"));
    assert_eq!(data["key5"], repo::b64("value of key5"));
    // Again over a value that has an envelope of its own: it is replaced, not piled up.
    let before = t.read(FILE);
    let _ = set(&t, "key4", "newer").ok();
    let after = t.read(FILE);
    equal_but_for(&before, &after, "key4");
    // age adds a stanza of random length that means nothing.
    assert!(before.lines().count().abs_diff(after.lines().count()) < 5);
    assert_eq!(get(&t, FILE, "key4"), "newer");
}

#[test]
fn a_new_key_comes_in_its_place_and_unset_takes_it_out() {
    let t = ten();
    let before = t.read(FILE);
    for key in ["a", "key45", "zz", ".dot", "KEY", "tls.crt"] {
        let _ = set(&t, key, "x").ok().says("added");
        let after = t.read(FILE);
        let keys: Vec<&str> = after
            .lines()
            .filter(|line| line.starts_with("    ") && !line.starts_with("     "))
            .map(str::trim)
            .collect();
        let items: Vec<_> = keys.iter().take_while(|key| !key.starts_with("- ")).take(11).collect();
        let mut sorted = items.clone();
        sorted.sort_by_key(|key| key.trim_end_matches(':').trim_matches(['\'', '"']).to_owned());
        assert_eq!(items, sorted, "{key}");
        assert_eq!(get(&t, FILE, key), "x");
        let _ = t.run(&["unset", FILE, key]).ok().says("unset");
        assert_eq!(t.read(FILE), before, "{key}");
    }
}

#[test]
fn unset_drops_no_shared_envelope() {
    let t = ten();
    for n in 0..9 {
        let _ = set(&t, &format!("key{n}"), "new").ok();
    }
    let before = t.read(FILE);
    let _ = t.run(&["unset", FILE, "key9"]).ok();
    let after = t.read(FILE);
    let envelopes = |text: &str| text[text.find("  envelopes:").unwrap()..].to_owned();
    assert_eq!(envelopes(&before), envelopes(&after));
    assert_eq!(get(&t, FILE, "key8"), "new");
    for n in 0..8 {
        let _ = t.run(&["unset", FILE, &format!("key{n}")]).ok();
    }
    let _ = refused(&t, &["unset", FILE, "key8"], 4).says("last").says("delete the file");
}

#[test]
fn values_are_bytes() {
    let t = ten();
    let all: Vec<u8> = (0..=255).collect();
    let long = vec![b'\n'; 3];
    for value in [
        &b""[..],
        b"x",
        b"yes",
        b"0777",
        b" blanks ",
        b"\xff\xfe",
        b"\0",
        &all,
        &long,
        "ümläut \u{1f512}".as_bytes(),
        b"a\r\nb\r\n\r\n",
    ] {
        t.write("value", value);
        let _ = t.run(&["set", FILE, "key3", "--from-file", "value"]).ok();
        assert_eq!(t.run(&["get", FILE, "key3", "-i", &identity(&t, "prod")]).ok().bytes, value);
    }
    let _ = t.run(&["set", FILE, "key3", "--value", ""]).ok().says("history");
    assert_eq!(get(&t, FILE, "key3"), "");
    let _ = t.run_with(&["set", FILE, "key3", "--trim-newline"], b"line\r\n", &[]).ok();
    assert_eq!(get(&t, FILE, "key3"), "line");
    let _ = t.run_with(&["set", FILE, "key3", "--keep-newline"], b"line\n", &[]).ok();
    assert_eq!(get(&t, FILE, "key3"), "line\n");
    let _ = t.run_with(&["set", FILE, "key3"], b"one\ntwo", &[]).ok();
    assert_eq!(get(&t, FILE, "key3"), "one\ntwo");
}

#[test]
fn what_is_not_ours_stays() {
    let t = ten();
    let text = t.read(FILE);
    let versions = [
        (
            "comments",
            text.replace("    key4:\n", "    # the one for the queue\n    key4: # why\n")
                .replace("spec:\n", "\n\nspec: # here\n"),
        ),
        ("CRLF", text.replace('\n', "\r\n")),
        ("a byte order mark", format!("\u{feff}{text}")),
        ("no newline at the end", text.trim_end().to_owned()),
        ("a document start", format!("---\n{text}...\n")),
        ("other indentation", text.replace("  - 'shop", "    - 'shop")),
        ("double quotes", text.replace("    key4:\n", "    \"key4\":\n").replace("    key5:\n", "    'key5':\n")),
        ("blank lines at the end", format!("{text}\n\n# end\n")),
        (
            "another document",
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{a:   'b'}} # odd\n---\n{text}"),
        ),
    ];
    for (what, before) in versions {
        t.write(FILE, &before);
        let _ = open(&t, FILE, "prod").ok();
        let _ = set(&t, "key4", "new").ok();
        let after = t.read(FILE);
        assert_eq!(get(&t, FILE, "key4"), "new", "{what}");
        assert_eq!(get(&t, FILE, "key5"), "value of key5", "{what}");
        // Everything up to the item and from the next one on.
        let cut = |text: &str| {
            let from = text.find("key4").unwrap();
            let to = text[from..].find("key5").unwrap() + from;
            (text[..from].to_owned(), text[to..].to_owned())
        };
        assert_eq!(cut(&before), cut(&after), "{what}");
        if what == "CRLF" {
            assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{what}");
        }
        if what == "comments" {
            assert!(after.contains("key4: # why\n"), "{after}");
        }
    }
}

#[test]
fn json_stays_json() {
    let t = repo();
    let source = "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Secret\",\n  \"metadata\": {\"name\": \"db\", \"namespace\": \"shop-prod\"},\n  \"stringData\": {\"a\": \"old\", \"b\": \"stays\"}\n}\n";
    t.write("prod/db.json", source);
    let _ = t.run(&["seal", "--in-place", "prod/db.json"]).ok();
    let _ = t.run_with(&["set", "prod/db.json", "a"], b"new", &[]).ok();
    let _ = t.run_with(&["set", "prod/db.json", "c"], b"third", &[]).ok();
    let parsed: serde_json::Value = serde_json::from_str(&t.read("prod/db.json")).unwrap();
    assert_eq!(parsed["kind"], "SealedSecret");
    assert_eq!(["a", "b", "c"].map(|key| get(&t, "prod/db.json", key)), ["new", "stays", "third"]);
    let _ = t.run(&["unset", "prod/db.json", "a"]).ok();
    let _: serde_json::Value = serde_json::from_str(&t.read("prod/db.json")).unwrap();
}

#[test]
fn several_documents_want_a_name() {
    let t = repo();
    let text = format!(
        "{}---\n{}",
        repo::secret("one", "stringData: {a: first}\n"),
        repo::secret("two", "stringData: {a: second}\n")
    );
    t.write("prod/both.yaml", text);
    let _ = t.run(&["seal", "prod/both.yaml"]).ok();
    let file = "prod/both.sealed.yaml";
    let _ = refused_with(&t, &["set", file, "a"], b"x", 2).says("--doc shop-prod/one").says("--doc shop-prod/two");
    let _ = refused_with(&t, &["set", file, "a", "--doc", "shop-prod/three"], b"x", 2).says("shop-prod/one");
    let _ = refused(&t, &["unset", file, "a"], 2);
    let before = t.read(file);
    let _ = t.run_with(&["set", file, "a", "--doc", "shop-prod/two"], b"new", &[]).ok();
    let after = t.read(file);
    let (first, _) = before.split_once("---\n").unwrap();
    assert!(after.starts_with(first), "the other document changed");
    let value = |doc: &str| t.run(&["get", file, "a", "--doc", doc, "-i", &identity(&t, "prod")]).ok().stdout;
    assert_eq!((value("shop-prod/one"), value("shop-prod/two")), ("first".to_owned(), "new".to_owned()));
}

#[test]
fn the_readers_are_those_of_the_policy_not_of_the_file() {
    let t = ten();
    // Somebody who sealed the rest claims more readers; whoever sets a value asks the policy.
    fs::write(t.path(".ageseal/policy.yaml"), repo::POLICY.replace("[prod, recovery]", "[recovery]")).unwrap();
    let _ = set(&t, "key2", "for recovery alone").ok().says("read by    recovery");
    let run = t.run(&["get", FILE, "key2", "-i", &identity(&t, "recovery")]).ok();
    assert_eq!(run.stdout, "for recovery alone");
    let _ = refused(&t, &["get", FILE, "key2", "-i", &identity(&t, "prod")], 3);
    // `-r` overrides, and says so.
    let _ = t.run_with(&["set", FILE, "key2", "-r", "prod"], b"typed", &[]).ok().says("read by    prod");
    assert_eq!(t.run(&["open", "-q", FILE, "-i", &identity(&t, "prod")]).code, 0);
}

#[test]
fn a_patch_is_not_written_to_by_set() {
    let t = ten();
    let text = t.read(FILE);
    let (head, tail) = text.split_once("  scope:\n  - 'shop-prod/db'\n").unwrap();
    let value = tail.lines().find(|line| line.contains("value: ")).unwrap();
    t.write(
        FILE,
        format!("{head}{}", tail.replacen(value, &format!("{value}\n      scope:\n      - 'shop-prod/db'"), 1)),
    );
    let _ = refused_with(&t, &["set", FILE, "key0"], b"x", 4).says("scope");
}
