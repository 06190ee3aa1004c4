//! `keys`: the life of identities, and what stands in the way of losing one.

use std::fs;

use ageseal::recipient::Recipient;
use ageseal_testkit::{Command, age};
use serde_json::{Value, json};

use crate::place::{Place, documented, identity};

fn entry<'a>(report: &'a Value, id: &str) -> &'a Value {
    let all = report["identities"].as_array().unwrap();
    all.iter().find(|entry| entry["id"] == id).unwrap_or_else(|| panic!("{id} is not in {report:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_retired_once_nothing_needs_it() {
    let place = Place::new("retire").await;
    let controller = place.controller(&[]).await;
    let here = place.only_here();
    let first = place.published().await.current;
    let old: Recipient = first.recipient.parse().unwrap();
    place.seal("one", &[&old]).await;
    place.seal("two", &[&old]).await;
    place.until("one", "Opened").await;
    place.until("two", "Opened").await;
    let report = place.json(&["keys", "list", &here], 0);
    documented(&report);
    let listed = entry(&report, &first.id);
    assert_eq!((&listed["state"], &listed["documents"], &listed["serial"]), (&json!("current"), &json!(2), &json!(1)));
    assert_eq!(report["unsure"], 0);
    let _ = place
        .run(&["keys", "list", &here])
        .ok()
        .prints(&first.id)
        .prints("opened 2 documents")
        .prints("ageseal-identity-1");

    // The current one is never retired.
    let _ = place.run(&["keys", "retire", &first.id, &here]).exit(2).says("is the current identity");
    let keeper = identity();
    let keep = keeper.recipient().unwrap().to_string();
    let new = place.run(&["keys", "new", "--backup-recipient", &keep]).ok();
    let new: Recipient = new.stdout().trim().parse().unwrap();
    assert_eq!(place.published().await.current.recipient, new.canonical());
    let _ = place.run(&["keys", "retire", &new.id().to_string(), &here]).exit(2).says("is the current identity");

    // Two documents were opened by it; then one; and of one that does not open nobody knows.
    let run = place.run(&["keys", "retire", &first.id, &here]).exit(1);
    let _ = run.says(&format!("2 documents need {}", first.id)).says(&format!("{}/one", place.served.name()));
    place.seal("one", &[&new]).await;
    place.until("one", "Opened").await;
    let stranger = identity();
    place.seal("strange", &[stranger.recipient().unwrap()]).await;
    place.until("strange", "NotARecipient").await;
    let run = place.run(&["keys", "retire", &first.id, &here]).exit(1);
    let _ = run
        .says(&format!("1 document needs {}", first.id))
        .says("of 1 document it is not known who opens them")
        .says("strange: not Ready: NotARecipient");
    let report = place.json(&["keys", "usage", &here], 0);
    documented(&report);
    let titles = |name: &str| json!([format!("{}/{name}", place.served.name())]);
    assert_eq!(entry(&report, &first.id)["documents"], titles("two"));
    assert_eq!(entry(&report, &new.id().to_string())["documents"], titles("one"));
    assert_eq!(report["unsure"][0]["reason"], "not Ready: NotARecipient");
    let _ = place.run(&["keys", "usage", &first.id[..8], &here]).ok().prints("  opened   ").prints("two");

    // What is recorded as needing it cannot be ignored; what is not known can, by its name.
    let two = format!("{}/two", place.served.name());
    let strange = format!("{}/strange", place.served.name());
    let _ = place.run(&["keys", "retire", &first.id, &here, "--ignore", &two, "--ignore", &strange]).exit(1);
    place.seal("two", &[&new]).await;
    place.until("two", "Opened").await;
    let _ = place.run(&["keys", "retire", &first.id, &here]).exit(1).says("strange");
    assert_eq!(place.labels().await["ageseal-identity-1"], "active");
    let run = place.run(&["keys", "retire", &first.id, &here, "--ignore", &strange]).ok();
    let delete = format!("delete secret -n {} ageseal-identity-1", place.system.name());
    let _ = run.says("retired ageseal-identity-1").says(&delete);
    assert_eq!(place.labels().await["ageseal-identity-1"], "retired");
    let _ = place.run(&["keys", "retire", &first.id, &here]).ok().says("is retired").says(&delete);

    // It still opens, and back it comes.
    place.seal("late", &[&old]).await;
    place.until("late", "Opened").await;
    let _ = place.run(&["keys", "promote", &first.id]).ok().says("change 3");
    assert_eq!(place.published().await.current.id, first.id);
    let _ = place.run(&["keys", "promote", &first.id]).ok().says("is the current one");
    assert_eq!(place.labels().await["ageseal-identity-1"], "current");
    assert!(!controller.log().contains("AGE-SECRET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_cluster_comes_back_from_its_backup() {
    let place = Place::new("lost").await;
    let keeper = identity();
    place.repository.write("keeper.txt", format!("{}\n", *keeper.to_secret_string().unwrap()));
    let keep = keeper.recipient().unwrap().to_string();
    let controller = place.controller(&["--backup-recipient", &keep]).await;
    let first = place.published().await.current;
    let recipient: Recipient = first.recipient.parse().unwrap();
    place.seal("db", &[&recipient]).await;
    place.until("db", "Opened").await;
    let _ = place.run(&["keys", "backup", "-o", "backups"]).ok().says("wrote");
    let _ = place.run(&["keys", "backup", "-o", "backups"]).ok().says("kept");
    let file = format!("backups/ageseal-backup-{}.age", first.id);
    let backup = place.repository.read_text(&file);
    assert_eq!(place.run(&["keys", "backup", "-o", "-"]).ok().stdout(), backup);
    controller.kill();

    // Another cluster, made anew: before its controller first starts, so that it makes no key of its own.
    let again = Place::new("anew").await;
    for name in ["keeper.txt", &file] {
        again.repository.write(name, place.repository.read(name));
    }
    let before = again.files();
    let _ = again.run(&["keys", "restore", &file]).exit(3).says("there is no identity to open with");
    let secret = secret_of(&place).await;
    let run = again.run(&["keys", "restore", &file, "-i", "keeper.txt", "--promote"]).ok();
    let _ = run.says("made").says("current").says("has not taken this up").never_says(&secret[20..60]);
    let _controller = again.controller(&[]).await;
    let published = again.published().await;
    assert_eq!((published.serial, &published.current.id), (1, &first.id));
    assert_eq!(again.labels().await.len(), 1);
    again.seal("db", &[&recipient]).await;
    again.until("db", "Opened").await;
    let _ = again
        .run(&["keys", "restore", &file, "-i", "keeper.txt"])
        .exit(2)
        .says("has the identity")
        .says("nothing was made");

    // The private key came by in memory: in no file, in nobody's log.
    assert_eq!(again.files(), before);
    for bytes in place.files().into_values() {
        assert!(!String::from_utf8_lossy(&bytes).contains(&secret[20..60]));
    }
    assert!(!again.plane.audit_text().contains(&secret[20..60]));
}

/// The private key of the only identity Secret.
async fn secret_of(place: &Place) -> String {
    let secret = place.secrets().await.get("ageseal-identity-1").await.unwrap();
    let text = String::from_utf8(secret.data.unwrap()["identity.txt"].0.clone()).unwrap();
    text.lines().find(|line| line.starts_with("AGE-SECRET-KEY")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_identity_is_seen_and_brought_back() {
    let place = Place::new("missing").await;
    let keeper = identity();
    place.repository.write("keeper.txt", format!("{}\n", *keeper.to_secret_string().unwrap()));
    let keep = keeper.recipient().unwrap().to_string();
    let _controller = place.controller(&["--backup-recipient", &keep]).await;
    let first = place.published().await.current;
    place.secrets().await.delete("ageseal-identity-1", &Default::default()).await.unwrap();
    let report = place.json(&["keys", "list", &place.only_here()], 0);
    assert_eq!(
        (&entry(&report, &first.id)["state"], &entry(&report, &first.id)["secret"]),
        (&json!("missing"), &json!(null))
    );
    let _ = place.run(&["keys", "promote", &first.id]).exit(2).says("no identity Secret in").says("keys restore");
    let _ = place.run(&["keys", "backup", "-o", "."]).ok();
    let file = format!("ageseal-backup-{}.age", first.id);
    let _ = place.run(&["keys", "restore", &file, "-i", "keeper.txt", "--promote"]).ok();
    let published = place.published().await;
    assert_eq!((published.serial, &published.current.id), (2, &first.id));
    let report = place.json(&["keys", "list", &place.only_here()], 0);
    assert_eq!(entry(&report, &first.id)["state"], "current");
}

/// Identity Secrets as people make them by hand: no controller has a part in it.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_do_not_say_what_is_in_them_are_looked_into_when_it_matters() {
    let mut place = Place::new("byhand").await;
    let (one, two, keeper) = (identity(), identity(), identity());
    place.bring("mine", "active", &[&one, &two]).await;
    place.bring("odd", "someday", &[&keeper]).await;
    let id = one.recipient().unwrap().id().to_string();
    let report = place.json(&["keys", "list", &place.only_here()], 0);
    let states: Vec<_> =
        report["identities"].as_array().unwrap().iter().map(|entry| (&entry["id"], &entry["state"])).collect();
    assert_eq!(states, [(&json!(null), &json!("active")), (&json!(null), &json!("unknown"))]);

    // Restoring, promoting and backing up look inside.
    let text = |identity: &ageseal::recipient::Identity| format!("# mine\n{}\n", *identity.to_secret_string().unwrap());
    let _ = place.run_with(&["keys", "restore", "-"], text(&two)).exit(2).says("in ").says("Secret mine (active)");
    let _ = place.run(&["keys", "retire", &id, &place.only_here()]).ok().says("retired mine");
    let _ = place.run(&["keys", "promote", &id]).ok().says("marked").says("has not taken this up");
    assert_eq!(place.labels().await["mine"], "current");
    let keep = keeper.recipient().unwrap().to_string();
    let _ = place.run(&["keys", "backup", &id, "-r", &keep, "-o", "out", "--store"]).ok().says("stored");
    let file = place.repository.path().join(format!("out/ageseal-backup-{id}.age"));
    let key = place.repository.write("keeper.txt", text(&keeper));
    let opened = Command::new(age()).args(["-d".as_ref(), "-i".as_ref(), key.as_os_str(), file.as_os_str()]).run();
    assert!(opened.stdout_text().contains(&*one.to_secret_string().unwrap()), "{}", opened.stderr_text());
    assert_eq!(place.run(&["keys", "backup", &id, "-o", "-"]).ok().stdout(), fs::read_to_string(&file).unwrap());
    let _ = place
        .run(&["keys", "backup", &id, "-r", &keep, "-o", "out"])
        .exit(4)
        .says("is there already, and holds something else");
    let classic = ageseal::recipient::Identity::generate_x25519();
    let run = place.run(&["keys", "backup", &id, "-r", classic.recipient().unwrap().canonical(), "-o", "weak"]).exit(2);
    let _ = run.says("is classic and the identity");
    assert!(!place.repository.path().join("weak").exists());
    let _ = place
        .run(&["keys", "backup", "r0000000000000000"])
        .exit(2)
        .says("the cluster has no backup of r0000000000000000");

    // Whoever may only read what is published sees that; whoever may change nothing is told which right is missing.
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]);
    place.as_account("looker", rules).await;
    let list = place.run(&["keys", "list"]).ok();
    let _ = list.says("documents are not counted: you may not list sealedsecrets.ageseal.dev").prints(&id);
    let system = place.system.name().to_owned();
    let run = place.run(&["keys", "promote", &two.recipient().unwrap().id().to_string()]).exit(4);
    let _ = run.says("you may not get secrets odd in ").says(&system);
    let run = place.run(&["keys", "new", "--no-backup"]).exit(4);
    let _ = run
        .says("you may not create secrets ageseal-identity-2 in ")
        .says("kubectl auth can-i create secrets/ageseal-identity-2");
}
