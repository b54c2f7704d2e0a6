//! What a document meant: the traps that have one way out are taken out of it.
//!
//! Changed is only what cannot be otherwise: a name that does not exist, a unit, a scale. What is a choice
//! (another metric than latency, a guard against bursts) is left to the author.

use crate::document::{Data, Documents, Item, Node};
use crate::known::{self, Known};
use crate::lint::{lint, Context, Finding};

/// A change and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The rule that asked for it.
    pub rule: &'static str,
    /// Where.
    pub path: String,
    /// What was done.
    pub what: String,
}

/// Times that the document is looked at again.
const ROUNDS: usize = 8;
/// The namespace of our own metrics.
const NAMESPACE: &str = "Plimsoll";
const TRACKING: &str = "TargetTrackingScalingPolicyConfiguration";

/// Mends a document; gives what was changed.
pub fn mend(documents: &mut Documents, context: &Context) -> Vec<Change> {
    let mut changes = Vec::new();
    for _ in 0..ROUNDS {
        let findings = lint(documents, context);
        let before = changes.len();
        for finding in &findings {
            if changes.iter().any(|change| is_scaled(change, finding)) {
                continue;
            }
            if let Some(what) = one(documents, context, finding) {
                changes.push(Change {
                    rule: finding.rule.id,
                    path: finding.path.clone(),
                    what,
                });
            }
        }
        if changes.len() == before {
            break;
        }
    }
    changes
}

/// Rules that change a number by a factor: a second time would change it again.
const SCALING: [&str; 4] = [
    "unknown-predefined-metric",
    "cpu-scale",
    "percent-or-fraction",
    "microseconds",
];

/// Whether a change has brought to its scale what a finding is about.
fn is_scaled(change: &Change, finding: &Finding) -> bool {
    let policy = |path: &str| path.split(TRACKING).next().map(str::to_owned);
    let rule = finding.rule.id;
    SCALING.contains(&change.rule)
        && (change.rule == rule && change.path == finding.path
            || change.rule == "unknown-predefined-metric"
                && rule == "cpu-scale"
                && policy(&change.path) == policy(&finding.path))
}

/// Mends one; gives what was done.
fn one(documents: &mut Documents, context: &Context, finding: &Finding) -> Option<String> {
    let dimensions = own_dimensions(documents);
    if finding.rule.id == "managed-alarm" {
        let before = documents.alarms.len();
        documents
            .alarms
            .retain(|item| item.path.is_empty() || !item.has(&finding.path));
        return (documents.alarms.len() < before).then(|| "left out".to_owned());
    }
    let (item, within) = place(documents, &finding.path)?;
    let (parent, last) = match within.rsplit_once('.') {
        Some((parent, last)) => (parent, last),
        None => ("", within.as_str()),
    };
    let node = &mut item.node;
    match finding.rule.id {
        "unknown-predefined-metric" => phantom(node, context, &dimensions?),
        "period-in-target-tracking"
        | "resource-label"
        | "wrong-unit"
        | "alarm-actions-disabled" => {
            node.at_mut(parent)?.remove(last);
            Some(format!("{last} left out"))
        }
        "wrong-statistic" | "invalid-statistic" => statistic(node.at_mut(parent)?, last),
        "wrong-namespace" => namespace(node.at_mut(parent)?),
        "wrong-dimensions" | "metric-of-one-instance" | "metric-of-other-endpoint" => {
            dimensioned(node.at_mut(parent)?, &dimensions?)
        }
        "cpu-scale" => scaled(node, context),
        "percent-or-fraction" => {
            let fraction = finding.message.contains("fraction");
            // 1 may be all of it, or a hundredth.
            if node.at_mut(&within)?.as_number() == Some(1.0) {
                return None;
            }
            let factor = if fraction { 0.01 } else { 100.0 };
            multiplied(node.at_mut(&within)?, factor)
        }
        "microseconds" => multiplied(node.at_mut(&within)?, 1000.0),
        "zero-minimum" => replaced(node, "MinCapacity", Data::Number(1.0)),
        "min-over-max" => {
            let bounds = node.at_mut(parent)?;
            let (min, max) = (
                bounds.get("MinCapacity").clone(),
                bounds.get("MaxCapacity").clone(),
            );
            let what = format!("{} to {}", max.to_json(), min.to_json());
            bounds.set("MinCapacity", max);
            bounds.set("MaxCapacity", min);
            Some(what)
        }
        "wake-up-threshold" => {
            node.set(
                "ComparisonOperator",
                Node::text("GreaterThanOrEqualToThreshold"),
            );
            node.set("Threshold", Node::new(Data::Number(1.0)));
            node.set("EvaluationPeriods", Node::new(Data::Number(1.0)));
            node.remove("DatapointsToAlarm");
            Some("GreaterThanOrEqualToThreshold 1, 1 of 1".to_owned())
        }
        "missing-data" => {
            let wanted = match finding.message.contains("removed") {
                true => "missing",
                false => "notBreaching",
            };
            replaced(node, "TreatMissingData", Data::Text(wanted.to_owned()))
        }
        "high-resolution-alarm" if node.get("Metrics").is_some() => {
            replaced(node.at_mut(parent)?, "Period", Data::Number(60.0))
        }
        "high-resolution-alarm" => replaced(node, "Period", Data::Number(60.0)),
        _ => None,
    }
}

/// The call that a path leads into, and the rest of the path.
fn place<'d>(documents: &'d mut Documents, path: &str) -> Option<(&'d mut Item, String)> {
    let lists = [
        &mut documents.targets,
        &mut documents.policies,
        &mut documents.alarms,
        &mut documents.scheduled,
    ];
    let fits = |item: &Item| -> Option<String> {
        let rest = path.strip_prefix(item.path.as_str())?;
        if item.path.is_empty() {
            // Several calls may be a document without paths: the one that has the first name.
            let first = path.split(['.', '[']).next().unwrap_or_default();
            return item.node.get(first).is_some().then(|| path.to_owned());
        }
        match rest.strip_prefix('.') {
            Some(rest) => Some(rest.to_owned()),
            None => rest.is_empty().then(String::new),
        }
    };
    let mut items = lists.into_iter().flatten();
    items.find_map(|item| fits(item).map(|rest| (item, rest)))
}

/// The names of the one target, as a metric's dimensions.
fn own_dimensions(documents: &Documents) -> Option<Vec<(String, String)>> {
    let mut resources = documents
        .items()
        .filter_map(|item| item.node.get("ResourceId").as_pattern());
    let parts: Vec<String> = resources.next()?.split('/').map(str::to_owned).collect();
    let pairs = match parts.as_slice() {
        [_, endpoint, _, variant] => vec![("EndpointName", endpoint), ("VariantName", variant)],
        [_, name] => vec![("InferenceComponentName", name)],
        _ => return None,
    };
    let pairs = pairs.into_iter();
    Some(
        pairs
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect(),
    )
}

fn map(entries: Vec<(&str, Node)>) -> Node {
    let entries = entries
        .into_iter()
        .map(|(name, node)| (name.to_owned(), node));
    Node::new(Data::Map(entries.collect()))
}

fn listed(dimensions: &[(String, String)]) -> Node {
    let each = dimensions.iter().map(|(name, value)| {
        map(vec![
            ("Name", Node::text(name)),
            ("Value", Node::text(value)),
        ])
    });
    Node::new(Data::List(each.collect()))
}

/// What a predefined type that does not exist meant.
fn phantom(node: &mut Node, context: &Context, dimensions: &[(String, String)]) -> Option<String> {
    let tracking = node.at_mut(TRACKING)?;
    let named = tracking.at("PredefinedMetricSpecification.PredefinedMetricType");
    let named = named.as_text()?.to_owned();
    let target = tracking.get("TargetValue").as_number()?;
    let (metric, units) = match named.as_str() {
        name if name.contains("GPU") => ("GPUUtilization", context.gpus),
        name if name.contains("CPU") || name.ends_with("Utilization") => {
            ("CPUUtilization", context.vcpus)
        }
        _ => return None,
    };
    // Where the machine is known, the metric that is free of charge.
    let (namespace, target, scale) = match units {
        Some(units) => (
            known::INSTANCES,
            target * units,
            format!("0 to {}", 100.0 * units),
        ),
        None => (
            NAMESPACE,
            target,
            "0 to 100, as the container publishes it".to_owned(),
        ),
    };
    tracking.remove("PredefinedMetricSpecification");
    tracking.set("TargetValue", Node::new(Data::Number(target)));
    tracking.set(
        "CustomizedMetricSpecification",
        map(vec![
            ("MetricName", Node::text(metric)),
            ("Namespace", Node::text(namespace)),
            ("Dimensions", listed(dimensions)),
            ("Statistic", Node::text("Average")),
        ]),
    );
    Some(format!(
        "{named} became {metric} in {namespace} ({scale}), with a target of {target}"
    ))
}

fn known_of(metric: &Node) -> Option<Known> {
    known::find(
        metric.get("Namespace").as_text()?,
        metric.get("MetricName").as_text()?,
    )
}

fn statistic(node: &mut Node, member: &str) -> Option<String> {
    let metric = if node.get("Metric").is_some() {
        node.get("Metric")
    } else {
        &*node
    };
    let wanted = *known_of(metric)?.statistics.first().unwrap_or(&"Average");
    let before = node.get(member).as_text().unwrap_or_default().to_owned();
    match member {
        // The two exclude one another.
        "ExtendedStatistic" => {
            node.remove(member);
            node.set("Statistic", Node::text(wanted));
        }
        _ => node.set(member, Node::text(wanted)),
    }
    Some(format!("{before} became {wanted}"))
}

fn namespace(metric: &mut Node) -> Option<String> {
    let name = metric.get("MetricName").as_text()?;
    let given = metric.get("Namespace").as_text()?;
    let same_letters = |known: &&Known| {
        known
            .namespace
            .is_some_and(|namespace| namespace.eq_ignore_ascii_case(given))
    };
    let named: Vec<&Known> = known::AWS
        .iter()
        .filter(|known| known.name == name)
        .collect();
    let wanted = named
        .iter()
        .copied()
        .find(same_letters)
        .or(named.first().copied())?;
    let wanted = wanted.namespace?;
    metric.set("Namespace", Node::text(wanted));
    Some(format!("became {wanted}"))
}

/// The published set of dimensions, with the target's own names.
fn dimensioned(metric: &mut Node, own: &[(String, String)]) -> Option<String> {
    let known = known_of(metric)?;
    let value = |name: &str| own.iter().find(|(own, _)| own == name);
    let mut sets = known.dimensions.iter();
    let set = sets.find(|set| set.iter().all(|name| value(name).is_some()))?;
    let pairs: Vec<(String, String)> = set.iter().filter_map(|name| value(name)).cloned().collect();
    metric.set("Dimensions", listed(&pairs));
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Some(format!("became {}", pairs.join(" ")))
}

/// A target on the scale of one core.
fn scaled(node: &mut Node, context: &Context) -> Option<String> {
    let tracking = node.at_mut(TRACKING)?;
    let target = tracking.get("TargetValue").as_number()?;
    let metric = tracking.get("CustomizedMetricSpecification");
    let units = match metric.get("MetricName").as_text()? {
        "CPUUtilization" => context.vcpus,
        _ => context.gpus,
    };
    if let Some(units) = units {
        tracking.set("TargetValue", Node::new(Data::Number(target * units)));
        return Some(format!("{target} became {}", target * units));
    }
    let metric = tracking.at_mut("CustomizedMetricSpecification")?;
    metric.set("Namespace", Node::text(NAMESPACE));
    Some(format!(
        "the metric became the container's own, which is 0 to 100 (with the machine's size, --vcpus, {target} is multiplied instead)"
    ))
}

fn multiplied(node: &mut Node, factor: f64) -> Option<String> {
    let before = node.as_number()?;
    // 70 % is 0.7, and not 0.7000000000000001.
    let after = (before * factor * 1e9).round() / 1e9;
    node.data = Data::Number(after);
    Some(format!("{before} became {after}"))
}

fn replaced(node: &mut Node, member: &str, data: Data) -> Option<String> {
    let before = node.get(member).to_json();
    let after = Node::new(data);
    let what = format!("{member} {before} became {}", after.to_json());
    node.set(member, after);
    Some(what)
}

#[cfg(test)]
#[path = "mend_tests.rs"]
mod tests;
