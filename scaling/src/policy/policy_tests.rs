//! Tests of the documents: AWS's arithmetic of steps, and what AWS would refuse.

use serde_json::{json, Value};

use super::*;

fn steps(of: Value) -> StepScaling {
    serde_json::from_value(of).unwrap()
}

/// Steps over (lower, upper, adjustment).
fn stepped(bounds: &[(Option<f64>, Option<f64>, i32)]) -> StepScaling {
    let each = bounds
        .iter()
        .map(|(lower, upper, adjustment)| StepAdjustment {
            metric_interval_lower_bound: *lower,
            metric_interval_upper_bound: *upper,
            scaling_adjustment: *adjustment,
        });
    StepScaling {
        adjustment_type: AdjustmentType::ChangeInCapacity,
        step_adjustments: each.collect(),
        min_adjustment_magnitude: None,
        cooldown: None,
        metric_aggregation_type: None,
    }
}

#[test]
fn a_bound_belongs_to_the_step_that_is_further_from_the_threshold() {
    let above = stepped(&[
        (Some(0.0), Some(10.0), 1),
        (Some(10.0), Some(25.0), 3),
        (Some(25.0), None, 6),
    ]);
    for (metric, expected) in [(50.0, 1), (59.9, 1), (60.0, 3), (74.9, 3), (75.0, 6)] {
        assert_eq!(
            above.adjustment(metric - 50.0, Side::Above),
            Some(expected),
            "{metric}"
        );
    }
    assert_eq!(above.adjustment(-0.1, Side::Above), None);
    let below = stepped(&[
        (Some(-10.0), Some(0.0), 0),
        (Some(-20.0), Some(-10.0), -1),
        (None, Some(-20.0), -3),
    ]);
    for (metric, expected) in [(45.0, 0), (40.0, -1), (39.9, -1), (30.0, -3), (29.9, -3)] {
        assert_eq!(
            below.adjustment(metric - 50.0, Side::Below),
            Some(expected),
            "{metric}"
        );
    }
}

#[test]
fn percentages_are_cut_but_move_one_at_least() {
    let percent = |least: Option<u32>| StepScaling {
        adjustment_type: AdjustmentType::PercentChangeInCapacity,
        min_adjustment_magnitude: least,
        ..stepped(&[])
    };
    for (base, adjustment, least, expected) in [
        (10, 10, None, 11),
        (11, 30, None, 14),
        (14, -10, None, 13),
        (13, -30, None, 10),
        (4, 25, Some(2), 6),
        (3, 10, None, 4),
        (3, -10, None, 2),
        (3, -10, Some(2), 1),
        (10, 0, Some(2), 10),
        (0, 50, None, 0),
    ] {
        let found = percent(least).applied(adjustment, base);
        assert_eq!(
            found, expected,
            "{base} {adjustment:+} %, at least {least:?}"
        );
    }
    let exact = StepScaling {
        adjustment_type: AdjustmentType::ExactCapacity,
        ..stepped(&[])
    };
    assert_eq!(exact.applied(7, 3), 7);
    assert_eq!(stepped(&[]).applied(-5, 3), -2);
}

#[test]
fn steps_that_aws_would_refuse_are_refused() {
    let some = Some;
    for (bounds, expected) in [
        (vec![], "0 steps; expected 1 to 20"),
        (vec![(some(0.0), None, 1); 21], "21 steps"),
        (vec![(None, None, 1)], "no bound"),
        (
            vec![(some(5.0), some(5.0), 1)],
            "from 5 to 5 is no interval",
        ),
        (
            vec![(some(0.0), some(10.0), 1), (some(20.0), None, 2)],
            "ends at 10 and the next begins at 20",
        ),
        (
            vec![(some(0.0), some(10.0), 1), (some(5.0), None, 2)],
            "ends at 10 and the next begins at 5",
        ),
        (
            vec![(some(-10.0), some(0.0), -1)],
            "must have no MetricIntervalLowerBound",
        ),
        (
            vec![(some(0.0), some(10.0), 1)],
            "must have no MetricIntervalUpperBound",
        ),
    ] {
        let error = stepped(&bounds).check().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let magnitude = StepScaling {
        min_adjustment_magnitude: Some(2),
        ..stepped(&[(Some(0.0), None, 1)])
    };
    let error = magnitude.check().unwrap_err().to_string();
    assert!(error.starts_with("MinAdjustmentMagnitude: 2"), "{error}");
}

fn policy(configuration: Value) -> ScalingPolicy {
    serde_json::from_value(json!({
        "PolicyName": "load",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": configuration,
    }))
    .unwrap()
}

fn refused(configuration: Value) -> String {
    policy(configuration).rule().unwrap_err().to_string()
}

#[test]
fn targets_and_metrics_that_aws_would_refuse_are_refused() {
    let metric =
        json!({"MetricName": "OfferedLoad", "Namespace": "Plimsoll", "Statistic": "Average"});
    for (configuration, expected) in [
        (json!({"TargetValue": 0, "CustomizedMetricSpecification": metric}), "TargetValue: 0"),
        (json!({"TargetValue": -5, "CustomizedMetricSpecification": metric}), "TargetValue: -5"),
        (json!({"TargetValue": 70}), "expected it or CustomizedMetricSpecification"),
        (
            json!({"TargetValue": 70, "CustomizedMetricSpecification": {"MetricName": "m", "Statistic": "p99"}}),
            "Statistic: \"p99\" is none; expected one of Average",
        ),
        (
            json!({"TargetValue": 70, "CustomizedMetricSpecification": {"Statistic": "Sum"}}),
            "expected it with Namespace and Statistic, or Metrics",
        ),
        (
            json!({"TargetValue": 70, "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantUtilization"}}),
            "\"SageMakerVariantUtilization\" does not exist for SageMaker; expected one of SageMakerVariantInvocationsPerInstance",
        ),
    ] {
        let error = refused(configuration);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_period_is_a_minute_but_for_the_two_of_high_resolution() {
    for known in &PREDEFINED {
        let tracked = policy(json!({
            "TargetValue": 5,
            "PredefinedMetricSpecification": {"PredefinedMetricType": known.name},
        }));
        let Ok(Rule::TargetTracking(tracking)) = tracked.rule() else {
            panic!("{}", known.name);
        };
        let (_, period) = tracking.metric().unwrap();
        let expected = if known.name.ends_with("HighResolution") {
            10
        } else {
            60
        };
        assert_eq!(period, expected, "{}", known.name);
    }
}

fn with_queries(queries: Value) -> Result<(), String> {
    let configuration =
        json!({"TargetValue": 70, "CustomizedMetricSpecification": {"Metrics": queries}});
    policy(configuration)
        .rule()
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn query(id: &str, returned: bool) -> Value {
    json!({
        "Id": id,
        "MetricStat": {"Metric": {"MetricName": "m", "Namespace": "n"}, "Stat": "p95"},
        "ReturnData": returned,
    })
}

fn computed(id: &str, expression: &str) -> Value {
    json!({"Id": id, "Expression": expression, "ReturnData": true})
}

#[test]
fn metric_math_is_one_series_of_known_parts() {
    assert_eq!(
        with_queries(json!([
            query("m1", false),
            computed("load", "FILL(m1, 0) * 2")
        ])),
        Ok(())
    );
    for (queries, expected) in [
        (
            json!([query("m1", false)]),
            "no element has ReturnData true",
        ),
        (
            json!([query("m1", true), query("m2", true)]),
            "\"m1\" and \"m2\" both have ReturnData true",
        ),
        (json!([query("M1", true)]), "\"M1\" is no id"),
        (
            json!([query("m1", false), query("m1", true)]),
            "\"m1\" is used twice",
        ),
        (
            json!([computed("load", "m1 * 2")]),
            "no element has the id \"m1\"",
        ),
        (
            json!([computed("load", "load * 2")]),
            "is computed from itself",
        ),
        (
            json!([query("m1", false), computed("load", "m1 *")]),
            "Metrics[load].Expression: the end at character 5",
        ),
        (
            json!([{"Id": "m1", "ReturnData": true}]),
            "expected an Expression or a MetricStat",
        ),
    ] {
        let error = with_queries(queries).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_type_without_its_configuration_is_refused() {
    let mut mixed = policy(json!({"TargetValue": 70}));
    mixed.policy_type = PolicyType::Step;
    let error = mixed.rule().unwrap_err().to_string();
    assert!(
        error.contains("StepScaling needs StepScalingPolicyConfiguration"),
        "{error}"
    );
    mixed.policy_name = " ".to_owned();
    let error = mixed.rule().unwrap_err().to_string();
    assert!(error.starts_with("PolicyName: \" \""), "{error}");
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let wrong = json!({"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [], "Colldown": 3});
    let error = serde_json::from_value::<StepScaling>(wrong)
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `Colldown`"), "{error}");
    let right = steps(
        json!({"AdjustmentType": "ExactCapacity", "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 4}]}),
    );
    assert_eq!(right.check(), Ok(()));
    assert_eq!(right.cooldown_secs(), 300);
}

fn alarm(change: impl FnOnce(&mut MetricAlarm)) -> Result<(), Invalid> {
    let mut alarm: MetricAlarm = serde_json::from_value(json!({
        "AlarmName": "high", "MetricName": "m", "Statistic": "Average", "Period": 60,
        "EvaluationPeriods": 3, "Threshold": 50, "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": ["arn:aws:autoscaling:eu-west-1:1:scalingPolicy:id:resource/sagemaker/endpoint/e/variant/v:policyName/guard"],
    }))
    .unwrap();
    assert!(alarm.calls("guard") && !alarm.calls("uard"));
    change(&mut alarm);
    alarm.check()
}

#[test]
fn alarms_that_cloudwatch_would_refuse_are_refused() {
    assert_eq!(alarm(|_| {}), Ok(()));
    let field = |change: fn(&mut MetricAlarm)| alarm(change).unwrap_err().field;
    assert_eq!(field(|alarm| alarm.period = Some(7)), "Period");
    assert_eq!(field(|alarm| alarm.period = Some(0)), "Period");
    assert_eq!(alarm(|alarm| alarm.period = Some(20)), Ok(()));
    // A day in all, and a week of hours.
    assert_eq!(alarm(|alarm| alarm.evaluation_periods = 1440), Ok(()));
    assert_eq!(
        field(|alarm| alarm.evaluation_periods = 1441),
        "EvaluationPeriods"
    );
    let hours = |hours| {
        alarm(|alarm| {
            alarm.period = Some(3600);
            alarm.evaluation_periods = hours;
        })
    };
    assert_eq!(hours(168), Ok(()));
    assert!(hours(169).is_err());
    assert_eq!(
        field(|alarm| alarm.evaluation_periods = 0),
        "EvaluationPeriods"
    );
    assert_eq!(
        field(|alarm| alarm.evaluation_periods = usize::MAX),
        "EvaluationPeriods"
    );
    assert_eq!(
        field(|alarm| alarm.datapoints_to_alarm = Some(4)),
        "DatapointsToAlarm"
    );
    assert_eq!(field(|alarm| alarm.threshold = f64::NAN), "Threshold");
    assert_eq!(
        field(|alarm| alarm.extended_statistic = Some("p99".to_owned())),
        "Statistic"
    );
}
