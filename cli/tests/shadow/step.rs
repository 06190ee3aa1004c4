//! The numbers of a shadow, kept in step by what changes a value.

use super::repo::{self, changes, git_repo, identity, repo, sealed, secret, state};
use super::support::built;
use super::{FILE, LISTING, built_name, differing, numbers, rescope, shadowed};

#[test]
fn set_and_unset_keep_the_shadow_in_step() {
    let t = repo();
    shadowed(&t);
    let (before, name) = (numbers(&t), built_name(&built(&t, "prod")));
    let text = t.read(LISTING);
    let _ = t
        .run_with(&["set", FILE, "password"], b"new", &[])
        .ok()
        .says("rolls      the pods, for password")
        .says(LISTING);
    assert_eq!(differing(&before, &numbers(&t)), ["password"]);
    let lines = text
        .lines()
        .zip(t.read(LISTING).lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!(lines, 1);
    assert_ne!(built_name(&built(&t, "prod")), name);
    let before = numbers(&t);
    let _ = t.run_with(&["set", FILE, "extra"], b"new", &[]).ok().says("added").says("rolls");
    assert_eq!(differing(&before, &numbers(&t)), ["extra"]);
    let _ = t.run(&["unset", FILE, "extra"]).ok().says("rolls      the pods, for extra");
    assert_eq!(numbers(&t), before);
    // No number is made from a value: the same value gives another one.
    let _ = t.run_with(&["set", FILE, "password"], b"new", &[]).ok();
    assert_eq!(differing(&before, &numbers(&t)), ["password"]);
}

#[test]
fn seal_rolls_what_changed_and_nothing_else() {
    let t = repo();
    shadowed(&t);
    let id = identity(&t, "prod");
    let source = |password: &str| {
        t.write(
            "prod/db.secret.yaml",
            secret("db", &format!("stringData:\n  host: h\n  password: {password}\n  user: u\n")),
        )
    };
    let before = numbers(&t);
    source("p");
    let _ = t.run(&["seal", "prod/db.secret.yaml", "-i", &id]).ok().never_says("rolls");
    assert_eq!(numbers(&t), before);
    source("other");
    let _ = t
        .run(&["seal", "prod/db.secret.yaml", "-i", &id, "--dry-run"])
        .exit(1)
        .says("rolls      the pods, for password");
    assert_eq!(numbers(&t), before);
    let _ = t.run(&["seal", "prod/db.secret.yaml", "-i", &id]).ok().says("rolls      the pods, for password");
    assert_eq!(differing(&before, &numbers(&t)), ["password"]);
    // Other readers, the same values: nothing rolls.
    let before = numbers(&t);
    let _ = t
        .run(&["seal", "prod/db.secret.yaml", "-i", &id, "-r", "prod"])
        .ok()
        .says("the recipients changed")
        .never_says("rolls");
    assert_eq!(numbers(&t), before);
    // Nobody can compare: everything rolls, and that is said.
    let _ = t
        .run(&["seal", "prod/db.secret.yaml"])
        .ok()
        .says("rolls      the pods, for host, password, user: the old values could not be compared");
    assert_eq!(differing(&before, &numbers(&t)), ["host", "password", "user"]);
    // A key less.
    t.write("prod/db.secret.yaml", secret("db", "stringData:\n  host: h\n  password: other\n"));
    let before = numbers(&t);
    let _ = t.run(&["seal", "prod/db.secret.yaml", "-i", &id, "--prune"]).ok().says("rolls      the pods, for user");
    assert_eq!((numbers(&t).len(), differing(&before, &numbers(&t)).len()), (2, 0));
}

#[test]
fn several_files_of_one_kustomization_are_kept_in_step_together() {
    let t = repo();
    t.write("prod/kustomization.yaml", "resources: [a.sealed.yaml, sub/b.sealed.yaml]\n");
    for (file, name) in [("prod/a.sealed.yaml", "a"), ("prod/sub/b.sealed.yaml", "b")] {
        sealed(&t, file, name, &[("key", "x")]);
        let _ = t.run(&["kustomize", "shadow", "-q", file]).ok();
        rescope(&t, file, &format!("shop-prod/{name}-{{hash}}"));
        t.write(file.replace("sealed", "secret"), secret(name, "stringData:\n  key: other\n"));
    }
    let before = numbers(&t);
    assert_eq!(before.len(), 2);
    let run = t.run(&["seal", "prod"]).ok();
    assert_eq!(run.stderr.matches("rolls").count(), 2, "{}", run.stderr);
    assert_eq!(differing(&before, &numbers(&t)).len(), 2);
}

#[test]
fn two_branches_that_change_two_keys_merge_and_roll() {
    let t = git_repo();
    shadowed(&t);
    let _ = t.shell("git add -A && git commit -qm shadow && git branch other").ok();
    let before = numbers(&t);
    let _ = t.run_with(&["set", FILE, "password"], b"one", &[]).ok();
    let _ = t.shell("git commit -qam password && git checkout -q other").ok();
    let _ = t.run_with(&["set", FILE, "user"], b"two", &[]).ok();
    let _ = t.shell("git commit -qam user && git merge -q --no-edit main").ok();
    assert_eq!(differing(&before, &numbers(&t)), ["password", "user"]);
    assert_eq!((repo::get(&t, FILE, "password").as_str(), repo::get(&t, FILE, "user").as_str()), ("one", "two"));
}

#[test]
fn what_has_no_shadow_is_left_alone() {
    let t = repo();
    for kustomization in [
        "resources: [db.sealed.yaml]\n",
        "resources: [db.sealed.yaml]\nsecretGenerator: [{name: other, literals: [a=b]}]\n",
        "resources: [other.yaml]\nsecretGenerator: [{name: db, literals: [a=b], options: {annotations: {config.kubernetes.io/local-config: 'true'}}}]\n",
    ] {
        sealed(&t, FILE, "db", &[("a", "x")]);
        t.write(LISTING, kustomization);
        let _ = t.run_with(&["set", FILE, "a"], b"new", &[]).ok().never_says("rolls");
        assert_eq!(t.read(LISTING), kustomization);
        std::fs::remove_file(t.path(FILE)).unwrap();
    }
}

#[test]
fn a_kustomization_that_cannot_be_kept_in_step_stops_the_change() {
    let t = repo();
    for (kustomization, fact) in [
        ("resources: [db.sealed.yaml]\nsecretGenerator: [{\n", "prod/kustomization.yaml:2:19"),
        (
            "x: &a [a=b]\nresources: [db.sealed.yaml]\nsecretGenerator:\n- name: db\n  literals: *a\n  options: {annotations: {config.kubernetes.io/local-config: 'true'}}\n",
            "the literals of this shadow are not a list of its own",
        ),
    ] {
        sealed(&t, FILE, "db", &[("a", "x"), ("b", "y")]);
        t.write(LISTING, kustomization);
        let before = state(&t);
        let run = t.run(&["unset", FILE, "a"]).exit(4).says(fact);
        let _ = run.says("prod/kustomization.yaml:");
        assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
        std::fs::remove_file(t.path(FILE)).unwrap();
        std::fs::remove_file(t.path(LISTING)).unwrap();
    }
}

#[test]
fn what_is_made_anew_or_removed_rolls() {
    let t = repo();
    shadowed(&t);
    let before = numbers(&t);
    std::fs::remove_file(t.path(FILE)).unwrap();
    let create = ["create", "opaque", "db", "-n", "shop-prod", "--stdin", "password", "-o", FILE];
    let run = t.run_with(&create, b"another", &[]).ok();
    let _ = run.says("opens as   shop-prod/db-{hash}").says("rolls      the pods, for password");
    assert_eq!(differing(&before, &numbers(&t)), ["password"]);
}
