//! `ageseal` alone in a repository: how it stands, what is wrong, what to do next.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use support::Scratch;

const POLICY: &str = "\
apiVersion: ageseal.dev/v1alpha1
kind: Policy
rules:
- paths: ['prod/**']
  recipients: [prod, recovery]
  scopes: ['shop/*']
- paths: ['test/**']
  recipients: [recovery, test]
  scopes: ['shop/*']
";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: q}\nstringData: {a: canary-value}\n";

fn repository() -> Scratch {
    let t = Scratch::new();
    t.shell("git init -q . && echo '*.secret.yaml' >.gitignore").ok();
    t.write(".ageseal/policy.yaml", POLICY);
    for name in ["prod", "recovery", "test"] {
        let recipient = t.identity(name);
        t.write(format!(".ageseal/recipients/{name}.pub"), format!("{recipient}\n"));
    }
    t
}

fn create(t: &Scratch, file: &str) {
    std::fs::create_dir_all(t.path(file).parent().unwrap()).unwrap();
    let values = ["--from-literal", "user=u", "--from-literal", "password=canary-value"];
    let args = [&["create", "opaque", "db", "-n", "shop", "-o", file][..], &values].concat();
    t.run(&args).ok();
}

#[test]
fn a_clean_repository_is_two_lines() {
    let t = repository();
    create(&t, "prod/db.sealed.yaml");
    create(&t, "test/db.sealed.yaml");
    // What git ignores is meant to be plaintext.
    t.write("prod/db.secret.yaml", SECRET);
    let run = t.run::<&str>(&[]).ok();
    assert_eq!(
        run.stdout,
        "work  ·  2 sealed files, 4 values  ·  policy: prod, recovery, test\n\
         next:  ageseal check   ·   ageseal show   ·   ageseal set FILE KEY   ·   ageseal --help\n"
    );
    assert_eq!(run.stderr, "");
}

#[test]
fn what_is_wrong_comes_with_the_command_that_mends_it() {
    let t = repository();
    create(&t, "prod/a.sealed.yaml");
    create(&t, "prod/b.sealed.yaml");
    let text = t.read("prod/b.sealed.yaml");
    t.write("prod/b.sealed.yaml", text.replacen("  scope:", "  scopee:", 1));
    t.write("base/queue.yaml", SECRET);
    let old = t.read(".ageseal/recipients/prod.pub");
    let new = t.identity("renewed");
    t.write(".ageseal/recipients/prod.pub", format!("# superseded, until 2999-01-01\n{old}{new}\n"));
    let run = t.run::<&str>(&[]).ok().never_says("canary-value");
    let lines: Vec<Vec<&str>> = run
        .stdout
        .lines()
        .map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(lines[1], ["! base/queue.yaml", "plaintext Secret", "ageseal seal --in-place base/queue.yaml"]);
    assert_eq!(lines[2][0], "! prod/b.sealed.yaml");
    assert_eq!(lines[2][2], "ageseal check prod/b.sealed.yaml");
    // The note comes last, whatever its path.
    assert_eq!(lines[3][..2], ["! prod/a.sealed.yaml", "sealed for a superseded key"]);
    assert_eq!(lines.len(), 5, "{}", run.stdout);

    for number in 0..20 {
        t.write(format!("base/{number}.yaml"), SECRET);
    }
    let run = t.run::<&str>(&[]).ok();
    assert!(run.stdout.contains("\n  and 15 more   ageseal check\n"), "{}", run.stdout);
}

#[test]
fn paths_are_those_to_type_below_the_top() {
    let t = repository();
    t.write("base/queue.yaml", SECRET);
    std::fs::create_dir(t.path("prod")).unwrap();
    let run = t.shell("cd prod && ageseal").ok();
    assert!(run.stdout.contains("ageseal seal --in-place ../base/queue.yaml"), "{}", run.stdout);
    assert!(run.stdout.contains("next:  ageseal seal PATH"), "{}", run.stdout);
}

#[test]
fn a_broken_policy_and_none_are_said() {
    let t = repository();
    create(&t, "prod/a.sealed.yaml");
    t.write(".ageseal/policy.yaml", POLICY.replace("rules:", "rulez:"));
    let run = t.run::<&str>(&[]).ok();
    assert!(run.stdout.starts_with("work  ·  the policy cannot be read\n"), "{}", run.stdout);
    assert!(run.stdout.contains("! .ageseal/policy.yaml:3:1"), "{}", run.stdout);
    std::fs::remove_dir_all(t.path(".ageseal")).unwrap();
    let run = t.run::<&str>(&[]).ok();
    assert!(run.stdout.starts_with("work  ·  1 sealed file, 2 values  ·  no policy\n"), "{}", run.stdout);
    assert!(run.stdout.contains("next:  ageseal init"), "{}", run.stdout);
}

#[test]
fn files_that_cannot_be_read_are_said_and_fail_nothing() {
    let t = repository();
    t.write("prod/x.yaml", "kind: Secret\n  a: [\n");
    t.write("prod/\x1b[31m.yaml", SECRET);
    let run = t.run::<&str>(&[]).ok();
    assert!(run.stdout.contains("! prod/x.yaml"), "{}", run.stdout);
    assert!(run.stdout.contains("\\u{1b}[31m.yaml") && !run.stdout.contains('\x1b'), "{}", run.stdout);
}
