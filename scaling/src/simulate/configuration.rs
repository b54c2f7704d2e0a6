//! A scaling configuration: what a run is scaled by.

use serde::{Deserialize, Serialize};

use super::autoscaler::Autoscaler;
use super::options::Options;
use super::scenario::ScheduledAction;
use super::setup::Setup;
use crate::policy::{Invalid, MetricAlarm, ScalableTarget, ScalingPolicy};

/// A scaling configuration, with the documents that AWS takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// What reports call it.
    #[serde(default)]
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Bounds and what is suspended.
    pub target: ScalableTarget,
    /// In service at time 0; `MinCapacity` where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// Policies.
    #[serde(default)]
    pub policies: Vec<ScalingPolicy>,
    /// Alarms that step policies answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<MetricAlarm>,
    /// What happens at set times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled_actions: Vec<ScheduledAction>,
    /// Delays and switches; what is left out is as [`Options::usual`] has it.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub options: serde_json::Map<String, serde_json::Value>,
}

impl Configuration {
    /// Reads a document.
    ///
    /// # Errors
    /// One sentence that names the line, the field and what was expected.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        serde_json::from_str(text).map_err(|error| Invalid::new("policy", error.to_string()))
    }

    /// Its delays and switches.
    ///
    /// # Errors
    /// An unknown one, or one of another kind.
    pub fn options(&self) -> Result<Options, Invalid> {
        let mut options = Options::usual();
        for (name, value) in &self.options {
            options = options.with(name, value.clone())?;
        }
        Ok(options)
    }

    /// An autoscaler at time 0.
    ///
    /// # Errors
    /// As [`Autoscaler::new`].
    pub fn autoscaler(&self, options: Options) -> Result<Autoscaler, Invalid> {
        Autoscaler::new(Setup {
            target: self.target,
            capacity: self.capacity.unwrap_or(self.target.min_capacity),
            policies: self.policies.clone(),
            alarms: self.alarms.clone(),
            scheduled: self
                .scheduled_actions
                .iter()
                .map(ScheduledAction::once)
                .collect(),
            options,
        })
    }
}
