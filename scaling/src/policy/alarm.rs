//! Alarms that step policies answer.

use serde::{Deserialize, Serialize};

use super::{Dimension, Invalid, MetricStat, Side};

/// An alarm as `PutMetricAlarm` takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricAlarm {
    /// Its name.
    pub alarm_name: String,
    /// The metric's.
    pub metric_name: String,
    /// The metric's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Exactly those with which it is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<Dimension>,
    /// One of the five, or none where there is an extended one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// `p99`, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_statistic: Option<String>,
    /// Seconds: 10, 30, or a multiple of 60.
    pub period: u64,
    /// Datapoints that are looked at.
    pub evaluation_periods: usize,
    /// Of them, how many must breach; all where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datapoints_to_alarm: Option<usize>,
    /// What they are compared with.
    pub threshold: f64,
    /// How.
    pub comparison_operator: Comparison,
    /// What a missing datapoint is.
    #[serde(default, skip_serializing_if = "Missing::is_default")]
    pub treat_missing_data: Missing,
    /// Policies by name, or by ARN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarm_actions: Vec<String>,
}

/// When a datapoint breaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// At the threshold or above.
    #[serde(rename = "GreaterThanOrEqualToThreshold")]
    AtLeast,
    /// Above it.
    #[serde(rename = "GreaterThanThreshold")]
    Above,
    /// Below it.
    #[serde(rename = "LessThanThreshold")]
    Below,
    /// At the threshold or below.
    #[serde(rename = "LessThanOrEqualToThreshold")]
    AtMost,
}

impl Comparison {
    /// Whether a value breaches.
    #[must_use]
    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::AtLeast => value >= threshold,
            Self::Above => value > threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }

    /// On which side of the threshold that is.
    #[must_use]
    pub fn side(self) -> Side {
        match self {
            Self::AtLeast | Self::Above => Side::Above,
            Self::Below | Self::AtMost => Side::Below,
        }
    }
}

/// `TreatMissingData`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Missing {
    /// It is missing.
    #[default]
    Missing,
    /// The alarm stays as it is.
    Ignore,
    /// It breaches.
    Breaching,
    /// It does not.
    NotBreaching,
}

impl Missing {
    fn is_default(&self) -> bool {
        *self == Self::Missing
    }
}

impl MetricAlarm {
    /// The metric and its statistic.
    #[must_use]
    pub fn metric(&self) -> MetricStat {
        let stat = self.statistic.as_ref().or(self.extended_statistic.as_ref());
        MetricStat {
            namespace: self.namespace.clone(),
            name: self.metric_name.clone(),
            stat: stat.cloned().unwrap_or_default(),
        }
    }

    /// How many datapoints must breach.
    #[must_use]
    pub fn to_alarm(&self) -> usize {
        self.datapoints_to_alarm.unwrap_or(self.evaluation_periods)
    }

    /// Whether it calls the policy of this name.
    #[must_use]
    pub fn calls(&self, policy: &str) -> bool {
        self.alarm_actions.iter().any(|action| {
            action == policy
                || action
                    .rsplit_once("policyName/")
                    .is_some_and(|(_, name)| name == policy)
        })
    }

    /// # Errors
    /// A field that `PutMetricAlarm` would refuse.
    pub fn check(&self) -> Result<(), Invalid> {
        let period = self.period;
        if !(matches!(period, 10 | 30)
            || period > 0 && period.is_multiple_of(60) && period <= 86_400)
        {
            return Err(Invalid::new(
                "Period",
                format!("{period} s; expected 10, 30 or a multiple of 60, up to a day"),
            ));
        }
        let (looked_at, to_alarm) = (self.evaluation_periods, self.to_alarm());
        let longest = if period < 60 { 86_400 } else { 7 * 86_400 };
        if looked_at == 0 || looked_at as u64 > longest / period {
            return Err(Invalid::new(
                "EvaluationPeriods",
                format!(
                    "{looked_at} of {period} s; expected 1 to {}",
                    longest / period
                ),
            ));
        }
        if !(1..=looked_at).contains(&to_alarm) {
            return Err(Invalid::new(
                "DatapointsToAlarm",
                format!("{to_alarm}; expected 1 to EvaluationPeriods, which is {looked_at}"),
            ));
        }
        if !self.threshold.is_finite() {
            return Err(Invalid::new(
                "Threshold",
                format!("{}; expected a number", self.threshold),
            ));
        }
        if self.statistic.is_some() == self.extended_statistic.is_some() {
            return Err(Invalid::new(
                "Statistic",
                "expected it or ExtendedStatistic, and not both",
            ));
        }
        Ok(())
    }
}
