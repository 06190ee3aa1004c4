//! Who may read Secrets: all of the cluster's, and those in the controller's namespace, where the private keys are.

use std::collections::{BTreeMap, BTreeSet};

use ageseal::api::IDENTITY_PREFIX;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::api::ListParams;

use super::finding::{Area, Finding, State};
use crate::cluster::{AskError, Asked, Cluster, identities};

const AREA: Area = Area::Cluster;
const CHECK: &str = "rights";
/// Groups that are everybody, or as good as.
const EVERYBODY: [&str; 4] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:anonymous"];
/// The controller's ServiceAccount.
const OURS: &str = "ageseal-controller";
/// The parts of Kubernetes that are no ServiceAccounts and have to read Secrets, and whoever holds the administrator's
/// certificate. A list, and not everything that begins with `system:`: anybody may be given such a name.
const KUBERNETES: [(&str, &str); 2] = [("Group", "system:masters"), ("User", "system:kube-controller-manager")];
/// What the user name of a ServiceAccount begins with; `NAMESPACE:NAME` follows.
const ACCOUNT: &str = "system:serviceaccount:";
/// The verbs that show a value: `watch` and `list` show all of them, and a patch is answered with the whole Secret.
const READS: [&str; 4] = ["get", "list", "watch", "patch"];
const WRITES: [&str; 3] = ["create", "update", "patch"];
/// Who has one of these in a namespace comes to its Secrets without reading them: by a pod that mounts them, by a pod that
/// has, or as somebody who reads them. Group, resource, verbs.
const DETOURS: [(&str, &[&str], &[&str]); 7] = [
    ("", &["pods", "replicationcontrollers"], &["create"]),
    ("", &["pods/exec", "pods/attach", "pods/ephemeralcontainers"], &["create", "get", "update", "patch"]),
    ("apps", &["deployments", "daemonsets", "statefulsets", "replicasets"], &WRITES),
    ("batch", &["jobs", "cronjobs"], &WRITES),
    ("", &["serviceaccounts/token"], &["create"]),
    ("", &["users", "groups", "serviceaccounts"], &["impersonate"]),
    ("rbac.authorization.k8s.io", &["roles", "clusterroles"], &["bind", "escalate"]),
];

pub(super) fn look(cluster: &Cluster) -> Vec<Finding> {
    match given(cluster) {
        Ok(given) => findings(cluster, &given),
        Err(error) => vec![Finding::refused(CHECK, &error).detail("so who can read Secrets is not known")],
    }
}

/// How far the rules of a role reach, wherever it is bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reach {
    /// Every Secret is read.
    all: bool,
    /// An identity Secret is read by its name.
    named: bool,
    /// Secrets are come by in another way.
    detour: bool,
}

/// Who a role is given to, and through which binding.
#[derive(Clone, Debug)]
struct Given {
    kind: &'static str,
    binding: String,
    role: String,
    subjects: Vec<Subject>,
    reach: Reach,
}

const WIDE: &str = "clusterrolebinding";
const OWN: &str = "rolebinding";

/// Every binding in the cluster or in the controller's namespace whose role reaches a Secret.
fn given(cluster: &Cluster) -> Result<Vec<Given>, AskError> {
    let namespace = cluster.namespace();
    // Without a right to list them, the names that the controller and `keys` give are looked for.
    let secrets: BTreeSet<String> = identities::list(cluster).into_iter().flatten().map(|held| held.secret).collect();
    let is_identity = |name: &str| name.starts_with(IDENTITY_PREFIX) || secrets.contains(name);
    let params = ListParams::default();
    let everywhere = |resource| Asked::new("list", resource);
    let asked = everywhere("clusterroles.rbac.authorization.k8s.io");
    let roles = cluster.ask(&asked, cluster.global::<ClusterRole>().list(&params))?;
    let reaches = |name: Option<String>, rules: Option<Vec<PolicyRule>>| {
        (name.unwrap_or_default(), reach(rules.as_deref().unwrap_or_default(), &is_identity))
    };
    let wide: BTreeMap<String, Reach> =
        roles.items.into_iter().map(|role| reaches(role.metadata.name, role.rules)).collect();
    let asked = everywhere("roles.rbac.authorization.k8s.io").within(namespace);
    let roles = cluster.ask(&asked, cluster.namespaced::<Role>(namespace).list(&params))?;
    let own: BTreeMap<String, Reach> =
        roles.items.into_iter().map(|role| reaches(role.metadata.name, role.rules)).collect();
    let of = |kind, name: Option<String>, role: RoleRef, subjects: Option<Vec<Subject>>| {
        let roles = if role.kind == "ClusterRole" { &wide } else { &own };
        let reach = roles.get(&role.name).copied().unwrap_or_default();
        let subjects = subjects.unwrap_or_default().into_iter().map(plain).collect();
        Given { kind, binding: name.unwrap_or_default(), role: role.name, subjects, reach }
    };
    let asked = everywhere("clusterrolebindings.rbac.authorization.k8s.io");
    let bindings = cluster.ask(&asked, cluster.global::<ClusterRoleBinding>().list(&params))?;
    let bound = bindings.items.into_iter();
    let mut all: Vec<_> =
        bound.map(|binding| of(WIDE, binding.metadata.name, binding.role_ref, binding.subjects)).collect();
    let asked = everywhere("rolebindings.rbac.authorization.k8s.io").within(namespace);
    let bindings = cluster.ask(&asked, cluster.namespaced::<RoleBinding>(namespace).list(&params))?;
    let bound = bindings.items.into_iter();
    all.extend(bound.map(|binding| of(OWN, binding.metadata.name, binding.role_ref, binding.subjects)));
    all.retain(|given| given.reach != Reach::default());
    Ok(all)
}

/// How far rules reach.
fn reach(rules: &[PolicyRule], is_identity: &dyn Fn(&str) -> bool) -> Reach {
    let mut reach = Reach::default();
    for rule in rules {
        let names = rule.resource_names.as_deref().unwrap_or_default();
        if allows(rule, "", &["secrets"], &READS) {
            reach.all |= names.is_empty();
            reach.named |= names.iter().any(|name| is_identity(name));
        }
        // Whom or what exactly they name is not followed.
        reach.detour |= DETOURS.iter().any(|(group, resources, verbs)| allows(rule, group, resources, verbs));
    }
    reach
}

/// Whether a rule has one of these verbs on one of these resources, whatever names it has.
fn allows(rule: &PolicyRule, group: &str, resources: &[&str], verbs: &[&str]) -> bool {
    let any = |list: Option<&Vec<String>>, wanted: &[&str]| {
        list.into_iter().flatten().any(|word| word == "*" || wanted.contains(&word.as_str()))
    };
    // `*/exec` is that part of every resource.
    let part = |wanted: &str| {
        let part = wanted.split_once('/').map(|(_, part)| format!("*/{part}"));
        part.is_some_and(|part| rule.resources.iter().flatten().any(|word| *word == part))
    };
    any(rule.api_groups.as_ref(), &[group])
        && (any(rule.resources.as_ref(), resources) || resources.iter().any(|wanted| part(wanted)))
        && any(Some(&rule.verbs), verbs)
}

/// A subject as what it is: a ServiceAccount may be written as a user.
fn plain(subject: Subject) -> Subject {
    let account = subject.name.strip_prefix(ACCOUNT).filter(|_| subject.kind == "User");
    match account.and_then(|account| account.split_once(':')) {
        Some((namespace, name)) => Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.to_owned(),
            namespace: Some(namespace.to_owned()),
            api_group: None,
        },
        None => subject,
    }
}

fn findings(cluster: &Cluster, given: &[Given]) -> Vec<Finding> {
    let namespace = cluster.namespace();
    let these = |wanted: &dyn Fn(&Given) -> bool| given.iter().filter(|given| wanted(given)).collect::<Vec<_>>();
    let reads = "read";
    let mut findings =
        told(cluster, &these(&|given| given.kind == WIDE && given.reach.all), reads, "every Secret of the cluster");
    let keys = format!("the private keys in {namespace}");
    findings.extend(told(
        cluster,
        // Who reads every Secret of the cluster was named.
        &these(&|given| {
            if given.kind == WIDE {
                given.reach.named && !given.reach.all
            } else {
                given.reach.all || given.reach.named
            }
        }),
        reads,
        &keys,
    ));
    let detours = these(&|given| {
        let reads = given.reach.all || given.reach.named;
        given.reach.detour && !reads
    });
    let way = "come, by pods, tokens, impersonation or roles, to";
    findings.extend(told(cluster, &detours, way, &keys).into_iter().filter(|finding| finding.state != State::Good));
    findings
}

/// Who may, beside those who have to. What is good is that by RBAC: a cluster may have other authorizers.
fn told(cluster: &Cluster, given: &[&Given], may: &str, what: &str) -> Vec<Finding> {
    let mut everybody = vec![];
    let mut others = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for one in given {
        for subject in &one.subjects {
            let line = format!("{}   {} {} → {}", name_of(subject), one.kind, one.binding, one.role);
            if is_everybody(subject) {
                everybody.push((line, *one));
            } else if !is_expected(cluster.namespace(), subject) {
                others.insert(line);
                kinds.insert(one.kind);
            }
        }
    }
    let mut findings = vec![];
    if !everybody.is_empty() {
        let mends: Vec<_> = everybody.iter().map(|(_, given)| delete(cluster, given)).collect();
        let finding = Finding::wrong(AREA, CHECK, format!("as good as everybody may {may} {what}"));
        let finding = finding.list(everybody.into_iter().map(|(line, _)| line));
        findings.push(mends.into_iter().take(3).fold(finding, Finding::mend));
    }
    if others.is_empty() {
        if findings.is_empty() {
            findings.push(Finding::good(
                AREA,
                CHECK,
                format!(
                    "by get, list, watch and patch of RBAC nobody but Kubernetes itself and the controller reads {what}"
                ),
            ));
        }
    } else {
        let finding = Finding::note(AREA, CHECK, format!("these may {may} {what}; look whether each of them has to"));
        let looks = kinds.into_iter().map(|kind| look_at(cluster, kind));
        findings.push(looks.fold(finding.list(others), Finding::mend));
    }
    findings
}

fn place(cluster: &Cluster, kind: &str) -> String {
    if kind == OWN { format!(" -n {}", cluster.namespace()) } else { String::new() }
}

fn look_at(cluster: &Cluster, kind: &str) -> String {
    format!("kubectl --context {} get {kind}s{} -o wide", cluster.context(), place(cluster, kind))
}

fn delete(cluster: &Cluster, given: &Given) -> String {
    let place = place(cluster, given.kind);
    format!("kubectl --context {} delete {} {}{place}", cluster.context(), given.kind, given.binding)
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
fn is_expected(namespace: &str, subject: &Subject) -> bool {
    let place = subject.namespace.as_deref();
    match subject.kind.as_str() {
        "ServiceAccount" => place == Some("kube-system") || (subject.name == OURS && place == Some(namespace)),
        kind => KUBERNETES.contains(&(kind, subject.name.as_str())),
    }
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

    fn reached(rules: &[PolicyRule]) -> Reach {
        reach(rules, &|name| name.starts_with(IDENTITY_PREFIX) || name == "mine")
    }

    fn subject(kind: &str, name: &str, namespace: Option<&str>) -> Subject {
        Subject {
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            api_group: None,
        }
    }

    #[test]
    fn a_rule_reads_secrets_if_it_shows_any_of_them() {
        for (group, resource, verb) in [
            ("", "secrets", "get"),
            ("", "secrets", "watch"),
            ("", "secrets", "patch"),
            ("*", "*", "*"),
            ("", "*", "list"),
            ("*", "secrets", "*"),
        ] {
            assert!(reached(&[rule(group, resource, verb, None)]).all, "{group}/{resource} {verb}");
        }
        for (group, resource, verb) in
            [("apps", "secrets", "get"), ("", "configmaps", "*"), ("", "secrets", "create"), ("apps", "*", "get")]
        {
            assert_eq!(reached(&[rule(group, resource, verb, None)]), Reach::default(), "{group}/{resource} {verb}");
        }
        assert_eq!(reached(&[]), Reach::default());
    }

    #[test]
    fn a_rule_with_a_name_reaches_the_identities_whose_names_are_known() {
        let named = Reach { named: true, ..Reach::default() };
        for name in ["ageseal-identity-1", "mine"] {
            assert_eq!(reached(&[rule("", "secrets", "get", Some(name))]), named, "{name}");
        }
        assert_eq!(reached(&[rule("", "secrets", "get", Some("registry"))]), Reach::default());
    }

    #[test]
    fn there_are_other_ways_to_a_secret_than_to_read_it() {
        let detour = Reach { detour: true, ..Reach::default() };
        for (group, resource, verb) in [
            ("", "pods", "create"),
            ("", "pods/exec", "create"),
            ("", "*/exec", "create"),
            ("apps", "deployments", "patch"),
            ("apps", "*", "*"),
            ("", "serviceaccounts/token", "create"),
            ("", "users", "impersonate"),
            ("rbac.authorization.k8s.io", "clusterroles", "escalate"),
        ] {
            assert_eq!(reached(&[rule(group, resource, verb, None)]), detour, "{group}/{resource} {verb}");
        }
        assert_eq!(reached(&[rule("", "pods", "get", None), rule("", "*/status", "patch", None)]), Reach::default());
        // Impersonation of one is one too.
        assert_eq!(reached(&[rule("", "users", "impersonate", Some("ann"))]), detour);
    }

    #[test]
    fn a_name_that_begins_with_system_is_nobody_that_has_to() {
        let expected = |kind: &str, name: &str, namespace| is_expected("ours", &plain(subject(kind, name, namespace)));
        for (kind, name, namespace) in [
            ("Group", "system:masters", None),
            ("User", "system:kube-controller-manager", None),
            ("User", "system:serviceaccount:kube-system:generic-garbage-collector", None),
            ("ServiceAccount", "namespace-controller", Some("kube-system")),
            ("ServiceAccount", "ageseal-controller", Some("ours")),
            ("User", "system:serviceaccount:ours:ageseal-controller", None),
        ] {
            assert!(expected(kind, name, namespace), "{name}");
        }
        for (kind, name, namespace) in [
            ("User", "system:serviceaccount:tenant:builder", None),
            ("User", "system:serviceaccount:tenant:ageseal-controller", None),
            ("ServiceAccount", "ageseal-controller", Some("tenant")),
            ("User", "system:masters", None),
            ("Group", "system:ops", None),
            ("User", "system:serviceaccount:odd", None),
            ("Group", "system:nodes", None),
        ] {
            assert!(!expected(kind, name, namespace), "{name}");
        }
        let plain = plain(subject("User", "system:serviceaccount:tenant:default", None));
        assert!(is_everybody(&plain));
        assert_eq!(name_of(&plain), "ServiceAccount tenant/default");
    }

    #[test]
    fn everybody_has_several_names() {
        let subject = |kind: &str, name: &str| subject(kind, name, None);
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
