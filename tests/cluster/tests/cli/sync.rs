//! `recipients sync`: what comes into the repository, and what does not without somebody's word.

use std::collections::BTreeMap;

use ageseal::api::{Published, PublishedRecipient, RECIPIENTS_CONFIGMAP};
use ageseal::recipient::Identity;
use serde_json::json;

use crate::place::{Place, documented, identity};

const PUB: &str = ".ageseal/recipients/prod.pub";
const PIN: &str = ".ageseal/clusters/prod.yaml";

fn published(serial: u64, all: &[&Identity]) -> Published {
    let entry =
        |identity: &&Identity| PublishedRecipient::of(identity.recipient().unwrap(), "2026-11-18T10:00:00Z".to_owned());
    let mut all = all.iter().map(entry);
    Published { serial, current: all.next().unwrap(), older: all.collect() }
}

fn id(identity: &Identity) -> String {
    identity.recipient().unwrap().id().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_brought_in_by_name_alone() {
    let place = Place::new("sync").await;
    let _controller = place.controller(&[]).await;
    let first = place.published().await;

    // Nobody to ask, and nothing is written; then it is, and a second time there is nothing to do.
    let before = place.files();
    let _ = place.run(&["recipients", "sync", "prod"]).exit(2).says("there is no terminal to ask").says("--yes");
    let _ = place.run(&["recipients", "sync", "prod", "--dry-run"]).exit(1).says("nothing was written");
    let report = place.json(&["recipients", "sync", "prod"], 1);
    assert_eq!((&report["written"], &report["changed"]), (&json!(false), &json!(true)));
    assert_eq!(place.files(), before);
    let _ = place.run(&["recipients", "sync", "prod", "--yes"]).ok().says("synced").says("reads      prod/**");
    let text = place.repository.read_text(PUB);
    assert!(text.starts_with("# since 20") && text.ends_with(&format!("\n{}\n", first.current.recipient)), "{text}");
    let pin = place.repository.read_text(PIN);
    assert!(
        pin.contains(&format!("current: {}\n", first.current.id))
            && pin.contains("uid: \"")
            && pin.contains("- sha256:"),
        "{pin}"
    );
    let before = place.files();
    let _ = place.run(&["recipients", "sync"]).ok().says("is what the cluster publishes");
    let _ = place.run(&["recipients", "sync", "--yes"]).ok();
    assert_eq!(place.files(), before);

    // The cluster's key is renewed. --yes is not enough, neither is another id or the beginning of this one.
    let new = place.run(&["keys", "new", "--no-backup"]).ok().says("this identity has no backup");
    let new_recipient = new.stdout().trim().to_owned();
    let second = place.published().await;
    assert_eq!((second.serial, second.current.recipient.as_str()), (2, new_recipient.as_str()));
    let accept = second.current.id.as_str();
    for args in [&["--yes"][..], &["--yes", "--accept", &first.current.id], &["--yes", "--accept", &accept[..12]]] {
        let run = place.run(&[&["recipients", "sync"], args].concat()).exit(1);
        let _ = run.says("the current recipient of prod is another than before; nothing was written").says(accept);
        assert_eq!(place.files(), before);
    }
    let report = place.json(&["recipients", "sync", "--yes"], 1);
    assert_eq!((&report["toAccept"], &report["written"]), (&json!([accept]), &json!(false)));
    documented(&report);
    let _ = place.run(&["recipients", "sync", "--yes", "--accept", accept, "--until", "2999-01-31"]).ok();
    let text = place.repository.read_text(PUB);
    let old = format!("# superseded, until 2999-01-31\n{}\n", first.current.recipient);
    assert!(text.contains(&old) && text.ends_with(&format!("\n{new_recipient}\n")), "{text}");
    let check = place.run(&["recipients", "sync"]).ok();
    let _ = check.never_says("another than before");

    // The old identity goes for good: so does its recipient, and nothing that was added by hand.
    let ann = identity();
    place.repository.write(PUB, format!("# Ann\n{}\n\n{text}", ann.recipient().unwrap()));
    let secrets = place.secrets().await;
    secrets.delete("ageseal-identity-1", &Default::default()).await.unwrap();
    ageseal_cluster::eventually(crate::place::SOON, "the old recipient is published no more", || async {
        place.published().await.older.is_empty().then_some(())
    })
    .await;
    let report = place.json(&["recipients", "sync", "--yes"], 0);
    let change = |id: &str| {
        let all = report["recipients"].as_array().unwrap();
        all.iter().find(|entry| entry["id"] == id).map(|entry| entry["change"].as_str().unwrap().to_owned())
    };
    assert_eq!(change(&first.current.id).as_deref(), Some("removed"));
    assert_eq!((change(&id(&ann)).as_deref(), change(accept).as_deref()), (Some("foreign"), Some("none")));
    let text = place.repository.read_text(PUB);
    assert!(text.contains("# Ann\n") && !text.contains(&first.current.recipient), "{text}");
}

/// Another cluster is simulated by a pin that names one: two control planes would show no more.
#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_is_refused_until_it_is_named() {
    let place = Place::new("pin").await;
    let one = identity();
    place.publish(&published(1, &[&one])).await;
    let _ = place.run(&["recipients", "sync", "prod", "--yes"]).ok();
    let pin = place.repository.read_text(PIN);
    let value = |field: &str| {
        let line = pin.lines().find(|line| line.starts_with(field)).unwrap();
        line[field.len()..].trim().trim_matches('"').to_owned()
    };
    let uid = value("uid:");

    let other = pin.replace(&uid, "00000000-0000-4000-8000-000000000000");
    place.repository.write(PIN, &other);
    for args in [
        &["--yes"][..],
        &["--yes", "--accept", &id(&one)],
        &["--yes", "--accept", "00000000-0000-4000-8000-000000000000"],
    ] {
        let run = place.run(&[&["recipients", "sync"], args].concat()).exit(1);
        let _ = run.says("this is another cluster than the one that prod is pinned to; nothing was written").says(&uid);
        assert_eq!(place.repository.read_text(PIN), other);
    }
    let report = place.json(&["recipients", "sync"], 1);
    assert_eq!((&report["cluster"]["standing"], &report["toAccept"]), (&json!("changed"), &json!([uid])));
    let _ = place.run(&["recipients", "sync", "--yes", "--accept", &uid]).ok();
    assert_eq!(place.repository.read_text(PIN), pin);

    // The same cluster behind another certificate, as somebody in between would have one.
    let hash = pin.lines().find_map(|line| line.strip_prefix("- sha256:")).unwrap();
    let other = pin.replace(hash, &"0".repeat(64));
    place.repository.write(PIN, &other);
    let run = place.run(&["recipients", "sync", "--yes", "--accept", &uid]).exit(1);
    let _ = run.says("proves itself with other certificates than the pinned ones").says(&format!("sha256:{hash}"));
    assert_eq!(place.repository.read_text(PIN), other);
    let _ = place.run(&["recipients", "sync", "--yes", "--accept", &format!("sha256:{hash}")]).ok();
    assert_eq!(place.repository.read_text(PIN), pin);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_of_the_controller_is_pinned_too() {
    let place = Place::new("moved").await;
    let one = identity();
    place.publish(&published(1, &[&one])).await;
    let _ = place.run(&["recipients", "sync", "prod", "--yes"]).ok();
    let pin = place.repository.read_text(PIN);
    let system = place.system.name();
    // Once pinned, nobody has to say where it is.
    let _ = place.run_bare(&["recipients", "sync"], "").ok().says("is what the cluster publishes");
    // Whoever may write in another namespace does not become the cluster by a word on the command line.
    let other = pin.replace(&format!("namespace: {system}\n"), "namespace: somewhere-else\n");
    assert_ne!(other, pin);
    place.repository.write(PIN, &other);
    let _ = place.run_bare(&["recipients", "sync"], "").exit(4).says("publishes no recipients in somewhere-else");
    let run = place.run(&["recipients", "sync", "--yes"]).exit(1);
    let _ = run.says("come from another namespace than the pinned one; nothing was written").says("somewhere-else");
    assert_eq!(place.repository.read_text(PIN), other);
    let report = place.json(&["recipients", "sync"], 1);
    assert_eq!((&report["cluster"]["standing"], &report["toAccept"]), (&json!("pinned"), &json!([system])));
    let _ = place.run(&["recipients", "sync", "--yes", "--accept", system]).ok();
    assert_eq!(place.repository.read_text(PIN), pin);
}

/// The ConfigMap is written as somebody with rights on it would write it; there is no controller to mend it.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_wrote_into_the_configmap_is_not_taken_silently() {
    let place = Place::new("edited").await;
    let (one, two, evil) = (identity(), identity(), identity());
    place.publish(&published(3, &[&two, &one])).await;
    let _ = place.run(&["recipients", "sync", "prod", "--yes"]).ok();
    let before = place.files();

    // Another recipient, and the old ones gone; an older state; one whose id lies; what is no JSON of ours.
    place.publish(&published(4, &[&evil])).await;
    let run = place.run(&["recipients", "sync", "--yes"]).exit(1);
    let _ = run.says("another than before").says("the cluster no longer opens what is sealed for the one before");
    place.publish(&published(2, &[&one, &two])).await;
    let _ = place.run(&["recipients", "sync", "--yes"]).exit(1).says("says change 2, and said 3 before");
    let mut lying = published(4, &[&two]);
    lying.current.recipient = evil.recipient().unwrap().to_string();
    let canary = "Kanarie9vogel-Zq7xWm2pLt4s";
    for data in [
        lying.to_data(),
        BTreeMap::from([("recipients.json".to_owned(), format!("{{\"serial\": \"{canary}\"}}"))]),
        BTreeMap::from([("recipients.json".to_owned(), canary.to_owned())]),
        BTreeMap::from([("other".to_owned(), canary.to_owned())]),
    ] {
        place.publish_data(data).await;
        let run = place.run(&["recipients", "sync", "--yes", "--accept", &id(&evil)]).exit(4);
        let _ = run
            .says(&format!("ConfigMap {RECIPIENTS_CONFIGMAP} in "))
            .says("nothing of it was used")
            .never_says(canary);
    }
    assert_eq!(place.files(), before);

    // Text of its own in a date: the day alone is written.
    let mut odd = published(5, &[&two, &one]);
    odd.older[0].since = "2026-01-01\nage1pq1evil".to_owned();
    place.publish(&odd).await;
    let _ = place.run(&["recipients", "sync", "--yes"]).ok().never_says("evil");
    assert!(!place.repository.read_text(PUB).contains("evil"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_on_one_configmap_is_enough_and_without_it_the_right_is_named() {
    let mut place = Place::new("rights").await;
    let one = identity();
    place.publish(&published(1, &[&one])).await;
    place.as_account("nobody", json!([])).await;
    let run = place.run(&["recipients", "sync", "prod", "--yes"]).exit(4);
    let system = place.system.name().to_owned();
    let _ = run
        .says(&format!("you may not get configmaps ageseal-recipients in {system}"))
        .says(&format!("kubectl auth can-i get configmaps/ageseal-recipients -n {system}"));
    let only = json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [RECIPIENTS_CONFIGMAP], "verbs": ["get"]}]);
    place.as_account("developer", only).await;
    let _ = place.run(&["recipients", "sync", "prod", "--yes"]).ok().says("uid not readable");
    assert!(!place.repository.read_text(PIN).contains("uid:"));
    // Who may read the uid adds it; who may not leaves it.
    place.as_admin();
    let _ = place.run(&["recipients", "sync", "--yes"]).ok();
    let pin = place.repository.read_text(PIN);
    assert!(pin.contains("uid: \""), "{pin}");
    place.as_account("developer", json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [RECIPIENTS_CONFIGMAP], "verbs": ["get"]}])).await;
    let run = place.run(&["recipients", "sync", "--yes"]).ok().says("is what the cluster publishes");
    // The pinned uid is no fact about what answered now.
    let _ = run.says("uid not readable (pinned: ").never_says("is          uid");
    let report = place.json(&["recipients", "sync"], 0);
    assert_eq!((&report["cluster"]["uid"], &report["cluster"]["standing"]), (&json!(null), &json!("pinned")));
    assert_eq!(place.repository.read_text(PIN), pin);
    // A name that has somebody else's recipient already is not given another one in passing.
    place.repository.write(".ageseal/recipients/other.pub", format!("{}\n", identity().recipient().unwrap()));
    let _ = place
        .run(&["recipients", "sync", "other", "--yes"])
        .exit(1)
        .says("the current recipient of other is another than before");
}
