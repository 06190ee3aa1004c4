//! `ageseal show`: what sealed documents claim, by name, against the policy; text and JSON; what a key adds.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use support::{Run, Scratch};

const POLICY: &str = "\
apiVersion: ageseal.dev/v1alpha1
kind: Policy
rules:
- paths: ['overlays/prod/**']
  recipients: [prod, recovery]
  scopes: ['shop-prod/*']
- paths: ['overlays/test/**']
  recipients: [test, recovery]
  scopes: ['shop-test/*']
";

/// A repository with a policy; `recipient` gives the public key of each of its identities.
struct Repo {
    t: Scratch,
}

impl std::ops::Deref for Repo {
    type Target = Scratch;
    fn deref(&self) -> &Scratch {
        &self.t
    }
}

impl Repo {
    fn new() -> Self {
        let t = Scratch::new();
        std::fs::create_dir(t.path(".git")).unwrap();
        t.write(".ageseal/policy.yaml", POLICY);
        let repo = Self { t };
        for name in ["prod", "recovery", "test"] {
            let recipient = repo.identity(name);
            repo.write(format!(".ageseal/recipients/{name}.pub"), format!("{recipient}\n"));
        }
        repo
    }

    fn recipient(&self, name: &str) -> String {
        self.read(format!(".ageseal/recipients/{name}.pub")).lines().last().unwrap().to_owned()
    }

    /// A document made by the independent implementation.
    fn sealed(&self, recipients: &[&str], scope: &str, secret_type: &str, data: &[(&str, &[u8])]) -> String {
        let mut args = vec!["seal".to_owned(), "--scope".to_owned(), scope.to_owned()];
        args.extend(recipients.iter().flat_map(|recipient| ["-r".to_owned(), (*recipient).to_owned()]));
        args.extend(["--type".to_owned(), secret_type.to_owned()]);
        let data: serde_json::Map<_, _> =
            data.iter().map(|(key, value)| ((*key).to_owned(), BASE64_STANDARD.encode(value).into())).collect();
        let outcome = ageseal_testkit::run(ageseal_testkit::independent(), args, Value::Object(data).to_string());
        assert_eq!(outcome.code, Some(0), "{}", String::from_utf8_lossy(&outcome.stderr));
        String::from_utf8(outcome.stdout).unwrap()
    }

    /// `overlays/prod/db.sealed.yaml`, for prod and recovery.
    fn db(&self) -> String {
        let readers = [self.recipient("prod"), self.recipient("recovery")];
        let data: [(&str, &[u8]); 3] = [("host", b"db"), ("password", &[b'x'; 64]), ("user", b"shop")];
        self.sealed(&[&readers[0], &readers[1]], "shop-prod/db", "", &data)
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        let args: Vec<_> = ["show", "--json"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.run(&args).ok().stdout).unwrap()
    }
}

fn lines(run: &Run) -> Vec<&str> {
    run.stdout.lines().collect()
}

/// The cells of a line, which stand three blanks apart.
fn cells(line: &str) -> Vec<&str> {
    line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn a_list_of_keys_that_is_cut_leaves_the_columns_in_line() {
    let t = Repo::new();
    let prod = t.recipient("prod");
    let names: Vec<String> = (10..30).map(|number| format!("key-{number}")).collect();
    for count in [1, 4, 5, 20] {
        let data: Vec<(&str, &[u8])> = names.iter().take(count).map(|name| (name.as_str(), &b"x"[..])).collect();
        let text = t.sealed(&[&prod], &format!("shop-prod/n{count:02}"), "", &data);
        t.write(format!("overlays/prod/n{count:02}.yaml"), text);
    }
    let run = t.run(&["show"]).ok();
    let readers: Vec<usize> =
        lines(&run).iter().filter_map(|line| Some(line.split_once("   prod")?.0.chars().count())).collect();
    assert_eq!(readers, [readers[0]; 4], "{}", run.stdout);
    assert!(run.stdout.contains("key-10, key-11, key-12, 17 more   prod"), "{}", run.stdout);
}

#[test]
fn a_tree_shows_folders_names_keys_and_readers() {
    let t = Repo::new();
    t.write("overlays/prod/db.sealed.yaml", t.db());
    let (test, recovery) = (t.recipient("test"), t.recipient("recovery"));
    let cache = t.sealed(&[&test, &recovery], "shop-test/cache", "kubernetes.io/basic-auth", &[("password", b"p")]);
    let queue = t.sealed(&[&test, &recovery], "shop-test/queue", "", &[("url", b"u")]);
    t.write("overlays/test/both.yaml", format!("{cache}---\napiVersion: v1\nkind: ConfigMap\n---\n{queue}"));
    t.write("overlays/test/z.json", "{\"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"SealedSecret\"}}");
    t.write("empty.yaml", "");

    let run = t.run(&["show"]).ok();
    let shown = lines(&run);
    assert_eq!(shown[0], "overlays/prod");
    assert_eq!(
        cells(shown[1]),
        ["└─ db.sealed.yaml", "shop-prod/db", "Opaque", "host, password, user", "prod, recovery"]
    );
    assert_eq!(shown[2], "overlays/test");
    assert_eq!(cells(shown[3]), ["└─ both.yaml", "shop-test/cache", "basic-auth", "password", "test, recovery"]);
    assert_eq!(cells(shown[4]), ["shop-test/queue", "Opaque", "url", "test, recovery"]);
    assert_eq!(shown.len(), 5, "{shown:#?}");
    let column = |line: &str| line.split("shop-test").next().unwrap().chars().count();
    assert_eq!(column(shown[3]), column(shown[4]), "{}", run.stdout);
    assert_eq!(run.stderr, "2 sealed files, 5 values\n");

    // From below the top it is the same repository, with paths that can be typed there.
    let run = t.shell("cd overlays/test && ageseal show -q").ok();
    assert_eq!(lines(&run)[0], "../prod");
    assert!(lines(&run).contains(&"."), "{}", run.stdout);
    assert_eq!(run.stderr, "");
}

#[test]
fn one_file_is_shown_with_size_classes_and_envelopes() {
    let t = Repo::new();
    t.write("overlays/prod/db.sealed.yaml", t.db());
    let run = t.run(&["show", "overlays/prod/db.sealed.yaml"]).ok();
    let shown = lines(&run);
    assert_eq!(shown[0], "overlays/prod/db.sealed.yaml   shop-prod/db");
    assert_eq!(cells(shown[1]), ["type", "Opaque"]);
    assert_eq!(cells(shown[2]), ["opens as", "shop-prod/db"]);
    assert_eq!(cells(shown[3]), ["read by", "prod, recovery"]);
    assert_eq!(cells(shown[4])[..2], ["values", "host"]);
    assert_eq!(cells(shown[4])[2], "at most 63 bytes");
    assert_eq!(cells(shown[5])[..2], ["password", "at most 71 bytes"]);
    assert!(shown[7].ends_with("host, password, user"), "{}", shown[7]);
    assert_eq!(cells(shown[8]), ["for", "prod, recovery", "2 × mlkem768x25519"]);
    assert_eq!(shown.len(), 9);

    assert_eq!(t.run(&["show", "--long"]).ok().stdout, run.stdout);
    let piped = t.run_with(&["show", "-"], t.read("overlays/prod/db.sealed.yaml").as_bytes(), &[]).ok();
    assert_eq!(piped.stdout.replace("<stdin>", "overlays/prod/db.sealed.yaml"), run.stdout);
}

#[test]
fn what_does_not_fit_the_policy_is_marked() {
    let t = Repo::new();
    let (old, stranger) = (t.identity("old"), t.identity("stranger"));
    let (prod, recovery) = (t.recipient("prod"), t.recipient("recovery"));
    t.write(".ageseal/recipients/prod.pub", format!("# superseded, until 2020-01-01\n{old}\n{prod}\n"));
    let data: [(&str, &[u8]); 1] = [("k", b"v")];
    t.write("overlays/prod/a.sealed.yaml", t.sealed(&[&old, &recovery], "shop-prod/a", "", &data));
    t.write("overlays/prod/b.sealed.yaml", t.sealed(&[&prod, &stranger], "shop-prod/b", "", &data));
    t.write("overlays/prod/c.sealed.yaml", t.sealed(&[&prod, &recovery], "shop-test/c", "", &data));
    t.write("elsewhere.yaml", t.sealed(&[&prod, &recovery], "shop-prod/d", "", &data));

    let run = t.run(&["show"]).ok().says("4 sealed files, 4 values; 4 documents marked !: ageseal check");
    let text = &run.stdout;
    assert!(text.contains("recovery, prod (superseded)"), "{text}");
    assert!(text.contains("! sealed for a superseded key: prod (r"), "{text}");
    assert!(text.contains("was accepted until 2020-01-01"), "{text}");
    assert!(text.contains("(not in the rule)"), "{text}");
    assert!(text.contains("not sealed for recovery (r"), "{text}");
    assert!(text.contains("! scope beyond the policy: the scope shop-test/c"), "{text}");
    assert!(text.contains("! path without a rule"), "{text}");
    assert!(lines(&run).iter().all(|line| line.chars().count() <= 140), "{text}");

    let found = t.json(&[]);
    let of = |name: &str| found.iter().find(|document| document["name"] == name).unwrap();
    let standing = |name: &str| -> Vec<String> {
        let readers = of(name)["readers"].as_array().unwrap();
        readers.iter().map(|reader| format!("{} {}", reader["names"], reader["standing"])).collect()
    };
    assert_eq!(standing("a"), [r#"["prod"] "missing""#, r#"["recovery"] "current""#, r#"["prod"] "superseded""#]);
    assert_eq!(of("a")["readers"][2]["until"], "2020-01-01");
    assert_eq!(standing("b"), [r#"["prod"] "current""#, r#"["recovery"] "missing""#, r#"[] "unknown""#]);
    assert_eq!(standing("d"), [r#"["prod"] null"#, r#"["recovery"] null"#].map(str::to_owned));
    let codes = |name: &str| -> BTreeSet<String> {
        let findings = of(name)["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes("a"), ["superseded-recipient".to_owned()].into());
    assert_eq!(codes("b"), ["missing-recipient".to_owned(), "unknown-recipient".to_owned()].into());
    assert_eq!(codes("c"), ["scope-beyond-policy".to_owned()].into());
    assert_eq!(codes("d"), ["no-rule".to_owned()].into());
}

#[test]
fn own_envelopes_and_orphans_are_told_apart() {
    let t = Repo::new();
    t.write("overlays/prod/db.sealed.yaml", t.db());
    // The block of a key with its own envelope, as `set` makes it, put in the place of all values.
    let (prod, recovery) = (t.recipient("prod"), t.recipient("recovery"));
    let other = t.sealed(&[&prod, &recovery], "shop-prod/db", "", &[("token", b"t")]);
    let value = other.lines().find_map(|line| line.trim().strip_prefix("value: ")).unwrap();
    let envelope: Vec<&str> = other.lines().skip_while(|line| *line != "  envelopes:").skip(2).collect();
    let envelope: Vec<String> =
        envelope.iter().take_while(|line| line.starts_with("      ")).map(|line| format!("  {line}\n")).collect();
    let text = t.read("overlays/prod/db.sealed.yaml");
    let own = format!("  encryptedData:\n    token:\n      value: {value}\n      envelope:\n{}", envelope.concat());
    t.write("overlays/prod/db.sealed.yaml", text.replacen("  encryptedData:\n", &own, 1));

    let run = t.run(&["show", "overlays/prod/db.sealed.yaml"]).ok();
    assert!(run.stdout.contains("token      at most 63 bytes   own envelope"), "{}", run.stdout);
    assert!(run.stdout.contains("of token alone"), "{}", run.stdout);
    let document = &t.json(&[])[0];
    assert_eq!(document["keys"][2]["ownEnvelope"], true);
    assert_eq!(document["envelopes"][1]["own"], true);
    assert_eq!(document["envelopes"][1]["keys"], serde_json::json!(["token"]));
    assert_eq!(document["readers"][0]["keys"], 4);

    // Without the values that use it, the shared envelope is an orphan, and lets nobody in.
    let text = t.read("overlays/prod/db.sealed.yaml");
    let (head, rest) = text.split_once("    host:\n").unwrap();
    let envelopes = rest.split_once("  envelopes:\n").unwrap().1;
    t.write("overlays/prod/db.sealed.yaml", format!("{head}  envelopes:\n{envelopes}"));
    let run = t.run(&["show", "overlays/prod/db.sealed.yaml"]).ok();
    assert!(run.stdout.contains("no value uses it") && run.stdout.contains("! line"), "{}", run.stdout);
    assert!(run.stdout.contains("envelope that no value uses"), "{}", run.stdout);
    assert_eq!(t.json(&[])[0]["readers"][0]["keys"], 1);
}

#[test]
fn broken_documents_are_told_and_fail_nothing() {
    let t = Repo::new();
    let db = t.db();
    t.write("overlays/prod/db.sealed.yaml", &db);
    t.write("overlays/prod/field.yaml", db.replacen("  scope:", "  scopee:", 1));
    t.write("overlays/prod/syntax.yaml", format!("{db}: [\n"));
    t.write("overlays/prod/name.yaml", db.replacen("name: db", "name: \"db\\x1b[31m\"", 1));
    t.write("helm.yaml", "{{ if .Values.x }}\nkind: SealedSecret\n{{ end }}\n");
    let run = t.run(&["show"]).ok().says("3 documents marked !: ageseal check");
    assert!(run.stdout.contains("! sealed document that nothing opens: spec does not have the field scopee"));
    assert!(run.stdout.contains("! not readable: "), "{}", run.stdout);
    assert!(!run.stdout.contains('\x1b') && !run.stdout.contains("helm.yaml"), "{}", run.stdout);
    let found = t.json(&[]);
    let broken: Vec<_> = found.iter().filter(|document| document["wellFormed"] == false).collect();
    assert_eq!(broken.len(), 3);
    assert!(broken.iter().all(|document| document["findings"][0]["severity"] == "error"));
    assert!(broken.iter().all(|document| document["keys"] == serde_json::json!([])));
    let lines = found.iter().filter(|document| document["wellFormed"] == true).count();
    assert_eq!(lines, 1);
}

#[test]
fn an_identity_adds_whether_it_opens_and_when_it_ends() {
    let t = Repo::new();
    t.write("overlays/prod/db.sealed.yaml", t.db());
    let (prod, recovery) = (t.recipient("prod"), t.recipient("recovery"));
    let folder = ageseal_testkit::workspace_root().join("src/manifest/testdata/tls");
    let pem = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let tls = |name: &str, certificate: &str| {
        let data = [("tls.crt", pem(certificate)), ("tls.key", pem("p256.key"))];
        let data = data.each_ref().map(|(key, value)| (*key, value.as_slice()));
        t.sealed(&[&prod, &recovery], &format!("shop-prod/{name}"), "kubernetes.io/tls", &data)
    };
    t.write("overlays/prod/new.yaml", tls("new", "p256.crt"));
    t.write("overlays/prod/old.yaml", tls("old", "expired.crt"));
    let token: [(&str, &[u8]); 1] = [("expiration", b"2099-01-31T12:00:00+02:00")];
    let bootstrap = "bootstrap.kubernetes.io/token";
    t.write("overlays/prod/token.yaml", t.sealed(&[&prod, &recovery], "shop-prod/token", bootstrap, &token));
    let test = t.recipient("test");
    t.write("overlays/test/other.yaml", t.sealed(&[&test], "shop-test/other", "", &[("canary", b"canary-value")]));

    assert!(t.json(&[]).iter().all(|document| document["opened"] == Value::Null));
    // An identity that only stands in the environment is no wish to use it.
    let env = [("AGESEAL_IDENTITY_FILE", "prod.txt")];
    assert!(!t.run_with(&["show"], b"", &env).ok().stdout.contains("opens"));

    let run = t.run(&["show", "-i", "prod.txt"]).ok().never_says("canary-value");
    let end = |name: &str| {
        let line = run.stdout.lines().find(|line| line.contains(name)).unwrap();
        cells(line).last().unwrap().to_string()
    };
    assert_eq!(end("db.sealed.yaml"), "opens");
    assert!(end("new.yaml").starts_with("opens, expires 2"), "{}", end("new.yaml"));
    assert!(end("old.yaml").starts_with("opens, expired 20"), "{}", end("old.yaml"));
    assert_eq!(end("token.yaml"), "opens, expires 2099-01-31");
    assert_eq!(end("other.yaml"), "no identity given opens it");

    let found = t.json(&["-i", "prod.txt"]);
    let opened = |name: &str| found.iter().find(|document| document["name"] == name).unwrap()["opened"].clone();
    assert_eq!(opened("token")["expires"]["at"], "2099-01-31T10:00:00Z");
    assert_eq!(opened("old")["expires"]["expired"], true);
    assert_eq!(opened("other")["reason"], "NotARecipient");
    assert_eq!(opened("other")["key"], "canary");

    // A value that was moved to another key does not open, and that is no error of show.
    t.write("overlays/prod/db.sealed.yaml", t.db().replacen("    host:", "    hosts:", 1));
    let run = t.run(&["show", "-i", "prod.txt", "overlays/prod/db.sealed.yaml"]).ok();
    assert!(run.stdout.contains("key        does not open (hosts)"), "{}", run.stdout);
}

#[test]
fn nothing_to_show_and_no_such_path() {
    let t = Scratch::new();
    t.run(&["show"]).ok().says("note: there is no sealed document here");
    assert_eq!(t.run(&["show", "--json"]).ok().stdout, "[]\n");
    t.write("a.yaml", "a: 1\n");
    t.run(&["show", "a.yaml"]).ok().says("there is no sealed document in this file").says("a.yaml");
    t.run(&["show", "a.yaml", "none.yaml"]).exit(4).says("none.yaml");
    t.run(&["show", "-i", "none.txt"]).exit(4).says("none.txt");
}

#[test]
fn outside_a_policy_ids_are_shown() {
    let repo = Repo::new();
    let text = repo.db();
    let t = Scratch::new();
    t.write("db.yaml", &text);
    let run = t.run(&["show"]).ok();
    assert_eq!(run.stderr, "1 sealed file, 3 values\n");
    assert_eq!(run.stdout.matches('…').count(), 2, "{}", run.stdout);
    std::fs::create_dir(t.path(".git")).unwrap();
    t.run(&["show"]).ok().says("the repository has no policy");
    // A policy with a slip is warned of, and hides nothing.
    t.write(".ageseal/policy.yaml", "apiVersion: ageseal.dev/v1alpha1\nkind: Policy\nrulez: []\n");
    let run = t.run(&["show"]).ok().says("warning: ").says(".ageseal/policy.yaml");
    assert!(run.stdout.contains("shop-prod/db"), "{}", run.stdout);
}

/// The page lists exactly the fields that there are.
#[test]
fn the_manual_names_every_field() {
    let t = Repo::new();
    t.write("overlays/prod/db.sealed.yaml", t.db().replacen("    user:", "    users:", 1));
    t.write("overlays/test/db.sealed.yaml", t.db());
    t.write("overlays/prod/kustomization.yaml", "namespace: shop-prod\nresources: [db.sealed.yaml]\n");
    let mut fields = BTreeSet::new();
    for document in t.json(&["-i", "prod.txt"]) {
        collect(&document, &mut fields);
    }
    fields.extend(["at", "expired"].map(str::to_owned));
    let page = include_str!("../../docs/show-json.md");
    for field in &fields {
        assert!(page.contains(&format!("`{field}`")), "docs/show-json.md does not name {field}");
    }
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let named: BTreeSet<String> =
        rows.flat_map(|row| row.split(", ").map(|field| field.trim_matches('`').to_owned())).collect();
    assert!(named.is_subset(&fields), "{:?}", named.difference(&fields).collect::<Vec<_>>());
}

fn collect(value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            fields.insert(key.clone());
            collect(value, fields);
        }),
        Value::Array(list) => list.iter().for_each(|value| collect(value, fields)),
        _ => {}
    }
}
