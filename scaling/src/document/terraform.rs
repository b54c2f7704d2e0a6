//! Terraform: plans and states as `terraform show -json` writes them, and its own JSON syntax.
//!
//! Terraform's names are the APIs' in snake case, its blocks are lists, and what it does not know before
//! it applies is missing from a plan: what an alarm calls is then taken from the plan's configuration.

use super::forms::Call;
use super::node::{Data, Later, Node};
use super::{Documents, Form};
use crate::policy::Invalid;

const TYPES: [(&str, Call); 6] = [
    ("aws_appautoscaling_target", Call::Target),
    ("aws_appautoscaling_policy", Call::Policy),
    ("aws_appautoscaling_scheduled_action", Call::Scheduled),
    ("aws_cloudwatch_metric_alarm", Call::Alarm),
    ("aws_sagemaker_model", Call::Model),
    ("aws_sagemaker_endpoint_configuration", Call::EndpointConfig),
];

/// Blocks that may be there several times.
const SEVERAL: [(&str, &str); 6] = [
    ("dimensions", "Dimensions"),
    ("metrics", "Metrics"),
    ("metric_query", "Metrics"),
    ("step_adjustment", "StepAdjustments"),
    ("production_variants", "ProductionVariants"),
    ("container", "Containers"),
];

/// Attributes of a resource that are Terraform's own, or that say nothing of scaling.
const OWN: [&str; 16] = [
    "id",
    "arn",
    "region",
    "tags",
    "tags_all",
    "alarm_arns",
    "role_arn",
    "depends_on",
    "lifecycle",
    "provider",
    "count",
    "for_each",
    "evaluate_low_sample_count_percentiles",
    "threshold_metric_id",
    "account_id",
    "timeouts",
];

pub(super) fn is_terraform(node: &Node) -> bool {
    let is_ours = |(name, _): &(String, Node)| TYPES.iter().any(|(known, _)| known == name);
    node.get("format_version").is_some()
        && (node.get("planned_values").is_some() || node.get("values").is_some())
        || node.get("terraform").is_some()
        || node.get("resource").entries().iter().any(is_ours)
}

pub(super) fn read(document: &Node, found: &mut Documents) -> Result<(), Invalid> {
    found.form = Form::Terraform;
    let written = document.get("resource");
    if written.is_some() {
        for (of_type, named) in written.entries() {
            for (name, resource) in named.entries() {
                let path = format!("resource.{of_type}.{name}");
                let resource = interpolated(resource);
                add(of_type, path, format!("{of_type}.{name}"), &resource, found);
            }
        }
        return Ok(());
    }
    let values = match document.get("planned_values").is_some() {
        true => "planned_values",
        false => "values",
    };
    let module = document.get(values).get("root_module");
    if !module.is_some() {
        return Err(Invalid::new(
            format!("{values}.root_module"),
            "is missing; expected the resources: the plan may be cut off",
        ));
    }
    let configured = document.get("configuration").get("root_module");
    read_module(module, configured, found);
    Ok(())
}

fn read_module(module: &Node, configured: &Node, found: &mut Documents) {
    for resource in module.get("resources").list() {
        let address = resource.get("address").as_text().unwrap_or_default();
        let of_type = resource.get("type").as_text().unwrap_or_default();
        let mut values = resource.get("values").clone();
        if values.line == 0 {
            values.line = resource.line;
        }
        // `module.a[0].aws_x.b["c"]` is configured as `aws_x.b` in the module `a`.
        let plain = without_indexes(address);
        let own = plain.rfind(of_type).unwrap_or_default();
        let prefix = plain[..own].to_owned();
        let is_same = |other: &&Node| {
            let other = other.get("address").as_text().unwrap_or_default();
            plain == other || plain.ends_with(&format!(".{other}"))
        };
        let expressions = configured
            .get("resources")
            .list()
            .iter()
            .find(is_same)
            .map(|resource| resource.get("expressions"));
        if let (Some(expressions), Data::Map(entries)) = (expressions, &mut values.data) {
            for (name, expression) in expressions.entries() {
                let references = expression.get("references").list();
                let known = entries.iter().any(|(other, node)| {
                    other == name && node.is_some() && !node.list().iter().any(|n| !n.is_some())
                });
                if !references.is_empty() && !known {
                    entries.retain(|(other, _)| other != name);
                    entries.push((name.clone(), referring(references, &prefix)));
                }
            }
        }
        add(of_type, address.to_owned(), plain.clone(), &values, found);
    }
    for child in module.get("child_modules").list() {
        let name = child.get("address").as_text().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        let name = name.split('[').next().unwrap_or_default();
        let configured = configured.get("module_calls").get(name).get("module");
        read_module(child, configured, found);
    }
}

/// An address without the indexes of what is there several times.
fn without_indexes(address: &str) -> String {
    let parts = address.split('[').enumerate();
    let parts = parts.map(|(at, part)| match at {
        0 => part,
        _ => part.split_once(']').map_or("", |(_, rest)| rest),
    });
    parts.collect()
}

/// What is not known before it is applied: the resources of the same module that it is made of.
fn referring(references: &[Node], prefix: &str) -> Node {
    let mut to: Vec<String> = Vec::new();
    for reference in references.iter().filter_map(Node::as_text) {
        let reference = without_indexes(reference);
        let resource: Vec<&str> = reference.splitn(3, '.').collect();
        if let [of_type, name, ..] = resource[..] {
            to.push(format!("{prefix}{of_type}.{name}"));
        }
    }
    to.dedup();
    let later = Later {
        text: to.iter().map(|id| format!("${{{id}}}")).collect(),
        to,
    };
    Node::new(Data::Later(later))
}

fn add(of_type: &str, path: String, id: String, values: &Node, found: &mut Documents) {
    let Some((_, call)) = TYPES.iter().find(|(known, _)| *known == of_type) else {
        return;
    };
    let own_name = match call {
        Call::Policy => "PolicyName",
        Call::Scheduled => "ScheduledActionName",
        Call::Model => "ModelName",
        Call::EndpointConfig => "EndpointConfigName",
        Call::Target | Call::Alarm => "Name",
    };
    let mut values = values.clone();
    if let Data::Map(entries) = &mut values.data {
        entries.retain(|(name, _)| !OWN.contains(&name.as_str()));
    }
    let mut node = translated(&values);
    if let Data::Map(entries) = &mut node.data {
        for (name, node) in entries.iter_mut() {
            if name == "Name" {
                own_name.clone_into(name);
            }
            // An alarm's dimensions are a map.
            if name == "Dimensions" && !node.entries().is_empty() {
                *node = dimensions(node);
            }
            let is_actions = name.ends_with("Actions");
            if is_actions && matches!(node.data, Data::Later(_)) {
                *node = Node::new(Data::List(vec![node.clone()]));
            }
            if name == "Metrics" && *call == Call::Alarm {
                *node = queries(node);
            }
        }
    }
    found.add(*call, path, id, node);
}

fn dimensions(node: &Node) -> Node {
    let each = node.entries().iter().map(|(name, value)| {
        let members = vec![
            ("Name".to_owned(), Node::text(name)),
            ("Value".to_owned(), value.clone()),
        ];
        Node {
            data: Data::Map(members),
            line: value.line,
        }
    });
    Node {
        data: Data::List(each.collect()),
        line: node.line,
    }
}

/// `metric_query` blocks of an alarm: period and statistic stand beside the metric's name.
fn queries(node: &Node) -> Node {
    let each = node.list().iter().map(|query| {
        let members = query.entries().iter().map(|(name, value)| {
            if name != "Metric" {
                return (name.clone(), value.clone());
            }
            let mut metric = Vec::new();
            let mut stat = Vec::new();
            for (name, value) in value.entries() {
                match name.as_str() {
                    "Period" | "Stat" | "Unit" => stat.push((name.clone(), value.clone())),
                    "Dimensions" if !value.entries().is_empty() => {
                        metric.push((name.clone(), dimensions(value)));
                    }
                    _ => metric.push((name.clone(), value.clone())),
                }
            }
            stat.push(("Metric".to_owned(), Node::new(Data::Map(metric))));
            ("MetricStat".to_owned(), Node::new(Data::Map(stat)))
        });
        Node {
            data: Data::Map(members.collect()),
            line: query.line,
        }
    });
    Node {
        data: Data::List(each.collect()),
        line: node.line,
    }
}

/// The APIs' names, single blocks as maps, and nothing that is not set.
fn translated(node: &Node) -> Node {
    let data = match &node.data {
        Data::Map(entries) => {
            let mut members = Vec::new();
            for (name, node) in entries {
                // Blocks have names of the resource's own: a query's `id` is the API's.
                // A state has what is not set as an empty text, or as 0.
                let is_unset = node.as_text() == Some("")
                    || name == "datapoints_to_alarm" && node.as_number() == Some(0.0);
                if name == "account_id" || !node.is_some() || is_unset {
                    continue;
                }
                let several = SEVERAL.iter().find(|(block, _)| block == name);
                // Environment variables and an alarm's dimensions keep their names.
                let is_free = name == "environment"
                    || name == "dimensions" && matches!(node.data, Data::Map(_));
                let value = match (several, &node.data) {
                    _ if is_free => node.clone(),
                    (Some(_), Data::List(list)) if list.is_empty() => continue,
                    (Some(_), Data::Map(_)) => Node {
                        data: Data::List(vec![translated(node)]),
                        line: node.line,
                    },
                    (Some(_), _) => translated(node),
                    (None, Data::List(list)) => match list.as_slice() {
                        [] => continue,
                        [one] if matches!(one.data, Data::Map(_)) => translated(one),
                        _ => node.clone(),
                    },
                    (None, _) => translated(node),
                };
                let name = match several {
                    Some((_, api)) => (*api).to_owned(),
                    None => pascal(name),
                };
                members.push((name, value));
            }
            Data::Map(members)
        }
        Data::List(list) => Data::List(list.iter().map(translated).collect()),
        other => other.clone(),
    };
    Node {
        data,
        line: node.line,
    }
}

fn pascal(name: &str) -> String {
    match name {
        "ok_actions" => return "OKActions".to_owned(),
        "predefined_metric_specification" | "customized_metric_specification" => {}
        "enable_network_isolation" => return "EnableNetworkIsolation".to_owned(),
        _ => {}
    }
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        })
        .collect()
}

/// Terraform's JSON syntax: `${aws_x.y.arn}` is not known before it is applied, and `$${` stands for `${`.
fn interpolated(node: &Node) -> Node {
    let data = match &node.data {
        Data::Text(text) => match templates(text).as_slice() {
            [] => Data::Text(text.replace("$${", "${").replace("%%{", "%{")),
            expressions => {
                let to = expressions.iter().filter_map(|expression| {
                    let words: Vec<&str> = expression.splitn(3, '.').collect();
                    match words[..] {
                        [of_type, name, ..] => Some(format!("{of_type}.{name}")),
                        _ => None,
                    }
                });
                Data::Later(Later {
                    text: text.clone(),
                    to: to.collect(),
                })
            }
        },
        Data::List(list) => Data::List(list.iter().map(interpolated).collect()),
        Data::Map(entries) => Data::Map(
            entries
                .iter()
                .map(|(name, node)| (name.clone(), interpolated(node)))
                .collect(),
        ),
        other => other.clone(),
    };
    Node {
        data,
        line: node.line,
    }
}

/// What stands in each `${…}` of a text.
fn templates(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut before = "";
    for (at, part) in text.split("${").enumerate() {
        if at > 0 && !before.ends_with('$') {
            all.push(part.split('}').next().unwrap_or_default().trim());
        }
        before = part;
    }
    all
}
