//! `init`: what it writes, what it keeps, what it refuses, and that a second run changes nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;

use support::{FAKE_RECIPIENT, Scratch};

/// A git repository with two overlays.
fn shop() -> Scratch {
    let t = Scratch::new();
    let _ = t.shell("git init -q").ok();
    t.write("overlays/prod/kustomization.yaml", "namespace: shop-prod\nresources: []\n");
    t.write("overlays/test/kustomization.yml", "namespace: shop-test\n");
    t.write("base/kustomization.yaml", "resources: []\n");
    t
}

/// A recipient whose identity lies outside the folder.
fn recipient(t: &Scratch, name: &str) -> String {
    let file = t.home().join(name);
    t.run(&["keygen", "-q", "-o", file.to_str().unwrap()]).ok().stdout.trim().to_owned()
}

#[test]
fn a_rule_is_written_for_each_overlay() {
    let t = shop();
    let key = recipient(&t, "recovery");
    let run = t.run(&["init", "--recovery", &key]).ok();
    assert_eq!(run.stdout, "");
    let run = run
        .says("wrote   .ageseal/policy.yaml               2 rules\n")
        .says("overlays/prod/**   read by prod, recovery   opens as shop-prod/*   (overlays/prod/kustomization.yaml: namespace)\n")
        .says("wrote   .ageseal/recipients/recovery.pub   1 recipient\n")
        .says("next:   ageseal recipients add prod RECIPIENT\n        ageseal recipients add test RECIPIENT\n");
    assert!(!run.stderr.contains("in   "), "{}", run.stderr);
    let policy = t.read(".ageseal/policy.yaml");
    assert!(
        policy.ends_with(
            "apiVersion: ageseal.dev/v1alpha1\nkind: Policy\nrules:\n\
         - paths: ['overlays/prod/**']\n  recipients: [prod, recovery]\n  scopes: ['shop-prod/*']\n\
         - paths: ['overlays/test/**']\n  recipients: [test, recovery]\n  scopes: ['shop-test/*']\n"
        ),
        "{policy}"
    );
    assert!(t.read(".ageseal/recipients/recovery.pub").ends_with(&format!("\n\n{key}\n")));
    assert!(t.read(".gitignore").ends_with("\n*.secret.yaml\n*.secret.yml\n*.secret.json\n"));
    assert!(t.read(".gitattributes").ends_with("\n*.sealed.yaml text eol=lf\n"));
    assert_eq!(
        t.shell(
            "git check-ignore overlays/prod/db.secret.yaml a.secret.json; git check-attr eol overlays/a.sealed.yaml"
        )
        .ok()
        .stdout,
        "overlays/prod/db.secret.yaml\na.secret.json\noverlays/a.sealed.yaml: eol: lf\n"
    );
}

#[test]
fn what_was_made_seals_and_the_recovery_key_opens_it() {
    let t = shop();
    let (recovery, prod) = (recipient(&t, "recovery"), recipient(&t, "prod"));
    let _ = t.run(&["init", "--recovery", &recovery]).ok();
    let source = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {a: 'canary-7'}\n";
    t.write("overlays/prod/db.secret.yaml", source.replace("{name: db}", "{name: db, namespace: shop-prod}"));
    let _ = t.run(&["seal", "overlays/prod"]).exit(4).says("ageseal recipients add prod RECIPIENT");
    let _ = t.run(&["recipients", "add", "prod", &prod]).ok();
    let _ = t.run(&["recipients", "add", "test", &prod]).ok();
    let _ = t.run(&["seal", "overlays/prod"]).ok();
    for key in ["recovery", "prod"] {
        let key = t.home().join(key);
        let run = t.run(&["get", "-i", key.to_str().unwrap(), "overlays/prod/db.sealed.yaml", "a"]).ok();
        assert_eq!(run.stdout, "canary-7");
    }
    assert_eq!(t.run(&["check"]).ok().code, 0);
}

#[test]
fn a_second_time_changes_nothing_and_says_so() {
    let t = shop();
    let key = recipient(&t, "recovery");
    let _ = t.run(&["init", "--recovery", &key]).ok();
    let before = t.tree();
    for args in [vec!["init"], vec!["init", "--recovery", &key]] {
        let _ = t.run(&args).ok().says("kept    .ageseal/policy.yaml   the repository has a policy already");
        assert_eq!(t.tree(), before);
    }
    let run = t.shell("cd overlays/prod && ageseal init").ok();
    assert!(
        run.stderr.contains("(the top of the git repository)") && run.stderr.contains("../../.ageseal/policy.yaml")
    );
    assert_eq!(t.tree(), before);
    assert_eq!(t.run(&["init", "-q"]).ok().stderr, "");
}

#[test]
fn arguments_that_contradict_what_is_there_are_refused() {
    let t = shop();
    let (key, other) = (recipient(&t, "recovery"), recipient(&t, "other"));
    let _ = t.run(&["init", "--recovery", &key]).ok();
    let before = t.tree();
    let another = "there is a recovery recipient already, and this is another";
    let _ = t.run(&["init", "--recovery", &other]).exit(2).says(another).says("ageseal recipients add recovery");
    let _ = t.run(&["init", "--recovery-file", "../home/r.age"]).exit(2).says(another);
    let _ = t.run(&["init", "--no-recovery"]).exit(2).says("--no-recovery says none");
    let _ = t.run(&["init", "-n", "elsewhere"]).exit(2).says("no rule of it has the scope elsewhere/*");
    let _ = t.run(&["init", "-n", "shop-prod"]).ok();
    assert_eq!(t.tree(), before);
    assert!(!t.home().join("r.age").exists());
}

#[test]
fn without_a_terminal_the_three_ways_are_named_and_nothing_is_written() {
    let t = shop();
    let before = t.tree();
    let run = t.run(&["init"]).exit(2);
    for way in ["--recovery RECIPIENT", "--recovery-file FILE", "--no-recovery"] {
        assert!(run.stderr.contains(way), "{way}: {}", run.stderr);
    }
    let _ = t.run(&["init", "--recovery-file", "../home/r.age"]).exit(2).says("there is no terminal to ask");
    assert_eq!(t.tree(), before);
    assert_eq!(fs::read_dir(t.home()).unwrap().count(), 0);
}

#[test]
fn without_recovery_the_rules_name_the_overlays_alone() {
    let t = shop();
    let _ = t.run(&["init", "--no-recovery"]).ok();
    let policy = t.read(".ageseal/policy.yaml");
    assert!(policy.contains("recipients: [prod]") && !policy.contains("recovery"), "{policy}");
    assert!(t.path(".ageseal/recipients").is_dir());
    let before = t.tree();
    let _ = t.run(&["init", "--no-recovery"]).ok();
    let key = recipient(&t, "recovery");
    let _ = t.run(&["init", "--recovery", &key]).exit(2).says("no rule of it names recovery");
    assert_eq!(t.tree(), before);
}

#[test]
fn a_recovery_recipient_that_the_policy_waits_for_can_come_later() {
    let t = shop();
    let key = recipient(&t, "recovery");
    let _ = t.run(&["init", "--recovery", &key]).ok();
    fs::remove_file(t.path(".ageseal/recipients/recovery.pub")).unwrap();
    let policy = t.read(".ageseal/policy.yaml");
    let _ = t.run(&["init"]).ok().says("ageseal recipients add recovery RECIPIENT");
    let _ = t.run(&["init", "--no-recovery"]).exit(2).says("the policy names recovery");
    let _ = t.run(&["init", "--recovery", &key]).ok().says("wrote   .ageseal/recipients/recovery.pub");
    assert_eq!(t.read(".ageseal/policy.yaml"), policy);
}

#[test]
fn recipients_that_are_there_before_the_policy_are_kept() {
    let t = shop();
    let (key, other) = (recipient(&t, "recovery"), recipient(&t, "other"));
    let text = format!("# ours\r\n{key}\r\n");
    t.write(".ageseal/recipients/recovery.pub", &text);
    let _ = t.run(&["init", "--recovery", &other]).exit(2);
    let _ = t.run(&["init"]).ok().says("kept    .ageseal/recipients/recovery.pub");
    assert_eq!(t.read(".ageseal/recipients/recovery.pub"), text);
    assert!(t.read(".ageseal/policy.yaml").contains("[prod, recovery]"));
}

#[test]
fn without_overlays_the_namespace_has_to_be_said() {
    let t = Scratch::new();
    let run = t.run(&["init"]).exit(2).says("there is no overlay").says("--namespace NAMESPACE").says("overlays/NAME/");
    assert!(run.stderr.contains("--no-recovery"), "both are said at once: {}", run.stderr);
    let _ = t.run(&["init", "--no-recovery", "-n", "Shop_1"]).exit(2).says("--namespace: this is not a namespace");
    assert_eq!(t.names(), Vec::<String>::new());
    let _ = t.run(&["init", "--no-recovery", "-n", "shop"]).ok().says("(this folder is not in git)");
    let policy = t.read(".ageseal/policy.yaml");
    assert!(policy.contains("- paths: ['**']\n  recipients: [cluster]\n  scopes: ['shop/*']\n"), "{policy}");
    let below = t.shell("mkdir -p a/b; cd a/b; ageseal init --no-recovery").ok();
    assert!(below.stderr.contains("../../.ageseal/policy.yaml"), "{}", below.stderr);
}

#[test]
fn overlays_without_a_namespace_get_a_rule_only_if_it_is_said() {
    let t = shop();
    t.write("clusters/eu/a.yaml", "a: b\n");
    t.write("overlays/Big_One/kustomization.yaml", "namespace: big\n");
    let note = t.run(&["init", "--no-recovery"]).ok().says("no rule was written for this");
    let note = note.says("clusters/eu        it has no kustomization.yaml").says("overlays/Big_One   ");
    assert!(note.stderr.contains("2 rules") && !t.read(".ageseal/policy.yaml").contains("clusters"));
    fs::remove_dir_all(t.path(".ageseal")).unwrap();
    let _ = t
        .run(&["init", "--no-recovery", "-n", "flux"])
        .ok()
        .says("clusters/eu/**     read by eu")
        .says("(--namespace)");
    assert!(t.read(".ageseal/policy.yaml").contains("recipients: [eu]\n  scopes: ['flux/*']"));

    let t = shop();
    let _ = t.run(&["init", "--no-recovery", "-n", "x"]).exit(2).says("--namespace has no use").says("shop-prod");
    let t = Scratch::new();
    t.write("envs/a/kustomization.yaml", "resources: []\n");
    let _ = t.run(&["init", "--no-recovery"]).exit(2).says("no overlay says its namespace").says("envs/a   its kustom");
    assert_eq!(t.names(), ["envs/a/kustomization.yaml"]);
}

#[test]
fn folders_with_odd_names_are_matched_as_they_are() {
    let t = Scratch::new();
    t.write("apps [x]{y}*/overlays/prod/kustomization.yaml", "namespace: ns\n");
    let _ = t.run(&["init", "--no-recovery"]).ok();
    let key = t.identity("../home/prod");
    let _ = t.run(&["recipients", "add", "prod", &key]).ok();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: ns}\nstringData: {a: b}\n";
    t.write("apps [x]{y}*/overlays/prod/a.secret.yaml", secret);
    t.write("apps xy/overlays/prod/a.secret.yaml", secret);
    let _ = t.run(&["seal", "apps [x]{y}*"]).ok();
    let _ = t.run(&["seal", "apps xy"]).exit(4).says("no rule of the policy matches");
}

#[test]
fn gits_files_keep_every_byte_that_they_had() {
    let t = shop();
    t.write(".gitignore", "target\r\n!*.secret.json\r\n*.secret.yaml");
    t.write(".gitattributes", "*.sealed.yaml -text\n");
    let _ = t.run(&["init", "--no-recovery"]).ok().says("added   .gitignore             1 line");
    let ignore = t.read(".gitignore");
    assert!(ignore.starts_with("target\r\n!*.secret.json\r\n*.secret.yaml\r\n\r\n# "), "{ignore:?}");
    assert!(ignore.ends_with("\r\n*.secret.yml\r\n") && ignore.matches('\n').count() == ignore.matches("\r\n").count());
    assert_eq!(t.read(".gitattributes"), "*.sealed.yaml -text\n");
}

#[test]
fn several_recovery_recipients_stand_together_or_not_at_all() {
    let t = shop();
    let (one, two) = (recipient(&t, "one"), recipient(&t, "two"));
    let classic = t.run(&["keygen", "--classic", "-q", "-o", "../home/c"]).ok().stdout.trim().to_owned();
    let before = t.tree();
    let _ = t.run(&["init", "--recovery", &one, "--recovery", &classic]).exit(2).says("cannot stand together");
    assert_eq!(t.tree(), before);
    let text = format!("# first\n{one}\n\n# second\n{two}\n{one}\n");
    let _ = t.run(&["init", "--recovery", &text]).exit(2).says("line 6: the recipient stands in the file twice");
    let _ = t.run(&["init", "--recovery", &format!("# first\n{one}"), "--recovery", &two, "--recovery", &one]).ok();
    let file = t.read(".ageseal/recipients/recovery.pub");
    assert!(file.contains(&format!("# first\n{one}\n{two}\n")), "{file}");
}

#[test]
fn ssh_keys_and_plugins_are_taken_and_nothing_runs() {
    let t = shop();
    #[cfg(unix)]
    let log = t.fake_plugin();
    let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN ann@laptop";
    let _ = t.run(&["init", "--recovery", ssh, "--recovery", FAKE_RECIPIENT]).ok();
    let file = t.read(".ageseal/recipients/recovery.pub");
    assert!(file.contains("\nssh-ed25519 AAAA") && file.contains(FAKE_RECIPIENT), "{file}");
    #[cfg(unix)]
    assert!(!log.exists());
}

#[test]
fn a_private_key_is_refused_loudly_and_never_repeated() {
    let t = shop();
    let key = t.run(&["keygen", "-q", "-o", "-"]).ok().stdout;
    let secret = key.lines().last().unwrap().to_owned();
    let before = t.tree();
    for text in [secret.as_str(), &key, &secret.to_lowercase()] {
        let run =
            t.run(&["init", "--recovery", text]).exit(2).says("--recovery: this is a private key, not a recipient");
        let _ = run.never_says(&secret[20..]).never_says(&secret.to_lowercase()[20..]);
    }
    assert_eq!(t.tree(), before);
}

#[test]
fn what_is_no_recipient_says_what_it_is() {
    let t = shop();
    let key = recipient(&t, "recovery");
    let file = t.write("recovery.pub", format!("{key}\n"));
    let before = t.tree();
    let mut typo = key.clone();
    typo.replace_range(30..31, if &key[30..31] == "q" { "p" } else { "q" });
    let _ = t.run(&["init", "--recovery", &typo]).exit(2).says("mistyped key: its checksum does not fit");
    let _ = t.run(&["init", "--recovery", ""]).exit(2).says("there is no recipient in it");
    let _ = t.run(&["init", "--recovery", "hello"]).exit(2).says("not an age recipient of a known kind");
    let run = t.run(&["init", "--recovery", file.to_str().unwrap()]).exit(2);
    assert!(run.stderr.contains("hint: this is a file: --recovery \"$(cat "), "{}", run.stderr);
    let _ = t.run(&["init", "--recovery", &key, "--no-recovery"]).exit(2).says("cannot be used with");
    assert_eq!(t.tree(), before);
}

#[test]
fn a_broken_policy_is_shown_and_an_empty_one_is_filled() {
    let t = shop();
    t.write(".ageseal/policy.yaml", "rules: [\n");
    let before = t.tree();
    let _ = t.run(&["init", "--no-recovery"]).exit(4).says(".ageseal/policy.yaml:");
    assert_eq!(t.tree(), before);
    t.write(".ageseal/policy.yaml", "\n");
    let _ = t.run(&["init", "--no-recovery"]).ok().says("2 rules");
}

#[test]
fn a_policy_below_the_top_is_found() {
    let t = shop();
    t.write("overlays/prod/.ageseal/policy.yaml", "");
    let before = t.tree();
    for script in ["ageseal init --no-recovery", "cd overlays/prod && ageseal init --no-recovery"] {
        let run = t.shell(script).exit(4);
        assert!(run.stderr.contains("below the top of the repository"), "{}", run.stderr);
    }
    assert_eq!(t.tree(), before);
}

#[test]
fn a_utf16_ignore_file_is_refused_before_anything_is_written() {
    let t = shop();
    t.write(".gitignore", b"\xff\xfet\0\n\0");
    let before = t.tree();
    let _ = t.run(&["init", "--no-recovery"]).exit(4).says("this is UTF-16, which git does not read");
    assert_eq!(t.tree(), before);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_in_the_place_of_what_it_writes_are_refused() {
        for place in
            [".ageseal", ".ageseal/recipients", ".ageseal/recipients/recovery.pub", ".gitignore", ".gitattributes"]
        {
            let t = shop();
            let key = recipient(&t, "recovery");
            fs::create_dir_all(t.path(place).parent().unwrap()).unwrap();
            let end = t.home().join("end");
            if place.contains(".git") || place.ends_with(".pub") {
                fs::write(&end, "").unwrap();
            } else {
                fs::create_dir(&end).unwrap();
            }
            symlink(&end, t.path(place)).unwrap();
            let before = t.tree();
            let _ = t.run(&["init", "--recovery", &key]).exit(4).says("this is a symbolic link");
            assert_eq!(t.tree(), before, "{place}");
            assert!(end.is_file() || fs::read_dir(&end).unwrap().next().is_none(), "{place}");
        }
    }

    #[test]
    fn something_else_in_its_place_is_refused() {
        let t = shop();
        t.write(".ageseal", "");
        let before = t.tree();
        let _ = t.run(&["init", "--no-recovery"]).exit(4).says("this is not a folder");
        assert_eq!(t.tree(), before);
        let t = shop();
        let _ = t.shell("mkdir .ageseal && mkfifo .gitignore .ageseal/recipients").ok();
        let _ = t.run(&["init", "--no-recovery"]).exit(4);
        assert!(!t.path(".ageseal/policy.yaml").exists());
    }

    #[test]
    fn a_disk_that_fills_up_leaves_nothing_behind() {
        let t = shop();
        t.write(".gitignore", "target\n");
        let before = t.tree();
        let run = t.shell("trap '' XFSZ; ulimit -f 0; ageseal init --no-recovery").exit(4);
        assert!(run.stderr.contains("nothing was changed"), "{}", run.stderr);
        assert_eq!(t.tree(), before);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_files_is_an_error() {
        let run = Scratch::new().shell("cd /proc/self/attr && ageseal init --no-recovery -n shop").exit(4);
        assert!(run.stderr.contains("the folder cannot be made; nothing was changed"), "{}", run.stderr);
    }
}

/// On a terminal, which `script` of util-linux is to the program.
#[cfg(target_os = "linux")]
mod terminal {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;

    /// Runs a line of shell on a terminal and types each answer when its question is there. Gives back what was shown.
    fn typed(t: &Scratch, line: &str, answers: &[(&str, &str)]) -> String {
        let program = t.command();
        let mut command = Command::new("script");
        command.args(["-qec", line, "/dev/null"]).current_dir(t.work()).env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut script =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script of util-linux runs");
        let (mut stdin, mut stdout) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let (mut shown, mut from) = (String::new(), 0);
        let mut bytes = [0; 4096];
        let mut answers = answers.iter();
        let mut next = answers.next();
        loop {
            while let Some((question, answer)) = next
                && let Some(at) = shown[from..].find(question)
            {
                from += at + question.len();
                stdin.write_all(format!("{answer}\n").as_bytes()).unwrap();
                next = answers.next();
            }
            match stdout.read(&mut bytes).unwrap() {
                0 => break,
                count => shown.push_str(&String::from_utf8_lossy(&bytes[..count])),
            }
        }
        let status = script.wait().unwrap();
        assert!(next.is_none(), "never asked for {next:?}:\n{shown}");
        format!("{shown}\nexit {}", status.code().unwrap())
    }

    #[test]
    fn a_recovery_identity_is_made_under_a_passphrase_and_opens() {
        let t = shop();
        let again = ("the same again:", "correct horse");
        let first = ("(not shown):", "correct horse");
        let shown = typed(&t, "ageseal init", &[("outside the repository:", "~/r.age"), first, again]);
        assert!(shown.ends_with("exit 0") && shown.contains("made    ~/r.age"), "{shown}");
        assert!(!shown.contains("correct horse"), "{shown}");
        let file = t.home().join("r.age");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{text}");
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);
        let public = t.read(".ageseal/recipients/recovery.pub");
        assert!(public.contains("\n# made by ageseal init, 20") && public.contains("\nage1pq1"), "{public}");
        assert!(t.tree().values().all(|bytes| !String::from_utf8_lossy(bytes).contains("SECRET-KEY")));

        let prod = recipient(&t, "prod");
        let _ = t.run(&["recipients", "add", "prod", &prod]).ok();
        let secret =
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop-prod}\nstringData: {a: canary-9}\n";
        t.write("overlays/prod/a.secret.yaml", secret);
        let _ = t.run(&["seal", "overlays/prod"]).ok();
        let shown =
            typed(&t, "ageseal get -i ~/r.age overlays/prod/a.sealed.yaml a", &[("passphrase", "correct horse")]);
        assert!(shown.contains("canary-9") && shown.ends_with("exit 0"), "{shown}");
        let before = t.tree();
        let shown = typed(&t, "ageseal init --recovery-file ~/r.age", &[]);
        assert!(shown.contains("there is a recovery recipient already") && shown.ends_with("exit 2"), "{shown}");
        assert_eq!((t.tree(), fs::read_to_string(&file).unwrap()), (before, text));
    }

    #[test]
    fn passphrases_that_differ_or_are_empty_make_nothing() {
        let t = shop();
        let before = t.tree();
        let line = "ageseal init --recovery-file ../home/r.age";
        let shown = typed(&t, line, &[("(not shown):", "one"), ("the same again:", "two")]);
        assert!(shown.contains("the two passphrases differ") && shown.ends_with("exit 2"), "{shown}");
        let shown = typed(&t, line, &[("(not shown):", "")]);
        assert!(shown.contains("an empty passphrase protects nothing") && shown.ends_with("exit 2"), "{shown}");
        let shown = typed(&t, "ageseal init", &[("outside the repository:", "")]);
        assert!(shown.contains("no file was named") && shown.ends_with("exit 2"), "{shown}");
        assert_eq!((t.tree(), fs::read_dir(t.home()).unwrap().count()), (before, 0));
    }

    #[test]
    fn a_disk_that_fills_up_takes_the_identity_away_again() {
        let t = shop();
        let before = t.tree();
        // 4 KiB (8 blocks) hold the identity, and .gitignore is larger.
        t.write(".gitignore", "#\n".repeat(4096));
        let before = {
            let mut tree = before;
            tree.insert(".gitignore".into(), "#\n".repeat(4096).into_bytes());
            tree
        };
        let line = "trap '' XFSZ; ulimit -f 8; ageseal init --recovery-file ../home/r.age";
        let shown = typed(&t, line, &[("(not shown):", "one"), ("the same again:", "one")]);
        assert!(shown.contains("nothing was changed") && shown.ends_with("exit 4"), "{shown}");
        assert_eq!((t.tree(), fs::read_dir(t.home()).unwrap().count()), (before, 0));
    }

    #[test]
    fn an_identity_is_not_put_where_it_would_be_found() {
        let t = shop();
        let _ = t.run(&["keygen", "-q"]).ok();
        let before = t.tree();
        let config = t.config().join("ageseal/identities/r.age");
        for (file, fact) in [
            ("r.age", "inside the repository"),
            ("overlays/../.ageseal-r.age", "inside the repository"),
            (config.to_str().unwrap(), "identities are searched for here"),
            ("../home", "this exists already"),
            ("../no/such/r.age", "the folder cannot be used"),
        ] {
            let shown = typed(&t, &format!("ageseal init --recovery-file {file}"), &[]);
            assert!(shown.contains(fact), "{file}: {shown}");
        }
        let shown = typed(&t, "AGESEAL_IDENTITY_FILE=$HOME/r.age ageseal init --recovery-file ../home/r.age", &[]);
        assert!(shown.contains("identities are searched for here"), "{shown}");
        assert_eq!(t.tree(), before);
        assert_eq!(fs::read_dir(config.parent().unwrap()).unwrap().count(), 1);
    }
}
