//! Changing the policy's text: a new one, and the names of one rule.

use crate::format::API_VERSION;
use crate::problem::Problem;
use crate::yaml::{EditError, Editor, Stream, Value, YamlError, render};

use super::rules::{Policy, Rule, bad_name, is_name, recipients_node};
use super::{POLICY_KIND, POLICY_PATH};

/// Why a policy's text was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyEditError {
    /// The text is not YAML.
    #[error("{POLICY_PATH} cannot be read")]
    Yaml(#[from] YamlError),
    /// The policy has problems: of its own, or as it would be after the change.
    #[error("{POLICY_PATH} has {} problems", .0.len())]
    Policy(Vec<Problem>),
    /// There is no such rule.
    #[error("the policy has no rule {rule}")]
    NoSuchRule {
        /// Its index, from 0.
        rule: usize,
    },
    /// The rule has that name already.
    #[error("rule {rule} has {name} already")]
    Present {
        /// The rule's index, from 0.
        rule: usize,
        /// The name.
        name: String,
    },
    /// The rule does not have that name.
    #[error("rule {rule} does not have {name}")]
    Absent {
        /// The rule's index, from 0.
        rule: usize,
        /// The name.
        name: String,
    },
    /// The name is the only one of its rule.
    #[error("{name} is the only name of rule {rule}: nobody would be left to seal for")]
    LastName {
        /// The rule's index, from 0.
        rule: usize,
        /// The name.
        name: String,
    },
    /// The text is written in a way that cannot be edited.
    #[error("{POLICY_PATH} was left as it is")]
    Edit(#[from] EditError),
}

/// A rule of a new policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRule {
    /// Path patterns.
    pub paths: Vec<String>,
    /// Names of recipients files.
    pub recipients: Vec<String>,
    /// Scope patterns.
    pub scopes: Vec<String>,
}

/// The text of a new policy, with a comment that explains it.
///
/// # Errors
/// What is wrong with the rules: the text is read back before it is given out.
pub fn new_policy(rules: &[NewRule]) -> Result<String, Vec<Problem>> {
    let quoted = |texts: &[String]| Value::FlowSeq(texts.iter().cloned().map(Value::SingleQuoted).collect());
    let plain = |texts: &[String]| Value::FlowSeq(texts.iter().cloned().map(Value::Str).collect());
    let rule = |rule: &NewRule| {
        Value::map([
            ("paths", quoted(&rule.paths)),
            ("recipients", plain(&rule.recipients)),
            ("scopes", quoted(&rule.scopes)),
        ])
    };
    let head = Value::map([("apiVersion", Value::from(API_VERSION)), ("kind", Value::from(POLICY_KIND))]);
    let body = Value::map([("rules", Value::Seq(rules.iter().map(rule).collect()))]);
    let text = format!(
        "# Which path is sealed for whom. The first rule that matches wins; a path that none matches is an error.\n\
         # recipients are the names of files in recipients/, scopes the Secrets (NAMESPACE/NAME) that may be sealed\n\
         # for them.\n{}{}",
        render(&head, "\n"),
        render(&body, "\n"),
    );
    Policy::parse(text.clone().into_bytes()).map(|_| text)
}

/// Adds a name as the last one of a rule, counted from 0; every other byte stays.
///
/// # Errors
/// [`PolicyEditError`]; the text was not changed.
pub fn add_name(bytes: Vec<u8>, rule: usize, name: &str) -> Result<String, PolicyEditError> {
    if !is_name(name) {
        return Err(PolicyEditError::Policy(vec![bad_name(name)]));
    }
    edit(bytes, rule, |stream, found| {
        if found.names().any(|other| other == name) {
            return Err(PolicyEditError::Present { rule, name: name.to_owned() });
        }
        let node = recipients_node(stream, rule).ok_or(PolicyEditError::NoSuchRule { rule })?;
        let mut editor = Editor::new(stream);
        editor.insert_item(node, found.recipients.len(), &Value::from(name))?;
        Ok(editor.finish()?)
    })
}

/// Takes a name out of a rule, counted from 0; every other byte stays.
///
/// # Errors
/// [`PolicyEditError`]; the text was not changed.
pub fn remove_name(bytes: Vec<u8>, rule: usize, name: &str) -> Result<String, PolicyEditError> {
    edit(bytes, rule, |stream, found| {
        let absent = || PolicyEditError::Absent { rule, name: name.to_owned() };
        let index = found.names().position(|other| other == name).ok_or_else(absent)?;
        if found.recipients.len() == 1 {
            return Err(PolicyEditError::LastName { rule, name: name.to_owned() });
        }
        let node = recipients_node(stream, rule).ok_or(PolicyEditError::NoSuchRule { rule })?;
        let mut editor = Editor::new(stream);
        editor.remove_item(node, index)?;
        Ok(editor.finish()?)
    })
}

fn edit(
    bytes: Vec<u8>,
    rule: usize,
    change: impl FnOnce(&Stream, &Rule) -> Result<Stream, PolicyEditError>,
) -> Result<String, PolicyEditError> {
    let stream = Stream::from_bytes(bytes)?;
    let policy = Policy::from_stream(&stream).map_err(PolicyEditError::Policy)?;
    let found = policy.rules().get(rule).ok_or(PolicyEditError::NoSuchRule { rule })?;
    let changed = change(&stream, found)?;
    Policy::from_stream(&changed).map_err(PolicyEditError::Policy)?;
    Ok(changed.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn new_rule(path: &str, names: &[&str], scope: &str) -> NewRule {
        NewRule { paths: strings(&[path]), recipients: strings(names), scopes: strings(&[scope]) }
    }

    #[test]
    fn a_new_policy_reads_back() {
        let rules =
            [new_rule("overlays/prod/**", &["prod", "recovery"], "shop-prod/*"), new_rule("**", &["no"], "*/*")];
        let text = new_policy(&rules).unwrap();
        assert!(text.starts_with("# Which path"), "{text}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
        let policy = Policy::parse(text.into_bytes()).unwrap();
        assert_eq!(policy.rules()[0].names().collect::<Vec<_>>(), ["prod", "recovery"]);
        assert_eq!(policy.rules()[1].names().collect::<Vec<_>>(), ["no"]);
        assert_eq!(policy.rules()[0].paths[0].text, "overlays/prod/**");
        assert_eq!(new_policy(&[]).unwrap_err()[0].code, "empty-list");
        assert_eq!(new_policy(&[new_rule("a/", &["prod"], "*/*")]).unwrap_err()[0].code, "bad-path-pattern");
    }

    const TEXT: &str = "\
apiVersion: ageseal.dev/v1alpha1\r
kind: Policy\r
rules: # in order\r
- paths: ['a/**']\r
  recipients: [prod, recovery]   # who\r
  scopes: ['*/*']\r
- paths: ['b/**']\r
  recipients:\r
  - test # one\r
  scopes: ['*/*']";

    fn bytes() -> Vec<u8> {
        TEXT.as_bytes().to_vec()
    }

    #[test]
    fn a_name_goes_in_and_out_and_nothing_else_changes() {
        let flow = add_name(bytes(), 0, "eu").unwrap();
        assert_eq!(flow, TEXT.replace("recovery]", "recovery, eu]"));
        assert_eq!(remove_name(flow.into_bytes(), 0, "eu").unwrap(), TEXT);
        let block = add_name(bytes(), 1, "eu").unwrap();
        assert_eq!(block, TEXT.replace("# one\r\n", "# one\r\n  - eu\r\n"));
        assert_eq!(remove_name(block.into_bytes(), 1, "eu").unwrap(), TEXT);
    }

    #[test]
    fn a_name_that_reads_as_something_else_is_quoted() {
        let text = add_name(bytes(), 0, "0777").unwrap();
        assert_eq!(Policy::parse(text.into_bytes()).unwrap().rules()[0].names().last(), Some("0777"));
    }

    #[test]
    fn refusals_name_the_rule() {
        use PolicyEditError::*;
        assert_eq!(add_name(bytes(), 0, "prod"), Err(Present { rule: 0, name: "prod".into() }));
        assert_eq!(add_name(bytes(), 2, "eu"), Err(NoSuchRule { rule: 2 }));
        assert_eq!(remove_name(bytes(), 0, "eu"), Err(Absent { rule: 0, name: "eu".into() }));
        assert_eq!(remove_name(bytes(), 1, "test"), Err(LastName { rule: 1, name: "test".into() }));
        assert!(matches!(add_name(bytes(), 0, "EU"), Err(Policy(_))));
        assert!(matches!(add_name(b"a: [".to_vec(), 0, "eu"), Err(Yaml(_))));
        assert!(matches!(add_name(b"a: b".to_vec(), 0, "eu"), Err(Policy(_))));
    }
}
