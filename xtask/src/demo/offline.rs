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
        "Who reads which path, and where it opens, is read off the overlays; what they share is for all that build it.",
        "ageseal init --recovery \"$(cat ../recovery.pub)\"",
        &["shop-prod/*", "shop-test/*", "built by overlays/prod, overlays/test"],
    ),
    step(
        "A key for each environment. Only the public half is in the repository.",
        "for name in prod test; do ageseal recipients add $name \"$(ageseal keygen -o ../$name.txt)\"; done",
        &[],
    ),
    step("", "cat .ageseal/policy.yaml", &["recipients: [prod, recovery]", "recipients: [prod, test, recovery]"]),
    step(
        "Seal everything. No private key is needed, no cluster, and no namespace: kustomize says where each file goes.",
        "ageseal seal overlays/prod base",
        &["db-credentials", "shop-prod/session-store-{hash}", "shop-test/test-session-store-{hash}"],
    ),
    step("", "ageseal seal --quiet . && rm */*/*.secret.* */*.secret.*", &[]),
    step(
        "One value of the shared Secret is another one in production: a patch, which opens there and nowhere else.",
        "printf %s not-a-real-password-of-prod-alone |\n  \
         ageseal set overlays/prod/session.patch.yaml password --for base/session.sealed.yaml --wire",
        &["over", "shop-prod/session-store-{hash}", "rolls", "listed"],
    ),
    step("", "tail -n 9 overlays/prod/kustomization.yaml", &["behavior: merge"]),
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

/// The folders with Secrets in them.
const FOLDERS: [&str; 4] = ["base", "components/debug", "overlays/prod", "overlays/test"];

/// Runs this part in an empty folder and says how many commands it had.
pub fn tour(shell: &Shell) -> Result<usize> {
    for part in ["base", "components", "overlays"] {
        copy_tree(&root().join("examples/shop").join(part), &shell.folder().join(part))?;
    }
    let commands = run_all(shell, STEPS)?;
    let mut says = "Everything, opened with the recovery key and compared with the plaintext that it was made of.";
    for folder in FOLDERS {
        compare(&read(shell, says, &format!("ageseal open -i ../recovery.txt {folder}"))?, &sources(folder)?)?;
        says = "";
    }
    Ok(commands + FOLDERS.len())
}

/// The plaintext of a folder of the example, with the values that the tour changes.
fn sources(folder: &str) -> Result<Secrets> {
    let mut sources = secrets::below(&root().join("examples/shop").join(folder))?;
    if folder == "overlays/prod" {
        for (name, value) in CHANGED {
            let secret = sources.entry(format!("/{name}")).or_default();
            secret.insert("password".to_owned(), value.as_bytes().to_vec());
        }
    }
    Ok(sources)
}

/// The passwords of production that the tour changes.
const CHANGED: [(&str, &str); 2] =
    [("db-credentials", "not-a-real-new-password"), ("session-store", "not-a-real-password-of-prod-alone")];

/// The plaintext of the example by what kustomize makes of its names, read by another parser, with the values that the
/// tour changes. A hash behind a name is left out.
pub fn expected() -> Result<Secrets> {
    let shop = root().join("examples/shop");
    let mut expected = Secrets::new();
    for (namespace, prefix, folders) in [
        ("shop-prod", "", &["base", "overlays/prod"][..]),
        ("shop-test", "test-", &["base", "overlays/test", "components/debug"]),
    ] {
        for folder in folders {
            let secrets = secrets::below(&shop.join(folder))?;
            expected.extend(secrets.into_iter().map(|(name, values)| {
                let name = name.rsplit('/').next().unwrap_or_default();
                (format!("{namespace}/{prefix}{name}"), values)
            }));
        }
    }
    for (name, value) in CHANGED {
        let secret = expected.get_mut(&format!("shop-prod/{name}"));
        let secret = secret.with_context(|| format!("the example has no {name}"))?;
        secret.insert("password".to_owned(), value.as_bytes().to_vec());
    }
    Ok(expected)
}

/// The name of a Secret without the hash that kustomize put behind it.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, hash)) if stem.ends_with("session-store") && hash.len() == 10 => stem,
        _ => name,
    }
}

/// Holds the Secrets of a text against what they were made of.
pub fn compare(text: &str, expected: &Secrets) -> Result<Secrets> {
    let mut found = Secrets::new();
    secrets::read(text, &mut found).context("what was printed")?;
    let by_name: Secrets = found.iter().map(|(name, values)| (without_hash(name).to_owned(), values.clone())).collect();
    for (name, values) in expected {
        ensure!(by_name.get(name) == Some(values), "{name} is not what was sealed");
    }
    ensure!(found.len() == expected.len(), "there are more Secrets than were sealed");
    let values: usize = found.values().map(|values| values.len()).sum();
    let secrets = if found.len() == 1 { "1 Secret".to_owned() } else { format!("{} Secrets", found.len()) };
    print(&format!("({secrets}, {values} values: the same bytes)"))?;
    Ok(found)
}
