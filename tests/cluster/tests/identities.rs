//! The identities of a cluster on a real API server: who makes them, which one is published, and what nobody is led to
//! seal for.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::Duration;

use ageseal::api::{
    ANNOTATION_CURRENT, BACKUP_KEY, BACKUP_PREFIX, CLI_FIELD_MANAGER, FIELD_MANAGER, IDENTITY_KEY, LABEL_BACKUP,
    LABEL_IDENTITY, Published, RECIPIENTS_CONFIGMAP, SealedSecret,
};
use ageseal::recipient::{Identity, Recipient, RecipientId};
use ageseal_cluster::{ControlPlane, Controller, ControllerOptions, Namespace, eventually, sealed};
use ageseal_testkit::{Command, Scratch, age};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota, Secret};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use rand_core::OsRng;
use serde_json::{Value, json};

/// Long enough for a machine that does much else.
const SOON: Duration = Duration::from_secs(60);
/// What is promised for a change that a watch brings.
const PROMISED: Duration = Duration::from_secs(5);
/// Long enough for what must not happen to happen.
const A_WHILE: Duration = Duration::from_secs(3);

/// The namespaces of one controller, and what is in its own.
struct Place {
    plane: &'static ControlPlane,
    system: Namespace,
    served: Namespace,
    secrets: Api<Secret>,
    maps: Api<ConfigMap>,
}

/// An identity Secret as a test looks at it: name, label, annotation.
type Seen = (String, String, Option<String>);

impl Place {
    async fn new(prefix: &str) -> Self {
        let plane = ControlPlane::shared();
        let system = plane.namespace(&format!("{prefix}-system")).await;
        let served = plane.namespace(prefix).await;
        let client = plane.client().await;
        let secrets = Api::namespaced(client.clone(), system.name());
        let maps = Api::namespaced(client, system.name());
        Self { plane, system, served, secrets, maps }
    }

    fn start(&self, args: &[&str]) -> Controller {
        let options = ControllerOptions {
            system: self.system.name().to_owned(),
            namespaces: vec![self.served.name().to_owned()],
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..ControllerOptions::default()
        };
        Controller::start(self.plane, options)
    }

    async fn ready(&self, args: &[&str]) -> Controller {
        let controller = self.start(args);
        controller.ready().await;
        controller
    }

    async fn identities(&self) -> Vec<Seen> {
        let secrets = self.secrets.list(&ListParams::default().labels(LABEL_IDENTITY)).await.unwrap().items;
        let seen = secrets.into_iter().map(|secret| {
            let annotation = secret.metadata.annotations.unwrap_or_default().remove(ANNOTATION_CURRENT);
            let label = secret.metadata.labels.unwrap()[LABEL_IDENTITY].clone();
            (secret.metadata.name.unwrap(), label, annotation)
        });
        seen.collect()
    }

    async fn published(&self) -> Option<Published> {
        let map = self.maps.get_opt(RECIPIENTS_CONFIGMAP).await.unwrap()?;
        Published::from_data(&map.data?).ok()
    }

    /// Waits until that is what is published, to the byte.
    async fn publishes(&self, what: &str, published: &Published) {
        eventually(PROMISED, what, || async {
            let map = self.maps.get_opt(RECIPIENTS_CONFIGMAP).await.unwrap().ok_or("no ConfigMap".to_owned())?;
            let mended = map.data.as_ref() == Some(&published.to_data()) && map.binary_data.is_none();
            if mended { Ok(()) } else { Err(format!("{:?}", map.data)) }
        })
        .await;
    }

    /// Waits until another recipient is published.
    async fn publishes_serial(&self, serial: u64) -> Published {
        eventually(SOON, "another recipient is published", || async {
            self.published().await.filter(|published| published.serial >= serial).ok_or("not yet")
        })
        .await
    }

    /// Waits until an identity Secret looks like this.
    async fn sees(&self, name: &str, label: &str, annotation: Option<String>) {
        let wanted = (name.to_owned(), label.to_owned(), annotation);
        eventually(PROMISED, &format!("{wanted:?}"), || async {
            let seen = self.identities().await;
            if seen.contains(&wanted) { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .await;
    }

    /// Puts an identity Secret there; one with an annotation as `ageseal keys` does it, else by hand.
    async fn bring(&self, name: &str, label: &str, annotation: Option<&str>, identities: &[&Identity]) {
        let texts = identities.iter().map(|identity| format!("{}\n", *identity.to_secret_string().unwrap()));
        self.bring_text(name, label, annotation, texts.collect::<String>().as_bytes()).await;
    }

    async fn bring_text(&self, name: &str, label: &str, annotation: Option<&str>, text: &[u8]) {
        let annotations = annotation.map(|text| [(ANNOTATION_CURRENT.to_owned(), text.to_owned())].into());
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some([(LABEL_IDENTITY.to_owned(), label.to_owned())].into()),
                annotations,
                ..ObjectMeta::default()
            },
            data: Some([("some.key".to_owned(), ByteString(text.to_vec()))].into()),
            ..Secret::default()
        };
        let field_manager = annotation.map(|_| CLI_FIELD_MANAGER.to_owned());
        self.secrets.create(&PostParams { field_manager, ..PostParams::default() }, &secret).await.unwrap();
    }

    /// What `keys promote` does.
    async fn promote(&self, name: &str, mark: &str) {
        let patch =
            json!({"metadata": {"labels": {LABEL_IDENTITY: "current"}, "annotations": {ANNOTATION_CURRENT: mark}}});
        self.secrets.patch(name, &PatchParams::apply(CLI_FIELD_MANAGER), &Patch::Merge(patch)).await.unwrap();
    }

    async fn relabel(&self, name: &str, label: &str) {
        let patch = json!({"metadata": {"labels": {LABEL_IDENTITY: label}}});
        self.secrets.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Forbids, or allows again, that objects of this kind are made in the controller's namespace.
    async fn forbid(&self, what: &str) -> Api<ResourceQuota> {
        let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {what: "0"}}});
        let quota: ResourceQuota = serde_json::from_value(quota).unwrap();
        let quotas: Api<ResourceQuota> = Api::namespaced(self.plane.client().await, self.system.name());
        quotas.create(&PostParams::default(), &quota).await.unwrap();
        eventually(SOON, "the quota holds", || async {
            quotas.get("none").await.unwrap().status.and_then(|status| status.hard).ok_or("no status")
        })
        .await;
        quotas
    }

    async fn take_away(&self, name: &str) {
        self.secrets.delete(name, &DeleteParams::default()).await.unwrap();
    }

    async fn edit_map(&self, patch: Value) {
        self.maps.patch(RECIPIENTS_CONFIGMAP, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Puts a document there whose one value is sealed for this recipient, and gives its name.
    async fn document(&self, name: &str, recipient: &Recipient) {
        let document = sealed::document(self.served.name(), name).value("key", name).seal_for(&[recipient]);
        let documents: Api<SealedSecret> = Api::namespaced(self.plane.client().await, self.served.name());
        documents.create(&PostParams::default(), &document).await.unwrap();
    }

    /// Waits until the Secret of a document is there.
    async fn opens(&self, name: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.plane.client().await, self.served.name());
        eventually(PROMISED, &format!("document {name} opens"), || async {
            secrets.get_opt(name).await.unwrap().ok_or("no Secret")
        })
        .await;
    }

    /// Whether an id occurs in anything that anybody wrote into a ConfigMap of the controller's namespace.
    fn was_ever_written(&self, id: RecipientId) -> bool {
        let place = format!("/namespaces/{}/configmaps", self.system.name());
        let text = self.plane.audit_text();
        text.lines().any(|line| line.contains(&place) && line.contains(&id.to_string()))
    }
}

fn hybrid() -> Identity {
    Identity::generate_hybrid(&mut OsRng)
}

fn id(identity: &Identity) -> RecipientId {
    identity.recipient().unwrap().id()
}

/// Waits until `/readyz` refuses with a text that has all of these words.
async fn refuses(controller: &Controller, words: &[&str]) {
    eventually(PROMISED, &format!("not ready: {words:?}"), || async {
        let (code, text) = controller.get("/readyz").await.map_err(|e| e.to_string())?;
        let said = code != 200 && words.iter().all(|word| text.contains(word));
        if said { Ok(()) } else { Err(format!("{code} {text}")) }
    })
    .await;
}

/// The ids that the metrics show as being at hand.
async fn at_hand(controller: &Controller) -> BTreeSet<String> {
    let prefix = "ageseal_identity_created_timestamp_seconds{identity=\"";
    let metrics = controller.metrics().await;
    metrics.lines().filter_map(|line| Some(line.strip_prefix(prefix)?.split('"').next()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_identity_is_made_once_by_one_of_two_replicas() {
    let place = Place::new("first").await;
    let (one, two) = (place.start(&[]), place.start(&[]));
    tokio::join!(one.ready(), two.ready());
    let published = place.published().await.unwrap();
    assert_eq!((published.serial, published.older.len()), (1, 0));
    assert!(published.current.recipient.starts_with("age1pq1"), "{}", published.current.recipient);
    let mark = format!("1.{}", published.current.id);
    let only = ("ageseal-identity-1".to_owned(), "current".to_owned(), Some(mark));
    assert_eq!(place.identities().await, [only]);

    let secret = place.secrets.get("ageseal-identity-1").await.unwrap();
    assert_eq!(secret.immutable, Some(true));
    let file = String::from_utf8(secret.data.unwrap().remove(IDENTITY_KEY).unwrap().0).unwrap();
    let identity: Identity = file.lines().find(|line| !line.starts_with('#')).unwrap().parse().unwrap();
    assert_eq!(id(&identity).to_string(), published.current.id);
    // The private key is in the Secret and nowhere else that can be read.
    let key = &file.lines().last().unwrap()[20..];
    for log in [one.log(), two.log(), place.plane.audit_text()] {
        assert!(!log.contains(key));
    }
    // It was made by a create, and by one.
    let made = eventually(SOON, "the audit log has the create", || async {
        let made = place.plane.audit().into_iter().filter(|event| {
            let mine = event.resource == "secrets" && event.namespace == place.system.name();
            mine && ["create", "update"].contains(&event.verb.as_str()) && event.code < 300
        });
        let made = made.count();
        if made > 0 { Ok(made) } else { Err("not yet") }
    })
    .await;
    assert_eq!(made, 1);
    // A leader that comes later makes no other.
    one.kill();
    two.kill();
    let again = place.ready(&[]).await;
    assert_eq!(place.published().await, Some(published));
    assert_eq!(place.identities().await.len(), 1);
    drop(again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_a_stranger_took_is_left_alone() {
    let place = Place::new("taken").await;
    let stranger = Secret {
        metadata: ObjectMeta { name: Some("ageseal-identity-1".to_owned()), ..ObjectMeta::default() },
        data: Some([("a".to_owned(), ByteString(b"b".to_vec()))].into()),
        ..Secret::default()
    };
    let stranger = place.secrets.create(&PostParams::default(), &stranger).await.unwrap();
    let _controller = place.ready(&[]).await;
    assert_eq!(place.published().await.unwrap().serial, 2);
    assert_eq!(place.secrets.get("ageseal-identity-1").await.unwrap(), stranger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_publishes_anew_and_the_old_ones_go_on_opening() {
    let place = Place::new("renewal").await;
    let controller = place.ready(&["--renew-every=3s"]).await;
    let first = place.publishes_serial(1).await;
    let recipient: Recipient = first.current.recipient.parse().unwrap();
    place.document("before", &recipient).await;
    place.opens("before").await;
    let third = place.publishes_serial(3).await;
    assert!(third.older.iter().any(|entry| entry.id == first.current.id), "{third:?}");
    // Sealed for a recipient that is no longer current: it opens all the same.
    place.document("after", &recipient).await;
    place.opens("after").await;
    // Whoever leads next, without a renewal: one is current, the others are active, and each has its own serial.
    assert!(controller.terminate().await.success());
    let _controller = place.ready(&[]).await;
    let published = place.published().await.unwrap();
    place
        .sees(
            &format!("ageseal-identity-{}", published.serial),
            "current",
            Some(format!("{}.{}", published.serial, published.current.id)),
        )
        .await;
    let identities = place.identities().await;
    let count = |label: &str| identities.iter().filter(|(_, is, _)| is == label).count();
    assert_eq!((count("current"), count("active")), (1, identities.len() - 1));
    assert_eq!(published.older.len(), identities.len() - 1);
    let newest_first: Vec<_> = published.older.iter().map(|entry| entry.since.clone()).collect();
    assert!(newest_first.is_sorted_by(|one, next| one >= next), "{newest_first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_there_before_the_recipient_and_opens_with_age() {
    let place = Place::new("backup").await;
    let keeper = hybrid();
    let flag = format!("--backup-recipient={}", keeper.recipient().unwrap());
    let controller = place.ready(&[&flag]).await;
    let published = place.published().await.unwrap();
    let name = format!("{BACKUP_PREFIX}{}", published.current.id);
    let backup = place.maps.get(&name).await.unwrap();
    assert_eq!(backup.metadata.labels.unwrap()[LABEL_BACKUP], published.current.id);

    let scratch = Scratch::new();
    let key = scratch.write("keeper.txt", keeper.to_secret_string().unwrap().as_bytes());
    let backup = backup.data.unwrap().remove(BACKUP_KEY).unwrap();
    let opened = Command::new(age()).args(["-d", "-i"]).arg(&key).stdin(&backup).run().expect_success();
    let opened = String::from_utf8(opened).unwrap();
    let identity: Identity = opened.lines().find(|line| !line.starts_with('#')).unwrap().parse().unwrap();
    assert_eq!(id(&identity).to_string(), published.current.id);
    assert!(opened.contains(&format!("# public key: {}", published.current.recipient)));

    // The audit log has the order.
    let order = eventually(SOON, "the audit log has all three writes", || async {
        let events = place.plane.audit();
        let at = |verb: &str, resource: &str, name: &str| {
            let wanted = |event: &&ageseal_cluster::AuditEvent| {
                event.namespace == place.system.name()
                    && (event.verb.as_str(), event.resource.as_str(), event.name.as_str()) == (verb, resource, name)
                    && event.code < 300
            };
            events.iter().position(|event| wanted(&event)).ok_or(format!("no {verb} of {resource} {name}"))
        };
        let secret = at("create", "secrets", "ageseal-identity-1")?;
        Ok::<_, String>([at("create", "configmaps", &name)?, secret, at("patch", "configmaps", RECIPIENTS_CONFIGMAP)?])
    })
    .await;
    assert!(order.is_sorted(), "{order:?}");

    // Deleted, it is written again; and what is no backup is replaced.
    place.maps.delete(&name, &DeleteParams::default()).await.unwrap();
    let is_backup = |text: Option<&String>| text.is_some_and(|text| ageseal::envelope::inspect(text).is_ok());
    let there = || async {
        let map = place.maps.get_opt(&name).await.unwrap().ok_or("no backup")?;
        if is_backup(map.data.unwrap_or_default().get(BACKUP_KEY)) { Ok(()) } else { Err("not a backup") }
    };
    eventually(PROMISED, "the backup is written again", there).await;
    let patch = Patch::Merge(json!({"data": {BACKUP_KEY: "nothing"}}));
    place.maps.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    eventually(PROMISED, "the backup is mended", there).await;
    drop(controller);

    // A backup that a quantum computer opens would undo the identity in it.
    let classic = Identity::generate_x25519();
    let refused = place.start(&[&format!("--backup-recipient={}", classic.recipient().unwrap())]);
    assert!(!refused.wait().await.success());
    assert!(refused.log().contains("classic"), "{}", refused.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_identity_is_tried_again_and_leaves_one_backup() {
    let place = Place::new("quota").await;
    let quotas = place.forbid("count/secrets").await;
    let keeper = hybrid();
    let controller = place.start(&[&format!("--backup-recipient={}", keeper.recipient().unwrap())]);
    eventually(SOON, "it was refused three times", || async {
        let refused = controller.log().matches("403").count();
        if refused >= 3 { Ok(()) } else { Err(controller.log()) }
    })
    .await;
    assert_eq!(place.identities().await, []);
    quotas.delete("none", &DeleteParams::default()).await.unwrap();
    controller.ready().await;
    let backups = place.maps.list(&ListParams::default().labels(LABEL_BACKUP)).await.unwrap().items;
    let ids: Vec<_> = backups.into_iter().map(|map| map.metadata.labels.unwrap()[LABEL_BACKUP].clone()).collect();
    assert_eq!(ids, [place.published().await.unwrap().current.id]);
    assert!(!controller.log().contains("exceeded quota"), "the API server's words are in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_identity_waits_for_its_backup_and_says_so() {
    let place = Place::new("unsaved").await;
    let quotas = place.forbid("count/configmaps").await;
    let keeper = hybrid();
    let controller = place.start(&[&format!("--backup-recipient={}", keeper.recipient().unwrap())]);
    refuses(&controller, &["nothing is published yet", "cannot be written", "ConfigMap ageseal-backup-r"]).await;
    let metrics = controller.metrics().await;
    assert!(metrics.contains("\nageseal_identity_state{state=\"unsaved\"} 1\n"), "{metrics}");
    assert!(metrics.contains("\nageseal_identity_problems{reason=\"IdentityUnsaved\"} 1\n"), "{metrics}");
    assert_eq!((place.identities().await, place.published().await), (vec![], None));
    quotas.delete("none", &DeleteParams::default()).await.unwrap();
    controller.ready().await;
    let metrics = controller.metrics().await;
    assert!(metrics.contains("\nageseal_identity_problems{reason=\"IdentityUnsaved\"} 0\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_a_backup_from_being_written_keeps_no_recipient_published() {
    let place = Place::new("blocked").await;
    let keeper = hybrid();
    let flag = format!("--backup-recipient={}", keeper.recipient().unwrap());
    let controller = place.ready(&[&flag]).await;
    let good = place.published().await.unwrap();
    let name = format!("{BACKUP_PREFIX}{}", good.current.id);
    let foreign = hybrid();
    let mut forged = good.clone();
    forged.current.id = id(&foreign).to_string();
    forged.current.recipient = foreign.recipient().unwrap().canonical().to_owned();

    // Something else stands in its place, and nobody can change it; the controller may not delete it.
    let garbage = ConfigMap {
        metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
        data: Some([(BACKUP_KEY.to_owned(), "nothing".to_owned())].into()),
        immutable: Some(true),
        ..ConfigMap::default()
    };
    // The controller is quick: somebody has to be quicker.
    eventually(SOON, "something else is in the place of the backup", || async {
        let _ = place.maps.delete(&name, &DeleteParams::default()).await;
        place.maps.create(&PostParams::default(), &garbage).await
    })
    .await;
    let problems = |count: u32| format!("\nageseal_identity_problems{{reason=\"IdentityUnsaved\"}} {count}\n");
    let tells = |count| {
        let (controller, wanted) = (&controller, problems(count));
        async move {
            eventually(SOON, &wanted, || async {
                let metrics = controller.metrics().await;
                if metrics.contains(&wanted) { Ok(()) } else { Err(metrics) }
            })
            .await;
        }
    };
    tells(1).await;
    for round in ["at once", "after some retries"] {
        place.edit_map(json!({"data": forged.to_data()})).await;
        place.publishes(&format!("mended {round}"), &good).await;
        tokio::time::sleep(A_WHILE).await;
    }
    assert_eq!(controller.get("/readyz").await.unwrap().0, 200);
    assert!(controller.log().contains("IdentityUnsaved"), "{}", controller.log());
    // A leader without a memory does the same.
    controller.kill();
    place.edit_map(json!({"data": forged.to_data()})).await;
    let controller = place.ready(&[&flag]).await;
    place.publishes("mended after a start", &good).await;
    // The other way: there is no backup, and no room for one.
    let quotas = place.forbid("count/configmaps").await;
    place.maps.delete(&name, &DeleteParams::default()).await.unwrap();
    place.edit_map(json!({"data": forged.to_data()})).await;
    place.publishes("mended without room for the backup", &good).await;
    quotas.delete("none", &DeleteParams::default()).await.unwrap();
    eventually(SOON, "the backup is written again", || async { place.maps.get_opt(&name).await.unwrap() }).await;
    drop(controller);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_of_another_cluster_opens_and_is_never_published() {
    let (place, origin) = (Place::new("copied").await, Place::new("origin").await);
    let other = origin.ready(&["--renew-every=2s"]).await;
    let elsewhere = origin.publishes_serial(3).await;
    other.kill();
    let controller = place.ready(&[]).await;
    let published = place.published().await.unwrap();

    // As people do it: get, take out what only the other one has, apply.
    let secrets = origin.secrets.list(&ListParams::default().labels(LABEL_IDENTITY)).await.unwrap().items;
    let copy_of = |serial: u64| {
        let name = format!("ageseal-identity-{serial}");
        let mut copy = secrets.iter().find(|secret| secret.metadata.name.as_ref() == Some(&name)).unwrap().clone();
        let annotations = copy.metadata.annotations.take();
        let mark = annotations.as_ref().unwrap()[ANNOTATION_CURRENT].clone();
        let managers = copy.metadata.managed_fields.take().unwrap();
        copy.metadata = ObjectMeta {
            name: Some(format!("copied-{serial}")),
            labels: Some([(LABEL_IDENTITY.to_owned(), "current".to_owned())].into()),
            annotations,
            ..ObjectMeta::default()
        };
        (copy, mark, managers)
    };
    let (copy, mark, _) = copy_of(elsewhere.serial);
    let by_kubectl = copy.metadata.name.clone().unwrap();
    let apply = place.plane.kubectl_command().args(["apply", "-n", place.system.name(), "-f", "-"]);
    let _ = apply.stdin(serde_json::to_string(&copy).unwrap()).run().expect_success();
    place.sees(&by_kubectl, "active", Some(mark)).await;
    // As Velero does it: made anew, and given the field managers of the original with their times.
    let (copy, mark, mut managers) = copy_of(elsewhere.serial - 1);
    let by_velero = copy.metadata.name.clone().unwrap();
    let velero = PostParams { field_manager: Some("velero-server".to_owned()), ..PostParams::default() };
    place.secrets.create(&velero, &copy).await.unwrap();
    place.sees(&by_velero, "active", Some(mark.clone())).await;
    for time in managers.iter_mut().filter_map(|entry| entry.time.as_mut()) {
        time.0 -= Duration::from_secs(24 * 60 * 60);
    }
    let patch = json!({"metadata": {"managedFields": managers, "labels": {LABEL_IDENTITY: "current"}}});
    let params = PatchParams { field_manager: Some("velero-server".to_owned()), ..PatchParams::default() };
    let restored = place.secrets.patch(&by_velero, &params, &Patch::Merge(patch)).await.unwrap();
    let by_ours = restored.metadata.managed_fields.unwrap().into_iter().any(|entry| {
        let fields = entry.fields_v1.map(|fields| fields.0.to_string()).unwrap_or_default();
        entry.manager.as_deref() == Some(FIELD_MANAGER) && fields.contains(ANNOTATION_CURRENT)
    });
    assert!(by_ours, "the copy does not look like one of Velero");
    place.sees(&by_velero, "active", Some(mark)).await;

    assert!(controller.log().contains("IdentityCopied"), "{}", controller.log());
    place.document("copied", &elsewhere.current.recipient.parse().unwrap()).await;
    place.opens("copied").await;
    controller.kill();
    let controller = place.ready(&[]).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(place.published().await, Some(published));
    for entry in elsewhere.all() {
        assert!(!place.was_ever_written(entry.recipient_id().unwrap()), "{} was published", entry.id);
    }
    // Unless somebody means it.
    let next = elsewhere.serial + 1;
    place.promote(&by_kubectl, &format!("{next}.{}", elsewhere.current.id)).await;
    assert_eq!(place.publishes_serial(next).await.current.id, elsewhere.current.id);
    drop(controller);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_identity_opens_and_is_never_published() {
    let place = Place::new("planted").await;
    let controller = place.ready(&[]).await;
    let published = place.published().await.unwrap();
    let mark = format!("1.{}", published.current.id);
    let (bare, copied, inflated) = (hybrid(), hybrid(), hybrid());
    place.bring("a-bare", "current", None, &[&bare]).await;
    place.bring("a-copied", "current", Some(&mark), &[&copied]).await;
    let inflated_mark = format!("9.{}", published.current.id);
    place.bring("a-inflated", "current", Some(&inflated_mark), &[&inflated]).await;
    place.sees("a-bare", "active", None).await;
    place.sees("a-copied", "active", Some(mark.clone())).await;
    place.sees("a-inflated", "active", Some(inflated_mark)).await;
    place.sees("ageseal-identity-1", "current", Some(mark)).await;
    assert!(controller.log().contains("ageseal keys promote"), "{}", controller.log());
    // They open.
    place.document("planted", bare.recipient().unwrap()).await;
    place.opens("planted").await;
    // A new leader is not taken in, either.
    controller.kill();
    let controller = place.ready(&[]).await;
    place.relabel("a-bare", "current").await;
    place.sees("a-bare", "active", None).await;
    assert_eq!(place.published().await, Some(published));
    for planted in [&bare, &copied, &inflated] {
        assert!(!place.was_ever_written(id(planted)), "{} was published", id(planted));
    }
    drop(controller);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_identity_before_the_first_is_not_published_either() {
    let place = Place::new("early").await;
    let planted = hybrid();
    place.bring("early", "current", None, &[&planted]).await;
    let controller = place.start(&[]);
    place.sees("early", "active", None).await;
    refuses(&controller, &["ageseal keys promote", "ageseal keys new"]).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((place.identities().await.len(), place.published().await), (1, None));
    // `keys promote` is a mark and a label.
    place.promote("early", &format!("1.{}", id(&planted))).await;
    controller.ready().await;
    assert_eq!(place.published().await.unwrap().current.id, id(&planted).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_identity_that_is_restored_does_not_stand_in_for_the_one_that_is_lost() {
    let place = Place::new("restored").await;
    let controller = place.ready(&[]).await;
    let first = place.published().await.unwrap();
    let old = place.secrets.get("ageseal-identity-1").await.unwrap();
    // `keys new` is a Secret with a mark.
    let new = hybrid();
    let mark = format!("2.{}", id(&new));
    place.bring("ageseal-identity-2", "current", Some(&mark), &[&new]).await;
    let second = place.publishes_serial(2).await;
    assert_eq!((&second.current.id, &second.older[0].id), (&id(&new).to_string(), &first.current.id));
    place.sees("ageseal-identity-1", "active", Some(format!("1.{}", first.current.id))).await;

    // The new one goes; the old one comes back as it was when it was current.
    place.take_away("ageseal-identity-2").await;
    place.take_away("ageseal-identity-1").await;
    let metadata = ObjectMeta {
        name: old.metadata.name.clone(),
        labels: old.metadata.labels.clone(),
        annotations: old.metadata.annotations.clone(),
        ..ObjectMeta::default()
    };
    assert_eq!(metadata.labels.as_ref().unwrap()[LABEL_IDENTITY], "current");
    place.secrets.create(&PostParams::default(), &Secret { metadata, ..old }).await.unwrap();
    let lost = ["IdentityLost", &id(&new).to_string(), "ageseal keys restore FILE", "ageseal keys new"];
    refuses(&controller, &lost).await;
    assert!(controller.log().contains("ageseal keys restore FILE"), "{}", controller.log());
    // It opens.
    place.document("old", &first.current.recipient.parse().unwrap()).await;
    place.opens("old").await;
    // Neither the deletion of the ConfigMap nor a look back makes it current again: what was published is put back.
    place.maps.delete(RECIPIENTS_CONFIGMAP, &DeleteParams::default()).await.unwrap();
    let put_back = Published { older: vec![], ..second.clone() };
    place.publishes("put back", &put_back).await;
    controller.kill();
    let controller = place.start(&[]);
    refuses(&controller, &lost).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(place.published().await, Some(put_back));

    // `keys restore` brings it back, active and without a mark: it is current again, and the old one is not.
    place.bring("restored", "active", None, &[&new]).await;
    controller.ready().await;
    place.sees("restored", "current", Some(mark)).await;
    place.sees("ageseal-identity-1", "active", Some(format!("1.{}", first.current.id))).await;
    let published = place.published().await.unwrap();
    assert_eq!((published.serial, published.current), (2, second.current));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_everything_is_ended_by_either_command() {
    let place = Place::new("ended").await;
    let controller = place.ready(&["--renew-every=2s"]).await;
    place.publishes_serial(2).await;
    assert!(controller.terminate().await.success());
    let controller = place.ready(&[]).await;
    let published = place.published().await.unwrap();
    let (serial, id) = (published.serial, published.current.id.clone());
    let mark = format!("{serial}.{id}");
    let current = place.secrets.get(&format!("ageseal-identity-{serial}")).await.unwrap();
    let key = current.data.unwrap().remove(IDENTITY_KEY).unwrap().0;
    let lose_everything = || async {
        place
            .secrets
            .delete_collection(&DeleteParams::default(), &ListParams::default().labels(LABEL_IDENTITY))
            .await?;
        place.maps.delete(RECIPIENTS_CONFIGMAP, &DeleteParams::default()).await.map(drop)
    };

    lose_everything().await.unwrap();
    refuses(&controller, &["IdentityLost", &mark, "ageseal keys restore FILE", "ageseal keys new"]).await;
    let put_back = Published { older: vec![], ..published.clone() };
    place.publishes("put back", &put_back).await;
    // `keys restore --promote`, by somebody who looked for a number before there was one again.
    place.bring_text("restored", "current", Some(&format!("1.{id}")), &key).await;
    controller.ready().await;
    place.sees("restored", "current", Some(mark.clone())).await;
    assert_eq!(place.published().await.unwrap(), put_back);

    // `keys new` takes the number after the one that is published, and it is.
    lose_everything().await.unwrap();
    refuses(&controller, &["IdentityLost", &mark]).await;
    let next = place.publishes_serial(serial).await.serial + 1;
    let new = hybrid();
    let name = format!("ageseal-identity-{next}");
    place.bring(&name, "current", Some(&format!("{next}.{}", self::id(&new))), &[&new]).await;
    controller.ready().await;
    assert_eq!(place.published().await.unwrap().current.id, self::id(&new).to_string());

    // Whoever leads next knows the number.
    lose_everything().await.unwrap();
    place.publishes_serial(next).await;
    controller.kill();
    let controller = place.start(&[]);
    refuses(&controller, &["IdentityLost", &format!("{next}.{}", self::id(&new))]).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(place.identities().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configmap_is_mended() {
    let place = Place::new("mended").await;
    let controller = place.ready(&[]).await;
    let good = place.published().await.unwrap();
    let foreign = hybrid();
    let foreign = foreign.recipient().unwrap();
    let mut other = good.clone();
    (other.current.id, other.current.recipient) = (foreign.id().to_string(), foreign.canonical().to_owned());
    let mut ahead = other.clone();
    ahead.serial = 99;
    for (what, patch) in [
        ("a foreign recipient", json!({"data": other.to_data()})),
        ("a foreign recipient with a higher serial", json!({"data": ahead.to_data()})),
        ("half of it", json!({"data": {"recipients.pub": foreign.canonical()}})),
        ("garbage", json!({"data": {"recipients.json": "{"}})),
        ("nothing", json!({"data": null})),
        ("more", json!({"data": {"more": "text"}, "binaryData": {"bytes": "AAAA"}})),
    ] {
        place.edit_map(patch).await;
        place.publishes(what, &good).await;
    }
    place.maps.delete(RECIPIENTS_CONFIGMAP, &DeleteParams::default()).await.unwrap();
    place.publishes("deleted", &good).await;
    // Immutable and wrong: there is one way left.
    place.edit_map(json!({"immutable": true, "data": other.to_data()})).await;
    place.publishes("immutable", &good).await;
    assert_ne!(place.maps.get(RECIPIENTS_CONFIGMAP).await.unwrap().immutable, Some(true));
    // And held there, so that a deletion alone does not end it.
    let held = json!({"finalizers": ["example.com/stays"]});
    place.edit_map(json!({"immutable": true, "metadata": held, "data": other.to_data()})).await;
    place.publishes("immutable and held", &good).await;
    // And going already.
    place.edit_map(json!({"metadata": held})).await;
    place.maps.delete(RECIPIENTS_CONFIGMAP, &DeleteParams::default()).await.unwrap();
    place.edit_map(json!({"immutable": true, "data": other.to_data()})).await;
    place.publishes("immutable, held and going", &good).await;
    let map = place.maps.get(RECIPIENTS_CONFIGMAP).await.unwrap();
    assert_eq!((map.immutable, map.metadata.finalizers, map.metadata.deletion_timestamp), (None, None, None));
    // So full that there is no room beside what is wrong.
    let file = foreign.canonical();
    let full = "x".repeat(1024 * 1024 - file.len() - "recipients.pub".len() - "full".len());
    place.edit_map(json!({"data": {"recipients.json": null, "recipients.pub": file, "full": full}})).await;
    place.publishes("full", &good).await;
    assert_eq!(controller.get("/readyz").await.unwrap().0, 200);

    // Without a controller nobody mends; the next one does, for what is not ahead of everything that it knows.
    controller.kill();
    place.edit_map(json!({"data": other.to_data()})).await;
    let controller = place.ready(&[]).await;
    let mended = place.published().await.unwrap();
    assert_eq!((mended.serial, &mended.current.recipient), (good.serial, &good.current.recipient));
    controller.kill();
    place.edit_map(json!({"data": ahead.to_data()})).await;
    let controller = place.start(&[]);
    refuses(&controller, &["IdentityLost", &ahead.current.id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_identities_are_gone_none_is_made() {
    let place = Place::new("gone").await;
    let controller = place.ready(&[]).await;
    let published = place.published().await.unwrap();
    let key = place.secrets.get("ageseal-identity-1").await.unwrap().data.unwrap().remove(IDENTITY_KEY).unwrap().0;
    place.document("before", &published.current.recipient.parse().unwrap()).await;
    place.opens("before").await;
    let documents: Api<SealedSecret> = Api::namespaced(place.plane.client().await, place.served.name());
    eventually(SOON, "the status names the identity", || async {
        let status = documents.get("before").await.unwrap().status.ok_or("no status".to_owned())?;
        if status.identities == [published.current.id.clone()] { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;

    place.take_away("ageseal-identity-1").await;
    let lost = ["IdentityLost", "ageseal keys restore FILE", "ageseal keys new"];
    refuses(&controller, &[&lost[..], &[&published.current.id]].concat()).await;
    // Not even when the ConfigMap goes, too: it is put back.
    place.maps.delete(RECIPIENTS_CONFIGMAP, &DeleteParams::default()).await.unwrap();
    place.publishes("put back", &published).await;
    refuses(&controller, &lost).await;
    // And not by a new leader, who has a document as its only witness.
    controller.kill();
    place.maps.delete(RECIPIENTS_CONFIGMAP, &DeleteParams::default()).await.unwrap();
    let controller = place.start(&[]);
    refuses(&controller, &lost).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((place.identities().await, place.published().await), (vec![], None));
    // What was opened stays.
    place.opens("before").await;

    // `keys restore`, and the mark by `keys promote`: there is no ConfigMap left that could vouch for it.
    let mark = format!("1.{}", published.current.id);
    place.bring_text("restored", "current", Some(&mark), &key).await;
    controller.ready().await;
    let again = place.published().await.unwrap();
    assert_eq!((again.serial, &again.current.id), (1, &published.current.id));

    // Gone once more, with the ConfigMap in place: it is enough to bring it back.
    place.take_away("restored").await;
    refuses(&controller, &[&lost[..], &[&published.current.id]].concat()).await;
    place.bring_text("again", "active", None, &key).await;
    controller.ready().await;
    place.sees("again", "current", Some(mark)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_come_and_go_without_a_restart() {
    let place = Place::new("change").await;
    // Leader and standby alike know the identities: whoever leads next opens at once.
    let replicas = [place.start(&[]), place.start(&[])];
    for replica in &replicas {
        replica.ready().await;
    }
    let published = place.published().await.unwrap();
    let (one, two) = (hybrid(), Identity::generate_x25519());
    let (first, second) = (id(&one).to_string(), id(&two).to_string());
    place.document("one", one.recipient().unwrap()).await;
    place.document("two", two.recipient().unwrap()).await;
    let has = |wanted: BTreeSet<String>| {
        let replicas = &replicas;
        async move {
            for replica in replicas {
                eventually(PROMISED, &format!("at hand: {wanted:?}"), || async {
                    let ids = at_hand(replica).await;
                    if ids == wanted { Ok(()) } else { Err(format!("{ids:?}")) }
                })
                .await;
            }
        }
    };
    let own = published.current.id.clone();
    has([own.clone()].into()).await;
    // Two identities in one Secret: both open, and the documents that waited for them at once.
    place.bring("brought", "active", None, &[&one, &two]).await;
    has([own.clone(), first.clone(), second.clone()].into()).await;
    place.opens("one").await;
    place.opens("two").await;
    // The same identity in a second Secret counts once, and outlives the first.
    place.bring("copy", "retired", None, &[&one]).await;
    place.relabel("brought", "retired").await;
    place.take_away("brought").await;
    has([own.clone(), first].into()).await;
    place.take_away("copy").await;
    has([own].into()).await;
    assert_eq!(place.published().await, Some(published), "identities that were never current are not published");
    // What was opened stays.
    place.opens("one").await;
    for replica in &replicas {
        assert_eq!(replica.get("/readyz").await.unwrap().0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_identity_is_named_without_its_content() {
    let place = Place::new("garbage").await;
    let controller = place.ready(&[]).await;
    let good = hybrid();
    let mut text = good.to_secret_string().unwrap().to_string();
    let mistyped = format!("{}{}", &text[..text.len() - 1], if text.ends_with('Q') { 'P' } else { 'Q' });
    text.push_str(&format!("\n{mistyped}\nnot-a-real-password\n"));
    place.bring_text("broken", "active", None, text.as_bytes()).await;
    eventually(PROMISED, "the Secret and its data key are named", || async {
        let log = controller.log();
        let named = ["broken", "some.key", "line 2"].iter().all(|word| log.contains(word));
        if named { Ok(()) } else { Err(log) }
    })
    .await;
    // What opens, opens.
    place.document("good", good.recipient().unwrap()).await;
    place.opens("good").await;
    let said = [controller.log(), controller.metrics().await, place.plane.audit_text()];
    for (text, hidden) in said.iter().flat_map(|text| [(text, "not-a-real-password"), (text, &mistyped[20..60])]) {
        assert!(!text.contains(hidden));
    }
}
