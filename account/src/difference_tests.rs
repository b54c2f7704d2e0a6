//! Documents against what stands, without an account.

use super::*;
use crate::{StandingPolicy, Unread};
use serde_json::json;

const ARN: &str = "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1:resource/sagemaker/endpoint/e/variant/v:policyName/";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:topic";

/// A target, two policies, an alarm and a scheduled action, with nothing said that has a default.
fn document() -> Value {
    json!({
        "target": {
            "ResourceId": "endpoint/e/variant/v",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            "MinCapacity": 1, "MaxCapacity": 8,
        },
        "policies": [
            {"PolicyName": "track", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 60,
                "CustomizedMetricSpecification": {
                    "Namespace": "Plimsoll", "MetricName": "OfferedLoad", "Statistic": "Average",
                    "Dimensions": [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}],
                },
            }},
            {"PolicyName": "guard", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {
                "AdjustmentType": "PercentChangeInCapacity",
                "StepAdjustments": [
                    {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 40, "ScalingAdjustment": 30},
                    {"MetricIntervalLowerBound": 40, "ScalingAdjustment": 100},
                ],
            }},
        ],
        "alarms": [{
            "AlarmName": "guard", "Namespace": "Plimsoll", "MetricName": "OfferedLoad", "Statistic": "Average",
            "Dimensions": [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}],
            "Period": 10, "EvaluationPeriods": 3, "Threshold": 130, "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": ["guard"],
        }],
        "scheduled_actions": [{
            "ScheduledActionName": "morning", "Schedule": "cron(0 8 ? * MON-FRI *)",
            "StartTime": "2027-01-31T08:00:00+01:00", "ScalableTargetAction": {"MinCapacity": 3},
        }],
    })
}

/// The same as an account tells it: defaults filled in, lists in another order.
fn told() -> Value {
    let mut told = document();
    told["target"]["ServiceNamespace"] = json!("sagemaker");
    told["target"]["SuspendedState"] = json!({
        "DynamicScalingInSuspended": false, "DynamicScalingOutSuspended": false, "ScheduledScalingSuspended": false,
    });
    let tracking = &mut told["policies"][0]["TargetTrackingScalingPolicyConfiguration"];
    tracking["TargetValue"] = json!(60.0);
    tracking["ScaleOutCooldown"] = json!(300);
    tracking["ScaleInCooldown"] = json!(300);
    tracking["DisableScaleIn"] = json!(false);
    reverse(&mut tracking["CustomizedMetricSpecification"]["Dimensions"]);
    let steps = &mut told["policies"][1]["StepScalingPolicyConfiguration"];
    steps["Cooldown"] = json!(300);
    steps["MetricAggregationType"] = json!("Average");
    steps["MinAdjustmentMagnitude"] = json!(1);
    reverse(&mut steps["StepAdjustments"]);
    let alarm = &mut told["alarms"][0];
    alarm["ActionsEnabled"] = json!(true);
    alarm["DatapointsToAlarm"] = json!(3);
    alarm["TreatMissingData"] = json!("missing");
    alarm["AlarmDescription"] = json!("");
    reverse(&mut alarm["Dimensions"]);
    let action = &mut told["scheduled_actions"][0];
    action["Timezone"] = json!("UTC");
    action["StartTime"] = json!("2027-01-31T07:00:00Z");
    told
}

fn reverse(list: &mut Value) {
    list.as_array_mut().expect("a list").reverse();
}

fn read(document: &Value) -> Configuration {
    Configuration::parse(&document.to_string()).expect("a configuration")
}

/// What stands where somebody applied this.
fn standing(document: &Value) -> Standing {
    let configuration = read(document);
    let arn = |name: &str| format!("{ARN}{name}");
    let policies = configuration
        .policies
        .into_iter()
        .map(|policy| StandingPolicy {
            arn: arn(&policy.policy_name),
            policy,
        });
    let alarms = configuration.alarms.into_iter().map(|mut alarm| {
        for action in &mut alarm.alarm_actions {
            *action = arn(action);
        }
        Watched {
            alarm,
            state_value: "OK".to_owned(),
            state_reason: None,
            state_updated_timestamp: None,
        }
    });
    Standing {
        target: Some(configuration.target),
        policies: policies.collect(),
        alarms: alarms.collect(),
        scheduled_actions: configuration.scheduled_actions,
        ..Standing::default()
    }
}

/// What is to be done, a line each.
fn lines(difference: &Difference) -> Vec<String> {
    let mut lines = Vec::new();
    for change in difference.due() {
        match &change.act {
            Act::Update(fields) => lines.extend(fields.iter().map(|field| {
                let value =
                    |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
                format!(
                    "{} {}: {} → {}",
                    change.title(),
                    field.path,
                    value(&field.before),
                    value(&field.after)
                )
            })),
            _ => lines.push(format!("create {}", change.title())),
        }
    }
    lines
}

#[test]
fn where_nothing_stands_all_is_created_in_order() {
    let difference = difference(&read(&document()), &Standing::default()).expect("a difference");
    let expected = [
        "create target endpoint/e/variant/v",
        "create policy track",
        "create policy guard",
        "create alarm guard",
        "create scheduled action morning",
    ];
    assert_eq!(lines(&difference), expected);
    assert_eq!(difference.left, []);
}

#[test]
fn what_aws_fills_in_is_no_difference() {
    for (wanted, stands) in [(document(), told()), (told(), document()), (told(), told())] {
        let difference = difference(&read(&wanted), &standing(&stands)).expect("a difference");
        assert_eq!(lines(&difference), Vec::<String>::new());
        assert_eq!(difference.changes.len(), 5);
        assert_eq!(difference.left, []);
    }
}

#[test]
fn every_field_that_differs_is_shown_before_and_after() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 10] = [
        (|d| d["target"]["MaxCapacity"] = json!(9), "target endpoint/e/variant/v MaxCapacity: 8 → 9"),
        (
            |d| d["target"]["SuspendedState"] = json!({"DynamicScalingInSuspended": true}),
            "target endpoint/e/variant/v SuspendedState.DynamicScalingInSuspended: false → true",
        ),
        (
            |d| d["policies"][0]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] = json!(70),
            "policy track TargetTrackingScalingPolicyConfiguration.TargetValue: 60.0 → 70.0",
        ),
        (
            |d| d["policies"][0]["TargetTrackingScalingPolicyConfiguration"]["ScaleOutCooldown"] = json!(60),
            "policy track TargetTrackingScalingPolicyConfiguration.ScaleOutCooldown: 300 → 60",
        ),
        (
            |d| {
                let metric = &mut d["policies"][0]["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"];
                metric["Dimensions"][0]["Value"] = json!("other");
            },
            "policy track TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.Dimensions.EndpointName: \"e\" → \"other\"",
        ),
        (
            |d| d["policies"][1]["StepScalingPolicyConfiguration"]["StepAdjustments"][1]["ScalingAdjustment"] = json!(50),
            "policy guard StepScalingPolicyConfiguration.StepAdjustments[1].ScalingAdjustment: 100 → 50",
        ),
        (|d| d["alarms"][0]["Threshold"] = json!(120.5), "alarm guard Threshold: 130.0 → 120.5"),
        (|d| d["alarms"][0]["TreatMissingData"] = json!("ignore"), "alarm guard TreatMissingData: \"missing\" → \"ignore\""),
        (|d| d["alarms"][0]["Unit"] = json!("Percent"), "alarm guard Unit: - → \"Percent\""),
        (
            |d| d["scheduled_actions"][0]["Timezone"] = json!("Europe/Berlin"),
            "scheduled action morning Timezone: \"UTC\" → \"Europe/Berlin\"",
        ),
    ];
    for (change, expected) in cases {
        let mut wanted = document();
        change(&mut wanted);
        let difference = difference(&read(&wanted), &standing(&told())).expect("a difference");
        assert_eq!(lines(&difference), [expected]);
    }
}

#[test]
fn metric_math_is_compared_by_its_ids() {
    let metrics = json!([
        {"Id": "e1", "Expression": "100 * m1", "ReturnData": true},
        {"Id": "m1", "ReturnData": false, "MetricStat": {"Stat": "Sum", "Metric": {
            "Namespace": "Plimsoll", "MetricName": "Invocations",
            "Dimensions": [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}],
        }}},
    ]);
    let with = |metrics: &Value| {
        let mut document = document();
        let specification = json!({ "Metrics": metrics });
        document["policies"][0]["TargetTrackingScalingPolicyConfiguration"]
            ["CustomizedMetricSpecification"] = specification;
        document
    };
    let mut turned = metrics.clone();
    reverse(&mut turned);
    reverse(&mut turned[0]["MetricStat"]["Metric"]["Dimensions"]);
    turned[1]
        .as_object_mut()
        .expect("a map")
        .remove("ReturnData");
    let same = difference(&read(&with(&metrics)), &standing(&with(&turned))).expect("a difference");
    assert_eq!(lines(&same), Vec::<String>::new());
    let mut other = metrics.clone();
    other[1]["MetricStat"]["Stat"] = json!("p99");
    let changed =
        difference(&read(&with(&other)), &standing(&with(&turned))).expect("a difference");
    let place = "TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.Metrics.m1.MetricStat.Stat";
    assert_eq!(
        lines(&changed),
        [format!("policy track {place}: \"Sum\" → \"p99\"")]
    );
}

#[test]
fn what_the_document_does_not_name_is_left_alone() {
    let mut stands = standing(&told());
    let mut wanted = document();
    wanted["policies"] = json!([wanted["policies"][1]]);
    wanted["scheduled_actions"] = json!([]);
    let alarm = &mut stands.alarms[0].alarm;
    alarm.alarm_actions.push(TOPIC.to_owned());
    alarm.ok_actions.push(TOPIC.to_owned());
    let mut other = stands.alarms[0].clone();
    other.alarm.alarm_name = "other".to_owned();
    stands.alarms.push(other);
    stands.unread.push(Unread {
        kind: "alarm",
        name: "band".to_owned(),
        why: "has ThresholdMetricId".to_owned(),
    });
    let difference = difference(&read(&wanted), &stands).expect("a difference");
    assert_eq!(lines(&difference), Vec::<String>::new());
    let left: Vec<String> = difference
        .left
        .iter()
        .map(|one| format!("{} {}", one.kind, one.name))
        .collect();
    let topic = format!("action of alarm guard {TOPIC}");
    let expected = [
        "policy track",
        "alarm other",
        &topic,
        &topic,
        "scheduled action morning",
        "alarm band",
    ];
    assert_eq!(left, expected);
}

#[test]
fn an_alarm_that_is_changed_keeps_whom_it_calls_beside_the_policies() {
    let mut stands = standing(&told());
    let gone = format!("{ARN}gone");
    stands.alarms[0]
        .alarm
        .alarm_actions
        .extend([TOPIC.to_owned(), gone]);
    let difference = difference(&read(&document()), &stands).expect("a difference");
    let [change] = difference.due().collect::<Vec<_>>()[..] else {
        panic!("{:?}", lines(&difference));
    };
    let Document::Alarm(alarm) = &change.document else {
        panic!("{change:?}");
    };
    // A policy of this target that is no more is not called any longer.
    assert_eq!(alarm.alarm_actions, ["guard", TOPIC]);
}

#[test]
fn an_alarm_follows_a_policy_that_was_made_anew() {
    let stands = standing(&told());
    let difference = difference(&read(&document()), &stands).expect("a difference");
    let alarm = difference
        .changes
        .iter()
        .find(|one| one.title() == "alarm guard")
        .expect("it");
    let mut arns = stands.arns();
    assert!(!alarm.is_due(&arns, &stands));
    arns.insert("guard".to_owned(), "another".to_owned());
    assert!(alarm.is_due(&arns, &stands));
}

#[test]
fn a_zone_that_is_no_longer_wanted_is_said_to_be_utc() {
    let mut before = told();
    before["scheduled_actions"][0]["Timezone"] = json!("Europe/Berlin");
    let difference = difference(&read(&document()), &standing(&before)).expect("a difference");
    let [change] = difference.due().collect::<Vec<_>>()[..] else {
        panic!("{:?}", lines(&difference));
    };
    let Document::ScheduledAction(action) = &change.document else {
        panic!("{change:?}");
    };
    assert_eq!(action.timezone.as_deref(), Some("UTC"));
}

#[test]
fn what_no_account_can_take_is_refused() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 6] = [
        (
            |d| drop(d["target"].as_object_mut().and_then(|target| target.remove("ResourceId"))),
            "target.ResourceId: is missing; expected such as endpoint/<endpoint>/variant/<variant>",
        ),
        (
            |d| d["target"]["ServiceNamespace"] = json!("ecs"),
            "target.ServiceNamespace: \"ecs\"; expected \"sagemaker\"",
        ),
        (
            |d| d["policies"][1]["ResourceId"] = json!("endpoint/other/variant/v"),
            "policies[1].ResourceId: \"endpoint/other/variant/v\"; expected the target's, \"endpoint/e/variant/v\"",
        ),
        (
            |d| d["policies"][1]["PolicyName"] = json!("track"),
            "PolicyName: \"track\" is used twice",
        ),
        (
            |d| d["scheduled_actions"][0] = json!({"ScheduledActionName": "x", "at": 60, "ScalableTargetAction": {"MinCapacity": 3}}),
            "scheduled_actions[0].Schedule: is missing; expected at(…), rate(…) or cron(…): seconds from the beginning are a simulation's",
        ),
        (
            |d| d["alarms"][0]["AlarmName"] = json!("band"),
            "AlarmName: \"band\" stands and has ThresholdMetricId; expected another name",
        ),
    ];
    let mut stands = standing(&told());
    stands.unread.push(Unread {
        kind: "alarm",
        name: "band".to_owned(),
        why: "has ThresholdMetricId".to_owned(),
    });
    for (change, expected) in cases {
        let mut wanted = document();
        change(&mut wanted);
        let refused = difference(&read(&wanted), &stands).expect_err(expected);
        assert_eq!(refused.to_string(), expected);
    }
}
