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

    // One namespace is all of them only if the Deployment says so.
    place.deployment(place.served.name());

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
    let retired = |args: &[&str]| place.run(&[&["keys", "retire", &first.id, &here], args].concat()).ok();
    let _ = retired(&["--ignore", &strange]).says("is retired").says(&delete);
    let _ = retired(&[]).says("strange").says("is not to be deleted yet").never_says(&delete);

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
    place.deployment(place.served.name());
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

/// What a namespace that was not looked at holds may need the identity: no controller has a part in it.
#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_not_retired_for_what_some_namespaces_say() {
    let mut place = Place::new("partial").await;
    let (one, two) = (identity(), identity());
    let id = one.recipient().unwrap().id().to_string();
    place.bring("mine", "active", &[&one]).await;
    place.bring("other", "active", &[&two]).await;
    let here = place.only_here();
    let served = place.served.name().to_owned();
    let refused = |place: &Place, why: &str| {
        let run = place.run(&["keys", "retire", &id, &here]).exit(2).says("those were not looked at").says(why);
        let _ = run.says("nothing was changed").says("--partial").never_says("delete secret");
    };
    refused(&place, "there is no Deployment ageseal-controller");
    place.deployment(&format!("{served},another"));
    refused(&place, "it also serves another");
    place.deployment("");
    refused(&place, "does not plainly say which it serves");
    assert_eq!(place.labels().await["mine"], "active");
    // Whoever may not read the Deployment does not know either.
    let core = json!({"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list", "patch"]});
    place.as_account("keeper", json!([core])).await;
    refused(&place, "you may not get deployments.apps ageseal-controller");

    // By name it is; then what would delete it is not said before everything was looked at.
    place.as_admin();
    let run = place.run(&["keys", "retire", &id, &here, "--partial"]).ok().says("retired mine");
    let _ = run.says("is not to be deleted yet").never_says("delete secret");
    place.deployment(&served);
    let _ = place.run(&["keys", "retire", &id, &here]).ok().says("is retired").says("delete secret");
}

/// Backups in the cluster: which one is there is never guessed, and what is none is no backup.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_stored_or_it_is_said_that_it_was_not() {
    let place = Place::new("store").await;
    let (one, first, second) = (identity(), identity(), identity());
    let text = |identity: &ageseal::recipient::Identity| format!("{}\n", *identity.to_secret_string().unwrap());
    let restored = place.run_with(&["keys", "restore", "-"], text(&one)).ok();
    let _ = restored.says("made");
    let id = one.recipient().unwrap().id().to_string();
    let name = format!("ageseal-backup-{id}");
    let stored = || async { place.maps().await.get(&name).await.unwrap() };
    let store = |keeper: &ageseal::recipient::Identity, more: &[&str]| {
        let keeper = keeper.recipient().unwrap().to_string();
        place.run(&[&["keys", "backup", "-r", &keeper, "--store"], more].concat())
    };
    let opens = |map: &k8s_openapi::api::core::v1::ConfigMap, keeper: &ageseal::recipient::Identity| {
        let age_file = place.repository.write("stored.age", &map.data.as_ref().unwrap()["identity.age"]);
        let key = place.repository.write("keeper.txt", text(keeper));
        let run = Command::new(age()).args(["-d".as_ref(), "-i".as_ref(), key.as_os_str(), age_file.as_os_str()]).run();
        run.code == Some(0)
    };
    let _ = store(&first, &[]).ok().says("stored");
    assert!(opens(&stored().await, &first));

    // Another one is not put there in passing, and not thrown away in silence; what goes to a file goes there.
    let _ = store(&second, &[]).exit(4).says("holds a backup already; it is as it was").says("--replace");
    assert!(opens(&stored().await, &first));
    let _ = store(&second, &["-o", "out"]).exit(4).says("wrote").says("holds a backup already");
    assert!(place.repository.path().join(format!("out/{name}.age")).exists());
    let _ = store(&second, &["--replace"]).ok().says("replaced");
    assert!(opens(&stored().await, &second) && !opens(&stored().await, &first));

    // What is no backup is none, for doctor and for everybody; and the command that doctor names mends it.
    place.repository.write(".ageseal/recipients/recovery.pub", format!("{}\n", first.recipient().unwrap()));
    let garbage = |immutable: bool| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "immutable": immutable,
            "metadata": {"name": name, "namespace": place.system.name(), "labels": {"ageseal.dev/backup": id}},
            "data": {"identity.age": "-----BEGIN AGE ENCRYPTED FILE-----\nnothing\n-----END AGE ENCRYPTED FILE-----\n"},
        })
    };
    for immutable in [false, true] {
        place.maps().await.delete(&name, &Default::default()).await.unwrap();
        place.plane.apply(&garbage(immutable).to_string());
        let _ = place.run(&["keys", "backup", "-o", "none"]).exit(1).says("holds no encrypted file");
        assert!(!place.repository.path().join("none").exists());
        let report = place.json(&["doctor", &place.only_here()], 1);
        let backups =
            report["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "backups").unwrap();
        assert_eq!(backups["state"], "wrong", "{backups}");
        let mend: Vec<_> = backups["mend"][0].as_str().unwrap().split(' ').skip(1).collect();
        assert_eq!(&mend[..2], ["keys", "backup"]);
        let _ = place.run(&mend).ok().says("replaced");
        assert!(opens(&stored().await, &first));
        let report = place.json(&["doctor", &place.only_here()], 1);
        let backups =
            report["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "backups").unwrap();
        assert_eq!(backups["state"], "good", "{backups}");
        assert!(backups["details"][0].as_str().unwrap().contains("for whom"), "{backups}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_private_key_goes_over_a_connection_that_nothing_proves() {
    let mut place = Place::new("unproved").await;
    let (one, keeper) = (identity(), identity());
    place.bring("mine", "active", &[&one]).await;
    let id = one.recipient().unwrap().id().to_string();
    let keep = keeper.recipient().unwrap().to_string();
    place.as_unproved();
    // It would answer.
    let _ = place.run(&["keys", "list"]).ok();
    let text = format!("{}\n", *keeper.to_secret_string().unwrap());
    for command in [
        &["keys", "new", "--no-backup"][..],
        &["keys", "restore", "-"],
        &["keys", "backup", "-r", &keep],
        &["keys", "promote", &id],
        &["keys", "retire", &id],
        &["recipients", "sync", "prod", "--yes"],
    ] {
        let run = place.run_with(command, &text).exit(2);
        let _ = run.says("nothing proves that an answer comes from the cluster: the kubeconfig says insecure-skip");
    }
    let asked = |verb: &str| {
        let ours = place.plane.audit().into_iter().filter(|event| event.namespace == place.system.name());
        ours.filter(|event| event.resource == "secrets" && event.verb == verb).count()
    };
    // The list of the one command, and what put the Secret there; the line of an answer may come a moment later.
    ageseal_cluster::eventually(crate::place::SOON, "the list is in the log", || async {
        (asked("list") > 0).then_some(())
    })
    .await;
    assert_eq!((asked("get"), asked("create"), asked("patch")), (0, 1, 0));
}

/// An identity that is lost comes back although somebody wrote over what is published.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_configmap_does_not_keep_an_identity_from_coming_back() {
    let place = Place::new("garbage").await;
    let keeper = identity();
    place.repository.write("keeper.txt", format!("{}\n", *keeper.to_secret_string().unwrap()));
    let keep = keeper.recipient().unwrap().to_string();
    let controller = place.controller(&["--backup-recipient", &keep]).await;
    let first = place.published().await.current;
    let file = format!("ageseal-backup-{}.age", first.id);
    let _ = place.run(&["keys", "backup", "-o", "."]).ok();
    controller.kill();
    drop(controller);
    place.secrets().await.delete("ageseal-identity-1", &Default::default()).await.unwrap();
    let data = [("recipients.json".to_owned(), "{\"serial\": 6, \"current\": {}}".to_owned())];
    place.publish_data(data.clone().into()).await;

    // What only looks says that it is unreadable, and goes on; what takes an identity away does not.
    let fault = "is not what a controller publishes; nothing of it was used";
    let report = place.run(&["keys", "list", "--json"]).ok().says(fault).stdout();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["serial"], &report["identities"]), (&json!(null), &json!([])));
    let _ = place.run(&["keys", "retire", &first.id, &place.only_here()]).exit(4).says(fault);
    let run = place.run(&["keys", "restore", &file, "-i", "keeper.txt", "--promote"]).ok();
    let _ = run.says(fault).says("made");
    let mark = |name: String| {
        let place = &place;
        async move {
            let secret = place.secrets().await.get(&name).await.unwrap();
            secret.metadata.annotations.unwrap()["ageseal.dev/current"].clone()
        }
    };
    assert_eq!(mark(format!("ageseal-identity-{}", first.id)).await, format!("7.{}", first.id));
    let controller = place.controller(&[]).await;
    ageseal_cluster::eventually(crate::place::SOON, "the ConfigMap is mended", || async {
        let map = place.maps().await.get("ageseal-recipients").await.unwrap();
        let published = ageseal::api::Published::from_data(&map.data.unwrap_or_default());
        let published = published.map_err(|error| error.to_string())?;
        if published.serial == 7 && published.current.id == first.id { Ok(()) } else { Err(format!("{published:?}")) }
    })
    .await;
    controller.kill();

    // A new one as well as an old one.
    place.publish_data(data.into()).await;
    let _ = place.run(&["keys", "new", "--no-backup"]).ok().says(fault).says("change 8");
    let _ = place.run(&["keys", "promote", &first.id]).ok().says(fault).says("change 9");
    // The highest serial there is leaves no room for another: it is said whose it is.
    let most = format!("{}.{}", u64::MAX, first.id);
    let patch = kube::api::Patch::Merge(json!({"metadata": {"annotations": {"ageseal.dev/current": most}}}));
    let params = kube::api::PatchParams::default();
    place.secrets().await.patch(&format!("ageseal-identity-{}", first.id), &params, &patch).await.unwrap();
    let run = place.run(&["keys", "new", "--no-backup"]).exit(4);
    let _ = run.says("no serial is above that of ageseal-identity-").says("kubectl annotate secret");
}
