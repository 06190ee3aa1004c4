//! Pods that roll by the value of a patch, and those that do not.

use std::fs;

use super::repo::{holds, identity, refused_with, repo};
use super::support::{Scratch, built};
use super::{BASE, K, PATCH, POLICY, live, set, shop, values};

/// The name of the sealed document that a folder builds, and of what the workload there asks for: they have to be one.
#[track_caller]
fn rolled_name(t: &Scratch, folder: &str) -> String {
    let built = built(t, folder);
    let names: Vec<&str> = built.lines().filter_map(|line| line.trim().strip_prefix("name: db-")).collect();
    assert!(names.len() == 2 && names[0] == names[1] && names[0].len() == 10, "{built}");
    names[0].to_owned()
}

#[test]
fn a_value_of_one_overlay_rolls_its_pods_and_no_others() {
    let t = shop();
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: api}\nspec: {containers: [{name: c, envFrom: [{secretRef: {name: db}}]}]}\n";
    t.write("base/pod.yaml", pod);
    t.write("base/kustomization.yaml", "resources: [db.sealed.yaml, pod.yaml]\n");
    let _ = t.run(&["kustomize", "shadow", BASE]).ok();
    let id = identity(&t, "prod");
    let rescope =
        ["rescope", "-q", BASE, "-i", &id, "--widen", "shop-prod/db-{hash}", "--widen", "shop-test/db-{hash}"];
    let _ = t.run(&rescope).ok();
    let names = || (rolled_name(&t, "overlays/prod"), rolled_name(&t, "overlays/test"));
    let base = t.read("base/kustomization.yaml");

    let before = names();
    assert_eq!(before.0, before.1);
    let _ =
        set(&t, &["password", "--for", BASE, "--wire"], "of-prod").ok().says("rolls").says("the pods, for password");
    let first = names();
    assert!(first.0 != before.0 && first.1 == before.1, "{before:?} {first:?}");
    let k = t.read(K);
    assert!(k.contains("- name: db\n  behavior: merge\n  options:\n"), "{k}");
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), values(&[("password", "of-prod"), ("user", "shop")]));

    let _ = set(&t, &["password"], "of-prod-2").ok().says("rolls");
    let second = names();
    assert!(second.0 != first.0 && second.1 == before.1, "{second:?}");
    let _ = set(&t, &["user", "--for", BASE], "prod-user").ok().says("rolls");
    let third = names();
    assert!(third.0 != second.0 && third.1 == before.1, "{third:?}");
    // The other keys keep their numbers, for branches to merge.
    let number = |text: &str| text.split("password=").nth(1).unwrap()[..20].to_owned();
    assert!(number(&k) != number(&t.read(K)));
    let with_user = t.read(K);
    let _ = t.run(&["unset", PATCH, "user"]).ok().says("rolls");
    assert_eq!(number(&t.read(K)), number(&with_user));
    assert_eq!(names(), second);
    holds(&t, "base/kustomization.yaml", &base);

    // A value of the base that the overlay overrides rolls the others alone.
    let _ = t.run_with(&["set", BASE, "password"], b"base-2", &[]).ok().says("rolls");
    let last = names();
    assert!(last.0 == second.0 && last.1 != before.1, "{last:?}");
    let _ = t.run(&["check"]).ok();
}

#[test]
fn a_patch_above_its_base_rolls_as_well_and_goes_with_its_number() {
    let t = repo();
    t.write(".ageseal/policy.yaml", POLICY.replace("base/**", "app/**").replace("[prod, test]", "[prod]"));
    t.write("app/base/kustomization.yaml", "resources: [db.sealed.yaml]\n");
    t.write("app/kustomization.yaml", "resources: [base]\nnamespace: shop-prod\npatches:\n- path: db.patch.yaml\n");
    t.write(
        "app/base/db.secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {user: u, password: p, more: m}\n",
    );
    t.write("app/db.patch.yaml", "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\n");
    let (base, patch) = ("app/base/db.sealed.yaml", "app/db.patch.yaml");
    let _ = t.run(&["seal", "-q", "app/base/db.secret.yaml"]).ok();
    fs::remove_file(t.path("app/base/db.secret.yaml")).unwrap();
    fs::remove_file(t.path(patch)).unwrap();
    let for_base = |key: &'static str| ["set", patch, key, "--for", base];
    let _ = t.run_with(&for_base("password"), b"x", &[]).ok().never_says("rolls");
    // A shadow comes later: the patch is for the name as it was.
    let run = t.run(&["kustomize", "shadow", base]).ok().says("sealed for the name as it was");
    let _ = run.says("app/db.patch.yaml:1:1   password");
    let id = identity(&t, "prod");
    let _ = t.run(&["rescope", "-q", base, "-i", &id, "--widen", "shop-prod/db-{hash}"]).ok();
    let _ = refused_with(&t, &for_base("password"), b"y", 4).says("delete the file");
    fs::remove_file(t.path(patch)).unwrap();
    let _ = t.run_with(&for_base("password"), b"y", &[]).ok().says("rolls").says("app/kustomization.yaml");
    let _ = t.run_with(&for_base("user"), b"z", &[]).ok().says("rolls");
    let all = [("more", "m"), ("password", "y"), ("user", "z")];
    assert_eq!(live(&t, &built(&t, "app"), "prod"), values(&all));
    let _ = t.run(&["unset", patch, "user"]).ok().says("rolls");
    let _ = refused_with(&t, &["unset", patch, "password"], b"", 4).says("secretGenerator").says("patches");
}
