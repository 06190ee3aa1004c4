//! The first part of the tour: a repository on one machine, without a cluster.

use anyhow::{Context, Result, ensure};

use super::step::{Step, read, run_all, step};
use crate::run::{print, root};
use crate::secrets::{self, Secrets};
use crate::shell::{Shell, copy_tree};

const STEPS: &[Step<'_>] = &[
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
        "A key for each environment. Only the public half is in the repository.",
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
    step("CI refuses it and says where. It shows no value.", "ageseal check", &["base/db.yaml", "<redacted>"]).exit(1),
    step("", "git rm -q -f base/db.yaml && ageseal check", &["no findings"]),
    step(
        "Whoever holds the key gets the bytes back.",
        "ageseal get -i ../prod.txt overlays/prod/db.sealed.yaml password; echo",
        &["not-a-real-new-password"],
    ),
    step(
        "The key of another environment opens nothing.",
        "ageseal get -i ../test.txt overlays/prod/db.sealed.yaml password",
        &["no identity opens"],
    )
    .exit(3),
];

/// What is opened at the end, by the recovery key alone.
const OPEN: &str = "ageseal open -i ../recovery.txt overlays";

/// Runs this part in an empty folder and says how many commands it had.
pub fn tour(shell: &Shell) -> Result<usize> {
    for part in ["base", "overlays"] {
        copy_tree(&root().join("examples/shop").join(part), &shell.folder().join(part))?;
    }
    let commands = run_all(shell, STEPS)?;
    let says = "Everything, opened with the recovery key and compared with the plaintext that it was made of.";
    compare(&read(shell, says, OPEN)?, &expected()?)?;
    Ok(commands + 1)
}

/// The plaintext of the example, read by another parser, with the value that the tour changes.
pub fn expected() -> Result<Secrets> {
    let mut expected = secrets::below(&root().join("examples/shop/overlays"))?;
    let database = expected.get_mut("shop-prod/db-credentials").context("the example has no db-credentials")?;
    database.insert("password".to_owned(), b"not-a-real-new-password".to_vec());
    Ok(expected)
}

/// Holds the Secrets of a text against what they were made of.
pub fn compare(text: &str, expected: &Secrets) -> Result<Secrets> {
    let mut found = Secrets::new();
    secrets::read(text, &mut found).context("what was printed")?;
    for (name, values) in expected {
        ensure!(found.get(name) == Some(values), "{name} is not what was sealed");
    }
    ensure!(found.len() == expected.len(), "there are more Secrets than were sealed");
    let values: usize = found.values().map(|values| values.len()).sum();
    print(&format!("({} Secrets, {values} values: the same bytes)", found.len()))?;
    Ok(found)
}
