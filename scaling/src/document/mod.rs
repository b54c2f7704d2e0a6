//! Documents that others wrote: what scales what, in whichever form it is written.
//!
//! Read are the JSON that the AWS CLI and the SDKs take and give (one call, a list of calls, or what a
//! `describe-…` says), CloudFormation's templates in JSON and YAML, Terraform's plans and its JSON syntax,
//! and our own scaling configurations. All of them become the same calls of `RegisterScalableTarget`,
//! `PutScalingPolicy`, `PutMetricAlarm` and `PutScheduledAction`, each with the place where it stands.

mod cloudformation;
mod forms;
mod node;
mod terraform;
mod text;

use serde::de::DeserializeOwned;

use crate::policy::{Invalid, MetricAlarm, Scalable, ScalableTarget, ScheduledAction};
use crate::simulate::Configuration;

pub use node::{Data, Later, Node};

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// What the AWS CLI and the SDKs take or give.
    #[default]
    Api,
    /// Our own: `{"target": …, "policies": …}`.
    Configuration,
    /// A template.
    CloudFormation,
    /// A plan, or Terraform's JSON syntax.
    Terraform,
}

/// One call, as its API takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its path in the document, such as `Resources.Guard`; empty where it is all of it.
    pub path: String,
    /// What others in the document call it.
    pub id: String,
    /// The call's members.
    pub node: Node,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Documents {
    /// How it is written.
    pub form: Form,
    /// `RegisterScalableTarget`.
    pub targets: Vec<Item>,
    /// `PutScalingPolicy`.
    pub policies: Vec<Item>,
    /// `PutMetricAlarm`.
    pub alarms: Vec<Item>,
    /// `PutScheduledAction`.
    pub scheduled: Vec<Item>,
    /// `CreateModel`.
    pub models: Vec<Item>,
    /// `CreateEndpointConfig`.
    pub endpoint_configs: Vec<Item>,
    /// What of a configuration of ours is no call: name, capacity, options.
    pub rest: Option<Node>,
}

/// Names whose values are numbers, where a form writes them as text.
const NUMBERS: [&str; 16] = [
    "TargetValue",
    "ScaleInCooldown",
    "ScaleOutCooldown",
    "Cooldown",
    "MinAdjustmentMagnitude",
    "ScalingAdjustment",
    "MetricIntervalLowerBound",
    "MetricIntervalUpperBound",
    "MinCapacity",
    "MaxCapacity",
    "Period",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "at",
    "capacity",
];
/// …and those that are yes or no.
const BOOLS: [&str; 6] = [
    "DisableScaleIn",
    "ReturnData",
    "ActionsEnabled",
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
];

impl Documents {
    /// Reads a document.
    ///
    /// # Errors
    /// One sentence with the place, what it is, and what was expected.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        forms::read(text::parse(text)?)
    }

    /// Puts what another document says beside this.
    pub fn join(&mut self, other: Self) {
        self.targets.extend(other.targets);
        self.policies.extend(other.policies);
        self.alarms.extend(other.alarms);
        self.scheduled.extend(other.scheduled);
        self.models.extend(other.models);
        self.endpoint_configs.extend(other.endpoint_configs);
        self.rest = self.rest.take().or(other.rest);
    }

    /// Says what is scaled: every call that does not name its target gets these names.
    pub fn name_target(&mut self, resource_id: &str, scalable: Scalable) {
        let lists = [&mut self.targets, &mut self.policies, &mut self.scheduled];
        for item in lists.into_iter().flatten() {
            item.node.remove("ScalingTargetId");
            for (name, value) in [
                ("ServiceNamespace", "sagemaker"),
                ("ResourceId", resource_id),
                ("ScalableDimension", scalable.dimension()),
            ] {
                item.node.set(name, Node::text(value));
            }
        }
    }

    /// Every call that scales.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        let scaling = self.targets.iter().chain(&self.policies);
        scaling.chain(&self.alarms).chain(&self.scheduled)
    }

    /// Whether it says nothing that this tool knows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items().next().is_none() && self.models.is_empty() && self.endpoint_configs.is_empty()
    }

    /// The same as a configuration that can be simulated, written and applied.
    ///
    /// # Errors
    /// No target or several, something that AWS would refuse, or a number that only the deployment knows.
    pub fn configuration(&self) -> Result<Configuration, Invalid> {
        let mut configuration = Configuration::between(ScalableTarget::between(0, 0));
        for (name, node) in self.rest.iter().flat_map(Node::entries) {
            configuration.set(name, node.to_json())?;
        }
        let target = match self.targets.as_slice() {
            [target] => target,
            [] => {
                return Err(Invalid::new(
                    "MinCapacity",
                    "there is no scalable target; expected MinCapacity and MaxCapacity beside the policies",
                ))
            }
            several => {
                let paths: Vec<&str> = several.iter().map(|one| one.path.as_str()).collect();
                return Err(Invalid::new(
                    "target",
                    format!("{} scalable targets {paths:?}; expected one", several.len()),
                ));
            }
        };
        configuration.target = target.typed()?;
        configuration.policies = typed(&self.policies)?;
        // Alarms that call nobody here have nothing to do with scaling.
        let names = |item: &&Item| {
            let actions = item.node.get("AlarmActions").list();
            self.policies
                .iter()
                .any(|policy| actions.iter().any(|action| policy.is_called_by(action)))
        };
        for item in self.alarms.iter().filter(names) {
            let mut alarm: MetricAlarm = item.typed()?;
            let actions = item.node.get("AlarmActions").list();
            let called = self
                .policies
                .iter()
                .filter(|policy| actions.iter().any(|action| policy.is_called_by(action)));
            alarm.alarm_actions = called
                .filter_map(|policy| policy.node.get("PolicyName").as_pattern())
                .map(str::to_owned)
                .collect();
            configuration.alarms.push(alarm);
        }
        configuration.scheduled_actions = typed::<ScheduledAction>(&self.scheduled)?;
        Ok(configuration)
    }
}

fn typed<T: DeserializeOwned>(items: &[Item]) -> Result<Vec<T>, Invalid> {
    items.iter().map(Item::typed).collect()
}

impl Item {
    /// As the API has it.
    ///
    /// # Errors
    /// The field, and what was expected.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, Invalid> {
        let mut node = plain(&self.node);
        // A template's reference to the target stands for its names.
        node.remove("ScalingTargetId");
        let value = node.to_json();
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = match error.path().to_string().as_str() {
                "." => String::new(),
                path => path.to_owned(),
            };
            let field = match (self.path.is_empty(), path.is_empty()) {
                (_, true) => self.path.clone(),
                (true, false) => path,
                (false, false) => format!("{}.{path}", self.path),
            };
            let field = if field.is_empty() {
                "document".to_owned()
            } else {
                field
            };
            Invalid::new(field, error.into_inner().to_string())
        })
    }

    /// Whether this policy is what an alarm's action calls: by its reference, its ARN or its name.
    #[must_use]
    pub fn is_called_by(&self, action: &Node) -> bool {
        if !self.id.is_empty() && action.refers_to().contains(&self.id) {
            return true;
        }
        let (Some(name), Some(action)) = (
            self.node.get("PolicyName").as_pattern(),
            action.as_pattern(),
        ) else {
            return false;
        };
        let named = action.rsplit_once("policyName/").map(|(_, name)| name);
        action == name || named == Some(name)
    }

    /// Whether a path of the document leads here, or into this.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path.as_str());
        rest.is_some_and(|rest| {
            self.path.is_empty() || rest.is_empty() || rest.starts_with(['.', '['])
        })
    }

    /// What it is called: its own name, or the document's.
    #[must_use]
    pub fn name(&self) -> &str {
        let names = [
            "PolicyName",
            "AlarmName",
            "ScheduledActionName",
            "ModelName",
            "ResourceId",
        ];
        let own = names
            .iter()
            .find_map(|name| self.node.get(name).as_pattern());
        own.unwrap_or(&self.id)
    }
}

/// The same with numbers for texts that are numbers, and without what is nothing.
fn plain(node: &Node) -> Node {
    let data = match &node.data {
        Data::Map(entries) => Data::Map(
            entries
                .iter()
                .filter(|(_, node)| node.is_some())
                .map(|(name, node)| {
                    let value = plain(node);
                    let number = NUMBERS.contains(&name.as_str()).then(|| value.as_number());
                    let yes = BOOLS.contains(&name.as_str()).then(|| value.as_bool());
                    let data = match (number.flatten(), yes.flatten()) {
                        (Some(number), _) => Data::Number(number),
                        (_, Some(yes)) => Data::Bool(yes),
                        _ => value.data,
                    };
                    (
                        name.clone(),
                        Node {
                            data,
                            line: node.line,
                        },
                    )
                })
                .collect(),
        ),
        Data::List(list) => Data::List(list.iter().map(plain).collect()),
        other => other.clone(),
    };
    Node {
        data,
        line: node.line,
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
