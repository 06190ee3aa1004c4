//! What the system does in the middle of it: full disks, read-only folders, signals, links, pipes, other processes.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::repo::{
    CANARY, changes, get, identity, leak, open, quiet, refused, refused_with, repo, sealed, secret, state, well_told,
};
use crate::support::Scratch;

const SOURCE: &str = "prod/db.secret.yaml";
const FILE: &str = "prod/db.sealed.yaml";

fn both() -> Scratch {
    let t = repo();
    t.write(SOURCE, secret("db", &format!("stringData:\n  host: h\n  password: {CANARY}\n")));
    sealed(&t, FILE, "db", &[("host", "old"), ("password", "old")]);
    t
}

/// Every command that writes a file, as a line of shell.
fn writers() -> Vec<String> {
    vec![
        format!("ageseal seal {SOURCE}"),
        format!("ageseal seal {SOURCE} -o prod/new.yaml"),
        format!("ageseal seal --in-place {SOURCE}"),
        format!("printf %s {CANARY} | ageseal set {FILE} password"),
        format!("ageseal unset {FILE} password"),
        format!("printf %s {CANARY} | ageseal create opaque x -n shop-prod --stdin a -o prod/new.yaml"),
        "ageseal keygen -o prod/new.txt".to_owned(),
    ]
}

#[test]
fn a_full_disk_leaves_everything_as_it_was() {
    for line in writers() {
        let t = both();
        let before = state(&t);
        // Files of this process may hold nothing, or the first block and no more: what a full disk does.
        for blocks in [0, 1] {
            let run = t.shell(&format!("trap '' XFSZ; ulimit -f {blocks}; {line}"));
            if blocks == 1 && line.contains("keygen") {
                continue;
            }
            let run = well_told(run.exit(4));
            assert!(run.stderr.contains("prod/"), "{line}: no place:\n{}", run.stderr);
            assert_eq!(changes(&before, &state(&t)), Vec::<String>::new(), "{line}");
        }
    }
}

#[test]
fn a_full_disk_behind_stdout_is_told() {
    let t = both();
    let id = identity(&t, "prod");
    for line in [
        format!("ageseal open {FILE} -i {id}"),
        format!("ageseal get {FILE} password -i {id}"),
        format!("ageseal seal - -o - --as {FILE} < {SOURCE}"),
    ] {
        let run = t.shell(&format!("{line} > /dev/full"));
        let _ = quiet(run.exit(4)).says("error: ").says("no space left");
    }
}

#[test]
fn a_read_only_folder() {
    let t = both();
    // Modes do not stop root, so root becomes nobody, who may read everything here and write nothing.
    let root = t.shell("id -u").ok().stdout.trim() == "0";
    let prefix = if root { "setpriv --reuid=65534 --regid=65534 --clear-groups " } else { "" };
    for folder in [t.work(), t.path("prod"), t.path(".ageseal"), t.path(".ageseal/recipients")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    }
    fs::set_permissions(t.work().parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(t.home().join(".gitconfig"), "[safe]\ndirectory = *\n").unwrap();
    // A git repository, since outside one the policy has to belong to the caller.
    fs::set_permissions(t.work(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(t.path(".git")).unwrap();
    fs::set_permissions(t.work(), fs::Permissions::from_mode(0o555)).unwrap();
    // The build folder may be closed to the user that the program runs as.
    let copy = "mkdir ../open && cp \"$(command -v ageseal)\" ../open/ && chmod 755 ../open ../open/ageseal";
    let _ = t.shell(copy).ok();
    let before = state(&t);
    for line in writers() {
        let line = line.replace("ageseal ", &format!("{prefix}$AGESEAL "));
        let run = t.shell(&format!("AGESEAL=../open/ageseal; {line}"));
        let run = well_told(run.exit(4));
        assert!(run.stderr.contains("prod/") && run.stderr.contains("permission denied"), "{line}\n{}", run.stderr);
        assert_eq!(changes(&before, &state(&t)), Vec::<String>::new(), "{line}");
    }
    for folder in [t.work(), t.path("prod"), t.path(".ageseal"), t.path(".ageseal/recipients")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn what_a_killed_run_leaves_is_told_and_holds_nothing_plain() {
    let t = both();
    let _ = t.run(&["check", "-q"]).exit(1);
    let before = t.read(FILE);
    // Who holds the folder makes a run wait right before its rename, with all of it written.
    let folder = fs::File::open(t.path("prod")).unwrap();
    folder.lock().unwrap();
    let mut run = t.command();
    let mut run =
        run.args(["seal", SOURCE]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let left = || t.names().into_iter().find(|name| name.ends_with(".tmp"));
    let start = Instant::now();
    let whole = |name: &String| t.read(name).ends_with("-----END AGE ENCRYPTED FILE-----\n");
    while !left().is_some_and(|name| whole(&name)) && start.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(5));
    }
    run.kill().unwrap();
    let _ = run.wait().unwrap();
    drop(folder);
    let name = left().unwrap();
    assert!(name.starts_with("prod/.db.sealed.yaml.") && leak(t.read(&name).as_bytes()).is_none(), "{name}");
    assert_eq!(t.read(FILE), before);

    let note = "note: left over from a run that was killed";
    let told = t.run(&["check"]).exit(1);
    assert!(
        told.stdout.contains(&format!("{note}\n  {name}   it was to become db.sealed.yaml, and never did")),
        "{}",
        told.stdout
    );
    // The next run is not in its way, leaves it alone, and nothing reads it.
    let _ = t.run(&["seal", SOURCE]).ok();
    assert_ne!(t.read(FILE), before);
    let _ = t.run(&["open", "prod", "-i", &identity(&t, "prod")]).ok();
    assert!(t.run(&["check"]).exit(1).stdout.contains(note));
    fs::remove_file(t.path(&name)).unwrap();
    assert!(!t.run(&["check"]).exit(1).stdout.contains(note));
}

#[test]
fn interrupted_at_any_moment_every_file_is_old_or_new() {
    let t = repo();
    for n in 0..12 {
        t.write(
            format!("prod/d{n:02}.yaml"),
            secret(&format!("d{n:02}"), &format!("stringData:\n  password: {CANARY}\n")),
        );
        sealed(&t, &format!("prod/d{n:02}.sealed.yaml"), &format!("d{n:02}"), &[("password", "old")]);
    }
    let whole = |name: &str| {
        let text = t.read(name);
        assert!(
            text.starts_with("apiVersion: ageseal.dev/v1alpha1\n")
                && text.ends_with("-----END AGE ENCRYPTED FILE-----\n"),
            "{name}"
        );
    };
    let sources = state(&t);
    let start = Instant::now();
    let _ = t.run(&["seal", "-q", "prod"]).ok();
    let takes = start.elapsed();
    let mut interrupted = 0;
    for step in 0..24 {
        let mut command = t.command();
        let mut child = command
            .args(["seal", "-q", "--fresh", "prod"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(takes * step / 24);
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
        let status = child.wait().unwrap();
        interrupted += u32::from(!status.success());
        for entry in fs::read_dir(t.path("prod")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(rest) = name.strip_prefix('.') {
                // What is left behind is the sealed text or the beginning of it.
                assert!(rest.contains(".sealed.yaml.") && name.ends_with(".tmp"), "{name}");
                assert_eq!(leak(&fs::read(t.path("prod").join(&name)).unwrap()), None);
                fs::remove_file(t.path("prod").join(&name)).unwrap();
            } else if name.ends_with(".sealed.yaml") {
                whole(&format!("prod/{name}"));
            }
        }
    }
    assert!(interrupted > 3, "{interrupted} of 24 were interrupted: the test has to be slower or faster");
    for n in 0..12 {
        assert_eq!(get(&t, &format!("prod/d{n:02}.sealed.yaml"), "password"), CANARY);
    }
    let after = state(&t);
    let changed = changes(&sources, &after);
    assert!(changed.iter().all(|name| name.ends_with(".sealed.yaml") || name.ends_with("/prod")), "{changed:?}");
}

#[test]
fn interrupted_at_the_question_the_terminal_shows_what_is_typed_again() {
    let t = both();
    let before = state(&t);
    fs::write(t.bin().join("asked"), format!("trap : INT\nageseal set {FILE} password\necho code $?\nstty -a\n"))
        .unwrap();
    // Ctrl-C, typed into a terminal that `script` makes.
    let run =
        t.shell("(sleep 0.5; printf '\\003'; sleep 0.5) | script -qec \"sh $(dirname $HOME)/bin/asked\" /dev/null");
    assert!(run.stdout.contains("value for password (not shown):"), "{run:?}");
    assert!(run.stdout.contains(" echo "), "the terminal stays dark:\n{}", run.stdout);
    assert!(!run.stdout.contains("code 0"), "{run:?}");
    assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
}

#[test]
fn a_question_on_a_terminal_is_answered_without_echo() {
    let t = both();
    let run = t.shell(&format!(
        "(sleep 0.5; printf '%s\\n' {CANARY}; sleep 0.5) | script -qec 'ageseal set {FILE} password' /dev/null"
    ));
    let run = quiet(run);
    assert!(run.stdout.contains("value for password (not shown):") && run.stdout.contains("read by"), "{run:?}");
    assert_eq!(get(&t, FILE, "password"), CANARY);
}

#[test]
fn no_terminal_where_one_is_needed() {
    let t = both();
    // `set` reads stdin then; an empty one is no value.
    let _ = refused(&t, &["set", FILE, "password"], 2).says("stdin is empty").says("hint: ");
    let _ = refused(&t, &["create", "opaque", "x", "-n", "shop-prod", "--prompt", "a", "-o", "prod/x.sealed.yaml"], 2)
        .says("no terminal")
        .says("--stdin");
    let docker = [
        "create",
        "dockerconfigjson",
        "x",
        "-n",
        "shop-prod",
        "--docker-server",
        "r",
        "--docker-username",
        "u",
        "-o",
        "prod/x.sealed.yaml",
    ];
    let _ = refused(&t, &docker, 2).says("no terminal").says("hint: ");
    // A locked identity.
    let _ = t.shell(&format!("cp {0} locked.txt", identity(&t, "prod"))).ok();
    let age = ageseal_testkit::age().display();
    let locked = t.shell(&format!("printf 'x\\nx\\n' | script -qec '{age} -p -a -o locked.age locked.txt' /dev/null; rm locked.txt; test -s locked.age"));
    if locked.code == 0 {
        let run = t.run(&["open", FILE, "-i", "locked.age"]);
        let _ = well_told(run).says("locked.age").says("terminal");
    }
    // A newline at the end of stdin is a question too.
    let _ = refused_with(&t, &["set", FILE, "password"], format!("{CANARY}\n").as_bytes(), 2)
        .says("--trim-newline")
        .says("--keep-newline");
}

#[test]
fn the_target_is_a_folder() {
    let t = repo();
    t.write(SOURCE, secret("db", &format!("stringData:\n  password: {CANARY}\n")));
    fs::create_dir_all(t.path("prod/db.sealed.yaml")).unwrap();
    let _ = refused(&t, &["seal", SOURCE], 4).says(FILE).says("folder");
    let _ = refused(&t, &["seal", SOURCE, "-o", "prod"], 4).says("prod");
    let id = identity(&t, "prod");
    let _ = refused(&t, &["open", FILE, "-i", &id], 4);
    let _ = refused(&t, &["get", FILE, "a", "-i", &id], 4).says("folder");
    let _ = refused_with(&t, &["set", FILE, "a"], CANARY.as_bytes(), 4).says("folder");
    let _ = refused(&t, &["unset", FILE, "a"], 4).says("folder");
    let _ = refused_with(
        &t,
        &["create", "opaque", "x", "-n", "shop-prod", "--stdin", "a", "-o", FILE],
        CANARY.as_bytes(),
        4,
    )
    .says("exists");
    let _ = refused(&t, &["keygen", "-o", FILE], 4);
}

#[test]
fn the_target_is_a_pipe() {
    let t = repo();
    t.write(SOURCE, secret("db", &format!("stringData:\n  password: {CANARY}\n")));
    let _ = t.shell(&format!("mkfifo {FILE}")).ok();
    let start = Instant::now();
    let id = identity(&t, "prod");
    let _ = quiet(t.run(&["seal", SOURCE]).exit(4)).says(FILE).says("pipe");
    let _ = quiet(t.run(&["seal", "--in-place", FILE]).exit(4)).says("pipe");
    let _ = quiet(t.run(&["open", FILE, "-i", &id]).exit(4)).says("pipe");
    let _ = quiet(t.run(&["get", FILE, "a", "-i", &id]).exit(4)).says("pipe");
    let _ = quiet(t.run_with(&["set", FILE, "a"], CANARY.as_bytes(), &[]).exit(4)).says("pipe");
    let _ = quiet(t.run(&["seal", "prod"]).exit(4)).says(FILE);
    assert!(start.elapsed() < Duration::from_secs(20), "something waited for a writer");
}

#[test]
fn the_target_is_a_link() {
    let t = both();
    fs::rename(t.path(FILE), t.path("prod/real.yaml")).unwrap();
    symlink("real.yaml", t.path(FILE)).unwrap();
    let id = identity(&t, "prod");
    // A link is not replaced by a file, and what it leads to is not written to.
    let _ = refused(&t, &["seal", SOURCE], 4).says(FILE).says("link");
    let _ = refused_with(&t, &["set", FILE, "password"], CANARY.as_bytes(), 4).says("link");
    let _ = refused(&t, &["unset", FILE, "password"], 4).says("link");
    let _ = refused(&t, &["open", FILE, "-i", &id], 4).says("real.yaml");
    let _ = refused_with(
        &t,
        &["create", "opaque", "x", "-n", "shop-prod", "--stdin", "a", "-o", FILE],
        CANARY.as_bytes(),
        4,
    );
    // A link that leads out of the repository, or nowhere.
    fs::remove_file(t.path(FILE)).unwrap();
    symlink(t.home().join("stolen.yaml"), t.path(FILE)).unwrap();
    let _ = refused(&t, &["seal", SOURCE], 4).says(FILE);
    let _ = refused_with(
        &t,
        &["create", "opaque", "x", "-n", "shop-prod", "--stdin", "a", "-o", FILE],
        CANARY.as_bytes(),
        4,
    );
    assert!(!t.home().join("stolen.yaml").exists());
    // A source that is a link.
    fs::rename(t.path(SOURCE), t.path("prod/source.txt")).unwrap();
    symlink("source.txt", t.path(SOURCE)).unwrap();
    let _ = refused(&t, &["seal", "--in-place", SOURCE], 4).says("source.txt");
    // A folder behind a link has the rule of the place where it lies.
    fs::create_dir_all(t.path("test")).unwrap();
    symlink("../test", t.path("prod/link")).unwrap();
    let args = ["create", "opaque", "x", "-n", "shop-prod", "--stdin", "a", "-o", "prod/link/x.sealed.yaml"];
    let _ = refused_with(&t, &args, CANARY.as_bytes(), 4).says("shop-test/*");
}

#[test]
fn two_processes_on_one_file() {
    let t = repo();
    let keys: Vec<String> = (0..8).map(|n| format!("key{n}")).collect();
    let values: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "old")).collect();
    sealed(&t, FILE, "db", &values);
    let runs: Vec<_> = thread::scope(|scope| {
        let t = &t;
        let handles: Vec<_> = keys
            .iter()
            .map(|key| scope.spawn(move || t.run_with(&["set", FILE, key], format!("{CANARY}{key}").as_bytes(), &[])))
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert!(runs.iter().any(|run| run.code == 0));
    for (key, run) in keys.iter().zip(runs) {
        let run = quiet(run);
        // Who was told that it is done finds it done; who was not is told why.
        if run.code == 0 {
            assert_eq!(get(&t, FILE, key), format!("{CANARY}{key}"));
        } else {
            let _ = run.exit(4).says("changed").says(FILE);
            assert_eq!(get(&t, FILE, key), "old");
        }
    }
    assert_eq!(fs::read_dir(t.path("prod")).unwrap().count(), 1);
}

#[test]
fn two_processes_sealing_the_same_new_file() {
    let t = repo();
    t.write(SOURCE, secret("db", &format!("stringData:\n  password: {CANARY}\n")));
    let codes: Vec<_> = thread::scope(|scope| {
        let t = &t;
        let handles: Vec<_> = (0..6).map(|_| scope.spawn(move || quiet(t.run(&["seal", SOURCE])))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert!(codes.iter().any(|run| run.code == 0));
    for run in codes {
        assert!(run.code == 0 || (run.code == 4 && run.stderr.contains(FILE)), "{run:?}");
    }
    assert_eq!(get(&t, FILE, "password"), CANARY);
    assert_eq!(t.names().iter().filter(|name| name.starts_with("prod/")).count(), 2, "{:?}", t.names());
}

#[test]
fn a_reader_that_goes_away() {
    let t = both();
    let id = identity(&t, "prod");
    for line in [
        format!("ageseal open {FILE} -i {id}"),
        format!("ageseal get {FILE} password -i {id}"),
        format!("ageseal seal - --as {FILE} < {SOURCE}"),
        "ageseal show".to_owned(),
        "ageseal check".to_owned(),
    ] {
        let run = t.shell(&format!("{{ {line}; echo code $? >&2; }} | true"));
        assert!(
            !run.stderr.contains("panicked") && !run.stderr.to_lowercase().contains("broken pipe"),
            "{line}\n{}",
            run.stderr
        );
        let closed = t.shell(&format!("{line} >&-"));
        assert!(!closed.stderr.contains("panicked"), "{line}\n{}", closed.stderr);
        assert_eq!(leak(run.stderr.as_bytes()), None);
    }
}

#[test]
fn stdin_that_is_closed_or_a_folder() {
    let t = both();
    for line in [
        format!("ageseal set {FILE} password <&-"),
        format!("ageseal set {FILE} password < prod"),
        "ageseal seal - -n shop-prod <&-".to_owned(),
        "ageseal seal - < /dev/null".to_owned(),
    ] {
        let before = state(&t);
        let run = quiet(t.shell(&line));
        assert!(matches!(run.code, 2 | 4) && run.stderr.contains("error: "), "{line}: {run:?}");
        assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
    }
}

#[test]
fn modes_stay_and_names_may_be_odd() {
    let t = both();
    fs::set_permissions(t.path(FILE), fs::Permissions::from_mode(0o640)).unwrap();
    let _ = t.run_with(&["set", FILE, "password"], CANARY.as_bytes(), &[]).ok();
    assert_eq!(fs::metadata(t.path(FILE)).unwrap().permissions().mode() & 0o777, 0o640);
    for name in [
        "prod/with blank.yaml",
        "prod/-dash.yaml",
        "prod/quote'\".yaml",
        "prod/new\nline.yaml",
        "prod/\u{1b}[2J.yaml",
        "prod/ümläut.yaml",
        "prod/.hidden.yaml",
    ] {
        t.write(name, secret("odd", &format!("stringData:\n  password: {CANARY}\n")));
        let run = quiet(t.run(&["seal", "--", name]).ok());
        assert!(!run.stderr.contains('\u{1b}'), "raw escape");
        let made = name.replace(".yaml", ".sealed.yaml");
        let _ = open(&t, &made, "prod").ok();
        fs::remove_file(t.path(name)).unwrap();
    }
}
