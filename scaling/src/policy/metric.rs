//! Metrics as policies and alarms name them.

use serde::{Deserialize, Serialize};

use super::Invalid;
use crate::expression::Expression;

/// One pair of a metric's dimensions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Dimension {
    /// `EndpointName`, for example.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A metric and how its samples are put together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MetricStat {
    /// `Namespace`; none where it was not said.
    pub namespace: Option<String>,
    /// `MetricName`.
    pub name: String,
    /// `Statistic` or `ExtendedStatistic`.
    pub stat: String,
}

/// A predefined metric of SageMaker's: the name in the policy, the metric in CloudWatch, its statistic
/// and its period in seconds.
pub struct Predefined {
    /// `PredefinedMetricType`.
    pub name: &'static str,
    /// `MetricName` in `AWS/SageMaker`.
    pub metric: &'static str,
    /// Statistic of the alarms.
    pub stat: &'static str,
    /// Period of the alarms, seconds.
    pub period_secs: u64,
}

/// The namespace of SageMaker's metrics about requests.
pub(super) const SAGEMAKER: &str = "AWS/SageMaker";

/// All of them.
pub const PREDEFINED: [Predefined; 5] = [
    Predefined {
        name: "SageMakerVariantInvocationsPerInstance",
        metric: "InvocationsPerInstance",
        stat: "Sum",
        period_secs: 60,
    },
    Predefined {
        name: "SageMakerInferenceComponentInvocationsPerCopy",
        metric: "InvocationsPerCopy",
        stat: "Sum",
        period_secs: 60,
    },
    Predefined {
        name: "SageMakerVariantProvisionedConcurrencyUtilization",
        metric: "ServerlessProvisionedConcurrencyUtilization",
        stat: "Maximum",
        period_secs: 60,
    },
    Predefined {
        name: "SageMakerVariantConcurrentRequestsPerModelHighResolution",
        metric: "ConcurrentRequestsPerModel",
        stat: "Maximum",
        period_secs: 10,
    },
    Predefined {
        name: "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
        metric: "ConcurrentRequestsPerCopy",
        stat: "Maximum",
        period_secs: 10,
    },
];

/// An element of `Metrics`, the long form of a customized metric: a metric or an expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricQuery {
    /// What expressions call it: a lower-case letter, then letters, digits and `_`.
    pub id: String,
    /// Computes on other elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// Takes a metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<MetricToQuery>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Seconds, of an expression in an alarm; a policy has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Whether it is what the policy tracks; true of one element only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_data: Option<bool>,
}

/// A metric in a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricToQuery {
    /// Which metric.
    pub metric: MetricName,
    /// Seconds, in an alarm; a policy has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Any statistic of CloudWatch, percentiles included.
    pub stat: String,
    /// Exactly that in which it is published, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// The full name of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MetricName {
    /// `MetricName`.
    #[serde(rename = "MetricName")]
    pub name: String,
    /// Its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Exactly those with which it is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<Dimension>,
}

/// The formula that these queries stand for: that of the element which returns data, with the others
/// put into it.
///
/// # Errors
/// No element or several return data, an id is malformed, unknown, used twice or by itself, an element
/// has neither or both of its forms, or an expression cannot be read.
pub(super) fn formula(queries: &[MetricQuery]) -> Result<Expression, Invalid> {
    for (at, query) in queries.iter().enumerate() {
        let is_id = query.id.starts_with(|c: char| c.is_ascii_lowercase())
            && query
                .id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_id {
            return Err(Invalid::new(
                format!("Metrics[{at}].Id"),
                format!(
                    "{:?} is no id; expected a lower-case letter, then letters, digits and _",
                    query.id
                ),
            ));
        }
        if queries[..at].iter().any(|other| other.id == query.id) {
            return Err(Invalid::new(
                format!("Metrics[{at}].Id"),
                format!("{:?} is used twice", query.id),
            ));
        }
    }
    // What is not said returns data, as in CloudWatch.
    let mut returned = queries.iter().filter(|q| q.return_data.unwrap_or(true));
    match (returned.next(), returned.next()) {
        (Some(query), None) => resolve(queries, query, &mut Vec::new()),
        (None, _) => Err(Invalid::new(
            "Metrics",
            "no element has ReturnData true; expected one",
        )),
        (Some(one), Some(other)) => Err(Invalid::new(
            "Metrics",
            format!(
                "{:?} and {:?} both have ReturnData true; expected one",
                one.id, other.id
            ),
        )),
    }
}

fn resolve(
    queries: &[MetricQuery],
    query: &MetricQuery,
    inside: &mut Vec<String>,
) -> Result<Expression, Invalid> {
    let field = format!("Metrics[{}]", query.id);
    match (&query.expression, &query.metric_stat) {
        (None, Some(metric)) => Ok(Expression::Metric(MetricStat {
            namespace: metric.metric.namespace.clone(),
            name: metric.metric.name.clone(),
            stat: metric.stat.clone(),
        })),
        (Some(text), None) => {
            if inside.contains(&query.id) {
                return Err(Invalid::new(field, "is computed from itself"));
            }
            inside.push(query.id.clone());
            let expression = Expression::parse(text, &mut |id| {
                let other = queries.iter().find(|other| other.id == id);
                let other = other
                    .ok_or_else(|| Invalid::new(&field, format!("no element has the id {id:?}")))?;
                resolve(queries, other, inside)
            });
            inside.pop();
            expression.map_err(|error| match error.field.is_empty() {
                true => Invalid::new(format!("{field}.Expression"), error.reason),
                false => error,
            })
        }
        _ => Err(Invalid::new(
            field,
            "expected an Expression or a MetricStat, and not both",
        )),
    }
}
