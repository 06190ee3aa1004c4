//! Edits of kustomizations in memory. What the real kustomize makes of them is tested with the command line.

use std::collections::BTreeSet;

use rand_core::OsRng;

use super::*;
use crate::yaml::Stream;

const DB: Document<'static> = Document { name: "db", namespace: None };

fn stream(text: &str) -> Stream {
    Stream::parse(text.to_owned()).unwrap()
}

fn added(text: &str, keys: &[&str], hashed: bool) -> Option<String> {
    let sealed = Sealed { document: DB, keys, hashed };
    add(&stream(text), sealed, &mut OsRng).unwrap().map(|stream| stream.text().to_owned())
}

fn refreshed(text: &str, changed: &[&str], removed: &[&str]) -> Option<String> {
    let set = |keys: &[&'static str]| keys.iter().copied().collect::<BTreeSet<_>>();
    let leak = |keys: &[&str]| -> Vec<&'static str> {
        keys.iter().map(|key| &*Box::leak((*key).to_owned().into_boxed_str())).collect()
    };
    let (changed, removed) = (set(&leak(changed)), set(&leak(removed)));
    let changes = Changes { document: DB, changed: &changed, removed: &removed };
    let made = refresh(&stream(text), changes, &mut OsRng).unwrap();
    made.map(|stream| stream.text().to_owned())
}

/// The text with every random number as `#`.
fn masked(text: &str) -> String {
    let mask = |line: &str| match line.split_once('=') {
        Some((key, number)) if number.trim_matches('"').len() == 20 => format!("{key}=#{}\n", &number[20..]),
        _ => format!("{line}\n"),
    };
    text.lines().map(mask).collect()
}

#[test]
fn a_shadow_is_put_behind_what_is_there() {
    let text = "# ours\nresources:\n- db.sealed.yaml # sealed\nnamePrefix: p-\n";
    let made = added(text, &["user", "password"], true).unwrap();
    let entry =
        "secretGenerator:\n- name: db\n  options:\n    annotations:\n      config.kubernetes.io/local-config: 'true'\n";
    let numbers = "  literals:\n  - |-\n    password=#\n  - |-\n    user=#\n";
    assert_eq!(masked(&made), format!("{text}{entry}{numbers}"));
    let plain = added(text, &["user"], false).unwrap();
    assert_eq!(plain, format!("{text}{entry}    disableNameSuffixHash: true\n"));
    // Once more, there is nothing to do.
    assert_eq!((added(&made, &["user", "password"], true), added(&plain, &["user"], false)), (None, None));
    assert!(
        masked(&added(&made, &["user", "password", "z"], true).unwrap()).ends_with("    user=#\n  - |-\n    z=#\n")
    );
}

#[test]
fn lists_are_added_to_as_they_are_written() {
    for text in [
        "secretGenerator:\n",
        "SecretGenerator: []\n",
        "secretGenerator: [{name: x, literals: [a=b]}]\n",
        "secretGenerator:\n  - name: x # other\n    literals:\n      - a=b\nnamespace: n\n",
    ] {
        let made = added(text, &["k"], true).unwrap();
        assert!(matches!(find(&stream(&made), DB), Found::Shadow { hashed: true, .. }), "{made}");
        assert_eq!(made.contains("name: x"), text.contains("name: x"));
        assert_eq!(made.contains("# other"), text.contains("# other"));
    }
    let sealed = Sealed { document: DB, keys: &["k"], hashed: true };
    for (text, at) in [("secretGenerator: x\n", Some(1)), ("a: &a []\nsecretGenerator: *a\n", Some(2)), ("- a\n", None)]
    {
        let problem = add(&stream(text), sealed, &mut OsRng).unwrap_err();
        assert_eq!(problem.at.map(|at| at.line), at, "{text}");
    }
}

const SHADOW: &str = "resources: [db.sealed.yaml]\nsecretGenerator:\n# the pods roll by it\n- name: db\n  options: {annotations: {config.kubernetes.io/local-config: \"true\"}}\n  literals:\n  - |-\n    host=00000000000000000000\n  - |-\n    password=00000000000000000000\n  - |-\n    user=00000000000000000000\n";

#[test]
fn only_the_lines_of_what_changed_change() {
    let made = refreshed(SHADOW, &["password"], &[]).unwrap();
    let differing: Vec<_> = SHADOW.lines().zip(made.lines()).filter(|(old, new)| old != new).collect();
    assert_eq!((differing.len(), made.lines().count()), (1, SHADOW.lines().count()));
    assert!(differing[0].1.starts_with("    password=") && differing[0].1.len() == "    password=".len() + 20);
    // Every number is a new one.
    assert_ne!(refreshed(SHADOW, &["password"], &[]).unwrap(), made);
    assert_eq!(
        masked(&refreshed(SHADOW, &[], &["user"]).unwrap()),
        masked(SHADOW.trim_end_matches("  - |-\n    user=00000000000000000000\n"))
    );
    let with_new = refreshed(SHADOW, &["name"], &[]).unwrap();
    assert_eq!(
        masked(&with_new),
        masked(&SHADOW.replace("  - |-\n    password", "  - |-\n    name=11111111111111111111\n  - |-\n    password"))
    );
    assert_eq!(masked(&refreshed(SHADOW, &["x"], &["host", "password", "user"]).unwrap()).matches("=#").count(), 1);
    assert_eq!(refreshed(SHADOW, &[], &[]), None);
    // A key that had no number rolls the pods as well when it goes.
    let gone = refreshed(SHADOW, &[], &["other"]).unwrap();
    assert_eq!(masked(&gone), masked(&format!("{SHADOW}  - |-\n    rev=00000000000000000000\n")));
    let again = refreshed(&gone, &[], &["other"]).unwrap();
    assert!(again != gone && masked(&again) == masked(&gone), "{again}");
    // An alias is no number that could be changed.
    let alias = SHADOW.replace("  - |-\n    user=", "  - &u |-\n    user=") + "  - *u\n";
    let text = stream(&alias);
    let user = BTreeSet::from(["user"]);
    let changes = Changes { document: DB, changed: &user, removed: &BTreeSet::new() };
    assert_eq!(refresh(&text, changes, &mut OsRng).unwrap_err().code, "cannot-edit");
}

#[test]
fn many_shadows_are_kept_in_step_in_one_edit() {
    let names: Vec<String> = (0..40).map(|number| format!("db{number}")).collect();
    let entry =
        |name: &String| SHADOW.split_once("roll by it\n").unwrap().1.replace("name: db", &format!("name: {name}"));
    let text = format!("secretGenerator:\n{}", names.iter().map(entry).collect::<String>());
    let (changed, removed, none) = (BTreeSet::from(["new", "password"]), BTreeSet::from(["host"]), BTreeSet::new());
    let document = |name| Document { name, namespace: None };
    let mut changes: Vec<_> =
        names.iter().map(|name| Changes { document: document(name), changed: &changed, removed: &removed }).collect();
    changes[7] = Changes { changed: &none, removed: &none, ..changes[7] };
    changes.push(Changes { document: document("other"), changed: &changed, removed: &removed });
    let (made, moved) = refresh_all(&stream(&text), &changes, &mut OsRng).unwrap().unwrap();
    let expected: Vec<bool> = (0..=40).map(|number| number != 7 && number != 40).collect();
    assert_eq!(moved, expected);
    // One after the other comes to the same.
    let mut one_by_one = stream(&text);
    for change in &changes {
        one_by_one = refresh(&one_by_one, *change, &mut OsRng).unwrap().unwrap_or(one_by_one);
    }
    assert_eq!(masked(made.text()), masked(one_by_one.text()));
    let numbers = |text: &str| text.matches("=00000000000000000000").count();
    assert_eq!((numbers(&text), numbers(made.text())), (120, 39 + 3));
    assert!(refresh_all(&stream(&text), &changes[7..8], &mut OsRng).unwrap().is_none());
}

#[test]
fn documents_that_share_a_shadow_share_its_numbers() {
    let (host, none) = (BTreeSet::from(["host"]), BTreeSet::new());
    let in_namespace = |namespace, changed, removed| {
        let document = Document { name: "db", namespace: Some(namespace) };
        Changes { document, changed, removed }
    };
    let both = [in_namespace("a", &none, &host), in_namespace("b", &host, &none)];
    let (made, moved) = refresh_all(&stream(SHADOW), &both, &mut OsRng).unwrap().unwrap();
    assert_eq!((masked(made.text()), moved), (masked(SHADOW), vec![true, true]));
    assert_ne!(made.text(), SHADOW);
}

#[test]
fn every_shadow_that_cannot_be_edited_is_told() {
    let alias = SHADOW.replace("  - |-\n    user=", "  - &u |-\n    user=") + "  - *u\n";
    let other = alias.split_once("roll by it\n").unwrap().1.replace("name: db", "name: db2").replace("&u", "&v");
    let text = format!("{alias}{}", other.replace("*u", "*v"));
    let user = BTreeSet::from(["user"]);
    let changes = ["db", "db2"].map(|name| {
        let document = Document { name, namespace: None };
        Changes { document, changed: &user, removed: &user }
    });
    let problems = refresh_all(&stream(&text), &changes, &mut OsRng).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|problem| problem.at.unwrap().line).collect();
    assert_eq!(lines.len(), 2, "{problems:?}");
    assert!(lines[0] < lines[1], "{problems:?}");
}

#[test]
fn numbers_of_other_styles_are_taken_as_they_are() {
    for list in
        ["[rev=1, password=2]", "\n  - rev=1\n  - password=2", "\n    - \"rev=1\"\n    # why\n    - 'password=2'"]
    {
        let text = format!(
            "secretGenerator:\n- name: db\n  literals: {list}\ngeneratorOptions:\n  annotations: {{config.kubernetes.io/local-config: 'yes'}}\n"
        );
        let made = refreshed(&text, &["password"], &[]).unwrap();
        let number = made.split("password=").nth(1).unwrap();
        let length = number.find(|c: char| !c.is_ascii_hexdigit());
        assert!(made.contains("rev=1") && length == Some(20), "{made}");
        assert_eq!(made.contains("# why"), text.contains("# why"));
    }
    let none =
        "secretGenerator:\n- name: db\n  options: {annotations: {config.kubernetes.io/local-config: \"true\"}}\n";
    assert!(refreshed(none, &["a"], &[]).unwrap().contains("  literals:\n  - |-\n    a="));
    assert!(refreshed(&format!("{none}  literals:\n"), &["a"], &[]).unwrap().contains("  literals:\n  - |-\n    a="));
}

#[test]
fn what_is_no_shadow_is_left_alone() {
    for (what, text) in [
        ("no generator", "resources: [db.sealed.yaml]\n".to_owned()),
        ("a real generator", SHADOW.replace("\"true\"", "\"false\"")),
        ("one without options", SHADOW.replace("  options:", "  # options:")),
        ("one of another name", SHADOW.replace("- name: db", "- name: cache")),
        ("one without a hash", SHADOW.replace("{annotations", "{disableNameSuffixHash: true, annotations")),
        ("one that has no hash for all", format!("{SHADOW}generatorOptions: {{disableNameSuffixHash: yes}}\n")),
        ("one of files", SHADOW.replace("  literals:", "  files: [db.sealed.yaml]\n  literals:")),
        ("one of an overlay", SHADOW.replace("- name: db", "- behavior: merge\n  name: db")),
    ] {
        assert_eq!(refreshed(&text, &["password"], &["user"]), None, "{what}");
    }
}

#[test]
fn namespaces_tell_shadows_apart() {
    let one = |namespace: &str| SHADOW.replace("- name: db", &format!("- name: db\n  namespace: {namespace}"));
    let find_in = |text: &str, namespace| find(&stream(text), Document { name: "db", namespace });
    for (text, namespace, found) in [
        (one("a"), Some("a"), true),
        (one("a"), Some("b"), false),
        (one("a"), None, true),
        (SHADOW.to_owned(), Some("a"), true),
        (one("default"), None, true),
        (one("a"), Some("default"), true),
    ] {
        assert_eq!(find_in(&text, namespace) != Found::Nothing, found, "{text} {namespace:?}");
    }
    let two = format!("{}- name: db\n  namespace: b\n  literals: [x=y]\n", one("a"));
    assert!(matches!(find_in(&two, Some("b")), Found::Generator { .. }));
    assert!(matches!(find_in(&two, Some("a")), Found::Shadow { .. }));
}

#[test]
fn files_are_listed_once() {
    let config = |text: &str| list_configuration(&stream(text), "c.yaml").unwrap().map(|s| s.text().to_owned());
    assert_eq!(config("namespace: n\n").unwrap(), "namespace: n\nconfigurations:\n- c.yaml\n");
    assert_eq!(config("Configurations: [c.yaml]\n"), None);
    assert_eq!(configurations(&stream("Configurations: [c.yaml, d.yaml]\n")), ["c.yaml", "d.yaml"]);
}

#[test]
fn an_overlay_has_numbers_of_its_own() {
    let db = Document { name: "db", namespace: None };
    let keys = |keys: &[&'static str]| keys.iter().copied().collect::<BTreeSet<&str>>();
    let merged = |text: &str, changed: &[&'static str], removed: &[&'static str], add| {
        let (changed, removed) = (keys(changed), keys(removed));
        let changes = Changes { document: db, changed: &changed, removed: &removed };
        let made = refresh_merged(&stream(text), changes, add, &mut OsRng).unwrap();
        made.map(|made| made.text().to_owned())
    };
    let overlay = "resources: [../base] # all\nsecretGenerator:\n- {name: db, literals: [a=b], behavior: replace}\n";
    assert_eq!(merged("resources: [../base]\n", &["b"], &[], false), None);
    assert_eq!(merged("resources: [../base]\n", &[], &[], true), None);
    assert!(merged("resources: [../base]\n", &[], &["b"], true).unwrap().contains("  - |-\n    rev="));
    let first = merged("resources: [../base] # all\n", &["b"], &[], true).unwrap();
    let head = "resources: [../base] # all\nsecretGenerator:\n- name: db\n  behavior: merge\n  options:\n    annotations:\n      config.kubernetes.io/local-config: 'true'\n  literals:\n  - |-\n    b=";
    assert!(first.starts_with(head), "{first}");
    let second = merged(&first, &["a"], &[], true).unwrap();
    let (numbers, b) = (head.strip_suffix("b=").unwrap(), first.strip_prefix(head).unwrap());
    assert!(
        second.starts_with(&format!("{numbers}a=")) && second.ends_with(&format!("\n  - |-\n    b={b}")),
        "{second}"
    );
    assert_eq!(merged(&second, &[], &["a"], false).unwrap(), first);
    let third = merged(&second, &["b"], &[], false).unwrap();
    assert!(third != second && third.len() == second.len(), "{third}");
    let off = stream("generatorOptions: {disableNameSuffixHash: true}\n");
    let changes = Changes { document: db, changed: &keys(&["a"]), removed: &keys(&[]) };
    assert_eq!(refresh_merged(&off, changes, true, &mut OsRng).unwrap_err().code, "no-hash");
    // An entry that replaces is somebody's own.
    assert!(merged(overlay, &["b"], &[], true).unwrap().starts_with(overlay));
    // The shadow itself, where base and patch are listed together.
    let shadow = merged(SHADOW, &["password"], &[], true).unwrap();
    assert!(shadow != SHADOW && !shadow.contains("merge"), "{shadow}");
}

#[test]
fn generators_become_shadows() {
    let text = "secretGenerator:\n# the database\n- name: db # a comment that may tell\n  literals:\n  # was: old\n  - password=canary\n- name: other\n  literals: [a=b]\n";
    let sealed = Sealed { document: Document { name: "db", namespace: Some("ns") }, keys: &["password"], hashed: true };
    let made = turn(&stream(text), &[(0, sealed)], &mut OsRng).unwrap().text().to_owned();
    assert!(!made.contains("canary") && !made.contains("was: old") && made.contains("# the database\n"), "{made}");
    assert!(
        made.contains("- name: db\n  namespace: ns\n") && made.contains("- name: other\n  literals: [a=b]\n"),
        "{made}"
    );
    let alias = "a: &a {name: db}\nsecretGenerator: [*a]\n";
    assert_eq!(turn(&stream(alias), &[(0, sealed)], &mut OsRng).unwrap_err().code, "cannot-edit");
}
