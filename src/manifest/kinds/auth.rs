//! `kubernetes.io/basic-auth` and `kubernetes.io/ssh-auth`.

use std::collections::BTreeMap;

use super::{SecretType, required};
use crate::problem::Problem;
use crate::secret::Plaintext;

const SSH_PRIVATE_KEY: &str = "ssh-privatekey";

/// The API server demands one of the two keys and takes an empty value.
pub(super) fn check_basic(data: &BTreeMap<String, Plaintext>, problems: &mut Vec<Problem>) {
    if !data.contains_key("username") && !data.contains_key("password") {
        problems.push(
            Problem::error("missing-key", "the type kubernetes.io/basic-auth demands the key username or password")
                .key("username"),
        );
    }
    for key in ["username", "password"] {
        if data.get(key).is_some_and(|value| value.expose().ends_with(b"\n")) {
            problems.push(
                Problem::warning("trailing-newline", "the value ends in a newline, which most programs take literally")
                    .key(key)
                    .hint("leave the newline off: a quoted text, or printf instead of echo"),
            );
        }
    }
}

/// The API server demands a key that is not empty; the shape matters to ssh alone.
pub(super) fn check_ssh(data: &BTreeMap<String, Plaintext>, problems: &mut Vec<Problem>) {
    let Some(value) = required(data, SSH_PRIVATE_KEY, &SecretType::SshAuth, problems) else { return };
    let bytes = value.expose();
    if bytes.is_empty() {
        problems.push(
            Problem::error("empty-value", "the type kubernetes.io/ssh-auth demands a key that is not empty")
                .key(SSH_PRIVATE_KEY),
        );
        return;
    }
    if ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|prefix| bytes.starts_with(prefix.as_bytes())) {
        problems.push(
            Problem::warning("ssh-public-key", "the value is a public key; the private one is expected")
                .key(SSH_PRIVATE_KEY)
                .hint("take the file without .pub"),
        );
        return;
    }
    if !has_private_key_line(bytes) {
        problems.push(
            Problem::warning("ssh-not-a-key", "the value has no line -----BEGIN … PRIVATE KEY-----")
                .key(SSH_PRIVATE_KEY),
        );
        return;
    }
    if bytes.contains(&b'\r') {
        problems.push(
            Problem::warning("pem-cr", "the key has carriage returns, which ssh refuses")
                .key(SSH_PRIVATE_KEY)
                .hint("convert the file to LF line ends"),
        );
    } else if !bytes.ends_with(b"\n") {
        problems.push(
            Problem::warning("ssh-no-newline", "the key does not end in a newline, which ssh demands")
                .key(SSH_PRIVATE_KEY)
                .hint("use a block scalar with | rather than |-"),
        );
    }
}

fn has_private_key_line(bytes: &[u8]) -> bool {
    bytes
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .any(|line| line.starts_with(b"-----BEGIN ") && line.ends_with(b"PRIVATE KEY-----"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::codes;
    use super::*;

    const KEY: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n";

    #[test]
    fn basic_auth_demands_one_of_the_two() {
        assert!(codes(&SecretType::BasicAuth, &[("username", b"u"), ("password", b"p")]).is_empty());
        assert!(codes(&SecretType::BasicAuth, &[("username", b"u")]).is_empty());
        assert!(codes(&SecretType::BasicAuth, &[("password", b"")]).is_empty());
        assert_eq!(codes(&SecretType::BasicAuth, &[("user", b"u")]), ["!missing-key username"]);
    }

    #[test]
    fn basic_auth_says_a_trailing_newline() {
        assert_eq!(codes(&SecretType::BasicAuth, &[("password", b"p\n")]), ["trailing-newline password"]);
    }

    #[test]
    fn ssh_auth_demands_a_key() {
        assert!(codes(&SecretType::SshAuth, &[(SSH_PRIVATE_KEY, KEY)]).is_empty());
        assert!(codes(&SecretType::SshAuth, &[(SSH_PRIVATE_KEY, KEY), ("known_hosts", b"x")]).is_empty());
        assert_eq!(codes(&SecretType::SshAuth, &[("id_rsa", KEY)]), ["!missing-key ssh-privatekey"]);
        assert_eq!(codes(&SecretType::SshAuth, &[(SSH_PRIVATE_KEY, b"")]), ["!empty-value ssh-privatekey"]);
    }

    #[test]
    fn ssh_auth_says_what_ssh_will_refuse() {
        let shown = |value: &[u8]| codes(&SecretType::SshAuth, &[(SSH_PRIVATE_KEY, value)]);
        assert_eq!(shown(b"ssh-ed25519 AAAA comment\n"), ["ssh-public-key ssh-privatekey"]);
        assert_eq!(shown(b"what is this\n"), ["ssh-not-a-key ssh-privatekey"]);
        assert_eq!(shown(KEY.trim_ascii_end()), ["ssh-no-newline ssh-privatekey"]);
        let crlf = String::from_utf8(KEY.to_vec()).unwrap().replace('\n', "\r\n");
        assert_eq!(shown(crlf.as_bytes()), ["pem-cr ssh-privatekey"]);
    }
}
