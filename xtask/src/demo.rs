//! The tour: the main job on the example, command by command, in a scratch folder.

use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{Profile, build, print, root};
use crate::secrets::{self, Secrets};
use crate::shell::{Shell, copy_tree};

/// One command of the tour.
struct Step {
    /// What happens, in a sentence; empty where the command goes with the one before.
    says: &'static str,
    /// The line that a user types.
    line: &'static str,
    /// The exit code that it must end with.
    exit: i32,
    /// What its output must hold.
    shows: &'static [&'static str],
}

const fn step(says: &'static str, line: &'static str, shows: &'static [&'static str]) -> Step {
    Step { says, line, exit: 0, shows }
}

const STEPS: &[Step] = &[
    step(
        "A kustomize repository with plaintext Secrets. Every value is invented.",
        "git init -q && ls overlays/prod",
        &["db.secret.yaml"],
    ),
    step(
        "A recovery key, made first and kept away from the repository: it opens everything, should all else be lost.",
        "ageseal keygen -o ../recovery.txt > ../recovery.pub",
        &[],
    ),
    step(
        "Who reads which path, and where it opens, is read off the overlays.",
        "ageseal init --recovery \"$(cat ../recovery.pub)\"",
        &["shop-prod/*", "shop-test/*"],
    ),
    step(
        "A key for each cluster. Only the public half is in the repository.",
        "for name in prod test; do ageseal recipients add $name \"$(ageseal keygen -o ../$name.txt)\"; done",
        &[],
    ),
    step("", "cat .ageseal/policy.yaml", &["recipients: [prod, recovery]"]),
    step(
        "Seal everything. No private key is needed, and no cluster.",
        "ageseal seal overlays/prod",
        &["db-credentials"],
    ),
    step("", "ageseal seal --quiet overlays/test && rm overlays/*/*.secret.*", &[]),
    step("What is there now, and who can read it. This needs no key either.", "ageseal show", &["prod, recovery"]),
    step("What CI runs.", "ageseal check", &["no findings"]),
    step("", "git add . && git commit -q -m 'Seal the Secrets' && git ls-files | grep -c sealed", &[]),
    step(
        "One value changes. Nobody needs a private key for that, and only that value's lines change.",
        "printf %s not-a-real-new-password | ageseal set overlays/prod/db.sealed.yaml password",
        &["password"],
    ),
    step("", "git diff -U1 | cut -c -100 | head -n 14", &["password:"]),
    step("", "git diff --stat && git commit -q -a -m 'Change the database password'", &["db.sealed.yaml"]),
    step(
        "Somebody opens a Secret into the repository and adds it.",
        "ageseal open -i ../prod.txt overlays/prod/db.sealed.yaml > base/db.yaml && git add base/db.yaml",
        &[],
    ),
    Step {
        says: "CI refuses it and says where. It shows no value.",
        line: "ageseal check",
        exit: 1,
        shows: &["base/db.yaml", "<redacted>"],
    },
    step("", "git rm -q -f base/db.yaml && ageseal check", &["no findings"]),
    step(
        "Whoever holds the key gets the bytes back.",
        "ageseal get -i ../prod.txt overlays/prod/db.sealed.yaml password; echo",
        &["not-a-real-new-password"],
    ),
    Step {
        says: "The key of another environment opens nothing.",
        line: "ageseal get -i ../test.txt overlays/prod/db.sealed.yaml password",
        exit: 3,
        shows: &["no identity opens"],
    },
];

/// What is opened at the end, by the recovery key alone.
const OPEN: &str = "ageseal open -i ../recovery.txt overlays";

/// Runs the tour; a command that does not end as it must is an error.
pub fn demo(arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let arguments: Vec<OsString> = arguments.collect();
    let offline = arguments.iter().any(|argument| argument == "--offline");
    if arguments.len() > usize::from(offline) {
        bail!("usage: cargo demo [--offline]");
    }
    let programs = build(&["ageseal-cli"], Profile::Dev, offline)?;
    let start = Instant::now();
    let shell = Shell::new("shop", &programs)?;
    for part in ["base", "overlays"] {
        copy_tree(&root().join("examples/shop").join(part), &shell.folder().join(part))?;
    }
    for step in STEPS {
        run(&shell, step)?;
    }
    compare(&shell)?;
    let commands = STEPS.len() + 1;
    print(&format!("{commands} commands, each ended as it must ({:.1} s)", start.elapsed().as_secs_f64()))
}

fn run(shell: &Shell, step: &Step) -> Result<()> {
    if !step.says.is_empty() {
        print(&format!("\n# {}", step.says))?;
    }
    print(&format!("$ {}", step.line))?;
    let ran = shell.run(step.line)?;
    if !ran.text.trim().is_empty() {
        print(ran.text.trim_end())?;
    }
    ensure!(ran.code == step.exit, "`{}` ended with {}, and must with {}", step.line, ran.code, step.exit);
    for text in step.shows {
        ensure!(ran.text.contains(text), "`{}` does not show {text}", step.line);
    }
    if step.exit != 0 {
        print(&format!("(exit code {}, as it must be)", step.exit))?;
    }
    Ok(())
}

/// Opens everything and holds it against the plaintext of the example, read by another parser.
fn compare(shell: &Shell) -> Result<()> {
    print("\n# Everything, opened with the recovery key and compared with the plaintext that it was made of.")?;
    print(&format!("$ {OPEN}"))?;
    let ran = shell.run(OPEN)?;
    ensure!(ran.code == 0, "it ended with {}: {}", ran.code, ran.text);
    let mut opened = Secrets::new();
    secrets::read(&ran.text, &mut opened).context("what was opened")?;
    let mut expected = secrets::below(&root().join("examples/shop/overlays"))?;
    let database = expected.get_mut("shop-prod/db-credentials").context("the example has no db-credentials")?;
    database.insert("password".to_owned(), b"not-a-real-new-password".to_vec());
    for (name, values) in &expected {
        ensure!(opened.get(name) == Some(values), "{name} is not what was sealed");
    }
    ensure!(opened.len() == expected.len(), "more was opened than was sealed");
    let values: usize = opened.values().map(|values| values.len()).sum();
    print(&format!("({} Secrets, {values} values: the same bytes)\n", opened.len()))
}
