//! The scope and the type of a patch: what is built says them, and the rule of the path bounds them.

use std::fs;

use super::repo::refused_with;
use super::support::built;
use super::{BASE, K, PATCH, POLICY, live, set, shop, shop_of, values};

#[test]
fn a_prefix_a_type_and_an_overlay_in_between() {
    let t = shop_of(
        "namePrefix: p-\n",
        "type: kubernetes.io/basic-auth\nstringData: {username: shop, password: from-base}\n",
    );
    t.write("clusters/eu/kustomization.yaml", "resources: [../../overlays/prod]\nnameSuffix: -eu\n");
    t.write(
        "clusters/us/kustomization.yaml",
        "resources: [../../overlays/prod, ../../overlays/test]\nnameSuffix: -us\n",
    );
    let run = set(&t, &["password", "--for", BASE, "--wire"], "of-prod").ok();
    let _ =
        run.says("shop-prod/p-db-eu, shop-prod/p-db-us").says("clusters/eu/kustomization.yaml: nameSuffix; and 1 more");
    assert!(t.read(PATCH).contains("spec:\n  type: kubernetes.io/basic-auth\n  encryptedData:\n"), "{}", t.read(PATCH));
    fs::remove_dir_all(t.path("clusters")).unwrap();
    let checked = t.run(&["check"]).exit(1).stdout;
    assert!(checked.contains(PATCH) && checked.contains("deployed as shop-prod/p-db"), "{checked}");
    // Now the item says another scope than what comes of it: whoever edited the one or the other is told.
    let run = refused_with(&t, &["set", PATCH, "password"], b"x", 4);
    let _ = run.says("p-db-eu").says("it should be shop-prod/p-db").says("delete the file");
    fs::remove_file(t.path(PATCH)).unwrap();
    let _ = set(&t, &["password", "--for", BASE], "of-prod").ok().says("shop-prod/p-db ");
    let checked = t.run(&["check"]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    let prod = built(&t, "overlays/prod");
    assert_eq!(live(&t, &prod, "prod"), values(&[("password", "of-prod"), ("username", "shop")]));
    // The type is proved by what is built, and by nothing else.
    t.write(PATCH, t.read(PATCH).replace("  type: kubernetes.io/basic-auth\n", ""));
    let _ = refused_with(&t, &["set", PATCH, "password"], b"x", 4).says("type kubernetes.io/basic-auth").says("--for");
    let _ = refused_with(&t, &["set", PATCH, "password", "--for", BASE], b"x", 4).says("type Opaque");
    let _ = refused_with(&t, &["set", PATCH, "password", "--scope", "shop-prod/p-db"], b"x", 2).says("--for BASE");
    let checked = t.run(&["check"]).exit(1).stdout;
    assert!(checked.contains("sealed for another type than is built"), "{checked}");
    assert!(checked.contains("is built has type kubernetes.io/basic-auth"), "{checked}");
}

#[test]
fn a_hash_of_the_content_is_part_of_the_scope() {
    let t = shop();
    // A generator of the overlay gives the name a hash, in the way of docs/kustomize.md.
    let config = "nameReference:\n- kind: Secret\n  version: v1\n  fieldSpecs:\n  - {group: ageseal.dev, kind: SealedSecret, path: metadata/name}\n";
    t.write("overlays/prod/follow.yaml", config);
    let generator = "secretGenerator:\n- name: db\n  literals: [rev=1]\n  options: {annotations: {config.kubernetes.io/local-config: 'true'}}\nconfigurations: [follow.yaml]\n";
    t.write(K, format!("{}{generator}", t.read(K)));
    let _ = set(&t, &["password", "--for", BASE, "--wire"], "of-prod").ok().says("shop-prod/db-{hash}").says("rolls");
}

#[test]
fn a_typed_scope_and_the_file_have_to_fit() {
    let t = shop();
    t.write(K, format!("{}namePrefix: p-\n", t.read(K)));
    let args = |scope: &'static str| ["set", PATCH, "password", "--for", BASE, "--wire", "--scope", scope];
    let _ =
        refused_with(&t, &args("shop-prod/db"), b"x", 2).says("leaves out shop-prod/p-db").says("leave --scope out");
    let _ = t.run_with(&args("shop-prod/p-*"), b"x", &[]).ok().says("shop-prod/p-*");
    // What is no file of patches gets none.
    for (file, text, code, says) in [
        ("overlays/prod/json.yaml", "- {op: remove, path: /metadata/labels}\n", 4, "JSON patch"),
        (
            "overlays/prod/db.secret.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {a: b}\n",
            4,
            "plaintext Secret",
        ),
        ("overlays/test/kustomization.yml", "resources: []\n", 2, "kustomization"),
    ] {
        t.write(file, text);
        let _ =
            refused_with(&t, &["set", file, "user", "--for", BASE, "--scope", "shop-prod/p-db"], b"x", code).says(says);
        fs::remove_file(t.path(file)).unwrap();
    }
    // The file of another base.
    fs::copy(t.path(BASE), t.path("copy.sealed.yaml")).unwrap();
    let _ = refused_with(&t, &["set", PATCH, "user", "--for", "copy.sealed.yaml"], b"x", 2)
        .says("--for base/db.sealed.yaml");
}

#[test]
fn the_scope_can_be_typed_and_the_rule_of_the_path_bounds_it() {
    let t = shop();
    for kustomization in ["overlays/prod/kustomization.yaml", "overlays/test/kustomization.yaml"] {
        fs::remove_file(t.path(kustomization)).unwrap();
    }
    let args = ["set", PATCH, "password", "--for", BASE];
    let _ = refused_with(&t, &args, b"x", 2).says("no kustomization").says("--scope");
    let _ = refused_with(&t, &[&args[..], &["--scope", "shop-test/db"]].concat(), b"x", 4).says("shop-test/db");
    let _ = refused_with(&t, &[&args[..], &["--scope", "shop-prod/db", "--wire"]].concat(), b"x", 2)
        .says("no kustomization");
    let run = set(&t, &["password", "--for", BASE, "--scope", "shop-prod/db"], "x").ok();
    let _ = run.says("shop-prod/db").says("list it in patches:");
    // The rule bounds what is computed as well.
    let t = shop();
    t.write(K, t.read(K).replace("shop-prod", "elsewhere"));
    let _ = refused_with(&t, &["set", PATCH, "password", "--for", BASE], b"x", 4).says("elsewhere/db");
}

#[test]
fn a_typed_scope_breaks_no_build() {
    let t = shop();
    t.write("overlays/new/kustomization.yaml", "resources: [c.yaml]\nnamespace: shop-prod\n");
    t.write("overlays/new/c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
    t.write(
        ".ageseal/policy.yaml",
        POLICY.replace("[\"overlays/prod/**\"]", "[\"overlays/prod/**\", \"overlays/new/**\"]"),
    );
    let args = ["set", "overlays/new/db.patch.yaml", "password", "--for", BASE, "--scope", "shop-prod/db", "--wire"];
    let _ = refused_with(&t, &args, b"x", 4).says("would not build").says("nothing was written");
}

#[test]
fn a_type_that_changes_in_the_base_is_found_in_the_patch_and_in_the_base() {
    let t = shop_of("", "type: kubernetes.io/basic-auth\nstringData: {username: shop, password: from-base}\n");
    let _ = set(&t, &["password", "--for", BASE, "--wire"], "of-prod").ok();
    assert_eq!(t.run(&["check"]).code, 0);
    // The base is made anew with another type; the patch goes on saying the old one, and gives it to what is built.
    fs::remove_file(t.path(BASE)).unwrap();
    t.write("base/db.secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ntype: shop.example.com/login\nstringData: {username: shop, password: from-base}\n");
    let _ = t.run(&["seal", "-q", "base/db.secret.yaml"]).ok();
    fs::remove_file(t.path("base/db.secret.yaml")).unwrap();
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), Err("CannotOpen".to_owned()));
    let test = values(&[("password", "from-base"), ("username", "shop")]);
    assert_eq!(live(&t, &built(&t, "overlays/test"), "test"), test);
    let checked = t.run(&["check"]).exit(1).stdout;
    let patch =
        "the patch is sealed for type kubernetes.io/basic-auth, and the document has type shop.example.com/login";
    let base =
        "db is sealed for type shop.example.com/login, and overlays/prod builds it with type kubernetes.io/basic-auth";
    assert!(checked.contains(patch) && checked.contains(base), "{checked}");
    assert!(checked.contains("changed by overlays/prod/db.patch.yaml") && checked.contains("2 findings"), "{checked}");
    // Where only one of the two is looked at, it is found as well.
    assert!(t.run(&["check", PATCH]).exit(1).stdout.contains(patch));
    assert!(t.run(&["check", "base"]).exit(1).stdout.contains(base));
    // A type that a kustomization changes by itself closes all values.
    fs::remove_file(t.path(PATCH)).unwrap();
    let inline = "patches:\n- target: {kind: SealedSecret}\n  patch: |-\n    - {op: replace, path: /spec/type, value: other.example.com/x}\n";
    let k = t.read(K);
    t.write(K, format!("{}{inline}", k.split("patches:").next().unwrap()));
    let checked = t.run(&["check"]).exit(1).stdout;
    assert!(checked.contains("builds it with type other.example.com/x"), "{checked}");
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), Err("CannotOpen".to_owned()));
}
