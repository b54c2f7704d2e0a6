//! Findings as SARIF 2.1.0, for code scanners.

use scaling::lint::{Rule, RULES};
use serde_json::{json, Value};

use super::lint::Found;

/// Where the rules are documented, in the project.
const PAGE: &str = "docs/lint.md";

/// The whole log.
pub(super) fn document(all: &[Found]) -> String {
    let results: Vec<Value> = all
        .iter()
        .flat_map(|found| {
            found.findings.iter().map(|one| {
                let mut location = json!({
                    "physicalLocation": {"artifactLocation": {"uri": uri(&found.file)}},
                });
                if one.line > 0 {
                    location["physicalLocation"]["region"] = json!({"startLine": one.line});
                }
                if !one.path.is_empty() {
                    location["logicalLocations"] = json!([{"fullyQualifiedName": one.path}]);
                }
                json!({
                    "ruleId": one.rule.id,
                    "ruleIndex": RULES.iter().position(|rule| *rule == one.rule),
                    "level": one.rule.severity.name(),
                    "message": {"text": format!("{} Instead: {}", sentence(&one.message), one.rule.fix)},
                    "locations": [location],
                })
            })
        })
        .collect();
    let rules: Vec<Value> = RULES.iter().map(|rule| described(rule)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "plimsoll",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn described(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": sentence(rule.title)},
        "fullDescription": {"text": rule.reason},
        "help": {"text": format!("{} ({PAGE}#{})", rule.fix, rule.id)},
        "defaultConfiguration": {"level": rule.severity.name()},
    })
}

fn sentence(text: &str) -> String {
    match text.ends_with(['.', '?']) {
        true => text.to_owned(),
        false => format!("{text}."),
    }
}

/// A path as a URI.
fn uri(file: &str) -> String {
    let plain = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    file.bytes().map(plain).collect()
}
