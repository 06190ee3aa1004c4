//! The example on a real API server: sealed by the program, built by kustomize, opened by the controller, and every
//! reference of its workloads looked up; then a value changes, and names and references move together.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
// What was looked up is for whoever reads the output.
#![allow(clippy::print_stdout)]

mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use ageseal::api::SealedSecret;
use ageseal::recipient::Identity;
use ageseal_cluster::{ControlPlane, Controller, ControllerOptions, eventually, programs, recipient_of};
use ageseal_testkit::{Command, Outcome, Scratch, copy_tree, kustomize, workspace_root};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use rand_core::OsRng;

use references::{Reference, look_up, of_namespace};

/// Long enough for a machine that does much else.
const SOON: Duration = Duration::from_secs(90);

/// The overlays, and the namespace of each.
const OVERLAYS: [(&str, &str); 2] = [("overlays/prod", "shop-prod"), ("overlays/test", "shop-test")];

/// The Secret that both share, whose name gets a hash.
const SHARED: &str = "base/session.sealed.yaml";

/// A repository with the example in it.
struct Shop {
    repository: Scratch,
    plane: &'static ControlPlane,
}

impl Shop {
    /// Copies the example, with these recipients by name, and seals all of it.
    fn sealed(plane: &'static ControlPlane, recipients: &[(&str, String)]) -> Self {
        let repository = Scratch::new();
        copy_tree(&workspace_root().join("examples/shop"), repository.path());
        fs::remove_dir_all(repository.path().join("system")).unwrap();
        repository.write(".ageseal/policy.yaml", repository.read("policy.example.yaml"));
        for (name, recipient) in recipients {
            repository.write(format!(".ageseal/recipients/{name}.pub"), format!("{recipient}\n"));
        }
        let shop = Self { repository, plane };
        shop.ageseal(&["seal", "."], "");
        for (folder, _) in OVERLAYS.iter().chain(&[("base", ""), ("components/debug", "")]) {
            for entry in fs::read_dir(shop.repository.path().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_str().unwrap().contains(".secret.") {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        shop.ageseal(&["check"], "");
        shop
    }

    /// Runs the program, which has to succeed; gives what it said.
    #[track_caller]
    fn ageseal(&self, args: &[&str], stdin: &str) -> String {
        let mut command = Command::new(programs::ageseal())
            .args(args)
            .stdin(stdin)
            .current_dir(self.repository.path())
            .env("HOME", self.repository.path().join("home"));
        for name in ["XDG_CONFIG_HOME", "AGESEAL_IDENTITY", "AGESEAL_IDENTITY_FILE", "KUBECONFIG"] {
            command = command.env_remove(name);
        }
        good(command.run()).stderr_text()
    }

    /// Builds every overlay with the real kustomize and applies it; gives the names of the sealed documents of each.
    #[track_caller]
    fn apply(&self) -> BTreeMap<&'static str, BTreeSet<String>> {
        let mut all = BTreeMap::new();
        for (folder, namespace) in OVERLAYS {
            let command = Command::new(kustomize()).arg("build").arg(self.repository.path().join(folder));
            let built = good(command.run()).stdout_text();
            self.plane.apply(&built);
            let sealed = built.split("\n---\n").filter(|document| document.contains("kind: SealedSecret\n"));
            let name =
                |document: &str| document.lines().find_map(|line| line.strip_prefix("  name: ")).map(str::to_owned);
            all.insert(namespace, sealed.map(|document| name(document).unwrap()).collect());
        }
        all
    }

    /// Waits until these documents are Ready for their present generation, and gives the Secrets of their namespace.
    async fn until_ready(&self, namespace: &str, names: &BTreeSet<String>) -> BTreeMap<String, Secret> {
        let client = self.plane.client().await;
        let documents = Api::<SealedSecret>::namespaced(client.clone(), namespace);
        eventually(SOON, &format!("every document of {namespace} is Ready"), || async {
            let list = documents.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let ready: BTreeSet<String> =
                list.items.iter().filter(|one| is_ready(one)).filter_map(|one| one.metadata.name.clone()).collect();
            let waiting: Vec<_> = names.difference(&ready).collect();
            if waiting.is_empty() { Ok(()) } else { Err(format!("{waiting:?} of {} documents", list.items.len())) }
        })
        .await;
        let secrets = Api::<Secret>::namespaced(client, namespace).list(&ListParams::default()).await.unwrap();
        secrets.items.into_iter().map(|secret| (secret.metadata.name.clone().unwrap(), secret)).collect()
    }
}

#[track_caller]
fn good(outcome: Outcome) -> Outcome {
    assert!(outcome.success(), "{}\n{}", outcome.stdout_text(), outcome.stderr_text());
    outcome
}

fn is_ready(document: &SealedSecret) -> bool {
    let Some(status) = &document.status else { return false };
    let ready = status.conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
    ready && status.observed_generation == document.metadata.generation
}

fn value(secret: &Secret, key: &str) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap()
}

/// The one Secret with this beginning of a name that is asked for.
#[track_caller]
fn asked_for<'r>(references: &'r [Reference], stem: &str) -> &'r str {
    let named = references.iter().filter(|reference| reference.secret.starts_with(stem));
    let names: BTreeSet<&str> = named.map(|reference| reference.secret.as_str()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names.first().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_is_deployed_and_a_value_moves_names_and_references_together() {
    let plane = ControlPlane::shared();
    let system = plane.namespace("shop-system").await;
    let options = ControllerOptions { system: system.name().to_owned(), ..ControllerOptions::default() };
    let controller = Controller::start(plane, options);
    controller.ready().await;
    let cluster = recipient_of(plane, system.name()).await.canonical().to_owned();
    let recovery = Identity::generate_hybrid(&mut OsRng).recipient().unwrap().canonical().to_owned();
    let shop = Shop::sealed(plane, &[("prod", cluster.clone()), ("test", cluster), ("recovery", recovery)]);

    let first = shop.apply();
    let mut before = BTreeMap::new();
    for (namespace, names) in &first {
        assert!(names.len() >= 10, "{names:?}");
        let secrets = shop.until_ready(namespace, names).await;
        // Every document became the Secret of its name, hashes and prefixes included, and there are no others.
        assert_eq!(&secrets.keys().cloned().collect::<BTreeSet<_>>(), names, "{namespace}");
        let references = of_namespace(plane, namespace);
        let fields: BTreeSet<&str> = references.iter().map(|reference| reference.at.1).collect();
        assert_eq!(fields.len(), 5, "{namespace}: {fields:?}");
        let resolved = look_up(&references, &secrets);
        println!("{namespace}: {} documents, {resolved} of {} references resolve", names.len(), references.len());
        assert!(resolved >= 20, "{namespace}: {resolved}");
        let prefix = if *namespace == "shop-test" { "test-" } else { "" };
        let name = asked_for(&references, &format!("{prefix}session-store-")).to_owned();
        let others: BTreeSet<String> = names.iter().filter(|other| **other != name).cloned().collect();
        before.insert(*namespace, (name.clone(), value(&secrets[&name], "url"), others));
    }
    let wanted = "redis://sessions-2.example.com:6379";
    let said = shop.ageseal(&["set", SHARED, "url"], wanted);
    assert!(said.contains("rolls") && said.contains("shop-prod/session-store-{hash}"), "{said}");
    let second = shop.apply();
    for (namespace, names) in &second {
        let (old, old_value, others) = &before[namespace];
        let secrets = shop.until_ready(namespace, names).await;
        let references = of_namespace(plane, namespace);
        let stem = old.rsplit_once('-').unwrap().0;
        let new = asked_for(&references, &format!("{stem}-"));
        assert!(new != old && new.len() == old.len(), "{namespace}: {old} {new}");
        assert!(names.contains(new) && !names.contains(old), "{namespace}: {names:?}");
        assert_eq!(value(&secrets[new], "url"), wanted, "{namespace}");
        assert_ne!(old_value, wanted);
        // What ran before keeps what it had until somebody prunes; no other name moved.
        assert_eq!(&value(&secrets[old], "url"), old_value, "{namespace}");
        assert_eq!(&names.iter().filter(|name| *name != new).cloned().collect::<BTreeSet<_>>(), others);
        assert!(look_up(&references, &secrets) >= 20);
    }
    // A value that no hash stands for changes in its place.
    let said = shop.ageseal(&["set", "overlays/prod/db.sealed.yaml", "password"], "not-a-real-new-password");
    assert!(!said.contains("rolls"), "{said}");
    assert_eq!(shop.apply(), second);
    let secrets = shop.until_ready("shop-prod", &second["shop-prod"]).await;
    assert_eq!(value(&secrets["db-credentials"], "password"), "not-a-real-new-password");
    drop(controller);
}
