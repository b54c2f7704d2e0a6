//! The bill against figures that were worked out by hand.

use proptest::prelude::*;

use super::*;

fn usage(period_secs: u32, calls: usize, log_bytes: usize) -> Usage {
    Usage {
        metrics: 22,
        period_secs,
        calls,
        log_bytes,
    }
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 0.005
}

#[test]
fn a_call_each_ten_seconds_is_what_aws_charges_for_one() {
    let ten = usage(10, 1, 0);
    assert_eq!(ten.calls_a_month(), 262_800.0);
    let cost = ten.cost(&Prices::default(), 1.0);
    assert!(
        near(cost.metrics, 6.60) && near(cost.calls, 2.63),
        "{cost:?}"
    );
    assert!(near(cost.total(), 9.23), "{cost:?}");
    let minute = usage(60, 1, 0).cost(&Prices::default(), 1.0);
    assert!(near(minute.calls, 0.44), "{minute:?}");
}

#[test]
fn log_is_charged_by_the_gigabyte() {
    let lines = usage(10, 0, 10_000);
    assert!(near(lines.log_gb_a_month(), 2.63), "{lines:?}");
    let cost = lines.cost(&Prices::default(), 10.0);
    assert!(near(cost.log, 13.14) && cost.calls == 0.0, "{cost:?}");
}

#[test]
fn an_alarm_of_high_resolution_costs_three_times_as_much() {
    assert!(near(alarms(2, 60), 0.20) && near(alarms(2, 10), 0.60));
}

proptest! {
    #[test]
    fn metrics_are_the_variants_and_the_rest_each_instances(
        calls in 0_usize..10,
        log_bytes in 0_usize..100_000,
        instances in 1_u32..10_000,
    ) {
        let usage = usage(10, calls, log_bytes);
        let prices = Prices::default();
        let one = usage.cost(&prices, 1.0);
        let all = usage.cost(&prices, f64::from(instances));
        prop_assert_eq!(one.metrics, all.metrics);
        let tolerance = 1e-9 * all.total();
        prop_assert!((all.calls - one.calls * f64::from(instances)).abs() <= tolerance);
        prop_assert!((all.log - one.log * f64::from(instances)).abs() <= tolerance);
    }

    #[test]
    fn what_costs_nothing_adds_nothing(instances in 0_u32..1000) {
        let free = Prices { metric: 0.0, thousand_calls: 0.0, log_gb: 0.0 };
        prop_assert_eq!(usage(60, 3, 9000).cost(&free, f64::from(instances)).total(), 0.0);
    }
}
