//! Which form a document has, and its calls.

use super::node::{Data, Node};
use super::{cloudformation, terraform, Documents, Form, Item};
use crate::policy::Invalid;

/// What a `describe-…` command says, and the calls it stands for.
const DESCRIBED: [(&str, Call); 4] = [
    ("ScalableTargets", Call::Target),
    ("ScalingPolicies", Call::Policy),
    ("ScheduledActions", Call::Scheduled),
    ("MetricAlarms", Call::Alarm),
];

/// Members of a call beside the service's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Target,
    Policy,
    Alarm,
    Scheduled,
    Model,
    EndpointConfig,
}

/// Members that only answers have.
const ANSWERED: [&str; 20] = [
    "PolicyARN",
    "CreationTime",
    "Alarms",
    "RoleARN",
    "ScalableTargetARN",
    "ScheduledActionARN",
    "PredictedCapacity",
    "AlarmArn",
    "AlarmConfigurationUpdatedTimestamp",
    "StateValue",
    "StateReason",
    "StateReasonData",
    "StateUpdatedTimestamp",
    "StateTransitionedTimestamp",
    "EvaluationState",
    "Tags",
    "EvaluateLowSampleCountPercentile",
    "ThresholdMetricId",
    "ActionLogLineCount",
    "EvaluationWindow",
];

impl Documents {
    /// Puts a call in, without what says nothing of scaling.
    pub(super) fn add(&mut self, call: Call, path: String, id: String, mut node: Node) {
        if let Data::Map(entries) = &mut node.data {
            entries.retain(|(name, node)| node.is_some() && !ANSWERED.contains(&name.as_str()));
        }
        if is_of_another_service(&node) {
            return;
        }
        let item = Item { path, id, node };
        match call {
            Call::Target => self.targets.push(item),
            Call::Policy => self.policies.push(item),
            Call::Alarm => self.alarms.push(item),
            Call::Scheduled => self.scheduled.push(item),
            Call::Model => self.models.push(item),
            Call::EndpointConfig => self.endpoint_configs.push(item),
        }
    }
}

/// Whether a call scales something that is not SageMaker's, by all that it says.
fn is_of_another_service(node: &Node) -> bool {
    let text = |name: &str| node.get(name).as_text();
    let is_other = text("ServiceNamespace").is_some_and(|name| name != "sagemaker");
    let dimension = text("ScalableDimension").map(|name| name.starts_with("sagemaker:"));
    let resource = node
        .get("ResourceId")
        .as_pattern()
        .map(|id| id.starts_with("endpoint/") || id.starts_with("inference-component/"));
    match (is_other, dimension, resource) {
        // A mistake in one name is a mistake; all of them together are another service.
        (_, Some(true), _) | (_, _, Some(true)) => false,
        (true, _, _) => true,
        (false, Some(false), _) => text("ServiceNamespace").is_none(),
        (false, None, _) => false,
    }
}

/// Recognises a document.
pub(super) fn read(node: Node) -> Result<Documents, Invalid> {
    let mut found = Documents::default();
    match &node.data {
        Data::Map(_) if is_template(&node) => cloudformation::read(&node, &mut found)?,
        Data::Map(_) if terraform::is_terraform(&node) => terraform::read(&node, &mut found)?,
        Data::Map(_) if is_configuration(&node) => configuration(node, &mut found)?,
        _ => calls(&node, "", &mut found)?,
    }
    Ok(found)
}

fn is_template(node: &Node) -> bool {
    let is_map = matches!(node.get("Resources").data, Data::Map(_));
    node.get("AWSTemplateFormatVersion").is_some() || is_map
}

fn is_configuration(node: &Node) -> bool {
    node.get("target").is_some() || node.get("policies").is_some()
}

/// Our own form.
fn configuration(node: Node, found: &mut Documents) -> Result<(), Invalid> {
    found.form = Form::Configuration;
    let Data::Map(entries) = node.data else {
        return Ok(());
    };
    let mut rest = Vec::new();
    for (name, node) in entries {
        let call = match name.as_str() {
            "target" => {
                found.add(Call::Target, name, String::new(), node);
                continue;
            }
            "policies" => Call::Policy,
            "alarms" => Call::Alarm,
            "scheduled_actions" => Call::Scheduled,
            _ => {
                rest.push((name, node));
                continue;
            }
        };
        if !matches!(node.data, Data::List(_) | Data::Null) {
            return Err(Invalid::new(
                name,
                format!("{}; expected a list", node.kind()),
            ));
        }
        for (at, node) in node.list().iter().enumerate() {
            let path = format!("{name}[{at}]");
            found.add(call, path, String::new(), node.clone());
        }
    }
    found.rest = Some(Node::new(Data::Map(rest)));
    Ok(())
}

/// Calls and answers of the APIs.
fn calls(node: &Node, path: &str, found: &mut Documents) -> Result<(), Invalid> {
    let inside = |name: &str| match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    };
    if let Data::List(list) = &node.data {
        for (at, node) in list.iter().enumerate() {
            calls(node, &format!("{path}[{at}]"), found)?;
        }
        return Ok(());
    }
    let Data::Map(entries) = &node.data else {
        return Err(unknown(node, path, "it"));
    };
    let has = |name: &str| node.get(name).is_some();
    let mut is_answer = false;
    for (name, call) in DESCRIBED {
        for (at, node) in node.get(name).list().iter().enumerate() {
            found.add(
                call,
                format!("{}[{at}]", inside(name)),
                String::new(),
                node.clone(),
            );
        }
        is_answer |= matches!(node.get(name).data, Data::List(_));
    }
    if is_answer {
        return Ok(());
    }
    let mut is_known = false;
    let mut add = |call: Call, node: Node| {
        is_known = true;
        found.add(call, path.to_owned(), String::new(), node);
    };
    let is_scheduled = has("ScheduledActionName") || has("Schedule");
    if has("AlarmName") || has("ComparisonOperator") {
        add(Call::Alarm, node.clone());
    } else if is_scheduled {
        add(Call::Scheduled, node.clone());
    } else if has("PolicyType")
        || has("PolicyName")
        || has("TargetTrackingScalingPolicyConfiguration")
        || has("StepScalingPolicyConfiguration")
    {
        add(Call::Policy, node.clone());
    } else {
        let bounds = ["MinCapacity", "MaxCapacity"];
        let is_bare = |name: &str| !bounds.contains(&name);
        let configured = |kind: &str| {
            let inner = entries.iter().filter(|(name, _)| is_bare(name)).cloned();
            let inner = Node {
                data: Data::Map(inner.collect()),
                line: node.line,
            };
            let members = [
                ("PolicyName", Node::text("policy")),
                ("PolicyType", Node::text(kind)),
            ];
            let members = members.map(|(name, node)| (name.to_owned(), node));
            let inner = (format!("{kind}PolicyConfiguration"), inner);
            Node {
                data: Data::Map(members.into_iter().chain([inner]).collect()),
                line: node.line,
            }
        };
        if has("TargetValue")
            || has("PredefinedMetricSpecification")
            || has("CustomizedMetricSpecification")
        {
            add(Call::Policy, configured("TargetTrackingScaling"));
        } else if has("AdjustmentType") || has("StepAdjustments") {
            add(Call::Policy, configured("StepScaling"));
        }
        if has("MinCapacity") || has("MaxCapacity") {
            let own = [
                "ServiceNamespace",
                "ResourceId",
                "ScalableDimension",
                "SuspendedState",
            ];
            let is_only = entries.iter().all(|(name, _)| {
                !is_bare(name)
                    || own.contains(&name.as_str())
                    || name == "RoleARN"
                    || name == "Tags"
            });
            let target = match is_only {
                true => node.clone(),
                false => {
                    let members = entries.iter().filter(|(name, _)| !is_bare(name)).cloned();
                    Node {
                        data: Data::Map(members.collect()),
                        line: node.line,
                    }
                }
            };
            // An unknown name beside both bounds is a mistake in the target.
            let is_policy = has("TargetValue") || has("AdjustmentType");
            add(Call::Target, if is_policy { target } else { node.clone() });
        }
    }
    match is_known {
        true => Ok(()),
        false => {
            let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
            let shown = &names[..names.len().min(8)];
            Err(unknown(node, path, &format!("a map of {shown:?}")))
        }
    }
}

fn unknown(node: &Node, path: &str, what: &str) -> Invalid {
    let what = match what {
        "it" => node.kind().to_owned(),
        what => what.to_owned(),
    };
    let place = match (path.is_empty(), node.line) {
        (false, _) => path.to_owned(),
        (true, 0) => "document".to_owned(),
        (true, line) => format!("line {line}"),
    };
    Invalid::new(
        place,
        format!("{what}; expected what put-scaling-policy, register-scalable-target, put-metric-alarm or put-scheduled-action take, what a describe command says, a CloudFormation template, a Terraform plan as JSON, or a scaling configuration with `target` and `policies`"),
    )
}
