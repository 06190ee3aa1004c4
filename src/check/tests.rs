//! A test for each code, and for what must not be found.

use rand_core::OsRng;

use super::testing::*;
use super::*;
use crate::envelope::FreshDek;
use crate::recipient::Identity;
use crate::recipient::KeyRing;

const PATH: &str = "prod/db.sealed.yaml";

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: queue\nstringData:\n  password: canary-hunter2\n  user: app\ndata:\n  more: Y2FuYXJ5LWh1bnRlcjI=\n";

/// The one finding of a document for prod.
fn one(path: &str, text: &str, context: &Context<'_>) -> Finding {
    let report = report(path, text, context);
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    report.findings[0].clone()
}

fn nothing() -> Context<'static> {
    Context::new(NOW)
}

/// The finding of a good document in which one text is replaced.
fn edited(from: &str, to: &str) -> Vec<Code> {
    let prod = classic();
    let house = House::of(&[&prod]);
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod]);
    assert!(text.contains(from), "{from}");
    codes(&report(PATH, &text.replacen(from, to, 1), &house.context()))
}

#[test]
fn a_good_document_has_no_finding() {
    for prod in [vec![classic(), classic()], vec![hybrid(), hybrid()]] {
        let prod: Vec<&Identity> = prod.iter().collect();
        let house = House::of(&prod);
        let text = document("shop-prod", "db", "shop-prod/db", &prod);
        let report = report(PATH, &text, &house.context().strict(true));
        assert_eq!(report.findings, []);
        assert_eq!((report.documents, report.values, report.opened), (1, 2, 0));
    }
}

#[test]
fn a_plaintext_secret_is_found_with_its_keys() {
    let finding = one("base/queue.yaml", SECRET, &nothing());
    assert_eq!(finding.code, Code::PlaintextSecret);
    assert_eq!(finding.at, Some(Location { line: 9, column: 3 }));
    assert_eq!(finding.lines, ["kind Secret, queue: data.more, stringData.password, stringData.user <redacted>"]);
    assert_eq!(finding.hint.as_deref(), Some("ageseal seal --in-place base/queue.yaml"));
    let beside = one("base/queue.secret.yaml", SECRET, &nothing()).hint;
    assert_eq!(
        beside.as_deref(),
        Some("ageseal seal base/queue.secret.yaml, and let git ignore base/queue.secret.yaml")
    );
    assert_eq!(
        finding.message(),
        "plaintext Secret: kind Secret, queue: data.more, stringData.password, stringData.user <redacted>"
    );
}

#[test]
fn plaintext_is_found_in_streams_lists_and_json() {
    let text = format!("kind: ConfigMap\n---\n{SECRET}---\n{SECRET}");
    assert_eq!(codes(&report("a.yaml", &text, &nothing())), [Code::PlaintextSecret; 2]);
    let list = "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [{\"kind\": \"Secret\", \"apiVersion\": \"v1\", \"data\": {\"p\": \"Y2FuYXJ5LWh1bnRlcjI=\"}}]}";
    assert_eq!(codes(&report("a.json", list, &nothing())), [Code::PlaintextSecret]);
}

#[test]
fn what_only_aliases_and_merge_keys_say_is_found_too() {
    let text = "base: &b {p: canary-hunter2}\nkind: Secret\nstringData: *b\n";
    assert_eq!(one("a.yaml", text, &nothing()).lines, ["kind Secret: stringData.p <redacted>"]);
    let text = "base: &b\n  kind: Secret\n  stringData: {p: canary-hunter2}\n<<: *b\n";
    assert_eq!(report("a.yaml", text, &nothing()).findings[0].lines, ["kind Secret: values <redacted>"]);
}

#[test]
fn a_value_in_the_place_of_a_name_is_not_said() {
    let text = "kind: Secret\nmetadata: {name: 'canary-hunter2 x'}\nstringData: {'canary-hunter2 x': y}\n";
    let finding = one("a.yaml", text, &nothing());
    assert_eq!(finding.lines, ["kind Secret, <no name>: stringData.<no name> <redacted>"]);
}

#[test]
fn a_secret_without_values_and_secrets_of_others_are_no_finding() {
    for text in [
        "apiVersion: v1\nkind: Secret\nmetadata: {name: token}\ntype: kubernetes.io/service-account-token\n",
        "apiVersion: v1\nkind: Secret\ndata: {}\n",
        "apiVersion: example.com/v1\nkind: Secret\ndata: {a: b}\n",
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nspec: {data: []}\n",
        "",
        "# Secret\n",
    ] {
        assert_eq!(codes(&report("a.yaml", text, &nothing())), [], "{text}");
    }
}

#[test]
fn embedded_plaintext_is_found() {
    let inner = SECRET.replace('\n', "\n    ");
    let text =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: host}}\ndata:\n  all.yaml: |\n    {inner}\n");
    let finding = one("a.yaml", &text, &nothing());
    assert_eq!(finding.code, Code::PlaintextEmbedded);
    assert_eq!(finding.at.map(|at| at.line), Some(6));
    assert_eq!(finding.lines, ["ConfigMap host: data.all.yaml, queue: more, password, user <redacted>"]);
    let binary = "apiVersion: v1\nkind: ConfigMap\nbinaryData:\n  m.yaml: YXBpVmVyc2lvbjogdjEKa2luZDogU2VjcmV0CmRhdGE6IHtrOiBlQT09fQo=\n";
    assert_eq!(one("a.yaml", binary, &nothing()).code, Code::PlaintextEmbedded);
}

#[test]
fn last_applied_of_a_sealed_document_is_found() {
    let prod = classic();
    let house = House::of(&[&prod]);
    let annotation = "metadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"p\":\"Y2FuYXJ5LWh1bnRlcjI=\"}}'\n";
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod]).replacen("metadata:\n", annotation, 1);
    let finding = one(PATH, &text, &house.context());
    assert_eq!((finding.code, finding.at.map(|at| at.line)), (Code::PlaintextLastApplied, Some(5)));
}

#[test]
fn a_template_in_a_config_map_is_suspected() {
    let text = "apiVersion: v1\nkind: ConfigMap\ndata:\n  t: |\n    kind: Secret\n    metadata: {{ .x }}-y\n    stringData:\n      p: canary-hunter2\n";
    assert_eq!(one("a.yaml", text, &nothing()).code, Code::PlaintextSuspected);
}

#[test]
fn a_file_that_cannot_be_read_cannot_be_proved_clean() {
    for text in [
        "kind: Secret\nstringData: {p: canary-hunter2\n",
        "kind: Secret\nkind: Secret\n",
        "%YAML 1.1\n---\nkind: Secret\n",
    ] {
        assert_eq!(one("a.yaml", text, &nothing()).code, Code::Unreadable, "{text}");
    }
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(SECRET.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let report = check_text(source("a.yaml"), utf16, &nothing());
    assert_eq!(codes(&report), [Code::Unreadable]);
    assert_eq!(report.findings[0].lines, ["the text is UTF-16 (little endian), not UTF-8"]);
    // Nobody can apply these, and they do not even name a Secret.
    for text in ["a: {b", "a: \"\\d\"", "{{ template }}\nx: \\"] {
        assert_eq!(codes(&super::check_text(source("a.yaml"), text.into(), &nothing())), [], "{text}");
    }
}

#[test]
fn json_that_yaml_readers_stumble_over_is_read() {
    for text in [
        "{\n\t\"kind\": \"List\",\n\t\"x\": \"Secret\"\n}\n",
        "{\"x\": \"Secret \\ud83d\\ude00 \\/\"}",
        "{\"x\": \"Secret\", \"y\": [1,2,{\"a\":null}]}",
        "{\"x\":\"Secret\",\n\"y\":\t1}\n",
    ] {
        assert_eq!(codes(&report("a.json", text, &nothing())), [], "{text}");
    }
}

#[test]
fn the_allow_list_is_counted_and_not_told() {
    let house = House::of(&[&classic()]);
    let text = format!("{SECRET}---\n{SECRET}");
    let allowed = report("docs/x/a.yaml", &text, &house.context());
    assert_eq!((codes(&allowed), allowed.allowed), (vec![], 2));
    assert_eq!(report("docs/a.yaml", "kind: Secret\nx: {{ y }}-z\n", &house.context()).allowed, 1);
    assert_eq!(codes(&report("doc/a.yaml", &text, &house.context())), [Code::PlaintextSecret; 2]);
}

#[test]
fn git_decides_what_a_plaintext_is() {
    let settled = |git, text: &str| {
        let mut found = report("a.yaml", text, &nothing());
        assert!(found.has_plaintext());
        found.settle(git);
        found.findings[0].clone()
    };
    let ignored = settled(InGit::Ignored, SECRET);
    assert_eq!((ignored.code, ignored.level), (Code::IgnoredPlaintext, Level::Note));
    let kept = settled(InGit::Kept, SECRET);
    assert_eq!((kept.code, kept.level), (Code::PlaintextSecret, Level::Error));
    assert!(kept.hint.unwrap().ends_with("git history keeps these"));
    assert_eq!(settled(InGit::Unknown, SECRET), one("a.yaml", SECRET, &nothing()));
    let unreadable = settled(InGit::Ignored, "kind: Secret\nkind: x\n");
    assert_eq!((unreadable.code, unreadable.level), (Code::Unreadable, Level::Note));
}

#[test]
fn edits_by_hand_are_malformed() {
    for (from, to) in [
        ("v1alpha1", "v1beta1"),
        ("kind: SealedSecret", "kind: SealedSecrets"),
        ("ageseal.dev/", "ageseal.io/"),
        ("  scope:\n", "  scopes: []\n  scope:\n"),
        ("- 'shop-prod/db'", "- 'shop-prod/db'\n  - 'shop-prod/a'"),
        ("- 'shop-prod/db'", "- 'shop-prod'"),
        ("value: ags1", "value: ags2"),
        ("recipients: [r", "recipients: [R"),
        ("name: db\n", "name: DB\n"),
        ("    user:\n", "    us/er:\n"),
    ] {
        assert_eq!(edited(from, to), [Code::Malformed], "{from} -> {to}");
    }
}

#[test]
fn the_rule_is_told_even_of_a_malformed_document() {
    let house = House::of(&[&classic()]);
    let text = "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\n";
    let found = codes(&report("elsewhere/db.yaml", text, &house.context()));
    assert!(found.contains(&Code::Malformed) && found.contains(&Code::NoRule), "{found:?}");
}

#[test]
fn a_broken_envelope_is_found() {
    assert_eq!(edited("BEGIN AGE", "BEGIN EGA"), [Code::BadEnvelope]);
    assert_eq!(edited("YWdlLWVuY3J5cHRpb24ub3JnL3Yx", "YWdlLWVuY3J5cHRpb24ub3JnL3Yy"), [Code::BadEnvelope]);
}

#[test]
fn a_missing_envelope_is_found_and_the_one_in_its_place_is_an_orphan() {
    assert_eq!(edited("    user:\n      value: ags1.", "    user:\n      value: ags1.0123456789abcdef.").len(), 1);
    let prod = classic();
    let house = House::of(&[&prod]);
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod]);
    let kid = text.split("envelopes:\n    k").nth(1).unwrap()[..16].to_owned();
    let text = text.replace(&format!("    k{kid}:"), "    k0123456789abcdef:");
    let found = report(PATH, &text, &house.context());
    assert_eq!(codes(&found), [Code::MissingEnvelope, Code::MissingEnvelope, Code::OrphanEnvelope]);
    assert_eq!(found.findings[2].level, Level::Note);
    assert_eq!(
        found.findings[0].lines[0],
        "shop-prod/db: password has none of its own, and spec.envelopes has none for its key id"
    );
}

#[test]
fn an_envelope_that_no_value_uses_is_a_note_whoever_it_is_for() {
    let (prod, other) = (classic(), classic());
    let house = House::of(&[&prod]);
    let orphan = envelope(&FreshDek::generate(&mut OsRng), &[&other], "      ");
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod]) + "    k0123456789abcdef:\n" + &orphan;
    assert_eq!(one(PATH, &text, &house.context()).code, Code::OrphanEnvelope);
}

#[test]
fn a_document_too_large_for_apply_is_found() {
    let labels: String = (0..3000).map(|n| format!("        l{n}: '{}'\n", "x".repeat(60))).collect();
    let text = format!("  template:\n    metadata:\n      labels:\n{labels}  encryptedData:\n");
    assert_eq!(edited("  encryptedData:\n", &text), [Code::TooLarge]);
}

#[test]
fn a_path_without_a_rule_is_found_once() {
    let prod = classic();
    let house = House::of(&[&prod]);
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod]);
    let finding = one("elsewhere/db.yaml", &format!("{text}---\n{text}"), &house.context());
    assert_eq!(finding.code, Code::NoRule);
    assert!(finding.hint.unwrap().contains("policy.yaml"));
}

#[test]
fn a_missing_recipient_is_named() {
    let (prod, recovery) = (classic(), classic());
    let house = House::of(&[&prod, &recovery]);
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod]);
    let finding = one(PATH, &text, &house.context());
    assert_eq!(finding.code, Code::MissingRecipient);
    assert_eq!(finding.lines, [format!("shop-prod/db: not sealed for prod ({})", public(&recovery).id())]);
}

#[test]
fn a_stranger_is_named_with_the_keys_it_reads() {
    let (prod, dev, nobody) = (classic(), classic(), classic());
    let house = House::new(&[("prod", format!("{}\n", public(&prod))), ("dev", format!("{}\n", public(&dev)))]);
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod, &dev]);
    let finding = one(PATH, &text, &house.context());
    assert_eq!(finding.code, Code::UnknownRecipient);
    assert_eq!(finding.lines, [format!("shop-prod/db: sealed for dev ({})", public(&dev).id())]);
    // A value that was sealed alone, for one more.
    let dek = FreshDek::generate(&mut OsRng);
    let own = format!("      envelope:\n{}", envelope(&dek, &[&prod, &nobody], "        "));
    let user = format!("    zone:\n      value: {}\n{own}  envelopes:\n", value(&dek, "zone", "shop-prod/db"));
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod]).replacen("  envelopes:\n", &user, 1);
    let finding = one(PATH, &text, &house.context());
    assert_eq!(finding.lines, [format!("shop-prod/db, zone: sealed for {}", public(&nobody).id())]);
}

#[test]
fn a_superseded_key_is_a_note_until_its_day_is_over() {
    let (old, new) = (classic(), classic());
    for (until, strict, level) in
        [("2026-11-18", false, Level::Note), ("2026-11-17", false, Level::Error), ("2026-11-18", true, Level::Error)]
    {
        let house =
            House::new(&[("prod", format!("{}\n# superseded, until {until}\n{}\n", public(&new), public(&old)))]);
        let context = house.context().strict(strict);
        let finding = one(PATH, &document("shop-prod", "db", "shop-prod/db", &[&old]), &context);
        assert_eq!((finding.code, finding.level), (Code::SupersededRecipient, level), "{until} {strict}");
        assert!(finding.lines[0].ends_with(until), "{finding:?}");
        // Sealed for both: still one too many, and nobody is missing.
        let both = one(PATH, &document("shop-prod", "db", "shop-prod/db", &[&old, &new]), &context);
        assert_eq!((both.code, both.level), (Code::SupersededRecipient, level));
    }
}

#[test]
fn one_superseded_key_stands_in_for_one_new_key_only() {
    let (old, new, third) = (classic(), classic(), classic());
    let text = format!("{}\n{}\n# superseded, until 2027-01-01\n{}\n", public(&new), public(&third), public(&old));
    let house = House::new(&[("prod", text)]);
    let mut found = codes(&report(PATH, &document("shop-prod", "db", "shop-prod/db", &[&old]), &house.context()));
    found.sort_unstable();
    assert_eq!(found, [Code::MissingRecipient, Code::SupersededRecipient]);
}

#[test]
fn claims_are_held_against_the_stanzas() {
    let (prod, second, stranger) = (classic(), classic(), classic());
    let two = House::of(&[&prod, &second]);
    let ids = |list: &[&Identity]| {
        let ids: Vec<_> = list.iter().map(|identity| public(identity).id().to_string()).collect();
        format!("recipients: [{}]", ids.join(", "))
    };
    let claiming = |sealed: &[&Identity], claim: &[&Identity]| {
        document("shop-prod", "db", "shop-prod/db", sealed).replacen(&ids(sealed), &ids(claim), 1)
    };
    // More readers than are claimed; fewer; one claimed twice to make room for another.
    let hidden = claiming(&[&prod, &second, &stranger], &[&prod, &second]);
    let finding = one(PATH, &hidden, &two.context());
    assert_eq!(finding.code, Code::ClaimMismatch);
    assert!(finding.lines[0].contains("claims 2 recipients, and has 3 stanzas"), "{finding:?}");
    assert_eq!(one(PATH, &claiming(&[&prod], &[&prod, &second]), &two.context()).code, Code::ClaimMismatch);
    let twice = claiming(&[&prod, &stranger], &[&prod, &prod]);
    let single = House::of(&[&prod]);
    assert_eq!(one(PATH, &twice, &single.context()).code, Code::ClaimMismatch);
    assert_eq!(codes(&report(PATH, &twice, &nothing())), [Code::ClaimMismatch], "without a policy too");
    // A claim of another kind.
    let strong = hybrid();
    let house = House::of(&[&strong]);
    let finding = one(PATH, &claiming(&[&prod], &[&strong]), &house.context());
    assert!(finding.lines[0].ends_with("claims a post-quantum (age1pq), and its stanzas are X25519"), "{finding:?}");
}

#[test]
fn a_classic_copy_of_a_post_quantum_key_is_found() {
    let (strong, weak) = (hybrid(), classic());
    let also = envelope(&FreshDek::generate(&mut OsRng), &[&weak], "        ").replacen("        ", "      - ", 1);
    let text = document("shop-prod", "db", "shop-prod/db", &[&strong]) + "      also:\n" + &also;
    assert_eq!(codes(&report(PATH, &text, &nothing())), [Code::MixedRecipients]);
}

#[test]
fn a_scope_beyond_the_rule_is_found() {
    let prod = classic();
    let house = House::of(&[&prod]);
    let finding = one(PATH, &document("shop-test", "db", "shop-test/db", &[&prod]), &house.context());
    assert_eq!(finding.code, Code::ScopeBeyondPolicy);
    assert_eq!(finding.at, Some(Location { line: 7, column: 3 }));
    assert!(finding.lines[0].contains("shop-test/db") && finding.lines[0].contains("shop-prod/*"), "{finding:?}");
    // The scope of one value.
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod]).replacen(
        "    user:\n",
        "    user:\n      scope: ['*/db']\n",
        1,
    );
    let finding = one(PATH, &text, &house.context());
    assert_eq!((finding.code, finding.at.map(|at| at.line)), (Code::ScopeBeyondPolicy, Some(12)));
    assert!(finding.lines[0].starts_with("shop-prod/db, user: "), "{finding:?}");
}

#[test]
fn a_document_that_was_moved_will_not_open() {
    for (from, to, place) in [
        ("namespace: shop-prod", "namespace: shop-test", "shop-test/db"),
        ("name: db\n", "name: p-db\n", "shop-prod/p-db"),
    ] {
        let prod = classic();
        let house = House::of(&[&prod]);
        let text = document("shop-prod", "db", "shop-prod/db", &[&prod]).replacen(from, to, 1);
        let finding = one(PATH, &text, &house.context());
        assert_eq!(finding.code, Code::ScopeMismatch);
        assert_eq!(finding.lines, ["sealed for shop-prod/db".to_owned(), format!("this document is {place}")]);
    }
}

#[test]
fn without_a_namespace_the_name_is_still_checked() {
    let prod = classic();
    let house = House::of(&[&prod]);
    let finding = one(PATH, &document("", "db", "shop-prod/db", &[&prod]), &house.context());
    assert_eq!((finding.code, finding.level), (Code::NoNamespace, Level::Note));
    let found = codes(&report(PATH, &document("", "cache", "shop-prod/db", &[&prod]), &house.context()));
    assert_eq!(found, [Code::NoNamespace, Code::ScopeMismatch]);
    let found = codes(&report(PATH, &document("", "db", "*-prod/d*", &[&prod]), &nothing()));
    assert_eq!(found, [Code::NoNamespace]);
}

#[test]
fn a_hash_is_yet_to_come_in_a_source_and_there_in_what_is_built() {
    let prod = classic();
    let text = document("shop-prod", "db", "shop-prod/db-{hash}", &[&prod]);
    assert_eq!(codes(&report(PATH, &text, &nothing())), []);
    let built = |text: &str| {
        let file = File { path: None, shown: "<stdin>", built: true };
        codes(&check_text(file, text.as_bytes().to_vec(), &nothing()))
    };
    assert_eq!(built(&text), [Code::ScopeMismatch]);
    assert_eq!(built(&text.replacen("name: db\n", "name: db-b87khdb84t\n", 1)), []);
    assert_eq!(built(&patch("db", "shop-prod/db", &[&prod])), [Code::Malformed]);
}

#[test]
fn a_patch_carries_everything_itself() {
    let prod = classic();
    let house = House::of(&[&prod]);
    let text = patch("db", "shop-prod/db", &[&prod]);
    let found = report("prod/db.patch.yaml", &text, &house.context());
    assert_eq!(codes(&found), []);
    let (name, keys) = ("db".to_owned(), vec!["password".to_owned()]);
    assert_eq!(found.patches, [Patch { name, keys, at: Location { line: 1, column: 1 } }]);
    let without_scope = text.replacen("      scope:\n      - 'shop-prod/db'\n", "", 1);
    assert_eq!(codes(&report("prod/a.yaml", &without_scope, &house.context())), [Code::Malformed]);
    let without_envelope = text.split_once("      envelope:\n").unwrap().0;
    assert_eq!(codes(&report("prod/a.yaml", without_envelope, &house.context())), [Code::MissingEnvelope]);
    let elsewhere = patch("db", "shop-test/db", &[&prod]);
    assert_eq!(codes(&report("prod/a.yaml", &elsewhere, &house.context())), [Code::ScopeBeyondPolicy]);
    let other = patch("cache", "shop-prod/db", &[&prod]);
    assert_eq!(codes(&report("prod/a.yaml", &other, &house.context())), [Code::ScopeMismatch]);
}

#[test]
fn a_number_without_its_value_keeps_pods_from_rolling() {
    let prod = classic();
    let house = House::of(&[&prod]);
    let context = house.context();
    let patch = report("prod/db.patch.yaml", &patch("db", "shop-prod/db", &[&prod]), &context);
    let tree = |listed: &str, name: &str, numbers: &str| {
        let text = format!(
            "patches: [{listed}]\nsecretGenerator:\n- name: {name}\n  behavior: merge\n  options: {{annotations: {{config.kubernetes.io/local-config: 'true'}}}}\n  literals: [{numbers}]\n"
        );
        let kustomization = report("prod/kustomization.yaml", &text, &context);
        let reports = [("prod/db.patch.yaml", &patch), ("prod/kustomization.yaml", &kustomization)];
        let found = check_tree(&context, &reports, &["prod/db.patch.yaml".to_owned()]);
        found
            .into_iter()
            .map(|found| (found.finding.code, found.path, found.finding.lines.join("; ")))
            .collect::<Vec<_>>()
    };
    assert_eq!(tree("{path: db.patch.yaml}", "db", "password=1, rev=2"), []);
    let stale = |keys: &str| {
        let line = format!("db: {keys} have a number here, and no patch that this lists sets them");
        [(Code::StaleNumber, "prod/kustomization.yaml".to_owned(), line)]
    };
    assert_eq!(tree("", "db", "password=1"), stale("password"));
    assert_eq!(tree("{path: db.patch.yaml}", "db", "password=1, user=2, host=3"), stale("user, host"));
    assert_eq!(tree("{path: db.patch.yaml}", "cache", "password=1").len(), 1);
    // A patch that was not looked at may set it.
    assert_eq!(tree("{path: other.patch.yaml}", "db", "password=1"), []);
}

#[test]
fn some_kustomization_has_to_list_a_patch() {
    let prod = classic();
    let house = House::of(&[&prod]);
    let context = house.context();
    let patch = report("prod/db.patch.yaml", &patch("db", "shop-prod/db", &[&prod]), &context);
    let tree = |listing: &str, more: &[String]| {
        let kustomization = report("prod/kustomization.yaml", listing, &context);
        let reports = [("prod/db.patch.yaml", &patch), ("prod/kustomization.yaml", &kustomization)];
        check_tree(&context, &reports, more)
    };
    assert_eq!(tree("patches: [{path: db.patch.yaml}]\n", &[]), []);
    assert_eq!(tree("patchesStrategicMerge: [./db.patch.yaml]\n", &[]), []);
    assert_eq!(tree("resources: []\n", &["prod/db.patch.yaml".to_owned()]), []);
    let found = tree("resources: [db.patch.yaml]\n", &[]);
    assert_eq!((found[0].finding.code, found[0].path.as_str()), (Code::PatchNotListed, "prod/db.patch.yaml"));
    assert!(found[0].finding.hint.as_ref().unwrap().contains("- path: db.patch.yaml"), "{found:?}");
}

#[test]
fn sealed_documents_want_a_policy() {
    let text = document("shop-prod", "db", "shop-prod/db", &[&classic()]);
    let sealed = report(PATH, &text, &nothing());
    assert_eq!(codes(&sealed), []);
    let found = check_tree(&nothing(), &[(PATH, &sealed)], &[]);
    assert_eq!(found[0].finding.code, Code::NoPolicy);
    assert_eq!(found[0].finding.hint.as_deref(), Some("ageseal init"));
    assert_eq!(check_tree(&nothing(), &[("a.yaml", &FileReport::default())], &[]), []);
}

#[test]
fn a_second_policy_is_found() {
    let finding = one("apps/shop/.ageseal/policy.yaml", "rules: []\n", &nothing());
    assert_eq!(finding.code, Code::SecondPolicy);
    for fine in [".ageseal/policy.yaml", "apps/policy.yaml", "a.ageseal/policy.yaml"] {
        assert_eq!(codes(&report(fine, "rules: []\n", &nothing())), [], "{fine}");
    }
}

#[test]
fn of_very_many_findings_the_first_are_told_and_the_others_counted() {
    let broken = "---\napiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\n";
    let text = format!("{SECRET}---\n{SECRET}{}", broken.repeat(2_000));
    let all = report("a.yaml", &text, &nothing());
    assert_eq!((all.findings.len() > 2_000, all.left_out(), all.more()), (true, (0, 0), None));
    for most in [1, 2, 100] {
        let some = report("a.yaml", &text, &nothing().at_most(most));
        assert_eq!(some.findings, all.findings[..most]);
        assert_eq!(some.left_out(), (all.findings.len() - most, 0));
        assert_eq!(some.documents, 2_000);
        let more = some.more().unwrap();
        assert_eq!((more.code, more.level, more.at), (Code::MoreFindings, Level::Error, None));
        assert_eq!(more.lines, [format!("and {} more in this file", all.findings.len() - most)]);
    }
    // Notes do not take the place of errors, and what git ignores is a note where it is left out too.
    let text = format!("{}---\n{broken}", format!("{SECRET}---\n").repeat(50));
    let all = report("a.yaml", &text, &nothing()).findings.len();
    for (git, left_out) in [(InGit::Unknown, (all - 10, 0)), (InGit::Ignored, (all - 50, 40))] {
        let mut some = report("a.yaml", &text, &nothing().at_most(10));
        some.settle(git);
        assert_eq!(some.left_out(), left_out);
        assert_eq!(some.more().unwrap().level, Level::Error);
    }
    let mut ignored = report("a.yaml", &format!("{SECRET}---\n").repeat(50), &nothing().at_most(10));
    ignored.settle(InGit::Ignored);
    let more = ignored.more().unwrap();
    assert_eq!((more.level, more.lines), (Level::Note, vec!["and 40 more notes in this file".to_owned()]));
    // An error behind very many notes is told.
    let prod = classic();
    let house = House::of(&[&prod]);
    let base = document("", "db", "shop-prod/db", &[&prod]);
    let text = format!("{}{SECRET}", format!("{base}---\n").repeat(20));
    let some = report(PATH, &text, &house.context().at_most(5));
    assert_eq!(codes(&some)[5..], [Code::PlaintextSecret], "{:#?}", some.findings);
    assert_eq!(some.left_out(), (0, 15));
}

#[test]
fn a_path_without_a_rule_is_told_once_however_many_findings_there_are() {
    let house = House::of(&[&classic()]);
    let text = format!("{}{}", format!("{SECRET}---\n").repeat(50), document("a", "db", "a/db", &[&classic()]));
    let text = format!("{text}---\n{}", document("a", "db", "a/db", &[&classic()]));
    let rest = |report: &FileReport| report.findings.len() + report.left_out().0;
    let all = report("other/a.yaml", &text, &house.context());
    assert_eq!(codes(&all).iter().filter(|code| **code == Code::NoRule).count(), 1);
    assert_eq!(rest(&report("other/a.yaml", &text, &house.context().at_most(2))), rest(&all));
}

#[test]
fn patches_of_one_file_that_nobody_lists_are_one_finding() {
    let prod = classic();
    let house = House::of(&[&prod]);
    let text = format!("{}---\n{}", patch("db", "shop-prod/db", &[&prod]), patch("queue", "shop-prod/queue", &[&prod]));
    let found = check_tree(&house.context(), &[(PATH, &report(PATH, &text, &house.context()))], &[]);
    let lines: Vec<_> = found.iter().flat_map(|one| &one.finding.lines).collect();
    assert_eq!(lines, ["db, queue have no spec.scope, so they patch other documents"]);
}

#[test]
fn a_policy_that_cannot_be_followed_is_told_once() {
    let rules = "rules:\n- paths: [\"a/**\"]\n  recipients: [mixed]\n  scopes: [\"*/*\"]\n- paths: [\"b/**\", \"a/**\"]\n  recipients: [mixed]\n  scopes: [\"*/*\"]\n";
    let house = House::with(rules, &[("mixed", format!("{}\n{}\n", public(&classic()), public(&hybrid())))]);
    let found = check_tree(&house.context(), &[], &[]);
    let told: Vec<_> = found.iter().map(|one| (one.finding.code, one.path.as_str())).collect();
    let expected = [(Code::BadPolicy, ".ageseal/recipients/mixed.pub"), (Code::ShadowedRule, ".ageseal/policy.yaml")];
    assert_eq!(told, expected);
}

#[test]
fn the_drill_opens_everything() {
    let (prod, other) = (hybrid(), classic());
    let house = House::of(&[&prod]);
    let text = document("shop-prod", "db", "shop-prod/db", &[&prod]);
    let ring = KeyRing::new(vec![other]);
    let finding = one(PATH, &text, &house.context().ring(&ring));
    assert_eq!(finding.code, Code::NotARecipient);
    assert_eq!(finding.lines, [format!("shop-prod/db: password is sealed for prod ({})", public(&prod).id())]);
    let ring = KeyRing::new(vec![prod]);
    let context = house.context().ring(&ring);
    let opened = report(PATH, &text, &context);
    assert_eq!((codes(&opened), opened.opened), (vec![], 2));
    // A value that was moved to another key opens nowhere, and only a key can tell.
    let moved = text.replacen("    user:\n", "    owner:\n", 1);
    assert_eq!(codes(&report(PATH, &moved, &house.context())), []);
    let finding = one(PATH, &moved, &context);
    assert_eq!(finding.code, Code::CannotOpen);
    assert!(finding.lines[0].starts_with("shop-prod/db: owner "), "{finding:?}");
}

/// What opening would refuse before it needs a key is found without one, and nothing else is.
#[test]
fn the_vectors_are_judged_as_opening_judges_them() {
    let refused_early = [Code::Malformed, Code::BadEnvelope, Code::MissingEnvelope, Code::Unreadable];
    for vector in ageseal_testkit::vectors() {
        let file = File { path: None, shown: "vector", built: vector.live.is_some() };
        let found = codes(&check_text(file, vector.document.clone().into_bytes(), &nothing()));
        let early = found.iter().any(|code| refused_early.contains(code));
        let envelope = found.contains(&Code::BadEnvelope);
        let step = match &vector.expect {
            ageseal_testkit::Expect::Opened { .. } => "opened",
            ageseal_testkit::Expect::Refused { step, .. } => step,
        };
        // An envelope that is no age file is seen without a key, and refused only when one would open it.
        let agrees = early == (step == "caps") || (step == "envelope" && envelope);
        assert!(agrees, "{}: {found:?}", vector.name);
    }
}

/// Whatever is cut out of a document or put into it: no panic, and nothing of a value in what is said.
#[test]
fn damage_is_reported_and_never_repeated() {
    let prod = classic();
    let house = House::of(&[&prod]);
    let good = format!("{SECRET}---\n{}", document("shop-prod", "db", "shop-prod/db", &[&prod]));
    let edits = ["", "\n", "x", "{", "- ", "&a ", "'", "|", ": ", "canary-hunter2"];
    for at in (0..good.len()).step_by(7) {
        for cut in [0, 1, 9] {
            let edit = edits[(at / 7 + cut) % edits.len()];
            let end = (at + cut).min(good.len());
            let text = format!("{}{edit}{}", &good[..at], &good[end..]);
            let found = check_text(source(PATH), text.into_bytes(), &house.context());
            let said: Vec<_> = found.findings.iter().map(|one| format!("{one:?}")).collect();
            let leak = said.iter().find(|said| edit != "canary-hunter2" && said.contains(CANARY));
            assert_eq!(leak, None, "{edit} at {at}");
        }
    }
}
