//! Data of metrics.

use aws_sdk_cloudwatch::types::{Datapoint, StandardUnit, Statistic};
use aws_smithy_types::DateTime;
use scaling::known::INSTANCES;
use scaling::policy::Dimension;

use super::alarm::{dimension, our_dimensions};
use super::error::error;
use super::Clients;
use crate::check::{compared, nearest, same, LOOK_BACK_MINUTES};
use crate::{moment, Data, Error, Metric, Names, Samples, Silence};

const STATISTICS: &str = "cloudwatch:GetMetricStatistics";
const LIST: &str = "cloudwatch:ListMetrics";
/// Seconds.
const MINUTE: i64 = 60;
/// The one of which every instance writes one sample a minute.
const PER_INSTANCE: &str = "CPUUtilization";
const SAMPLE_COUNT: &str = "SampleCount";
/// Pages of five hundred metrics that are looked at for one name.
const MOST_PAGES: usize = 10;

impl Clients {
    /// Whether a metric has data. `now` is in seconds since 1970.
    pub(crate) async fn data(&self, metric: &Metric, now: i64) -> Data {
        let data = self.newest(metric, now).await;
        data.unwrap_or_else(|error| Data::Unread(error.to_string()))
    }

    async fn newest(&self, metric: &Metric, now: i64) -> Result<Data, Error> {
        let points = self.points(metric, now).await?;
        let newest = points.iter().max_by_key(|point| at(point));
        if let Some(point) = newest {
            return Ok(Data::Points {
                count: points.len(),
                newest: value(point, &metric.stat).unwrap_or(f64::NAN),
                at: moment::text(at(point)),
                age_secs: now - at(point),
            });
        }
        self.silence(metric, now).await.map(Data::None)
    }

    /// Why there is nothing.
    async fn silence(&self, metric: &Metric, now: i64) -> Result<Silence, Error> {
        if metric.unit.is_some() {
            let any_unit = Metric {
                unit: None,
                ..metric.clone()
            };
            let points = self.points(&any_unit, now).await?;
            let units = points.iter().filter_map(Datapoint::unit);
            let mut units: Vec<String> = units.map(|unit| unit.as_str().to_owned()).collect();
            units.sort_unstable();
            units.dedup();
            if !units.is_empty() {
                return Ok(Silence::OtherUnits(units));
            }
        }
        let found = self.published(metric).await?;
        Ok(if found.iter().any(|set| same(set, &metric.dimensions)) {
            Silence::NothingOfLate
        } else if found.is_empty() {
            Silence::NoMetric
        } else {
            Silence::OtherDimensions(nearest(found, &metric.dimensions))
        })
    }

    /// The sets of dimensions with which a metric of this name is published.
    async fn published(&self, metric: &Metric) -> Result<Vec<Vec<Dimension>>, Error> {
        let call = self.cloudwatch.list_metrics();
        let call = call
            .namespace(&metric.namespace)
            .metric_name(&metric.metric_name);
        let mut pages = call.into_paginator().send();
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(page) = pages.next().await else {
                break;
            };
            let page = page.map_err(|sdk| error(LIST, &sdk))?;
            found.extend(
                page.metrics()
                    .iter()
                    .map(|one| our_dimensions(one.dimensions())),
            );
        }
        Ok(found)
    }

    /// Samples against instances; none where instances need not write alike, or nothing counts them.
    pub(crate) async fn samples(
        &self,
        metric: &Metric,
        names: &Names,
        now: i64,
    ) -> Option<Samples> {
        if !metric.is_sampled_by_the_second() {
            return None;
        }
        let value = |name: &str| {
            metric
                .dimensions
                .iter()
                .find(|one| one.name == name)
                .cloned()
        };
        let variant = [value("EndpointName")?, value("VariantName")?];
        if !same(&variant, &names.dimensions()) {
            return None;
        }
        let counted = Metric {
            stat: SAMPLE_COUNT.to_owned(),
            period: MINUTE,
            ..metric.clone()
        };
        let instances = Metric {
            namespace: INSTANCES.to_owned(),
            metric_name: PER_INSTANCE.to_owned(),
            dimensions: variant.to_vec(),
            stat: SAMPLE_COUNT.to_owned(),
            unit: None,
            period: MINUTE,
        };
        let both = async {
            let samples = self.points(&counted, now).await?;
            let instances = self.points(&instances, now).await?;
            Ok::<_, Error>(compared(&counts(&samples), &counts(&instances)))
        };
        Some(
            both.await
                .unwrap_or_else(|error| Samples::Unread(error.to_string())),
        )
    }

    /// Datapoints of the whole periods of the last minutes.
    async fn points(&self, metric: &Metric, now: i64) -> Result<Vec<Datapoint>, Error> {
        let period = metric.period.max(1);
        let end = now - now.rem_euclid(period);
        let start = end - (LOOK_BACK_MINUTES * MINUTE).max(period);
        let unit = metric.unit.as_deref().map(StandardUnit::from);
        let call = self.cloudwatch.get_metric_statistics();
        let call = call
            .namespace(&metric.namespace)
            .metric_name(&metric.metric_name)
            .set_dimensions(Some(metric.dimensions.iter().map(dimension).collect()))
            .start_time(DateTime::from_secs(start))
            .end_time(DateTime::from_secs(end))
            .period(i32::try_from(period).unwrap_or(i32::MAX))
            .set_unit(unit);
        let call = match is_plain(&metric.stat) {
            true => call.statistics(Statistic::from(metric.stat.as_str())),
            false => call.extended_statistics(&metric.stat),
        };
        let answer = call.send().await.map_err(|sdk| error(STATISTICS, &sdk))?;
        Ok(answer.datapoints().to_vec())
    }
}

/// Whether a statistic is one of the five; the others are asked for in another member.
fn is_plain(stat: &str) -> bool {
    Statistic::values().contains(&stat)
}

fn at(point: &Datapoint) -> i64 {
    point.timestamp().map_or(0, DateTime::secs)
}

fn value(point: &Datapoint, stat: &str) -> Option<f64> {
    match stat {
        "Average" => point.average(),
        "Minimum" => point.minimum(),
        "Maximum" => point.maximum(),
        "Sum" => point.sum(),
        SAMPLE_COUNT => point.sample_count(),
        extended => point.extended_statistics()?.get(extended).copied(),
    }
}

/// Minutes and their samples.
fn counts(points: &[Datapoint]) -> Vec<(i64, f64)> {
    let each = points.iter();
    each.filter_map(|point| Some((at(point), point.sample_count()?)))
        .collect()
}
