//! What Argo CD deploys: `Application` and `ApplicationSet` objects over small trees.

use super::outer::*;
use super::*;

const SHOP: &str = "overlays/prod (Argo CD Application argocd/shop, argo/shop.yaml:1)";

fn app(source: &str, spec: &str) -> Ours {
    shop(&[("argo/shop.yaml", &application("shop", "overlays/prod", source, spec))])
}

#[test]
fn what_is_set_in_the_source_is_written_into_the_kustomization() {
    let t = app("    kustomize: {namespace: live, namePrefix: o-, nameSuffix: -x}\n", "");
    assert_eq!(places(&t), [format!("{SHOP}: live/o-db-x"), "overlays/test: shop-test/db".to_owned()]);
    let resolution = resolved(&t);
    let (_, object) = resolution.of_file(FILE).next().unwrap();
    let last: Vec<String> = object
        .chain
        .iter()
        .rev()
        .take(4)
        .rev()
        .map(|step| format!("{}:{} {}", step.file, step.line, step.what))
        .collect();
    assert_eq!(
        last,
        [
            "argo/shop.yaml:6 path: overlays/prod",
            "argo/shop.yaml:7 namespace: live",
            "argo/shop.yaml:7 namePrefix: o-",
            "argo/shop.yaml:7 nameSuffix: -x",
        ]
    );
}

#[test]
fn the_namespace_of_the_destination_fills_in_what_is_left_open() {
    let destination = "  destination: {namespace: live, server: https://kubernetes.default.svc}\n";
    // The overlay says one, and keeps it.
    assert_eq!(places(&app("", destination))[0], format!("{SHOP}: shop-prod/p-db"));
    let open = [
        ("overlays/prod/kustomization.yaml", "resources: [../../base, cluster.yaml]\n"),
        (
            "overlays/prod/cluster.yaml",
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: c}\n",
        ),
        ("base/kustomization.yaml", "resources: [db.sealed.yaml, pod.yaml]\n"),
        (
            "base/pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, envFrom: [{secretRef: {name: db}}]}]}\n",
        ),
    ];
    let mut t = shop(&open);
    t.0.insert("argo/shop.yaml".into(), application("shop", "overlays/prod", "", destination).into_bytes());
    let resolution = resolved(&t);
    let root = resolution.roots.keys().find(|root| !root.is_bare()).unwrap();
    let build = resolution.roots[root].as_ref().unwrap();
    assert_eq!(names(build), ["ClusterRole -/c", "Pod live/p", "SealedSecret live/db"]);
    let reference = &build.references[0];
    assert_eq!((reference.namespace.as_deref(), reference.from.namespace.as_deref()), (Some("live"), Some("live")));
    let step = build.objects.iter().find(|object| object.kind == "Pod").unwrap().chain.last().unwrap();
    assert_eq!((step.what.as_str(), step.line), ("destination.namespace: live", 7));
}

#[test]
fn components_are_added_once_and_have_to_be_there() {
    let part =
        ("part/kustomization.yaml", "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nnamePrefix: c-\n");
    let components = "    kustomize: {components: [../../part, ../../part]}\n";
    let mut t = app(components, "");
    t.0.insert(part.0.into(), part.1.as_bytes().to_vec());
    assert_eq!(places(&t)[0], format!("{SHOP}: shop-prod/p-c-db"));
    let own = "resources: [../../base]\nnamespace: shop-prod\ncomponents: [../../part]\n";
    t.0.insert("overlays/prod/kustomization.yaml".into(), own.as_bytes().to_vec());
    assert_eq!(places(&t)[0], format!("{SHOP}: shop-prod/c-db"));
    assert_eq!(refusals(&app("    kustomize: {components: [../gone]}\n", "")), ["missing-file! argo/shop.yaml:7"]);
    let ignored = app("    kustomize: {components: [../gone], ignoreMissingComponents: true}\n", "");
    assert_eq!(places(&ignored)[0], format!("{SHOP}: shop-prod/p-db"));
}

#[test]
fn several_sources_are_several_roots_and_a_reference_is_none() {
    let spec = "spec:\n  sources:\n  - {path: overlays/prod, kustomize: {namespace: a}}\n  - {path: overlays/test, kustomize: {namespace: b}}\n  - {ref: values, repoURL: https://example.com/values}\n  - {chart: x, repoURL: https://example.com/charts}\n";
    let text = format!("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: shop}}\n{spec}");
    let t = shop(&[("argo.yaml", &text)]);
    assert_eq!(
        places(&t),
        [
            "overlays/prod (Argo CD Application shop, argo.yaml:1): a/p-db",
            "overlays/test (Argo CD Application shop, argo.yaml:1): b/db",
        ]
    );
}

#[test]
fn a_folder_without_a_kustomization_is_applied_as_it_is() {
    let other = SEALED.replace("name: db", "name: other");
    let annotated =
        SEALED.replace("{name: db}", "{name: kept, annotations: {config.kubernetes.io/local-config: 'true'}}");
    let files = [
        ("plain/a.sealed.yaml", SEALED),
        ("plain/deep/b.sealed.yaml", other.as_str()),
        ("plain/kept.yaml", annotated.as_str()),
        ("plain/values.yaml", "a: b\n"),
        ("plain/a.secret.yaml", SECRET),
    ];
    let destination = "  destination: {namespace: live}\n";
    for (directory, found) in [
        ("", vec!["live/db", "live/kept"]),
        ("    directory: {recurse: true}\n", vec!["live/db", "live/kept", "live/other"]),
        ("    directory: {recurse: false, jsonnet: {}}\n", vec!["live/db", "live/kept"]),
        ("    directory: {recurse: true, exclude: '*kept*'}\n", vec!["live/db", "live/other"]),
        ("    directory: {recurse: true, include: '{a.*,deep/*}'}\n", vec!["live/db", "live/other"]),
    ] {
        let mut t = ours(&files);
        t.0.insert("argo.yaml".into(), application("plain", "plain", directory, destination).into_bytes());
        let mut all: Vec<String> =
            places(&t).iter().map(|place| place.rsplit_once(": ").unwrap().1.to_owned()).collect();
        all.sort();
        assert_eq!(all, found, "{directory}");
    }
}

#[test]
fn what_is_not_understood_refuses_its_folder() {
    for (source, code) in [
        ("    helm: {releaseName: x}\n", "helm argo/shop.yaml:7"),
        ("    plugin: {name: x}\n", "helm argo/shop.yaml:7"),
        ("    directory: {recurse: true}\n", "directory argo/shop.yaml:7"),
        ("    kustomize: {namespace: x}\n    helm: {releaseName: x}\n", "several-kinds! argo/shop.yaml:7"),
        ("    kustomize: {version: v3.8.1}\n", "kustomize-version argo/shop.yaml:7"),
        ("    kustomize: {nameSpace: x}\n", "unknown-field argo/shop.yaml:7"),
        ("    kustomize: {components: ['../*']}\n", "pattern argo/shop.yaml:7"),
        ("    kustomize: {namespace: {a: b}}\n", "bad-field! argo/shop.yaml:7"),
        (
            "    kustomize: {commonAnnotations: {config.kubernetes.io/local-config: $X}}\n",
            "placeholder argo/shop.yaml:7",
        ),
        ("    kustomize: {patches: [{patch: '${x}'}]}\n", "placeholder argo/shop.yaml:7"),
        ("    kustomize: {namespace: '{{ .Values.x }}'}\n", "template argo/shop.yaml:7"),
        ("    odd: x\n", "unknown-field argo/shop.yaml:7"),
    ] {
        let t = app(source, "");
        assert_eq!(refusals(&t), [code], "{source}");
        assert!(resolved(&t).refusals_of(FILE).count() > 0, "{source}");
        assert_eq!(places(&t), ["overlays/test: shop-test/db"], "{source}");
    }
    for (path, text, code) in [
        (
            "overlays/prod/.argocd-source.yaml",
            "kustomize: {namespace: x}\n",
            "parameters-in-file overlays/prod/.argocd-source.yaml:1",
        ),
        (
            "overlays/prod/.argocd-source-shop.yaml",
            "a: b\n",
            "parameters-in-file overlays/prod/.argocd-source-shop.yaml:1",
        ),
        ("overlays/prod/Chart.yaml", "name: x\n", "helm argo/shop.yaml:6"),
    ] {
        let mut t = app("", "");
        t.0.insert(path.into(), text.as_bytes().to_vec());
        assert_eq!(refusals(&t), [code]);
    }
    let hydrated = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: h}\nspec:\n  sourceHydrator:\n    drySource: {path: overlays/prod}\n";
    assert_eq!(refusals(&shop(&[("argo.yaml", hydrated)])), ["source-hydrator argo.yaml:6"]);
    assert_eq!(
        refusals(&shop(&[("argo.yaml", &application("a", "../overlays/prod", "", ""))])),
        ["outside-repository! argo.yaml:6"]
    );
    assert_eq!(
        refusals(&shop(&[
            ("argo.yaml", &application("a", "plain", "    kustomize: {namespace: x}\n", "")),
            ("plain/a.sealed.yaml", SEALED)
        ])),
        ["no-kustomization! argo.yaml:6"]
    );
    for (path, text, code) in [
        ("plain/x.jsonnet", "{}", "jsonnet argo.yaml:6"),
        ("plain/x.yaml", "# +argocd:skip-file-rendering\na: b\n", "skipped-file plain/x.yaml:1"),
        ("plain/x.yaml", "apiVersion: v1\nkind: X\nmetadata: [\n", "syntax! plain/x.yaml:4"),
    ] {
        let t =
            shop(&[("argo.yaml", &application("a", "plain", "", "")), ("plain/a.sealed.yaml", SEALED), (path, text)]);
        let found = refusals(&t);
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].split(' ').next() == code.split(' ').next() || code.starts_with("syntax"), "{found:?} {code}");
        assert!(resolved(&t).refusals_of("plain/a.sealed.yaml").count() > 0, "{text}");
    }
}

#[test]
fn what_is_deployed_by_charts_and_other_repositories_is_not_ours() {
    for source in ["    chart: x\n", "    repoURL: https://example.com/other\n"] {
        let text = application("a", "deploy", source, "");
        let mut t = shop(&[("argo.yaml", &text)]);
        t.1 = vec!["https://example.com/shop".to_owned()];
        assert_eq!((refusals(&t).len(), places(&t).len()), (0, 2), "{source}");
    }
    let mut t = app("    repoURL: https://example.com/other\n", "");
    t.1 = vec!["https://example.com/shop".to_owned()];
    assert_eq!(refusals(&t), ["other-repository argo/shop.yaml:6"]);
}

#[test]
fn an_application_of_applications_is_followed() {
    let t = shop(&[
        ("root.yaml", &application("root", "apps", "", "  destination: {namespace: argocd}\n")),
        (
            "apps/shop.yaml",
            &application("shop", "overlays/prod", "    kustomize: {namespace: live}\n", "")
                .replace(", namespace: argocd", ""),
        ),
    ]);
    assert_eq!(places(&t)[0].rsplit_once(": ").unwrap().1, "live/p-db");
    assert!(places(&t)[0].starts_with("overlays/prod (Argo CD Application argocd/shop, apps/shop.yaml:1 as apps (Argo CD Application argocd/root, root.yaml:1) builds it)"), "{:?}", places(&t));
}

fn set(go: bool, generators: &str, template: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: shop, namespace: argocd}}\nspec:\n  goTemplate: {go}\n  generators:\n{generators}  template:\n{template}"
    )
}

#[test]
fn lists_and_folders_make_applications() {
    let list = "  - list:\n      elements:\n      - {env: prod, values: {ns: live}}\n      - {env: test, values: {ns: tried}}\n";
    let flat = "    metadata: {name: 'shop-{{env}}'}\n    spec:\n      source: {path: 'overlays/{{env}}', targetRevision: '{{rev}}', kustomize: {namespace: '{{values.ns}}'}}\n      destination: {server: '{{server}}'}\n";
    let go = flat.replace("{{env}}", "{{ .env }}").replace("{{values.ns}}", "{{.values.ns}}");
    let git = "  - git:\n      directories: [{path: overlays/*}, {path: overlays/old, exclude: true}]\n";
    let flat_git = "    metadata: {name: 'shop-{{path.basename}}'}\n    spec:\n      source: {path: '{{path}}'}\n      destination: {namespace: '{{path[0]}}'}\n";
    let go_git = flat_git
        .replace("{{path}}", "{{.path.path}}")
        .replace("{{path.basename}}", "{{.path.basename}}")
        .replace("{{path[0]}}", "{{index .path.segments 0}}");
    for (text, found) in [
        (set(false, list, flat), ["live/p-db", "tried/db"]),
        (set(true, list, &go), ["live/p-db", "tried/db"]),
        (set(false, git, flat_git), ["shop-prod/p-db", "shop-test/db"]),
        (set(true, git, &go_git), ["shop-prod/p-db", "shop-test/db"]),
    ] {
        let t = shop(&[("argo.yaml", &text), ("overlays/old/kustomization.yaml", "kind: Component\n")]);
        let all = places(&t);
        let ends: Vec<&str> = all.iter().map(|place| place.rsplit_once(": ").unwrap().1).collect();
        assert_eq!(ends, found, "{text}\n{:?}", refusals(&t));
        assert!(
            all[0].starts_with(
                "overlays/prod (Argo CD Application argocd/shop-prod of ApplicationSet argocd/shop, argo.yaml:1)"
            ),
            "{all:?}"
        );
    }
}

#[test]
fn other_generators_and_templates_are_refused_by_name() {
    let template = "    metadata: {name: x}\n    spec:\n      source: {path: 'overlays/{{path.basename}}'}\n";
    for (generators, more, code) in [
        ("  - matrix: {generators: []}\n", "", "generator argo.yaml:7"),
        ("  - clusters: {}\n", "", "generator argo.yaml:7"),
        ("  - git: {files: [{path: a.json}]}\n", "", "generator argo.yaml:7"),
        ("  - list: {elements: []}\n    selector: {matchLabels: {a: b}}\n", "", "generator argo.yaml:8"),
        ("  - list: {elements: [{a: b}]}\n", "", "template argo.yaml:11"),
        ("  - list: {elements: [], elementsYaml: x}\n", "", "unknown-field argo.yaml:7"),
        ("  - git: {directories: [{path: 'overlays/**'}]}\n", "", "pattern argo.yaml:7"),
        (
            "  - git: {directories: [{path: overlays/*}]}\n",
            "  templatePatch: 'spec: {source: {path: x}}'\n",
            "template-patch argo.yaml:12",
        ),
    ] {
        let t = shop(&[("argo.yaml", &format!("{}{more}", set(false, generators, template)))]);
        assert_eq!(refusals(&t), [code], "{generators}");
        assert!(resolved(&t).refusals_of(FILE).count() > 0, "{generators}");
    }
    // Only what the pattern may mean is refused.
    let t = shop(&[(
        "argo.yaml",
        &set(false, "  - clusters: {}\n", &template.replace("overlays/{{path.basename}}", "overlays/{{env}}st")),
    )]);
    assert_eq!(places(&t), ["overlays/prod: shop-prod/p-db"]);
    // A patch of the template that names nothing of what matters is none.
    let sync = "  templatePatch: 'spec: {syncPolicy: {automated: {prune: {{ .prune }}}}}'\n";
    let t = shop(&[(
        "argo.yaml",
        &format!("{}{sync}", set(false, "  - git: {directories: [{path: overlays/*}]}\n", template)),
    )]);
    assert_eq!((refusals(&t).len(), places(&t).len()), (0, 2));
    // And nothing of another repository.
    let other = template.replace("source: {", "source: {repoURL: 'https://example.com/other', ");
    let mut t = shop(&[("argo.yaml", &set(false, "  - clusters: {}\n", &other))]);
    t.1 = vec!["https://example.com/shop".to_owned()];
    assert_eq!((refusals(&t).len(), places(&t).len()), (0, 2));
}

#[test]
fn folders_of_what_may_be_this_repository_under_another_name_are_refused() {
    let url = "https://dev.example.com/org/p/_git/shop";
    let text = |directories: &str| {
        let generators = format!("  - git: {{repoURL: '{url}', directories: [{{path: {directories}}}]}}\n");
        let source = format!("source: {{repoURL: '{url}', path: '{{{{path}}}}', kustomize: {{namePrefix: o-}}}}");
        set(false, &generators, &format!("    metadata: {{name: x}}\n    spec:\n      {source}\n"))
    };
    let mut t = shop(&[("argo.yaml", &text("overlays/p*"))]);
    t.1 = vec!["git@ssh.dev.example.com:v3/org/p/shop".to_owned()];
    assert_eq!(refusals(&t), ["other-repository argo.yaml:7"]);
    assert_eq!(places(&t), ["overlays/test: shop-test/db"]);
    t.0.insert(".ageseal/policy.yaml".into(), format!("{POLICY}otherRepositories: ['{url}']\n").into_bytes());
    assert_eq!((refusals(&t).len(), places(&t).len()), (0, 2));
    let mut t = shop(&[("argo.yaml", &text("guestbook/*"))]);
    t.1 = vec!["git@ssh.dev.example.com:v3/org/p/shop".to_owned()];
    assert_eq!((refusals(&t).len(), places(&t).len()), (0, 2));
}

#[test]
fn values_are_filled_in_from_the_path_alone() {
    let generators = "  - git: {directories: [{path: overlays/prod}], values: {a: '{{path.basename}}-live', b: '{{values.a}}{{values.a}}'}}\n";
    let template = |value: &str| {
        let source = format!("source: {{path: '{{{{path}}}}', kustomize: {{namespace: '{{{{values.{value}}}}}'}}}}");
        set(false, generators, &format!("    metadata: {{name: x}}\n    spec:\n      {source}\n"))
    };
    let t = shop(&[("argo.yaml", &template("a"))]);
    assert!(places(&t)[0].ends_with("prod-live/p-db"), "{:?} {:?}", places(&t), refusals(&t));
    assert_eq!(refusals(&shop(&[("argo.yaml", &template("b"))])), ["template argo.yaml:11"]);
}

#[test]
fn files_behind_links_and_stars_beside_slashes_are_not_guessed() {
    let directory = |selection: &str| application("a", "plain", &format!("    directory: {selection}\n"), "");
    let more = [("plain/db.sealed.yaml", SEALED), ("plain/in/db.sealed.yaml", SEALED)];
    let with = |selection: &str, extra: &[(&str, &str)]| {
        let text = directory(selection);
        let mut t = shop(&[("argo.yaml", &text)]);
        t.0.extend(super::tree(&more).0);
        t.0.extend(super::tree(extra).0);
        t
    };
    // Two stars are one there: the slash has to be there as well.
    let t = with("{recurse: true, include: '**/db.sealed.yaml'}", &[]);
    assert_eq!(places(&t).iter().filter(|place| place.starts_with("plain")).count(), 1, "{:?}", places(&t));
    let t = with("{recurse: false}", &[("plain/link.yaml", SEALED)]);
    assert_eq!(refusals(&t), ["symbolic-link argo.yaml:6"]);
    let t = with("{recurse: false}", &[("plain/in/link.yaml", SEALED)]);
    assert_eq!(refusals(&t), [""; 0]);
    // A hook whose name the API server makes up.
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-}\n";
    let t = with("{recurse: false}", &[("plain/job.yaml", job)]);
    assert_eq!(refusals(&t), [""; 0]);
    assert_eq!(places(&t).len(), 3);
}
