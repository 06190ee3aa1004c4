//! The kustomization that lists a patch: said, or written with `--wire`.

use std::fs;
use std::os::unix::fs::symlink;

use super::repo::{changes, holds, refused_with, state};
use super::support::built;
use super::{BASE, K, PATCH, live, set, shop, values};

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

#[test]
fn a_patch_that_does_not_exist_is_made_with_its_base() {
    let t = shop();
    let run = refused_with(&t, &["set", PATCH, "password", "--wire"], b"x", 2);
    let _ =
        run.says("--wire lists an overlay patch, and this file does not exist").says(PATCH).says("--for BASE makes");
    let _ = refused_with(&t, &["set", PATCH, "password"], b"x", 4).says("no such file").never_says("--wire");
}
