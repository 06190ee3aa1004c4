//! What opens of a patch that kustomize merged, and where.

use std::fs;

use super::repo::{self, b64, holds, identity, refused_with};
use super::support::{Scratch, built};
use super::{BASE, K, PATCH, live, ring, set, shop, shop_of, values};

#[test]
fn the_value_of_prod_opens_in_prod_and_nowhere_else() {
    let t = shop();
    let base = t.read(BASE);
    let run = set(&t, &["password", "--for", BASE, "--wire"], "of-prod").ok();
    let run = run
        .says("set")
        .says(PATCH)
        .says("over")
        .says("shop-prod/db   (overlays/prod/kustomization.yaml: namespace)")
        .says("read by    prod");
    assert_eq!(run.stdout, "");
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let _ = run.says("listed").says(K);
    holds(&t, BASE, &base);
    holds(&t, K, "# prod\nresources:\n- ../../base\nnamespace: shop-prod\npatches:\n- path: db.patch.yaml\n");
    let patch = t.read(PATCH);
    assert!(
        patch.starts_with("apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\nspec:\n  encryptedData:\n    password:\n      value: ags1."),
        "{patch}"
    );
    assert!(!patch.contains("namespace:") && !patch.contains("type:") && !patch.contains("  scope:\n  -"), "{patch}");

    let (prod, test) = (built(&t, "overlays/prod"), built(&t, "overlays/test"));
    assert_eq!(live(&t, &prod, "prod"), values(&[("password", "of-prod"), ("user", "shop")]));
    assert_eq!(live(&t, &test, "test"), values(&[("password", "from-base"), ("user", "shop")]));
    // The command opens the same.
    let opened = t.run_with(&["open", "-", "-i", &identity(&t, "prod")], prod.as_bytes(), &[]).ok();
    assert!(opened.stdout.contains(&b64("of-prod")) && opened.stdout.contains("namespace: shop-prod"), "{opened:?}");
    // Who reads test only does not read it: the merged document opens for nobody else.
    assert_eq!(live(&t, &prod, "test"), Err("NotARecipient".to_owned()));
    let checked = t.run_with(&["check", "-", "--as", BASE], prod.as_bytes(), &[]);
    assert!(checked.stdout.contains("in 1 file"), "{checked:?}");
    assert!(!checked.stdout.contains("malformed") && !checked.stdout.contains("scope"), "{}", checked.stdout);

    // Moved by hand into test: it is not for there, whoever opens it.
    fs::copy(t.path(PATCH), t.path("overlays/test/db.patch.yaml")).unwrap();
    t.write("overlays/test/kustomization.yaml", t.read(K).replace("shop-prod", "shop-test"));
    let moved = built(&t, "overlays/test");
    assert_eq!(live(&t, &moved, "prod"), Err("ScopeMismatch".to_owned()));
    // With the scope of the place where it was moved, it is not what was sealed.
    let forged = patch.replace("'shop-prod/db'", "'shop-test/db'");
    t.write("overlays/test/db.patch.yaml", &forged);
    assert_eq!(live(&t, &built(&t, "overlays/test"), "prod"), Err("CannotOpen".to_owned()));
    // Nor without any scope of its own, under the document's wide one.
    let item = "      scope:\n      - 'shop-test/db'\n";
    assert!(forged.contains(item));
    t.write("overlays/test/db.patch.yaml", forged.replace(item, ""));
    assert_eq!(live(&t, &built(&t, "overlays/test"), "prod"), Err("CannotOpen".to_owned()));
    // Nor as another key.
    t.write(PATCH, patch.replace("    password:", "    user:"));
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), Err("CannotOpen".to_owned()));
}

#[test]
fn a_patch_grows_a_key_at_a_time() {
    let t = shop();
    let _ = set(&t, &["password", "--for", BASE, "--wire"], "one").ok();
    let first = t.read(PATCH);
    // With --for or without: the patch and what is built prove what it is for.
    let _ = set(&t, &["user", "--for", BASE], "prod-user").ok().says("set");
    let run = set(&t, &["extra"], "only-here").ok().says("added").says("(overlays/prod/kustomization.yaml: namespace)");
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let grown = t.read(PATCH);
    let item = |text: &str| text[text.find("    password:").unwrap()..].split("    user:").next().unwrap().to_owned();
    assert_eq!(item(&first), item(&grown));
    let all = [("extra", "only-here"), ("password", "one"), ("user", "prod-user")];
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), values(&all));
    let _ = set(&t, &["password"], "two").ok();
    // A value of the base that was set alone has an envelope of its own, under which kustomize merges.
    let _ = t.run_with(&["set", BASE, "password"], b"base-2", &[]).ok();
    let all = [("extra", "only-here"), ("password", "two"), ("user", "prod-user")];
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), values(&all));
    assert_eq!(live(&t, &built(&t, "overlays/test"), "test"), values(&[("password", "base-2"), ("user", "shop")]));
    // unset takes single values out again; the last one goes with its file.
    let _ = t.run(&["unset", PATCH, "extra"]).ok();
    let _ = t.run(&["unset", PATCH, "user"]).ok();
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), values(&[("password", "two"), ("user", "shop")]));
    let _ = t.run(&["unset", PATCH, "password"]).exit(4).says("last").says("delete the file");
    // show, get and open know it.
    let shown = t.run(&["show", PATCH]).ok().stdout;
    assert!(shown.contains("password") && shown.contains("shop-prod/db"), "{shown}");
    assert_eq!(t.run(&["get", "-q", PATCH, "password", "-i", &identity(&t, "prod")]).ok().stdout, "two");
    assert!(t.run(&["open", "-q", PATCH, "-i", &identity(&t, "prod")]).ok().stdout.contains(&b64("two")));
}

#[test]
fn a_base_with_a_namespace_has_its_patch_name_it() {
    let t = shop();
    t.write(BASE, t.read(BASE).replace("  name: db\n", "  name: db\n  namespace: shop-prod\n"));
    t.write(K, "resources: [../../base]\n");
    fs::remove_dir_all(t.path("overlays/test")).unwrap();
    let _ = set(&t, &["password", "--for", BASE, "--wire"], "of-prod").ok().says("shop-prod/db");
    assert!(t.read(PATCH).contains("metadata:\n  name: db\n  namespace: shop-prod\nspec:"), "{}", t.read(PATCH));
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), values(&[("password", "of-prod"), ("user", "shop")]));
    t.write(PATCH, t.read(PATCH).replace("  namespace: shop-prod\n", ""));
    let _ = refused_with(&t, &["set", PATCH, "user", "--for", BASE], b"x", 4)
        .says("no namespace")
        .says("namespace shop-prod");
}

/// A document in which one value has an envelope of its own, and there a further age file of the same data key.
fn with_also(t: &Scratch, key: &str, reader: &str) -> String {
    use ageseal::manifest::{SealedManifest, objects};
    use ageseal::recipient::Recipient;

    let _ = t.run_with(&["set", "-q", BASE, key], b"base-2", &[]).ok();
    let text = t.read(BASE);
    let stream = ageseal::yaml::Stream::parse(text.clone()).unwrap();
    let document = objects(&stream).find_map(|object| SealedManifest::read(object.node).manifest).unwrap();
    let item = &document.sealed.items[key];
    let opened =
        ageseal::open::open(&document.sealed, None, &ring(t, "prod")).unwrap_or_else(|error| panic!("{error}"));
    let recipient: Recipient = repo::keys()[reader].recipient.parse().unwrap();
    let file = opened.deks[&item.value.kid].rewrap(&[&recipient]).unwrap();
    let age: String = file.age.lines().map(|line| format!("            {line}\n")).collect();
    let also = format!("        also:\n        - recipients: [{}]\n          age: |\n{age}", file.recipients[0]);
    let start = text.find(&format!("    {key}:\n")).unwrap();
    let end = start
        + text[start..].find("-----END AGE ENCRYPTED FILE-----\n").unwrap()
        + "-----END AGE ENCRYPTED FILE-----\n".len();
    format!("{}{also}{}", &text[..end], &text[end..])
}

#[test]
fn the_further_age_files_of_the_document_do_not_stay_under_a_patch() {
    let t = shop_of("", "stringData: {password: from-base}\n");
    t.write(BASE, with_also(&t, "password", "stranger"));
    // As the value of the document, whoever is named in `also` opens it.
    let test = built(&t, "overlays/test");
    assert_eq!(live(&t, &test, "stranger"), values(&[("password", "base-2")]));
    assert_eq!(live(&t, &test, "test"), values(&[("password", "base-2")]));

    let _ = set(&t, &["password", "--for", BASE, "--wire"], "of-prod").ok();
    let prod = built(&t, "overlays/prod");
    assert!(prod.contains("        also: []\n"), "{prod}");
    assert_eq!(live(&t, &prod, "prod"), values(&[("password", "of-prod")]));
    assert_eq!(live(&t, &prod, "stranger"), Err("NotARecipient".to_owned()));
    assert_eq!(live(&t, &built(&t, "overlays/test"), "stranger"), values(&[("password", "base-2")]));

    // A patch that leaves `also` out, as others may write it: who reads the patch opens it all the same.
    t.write(PATCH, t.read(PATCH).replace("        also: []\n", ""));
    let prod = built(&t, "overlays/prod");
    assert_eq!(prod.matches("BEGIN AGE ENCRYPTED FILE").count(), test.matches("BEGIN AGE ENCRYPTED FILE").count());
    assert_eq!(live(&t, &prod, "prod"), values(&[("password", "of-prod")]));
    // And who reads what stayed does not get the value, nor the one of the base in its place.
    assert_eq!(live(&t, &prod, "stranger"), Err("CannotOpen".to_owned()));
}
