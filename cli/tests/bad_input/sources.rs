//! Plaintext sources that are not what they have to be.

use crate::repo::{CANARY, b64, holds, leak, refused, refused_with, repo, secret};
use crate::support::Scratch;

const SOURCE: &str = "prod/db.secret.yaml";

/// Refuses a source wherever a source can come from: a file beside, a file in place, a folder, stdin.
#[track_caller]
fn source_refused(content: impl AsRef<[u8]>, needles: &[&str]) {
    let t = repo();
    t.write(SOURCE, content.as_ref());
    let ways: [&[&str]; 3] =
        [&["seal", SOURCE], &["seal", "--in-place", SOURCE], &["seal", SOURCE, "-o", "prod/x.yaml"]];
    for args in ways {
        let mut run = refused(&t, args, 4).says(SOURCE);
        for needle in needles {
            run = run.says(needle);
        }
    }
    let stdin = refused_with(&t, &["seal", "-", "-o", "prod/x.yaml"], content.as_ref(), 4).says("<stdin>");
    let _ = needles.iter().fold(stdin, |run, needle| run.says(&needle.replace(SOURCE, "<stdin>")));
}

#[test]
fn empty() {
    for content in
        ["", "\n", "   \n\n", "# only a comment\n", "---\n", "---\n---\n...\n", "\u{feff}", "null\n", "{}\n", "[]\n"]
    {
        source_refused(content, &["  hint: "]);
    }
    let t = repo();
    t.write(SOURCE, "");
    let _ = refused(&t, &["seal", SOURCE], 4).says("the input is empty");
    let _ = refused(&t, &["open", SOURCE, "-i", &crate::repo::identity(&t, "prod")], 4).says("the input is empty");
    let _ = refused_with(&t, &["set", SOURCE, "password"], CANARY.as_bytes(), 4).says("the input is empty");
}

#[test]
fn utf16_of_powershell() {
    let text = secret("db", &format!("stringData:\r\n  password: {CANARY}\r\n"));
    let units: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    source_refused([&[0xff, 0xfe], &little[..]].concat(), &["UTF-16", "UTF-8"]);
    source_refused([&[0xfe, 0xff], &big[..]].concat(), &["UTF-16", "UTF-8"]);
    source_refused(&little, &["UTF-16", "UTF-8"]);
    source_refused(&big, &["UTF-16", "UTF-8"]);
}

#[test]
fn bytes_that_are_no_text() {
    let text = secret("db", &format!("stringData:\n  password: {CANARY}\n  b: "));
    source_refused([text.as_bytes(), b"\xff\xfe\n"].concat(), &["UTF-8", &format!("{SOURCE}:8:6")]);
    source_refused([text.as_bytes(), b"a\0b\n"].concat(), &["U+0000", &format!("{SOURCE}:8:7")]);
    source_refused([text.as_bytes(), b"\x1b[2J\n"].concat(), &["U+001B", &format!("{SOURCE}:8:6")]);
    source_refused(format!("{text}\"a\u{2028}b\"\n"), &["U+2028", &format!("{SOURCE}:8:8")]);
}

#[test]
fn tabs() {
    source_refused(
        secret("db", &format!("stringData:\n\tpassword: {CANARY}\n")),
        &["YAML", "blanks", &format!("{SOURCE}:7:2")],
    );
    source_refused(
        secret("db", &format!("stringData:\n  a: x\n\tpassword: {CANARY}\n")),
        &["YAML", "tab", "  hint: ", &format!("{SOURCE}:7:6")],
    );
}

#[test]
fn broken_yaml() {
    for (body, line) in [
        (format!("stringData:\n  a: \"{CANARY}\n"), 7),
        (format!("stringData:\n  a: '{CANARY}\n"), 7),
        (format!("stringData: {{a: {CANARY}\n"), 6),
        (format!("stringData:\n  a: {CANARY}\n   b: {CANARY}\n"), 8),
        (format!("stringData:\n  a: {CANARY}: x\n"), 7),
        (format!("stringData:\n  a: @{CANARY}\n"), 7),
        (format!("stringData:\n  a: `{CANARY}\n"), 7),
        (format!("stringData:\n  a: *{CANARY}\n"), 7),
        (format!("stringData:\n  a: \"\\{CANARY}\"\n"), 7),
        (format!("stringData:\n  a: !{CANARY} x\n"), 7),
        (format!("stringData:\n  a: !<{CANARY} x\n"), 7),
        (format!("stringData:\n  a: |9\n{CANARY}\n"), 7),
        (format!("stringData:\n  a: &{CANARY} &x y\n"), 7),
        (format!("stringData:\n  ? [{CANARY}]\n  : x\n"), 7),
    ] {
        let t = repo();
        t.write(SOURCE, secret("db", &body));
        let run = refused(&t, &["seal", SOURCE], 4);
        let told = run
            .stderr
            .lines()
            .find_map(|told| told.trim_start().strip_prefix(SOURCE)?.strip_prefix(':'))
            .map(str::to_owned);
        let at: usize = told
            .unwrap_or_else(|| panic!("no place: {body}{}", run.stderr))
            .split(':')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(at >= line, "{body}{}", run.stderr);
    }
    source_refused(
        format!("%YAML 1.1\n---\n{}", secret("db", &format!("stringData: {{a: {CANARY}}}\n"))),
        &["directive"],
    );
    source_refused(format!("%TAG ! tag:{CANARY},2000:\n---\n{}", secret("db", "stringData: {a: x}\n")), &["directive"]);
    let deep = format!("{}{CANARY}{}", "[".repeat(100), "]".repeat(100));
    source_refused(secret("db", &format!("stringData:\n  a: {deep}\n")), &["nested"]);
}

#[test]
fn broken_json() {
    let t = repo();
    for text in [
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"db\"}},\"stringData\":{{\"a\":\"{CANARY}\"}}"
        ),
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"db\"}},\"stringData\":{{\"a\":\"{CANARY}}}}}"
        ),
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"db\"}},\"stringData\":{{\"a\" \"{CANARY}\"}}}}"
        ),
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"Secret\"}} {CANARY}"),
    ] {
        t.write("prod/db.secret.json", text);
        let _ = refused(&t, &["seal", "prod/db.secret.json"], 4).says("prod/db.secret.json:1:");
    }
}

#[test]
fn duplicate_keys() {
    let twice = |body: &str| secret("db", body);
    source_refused(
        twice(&format!("stringData:\n  password: {CANARY}\n  password: {CANARY}\n")),
        &["password", "twice", "line 7", &format!("{SOURCE}:8:3")],
    );
    source_refused(
        twice(&format!("stringData:\n  password: {CANARY}\n  \"pass\\u0077ord\": x\n")),
        &["twice", &format!("{SOURCE}:8:3")],
    );
    source_refused(twice(&format!("stringData: {{a: {CANARY}}}\nstringData: {{b: x}}\n")), &["twice", "stringData"]);
    source_refused(twice(&format!("stringData: {{a: {CANARY}}}\nkind: ConfigMap\n")), &["twice", "kind"]);
    // A mistyped line makes the value the key.
    source_refused(twice(&format!("stringData:\n  ? \"{CANARY} \"\n  ? \"{CANARY} \"\n")), &["twice"]);
}

#[test]
fn aliases_and_merge_keys() {
    for (body, line, column) in [
        (format!("metadata2: &x {CANARY}\nstringData:\n  a: *x\n"), 8, 6),
        (format!("stringData:\n  a: &x {CANARY}\n  b: *x\n"), 8, 6),
        (format!("stringData:\n  <<: {{a: {CANARY}}}\n"), 7, 3),
        (format!("data:\n  b: {}\n  <<: {{a: {}}}\n", b64(CANARY), b64(CANARY)), 8, 3),
        (format!("data: &d\n  a: {}\nstringData: *d\n", b64(CANARY)), 8, 1),
    ] {
        let t = repo();
        t.write(SOURCE, secret("db", &body));
        let _ = refused(&t, &["seal", SOURCE], 4).says(&format!("{SOURCE}:{line}:")).says("  hint: ");
        let _ = column;
    }
}

#[test]
fn values_that_readers_disagree_on() {
    for bad in [
        "5",
        "-1",
        "+7",
        "0",
        "1.5",
        "1e3",
        ".5",
        "0777",
        "0o17",
        "0x1F",
        "0b11",
        "1_000",
        "190:20:30",
        "true",
        "false",
        "True",
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "n",
        "null",
        "~",
        "",
        "2001-01-01",
        "2001-01-01T00:00:00Z",
        ".inf",
        "-.Inf",
        ".NaN",
        "=",
        "<<",
        "[a]",
        "{a: b}",
        "!!int \"5\"",
        "!!binary aGk=",
        "!x y",
        "12345678901234567890",
        "0777_1",
    ] {
        let t = repo();
        t.write(SOURCE, secret("db", &format!("stringData:\n  good: {CANARY}\n  pin: {bad}\n")));
        let run = refused(&t, &["seal", SOURCE], 4).says(&format!("{SOURCE}:8")).says("pin <redacted>");
        if !bad.starts_with(['[', '{', '!']) {
            let _ = run.says("quote");
        }
        t.write(SOURCE, secret("db", &format!("data:\n  good: {}\n  pin: {bad}\n", b64(CANARY))));
        if !matches!(bad, "" | "~" | "null" | "=" | "<<") {
            let _ = refused(&t, &["seal", SOURCE], 4).says(&format!("{SOURCE}:8")).says("pin <redacted>");
        }
    }
}

#[test]
fn bad_base64() {
    for bad in [
        CANARY.to_owned(),
        format!("{CANARY}=="),
        b64(CANARY).trim_end_matches('=').to_owned(),
        format!("{}=", b64(CANARY)),
        format!("\" {}\"", b64(CANARY)),
        format!("\"{} \"", b64(CANARY)),
        format!("'{}!'", b64(CANARY)),
        format!("\"{}\"", CANARY.replace('-', "_")),
        "\"====\"".to_owned(),
        "a".to_owned(),
    ] {
        if bad.len() % 4 == 0 && bad.trim_end_matches('=').len() == bad.len() && !bad.contains('-') {
            continue;
        }
        source_refused(
            secret("db", &format!("data:\n  password: {bad}\n")),
            &["not base64", "password <redacted>", "stringData", &format!("{SOURCE}:7:13")],
        );
    }
}

#[test]
fn keys_that_kubernetes_refuses() {
    let long = "k".repeat(254);
    for key in [
        "a/b",
        "\"\"",
        "\".\"",
        "\"..\"",
        "\"..x\"",
        "\"a b\"",
        "ä",
        "\"a\\nb\"",
        "a:b",
        "\"\\u001b[2J\"",
        &long,
        "\"a\\u200bb\"",
    ] {
        let t = repo();
        t.write(SOURCE, secret("db", &format!("stringData:\n  good: {CANARY}\n  {key}: {CANARY}\n")));
        let run = refused(&t, &["seal", SOURCE], 4).says(&format!("{SOURCE}:8:")).says("key").says("  hint: ");
        assert!(!run.stderr.contains('\u{1b}'), "raw escape");
    }
    let t = repo();
    t.write(SOURCE, secret("db", "stringData:\n  a/b: x\n"));
    let _ = refused(&t, &["seal", SOURCE], 4).says("a/b");
    let _ = refused_with(
        &t,
        &["create", "opaque", "x", "-n", "shop-prod", "--stdin", "a/b", "-o", "prod/x.sealed.yaml"],
        CANARY.as_bytes(),
        2,
    )
    .says("a/b");
}

#[test]
fn names_that_kubernetes_refuses() {
    for (name, namespace) in [
        ("Db", "shop-prod"),
        ("db_x", "shop-prod"),
        ("-db", "shop-prod"),
        ("\"\"", "shop-prod"),
        ("db", "Shop"),
        ("db", "a.b"),
        ("5", "shop-prod"),
        ("db", "7"),
        ("db", "true"),
        ("a/b", "shop-prod"),
        ("\"..\"", "shop-prod"),
        ("[a]", "shop-prod"),
    ] {
        let t = repo();
        t.write(SOURCE, format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\nstringData:\n  a: {CANARY}\n"));
        let line = if namespace == "shop-prod" { 4 } else { 5 };
        let _ = refused(&t, &["seal", SOURCE], 4).says(&format!("{SOURCE}:{line}:"));
    }
    let t = repo();
    t.write(SOURCE, format!("apiVersion: v1\nkind: Secret\nmetadata: {{namespace: shop-prod, generateName: db-}}\nstringData: {{a: {CANARY}}}\n"));
    let _ = refused(&t, &["seal", SOURCE], 4).says("name").says(&format!("{SOURCE}:"));
}

#[test]
fn one_byte_more_than_a_mebibyte() {
    let filler = "x".repeat(1024 * 1024 + 1 - CANARY.len());
    source_refused(secret("db", &format!("stringData:\n  big: {CANARY}{filler}\n")), &["1048577", "1048576"]);
    // In all, over several keys, in data as in stringData.
    let half = "x".repeat(512 * 1024);
    source_refused(
        secret("db", &format!("stringData:\n  a: {half}\n  b: {half}\ndata:\n  c: {}\n", b64("y"))),
        &["1048577", "1048576"],
    );
    let t = repo();
    crate::repo::sealed(&t, "prod/db.sealed.yaml", "db", &[("a", "1"), ("b", "2")]);
    t.write("big", vec![b'x'; 1024 * 1024 + 1]);
    let _ = refused(&t, &["set", "prod/db.sealed.yaml", "a", "--from-file", "big"], 4).says("1048577").says("1048576");
    let args = ["create", "opaque", "x", "-n", "shop-prod", "--from-file", "big", "-o", "prod/x.sealed.yaml"];
    let _ = refused(&t, &args, 4).says("1048577");
    // What no document could be is refused before it is read.
    t.write("huge", vec![b'x'; 9 * 1024 * 1024]);
    let _ = refused(&t, &["seal", "huge"], 4).says("8 MiB");
    let _ = refused(&t, &["set", "prod/db.sealed.yaml", "a", "--from-file", "huge"], 4).says("8 MiB");
}

#[test]
fn too_large_for_apply_says_both_ways_out() {
    let big = "x".repeat(190 * 1024);
    source_refused(secret("db", &format!("stringData:\n  big: {big}\n")), &["bytes", "serverSideApply"]);
    let t = repo();
    t.write(".ageseal/policy.yaml", format!("{}serverSideApply: true\n", crate::repo::POLICY));
    t.write(SOURCE, secret("db", &format!("stringData:\n  big: {big}\n")));
    let _ = t.run(&["seal", SOURCE]).ok();
    assert_eq!(crate::repo::get(&t, "prod/db.sealed.yaml", "big"), big);
}

#[test]
fn no_values() {
    for body in ["", "data: {}\n", "data:\n", "stringData: {}\n", "data: {}\nstringData:\n", "data: null\n"] {
        source_refused(secret("db", body), &[&format!("{SOURCE}:"), "no"]);
    }
    for body in [
        "data: []\n",
        "data: x\n",
        "stringData: [a]\n",
        &format!("stringData: {CANARY}\n"),
        &format!("data: {CANARY}\n"),
    ] {
        source_refused(secret("db", body), &[&format!("{SOURCE}:6:")]);
    }
    // The one type whose values come from the cluster.
    let t = repo();
    t.write(
        SOURCE,
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: ci\n  namespace: shop-prod\n  annotations:\n    kubernetes.io/service-account.name: ci\ntype: kubernetes.io/service-account-token\n",
    );
    let _ = t.run(&["seal", SOURCE]).ok();
}

#[test]
fn a_secret_of_another_group_is_none_of_ours() {
    for api in ["example.com/v1", "secrets.example.com/v1beta1", "v2", "v1beta1", "/v1", "core/v1"] {
        let t = repo();
        t.write(
            SOURCE,
            secret("db", &format!("stringData: {{a: {CANARY}}}\n"))
                .replace("apiVersion: v1", &format!("apiVersion: {api}")),
        );
        let before = t.tree();
        let run = refused(&t, &["seal", SOURCE], 4).says(SOURCE);
        assert!(run.stderr.contains("no Secret") || run.stderr.contains("apiVersion"), "{}", run.stderr);
        // In a walk it is another's file.
        let walk = crate::repo::quiet(t.run(&["seal", "prod"]));
        assert!(matches!(walk.code, 0 | 4), "{walk:?}");
        assert_eq!(t.tree(), before);
    }
}

#[test]
fn fields_that_a_secret_does_not_have() {
    source_refused(
        secret("db", &format!("stringdata:\n  a: {CANARY}\n")),
        &["stringdata", "stringData", &format!("{SOURCE}:6:1")],
    );
    source_refused(secret("db", &format!("Data:\n  a: {}\n", b64(CANARY))), &["Data", &format!("{SOURCE}:6:1")]);
    source_refused(
        secret("db", &format!("immutable: \"yes\"\nstringData: {{a: {CANARY}}}\n")),
        &["immutable", &format!("{SOURCE}:6:")],
    );
    source_refused(
        secret("db", &format!("type: 5\nstringData: {{a: {CANARY}}}\n")),
        &["type", &format!("{SOURCE}:6:")],
    );
    source_refused(
        secret("db", &format!("type: {}\nstringData: {{a: {CANARY}}}\n", "t".repeat(70_000))),
        &["type", &format!("{SOURCE}:6:")],
    );
}

#[test]
fn types_have_rules() {
    for (kind, body, needle) in [
        (
            "kubernetes.io/dockerconfigjson",
            format!("  .dockerconfigjson: '{{\"auths\": {{\"r\": {CANARY}'\n"),
            ".dockerconfigjson",
        ),
        ("kubernetes.io/dockerconfigjson", format!("  .dockerconfigjson: '\"{CANARY}\"'\n"), ".dockerconfigjson"),
        ("kubernetes.io/dockerconfigjson", format!("  dockerconfigjson: '{CANARY}'\n"), ".dockerconfigjson"),
        ("kubernetes.io/dockercfg", format!("  .dockercfg: '[{CANARY}]'\n"), ".dockercfg"),
        ("kubernetes.io/basic-auth", format!("  pass: {CANARY}\n"), "username"),
        ("kubernetes.io/ssh-auth", format!("  id_rsa: {CANARY}\n"), "ssh-privatekey"),
        ("kubernetes.io/tls", format!("  tls.crt: {CANARY}\n  tls.key: {CANARY}\n"), "tls.crt"),
        (
            "kubernetes.io/tls",
            format!(
                "  tls.crt: |\n    -----BEGIN CERTIFICATE-----\n    {CANARY}\n    -----END CERTIFICATE-----\n  tls.key: |\n    -----BEGIN PRIVATE KEY-----\n    {}\n    -----END PRIVATE KEY-----\n",
                b64(CANARY)
            ),
            "tls.crt",
        ),
        ("bootstrap.kubernetes.io/token", format!("  token-id: {CANARY}\n  token-secret: {CANARY}\n"), "token-id"),
    ] {
        source_refused(secret("db", &format!("type: {kind}\nstringData:\n{body}")), &[needle, &format!("{SOURCE}:")]);
    }
}

#[test]
fn every_problem_of_every_file_is_told_at_once() {
    let t = repo();
    t.write(
        "prod/a.yaml",
        secret("a", &format!("data:\n  one: {CANARY}\n  two: '{CANARY}!'\nstringData:\n  three: 5\n")),
    );
    t.write(
        "prod/b.yaml",
        format!("{}---\n{}", secret("b", "stringData: {x: 1}\n"), secret("c", &format!("data: {{five: {CANARY}}}\n"))),
    );
    t.write("prod/good.yaml", secret("good", &format!("stringData: {{a: {CANARY}}}\n")));
    let run = refused(&t, &["seal", "prod"], 4);
    for place in ["prod/a.yaml:7:", "prod/a.yaml:8:", "prod/a.yaml:10:", "prod/b.yaml:6:", "prod/b.yaml:13:"] {
        assert!(run.stderr.contains(place), "{place} is missing:\n{}", run.stderr);
    }
    for key in ["one", "two", "three", "x", "five"] {
        assert!(run.stderr.contains(&format!("{key} <redacted>")), "{key} is missing:\n{}", run.stderr);
    }
}

#[test]
fn the_same_secret_twice() {
    source_refused(
        format!(
            "{}---\n{}",
            secret("db", &format!("stringData: {{a: {CANARY}}}\n")),
            secret("db", "stringData: {a: x}\n")
        ),
        &["twice", "db", "  hint: "],
    );
    let t = repo();
    t.write("prod/db.yaml", secret("db", &format!("stringData: {{a: {CANARY}}}\n")));
    t.write("prod/db.secret.yaml", secret("db", "stringData: {a: x}\n"));
    let _ =
        refused(&t, &["seal", "prod"], 4).says("prod/db.sealed.yaml").says("prod/db.yaml").says("prod/db.secret.yaml");
}

#[test]
fn a_list_is_read_item_by_item() {
    source_refused(
        format!(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: db, namespace: shop-prod}}\n  data:\n    a: '{CANARY}!'\n"
        ),
        &["a <redacted>", &format!("{SOURCE}:8:8")],
    );
}

#[test]
fn what_follows_the_password_on_its_line_is_not_committed() {
    let t = repo();
    let source = secret("db", &format!("stringData:\n  password: {CANARY}\n  # old one: {CANARY}\n"));
    t.write(SOURCE, &source);
    let _ = t.run(&["seal", SOURCE]).ok();
    assert_eq!(leak(t.read("prod/db.sealed.yaml").as_bytes()), None);
    holds(&t, SOURCE, &source);
    // A comment elsewhere is refused rather than taken away.
    source_refused(
        format!("# the password is {CANARY}\n{}", secret("db", &format!("stringData:\n  password: {CANARY}\n"))),
        &["comment", "password <redacted>"],
    );
}

#[test]
fn no_path_is_a_usage_error() {
    let t: Scratch = repo();
    for command in ["seal", "open", "get", "set", "unset"] {
        let run = t.run(&[command]).exit(2);
        assert_eq!(run.stdout, "");
    }
    let _ = refused(&t, &["seal", "prod/none.yaml"], 4).says("prod/none.yaml").says("no such file");
}
