//! Rules and dashboard: their kinds take them, and every metric in them is one of the controller's.

use std::collections::BTreeSet;
use std::fs;

use ageseal_cluster::{ControlPlane, eventually};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use crate::support::{SOON, built, deploy};

/// What of the Prometheus operator's kinds is used here, and nothing else: a field that is not in it is refused.
const KINDS: &str = include_str!("monitoring-kinds.yaml");

/// Every name of a metric in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !part(c));
    words.filter(|word| word.starts_with("ageseal_")).map(str::to_owned).collect()
}

/// The names that docs/metrics.md lists, which the controller's own tests hold against what it registers; a histogram
/// also as what a query sees of it.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(deploy("../docs/metrics.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `ageseal_"));
    let mut names = BTreeSet::new();
    for row in rows {
        let mut cells = row.split('|').map(str::trim);
        let name = format!("ageseal_{}", cells.next().unwrap().trim_end_matches('`'));
        if cells.next() == Some("histogram") {
            names.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        } else {
            names.insert(name);
        }
    }
    assert!(names.len() > 10, "{names:?}");
    names
}

#[test]
fn every_metric_in_rules_and_dashboard_is_one_of_the_controller_s() {
    let documented = documented();
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(deploy("components/monitoring/dashboard.json")).unwrap()).unwrap();
    let mut queries = vec![];
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            queries.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    let rules = fs::read_to_string(deploy("components/monitoring/prometheusrule.yaml")).unwrap();
    let expressions: Vec<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect();
    assert!(queries.len() > 15 && expressions.len() == rules.matches("- alert: ").count());
    for query in queries.iter().chain(&expressions) {
        let used = metrics(query);
        assert!(!used.is_empty() && used.is_subset(&documented), "{query}: {:?}", used.difference(&documented));
        let count = |c: char| query.matches(c).count();
        assert_eq!((count('('), count('{'), count('[')), (count(')'), count('}'), count(']')), "{query}");
    }
    // And nothing of the controller goes unseen.
    let shown = metrics(&queries.join(" "));
    let unseen: Vec<_> =
        documented.difference(&shown).filter(|name| !name.ends_with("_sum") && !name.ends_with("_count")).collect();
    assert!(unseen.is_empty(), "no panel shows {unseen:?}");
}

#[test]
fn label_values_in_rules_and_dashboard_are_real_ones() {
    let page = fs::read_to_string(deploy("../docs/metrics.md")).unwrap();
    let folder = deploy("components/monitoring");
    let text =
        ["prometheusrule.yaml", "dashboard.json"].map(|file| fs::read_to_string(folder.join(file)).unwrap()).concat();
    let text = text.replace("\\\"", "\"");
    for label in ["ready", "state"] {
        let mut found = 0;
        for operator in ["=\"", "!=\"", "=~\""] {
            for (at, _) in text.match_indices(&format!("{label}{operator}")) {
                let value = text[at + label.len() + operator.len()..].split('"').next().unwrap();
                for one in value.split('|') {
                    assert!(page.contains(&format!("`{one}`")), "{label} is never {one}");
                    found += 1;
                }
            }
        }
        assert!(found > 0, "{label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kinds_of_the_prometheus_operator_take_them() {
    let plane = ControlPlane::shared();
    plane.apply(KINDS);
    let kinds = Api::<CustomResourceDefinition>::all(plane.client().await);
    eventually(SOON, "the kinds are served", || async {
        let list = kinds.list(&ListParams::default()).await.map_err(|e| e.to_string())?;
        let established = |kind: &CustomResourceDefinition| {
            let conditions = kind.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "Established" && condition.status == "True")
        };
        let count =
            list.items.iter().filter(|kind| kind.spec.group == "monitoring.coreos.com" && established(kind)).count();
        if count == 2 { Ok(()) } else { Err(format!("{count} of 2")) }
    })
    .await;
    let namespace = plane.namespace("monitoring").await;
    let text = built(&deploy("components/monitoring")).replace("ageseal-system", namespace.name());
    let apply = |text: &str| {
        let arguments = ["apply", "--server-side", "--validate=strict", "-f", "-"];
        plane.kubectl_command().args(arguments).stdin(text).run()
    };
    eventually(SOON, "rules, scraping and dashboard are accepted", || async {
        let outcome = apply(&text);
        outcome.success().then_some(()).ok_or_else(|| outcome.stderr_text())
    })
    .await;
    // The stand-ins are as strict as they are meant to be.
    let refused =
        apply(&text.replace("        severity: critical", "        severity: critical\n      severity: critical"));
    assert!(
        !refused.success() && refused.stderr_text().contains("severity: field not declared in schema"),
        "{}",
        refused.stderr_text()
    );
}
