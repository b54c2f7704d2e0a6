//! CloudWatch's and the embedded format's limits, for arbitrary periods.

use proptest::collection::vec;
use proptest::prelude::*;
use scaling::catalogue::Metric;
use scaling::histogram::Histogram;
use scaling::window::{LevelSet, Period, Series};
use serde_json::Value;

use super::cloudwatch::encode;
use super::emf::lines;

/// 2^360.
const HIGHEST: f64 = 2.348_542_582_773_833e108;

fn series() -> impl Strategy<Value = Series> {
    let level = (any::<u64>(), any::<f64>(), any::<f64>(), any::<f64>());
    prop_oneof![
        any::<u64>().prop_map(Series::Counter),
        level.prop_map(|(samples, sum, min, max)| Series::Level(LevelSet {
            samples: samples % 100,
            sum,
            min,
            max,
        })),
        vec((any::<f64>(), 0..100_u64), 1..300).prop_map(Series::Reading),
        vec(0.0..1e9, 1..400).prop_map(|values| {
            let mut histogram = Histogram::new();
            values.into_iter().for_each(|value| histogram.record(value));
            Series::Distribution(histogram)
        }),
    ]
}

fn period() -> impl Strategy<Value = Period> {
    let all = vec(series(), Metric::ALL.len());
    (0..4_000_000_000_u64, any::<bool>(), all).prop_map(|(start_secs, minute, all)| Period {
        start_secs,
        period_secs: if minute { 60 } else { 10 },
        series: Metric::ALL.iter().copied().zip(all).collect(),
    })
}

fn sendable(value: f64) -> bool {
    value.abs() <= HIGHEST
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn put_metric_data_keeps_every_limit(period in period(), dimensions in 0..=30_usize) {
        let dimension = |n| (format!("{n:0>255}"), "v".repeat(1024));
        let pairs: Vec<_> = (0..dimensions).map(dimension).collect();
        let all = encode::datums(&period, &encode::dimensions(&pairs));
        let number = all.len();
        let calls = encode::calls(all);
        prop_assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), number);
        for call in &calls {
            prop_assert!((1..=1000).contains(&call.len()));
            let text = call.len() * dimensions * (255 + 1024);
            prop_assert!(text < 1_000_000, "{} bytes", text);
        }
        let resolution = if period.period_secs < 60 { 1 } else { 60 };
        for datum in calls.iter().flatten() {
            let (values, counts) = (datum.values(), datum.counts());
            prop_assert!(values.len() <= 150 && values.len() == counts.len());
            prop_assert!(values.iter().all(|value| sendable(*value)));
            prop_assert!(counts.iter().all(|count| *count >= 1.0));
            prop_assert!(datum.value().is_none_or(sendable));
            if let Some(set) = datum.statistic_values() {
                let numbers = [set.sum(), set.minimum(), set.maximum()];
                prop_assert!(numbers.into_iter().all(|n| n.is_some_and(sendable)));
                prop_assert!(set.sample_count().is_some_and(|n| n >= 1.0));
            }
            prop_assert_eq!(datum.dimensions().len(), dimensions);
            prop_assert_eq!(datum.timestamp().map(|t| t.secs()), Some(period.start_secs as i64));
            prop_assert_eq!(datum.storage_resolution(), Some(resolution));
        }
    }

    #[test]
    fn a_line_keeps_every_limit_with_the_longest_dimensions(period in period(), escaped in any::<bool>()) {
        // As long as the configuration permits, in plain text or all of it escaped.
        let letter = if escaped { "\"" } else { "v" };
        let mut config = crate::Config::default();
        for n in 0..30 {
            config.dimensions.push((format!("d{n}"), letter.repeat(1024)));
            if !config.check().is_empty() {
                config.dimensions.pop();
                break;
            }
        }
        prop_assert!(config.dimensions.len() >= 3);
        for line in lines(&period, &"n".repeat(255), &config.dimensions) {
            prop_assert!(line.len() <= 16 * 1024, "{} bytes", line.len());
            prop_assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
            let json: Value = serde_json::from_str(&line).unwrap();
            let directive = &json["_aws"]["CloudWatchMetrics"][0];
            let metrics = directive["Metrics"].as_array().unwrap();
            prop_assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                let value = &json[metric["Name"].as_str().unwrap()];
                let one = [value.clone()];
                let values = value.as_array().map_or(&one[..], Vec::as_slice);
                prop_assert!((1..=100).contains(&values.len()));
                prop_assert!(values.iter().all(|v| v.as_f64().is_some_and(sendable)));
            }
        }
    }
}
