//! `kustomize generator`: what the real kustomize builds with it, as a KRM function and as a legacy plugin, and that
//! nothing is built where anything is wrong.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![cfg(unix)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use ageseal_testkit::kustomize;
use repo::{CANARY, b64, identity, leak, quiet, refused_with, repo, sealed, well_told};
use support::{Run, Scratch};

const FILE: &str = "prod/db.sealed.yaml";
const CONFIG: &str = "prod/gen.yaml";
const K: &str = "prod/kustomization.yaml";

const EXEC: &str = "apiVersion: ageseal.dev/v1alpha1
kind: AgesealGenerator
metadata:
  name: gen
  annotations:
    config.kubernetes.io/function: |
      exec: {path: ./ageseal.sh}
";

const PLAIN: &str = "apiVersion: ageseal.dev/v1alpha1\nkind: AgesealGenerator\nmetadata: {name: gen}\n";

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: api}
spec:
  containers:
  - name: api
    image: x
    envFrom: [{secretRef: {name: db}}]
";

/// A sealed file, a kustomization with a generator, and the script that kustomize runs.
fn shop() -> Scratch {
    let t = repo();
    sealed(&t, FILE, "db", &[("user", "shop"), ("password", CANARY)]);
    t.write(K, "resources: [pod.yaml]\ngenerators: [gen.yaml]\nnamespace: shop-prod\n");
    t.write("prod/pod.yaml", POD);
    program(&t.path("prod/ageseal.sh"), "exec ageseal kustomize generator \"$@\"");
    config(&t, "files: [db.sealed.yaml]\n");
    t
}

fn config(t: &Scratch, fields: &str) {
    t.write(CONFIG, format!("{EXEC}{fields}"));
}

fn program(path: &Path, line: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A build with functions allowed, by somebody who holds the identity of prod.
fn build(t: &Scratch, folder: &str) -> Run {
    let (kustomize, id) = (kustomize().display(), identity(t, "prod"));
    let allowed = "--enable-alpha-plugins --enable-exec";
    t.shell(&format!("AGESEAL_IDENTITY_FILE={id} {kustomize} build {allowed} {folder}"))
}

/// A document that is sealed for a name with a hash, and names no namespace.
fn hashed(t: &Scratch) {
    fs::remove_file(t.path(FILE)).unwrap();
    let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {CANARY}}}\n");
    let args = ["seal", "-q", "-", "-o", FILE, "--scope", "shop-prod/db-{hash}"];
    let _ = t.run_with(&args, text.as_bytes(), &[]).ok();
}

/// The name of an object of this kind in what was built.
fn name<'a>(built: &'a str, kind: &str) -> &'a str {
    let document = built.split("---\n").find(|document| document.contains(&format!("kind: {kind}\n"))).unwrap();
    document.lines().find_map(|line| line.strip_prefix("  name: ")).unwrap()
}

#[test]
fn sealed_documents_come_out_as_they_are() {
    let t = shop();
    let built = quiet(build(&t, "prod").ok()).stdout;
    assert_eq!(name(&built, "SealedSecret"), "db");
    let id = identity(&t, "prod");
    let opened = t.run_with(&["open", "-q", "-", "-i", &id], built.as_bytes(), &[]).ok().stdout;
    assert!(opened.contains(&b64(CANARY)) && opened.contains("namespace: shop-prod"), "{opened}");
    // What kustomize makes of the file in resources is the same.
    t.write(K, "resources: [pod.yaml, db.sealed.yaml]\nnamespace: shop-prod\n");
    assert_eq!(build(&t, "prod").ok().stdout, built);
    // No identity is asked for, and none is needed.
    config(&t, "files: [./db.sealed.yaml]\nemit: SealedSecret\nbehavior: create\n");
    t.write(K, "resources: [pod.yaml]\ngenerators: [gen.yaml]\nnamespace: shop-prod\n");
    let line = format!("{} build --enable-alpha-plugins --enable-exec prod", kustomize().display());
    assert!(quiet(t.shell(&line).ok()).stdout.contains("kind: SealedSecret"));
}

#[test]
fn a_hash_is_asked_for_and_names_follow_it() {
    let t = shop();
    hashed(&t);
    config(&t, "files: [db.sealed.yaml]\nneedsHash: true\n");
    let built = quiet(build(&t, "prod").ok()).stdout;
    let sealed_name = name(&built, "SealedSecret");
    assert!(sealed_name.starts_with("db-") && sealed_name.len() == 13, "{sealed_name}");
    config(&t, "files: [db.sealed.yaml]\nneedsHash: true\nemit: Secret\nnamespace: shop-prod\n");
    let built = build(&t, "prod").ok().stdout;
    let secret_name = name(&built, "Secret").to_owned();
    assert!(secret_name.starts_with("db-") && secret_name.len() == 13 && built.contains(&b64(CANARY)), "{built}");
    assert!(
        built.contains(&format!("name: {secret_name}\n    image")) || built.matches(&secret_name).count() == 2,
        "{built}"
    );
}

#[test]
fn secrets_come_out_opened_where_they_were_sealed_for() {
    let t = shop();
    config(&t, "files: [db.sealed.yaml]\nemit: Secret\n");
    let built = build(&t, "prod").ok();
    assert!(built.stdout.contains("kind: Secret\n") && built.stdout.contains(&b64(CANARY)), "{built:?}");
    assert!(!built.stdout.contains("SealedSecret") && leak(built.stderr.as_bytes()).is_none(), "{built:?}");
    // Into what is there already: the values are merged, and the annotation does not stay.
    let base = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop-prod}\ndata: {host: aA==}\n";
    t.write("prod/base.yaml", base);
    t.write(K, "resources: [base.yaml]\ngenerators: [gen.yaml]\n");
    config(&t, "files: [db.sealed.yaml]\nemit: Secret\nbehavior: merge\n");
    let merged = build(&t, "prod").ok().stdout;
    assert!(merged.contains("host: aA==") && merged.contains(&b64(CANARY)) && !merged.contains("behavior"), "{merged}");
    // The identity may be in the usual folder, or named in the script that the user wrote.
    let folder = t.config().join("ageseal/identities");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(t.home().join("prod.txt"), folder.join("prod.txt")).unwrap();
    let line = format!("{} build --enable-alpha-plugins --enable-exec prod", kustomize().display());
    assert!(t.shell(&line).ok().stdout.contains(&b64(CANARY)));
    let id = identity(&t, "test");
    program(&t.path("prod/ageseal.sh"), &format!("exec ageseal kustomize generator -i {id}"));
    let run = build(&t, "prod");
    assert!(run.code != 0 && run.stdout.is_empty() && run.stderr.contains("no identity opens this file"), "{run:?}");
}

#[test]
fn whatever_is_wrong_ends_the_build() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\ndata: {}\n";
    let cases: &[(&str, &str, &str)] = &[
        ("files: [none.yaml]\n", "", "no such file"),
        ("files: []\n", "", "files of the config"),
        ("files: [db.sealed.yaml]\nemit: All\n", "", "neither SealedSecret nor Secret"),
        ("files: [db.sealed.yaml]\nfrom: x\n", "", "a field that is not known"),
        ("files: [db.sealed.yaml]\nidentities: [/etc/key]\n", "", "a field that is not known"),
        ("files: [db.sealed.yaml]\nbehavior: merge\n", "", "kustomize would replace all values"),
        ("files: [db.sealed.yaml]\nnamespace: shop-test\n", "", "shop-test"),
        ("files: [db.sealed.yaml]\nemit: Secret\nneedsHash: true\n", "", "NAMESPACE/NAME-{hash}"),
        ("files: [made.yaml]\n", secret, "a plaintext Secret"),
        ("files: [made.yaml]\n", "a: b\n", "not sealed"),
        ("files: [made.yaml]\n", "# nothing\n", "no sealed document"),
        ("files: [made.yaml]\n", "", "the input is empty"),
        ("files: [made.yaml]\n", "a: [\n", "made.yaml"),
    ];
    let t = shop();
    for (fields, made, says) in cases {
        t.write("prod/made.yaml", made);
        config(&t, fields);
        let run = quiet(build(&t, "prod"));
        assert!(run.code != 0 && run.stdout.is_empty(), "{fields}\n{run:?}");
        assert!(run.stderr.contains(says), "{fields}: {says}\n{}", run.stderr);
    }
    // Two of one name are for kustomize to refuse, and it does.
    t.write("prod/made.yaml", t.read(FILE));
    config(&t, "files: [db.sealed.yaml, made.yaml]\n");
    assert!(build(&t, "prod").code != 0);
}

#[test]
fn a_secret_is_opened_only_for_a_place_that_is_known_and_fits() {
    let t = shop();
    let whole = t.read(FILE);
    config(&t, "files: [db.sealed.yaml]\nemit: Secret\n");
    // What kustomize will set is not known to a generator.
    t.write(FILE, whole.replace("  namespace: shop-prod\n", ""));
    let run = quiet(build(&t, "prod"));
    assert!(run.code != 0 && run.stderr.contains("nothing says where the Secret will be"), "{run:?}");
    config(&t, "files: [db.sealed.yaml]\nemit: Secret\nnamespace: shop-prod\n");
    assert!(build(&t, "prod").ok().stdout.contains(&b64(CANARY)));
    let refused = [
        (
            "another namespace",
            whole.replace("namespace: shop-prod", "namespace: elsewhere"),
            "is sealed for shop-prod/db",
        ),
        ("another name", whole.replace("name: db", "name: other"), "would be shop-prod/other"),
        ("another scope", whole.replace("'shop-prod/db'", "'shop-prod/*'"), "does not open"),
        ("another key", whole.replace("    user:", "    host:"), "does not open"),
        ("another type", whole.replace("  encryptedData:", "  type: x/y\n  encryptedData:"), "does not open"),
    ];
    for (what, text, says) in refused {
        assert_ne!(text, whole, "{what}");
        t.write(FILE, text);
        config(&t, "files: [db.sealed.yaml]\nemit: Secret\n");
        let run = quiet(build(&t, "prod"));
        assert!(run.code != 0 && run.stdout.is_empty() && run.stderr.contains(says), "{what}: {says}\n{run:?}");
    }
    // Without any identity.
    t.write(FILE, &whole);
    let line = format!("{} build --enable-alpha-plugins --enable-exec prod", kustomize().display());
    let run = quiet(t.shell(&line));
    assert!(run.code != 0 && run.stdout.is_empty() && run.stderr.contains("no identity to open with"), "{run:?}");
    // A patch is no object.
    let (head, tail) = whole.split_once("  scope:\n  - 'shop-prod/db'\n").unwrap();
    let scoped: String = tail
        .lines()
        .map(|line| {
            format!("{line}\n{}", if line.contains("value: ") { "      scope:\n      - 'shop-prod/db'\n" } else { "" })
        })
        .collect();
    t.write(FILE, format!("{head}{scoped}"));
    let run = quiet(build(&t, "prod"));
    assert!(run.code != 0 && run.stderr.contains("overlay patch"), "{run:?}");
}

#[test]
fn a_hostile_repository_reads_nothing_outside_its_folder() {
    let t = shop();
    // Sealed files that the user can open, elsewhere.
    sealed(&t, "prod/other/db.sealed.yaml", "db", &[("password", CANARY)]);
    fs::create_dir(t.path("evil")).unwrap();
    fs::copy(t.path("prod/ageseal.sh"), t.path("evil/ageseal.sh")).unwrap();
    t.write("evil/kustomization.yaml", "generators: [gen.yaml]\n");
    let out = t.root().join("out");
    fs::create_dir(&out).unwrap();
    fs::copy(t.path(FILE), out.join("db.sealed.yaml")).unwrap();
    symlink(out.join("db.sealed.yaml"), t.path("evil/link.yaml")).unwrap();
    symlink("../prod/db.sealed.yaml", t.path("evil/beside.yaml")).unwrap();
    symlink(&out, t.path("evil/folder")).unwrap();
    symlink("/proc/self/environ", t.path("evil/environ.yaml")).unwrap();
    symlink("/dev/zero", t.path("evil/zero.yaml")).unwrap();
    symlink("loop.yaml", t.path("evil/loop.yaml")).unwrap();
    let _ = t.shell("mkfifo evil/pipe.yaml").ok();
    let absolute = t.path(FILE).display().to_string();
    // What is in its own folder is opened, so that each refusal below has a reason of its own.
    fs::copy(t.path(FILE), t.path("evil/good.yaml")).unwrap();
    t.write("evil/gen.yaml", format!("{EXEC}files: ['good.yaml']\nemit: Secret\nnamespace: shop-prod\n"));
    let good = build(&t, "evil").ok();
    assert!(good.stdout.contains("kind: Secret"), "{good:?}");
    for path in [
        "../prod/db.sealed.yaml",
        "x/../../prod/db.sealed.yaml",
        "./../prod/db.sealed.yaml",
        absolute.as_str(),
        "link.yaml",
        "beside.yaml",
        "folder/db.sealed.yaml",
        "environ.yaml",
        "zero.yaml",
        "loop.yaml",
        "pipe.yaml",
        ".",
        "-",
        "~/prod.txt",
        "http://example.com/db.sealed.yaml",
    ] {
        t.write("evil/gen.yaml", format!("{EXEC}files: ['{path}']\nemit: Secret\nnamespace: shop-prod\n"));
        let run = quiet(build(&t, "evil"));
        assert!(run.code != 0 && run.stdout.is_empty(), "{path}\n{run:?}");
        assert!(!run.stderr.contains("AGE-SECRET-KEY"), "{path}\n{run:?}");
    }
    // Below its own folder, links that stay there are followed.
    symlink("other", t.path("prod/alias")).unwrap();
    config(&t, "files: [alias/db.sealed.yaml]\n");
    let _ = build(&t, "prod").ok();
    // As the script is run with a document of the attacker's: circles, bombs, what is too large.
    let whole = t.read(FILE);
    for (what, text) in [
        ("a circle", whole.replace("spec:\n", "spec:\n  mode: &m {x: *m}\n")),
        ("a bomb", {
            let mut lines = "  mode:\n    a0: &a0 [x, x]\n".to_owned();
            (1..30).for_each(|n| lines.push_str(&format!("    a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)));
            whole.replace("spec:\n", &format!("spec:\n{lines}"))
        }),
        ("a field that is not known", whole.replace("spec:\n", "spec:\n  other: x\n")),
        ("no envelope", whole.replace("-----BEGIN AGE", "-----BEGIN EGA")),
    ] {
        assert_ne!(text, whole, "{what}");
        t.write("prod/made.yaml", text);
        config(&t, "files: [made.yaml]\n");
        let run = quiet(build(&t, "prod"));
        assert!(run.code != 0 && run.stdout.is_empty(), "{what}\n{run:?}");
    }
    fs::File::create(t.path("prod/made.yaml")).unwrap().set_len(1 << 40).unwrap();
    let run = quiet(build(&t, "prod"));
    assert!(run.code != 0 && run.stderr.contains("larger than 8 MiB"), "{run:?}");
    // Nor is a plugin run that a recipients file of the repository names.
    let log = t.fake_plugin();
    t.write(".ageseal/recipients/prod.pub", format!("{}\n", support::FAKE_RECIPIENT));
    config(&t, "files: [db.sealed.yaml]\nemit: Secret\n");
    assert!(build(&t, "prod").ok().stdout.contains(&b64(CANARY)));
    let id = identity(&t, "test");
    program(&t.path("prod/ageseal.sh"), &format!("exec ageseal kustomize generator -i {id}"));
    assert!(build(&t, "prod").code != 0);
    assert!(!log.exists(), "a plugin ran");
}

#[test]
fn a_legacy_plugin_reads_the_folder_of_its_kustomization() {
    let t = shop();
    let home = t.root().join("plugins");
    program(
        &home.join("ageseal.dev/v1alpha1/agesealgenerator/AgesealGenerator"),
        "exec ageseal kustomize generator \"$@\"",
    );
    let (kustomize, id) = (kustomize().display(), identity(&t, "prod"));
    let build = |t: &Scratch| {
        let line = format!(
            "KUSTOMIZE_PLUGIN_HOME={} AGESEAL_IDENTITY_FILE={id} {kustomize} build --enable-alpha-plugins prod",
            home.display()
        );
        t.shell(&line)
    };
    t.write(CONFIG, format!("{PLAIN}files: [db.sealed.yaml]\nemit: Secret\n"));
    let built = build(&t).ok().stdout;
    assert!(built.contains("kind: Secret\n") && built.contains(&b64(CANARY)), "{built}");
    sealed(&t, "prod/more.sealed.yaml", "more", &[("a", "b")]);
    t.write(CONFIG, format!("{PLAIN}files: [db.sealed.yaml, more.sealed.yaml]\n"));
    let built = quiet(build(&t).ok()).stdout;
    assert_eq!(built.matches("kind: SealedSecret").count(), 2, "{built}");
    for files in ["[none.yaml]", "[../prod/db.sealed.yaml]", "[]"] {
        t.write(CONFIG, format!("{PLAIN}files: {files}\n"));
        let run = quiet(build(&t));
        assert!(run.code != 0 && run.stdout.is_empty(), "{files}\n{run:?}");
    }
    // By hand, from anywhere: the config's own folder, and plain documents.
    t.write(CONFIG, format!("{PLAIN}files: [db.sealed.yaml, more.sealed.yaml]\n"));
    let plain = t.run(&["kustomize", "generator", CONFIG]).ok().stdout;
    assert!(
        plain.starts_with("apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\n") && plain.contains("\n---\n"),
        "{plain}"
    );
    let env = [("KUSTOMIZE_PLUGIN_CONFIG_ROOT", "test")];
    let _ = well_told(t.run_with(&["kustomize", "generator", CONFIG], b"", &env).exit(4)).says("test");
}

#[test]
fn what_is_no_resource_list_is_refused() {
    let t = shop();
    let list = |config: &str| {
        format!("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\nfunctionConfig: {config}\n")
    };
    let good = "{apiVersion: ageseal.dev/v1alpha1, kind: AgesealGenerator, files: [prod/db.sealed.yaml]}";
    let args = ["kustomize", "generator"];
    let run = t.run_with(&args, list(good).as_bytes(), &[]).ok();
    assert!(run.stdout.starts_with("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- apiVersion: "));
    for (stdin, code, says) in [
        (String::new(), 4, "empty"),
        ("a: b\n".to_owned(), 4, "no ResourceList"),
        (PLAIN.to_owned(), 4, "no ResourceList"),
        (list("{}"), 4, "not ageseal.dev/v1alpha1"),
        (list(&good.replace("AgesealGenerator", "Other")), 4, "not AgesealGenerator"),
        (list(&good.replace("v1alpha1", "v1")), 4, "not ageseal.dev/v1alpha1"),
        ("[".to_owned(), 4, "<stdin>"),
        (format!("# {}\n", "x".repeat(8 << 20)), 4, "larger than 8 MiB"),
    ] {
        let _ = refused_with(&t, &args, stdin.as_bytes(), code).says(says);
    }
    let _ = refused_with(
        &t,
        &["kustomize", "generator", "-i", "-"],
        list(&good.replace("files", "emit: Secret, files")).as_bytes(),
        2,
    )
    .says("only once");
    let _ = t.run(&["kustomize", "generator", CONFIG, CANARY]).exit(2).never_says(CANARY);
    let _ = refused_with(&t, &["kustomize", "generator", "none.yaml"], b"", 4).says("none.yaml");
}
