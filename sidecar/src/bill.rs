//! What publishing takes, from what is really encoded: a busy period goes through the encoders of
//! both routes, and its calls and bytes are counted.

use scaling::bill::Usage;
use scaling::catalogue::{Kind, Metric, Unit};
use scaling::histogram::Histogram;
use scaling::window::{LevelSet, Period, Series};

use crate::publisher::cloudwatch::encode;
use crate::publisher::emf;
use crate::{Config, RouteChoice};

/// CloudWatch Logs charges each event for so many bytes beside its own.
const EVENT_BYTES: usize = 26;
/// Enough events for a distribution to need all the quantiles that a line may hold.
const EVENTS: u32 = 400;

/// What a route takes at most, where every device is there and something happens all the time; none
/// where nothing is published. `Auto` is CloudWatch, which it tries first.
#[must_use]
pub fn usage(config: &Config, route: RouteChoice) -> Option<Usage> {
    usage_of(&busy_period(config), config, route)
}

/// What a route takes for this period, by encoding it; none where nothing is published.
#[must_use]
pub fn usage_of(period: &Period, config: &Config, route: RouteChoice) -> Option<Usage> {
    if config.dimensions.is_empty() || config.metrics.is_empty() {
        return None;
    }
    let period_secs = config.period_secs;
    match route {
        RouteChoice::None => None,
        RouteChoice::Auto | RouteChoice::CloudWatch => {
            let datums = encode::datums(period, &encode::dimensions(&config.dimensions));
            Some(Usage {
                metrics: config.metrics.len(),
                period_secs,
                calls: encode::calls(datums).len(),
                log_bytes: 0,
            })
        }
        RouteChoice::Emf => {
            let lines = emf::lines(period, &config.namespace, &config.dimensions);
            let each = config
                .metrics
                .iter()
                .map(|metric| metric.kind().embedded().len());
            Some(Usage {
                metrics: each.sum(),
                period_secs,
                calls: 0,
                log_bytes: lines.iter().map(|line| line.len() + EVENT_BYTES).sum(),
            })
        }
    }
}

/// A period in which every metric is present, with numbers as long as they come.
#[must_use]
pub fn busy_period(config: &Config) -> Period {
    let period_secs = config.period_secs;
    let series = config
        .metrics
        .iter()
        .map(|&metric| (metric, series(metric, period_secs)))
        .collect();
    Period {
        start_secs: 1_700_000_000,
        period_secs,
        series,
    }
}

fn series(metric: Metric, period_secs: u32) -> Series {
    let samples = u64::from(period_secs);
    match metric.kind() {
        Kind::Counter => Series::Counter(123_456),
        Kind::Level => Series::Level(LevelSet {
            samples,
            sum: 12.345_67 * samples as f64,
            min: 0.123_456,
            max: 123.0,
        }),
        Kind::Reading => Series::Reading(
            (0..period_secs)
                .map(|second| (12.345_67 + f64::from(second), 1))
                .collect(),
        ),
        // What is set rarely has one value, repeated.
        Kind::Gauge => Series::Reading(vec![(123_456_789.0, samples)]),
        Kind::Distribution => {
            let mut histogram = Histogram::new();
            for event in 0..EVENTS {
                let spread = f64::from(event) / f64::from(EVENTS);
                histogram.record(match metric.unit() {
                    Unit::Count => f64::from(1 + event % 16),
                    // A factor of a hundred between the fastest and the slowest.
                    _ => 1234.567 * 100_f64.powf(spread),
                });
            }
            Series::Distribution(histogram)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(period_secs: u32) -> Config {
        Config {
            period_secs,
            dimensions: vec![("EndpointName".to_owned(), "e".to_owned())],
            ..Config::default()
        }
    }

    #[test]
    fn a_busy_period_is_one_call() {
        for period_secs in [10, 60] {
            let usage = usage(&config(period_secs), RouteChoice::CloudWatch).unwrap();
            let expected = Usage {
                metrics: Metric::ALL.len(),
                period_secs,
                calls: 1,
                log_bytes: 0,
            };
            assert_eq!(usage, expected);
        }
    }

    #[test]
    fn embedded_format_has_more_metrics_and_no_calls() {
        let all = config(10);
        let names: usize = Metric::ALL.iter().map(|m| m.kind().embedded().len()).sum();
        let all_usage = usage(&all, RouteChoice::Emf).unwrap();
        assert_eq!((all_usage.metrics, all_usage.calls), (names, 0));
        let one = Config {
            metrics: vec![Metric::OfferedLoad],
            ..all
        };
        let usage = usage(&one, RouteChoice::Emf).unwrap();
        assert_eq!(usage.metrics, 1);
        assert!(usage.log_bytes < all_usage.log_bytes / 10, "{usage:?}");
        let line = emf::lines(&busy_period(&one), &one.namespace, &one.dimensions);
        assert_eq!(usage.log_bytes, line[0].len() + EVENT_BYTES);
    }

    #[test]
    fn nothing_is_charged_where_nothing_is_published() {
        let without = Config::default();
        assert_eq!(usage(&without, RouteChoice::Auto), None);
        assert_eq!(usage(&config(10), RouteChoice::None), None);
    }
}
