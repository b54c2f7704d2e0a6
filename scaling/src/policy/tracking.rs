//! Target tracking.

use serde::{Deserialize, Serialize};

use super::metric::{formula, Predefined, SAGEMAKER};
use super::{Dimension, Invalid, MetricQuery, MetricStat, DEFAULT_COOLDOWN_SECS, PREDEFINED};
use crate::expression::Expression;

/// `TargetTrackingScalingPolicyConfiguration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TargetTracking {
    /// What the metric is to be, in its unit.
    pub target_value: f64,
    /// One of SageMaker's own.
    #[serde(
        default,
        rename = "PredefinedMetricSpecification",
        skip_serializing_if = "Option::is_none"
    )]
    pub predefined: Option<PredefinedMetric>,
    /// Any other.
    #[serde(
        default,
        rename = "CustomizedMetricSpecification",
        skip_serializing_if = "Option::is_none"
    )]
    pub customized: Option<CustomizedMetric>,
    /// Seconds; 300 where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_out_cooldown: Option<u64>,
    /// Seconds; 300 where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_in_cooldown: Option<u64>,
    /// Whether it only adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_scale_in: Option<bool>,
}

/// `PredefinedMetricSpecification`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PredefinedMetric {
    /// A name of [`PREDEFINED`].
    pub predefined_metric_type: String,
    /// Of other services; SageMaker's have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_label: Option<String>,
}

/// `CustomizedMetricSpecification`: the short form, or `Metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CustomizedMetric {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
    /// Its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Exactly those with which it is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<Dimension>,
    /// `Average`, `Minimum`, `Maximum`, `SampleCount` or `Sum`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// Exactly that in which it is published, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Metric math.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricQuery>,
}

/// The largest number that the API takes: 2^360.
const LARGEST: f64 = 2.348542582773833e108;
/// Statistics of the short form.
const STATISTICS: [&str; 5] = ["Average", "Minimum", "Maximum", "SampleCount", "Sum"];

impl TargetTracking {
    /// What is tracked, and the period of its alarms in seconds. No metric of one's own has a shorter
    /// period than a minute.
    ///
    /// # Errors
    /// None or two metrics, an unknown predefined one, or one that is not complete.
    pub fn metric(&self) -> Result<(Expression, u64), Invalid> {
        match (&self.predefined, &self.customized) {
            (Some(predefined), None) => {
                let found = predefined.found()?;
                let metric = MetricStat {
                    namespace: Some(SAGEMAKER.to_owned()),
                    name: found.metric.to_owned(),
                    stat: found.stat.to_owned(),
                };
                Ok((Expression::Metric(metric), found.period_secs))
            }
            (None, Some(customized)) => customized
                .expression()
                .map(|expression| (expression, 60))
                .map_err(|error| error.within("CustomizedMetricSpecification")),
            _ => Err(Invalid::new(
                "PredefinedMetricSpecification",
                "expected it or CustomizedMetricSpecification, and not both",
            )),
        }
    }

    /// Seconds.
    #[must_use]
    pub fn out_cooldown_secs(&self) -> u64 {
        self.scale_out_cooldown.unwrap_or(DEFAULT_COOLDOWN_SECS)
    }

    /// Seconds.
    #[must_use]
    pub fn in_cooldown_secs(&self) -> u64 {
        self.scale_in_cooldown.unwrap_or(DEFAULT_COOLDOWN_SECS)
    }

    /// Whether it removes too.
    #[must_use]
    pub fn scales_in(&self) -> bool {
        self.disable_scale_in != Some(true)
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let target = self.target_value;
        if !(target > 0.0 && target <= LARGEST) {
            return Err(Invalid::new(
                "TargetValue",
                format!("{target} cannot be tracked; expected a number above zero, up to 2^360"),
            ));
        }
        self.metric().map(|_| ())
    }
}

impl PredefinedMetric {
    fn found(&self) -> Result<&'static Predefined, Invalid> {
        if let Some(label) = &self.resource_label {
            return Err(Invalid::new(
                "PredefinedMetricSpecification.ResourceLabel",
                format!("{label:?}; expected none: SageMaker's metrics have no label"),
            ));
        }
        let name = &self.predefined_metric_type;
        let found = PREDEFINED.iter().find(|known| known.name == *name);
        found.ok_or_else(|| {
            let names = PREDEFINED.map(|known| known.name).join(", ");
            Invalid::new(
                "PredefinedMetricSpecification.PredefinedMetricType",
                format!("{name:?} does not exist for SageMaker; expected one of {names}"),
            )
        })
    }
}

impl CustomizedMetric {
    fn expression(&self) -> Result<Expression, Invalid> {
        match (&self.metric_name, self.metrics.is_empty()) {
            (Some(name), true) => {
                let stat = self.statistic.as_deref().unwrap_or_default();
                if !STATISTICS.contains(&stat) {
                    return Err(Invalid::new(
                        "Statistic",
                        format!(
                            "{stat:?} is none; expected one of {}",
                            STATISTICS.join(", ")
                        ),
                    ));
                }
                Ok(Expression::Metric(MetricStat {
                    namespace: self.namespace.clone(),
                    name: name.clone(),
                    stat: stat.to_owned(),
                }))
            }
            (None, false) => {
                let has_period = |query: &MetricQuery| {
                    let stat = query.metric_stat.as_ref();
                    query.period.is_some() || stat.is_some_and(|stat| stat.period.is_some())
                };
                match self.metrics.iter().find(|query| has_period(query)) {
                    None => formula(&self.metrics),
                    Some(query) => Err(Invalid::new(
                        format!("Metrics[{}].Period", query.id),
                        "target tracking has none: it looks at whole minutes; expected no Period",
                    )),
                }
            }
            _ => Err(Invalid::new(
                "MetricName",
                "expected it with Namespace and Statistic, or Metrics, and not both",
            )),
        }
    }
}
