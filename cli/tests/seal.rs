//! `seal`: what it writes, what it leaves alone, what it refuses.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use std::fs;

use ageseal_testkit::{age, independent, run};
use repo::{CANARY, b64, changes, get, holds, identity, leak, open, refused, refused_with, repo, secret, state};
use support::{Scratch, built};

const SOURCE: &str = "prod/db.secret.yaml";
const FILE: &str = "prod/db.sealed.yaml";

fn with(body: &str) -> Scratch {
    let t = repo();
    t.write(SOURCE, secret("db", body));
    t
}

#[test]
fn a_source_becomes_a_sealed_file_beside_it() {
    let t = with(&format!("stringData:\n  host: h\n  password: {CANARY}\ndata:\n  bytes: {}\n", b64("\0\u{1}x")));
    let source = t.read(SOURCE);
    let run = t
        .run(&["seal", SOURCE])
        .ok()
        .says("sealed")
        .says(FILE)
        .says("3 values")
        .says("shop-prod/db")
        .says("read by    prod, recovery");
    assert_eq!(run.stdout, "");
    holds(&t, SOURCE, &source);
    assert_eq!(leak(t.read(FILE).as_bytes()), None);
    for name in ["prod", "recovery"] {
        assert!(open(&t, FILE, name).ok().stdout.contains(&b64(CANARY)), "{name}");
    }
    assert_eq!(get(&t, FILE, "bytes"), "\0\u{1}x");
    // Somebody else's programs open it as well.
    let id = identity(&t, "prod");
    let file = t.path(FILE);
    let outcome = run_ok(independent(), &["open", "-i", &id, file.to_str().unwrap()], "");
    let opened: serde_json::Value = serde_json::from_str(&outcome).unwrap();
    assert_eq!(opened[0]["data"]["password"], b64(CANARY));
    let text = t.read(FILE);
    let from = text.find("-----BEGIN AGE").unwrap();
    let armor: String =
        text[from..].lines().map(|line| format!("{}\n", line.trim())).take_while(|line| line != "\n").collect();
    let dek = run_ok(age(), &["-d", "-i", &id], &armor);
    assert!(dek.starts_with("ageseal-dek-v1 ") && dek.len() == 80, "80 bytes of the agreed form");
    // With -q nothing is said.
    let run = t.run(&["seal", "-q", "--fresh", SOURCE]).ok();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
}

fn run_ok(program: &std::path::Path, args: &[&str], stdin: &str) -> String {
    let outcome = run(program, args, stdin);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr_text());
    outcome.stdout_text().to_string()
}

#[test]
fn what_it_opens_to_is_what_kubernetes_would_store() {
    let t = with("type: example.com/x\nimmutable: true\ndata:\n  a: eA==\n  b: eQ==\nstringData:\n  b: z\n");
    let _ = t.run(&["seal", SOURCE]).ok().says("b");
    let opened = open(&t, FILE, "prod").ok().stdout;
    for line in ["type: example.com/x", "immutable: true", "  a: eA==", "  b: eg=="] {
        assert!(opened.contains(line), "{line}\n{opened}");
    }
    // What comes out goes in again.
    t.write("prod/again.yaml", &opened);
    let _ = t.run(&["seal", "prod/again.yaml"]).ok();
    assert_eq!(open(&t, "prod/again.sealed.yaml", "prod").ok().stdout, opened);
    let string_data = t.run(&["open", "--string-data", FILE, "-i", &identity(&t, "prod")]).ok().stdout;
    t.write("prod/text.yaml", string_data);
    let _ = t.run(&["seal", "prod/text.yaml"]).ok();
    assert_eq!(open(&t, "prod/text.sealed.yaml", "prod").ok().stdout, opened);
}

#[test]
fn an_unchanged_source_with_an_identity_touches_nothing() {
    let t = with(&format!("stringData:\n  host: h\n  password: {CANARY}\n"));
    t.write("prod/tls.yaml", secret("other", &format!("stringData:\n  a: {CANARY}\n")));
    let id = identity(&t, "prod");
    let _ = t.run(&["seal", "prod"]).ok();
    let before = state(&t);
    std::thread::sleep(std::time::Duration::from_millis(20));
    for args in
        [&["seal", "prod", "-i", &id][..], &["seal", SOURCE, "-i", &id], &["seal", SOURCE, "-i", &id, "-o", FILE]]
    {
        let run = t.run(args).ok();
        assert!(run.stderr.contains("same"), "{}", run.stderr);
        assert_eq!(changes(&before, &state(&t)), Vec::<String>::new(), "{args:?}");
    }
    assert_eq!(t.run(&["seal", "prod", "-i", &id, "--dry-run"]).code, 0);
    // By the environment too.
    let _ = t.run_with(&["seal", "prod"], b"", &[("AGESEAL_IDENTITY_FILE", &id)]).ok();
    assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
    // Comments and order in the sealed file are no change either.
    let text = t.read(FILE).replace("spec:\n", "# mine\nspec: # too\n");
    t.write(FILE, &text);
    let _ = t.run(&["seal", SOURCE, "-i", &id]).ok();
    holds(&t, FILE, &text);
}

#[test]
fn one_changed_value_changes_its_lines_and_the_envelopes() {
    let t = with("stringData:\n  a: one\n  b: two\n  c: three\n");
    let id = identity(&t, "prod");
    let _ = t.run(&["seal", SOURCE]).ok();
    let before = t.read(FILE);
    t.write(SOURCE, secret("db", "stringData:\n  a: one\n  b: changed\n  c: three\n"));
    assert_eq!(t.run(&["seal", "--dry-run", SOURCE, "-i", &id]).code, 1);
    holds(&t, FILE, &before);
    let _ = t.run(&["seal", SOURCE, "-i", &id]).ok().says("1 of them anew");
    let after = t.read(FILE);
    let values =
        |text: &str| text.lines().filter(|line| line.contains("value: ags1.")).map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (values(&before), values(&after));
    assert_eq!((old[0] == new[0], old[1] == new[1], old[2] == new[2]), (true, false, true));
    let head = |text: &str| text[..text.find("    b:").unwrap()].to_owned();
    assert_eq!(head(&before), head(&after));
    assert!(after.contains(&before[before.find("  envelopes:").unwrap()..]) || after.matches("BEGIN AGE").count() == 2);
    assert_eq!(["a", "b", "c"].map(|key| get(&t, FILE, key)), ["one", "changed", "three"]);
    // Back again: two envelopes at most, and those that nothing refers to are gone.
    t.write(SOURCE, secret("db", "stringData:\n  a: four\n  b: five\n  c: six\n"));
    let _ = t.run(&["seal", SOURCE, "-i", &id]).ok();
    assert_eq!(t.read(FILE).matches("BEGIN AGE").count(), 1);
    assert_eq!(["a", "b", "c"].map(|key| get(&t, FILE, key)), ["four", "five", "six"]);
}

#[test]
fn without_an_identity_everything_is_sealed_anew_and_that_is_said() {
    let t = with("stringData:\n  a: one\n  b: two\n");
    let _ = t.run(&["seal", SOURCE]).ok();
    let before = t.read(FILE);
    let _ = t.run(&["seal", SOURCE]).ok().says("anew").says("no identity");
    assert_ne!(t.read(FILE), before);
    let before = t.read(FILE);
    let _ = t.run(&["seal", SOURCE, "-i", &identity(&t, "prod"), "--fresh"]).ok().says("as asked");
    assert_ne!(t.read(FILE), before);
    // An identity that fits nothing is no help and no error.
    let _ = t.run(&["seal", SOURCE, "-i", &identity(&t, "stranger")]).ok().says("no identity");
    assert_eq!(get(&t, FILE, "a"), "one");
}

#[test]
fn changed_readers_seal_everything_anew() {
    let t = with("stringData:\n  a: one\n");
    let _ = t.run(&["seal", SOURCE]).ok();
    fs::write(t.path(".ageseal/policy.yaml"), repo::POLICY.replace("[prod, recovery]", "[recovery]")).unwrap();
    let _ = t
        .run(&["seal", SOURCE, "-i", &identity(&t, "prod")])
        .ok()
        .says("recipients changed")
        .says("read by    recovery");
    let _ = refused(&t, &["open", FILE, "-i", &identity(&t, "prod")], 3);
    assert!(open(&t, FILE, "recovery").ok().stdout.contains("a: b25l"));
}

#[test]
fn lost_keys_are_refused_without_prune() {
    let t = with("stringData:\n  a: one\n  b: two\n  c: three\n");
    let _ = t.run(&["seal", SOURCE]).ok();
    t.write(SOURCE, secret("db", "stringData:\n  b: two\n"));
    let id = identity(&t, "prod");
    for args in [&["seal", SOURCE][..], &["seal", SOURCE, "-i", &id], &["seal", "prod", "--fresh"]] {
        let _ = refused(&t, args, 4).says("lacks a, c").says("--prune").says(FILE);
    }
    let _ = t.run(&["seal", SOURCE, "-i", &id, "--prune"]).ok().says("dropped a, c");
    assert_eq!(t.run(&["get", FILE, "a", "-i", &id]).code, 2);
    assert_eq!(get(&t, FILE, "b"), "two");
    // A whole document that the source lacks.
    t.write(
        SOURCE,
        format!("{}---\n{}", secret("db", "stringData: {b: two}\n"), secret("more", "stringData: {a: x}\n")),
    );
    let _ = t.run(&["seal", SOURCE, "-i", &id]).ok();
    t.write(SOURCE, secret("db", "stringData: {b: two}\n"));
    let _ = refused(&t, &["seal", SOURCE, "-i", &id], 4).says("more").says("--prune");
    let _ = t.run(&["seal", SOURCE, "-i", &id, "--prune"]).ok();
    assert!(!t.read(FILE).contains("more"));
}

#[test]
fn an_overlay_patch_is_not_sealed_over() {
    let t = with("stringData:\n  a: one\n");
    let _ = t.run(&["seal", SOURCE]).ok();
    let whole = t.read(FILE);
    let scope = "  scope:\n  - 'shop-prod/db'\n";
    let value = whole.lines().find(|line| line.contains("value: ")).unwrap();
    let item = format!("{value}\n      scope:\n      - 'shop-prod/db'");
    let patch = whole.replacen(scope, "", 1).replacen(value, &item, 1);
    for text in [patch.clone(), patch.replacen("  namespace: shop-prod\n", "", 1)] {
        t.write(FILE, &text);
        for args in [&["seal", SOURCE][..], &["seal", SOURCE, "--prune"], &["seal", "prod", "--fresh"]] {
            let run = refused(&t, args, 4).says("shop-prod/db is an overlay patch in this file").says("-o FILE");
            assert!(run.stderr.contains(&format!("{FILE}:1:1")), "{}", run.stderr);
        }
    }
    // Beside a document of another name it is as before: it goes if everything may go that the source lacks.
    t.write(FILE, patch.replacen("name: db", "name: other", 1));
    let _ = refused(&t, &["seal", SOURCE], 4).says("the source lacks other");
    let _ = t.run(&["seal", SOURCE, "--prune"]).ok();
    assert!(t.read(FILE).contains(scope));
}

#[test]
fn a_file_with_other_documents_is_sealed_in_place_only() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}   # odd   spacing\ndata: {a: 'b'}\n";
    let t = repo();
    let text =
        format!("# top\n{config}---\n{}---\n# tail\n{config}", secret("db", &format!("stringData:\n  a: {CANARY}\n")));
    t.write("prod/all.yaml", &text);
    let _ = refused(&t, &["seal", "prod/all.yaml"], 4).says("--in-place").says("ConfigMap").says("prod/all.yaml:2:1");
    let _ = refused(&t, &["seal", "prod"], 4).says("--in-place");
    let _ = t.run(&["seal", "--in-place", "prod/all.yaml"]).ok();
    let after = t.read("prod/all.yaml");
    assert!(after.starts_with(&format!("# top\n{config}---\napiVersion: ageseal.dev/v1alpha1\n")), "{after}");
    assert!(after.ends_with(&format!("---\n# tail\n{config}")), "{after}");
    assert_eq!(get(&t, "prod/all.yaml", "a"), CANARY);
    // Again there is nothing to do.
    let run = t.run(&["seal", "prod"]).ok();
    assert!(run.stderr.contains("no plaintext Secret"), "{}", run.stderr);
    holds(&t, "prod/all.yaml", &after);
}

#[test]
fn in_place_keeps_what_is_not_ours() {
    let source = "# The database.\napiVersion: v1\nkind: Secret   # a secret\nmetadata:\n    name: \"db\"   # quoted\n    namespace: 'shop-prod'\n    # labels\n    labels:\n        app: db\nstringData:\n    password: hunter22hunter\ntype: Opaque\n";
    let lines = ["# The database.", "    name: \"db\"   # quoted", "    namespace: 'shop-prod'"];
    for (what, text) in [
        ("plain", source.to_owned()),
        ("CRLF", source.replace('\n', "\r\n")),
        ("a byte order mark", format!("\u{feff}{source}")),
        ("no newline at the end", source.trim_end().to_owned()),
        ("a document start", format!("---\n{source}")),
    ] {
        let t = repo();
        t.write("prod/db.yaml", &text);
        let _ = t.run(&["seal", "--in-place", "prod/db.yaml"]).ok();
        let after = t.read("prod/db.yaml");
        for line in lines {
            assert!(after.lines().any(|found| found.trim_start_matches('\u{feff}') == line), "{what}: {line}\n{after}");
        }
        assert_eq!(after.starts_with('\u{feff}'), text.starts_with('\u{feff}'), "{what}");
        assert_eq!(after.ends_with('\n'), text.ends_with('\n'), "{what}");
        assert_eq!(after.starts_with("---\n"), text.starts_with("---\n"), "{what}");
        if what == "CRLF" {
            assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{what}");
        } else {
            assert!(!after.contains('\r'), "{what}");
        }
        assert!(!after.contains("hunter22") && !after.contains("stringData"), "{what}");
        assert_eq!(get(&t, "prod/db.yaml", "password"), "hunter22hunter", "{what}");
        assert!(open(&t, "prod/db.yaml", "prod").ok().stdout.contains("app: db"), "{what}: the label is the Secret's");
        // Kustomize reads what was written.
        t.write("prod/kustomization.yaml", "resources: [db.yaml]\n");
        let built = built(&t, "prod");
        let id = identity(&t, "prod");
        let piped = t.run_with(&["get", "-", "password", "-i", &id], built.as_bytes(), &[]).ok();
        assert_eq!(piped.stdout, "hunter22hunter", "{what}");
    }
}

#[test]
fn json_in_place_stays_json() {
    let t = repo();
    for source in [
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"db\",\"namespace\":\"shop-prod\"}},\"data\":{{\"a\":\"{}\"}}}}",
            b64(CANARY)
        ),
        format!(
            "{{\n    \"apiVersion\": \"v1\",\n    \"kind\": \"Secret\",\n    \"metadata\": {{\n        \"name\": \"db\",\n        \"namespace\": \"shop-prod\"\n    }},\n    \"data\": {{\n        \"a\": \"{}\"\n    }}\n}}\n",
            b64(CANARY)
        ),
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"c\"}}}},{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"db\",\"namespace\":\"shop-prod\"}},\"data\":{{\"a\":\"{}\"}}}}]}}",
            b64(CANARY)
        ),
    ] {
        t.write("prod/db.json", &source);
        let _ = t.run(&["seal", "--in-place", "prod/db.json"]).ok();
        let text = t.read("prod/db.json");
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(parsed.to_string().contains("\"SealedSecret\""));
        assert_eq!(leak(text.as_bytes()), None);
        assert_eq!(get(&t, "prod/db.json", "a"), CANARY);
    }
}

#[test]
fn lists_and_streams() {
    let t = repo();
    let item = |name: &str, value: &str| {
        format!(
            "- apiVersion: v1\n  kind: Secret\n  metadata:\n    name: {name}\n    namespace: shop-prod\n  stringData:\n    a: {value}\n"
        )
    };
    let list =
        format!("apiVersion: v1\nkind: List\nitems:\n{}# between\n{}", item("one", "first"), item("two", CANARY));
    t.write("prod/list.yaml", &list);
    let _ = t.run(&["seal", "--in-place", "prod/list.yaml"]).ok().says("one").says("two");
    let text = t.read("prod/list.yaml");
    assert!(
        text.starts_with("apiVersion: v1\nkind: List\nitems:\n- apiVersion: ageseal.dev/v1alpha1\n")
            && text.contains("# between\n"),
        "{text}"
    );
    let id = identity(&t, "prod");
    let value = |file: &str, doc: &str| t.run(&["get", file, "a", "--doc", doc, "-i", &id]).ok().stdout;
    assert_eq!(
        (value("prod/list.yaml", "one"), value("prod/list.yaml", "two")),
        ("first".to_owned(), CANARY.to_owned())
    );
    // Beside, too.
    t.write("prod/other.yaml", &list);
    let _ = t.run(&["seal", "prod/other.yaml"]).ok();
    assert_eq!(value("prod/other.sealed.yaml", "shop-prod/two"), CANARY);
    let before = state(&t);
    let _ = t.run(&["seal", "prod/other.yaml", "-i", &id]).ok().says("same");
    assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
    // A stream through stdin and stdout.
    let stream = format!(
        "{}---\n{}",
        secret("one", "stringData: {a: x}\n"),
        secret("two", &format!("stringData: {{a: {CANARY}}}\n"))
    );
    let sealed = t.run_with(&["seal", "-", "--as", "prod/x"], stream.as_bytes(), &[]).ok();
    assert_eq!(leak(&sealed.bytes), None);
    let opened = t.run_with(&["open", "-", "-i", &id], &sealed.bytes, &[]).ok().stdout;
    assert_eq!((opened.matches("kind: Secret").count(), opened.contains(&b64(CANARY))), (2, true));
}

#[test]
fn a_missing_namespace_says_the_three_ways() {
    let bare = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  a: b\n";
    let t = repo();
    t.write(SOURCE, bare);
    let _ = refused(&t, &["seal", SOURCE], 4)
        .says("metadata.namespace")
        .says("-n NAMESPACE")
        .says("--scope")
        .says(&format!("{SOURCE}:1:1"));
    let _ = refused_with(&t, &["create", "opaque", "db", "--stdin", "a", "-o", FILE], b"x", 4).says("--scope");
    let _ = t.run(&["seal", SOURCE, "-n", "shop-prod"]).ok().says("shop-prod/db").says("-n");
    assert!(t.read(FILE).contains("namespace: shop-prod"));
    t.write("base/db.yaml", bare);
    let _ = t
        .run(&["seal", "base/db.yaml", "--scope", "shop-prod/db", "--scope", "shop-test/db"])
        .ok()
        .says("shop-prod/db, shop-test/db");
    let text = t.read("base/db.sealed.yaml");
    assert!(text.contains("  - 'shop-prod/db'\n  - 'shop-test/db'\n") && !text.contains("namespace:"), "{text}");
    let run = t.run(&["open", "base/db.sealed.yaml", "-i", &identity(&t, "prod")]).ok();
    assert!(!run.stderr.contains("would not open"), "kustomize says where a base goes: {}", run.stderr);
}

#[test]
fn conflicts_name_both_sides() {
    let t = with("stringData:\n  a: b\n");
    let _ = refused(&t, &["seal", SOURCE, "-n", "other"], 4).says("shop-prod").says("other");
    let _ = refused(&t, &["seal", SOURCE, "--scope", "shop-prod/else"], 4).says("shop-prod/else").says("shop-prod/db");
    let _ = refused(&t, &["seal", SOURCE, "-o", "-", "--in-place"], 2);
    t.write("prod/two.yaml", secret("two", "stringData: {a: b}\n"));
    let _ = refused(&t, &["seal", SOURCE, "prod/two.yaml", "-o", "prod/x.yaml"], 2).says("one source");
    let _ = t.run(&["seal", SOURCE, "--scope", "shop-prod/*"]).ok().says("shop-prod/*");
    // The same scope has to be typed again: the file's word for it is not taken.
    let _ = refused(&t, &["seal", SOURCE], 4).says("shop-prod/*").says("shop-prod/db").says("--scope");
    let _ = t.run(&["seal", SOURCE, "--scope", "shop-prod/*"]).ok();
}

#[test]
fn an_existing_file_that_is_something_else_is_not_written_over() {
    let t = with("stringData:\n  a: b\n");
    for other in [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
        "not: an object\n",
        "plain text\n",
        "\u{0}",
        "a: [\n",
    ] {
        t.write(FILE, other);
        let _ = refused(&t, &["seal", SOURCE], 4).says(FILE);
        holds(&t, FILE, other);
    }
}

#[test]
fn what_kubectl_applied_is_dropped_and_said() {
    let applied = format!("{{\\\"data\\\":{{\\\"a\\\":\\\"{}\\\"}}}}", b64(CANARY));
    let t = repo();
    t.write(
        SOURCE,
        format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop-prod\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: \"{applied}\"\n    mine: stays\ndata:\n  a: {}\n", b64(CANARY)),
    );
    for args in [&["seal", SOURCE][..], &["seal", "--in-place", SOURCE]] {
        let run = t.run(args).ok().says("warning: ").says("last-applied-configuration");
        assert_eq!(leak(run.stderr.as_bytes()), None);
    }
    for file in [FILE, SOURCE] {
        let text = t.read(file);
        assert_eq!(leak(text.as_bytes()), None);
        assert!(!text.contains("last-applied") && text.contains("mine: stays"), "{text}");
    }
}
