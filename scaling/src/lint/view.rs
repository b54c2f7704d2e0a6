//! A document as the rules look at it: policies with what they track, alarms with what they call.

use crate::document::{Documents, Item, Node};
use crate::known::{self, Known};
use crate::policy::{Scalable, Side};

use super::Context;

/// A metric that a policy or an alarm names.
pub(super) struct Used<'d> {
    /// The call that names it.
    pub(super) item: &'d Item,
    /// Where in the call.
    pub(super) path: String,
    /// The metric's members.
    pub(super) node: &'d Node,
    pub(super) name: &'d Node,
    pub(super) namespace: &'d Node,
    pub(super) dimensions: &'d Node,
    pub(super) stat: &'d Node,
    pub(super) unit: &'d Node,
    /// Id in metric math.
    pub(super) id: Option<&'d str>,
    /// What is known of it.
    pub(super) known: Option<Known>,
}

impl Used<'_> {
    /// Whether it tells that something waits for the first unit of capacity.
    pub(super) fn is_wake_up(&self) -> bool {
        let names = ["NoCapacityInvocationFailures", "HasBacklogWithoutCapacity"];
        self.name
            .as_text()
            .is_some_and(|name| names.contains(&name))
    }

    /// Names of its dimensions, in order; none where they are not known.
    pub(super) fn dimension_names(&self) -> Vec<&str> {
        let names = self.dimensions.list().iter();
        let mut names: Vec<&str> = names.filter_map(|d| d.get("Name").as_text()).collect();
        names.sort_unstable();
        names
    }

    /// The value of a dimension.
    pub(super) fn dimension(&self, name: &str) -> Option<&Node> {
        let mut all = self.dimensions.list().iter();
        let found = all.find(|d| d.get("Name").as_text() == Some(name))?;
        Some(found.get("Value"))
    }
}

/// What a policy is.
pub(super) enum Kind<'d> {
    Tracking {
        node: &'d Node,
        /// Metrics of its own choice.
        used: Vec<Used<'d>>,
        /// `PredefinedMetricType`.
        predefined: &'d Node,
    },
    Step {
        node: &'d Node,
    },
    Other,
}

/// A policy and its target.
pub(super) struct Policy<'d> {
    pub(super) item: &'d Item,
    pub(super) kind: Kind<'d>,
    pub(super) target: Option<&'d Item>,
    pub(super) scalable: Option<Scalable>,
}

/// An alarm.
pub(super) struct Alarm<'d> {
    pub(super) item: &'d Item,
    pub(super) used: Vec<Used<'d>>,
    /// Policies of the document that it calls.
    pub(super) calls: Vec<&'d Item>,
    /// Whether it calls any policy, here or elsewhere.
    pub(super) scales: bool,
}

impl Alarm<'_> {
    /// Whether it calls a policy, or watches what SageMaker or this container publishes. Others are
    /// nobody's business here, and neither is anomaly detection, which has no threshold.
    fn is_of_scaling(&self) -> bool {
        let is_ours = |used: &Used<'_>| {
            let namespace = used.namespace.as_text().unwrap_or_default();
            used.known.is_some() || namespace.to_ascii_lowercase().contains("sagemaker")
        };
        let is_managed = self.item.name().starts_with("TargetTracking-");
        let has_threshold = self.item.node.get("Threshold").is_some();
        is_managed || has_threshold && (self.scales || self.used.iter().any(is_ours))
    }
}

/// Everything.
pub(super) struct View<'d> {
    pub(super) documents: &'d Documents,
    pub(super) context: Context,
    pub(super) policies: Vec<Policy<'d>>,
    pub(super) alarms: Vec<Alarm<'d>>,
}

pub(super) const TRACKING: &str = "TargetTrackingScalingPolicyConfiguration";
pub(super) const STEP: &str = "StepScalingPolicyConfiguration";

impl<'d> View<'d> {
    pub(super) fn new(documents: &'d Documents, context: &Context) -> Self {
        // Not a policy whose target is another service's.
        let is_ours = |item: &&Item| {
            let of = item.node.get("ScalingTargetId").refers_to();
            of.is_empty()
                || documents
                    .targets
                    .iter()
                    .any(|target| of.contains(&target.id))
        };
        let policies = documents.policies.iter().filter(is_ours);
        let policies = policies.map(|item| policy(documents, item));
        let alarms = documents.alarms.iter().map(|item| {
            let actions = item.node.get("AlarmActions").list();
            let calls = documents
                .policies
                .iter()
                .filter(|policy| actions.iter().any(|action| policy.is_called_by(action)))
                .collect::<Vec<_>>();
            let names_policy = |action: &Node| {
                let text = action.as_pattern().unwrap_or_default();
                text.contains(":scalingPolicy:") || text.to_ascii_lowercase().contains("policy")
            };
            Alarm {
                item,
                used: used(item, &item.node, ""),
                scales: !calls.is_empty() || actions.iter().any(names_policy),
                calls,
            }
        });
        let alarms = alarms.filter(Alarm::is_of_scaling);
        let mut context = *context;
        // Of several kinds of endpoint nobody knows which one a policy is for.
        let configs = &documents.endpoint_configs;
        let mut types: Vec<&str> = configs
            .iter()
            .flat_map(|config| config.node.get("ProductionVariants").list())
            .filter_map(|variant| variant.get("InstanceType").as_text())
            .collect();
        types.dedup();
        if let [one] = types[..] {
            context.vcpus = context.vcpus.or_else(|| vcpus(one));
        }
        let is_async = |config: &Item| config.node.get("AsyncInferenceConfig").is_some();
        context.is_async |= !configs.is_empty() && configs.iter().all(is_async);
        Self {
            documents,
            context,
            policies: policies.collect(),
            alarms: alarms.collect(),
        }
    }

    /// Policies of this target.
    pub(super) fn of<'v>(&'v self, target: &'v Item) -> impl Iterator<Item = &'v Policy<'d>> + 'v {
        self.policies
            .iter()
            .filter(move |policy| policy.target.is_some_and(|of| std::ptr::eq(of, target)))
    }

    /// Every metric that is named.
    pub(super) fn used(&self) -> impl Iterator<Item = &Used<'d>> {
        let of_policies = self.policies.iter().flat_map(|policy| match &policy.kind {
            Kind::Tracking { used, .. } => used.as_slice(),
            _ => &[],
        });
        of_policies.chain(self.alarms.iter().flat_map(|alarm| &alarm.used))
    }
}

/// What is scaled by a call that names it, or its target.
pub(super) fn scalable(item: &Item) -> Option<Scalable> {
    Scalable::of(item.node.get("ScalableDimension").as_text()?)
}

/// The target of a policy or a scheduled action.
pub(super) fn target_of<'d>(documents: &'d Documents, item: &Item) -> Option<&'d Item> {
    let by_reference = item.node.get("ScalingTargetId").refers_to();
    let id = item.node.get("ResourceId");
    let dimension = item.node.get("ScalableDimension");
    let same = |a: &Node, b: &Node| match (a.as_text(), b.as_text()) {
        (Some(a), Some(b)) => a == b,
        // Unknown both, and made of the same.
        _ => a.is_some() && a.as_pattern() == b.as_pattern(),
    };
    let is_target = |target: &&Item| {
        let is_named = !target.id.is_empty()
            && (by_reference.contains(&target.id) || id.refers_to().contains(&target.id));
        let other = target.node.get("ScalableDimension");
        let fits =
            !(dimension.as_text().is_some() && other.as_text().is_some()) || same(dimension, other);
        is_named || same(id, target.node.get("ResourceId")) && fits
    };
    let named = documents.targets.iter().find(is_target);
    match documents.targets.as_slice() {
        // A call without names beside the one target is of that.
        [only] if named.is_none() && !id.is_some() && by_reference.is_empty() => Some(only),
        [only] if named.is_none() && !only.node.get("ResourceId").is_some() => Some(only),
        _ => named,
    }
}

fn policy<'d>(documents: &'d Documents, item: &'d Item) -> Policy<'d> {
    let target = target_of(documents, item);
    let tracking = item.node.get(TRACKING);
    let step = item.node.get(STEP);
    let kind = if tracking.is_some() {
        let customized = tracking.get("CustomizedMetricSpecification");
        let path = format!("{TRACKING}.CustomizedMetricSpecification");
        Kind::Tracking {
            node: tracking,
            used: match customized.is_some() {
                true => used(item, customized, &path),
                false => Vec::new(),
            },
            predefined: tracking.at("PredefinedMetricSpecification.PredefinedMetricType"),
        }
    } else if step.is_some() {
        Kind::Step { node: step }
    } else {
        Kind::Other
    };
    Policy {
        item,
        kind,
        target,
        scalable: scalable(item).or_else(|| target.and_then(scalable)),
    }
}

/// The metrics of a customized metric or an alarm: one, or those of its `Metrics`.
fn used<'d>(item: &'d Item, node: &'d Node, path: &str) -> Vec<Used<'d>> {
    let inside = |name: &str| match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    };
    let metric = |path: String, node: &'d Node, of: &'d Node, id| {
        let namespace = node.get("Namespace");
        let name = node.get("MetricName");
        let stats = ["Stat", "Statistic", "ExtendedStatistic"];
        let stat = stats.iter().map(|name| of.get(name));
        let known = match (namespace.as_text(), name.as_text()) {
            (Some(namespace), Some(name)) => known::find(namespace, name),
            _ => None,
        };
        Used {
            item,
            path,
            node,
            name,
            namespace,
            dimensions: node.get("Dimensions"),
            stat: stat
                .into_iter()
                .find(|stat| stat.is_some())
                .unwrap_or(of.get("Statistic")),
            unit: of.get("Unit"),
            id,
            known,
        }
    };
    let queries = node.get("Metrics").list();
    let mut all = Vec::new();
    if node.get("MetricName").is_some() {
        all.push(metric(path.to_owned(), node, node, None));
    }
    for (at, query) in queries.iter().enumerate() {
        let stat = query.get("MetricStat");
        if stat.is_some() {
            let path = inside(&format!("Metrics[{at}].MetricStat"));
            all.push(metric(
                path,
                stat.get("Metric"),
                stat,
                query.get("Id").as_text(),
            ));
        }
    }
    all
}

/// The side of the threshold on which an alarm fires.
pub(super) fn side(alarm: &Item) -> Option<Side> {
    match alarm.node.get("ComparisonOperator").as_text()? {
        "GreaterThanThreshold" | "GreaterThanOrEqualToThreshold" => Some(Side::Above),
        "LessThanThreshold" | "LessThanOrEqualToThreshold" => Some(Side::Below),
        _ => None,
    }
}

/// vCPUs of an instance of this type, where its size says it.
pub(super) fn vcpus(instance: &str) -> Option<f64> {
    let (family, size) = instance.strip_prefix("ml.")?.split_once('.')?;
    match (family, size) {
        ("c4", "8xlarge") => Some(36.0),
        (_, "medium" | "large") => Some(2.0),
        (_, "xlarge") => Some(4.0),
        (_, size) => Some(4.0 * size.strip_suffix("xlarge")?.parse::<f64>().ok()?),
    }
}
