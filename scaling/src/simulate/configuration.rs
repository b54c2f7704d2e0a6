//! A scaling configuration: what a run is scaled by.

use serde::Serialize;
use serde_json::Value;

use super::autoscaler::Autoscaler;
use super::options::Options;
use super::setup::{expand, Setup};
use crate::document::Documents;
use crate::policy::{Invalid, MetricAlarm, ScalableTarget, ScalingPolicy, ScheduledAction};

/// A scaling configuration, with the documents that AWS takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Configuration {
    /// What reports call it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Bounds and what is suspended.
    pub target: ScalableTarget,
    /// In service at time 0; `MinCapacity` where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// Policies.
    pub policies: Vec<ScalingPolicy>,
    /// Alarms that step policies answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<MetricAlarm>,
    /// What happens at set times.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scheduled_actions: Vec<ScheduledAction>,
    /// Delays and switches; what is left out is as [`Options::usual`] has it.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub options: serde_json::Map<String, Value>,
}

impl Configuration {
    /// Nothing but bounds.
    #[must_use]
    pub fn between(target: ScalableTarget) -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            target,
            capacity: None,
            policies: Vec::new(),
            alarms: Vec::new(),
            scheduled_actions: Vec::new(),
            options: serde_json::Map::new(),
        }
    }

    /// Reads a document of any form that [`Documents`] knows.
    ///
    /// # Errors
    /// One sentence that names the place, the value and what was expected.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Documents::read(text)?.configuration()
    }

    /// Sets what is no call: name, description, capacity or options.
    ///
    /// # Errors
    /// Another name, or a value of another kind.
    pub(crate) fn set(&mut self, name: &str, value: Value) -> Result<(), Invalid> {
        let wrong = |value: &Value, expected: &str| {
            Err(Invalid::new(name, format!("{value}; expected {expected}")))
        };
        match (name, value) {
            ("name", Value::String(name)) => self.name = name,
            ("description", Value::String(text)) => self.description = text,
            ("options", Value::Object(options)) => self.options = options,
            ("capacity", value) => match value.as_u64().map(u32::try_from) {
                Some(Ok(capacity)) => self.capacity = Some(capacity),
                _ => return wrong(&value, "a number of instances"),
            },
            ("name" | "description", value) => return wrong(&value, "a text"),
            ("options", value) => return wrong(&value, "a map"),
            // What `policy show` saw beside the documents.
            ("seen", _) => {}
            _ => {
                return Err(Invalid::new(
                    name,
                    "is no field; expected name, description, target, capacity, policies, alarms, scheduled_actions or options",
                ))
            }
        }
        Ok(())
    }

    /// Gives policies and scheduled actions the names of the target.
    pub fn name_all(&mut self) {
        let target = &self.target;
        for policy in &mut self.policies {
            policy
                .service_namespace
                .clone_from(&target.service_namespace);
            policy.resource_id.clone_from(&target.resource_id);
            policy
                .scalable_dimension
                .clone_from(&target.scalable_dimension);
        }
        for action in &mut self.scheduled_actions {
            action
                .service_namespace
                .clone_from(&target.service_namespace);
            action.resource_id.clone_from(&target.resource_id);
            action
                .scalable_dimension
                .clone_from(&target.scalable_dimension);
        }
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

    /// An autoscaler at time 0, which is at `begins` (seconds since 1970) where anybody knows, for so many
    /// seconds.
    ///
    /// # Errors
    /// As [`Autoscaler::new`], and schedules with a time of day where nobody knows it.
    pub fn autoscaler(
        &self,
        options: Options,
        begins: Option<i64>,
        seconds: u64,
    ) -> Result<Autoscaler, Invalid> {
        Autoscaler::new(Setup {
            target: self.target.clone(),
            capacity: self.capacity.unwrap_or(self.target.min_capacity),
            policies: self.policies.clone(),
            alarms: self.alarms.clone(),
            scheduled: expand(&self.scheduled_actions, begins, seconds)?,
            options,
        })
    }
}
