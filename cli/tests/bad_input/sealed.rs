//! Sealed files that somebody edited: each field in turn, values and envelopes moved, everything too many or too long.

use std::fs;

use crate::repo::{
    CANARY, b64, changes, get, identity, keys, open, quiet, refused, refused_with, repo, sealed, state, well_told,
};
use crate::support::{Run, Scratch};

const FILE: &str = "prod/db.sealed.yaml";

/// Two values that were sealed together, and one that was sealed alone.
fn document() -> (Scratch, String) {
    let t = repo();
    sealed(&t, FILE, "db", &[("host", "db.example.com"), ("password", CANARY)]);
    let text = t.read(FILE);
    (t, text)
}

/// The line that a key of a block begins at, and its text; the first such line.
fn line_of<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines()
        .find(|line| line.trim_start().starts_with(start))
        .unwrap_or_else(|| panic!("{start} is not in\n{text}"))
}

/// The lines from one that begins so to before the next that is not deeper.
fn block(text: &str, start: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|line| line.trim_start().starts_with(start)).unwrap();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let inside = |line: &str| {
        depth(line) > depth(lines[from]) || (depth(line) == depth(lines[from]) && line.trim().starts_with("- "))
    };
    let to = (from + 1..lines.len()).find(|at| !inside(lines[*at])).unwrap_or(lines.len());
    lines[from..to].iter().map(|line| format!("{line}\n")).collect()
}

/// The name of the shared envelope.
fn kid_of(text: &str) -> String {
    format!("k{}", &line_of(text, "value: ags1.").trim()["value: ags1.".len()..][..16])
}

/// Nothing comes of it: not opened, not read, not written to; `show` and `check` live through it.
#[track_caller]
fn closed(t: &Scratch, text: &str, code: i32) -> Run {
    t.write(FILE, text);
    let id = identity(t, "prod");
    let run = refused(t, &["open", FILE, "-i", &id], code).says(FILE);
    let _ = refused(t, &["get", FILE, "host", "-i", &id], code);
    if code == 4 {
        // What is malformed is not written to either.
        let _ = refused_with(t, &["set", FILE, "host"], CANARY.as_bytes(), 4);
        let _ = refused(t, &["unset", FILE, "host"], 4);
    }
    let before = state(t);
    let show = quiet(t.run(&["show", FILE]));
    assert!((0..=4).contains(&show.code), "{show:?}");
    // Without a key what is malformed is found, and with one everything that does not open.
    let check = quiet(t.run(&["check", FILE]));
    assert!(matches!(check.code, 0 | 1 | 4) && (code != 4 || check.code != 0), "{check:?}");
    let drill = quiet(t.run(&["check", "-i", &id, FILE]));
    assert!(matches!(drill.code, 1 | 3 | 4), "{drill:?}");
    assert_eq!(changes(&before, &state(t)), Vec::<String>::new());
    run
}

#[test]
fn each_field_in_turn() {
    let (t, text) = document();
    let _ = open(&t, FILE, "prod").ok();
    let value = line_of(&text, "value: ags1.").trim().to_owned();
    let password = block(&text, "password:");
    let scope = line_of(&text, "- 'shop-prod/db'").to_owned();
    let kid = kid_of(&text);
    let ids = line_of(&text, "recipients:").to_owned();
    // (what is written instead of what, exit code of open, what is said)
    let cases: Vec<(&str, String, i32, &str)> = vec![
        ("apiVersion", text.replace("ageseal.dev/v1alpha1", "ageseal.dev/v1"), 4, "apiVersion"),
        ("another group", text.replace("ageseal.dev/v1alpha1", "example.com/v1alpha1"), 4, FILE),
        ("kind", text.replace("kind: SealedSecret", "kind: SealedSecrets"), 4, FILE),
        ("no name", text.replace("  name: db\n", ""), 4, "name"),
        ("a name that is a number", text.replace("  name: db\n", "  name: 5\n"), 4, "name"),
        ("no spec", text[..text.find("spec:").unwrap()].to_owned(), 4, "spec"),
        ("spec is a text", format!("{}spec: x\n", &text[..text.find("spec:").unwrap()]), 4, "spec"),
        ("an unknown field", text.replace("spec:\n", "spec:\n  keepalive: true\n"), 4, "keepalive"),
        (
            "an unknown field of an item",
            text.replacen(&value, &format!("{value}\n      plain: {CANARY}"), 1),
            4,
            "plain",
        ),
        ("scope of another name", text.replace(&scope, &scope.replace("/db", "/da")), 3, "does not open"),
        ("scope widened", text.replace(&scope, &scope.replace("/db", "/*")), 3, "does not open"),
        (
            "scope with one more",
            text.replace(&scope, &format!("{scope}\n{}", scope.replace("shop-prod", "shop-test"))),
            3,
            "does not open",
        ),
        ("scope unsorted", text.replace(&scope, &format!("{scope}\n{}", scope.replace("/db", "/a"))), 4, "sorted"),
        ("scope twice", text.replace(&scope, &format!("{scope}\n{scope}")), 4, "scope"),
        ("scope empty", text.replace(&format!("scope:\n{scope}\n"), "scope: []\n"), 4, "scope"),
        ("scope is a text", text.replace(&format!("scope:\n{scope}\n"), "scope: shop-prod/db\n"), 4, "scope"),
        ("scope with an upper-case name", text.replace(&scope, &scope.replace("/db", "/Db")), 4, "scope"),
        ("type given", text.replace("  encryptedData:", "  type: example.com/x\n  encryptedData:"), 3, "does not open"),
        ("type of a number", text.replace("  encryptedData:", "  type: 5\n  encryptedData:"), 4, "type"),
        (
            "type of 70,000 bytes",
            text.replace("  encryptedData:", &format!("  type: {}\n  encryptedData:", "t".repeat(70_000))),
            4,
            "type",
        ),
        ("type of another alphabet", text.replace("  encryptedData:", "  type: \"a b\"\n  encryptedData:"), 4, "type"),
        (
            "immutable is a text",
            text.replace("  encryptedData:", "  immutable: \"true\"\n  encryptedData:"),
            4,
            "immutable",
        ),
        ("data key renamed", text.replace("    password:\n", "    passwort:\n"), 3, "passwort"),
        ("data key with a slash", text.replace("    password:\n", "    pass/word:\n"), 4, "pass/word"),
        ("data key twice", text.replace(&password, &format!("{password}{password}")), 4, "twice"),
        ("no items", text.replace(&block(&text, "encryptedData:"), "  encryptedData: {}\n"), 4, "encryptedData"),
        (
            "an item is its value",
            text.replacen(&format!("host:\n      {value}"), &format!("host: {}", value.replace("value: ", "")), 1),
            4,
            "host",
        ),
        ("an item without value", text.replacen(&value, "scope: ['shop-prod/db']", 1), 4, "value"),
        ("value of another version", text.replacen("ags1.", "ags2.", 1), 4, "ags1."),
        ("value in plain text", text.replacen(&value, &format!("value: {CANARY}"), 1), 4, "ags1."),
        ("value without kid", text.replacen(&value, "value: ags1.AAAA", 1), 4, "host"),
        ("value cut", text.replacen(&value, &value[..value.len() - 40], 1), 4, "host"),
        ("value longer", text.replacen(&value, &format!("{value}AAAA"), 1), 4, "host"),
        (
            "value's kid in upper case",
            text.replacen(
                &value,
                &value.replacen(&value[12..28], &value[12..28].to_uppercase(), 1).replace("0", "A"),
                1,
            ),
            4,
            "host",
        ),
        ("envelope's name", text.replace(&format!("{kid}:"), "k0123456789abcdef:"), 4, "envelope"),
        (
            "envelope's name without k",
            text.replace(&format!("    {kid}:"), "    \"0123456789abcdef\":"),
            4,
            "envelopes",
        ),
        ("envelopes missing", text.replace(&block(&text, "envelopes:"), ""), 4, "envelope"),
        ("recipients missing", text.replace(&format!("{ids}\n"), ""), 4, "recipients"),
        (
            "recipients empty",
            text.replace(&ids, &format!("{}recipients: []", &ids[..ids.find('r').unwrap()])),
            4,
            "recipients",
        ),
        ("recipient ids without r", text.replace(&ids, &ids.replace("[r", "[")), 4, "recipient"),
        ("age missing", text.replace(&block(&text, "age: |"), ""), 4, "age"),
        (
            "age is no age file",
            text.replace("-----BEGIN AGE ENCRYPTED FILE-----", "-----BEGIN AGE-----"),
            4,
            "envelope",
        ),
        (
            "template with a reserved field",
            format!("{text}  template:\n    data: {{a: {}}}\n", b64(CANARY)),
            4,
            "template",
        ),
    ];
    for (what, changed, code, needle) in cases {
        assert_ne!(changed, text, "{what}: nothing was changed");
        t.write(FILE, &changed);
        let run = t.run(&["open", FILE, "-i", &identity(&t, "prod")]);
        assert_eq!(run.code, code, "{what}: {}", run.stderr);
        assert!(run.stderr.contains(needle), "{what}: {needle:?} is not in\n{}", run.stderr);
        let _ = closed(&t, &changed, code);
    }
}

#[test]
fn what_is_no_secret_may_be_edited_and_still_opens() {
    let (t, text) = document();
    let want = open(&t, FILE, "prod").ok().stdout;
    let ids = line_of(&text, "recipients:").to_owned();
    for (what, changed) in [
        ("claimed recipients", text.replace(&ids, &ids.replace("[r", "[r0123456789abcdef, r"))),
        ("comments", text.replace("spec:\n", "# why\nspec: # because\n")),
        ("quotes", text.replace("name: db\n", "name: \"db\"\n")),
    ] {
        assert_ne!(changed, text, "{what}");
        t.write(FILE, changed);
        assert_eq!(open(&t, FILE, "prod").ok().stdout, want, "{what}");
    }
    t.write(FILE, format!("{text}  template:\n    metadata:\n      labels: {{a: b}}\n"));
    assert!(open(&t, FILE, "prod").ok().stdout.contains("a: b"));
}

#[test]
fn every_byte_of_a_value_counts() {
    let (t, text) = document();
    let value = line_of(&text, "value: ags1.").trim().to_owned();
    let start = text.find(&value).unwrap();
    for at in (7..value.len()).step_by(5) {
        let mut bytes = text.clone().into_bytes();
        let byte = &mut bytes[start + at];
        *byte = match *byte {
            b'A' => b'B',
            b'0' => b'1',
            _ => b'0',
        };
        t.write(FILE, &bytes);
        let run = quiet(t.run(&["open", FILE, "-i", &identity(&t, "prod")]));
        assert!(matches!(run.code, 3 | 4), "byte {at}: {run:?}");
        let _ = well_told(run);
    }
}

#[test]
fn every_line_of_an_envelope_counts() {
    let (t, text) = document();
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines.iter().position(|line| line.contains("-----BEGIN AGE")).unwrap();
    let end = lines.iter().position(|line| line.contains("-----END AGE")).unwrap();
    for at in begin..=end {
        let without: String =
            lines.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, line)| format!("{line}\n")).collect();
        let swapped: String = lines
            .iter()
            .enumerate()
            .map(
                |(n, line)| {
                    if n == at { line.replacen(['a', 'B', 'c', '-'], "x", 1) + "\n" } else { format!("{line}\n") }
                },
            )
            .collect();
        for changed in [without, swapped] {
            if changed == text {
                continue;
            }
            t.write(FILE, &changed);
            let run = t.run(&["open", FILE, "-i", &identity(&t, "prod")]);
            assert!(matches!(run.code, 3 | 4), "line {at}: {run:?}");
            let _ = well_told(run);
        }
    }
}

#[test]
fn a_value_moved_to_another_key() {
    let (t, text) = document();
    let host = line_of(&text, "value: ags1.").trim().to_owned();
    let password = block(&text, "password:").lines().nth(1).unwrap().trim().to_owned();
    let swapped = text.replace(&host, "@").replace(&password, &host).replace('@', &password);
    let run = closed(&t, &swapped, 3);
    assert!(run.stderr.contains("host") && run.stderr.contains("<redacted>"), "{}", run.stderr);
}

#[test]
fn a_value_moved_to_another_document_namespace_or_type() {
    let (t, text) = document();
    let envelopes = block(&text, "envelopes:");
    let password = block(&text, "password:");
    for (namespace, name, kind) in
        [("shop-prod", "other", "Opaque"), ("shop-test", "db", "Opaque"), ("shop-prod", "db", "example.com/x")]
    {
        let document = format!(
            "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  scope:\n  - '{namespace}/{name}'\n  type: {kind}\n  encryptedData:\n    host:\n      {}\n{password}{envelopes}",
            line_of(&text, "value: ags1.").trim()
        );
        let _ = closed(&t, &document, 3).says("does not open").says("hint: ");
    }
    // The document as a whole, under another name: the values are authentic, and a cluster will not make them.
    for changed in
        [text.replace("  name: db\n", "  name: other\n"), text.replace("namespace: shop-prod", "namespace: shop-test")]
    {
        t.write(FILE, changed);
        let run = t.run(&["open", FILE, "-i", &identity(&t, "prod")]).ok();
        assert!(run.stderr.contains("shop-prod/db") && run.stderr.contains("would not open"), "{}", run.stderr);
        let _ = refused_with(&t, &["set", FILE, "password"], CANARY.as_bytes(), 4).says("shop-prod/db").says("hint: ");
    }
}

#[test]
fn an_envelope_swapped_for_another() {
    let (t, text) = document();
    sealed(&t, "prod/other.sealed.yaml", "other", &[("host", "x"), ("password", "y")]);
    let other = t.read("prod/other.sealed.yaml");
    // Another DEK under this name: for us, and wrong.
    let swapped = text.replace(&block(&text, "age: |"), &block(&other, "age: |"));
    let _ = closed(&t, &swapped, 3).says("does not open");
    // An envelope for somebody else.
    sealed(&t, "test/other.sealed.yaml", "other", &[("host", "x")]);
    let foreign = t.read("test/other.sealed.yaml");
    let swapped = text.replace(&block(&text, "age: |"), &block(&foreign, "age: |"));
    let _ = closed(&t, &swapped, 3).says("no identity");
    // The truth stays reachable when a wrong one stands before it.
    let kid = kid_of(&text);
    let with_also = text.replace(
        &block(&text, "age: |"),
        &format!(
            "{}      also:\n      - {}\n{}",
            block(&other, "age: |"),
            line_of(&text, "recipients:").trim(),
            block(&text, "age: |").lines().map(|line| format!("  {line}\n")).collect::<String>()
        ),
    );
    assert!(with_also.contains(&kid));
    t.write(FILE, with_also);
    assert_eq!(get(&t, FILE, "password"), CANARY);
}

#[test]
fn one_hundred_and_twenty_nine_envelopes() {
    let (t, text) = document();
    let envelope = block(&text, &format!("{}:", kid_of(&text)));
    let (_, body) = envelope.split_once('\n').unwrap();
    let more = |count: usize| -> String {
        let rest: String = (0..count).map(|n| format!("    k{n:016x}:\n{body}")).collect();
        format!("{text}{rest}")
    };
    t.write(FILE, more(127));
    assert_eq!(get(&t, FILE, "password"), CANARY);
    let _ = closed(&t, &more(128), 4).says("129").says("128");
}

#[test]
fn a_megabyte_of_stanzas_costs_no_time() {
    let (t, text) = document();
    let header = block(&text, "age: |");
    let indent = "        ";
    let stanza = format!("-> X25519 {}\n{}\n", "A".repeat(43), "A".repeat(43));
    let age = format!("age-encryption.org/v1\n{}--- {}\n", stanza.repeat(9_000), "A".repeat(43));
    let armored = b64(&age);
    let lines: String =
        armored.as_bytes().chunks(64).map(|line| format!("{indent}{}\n", std::str::from_utf8(line).unwrap())).collect();
    let begin = "-----BEGIN AGE ENCRYPTED FILE-----";
    let end = "-----END AGE ENCRYPTED FILE-----";
    let changed = text.replace(&header, &format!("      age: |\n{indent}{begin}\n{lines}{indent}{end}\n"));
    let start = std::time::Instant::now();
    let _ = closed(&t, &changed, 4).says("age file").says("98304");
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    // Below the cap on bytes, and above that on stanzas.
    let age = format!("age-encryption.org/v1\n{}--- {}\n", stanza.repeat(40), "A".repeat(43));
    let armored = b64(&age);
    let lines: String =
        armored.as_bytes().chunks(64).map(|line| format!("{indent}{}\n", std::str::from_utf8(line).unwrap())).collect();
    let changed = text.replace(&header, &format!("      age: |\n{indent}{begin}\n{lines}{indent}{end}\n"));
    let _ = closed(&t, &changed, 4).says("stanzas");
}

#[test]
fn thirty_three_patterns() {
    let (t, text) = document();
    let scope = block(&text, "scope:");
    let patterns = |count: usize| -> String { (0..count).map(|n| format!("  - 'shop-prod/d{n:02}'\n")).collect() };
    let _ = closed(&t, &text.replace(&scope, &format!("  scope:\n{}", patterns(33))), 4).says("scope");
    let _ = closed(&t, &text.replace(&scope, &format!("  scope:\n{}", patterns(32))), 3);
    let long = format!("  scope:\n  - 'shop-prod/{}'\n", "d".repeat(330));
    let _ = closed(&t, &text.replace(&scope, &long), 4).says("scope");
    let args: Vec<String> = (0..33).flat_map(|n| ["--scope".to_owned(), format!("shop-prod/d{n}")]).collect();
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    args.splice(0..0, ["create", "opaque", "db", "--stdin", "a", "-o", "prod/x.sealed.yaml"]);
    let _ = refused_with(&t, &args, CANARY.as_bytes(), 2).says("32");
}

#[test]
fn kids_and_ids_that_look_like_numbers() {
    let (t, text) = document();
    let kid = kid_of(&text)[1..].to_owned();
    let ids = line_of(&text, "recipients:").to_owned();
    for number in ["1234567890123456", "0000000000000e01", "0000000000000000", "1e10000000000000", "0x00000000000000"] {
        let changed = text.replace(&kid, number).replace(&ids, &format!("      recipients: [r{number}]"));
        if number.contains('x') {
            let _ = closed(&t, &changed, 4);
            continue;
        }
        // Well-formed, so it is read; and its envelope does not give this kid.
        let _ = closed(&t, &changed, 3);
        // Kustomize carries it through unharmed.
        t.write(FILE, &changed);
        t.write("prod/kustomization.yaml", "resources: [db.sealed.yaml]\n");
        let built =
            ageseal_testkit::run(ageseal_testkit::kustomize(), ["build".as_ref(), t.path("prod").as_os_str()], "");
        let built = built.stdout_text().to_string();
        assert!(built.contains(&format!("    k{number}:\n")) && built.contains(&format!("r{number}")), "{built}");
        assert!(built.contains(&format!("ags1.{number}.")), "{built}");
        // The bare number is refused at its line.
        let bare = changed.replace(&format!("    k{number}:"), &format!("    {number}:"));
        let _ = closed(&t, &bare, 4).says(&format!("{FILE}:"));
        let quoted = changed.replace(&format!("    k{number}:"), &format!("    \"{number}\":"));
        let _ = closed(&t, &quoted, 4).says("k and 16 lower-case hex digits");
    }
}

#[test]
fn a_document_without_scope_is_not_written_to() {
    let (t, text) = document();
    t.write(FILE, text.replace(&block(&text, "scope:"), ""));
    let _ = refused(&t, &["open", FILE, "-i", &identity(&t, "prod")], 4).says("scope");
    let _ = refused_with(&t, &["set", FILE, "password"], CANARY.as_bytes(), 4).says("scope");
}

#[test]
fn a_scope_that_was_widened_is_not_sealed_for() {
    let (t, text) = document();
    let scope = line_of(&text, "- 'shop-prod/db'").to_owned();
    for wide in ["shop-prod/*", "*/*", "shop-test/db"] {
        let changed = text.replace(&scope, &format!("  - '{wide}'"));
        t.write(FILE, &changed);
        // Both are named: what the file says, and what it should say.
        let _ = refused_with(&t, &["set", FILE, "password"], CANARY.as_bytes(), 4)
            .says(wide)
            .says("shop-prod/db")
            .says("hint: ");
        let source = t.path("prod/db.secret.yaml");
        fs::write(&source, format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db, namespace: shop-prod}}\nstringData: {{host: h, password: {CANARY}}}\n")).unwrap();
        let _ = refused(&t, &["seal", "prod/db.secret.yaml"], 4).says(wide).says("shop-prod/db");
        fs::remove_file(source).unwrap();
    }
    // One value's own scope counts as well.
    let value = block(&text, "password:").lines().nth(1).unwrap().to_owned();
    t.write(FILE, text.replace(&value, &format!("{value}\n      scope:\n      - 'shop-prod/*'")));
    let _ = refused_with(&t, &["set", FILE, "password"], CANARY.as_bytes(), 4).says("shop-prod/*").says("shop-prod/db");
    // What the policy allows to nobody here is refused although it is typed again.
    t.write(FILE, text.replace(&scope, "  - '*/*'"));
    let _ = refused_with(&t, &["set", FILE, "password", "--scope", "*/*"], CANARY.as_bytes(), 4)
        .says("*/*")
        .says("shop-prod/*");
}

#[test]
fn a_document_copied_to_a_path_with_other_readers() {
    let (t, text) = document();
    let copy = "test/db.sealed.yaml";
    t.write(copy, &text);
    let _ = refused_with(&t, &["set", copy, "password"], CANARY.as_bytes(), 4)
        .says("shop-prod/db")
        .says("shop-test/*")
        .says(copy);
    t.write("test/db.secret.yaml", format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db, namespace: shop-prod}}\nstringData: {{host: h, password: {CANARY}}}\n"));
    let _ = refused(&t, &["seal", "test/db.secret.yaml"], 4).says("shop-prod/db").says("shop-test/*");
    // Nobody who may read there opens it.
    let _ = refused(&t, &["open", copy, "-i", &identity(&t, "test")], 3).says("prod").says("tried: ");
}

#[test]
fn not_a_recipient() {
    let (t, _) = document();
    let id = identity(&t, "stranger");
    let run = refused(&t, &["open", FILE, "-i", &id], 3)
        .says("no identity opens this file")
        .says("sealed for")
        .says("prod (r")
        .says("recovery (r")
        .says("tried: ")
        .says("hint: ");
    assert!(run.stderr.contains("stranger.txt"), "{}", run.stderr);
    let _ = refused(&t, &["get", FILE, "password", "-i", &id], 3);
    let _ = refused(&t, &["open", FILE], 3).says("hint: ");
    let _ = refused(&t, &["open", FILE, "-i", "none.txt"], 4).says("none.txt");
    t.write(
        "typo.txt",
        keys()["prod"]
            .identity
            .replace("AGE-SECRET-KEY-PQ-1Q", "AGE-SECRET-KEY-PQ-1P")
            .replace("AGE-SECRET-KEY-PQ-1P", "AGE-SECRET-KEY-PQ-1"),
    );
    let run = t.run(&["open", FILE, "-i", "typo.txt"]);
    if run.code != 0 {
        assert_eq!(run.code, 4, "{run:?}");
        assert!(!run.stderr.contains("SECRET-KEY-PQ-1"), "{}", run.stderr);
    }
    t.write("recipient.txt", &keys()["prod"].recipient);
    let _ = refused(&t, &["open", FILE, "-i", "recipient.txt"], 4).says("recipient");
}

#[test]
fn a_key_that_is_not_there() {
    let (t, _) = document();
    let id = identity(&t, "prod");
    let _ = refused(&t, &["get", FILE, "pasword", "-i", &id], 2).says("pasword").says("host, password");
    let _ = refused(&t, &["unset", FILE, "pasword"], 4).says("pasword").says("host, password");
    let _ = refused_with(&t, &["set", FILE, "a/b"], CANARY.as_bytes(), 4).says("a/b");
}

#[test]
fn the_last_value_stays() {
    let t = repo();
    sealed(&t, FILE, "db", &[("password", CANARY)]);
    let _ = refused(&t, &["unset", FILE, "password"], 4).says("password").says("delete the file");
}
