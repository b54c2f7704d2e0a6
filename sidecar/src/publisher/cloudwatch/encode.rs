//! A period as PutMetricData's datums. Pure: no network, no clock.
//!
//! Holds CloudWatch's limits: at most 1000 datums and 1 MB a call, 150 distinct values a datum,
//! finite numbers only (one NaN has the whole call refused).

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};
use aws_smithy_types::DateTime;
use scaling::catalogue::Unit;
use scaling::histogram::VALUES_PER_DATUM;
use scaling::window::{Period, Series};

use crate::publisher::sendable;

/// Datums that one call may hold.
const CALL_DATUMS: usize = 1000;
/// Bytes that one call may hold, before compression; the limit is 1 MB.
const CALL_BYTES: usize = 900_000;

/// The dimensions in CloudWatch's type.
pub(crate) fn dimensions(pairs: &[(String, String)]) -> Vec<Dimension> {
    pairs
        .iter()
        .map(|(name, value)| Dimension::builder().name(name).value(value).build())
        .collect()
}

/// A period's datums.
pub(crate) fn datums(period: &Period, dimensions: &[Dimension]) -> Vec<MetricDatum> {
    let mut datums = Vec::new();
    for (metric, series) in &period.series {
        let datum = || {
            let resolution = if period.period_secs < 60 { 1 } else { 60 };
            MetricDatum::builder()
                .metric_name(metric.name())
                .set_dimensions(Some(dimensions.to_vec()))
                .timestamp(DateTime::from_secs(period.start_secs as i64))
                .unit(unit(metric.unit()))
                .storage_resolution(resolution)
        };
        let mut add_values = |values: &[(f64, u64)]| {
            for part in values.chunks(VALUES_PER_DATUM) {
                let (values, counts) = part.iter().map(|&(value, n)| (value, n as f64)).unzip();
                datums.push(
                    datum()
                        .set_values(Some(values))
                        .set_counts(Some(counts))
                        .build(),
                );
            }
        };
        match series {
            Series::Counter(count) => datums.push(datum().value(*count as f64).build()),
            Series::Level(level) => {
                if level.samples > 0 && [level.sum, level.min, level.max].into_iter().all(sendable)
                {
                    let set = StatisticSet::builder()
                        .sample_count(level.samples as f64)
                        .sum(level.sum)
                        .minimum(level.min)
                        .maximum(level.max)
                        .build();
                    datums.push(datum().statistic_values(set).build());
                }
            }
            Series::Distribution(histogram) => {
                let mut values = histogram.values_and_counts();
                values.retain(|(value, _)| sendable(*value));
                add_values(&values);
            }
            Series::Reading(readings) => add_values(&distinct(readings)),
        }
    }
    datums
}

/// Equal values once, with the sum of their counts; ascending; what cannot be sent is left out.
fn distinct(readings: &[(f64, u64)]) -> Vec<(f64, u64)> {
    let mut values: Vec<_> = readings
        .iter()
        .copied()
        .filter(|(value, count)| *count > 0 && sendable(*value))
        .collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    values
}

/// The datums in portions that one call each may hold.
pub(crate) fn calls(datums: Vec<MetricDatum>) -> Vec<Vec<MetricDatum>> {
    let mut calls = Vec::new();
    let mut call = Vec::new();
    let mut bytes = 0;
    for datum in datums {
        let size = size(&datum);
        if call.len() == CALL_DATUMS || (bytes + size > CALL_BYTES && !call.is_empty()) {
            calls.push(std::mem::take(&mut call));
            bytes = 0;
        }
        bytes += size;
        call.push(datum);
    }
    if !call.is_empty() {
        calls.push(call);
    }
    calls
}

/// An upper estimate of a datum's size on the wire, bytes.
pub(crate) fn size(datum: &MetricDatum) -> usize {
    let dimensions = datum.dimensions().iter();
    let names =
        dimensions.map(|d| 32 + d.name().map_or(0, str::len) + d.value().map_or(0, str::len));
    let numbers = datum.values().len() + datum.counts().len();
    256 + datum.metric_name().map_or(0, str::len) + names.sum::<usize>() + 9 * numbers
}

fn unit(unit: Unit) -> StandardUnit {
    match unit {
        Unit::Count => StandardUnit::Count,
        Unit::Percent => StandardUnit::Percent,
        Unit::Microseconds => StandardUnit::Microseconds,
        Unit::Milliseconds => StandardUnit::Milliseconds,
        Unit::Bytes => StandardUnit::Bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scaling::catalogue::Metric;
    use scaling::histogram::{edge, Histogram, HIGHEST as TOP, LOWEST};
    use scaling::window::LevelSet;

    fn encode(period_secs: u32, metric: Metric, series: Series) -> Vec<MetricDatum> {
        let period = Period {
            start_secs: 1_700_000_000,
            period_secs,
            series: vec![(metric, series)],
        };
        datums(
            &period,
            &dimensions(&[("EndpointName".to_owned(), "e".to_owned())]),
        )
    }

    #[test]
    fn a_counter_is_one_sample_with_name_time_unit_and_dimensions() {
        let datums = encode(10, Metric::Invocations, Series::Counter(7));
        let datum = &datums[0];
        assert_eq!(
            (datum.metric_name(), datum.value()),
            (Some("Invocations"), Some(7.0))
        );
        assert_eq!(datum.timestamp().map(DateTime::secs), Some(1_700_000_000));
        assert_eq!(datum.unit(), Some(&StandardUnit::Count));
        assert_eq!(datum.storage_resolution(), Some(1));
        assert_eq!(datum.dimensions()[0].value(), Some("e"));
        let minute = encode(60, Metric::Invocations, Series::Counter(0));
        assert_eq!(
            (minute[0].storage_resolution(), minute[0].value()),
            (Some(60), Some(0.0))
        );
    }

    #[test]
    fn every_unit_is_cloudwatchs_own() {
        for &metric in Metric::ALL {
            let datums = encode(10, metric, Series::Counter(1));
            let unit = datums[0].unit().unwrap();
            assert_eq!(unit.as_str(), metric.unit().name());
            assert!(StandardUnit::values().contains(&unit.as_str()), "{unit}");
        }
    }

    #[test]
    fn a_level_is_a_statistic_set() {
        let level = LevelSet {
            samples: 10,
            sum: 15.0,
            min: 0.5,
            max: 9.0,
        };
        let datums = encode(10, Metric::Concurrency, Series::Level(level));
        let set = datums[0].statistic_values().unwrap();
        assert_eq!(
            (set.sample_count(), set.sum(), set.minimum(), set.maximum()),
            (Some(10.0), Some(15.0), Some(0.5), Some(9.0))
        );
    }

    #[test]
    fn idle_readings_are_one_value_counted_ten_times() {
        let readings = Series::Reading(vec![(0.0, 1); 10]);
        let datums = encode(10, Metric::OfferedLoad, readings);
        assert_eq!(
            (datums[0].values(), datums[0].counts()),
            (&[0.0][..], &[10.0][..])
        );
    }

    #[test]
    fn numbers_that_cloudwatch_refuses_are_left_out() {
        let readings = vec![(f64::NAN, 1), (f64::INFINITY, 1), (1e200, 1), (5.0, 2)];
        let datums = encode(10, Metric::OfferedLoad, Series::Reading(readings));
        assert_eq!(
            (datums[0].values(), datums[0].counts()),
            (&[5.0][..], &[2.0][..])
        );
        assert!(encode(
            10,
            Metric::OfferedLoad,
            Series::Reading(vec![(f64::NAN, 1)])
        )
        .is_empty());
        let level = LevelSet {
            samples: 1,
            sum: f64::NAN,
            min: 0.0,
            max: 0.0,
        };
        assert!(encode(10, Metric::Concurrency, Series::Level(level)).is_empty());
    }

    #[test]
    fn a_wide_distribution_is_two_datums_and_loses_nothing() {
        let mut histogram = Histogram::new();
        for k in LOWEST..=TOP {
            histogram.record(edge(k) * 1.01);
        }
        let count = histogram.count() as f64;
        let datums = encode(10, Metric::RequestLatency, Series::Distribution(histogram));
        assert_eq!(datums.len(), 2);
        assert!(datums
            .iter()
            .all(|datum| datum.values().len() <= VALUES_PER_DATUM));
        assert_eq!(
            datums.iter().flat_map(MetricDatum::counts).sum::<f64>(),
            count
        );
    }

    #[test]
    fn calls_keep_both_limits() {
        let small = MetricDatum::builder().metric_name("m").build();
        let by_number: Vec<_> = calls(vec![small; 2500]).iter().map(Vec::len).collect();
        assert_eq!(by_number, [1000, 1000, 500]);
        let values = vec![1.0; VALUES_PER_DATUM];
        let large = MetricDatum::builder()
            .metric_name("m")
            .set_values(Some(values.clone()))
            .set_counts(Some(values))
            .build();
        let calls = calls(vec![large; 900]);
        assert!(calls.len() > 1);
        for call in &calls {
            assert!(call.iter().map(size).sum::<usize>() <= CALL_BYTES);
        }
    }
}
