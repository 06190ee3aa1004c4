//! The custom resource and the policy of `deploy/admission`, on the real API server: what is admitted, what is refused
//! with which words, and for whom.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use ageseal::api::SealedSecret;
use ageseal::format::{MAX_ENVELOPE_TEXT, MAX_ENVELOPES, MAX_ITEM_TEXT, MAX_ITEMS};
use ageseal::manifest::{SealedManifest, objects};
use ageseal::recipient::Identity;
use ageseal::yaml::Stream;
use ageseal_cluster::{ControlPlane, Namespace, eventually, sealed};
use ageseal_testkit::{Expect, Vector, vectors, workspace_root};
use http::{Method, Request};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
/// A word that somebody wrote where its encrypted form belongs.
const PLAINTEXT: &str = "canary-hunter2";

/// Sends a request for documents of a namespace, with the strict validation of fields that kubectl asks for.
async fn send(
    client: &Client,
    method: Method,
    path: &str,
    query: &str,
    kind: &str,
    body: &str,
) -> Result<Value, Status> {
    let uri = format!("/apis/ageseal.dev/v1alpha1/namespaces/{path}?fieldValidation=Strict{query}");
    let request =
        Request::builder().method(method).uri(uri).header("content-type", kind).body(body.as_bytes().to_vec());
    match client.request::<Value>(request.unwrap()).await {
        Ok(object) => Ok(object),
        Err(kube::Error::Api(status)) => Err(*status),
        Err(e) => panic!("{path}: {e}"),
    }
}

/// Would these bytes be created? Nothing is stored.
async fn try_create(client: &Client, namespace: &str, kind: &str, body: &str) -> Result<Value, Status> {
    send(client, Method::POST, &format!("{namespace}/sealedsecrets"), "&dryRun=All", kind, body).await
}

/// Applies an object on the server side.
async fn apply(client: &Client, manager: &str, force: bool, object: &Value) -> Result<Value, Status> {
    let [namespace, name] = ["namespace", "name"].map(|field| object["metadata"][field].as_str().unwrap());
    let (path, query) = (format!("{namespace}/sealedsecrets/{name}"), format!("&fieldManager={manager}&force={force}"));
    send(client, Method::PATCH, &path, &query, "application/apply-patch+yaml", &object.to_string()).await
}

/// A document with two values that share an envelope, as JSON.
fn document(namespace: &str, name: &str) -> Value {
    let identity = Identity::generate_x25519();
    let document = sealed::document(namespace, name).value("password", "not a real one").value("user", "nobody");
    as_sent(&document.seal_for(&[identity.recipient().unwrap()]))
}

/// As a manifest has it: without the status.
fn as_sent(document: &SealedSecret) -> Value {
    let mut document = serde_json::to_value(document).unwrap();
    document.as_object_mut().unwrap().remove("status");
    document
}

/// Replaces what stands at a JSON pointer, or adds a field there; `None` takes it out.
fn set(object: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let field = field.replace("~1", "/");
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} has nothing above it"));
    match (parent, value) {
        (Value::Object(fields), Some(value)) => drop(fields.insert(field, value)),
        (Value::Object(fields), None) => assert!(fields.remove(&field).is_some(), "{pointer} is not there"),
        _ => panic!("{pointer}: not in an object"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_custom_resource_is_established_and_kept_by_argo_and_helm() {
    let plane = ControlPlane::shared();
    let crds = Api::<CustomResourceDefinition>::all(plane.client().await);
    let crd = crds.get("sealedsecrets.ageseal.dev").await.unwrap();
    assert_eq!(crd.annotations()["argocd.argoproj.io/sync-options"], "Prune=false");
    assert_eq!(crd.annotations()["helm.sh/resource-policy"], "keep");
    let conditions: Vec<_> = crd
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .map(|c| (&*c.type_, &*c.status))
        .collect();
    // A condition NonStructuralSchema would stand here if the schema were not one.
    assert_eq!(BTreeSet::from_iter(conditions), [("Established", "True"), ("NamesAccepted", "True")].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_admitted_unless_their_shape_is_wrong() {
    // What only whoever opens a document can see, or what the API server has no cheap rule for.
    const LEFT_TO_THE_CONTROLLER: &[&str] = &[
        "caps-129-header-lines",
        "caps-34-stanzas",
        "caps-34-stanzas-in-also",
        "caps-34-stanzas-in-an-orphan",
        "caps-400-header-lines",
        "shape-armor-cut-in-its-header",
        "shape-armor-wide-lines",
        "shape-armor-without-its-end",
        "shape-envelope-missing",
        "shape-kid-changed",
        "shape-value-base64-no-padding",
        "shape-value-base64-not-canonical",
        "shape-value-shorter-than-any",
        "scope-three-stars",
    ];
    let plane = ControlPlane::shared();
    let client = plane.client().await;
    let mut namespaces = BTreeSet::from(["default".to_owned()]);
    let (mut wrong, mut left, mut admitted) = (Vec::new(), BTreeSet::new(), 0);
    for vector in vectors() {
        let (namespace, is_patch) = place(&vector);
        if namespaces.insert(namespace.clone()) {
            let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
            let object = core::Namespace { metadata, ..core::Namespace::default() };
            Api::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
        }
        let answer = try_create(&client, &namespace, "application/yaml", &vector.document).await;
        let malformed = matches!(&vector.expect, Expect::Refused { step, .. } if step == "caps");
        match answer {
            // An overlay's patch has no scope of its own, and is no object.
            Ok(_) if is_patch => wrong.push(format!("{}: a patch was admitted", vector.name)),
            Ok(_) if malformed => drop(left.insert(vector.name)),
            Ok(_) => admitted += 1,
            Err(status) if malformed || is_patch => assert!(status.code < 500, "{}: {}", vector.name, status.message),
            Err(status) => wrong.push(format!("{}: {}", vector.name, status.message)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(admitted > 100, "{admitted} were admitted");
    assert_eq!(left, LEFT_TO_THE_CONTROLLER.iter().map(|name| (*name).to_owned()).collect());
}

/// The namespace that a vector's document names, and whether it is an overlay's patch.
fn place(vector: &Vector) -> (String, bool) {
    let read = Stream::parse(vector.document.clone()).ok().and_then(|stream| {
        let object = objects(&stream).next()?;
        let namespace = object.node.get("metadata")?.get("namespace").and_then(|node| node.as_string());
        let is_patch = SealedManifest::read(object.node).manifest.is_some_and(|manifest| manifest.is_patch());
        Some((namespace.unwrap_or("default").to_owned(), is_patch))
    });
    read.unwrap_or_else(|| ("default".to_owned(), false))
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_documents_are_refused_with_readable_words() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("bad").await;
    let client = plane.client().await;
    let good = document(namespace.name(), "db");
    try_create(&client, namespace.name(), "application/json", &good.to_string()).await.unwrap();

    let spec = &good["spec"];
    let (kid, shared) = spec["envelopes"].as_object().unwrap().iter().next().unwrap();
    let item = &spec["encryptedData"]["password"];
    let text = item["value"].as_str().unwrap();
    let recipient = shared["recipients"][0].as_str().unwrap();
    let value = "/spec/encryptedData/password/value";
    let long_key = format!("/spec/encryptedData/{}", "k".repeat(254));
    let own =
        |recipients: Value, age: &Value| json!({"value": text, "envelope": {"recipients": recipients, "age": age}});
    let many = |count: usize, prefix: &str, each: &Value| -> Value {
        (0..count).map(|i| (format!("{prefix}{i:016}"), each.clone())).collect::<serde_json::Map<_, _>>().into()
    };
    let with_also = |count: usize| {
        let mut envelope = shared.clone();
        envelope["also"] = vec![shared.clone(); count].into();
        envelope
    };
    let sorted = "the patterns are sorted by their bytes";
    let key = "a data key is 1 to 253 of A-Z a-z 0-9 - . _, is not '.' and does not begin with '..'";
    let no_value = "it is not an encrypted value: those begin with ags1. and are made by ageseal";
    let no_armor = "it is not an age file in ASCII armor";
    let no_kid = "a key of envelopes is k and 16 lower-case hexadecimal digits";
    let count = "there are more than 128 age files: envelopes, those of values and every also are counted";
    let theirs = "names that begin with ageseal.dev/ are the controller's";

    #[rustfmt::skip]
    let table: Vec<(&str, Option<Value>, &str, &str)> = vec![
        // The document.
        ("/spec", None, "spec", "Required value"),
        ("/spec", Some(json!([])), "spec", "must be of type object"),
        ("/spec/encrypteddata", Some(json!({})), "spec.encrypteddata", "unknown field"),
        ("/data", Some(json!({"password": PLAINTEXT})), "data", "unknown field"),
        ("/spec/stringData", Some(json!({"password": PLAINTEXT})), "spec.stringData", "unknown field"),
        // Its scope.
        ("/spec/scope", None, "spec.scope", "Required value"),
        ("/spec/scope", Some(json!([])), "spec.scope", "should have at least 1 items"),
        ("/spec/scope", Some(json!("shop/db")), "spec.scope", "must be of type array"),
        ("/spec/scope", Some((0..33).map(|i| format!("shop/db{i:02}")).collect()), "spec.scope", "must have at most 32 items"),
        ("/spec/scope", Some(json!(["shop/b", "shop/a"])), "spec.scope", sorted),
        ("/spec/scope", Some(json!(["shop/a", "shop/a"])), "spec.scope", "no pattern stands there twice"),
        ("/spec/scope", Some(json!(["db"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["a/b/c"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["/db"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["shop/"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["Shop/db"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["shop.a/db"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["shop/db-"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["shop/a..b"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["shop/db\n"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["shop/db{hash}"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!(["shop-{hash}/db"])), "spec.scope[0]", "should match"),
        ("/spec/scope", Some(json!([format!("shop/{}", "a".repeat(326))])), "spec.scope[0]", "may not be more than 330"),
        // Its type.
        ("/spec/type", Some(json!("")), "spec.type", "should be at least 1 chars long"),
        ("/spec/type", Some(json!("a b")), "spec.type", "should match"),
        ("/spec/type", Some(json!(5)), "spec.type", "must be of type string"),
        ("/spec/type", Some(json!("t".repeat(254))), "spec.type", "may not be more than 253"),
        // Its values.
        ("/spec/encryptedData", None, "spec", "encryptedData has no value; only type kubernetes.io/service-account-token may do without"),
        ("/spec/encryptedData", Some(json!({})), "spec", "encryptedData has no value"),
        ("/spec/encryptedData", Some(many(MAX_ITEMS + 1, "i", item)), "spec.encryptedData", "must have at most 1024 items"),
        ("/spec/encryptedData/", Some(item.clone()), "spec.encryptedData", key),
        ("/spec/encryptedData/.", Some(item.clone()), "spec.encryptedData", key),
        ("/spec/encryptedData/..data", Some(item.clone()), "spec.encryptedData", key),
        ("/spec/encryptedData/a~1b", Some(item.clone()), "spec.encryptedData", key),
        ("/spec/encryptedData/a b", Some(item.clone()), "spec.encryptedData", key),
        ("/spec/encryptedData/passwörd", Some(item.clone()), "spec.encryptedData", key),
        (&long_key, Some(item.clone()), "spec.encryptedData", key),
        ("/spec/encryptedData/password", Some(json!(PLAINTEXT)), "spec.encryptedData.password", "must be of type object"),
        ("/spec/encryptedData/password", Some(json!([text])), "spec.encryptedData.password", "must be of type object"),
        (value, None, "spec.encryptedData.password.value", "Required value"),
        (value, Some(json!("")), "spec.encryptedData[password].value", no_value),
        (value, Some(json!(PLAINTEXT)), "spec.encryptedData[password].value", no_value),
        (value, Some(json!("a")), "spec.encryptedData[password].value", no_value),
        (value, Some(json!(format!("ags2.{PLAINTEXT}"))), "spec.encryptedData[password].value", no_value),
        (value, Some(json!(text.replacen("ags1", "AGS1", 1))), "spec.encryptedData[password].value", no_value),
        (value, Some(json!("ags1.")), "spec.encryptedData.password.value", "should match"),
        (value, Some(json!(text.replacen('.', ".F", 1))), "spec.encryptedData.password.value", "should match"),
        (value, Some(json!(format!("{text}\n"))), "spec.encryptedData.password.value", "should match"),
        (value, Some(json!(format!("{text}==="))), "spec.encryptedData.password.value", "should match"),
        (value, Some(json!(text.replace(['+', '/', 'A', 'B', 'C', 'D'], "_"))), "spec.encryptedData.password.value", "should match"),
        (value, Some(json!(format!("ags1.{}", "x".repeat(MAX_ITEM_TEXT)))), "spec.encryptedData.password.value", "may not be more than 2097152"),
        ("/spec/encryptedData/password/scope", Some(json!([])), "spec.encryptedData.password.scope", "should have at least 1 items"),
        ("/spec/encryptedData/password/scope", Some(json!(["shop/b", "shop/a"])), "spec.encryptedData[password].scope", sorted),
        ("/spec/encryptedData/password/scope", Some(json!(["shop"])), "spec.encryptedData.password.scope[0]", "should match"),
        ("/spec/encryptedData/password/valu", Some(json!(PLAINTEXT)), "spec.encryptedData.password.valu", "unknown field"),
        ("/spec/encryptedData/password", Some(own(json!([]), &shared["age"])), "spec.encryptedData.password.envelope.recipients", "should have at least 1 items"),
        ("/spec/encryptedData/password", Some(own(json!([recipient]), &json!("x"))), "spec.encryptedData[password].envelope.age", no_armor),
        // Its envelopes.
        ("/spec/envelopes/35eee4bfa05d6bdb", Some(shared.clone()), "spec.envelopes", no_kid),
        ("/spec/envelopes/K35EEE4BFA05D6BDB", Some(shared.clone()), "spec.envelopes", no_kid),
        ("/spec/envelopes/k35eee4bfa05d6bdb0", Some(shared.clone()), "spec.envelopes", no_kid),
        ("/spec/envelopes/KID/age", None, "spec.envelopes.KID.age", "Required value"),
        ("/spec/envelopes/KID/age", Some(json!(PLAINTEXT)), "spec.envelopes[KID].age", no_armor),
        ("/spec/envelopes/KID/age", Some(json!("-".repeat(MAX_ENVELOPE_TEXT + 1))), "spec.envelopes.KID.age", "may not be more than 98304"),
        ("/spec/envelopes/KID/recipients", None, "spec.envelopes.KID.recipients", "Required value"),
        ("/spec/envelopes/KID/recipients", Some(json!([])), "spec.envelopes.KID.recipients", "should have at least 1 items"),
        ("/spec/envelopes/KID/recipients", Some(vec![recipient; 33].into()), "spec.envelopes.KID.recipients", "must have at most 32 items"),
        ("/spec/envelopes/KID/recipients", Some(json!([recipient.to_uppercase()])), "spec.envelopes.KID.recipients[0]", "should match"),
        ("/spec/envelopes/KID/recipients", Some(json!([&recipient[1..]])), "spec.envelopes.KID.recipients[0]", "should match"),
        ("/spec/envelopes/KID/also", Some(json!([{"recipients": [recipient], "age": "x"}])), "spec.envelopes[KID].also[0].age", no_armor),
        ("/spec/envelopes/KID/also", Some(json!([{"recipients": ["r1"], "age": shared["age"]}])), "spec.envelopes.KID.also[0].recipients[0]", "should match"),
        ("/spec/envelopes/KID", Some(with_also(MAX_ENVELOPES)), "spec.envelopes.KID.also", "must have at most 127 items"),
        ("/spec/envelopes", Some(many(MAX_ENVELOPES + 1, "k", shared)), "spec.envelopes", "must have at most 128 items"),
        ("/spec/envelopes", Some(json!({"k0000000000000000": with_also(100), "k0000000000000001": with_also(27)})), "spec", count),
        // Its template, and the rest.
        ("/spec/template", Some(json!({"metadata": {"labels": {"ageseal.dev/managed": "owned"}}})), "spec.template.metadata.labels", theirs),
        ("/spec/template", Some(json!({"metadata": {"annotations": {"ageseal.dev/paused": ""}}})), "spec.template.metadata.annotations", theirs),
        ("/spec/template", Some(json!({"metadata": {"labels": {"app": 5}}})), "spec.template.metadata.labels.app", "must be of type string"),
        ("/spec/template", Some(json!({"data": {"password": PLAINTEXT}})), "spec.template.data", "unknown field"),
        ("/spec/mode", Some(json!("merge")), "spec.mode", "supported values: \"Replace\", \"Merge\""),
        ("/spec/deletionPolicy", Some(json!("Keep")), "spec.deletionPolicy", "supported values: \"Delete\", \"Retain\""),
        ("/spec/replace", Some(json!("Always")), "spec.replace", "supported values: \"Never\", \"Recreate\""),
        ("/spec/immutable", Some(json!("true")), "spec.immutable", "must be of type boolean"),
        ("/spec/adopt", Some(json!("yes")), "spec.adopt", "must be of type boolean"),
    ];
    assert!(table.len() >= 40);
    let mut wrong = String::new();
    for (pointer, value, path, words) in table {
        let [pointer, path] = [pointer, path].map(|text| text.replace("KID", kid));
        let mut bad = good.clone();
        set(&mut bad, &pointer, value);
        let shown = &pointer[..pointer.len().min(80)];
        match try_create(&client, namespace.name(), "application/json", &bad.to_string()).await {
            Ok(_) => writeln!(wrong, "{shown}: admitted, without {words:?}").unwrap(),
            Err(status) => {
                let told = &status.message;
                if !matches!(status.code, 400 | 422) || !told.contains(&path) || !told.contains(words) {
                    writeln!(wrong, "{shown}: no {path:?} with {words:?} in {}: {told:.400}", status.code).unwrap();
                }
                if told.contains(PLAINTEXT) {
                    writeln!(wrong, "{shown}: quotes the plaintext: {told:.400}").unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_documents_are_admitted() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("large").await;
    let client = plane.client().await;
    let identity = Identity::generate_hybrid(&mut rand_core::OsRng);
    let recipients = [identity.recipient().unwrap()];
    // One value of as many bytes as a document of 1.4 MB can carry, and as many values as there may be.
    let one = sealed::document(namespace.name(), "one").value("key", vec![7; 960_000]);
    let many = (0..MAX_ITEMS).fold(sealed::document(namespace.name(), "many"), |document, i| {
        document.value(&format!("key-{i}"), i.to_string())
    });
    let documents = Api::<SealedSecret>::namespaced(client.clone(), namespace.name());
    for document in [one, many] {
        let document = document.seal_for(&recipients);
        let made = documents.create(&PostParams::default(), &document).await.unwrap();
        assert_eq!(made.spec, document.spec);
    }
    // 128 age files, in every place that there is for them.
    let mut full = document(namespace.name(), "full");
    let shared = full["spec"]["envelopes"].as_object().unwrap().values().next().unwrap().clone();
    let mut with_also = shared.clone();
    with_also["also"] = vec![shared.clone(); 100].into();
    full["spec"]["envelopes"]["k0000000000000000"] = with_also.clone();
    with_also["also"] = vec![shared; 24].into();
    full["spec"]["encryptedData"]["password"]["envelope"] = with_also;
    full["spec"]["encryptedData"]["user"]["envelope"] =
        full["spec"]["envelopes"]["k0000000000000000"]["also"][0].clone();
    try_create(&client, namespace.name(), "application/json", &full.to_string()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_taken_whole_and_the_map_merges_by_key() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("appliers").await;
    let client = plane.client().await;
    let whole = document(namespace.name(), "db");
    let (kid, shared) = whole["spec"]["envelopes"].as_object().unwrap().iter().next().unwrap();
    let (password, user) = (&whole["spec"]["encryptedData"]["password"], &whole["spec"]["encryptedData"]["user"]);
    let with = |items: Value, envelopes: Value| {
        let mut object = whole.clone();
        object["spec"]["encryptedData"] = items;
        object["spec"]["envelopes"] = envelopes;
        object
    };
    let mut own = password.clone();
    own["envelope"] = shared.clone();
    own["envelope"]["also"] = json!([shared]);
    own["scope"] = whole["spec"]["scope"].clone();

    // Two appliers with a data key each: both stay, and each takes its own away.
    let first = with(json!({"password": own}), json!({kid: own["envelope"]}));
    apply(&client, "first", false, &first).await.unwrap();
    let both = apply(&client, "second", false, &with(json!({"user": user}), json!({}))).await.unwrap();
    assert_eq!(both["spec"]["encryptedData"], json!({"password": own, "user": user}));

    // The same data key from the other one: a conflict, and by force the item of the other one alone. An envelope or a
    // scope that stayed from before would stand beside a value that it is not for.
    let second = with(json!({"password": user, "user": user}), json!({kid: shared}));
    let conflict = apply(&client, "second", false, &second).await.unwrap_err();
    assert_eq!(conflict.code, 409);
    let fields: Vec<_> = conflict.details.into_iter().flat_map(|details| details.causes).map(|c| c.field).collect();
    assert_eq!(fields, [".spec.encryptedData.password".to_owned(), format!(".spec.envelopes.{kid}")]);
    let forced = apply(&client, "second", true, &second).await.unwrap();
    assert_eq!(forced["spec"]["encryptedData"]["password"], *user);
    assert_eq!(forced["spec"]["envelopes"][kid], *shared);

    // Who leaves a key out that is nobody else's removes it, and nothing else.
    let left = apply(&client, "second", false, &with(json!({"user": user}), json!({kid: shared}))).await.unwrap();
    assert_eq!(left["spec"]["encryptedData"], json!({"user": user}));

    // Lists are taken whole as well.
    let mut narrower = first.clone();
    narrower["spec"]["scope"] = json!(["other/db"]);
    assert_eq!(apply(&client, "third", true, &narrower).await.unwrap()["spec"]["scope"], json!(["other/db"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn null_where_a_patch_writes_it_is_as_if_it_were_left_out() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("null").await;
    let client = plane.client().await;
    let documents = Api::<SealedSecret>::namespaced(client.clone(), namespace.name());
    let mut object = document(namespace.name(), "created");
    for field in ["envelope", "scope"] {
        object["spec"]["encryptedData"]["password"][field] = Value::Null;
    }
    let path = format!("{}/sealedsecrets", namespace.name());
    send(&client, Method::POST, &path, "", "application/json", &object.to_string()).await.unwrap();
    object["metadata"]["name"] = json!("applied");
    apply(&client, "tester", false, &object).await.unwrap();
    for name in ["created", "applied"] {
        let item = &documents.get(name).await.unwrap().spec.encrypted_data["password"];
        assert!(item.envelope.is_none() && item.scope.is_none(), "{name}");
        assert!(documents.get(name).await.unwrap().spec.to_sealed().is_ok(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_that_nobody_looked_yet() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("status").await;
    let client = plane.client().await;
    let mut object = document(namespace.name(), "db");
    // What a document claims of its status is not taken.
    object["status"] = json!({"observedGeneration": 1, "keys": 5});
    let path = format!("{}/sealedsecrets", namespace.name());
    let made = send(&client, Method::POST, &path, "", "application/json", &object.to_string()).await.unwrap();
    assert_eq!(made["status"], json!({"observedGeneration": -1}));
    assert_eq!(made["metadata"]["generation"], 1);

    // Conditions of two writers stand beside each other, one of a type.
    let documents = Api::<SealedSecret>::namespaced(client.clone(), namespace.name());
    let condition = async |manager: &str, kind: &str, status: &str| {
        let condition = json!({"type": kind, "status": status, "reason": "Opened", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let patch = json!({
            "apiVersion": object["apiVersion"], "kind": object["kind"],
            "status": {"observedGeneration": 1, "keys": 2, "conditions": [condition]},
        });
        documents.patch_status("db", &PatchParams::apply(manager).force(), &Patch::Apply(&patch)).await.unwrap()
    };
    condition("first", "Ready", "False").await;
    condition("second", "Stalled", "True").await;
    let seen = condition("first", "Ready", "True").await;
    let seen: Vec<_> = seen.status.unwrap().conditions.into_iter().map(|c| (c.type_, c.status)).collect();
    assert_eq!(seen, [("Ready".to_owned(), "True".to_owned()), ("Stalled".to_owned(), "True".to_owned())]);
    // A write of the status is no change of the document.
    assert_eq!(documents.get("db").await.unwrap().metadata.generation, Some(1));

    let table = plane.kubectl(&["get", "ags", "-n", namespace.name()]);
    let table = String::from_utf8(table.expect_success()).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "READY", "REASON", "KEYS", "AGE"]);
    assert_eq!(rows[1][..4], ["db", "True", "Opened", "2"]);
    let all = String::from_utf8(plane.kubectl(&["get", "all", "-n", namespace.name()]).stdout).unwrap();
    assert!(!all.contains("db"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explains_every_field() {
    const FIELDS: &[(&str, &str)] = &[
        ("", "A Secret in encrypted form, as it lives in git"),
        ("spec", "where they may be opened"),
        ("spec.scope", "patterns NAMESPACE/NAME"),
        ("spec.type", "Opaque if it is left out"),
        ("spec.immutable", "refuses every later change"),
        ("spec.encryptedData", "by the data key"),
        ("spec.encryptedData.value", "made by ageseal"),
        ("spec.encryptedData.scope", "in place of the document's"),
        ("spec.encryptedData.envelope", "of this value alone"),
        ("spec.encryptedData.envelope.recipients", "a claim"),
        ("spec.encryptedData.envelope.age", "in ASCII armor"),
        ("spec.encryptedData.envelope.also", "added later"),
        ("spec.encryptedData.envelope.also.recipients", "a claim"),
        ("spec.encryptedData.envelope.also.age", "in ASCII armor"),
        ("spec.envelopes", "k and 16 lower-case hexadecimal digits"),
        ("spec.envelopes.recipients", "a claim"),
        ("spec.envelopes.age", "never a value"),
        ("spec.envelopes.also", "added later"),
        ("spec.envelopes.also.recipients", "a claim"),
        ("spec.envelopes.also.age", "in ASCII armor"),
        ("spec.template", "not authenticated"),
        ("spec.template.metadata", "Labels and annotations"),
        ("spec.template.metadata.labels", "Labels of the Secret"),
        ("spec.template.metadata.annotations", "Annotations of the Secret"),
        ("spec.mode", "Merge: only the document's data keys"),
        ("spec.adopt", "ageseal.dev/adopt-by"),
        ("spec.deletionPolicy", "Retain: it stays"),
        ("spec.replace", "Recreate: if it is the document's own"),
        ("status", "What the controller saw and did"),
        ("status.observedGeneration", "-1 before the controller looked"),
        ("status.conditions", "Ready, Reconciling, Stalled"),
        ("status.keys", "How many data keys"),
        ("status.faultyKeys", "at fault"),
        ("status.identities", "identities that opened"),
        ("status.secret", "last written"),
        ("status.secret.uid", "UID of the Secret"),
        ("status.lastHandledReconcile", "ageseal.dev/reconcile"),
    ];
    let plane = ControlPlane::shared();
    let explain = |arguments: &[&str]| {
        let version = ["explain", "--api-version=ageseal.dev/v1alpha1"];
        let outcome = plane.kubectl(&[version.as_slice(), arguments].concat());
        (outcome.success().then(|| String::from_utf8(outcome.stdout.clone()).unwrap())).ok_or(outcome.stderr_text())
    };
    eventually(SOON, "the schema is published", || async { explain(&["sealedsecrets.spec"]) }).await;
    for (field, words) in FIELDS {
        let path = if field.is_empty() { "sealedsecrets".to_owned() } else { format!("sealedsecrets.{field}") };
        let told = explain(&[&path]).unwrap_or_else(|e| panic!("{path}: {e}"));
        let description = told.split_once("DESCRIPTION:").unwrap_or_else(|| panic!("{told}")).1;
        let description =
            description.split("\nFIELDS:").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(description.contains(words), "{path}: {description}");
    }
    // None was forgotten in the table.
    let tree = explain(&["sealedsecrets.spec", "--recursive"]).unwrap();
    let fields = tree.split_once("\nFIELDS:\n").unwrap().1.lines().filter(|line| line.contains('<')).count();
    assert_eq!(fields, FIELDS.iter().filter(|(field, _)| field.starts_with("spec.")).count(), "{tree}");
}

/// Installs the policy, and gives clients of ServiceAccounts that may do everything with documents: one has no right on
/// Secrets, the others have what is named.
struct Tenants<'a> {
    plane: &'static ControlPlane,
    namespace: &'a Namespace,
}

impl<'a> Tenants<'a> {
    async fn of(namespace: &'a Namespace) -> Self {
        let plane = ControlPlane::shared();
        let folder = workspace_root().join("deploy/admission");
        let applied = plane.kubectl(&["apply", "--server-side", "-k", &folder.display().to_string()]);
        assert!(applied.success(), "{}", applied.stderr_text());
        let tenants = Self { plane, namespace };
        let probe = tenants.with("probe", &[], "").await;
        let object = document(namespace.name(), "probe").to_string();
        eventually(SOON, "the policy is in force", || async {
            match try_create(&probe, namespace.name(), "application/json", &object).await {
                Err(status) if status.message.contains("ageseal-secret-rights") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        tenants
    }

    /// A client that may use these verbs on Secrets, on that one or on all.
    async fn with(&self, account: &str, verbs: &[&str], secret: &str) -> Client {
        let kubeconfig = self.plane.service_account(self.namespace.name(), account).await;
        let names = if secret.is_empty() { String::new() } else { format!(", resourceNames: [{secret}]") };
        let secrets = if verbs.is_empty() {
            String::new()
        } else {
            format!("- {{apiGroups: [''], resources: [secrets], verbs: [{}]{names}}}\n", verbs.join(", "))
        };
        self.plane.apply(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {account}, namespace: {0}}}\nrules:\n\
             - {{apiGroups: [ageseal.dev], resources: [sealedsecrets, sealedsecrets/status], verbs: ['*']}}\n{secrets}---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {account}, namespace: {0}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {account}}}\n\
             subjects: [{{kind: ServiceAccount, name: {account}, namespace: {0}}}]\n",
            self.namespace.name()
        ));
        let client = self.plane.client_with(&kubeconfig).await;
        let documents = Api::<SealedSecret>::namespaced(client.clone(), self.namespace.name());
        eventually(SOON, "the Role is in force", || async { documents.list(&ListParams::default()).await }).await;
        client
    }
}

fn denied<T: std::fmt::Debug>(answer: kube::Result<T>, words: &str) {
    match answer {
        Err(kube::Error::Api(status)) => denied_status(Err::<T, _>(*status), words),
        other => panic!("not denied with {words:?}: {other:?}"),
    }
}

fn denied_status<T: std::fmt::Debug>(answer: Result<T, Status>, words: &str) {
    let status = answer.unwrap_err();
    assert!(status.code == 403 && status.message.contains(words), "{}: {}", status.code, status.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_written_by_who_may_write_its_secret() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("tenants").await;
    let ns = namespace.name();
    let tenants = Tenants::of(&namespace).await;
    let api = |client: &Client| Api::<SealedSecret>::namespaced(client.clone(), ns);
    let (object, other) = (document(ns, "db"), document(ns, "other"));
    let typed = |object: &Value| serde_json::from_value::<SealedSecret>(object.clone()).unwrap();
    let (create, touch) = (PostParams::default(), Patch::Merge(json!({"metadata": {"annotations": {"a": "b"}}})));
    let user = |account: &str| format!("system:serviceaccount:{ns}:{account}");

    let without = tenants.with("without", &[], "").await;
    let may_not_create = format!(
        "{} may not update the Secret {ns}/db, so may not create the SealedSecret of that name",
        user("without")
    );
    denied(api(&without).create(&create, &typed(&object)).await, &may_not_create);
    denied_status(apply(&without, "tester", true, &object).await, &may_not_create);

    // The right for one Secret is the right for one document.
    let one = tenants.with("one", &["update", "delete"], "db").await;
    api(&one).create(&create, &typed(&object)).await.unwrap();
    denied(api(&one).create(&create, &typed(&other)).await, &format!("may not update the Secret {ns}/other"));
    api(&one).patch("db", &PatchParams::default(), &touch).await.unwrap();
    let reader = tenants.with("reader", &["get", "list", "create", "delete"], "").await;
    denied(api(&reader).create(&create, &typed(&other)).await, "may not update the Secret");

    // What is there cannot be changed either: not its values, not what steers the controller.
    denied(api(&without).patch("db", &PatchParams::default(), &touch).await, "may not update the Secret");
    denied_status(apply(&without, "tester", true, &object).await, "so may not update the SealedSecret of that name");
    let finalizers = Patch::Merge(json!({"metadata": {"finalizers": ["ageseal.dev/merge"]}}));
    denied(api(&without).patch("db", &PatchParams::default(), &finalizers).await, "may not update the Secret");
    // To patch a Secret is to write it: the controller has that verb and not the other, and sets a finalizer with it.
    let patcher = tenants.with("patcher", &["patch"], "").await;
    api(&patcher).patch("db", &PatchParams::default(), &finalizers).await.unwrap();
    let finalizers = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api(&patcher).patch("db", &PatchParams::default(), &finalizers).await.unwrap();
    // The status is the controller's, by its Role.
    let status = Patch::Merge(json!({"status": {"observedGeneration": 1}}));
    api(&without).patch_status("db", &PatchParams::default(), &status).await.unwrap();

    // Deleting takes the Secret away, one by one or all at once.
    let gone = DeleteParams::default();
    let may_not_delete = format!("may not delete the Secret {ns}/db, so may not delete the SealedSecret of that name");
    for client in [&without, &patcher] {
        denied(api(client).delete("db", &gone).await, &may_not_delete);
        denied(api(client).delete_collection(&gone, &ListParams::default()).await, &may_not_delete);
    }
    api(&plane.client().await).create(&create, &typed(&other)).await.unwrap();
    denied(api(&one).delete("other", &gone).await, "may not delete the Secret");
    api(&one).delete("db", &gone).await.unwrap();
    assert!(api(&one).get_opt("db").await.unwrap().is_none());
    let all = tenants.with("all", &["delete"], "").await;
    api(&all).delete_collection(&gone, &ListParams::default()).await.unwrap();
    eventually(SOON, "all are gone", || async {
        api(&all).list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_name_is_held_against_the_right_for_that_name() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("generated").await;
    let tenants = Tenants::of(&namespace).await;
    let mut object = document(namespace.name(), "db");
    object["metadata"] = json!({"generateName": "db-", "namespace": namespace.name()});
    let path = format!("{}/sealedsecrets", namespace.name());
    let create =
        async |client: &Client| send(client, Method::POST, &path, "", "application/json", &object.to_string()).await;
    // Whoever may write one Secret cannot know the name that comes.
    for (account, verbs, secret) in [("none", &[][..], ""), ("one", &["update"][..], "db-")] {
        let client = tenants.with(account, verbs, secret).await;
        let words = format!("may not update the Secret {}/db-", namespace.name());
        denied_status(create(&client).await, &words);
    }
    let any = tenants.with("any", &["update"], "").await;
    let made = create(&any).await.unwrap();
    assert!(made["metadata"]["name"].as_str().unwrap().len() > "db-".len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_with_its_documents_while_the_policy_stands() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("terminated").await;
    let name = namespace.name().to_owned();
    Tenants::of(&namespace).await;
    let client = plane.client().await;
    let documents = Api::<SealedSecret>::namespaced(client.clone(), &name);
    for document_name in ["a", "b", "c"] {
        let object = serde_json::from_value(document(&name, document_name)).unwrap();
        documents.create(&PostParams::default(), &object).await.unwrap();
    }
    // And what belongs to something else is collected.
    let owner = core::ConfigMap {
        metadata: ObjectMeta { name: Some("owner".into()), ..Default::default() },
        ..Default::default()
    };
    let maps = Api::<core::ConfigMap>::namespaced(client.clone(), &name);
    let owner = maps.create(&PostParams::default(), &owner).await.unwrap();
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid()}]);
    let owned = Patch::Merge(json!({"metadata": {"ownerReferences": reference}}));
    documents.patch("a", &PatchParams::default(), &owned).await.unwrap();
    maps.delete("owner", &DeleteParams::background()).await.unwrap();
    eventually(SOON, "the owned document is collected", || async {
        documents.get_opt("a").await.unwrap().is_none().then_some(())
    })
    .await;

    let namespaces = Api::<core::Namespace>::all(client);
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    eventually(SOON, "the namespace is gone", || async {
        match namespaces.get_opt(&name).await.unwrap() {
            None => Ok(()),
            Some(left) => Err(format!("{:?}", left.status)),
        }
    })
    .await;
    assert!(documents.list(&ListParams::default()).await.unwrap().items.is_empty());
}
