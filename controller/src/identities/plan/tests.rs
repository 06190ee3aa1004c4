use std::collections::BTreeMap;
use std::sync::LazyLock;

use ageseal::recipient::Identity;

use super::super::content::{Fault, FaultKind};
use super::*;

/// Five recipients; every test takes the ones it needs.
static KEYS: LazyLock<Vec<Public>> =
    LazyLock::new(|| (0..5).map(|_| Identity::generate_x25519().recipient().unwrap().into()).collect());

const X: usize = 0;
const Y: usize = 1;
const Z: usize = 2;
const W: usize = 3;

fn id(key: usize) -> RecipientId {
    KEYS[key].id
}

fn mark(serial: u64, key: usize) -> Mark {
    Mark { serial, id: id(key) }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Noon of a day of January.
fn day(day: i32) -> Timestamp {
    time(&format!("2026-01-{day:02}T12:00:00Z"))
}

fn now() -> Timestamp {
    day(20)
}

const RULES: Rules = Rules { renew_every: Some(SignedDuration::from_hours(24 * 90)), backup: false };

/// A Secret that the controller made: `made(3, X, State::Current)` is `ageseal-identity-3`, made on the third; the ninth is
/// the last day.
fn made(serial: u64, key: usize, state: State) -> SeenSecret {
    SeenSecret {
        name: secret_name(serial),
        resource_version: format!("rv{serial}"),
        state,
        annotation: Some(mark(serial, key).to_string()),
        bound: true,
        created: day(i32::try_from(serial.min(9)).unwrap()),
        recipients: vec![KEYS[key].clone()],
        faults: Vec::new(),
    }
}

/// A Secret that somebody brought, on the tenth.
fn brought(name: &str, keys: &[usize], state: State) -> SeenSecret {
    SeenSecret {
        name: name.to_owned(),
        resource_version: format!("rv-{name}"),
        state,
        annotation: None,
        bound: false,
        created: day(10),
        recipients: keys.iter().map(|key| KEYS[*key].clone()).collect(),
        faults: Vec::new(),
    }
}

fn entry(key: usize, since: Timestamp) -> PublishedRecipient {
    PublishedRecipient {
        id: id(key).to_string(),
        recipient: KEYS[key].text.clone(),
        since: since.to_string(),
        retired: false,
    }
}

fn says(serial: u64, current: PublishedRecipient, older: &[PublishedRecipient]) -> Published {
    Published { serial, current, older: older.to_vec() }
}

fn version() -> Version {
    Version { uid: "u".to_owned(), resource_version: "7".to_owned(), ..Version::default() }
}

fn configmap(published: &Published) -> Option<SeenConfigMap> {
    Some(SeenConfigMap { version: version(), data: published.to_data(), binary: Vec::new() })
}

/// What is remembered of an identity that was seen published.
fn known(serial: u64, key: usize, since: Timestamp) -> Option<Confirmed> {
    Some(Confirmed { mark: mark(serial, key), since, recipient: KEYS[key].text.clone() })
}

/// X was made first, on the first, and is current; nothing is to be done.
fn settled() -> Seen {
    Seen {
        secrets: vec![made(1, X, State::Current)],
        configmap: configmap(&says(1, entry(X, day(1)), &[])),
        was_used: Some(true),
        confirmed: known(1, X, day(1)),
        ..Seen::default()
    }
}

/// Y took over from X on the third.
fn renewed() -> Seen {
    Seen {
        secrets: vec![made(1, X, State::Active), made(3, Y, State::Current)],
        configmap: configmap(&says(3, entry(Y, day(3)), &[entry(X, day(1))])),
        was_used: Some(true),
        confirmed: known(3, Y, day(3)),
        ..Seen::default()
    }
}

fn decide(seen: &Seen) -> Plan {
    plan(seen, &RULES, now())
}

/// What a plan is that has a current identity and nothing to do.
fn quiet(current: Mark, since: Timestamp, order: &[usize]) -> Plan {
    let recipient = KEYS.iter().find(|key| key.id == current.id).unwrap().text.clone();
    let current = Some(Confirmed { mark: current, since, recipient });
    Plan {
        order: order.iter().map(|key| id(*key)).collect(),
        health: Health::Ok,
        current: current.clone(),
        confirmed: current,
        actions: Vec::new(),
        problems: Vec::new(),
        look_again: Some(since + SignedDuration::from_hours(24 * 90)),
    }
}

fn relabel(secret: &SeenSecret, label: &'static str, why: RelabelReason) -> Relabel {
    Relabel {
        secret: secret.name.clone(),
        resource_version: secret.resource_version.clone(),
        label,
        annotation: None,
        why,
    }
}

fn publish(content: Published, why: PublishReason) -> Action {
    let over = (why != PublishReason::Missing).then(version);
    Action::Publish(Publish { content, over, foreign: Foreign::default(), why })
}

fn put_back(content: Published, over: Option<Version>) -> Action {
    Action::Publish(Publish { content, over, foreign: Foreign::default(), why: PublishReason::PutBack })
}

fn back_up(key: usize, urgency: Urgency) -> Action {
    Action::WriteBackup { id: id(key), urgency }
}

#[test]
fn what_is_settled_stays_as_it_is() {
    assert_eq!(decide(&settled()), quiet(mark(1, X), day(1), &[X]));
    assert_eq!(decide(&renewed()), quiet(mark(3, Y), day(3), &[Y, X]));
    // After a restart, too: nothing is remembered, and the same follows.
    assert_eq!(decide(&Seen { confirmed: None, ..renewed() }), quiet(mark(3, Y), day(3), &[Y, X]));
}

#[test]
fn the_first_identity_is_made_only_where_there_never_was_one() {
    let nothing = Seen { was_used: Some(false), ..Seen::default() };
    let first = Plan {
        order: Vec::new(),
        health: Health::None { at_hand: false },
        current: None,
        confirmed: None,
        actions: vec![Action::Create { serial: 1, first: true }],
        problems: Vec::new(),
        look_again: None,
    };
    assert_eq!(decide(&nothing), first);
    // Not before the documents were read: one of them may name an identity.
    let unread = Seen { was_used: None, ..nothing.clone() };
    assert_eq!(decide(&unread), Plan { health: Health::Starting, actions: vec![], ..first.clone() });
    let used = Seen { was_used: Some(true), ..nothing.clone() };
    assert_eq!(decide(&used), Plan { health: Health::Lost { published: None }, actions: vec![], ..first.clone() });
    // A ConfigMap in any state says that there was one.
    let map = SeenConfigMap { version: version(), data: BTreeMap::new(), binary: vec![] };
    let garbage = Seen { configmap: Some(map), ..nothing.clone() };
    assert_eq!(decide(&garbage), Plan { health: Health::Lost { published: None }, actions: vec![], ..first.clone() });
    // So does the memory.
    let confirmed = known(1, X, day(1));
    let remembered = Seen { confirmed: confirmed.clone(), ..nothing.clone() };
    let health = Health::Lost { published: Some(mark(1, X)) };
    let actions = vec![put_back(says(1, entry(X, day(1)), &[]), None)];
    assert_eq!(decide(&remembered), Plan { health, confirmed, actions, ..first.clone() });
    // A name that is taken is left alone.
    let taken = Seen { taken: BTreeSet::from([1, 2]), ..nothing };
    assert_eq!(decide(&taken).actions, [Action::Create { serial: 3, first: true }]);
}

#[test]
fn what_was_begun_is_gone_on_with() {
    // The first identity is there, and nothing else.
    let secret = made(1, X, State::Active);
    let seen = Seen { secrets: vec![secret.clone()], was_used: Some(false), ..Seen::default() };
    let takes_over = Action::Relabel(relabel(&secret, IDENTITY_CURRENT, RelabelReason::TakesOver));
    let content = says(1, entry(X, day(1)), &[]);
    assert_eq!(decide(&seen).actions, [takes_over, publish(content.clone(), PublishReason::Missing)]);
    // It is labelled.
    let seen = Seen { secrets: vec![made(1, X, State::Current)], ..seen };
    let decided = decide(&seen);
    assert_eq!(decided.actions, [publish(content, PublishReason::Missing)]);
    assert_eq!((decided.health, decided.confirmed), (Health::Ok, None));

    // A renewal: Y is there; Y is labelled; X is no more; then the ConfigMap.
    let (x, y) = (made(1, X, State::Current), made(3, Y, State::Active));
    let content = says(3, entry(Y, now()), &[entry(X, day(1))]);
    let y_takes_over = Action::Relabel(relabel(&y, IDENTITY_CURRENT, RelabelReason::TakesOver));
    let x_is_superseded = Action::Relabel(relabel(&x, IDENTITY_ACTIVE, RelabelReason::Superseded));
    let published = publish(content, PublishReason::TakenOver);
    let seen = Seen { secrets: vec![x.clone(), y], ..settled() };
    let decided = decide(&seen);
    assert_eq!(decided.actions, [y_takes_over, x_is_superseded.clone(), published.clone()]);
    assert_eq!(decided.order, [id(Y), id(X)]);
    let seen = Seen { secrets: vec![x, made(3, Y, State::Current)], ..seen };
    assert_eq!(decide(&seen).actions, [x_is_superseded, published.clone()]);
    let seen = Seen { secrets: vec![made(1, X, State::Active), made(3, Y, State::Current)], ..seen };
    assert_eq!(decide(&seen).actions, [published]);
}

#[test]
fn a_backup_comes_before_publication_and_the_others_after_it() {
    let rules = Rules { backup: true, ..RULES };
    let (x, y) = (made(1, X, State::Current), made(3, Y, State::Active));
    let mut seen = Seen { secrets: vec![x.clone(), y.clone()], ..settled() };
    let steps = [
        Action::Relabel(relabel(&y, IDENTITY_CURRENT, RelabelReason::TakesOver)),
        Action::Relabel(relabel(&x, IDENTITY_ACTIVE, RelabelReason::Superseded)),
        publish(says(3, entry(Y, now()), &[entry(X, day(1))]), PublishReason::TakenOver),
    ];
    let mut all = vec![back_up(Y, Urgency::First)];
    all.extend(steps.iter().cloned());
    all.push(back_up(X, Urgency::Late));
    assert_eq!(plan(&seen, &rules, now()).actions, all);
    seen.backups = BTreeSet::from([id(X), id(Y)]);
    assert_eq!(plan(&seen, &rules, now()).actions, steps);
    // What was never current was never made here, and is not backed up.
    let mut seen = settled();
    seen.backups.insert(id(X));
    seen.secrets.push(brought("restored", &[Z], State::Active));
    assert_eq!(plan(&seen, &rules, now()).actions, []);
}

#[test]
fn what_is_public_is_mended_before_it_is_backed_up() {
    let rules = Rules { backup: true, ..RULES };
    let good = says(3, entry(Y, day(3)), &[entry(X, day(1))]);
    let with = |published: Published| Seen { configmap: configmap(&published), ..renewed() };
    let mend = publish(good.clone(), PublishReason::Mended);
    let late = [back_up(Y, Urgency::Late), back_up(X, Urgency::Late)];
    let edited = with(says(3, entry(Z, day(3)), &[entry(X, day(1))]));
    let mended = [&[mend], &late[..]].concat();
    assert_eq!(plan(&edited, &rules, now()).actions, mended);
    // After a restart, too, and while the API server does not take the backup: that is told.
    let cold = Seen { confirmed: None, unsaved: BTreeSet::from([id(Y)]), ..edited.clone() };
    let decided = plan(&cold, &rules, now());
    assert_eq!((decided.actions, decided.health), (mended, Health::Ok));
    assert_eq!(decided.problems, [Problem::Unsaved { id: id(Y) }]);
    // A turned back or missing ConfigMap of an identity that this process saw published.
    let turned_back = with(says(1, entry(Z, day(1)), &[]));
    assert!(matches!(plan(&turned_back, &rules, now()).actions[0], Action::Publish(_)));
    let missing = Seen { configmap: None, ..renewed() };
    assert!(matches!(plan(&missing, &rules, now()).actions[0], Action::Publish(_)));
    // Without a memory it may not have been published yet.
    for seen in [turned_back, missing] {
        let cold = Seen { confirmed: None, ..seen };
        assert_eq!(plan(&cold, &rules, now()).actions[0], back_up(Y, Urgency::First));
    }
    // What nothing waits for keeps no renewal waiting.
    let due = day(3) + SignedDuration::from_hours(24 * 90);
    let create = Action::Create { serial: 4, first: false };
    assert_eq!(plan(&renewed(), &rules, due).actions, [&late[..], &[create]].concat());
}

#[test]
fn a_backup_that_is_refused_is_told() {
    let rules = Rules { backup: true, ..RULES };
    let unsaved = BTreeSet::from([id(X)]);
    let problems = [Problem::Unsaved { id: id(X) }];
    // The very first, which is in no Secret yet; then one that is.
    let nothing = Seen { was_used: Some(false), unsaved: unsaved.clone(), ..Seen::default() };
    let in_secret = Seen { secrets: vec![made(1, X, State::Current)], ..nothing.clone() };
    for seen in [nothing, in_secret] {
        let decided = plan(&seen, &rules, now());
        assert_eq!((decided.health, decided.problems.as_slice()), (Health::Unsaved { id: id(X) }, &problems[..]));
        assert!(!decided.actions.is_empty());
    }
    // A renewal: what was published before goes on being published.
    let unsaved = BTreeSet::from([id(Y)]);
    let secrets = vec![made(1, X, State::Current), made(3, Y, State::Active)];
    let renewal = Seen { secrets, unsaved, ..settled() };
    let decided = plan(&renewal, &rules, now());
    assert_eq!((decided.health, decided.problems), (Health::Ok, vec![Problem::Unsaved { id: id(Y) }]));
    assert_eq!(decided.actions[0], back_up(Y, Urgency::First));
    // What was published before is gone: then nothing good is published.
    let decided = plan(&Seen { secrets: vec![made(3, Y, State::Current)], ..renewal.clone() }, &rules, now());
    assert_eq!(decided.health, Health::Unsaved { id: id(Y) });
    // It is there after all, or none is wanted.
    let decided = plan(&Seen { backups: BTreeSet::from([id(X), id(Y)]), ..renewal.clone() }, &rules, now());
    assert_eq!((decided.health, decided.problems), (Health::Ok, vec![]));
    assert_eq!(decide(&renewal).problems, []);
}

#[test]
fn renewal_waits_for_its_day_and_for_everything_else() {
    let due = day(1) + SignedDuration::from_hours(24 * 90);
    let before = plan(&settled(), &RULES, due - SignedDuration::from_secs(1));
    assert_eq!((before.actions, before.look_again), (vec![], Some(due)));
    let decided = plan(&settled(), &RULES, due);
    assert_eq!(decided.actions, [Action::Create { serial: 2, first: false }]);
    assert_eq!(decided.look_again, None);
    assert_eq!(plan(&settled(), &Rules { renew_every: None, ..RULES }, due).actions, []);
    // Nothing is made while the ConfigMap is not in place.
    let seen = Seen { configmap: None, ..settled() };
    assert_eq!(plan(&seen, &RULES, due).actions.len(), 1);
    // A name that is taken is left alone, whoever took it.
    let mut seen = settled();
    seen.secrets.push(brought(&secret_name(2), &[Z], State::Active));
    seen.taken.insert(3);
    assert_eq!(plan(&seen, &RULES, due).actions, [Action::Create { serial: 4, first: false }]);
}

#[test]
fn a_promoted_identity_is_renewed_by_when_it_was_promoted() {
    let mut x = made(1, X, State::Current);
    x.annotation = Some(mark(4, X).to_string());
    let y = made(3, Y, State::Current);
    let seen = Seen { secrets: vec![x, y.clone()], ..renewed() };
    let decided = decide(&seen);
    let content = says(4, entry(X, now()), &[entry(Y, day(3))]);
    let superseded = Action::Relabel(relabel(&y, IDENTITY_ACTIVE, RelabelReason::Superseded));
    assert_eq!(decided.actions, [superseded, publish(content, PublishReason::TakenOver)]);
    assert_eq!(decided.look_again, Some(now() + SignedDuration::from_hours(24 * 90)));
}

#[test]
fn a_planted_secret_opens_and_is_not_published() {
    let planted = brought("a-planted", &[Z], State::Current);
    let mut copied = planted.clone();
    copied.annotation = Some(mark(3, Y).to_string());
    let mut inflated = planted.clone();
    inflated.annotation = Some(mark(99, Y).to_string());
    let mut other_form = planted.clone();
    other_form.annotation = Some(format!("+99.{}", id(Z)));
    for planted in [planted, copied, inflated, other_form] {
        let mut seen = renewed();
        seen.secrets.insert(0, planted.clone());
        let expected = Plan {
            actions: vec![Action::Relabel(relabel(&planted, IDENTITY_ACTIVE, RelabelReason::Planted))],
            problems: vec![Problem::Planted { secret: "a-planted".to_owned() }],
            ..quiet(mark(3, Y), day(3), &[Y, X, Z])
        };
        let decided = decide(&seen);
        // The order of the others is by mark first: a planted one comes after those that were current.
        assert_eq!(decided, expected, "{:?}", planted.annotation);
        // Nor after a restart, and nor when there is no ConfigMap to compare with.
        assert_eq!(decide(&Seen { confirmed: None, ..seen.clone() }), expected);
        let decided = decide(&Seen { confirmed: None, configmap: None, ..seen });
        assert_eq!(decided.current.unwrap().mark, mark(3, Y));
    }
    // A mark that fits, and that was written elsewhere.
    for (serial, state) in [(99, State::Current), (2, State::Current)] {
        let copied = SeenSecret { bound: false, ..made(serial, Z, state) };
        let mut seen = renewed();
        seen.secrets.push(copied.clone());
        let expected = Plan {
            actions: vec![Action::Relabel(relabel(&copied, IDENTITY_ACTIVE, RelabelReason::Planted))],
            problems: vec![Problem::Copied { secret: copied.name.clone() }],
            ..quiet(mark(3, Y), day(3), &[Y, X, Z])
        };
        assert_eq!(decide(&seen), expected, "{serial}");
        assert_eq!(decide(&Seen { confirmed: None, ..seen.clone() }), expected, "{serial}");
        let decided = decide(&Seen { confirmed: None, configmap: None, ..seen });
        assert_eq!(decided.current.unwrap().mark, mark(3, Y), "{serial}");
    }
    // Alone, before there was any: no identity is made beside it, and it is not published.
    let planted = brought("a-planted", &[Z], State::Current);
    let seen = Seen { secrets: vec![planted.clone()], was_used: Some(false), ..Seen::default() };
    let decided = decide(&seen);
    assert_eq!((decided.health, decided.order), (Health::None { at_hand: true }, vec![id(Z)]));
    assert_eq!(decided.actions, [Action::Relabel(relabel(&planted, IDENTITY_ACTIVE, RelabelReason::Planted))]);
}

#[test]
fn a_copied_secret_opens_and_is_not_published() {
    // The Secret of another cluster's renewal that was stopped in between: nothing is to be relabelled.
    let copied = SeenSecret { bound: false, ..made(99, Z, State::Active) };
    let mut seen = renewed();
    seen.secrets.push(copied.clone());
    let problems = vec![Problem::Copied { secret: copied.name.clone() }];
    let expected = Plan { problems, ..quiet(mark(3, Y), day(3), &[Y, X, Z]) };
    assert_eq!(decide(&seen), expected);
    assert_eq!(decide(&Seen { confirmed: None, ..seen.clone() }), expected);
    // It does not end a loss, either, and its number is none of this cluster.
    seen.secrets.remove(1);
    let lost = decide(&seen);
    assert_eq!((lost.health, lost.actions), (Health::Lost { published: Some(mark(3, Y)) }, vec![]));
    let mut seen = renewed();
    seen.secrets.push(SeenSecret { bound: false, ..made(u64::MAX, Z, State::Active) });
    let due = day(3) + SignedDuration::from_hours(24 * 90);
    assert_eq!(plan(&seen, &RULES, due).actions, [Action::Create { serial: 4, first: false }]);
    // One that is below, or that is to be removed, is told of no more.
    for copied in [made(2, Z, State::Active), made(99, Z, State::Retired)] {
        let mut seen = renewed();
        seen.secrets.push(SeenSecret { bound: false, ..copied });
        assert_eq!(decide(&seen).problems, []);
    }
    // Alone: the first identity is not made beside it, and it waits for somebody.
    let seen = Seen { secrets: vec![copied], was_used: Some(false), ..Seen::default() };
    let decided = decide(&seen);
    assert_eq!((decided.health, decided.actions), (Health::None { at_hand: true }, vec![]));
    // `keys promote` is a mark by us.
    let seen = Seen { secrets: vec![made(100, Z, State::Current)], ..renewed() };
    assert_eq!(decide(&seen).current.unwrap().mark, mark(100, Z));
}

#[test]
fn everything_that_is_restored_goes_on_where_it_was() {
    // Secrets and ConfigMap were copied back: nothing says who wrote the marks, and the ConfigMap vouches for its own.
    let copied = |secret| SeenSecret { bound: false, ..secret };
    let secrets = vec![copied(made(1, X, State::Active)), copied(made(3, Y, State::Current))];
    let seen = Seen { secrets, confirmed: None, ..renewed() };
    assert_eq!(decide(&seen), quiet(mark(3, Y), day(3), &[Y, X]));
    // What the ConfigMap knows was current once is backed up.
    let rules = Rules { backup: true, ..RULES };
    let backups = [back_up(Y, Urgency::Late), back_up(X, Urgency::Late)];
    assert_eq!(plan(&seen, &rules, now()).actions, backups);
    // A ConfigMap of before the renewal: the one that it names goes on, and the newer one waits for somebody.
    let old = configmap(&says(1, entry(X, day(1)), &[]));
    let decided = decide(&Seen { configmap: old, ..seen.clone() });
    assert_eq!(decided.current.unwrap().mark, mark(1, X));
    assert_eq!(decided.problems, [Problem::Copied { secret: secret_name(3) }]);
    // Two Secrets with one identity: the one that was marked here keeps the label.
    let mut copy = copied(made(3, Y, State::Current));
    copy.name = "a-copy".to_owned();
    let mut seen = renewed();
    seen.secrets.insert(0, copy.clone());
    let superseded = Action::Relabel(relabel(&copy, IDENTITY_ACTIVE, RelabelReason::Superseded));
    assert_eq!(decide(&seen).actions, [superseded]);
    // A higher number that was given elsewhere to the same identity is none here.
    copy.annotation = Some(mark(9, Y).to_string());
    seen.secrets = vec![copy.clone()];
    let annotation = Some(mark(3, Y).to_string());
    let back = Relabel { annotation, ..relabel(&copy, IDENTITY_CURRENT, RelabelReason::Returned) };
    assert_eq!(decide(&seen).actions[0], Action::Relabel(back));
}

#[test]
fn an_old_identity_that_was_restored_is_not_published() {
    // Y is gone, and X stands there as it was when it was current.
    let x = made(1, X, State::Current);
    let seen = Seen { secrets: vec![x.clone()], ..renewed() };
    let lost = Plan {
        order: vec![id(X)],
        health: Health::Lost { published: Some(mark(3, Y)) },
        current: None,
        confirmed: known(3, Y, day(3)),
        actions: vec![],
        problems: vec![Problem::Outdated { secret: x.name.clone(), serial: 1 }],
        look_again: None,
    };
    assert_eq!(decide(&seen), lost);
    assert_eq!(decide(&Seen { confirmed: None, ..seen.clone() }), Plan { confirmed: None, ..lost.clone() });
    // Nor when somebody helps by taking the ConfigMap away, or by turning it back, as long as this process remembers: it
    // puts back what was published.
    let good = says(3, entry(Y, day(3)), &[entry(X, day(1))]);
    let actions = vec![put_back(good.clone(), None)];
    assert_eq!(decide(&Seen { configmap: None, ..seen.clone() }), Plan { actions, ..lost.clone() });
    let turned_back = Seen { configmap: configmap(&says(1, entry(X, day(1)), &[])), ..seen.clone() };
    let actions = vec![put_back(good, Some(version()))];
    assert_eq!(decide(&turned_back), Plan { actions, ..lost });
    // With Y beside it, it is labelled as what it is.
    let seen = Seen { secrets: vec![x.clone(), made(3, Y, State::Current)], ..seen };
    let superseded = Action::Relabel(relabel(&x, IDENTITY_ACTIVE, RelabelReason::Superseded));
    assert_eq!(decide(&seen), Plan { actions: vec![superseded], ..quiet(mark(3, Y), day(3), &[Y, X]) });
}

#[test]
fn a_lost_identity_returns() {
    for state in [State::Active, State::Current, State::Retired] {
        for confirmed in [None, renewed().confirmed] {
            // By `keys restore`, without an annotation, beside others in one file.
            let returned = brought("restored", &[Z, Y], state);
            let mut seen = Seen { confirmed, ..renewed() };
            seen.secrets = vec![made(1, X, State::Active), returned.clone()];
            let decided = decide(&seen);
            let annotation = Some(mark(3, Y).to_string());
            let why = RelabelReason::Returned;
            let back = Relabel { annotation, ..relabel(&returned, IDENTITY_CURRENT, why) };
            assert_eq!(decided.actions, [Action::Relabel(back)]);
            assert_eq!((decided.health, decided.problems), (Health::Ok, vec![]));
            assert_eq!(decided.order[0], id(Y));
        }
    }
    // By `keys restore --promote`, which found nothing that said a number: who saw it published knows the number.
    for bound in [true, false] {
        let returned = SeenSecret { bound, ..made(1, Y, State::Current) };
        let seen = Seen { secrets: vec![returned.clone()], configmap: None, ..renewed() };
        let annotation = Some(mark(3, Y).to_string());
        let back = Relabel { annotation, ..relabel(&returned, IDENTITY_CURRENT, RelabelReason::Returned) };
        let anew = publish(says(3, entry(Y, day(3)), &[]), PublishReason::Missing);
        assert_eq!(decide(&seen).actions, [Action::Relabel(back), anew]);
        // The ConfigMap alone may have been made to name an older one.
        let cold = decide(&Seen { confirmed: None, configmap: renewed().configmap, ..seen });
        assert_eq!(cold.health, Health::Lost { published: Some(mark(3, Y)) });
    }
    // Its Secret was relabelled by hand: it goes on being current until another takes over.
    for state in [State::Active, State::Retired] {
        let mut seen = settled();
        seen.secrets = vec![made(1, X, state)];
        let back = relabel(&seen.secrets[0], IDENTITY_CURRENT, RelabelReason::TakesOver);
        assert_eq!(decide(&seen).actions, [Action::Relabel(back)]);
    }
}

#[test]
fn when_all_are_gone_nothing_is_made() {
    let seen = Seen { secrets: vec![], ..settled() };
    let decided = decide(&seen);
    assert_eq!(decided.health, Health::Lost { published: Some(mark(1, X)) });
    assert_eq!((decided.actions, decided.order), (vec![], vec![]));
    // An identity that somebody brings opens; it is not the one that people seal for.
    let seen = Seen { secrets: vec![brought("other", &[Z], State::Active)], ..seen };
    let decided = decide(&seen);
    assert_eq!(decided.health, Health::Lost { published: Some(mark(1, X)) });
    assert_eq!((decided.actions, decided.order), (vec![], vec![id(Z)]));
    // What was published is put back, so that the next serial is above it.
    let missing = Seen { configmap: None, ..seen.clone() };
    assert_eq!(decide(&missing).actions, [put_back(says(1, entry(X, day(1)), &[]), None)]);
    let text = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let garbage = SeenConfigMap { version: version(), data: text("recipients.json", "{"), binary: vec![] };
    let edited = configmap(&says(1, entry(W, day(1)), &[]));
    for map in [Some(garbage), edited] {
        let seen = Seen { configmap: map, ..seen.clone() };
        assert_eq!(decide(&seen).actions, [put_back(says(1, entry(X, day(1)), &[]), Some(version()))]);
        // Without a memory there is nothing to put back.
        assert_eq!(decide(&Seen { confirmed: None, ..seen }).actions, []);
    }
    // `keys new` and `keys promote` give one a serial above the published one, and that ends it.
    let seen = Seen { secrets: vec![made(2, Z, State::Current)], ..seen };
    let content = says(2, entry(Z, now()), &[]);
    assert_eq!(decide(&seen).actions, [publish(content, PublishReason::TakenOver)]);
}

#[test]
fn an_edited_configmap_is_mended() {
    let good = says(3, entry(Y, day(3)), &[entry(X, day(1))]);
    let with = |published: Published| Seen { configmap: configmap(&published), ..renewed() };
    let edits = [
        ("a foreign recipient", with(says(3, entry(Z, day(3)), &[entry(X, day(1))])), true),
        ("a lower serial", with(says(1, entry(Y, day(3)), &[entry(X, day(1))])), true),
        ("the older one first", with(says(1, entry(X, day(1)), &[])), true),
        ("a foreign recipient with a higher serial", with(says(99, entry(Z, day(3)), &[])), false),
        ("an older recipient with a higher serial", with(says(99, entry(X, day(1)), &[])), false),
    ];
    for (what, seen, also_cold) in edits {
        let decided = decide(&seen);
        let [Action::Publish(Publish { content, over, .. })] = decided.actions.as_slice() else {
            panic!("{what}: {:?}", decided.actions);
        };
        assert_eq!((content, over.as_ref()), (&good, Some(&version())), "{what}");
        assert_eq!(decided.health, Health::Ok, "{what}");
        assert_eq!(decided.current.unwrap().mark, mark(3, Y), "{what}");
        // After a restart only a serial that is not above everything at hand can be known for an edit.
        let cold = decide(&Seen { confirmed: None, ..seen });
        if also_cold {
            assert_eq!(cold.current.unwrap().mark, mark(3, Y), "{what}");
        } else {
            assert!(matches!(cold.health, Health::Lost { .. }), "{what}");
            assert_eq!(cold.actions, [], "{what}");
        }
    }
}

#[test]
fn a_configmap_that_is_deleted_or_garbage_is_written_anew() {
    let good = says(3, entry(Y, day(3)), &[entry(X, day(1))]);
    assert_eq!(decide(&Seen { configmap: None, ..renewed() }).actions, [publish(good.clone(), PublishReason::Missing)]);
    let text = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let map = |data| Some(SeenConfigMap { version: version(), data, binary: vec!["b".to_owned()] });
    let mut with_more = good.to_data();
    with_more.insert("more".to_owned(), "text".to_owned());
    for (data, foreign, why) in [
        (BTreeMap::new(), vec![], PublishReason::Mended),
        (text("recipients.json", "{"), vec![], PublishReason::Mended),
        (text("other", "text"), vec!["other".to_owned()], PublishReason::Mended),
        (with_more, vec!["more".to_owned()], PublishReason::Older),
    ] {
        for confirmed in [None, renewed().confirmed] {
            let decided = decide(&Seen { configmap: map(data.clone()), confirmed, ..renewed() });
            let over = Some(version());
            let foreign = Foreign { data: foreign.clone(), binary: vec!["b".to_owned()] };
            let content = good.clone();
            assert_eq!(decided.actions, [Action::Publish(Publish { content, over, foreign, why })]);
        }
    }
}

#[test]
fn an_edited_date_does_not_put_renewal_off() {
    let due = day(1) + SignedDuration::from_hours(24 * 90);
    for since in ["2999-01-01T00:00:00Z", "soon", ""] {
        let mut edited = entry(X, day(1));
        edited.since = since.to_owned();
        for confirmed in [None, settled().confirmed] {
            let seen = Seen { configmap: configmap(&says(1, edited.clone(), &[])), confirmed, ..settled() };
            let decided = decide(&seen);
            assert_eq!(decided.actions, [publish(says(1, entry(X, day(1)), &[]), PublishReason::Mended)], "{since}");
            assert_eq!(decided.look_again, Some(due), "{since}");
        }
    }
}

#[test]
fn of_two_currents_the_one_with_the_higher_serial_is_current() {
    let (x, y) = (made(1, X, State::Current), made(3, Y, State::Current));
    let mut seen = Seen { secrets: vec![x.clone(), y.clone()], ..renewed() };
    let superseded = |secret| Action::Relabel(relabel(secret, IDENTITY_ACTIVE, RelabelReason::Superseded));
    assert_eq!(decide(&seen).actions, [superseded(&x)]);
    // Equal serials: the one that is published, whatever their names.
    let mut z = made(3, Z, State::Current);
    z.name = "a-name-before".to_owned();
    seen.secrets = vec![z.clone(), y];
    seen.configmap = configmap(&says(3, entry(Y, day(3)), &[entry(Z, day(3))]));
    for confirmed in [None, seen.confirmed.clone()] {
        let decided = decide(&Seen { confirmed, ..seen.clone() });
        assert_eq!(decided.actions, [superseded(&z)]);
        assert_eq!(decided.current.unwrap().mark, mark(3, Y));
    }
    // The one that lost does not come back by itself when the other is gone.
    z.state = State::Active;
    let decided = decide(&Seen { secrets: vec![z], ..seen });
    assert_eq!(decided.health, Health::Lost { published: Some(mark(3, Y)) });
}

#[test]
fn several_identities_in_one_secret_all_open_and_one_is_marked() {
    let mut many = made(3, Y, State::Current);
    many.recipients = vec![KEYS[Z].clone(), KEYS[Y].clone(), KEYS[X].clone()];
    let seen = Seen {
        secrets: vec![many],
        configmap: configmap(&says(3, entry(Y, day(3)), &[])),
        confirmed: None,
        ..renewed()
    };
    assert_eq!(decide(&seen), quiet(mark(3, Y), day(3), &[Y, Z, X]));
}

#[test]
fn one_identity_in_two_secrets_counts_once() {
    let y = made(3, Y, State::Current);
    let mut copy = y.clone();
    copy.name = "a-copy".to_owned();
    let mut seen = renewed();
    seen.secrets = vec![copy.clone(), made(1, X, State::Active), y.clone()];
    let decided = decide(&seen);
    assert_eq!(decided.order, [id(Y), id(X)]);
    // One of them keeps the label, and always the same one.
    assert_eq!(decided.actions, [Action::Relabel(relabel(&y, IDENTITY_ACTIVE, RelabelReason::Superseded))]);
    seen.secrets[2].state = State::Active;
    assert_eq!(decide(&seen), quiet(mark(3, Y), day(3), &[Y, X]));
    // It goes, and the other takes its place.
    seen.secrets.remove(0);
    seen.secrets[1].state = State::Active;
    let back = relabel(&seen.secrets[1], IDENTITY_CURRENT, RelabelReason::TakesOver);
    assert_eq!(decide(&seen).actions, [Action::Relabel(back)]);
}

#[test]
fn a_retired_identity_comes_last_and_is_published_as_such() {
    let mut seen = renewed();
    seen.secrets[0].state = State::Retired;
    seen.secrets.push(brought("restored", &[Z], State::Active));
    let decided = decide(&seen);
    assert_eq!(decided.order, [id(Y), id(Z), id(X)]);
    let mut older = entry(X, day(1));
    older.retired = true;
    assert_eq!(decided.actions, [publish(says(3, entry(Y, day(3)), &[older]), PublishReason::Older)]);
    // Made, and retired before it was ever published: it does not take over.
    let mut seen = renewed();
    seen.secrets.push(made(4, Z, State::Retired));
    assert_eq!(decide(&seen).current.unwrap().mark, mark(3, Y));
}

#[test]
fn what_cannot_be_read_is_named_and_left_as_it_is() {
    let fault = Fault { key: "identity.txt".to_owned(), why: FaultKind::Mistyped(2) };
    let mut broken = made(3, Y, State::Current);
    broken.recipients.clear();
    broken.faults = vec![fault.clone()];
    let content = Problem::Content { secret: broken.name.clone(), fault };
    let seen = Seen { secrets: vec![made(1, X, State::Active), broken], ..renewed() };
    let decided = decide(&seen);
    assert_eq!(decided.health, Health::Lost { published: Some(mark(3, Y)) });
    assert_eq!((decided.actions, decided.problems), (vec![], vec![content]));

    let empty = brought("empty", &[], State::Current);
    let odd = brought("odd", &[Z], State::Other);
    let mut seen = settled();
    seen.secrets.extend([empty, odd]);
    let decided = decide(&seen);
    assert_eq!(decided.order, [id(X), id(Z)]);
    assert_eq!(decided.actions, []);
    let problems = [Problem::Empty { secret: "empty".to_owned() }, Problem::Label { secret: "odd".to_owned() }];
    assert_eq!(decided.problems, problems);
}

#[test]
fn the_largest_serial_is_the_end() {
    let due = day(1) + SignedDuration::from_hours(24 * 90);
    let mut seen = settled();
    seen.secrets[0].annotation = Some(mark(u64::MAX, X).to_string());
    seen.configmap = configmap(&says(u64::MAX, entry(X, day(1)), &[]));
    seen.confirmed = None;
    let decided = plan(&seen, &RULES, due);
    assert_eq!((decided.actions, decided.problems), (vec![], vec![Problem::Serials]));
}

#[test]
fn an_immutable_configmap_is_told_apart() {
    let mut seen = renewed();
    let map = seen.configmap.as_mut().unwrap();
    map.version.immutable = true;
    // As long as it says the right thing it may stay so.
    assert_eq!(decide(&seen).actions, []);
    seen.configmap.as_mut().unwrap().data.clear();
    let [Action::Publish(publish)] = &decide(&seen).actions[..] else { panic!("nothing is mended") };
    assert!(publish.over.as_ref().unwrap().immutable);
}

#[test]
fn texts_say_what_to_do_next() {
    let lost = Health::Lost { published: Some(mark(3, Y)) }.to_string();
    assert!(lost.contains(&id(Y).to_string()) && lost.contains("`ageseal keys restore FILE`"), "{lost}");
    assert!(lost.contains("`ageseal keys new`") && lost.contains(&mark(3, Y).to_string()), "{lost}");
    let unsaved = Health::Unsaved { id: id(X) }.to_string();
    assert!(unsaved.contains(&format!("ConfigMap ageseal-backup-{}", id(X))), "{unsaved}");
    let copied = Problem::Copied { secret: "s".to_owned() }.to_string();
    assert!(copied.contains("Secret s") && copied.contains("ageseal keys promote"), "{copied}");
    let unmarked = Health::None { at_hand: true }.to_string();
    assert!(unmarked.contains("`ageseal keys promote ID`"), "{unmarked}");
    let planted = Problem::Planted { secret: "s".to_owned() }.to_string();
    assert!(planted.contains("Secret s") && planted.contains("ageseal keys promote"), "{planted}");
    let fault = Fault { key: "k".to_owned(), why: FaultKind::Line(3) };
    let content = Problem::Content { secret: "s".to_owned(), fault }.to_string();
    assert_eq!(content, "Secret s: its data key k has no age identity on line 3; the other identities open");
}
