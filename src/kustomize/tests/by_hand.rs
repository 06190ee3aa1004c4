//! What the policy says of deployments.

use super::outer::*;

fn policy(deployed: &str) -> String {
    format!("{POLICY}deployed:\n{deployed}")
}

#[test]
fn a_deployment_is_said_by_hand() {
    let said = "- {path: overlays/prod, namespace: live, namePrefix: x-, nameSuffix: -y}\n- path: overlays/prod\n  namespace: second\n- {path: overlays/open, defaultNamespace: filled}\n- {path: overlays/test, defaultNamespace: filled}\n";
    let t = shop(&[
        (".ageseal/policy.yaml", &policy(said)),
        ("overlays/open/kustomization.yaml", "resources: [../../base]\n"),
    ]);
    let by = |folder: &str, line: usize| format!("{folder} (deployed in the policy, .ageseal/policy.yaml:{line})");
    assert_eq!(
        places(&t),
        [
            format!("{}: filled/db", by("overlays/open", 8)),
            format!("{}: live/x-db-y", by("overlays/prod", 5)),
            format!("{}: second/p-db", by("overlays/prod", 6)),
            format!("{}: shop-test/db", by("overlays/test", 9)),
        ]
    );
}

#[test]
fn it_is_the_answer_to_what_is_not_understood() {
    let refused = flux("a", "./overlays/prod", "  targetNamespace: ${ns}\n");
    let t = shop(&[
        ("c/a.yaml", &refused),
        (".ageseal/policy.yaml", &policy("- {path: overlays/prod, namespace: live}\n")),
    ]);
    assert_eq!((refusals(&t).len(), places(&t).len()), (0, 2));
    assert!(places(&t)[0].ends_with("live/p-db"));
    // What is understood stands beside it.
    let known = flux("a", "./overlays/prod", "  targetNamespace: other\n");
    let t =
        shop(&[("c/a.yaml", &known), (".ageseal/policy.yaml", &policy("- {path: overlays/prod, namespace: live}\n"))]);
    assert_eq!(places(&t).len(), 3);
}

#[test]
fn a_folder_that_is_not_there_or_cannot_be_built_is_an_error() {
    let t = shop(&[(".ageseal/policy.yaml", &policy("- {path: overlays/prd}\n"))]);
    assert_eq!(refusals(&t), ["missing-path! .ageseal/policy.yaml:5"]);
}

#[test]
fn a_folder_without_a_kustomization_is_taken_whole() {
    let said = policy("- {path: plain, namespace: live}\n");
    let t = shop(&[(".ageseal/policy.yaml", &said), ("plain/a.sealed.yaml", SEALED)]);
    assert_eq!(places(&t)[2], "plain (deployed in the policy, .ageseal/policy.yaml:5): live/db");
    // It is an answer there as well.
    let t = shop(&[
        (".ageseal/policy.yaml", &said),
        ("plain/a.sealed.yaml", SEALED),
        ("c.yaml", &flux("a", "./plain", "  targetNamespace: ${ns}\n")),
    ]);
    assert_eq!((refusals(&t).len(), places(&t).len()), (0, 3));
}

#[test]
fn what_may_deploy_anything_is_answered_for_all_that_it_may_deploy() {
    let set = "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: x}\nspec:\n  templatePatch: 'spec: {source: {}}'\n  generators: []\n  template: {spec: {source: {path: '{{path}}'}}}\n";
    let one = "- {path: overlays/prod, namespace: live}\n";
    let t = shop(&[("argo.yaml", set), (".ageseal/policy.yaml", &policy(one))]);
    assert_eq!(refusals(&t), ["template-patch argo.yaml:5"]);
    assert!(resolved(&t).refusals_of(FILE).count() > 0);
    let both = format!("{one}- {{path: overlays/test}}\n");
    let t = shop(&[("argo.yaml", set), (".ageseal/policy.yaml", &policy(&both))]);
    assert_eq!((refusals(&t).len(), places(&t).len()), (0, 2));
}
