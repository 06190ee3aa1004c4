//! The credentials of a registry, from their parts.

use std::collections::BTreeMap;

use ageseal::manifest::SecretType;
use ageseal::secret::Plaintext;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::prompt;
use crate::ui::Ui;

const INSTEAD: &str = "give the whole file instead: --from-file .dockerconfigjson=config.json";

/// The parts of registry credentials; the password is asked for.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Options {
    /// The registry (dockerconfigjson, dockercfg)
    #[arg(long, value_name = "HOST", requires = "docker_username")]
    docker_server: Option<String>,
    /// The user at the registry; the password is asked for
    #[arg(long, value_name = "USER", requires = "docker_server")]
    docker_username: Option<String>,
    /// The user's e-mail address
    #[arg(long, value_name = "ADDRESS", requires = "docker_server")]
    docker_email: Option<String>,
}

impl Options {
    /// Adds the one key of a registry Secret, if its parts were given.
    pub fn add(&self, ui: &Ui, kind: &SecretType, values: &mut BTreeMap<String, Plaintext>) -> Result<(), CliError> {
        let (Some(server), Some(username)) = (&self.docker_server, &self.docker_username) else { return Ok(()) };
        let key = match kind {
            SecretType::DockerConfigJson => ".dockerconfigjson",
            SecretType::DockerCfg => ".dockercfg",
            _ => {
                return Err(CliError::usage("--docker-server belongs to the types dockerconfigjson and dockercfg"));
            }
        };
        if values.contains_key(key) {
            return Err(CliError::usage(format!("{key}: two sources give this key")).hint("keep one"));
        }
        let password = prompt::secret(ui, &format!("password of {username} at {server}"), INSTEAD)?;
        let json = credentials(kind, server, username, &password, self.docker_email.as_deref());
        values.insert(key.to_owned(), Plaintext::new(json.as_bytes().to_vec()));
        Ok(())
    }
}

/// The JSON, written by hand over escaped parts, so that no library keeps a copy of the password.
fn credentials(
    kind: &SecretType,
    server: &str,
    username: &str,
    password: &str,
    email: Option<&str>,
) -> Zeroizing<String> {
    let escape = |text: &str| Zeroizing::new(serde_json::Value::from(text).to_string());
    let pair = Zeroizing::new(format!("{username}:{password}"));
    let auth = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
    let email = email.map(|email| format!(",\"email\":{}", *escape(email))).unwrap_or_default();
    let entry = Zeroizing::new(format!(
        "{{{}:{{\"username\":{},\"password\":{}{email},\"auth\":\"{}\"}}}}",
        *escape(server),
        *escape(username),
        *escape(password),
        *auth
    ));
    match kind {
        SecretType::DockerConfigJson => Zeroizing::new(format!("{{\"auths\":{}}}", *entry)),
        _ => entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_what_docker_reads() {
        let json = credentials(&SecretType::DockerConfigJson, "registry.example.com", "ci", "p\"w:1", Some("a@b"));
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        let entry = &read["auths"]["registry.example.com"];
        assert_eq!(entry["password"], "p\"w:1");
        assert_eq!(entry["email"], "a@b");
        assert_eq!(BASE64_STANDARD.decode(entry["auth"].as_str().unwrap()).unwrap(), b"ci:p\"w:1");
        let json = credentials(&SecretType::DockerCfg, "registry.example.com", "ci", "pw", None);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["registry.example.com"]["username"], "ci");
    }
}
