//! Whether the metrics that policies and alarms name have data: what is asked, and what the answers mean.

use scaling::catalogue::{Kind, Metric as Ours};
use scaling::known::{is_aws, REQUESTS};
use scaling::policy::{
    CustomizedMetric, Dimension, MetricAlarm, MetricQuery, ScalingPolicy, PREDEFINED,
};
use serde::Serialize;

use crate::{moment, Names, Standing};

/// Minutes that are looked back.
pub const LOOK_BACK_MINUTES: i64 = 15;
/// Samples a minute of an instance's reading or level: one a second.
const SAMPLES_PER_MINUTE: f64 = 60.0;

/// A metric as a policy or an alarm names it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metric {
    /// `Namespace`.
    pub namespace: String,
    /// `MetricName`.
    pub metric_name: String,
    /// All of them.
    pub dimensions: Vec<Dimension>,
    /// `Average`, `p99`, …
    pub stat: String,
    /// None where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Seconds.
    pub period: i64,
}

/// A metric, who names it, and what is known of its data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Which.
    #[serde(flatten)]
    pub metric: Metric,
    /// Policies and alarms.
    pub named_by: Vec<String>,
    /// Whether it has any.
    pub data: Data,
    /// Whether instances write alike; none where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
}

/// Data of the last quarter of an hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// There is some.
    Points {
        /// Datapoints.
        count: usize,
        /// The statistic of the newest one.
        newest: f64,
        /// When the newest one's period began.
        at: String,
        /// Seconds since then.
        age_secs: i64,
    },
    /// There is none.
    None(Silence),
    /// It cannot be read.
    Unread(String),
}

/// What there is where there is no data.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// Nothing of this name in this namespace in two weeks.
    NoMetric,
    /// The very metric, but nothing in the last minutes.
    NothingOfLate,
    /// Data of other units.
    OtherUnits(Vec<String>),
    /// The name with other dimensions.
    OtherDimensions(Vec<Vec<Dimension>>),
}

/// Samples of a metric and instances in the same minute.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Samples {
    /// Both are known.
    Counted {
        /// The minute.
        at: String,
        /// Samples of the metric in it.
        samples: f64,
        /// Instances in it.
        instances: f64,
    },
    /// There is no minute in which both are known.
    NoCommonMinute,
    /// It cannot be read.
    Unread(String),
}

impl Samples {
    /// Samples of one instance in a minute; none where nobody knows.
    #[must_use]
    pub fn each(&self) -> Option<f64> {
        match self {
            Self::Counted {
                samples, instances, ..
            } => Some(samples / instances),
            _ => None,
        }
    }

    /// Whether every instance seems to write one sample a second.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.each()
            .is_some_and(|each| (each - SAMPLES_PER_MINUTE).abs() <= 1.0)
    }
}

impl Checked {
    /// Whether there is some.
    #[must_use]
    pub fn has_data(&self) -> bool {
        matches!(self.data, Data::Points { .. })
    }
}

impl Metric {
    /// Whether two are the same, by whichever statistic and period.
    pub(crate) fn has_samples_of(&self, other: &Self) -> bool {
        let own = (&self.namespace, &self.metric_name, &self.unit);
        let others = (&other.namespace, &other.metric_name, &other.unit);
        own == others && same(&self.dimensions, &other.dimensions)
    }

    /// Whether every instance writes one sample a second of it.
    pub(crate) fn is_sampled_by_the_second(&self) -> bool {
        if is_aws(&self.namespace) {
            return false;
        }
        let ours = Ours::ALL.iter().find(|one| one.name() == self.metric_name);
        ours.is_some_and(|one| matches!(one.kind(), Kind::Level | Kind::Reading | Kind::Gauge))
    }
}

/// The metrics that the policies and alarms of a target name, each once, with those who name it.
pub(crate) fn named(names: &Names, standing: &Standing) -> Vec<Checked> {
    let mut all: Vec<Checked> = Vec::new();
    let mut add = |metric: Metric, by: String| {
        match all.iter_mut().find(|one| one.metric == metric) {
            Some(one) => one.named_by.push(by),
            None => all.push(Checked {
                metric,
                named_by: vec![by],
                data: Data::None(Silence::NoMetric),
                samples: None,
            }),
        };
    };
    for one in &standing.policies {
        for metric in of_policy(&one.policy, names) {
            add(metric, format!("policy {}", one.policy.policy_name));
        }
    }
    for one in &standing.alarms {
        for metric in of_alarm(&one.alarm) {
            add(metric, format!("alarm {}", one.alarm.alarm_name));
        }
    }
    all
}

fn of_policy(policy: &ScalingPolicy, names: &Names) -> Vec<Metric> {
    let Some(tracking) = &policy.target_tracking else {
        return Vec::new();
    };
    let mut all = Vec::new();
    if let Some(predefined) = &tracking.predefined {
        let mut known = PREDEFINED.iter();
        let found = known.find(|known| known.name == predefined.predefined_metric_type);
        all.extend(found.map(|known| Metric {
            namespace: REQUESTS.to_owned(),
            metric_name: known.metric.to_owned(),
            dimensions: names.dimensions(),
            stat: known.stat.to_owned(),
            unit: None,
            period: known.period_secs as i64,
        }));
    }
    if let Some(customized) = &tracking.customized {
        all.extend(of_customized(customized));
    }
    all
}

/// Seconds of a customized metric's datapoints.
const MINUTE: i64 = 60;

fn of_customized(metric: &CustomizedMetric) -> Vec<Metric> {
    let short = metric.metric_name.as_ref().map(|name| Metric {
        namespace: metric.namespace.clone().unwrap_or_default(),
        metric_name: name.clone(),
        dimensions: metric.dimensions.clone(),
        stat: metric.statistic.clone().unwrap_or_default(),
        unit: metric.unit.clone(),
        period: MINUTE,
    });
    short
        .into_iter()
        .chain(of_queries(&metric.metrics))
        .collect()
}

fn of_alarm(alarm: &MetricAlarm) -> Vec<Metric> {
    let stat = alarm
        .statistic
        .as_ref()
        .or(alarm.extended_statistic.as_ref());
    let short = alarm.metric_name.as_ref().map(|name| Metric {
        namespace: alarm.namespace.clone().unwrap_or_default(),
        metric_name: name.clone(),
        dimensions: alarm.dimensions.clone(),
        stat: stat.cloned().unwrap_or_default(),
        unit: alarm.unit.clone(),
        period: period(alarm.period),
    });
    short
        .into_iter()
        .chain(of_queries(&alarm.metrics))
        .collect()
}

fn of_queries(queries: &[MetricQuery]) -> impl Iterator<Item = Metric> + '_ {
    let stats = queries
        .iter()
        .filter_map(|query| query.metric_stat.as_ref());
    stats.map(|stat| Metric {
        namespace: stat.metric.namespace.clone().unwrap_or_default(),
        metric_name: stat.metric.name.clone(),
        dimensions: stat.metric.dimensions.clone(),
        stat: stat.stat.clone(),
        unit: stat.unit.clone(),
        period: period(stat.period),
    })
}

fn period(seconds: Option<u64>) -> i64 {
    seconds
        .and_then(|seconds| i64::try_from(seconds).ok())
        .unwrap_or(MINUTE)
}

/// Whether two sets of dimensions are the same, in whichever order.
pub(crate) fn same(one: &[Dimension], other: &[Dimension]) -> bool {
    one.len() == other.len() && one.iter().all(|dimension| other.contains(dimension))
}

/// Sets of dimensions, each once, those that are most alike to `wanted` first, and no more than a few.
pub(crate) fn nearest(found: Vec<Vec<Dimension>>, wanted: &[Dimension]) -> Vec<Vec<Dimension>> {
    const FEW: usize = 3;
    let mut sets: Vec<Vec<Dimension>> = Vec::new();
    for set in found {
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    sets.sort_by_key(|set| {
        let names = wanted
            .iter()
            .filter(|one| set.iter().any(|other| other.name == one.name));
        let names = names.count();
        let values = wanted.iter().filter(|one| set.contains(one)).count();
        let has_other_names = names < wanted.len() || set.len() > wanted.len();
        (has_other_names, std::cmp::Reverse((values, names)))
    });
    sets.truncate(FEW);
    sets
}

/// Samples and instances of the newest minute in which both are known. Each point is the second in which
/// its minute begins, and its samples.
pub(crate) fn compared(samples: &[(i64, f64)], instances: &[(i64, f64)]) -> Samples {
    let mut newest: Option<(i64, f64, f64)> = None;
    for (at, count) in samples {
        let same_minute = instances
            .iter()
            .find(|(other, count)| other == at && *count > 0.0);
        let Some((_, instances)) = same_minute else {
            continue;
        };
        if newest.is_none_or(|(before, ..)| before < *at) {
            newest = Some((*at, *count, *instances));
        }
    }
    match newest {
        None => Samples::NoCommonMinute,
        Some((at, samples, instances)) => Samples::Counted {
            at: moment::text(at),
            samples,
            instances,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimensions(pairs: &[(&str, &str)]) -> Vec<Dimension> {
        let each = pairs.iter().map(|(name, value)| Dimension {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        });
        each.collect()
    }

    #[test]
    fn samples_are_compared_in_the_newest_minute_that_both_have() {
        let samples = [(0, 100.0), (60, 240.0), (120, 300.0)];
        let instances = [(60, 4.0), (0, 2.0)];
        let even = compared(&samples, &instances);
        assert_eq!(even.each(), Some(60.0));
        assert!(even.is_even());
        let uneven = compared(&samples[..1], &instances);
        assert_eq!(uneven.each(), Some(50.0));
        assert!(!uneven.is_even());
        assert_eq!(compared(&samples[2..], &instances), Samples::NoCommonMinute);
        assert_eq!(compared(&samples, &[(60, 0.0)]), Samples::NoCommonMinute);
    }

    #[test]
    fn the_nearest_dimensions_come_first() {
        let wanted = dimensions(&[("EndpointName", "e"), ("VariantName", "v")]);
        let other = dimensions(&[("EndpointName", "other"), ("VariantName", "v")]);
        let alone = dimensions(&[("EndpointName", "e")]);
        let far = dimensions(&[("InstanceId", "i")]);
        let found = vec![far.clone(), alone.clone(), other.clone(), far.clone()];
        assert_eq!(nearest(found, &wanted), [other, alone, far]);
    }

    #[test]
    fn order_of_dimensions_does_not_matter_but_their_number_does() {
        let one = dimensions(&[("a", "1"), ("b", "2")]);
        let turned = dimensions(&[("b", "2"), ("a", "1")]);
        assert!(same(&one, &turned));
        assert!(!same(&one, &turned[..1]));
        assert!(!same(&turned[..1], &one));
    }
}
