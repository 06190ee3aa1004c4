//! `recipients`: names, their recipients and the rules that use them; what is refused, and that only the asked lines
//! change.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;

use support::{FAKE_RECIPIENT, Run, Scratch};

const POLICY: &str = "\
apiVersion: ageseal.dev/v1alpha1
kind: Policy
rules:   # first match wins
- paths: [\"overlays/prod/**\"]
  recipients: [prod, recovery]   # who
  scopes: [\"shop-prod/*\"]
- paths: [\"overlays/test/**\", \"dev/**\"]
  recipients:
  - test
  scopes: [\"shop-test/*\"]
";

const SSH: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";

/// A repository with a policy and without recipients.
fn repository() -> Scratch {
    let t = Scratch::new();
    t.write(".ageseal/policy.yaml", POLICY);
    t
}

fn key(t: &Scratch, kind: &str) -> String {
    let file = t.home().join(format!("{}.txt", fs::read_dir(t.home()).unwrap().count()));
    let mut args = vec!["keygen", "-q", "-o", file.to_str().unwrap()];
    args.extend((kind == "classic").then_some("--classic"));
    t.run(&args).ok().stdout.trim().to_owned()
}

fn run(t: &Scratch, args: &[&str]) -> Run {
    t.run(&[&["recipients"], args].concat())
}

fn short_id(t: &Scratch, name: &str, index: usize) -> String {
    let list: serde_json::Value = serde_json::from_str(&run(t, &["list", "--json"]).stdout).unwrap();
    let names = list["names"].as_array().unwrap();
    let entry = names.iter().find(|entry| entry["name"] == name).unwrap();
    let id = entry["recipients"][index]["id"].as_str().unwrap();
    format!("{}…{}", &id[..5], &id[13..])
}

#[test]
fn a_first_recipient_makes_the_file() {
    let t = repository();
    let one = key(&t, "");
    let said = run(&t, &["add", "prod", &one]).ok().says("added   .ageseal/recipients/prod.pub   r");
    assert!(said.stderr.contains("   post-quantum (age1pq)\n        reads      overlays/prod/**\n"), "{}", said.stderr);
    assert_eq!(said.stdout, "");
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), format!("{one}\n"));
    assert_eq!(t.read(".ageseal/policy.yaml"), POLICY);
    let said = said.never_says("sealed before");
    assert_eq!(said.stderr.lines().count(), 2);
    let two = key(&t, "");
    let said = run(&t, &["add", "prod", &two, "--comment", "eu-west-1"]).ok();
    let _ = said.says("what was sealed before stays closed to what was added now").says("ageseal seal PATH");
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), format!("{one}\n# eu-west-1\n{two}\n"));
}

#[test]
fn what_is_there_already_is_said_and_not_touched() {
    let t = repository();
    let one = key(&t, "");
    let text = format!("\u{feff}# prod\r\n\r\n{one}");
    t.write(".ageseal/recipients/prod.pub", &text);
    let _ = run(&t, &["add", "prod", &one]).ok().says("kept    .ageseal/recipients/prod.pub");
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), text);
    let two = key(&t, "");
    let _ = run(&t, &["add", "prod", &one, &two, &two]).ok().says("kept  ").says("added ");
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), format!("{text}\r\n{two}\r\n"));
}

#[test]
fn a_file_gives_its_current_recipients_and_their_comments() {
    let t = repository();
    let (one, two, three) = (key(&t, ""), key(&t, ""), key(&t, ""));
    t.write("x.pub", format!("# eu\r\n# west\r\n{one}\r\n# superseded, until 2020-01-01\r\n{two}\r\n\r\n{three}\r\n"));
    let _ = run(&t, &["add", "prod", "-R", "x.pub"]).ok();
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), format!("# eu west\n{one}\n{three}\n"));
    let text = t.read("x.pub");
    let _ = run(&t, &["add", "test", &text]).ok();
    assert_eq!(t.read(".ageseal/recipients/test.pub"), format!("# eu west\n{one}\n{three}\n"));
}

#[test]
fn bad_files_are_refused_with_their_lines() {
    let t = repository();
    let one = key(&t, "");
    let secret = t.run(&["keygen", "-q", "-o", "-"]).ok().stdout.lines().last().unwrap().to_owned();
    t.write("typo.pub", format!("{one}\n{}\n", one.replacen("qq", "qp", 1).replacen("1pq1q", "1pq1p", 1) + "q"));
    t.write("key.pub", format!("{one}\n# mine\n{secret}\n"));
    t.write("long.pub", format!("{SSH}\n").repeat(10_000));
    t.write("utf16.pub", b"\xff\xfea\0");
    t.write("empty.pub", "# nobody\n");
    t.write("age.txt", format!("{one} # inline\n"));
    let before = t.tree();
    for (file, said) in [
        ("typo.pub", "mistyped key: its checksum does not fit\n  typo.pub:2:1\n"),
        ("key.pub", "this is a private key, not a recipient\n  key.pub:3:1\n"),
        ("long.pub", "the file has 10000 lines, the most is 1000\n  long.pub\n"),
        ("utf16.pub", "the text is UTF-16, not UTF-8"),
        ("empty.pub", "there is no current recipient in this file"),
        ("age.txt", "a comment stands on a line of its own"),
        ("no.pub", "there is no such file"),
    ] {
        let _ = run(&t, &["add", "prod", "-R", file]).exit(4).says(said).never_says(&secret[20..]);
    }
    assert_eq!(t.tree(), before);
}

#[test]
fn bad_arguments_are_refused_all_at_once() {
    let t = repository();
    let one = key(&t, "");
    let secret = t.run(&["keygen", "-q", "-o", "-"]).ok().stdout.lines().last().unwrap().to_owned();
    t.write("x.pub", &one);
    let before = t.tree();
    let run_it = |args: &[&str]| run(&t, args).exit(2).never_says(&secret[20..]);
    let _ = run_it(&["add", "Prod", "hello", &secret])
        .says("\"Prod\" is not a name of recipients\n  hint: write prod")
        .says("RECIPIENT: not an age recipient of a known kind")
        .says("RECIPIENT: this is a private key, not a recipient");
    let _ = run_it(&["add", &one, "prod"]).says("the name comes first");
    let _ = run_it(&["add", &secret, &one]).says("a private key stands where a name belongs");
    let _ = run_it(&["remove", &secret]).says("a private key stands where a name belongs");
    let _ = run_it(&["remove", "prod", &secret]);
    let _ = run_it(&["add", "a_b", &one]).says("a name has a-z, 0-9 and - only");
    let _ = run_it(&["add", "prod", "x.pub"]).says("this is a file: -R FILE");
    let _ = run_it(&["add", "prod", ""]).says("there is no recipient in it");
    let _ = run_it(&["add", "prod", &one, "--comment", "a\nb"]).says("--comment: ");
    let _ = run_it(&["add", "prod", &one, "--comment", "superseded"]).says("--comment: ");
    let _ = run_it(&["add", "prod"]);
    let _ = run_it(&["add", "prod", &one, "--rule", "overlays/**"]).says("no rule of the policy has the path pattern");
    let _ = run_it(&["add", "nobody", "--rule", "dev/**"]).says("there is no .ageseal/recipients/nobody.pub yet");
    let _ = run_it(&["remove", "prod"]).says("there is no name prod");
    let _ = run_it(&["remove", "prod", "--supersede", "2027-13-01"]).says("not a day of the calendar");
    let _ = run_it(&[]);
    assert_eq!(t.tree(), before);
}

#[test]
fn kinds_do_not_mix_in_any_rule_that_uses_the_name() {
    let t = repository();
    let (one, classic) = (key(&t, ""), key(&t, "classic"));
    let _ = run(&t, &["add", "recovery", &one]).ok();
    let before = t.tree();
    for other in [&classic, SSH, FAKE_RECIPIENT] {
        let run = run(&t, &["add", "prod", other]).exit(2).says("cannot stand together in a rule; nothing was changed");
        let _ = run.says(".ageseal/policy.yaml:4:3   overlays/prod/**").says("odd: r").says("(prod, classic (");
        assert_eq!(t.tree(), before);
    }
    let _ = run(&t, &["add", "test", &classic]).ok();
    let before = t.tree();
    let _ =
        run(&t, &["add", "recovery", "--rule", "dev/**"]).exit(2).says("policy.yaml:7:3   overlays/test/**, dev/**");
    assert_eq!(t.tree(), before);
    let _ = run(&t, &["add", "apart", SSH]).ok().says("no rule of the policy names apart");
    let _ = run(&t, &["add", "test", SSH]).ok();
}

#[test]
fn a_mix_that_was_there_does_not_stop_the_way_out_of_it() {
    let t = repository();
    let (one, two, classic) = (key(&t, ""), key(&t, ""), key(&t, "classic"));
    t.write(".ageseal/recipients/prod.pub", format!("{classic}\n"));
    t.write(".ageseal/recipients/recovery.pub", format!("{one}\n"));
    let _ = run(&t, &["add", "prod", &two]).ok();
    let _ = run(&t, &["remove", "prod", &classic]).ok();
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), format!("{two}\n"));
    let _ = run(&t, &["list"]).exit(4).says("the policy names test").never_says("cannot stand together");
}

#[test]
fn a_plugin_is_taken_and_never_runs() {
    let t = repository();
    #[cfg(unix)]
    let log = t.fake_plugin();
    let _ = run(&t, &["add", "test", FAKE_RECIPIENT]).ok().says("classic (plugin)").says("needs its age plugin");
    let _ = run(&t, &["list"]).says("the policy names prod");
    let _ = run(&t, &["remove", "test", FAKE_RECIPIENT]).exit(2).says("would be left without a recipient");
    #[cfg(unix)]
    assert!(!log.exists());
}

#[test]
fn a_rule_gets_the_name_and_nothing_else_changes() {
    let t = repository();
    let (one, two) = (key(&t, ""), key(&t, ""));
    let _ = run(&t, &["add", "ann", &one, "--rule", "overlays/prod/**"]).ok().says("in the rule for overlays/prod/**");
    let flow = POLICY.replace("[prod, recovery]", "[prod, recovery, ann]");
    assert_eq!(t.read(".ageseal/policy.yaml"), flow);
    let _ =
        run(&t, &["add", "ann", "--rule", "dev/**"]).ok().says("reads      overlays/prod/**, overlays/test/**, dev/**");
    let block = flow.replace("  - test\n", "  - test\n  - ann\n");
    assert_eq!(t.read(".ageseal/policy.yaml"), block);
    let _ = run(&t, &["add", "ann", &one, "--rule", "dev/**"]).ok().says("kept    .ageseal/policy.yaml");
    assert_eq!(t.read(".ageseal/policy.yaml"), block);

    let _ = run(&t, &["remove", "ann", "--rule", "dev/**"]).exit(2).says("left without a recipient");
    let _ = run(&t, &["add", "test", &two]).ok();
    let _ = run(&t, &["remove", "ann", "--rule", "dev/**"]).ok().says("from       overlays/test/**, dev/**");
    assert_eq!(t.read(".ageseal/policy.yaml"), flow);
    let _ = run(&t, &["remove", "ann", "--rule", "dev/**"]).ok().says("kept    .ageseal/policy.yaml   ann");
    let _ = run(&t, &["remove", "test", "--rule", "dev/**"])
        .exit(2)
        .says("test is the only name of this rule")
        .says("yaml:7:3");
    let _ = run(&t, &["remove", "ann", "--rule", "overlays/prod/**"]).exit(2).says("left without a recipient");
    let _ = run(&t, &["add", "prod", &two]).ok();
    let _ = run(&t, &["remove", "ann", "--rule", "overlays/prod/**"]).ok().says("git keeps that");
    assert_eq!(t.read(".ageseal/policy.yaml"), POLICY);
}

#[test]
fn a_recipient_is_removed_by_itself_or_by_its_id() {
    let t = repository();
    let (one, two, three) = (key(&t, ""), key(&t, ""), key(&t, ""));
    let text = format!("# all of prod\n\n# eu\n{one}\r\n# us\n{two}\n{three}");
    t.write(".ageseal/recipients/prod.pub", &text);
    let run_it = |args: &[&str]| run(&t, &[&["remove", "prod"], args].concat());
    let said = run_it(&[]).exit(2).says("prod has several recipients").says("   post-quantum (age1pq)   us\n");
    assert_eq!(said.stderr.matches("post-quantum").count(), 3);
    let _ = run_it(&["r0000"]).exit(2).says("prod does not have this recipient");
    let _ = run_it(&[&key(&t, "")]).exit(2).says("prod does not have this recipient");
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), text);
    let id = short_id(&t, "prod", 1);
    let said = run_it(&[&id]).ok().says(&format!("removed .ageseal/recipients/prod.pub   {id}"));
    let _ = said.says("what was sealed before still opens for it, and git keeps that").says("change the values");
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), format!("# all of prod\n\n# eu\n{one}\r\n{three}"));
    let _ = run_it(&[&three]).ok();
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), format!("# all of prod\n\n# eu\n{one}\r\n"));
    let _ = run_it(&[]).exit(2).says("this rule would be left without a recipient").says("policy.yaml:4:3");
    let _ = run(&t, &["add", "recovery", &two]).ok();
    let _ = run_it(&[]).ok().says("warning: prod has no current recipient now");
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), "# all of prod\n\n");
}

#[test]
fn a_superseded_recipient_stays_with_its_day() {
    let t = repository();
    let (one, two) = (key(&t, ""), key(&t, ""));
    t.write(".ageseal/recipients/prod.pub", format!("# eu\r\n{one}\r\n{two}\r\n"));
    let id = short_id(&t, "prod", 0);
    let mark = |day: &str| run(&t, &["remove", "prod", &id, "--supersede", day]);
    let _ = mark("2099-01-31").ok().says("marked  .ageseal/recipients/prod.pub").says("superseded, until 2099-01-31");
    let text = t.read(".ageseal/recipients/prod.pub");
    assert_eq!(text, format!("# eu\r\n# superseded, until 2099-01-31\r\n{one}\r\n{two}\r\n"));
    let _ = mark("2099-01-31").ok().says("kept    .ageseal/recipients/prod.pub");
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), text);
    let _ = mark("2020-02-29").ok().says("that day is over");
    assert_eq!(t.read(".ageseal/recipients/prod.pub"), text.replace("2099-01-31", "2020-02-29"));
    let _ =
        run(&t, &["add", "prod", &one]).exit(4).says("is superseded").says(&format!("remove prod {id}, then add it"));
    let _ = run(&t, &["remove", "prod", &two, "--supersede", "2099-01-31"]).exit(2).says("left without a recipient");
    let list = run(&t, &["list"]);
    assert!(list.stdout.contains(&format!("{id}   post-quantum (age1pq)   superseded, until 2020-02-29   eu\n")));
}

#[test]
fn the_list_names_everything_and_errors_come_with_it() {
    let t = repository();
    let (one, two) = (key(&t, ""), key(&t, ""));
    t.write(".ageseal/recipients/prod.pub", format!("# eu\x1b[31m\n{one}\n"));
    t.write(".ageseal/recipients/unused.pub", format!("{two}\n"));
    t.write(".ageseal/recipients/test.pub", "# later\n");
    let list =
        run(&t, &["list"]).exit(4).says("the policy names recovery, and there is no .ageseal/recipients/recovery.pub");
    let list = list.says("ageseal recipients add recovery RECIPIENT").says("test has no recipient");
    let id = short_id(&t, "prod", 0);
    let unused = short_id(&t, "unused", 0);
    assert_eq!(
        list.stdout,
        format!(
            "prod       reads overlays/prod/**\n           {id}   post-quantum (age1pq)   eu\\u{{1b}}[31m\n\
             recovery   reads overlays/prod/**\n           no file   .ageseal/recipients/recovery.pub\n\
             test       reads overlays/test/**, dev/**\n           no recipient\n\
             unused     in no rule\n           {unused}   post-quantum (age1pq)\n"
        )
    );
    let json: serde_json::Value = serde_json::from_str(&run(&t, &["list", "--json"]).exit(4).stdout).unwrap();
    assert_eq!(json["names"][0]["recipients"][0]["recipient"], one.as_str());
    assert_eq!(json["names"][0]["recipients"][0]["kind"], "hybrid");
    assert_eq!(json["names"][0]["rules"][0], serde_json::json!({"paths": ["overlays/prod/**"], "line": 4}));
    assert_eq!(json["names"][1]["file"], serde_json::Value::Null);
    assert_eq!(json["problems"].as_array().unwrap().len(), 2);
    assert_eq!(json["problems"][0]["path"], ".ageseal/policy.yaml");
    let _ = run(&t, &["add", "test", &two]).ok();
    let _ = run(&t, &["add", "recovery", &two]).ok();
    let list = run(&t, &["list"]).ok();
    assert_eq!(list.stderr, "");
}

#[test]
fn problems_of_the_repository_are_all_shown_and_stop_a_change() {
    let t = repository();
    let one = key(&t, "");
    t.write(".ageseal/recipients/prod.pub", format!("{one}\n{one}\n"));
    t.write(".ageseal/recipients/test.pub", "hello\n");
    let before = t.tree();
    for args in [&["list"][..], &["add", "recovery", &one], &["remove", "prod"]] {
        let run =
            run(&t, args).exit(4).says(".ageseal/recipients/prod.pub:2:1").says(".ageseal/recipients/test.pub:1:1");
        assert_eq!(run.stdout, "");
    }
    assert_eq!(t.tree(), before);
}

#[test]
fn it_works_from_below_and_not_without_a_policy() {
    let t = Scratch::new();
    let one = key(&t, "");
    let _ = run(&t, &["add", "prod", &one]).exit(4).says("ageseal init");
    t.write(".ageseal/policy.yaml", POLICY);
    t.write("overlays/prod/a", "");
    let script = format!("cd overlays/prod && ageseal recipients add prod {one} && ageseal recipients list");
    let run_it = t.shell(&script).exit(4).says("added   ../../.ageseal/recipients/prod.pub");
    assert!(run_it.stdout.contains("reads overlays/prod/**"));
    t.write("overlays/prod/.ageseal/policy.yaml", POLICY);
    let _ = t.shell("cd overlays/prod && ageseal recipients list").exit(4).says("below the top of the repository");
}

#[cfg(unix)]
mod unix {
    use super::*;

    #[test]
    fn links_are_not_written_through() {
        let t = repository();
        let one = key(&t, "");
        let end = t.home().join("end.pub");
        fs::write(&end, "").unwrap();
        fs::create_dir(t.path(".ageseal/recipients")).unwrap();
        std::os::unix::fs::symlink(&end, t.path(".ageseal/recipients/prod.pub")).unwrap();
        let before = t.tree();
        let _ = run(&t, &["add", "prod", &one]).exit(4).says("this is a symbolic link");
        assert_eq!((t.tree(), fs::read(&end).unwrap()), (before, vec![]));
    }

    #[test]
    fn a_disk_that_fills_up_changes_neither_file() {
        let t = repository();
        let one = key(&t, "");
        let before = t.tree();
        let script = format!("trap '' XFSZ; ulimit -f 0; ageseal recipients add ann {one} --rule 'dev/**'");
        let _ = t.shell(&script).exit(4).says("nothing was changed");
        assert_eq!(t.tree(), before);
    }
}
