//! The calls as the AWS CLI takes them.

use serde::Serialize;
use serde_json::Value;

use super::File;
use crate::policy::{MetricAlarm, ScalingPolicy};
use crate::simulate::Configuration;

/// Characters of a name that its file has: file systems take 255 in all.
const LONGEST_NAME: usize = 100;

/// A document as people read it.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A document's members, in the order of the API; 60 and not 60.0.
pub(super) fn members(document: &impl Serialize) -> Value {
    whole(serde_json::to_value(document).unwrap_or_default())
}

fn whole(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let each = entries
                .into_iter()
                .map(|(name, value)| (name, whole(value)));
            Value::Object(each.collect())
        }
        Value::Array(list) => list.into_iter().map(whole).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => Value::from(float as i64),
            _ => Value::Number(number),
        },
        other => other,
    }
}

/// An alarm without what it calls: that is known when the policies are there.
pub(super) fn alarm(alarm: &MetricAlarm) -> Value {
    let mut value = members(alarm);
    if let Value::Object(members) = &mut value {
        members.remove("AlarmActions");
    }
    value
}

/// The policies that an alarm calls.
pub(super) fn called<'c>(
    configuration: &'c Configuration,
    alarm: &'c MetricAlarm,
) -> impl Iterator<Item = (usize, &'c ScalingPolicy)> {
    let policies = configuration.policies.iter().enumerate();
    policies.filter(|(_, policy)| alarm.calls(&policy.policy_name))
}

/// A name for files and variables.
pub(super) fn slug(name: &str, between: char) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c
        } else {
            between
        }
    };
    name.chars().map(plain).collect()
}

/// The name, or the name with the first number that makes it differ from those that are taken.
pub(super) fn distinct(name: String, taken: &mut Vec<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut all = std::iter::once(name.clone()).chain(numbered);
    let free = all.find(|name| !taken.contains(name)).unwrap_or(name);
    taken.push(free.clone());
    free
}

/// A file for each call, and the commands in their order.
pub(super) fn files(configuration: &Configuration) -> Vec<File> {
    let mut files = Vec::new();
    let mut script = vec![
        "#!/bin/sh".to_owned(),
        "# Registers the target, then its policies, then the alarms that call them.".to_owned(),
        "set -eu".to_owned(),
        "cd \"$(dirname \"$0\")\"".to_owned(),
    ];
    let mut taken = Vec::new();
    let mut add = |kind: &str, name: &str, value: &Value| {
        let short: String = slug(name, '-').chars().take(LONGEST_NAME).collect();
        let name = format!("{}.json", distinct(format!("{kind}{short}"), &mut taken));
        files.push(File {
            name: name.clone(),
            text: pretty(value),
        });
        name
    };
    let file = add(
        "register-scalable-target",
        "",
        &members(&configuration.target),
    );
    script.push(format!(
        "aws application-autoscaling register-scalable-target --cli-input-json file://{file}"
    ));
    for (at, policy) in configuration.policies.iter().enumerate() {
        let file = add("put-scaling-policy-", &policy.policy_name, &members(policy));
        script.push(format!(
            "policy_{at}=$(aws application-autoscaling put-scaling-policy --cli-input-json file://{file} --query PolicyARN --output text)"
        ));
    }
    for one in &configuration.alarms {
        let file = add("put-metric-alarm-", &one.alarm_name, &alarm(one));
        let actions: Vec<String> = called(configuration, one)
            .map(|(at, _)| format!("\"$policy_{at}\""))
            .collect();
        script.push(format!(
            "aws cloudwatch put-metric-alarm --cli-input-json file://{file} --alarm-actions {}",
            actions.join(" ")
        ));
    }
    for action in &configuration.scheduled_actions {
        let name = &action.scheduled_action_name;
        let file = add("put-scheduled-action-", name, &members(action));
        script.push(format!(
            "aws application-autoscaling put-scheduled-action --cli-input-json file://{file}"
        ));
    }
    script.push(String::new());
    let first = File {
        name: "apply.sh".to_owned(),
        text: script.join("\n"),
    };
    std::iter::once(first).chain(files).collect()
}
