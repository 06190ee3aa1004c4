//! What of ageseal is in the cluster: the custom resource, the controller, the admission policy.

use ageseal::api::{LEASE, sealed_secrets_crd};
use ageseal::yaml::{Kind, Node, Stream};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicySpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use serde_json::Value;

use super::finding::{Area, Finding};
use crate::clock;
use crate::cluster::controller::{self, DEPLOYMENT};
use crate::cluster::{AskError, Asked, Cluster};

const AREA: Area = Area::Cluster;

/// The admission policy of `deploy/`, and its binding.
const ADMISSION: &str = "ageseal-secret-rights";
const POLICY: &str = include_str!("../../../../deploy/admission/policy.yaml");
/// The name of the custom resource.
const CRD: &str = "sealedsecrets.ageseal.dev";
/// What installs everything.
const INSTALL: &str = "ageseal install --image IMAGE | kubectl apply --server-side -f -";

/// That the cluster answers, and which version it has.
///
/// # Errors
/// It does not answer.
pub(super) fn version(cluster: &Cluster) -> Result<Finding, AskError> {
    let asked = Asked::new("get", "/version");
    let text = cluster.text(&asked, "/version")?;
    let version = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|info| info.get("gitVersion").and_then(|version| version.as_str()).map(str::to_owned))
        .unwrap_or_else(|| "an unknown version".to_owned());
    let finding = Finding::good(AREA, "access", format!("context {} answers: Kubernetes {version}", cluster.context()));
    let finding = finding.detail(format!("address: {}", cluster.seen().address));
    Ok(match cluster.seen().unproved {
        Some(why) => {
            Finding::wrong(AREA, "access", format!("nothing proves that the answers come from the cluster: {why}"))
                .detail(format!("address: {}", cluster.seen().address))
                .mend("have the kubeconfig name the cluster's certificate authority")
        }
        None => finding,
    })
}

/// The custom resource.
pub(super) fn definition(cluster: &Cluster) -> Vec<Finding> {
    const CHECK: &str = "custom-resource";
    let asked = Asked::new("get", "customresourcedefinitions.apiextensions.k8s.io").named(CRD);
    let live = match cluster.find(&asked, cluster.global::<CustomResourceDefinition>().get(CRD)) {
        Ok(Some(live)) => live,
        Ok(None) => {
            return vec![
                Finding::wrong(AREA, CHECK, format!("the cluster does not have the custom resource {CRD}"))
                    .mend(INSTALL),
            ];
        }
        Err(error) => return vec![Finding::refused(CHECK, &error)],
    };
    let ours = sealed_secrets_crd();
    let conditions = live.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let established =
        conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True");
    if !established {
        return vec![
            Finding::wrong(AREA, CHECK, format!("the cluster does not serve the custom resource {CRD}"))
                .mend(format!("kubectl describe crd {CRD}")),
        ];
    }
    let same = |one: &CustomResourceDefinitionVersion| {
        let live = live.spec.versions.iter().find(|live| live.name == one.name);
        live.is_some_and(|live| live.served && as_json(live) == as_json(one))
    };
    vec![if ours.spec.versions.iter().all(same) {
        Finding::good(AREA, CHECK, format!("the custom resource {CRD} is that of this version"))
    } else {
        Finding::wrong(
            AREA,
            CHECK,
            format!("the custom resource {CRD} is not that of this version: it was changed, or is of another"),
        )
        .mend(format!("{INSTALL}   with the version of the controller"))
    }]
}

/// The fields that decide what is accepted and shown; the API server fills in others.
fn as_json(version: &CustomResourceDefinitionVersion) -> Value {
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    serde_json::json!({ "schema": schema, "subresources": version.subresources, "columns": version.additional_printer_columns })
}

/// The controller: its Deployment, and who leads.
pub(super) fn controller(cluster: &Cluster) -> Vec<Finding> {
    let lease = lease(cluster);
    let leads = lease.iter().any(|(_, leads)| *leads);
    let mut findings = vec![deployment(cluster, leads)];
    findings.extend(lease.map(|(finding, _)| finding));
    findings
}

fn deployment(cluster: &Cluster, leads: bool) -> Finding {
    const CHECK: &str = "controller";
    let namespace = cluster.namespace();
    let deployment = match controller::deployment(cluster) {
        Ok(Some(deployment)) => deployment,
        Ok(None) if leads => {
            return Finding::note(
                AREA,
                CHECK,
                format!("there is no Deployment {DEPLOYMENT} in {namespace}, and a controller runs all the same"),
            );
        }
        Ok(None) => {
            return Finding::wrong(AREA, CHECK, format!("there is no Deployment {DEPLOYMENT} in {namespace}"))
                .mend("if it is elsewhere: --controller-namespace NAMESPACE")
                .mend(INSTALL);
        }
        Err(error) => return Finding::refused(CHECK, &error),
    };
    let wanted = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = deployment.status.and_then(|status| status.ready_replicas).unwrap_or(0);
    let text = match (ready, wanted) {
        (_, 0) => "the controller is scaled to no replica".to_owned(),
        (0, 1) => "the one replica of the controller is not ready".to_owned(),
        (1, 1) => "the one replica of the controller is ready".to_owned(),
        _ => format!("{ready} of {wanted} replicas of the controller are ready"),
    };
    let look = format!("kubectl --context {} -n {namespace} describe pods", cluster.context());
    match (ready, wanted) {
        // Scaled to none, and one runs elsewhere.
        (0, 0) if leads => Finding::note(AREA, CHECK, format!("{text}, and a controller runs all the same")).mend(look),
        // One may lead all the same: a controller is not ready while its identity is lost, and opens nothing.
        (0, _) => Finding::wrong(AREA, CHECK, text).mend(look).mend(logs(cluster)),
        _ if ready < wanted => Finding::note(AREA, CHECK, text).mend(look),
        (1, _) => Finding::note(AREA, CHECK, format!("{text}: nothing is made while it restarts")).mend(format!(
            "kubectl --context {} -n {namespace} scale deployment {DEPLOYMENT} --replicas 2",
            cluster.context()
        )),
        _ => Finding::good(AREA, CHECK, text),
    }
}

fn logs(cluster: &Cluster) -> String {
    format!("kubectl --context {} -n {} logs deployment/{DEPLOYMENT}", cluster.context(), cluster.namespace())
}

/// The Lease, and whether somebody holds it now.
fn lease(cluster: &Cluster) -> Option<(Finding, bool)> {
    const CHECK: &str = "lease";
    let namespace = cluster.namespace();
    let asked = Asked::new("get", "leases.coordination.k8s.io").named(LEASE).within(namespace);
    let lease = match cluster.find(&asked, cluster.namespaced::<Lease>(namespace).get(LEASE)) {
        Ok(Some(lease)) => lease.spec.unwrap_or_default(),
        // The Deployment's finding says it.
        Ok(None) => return None,
        Err(error) => return Some((Finding::refused(CHECK, &error), false)),
    };
    let holder = lease.holder_identity.filter(|holder| !holder.is_empty());
    let age = lease.renew_time.map(|time| clock::now() - time.0.as_second());
    let lasts = i64::from(lease.lease_duration_seconds.unwrap_or(15));
    Some(match (holder, age) {
        // The clocks of this machine and of the controller's need not agree.
        (Some(holder), Some(age)) if age <= lasts * 3 => {
            (Finding::good(AREA, CHECK, format!("{holder} leads, and said so {} s ago", age.max(0))), true)
        }
        (Some(holder), age) => {
            let ago = age.map_or_else(|| "never".to_owned(), |age| format!("{age} s ago"));
            let finding = Finding::wrong(AREA, CHECK, format!("nobody leads: {holder} did last, and said so {ago}"));
            (finding.mend(logs(cluster)), false)
        }
        (None, _) => (
            Finding::wrong(AREA, CHECK, "nobody leads: the last one stepped down")
                .mend(format!("kubectl --context {} -n {namespace} get pods", cluster.context())),
            false,
        ),
    })
}

/// The admission policy: without it, a right on documents is a right on every Secret of the namespace.
pub(super) fn admission(cluster: &Cluster) -> Vec<Finding> {
    const CHECK: &str = "admission";
    let asked = |resource| Asked::new("get", resource).named(ADMISSION);
    let policy = asked("validatingadmissionpolicies.admissionregistration.k8s.io");
    let binding = asked("validatingadmissionpolicybindings.admissionregistration.k8s.io");
    let policy = cluster.find(&policy, cluster.global::<ValidatingAdmissionPolicy>().get(ADMISSION));
    let binding = cluster.find(&binding, cluster.global::<ValidatingAdmissionPolicyBinding>().get(ADMISSION));
    let (policy, binding) = match (policy, binding) {
        (Ok(policy), Ok(binding)) => (policy, binding),
        (Err(error), _) | (_, Err(error)) => return vec![Finding::refused(CHECK, &error)],
    };
    let policy = policy.and_then(|policy| policy.spec);
    let denies = binding.is_some_and(|binding| {
        let spec = binding.spec;
        spec.policy_name == ADMISSION
            && spec.match_resources.is_none()
            && spec.param_ref.is_none()
            && spec.validation_actions.iter().any(|action| action == "Deny")
    });
    vec![match policy {
        Some(policy) if denies && defaulted(policy.clone()) == shipped() => {
            Finding::good(AREA, CHECK, "who may not write a Secret may not write the document for it")
        }
        // What a changed one lets through, nobody can tell by looking at it.
        Some(policy) if denies && policy.failure_policy.as_deref() != Some("Ignore") => Finding::wrong(
            AREA,
            CHECK,
            format!("the admission policy {ADMISSION} is not that of this version: it was changed, or is of another"),
        )
        .detail("whether it keeps those who write documents from writing every Secret of the namespace is not known")
        .mend(format!("{INSTALL}   with the version of the controller")),
        _ => Finding::wrong(AREA, CHECK, format!("the admission policy {ADMISSION} is not in force: whoever may write documents can write, and delete, every Secret of the namespace"))
            .mend(INSTALL),
    }]
}

/// The policy of `deploy/`, as the API server holds it.
fn shipped() -> ValidatingAdmissionPolicySpec {
    let stream = Stream::from_bytes(POLICY.as_bytes().to_vec()).ok();
    let first = stream.as_ref().and_then(|stream| stream.documents().next()?.root()?.get("spec"));
    let spec = first.and_then(|spec| serde_json::from_value(json(spec)).ok());
    // A test reads it; an empty one is like none that an API server holds.
    defaulted(spec.unwrap_or_default())
}

/// A node of our own manifest, in which every scalar is a string.
fn json(node: Node<'_>) -> Value {
    match node.kind() {
        Kind::Mapping => {
            let named = |(key, value): (Node<'_>, Node<'_>)| Some((key.str()?.to_owned(), json(value)));
            Value::Object(node.entries().filter_map(named).collect())
        }
        Kind::Sequence => Value::Array(node.items().map(json).collect()),
        _ => node.str().map_or(Value::Null, |text| Value::String(text.to_owned())),
    }
}

/// The same, with what the API server fills in.
fn defaulted(mut spec: ValidatingAdmissionPolicySpec) -> ValidatingAdmissionPolicySpec {
    let _ = spec.failure_policy.get_or_insert_with(|| "Fail".to_owned());
    if let Some(constraints) = &mut spec.match_constraints {
        let _ = constraints.match_policy.get_or_insert_with(|| "Equivalent".to_owned());
        let _ = constraints.namespace_selector.get_or_insert_default();
        let _ = constraints.object_selector.get_or_insert_default();
        for rule in constraints.resource_rules.iter_mut().flatten() {
            let _ = rule.scope.get_or_insert_with(|| "*".to_owned());
        }
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_policy_is_read_whole() {
        let spec = shipped();
        let rules = spec.match_constraints.unwrap().resource_rules.unwrap();
        assert_eq!(rules[0].operations.as_ref().unwrap(), &["CREATE", "UPDATE", "DELETE"]);
        assert_eq!(spec.variables.unwrap().len(), 3);
        let validation = &spec.validations.unwrap()[0];
        assert!(validation.expression.starts_with("variables.secret.check(variables.verb).allowed() || "));
        assert!(!validation.expression.contains('\n'), "{}", validation.expression);
        assert!(validation.message_expression.as_ref().unwrap().contains("variables.name"));
    }
}
