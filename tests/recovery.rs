//! The shell script of `docs/recovery.md`, cut out of the page and run with the real age and openssl on the test vectors.
//!
//! The script is what is left when nothing of this project is: it has to read what opens, and must not give a value of
//! what the cryptography refuses. What only a parser or the live object can refuse is not its matter.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::sync::Mutex;
use std::thread;

use ageseal_testkit::{Command, Expect, Outcome, Scratch, Vector, age, vectors, workspace_root};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The script between the markers of the page, without its fence.
fn script() -> String {
    let page = fs::read_to_string(workspace_root().join("docs/recovery.md")).unwrap();
    let (_, rest) = page.split_once("<!-- recovery.sh -->\n```sh\n").unwrap();
    let (script, _) = rest.split_once("```\n<!-- /recovery.sh -->").unwrap();
    script.to_owned()
}

/// The folder of the age program before everything else that the shell finds.
fn path() -> OsString {
    let mut folders = vec![age().parent().unwrap().to_owned()];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    env::join_paths(folders).unwrap()
}

struct Recovery {
    scratch: Scratch,
    path: OsString,
}

impl Recovery {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.write("recovery.sh", script());
        Self { scratch, path: path() }
    }

    fn run(&self, vector: &Vector, key: &str) -> Outcome {
        let identities = self.scratch.write(format!("{}.txt", vector.name), vector.identities.join("\n"));
        Command::new("sh")
            .arg(self.scratch.path().join("recovery.sh"))
            .args([identities.as_os_str(), key.as_ref()])
            .env("PATH", &self.path)
            .stdin(&vector.document)
            .run()
    }
}

/// Runs `check` on every vector that `takes` one, two at a time, and reports every complaint at once.
fn every(takes: impl Fn(&Vector) -> bool, check: impl Fn(&Recovery, &Vector) -> Vec<String> + Sync) {
    let recovery = Recovery::new();
    let taken: Vec<Vector> = vectors().into_iter().filter(|vector| takes(vector)).collect();
    assert!(taken.len() >= 20, "{} vectors", taken.len());
    let queue = Mutex::new(taken.iter());
    let complaints = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(vector) = next else { return };
                    let new = check(&recovery, vector);
                    complaints.lock().unwrap().extend(new);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn what_opens_is_recovered_byte_for_byte() {
    every(
        |vector| matches!(vector.expect, Expect::Opened { .. }),
        |recovery, vector| {
            let Expect::Opened { values, .. } = &vector.expect else { return Vec::new() };
            let wrong = values.iter().filter_map(|(key, value)| {
                let outcome = recovery.run(vector, key);
                let right = outcome.code == Some(0) && outcome.stdout == BASE64_STANDARD.decode(value).unwrap();
                let stderr = String::from_utf8_lossy(&outcome.stderr);
                (!right).then(|| format!("{}, {key}: {:?} {stderr}", vector.name, outcome.code))
            });
            wrong.collect()
        },
    );
}

#[test]
fn what_the_cryptography_refuses_gives_no_value() {
    // The script is less strict about two lengths that nobody but the one who sealed the value could have got wrong.
    let lengths = |name: &str| name.starts_with("padding-") || name.starts_with("envelope-plaintext-");
    let steps = ["recipient", "envelope", "value"];
    let refused = |expect: &Expect| match expect {
        Expect::Refused { step, key, .. } => key.is_some() && steps.contains(&step.as_str()),
        Expect::Opened { .. } => false,
    };
    every(
        |vector| refused(&vector.expect) && !lengths(&vector.name),
        |recovery, vector| {
            let Expect::Refused { key: Some(key), .. } = &vector.expect else { return Vec::new() };
            let outcome = recovery.run(vector, key);
            let refused = outcome.code == Some(1) && outcome.stdout.is_empty();
            (!refused).then(|| format!("{}, {key}: gave a value", vector.name)).into_iter().collect()
        },
    );
}
