use std::convert::Infallible;

use ageseal::recipient::KeyRing;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::service_fn;

use super::outcomes::LAST_LOOK;
use super::*;
use crate::args::Settings;
use crate::events::Events;
use crate::fault::Fault;
use crate::index::Asks;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::reconcile::Telling;
use crate::request::{Refusal, RefusalKind, Requests};

/// A desk that leads, has identities and has seen everything there is, which is nothing. Its API server never answers.
fn desk_of(namespaces: &[&str], drift_watch: bool) -> Desk {
    let silent = service_fn(|_: http::Request<kube::client::Body>| async {
        std::future::pending::<Result<http::Response<kube::client::Body>, Infallible>>().await
    });
    let client = Client::new(silent, "default");
    let namespaces: Vec<String> = namespaces.iter().map(|namespace| (*namespace).to_owned()).collect();
    let scopes = namespaces.len().max(1);
    let settings = Arc::new(Settings { namespaces, drift_watch, ..Settings::default() });
    let metrics = Arc::new(Metrics::new());
    let (_, ring) = watch::channel(None);
    let context = Context {
        client: client.clone(),
        shared: client.clone(),
        settings: Arc::clone(&settings),
        ring,
        leadership: Leadership::always(),
        metrics: Arc::clone(&metrics),
        events: Events::none(),
        ready: watch::Sender::new(false),
        used: watch::Sender::new(false),
    };
    let tools = Tools { requests: Requests::new(client, Leadership::always()), settings, metrics };
    let (done, _) = mpsc::unbounded_channel();
    let mut desk = Desk::new(context, Arc::new(tools), scopes, if drift_watch { scopes } else { 0 }, done);
    desk.set_leading(true);
    desk.set_ring(Some(Arc::new(Ring { keys: Arc::new(KeyRing::default()), ids: Default::default(), revision: 1 })));
    desk
}

fn desk() -> Desk {
    let mut desk = desk_of(&[], true);
    desk.document(News::Complete { scope: 0 });
    desk.secret(News::Complete { scope: 0 });
    desk
}

fn key() -> Key {
    Key::new("shop", "db")
}

fn doc(namespace: &str, version: &str, status: Value) -> Doc {
    serde_json::from_value(json!({
        "metadata": {"namespace": namespace, "name": "db", "uid": "doc-1", "generation": 1, "resourceVersion": version},
        "spec": {}, "status": status,
    }))
    .unwrap()
}

fn new() -> Doc {
    doc("shop", "10", json!({"observedGeneration": -1}))
}

/// A document whose Secret is there, as it was told.
fn ready() -> Value {
    status("True", "Opened", json!({"uid": "s-1", "resourceVersion": "20", "generation": 1}))
}

fn status(ready: &str, reason: &str, secret: Value) -> Value {
    let condition = json!({"type": "Ready", "status": ready, "reason": reason, "message": "words",
        "lastTransitionTime": "2026-01-02T03:04:05Z"});
    json!({"observedGeneration": 1, "conditions": [condition], "secret": secret})
}

fn secret(uid: &str, version: &str) -> SecretSight {
    SecretSight { key: key(), sight: sight(uid, version) }
}

fn sight(uid: &str, version: &str) -> Sight {
    Sight { uid: uid.to_owned(), resource_version: version.to_owned() }
}

fn telling(status: Value) -> Telling {
    Telling {
        asks: Asks { uid: "doc-1".to_owned(), generation: 1, ..Asks::default() },
        resource_version: "10".to_owned(),
        status: serde_json::from_value(status).unwrap(),
        changed: true,
        was_ready: None,
        sight: None,
        fault: None,
        mended: false,
        retry: None,
    }
}

/// Takes the next job; it runs until [`ends`].
#[track_caller]
fn begins(desk: &mut Desk) -> Lane {
    let (key, lane, _) = desk.next_turn().expect("somebody's turn");
    desk.records.get_mut(&key).unwrap().gone.clear();
    desk.running += 1;
    desk.saving += usize::from(lane == Lane::Status);
    lane
}

fn ends(desk: &mut Desk, outcome: Outcome) {
    let (uid, known) = ("doc-1".to_owned(), None);
    desk.done(Done { key: key(), uid, ring: 1, known, began: Instant::now(), what: What::Reconciled(outcome) });
}

fn refused(code: u16, kind: RefusalKind) -> RequestError {
    RequestError::Refused(Refusal { code, reason: String::new(), fields: vec![], kind, retry_after: None })
}

#[tokio::test]
async fn a_document_that_is_gone_is_asked_for_once() {
    let mut desk = desk();
    desk.document(News::Changed { object: new() });
    assert_eq!(begins(&mut desk), Lane::Fresh);
    ends(&mut desk, Outcome::Gone);
    assert_eq!(desk.queue.pop(true), None);
    assert!(desk.records.is_empty() && desk.held == 0);
}

#[tokio::test]
async fn what_the_watch_told_while_a_job_ran_is_not_forgotten() {
    let written = || {
        let status = ready();
        Outcome::Told(Box::new(Telling { sight: Some(sight("s-1", "20")), ..telling(status) }))
    };
    // The Secret that the job wrote was deleted, or edited, before the job told of it.
    for news in [News::Gone { object: secret("s-1", "21") }, News::Changed { object: secret("s-1", "22") }] {
        let mut desk = desk();
        desk.document(News::Changed { object: new() });
        begins(&mut desk);
        desk.secret(News::Changed { object: secret("s-1", "20") });
        desk.secret(news);
        ends(&mut desk, written());
        assert_eq!(desk.look(&key()), Look::Verify);
        assert_eq!(begins(&mut desk), Lane::Fresh);
    }
    let mut desk = desk();
    desk.document(News::Changed { object: new() });
    begins(&mut desk);
    ends(&mut desk, written());
    assert_eq!(desk.look(&key()), Look::Nothing, "what was written is known before the watch brings it");
    assert_eq!(begins(&mut desk), Lane::Status);
}

#[tokio::test]
async fn a_status_yields_though_the_watch_was_faster_than_the_job() {
    let mut desk = desk();
    desk.document(News::Changed { object: new() });
    begins(&mut desk);
    // The document's own event once more, and the Secret that the job wrote: both ask for another turn at once.
    desk.document(News::Changed { object: new() });
    desk.secret(News::Changed { object: secret("s-1", "20") });
    ends(&mut desk, Outcome::Told(Box::new(Telling { sight: Some(sight("s-1", "20")), ..telling(ready()) })));
    assert_eq!(begins(&mut desk), Lane::Status);
    assert_eq!(desk.held, 0, "the document is not kept for a status");
}

#[tokio::test]
async fn news_of_secrets_waits_while_the_first_look_makes_them() {
    let mut desk = desk_of(&[], true);
    assert!(desk.hears_of_secrets(), "what is there has to be known");
    desk.secret(News::Complete { scope: 0 });
    assert!(!desk.hears_of_secrets(), "documents are on their way");
    desk.document(News::Listed { scope: 0, object: new() });
    desk.document(News::Complete { scope: 0 });
    assert!(!desk.hears_of_secrets(), "a Secret is not there yet");
    begins(&mut desk);
    assert!(desk.hears_of_secrets());
    // From then on a watch is a watch.
    desk.document(News::Changed { object: doc("elsewhere", "11", json!({"observedGeneration": -1})) });
    assert!(desk.queue.has_urgent() && desk.hears_of_secrets());
}

#[tokio::test]
async fn news_of_secrets_does_not_wait_for_long_nor_on_a_standby() {
    let cold = || {
        let mut desk = desk_of(&[], true);
        desk.secret(News::Complete { scope: 0 });
        desk.document(News::Listed { scope: 0, object: new() });
        desk.document(News::Complete { scope: 0 });
        assert!(!desk.hears_of_secrets());
        desk
    };
    let mut slow = cold();
    slow.since = Instant::now().checked_sub(HUSH * 2).unwrap();
    assert!(slow.hears_of_secrets());
    let mut standby = cold();
    standby.set_leading(false);
    assert!(standby.hears_of_secrets());
}

#[tokio::test]
async fn while_secrets_are_worked_on_few_statuses_are_written() {
    let mut desk = desk();
    let share = desk.context.settings.workers / SHARE_OF_STATUSES;
    let mut may = |running, saving| {
        (desk.running, desk.saving) = (running, saving);
        desk.may_save()
    };
    assert!(may(0, 0) && may(share, share - 1) && !may(share + 1, share));
    assert!(may(share, share), "nobody works on a Secret");
}

#[tokio::test]
async fn what_is_gone_is_kept_for_a_job_that_runs_alone() {
    let mut desk = desk();
    desk.document(News::Changed { object: doc("shop", "10", ready()) });
    desk.set_leading(false);
    for version in 0..100 {
        desk.secret(News::Gone { object: secret("s-1", &version.to_string()) });
    }
    assert!(desk.records[&key()].gone.is_empty(), "a standby has no job");
}

#[tokio::test]
async fn what_was_fetched_later_than_it_was_watched_is_not_fetched_again() {
    let mut desk = desk();
    desk.document(News::Changed { object: new() });
    begins(&mut desk);
    let mut telling =
        telling(json!({"observedGeneration": 2, "conditions": ready()["conditions"], "secret": ready()["secret"]}));
    (telling.asks.generation, telling.resource_version) = (2, "12".to_owned());
    telling.sight = Some(sight("s-1", "20"));
    ends(&mut desk, Outcome::Told(Box::new(telling)));
    assert_eq!(begins(&mut desk), Lane::Status);
}

#[tokio::test]
async fn who_waits_for_the_api_server_is_told_so_at_once() {
    let mut desk = desk();
    desk.document(News::Changed { object: doc("shop", "10", ready()) });
    begins(&mut desk);
    let retry = Some(refused(500, RefusalKind::Later));
    let telling = Telling { retry, ..telling(status("Unknown", "Retrying", ready()["secret"].clone())) };
    ends(&mut desk, Outcome::Told(Box::new(telling)));
    let waits = |desk: &Desk| desk.records[&key()].waiting && desk.queue.has_appointment(&key());
    assert!(waits(&desk));
    assert_eq!(begins(&mut desk), Lane::Status);
    // Saved, it waits on, and is not saved again.
    let status = desk.records[&key()].unsaved.clone().unwrap();
    let what = What::Saved(status, Ok(Some("11".to_owned())));
    desk.done(Done { key: key(), uid: "doc-1".to_owned(), ring: 1, known: None, began: Instant::now(), what });
    assert!(waits(&desk) && desk.records[&key()].tries == 1);
    assert_eq!(desk.queue.pop(true), None);
}

#[tokio::test]
async fn a_document_that_asks_for_something_else_does_not_wait_for_what_failed() {
    let mut desk = desk();
    desk.document(News::Changed { object: new() });
    begins(&mut desk);
    ends(&mut desk, Outcome::Failed(RequestError::NoAnswer));
    // The same once more is no reason to ask at once.
    desk.document(News::Changed { object: doc("shop", "11", json!({"observedGeneration": -1})) });
    desk.start_jobs();
    assert_eq!((desk.running, desk.records[&key()].waiting), (0, true));
    let mut other = doc("shop", "12", json!({"observedGeneration": -1}));
    other.metadata.generation = Some(2);
    desk.document(News::Changed { object: other });
    desk.start_jobs();
    assert_eq!((desk.running, desk.records[&key()].waiting), (1, false));
}

#[tokio::test]
async fn a_fault_is_looked_at_when_the_lead_comes_back() {
    let mut desk = desk();
    desk.document(News::Changed { object: new() });
    begins(&mut desk);
    let fault = Some(Fault::new(ReadyReason::QuotaExceeded, "a quota is exhausted"));
    let at_fault = Telling { fault, ..telling(status("False", "QuotaExceeded", Value::Null)) };
    ends(&mut desk, Outcome::Told(Box::new(at_fault)));
    assert!(desk.queue.has_appointment(&key()));
    desk.set_leading(false);
    // Its time comes while somebody else leads.
    desk.keep_appointments(Instant::now() + LAST_LOOK * 2);
    desk.set_leading(true);
    assert_eq!(desk.look(&key()), Look::Reconcile);
    begins(&mut desk);
}

#[tokio::test]
async fn looks_at_a_fault_become_rare() {
    let mut desk = desk();
    desk.document(News::Changed { object: doc("shop", "10", status("False", "NotOwned", Value::Null)) });
    for tries in 1..=6 {
        desk.queue.push(&key(), Lane::Backlog);
        begins(&mut desk);
        ends(&mut desk, Outcome::Unchanged);
        assert_eq!(desk.records[&key()].tries, tries);
    }
}

#[tokio::test]
async fn a_secret_that_was_made_while_secrets_were_listed_is_asked_for_and_not_made_again() {
    let mut desk = desk_of(&[], true);
    desk.document(News::Complete { scope: 0 });
    desk.secret(News::Begin { scope: 0 });
    desk.document(News::Changed { object: new() });
    begins(&mut desk);
    let written = Telling { sight: Some(sight("s-1", "20")), ..telling(ready()) };
    ends(&mut desk, Outcome::Told(Box::new(written)));
    assert_eq!(begins(&mut desk), Lane::Status);
    desk.running = 0;
    desk.queue.done(&key());

    // The list is of a moment before.
    desk.secret(News::Complete { scope: 0 });
    assert_eq!(desk.look(&key()), Look::Verify);
    let job = desk.job(&key(), Look::Verify);
    assert!(!job.absent);
    assert_eq!(job.expected, Some(sight("s-1", "20")));
    begins(&mut desk);
    ends(&mut desk, Outcome::Unchanged);
    assert_eq!(desk.look(&key()), Look::Nothing);

    // One that the watch tells to be gone is made again without a question.
    desk.records.get_mut(&key()).unwrap().unlisted = false;
    desk.secret(News::Gone { object: secret("s-1", "20") });
    assert!(desk.job(&key(), Look::Verify).absent);
}

#[tokio::test]
async fn a_namespace_that_cannot_be_listed_holds_up_no_other() {
    let mut desk = desk_of(&["lost", "shop"], true);
    desk.document(News::Listed { scope: 1, object: doc("shop", "10", ready()) });
    desk.document(News::Complete { scope: 1 });
    desk.secret(News::Complete { scope: 1 });
    assert!(!*desk.context.ready.borrow());
    desk.document(News::Broken { scope: 0, refused: true });
    desk.secret(News::Broken { scope: 0, refused: true });
    assert!(*desk.context.ready.borrow());
    // Its Secret is gone, and that is seen.
    assert_eq!(desk.look(&key()), Look::Verify);
    begins(&mut desk);
}

#[tokio::test]
async fn a_fault_that_only_a_change_ends_is_not_looked_at_by_the_clock() {
    let mut desk = desk_of(&[], false);
    desk.document(News::Complete { scope: 0 });
    desk.document(News::Changed { object: new() });
    begins(&mut desk);
    let fault = Some(Fault::new(ReadyReason::ScopeMismatch, "sealed for elsewhere"));
    let at_fault = Telling { fault, ..telling(status("False", "ScopeMismatch", Value::Null)) };
    ends(&mut desk, Outcome::Told(Box::new(at_fault)));
    assert_eq!(begins(&mut desk), Lane::Status);
    assert!(!desk.queue.has_appointment(&key()));
}

#[tokio::test]
async fn an_api_server_with_too_much_to_do_is_left_alone_for_a_while() {
    let mut desk = desk();
    desk.document(News::Changed { object: new() });
    begins(&mut desk);
    ends(&mut desk, Outcome::Failed(refused(429, RefusalKind::Later)));
    desk.document(News::Changed { object: doc("elsewhere", "11", json!({"observedGeneration": -1})) });
    desk.start_jobs();
    assert_eq!(desk.running(), 0);
    let rest = desk.next_appointment().unwrap();
    assert!(rest > Instant::now() && rest <= Instant::now() + Duration::from_secs(2));
}

#[tokio::test]
async fn a_standby_has_nothing_to_do() {
    let mut desk = desk();
    desk.document(News::Changed { object: new() });
    assert_eq!(desk.queue.depth(), 1);
    desk.set_leading(false);
    assert_eq!((desk.queue.depth(), desk.held), (0, 0));
    desk.set_leading(true);
    assert_eq!(begins(&mut desk), Lane::Backlog);
}

#[tokio::test]
async fn a_conflict_is_waited_for_whoever_writes_meanwhile() {
    let mut desk = desk();
    desk.document(News::Changed { object: doc("shop", "10", ready()) });
    desk.secret(News::Changed { object: secret("s-1", "21") });
    begins(&mut desk);
    desk.secret(News::Changed { object: secret("s-1", "22") });
    ends(&mut desk, Outcome::Failed(refused(409, RefusalKind::Conflict)));
    desk.secret(News::Changed { object: secret("s-1", "23") });
    assert_eq!(desk.queue.pop(true), None);
    desk.keep_appointments(Instant::now() + Duration::from_secs(1));
    assert_eq!(begins(&mut desk), Lane::Fresh);
}

#[tokio::test]
async fn a_secret_that_is_seen_to_be_later_is_not_compared_first() {
    let mut desk = desk();
    desk.document(News::Changed { object: doc("shop", "10", ready()) });
    for (version, compared) in [("19", true), ("21", false)] {
        desk.secret(News::Changed { object: secret("s-1", version) });
        let look = desk.look(&key());
        assert_eq!((look, desk.job(&key(), look).expected.is_some()), (Look::Verify, compared), "{version}");
    }
}
