//! A CloudFormation template, in YAML.

use serde_json::{json, Map, Value};

use super::api::{alarm, called, members, slug};
use super::{iam, File};
use crate::simulate::Configuration;

/// The target's logical name.
const TARGET: &str = "ScalableTarget";

pub(super) fn file(configuration: &Configuration) -> File {
    let mut target = members(&configuration.target);
    let actions: Vec<Value> = configuration
        .scheduled_actions
        .iter()
        .map(|action| {
            let mut value = members(action);
            for own in ["ServiceNamespace", "ResourceId", "ScalableDimension"] {
                remove(&mut value, own);
            }
            value
        })
        .collect();
    if !actions.is_empty() {
        target["ScheduledActions"] = actions.into();
    }
    let mut resources = vec![(
        TARGET.to_owned(),
        json!({"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": target}),
    )];
    let logical = |at: usize| {
        let policy = configuration.policies.get(at);
        let name = policy.map(|policy| policy.policy_name.as_str());
        format!("Policy{}{}", at + 1, last_word(name.unwrap_or_default()))
    };
    for (at, policy) in configuration.policies.iter().enumerate() {
        let mut properties = members(policy);
        for own in ["ServiceNamespace", "ResourceId", "ScalableDimension"] {
            remove(&mut properties, own);
        }
        properties["ScalingTargetId"] = json!({"Ref": TARGET});
        resources.push((
            logical(at),
            json!({"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": properties}),
        ));
    }
    for (at, one) in configuration.alarms.iter().enumerate() {
        let mut properties = alarm(one);
        let actions = called(configuration, one).map(|(policy, _)| json!({"Ref": logical(policy)}));
        properties["AlarmActions"] = actions.collect::<Vec<_>>().into();
        resources.push((
            format!("Alarm{}{}", at + 1, last_word(&one.alarm_name)),
            json!({"Type": "AWS::CloudWatch::Alarm", "Properties": properties}),
        ));
    }
    let mut lines = vec!["AWSTemplateFormatVersion: \"2010-09-09\"".to_owned()];
    let of = configuration
        .target
        .resource_id
        .as_deref()
        .unwrap_or_default();
    lines.push(format!("Description: {}", scalar(&format!("Scales {of}."))));
    for comment in iam::comment(configuration) {
        lines.push(format!("# {comment}"));
    }
    lines.push("Resources:".to_owned());
    for (name, resource) in resources {
        lines.push(format!("  {name}:"));
        map(resource.as_object(), 4, &mut lines);
    }
    lines.push(String::new());
    File {
        name: "scaling.yaml".to_owned(),
        text: lines.join("\n"),
    }
}

fn remove(value: &mut Value, name: &str) {
    if let Value::Object(members) = value {
        members.remove(name);
    }
}

/// `Guard` of `endpoint-variant-guard`: logical names are letters and digits.
fn last_word(name: &str) -> String {
    let plain = slug(name, ' ');
    let word = plain.split_whitespace().last().unwrap_or_default();
    // With its number before it, which makes it differ; 255 characters are allowed.
    let mut letters = word.chars().take(60);
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn map(entries: Option<&Map<String, Value>>, indent: usize, lines: &mut Vec<String>) {
    let blank = " ".repeat(indent);
    for (name, value) in entries.into_iter().flatten() {
        match inline(value) {
            Some(text) => lines.push(format!("{blank}{name}: {text}")),
            None => {
                lines.push(format!("{blank}{name}:"));
                block(value, indent + 2, lines);
            }
        }
    }
}

fn block(value: &Value, indent: usize, lines: &mut Vec<String>) {
    let blank = " ".repeat(indent);
    match value {
        Value::Object(entries) => map(Some(entries), indent, lines),
        Value::Array(list) => {
            for value in list {
                match inline(value) {
                    Some(text) => lines.push(format!("{blank}- {text}")),
                    None => {
                        let first = lines.len();
                        block(value, indent + 2, lines);
                        if let Some(line) = lines.get_mut(first) {
                            line.replace_range(indent..indent + 1, "-");
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

/// What stands behind its name.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(scalar(text)),
        Value::Array(list) if list.is_empty() => Some("[]".to_owned()),
        Value::Object(entries) => match entries.get("Ref") {
            Some(Value::String(name)) if entries.len() == 1 => Some(format!("!Ref {name}")),
            _ if entries.is_empty() => Some("{}".to_owned()),
            _ => None,
        },
        Value::Array(_) => None,
        other => Some(other.to_string()),
    }
}

/// A text, in quotes where YAML might take it for something else: JSON's are YAML's.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_/.".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    match is_plain {
        true => text.to_owned(),
        false => Value::from(text).to_string(),
    }
}
