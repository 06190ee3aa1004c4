//! The rights that are shipped, beside those that are used: no more, and no less.

use std::collections::BTreeSet;
use std::fmt;

use ageseal::api::{BACKUP_PREFIX, LABEL_IDENTITY, Published, RECIPIENTS_CONFIGMAP};
use ageseal::recipient::Identity;
use ageseal_cluster::{AuditEvent, ControlPlane, Options, eventually, sealed};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use rand_core::OsRng;
use serde_json::json;

use crate::SOON;
use crate::site::{Expected, Site, names};

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_served_with_exactly_what_their_roles_say() {
    let site = Site::new(ControlPlane::shared(), "exact").await;
    everything(&site, &[], false).await;
    let rights = granted(&site).await;
    assert!(rights.iter().all(|right| right.place != Place::Cluster), "{rights:#?}");
    compare(&site, &rights);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_drift_watch_no_secret_is_listed_but_the_identities() {
    let site = Site::new(ControlPlane::shared(), "unwatched").await;
    everything(&site, &["--no-drift-watch", "--recheck-every=1s"], false).await;
    for event in asked(&site).iter().filter(|event| event.resource == "secrets") {
        let lists = ["list", "watch"].contains(&event.verb.as_str());
        assert!(!lists || event.namespace == site.system.name(), "{event:?}");
    }
    compare(&site, &granted(&site).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_served_with_exactly_what_its_roles_say() {
    for args in [&[][..], &["--no-drift-watch", "--recheck-every=1s"]] {
        // A cluster each: documents that were opened by an identity of another controller would hold this one back.
        let plane = ControlPlane::start(Options::default());
        let site = Site::new(&plane, "whole").await;
        everything(&site, args, true).await;
        compare(&site, &granted(&site).await);
    }
}

/// Where a right holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The controller's own namespace, by a Role there.
    Own,
    /// A namespace that is served, by a Role there.
    Served,
    /// Everywhere, by a ClusterRole.
    Cluster,
}

/// One verb on one resource, as a rule of a Role grants it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    place: Place,
    group: String,
    resource: String,
    verb: String,
    /// The one object that it is for; none is all.
    name: Option<String>,
}

impl fmt::Debug for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, group, resource, verb, name } = self;
        write!(f, "{place:?}: {verb} {resource}.{group} {}", name.as_deref().unwrap_or("*"))
    }
}

impl Right {
    /// Whether it lets a request through.
    fn covers(&self, site: &Site<'_>, event: &AuditEvent) -> bool {
        let place = match self.place {
            Place::Own => event.namespace == site.system.name(),
            Place::Served => event.namespace == site.namespace.name(),
            Place::Cluster => true,
        };
        let resource = match event.subresource.as_str() {
            "" => event.resource.clone(),
            subresource => format!("{}/{subresource}", event.resource),
        };
        place
            && self.group == event.group
            && self.resource == resource
            && self.verb == event.verb
            && self.name.as_ref().is_none_or(|name| *name == event.name)
    }
}

/// Rights that a scenario of a minute cannot use.
///
/// An event that happened again is written again after ten minutes.
fn waits_longer(right: &Right) -> bool {
    (right.group.as_str(), right.verb.as_str()) == ("events.k8s.io", "patch")
}

/// What the controllers of a site asked for. An apply that made an object used the right to create beside that to patch.
fn asked(site: &Site<'_>) -> Vec<AuditEvent> {
    let mut events = site.asked("");
    events.retain(|event| !event.resource.is_empty());
    let made = events.iter().filter(|event| event.verb == "patch" && event.code == 201);
    let made: Vec<_> = made.map(|event| AuditEvent { verb: "create".to_owned(), ..event.clone() }).collect();
    events.extend(made);
    events
}

/// Holds what was asked for against what is granted.
#[track_caller]
fn compare(site: &Site<'_>, granted: &BTreeSet<Right>) {
    let asked = asked(site);
    assert!(granted.len() > 20 && asked.len() > 100, "{} rights, {} requests", granted.len(), asked.len());
    // By the narrowest right that lets it through.
    let by = |event: &AuditEvent| granted.iter().find(|right| right.covers(site, event));
    let beyond: Vec<_> = asked.iter().filter(|event| event.code == 403 || by(event).is_none()).collect();
    assert!(beyond.is_empty(), "asked for, and not granted: {beyond:#?}");
    let used: BTreeSet<_> = asked.iter().filter_map(by).collect();
    let idle: Vec<_> = granted.iter().filter(|right| !used.contains(right) && !waits_longer(right)).collect();
    assert!(idle.is_empty(), "granted, and never asked for: {idle:#?}");
}

/// The rights of the ServiceAccount, as the API server has them.
async fn granted(site: &Site<'_>) -> BTreeSet<Right> {
    let account = site.user();
    let is_it = |subjects: &Option<Vec<Subject>>| {
        subjects.iter().flatten().any(|subject| {
            let namespace = subject.namespace.as_deref().unwrap_or_default();
            subject.kind == "ServiceAccount" && account == format!("system:serviceaccount:{namespace}:{}", subject.name)
        })
    };
    let all = ListParams::default();
    let mut rights = BTreeSet::new();
    for (place, namespace) in [(Place::Own, &site.system), (Place::Served, &site.namespace)] {
        let roles = Api::<Role>::namespaced(site.client.clone(), namespace.name());
        let bindings = Api::<RoleBinding>::namespaced(site.client.clone(), namespace.name());
        for binding in bindings.list(&all).await.unwrap().items.iter().filter(|binding| is_it(&binding.subjects)) {
            assert_eq!(binding.role_ref.kind, "Role");
            add(&mut rights, place, roles.get(&name_of(&binding.role_ref)).await.unwrap().rules);
        }
    }
    let roles = Api::<ClusterRole>::all(site.client.clone());
    let bindings = Api::<ClusterRoleBinding>::all(site.client.clone());
    for binding in bindings.list(&all).await.unwrap().items.iter().filter(|binding| is_it(&binding.subjects)) {
        add(&mut rights, Place::Cluster, roles.get(&name_of(&binding.role_ref)).await.unwrap().rules);
    }
    rights
}

fn name_of(role: &RoleRef) -> String {
    role.name.clone()
}

/// Adds what rules grant, taken apart into verbs.
fn add(rights: &mut BTreeSet<Right>, place: Place, rules: Option<Vec<PolicyRule>>) {
    for rule in rules.unwrap_or_default() {
        assert_eq!(rule.non_resource_urls, None);
        let names: Vec<Option<String>> = match rule.resource_names {
            Some(names) if !names.is_empty() => names.into_iter().map(Some).collect(),
            _ => vec![None],
        };
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    assert!(![group, resource, verb].into_iter().any(|word| word == "*"), "{place:?} has a wildcard");
                    let right = |name: &Option<String>| Right {
                        place,
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                        name: name.clone(),
                    };
                    rights.extend(names.iter().map(right));
                }
            }
        }
    }
}

/// Makes a controller do everything that it can do.
async fn everything(site: &Site<'_>, args: &[&str], everywhere: bool) {
    let identities = Api::<Secret>::namespaced(site.client.clone(), site.system.name());
    // The first name for an identity is a stranger's.
    let stranger = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ageseal-identity-1"}});
    identities.create(&PostParams::default(), &serde_json::from_value(stranger).unwrap()).await.unwrap();
    let keeper = Identity::generate_hybrid(&mut OsRng);
    let backup = format!("--backup-recipient={}", keeper.recipient().unwrap());
    let args: Vec<&str> = args.iter().copied().chain([backup.as_str(), "--renew-every=1h"]).collect();
    let controller = if everywhere { site.start_everywhere(&args) } else { site.start(&args) };
    controller.ready().await;
    let recipient = site.recipient().await;
    mend(site).await;

    // Documents of every kind, and one that is at fault.
    let recreate = json!({"immutable": true, "replace": "Recreate"});
    let (plain, fixed, merged) = (names("db", 5, 1), names("fixed", 2, 1), names("merged", 2, 1));
    for name in merged.keys() {
        site.foreign_secret(name).await;
    }
    site.apply(site.sealed(&recipient, &plain, &json!({}))).await.unwrap();
    site.apply(site.sealed(&recipient, &fixed, &recreate)).await.unwrap();
    site.apply(site.sealed(&recipient, &merged, &json!({"mode": "Merge"}))).await.unwrap();
    site.until_opened(SOON, &together([&plain, &fixed, &merged])).await;
    let elsewhere = sealed::document("elsewhere", "stray").value("serial", "1").seal_for(&[&recipient]);
    let mut stray = json!(elsewhere);
    stray["metadata"]["namespace"] = json!(site.namespace.name());
    site.apply(vec![stray]).await.unwrap();
    eventually(SOON, "the stray document is refused", || async {
        let status = site.documents().get("stray").await.map_err(|e| e.to_string())?.status;
        let reasons: Vec<_> = status.iter().flat_map(|status| &status.conditions).map(|c| c.reason.clone()).collect();
        if reasons.iter().any(|reason| reason == "ScopeMismatch") { Ok(()) } else { Err(format!("{reasons:?}")) }
    })
    .await;

    // Changed, deleted by hand, edited by hand, and gone.
    let (fixed, mut plain) = (names("fixed", 2, 2), names("db", 5, 2));
    site.apply(site.sealed(&recipient, &plain, &json!({}))).await.unwrap();
    site.apply(site.sealed(&recipient, &fixed, &recreate)).await.unwrap();
    site.until_opened(SOON, &together([&plain, &fixed])).await;
    site.secrets().delete("db-000", &DeleteParams::default()).await.unwrap();
    let added = Patch::Merge(json!({"stringData": {"serial": "9", "added": "by hand"}}));
    site.secrets().patch("db-001", &PatchParams::default(), &added).await.unwrap();
    eventually(SOON, "what was edited is as it was", || async {
        let secret = site.secrets().get("db-001").await.map_err(|e| e.to_string())?;
        let keys: Vec<_> = secret.data.into_iter().flatten().map(|(key, _)| key).collect();
        if keys == ["name", "serial"] { Ok(()) } else { Err(format!("{keys:?}")) }
    })
    .await;
    site.until_opened(SOON, &plain).await;
    for name in ["db-002", "merged-000"] {
        site.documents().delete(name, &DeleteParams::default()).await.unwrap();
    }
    plain.remove("db-002");
    eventually(SOON, "the keys of a merged document are gone", || async {
        let secret = site.secrets().get("merged-000").await.map_err(|e| e.to_string())?;
        let keys: Vec<_> = secret.data.into_iter().flatten().map(|(key, _)| key).collect();
        if keys == ["theirs"] { Ok(()) } else { Err(format!("{keys:?}")) }
    })
    .await;
    site.until_opened(SOON, &plain).await;
    // The end: what is posted late is posted by then, and the Lease is given back.
    assert!(controller.terminate().await.success());
}

/// What others do to the objects of the controller's own namespace is made good.
async fn mend(site: &Site<'_>) {
    let maps = Api::<ConfigMap>::namespaced(site.client.clone(), site.system.name());
    let published = || async {
        let map = maps.get(RECIPIENTS_CONFIGMAP).await.map_err(|e| e.to_string())?;
        Published::from_data(&map.data.unwrap_or_default()).map_err(|e| e.to_string())
    };
    let good = published().await.unwrap();
    let mut bad = good.clone();
    bad.current.recipient = Identity::generate_hybrid(&mut OsRng).recipient().unwrap().canonical().to_owned();
    let ruin = Patch::Merge(json!({"immutable": true, "data": bad.to_data()}));
    maps.patch(RECIPIENTS_CONFIGMAP, &PatchParams::default(), &ruin).await.unwrap();
    eventually(SOON, "the recipients are mended", || async {
        let now = published().await?;
        if now == good { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    // What is no backup any more is written again over what stands there.
    let backup = format!("{BACKUP_PREFIX}{}", good.current.id);
    let ruin = Patch::Merge(json!({"data": {"identity.age": "nothing"}}));
    maps.patch(&backup, &PatchParams::default(), &ruin).await.unwrap();
    eventually(SOON, "the backup is mended", || async {
        let map = maps.get(&backup).await.map_err(|e| e.to_string())?;
        let text = map.data.unwrap_or_default().remove("identity.age").unwrap_or_default();
        if text == "nothing" { Err("not yet".to_owned()) } else { Ok(()) }
    })
    .await;
    let secrets = Api::<Secret>::namespaced(site.client.clone(), site.system.name());
    let is_current = ListParams::default().labels(&format!("{LABEL_IDENTITY}=current"));
    assert_eq!(secrets.list_metadata(&is_current).await.unwrap().items.len(), 1);
}

fn together<const N: usize>(parts: [&Expected; N]) -> Expected {
    parts.into_iter().flat_map(|part| part.clone()).collect()
}
