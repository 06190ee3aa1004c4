use super::*;

fn id(byte: char) -> RecipientId {
    format!("r{}", byte.to_string().repeat(16)).parse().unwrap()
}

fn sight(version: &str) -> Sight {
    Sight { uid: "s-1".to_owned(), resource_version: version.to_owned() }
}

/// A document of generation 2 that is Ready, its Secret as written.
fn ready() -> Record {
    let secret = SecretRecord { uid: "s-1".to_owned(), resource_version: "7".to_owned(), generation: 2 };
    Record {
        asks: Asks { uid: "doc-1".to_owned(), generation: 2, ..Asks::default() },
        resource_version: "9".to_owned(),
        told: Told {
            observed: Some(2),
            ready: Some(true),
            reason: "Opened".to_owned(),
            secret: Some(secret),
            identities: vec![id('a')],
            ..Told::default()
        },
        ..Record::default()
    }
}

fn at_fault(reason: &str) -> Record {
    let mut record = ready();
    (record.told.ready, record.told.reason) = (Some(false), reason.to_owned());
    record
}

fn look(record: &Record, known: Known<'_>) -> Look {
    let ids = BTreeSet::from([id('a')]);
    record.look(known, Some(Rings { revision: 3, ids: &ids }))
}

#[test]
fn what_is_current_is_left_alone() {
    assert_eq!(look(&ready(), Known::Sight(Some(&sight("7")))), Look::Nothing);
    assert_eq!(look(&ready(), Known::Unwatched), Look::Nothing);
}

#[test]
fn nothing_is_decided_before_it_can_be() {
    assert_eq!(look(&ready(), Known::NotYet), Look::NotYet);
    assert_eq!(ready().look(Known::Sight(Some(&sight("7"))), None), Look::NotYet);
    let mut new = ready();
    new.told = Told { observed: Some(-1), ..Told::default() };
    assert_eq!(new.look(Known::NotYet, None), Look::NotYet, "without identities nothing opens");
    assert_eq!(look(&new, Known::NotYet), Look::Reconcile, "a new document does not wait for the watch of Secrets");
}

#[test]
fn a_secret_that_was_changed_or_is_gone_is_looked_at() {
    assert_eq!(look(&ready(), Known::Sight(Some(&sight("8")))), Look::Verify);
    assert_eq!(look(&ready(), Known::Sight(None)), Look::Verify);
}

#[test]
fn another_generation_or_annotation_is_reconciled() {
    let mut record = ready();
    record.asks.generation = 3;
    assert_eq!(look(&record, Known::NotYet), Look::Reconcile);
    let mut record = ready();
    record.asks.reconcile = Some("now".to_owned());
    assert_eq!(look(&record, Known::NotYet), Look::Reconcile);
    record.told.handled = Some("now".to_owned());
    assert_eq!(look(&record, Known::Sight(Some(&sight("7")))), Look::Nothing);
}

#[test]
fn a_pause_is_said_once() {
    let mut record = ready();
    record.asks.paused = true;
    assert_eq!(look(&record, Known::NotYet), Look::Reconcile);
    record.told.paused = true;
    record.asks.generation = 9;
    assert_eq!(look(&record, Known::Sight(None)), Look::Nothing);
    record.asks.paused = false;
    assert_eq!(look(&record, Known::Sight(None)), Look::Reconcile);
}

#[test]
fn only_a_finalizer_makes_a_deletion_our_business() {
    let mut record = ready();
    record.asks.deleting = true;
    assert_eq!(look(&record, Known::Sight(None)), Look::Nothing);
    record.asks.finalizer = true;
    assert_eq!(look(&record, Known::Sight(None)), Look::Reconcile);
}

#[test]
fn an_identity_that_is_gone_is_tried_without_once() {
    let mut record = ready();
    record.told.identities = vec![id('b')];
    assert_eq!(look(&record, Known::Sight(Some(&sight("7")))), Look::Reconcile);
    record.tried = Some(3);
    assert_eq!(look(&record, Known::Sight(Some(&sight("7")))), Look::Nothing);
}

#[test]
fn a_renewal_concerns_only_what_does_not_open() {
    let same = Known::Sight(None);
    for (reason, after) in
        [("NotARecipient", Look::Reconcile), ("CannotOpen", Look::Reconcile), ("NotOwned", Look::Nothing)]
    {
        let mut record = at_fault(reason);
        assert_eq!(look(&record, same), Look::Reconcile, "{reason}: once in the life of a process");
        record.tried = Some(3);
        assert_eq!(look(&record, same), Look::Nothing, "{reason}");
        record.tried = Some(2);
        assert_eq!(look(&record, same), after, "{reason}");
    }
}

#[test]
fn a_secret_that_moves_under_a_fault_is_looked_at() {
    let mut record = at_fault("NotOwned");
    (record.tried, record.tried_known) = (Some(3), Some(sight("7")));
    assert_eq!(look(&record, Known::Sight(Some(&sight("7")))), Look::Nothing);
    assert_eq!(look(&record, Known::Sight(Some(&sight("8")))), Look::Reconcile);
    assert_eq!(look(&record, Known::Sight(None)), Look::Reconcile);
}

#[test]
fn a_foreign_secret_that_the_watch_does_not_show_is_not_looked_at_for_that() {
    let mut record = at_fault("NotOwned");
    (record.tried, record.tried_sight) = (Some(3), Some(sight("7")));
    assert_eq!(look(&record, Known::Sight(None)), Look::Nothing);
}

fn doc(version: &str, generation: i64, status: &str) -> Doc {
    let json = format!(
        r#"{{"metadata":{{"namespace":"n","name":"d","uid":"doc-1","resourceVersion":"{version}","generation":{generation}}},
            "spec":{{}},"status":{status}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

#[test]
fn what_is_not_written_yet_is_not_forgotten_for_an_older_status() {
    let mut record = ready();
    record.unsaved = Some(Box::default());
    assert!(!record.update(&doc("10", 2, r#"{"observedGeneration":-1}"#)));
    assert!(record.unsaved.is_some());
    assert_eq!(record.told.observed, Some(2));
    // Another leader was there in the meantime.
    let later = r#"{"observedGeneration":2,"secret":{"uid":"s-1","resourceVersion":"8","generation":2}}"#;
    assert!(!record.update(&doc("11", 2, later)));
    assert!(record.unsaved.is_none());
}

#[test]
fn events_that_are_late_change_nothing() {
    let mut record = ready();
    assert!(!record.update(&doc("8", 1, "{}")));
    assert_eq!((record.asks.generation, record.told.observed), (2, Some(2)));
    assert!(record.update(&doc("12", 3, "{}")));
    assert_eq!(record.asks.generation, 3);
}

#[test]
fn another_document_of_the_name_begins_anew() {
    let mut record = ready();
    record.unsaved = Some(Box::default());
    let mut other = doc("3", 1, "{}");
    other.metadata.uid = Some("doc-2".to_owned());
    assert!(record.update(&other));
    assert!(record.unsaved.is_none() && record.told == Told::default());
}

#[test]
fn versions_are_compared_as_numbers() {
    assert!(is_later("10", "9") && !is_later("9", "10") && !is_later("9", "9"));
    assert!(is_later("x", "9"));
}
