//! `rescope` of overlay patches: each value is sealed anew for what is built with the patch now.

use std::fs;

use super::repo::{holds, identity, refused, refused_with};
use super::support::{Scratch, built};
use super::{BASE, K, PATCH, live, set, shop, values};

/// The shop with a patch of two values, and a prefix that came later.
fn moved() -> Scratch {
    let t = shop();
    let _ = set(&t, &["password", "--for", BASE, "--wire"], "of-prod").ok();
    let _ = set(&t, &["user"], "prod-user").ok();
    t.write(PATCH, t.read(PATCH).replace("    password:", "    # by hand\n    password:"));
    t.write(K, format!("{}namePrefix: p-\n", t.read(K)));
    t
}

#[test]
fn a_patch_is_sealed_for_where_it_is_now() {
    let t = moved();
    let id = identity(&t, "prod");
    let checked = t.run(&["check"]).exit(1).stdout;
    assert!(checked.contains("hint: ageseal rescope overlays/prod/db.patch.yaml; without a private key"), "{checked}");
    let before = t.read(PATCH);
    let _ = t.run(&["rescope", PATCH, "--dry-run"]).exit(1).says("would").says("shop-prod/p-db");
    let _ = refused(&t, &["rescope", PATCH, "-i", &id], 2).says("--widen 'shop-prod/p-db'");
    let _ = refused(&t, &["rescope", PATCH, "-i", &identity(&t, "test"), "--widen", "shop-prod/p-db"], 3);
    let run = t.run(&["rescope", "overlays/prod", "base", "-i", &id, "--widen", "shop-prod/p-db"]).ok();
    let run = run.says("opens as   shop-prod/p-db   (overlays/prod/kustomization.yaml: namePrefix)");
    let _ = run.says(PATCH).says(BASE);
    let after = t.read(PATCH);
    assert!(
        after.contains("    # by hand\n    password:") && after.matches("'shop-prod/p-db'").count() == 2,
        "{after}"
    );
    assert!(!after.contains("'shop-prod/db'") && after != before, "{after}");
    let all = [("password", "of-prod"), ("user", "prod-user")];
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), values(&all));
    assert_eq!(t.run(&["check"]).code, 0);
    let _ = t.run(&["rescope", "overlays", "-i", &id]).ok().says("every document is sealed for where it is deployed");
    holds(&t, PATCH, &after);
}

#[test]
fn values_that_fit_stay_as_they_are() {
    let t = moved();
    // The one that was set again is for the new name already.
    let _ = t.run(&["unset", "-q", PATCH, "user"]).ok();
    let password = t.read(PATCH);
    fs::remove_file(t.path(PATCH)).unwrap();
    let _ = set(&t, &["user", "--for", BASE], "again").ok();
    let user = t.read(PATCH);
    let item = |text: &str, key: &str| text[text.find(&format!("    {key}:")).unwrap()..].to_owned();
    t.write(PATCH, user.replace("    user:", &format!("{}    user:", item(&password, "password"))));
    let id = identity(&t, "prod");
    let _ = t.run(&["rescope", "-q", PATCH, "-i", &id, "--widen", "shop-prod/p-db"]).ok();
    assert_eq!(item(&t.read(PATCH), "user"), item(&user, "user"));
    assert_ne!(item(&t.read(PATCH), "password"), item(&password, "password"));
    let _ = t.run(&["rescope", "-q", BASE, "-i", &id, "--widen", "shop-prod/p-db"]).ok();
    let all = [("password", "of-prod"), ("user", "again")];
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), values(&all));
}

#[test]
fn what_nothing_lists_or_others_read_is_not_rescoped() {
    let t = moved();
    let (id, k) = (identity(&t, "prod"), t.read(K));
    t.write(K, k.replace("patches:\n- path: db.patch.yaml\n", ""));
    let _ = refused(&t, &["rescope", PATCH, "-i", &id], 4).says("no kustomization lists this patch").says("--scope");
    let run = t.run(&["rescope", "overlays", "-i", &id]).ok().says("so its scope stays");
    let _ = run.says("every document is sealed for where it is deployed");
    // A typed scope has to cover what is built.
    t.write(K, &k);
    let typed = ["rescope", PATCH, "-i", &id, "--scope", "shop-prod/other", "--widen", "shop-prod/other"];
    let _ = refused(&t, &typed, 2).says("leaves out shop-prod/p-db");
    // Other readers by now.
    t.write(".ageseal/policy.yaml", super::POLICY.replacen("recipients: [prod]", "recipients: [prod, test]", 1));
    let args = ["rescope", PATCH, "-i", &id, "--widen", "shop-prod/p-db"];
    let _ = refused_with(&t, &args, b"", 4).says("sealed for other readers");
}
