//! What needs no key runs without one, and nothing asks a network or a cluster.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use repo::git_repo;

/// The line in a network namespace of its own, where not even the loopback interface is up.
fn without_network(line: &str) -> String {
    let quoted = line.replace('\'', r"'\''");
    format!("unshare --map-root-user --net sh -c '{quoted}'")
}

#[test]
fn the_verbs_of_whoever_has_no_key() {
    let t = git_repo();
    let _ = t.shell("rm $HOME/*.txt").ok();
    let left = t.shell("grep -rl AGE-SECRET-KEY .. || true").ok();
    assert_eq!(left.stdout, "", "an identity is left");
    t.write(
        "prod/db.secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop-prod\nstringData:\n  user: shop\n  password: not-a-real-one\n",
    );
    for line in [
        "ageseal seal prod/db.secret.yaml",
        "rm prod/db.secret.yaml",
        "printf changed | ageseal set prod/db.sealed.yaml password",
        "printf more | ageseal set prod/db.sealed.yaml extra",
        "ageseal unset prod/db.sealed.yaml extra",
        "printf x | ageseal create opaque token -n shop-prod --stdin token -o prod/token.sealed.yaml",
        "ageseal show",
        "ageseal show --json prod/db.sealed.yaml",
        "ageseal check",
        "ageseal recipients list",
        "ageseal doctor --offline || test $? = 1",
        "ageseal install --namespaces shop-prod",
        "ageseal",
    ] {
        let run = t.shell(&without_network(line));
        assert_eq!(run.code, 0, "{line}\n{}{}", run.stdout, run.stderr);
    }
    // And what needs one says so, and reads nothing.
    let _ = t.shell(&without_network("ageseal open prod/db.sealed.yaml")).exit(3).says("no identity");
}
