//! Scaling configuration, with the names that Application Auto Scaling and CloudWatch have for it.
//!
//! The documents are those of `PutScalingPolicy`, `RegisterScalableTarget` and `PutMetricAlarm`, so that
//! what is simulated is what can be applied, and the other way round. What those would refuse is
//! refused here: each with its field, its value and what was expected.
//!
//! Source: API service models of Application Auto Scaling (2016-02-06) and CloudWatch (2010-08-01).

mod alarm;
mod cron;
mod metric;
mod schedule;
mod step;
mod target;
mod tracking;

use serde::{Deserialize, Serialize};

pub use alarm::{Comparison, MetricAlarm, Missing};
pub use metric::{Dimension, MetricName, MetricQuery, MetricStat, MetricToQuery, PREDEFINED};
pub use schedule::{Schedule, ScheduledAction, Zone};
pub use step::{AdjustmentType, Aggregation, Side, StepAdjustment, StepScaling};
pub use target::{Scalable, ScalableTarget, ScalableTargetAction, SuspendedState};
pub use tracking::{CustomizedMetric, PredefinedMetric, TargetTracking};

/// What is wrong with a document: the field, its value, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// Where, in the document's own names.
    pub field: String,
    /// What, and what was expected.
    pub reason: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// The same inside of `field`.
    #[must_use]
    pub(crate) fn within(self, field: &str) -> Self {
        Self {
            field: match self.field.is_empty() {
                true => field.to_owned(),
                false => format!("{field}.{}", self.field),
            },
            ..self
        }
    }
}

/// Seconds that both cooldowns last where a policy names none.
pub const DEFAULT_COOLDOWN_SECS: u64 = 300;

/// A policy as `PutScalingPolicy` takes it. The target's own names may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ScalingPolicy {
    /// Unique for its target.
    pub policy_name: String,
    /// `sagemaker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_namespace: Option<String>,
    /// `endpoint/<endpoint>/variant/<variant>`, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// `sagemaker:variant:DesiredInstanceCount`, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scalable_dimension: Option<String>,
    /// Which of the two configurations it has.
    pub policy_type: PolicyType,
    /// With `TargetTrackingScaling`.
    #[serde(
        default,
        rename = "TargetTrackingScalingPolicyConfiguration",
        skip_serializing_if = "Option::is_none"
    )]
    pub target_tracking: Option<TargetTracking>,
    /// With `StepScaling`.
    #[serde(
        default,
        rename = "StepScalingPolicyConfiguration",
        skip_serializing_if = "Option::is_none"
    )]
    pub step_scaling: Option<StepScaling>,
}

/// The kinds of policy that SageMaker's targets may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyType {
    /// Keeps a metric near a value.
    #[serde(rename = "TargetTrackingScaling")]
    TargetTracking,
    /// Answers an alarm by its size.
    #[serde(rename = "StepScaling")]
    Step,
}

/// The configuration of a policy.
#[derive(Debug, Clone, Copy)]
pub enum Rule<'a> {
    /// Keeps a metric near a value.
    TargetTracking(&'a TargetTracking),
    /// Answers an alarm by its size.
    Step(&'a StepScaling),
}

impl ScalingPolicy {
    /// The one configuration that its type names.
    ///
    /// # Errors
    /// It is missing, there is another one, or something in it would be refused.
    pub fn rule(&self) -> Result<Rule<'_>, Invalid> {
        let is_named = !self.policy_name.trim().is_empty()
            && self.policy_name.len() <= 256
            && self
                .policy_name
                .chars()
                .all(|c| c == ' ' || c.is_ascii_graphic());
        if !is_named {
            return Err(Invalid::new(
                "PolicyName",
                format!(
                    "{:?} is no name; expected 1 to 256 printable characters of ASCII",
                    self.policy_name
                ),
            ));
        }
        let (tracking, step) = (&self.target_tracking, &self.step_scaling);
        let rule = match (self.policy_type, tracking, step) {
            (PolicyType::TargetTracking, Some(tracking), None) => {
                tracking
                    .check()
                    .map_err(|e| e.within("TargetTrackingScalingPolicyConfiguration"))?;
                Rule::TargetTracking(tracking)
            }
            (PolicyType::Step, None, Some(step)) => {
                step.check()
                    .map_err(|e| e.within("StepScalingPolicyConfiguration"))?;
                Rule::Step(step)
            }
            (PolicyType::TargetTracking, ..) => {
                return Err(Invalid::new(
                    "PolicyType",
                    "TargetTrackingScaling needs TargetTrackingScalingPolicyConfiguration, and no other configuration",
                ))
            }
            (PolicyType::Step, ..) => {
                return Err(Invalid::new(
                    "PolicyType",
                    "StepScaling needs StepScalingPolicyConfiguration, and no other configuration",
                ))
            }
        };
        Ok(rule)
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
