//! Alarms that step policies answer.

use serde::{Deserialize, Serialize};

use super::metric::formula;
use super::{Dimension, Invalid, MetricQuery, MetricStat, Side};
use crate::expression::Expression;

/// An alarm as `PutMetricAlarm` takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricAlarm {
    /// Its name.
    pub alarm_name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_description: Option<String>,
    /// Whether it calls anybody; it does where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions_enabled: Option<bool>,
    /// The metric's; none where there are `Metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
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
    /// Exactly that in which it is published, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Seconds: 10, 20, 30, or a multiple of 60; none where there are `Metrics`, which have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Metric math.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricQuery>,
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
    /// Who is called when all is well again: nobody who scales.
    #[serde(default, rename = "OKActions", skip_serializing_if = "Vec::is_empty")]
    pub ok_actions: Vec<String>,
    /// Who is called when nothing is known: nobody who scales.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub insufficient_data_actions: Vec<String>,
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
    /// What is watched, and its period in seconds.
    ///
    /// # Errors
    /// Neither or both of a metric and `Metrics`, or one that cannot be read.
    pub fn metric(&self) -> Result<(Expression, u64), Invalid> {
        let Some(name) = &self.metric_name else {
            let expression = match self.metrics.is_empty() {
                true => Err(Invalid::new("MetricName", "expected it or Metrics")),
                false => formula(&self.metrics),
            };
            let mut periods = self.metrics.iter().filter_map(|query| {
                let of_metric = query.metric_stat.as_ref().and_then(|stat| stat.period);
                of_metric.or(query.period)
            });
            if self.period.is_some() {
                return Err(Invalid::new(
                    "Period",
                    "is beside Metrics, which have periods of their own; expected none",
                ));
            }
            // Alarms on expressions have one period for all.
            let period = periods.next().ok_or_else(|| {
                Invalid::new(
                    "Metrics",
                    "no MetricStat has a Period; expected one for each",
                )
            });
            return Ok((expression?, period?));
        };
        if !self.metrics.is_empty() {
            return Err(Invalid::new(
                "MetricName",
                "expected it or Metrics, and not both",
            ));
        }
        let stat = match (&self.statistic, &self.extended_statistic) {
            (Some(stat), None) | (None, Some(stat)) => stat.clone(),
            _ => {
                return Err(Invalid::new(
                    "Statistic",
                    "expected it or ExtendedStatistic, and not both",
                ))
            }
        };
        let period = self
            .period
            .ok_or_else(|| Invalid::new("Period", "is missing; expected seconds"))?;
        let metric = MetricStat {
            namespace: self.namespace.clone(),
            name: name.clone(),
            stat,
        };
        Ok((Expression::Metric(metric), period))
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
        let (_, period) = self.metric()?;
        if !(matches!(period, 10 | 20 | 30)
            || period > 0 && period.is_multiple_of(60) && period <= 86_400)
        {
            return Err(Invalid::new(
                "Period",
                format!("{period} s; expected 10, 20, 30 or a multiple of 60, up to a day"),
            ));
        }
        let (looked_at, to_alarm) = (self.evaluation_periods, self.to_alarm());
        // A day in all, or a week of periods of an hour and more.
        let longest = if period < 3600 { 86_400 } else { 7 * 86_400 };
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
        Ok(())
    }
}
