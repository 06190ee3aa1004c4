//! `check`: what it finds, how it says it, how it ends, and that it never says a value.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::fmt::Write as _;

use ageseal::envelope::FreshDek;
use ageseal::recipient::Recipient;
use ageseal::scope::Scope;
use ageseal::seal::Context;
use ageseal::secret::Plaintext;
use rand_core::OsRng;
use serde_json::Value;
use support::{Run, Scratch};

const CANARY: &str = "canary-hunter2";

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: queue\nstringData:\n  password: canary-hunter2\n";

/// A repository under git whose rule for `prod/**` names `prod` and `recovery`.
struct Shop {
    t: Scratch,
    prod: String,
    recovery: String,
}

impl Shop {
    fn new() -> Self {
        let t = Scratch::new();
        let _ = t.shell("git init -q").ok();
        let (prod, recovery) = (t.identity("prod"), t.identity("recovery"));
        t.write(".ageseal/recipients/prod.pub", format!("{prod}\n"));
        t.write(".ageseal/recipients/recovery.pub", format!("{recovery}\n"));
        t.write(
            ".ageseal/policy.yaml",
            "apiVersion: ageseal.dev/v1alpha1\nkind: Policy\nrules:\n- paths: [\"prod/**\"]\n  recipients: [prod, recovery]\n  scopes: [\"shop-prod/*\"]\nallow:\n- paths: [\"docs/**\"]\n  reason: invented values\n",
        );
        Self { t, prod, recovery }
    }

    /// A sealed document for both.
    fn sealed(&self, scope: &str) -> String {
        document(scope, &[&self.prod, &self.recovery])
    }

    fn check(&self, arguments: &[&str]) -> Run {
        let arguments: Vec<&str> = ["check"].into_iter().chain(arguments.iter().copied()).collect();
        self.t.run(&arguments).never_says(CANARY).never_says("Y2FuYXJ5")
    }

    fn json(&self, arguments: &[&str], exit: i32) -> Vec<Value> {
        let arguments: Vec<&str> = ["--json"].into_iter().chain(arguments.iter().copied()).collect();
        serde_json::from_str(&self.check(&arguments).exit(exit).stdout).unwrap()
    }

    /// The codes of a run, with their paths.
    fn codes(&self, arguments: &[&str], exit: i32) -> Vec<(String, String)> {
        let text = |record: &Value, field: &str| record[field].as_str().unwrap().to_owned();
        self.json(arguments, exit).iter().map(|record| (text(record, "code"), text(record, "path"))).collect()
    }
}

/// A sealed document `shop-prod/db` with one value.
fn document(scope: &str, recipients: &[&str]) -> String {
    let recipients: Vec<Recipient> = recipients.iter().map(|text| text.parse().unwrap()).collect();
    let recipients: Vec<&Recipient> = recipients.iter().collect();
    let dek = FreshDek::generate(&mut OsRng);
    let file = dek.wrap(&recipients).unwrap();
    let patterns = Scope::parse_sorted(&[scope]).unwrap();
    let context = Context { secret_type: "Opaque", key: "password", scope: &patterns };
    let value = dek.seal(context, &Plaintext::new(CANARY.as_bytes().to_vec()), &mut OsRng).unwrap();
    let ids: Vec<_> = file.recipients.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: shop-prod\nspec:\n  scope:\n  - '{scope}'\n  encryptedData:\n    password:\n      value: {value}\n  envelopes:\n    {}:\n      recipients: [{}]\n      age: |\n",
        dek.kid().map_key(),
        ids.join(", ")
    );
    for line in file.age.lines() {
        writeln!(text, "        {line}").unwrap();
    }
    text
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(code, path)| ((*code).to_owned(), (*path).to_owned())).collect()
}

#[test]
fn a_clean_repository_ends_with_0() {
    let shop = Shop::new();
    shop.t.write("prod/db.sealed.yaml", shop.sealed("shop-prod/db"));
    let run = shop.check(&[]).ok();
    assert!(run.stdout.starts_with("no findings in 2 files (") && run.stdout.ends_with(" s)\n"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
    let quiet = shop.check(&["-q"]).ok();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    assert_eq!(shop.json(&[], 0), Vec::<Value>::new());
    assert_eq!(shop.check(&["--format", "github"]).ok().stdout, "");
}

#[test]
fn every_finding_of_every_file_is_told_in_one_run() {
    let shop = Shop::new();
    shop.t.write("base/queue.yaml", SECRET);
    shop.t.write("prod/a.sealed.yaml", shop.sealed("shop-prod/p-db"));
    shop.t.write("prod/b.sealed.yaml", document("shop-prod/db", &[&shop.prod]));
    let run = shop.check(&[]).exit(1);
    let said: Vec<&str> = run.stdout.lines().collect();
    let b = shop.recovery.parse::<Recipient>().unwrap().id();
    assert_eq!(
        said[..10],
        [
            "error: plaintext Secret",
            "  base/queue.yaml:6:3   kind Secret, queue: stringData.password <redacted>",
            "  hint: ageseal seal --in-place base/queue.yaml",
            "error: will not open where it is deployed",
            "  prod/a.sealed.yaml:7:3   sealed for shop-prod/p-db",
            "                           this document is shop-prod/db",
            "  hint: undo the change of name or namespace, or seal it again from its source for where it is now",
            "error: not sealed for everybody in the policy",
            &format!("  prod/b.sealed.yaml:13:5   shop-prod/db: not sealed for recovery ({b})"),
            "  hint: seal it again from its source: that takes the recipients of the policy",
        ]
    );
    assert!(said[10].starts_with("3 findings in 4 files ("), "{}", said[10]);
    assert_eq!(said.len(), 11);
}

#[test]
fn without_a_path_the_whole_repository_is_checked_from_any_folder() {
    let shop = Shop::new();
    shop.t.write("base/queue.yaml", SECRET);
    shop.t.write("prod/deep/x.yaml", "a: 1\n");
    let run = shop.t.shell("cd prod/deep && ageseal check").exit(1);
    assert!(run.stdout.contains("  ../../base/queue.yaml:6:3   "), "{}", run.stdout);
    assert!(run.stdout.contains("1 finding in 3 files below ../.. ("), "{}", run.stdout);
    let run = shop.t.shell("cd prod/deep && ageseal check --json").exit(1);
    assert!(run.stdout.contains("\"path\": \"base/queue.yaml\""), "{}", run.stdout);
    assert_eq!(shop.codes(&["prod"], 0), []);
}

#[test]
fn json_is_a_list_of_findings() {
    let shop = Shop::new();
    shop.t.write("base/queue.yaml", SECRET);
    shop.t.write("prod/db.sealed.yaml", document("shop-prod/db", &[&shop.prod]));
    let found = shop.json(&[], 1);
    let expected = serde_json::json!({
        "code": "plaintext-secret",
        "severity": "error",
        "path": "base/queue.yaml",
        "line": 6,
        "column": 3,
        "message": "plaintext Secret: kind Secret, queue: stringData.password <redacted>",
        "hint": "ageseal seal --in-place base/queue.yaml",
    });
    assert_eq!(found[0], expected);
    assert_eq!((found.len(), &found[1]["code"]), (2, &Value::from("missing-recipient")));
}

#[test]
fn sarif_has_its_shape() {
    let shop = Shop::new();
    shop.t.write("base/a b.yaml", SECRET);
    let run = shop.check(&["--format", "sarif"]).exit(1);
    let sarif: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(sarif["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let driver = &sarif["runs"][0]["tool"]["driver"];
    assert_eq!(driver["name"], "ageseal");
    let result = &sarif["runs"][0]["results"][0];
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(driver["rules"][index]["id"], "plaintext-secret");
    assert_eq!((&result["ruleId"], &result["level"]), (&"plaintext-secret".into(), &"error".into()));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "base/a%20b.yaml");
    assert_eq!(place["region"], serde_json::json!({"startLine": 6, "startColumn": 3}));
    let text = result["message"]["text"].as_str().unwrap();
    assert!(text.starts_with("plaintext Secret: ") && text.contains("\nhint: ageseal seal"), "{text}");
}

#[test]
fn github_annotations_stand_at_their_lines() {
    let shop = Shop::new();
    shop.t.write("base/a,b.yaml", SECRET);
    let run = shop.check(&["--format", "github"]).exit(1);
    assert_eq!(
        run.stdout,
        "::error file=base/a%2Cb.yaml,line=6,col=3,title=ageseal plaintext-secret::plaintext Secret: kind Secret, queue: stringData.password <redacted>%0Ahint: ageseal seal --in-place base/a,b.yaml\n"
    );
}

#[test]
fn the_allow_list_is_counted() {
    let shop = Shop::new();
    shop.t.write("docs/a.yaml", SECRET);
    let run = shop.check(&[]).ok();
    assert!(run.stdout.starts_with("no findings, 1 allowed plaintext in 2 files"), "{}", run.stdout);
}

#[test]
fn what_git_ignores_is_one_note_with_a_line_a_file() {
    let shop = Shop::new();
    shop.t.write(".gitignore", "*.secret.yaml\n");
    for name in ["a", "b"] {
        shop.t.write(format!("prod/{name}.secret.yaml"), SECRET);
    }
    shop.t.write("prod/c.secret.yaml", format!("{SECRET}---\n{SECRET}---\n{SECRET}"));
    shop.t.write("prod/d.sealed.yaml", document("shop-prod/db", &[&shop.prod]));
    let run = shop.check(&[]).exit(1);
    let said: Vec<&str> = run.stdout.lines().collect();
    let secret = "kind Secret, queue: stringData.password <redacted>";
    assert!(said[0].starts_with("error: "), "what must be acted on comes first: {}", run.stdout);
    assert_eq!(
        said[3..7],
        [
            "note: plaintext Secret, ignored by git",
            &format!("  prod/a.secret.yaml:6:3   {secret}"),
            &format!("  prod/b.secret.yaml:6:3   {secret}"),
            &format!("  prod/c.secret.yaml:6:3   {secret}; and 2 more"),
        ]
    );
    assert!(said[7].starts_with("1 finding, 5 notes in 5 files ("), "{}", run.stdout);
    assert_eq!(shop.json(&[], 1).len(), 6);
}

#[test]
fn of_a_file_with_very_many_findings_a_hundred_are_told_in_every_format() {
    let shop = Shop::new();
    shop.t.write("prod/many.yaml", "---\nkind: SealedSecret\n".repeat(5_000));
    shop.t.write("prod/one.yaml", SECRET);
    let found = shop.json(&[], 1);
    let all = found.len();
    let of = |path: &str| found.iter().filter(|one| one["path"] == path).collect::<Vec<_>>();
    let many = of("prod/many.yaml");
    let more = *many.last().unwrap();
    assert_eq!((many.len(), of("prod/one.yaml").len()), (101, 1));
    assert_eq!((&more["code"], &more["severity"]), (&"more-findings".into(), &"error".into()));
    let left_out = |text: &str| {
        let number = text.split("and ").last().unwrap().strip_suffix(" more in this file").unwrap();
        number.parse::<usize>().unwrap()
    };
    let rest = left_out(more["message"].as_str().unwrap());
    assert!(rest >= 4_900, "{more}");

    let run = shop.check(&[]).exit(1);
    let line = format!("  prod/many.yaml   and {rest} more in this file");
    assert!(run.stdout.lines().any(|said| said == line), "{line}");
    assert!(run.stdout.contains(&format!("\n{} findings in 3 files (", rest + all - 1)), "{}", last(&run));
    let sarif: Value = serde_json::from_str(&shop.check(&["--format", "sarif"]).exit(1).stdout).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), all);
    assert!(results.iter().any(|result| result["ruleId"] == "more-findings" && result["level"] == "error"));
    let run = shop.check(&["--format", "github"]).exit(1);
    assert_eq!(run.stdout.lines().count(), all);
    assert!(run.stdout.contains("::error file=prod/many.yaml,title=ageseal more-findings::"), "{}", last(&run));
    // The whole list is `show`'s business.
    let shown = shop.t.run(&["show", "--json", "prod/many.yaml"]).ok().stdout;
    assert_eq!(shown.matches("\"wellFormed\": false").count(), 5_000);
    let run = shop.t.run::<&str>(&[]).ok();
    assert!(run.stdout.contains("(100 or more)"), "{}", run.stdout);
}

fn last(run: &Run) -> &str {
    run.stdout.lines().last().unwrap_or_default()
}

#[test]
fn a_folder_that_some_file_system_takes_for_that_of_the_policy_is_told() {
    let shop = Shop::new();
    shop.t.write(".AGESEAL/recipients/prod.pub", "# nothing that is read\n");
    shop.t.write("apps/.Ageseal/policy.yaml", "rules: []\n");
    let expected = pairs(&[("second-policy", ".AGESEAL"), ("second-policy", "apps/.Ageseal")]);
    assert_eq!(shop.codes(&[], 1), expected);
    let run = shop.t.shell("cd prod 2>/dev/null || mkdir prod && cd prod && ageseal check").exit(1);
    assert!(run.stdout.contains("  ../.AGESEAL   .AGESEAL is .ageseal itself where letter case"), "{}", run.stdout);
    // Named alone, by a hook that passes what changed.
    assert_eq!(shop.codes(&["apps/.Ageseal/policy.yaml"], 1), expected[1..]);
    // A link of that name is as good as a folder.
    std::fs::remove_dir_all(shop.t.path(".AGESEAL")).unwrap();
    std::fs::remove_dir_all(shop.t.path("apps")).unwrap();
    assert_eq!(shop.codes(&[], 0), []);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("elsewhere", shop.t.path(".AgeSeal")).unwrap();
        assert_eq!(shop.codes(&[], 1), pairs(&[("second-policy", ".AgeSeal")]));
    }
}

#[test]
fn git_decides_between_a_note_an_error_and_a_leak() {
    let shop = Shop::new();
    shop.t.write(".gitignore", "*.secret.yaml\n");
    shop.t.write("prod/a.secret.yaml", SECRET);
    assert_eq!(shop.codes(&[], 0), pairs(&[("ignored-plaintext", "prod/a.secret.yaml")]));
    let run = shop.check(&[]).ok();
    assert!(
        run.stdout.starts_with("note: plaintext Secret, ignored by git\n  prod/a.secret.yaml:6:3   kind"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("no findings, 1 note in 2 files"), "{}", run.stdout);
    assert_eq!(shop.check(&["-q"]).ok().stdout, "");
    // Tracked all the same.
    let commit = "git -c user.name=a -c user.email=a@example.com commit -q -m";
    let _ = shop.t.shell(&format!("git add -f prod/a.secret.yaml && {commit} a")).ok();
    let found = shop.json(&[], 1);
    assert_eq!(found[0]["code"], "plaintext-secret");
    assert!(found[0]["hint"].as_str().unwrap().ends_with("git history keeps these"), "{found:?}");
    // Not tracked any more, and never gone from the history.
    shop.t.write("old.yaml", SECRET);
    let _ = shop.t.shell(&format!("git add old.yaml && {commit} b && git rm -q --cached old.yaml && {commit} c")).ok();
    let found = shop.json(&["old.yaml"], 1);
    assert!(found[0]["hint"].as_str().unwrap().ends_with("git history keeps these"), "{found:?}");
}

#[test]
fn strict_takes_superseded_keys_for_errors() {
    let shop = Shop::new();
    let old = shop.t.identity("old");
    shop.t.write(".ageseal/recipients/prod.pub", format!("{}\n# superseded, until 2999-01-01\n{old}\n", shop.prod));
    shop.t.write("prod/db.sealed.yaml", document("shop-prod/db", &[&old, &shop.recovery]));
    let expected = pairs(&[("superseded-recipient", "prod/db.sealed.yaml")]);
    assert_eq!(shop.codes(&[], 0), expected);
    assert_eq!(shop.codes(&["--strict"], 1), expected);
    shop.t.write(".ageseal/recipients/prod.pub", format!("{}\n# superseded, until 2001-01-01\n{old}\n", shop.prod));
    assert_eq!(shop.codes(&[], 1), expected);
}

#[test]
fn an_identity_proves_that_everything_opens() {
    let shop = Shop::new();
    shop.t.write("prod/db.sealed.yaml", shop.sealed("shop-prod/db"));
    shop.t.write("prod/two.sealed.yaml", shop.sealed("shop-prod/db"));
    let run = shop.check(&["-i", "recovery.txt"]).ok();
    assert!(run.stdout.starts_with("no findings, 2 values opened in 3 files"), "{}", run.stdout);
    let _ = shop.t.identity("stranger");
    let found = shop.json(&["-i", "stranger.txt"], 1);
    assert_eq!((found.len(), &found[0]["code"]), (2, &"not-a-recipient".into()));
    let moved = shop.sealed("shop-prod/db").replace("    password:", "    passwort:");
    shop.t.write("prod/two.sealed.yaml", moved);
    assert_eq!(shop.codes(&[], 0), []);
    assert_eq!(shop.codes(&["-i", "prod.txt"], 1), pairs(&[("cannot-open", "prod/two.sealed.yaml")]));
    let _ = shop.check(&["-i", "none.txt"]).exit(4);
}

#[test]
fn a_stream_is_checked_as_it_will_be_deployed() {
    let shop = Shop::new();
    let stream = format!("{SECRET}---\n{}", shop.sealed("shop-prod/db-{hash}"));
    let run = shop.t.run_with(&["check", "-"], stream.as_bytes(), &[]).exit(1).never_says(CANARY);
    assert!(run.stdout.contains("  <stdin>:6:3   kind Secret, queue"), "{}", run.stdout);
    assert!(run.stdout.contains("error: will not open where it is deployed\n"), "{}", run.stdout);
    assert!(run.stdout.contains("2 findings in 1 file ("), "{}", run.stdout);
    // Rule and readers only with a path.
    let stream = document("shop-prod/db", &[&shop.prod]);
    let _ = shop.t.run_with(&["check", "-"], stream.as_bytes(), &[]).ok();
    let run = shop.t.run_with(&["check", "-", "--as", "prod/db.yaml", "--json"], stream.as_bytes(), &[]).exit(1);
    assert!(run.stdout.contains("missing-recipient") && run.stdout.contains("prod/db.yaml"), "{}", run.stdout);
    let run = shop.t.run_with(&["check", "-", "--as", "test/db.yaml", "--json"], stream.as_bytes(), &[]).exit(1);
    assert!(run.stdout.contains("\"no-rule\""), "{}", run.stdout);
    let _ = shop.t.run(&["check", "-"]).exit(4).says("the input is empty");
    let _ = shop.t.run(&["check", "--as", "prod/x.yaml"]).exit(2).says("--as");
}

#[test]
fn sealed_files_without_a_policy_are_an_error_that_says_init() {
    let t = Scratch::new();
    let recipient = t.identity("a");
    t.write("x.sealed.yaml", document("shop-prod/db", &[&recipient]));
    for script in ["ageseal check", "git init -q && ageseal check"] {
        let run = t.shell(script).exit(1);
        assert!(
            run.stdout.starts_with("error: no policy\n  .ageseal/policy.yaml   1 sealed document, and"),
            "{}",
            run.stdout
        );
        assert!(run.stdout.contains("  hint: ageseal init\n"), "{}", run.stdout);
    }
    let t = Scratch::new();
    t.write("x.yaml", "a: 1\n");
    let _ = t.run(&["check"]).ok();
}

#[test]
fn a_policy_that_cannot_be_read_judges_nothing() {
    let shop = Shop::new();
    shop.t.write(".ageseal/policy.yaml", "rules: [\n");
    let _ = shop.check(&[]).exit(4).says(".ageseal/policy.yaml");
}

#[test]
fn a_second_policy_and_a_bad_first_one_are_found() {
    let shop = Shop::new();
    shop.t.write("apps/.ageseal/policy.yaml", "rules: []\n");
    shop.t.write("apps/x.yaml", SECRET);
    std::fs::remove_file(shop.t.path(".ageseal/recipients/recovery.pub")).unwrap();
    let expected = pairs(&[
        ("bad-policy", ".ageseal/policy.yaml"),
        ("second-policy", "apps/.ageseal/policy.yaml"),
        ("plaintext-secret", "apps/x.yaml"),
    ]);
    assert_eq!(shop.codes(&[], 1), expected);
}

#[test]
fn a_patch_is_listed_by_any_kustomization_of_the_repository() {
    let shop = Shop::new();
    let sealed = shop.sealed("shop-prod/db");
    // The document's scope becomes the item's own; the envelope may stay shared.
    let patch = sealed
        .replace("  scope:\n  - 'shop-prod/db'\n", "")
        .replace("    password:\n", "    password:\n      scope: ['shop-prod/db']\n");
    shop.t.write("prod/db.patch.yaml", patch);
    assert_eq!(shop.codes(&[], 1), pairs(&[("patch-not-listed", "prod/db.patch.yaml")]));
    shop.t.write("prod/Kustomization", "patches:\n- path: db.patch.yaml\n");
    assert_eq!(shop.codes(&[], 0), []);
    assert_eq!(shop.codes(&["prod/db.patch.yaml"], 0), []);
    std::fs::remove_file(shop.t.path("prod/Kustomization")).unwrap();
    shop.t.write("other/kustomization.yaml", "patchesStrategicMerge: [../prod/db.patch.yaml]\n");
    assert_eq!(shop.codes(&[], 0), []);
    assert_eq!(shop.codes(&["prod/db.patch.yaml"], 0), []);
}

#[test]
fn a_repository_in_the_repository_has_its_own_policy() {
    let shop = Shop::new();
    shop.t.write("prod/db.sealed.yaml", shop.sealed("shop-prod/db"));
    let _ = shop.t.shell("git init -q module && cp -r .ageseal module/ && cp -r prod module/prod").ok();
    let _ = shop.check(&[]).ok();
    shop.t.write("module/other/db.sealed.yaml", shop.sealed("shop-prod/db"));
    assert_eq!(shop.codes(&[], 1), pairs(&[("no-rule", "module/other/db.sealed.yaml")]));
}

#[test]
fn what_cannot_be_read_is_told_beside_the_findings() {
    let shop = Shop::new();
    shop.t.write("base/queue.yaml", SECRET);
    shop.t.write("base/broken.yaml", "kind: Secret\nstringData: {p: canary-hunter2\n");
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(SECRET.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    shop.t.write("base/wide.yaml", utf16);
    shop.t.write("base/empty.yaml", "");
    let expected = pairs(&[
        ("unreadable", "base/broken.yaml"),
        ("plaintext-secret", "base/queue.yaml"),
        ("unreadable", "base/wide.yaml"),
    ]);
    assert_eq!(shop.codes(&[], 1), expected);
    let _ = shop.check(&["none"]).exit(4).says("there is no such file or folder");
    std::fs::create_dir(shop.t.path("nothing")).unwrap();
    let _ = shop.check(&["nothing"]).exit(2).says("there is no YAML or JSON file to check");
}

#[test]
fn names_from_files_cannot_steer_the_terminal() {
    let shop = Shop::new();
    shop.t.write("a.yaml", "kind: Secret\nmetadata: {name: \"x\\e[31m\"}\nstringData: {\"k\\ny\": z}\n");
    let run = shop.check(&[]).exit(1);
    assert!(!run.stdout.contains('\u{1b}') && run.stdout.lines().count() == 4, "{}", run.stdout);
}

#[test]
fn nothing_is_written() {
    let shop = Shop::new();
    shop.t.write("base/queue.yaml", SECRET);
    shop.t.write("prod/db.sealed.yaml", shop.sealed("shop-prod/db"));
    let before = shop.t.tree();
    let _ = shop.check(&["-i", "prod.txt"]).exit(1);
    assert!(shop.t.tree() == before, "check changed a file");
}
