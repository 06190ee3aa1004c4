//! A fault of the program ends the process, and its message, which may quote a value, is nowhere.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;

use ageseal_controller::logging::{self, Levels};

const CHILD: &str = "AGESEAL_TEST_PANIC";
const CANARY: &str = "not-a-real-value-in-a-panic";

/// What the child does: a task of a runtime panics, and the main task waits for ever.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    logging::start(&"trace".parse::<Levels>().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        tokio::spawn(async { panic!("{CANARY}") });
        std::future::pending::<()>().await;
    });
}

#[test]
fn a_panic_in_a_task_ends_the_process_without_its_message() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", "child", "--nocapture"]).env(CHILD, "1").output().unwrap();
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{all}");
    assert!(!all.contains(CANARY), "{all}");
    let line = all.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no line of JSON in {all}"));
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(line["place"].as_str().unwrap().starts_with("controller/tests/panic.rs:"), "{line}");
}
