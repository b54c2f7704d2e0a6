//! What somebody wants, in a few words.

use crate::catalogue::Metric;
use crate::known::{self, Known, AWS};
use crate::policy::{
    AdjustmentType, Comparison, CustomizedMetric, Dimension, Invalid, MetricAlarm, MetricName,
    MetricQuery, MetricToQuery, Missing, PolicyType, PredefinedMetric, Scalable, ScalableTarget,
    ScalingPolicy, ScheduledAction, StepAdjustment, StepScaling, SuspendedState, TargetTracking,
    PREDEFINED,
};
use crate::simulate::Configuration;

/// What is scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// Instances of a variant.
    Variant {
        /// The endpoint.
        endpoint: String,
        /// Its variant.
        variant: String,
    },
    /// Provisioned concurrency of a serverless variant.
    Serverless {
        /// The endpoint.
        endpoint: String,
        /// Its variant.
        variant: String,
    },
    /// Copies of an inference component.
    Component {
        /// Its name.
        name: String,
    },
}

/// A metric of metric math: its id, and the metric with its statistic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What the expression calls it.
    pub id: String,
    /// `Namespace:Name`, or a name alone.
    pub metric: String,
    /// Its statistic.
    pub stat: String,
}

/// What is tracked.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// A metric: a name of the catalogue or of SageMaker's, a predefined type, or `Namespace:Name`.
    Metric(String),
    /// A formula over metrics.
    Expression(String, Vec<Query>),
}

/// Steps on a fast alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// The metric, as for [`Wanted::Metric`].
    pub metric: String,
    /// The alarm's threshold, in the metric's unit.
    pub threshold: f64,
    /// Seconds: 10, 30 or 60.
    pub period: u64,
    /// Offsets from the threshold, and how many percent are added from there on.
    pub steps: Vec<(f64, i32)>,
    /// Seconds.
    pub cooldown: u64,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// What is scaled.
    pub resource: Resource,
    /// Capacity at least…
    pub min: u32,
    /// …and at most.
    pub max: u32,
    /// What is tracked, at which value.
    pub tracked: Option<(Wanted, f64)>,
    /// Seconds.
    pub scale_out_cooldown: Option<u64>,
    /// Seconds.
    pub scale_in_cooldown: Option<u64>,
    /// Whether the policy only adds.
    pub disable_scale_in: bool,
    /// Steps on a fast alarm.
    pub guard: Option<Guard>,
    /// Whether the first request adds the first copy.
    pub wake_up: bool,
    /// What happens at set times.
    pub scheduled: Vec<ScheduledAction>,
    /// What is suspended.
    pub suspended: SuspendedState,
    /// The namespace of the sidecar's metrics.
    pub namespace: String,
    /// The dimension of a multi-container endpoint.
    pub container: Option<String>,
}

/// `ServiceNamespace`.
const SERVICE: &str = "sagemaker";
/// Datapoints of the guard's alarm.
const GUARD_POINTS: usize = 3;

impl Resource {
    /// Its kind.
    #[must_use]
    pub fn scalable(&self) -> Scalable {
        match self {
            Self::Variant { .. } => Scalable::Instances,
            Self::Serverless { .. } => Scalable::ProvisionedConcurrency,
            Self::Component { .. } => Scalable::Copies,
        }
    }

    /// `ResourceId`.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Variant { endpoint, variant } | Self::Serverless { endpoint, variant } => {
                format!("endpoint/{endpoint}/variant/{variant}")
            }
            Self::Component { name } => format!("inference-component/{name}"),
        }
    }

    /// What alarms and policies are called after.
    fn short(&self) -> String {
        match self {
            Self::Variant { endpoint, variant } | Self::Serverless { endpoint, variant } => {
                format!("{endpoint}-{variant}")
            }
            Self::Component { name } => name.clone(),
        }
    }

    fn value(&self, dimension: &str) -> Option<&str> {
        match (self, dimension) {
            (
                Self::Variant { endpoint, .. } | Self::Serverless { endpoint, .. },
                "EndpointName",
            ) => Some(endpoint),
            (Self::Variant { variant, .. } | Self::Serverless { variant, .. }, "VariantName") => {
                Some(variant)
            }
            (Self::Component { name }, "InferenceComponentName") => Some(name),
            _ => None,
        }
    }

    /// # Errors
    /// A name that SageMaker refuses.
    fn check(&self) -> Result<(), Invalid> {
        let names: &[(&str, &str)] = match self {
            Self::Variant { endpoint, variant } | Self::Serverless { endpoint, variant } => {
                &[("endpoint", endpoint), ("variant", variant)]
            }
            Self::Component { name } => &[("inference component", name)],
        };
        for (what, name) in names {
            if !is_name(name) {
                return Err(Invalid::new(
                    *what,
                    format!("{name:?}; expected 1 to 63 letters, digits and hyphens"),
                ));
            }
        }
        Ok(())
    }
}

/// A metric that was found by its name.
enum Found {
    Predefined(&'static str),
    Customized(String, Known),
}

impl Intent {
    /// The documents for it.
    ///
    /// # Errors
    /// A name that nobody knows, bounds that are none, nothing that scales.
    pub fn configuration(&self) -> Result<Configuration, Invalid> {
        self.resource.check()?;
        self.check_names()?;
        let mut target = ScalableTarget::between(self.min, self.max);
        target.service_namespace = Some(SERVICE.to_owned());
        target.resource_id = Some(self.resource.id());
        target.scalable_dimension = Some(self.resource.scalable().dimension().to_owned());
        target.suspended_state = self.suspended;
        target.check()?;
        let mut configuration = Configuration::between(target);
        if let Some((wanted, value)) = &self.tracked {
            let policy = self.tracking(wanted, *value)?;
            configuration.policies.push(policy);
        }
        if let Some(guard) = &self.guard {
            let (policy, alarm) = self.guarded(guard)?;
            configuration.policies.push(policy);
            configuration.alarms.push(alarm);
        }
        if self.wake_up {
            let (policy, alarm) = self.woken()?;
            configuration.policies.push(policy);
            configuration.alarms.push(alarm);
        }
        for action in &self.scheduled {
            let mut action = action.clone();
            action.service_namespace = Some(SERVICE.to_owned());
            action.resource_id = Some(self.resource.id());
            action.scalable_dimension = Some(self.resource.scalable().dimension().to_owned());
            action
                .check()
                .map_err(|error| error.within(&action.scheduled_action_name))?;
            configuration.scheduled_actions.push(action);
        }
        if configuration.policies.is_empty() && configuration.scheduled_actions.is_empty() {
            return Err(Invalid::new(
                "policy",
                "nothing scales; expected a metric with a target, a guard, a wake-up or a schedule",
            ));
        }
        Ok(configuration)
    }

    /// # Errors
    /// A namespace or a container that CloudWatch or SageMaker refuse.
    fn check_names(&self) -> Result<(), Invalid> {
        let namespace = &self.namespace;
        let is_namespace = (1..=255).contains(&namespace.len())
            && namespace.chars().all(|c| c == ' ' || c.is_ascii_graphic())
            && namespace.trim() == namespace
            && !namespace.starts_with(':')
            && !known::is_aws(namespace);
        if !is_namespace {
            return Err(Invalid::new(
                "namespace",
                format!("{namespace:?}; expected 1 to 255 printable characters, not beginning with a colon or AWS/"),
            ));
        }
        let Some(container) = &self.container else {
            return Ok(());
        };
        if !is_name(container) {
            return Err(Invalid::new(
                "container",
                format!("{container:?}; expected 1 to 63 letters, digits and hyphens"),
            ));
        }
        if self.resource.scalable() == Scalable::Copies {
            return Err(Invalid::new(
                "container",
                format!("{container:?} of an inference component, which has one; expected none"),
            ));
        }
        Ok(())
    }

    fn named(&self, kind: &str) -> String {
        format!("{}-{kind}", self.resource.short())
    }

    fn policy(&self, kind: &str, policy_type: PolicyType) -> ScalingPolicy {
        ScalingPolicy {
            policy_name: self.named(kind),
            service_namespace: Some(SERVICE.to_owned()),
            resource_id: Some(self.resource.id()),
            scalable_dimension: Some(self.resource.scalable().dimension().to_owned()),
            policy_type,
            target_tracking: None,
            step_scaling: None,
        }
    }

    fn tracking(&self, wanted: &Wanted, value: f64) -> Result<ScalingPolicy, Invalid> {
        let (name, predefined, customized) = match wanted {
            Wanted::Metric(metric) => match self.find(metric)? {
                Found::Predefined(name) => {
                    let known = PREDEFINED.iter().find(|known| known.name == name);
                    let predefined = PredefinedMetric {
                        predefined_metric_type: name.to_owned(),
                        resource_label: None,
                    };
                    (
                        known.map_or(name, |known| known.metric).to_owned(),
                        Some(predefined),
                        None,
                    )
                }
                Found::Customized(namespace, known) => {
                    let statistic = known.statistics.first().copied().unwrap_or("Average");
                    let customized = CustomizedMetric {
                        metric_name: Some(known.name.to_owned()),
                        namespace: Some(namespace),
                        dimensions: self.dimensions(&known)?,
                        statistic: Some(statistic.to_owned()),
                        unit: None,
                        metrics: Vec::new(),
                    };
                    (known.name.to_owned(), None, Some(customized))
                }
            },
            Wanted::Expression(expression, queries) => {
                let customized = CustomizedMetric {
                    metric_name: None,
                    namespace: None,
                    dimensions: Vec::new(),
                    statistic: None,
                    unit: None,
                    metrics: self.queries(expression, queries)?,
                };
                ("expression".to_owned(), None, Some(customized))
            }
        };
        let tracking = TargetTracking {
            target_value: value,
            predefined,
            customized,
            scale_out_cooldown: self.scale_out_cooldown,
            scale_in_cooldown: self.scale_in_cooldown,
            disable_scale_in: self.disable_scale_in.then_some(true),
        };
        let mut policy = self.policy(&name, PolicyType::TargetTracking);
        policy.target_tracking = Some(tracking);
        policy.rule()?;
        Ok(policy)
    }

    fn queries(&self, expression: &str, queries: &[Query]) -> Result<Vec<MetricQuery>, Invalid> {
        let mut all = Vec::new();
        for query in queries {
            let (namespace, known) = self.series(&query.metric)?;
            all.push(MetricQuery {
                id: query.id.clone(),
                expression: None,
                metric_stat: Some(MetricToQuery {
                    metric: MetricName {
                        name: known.name.to_owned(),
                        namespace: Some(namespace),
                        dimensions: self.dimensions(&known)?,
                    },
                    period: None,
                    stat: query.stat.clone(),
                    unit: None,
                }),
                label: None,
                period: None,
                return_data: Some(false),
            });
        }
        let ids: Vec<&str> = queries.iter().map(|query| query.id.as_str()).collect();
        let free = (1..)
            .map(|n| format!("e{n}"))
            .find(|id| !ids.contains(&id.as_str()));
        all.push(MetricQuery {
            id: free.unwrap_or_default(),
            expression: Some(expression.to_owned()),
            metric_stat: None,
            label: Some("what is tracked".to_owned()),
            period: None,
            return_data: Some(true),
        });
        Ok(all)
    }

    /// A metric that CloudWatch can be asked for, and its namespace.
    fn series(&self, name: &str) -> Result<(String, Known), Invalid> {
        match self.find(name)? {
            Found::Customized(namespace, known) => Ok((namespace, known)),
            Found::Predefined(predefined) => {
                let metric = PREDEFINED.iter().find(|known| known.name == predefined);
                let name = metric.map(|known| known.metric).unwrap_or_default();
                let known = AWS.iter().find(|known| known.name == name).copied();
                known
                    .map(|known| (known::REQUESTS.to_owned(), known))
                    .ok_or_else(|| Invalid::new("metric", format!("{name:?} is unknown")))
            }
        }
    }

    fn find(&self, wanted: &str) -> Result<Found, Invalid> {
        let scalable = self.resource.scalable();
        if let Some(known) = PREDEFINED.iter().find(|known| known.name == wanted) {
            return Ok(Found::Predefined(known.name));
        }
        if let Some((namespace, name)) = wanted.rsplit_once(':') {
            let known = known::find(namespace, name).ok_or_else(|| unknown(wanted))?;
            return Ok(Found::Customized(namespace.to_owned(), known));
        }
        let fits = |name: &str| match scalable {
            Scalable::Instances => {
                name.starts_with("SageMakerVariant") && !name.contains("Provisioned")
            }
            Scalable::ProvisionedConcurrency => name.contains("Provisioned"),
            Scalable::Copies => name.contains("InferenceComponent"),
        };
        let predefined = PREDEFINED
            .iter()
            .find(|known| known.metric == wanted && fits(known.name));
        if let Some(known) = predefined {
            return Ok(Found::Predefined(known.name));
        }
        if let Some(metric) = Metric::ALL.iter().find(|metric| metric.name() == wanted) {
            return Ok(Found::Customized(
                self.namespace.clone(),
                known::ours(*metric),
            ));
        }
        let is_component = scalable == Scalable::Copies;
        let own = |known: &&&Known| is_component == (known.namespace == Some(known::COMPONENTS));
        let named: Vec<&Known> = AWS.iter().filter(|known| known.name == wanted).collect();
        let found = named.iter().find(own).or(named.first());
        match found {
            Some(known) => Ok(Found::Customized(
                known.namespace.unwrap_or_default().to_owned(),
                **known,
            )),
            None => Err(unknown(wanted)),
        }
    }

    /// The dimensions with which the metric of this resource is published.
    fn dimensions(&self, known: &Known) -> Result<Vec<Dimension>, Invalid> {
        let with_container = self.container.is_some() && known.namespace.is_none();
        let value = |name: &str| match name {
            "ContainerName" => self.container.as_deref().filter(|_| with_container),
            name => self.resource.value(name),
        };
        let sets = known.dimensions.iter();
        let fitting = sets.filter(|set| set.iter().all(|name| value(name).is_some()));
        let set = fitting.max_by_key(|set| set.len()).ok_or_else(|| {
            let sets: Vec<String> = known
                .dimensions
                .iter()
                .map(|set| set.join(" and "))
                .collect();
            Invalid::new(
                "metric",
                format!(
                    "{} is published with {}; {:?} has other names",
                    known.name,
                    sets.join(", or with "),
                    self.resource.id()
                ),
            )
        })?;
        let pair = |name: &&str| Dimension {
            name: (*name).to_owned(),
            value: value(name).unwrap_or_default().to_owned(),
        };
        Ok(set.iter().map(pair).collect())
    }

    fn alarm(
        &self,
        kind: &str,
        (namespace, known): (String, Known),
        policy: &ScalingPolicy,
    ) -> Result<MetricAlarm, Invalid> {
        let statistic = known.statistics.first().copied().unwrap_or("Average");
        Ok(MetricAlarm {
            alarm_name: self.named(kind),
            alarm_description: None,
            actions_enabled: None,
            metric_name: Some(known.name.to_owned()),
            namespace: Some(namespace),
            dimensions: self.dimensions(&known)?,
            statistic: Some(statistic.to_owned()),
            extended_statistic: None,
            unit: None,
            period: Some(60),
            metrics: Vec::new(),
            evaluation_periods: 1,
            datapoints_to_alarm: Some(1),
            threshold: 1.0,
            comparison_operator: Comparison::AtLeast,
            treat_missing_data: Missing::NotBreaching,
            alarm_actions: vec![policy.policy_name.clone()],
            ok_actions: Vec::new(),
            insufficient_data_actions: Vec::new(),
        })
    }

    /// The burst guard.
    fn guarded(&self, guard: &Guard) -> Result<(ScalingPolicy, MetricAlarm), Invalid> {
        let within = |error: Invalid| error.within("guard");
        if guard.steps.is_empty() {
            return Err(Invalid::new("guard", "no steps; expected one at least"));
        }
        if let Some((_, percent)) = guard.steps.iter().find(|(_, percent)| *percent <= 0) {
            return Err(Invalid::new(
                "guard",
                format!("{percent} percent at a burst; expected percents above zero"),
            ));
        }
        let mut steps = Vec::new();
        for (at, (from, percent)) in guard.steps.iter().enumerate() {
            steps.push(StepAdjustment {
                metric_interval_lower_bound: Some(*from),
                metric_interval_upper_bound: guard.steps.get(at + 1).map(|next| next.0),
                scaling_adjustment: *percent,
            });
        }
        let mut policy = self.policy("guard", PolicyType::Step);
        policy.step_scaling = Some(StepScaling {
            adjustment_type: AdjustmentType::PercentChangeInCapacity,
            step_adjustments: steps,
            min_adjustment_magnitude: Some(1),
            cooldown: Some(guard.cooldown),
            metric_aggregation_type: None,
        });
        policy.rule().map_err(within)?;
        let series = self.series(&guard.metric).map_err(within)?;
        let mut alarm = self.alarm("guard", series, &policy).map_err(within)?;
        alarm.period = Some(guard.period);
        alarm.threshold = guard.threshold;
        alarm.comparison_operator = Comparison::Above;
        alarm.evaluation_periods = GUARD_POINTS;
        alarm.datapoints_to_alarm = Some(GUARD_POINTS);
        alarm.check().map_err(within)?;
        Ok((policy, alarm))
    }

    /// What wakes it from zero.
    fn woken(&self) -> Result<(ScalingPolicy, MetricAlarm), Invalid> {
        if self.min > 0 {
            return Err(Invalid::new(
                "wake-up",
                format!(
                    "the least capacity is {}, so that it never sleeps; expected 0 or no wake-up",
                    self.min
                ),
            ));
        }
        let metric = match self.resource {
            Resource::Component { .. } => "AWS/SageMaker:NoCapacityInvocationFailures",
            Resource::Variant { .. } => "AWS/SageMaker:HasBacklogWithoutCapacity",
            Resource::Serverless { .. } => {
                return Err(Invalid::new(
                    "wake-up",
                    "a serverless variant wakes up by itself; expected none",
                ))
            }
        };
        let mut policy = self.policy("wake-up", PolicyType::Step);
        policy.step_scaling = Some(StepScaling {
            adjustment_type: AdjustmentType::ChangeInCapacity,
            step_adjustments: vec![StepAdjustment {
                metric_interval_lower_bound: Some(0.0),
                metric_interval_upper_bound: None,
                scaling_adjustment: 1,
            }],
            min_adjustment_magnitude: None,
            cooldown: Some(60),
            metric_aggregation_type: None,
        });
        let alarm = self.alarm("wake-up", self.series(metric)?, &policy)?;
        Ok((policy, alarm))
    }
}

/// A name as SageMaker takes it for endpoints, variants, components and containers.
fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// What a metric is called on the command line.
fn full_name(known: &Known) -> String {
    match known.namespace {
        Some(namespace) => format!("{namespace}:{}", known.name),
        None => known.name.to_owned(),
    }
}

fn unknown(wanted: &str) -> Invalid {
    let (namespace, name) = match wanted.rsplit_once(':') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, wanted),
    };
    let all: Vec<Known> = Metric::ALL
        .iter()
        .map(|metric| known::ours(*metric))
        .chain(AWS.iter().copied())
        // Of AWS's namespaces, where one of them was meant.
        .filter(|known| namespace.is_none_or(|of| known::is_aws(of) == known.namespace.is_some()))
        .collect();
    let distance = |known: &&Known| {
        let (one, other) = (known.name.to_ascii_lowercase(), name.to_ascii_lowercase());
        strsim::damerau_levenshtein(&one, &other)
    };
    let near = all.iter().min_by_key(distance);
    let near = near.filter(|known| distance(known) <= known.name.len().min(name.len()) / 3);
    let reason = match (near, wanted.starts_with("SageMaker")) {
        (_, true) => format!(
            "{wanted:?} is no predefined metric of SageMaker; expected one of {}. For CPU take CPUUtilization (of the container, 0 to 100) or {}:CPUUtilization (0 to 100 × vCPUs)",
            PREDEFINED.map(|known| known.name).join(", "),
            known::INSTANCES
        ),
        (Some(near), _) if near.name == name => {
            format!("{wanted:?} is not published; expected {}", full_name(near))
        }
        (Some(near), _) if near.name.eq_ignore_ascii_case(name) => format!(
            "{wanted:?} is published as {:?}: names are case-sensitive",
            full_name(near)
        ),
        (Some(near), _) => format!("{wanted:?} is unknown; did you mean {}?", full_name(near)),
        (None, _) => {
            let ours: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
            format!(
                "{wanted:?} is unknown; expected one of ours ({}), of SageMaker's ({}, …), or Namespace:Name",
                ours.join(", "),
                PREDEFINED.map(|known| known.metric).join(", ")
            )
        }
    };
    Invalid::new("metric", reason)
}
