//! `set --for`: a value of one overlay, in a strategic-merge patch. What the real kustomize merges is opened.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use std::fs;
use std::os::unix::fs::symlink;

use ageseal_testkit::{kustomize, run};
use repo::{b64, changes, holds, identity, quiet, refused_with, repo, state};
use support::{Run, Scratch};

const BASE: &str = "base/db.sealed.yaml";
const PATCH: &str = "overlays/prod/db.patch.yaml";
const K: &str = "overlays/prod/kustomization.yaml";

const POLICY: &str = "\
apiVersion: ageseal.dev/v1alpha1
kind: Policy
rules:
- paths: [\"overlays/prod/**\"]
  recipients: [prod]
  scopes: [\"shop-prod/*\"]
- paths: [\"overlays/test/**\"]
  recipients: [test]
  scopes: [\"shop-test/*\"]
- paths: [\"base/**\"]
  recipients: [prod, test]
  scopes: [\"shop-prod/*\", \"shop-test/*\"]
";

/// A base that is sealed for test and prod, and both overlays.
fn shop() -> Scratch {
    shop_of("", "stringData: {user: shop, password: from-base}\n")
}

fn shop_of(prefix: &str, body: &str) -> Scratch {
    let t = repo();
    t.write(".ageseal/policy.yaml", POLICY);
    t.write("base/kustomization.yaml", "resources: [db.sealed.yaml]\n");
    for name in ["test", "prod"] {
        let text = format!("# {name}\nresources:\n- ../../base\nnamespace: shop-{name}\n{prefix}");
        t.write(format!("overlays/{name}/kustomization.yaml"), text);
    }
    t.write("base/db.secret.yaml", format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n{body}"));
    let _ = t.run(&["seal", "-q", "base/db.secret.yaml"]).ok();
    fs::remove_file(t.path("base/db.secret.yaml")).unwrap();
    t
}

fn set(t: &Scratch, args: &[&str], value: &str) -> Run {
    quiet(t.run_with(&[&["set", PATCH], args].concat(), value.as_bytes(), &[]))
}

/// What kustomize builds of a folder.
#[track_caller]
fn built(t: &Scratch, folder: &str) -> String {
    let outcome = run(kustomize(), ["build".as_ref(), t.path(folder).as_os_str()], "");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr_text());
    outcome.stdout_text().to_owned()
}

/// Opens a stream as the controller does: where it stands, all steps. The reason, or the values.
fn live(t: &Scratch, text: &str, name: &str) -> Result<Vec<(String, String)>, String> {
    use ageseal::manifest::{SealedManifest, objects};
    use ageseal::open::{Live, open};
    use ageseal::recipient::KeyRing;

    let stream = ageseal::yaml::Stream::parse(text.to_owned()).unwrap();
    let object = objects(&stream)
        .find(|object| object.name().is_some_and(|name| name.ends_with("db") || name.starts_with("db-")))
        .unwrap();
    let reading = SealedManifest::read(object.node);
    let document = reading.manifest.unwrap_or_else(|| panic!("{:?}", reading.problems));
    let text = fs::read_to_string(identity(t, name)).unwrap();
    let secret = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let ring = KeyRing::new(vec![secret.parse().unwrap()]);
    let live = Live { namespace: document.namespace.as_deref().unwrap_or_default(), name: &document.name };
    let opened = open(&document.sealed, Some(live), &ring).map_err(|error| error.reason().to_string())?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok(opened.values.iter().map(|(key, value)| (key.clone(), text(value.expose()))).collect())
}

fn values(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    Ok(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

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
    assert!(checked.contains("patch of a Secret of another type"), "{checked}");
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
fn what_is_not_listed_is_said_with_the_line_to_write() {
    let t = shop();
    let k = t.read(K);
    let run = set(&t, &["password", "--for", BASE], "x").ok().says("warning: no kustomization lists this patch");
    let _ = run.says("add `- path: db.patch.yaml` to patches: of overlays/prod/kustomization.yaml");
    holds(&t, K, &k);
    let checked = t.run(&["check"]).exit(1);
    assert!(checked.stdout.contains("- path: db.patch.yaml"), "{}", checked.stdout);
    // Set again with --wire: in flow style, behind what is there, and once.
    t.write(K, format!("{k}patches: [{{path: other.yaml, target: {{kind: X}}}}] # ours\n"));
    t.write("overlays/prod/other.yaml", "- {op: add, path: /metadata/labels, value: {}}\n");
    let _ = set(&t, &["password", "--wire"], "y").ok().says("listed");
    let wired = t.read(K);
    assert!(wired.contains("# ours") && wired.contains("db.patch.yaml"), "{wired}");
    let _ = set(&t, &["password", "--wire"], "z").ok().never_says("listed");
    holds(&t, K, &wired);
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), values(&[("password", "z"), ("user", "shop")]));
    let checked = t.run(&["check"]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    // From another folder, and in one below the kustomization.
    let run = t.run_with(&["set", "--wire", "overlays/prod/more/up.yaml", "user", "--for", BASE], b"x", &[]);
    let _ = run.exit(4).says("overlays/prod/more");
    fs::create_dir(t.path("overlays/prod/more")).unwrap();
    let line = "cd overlays/prod/more && printf x | ageseal set --wire up.yaml user --for ../../../base/db.sealed.yaml";
    let _ = t.shell(line).ok().says("listed");
    assert!(t.read(K).contains("more/up.yaml"), "{}", t.read(K));
    assert_eq!(live(&t, &built(&t, "overlays/prod"), "prod"), values(&[("password", "z"), ("user", "x")]));
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
fn what_cannot_be_known_is_refused() {
    let with = |file: &str, text: &str| {
        let t = shop();
        t.write(file, text);
        t
    };
    let args = ["set", PATCH, "password", "--for", BASE];
    let cases = [
        (K, "resources: [../../base, https://example.com/x]\nnamespace: shop-prod\n", "is not known"),
        (K, "resources: [../../base]\nnamespace: shop-prod\ncomponents: [../none]\n", "does not exist"),
        (K, "resources: [../../base]\n", "no namespace"),
        (K, "resources: []\nnamespace: shop-prod\n", "would not build"),
        (K, "resources: [../../base]\nnamespace: shop-prod\nnamespace: other\n", "namespace"),
        (K, "resources: [../../base]\nnamespace: shop-prod\npatches: x\n", "patches"),
        (
            "clusters/eu/kustomization.yaml",
            "resources: [../../overlays/prod]\nhelmCharts: [{name: x}]\n",
            "clusters/eu",
        ),
        (
            K,
            "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n",
            "no kustomization of the repository is built",
        ),
    ];
    for (file, text, says) in cases {
        let t = with(file, text);
        let run = refused_with(&t, &args, b"x", if says.contains("is built") { 2 } else { 4 }).says(says);
        assert!(
            ["--scope", "by hand", "keep one"].iter().any(|way| run.stderr.contains(way)),
            "{text}\n{}",
            run.stderr
        );
    }
    // A kustomization elsewhere that is not modelled is no reason.
    let t = with("charts/kustomization.yaml", "helmCharts: [{name: x}]\n");
    let _ = set(&t, &args[2..], "x").ok();
}

#[test]
fn what_is_no_base_or_no_patch_is_refused() {
    let t = shop();
    let refuse = |args: &[&str], code: i32| refused_with(&t, &[&["set"], args].concat(), b"x", code);
    let _ = refuse(&[PATCH, "password"], 4).says("no such file");
    let _ = refuse(&[PATCH, "password", "--for", "base/none.yaml"], 4).says("base/none.yaml");
    let _ = refuse(&[PATCH, "password", "--for", "-"], 2).says("stdin");
    let _ = refuse(&["-", "password", "--for", BASE], 2).says("stdin");
    let _ = refuse(&[PATCH, "bad/key", "--for", BASE], 4).says("a data key is");
    let _ = refuse(&[BASE, "password", "--for", BASE], 4).says("has spec.scope");
    let _ =
        refuse(&[BASE, "password", "--wire", "--scope", "shop-prod/db", "--scope", "shop-test/db"], 2).says("--wire");
    let _ = refuse(&["no/folder/db.patch.yaml", "password", "--for", BASE], 4).says("no/folder");
    let _ = refuse(&[".ageseal/db.patch.yaml", "password", "--for", BASE], 4).says("rule");
    t.write("base/plain.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
    let _ = refuse(&[PATCH, "password", "--for", "base/plain.yaml"], 4).says("no sealed document");
    // A base that no overlay includes; one outside the repository.
    t.write("base/other.sealed.yaml", t.read(BASE).replace("name: db", "name: other"));
    let _ = refuse(&[PATCH, "password", "--for", "base/other.sealed.yaml"], 4).says("no ").says("other");
    fs::copy(t.path(BASE), t.root().join("out.yaml")).unwrap();
    let _ = refuse(&[PATCH, "password", "--for", "../out.yaml"], 2).says("outside the repository");
    // The same document in another file of the repository is not the one that is built.
    t.write("copy/db.sealed.yaml", t.read(BASE));
    let _ = refuse(&[PATCH, "password", "--for", "copy/db.sealed.yaml"], 2)
        .says("copy/db.sealed.yaml")
        .says("base/db.sealed.yaml");
    let _ = set(&t, &["password", "--for", BASE], "x").ok();
    let _ = refuse(&["overlays/prod/second.yaml", "password", "--for", PATCH], 4).says("is an overlay patch itself");
    // A target that chooses more than the document.
    t.write("base/kustomization.yaml", "resources: [db.sealed.yaml, other.sealed.yaml]\n");
    t.write(K, format!("{}patches:\n- path: db.patch.yaml\n  target: {{kind: SealedSecret}}\n", t.read(K)));
    let _ = refuse(&[PATCH, "password", "--for", BASE], 2).says("another object").says("without a target");
    // Several documents: --doc says which one of the base.
    t.write(K, "resources: [../../base]\nnamespace: shop-prod\npatches: [{path: db.patch.yaml}]\n");
    t.write("base/kustomization.yaml", "resources: [both.sealed.yaml]\n");
    t.write("base/both.sealed.yaml", format!("{}---\n{}", t.read(BASE), t.read("base/other.sealed.yaml")));
    let both = "base/both.sealed.yaml";
    let _ = refuse(&[PATCH, "password", "--for", both], 2).says("--doc db").says("--doc other");
    let _ = set(&t, &["password", "--for", both, "--doc", "db"], "one").ok();
    // The document that the patch does not hold yet is put behind the one that it does.
    let before = t.read(PATCH);
    let _ = set(&t, &["password", "--for", both, "--doc", "other", "--scope", "shop-prod/other"], "two").ok();
    assert!(t.read(PATCH).starts_with(&before) && t.read(PATCH).contains("name: other"), "{}", t.read(PATCH));
    let _ = refuse(&[PATCH, "password"], 2).says("--doc db").says("--doc other");
    let prod = built(&t, "overlays/prod");
    let documents: Vec<&str> = prod.split("\n---\n").collect();
    assert_eq!(live(&t, documents[0], "prod"), values(&[("password", "one"), ("user", "shop")]));
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

#[test]
fn both_files_are_written_or_neither() {
    let t = shop();
    let before = state(&t);
    // The kustomization is a link, which nothing is written through.
    fs::rename(t.path(K), t.path("overlays/prod/real.yaml")).unwrap();
    symlink("real.yaml", t.path(K)).unwrap();
    let _ = refused_with(&t, &["set", PATCH, "password", "--for", BASE, "--wire"], b"x", 4).says("symbolic link");
    fs::rename(t.path("overlays/prod/real.yaml"), t.path(K)).unwrap();
    assert_eq!(changes(&before, &state(&t)), Vec::<String>::new());
    // A comment, a Windows newline, an immutable document.
    t.write(K, t.read(K).replace('\n', "\r\n"));
    t.write(BASE, t.read(BASE).replace("  encryptedData:\n", "  immutable: true\n  encryptedData:\n"));
    let _ = set(&t, &["password", "--for", BASE, "--wire"], "x").ok().says("immutable");
    let k = t.read(K);
    assert_eq!(k.matches('\n').count(), k.matches("\r\n").count(), "{k:?}");
}

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
