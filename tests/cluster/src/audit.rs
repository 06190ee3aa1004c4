//! The audit log: what was asked of the API server, and by whom.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line of the audit log.
///
/// A request is written when its answer was sent (`ResponseComplete`); a watch also when it began (`ResponseStarted`).
/// The line may come a moment after the answer: wait for it with [`eventually`](crate::eventually).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEvent {
    /// Who asked, such as `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; a method in lower case where
    /// no resource was asked for.
    pub verb: String,
    /// The API group, empty for the core.
    pub group: String,
    /// The resource in plural, empty for paths such as `/version`.
    pub resource: String,
    /// The subresource, such as `status`, or empty.
    pub subresource: String,
    /// The namespace, empty for cluster-wide requests.
    pub namespace: String,
    /// The name, empty for requests of a collection.
    pub name: String,
    /// The HTTP code of the answer; 0 if there is none.
    pub code: u16,
    /// The path with its query.
    pub uri: String,
    /// `ResponseStarted`, `ResponseComplete` or `Panic`.
    pub stage: String,
    /// Which token it was asked with, such as `JTI=…`: processes of one ServiceAccount are told apart by it. Empty for the
    /// administrator.
    pub credential: String,
    /// When the request came: RFC 3339 in UTC, to the microsecond, so that two of them compare as texts.
    pub received: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(default)]
    user: User,
    #[serde(default)]
    verb: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: Status,
    #[serde(rename = "requestURI", default)]
    request_uri: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    request_received_timestamp: String,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

/// What the API server adds to a user who came with a ServiceAccount's token.
///
/// Source: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens>.
const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

/// Reads the log. A last line that is not whole yet is left for the next time.
pub(crate) fn parse(text: &str) -> Vec<AuditEvent> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| event(line).unwrap_or_else(|e| panic!("audit log: {e}: {line}"))).collect()
}

fn event(line: &str) -> Result<AuditEvent, serde_json::Error> {
    let mut line: Line = serde_json::from_str(line)?;
    Ok(AuditEvent {
        credential: line.user.extra.remove(CREDENTIAL).unwrap_or_default().concat(),
        received: line.request_received_timestamp,
        user: line.user.username,
        verb: line.verb,
        group: line.object_ref.api_group,
        resource: line.object_ref.resource,
        subresource: line.object_ref.subresource,
        namespace: line.object_ref.namespace,
        name: line.object_ref.name,
        code: line.response_status.code,
        uri: line.request_uri,
        stage: line.stage,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_and_half_a_line_is_not() {
        let text = concat!(
            r#"{"stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/secrets/b?x=1","verb":"patch","#,
            r#""user":{"username":"u","groups":["g"],"#,
            r#""extra":{"authentication.kubernetes.io/credential-id":["JTI=1"]}},"#,
            r#""requestReceivedTimestamp":"2026-01-02T03:04:05.000006Z","objectRef":{"resource":"secrets","namespace":"a","name":"b","#,
            r#""apiVersion":"v1"},"responseStatus":{"metadata":{},"code":201}}"#,
            "\n{\"stage\":\"Resp"
        );
        let expected = AuditEvent {
            user: "u".into(),
            verb: "patch".into(),
            resource: "secrets".into(),
            namespace: "a".into(),
            name: "b".into(),
            code: 201,
            uri: "/api/v1/namespaces/a/secrets/b?x=1".into(),
            stage: "ResponseComplete".into(),
            credential: "JTI=1".into(),
            received: "2026-01-02T03:04:05.000006Z".into(),
            ..AuditEvent::default()
        };
        assert_eq!(parse(text), [expected]);
    }
}
