//! Who may read Secrets: all of the cluster's, and those in the controller's namespace, where the private keys are.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::api::ListParams;

use super::finding::{Area, Finding};
use crate::cluster::{AskError, Asked, Cluster};

const AREA: Area = Area::Cluster;
const CHECK: &str = "rights";
/// Groups that are everybody, or as good as.
const EVERYBODY: [&str; 4] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:anonymous"];
/// The controller's ServiceAccount.
const OURS: &str = "ageseal-controller";
/// The verbs that show a value: `watch` and `list` show all of them.
const READS: [&str; 3] = ["get", "list", "watch"];

pub(super) fn look(cluster: &Cluster) -> Vec<Finding> {
    match (cluster_wide(cluster), own_namespace(cluster)) {
        (Ok(mut one), Ok(other)) => {
            one.extend(other);
            one
        }
        (Err(error), _) | (_, Err(error)) => {
            vec![Finding::refused(CHECK, &error).detail("so who can read Secrets is not known")]
        }
    }
}

type Found = Result<Vec<Finding>, AskError>;

/// Who a role is given to, and through which binding.
#[derive(Clone, Debug)]
struct Given {
    binding: String,
    role: String,
    subjects: Vec<Subject>,
}

fn cluster_wide(cluster: &Cluster) -> Found {
    let roles = cluster_roles(cluster)?;
    let asked = Asked::new("list", "clusterrolebindings.rbac.authorization.k8s.io");
    let bindings = cluster.ask(&asked, cluster.global::<ClusterRoleBinding>().list(&ListParams::default()))?;
    let given = bindings.items.into_iter().filter_map(|binding| {
        let reads = roles.get(&binding.role_ref.name).copied().unwrap_or(false);
        reads.then(|| Given {
            binding: binding.metadata.name.unwrap_or_default(),
            role: binding.role_ref.name,
            subjects: binding.subjects.unwrap_or_default(),
        })
    });
    let given: Vec<_> = given.collect();
    Ok(told(cluster, &given, "every Secret of the cluster", "clusterrolebinding"))
}

/// Roles and bindings of the controller's namespace.
fn own_namespace(cluster: &Cluster) -> Found {
    let namespace = cluster.namespace();
    let cluster_roles = cluster_roles(cluster)?;
    let asked = |resource| Asked::new("list", resource).within(namespace);
    let roles = asked("roles.rbac.authorization.k8s.io");
    let roles = cluster.ask(&roles, cluster.namespaced::<Role>(namespace).list(&ListParams::default()))?;
    let own: BTreeMap<String, bool> = roles
        .items
        .into_iter()
        .map(|role| (role.metadata.name.unwrap_or_default(), reads_secrets(role.rules.as_deref().unwrap_or_default())))
        .collect();
    let bindings = asked("rolebindings.rbac.authorization.k8s.io");
    let bindings = cluster.ask(&bindings, cluster.namespaced::<RoleBinding>(namespace).list(&ListParams::default()))?;
    let reads = |role: &RoleRef| {
        let roles = if role.kind == "ClusterRole" { &cluster_roles } else { &own };
        roles.get(&role.name).copied().unwrap_or(false)
    };
    let given = bindings.items.into_iter().filter(|binding| reads(&binding.role_ref)).map(|binding| Given {
        binding: binding.metadata.name.unwrap_or_default(),
        role: binding.role_ref.name,
        subjects: binding.subjects.unwrap_or_default(),
    });
    let given: Vec<_> = given.collect();
    Ok(told(cluster, &given, &format!("the private keys in {namespace}"), "rolebinding"))
}

/// Every ClusterRole by name, and whether it reads all Secrets where it is bound.
fn cluster_roles(cluster: &Cluster) -> Result<BTreeMap<String, bool>, AskError> {
    let asked = Asked::new("list", "clusterroles.rbac.authorization.k8s.io");
    let roles = cluster.ask(&asked, cluster.global::<ClusterRole>().list(&ListParams::default()))?;
    let named = |role: ClusterRole| {
        (role.metadata.name.unwrap_or_default(), reads_secrets(role.rules.as_deref().unwrap_or_default()))
    };
    Ok(roles.items.into_iter().map(named).collect())
}

/// Whether the rules let somebody read Secrets whatever they are called.
fn reads_secrets(rules: &[PolicyRule]) -> bool {
    let any = |list: &Option<Vec<String>>, wanted: &[&str]| {
        list.iter().flatten().any(|word| word == "*" || wanted.contains(&word.as_str()))
    };
    rules.iter().any(|rule| {
        any(&rule.api_groups, &[""])
            && any(&rule.resources, &["secrets"])
            && rule.verbs.iter().any(|verb| verb == "*" || READS.contains(&verb.as_str()))
            && rule.resource_names.as_ref().is_none_or(Vec::is_empty)
    })
}

fn told(cluster: &Cluster, given: &[Given], what: &str, kind: &str) -> Vec<Finding> {
    let mut everybody = vec![];
    let mut others = BTreeSet::new();
    for one in given {
        for subject in &one.subjects {
            let name = name_of(subject);
            let line = format!("{name}   {kind} {} → {}", one.binding, one.role);
            if is_everybody(subject) {
                everybody.push((line, one.binding.clone()));
            } else if !is_expected(cluster, subject) {
                others.insert(line);
            }
        }
    }
    let mut findings = vec![];
    if !everybody.is_empty() {
        let mends: Vec<_> = everybody.iter().map(|(_, binding)| delete(cluster, kind, binding)).collect();
        let finding = Finding::wrong(AREA, CHECK, format!("as good as everybody may read {what}"));
        let finding = finding.list(everybody.into_iter().map(|(line, _)| line));
        findings.push(mends.into_iter().take(3).fold(finding, Finding::mend));
    }
    if others.is_empty() {
        if findings.is_empty() {
            findings.push(Finding::good(
                AREA,
                CHECK,
                format!("nobody but Kubernetes itself and the controller may read {what}"),
            ));
        }
    } else {
        findings.push(
            Finding::note(AREA, CHECK, format!("these may read {what}; look whether each of them has to"))
                .list(others)
                .mend(format!("kubectl --context {} get {kind}s -A -o wide", cluster.context())),
        );
    }
    findings
}

fn delete(cluster: &Cluster, kind: &str, binding: &str) -> String {
    let namespace = if kind == "rolebinding" { format!(" -n {}", cluster.namespace()) } else { String::new() };
    format!("kubectl --context {} delete {kind} {binding}{namespace}", cluster.context())
}

fn name_of(subject: &Subject) -> String {
    match &subject.namespace {
        Some(namespace) => format!("{} {namespace}/{}", subject.kind, subject.name),
        None => format!("{} {}", subject.kind, subject.name),
    }
}

fn is_everybody(subject: &Subject) -> bool {
    let group = EVERYBODY.contains(&subject.name.as_str()) || subject.name.starts_with("system:serviceaccounts:");
    match subject.kind.as_str() {
        "ServiceAccount" => subject.name == "default",
        _ => group,
    }
}

/// The parts of Kubernetes that have to, whoever holds the administrator's certificate, and the controller.
fn is_expected(cluster: &Cluster, subject: &Subject) -> bool {
    let ours = subject.kind == "ServiceAccount"
        && subject.name == OURS
        && subject.namespace.as_deref() == Some(cluster.namespace());
    let system = subject.kind == "ServiceAccount" && subject.namespace.as_deref() == Some("kube-system");
    ours || system || (subject.kind != "ServiceAccount" && subject.name.starts_with("system:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(group: &str, resource: &str, verb: &str, name: Option<&str>) -> PolicyRule {
        PolicyRule {
            api_groups: Some(vec![group.to_owned()]),
            resources: Some(vec![resource.to_owned()]),
            verbs: vec![verb.to_owned()],
            resource_names: name.map(|name| vec![name.to_owned()]),
            ..PolicyRule::default()
        }
    }

    #[test]
    fn a_rule_reads_secrets_if_it_shows_any_of_them() {
        for (group, resource, verb) in [
            ("", "secrets", "get"),
            ("", "secrets", "watch"),
            ("*", "*", "*"),
            ("", "*", "list"),
            ("*", "secrets", "*"),
        ] {
            assert!(reads_secrets(&[rule(group, resource, verb, None)]), "{group}/{resource} {verb}");
        }
        for (group, resource, verb) in
            [("apps", "secrets", "get"), ("", "configmaps", "*"), ("", "secrets", "create"), ("apps", "*", "*")]
        {
            assert!(!reads_secrets(&[rule(group, resource, verb, None)]), "{group}/{resource} {verb}");
        }
        assert!(!reads_secrets(&[rule("", "secrets", "get", Some("one"))]));
        assert!(!reads_secrets(&[]));
    }

    #[test]
    fn everybody_has_several_names() {
        let subject =
            |kind: &str, name: &str| Subject { kind: kind.to_owned(), name: name.to_owned(), ..Subject::default() };
        for (kind, name) in [
            ("Group", "system:authenticated"),
            ("Group", "system:serviceaccounts:a"),
            ("User", "system:anonymous"),
            ("ServiceAccount", "default"),
        ] {
            assert!(is_everybody(&subject(kind, name)), "{name}");
        }
        for (kind, name) in [("Group", "system:masters"), ("User", "ann"), ("ServiceAccount", "system:authenticated")] {
            assert!(!is_everybody(&subject(kind, name)), "{name}");
        }
    }
}
