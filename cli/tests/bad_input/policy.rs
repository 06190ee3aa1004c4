//! Policies and recipients files that are not what they have to be.

use std::fs;

use crate::repo::{CANARY, POLICY, keys, open, refused, refused_with, repo, sealed, secret};
use crate::support::{Run, Scratch};

const SOURCE: &str = "prod/db.secret.yaml";
const PUB: &str = ".ageseal/recipients/prod.pub";
const POLICY_FILE: &str = ".ageseal/policy.yaml";

fn with_source() -> Scratch {
    let t = repo();
    t.write(SOURCE, secret("db", &format!("stringData:\n  password: {CANARY}\n")));
    t
}

/// Refused by each command that seals.
#[track_caller]
fn no_sealing(t: &Scratch) -> Run {
    let _ = refused_with(
        t,
        &["create", "opaque", "x", "-n", "shop-prod", "--stdin", "a", "-o", "prod/x.sealed.yaml"],
        CANARY.as_bytes(),
        4,
    );
    if t.path("prod/old.sealed.yaml").exists() {
        let _ = refused_with(t, &["set", "prod/old.sealed.yaml", "a"], CANARY.as_bytes(), 4);
    }
    let _ = refused(t, &["seal", "--in-place", SOURCE], 4);
    let _ = refused(t, &["seal", "--dry-run", SOURCE], 4);
    refused(t, &["seal", SOURCE], 4)
}

#[test]
fn a_recipients_file_with_a_typo() {
    let t = with_source();
    sealed(&t, "prod/old.sealed.yaml", "old", &[("a", "b")]);
    let good = &keys()["prod"].recipient;
    let mut typo = good.clone();
    let last = typo.pop().unwrap();
    typo.push(if last == 'q' { 'p' } else { 'q' });
    t.write(PUB, format!("# the cluster\n{typo}\n"));
    let _ = no_sealing(&t).says(&format!("{PUB}:2:1")).never_says(&typo[..40]);
    t.write(PUB, format!("{good} extra words\n"));
    let _ = no_sealing(&t).says(&format!("{PUB}:1:1"));
    t.write(PUB, "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq\n");
    let _ = no_sealing(&t).says(&format!("{PUB}:1:1"));
    t.write(PUB, format!("{good}\n{good}\n"));
    let _ = no_sealing(&t).says(&format!("{PUB}:2:1")).says("twice");
    t.write(PUB, format!("# superseeded, until 2030-01-01\n{good}\n"));
    let _ = t.run(&["seal", SOURCE]);
    t.write(PUB, format!("# superseded 2030\n{good}\n"));
    let _ = refused(&t, &["seal", SOURCE, "-o", "prod/y.sealed.yaml"], 4).says(&format!("{PUB}:1:1"));
}

#[test]
fn a_private_key_in_a_recipients_file_is_refused_loudly() {
    for key in [
        keys()["prod"].identity.clone(),
        format!("{}\n{}", keys()["recovery"].recipient, keys()["prod"].identity),
        keys()["prod"].identity.lines().last().unwrap().to_lowercase(),
        format!("# {}", keys()["prod"].identity.lines().last().unwrap()),
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n"
            .to_owned(),
    ] {
        let t = with_source();
        sealed(&t, "prod/old.sealed.yaml", "old", &[("a", "b")]);
        t.write(PUB, &key);
        let body = keys()["prod"].identity.lines().last().unwrap()[20..60].to_owned();
        let run = no_sealing(&t).says(PUB).says("private key").never_says(&body).never_says(&body.to_lowercase());
        assert!(run.stderr.contains("change") || run.stderr.contains("history"), "what to do: {}", run.stderr);
        // In a file that was named by hand as well, and on the command line.
        let t = with_source();
        t.write("hand.txt", &key);
        let _ =
            refused(&t, &["seal", SOURCE, "-R", "hand.txt"], 4).says("hand.txt").says("private key").never_says(&body);
        let line = keys()["prod"].identity.lines().last().unwrap();
        let _ = refused(&t, &["seal", SOURCE, "-r", line], 2).never_says(&body);
    }
    // In the policy itself, where a name belongs.
    let t = with_source();
    let line = keys()["prod"].identity.lines().last().unwrap();
    t.write(POLICY_FILE, POLICY.replace("[prod, recovery]", &format!("[prod, {line}]")));
    let _ = no_sealing(&t).says(&format!("{POLICY_FILE}:5:")).says("private key").never_says(&line[20..60]);
}

#[test]
fn a_recipients_file_from_windows_is_read() {
    let t = with_source();
    let prod = &keys()["prod"].recipient;
    t.write(PUB, format!("\u{feff}# the cluster\r\n\r\n  {prod}  \r\n"));
    let _ = t.run(&["seal", SOURCE]).ok();
    assert!(open(&t, "prod/db.sealed.yaml", "prod").ok().stdout.contains("password"));
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(prod.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    t.write(PUB, utf16);
    let _ = no_sealing(&t).says("UTF-16").says("UTF-8").says(PUB);
    t.write(PUB, b"\xff\n");
    let _ = no_sealing(&t).says("UTF-8").says(PUB);
}

#[test]
fn ten_thousand_lines() {
    let t = with_source();
    t.write(PUB, "# x\n".repeat(10_000));
    let _ = no_sealing(&t).says(PUB).says("10000").says("1000");
    t.write(PUB, "x".repeat(5 * 1024 * 1024));
    let _ = refused(&t, &["seal", SOURCE], 4).says(PUB).says("4 MiB");
}

#[test]
fn a_recipients_file_without_recipients() {
    let t = with_source();
    let prod = &keys()["prod"].recipient;
    for content in ["", "# nobody yet\n", &format!("# superseded, until 2030-01-01\n{prod}\n")] {
        t.write(PUB, content);
        let _ = no_sealing(&t).says("prod").says("recipient");
    }
    fs::remove_file(t.path(PUB)).unwrap();
    let _ = no_sealing(&t).says("prod").says(&format!("{POLICY_FILE}:5:")).says("ageseal recipients add prod");
    t.write(PUB, format!("{prod}\n"));
    t.write(POLICY_FILE, POLICY.replace("[prod, recovery]", "[prd, recovery]"));
    let _ = no_sealing(&t).says("prd").says("did you mean prod?");
    t.write(POLICY_FILE, POLICY.replace("[prod, recovery]", "[]"));
    let _ = no_sealing(&t).says(&format!("{POLICY_FILE}:5:"));
    t.write(POLICY_FILE, POLICY.replace("  recipients: [prod, recovery]\n", ""));
    let _ = no_sealing(&t).says(POLICY_FILE).says("recipients");
}

#[test]
fn post_quantum_and_classic_recipients_together() {
    let t = with_source();
    let classic = t.run(&["keygen", "--classic", "-q", "-o", "-"]).ok().stdout;
    let classic = classic.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
    t.write(".ageseal/recipients/recovery.pub", format!("# paper\n{classic}\n"));
    let _ = no_sealing(&t).says("recovery").says(".ageseal/recipients/recovery.pub:2").says("odd one");
    t.write(PUB, format!("{}\n{classic}\n", keys()["prod"].recipient));
    let _ = no_sealing(&t).says("odd one");
    let _ = refused(&t, &["seal", SOURCE, "-r", &classic, "-r", &keys()["prod"].recipient], 2).says("odd one");
    // All of one kind is fine.
    t.write(PUB, format!("{classic}\n"));
    let _ = t.run(&["seal", SOURCE]).ok();
}

#[test]
fn no_policy() {
    let t = with_source();
    fs::remove_dir_all(t.path(".ageseal")).unwrap();
    let _ = no_sealing(&t).says("ageseal init");
    fs::create_dir(t.path(".ageseal")).unwrap();
    let _ = no_sealing(&t).says("no policy").says("ageseal init");
    // Recipients that are typed need none.
    let _ = t.run(&["seal", SOURCE, "-r", &keys()["prod"].recipient]).ok();
    let _ = refused(&t, &["seal", SOURCE, "-r", "prod", "-o", "prod/z.yaml"], 2).says("prod");
    let _ =
        refused_with(&t, &["seal", "-"], secret("db", "stringData: {a: b}\n").as_bytes(), 2).says("-r").says("--as");
}

#[test]
fn a_second_policy_below_the_first() {
    let t = with_source();
    sealed(&t, "prod/old.sealed.yaml", "old", &[("a", "b")]);
    t.write("prod/.ageseal/policy.yaml", POLICY.replace("prod/**", "**").replace("[prod, recovery]", "[prod]"));
    t.write("prod/.ageseal/recipients/prod.pub", format!("{}\n", keys()["stranger"].recipient));
    for git in [false, true] {
        if git {
            let _ = t.shell("git init -q").ok();
        }
        let _ = no_sealing(&t).says("prod/.ageseal").says("below the top").says(".ageseal/policy.yaml");
        let _ = t.shell("cd prod && ageseal seal db.secret.yaml").exit(4).says("below the top");
    }
    // An empty folder of that name would do as well, once somebody fills it.
    fs::remove_dir_all(t.path("prod/.ageseal")).unwrap();
    fs::create_dir(t.path("prod/.ageseal")).unwrap();
    let _ = no_sealing(&t).says("prod/.ageseal");
}

#[test]
fn a_policy_that_is_none() {
    for (content, needle) in [
        (String::new(), "empty"),
        ("# nothing\n".to_owned(), "empty"),
        ("x: y\n".to_owned(), "apiVersion"),
        (POLICY.replace("rules:", "rulez:"), "rules"),
        (POLICY.replace("  recipients: [test]", "  recipient: [test]"), "recipients"),
        (POLICY.replace("paths: [\"test/**\"]", "path: [\"test/**\"]"), "paths"),
        (POLICY.replace("  scopes: [\"shop-test/*\"]\n", ""), "scopes"),
        (POLICY.replace("\"shop-test/*\"]\n", "\"shop-test\"]\n"), "scope"),
        (POLICY.replace("\"shop-test/*\"]\n", "\"***/*\"]\n"), "scope"),
        (POLICY.replace("[\"test/**\"]", "\"test/**\""), "paths"),
        (POLICY.replace("[\"test/**\"]", "[\"../test/**\"]"), "path"),
        (POLICY.replace("[\"test/**\"]", "[\"/test/**\"]"), "path"),
        (POLICY.replace("[\"test/**\"]", "[\"test/[\"]"), "path"),
        (POLICY.replace("v1alpha1", "v9"), "v1alpha1"),
        (POLICY.replace("kind: Policy", "kind: Police"), "Policy"),
        (format!("{POLICY}---\n{POLICY}"), "one document"),
        (format!("{POLICY}rules: []\n"), "twice"),
        (format!("{POLICY}allow:\n- paths: [\"docs/**\"]\n"), "reason"),
        (POLICY.replace("[test]", "[Test]"), "name"),
        (POLICY.replace("[test]", "[5]"), "quote"),
        (POLICY.replace("[test]", "[test, test]"), "test"),
        (POLICY.replace("[test]", &format!("[{}]", keys()["test"].recipient)), "NAME"),
        (POLICY.replace("rules:\n", "rules:\n\t"), "YAML"),
    ] {
        assert_ne!(content, POLICY);
        let t = with_source();
        t.write(POLICY_FILE, &content);
        let run = no_sealing(&t).says(POLICY_FILE);
        assert!(run.stderr.contains(needle), "{needle:?} is not in\n{}\nfor\n{content}", run.stderr);
    }
}

#[test]
fn a_path_that_no_rule_matches() {
    let t = repo();
    let text = secret("db", &format!("stringData:\n  password: {CANARY}\n"));
    for path in ["db.yaml", "staging/db.yaml", "Prod/db.yaml", "prodx/db.yaml"] {
        t.write(path, &text);
        let _ =
            refused(&t, &["seal", path], 4).says("no rule").says(&path.replace(".yaml", ".sealed.yaml")).says("hint: ");
        let _ = refused(&t, &["seal", path, "-o", &format!("{path}.out")], 4).says("no rule");
    }
    // The rule is that of the place it goes to, not of where it came from.
    t.write(SOURCE, &text);
    let _ = refused(&t, &["seal", SOURCE, "-o", "test/db.sealed.yaml"], 4).says("shop-prod/db").says("shop-test/*");
    fs::create_dir_all(t.path("test")).unwrap();
    let _ = refused(&t, &["seal", SOURCE, "-o", "test/../db.sealed.yaml"], 4).says("no rule");
    // From within the folder it is the same path.
    let _ = t.shell("cd prod && ageseal seal db.secret.yaml").ok();
    let _ = t
        .shell("cd prod && cp db.secret.yaml ../staging/ && ageseal seal ../staging/db.secret.yaml")
        .exit(4)
        .says("no rule");
    // A pattern that names a folder means one file.
    t.write(POLICY_FILE, POLICY.replace("prod/**", "prod"));
    let _ = refused(&t, &["seal", SOURCE, "-o", "prod/x.sealed.yaml"], 4).says("prod/**");
}

#[test]
fn a_scope_beyond_the_rule() {
    let t = with_source();
    for scope in ["*/*", "shop-prod*/*", "*/db", "shop-test/db"] {
        let args = ["create", "opaque", "db", "--stdin", "a", "--scope", scope, "-o", "prod/x.sealed.yaml"];
        let _ = refused_with(&t, &args, CANARY.as_bytes(), 4)
            .says(scope)
            .says("shop-prod/*")
            .says(&format!("{POLICY_FILE}:4:"));
    }
    let other = secret("db", &format!("stringData: {{a: {CANARY}}}\n")).replace("shop-prod", "shop-test");
    t.write("prod/other.yaml", other);
    let _ =
        refused(&t, &["seal", "prod/other.yaml"], 4).says("shop-test/db").says("shop-prod/*").says("prod/other.yaml");
    // Whoever the readers are: typed recipients do not lift it.
    let _ = refused(&t, &["seal", "prod/other.yaml", "-r", &keys()["stranger"].recipient], 4)
        .says("shop-test/db")
        .says("shop-prod/*");
    for bad in ["db", "a/b/c", "shop-prod/", "/db", "***/x", "Shop/db", ""] {
        let _ = refused(&t, &["seal", SOURCE, "--scope", bad], 2).says("hint: ");
    }
}

#[cfg(unix)]
#[test]
fn a_policy_behind_a_link() {
    let t = with_source();
    fs::rename(t.path(POLICY_FILE), t.path("elsewhere.yaml")).unwrap();
    std::os::unix::fs::symlink("../elsewhere.yaml", t.path(POLICY_FILE)).unwrap();
    let _ = no_sealing(&t).says("symbolic link").says(POLICY_FILE);
    let t = with_source();
    fs::rename(t.path(PUB), t.path("prod.pub")).unwrap();
    std::os::unix::fs::symlink("../../prod.pub", t.path(PUB)).unwrap();
    let _ = no_sealing(&t).says("symbolic link").says(PUB);
    let t = with_source();
    fs::rename(t.path(".ageseal"), t.path("policy")).unwrap();
    std::os::unix::fs::symlink("policy", t.path(".ageseal")).unwrap();
    let _ = no_sealing(&t).says("symbolic link").says(".ageseal");
}

#[test]
fn a_policy_that_is_a_folder() {
    let t = with_source();
    fs::remove_file(t.path(POLICY_FILE)).unwrap();
    fs::create_dir(t.path(POLICY_FILE)).unwrap();
    let _ = refused(&t, &["seal", SOURCE], 4).says(POLICY_FILE);
}

#[test]
fn a_plugin_that_the_repository_names_does_not_run() {
    let t = with_source();
    let log = t.fake_plugin();
    t.write(PUB, format!("{}\n", crate::support::FAKE_RECIPIENT));
    t.write(".ageseal/recipients/recovery.pub", format!("{}\n", crate::support::FAKE_RECIPIENT));
    let _ = refused(&t, &["seal", SOURCE], 2).says("AGESEAL_ALLOW_PLUGINS");
    let create = ["create", "opaque", "x", "-n", "shop-prod", "--stdin", "a", "-o", "prod/x.sealed.yaml"];
    let _ = refused_with(&t, &create, CANARY.as_bytes(), 2).says("AGESEAL_ALLOW_PLUGINS");
    let _ = t.run(&["check"]);
    let _ = t.run(&["show"]);
    assert!(!log.exists(), "the plugin ran");
    let _ = t.run_with(&["seal", SOURCE], b"", &[("AGESEAL_ALLOW_PLUGINS", "fake")]).ok();
    assert!(log.exists());
}
