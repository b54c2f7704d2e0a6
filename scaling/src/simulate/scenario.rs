//! A scenario: configuration, metrics and what is expected of them, in one document.
//!
//! ```json
//! {
//!   "description": "A plain scale-out.",
//!   "target": {"MinCapacity": 1, "MaxCapacity": 10},
//!   "capacity": 2,
//!   "policies": [{
//!     "PolicyName": "load", "PolicyType": "TargetTrackingScaling",
//!     "TargetTrackingScalingPolicyConfiguration": {
//!       "TargetValue": 100,
//!       "CustomizedMetricSpecification": {
//!         "MetricName": "OfferedLoad", "Namespace": "Plimsoll", "Statistic": "Average"}}}],
//!   "metrics": {"OfferedLoad": {"values": [80, 90, 150, 150, 150, 100]}},
//!   "until": 480
//! }
//! ```
//!
//! Beside these there may be `alarms` (documents of `PutMetricAlarm` that name step policies in
//! `AlarmActions`), `scheduled_actions`, `options`, and `expected`, what the replay is compared with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::autoscaler::Autoscaler;
use super::event::{Event, What};
use super::given::{Given, GivenWorld};
use super::options::Options;
use super::setup::{begin, expand, Setup};
use crate::policy::{Invalid, MetricAlarm, ScalableTarget, ScalingPolicy, ScheduledAction};

/// A scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Switches; what is left out has its default.
    #[serde(default)]
    pub options: Options,
    /// Bounds and what is suspended.
    pub target: ScalableTarget,
    /// In service at time 0.
    pub capacity: u32,
    /// Policies.
    #[serde(default)]
    pub policies: Vec<ScalingPolicy>,
    /// Alarms that step policies answer.
    #[serde(default)]
    pub alarms: Vec<MetricAlarm>,
    /// What happens at set times.
    #[serde(default)]
    pub scheduled_actions: Vec<ScheduledAction>,
    /// At what time it begins, in ISO 8601: what schedules with a time of day need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<String>,
    /// The metrics, by `MetricName`, or by `MetricName.Statistic`. One that is not here is never
    /// published only if it is named with no values; otherwise its absence is an error.
    pub metrics: BTreeMap<String, Given>,
    /// Metrics that are never published.
    #[serde(default)]
    pub absent: Vec<String>,
    /// The last second.
    pub until: u64,
    /// What is expected of the replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// What is expected: every change of capacity and every refusal, and some of the alarms' changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// All events of kind `capacity`.
    pub capacity: Vec<Event>,
    /// All events of kind `not_scaled`; not compared where it is left out.
    pub not_scaled: Option<Vec<Event>>,
    /// Some events of kind `alarm`.
    pub alarms: Vec<Event>,
}

/// The longest replay: a year.
const LONGEST: u64 = 366 * 86_400;

impl Scenario {
    /// Reads a document.
    ///
    /// # Errors
    /// One sentence that names the line, the field and what was expected.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        serde_json::from_str(text).map_err(|error| Invalid::new("scenario", error.to_string()))
    }

    /// Replays it; gives every event in order.
    ///
    /// # Errors
    /// What AWS would refuse, what contradicts itself, and a metric that nothing is known of.
    pub fn replay(&self) -> Result<Vec<Event>, Invalid> {
        if !(1..=LONGEST).contains(&self.until) {
            return Err(Invalid::new(
                "until",
                format!("{} s; expected 1 to {LONGEST}", self.until),
            ));
        }
        for (name, given) in &self.metrics {
            given
                .check()
                .map_err(|error| error.within(&format!("metrics.{name}")))?;
        }
        let begins = match &self.begins {
            None => None,
            Some(text) => Some(begin(text).map_err(|error| error.within("begins"))?),
        };
        let mut autoscaler = Autoscaler::new(Setup {
            target: self.target.clone(),
            capacity: self.capacity,
            policies: self.policies.clone(),
            alarms: self.alarms.clone(),
            scheduled: expand(&self.scheduled_actions, begins, self.until)?,
            options: self.options,
        })?;
        let mut world = GivenWorld::new(self.metrics.clone());
        for metric in autoscaler.metrics() {
            if !world.has(metric) && !self.absent.contains(&metric.name) {
                let known: Vec<&String> = self.metrics.keys().collect();
                return Err(Invalid::new(
                    "metrics",
                    format!(
                        "{:?} is asked for and not there; expected it among {known:?}, or in `absent`",
                        metric.name
                    ),
                ));
            }
        }
        let mut events = Vec::new();
        autoscaler.run(&mut world, self.until, &mut |event| events.push(event));
        Ok(events)
    }

    /// What is not as expected, a sentence for each; nothing where all is, or nothing is expected.
    #[must_use]
    pub fn differences(&self, events: &[Event]) -> Vec<String> {
        let Some(expected) = &self.expected else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let of = |is_kind: fn(&What) -> bool| -> Vec<&Event> {
            events.iter().filter(|event| is_kind(&event.what)).collect()
        };
        let capacity = of(|what| matches!(what, What::Capacity { .. }));
        compare("capacity", &expected.capacity, &capacity, &mut found);
        if let Some(not_scaled) = &expected.not_scaled {
            let refused = of(|what| matches!(what, What::NotScaled { .. }));
            compare("not_scaled", not_scaled, &refused, &mut found);
        }
        for alarm in &expected.alarms {
            if !events.contains(alarm) {
                found.push(format!("expected and did not happen: {}", json(alarm)));
            }
        }
        found
    }
}

/// Two lists must be the same.
fn compare(kind: &str, expected: &[Event], found: &[&Event], differences: &mut Vec<String>) {
    for (at, event) in expected.iter().enumerate() {
        match found.get(at) {
            Some(other) if *other == event => {}
            Some(other) => {
                let (expected, found) = (json(event), json(other));
                return differences.push(format!(
                    "{kind} event {at}: expected {expected}, found {found}"
                ));
            }
            None => {
                return differences.push(format!("expected and did not happen: {}", json(event)))
            }
        }
    }
    if let Some(more) = found.get(expected.len()) {
        differences.push(format!("happened and was not expected: {}", json(more)));
    }
}

fn json(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}
