//! The commands that name a cluster, without one: what is wrong with the way there, with the pins, with what was typed.
//! Nothing answers at any address here.

use std::fs;

use crate::repo::{POLICY, git_repo, identity, keys, refused, refused_with, repo, well_told};
use crate::support::{Run, Scratch};

/// A kubeconfig with these lines for its one cluster and its one user.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\nclusters:\n- name: c\n  cluster: {cluster}\ncontexts:\n- name: prod\n  context: {{cluster: c, user: u}}\n- name: other\n  context: {{cluster: gone, user: u}}\nusers:\n- name: u\n  user: {user}\n"
    )
}

const DEAD: &str = "{server: 'https://127.0.0.1:1'}";

/// A repository, and a kubeconfig that leads to nobody.
fn dead() -> Scratch {
    let t = repo();
    t.write("kube.yaml", kubeconfig(DEAD, "{token: abc}"));
    let path = t.path("kube.yaml").to_str().unwrap().to_owned();
    t.with_env("KUBECONFIG", &path)
}

/// Every command that asks a cluster.
const COMMANDS: [&[&str]; 8] = [
    &["recipients", "sync", "prod"],
    &["keys", "list"],
    &["keys", "usage"],
    &["keys", "backup"],
    &["keys", "new", "--no-backup"],
    &["keys", "promote", "r7d793037a0760186"],
    &["keys", "retire", "r7d793037a0760186"],
    &["keys", "restore", "key.txt"],
];

fn with_key() -> Scratch {
    let t = dead();
    t.write("key.txt", &keys()["prod"].identity);
    t
}

#[test]
fn nobody_answers() {
    let t = with_key();
    for command in COMMANDS {
        let run = refused(&t, command, 4);
        let _ = run
            .says("error: the cluster of context prod cannot be asked\n  address: https://127.0.0.1:1\n")
            .says("caused by: connection refused")
            .says("hint: kubectl --context prod get --raw /version");
    }
}

#[test]
fn there_is_no_kubeconfig_or_no_such_context() {
    let t = repo();
    t.write("key.txt", &keys()["prod"].identity);
    for command in COMMANDS {
        let _ = refused(&t, command, 2).says("there is no kubeconfig").says("hint: name one: --kubeconfig FILE");
    }
    let t = dead();
    let run = refused(&t, &["keys", "list", "--context", "none"], 2);
    let _ = run.says("the kubeconfig has no context \"none\"\n").says("it has: prod, other");
    let _ = refused(&t, &["keys", "list", "--context", "other"], 4)
        .says("the context's cluster \"gone\" is not in the kubeconfig");
    let _ = refused(&t, &["keys", "list", "--kubeconfig", "none.yaml"], 4)
        .says("the kubeconfig cannot be read\n  none.yaml");
    t.write("no-current.yaml", kubeconfig(DEAD, "{}").replace("current-context: prod\n", ""));
    let run = refused(&t, &["keys", "list", "--kubeconfig", "no-current.yaml"], 2);
    let _ = run.says("no current context").says("--context prod, other");
    t.write("empty.yaml", "");
    let _ = refused(&t, &["keys", "list", "--kubeconfig", "empty.yaml"], 2).says("no current context");
}

#[test]
fn several_kubeconfigs_are_one_and_missing_ones_are_passed_over() {
    let t = repo();
    t.write("one.yaml", "apiVersion: v1\nkind: Config\ncurrent-context: prod\n");
    t.write("two.yaml", kubeconfig(DEAD, "{token: abc}"));
    let list =
        |names: &[&str]| names.iter().map(|name| t.path(name).display().to_string()).collect::<Vec<_>>().join(":");
    let run = |list: String| t.run_with(&["keys", "list"], b"", &[("KUBECONFIG", &list)]);
    let _ = run(list(&["one.yaml", "none.yaml", "two.yaml"])).exit(4).says("connection refused");
    let _ = run(list(&["none.yaml", "nor-this.yaml"])).exit(4).says("KUBECONFIG names no file that is there");
    // The one in the home folder.
    let kube = t.home().join(".kube");
    fs::create_dir(&kube).unwrap();
    fs::write(kube.join("config"), kubeconfig(DEAD, "{token: abc}")).unwrap();
    let _ = run(String::new()).exit(4).says("connection refused");
}

#[test]
fn a_broken_kubeconfig_is_told_by_its_line() {
    let t = dead();
    let good = kubeconfig(DEAD, "{token: abc}");
    for (text, said) in [
        (good.replace("clusters:\n- name: c\n", "clusters: [{{\n"), "this is not a kubeconfig, at line "),
        (good.replace("kind: Config", "kind: [Config]"), "this is not a kubeconfig"),
        (kubeconfig("{server: 'not an address'}", "{}"), "no address of the cluster that could be used"),
        (kubeconfig("{insecure-skip-tls-verify: true}", "{}"), "no address of the cluster that could be used"),
        (
            kubeconfig("{server: 'https://127.0.0.1:1', certificate-authority: none.crt}", "{}"),
            "certificate authority in the kubeconfig cannot be read",
        ),
        (
            kubeconfig("{server: 'https://127.0.0.1:1', certificate-authority-data: '!'}", "{}"),
            "certificate authority in the kubeconfig cannot be read",
        ),
        (kubeconfig(DEAD, "{tokenFile: none.token}"), "the token file that the kubeconfig names cannot be read"),
        (kubeconfig(DEAD, "{token: \"a\\nb\"}"), "the token of the kubeconfig has characters that none can have"),
    ] {
        t.write("broken.yaml", &text);
        let run = refused(&t, &["keys", "list", "--kubeconfig", "broken.yaml"], 4);
        let _ = run.says(said).never_says("abc");
    }
}

#[test]
fn a_token_file_may_end_in_a_newline() {
    let t = repo();
    t.write("token", "abc\n");
    t.write("kube.yaml", kubeconfig(DEAD, "{tokenFile: token}"));
    let _ = refused(&t, &["keys", "list", "--kubeconfig", "kube.yaml"], 4).says("connection refused");
}

#[cfg(unix)]
#[test]
fn a_credential_plugin_runs_without_our_private_key_and_its_words_are_shown() {
    let t = repo();
    let plugin = |line: &str| {
        let exec = format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: ['-c', '{line}']}}}}"
        );
        t.write("kube.yaml", kubeconfig(DEAD, &exec));
        let env = [("AGESEAL_IDENTITY", keys()["prod"].identity.as_str())];
        t.run_with(&["keys", "list", "--kubeconfig", "kube.yaml"], b"", &env)
    };
    let run = plugin("env > seen; echo a-token; echo log in first >&2; exit 7");
    let run =
        well_told(run.exit(4)).says("credential plugin ended with exit status: 7").says("caused by: log in first");
    let _ = run.never_says("a-token");
    let seen = t.read("seen");
    assert!(seen.contains("PATH=") && !seen.contains("AGE-SECRET") && !seen.contains("AGESEAL_IDENTITY="), "{seen}");
    let _ = well_told(plugin("echo token: a-token").exit(4)).says("did not print a credential").never_says("a-token");
    t.write(
        "kube.yaml",
        kubeconfig(
            DEAD,
            "{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin}}",
        ),
    );
    let run = refused(&t, &["keys", "list", "--kubeconfig", "kube.yaml"], 4);
    let _ = run.says("credential plugin cannot be started").says("there is no such file");
}

#[cfg(unix)]
#[test]
fn the_older_form_of_a_credential_plugin_runs_without_our_private_key_too() {
    use std::os::unix::fs::PermissionsExt;
    let t = repo();
    t.write("plugin.sh", "#!/bin/sh\nenv > seen\nprintf abc\n");
    fs::set_permissions(t.path("plugin.sh"), fs::Permissions::from_mode(0o700)).unwrap();
    let plugin = t.path("plugin.sh").display().to_string();
    for drop in ["", ", cmd-drop-env: 'HOME LANG'"] {
        let user = format!("{{auth-provider: {{name: gcp, config: {{cmd-path: '{plugin}', cmd-args: x{drop}}}}}}}");
        t.write("kube.yaml", kubeconfig(DEAD, &user));
        let env = [("AGESEAL_IDENTITY", keys()["prod"].identity.as_str()), ("LANG", "C")];
        let run = t.run_with(&["keys", "list", "--kubeconfig", "kube.yaml"], b"", &env);
        let _ = well_told(run.exit(4)).says("connection refused");
        let seen = t.read("seen");
        assert!(
            seen.contains("PATH=") && !seen.contains("AGE-SECRET") && !seen.contains("AGESEAL_IDENTITY="),
            "{seen}"
        );
        assert_eq!(seen.contains("\nLANG="), drop.is_empty(), "{seen}");
    }
}

#[test]
fn nothing_is_synced_from_a_cluster_without_proof_and_no_private_key_goes_there_or_comes_from_there() {
    let t = repo();
    t.write("key.txt", &keys()["prod"].identity);
    let id = "r7d793037a0760186";
    let keeper = keys()["recovery"].recipient.as_str();
    let commands: [&[&str]; 7] = [
        &["recipients", "sync", "prod", "--yes"],
        &["keys", "new", "--no-backup"],
        &["keys", "restore", "key.txt"],
        &["keys", "backup", "-r", keeper],
        &["keys", "backup", id, "-r", keeper, "--store"],
        &["keys", "promote", id],
        &["keys", "retire", id],
    ];
    for cluster in ["{server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}", "{server: 'http://192.0.2.1:1'}"]
    {
        t.write("kube.yaml", kubeconfig(cluster, "{token: abc}"));
        for command in commands {
            // Refused before anything is asked: nobody is at either address.
            let run = refused(&t, &[command, &["--kubeconfig", "kube.yaml"]].concat(), 2);
            let run = run.says("nothing proves that an answer comes from the cluster").says("certificate authority");
            let _ = run.never_says("cannot be asked");
        }
    }
    // What has no private key in it is asked for all the same.
    t.write("kube.yaml", kubeconfig("{server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}", "{}"));
    for command in [&["keys", "list"], &["keys", "backup"]] {
        let _ = refused(&t, &[&command[..], &["--kubeconfig", "kube.yaml"]].concat(), 4).says("connection refused");
    }
}

#[test]
fn a_proxy_that_is_none_is_told_without_its_password() {
    let t = repo();
    t.write("kube.yaml", kubeconfig("{server: 'https://192.0.2.1:1'}", "{token: abc}"));
    let run = |env: &[(&str, &str)]| t.run_with(&["keys", "list", "--kubeconfig", "kube.yaml"], b"", env);
    let _ = well_told(run(&[("HTTPS_PROXY", "http://ann:hunter2@")]).exit(2))
        .says("HTTPS_PROXY is not the address of a proxy")
        .never_says("hunter2");
    // The proxy is asked, and is not there.
    let _ = well_told(run(&[("HTTPS_PROXY", "http://127.0.0.1:1")]).exit(4)).says("connection refused");
    // Never for this machine.
    t.write("kube.yaml", kubeconfig(DEAD, "{token: abc}"));
    let _ = run(&[("HTTPS_PROXY", "nonsense at all")]).exit(4).says("connection refused");
}

const PIN: &str = "\
apiVersion: ageseal.dev/v1alpha1
kind: ClusterPin
namespace: ageseal-system
serial: 1
current: r7d793037a0760186
recipients:
- r7d793037a0760186
";

#[test]
fn pins_are_strict_and_harm_nobody_else() {
    let t = dead();
    t.write(".ageseal/clusters/prod.yaml", format!("{PIN}user: ann\n"));
    let run = refused(&t, &["recipients", "sync"], 4);
    let _ = run.says("a pin has no field \"user\"\n  .ageseal/clusters/prod.yaml:8:1");
    t.write(".ageseal/clusters/prod.yaml", PIN.replace("serial: 1", "serial: none"));
    let _ = refused(&t, &["recipients", "sync"], 4).says("serial is not a number from 1 on");
    t.write(".ageseal/clusters/prod.yaml", PIN.replace("serial: 1", "serial: 1\naddress: \"http://127.0.0.1:8001\""));
    let _ = refused(&t, &["recipients", "sync"], 4).says("address is not an address that begins with https://");
    t.write(".ageseal/clusters/Bad_name.yaml", PIN);
    let _ = refused(&t, &["recipients", "sync"], 4).says("\"Bad_name\" is not a name of recipients");
    // Whoever does not sync does not read them, and check finds nothing in them.
    let _ = t.run(&["check"]).ok();
    let _ = t.run(&["recipients", "list"]).ok();
    fs::remove_file(t.path(".ageseal/clusters/Bad_name.yaml")).unwrap();
    fs::remove_file(t.path(".ageseal/clusters/prod.yaml")).unwrap();
    #[cfg(unix)]
    {
        t.write("elsewhere.yaml", PIN);
        std::os::unix::fs::symlink("../../elsewhere.yaml", t.path(".ageseal/clusters/prod.yaml")).unwrap();
        let _ = refused(&t, &["recipients", "sync"], 4).says("this is a symbolic link");
    }
}

#[test]
fn a_name_is_asked_for_where_it_could_be_several() {
    let t = dead();
    t.write(".ageseal/clusters/one.yaml", PIN);
    // The only one is meant; nobody answers.
    let _ = refused(&t, &["recipients", "sync"], 4).says("cannot be asked");
    t.write(".ageseal/clusters/two.yaml", PIN);
    let run = refused(&t, &["recipients", "sync"], 2);
    let _ =
        run.says("clusters are pinned for several names").says("pinned: one, two").says("ageseal recipients sync NAME");
    t.write(
        "kube.yaml",
        kubeconfig(DEAD, "{}")
            .replace("name: prod", "name: ann@eu.example.com")
            .replace("context: prod", "context: ann@eu.example.com"),
    );
    fs::remove_dir_all(t.path(".ageseal/clusters")).unwrap();
    let _ = refused(&t, &["recipients", "sync"], 2).says("the context's name cannot be one of recipients");
    let _ = refused(&t, &["recipients", "sync", "Prod"], 2).says("write prod");
    let _ = refused(&t, &["recipients", "sync", "--yes", "--dry-run"], 2);
    let _ = refused(&t, &["recipients", "sync", "--until", "tomorrow"], 2);
    let _ = refused(&t, &["recipients", "sync", "--controller-namespace", "No"], 2).says("--controller-namespace");
}

#[test]
fn what_was_typed_is_looked_at_before_anything_is_asked() {
    let t = dead();
    let secret = keys()["prod"].identity.lines().last().unwrap().to_owned();
    let quiet = |run: Run| run.never_says(&secret[20..60]).never_says("cannot be asked");
    let _ = quiet(refused(&t, &["keys", "new"], 2)).says("--backup-recipient");
    let _ = quiet(refused(&t, &["keys", "new", "--backup-recipient", "nobody"], 2))
        .says("nobody has no recipient in this repository");
    let _ = quiet(refused(&t, &["keys", "new", "--backup-recipient", &secret], 2)).says("private key");
    let classic = t.run(&["keygen", "--classic", "-q", "-o", "classic.txt"]).ok().stdout.trim().to_owned();
    let _ = quiet(refused(&t, &["keys", "new", "--backup-recipient", &classic], 2)).says("is classic and the identity");
    let _ = quiet(refused(&t, &["keys", "backup", "--store"], 2)).says("--recipient");
    let _ = quiet(refused(&t, &["keys", "backup", "-r", "recovery", "--replace"], 2)).says("--store");
    let _ = quiet(refused(&t, &["keys", "retire", "r7d79", "--partial"], 2)).says("--namespaces");
    let _ = quiet(refused(&t, &["keys", "backup", "-r", &secret], 2)).says("private key");
    let _ = quiet(refused(&t, &["keys", "backup", "-r", "age1qqq"], 2)).says("checksum");
    let _ = quiet(refused(&t, &["keys", "restore", "none.age"], 4)).says("there is no such file");
    let _ = quiet(refused(&t, &["keys", "restore", ".ageseal/recipients/prod.pub"], 4))
        .says("is a recipient, which opens nothing");
    t.write("empty", "");
    let _ = quiet(refused(&t, &["keys", "restore", "empty"], 4)).says("the input is empty");
    let _ = quiet(refused_with(&t, &["keys", "restore", "-"], b"AGE-PLUGIN-X-1QQQ", 4)).says("is a mistyped identity");
    let _ = quiet(refused_with(&t, &["keys", "restore", "-"], b"-----BEGIN AGE ENCRYPTED FILE-----\nnonsense\n", 4))
        .says("not a whole age file");
    t.write("two.txt", format!("{secret}\n{}\n", keys()["test"].identity.lines().last().unwrap()));
    let _ = quiet(refused(&t, &["keys", "restore", "two.txt", "--promote"], 2)).says("the file holds 2 identities");
}

#[test]
fn a_backup_that_no_identity_opens_says_which_were_tried() {
    let t = dead();
    let sealed = encrypted(&t, "recovery");
    t.write("backup.age", &sealed);
    let run = refused(&t, &["keys", "restore", "backup.age", "-i", &identity(&t, "test")], 3);
    let _ = run.says("no identity opens this file\n  backup.age").says("tried: ");
    let _ = refused(&t, &["keys", "restore", "backup.age"], 3).says("there is no identity to open with");
    // With the right one it goes on, as far as it can.
    let run = refused(&t, &["keys", "restore", "backup.age", "-i", &identity(&t, "recovery")], 4);
    let _ = run.says("connection refused");
    t.write("cut.age", &sealed[..sealed.len() / 2]);
    let _ =
        refused(&t, &["keys", "restore", "cut.age", "-i", &identity(&t, "recovery")], 4).says("not a whole age file");
}

/// An identity file, encrypted to a name's recipient by age itself.
fn encrypted(t: &Scratch, to: &str) -> String {
    let age = ageseal_testkit::age();
    let mut command = std::process::Command::new(age);
    command
        .args(["-e", "-a", "-r", &keys()[to].recipient, "-o"])
        .arg(t.home().join("x.age"))
        .arg(t.home().join("stranger.txt"));
    assert!(command.status().unwrap().success());
    let text = fs::read_to_string(t.home().join("x.age")).unwrap();
    fs::remove_file(t.home().join("x.age")).unwrap();
    text
}

#[test]
fn doctor_says_what_is_wrong_here_and_goes_on_without_a_cluster() {
    let t = git_repo();
    t.write("prod/db.secret.yaml", crate::repo::secret("db", "stringData:\n  a: b\n"));
    let run = t.run(&["doctor", "--offline"]).exit(1);
    for said in
        ["wrong     .gitattributes lacks lines", "→ ageseal init", "plaintext Secret (1)", "→ ageseal check tells each"]
    {
        assert!(run.stdout.contains(said), "{said}:\n{}", run.stdout);
    }
    let _ = t.run(&["init", "-q"]).ok();
    fs::remove_file(t.path("prod/db.secret.yaml")).unwrap();
    let run = t.run(&["doctor", "--offline"]).ok();
    assert!(!run.stdout.contains("wrong  ") && !run.stdout.contains("cluster\n"), "{}", run.stdout);
    // A cluster that was not named is left out; one that was is an error.
    let run = t.run(&["doctor"]).ok();
    assert!(run.stdout.contains("no cluster was asked: there is no kubeconfig"), "{}", run.stdout);
    let _ = refused(&t, &["doctor", "--context", "prod"], 2).says("there is no kubeconfig");
    t.write("kube.yaml", kubeconfig(DEAD, "{}"));
    let run = t.run(&["doctor", "--kubeconfig", "kube.yaml"]).exit(1);
    assert!(run.stdout.contains("wrong     the cluster of context prod cannot be asked"), "{}", run.stdout);
    let _ = refused(&t, &["doctor", "--offline", "--context", "prod"], 2);
}

#[test]
fn doctor_sees_keys_that_others_can_read_and_a_policy_that_cannot_be_read() {
    let t = repo();
    let folder = t.config().join("ageseal/identities");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("laptop.txt");
    fs::write(&file, &keys()["prod"].identity).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let run = t.run(&["doctor", "--offline"]).exit(1);
        assert!(run.stdout.contains("other users of this machine can read private keys of yours"), "{}", run.stdout);
        assert!(run.stdout.contains("→ chmod 600 "), "{}", run.stdout);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    t.write(".ageseal/policy.yaml", POLICY.replace("rules:", "rulez:"));
    let run = t.run(&["doctor", "--offline"]).exit(1);
    assert!(run.stdout.contains("1 identity file, readable by you alone"), "{}", run.stdout);
    assert!(run.stdout.contains("rulez"), "{}", run.stdout);
}

#[test]
fn doctor_prints_json_whose_fields_the_manual_names() {
    let t = git_repo();
    let run = t.run(&["doctor", "--offline", "--json"]).exit(1);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let wrong = report["findings"].as_array().unwrap().iter().filter(|finding| finding["state"] == "wrong").count();
    assert!(wrong > 0 && report["wrong"] == wrong, "{report}");
    let page = include_str!("../../../docs/cluster-json.md");
    for field in report.as_object().unwrap().keys().chain(report["findings"][0].as_object().unwrap().keys()) {
        assert!(page.contains(&format!("`{field}`")), "docs/cluster-json.md does not name {field}");
    }
}
