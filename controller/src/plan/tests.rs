use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::*;

fn wanted() -> Wanted {
    Wanted {
        name: "db".to_owned(),
        uid: "doc-1".to_owned(),
        secret_type: "Opaque".to_owned(),
        immutable: None,
        marks: Marks::default(),
        keys: BTreeSet::from(["password".to_owned()]),
        mode: Mode::Replace,
        adopt: false,
        deletion: DeletionPolicy::Delete,
        replace: Replace::Never,
    }
}

fn merging() -> Wanted {
    Wanted { mode: Mode::Merge, ..wanted() }
}

fn facts() -> SecretFacts {
    SecretFacts { uid: "s-1".to_owned(), resource_version: "7".to_owned(), ..SecretFacts::default() }
}

fn owner(uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: "ageseal.dev/v1alpha1".to_owned(),
        kind: "SealedSecret".to_owned(),
        name: "db".to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        ..OwnerReference::default()
    }
}

fn exactly() -> Precondition {
    Precondition::Exactly { uid: "s-1".to_owned(), resource_version: "7".to_owned() }
}

fn reason(plan: Plan) -> ReadyReason {
    match plan {
        Plan::Refuse(fault) => fault.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_there_is_made_and_never_overwritten() {
    let write =
        Write { precondition: Precondition::Absent, force: true, managed: Managed::Owned, owner: true, created: false };
    assert_eq!(plan(&wanted(), &Seen::Absent), Plan::Write(write));
}

#[test]
fn a_secret_that_outlives_its_document_has_no_owner() {
    let wanted = Wanted { deletion: DeletionPolicy::Retain, ..wanted() };
    let Plan::Write(write) = plan(&wanted, &Seen::Absent) else { panic!("a write") };
    assert_eq!((write.managed, write.owner), (Managed::Retained, false));
}

#[test]
fn our_own_is_written_as_it_was_seen() {
    for ours in [
        SecretFacts { owners: vec![owner("doc-1")], ..facts() },
        SecretFacts { owners: vec![owner("a document that is gone")], ..facts() },
        SecretFacts { managed: Some(Managed::Owned), applied: true, ..facts() },
        SecretFacts { managed: Some(Managed::Retained), applied: true, ..facts() },
        SecretFacts { managed: Some(Managed::Merged), created: true, applied: true, ..facts() },
    ] {
        let Plan::Write(write) = plan(&wanted(), &Seen::There(ours)) else { panic!("a write") };
        assert_eq!((write.precondition, write.force), (exactly(), true));
    }
}

#[test]
fn a_foreign_secret_is_left_as_it_is() {
    assert_eq!(reason(plan(&wanted(), &Seen::There(facts()))), ReadyReason::NotOwned);
    let merged = SecretFacts { managed: Some(Managed::Merged), ..facts() };
    assert_eq!(reason(plan(&wanted(), &Seen::There(merged))), ReadyReason::NotOwned);
}

#[test]
fn adopting_wants_both_sides_to_agree() {
    let agreeing = SecretFacts { adopt_by: Some("db".to_owned()), ..facts() };
    let adopting = Wanted { adopt: true, ..wanted() };
    assert!(matches!(plan(&adopting, &Seen::There(agreeing.clone())), Plan::Write(_)));
    assert_eq!(reason(plan(&wanted(), &Seen::There(agreeing.clone()))), ReadyReason::NotOwned);
    assert_eq!(reason(plan(&adopting, &Seen::There(facts()))), ReadyReason::NotOwned);
    let other = SecretFacts { adopt_by: Some("web".to_owned()), ..facts() };
    assert_eq!(reason(plan(&adopting, &Seen::There(other))), ReadyReason::NotOwned);
    let controlled = OwnerReference { kind: "ExternalSecret".to_owned(), ..owner("x") };
    let controlled = SecretFacts { owners: vec![controlled], ..agreeing.clone() };
    assert_eq!(reason(plan(&adopting, &Seen::There(controlled))), ReadyReason::NotOwned);
    let helm = Wanted { secret_type: HELM_RELEASE.to_owned(), ..adopting };
    assert_eq!(reason(plan(&helm, &Seen::There(agreeing))), ReadyReason::NotOwned);
}

#[test]
fn merging_takes_nothing_over_and_owns_nothing() {
    let Plan::Write(write) = plan(&merging(), &Seen::There(facts())) else { panic!("a write") };
    assert_eq!(
        write,
        Write { precondition: exactly(), force: false, managed: Managed::Merged, owner: false, created: false }
    );
    let Plan::Write(made) = plan(&merging(), &Seen::Absent) else { panic!("a write") };
    assert_eq!((made.precondition, made.created), (Precondition::Absent, true));
    let helm = Wanted { secret_type: HELM_RELEASE.to_owned(), ..merging() };
    assert_eq!(reason(plan(&helm, &Seen::There(facts()))), ReadyReason::NotOwned);
}

#[test]
fn what_is_going_is_waited_for() {
    let going = SecretFacts { deleting: true, managed: Some(Managed::Owned), ..facts() };
    assert_eq!(plan(&wanted(), &Seen::There(going.clone())), Plan::Wait);
    assert_eq!(plan(&merging(), &Seen::There(going)), Plan::Wait);
}

#[test]
fn live_tokens_are_not_minted() {
    for secret_type in ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"] {
        assert_eq!(check_type(secret_type, &[]).unwrap_err().reason, ReadyReason::DeniedType);
        assert_eq!(check_type(secret_type, &[secret_type.to_owned()]), Ok(()));
    }
    assert_eq!(check_type("Opaque", &[]), Ok(()));
}

fn write_of(wanted: &Wanted) -> Write {
    let Plan::Write(write) = plan(wanted, &Seen::Absent) else { panic!("a write") };
    write
}

#[test]
fn keys_of_others_leave_under_replace_and_stay_under_merge() {
    let foreign = BTreeSet::from(["password".to_owned(), "planted".to_owned()]);
    let after = SecretFacts { owners: vec![owner("doc-1")], foreign, ..facts() };
    let patch = tidy(&wanted(), &write_of(&wanted()), &after);
    let expected = json!({"data": {"planted": null}, "metadata": {"uid": "s-1", "resourceVersion": "7"}});
    assert_eq!(patch, Some(expected));
    let after = SecretFacts { owners: vec![], ..after };
    assert_eq!(tidy(&merging(), &write_of(&merging()), &after), None);
}

#[test]
fn owners_that_are_gone_are_taken_out() {
    let after = SecretFacts { owners: vec![owner("doc-0"), owner("doc-1")], ..facts() };
    let patch = tidy(&wanted(), &write_of(&wanted()), &after).unwrap();
    assert_eq!(patch["metadata"]["ownerReferences"], json!([owner("doc-1")]));
    assert_eq!(patch.get("data"), None);
    let retain = Wanted { deletion: DeletionPolicy::Retain, ..wanted() };
    let patch = tidy(&retain, &write_of(&retain), &after).unwrap();
    assert_eq!(patch["metadata"]["ownerReferences"], json!([]));
    let right = SecretFacts { owners: vec![owner("doc-1")], ..facts() };
    assert_eq!(tidy(&wanted(), &write_of(&wanted()), &right), None);
}

fn merged_facts() -> SecretFacts {
    let ours = BTreeSet::from(["password".to_owned()]);
    SecretFacts { managed: Some(Managed::Merged), applied: true, ours, ..facts() }
}

#[test]
fn merged_keys_leave_with_their_document() {
    let ours = BTreeSet::from(["password".to_owned()]);
    let merged = merged_facts();
    let fields =
        Leave::Fields { uid: "s-1".to_owned(), resource_version: "7".to_owned(), keys: ours, one_by_one: false };
    let deleted = Leave::Delete { uid: "s-1".to_owned(), resource_version: "7".to_owned() };
    assert_eq!(leave(DeletionPolicy::Delete, &Seen::There(merged.clone())), fields);
    assert_eq!(leave(DeletionPolicy::Retain, &Seen::There(merged.clone())), Leave::Nothing);
    assert_eq!(leave(DeletionPolicy::Delete, &Seen::Absent), Leave::Nothing);
    assert_eq!(leave(DeletionPolicy::Delete, &Seen::There(facts())), Leave::Nothing);
    let made = SecretFacts { created: true, ..merged };
    assert_eq!(leave(DeletionPolicy::Delete, &Seen::There(made.clone())), deleted);
    let shared = SecretFacts { foreign: BTreeSet::from(["theirs".to_owned()]), ..made };
    assert_eq!(leave(DeletionPolicy::Delete, &Seen::There(shared)), fields);
    let foreign_text = BTreeSet::from(["text".to_owned()]);
    let text = SecretFacts { foreign: foreign_text.clone(), foreign_text, ..merged_facts() };
    assert!(matches!(leave(DeletionPolicy::Delete, &Seen::There(text)), Leave::Fields { one_by_one: true, .. }));
    // One that is wholly a document's goes by its owner, and is not emptied before.
    let owned = SecretFacts { managed: Some(Managed::Owned), owners: vec![owner("doc-1")], ..facts() };
    assert_eq!(leave(DeletionPolicy::Delete, &Seen::There(owned)), Leave::Nothing);
}

#[test]
fn keys_that_another_applied_as_text_are_not_overwritten() {
    let theirs = BTreeSet::from(["password".to_owned()]);
    let facts = SecretFacts { foreign: theirs.clone(), foreign_text: theirs.clone(), ..facts() };
    let Plan::Refuse(fault) = plan(&merging(), &Seen::There(facts.clone())) else { panic!("a refusal") };
    assert_eq!((fault.reason, fault.keys), (ReadyReason::NotOwned, vec!["password".to_owned()]));
    let shared = SecretFacts { ours: theirs, ..facts };
    assert!(matches!(plan(&merging(), &Seen::There(shared)), Plan::Write(_)));
}

#[test]
fn a_token_that_kubernetes_minted_stays() {
    let foreign = ["token", "ca.crt", "namespace", "planted"].map(str::to_owned).into();
    let after = SecretFacts { owners: vec![owner("doc-1")], foreign, ..facts() };
    let token = Wanted { secret_type: "kubernetes.io/service-account-token".to_owned(), ..wanted() };
    let patch = tidy(&token, &write_of(&token), &after).unwrap();
    assert_eq!(patch["data"], json!({"planted": null}));
    let opaque = tidy(&wanted(), &write_of(&wanted()), &after).unwrap();
    assert_eq!(opaque["data"].as_object().unwrap().len(), 4);
}
