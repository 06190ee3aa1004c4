//! Findings as SARIF 2.1.0 (OASIS, 2020), for code scanning.

use std::fmt::Write as _;

use ageseal::check::{Code, Finding};
use serde_json::{Value, json};

use super::Told;
use crate::ui::Ui;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn print(ui: &Ui, told: &[Told]) {
    let rules: Vec<Value> = Code::ALL.iter().map(|code| rule(*code)).collect();
    let results: Vec<Value> = told.iter().map(result).collect();
    ui.json(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "ageseal", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }));
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.name(),
        "shortDescription": {"text": code.headline()},
        "fullDescription": {"text": code.meaning()},
        "defaultConfiguration": {"level": code.level().to_string()},
    })
}

fn result(told: &Told) -> Value {
    let finding = &told.finding;
    let mut place = json!({"artifactLocation": {"uri": uri(&told.path), "uriBaseId": "%SRCROOT%"}});
    if let Some(at) = finding.at {
        place["region"] = json!({"startLine": at.line, "startColumn": at.column});
    }
    json!({
        "ruleId": finding.code.name(),
        "ruleIndex": Code::ALL.iter().position(|code| *code == finding.code),
        "level": finding.level.to_string(),
        "message": {"text": text(finding)},
        "locations": [{"physicalLocation": place}],
    })
}

fn text(finding: &Finding) -> String {
    match &finding.hint {
        Some(hint) => format!("{}\nhint: {hint}", finding.message()),
        None => finding.message(),
    }
}

/// A path as a relative reference (RFC 3986): what could be read as anything but a path is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            byte => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_relative_references() {
        assert_eq!(uri("overlays/prod/db.sealed.yaml"), "overlays/prod/db.sealed.yaml");
        assert_eq!(uri("a b/ü:#?.yaml"), "a%20b/%C3%BC%3A%23%3F.yaml");
    }
}
