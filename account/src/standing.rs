//! What stands in the account.

use std::collections::BTreeMap;

use scaling::policy::{MetricAlarm, ScalableTarget, ScalingPolicy, ScheduledAction};
use serde::Serialize;

use crate::check::Checked;

/// What stands for one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// None where it is not registered.
    pub target: Option<ScalableTarget>,
    /// Its policies.
    pub policies: Vec<StandingPolicy>,
    /// Alarms that call one of them, or that were asked for by name.
    pub alarms: Vec<Watched>,
    /// Alarms that target tracking made for itself: nobody else may change them.
    pub managed: Vec<Watched>,
    /// Its scheduled actions.
    pub scheduled_actions: Vec<ScheduledAction>,
    /// What a document cannot say, so that it can be neither compared nor written.
    pub unread: Vec<Unread>,
}

/// A policy, and what alarms call it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StandingPolicy {
    /// As `PutScalingPolicy` takes it.
    #[serde(flatten)]
    pub policy: ScalingPolicy,
    /// `PolicyARN`.
    #[serde(rename = "PolicyARN")]
    pub arn: String,
}

/// An alarm and its state.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Watched {
    /// As `PutMetricAlarm` takes it.
    #[serde(flatten)]
    pub alarm: MetricAlarm,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state_value: String,
    /// CloudWatch's reason for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_updated_timestamp: Option<String>,
}

/// Something that stands and that a document cannot say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// `policy` or `alarm`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What it has.
    pub why: String,
}

impl Standing {
    /// The policies' ARNs by their names.
    #[must_use]
    pub fn arns(&self) -> BTreeMap<String, String> {
        let each = self.policies.iter();
        each.map(|one| (one.policy.policy_name.clone(), one.arn.clone()))
            .collect()
    }

    /// The name of the policy that an alarm's action calls.
    #[must_use]
    pub fn called_by(&self, action: &str) -> Option<&str> {
        let is_called = |one: &&StandingPolicy| {
            let rest = action.strip_prefix(&one.arn);
            // Target tracking calls with a mark of its own at the end.
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(":createdBy/"))
        };
        let policy = self.policies.iter().find(is_called)?;
        Some(&policy.policy.policy_name)
    }
}

/// What a target did, or did not.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Activity {
    /// When it began.
    pub start_time: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// `Successful`, `Failed`, `Unfulfilled`, …
    pub status_code: String,
    /// What was done.
    pub description: String,
    /// Why.
    pub cause: String,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_scaled_reasons: Vec<NotScaled>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NotScaled {
    /// `AlreadyAtMaxCapacity`, for example.
    pub code: String,
    /// The largest capacity then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_capacity: Option<i32>,
    /// The least capacity then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_capacity: Option<i32>,
    /// The capacity then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_capacity: Option<i32>,
}

/// All that `show` shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// What stands.
    pub standing: Standing,
    /// What happened of late, the newest first.
    pub activities: Vec<Activity>,
    /// Whether the metrics that policies and alarms name have data.
    pub metrics: Vec<Checked>,
    /// Parts that could not be read, each with the reason.
    pub unread: Vec<String>,
}
