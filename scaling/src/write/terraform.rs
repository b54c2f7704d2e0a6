//! Terraform's JSON syntax.

use serde_json::{json, Map, Value};

use super::api::{alarm, called, distinct, members, pretty, slug};
use super::{iam, File};
use crate::simulate::Configuration;

const TARGET: &str = "${aws_appautoscaling_target.target";

pub(super) fn file(configuration: &Configuration) -> File {
    let own = || {
        [
            ("service_namespace", "service_namespace"),
            ("resource_id", "resource_id"),
            ("scalable_dimension", "scalable_dimension"),
        ]
        .map(|(name, attribute)| (name.to_owned(), json!(format!("{TARGET}.{attribute}}}"))))
    };
    let of_policies = configuration.policies.iter().map(|one| &one.policy_name);
    let of_policies = labels(of_policies);
    let mut policies = Map::new();
    for (policy, label) in configuration.policies.iter().zip(&of_policies) {
        let mut block = Map::from_iter(own());
        block.insert("name".to_owned(), text(&policy.policy_name));
        for (name, value) in members(policy).as_object().into_iter().flatten() {
            match name.as_str() {
                "PolicyType"
                | "TargetTrackingScalingPolicyConfiguration"
                | "StepScalingPolicyConfiguration" => {
                    block.insert(snake(name), translated(name, value));
                }
                _ => {}
            }
        }
        policies.insert(label.clone(), block.into());
    }
    let mut alarms = Map::new();
    let of_alarms = labels(configuration.alarms.iter().map(|one| &one.alarm_name));
    for (one, label) in configuration.alarms.iter().zip(of_alarms) {
        let mut block = Map::new();
        for (name, value) in alarm(one).as_object().into_iter().flatten() {
            let value = match name.as_str() {
                // Here they are a map.
                "Dimensions" => dimensions(value),
                "Metrics" => queries(value),
                _ => translated(name, value),
            };
            let name = match name.as_str() {
                "Metrics" => "metric_query".to_owned(),
                name => snake(name),
            };
            block.insert(name, value);
        }
        let actions = called(configuration, one).filter_map(|(at, _)| {
            let label = of_policies.get(at)?;
            Some(format!("${{aws_appautoscaling_policy.{label}.arn}}"))
        });
        block.insert(
            "alarm_actions".to_owned(),
            actions.collect::<Vec<_>>().into(),
        );
        alarms.insert(label, block.into());
    }
    let mut scheduled = Map::new();
    let actions = configuration.scheduled_actions.iter();
    let of_actions = labels(actions.clone().map(|one| &one.scheduled_action_name));
    for (action, label) in actions.zip(of_actions) {
        let mut block = Map::from_iter(own());
        block.insert("name".to_owned(), text(&action.scheduled_action_name));
        for (name, value) in members(action).as_object().into_iter().flatten() {
            if [
                "Schedule",
                "Timezone",
                "StartTime",
                "EndTime",
                "ScalableTargetAction",
            ]
            .contains(&name.as_str())
            {
                block.insert(snake(name), translated(name, value));
            }
        }
        scheduled.insert(label, block.into());
    }
    let target = translated("target", &members(&configuration.target));
    let mut resources = Map::new();
    resources.insert(
        "aws_appautoscaling_target".to_owned(),
        json!({"target": target}),
    );
    for (of_type, blocks) in [
        ("aws_appautoscaling_policy", policies),
        ("aws_cloudwatch_metric_alarm", alarms),
        ("aws_appautoscaling_scheduled_action", scheduled),
    ] {
        if !blocks.is_empty() {
            resources.insert(of_type.to_owned(), blocks.into());
        }
    }
    let mut document = Map::new();
    let comment = iam::comment(configuration);
    if !comment.is_empty() {
        document.insert("//".to_owned(), text(&comment.join("; ")));
    }
    document.insert("resource".to_owned(), resources.into());
    File {
        name: "scaling.tf.json".to_owned(),
        text: pretty(&document.into()),
    }
}

/// A name that Terraform takes for each, and none twice.
fn labels<'c>(names: impl Iterator<Item = &'c String>) -> Vec<String> {
    let mut taken = Vec::new();
    names
        .map(|name| distinct(label(name), &mut taken))
        .collect()
}

/// A name that Terraform takes.
fn label(name: &str) -> String {
    let name = slug(name, '_');
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// A text in which nothing is looked up.
fn text(text: &str) -> Value {
    Value::from(text.replace("${", "$${").replace("%{", "%%{"))
}

/// The API's members as Terraform's attributes and blocks.
fn translated(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(entries) => {
            let each = entries.iter().map(|(name, value)| {
                let block = match name.as_str() {
                    "StepAdjustments" => "step_adjustment".to_owned(),
                    name => snake(name),
                };
                (block, translated(name, value))
            });
            Value::Object(each.collect())
        }
        Value::Array(list) => list.iter().map(|value| translated(name, value)).collect(),
        // Bounds may be absent, so they are texts.
        Value::Number(number) if name.starts_with("MetricInterval") => {
            Value::from(number.to_string())
        }
        Value::String(value) => text(value),
        other => other.clone(),
    }
}

fn dimensions(value: &Value) -> Value {
    let each = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|dimension| {
            let name = dimension["Name"].as_str()?;
            Some((name.to_owned(), text(dimension["Value"].as_str()?)))
        });
    Value::Object(each.collect())
}

/// An alarm's queries: period and statistic stand beside the metric's name.
fn queries(value: &Value) -> Value {
    let each = value.as_array().into_iter().flatten().map(|query| {
        let mut block = Map::new();
        for (name, value) in query.as_object().into_iter().flatten() {
            if name != "MetricStat" {
                block.insert(snake(name), translated(name, value));
                continue;
            }
            let mut metric = Map::new();
            for (name, value) in value.as_object().into_iter().flatten() {
                if name != "Metric" {
                    metric.insert(snake(name), translated(name, value));
                }
            }
            for (name, value) in value["Metric"].as_object().into_iter().flatten() {
                let value = match name.as_str() {
                    "Dimensions" => dimensions(value),
                    name => translated(name, value),
                };
                metric.insert(snake(name), value);
            }
            block.insert("metric".to_owned(), metric.into());
        }
        Value::Object(block)
    });
    each.collect()
}

fn snake(name: &str) -> String {
    if name == "OKActions" {
        return "ok_actions".to_owned();
    }
    let mut snake = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
