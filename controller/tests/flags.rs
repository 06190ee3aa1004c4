//! The program as it is called: its help, its variables, and what it says of a wrong call. No API server is asked.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::{Command, Output, Stdio};

use ageseal::recipient::Identity;

/// A wrong value for each flag, and what is said of it. Every flag is here but the two below, which take any text.
const WRONG: [(&str, &str, &str); 20] = [
    ("namespace", "Own", "--namespace names `Own`, which no namespace is called"),
    ("namespaces", "a,ageseal-system", "--namespaces names `ageseal-system`, the controller's own namespace"),
    ("namespaces", "", "--namespaces is given and empty: name one, or leave it out"),
    ("no-drift-watch", "perhaps", "--no-drift-watch"),
    ("recheck-every", "5", "`5` has no unit: write 90d, 12h, 5m, 15s or 500ms"),
    ("workers", "0", "--workers is 0: write a number from 1 to 1024"),
    ("allow-type", "a b", "--allow-type names `a b`, which no type of Secret is called"),
    ("allow-type", ",", "--allow-type is given and empty"),
    ("allow-cross-namespace", "perhaps", "--allow-cross-namespace"),
    ("allow-metadata", "ageseal.dev/", "--allow-metadata is `ageseal.dev/`"),
    ("allow-metadata", "", "--allow-metadata is given and empty"),
    ("backup-recipient", "", "--backup-recipient is given and empty: name one, or leave it out"),
    ("backup-recipient", "somebody", "--backup-recipient, number 1: no backup can be made for it"),
    ("renew-every", "90days", "`days` is not a unit"),
    ("lease-duration", "1500ms", "--lease-duration is 1.5s: a Lease object holds whole seconds"),
    ("renew-deadline", "15s", "--renew-deadline (15s) is not shorter than --lease-duration (15s)"),
    ("retry-period", "9s", "--retry-period (9s) is more than half of --renew-deadline (10s)"),
    ("listen", "8080", "'8080' for '--listen <ADDRESS>'"),
    ("log-level", "inof", "`inof` is not a level: write off, error, warn, info, debug or trace"),
    ("log-level", "kube client=debug", "`kube client` is not a module of this program"),
];

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ageseal-controller"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).stdin(Stdio::null());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_explains_every_flag() {
    let output = run(&["--help"], &[]);
    let help = text(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty());
    let expected = include_str!("flags/help.txt");
    // Lines that are empty but for spaces are clap's; a file in git has none.
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    assert_eq!(help.join("\n") + "\n", expected, "controller/tests/flags/help.txt is to be the text of --help");
}

#[test]
fn a_wrong_flag_is_refused_with_its_name_and_what_to_write() {
    for (flag, value, expected) in WRONG {
        let argument = format!("--{flag}={value}");
        // A switch takes no value on the command line; its variable does.
        let expected = if value == "perhaps" { "unexpected value 'perhaps'" } else { expected };
        refused(&run(&[&argument], &[]), expected, &argument);
    }
}

#[test]
fn a_wrong_variable_is_refused_just_so() {
    for (flag, value, expected) in WRONG {
        let variable = format!("AGESEAL_{}", flag.to_ascii_uppercase().replace('-', "_"));
        refused(&run(&[], &[(&variable, value)]), expected, &variable);
    }
}

#[test]
fn every_flag_of_the_help_is_tried_here() {
    let help = text(&run(&["--help"], &[]).stdout);
    for line in help.lines().filter_map(|line| line.trim().strip_prefix("--")) {
        let flag = line.split(' ').next().unwrap();
        let tried = WRONG.iter().any(|(wrong, _, _)| *wrong == flag) || flag == "pod-name";
        assert!(tried, "--{flag} is not among the wrong flags of this test");
    }
}

#[test]
fn the_flag_wins_over_the_variable() {
    let output = run(&["--workers=0"], &[("AGESEAL_WORKERS", "2000")]);
    refused(&output, "--workers is 0", "--workers");
}

#[test]
fn a_private_key_is_not_repeated() {
    let private = Identity::generate_x25519().to_secret_string().unwrap();
    let output = run(&[], &[("AGESEAL_BACKUP_RECIPIENT", private.as_str())]);
    refused(&output, "this is a private key", "AGESEAL_BACKUP_RECIPIENT");
    assert!(!text(&output.stderr).to_ascii_uppercase().contains("AGE-SECRET-KEY"));
}

#[test]
fn without_an_api_server_it_says_what_to_set_and_ends() {
    let pod = [("POD_NAME", "replica-1"), ("POD_NAMESPACE", "own"), ("AGESEAL_LISTEN", "127.0.0.1:0")];
    let output = run(&[], &[&pod[..], &[("HOME", "/nonexistent")]].concat());
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["message"], &lines[0]["level"]), (&"starting".into(), &"INFO".into()));
    assert_eq!((&lines[0]["replica"], &lines[0]["namespace"]), (&"replica-1".into(), &"own".into()));
    // Nobody has to guess whether the flag arrived.
    assert_eq!(lines[0]["backup_recipients"], 0);
    assert_eq!(lines[1]["level"], "WARN");
    assert!(lines[1]["message"].as_str().unwrap().contains("--backup-recipient"), "{}", lines[1]);
    let last = lines.last().unwrap();
    assert_eq!((&last["message"], &last["level"]), (&"the controller ends".into(), &"ERROR".into()));
    assert!(last["error"].as_str().unwrap().contains("set KUBECONFIG, or mount a service account token"), "{last}");
    assert!(output.stderr.is_empty());
}

#[test]
fn a_kubeconfig_is_not_quoted() {
    let folder = std::env::temp_dir().join(format!("ageseal-flags-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("kubeconfig");
    for content in
        ["users: [{name: u, user: {token: [not-a-real-token", "clusters: not-a-real-token\n", "\u{0}not-a-real-token"]
    {
        std::fs::write(&path, content).unwrap();
        let output = run(&["--listen=127.0.0.1:0"], &[("KUBECONFIG", path.to_str().unwrap())]);
        assert_eq!(output.status.code(), Some(1));
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(all.contains("KUBECONFIG names no usable kubeconfig") && !all.contains("not-a-real-token"), "{all}");
    }
    let missing = folder.join("missing");
    let output = run(&["--listen=127.0.0.1:0"], &[("KUBECONFIG", missing.to_str().unwrap())]);
    assert!(text(&output.stdout).contains("cannot be read: set KUBECONFIG to one that can"), "{output:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_port_that_is_taken_ends_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &address], &[]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("the port of the probes, {address}, cannot be opened: choose another with --listen");
    assert!(text(&output.stdout).contains(&expected), "{output:?}");
}

fn refused(output: &Output, expected: &str, what: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{what}: {said}");
    assert!(said.starts_with("error: ") && said.contains(expected), "{what}: {said}");
    assert!(output.stdout.is_empty(), "{what}");
}
