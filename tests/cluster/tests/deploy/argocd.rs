//! Argo CD's health check, run by the Lua that Argo CD runs it with.

use ageseal_testkit::{Scratch, glua, run};

use crate::support::{built, deploy};

const KEY: &str = "resource.customizations.health.ageseal.dev_SealedSecret";

/// The check as it stands in the ConfigMap of somebody who uses the component.
fn check() -> String {
    let scratch = Scratch::new();
    let copy = ageseal_testkit::run(
        "cp",
        ["-r".as_ref(), deploy("components/argocd").as_os_str(), scratch.path().as_os_str()],
        "",
    );
    assert!(copy.success(), "{}", copy.stderr_text());
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata: {url: mine}\n";
    std::fs::write(scratch.path().join("argocd-cm.yaml"), map).unwrap();
    std::fs::write(scratch.path().join("kustomization.yaml"), "resources: [argocd-cm.yaml]\ncomponents: [argocd]\n")
        .unwrap();
    let text = built(scratch.path());
    let stream = ageseal::yaml::Stream::parse(text).unwrap();
    let root = stream.documents().next().unwrap().root().unwrap();
    let data = root.get("data").unwrap();
    assert_eq!(data.get("url").and_then(|node| node.str()), Some("mine"));
    data.get(KEY).unwrap().str().unwrap().to_owned()
}

/// What the check says of an object, which is written as a Lua table.
fn health(object: &str) -> String {
    let scratch = Scratch::new();
    let script = scratch.path().join("check.lua");
    let text = format!(
        "local obj = {object}\nlocal function check()\n{}\nend\nlocal hs = check()\nprint(hs.status .. \" \" .. hs.message)\n",
        check()
    );
    std::fs::write(&script, text).unwrap();
    let outcome = run(glua(), [script.as_os_str()], "");
    assert!(outcome.success() && outcome.stderr.is_empty(), "{object}: {}", outcome.stderr_text());
    outcome.stdout_text().trim_end().to_owned()
}

fn with(status: &str) -> String {
    health(&format!("{{metadata = {{generation = 4}}, status = {status}}}"))
}

#[test]
fn what_the_controller_has_not_seen_is_progressing() {
    let seen = "Progressing the controller has not looked at it yet";
    assert_eq!(health("{metadata = {generation = 1}}"), seen);
    assert_eq!(with("{observedGeneration = -1}"), seen);
    let ready = "{type = 'Ready', status = 'True', reason = 'Opened', message = 'm', observedGeneration = 3}";
    assert_eq!(with(&format!("{{observedGeneration = 3, conditions = {{{ready}}}}}")), seen);
}

#[test]
fn every_state_has_its_health() {
    let conditions = |list: &str| with(&format!("{{observedGeneration = 4, conditions = {{{list}}}}}"));
    let ready = |status: &str, reason: &str| {
        format!("{{type = 'Ready', status = '{status}', reason = '{reason}', message = 'words'}},")
    };
    assert_eq!(conditions(&ready("True", "Opened")), "Healthy Opened: words");
    let stalled = "{type = 'Stalled', status = 'True', reason = 'NotOwned', message = 'words'},";
    let stale = "{type = 'Stale', status = 'True', reason = 'x', message = 'generation 3 stays'},";
    assert_eq!(conditions(&format!("{}{stalled}", ready("False", "NotOwned"))), "Degraded NotOwned: words");
    assert_eq!(
        conditions(&format!("{stale}{stalled}{}", ready("False", "NotOwned"))),
        "Degraded NotOwned: words (generation 3 stays)"
    );
    let reconciling = "{type = 'Reconciling', status = 'True', reason = 'Retrying', message = 'words'},";
    assert_eq!(conditions(&format!("{reconciling}{}", ready("Unknown", "Retrying"))), "Progressing Retrying: words");
    let paused = "{type = 'Paused', status = 'True', reason = 'Asked', message = 'left alone'},";
    assert_eq!(conditions(&format!("{paused}{}", ready("True", "Opened"))), "Suspended left alone");
    // Also where it was changed since: nobody looks at it.
    assert_eq!(with(&format!("{{observedGeneration = 3, conditions = {{{paused}}}}}")), "Suspended left alone");
    // A condition that is not so counts for nothing.
    let over = stalled.replace("'True'", "'False'")
        + &stale.replace("'True'", "'False'")
        + &paused.replace("'True'", "'False'");
    assert_eq!(conditions(&format!("{over}{}", ready("True", "Opened"))), "Healthy Opened: words");
    assert_eq!(conditions(""), "Progressing");
}

#[test]
fn what_is_being_deleted_is_progressing() {
    let status = "{observedGeneration = 4, conditions = {{type = 'Ready', status = 'True', reason = 'Opened'}}}";
    let object = format!("{{metadata = {{generation = 4, deletionTimestamp = 'now'}}, status = {status}}}");
    assert_eq!(health(&object), "Progressing it is being deleted");
}
