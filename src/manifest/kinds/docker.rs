//! `kubernetes.io/dockercfg` and `kubernetes.io/dockerconfigjson`.
//!
//! The API server demands the key and a JSON object in it. What is in the object matters to the kubelet alone
//! (`k8s.io/kubernetes/pkg/credentialprovider`), so it is a warning. Registry names are part of the value and are
//! counted, not named.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{SecretType, required};
use crate::manifest::base64;
use crate::manifest::json::SecretJson;
use crate::problem::Problem;
use crate::secret::Plaintext;

const DOCKERCFG: &str = ".dockercfg";
const DOCKERCONFIGJSON: &str = ".dockerconfigjson";

/// `.dockercfg` is a map from registry to credentials.
pub(super) fn check_dockercfg(data: &BTreeMap<String, Plaintext>, problems: &mut Vec<Problem>) {
    let Some(json) = object(data, DOCKERCFG, &SecretType::DockerCfg, problems) else { return };
    let Some(map) = json.value().as_object() else { return };
    if map.get("auths").is_some_and(Value::is_object) {
        problems.push(
            Problem::warning("docker-shape", "the value has the shape of config.json, with auths")
                .key(DOCKERCFG)
                .hint("use the type kubernetes.io/dockerconfigjson and the key .dockerconfigjson"),
        );
        return;
    }
    registries(map, DOCKERCFG, problems);
}

/// `.dockerconfigjson` is Docker's `config.json`, whose `auths` is such a map.
pub(super) fn check_dockerconfigjson(data: &BTreeMap<String, Plaintext>, problems: &mut Vec<Problem>) {
    let Some(json) = object(data, DOCKERCONFIGJSON, &SecretType::DockerConfigJson, problems) else { return };
    let Some(map) = json.value().as_object() else { return };
    match map.get("auths") {
        Some(Value::Object(auths)) => {
            if auths.is_empty() {
                no_credentials(map, problems);
            } else {
                registries(auths, DOCKERCONFIGJSON, problems);
            }
        }
        Some(_) => {
            problems.push(Problem::warning("docker-shape", "auths is not a JSON object").key(DOCKERCONFIGJSON));
        }
        None if map.values().any(|entry| entry.get("auth").is_some()) => problems.push(
            Problem::warning("docker-shape", "the value has the shape of .dockercfg, without auths")
                .key(DOCKERCONFIGJSON)
                .hint("put it into {\"auths\": …}"),
        ),
        None => no_credentials(map, problems),
    }
}

fn no_credentials(map: &Map<String, Value>, problems: &mut Vec<Problem>) {
    let mut problem = Problem::warning("docker-auth", "the value names no registry in auths").key(DOCKERCONFIGJSON);
    if map.contains_key("credsStore") || map.contains_key("credHelpers") {
        problem = problem.hint("Docker keeps these credentials in a program of this machine: log in without it");
    }
    problems.push(problem);
}

fn object(
    data: &BTreeMap<String, Plaintext>,
    key: &'static str,
    secret_type: &SecretType,
    problems: &mut Vec<Problem>,
) -> Option<SecretJson> {
    let value = required(data, key, secret_type, problems)?;
    match SecretJson::parse(value.expose()) {
        Err(at) => problems.push(
            Problem::error(
                "docker-json",
                format!("the value stops being JSON at line {}, column {}", at.line, at.column),
            )
            .key(key)
            .hint("it is the file that docker login writes, whole: ~/.docker/config.json"),
        ),
        Ok(json) if json.value().is_object() => return Some(json),
        Ok(_) => problems.push(
            Problem::error("docker-json", "the value is not a JSON object")
                .key(key)
                .hint("it is the file that docker login writes, whole: ~/.docker/config.json"),
        ),
    }
    None
}

/// Counts the entries that the kubelet cannot use.
fn registries(map: &Map<String, Value>, key: &'static str, problems: &mut Vec<Problem>) {
    let (mut misshapen, mut undecodable, mut empty) = (0, 0, 0);
    for entry in map.values() {
        let Some(entry) = entry.as_object() else {
            misshapen += 1;
            continue;
        };
        let text = |name: &str| entry.get(name).map_or(Some(""), Value::as_str);
        match (text("auth"), text("username"), text("password")) {
            (None, ..) | (_, None, _) | (.., None) => misshapen += 1,
            (Some(""), Some(""), Some("")) => empty += 1,
            (Some(""), ..) => {}
            (Some(auth), ..) if is_user_and_password(auth) => {}
            _ => undecodable += 1,
        }
    }
    let all = map.len();
    let mut say = |count: usize, fact: &str, hint: Option<&str>| {
        if count > 0 {
            let mut problem = Problem::warning("docker-auth", format!("{fact}: {count} of {all} registries")).key(key);
            problem.hint = hint.map(str::to_owned);
            problems.push(problem);
        }
    };
    say(misshapen, "credentials that are not an object of texts", None);
    say(undecodable, "an auth that is not base64 of user:password", None);
    say(
        empty,
        "no auth, user name or password",
        Some("Docker keeps such credentials in a program of this machine (credsStore): log in without it"),
    );
}

/// As the kubelet: padded if it ends in `=`, else unpadded; then a user, a colon, a password.
fn is_user_and_password(auth: &str) -> bool {
    let decoded = if auth.trim().ends_with('=') {
        base64::decode(auth.as_bytes())
    } else {
        base64::decode_unpadded(auth.as_bytes())
    };
    decoded.is_some_and(|pair| pair.contains(&b':'))
}

#[cfg(test)]
mod tests {
    use super::super::testing::codes;
    use super::*;

    fn config(json: &str) -> Vec<String> {
        codes(&SecretType::DockerConfigJson, &[(DOCKERCONFIGJSON, json.as_bytes())])
    }

    fn cfg(json: &str) -> Vec<String> {
        codes(&SecretType::DockerCfg, &[(DOCKERCFG, json.as_bytes())])
    }

    #[test]
    fn good_configs_pass() {
        assert!(config(r#"{"auths":{"registry.example":{"auth":"dXNlcjpodW50ZXIy"}}}"#).is_empty());
        assert!(config(r#"{"auths":{"registry.example":{"username":"u","password":"p","email":"e"}}}"#).is_empty());
        assert!(config(r#"{"auths":{"registry.example":{"auth":"dTpw"}},"HttpHeaders":{}}"#).is_empty());
        assert!(cfg(r#"{"https://index.example/v1/":{"auth":"dTpwdw==","email":"e"}}"#).is_empty());
    }

    #[test]
    fn the_key_and_a_json_object_are_demanded() {
        assert_eq!(codes(&SecretType::DockerConfigJson, &[("config.json", b"{}")]), ["!missing-key .dockerconfigjson"]);
        assert_eq!(codes(&SecretType::DockerCfg, &[("x", b"{}")]), ["!missing-key .dockercfg"]);
        for bad in ["", "hunter2hunter2", "{", "[]", "null", "\"x\"", "{} {}", "\u{feff}{}"] {
            assert_eq!(config(bad), ["!docker-json .dockerconfigjson"], "{bad}");
            assert_eq!(cfg(bad), ["!docker-json .dockercfg"], "{bad}");
        }
    }

    #[test]
    fn what_the_kubelet_cannot_use_is_a_warning() {
        let warned = ["docker-auth .dockerconfigjson"];
        assert_eq!(config(r#"{"auths":{}}"#), warned);
        assert_eq!(config("{}"), warned);
        assert_eq!(config(r#"{"auths":{"r":{}},"credsStore":"desktop"}"#), warned);
        assert_eq!(config(r#"{"auths":{"r":{"auth":"not base64!"}}}"#), warned);
        assert_eq!(config(r#"{"auths":{"r":{"auth":"aHVudGVyMg=="}}}"#), warned, "no colon");
        assert_eq!(config(r#"{"auths":{"r":{"auth":5}}}"#), warned);
        assert_eq!(config(r#"{"auths":{"r":"x"}}"#), warned);
        assert_eq!(cfg(r#"{"r":{"auth":"not base64!"}}"#), ["docker-auth .dockercfg"]);
    }

    #[test]
    fn one_shape_under_the_name_of_the_other_is_a_warning() {
        assert_eq!(config(r#"{"r":{"auth":"dTpw"}}"#), ["docker-shape .dockerconfigjson"]);
        assert_eq!(config(r#"{"auths":[]}"#), ["docker-shape .dockerconfigjson"]);
        assert_eq!(cfg(r#"{"auths":{"r":{"auth":"dTpw"}}}"#), ["docker-shape .dockercfg"]);
    }

    #[test]
    fn no_message_names_a_registry_or_quotes_the_text() {
        let json: &[u8] = br#"{"auths":{"registry.internal.example":{"auth":"c2VjcmV0c2VjcmV0"}}, "x" hunter2hunter2}"#;
        let mut problems = Vec::new();
        let data = super::super::testing::data(&[(DOCKERCONFIGJSON, json)]);
        check_dockerconfigjson(&data, &mut problems);
        let text = format!("{problems:?}");
        assert!(!text.contains("hunter2") && !text.contains("registry.internal"), "{text}");
        assert!(text.contains("line 1, column"), "{text}");
    }
}
