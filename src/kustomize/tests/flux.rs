//! What Flux deploys: `Kustomization` objects over small trees. What the real kustomize makes of the same edits is in
//! `tests/kustomize/outer.rs`.

use super::outer::*;
use super::*;

#[test]
fn a_target_namespace_overrides_and_is_the_last_word() {
    let t = shop(&[("clusters/prod/shop.yaml", &flux("shop", "./overlays/prod", "  targetNamespace: live\n"))]);
    assert_eq!(
        places(&t),
        [
            "overlays/prod (Flux Kustomization flux-system/shop, clusters/prod/shop.yaml:1): live/p-db",
            "overlays/test: shop-test/db"
        ]
    );
    let resolution = resolved(&t);
    let (_, object) = resolution.of_file(FILE).next().unwrap();
    let steps: Vec<String> =
        object.chain.iter().map(|step| format!("{}:{} {}", step.file, step.line, step.what)).collect();
    assert_eq!(
        steps,
        [
            "base/kustomization.yaml:1 resources: db.sealed.yaml",
            "overlays/prod/kustomization.yaml:1 resources: ../../base",
            "overlays/prod/kustomization.yaml:3 namePrefix: p-",
            "clusters/prod/shop.yaml:5 path: ./overlays/prod",
            "clusters/prod/shop.yaml:7 targetNamespace: live",
        ]
    );
}

#[test]
fn prefix_suffix_patches_and_components_are_written_into_the_kustomization() {
    let spec = "  namePrefix: o-\n  nameSuffix: -x\n  components: [../../part]\n  patches:\n  - patch: |\n      - {op: replace, path: /metadata/name, value: dc}\n    target: {kind: SealedSecret}\n";
    let part = "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nresources: [more.yaml]\n";
    let t = shop(&[
        ("c/shop.yaml", &flux("shop", "overlays/prod", spec)),
        ("part/kustomization.yaml", part),
        (
            "part/more.yaml",
            &SEALED
                .replace("name: db", "name: more")
                .replace("SealedSecret", "ConfigMap")
                .replace("ageseal.dev/v1alpha1", "v1"),
        ),
    ]);
    let resolution = resolved(&t);
    let root = resolution.roots.keys().find(|root| !root.is_bare()).unwrap();
    let built = resolution.roots[root].as_ref().unwrap();
    assert_eq!(names(built), ["ConfigMap shop-prod/o-more-x", "SealedSecret shop-prod/o-dc-x"]);
}

#[test]
fn several_objects_deploy_one_folder_each_for_itself() {
    let one = |name: &str, namespace: &str| flux(name, "./overlays/prod", &format!("  targetNamespace: {namespace}\n"));
    let both = format!("{}---\n{}", one("a", "first"), one("b", "second"));
    let t =
        shop(&[("c/both.yaml", &both), ("overlays/test/kustomization.yaml", "resources: [../prod]\nnamespace: t\n")]);
    assert_eq!(
        places(&t),
        [
            "overlays/prod (Flux Kustomization flux-system/a, c/both.yaml:1): first/p-db",
            "overlays/prod (Flux Kustomization flux-system/b, c/both.yaml:9): second/p-db",
            "overlays/test: t/p-db",
        ]
    );
}

#[test]
fn a_folder_without_a_kustomization_is_one_of_all_its_files() {
    let t = ours(&[
        ("apps/a.sealed.yaml", SEALED),
        ("apps/sub/b.sealed.yml", &SEALED.replace("name: db", "name: b")),
        ("apps/whole/kustomization.yaml", "namePrefix: w-\nresources: [c.sealed.yaml]\n"),
        ("apps/whole/c.sealed.yaml", SEALED),
        ("apps/whole/deeper/d.sealed.yaml", SEALED),
        ("apps/.gitlab-ci.yml", "stages: [x]\n"),
        ("apps/.github/workflows/x.yaml", "on: push\n"),
        ("apps/notes.txt", "no manifest"),
        ("apps/a.secret.yaml", SECRET),
        ("c.yaml", &flux("apps", "./apps", "  targetNamespace: ns\n")),
    ]);
    let resolution = resolved(&t);
    let [root] = resolution.roots.keys().collect::<Vec<_>>()[..] else { panic!("{:?}", resolution.roots) };
    assert_eq!(
        names(resolution.roots[root].as_ref().unwrap()),
        ["SealedSecret ns/b", "SealedSecret ns/db", "SealedSecret ns/w-db"]
    );
    assert_eq!(resolution.of_file("apps/whole/deeper/d.sealed.yaml").count(), 0);
}

#[test]
fn what_flux_bootstraps_deploys_itself_and_the_rest() {
    let sync = format!(
        "{}---\n{}",
        git_repository("flux-system", "ssh://git@example.com/shop"),
        flux("flux-system", "./clusters/prod", "").replace("name: shop-source", "name: flux-system")
    );
    let mut t = shop(&[
        ("clusters/prod/flux-system/kustomization.yaml", "resources: [gotk-sync.yaml]\n"),
        ("clusters/prod/flux-system/gotk-sync.yaml", &sync),
        (
            "clusters/prod/shop.yaml",
            &flux("shop", "./overlays/prod", "  targetNamespace: live\n").replace("shop-source", "flux-system"),
        ),
    ]);
    t.1 = vec!["git@example.com:shop.git".to_owned()];
    assert_eq!(
        places(&t),
        [
            "overlays/prod (Flux Kustomization flux-system/shop, clusters/prod/shop.yaml:1): live/p-db",
            "overlays/test: shop-test/db"
        ]
    );
    let roots: Vec<String> = resolved(&t).roots.keys().map(ToString::to_string).collect();
    assert_eq!(
        roots[0],
        "clusters/prod (Flux Kustomization flux-system/flux-system, clusters/prod/flux-system/gotk-sync.yaml:7)"
    );
    assert_eq!(roots.len(), 3);
}

#[test]
fn an_object_is_taken_as_it_is_built() {
    // An overlay sets the path, and a prefix the name.
    let t = shop(&[
        ("apps/base/kustomization.yaml", "resources: [shop.yaml]\n"),
        ("apps/base/shop.yaml", &flux("shop", "./overlays/none", "")),
        (
            "apps/prod/kustomization.yaml",
            "namePrefix: p-\nresources: [../base]\npatches:\n- target: {kind: Kustomization}\n  patch: |\n    - {op: replace, path: /spec/path, value: ./overlays/prod}\n    - {op: add, path: /spec/targetNamespace, value: live}\n",
        ),
    ]);
    assert_eq!(
        places(&t),
        [
            "overlays/prod (Flux Kustomization flux-system/p-shop, apps/base/shop.yaml:1 as apps/prod builds it): live/p-db",
            "overlays/test: shop-test/db"
        ]
    );
}

#[test]
fn a_parent_changes_its_children() {
    let patches = "  patches:\n  - target: {kind: Kustomization}\n    patch: |\n      - {op: add, path: /spec/targetNamespace, value: from-above}\n";
    let t = shop(&[
        ("clusters/prod.yaml", &flux("apps", "./apps", patches)),
        ("apps/shop.yaml", &flux("shop", "./overlays/prod", "")),
    ]);
    let found = places(&t);
    assert!(
        found[0].starts_with("overlays/prod (Flux Kustomization flux-system/shop, apps/shop.yaml:1 as apps (Flux"),
        "{found:?}"
    );
    assert!(found[0].ends_with("from-above/p-db"), "{found:?}");
    assert_eq!(found.len(), 2);
}

#[test]
fn an_object_that_an_unknown_build_may_change_may_deploy_anything() {
    let child = flux("shop", "./overlays/CHANGE-ME", "");
    let patch = "patches: [{target: {kind: Kustomization}, patch: '[{op: replace, path: /spec/path, value: overlays/prod}]'}]\n";
    for more in [
        patch,
        "patches: [{target: {name: shop}, patch: x}]\n",
        "patches: [{path: patch.yaml}]\n",
        "patchesStrategicMerge: [patch.yaml]\n",
        "replacements: [{path: r.yaml}]\n",
        "components: [https://example.com/component]\n",
        "helmCharts: [{name: x}]\nPatches: []\n",
    ] {
        let t = shop(&[
            ("apps/kustomization.yaml", &format!("resources: [shop.yaml, https://example.com/x.yaml]\n{more}")),
            ("apps/patch.yaml", "apiVersion: x/v1\nkind: Kustomization\nmetadata: {name: shop}\n"),
            ("apps/shop.yaml", &child),
        ]);
        assert!(refusals(&t).contains(&"outer-layer-changed apps/shop.yaml:1".to_owned()), "{more} {:?}", refusals(&t));
        assert!(resolved(&t).refusals_of(FILE).count() > 0, "{more}");
    }
}

#[test]
fn what_stands_beside_something_unknown_is_taken_as_it_is_written() {
    let child = flux("shop", "./overlays/prod", "  targetNamespace: live\n");
    let source = git_repository("other-source", "https://example.com/another");
    let foreign = flux("podinfo", "./", "").replace("shop-source", "other-source");
    for more in [
        "",
        "helmCharts: [{name: x}]\n",
        "namespace: flux-system\n",
        "patches: [{target: {kind: Deployment}, patch: x}]\n",
    ] {
        let mut t = shop(&[
            (
                "apps/kustomization.yaml",
                &format!("resources: [shop.yaml, podinfo.yaml, https://example.com/x.yaml]\n{more}"),
            ),
            ("apps/podinfo.yaml", &foreign),
            ("apps/source.yaml", &source),
            ("apps/shop.yaml", &child),
        ]);
        t.1 = vec!["https://example.com/shop".to_owned()];
        assert_eq!(places(&t).len(), 2, "{more} {:?}", refusals(&t));
        assert!(places(&t)[0].ends_with("live/p-db"), "{:?}", places(&t));
        assert_eq!(resolved(&t).refusals_of(FILE).count(), 0, "{more}");
    }
}

#[test]
fn an_object_that_a_build_takes_out_deploys_nothing() {
    let delete = "patches: [{patch: \"$patch: delete\\napiVersion: kustomize.toolkit.fluxcd.io/v1\\nkind: Kustomization\\nmetadata: {name: debug, namespace: flux-system}\"}]\n";
    let t = shop(&[
        ("clusters/base/kustomization.yaml", "resources: [debug.yaml]\n"),
        ("clusters/base/debug.yaml", &flux("debug", "./overlays/prod", "  targetNamespace: debug\n")),
        ("clusters/prod/kustomization.yaml", &format!("resources: [../base]\n{delete}")),
    ]);
    assert_eq!(
        (places(&t), refusals(&t)),
        (vec!["overlays/prod: shop-prod/p-db".to_owned(), "overlays/test: shop-test/db".to_owned()], vec![])
    );
}

#[test]
fn folders_that_are_not_looked_into_are_built_or_refused() {
    let named = flux("a", "./apps/vendor", "  targetNamespace: live\n");
    let t = shop(&[("c.yaml", &named), ("apps/vendor/kustomization.yaml", "resources: [../../base]\n")]);
    assert!(places(&t)[0].ends_with("live/db"), "{:?} {:?}", places(&t), refusals(&t));
    let t = shop(&[("c.yaml", &named), ("apps/vendor/db.sealed.yaml", SEALED)]);
    assert_eq!(refusals(&t), ["not-walked c.yaml:5"]);
}

#[test]
fn what_a_source_leaves_out_is_not_guessed() {
    let source =
        format!("{}  ignore: |\n    /plain/old.yaml\n", git_repository("shop-source", "https://example.com/shop"));
    let mut t = shop(&[("s.yaml", &source), ("c.yaml", &flux("a", "./plain", "")), ("plain/old.sealed.yaml", SEALED)]);
    t.1 = vec!["https://example.com/shop".to_owned()];
    assert_eq!(refusals(&t), ["source-ignore s.yaml:6"]);
    t.0.insert("plain/kustomization.yaml".into(), b"resources: [old.sealed.yaml]\n".to_vec());
    assert_eq!(refusals(&t), [""; 0]);
}

#[test]
fn a_patch_may_hold_what_looks_like_a_template() {
    let rule = "  patches:\n  - target: {kind: PrometheusRule}\n    patch: |\n      - {op: add, path: /spec/summary, value: \"{{ $labels.pod }}\"}\n";
    let t = shop(&[("c.yaml", &flux("a", "./overlays/prod", rule))]);
    assert_eq!(refusals(&t), [""; 0]);
    assert_eq!(places(&t).len(), 2);
}

#[test]
fn two_that_deploy_each_other_are_two_roots() {
    let t = ours(&[
        ("a/kustomization.yaml", "resources: [to-b.yaml, db.sealed.yaml]\n"),
        ("a/to-b.yaml", &flux("b", "./b", "  targetNamespace: nb\n")),
        ("a/db.sealed.yaml", SEALED),
        ("b/kustomization.yaml", "resources: [to-a.yaml]\n"),
        ("b/to-a.yaml", &flux("a", "./a", "")),
    ]);
    let roots: Vec<String> = resolved(&t).roots.keys().map(ToString::to_string).collect();
    assert_eq!(roots.len(), 2, "{roots:?}");
    assert!(roots[0].starts_with("a (Flux Kustomization"), "{roots:?}");
    assert_eq!(resolved(&t).of_file("a/db.sealed.yaml").count(), 1);
}

#[test]
fn one_that_changes_itself_without_an_end_is_refused() {
    let patch = "  namePrefix: x-\n";
    let t = ours(&[
        ("a/kustomization.yaml", "resources: [self.yaml, db.sealed.yaml]\n"),
        (
            "a/self.yaml",
            &flux(
                "self",
                "./a",
                &format!(
                    "{patch}  patches:\n  - target: {{kind: Kustomization}}\n    patch: |\n      - {{op: copy, from: /metadata/name, path: /spec/nameSuffix}}\n"
                ),
            ),
        ),
        ("a/db.sealed.yaml", SEALED),
    ]);
    let resolution = resolved(&t);
    assert!(resolution.roots.values().all(Result::is_err), "{:?}", resolution.roots);
    assert!(resolution.refusals_of("a/db.sealed.yaml").count() > 0);
}

#[test]
fn another_repository_is_passed_over_or_refused_never_taken() {
    let source = git_repository("shop-source", "https://example.com/another");
    let remotes = vec!["https://example.com/shop.git".to_owned()];
    // A path that is not here is theirs.
    let mut t = shop(&[("c/source.yaml", &source), ("c/a.yaml", &flux("a", "./deploy", "  targetNamespace: x\n"))]);
    t.1 = remotes.clone();
    assert_eq!(places(&t), ["overlays/prod: shop-prod/p-db", "overlays/test: shop-test/db"]);
    assert_eq!(refusals(&t), [""; 0]);
    // One that is here may be ours under another name.
    let mut t = shop(&[("c/source.yaml", &source), ("c/a.yaml", &flux("a", "./overlays/prod", ""))]);
    t.1 = remotes.clone();
    assert_eq!(refusals(&t), ["other-repository c/a.yaml:5"]);
    assert_eq!(places(&t), ["overlays/test: shop-test/db"]);
    // The policy says that it is none.
    let foreign = format!("{POLICY}otherRepositories: ['git@example.com:another']\n");
    t.0.insert(".ageseal/policy.yaml".into(), foreign.into_bytes());
    assert_eq!((refusals(&t).len(), places(&t).len()), (0, 2));
    // The policy says that it is.
    let policy = format!("{POLICY}repositories: ['git@example.com:another']\n");
    let mut t = shop(&[
        ("c/source.yaml", &source),
        ("c/a.yaml", &flux("a", "./overlays/prod", "  targetNamespace: live\n")),
        (".ageseal/policy.yaml", &policy),
    ]);
    t.1 = remotes;
    assert_eq!(places(&t).len(), 2);
    assert!(places(&t)[0].ends_with("live/p-db"), "{:?}", places(&t));
    // Without any remote nothing can be told apart, and what is here counts.
    t.1 = Vec::new();
    assert!(places(&t)[0].ends_with("live/p-db"));
}

#[test]
fn what_is_not_understood_refuses_its_folder_by_name() {
    let long = format!("  targetNamespace: {}\n", "x".repeat(20));
    for (spec, path, code) in [
        ("  targetNamespace: ${ns}\n", "./overlays/prod", "placeholder c/a.yaml:7"),
        ("  targetNamespace: [a]\n", "./overlays/prod", "bad-field! c/a.yaml:7"),
        ("  targetNamespace: 123\n", "./overlays/prod", "bad-field! c/a.yaml:7"),
        ("  newField: x\n", "./overlays/prod", "unknown-field c/a.yaml:7"),
        ("  patchesStrategicMerge: [{kind: x}]\n", "./overlays/prod", "old-patches c/a.yaml:7"),
        ("  patches: [{patch: 'name: ${x}'}]\n", "./overlays/prod", "placeholder c/a.yaml:7"),
        ("  patches: [{path: x.yaml}]\n", "./overlays/prod", "unknown-field c/a.yaml:7"),
        ("  components: [https://example.com/x]\n", "./overlays/prod", "bad-component! c/a.yaml:7"),
        ("  components: [../none]\n", "./overlays/prod", "missing-file! c/a.yaml:7"),
        (&long, "./overlays/${env}", "placeholder c/a.yaml:5"),
        ("", "../overlays/prod", "outside-repository c/a.yaml:5"),
        ("  sourceRef: {kind: OCIRepository, name: x}\n", "./overlays/prod", "other-source c/a.yaml:7"),
        ("  sourceRef: {name: x}\n", "./overlays/prod", "bad-field! c/a.yaml:7"),
    ] {
        let mut text = flux("a", path, spec);
        if spec.contains("sourceRef") {
            text = text.replace("  sourceRef: {kind: GitRepository, name: shop-source}\n", "  prune: true\n");
        }
        let t = shop(&[("c/a.yaml", &text)]);
        assert_eq!(refusals(&t), [code], "{text}");
        let resolution = resolved(&t);
        assert!(resolution.refusals_of(FILE).count() > 0, "{text}");
        // The rest goes on, but where nothing can be told.
        let others = resolution.roots.iter().filter(|(root, built)| root.is_bare() && built.is_ok()).count();
        assert_eq!(others, usize::from(!path.contains('$')), "{text}");
    }
    let missing = ours(&[(
        "c/a.yaml",
        &flux("a", "./gone", "").replace("\n  sourceRef: {kind: GitRepository, name: shop-source}", ""),
    )]);
    assert_eq!(refusals(&Ours(missing.0, Vec::new())), ["missing-source! c/a.yaml:1"]);
}

#[test]
fn missing_components_can_be_passed_over() {
    let t = shop(&[(
        "c/a.yaml",
        &flux("a", "./overlays/prod", "  components: [../none]\n  ignoreMissingComponents: true\n"),
    )]);
    assert_eq!(refusals(&t), [""; 0]);
    assert_eq!(places(&t).len(), 2);
}

#[test]
fn a_path_that_is_not_there_is_told_where_the_repository_is_known() {
    let mut t = shop(&[
        ("c/source.yaml", &git_repository("shop-source", "https://example.com/shop")),
        ("c/a.yaml", &flux("a", "./overlays/prd", "")),
    ]);
    t.1 = vec!["https://example.com/shop.git".to_owned()];
    assert_eq!(refusals(&t), ["missing-path! c/a.yaml:5"]);
    // It deploys nothing, so nothing is in doubt.
    assert_eq!(places(&t).len(), 2);
}

#[test]
fn files_that_are_left_out_of_an_artifact_are_not_guessed() {
    let apps = [("apps/a.sealed.yaml", SEALED), ("c.yaml", "")];
    for (more, code) in [
        (("apps/.sourceignore", "*.yaml\n"), "source-ignore c.yaml:5"),
        ((".sourceignore", "apps\n"), "source-ignore c.yaml:5"),
        (("apps/vendor/x.yaml", SEALED), "not-walked c.yaml:5"),
        (("apps/values.yaml", "a: b\n"), "missing-kind! apps/values.yaml:1"),
    ] {
        let mut t = ours(&apps);
        t.0.insert("c.yaml".into(), flux("a", "./apps", "").into_bytes());
        t.0.insert(more.0.into(), more.1.as_bytes().to_vec());
        let t = Ours(t.0, Vec::new());
        assert_eq!(refusals(&t), [code], "{more:?}");
        assert!(resolved(&t).refusals_of("apps/a.sealed.yaml").count() > 0, "{more:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_may_deploy_anything() {
    let mut t = shop(&[]);
    t.0.insert("c/a.yaml".into(), b"apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: \xff\n".to_vec());
    assert_eq!(refusals(&t).len(), 1);
    assert!(refusals(&t)[0].starts_with("unreadable-layer c/a.yaml:"), "{:?}", refusals(&t));
    assert!(resolved(&t).refusals_of(FILE).count() > 0);
    // Any other file may be what it is, also one that was looked into for what its escapes spell.
    t.0.insert("c/a.yaml".into(), b"run: [a \\\n  {{ b }}\n".to_vec());
    assert_eq!(refusals(&t), [""; 0]);
    t.0.insert("c/a.yaml".into(), b"a: \xff\n".to_vec());
    assert_eq!(refusals(&t), [""; 0]);
}

#[test]
fn files_of_another_repository_in_a_folder_are_refused() {
    let include = "  include:\n  - {repository: {name: other}, toPath: overlays}\n";
    let t = shop(&[
        ("c/source.yaml", &format!("{}{include}", git_repository("shop-source", "https://example.com/shop"))),
        ("c/a.yaml", &flux("a", "./overlays/prod", "")),
    ]);
    assert_eq!(refusals(&t), ["source-include c/source.yaml:7"]);
}

#[test]
fn flux_lifts_the_load_restriction() {
    let t = shop(&[
        ("overlays/prod/kustomization.yaml", "namespace: shop-prod\nresources: [../../base/db.sealed.yaml]\n"),
        ("c/a.yaml", &flux("a", "./overlays/prod", "")),
    ]);
    assert_eq!(refusals(&t), [""; 0]);
    assert!(places(&t)[0].ends_with("shop-prod/db"), "{:?}", places(&t));
    // Alone it is refused, as by kustomize.
    t.0.get("c/a.yaml").unwrap();
    let mut alone = t;
    alone.0.remove("c/a.yaml");
    assert_eq!(refusals(&alone), ["outside! overlays/prod/kustomization.yaml:2"]);
}
