//! Tests of the histogram: the table against the definition, and exactness of what is published.

use super::*;
use proptest::prelude::*;

/// The definition: floor(ln v / ln 1.1), clamped; and how far v is from the next edge.
fn by_logarithm(value: f64) -> (i16, f64) {
    let k = value.ln() / 1.1_f64.ln();
    let distance = (k - k.round()).abs();
    ((k.floor() as i16).clamp(LOWEST, HIGHEST), distance)
}

fn bucket_of(value: f64) -> i16 {
    slot(value).map_or(i16::MIN, |slot| slot as i16 - 1 + LOWEST)
}

#[test]
fn the_published_examples_of_seh1_hold() {
    for (value, k) in [(1.0, 0), (10.0, 24), (123.4, 50), (1000.0, 72), (0.5, -8)] {
        assert_eq!(bucket_of(value), k, "{value}");
    }
}

#[test]
fn every_edge_opens_its_own_bucket() {
    for k in LOWEST..=HIGHEST {
        assert_eq!(bucket_of(edge(k)), k);
        let below = f64::from_bits(edge(k).to_bits() - 1);
        assert_eq!(bucket_of(below), (k - 1).max(LOWEST), "just below edge {k}");
        assert!((edge(k) / 1.1_f64.powi(i32::from(k)) - 1.0).abs() < 1e-13);
    }
}

#[test]
fn zero_has_its_own_slot_and_bad_values_have_none() {
    assert_eq!(slot(0.0), Some(0));
    assert_eq!(slot(-0.0), Some(0));
    assert_eq!(slot(-1.0), None);
    assert_eq!(slot(f64::NAN), None);
    assert_eq!(slot(f64::NEG_INFINITY), None);
    let mut histogram = Histogram::new();
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        histogram.record(bad);
    }
    assert!(histogram.is_empty());
}

#[test]
fn values_out_of_range_fall_into_the_outermost_buckets() {
    assert_eq!(bucket_of(f64::MIN_POSITIVE), LOWEST);
    assert_eq!(bucket_of(1e-300), LOWEST);
    assert_eq!(bucket_of(f64::MAX), HIGHEST);
    assert_eq!(bucket_of(f64::INFINITY), HIGHEST);
}

#[test]
fn one_value_is_published_as_itself() {
    let mut histogram = Histogram::new();
    histogram.record(123.4);
    assert_eq!(histogram.values_and_counts(), [(123.4, 1)]);
    histogram.record(123.4);
    assert_eq!(histogram.values_and_counts(), [(123.4, 2)]);
}

#[test]
fn minimum_and_maximum_are_split_out() {
    let mut histogram = Histogram::new();
    for value in [100.0, 101.0, 102.0, 5000.0, 5100.0] {
        histogram.record(value);
    }
    let values = histogram.values_and_counts();
    assert_eq!(values, [(100.0, 1), (101.5, 2), (5000.0, 1), (5100.0, 1)]);
}

#[test]
fn an_extreme_without_its_count_is_not_published() {
    let mut histogram = Histogram::new();
    histogram.record(100.0);
    histogram.record(101.0);
    histogram.widen(0.2, 1e6);
    assert_eq!(histogram.values_and_counts(), [(100.5, 2)]);
}

#[test]
fn more_than_a_datum_of_values_becomes_two_datums() {
    let mut histogram = Histogram::new();
    for k in LOWEST..=HIGHEST {
        histogram.record(edge(k) * 1.05);
        histogram.record(edge(k) * 1.05);
    }
    let datums = histogram.datums();
    assert_eq!(datums.len(), 2);
    assert!(datums.iter().all(|datum| datum.len() <= VALUES_PER_DATUM));
    let count: u64 = datums.iter().flatten().map(|(_, count)| count).sum();
    assert_eq!(count, histogram.count());
}

#[test]
fn equal_weight_quantiles_keep_the_extremes_and_small_sets_whole() {
    let mut histogram = Histogram::new();
    for value in 1..=3 {
        histogram.record(f64::from(value));
    }
    assert_eq!(histogram.equal_weight(100), [1.0, 2.0, 3.0]);
    for value in 1..=1000 {
        histogram.record(f64::from(value));
    }
    let quantiles = histogram.equal_weight(100);
    assert_eq!(quantiles.len(), 100);
    assert_eq!((quantiles[0], quantiles[99]), (1.0, 1000.0));
    assert!(quantiles.is_sorted());
    assert!(
        (quantiles[50] / 505.0 - 1.0).abs() < 0.06,
        "{}",
        quantiles[50]
    );
}

#[test]
fn counts_below_an_edge_include_zero() {
    let mut histogram = Histogram::new();
    for value in [0.0, 0.01, 5.0, 9.0, 11.0] {
        histogram.record(value);
    }
    assert_eq!(histogram.count_below(24), 4);
    assert_eq!(histogram.count_below(LOWEST), 1);
    assert_eq!(histogram.count_below(HIGHEST + 1), 5);
    assert_eq!(Histogram::new().quantile(0.5), None);
}

proptest! {
    #[test]
    fn the_table_agrees_with_the_logarithm(exponent in -12.0_f64..12.0) {
        let value = 10_f64.powf(exponent);
        let (k, distance) = by_logarithm(value);
        if distance > 1e-9 {
            prop_assert_eq!(bucket_of(value), k, "{}", value);
        }
    }

    #[test]
    fn count_sum_and_extremes_are_exact(values in prop::collection::vec(0.0_f64..1e7, 1..300)) {
        let mut whole = Histogram::new();
        let mut halves = [Histogram::new(), Histogram::new()];
        for (i, &value) in values.iter().enumerate() {
            whole.record(value);
            halves[i % 2].record(value);
        }
        let mut merged = Histogram::new();
        merged.merge(&halves[0]);
        merged.merge(&halves[1]);
        for histogram in [&whole, &merged] {
            let published = histogram.values_and_counts();
            let count: u64 = published.iter().map(|(_, count)| count).sum();
            let sum: f64 = published.iter().map(|(value, count)| value * *count as f64).sum();
            let exact: f64 = values.iter().sum();
            prop_assert_eq!(count, values.len() as u64);
            prop_assert!((sum - exact).abs() <= 1e-9 * exact.max(1.0));
            let min = values.iter().copied().fold(f64::MAX, f64::min);
            let max = values.iter().copied().fold(0.0, f64::max);
            prop_assert_eq!(published.first().map(|v| v.0), Some(min));
            prop_assert_eq!(published.last().map(|v| v.0), Some(max));
            prop_assert!(published.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }

    #[test]
    fn a_percentile_is_within_a_bucket_of_the_truth(
        values in prop::collection::vec(0.5_f64..1e6, 1..200), q in 0.0_f64..1.0,
    ) {
        let mut histogram = Histogram::new();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for &value in &values {
            histogram.record(value);
        }
        let rank = ((q * sorted.len() as f64).ceil() as usize).max(1);
        let truth = sorted[rank - 1];
        let found = histogram.quantile(q).unwrap();
        prop_assert!(found / truth < 1.1 && truth / found < 1.1, "{} {}", found, truth);
    }
}
