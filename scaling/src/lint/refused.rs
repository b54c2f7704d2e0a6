//! What AWS refuses.

use crate::document::{Data, Item, Node};
use crate::expression::Expression;
use crate::policy::{
    Invalid, MetricAlarm, Scalable, ScalableTarget, ScalingPolicy, ScheduledAction, PREDEFINED,
};

use super::rules::{
    BURSTABLE, MANAGED_ALARM, MATH, MIN_OVER_MAX, PERIOD, PREDEFINED_TARGET, PREDICTIVE, REFUSED,
    RESOURCE, RESOURCE_LABEL, SAME_METRIC, SCHEDULE, STATISTIC, UNKNOWN_PREDEFINED,
};
use super::view::{Kind, Policy, View, TRACKING};
use super::Findings;

/// Statistics of a metric without math.
const STATISTICS: [&str; 5] = ["Average", "Minimum", "Maximum", "SampleCount", "Sum"];
/// Metrics that an alarm on an expression may have.
const MOST_METRICS: usize = 10;

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    for policy in &view.policies {
        one_policy(policy, found);
    }
    for item in &view.documents.targets {
        bounds(item, &item.node, "", found);
        names(item, found);
        typed::<ScalableTarget>(item, found, |target| target.check());
    }
    for alarm in &view.alarms {
        let name = alarm.item.node.get("AlarmName");
        if name
            .as_text()
            .is_some_and(|name| name.starts_with("TargetTracking-"))
        {
            // What an account says it has is no attempt to make it.
            if !alarm.item.path.contains("MetricAlarms[") {
                let message = format!("{:?} is made and kept by its policy", alarm.item.name());
                found.add(MANAGED_ALARM, alarm.item, "AlarmName", name, message);
            }
            continue;
        }
        typed::<MetricAlarm>(alarm.item, found, MetricAlarm::check);
    }
    for item in &view.documents.scheduled {
        let action = item.node.get("ScalableTargetAction");
        bounds(item, action, "ScalableTargetAction", found);
        names(item, found);
        if !found.has(MIN_OVER_MAX, item) {
            schedule(view, item, found);
        }
    }
    same_metric(view, found);
    for item in &view.documents.endpoint_configs {
        // Of several variants nobody knows which one is scaled.
        let is_one = view.documents.endpoint_configs.len() == 1
            && item.node.get("ProductionVariants").list().len() == 1;
        for (at, variant) in item
            .node
            .get("ProductionVariants")
            .list()
            .iter()
            .enumerate()
        {
            let instance = variant.get("InstanceType");
            let is_burstable = instance
                .as_text()
                .is_some_and(|of| of.starts_with("ml.t2."));
            if is_burstable && !view.documents.targets.is_empty() && is_one {
                let message = format!(
                    "{} cannot be scaled automatically",
                    instance.as_text().unwrap_or_default()
                );
                let path = format!("ProductionVariants[{at}].InstanceType");
                found.add(BURSTABLE, item, &path, instance, message);
            }
        }
    }
}

fn one_policy(policy: &Policy<'_>, found: &mut Findings) {
    let item = policy.item;
    names(item, found);
    let of_type = item.node.get("PolicyType");
    if of_type.as_text() == Some("PredictiveScaling") {
        let message = "PredictiveScaling exists for ECS only";
        return found.add(PREDICTIVE, item, "PolicyType", of_type, message);
    }
    if let Kind::Tracking {
        node,
        used,
        predefined,
        ..
    } = &policy.kind
    {
        predefined_metric(policy, predefined, found);
        let label = node.at("PredefinedMetricSpecification.ResourceLabel");
        if label.is_some() {
            let path = format!("{TRACKING}.PredefinedMetricSpecification.ResourceLabel");
            let message = "SageMaker's predefined metrics have no label";
            found.add(RESOURCE_LABEL, item, &path, label, message);
        }
        let customized = node.get("CustomizedMetricSpecification");
        periods(item, customized, found);
        if customized.is_some() {
            let path = format!("{TRACKING}.CustomizedMetricSpecification");
            let stat = customized.get("Statistic");
            let is_wrong = |stat: &str| !STATISTICS.contains(&stat);
            if let Some(stat_name) = stat.as_text().filter(|stat| is_wrong(stat)) {
                let message = format!("{stat_name:?}; expected one of {}", STATISTICS.join(", "));
                found.add(STATISTIC, item, &format!("{path}.Statistic"), stat, message);
            }
            math(item, customized, &path, used.len(), found);
        }
    }
    let said = [UNKNOWN_PREDEFINED, RESOURCE_LABEL, PERIOD, STATISTIC, MATH];
    if !said.iter().any(|rule| found.has(rule, item)) {
        typed::<ScalingPolicy>(item, found, |policy| policy.rule().map(|_| ()));
    }
}

fn predefined_metric(policy: &Policy<'_>, predefined: &Node, found: &mut Findings) {
    let Some(name) = predefined.as_text() else {
        return;
    };
    let path = format!("{TRACKING}.PredefinedMetricSpecification.PredefinedMetricType");
    let Some(known) = PREDEFINED.iter().find(|known| known.name == name) else {
        let names = PREDEFINED.map(|known| known.name).join(", ");
        let meant = match name {
            name if name.contains("GPU") => " There is none for GPUs.",
            name if name.contains("CPU") || name.ends_with("Utilization") => {
                " There is none for CPU."
            }
            name if name.contains("Latency") => " There is none for latency.",
            _ => "",
        };
        let message = format!("{name:?} does not exist for SageMaker.{meant} Expected one of {names}, or a CustomizedMetricSpecification");
        return found.add(UNKNOWN_PREDEFINED, policy.item, &path, predefined, message);
    };
    let own = if known.name.contains("InferenceComponent") {
        Scalable::Copies
    } else if known.name.contains("Provisioned") {
        Scalable::ProvisionedConcurrency
    } else {
        Scalable::Instances
    };
    if let Some(scalable) = policy.scalable.filter(|scalable| *scalable != own) {
        let message = format!(
            "{name} is of {}; the target is {}",
            own.dimension(),
            scalable.dimension()
        );
        found.add(PREDEFINED_TARGET, policy.item, &path, predefined, message);
    }
}

/// `Period`, wherever somebody put one.
fn periods(item: &Item, customized: &Node, found: &mut Findings) {
    let path = format!("{TRACKING}.CustomizedMetricSpecification");
    let mut places = vec![(format!("{path}.Period"), customized.get("Period"))];
    for (at, query) in customized.get("Metrics").list().iter().enumerate() {
        let path = format!("{path}.Metrics[{at}]");
        places.push((format!("{path}.Period"), query.get("Period")));
        places.push((
            format!("{path}.MetricStat.Period"),
            query.at("MetricStat.Period"),
        ));
    }
    for (path, period) in places {
        if period.is_some() {
            let message = format!(
                "Period {}; target tracking has none and looks at whole minutes",
                period.to_json()
            );
            found.add(PERIOD, item, &path, period, message);
        }
    }
}

fn math(item: &Item, customized: &Node, path: &str, metrics: usize, found: &mut Findings) {
    let queries = customized.get("Metrics");
    if queries.list().is_empty() {
        return;
    }
    let path = format!("{path}.Metrics");
    if metrics > MOST_METRICS {
        let message = format!("{metrics} metrics; expected {MOST_METRICS} at most");
        found.add(MATH, item, &path, queries, message);
    }
    if has_unknown(queries) || found.has(PERIOD, item) {
        return;
    }
    let wrong = match item.typed::<ScalingPolicy>() {
        Ok(policy) => policy.target_tracking.map(|tracking| tracking.metric()),
        // What is wrong beside the math is said elsewhere.
        Err(_) => None,
    };
    match wrong {
        Some(Err(error)) if error.field.contains("Metrics") => {
            let field = error.field.rsplit("CustomizedMetricSpecification.").next();
            let message = format!("{}: {}", field.unwrap_or_default(), error.reason);
            found.add(MATH, item, &path, queries, message);
        }
        Some(Ok((Expression::Number(number), _))) => {
            let message = format!("is {number} whatever is measured; expected a metric");
            found.add(MATH, item, &path, queries, message);
        }
        _ => {}
    }
}

/// Whether something in it is known only when it is deployed.
fn has_unknown(node: &Node) -> bool {
    match &node.data {
        Data::Later(_) => true,
        Data::List(list) => list.iter().any(has_unknown),
        Data::Map(entries) => entries.iter().any(|(_, node)| has_unknown(node)),
        _ => false,
    }
}

/// Members that only name something: what is not known there does not matter.
const NAMES: [&str; 14] = [
    "ResourceId",
    "PolicyName",
    "AlarmName",
    "AlarmDescription",
    "AlarmActions",
    "OKActions",
    "InsufficientDataActions",
    "Dimensions",
    "Namespace",
    "ScheduledActionName",
    "ScalingTargetId",
    "ScalableDimension",
    "ServiceNamespace",
    "ResourceLabel",
];

fn is_judged(item: &Item) -> bool {
    fn unknown(node: &Node) -> bool {
        match &node.data {
            Data::Later(_) => true,
            Data::List(list) => list.iter().any(unknown),
            Data::Map(entries) => entries
                .iter()
                .any(|(name, node)| !NAMES.contains(&name.as_str()) && unknown(node)),
            _ => false,
        }
    }
    !unknown(&item.node)
}

/// What no other rule says.
fn typed<T: serde::de::DeserializeOwned>(
    item: &Item,
    found: &mut Findings,
    check: impl FnOnce(&T) -> Result<(), Invalid>,
) {
    if !is_judged(item) || found.has(MIN_OVER_MAX, item) {
        return;
    }
    let result = item.typed::<T>().and_then(|document| {
        check(&document).map_err(|error| match item.path.is_empty() {
            true => error,
            false => error.within(&item.path),
        })
    });
    if let Err(error) = result {
        let within = error.field.strip_prefix(&item.path).unwrap_or(&error.field);
        let within = within.trim_start_matches('.');
        let within = if within == "document" { "" } else { within };
        found.add(REFUSED, item, within, item.node.at(within), error.reason);
    }
}

fn bounds(item: &Item, node: &Node, within: &str, found: &mut Findings) {
    let (min, max) = (node.get("MinCapacity"), node.get("MaxCapacity"));
    if let (Some(least), Some(most)) = (min.as_number(), max.as_number()) {
        if least > most {
            let message = format!("MinCapacity {least} is more than MaxCapacity, which is {most}");
            let path = match within.is_empty() {
                true => "MinCapacity".to_owned(),
                false => format!("{within}.MinCapacity"),
            };
            found.add(MIN_OVER_MAX, item, &path, min, message);
        }
    }
}

/// Namespace, resource and dimension.
fn names(item: &Item, found: &mut Findings) {
    let service = item.node.get("ServiceNamespace");
    if let Some(name) = service.as_text().filter(|name| *name != "sagemaker") {
        let message = format!("{name:?}; expected sagemaker");
        found.add(RESOURCE, item, "ServiceNamespace", service, message);
        return;
    }
    let dimension = item.node.get("ScalableDimension");
    let scalable = match dimension.as_text() {
        None => None,
        Some(text) => match Scalable::of(text) {
            None => {
                let names = Scalable::ALL.map(Scalable::dimension).join(", ");
                let message = format!("{text:?}; expected one of {names}");
                return found.add(RESOURCE, item, "ScalableDimension", dimension, message);
            }
            known => known,
        },
    };
    let resource = item.node.get("ResourceId");
    let Some(id) = resource.as_text() else { return };
    let parts: Vec<&str> = id.split('/').collect();
    let is_component = match parts[..] {
        ["endpoint", endpoint, "variant", variant]
            if !endpoint.is_empty() && !variant.is_empty() =>
        {
            false
        }
        ["inference-component", name] if !name.is_empty() => true,
        _ => {
            let message = format!("{id:?}; expected endpoint/<endpoint>/variant/<variant> or inference-component/<name>");
            return found.add(RESOURCE, item, "ResourceId", resource, message);
        }
    };
    if let Some(scalable) = scalable {
        if is_component != (scalable == Scalable::Copies) {
            let message = format!("{id:?} has no {}", scalable.dimension());
            found.add(RESOURCE, item, "ResourceId", resource, message);
        }
    }
}

fn schedule(view: &View<'_>, item: &Item, found: &mut Findings) {
    if !is_judged(item) {
        return;
    }
    let before = found.0.len();
    typed::<ScheduledAction>(item, found, |_| Ok(()));
    if found.0.len() > before {
        return;
    }
    let Ok(action) = item.typed::<ScheduledAction>() else {
        return;
    };
    let written = item.node.get("Schedule");
    match action.check() {
        Err(error)
            if error.field.starts_with("ScalableTargetAction")
                || error.field == "ScheduledActionName" =>
        {
            let member = error.field.split('.').next().unwrap_or_default();
            let node = item.node.get(member);
            found.add(REFUSED, item, &error.field, node, error.reason);
        }
        Err(error) => {
            let node = item.node.get(&error.field);
            let node = if node.is_some() { node } else { written };
            found.add(SCHEDULE, item, &error.field, node, error.reason);
        }
        Ok(()) => {
            let is_over = |now: i64| action.at.is_none() && matches!(action.next(now), Ok(None));
            if view.context.now.is_some_and(is_over) {
                let message = format!(
                    "{:?} never comes again",
                    action.schedule.as_deref().unwrap_or_default()
                );
                found.add(SCHEDULE, item, "Schedule", written, message);
            }
        }
    }
}

/// Two target-tracking policies of one target on one metric.
fn same_metric(view: &View<'_>, found: &mut Findings) {
    let key = |policy: &Policy<'_>| -> Option<String> {
        let Kind::Tracking {
            node,
            predefined,
            used,
        } = &policy.kind
        else {
            return None;
        };
        let customized = node.get("CustomizedMetricSpecification");
        let known = PREDEFINED
            .iter()
            .find(|known| Some(known.name) == predefined.as_text());
        // A predefined metric is one of CloudWatch's too.
        let metric = match (known, used.as_slice()) {
            (Some(known), _) => format!("AWS/SageMaker {}", known.metric),
            (None, [one]) if one.id.is_none() => format!(
                "{} {}",
                one.namespace.as_pattern().unwrap_or_default(),
                one.name.as_pattern().unwrap_or_default()
            ),
            (None, _) if customized.is_some() => customized.to_json().to_string(),
            (None, _) => predefined.as_text()?.to_owned(),
        };
        let target = match policy.target {
            Some(target) => target.path.clone(),
            None => policy.item.node.get("ResourceId").to_json().to_string(),
        };
        Some(format!("{target} {metric}"))
    };
    for (at, policy) in view.policies.iter().enumerate() {
        let Some(own) = key(policy) else { continue };
        let mut before = view.policies[..at].iter();
        if let Some(other) = before.find(|other| key(other).as_ref() == Some(&own)) {
            let message = format!(
                "tracks the same metric as {:?}; expected a metric of its own",
                other.item.name()
            );
            found.add(SAME_METRIC, policy.item, "", &policy.item.node, message);
        }
    }
}
