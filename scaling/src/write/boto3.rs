//! A Python program that makes the calls.

use serde_json::Value;

use super::api::{alarm, called, members};
use super::{iam, File};
use crate::simulate::Configuration;

pub(super) fn file(configuration: &Configuration) -> File {
    let mut lines = vec![
        "#!/usr/bin/env python3".to_owned(),
        "\"\"\"Registers a scalable target, its policies, and the alarms that call them.\"\"\""
            .to_owned(),
    ];
    let comment = iam::comment(configuration);
    if !comment.is_empty() {
        lines.push(String::new());
    }
    lines.extend(comment.iter().map(|line| format!("# {line}")));
    lines.extend(
        [
            "",
            "import boto3",
            "",
            "scaling = boto3.client(\"application-autoscaling\")",
        ]
        .map(str::to_owned),
    );
    if !configuration.alarms.is_empty() {
        lines.push("cloudwatch = boto3.client(\"cloudwatch\")".to_owned());
    }
    lines.push(String::new());
    let target = members(&configuration.target);
    lines.push(call("scaling.register_scalable_target", &target, None));
    if !configuration.policies.is_empty() {
        lines.push("policies = {}".to_owned());
    }
    for policy in &configuration.policies {
        let name = literal(&Value::from(policy.policy_name.as_str()), 0);
        let put = call("scaling.put_scaling_policy", &members(policy), None);
        lines.push(format!("policies[{name}] = {put}"));
    }
    for one in &configuration.alarms {
        let actions: Vec<String> = called(configuration, one)
            .map(|(_, policy)| {
                let name = literal(&Value::from(policy.policy_name.as_str()), 0);
                format!("policies[{name}][\"PolicyARN\"]")
            })
            .collect();
        let actions = format!("AlarmActions=[{}]", actions.join(", "));
        lines.push(call(
            "cloudwatch.put_metric_alarm",
            &alarm(one),
            Some(&actions),
        ));
    }
    for action in &configuration.scheduled_actions {
        lines.push(call("scaling.put_scheduled_action", &members(action), None));
    }
    lines.push(String::new());
    File {
        name: "apply.py".to_owned(),
        text: lines.join("\n"),
    }
}

/// A call with its arguments by name.
fn call(function: &str, members: &Value, last: Option<&str>) -> String {
    let mut text = format!("{function}(\n");
    for (name, value) in members.as_object().into_iter().flatten() {
        text.push_str(&format!("    {name}={},\n", literal(value, 1)));
    }
    if let Some(last) = last {
        text.push_str(&format!("    {last},\n"));
    }
    text.push(')');
    text
}

/// A value as Python writes it.
fn literal(value: &Value, depth: usize) -> String {
    let inside = "    ".repeat(depth + 1);
    let end = "    ".repeat(depth);
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(list) if list.is_empty() => "[]".to_owned(),
        Value::Array(list) => {
            let each = list.iter().map(|value| literal(value, depth + 1));
            let each: Vec<String> = each.map(|value| format!("{inside}{value},\n")).collect();
            format!("[\n{}{end}]", each.concat())
        }
        Value::Object(entries) => {
            let each = entries.iter().map(|(name, value)| {
                format!(
                    "{inside}{}: {},\n",
                    Value::from(name.as_str()),
                    literal(value, depth + 1)
                )
            });
            format!("{{\n{}{end}}}", each.collect::<String>())
        }
        // JSON's numbers and texts are Python's.
        other => other.to_string(),
    }
}
